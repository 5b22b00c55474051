//! Credentials: what a list shows of each, and everything about one.

use super::{
    ClientId, CredentialId, CredentialState, Destination, Digest, Environment, EventRecord, Kind,
    RequestId, Tier, VersionState,
};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What a list shows of a credential.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct CredentialRow {
    /// Which credential.
    #[schema(value_type = String, example = "crd_01jd9x2m3v5qk7w8y6z4t0r1bc")]
    pub id: CredentialId,
    /// The stable name.
    pub name: String,
    /// Where it is used.
    pub environment: Environment,
    /// What it is made of.
    pub kind: Kind,
    /// Who uses it, by name.
    pub client: String,
    /// The team that answers for it.
    pub owner: String,
    /// How much harm misuse would do.
    pub tier: Tier,
    /// What follows from its versions and flags.
    pub state: CredentialState,
    /// The number of the version in use, or of the last one.
    pub version: u32,
    /// How many versions are accepted.
    pub accepted: u32,
    /// When the version in use was made.
    pub issued_at: DateTime<Utc>,
    /// When it ends; none means never.
    pub expires_at: Option<DateTime<Utc>>,
    /// When it must have rotated, by cadence.
    pub rotate_by: Option<DateTime<Utc>>,
    /// When it was last accepted, as far as is known.
    pub last_used_at: Option<DateTime<Utc>>,
    /// Sequence of the last change, and the resource's `ETag`.
    pub sequence: u64,
}

/// One generation of secret material.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct VersionView {
    /// From 1.
    pub number: u32,
    /// Where it is in its life.
    pub state: VersionState,
    /// Whether it is accepted now.
    pub accepted: bool,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it ends.
    pub expires_at: Option<DateTime<Utc>>,
    /// When its overlap ends, once it is retiring.
    pub retires_at: Option<DateTime<Utc>>,
    /// The request that it was made for.
    #[schema(value_type = Option<String>)]
    pub request: Option<RequestId>,
    /// Where the issuer knows it; never a secret.
    pub locator: BTreeMap<String, String>,
    /// How its secret gets to its destination, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivery: Option<DeliveryView>,
}

/// How far the delivery of one version has come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct DeliveryView {
    /// Where to.
    pub to: Destination,
    /// When it was begun.
    pub begun_at: DateTime<Utc>,
    /// Why it could not be done yet; it is tried again while there is time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
    /// When it was done.
    pub done_at: Option<DateTime<Utc>>,
    /// Where the secret is, in the destination's own words; empty until it is done.
    pub place: String,
    /// It was read back there.
    pub proven: bool,
    /// What a probe saw of the version before it was put there; empty where none tried it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub check: String,
}

/// Having the secrets of a credential go elsewhere from its next version on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DeliverTo {
    /// Where to; into the hands of whoever asks, if left out.
    #[serde(default)]
    pub destination: Option<Destination>,
    /// Why.
    #[schema(max_length = 2000)]
    pub reason: String,
}

/// Everything about one credential.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct CredentialDetail {
    /// What the list shows.
    pub row: CredentialRow,
    /// The client.
    #[schema(value_type = String)]
    pub client_id: ClientId,
    /// Whom it may be shown to.
    pub audience: String,
    /// What it allows.
    pub scopes: Vec<String>,
    /// Regulatory tags.
    pub tags: Vec<String>,
    /// The issuer, by configured name.
    pub issuer: String,
    /// What the issuer was asked for.
    pub role: String,
    /// How often it must rotate, in seconds.
    pub cadence_s: Option<u64>,
    /// When renewal is planned.
    pub renew_at: Option<DateTime<Utc>>,
    /// Where its secrets are put; into the hands of whoever asks, if it has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub destination: Option<Destination>,
    /// When the name was first issued or adopted.
    pub created_at: DateTime<Utc>,
    /// Since when all versions are refused, reversibly.
    pub quarantined_at: Option<DateTime<Utc>>,
    /// All versions, oldest first.
    pub versions: Vec<VersionView>,
    /// Services that stop when it does, in the order in which they must be updated.
    pub dependents: Vec<String>,
    /// How often it was accepted, as far as is known.
    pub used: u64,
    /// How often it was refused, as far as is known.
    pub refused: u64,
    /// Who showed it since the broker's start, at most 32: by version, whoever was seen last first.
    #[serde(default)]
    pub readers: Vec<ReaderView>,
    /// Its revocations, oldest first.
    pub revocations: Vec<super::RevocationRow>,
    /// Its latest events, newest first.
    pub trail: Vec<EventRecord>,
}

/// Who showed a version, and from where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ReaderView {
    /// Which version.
    pub version: u32,
    /// The gateway that asked or reported, by name; none where a person or robot asked.
    pub gateway: Option<String>,
    /// From where, as the gateway said: a /24 or a /48.
    pub network: Option<String>,
    /// How often it was accepted.
    pub accepted: u64,
    /// When last.
    pub accepted_at: Option<DateTime<Utc>>,
    /// How often it was refused.
    pub refused: u64,
    /// When last.
    pub refused_at: Option<DateTime<Utc>>,
}

/// A credential that something else issued, to be brought under management.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Adoption {
    /// The stable name it gets.
    #[schema(example = "legacy/smtp-relay", max_length = 128)]
    pub name: String,
    /// Where it is used.
    pub environment: Environment,
    /// What it is made of.
    pub kind: Kind,
    /// What issued it.
    #[schema(max_length = 128)]
    pub issuer: String,
    /// Who uses it.
    #[schema(value_type = String)]
    pub client: ClientId,
    /// The team that answers for it.
    #[schema(max_length = 128)]
    pub owner: String,
    /// Whom it may be shown to.
    #[schema(max_length = 128)]
    pub audience: String,
    /// What it allows.
    #[serde(default)]
    pub scopes: Vec<String>,
    /// How much harm misuse would do.
    pub tier: Tier,
    /// Regulatory tags.
    #[serde(default)]
    pub tags: Vec<String>,
    /// SHA-256 of the secret (`sha256:…`): the secret itself never travels.
    #[schema(value_type = String, example = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")]
    pub digest: Digest,
    /// When it was made.
    pub issued_at: DateTime<Utc>,
    /// When it ends; none means never.
    #[serde(default)]
    pub expires_at: Option<DateTime<Utc>>,
    /// How often it must rotate, in seconds.
    #[serde(default)]
    pub cadence_s: Option<u64>,
}

/// Somebody who holds a scope that a request asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ScopeHolder {
    /// The credential's name.
    pub credential: String,
    /// Its owner.
    pub owner: String,
    /// When it ends.
    pub expires_at: Option<DateTime<Utc>>,
}
