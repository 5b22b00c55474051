//! `[webhook.NAME]`: whom the broker tells what happens.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::ConfigError;
use crate::outbound;

/// The longest time that a receiver may take to answer, in seconds.
const TIMEOUT_MAX_S: u64 = 60;

/// One receiver.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WebhookConfig {
    /// Where events are posted: https, or http to loopback.
    pub url: String,
    /// The file with the signing secret (`whsec_…`); in an overlap two lines, the newer one first. Read anew for every
    /// delivery, so that it can be replaced while the broker runs.
    pub secret_file: PathBuf,
    /// Which events, by type (`request.denied`) or by family (`request.*`).
    pub events: Vec<String>,
    /// How long an answer may take, in seconds.
    #[serde(default = "default_timeout_s")]
    pub timeout_s: u64,
    /// Trust only the certificates in this file (PEM).
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
}

const fn default_timeout_s() -> u64 {
    10
}

impl WebhookConfig {
    /// The address, once everything was checked that can be checked without the receiver.
    ///
    /// # Errors
    /// [`ConfigError::Invalid`] with the field and what would be accepted.
    pub fn check(&self, name: &str) -> Result<reqwest::Url, ConfigError> {
        let wrong = |field: &str, reason: String| ConfigError::Invalid {
            origin: format!("webhook.{name}.{field}"),
            reason,
        };
        let shaped = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if name.is_empty() || name.len() > 64 || !name.bytes().all(shaped) {
            let reason = "expected a name of 1 to 64 of a-z 0-9 -".to_owned();
            return Err(ConfigError::Invalid {
                origin: format!("webhook.{name:?}"),
                reason,
            });
        }
        let url = outbound::address(&self.url).map_err(|reason| wrong("url", reason))?;
        if !(1..=TIMEOUT_MAX_S).contains(&self.timeout_s) {
            return Err(wrong("timeout_s", format!("expected 1 to {TIMEOUT_MAX_S}")));
        }
        if self.events.is_empty() {
            let reason =
                "name at least one, such as \"request.awaiting_approval\" or \"request.*\"";
            return Err(wrong("events", reason.to_owned()));
        }
        Ok(url)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_work_is_said_with_its_field() {
        let good = WebhookConfig {
            url: "https://chat.example/hook".into(),
            secret_file: "hook.secret".into(),
            events: vec!["request.*".into()],
            timeout_s: 10,
            ca_file: None,
        };
        assert!(good.check("chat").is_ok());
        let loopback = WebhookConfig {
            url: "http://[::1]:8080/x".into(),
            ..good.clone()
        };
        assert!(loopback.check("chat").is_ok());
        type Change = fn(&mut WebhookConfig);
        let table: &[(&str, Change, &str)] = &[
            ("Chat!", |_| {}, "webhook.\"Chat!\": expected a name"),
            (
                "chat",
                |hook| hook.url = "http://chat.example/".into(),
                "webhook.chat.url: plain http",
            ),
            (
                "chat",
                |hook| hook.timeout_s = 0,
                "webhook.chat.timeout_s: expected 1 to 60",
            ),
            (
                "chat",
                |hook| hook.events.clear(),
                "webhook.chat.events: name at least one",
            ),
        ];
        for (name, change, expected) in table {
            let mut hook = good.clone();
            change(&mut hook);
            let error = hook.check(name).unwrap_err().to_string();
            assert!(error.starts_with(expected), "{error}");
        }
    }
}
