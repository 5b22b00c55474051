//! People and robots that sign in.

use super::{ClientId, Environment, KeyRow, OperatorId, Role, TokenId};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Opening an account, with a first token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewOperator {
    /// The handle: `a-z 0-9 . _ / -`.
    #[schema(example = "maya.k", max_length = 128)]
    pub name: String,
    /// The name as people write it.
    #[serde(default)]
    #[schema(max_length = 2000)]
    pub display_name: String,
    /// Not a person.
    #[serde(default)]
    pub robot: bool,
    /// Groups.
    #[serde(default)]
    pub groups: BTreeSet<String>,
    /// Roles per environment.
    #[serde(default)]
    pub roles: BTreeMap<Environment, BTreeSet<Role>>,
    /// The client that a `requester` acts for.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub client: Option<ClientId>,
    /// How long the first token lives, in seconds: 60 to 31,536,000.
    #[schema(minimum = 60, maximum = 31_536_000)]
    pub token_ttl_s: u64,
}

/// Another token for an account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewToken {
    /// How long it lives, in seconds: 60 to 31,536,000.
    #[schema(minimum = 60, maximum = 31_536_000)]
    pub ttl_s: u64,
}

/// Roles and groups to hold from now on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Grant {
    /// Roles per environment.
    pub roles: BTreeMap<Environment, BTreeSet<Role>>,
    /// Groups.
    pub groups: BTreeSet<String>,
}

/// A minted token, shown once.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct MintedToken {
    /// Whose.
    #[schema(value_type = String)]
    pub operator: OperatorId,
    /// Which token.
    #[schema(value_type = String)]
    pub id: TokenId,
    /// The token; empty on a repetition: it was delivered already.
    pub token: String,
    /// When it stops working.
    pub expires_at: DateTime<Utc>,
    /// The sequence of the minting.
    pub sequence: u64,
}

impl std::fmt::Debug for MintedToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MintedToken")
            .field("operator", &self.operator)
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

/// What is known of a token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct TokenRow {
    /// Which token.
    #[schema(value_type = String)]
    pub id: TokenId,
    /// When it was minted.
    pub created_at: DateTime<Utc>,
    /// When it stops working.
    pub expires_at: DateTime<Utc>,
    /// The SSH key that opened this session, by fingerprint; none for a minted token.
    pub key: Option<String>,
}

/// An operator.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct OperatorRow {
    /// Which operator.
    #[schema(value_type = String)]
    pub id: OperatorId,
    /// The handle.
    pub name: String,
    /// The name as people write it.
    pub display_name: String,
    /// Not a person.
    pub robot: bool,
    /// Groups.
    pub groups: BTreeSet<String>,
    /// Roles per environment.
    pub roles: BTreeMap<Environment, BTreeSet<Role>>,
    /// The client that it acts for.
    #[schema(value_type = Option<String>)]
    pub client: Option<ClientId>,
    /// Its tokens and sessions.
    pub tokens: Vec<TokenRow>,
    /// Its SSH keys.
    pub keys: Vec<KeyRow>,
    /// Set once the account was closed.
    pub offboarded_at: Option<DateTime<Utc>>,
    /// Sequence of the last change.
    pub sequence: u64,
}

/// Who the caller is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Session {
    /// The session or token, as it is listed and revoked by.
    #[schema(value_type = String)]
    pub id: TokenId,
    /// The operator.
    #[schema(value_type = String)]
    pub operator: OperatorId,
    /// Their handle.
    pub name: String,
    /// Not a person.
    pub robot: bool,
    /// Groups.
    pub groups: BTreeSet<String>,
    /// Roles per environment.
    pub roles: BTreeMap<Environment, BTreeSet<Role>>,
    /// How they are signed in: `token` or `ssh`.
    pub method: String,
    /// The SSH key that opened the session, by fingerprint.
    pub key: Option<String>,
    /// When it was opened, or the token minted.
    pub opened_at: DateTime<Utc>,
    /// When it ends.
    pub expires_at: DateTime<Utc>,
    /// When its person signed in: with this session, or with the first of those that it continues.
    pub signed_in_at: DateTime<Utc>,
    /// No session that continues this one goes beyond, 12 hours after signing in; none for a token, which is not renewed.
    pub renewable_until: Option<DateTime<Utc>>,
    /// The broker's log origin.
    pub origin: String,
    /// The log's verifier key, for whoever has none yet: compare it with one from a trusted source.
    pub verifier_key: String,
    /// The broker's clock.
    pub now: DateTime<Utc>,
    /// The word that the broker goes by.
    pub broker: String,
    /// The environment that the broker was set up for, if it serves only one.
    pub environment: Option<Environment>,
}
