//! What has happened. An event once written always applies; its words and fields are part of the log's format.

use super::{
    Approval, ApprovalId, BreakGlass, Cause, Client, ClientId, Credential, CredentialId,
    Destination, Digest, Environment, Evaluation, Evidence, Facts, Gateway, GatewayId, NewTokenKey,
    Note, Operator, OperatorId, Plan, Proof, Proposal, ProposalId, Request, RequestId, Revocation,
    RevocationId, Role, Rotation, RotationId, RotationRules, Setback, SshKey, Token, TokenId,
    Version, command::ActorStamp, request::Ending, revocation::Reached,
};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

mod subject;

pub use subject::Subject;

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde calls it with a reference"
)]
pub(super) fn is_zero(value: &u64) -> bool {
    *value == 0
}

/// An event as it stands in the log: one leaf. It is read by `broker::leaf`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Recorded {
    /// Version of this format; 1.
    pub v: u32,
    /// The log's origin.
    pub origin: String,
    /// Index of the leaf, from 0. What the API calls a sequence is the number of leaves up to and with this one.
    pub seq: u64,
    /// When, milliseconds of UTC; never before its predecessor.
    pub ts: DateTime<Utc>,
    /// The identifier of the object that it is about.
    pub subject: String,
    /// Who did it, and how they were signed in.
    pub actor: ActorStamp,
    /// The command that caused it.
    pub request: Cause,
    /// What happened.
    #[serde(flatten)]
    pub event: Event,
    /// SHA-256 of the subject's JCS bytes after the event; none where the subject is not an object of the state.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<Digest>,
}

impl Recorded {
    /// The sequence that the API speaks of: how long the log is with this event.
    pub const fn sequence(&self) -> u64 {
        self.seq + 1
    }
}

/// One credential's use in one hour.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UsageEntry {
    /// Which credential.
    pub credential: CredentialId,
    /// How often it was accepted.
    pub accepted: u64,
    /// How often it was refused.
    pub refused: u64,
    /// When it was last accepted.
    pub last_used_at: Option<DateTime<Utc>>,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
pub enum Event {
    /// A client came.
    #[serde(rename = "client.onboarded")]
    ClientOnboarded { client: Box<Client> },
    /// A client was taken out of service.
    #[serde(rename = "client.offboarded")]
    ClientOffboarded { client: ClientId, reason: String },
    /// Another team answers for a client.
    #[serde(rename = "client.owner_changed")]
    ClientOwnerChanged {
        client: ClientId,
        owner: String,
        reason: String,
    },

    /// An operator got an account.
    #[serde(rename = "operator.enrolled")]
    OperatorEnrolled { operator: Box<Operator> },
    /// A sign-in token was minted.
    #[serde(rename = "operator.token_issued")]
    TokenIssued { operator: OperatorId, token: Token },
    /// A sign-in token was withdrawn.
    #[serde(rename = "operator.token_revoked")]
    TokenRevoked {
        operator: OperatorId,
        token: TokenId,
    },
    /// An SSH key was enrolled; it counts from its `valid_from` on.
    #[serde(rename = "operator.key_enrolled")]
    KeyEnrolled { operator: OperatorId, key: SshKey },
    /// Another admin countersigned an SSH key: it counts from here on.
    #[serde(rename = "operator.key_countersigned")]
    KeyCountersigned {
        operator: OperatorId,
        fingerprint: String,
        by: String,
    },
    /// An SSH key was taken out of use; its sessions ended.
    #[serde(rename = "operator.key_removed")]
    KeyRemoved {
        operator: OperatorId,
        fingerprint: String,
        reason: String,
    },
    /// Roles and groups were set.
    #[serde(rename = "operator.granted")]
    OperatorGranted {
        operator: OperatorId,
        roles: BTreeMap<Environment, BTreeSet<Role>>,
        groups: BTreeSet<String>,
    },
    /// An account was closed.
    #[serde(rename = "operator.offboarded")]
    OperatorOffboarded {
        operator: OperatorId,
        reason: String,
    },

    /// Somebody asked.
    #[serde(rename = "request.submitted")]
    RequestSubmitted { request: Box<Request> },
    /// The requester is known and may ask.
    #[serde(rename = "request.identified")]
    RequestIdentified {
        request: RequestId,
        roles: BTreeSet<Role>,
        groups: BTreeSet<String>,
        /// What policy is asked about; older events have none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        facts: Option<Box<Facts>>,
    },
    /// Policy has spoken.
    #[serde(rename = "request.evaluated")]
    RequestEvaluated {
        request: RequestId,
        evaluation: Box<Evaluation>,
    },
    /// People must decide.
    #[serde(rename = "request.awaiting_approval")]
    RequestAwaitingApproval {
        request: RequestId,
        deadline: DateTime<Utc>,
    },
    /// One person approved.
    #[serde(rename = "approval.given")]
    ApprovalGiven {
        request: RequestId,
        approval: Box<Approval>,
    },
    /// An approval no longer counts: whoever gave it may not decide this request any more.
    #[serde(rename = "approval.voided")]
    ApprovalVoided {
        /// Of which request.
        request: RequestId,
        /// Which approval.
        approval: ApprovalId,
        /// Who had given it, by handle.
        by: String,
        /// What they lost.
        reason: String,
    },
    /// Enough people approved, or policy needed none.
    #[serde(rename = "request.approved")]
    RequestApproved { request: RequestId, by: String },
    /// Policy or a person said no.
    #[serde(rename = "request.denied")]
    RequestDenied { request: RequestId, ending: Ending },
    /// Somebody who may decide it made it ask for less. Approvals of what it was before no longer count.
    #[serde(rename = "request.narrowed")]
    RequestNarrowed {
        request: RequestId,
        by: String,
        reason: String,
        plan: Box<Plan>,
        digest: Digest,
        evaluation: Box<Evaluation>,
    },
    /// It waits until somebody lets it go on.
    #[serde(rename = "request.held")]
    RequestHeld {
        request: RequestId,
        by: String,
        reason: String,
        deadline: DateTime<Utc>,
    },
    /// It goes on.
    #[serde(rename = "request.resumed")]
    RequestResumed {
        request: RequestId,
        by: String,
        reason: String,
    },
    /// A question, or its answer.
    #[serde(rename = "request.note_added")]
    NoteAdded { request: RequestId, note: Note },
    /// The quorum was skipped in an emergency.
    #[serde(rename = "request.glass_broken")]
    GlassBroken {
        request: RequestId,
        glass: Box<BreakGlass>,
        evaluation: Box<Evaluation>,
    },
    /// Enough others have looked at what was issued without them.
    #[serde(rename = "review.closed")]
    ReviewClosed { request: RequestId },
    /// Nobody looked in time, or somebody said no: what was issued is withdrawn.
    #[serde(rename = "review.failed")]
    ReviewFailed {
        request: RequestId,
        by: String,
        reason: String,
        /// What shows that the no was theirs; none if nobody looked.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        proof: Option<Proof>,
    },
    /// Nobody decided in time.
    #[serde(rename = "request.expired")]
    RequestExpired { request: RequestId },
    /// The requester took it back.
    #[serde(rename = "request.withdrawn")]
    RequestWithdrawn { request: RequestId, ending: Ending },

    /// Issuance was begun: logged before the issuer makes the secret.
    #[serde(rename = "issuance.started")]
    IssuanceStarted {
        request: RequestId,
        attempt: u32,
        locator: BTreeMap<String, String>,
    },
    /// An attempt failed; it is tried again unless this was the last.
    #[serde(rename = "issuance.failed")]
    IssuanceFailed {
        request: RequestId,
        attempt: u32,
        reason: String,
        last: bool,
    },
    /// A person wants a failed issuance tried again.
    #[serde(rename = "request.retried")]
    RequestRetried { request: RequestId },
    /// A version was made. Carries the credential when this is its first.
    #[serde(rename = "version.minted")]
    VersionMinted {
        request: RequestId,
        credential: CredentialId,
        version: Box<Version>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        first: Option<Box<Credential>>,
        claim_until: DateTime<Utc>,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        warnings: Vec<String>,
    },
    /// The secret was taken, once; its version is in use from here on.
    #[serde(rename = "request.claimed")]
    RequestClaimed { request: RequestId, by: OperatorId },
    /// A secret is about to be put where it belongs: logged before it leaves.
    #[serde(rename = "delivery.started")]
    DeliveryStarted {
        request: RequestId,
        credential: CredentialId,
        version: u32,
        to: Destination,
    },
    /// It could not be put there; it is tried again while there is time.
    #[serde(rename = "delivery.failed")]
    DeliveryFailed {
        request: RequestId,
        credential: CredentialId,
        version: u32,
        reason: String,
    },
    /// The secret is where it belongs; its version is in use from here on.
    #[serde(rename = "request.delivered")]
    RequestDelivered {
        request: RequestId,
        credential: CredentialId,
        version: u32,
        /// Where, in the destination's own words.
        place: String,
        /// It was read back there.
        proven: bool,
        /// What a probe saw of the version before it was put there; empty where none tried it.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        check: String,
    },
    /// Nobody came for the secret, or it could not be delivered.
    #[serde(rename = "request.lapsed")]
    RequestLapsed { request: RequestId },

    /// Another policy was proposed, with its whole text.
    #[serde(rename = "policy.proposed")]
    PolicyProposed { proposal: Box<Proposal> },
    /// One person approved a proposed policy.
    #[serde(rename = "policy.approval_given")]
    PolicyApprovalGiven {
        proposal: ProposalId,
        approval: Box<Approval>,
    },
    /// An approval of a proposed policy no longer counts: whoever gave it may not decide it any more.
    #[serde(rename = "policy.approval_voided")]
    PolicyApprovalVoided {
        /// Of which proposal.
        proposal: ProposalId,
        /// Which approval.
        approval: ApprovalId,
        /// Who had given it, by handle.
        by: String,
        /// What they lost.
        reason: String,
    },
    /// Enough people approved: it decides from here on.
    #[serde(rename = "policy.in_force")]
    PolicyInForce { proposal: ProposalId, version: u32 },
    /// A person said no to a proposed policy.
    #[serde(rename = "policy.denied")]
    PolicyDenied {
        proposal: ProposalId,
        ending: Ending,
    },
    /// A proposed policy was taken back.
    #[serde(rename = "policy.withdrawn")]
    PolicyWithdrawn {
        proposal: ProposalId,
        ending: Ending,
    },
    /// Nobody decided a proposed policy in time.
    #[serde(rename = "policy.expired")]
    PolicyExpired { proposal: ProposalId },

    /// A credential that something else issued came under management.
    #[serde(rename = "credential.adopted")]
    CredentialAdopted { credential: Box<Credential> },
    /// A version went into use.
    #[serde(rename = "version.promoted")]
    VersionPromoted {
        credential: CredentialId,
        version: u32,
    },
    /// An older version is accepted only until its end.
    #[serde(rename = "version.retiring")]
    VersionRetiring {
        credential: CredentialId,
        version: u32,
        until: DateTime<Utc>,
    },
    /// An overlap ended.
    #[serde(rename = "version.retired")]
    VersionRetired {
        credential: CredentialId,
        version: u32,
    },
    /// A lifetime ended.
    #[serde(rename = "version.expired")]
    VersionExpired {
        credential: CredentialId,
        version: u32,
    },
    /// A version that was made never went into use, or no longer is.
    #[serde(rename = "version.discarded")]
    VersionDiscarded {
        credential: CredentialId,
        version: u32,
    },

    /// How often what rotates, as the policy in force says.
    #[serde(rename = "rotation.rules_set")]
    RotationRulesSet { rules: Box<RotationRules> },
    /// A credential's turn has come.
    #[serde(rename = "rotation.started")]
    RotationStarted { rotation: Box<Rotation> },
    /// Making the newer version was begun: logged before the issuer makes it.
    #[serde(rename = "rotation.minting")]
    RotationMinting {
        rotation: RotationId,
        attempt: u32,
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        locator: BTreeMap<String, String>,
        deadline: DateTime<Utc>,
    },
    /// An attempt failed; it is tried again.
    #[serde(rename = "rotation.attempt_failed")]
    RotationAttemptFailed {
        rotation: RotationId,
        attempt: u32,
        reason: String,
    },
    /// The newer version was made.
    #[serde(rename = "rotation.minted")]
    RotationMinted {
        rotation: RotationId,
        credential: CredentialId,
        version: Box<Version>,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        warnings: Vec<String>,
    },
    /// It is being tried.
    #[serde(rename = "rotation.checking")]
    RotationChecking { rotation: RotationId, by: String },
    /// It works.
    #[serde(rename = "rotation.checked")]
    RotationChecked { rotation: RotationId, seen: String },
    /// The newer secret was taken, once, or delivered.
    #[serde(rename = "rotation.handed_over")]
    RotationHandedOver { rotation: RotationId, to: String },
    /// The newer version is in use; until when the older one is accepted too, if it still is.
    #[serde(rename = "rotation.promoted")]
    RotationPromoted {
        rotation: RotationId,
        by: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        until: Option<DateTime<Utc>>,
        #[serde(default, skip_serializing_if = "is_zero")]
        gap_s: u64,
    },
    /// The older version lives longer, once, because the newer one is not in use yet.
    #[serde(rename = "rotation.extended")]
    RotationExtended {
        rotation: RotationId,
        credential: CredentialId,
        version: u32,
        until: DateTime<Utc>,
        /// Whom to tell: the owner team.
        owner: String,
    },
    /// The older secret is put back where services read it.
    #[serde(rename = "rotation.going_back")]
    RotationGoingBack {
        rotation: RotationId,
        by: String,
        setback: Setback,
        reason: String,
    },
    /// The older secret is back at its place, and the older version in use again; the newer one is accepted until
    /// `until` at most.
    #[serde(rename = "rotation.put_back")]
    RotationPutBack {
        rotation: RotationId,
        to: String,
        until: DateTime<Utc>,
    },
    /// The older version is in use as before.
    #[serde(rename = "rotation.rolled_back")]
    RotationRolledBack {
        rotation: RotationId,
        by: String,
        setback: Setback,
        reason: String,
        retry_at: DateTime<Utc>,
    },
    /// It came to nothing.
    #[serde(rename = "rotation.failed")]
    RotationFailed {
        rotation: RotationId,
        by: String,
        setback: Setback,
        reason: String,
        retry_at: DateTime<Utc>,
    },
    /// The older version is gone; `reason` says what ended the overlap.
    #[serde(rename = "rotation.completed")]
    RotationCompleted {
        rotation: RotationId,
        reason: String,
    },

    /// Another team answers for it.
    #[serde(rename = "credential.owner_changed")]
    OwnerChanged {
        credential: CredentialId,
        owner: String,
        reason: String,
    },
    /// Its secrets go elsewhere from now on: to a destination, or into the hands of whoever asks.
    #[serde(rename = "credential.destination_changed")]
    DestinationChanged {
        credential: CredentialId,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        destination: Option<Destination>,
        reason: String,
    },
    /// Whoever answers for it says that it is still needed.
    #[serde(rename = "credential.confirmed")]
    CredentialConfirmed {
        credential: CredentialId,
        by: String,
        reason: String,
    },
    /// All versions are refused, reversibly.
    #[serde(rename = "credential.quarantined")]
    CredentialQuarantined {
        credential: CredentialId,
        reason: String,
    },
    /// Accepted again.
    #[serde(rename = "credential.released")]
    CredentialReleased {
        credential: CredentialId,
        reason: String,
    },
    /// Refused from here on.
    #[serde(rename = "revocation.effective")]
    RevocationEffective { revocation: Box<Revocation> },
    /// What a filter found was withdrawn together, after each of these had taken effect.
    #[serde(rename = "revocation.planned")]
    RevocationPlanned {
        /// What was asked for.
        filter: String,
        /// The sequence of the state that the plan was made from.
        head: u64,
        /// SHA-256 of the plan's JCS bytes.
        digest: Digest,
        revocations: Vec<RevocationId>,
        by: String,
        reason: String,
    },
    /// The issuer has withdrawn it too.
    #[serde(rename = "revocation.enforced")]
    RevocationEnforced {
        revocation: RevocationId,
        proven: bool,
    },
    /// The issuer could not withdraw it; it is tried again.
    #[serde(rename = "revocation.failed")]
    RevocationFailed {
        revocation: RevocationId,
        attempt: u32,
        reason: String,
    },
    /// Gateways refuse it from here on.
    #[serde(rename = "revocation.applied")]
    RevocationApplied {
        revocation: RevocationId,
        gateways: Vec<Reached>,
        by: Evidence,
    },
    /// A gateway was seen to refuse it.
    #[serde(rename = "revocation.proven")]
    RevocationProven {
        revocation: RevocationId,
        gateway: GatewayId,
    },

    /// A gateway came into service.
    #[serde(rename = "gateway.registered")]
    GatewayRegistered { gateway: Box<Gateway> },
    /// A gateway got another token.
    #[serde(rename = "gateway.token_issued")]
    GatewayTokenIssued { gateway: GatewayId, token: Token },
    /// A gateway's token was withdrawn.
    #[serde(rename = "gateway.token_revoked")]
    GatewayTokenRevoked { gateway: GatewayId, token: TokenId },
    /// A gateway was taken out of service: nothing waits for it any more.
    #[serde(rename = "gateway.removed")]
    GatewayRemoved { gateway: GatewayId, reason: String },

    /// A key that signs tokens is published.
    #[serde(rename = "token_key.published")]
    TokenKeyPublished { key: Box<NewTokenKey> },
    /// It signs from here on, instead of the one before.
    #[serde(rename = "token_key.in_use")]
    TokenKeyInUse {
        kid: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        instead_of: Option<String>,
    },
    /// Nothing that it signed is left: it is published no more.
    #[serde(rename = "token_key.withdrawn")]
    TokenKeyWithdrawn { kid: String },

    /// An hour's use, rolled up.
    #[serde(rename = "usage.rolled_up")]
    UsageRolledUp {
        hour: DateTime<Utc>,
        entries: Vec<UsageEntry>,
    },
    /// Something was found at an issuer that nothing here explains, and was removed.
    #[serde(rename = "reconciliation.removed")]
    LeftoverRemoved { issuer: String, what: String },
}

impl Event {
    /// The stable names of all types, in the order of the variants.
    pub const KINDS: &'static [&'static str] = &[
        "client.onboarded",
        "client.offboarded",
        "client.owner_changed",
        "operator.enrolled",
        "operator.token_issued",
        "operator.token_revoked",
        "operator.key_enrolled",
        "operator.key_countersigned",
        "operator.key_removed",
        "operator.granted",
        "operator.offboarded",
        "request.submitted",
        "request.identified",
        "request.evaluated",
        "request.awaiting_approval",
        "approval.given",
        "approval.voided",
        "request.approved",
        "request.denied",
        "request.narrowed",
        "request.held",
        "request.resumed",
        "request.note_added",
        "request.glass_broken",
        "review.closed",
        "review.failed",
        "request.expired",
        "request.withdrawn",
        "issuance.started",
        "issuance.failed",
        "request.retried",
        "version.minted",
        "request.claimed",
        "delivery.started",
        "delivery.failed",
        "request.delivered",
        "request.lapsed",
        "policy.proposed",
        "policy.approval_given",
        "policy.approval_voided",
        "policy.in_force",
        "policy.denied",
        "policy.withdrawn",
        "policy.expired",
        "credential.adopted",
        "version.promoted",
        "version.retiring",
        "version.retired",
        "version.expired",
        "version.discarded",
        "rotation.rules_set",
        "rotation.started",
        "rotation.minting",
        "rotation.attempt_failed",
        "rotation.minted",
        "rotation.checking",
        "rotation.checked",
        "rotation.handed_over",
        "rotation.promoted",
        "rotation.extended",
        "rotation.going_back",
        "rotation.put_back",
        "rotation.rolled_back",
        "rotation.failed",
        "rotation.completed",
        "credential.owner_changed",
        "credential.destination_changed",
        "credential.confirmed",
        "credential.quarantined",
        "credential.released",
        "revocation.effective",
        "revocation.planned",
        "revocation.enforced",
        "revocation.failed",
        "revocation.applied",
        "revocation.proven",
        "gateway.registered",
        "gateway.token_issued",
        "gateway.token_revoked",
        "gateway.removed",
        "token_key.published",
        "token_key.in_use",
        "token_key.withdrawn",
        "usage.rolled_up",
        "reconciliation.removed",
    ];

    /// The stable name of the event's type, as in the log.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::ClientOnboarded { .. } => "client.onboarded",
            Self::ClientOffboarded { .. } => "client.offboarded",
            Self::ClientOwnerChanged { .. } => "client.owner_changed",
            Self::OperatorEnrolled { .. } => "operator.enrolled",
            Self::TokenIssued { .. } => "operator.token_issued",
            Self::TokenRevoked { .. } => "operator.token_revoked",
            Self::KeyEnrolled { .. } => "operator.key_enrolled",
            Self::KeyCountersigned { .. } => "operator.key_countersigned",
            Self::KeyRemoved { .. } => "operator.key_removed",
            Self::OperatorGranted { .. } => "operator.granted",
            Self::OperatorOffboarded { .. } => "operator.offboarded",
            Self::RequestSubmitted { .. } => "request.submitted",
            Self::RequestIdentified { .. } => "request.identified",
            Self::RequestEvaluated { .. } => "request.evaluated",
            Self::RequestAwaitingApproval { .. } => "request.awaiting_approval",
            Self::ApprovalGiven { .. } => "approval.given",
            Self::ApprovalVoided { .. } => "approval.voided",
            Self::RequestApproved { .. } => "request.approved",
            Self::RequestDenied { .. } => "request.denied",
            Self::RequestNarrowed { .. } => "request.narrowed",
            Self::RequestHeld { .. } => "request.held",
            Self::RequestResumed { .. } => "request.resumed",
            Self::NoteAdded { .. } => "request.note_added",
            Self::GlassBroken { .. } => "request.glass_broken",
            Self::ReviewClosed { .. } => "review.closed",
            Self::ReviewFailed { .. } => "review.failed",
            Self::RequestExpired { .. } => "request.expired",
            Self::RequestWithdrawn { .. } => "request.withdrawn",
            Self::IssuanceStarted { .. } => "issuance.started",
            Self::IssuanceFailed { .. } => "issuance.failed",
            Self::RequestRetried { .. } => "request.retried",
            Self::VersionMinted { .. } => "version.minted",
            Self::RequestClaimed { .. } => "request.claimed",
            Self::DeliveryStarted { .. } => "delivery.started",
            Self::DeliveryFailed { .. } => "delivery.failed",
            Self::RequestDelivered { .. } => "request.delivered",
            Self::RequestLapsed { .. } => "request.lapsed",
            Self::PolicyProposed { .. } => "policy.proposed",
            Self::PolicyApprovalGiven { .. } => "policy.approval_given",
            Self::PolicyApprovalVoided { .. } => "policy.approval_voided",
            Self::PolicyInForce { .. } => "policy.in_force",
            Self::PolicyDenied { .. } => "policy.denied",
            Self::PolicyWithdrawn { .. } => "policy.withdrawn",
            Self::PolicyExpired { .. } => "policy.expired",
            Self::CredentialAdopted { .. } => "credential.adopted",
            Self::VersionPromoted { .. } => "version.promoted",
            Self::VersionRetiring { .. } => "version.retiring",
            Self::VersionRetired { .. } => "version.retired",
            Self::VersionExpired { .. } => "version.expired",
            Self::VersionDiscarded { .. } => "version.discarded",
            Self::RotationRulesSet { .. } => "rotation.rules_set",
            Self::RotationStarted { .. } => "rotation.started",
            Self::RotationMinting { .. } => "rotation.minting",
            Self::RotationAttemptFailed { .. } => "rotation.attempt_failed",
            Self::RotationMinted { .. } => "rotation.minted",
            Self::RotationChecking { .. } => "rotation.checking",
            Self::RotationChecked { .. } => "rotation.checked",
            Self::RotationHandedOver { .. } => "rotation.handed_over",
            Self::RotationPromoted { .. } => "rotation.promoted",
            Self::RotationExtended { .. } => "rotation.extended",
            Self::RotationGoingBack { .. } => "rotation.going_back",
            Self::RotationPutBack { .. } => "rotation.put_back",
            Self::RotationRolledBack { .. } => "rotation.rolled_back",
            Self::RotationFailed { .. } => "rotation.failed",
            Self::RotationCompleted { .. } => "rotation.completed",
            Self::OwnerChanged { .. } => "credential.owner_changed",
            Self::DestinationChanged { .. } => "credential.destination_changed",
            Self::CredentialConfirmed { .. } => "credential.confirmed",
            Self::CredentialQuarantined { .. } => "credential.quarantined",
            Self::CredentialReleased { .. } => "credential.released",
            Self::RevocationEffective { .. } => "revocation.effective",
            Self::RevocationPlanned { .. } => "revocation.planned",
            Self::RevocationEnforced { .. } => "revocation.enforced",
            Self::RevocationFailed { .. } => "revocation.failed",
            Self::RevocationApplied { .. } => "revocation.applied",
            Self::RevocationProven { .. } => "revocation.proven",
            Self::GatewayRegistered { .. } => "gateway.registered",
            Self::GatewayTokenIssued { .. } => "gateway.token_issued",
            Self::GatewayTokenRevoked { .. } => "gateway.token_revoked",
            Self::GatewayRemoved { .. } => "gateway.removed",
            Self::TokenKeyPublished { .. } => "token_key.published",
            Self::TokenKeyInUse { .. } => "token_key.in_use",
            Self::TokenKeyWithdrawn { .. } => "token_key.withdrawn",
            Self::UsageRolledUp { .. } => "usage.rolled_up",
            Self::LeftoverRemoved { .. } => "reconciliation.removed",
        }
    }
}
