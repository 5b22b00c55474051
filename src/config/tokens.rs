//! `[tokens]`: the address in whose name tokens are signed, and how the keys for that follow each other.

use super::ConfigError;
use crate::outbound;
use serde::{Deserialize, Serialize};

/// The longest and the shortest life of a key, in seconds: NIST SP 800-57 gives a private signature key 1 to 3 years.
const LIFE_S: std::ops::RangeInclusive<u64> = 2..=365 * 86_400;
/// The shortest and longest time that a key is published ahead, in seconds.
const AHEAD_S: std::ops::RangeInclusive<u64> = 1..=30 * 86_400;
/// For how long a status list may be kept at least and at most, in seconds.
const STATUS_S: std::ops::RangeInclusive<u64> = 1..=3_600;

/// Signed tokens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokensConfig {
    /// The broker's public address, which tokens name as their issuer: https, or http to loopback, without a path.
    pub issuer: String,
    /// For how long a key signs, in seconds.
    #[serde(default = "default_key_life_s")]
    pub key_life_s: u64,
    /// For how long a key is published before it signs, in seconds. Readers may keep what was published for half of it.
    #[serde(default = "default_publish_ahead_s")]
    pub publish_ahead_s: u64,
    /// For how long readers may keep a status list, in seconds: within that time they learn of a revocation by it.
    #[serde(default = "default_status_ttl_s")]
    pub status_ttl_s: u64,
}

const fn default_key_life_s() -> u64 {
    90 * 86_400
}

const fn default_publish_ahead_s() -> u64 {
    86_400
}

const fn default_status_ttl_s() -> u64 {
    60
}

impl TokensConfig {
    /// The issuer as tokens name it, once everything was checked.
    ///
    /// # Errors
    /// [`ConfigError::Invalid`] with the field and what would be accepted.
    pub fn check(&self) -> Result<String, ConfigError> {
        let wrong = |field: &str, reason: String| ConfigError::Invalid {
            origin: format!("tokens.{field}"),
            reason,
        };
        let url = outbound::address(&self.issuer).map_err(|reason| wrong("issuer", reason))?;
        let plain = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
        // Readers compare it letter by letter.
        let spelled = url.as_str().trim_end_matches('/');
        if !plain || spelled != self.issuer {
            return Err(wrong(
                "issuer",
                "expected an address without path, spelled as in https://broker.example".to_owned(),
            ));
        }
        for (field, value, range) in [
            ("key_life_s", self.key_life_s, LIFE_S),
            ("publish_ahead_s", self.publish_ahead_s, AHEAD_S),
            ("status_ttl_s", self.status_ttl_s, STATUS_S),
        ] {
            if !range.contains(&value) {
                let (least, most) = (range.start(), range.end());
                return Err(wrong(field, format!("expected {least} to {most} seconds")));
            }
        }
        if self.publish_ahead_s > self.key_life_s / 2 {
            return Err(wrong(
                "publish_ahead_s",
                "expected at most half of key_life_s".to_owned(),
            ));
        }
        Ok(self.issuer.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_work_is_said_with_its_field() {
        let good: TokensConfig = toml::from_str("issuer = \"https://broker.example\"").unwrap();
        assert_eq!(good.check().unwrap(), "https://broker.example");
        let parse = |text: &str| toml::from_str::<TokensConfig>(text).unwrap().check();
        assert!(parse("issuer = \"http://127.0.0.1:8080\"").is_ok());
        for (text, said) in [
            (
                "issuer = \"http://broker.example\"",
                "tokens.issuer: plain http",
            ),
            (
                "issuer = \"https://broker.example/\"",
                "tokens.issuer: expected an address",
            ),
            (
                "issuer = \"https://broker.example/x\"",
                "tokens.issuer: expected an address",
            ),
            (
                "issuer = \"https://Broker.example\"",
                "tokens.issuer: expected an address",
            ),
            (
                "issuer = \"https://b.example\"\nkey_life_s = 0",
                "tokens.key_life_s: expected 2 to 31536000 seconds",
            ),
            (
                "issuer = \"https://b.example\"\nkey_life_s = 10\npublish_ahead_s = 6",
                "tokens.publish_ahead_s: expected at most half",
            ),
            (
                "issuer = \"https://b.example\"\nstatus_ttl_s = 7200",
                "tokens.status_ttl_s: expected 1 to 3600",
            ),
        ] {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.starts_with(said), "{error}");
        }
    }
}
