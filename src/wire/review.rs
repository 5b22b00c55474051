//! Access review: what each team answers for, and until when somebody must say that it is still needed.

use super::{CredentialId, Environment, Kind, ReviewState, Tier};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// A credential in the access review.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ReviewRow {
    /// Which credential.
    #[schema(value_type = String)]
    pub id: CredentialId,
    /// The stable name.
    pub name: String,
    /// Where it is used.
    pub environment: Environment,
    /// What it is made of.
    pub kind: Kind,
    /// How much harm misuse would do: the review's cadence follows from it.
    pub tier: Tier,
    /// The team that answers for it.
    pub owner: String,
    /// Who uses it, by name.
    pub client: String,
    /// What it allows.
    pub scopes: Vec<String>,
    /// Where the review stands.
    pub state: ReviewState,
    /// Until when it must be confirmed or given up.
    pub due_at: DateTime<Utc>,
    /// When it was confirmed last; none since it was issued or adopted.
    pub confirmed_at: Option<DateTime<Utc>>,
    /// Who confirmed it last, by handle.
    pub confirmed_by: Option<String>,
    /// When it was last accepted, as far as is known.
    pub last_used_at: Option<DateTime<Utc>>,
    /// Sequence of the last change: confirm what was seen with `If-Match`.
    pub sequence: u64,
}
