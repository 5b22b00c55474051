//! Rotation: a newer version takes the place of the one in use, and nobody is refused meanwhile.
//!
//! How often, with how much overlap and when not is a table of the policy, which the log holds as it was at the time
//! ([`RotationRules`]). When a credential is due follows from that table and from its version in use; a record
//! ([`Rotation`]) exists only from the moment at which it begins, and is forgotten once enough others have ended.

use super::{
    Credential, CredentialId, Digest, Environment, Kind, RotationId, Tier, event::is_zero,
    words::words,
};
use chrono::{DateTime, Duration, Utc};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

mod freeze;
mod rules;

pub use freeze::{Freeze, Moment, When};
pub use rules::{Planned, RotationPolicy, RotationRules, Schedule};

words! {
    /// Where a rotation is. One that has not begun is `scheduled`, and no record.
    RotationState, "rotation state" {
        /// Its time will come.
        Scheduled => "scheduled",
        /// Its time has come: it waits for its turn.
        Due => "due",
        /// The newer version is being made.
        Minting => "minting",
        /// Made, in nobody's hands, and not tried yet.
        Warm => "warm",
        /// Being tried; then waiting for whoever uses it to take it.
        Checking => "checking",
        /// The newer version is in use.
        Promoted => "promoted",
        /// In use, and the older one still accepted beside it.
        Overlapping => "overlapping",
        /// The older version is accepted no more.
        Completed => "completed",
        /// The older version is in use as before.
        RolledBack => "rolled_back",
        /// It came to nothing; the older version is in use as before.
        Failed => "failed",
    }

    /// Why a rotation began.
    RotationCause, "rotation cause" {
        /// Its cadence was up.
        Schedule => "schedule",
        /// The secret is known to somebody who should not know it.
        Compromise => "compromise",
        /// Somebody who had the secret left.
        Offboarding => "offboarding",
        /// A policy came in force under which it was due already.
        Policy => "policy",
        /// Somebody wanted it.
        Operator => "operator",
    }

    /// What a rotation failed or was rolled back for.
    Setback, "setback" {
        /// The issuer did not make the newer version.
        Issuer => "issuer",
        /// The newer version did not pass its check.
        Check => "check",
        /// Nobody took the newer version in time.
        Unclaimed => "unclaimed",
        /// A version's life was over before its successor was in use.
        Expired => "expired",
        /// The credential or the newer version was withdrawn meanwhile.
        Withdrawn => "withdrawn",
        /// A person ended it.
        Operator => "operator",
    }
}

impl RotationState {
    /// Whether nothing further happens to it.
    pub const fn ended(self) -> bool {
        matches!(self, Self::Completed | Self::RolledBack | Self::Failed)
    }

    /// Whether the newer version is in use.
    pub const fn promoted(self) -> bool {
        matches!(self, Self::Promoted | Self::Overlapping | Self::Completed)
    }

    /// Whether it has begun, and the newer version is not in use yet.
    pub const fn before_promotion(self) -> bool {
        matches!(
            self,
            Self::Due | Self::Minting | Self::Warm | Self::Checking
        )
    }
}

/// What one rotation goes by, from the policy in force when it began.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Terms {
    /// For how long the older version is accepted beside the newer one at most, in seconds.
    pub overlap_s: u64,
    /// The overlap ends once nobody has used the older version for so long, in seconds.
    pub unused_s: u64,
    /// By how much the older version's life is extended, once, when it would end first; in seconds.
    pub fallback_s: u64,
    /// Within how long of its making the newer version must be in use, in seconds.
    pub promote_within_s: u64,
    /// The policy's version.
    pub policy_version: u32,
    /// SHA-256 of the policy's text.
    pub policy_digest: Digest,
}

/// A rotation's place among others that were begun together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Member {
    /// The first of them.
    pub of: RotationId,
    /// From 0. A wave begins once all of the waves before it are in use or have ended.
    pub wave: u32,
}

/// Going back to the older version of a secret that services read at a destination: it is put there again, and only
/// then is the newer one's overlap, and its end, begun.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Return {
    /// Who wanted it: a handle, or a part of the broker.
    pub by: String,
    /// What for.
    pub setback: Setback,
    /// Why, in their words; unchecked.
    pub reason: String,
    /// When the older secret was back at its place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub done_at: Option<DateTime<Utc>>,
}

/// One rotation and all that became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rotation {
    /// Which rotation.
    pub id: RotationId,
    /// Of which credential.
    pub credential: CredentialId,
    /// The version that was in use when it began.
    pub from: u32,
    /// The newer version, once it was made.
    pub to: Option<u32>,
    /// Why it began.
    pub cause: RotationCause,
    /// Who began it: a handle, or a part of the broker.
    pub by: String,
    /// Why, in their words; unchecked.
    pub reason: String,
    /// Where it is.
    pub state: RotationState,
    /// When it was due by cadence; none where it does not rotate by itself.
    pub due_at: Option<DateTime<Utc>>,
    /// From when on it counts as late.
    pub late_at: Option<DateTime<Utc>>,
    /// The freeze window that moved its due date.
    pub frozen: Option<String>,
    /// What it goes by.
    pub terms: Terms,
    /// Its place among others that were begun together.
    pub member: Option<Member>,
    /// When it began.
    pub started_at: DateTime<Utc>,
    /// Until when the newer version must be in use.
    pub deadline: Option<DateTime<Utc>>,
    /// How often making the newer version was begun.
    pub attempts: u32,
    /// Where the issuer knows the attempt under way: logged before the secret is made.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub attempt_locator: BTreeMap<String, String>,
    /// When the newer version was made.
    pub minted_at: Option<DateTime<Utc>>,
    /// What tries it.
    pub checked_by: String,
    /// When it passed.
    pub checked_at: Option<DateTime<Utc>>,
    /// What the check saw.
    pub check: String,
    /// When the secret left the broker.
    pub handed_at: Option<DateTime<Utc>>,
    /// To whom: a handle, or a destination.
    pub handed_to: String,
    /// When the newer version went into use.
    pub promoted_at: Option<DateTime<Utc>>,
    /// The hard stop of the overlap.
    pub overlap_until: Option<DateTime<Utc>>,
    /// That it goes back to the older version, once that was wanted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub going_back: Option<Return>,
    /// Until when the older version's life was extended.
    pub extended_until: Option<DateTime<Utc>>,
    /// When it ended.
    pub ended_at: Option<DateTime<Utc>>,
    /// What it failed or was rolled back for.
    pub setback: Option<Setback>,
    /// What the last attempt, the check or whoever ended it said.
    pub failure: Option<String>,
    /// For how many seconds no version was accepted before the newer one was in use.
    pub gap_s: u64,
    /// Sequence of the last change.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub sequence: u64,
    /// Sequences of its latest events, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub trail: Vec<u64>,
}

impl Rotation {
    /// Whether it takes one of the places of its environment's batch: nobody is waited for but issuer and check.
    pub fn at_work(&self) -> bool {
        matches!(self.state, RotationState::Minting | RotationState::Warm)
            || self.state == RotationState::Checking && self.checked_at.is_none()
    }

    /// Whether the newer version was in use in time; `None` where that cannot be said (yet).
    pub fn on_schedule(&self) -> Option<bool> {
        let late_at = self.late_at?;
        match self.promoted_at {
            Some(at) => Some(at <= late_at),
            None => self.state.ended().then_some(false),
        }
    }

    /// How long it took until the newer version was in use.
    pub fn took(&self) -> Option<Duration> {
        Some(self.promoted_at? - self.started_at)
    }

    /// Whether the older secret is back where services read it, and the newer version is the one that goes.
    pub fn is_back(&self) -> bool {
        self.going_back
            .as_ref()
            .is_some_and(|back| back.done_at.is_some())
    }

    /// The version that goes when the overlap is over.
    pub fn outgoing(&self) -> Option<u32> {
        if self.is_back() {
            self.to
        } else {
            Some(self.from)
        }
    }

    /// From when on nobody was to use [`Rotation::outgoing`] any more.
    pub fn outgoing_since(&self) -> Option<DateTime<Utc>> {
        let back = self.going_back.as_ref().and_then(|back| back.done_at);
        back.or(self.promoted_at)
    }

    /// Whether `credential` has moved on under it, so that its end is to be recorded.
    pub fn out_of_step(&self, credential: &Credential) -> bool {
        let accepted = |number| {
            credential
                .version(number)
                .is_some_and(|version| version.state.accepted())
        };
        if self.state.ended() {
            false
        } else if credential.revoked.is_some() {
            true
        } else if self.state.promoted() {
            !accepted(self.from) || !self.to.is_some_and(accepted)
        } else {
            self.to.is_some_and(|to| !accepted(to))
        }
    }

    /// Whether the broker has something to do about it now, or another has.
    pub fn wants_work(&self, credential: &Credential) -> bool {
        match self.state {
            RotationState::Due | RotationState::Minting | RotationState::Warm => true,
            RotationState::Checking if self.checked_at.is_none() => true,
            RotationState::Checking if credential.destination.is_some() => true,
            RotationState::Overlapping
                if credential.destination.is_some() && self.handed_at.is_none() =>
            {
                true
            }
            RotationState::Overlapping if self.going_back.is_some() && !self.is_back() => true,
            _ => self.out_of_step(credential),
        }
    }
}

/// That a rotation of a credential came to nothing: how often in a row, and from when on it is tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retry {
    /// How many in a row.
    pub failures: u32,
    /// Not before.
    pub at: DateTime<Utc>,
}

/// What all rotations so far came to. Rotations themselves are forgotten; this is not.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// How many began.
    pub started: u64,
    /// How many put a newer version into use.
    pub promoted: u64,
    /// How many of them had a date, and kept it.
    pub on_schedule: u64,
    /// How many had a date, and missed it or came to nothing.
    pub late: u64,
    /// How many ended with the older version gone.
    pub completed: u64,
    /// How many were rolled back, by what for.
    pub rolled_back: BTreeMap<Setback, u64>,
    /// How many of those once the newer version was in use: they count among the promoted too.
    pub rolled_back_late: u64,
    /// How many failed, by what for.
    pub failed: BTreeMap<Setback, u64>,
    /// How often an older version's life was extended.
    pub extended: u64,
    /// Seconds in which a credential had no accepted version before its newer one was in use.
    pub downtime_s: u64,
}

/// Whether a list of what a schedule or freeze is for covers `value`; an empty one covers all.
fn fits<T: PartialEq>(list: &[T], value: &T) -> bool {
    list.is_empty() || list.contains(value)
}

/// What a schedule is chosen by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Class {
    /// What it is made of.
    pub kind: Kind,
    /// Where it is used.
    pub environment: Environment,
    /// How much harm misuse would do.
    pub tier: Tier,
}

impl From<&Credential> for Class {
    fn from(credential: &Credential) -> Self {
        Self {
            kind: credential.kind,
            environment: credential.environment,
            tier: credential.tier,
        }
    }
}
