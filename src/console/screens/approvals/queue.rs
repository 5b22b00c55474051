//! The queue of requests: highest risk first, then the one that ends first.

use crate::console::screens::kit::Look;
use crate::console::theme::{Role, Severity};
use crate::display::time::{ago, clock_column};
use crate::wire::burst::{Burst, Item, together};
use crate::wire::filter::Filter;
use crate::wire::{RequestId, RequestRow, RequestState, Tier};
use chrono::{DateTime, Utc};
use ratatui::style::Style;
use ratatui::text::Line;
use serde::{Deserialize, Serialize};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

/// One item of the queue: a request, or the requests of a burst.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The request, or the burst's run.
    pub key: RequestId,
    /// Its requests: one, or more than one.
    pub members: Vec<RequestId>,
}

impl Entry {
    /// Whether it is several requests.
    pub fn is_burst(&self) -> bool {
        self.members.len() > 1
    }

    /// Whether it is what `id` names, or has it in it.
    pub fn has(&self, id: RequestId) -> bool {
        self.key == id || self.members.contains(&id)
    }

    /// What is known of its requests.
    pub fn item<'a>(&self, requests: &'a BTreeMap<RequestId, RequestRow>) -> Option<Item<'a>> {
        let mut rows: Vec<&RequestRow> = self
            .members
            .iter()
            .filter_map(|id| requests.get(id))
            .collect();
        match (self.is_burst(), rows.pop()) {
            (_, None) => None,
            (false, Some(row)) => Some(Item::One(row)),
            (true, Some(row)) => {
                rows.push(row);
                Some(Item::Burst(Burst {
                    run: self.key,
                    rows,
                }))
            }
        }
    }
}

/// The items of the queue, in its order; of the burst `inside` its requests, each by itself.
pub fn entries(
    requests: &BTreeMap<RequestId, RequestRow>,
    filter: &Filter,
    inside: Option<RequestId>,
    now: DateTime<Utc>,
) -> Vec<Entry> {
    let rows = queue(requests.values(), filter, now);
    if let Some(run) = inside {
        let members = rows.into_iter().filter(|row| row.run == run);
        return members
            .map(|row| Entry {
                key: row.id,
                members: vec![row.id],
            })
            .collect();
    }
    // A row that was read before its run became a burst does not say so; those that came since do.
    let bursts: BTreeSet<RequestId> = requests
        .values()
        .filter(|row| row.burst)
        .map(|row| row.run)
        .collect();
    together(&rows, |run| bursts.contains(&run))
        .iter()
        .map(|item| Entry {
            key: item.key(),
            members: item.rows().iter().map(|row| row.id).collect(),
        })
        .collect()
}

/// How loud a tier is. HIGH and CRITICAL have the one style that nothing else has.
pub fn severity(tier: Tier) -> Severity {
    match tier {
        Tier::Low => Severity::Low,
        Tier::Elevated => Severity::Medium,
        Tier::High => Severity::High,
        Tier::Critical => Severity::Critical,
    }
}

/// The tier's word; the loud ones in capitals.
pub fn tier_word(tier: Tier) -> &'static str {
    match tier {
        Tier::Low | Tier::Elevated => tier.as_str(),
        Tier::High | Tier::Critical => severity(tier).word(),
    }
}

/// Whether a request waits for a person: to decide it, to look at it, or to try it once more.
pub fn waits(row: &RequestRow) -> bool {
    row.review_by.is_some()
        || matches!(
            row.state,
            RequestState::AwaitingApproval | RequestState::Held | RequestState::Failed
        )
}

/// The requests that a filter lets through, in the order of the queue. Without one, those that wait for people.
pub fn queue<'a>(
    requests: impl Iterator<Item = &'a RequestRow>,
    filter: &Filter,
    now: DateTime<Utc>,
) -> Vec<&'a RequestRow> {
    let mut rows: Vec<&RequestRow> = requests
        .filter(|row| {
            if filter.is_all() {
                waits(row)
            } else {
                filter.matches(*row, now)
            }
        })
        .collect();
    rows.sort_by_key(|row| {
        (
            row.review_by.is_none(),
            row.state != RequestState::AwaitingApproval,
            !waits(row),
            Reverse(row.risk),
            row.deadline.unwrap_or(DateTime::<Utc>::MAX_UTC),
            row.id,
        )
    });
    rows
}

fn left(end: Option<DateTime<Utc>>, look: &Look<'_>) -> (String, Role) {
    match end {
        None => (String::new(), Role::Muted),
        Some(at) if at <= look.now => ("ended".into(), Role::Muted),
        Some(at) => {
            let soon = (at - look.now).num_minutes() < 20;
            (
                clock_column(at - look.now),
                if soon { Role::Warn } else { Role::Text },
            )
        }
    }
}

/// The heads above [`line()`].
pub fn heads(look: &Look<'_>, columns: usize) -> Line<'static> {
    let head = look.style(Role::Head);
    let (name, wants) = widths(columns);
    let row = look
        .row()
        .put(head, " RISK         ")
        .cell(head, "CREDENTIAL", name)
        .cell(head, " REQUESTER", 14)
        .cell(head, " WHERE", 6);
    let row = if wants > 0 {
        row.cell(head, " WANTS", wants)
    } else {
        row
    };
    row.cell_right(head, "ENDS IN", 10)
        .cell_right(head, "OK", 6)
        .line()
}

fn widths(columns: usize) -> (usize, usize) {
    let rest = columns.saturating_sub(14 + 14 + 6 + 10 + 6 + 1);
    if columns >= 100 {
        (rest / 2, rest - rest / 2)
    } else {
        (rest, 0)
    }
}

/// One item on one line.
pub fn line(item: &Item<'_>, look: &Look<'_>, columns: usize, here: bool) -> Line<'static> {
    match item {
        Item::One(row) => one(row, look, columns, here),
        Item::Burst(burst) => several(burst, look, columns, here),
    }
}

/// A burst on one line: how many, the highest risk, the longest wait, the soonest end.
fn several(burst: &Burst<'_>, look: &Look<'_>, columns: usize, here: bool) -> Line<'static> {
    let (name, wants) = widths(columns);
    let text = look.style(if here { Role::Strong } else { Role::Text });
    let (time, role) = left(burst.soonest(), look);
    let environments = burst.environments();
    let words: Vec<&str> = environments.iter().map(|env| env.short()).collect();
    let worst = environments.last();
    let place = worst.map_or(text, |env| look.theme.environment(env.as_str()));
    let line = risk(burst.risk(), look, here)
        .to(14)
        .cell(look.style(Role::Strong), burst_words(burst, look), name)
        .put(text, " ")
        .cell(text, burst.requester(), 13)
        .put(text, " ");
    let line = match words.as_slice() {
        [word] => line.cell(place, word, 5),
        _ => line.cell(place, format!("{} env", words.len()), 5),
    };
    let line = if wants > 0 {
        let muted = look.style(Role::Muted);
        line.put(text, " ").cell(muted, words.join(", "), wants - 1)
    } else {
        line
    };
    line.cell_right(look.style(role), time, 10)
        .cell_right(text, look.theme.glyphs.arrow, 6)
        .line()
}

/// `BURST of 24, since 14m`
fn burst_words(burst: &Burst<'_>, look: &Look<'_>) -> String {
    let many = burst.rows.len();
    match burst.oldest() {
        Some(at) => format!("BURST of {many}, first {}", ago(at, look.now)),
        None => format!("BURST of {many}"),
    }
}

/// One request on one line.
fn one(row: &RequestRow, look: &Look<'_>, columns: usize, here: bool) -> Line<'static> {
    let (name, wants) = widths(columns);
    let text = look.style(if here { Role::Strong } else { Role::Text });
    let (time, role) = left(row.review_by.or(row.deadline), look);
    let line = risk((row.risk, row.tier), look, here)
        .to(14)
        .cell(text, &row.credential, name)
        .put(text, " ")
        .cell(text, &row.requester, 13)
        .put(text, " ")
        .cell(
            look.theme.environment(row.environment.as_str()),
            row.environment.short(),
            5,
        );
    let line = if wants > 0 {
        line.put(text, " ")
            .cell(look.style(Role::Muted), &row.wants, wants - 1)
    } else {
        line
    };
    if row.state == RequestState::AwaitingApproval {
        line.cell_right(look.style(role), time, 10)
            .cell_right(votes_style(row, look, text), votes(row, look), 6)
            .line()
    } else if row.review_by.is_some() {
        line.cell_right(look.style(Role::Bad), "GLASS BROKEN", 16)
            .line()
    } else {
        line.cell_right(look.style(state_role(row.state)), row.state.as_str(), 16)
            .line()
    }
}

/// One item on two lines of a narrow pane.
pub fn narrow(item: &Item<'_>, look: &Look<'_>, columns: usize, here: bool) -> Vec<Line<'static>> {
    let text = look.style(if here { Role::Strong } else { Role::Text });
    let row = match item {
        Item::One(row) => row,
        Item::Burst(burst) => {
            let (time, role) = left(burst.soonest(), look);
            let head = risk(burst.risk(), look, here)
                .to(14)
                .put(look.style(role), format!(" {time}"));
            let what = look
                .row()
                .put(text, "   ")
                .at_most(text, burst.requester(), columns / 3)
                .put(text, "  ");
            let room = columns.saturating_sub(what.columns());
            let what = what.at_most(text, burst_words(burst, look), room);
            return vec![head.line(), what.line()];
        }
    };
    let (time, role) = left(row.review_by.or(row.deadline), look);
    let head = risk((row.risk, row.tier), look, here)
        .to(14)
        .put(look.style(role), format!(" {time}"));
    let votes = if row.state == RequestState::AwaitingApproval {
        format!("{} ", votes(row, look))
    } else if row.review_by.is_some() {
        "GLASS BROKEN ".to_owned()
    } else {
        format!("{} ", row.state)
    };
    let arrow = look.theme.glyphs.arrow;
    let what = look
        .row()
        .put(text, "   ")
        .at_most(text, &row.requester, columns / 3)
        .put(look.style(Role::Muted), format!(" {arrow} "));
    let room = columns.saturating_sub(what.columns());
    vec![
        head.end(votes_style(row, look, text), votes, columns)
            .line(),
        what.at_most(text, &row.credential, room).line(),
    ]
}

/// Approvals that count of those needed, behind a sign where one was lost.
fn votes(row: &RequestRow, look: &Look<'_>) -> String {
    let sign = if row.void > 0 {
        look.theme.glyphs.alert
    } else {
        ""
    };
    format!("{sign}{}/{}", row.approvals, row.needed)
}

fn votes_style(row: &RequestRow, look: &Look<'_>, usual: Style) -> Style {
    if row.void > 0 {
        look.style(Role::Warn)
    } else {
        usual
    }
}

fn risk(
    (score, tier): (u8, Tier),
    look: &Look<'_>,
    here: bool,
) -> crate::console::screens::kit::Row {
    let severity = severity(tier);
    let cursor = if here { look.theme.glyphs.cursor } else { " " };
    look.row()
        .put(look.style(Role::Focused), cursor)
        .put(look.style(Role::Severity(severity)), tier_word(tier))
        .to(10)
        .cell_right(look.style(Role::Text), score.to_string(), 3)
}

/// The style of a request's state.
pub fn state_role(state: RequestState) -> Role {
    match state {
        RequestState::Failed | RequestState::Denied => Role::Bad,
        RequestState::Held | RequestState::AwaitingApproval | RequestState::Lapsed => Role::Warn,
        RequestState::Issued | RequestState::Claimed | RequestState::Delivered => Role::Good,
        _ => Role::Muted,
    }
}
