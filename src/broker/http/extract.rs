//! What handlers are given: the signed-in caller, the parsed body, typed identifiers and parameters. Everything that
//! cannot be read is refused here, with the place and what would be accepted.

mod address;
mod body;

pub use address::{Id, Ids, Params};
pub use body::BODY_MAX;
pub(super) use body::{is, parse, read};

use super::{
    App,
    edge::CallId,
    problem::{self, ApiError},
};
use crate::{
    broker::{
        auth::{Caller, SignInError, authenticate, authenticate_gateway},
        engine::{Outcome, call_digest},
    },
    clock,
    domain::{Actor, Command, Context, Digest, Gateway, GatewayId, Refusal, State, TokenId},
    wire::header as names,
};
use axum::{
    extract::{ConnectInfo, FromRequest, FromRequestParts, Request},
    http::{HeaderMap, header, request::Parts},
};
use chrono::{DateTime, Utc};
use serde::de::DeserializeOwned;
use std::{fmt::Display, net::SocketAddr, sync::Arc};

/// The longest idempotency key, in characters.
const KEY_MAX: usize = 128;

/// A read by somebody who is signed in, with the snapshot that they were signed in by.
#[derive(Debug)]
pub struct Reader {
    /// Who.
    pub caller: Caller,
    /// The snapshot that everything in the answer comes from.
    pub state: Arc<State>,
    /// The time of the call.
    pub now: DateTime<Utc>,
    /// `If-None-Match`, as sent.
    if_none_match: Option<String>,
    /// `Accept`, as sent.
    accept: String,
}

impl FromRequestParts<App> for Reader {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let (caller, state, now) = signed_in(app, &parts.headers)?;
        let text = |name| {
            parts
                .headers
                .get(name)
                .and_then(|value| value.to_str().ok())
                .map(str::to_owned)
        };
        Ok(Self {
            caller,
            state,
            now,
            if_none_match: text(header::IF_NONE_MATCH),
            accept: text(header::ACCEPT).unwrap_or_default(),
        })
    }
}

impl Reader {
    /// Refuses whoever may see only what belongs to their own client.
    ///
    /// # Errors
    /// 403, naming the roles.
    pub fn reads_all(&self) -> Result<(), ApiError> {
        reads_all(&self.caller)
    }

    /// Whether the caller has this version of the resource already.
    pub fn has(&self, sequence: u64) -> bool {
        self.has_tag(&etag(sequence))
    }

    /// The same for an entity tag.
    pub fn has_tag(&self, tag: &str) -> bool {
        self.if_none_match
            .as_deref()
            .is_some_and(|sent| tag_sent(sent, tag))
    }

    /// Whether the caller asks for this media type by name.
    pub fn accepts(&self, media: &str) -> bool {
        self.accept
            .split(',')
            .any(|range| range.split(';').next().unwrap_or_default().trim() == media)
    }
}

fn reads_all(caller: &Caller) -> Result<(), ApiError> {
    if caller.reads_all() {
        return Ok(());
    }
    let names: Vec<_> = Caller::READERS.iter().map(|role| role.as_str()).collect();
    Err(ApiError::new(
        &problem::ROLE,
        format!(
            "this needs the role {} in some environment",
            names.join(" or ")
        ),
    ))
}

fn not_signed_in(error: SignInError) -> ApiError {
    let challenge = match error {
        SignInError::Missing => r#"Bearer realm="countersign""#,
        SignInError::Malformed => r#"Bearer realm="countersign", error="invalid_request""#,
        SignInError::Invalid => r#"Bearer realm="countersign", error="invalid_token""#,
    };
    ApiError::new(&problem::NOT_SIGNED_IN, error.to_string()).challenge(challenge)
}

fn signed_in(
    app: &App,
    headers: &HeaderMap,
) -> Result<(Caller, Arc<State>, DateTime<Utc>), ApiError> {
    let (state, now) = (app.engine().state(), clock::now());
    let caller = authenticate(&state, headers, now).map_err(not_signed_in)?;
    Ok((caller, state, now))
}

/// Refuses whoever is neither a person or robot nor a gateway.
fn anybody(app: &App, headers: &HeaderMap) -> Result<(), ApiError> {
    let Err(error) = signed_in(app, headers) else {
        return Ok(());
    };
    let gateway = authenticate_gateway(&app.engine().state(), headers, clock::now()).is_ok();
    if gateway { Ok(()) } else { Err(error) }
}

/// A call that changes something, or that asks with a body.
#[derive(Debug)]
pub struct Call<T> {
    /// Who.
    pub caller: Caller,
    /// What they sent.
    pub body: T,
    /// The snapshot that they were signed in by.
    pub state: Arc<State>,
    /// The time of the call.
    pub now: DateTime<Utc>,
    id: CallId,
    from: Option<String>,
    key: Option<String>,
    digest: Digest,
    if_match: Option<u64>,
}

/// The body of a call that needs none: nothing, or `{}`.
#[derive(Debug, Clone, Copy, Default, serde::Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Nothing {}

/// What came with a call, whoever makes it.
struct Arrived<T> {
    body: T,
    id: CallId,
    from: Option<String>,
    digest: Digest,
}

/// The address that a call came from.
pub(super) fn caller_address(parts: &Parts) -> Option<String> {
    let from = parts.extensions.get::<ConnectInfo<SocketAddr>>();
    from.map(|ConnectInfo(address)| address.ip().to_string())
}

async fn arrived<T: DeserializeOwned>(
    parts: &Parts,
    body: axum::body::Body,
    app: &App,
) -> Result<Arrived<T>, ApiError> {
    let bytes = read(&parts.headers, body, app.body_max()).await?;
    let address = parts
        .uri
        .path_and_query()
        .map_or("/", |address| address.as_str());
    let digest = call_digest(parts.method.as_str(), address, &bytes);
    if !bytes.is_empty() && !is(&parts.headers, "application", "json") {
        return Err(ApiError::new(
            &problem::MEDIA_TYPE,
            "expected Content-Type: application/json",
        ));
    }
    let id = parts.extensions.get::<CallId>().cloned();
    Ok(Arrived {
        body: parse(if bytes.is_empty() { b"{}" } else { &bytes })?,
        id: id.ok_or_else(|| ApiError::internal(&"the edge layer is missing"))?,
        from: caller_address(parts),
        digest,
    })
}

impl<T: DeserializeOwned> FromRequest<App> for Call<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &App) -> Result<Self, ApiError> {
        let (parts, body) = request.into_parts();
        let (caller, state, now) = signed_in(app, &parts.headers)?;
        let key = idempotency_key(&parts.headers)?;
        let if_match = if_match(&parts.headers)?;
        let Arrived {
            body,
            id,
            from,
            digest,
        } = arrived(&parts, body, app).await?;
        Ok(Self {
            caller,
            body,
            state,
            now,
            id,
            from,
            key,
            digest,
            if_match,
        })
    }
}

/// A call by somebody who is not signed in yet.
#[derive(Debug)]
pub struct Stranger<T> {
    /// What they sent.
    pub body: T,
    /// The snapshot to look things up in.
    pub state: Arc<State>,
    /// The time of the call.
    pub now: DateTime<Utc>,
    id: CallId,
    from: Option<String>,
}

impl<T: DeserializeOwned> FromRequest<App> for Stranger<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &App) -> Result<Self, ApiError> {
        let (parts, body) = request.into_parts();
        let Arrived { body, id, from, .. } = arrived(&parts, body, app).await?;
        Ok(Self {
            body,
            state: app.engine().state(),
            now: clock::now(),
            id,
            from,
        })
    }
}

/// A call by a gateway, which proves by its own token that it is this one.
#[derive(Debug)]
pub struct GatewayCall<T> {
    /// Which.
    pub gateway: Arc<Gateway>,
    /// What it sent.
    pub body: T,
    /// The snapshot that it was known by.
    pub state: Arc<State>,
    /// The time of the call.
    pub now: DateTime<Utc>,
    /// Its idempotency key.
    pub(super) key: Option<String>,
    token: TokenId,
    id: CallId,
    from: Option<String>,
}

impl<T: DeserializeOwned> FromRequest<App> for GatewayCall<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &App) -> Result<Self, ApiError> {
        let (parts, body) = request.into_parts();
        let (state, now) = (app.engine().state(), clock::now());
        let known = authenticate_gateway(&state, &parts.headers, now);
        let (gateway, token) = known.map_err(not_signed_in)?;
        let gateway = Arc::clone(gateway);
        let key = idempotency_key(&parts.headers)?;
        let Arrived { body, id, from, .. } = arrived(&parts, body, app).await?;
        Ok(Self {
            gateway,
            body,
            state,
            now,
            key,
            token,
            id,
            from,
        })
    }
}

impl<T> GatewayCall<T> {
    /// Refuses another gateway's address.
    ///
    /// # Errors
    /// 403.
    pub fn must_be(&self, id: GatewayId) -> Result<(), ApiError> {
        if self.gateway.id == id {
            return Ok(());
        }
        let detail = format!("this token is of {}; ask for that", self.gateway.id);
        Err(Refusal::Separation {
            rule: "gateway-only",
            detail,
        }
        .into())
    }

    /// The call as the rules see it.
    pub fn context(&self) -> Context {
        Context {
            now: self.now,
            actor: Actor::Gateway {
                id: self.gateway.id,
                token: self.token,
            },
            from: self.from.clone(),
            request_id: self.id.request_id.clone(),
            trace: self.id.trace.clone(),
            idempotency: None,
            if_match: None,
        }
    }
}

impl<T> Stranger<T> {
    /// The call as the rules see it, once it is known who `actor` is.
    pub fn context(&self, actor: Actor) -> Context {
        Context {
            now: self.now,
            actor,
            from: self.from.clone(),
            request_id: self.id.request_id.clone(),
            trace: self.id.trace.clone(),
            idempotency: None,
            if_match: None,
        }
    }
}

impl<T> Call<T> {
    /// Has `command` decided and written.
    ///
    /// # Errors
    /// 400 without an idempotency key on a POST, and whatever the rules refuse.
    pub async fn submit(&self, app: &App, command: Command) -> Result<Outcome, ApiError> {
        let key = self.key.clone().ok_or_else(|| {
            ApiError::new(
                &problem::KEY_MISSING,
                "send an Idempotency-Key: a fresh UUID in quotes for each new call",
            )
        })?;
        self.run(app, command, Some((key, self.digest))).await
    }

    /// As [`Call::submit`] for a method that is safe to repeat by itself.
    ///
    /// # Errors
    /// Whatever the rules refuse.
    pub async fn submit_repeatable(
        &self,
        app: &App,
        command: Command,
    ) -> Result<Outcome, ApiError> {
        let idempotency = self.key.clone().map(|key| (key, self.digest));
        self.run(app, command, idempotency).await
    }

    async fn run(
        &self,
        app: &App,
        command: Command,
        idempotency: Option<(String, Digest)>,
    ) -> Result<Outcome, ApiError> {
        let name = command.name();
        let context = Context {
            idempotency,
            ..self.context()
        };
        let result = app.engine().submit(command, context).await;
        match result {
            Ok(outcome) => {
                super::metrics::commanded(name, if outcome.replayed { "replayed" } else { "done" });
                Ok(outcome)
            }
            Err(error) => {
                let mut error = ApiError::from(error);
                super::metrics::commanded(name, error.kind().slug);
                explain_changes(app, &mut error).await;
                Err(error)
            }
        }
    }

    /// Binds the idempotency key to what is meant instead of to the bytes that were sent: who repeats a decision signs
    /// it anew, and means the same.
    pub fn means(&mut self, verb: &str, intention: &impl serde::Serialize) {
        let bytes = crate::wire::signing::signed_bytes(intention);
        self.digest = call_digest("", verb, &bytes);
    }

    /// What tells this call from every other, its repetitions excepted: its idempotency key, what it means, and
    /// `signed`, which it brings along.
    pub fn identity(&self, signed: &str) -> Digest {
        let key = self.key.as_deref().unwrap_or_default();
        call_digest(key, &self.digest.to_string(), signed.as_bytes())
    }

    /// Whether the same caller has sent this idempotency key before: the answer is then the first one's.
    pub fn is_repetition(&self) -> bool {
        self.key
            .as_ref()
            .is_some_and(|key| self.state.answered(self.caller.id(), key).is_some())
    }

    /// The call as the rules see it, without its idempotency key.
    pub fn context(&self) -> Context {
        Context {
            now: self.now,
            actor: self.caller.actor(),
            from: self.from.clone(),
            request_id: self.id.request_id.clone(),
            trace: self.id.trace.clone(),
            idempotency: None,
            if_match: self.if_match,
        }
    }

    /// Whether this call repeats one that was answered: what it once depended on need not hold any more.
    pub fn replays(&self, state: &State) -> bool {
        self.key
            .as_ref()
            .is_some_and(|key| state.answered(self.caller.id(), key).is_some())
    }

    /// Refuses whoever may not read what is about everybody.
    ///
    /// # Errors
    /// 403, naming the roles.
    pub fn must_read_all(&self) -> Result<(), ApiError> {
        reads_all(&self.caller)
    }

    /// Refuses as unknown what the caller may not see.
    ///
    /// # Errors
    /// 404.
    pub fn must_see(
        &self,
        what: &'static str,
        id: impl Display,
        client: Option<crate::domain::ClientId>,
    ) -> Result<(), ApiError> {
        match client {
            Some(client) if !self.caller.sees(client) => Err(ApiError::not_found(what, id)),
            _ => Ok(()),
        }
    }
}

/// The rules name what has changed by sequence; people want words.
async fn explain_changes(app: &App, error: &mut ApiError) {
    for change in error.changed_mut() {
        let Some(sequence) = change.strip_prefix('#').and_then(|text| text.parse().ok()) else {
            continue;
        };
        let events = app.engine().events(sequence, 1).await.unwrap_or_default();
        if let Some(recorded) = events.first() {
            *change = format!(
                "{} by {} (#{sequence})",
                recorded.event.kind(),
                recorded.actor.name
            );
        }
    }
}

/// `Idempotency-Key`: a quoted string, or the bare text.
fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, ApiError> {
    let refused = || {
        ApiError::new(
            &problem::MALFORMED,
            format!(
                "expected one Idempotency-Key of 1 to {KEY_MAX} printable characters, best in quotes"
            ),
        )
    };
    let mut sent = headers.get_all(names::IDEMPOTENCY_KEY).iter();
    let Some(value) = sent.next() else {
        return Ok(None);
    };
    let text = value.to_str().map_err(|_| refused())?.trim();
    let key = match text.strip_prefix('"') {
        Some(rest) => rest.strip_suffix('"').ok_or_else(refused)?,
        None => text,
    };
    let printable = key
        .bytes()
        .all(|b| b.is_ascii_graphic() && b != b'"' && b != b'\\');
    if sent.next().is_some() || !printable || !(1..=KEY_MAX).contains(&key.len()) {
        return Err(refused());
    }
    Ok(Some(key.to_owned()))
}

/// `If-Match: "<sequence>"`.
fn if_match(headers: &HeaderMap) -> Result<Option<u64>, ApiError> {
    let Some(value) = headers.get(header::IF_MATCH) else {
        return Ok(None);
    };
    let text = value.to_str().unwrap_or_default().trim();
    if text == "*" {
        return Ok(None);
    }
    text.strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'))
        .and_then(|digits| digits.parse().ok())
        .map(Some)
        .ok_or_else(|| {
            ApiError::new(
                &problem::MALFORMED,
                "expected If-Match with one sequence in quotes, as the ETag of what you looked at",
            )
        })
}

/// A resource's strong entity tag: the sequence of its last change.
pub fn etag(sequence: u64) -> String {
    format!("\"{sequence}\"")
}

/// Whether `tag` is among those that were sent with `If-None-Match`.
pub(super) fn tag_sent(sent: &str, tag: &str) -> bool {
    sent.split(',')
        .map(|sent| sent.trim().trim_start_matches("W/"))
        .any(|sent| sent == "*" || sent == tag)
}

/// The refusal of a field that the edge itself looks at.
pub(super) fn invalid(pointer: &str, detail: impl Into<String>) -> ApiError {
    Refusal::Invalid(vec![crate::domain::FieldError {
        pointer: pointer.to_owned(),
        detail: detail.into(),
    }])
    .into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::{HeaderName, HeaderValue};

    fn one(name: &'static str, value: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(
            HeaderName::from_static(name),
            HeaderValue::from_str(value).expect("a header value"),
        );
        headers
    }

    #[test]
    fn keys_are_quoted_or_bare() {
        for (sent, key) in [("\"8e03\"", Some("8e03")), ("8e03-a", Some("8e03-a"))] {
            assert_eq!(
                idempotency_key(&one(names::IDEMPOTENCY_KEY, sent))
                    .unwrap()
                    .as_deref(),
                key
            );
        }
        assert_eq!(idempotency_key(&HeaderMap::new()).unwrap(), None);
        for bad in ["", "\"\"", "\"a", "a\"b", "a b", &"x".repeat(129)] {
            assert!(
                idempotency_key(&one(names::IDEMPOTENCY_KEY, bad)).is_err(),
                "{bad}"
            );
        }
    }

    #[test]
    fn a_match_is_a_sequence_in_quotes() {
        assert_eq!(if_match(&one("if-match", "\"42\"")).unwrap(), Some(42));
        assert_eq!(if_match(&one("if-match", "*")).unwrap(), None);
        for bad in ["42", "\"x\"", "W/\"42\"", "\"1\", \"2\""] {
            assert!(if_match(&one("if-match", bad)).is_err(), "{bad}");
        }
    }
}
