//! PostgreSQL as an issuer of its own logins.
//!
//! A role of the configuration is one of two things. *Dynamic*: every version is a login of its own, made as a member
//! of the roles that the database's people maintain, `VALID UNTIL` its end, and dropped when it ends or is revoked.
//! *Two logins*: they exist already and stay; versions have them in turn, so that one works while the other gets its
//! next password. What a login is for stands in its comment at the server: by that, leftovers are told from what is
//! somebody else's, and a version whose login has passed on to a newer one from the one that holds it.

mod config;
mod end;
mod mint;
mod note;
mod server;
mod sql;
mod sweep;

pub use config::{ConfigError, PostgresConfig, RoleConfig};

use super::under_way::UnderWay;
use super::{
    Capabilities, IssueError, Issuer, Kind, Locator, MintOrder, Minted, NotReady, Prepared,
    ReconcileReport, RevokeOutcome, locator,
};
use crate::secret::SecretMaterial;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use server::Server;
use std::sync::Arc;

const POSTGRESQL: &str = "PostgreSQL";
/// What a user without the right is told.
const MAY_NOT: &str = "the broker's user may not make roles; give it CREATEROLE";

/// The adapter. Cheap to clone: clones share the memory of attempts under way.
#[derive(Clone)]
pub struct PostgresIssuer {
    inner: Arc<Inner>,
}

struct Inner {
    config: PostgresConfig,
    server: Server,
    under_way: UnderWay,
}

/// Where a login comes from.
#[derive(Clone, Copy)]
enum Login<'a> {
    /// Made for one version, and dropped with it.
    Own,
    /// One of the two of this role, which stay.
    Shared(&'a RoleConfig),
}

impl PostgresIssuer {
    /// Checks the configuration; the server is not asked yet.
    pub fn new(config: PostgresConfig) -> Result<Self, ConfigError> {
        config.check()?;
        let server = Server::new(&config)?;
        let inner = Inner {
            config,
            server,
            under_way: UnderWay::keyed(locator::ATTEMPT),
        };
        Ok(Self {
            inner: Arc::new(inner),
        })
    }
}

impl Inner {
    /// How the names begin of the logins that this broker makes.
    fn prefix(&self) -> String {
        format!("cs_{}_", self.config.name)
    }

    /// Where a login comes from; none for one that is not this broker's to touch.
    fn login(&self, name: &str) -> Option<Login<'_>> {
        let mut roles = self.config.role.values();
        if let Some(role) = roles.find(|role| role.logins.iter().any(|login| login == name)) {
            return Some(Login::Shared(role));
        }
        name.starts_with(&self.prefix()).then_some(Login::Own)
    }

    async fn check_ready(&self) -> Result<(), NotReady> {
        let not_ready = |reason| NotReady {
            system: POSTGRESQL,
            reason,
        };
        match self.server.may_make_roles().await {
            Ok(true) => Ok(()),
            Ok(false) => Err(not_ready(MAY_NOT.to_owned())),
            Err(
                IssueError::Unavailable { reason, .. }
                | IssueError::Refused { reason, .. }
                | IssueError::Unknown { reason, .. },
            ) => Err(not_ready(reason)),
        }
    }
}

fn refused(reason: impl Into<String>) -> IssueError {
    IssueError::Refused {
        system: POSTGRESQL,
        reason: reason.into(),
    }
}

impl Issuer for PostgresIssuer {
    fn kind(&self) -> Kind {
        Kind::Postgres
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            can_overlap: true,
            can_prove_revocation: true,
            // `VALID UNTIL` lets nobody in any more; the login and its sessions are ours to end.
            has_leases: false,
            can_probe: true,
            can_tell_use: true,
            elsewhere: true,
        }
    }

    fn prepare<'a>(&'a self, order: &'a MintOrder) -> BoxFuture<'a, Result<Prepared, IssueError>> {
        self.inner.prepare(order).boxed()
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
        _locator: &'a Locator,
        secret: &'a SecretMaterial,
    ) -> BoxFuture<'a, Result<Option<String>, IssueError>> {
        self.inner.server.log_in(secret).boxed()
    }

    fn users<'a>(&'a self, locator: &'a Locator) -> BoxFuture<'a, Result<Option<u64>, IssueError>> {
        self.inner.sessions_of(locator).boxed()
    }

    fn ready(&self) -> BoxFuture<'_, Result<(), NotReady>> {
        self.inner.check_ready().boxed()
    }
}
