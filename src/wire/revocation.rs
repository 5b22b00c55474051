//! Revocations, as the registry shows them.

use super::{CredentialId, RevocationId};
pub use crate::domain::Enforcement;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// One revocation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct RevocationRow {
    /// Which revocation.
    #[schema(value_type = String)]
    pub id: RevocationId,
    /// Of which credential.
    #[schema(value_type = String)]
    pub credential: CredentialId,
    /// Its name.
    pub credential_name: String,
    /// Which of its versions.
    pub versions: Vec<u32>,
    /// Whether the whole credential is withdrawn for good.
    pub whole: bool,
    /// Why.
    pub reason: String,
    /// Who.
    pub by: String,
    /// From when on the broker refuses it.
    pub effective_at: DateTime<Utc>,
    /// Whether the issuer has withdrawn it too.
    pub enforcement: Enforcement,
    /// Sequence of the last change.
    pub sequence: u64,
}

/// Withdrawing a credential, or one of its versions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Revoke {
    /// One version; the whole credential, for good, if left out.
    #[serde(default)]
    pub version: Option<u32>,
    /// Why.
    #[schema(max_length = 2000)]
    pub reason: String,
}
