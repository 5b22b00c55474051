//! RFC 9457 problem details, as the broker sends them.

use serde::{Deserialize, Serialize};

/// Why the broker refused or failed. Its words came over the wire: sanitise them before showing them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Problem {
    /// A stable slug.
    #[serde(rename = "type")]
    pub kind: String,
    /// The class of problem, in words.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// This occurrence, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// The request id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
    /// `caller` or `system`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fault: Option<String>,
    /// When to come back, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after_s: Option<u64>,
    /// What is wrong with which field.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FieldError>,
}

/// One field's fault.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct FieldError {
    /// JSON pointer into the request's body.
    pub pointer: String,
    /// What is wrong, and what would be accepted.
    pub detail: String,
}
