//! What can be asked of lists and of the stream.

use super::call::Call;
use super::stream::Follow;

/// Which rows of a list, in which order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListQuery {
    /// In the filter language (`state:active env:production`); everything if left out.
    pub filter: Option<String>,
    /// A column, with `-` before it for descending; the list's own order if left out.
    pub sort: Option<String>,
    /// Rows a page; the broker's own number if left out.
    pub limit: Option<u64>,
    /// Where the last page ended.
    pub cursor: Option<String>,
}

impl ListQuery {
    /// Everything that a filter matches, in the list's own order.
    pub fn filter(filter: impl Into<String>) -> Self {
        Self {
            filter: Some(filter.into()),
            ..Self::default()
        }
    }

    /// At most so many rows a page.
    pub fn limit(self, rows: u64) -> Self {
        Self {
            limit: Some(rows),
            ..self
        }
    }

    pub(super) fn apply(&self, mut call: Call) -> Call {
        for (name, value) in [
            ("filter", &self.filter),
            ("sort", &self.sort),
            ("cursor", &self.cursor),
        ] {
            if let Some(value) = value {
                call = call.query(name, value);
            }
        }
        match self.limit {
            Some(limit) => call.query("limit", limit),
            None => call,
        }
    }
}

/// Which events of the stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventQuery {
    /// Only what is about this object, by identifier.
    pub subject: Option<String>,
    /// Only events of this type, such as `request.approved`.
    pub kind: Option<String>,
    /// Only what happened after this sequence; from now on if left out.
    pub after: Option<u64>,
}

impl EventQuery {
    /// What to follow, from `head` on unless the query says from where.
    pub(super) fn follow(self, head: u64) -> Follow {
        let mut follow = Follow::all(self.after.unwrap_or(head));
        for (name, value) in [("subject", self.subject), ("type", self.kind)] {
            follow
                .filters
                .extend(value.map(|value| (name.to_owned(), value)));
        }
        follow
    }
}
