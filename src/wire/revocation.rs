//! Revocations, as the registry shows them, and how far each has come.

use super::{CredentialId, Digest, Environment, GatewayId, RevocationId, Tier};
use crate::domain::words::words;
pub use crate::domain::{
    Enforcement, Evidence, PlannedRevocation, Profile, RevocationPlan, RevocationState,
};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

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

/// Asking what a filter would withdraw. Changes nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PlanRevocation {
    /// Which credentials, in the language of the console's `/`. It has to leave something out.
    #[schema(example = "owner=payments env:prod", max_length = 1000)]
    pub filter: String,
}

/// One credential of a revocation plan, as a person has to see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct PlannedMember {
    /// Which credential.
    #[schema(value_type = String)]
    pub id: CredentialId,
    /// The stable name.
    pub name: String,
    /// Where it is used.
    pub environment: Environment,
    /// How much harm misuse would do.
    pub tier: Tier,
    /// The team that answers for it.
    pub owner: String,
    /// Who uses it, by name.
    pub client: String,
    /// Its versions that are accepted.
    pub versions: Vec<u32>,
    /// When it was last accepted, as far as is known.
    pub last_used_at: Option<DateTime<Utc>>,
    /// It was accepted within the last hour: somebody stops working when it goes.
    pub in_use: bool,
}

/// What a filter would withdraw: everything that there is to know before it is done, and what doing it is bound to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct PlannedReach {
    /// What is executed: send it back as it is.
    pub plan: RevocationPlan,
    /// SHA-256 of the plan's JCS bytes (RFC 8785).
    #[schema(value_type = String)]
    pub digest: Digest,
    /// How many credentials.
    pub count: u64,
    /// Of these, accepted within the last hour.
    pub in_use: u64,
    /// How many by tier.
    pub by_tier: BTreeMap<String, u64>,
    /// How many by environment.
    pub by_environment: BTreeMap<String, u64>,
    /// How many by owner.
    pub by_owner: BTreeMap<String, u64>,
    /// Each of them: what is in use first, then by name.
    pub rows: Vec<PlannedMember>,
}

/// Withdrawing all that a plan says, for good. What the filter finds now must be exactly what the plan says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RevokePlanned {
    /// As it was answered.
    pub plan: RevocationPlan,
    /// As it was answered: what a person looked at.
    #[schema(value_type = String)]
    pub digest: Digest,
    /// Why.
    #[schema(max_length = 2000)]
    pub reason: String,
}

/// The form of a registry's export.
pub const REGISTRY: &str = "countersign.registry.v1";

/// The first line of a part of the registry that proves itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RegistryHeader {
    /// [`REGISTRY`].
    #[serde(rename = "type")]
    pub form: String,
    /// The log's signed checkpoint, which the proofs lead to.
    pub checkpoint: String,
    /// Of which client; of all, if none.
    pub client: Option<String>,
    /// What took effect after this sequence.
    pub since: u64,
    /// Up to and with this one.
    pub through: u64,
    /// How many revocations follow, in two lines each: the record and its proof.
    pub count: u64,
    /// There are more after `through`.
    pub more: bool,
}

/// What a plan came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct RevokedPlan {
    /// Of which plan.
    #[schema(value_type = String)]
    pub digest: Digest,
    /// A revocation for each credential, in the plan's order.
    #[schema(value_type = Vec<String>)]
    pub revocations: Vec<RevocationId>,
    /// The sequence of the record that names them all.
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
