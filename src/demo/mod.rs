//! A believable company with traffic.
//!
//! An embedded broker on loopback, filled by running the real engine through weeks on a virtual clock; afterwards
//! its services keep asking for things through the client, over HTTP, like anyone else's.

/// Who is there.
pub mod company;
/// Weeks, on a virtual clock.
pub mod history;
/// The keys that people sign with.
pub mod pens;
/// The gateways as they run.
pub mod stations;
/// What goes on while the console is open.
pub mod traffic;

use crate::{
    broker::{
        engine::EngineError,
        listen::{ListenError, Listening, listen},
        serve::{Broker, OpenError, Options as BrokerOptions},
    },
    client::{Client, ClientError, TransportOptions},
    clock,
    config::BrokerConfig,
    secret::SecretMaterial,
    ssh::Signer,
};
use company::Company;
use secrecy::SecretString;
use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
};
use tokio_util::sync::CancellationToken;

/// What to play.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// How large the fleet is.
    pub credentials: usize,
    /// The same seed makes the same company.
    pub seed: u64,
    /// Changes a second while it runs; 0 for quiet.
    pub rate: f64,
    /// Where the broker listens; port 0 takes any free one.
    pub listen: SocketAddr,
}

/// Why there is no demo.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// The broker did not open.
    #[error("opening the demo's broker")]
    Open(#[from] OpenError),
    /// Its history could not be made.
    #[error("making the demo's history")]
    History(#[from] EngineError),
    /// It cannot listen.
    #[error("serving the demo's broker")]
    Listen(#[from] ListenError),
    /// Its services cannot reach it.
    #[error("reaching the demo's broker")]
    Client(#[from] ClientError),
}

/// A running demo.
#[derive(Debug)]
pub struct Demo {
    /// Where its broker listens.
    pub url: String,
    /// The token of the person at the console.
    pub token: SecretMaterial,
    /// The key that this person decides with.
    pub signer: Signer,
    broker: Broker,
    listening: Listening,
    stop: CancellationToken,
    folder: Folder,
}

/// The temporary folder with the demo's log; it goes when the demo does.
#[derive(Debug)]
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        Self(std::env::temp_dir().join(format!(
            "countersign-demo-{}",
            uuid::Uuid::now_v7().simple()
        )))
    }

    fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _gone = fs::remove_dir_all(&self.0);
    }
}

/// Makes the company and its past, serves it, and starts its traffic.
///
/// # Errors
/// [`DemoError`]
pub async fn start(options: Options) -> Result<Demo, DemoError> {
    let folder = Folder::new();
    let broker_options = BrokerOptions {
        data: folder.path().to_owned(),
        origin: Some("demo.example/log".to_owned()),
        now: clock::now() - history::WEEKS,
        admin_token_file: Some(folder.path().join("admin-token")),
        config: BrokerConfig::default(),
    };
    let mut broker = Broker::open_quiet(&broker_options).await?;
    let company = Company::shipped();
    let cast = history::make(
        &broker.engine,
        &company,
        options.credentials,
        options.seed,
        clock::now(),
    )
    .await?;
    broker.start_reactors();
    let listening = listen(
        broker.engine.clone(),
        &broker_options.config.limits,
        options.listen,
        None,
    )
    .await?;
    let url = listening.url.clone();
    let signed_in = |token: &SecretMaterial| -> Result<Client, ClientError> {
        let client = Client::new(TransportOptions::new(&url))?;
        client
            .transport()
            .set_token(Some(SecretString::from(token.expose().to_owned())));
        Ok(client)
    };
    let services = cast
        .services
        .into_iter()
        .map(|service| signed_in(&service.token).map(|client| (service, client)))
        .collect::<Result<Vec<_>, _>>()?;
    let scene = traffic::Scene {
        services,
        colleague: signed_in(&cast.colleague.1)?,
        signer: cast.pens.signer(&cast.colleague.0),
        name: cast.colleague.0,
        reasons: company.words.reasons,
    };
    let stop = CancellationToken::new();
    // A quiet demo changes nothing by itself, and what gateways say is a change.
    for station in cast.stations.into_iter().filter(|station| station.heard) {
        if options.rate > 0.0 {
            let client = signed_in(&station.token)?;
            tokio::spawn(stations::run(station, client, options.seed, stop.clone()));
        }
    }
    tokio::spawn(traffic::run(
        scene,
        options.rate,
        options.seed,
        stop.clone(),
    ));
    Ok(Demo {
        url,
        signer: cast.pens.signer(&cast.approver.0),
        token: cast.approver.1,
        broker,
        listening,
        stop,
        folder,
    })
}

impl Demo {
    /// Ends traffic and broker, and removes the log.
    pub async fn stop(self) {
        self.stop.cancel();
        self.broker.engine.wind_down();
        // Streams end with the engine, and the listener waits for them.
        let (engine, listening) = (self.broker.engine.clone(), self.listening);
        self.broker.stop().await;
        drop(engine);
        listening.stop().await;
        drop(self.folder);
    }
}
