//! The gateways as they run: receivers fetch what was revoked and say that they have applied it, the others ask about
//! what they are shown. One of them is cut off.

use super::{company::Variety, history::Station};
use crate::{
    client::{Client, ClientError},
    domain::{Environment, Profile},
    secret::mint_token,
};
use parking_lot::Mutex;
use secrecy::{ExposeSecret as _, SecretString};
use std::{collections::VecDeque, sync::Arc, time::Duration};
use tokio_util::sync::CancellationToken;

/// How many secrets services show to gateways again and again.
const SHOWN: usize = 24;

/// What services show to the gateways, the latest last.
#[derive(Clone, Default)]
pub struct Shown(Arc<Mutex<VecDeque<(Environment, SecretString)>>>);

impl Shown {
    /// A service has a new one.
    pub fn put(&self, environment: Environment, token: &str) {
        let mut shown = self.0.lock();
        if shown.len() == SHOWN {
            shown.pop_front();
        }
        shown.push_back((environment, SecretString::from(token.to_owned())));
    }

    fn of(&self, environment: Environment, variety: &mut Variety) -> Option<SecretString> {
        let shown = self.0.lock();
        let here: Vec<_> = shown
            .iter()
            .filter(|(place, _)| *place == environment)
            .collect();
        (!here.is_empty()).then(|| variety.of(&here).1.clone())
    }
}

/// Runs one gateway until told to stop, or until its broker cannot be reached.
pub async fn run(
    station: Station,
    client: Client,
    shown: Shown,
    seed: u64,
    stop: CancellationToken,
) {
    let mut variety = Variety::new(seed ^ station.id.bits() as u64);
    loop {
        let wait = Duration::from_millis(variety.between(700, 3_500));
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(wait) => {}
        }
        let outcome = match station.profile {
            Profile::Receiver => apply(&station, &client).await,
            _ => ask(&station, &client, &shown, &mut variety).await,
        };
        if let Err(error @ ClientError::Connect { .. }) = outcome {
            tracing::debug!(%error, "the demo's broker is gone");
            return;
        }
    }
}

async fn apply(station: &Station, client: &Client) -> Result<(), ClientError> {
    let pending = client.pending(station.id).await?.value;
    client.applied(station.id, pending.through).await?;
    Ok(())
}

async fn ask(
    station: &Station,
    client: &Client,
    shown: &Shown,
    variety: &mut Variety,
) -> Result<(), ClientError> {
    // Now and then somebody shows what nobody knows.
    let known = shown.of(station.environment, variety);
    let token = match known.filter(|_| !variety.chance(4)) {
        Some(token) => token,
        None => SecretString::from(mint_token("demo").expose().to_owned()),
    };
    client.introspect(token.expose_secret()).await?;
    Ok(())
}
