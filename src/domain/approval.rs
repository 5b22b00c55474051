//! Decisions of people: how many are needed and from whom, and what each is bound to.

use super::{ApprovalId, Digest, OperatorId, TokenId};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

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
    /// An SSH signature over the payload.
    SshSignature {
        /// `SHA256:…` of the key.
        fingerprint: String,
        /// The signed bytes.
        payload: String,
        /// Armoured SSHSIG.
        signature: String,
    },
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
}
