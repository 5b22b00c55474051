//! The outermost layer: what holds for every call. It names the call, bounds it, catches panics, renders problems,
//! sets the headers that every answer has, and writes one access-log line without bodies, tokens or queries.

use super::{App, metrics, problem};
use crate::wire::header as names;
use axum::{
    extract::{MatchedPath, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use futures_util::FutureExt as _;
use problem::ApiError;
use std::{panic::AssertUnwindSafe, time::Instant};

/// The most bytes of all headers together.
const HEADERS_MAX: usize = 16 * 1024;
/// The most bytes of path and query.
const ADDRESS_MAX: usize = 8 * 1024;
/// The longest request id that is taken over.
const REQUEST_ID_MAX: usize = 128;

/// What a call is called.
#[derive(Debug, Clone)]
pub struct CallId {
    /// `X-Request-Id`.
    pub request_id: String,
    /// Trace id of the caller's `traceparent`, 32 hex digits.
    pub trace: Option<String>,
}

impl CallId {
    /// What these headers call it, or a fresh name where they do not, or badly.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
        let request_id =
            own_id(headers).map_or_else(|| uuid::Uuid::now_v7().to_string(), str::to_owned);
        Self {
            request_id,
            trace: text("traceparent").and_then(trace_id).map(str::to_owned),
        }
    }
}

/// The caller's own name for the call, if it is one that can be taken over.
pub(super) fn own_id(headers: &HeaderMap) -> Option<&str> {
    let id = headers.get(names::REQUEST_ID)?.to_str().ok()?;
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.:/+=".contains(&b);
    let fits = (1..=REQUEST_ID_MAX).contains(&id.len()) && id.bytes().all(plain);
    fits.then_some(id)
}

/// The trace id of a W3C `traceparent`; none if it is not valid.
fn trace_id(traceparent: &str) -> Option<&str> {
    let hex = |text: &str, length| {
        text.len() == length
            && text
                .bytes()
                .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
    };
    let mut parts = traceparent.split('-');
    let (version, trace, parent, flags) =
        (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let shaped = hex(version, 2) && hex(trace, 32) && hex(parent, 16) && hex(flags, 2);
    let zero = |text: &str| text.bytes().all(|b| b == b'0');
    let longer = version == "00" && parts.next().is_some();
    (shaped && version != "ff" && !zero(trace) && !zero(parent) && !longer).then_some(trace)
}

/// The layer.
pub(super) async fn edge(State(app): State<App>, mut request: Request, next: Next) -> Response {
    let began = Instant::now();
    let call = CallId::of(request.headers());
    let method = request.method().clone();
    let matched = request.extensions().get::<MatchedPath>().cloned();
    let route = matched.as_ref().map_or("unmatched", MatchedPath::as_str);
    request.extensions_mut().insert(call.clone());

    let mut response = match refuse_oversized(&request) {
        Some(error) => error.into_response(),
        None => run(&app, request, next).await,
    };

    let slug = problem::render(&mut response, &call);
    finish_headers(&app, &mut response, &call);
    let status = response.status();
    let took = began.elapsed();
    metrics::answered(route, method.as_str(), status.as_u16(), took);
    // The enforcement points' own call is far too frequent for a line each; it is in the metrics.
    if route != super::introspect::PATH || status.is_server_error() {
        tracing::info!(
            http.request.method = %method,
            http.route = route,
            http.response.status_code = status.as_u16(),
            request_id = %call.request_id,
            trace_id = call.trace.as_deref().unwrap_or_default(),
            error.type = slug.unwrap_or_default(),
            duration_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX),
            "answered"
        );
    }
    response
}

fn refuse_oversized(request: &Request) -> Option<ApiError> {
    let address = request
        .uri()
        .path_and_query()
        .map_or(0, |address| address.as_str().len());
    if address > ADDRESS_MAX {
        return Some(ApiError::new(
            &problem::URI_TOO_LONG,
            format!("{address} bytes; at most {ADDRESS_MAX} are accepted"),
        ));
    }
    let headers: usize = request
        .headers()
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len())
        .sum();
    (headers > HEADERS_MAX).then(|| {
        ApiError::new(
            &problem::HEADERS_TOO_LARGE,
            format!("{headers} bytes of headers; at most {HEADERS_MAX} are accepted"),
        )
    })
}

async fn run(app: &App, request: Request, next: Next) -> Response {
    let Ok(_permit) = app.calls().try_acquire() else {
        return ApiError::new(
            &problem::BUSY,
            "the broker is answering as many calls as it takes at once",
        )
        .retry_after(1)
        .into_response();
    };
    let answer = AssertUnwindSafe(next.run(request)).catch_unwind();
    match tokio::time::timeout(app.limits().call_timeout, answer).await {
        Ok(Ok(response)) => response,
        // The panic hook has written the message; its payload could hold anything and goes nowhere.
        Ok(Err(_payload)) => ApiError::internal(&"a handler panicked").into_response(),
        Err(_elapsed) => ApiError::new(
            &problem::TIMED_OUT,
            format!(
                "no answer within {} seconds",
                app.limits().call_timeout.as_secs()
            ),
        )
        .retry_after(2)
        .into_response(),
    }
}

fn finish_headers(app: &App, response: &mut Response, call: &CallId) {
    let headers = response.headers_mut();
    let request_id = HeaderValue::from_str(&call.request_id).expect("checked or made by us");
    headers.insert(HeaderName::from_static(names::REQUEST_ID), request_id);
    if !headers.contains_key(names::SEQUENCE) {
        headers.insert(
            HeaderName::from_static(names::SEQUENCE),
            app.engine().state().sequence.into(),
        );
    }
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    headers.insert(
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'"),
    );
    headers.insert(
        header::REFERRER_POLICY,
        HeaderValue::from_static("no-referrer"),
    );
    if !headers.contains_key(header::CACHE_CONTROL) {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_valid_traces_are_honoured() {
        let good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        assert_eq!(trace_id(good), Some("4bf92f3577b34da6a3ce929d0e0e4736"));
        for bad in [
            "",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-x",
        ] {
            assert_eq!(trace_id(bad), None, "{bad}");
        }
    }

    #[test]
    fn odd_request_ids_are_replaced() {
        let with = |value: &'static [u8]| {
            let mut headers = HeaderMap::new();
            headers.insert(
                names::REQUEST_ID,
                HeaderValue::from_bytes(value).expect("a header value"),
            );
            CallId::of(&headers).request_id
        };
        assert_eq!(with(b"abc-1.2:3"), "abc-1.2:3");
        for odd in [&b""[..], b"a b", b"\xff\xfe", &[b'a'; 129]] {
            assert!(uuid::Uuid::parse_str(&with(odd)).is_ok());
        }
    }
}
