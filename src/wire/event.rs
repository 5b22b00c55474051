//! Events as the stream and the audit screen carry them. Types that this build does not know pass through.

use super::{CredentialRow, RequestRow, RevocationRow, RotationRow};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// Who acted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ActorView {
    /// The operator's identifier, if it was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Their handle, or the part of the broker.
    pub name: String,
    /// The token that they were signed in with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// The address that the command came from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
}

/// One event of the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct EventRecord {
    /// The sequence: how long the log is with this event. The leaf's index is one less.
    pub sequence: u64,
    /// When.
    pub at: DateTime<Utc>,
    /// The type, such as `request.approved`.
    #[serde(rename = "type")]
    #[schema(example = "request.approved")]
    pub kind: String,
    /// What it is about, by identifier.
    pub subject: String,
    /// What it is about, by name, where it has one.
    #[serde(default)]
    pub subject_name: String,
    /// Who did it.
    pub actor: ActorView,
    /// The call that caused it.
    pub request_id: String,
    /// The event's own fields.
    #[schema(value_type = Object)]
    pub data: serde_json::Value,
}

/// One item of the stream: an event, and the rows of what it changed as they are now.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct FeedItem {
    /// The event.
    pub event: EventRecord,
    /// The credential that it changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential: Option<CredentialRow>,
    /// The request that it changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<RequestRow>,
    /// The revocation that it began, or brought further.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revocation: Option<RevocationRow>,
    /// The rotation that it began, or brought further.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotation: Option<RotationRow>,
}
