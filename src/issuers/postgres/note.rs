//! What a login's comment at the server says: who made it, for which attempt, when.

use super::MintOrder;
use serde::{Deserialize, Serialize};

/// Marks our logins among all others, beside the broker's name.
const MADE_BY: &str = "countersign";

/// The comment, as JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Note {
    made_by: String,
    /// Which broker.
    pub(super) broker: String,
    /// Which attempt.
    pub(super) attempt: String,
    /// What was asked for, by its name in the configuration.
    pub(super) role: String,
    /// The credential's name, for people who look there.
    pub(super) credential: String,
    /// When, by the server's clock, in seconds since 1970.
    pub(super) at: i64,
}

impl Note {
    pub(super) fn new(broker: &str, order: &MintOrder, at: i64) -> Self {
        Self {
            made_by: MADE_BY.to_owned(),
            broker: broker.to_owned(),
            attempt: order.attempt_key.clone(),
            role: order.role.clone(),
            credential: order.credential.clone(),
            at,
        }
    }

    pub(super) fn text(&self) -> String {
        serde_json::to_string(self).expect("plain data serialises")
    }

    /// The note of this broker in a comment; none if it is somebody else's, or no note at all.
    pub(super) fn of(comment: Option<&str>, broker: &str) -> Option<Self> {
        let note: Self = serde_json::from_str(comment?).ok()?;
        (note.made_by == MADE_BY && note.broker == broker).then_some(note)
    }
}
