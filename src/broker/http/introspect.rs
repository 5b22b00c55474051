//! Token introspection (RFC 7662): the enforcement points' own call, so the shortest way there is: one hash, one
//! look-up in the snapshot, no line in the log of calls.

use super::{
    App, Secret,
    extract::{Reader, is, parse, read},
    list::answer,
    metrics,
    problem::{self, ApiError},
};
use crate::{
    broker::{auth::token_digest, engine::Engine, usage},
    domain::{Credential, Version, token_key::place},
    wire::{Introspection, service::IntrospectionRequest},
};
use axum::{
    Form,
    body::Body,
    extract::{FromRequest as _, FromRequestParts as _, Request, State as Shared},
    response::Response,
};
use chrono::{DateTime, Utc};
use std::error::Error as _;

/// Where it is.
pub const PATH: &str = "/v1/introspect";

/// Is this token accepted? Whatever is unknown, ended, revoked, quarantined or not for the caller to know is just
/// `{"active": false}`. The body is JSON or a form.
#[utoipa::path(post, path = "/v1/introspect", tag = "introspection",
    request_body(content((IntrospectionRequest = "application/json"), (IntrospectionRequest = "application/x-www-form-urlencoded"))),
    responses((status = 200, body = Introspection)))]
pub async fn introspect(Shared(app): Shared<App>, request: Request) -> Result<Response, ApiError> {
    let (mut parts, body) = request.into_parts();
    let reader = Reader::from_request_parts(&mut parts, &app).await?;
    let bytes = read(&parts.headers, body, app.body_max()).await?;
    let asked: IntrospectionRequest = if is(&parts.headers, "application", "json") {
        parse(&bytes)?
    } else if is(&parts.headers, "application", "x-www-form-urlencoded") {
        let request = Request::from_parts(parts, Body::from(bytes));
        let form = Form::from_request(request, &()).await;
        form.map(|Form(asked)| asked).map_err(|rejection| {
            let cause = rejection
                .source()
                .map_or_else(|| rejection.body_text(), ToString::to_string);
            ApiError::new(&problem::MALFORMED, format!("in the form: {cause}"))
        })?
    } else {
        let expected =
            "expected Content-Type: application/json or application/x-www-form-urlencoded";
        return Err(ApiError::new(&problem::MEDIA_TYPE, expected));
    };
    let found = reader
        .state
        .credential_of(&token_digest(&asked.token))
        .filter(|(credential, _)| reader.caller.sees(credential.client));
    let mut told = Introspection::default();
    if let Some((credential, version)) = found {
        if let Some(version) = accepted(credential, version, reader.now) {
            told = tell(credential, version, app.engine());
        }
        let shown = usage::Reader {
            version,
            gateway: None,
            network: None,
        };
        let used = usage::Used::once(told.active, reader.now);
        app.engine().usage().record(credential.id, shown, &used);
    }
    metrics::introspected(told.active);
    let mut response = answer(reader.state.sequence, &told);
    response.extensions_mut().insert(Secret);
    Ok(response)
}

pub(super) fn accepted(
    credential: &Credential,
    number: u32,
    now: DateTime<Utc>,
) -> Option<&Version> {
    if credential.revoked.is_some() || credential.quarantined_at.is_some() {
        return None;
    }
    credential
        .version(number)
        .filter(|version| version.accepted(now))
}

/// What a signed token says itself is told as it says it.
pub(super) fn tell(credential: &Credential, version: &Version, engine: &Engine) -> Introspection {
    let token = version.locator.get(place::TOKEN);
    let issuer = engine.tokens().settings().filter(|_| token.is_some());
    Introspection {
        active: true,
        scope: Some(credential.scopes.join(" ")),
        client_id: Some(credential.client.to_string()),
        sub: Some(match token {
            Some(_) => credential.name.to_string(),
            None => credential.id.to_string(),
        }),
        aud: Some(credential.audience.to_string()),
        iss: Some(match issuer {
            Some(settings) => settings.issuer.clone(),
            None => engine.origin().to_owned(),
        }),
        exp: version.ends_at().map(|end| end.timestamp()),
        iat: Some(version.created_at.timestamp()),
        jti: token.cloned(),
        token_type: Some("Bearer".to_owned()),
        environment: Some(credential.environment),
    }
}
