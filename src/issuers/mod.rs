//! Who makes the secret: one adapter a kind, behind one small contract.
//!
//! To add an issuer: a file or folder here, `impl Issuer`, a line in `Kind`, a section in the configuration, and
//! the integration test against the real system. The broker drives every issuer in the same three steps, each of
//! which it logs: `prepare` (nothing usable exists yet, but whatever the attempt will create can be found again by
//! the returned locator), `mint`, and later `revoke`. What falls between the steps is found by `reconcile`.

pub mod api_key;
pub mod jwt;
pub mod openbao;
pub mod postgres;
mod under_way;

use crate::secret::{Digest, SecretMaterial};
use chrono::{DateTime, Utc};
use futures_util::future::BoxFuture;
use std::any::Any;
use std::collections::BTreeMap;

/// Where an issued credential lives at its issuer: non-secret names to values, safe to log and to keep.
pub type Locator = BTreeMap<String, String>;

/// The names used in a [`Locator`].
pub mod locator {
    /// Accessor of the child token that owns everything of one attempt; revoking it removes all of that.
    pub const TOKEN_ACCESSOR: &str = "token_accessor";
    /// The lease at OpenBao: opaque, contains `/`.
    pub const LEASE_ID: &str = "lease_id";
    /// The login's name at the database.
    pub const USERNAME: &str = "username";
    /// The name of a signed token (`jti`).
    pub const TOKEN: &str = "jti";
    /// The key that signed it.
    pub const KEY: &str = "kid";
    /// The status list that it is in.
    pub const STATUS_LIST: &str = "status_list";
    /// Its place in that list.
    pub const STATUS_INDEX: &str = "status_index";
    /// The attempt that made it: who holds a login that several versions have in turn.
    pub const ATTEMPT: &str = "attempt";
}

/// One attempt to mint one version's secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MintOrder {
    /// Unique to the attempt and stable within it: the request's id and the attempt's number.
    pub attempt_key: String,
    /// The request that was approved; sent along, so that the issuer's own audit log can be joined with ours.
    pub request_id: String,
    /// The credential's name, for people who look at the issuer's side.
    pub credential: String,
    /// What to mint: `database/creds/app-ro` at OpenBao; the environment for an api key.
    pub role: String,
    /// The approved lifetime in seconds.
    pub ttl_s: u64,
    /// The cap in seconds that policy puts on it; the smaller of the two counts.
    pub max_ttl_s: u64,
    /// What a signed token is to say; none for what is no token.
    pub token: Option<Box<TokenOrder>>,
}

/// What a signed token is to say, beside the credential's name and its lifetime.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenOrder {
    /// The key that signs.
    pub kid: String,
    /// When it is made.
    pub issued_at: DateTime<Utc>,
    /// The broker, by the address at which its keys are found (`iss`).
    pub issuer: String,
    /// Whom it may be shown to (`aud`).
    pub audience: String,
    /// Who uses it (`client_id`), by identifier.
    pub client: String,
    /// Where it is used.
    pub environment: String,
    /// What it allows.
    pub scopes: Vec<String>,
    /// The status list that it is in.
    pub status_list: String,
    /// Where that list is.
    pub status_uri: String,
    /// Its place in that list.
    pub status_index: u32,
}

impl MintOrder {
    /// The lifetime in seconds that nothing may exceed.
    pub fn approved_ttl_s(&self) -> u64 {
        self.ttl_s.min(self.max_ttl_s)
    }
}

/// A prepared attempt. Log its locator before spending it in [`Issuer::mint`].
///
/// What is needed to mint (a child token) is only in memory: after a restart a prepared attempt cannot be carried
/// on, only abandoned (`revoke` its locator) and prepared anew.
pub struct Prepared {
    /// Where everything that this attempt makes will be found.
    pub locator: Locator,
    held: Option<SecretMaterial>,
    guard: Option<Box<dyn Any + Send>>,
}

impl Prepared {
    /// For an issuer that needs no preparation.
    pub fn nothing() -> Self {
        Self {
            locator: Locator::new(),
            held: None,
            guard: None,
        }
    }
}

impl std::fmt::Debug for Prepared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Prepared")
            .field("locator", &self.locator)
            .finish_non_exhaustive()
    }
}

/// A freshly minted secret and what may be kept about it.
#[derive(Debug)]
pub struct Minted {
    /// The opaque key itself, or a JSON object of fields (`username`, `password`).
    pub secret: SecretMaterial,
    /// SHA-256 of the key when validating it means looking its digest up; none for logins elsewhere.
    pub digest: Option<Digest>,
    /// Where it lives; holds at least what the preparation's locator held.
    pub locator: Locator,
    /// When the issuer will end it by itself, by the issuer's clock; none when only the broker ends it.
    pub expires_at: Option<DateTime<Utc>>,
    /// What the issuer did otherwise than asked, in sentences for people.
    pub warnings: Vec<String>,
}

/// Why something was not done. The text names the system at fault (OpenBao, or PostgreSQL behind it).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IssueError {
    /// Nothing happened, and the same may work later: retry with backoff, open the circuit.
    #[error("{system} is unavailable: {reason}")]
    Unavailable {
        /// `OpenBao` or `PostgreSQL`.
        system: &'static str,
        /// A cause that a person can act on.
        reason: String,
        /// Seconds to wait, when the system said so.
        retry_after_s: Option<u64>,
    },
    /// Nothing happened, and the same will not work later either: a person must change something.
    #[error("{system} refused: {reason}")]
    Refused {
        /// `OpenBao` or `PostgreSQL`.
        system: &'static str,
        /// What it said, and what to change where we know.
        reason: String,
    },
    /// It may or may not have happened: abandon the attempt (revoke its locator, reconcile) before a new one.
    #[error("the outcome at {system} is unknown: {reason}")]
    Unknown {
        /// `OpenBao` or `PostgreSQL`.
        system: &'static str,
        /// What went wrong.
        reason: String,
    },
}

/// How a revocation at the issuer ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RevokeOutcome {
    /// The issuer ended it. `proven`: we asked afterwards, and it no longer knows the credential.
    Revoked {
        /// Whether a lookup after it confirmed it.
        proven: bool,
    },
    /// The issuer tried and could not; the credential still works there. To be retried until it is revoked.
    Failed {
        /// The database's own words.
        reason: String,
    },
    /// Nothing at the issuer to end: the broker alone decides whether the secret is accepted.
    NothingToDo,
}

/// What [`Issuer::reconcile`] found and removed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReconcileReport {
    /// Attempts that the broker does not know, removed with everything they had made.
    pub attempts_removed: Vec<LeftoverAttempt>,
    /// Database logins without a lease, removed.
    pub logins_removed: Vec<String>,
    /// What else was removed, in words.
    pub others_removed: Vec<String>,
    /// What was found and could not be removed, with the cause; tried again the next time.
    pub failures: Vec<String>,
}

impl ReconcileReport {
    /// Nothing was left over.
    pub fn is_clean(&self) -> bool {
        self.attempts_removed.is_empty()
            && self.logins_removed.is_empty()
            && self.others_removed.is_empty()
            && self.failures.is_empty()
    }
}

/// An attempt found at the issuer that the broker does not know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftoverAttempt {
    /// Its child token's accessor.
    pub token_accessor: String,
    /// The request it was made for, as noted at the issuer.
    pub request_id: String,
    /// The attempt's key, as noted at the issuer.
    pub attempt_key: String,
}

/// What an issuer can do beyond minting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capabilities {
    /// Two versions can work at the same time, so rotation can overlap.
    pub can_overlap: bool,
    /// A revocation can be confirmed by asking.
    pub can_prove_revocation: bool,
    /// It ends credentials by itself when their time is up.
    pub has_leases: bool,
    /// It can try whether a credential works.
    pub can_probe: bool,
    /// It can tell who uses one right now.
    pub can_tell_use: bool,
    /// What it makes is somewhere else, where it must be found again and withdrawn: every attempt is logged first.
    pub elsewhere: bool,
}

/// Which adapter an issuer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Opaque keys minted here.
    ApiKey,
    /// Tokens signed here.
    Jwt,
    /// Leases of an OpenBao server.
    OpenBao,
    /// Logins of a PostgreSQL server.
    Postgres,
}

/// Why an issuer cannot work now.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{system}: {reason}")]
pub struct NotReady {
    /// `OpenBao` or `PostgreSQL`.
    pub system: &'static str,
    /// A cause that a person can act on.
    pub reason: String,
}

/// The contract between the broker and whoever makes secrets. All of it is safe to call concurrently; no call
/// retries inside: backoff and circuit breaking are the broker's.
pub trait Issuer: Send + Sync {
    /// Which adapter this is.
    fn kind(&self) -> Kind;

    /// What it can do beyond minting.
    fn capabilities(&self) -> Capabilities;

    /// First step. Makes nothing usable; what it returns finds whatever the attempt will make.
    fn prepare<'a>(&'a self, order: &'a MintOrder) -> BoxFuture<'a, Result<Prepared, IssueError>>;

    /// Second step, spends the preparation. Goes on to its end when the caller is dropped, and then removes what
    /// it made; after an error nothing usable is left, save after `Unknown`.
    fn mint<'a>(
        &'a self,
        order: &'a MintOrder,
        prepared: Prepared,
    ) -> BoxFuture<'a, Result<Minted, IssueError>>;

    /// Ends what the locator names. Idempotent: what is already gone counts as revoked.
    fn revoke<'a>(
        &'a self,
        locator: &'a Locator,
    ) -> BoxFuture<'a, Result<RevokeOutcome, IssueError>>;

    /// Finds and removes what this broker once made at the issuer and is not in `known`: the locators of every
    /// credential that should work, and of every attempt under way. Attempts under way in this very process are
    /// spared whether listed or not.
    fn reconcile<'a>(
        &'a self,
        known: &'a [Locator],
    ) -> BoxFuture<'a, Result<ReconcileReport, IssueError>>;

    /// Whether what the locator names works, as far as the issuer can tell, or by using the secret: what it saw, in
    /// words. `None` where it has nothing to say, and the broker's own word is all there is
    /// ([`Capabilities::can_probe`] is false).
    fn probe<'a>(
        &'a self,
        _locator: &'a Locator,
        _secret: &'a SecretMaterial,
    ) -> BoxFuture<'a, Result<Option<String>, IssueError>> {
        Box::pin(std::future::ready(Ok(None)))
    }

    /// How many use what the locator names right now: open sessions. `None` where the issuer cannot tell
    /// ([`Capabilities::can_tell_use`] is false).
    fn users<'a>(
        &'a self,
        _locator: &'a Locator,
    ) -> BoxFuture<'a, Result<Option<u64>, IssueError>> {
        Box::pin(std::future::ready(Ok(None)))
    }

    /// Whether minting can be expected to work now.
    fn ready(&self) -> BoxFuture<'_, Result<(), NotReady>>;
}
