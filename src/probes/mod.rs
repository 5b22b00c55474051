//! Using a new version for real, before it takes the place of the one in use: one adapter a kind of use, behind one
//! small contract.
//!
//! To add a kind: a file here, `impl Probe`, a line in `from_table`, its words in the README, and a test against the
//! real thing.

mod http;
mod postgres;

pub use http::HttpConfig;
pub use postgres::PostgresConfig;

use crate::secret::SecretMaterial;
use futures_util::future::BoxFuture;
use serde::Deserialize;
use std::time::Duration;

/// The longest time that a probe may take, in seconds.
const TIMEOUT_MAX_S: u64 = 60;

/// What a probe came to. Nothing in it is secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProbeOutcome {
    /// The version works; what was seen.
    Passed {
        /// `it answered 200`.
        seen: String,
    },
    /// The version does not work: who was asked said no.
    Failed {
        /// In its words.
        reason: String,
    },
    /// Nobody said anything in time. Whether the version works is not known, so that it counts as one that does not.
    NoAnswer {
        /// `it did not answer within 5 s`.
        reason: String,
    },
}

/// A `[probe.NAME]` table that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// Its `type` is missing or unknown.
    #[error("type: expected http or postgres")]
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
}

/// The contract between the broker and a use of a secret. Safe to call concurrently; a call ends within the configured
/// time, and changes nothing where it is made.
pub trait Probe: Send + Sync {
    /// Uses the secret once.
    fn probe<'a>(&'a self, secret: &'a SecretMaterial) -> BoxFuture<'a, ProbeOutcome>;
}

/// The adapter that a `[probe.NAME]` table configures.
///
/// # Errors
/// [`ConfigError`] naming the field and what would be accepted.
pub fn from_table(mut table: toml::Table) -> Result<Box<dyn Probe>, ConfigError> {
    let kind = table.remove("type");
    match kind.as_ref().and_then(toml::Value::as_str) {
        Some("http") => Ok(Box::new(http::Http::new(table.try_into()?)?)),
        Some("postgres") => Ok(Box::new(postgres::Login::new(table.try_into()?)?)),
        _ => Err(ConfigError::Type),
    }
}

/// How long a probe may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Timeout(u64);

impl Default for Timeout {
    fn default() -> Self {
        Self(10)
    }
}

impl Timeout {
    fn check(self) -> Result<Duration, ConfigError> {
        if (1..=TIMEOUT_MAX_S).contains(&self.0) {
            Ok(Duration::from_secs(self.0))
        } else {
            wrong("timeout_s", format!("expected 1 to {TIMEOUT_MAX_S}"))
        }
    }
}

fn wrong<T>(field: &'static str, problem: impl Into<String>) -> Result<T, ConfigError> {
    Err(ConfigError::Value {
        field,
        problem: problem.into(),
    })
}

fn silent(within: Duration) -> ProbeOutcome {
    ProbeOutcome::NoAnswer {
        reason: format!("it did not answer within {} s", within.as_secs()),
    }
}
