//! OpenBao as an issuer of database logins.
//!
//! One child token per issuance, because a lease dies with the token that took it: the child's `explicit_max_ttl` is
//! the approved lifetime, so nothing outlives its approval whatever the role says; and revoking the child's
//! accessor removes everything that the attempt made, answers that never arrived included.

mod config;
pub(crate) mod http;
pub(crate) mod judge;
mod mint;
mod orphans;
mod reconcile;
mod revoke;
pub(crate) mod token;

pub use config::{ConfigError, OpenBaoConfig, Reach};

use super::under_way::UnderWay;
use super::{
    Capabilities, IssueError, Issuer, Kind, Locator, MintOrder, Minted, NotReady, Prepared,
    ReconcileReport, RevokeOutcome, locator,
};
use crate::secret::SecretMaterial;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use http::{Api, CallError, Envelope};
use judge::{OPENBAO, POSTGRESQL, unavailable};
use parking_lot::Mutex;
use serde::Deserialize;
use serde_json::Value;
use std::collections::HashSet;
use std::sync::Arc;

/// Marks our child tokens among all others, beside the broker's name.
const MADE_BY: &str = "countersign";

/// The adapter. Cheap to clone: clones share connections and the memory of attempts under way.
#[derive(Clone)]
pub struct OpenBaoIssuer {
    inner: Arc<Inner>,
}

struct Inner {
    config: OpenBaoConfig,
    api: Api,
    under_way: UnderWay,
    /// Accessors seen to be somebody else's, so that a sweep looks each up once.
    foreign: Mutex<HashSet<String>>,
}

/// `lookup` of a token, by any of its names.
#[derive(Debug, Deserialize)]
pub(crate) struct TokenFacts {
    #[serde(default)]
    creation_ttl: u64,
    #[serde(default)]
    ttl: u64,
    expire_time: Option<chrono::DateTime<chrono::Utc>>,
    #[serde(default)]
    renewable: bool,
    #[serde(default)]
    period: Option<Value>,
    #[serde(default)]
    meta: Option<std::collections::BTreeMap<String, String>>,
}

impl OpenBaoIssuer {
    /// Checks the configuration; the server is not asked yet.
    pub fn new(config: OpenBaoConfig) -> Result<Self, ConfigError> {
        config.check()?;
        let api = Api::new(config.reach())?;
        let inner = Inner {
            config,
            api,
            under_way: UnderWay::keyed(locator::TOKEN_ACCESSOR),
            foreign: Mutex::default(),
        };
        Ok(Self {
            inner: Arc::new(inner),
        })
    }
}

impl Inner {
    /// Tells the broker's own dead token (an operator renews it, so wait) from a missing right (so refuse).
    async fn judge_denied(&self, error: CallError, judged: IssueError) -> IssueError {
        if error.status() != Some(403) {
            return judged;
        }
        match self.api.token_is_dead().await {
            Some(reason) => unavailable(OPENBAO, reason, None),
            None => IssueError::Refused {
                system: OPENBAO,
                reason: format!(
                    "{}; give the broker's token the rights in countersign.hcl",
                    error.text()
                ),
            },
        }
    }

    /// Asks the server, its token and, where configured, the database; renews the broker's token when half spent.
    async fn check_ready(&self) -> Result<(), NotReady> {
        let not_ready = |system, reason| NotReady { system, reason };
        let kept = self.api.keep_token().await;
        kept.map_err(|reason| not_ready(OPENBAO, reason))?;
        if let Some(url) = &self.config.postgres_url {
            orphans::reachable(url)
                .await
                .map_err(|cause| not_ready(POSTGRESQL, cause))?;
        }
        Ok(())
    }
}

/// The data of an answer that must have some. An envelope with `wrap_info` is a control group waiting for approvers.
pub(crate) fn data<T>(answer: Option<Envelope<T>>, path: &str) -> Result<T, CallError> {
    let envelope =
        answer.ok_or_else(|| CallError::Lost(format!("its answer to {path} is empty")))?;
    envelope
        .data
        .ok_or_else(|| CallError::Lost(format!("its answer to {path} has no data")))
}

impl Issuer for OpenBaoIssuer {
    fn kind(&self) -> Kind {
        Kind::OpenBao
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            can_overlap: true,
            can_prove_revocation: true,
            has_leases: true,
            can_probe: true,
            can_tell_use: false,
            elsewhere: true,
        }
    }

    fn prepare<'a>(&'a self, order: &'a MintOrder) -> BoxFuture<'a, Result<Prepared, IssueError>> {
        self.inner.prepare_child(order).boxed()
    }

    fn mint<'a>(
        &'a self,
        order: &'a MintOrder,
        prepared: Prepared,
    ) -> BoxFuture<'a, Result<Minted, IssueError>> {
        mint::detached(Arc::clone(&self.inner), order.clone(), prepared).boxed()
    }

    fn revoke<'a>(
        &'a self,
        locator: &'a Locator,
    ) -> BoxFuture<'a, Result<RevokeOutcome, IssueError>> {
        self.inner.revoke_and_prove(locator).boxed()
    }

    fn reconcile<'a>(
        &'a self,
        known: &'a [Locator],
    ) -> BoxFuture<'a, Result<ReconcileReport, IssueError>> {
        self.inner.sweep(known).boxed()
    }

    fn probe<'a>(
        &'a self,
        locator: &'a Locator,
        _secret: &'a SecretMaterial,
    ) -> BoxFuture<'a, Result<Option<String>, IssueError>> {
        self.inner.look_up(locator).boxed()
    }

    fn ready(&self) -> BoxFuture<'_, Result<(), NotReady>> {
        self.inner.check_ready().boxed()
    }
}
