//! People and robots that sign in: their roles per environment, their groups, and how they prove who they are.

use super::{ClientId, Digest, Environment, OperatorId, TokenId, words::words};
use crate::domain::event::is_zero;
use chrono::{DateTime, Duration, Utc};
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

/// The longest that an SSH key keeps somebody signed in: one session, or the sessions that continue it one after the
/// other. Then they sign in anew.
pub const SESSION_MAX: Duration = Duration::hours(12);
/// How much longer a session works once another continues it: its answer may have been lost, and calls are under way.
pub const RENEWAL_GRACE: Duration = Duration::minutes(1);

/// What a session continues that was opened without its person doing anything.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Continued {
    /// The session before it.
    pub session: TokenId,
    /// When the person signed in that all of them began with.
    pub signed_in_at: DateTime<Utc>,
}

/// A sign-in token, minted by an admin or by signing in with an SSH key: everything but the token.
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
    /// The fingerprint of the SSH key that opened this session; none for a token that an admin minted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The session that this one continues; none where it began with a person signing in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub continues: Option<Continued>,
}

impl Token {
    /// When its person signed in: with this session, or with the first of those that it continues.
    pub fn signed_in_at(&self) -> DateTime<Utc> {
        self.continues
            .as_ref()
            .map_or(self.created_at, |continued| continued.signed_in_at)
    }

    /// Where it and all that continue it end; none for a minted token, which nothing continues.
    pub fn renewable_until(&self) -> Option<DateTime<Utc>> {
        let bound = self.signed_in_at() + SESSION_MAX;
        self.key.as_ref().map(|_| bound)
    }
}

/// An SSH public key, by which sign-in challenges and decisions are signed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SshKey {
    /// `SHA256:…` as OpenSSH prints it.
    pub fingerprint: String,
    /// Type and base64, as in `authorized_keys`.
    pub public_key: String,
    /// Whether the private half is in an authenticator that wants a touch.
    pub hardware: bool,
    /// Who enrolled it: it never counts for what they asked for.
    pub enrolled_by: OperatorId,
    /// When it was enrolled.
    pub enrolled_at: DateTime<Utc>,
    /// From when it counts; none while another admin has yet to countersign it. A key younger than a request does
    /// not count for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid_from: Option<DateTime<Utc>>,
    /// The admin who countersigned it, by handle; none where nobody had to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub countersigned_by: Option<String>,
}

impl SshKey {
    /// Whether it counted at `time`.
    pub fn counts_at(&self, time: DateTime<Utc>) -> bool {
        self.valid_from.is_some_and(|from| from <= time)
    }
}

/// How an operator can prove who they are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "method", rename_all = "snake_case")]
pub enum Authenticator {
    /// A minted token, or the session that an SSH key opened.
    Token(Token),
    /// An SSH key.
    SshKey(SshKey),
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

    /// Whether any role at all is held in `environment`.
    pub fn holds_role_in(&self, environment: Environment) -> bool {
        self.holds(environment, Role::ALL)
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
                Authenticator::SshKey(_) => None,
            })
    }

    /// Its SSH keys, those too that nobody has countersigned yet.
    pub fn ssh_keys(&self) -> impl Iterator<Item = &SshKey> {
        self.authenticators
            .iter()
            .filter_map(|authenticator| match authenticator {
                Authenticator::Token(_) => None,
                Authenticator::SshKey(key) => Some(key),
            })
    }

    /// The enrolled SSH key with this fingerprint.
    pub fn ssh_key(&self, fingerprint: &str) -> Option<&SshKey> {
        self.ssh_keys().find(|key| key.fingerprint == fingerprint)
    }
}
