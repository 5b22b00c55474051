//! What follows for requests when somebody may no longer decide: their approvals are void, in the log and for good, and
//! a request that was approved goes back to the people if too few are left. So nothing that is approved lacks its
//! people, and nothing is tried again and again that the rules would refuse each time.

use super::{
    decisions::{may_decide, proven},
    requests::seconds,
};
use crate::domain::{Event, Operator, Refusal, Request, RequestState, State, request::Outcome};
use chrono::{DateTime, Utc};
use std::sync::Arc;

/// The events for all requests that are not made yet, when an operator becomes `changed`.
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
            Err(refusal) => lost(request, &person, &refusal),
            Ok(_) if proven(request, approval, &person) => continue,
            Ok(_) => "the key that signed it was taken out of use".to_owned(),
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
fn lost(request: &Request, person: &Operator, refusal: &Refusal) -> String {
    let environment = request.plan.environment;
    match refusal {
        _ if person.offboarded_at.is_some() => "the account was closed".to_owned(),
        Refusal::Role { .. } => format!("no longer an approver in {environment}"),
        _ => {
            let groups = request.quorum().map(|quorum| quorum.groups.join(" or "));
            format!("no longer in {}", groups.unwrap_or_default())
        }
    }
}
