//! A stable name under which versions come and go.

use super::{
    ClientId, CredentialId, Delivery, Destination, Digest, Environment, Kind, RequestId,
    RevocationId, Text, Texts, Tier, review::Confirmation, words::words,
};
use crate::domain::event::is_zero;
use chrono::{DateTime, Duration, Utc};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

words! {
    /// Where a version is in its life. Accepted are `warm`, `active` and `retiring`.
    VersionState, "version state" {
        /// Made, not yet in anybody's hands.
        Warm => "warm",
        /// In use.
        Active => "active",
        /// Still accepted beside a newer one, until its end.
        Retiring => "retiring",
        /// Its overlap is over.
        Retired => "retired",
        /// Never went into service.
        Discarded => "discarded",
        /// Withdrawn.
        Revoked => "revoked",
        /// Its lifetime is over.
        Expired => "expired",
    }

    /// What follows for a credential from its versions and flags.
    CredentialState, "credential state" {
        /// Has an active version.
        Active => "active",
        /// A newer version is warm, or an older one still retiring.
        Rotating => "rotating",
        /// All versions refused, reversibly.
        Quarantined => "quarantined",
        /// Withdrawn.
        Revoked => "revoked",
        /// No version is alive.
        Expired => "expired",
    }
}

impl VersionState {
    /// Whether a version in this state is accepted (while it has not expired).
    pub const fn accepted(self) -> bool {
        matches!(self, Self::Warm | Self::Active | Self::Retiring)
    }
}

/// One generation of secret material.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Version {
    /// From 1.
    pub number: u32,
    /// Where it is in its life.
    pub state: VersionState,
    /// SHA-256 of the secret, where the broker itself must recognise it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<Digest>,
    /// Where the issuer knows it: lease, accessor, login name. Never a secret.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub locator: BTreeMap<String, String>,
    /// The request that it was made for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<RequestId>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it ends; none means never.
    pub expires_at: Option<DateTime<Utc>>,
    /// When its overlap with a newer version ends, once it is retiring.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retires_at: Option<DateTime<Utc>>,
    /// How its secret gets to its destination. Boxed: most have none, and there may be a million.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivery: Option<Box<Delivery>>,
}

impl Version {
    /// Whether it is accepted at `now`, its credential's flags aside.
    pub fn accepted(&self, now: DateTime<Utc>) -> bool {
        self.state.accepted() && self.ends_at().is_none_or(|end| now < end)
    }

    /// The end of its life or of its overlap, whichever comes first.
    pub fn ends_at(&self) -> Option<DateTime<Utc>> {
        match (self.expires_at, self.retires_at) {
            (Some(expiry), Some(retirement)) => Some(expiry.min(retirement)),
            (one, other) => one.or(other),
        }
    }
}

/// One credential.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Credential {
    /// Which credential.
    pub id: CredentialId,
    /// The stable name, unique within its environment.
    pub name: Text,
    /// Where it is used.
    pub environment: Environment,
    /// What it is made of.
    pub kind: Kind,
    /// The issuer that makes it, by configured name.
    pub issuer: Text,
    /// What the issuer is asked for: a vault path for `vault_lease`, a configured role for `database_role`,
    /// empty for `api_key` and `jwt`.
    pub role: Text,
    /// Who uses it.
    pub client: ClientId,
    /// The team that answers for it.
    pub owner: Text,
    /// Whom it may be shown to.
    pub audience: Text,
    /// What it allows.
    pub scopes: Texts,
    /// How much harm misuse would do.
    pub tier: Tier,
    /// Regulatory tags, such as `pci`.
    pub tags: Texts,
    /// When the name was first issued or adopted.
    pub created_at: DateTime<Utc>,
    /// How often it must rotate, in seconds; none where it does not.
    pub cadence_s: Option<u64>,
    /// Oldest first; numbers ascend.
    pub versions: Vec<Version>,
    /// Since when all versions are refused, reversibly.
    pub quarantined_at: Option<DateTime<Utc>>,
    /// The revocation of the whole credential.
    pub revoked: Option<RevocationId>,
    /// Who said last that it is still needed. Boxed: most have none, and there may be a million.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirmed: Option<Box<Confirmation>>,
    /// Where its secrets are put, if not into the hands of whoever asks. Boxed, as above.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub destination: Option<Box<Destination>>,
    /// Sequence of the last change.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub sequence: u64,
    /// Sequences of its latest events, oldest first, at most [`TRAIL`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub trail: Vec<u64>,
}

/// How many of its latest events a credential or request remembers the place of.
pub const TRAIL: usize = 16;

/// Remembers `sequence` as the latest event of something, forgetting the oldest beyond [`TRAIL`].
pub fn remember(trail: &mut Vec<u64>, sequence: u64) {
    if trail.len() == TRAIL {
        trail.remove(0);
    }
    trail.push(sequence);
}

impl Credential {
    /// Gives back the room that its lists have to spare: a fleet is mostly at rest.
    pub(super) fn fit(&mut self) {
        self.versions.shrink_to_fit();
        self.trail.shrink_to_fit();
    }

    /// The numbers of the versions that are neither over nor withdrawn; ascending.
    pub fn accepted_versions(&self) -> Vec<u32> {
        let accepted = self.versions.iter().filter(|held| held.state.accepted());
        accepted.map(|held| held.number).collect()
    }

    /// What follows from versions and flags at `now`.
    pub fn state(&self, now: DateTime<Utc>) -> CredentialState {
        if self.revoked.is_some() {
            CredentialState::Revoked
        } else if self.quarantined_at.is_some() {
            CredentialState::Quarantined
        } else {
            let accepted = self
                .versions
                .iter()
                .filter(|version| version.accepted(now))
                .count();
            match accepted {
                0 if self
                    .versions
                    .last()
                    .is_some_and(|last| last.state == VersionState::Revoked) =>
                {
                    CredentialState::Revoked
                }
                0 => CredentialState::Expired,
                1 => CredentialState::Active,
                _ => CredentialState::Rotating,
            }
        }
    }

    /// The version that is in use: the active one, else the newest accepted.
    pub fn current(&self) -> Option<&Version> {
        self.versions
            .iter()
            .find(|version| version.state == VersionState::Active)
            .or_else(|| {
                self.versions
                    .iter()
                    .rev()
                    .find(|version| version.state.accepted())
            })
    }

    /// The version with this number.
    pub fn version(&self, number: u32) -> Option<&Version> {
        self.versions
            .iter()
            .find(|version| version.number == number)
    }

    /// The number that the next version gets.
    pub fn next_number(&self) -> u32 {
        self.versions.last().map_or(1, |last| last.number + 1)
    }

    /// When the credential as a whole ends: the end of its current version. `None` if it never does.
    pub fn expires_at(&self) -> Option<DateTime<Utc>> {
        self.current()
            .or(self.versions.last())
            .and_then(|version| version.expires_at)
    }

    /// When renewal is planned: after two thirds of the current version's life.
    pub fn renew_at(&self) -> Option<DateTime<Utc>> {
        let current = self.current()?;
        let life = current.expires_at? - current.created_at;
        Some(current.created_at + Duration::milliseconds(life.num_milliseconds() / 3 * 2))
    }

    /// When the current version must have been replaced by cadence.
    pub fn rotation_due_at(&self) -> Option<DateTime<Utc>> {
        let seconds = i64::try_from(self.cadence_s?).ok()?;
        self.current()
            .map(|version| version.created_at + Duration::seconds(seconds))
    }
}
