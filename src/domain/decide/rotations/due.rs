//! What comes due while a rotation runs: its deadline, the end of the older version, the end of the overlap.

use super::ending::{extension, overlap_ended, retired, retry_at};
use super::*;

/// What follows when the time is over in which a rotation must have put its newer version into use.
pub(in crate::domain::decide) fn overdue(
    state: &State,
    rotation: &Rotation,
    revocation: RevocationId,
    now: DateTime<Utc>,
) -> Vec<Event> {
    let Some(credential) = state.credentials.get(&rotation.credential) else {
        return Vec::new();
    };
    if let Some(extended) = extension(state, rotation, credential, now) {
        return vec![extended];
    }
    // Whoever has yet to take the newer secret still can: better than no version at all.
    let last_minute = credential.version(rotation.from).is_none_or(|version| {
        version
            .expires_at
            .is_some_and(|end| end <= now + BEFORE_THE_END * 2)
    });
    if last_minute && may_promote(rotation, credential, now).is_ok() {
        return promotion(rotation, credential, BROKER, now);
    }
    let (setback, reason) = match rotation.state {
        RotationState::Checking if rotation.checked_at.is_some() => {
            (Setback::Unclaimed, "nobody took the newer secret in time")
        }
        RotationState::Warm | RotationState::Checking => {
            (Setback::Check, "the newer version was not tried in time")
        }
        _ => (Setback::Issuer, "the newer version was not made in time"),
    };
    let end = End {
        by: BROKER,
        setback,
        reason,
        revocation,
    };
    fail(state, rotation, credential, &end, now)
}

/// What follows when a version's life is over while a rotation of its credential runs; `None` if that changes nothing
/// about what else follows.
pub(in crate::domain::decide) fn expiring(
    state: &State,
    credential: &Arc<Credential>,
    version: &Version,
    revocation: RevocationId,
    now: DateTime<Utc>,
) -> Option<Vec<Event>> {
    let rotation = state.rotations.of(credential.id)?;
    if rotation.state.promoted() || version.number != rotation.from {
        return None;
    }
    if let Some(extended) = extension(state, rotation, credential, now) {
        return Some(vec![extended]);
    }
    // Whoever has yet to take the newer secret still can: better than no version at all.
    if may_promote(rotation, credential, now).is_ok() {
        let mut events = vec![expired(credential, version)];
        events.extend(promotion(
            rotation,
            &without(credential, version),
            BROKER,
            now,
        ));
        return Some(events);
    }
    let end = End {
        by: BROKER,
        setback: Setback::Expired,
        reason: "the older version's life was over first",
        revocation,
    };
    let mut events = vec![expired(credential, version)];
    events.extend(fail(
        state,
        rotation,
        &Arc::new(without(credential, version)),
        &end,
        now,
    ));
    Some(events)
}

/// The credential as it is once `version` has expired.
fn without(credential: &Credential, version: &Version) -> Credential {
    let mut after = credential.clone();
    for held in &mut after.versions {
        if held.number == version.number {
            held.state = VersionState::Expired;
        }
    }
    after
}

/// What follows when the hard stop of a version's overlap is reached: it goes, unless it is the last that works.
pub(in crate::domain::decide) fn overlap_over(
    state: &State,
    credential: &Arc<Credential>,
    version: &Version,
    revocation: RevocationId,
    now: DateTime<Utc>,
) -> Vec<Event> {
    let rotation = state.rotations.of(credential.id).filter(|rotation| {
        rotation.outgoing() == Some(version.number) && rotation.state.promoted()
    });
    let other_works = (credential.versions.iter())
        .any(|other| other.state == VersionState::Active && other.accepted(now));
    if other_works {
        return match rotation {
            Some(rotation) => {
                let reason = "its overlap was over";
                overlap_ended(state, rotation, credential, reason, revocation, now)
            }
            None => retired(credential, version.number, revocation, now),
        };
    }
    let mut events = in_use_again(credential, version.number);
    if let Some(rotation) = rotation.filter(|rotation| rotation.is_back()) {
        let reason = "the older version is gone, and the newer one is the last that works";
        events.push(completed(rotation, reason));
        return events;
    }
    events.extend(rotation.map(|rotation| Event::RotationRolledBack {
        rotation: rotation.id,
        by: BROKER.to_owned(),
        setback: Setback::Withdrawn,
        reason: "the newer version is gone, and this is the last that works".to_owned(),
        retry_at: retry_at(state, rotation, now),
    }));
    events
}

/// Whether `events` put a version back into use, or carry a rotation on.
pub(in crate::domain::decide) fn moves(events: &[Event]) -> bool {
    events.iter().any(|event| {
        matches!(event, Event::VersionPromoted { .. })
            || matches!(event.subject(), crate::domain::event::Subject::Rotation(_))
    })
}
