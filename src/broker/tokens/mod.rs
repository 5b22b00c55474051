//! Signing of tokens: in whose name, with which keys, and the lists in which readers see that one was withdrawn.
//!
//! Which key signs is the log's to say; the private halves are beside it, in a folder of their own.

mod status;

use super::issuers::Configured;
use crate::{
    config::{BrokerConfig, ConfigError},
    domain::{
        Algorithm, ClientId, Environment, Purpose, State,
        token_key::{KeyRules, LIST_SIZE, StatusList},
    },
    issuers::TokenOrder,
    jose::{KeyRing, RingError},
};
use aws_lc_rs::rand::{SecureRandom as _, SystemRandom};
use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;
use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::Arc,
};

pub use status::{StatusLists, StatusToken};

/// The longest that readers may keep the published keys, in seconds.
const KEYS_KEPT_S: i64 = 300;
/// How often a place is drawn before there is none to be had: a list is at most half full.
const DRAWS: usize = 128;
/// How many kinds of keys there may be.
pub type KeyKind = (Purpose, Algorithm);

/// Why tokens cannot be signed.
#[derive(Debug, thiserror::Error)]
pub enum TokensError {
    /// The private halves.
    #[error(transparent)]
    Ring(#[from] RingError),
    /// The configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
}

/// How tokens are signed.
#[derive(Debug)]
pub struct TokenService {
    ring: Arc<KeyRing>,
    settings: Option<Settings>,
    lists: StatusLists,
}

/// What `[tokens]` says, and what follows from the issuers.
#[derive(Debug, Clone)]
pub struct Settings {
    /// In whose name tokens are signed: the broker's public address.
    pub issuer: String,
    /// How keys follow each other.
    pub rules: KeyRules,
    /// For how long readers may keep a status list.
    pub status_ttl: TimeDelta,
    /// Which keys are needed.
    pub kinds: BTreeSet<KeyKind>,
}

/// A key as JWKS has it.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Jwk {
    /// Its name: the RFC 7638 thumbprint.
    pub kid: String,
    /// How it signs.
    pub alg: Algorithm,
    /// `sig`.
    #[serde(rename = "use")]
    pub usage: &'static str,
    /// `kty`, and `crv`, `x`, `y` or `n`, `e`.
    #[serde(flatten)]
    pub public: BTreeMap<String, String>,
}

/// The published keys (RFC 7517).
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Jwks {
    /// Those that sign, are to sign, or have signed what may still be shown.
    pub keys: Vec<Jwk>,
}

impl TokenService {
    /// What the configuration says, and the private halves in `folder`.
    ///
    /// # Errors
    /// [`TokensError`].
    pub fn open(config: &BrokerConfig, folder: PathBuf) -> Result<Self, TokensError> {
        let settings = config
            .tokens
            .as_ref()
            .map(|tokens| {
                let seconds = |seconds: u64| TimeDelta::seconds(seconds.cast_signed());
                Ok::<_, ConfigError>(Settings {
                    issuer: tokens.check()?,
                    rules: KeyRules {
                        life: seconds(tokens.key_life_s),
                        ahead: seconds(tokens.publish_ahead_s),
                    },
                    status_ttl: seconds(tokens.status_ttl_s),
                    kinds: kinds(config),
                })
            })
            .transpose()?;
        Ok(Self {
            ring: Arc::new(KeyRing::open(folder)?),
            settings,
            lists: StatusLists::default(),
        })
    }

    /// The private halves.
    pub fn ring(&self) -> &Arc<KeyRing> {
        &self.ring
    }

    /// What `[tokens]` says; none where no token is signed.
    pub fn settings(&self) -> Option<&Settings> {
        self.settings.as_ref()
    }

    /// What a token is to say; none where `issuer` signs none.
    ///
    /// # Errors
    /// Why none can be signed now.
    pub fn order(
        &self,
        state: &State,
        issuer: &Configured,
        about: &About<'_>,
        now: DateTime<Utc>,
    ) -> Result<Option<Box<TokenOrder>>, &'static str> {
        let Some(algorithm) = issuer.algorithm else {
            return Ok(None);
        };
        let settings = self.settings().ok_or("no [tokens] is configured")?;
        let key = state
            .tokens
            .in_use(Purpose::Tokens, algorithm)
            .ok_or("no key signs yet")?;
        let list = state.tokens.open_list(algorithm);
        let status_index = draw(state, list).ok_or("no place in a status list was found")?;
        Ok(Some(Box::new(TokenOrder {
            kid: key.kid.clone(),
            issued_at: now,
            issuer: settings.issuer.clone(),
            audience: about.audience.to_owned(),
            client: about.client.to_string(),
            environment: about.environment.to_string(),
            scopes: about.scopes.clone(),
            status_list: list.to_string(),
            status_uri: settings.list_uri(list),
            status_index,
        })))
    }

    /// The published keys as JSON, and for how long readers may keep them, in seconds.
    pub fn published(&self, state: &State) -> (Bytes, i64) {
        let keys = state.tokens.keys.values().map(|key| Jwk {
            kid: key.kid.clone(),
            alg: key.algorithm,
            usage: "sig",
            public: key.public.clone(),
        });
        let set = Jwks {
            keys: keys.collect(),
        };
        let body = serde_json::to_vec(&set).expect("plain data serialises");
        // Half of the time that a key is published ahead: whoever asks at any moment of it learns of the key in time.
        let kept = self.settings().map_or(0, |settings| {
            (settings.rules.ahead.num_seconds() / 2).min(KEYS_KEPT_S)
        });
        (body.into(), kept)
    }

    /// A status list as it is now, signed; none where no token is in it.
    pub fn list(&self, state: &State, list: StatusList, now: DateTime<Utc>) -> Option<StatusToken> {
        let settings = self.settings()?;
        self.lists.token(state, settings, &self.ring, list, now)
    }
}

impl Settings {
    /// Where a status list is.
    pub fn list_uri(&self, list: StatusList) -> String {
        format!("{}/status/{list}", self.issuer)
    }
}

/// What a token is about.
#[derive(Debug)]
pub struct About<'a> {
    /// Whom it may be shown to.
    pub audience: &'a str,
    /// Who uses it.
    pub client: ClientId,
    /// Where.
    pub environment: Environment,
    /// What it allows.
    pub scopes: Vec<String>,
}

/// The keys that the issuers need.
fn kinds(config: &BrokerConfig) -> BTreeSet<KeyKind> {
    let tables = config.issuer.values();
    tables
        .filter(|table| table.get("type").and_then(toml::Value::as_str) == Some("jwt"))
        .filter_map(|table| {
            let algorithm = table.get("algorithm")?.clone().try_into().ok()?;
            Some((Purpose::Tokens, algorithm))
        })
        .collect()
}

/// A free place, at random: its neighbours say nothing about it.
fn draw(state: &State, list: StatusList) -> Option<u32> {
    let random = SystemRandom::new();
    (0..DRAWS).find_map(|_| {
        let mut bytes = [0; 4];
        random
            .fill(&mut bytes)
            .expect("the operating system's random source answers");
        let index = u32::from_be_bytes(bytes) % LIST_SIZE;
        (!state.tokens.is_taken(list, index)).then_some(index)
    })
}
