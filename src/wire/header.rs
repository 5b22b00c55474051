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

/// By what a gateway proves who it is where `Authorization` is its caller's.
pub const GATEWAY_TOKEN: &str = "countersign-gateway-token";
/// The method of the call that a gateway asks about.
pub const ORIGINAL_METHOD: &str = "x-original-method";
/// Path and query of the call that a gateway asks about, as they came.
pub const ORIGINAL_URI: &str = "x-original-uri";
/// The address of whoever called a gateway.
pub const REAL_IP: &str = "x-real-ip";
/// The addresses that a call has come by; the last is whoever called the gateway.
pub const FORWARDED_FOR: &str = "x-forwarded-for";
/// Which credential was shown.
pub const CREDENTIAL: &str = "x-countersign-credential";
/// Whose it is.
pub const CLIENT: &str = "x-countersign-client";
/// Its name.
pub const SUBJECT: &str = "x-countersign-subject";
/// What it allows, separated by spaces; `-` for nothing.
pub const SCOPES: &str = "x-countersign-scopes";
/// When it ends, in seconds since 1970, or `never`.
pub const EXPIRES: &str = "x-countersign-expires";
/// `allow` or `deny`.
pub const DECISION: &str = "x-countersign-decision";
/// Why not, in a word.
pub const REASON: &str = "x-countersign-reason";
