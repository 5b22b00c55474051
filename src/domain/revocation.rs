//! Revocations: effective at the broker at once, then carried to the issuer until it is proven there, and to every
//! gateway until it refuses too.

use super::{CredentialId, GatewayId, RevocationId, words::words};
use crate::domain::event::is_zero;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// How far a revocation has come at the issuer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum Enforcement {
    /// Nothing outside the broker knows of the version.
    NotNeeded,
    /// The issuer has yet to confirm.
    Pending {
        /// How often it was tried.
        attempts: u32,
        /// What it said last.
        last_error: Option<String>,
    },
    /// The issuer has withdrawn it.
    Enforced {
        /// When.
        at: DateTime<Utc>,
        /// Whether a look-up showed it gone.
        proven: bool,
    },
}

words! {
    /// How far a revocation has come outside the broker, where it has been effective from the start.
    RevocationState, "revocation state" {
        /// Nobody who must apply it has yet.
        Effective => "effective",
        /// Some have.
        Propagating => "propagating",
        /// Whoever must has.
        Propagated => "propagated",
    }

    /// How it is known that a gateway refuses what was revoked.
    Evidence, "evidence" {
        /// It asks the broker about every call, and keeps no answer.
        Asks => "asks",
        /// The longest that it may keep an answer is over.
        CacheEnded => "cache_ended",
        /// It said so.
        Acknowledged => "acknowledged",
        /// It was taken out of service, and is not waited for any more.
        Removed => "removed",
    }
}

/// One gateway's part in a revocation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reach {
    /// Which gateway.
    pub gateway: GatewayId,
    /// When it was told, where it has to be told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sent_at: Option<DateTime<Utc>>,
    /// Since when it refuses, and how that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub applied: Option<Applied>,
    /// When it was first seen to refuse: it asked about this very secret and was told no, or reports that it refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proven_at: Option<DateTime<Utc>>,
}

/// Since when a gateway refuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Applied {
    /// When.
    pub at: DateTime<Utc>,
    /// How that is known.
    pub by: Evidence,
}

/// A gateway that a revocation has reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reached {
    /// Which gateway.
    pub gateway: GatewayId,
    /// When it was told, where it had to be told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sent_at: Option<DateTime<Utc>>,
}

/// A credential that is to be withdrawn together with others, as it was when that was planned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PlannedRevocation {
    /// Which credential.
    #[schema(value_type = String)]
    pub credential: CredentialId,
    /// Its versions that are accepted; ascending.
    pub versions: Vec<u32>,
}

/// What a filter found, to be withdrawn together: exactly these credentials with exactly these versions, or nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RevocationPlan {
    /// The filter, as it was asked for.
    #[schema(max_length = 1000)]
    pub filter: String,
    /// The sequence of the state that it was made from.
    pub head: u64,
    /// What it found, by identifier; at most 256.
    #[schema(max_items = 256)]
    pub members: Vec<PlannedRevocation>,
}

/// One revocation of a credential or of one of its versions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Revocation {
    /// Which revocation.
    pub id: RevocationId,
    /// Of which credential.
    pub credential: CredentialId,
    /// Which of its versions; ascending.
    pub versions: Vec<u32>,
    /// Whether the whole credential is withdrawn for good.
    pub whole: bool,
    /// Why; free text.
    pub reason: String,
    /// Who, by handle.
    pub by: String,
    /// From when on the broker refuses it.
    pub effective_at: DateTime<Utc>,
    /// Whether the issuer has withdrawn it too.
    pub enforcement: Enforcement,
    /// The gateways that it concerns: those in service when it took effect.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reach: Vec<Reach>,
    /// Sequence of the event by which it took effect: who has applied that sequence has applied it.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub since: u64,
    /// Sequence of the last change.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub sequence: u64,
}

impl Revocation {
    /// How far it has come.
    pub fn state(&self) -> RevocationState {
        let issuer_pending = matches!(self.enforcement, Enforcement::Pending { .. });
        let applied = self.reach.iter().filter(|reach| reach.applied.is_some());
        let applied = applied.count();
        if !issuer_pending && applied == self.reach.len() {
            RevocationState::Propagated
        } else if applied > 0 || matches!(self.enforcement, Enforcement::Enforced { .. }) {
            RevocationState::Propagating
        } else {
            RevocationState::Effective
        }
    }

    /// Since when everybody who must refuses it: the last gateway's or the issuer's time. None while it propagates.
    pub fn propagated_at(&self) -> Option<DateTime<Utc>> {
        if self.state() != RevocationState::Propagated {
            return None;
        }
        let issuer = match self.enforcement {
            Enforcement::Enforced { at, .. } => Some(at),
            _ => None,
        };
        // Nobody learnt anything from a gateway that was taken out of service.
        let gateways = self.reach.iter().filter_map(|reach| reach.applied);
        gateways
            .filter(|applied| applied.by != Evidence::Removed)
            .map(|applied| applied.at)
            .chain(issuer)
            .max()
            .or(Some(self.effective_at))
    }

    /// The gateway's part in it.
    pub fn reach_of(&self, gateway: GatewayId) -> Option<&Reach> {
        self.reach.iter().find(|reach| reach.gateway == gateway)
    }
}
