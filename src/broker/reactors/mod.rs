//! What follows from events. Each reactor looks at its work list in the state, does what it can, and reports back
//! with a command; then it waits for the state to move on, or for the time at which something is due again.

/// Issued secrets, put where they are read.
pub mod delivery;
/// Revocations, carried to the issuers.
pub mod enforcement;
/// Expiries, lapses and ends of overlaps.
pub mod expiry;
/// What gateways showed.
pub mod gateways;
/// Approved requests, made into secrets.
pub mod issuance;
/// One attempt at a secret, whatever it is for.
mod minting;
/// What an issuer holds that nothing here explains.
pub mod reconciliation;
/// Open requests, put before a policy that came in force.
pub mod reevaluation;
/// Newer versions in the place of those in use.
pub mod rotation;
/// The keys that sign tokens, one after the other.
pub mod token_keys;
/// Use, rolled up hourly.
pub mod usage;
/// Retries of one reactor.
mod waits;
/// Events, carried to receivers.
pub mod webhooks;
/// The loop of those that work through a list.
mod work;

use super::engine::Engine;
use crate::clock;
use chrono::{DateTime, Utc};
use tokio_util::task::TaskTracker;

/// Starts all reactors. They end on [`Engine::stop`]; the tracker tells when what they had begun is done.
pub fn start(engine: &Engine) -> TaskTracker {
    let tasks = TaskTracker::new();
    // Before anything runs: what the first of them does is already news to the others.
    let newest = engine.state().sequence;
    tasks.spawn(work::run::<issuance::Issuance>(
        engine.clone(),
        tasks.clone(),
    ));
    tasks.spawn(work::run::<delivery::Deliveries>(
        engine.clone(),
        tasks.clone(),
    ));
    tasks.spawn(work::run::<enforcement::Enforcement>(
        engine.clone(),
        tasks.clone(),
    ));
    tasks.spawn(work::run::<rotation::Rotating>(
        engine.clone(),
        tasks.clone(),
    ));
    tasks.spawn(rotation::keep_rules(engine.clone()));
    tasks.spawn(rotation::begin_due(engine.clone()));
    tasks.spawn(rotation::end_overlaps(engine.clone()));
    tasks.spawn(expiry::run(engine.clone()));
    tasks.spawn(reevaluation::run(engine.clone()));
    tasks.spawn(gateways::run(engine.clone()));
    tasks.spawn(usage::run(engine.clone()));
    tasks.spawn(reconciliation::run(engine.clone()));
    tasks.spawn(reconciliation::end_expired(engine.clone()));
    tasks.spawn(reconciliation::watch_health(engine.clone()));
    tasks.spawn(token_keys::run(engine.clone()));
    for hook in engine.webhooks().all() {
        tasks.spawn(webhooks::run(engine.clone(), hook.clone(), newest));
    }
    tasks.close();
    tasks
}

/// Waits until the state has moved on from `sequence`, until `due`, or for the stop, whichever comes first.
/// Returns whether to go on.
async fn moved(engine: &Engine, sequence: u64, due: Option<DateTime<Utc>>) -> bool {
    let Ok(mut feed) = engine.subscribe(sequence) else {
        return !engine.winding_down().is_cancelled();
    };
    let wait = due.map(|due| (due - clock::now()).to_std().unwrap_or_default());
    tokio::select! {
        biased;
        () = engine.winding_down().cancelled() => false,
        event = feed.next() => {
            if event.is_none() {
                // Far behind, or the writer is gone and no event will come: to look again at once would never end.
                tokio::time::sleep(std::time::Duration::from_secs(1)).await;
            }
            !engine.winding_down().is_cancelled()
        }
        () = async {
            match wait {
                Some(wait) => tokio::time::sleep(wait).await,
                None => std::future::pending().await,
            }
        } => true,
    }
}

/// A number from 0 to 1,000 for spreading retries.
fn jitter() -> u16 {
    let bits = uuid::Uuid::now_v7().as_u128() as u32; // the lower bits are random
    (bits % 1_001) as u16
}
