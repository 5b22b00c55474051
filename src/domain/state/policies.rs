//! How proposed policies change the state, and which one is in force.

use super::{Due, State};
use crate::domain::{
    Event, Proposal, ProposalId, ProposalState, credential::remember, event::Subject,
    policy::SHIPPED,
};
use chrono::{DateTime, Utc};
use std::sync::Arc;

impl State {
    /// The policy in force, if one was ever proposed and approved; else it is the one that ships with the program.
    pub fn policy_in_force(&self) -> Option<&Arc<Proposal>> {
        self.in_force.and_then(|id| self.proposals.get(&id))
    }

    /// The version of the policy in force.
    pub fn policy_version(&self) -> u32 {
        self.policy_in_force()
            .and_then(|held| held.version)
            .map_or(SHIPPED, |(version, _)| version)
    }

    /// The policy that was in force as `version`, unless that is the one that ships with the program.
    pub fn policy_of_version(&self, version: u32) -> Option<&Arc<Proposal>> {
        self.proposals
            .values()
            .find(|held| held.version.is_some_and(|(number, _)| number == version))
    }

    pub(super) fn apply_policy(&mut self, event: &Event, at: DateTime<Utc>) {
        if let Event::PolicyProposed { proposal } = event {
            let mut proposal = proposal.as_ref().clone();
            proposal.sequence = self.sequence;
            remember(&mut proposal.trail, self.sequence);
            self.due
                .insert((proposal.deadline, Due::Proposal(proposal.id)));
            self.proposals.insert(proposal.id, Arc::new(proposal));
            return;
        }
        let Subject::Proposal(id) = event.subject() else {
            return;
        };
        match event {
            Event::PolicyApprovalGiven { approval, .. } => self.change_proposal(id, |proposal| {
                proposal.approvals.push(approval.as_ref().clone());
            }),
            Event::PolicyApprovalVoided {
                approval, reason, ..
            } => self.change_proposal(id, |proposal| {
                let given = proposal.approvals.iter_mut();
                for given in given.filter(|given| given.id == *approval) {
                    given.void = Some(reason.clone());
                }
            }),
            Event::PolicyInForce { version, .. } => {
                self.put_in_force(id, *version, at);
            }
            Event::PolicyDenied { ending, .. } => self.change_proposal(id, |proposal| {
                proposal.state = ProposalState::Denied;
                proposal.ended_by = Some(ending.clone());
            }),
            Event::PolicyWithdrawn { ending, .. } => self.change_proposal(id, |proposal| {
                proposal.state = ProposalState::Withdrawn;
                proposal.ended_by = Some(ending.clone());
            }),
            Event::PolicyExpired { .. } => self.change_proposal(id, |proposal| {
                proposal.state = ProposalState::Expired;
            }),
            _ => {}
        }
    }

    /// The one that was in force is past, and what waited was compared with that one: it is superseded.
    fn put_in_force(&mut self, id: ProposalId, version: u32, at: DateTime<Utc>) {
        if !self.proposals.contains_key(&id) {
            return;
        }
        let over: Vec<_> = self
            .proposals
            .values()
            .filter_map(|held| match held.state {
                _ if held.id == id => None,
                ProposalState::InForce => Some((held.id, ProposalState::Past)),
                ProposalState::AwaitingApproval => Some((held.id, ProposalState::Superseded)),
                _ => None,
            })
            .collect();
        for (other, state) in over {
            self.change_proposal(other, |proposal| proposal.state = state);
        }
        self.change_proposal(id, |proposal| {
            proposal.state = ProposalState::InForce;
            proposal.version = Some((version, at));
        });
        self.in_force = Some(id);
    }

    fn change_proposal(&mut self, id: ProposalId, change: impl FnOnce(&mut Proposal)) {
        let sequence = self.sequence;
        let Some(held) = self.proposals.get_mut(&id) else {
            return;
        };
        let proposal = Arc::make_mut(held);
        change(proposal);
        proposal.sequence = sequence;
        remember(&mut proposal.trail, sequence);
        if proposal.state != ProposalState::AwaitingApproval {
            self.due.remove(&(proposal.deadline, Due::Proposal(id)));
        }
    }

    /// Takes up a proposal from a cache of the fold.
    pub(super) fn restore_proposal(&mut self, proposal: Arc<Proposal>) {
        if proposal.state == ProposalState::InForce {
            self.in_force = Some(proposal.id);
        }
        self.proposals.insert(proposal.id, proposal);
    }
}
