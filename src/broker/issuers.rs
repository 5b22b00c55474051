//! The configured issuers, by name, each with its circuit and what it last said.

use super::breaker::Breaker;
use crate::{
    config::BrokerConfig,
    domain::{Algorithm, Kind, Plan},
    issuers::{
        Issuer,
        api_key::ApiKeyIssuer,
        jwt::JwtIssuer,
        openbao::{OpenBaoConfig, OpenBaoIssuer},
        postgres::{PostgresConfig, PostgresIssuer},
    },
    jose::KeyRing,
    wire::IssuerHealth,
};
use parking_lot::Mutex;
use std::{collections::BTreeMap, sync::Arc};

/// The name of the issuer that is always there and makes `api_key` credentials.
pub const BUILT_IN: &str = "countersign";

/// One configured issuer.
pub struct Configured {
    /// Its name.
    pub name: String,
    /// What it makes.
    pub kind: Kind,
    /// How it signs, if it makes tokens.
    pub algorithm: Option<Algorithm>,
    /// The adapter.
    pub issuer: Box<dyn Issuer>,
    /// Whether it is asked at the moment.
    pub breaker: Mutex<Breaker>,
    health: Mutex<Option<String>>,
}

impl std::fmt::Debug for Configured {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Configured")
            .field("name", &self.name)
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}

impl Configured {
    /// Notes what the issuer said: nothing when it is ready.
    pub fn heard(&self, trouble: Option<String>) {
        *self.health.lock() = trouble;
    }

    /// What it said last.
    pub fn health(&self) -> IssuerHealth {
        let trouble = self.health.lock().clone();
        IssuerHealth {
            issuer: self.name.clone(),
            ready: trouble.is_none(),
            detail: trouble.unwrap_or_default(),
        }
    }
}

/// All of them.
#[derive(Debug, Clone)]
pub struct Issuers(Arc<BTreeMap<String, Arc<Configured>>>);

/// An `[issuer.NAME]` table that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum IssuerConfigError {
    /// Its `type` is missing or unknown.
    #[error("issuer.{name}.type: expected jwt, openbao or postgres")]
    Type {
        /// The table's name.
        name: String,
    },
    /// The name is taken by the built-in issuer.
    #[error("issuer.{BUILT_IN}: this name is the built-in issuer's; choose another")]
    Name,
    /// It signs tokens, and nothing says in whose name.
    #[error("issuer.{name}: a table [tokens] with the broker's public address, issuer, is missing")]
    Tokens {
        /// The table's name.
        name: String,
    },
    /// A field is missing, unknown, or of another type.
    #[error("issuer.{name}: {source}")]
    Fields {
        /// The table's name.
        name: String,
        /// What is expected.
        source: toml::de::Error,
    },
    /// A value cannot be used.
    #[error("issuer.{name}: {source}")]
    Values {
        /// The table's name.
        name: String,
        /// What is wrong.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// What the table of an issuer of type `jwt` says.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct JwtConfig {
    algorithm: Algorithm,
}

impl Issuers {
    /// The built-in issuer, and those that the configuration names.
    ///
    /// # Errors
    /// [`IssuerConfigError`] naming the table and what would be accepted.
    pub fn from_config(
        config: &BrokerConfig,
        keys: &Arc<KeyRing>,
    ) -> Result<Self, IssuerConfigError> {
        let mut issuers = BTreeMap::new();
        let mut add = |name: &str, kind, algorithm, issuer: Box<dyn Issuer>| {
            let configured = Configured {
                name: name.to_owned(),
                kind,
                algorithm,
                issuer,
                breaker: Mutex::new(Breaker::default()),
                health: Mutex::new(None),
            };
            issuers.insert(name.to_owned(), Arc::new(configured));
        };
        add(BUILT_IN, Kind::ApiKey, None, Box::new(ApiKeyIssuer));
        for (name, table) in &config.issuer {
            if name == BUILT_IN {
                return Err(IssuerConfigError::Name);
            }
            let (kind, algorithm, issuer) = one(name, table.clone(), config, keys)?;
            add(name, kind, algorithm, issuer);
        }
        Ok(Self(Arc::new(issuers)))
    }

    /// The built-in issuer only.
    pub fn built_in() -> Self {
        Self::from_config(&BrokerConfig::default(), &Arc::default())
            .expect("an empty configuration has no wrong field")
    }

    /// The issuer of this name.
    pub fn get(&self, name: &str) -> Option<&Arc<Configured>> {
        self.0.get(name)
    }

    /// All of them, by name.
    pub fn all(&self) -> impl Iterator<Item = &Arc<Configured>> {
        self.0.values()
    }

    /// The name of the only issuer of `kind`, which a request may leave out.
    pub fn only(&self, kind: Kind) -> Option<&str> {
        let mut of_kind = self.0.values().filter(|issuer| issuer.kind == kind);
        match (of_kind.next(), of_kind.next()) {
            (Some(one), None) => Some(&one.name),
            _ => None,
        }
    }

    /// Whether some issuer makes what the plan asks for; if not, the words that say what would be accepted.
    ///
    /// # Errors
    /// The names of the issuers of that kind.
    pub fn serves(&self, plan: &Plan) -> Result<(), String> {
        if self
            .get(&plan.issuer)
            .is_some_and(|issuer| issuer.kind == plan.kind)
        {
            return Ok(());
        }
        let names: Vec<_> = self
            .0
            .values()
            .filter(|issuer| issuer.kind == plan.kind)
            .map(|issuer| issuer.name.as_str())
            .collect();
        Err(if names.is_empty() {
            format!("no issuer of {} is configured", plan.kind)
        } else {
            format!("expected one of {}", names.join(", "))
        })
    }
}

/// What an issuer makes, what it signs with, and its adapter.
type One = (Kind, Option<Algorithm>, Box<dyn Issuer>);

/// The adapter that an `[issuer.NAME]` table configures, and what it makes.
fn one(
    name: &str,
    mut table: toml::Table,
    config: &BrokerConfig,
    keys: &Arc<KeyRing>,
) -> Result<One, IssuerConfigError> {
    let fields = |source| IssuerConfigError::Fields {
        name: name.to_owned(),
        source,
    };
    let values = |source| IssuerConfigError::Values {
        name: name.to_owned(),
        source,
    };
    let kind = table.remove("type");
    match kind.as_ref().and_then(toml::Value::as_str) {
        Some("jwt") if config.tokens.is_none() => Err(IssuerConfigError::Tokens {
            name: name.to_owned(),
        }),
        Some("jwt") => {
            let JwtConfig { algorithm } = table.try_into().map_err(fields)?;
            let issuer = JwtIssuer::new(Arc::clone(keys));
            Ok((Kind::Jwt, Some(algorithm), Box::new(issuer)))
        }
        Some("openbao") => {
            let config: OpenBaoConfig = table.try_into().map_err(fields)?;
            let issuer = OpenBaoIssuer::new(config).map_err(|error| values(error.into()))?;
            Ok((Kind::VaultLease, None, Box::new(issuer)))
        }
        Some("postgres") => {
            let config: PostgresConfig = table.try_into().map_err(fields)?;
            let issuer = PostgresIssuer::new(config).map_err(|error| values(error.into()))?;
            Ok((Kind::DatabaseRole, None, Box::new(issuer)))
        }
        _ => Err(IssuerConfigError::Type {
            name: name.to_owned(),
        }),
    }
}
