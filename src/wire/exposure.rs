//! A found secret: what it is, what it opens, and who uses it. Asked for by its digest; the secret never travels.

use super::{
    ClientId, CredentialRow, Environment, GatewayId, Profile, ReaderView, RevocationRow,
    VersionState,
};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// A gateway that accepts the secret, or may, until it has learnt better.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct OpenGateway {
    /// Which gateway.
    #[schema(value_type = String)]
    pub id: GatewayId,
    /// Its name.
    pub name: String,
    /// Where it stands.
    pub environment: Environment,
    /// How it learns what is accepted.
    pub profile: Profile,
    /// Within how many seconds it should refuse what was revoked.
    pub objective_s: u64,
    /// For how many seconds it may keep an answer.
    pub cache_s: u64,
    /// When it was last heard of.
    pub seen_at: Option<DateTime<Utc>>,
    /// It was not heard of for longer than its objective.
    pub silent: bool,
}

/// What a found secret is, what it opens, and who uses it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct FoundSecret {
    /// The credential that it belongs to.
    pub row: CredentialRow,
    /// Which of its versions it is.
    pub version: u32,
    /// Where that version is in its life.
    pub version_state: VersionState,
    /// Whether it is accepted now: neither ended nor withdrawn, and the credential not in quarantine.
    pub accepted: bool,
    /// Since when all versions are refused, reversibly.
    pub quarantined_at: Option<DateTime<Utc>>,
    /// When it ends by itself; none means never.
    pub ends_at: Option<DateTime<Utc>>,
    /// The client that it was made for.
    #[schema(value_type = String)]
    pub client_id: ClientId,
    /// How to reach those who answer for the client.
    pub contact: String,
    /// Whom it may be shown to.
    pub audience: String,
    /// What it allows.
    pub scopes: Vec<String>,
    /// Services that stop when it does, in the order in which they must be updated.
    pub dependents: Vec<String>,
    /// Gateways in service that it can be shown to, by name.
    pub gateways: Vec<OpenGateway>,
    /// Whoever showed this version since `since`, as far as is known: whoever was seen last first, at most 32.
    pub readers: Vec<ReaderView>,
    /// A day ago.
    pub since: DateTime<Utc>,
    /// Revocations of this version, oldest first.
    pub revocations: Vec<RevocationRow>,
    /// The state that it was read from.
    pub sequence: u64,
}
