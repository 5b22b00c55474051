//! Policies: the versions that were in force, proposals, and what a proposal would have decided.

use super::{
    Digest, Environment, EventRecord, Outcome, ProposalId, ProposalState, RequestId, StepUp, Tier,
    Verdict,
    request::{ApprovalView, DenialProof},
};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A policy that is in force, or was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct PolicyRow {
    /// Counts up; the one that ships with the program is 1.
    pub version: u32,
    /// SHA-256 of the files' JCS (RFC 8785) bytes.
    #[schema(value_type = String)]
    pub digest: Digest,
    /// Whether it decides now.
    pub in_force: bool,
    /// Since when it was in force; none for the one that ships with the program.
    pub since: Option<DateTime<Utc>>,
    /// The proposal that it was.
    #[schema(value_type = Option<String>)]
    pub proposal: Option<ProposalId>,
    /// Who proposed it; empty for the one that ships with the program.
    pub proposed_by: String,
    /// Who approved it.
    pub approved_by: Vec<String>,
    /// The proposer's words, unchecked.
    pub reason: String,
}

/// A proposed change of policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ProposalRow {
    /// Which proposal.
    #[schema(value_type = String)]
    pub id: ProposalId,
    /// Where it is.
    pub state: ProposalState,
    /// The version in force that it was written against.
    pub base: u32,
    /// What a decision is bound to.
    #[schema(value_type = String)]
    pub digest: Digest,
    /// Who proposed it.
    pub proposed_by: String,
    /// The proposer's words, unchecked.
    pub reason: String,
    /// When.
    pub proposed_at: DateTime<Utc>,
    /// Until when it can be decided.
    pub deadline: DateTime<Utc>,
    /// Approvals so far that count.
    pub approvals: u32,
    /// Approvals needed.
    pub needed: u32,
    /// From any of these groups.
    pub groups: Vec<String>,
    /// Its version, once it came in force.
    pub version: Option<u32>,
    /// Sequence of the last change, and the resource's `ETag`.
    pub sequence: u64,
}

/// All policies, newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Policies {
    /// The version in force.
    pub in_force: u32,
    /// Why the one in force cannot be asked, and so everything is refused; empty when it can.
    pub fault: String,
    /// The latest versions, at most 100.
    pub versions: Vec<PolicyRow>,
    /// The latest proposals, at most 100; those that wait come first.
    pub proposals: Vec<ProposalRow>,
}

/// One version with its text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct PolicyDetail {
    /// What lists show.
    pub row: PolicyRow,
    /// Rules, data and cases, by name.
    pub files: BTreeMap<String, String>,
    /// The files of the version before; empty for the first.
    pub before: BTreeMap<String, String>,
}

/// One proposal with its text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ProposalDetail {
    /// What lists show.
    pub row: ProposalRow,
    /// Rules, data and cases, by name.
    pub files: BTreeMap<String, String>,
    /// The files of the version that it was written against.
    pub before: BTreeMap<String, String>,
    /// Approvals so far.
    pub approvals: Vec<ApprovalView>,
    /// How a decision must be proven.
    pub step_up: StepUp,
    /// Whether the caller may decide it.
    pub may_decide: Verdict,
    /// People who could decide it, by handle; at most 16.
    pub deciders: Vec<String>,
    /// Who ended it, for a denial or withdrawal.
    pub ended_by: Option<String>,
    /// And why.
    pub end_reason: Option<String>,
    /// What shows that a person's denial was theirs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end_proof: Option<DenialProof>,
    /// Its latest events, newest first.
    pub trail: Vec<EventRecord>,
}

/// Proposing another policy, as a whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewProposal {
    /// Rules (`NAME.rego`), data (`NAME.json`) and cases (`cases/NAME.json`); at most 56 KiB in all as JSON strings.
    pub files: BTreeMap<String, String>,
    /// The version in force that it was compared with.
    #[schema(minimum = 1)]
    pub base: u32,
    /// Why.
    #[schema(max_length = 500)]
    pub reason: String,
}

/// Asking what a policy would have decided: `files`, or the text of `proposal`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Simulate {
    /// As in a proposal.
    #[serde(default)]
    pub files: BTreeMap<String, String>,
    /// The proposal to try instead.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub proposal: Option<ProposalId>,
    /// Over how many days back; 30 if left out.
    #[serde(default)]
    #[schema(minimum = 1, maximum = 365)]
    pub days: Option<u32>,
}

/// What a policy would have decided on the recorded facts of past requests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Simulation {
    /// The text that was tried.
    #[schema(value_type = String)]
    pub digest: Digest,
    /// Over how many days back.
    pub days: u32,
    /// How many recorded decisions were taken again.
    pub decisions: u64,
    /// How many of them would differ.
    pub differ: u64,
    /// Requests in that time whose facts were not recorded, and which therefore say nothing.
    pub without_facts: u64,
    /// Older ones in that time were left out: only the latest 10,000 are taken.
    pub cut: bool,
    /// Those that would differ, newest first; at most 200.
    pub differences: Vec<Difference>,
}

/// One request that would be decided differently.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Difference {
    /// Which request.
    #[schema(value_type = String)]
    pub request: RequestId,
    /// The credential's name.
    pub credential: String,
    /// Where it is used.
    pub environment: Environment,
    /// Who asked.
    pub requester: String,
    /// When.
    pub submitted_at: DateTime<Utc>,
    /// What was decided then.
    pub before: Decided,
    /// What would be.
    pub after: Decided,
}

/// A decision in short.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Decided {
    /// `allow`, `deny` or `needs`.
    pub outcome: Outcome,
    /// How many approvals.
    pub approvals: u8,
    /// From any of these groups.
    pub groups: Vec<String>,
    /// How each must be proven.
    pub step_up: StepUp,
    /// Whether it is held until somebody looks.
    pub hold: bool,
    /// The longest life granted, in seconds.
    pub max_ttl_s: u64,
    /// 0 to 100.
    pub risk: u8,
    /// The tier of the risk.
    pub tier: Tier,
    /// What spoke for it: the refusing rules, else those that ask for people; at most 4.
    pub reasons: Vec<String>,
}

impl Decided {
    /// In one line: `needs 2 from security, ssh_signature`.
    pub fn line(&self) -> String {
        let mut line = match self.outcome {
            Outcome::Needs => format!("needs {} from {}", self.approvals, self.groups.join(" or ")),
            other => other.to_string(),
        };
        if self.step_up != StepUp::None {
            line.push_str(&format!(", {}", self.step_up));
        }
        if self.hold {
            line.push_str(", held");
        }
        line
    }

    /// What of the decision differs, in words; empty where only the score does.
    pub fn differs(&self, other: &Self) -> Vec<&'static str> {
        [
            (self.outcome != other.outcome, "outcome"),
            (self.approvals != other.approvals, "approvals"),
            (self.groups != other.groups, "groups"),
            (self.step_up != other.step_up, "step-up"),
            (self.hold != other.hold, "hold"),
            (self.max_ttl_s != other.max_ttl_s, "lifetime"),
        ]
        .into_iter()
        .filter_map(|(differs, what)| differs.then_some(what))
        .collect()
    }
}
