//! The ends of overlaps: the version that goes is gone once nobody has used it for as long as policy says.

use super::{fresh_revocation, submit};
use crate::{
    broker::{engine::Engine, reactors::moved},
    clock,
    domain::{Command, RotationId, State},
};
use chrono::{DateTime, TimeDelta, Utc};
use std::time::Duration;

/// How often overlaps are looked at, at most.
const SOONEST: Duration = Duration::from_secs(1);

/// Ends the overlaps in which nobody uses the version that goes any more, until the broker stops.
pub(in crate::broker::reactors) async fn end_overlaps(engine: Engine) {
    // What was used before is not known: the time of the start counts as such.
    let started = clock::now();
    loop {
        let state = engine.state();
        let mut next: Option<DateTime<Utc>> = None;
        for id in &state.rotations.overlapping {
            let Some((quiet_at, command)) = quiet(&engine, &state, *id, started) else {
                continue;
            };
            if quiet_at > clock::now() {
                next = Some(next.map_or(quiet_at, |next| next.min(quiet_at)));
            } else if let Err(error) = submit(&engine, command).await {
                tracing::info!(rotation = %id, %error, "an overlap goes on");
            }
        }
        tokio::select! {
            () = engine.winding_down().cancelled() => return,
            () = tokio::time::sleep(SOONEST) => {}
        }
        if !moved(&engine, state.sequence, next).await {
            return;
        }
    }
}

/// When the version that goes will have been quiet for long enough, as far as is known now, and the command that ends
/// the overlap of `id` then.
fn quiet(
    engine: &Engine,
    state: &State,
    id: RotationId,
    started: DateTime<Utc>,
) -> Option<(DateTime<Utc>, Command)> {
    let rotation = state.rotations.all.get(&id)?;
    let outgoing = rotation.outgoing()?;
    let used = engine.usage().used(rotation.credential, &[outgoing], None);
    let last = (used.accepted_at.unwrap_or(started)).max(rotation.outgoing_since()?);
    let unused = TimeDelta::seconds(rotation.terms.unused_s.min(i64::MAX as u64 / 1_000) as i64);
    let command = Command::EndOverlap {
        rotation: id,
        last_used_at: Some(last),
        revocation: fresh_revocation(),
    };
    Some((last.checked_add_signed(unused)?, command))
}
