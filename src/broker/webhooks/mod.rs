//! Receivers that are told what happens: who they are, what they want to hear, how one is called, and how it fares.
//! When they are called is the reactor's matter.

/// What a receiver is sent.
pub mod body;

use super::breaker::Breaker;
use crate::{
    config::{BrokerConfig, ConfigError, WebhookConfig},
    domain::Event,
    outbound,
    secret::WebhookKeys,
    wire::WebhookHealth,
};
use chrono::{DateTime, TimeDelta, Utc};
use parking_lot::Mutex;
use reqwest::{StatusCode, Url, header};
use std::{path::PathBuf, sync::Arc, time::Duration};

/// The longest pause that a receiver can ask for.
const RETRY_AFTER_MAX: TimeDelta = TimeDelta::minutes(10);
/// The media type of a CloudEvent with its attributes in the body.
const CLOUD_EVENT: &str = "application/cloudevents+json; charset=utf-8";

/// All receivers; cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Webhooks(Arc<Vec<Arc<Webhook>>>);

/// One receiver.
#[derive(Debug)]
pub struct Webhook {
    name: String,
    url: Url,
    wanted: Vec<Wanted>,
    secret_file: PathBuf,
    http: reqwest::Client,
    standing: Mutex<Standing>,
}

/// Which events a receiver wants.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Wanted {
    Kind(String),
    /// With its dot: `request.`.
    Family(String),
}

/// How a receiver fares.
#[derive(Debug, Default)]
struct Standing {
    breaker: Breaker,
    /// What the last failure was; empty while it is well.
    trouble: String,
    /// The sequence up to which it was told everything.
    cursor: u64,
}

/// How one call ended.
#[derive(Debug, PartialEq, Eq)]
pub enum Delivery {
    /// The receiver has it.
    Taken,
    /// The receiver wants nothing any more (410).
    Gone,
    /// It may have it, or not.
    Failed {
        /// Why.
        why: String,
        /// How long it asks to be left alone.
        retry_after: Option<TimeDelta>,
    },
}

impl Webhooks {
    /// The receivers that the configuration names.
    ///
    /// # Errors
    /// [`ConfigError::Invalid`] with the field and what would be accepted.
    pub fn from_config(config: &BrokerConfig) -> Result<Self, ConfigError> {
        let hooks = config.webhook.iter();
        let hooks: Vec<_> = hooks
            .map(|(name, hook)| Webhook::new(name, hook).map(Arc::new))
            .collect::<Result<_, _>>()?;
        Ok(Self(Arc::new(hooks)))
    }

    /// All of them, by name.
    pub fn all(&self) -> impl Iterator<Item = &Arc<Webhook>> {
        self.0.iter()
    }

    /// How they fare, when the log is `sequence` long.
    pub fn health(&self, sequence: u64) -> Vec<WebhookHealth> {
        self.all().map(|hook| hook.health(sequence)).collect()
    }
}

impl Webhook {
    fn new(name: &str, config: &WebhookConfig) -> Result<Self, ConfigError> {
        let url = config.check(name)?;
        let wrong = |field: &str, reason: String| ConfigError::Invalid {
            origin: format!("webhook.{name}.{field}"),
            reason,
        };
        let wanted = config
            .events
            .iter()
            .map(|text| {
                Wanted::parse(text).ok_or_else(|| {
                    let known = Event::KINDS.join(", ");
                    let reason = format!("{text:?} is no type of event; known are {known}, and families such as request.*");
                    wrong("events", reason)
                })
            })
            .collect::<Result<_, _>>()?;
        WebhookKeys::read(&config.secret_file)
            .map_err(|error| wrong("secret_file", error.to_string()))?;
        let within = Duration::from_secs(config.timeout_s);
        let http = outbound::client(&url, within, config.ca_file.as_deref())
            .map_err(|reason| wrong("ca_file", reason))?
            .build()
            .map_err(|error| wrong("url", error.to_string()))?;
        Ok(Self {
            name: name.to_owned(),
            url,
            wanted,
            secret_file: config.secret_file.clone(),
            http,
            standing: Mutex::default(),
        })
    }

    /// Its configured name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where it is.
    pub fn url(&self) -> &str {
        self.url.as_str()
    }

    /// Whether it wants to hear of this type of event.
    pub fn wants(&self, kind: &str) -> bool {
        self.wanted.iter().any(|wanted| wanted.matches(kind))
    }

    /// One call. The same `id` and `body` may come again: the receiver drops what it has seen.
    pub async fn deliver(&self, id: &str, body: &[u8], now: DateTime<Utc>) -> Delivery {
        let failed = |why: String| Delivery::Failed {
            why,
            retry_after: None,
        };
        let path = self.secret_file.clone();
        let keys = match tokio::task::spawn_blocking(move || WebhookKeys::read(&path)).await {
            Ok(Ok(keys)) => keys,
            Ok(Err(error)) => return failed(error.to_string()),
            Err(_) => return failed("its secret file could not be read".to_owned()),
        };
        let timestamp = now.timestamp();
        let sent = self
            .http
            .post(self.url.clone())
            .header(header::CONTENT_TYPE, CLOUD_EVENT)
            .header(
                header::USER_AGENT,
                concat!("countersign/", env!("CARGO_PKG_VERSION")),
            )
            .header("webhook-id", id)
            .header("webhook-timestamp", timestamp)
            .header("webhook-signature", keys.sign(id, timestamp, body))
            .body(body.to_vec())
            .send()
            .await;
        match sent {
            // What it has to say is not read: nothing here depends on it, and it may never end.
            Ok(response) if response.status().is_success() => Delivery::Taken,
            Ok(response) if response.status() == StatusCode::GONE => Delivery::Gone,
            Ok(response) => Delivery::Failed {
                why: format!("it answered {}", response.status().as_u16()),
                retry_after: retry_after(&response),
            },
            Err(error) => failed(outbound::why(&error).to_owned()),
        }
    }

    /// The receiver has been told everything up to `sequence`.
    pub fn came_to(&self, sequence: u64) {
        self.standing.lock().cursor = sequence;
    }

    /// It is well.
    pub fn succeeded(&self) {
        let mut standing = self.standing.lock();
        standing.breaker.succeeded();
        standing.trouble.clear();
    }

    /// It is not. Returns when to call it again at the earliest.
    pub fn failed(&self, why: &str, now: DateTime<Utc>, jitter: u16) -> DateTime<Utc> {
        let mut standing = self.standing.lock();
        let until = standing.breaker.failed(now, jitter);
        let times = standing.breaker.failures();
        standing.trouble = format!("{why}; {times} calls in a row came to nothing");
        until
    }

    /// Whether it may be called.
    pub fn admit(&self, now: DateTime<Utc>) -> bool {
        self.standing.lock().breaker.admit(now)
    }

    /// It wants nothing any more.
    pub fn gone(&self) {
        "it answered 410 and is called no more; give it another url, or take it out of the configuration"
            .clone_into(&mut self.standing.lock().trouble);
    }

    fn health(&self, sequence: u64) -> WebhookHealth {
        let standing = self.standing.lock();
        WebhookHealth {
            webhook: self.name.clone(),
            ready: standing.trouble.is_empty(),
            detail: standing.trouble.clone(),
            behind: sequence.saturating_sub(standing.cursor),
        }
    }
}

impl Wanted {
    fn parse(text: &str) -> Option<Self> {
        if Event::KINDS.contains(&text) {
            return Some(Self::Kind(text.to_owned()));
        }
        let family = text.strip_suffix('*')?;
        let known =
            family.ends_with('.') && Event::KINDS.iter().any(|kind| kind.starts_with(family));
        known.then(|| Self::Family(family.to_owned()))
    }

    fn matches(&self, kind: &str) -> bool {
        match self {
            Self::Kind(wanted) => wanted == kind,
            Self::Family(family) => kind.starts_with(family.as_str()),
        }
    }
}

/// `Retry-After` in seconds, bounded.
fn retry_after(response: &reqwest::Response) -> Option<TimeDelta> {
    let seconds = i64::try_from(outbound::retry_after_s(response)?).unwrap_or(i64::MAX);
    Some(TimeDelta::seconds(
        seconds.min(RETRY_AFTER_MAX.num_seconds()),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_and_families_are_wanted_by_name() {
        let kind = Wanted::parse("request.denied").unwrap();
        assert!(kind.matches("request.denied") && !kind.matches("request.denied_twice"));
        let family = Wanted::parse("request.*").unwrap();
        assert!(family.matches("request.held") && !family.matches("requests.held"));
        for unknown in ["request.denies", "request*", "*", "", "nothing.*"] {
            assert_eq!(Wanted::parse(unknown), None, "{unknown}");
        }
    }

    #[test]
    fn every_type_of_event_is_known() {
        // serde lists what it would have taken.
        let unknown = serde_json::json!({"type": "?", "data": {}});
        let said = serde_json::from_value::<Event>(unknown)
            .unwrap_err()
            .to_string();
        let listed = said.split_once("expected one of ").unwrap().1;
        let listed: Vec<_> = listed
            .split(", ")
            .map(|word| word.trim_matches('`'))
            .collect();
        assert_eq!(listed, Event::KINDS);
    }
}
