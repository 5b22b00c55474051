//! Secrets between their making and their claim or delivery: sealed under a key that is not in the database, given out
//! once.

use super::engine::EngineError;
use crate::{
    domain::{MintedVersion, RequestId},
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

    /// The write that keeps `secret` for the claim of `request`.
    pub fn put(
        &self,
        request: RequestId,
        attempt: u32,
        minted: &MintedVersion,
        secret: &SecretMaterial,
    ) -> SideWrite {
        let kept = Kept {
            attempt,
            minted: minted.clone(),
            sealed: self.key.seal(secret, request.to_string().as_bytes()),
        };
        SideWrite::Put {
            namespace: NAMESPACE,
            key: place(request),
            value: serde_json::to_vec(&kept).expect("plain data serialises"),
        }
    }

    /// The write that forgets the secret of `request`.
    pub fn forget(request: RequestId) -> SideWrite {
        SideWrite::Delete {
            namespace: NAMESPACE,
            key: place(request),
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
        request: RequestId,
        attempt: u32,
    ) -> Result<Option<MintedVersion>, EngineError> {
        Ok(self
            .kept(request)
            .await?
            .filter(|kept| kept.attempt == attempt)
            .map(|kept| kept.minted))
    }

    /// The secret of a claimed request, the first time; `None` ever after.
    ///
    /// # Errors
    /// [`EngineError::Unavailable`] if the store does not answer, or the key does not fit.
    pub async fn take(
        &self,
        request: RequestId,
    ) -> Result<Option<BTreeMap<String, String>>, EngineError> {
        let _one = self.taking.lock().await;
        let Some(secret) = self.open(request).await? else {
            return Ok(None);
        };
        self.keep(Self::forget(request)).await?;
        let fields = secret.fields().into_iter();
        Ok(Some(
            fields
                .map(|(name, value)| (name, value.expose().to_owned()))
                .collect(),
        ))
    }

    /// The secret of a request, which stays in the store: for whoever delivers it, and forgets it once that is done.
    ///
    /// # Errors
    /// As [`Sealed::take`].
    pub async fn open(&self, request: RequestId) -> Result<Option<SecretMaterial>, EngineError> {
        let Some(kept) = self.kept(request).await? else {
            return Ok(None);
        };
        self.key
            .open(&kept.sealed, request.to_string().as_bytes())
            .map(Some)
            .map_err(|error| EngineError::Unavailable {
                reason: error.to_string(),
                retry_after_s: 60,
            })
    }

    async fn kept(&self, request: RequestId) -> Result<Option<Kept>, EngineError> {
        let bytes = self
            .store
            .get_side(NAMESPACE, &place(request))
            .await
            .map_err(|error| EngineError::store(&error))?;
        Ok(bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok()))
    }
}

fn place(request: RequestId) -> Vec<u8> {
    request.bits().to_be_bytes().to_vec()
}
