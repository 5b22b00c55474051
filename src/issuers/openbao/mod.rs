//! OpenBao as an issuer of database logins.
//!
//! One child token per issuance, because a lease dies with the token that took it: the child's `explicit_max_ttl` is
//! the approved lifetime, so nothing outlives its approval whatever the role says; and revoking the child's
//! accessor removes everything that the attempt made, answers that never arrived included.

mod config;
mod http;
mod judge;
mod mint;
mod orphans;
mod reconcile;
mod revoke;
mod under_way;

pub use config::{ConfigError, OpenBaoConfig};

use super::{
    Capabilities, IssueError, Issuer, Kind, Locator, MintOrder, Minted, NotReady, Prepared,
    ReconcileReport, RevokeOutcome, locator,
};
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use http::{Api, As, CallError, Envelope};
use judge::{OPENBAO, POSTGRESQL, unavailable};
use parking_lot::Mutex;
use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::HashSet;
use std::sync::Arc;
use under_way::UnderWay;

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
struct TokenFacts {
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
        let api = Api::new(&config)?;
        let inner = Inner {
            config,
            api,
            under_way: UnderWay::default(),
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
        match self.own_token().await {
            Err(CallError::Status { status: 403, .. }) => unavailable(
                OPENBAO,
                format!(
                    "it does not accept the broker's token (expired or revoked); put a valid one in {}",
                    self.api.token_origin()
                ),
                None,
            ),
            _ => IssueError::Refused {
                system: OPENBAO,
                reason: format!(
                    "{}; give the broker's token the rights in countersign.hcl",
                    error.text()
                ),
            },
        }
    }

    async fn own_token(&self) -> Result<TokenFacts, CallError> {
        let answer: Option<Envelope<TokenFacts>> = self
            .api
            .call(
                As::Broker,
                "readiness",
                Method::GET,
                "auth/token/lookup-self",
                None,
            )
            .await?;
        data(answer, "auth/token/lookup-self")
    }

    /// Asks the server, its token and, where configured, the database; renews the broker's token when half spent.
    async fn check_ready(&self) -> Result<(), NotReady> {
        let not_ready = |system, reason| NotReady { system, reason };
        let token = self.own_token().await.map_err(|error| {
            let reason = match &error {
                CallError::Unreachable(cause) => format!("cannot reach {}: {cause}", self.api.address()),
                CallError::Status { status: 403, .. } => format!(
                    "it does not accept the broker's token (expired or revoked); put a valid one in {}",
                    self.api.token_origin()
                ),
                other => other.text(),
            };
            not_ready(OPENBAO, reason)
        })?;
        if token.renewable && token.ttl < token.creation_ttl / 2 {
            let renewed: Result<Option<Envelope<Value>>, _> = self
                .api
                .call(
                    As::Broker,
                    "readiness",
                    Method::POST,
                    "auth/token/renew-self",
                    Some(&json!({})),
                )
                .await;
            renewed.map_err(|error| {
                not_ready(
                    OPENBAO,
                    format!("cannot renew the broker's token: {}", error.text()),
                )
            })?;
        }
        if let Some(url) = &self.config.postgres_url {
            orphans::reachable(url)
                .await
                .map_err(|cause| not_ready(POSTGRESQL, cause))?;
        }
        Ok(())
    }
}

/// The data of an answer that must have some. An envelope with `wrap_info` is a control group waiting for approvers.
fn data<T>(answer: Option<Envelope<T>>, path: &str) -> Result<T, CallError> {
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
            can_probe: false,
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

    fn ready(&self) -> BoxFuture<'_, Result<(), NotReady>> {
        self.inner.check_ready().boxed()
    }
}
