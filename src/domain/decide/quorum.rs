//! What follows for requests and proposed policies when somebody may no longer decide: their approvals are void, in the log and for good, and
//! a request that was approved goes back to the people if too few are left. So nothing that is approved lacks its
//! people, and nothing is tried again and again that the rules would refuse each time.

use super::{
    decisions::may_decide, policy::may_decide_policy, requests::seconds, signatures::proven,
};
use crate::domain::{
    Environment, Event, Operator, ProposalState, Quorum, Refusal, Request, RequestState, State,
    request::Outcome,
};
use chrono::{DateTime, Utc};
use std::sync::Arc;

/// Why an approval falls that was signed by it.
const KEY_GONE: &str = "the key that signed it was taken out of use";

/// The events for all requests and policies that are not made yet, when an operator becomes `changed`.
pub(super) fn fallen(state: &State, changed: Operator, now: DateTime<Utc>) -> Vec<Event> {
    let person = Arc::new(changed);
    let open = state.awaiting.iter().chain(&state.to_issue);
    let open = open.filter_map(|id| state.requests.get(id));
    let open = open.chain(state.failed_requests());
    let mut events = Vec::new();
    for request in open {
        let Some(approval) = request.standing().find(|given| given.by == person.id) else {
            continue;
        };
        let why = match may_decide(state, request, &person) {
            Err(refusal) => {
                let environment = request.plan.environment;
                lost(environment, request.quorum(), &person, &refusal)
            }
            Ok(_) if proven(request.step_up(), approval, &person) => continue,
            Ok(_) => KEY_GONE.to_owned(),
        };
        events.push(Event::ApprovalVoided {
            request: request.id,
            approval: approval.id,
            by: approval.by_name.clone(),
            reason: why,
        });
        // While it is being made, the attempt decides: what it makes is given back.
        if request.state == RequestState::Approved {
            let left = request.standing().count() - 1;
            events.extend(reopened(request, left, now));
        }
    }
    events.extend(fallen_policies(state, &person));
    events
}

/// The same for policies that wait.
fn fallen_policies(state: &State, person: &Arc<Operator>) -> Vec<Event> {
    let mut events = Vec::new();
    let open = state.proposals.values();
    for proposal in open.filter(|held| held.state == ProposalState::AwaitingApproval) {
        let Some(approval) = proposal.standing().find(|given| given.by == person.id) else {
            continue;
        };
        let why = match may_decide_policy(proposal, person) {
            Err(refusal) => {
                let quorum = Some(&proposal.quorum);
                lost(Environment::Production, quorum, person, &refusal)
            }
            Ok(_) if proven(proposal.step_up, approval, person) => continue,
            Ok(_) => KEY_GONE.to_owned(),
        };
        events.push(Event::PolicyApprovalVoided {
            proposal: proposal.id,
            approval: approval.id,
            by: approval.by_name.clone(),
            reason: why,
        });
    }
    events
}

/// Back to the people, if `left` approvals are fewer than are needed.
pub(super) fn reopened(request: &Request, left: usize, now: DateTime<Utc>) -> Option<Event> {
    let evaluation = request.evaluation.as_ref()?;
    let needed = request.quorum()?.count;
    let fallen = evaluation.outcome == Outcome::Needs && left < usize::from(needed);
    fallen.then(|| Event::RequestAwaitingApproval {
        request: request.id,
        deadline: now + seconds(evaluation.approval_ttl_s),
    })
}

/// What somebody has lost who may no longer decide.
fn lost(
    environment: Environment,
    quorum: Option<&Quorum>,
    person: &Operator,
    refusal: &Refusal,
) -> String {
    match refusal {
        _ if person.offboarded_at.is_some() => "the account was closed".to_owned(),
        Refusal::Role { .. } => format!("no longer an approver in {environment}"),
        _ => {
            let groups = quorum.map(|quorum| quorum.groups.join(" or "));
            format!("no longer in {}", groups.unwrap_or_default())
        }
    }
}
