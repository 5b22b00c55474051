//! Revocations, carried to the issuers until they are proven there. A refused one is tried again, never dropped.

use super::{super::engine::system_context, jitter, moved, waits::Waits};
use crate::{
    broker::{
        breaker::backoff,
        engine::{Engine, EngineError},
    },
    clock,
    domain::{Command, Revocation, RevocationId, revocation::Enforcement},
    issuers::{Locator, RevokeOutcome},
};
use chrono::{DateTime, Utc};
use std::sync::Arc;
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

const PART: &str = "enforcement";
/// How many revocations are carried out at once.
const AT_ONCE: usize = 32;

/// Runs until the broker stops.
pub async fn run(engine: Engine, tasks: TaskTracker) {
    let waits: Waits<RevocationId> = Waits::new();
    let room = Arc::new(Semaphore::new(AT_ONCE));
    loop {
        let state = engine.state();
        waits.keep_only(|id| state.to_enforce.contains(id));
        let mut full = false;
        for &id in &state.to_enforce {
            let Ok(permit) = Arc::clone(&room).try_acquire_owned() else {
                full = true;
                break;
            };
            let Some(failures) = waits.take(id, clock::now()) else {
                continue;
            };
            let (engine, waits) = (engine.clone(), waits.clone());
            tasks.spawn(async move {
                let turn = turn(&engine, id, failures).await;
                // Room is made before the bell is rung, or whoever hears it finds none.
                drop(permit);
                match turn {
                    Ok(None) if !engine.state().to_enforce.contains(&id) => waits.done(id),
                    Ok(Some(at)) => waits.wait(id, at, failures + 1),
                    // Done, and still on the list: taking it up at once again would never end.
                    Ok(None) | Err(_) => waits.wait(
                        id,
                        clock::now() + backoff(failures + 1, jitter()),
                        failures + 1,
                    ),
                }
            });
        }
        let go_on = tokio::select! {
            // While there is no room it is the bell that counts, not what has become due meanwhile.
            go_on = moved(&engine, state.sequence, waits.next().filter(|_| !full)) => go_on,
            () = waits.rung() => true,
        };
        if !go_on {
            return;
        }
    }
}

/// One try. Returns when to try again, if it must be.
async fn turn(
    engine: &Engine,
    id: RevocationId,
    failures: u32,
) -> Result<Option<DateTime<Utc>>, EngineError> {
    let state = engine.state();
    let Some(revocation) = state.revocations.get(&id) else {
        return Ok(None);
    };
    let Some(credential) = state.credentials.get(&revocation.credential) else {
        return Ok(None);
    };
    let locators: Vec<Locator> = credential
        .versions
        .iter()
        .filter(|version| {
            revocation.versions.contains(&version.number) && !version.locator.is_empty()
        })
        .map(|version| version.locator.clone())
        .collect();
    match carry_out(engine, &credential.issuer, &locators).await {
        Ok(proven) => {
            engine
                .submit(
                    Command::RecordEnforced {
                        revocation: id,
                        proven,
                    },
                    system_context(PART, clock::now()),
                )
                .await?;
            Ok(None)
        }
        Err(reason) => {
            if is_news(revocation, &reason) {
                let reason = reason.chars().take(500).collect();
                let command = Command::RecordEnforcementFailed {
                    revocation: id,
                    reason,
                };
                engine
                    .submit(command, system_context(PART, clock::now()))
                    .await?;
            }
            Ok(Some(clock::now() + backoff(failures + 1, jitter())))
        }
    }
}

/// Whether a failure says something that the log does not have yet: a retry that fails in the same way is not
/// worth a leaf.
fn is_news(revocation: &Revocation, reason: &str) -> bool {
    let reason: String = reason.chars().take(500).collect();
    !matches!(&revocation.enforcement, Enforcement::Pending { last_error: Some(last), .. } if *last == reason)
}

/// Withdraws all of `locators`. Returns whether each was proven gone, or what the issuer said.
async fn carry_out(engine: &Engine, issuer: &str, locators: &[Locator]) -> Result<bool, String> {
    let Some(configured) = engine.issuers().get(issuer) else {
        return Err(format!(
            "no issuer named {issuer} is configured here: withdraw it there by hand"
        ));
    };
    let mut proven = true;
    for locator in locators {
        match configured.issuer.revoke(locator).await {
            Ok(RevokeOutcome::Revoked { proven: this }) => proven &= this,
            Ok(RevokeOutcome::NothingToDo) => {}
            Ok(RevokeOutcome::Failed { reason }) => return Err(reason),
            Err(error) => {
                configured.heard(Some(error.to_string()));
                return Err(error.to_string());
            }
        }
    }
    Ok(proven)
}
