//! One error type for everything that the API refuses or fails at. A handler returns it; the outermost layer
//! (`super::edge`) renders it as RFC 9457 problem details, because only that layer knows the call's identifiers.

use super::edge::CallId;
use crate::{
    broker::engine::EngineError,
    domain::{FieldError, Refusal},
    wire::{Fault, Problem, header as names},
};
use axum::{
    body::Body,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use std::sync::Arc;

/// A kind of problem: a slug that never changes, with its meaning.
#[derive(Debug, PartialEq, Eq)]
pub struct Kind {
    /// What `type` ends in.
    pub slug: &'static str,
    /// The HTTP status that it comes with.
    pub status: StatusCode,
    /// The slug in words.
    pub title: &'static str,
    /// What it means and what to do about it, for `GET /problems/{slug}`.
    pub about: &'static str,
}

macro_rules! kinds {
    ($($name:ident = $slug:literal, $status:ident, $title:literal, $about:literal;)*) => {
        $(#[doc = $title] pub const $name: Kind =
            Kind { slug: $slug, status: StatusCode::$status, title: $title, about: $about };)*
        /// Every kind of problem.
        pub const KINDS: &[Kind] = &[$($name),*];
    };
}

kinds! {
    MALFORMED = "malformed", BAD_REQUEST, "The call could not be read",
        "The body is not JSON of the documented form, or a parameter, identifier or header is not of its form. \
         Nothing was changed. `errors` points at the place where it is known.";
    KEY_MISSING = "idempotency-key-missing", BAD_REQUEST, "An Idempotency-Key is needed",
        "Every POST that changes something carries an Idempotency-Key: 1 to 128 printable characters, best a fresh \
         UUID in quotes. Send the same key again when you repeat the same call; it then changes nothing twice.";
    NOT_SIGNED_IN = "not-signed-in", UNAUTHORIZED, "Sign in first",
        "Sign in with your SSH key (`countersign login`), or send `Authorization: Bearer` and a token that an admin \
         minted for you. Sessions and tokens end: one that worked yesterday may have to be replaced.";
    SIGN_IN_REFUSED = "sign-in-refused", UNAUTHORIZED, "The signature does not sign you in",
        "`detail` says what is wrong with the key, the signature or what was signed. Ask for a new challenge and sign \
         that; a key has to be enrolled first (`countersign operator key add`).";
    SIGNATURE = "signature-refused", FORBIDDEN, "The signature does not count",
        "`detail` says what is wrong with the key, the signature or what was signed. Nothing was decided. Look at the \
         request again and sign that.";
    ROLE = "role-required", FORBIDDEN, "Your roles do not allow this",
        "`detail` names the roles of which one is needed, and in which environment. An admin of that environment \
         can grant it.";
    SEPARATION = "separation-of-duties", FORBIDDEN, "A rule of separation of duties says no",
        "Whoever asks does not decide, robots do not decide, and each person counts once. `detail` says which rule \
         and who could do it instead.";
    NOT_FOUND = "not-found", NOT_FOUND, "No such thing",
        "There is nothing under this address, or nothing that you may see.";
    METHOD = "method-not-allowed", METHOD_NOT_ALLOWED, "Not with this method",
        "The `Allow` header names the methods that this address takes.";
    CONFLICT = "conflict", CONFLICT, "Not in this state",
        "The object is in a state in which this cannot be done. `detail` says what stands in the way.";
    ALREADY_CLAIMED = "already-claimed", CONFLICT, "The secret was handed out already",
        "A secret is shown once. If it was lost, revoke the credential and ask for a new one.";
    LIMIT = "limit-reached", CONFLICT, "There are too many of these",
        "A bound on how many of something there may be; `detail` says which, and how to get below it.";
    GONE = "events-gone", GONE, "The stream no longer reaches that far back",
        "Read the lists again and follow the stream from their `Countersign-Sequence`. Older events are in the log.";
    STALE = "stale", PRECONDITION_FAILED, "It has changed since you looked",
        "The object has changed since the sequence in `If-Match`. `changed` says what happened since; look again \
         and decide again.";
    TOO_LARGE = "too-large", PAYLOAD_TOO_LARGE, "The call is too large",
        "Bodies are at most 65,536 bytes.";
    URI_TOO_LONG = "address-too-long", URI_TOO_LONG, "The address is too long",
        "Path and query together are at most 8,192 bytes.";
    MEDIA_TYPE = "unsupported-media-type", UNSUPPORTED_MEDIA_TYPE, "Send JSON",
        "Bodies are sent with `Content-Type: application/json`.";
    INVALID = "invalid", UNPROCESSABLE_ENTITY, "Fields cannot be accepted",
        "`errors` names each field by JSON pointer with what would be accepted. Nothing was changed.";
    KEY_REUSED = "idempotency-key-reused", UNPROCESSABLE_ENTITY, "The key was used for another call",
        "This Idempotency-Key came with a different method, address or body before. Take a fresh key for a new call.";
    HEADERS_TOO_LARGE = "headers-too-large", REQUEST_HEADER_FIELDS_TOO_LARGE, "The headers are too large",
        "All headers together are at most 16,384 bytes.";
    INTERNAL = "internal", INTERNAL_SERVER_ERROR, "Something broke here",
        "A fault of the broker. `instance` is the call's identifier in its log.";
    BUSY = "busy", SERVICE_UNAVAILABLE, "Too many calls at once",
        "Nothing was changed. Try again after `Retry-After` seconds, with the same Idempotency-Key.";
    TIMED_OUT = "timed-out", SERVICE_UNAVAILABLE, "It took too long",
        "Whether anything was changed is not known: repeat the call with the same Idempotency-Key.";
    UNAVAILABLE = "unavailable", SERVICE_UNAVAILABLE, "Nothing can be written now",
        "The store does not answer, or the broker is stopping. Nothing was acknowledged; repeat the call with the \
         same Idempotency-Key after `Retry-After` seconds. Reads still work.";
}

/// A refusal or failure on its way out.
#[derive(Debug)]
pub struct ApiError {
    kind: &'static Kind,
    /// Apart, so that what goes well is not made larger by what could have gone wrong.
    said: Box<Said>,
}

#[derive(Debug, Default)]
struct Said {
    detail: String,
    errors: Vec<FieldError>,
    retry_after_s: Option<u64>,
    current_sequence: Option<u64>,
    changed: Vec<String>,
    challenge: Option<&'static str>,
}

impl ApiError {
    /// Of this kind, with what happened in this case.
    pub fn new(kind: &'static Kind, detail: impl Into<String>) -> Self {
        Self {
            kind,
            said: Box::new(Said {
                detail: detail.into(),
                ..Said::default()
            }),
        }
    }

    /// Names the field at fault, by JSON pointer into the body.
    #[must_use]
    pub fn at(mut self, pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        self.said.errors.push(FieldError {
            pointer: pointer.into(),
            detail: detail.into(),
        });
        self
    }

    /// Says after how many seconds a repetition may work.
    #[must_use]
    pub fn retry_after(mut self, seconds: u64) -> Self {
        self.said.retry_after_s = Some(seconds);
        self
    }

    /// Adds `WWW-Authenticate` with this challenge.
    #[must_use]
    pub fn challenge(mut self, challenge: &'static str) -> Self {
        self.said.challenge = Some(challenge);
        self
    }

    /// Nothing of that kind under that identifier, or nothing that the caller may see.
    pub fn not_found(what: &'static str, id: impl std::fmt::Display) -> Self {
        Refusal::NotFound {
            what,
            id: id.to_string(),
        }
        .into()
    }

    /// Something that must hold does not. The cause goes to the log, not to the caller.
    pub fn internal(cause: &dyn std::fmt::Display) -> Self {
        tracing::error!(%cause, "a call failed");
        Self::new(
            &INTERNAL,
            "the broker could not answer this; its log has the cause",
        )
    }

    /// The kind.
    pub const fn kind(&self) -> &'static Kind {
        self.kind
    }

    /// Puts words in place of the sequences of what has changed since the caller looked.
    pub(super) fn changed_mut(&mut self) -> &mut Vec<String> {
        &mut self.said.changed
    }

    fn problem(&self, call: &CallId) -> Problem {
        Problem {
            kind: format!("/problems/{}", self.kind.slug),
            title: self.kind.title.to_owned(),
            status: self.kind.status.as_u16(),
            detail: printable(&self.said.detail),
            instance: call.request_id.clone(),
            fault: if self.kind.status.is_server_error() {
                Fault::System
            } else {
                Fault::Caller
            },
            retry_after_s: self.said.retry_after_s,
            errors: self.said.errors.iter().map(printable_error).collect(),
            trace_id: call.trace.clone(),
            current_sequence: self.said.current_sequence,
            changed: self.said.changed.clone(),
        }
    }
}

/// The longest detail, in bytes: it may quote what was sent.
const DETAIL_MAX: usize = 2_000;

/// Words that may quote the caller, with escapes in place of what a terminal would obey or nobody would see.
fn printable(words: &str) -> String {
    let mut shown = String::with_capacity(words.len());
    for c in words.chars() {
        match c {
            '"' | '\'' | '\\' => shown.push(c),
            // Letters by their category, blanks to the eye.
            '\u{115f}' | '\u{1160}' | '\u{2800}' | '\u{3164}' | '\u{ffa0}' => {
                shown.extend(c.escape_unicode());
            }
            c => shown.extend(c.escape_debug()),
        }
        if shown.len() > DETAIL_MAX {
            shown.push('…');
            break;
        }
    }
    shown
}

fn printable_error(error: &FieldError) -> FieldError {
    FieldError {
        pointer: printable(&error.pointer),
        detail: printable(&error.detail),
    }
}

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        let detail = refusal.to_string();
        let kind = match &refusal {
            Refusal::NotFound { .. } => &NOT_FOUND,
            Refusal::Invalid(_) => &INVALID,
            Refusal::Conflict { .. } => &CONFLICT,
            Refusal::Stale { .. } => &STALE,
            Refusal::Role { .. } => &ROLE,
            Refusal::Separation { .. } => &SEPARATION,
            Refusal::KeyReused => &KEY_REUSED,
            Refusal::AlreadyClaimed { .. } => &ALREADY_CLAIMED,
            Refusal::Limit { .. } => &LIMIT,
        };
        let mut error = Self::new(kind, detail);
        match refusal {
            Refusal::Invalid(fields) => error.said.errors = fields,
            Refusal::Stale {
                subject,
                seen,
                current,
                changed,
            } => {
                error.said.detail = format!("{subject} has changed since sequence {seen}");
                error.said.current_sequence = Some(current);
                error.said.changed = changed;
            }
            _ => {}
        }
        error
    }
}

impl From<EngineError> for ApiError {
    fn from(error: EngineError) -> Self {
        match error {
            EngineError::Refused(refusal) => refusal.into(),
            EngineError::Unavailable {
                reason,
                retry_after_s,
            } => Self::new(&UNAVAILABLE, reason).retry_after(retry_after_s),
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = self.kind.status;
        response.extensions_mut().insert(Arc::new(self));
        response
    }
}

/// Fills in the body of an answer that carries an [`ApiError`]; gives back the slug.
pub(super) fn render(response: &mut Response, call: &CallId) -> Option<&'static str> {
    let error = response.extensions_mut().remove::<Arc<ApiError>>()?;
    let body = serde_json::to_vec(&error.problem(call)).expect("a problem is plain data");
    *response.body_mut() = body.into();
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static(names::PROBLEM),
    );
    if let Some(seconds) = error.said.retry_after_s {
        headers.insert(header::RETRY_AFTER, seconds.into());
    }
    if let Some(challenge) = error.said.challenge {
        headers.insert(
            header::WWW_AUTHENTICATE,
            HeaderValue::from_static(challenge),
        );
    }
    Some(error.kind.slug)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_its_own_slug_and_a_status_of_its_side() {
        let mut slugs: Vec<_> = KINDS.iter().map(|kind| kind.slug).collect();
        slugs.sort_unstable();
        slugs.dedup();
        assert_eq!(slugs.len(), KINDS.len());
        for kind in KINDS {
            assert!(kind.status.is_client_error() || kind.status.is_server_error());
            assert!(!kind.about.is_empty());
        }
    }

    #[test]
    fn refusals_keep_their_slug() {
        let refusals = [
            Refusal::KeyReused,
            Refusal::Conflict {
                detail: String::new(),
            },
            Refusal::Invalid(Vec::new()),
            Refusal::Limit {
                detail: String::new(),
            },
            Refusal::AlreadyClaimed {
                request: String::new(),
            },
            Refusal::Separation {
                rule: "x",
                detail: String::new(),
            },
            Refusal::NotFound {
                what: "x",
                id: String::new(),
            },
            Refusal::Role {
                needs: vec!["admin"],
                environment: crate::wire::Environment::Production,
            },
            Refusal::Stale {
                subject: "x".into(),
                seen: 1,
                current: 2,
                changed: vec![],
            },
        ];
        for refusal in refusals {
            let slug = refusal.slug();
            assert_eq!(ApiError::from(refusal).kind().slug, slug);
        }
    }
}
