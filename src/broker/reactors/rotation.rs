//! Rotations, carried on step by step: made, sealed, tried; and the ends of overlaps, and what is due by cadence.
//!
//! As with issuance, the order keeps a crash harmless. Where the secret is made elsewhere, the attempt and the place
//! where all that it makes can be found are in the log before anything is made; the made secret is sealed before its
//! event is written. After a start an attempt that had come as far as the sealed secret is recorded, any other is
//! abandoned at the issuer and begun anew. A check is repeated: it changes nothing.

use super::{
    super::engine::system_context,
    issuance::{ATTEMPTS, split},
    jitter, moved,
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
        Command, Credential, MintedVersion, RevocationId, Rotation, RotationId, RotationState,
        State, Version,
        decide::{its_turn, life},
    },
    issuers::{IssueError, Locator, MintOrder, Prepared, RevokeOutcome},
    probes::ProbeOutcome,
    secret::SecretMaterial,
};
use chrono::TimeDelta;
use imbl::OrdSet;
use std::sync::Arc;

mod handover;
mod overlaps;

pub(super) use overlaps::end_overlaps;

const PART: &str = "rotation";
/// However often a system was away, the rotation waits for it until its time is over.
const NEVER: u32 = u32::MAX;
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
        return fail_unstarted(engine, rotation, reason).await;
    };
    match rotation.state {
        RotationState::Due => {
            if its_turn(&state, rotation, credential).is_err() {
                return Ok(Turn::Again(clock::now() + TURN));
            }
            begin(engine, &issuer, rotation, credential, failures).await
        }
        RotationState::Minting => resume(engine, &issuer, rotation).await,
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

/// Records what nobody can make as failed, by way of an attempt, so that a person sees why.
async fn fail_unstarted(
    engine: &Engine,
    rotation: &Rotation,
    reason: String,
) -> Result<Turn, EngineError> {
    if rotation.state != RotationState::Due {
        return failed(engine, rotation.id, rotation.attempts, reason, true).await;
    }
    let attempt = rotation.attempts + 1;
    let commands = vec![
        Command::StartMinting {
            rotation: rotation.id,
            attempt,
            locator: Locator::new(),
        },
        Command::RecordMintingFailed {
            rotation: rotation.id,
            attempt,
            reason,
            last: true,
            revocation: fresh_revocation(),
        },
    ];
    engine
        .submit_all(commands, system_context(PART, clock::now()), Vec::new())
        .await?;
    Ok(Turn::Done)
}

async fn failed(
    engine: &Engine,
    rotation: RotationId,
    attempt: u32,
    reason: String,
    last: bool,
) -> Result<Turn, EngineError> {
    let command = Command::RecordMintingFailed {
        rotation,
        attempt,
        reason: reason.chars().take(500).collect(),
        last,
        revocation: fresh_revocation(),
    };
    submit(engine, command).await
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

async fn begin(
    engine: &Engine,
    issuer: &Arc<Configured>,
    rotation: &Rotation,
    credential: &Credential,
    failures: u32,
) -> Result<Turn, EngineError> {
    let attempt = rotation.attempts + 1;
    let mut order = order(&engine.state(), rotation, credential, attempt);
    let about = About {
        audience: &credential.audience,
        client: credential.client,
        environment: credential.environment,
        scopes: (credential.scopes.iter())
            .map(ToString::to_string)
            .collect(),
    };
    let token = engine
        .tokens()
        .order(&engine.state(), issuer, &about, clock::now());
    match token {
        Ok(token) => order.token = token,
        Err(trouble) => return Ok(away(issuer, rotation, trouble)),
    }
    if !issuer.issuer.capabilities().has_leases {
        return mint_here(engine, issuer, rotation.id, attempt, &order).await;
    }
    if !issuer.breaker.lock().admit(clock::now()) {
        return Ok(Turn::later(failures + 1));
    }
    // After a failure an attempt, and its leaves, are worth it only once all that it needs is back.
    let failing = issuer.breaker.lock().failures() > 0;
    if failing && let Err(trouble) = issuer.issuer.ready().await {
        return Ok(away(issuer, rotation, &trouble.to_string()));
    }
    let prepared = match issuer.issuer.prepare(&order).await {
        Ok(prepared) => prepared,
        Err(error @ IssueError::Refused { .. }) => {
            issuer.breaker.lock().succeeded();
            return fail_unstarted(engine, rotation, error.to_string()).await;
        }
        Err(error) => return Ok(away(issuer, rotation, &error.to_string())),
    };
    let locator = prepared.locator.clone();
    let start = Command::StartMinting {
        rotation: rotation.id,
        attempt,
        locator: locator.clone(),
    };
    if let Err(error) = submit(engine, start).await {
        // Not logged, so nothing may be made: give back what was prepared.
        if let Err(left) = issuer.issuer.revoke(&locator).await {
            tracing::warn!(rotation = %rotation.id, %left, "a prepared attempt is left to reconciliation");
        }
        return Err(error);
    }
    match issuer.issuer.mint(&order, prepared).await {
        Ok(minted) => {
            issuer.breaker.lock().succeeded();
            issuer.heard(None);
            let (minted, secret) = split(minted);
            let sealed = engine.sealed();
            sealed
                .keep(sealed.put(rotation.id, attempt, &minted, &secret))
                .await?;
            record(engine, issuer, rotation.id, attempt, minted).await
        }
        Err(error) => {
            tracing::warn!(rotation = %rotation.id, attempt, %error, "an attempt failed");
            let most = match error {
                IssueError::Refused { .. } => {
                    // It answered: others need not wait for it.
                    issuer.breaker.lock().succeeded();
                    issuer.heard(None);
                    return failed(engine, rotation.id, attempt, error.to_string(), true).await;
                }
                IssueError::Unavailable { .. } => NEVER,
                IssueError::Unknown { .. } => ATTEMPTS,
            };
            issuer.heard(Some(error.to_string()));
            let until = issuer.breaker.lock().failed(clock::now(), jitter());
            let reason = error.to_string();
            abandon(
                engine,
                issuer,
                rotation.id,
                attempt,
                &locator,
                &reason,
                most,
            )
            .await?;
            Ok(Turn::Again(until))
        }
    }
}

/// What is made here and now has no outside effect to be logged first: one commit for all of it.
async fn mint_here(
    engine: &Engine,
    issuer: &Configured,
    rotation: RotationId,
    attempt: u32,
    order: &MintOrder,
) -> Result<Turn, EngineError> {
    let minted = match issuer.issuer.mint(order, Prepared::nothing()).await {
        Ok(minted) => minted,
        Err(error) => {
            tracing::error!(%rotation, %error, "a secret could not be made here");
            return Ok(Turn::later(attempt));
        }
    };
    let (minted, secret) = split(minted);
    let side = vec![engine.sealed().put(rotation, attempt, &minted, &secret)];
    let commands = vec![
        Command::StartMinting {
            rotation,
            attempt,
            locator: Locator::new(),
        },
        Command::RecordRotationMinted {
            rotation,
            attempt,
            minted: Box::new(minted),
        },
        Command::StartCheck {
            rotation,
            by: issuer.name.clone(),
        },
    ];
    engine
        .submit_all(commands, system_context(PART, clock::now()), side)
        .await?;
    Ok(Turn::Done)
}

/// Carries on after a stop in mid-attempt.
async fn resume(
    engine: &Engine,
    issuer: &Configured,
    rotation: &Rotation,
) -> Result<Turn, EngineError> {
    let attempt = rotation.attempts;
    if let Some(minted) = engine.sealed().made(rotation.id, attempt).await? {
        return record(engine, issuer, rotation.id, attempt, minted).await;
    }
    let reason = "the broker stopped in mid-attempt";
    let locator = &rotation.attempt_locator;
    abandon(
        engine,
        issuer,
        rotation.id,
        attempt,
        locator,
        reason,
        ATTEMPTS,
    )
    .await
}

async fn record(
    engine: &Engine,
    issuer: &Configured,
    rotation: RotationId,
    attempt: u32,
    minted: MintedVersion,
) -> Result<Turn, EngineError> {
    let locator = minted.locator.clone();
    let command = Command::RecordRotationMinted {
        rotation,
        attempt,
        minted: Box::new(minted),
    };
    match submit(engine, command).await {
        Err(EngineError::Refused(refusal)) => {
            // Rolled back or revoked while the version was made: it must not live on at its issuer.
            engine.sealed().keep(Sealed::forget(rotation)).await?;
            let reason = refusal.to_string();
            abandon(engine, issuer, rotation, attempt, &locator, &reason, 0).await
        }
        other => other,
    }
}

/// Withdraws whatever an attempt may have made, then records that it failed; for good, if it was number `most`.
async fn abandon(
    engine: &Engine,
    issuer: &Configured,
    rotation: RotationId,
    attempt: u32,
    locator: &Locator,
    reason: &str,
    most: u32,
) -> Result<Turn, EngineError> {
    if !locator.is_empty() {
        match issuer.issuer.revoke(locator).await {
            Ok(RevokeOutcome::Revoked { .. } | RevokeOutcome::NothingToDo) => {}
            Ok(RevokeOutcome::Failed { reason }) => {
                tracing::warn!(%rotation, reason, "an abandoned attempt could not be withdrawn yet");
                return Ok(Turn::later(6));
            }
            Err(error) => {
                issuer.heard(Some(error.to_string()));
                return Ok(Turn::Again(
                    issuer.breaker.lock().failed(clock::now(), jitter()),
                ));
            }
        }
    }
    let under_way = (engine.state().rotations.all.get(&rotation))
        .is_some_and(|held| held.state == RotationState::Minting && held.attempts == attempt);
    if !under_way {
        // It ended while the attempt was under way: what the attempt had made is gone, and nothing is left to record.
        return Ok(Turn::Done);
    }
    failed(
        engine,
        rotation,
        attempt,
        reason.to_owned(),
        attempt >= most,
    )
    .await
}

fn away(issuer: &Configured, rotation: &Rotation, trouble: &str) -> Turn {
    issuer.heard(Some(trouble.to_owned()));
    let until = issuer.breaker.lock().failed(clock::now(), jitter());
    tracing::warn!(rotation = %rotation.id, trouble, "the issuer is away; the rotation waits");
    Turn::Again(until)
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
        match issuer.issuer.probe(&version.locator).await {
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
