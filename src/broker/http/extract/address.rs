//! The address: identifiers in the path, and the query's parameters.

use super::{
    super::{
        App,
        problem::{self, ApiError},
    },
    anybody,
};
use axum::{
    extract::{FromRequestParts, Path, Query},
    http::request::Parts,
};
use serde::de::DeserializeOwned;
use std::{error::Error as _, fmt::Display, str::FromStr};

/// An identifier in the path.
#[derive(Debug, Clone, Copy)]
pub struct Id<T>(pub T);

impl<T> FromRequestParts<App> for Id<T>
where
    T: FromStr<Err: Display>,
{
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        // Whoever is not signed in learns that first, and nothing about what an address must look like.
        anybody(app, &parts.headers)?;
        let text = Path::<String>::from_request_parts(parts, app).await;
        let found = text
            .map_err(|error| ApiError::new(&problem::MALFORMED, error.body_text()))
            .and_then(|Path(text)| identifier(&text));
        found
            .map(Self)
            .map_err(|error| signing_in_comes_first(parts, app, error))
    }
}

/// Two identifiers in the path.
#[derive(Debug, Clone, Copy)]
pub struct Ids<A, B>(pub A, pub B);

impl<A, B> FromRequestParts<App> for Ids<A, B>
where
    A: FromStr<Err: Display>,
    B: FromStr<Err: Display>,
{
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        anybody(app, &parts.headers)?;
        let text = Path::<(String, String)>::from_request_parts(parts, app).await;
        let found = text
            .map_err(|error| ApiError::new(&problem::MALFORMED, error.body_text()))
            .and_then(|Path((one, other))| Ok(Self(identifier(&one)?, identifier(&other)?)));
        found.map_err(|error| signing_in_comes_first(parts, app, error))
    }
}

/// Addresses are read before tokens; who is not signed in is told that, not how an address should look.
fn signing_in_comes_first(parts: &Parts, app: &App, error: ApiError) -> ApiError {
    anybody(app, &parts.headers).err().unwrap_or(error)
}

fn identifier<T: FromStr<Err: Display>>(text: &str) -> Result<T, ApiError> {
    text.parse().map_err(|error: T::Err| {
        ApiError::new(&problem::MALFORMED, format!("in the address: {error}"))
    })
}

/// The query's parameters.
#[derive(Debug, Clone)]
pub struct Params<T>(pub T);

impl<T: DeserializeOwned> FromRequestParts<App> for Params<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _app: &App) -> Result<Self, ApiError> {
        Query::try_from_uri(&parts.uri)
            .map(|Query(params)| Self(params))
            .map_err(|rejection| {
                let cause = rejection
                    .source()
                    .map_or_else(|| rejection.body_text(), ToString::to_string);
                ApiError::new(&problem::MALFORMED, format!("in the query: {cause}"))
            })
    }
}
