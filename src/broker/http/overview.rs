//! The first screen in one answer, counted at most a few times a second however many consoles ask.

use super::{App, extract::Reader, list::raw, problem::ApiError};
use crate::{
    broker::{
        overview::{KEPT, Kept, overview},
        views::event::event_record,
    },
    wire::{IssuerHealth, Overview},
};
use axum::{
    extract::State,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use std::time::{Duration, Instant};
use tokio::sync::Mutex;

/// How long figures of the same state are good for: they also depend on the time.
const SAME: Duration = Duration::from_secs(1);
/// How long they are good for while the state moves on.
const MOVING: Duration = Duration::from_millis(250);
/// How many of the latest events are shown.
const RECENT: u64 = 16;

#[derive(Debug)]
struct Counted {
    at: Instant,
    sequence: u64,
    tag: String,
    body: Bytes,
}

/// The last count, and what it was counted from.
#[derive(Debug, Default)]
pub struct Cache(Mutex<(Option<Counted>, Option<Kept>)>);

/// Everything that the first screen needs.
#[utoipa::path(get, path = "/v1/overview", tag = "overview",
    responses((status = 200, body = Overview), (status = 304, description = "The figures that `If-None-Match` names are still good")))]
pub async fn show(State(app): State<App>, reader: Reader) -> Result<Response, ApiError> {
    reader.reads_all()?;
    // Held while counting, so that many who ask at once wait for one count.
    let mut held = app.overview().0.lock().await;
    let (cache, kept) = &mut *held;
    let good = cache.as_ref().is_some_and(|counted| {
        let age = counted.at.elapsed();
        age < MOVING || (age < SAME && counted.sequence == reader.state.sequence)
    });
    if !good {
        let begins = kept.is_none();
        *cache = Some(count(&app, &reader, kept).await?);
        if begins {
            // Whoever holds an old state holds all that has changed since: not for longer than it is of use.
            let app = app.clone();
            tokio::spawn(async move {
                tokio::time::sleep(KEPT).await;
                app.overview().0.lock().await.1 = None;
            });
        }
    }
    let counted = cache.as_ref().expect("counted just now or before");
    let tag = HeaderValue::from_str(&counted.tag).expect("digits in quotes");
    let mut response = if reader.has_tag(&counted.tag) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        raw(counted.sequence, "application/json", counted.body.clone())
    };
    response.headers_mut().insert(header::ETAG, tag);
    Ok(response)
}

async fn count(app: &App, reader: &Reader, kept: &mut Option<Kept>) -> Result<Counted, ApiError> {
    let engine = app.engine();
    let state = engine.state();
    let first = state.sequence.saturating_sub(RECENT) + 1;
    let events = engine.events(first, RECENT as u32).await?;
    let recent = events
        .iter()
        .rev()
        .filter(|recorded| recorded.sequence() <= state.sequence)
        .map(|recorded| event_record(&state, recorded))
        .collect();
    let health = engine.health();
    // A destination that is away holds up what waits for it as much as an issuer does.
    let destinations = health.destinations.into_iter().map(|place| IssuerHealth {
        issuer: format!("destination {}", place.destination),
        ready: place.ready,
        detail: place.detail,
    });
    let degraded = health.issuers.into_iter().chain(destinations);
    let degraded = degraded.filter(|issuer| !issuer.ready).collect();
    let reviews = engine.policies().reviews(&state);
    let figures = overview(
        &state,
        engine.usage(),
        reviews,
        reader.now,
        degraded,
        recent,
        kept,
    );
    Ok(Counted {
        at: Instant::now(),
        sequence: state.sequence,
        tag: format!("\"{}-{}\"", state.sequence, reader.now.timestamp()),
        body: serde_json::to_vec(&figures)
            .expect("figures are plain data")
            .into(),
    })
}
