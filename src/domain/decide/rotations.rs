//! Rotation, step by step: begun, made, tried, taken, in use, and the older version gone, or everything as it was.
//!
//! Nothing here takes away the last version that works. The older one is accepted until the newer one is in use and
//! for its overlap after that; whatever goes wrong before leaves it in use, and after that brings it back.

use super::{
    credentials::find, fresh, holder, operator, people, requests::seconds, stamp, sweep, system,
    tokens,
};
use crate::domain::{
    Command, Context, Credential, CredentialId, Event, MintedVersion, Operator, Refusal,
    RequestState, RevocationId, Role, Rotation, RotationCause, RotationId, RotationRules,
    RotationState, Setback, State, Version, VersionState,
    check::{self, clip},
    rotation::Member,
};
use chrono::{DateTime, Duration, Utc};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

mod back;
mod due;
mod ending;
mod finding;
mod group;

pub(super) use due::{expiring, moves, overdue, overlap_over};
pub(super) use group::no_circle;

use ending::{End, end_overlap, fail, settle, undo};
use finding::{find_any, find_running, in_attempt, in_check, in_state, misplaced, running, time};

/// Who acts, where nobody does.
const BROKER: &str = "broker";
/// How long before the older version's end it is seen to that another works.
const BEFORE_THE_END: Duration = Duration::minutes(1);
/// The longest pause before a rotation that came to nothing is begun again.
const RETRY_MAX: Duration = Duration::days(1);

pub(super) fn decide(
    state: &State,
    command: &Command,
    context: &Context,
) -> Result<Vec<Event>, Refusal> {
    match command {
        Command::SetRotationRules(rules) => {
            system(context)?;
            set_rules(state, rules)
        }
        Command::Rotate {
            id,
            credential,
            cause,
            reason,
        } => {
            let held = on_call(state, context, *credential)?;
            people::require_reason(reason)?;
            by_hand(*cause)?;
            unused_id(state, *id)?;
            Ok(vec![begin(
                state,
                context,
                held,
                (*id, *cause, reason, None),
            )?])
        }
        Command::RotateGroup {
            members,
            cause,
            reason,
        } => {
            people::require_reason(reason)?;
            by_hand(*cause)?;
            group::begin_all(state, context, members, *cause, reason)
        }
        Command::RotateDue { ids } => {
            system(context)?;
            Ok(group::begin_due(state, context, ids))
        }
        Command::ClaimRotated { rotation } => claim(state, context, *rotation),
        Command::Promote { credential } => {
            let held = on_call(state, context, *credential)?;
            let rotation = running(state, held)?;
            if rotation.state.promoted() {
                return Ok(Vec::new());
            }
            may_promote(rotation, held, context.now)?;
            let by = stamp(state, context).name;
            Ok(promotion(rotation, held, &by, context.now))
        }
        Command::RollBack {
            credential,
            reason,
            revocation,
        } => {
            let held = on_call(state, context, *credential)?;
            people::require_reason(reason)?;
            let rotation = running(state, held)?;
            let by = stamp(state, context).name;
            let end = End {
                by: &by,
                setback: Setback::Operator,
                reason,
                revocation: *revocation,
            };
            back::roll_back(state, rotation, held, &end, context.now)
        }
        _ => {
            system(context)?;
            record(state, command, context)
        }
    }
}

/// What the broker's own parts report.
fn record(state: &State, command: &Command, context: &Context) -> Result<Vec<Event>, Refusal> {
    let now = context.now;
    match command {
        Command::StartMinting {
            rotation,
            attempt,
            locator,
        } => start_minting(state, now, *rotation, *attempt, locator),
        Command::RecordRotationMinted {
            rotation,
            attempt,
            minted,
        } => {
            let (held, credential) = in_attempt(state, *rotation, *attempt)?;
            serviceable(credential)?;
            tokens::may_stand(state, minted)?;
            Ok(vec![minted_event(state, held, credential, minted, now)])
        }
        Command::RecordMintingFailed {
            rotation,
            attempt,
            reason,
            last,
            revocation,
        } => {
            let (held, credential) = in_attempt(state, *rotation, *attempt)?;
            let reason = clip(reason, check::TEXT_MAX);
            if !last {
                return Ok(vec![Event::RotationAttemptFailed {
                    rotation: *rotation,
                    attempt: *attempt,
                    reason,
                }]);
            }
            let end = End {
                by: BROKER,
                setback: Setback::Issuer,
                reason: &reason,
                revocation: *revocation,
            };
            Ok(fail(state, held, credential, &end, now))
        }
        Command::StartCheck { rotation, by } => {
            let (held, _) = in_state(state, *rotation, &[RotationState::Warm])?;
            Ok(vec![Event::RotationChecking {
                rotation: held.id,
                by: clip(by, check::NAME_MAX),
            }])
        }
        Command::RecordChecked { rotation, seen } => {
            let (held, _) = in_check(state, *rotation)?;
            Ok(vec![Event::RotationChecked {
                rotation: held.id,
                seen: clip(seen, check::TEXT_MAX),
            }])
        }
        Command::RecordCheckFailed {
            rotation,
            reason,
            revocation,
        } => {
            let (held, credential) = find_running(state, *rotation)?;
            // A probe may find out later, while the older version can still come back.
            if !matches!(
                held.state,
                RotationState::Checking | RotationState::Overlapping
            ) {
                return Err(misplaced(held, "its check"));
            }
            let reason = clip(reason, check::TEXT_MAX);
            let end = End {
                by: BROKER,
                setback: Setback::Check,
                reason: &reason,
                revocation: *revocation,
            };
            back::roll_back(state, held, credential, &end, now)
        }
        Command::RecordPutBack {
            rotation,
            to,
            revocation,
        } => back::put_back(state, now, *rotation, to, *revocation),
        Command::RecordDelivered { rotation, to } => {
            let (held, credential) = find_running(state, *rotation)?;
            // Put into use by hand, or at the last minute, it still has to come to its place.
            if held.state.before_promotion() {
                may_promote(held, credential, now)?;
            } else if held.handed_at.is_some() {
                return Err(misplaced(held, "another delivery"));
            }
            Ok(handed_over(
                held,
                credential,
                &clip(to, check::TEXT_MAX),
                now,
            ))
        }
        Command::EndOverlap {
            rotation,
            last_used_at,
            revocation,
        } => end_overlap(state, now, *rotation, *last_used_at, *revocation),
        Command::SettleRotation {
            rotation,
            revocation,
        } => {
            let (held, credential) = find_running(state, *rotation)?;
            Ok(settle(state, held, credential, *revocation, now))
        }
        _ => Ok(Vec::new()),
    }
}

fn set_rules(state: &State, rules: &RotationRules) -> Result<Vec<Event>, Refusal> {
    if let Some(complaint) = rules.policy.complaint() {
        return Err(Refusal::Conflict { detail: complaint });
    }
    let same = state
        .rotations
        .rules()
        .is_some_and(|(held, _)| **held == *rules);
    Ok(if same {
        Vec::new()
    } else {
        vec![Event::RotationRulesSet {
            rules: Box::new(rules.clone()),
        }]
    })
}

/// The causes that a person can name; the others follow from what the broker sees.
fn by_hand(cause: RotationCause) -> Result<(), Refusal> {
    match cause {
        RotationCause::Operator | RotationCause::Compromise | RotationCause::Offboarding => Ok(()),
        RotationCause::Schedule | RotationCause::Policy => {
            Err(Refusal::Invalid(vec![crate::domain::FieldError {
                pointer: "/cause".into(),
                detail: "expected operator, compromise or offboarding".into(),
            }]))
        }
    }
}

fn unused_id(state: &State, id: RotationId) -> Result<(), Refusal> {
    if state.rotations.all.contains_key(&id) {
        return Err(Refusal::Conflict {
            detail: format!("{id} exists already"),
        });
    }
    Ok(())
}

/// The credential, for somebody on call in its environment who has seen it as it is.
fn on_call<'a>(
    state: &'a State,
    context: &Context,
    id: CredentialId,
) -> Result<&'a Arc<Credential>, Refusal> {
    let held = find(state, id)?;
    holder(
        state,
        context,
        held.environment,
        &[Role::Operator, Role::Admin],
    )?;
    fresh(context, id, held.sequence, &held.trail)?;
    Ok(held)
}

/// Whether `credential` can be rotated now: the version in use, and the table that says how.
///
/// # Errors
/// What stands in the way, and what would be accepted.
pub fn can_rotate<'a>(
    state: &'a State,
    credential: &'a Credential,
    now: DateTime<Utc>,
) -> Result<(&'a Version, &'a RotationRules), Refusal> {
    let conflict = |detail| Err(Refusal::Conflict { detail });
    serviceable(credential)?;
    if let Some(running) = state.rotations.of(credential.id) {
        return conflict(match (running.state, running.overlap_until) {
            (RotationState::Overlapping, Some(until)) => format!(
                "{} has put version {} into use, and version {} is accepted until {} at most; roll it back, revoke version {}, or wait",
                running.id,
                running.to.unwrap_or(running.from),
                running.from,
                time(until),
                running.from,
            ),
            _ => format!(
                "{} is under way, {}; let it end, promote it or roll it back",
                running.id, running.state
            ),
        });
    }
    let in_use = (credential.versions.iter())
        .find(|version| version.state == VersionState::Active && version.accepted(now));
    let Some(version) = in_use else {
        return conflict(format!(
            "no version of {} is in use: ask for it again with a request",
            credential.name
        ));
    };
    undisturbed(state, credential)?;
    let Some((rules, _)) = state.rotations.rules() else {
        return conflict(
            "the policy's table of rotation is not known yet; try again shortly".into(),
        );
    };
    if !rules
        .issuers
        .iter()
        .any(|name| **name == *credential.issuer)
    {
        return conflict(format!(
            "no issuer named {} is configured here; accepted: {}",
            credential.issuer,
            rules.issuers.join(", ")
        ));
    }
    Ok((version, rules))
}

/// Refuses what is out of service.
fn serviceable(credential: &Credential) -> Result<(), Refusal> {
    let conflict = |detail| Err(Refusal::Conflict { detail });
    if credential.revoked.is_some() {
        return conflict(format!(
            "{} is revoked for good: ask for another with a request",
            credential.name
        ));
    }
    if credential.quarantined_at.is_some() {
        return conflict(format!(
            "{} is quarantined: release it first, or revoke it",
            credential.name
        ));
    }
    Ok(())
}

/// Refuses while a request for the same name is being issued: there is one newer version at a time.
fn undisturbed(state: &State, credential: &Credential) -> Result<(), Refusal> {
    let open = state
        .open_request_for(credential.environment, &credential.name)
        .and_then(|id| state.requests.get(&id))
        .filter(|request| matches!(request.state, RequestState::Issuing | RequestState::Issued));
    let warm = (credential.versions.iter()).find(|version| version.state == VersionState::Warm);
    match (open, warm) {
        (Some(request), _) => Err(Refusal::Conflict {
            detail: format!(
                "{} is making a newer version of it; let its secret be claimed first",
                request.id
            ),
        }),
        (None, Some(version)) => Err(Refusal::Conflict {
            detail: format!("version {} waits to go into use already", version.number),
        }),
        (None, None) => Ok(()),
    }
}

type Begun<'a> = (RotationId, RotationCause, &'a str, Option<Member>);

fn begin(
    state: &State,
    context: &Context,
    credential: &Credential,
    (id, cause, reason, member): Begun<'_>,
) -> Result<Event, Refusal> {
    let (version, rules) = can_rotate(state, credential, context.now)?;
    let planned = rules.planned(credential);
    Ok(Event::RotationStarted {
        rotation: Box::new(Rotation {
            id,
            credential: credential.id,
            from: version.number,
            to: None,
            cause,
            by: stamp(state, context).name,
            reason: reason.to_owned(),
            state: RotationState::Due,
            due_at: planned.map(|planned| planned.due_at),
            late_at: planned.map(|planned| planned.late_at),
            frozen: planned
                .and_then(|planned| planned.frozen)
                .map(str::to_owned),
            terms: rules.terms(credential, cause),
            member,
            started_at: context.now,
            deadline: None,
            attempts: 0,
            attempt_locator: BTreeMap::new(),
            minted_at: None,
            checked_by: String::new(),
            checked_at: None,
            check: String::new(),
            handed_at: None,
            handed_to: String::new(),
            promoted_at: None,
            overlap_until: None,
            going_back: None,
            extended_until: None,
            ended_at: None,
            setback: None,
            failure: None,
            gap_s: 0,
            sequence: 0,
            trail: Vec::new(),
        }),
    })
}

fn start_minting(
    state: &State,
    now: DateTime<Utc>,
    id: RotationId,
    attempt: u32,
    locator: &BTreeMap<String, String>,
) -> Result<Vec<Event>, Refusal> {
    // Only from `due`: while an attempt is under way its secret may exist, and a second would orphan it.
    let (held, credential) = in_state(state, id, &[RotationState::Due])?;
    let expected = held.attempts + 1;
    if attempt != expected {
        return Err(Refusal::Conflict {
            detail: format!("attempt {attempt} cannot begin: attempt {expected} is next"),
        });
    }
    serviceable(credential)?;
    undisturbed(state, credential)?;
    its_turn(state, held, credential)?;
    let within = now + seconds(held.terms.promote_within_s);
    let end = credential
        .version(held.from)
        .filter(|version| version.accepted(now))
        .and_then(|version| version.expires_at);
    let deadline = held
        .deadline
        .unwrap_or(end.map_or(within, |end| within.min(end - BEFORE_THE_END)));
    Ok(vec![Event::RotationMinting {
        rotation: id,
        attempt,
        locator: locator.clone(),
        deadline,
    }])
}

/// Whether there is room in the batch, and nothing that it depends on has yet to come first.
///
/// # Errors
/// What it waits for.
pub fn its_turn(
    state: &State,
    rotation: &Rotation,
    credential: &Credential,
) -> Result<(), Refusal> {
    let room = state
        .rotations
        .rules()
        .map_or(1, |(rules, _)| rules.policy.batch);
    if state.rotations.at_work(credential.environment) >= room {
        return Err(Refusal::Limit {
            detail: format!(
                "{room} rotations are at work in {} already",
                credential.environment
            ),
        });
    }
    let Some(member) = rotation.member else {
        return Ok(());
    };
    let earlier = state.rotations.running.values().filter_map(|id| {
        let other = state.rotations.all.get(id)?;
        let place = other.member?;
        (place.of == member.of && place.wave < member.wave && other.state.before_promotion())
            .then_some(other)
    });
    match earlier.min_by_key(|other| other.id) {
        Some(other) => Err(Refusal::Conflict {
            detail: format!("{} comes first: it is {}", other.id, other.state),
        }),
        None => Ok(()),
    }
}

fn minted_event(
    state: &State,
    rotation: &Rotation,
    credential: &Credential,
    minted: &MintedVersion,
    now: DateTime<Utc>,
) -> Event {
    let until = life(state, credential, rotation.from).map(|life| now + life);
    let expires_at = match (minted.expires_at, until) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    };
    Event::RotationMinted {
        rotation: rotation.id,
        credential: credential.id,
        version: Box::new(Version {
            number: credential.next_number(),
            state: VersionState::Warm,
            digest: minted.digest,
            locator: minted.locator.clone(),
            // What the older version was approved by.
            request: credential
                .version(rotation.from)
                .and_then(|version| version.request),
            created_at: now,
            expires_at,
            retires_at: None,
            delivery: None,
        }),
        warnings: minted
            .warnings
            .iter()
            .take(8)
            .map(|warning| clip(warning, check::TEXT_MAX))
            .collect(),
    }
}

/// How long a version lives that takes the place of version `from`: as long as was approved, else as long as that one
/// was to live. `None` is for ever.
pub fn life(state: &State, credential: &Credential, from: u32) -> Option<Duration> {
    let version = credential.version(from)?;
    let approved = version
        .request
        .and_then(|request| state.requests.get(&request))
        .map(|request| seconds(request.granted_ttl_s()));
    approved.or_else(|| Some(version.expires_at? - version.created_at))
}

fn may_promote(
    rotation: &Rotation,
    credential: &Credential,
    now: DateTime<Utc>,
) -> Result<u32, Refusal> {
    let conflict = |detail| Err(Refusal::Conflict { detail });
    if credential.quarantined_at.is_some() || credential.revoked.is_some() {
        return conflict(format!("{} is out of service", credential.name));
    }
    if rotation.state != RotationState::Checking || rotation.checked_at.is_none() {
        return conflict(format!(
            "{} is {}: a version goes into use once it has passed its check",
            rotation.id, rotation.state
        ));
    }
    let accepted = rotation.to.filter(|to| {
        credential
            .version(*to)
            .is_some_and(|version| version.accepted(now))
    });
    match accepted {
        Some(to) => Ok(to),
        None => conflict("the newer version is no longer accepted".into()),
    }
}

/// The newer version goes into use, and the older one's overlap begins.
fn promotion(
    rotation: &Rotation,
    credential: &Credential,
    by: &str,
    now: DateTime<Utc>,
) -> Vec<Event> {
    let Some(to) = rotation.to else {
        return Vec::new();
    };
    let until = now + seconds(rotation.terms.overlap_s);
    let active = (credential.versions.iter())
        .find(|version| version.state == VersionState::Active && version.number != to);
    let overlaps = active.filter(|older| older.accepted(now));
    let mut events = Vec::new();
    events.extend(active.map(|older| {
        if overlaps.is_some() {
            Event::VersionRetiring {
                credential: credential.id,
                version: older.number,
                until,
            }
        } else {
            expired(credential, older)
        }
    }));
    events.push(Event::VersionPromoted {
        credential: credential.id,
        version: to,
    });
    let ended = credential
        .version(rotation.from)
        .and_then(Version::ends_at)
        .filter(|_| overlaps.is_none());
    events.push(Event::RotationPromoted {
        rotation: rotation.id,
        by: by.to_owned(),
        until: overlaps.map(|older| older.ends_at().map_or(until, |end| end.min(until))),
        gap_s: ended.map_or(0, |end| (now - end).num_seconds().max(0).cast_unsigned()),
    });
    if overlaps.is_none() {
        events.push(completed(rotation, "the older version was gone already"));
    }
    events
}

fn expired(credential: &Credential, version: &Version) -> Event {
    Event::VersionExpired {
        credential: credential.id,
        version: version.number,
    }
}

/// Version `number` is in use again; one whose life is over, and of which that is not recorded yet, makes room.
fn in_use_again(credential: &Credential, number: u32) -> Vec<Event> {
    let dead = (credential.versions.iter())
        .filter(|version| version.state == VersionState::Active && version.number != number);
    let mut events: Vec<_> = dead.map(|version| expired(credential, version)).collect();
    events.push(Event::VersionPromoted {
        credential: credential.id,
        version: number,
    });
    events
}

fn completed(rotation: &Rotation, reason: &str) -> Event {
    Event::RotationCompleted {
        rotation: rotation.id,
        reason: reason.to_owned(),
    }
}

fn handed_over(
    rotation: &Rotation,
    credential: &Credential,
    to: &str,
    now: DateTime<Utc>,
) -> Vec<Event> {
    let mut events = vec![Event::RotationHandedOver {
        rotation: rotation.id,
        to: to.to_owned(),
    }];
    if rotation.state.before_promotion() {
        events.extend(promotion(rotation, credential, to, now));
    }
    events
}

/// Whether `person` may take the newer secret: whoever acts for its client, answers for it, or had asked for it.
///
/// # Errors
/// Who may.
pub fn may_take(state: &State, credential: &Credential, person: &Operator) -> Result<(), Refusal> {
    let roles = &[Role::Requester, Role::Operator, Role::Admin];
    if !person.holds(credential.environment, roles) {
        return Err(Refusal::Role {
            needs: roles.iter().map(|role| role.as_str()).collect(),
            environment: credential.environment,
        });
    }
    let asked = credential
        .current()
        .and_then(|version| version.request)
        .and_then(|request| state.requests.get(&request))
        .is_some_and(|request| request.requester == person.id);
    if asked
        || person.client == Some(credential.client)
        || person.groups.contains(credential.owner.as_str())
        || person.name == *credential.owner
    {
        return Ok(());
    }
    Err(Refusal::Separation {
        rule: "own-credential",
        detail: format!(
            "the secret is for the team {}, for whoever acts for its client, or for who asked for it",
            credential.owner
        ),
    })
}

fn claim(state: &State, context: &Context, id: RotationId) -> Result<Vec<Event>, Refusal> {
    let asker = operator(state, context)?;
    let (held, credential) = find_any(state, id)?;
    may_take(state, credential, asker)?;
    if let Some(destination) = &credential.destination {
        return Err(Refusal::Conflict {
            detail: format!(
                "the secret is put at {destination}, and handed to nobody; read it there"
            ),
        });
    }
    fresh(context, id, held.sequence, &held.trail)?;
    if held.handed_at.is_some() {
        return Err(Refusal::AlreadyClaimed {
            request: id.to_string(),
        });
    }
    let alive = held
        .to
        .and_then(|to| credential.version(to))
        .is_some_and(|version| version.accepted(context.now));
    if held.state.before_promotion() {
        may_promote(held, credential, context.now)?;
    } else if !alive || credential.quarantined_at.is_some() {
        return Err(Refusal::Conflict {
            detail: format!("{id} is {}: there is no secret to take", held.state),
        });
    }
    Ok(handed_over(held, credential, &asker.name, context.now))
}
