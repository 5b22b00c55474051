//! Decisions of people: how many are needed and from whom, and what each is bound to.

use super::{ApprovalId, Digest, OperatorId, TokenId, words::words};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

words! {
    /// What somebody decides.
    Decision, "decision" {
        /// Yes.
        Approve => "approve",
        /// No.
        Deny => "deny",
        /// Yes, without waiting for others: an emergency.
        BreakGlass => "break_glass",
    }
}

/// How many distinct people must approve, and which groups they may come from.
#[derive(
    Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(deny_unknown_fields)]
pub struct Quorum {
    /// How many, from 1.
    #[schema(example = 2)]
    pub count: u8,
    /// Each must be in one of these; an empty list lets nobody decide.
    pub groups: Vec<String>,
}

/// What shows that a decision was this person's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "method", rename_all = "snake_case")]
pub enum Proof {
    /// The session that it was sent in.
    Token {
        /// The token that was signed in with.
        token: TokenId,
    },
    /// An SSH signature over the statement's canonical bytes.
    SshSignature(Box<Signed>),
}

/// A statement that somebody signed: what an auditor needs to check it with OpenSSH alone, for ever.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Signed {
    /// `SHA256:…` of the key.
    pub fingerprint: String,
    /// Whether the key is in an authenticator, and was touched.
    pub hardware: bool,
    /// Whether the key is vouched for by a certificate, and not enrolled itself.
    pub certificate: bool,
    /// The signed bytes: the [`super::Statement`], by RFC 8785.
    pub payload: String,
    /// Armoured SSHSIG.
    pub signature: String,
    /// The line that `ssh-keygen -Y verify -f` accepts it by.
    pub allowed_signer: String,
}

/// One person's approval of one request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Approval {
    /// Which approval.
    pub id: ApprovalId,
    /// Who.
    pub by: OperatorId,
    /// Their handle at the time.
    pub by_name: String,
    /// When.
    pub at: DateTime<Utc>,
    /// The digest of the plan that was approved.
    pub digest: Digest,
    /// Why; free text.
    pub reason: String,
    /// What shows it.
    pub proof: Proof,
    /// Why it no longer counts: the person lost what they decided by. It stays void; who may decide again can
    /// approve again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub void: Option<String>,
}

impl Approval {
    /// The fingerprint of the key that it was signed with.
    pub fn key(&self) -> Option<&str> {
        match &self.proof {
            Proof::Token { .. } => None,
            Proof::SshSignature(signed) => Some(&signed.fingerprint),
        }
    }
}
