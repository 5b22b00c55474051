//! Who is calling, and what they may read. What they may *do* is decided by the domain's rules, not here.

use crate::{
    domain::{Actor, ClientId, Digest, Gateway, Operator, OperatorId, Proof, Role, State, TokenId},
    secret::digest_of_bytes,
};
use axum::http::{HeaderMap, header};
use chrono::{DateTime, Utc};
use std::sync::Arc;

/// Somebody who is signed in.
#[derive(Debug, Clone)]
pub struct Caller {
    /// The account, as of when the call came.
    pub operator: Arc<Operator>,
    /// The token that they are signed in with.
    pub token: TokenId,
    /// When that token ends.
    pub expires_at: DateTime<Utc>,
    /// The SSH key that opened the session, by fingerprint.
    pub key: Option<String>,
    /// When it was opened or minted.
    pub opened_at: DateTime<Utc>,
    /// When the person signed in that it began with.
    pub signed_in_at: DateTime<Utc>,
    /// Where it and all that continue it end.
    pub renewable_until: Option<DateTime<Utc>>,
}

/// Why nobody is signed in. Which of a token's faults it is, is not told to whoever holds a wrong one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignInError {
    /// No `Authorization` header.
    #[error(
        "no token was sent: sign in with `countersign login`, or send `Authorization: Bearer` and a token that an admin minted for you"
    )]
    Missing,
    /// There is one, but not of the form `Bearer TOKEN`.
    #[error("the Authorization header is not of the form `Bearer TOKEN`")]
    Malformed,
    /// Not a token of an open account, or no longer.
    #[error(
        "this token is not valid here: it may have ended, been withdrawn, or belong to another broker; sign in again \
         with `countersign login`, or ask an admin for a new one"
    )]
    Invalid,
}

/// The digest that a token is known by: SHA-256. The look-up is by digest, so it tells nothing by its timing.
pub fn token_digest(token: &str) -> Digest {
    digest_of_bytes(token.as_bytes())
}

/// Finds out who calls.
///
/// # Errors
/// [`SignInError`] if that is nobody whom `state` knows at `now`.
pub fn authenticate(
    state: &State,
    headers: &HeaderMap,
    now: DateTime<Utc>,
) -> Result<Caller, SignInError> {
    let digest = token_digest(bearer(headers)?);
    let operator = state
        .operator_of_token(&digest)
        .filter(|operator| operator.offboarded_at.is_none())
        .ok_or(SignInError::Invalid)?;
    let held = operator
        .token(&digest)
        .filter(|held| now < held.expires_at)
        .ok_or(SignInError::Invalid)?;
    Ok(Caller {
        operator: Arc::clone(operator),
        token: held.id,
        expires_at: held.expires_at,
        key: held.key.clone(),
        opened_at: held.created_at,
        signed_in_at: held.signed_in_at(),
        renewable_until: held.renewable_until(),
    })
}

/// The bearer token of a call.
fn bearer(headers: &HeaderMap) -> Result<&str, SignInError> {
    let mut sent = headers.get_all(header::AUTHORIZATION).iter();
    let value = sent.next().ok_or(SignInError::Missing)?;
    if sent.next().is_some() {
        return Err(SignInError::Malformed);
    }
    let (scheme, token) = value
        .to_str()
        .ok()
        .and_then(|text| text.split_once(' '))
        .ok_or(SignInError::Malformed)?;
    let token = token.trim();
    if !scheme.eq_ignore_ascii_case("bearer") || token.is_empty() {
        return Err(SignInError::Malformed);
    }
    Ok(token)
}

/// Finds out which gateway calls.
///
/// # Errors
/// [`SignInError`] if that is none whom `state` knows at `now`.
pub fn authenticate_gateway<'a>(
    state: &'a State,
    headers: &HeaderMap,
    now: DateTime<Utc>,
) -> Result<(&'a Arc<Gateway>, TokenId), SignInError> {
    let digest = token_digest(bearer(headers)?);
    let gateway = state
        .gateway_of_token(&digest)
        .ok_or(SignInError::Invalid)?;
    let held = gateway
        .token(&digest)
        .filter(|held| now < held.expires_at)
        .ok_or(SignInError::Invalid)?;
    Ok((gateway, held.id))
}

impl Caller {
    /// Which operator.
    pub fn id(&self) -> OperatorId {
        self.operator.id
    }

    /// As the rules want to know them.
    pub fn actor(&self) -> Actor {
        Actor::Operator {
            id: self.operator.id,
            proof: Proof::Token { token: self.token },
        }
    }

    /// Whether what belongs to `client` may be shown to them: a `requester` sees only its own.
    pub fn sees(&self, client: ClientId) -> bool {
        !self.operator.sees_only_its_client() || self.operator.client == Some(client)
    }

    /// Whether they may read what is about everybody: lists of people, figures, events, the log.
    pub fn reads_all(&self) -> bool {
        !self.operator.sees_only_its_client()
    }

    /// The roles of which one is needed to read everything.
    pub const READERS: &'static [Role] = &[
        Role::Viewer,
        Role::Operator,
        Role::Approver,
        Role::Auditor,
        Role::Admin,
    ];
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        broker::views::testing::{at, operator_with, recorded},
        domain::{Environment, Event},
    };
    use axum::http::HeaderValue;

    fn headers(value: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(
            header::AUTHORIZATION,
            HeaderValue::from_str(value).expect("a header value"),
        );
        headers
    }

    fn state() -> State {
        let mut state = State::default();
        let operator = operator_with(
            "maya.k",
            &[(Environment::Production, Role::Viewer)],
            "cs_opr_right",
        );
        state.apply(&recorded(
            0,
            at(0),
            Event::OperatorEnrolled {
                operator: Box::new(operator),
            },
        ));
        state
    }

    #[test]
    fn a_valid_token_signs_in_and_an_ended_one_does_not() {
        let state = state();
        let caller = authenticate(&state, &headers("Bearer cs_opr_right"), at(10)).unwrap();
        assert_eq!(caller.operator.name, "maya.k");
        assert!(caller.reads_all());
        let end = caller.expires_at;
        assert_eq!(
            authenticate(&state, &headers("bearer cs_opr_right"), end).unwrap_err(),
            SignInError::Invalid
        );
    }

    #[test]
    fn whatever_else_is_sent_signs_nobody_in() {
        let state = state();
        for (sent, expected) in [
            ("Basic cs_opr_right", SignInError::Malformed),
            ("Bearer", SignInError::Malformed),
            ("Bearer  ", SignInError::Malformed),
            ("Bearer cs_opr_wrong", SignInError::Invalid),
            ("Bearer cs_opr_right cs_opr_right", SignInError::Invalid),
        ] {
            assert_eq!(
                authenticate(&state, &headers(sent), at(10)).unwrap_err(),
                expected,
                "{sent}"
            );
        }
        assert_eq!(
            authenticate(&state, &HeaderMap::new(), at(10)).unwrap_err(),
            SignInError::Missing
        );
        let mut twice = headers("Bearer cs_opr_right");
        twice.append(header::AUTHORIZATION, HeaderValue::from_static("Bearer x"));
        assert_eq!(
            authenticate(&state, &twice, at(10)).unwrap_err(),
            SignInError::Malformed
        );
    }

    #[test]
    fn a_closed_account_signs_nobody_in() {
        let mut state = state();
        let operator = state.operator_named("maya.k").expect("enrolled").id;
        state.apply(&recorded(
            1,
            at(1),
            Event::OperatorOffboarded {
                operator,
                reason: "left".into(),
            },
        ));
        assert_eq!(
            authenticate(&state, &headers("Bearer cs_opr_right"), at(10)).unwrap_err(),
            SignInError::Invalid
        );
    }
}
