//! Use, counted beside the log and rolled up into it once an hour: never a leaf a call.

use super::super::engine::system_context;
use crate::{
    broker::engine::{Engine, EngineError},
    clock,
    domain::Command,
};
use chrono::{DateTime, DurationRound, TimeDelta, Utc};

const PART: &str = "usage";
/// How many credentials one leaf speaks of: it stays well below the log's 65,535 bytes.
const ENTRIES: usize = 300;

/// Runs until the broker stops, and then rolls up what there is.
pub async fn run(engine: Engine) {
    loop {
        let now = clock::now();
        let next = hour(now) + TimeDelta::hours(1);
        let wait = (next - now).to_std().unwrap_or_default();
        let stopping = tokio::select! {
            () = engine.winding_down().cancelled() => true,
            () = tokio::time::sleep(wait) => false,
        };
        if stopping {
            return;
        }
        if let Err(error) = roll_up(&engine, hour(clock::now()) - TimeDelta::hours(1)).await {
            tracing::warn!(%error, "an hour's use could not be rolled up; it is kept for the next");
        }
    }
}

/// Writes what was counted as the use of `hour`. What could not be written is counted again.
///
/// # Errors
/// [`EngineError`] from the engine.
pub async fn roll_up(engine: &Engine, hour: DateTime<Utc>) -> Result<(), EngineError> {
    let entries = engine.usage().drain_hour();
    let mut left = entries.as_slice();
    while !left.is_empty() {
        let (some, rest) = left.split_at(left.len().min(ENTRIES));
        let command = Command::RollUpUsage {
            hour,
            entries: some.to_vec(),
        };
        if let Err(error) = engine
            .submit(command, system_context(PART, clock::now()))
            .await
        {
            engine.usage().put_back(left);
            return Err(error);
        }
        left = rest;
    }
    Ok(())
}

fn hour(at: DateTime<Utc>) -> DateTime<Utc> {
    at.duration_trunc(TimeDelta::hours(1)).unwrap_or(at)
}
