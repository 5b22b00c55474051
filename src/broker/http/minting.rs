//! Minting tokens: for people and robots, and for gateways.

use super::{App, Secret, extract::invalid, problem::ApiError, requests::done};
use crate::{
    broker::{engine::Outcome, serve::new_token},
    domain::{Event, Token},
    secret::{SecretMaterial, mint_token},
};
use axum::{http::StatusCode, response::Response};
use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;

/// The longest life of a token, in seconds: a year.
const TTL_MAX_S: u64 = 31_536_000;
/// The shortest.
const TTL_MIN_S: u64 = 60;

/// Mints a token that lives for `ttl_s`, and what is kept of it.
///
/// # Errors
/// 422 at `pointer`, where it would live for too short or too long.
pub(super) fn mint(
    label: &str,
    pointer: &str,
    ttl_s: u64,
    now: DateTime<Utc>,
) -> Result<(SecretMaterial, Token), ApiError> {
    if !(TTL_MIN_S..=TTL_MAX_S).contains(&ttl_s) {
        let detail = format!("expected {TTL_MIN_S} to {TTL_MAX_S} seconds");
        return Err(invalid(pointer, detail));
    }
    let secret = mint_token(label);
    let token = new_token(secret.digest(), now, now + TimeDelta::seconds(ttl_s as i64));
    Ok((secret, token))
}

/// What was minted, for the answer.
pub(super) struct Minted<I> {
    /// Whose it is.
    pub holder: I,
    /// What is kept of it.
    pub token: Token,
    /// The token itself; empty for a repetition.
    pub text: String,
}

/// The minted token; for a repetition without its text, with what the first one had made, as `of` reads it off its event.
///
/// # Errors
/// 500 if the first one's event cannot be read.
pub(super) async fn minted<I>(
    app: &App,
    outcome: &Outcome,
    (holder, token): (I, Token),
    secret: &SecretMaterial,
    of: impl FnOnce(Event) -> Option<(I, Token)>,
) -> Result<Minted<I>, ApiError> {
    if !outcome.replayed {
        let text = secret.expose().to_owned();
        return Ok(Minted {
            holder,
            token,
            text,
        });
    }
    let events = app.engine().events(outcome.sequence, 1).await?;
    let first = events.into_iter().next().map(|recorded| recorded.event);
    let (holder, token) = first
        .and_then(of)
        .ok_or_else(|| ApiError::internal(&"a repeated minting without its event"))?;
    Ok(Minted {
        holder,
        token,
        text: String::new(),
    })
}

/// 201 with a body that holds a secret.
pub(super) fn created(outcome: &Outcome, body: &impl Serialize) -> Response {
    let mut response = done(outcome, body);
    *response.status_mut() = StatusCode::CREATED;
    response.extensions_mut().insert(Secret);
    response
}
