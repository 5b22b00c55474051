//! The HTTP side of OpenBao: one call in, one typed envelope or a precise failure out. No retries, no redirects
//! (a stale leader must not get the token), bounded answers, and the request id on every call for its audit log.

use super::config::{ConfigError, Reach};
use crate::{
    outbound::{self, ReadError},
    secret::SecretMaterial,
};
use parking_lot::Mutex;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{Method, StatusCode, Url};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::path::PathBuf;
use std::time::Duration;
use zeroize::Zeroizing;

/// Larger than the accessors of 200 000 tokens; no answer of OpenBao should be longer.
const MAX_ANSWER_BYTES: usize = 8 << 20;
const INDEX: &str = "X-Vault-Index";

/// What went wrong with one call, before anybody judges what that means for an issuance.
#[derive(Debug)]
pub(crate) enum CallError {
    /// The call never reached the server.
    Unreachable(String),
    /// The call may have reached the server; no (complete) answer came.
    Lost(String),
    /// The server answered with a failure.
    Status {
        status: u16,
        errors: Vec<String>,
        retry_after_s: Option<u64>,
    },
    /// The broker's own token cannot be read.
    NoToken(String),
}

impl CallError {
    /// The server's words in one line.
    pub(crate) fn text(&self) -> String {
        match self {
            Self::Unreachable(text) | Self::Lost(text) | Self::NoToken(text) => text.clone(),
            Self::Status { status, errors, .. } if errors.is_empty() => format!("HTTP {status}"),
            Self::Status { errors, .. } => errors
                .iter()
                .map(|e| one_line(e))
                .collect::<Vec<_>>()
                .join("; "),
        }
    }

    pub(crate) fn says(&self, words: &str) -> bool {
        matches!(self, Self::Status { errors, .. } if errors.iter().any(|error| error.contains(words)))
    }

    pub(crate) fn status(&self) -> Option<u16> {
        match self {
            Self::Status { status, .. } => Some(*status),
            _ => None,
        }
    }
}

/// OpenBao's errors come as a list in text, `1 error occurred:\n\t* …\n\n`.
fn one_line(text: &str) -> String {
    let text = text.trim();
    let text = text.strip_prefix("1 error occurred:").unwrap_or(text);
    let words: Vec<&str> = text
        .split_whitespace()
        .filter(|word| *word != "*")
        .collect();
    words.join(" ").chars().take(500).collect()
}

/// The envelope around every answer that has one.
#[derive(Debug, Deserialize)]
pub(crate) struct Envelope<T> {
    #[serde(default)]
    pub(crate) lease_id: String,
    #[serde(default)]
    pub(crate) lease_duration: u64,
    pub(crate) data: Option<T>,
    pub(crate) auth: Option<TokenAuth>,
    pub(crate) wrap_info: Option<Value>,
    #[serde(default)]
    warnings: Option<Vec<String>>,
}

impl<T> Envelope<T> {
    /// Caps and ignored parameters are told nowhere else, with status 200.
    pub(crate) fn take_warnings(&mut self) -> Vec<String> {
        self.warnings
            .take()
            .unwrap_or_default()
            .iter()
            .map(|text| format!("OpenBao: {}", one_line(text)))
            .collect()
    }
}

/// `auth` of a token's creation.
#[derive(Debug, Deserialize)]
pub(crate) struct TokenAuth {
    pub(crate) client_token: SecretMaterial,
    pub(crate) accessor: String,
    pub(crate) lease_duration: u64,
    #[serde(default)]
    pub(crate) orphan: bool,
}

/// Whose token a call carries.
#[derive(Clone, Copy)]
pub(crate) enum As<'a> {
    Broker,
    Child(&'a SecretMaterial),
}

enum TokenSource {
    File(PathBuf),
    Env(String),
}

pub(crate) struct Api {
    http: reqwest::Client,
    base: Url,
    namespace: Option<HeaderValue>,
    token: TokenSource,
    /// The newest state that we have seen, sent along so that a standby never answers from an older one.
    index: Mutex<Option<HeaderValue>>,
}

impl Api {
    pub(crate) fn new(reach: Reach<'_>) -> Result<Self, ConfigError> {
        let wrong = |field, problem: String| ConfigError::Field { field, problem };
        let base = reach.check()?;
        let within = Duration::from_secs(reach.timeout_s);
        let http = outbound::client(&base, within, reach.ca_file)
            .map_err(|problem| wrong("ca_file", problem))?
            .build()
            .map_err(|error| wrong("address", outbound::cause(&error)))?;
        let namespace = match reach.namespace {
            None => None,
            Some(name) => Some(HeaderValue::from_str(name).map_err(|_| {
                wrong(
                    "namespace",
                    "has characters that no namespace has".to_owned(),
                )
            })?),
        };
        let token = match (reach.token_file, reach.token_env) {
            (Some(file), _) => TokenSource::File(file.to_owned()),
            (None, name) => TokenSource::Env(name.unwrap_or_default().to_owned()),
        };
        Ok(Self {
            http,
            base,
            namespace,
            token,
            index: Mutex::new(None),
        })
    }

    /// One call. `path` is below `/v1/`, with its query. `None`: the server said 204, no content.
    pub(crate) async fn call<T: DeserializeOwned>(
        &self,
        token: As<'_>,
        request_id: &str,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Option<Envelope<T>>, CallError> {
        let body = body.map(Value::to_string);
        self.call_text(token, request_id, method, path, body).await
    }

    /// The same with a body that is text already.
    pub(crate) async fn call_text<T: DeserializeOwned>(
        &self,
        token: As<'_>,
        request_id: &str,
        method: Method,
        path: &str,
        body: Option<String>,
    ) -> Result<Option<Envelope<T>>, CallError> {
        let request = self.request(token, request_id, method, path, body).await?;
        let response = request.send().await.map_err(|error| failure(&error))?;
        let status = response.status();
        let retry_after_s = outbound::retry_after_s(&response);
        if let Some(index) = response.headers().get(INDEX) {
            *self.index.lock() = Some(index.clone());
        }
        let answer = outbound::read_bounded(response, MAX_ANSWER_BYTES)
            .await
            .map_err(|error| match error {
                ReadError::TooLong(max) => {
                    CallError::Lost(format!("its answer is longer than {max} bytes"))
                }
                ReadError::Broken(error) => failure(&error),
            })?;
        if status.is_success() {
            if status == StatusCode::NO_CONTENT || answer.is_empty() {
                return Ok(None);
            }
            // The parser's message may quote the answer, which may hold a secret: leave it out.
            return serde_json::from_slice(&answer).map(Some).map_err(|error| {
                CallError::Lost(format!(
                    "its answer to {path} is not what OpenBao sends ({:?} at byte {})",
                    error.classify(),
                    error.column()
                ))
            });
        }
        #[derive(Deserialize)]
        struct Errors {
            #[serde(default)]
            errors: Vec<String>,
        }
        let errors = serde_json::from_slice::<Errors>(&answer)
            .map(|e| e.errors)
            .unwrap_or_default();
        Err(CallError::Status {
            status: status.as_u16(),
            errors,
            retry_after_s,
        })
    }

    async fn request(
        &self,
        token: As<'_>,
        request_id: &str,
        method: Method,
        path: &str,
        body: Option<String>,
    ) -> Result<reqwest::RequestBuilder, CallError> {
        let own;
        let token = match token {
            As::Child(token) => token,
            As::Broker => {
                own = self.broker_token().await?;
                &own
            }
        };
        let mut token = HeaderValue::from_str(token.expose()).map_err(|_| {
            CallError::NoToken("the token has characters that no token has".to_owned())
        })?;
        token.set_sensitive(true);
        let mut headers = HeaderMap::new();
        headers.insert("X-Vault-Token", token);
        headers.insert("X-Vault-Request", HeaderValue::from_static("true"));
        // A standby that is behind passes the call on to the active node instead of answering from the past.
        headers.insert(
            "X-Vault-Inconsistent",
            HeaderValue::from_static("forward-active-node"),
        );
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Ok(id) = HeaderValue::from_str(request_id) {
            headers.insert("x-countersign-request", id);
        }
        if let Some(index) = self.index.lock().clone() {
            headers.insert(INDEX, index);
        }
        if let Some(namespace) = self.namespace.clone() {
            headers.insert("X-Vault-Namespace", namespace);
        }
        let (path, query) = match path.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (path, None),
        };
        let mut url = self.base.clone();
        url.set_path(&format!(
            "{}/v1/{}",
            self.base.path().trim_end_matches('/'),
            path
        ));
        url.set_query(query);
        let request = self.http.request(method, url).headers(headers);
        Ok(match body {
            Some(body) => request.body(body),
            None => request,
        })
    }

    async fn broker_token(&self) -> Result<SecretMaterial, CallError> {
        let text = match &self.token {
            TokenSource::File(path) => {
                Zeroizing::new(tokio::fs::read_to_string(path).await.map_err(|error| {
                    CallError::NoToken(format!("cannot read {}: {error}", path.display()))
                })?)
            }
            TokenSource::Env(name) => Zeroizing::new(
                std::env::var(name)
                    .map_err(|_| CallError::NoToken(format!("the variable {name} is not set")))?,
            ),
        };
        match text.trim() {
            "" => Err(CallError::NoToken(
                "the token's file or variable is empty".to_owned(),
            )),
            token => Ok(SecretMaterial::new(token.to_owned())),
        }
    }

    /// Where the broker's token comes from, for messages.
    pub(crate) fn token_origin(&self) -> String {
        match &self.token {
            TokenSource::File(path) => path.display().to_string(),
            TokenSource::Env(name) => format!("${name}"),
        }
    }

    /// The server's address, for messages.
    pub(crate) fn address(&self) -> &Url {
        &self.base
    }
}

fn failure(error: &reqwest::Error) -> CallError {
    if error.is_connect() || error.is_builder() {
        CallError::Unreachable(outbound::cause(error))
    } else if error.is_timeout() {
        CallError::Lost("no answer in time".to_owned())
    } else {
        CallError::Lost(outbound::cause(error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_servers_words_become_one_line() {
        assert_eq!(
            one_line("1 error occurred:\n\t* permission denied\n\n"),
            "permission denied"
        );
        let error = CallError::Status {
            status: 500,
            errors: vec![],
            retry_after_s: None,
        };
        assert_eq!(error.text(), "HTTP 500");
        assert!(!error.says("denied"));
    }
}
