//! Where services read their secrets: one adapter a kind of place, behind one small contract.
//!
//! To add a kind: a file here, `impl Deliver`, a line in `from_table`, its words in the README, and a test against
//! the real thing. The broker logs that a delivery begins, carries it out with `Deliver::deliver` as often as it
//! takes, and logs that it is done; so whatever an adapter does must come to the same when it is done twice.

mod file;
mod kv2;
mod paths;
mod webhook;

pub use file::FileConfig;
pub use kv2::Kv2Config;
pub use paths::Paths;
pub use webhook::ReceiverConfig;

use crate::secret::SecretMaterial;
use chrono::{DateTime, Utc};
use futures_util::future::BoxFuture;

/// One version's secret, to be put where it is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryOrder {
    /// The credential's identifier: what is at the place is this one's, or the place is somebody else's.
    pub id: String,
    /// Its name, for people who look at the place.
    pub credential: String,
    /// Where it is used.
    pub environment: String,
    /// The version's number: a newer one that is there already stays.
    pub version: u32,
    /// Where in the destination: `payments/checkout-db`.
    pub path: String,
    /// When the secret ends, if it does.
    pub expires_at: Option<DateTime<Utc>>,
    /// The newer version in whose place this one comes, where a rotation goes back.
    pub over: Option<u32>,
}

impl DeliveryOrder {
    /// The same for every try at delivering this version, and for nothing else.
    pub fn key(&self) -> String {
        format!("{}/{}", self.id, self.version)
    }
}

/// What a delivery came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivered {
    /// Where it is now, for people: `secret/payments/checkout-db, version 4`.
    pub place: String,
    /// It was read back, and is what was delivered.
    pub proven: bool,
}

/// Why a secret was not delivered. Nothing in it is secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DeliveryError {
    /// Nothing happened, and the same may work later.
    #[error("{system} is unavailable: {reason}")]
    Unavailable {
        /// `OpenBao`, `the folder`, `the receiver`.
        system: &'static str,
        /// A cause that a person can act on.
        reason: String,
        /// Seconds to wait, when the system said so.
        retry_after_s: Option<u64>,
    },
    /// Nothing happened, and a person must change something before it can.
    #[error("{system} refused: {reason}")]
    Refused {
        /// As above.
        system: &'static str,
        /// What stands in the way, and what would be accepted.
        reason: String,
    },
    /// It may be there or not. To do the same again is safe.
    #[error("the outcome at {system} is unknown: {reason}")]
    Unknown {
        /// As above.
        system: &'static str,
        /// What went wrong.
        reason: String,
    },
}

/// A `[destination.NAME]` table that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// Its `type` is missing or unknown.
    #[error("type: expected kv2, file or webhook")]
    Type,
    /// A field is missing, unknown, or of another type.
    #[error(transparent)]
    Fields(#[from] toml::de::Error),
    /// A value cannot be used.
    #[error("{field}: {problem}")]
    Value {
        /// The field's name.
        field: &'static str,
        /// What is wrong with it, and what would be accepted.
        problem: String,
    },
    /// The server of a `kv2`.
    #[error(transparent)]
    Server(#[from] crate::issuers::openbao::ConfigError),
}

/// The contract between the broker and a place where secrets are read. All of it is safe to call concurrently; no call
/// retries inside, save over somebody else's concurrent write: backoff is the broker's.
pub trait Deliver: Send + Sync {
    /// Which paths it takes.
    fn paths(&self) -> &Paths;

    /// Puts the secret there. Idempotent: a version that is there already is found there. A newer version of the same
    /// credential, and whatever is not this credential's, is never overwritten where the place can tell.
    fn deliver<'a>(
        &'a self,
        order: &'a DeliveryOrder,
        secret: &'a SecretMaterial,
    ) -> BoxFuture<'a, Result<Delivered, DeliveryError>>;

    /// The secret of `order` as it is there now; `None` where another is, or where the place does not let itself be read.
    fn held<'a>(
        &'a self,
        order: &'a DeliveryOrder,
    ) -> BoxFuture<'a, Result<Option<SecretMaterial>, DeliveryError>>;

    /// Whether deliveries can be expected to work now; if not, why.
    fn ready(&self) -> BoxFuture<'_, Result<(), String>>;
}

/// The adapter that a `[destination.NAME]` table configures.
///
/// # Errors
/// [`ConfigError`] naming the field and what would be accepted.
pub fn from_table(mut table: toml::Table) -> Result<Box<dyn Deliver>, ConfigError> {
    let kind = table.remove("type");
    match kind.as_ref().and_then(toml::Value::as_str) {
        Some("kv2") => Ok(Box::new(kv2::Kv2::new(table.try_into()?)?)),
        Some("file") => Ok(Box::new(file::Folder::new(table.try_into()?)?)),
        Some("webhook") => Ok(Box::new(webhook::Receiver::new(table.try_into()?)?)),
        _ => Err(ConfigError::Type),
    }
}

fn wrong<T>(field: &'static str, problem: impl Into<String>) -> Result<T, ConfigError> {
    Err(ConfigError::Value {
        field,
        problem: problem.into(),
    })
}
