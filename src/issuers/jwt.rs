//! Access tokens signed here (RFC 9068): short-lived, readable by whoever knows the broker's keys, and in a status list,
//! so that who reads them by themselves can learn that one was withdrawn.

use super::{
    Capabilities, IssueError, Issuer, Kind, Locator, MintOrder, Minted, NotReady, Prepared,
    ReconcileReport, RevokeOutcome, TokenOrder,
};
use crate::{
    jose::{self, KeyRing},
    secret::SecretMaterial,
};
use aws_lc_rs::rand::{SecureRandom as _, SystemRandom};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, TimeDelta, Utc};
use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, ready};
use serde::Serialize;
use std::sync::Arc;

/// The type of what is made here.
const TYPE: &str = "at+jwt";
const SYSTEM: &str = "Countersign";

/// Signs access tokens with keys that the broker keeps.
#[derive(Debug, Clone)]
pub struct JwtIssuer {
    keys: Arc<KeyRing>,
}

#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    sub: &'a str,
    aud: &'a str,
    client_id: &'a str,
    scope: &'a str,
    environment: &'a str,
    iat: i64,
    exp: i64,
    jti: &'a str,
    status: Status<'a>,
}

#[derive(Serialize)]
struct Status<'a> {
    status_list: StatusList<'a>,
}

#[derive(Serialize)]
struct StatusList<'a> {
    idx: u32,
    uri: &'a str,
}

impl JwtIssuer {
    /// Over these keys.
    pub const fn new(keys: Arc<KeyRing>) -> Self {
        Self { keys }
    }

    /// Signs one token.
    ///
    /// # Errors
    /// [`IssueError`]; nothing was made.
    pub fn mint_now(&self, order: &MintOrder) -> Result<Minted, IssueError> {
        let refused = |reason: &str| IssueError::Refused {
            system: SYSTEM,
            reason: reason.to_owned(),
        };
        let token = order
            .token
            .as_ref()
            .ok_or_else(|| refused("nothing was said of the token"))?;
        let key = self.keys.get(&token.kid).ok_or(IssueError::Unavailable {
            system: SYSTEM,
            reason: "the key that signs is not here".to_owned(),
            retry_after_s: None,
        })?;
        let expires_at = end(token.issued_at, order.approved_ttl_s())
            .ok_or_else(|| refused("expected a lifetime of at least a second"))?;
        let name = fresh_name();
        let claims = Claims {
            iss: &token.issuer,
            sub: &order.credential,
            aud: &token.audience,
            client_id: &token.client,
            scope: &token.scopes.join(" "),
            environment: &token.environment,
            iat: token.issued_at.timestamp(),
            exp: expires_at.timestamp(),
            jti: &name,
            status: Status {
                status_list: StatusList {
                    idx: token.status_index,
                    uri: &token.status_uri,
                },
            },
        };
        let secret = SecretMaterial::new(jose::sign(&key, TYPE, &claims));
        Ok(Minted {
            digest: Some(secret.digest()),
            secret,
            locator: locator(token, &name),
            expires_at: Some(expires_at),
            warnings: Vec::new(),
        })
    }
}

/// Whole seconds, as tokens count them, and never beyond what was approved.
fn end(issued_at: DateTime<Utc>, ttl_s: u64) -> Option<DateTime<Utc>> {
    let ttl = TimeDelta::try_seconds(i64::try_from(ttl_s).ok()?)?;
    let end = issued_at.checked_add_signed(ttl)?.timestamp();
    (end > issued_at.timestamp()).then(|| DateTime::from_timestamp(end, 0))?
}

/// 128 random bits: nobody can guess the name of another token.
fn fresh_name() -> String {
    let mut bytes = [0; 16];
    SystemRandom::new()
        .fill(&mut bytes)
        .expect("the operating system's random source answers");
    URL_SAFE_NO_PAD.encode(bytes)
}

fn locator(token: &TokenOrder, name: &str) -> Locator {
    use super::locator as names;
    [
        (names::TOKEN, name.to_owned()),
        (names::KEY, token.kid.clone()),
        (names::STATUS_LIST, token.status_list.clone()),
        (names::STATUS_INDEX, token.status_index.to_string()),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value))
    .collect()
}

impl Issuer for JwtIssuer {
    fn kind(&self) -> Kind {
        Kind::Jwt
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            elsewhere: false,
            can_tell_use: false,
            can_overlap: true,
            can_prove_revocation: false,
            has_leases: false,
            can_probe: false,
        }
    }

    fn prepare<'a>(&'a self, _order: &'a MintOrder) -> BoxFuture<'a, Result<Prepared, IssueError>> {
        ready(Ok(Prepared::nothing())).boxed()
    }

    fn mint<'a>(
        &'a self,
        order: &'a MintOrder,
        _prepared: Prepared,
    ) -> BoxFuture<'a, Result<Minted, IssueError>> {
        ready(self.mint_now(order)).boxed()
    }

    fn revoke<'a>(
        &'a self,
        _locator: &'a Locator,
    ) -> BoxFuture<'a, Result<RevokeOutcome, IssueError>> {
        ready(Ok(RevokeOutcome::NothingToDo)).boxed()
    }

    fn reconcile<'a>(
        &'a self,
        _known: &'a [Locator],
    ) -> BoxFuture<'a, Result<ReconcileReport, IssueError>> {
        ready(Ok(ReconcileReport::default())).boxed()
    }

    fn ready(&self) -> BoxFuture<'_, Result<(), NotReady>> {
        ready(Ok(())).boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Algorithm;
    use serde_json::Value;

    fn order(kid: &str) -> MintOrder {
        MintOrder {
            attempt_key: "req_1/1".into(),
            request_id: "req_1".into(),
            credential: "payments/checkout-api".into(),
            role: "prod".into(),
            ttl_s: 3600,
            max_ttl_s: 900,
            token: Some(Box::new(TokenOrder {
                kid: kid.to_owned(),
                issued_at: DateTime::from_timestamp_millis(1_800_000_000_900).unwrap(),
                issuer: "https://broker.example".into(),
                audience: "https://payments.example".into(),
                client: "cli_1".into(),
                environment: "production".into(),
                scopes: vec!["orders:read".into(), "orders:write".into()],
                status_list: "es256/1".into(),
                status_uri: "https://broker.example/status/es256/1".into(),
                status_index: 77,
            })),
        }
    }

    fn part(token: &str, number: usize) -> Value {
        let part = token.split('.').nth(number).unwrap();
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
    }

    #[test]
    fn a_token_says_what_was_approved_and_no_more() {
        let folder = tempfile::tempdir().unwrap();
        let keys = Arc::new(KeyRing::open(folder.path().join("keys")).unwrap());
        let kid = keys.create(Algorithm::Es256).unwrap().kid().to_owned();
        let issuer = JwtIssuer::new(keys);
        let minted = issuer.mint_now(&order(&kid)).unwrap();
        let token = minted.secret.expose();
        assert_eq!(
            part(token, 0),
            serde_json::json!({"alg": "ES256", "kid": kid, "typ": "at+jwt"})
        );
        let jti = &minted.locator["jti"];
        assert_eq!(
            part(token, 1),
            serde_json::json!({"iss": "https://broker.example", "sub": "payments/checkout-api",
                "aud": "https://payments.example", "client_id": "cli_1", "scope": "orders:read orders:write",
                "environment": "production", "iat": 1_800_000_000, "exp": 1_800_000_900, "jti": jti,
                "status": {"status_list": {"idx": 77, "uri": "https://broker.example/status/es256/1"}}})
        );
        assert_eq!(minted.digest, Some(minted.secret.digest()));
        assert_eq!(
            minted.expires_at.map(|end| end.timestamp()),
            Some(1_800_000_900)
        );
        let other = issuer.mint_now(&order(&kid)).unwrap();
        assert_ne!(other.locator["jti"], *jti);
        assert_eq!(other.locator["status_index"], "77");
        assert!(!format!("{minted:?}").contains(token));
    }

    #[test]
    fn without_key_or_time_nothing_is_made() {
        let issuer = JwtIssuer::new(Arc::default());
        let error = issuer.mint_now(&order("nobody")).unwrap_err();
        assert!(matches!(error, IssueError::Unavailable { .. }));
        assert_eq!(end(DateTime::UNIX_EPOCH, 0), None);
        assert_eq!(end(DateTime::UNIX_EPOCH, u64::MAX), None);
    }
}
