//! Access review: whoever answers for a credential says now and then that it is still needed, or gives it up.

use super::{Credential, Tier, credential::CredentialState, words::words};
use chrono::{DateTime, Duration, Utc};
use serde::{Deserialize, Serialize};

/// The longest time between two confirmations that a policy can ask for, in seconds: ten years.
const LONGEST_S: u64 = 315_360_000;

/// How often each credential must be confirmed. Part of the policy: `reviews.json`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cadence {
    /// How often, in seconds.
    pub every_s: EveryTier,
    /// For how long before its date a review counts as due, in seconds.
    pub notice_s: u64,
}

/// One figure for each tier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EveryTier {
    /// For `low`.
    pub low: u64,
    /// For `elevated`.
    pub elevated: u64,
    /// For `high`.
    pub high: u64,
    /// For `critical`.
    pub critical: u64,
}

impl Default for Cadence {
    /// What holds where a policy does not say: every half year, and every quarter for what could do much harm.
    fn default() -> Self {
        let (half_year, quarter) = (180 * 86_400, 90 * 86_400);
        Self {
            every_s: EveryTier {
                low: half_year,
                elevated: half_year,
                high: quarter,
                critical: quarter,
            },
            notice_s: 14 * 86_400,
        }
    }
}

impl Cadence {
    /// How often a credential of this tier must be confirmed.
    pub fn every(&self, tier: Tier) -> Duration {
        let every = &self.every_s;
        span(match tier {
            Tier::Low => every.low,
            Tier::Elevated => every.elevated,
            Tier::High => every.high,
            Tier::Critical => every.critical,
        })
    }

    /// What is wrong with it, and what would be accepted.
    pub fn fault(&self) -> Option<String> {
        Tier::ALL.iter().find_map(|tier| {
            let every = self.every(*tier).num_seconds().unsigned_abs();
            let accepted = every > self.notice_s && every < LONGEST_S;
            (!accepted).then(|| {
                format!("a review of tier {tier} every {every} s: expected more than the notice of {} s, and less than ten years", self.notice_s)
            })
        })
    }
}

fn span(seconds: u64) -> Duration {
    Duration::seconds(seconds.min(LONGEST_S).cast_signed())
}

words! {
    /// Where the review of a credential stands.
    ReviewState, "review state" {
        /// Confirmed, or new, and its date is not near.
        Confirmed => "confirmed",
        /// Its date is near.
        Due => "due",
        /// Its date has passed.
        Overdue => "overdue",
    }
}

/// Somebody has said that a credential is still needed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Confirmation {
    /// Who, by handle.
    pub by: String,
    /// What for, in their words.
    pub reason: String,
    /// When.
    pub at: DateTime<Utc>,
}

impl Credential {
    /// Until when it must be confirmed: counted from the last time that it was, else from its beginning.
    pub fn review_due_at(&self, cadence: &Cadence) -> DateTime<Utc> {
        let since = self
            .confirmed
            .as_ref()
            .map_or(self.created_at, |confirmation| confirmation.at);
        since + cadence.every(self.tier)
    }

    /// Where its review stands; none for a credential that has ended, which nobody needs to look at any more.
    pub fn review(&self, cadence: &Cadence, now: DateTime<Utc>) -> Option<ReviewState> {
        let due = self.review_due_at(cadence);
        match () {
            () if self.has_ended(now) => None,
            () if due <= now => Some(ReviewState::Overdue),
            () if due - span(cadence.notice_s) <= now => Some(ReviewState::Due),
            () => Some(ReviewState::Confirmed),
        }
    }

    /// Whether nothing of it can be accepted any more.
    pub fn has_ended(&self, now: DateTime<Utc>) -> bool {
        matches!(
            self.state(now),
            CredentialState::Revoked | CredentialState::Expired
        )
    }
}
