//! A request with the key as its bearer token, to one configured address.

use super::{ConfigError, Probe, ProbeOutcome, Timeout, silent, wrong};
use crate::{outbound, secret::SecretMaterial};
use futures_util::{FutureExt as _, future::BoxFuture};
use reqwest::{
    Url,
    header::{AUTHORIZATION, HeaderValue, USER_AGENT},
};
use serde::Deserialize;
use std::{path::PathBuf, time::Duration};
use zeroize::Zeroizing;

/// One address that accepts the key, or does not.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpConfig {
    /// What is asked for, by GET: https, or http to loopback. The key is sent here and nowhere else.
    pub url: String,
    /// The status that says that the key works.
    #[serde(default = "default_status")]
    pub status: u16,
    /// How long an answer may take, in seconds.
    #[serde(default)]
    pub timeout_s: Timeout,
    /// Trust only the certificates in this file (PEM).
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
}

const fn default_status() -> u16 {
    200
}

/// The adapter.
pub(super) struct Http {
    url: Url,
    status: u16,
    within: Duration,
    client: reqwest::Client,
}

impl Http {
    pub(super) fn new(config: HttpConfig) -> Result<Self, ConfigError> {
        let url = outbound::address(&config.url).or_else(|problem| wrong("url", problem))?;
        if !(200..=599).contains(&config.status) || (300..400).contains(&config.status) {
            return wrong("status", "expected a final one, such as 200 or 204");
        }
        let within = config.timeout_s.check()?;
        let client = outbound::client(&url, within, config.ca_file.as_deref())
            .or_else(|problem| wrong("ca_file", problem))?
            .build()
            .or_else(|error| wrong("url", outbound::cause(&error)))?;
        Ok(Self {
            url,
            status: config.status,
            within,
            client,
        })
    }

    async fn ask(&self, secret: &SecretMaterial) -> ProbeOutcome {
        let fields = secret.fields();
        let Some(key) = fields.get("token") else {
            return ProbeOutcome::Failed {
                reason: "a login is no bearer token; try it with a probe of type \"postgres\""
                    .to_owned(),
            };
        };
        let text = Zeroizing::new(format!("Bearer {}", key.expose()));
        let Ok(mut bearer) = HeaderValue::from_str(&text) else {
            return ProbeOutcome::Failed {
                reason: "the key has characters that no header takes".to_owned(),
            };
        };
        bearer.set_sensitive(true);
        let sent = self
            .client
            .get(self.url.clone())
            .header(AUTHORIZATION, bearer)
            .header(
                USER_AGENT,
                concat!("countersign/", env!("CARGO_PKG_VERSION")),
            )
            .send()
            .await;
        // What it has to say is not read: it may never end, and may repeat the key.
        match sent {
            Ok(response) if response.status().as_u16() == self.status => ProbeOutcome::Passed {
                seen: format!("it answered {}", self.status),
            },
            Ok(response) => ProbeOutcome::Failed {
                reason: format!(
                    "it answered {} where {} was expected",
                    response.status().as_u16(),
                    self.status
                ),
            },
            Err(error) if error.is_timeout() => silent(self.within),
            Err(error) => ProbeOutcome::NoAnswer {
                reason: outbound::why(&error).to_owned(),
            },
        }
    }
}

impl Probe for Http {
    fn probe<'a>(&'a self, secret: &'a SecretMaterial) -> BoxFuture<'a, ProbeOutcome> {
        self.ask(secret).boxed()
    }
}
