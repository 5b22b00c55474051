//! What gateways showed, recorded; and when they were last heard of, kept beside the log.

use super::super::engine::system_context;
use crate::{broker::engine::Engine, clock, domain::Command};
use std::time::Duration;

const PART: &str = "propagation";
/// How often places are kept.
const SAVE: Duration = Duration::from_secs(30);

/// Runs until the broker stops, and keeps the places then.
pub async fn run(engine: Engine) {
    let gateways = engine.gateways();
    let mut save = tokio::time::interval(SAVE);
    save.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        let stopping = tokio::select! {
            biased;
            () = engine.winding_down().cancelled() => true,
            () = gateways.proven.notified() => false,
            _ = save.tick() => {
                if let Err(error) = gateways.save().await {
                    tracing::warn!(%error, "when gateways were last heard of could not be kept");
                }
                false
            }
        };
        for (gateway, revocation) in gateways.take_proofs() {
            let command = Command::RecordProven {
                gateway,
                revocation,
            };
            let context = system_context(PART, clock::now());
            if let Err(error) = engine.submit(command, context).await {
                // It shows again with the next call.
                tracing::warn!(%error, %gateway, "a refusal could not be recorded");
            }
        }
        if stopping {
            if let Err(error) = gateways.save().await {
                tracing::warn!(%error, "when gateways were last heard of could not be kept");
            }
            return;
        }
    }
}
