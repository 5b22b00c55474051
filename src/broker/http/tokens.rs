//! What whoever checks tokens by themselves must know: the broker's keys, its metadata, and the lists of what was
//! withdrawn. Open to everybody: nothing in it is anybody's.

use super::{
    App,
    extract::tag_sent,
    list::{answer, raw},
    problem::{self, ApiError},
};
use crate::{
    broker::tokens::{Jwks, Settings},
    clock,
    domain::token_key::StatusList,
    secret::digest_of_bytes,
    wire::tokens::{ServerMetadata, StatusListAggregation},
};
use axum::{
    extract::{Path, State as Shared},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse as _, Response},
};

/// The longest that metadata may be kept, in seconds.
const METADATA_KEPT_S: i64 = 300;

/// The keys that sign tokens (RFC 7517): those in use, those that are to be, and those of which something may still be
/// shown.
#[utoipa::path(get, path = "/.well-known/jwks.json", tag = "tokens", security(()),
    responses((status = 200, body = Jwks, content_type = "application/jwk-set+json"),
        (status = 304, description = "The caller has it already")))]
pub async fn jwks(Shared(app): Shared<App>, headers: HeaderMap) -> Response {
    let state = app.engine().state();
    let (body, kept) = app.engine().tokens().published(&state);
    let digest = digest_of_bytes(&body);
    let tag = u64::from_be_bytes(*digest.0.first_chunk().expect("32 bytes"));
    kept_for(&headers, tag, kept, || {
        raw(state.sequence, "application/jwk-set+json", body)
    })
}

/// The broker as an authorization server (RFC 8414): where its keys and its introspection are.
#[utoipa::path(get, path = "/.well-known/oauth-authorization-server", tag = "tokens", security(()),
    responses((status = 200, body = ServerMetadata),
        (status = 404, body = crate::wire::Problem, content_type = "application/problem+json")))]
pub async fn metadata(Shared(app): Shared<App>) -> Result<Response, ApiError> {
    let settings = settings(&app)?;
    let at = |path: &str| format!("{}{path}", settings.issuer);
    let body = ServerMetadata {
        issuer: settings.issuer.clone(),
        jwks_uri: at("/.well-known/jwks.json"),
        introspection_endpoint: at("/v1/introspect"),
        introspection_endpoint_auth_methods_supported: vec!["Bearer".to_owned()],
        grant_types_supported: Vec::new(),
        response_types_supported: Vec::new(),
        status_list_aggregation_endpoint: at("/status"),
    };
    let mut response = answer(app.engine().state().sequence, &body);
    cached(&mut response, METADATA_KEPT_S);
    Ok(response)
}

/// All status lists.
#[utoipa::path(get, path = "/status", tag = "tokens", security(()),
    responses((status = 200, body = StatusListAggregation),
        (status = 404, body = crate::wire::Problem, content_type = "application/problem+json")))]
pub async fn lists(Shared(app): Shared<App>) -> Result<Response, ApiError> {
    let settings = settings(&app)?;
    let state = app.engine().state();
    let body = StatusListAggregation {
        status_lists: state
            .tokens
            .lists()
            .map(|list| settings.list_uri(list))
            .collect(),
    };
    let mut response = answer(state.sequence, &body);
    cached(&mut response, settings.status_ttl.num_seconds());
    Ok(response)
}

/// A status list, signed (draft-ietf-oauth-status-list-20): two bits a token. 0 is valid, 1 invalid, 2 suspended.
#[utoipa::path(get, path = "/status/{algorithm}/{number}", tag = "tokens", operation_id = "list", security(()),
    params(("algorithm" = String, Path, description = "`es256` or `rs256`", example = "es256"),
        ("number" = String, Path, description = "Which, from 1", example = "1")),
    responses((status = 200, body = String, content_type = "application/statuslist+jwt"),
        (status = 304, description = "The caller has it already"),
        (status = 404, body = crate::wire::Problem, content_type = "application/problem+json")))]
pub async fn list(
    Shared(app): Shared<App>,
    Path((algorithm, number)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let missing = || {
        ApiError::new(
            &problem::NOT_FOUND,
            "there is no such status list; /status names those that there are",
        )
    };
    let list: StatusList = format!("{algorithm}/{number}")
        .parse()
        .map_err(|_| missing())?;
    let (state, now) = (app.engine().state(), clock::now());
    let signed = app.engine().tokens().list(&state, list, now);
    let signed = signed.ok_or_else(missing)?;
    let kept = (signed.fresh_until - now).num_seconds().max(0);
    Ok(kept_for(&headers, signed.tag, kept, || {
        raw(state.sequence, "application/statuslist+jwt", signed.token)
    }))
}

fn settings(app: &App) -> Result<&Settings, ApiError> {
    app.engine().tokens().settings().ok_or_else(|| {
        ApiError::new(
            &problem::NOT_FOUND,
            "this broker signs no tokens: its configuration has no table [tokens]",
        )
    })
}

/// The answer with its entity tag and for how long it may be kept; only those if the caller has the rest.
fn kept_for(
    headers: &HeaderMap,
    tag: u64,
    seconds: i64,
    answer: impl FnOnce() -> Response,
) -> Response {
    let tag = format!("\"{tag}\"");
    let sent = headers.get(header::IF_NONE_MATCH);
    let has = sent
        .and_then(|sent| sent.to_str().ok())
        .is_some_and(|sent| tag_sent(sent, &tag));
    let mut response = if has {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        answer()
    };
    let tag = HeaderValue::from_str(&tag).expect("digits in quotes");
    response.headers_mut().insert(header::ETAG, tag);
    cached(&mut response, seconds);
    response
}

fn cached(response: &mut Response, seconds: i64) {
    let text = format!("public, max-age={seconds}");
    let text = HeaderValue::from_str(&text).expect("words and digits");
    response.headers_mut().insert(header::CACHE_CONTROL, text);
}
