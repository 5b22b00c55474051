//! One attempt at a secret, whatever it is for: prepared, logged, minted, sealed, recorded.
//!
//! The order is what keeps a crash harmless. Where the secret is made elsewhere, the attempt and the place where
//! everything it makes can be found are in the log before anything is made; the made secret is sealed before its
//! event is written. After a start an attempt that had come as far as the sealed secret is recorded, any other is
//! abandoned at the issuer and begun anew.

use super::{super::engine::system_context, jitter, work::Turn};
use crate::{
    broker::{
        engine::{Engine, EngineError, fresh_bits},
        issuers::Configured,
        sealed::{MadeFor, Sealed},
    },
    clock,
    domain::{
        Command, CredentialId, MintedVersion, RequestId, RequestState, RevocationId, RotationId,
        RotationState, State,
    },
    issuers::{IssueError, Locator, MintOrder, Minted, Prepared, RevokeOutcome},
    secret::SecretMaterial,
};
use std::fmt::Display;

/// After how many failed attempts a person has to look.
const ATTEMPTS: u32 = 8;
/// However often a system was away, it is waited for.
const NEVER: u32 = u32::MAX;
/// The longest reason of a failure that is recorded, in characters.
const REASON_MAX: usize = 500;

/// What a secret is made for, and how the log tells of it.
pub(super) trait Purpose: Copy + Display + Into<MadeFor> + Send + Sync {
    /// Which part of the broker acts.
    const PART: &'static str;

    /// An attempt begins.
    fn start(self, attempt: u32, locator: Locator) -> Command;
    /// It came to nothing.
    fn failed(self, attempt: u32, reason: String, last: bool) -> Command;
    /// The secret is made.
    fn minted(self, attempt: u32, minted: MintedVersion) -> Command;
    /// What follows at once where there is nobody else to wait for.
    fn followed(self, _issuer: &str) -> Option<Command> {
        None
    }
    /// Whether that attempt is under way.
    fn in_attempt(self, state: &State, attempt: u32) -> bool;
}

impl Purpose for RequestId {
    const PART: &'static str = "issuance";

    fn start(self, attempt: u32, locator: Locator) -> Command {
        Command::StartIssuance {
            request: self,
            attempt,
            locator,
        }
    }

    fn failed(self, attempt: u32, reason: String, last: bool) -> Command {
        Command::RecordIssuanceFailed {
            request: self,
            attempt,
            reason,
            last,
        }
    }

    fn minted(self, attempt: u32, minted: MintedVersion) -> Command {
        Command::RecordMinted {
            request: self,
            attempt,
            credential: CredentialId::from_bits(fresh_bits(clock::now())),
            minted: Box::new(minted),
        }
    }

    fn in_attempt(self, state: &State, attempt: u32) -> bool {
        (state.requests.get(&self))
            .is_some_and(|held| held.state == RequestState::Issuing && held.attempts == attempt)
    }
}

impl Purpose for RotationId {
    const PART: &'static str = "rotation";

    fn start(self, attempt: u32, locator: Locator) -> Command {
        Command::StartMinting {
            rotation: self,
            attempt,
            locator,
        }
    }

    fn failed(self, attempt: u32, reason: String, last: bool) -> Command {
        Command::RecordMintingFailed {
            rotation: self,
            attempt,
            reason,
            last,
            revocation: RevocationId::from_bits(fresh_bits(clock::now())),
        }
    }

    fn minted(self, attempt: u32, minted: MintedVersion) -> Command {
        Command::RecordRotationMinted {
            rotation: self,
            attempt,
            minted: Box::new(minted),
        }
    }

    fn followed(self, issuer: &str) -> Option<Command> {
        Some(Command::StartCheck {
            rotation: self,
            by: issuer.to_owned(),
        })
    }

    fn in_attempt(self, state: &State, attempt: u32) -> bool {
        (state.rotations.all.get(&self))
            .is_some_and(|held| held.state == RotationState::Minting && held.attempts == attempt)
    }
}

async fn submit<P: Purpose>(engine: &Engine, command: Command) -> Result<(), EngineError> {
    let context = system_context(P::PART, clock::now());
    engine.submit(command, context).await.map(|_| ())
}

/// Records what nobody can make as failed, by way of an attempt, so that a person sees why.
pub(super) async fn fail_unstarted<P: Purpose>(
    engine: &Engine,
    made_for: P,
    attempt: u32,
    reason: &str,
) -> Result<Turn, EngineError> {
    let commands = vec![
        made_for.start(attempt, Locator::new()),
        made_for.failed(attempt, clip(reason), true),
    ];
    let context = system_context(P::PART, clock::now());
    engine.submit_all(commands, context, Vec::new()).await?;
    Ok(Turn::Done)
}

/// Makes attempt number `attempt`, of which nothing exists yet.
pub(super) async fn begin<P: Purpose>(
    engine: &Engine,
    issuer: &Configured,
    made_for: P,
    attempt: u32,
    order: &MintOrder,
    failures: u32,
) -> Result<Turn, EngineError> {
    if !issuer.issuer.capabilities().elsewhere {
        return mint_here(engine, issuer, made_for, attempt, order).await;
    }
    if !issuer.breaker.lock().admit(clock::now()) {
        return Ok(Turn::later(failures + 1));
    }
    // After a failure an attempt, and its leaves, are worth it only once all that it needs is back.
    let failing = issuer.breaker.lock().failures() > 0;
    if failing && let Err(trouble) = issuer.issuer.ready().await {
        return Ok(away(issuer, made_for, &trouble.to_string()));
    }
    let prepared = match issuer.issuer.prepare(order).await {
        Ok(prepared) => prepared,
        Err(error @ IssueError::Refused { .. }) => {
            // It answered: others need not wait for it.
            issuer.breaker.lock().succeeded();
            return fail_unstarted(engine, made_for, attempt, &error.to_string()).await;
        }
        Err(error) => return Ok(away(issuer, made_for, &error.to_string())),
    };
    let locator = prepared.locator.clone();
    if let Err(error) = submit::<P>(engine, made_for.start(attempt, locator.clone())).await {
        // Not logged, so nothing may be made: give back what was prepared.
        if let Err(left) = issuer.issuer.revoke(&locator).await {
            tracing::warn!(%made_for, %left, "a prepared attempt is left to reconciliation");
        }
        return Err(error);
    }
    let started = std::time::Instant::now();
    match issuer.issuer.mint(order, prepared).await {
        Ok(minted) => {
            issuer.breaker.lock().succeeded();
            issuer.heard(None);
            metrics::histogram!("countersign_mint_seconds", "issuer" => issuer.name.clone())
                .record(started.elapsed().as_secs_f64());
            let (minted, secret) = split(minted);
            let sealed = engine.sealed();
            sealed
                .keep(sealed.put(made_for, attempt, &minted, &secret))
                .await?;
            record(engine, issuer, made_for, attempt, minted).await
        }
        Err(error) => {
            tracing::warn!(%made_for, attempt, %error, "an attempt failed");
            let reason = error.to_string();
            let most = match error {
                IssueError::Refused { .. } => {
                    issuer.breaker.lock().succeeded();
                    issuer.heard(None);
                    submit::<P>(engine, made_for.failed(attempt, clip(&reason), true)).await?;
                    return Ok(Turn::Done);
                }
                IssueError::Unavailable { .. } => NEVER,
                IssueError::Unknown { .. } => ATTEMPTS,
            };
            issuer.heard(Some(reason.clone()));
            let until = issuer.breaker.lock().failed(clock::now(), jitter());
            let turn = abandon(engine, issuer, made_for, attempt, &locator, &reason, most).await?;
            Ok(match turn {
                Turn::Done => turn,
                Turn::Again(at) => Turn::Again(at.max(until)),
            })
        }
    }
}

/// What is made here and now has no outside effect to be logged first: one commit for all of it.
async fn mint_here<P: Purpose>(
    engine: &Engine,
    issuer: &Configured,
    made_for: P,
    attempt: u32,
    order: &MintOrder,
) -> Result<Turn, EngineError> {
    let minted = match issuer.issuer.mint(order, Prepared::nothing()).await {
        Ok(minted) => minted,
        Err(error) => {
            tracing::error!(%made_for, %error, "a secret could not be made here");
            return Ok(Turn::later(attempt));
        }
    };
    let (minted, secret) = split(minted);
    let side = vec![engine.sealed().put(made_for, attempt, &minted, &secret)];
    let mut commands = vec![
        made_for.start(attempt, Locator::new()),
        made_for.minted(attempt, minted),
    ];
    commands.extend(made_for.followed(&issuer.name));
    let context = system_context(P::PART, clock::now());
    engine.submit_all(commands, context, side).await?;
    Ok(Turn::Done)
}

/// Carries on after a stop in mid-attempt.
pub(super) async fn resume<P: Purpose>(
    engine: &Engine,
    issuer: &Configured,
    made_for: P,
    attempt: u32,
    locator: &Locator,
) -> Result<Turn, EngineError> {
    if let Some(minted) = engine.sealed().made(made_for, attempt).await? {
        return record(engine, issuer, made_for, attempt, minted).await;
    }
    let reason = "the broker stopped in mid-attempt";
    abandon(engine, issuer, made_for, attempt, locator, reason, ATTEMPTS).await
}

async fn record<P: Purpose>(
    engine: &Engine,
    issuer: &Configured,
    made_for: P,
    attempt: u32,
    minted: MintedVersion,
) -> Result<Turn, EngineError> {
    let locator = minted.locator.clone();
    match submit::<P>(engine, made_for.minted(attempt, minted)).await {
        Ok(()) => Ok(Turn::Done),
        Err(EngineError::Refused(refusal)) => {
            // Revoked, rolled back, or no longer approved by enough people, while the version was made: it must not
            // live on at its issuer.
            engine.sealed().keep(Sealed::forget(made_for)).await?;
            let reason = refusal.to_string();
            abandon(engine, issuer, made_for, attempt, &locator, &reason, 0).await
        }
        Err(error) => Err(error),
    }
}

/// Withdraws whatever an attempt may have made, then records that it failed; for good, if it was number `most`.
async fn abandon<P: Purpose>(
    engine: &Engine,
    issuer: &Configured,
    made_for: P,
    attempt: u32,
    locator: &Locator,
    reason: &str,
    most: u32,
) -> Result<Turn, EngineError> {
    if !locator.is_empty() {
        match issuer.issuer.revoke(locator).await {
            Ok(RevokeOutcome::Revoked { .. } | RevokeOutcome::NothingToDo) => {}
            Ok(RevokeOutcome::Failed { reason }) => {
                tracing::warn!(%made_for, reason, "an abandoned attempt could not be withdrawn yet");
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
    if !made_for.in_attempt(&engine.state(), attempt) {
        // It ended while the attempt was under way: what the attempt had made is gone, and nothing is left to record.
        return Ok(Turn::Done);
    }
    let last = attempt >= most;
    submit::<P>(engine, made_for.failed(attempt, clip(reason), last)).await?;
    Ok(if last {
        Turn::Done
    } else {
        Turn::later(attempt)
    })
}

/// It stays as it is and waits; nothing was begun that the log would have to tell.
pub(super) fn away(issuer: &Configured, made_for: impl Display, trouble: &str) -> Turn {
    issuer.heard(Some(trouble.to_owned()));
    let until = issuer.breaker.lock().failed(clock::now(), jitter());
    tracing::warn!(%made_for, trouble, "the issuer is away; it is waited for");
    Turn::Again(until)
}

fn clip(reason: &str) -> String {
    reason.chars().take(REASON_MAX).collect()
}

fn split(minted: Minted) -> (MintedVersion, SecretMaterial) {
    let version = MintedVersion {
        digest: minted.digest,
        locator: minted.locator,
        expires_at: minted.expires_at,
        warnings: minted.warnings,
    };
    (version, minted.secret)
}
