//! Time is an argument everywhere else: `clippy.toml` bans clock reads outside this file.

use chrono::{DateTime, Utc};

/// The wall clock, UTC, cut to whole milliseconds: what an event's time is written with.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "this is the one place")]
pub fn now() -> DateTime<Utc> {
    let now = Utc::now();
    DateTime::from_timestamp_millis(now.timestamp_millis()).unwrap_or(now)
}
