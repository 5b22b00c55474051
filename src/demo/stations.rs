//! The gateways as they run: each fetches what was revoked and says that it has applied it. One of them is cut off.

use super::{company::Variety, history::Station};
use crate::client::{Client, ClientError};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Runs one gateway until told to stop, or until its broker cannot be reached.
pub async fn run(station: Station, client: Client, seed: u64, stop: CancellationToken) {
    let mut variety = Variety::new(seed ^ station.id.bits() as u64);
    loop {
        if let Err(error @ ClientError::Connect { .. }) = apply(&station, &client).await {
            tracing::debug!(%error, "the demo's broker is gone");
            return;
        }
        let wait = Duration::from_millis(variety.between(700, 3_500));
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(wait) => {}
        }
    }
}

async fn apply(station: &Station, client: &Client) -> Result<(), ClientError> {
    let pending = client.pending(station.id).await?.value;
    client.applied(station.id, pending.through).await?;
    Ok(())
}
