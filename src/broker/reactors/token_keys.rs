//! The keys that sign tokens: each is published before it signs, replaced when its time is over, and forgotten once
//! nothing that it signed is left.

use super::{super::engine::system_context, jitter, moved};
use crate::{
    broker::{
        breaker::backoff,
        engine::{Engine, EngineError},
        tokens::{KeyKind, Settings},
    },
    clock,
    domain::{
        Command, NewTokenKey, TokenKey,
        token_key::{KeyStep, next_step},
    },
    jose::RingError,
};
use chrono::{DateTime, Utc};
use std::sync::Arc;

const PART: &str = "token-keys";
/// How many steps are taken in one go at most: each kind of key needs a few.
const STEPS: usize = 16;

/// Why a step was not taken.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error(transparent)]
    Ring(#[from] RingError),
    #[error(transparent)]
    Engine(#[from] EngineError),
    #[error("the task ended before its time")]
    Task,
}

/// Runs until the broker stops.
pub async fn run(engine: Engine) {
    let mut failures = 0;
    loop {
        let state = engine.state();
        let again = match steps(&engine).await {
            Ok(again) => {
                failures = 0;
                again
            }
            Err(error) => {
                tracing::error!(%error, "the keys that sign tokens could not be seen to");
                failures += 1;
                Some(clock::now() + backoff(failures, jitter()))
            }
        };
        if !moved(&engine, state.sequence.max(engine.state().sequence), again).await {
            return;
        }
    }
}

/// Takes what steps are due, once: so that a broker that starts can sign before it is asked to.
pub async fn advance(engine: &Engine) {
    if let Err(error) = steps(engine).await {
        tracing::error!(%error, "the keys that sign tokens could not be seen to yet");
    }
}

/// Takes what steps are due. Returns when the next one is.
async fn steps(engine: &Engine) -> Result<Option<DateTime<Utc>>, Trouble> {
    let Some(settings) = engine.tokens().settings() else {
        return Ok(None);
    };
    let mut next: Option<DateTime<Utc>> = None;
    for kind in &settings.kinds {
        let at = step(engine, settings, *kind).await?;
        next = Some(next.map_or(at, |next| next.min(at)));
    }
    Ok(next)
}

async fn step(
    engine: &Engine,
    settings: &Settings,
    kind: KeyKind,
) -> Result<DateTime<Utc>, Trouble> {
    let ring = engine.tokens().ring();
    for _ in 0..STEPS {
        let (state, now) = (engine.state(), clock::now());
        let (purpose, algorithm) = kind;
        let keys = state.tokens.of(purpose, algorithm).map(AsRef::as_ref);
        let keys: Vec<&TokenKey> = keys.collect();
        let step = next_step(keys.into_iter(), settings.rules, |kid| ring.has(kid), now);
        let command = match step {
            KeyStep::Wait(at) => return Ok(at),
            KeyStep::Use(kid) => Command::UseTokenKey { kid },
            KeyStep::Withdraw(kid) => {
                ring.remove(&kid)?;
                Command::WithdrawTokenKey { kid }
            }
            KeyStep::Publish(use_from) => {
                let ring = Arc::clone(ring);
                let made = tokio::task::spawn_blocking(move || ring.create(algorithm));
                let key = made.await.map_err(|_| Trouble::Task)??;
                Command::PublishTokenKey(Box::new(NewTokenKey {
                    kid: key.kid().to_owned(),
                    purpose,
                    algorithm,
                    public: key.public().clone(),
                    use_from,
                }))
            }
        };
        let made = match &command {
            Command::PublishTokenKey(key) => Some(key.kid.clone()),
            _ => None,
        };
        let outcome = engine.submit(command, system_context(PART, now)).await;
        // What may yet be in the log is kept; what the rules do not want is not.
        if let (Err(EngineError::Refused(_)), Some(kid)) = (&outcome, &made) {
            ring.remove(kid)?;
        }
        outcome?;
    }
    Ok(clock::now() + backoff(1, jitter()))
}
