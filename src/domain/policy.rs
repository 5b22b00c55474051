//! Changes of policy: proposed as a whole text, decided by a quorum, and in force as the next version.
//!
//! The text is in the log itself, in the leaf of its proposal. Whoever holds the log can then decide every recorded
//! request again with nothing else to fetch, trust or lose; and the Merkle root covers the text, not only its digest.
//! The price is that a policy with its cases has to fit one leaf: `FILES_MAX`.

use super::{
    Approval, Digest, OperatorId, ProposalId, Quorum, StepUp, event::is_zero, request::Ending,
    words::words,
};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The version of the policy that ships with the program: in force until a proposal is.
pub const SHIPPED: u32 = 1;
/// The most bytes that a policy's names and texts may take as JSON strings: what a leaf holds beside what else is in it.
pub const FILES_MAX: usize = 56 * 1024;
/// The longest reason for a proposal, in bytes, and the most groups that its quorum names: both share the text's leaf.
pub const REASON_MAX: usize = 500;
/// See [`REASON_MAX`].
pub const GROUPS_MAX: usize = 8;
/// The most files of a policy.
pub const FILES_COUNT_MAX: usize = 64;

words! {
    /// Where a proposal is.
    ProposalState, "proposal state" {
        /// Waiting for people.
        AwaitingApproval => "awaiting_approval",
        /// The policy that decides.
        InForce => "in_force",
        /// Was in force; a later one is.
        Past => "past",
        /// A person said no.
        Denied => "denied",
        /// Taken back by who proposed it.
        Withdrawn => "withdrawn",
        /// Nobody decided in time.
        Expired => "expired",
        /// Another policy came in force first: this one was written against an older one.
        Superseded => "superseded",
    }
}

/// A policy as it was proposed, and what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Proposal {
    /// Which proposal.
    pub id: ProposalId,
    /// Who proposed it.
    pub proposer: OperatorId,
    /// Their handle at the time.
    pub proposer_name: String,
    /// The files: rules, data and cases, by name.
    pub files: BTreeMap<String, String>,
    /// SHA-256 of the files' JCS bytes: what approvals are bound to.
    pub digest: Digest,
    /// The version in force that it was written against.
    pub base: u32,
    /// SHA-256 of that version's files; older proposals have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_digest: Option<Digest>,
    /// Why; free text, unchecked.
    pub reason: String,
    /// Who must approve, as the policy in force at the time says.
    pub quorum: Quorum,
    /// How a decision about it must be proven, as that policy says; older proposals ask for nothing.
    #[serde(default, skip_serializing_if = "is_none")]
    pub step_up: StepUp,
    /// Where it is.
    pub state: ProposalState,
    /// When it was proposed.
    pub proposed_at: DateTime<Utc>,
    /// Until when it can be decided.
    pub deadline: DateTime<Utc>,
    /// Approvals so far, oldest first.
    pub approvals: Vec<Approval>,
    /// Who ended it and why, for a denial or withdrawal.
    pub ended_by: Option<Ending>,
    /// Its version, and since when, once it came in force.
    pub version: Option<(u32, DateTime<Utc>)>,
    /// Sequence of the last change.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub sequence: u64,
    /// Sequences of its latest events, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub trail: Vec<u64>,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde calls it with a reference"
)]
fn is_none(step_up: &StepUp) -> bool {
    *step_up == StepUp::None
}

impl Proposal {
    /// The approvals that count. Whether those who gave them may still decide is the state's to say.
    pub fn standing(&self) -> impl Iterator<Item = &Approval> {
        self.approvals
            .iter()
            .filter(|approval| approval.void.is_none() && approval.digest == self.digest)
    }

    /// Whether this person has approved it, and that still counts.
    pub fn approved_by(&self, person: OperatorId) -> bool {
        self.standing().any(|given| given.by == person)
    }
}

/// How many bytes `files` take as JSON, at most: what the log would hold of them.
pub fn encoded_size(files: &BTreeMap<String, String>) -> usize {
    let quoted = |text: &str| {
        text.bytes()
            .map(|byte| match byte {
                b'"' | b'\\' | b'\n' | b'\r' | b'\t' => 2,
                0..0x20 | 0x7f => 6,
                _ => 1,
            })
            .sum::<usize>()
            + 4
    };
    files
        .iter()
        .map(|(name, text)| quoted(name) + quoted(text))
        .sum()
}
