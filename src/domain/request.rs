//! Issuance requests: who wants what, for whom, and why; and what became of it.

use super::{
    Approval, ClientId, CredentialId, Destination, Digest, Environment, Kind, OperatorId, Proof,
    Quorum, RequestId, Tier, words::words,
};
use crate::domain::{
    check::{LIST_MAX, NAME_MAX, TTL_MAX_S, clip},
    event::is_zero,
};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, sync::Arc};

words! {
    /// Where a request is.
    RequestState, "request state" {
        /// Received.
        Submitted => "submitted",
        /// Its requester is known.
        Identified => "identified",
        /// Policy has spoken.
        Evaluated => "evaluated",
        /// Waiting for people.
        AwaitingApproval => "awaiting_approval",
        /// Stopped by a finding or by policy until somebody looks.
        Held => "held",
        /// May be issued.
        Approved => "approved",
        /// Being made.
        Issuing => "issuing",
        /// Made, and waiting for its claim or its delivery.
        Issued => "issued",
        /// The secret was taken.
        Claimed => "claimed",
        /// The secret was written where it belongs.
        Delivered => "delivered",
        /// Nobody came for the secret, or it could not be delivered; the version is revoked.
        Lapsed => "lapsed",
        /// Policy or a person said no.
        Denied => "denied",
        /// Nobody decided in time.
        Expired => "expired",
        /// Taken back by the requester.
        Withdrawn => "withdrawn",
        /// Could not be made; a person can retry.
        Failed => "failed",
    }
}

impl RequestState {
    /// Whether nothing further can happen to it by itself or by approval.
    pub const fn ended(self) -> bool {
        matches!(
            self,
            Self::Claimed
                | Self::Delivered
                | Self::Lapsed
                | Self::Denied
                | Self::Expired
                | Self::Withdrawn
        )
    }
}

/// Everything that is done if the request is approved, and nothing else: what an approval's digest covers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// The credential's stable name.
    #[schema(example = "payments/checkout-db")]
    pub credential: String,
    /// Where it is used.
    pub environment: Environment,
    /// What is made.
    pub kind: Kind,
    /// Which issuer makes it, by configured name.
    pub issuer: String,
    /// What the issuer is asked for: a vault path for `vault_lease`, a configured role for `database_role`,
    /// empty for `api_key` and `jwt`.
    pub role: String,
    /// For whom.
    #[schema(value_type = String)]
    pub client: ClientId,
    /// Whom it may be shown to.
    pub audience: String,
    /// What it allows.
    pub scopes: Vec<String>,
    /// For how long, in seconds.
    pub ttl_s: u64,
    /// Where the secret is put; into the requester's hands if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub destination: Option<Destination>,
}

/// One term of a risk score.
#[derive(
    Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(deny_unknown_fields)]
pub struct RiskFactor {
    /// A stable word, such as `production`.
    pub id: String,
    /// What it adds to the score; may be negative.
    pub points: i32,
    /// Why.
    pub reason: String,
}

/// How much harm could come of it: a sum whose terms are shown.
#[derive(
    Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(deny_unknown_fields)]
pub struct Risk {
    /// 0 to 100: the sum of the factors, cut to that range.
    pub score: u8,
    /// The tier that the score falls in.
    pub tier: Tier,
    /// The terms.
    pub factors: Vec<RiskFactor>,
}

/// What one rule of the policy said.
#[derive(
    Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(deny_unknown_fields)]
pub struct RuleResult {
    /// The rule's name.
    pub id: String,
    /// `ok`, `warn` or `deny`.
    pub effect: String,
    /// Why.
    pub reason: String,
}

/// What policy made of a request.
#[derive(
    Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(deny_unknown_fields)]
pub struct Evaluation {
    /// `allow`, `deny` or `needs`.
    pub outcome: Outcome,
    /// Who must approve, when the outcome is `needs`.
    pub quorum: Option<Quorum>,
    /// How each approval must be proven.
    #[serde(default)]
    pub step_up: StepUp,
    /// Nothing happens until somebody has looked.
    #[serde(default)]
    pub hold: bool,
    /// Who must look at it afterwards, when the quorum was skipped.
    #[serde(default)]
    pub review: Option<Review>,
    /// The longest life that policy grants, in seconds.
    pub max_ttl_s: u64,
    /// For how long the request may wait for a decision, in seconds.
    pub approval_ttl_s: u64,
    /// The score and its terms.
    pub risk: Risk,
    /// What each rule said, failures first.
    pub rules: Vec<RuleResult>,
    /// The policy's own version.
    pub policy_version: String,
    /// SHA-256 of the policy's text.
    #[schema(value_type = String)]
    pub policy_digest: Digest,
}

/// How many factors and rules of an evaluation are kept, and how long their words may be, in bytes.
const EVALUATION_MAX: (usize, usize, usize) = (40, 64, 200);

impl Evaluation {
    /// Itself, cut to what one event of the log can hold: a policy may say anything at any length.
    pub fn bounded(&self) -> Self {
        let (entries, word, sentence) = EVALUATION_MAX;
        let factor = |factor: &RiskFactor| RiskFactor {
            id: clip(&factor.id, word),
            points: factor.points,
            reason: clip(&factor.reason, sentence),
        };
        let rule = |rule: &RuleResult| RuleResult {
            id: clip(&rule.id, word),
            effect: clip(&rule.effect, word),
            reason: clip(&rule.reason, sentence),
        };
        let quorum = |quorum: &Quorum| Quorum {
            count: quorum.count,
            // A group that is cut matches nobody's.
            groups: quorum
                .groups
                .iter()
                .take(LIST_MAX)
                .map(|group| clip(group, NAME_MAX))
                .collect(),
        };
        Self {
            outcome: self.outcome,
            quorum: self.quorum.as_ref().map(quorum),
            step_up: self.step_up,
            hold: self.hold,
            review: self.review.as_ref().map(|review| Review {
                quorum: quorum(&review.quorum),
                within_s: review.within_s.min(TTL_MAX_S),
            }),
            max_ttl_s: self.max_ttl_s.min(TTL_MAX_S),
            approval_ttl_s: self.approval_ttl_s.min(TTL_MAX_S),
            risk: Risk {
                score: self.risk.score,
                tier: self.risk.tier,
                factors: self.risk.factors.iter().take(entries).map(factor).collect(),
            },
            rules: self.rules.iter().take(entries).map(rule).collect(),
            policy_version: clip(&self.policy_version, word),
            policy_digest: self.policy_digest,
        }
    }
}

/// The look that others must take after the quorum was skipped.
#[derive(
    Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(deny_unknown_fields)]
pub struct Review {
    /// How many, from which groups; never whoever skipped it.
    pub quorum: Quorum,
    /// Within how many seconds; then what was issued is withdrawn.
    pub within_s: u64,
}

#[expect(
    clippy::derivable_impls,
    reason = "its words are declared by a macro, which has no place for a default"
)]
impl Default for StepUp {
    fn default() -> Self {
        Self::None
    }
}

words! {
    /// What an approver must show besides being signed in.
    StepUp, "step-up" {
        /// Nothing more.
        None => "none",
        /// A signature by an enrolled SSH key over what was shown.
        SshSignature => "ssh_signature",
        /// Such a signature by a hardware key that was touched for it.
        HardwareKey => "hardware_key",
    }

    /// What policy decided.
    Outcome, "outcome" {
        /// Issue at once.
        Allow => "allow",
        /// Never.
        Deny => "deny",
        /// When enough people approve.
        Needs => "needs",
    }
}

/// How many questions and answers a request holds.
pub const NOTES_MAX: usize = 16;

/// A question of somebody who may decide, or the requester's answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Note {
    /// Whose, by handle.
    pub by: String,
    /// When.
    pub at: DateTime<Utc>,
    /// In their words, unchecked.
    pub text: String,
    /// It is the requester's.
    pub answer: bool,
}

/// A quorum that was skipped in an emergency, and the look that others owe it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BreakGlass {
    /// Who skipped it.
    pub by: OperatorId,
    /// Their handle at the time.
    pub by_name: String,
    /// When.
    pub at: DateTime<Utc>,
    /// Why; free text.
    pub reason: String,
    /// What shows that it was them.
    pub proof: Proof,
    /// Until when others must have looked; then what was issued is withdrawn.
    pub review_by: DateTime<Utc>,
    /// When enough of them had.
    pub reviewed_at: Option<DateTime<Utc>>,
}

/// One issuance request and all that became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// Which request.
    pub id: RequestId,
    /// Who asked.
    pub requester: OperatorId,
    /// Their handle at the time.
    pub requester_name: String,
    /// What is asked for.
    pub plan: Plan,
    /// SHA-256 of the plan's JCS bytes: what approvals are bound to.
    pub digest: Digest,
    /// Why; free text, unchecked.
    pub reason: String,
    /// The team that will answer for the credential.
    pub owner: String,
    /// Regulatory tags.
    pub tags: Vec<String>,
    /// Where it is.
    pub state: RequestState,
    /// When it was received.
    pub submitted_at: DateTime<Utc>,
    /// The first of the requests that the same operator asked for in one run with it; none where it is that itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<RequestId>,
    /// What policy said.
    pub evaluation: Option<Arc<Evaluation>>,
    /// Until when people can decide, or, once issued, until when the secret can be claimed or delivered.
    pub deadline: Option<DateTime<Utc>>,
    /// Approvals so far, oldest first.
    pub approvals: Vec<Approval>,
    /// Who ended it and why, for a denial or withdrawal.
    pub ended_by: Option<Ending>,
    /// How often issuance was begun.
    pub attempts: u32,
    /// Sequence of the event that holds the facts that policy was asked about; 0 where none were kept.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub facts_at: u64,
    /// Where the issuer knows the attempt under way: logged before the secret is made.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub attempt_locator: BTreeMap<String, String>,
    /// Why the last attempt failed.
    pub failure: Option<String>,
    /// The credential and version that were made.
    pub issued: Option<(CredentialId, u32)>,
    /// Counts what a decision rests on: from 1, and one more with every narrowing. A signature is bound to it.
    #[serde(default = "first_revision")]
    pub revision: u32,
    /// Questions and answers, oldest first; at most [`NOTES_MAX`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<Note>,
    /// The quorum was skipped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub break_glass: Option<Box<BreakGlass>>,
    /// Sequence of the last change.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub sequence: u64,
    /// Sequences of its latest events, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub trail: Vec<u64>,
}

fn first_revision() -> u32 {
    1
}

/// Who ended a request, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ending {
    /// Their handle, or `policy`.
    pub by: String,
    /// Why; free text.
    pub reason: String,
    /// When.
    pub at: DateTime<Utc>,
    /// What shows that a denial was theirs; none of what is no person's denial.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proof: Option<Proof>,
}

impl Request {
    /// The run that it belongs to, by its first request: each came within an hour of the one before.
    pub fn run(&self) -> RequestId {
        self.run.unwrap_or(self.id)
    }

    /// The approvals that count. Whether those who gave them may still decide is the state's to say.
    pub fn standing(&self) -> impl Iterator<Item = &Approval> {
        self.approvals
            .iter()
            .filter(|approval| approval.void.is_none() && approval.digest == self.digest)
    }

    /// Whether this person has approved it, and that still counts.
    pub fn approved_by(&self, person: OperatorId) -> bool {
        self.standing().any(|approval| approval.by == person)
    }

    /// The quorum that policy asked for, if it asked for people: before issuing, or for a look afterwards.
    pub fn quorum(&self) -> Option<&Quorum> {
        self.evaluation
            .as_ref()
            .and_then(|evaluation| match &evaluation.review {
                // What was skipped is owed afterwards, by as many.
                Some(review) => Some(&review.quorum),
                None => evaluation.quorum.as_ref(),
            })
    }

    /// How a decision about it must be proven.
    pub fn step_up(&self) -> StepUp {
        self.evaluation
            .as_ref()
            .map_or(StepUp::HardwareKey, |evaluation| evaluation.step_up)
    }

    /// Whether others have yet to look at what was issued without them.
    pub fn review_owed(&self) -> Option<DateTime<Utc>> {
        self.break_glass
            .as_ref()
            .filter(|glass| glass.reviewed_at.is_none())
            .map(|glass| glass.review_by)
    }

    /// The life that is granted, in seconds: what was asked, within what policy allows.
    pub fn granted_ttl_s(&self) -> u64 {
        self.evaluation
            .as_ref()
            .map_or(self.plan.ttl_s, |evaluation| {
                self.plan.ttl_s.min(evaluation.max_ttl_s)
            })
    }
}
