//! Clients: who uses credentials.

use super::{ClientId, Environment, Tier};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// Bringing a client in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewClient {
    /// Unique name: `a-z 0-9 . _ / -`.
    #[schema(example = "checkout-api", max_length = 128)]
    pub name: String,
    /// The team that answers for it.
    #[schema(max_length = 128)]
    pub owner: String,
    /// How to reach them.
    #[serde(default)]
    #[schema(max_length = 2000)]
    pub contact: String,
    /// Where it runs.
    pub environment: Environment,
    /// How much harm its credentials could do.
    pub tier: Tier,
    /// Services that stop when its credentials do, in the order in which they must be updated.
    #[serde(default)]
    pub dependents: Vec<String>,
}

/// A client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ClientRow {
    /// Which client.
    #[schema(value_type = String)]
    pub id: ClientId,
    /// Its name.
    pub name: String,
    /// The team that answers for it.
    pub owner: String,
    /// How to reach them.
    pub contact: String,
    /// Where it runs.
    pub environment: Environment,
    /// How much harm its credentials could do.
    pub tier: Tier,
    /// Services that stop when its credentials do.
    pub dependents: Vec<String>,
    /// Living credentials that it holds.
    pub credentials: u64,
    /// Set once it was taken out of service.
    pub offboarded_at: Option<DateTime<Utc>>,
    /// Sequence of the last change.
    pub sequence: u64,
}
