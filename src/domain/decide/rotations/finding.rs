//! Finding a rotation in the state that a step takes it from, and the refusal where it is in another.

use super::*;

pub(super) type Found<'a> = Result<(&'a Arc<Rotation>, &'a Arc<Credential>), Refusal>;

pub(super) fn find_any(state: &State, id: RotationId) -> Found<'_> {
    let held = state.rotations.all.get(&id);
    held.and_then(|held| Some((held, state.credentials.get(&held.credential)?)))
        .ok_or(Refusal::NotFound {
            what: "rotation",
            id: id.to_string(),
        })
}

pub(super) fn find_running(state: &State, id: RotationId) -> Found<'_> {
    let (held, credential) = find_any(state, id)?;
    if held.state.ended() {
        return Err(misplaced(held, "anything further"));
    }
    Ok((held, credential))
}

pub(super) fn in_state<'a>(
    state: &'a State,
    id: RotationId,
    wanted: &[RotationState],
) -> Found<'a> {
    let (held, credential) = find_any(state, id)?;
    if wanted.contains(&held.state) {
        Ok((held, credential))
    } else {
        Err(misplaced(held, "this"))
    }
}

pub(super) fn in_attempt(state: &State, id: RotationId, attempt: u32) -> Found<'_> {
    let found = in_state(state, id, &[RotationState::Minting])?;
    if found.0.attempts == attempt {
        Ok(found)
    } else {
        Err(misplaced(found.0, "that attempt"))
    }
}

pub(super) fn in_check(state: &State, id: RotationId) -> Found<'_> {
    let found = in_state(state, id, &[RotationState::Checking])?;
    if found.0.checked_at.is_none() {
        Ok(found)
    } else {
        Err(misplaced(found.0, "another check"))
    }
}

pub(super) fn misplaced(rotation: &Rotation, what: &str) -> Refusal {
    Refusal::Conflict {
        detail: format!("{} is {}: no place for {what}", rotation.id, rotation.state),
    }
}

/// The rotation of `credential` that runs; if none does, what became of the last.
pub(super) fn running<'a>(
    state: &'a State,
    credential: &Credential,
) -> Result<&'a Arc<Rotation>, Refusal> {
    if let Some(rotation) = state.rotations.of(credential.id) {
        return Ok(rotation);
    }
    let last = (state.rotations.ended()).find(|ended| ended.credential == credential.id);
    Err(Refusal::Conflict {
        detail: match last.and_then(|last| Some((last, last.ended_at?))) {
            Some((last, at)) if last.state == RotationState::Completed => format!(
                "{} is completed: version {} is accepted no more since {}; rotate again instead",
                last.id,
                last.from,
                time(at)
            ),
            Some((last, at)) => {
                format!(
                    "{} has ended, {}, at {}; rotate again",
                    last.id,
                    last.state,
                    time(at)
                )
            }
            None => format!(
                "no rotation of {} is under way; rotate it first",
                credential.name
            ),
        },
    })
}

pub(super) fn time(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true)
}
