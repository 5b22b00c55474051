//! What `serve --config FILE` reads. Everything has a default; without a file the broker serves
//! `api_key` credentials only.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::{ConfigError, TokensConfig, WebhookConfig, parse_toml};
use crate::ssh::PublicKey;

/// The broker's file.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BrokerConfig {
    /// `[issuer.NAME]`: one table an issuer. Its `type` picks the adapter, which reads the rest.
    pub issuer: BTreeMap<String, toml::Table>,
    /// `[destination.NAME]`: one table a place where secrets are put. Its `type` picks the adapter, which reads the rest
    /// but for `environments`: whose secrets may be put there.
    pub destination: BTreeMap<String, toml::Table>,
    /// `[probe.NAME]`: one table a use by which new versions are tried before they take over. Its `type` picks the
    /// adapter, which reads the rest but for `environments` and `credentials`: whose new versions it tries.
    pub probe: BTreeMap<String, toml::Table>,
    /// `[webhook.NAME]`: one table a receiver of events.
    pub webhook: BTreeMap<String, WebhookConfig>,
    /// `[tokens]`; without it no token is signed.
    pub tokens: Option<TokensConfig>,
    /// `[login]`.
    pub login: Login,
    /// `[limits]`.
    pub limits: Limits,
}

/// How people sign in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Login {
    /// Lines of public keys: certification authorities whose OpenSSH user certificates are accepted, with the
    /// operator's handle as principal.
    pub ssh_authorities: Vec<String>,
    /// How long a session lasts that an SSH key opened, in seconds.
    pub session_s: u64,
}

impl Default for Login {
    fn default() -> Self {
        Self {
            ssh_authorities: Vec::new(),
            session_s: 8 * 3_600,
        }
    }
}

/// The longest session, in seconds.
const SESSION_MAX_S: u64 = 12 * 3_600;

impl Login {
    /// The certification authorities, read.
    ///
    /// # Errors
    /// [`ConfigError::Invalid`] for a line that is no key.
    pub fn authorities(&self) -> Result<Vec<PublicKey>, ConfigError> {
        self.ssh_authorities
            .iter()
            .map(|line| {
                PublicKey::from_line(line).map_err(|error| ConfigError::Invalid {
                    origin: "login.ssh_authorities".to_owned(),
                    reason: error.to_string(),
                })
            })
            .collect()
    }
}

/// Bounds on what callers can make the broker hold or do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// The longest request body, in bytes.
    pub body_bytes: usize,
    /// Requests worked on at once; further ones get 503 with a time to come back.
    pub in_flight: usize,
    /// Commands waiting for the writer; further ones get 503 with a time to come back.
    pub commands_waiting: usize,
    /// Event streams held open at once.
    pub streams: usize,
    /// How long an answer may take before it is given up, in seconds. Streams have no such end.
    pub request_timeout_s: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body_bytes: 1024 * 1024,
            in_flight: 1024,
            commands_waiting: 4096,
            streams: 512,
            request_timeout_s: 30,
        }
    }
}

impl BrokerConfig {
    /// Reads and checks the file; unlike a console's it has to exist, since it was named.
    ///
    /// # Errors
    /// [`ConfigError`] with file and line.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Read {
            path: path.to_owned(),
            source,
        })?;
        Self::parse(path, &text)
    }

    /// Parses and checks a text; `path` is for messages.
    ///
    /// # Errors
    /// [`ConfigError`] with file and line.
    pub fn parse(path: &Path, text: &str) -> Result<Self, ConfigError> {
        let config: Self = parse_toml(path, text)?;
        let limits = &config.limits;
        for (key, value) in [
            ("body_bytes", limits.body_bytes),
            ("in_flight", limits.in_flight),
            ("commands_waiting", limits.commands_waiting),
            ("streams", limits.streams),
            (
                "request_timeout_s",
                usize::try_from(limits.request_timeout_s).unwrap_or(usize::MAX),
            ),
        ] {
            if value == 0 {
                return Err(ConfigError::Invalid {
                    origin: format!("{}: limits.{key}", path.display()),
                    reason: "0 would let nothing through; expected 1 or more".to_owned(),
                });
            }
        }
        config.login.authorities()?;
        if !(60..=SESSION_MAX_S).contains(&config.login.session_s) {
            return Err(ConfigError::Invalid {
                origin: format!("{}: login.session_s", path.display()),
                reason: format!("expected 60 to {SESSION_MAX_S} seconds"),
            });
        }
        if let Some(tokens) = &config.tokens {
            tokens.check()?;
        }
        for (name, webhook) in &config.webhook {
            webhook.check(name)?;
        }
        for (name, table) in &config.issuer {
            if !table.get("type").is_some_and(toml::Value::is_str) {
                return Err(ConfigError::Invalid {
                    origin: format!("{}: issuer.{name}", path.display()),
                    reason: "no type; expected a line such as type = \"openbao\"".to_owned(),
                });
            }
        }
        Ok(config)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn issuers_pass_through_and_limits_have_defaults() {
        let config = BrokerConfig::parse(
            Path::new("broker.toml"),
            "[issuer.vault]\ntype = \"openbao\"\naddress = \"http://127.0.0.1:8200\"\n\n[limits]\nstreams = 3\n",
        )
        .unwrap();
        assert_eq!(
            config.issuer["vault"]["address"].as_str(),
            Some("http://127.0.0.1:8200")
        );
        assert_eq!(config.limits.streams, 3);
        assert_eq!(config.limits.body_bytes, 1024 * 1024);
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        for (text, expected) in [
            (
                "[limits]\nstream = 3\n",
                "broker.toml:2:1: unknown field `stream`, expected one of `body_bytes`",
            ),
            (
                "[limits]\nstreams = \"three\"\n",
                "broker.toml:2:11: invalid type: string \"three\"",
            ),
            (
                "[limits]\nstreams = 0\n",
                "broker.toml: limits.streams: 0 would let nothing through",
            ),
            (
                "[issuer.vault]\naddress = \"x\"\n",
                "broker.toml: issuer.vault: no type",
            ),
            ("[issuer\n", "broker.toml:1:"),
        ] {
            let error = BrokerConfig::parse(Path::new("broker.toml"), text).unwrap_err();
            assert!(error.to_string().starts_with(expected), "{error}");
        }
    }
}
