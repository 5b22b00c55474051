//! One HTTP connection pool to one broker, with a bound on everything: time to connect, silence, the
//! whole answer's time and size. Redirects are not followed, plain HTTP leaves this machine never.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{self, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, Response, StatusCode, Url};
use secrecy::{ExposeSecret, SecretString};
use serde::de::DeserializeOwned;
use tokio::sync::watch;
use zeroize::Zeroizing;

use super::address::{chain, check_address, read_certificates};
use super::call::Call;
use super::error::{ClientError, tame};
use super::list::{Chunks, Lines};
use super::retry::RetryPolicy;
use crate::wire::{Problem, header as names};

const SEQUENCE: HeaderName = HeaderName::from_static(names::SEQUENCE);
const REPLAYED: HeaderName = HeaderName::from_static(names::IDEMPOTENCY_REPLAYED);
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static(names::IDEMPOTENCY_KEY);
const REQUEST_ID: HeaderName = HeaderName::from_static(names::REQUEST_ID);
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// The longest problem document that is read, in bytes.
const PROBLEM_BYTES: u64 = 256 * 1024;

/// How to reach a broker.
#[derive(Clone, Debug)]
pub struct TransportOptions {
    /// `https://HOST[:PORT][/PREFIX]`, or `http://` on loopback.
    pub url: String,
    /// Trust only the certificates in this PEM file; without it, this machine's own.
    pub ca_file: Option<PathBuf>,
    /// Name and version of the program, for the broker's log.
    pub user_agent: String,
    /// For the connection and its TLS handshake.
    pub connect_timeout: Duration,
    /// The longest silence within an answer.
    pub read_timeout: Duration,
    /// For a whole JSON answer, a slow drip included.
    pub answer_timeout: Duration,
    /// The longest silence on the event stream: three heartbeats.
    pub stream_silence: Duration,
    /// The largest JSON answer, in bytes, after decompression.
    pub answer_bytes: u64,
    /// The longest line of a streamed list, in bytes.
    pub line_bytes: usize,
    /// The largest event on the stream, in bytes.
    pub event_bytes: usize,
    /// How calls are repeated.
    pub retry: RetryPolicy,
}

impl TransportOptions {
    /// The usual bounds, for this address.
    pub fn new(url: &str) -> Self {
        Self {
            url: url.to_owned(),
            ca_file: None,
            user_agent: concat!("countersign/", env!("CARGO_PKG_VERSION")).to_owned(),
            connect_timeout: Duration::from_secs(5),
            read_timeout: Duration::from_secs(15),
            answer_timeout: Duration::from_secs(30),
            stream_silence: Duration::from_secs(45),
            answer_bytes: 16 * 1024 * 1024,
            line_bytes: 1024 * 1024,
            event_bytes: 1024 * 1024,
            retry: RetryPolicy::default(),
        }
    }
}

/// A value from the broker and what its headers said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer<T> {
    /// The body.
    pub value: T,
    /// The state it was read from, or its own write.
    pub sequence: Option<u64>,
    /// For `If-Match`.
    pub etag: Option<String>,
    /// Whether this is the kept answer to an earlier use of the same idempotency key.
    pub replayed: bool,
}

impl<T> Answer<T> {
    fn new(value: T, headers: &HeaderMap) -> Self {
        Self {
            value,
            sequence: number(headers, &SEQUENCE),
            etag: text(headers, &header::ETAG).map(str::to_owned),
            replayed: text(headers, &REPLAYED).is_some_and(|value| value == "true"),
        }
    }

    /// The same headers with another value.
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Answer<U> {
        Answer {
            value: change(self.value),
            sequence: self.sequence,
            etag: self.etag,
            replayed: self.replayed,
        }
    }
}

/// The way to one broker. Cheap to clone; all clones share connections and token.
#[derive(Clone)]
pub struct Transport {
    shared: Arc<Shared>,
    token: Arc<watch::Sender<Option<SecretString>>>,
}

struct Shared {
    calls: Client,
    streams: Client,
    base: Url,
    origin: String,
    options: TransportOptions,
}

impl std::fmt::Debug for Transport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Transport")
            .field("origin", &self.shared.origin)
            .field("signed_in", &self.token.borrow().is_some())
            .finish_non_exhaustive()
    }
}

impl Transport {
    /// Prepares the way; nothing is sent yet.
    ///
    /// # Errors
    /// [`ClientError::Address`] or [`ClientError::Setup`].
    pub fn new(options: TransportOptions) -> Result<Self, ClientError> {
        let base = check_address(&options.url)?;
        let builder = |silence| {
            let mut builder = Client::builder()
                .user_agent(&options.user_agent)
                .redirect(reqwest::redirect::Policy::none())
                .referer(false)
                .connect_timeout(options.connect_timeout)
                .read_timeout(silence)
                .tcp_nodelay(true);
            if base.scheme() == "http" {
                let port = base.port_or_known_default().unwrap_or(80);
                let loopback: [SocketAddr; 2] = [
                    (Ipv4Addr::LOCALHOST, port).into(),
                    (Ipv6Addr::LOCALHOST, port).into(),
                ];
                // A proxy would carry the token off this machine; a resolver could.
                builder = builder
                    .no_proxy()
                    .resolve_to_addrs("localhost", &loopback)
                    .tls_certs_only([]);
            } else if let Some(path) = &options.ca_file {
                builder = builder.tls_certs_only(read_certificates(path)?);
            }
            Ok::<_, ClientError>(builder)
        };
        let build = |builder: reqwest::ClientBuilder| {
            builder.build().map_err(|error| ClientError::Setup {
                reason: tame(&chain(&error)),
            })
        };
        let calls = build(builder(options.read_timeout)?)?;
        // Compression holds events back, and a stream must not wait for a connection's turn.
        let streams = build(builder(options.stream_silence)?.no_gzip())?;
        Ok(Self {
            shared: Arc::new(Shared {
                calls,
                streams,
                origin: base.origin().ascii_serialization(),
                base,
                options,
            }),
            token: Arc::new(watch::Sender::new(None)),
        })
    }

    /// Scheme, host and port: what a login is kept under, and what people are shown.
    pub fn origin(&self) -> &str {
        &self.shared.origin
    }

    /// The bounds in force.
    pub fn options(&self) -> &TransportOptions {
        &self.shared.options
    }

    /// Signs every later call with this token, or none.
    pub fn set_token(&self, token: Option<SecretString>) {
        self.token.send_replace(token);
    }

    /// The token that signs.
    pub fn token(&self) -> Option<SecretString> {
        self.token.borrow().clone()
    }

    /// Hears when another token signs: what was opened with the one before will not last.
    pub(super) fn token_changes(&self) -> watch::Receiver<Option<SecretString>> {
        self.token.subscribe()
    }

    /// The same connections, signed with another token; what either of the two is given later is its own.
    #[must_use]
    pub fn signed_with(&self, token: SecretString) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
            token: Arc::new(watch::Sender::new(Some(token))),
        }
    }

    /// Sends a call, repeats it when that is safe and may help, and reads its JSON answer.
    ///
    /// # Errors
    /// Any [`ClientError`]; [`ClientError::delivery`] tells what became of a command.
    pub async fn send<T: DeserializeOwned>(&self, call: &Call) -> Result<Answer<T>, ClientError> {
        let context = RequestContext::new();
        let attempt = || async {
            let answer = async {
                let response = self.open(&self.shared.calls, call, &context).await?;
                self.read_json(response).await
            };
            tokio::time::timeout(self.shared.options.answer_timeout, answer)
                .await
                .unwrap_or_else(|_| {
                    Err(ClientError::Timeout {
                        origin: self.shared.origin.clone(),
                    })
                })
        };
        let retry = self.shared.options.retry;
        retry.run(call.is_repeatable(), attempt).await
    }

    /// Opens a list as lines of JSON: the first is the header, then a row a line.
    ///
    /// # Errors
    /// Any [`ClientError`], and later from [`Lines::next`].
    pub async fn lines(&self, call: &Call) -> Result<Answer<Lines>, ClientError> {
        let response = self.open_list(call, names::NDJSON).await?;
        let headers = response.headers().clone();
        let lines = Lines::new(
            Chunks::new(response, self.shared.origin.clone(), u64::MAX),
            self.shared.options.line_bytes,
        );
        Ok(Answer::new(lines, &headers))
    }

    /// Opens a list as raw bytes of the given media type, at most `limit_bytes` in all.
    ///
    /// # Errors
    /// Any [`ClientError`], and later from [`Chunks::next`].
    pub async fn chunks(
        &self,
        call: &Call,
        media_type: &'static str,
        limit_bytes: u64,
    ) -> Result<Answer<Chunks>, ClientError> {
        let response = self.open_list(call, media_type).await?;
        let headers = response.headers().clone();
        let chunks = Chunks::new(response, self.shared.origin.clone(), limit_bytes);
        Ok(Answer::new(chunks, &headers))
    }

    async fn open_list(
        &self,
        call: &Call,
        media_type: &'static str,
    ) -> Result<Response, ClientError> {
        let call = Call {
            accept: media_type,
            ..call.clone()
        };
        let context = RequestContext::new();
        let attempt = || async {
            let response = self.open(&self.shared.calls, &call, &context).await?;
            expect_type(&response, media_type)?;
            Ok(response)
        };
        let retry = self.shared.options.retry;
        retry.run(call.is_repeatable(), attempt).await
    }

    /// Opens the event stream once; [`super::stream`] decides about the next time. `Ok(None)` when
    /// the broker has no more to say (204).
    pub(super) async fn open_stream(
        &self,
        call: &Call,
    ) -> Result<Option<(Response, Option<u64>)>, ClientError> {
        let context = RequestContext::new();
        let response = self.open(&self.shared.streams, call, &context).await?;
        if response.status() == StatusCode::NO_CONTENT {
            return Ok(None);
        }
        expect_type(&response, "text/event-stream")?;
        let head = number(response.headers(), &SEQUENCE);
        Ok(Some((response, head)))
    }

    /// Sends and reads the headers; anything but success is an error.
    async fn open(
        &self,
        client: &Client,
        call: &Call,
        context: &RequestContext,
    ) -> Result<Response, ClientError> {
        let mut token = self.token_changes();
        let signed = token.borrow_and_update().clone();
        match self.open_as(client, call, context, signed).await {
            // Another took its place on the way, so the broker has not looked at what was asked.
            Err(error) if error.is_unauthenticated() && token.has_changed().unwrap_or(false) => {
                self.open_as(client, call, context, self.token()).await
            }
            answer => answer,
        }
    }

    async fn open_as(
        &self,
        client: &Client,
        call: &Call,
        context: &RequestContext,
        token: Option<SecretString>,
    ) -> Result<Response, ClientError> {
        let mut request = client
            .request(call.method.clone(), self.url(call)?)
            .header(header::ACCEPT, call.accept)
            .header(REQUEST_ID, &context.request_id)
            .header(TRACEPARENT, &context.traceparent);
        if let Some(token) = &token {
            request = request.header(header::AUTHORIZATION, bearer(token)?);
        }
        if let Some(body) = &call.body {
            request = request
                .header(header::CONTENT_TYPE, "application/json")
                .body(body.clone());
        }
        if let Some(key) = &call.idempotency_key {
            // A structured-field string: quoted.
            request = request.header(IDEMPOTENCY_KEY, format!("\"{key}\""));
        }
        if let Some(etag) = &call.if_match {
            request = request.header(header::IF_MATCH, etag);
        }
        if call.accept == "text/event-stream" {
            request = request.header(header::ACCEPT_ENCODING, "identity");
        }
        if let Some(id) = call.last_event_id {
            request = request.header(LAST_EVENT_ID, id);
        }
        let response = request
            .send()
            .await
            .map_err(|error| ClientError::from_reqwest(&self.shared.origin, &error))?;
        if response.status().is_success() {
            Ok(response)
        } else {
            Err(self.refusal(response).await)
        }
    }

    /// Reads an answer that is not a success. Never fails to give a reason.
    async fn refusal(&self, response: Response) -> ClientError {
        let status = response.status();
        let origin = self.shared.origin.clone();
        if status.is_redirection() {
            let location = text(response.headers(), &header::LOCATION).unwrap_or("nowhere");
            return ClientError::Redirect {
                origin,
                status: status.as_u16(),
                location: tame(location),
            };
        }
        let retry_after_s = number(response.headers(), &header::RETRY_AFTER);
        let plain = ClientError::Status {
            origin: origin.clone(),
            status: status.as_u16(),
            retry_after: retry_after_s.map(Duration::from_secs),
        };
        if expect_type(&response, names::PROBLEM).is_err() {
            return plain;
        }
        let reading = Chunks::new(response, origin, PROBLEM_BYTES).read_to_end();
        // The status is known: a slow or broken explanation is not worth more than a moment.
        let limit = self.shared.options.read_timeout;
        let Ok(Ok(body)) = tokio::time::timeout(limit, reading).await else {
            return plain;
        };
        match serde_json::from_slice::<Problem>(&body) {
            Ok(problem) => ClientError::Problem(Box::new(Problem {
                // The status line counts: a body that claims another status changes nothing.
                status: status.as_u16(),
                retry_after_s: problem.retry_after_s.or(retry_after_s),
                ..problem
            })),
            Err(_) => plain,
        }
    }

    async fn read_json<T: DeserializeOwned>(
        &self,
        response: Response,
    ) -> Result<Answer<T>, ClientError> {
        let headers = response.headers().clone();
        let empty = response.status() == StatusCode::NO_CONTENT;
        if !empty {
            expect_type(&response, "application/json")?;
        }
        let limit = self.shared.options.answer_bytes;
        let body = Chunks::new(response, self.shared.origin.clone(), limit)
            .read_to_end()
            .await?;
        // No content reads as `null`, so that `()` and `Option` work as answer types.
        let json: &[u8] = if empty { b"null" } else { &body };
        let value = serde_json::from_slice(json).map_err(|error| ClientError::Decode {
            reason: tame(&error.to_string()),
        })?;
        Ok(Answer::new(value, &headers))
    }

    fn url(&self, call: &Call) -> Result<Url, ClientError> {
        let mut url = self.shared.base.clone();
        for segment in &call.path {
            // The URL parser would fold these away and ask for something else.
            if matches!(segment.as_str(), "" | "." | "..") {
                return Err(ClientError::Encode {
                    reason: format!("{segment:?} cannot be part of a path"),
                });
            }
        }
        url.path_segments_mut()
            .expect("an http address has a path")
            .pop_if_empty()
            .extend(&call.path);
        if !call.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&call.query);
        }
        Ok(url)
    }
}

/// What ties the attempts of one call together in the broker's log.
struct RequestContext {
    request_id: String,
    traceparent: String,
}

impl RequestContext {
    fn new() -> Self {
        let trace = uuid::Uuid::now_v7();
        let mut span = [0_u8; 8];
        // A version 7 id is never zero, and its last half is random enough when this fails.
        if aws_lc_rs::rand::fill(&mut span).is_err() || span == [0; 8] {
            span.copy_from_slice(&trace.as_bytes()[8..]);
        }
        Self {
            request_id: uuid::Uuid::now_v7().to_string(),
            traceparent: format!("00-{}-{:016x}-01", trace.simple(), u64::from_be_bytes(span)),
        }
    }
}

fn bearer(token: &SecretString) -> Result<HeaderValue, ClientError> {
    let line = Zeroizing::new(format!("Bearer {}", token.expose_secret()));
    let mut value = HeaderValue::from_str(&line).map_err(|_| ClientError::Setup {
        reason: "the token has characters that no token has".to_owned(),
    })?;
    value.set_sensitive(true);
    Ok(value)
}

fn expect_type(response: &Response, expected: &'static str) -> Result<(), ClientError> {
    let got = text(response.headers(), &header::CONTENT_TYPE).unwrap_or("nothing");
    let essence = got.split(';').next().unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case(expected) {
        Ok(())
    } else {
        Err(ClientError::ContentType {
            expected,
            got: tame(got),
        })
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

fn number(headers: &HeaderMap, name: &HeaderName) -> Option<u64> {
    text(headers, name)?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(url: &str) -> Result<Transport, String> {
        Transport::new(TransportOptions::new(url)).map_err(|error| error.to_string())
    }

    #[test]
    fn paths_are_encoded_and_never_folded() {
        let transport = address("http://localhost:1/prefix/").unwrap();
        let url = |path: &[&str]| {
            transport
                .url(&Call::get(path.iter().copied()).query("filter", "a b&c"))
                .map(|url| url.to_string())
        };
        assert_eq!(
            url(&["v1", "credentials", "a/b?c#d é"]).unwrap(),
            "http://localhost:1/prefix/v1/credentials/a%2Fb%3Fc%23d%20%C3%A9?filter=a+b%26c"
        );
        for folded in ["..", ".", ""] {
            assert!(url(&["v1", folded]).is_err(), "{folded:?}");
        }
    }

    #[test]
    fn a_trace_is_well_formed_and_a_token_never_prints() {
        let transport = address("http://localhost:1").unwrap();
        let context = RequestContext::new();
        let parts: Vec<&str> = context.traceparent.split('-').collect();
        let lengths: Vec<usize> = parts.iter().map(|part| part.len()).collect();
        assert_eq!(lengths, [2, 32, 16, 2]);
        assert!(
            parts[1].bytes().any(|byte| byte != b'0') && parts[2].bytes().any(|byte| byte != b'0')
        );
        transport.set_token(Some("cs_secret".into()));
        assert!(!format!("{transport:?}").contains("cs_secret"));
        let error = bearer(&"cs\nsecret".into()).unwrap_err().to_string();
        assert!(!error.contains("secret"), "{error}");
    }
}
