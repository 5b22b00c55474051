//! The broker as a source of checkpoints and tiles.

use super::LogSource;
use crate::client::{Client, ClientError};
use crate::event_log::tiles::TilePath;
use bytes::Bytes;

/// The largest bundle: 256 leaves of at most 64 KiB, and their lengths.
const TILE_BYTES: u64 = 256 * (65_535 + 2);

impl LogSource for Client {
    type Error = ClientError;

    async fn checkpoint(&self) -> Result<String, ClientError> {
        Self::checkpoint(self).await
    }

    async fn tile(&self, path: TilePath) -> Result<Bytes, ClientError> {
        Self::tile(self, &path.to_string(), TILE_BYTES).await
    }
}
