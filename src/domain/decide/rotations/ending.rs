//! How a rotation ends: the older version goes, or everything is as it was.

use super::*;

pub(super) fn end_overlap(
    state: &State,
    now: DateTime<Utc>,
    id: RotationId,
    last_used_at: Option<DateTime<Utc>>,
    revocation: RevocationId,
) -> Result<Vec<Event>, Refusal> {
    let (held, credential) = in_state(state, id, &[RotationState::Overlapping])?;
    if held.out_of_step(credential) {
        return Ok(settle(state, held, credential, revocation, now));
    }
    let outgoing = held.outgoing().unwrap_or(held.from);
    let other_works = (credential.versions.iter())
        .any(|other| other.state == VersionState::Active && other.accepted(now));
    if !other_works {
        return Err(Refusal::Conflict {
            detail: format!(
                "the other version's life is over: version {outgoing} is the last that works"
            ),
        });
    }
    let quiet_since = held.outgoing_since().max(last_used_at);
    let quiet_for = quiet_since.map(|since| now - since);
    if quiet_for.is_none_or(|quiet| quiet < seconds(held.terms.unused_s)) {
        return Err(Refusal::Conflict {
            detail: format!(
                "version {} was used {} ago; its overlap ends once nobody has used it for {} s",
                outgoing,
                quiet_for.map_or_else(String::new, |quiet| format!("{} s", quiet.num_seconds())),
                held.terms.unused_s
            ),
        });
    }
    Ok(overlap_ended(
        state,
        held,
        credential,
        "nobody used the older version any more",
        revocation,
        now,
    ))
}

/// The version that goes is gone, and so the rotation is over.
pub(super) fn overlap_ended(
    state: &State,
    rotation: &Rotation,
    credential: &Arc<Credential>,
    reason: &str,
    revocation: RevocationId,
    now: DateTime<Utc>,
) -> Vec<Event> {
    if let Some(back) = rotation.going_back.as_ref().filter(|_| rotation.is_back()) {
        let end = End {
            by: &back.by,
            setback: back.setback,
            reason: &back.reason,
            revocation,
        };
        let mut events = discarded(rotation, credential, &end, now);
        events.push(back::rolled_back(state, rotation, now));
        return events;
    }
    let mut events = retired(credential, rotation.from, revocation, now);
    events.push(completed(rotation, reason));
    events
}

/// The older version is accepted no more, here and at its issuer.
pub(super) fn retired(
    credential: &Arc<Credential>,
    number: u32,
    revocation: RevocationId,
    now: DateTime<Utc>,
) -> Vec<Event> {
    let mut events = vec![Event::VersionRetired {
        credential: credential.id,
        version: number,
    }];
    if credential
        .version(number)
        .is_some_and(|version| !version.locator.is_empty())
    {
        let reason = "its overlap ended";
        events.push(sweep::withdrawal(
            credential, number, revocation, reason, BROKER, now,
        ));
    }
    events
}

/// Why, and by whom, a rotation ends without what it was for.
pub(super) struct End<'a> {
    pub(super) by: &'a str,
    pub(super) setback: Setback,
    pub(super) reason: &'a str,
    pub(super) revocation: RevocationId,
}

/// Puts everything as it was before: the newer version is discarded, the older one in use.
pub(super) fn undo(
    state: &State,
    rotation: &Rotation,
    credential: &Arc<Credential>,
    end: &End<'_>,
    now: DateTime<Utc>,
) -> Result<Vec<Event>, Refusal> {
    if rotation.to.is_none() {
        return Ok(fail(state, rotation, credential, end, now));
    }
    let mut events = discarded(rotation, credential, end, now);
    if rotation.state.promoted() {
        back::can_come_back(rotation, credential, now)?;
        events.push(Event::VersionPromoted {
            credential: credential.id,
            version: rotation.from,
        });
    } else {
        events.extend(extension(state, rotation, credential, now));
    }
    events.push(Event::RotationRolledBack {
        rotation: rotation.id,
        by: end.by.to_owned(),
        setback: end.setback,
        reason: end.reason.to_owned(),
        retry_at: retry_at(state, rotation, now),
    });
    Ok(events)
}

/// The newer version, if there is one that is accepted, is none any more.
fn discarded(
    rotation: &Rotation,
    credential: &Arc<Credential>,
    end: &End<'_>,
    now: DateTime<Utc>,
) -> Vec<Event> {
    let version = rotation
        .to
        .and_then(|to| credential.version(to))
        .filter(|version| version.state.accepted());
    let Some(version) = version else {
        return Vec::new();
    };
    let mut events = vec![Event::VersionDiscarded {
        credential: credential.id,
        version: version.number,
    }];
    if !version.locator.is_empty() {
        events.push(sweep::withdrawal(
            credential,
            version.number,
            end.revocation,
            end.reason,
            end.by,
            now,
        ));
    }
    events
}

/// Ends a rotation whose newer version never came into use. The older one's life is extended, once, if it would end
/// soon: the next try may still come in time.
pub(super) fn fail(
    state: &State,
    rotation: &Rotation,
    credential: &Arc<Credential>,
    end: &End<'_>,
    now: DateTime<Utc>,
) -> Vec<Event> {
    let mut events = discarded(rotation, credential, end, now);
    events.extend(extension(state, rotation, credential, now));
    events.push(Event::RotationFailed {
        rotation: rotation.id,
        by: end.by.to_owned(),
        setback: end.setback,
        reason: end.reason.to_owned(),
        retry_at: retry_at(state, rotation, now),
    });
    events
}

/// The fallback window of the older version, where it would end within it and had none yet. What its issuer ends by
/// itself cannot be extended from here.
pub(super) fn extension(
    state: &State,
    rotation: &Rotation,
    credential: &Credential,
    now: DateTime<Utc>,
) -> Option<Event> {
    let version = credential.version(rotation.from)?;
    let until = now + seconds(rotation.terms.fallback_s);
    (credential.revoked.is_none()
        && version.state == VersionState::Active
        && version.locator.is_empty()
        && version.expires_at? < until
        && !state.rotations.extended(credential.id, version.number))
    .then(|| Event::RotationExtended {
        rotation: rotation.id,
        credential: credential.id,
        version: version.number,
        until,
        owner: credential.owner.to_string(),
    })
}

pub(super) fn retry_at(state: &State, rotation: &Rotation, now: DateTime<Utc>) -> DateTime<Utc> {
    let pause = state
        .rotations
        .rules()
        .map_or(RETRY_MAX, |(rules, _)| seconds(rules.policy.retry_s));
    let failures = state
        .rotations
        .retry(rotation.credential)
        .map_or(0, |retry| retry.failures);
    let longer = pause
        .checked_mul(1 << failures.min(10))
        .unwrap_or(RETRY_MAX);
    now + longer.min(RETRY_MAX.max(pause))
}

/// The end of a rotation whose credential has moved on under it: revoked, expired, or replaced.
pub(super) fn settle(
    state: &State,
    rotation: &Rotation,
    credential: &Arc<Credential>,
    revocation: RevocationId,
    now: DateTime<Utc>,
) -> Vec<Event> {
    if !rotation.out_of_step(credential) {
        return Vec::new();
    }
    let end = End {
        by: BROKER,
        setback: Setback::Withdrawn,
        reason: "the newer version was withdrawn or ended",
        revocation,
    };
    if !rotation.state.promoted() {
        return fail(state, rotation, credential, &end, now);
    }
    if rotation.is_back() && credential.revoked.is_none() {
        return settle_back(state, rotation, credential, now);
    }
    let newer_works = rotation
        .to
        .and_then(|to| credential.version(to))
        .is_some_and(|version| version.state.accepted());
    if newer_works || credential.revoked.is_some() {
        return vec![completed(rotation, "the older version is accepted no more")];
    }
    match undo(state, rotation, credential, &end, now) {
        Ok(events) => events,
        Err(_) => brought_back(rotation, credential, &end, state, now),
    }
}

/// The end of a rotation that had gone back, and of which one of the two versions is gone.
fn settle_back(
    state: &State,
    rotation: &Rotation,
    credential: &Credential,
    now: DateTime<Utc>,
) -> Vec<Event> {
    let accepted = |number| {
        credential
            .version(number)
            .is_some_and(|version| version.state.accepted())
    };
    if accepted(rotation.from) {
        return vec![back::rolled_back(state, rotation, now)];
    }
    let mut events = Vec::new();
    let in_use = (credential.versions.iter())
        .any(|version| version.state == VersionState::Active && version.accepted(now));
    if let Some(to) = rotation.to.filter(|to| accepted(*to) && !in_use) {
        events = in_use_again(credential, to);
    }
    events.push(completed(rotation, "the older version is accepted no more"));
    events
}

/// The newer version is gone: the older one comes back into use if it can.
fn brought_back(
    rotation: &Rotation,
    credential: &Arc<Credential>,
    end: &End<'_>,
    state: &State,
    now: DateTime<Utc>,
) -> Vec<Event> {
    let active = (credential.versions.iter())
        .any(|version| version.state == VersionState::Active && version.accepted(now));
    let older = credential
        .version(rotation.from)
        .filter(|version| version.state == VersionState::Retiring && version.accepted(now));
    if active || older.is_none() {
        return vec![completed(
            rotation,
            "another version is in use, or none is left",
        )];
    }
    let mut events = in_use_again(credential, rotation.from);
    events.push(Event::RotationRolledBack {
        rotation: rotation.id,
        by: end.by.to_owned(),
        setback: end.setback,
        reason: end.reason.to_owned(),
        retry_at: retry_at(state, rotation, now),
    });
    events
}
