//! Where OAuth software looks for introspection (RFC 7662) and revocation (RFC 7009). Errors are in OAuth's own form.
//!
//! Introspection is the gateways': whatever they may not accept, for whatever reason, is `{"active": false}` and no
//! more. Revocation is for whoever holds the token, who proves that by showing it; the answer is the same whether there
//! was anything to revoke or not.

use super::{
    App, Secret,
    edge::CallId,
    extract::{is, read},
    introspect::{accepted, tell},
    list::answer,
    metrics,
    problem::ApiError,
};
use crate::{
    broker::{
        auth::{authenticate_gateway, token_digest},
        engine::fresh_bits,
        usage,
    },
    clock,
    domain::{Actor, Command, Context, Gateway, RevocationId, State, VersionState},
    secret::parse_token,
    wire::{
        Introspection, header as names,
        service::{OAuthError, TokenForm},
    },
};
use axum::{
    Form, Json,
    body::Body,
    extract::{FromRequest as _, Request, State as Shared},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header, request::Parts},
    response::{IntoResponse as _, Response},
};
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use chrono::{DateTime, Utc};
use std::sync::Arc;

/// Labels of tokens that sign somebody in: these are withdrawn where they are listed.
const SIGN_IN: [&str; 2] = ["opr", "gwy"];

fn refuse(status: StatusCode, error: &str, description: &str) -> Response {
    let body = OAuthError {
        error: error.to_owned(),
        error_description: description.to_owned(),
    };
    let mut response = (status, Json(body)).into_response();
    if status == StatusCode::UNAUTHORIZED {
        let challenge =
            HeaderValue::from_static(r#"Basic realm="countersign", Bearer realm="countersign""#);
        response
            .headers_mut()
            .insert(header::WWW_AUTHENTICATE, challenge);
    }
    response
}

/// The form's token, or the answer to a form that has none.
async fn asked(
    parts: Parts,
    body: Body,
    app: &App,
) -> Result<Result<TokenForm, Response>, ApiError> {
    let malformed = |what: &str| refuse(StatusCode::BAD_REQUEST, "invalid_request", what);
    if !is(&parts.headers, "application", "x-www-form-urlencoded") {
        return Ok(Err(malformed(
            "expected Content-Type: application/x-www-form-urlencoded",
        )));
    }
    let bytes = read(&parts.headers, body, app.body_max()).await?;
    let request = Request::from_parts(parts, Body::from(bytes));
    Ok(match Form::<TokenForm>::from_request(request, &()).await {
        Ok(Form(form)) if !form.token.is_empty() => Ok(form),
        _ => Err(malformed("expected a form with one token")),
    })
}

/// The gateway that asks, by its token as a bearer's or as the password of HTTP Basic.
fn gateway<'a>(
    state: &'a State,
    headers: &HeaderMap,
    now: DateTime<Utc>,
) -> Option<&'a Arc<Gateway>> {
    if let Ok((gateway, _)) = authenticate_gateway(state, headers, now) {
        return Some(gateway);
    }
    let text = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, encoded) = text.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let pair = String::from_utf8(BASE64.decode(encoded.trim()).ok()?).ok()?;
    let (name, token) = pair.split_once(':')?;
    let gateway = state.gateway_of_token(&token_digest(token))?;
    let held = gateway.token(&token_digest(token))?;
    let named = name == gateway.name || name == gateway.id.to_string();
    (named && now < held.expires_at).then_some(gateway)
}

/// Is this token accepted where the gateway stands? By a form, for gateways: their token is the bearer's, or the password
/// of HTTP Basic beside their name. Whatever is unknown, ended, revoked, quarantined or for another place is just
/// `{"active": false}`.
#[utoipa::path(post, path = "/oauth/introspect", tag = "introspection", operation_id = "oauth_introspect",
    request_body(content = TokenForm, content_type = "application/x-www-form-urlencoded"),
    responses((status = 200, body = Introspection), (status = 400, body = OAuthError), (status = 401, body = OAuthError)))]
pub async fn introspect(Shared(app): Shared<App>, request: Request) -> Result<Response, ApiError> {
    let (parts, body) = request.into_parts();
    let (state, now) = (app.engine().state(), clock::now());
    let Some(gateway) = gateway(&state, &parts.headers, now).cloned() else {
        let detail = "expected a gateway's token, as a bearer's or by HTTP Basic";
        return Ok(refuse(StatusCode::UNAUTHORIZED, "invalid_client", detail));
    };
    let form = match asked(parts, body, &app).await? {
        Ok(form) => form,
        Err(refused) => return Ok(refused),
    };
    let mut told = Introspection::default();
    let mut keep_s = None;
    let gateways = app.engine().gateways();
    if let Some((credential, number)) = state.credential_of(&token_digest(&form.token)) {
        let here = gateway.environment == credential.environment
            && gateway.guards_audience(&credential.audience);
        if here && let Some(version) = accepted(credential, number, now) {
            told = tell(credential, version, app.engine());
            // An answer is not kept beyond the end of what it is about.
            let left = version.ends_at().map_or(u64::MAX, |end| {
                (end - now).num_seconds().max(0).cast_unsigned()
            });
            keep_s = Some(gateway.cache_s.min(left)).filter(|seconds| *seconds > 0);
        }
        let shown = usage::Reader {
            version: number,
            gateway: Some(gateway.id),
            network: None,
        };
        let used = usage::Used::once(told.active, now);
        app.engine().usage().record(credential.id, shown, &used);
        let revoked = credential.revoked.is_some()
            || credential
                .version(number)
                .is_some_and(|version| version.state == VersionState::Revoked);
        if here && revoked {
            gateways.refused(&state, &gateway, credential.id, number);
        }
    }
    gateways.place(gateway.id).asked(told.active, now);
    metrics::introspected(told.active);
    let mut response = answer(state.sequence, &told);
    if let Some(seconds) = keep_s
        && let Ok(keep) = HeaderValue::from_str(&format!("private, max-age={seconds}"))
    {
        response.headers_mut().insert(header::CACHE_CONTROL, keep);
    }
    response.extensions_mut().insert(Secret);
    Ok(response)
}

/// Gives up a token that the caller holds: that version of the credential is revoked, for good. The answer is the same
/// for a token that nobody knows. Tokens that sign somebody in are withdrawn where they are listed.
#[utoipa::path(post, path = "/oauth/revoke", tag = "introspection", operation_id = "oauth_revoke", security(()),
    request_body(content = TokenForm, content_type = "application/x-www-form-urlencoded"),
    responses((status = 200, description = "It is not accepted"), (status = 400, body = OAuthError)))]
pub async fn revoke(Shared(app): Shared<App>, request: Request) -> Result<Response, ApiError> {
    let (parts, body) = request.into_parts();
    let call = CallId::of(&parts.headers);
    let from = super::extract::caller_address(&parts);
    let form = match asked(parts, body, &app).await? {
        Ok(form) => form,
        Err(refused) => return Ok(refused),
    };
    let label = parse_token(&form.token).map(|token| token.label.to_owned());
    if label.is_ok_and(|label| SIGN_IN.contains(&label.as_str())) {
        return Ok(refuse(
            StatusCode::BAD_REQUEST,
            "unsupported_token_type",
            "a token that signs somebody in is withdrawn by `operator revoke-token` or `gateway revoke-token`",
        ));
    }
    let now = clock::now();
    let digest = token_digest(&form.token);
    // What nobody knows costs no place in the writer's queue.
    if app.engine().state().credential_of(&digest).is_some() {
        let command = Command::RevokeByHolder {
            id: RevocationId::from_bits(fresh_bits(now)),
            digest,
        };
        let context = Context {
            now,
            actor: Actor::System("holder"),
            from,
            request_id: call.request_id,
            trace: call.trace,
            idempotency: None,
            if_match: None,
        };
        app.engine().submit(command, context).await?;
    }
    let mut response = Response::new(Body::empty());
    // Not the log's own sequence: whether it has grown is nobody's business here.
    response
        .headers_mut()
        .insert(HeaderName::from_static(names::SEQUENCE), 0.into());
    response.extensions_mut().insert(Secret);
    Ok(response)
}
