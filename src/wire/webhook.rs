//! What receivers of webhooks are sent: CloudEvents 1.0 in structured JSON, signed as Standard Webhooks has it.

use super::{CredentialRow, RequestRow};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// The envelope.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CloudEvent {
    /// `1.0`.
    pub specversion: String,
    /// The same for every delivery of an event, and as `webhook-id`: what was seen already can be dropped.
    pub id: String,
    /// The broker, by its log's origin.
    pub source: String,
    /// The event's type, such as `request.approved`.
    #[serde(rename = "type")]
    pub kind: String,
    /// When it happened.
    pub time: DateTime<Utc>,
    /// What it is about, by identifier.
    pub subject: String,
    /// `application/json`.
    pub datacontenttype: String,
    /// What happened.
    pub data: Happened,
}

/// What happened, in few words: never a secret, and never the event's own fields, which the log has.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Happened {
    /// The log's sequence: receivers hear of events in this order.
    pub sequence: u64,
    /// What it is about, by name, where it has one.
    pub subject_name: String,
    /// Who did it, by handle, or the part of the broker.
    pub actor: String,
    /// The credential that it changed, as it is when this is sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential: Option<CredentialRow>,
    /// The request that it changed, as it is when this is sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<RequestRow>,
}
