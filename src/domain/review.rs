//! Access review: whoever answers for a credential says now and then that it is still needed, or gives it up.

use super::{Credential, Tier, credential::CredentialState, words::words};
use chrono::{DateTime, Duration, Utc};
use serde::{Deserialize, Serialize};

/// How often a credential of high or critical tier must be confirmed.
pub const CADENCE_HIGH: Duration = Duration::days(90);
/// How often any other must be.
pub const CADENCE: Duration = Duration::days(180);
/// For how long before its date a review counts as due.
pub const NOTICE: Duration = Duration::days(14);

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

/// How often a credential of this tier must be confirmed.
pub const fn cadence(tier: Tier) -> Duration {
    match tier {
        Tier::High | Tier::Critical => CADENCE_HIGH,
        Tier::Low | Tier::Elevated => CADENCE,
    }
}

impl Credential {
    /// Until when it must be confirmed: counted from the last time that it was, else from its beginning.
    pub fn review_due_at(&self) -> DateTime<Utc> {
        let since = self
            .confirmed
            .as_ref()
            .map_or(self.created_at, |confirmation| confirmation.at);
        since + cadence(self.tier)
    }

    /// Where its review stands; none for a credential that has ended, which nobody needs to look at any more.
    pub fn review(&self, now: DateTime<Utc>) -> Option<ReviewState> {
        let ended = matches!(
            self.state(now),
            CredentialState::Revoked | CredentialState::Expired
        );
        let due = self.review_due_at();
        match () {
            () if ended => None,
            () if due <= now => Some(ReviewState::Overdue),
            () if due - NOTICE <= now => Some(ReviewState::Due),
            () => Some(ReviewState::Confirmed),
        }
    }
}
