//! What an issuer holds that nothing here explains: found now and then, and removed. And how each issuer and each
//! destination fares.

use super::super::engine::system_context;
use crate::{
    broker::{
        engine::{Engine, EngineError},
        issuers::Configured,
    },
    clock,
    domain::{Command, CredentialId, Event, RequestState, RotationState},
    issuers::Locator,
};
use std::{sync::Arc, time::Duration};

const PART: &str = "reconciliation";
/// How often an issuer's own list is compared with ours.
const EVERY: Duration = Duration::from_mins(5);
/// How often an issuer is asked how it fares: sparing while it is well, attentive while it is not.
const WELL: Duration = Duration::from_secs(15);
const UNWELL: Duration = Duration::from_secs(2);

/// Compares at the start, and then every five minutes, until the broker stops.
pub async fn run(engine: Engine) {
    loop {
        for issuer in engine.issuers().all() {
            if issuer.issuer.capabilities().elsewhere {
                compare(&engine, issuer).await;
            }
        }
        tokio::select! {
            () = engine.winding_down().cancelled() => return,
            () = tokio::time::sleep(EVERY) => {}
        }
    }
}

/// Has what expires ended where its issuer does not do so by itself, until the broker stops. What was missed, because
/// the issuer was away or the broker was, the next comparison finds.
pub async fn end_expired(engine: Engine) {
    let mut after = engine.state().sequence;
    loop {
        let Ok(mut feed) = engine.subscribe(after) else {
            // Far behind: what expired in between is left to the comparison.
            after = engine.state().sequence;
            continue;
        };
        loop {
            let recorded = tokio::select! {
                biased;
                () = engine.winding_down().cancelled() => return,
                recorded = feed.next() => recorded,
            };
            let Some(recorded) = recorded else {
                break;
            };
            after = recorded.sequence();
            if let Event::VersionExpired { credential, .. } = &recorded.event
                && let Some(issuer) = ends_nothing(&engine, *credential)
            {
                compare(&engine, &issuer).await;
            }
        }
        // Far behind, or the writer is gone and no event will come: to look again at once would never end.
        tokio::select! {
            () = engine.winding_down().cancelled() => return,
            () = tokio::time::sleep(UNWELL) => {}
        }
    }
}

/// The issuer of a credential, if it is elsewhere and ends nothing by itself.
fn ends_nothing(engine: &Engine, credential: CredentialId) -> Option<Arc<Configured>> {
    let state = engine.state();
    let credential = state.credentials.get(&credential)?;
    let issuer = engine.issuers().get(&credential.issuer)?;
    let can = issuer.issuer.capabilities();
    (can.elsewhere && !can.has_leases).then(|| Arc::clone(issuer))
}

/// Asks every issuer and every destination how it fares until the broker stops.
pub async fn watch_health(engine: Engine) {
    loop {
        let mut well = true;
        for issuer in engine.issuers().all() {
            let said = issuer
                .issuer
                .ready()
                .await
                .err()
                .map(|trouble| trouble.to_string());
            well &= said.is_none();
            issuer.heard(said);
        }
        for destination in engine.destinations().all() {
            let said = destination.place.ready().await.err();
            well &= said.is_none();
            destination.heard(said);
        }
        tokio::select! {
            () = engine.winding_down().cancelled() => return,
            () = tokio::time::sleep(if well { WELL } else { UNWELL }) => {}
        }
    }
}

/// Every place at this issuer that something here explains: what works, what is being made, and what is being
/// withdrawn (the enforcement reactor deals with that, and proves it).
async fn known(engine: &Engine, issuer: &str) -> Result<Vec<Locator>, EngineError> {
    let state = engine.state();
    let mut under_way = Vec::new();
    let issuing = state
        .to_issue
        .iter()
        .filter_map(|id| state.requests.get(id))
        .filter(|request| request.plan.issuer == issuer && request.state == RequestState::Issuing);
    for request in issuing {
        under_way.push(request.attempt_locator.clone());
        // Made before a stop and not recorded yet: its login is known from there only.
        let made = engine.sealed().made(request.id, request.attempts).await?;
        under_way.extend(made.map(|version| version.locator));
    }
    let rotating = (state.rotations.to_do.iter())
        .filter_map(|id| state.rotations.all.get(id))
        .filter(|rotation| rotation.state == RotationState::Minting)
        .filter(|rotation| {
            (state.credentials.get(&rotation.credential))
                .is_some_and(|credential| *credential.issuer == *issuer)
        });
    for rotation in rotating {
        under_way.push(rotation.attempt_locator.clone());
        let made = engine.sealed().made(rotation.id, rotation.attempts).await?;
        under_way.extend(made.map(|version| version.locator));
    }
    let withdrawing = state
        .to_enforce
        .iter()
        .filter_map(|id| state.revocations.get(id))
        .filter_map(|revocation| Some((state.credentials.get(&revocation.credential)?, revocation)))
        .filter(|(credential, _)| credential.issuer == issuer)
        .flat_map(|(credential, revocation)| {
            credential
                .versions
                .iter()
                .filter(|version| revocation.versions.contains(&version.number))
        })
        .map(|version| version.locator.clone());
    let living = state
        .credentials
        .values()
        .filter(|credential| credential.issuer == issuer)
        .flat_map(|credential| credential.versions.iter())
        .filter(|version| version.state.accepted() && !version.locator.is_empty())
        .map(|version| version.locator.clone());
    Ok(living.chain(under_way).chain(withdrawing).collect())
}

/// Compares one issuer's list with ours, removes what is unexplained, and records each removal.
pub async fn compare(engine: &Engine, issuer: &Configured) {
    let known = match known(engine, &issuer.name).await {
        Ok(known) => known,
        Err(error) => {
            tracing::warn!(issuer = issuer.name, %error, "could not be compared");
            return;
        }
    };
    let report = match issuer.issuer.reconcile(&known).await {
        Ok(report) => report,
        Err(error) => {
            tracing::warn!(issuer = issuer.name, %error, "could not be compared");
            return;
        }
    };
    let attempts = report
        .attempts_removed
        .iter()
        .map(|left| format!("attempt {} of {}", left.attempt_key, left.request_id));
    let logins = report
        .logins_removed
        .iter()
        .map(|login| format!("database login {login} without a lease"));
    for what in attempts.chain(logins).chain(report.others_removed) {
        let command = Command::RecordLeftover {
            issuer: issuer.name.clone(),
            what,
        };
        if let Err(error) = engine
            .submit(command, system_context(PART, clock::now()))
            .await
        {
            tracing::warn!(issuer = issuer.name, %error, "a removal could not be recorded");
        }
    }
    for failure in report.failures {
        tracing::warn!(
            issuer = issuer.name,
            failure,
            "a leftover could not be removed; tried again later"
        );
    }
}
