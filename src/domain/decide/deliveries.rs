//! From an issued request to the secret in the place where it is read, and where that place is.

use super::{
    fresh, holder,
    issuance::{alive, into_use, made},
    operator, people,
    requests::find,
    system,
};
use crate::domain::{
    Command, Context, Credential, CredentialId, Delivery, Destination, Event, Refusal, Request,
    RequestId, RequestState, Role, State,
    check::{self, Check},
};
use chrono::{DateTime, Duration, Utc};
use std::sync::Arc;

/// No delivery begins in this last part of a request's window: what is under way when the window ends would be at its
/// place and withdrawn at once. A fourth of the window, where that is shorter.
const LAST_PART: Duration = Duration::minutes(5);

pub(super) fn decide(
    state: &State,
    command: &Command,
    context: &Context,
) -> Result<Vec<Event>, Refusal> {
    match command {
        Command::DeliverTo {
            credential,
            destination,
            reason,
        } => deliver_to(state, context, *credential, destination.as_ref(), reason),
        Command::StartDelivery { request } => {
            system(context)?;
            let held = issued(state, *request)?;
            let (credential, number) = made(state, context, held)?;
            if deliver_until(state, held).is_some_and(|end| end <= context.now) {
                return Err(Refusal::Conflict {
                    detail: "the time to deliver is over".into(),
                });
            }
            let to = target(held)?;
            Ok(if delivery(credential, number).is_some() {
                Vec::new()
            } else {
                vec![Event::DeliveryStarted {
                    request: *request,
                    credential: credential.id,
                    version: number,
                    to: to.clone(),
                }]
            })
        }
        Command::RecordDeliveryFailed { request, reason } => {
            system(context)?;
            let (credential, number, begun) = begun(state, *request)?;
            let reason = check::clip(reason, check::TEXT_MAX);
            // Tried again and again, and said once.
            Ok(if begun.failure.as_ref() == Some(&reason) {
                Vec::new()
            } else {
                vec![Event::DeliveryFailed {
                    request: *request,
                    credential: credential.id,
                    version: number,
                    reason,
                }]
            })
        }
        Command::RecordRequestDelivered {
            request,
            place,
            proven,
            check,
        } => {
            system(context)?;
            let (credential, number, _) = begun(state, *request)?;
            let mut events = vec![Event::RequestDelivered {
                request: *request,
                credential: credential.id,
                version: number,
                place: check::clip(place, check::TEXT_MAX),
                proven: *proven,
                check: check::clip(check, check::TEXT_MAX),
            }];
            // It is where it is, whatever happened to it meanwhile; but what was withdrawn does not go into use.
            if alive(credential, number, context) {
                events.extend(into_use(credential, number, context));
            }
            Ok(events)
        }
        _ => Ok(Vec::new()),
    }
}

/// Until when a delivery of an issued request may begin.
pub fn deliver_until(state: &State, request: &Request) -> Option<DateTime<Utc>> {
    let (id, number) = request.issued?;
    let made_at = state.credentials.get(&id)?.version(number)?.created_at;
    let deadline = request.deadline?;
    Some(deadline - ((deadline - made_at) / 4).min(LAST_PART))
}

fn issued(state: &State, id: RequestId) -> Result<&Arc<Request>, Refusal> {
    let held = find(state, id)?;
    if held.state == RequestState::Issued {
        Ok(held)
    } else {
        Err(Refusal::Conflict {
            detail: format!("the request is {}: there is nothing to deliver", held.state),
        })
    }
}

fn target(request: &Request) -> Result<&Destination, Refusal> {
    request.plan.destination.as_ref().ok_or(Refusal::Conflict {
        detail: "the secret waits for its claim: it has no destination".into(),
    })
}

fn delivery(credential: &Credential, number: u32) -> Option<&Delivery> {
    credential.version(number)?.delivery.as_deref()
}

/// What an issued request delivers, if that was begun: nothing leaves before the log says so.
fn begun(state: &State, id: RequestId) -> Result<(&Arc<Credential>, u32, &Delivery), Refusal> {
    let found = issued(state, id)?.issued.and_then(|(id, number)| {
        let credential = state.credentials.get(&id)?;
        Some((credential, number, delivery(credential, number)?))
    });
    found.ok_or(Refusal::Conflict {
        detail: format!("the delivery of {id} was not begun"),
    })
}

/// Whoever may change this decides who reads the next secret: an admin, or somebody on call who is in the group that is
/// called like the team that owns it.
fn deliver_to(
    state: &State,
    context: &Context,
    id: CredentialId,
    destination: Option<&Destination>,
    reason: &str,
) -> Result<Vec<Event>, Refusal> {
    let held = super::credentials::find(state, id)?;
    fresh(context, id, held.sequence, &held.trail)?;
    let person = operator(state, context)?;
    let of_the_team = person.groups.contains(held.owner.as_str())
        && person.holds(held.environment, &[Role::Operator]);
    if !of_the_team {
        holder(state, context, held.environment, &[Role::Admin])?;
    }
    people::require_reason(reason)?;
    let mut check = Check::default();
    if let Some(destination) = destination {
        check.destination("/destination", destination);
    }
    check.finish()?;
    if held.revoked.is_some() {
        return Err(Refusal::Conflict {
            detail: format!("{} is revoked for good", held.name),
        });
    }
    if held.destination.as_deref() == destination {
        return Ok(Vec::new());
    }
    // What was approved for one place is not put in another.
    if let Some(open) = state.open_request_for(held.environment, &held.name) {
        return Err(Refusal::Conflict {
            detail: format!("{open} asks for {}; let it end first", held.name),
        });
    }
    Ok(vec![Event::DestinationChanged {
        credential: id,
        destination: destination.cloned(),
        reason: reason.to_owned(),
    }])
}
