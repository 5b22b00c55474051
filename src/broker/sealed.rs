//! Secrets between their making and their claim or delivery: sealed under a key that is not in the database, given out
//! once.

use super::engine::EngineError;
use crate::{
    domain::{Event, MintedVersion, RequestId, RotationId, Version},
    event_log::{
        sqlite::SqliteStore,
        store::{SideWrite, Store as _},
    },
    secret::{SealKey, SecretMaterial},
};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, sync::Arc};
use tokio::sync::Mutex;

const NAMESPACE: &str = "sealed";

/// What a secret was made for.
#[derive(Debug, Clone, Copy)]
pub enum MadeFor {
    /// A request.
    Request(RequestId),
    /// A rotation.
    Rotation(RotationId),
    /// A rotation, should it be rolled back: the older secret, as it was found where services read it.
    GoingBack(RotationId),
}

impl From<RequestId> for MadeFor {
    fn from(id: RequestId) -> Self {
        Self::Request(id)
    }
}

impl From<RotationId> for MadeFor {
    fn from(id: RotationId) -> Self {
        Self::Rotation(id)
    }
}

impl MadeFor {
    /// The identifier as printed: what the seal is bound to.
    fn text(self) -> String {
        match self {
            Self::Request(id) => id.to_string(),
            Self::Rotation(id) => id.to_string(),
            Self::GoingBack(id) => format!("{id}/older"),
        }
    }

    fn place(self) -> Vec<u8> {
        let (id, which) = match self {
            Self::Request(id) => (id.bits(), None),
            Self::Rotation(id) => (id.bits(), None),
            Self::GoingBack(id) => (id.bits(), Some(b'/')),
        };
        id.to_be_bytes().into_iter().chain(which).collect()
    }
}

/// What is kept of a made secret until it is claimed.
#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    attempt: u32,
    minted: MintedVersion,
    sealed: Vec<u8>,
}

/// The sealed secrets of one broker.
#[derive(Debug)]
pub struct Sealed {
    store: Arc<SqliteStore>,
    key: SealKey,
    /// One taker at a time: a secret leaves once.
    taking: Mutex<()>,
}

impl Sealed {
    /// Over the log's own store, so that a secret and the event of its making become durable together.
    pub fn new(store: Arc<SqliteStore>, key: SealKey) -> Self {
        Self {
            store,
            key,
            taking: Mutex::new(()),
        }
    }

    /// The write that keeps `secret` for the claim of what it was made for.
    pub fn put(
        &self,
        made_for: impl Into<MadeFor>,
        attempt: u32,
        minted: &MintedVersion,
        secret: &SecretMaterial,
    ) -> SideWrite {
        let made_for = made_for.into();
        let kept = Kept {
            attempt,
            minted: minted.clone(),
            sealed: self.key.seal(secret, made_for.text().as_bytes()),
        };
        SideWrite::Put {
            namespace: NAMESPACE,
            key: made_for.place(),
            value: serde_json::to_vec(&kept).expect("plain data serialises"),
        }
    }

    /// The write that keeps the secret that `older` is about, for as long as `rotation` can go back to it.
    pub fn put_older(
        &self,
        rotation: RotationId,
        older: &Version,
        secret: &SecretMaterial,
    ) -> SideWrite {
        let minted = MintedVersion {
            digest: older.digest,
            locator: older.locator.clone(),
            expires_at: older.expires_at,
            warnings: Vec::new(),
        };
        self.put(MadeFor::GoingBack(rotation), older.number, &minted, secret)
    }

    /// The write that forgets a secret.
    pub fn forget(made_for: impl Into<MadeFor>) -> SideWrite {
        SideWrite::Delete {
            namespace: NAMESPACE,
            key: made_for.into().place(),
        }
    }

    /// The writes that forget what nobody can come for any more once this has happened.
    pub fn outlived(event: &Event) -> Vec<SideWrite> {
        match event {
            // Whoever has yet to take the newer secret still can.
            Event::RotationCompleted { rotation, .. } => {
                vec![Self::forget(MadeFor::GoingBack(*rotation))]
            }
            Event::RotationRolledBack { rotation, .. } | Event::RotationFailed { rotation, .. } => {
                vec![
                    Self::forget(*rotation),
                    Self::forget(MadeFor::GoingBack(*rotation)),
                ]
            }
            _ => Vec::new(),
        }
    }

    /// Keeps a secret before its event is written: a crash in between finds it again.
    ///
    /// # Errors
    /// [`EngineError::Unavailable`] if the store does not answer.
    pub async fn keep(&self, write: SideWrite) -> Result<(), EngineError> {
        self.keep_all(vec![write]).await
    }

    /// Writes several at once.
    ///
    /// # Errors
    /// [`EngineError::Unavailable`] if the store does not answer.
    pub async fn keep_all(&self, writes: Vec<SideWrite>) -> Result<(), EngineError> {
        self.store
            .write_side(writes)
            .await
            .map_err(|error| EngineError::store(&error))
    }

    /// What a made but unrecorded attempt had made, if it came so far.
    ///
    /// # Errors
    /// [`EngineError::Unavailable`] if the store does not answer.
    pub async fn made(
        &self,
        made_for: impl Into<MadeFor>,
        attempt: u32,
    ) -> Result<Option<MintedVersion>, EngineError> {
        Ok(self
            .kept(made_for.into())
            .await?
            .filter(|kept| kept.attempt == attempt)
            .map(|kept| kept.minted))
    }

    /// The secret of what was claimed, the first time; `None` ever after.
    ///
    /// # Errors
    /// [`EngineError::Unavailable`] if the store does not answer, or the key does not fit.
    pub async fn take(
        &self,
        made_for: impl Into<MadeFor>,
    ) -> Result<Option<BTreeMap<String, String>>, EngineError> {
        let made_for = made_for.into();
        let _one = self.taking.lock().await;
        let Some(secret) = self.open(made_for).await? else {
            return Ok(None);
        };
        self.keep(Self::forget(made_for)).await?;
        let fields = secret.fields().into_iter();
        Ok(Some(
            fields
                .map(|(name, value)| (name, value.expose().to_owned()))
                .collect(),
        ))
    }

    /// A secret that stays in the store: for whoever tries or delivers it, and forgets it once that is done.
    ///
    /// # Errors
    /// As [`Sealed::take`].
    pub async fn open(
        &self,
        made_for: impl Into<MadeFor>,
    ) -> Result<Option<SecretMaterial>, EngineError> {
        let made_for = made_for.into();
        let Some(kept) = self.kept(made_for).await? else {
            return Ok(None);
        };
        self.key
            .open(&kept.sealed, made_for.text().as_bytes())
            .map(Some)
            .map_err(|error| EngineError::Unavailable {
                reason: error.to_string(),
                retry_after_s: 60,
            })
    }

    async fn kept(&self, made_for: MadeFor) -> Result<Option<Kept>, EngineError> {
        let bytes = self
            .store
            .get_side(NAMESPACE, &made_for.place())
            .await
            .map_err(|error| EngineError::store(&error))?;
        Ok(bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok()))
    }
}
