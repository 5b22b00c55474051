//! What can be asked of the broker, and by whom. Whatever the rules may not find out for themselves (the time,
//! new identifiers, digests, what policy says) comes in with the command.

use super::{
    ApprovalId, Checked, Client, ClientId, Credential, CredentialId, Destination, Digest,
    Environment, Evaluation, Facts, Gateway, GatewayId, NewTokenKey, Operator, OperatorId, Plan,
    PolicyStatement, Proof, ProposalId, Quorum, RequestId, RevocationId, RevocationPlan, Role,
    RotationCause, RotationId, RotationRules, SshKey, StepUp, Token, TokenId,
    event::{Subject, UsageEntry},
};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Who acts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Actor {
    /// Somebody who is signed in.
    Operator {
        /// Who.
        id: OperatorId,
        /// By what.
        proof: Proof,
    },
    /// A gateway, by its own token.
    Gateway {
        /// Which.
        id: GatewayId,
        /// By which of its tokens.
        token: TokenId,
    },
    /// A part of the broker that follows from events.
    System(&'static str),
}

/// Who acted, as the log keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ActorStamp {
    /// The operator, if it was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<OperatorId>,
    /// Their handle, `gateway:` and its name, or the part of the broker.
    pub name: String,
    /// The token that they were signed in with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<TokenId>,
    /// The address that the command came from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
}

/// What caused an event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cause {
    /// The command's name.
    pub command: String,
    /// `X-Request-Id` of the call, or of the reactor's turn.
    pub id: String,
    /// Trace id, 32 hex digits, where the caller sent one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace: Option<String>,
    /// `Idempotency-Key` of the call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// SHA-256 over method, path and body of the call that carried the key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<Digest>,
}

/// Everything about a command that is not its content.
#[derive(Debug, Clone)]
pub struct Context {
    /// The time of the decision.
    pub now: DateTime<Utc>,
    /// Who asks.
    pub actor: Actor,
    /// The address that it came from.
    pub from: Option<String>,
    /// `X-Request-Id`.
    pub request_id: String,
    /// Trace id.
    pub trace: Option<String>,
    /// The idempotency key and the digest of the call that it came with.
    pub idempotency: Option<(String, Digest)>,
    /// The sequence of the object that the caller had looked at (`If-Match`).
    pub if_match: Option<u64>,
}

/// What was made for a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MintedVersion {
    /// Digest of the secret, where the broker must recognise it.
    pub digest: Option<Digest>,
    /// Where the issuer knows it.
    pub locator: BTreeMap<String, String>,
    /// When it ends.
    pub expires_at: Option<DateTime<Utc>>,
    /// What the issuer remarked.
    pub warnings: Vec<String>,
}

/// What can be asked.
#[derive(Debug, Clone)]
pub enum Command {
    /// Bring a client in.
    OnboardClient(Box<Client>),
    /// Take a client out of service: everything it holds is withdrawn, or goes over to another team.
    OffboardClient {
        client: ClientId,
        reason: String,
        /// The team that answers for its credentials from now on; without one they are revoked.
        hand_over_to: Option<String>,
        revocations: Vec<RevocationId>,
    },

    /// Open an account, with a first token if one was minted.
    EnrolOperator(Box<Operator>),
    /// Give an account another token.
    IssueToken { operator: OperatorId, token: Token },
    /// Withdraw a token.
    RevokeToken {
        operator: OperatorId,
        token: TokenId,
    },
    /// Sign in with an SSH key: the signature was checked, `token` names the key.
    SignIn { operator: OperatorId, token: Token },
    /// Enrol an SSH key.
    EnrolKey { operator: OperatorId, key: SshKey },
    /// Countersign the enrolment of an SSH key.
    CountersignKey {
        operator: OperatorId,
        fingerprint: String,
    },
    /// Take an SSH key out of use, and end the sessions that it opened.
    RemoveKey {
        operator: OperatorId,
        fingerprint: String,
        reason: String,
    },
    /// Set roles and groups.
    GrantOperator {
        operator: OperatorId,
        roles: BTreeMap<Environment, BTreeSet<Role>>,
        groups: BTreeSet<String>,
    },
    /// Close an account: its open requests are withdrawn, its approvals no longer count.
    OffboardOperator {
        operator: OperatorId,
        reason: String,
        /// The team that answers from now on for what nobody else stands for.
        hand_over_to: Option<String>,
    },

    /// Ask for a credential.
    SubmitRequest {
        id: RequestId,
        plan: Plan,
        /// SHA-256 of the plan's JCS bytes.
        digest: Digest,
        reason: String,
        owner: String,
        tags: Vec<String>,
        /// What policy says about it.
        evaluation: Box<Evaluation>,
        /// The facts that policy was asked about.
        facts: Box<Facts>,
    },
    /// Approve a request. `digest` is of the plan that the approver saw; `checked` is what they signed, if they did.
    Approve {
        request: RequestId,
        approval: ApprovalId,
        digest: Digest,
        reason: String,
        checked: Option<Box<Checked>>,
    },
    /// Deny a request; of one whose quorum was skipped, withdraw what was issued. Where policy asks for signatures,
    /// whoever has a key signs, or says by `unsigned` that they cannot.
    Deny {
        request: RequestId,
        digest: Digest,
        reason: String,
        revocation: RevocationId,
        checked: Option<Box<Checked>>,
        unsigned: bool,
    },
    /// Offer less than was asked for. What was approved of the wider plan no longer counts.
    Narrow {
        request: RequestId,
        plan: Plan,
        /// SHA-256 of the narrower plan's JCS bytes.
        digest: Digest,
        reason: String,
        /// What policy says about the narrower plan.
        evaluation: Box<Evaluation>,
    },
    /// Stop a request until somebody lets it go on.
    Hold { request: RequestId, reason: String },
    /// Let a held request go on.
    Resume { request: RequestId, reason: String },
    /// Ask the requester something, or answer.
    AddNote { request: RequestId, text: String },
    /// Ask policy again, because another one came in force: what was approved under the old one no longer counts.
    Reevaluate {
        request: RequestId,
        evaluation: Box<Evaluation>,
        facts: Box<Facts>,
    },
    /// Skip the quorum: `evaluation` is what policy says of the emergency.
    BreakGlass {
        request: RequestId,
        reason: String,
        evaluation: Box<Evaluation>,
        checked: Option<Box<Checked>>,
    },
    /// Take a request back.
    Withdraw { request: RequestId, reason: String },
    /// Try a failed issuance again.
    Retry { request: RequestId },
    /// Take the secret.
    Claim { request: RequestId },
    /// Begin to put the secret where it belongs.
    StartDelivery { request: RequestId },
    /// It could not be put there.
    RecordDeliveryFailed { request: RequestId, reason: String },
    /// It is there.
    RecordRequestDelivered {
        request: RequestId,
        place: String,
        proven: bool,
        /// What a probe saw of the version before; empty where none tried it.
        check: String,
    },

    /// Propose another policy, as a whole.
    ProposePolicy {
        id: ProposalId,
        files: BTreeMap<String, String>,
        /// SHA-256 of the files' JCS bytes.
        digest: Digest,
        /// The version that it was compared with, and SHA-256 of its files.
        base: u32,
        base_digest: Digest,
        reason: String,
        /// Who must approve, and how that must be proven, as the policy in force says.
        quorum: Quorum,
        step_up: StepUp,
        approval_ttl_s: u64,
    },
    /// Approve a proposed policy. `digest` is of the text that the approver saw; `checked` is what they signed.
    ApprovePolicy {
        proposal: ProposalId,
        approval: ApprovalId,
        digest: Digest,
        reason: String,
        checked: Option<Box<Checked<PolicyStatement>>>,
    },
    /// Deny a proposed policy; signed as a request's denial is.
    DenyPolicy {
        proposal: ProposalId,
        digest: Digest,
        reason: String,
        checked: Option<Box<Checked<PolicyStatement>>>,
        unsigned: bool,
    },
    /// Take a proposed policy back.
    WithdrawPolicy {
        proposal: ProposalId,
        reason: String,
    },

    /// Begin an attempt at issuance.
    StartIssuance {
        request: RequestId,
        attempt: u32,
        locator: BTreeMap<String, String>,
    },
    /// The issuer made it. `credential` is the identifier to use if the name is new.
    RecordMinted {
        request: RequestId,
        attempt: u32,
        credential: CredentialId,
        minted: Box<MintedVersion>,
    },
    /// The attempt failed.
    RecordIssuanceFailed {
        request: RequestId,
        attempt: u32,
        reason: String,
        last: bool,
    },

    /// Bring a credential that something else issued under management.
    Adopt(Box<Credential>),
    /// Refuse all versions, reversibly.
    Quarantine {
        credential: CredentialId,
        reason: String,
    },
    /// Accept again.
    Release {
        credential: CredentialId,
        reason: String,
    },
    /// Withdraw one version, or the whole credential.
    Revoke {
        id: RevocationId,
        credential: CredentialId,
        version: Option<u32>,
        reason: String,
    },
    /// Withdraw the version whose secret has this digest: whoever holds it gives it up.
    RevokeByHolder { id: RevocationId, digest: Digest },
    /// Withdraw what a filter found, all of it or nothing: as planned, with an identifier for each.
    RevokePlanned {
        plan: Box<RevocationPlan>,
        /// SHA-256 of the plan's JCS bytes.
        digest: Digest,
        reason: String,
        ids: Vec<RevocationId>,
    },
    /// Another team answers for it.
    ChangeOwner {
        credential: CredentialId,
        owner: String,
        reason: String,
    },
    /// Have its secrets go elsewhere: to a destination, or into the hands of whoever asks.
    DeliverTo {
        credential: CredentialId,
        destination: Option<Destination>,
        reason: String,
    },
    /// It is still needed.
    Confirm {
        credential: CredentialId,
        reason: String,
    },
    /// The issuer has withdrawn it.
    RecordEnforced {
        revocation: RevocationId,
        proven: bool,
    },
    /// The issuer could not withdraw it.
    RecordEnforcementFailed {
        revocation: RevocationId,
        reason: String,
    },

    /// Bring a gateway into service, with a first token if one was minted.
    RegisterGateway(Box<Gateway>),
    /// Give a gateway another token.
    IssueGatewayToken { gateway: GatewayId, token: Token },
    /// Withdraw a gateway's token.
    RevokeGatewayToken { gateway: GatewayId, token: TokenId },
    /// Take a gateway out of service.
    RemoveGateway { gateway: GatewayId, reason: String },
    /// A gateway has applied everything up to a sequence. At most [`Command::SETTLE_LIMIT`] revocations at once.
    RecordCursor {
        gateway: GatewayId,
        cursor: u64,
        /// When it had been told everything up to a sequence.
        sent: BTreeMap<u64, DateTime<Utc>>,
    },
    /// A gateway was seen to refuse what was revoked.
    RecordProven {
        gateway: GatewayId,
        revocation: RevocationId,
    },

    /// Publish a key that is to sign tokens.
    PublishTokenKey(Box<NewTokenKey>),
    /// Have it sign, instead of the one that does.
    UseTokenKey { kid: String },
    /// Publish it no more.
    WithdrawTokenKey { kid: String },

    /// How often what rotates, as the policy in force says.
    SetRotationRules(Box<RotationRules>),
    /// Rotate a credential now.
    Rotate {
        id: RotationId,
        credential: CredentialId,
        cause: RotationCause,
        reason: String,
    },
    /// Rotate several, whatever depends on others after those: at most [`Command::GROUP_LIMIT`], an identifier each.
    RotateGroup {
        members: Vec<(RotationId, CredentialId)>,
        cause: RotationCause,
        reason: String,
    },
    /// Begin what is due by cadence: at most as many as there are identifiers, and as the batch has room for.
    RotateDue { ids: Vec<RotationId> },
    /// Begin an attempt at making the newer version.
    StartMinting {
        rotation: RotationId,
        attempt: u32,
        locator: BTreeMap<String, String>,
    },
    /// The issuer made it.
    RecordRotationMinted {
        rotation: RotationId,
        attempt: u32,
        minted: Box<MintedVersion>,
    },
    /// The attempt failed; after the last the rotation has failed.
    RecordMintingFailed {
        rotation: RotationId,
        attempt: u32,
        reason: String,
        last: bool,
        revocation: RevocationId,
    },
    /// Begin to try the newer version.
    StartCheck { rotation: RotationId, by: String },
    /// It works.
    RecordChecked { rotation: RotationId, seen: String },
    /// It does not: the older version stays, or comes back.
    RecordCheckFailed {
        rotation: RotationId,
        reason: String,
        revocation: RevocationId,
    },
    /// Take the newer secret.
    ClaimRotated { rotation: RotationId },
    /// The newer secret was written where it belongs.
    RecordDelivered { rotation: RotationId, to: String },
    /// The older secret is back where services read it. Empty where it could not be brought back: the newer version is
    /// discarded at once then.
    RecordPutBack {
        rotation: RotationId,
        to: String,
        revocation: RevocationId,
    },
    /// Put the newer version into use.
    Promote { credential: CredentialId },
    /// Go back to the older version, or give up what has not come so far.
    RollBack {
        credential: CredentialId,
        reason: String,
        revocation: RevocationId,
    },
    /// Nobody uses the older version any more: it was last used then, if ever since the newer one is.
    EndOverlap {
        rotation: RotationId,
        last_used_at: Option<DateTime<Utc>>,
        revocation: RevocationId,
    },
    /// Record the end of a rotation whose credential has moved on under it.
    SettleRotation {
        rotation: RotationId,
        revocation: RevocationId,
    },

    /// Whatever is due by now: expiries, lapses, ends of overlaps. At most [`Command::SWEEP_LIMIT`] at once.
    Sweep { revocations: Vec<RevocationId> },
    /// An hour's use.
    RollUpUsage {
        hour: DateTime<Utc>,
        entries: Vec<UsageEntry>,
    },
    /// Something unexplained was removed at an issuer.
    RecordLeftover { issuer: String, what: String },
}

impl Command {
    /// How many due things one sweep settles, and so how many revocation identifiers it must bring.
    pub const SWEEP_LIMIT: usize = 128;
    /// How many revocations one message of a gateway settles.
    pub const SETTLE_LIMIT: usize = 256;
    /// How many credentials one hour's use may name in one event, so that it fits a leaf of the log.
    pub const USAGE_LIMIT: usize = 300;

    /// How many credentials one plan withdraws at most: each is an event, and they are written together.
    pub const REVOKE_LIMIT: usize = 256;
    /// How many credentials one command rotates at most: each is an event, and they are written together.
    pub const GROUP_LIMIT: usize = 256;

    /// What the command is about: what its answer names when nothing had to be changed.
    pub fn subject(&self) -> Subject {
        match self {
            Self::OnboardClient(client) => Subject::Client(client.id),
            Self::OffboardClient { client, .. } => Subject::Client(*client),
            Self::EnrolOperator(operator) => Subject::Operator(operator.id),
            Self::IssueToken { operator, .. }
            | Self::RevokeToken { operator, .. }
            | Self::SignIn { operator, .. }
            | Self::EnrolKey { operator, .. }
            | Self::CountersignKey { operator, .. }
            | Self::RemoveKey { operator, .. }
            | Self::GrantOperator { operator, .. }
            | Self::OffboardOperator { operator, .. } => Subject::Operator(*operator),
            Self::SubmitRequest { id, .. } => Subject::Request(*id),
            Self::Approve { request, .. }
            | Self::Deny { request, .. }
            | Self::Narrow { request, .. }
            | Self::Hold { request, .. }
            | Self::Resume { request, .. }
            | Self::AddNote { request, .. }
            | Self::Reevaluate { request, .. }
            | Self::BreakGlass { request, .. }
            | Self::Withdraw { request, .. }
            | Self::Retry { request }
            | Self::Claim { request }
            | Self::StartDelivery { request }
            | Self::RecordDeliveryFailed { request, .. }
            | Self::RecordRequestDelivered { request, .. }
            | Self::StartIssuance { request, .. }
            | Self::RecordMinted { request, .. }
            | Self::RecordIssuanceFailed { request, .. } => Subject::Request(*request),
            Self::ProposePolicy { id, .. } => Subject::Proposal(*id),
            Self::ApprovePolicy { proposal, .. }
            | Self::DenyPolicy { proposal, .. }
            | Self::WithdrawPolicy { proposal, .. } => Subject::Proposal(*proposal),
            Self::Adopt(credential) => Subject::Credential(credential.id),
            Self::Quarantine { credential, .. }
            | Self::Release { credential, .. }
            | Self::Revoke { credential, .. }
            | Self::Confirm { credential, .. }
            | Self::ChangeOwner { credential, .. }
            | Self::DeliverTo { credential, .. } => Subject::Credential(*credential),
            Self::RecordEnforced { revocation, .. }
            | Self::RecordEnforcementFailed { revocation, .. } => Subject::Revocation(*revocation),
            Self::RegisterGateway(gateway) => Subject::Gateway(gateway.id),
            Self::IssueGatewayToken { gateway, .. }
            | Self::RevokeGatewayToken { gateway, .. }
            | Self::RemoveGateway { gateway, .. }
            | Self::RecordCursor { gateway, .. } => Subject::Gateway(*gateway),
            Self::RecordProven { revocation, .. } => Subject::Revocation(*revocation),
            Self::Rotate { id, .. } => Subject::Rotation(*id),
            Self::StartMinting { rotation, .. }
            | Self::RecordRotationMinted { rotation, .. }
            | Self::RecordMintingFailed { rotation, .. }
            | Self::StartCheck { rotation, .. }
            | Self::RecordChecked { rotation, .. }
            | Self::RecordCheckFailed { rotation, .. }
            | Self::ClaimRotated { rotation }
            | Self::RecordDelivered { rotation, .. }
            | Self::RecordPutBack { rotation, .. }
            | Self::EndOverlap { rotation, .. }
            | Self::SettleRotation { rotation, .. } => Subject::Rotation(*rotation),
            Self::Promote { credential } | Self::RollBack { credential, .. } => {
                Subject::Credential(*credential)
            }
            Self::RevokeByHolder { .. }
            | Self::RevokePlanned { .. }
            | Self::PublishTokenKey(_)
            | Self::UseTokenKey { .. }
            | Self::WithdrawTokenKey { .. }
            | Self::SetRotationRules(_)
            | Self::RotateGroup { .. }
            | Self::RotateDue { .. }
            | Self::Sweep { .. }
            | Self::RollUpUsage { .. }
            | Self::RecordLeftover { .. } => Subject::Broker,
        }
    }

    /// The name that the log keeps.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::OnboardClient(_) => "onboard_client",
            Self::OffboardClient { .. } => "offboard_client",
            Self::EnrolOperator(_) => "enrol_operator",
            Self::IssueToken { .. } => "issue_token",
            Self::RevokeToken { .. } => "revoke_token",
            Self::SignIn { .. } => "sign_in",
            Self::EnrolKey { .. } => "enrol_key",
            Self::CountersignKey { .. } => "countersign_key",
            Self::RemoveKey { .. } => "remove_key",
            Self::GrantOperator { .. } => "grant_operator",
            Self::OffboardOperator { .. } => "offboard_operator",
            Self::SubmitRequest { .. } => "submit_request",
            Self::Approve { .. } => "approve",
            Self::Deny { .. } => "deny",
            Self::Narrow { .. } => "narrow",
            Self::Hold { .. } => "hold",
            Self::Resume { .. } => "resume",
            Self::AddNote { .. } => "add_note",
            Self::Reevaluate { .. } => "reevaluate",
            Self::BreakGlass { .. } => "break_glass",
            Self::Withdraw { .. } => "withdraw",
            Self::Retry { .. } => "retry",
            Self::Claim { .. } => "claim",
            Self::StartDelivery { .. } => "start_delivery",
            Self::RecordDeliveryFailed { .. } => "record_delivery_failed",
            Self::RecordRequestDelivered { .. } => "record_request_delivered",
            Self::ProposePolicy { .. } => "propose_policy",
            Self::ApprovePolicy { .. } => "approve_policy",
            Self::DenyPolicy { .. } => "deny_policy",
            Self::WithdrawPolicy { .. } => "withdraw_policy",
            Self::StartIssuance { .. } => "start_issuance",
            Self::RecordMinted { .. } => "record_minted",
            Self::RecordIssuanceFailed { .. } => "record_issuance_failed",
            Self::Adopt(_) => "adopt",
            Self::Quarantine { .. } => "quarantine",
            Self::Release { .. } => "release",
            Self::Revoke { .. } => "revoke",
            Self::RevokeByHolder { .. } => "revoke_by_holder",
            Self::RevokePlanned { .. } => "revoke_planned",
            Self::ChangeOwner { .. } => "change_owner",
            Self::DeliverTo { .. } => "deliver_to",
            Self::Confirm { .. } => "confirm",
            Self::RecordEnforced { .. } => "record_enforced",
            Self::RecordEnforcementFailed { .. } => "record_enforcement_failed",
            Self::RegisterGateway(_) => "register_gateway",
            Self::IssueGatewayToken { .. } => "issue_gateway_token",
            Self::RevokeGatewayToken { .. } => "revoke_gateway_token",
            Self::RemoveGateway { .. } => "remove_gateway",
            Self::RecordCursor { .. } => "record_cursor",
            Self::RecordProven { .. } => "record_proven",
            Self::PublishTokenKey(_) => "publish_token_key",
            Self::UseTokenKey { .. } => "use_token_key",
            Self::WithdrawTokenKey { .. } => "withdraw_token_key",
            Self::SetRotationRules(_) => "set_rotation_rules",
            Self::Rotate { .. } => "rotate",
            Self::RotateGroup { .. } => "rotate_group",
            Self::RotateDue { .. } => "rotate_due",
            Self::StartMinting { .. } => "start_minting",
            Self::RecordRotationMinted { .. } => "record_rotation_minted",
            Self::RecordMintingFailed { .. } => "record_minting_failed",
            Self::StartCheck { .. } => "start_check",
            Self::RecordChecked { .. } => "record_checked",
            Self::RecordCheckFailed { .. } => "record_check_failed",
            Self::ClaimRotated { .. } => "claim_rotated",
            Self::RecordDelivered { .. } => "record_delivered",
            Self::RecordPutBack { .. } => "record_put_back",
            Self::Promote { .. } => "promote",
            Self::RollBack { .. } => "roll_back",
            Self::EndOverlap { .. } => "end_overlap",
            Self::SettleRotation { .. } => "settle_rotation",
            Self::Sweep { .. } => "sweep",
            Self::RollUpUsage { .. } => "roll_up_usage",
            Self::RecordLeftover { .. } => "record_leftover",
        }
    }
}
