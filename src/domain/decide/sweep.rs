//! What is due by now. Pure: the clock comes in, and so do the identifiers for the revocations that follow.

use super::{decisions::fail_review, gateways, people, rotations};
use crate::domain::{
    Command, Credential, Event, ProposalState, Request, RequestState, Revocation, RevocationId,
    State, Version, VersionState, request::Ending, state::Due,
};
use chrono::{DateTime, Utc};
use std::{collections::BTreeSet, sync::Arc};

/// Who acts, where nobody does.
const BROKER: &str = "broker";

/// The events for what is due at `now`, soonest first, at most [`Command::SWEEP_LIMIT`] things at once.
pub(super) fn due(state: &State, now: DateTime<Utc>, revocations: &[RevocationId]) -> Vec<Event> {
    let mut fresh = revocations.iter().copied();
    let mut events = Vec::new();
    // What comes back into use, or whose rotation went on, is not as the state has it any more: what else of it is due
    // comes with the next sweep.
    let mut moved = BTreeSet::new();
    for (_, due) in state
        .due
        .iter()
        .take_while(|(at, _)| *at <= now)
        .take(Command::SWEEP_LIMIT)
    {
        // A sweep that brought too few identifiers settles what it can; the rest is still due.
        let Some(revocation) = fresh.next() else {
            break;
        };
        match due {
            Due::Request(id) => {
                if let Some(request) = state.requests.get(id) {
                    request_due(state, request, revocation, now, &mut events);
                }
            }
            Due::Review(id) => {
                if let Some(request) = state.requests.get(id) {
                    let ending = Ending {
                        by: BROKER.to_owned(),
                        reason: "nobody looked at it in time".to_owned(),
                        at: now,
                        proof: None,
                    };
                    let failed = fail_review(state, request, ending, revocation);
                    events.extend(failed.into_iter().flatten());
                }
            }
            Due::Proposal(id) => {
                if let Some(proposal) = state.proposals.get(id)
                    && proposal.state == ProposalState::AwaitingApproval
                {
                    events.push(Event::PolicyExpired { proposal: *id });
                }
            }
            Due::Reach(id) => {
                if let Some(revocation) = state.revocations.get(id)
                    && let Some(applied) = gateways::caches_ended(state, revocation, now)
                    && !events.contains(&applied)
                {
                    events.push(applied);
                }
            }
            Due::Version(id, number) => {
                if let Some(credential) = state.credentials.get(id)
                    && let Some(version) = credential.version(*number)
                    && !moved.contains(id)
                {
                    let before = events.len();
                    version_due(state, credential, version, revocation, now, &mut events);
                    if rotations::moves(&events[before..]) {
                        moved.insert(*id);
                    }
                }
            }
            Due::Rotation(id) => {
                if let Some(rotation) = state.rotations.all.get(id)
                    && moved.insert(rotation.credential)
                {
                    events.extend(rotations::overdue(state, rotation, revocation, now));
                }
            }
        }
    }
    events
}

fn request_due(
    state: &State,
    request: &Arc<Request>,
    revocation: RevocationId,
    now: DateTime<Utc>,
    events: &mut Vec<Event>,
) {
    match request.state {
        RequestState::AwaitingApproval | RequestState::Held => {
            events.push(Event::RequestExpired {
                request: request.id,
            });
        }
        RequestState::Issued => {
            events.push(Event::RequestLapsed {
                request: request.id,
            });
            let made = request
                .issued
                .and_then(|(id, number)| Some((state.credentials.get(&id)?, number)));
            let Some((credential, number)) = made else {
                return;
            };
            let Some(version) = credential.version(number) else {
                return;
            };
            if version.accepted(now) {
                events.push(withdrawal(
                    credential,
                    number,
                    revocation,
                    match request.plan.destination {
                        Some(_) => "it could not be delivered in time",
                        None => "nobody claimed it",
                    },
                    BROKER,
                    now,
                ));
            } else {
                // It ends by now: it expires here, and is not withdrawn as well. Left to its own turn, which may be
                // another sweep's, it would still be warm when the name, free again, gets a newer one.
                version_due(state, credential, version, revocation, now, events);
            }
        }
        _ => {}
    }
}

fn version_due(
    state: &State,
    credential: &Arc<Credential>,
    version: &Version,
    revocation: RevocationId,
    now: DateTime<Utc>,
    events: &mut Vec<Event>,
) {
    if !version.state.accepted() {
        return;
    }
    if version.expires_at.is_some_and(|end| end <= now) {
        if let Some(followed) = rotations::expiring(state, credential, version, revocation, now) {
            events.extend(followed);
            return;
        }
        // The issuer ends what it made by itself; there is nothing to withdraw.
        let expired = Event::VersionExpired {
            credential: credential.id,
            version: version.number,
        };
        // Its request may have told it already.
        if !events.contains(&expired) {
            events.push(expired);
        }
    } else if version.state == VersionState::Retiring {
        events.extend(rotations::overlap_over(
            state, credential, version, revocation, now,
        ));
    }
}

pub(super) fn withdrawal(
    credential: &Arc<Credential>,
    number: u32,
    id: RevocationId,
    reason: &str,
    by: &str,
    now: DateTime<Utc>,
) -> Event {
    let at_issuer = credential
        .version(number)
        .is_some_and(|version| version.is_elsewhere());
    Event::RevocationEffective {
        revocation: Box::new(Revocation {
            id,
            credential: credential.id,
            versions: vec![number],
            whole: false,
            reason: reason.to_owned(),
            by: by.to_owned(),
            effective_at: now,
            enforcement: people::enforcement(at_issuer),
            reach: Vec::new(),
            since: 0,
            sequence: 0,
        }),
    }
}
