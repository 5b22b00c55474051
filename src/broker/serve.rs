//! Opening, serving, and stopping: the folder, the keys, the first admin, the listener.

use super::{
    destinations::Destinations,
    engine::{Engine, EngineError, StartError, Writer, fresh_bits, system_context},
    issuers::{IssuerConfigError, Issuers},
    nonces::Nonces,
    probes::Probes,
    reactors,
    signing::Signing,
    tokens::{TokenService, TokensError},
    webhooks::Webhooks,
};
use crate::{
    clock,
    config::{BrokerConfig, ConfigError},
    domain::{
        Command, Digest, Environment, Operator, OperatorId, Role, Token, TokenId,
        operator::Authenticator,
    },
    event_log::checkpoint::SigningKey,
    policy::PolicyStore,
    secret::{SealError, SealKey, SecretMaterial, mint_token},
};
use chrono::{DateTime, TimeDelta, Utc};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};
use tokio_util::task::TaskTracker;

/// How long the first admin's token lives.
const ADMIN_TOKEN: TimeDelta = TimeDelta::days(30);
/// How long what was begun may take to finish once the broker was told to stop.
pub const GRACE: std::time::Duration = std::time::Duration::from_secs(20);

/// Where a broker keeps what it has, and what it goes by.
#[derive(Debug, Clone)]
pub struct Options {
    /// The folder with store and keys; made if missing, closed to other users.
    pub data: PathBuf,
    /// The log's origin, for a new folder; one is made up from the host's name if left out.
    pub origin: Option<String>,
    /// The time at which it is opened: when the first admin's account begins.
    pub now: DateTime<Utc>,
    /// Where the first admin's token goes, if there is no operator yet.
    pub admin_token_file: Option<PathBuf>,
    /// `[issuer.NAME]` and `[limits]`.
    pub config: BrokerConfig,
}

/// Why the broker does not start.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The folder or a file in it.
    #[error("{attempted} {}", path.display())]
    File {
        /// What was attempted.
        attempted: &'static str,
        /// Where.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// Another broker uses the folder.
    #[error("another broker is using {}; one folder is for one process", path.display())]
    InUse {
        /// The folder.
        path: PathBuf,
    },
    /// The folder belongs to another origin.
    #[error("{} belongs to the origin {held}, not {asked}", path.display())]
    Origin {
        /// The folder.
        path: PathBuf,
        /// Its origin.
        held: String,
        /// What was asked for.
        asked: String,
    },
    /// Nobody could sign in.
    #[error(
        "there is no operator yet: name a file for the first admin's token with --admin-token-file"
    )]
    NoAdmin,
    /// The log's key.
    #[error("the log's key")]
    LogKey(#[source] crate::event_log::checkpoint::KeyError),
    /// The key that seals unclaimed secrets.
    #[error("the sealing key")]
    SealKey(#[from] SealError),
    /// The configuration.
    #[error("the configuration")]
    Config(#[from] ConfigError),
    /// The keys that sign tokens.
    #[error("the keys that sign tokens")]
    Tokens(#[from] TokensError),
    /// An issuer's configuration.
    #[error("the configuration")]
    Issuer(#[from] IssuerConfigError),
    /// The store or the log.
    #[error("the log")]
    Start(#[from] StartError),
    /// The first admin could not be recorded.
    #[error("the first admin")]
    Admin(#[source] EngineError),
}

/// A running broker without its listener.
#[derive(Debug)]
pub struct Broker {
    /// The engine.
    pub engine: Engine,
    writer: Writer,
    reactors: TaskTracker,
    /// Held while the broker runs; the lock ends with the process, however it ends.
    _lock: File,
}

impl Broker {
    /// Opens the folder, makes what is missing, verifies the log, and starts writer and reactors.
    ///
    /// # Errors
    /// [`OpenError`]; what is damaged is never repaired.
    pub async fn open(options: &Options) -> Result<Self, OpenError> {
        let mut broker = Self::open_quiet(options).await?;
        // Before anybody is served, so that the first who wants something rotated is not told to come back.
        reactors::rotation::set_rules(&broker.engine).await;
        reactors::token_keys::advance(&broker.engine).await;
        broker.reactors = reactors::start(&broker.engine);
        Ok(broker)
    }

    /// The same without reactors: for whoever makes history on a clock of their own and starts them afterwards.
    ///
    /// # Errors
    /// As [`Broker::open`].
    pub async fn open_quiet(options: &Options) -> Result<Self, OpenError> {
        let data = &options.data;
        make_folder(data)?;
        let lock = lock(data)?;
        let origin = origin(data, options.origin.as_deref())?;
        let key = SigningKey::load_or_create(&origin, &data.join("log.key"))
            .map_err(OpenError::LogKey)?;
        let seal_key = SealKey::open_or_create(&data.join("seal.key"))?;
        let tokens = TokenService::open(&options.config, data.join("token-keys"))?;
        let issuers = Issuers::from_config(&options.config, tokens.ring())?;
        let signing = signing(&options.config)?;
        let webhooks = Webhooks::from_config(&options.config)?;
        let destinations = Destinations::from_config(&options.config)?;
        let probes = Probes::from_config(&options.config)?;
        let waiting = options.config.limits.commands_waiting;
        let policy = PolicyStore::shipped();
        let path = data.join("log.db");
        let (engine, writer) = Engine::open(
            &path,
            key,
            seal_key,
            policy,
            issuers,
            signing,
            webhooks,
            destinations,
            probes,
            tokens,
            waiting,
        )
        .await?;
        let reactors = TaskTracker::new();
        reactors.close();
        let broker = Self {
            engine,
            writer,
            reactors,
            _lock: lock,
        };
        if broker.engine.state().operators.is_empty() {
            let file = options
                .admin_token_file
                .as_deref()
                .ok_or(OpenError::NoAdmin)?;
            broker.first_admin(file, options.now).await?;
        }
        Ok(broker)
    }

    /// Starts the reactors of a broker that was opened without.
    pub fn start_reactors(&mut self) {
        self.reactors = reactors::start(&self.engine);
    }

    async fn first_admin(&self, file: &Path, now: DateTime<Utc>) -> Result<(), OpenError> {
        let token = mint_token("opr");
        let roles = Environment::ALL
            .iter()
            .map(|&environment| (environment, BTreeSet::from([Role::Viewer, Role::Admin])))
            .collect();
        let operator = new_operator(
            "admin",
            "First administrator",
            now,
            roles,
            BTreeSet::new(),
            &token,
            now + ADMIN_TOKEN,
        );
        // The token is on disk before the account is in the log: a crash in between leaves a token that opens
        // nothing, never an account that nobody can use.
        write_secret(file, &token)?;
        self.engine
            .submit(
                Command::EnrolOperator(Box::new(operator)),
                system_context("start", now),
            )
            .await
            .map_err(OpenError::Admin)?;
        Ok(())
    }

    /// Stops: no more commands, what was begun is finished within [`GRACE`], use is rolled up, the store is closed.
    pub async fn stop(self) {
        let now = clock::now();
        if let Err(error) = reactors::usage::roll_up(&self.engine, now).await {
            tracing::warn!(%error, "the last use could not be rolled up");
        }
        // Reactors take up nothing new; secrets that are being made are finished and recorded.
        self.engine.wind_down();
        if tokio::time::timeout(GRACE, self.reactors.wait())
            .await
            .is_err()
        {
            tracing::warn!("some issuance was still under way; it is taken up at the next start");
        }
        self.engine.stop();
        let _ended = self.writer.await;
    }
}

fn signing(config: &BrokerConfig) -> Result<Signing, ConfigError> {
    Ok(Signing {
        authorities: config.login.authorities()?,
        session: TimeDelta::seconds(config.login.session_s as i64),
        nonces: Nonces::default(),
    })
}

/// An operator with one token.
pub fn new_operator(
    name: &str,
    display_name: &str,
    now: DateTime<Utc>,
    roles: BTreeMap<Environment, BTreeSet<Role>>,
    groups: BTreeSet<String>,
    token: &SecretMaterial,
    expires_at: DateTime<Utc>,
) -> Operator {
    Operator {
        id: OperatorId::from_bits(fresh_bits(now)),
        name: name.to_owned(),
        display_name: display_name.to_owned(),
        robot: false,
        groups,
        roles,
        client: None,
        authenticators: vec![Authenticator::Token(new_token(
            token.digest(),
            now,
            expires_at,
        ))],
        offboarded_at: None,
        sequence: 0,
    }
}

/// What is kept of a minted sign-in token.
pub fn new_token(digest: Digest, created_at: DateTime<Utc>, expires_at: DateTime<Utc>) -> Token {
    Token {
        id: TokenId::from_bits(fresh_bits(created_at)),
        digest,
        created_at,
        expires_at,
        key: None,
        continues: None,
    }
}

fn file_error(attempted: &'static str, path: &Path) -> impl FnOnce(io::Error) -> OpenError {
    let path = path.to_owned();
    move |source| OpenError::File {
        attempted,
        path,
        source,
    }
}

fn make_folder(path: &Path) -> Result<(), OpenError> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(file_error("making the folder", path))
}

/// One process a folder: two writers would fork the log.
fn lock(data: &Path) -> Result<File, OpenError> {
    let path = data.join("lock");
    let file = fs::OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(&path)
        .map_err(file_error("opening", &path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(fs::TryLockError::WouldBlock) => Err(OpenError::InUse {
            path: data.to_owned(),
        }),
        Err(fs::TryLockError::Error(source)) => Err(file_error("locking", &path)(source)),
    }
}

/// The folder's origin, made up at its first use: it never changes afterwards.
fn origin(data: &Path, asked: Option<&str>) -> Result<String, OpenError> {
    let path = data.join("origin");
    match fs::read_to_string(&path) {
        Ok(held) => {
            let held = held.trim().to_owned();
            match asked {
                Some(asked) if asked != held => Err(OpenError::Origin {
                    path: data.to_owned(),
                    held,
                    asked: asked.to_owned(),
                }),
                _ => Ok(held),
            }
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let origin = asked.map_or_else(made_up_origin, str::to_owned);
            write_new(&path, origin.as_bytes(), 0o644)?;
            Ok(origin)
        }
        Err(error) => Err(file_error("reading", &path)(error)),
    }
}

fn made_up_origin() -> String {
    let host = rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .to_ascii_lowercase();
    let host: String = host
        .chars()
        .filter(|letter| letter.is_ascii_alphanumeric() || "-.".contains(*letter))
        .collect();
    let host = if host.is_empty() {
        "localhost".to_owned()
    } else {
        host
    };
    let random = uuid::Uuid::now_v7().as_u128() as u32; // the lower bits are random
    format!("{host}/countersign/{random:08x}")
}

fn write_new(path: &Path, bytes: &[u8], mode: u32) -> Result<(), OpenError> {
    let mut file = fs::OpenOptions::new()
        .create_new(true)
        .write(true)
        .mode(mode)
        .open(path)
        .map_err(file_error("making", path))?;
    file.write_all(bytes)
        .and_then(|()| file.sync_all())
        .map_err(file_error("writing", path))
}

/// Writes a token to a file that only its owner can read, replacing what an earlier, interrupted start left there.
fn write_secret(path: &Path, token: &SecretMaterial) -> Result<(), OpenError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(file_error("replacing", path)(error));
        }
        _ => {}
    }
    write_new(path, format!("{}\n", token.expose()).as_bytes(), 0o600)
}
