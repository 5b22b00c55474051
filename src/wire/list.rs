//! Lists: pages for people and programs, streams for whole lists.

use serde::{Deserialize, Serialize};

/// Part of a list. Stable under inserts: the cursor names the last row, not its place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Page<T> {
    /// The rows.
    pub items: Vec<T>,
    /// Pass as `cursor` for the next page; none on the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
    /// How many rows match the filter in all.
    pub total: u64,
    /// The state that the rows were read from.
    pub sequence: u64,
}

/// The first line of a streamed list, and the head of a columnar one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ListHeader {
    /// How many rows follow.
    pub count: u64,
    /// The state that they were read from: follow the stream from here.
    pub sequence: u64,
}
