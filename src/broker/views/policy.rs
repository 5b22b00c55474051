//! Policies and proposals as the API shows them.

use super::Views;
use crate::{
    broker::policies::{InForce, Policies as Loaded},
    domain::{
        Operator, Proposal, ProposalState, Refusal, decide::may_decide_policy, policy::SHIPPED,
    },
    wire::{EventRecord, Policies, PolicyDetail, PolicyRow, ProposalDetail, ProposalRow, Verdict},
};
use std::{collections::BTreeMap, sync::Arc};

/// How many versions and proposals a list shows.
const SHOWN: usize = 100;
/// How many people who could decide are named.
const DECIDERS: usize = 16;

impl Views<'_> {
    /// All policies.
    pub fn policies(&self, loaded: &Loaded) -> Policies {
        let mut proposals: Vec<_> = self.state.proposals.values().rev().collect();
        // Stable: within each half the newest stay first.
        proposals.sort_by_key(|held| held.state != ProposalState::AwaitingApproval);
        let mut versions: Vec<_> = self
            .state
            .proposals
            .values()
            .filter_map(|held| self.policy_row(held))
            .collect();
        versions.push(self.shipped_row(loaded));
        versions.sort_by_key(|row| std::cmp::Reverse(row.version));
        versions.truncate(SHOWN);
        Policies {
            in_force: self.state.policy_version(),
            fault: match loaded.in_force(self.state) {
                InForce::Sound(_) => String::new(),
                InForce::Broken { reason, .. } => reason,
            },
            versions,
            proposals: proposals
                .into_iter()
                .take(SHOWN)
                .map(|held| proposal_row(held))
                .collect(),
        }
    }

    /// The policy that was in force as `version`.
    pub fn policy_detail(&self, loaded: &Loaded, version: u32) -> Option<PolicyDetail> {
        let row = if version == SHIPPED {
            self.shipped_row(loaded)
        } else {
            self.policy_row(self.state.policy_of_version(version)?)?
        };
        Some(PolicyDetail {
            row,
            files: self.files(loaded, version)?,
            before: self
                .files(loaded, version.saturating_sub(1))
                .unwrap_or_default(),
        })
    }

    fn files(&self, loaded: &Loaded, version: u32) -> Option<BTreeMap<String, String>> {
        if version == SHIPPED {
            Some(loaded.shipped().bundle().files().clone())
        } else {
            let held = self.state.policy_of_version(version)?;
            Some(held.files.clone())
        }
    }

    fn shipped_row(&self, loaded: &Loaded) -> PolicyRow {
        PolicyRow {
            version: SHIPPED,
            digest: crate::wire::policy_digest(loaded.shipped().bundle().files()),
            in_force: self.state.policy_version() == SHIPPED,
            since: None,
            proposal: None,
            proposed_by: String::new(),
            approved_by: Vec::new(),
            reason: "ships with the program".to_owned(),
        }
    }

    fn policy_row(&self, held: &Proposal) -> Option<PolicyRow> {
        let (version, since) = held.version?;
        Some(PolicyRow {
            version,
            digest: held.digest,
            in_force: self.state.policy_version() == version,
            since: Some(since),
            proposal: Some(held.id),
            proposed_by: held.proposer_name.clone(),
            approved_by: held.standing().map(|given| given.by_name.clone()).collect(),
            reason: held.reason.clone(),
        })
    }

    /// One proposal, for `viewer`.
    pub fn proposal_detail(
        &self,
        loaded: &Loaded,
        held: &Proposal,
        viewer: &Arc<Operator>,
        trail: Vec<EventRecord>,
    ) -> ProposalDetail {
        ProposalDetail {
            row: proposal_row(held),
            files: held.files.clone(),
            before: self.files(loaded, held.base).unwrap_or_default(),
            approvals: held.approvals.iter().map(super::approval_view).collect(),
            step_up: held.step_up,
            may_decide: self.proposal_verdict(held, viewer),
            deciders: self
                .state
                .operators
                .values()
                .filter(|person| may_decide_policy(held, person).is_ok())
                .filter(|person| !held.approved_by(person.id))
                .map(|person| person.name.clone())
                .take(DECIDERS)
                .collect(),
            ended_by: held.ended_by.as_ref().map(|ending| ending.by.clone()),
            end_reason: held.ended_by.as_ref().map(|ending| ending.reason.clone()),
            end_proof: super::denial_proof(held.ended_by.as_ref()),
            trail,
        }
    }

    fn proposal_verdict(&self, held: &Proposal, viewer: &Arc<Operator>) -> Verdict {
        let refused = |rule: &str, detail: String| Verdict {
            allowed: false,
            rule: rule.to_owned(),
            detail,
        };
        if held.state != ProposalState::AwaitingApproval {
            let detail = format!("the proposal is {}: there is nothing to decide", held.state);
            return refused("not-waiting", detail);
        }
        if held.deadline <= self.now {
            return refused("too-late", "the time to decide is over".to_owned());
        }
        if held.approved_by(viewer.id) {
            let detail = "you have approved this already; another person is needed".to_owned();
            return refused("distinct-people", detail);
        }
        match may_decide_policy(held, viewer) {
            Ok(_) => Verdict {
                allowed: true,
                rule: String::new(),
                detail: String::new(),
            },
            Err(refusal) => {
                let rule = match &refusal {
                    Refusal::Separation { rule, .. } => rule,
                    other => other.slug(),
                };
                refused(rule, refusal.to_string())
            }
        }
    }
}

/// What lists show of a proposal.
pub fn proposal_row(held: &Proposal) -> ProposalRow {
    ProposalRow {
        id: held.id,
        state: held.state,
        base: held.base,
        digest: held.digest,
        proposed_by: held.proposer_name.clone(),
        reason: held.reason.clone(),
        proposed_at: held.proposed_at,
        deadline: held.deadline,
        approvals: held.standing().count() as u32,
        needed: held.quorum.count.into(),
        groups: held.quorum.groups.clone(),
        version: held.version.map(|(version, _)| version),
        sequence: held.sequence,
    }
}
