//! A receiver of secrets over HTTP: something that puts them where a service reads, and that this broker cannot reach
//! otherwise. Signed as Standard Webhooks has it, posted below one configured address, and with the same id whenever
//! the same version comes again, so that the receiver can drop what it has.

use super::{ConfigError, Deliver, Delivered, DeliveryError, DeliveryOrder, Paths, wrong};
use crate::{
    clock, outbound,
    secret::{SecretMaterial, WebhookKeys, digest_of},
};
use futures_util::{FutureExt as _, future::BoxFuture, future::ready};
use reqwest::{StatusCode, Url, header};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::{path::PathBuf, time::Duration};

const RECEIVER: &str = "the receiver";
/// The longest time that a receiver may take to answer, in seconds.
const TIMEOUT_MAX_S: u64 = 60;
/// How much of an answer is read: what a receiver says when it refuses.
const ANSWER_BYTES: usize = 2_000;

/// One receiver.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReceiverConfig {
    /// Where secrets are posted: this, and below it the path. https, or http to loopback.
    pub url: String,
    /// The file with the signing secret (`whsec_…`); in an overlap two lines, the newer one first. Read anew for every
    /// delivery.
    pub secret_file: PathBuf,
    /// Paths below these may be delivered to.
    pub prefixes: Vec<String>,
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

/// The adapter.
pub(super) struct Receiver {
    url: Url,
    secret_file: PathBuf,
    paths: Paths,
    http: reqwest::Client,
}

/// What is posted.
#[derive(Serialize)]
struct Body<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    credential: &'a str,
    id: &'a str,
    environment: &'a str,
    version: u32,
    path: &'a str,
    expires_at: Option<chrono::DateTime<chrono::Utc>>,
    secret: Box<RawValue>,
}

impl Receiver {
    pub(super) fn new(config: ReceiverConfig) -> Result<Self, ConfigError> {
        let url = outbound::address(&config.url).or_else(|problem| wrong("url", problem))?;
        if url.query().is_some() || url.fragment().is_some() {
            return wrong("url", "expected no query: the path is put behind it");
        }
        if !(1..=TIMEOUT_MAX_S).contains(&config.timeout_s) {
            return wrong("timeout_s", format!("expected 1 to {TIMEOUT_MAX_S}"));
        }
        WebhookKeys::read(&config.secret_file)
            .or_else(|error| wrong("secret_file", error.to_string()))?;
        let within = Duration::from_secs(config.timeout_s);
        let http = outbound::client(&url, within, config.ca_file.as_deref())
            .or_else(|problem| wrong("ca_file", problem))?
            .build()
            .or_else(|error| wrong("url", outbound::cause(&error)))?;
        Ok(Self {
            url,
            secret_file: config.secret_file,
            paths: Paths::new(config.prefixes)?,
            http,
        })
    }

    async fn post(
        &self,
        order: &DeliveryOrder,
        secret: &SecretMaterial,
    ) -> Result<Delivered, DeliveryError> {
        self.paths.admit(&order.path).or_else(refused)?;
        let file = self.secret_file.clone();
        let keys = tokio::task::spawn_blocking(move || WebhookKeys::read(&file)).await;
        let keys = match keys {
            Ok(Ok(keys)) => keys,
            Ok(Err(error)) => return unavailable(error.to_string(), None),
            Err(_) => return unavailable("its secret file could not be read", None),
        };
        let body = serde_json::to_vec(&Body {
            kind: "credential.delivered",
            credential: &order.credential,
            id: &order.id,
            environment: &order.environment,
            version: order.version,
            path: &order.path,
            expires_at: order.expires_at,
            secret: RawValue::from_string(secret.as_object().expose().to_owned())
                .expect("an object of texts is JSON"),
        })
        .expect("texts and numbers have a JSON form");
        let id = id(order);
        let timestamp = clock::now().timestamp();
        let mut url = self.url.clone();
        url.set_path(&format!(
            "{}/{}",
            self.url.path().trim_end_matches('/'),
            order.path
        ));
        let sent = self
            .http
            .post(url.clone())
            .header(header::CONTENT_TYPE, "application/json")
            .header(
                header::USER_AGENT,
                concat!("countersign/", env!("CARGO_PKG_VERSION")),
            )
            .header("webhook-id", &id)
            .header("webhook-timestamp", timestamp)
            .header("webhook-signature", keys.sign(&id, timestamp, &body))
            .body(body)
            .send()
            .await;
        let response = match sent {
            Ok(response) => response,
            Err(error) if error.is_connect() => return unavailable(outbound::why(&error), None),
            Err(error) => {
                return Err(DeliveryError::Unknown {
                    system: RECEIVER,
                    reason: outbound::why(&error).to_owned(),
                });
            }
        };
        let status = response.status();
        if status.is_success() {
            return Ok(Delivered {
                place: format!("{url}, {id}"),
                proven: false,
            });
        }
        let retry_after_s = outbound::retry_after_s(&response);
        let later = status.is_server_error()
            || matches!(
                status,
                StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT
            );
        if later {
            return unavailable(format!("it answered {}", status.as_u16()), retry_after_s);
        }
        if status.is_redirection() {
            return refused(format!(
                "it answered {}: a secret is not sent on to another address",
                status.as_u16()
            ));
        }
        let said = outbound::read_bounded(response, ANSWER_BYTES).await;
        let said = said.map(|said| String::from_utf8_lossy(&said).into_owned());
        refused(match said {
            // Whoever refuses may well repeat what it was sent.
            Ok(said) if !said.trim().is_empty() && !repeats(&said, secret) => {
                format!("it answered {}: {}", status.as_u16(), said.trim())
            }
            _ => format!("it answered {}", status.as_u16()),
        })
    }
}

/// The message's id: the same for every try, and for no other version of any credential.
fn id(order: &DeliveryOrder) -> String {
    let digest = digest_of(&order.key()).to_string();
    let (_, hex) = digest.split_once(':').unwrap_or(("", &digest));
    format!("dlv_{}", &hex[..32])
}

/// Whether a text holds any of the secret's fields.
fn repeats(text: &str, secret: &SecretMaterial) -> bool {
    secret
        .fields()
        .values()
        .any(|value| text.contains(value.expose()))
}

fn refused<T>(reason: String) -> Result<T, DeliveryError> {
    Err(DeliveryError::Refused {
        system: RECEIVER,
        reason,
    })
}

fn unavailable<T>(
    reason: impl Into<String>,
    retry_after_s: Option<u64>,
) -> Result<T, DeliveryError> {
    Err(DeliveryError::Unavailable {
        system: RECEIVER,
        reason: reason.into(),
        retry_after_s,
    })
}

impl Deliver for Receiver {
    fn paths(&self) -> &Paths {
        &self.paths
    }

    fn deliver<'a>(
        &'a self,
        order: &'a DeliveryOrder,
        secret: &'a SecretMaterial,
    ) -> BoxFuture<'a, Result<Delivered, DeliveryError>> {
        self.post(order, secret).boxed()
    }

    /// A receiver tells nothing.
    fn held<'a>(
        &'a self,
        _order: &'a DeliveryOrder,
    ) -> BoxFuture<'a, Result<Option<SecretMaterial>, DeliveryError>> {
        ready(Ok(None)).boxed()
    }

    /// A receiver is heard of when it is sent something.
    fn ready(&self) -> BoxFuture<'_, Result<(), String>> {
        ready(Ok(())).boxed()
    }
}

#[cfg(test)]
mod tests;
