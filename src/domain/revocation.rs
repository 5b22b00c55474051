//! Revocations: effective at the broker at once, then carried to the issuer until it is proven there.

use super::{CredentialId, RevocationId};
use crate::domain::event::is_zero;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// How far a revocation has come outside the broker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum Enforcement {
    /// Nothing outside the broker knows of the version.
    NotNeeded,
    /// The issuer has yet to confirm.
    Pending {
        /// How often it was tried.
        attempts: u32,
        /// What it said last.
        last_error: Option<String>,
    },
    /// The issuer has withdrawn it.
    Enforced {
        /// When.
        at: DateTime<Utc>,
        /// Whether a look-up showed it gone.
        proven: bool,
    },
}

/// One revocation of a credential or of one of its versions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Revocation {
    /// Which revocation.
    pub id: RevocationId,
    /// Of which credential.
    pub credential: CredentialId,
    /// Which of its versions; ascending.
    pub versions: Vec<u32>,
    /// Whether the whole credential is withdrawn for good.
    pub whole: bool,
    /// Why; free text.
    pub reason: String,
    /// Who, by handle.
    pub by: String,
    /// From when on the broker refuses it.
    pub effective_at: DateTime<Utc>,
    /// Whether the issuer has withdrawn it too.
    pub enforcement: Enforcement,
    /// Sequence of the last change.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub sequence: u64,
}
