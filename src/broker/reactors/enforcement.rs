//! Revocations, carried to the issuers until they are proven there. A refused one is tried again, never dropped.

use super::{
    super::engine::system_context,
    work::{Turn, Work},
};
use crate::{
    broker::engine::{Engine, EngineError},
    clock,
    domain::{Command, Revocation, RevocationId, State, revocation},
    issuers::{Locator, RevokeOutcome},
};
use imbl::OrdSet;

const PART: &str = "enforcement";
/// Revocations that their issuers have not confirmed.
pub(super) struct Enforcement;

impl Work for Enforcement {
    type Item = RevocationId;
    const AT_ONCE: usize = 32;

    fn list(state: &State) -> &OrdSet<RevocationId> {
        &state.to_enforce
    }

    async fn turn(engine: Engine, id: RevocationId, failures: u32) -> Turn {
        let turn = turn(&engine, id, failures).await;
        turn.unwrap_or_else(|_| Turn::later(failures + 1))
    }
}

/// One try.
async fn turn(engine: &Engine, id: RevocationId, failures: u32) -> Result<Turn, EngineError> {
    let state = engine.state();
    let Some(revocation) = state.revocations.get(&id) else {
        return Ok(Turn::Done);
    };
    let Some(credential) = state.credentials.get(&revocation.credential) else {
        return Ok(Turn::Done);
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
            Ok(Turn::Done)
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
            Ok(Turn::later(failures + 1))
        }
    }
}

/// Whether a failure says something that the log does not have yet: a retry that fails in the same way is not
/// worth a leaf.
fn is_news(revocation: &Revocation, reason: &str) -> bool {
    let reason: String = reason.chars().take(500).collect();
    !matches!(&revocation.enforcement, revocation::Enforcement::Pending { last_error: Some(last), .. } if *last == reason)
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
