//! Expiries, lapses and ends of overlaps, settled when they are due.

use super::{super::engine::system_context, moved};
use crate::{
    broker::{
        breaker::backoff,
        engine::{Engine, fresh_bits},
    },
    clock,
    domain::{Command, RevocationId},
};
use chrono::{DateTime, Utc};

const PART: &str = "expiry";

/// Runs until the broker stops.
pub async fn run(engine: Engine) {
    let mut failures = 0;
    loop {
        let state = engine.state();
        let now = clock::now();
        let due = state.due.get_min().map(|(at, _)| *at);
        if due.is_some_and(|at| at <= now) {
            // A sweep that settled nothing is a failure too: repeated at once it would never end.
            if sweep(&engine, now).await && engine.state().sequence > state.sequence {
                failures = 0;
                continue;
            }
            failures += 1;
            if !moved(
                &engine,
                state.sequence,
                Some(now + backoff(failures, super::jitter())),
            )
            .await
            {
                return;
            }
        } else if !moved(&engine, state.sequence, due).await {
            return;
        }
    }
}

/// Settles what is due at `now`. Returns whether that went well.
pub async fn sweep(engine: &Engine, now: DateTime<Utc>) -> bool {
    let revocations = (0..Command::SWEEP_LIMIT)
        .map(|_| RevocationId::from_bits(fresh_bits(now)))
        .collect();
    match engine
        .submit(Command::Sweep { revocations }, system_context(PART, now))
        .await
    {
        Ok(_) => true,
        Err(error) => {
            tracing::warn!(%error, "what is due could not be settled");
            false
        }
    }
}
