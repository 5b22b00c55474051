//! Everything that the first screen needs, in one answer. Each figure is counted from the state, none is kept by hand.

use super::{EventRecord, ProposalRow, RequestRow, RevocationRow};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// How many living credentials end within a span.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Bucket {
    /// The span's word: `<1h`, `<24h`, `<7d`, `<30d`, `<90d`, `>90d`, `never`.
    pub label: String,
    /// How many.
    pub count: u64,
    /// The filter that lists them.
    pub filter: String,
}

/// How credentials keep to their cadence.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
pub struct RotationFigures {
    /// Living credentials.
    pub living: u64,
    /// Of these, with a cadence.
    pub covered: u64,
    /// Of the covered, past it.
    pub overdue: u64,
    /// The one that is longest overdue, by name.
    pub oldest_overdue: Option<String>,
    /// Since when that one is overdue.
    pub oldest_overdue_since: Option<DateTime<Utc>>,
    /// Of the covered, due within a day.
    pub due_24h: u64,
    /// Due per kind and day, for the coming 14 days.
    pub heat: Vec<HeatRow>,
}

/// One row of the heat strip.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct HeatRow {
    /// The kind.
    pub kind: String,
    /// How many are due on each of the coming 14 days; the first is today, UTC.
    pub days: Vec<u64>,
}

/// Issuance over the last day.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
pub struct IssuanceFigures {
    /// Requests received per hour, oldest first, 24 of them.
    pub per_hour: Vec<u64>,
    /// Secrets made.
    pub issued: u64,
    /// Attempts that failed.
    pub failed: u64,
    /// Requests denied, by policy or people.
    pub denied: u64,
    /// From approval to the made secret, median, in milliseconds.
    pub p50_ms: Option<u64>,
    /// The same, 95th percentile.
    pub p95_ms: Option<u64>,
    /// The same, 99th percentile.
    pub p99_ms: Option<u64>,
    /// Made, in parts per 10,000 of all attempts that ended.
    pub good_bp: Option<u32>,
}

/// Decisions of people.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ApprovalFigures {
    /// Waiting now.
    pub open: u64,
    /// As a queue shows them: what belongs to one burst counts once.
    #[serde(default)]
    pub items: u64,
    /// Of these, ending within 20 minutes.
    pub ending_soon: u64,
    /// Issued without a quorum, in an emergency: others must still look at these.
    #[serde(default)]
    pub reviews_owed: u64,
    /// Proposed policies that wait.
    #[serde(default)]
    pub policies: u64,
    /// The one of them that ends first.
    #[serde(default)]
    pub policy: Option<ProposalRow>,
    /// The waiting request that ends first.
    pub soonest: Option<RequestRow>,
    /// Ages of the waiting ones: under 5 min, under 15 min, under an hour, older.
    pub ages: Vec<u64>,
    /// From asking to decision over 30 days, median, in seconds.
    pub decide_p50_s: Option<u64>,
    /// The same, 95th percentile.
    pub decide_p95_s: Option<u64>,
}

/// Revocations over 30 days.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
pub struct RevocationFigures {
    /// How many.
    pub count: u64,
    /// From command to proof at the issuer, median, in milliseconds.
    pub p50_ms: Option<u64>,
    /// The same, 95th percentile.
    pub p95_ms: Option<u64>,
    /// The longest.
    pub max_ms: Option<u64>,
    /// Not confirmed by their issuer yet, oldest first, at most 8.
    pub pending: Vec<RevocationRow>,
    /// That a gateway has yet to apply, and its objective is over; oldest first, at most 8.
    #[serde(default)]
    pub late: Vec<RevocationRow>,
}

/// What breaks a rule without being urgent.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
pub struct HygieneFigures {
    /// Living credentials without an end.
    pub never_expiring: u64,
    /// Not used for 45 days, though older than that.
    pub unused_45d: u64,
    /// Whose owner is `nobody`, or whose client was taken out of service.
    pub orphaned: u64,
    /// In quarantine.
    pub quarantined: u64,
    /// Not confirmed by their owner in time.
    #[serde(default)]
    pub review_overdue: u64,
}

/// The first screen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Overview {
    /// The state that the figures were counted from.
    pub sequence: u64,
    /// The broker's clock.
    pub now: DateTime<Utc>,
    /// Time to expiry of living credentials.
    pub lifetimes: Vec<Bucket>,
    /// Cadence.
    pub rotation: RotationFigures,
    /// Issuance.
    pub issuance: IssuanceFigures,
    /// Approvals.
    pub approvals: ApprovalFigures,
    /// Revocations.
    pub revocations: RevocationFigures,
    /// Hygiene.
    pub hygiene: HygieneFigures,
    /// Issuers that cannot be reached, with what they said.
    pub degraded: Vec<super::IssuerHealth>,
    /// The latest events, newest first, at most 16.
    pub recent: Vec<EventRecord>,
}
