//! Several at once: what others depend on comes first, and no more than a batch is at work.

use super::{BTreeMap, BTreeSet, Begun, Member, RotationCause, RotationId, begin, on_call};
use crate::domain::{
    Client, ClientId, Command, Context, CredentialId, Event, FieldError, Refusal, State,
};

/// How far a chain of dependents is followed.
const DEPTH: usize = 64;

/// Begins all of `members`. Each waits for those that it depends on; one that cannot be rotated is left out, and the
/// rest is not kept waiting for it.
pub(super) fn begin_all(
    state: &State,
    context: &Context,
    members: &[(RotationId, CredentialId)],
    cause: RotationCause,
    reason: &str,
) -> Result<Vec<Event>, Refusal> {
    let limit = Command::GROUP_LIMIT;
    if members.is_empty() || members.len() > limit {
        return Err(Refusal::Invalid(vec![FieldError {
            pointer: "/credentials".into(),
            detail: format!("expected 1 to {limit} credentials"),
        }]));
    }
    let mut seen = BTreeSet::new();
    let mut held = Vec::new();
    for (index, &(id, credential)) in members.iter().enumerate() {
        if !seen.insert(credential) {
            return Err(Refusal::Invalid(vec![FieldError {
                pointer: format!("/credentials/{index}"),
                detail: "is in the list already".into(),
            }]));
        }
        super::unused_id(state, id)?;
        held.push((id, on_call(state, context, credential)?));
    }
    let clients = held.iter().map(|(_, credential)| credential.client);
    let places = places(state, clients.collect())?;
    let first = members[0].0;
    let mut refused = None;
    let mut events = Vec::new();
    for (id, credential) in held {
        let wave = places.get(&credential.client).map_or(0, |place| place.wave);
        let begun: Begun<'_> = (id, cause, reason, Some(Member { of: first, wave }));
        match begin(state, context, credential, begun) {
            Ok(event) => events.push(event),
            Err(refusal) => refused = Some(refusal),
        }
    }
    match refused {
        Some(refusal) if events.is_empty() => Err(refusal),
        _ => Ok(events),
    }
}

/// Begins what is due, soonest first: as many as there are identifiers, and as the batches have room for. Of those that
/// come due together, whoever depends on another waits for it.
pub(super) fn begin_due(state: &State, context: &Context, ids: &[RotationId]) -> Vec<Event> {
    let Some((rules, since)) = state.rotations.rules() else {
        return Vec::new();
    };
    // Twice the batch, so that there is always one that waits when another is done.
    let room = rules.policy.batch.saturating_mul(2) as usize;
    let waiting = state.rotations.to_do.len();
    let mut ids = ids.iter().take(room.saturating_sub(waiting)).peekable();
    let due = state
        .rotations
        .due
        .iter()
        .take_while(|(at, _)| *at <= context.now)
        .filter_map(|(_, id)| state.credentials.get(id));
    let mut begun = Vec::new();
    for credential in due {
        // By a table that came in force when it would have been due already.
        let by_policy = rules.planned(credential).is_some_and(|planned| {
            planned.due_at < since && state.rotations.retry(credential.id).is_none()
        });
        let (cause, reason) = if by_policy {
            (RotationCause::Policy, "due under the policy in force")
        } else {
            (RotationCause::Schedule, "its cadence was up")
        };
        let Some(&&id) = ids.peek() else {
            break;
        };
        // What cannot be rotated now (a request is making a version of it) is due still, and tried again.
        if begin(state, context, credential, (id, cause, reason, None)).is_ok() {
            begun.push((credential, (id, cause, reason)));
            ids.next();
        }
    }
    let clients = begun.iter().map(|(credential, _)| credential.client);
    // A circle is refused where clients are made; should there be one, there is no order to keep.
    let places = places(state, clients.collect()).unwrap_or_default();
    let mut firsts = BTreeMap::new();
    let mut events = Vec::new();
    for (credential, (id, cause, reason)) in begun {
        let linked = places.get(&credential.client).filter(|place| place.linked);
        let member = linked.map(|place| Member {
            of: *firsts.entry(place.among).or_insert(id),
            wave: place.wave,
        });
        events.extend(begin(
            state,
            context,
            credential,
            (id, cause, reason, member),
        ));
    }
    events
}

/// Where a client stands among others.
#[derive(Debug, Clone, Copy)]
struct Place {
    /// It comes after all of those that it depends on, which are in earlier waves.
    wave: u32,
    /// One of those that are linked with it, by depending on one another: the same for all of them.
    among: ClientId,
    /// Whether there are any.
    linked: bool,
}

/// The place of each client.
fn places(
    state: &State,
    clients: BTreeSet<ClientId>,
) -> Result<BTreeMap<ClientId, Place>, Refusal> {
    let alone = |id: &ClientId| {
        let place = Place {
            wave: 0,
            among: *id,
            linked: false,
        };
        (*id, place)
    };
    let mut places: BTreeMap<_, _> = clients.iter().map(alone).collect();
    for id in &clients {
        let Some(client) = state.clients.get(id) else {
            continue;
        };
        no_circle(state, client)?;
    }
    // Without circles the longest chain has as many links as there are clients.
    for id in &clients {
        let mut layer = BTreeSet::from([*id]);
        let mut below = BTreeMap::from([(*id, 0_u32)]);
        for depth in 1..=DEPTH as u32 {
            layer = layer
                .iter()
                .filter_map(|id| state.clients.get(id))
                .flat_map(|client| dependents(state, client))
                .collect();
            if layer.is_empty() {
                break;
            }
            below.extend(layer.iter().map(|id| (*id, depth)));
        }
        below.retain(|id, _| clients.contains(id));
        for (dependent, depth) in &below {
            if let Some(place) = places.get_mut(dependent) {
                place.wave = place.wave.max(*depth);
            }
        }
        if below.len() > 1 {
            link(&mut places, &below);
        }
    }
    Ok(places)
}

/// Notes that all of these are linked, and so is whoever was linked with one of them.
fn link(places: &mut BTreeMap<ClientId, Place>, these: &BTreeMap<ClientId, u32>) {
    let groups: BTreeSet<_> = (these.keys())
        .filter_map(|id| Some(places.get(id)?.among))
        .collect();
    let Some(&among) = groups.first() else {
        return;
    };
    for place in places.values_mut() {
        if groups.contains(&place.among) {
            place.among = among;
            place.linked = true;
        }
    }
}

fn dependents<'a>(state: &'a State, client: &'a Client) -> impl Iterator<Item = ClientId> + 'a {
    client
        .dependents
        .iter()
        .filter_map(|name| Some(state.client_named(name)?.id))
}

/// Refuses a client that by way of its dependents would depend on itself.
pub(in crate::domain::decide) fn no_circle(state: &State, client: &Client) -> Result<(), Refusal> {
    let mut path = vec![client.name.clone()];
    if !follow(state, client, &client.name, &mut path, &mut BTreeSet::new()) {
        return Ok(());
    }
    Err(Refusal::Invalid(vec![FieldError {
        pointer: "/dependents".into(),
        detail: format!(
            "expected no circle: {}; nothing in it could be updated first",
            path.join(" → ")
        ),
    }]))
}

fn follow(
    state: &State,
    client: &Client,
    back_to: &str,
    path: &mut Vec<String>,
    seen: &mut BTreeSet<String>,
) -> bool {
    for name in &client.dependents {
        if name == back_to {
            path.push(name.clone());
            return true;
        }
        if path.len() > DEPTH || !seen.insert(name.clone()) {
            continue;
        }
        let Some(next) = state.client_named(name) else {
            continue;
        };
        path.push(name.clone());
        if follow(state, next, back_to, path, seen) {
            return true;
        }
        path.pop();
    }
    false
}
