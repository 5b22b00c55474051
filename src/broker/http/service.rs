//! What needs no sign-in, because nothing in it is anybody's: liveness, readiness, metrics (figures only), the
//! contract, and what problems mean.

use super::{
    App,
    list::{answer, raw},
    metrics as figures,
    problem::{self, ApiError},
};
use crate::wire::{Health, Readiness};
use axum::{
    extract::{Path, State},
    http::StatusCode,
    response::Response,
};

/// The process runs.
#[utoipa::path(get, path = "/healthz", tag = "service", security(()),
    responses((status = 200, body = Health)))]
pub async fn healthz(State(app): State<App>) -> Response {
    let health = Health {
        status: "ok".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
    };
    answer(app.engine().state().sequence, &health)
}

/// Whether everything that is needed is there. 503 when nothing can be written; a missing issuer only degrades.
#[utoipa::path(get, path = "/readyz", tag = "service", security(()),
    responses((status = 200, body = Readiness), (status = 503, body = Readiness, description = "Nothing can be written")))]
pub async fn readyz(State(app): State<App>) -> Response {
    let readiness = app.engine().health();
    let mut response = answer(readiness.sequence, &readiness);
    if readiness.status == "down" {
        *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    }
    response
}

/// Figures for Prometheus. They hold counts and durations, no names of credentials, people or clients.
#[utoipa::path(get, path = "/metrics", tag = "service", security(()),
    responses((status = 200, body = String, content_type = "text/plain")))]
pub async fn metrics(State(app): State<App>) -> Result<Response, ApiError> {
    let text = figures::render(&app)
        .ok_or_else(|| ApiError::internal(&"another metrics recorder has the process"))?;
    let sequence = app.engine().state().sequence;
    Ok(raw(
        sequence,
        "text/plain; version=0.0.4; charset=utf-8",
        text,
    ))
}

/// The contract: OpenAPI 3.1, made from the code that answers.
#[utoipa::path(get, path = "/openapi.json", tag = "service", security(()),
    responses((status = 200, description = "OpenAPI 3.1", body = Object)))]
pub async fn openapi(State(app): State<App>) -> Response {
    raw(
        app.engine().state().sequence,
        "application/json",
        app.document(),
    )
}

/// What a problem's `type` means, for people.
#[utoipa::path(get, path = "/problems/{slug}", tag = "service", security(()),
    params(("slug" = String, Path, description = "What `type` ends in", example = "stale")),
    responses((status = 200, body = String, content_type = "text/markdown"),
        (status = 404, body = crate::wire::Problem, content_type = "application/problem+json")))]
pub async fn problem(
    State(app): State<App>,
    Path(slug): Path<String>,
) -> Result<Response, ApiError> {
    let kind = problem::KINDS
        .iter()
        .find(|kind| kind.slug == slug)
        .ok_or_else(|| {
            let slugs: Vec<_> = problem::KINDS.iter().map(|kind| kind.slug).collect();
            ApiError::new(
                &problem::NOT_FOUND,
                format!("known problems: {}", slugs.join(", ")),
            )
        })?;
    let text = format!(
        "# {}\n\n`{}` · {}\n\n{}\n",
        kind.title,
        kind.slug,
        kind.status.as_u16(),
        kind.about
    );
    Ok(raw(
        app.engine().state().sequence,
        "text/markdown; charset=utf-8",
        text,
    ))
}
