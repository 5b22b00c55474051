//! The decision point of gateways: may this call pass? nginx asks by `auth_request`, Envoy by `ext_authz` over HTTP,
//! `HAProxy` by its Lua client; one endpoint for all three (`assets/gateways` has a configuration of each).
//!
//! It is asked about every call of a company, so it goes round the outermost layer: two hashes, two look-ups in the
//! snapshot, one allocation for what it says of the caller. It answers 200, 401 or 403 and nothing else, because nginx
//! makes a 500 of anything else. A 200 carries every identity header, none empty: one that were left out would let the
//! caller's own forgery through Envoy.
//!
//! A refusal has a request id and, at the level `debug`, a line in the log: whoever looks for one turns that on, and
//! nobody fills a disk with made-up tokens meanwhile. What may pass has no line, and a request id only where the
//! gateway sent one: a name that is made up here and written nowhere finds nothing.

use super::{
    App,
    edge::{CallId, own_id},
    metrics,
};
use crate::{
    broker::{auth::token_digest, usage},
    clock,
    domain::{Credential, Gateway, Network, Profile, State, Version, check::covers},
    wire::header as names,
};
use axum::{
    Router,
    body::Body,
    extract::{Request, State as Shared},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::Response,
    routing::any,
};
use bytes::{BufMut as _, Bytes, BytesMut};
use chrono::{DateTime, Utc};
use std::{fmt::Write as _, sync::Arc};

const PREFIX: &str = "/authz/";
const ROUTE: &str = "/authz/{*gateway}";
/// How much of a name that no gateway may have goes into the log, in bytes.
const NAME_MAX: usize = 128;

/// The routes, to be added after every layer.
pub(super) fn routes(app: App) -> Router {
    Router::new().route(ROUTE, any(authz)).with_state(app)
}

/// Why a call may not pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Denial {
    /// The gateway did not prove who it is, or is none that asks here.
    UnknownGateway,
    /// The gateway did not say what the call is about.
    NoOriginal,
    /// What the path means depends on who reads it.
    AmbiguousPath,
    /// No credential was shown.
    Missing,
    /// It was shown in another form than `Bearer`.
    Malformed,
    /// Nobody knows it.
    Unknown,
    /// It is of another environment.
    OtherEnvironment,
    /// It is for somebody else.
    OtherAudience,
    /// It is refused until somebody has looked.
    Quarantined,
    /// It was withdrawn.
    Revoked,
    /// Its time is over.
    Expired,
    /// No route covers the call.
    NoRoute,
    /// It does not allow this.
    Scope,
}

impl Denial {
    const fn reason(self) -> &'static str {
        match self {
            Self::UnknownGateway => "unknown_gateway",
            Self::NoOriginal => "no_original",
            Self::AmbiguousPath => "ambiguous_path",
            Self::Missing => "no_credential",
            Self::Malformed => "malformed",
            Self::Unknown => "unknown",
            Self::OtherEnvironment => "other_environment",
            Self::OtherAudience => "other_audience",
            Self::Quarantined => "quarantined",
            Self::Revoked => "revoked",
            Self::Expired => "expired",
            Self::NoRoute => "no_route",
            Self::Scope => "insufficient_scope",
        }
    }

    /// The status, and what tells the caller how to do better (RFC 6750).
    const fn told(self) -> (StatusCode, Option<&'static str>) {
        match self {
            Self::UnknownGateway | Self::NoOriginal | Self::AmbiguousPath | Self::NoRoute => {
                (StatusCode::FORBIDDEN, None)
            }
            Self::Scope => (
                StatusCode::FORBIDDEN,
                Some(r#"Bearer realm="countersign", error="insufficient_scope""#),
            ),
            Self::Missing => (
                StatusCode::UNAUTHORIZED,
                Some(r#"Bearer realm="countersign""#),
            ),
            _ => (
                StatusCode::UNAUTHORIZED,
                Some(r#"Bearer realm="countersign", error="invalid_token""#),
            ),
        }
    }
}

async fn authz(Shared(app): Shared<App>, request: Request) -> Response {
    match decide(&app, &request) {
        Ok(mut response) => {
            if own_id(request.headers()).is_some()
                && let Some(id) = request.headers().get(names::REQUEST_ID)
            {
                let name = HeaderName::from_static(names::REQUEST_ID);
                response.headers_mut().insert(name, id.clone());
            }
            response
        }
        Err(Refused { denial, scope }) => {
            let call = CallId::of(request.headers());
            tracing::debug!(
                http.request.method = %request.method(),
                http.route = ROUTE,
                gateway = asked_by(request.uri().path()),
                reason = denial.reason(),
                request_id = %call.request_id,
                trace_id = call.trace.as_deref().unwrap_or_default(),
                "refused"
            );
            deny(denial, scope, &call)
        }
    }
}

/// A call that may not pass.
struct Refused {
    denial: Denial,
    /// The scope that it lacked, to tell it.
    scope: Option<String>,
}

impl From<Denial> for Refused {
    fn from(denial: Denial) -> Self {
        Self {
            denial,
            scope: None,
        }
    }
}

fn decide(app: &App, request: &Request) -> Result<Response, Refused> {
    let now = clock::now();
    let engine = app.engine();
    let state = engine.state();
    let (path, headers) = (request.uri().path(), request.headers());
    let Some((gateway, beneath)) = asker(&state, path, headers, now) else {
        metrics::authorized(false);
        return Err(Denial::UnknownGateway.into());
    };
    let place = engine.gateways().place(gateway.id);
    let (answer, shown) = judge(
        &state,
        gateway,
        request.method().as_str(),
        beneath,
        headers,
        now,
    );
    let accepted = answer.is_ok();
    place.asked(accepted, now);
    metrics::authorized(accepted);
    if let Some((credential, version)) = shown {
        let reader = usage::Reader {
            version,
            gateway: Some(gateway.id),
            network: network(gateway.profile, headers),
        };
        let used = usage::Used::once(accepted, now);
        engine.usage().record(credential.id, reader, &used);
        if answer.err() == Some(Denial::Revoked) {
            engine
                .gateways()
                .refused(&state, gateway, credential.id, version);
        }
        if let Ok(version) = answer {
            return Ok(allow(gateway, credential, version, now));
        }
    }
    let denial = answer.err().unwrap_or(Denial::Unknown);
    Err(Refused {
        denial,
        scope: gateway.needs_scope(denial, request, beneath),
    })
}

/// The gateway that asks, if it proves that it is the one of this address, and the path beneath the address.
fn asker<'a, 'b>(
    state: &'a State,
    path: &'b str,
    headers: &HeaderMap,
    now: DateTime<Utc>,
) -> Option<(&'a Arc<Gateway>, &'b str)> {
    let (name, beneath) = split(path)?;
    let gateway = state.gateway_named(name)?;
    let token = headers.get(names::GATEWAY_TOKEN)?.to_str().ok()?;
    let held = gateway.token(&token_digest(token))?;
    (now < held.expires_at).then_some((gateway, beneath))
}

/// The gateway's name in the address, and the path beneath it.
fn split(path: &str) -> Option<(&str, &str)> {
    let rest = path.strip_prefix(PREFIX)?;
    Some(rest.split_at(rest.find('/').unwrap_or(rest.len())))
}

/// The gateway of this address for the log; not what else stands there, which is the call that it asks about.
fn asked_by(path: &str) -> &str {
    split(path).map_or("", |(name, _)| name.get(..NAME_MAX).unwrap_or(name))
}

type Shown<'a> = Option<(&'a Arc<Credential>, u32)>;

/// Whether the call may pass, and what was shown for it.
fn judge<'a>(
    state: &'a State,
    gateway: &Gateway,
    method: &str,
    beneath: &str,
    headers: &HeaderMap,
    now: DateTime<Utc>,
) -> (Result<&'a Version, Denial>, Shown<'a>) {
    let (method, path) = match original(gateway.profile, method, beneath, headers) {
        Ok(original) => original,
        Err(denial) => return (Err(denial), None),
    };
    if ambiguous(path) {
        return (Err(Denial::AmbiguousPath), None);
    }
    let token = match bearer(headers) {
        Ok(token) => token,
        Err(denial) => return (Err(denial), None),
    };
    let Some((credential, number)) = state.credential_of(&token_digest(token)) else {
        return (Err(Denial::Unknown), None);
    };
    let answer = accepted(gateway, credential, number, now).and_then(|version| {
        match gateway.needs(method, path) {
            Err(_) => Err(Denial::NoRoute),
            Ok(Some(scope)) if !credential.scopes.iter().any(|held| covers(held, scope)) => {
                Err(Denial::Scope)
            }
            Ok(_) => Ok(version),
        }
    });
    (answer, Some((credential, number)))
}

/// The version, if this gateway accepts it.
fn accepted<'a>(
    gateway: &Gateway,
    credential: &'a Credential,
    number: u32,
    now: DateTime<Utc>,
) -> Result<&'a Version, Denial> {
    use crate::domain::VersionState::{Expired, Retired, Revoked};
    if credential.environment != gateway.environment {
        return Err(Denial::OtherEnvironment);
    }
    if !gateway.guards_audience(&credential.audience) {
        return Err(Denial::OtherAudience);
    }
    let version = credential.version(number).ok_or(Denial::Unknown)?;
    match version.state {
        Revoked => return Err(Denial::Revoked),
        Retired | Expired => return Err(Denial::Expired),
        _ if credential.revoked.is_some() => return Err(Denial::Revoked),
        _ => {}
    }
    if credential.quarantined_at.is_some() {
        return Err(Denial::Quarantined);
    }
    if version.accepted(now) {
        Ok(version)
    } else {
        Err(Denial::Expired)
    }
}

/// Method and path of the call that the gateway asks about, without its query.
fn original<'a>(
    profile: Profile,
    method: &'a str,
    beneath: &'a str,
    headers: &'a HeaderMap,
) -> Result<(&'a str, &'a str), Denial> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    match profile {
        Profile::Envoy if beneath.is_empty() => Ok((method, "/")),
        Profile::Envoy => Ok((method, beneath)),
        Profile::Nginx | Profile::Haproxy => {
            let method = text(names::ORIGINAL_METHOD).ok_or(Denial::NoOriginal)?;
            let address = text(names::ORIGINAL_URI).ok_or(Denial::NoOriginal)?;
            let path = address.split_once('?').map_or(address, |(path, _)| path);
            Ok((method, path))
        }
        Profile::Introspection | Profile::Receiver => Err(Denial::UnknownGateway),
    }
}

/// Whether those who read the path may take it for different ones: dot segments, empty segments, parameters, and
/// whatever is a slash, a backslash or a dot only to whoever decodes it.
fn ambiguous(path: &str) -> bool {
    let bytes = path.as_bytes();
    if bytes.first() != Some(&b'/') {
        return true;
    }
    let mut at = 0;
    while at < bytes.len() {
        let rest = &bytes[at + 1..];
        match bytes[at] {
            b'/' => {
                let dots = match rest {
                    [b'/', ..] => return true,
                    [b'.', b'.', after @ ..] | [b'.', after @ ..] => Some(after),
                    _ => None,
                };
                if dots.is_some_and(|after| matches!(after.first(), None | Some(b'/'))) {
                    return true;
                }
            }
            b'%' => {
                let [high, low, ..] = rest else {
                    return true;
                };
                let code = [high.to_ascii_lowercase(), low.to_ascii_lowercase()];
                if !code.iter().all(u8::is_ascii_hexdigit)
                    || matches!(&code, b"2f" | b"5c" | b"2e" | b"3b" | b"25" | b"00")
                {
                    return true;
                }
            }
            b';' | b'\\' | b'#' => return true,
            byte if byte <= b' ' || byte >= 0x7f => return true,
            _ => {}
        }
        at += 1;
    }
    false
}

fn bearer(headers: &HeaderMap) -> Result<&str, Denial> {
    let mut sent = headers.get_all(header::AUTHORIZATION).iter();
    let value = sent.next().ok_or(Denial::Missing)?;
    if sent.next().is_some() {
        return Err(Denial::Malformed);
    }
    let text = value.to_str().map_err(|_| Denial::Malformed)?;
    // nginx sends the header empty where the caller sent none.
    if text.is_empty() {
        return Err(Denial::Missing);
    }
    let (scheme, token) = text.split_once(' ').ok_or(Denial::Malformed)?;
    if scheme.eq_ignore_ascii_case("bearer") && !token.is_empty() {
        Ok(token)
    } else {
        Err(Denial::Malformed)
    }
}

/// Where the call came from, as the gateway says: nginx and `HAProxy` by a header that their configuration sets, Envoy
/// by the last of those that it passes on.
fn network(profile: Profile, headers: &HeaderMap) -> Option<Network> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let address = match profile {
        Profile::Envoy => text(names::FORWARDED_FOR)?.rsplit(',').next()?,
        _ => text(names::REAL_IP)?,
    };
    let address: std::net::IpAddr = address.trim().parse().ok()?;
    Some(address.into())
}

fn allow(
    gateway: &Gateway,
    credential: &Credential,
    version: &Version,
    now: DateTime<Utc>,
) -> Response {
    let end = version.ends_at();
    // An answer is not kept beyond the end of what it is about.
    let left = end.map_or(u64::MAX, |end| {
        (end - now).num_seconds().max(0).cast_unsigned()
    });
    let mut said = Said(BytesMut::with_capacity(256));
    let credential_id = said.put(|text| write!(text, "{}", credential.id));
    let client = said.put(|text| write!(text, "{}", credential.client));
    let subject = said.put(|text| text.write_str(&credential.name));
    let scopes = said.put(|text| {
        for (index, scope) in credential.scopes.iter().enumerate() {
            text.write_str(if index == 0 { "" } else { " " })?;
            text.write_str(scope)?;
        }
        text.write_str(if credential.scopes.is_empty() {
            "-"
        } else {
            ""
        })
    });
    let expires = said.put(|text| match end {
        Some(end) => write!(text, "{}", end.timestamp()),
        None => text.write_str("never"),
    });
    let cache = gateway.cache_s.min(left);
    let cache = said.put(|text| write!(text, "private, max-age={cache}"));
    let said = said.0.freeze();
    let mut response = Response::new(Body::empty());
    let headers = response.headers_mut();
    headers.reserve(9);
    for (name, place) in [
        (names::CREDENTIAL, credential_id),
        (names::CLIENT, client),
        (names::SUBJECT, subject),
        (names::SCOPES, scopes),
        (names::EXPIRES, expires),
    ] {
        headers.insert(HeaderName::from_static(name), value(&said, place));
    }
    headers.insert(
        HeaderName::from_static(names::DECISION),
        HeaderValue::from_static("allow"),
    );
    headers.insert(header::CACHE_CONTROL, value(&said, cache));
    response
}

/// Texts one after the other in one allocation.
struct Said(BytesMut);

impl Said {
    fn put(&mut self, write: impl FnOnce(&mut Self) -> std::fmt::Result) -> std::ops::Range<usize> {
        let from = self.0.len();
        // Writing to memory does not fail.
        let _written = write(self);
        from..self.0.len()
    }
}

impl std::fmt::Write for Said {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        self.0.put_slice(text.as_bytes());
        Ok(())
    }
}

/// A part of what is said. Names and scopes are ASCII without control characters, so each is a header's value.
fn value(said: &Bytes, place: std::ops::Range<usize>) -> HeaderValue {
    HeaderValue::from_maybe_shared(said.slice(place))
        .unwrap_or_else(|_| HeaderValue::from_static("-"))
}

fn deny(denial: Denial, scope: Option<String>, call: &CallId) -> Response {
    let (status, challenge) = denial.told();
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(
        HeaderName::from_static(names::DECISION),
        HeaderValue::from_static("deny"),
    );
    headers.insert(
        HeaderName::from_static(names::REASON),
        HeaderValue::from_static(denial.reason()),
    );
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Ok(id) = HeaderValue::from_str(&call.request_id) {
        headers.insert(HeaderName::from_static(names::REQUEST_ID), id);
    }
    if let Some(challenge) = challenge {
        let whole = scope.and_then(|scope| {
            HeaderValue::from_str(&format!(r#"{challenge}, scope="{scope}""#)).ok()
        });
        let challenge = whole.unwrap_or(HeaderValue::from_static(challenge));
        headers.insert(header::WWW_AUTHENTICATE, challenge);
    }
    response
}

impl Gateway {
    /// The scope that a call lacked, to tell it.
    fn needs_scope(&self, denial: Denial, request: &Request, beneath: &str) -> Option<String> {
        if denial != Denial::Scope {
            return None;
        }
        let method = request.method().as_str();
        let (method, path) = original(self.profile, method, beneath, request.headers()).ok()?;
        self.needs(method, path).ok()?.map(str::to_owned)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_that_can_be_read_in_two_ways_is_ambiguous() {
        for plain in [
            "/",
            "/orders",
            "/orders/",
            "/orders/7.json",
            "/a..b/.well-known/x",
            "/...",
            "/caf%C3%A9%20x",
            "/a:b@c!$&'()*+,=~-_",
        ] {
            assert!(!ambiguous(plain), "{plain}");
        }
        for odd in [
            "",
            "orders",
            "http://x/orders",
            "/a/../b",
            "/..",
            "/a/..",
            "/./a",
            "/a/.",
            "//a",
            "/a//b",
            "/a;x=1",
            "/a%2Fb",
            "/a%2fb",
            "/a%5cb",
            "/%2e%2e/b",
            "/a%2E",
            "/a%3Bx",
            "/a%252fb",
            "/a%00",
            "/a%4",
            "/a%zz",
            "/a\\b",
            "/a#b",
            "/a b",
            "/caf\u{e9}",
        ] {
            assert!(ambiguous(odd), "{odd}");
        }
    }
}
