//! Revocations, as the registry shows them, and how far each has come.

use super::{CredentialId, Environment, GatewayId, RevocationId};
use crate::domain::words::words;
pub use crate::domain::{Enforcement, Evidence, Profile, RevocationState};
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
    /// How far it has come outside the broker.
    pub state: RevocationState,
    /// Whether the issuer has withdrawn it too.
    pub enforcement: Enforcement,
    /// How many gateways it concerns.
    pub gateways: u32,
    /// How many of them refuse it too, or are not waited for any more.
    pub applied: u32,
    /// How many of them were seen to refuse it.
    pub proven: u32,
    /// How many of them took, or have taken until now, longer than their objective.
    pub late: u32,
    /// Since when whoever must refuses it; none while it propagates.
    pub propagated_at: Option<DateTime<Utc>>,
    /// Time to revoke: from taking effect at the broker until then, in milliseconds.
    pub time_to_revoke_ms: Option<u64>,
    /// Sequence of the event by which it took effect.
    pub since: u64,
    /// Sequence of the last change.
    pub sequence: u64,
}

words! {
    /// How far a revocation has come at one gateway.
    ReachState, "reach" {
        /// It knows nothing of it yet, or may still have an older answer.
        Pending => "pending",
        /// It was told, and has not acknowledged.
        Sent => "sent",
        /// It refuses from `applied_at` on.
        Applied => "applied",
        /// It was seen to refuse.
        Proven => "proven",
        /// It was taken out of service before it had applied it.
        Removed => "removed",
    }
}

/// One gateway's part in a revocation. Times in milliseconds are from the moment when it took effect at the broker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ReachView {
    /// Which gateway.
    #[schema(value_type = String)]
    pub gateway: GatewayId,
    /// Its name.
    pub name: String,
    /// How it learns what is accepted.
    pub profile: Profile,
    /// How far it has come.
    pub state: ReachState,
    /// When it was told; none for one that asks.
    pub sent_at: Option<DateTime<Utc>>,
    /// The same in milliseconds.
    pub sent_ms: Option<u64>,
    /// From when on it refuses.
    pub applied_at: Option<DateTime<Utc>>,
    /// The same in milliseconds.
    pub applied_ms: Option<u64>,
    /// How that is known: it asks about every call, its answers have run out, or it said so.
    pub by: Option<Evidence>,
    /// When it was first seen to refuse this very secret.
    pub proven_at: Option<DateTime<Utc>>,
    /// The same in milliseconds.
    pub proven_ms: Option<u64>,
    /// Until when it may still have an older answer; none for one that asks about every call, or says so itself.
    pub bound_at: Option<DateTime<Utc>>,
    /// Within how many seconds it should refuse.
    pub objective_s: u64,
    /// It took, or has taken until now, longer than that.
    pub late: bool,
    /// When it was last heard of.
    pub seen_at: Option<DateTime<Utc>>,
    /// It was not heard of since the revocation took effect.
    pub silent: bool,
    /// How often what was revoked was accepted there, ever, as far as is known.
    pub accepted: u64,
    /// When it was last accepted there.
    pub accepted_at: Option<DateTime<Utc>>,
    /// How often it was refused there, as far as is known.
    pub refused: u64,
    /// When it was last refused there.
    pub refused_at: Option<DateTime<Utc>>,
}

/// What could still be done with what was revoked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Exposure {
    /// Gateways, by name, that may still accept it.
    pub through: Vec<String>,
    /// When it was last accepted anywhere after it had taken effect, if it was.
    pub accepted_after: Option<DateTime<Utc>>,
    /// When somebody last tried it and was refused, if somebody did.
    pub refused_at: Option<DateTime<Utc>>,
    /// When it ends by itself; none if it never does, or if nothing accepts it any more.
    pub ends_at: Option<DateTime<Utc>>,
}

/// Another revocation, to compare with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct PastRevocation {
    /// Which revocation.
    #[schema(value_type = String)]
    pub id: RevocationId,
    /// Of which credential.
    pub credential_name: String,
    /// When it took effect.
    pub effective_at: DateTime<Utc>,
    /// Time to revoke, in milliseconds; none while it propagates.
    pub time_to_revoke_ms: Option<u64>,
}

/// A revocation, and how far it has come, gateway by gateway.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct RevocationDetail {
    /// What the registry shows.
    pub row: RevocationRow,
    /// Where it was used.
    pub environment: Option<Environment>,
    /// Who uses it, by name.
    pub client: String,
    /// Services that stop with it.
    pub dependents: Vec<String>,
    /// The longest objective of its gateways, in seconds.
    pub objective_s: Option<u64>,
    /// The gateways that it concerns: those that are waited for first, then the slowest first.
    pub reach: Vec<ReachView>,
    /// What could still be done with it.
    pub exposure: Exposure,
    /// The revocations before it, latest first, at most 20.
    pub before: Vec<PastRevocation>,
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
