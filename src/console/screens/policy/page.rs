//! The parts of the policy screen as lines: the list, one proposal, one version.

use super::{Item, decide::missing};
use crate::console::screens::kit::Look;
use crate::console::theme::Role;
use crate::display::diff::{self, Line as Changed};
use crate::display::time::{ago, count};
use crate::wire::{
    Policies, PolicyDetail, PolicyRow, ProposalDetail, ProposalRow, ProposalState, Simulation,
    policy_digest,
};
use ratatui::text::Line;
use std::collections::{BTreeMap, BTreeSet};

/// Lines around a change.
const CONTEXT: usize = 1;
/// Differences of a simulation that are listed.
const DIFFERENCES: usize = 12;

/// The rule above the list; a policy that cannot be asked says here why not.
pub fn title(all: &Policies, look: &Look<'_>, columns: usize) -> Vec<Line<'static>> {
    if all.fault.is_empty() {
        let note = format!("version {} decides", all.in_force);
        return vec![look.rule("POLICY", &note, columns)];
    }
    let mut lines = vec![look.rule_in("POLICY", "every request is refused", columns, Role::Bad)];
    lines.extend(look.wrapped(Role::Bad, " ", &all.fault, columns));
    lines
}

/// One row of the list.
pub fn row(
    all: &Policies,
    item: Item,
    here: bool,
    look: &Look<'_>,
    columns: usize,
) -> Line<'static> {
    let cursor = if here { look.theme.glyphs.cursor } else { " " };
    let text = look.style(if here { Role::Strong } else { Role::Text });
    let found = match item {
        Item::Proposal(id) => all
            .proposals
            .iter()
            .find(|row| row.id == id)
            .map(|row| proposal_cells(row, look)),
        Item::Version(version) => all
            .versions
            .iter()
            .find(|row| row.version == version)
            .map(|row| version_cells(row, look)),
    };
    let Some((name, role, state, who)) = found else {
        return Line::default();
    };
    look.row()
        .put(text, cursor)
        .put(text, " ")
        .cell(text, name, 13)
        .cell(look.style(role), state, 26)
        .at_most(text, who, columns.saturating_sub(41))
        .line()
}

type Cells = (String, Role, String, String);

fn proposal_cells(row: &ProposalRow, look: &Look<'_>) -> Cells {
    let who = format!("{}: {}", row.proposed_by, row.reason);
    if row.state != ProposalState::AwaitingApproval {
        let state = format!("  {}, {}", row.state, ago(row.proposed_at, look.now));
        return ("proposed".to_owned(), Role::Muted, state, who);
    }
    let state = format!(
        "{} {} of {}, {}",
        look.theme.glyphs.ring,
        row.approvals,
        row.needed,
        ago(row.deadline, look.now)
    );
    let who = format!("{}; {who}", missing(row));
    ("proposed".to_owned(), Role::Warn, state, who)
}

fn version_cells(row: &PolicyRow, look: &Look<'_>) -> Cells {
    let since = row
        .since
        .map_or_else(|| "shipped".to_owned(), |since| ago(since, look.now));
    let (role, state) = if row.in_force {
        (
            Role::Good,
            format!("{} in force, {since}", look.theme.glyphs.dot),
        )
    } else {
        (Role::Muted, format!("  past, {since}"))
    };
    let who = if row.approved_by.is_empty() {
        row.reason.clone()
    } else {
        format!(
            "{}, approved by {}",
            row.proposed_by,
            row.approved_by.join(", ")
        )
    };
    (format!("version {}", row.version), role, state, who)
}

/// A proposal: may I, what changes, what it would have decided, the words.
pub fn proposal(
    detail: &ProposalDetail,
    simulation: Option<&Simulation>,
    simulating: bool,
    look: &Look<'_>,
    columns: usize,
) -> Vec<Line<'static>> {
    let row = &detail.row;
    // Of the text that is shown here, not what the broker says that it is.
    let digest = policy_digest(&detail.files);
    let mut lines = vec![look.rule(
        "PROPOSAL",
        &format!("in place of version {}", row.base),
        columns,
    )];
    let (role, may) = if detail.may_decide.allowed {
        (Role::Good, "you may decide this".to_owned())
    } else {
        let others = match detail.deciders.join(", ") {
            names if names.is_empty() => "nobody can".to_owned(),
            names => format!("these can: {names}"),
        };
        (
            Role::Warn,
            format!("you may not: {}; {others}", detail.may_decide.detail),
        )
    };
    lines.extend(look.wrapped(role, " ", &may, columns));
    let needs = format!(
        "{} of {} from {}; {}; text {}",
        row.approvals,
        row.needed,
        row.groups.join(" or "),
        match row.state {
            ProposalState::AwaitingApproval => missing(row),
            state => format!("it is {state}"),
        },
        digest.short()
    );
    lines.extend(look.wrapped(Role::Text, " ", &needs, columns));
    if digest != row.digest {
        let words = "the broker names another digest than this text has: do not approve it";
        lines.extend(look.wrapped(Role::Bad, " ", words, columns));
    }
    for given in &detail.approvals {
        let (role, how) = match (&given.void, &given.key) {
            (Some(why), _) => (Role::Warn, format!("; it no longer counts: {why}")),
            (None, Some(key)) => (Role::Text, format!(", signed by {key}")),
            (None, None) => (Role::Text, String::new()),
        };
        let at = ago(given.at, look.now);
        let words = format!("approved by {}, {at}{how}", given.by);
        lines.extend(look.wrapped(role, " ", &words, columns));
    }
    if let Some(by) = &detail.ended_by {
        let reason = detail.end_reason.as_deref().unwrap_or_default();
        let words = format!("{} by {by}: {reason}", row.state);
        lines.extend(look.wrapped(Role::Bad, " ", &words, columns));
        if let Some(proof) = &detail.end_proof {
            lines.extend(look.wrapped(Role::Muted, " ", &proof.words(), columns));
        }
    }
    lines.extend(simulated(simulation, simulating, look, columns));
    lines.push(look.rule("WHAT IT CHANGES", "", columns));
    lines.extend(changes(&detail.before, &detail.files, look, columns));
    lines.push(look.rule("THEIR WORDS, UNCHECKED", "", columns));
    lines.extend(look.quoted(Role::Text, " │ ", &row.reason, columns));
    lines
}

/// What it would have decided otherwise, in short.
pub fn simulated_words(simulation: Option<&Simulation>, simulating: bool) -> String {
    match simulation {
        Some(simulation) => format!(
            "{} of {} decisions would differ",
            count(simulation.differ),
            count(simulation.decisions)
        ),
        None if simulating => "taking recorded decisions again".to_owned(),
        None => "not known what it would have decided".to_owned(),
    }
}

/// The files that it changes, by name.
pub fn changed_files(detail: &ProposalDetail) -> Vec<&str> {
    let (before, after) = (&detail.before, &detail.files);
    let names: BTreeSet<_> = before.keys().chain(after.keys()).collect();
    names
        .into_iter()
        .filter(|name| before.get(*name) != after.get(*name))
        .map(String::as_str)
        .collect()
}

fn simulated(
    simulation: Option<&Simulation>,
    simulating: bool,
    look: &Look<'_>,
    columns: usize,
) -> Vec<Line<'static>> {
    let note = simulated_words(simulation, simulating);
    let mut lines = vec![look.rule("SIMULATION", &note, columns)];
    let Some(simulation) = simulation else {
        return lines;
    };
    if simulation.without_facts > 0 {
        let words = format!(
            "{} more of the last {} days have no recorded facts",
            count(simulation.without_facts),
            simulation.days
        );
        lines.extend(look.wrapped(Role::Muted, " ", &words, columns));
    }
    // At 80 columns what would be decided is shown whole, and the name gives way.
    let name = (columns / 4).saturating_sub(1).max(12);
    for different in simulation.differences.iter().take(DIFFERENCES) {
        lines.push(
            look.row()
                .put(look.style(Role::Text), " ")
                .at_most(look.style(Role::Text), &different.credential, name - 1)
                .to(name + 1)
                .cell(look.style(Role::Muted), different.before.line(), 22)
                .put(
                    look.style(Role::Muted),
                    format!("{} ", look.theme.glyphs.arrow),
                )
                .at_most(
                    look.style(Role::Strong),
                    different.after.line(),
                    columns.saturating_sub(name + 25),
                )
                .line(),
        );
    }
    let listed = simulation.differences.len().min(DIFFERENCES) as u64;
    if simulation.differ > listed {
        let words = format!("and {} more", count(simulation.differ - listed));
        lines.extend(look.wrapped(Role::Muted, " ", &words, columns));
    }
    lines
}

/// A version: who approved it, what it changed, its files.
pub fn version(detail: &PolicyDetail, look: &Look<'_>, columns: usize) -> Vec<Line<'static>> {
    let row = &detail.row;
    let state = if row.in_force { "in force" } else { "past" };
    let mut lines = vec![look.rule(&format!("VERSION {}", row.version), state, columns)];
    let words = match row.since {
        Some(since) => format!(
            "proposed by {}, approved by {}, {}; text {}",
            row.proposed_by,
            row.approved_by.join(" and "),
            ago(since, look.now),
            row.digest.short()
        ),
        None => format!("ships with the program; text {}", row.digest.short()),
    };
    lines.extend(look.wrapped(Role::Text, " ", &words, columns));
    if row.since.is_some() {
        lines.push(look.rule("WHAT IT CHANGED", "", columns));
        lines.extend(changes(&detail.before, &detail.files, look, columns));
        lines.push(look.rule("THEIR WORDS, UNCHECKED", "", columns));
        lines.extend(look.quoted(Role::Text, " │ ", &row.reason, columns));
    }
    lines.push(look.rule("FILES", "enter shows the text", columns));
    for (name, text) in &detail.files {
        lines.push(
            look.row()
                .cell_right(
                    look.style(Role::Muted),
                    count(text.lines().count() as u64),
                    7,
                )
                .put(look.style(Role::Text), "  ")
                .at_most(look.style(Role::Text), name, columns.saturating_sub(9))
                .line(),
        );
    }
    lines
}

fn changes(
    before: &BTreeMap<String, String>,
    after: &BTreeMap<String, String>,
    look: &Look<'_>,
    columns: usize,
) -> Vec<Line<'static>> {
    let mut lines = Vec::new();
    let names: BTreeSet<_> = before.keys().chain(after.keys()).collect();
    for name in names {
        let (old, new) = (before.get(name), after.get(name));
        if old == new {
            continue;
        }
        let mark = match (old, new) {
            (None, _) => ", new",
            (_, None) => ", gone",
            _ => "",
        };
        lines.push(look.line(Role::Strong, format!(" {name}{mark}")));
        let (old, new) = (old.map_or("", |text| text), new.map_or("", |text| text));
        for line in diff::hunks(old, new, CONTEXT) {
            // What does not fit goes on the next line: nothing of a change is cut away.
            let (role, lead, text) = match line {
                None => (Role::Muted, "     ", "…"),
                Some(Changed::Same(text)) => (Role::Muted, "     ", text),
                Some(Changed::Removed(text)) => (Role::Bad, "   - ", text),
                Some(Changed::Added(text)) => (Role::Good, "   + ", text),
            };
            lines.extend(look.verbatim(role, lead, text, columns));
        }
    }
    if lines.is_empty() {
        lines.push(look.line(Role::Muted, " nothing"));
    }
    lines
}
