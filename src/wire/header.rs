//! Names of headers and media types, so that both sides spell them once.

/// The state that an answer was read from, or the answer's own write.
pub const SEQUENCE: &str = "countersign-sequence";
/// Makes a POST safe to repeat.
pub const IDEMPOTENCY_KEY: &str = "idempotency-key";
/// Set on an answer that repeats an earlier one.
pub const IDEMPOTENCY_REPLAYED: &str = "idempotency-replayed";
/// Names a call in logs and problems.
pub const REQUEST_ID: &str = "x-request-id";
/// Seconds since the state that an answer was read from was known to be durable; only when the store is gone.
pub const STATE_AGE: &str = "countersign-state-age";
/// A list, a row a line.
pub const NDJSON: &str = "application/x-ndjson";
/// A list in columnar blocks.
pub const COLUMNS: &str = "application/vnd.countersign.columns";
/// Problem details.
pub const PROBLEM: &str = "application/problem+json";
