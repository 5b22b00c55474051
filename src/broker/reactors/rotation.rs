//! Rotations, carried on step by step: made, sealed, tried; and the ends of overlaps, and what is due by cadence. A check
//! is repeated after a stop: it changes nothing.

use super::{
    super::engine::system_context,
    jitter,
    minting::{self, Purpose as _},
    moved,
    work::{Turn, Work},
};
use crate::{
    broker::{
        breaker::backoff,
        engine::{Engine, EngineError, fresh_bits},
        issuers::Configured,
        sealed::Sealed,
        tokens::About,
    },
    clock,
    domain::{
        Command, Credential, RevocationId, Rotation, RotationId, RotationState, State, Version,
        decide::{its_turn, life},
    },
    issuers::{IssueError, MintOrder},
    probes::ProbeOutcome,
    secret::SecretMaterial,
};
use chrono::TimeDelta;
use imbl::OrdSet;

mod handover;
mod overlaps;

pub(super) use overlaps::end_overlaps;

const PART: &str = "rotation";
/// How often a probe that does not answer is asked, within a quarter of a minute.
const TRIES: u32 = 6;
/// How soon something that waits for its turn looks again.
const TURN: TimeDelta = TimeDelta::seconds(1);
/// How many due rotations are begun in one commit.
const TOGETHER: usize = 64;
/// How many steps one turn takes at most.
const STEPS: usize = 4;

/// Rotations that the broker has something to do about.
pub(super) struct Rotating;

impl Work for Rotating {
    type Item = RotationId;
    const AT_ONCE: usize = 64;

    fn list(state: &State) -> &OrdSet<RotationId> {
        &state.rotations.to_do
    }

    async fn turn(engine: Engine, id: RotationId, failures: u32) -> Turn {
        // One step after the other while nothing is waited for.
        for _ in 0..STEPS {
            if !Self::list(&engine.state()).contains(&id) {
                break;
            }
            match step(&engine, id, failures).await {
                Ok(Turn::Done) => {}
                Ok(again) => return again,
                // What has changed under us (revoked, rolled back) is settled the next time.
                Err(EngineError::Refused(refusal)) => {
                    tracing::info!(rotation = %id, %refusal, "a step was refused");
                    return Turn::later(failures + 1);
                }
                Err(EngineError::Unavailable { .. }) => return Turn::later(failures + 1),
            }
        }
        Turn::Done
    }
}

fn fresh_revocation() -> RevocationId {
    RevocationId::from_bits(fresh_bits(clock::now()))
}

async fn submit(engine: &Engine, command: Command) -> Result<Turn, EngineError> {
    engine
        .submit(command, system_context(PART, clock::now()))
        .await?;
    Ok(Turn::Done)
}

async fn step(engine: &Engine, id: RotationId, failures: u32) -> Result<Turn, EngineError> {
    let state = engine.state();
    let Some(rotation) = state.rotations.all.get(&id) else {
        return Ok(Turn::Done);
    };
    let Some(credential) = state.credentials.get(&rotation.credential) else {
        return Ok(Turn::Done);
    };
    if rotation.out_of_step(credential) {
        let command = Command::SettleRotation {
            rotation: id,
            revocation: fresh_revocation(),
        };
        engine.sealed().keep(Sealed::forget(id)).await?;
        return submit(engine, command).await;
    }
    let Some(issuer) = engine.issuers().get(&credential.issuer).cloned() else {
        let reason = format!("no issuer named {} is configured", credential.issuer);
        let (id, attempt) = (rotation.id, rotation.attempts);
        if rotation.state == RotationState::Due {
            return minting::fail_unstarted(engine, id, attempt + 1, &reason).await;
        }
        return submit(engine, id.failed(attempt, reason, true)).await;
    };
    match rotation.state {
        RotationState::Due => {
            if its_turn(&state, rotation, credential).is_err() {
                return Ok(Turn::Again(clock::now() + TURN));
            }
            let attempt = rotation.attempts + 1;
            let mut order = order(&state, rotation, credential, attempt);
            let about = About {
                audience: &credential.audience,
                client: credential.client,
                environment: credential.environment,
                scopes: (credential.scopes.iter())
                    .map(ToString::to_string)
                    .collect(),
            };
            match engine.tokens().order(&state, &issuer, &about, clock::now()) {
                Ok(token) => order.token = token,
                Err(trouble) => return Ok(minting::away(&issuer, id, trouble)),
            }
            minting::begin(engine, &issuer, id, attempt, &order, failures).await
        }
        RotationState::Minting => {
            let (attempt, locator) = (rotation.attempts, &rotation.attempt_locator);
            minting::resume(engine, &issuer, id, attempt, locator).await
        }
        RotationState::Warm => {
            let by = issuer.name.clone();
            submit(engine, Command::StartCheck { rotation: id, by }).await
        }
        RotationState::Checking if rotation.checked_at.is_some() => match &credential.destination {
            Some(to) => handover::deliver(engine, rotation, credential, to, failures).await,
            None => Ok(Turn::Done),
        },
        RotationState::Overlapping => match &credential.destination {
            Some(to) if rotation.handed_at.is_none() => {
                handover::deliver(engine, rotation, credential, to, failures).await
            }
            to => handover::put_back(engine, rotation, credential, to.as_deref(), failures).await,
        },
        RotationState::Checking => check(engine, &issuer, rotation, credential, failures).await,
        _ => Ok(Turn::Done),
    }
}

/// What the issuer is asked for: what the older version was approved as.
fn order(state: &State, rotation: &Rotation, credential: &Credential, attempt: u32) -> MintOrder {
    let seconds = life(state, credential, rotation.from)
        .map_or(crate::domain::check::TTL_MAX_S, |life| {
            life.num_seconds().max(1).cast_unsigned()
        });
    MintOrder {
        attempt_key: format!("{}/{attempt}", rotation.id),
        request_id: rotation.id.to_string(),
        credential: credential.name.to_string(),
        role: if credential.role.is_empty() {
            credential.environment.short().to_ascii_lowercase()
        } else {
            credential.role.to_string()
        },
        ttl_s: seconds,
        max_ttl_s: seconds,
        token: None,
    }
}

/// Tries the newer version: the secret that waits for its taker is opened, is what the log says, and is accepted here;
/// and its issuer, where it can tell, says that it works there.
async fn check(
    engine: &Engine,
    issuer: &Configured,
    rotation: &Rotation,
    credential: &Credential,
    failures: u32,
) -> Result<Turn, EngineError> {
    let version = rotation.to.and_then(|to| credential.version(to));
    let Some(version) = version else {
        return Ok(Turn::Done);
    };
    let Some(secret) = engine.sealed().open(rotation.id).await? else {
        let reason = "its secret is not here to be taken".to_owned();
        return check_failed(engine, rotation.id, reason).await;
    };
    let mut seen = match accepted_here(engine, credential, version, &secret) {
        Ok(seen) => vec![seen.to_owned()],
        Err(reason) => return check_failed(engine, rotation.id, reason.to_owned()).await,
    };
    if !version.locator.is_empty() {
        match issuer.issuer.probe(&version.locator, &secret).await {
            Ok(there) => seen.extend(there),
            Err(error @ IssueError::Unavailable { .. }) => {
                issuer.heard(Some(error.to_string()));
                return Ok(Turn::later(failures + 1));
            }
            Err(error) => return check_failed(engine, rotation.id, error.to_string()).await,
        }
    }
    if let Some(configured) = engine.probes().of(&credential.name, credential.environment) {
        let name = &configured.name;
        match configured.probe.probe(&secret).await {
            ProbeOutcome::Passed { seen: there } => seen.push(format!("{name}: {there}")),
            ProbeOutcome::Failed { reason } => {
                let reason = format!("it did not pass the probe {name}: {reason}");
                return check_failed(engine, rotation.id, reason).await;
            }
            // That nobody answers says nothing about the version; but one that nobody can try never goes into use.
            ProbeOutcome::NoAnswer { reason } if failures + 1 >= TRIES => {
                let reason = format!("the probe {name} had no answer: {reason}");
                return check_failed(engine, rotation.id, reason).await;
            }
            ProbeOutcome::NoAnswer { reason } => {
                tracing::info!(rotation = %rotation.id, probe = name, reason, "a probe had no answer");
                return Ok(Turn::later(failures + 1));
            }
        }
    }
    let checked = Command::RecordChecked {
        rotation: rotation.id,
        seen: seen.join("; "),
    };
    submit(engine, checked).await
}

/// What an enforcement point would be told of the secret that waits for its taker.
fn accepted_here(
    engine: &Engine,
    credential: &Credential,
    version: &Version,
    secret: &SecretMaterial,
) -> Result<&'static str, &'static str> {
    if !version.accepted(clock::now()) {
        return Err("it is not accepted here");
    }
    let Some(wanted) = version.digest else {
        return Ok("its secret is here to be taken");
    };
    if secret.digest() != wanted {
        return Err("its secret is not the one that the log knows");
    }
    match engine.state().credential_of(&wanted) {
        Some((held, number)) if held.id == credential.id && number == version.number => {
            Ok("accepted here")
        }
        _ => Err("it is not known here by its digest"),
    }
}

async fn check_failed(
    engine: &Engine,
    rotation: RotationId,
    reason: String,
) -> Result<Turn, EngineError> {
    tracing::warn!(%rotation, reason, "the newer version did not pass its check");
    engine.sealed().keep(Sealed::forget(rotation)).await?;
    let command = Command::RecordCheckFailed {
        rotation,
        reason,
        revocation: fresh_revocation(),
    };
    submit(engine, command).await
}

/// Keeps the log's table of rotation that of the policy in force, until the broker stops.
pub(super) async fn keep_rules(engine: Engine) {
    let mut failures = 0;
    loop {
        let state = engine.state();
        let again = match outdated(&engine, &state) {
            None => None,
            Some(command) => match submit(&engine, command).await {
                Ok(_) => {
                    failures = 0;
                    None
                }
                Err(error) => {
                    tracing::warn!(%error, "the policy's table of rotation could not be recorded");
                    failures += 1;
                    Some(clock::now() + backoff(failures, jitter()))
                }
            },
        };
        if !moved(&engine, state.sequence, again).await {
            return;
        }
    }
}

/// Records the table of the policy in force once. What cannot be recorded now is by `keep_rules`.
pub async fn set_rules(engine: &Engine) {
    if let Some(command) = outdated(engine, &engine.state())
        && let Err(error) = submit(engine, command).await
    {
        tracing::warn!(%error, "the policy's table of rotation could not be recorded yet");
    }
}

/// The command that sets the table, if the one that counts is of another policy or of other issuers.
fn outdated(engine: &Engine, state: &State) -> Option<Command> {
    let rules = engine.policies().rotation(state, engine.issuers())?;
    let held = state.rotations.rules();
    let same = held.is_some_and(|(held, _)| **held == rules);
    (!same).then(|| Command::SetRotationRules(Box::new(rules)))
}

/// Begins what is due by cadence, until the broker stops.
pub(super) async fn begin_due(engine: Engine) {
    loop {
        let state = engine.state();
        let now = clock::now();
        let due = state.rotations.due.get_min().map(|(at, _)| *at);
        let mut next = due;
        if due.is_some_and(|at| at <= now) {
            let ids = (0..TOGETHER)
                .map(|_| RotationId::from_bits(fresh_bits(now)))
                .collect();
            if let Err(error) = submit(&engine, Command::RotateDue { ids }).await {
                tracing::warn!(%error, "what is due could not be begun");
            }
            // What is due still waits for room, or for a request that makes a version of it.
            next = Some(now + TURN);
        }
        if !moved(&engine, state.sequence.max(engine.state().sequence), next).await {
            return;
        }
    }
}
