//! Going back to the older version once the newer one is in use.
//!
//! Where a person took the newer secret, a person brings the older one back: the newer version is discarded at once.
//! Where services read it at a destination, to refuse it at once would refuse them all. The older secret is put back
//! there first; then the two versions change places, and the newer one goes as an older one does: when nobody uses it
//! any more, at the end of its overlap at the latest.

use super::ending::retry_at;
use super::*;

/// Gives a rotation up, or goes back from it.
pub(super) fn roll_back(
    state: &State,
    rotation: &Rotation,
    credential: &Arc<Credential>,
    end: &End<'_>,
    now: DateTime<Utc>,
) -> Result<Vec<Event>, Refusal> {
    if rotation.going_back.is_some() {
        return Ok(Vec::new());
    }
    let is_read = credential.destination.is_some() && rotation.handed_at.is_some();
    if rotation.state != RotationState::Overlapping || !is_read {
        return undo(state, rotation, credential, end, now);
    }
    can_come_back(rotation, credential, now)?;
    Ok(vec![Event::RotationGoingBack {
        rotation: rotation.id,
        by: end.by.to_owned(),
        setback: end.setback,
        reason: end.reason.to_owned(),
    }])
}

/// The older secret is at its place again: the versions change places. Nothing at `to`, and the newer one is discarded.
pub(super) fn put_back(
    state: &State,
    now: DateTime<Utc>,
    id: RotationId,
    to: &str,
    revocation: RevocationId,
) -> Result<Vec<Event>, Refusal> {
    let (held, credential) = in_state(state, id, &[RotationState::Overlapping])?;
    let back = held.going_back.as_ref();
    let Some(back) = back.filter(|back| back.done_at.is_none()) else {
        return Err(misplaced(held, "an older secret"));
    };
    if held.out_of_step(credential) {
        return Ok(settle(state, held, credential, revocation, now));
    }
    if to.is_empty() {
        let end = End {
            by: &back.by,
            setback: back.setback,
            reason: &back.reason,
            revocation,
        };
        return undo(state, held, credential, &end, now);
    }
    let newer = can_come_back(held, credential, now)?;
    let until = now + seconds(held.terms.overlap_s);
    let until = newer.ends_at().map_or(until, |end| end.min(until));
    Ok(vec![
        Event::VersionRetiring {
            credential: credential.id,
            version: newer.number,
            until,
        },
        Event::VersionPromoted {
            credential: credential.id,
            version: held.from,
        },
        Event::RotationPutBack {
            rotation: held.id,
            to: clip(to, check::TEXT_MAX),
            until,
        },
    ])
}

/// Whether the older version still works beside the newer one: the newer one, which is in use.
///
/// # Errors
/// It does not.
pub(super) fn can_come_back<'a>(
    rotation: &Rotation,
    credential: &'a Credential,
    now: DateTime<Utc>,
) -> Result<&'a Version, Refusal> {
    let older = credential
        .version(rotation.from)
        .filter(|version| version.state == VersionState::Retiring && version.accepted(now));
    let in_use = (credential.versions.iter())
        .find(|version| version.state == VersionState::Active)
        .filter(|version| Some(version.number) == rotation.to);
    match (older, in_use) {
        (Some(_), Some(newer)) => Ok(newer),
        _ => Err(Refusal::Conflict {
            detail: format!(
                "version {} cannot come back: its overlap is over; rotate again instead",
                rotation.from
            ),
        }),
    }
}

/// The newer version is gone, and the older one in use as before.
pub(super) fn rolled_back(state: &State, rotation: &Rotation, now: DateTime<Utc>) -> Event {
    let back = rotation.going_back.as_ref();
    Event::RotationRolledBack {
        rotation: rotation.id,
        by: back.map_or_else(|| BROKER.to_owned(), |back| back.by.clone()),
        setback: back.map_or(Setback::Withdrawn, |back| back.setback),
        reason: back.map_or_else(String::new, |back| back.reason.clone()),
        retry_at: retry_at(state, rotation, now),
    }
}
