//! People and robots that sign in: their roles per environment, their groups, and how they prove who they are.

use super::{ClientId, Digest, Environment, OperatorId, TokenId, words::words};
use crate::domain::event::is_zero;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

words! {
    /// What an operator may do, held per environment.
    Role, "role" {
        /// Reads everything.
        Viewer => "viewer",
        /// Asks, claims and withdraws for the client it is bound to, and sees only that. For services.
        Requester => "requester",
        /// On call: asks, revokes, quarantines.
        Operator => "operator",
        /// Decides requests.
        Approver => "approver",
        /// Reads and exports the log.
        Auditor => "auditor",
        /// Manages clients and operators, and releases what was quarantined.
        Admin => "admin",
    }
}

/// A minted sign-in token: everything but the token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Token {
    /// Which token.
    pub id: TokenId,
    /// SHA-256 of the token.
    pub digest: Digest,
    /// When it was minted.
    pub created_at: DateTime<Utc>,
    /// When it stops working.
    pub expires_at: DateTime<Utc>,
}

/// How an operator can prove who they are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "method", rename_all = "snake_case")]
pub enum Authenticator {
    /// A minted token.
    Token(Token),
    /// An SSH public key, by which sign-in challenges and approvals are signed.
    SshKey {
        /// `SHA256:…` as OpenSSH prints it.
        fingerprint: String,
        /// The line as in `authorized_keys`.
        public_key: String,
        /// When it was enrolled: a key younger than a request does not count for it.
        enrolled_at: DateTime<Utc>,
    },
}

/// A person or robot account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Operator {
    /// Which operator.
    pub id: OperatorId,
    /// The handle: unique, ASCII, `maya.k`.
    pub name: String,
    /// The name as people write it; free text.
    pub display_name: String,
    /// Not a person: never counts for a quorum.
    pub robot: bool,
    /// Groups, such as `security`: what a quorum asks for.
    pub groups: BTreeSet<String>,
    /// Roles, per environment.
    pub roles: BTreeMap<Environment, BTreeSet<Role>>,
    /// The client that a `requester` acts for.
    pub client: Option<ClientId>,
    /// Ways to sign in that are valid or were.
    pub authenticators: Vec<Authenticator>,
    /// Set once the account was closed.
    pub offboarded_at: Option<DateTime<Utc>>,
    /// Sequence of the last change.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub sequence: u64,
}

impl Operator {
    /// Whether any of `roles` is held in `environment`. An offboarded operator holds none.
    pub fn holds(&self, environment: Environment, roles: &[Role]) -> bool {
        self.offboarded_at.is_none()
            && self
                .roles
                .get(&environment)
                .is_some_and(|held| roles.iter().any(|role| held.contains(role)))
    }

    /// Whether any of `roles` is held anywhere.
    pub fn holds_anywhere(&self, roles: &[Role]) -> bool {
        Environment::ALL
            .iter()
            .any(|&environment| self.holds(environment, roles))
    }

    /// Whether this account sees only what belongs to its client.
    pub fn sees_only_its_client(&self) -> bool {
        !self.holds_anywhere(&[
            Role::Viewer,
            Role::Operator,
            Role::Approver,
            Role::Auditor,
            Role::Admin,
        ])
    }

    /// The minted token with this digest, if it is of this operator.
    pub fn token(&self, digest: &Digest) -> Option<&Token> {
        self.tokens().find(|token| token.digest == *digest)
    }

    /// Its minted tokens.
    pub fn tokens(&self) -> impl Iterator<Item = &Token> {
        self.authenticators
            .iter()
            .filter_map(|authenticator| match authenticator {
                Authenticator::Token(token) => Some(token),
                Authenticator::SshKey { .. } => None,
            })
    }
}
