//! The newer secret, put where the credential's is read; and the older one, put back there when a rotation goes back.

use super::{PART, fresh_revocation, submit};
use crate::{
    broker::{
        destinations::Configured,
        engine::system_context,
        engine::{Engine, EngineError},
        reactors::{delivery::place, jitter, work::Turn},
        sealed::{MadeFor, Sealed},
    },
    clock,
    delivery::{DeliveryError, DeliveryOrder},
    domain::{Command, Credential, Destination, Rotation, Version},
    issuers::locator,
    secret::SecretMaterial,
};
use std::sync::Arc;

/// Puts the newer secret in its place, and keeps the one that it finds there for as long as the rotation can go back.
/// Tried again until the rotation's time is over.
pub(super) async fn deliver(
    engine: &Engine,
    rotation: &Rotation,
    credential: &Credential,
    to: &Destination,
    failures: u32,
) -> Result<Turn, EngineError> {
    let version = rotation.to.and_then(|to| credential.version(to));
    let (Some(version), Some(configured)) = (version, admitted(engine, rotation, credential, to))
    else {
        return Ok(Turn::later(failures + 1));
    };
    let Some(secret) = engine.sealed().open(rotation.id).await? else {
        return Ok(Turn::later(failures + 1));
    };
    if let Err(error) = keep_older(engine, &configured, rotation, credential, to).await? {
        return Ok(put_off(&configured, rotation, &error, failures));
    }
    let order = order(credential, version, to, None);
    match place(&configured, &order, &secret).await {
        Ok(delivered) => {
            let command = Command::RecordDelivered {
                rotation: rotation.id,
                to: delivered.place,
            };
            let context = system_context(PART, clock::now());
            let side = vec![Sealed::forget(rotation.id)];
            engine.submit_all(vec![command], context, side).await?;
            Ok(Turn::Done)
        }
        Err(error) => Ok(put_off(&configured, rotation, &error, failures)),
    }
}

/// Puts the older secret back in its place. Where it is not known, because the place cannot be read, the newer version
/// is discarded all the same: that is what was wanted.
pub(super) async fn put_back(
    engine: &Engine,
    rotation: &Rotation,
    credential: &Credential,
    to: Option<&Destination>,
    failures: u32,
) -> Result<Turn, EngineError> {
    if rotation.going_back.is_none() || rotation.is_back() {
        return Ok(Turn::Done);
    }
    let older = MadeFor::GoingBack(rotation.id);
    let secret = engine.sealed().open(older).await?;
    let version = credential.version(rotation.from);
    let (Some(to), Some(version), Some(secret)) = (to, version, secret) else {
        return record(engine, rotation, String::new()).await;
    };
    let Some(configured) = admitted(engine, rotation, credential, to) else {
        return Ok(Turn::later(failures + 1));
    };
    let order = order(credential, version, to, rotation.to);
    match place(&configured, &order, &secret).await {
        Ok(delivered) => record(engine, rotation, delivered.place).await,
        Err(error) => Ok(put_off(&configured, rotation, &error, failures)),
    }
}

async fn record(engine: &Engine, rotation: &Rotation, to: String) -> Result<Turn, EngineError> {
    let command = Command::RecordPutBack {
        rotation: rotation.id,
        to,
        revocation: fresh_revocation(),
    };
    submit(engine, command).await
}

/// Keeps what is at the place, once, if it is the older version's secret.
async fn keep_older(
    engine: &Engine,
    configured: &Configured,
    rotation: &Rotation,
    credential: &Credential,
    to: &Destination,
) -> Result<Result<(), DeliveryError>, EngineError> {
    let older = credential.version(rotation.from);
    let Some(older) = older.filter(|older| older.accepted(clock::now())) else {
        return Ok(Ok(()));
    };
    let sealed = engine.sealed();
    if sealed
        .open(MadeFor::GoingBack(rotation.id))
        .await?
        .is_some()
    {
        return Ok(Ok(()));
    }
    let order = order(credential, older, to, None);
    match configured.place.held(&order).await {
        Ok(Some(held)) if is_of(&held, older) => {
            sealed
                .keep(sealed.put_older(rotation.id, older, &held))
                .await?;
            Ok(Ok(()))
        }
        Ok(_) => Ok(Ok(())),
        Err(error) => Ok(Err(error)),
    }
}

/// Whether this is the secret of `version`, by what the log knows of it.
fn is_of(secret: &SecretMaterial, version: &Version) -> bool {
    if let Some(digest) = version.digest {
        return secret.digest() == digest;
    }
    let username = version.locator.get(locator::USERNAME);
    username.is_some_and(|name| {
        let fields = secret.fields();
        fields
            .get("username")
            .is_some_and(|held| held.expose() == name)
    })
}

/// The destination, if it takes this secret and is not known to be away.
fn admitted(
    engine: &Engine,
    rotation: &Rotation,
    credential: &Credential,
    to: &Destination,
) -> Option<Arc<Configured>> {
    match engine.destinations().admit(to, credential.environment) {
        Ok(configured) => {
            let open = configured.breaker.lock().admit(clock::now());
            open.then(|| configured.clone())
        }
        Err(error) => {
            tracing::warn!(rotation = %rotation.id, detail = error.detail, "its destination is refused");
            None
        }
    }
}

fn order(
    credential: &Credential,
    version: &Version,
    to: &Destination,
    over: Option<u32>,
) -> DeliveryOrder {
    DeliveryOrder {
        id: credential.id.to_string(),
        credential: credential.name.to_string(),
        environment: credential.environment.to_string(),
        version: version.number,
        path: to.path.clone(),
        expires_at: version.expires_at,
        over,
    }
}

fn put_off(
    configured: &Configured,
    rotation: &Rotation,
    error: &DeliveryError,
    failures: u32,
) -> Turn {
    tracing::warn!(rotation = %rotation.id, destination = configured.name, %error, "a secret could not be put in its place");
    if matches!(error, DeliveryError::Refused { .. }) {
        // It answered: others need not wait for it.
        configured.breaker.lock().succeeded();
        return Turn::later(failures + 1);
    }
    configured.heard(Some(error.to_string()));
    Turn::Again(configured.breaker.lock().failed(clock::now(), jitter()))
}
