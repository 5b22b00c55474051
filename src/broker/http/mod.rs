//! The HTTP face: axum routes, one file a resource, thin: parse, authorise, command, answer.
//!
//! What holds for every call is in `edge`; what handlers are given in `extract`; every refusal in `problem`.
//! To add a route: a handler with its `utoipa::path` in the resource's file, a line in `routes`, a line in the
//! authorization matrix of `tests/api.rs`. The OpenAPI document follows from the code.

/// The decision point of gateways.
mod authz;
/// Clients of credentials.
pub mod clients;
/// The inventory.
pub mod credentials;
/// Deciding requests.
pub mod decisions;
/// The outermost layer.
pub mod edge;
/// The stream.
pub mod events;
/// What handlers are given.
pub mod extract;
/// Gateways.
pub mod gateways;
/// Token introspection.
pub mod introspect;
/// The SSH keys of people.
pub mod keys;
/// Pages and streamed lists.
pub mod list;
/// The log: checkpoint, tiles, entries, proofs, events.
pub mod log;
/// Signing in with an SSH key.
pub mod login;
/// Figures for Prometheus.
pub mod metrics;
mod minting;
/// Introspection and revocation where OAuth software looks for them.
pub mod oauth;
/// The OpenAPI document.
pub mod openapi;
/// People and robots.
pub mod operators;
/// The first screen.
pub mod overview;
/// Policies and proposals.
pub mod policies;
/// Every refusal and failure.
pub mod problem;
/// Asking, deciding, claiming.
pub mod requests;
/// Access review.
pub mod reviews;
/// The registry of revocations.
pub mod revocations;
/// Rotations.
pub mod rotations;
/// Liveness, readiness, metrics, the contract and the meaning of problems.
pub mod service;
/// Who the caller is.
pub mod session;
/// Keys, metadata and status lists for readers of tokens.
pub mod tokens;
/// What gateways report.
pub mod usage;

use super::{engine::Engine, views::Views};
use crate::config::Limits;
use crate::domain::State;
use axum::{Router, middleware};
use bytes::Bytes;
use chrono::{DateTime, Utc};
use problem::ApiError;
use std::{sync::Arc, time::Duration};
use tokio::sync::Semaphore;
use tower_http::compression::{
    CompressionLayer,
    predicate::{DefaultPredicate, NotForContentType, Predicate},
};
use utoipa_axum::{router::OpenApiRouter, routes};

/// What all handlers share; cheap to clone.
#[derive(Debug, Clone)]
pub struct App(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    engine: Engine,
    bounds: Bounds,
    calls: Semaphore,
    streams: Arc<Semaphore>,
    frames: events::Frames,
    overview: overview::Cache,
    document: Bytes,
}

/// The bounds in the form in which they are used.
#[derive(Debug, Clone)]
pub struct Bounds {
    /// The longest body, in bytes.
    pub body: usize,
    /// How long an answer may take.
    pub call_timeout: Duration,
}

impl App {
    fn new(engine: Engine, limits: &Limits, document: Bytes) -> Self {
        Self(Arc::new(Inner {
            engine,
            bounds: Bounds {
                body: limits.body_bytes.min(extract::BODY_MAX),
                call_timeout: Duration::from_secs(limits.request_timeout_s),
            },
            calls: Semaphore::new(limits.in_flight.min(Semaphore::MAX_PERMITS)),
            streams: Arc::new(Semaphore::new(limits.streams.min(Semaphore::MAX_PERMITS))),
            frames: events::Frames::default(),
            overview: overview::Cache::default(),
            document,
        }))
    }

    /// The engine.
    pub fn engine(&self) -> &Engine {
        &self.0.engine
    }

    /// The bounds.
    pub fn limits(&self) -> &Bounds {
        &self.0.bounds
    }

    /// The longest body that is read, in bytes.
    pub fn body_max(&self) -> usize {
        self.0.bounds.body
    }

    fn calls(&self) -> &Semaphore {
        &self.0.calls
    }

    fn streams(&self) -> &Arc<Semaphore> {
        &self.0.streams
    }

    fn frames(&self) -> &events::Frames {
        &self.0.frames
    }

    fn overview(&self) -> &overview::Cache {
        &self.0.overview
    }

    fn document(&self) -> Bytes {
        self.0.document.clone()
    }

    /// `state` as it is to be shown at `now`.
    pub fn views<'a>(&'a self, state: &'a State, now: DateTime<Utc>) -> Views<'a> {
        Views {
            state,
            usage: self.engine().usage(),
            reviews: self.engine().policies().reviews(state),
            now,
        }
    }
}

/// Every documented route.
fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::with_openapi(openapi::base())
        .routes(routes!(service::healthz))
        .routes(routes!(service::readyz))
        .routes(routes!(service::metrics))
        .routes(routes!(service::openapi))
        .routes(routes!(service::problem))
        .routes(routes!(login::login_challenge))
        .routes(routes!(login::sign_in))
        .routes(routes!(session::show, session::sign_out))
        .routes(routes!(overview::show))
        .routes(routes!(credentials::list, credentials::adopt))
        .routes(routes!(credentials::lookup))
        .routes(routes!(credentials::exposure))
        .routes(routes!(credentials::show))
        .routes(routes!(credentials::revoke))
        .routes(routes!(credentials::quarantine))
        .routes(routes!(credentials::release))
        .routes(routes!(credentials::change_owner))
        .routes(routes!(credentials::deliver_to))
        .routes(routes!(reviews::confirm))
        .routes(routes!(reviews::list))
        .routes(routes!(requests::list, requests::submit))
        .routes(routes!(requests::show))
        .routes(routes!(decisions::signing_order))
        .routes(routes!(decisions::approve))
        .routes(routes!(decisions::deny))
        .routes(routes!(decisions::narrow))
        .routes(routes!(decisions::hold))
        .routes(routes!(decisions::resume))
        .routes(routes!(decisions::add_note))
        .routes(routes!(decisions::break_glass))
        .routes(routes!(requests::withdraw))
        .routes(routes!(requests::retry))
        .routes(routes!(requests::claim))
        .routes(routes!(policies::list))
        .routes(routes!(policies::show))
        .routes(routes!(policies::propose))
        .routes(routes!(policies::proposal))
        .routes(routes!(policies::signing_order))
        .routes(routes!(policies::approve))
        .routes(routes!(policies::deny))
        .routes(routes!(policies::withdraw))
        .routes(routes!(policies::simulate))
        .routes(routes!(revocations::list, revocations::revoke_planned))
        .routes(routes!(revocations::plan))
        .routes(routes!(revocations::export))
        .routes(routes!(revocations::show))
        .routes(routes!(gateways::list, gateways::register))
        .routes(routes!(gateways::show))
        .routes(routes!(gateways::issue_token))
        .routes(routes!(gateways::revoke_token))
        .routes(routes!(gateways::remove))
        .routes(routes!(gateways::pending))
        .routes(routes!(gateways::cursor))
        .routes(routes!(gateways::findings))
        .routes(routes!(rotations::calendar, rotations::rotate_group))
        .routes(routes!(rotations::show))
        .routes(routes!(rotations::claim))
        .routes(routes!(rotations::rotate))
        .routes(routes!(rotations::promote))
        .routes(routes!(rotations::roll_back))
        .routes(routes!(usage::report))
        .routes(routes!(clients::list, clients::onboard))
        .routes(routes!(clients::holdings))
        .routes(routes!(clients::offboard))
        .routes(routes!(operators::list, operators::enrol))
        .routes(routes!(operators::issue_token))
        .routes(routes!(operators::revoke_token))
        .routes(routes!(keys::enrol_key))
        .routes(routes!(keys::countersign_key))
        .routes(routes!(keys::remove_key))
        .routes(routes!(operators::grant))
        .routes(routes!(operators::holdings))
        .routes(routes!(operators::offboard))
        .routes(routes!(events::follow))
        .routes(routes!(log::events))
        .routes(routes!(log::checkpoint))
        .routes(routes!(log::entries))
        .routes(routes!(log::inclusion))
        .routes(routes!(log::consistency))
        .routes(routes!(log::tiles_checkpoint))
        .routes(routes!(log::receipt))
        .routes(routes!(introspect::introspect))
        .routes(routes!(oauth::introspect))
        .routes(routes!(oauth::revoke))
        .routes(routes!(tokens::jwks))
        .routes(routes!(tokens::metadata))
        .routes(routes!(tokens::lists))
        .routes(routes!(tokens::list))
        // A tile's path has slashes in it, which OpenAPI cannot say: documented by hand in `openapi`.
        .route("/log/tile/{*path}", axum::routing::get(log::tile))
}

/// The OpenAPI 3.1 document, as the broker serves it.
pub fn document() -> String {
    let (_, document) = routes().split_for_parts();
    openapi::finish(document)
}

/// The whole API. Serve it with `into_make_service_with_connect_info::<SocketAddr>()`, so that the log can say from
/// where a command came.
pub fn router(engine: Engine, limits: &Limits) -> Router {
    metrics::install();
    let (router, document) = routes().split_for_parts();
    let app = App::new(engine, limits, openapi::finish(document).into());
    let compressed = DefaultPredicate::new()
        .and(NotForContentType::const_new("application/octet-stream"))
        .and(may_compress);
    router
        .fallback(|| async {
            ApiError::new(&problem::NOT_FOUND, "there is nothing under this address")
        })
        .method_not_allowed_fallback(|| async {
            ApiError::new(
                &problem::METHOD,
                "this address does not take this method; `Allow` names those it takes",
            )
        })
        .layer(CompressionLayer::new().gzip(true).compress_when(compressed))
        .layer(middleware::from_fn_with_state(app.clone(), edge::edge))
        .with_state(app.clone())
        .merge(authz::routes(app))
}

/// Marks an answer that holds a secret: its length must not depend on what is beside the secret.
#[derive(Debug, Clone, Copy)]
struct Secret;

fn may_compress(
    _status: axum::http::StatusCode,
    _version: axum::http::Version,
    _headers: &axum::http::HeaderMap,
    extensions: &axum::http::Extensions,
) -> bool {
    extensions.get::<Secret>().is_none()
}
