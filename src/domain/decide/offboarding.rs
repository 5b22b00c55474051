//! Clients and people leave: what they held is withdrawn or handed over, and what they had asked for ends with them.

use super::{credentials, fresh, people, quorum, stamp};
use crate::domain::{
    Client, Command, Context, Credential, Event, Operator, Refusal, RequestState, Role, State,
    check::Check, request::Ending,
};
use std::{collections::BTreeSet, sync::Arc};

/// The most credentials that one command hands over: each is an event, and they are written together.
pub const HANDED_OVER_AT_ONCE: usize = 512;

pub(super) fn decide(
    state: &State,
    command: &Command,
    context: &Context,
) -> Result<Vec<Event>, Refusal> {
    match command {
        Command::OffboardClient {
            client,
            reason,
            hand_over_to,
            revocations,
        } => {
            let held = state.clients.get(client).ok_or(Refusal::NotFound {
                what: "client",
                id: client.to_string(),
            })?;
            super::holder(state, context, held.environment, &[Role::Admin])?;
            fresh(context, client, held.sequence, &[held.sequence])?;
            people::require_reason(reason)?;
            check_team(hand_over_to.as_deref())?;
            let mut events = Vec::new();
            if held.offboarded_at.is_none() {
                events.push(Event::ClientOffboarded {
                    client: *client,
                    reason: reason.clone(),
                });
                events.extend(denied(state, held, context));
            }
            let credentials = state
                .credentials
                .values()
                .filter(|credential| credential.client == *client && credential.revoked.is_none());
            match hand_over_to {
                Some(team) => {
                    if held.owner != *team {
                        events.push(Event::ClientOwnerChanged {
                            client: *client,
                            owner: team.clone(),
                            reason: reason.clone(),
                        });
                    }
                    let living =
                        credentials.filter(|credential| !credential.has_ended(context.now));
                    events.extend(handed_over(&held.name, living, team, reason)?);
                }
                None if held.offboarded_at.is_none() => {
                    let credentials: Vec<_> = credentials.collect();
                    if credentials.len() > revocations.len() {
                        return Err(too_many(&held.name, credentials.len(), revocations.len()));
                    }
                    for (credential, &revocation) in credentials.into_iter().zip(revocations) {
                        events.extend(credentials::revoke_events(
                            state, credential, None, revocation, reason, context,
                        ));
                    }
                }
                None => {}
            }
            Ok(events)
        }
        Command::OffboardOperator {
            operator,
            reason,
            hand_over_to,
        } => {
            let held = people::find(state, *operator)?;
            fresh(context, operator, held.sequence, &[held.sequence])?;
            people::manager(state, context, held)?;
            people::require_reason(reason)?;
            check_team(hand_over_to.as_deref())?;
            let mut events = Vec::new();
            if held.offboarded_at.is_none() {
                people::keeps_an_admin(state, context, held, |_| false)?;
                let mut changed = held.as_ref().clone();
                changed.offboarded_at = Some(context.now);
                events.push(Event::OperatorOffboarded {
                    operator: *operator,
                    reason: reason.clone(),
                });
                events.extend(withdrawn(state, held, context));
                events.extend(quorum::fallen(state, changed, context.now));
            }
            if let Some(team) = hand_over_to {
                let left = left_alone(state, held);
                let living = state.credentials.values().filter(|credential| {
                    left.contains(credential.owner.as_str()) && !credential.has_ended(context.now)
                });
                events.extend(handed_over(&held.name, living, team, reason)?);
            }
            Ok(events)
        }
        _ => Ok(Vec::new()),
    }
}

/// The owners that nobody but `leaving` stands for: their own handle, and every group of theirs that no other open
/// account of a person is in. Who is not the last of a team leaves nothing alone.
pub fn left_alone(state: &State, leaving: &Operator) -> BTreeSet<String> {
    let stays = |group: &String| {
        state.operators.values().any(|other| {
            other.id != leaving.id
                && !other.robot
                && other.offboarded_at.is_none()
                && other.groups.contains(group)
        })
    };
    let mut left: BTreeSet<String> = leaving
        .groups
        .iter()
        .filter(|group| !stays(group))
        .cloned()
        .collect();
    left.insert(leaving.name.clone());
    left
}

/// Whether a request in this state has an end that its requester, or whoever takes the client away, can still bring
/// about. What is being made is refused once it is there, and given back; what was made lapses.
pub const fn can_be_withdrawn(state: RequestState) -> bool {
    matches!(
        state,
        RequestState::AwaitingApproval
            | RequestState::Held
            | RequestState::Approved
            | RequestState::Failed
    )
}

fn denied(state: &State, client: &Client, context: &Context) -> Vec<Event> {
    let ending = ending(
        state,
        context,
        &format!("{} was taken out of service", client.name),
    );
    let open = state
        .requests
        .values()
        .filter(|request| request.plan.client == client.id && can_be_withdrawn(request.state));
    open.map(|request| Event::RequestDenied {
        request: request.id,
        ending: ending.clone(),
    })
    .collect()
}

fn withdrawn(state: &State, requester: &Operator, context: &Context) -> Vec<Event> {
    let ending = ending(
        state,
        context,
        &format!("the account of {} was closed", requester.name),
    );
    let open = state
        .requests
        .values()
        .filter(|request| request.requester == requester.id && can_be_withdrawn(request.state));
    open.map(|request| Event::RequestWithdrawn {
        request: request.id,
        ending: ending.clone(),
    })
    .collect()
}

fn ending(state: &State, context: &Context, reason: &str) -> Ending {
    Ending {
        by: stamp(state, context).name,
        reason: reason.to_owned(),
        at: context.now,
        proof: None,
    }
}

/// Another owner for those that do not have it already.
fn handed_over<'a>(
    from: &str,
    credentials: impl Iterator<Item = &'a Arc<Credential>>,
    team: &str,
    reason: &str,
) -> Result<Vec<Event>, Refusal> {
    let others: Vec<_> = credentials
        .filter(|credential| credential.owner != team)
        .collect();
    if others.len() > HANDED_OVER_AT_ONCE {
        return Err(too_many(from, others.len(), HANDED_OVER_AT_ONCE));
    }
    Ok(others
        .into_iter()
        .map(|credential| Event::OwnerChanged {
            credential: credential.id,
            owner: team.to_owned(),
            reason: reason.to_owned(),
        })
        .collect())
}

fn too_many(name: &str, held: usize, at_once: usize) -> Refusal {
    Refusal::Limit {
        detail: format!(
            "{name} holds {held} credentials; settle some of them first, {at_once} at most go at once"
        ),
    }
}

fn check_team(team: Option<&str>) -> Result<(), Refusal> {
    let mut check = Check::default();
    if let Some(team) = team {
        check.name("/hand_over_to", team);
    }
    check.finish()
}
