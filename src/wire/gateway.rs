//! Gateways: registering them, how far each has come, what it is handed and what it reports.

use super::{CredentialId, Digest, Environment, GatewayId, RevocationId, TokenId, TokenRow};
use crate::domain::words::words;
pub use crate::domain::{Evidence, Profile, Route};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// Registering a gateway, with a first token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewGateway {
    /// Unique among those in service: `a-z 0-9 . _ -`. It is part of the address that the gateway asks.
    #[schema(example = "edge-fra-1", max_length = 128)]
    pub name: String,
    /// How it learns what is accepted.
    pub profile: Profile,
    /// Where it stands.
    pub environment: Environment,
    /// The audiences that it guards; all of its environment if none is named.
    #[serde(default)]
    pub audiences: Vec<String>,
    /// What is needed where; the longest prefix counts. Without any, whatever is accepted may go everywhere.
    #[serde(default)]
    pub routes: Vec<Route>,
    /// Within how many seconds it should refuse what was revoked.
    #[serde(default = "objective")]
    #[schema(minimum = 1, maximum = 86_400)]
    pub objective_s: u64,
    /// For how many seconds it may keep an answer; 0 to ask about every call.
    #[serde(default)]
    #[schema(maximum = 3_600)]
    pub cache_s: u64,
    /// How long its token lives, in seconds: 60 to 31,536,000.
    #[schema(minimum = 60, maximum = 31_536_000)]
    pub token_ttl_s: u64,
}

/// The objective where none is named: a minute.
const fn objective() -> u64 {
    60
}

/// A gateway's minted token, shown once.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct MintedGatewayToken {
    /// Whose.
    #[schema(value_type = String)]
    pub gateway: GatewayId,
    /// Which token.
    #[schema(value_type = String)]
    pub id: TokenId,
    /// The token; empty on a repetition: it was delivered already.
    pub token: String,
    /// When it stops working.
    pub expires_at: DateTime<Utc>,
    /// The sequence of the minting.
    pub sequence: u64,
}

impl std::fmt::Debug for MintedGatewayToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MintedGatewayToken")
            .field("gateway", &self.gateway)
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

/// A gateway, and how far it has come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct GatewayRow {
    /// Which gateway.
    #[schema(value_type = String)]
    pub id: GatewayId,
    /// Its name.
    pub name: String,
    /// How it learns what is accepted.
    pub profile: Profile,
    /// Where it stands.
    pub environment: Environment,
    /// The audiences that it guards; empty for all.
    pub audiences: Vec<String>,
    /// What is needed where.
    pub routes: Vec<Route>,
    /// Within how many seconds it should refuse what was revoked.
    pub objective_s: u64,
    /// For how many seconds it may keep an answer.
    pub cache_s: u64,
    /// After how many seconds it refuses what was revoked, whatever happens; none for a receiver, which says so itself.
    pub bound_s: Option<u64>,
    /// Who registered it.
    pub by: String,
    /// Since when it is in service.
    pub registered_at: DateTime<Utc>,
    /// Set once it was taken out of service.
    pub removed_at: Option<DateTime<Utc>>,
    /// Its tokens; of each everything but the token.
    pub tokens: Vec<TokenRow>,
    /// When it was last heard of: it asked, reported or acknowledged.
    pub seen_at: Option<DateTime<Utc>>,
    /// It was not heard of for longer than its objective.
    pub silent: bool,
    /// The sequence up to which it has said to have applied everything; 0 if it never did.
    pub cursor: u64,
    /// Revocations that it has yet to apply.
    pub waiting: u64,
    /// Of these, those over its objective.
    pub late: u64,
    /// How often it was told yes, or reported that it accepted, since the broker's start.
    pub accepted: u64,
    /// How often it was told no, or reported that it refused, since the broker's start.
    pub refused: u64,
    /// Sequence of the last change.
    pub sequence: u64,
}

/// How far a gateway has come: it has applied everything up to `cursor`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Cursor {
    /// A sequence that the broker has told: at most the log's.
    pub cursor: u64,
}

/// What the broker made of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Standing {
    /// Whose.
    #[schema(value_type = String)]
    pub gateway: GatewayId,
    /// How far it is known to have come.
    pub cursor: u64,
    /// Revocations that it has yet to apply.
    pub waiting: u64,
    /// The log's sequence.
    pub sequence: u64,
}

/// A revocation as a gateway needs it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct RevokedHere {
    /// Which revocation.
    #[schema(value_type = String)]
    pub revocation: RevocationId,
    /// Of which credential.
    #[schema(value_type = String)]
    pub credential: CredentialId,
    /// Which of its versions.
    pub versions: Vec<u32>,
    /// SHA-256 of their secrets, where they are known by them.
    #[schema(value_type = Vec<String>)]
    pub digests: Vec<Digest>,
    /// From when on the broker refuses them.
    pub effective_at: DateTime<Utc>,
    /// The sequence by which it took effect.
    pub since: u64,
}

/// What a gateway has yet to apply, in the order in which it took effect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Pending {
    /// At most 256.
    pub items: Vec<RevokedHere>,
    /// Whoever has applied these has applied everything up to this sequence: the cursor to send.
    pub through: u64,
    /// There are more; they come once these are acknowledged.
    pub more: bool,
}

/// What a gateway has accepted and refused by itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UsageBatch {
    /// 1 to 1,000.
    #[schema(min_items = 1, max_items = 1000)]
    pub reports: Vec<UsageReport>,
}

/// Uses of one version, from one network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UsageReport {
    /// Which credential; with it the version.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub credential: Option<CredentialId>,
    /// Which version.
    #[serde(default)]
    pub version: Option<u32>,
    /// Or SHA-256 of the secret that was shown: the secret itself never travels.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub digest: Option<Digest>,
    /// From where: an address, or a network such as `203.0.113.0/24`. Only the network is kept.
    #[serde(default)]
    #[schema(max_length = 64)]
    pub network: Option<String>,
    /// How often it was accepted.
    #[serde(default)]
    pub accepted: u64,
    /// How often it was refused.
    #[serde(default)]
    pub refused: u64,
    /// When last.
    pub at: DateTime<Utc>,
}

/// What was counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct UsageTaken {
    /// How many reports.
    pub taken: u32,
}

words! {
    /// What a gateway reported that cannot be.
    FindingKind, "finding" {
        /// A version that never existed.
        UnknownVersion => "unknown_version",
        /// A credential of another environment.
        OtherEnvironment => "other_environment",
        /// It was accepted after the gateway had applied its revocation.
        AcceptedAfterRevocation => "accepted_after_revocation",
    }
}

/// Something that a gateway reported and that cannot be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Finding {
    /// What is wrong with it.
    pub kind: FindingKind,
    /// Who reported it.
    #[schema(value_type = String)]
    pub gateway: GatewayId,
    /// When, at last.
    pub at: DateTime<Utc>,
    /// How often.
    pub count: u64,
    /// Of which credential, where one was named.
    #[schema(value_type = Option<String>)]
    pub credential: Option<CredentialId>,
    /// Which version.
    pub version: Option<u32>,
    /// SHA-256 of the secret, where that was all that was named.
    #[schema(value_type = Option<String>)]
    pub digest: Option<Digest>,
    /// From where it was used.
    pub network: Option<String>,
}

/// The latest findings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Findings {
    /// How often anything was found since the broker's start.
    pub count: u64,
    /// Latest first, at most 256; the same again is counted, not listed.
    pub items: Vec<Finding>,
}
