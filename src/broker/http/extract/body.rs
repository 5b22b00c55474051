//! The body: bounded, of the announced kind, and JSON of the documented form.

use super::super::problem::{self, ApiError};
use axum::{
    Json,
    body::Bytes,
    http::{HeaderMap, header},
};
use bytes::BytesMut;
use futures_util::StreamExt as _;
use serde::de::DeserializeOwned;
use std::error::Error as _;

/// The longest body that is ever read, in bytes; the configuration can only lower it.
pub const BODY_MAX: usize = 64 * 1024;
/// Of a body that is too long, so many bytes are still read and thrown away: a caller who is cut off while sending
/// may never see why.
const DRAINED: usize = 1024 * 1024;

/// Reads a body of at most `limit` bytes.
pub(in crate::broker::http) async fn read(
    headers: &HeaderMap,
    body: axum::body::Body,
    limit: usize,
) -> Result<Bytes, ApiError> {
    let too_large = || {
        ApiError::new(
            &problem::TOO_LARGE,
            format!("at most {limit} bytes are accepted"),
        )
    };
    let announced = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|length| length > DRAINED) {
        return Err(too_large());
    }
    let mut body = body.into_data_stream();
    let (mut bytes, mut length) = (BytesMut::new(), 0);
    while let Some(piece) = body.next().await {
        let piece = piece.map_err(|_| {
            ApiError::new(&problem::MALFORMED, "the body ended before it was complete")
        })?;
        length += piece.len();
        if length > DRAINED {
            break;
        }
        if length <= limit {
            bytes.extend_from_slice(&piece);
        }
    }
    if length > limit {
        Err(too_large())
    } else {
        Ok(bytes.freeze())
    }
}

/// Whether the content type is `main/sub` or has the suffix `+sub`.
pub(in crate::broker::http) fn is(headers: &HeaderMap, main: &str, sub: &str) -> bool {
    let Some(sent) = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
    else {
        return false;
    };
    let essence = sent.split(';').next().unwrap_or_default().trim();
    essence
        .split_once('/')
        .is_some_and(|(sent_main, sent_sub)| {
            sent_main.eq_ignore_ascii_case(main)
                && (sent_sub.eq_ignore_ascii_case(sub)
                    || sent_sub
                        .rsplit_once('+')
                        .is_some_and(|(_, suffix)| suffix.eq_ignore_ascii_case(sub)))
        })
}

/// Parses a JSON body; what does not fit is refused with a pointer to it.
pub(in crate::broker::http) fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ApiError> {
    Json::<T>::from_bytes(bytes)
        .map(|Json(value)| value)
        .map_err(|rejection| {
            let cause = rejection
                .source()
                .map_or_else(|| rejection.body_text(), ToString::to_string);
            let (path, detail) = match cause.split_once(": ") {
                Some((path, detail)) if is_path(path) => (path, detail),
                _ => ("", cause.as_str()),
            };
            ApiError::new(
                &problem::MALFORMED,
                "the body is not of the documented form",
            )
            .at(pointer(path), detail)
        })
}

/// Whether text before a colon is a path such as `roles.production[2]`, and not the start of a message.
fn is_path(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"_.[]-/".contains(&b))
}

/// A JSON pointer from a path such as `roles.production[2]`.
fn pointer(path: &str) -> String {
    if path.is_empty() || path == "." {
        return String::new();
    }
    path.split(['.', '['])
        .fold(String::new(), |mut pointer, step| {
            pointer.push('/');
            pointer.push_str(
                &step
                    .trim_end_matches(']')
                    .replace('~', "~0")
                    .replace('/', "~1"),
            );
            pointer
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::{HeaderName, HeaderValue};

    fn one(name: &'static str, value: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(
            HeaderName::from_static(name),
            HeaderValue::from_str(value).expect("a header value"),
        );
        headers
    }

    #[test]
    fn paths_become_pointers() {
        assert_eq!(pointer("roles.production[2]"), "/roles/production/2");
        assert_eq!(pointer("scopes[0]"), "/scopes/0");
        assert_eq!(pointer("."), "");
    }

    #[test]
    fn what_does_not_fit_is_pointed_at() {
        let problem = |body: &str| {
            let error = parse::<crate::wire::NewRequest>(body.as_bytes()).unwrap_err();
            format!("{error:?}")
        };
        assert!(problem(r#"{"ttl_s": "long"}"#).contains(r#"pointer: "/ttl_s""#));
        assert!(problem(r#"{"credential": "x", "extra": 1}"#).contains("unknown field `extra`"));
        assert!(problem("{").contains("EOF"));
        assert!(problem("[1]").contains("errors: ["));
    }

    #[test]
    fn content_types_are_compared_whole() {
        assert!(is(
            &one("content-type", "application/json; charset=utf-8"),
            "application",
            "json"
        ));
        assert!(is(
            &one("content-type", "application/merge+json"),
            "application",
            "json"
        ));
        assert!(!is(
            &one("content-type", "text/json"),
            "application",
            "json"
        ));
        assert!(!is(
            &one("content-type", "application/jsonx"),
            "application",
            "json"
        ));
    }
}
