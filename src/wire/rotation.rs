//! Rotations: the calendar, one with its steps, and how well cadences are kept.

use super::{CredentialId, Environment, EventRecord, Kind, RotationId, Tier};
pub use crate::domain::rotation::{RotationCause, RotationState, Setback};
use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The steps of a rotation, as screens number them.
pub const STEPS: usize = 6;

/// One rotation that runs or has ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct RotationRow {
    /// Which rotation.
    #[schema(value_type = String)]
    pub id: RotationId,
    /// Of which credential.
    #[schema(value_type = String)]
    pub credential: CredentialId,
    /// Its name.
    pub credential_name: String,
    /// Where it is used.
    pub environment: Environment,
    /// What it is made of.
    pub kind: Kind,
    /// How much harm misuse would do.
    pub tier: Tier,
    /// The team that answers for it.
    pub owner: String,
    /// Where it is.
    pub state: RotationState,
    /// Why it began.
    pub cause: RotationCause,
    /// Who began it.
    pub by: String,
    /// The older version.
    pub from: u32,
    /// The newer one, once it was made.
    pub to: Option<u32>,
    /// The step that it is at, from 1 to [`STEPS`].
    pub step: u8,
    /// When the older version was made: where its bar begins.
    pub from_since: DateTime<Utc>,
    /// When it was due by cadence.
    pub due_at: Option<DateTime<Utc>>,
    /// From when on it counts as late.
    pub late_at: Option<DateTime<Utc>>,
    /// The freeze window that moved its due date.
    pub frozen: Option<String>,
    /// When it began.
    pub started_at: DateTime<Utc>,
    /// When the newer version was made.
    pub minted_at: Option<DateTime<Utc>>,
    /// When the newer version went into use.
    pub promoted_at: Option<DateTime<Utc>>,
    /// The hard stop of the overlap.
    pub overlap_until: Option<DateTime<Utc>>,
    /// Until when the newer version must be in use.
    pub deadline: Option<DateTime<Utc>>,
    /// Until when the older version's life was extended.
    pub extended_until: Option<DateTime<Utc>>,
    /// When it ended.
    pub ended_at: Option<DateTime<Utc>>,
    /// What it failed or was rolled back for.
    pub setback: Option<Setback>,
    /// What the last attempt, the check or whoever ended it said.
    pub failure: Option<String>,
    /// When the older version was last used, as far as is known.
    pub from_used_at: Option<DateTime<Utc>>,
    /// The first of those that it was begun with.
    #[schema(value_type = Option<String>)]
    pub group: Option<RotationId>,
    /// Its wave among them: those of a lower one come first.
    pub wave: u32,
    /// Sequence of the last change.
    pub sequence: u64,
}

/// A rotation that has not begun.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct PlannedRow {
    /// Of which credential.
    #[schema(value_type = String)]
    pub credential: CredentialId,
    /// Its name.
    pub credential_name: String,
    /// Where it is used.
    pub environment: Environment,
    /// What it is made of.
    pub kind: Kind,
    /// How much harm misuse would do.
    pub tier: Tier,
    /// The team that answers for it.
    pub owner: String,
    /// The version that is in use.
    pub from: u32,
    /// When that was made: where its bar begins.
    pub from_since: DateTime<Utc>,
    /// When the rotation begins by itself: its due date, or later after one that came to nothing.
    pub begins_at: DateTime<Utc>,
    /// When it is due by cadence, jitter included.
    pub due_at: DateTime<Utc>,
    /// From when on it is overdue.
    pub late_at: DateTime<Utc>,
    /// The freeze window that moved its due date.
    pub frozen: Option<String>,
    /// How often rotations of it came to nothing in a row.
    pub failures: u32,
    /// For how long both versions will be accepted at most, in seconds.
    pub overlap_s: u64,
}

/// What is done on one day.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct RotationDay {
    /// The day, in UTC.
    #[schema(value_type = String, format = Date)]
    pub date: NaiveDate,
    /// How many begin by themselves.
    pub planned: u64,
    /// How many put a newer version into use.
    pub promoted: u64,
    /// How many failed or were rolled back.
    pub failed: u64,
}

/// How well cadences are kept by one team, tier or environment.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Compliance {
    /// Which.
    pub name: String,
    /// Credentials that have a cadence.
    pub cadenced: u64,
    /// Of them: whose version in use is younger than its cadence.
    pub on_schedule: u64,
    /// Of them: due, and not overdue.
    pub due: u64,
    /// Of them: overdue.
    pub overdue: u64,
    /// Of them: overdue, and no issuer here can make a newer version; somebody must do so by hand.
    pub by_hand: u64,
}

/// What rotations came to, from the log.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct RotationMeasures {
    /// How many began, ever.
    pub started: u64,
    /// How many put a newer version into use.
    pub promoted: u64,
    /// How many ended with the older version gone.
    pub completed: u64,
    /// How many had a date and kept it, of all that had one; 0 to 1. `null` while none had.
    pub on_schedule: Option<f64>,
    /// How many put a newer version into use, of all that did or came to nothing; 0 to 1.
    pub success: Option<f64>,
    /// How many failed, by what for.
    pub failed: BTreeMap<String, u64>,
    /// How many were rolled back, by what for.
    pub rolled_back: BTreeMap<String, u64>,
    /// How often an older version's life was extended.
    pub extended: u64,
    /// Seconds in which a credential had no accepted version before its newer one was in use.
    pub downtime_s: u64,
    /// From its beginning to the newer version in use, in seconds, over the latest 4,096: mean and 95th percentile.
    pub mean_s: Option<f64>,
    /// See `mean_s`.
    pub p95_s: Option<f64>,
}

/// A time in which nothing rotates by itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct FreezeWindow {
    /// What people call it.
    pub name: String,
    /// Where; everywhere if empty.
    pub environments: Vec<Environment>,
    /// When it begins.
    pub from: DateTime<Utc>,
    /// When it is over.
    pub until: DateTime<Utc>,
}

/// Figures over the whole fleet that the caller may see.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct RotationSummary {
    /// Day by day over the range.
    pub days: Vec<RotationDay>,
    /// By team, most overdue first; at most 50.
    pub teams: Vec<Compliance>,
    /// By tier.
    pub tiers: Vec<Compliance>,
    /// By environment.
    pub environments: Vec<Compliance>,
    /// What rotations came to.
    pub measures: RotationMeasures,
}

/// Rotations past and to come.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct RotationCalendar {
    /// The range: from.
    pub from: DateTime<Utc>,
    /// The range: until.
    pub until: DateTime<Utc>,
    /// The time of the answer.
    pub now: DateTime<Utc>,
    /// Those that run, whatever the range; longest first.
    pub running: Vec<RotationRow>,
    /// Those that ended in the range, latest first.
    pub ended: Vec<RotationRow>,
    /// Those to come in the range, soonest first; what is due already comes first of all.
    pub planned: Vec<PlannedRow>,
    /// How many are to come in the range.
    pub planned_total: u64,
    /// How many of them are overdue.
    pub overdue: u64,
    /// Freeze windows in the range.
    pub freezes: Vec<FreezeWindow>,
    /// Which policy says so: its version; 0 before any does.
    pub policy_version: u32,
    /// Figures over the whole fleet, if they were asked for.
    pub summary: Option<RotationSummary>,
    /// The sequence that it was read from.
    pub sequence: u64,
}

/// One step of a rotation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct RotationStep {
    /// From 1.
    pub number: u8,
    /// What is done.
    pub name: String,
    /// `done`, `now`, `next`, `failed` or `skipped`.
    pub state: String,
    /// When it was done.
    pub at: Option<DateTime<Utc>>,
    /// How long it took, in milliseconds.
    pub took_ms: Option<u64>,
    /// What was seen, or what it waits for.
    pub note: String,
}

/// Who still uses which version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Reader {
    /// The gateway that asked or reported; `this broker` where an operator's token asked.
    pub name: String,
    /// From where, where the gateway said so.
    pub network: Option<String>,
    /// The version that it last used.
    pub version: u32,
    /// How often it was accepted since the broker's start.
    pub accepted: u64,
    /// When last.
    pub last_used_at: DateTime<Utc>,
}

/// Whether, until when and with what effect it can be rolled back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Undo {
    /// Whether it can be.
    pub possible: bool,
    /// Until when.
    pub until: Option<DateTime<Utc>>,
    /// What would happen, or why it cannot.
    pub effect: String,
}

/// One rotation, with everything that belongs to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct RotationDetail {
    /// The row that lists show.
    pub row: RotationRow,
    /// Why it began, in words; unchecked.
    pub reason: String,
    /// Its steps.
    pub steps: Vec<RotationStep>,
    /// What it waits for now, in a sentence.
    pub guard: String,
    /// Rolling back.
    pub undo: Undo,
    /// Who used which version when, as far as is known; latest first.
    pub readers: Vec<Reader>,
    /// For how long the older version is accepted beside the newer one at most, in seconds.
    pub overlap_s: u64,
    /// The overlap ends once nobody has used the older version for so long, in seconds.
    pub unused_s: u64,
    /// The policy that it goes by: its version.
    pub policy_version: u32,
    /// SHA-256 of that policy's text.
    pub policy_digest: String,
    /// How often making the newer version was begun.
    pub attempts: u32,
    /// To whom the secret went: a handle, or a destination; empty before.
    pub handed_to: String,
    /// Others that were begun with it, by wave.
    pub group: Vec<RotationRow>,
    /// Its latest events, newest first.
    pub trail: Vec<EventRecord>,
}

/// Rotating a credential.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Rotate {
    /// `operator` if left out; `compromise` makes the overlap short, `offboarding` is for when somebody left.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<RotationCause>,
    /// Why; kept in the log. 1 to 2,000 bytes.
    #[schema(max_length = 2000)]
    pub reason: String,
}

/// Rotating several credentials, in the order of who depends on whom.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RotateGroup {
    /// Which; 1 to 256.
    #[schema(value_type = Vec<String>, min_items = 1, max_items = 256)]
    pub credentials: Vec<CredentialId>,
    /// As for one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<RotationCause>,
    /// Why; kept in the log. 1 to 2,000 bytes.
    #[schema(max_length = 2000)]
    pub reason: String,
}

/// The newer secret, once.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ClaimedRotation {
    /// The rotation.
    #[schema(value_type = String)]
    pub rotation: RotationId,
    /// The credential.
    #[schema(value_type = String)]
    pub credential: CredentialId,
    /// Its newer version.
    pub version: u32,
    /// `token` for an `api_key` or a `jwt`; `username` and `password` for a database login. Empty on a repetition: the secret was
    /// delivered already.
    pub secret: BTreeMap<String, String>,
    /// Set on a repetition of a claim by the same idempotency key.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub secret_already_delivered: bool,
    /// When it ends.
    pub expires_at: Option<DateTime<Utc>>,
    /// The sequence of the claim.
    pub sequence: u64,
}

impl std::fmt::Debug for ClaimedRotation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClaimedRotation")
            .field("rotation", &self.rotation)
            .field("version", &self.version)
            .finish_non_exhaustive()
    }
}
