//! Opaque api keys: minted here, so there is no system to be down and nothing to end elsewhere. The digest is all
//! that is kept; whether a key is accepted is the broker's state alone.

use super::{
    Capabilities, IssueError, Issuer, Kind, Locator, MintOrder, Minted, NotReady, Prepared,
    ReconcileReport, RevokeOutcome,
};
use crate::secret::mint_token;
use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, ready};

/// Mints `cs_<environment>_…` keys. Never fails.
#[derive(Debug, Clone, Copy, Default)]
pub struct ApiKeyIssuer;

impl ApiKeyIssuer {
    /// Mints one key for the environment that `order.role` names.
    pub fn mint_now(order: &MintOrder) -> Minted {
        let secret = mint_token(label_of(&order.role));
        let digest = secret.digest();
        Minted {
            secret,
            digest: Some(digest),
            locator: Locator::new(),
            expires_at: None,
            warnings: Vec::new(),
        }
    }
}

/// The short form of an environment that people meet in a key: `cs_prod_…`.
fn label_of(environment: &str) -> &str {
    match environment {
        "production" => "prod",
        "development" => "dev",
        "staging" => "stage",
        other => other,
    }
}

impl Issuer for ApiKeyIssuer {
    fn kind(&self) -> Kind {
        Kind::ApiKey
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            can_overlap: true,
            can_prove_revocation: false,
            has_leases: false,
            can_probe: false,
            can_tell_use: false,
            elsewhere: false,
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
        ready(Ok(Self::mint_now(order))).boxed()
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
    use crate::secret::{Token, parse_token};

    #[test]
    fn a_key_names_its_environment_and_its_digest_fits() {
        let order = MintOrder {
            attempt_key: "req_1/1".into(),
            request_id: "req_1".into(),
            credential: "payments/checkout-api".into(),
            role: "production".into(),
            ttl_s: 3600,
            max_ttl_s: 60,
            token: None,
        };
        let minted = ApiKeyIssuer::mint_now(&order);
        assert_eq!(
            parse_token(minted.secret.expose()),
            Ok(Token { label: "prod" })
        );
        assert_eq!(minted.digest, Some(minted.secret.digest()));
        assert_eq!(order.approved_ttl_s(), 60);
        assert!(!format!("{minted:?}").contains("cs_prod"));
    }
}
