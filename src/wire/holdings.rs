//! What a client or a person holds, before they leave: all of it, or as much as one answer takes with the counts of all.

use super::{
    ClientRow, CredentialId, CredentialState, Environment, OperatorId, OperatorRow, RequestId,
    RequestRow,
};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// Somebody leaves: why, and who takes over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Offboard {
    /// Why; kept in the log. 1 to 2,000 bytes.
    #[schema(max_length = 2000)]
    pub reason: String,
    /// The team that answers for the credentials from now on. Without one, a client's are revoked, and a person's
    /// stay with their owner.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 128)]
    pub hand_over_to: Option<String>,
}

/// A living credential that somebody holds or answers for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct HeldCredential {
    /// Which credential.
    #[schema(value_type = String)]
    pub id: CredentialId,
    /// The stable name.
    pub name: String,
    /// Where it is used.
    pub environment: Environment,
    /// The team that answers for it.
    pub owner: String,
    /// What follows from its versions and flags.
    pub state: CredentialState,
    /// When it ends; none means never.
    pub expires_at: Option<DateTime<Utc>>,
    /// When it was last accepted, as far as is known.
    pub last_used_at: Option<DateTime<Utc>>,
}

/// An account that acts for a client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ActingAccount {
    /// Which account.
    #[schema(value_type = String)]
    pub id: OperatorId,
    /// Its handle.
    pub name: String,
    /// Not a person.
    pub robot: bool,
    /// How many tokens and sessions it has.
    pub tokens: u64,
}

/// An approval that somebody gave to a request that is still open.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct GivenApproval {
    /// Of which request.
    #[schema(value_type = String)]
    pub request: RequestId,
    /// What the request is about, by name.
    pub credential: String,
    /// Where.
    pub environment: Environment,
    /// When it was given.
    pub at: DateTime<Utc>,
}

/// What a client holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ClientHoldings {
    /// The client.
    pub client: ClientRow,
    /// Living credentials, by name; at most 1,000.
    pub credentials: Vec<HeldCredential>,
    /// How many there are.
    pub credentials_total: u64,
    /// Requests for it that have not ended; at most 1,000.
    pub requests: Vec<RequestRow>,
    /// How many there are.
    pub requests_total: u64,
    /// Accounts that act for it: they stay, and can ask for nothing any more.
    pub accounts: Vec<ActingAccount>,
    /// The state that it was read from.
    pub sequence: u64,
}

/// What a person or robot holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct OperatorHoldings {
    /// The account, with its roles, groups, keys, tokens and sessions.
    pub operator: OperatorRow,
    /// Requests of theirs that have not ended; at most 1,000.
    pub requests: Vec<RequestRow>,
    /// How many there are.
    pub requests_total: u64,
    /// Approvals of theirs that count on requests that are not made yet: they become void.
    pub approvals: Vec<GivenApproval>,
    /// Owners that nobody else stands for: the handle, and groups that nobody else is in.
    pub alone_in: Vec<String>,
    /// Living credentials of those owners, by name; at most 1,000.
    pub credentials: Vec<HeldCredential>,
    /// How many there are.
    pub credentials_total: u64,
    /// The state that it was read from.
    pub sequence: u64,
}
