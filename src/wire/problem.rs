//! RFC 9457 problem details: every refusal and every failure on the wire.

use super::FieldError;
use serde::{Deserialize, Serialize};

/// Whose turn it is to change something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Fault {
    /// The caller's: the same call will be refused again.
    Caller,
    /// Ours: the same call may succeed later.
    System,
}

/// What went wrong, for people and programs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Problem {
    /// A stable slug under `/problems/`.
    #[serde(rename = "type")]
    #[schema(example = "/problems/stale")]
    pub kind: String,
    /// The slug in words.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What happened in this case, and what would be accepted.
    pub detail: String,
    /// The request id.
    pub instance: String,
    /// Whose fault.
    pub fault: Fault,
    /// When it may work, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_s: Option<u64>,
    /// The fields that were not acceptable.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FieldError>,
    /// Trace id, 32 hex digits, where the caller sent one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<String>,
    /// For a stale object: the sequence that it has now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current_sequence: Option<u64>,
    /// For a stale object: what happened to it since it was looked at.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changed: Vec<String>,
}

impl Problem {
    /// The slug without its path: `stale`.
    pub fn slug(&self) -> &str {
        self.kind.strip_prefix("/problems/").unwrap_or(&self.kind)
    }
}
