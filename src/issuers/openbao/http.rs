//! The HTTP side of OpenBao: one call in, one typed envelope or a precise failure out. No retries, no redirects
//! (a stale leader must not get the token), bounded answers, and the request id on every call for its audit log.

use super::config::{ConfigError, OpenBaoConfig, is_loopback};
use crate::secret::SecretMaterial;
use parking_lot::Mutex;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER};
use reqwest::{Method, StatusCode, Url};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::error::Error as _;
use std::path::PathBuf;
use std::time::Duration;
use zeroize::Zeroizing;

/// Larger than the accessors of 200 000 tokens; no answer of OpenBao should be longer.
const MAX_ANSWER_BYTES: usize = 8 << 20;
const INDEX: &str = "X-Vault-Index";

/// What went wrong with one call, before anybody judges what that means for an issuance.
#[derive(Debug)]
pub(super) enum CallError {
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
    pub(super) fn text(&self) -> String {
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

    pub(super) fn says(&self, words: &str) -> bool {
        matches!(self, Self::Status { errors, .. } if errors.iter().any(|error| error.contains(words)))
    }

    pub(super) fn status(&self) -> Option<u16> {
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
pub(super) struct Envelope<T> {
    #[serde(default)]
    pub(super) lease_id: String,
    #[serde(default)]
    pub(super) lease_duration: u64,
    pub(super) data: Option<T>,
    pub(super) auth: Option<TokenAuth>,
    pub(super) wrap_info: Option<Value>,
    #[serde(default)]
    warnings: Option<Vec<String>>,
}

impl<T> Envelope<T> {
    /// Caps and ignored parameters are told nowhere else, with status 200.
    pub(super) fn take_warnings(&mut self) -> Vec<String> {
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
pub(super) struct TokenAuth {
    pub(super) client_token: SecretMaterial,
    pub(super) accessor: String,
    pub(super) lease_duration: u64,
    #[serde(default)]
    pub(super) orphan: bool,
}

/// Whose token a call carries.
#[derive(Clone, Copy)]
pub(super) enum As<'a> {
    Broker,
    Child(&'a SecretMaterial),
}

enum TokenSource {
    File(PathBuf),
    Env(String),
}

pub(super) struct Api {
    http: reqwest::Client,
    base: Url,
    namespace: Option<HeaderValue>,
    token: TokenSource,
    /// The newest state that we have seen, sent along so that a standby never answers from an older one.
    index: Mutex<Option<HeaderValue>>,
}

impl Api {
    pub(super) fn new(config: &OpenBaoConfig) -> Result<Self, ConfigError> {
        let wrong = |field, problem: String| ConfigError::Field { field, problem };
        let base = config.check()?;
        let mut builder = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(Duration::from_secs(5))
            .timeout(Duration::from_secs(config.timeout_s));
        if is_loopback(&base) {
            builder = builder.no_proxy();
        }
        if let Some(path) = &config.ca_file {
            let unusable = |cause: String| wrong("ca_file", format!("{}: {cause}", path.display()));
            let pem = std::fs::read(path).map_err(|error| unusable(error.to_string()))?;
            let roots = reqwest::Certificate::from_pem_bundle(&pem)
                .map_err(|error| unusable(chain(&error)))?;
            if roots.is_empty() {
                return Err(unusable("no PEM certificate in it".to_owned()));
            }
            builder = builder.tls_certs_only(roots);
        }
        let http = builder
            .build()
            .map_err(|error| wrong("address", chain(&error)))?;
        let namespace = match &config.namespace {
            None => None,
            Some(name) => Some(HeaderValue::from_str(name).map_err(|_| {
                wrong(
                    "namespace",
                    "has characters that no namespace has".to_owned(),
                )
            })?),
        };
        let token = match (&config.token_file, &config.token_env) {
            (Some(file), _) => TokenSource::File(file.clone()),
            (None, name) => TokenSource::Env(name.clone().unwrap_or_default()),
        };
        Ok(Self {
            http,
            base,
            namespace,
            token,
            index: Mutex::new(None),
        })
    }

    /// One call. `path` is below `/v1/`. `None`: the server said 204, no content.
    pub(super) async fn call<T: DeserializeOwned>(
        &self,
        token: As<'_>,
        request_id: &str,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Option<Envelope<T>>, CallError> {
        let request = self.request(token, request_id, method, path, body).await?;
        let response = request.send().await.map_err(|error| failure(&error))?;
        let status = response.status();
        let retry_after_s = response
            .headers()
            .get(RETRY_AFTER)
            .and_then(|v| v.to_str().ok()?.parse().ok());
        if let Some(index) = response.headers().get(INDEX) {
            *self.index.lock() = Some(index.clone());
        }
        let answer = read_bounded(response).await?;
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
        body: Option<&Value>,
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
        let mut url = self.base.clone();
        url.set_path(&format!(
            "{}/v1/{}",
            self.base.path().trim_end_matches('/'),
            path
        ));
        let request = self.http.request(method, url).headers(headers);
        Ok(match body {
            Some(body) => request.body(body.to_string()),
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
    pub(super) fn token_origin(&self) -> String {
        match &self.token {
            TokenSource::File(path) => path.display().to_string(),
            TokenSource::Env(name) => format!("${name}"),
        }
    }

    /// The server's address, for messages.
    pub(super) fn address(&self) -> &Url {
        &self.base
    }
}

async fn read_bounded(mut response: reqwest::Response) -> Result<Zeroizing<Vec<u8>>, CallError> {
    let mut answer = Zeroizing::new(Vec::with_capacity(4096));
    while let Some(chunk) = response.chunk().await.map_err(|error| failure(&error))? {
        if answer.len() + chunk.len() > MAX_ANSWER_BYTES {
            return Err(CallError::Lost(format!(
                "its answer is longer than {MAX_ANSWER_BYTES} bytes"
            )));
        }
        answer.extend_from_slice(&chunk);
    }
    Ok(answer)
}

fn failure(error: &reqwest::Error) -> CallError {
    if error.is_connect() || error.is_builder() {
        CallError::Unreachable(chain(error))
    } else if error.is_timeout() {
        CallError::Lost("no answer in time".to_owned())
    } else {
        CallError::Lost(chain(error))
    }
}

/// reqwest's own text says only "error sending request"; the cause is at the end of the chain.
fn chain(error: &reqwest::Error) -> String {
    let mut text = None;
    let mut source = error.source();
    while let Some(inner) = source {
        text = Some(inner.to_string());
        source = inner.source();
    }
    text.unwrap_or_else(|| error.to_string())
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
