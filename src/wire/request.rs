//! Issuance requests: asking, deciding and claiming.

use super::{
    ApprovalId, ClientId, CredentialId, DeliveryView, Destination, Digest, Environment,
    EventRecord, Kind, Note, OperatorId, Outcome, Plan, Quorum, RequestId, RequestState, Risk,
    RuleResult, ScopeHolder, SignedStatement, StepUp, Tier,
};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Asking for a credential.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewRequest {
    /// The credential's stable name: `a-z 0-9 . _ / -`.
    #[schema(example = "payments/checkout-db", max_length = 128)]
    pub credential: String,
    /// Where it is used.
    pub environment: Environment,
    /// `api_key`, `database_role`, `jwt` or `vault_lease`.
    pub kind: Kind,
    /// The configured issuer; the only one of the kind if left out.
    #[serde(default)]
    pub issuer: Option<String>,
    /// For `vault_lease`: the path that is read, such as `database/creds/payments-ro`; for `database_role`: a role of its
    /// issuer's configuration.
    #[serde(default)]
    pub role: String,
    /// For whom.
    #[schema(value_type = String)]
    pub client: ClientId,
    /// Whom it may be shown to.
    #[schema(example = "https://payments.example", max_length = 128)]
    pub audience: String,
    /// What it allows.
    #[serde(default)]
    pub scopes: Vec<String>,
    /// For how long, in seconds.
    #[schema(minimum = 60, maximum = 63_072_000)]
    pub ttl_s: u64,
    /// Why.
    #[serde(default)]
    #[schema(max_length = 2000)]
    pub reason: String,
    /// The team that will answer for it; the client's owner if left out.
    #[serde(default)]
    pub owner: Option<String>,
    /// Regulatory tags.
    #[serde(default)]
    pub tags: Vec<String>,
    /// Where the secret is put; the credential's own destination if left out, and without one the requester claims it.
    #[serde(default)]
    pub destination: Option<Destination>,
    /// Say what would happen, change nothing.
    #[serde(default)]
    pub dry_run: bool,
}

/// What a command came to. A repetition with the same idempotency key gets the same one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Receipt {
    /// What the command was about, by identifier.
    pub subject: String,
    /// The sequence of its last event: wait for it on the stream to see your own write.
    pub sequence: u64,
    /// The state that the subject was in then.
    pub state: String,
    /// Nothing was changed: this is what would happen.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dry_run: bool,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde calls it with a reference"
)]
fn is_zero(value: &u32) -> bool {
    *value == 0
}

/// What the queue shows of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct RequestRow {
    /// Which request.
    #[schema(value_type = String, example = "req_01jd9x2m3v5qk7w8y6z4t0r1bc")]
    pub id: RequestId,
    /// What a decision is bound to.
    #[schema(value_type = String)]
    pub digest: Digest,
    /// Who asked.
    pub requester: String,
    /// The credential's name.
    pub credential: String,
    /// Where it is used.
    pub environment: Environment,
    /// What is made.
    pub kind: Kind,
    /// What the issuer is asked for, or the scopes, in one line.
    pub wants: String,
    /// For whom, by name.
    pub client: String,
    /// For how long, in seconds: what was asked, within what policy grants.
    pub ttl_s: u64,
    /// Where it is.
    pub state: RequestState,
    /// 0 to 100.
    pub risk: u8,
    /// The tier of the risk.
    pub tier: Tier,
    /// Approvals so far that count.
    pub approvals: u32,
    /// Approvals that no longer count, because whoever gave them may no longer decide.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub void: u32,
    /// Approvals needed; 0 when policy needs none.
    pub needed: u32,
    /// When it was received.
    pub submitted_at: DateTime<Utc>,
    /// The first of the requests of the same person in one run with this one: each came within an hour of the one before.
    #[schema(value_type = String)]
    pub run: RequestId,
    /// That run is a burst, as policy counts it: a queue shows what waits of it as one item.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub burst: bool,
    /// Until when it can be decided, claimed or delivered.
    pub deadline: Option<DateTime<Utc>>,
    /// Until when others must have looked at what was issued without them; absent when nobody must.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub review_by: Option<DateTime<Utc>>,
    /// Sequence of the last change, and the resource's `ETag`.
    pub sequence: u64,
}

/// Whether the caller may do something, and the rule that says so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Verdict {
    /// Whether.
    pub allowed: bool,
    /// The rule, as a stable word; empty when allowed.
    pub rule: String,
    /// What it says, and who could do it instead.
    pub detail: String,
}

/// One person's approval.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ApprovalView {
    /// Which approval.
    #[schema(value_type = String)]
    pub id: ApprovalId,
    /// Who.
    pub by: String,
    /// When.
    pub at: DateTime<Utc>,
    /// Why.
    pub reason: String,
    /// How it is shown that it was them: `token` or `ssh_signature`.
    pub proof: String,
    /// `SHA256:…` of the key, where it was signed.
    pub key: Option<String>,
    /// The key is in an authenticator, and was touched.
    pub hardware: bool,
    /// Why it no longer counts, if it does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub void: Option<String>,
}

/// What shows that a denial was a person's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct DenialProof {
    /// `token`, which is to say not signed, or `ssh_signature`.
    pub proof: String,
    /// `SHA256:…` of the key, where it was signed.
    pub key: Option<String>,
    /// The key is in an authenticator, and was touched.
    pub hardware: bool,
}

impl DenialProof {
    /// For people: by which key it was signed, or that it was not.
    pub fn words(&self) -> String {
        match &self.key {
            Some(key) => format!("signed by {key}"),
            None => "denied, not signed: only a session shows who it was".to_owned(),
        }
    }
}

/// A quorum that was skipped in an emergency.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct BreakGlassView {
    /// Who skipped it.
    pub by: String,
    /// When.
    pub at: DateTime<Utc>,
    /// Why.
    pub reason: String,
    /// Until when others must have looked; then what was issued is withdrawn.
    pub review_by: DateTime<Utc>,
    /// When they had.
    pub reviewed_at: Option<DateTime<Utc>>,
}

/// One scope of the plan against what the client holds already.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ScopeChange {
    /// The scope, or the issuer's role.
    pub scope: String,
    /// The client holds it by a living credential already.
    pub held: bool,
    /// It has a wildcard.
    pub wildcard: bool,
    /// How many living credentials in the environment have a scope that it covers.
    pub covers: u64,
}

/// What the requester asked for before.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
pub struct RequesterHistory {
    /// Over how many days.
    pub days: u32,
    /// Requests in that time, this one not counted.
    pub asked: u64,
    /// Of these, issued.
    pub issued: u64,
    /// Of these, denied.
    pub denied: u64,
    /// Of these, expired or lapsed.
    pub lapsed: u64,
    /// In the hour before this one.
    pub last_hour: u64,
    /// Whether the same role or scopes were asked for before.
    pub same_before: u64,
}

/// Everything that an approver needs on one screen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct RequestDetail {
    /// What the queue shows.
    pub row: RequestRow,
    /// The requester.
    #[schema(value_type = String)]
    pub requester_id: OperatorId,
    /// Whether the requester is a robot.
    pub requester_robot: bool,
    /// Groups of the requester.
    pub requester_groups: Vec<String>,
    /// Exactly what is done if approved; the digest is over its JCS (RFC 8785) bytes.
    pub plan: Plan,
    /// What a decision is bound to.
    #[schema(value_type = String)]
    pub digest: Digest,
    /// The requester's words, unchecked.
    pub reason: String,
    /// The team that will answer for it.
    pub owner: String,
    /// Regulatory tags.
    pub tags: Vec<String>,
    /// What policy decided.
    pub outcome: Option<Outcome>,
    /// Who must approve.
    pub quorum: Option<Quorum>,
    /// The longest life that policy grants, in seconds.
    pub max_ttl_s: u64,
    /// The score and its terms.
    pub risk: Option<Risk>,
    /// What each rule said, failures first.
    pub rules: Vec<RuleResult>,
    /// Version and digest of the policy that spoke.
    pub policy: String,
    /// Counts what a decision rests on: from 1, and one more with every narrowing.
    pub revision: u32,
    /// How a decision must be proven.
    pub step_up: StepUp,
    /// Questions and answers, oldest first.
    pub notes: Vec<Note>,
    /// The quorum was skipped.
    pub break_glass: Option<BreakGlassView>,
    /// Approvals so far.
    pub approvals: Vec<ApprovalView>,
    /// Who ended it, for a denial or withdrawal.
    pub ended_by: Option<String>,
    /// And why.
    pub end_reason: Option<String>,
    /// What shows that a person's denial was theirs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end_proof: Option<DenialProof>,
    /// Why issuing failed last, if it did.
    pub failure: Option<String>,
    /// Whether it can be tried again, of a request that failed; if not, why, and the way forward.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub may_retry: Option<Verdict>,
    /// How often issuing was begun.
    pub attempts: u32,
    /// How its secret gets to its destination, once it is made and has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivery: Option<DeliveryView>,
    /// The credential that was made.
    #[schema(value_type = Option<String>)]
    pub credential_id: Option<CredentialId>,
    /// Whether the caller may decide it.
    pub may_decide: Verdict,
    /// People who could decide it, by handle; at most 16.
    pub deciders: Vec<String>,
    /// Each scope against what the client holds.
    pub changes: Vec<ScopeChange>,
    /// Others who hold the same, at most 8.
    pub holders: Vec<ScopeHolder>,
    /// How many others hold the same.
    pub holders_total: u64,
    /// The requester's past.
    pub history: RequesterHistory,
    /// Its latest events, newest first.
    pub trail: Vec<EventRecord>,
}

/// Approving. `digest` is of the plan that the approver saw; send `If-Match` with the sequence that they saw.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Approve {
    /// What was seen.
    #[schema(value_type = String)]
    pub digest: Digest,
    /// Why; may be empty.
    #[serde(default)]
    #[schema(max_length = 2000)]
    pub reason: String,
    /// The signed statement, where the request's `step_up` asks for one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signed: Option<SignedStatement>,
}

/// Making a request ask for less. Send `dry_run` first: it tells the risk and the quorum of what would be left.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Narrow {
    /// What was seen.
    #[schema(value_type = String)]
    pub digest: Digest,
    /// The scopes that are left; those of the request if left out.
    #[serde(default)]
    pub scopes: Option<Vec<String>>,
    /// The life that is left, in seconds; the request's if left out.
    #[serde(default)]
    #[schema(minimum = 60, maximum = 63_072_000)]
    pub ttl_s: Option<u64>,
    /// Why.
    #[schema(max_length = 2000)]
    pub reason: String,
    /// Say what would happen, change nothing.
    #[serde(default)]
    pub dry_run: bool,
}

/// What a narrower request would come to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Narrowed {
    /// What would be asked for.
    pub plan: Plan,
    /// Its digest.
    #[schema(value_type = String)]
    pub digest: Digest,
    /// What policy decides.
    pub outcome: Outcome,
    /// Who must approve.
    pub quorum: Option<Quorum>,
    /// How.
    pub step_up: StepUp,
    /// The score and its terms.
    pub risk: Risk,
}

/// A question to the requester, or the answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewNote {
    /// In your words.
    #[schema(max_length = 2000)]
    pub text: String,
}

/// Skipping the quorum of your own request in an emergency.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BreakGlass {
    /// Why.
    #[schema(max_length = 2000)]
    pub reason: String,
    /// The signed statement; always needed.
    pub signed: SignedStatement,
}

/// Denying.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Deny {
    /// What was seen.
    #[schema(value_type = String)]
    pub digest: Digest,
    /// Why.
    #[schema(max_length = 2000)]
    pub reason: String,
    /// The signed statement, where `step_up` asks for one and a key of yours is at hand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signed: Option<SignedStatement>,
    /// A signature is asked for, and you cannot give one: it is denied all the same, and the record says that it was not
    /// signed. Whoever has no key that counts need not say so.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unsigned: bool,
}

/// The secret, once.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Claimed {
    /// The request.
    #[schema(value_type = String)]
    pub request: RequestId,
    /// The credential.
    #[schema(value_type = String)]
    pub credential: CredentialId,
    /// Its version.
    pub version: u32,
    /// `token` for an `api_key` or a `jwt`; `username` and `password` for a database login. Empty on a repetition: the
    /// secret was delivered already.
    pub secret: BTreeMap<String, String>,
    /// Set on a repetition of a claim by the same idempotency key.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub secret_already_delivered: bool,
    /// When it ends.
    pub expires_at: Option<DateTime<Utc>>,
    /// The sequence of the claim.
    pub sequence: u64,
}

impl std::fmt::Debug for Claimed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Claimed")
            .field("request", &self.request)
            .field("credential", &self.credential)
            .field("version", &self.version)
            .field("secret", &"[REDACTED]")
            .finish_non_exhaustive()
    }
}
