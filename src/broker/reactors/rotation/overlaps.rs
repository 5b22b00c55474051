//! The ends of overlaps: the version that goes is gone once nobody has used it for as long as policy says.

use super::{fresh_revocation, submit};
use crate::{
    broker::{engine::Engine, reactors::moved},
    clock,
    domain::{Command, RotationId, State},
};
use chrono::{DateTime, TimeDelta, Utc};
use std::{collections::HashMap, sync::Arc, time::Duration};

/// How often overlaps are looked at, at most.
const SOONEST: Duration = Duration::from_secs(1);

/// How soon an issuer is asked again that saw somebody, where policy would end the overlap at once.
const AGAIN: TimeDelta = TimeDelta::seconds(15);

/// Ends the overlaps in which nobody uses the version that goes any more, until the broker stops.
pub(in crate::broker::reactors) async fn end_overlaps(engine: Engine) {
    // What was used before is not known: the time of the start counts as such.
    let started = clock::now();
    // When its issuer saw somebody use the version that goes last.
    let mut seen: HashMap<RotationId, DateTime<Utc>> = HashMap::new();
    loop {
        let state = engine.state();
        seen.retain(|id, _| state.rotations.overlapping.contains(id));
        let mut next: Option<DateTime<Utc>> = None;
        for id in &state.rotations.overlapping {
            let Some((quiet_at, command)) = quiet(&engine, &state, *id, (started, &seen)) else {
                continue;
            };
            let now = clock::now();
            if quiet_at > now {
                next = Some(next.map_or(quiet_at, |next| next.min(quiet_at)));
            } else if in_use(&engine, &state, *id).await {
                seen.insert(*id, now);
                next = Some(next.map_or(now + AGAIN, |next| next.min(now + AGAIN)));
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

/// Whether its issuer sees somebody use the version that goes, or cannot tell although it should: then the overlap goes
/// on, to its hard stop at most.
async fn in_use(engine: &Engine, state: &State, id: RotationId) -> bool {
    let held = state.rotations.all.get(&id).and_then(|rotation| {
        let credential = state.credentials.get(&rotation.credential)?;
        let version = credential.version(rotation.outgoing()?)?;
        let issuer = engine.issuers().get(&credential.issuer)?;
        let tells = issuer.issuer.capabilities().can_tell_use && !version.locator.is_empty();
        tells.then(|| (Arc::clone(issuer), version.locator.clone()))
    });
    let Some((issuer, locator)) = held else {
        return false;
    };
    match issuer.issuer.users(&locator).await {
        Ok(users) => users.is_some_and(|users| users > 0),
        Err(error) => {
            tracing::info!(rotation = %id, %error, "nobody can tell whether the version that goes is used");
            true
        }
    }
}

/// When the version that goes will have been quiet for long enough, as far as is known now, and the command that ends
/// the overlap of `id` then.
fn quiet(
    engine: &Engine,
    state: &State,
    id: RotationId,
    (started, seen): (DateTime<Utc>, &HashMap<RotationId, DateTime<Utc>>),
) -> Option<(DateTime<Utc>, Command)> {
    let rotation = state.rotations.all.get(&id)?;
    let outgoing = rotation.outgoing()?;
    let used = engine.usage().used(rotation.credential, &[outgoing], None);
    let last = (used.accepted_at.unwrap_or(started)).max(rotation.outgoing_since()?);
    let last = seen.get(&id).map_or(last, |seen| last.max(*seen));
    let unused = TimeDelta::seconds(rotation.terms.unused_s.min(i64::MAX as u64 / 1_000) as i64);
    let command = Command::EndOverlap {
        rotation: id,
        last_used_at: Some(last),
        revocation: fresh_revocation(),
    };
    Some((last.checked_add_signed(unused)?, command))
}
