//! How far each receiver of events has been told, kept beside the log: after a stop it goes on from there.

use super::engine::EngineError;
use crate::event_log::{sqlite::SqliteStore, store::Store as _};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

const NAMESPACE: &str = "webhook";

/// A receiver's place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursor {
    /// The sequence up to which it was told everything that it wants.
    pub after: u64,
    /// The address that said that it wants nothing any more. Another address under the same name is called again.
    #[serde(default)]
    pub gone: Option<String>,
}

/// The places of all receivers.
#[derive(Debug)]
pub struct Cursors(Arc<SqliteStore>);

impl Cursors {
    /// Over the log's own store.
    pub const fn new(store: Arc<SqliteStore>) -> Self {
        Self(store)
    }

    /// The place of this receiver, if it was ever told anything.
    ///
    /// # Errors
    /// [`EngineError::Unavailable`] if the store does not answer, or holds something else there.
    pub async fn load(&self, name: &str) -> Result<Option<Cursor>, EngineError> {
        let bytes = self.0.get_side(NAMESPACE, name.as_bytes()).await;
        let bytes = bytes.map_err(|error| EngineError::store(&error))?;
        bytes
            .map(|bytes| {
                serde_json::from_slice(&bytes)
                    .map_err(|error| EngineError::away("a receiver's place cannot be read", &error))
            })
            .transpose()
    }

    /// Keeps the place of this receiver.
    ///
    /// # Errors
    /// [`EngineError::Unavailable`] if the store does not answer.
    pub async fn save(&self, name: &str, cursor: &Cursor) -> Result<(), EngineError> {
        let bytes = serde_json::to_vec(cursor).expect("numbers and text have a JSON form");
        let kept = self.0.put_side(NAMESPACE, name.as_bytes(), &bytes).await;
        kept.map_err(|error| EngineError::store(&error))
    }
}
