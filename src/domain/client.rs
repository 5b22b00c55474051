//! Who uses a credential: an internal service, a partner, a public integration.

use super::{ClientId, Environment, Tier};
use crate::domain::event::is_zero;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// A client of credentials.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Client {
    /// Which client.
    pub id: ClientId,
    /// Unique name, ASCII, `checkout-api`.
    pub name: String,
    /// The team that answers for it.
    pub owner: String,
    /// How to reach them; free text.
    pub contact: String,
    /// Where it runs.
    pub environment: Environment,
    /// How much harm its credentials could do.
    pub tier: Tier,
    /// Names of the services that stop when its credentials do, in the order in which they must be updated.
    pub dependents: Vec<String>,
    /// Set once it was taken out of service.
    pub offboarded_at: Option<DateTime<Utc>>,
    /// Sequence of the last change.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub sequence: u64,
}
