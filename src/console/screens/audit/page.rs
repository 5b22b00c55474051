//! The parts of the audit screen as lines: the chain, the list, one record, and what the shown records are about.

use crate::client::chain::ChainState;
use crate::console::screens::kit::Look;
use crate::console::theme::{Role, Severity};
use crate::display::time::count;
use crate::wire::EventRecord;
use ratatui::text::Line;
use serde_json::Value;
use std::collections::BTreeMap;

/// What the console's own check of the log came to; an alarm says how to check again.
pub fn chain(state: &ChainState, look: &Look<'_>, columns: usize) -> Vec<Line<'static>> {
    let ascii_arrow = look.theme.glyphs.arrow;
    match state {
        ChainState::Whole {
            size,
            root,
            key,
            key_on_trust,
        } => {
            let trust = if *key_on_trust {
                " on first trust"
            } else {
                " as configured"
            };
            let flow = look
                .flow(columns, 1)
                .piece(look.style(Role::Text), "chain", 0)
                .piece(
                    look.style(Role::Good),
                    format!("{} whole", look.theme.glyphs.dot),
                    1,
                )
                .piece(
                    look.style(Role::Text),
                    format!("checked here #1{ascii_arrow}#{}", count(*size)),
                    3,
                )
                .piece(
                    look.style(Role::Muted),
                    format!("root {}", root.get(..16).unwrap_or(root)),
                    3,
                )
                .piece(look.style(Role::Muted), format!("key {key}{trust}"), 3);
            flow.lines()
        }
        ChainState::Alarm(alarm) => {
            let loud = Role::Severity(Severity::Critical);
            let mut lines = look
                .flow(columns, 1)
                .piece(
                    look.style(loud),
                    format!("{} ALARM {}", look.theme.glyphs.alert, alarm.word),
                    0,
                )
                .piece(look.style(Role::Bad), &alarm.detail, 2)
                .lines();
            let text = "Nothing can be changed from here. Check it again, by other means:";
            lines.push(look.line(Role::Text, format!(" {text}")));
            lines.extend(look.wrapped(Role::Strong, "   ", &alarm.command, columns));
            if let Some(place) = &alarm.evidence {
                let text = format!("both signed heads are kept in {place}");
                lines.extend(look.wrapped(Role::Text, " ", &text, columns));
            }
            lines
        }
        ChainState::Unreachable { detail, .. } => {
            let (words, role) = crate::console::chain::short(state, look.theme);
            look.flow(columns, 1)
                .piece(look.style(role), words, 0)
                .piece(look.style(Role::Muted), detail, 2)
                .lines()
        }
        _ => {
            let (words, role) = crate::console::chain::short(state, look.theme);
            vec![look.line(role, format!(" {words}"))]
        }
    }
}

/// Where a record stands to the check, as a sign and a word.
pub fn checked(
    state: &ChainState,
    sequence: u64,
    look: &Look<'_>,
) -> (&'static str, &'static str, Role) {
    let glyphs = look.theme.glyphs;
    let until = match state {
        ChainState::Whole { size, .. } => *size,
        ChainState::Checking { checked, .. } | ChainState::Unreachable { checked, .. } => *checked,
        ChainState::Unchecked => 0,
        ChainState::Alarm(_) => return (glyphs.alert, "the log failed its check", Role::Bad),
    };
    if sequence <= until {
        (glyphs.dot, "checked here", Role::Good)
    } else {
        (glyphs.ring, "not checked yet", Role::Muted)
    }
}

/// What a record is about, by name where it has one.
pub fn object(record: &EventRecord) -> &str {
    if record.subject_name.is_empty() {
        &record.subject
    } else {
        &record.subject_name
    }
}

/// Columns for the object: what the fixed ones leave.
fn object_columns(columns: usize) -> usize {
    columns.saturating_sub(1 + 8 + 1 + 12 + 1 + 11 + 1 + 21 + 1 + 2)
}

/// The heads above [`line()`].
pub fn heads(look: &Look<'_>, columns: usize) -> Line<'static> {
    let head = look.style(Role::Head);
    look.row()
        .cell_right(head, "SEQ", 9)
        .put(head, " ")
        .cell(head, "TIME", 13)
        .cell(head, "ACTOR", 12)
        .cell(head, "ACTION", 22)
        .cell(head, "OBJECT", object_columns(columns))
        .line()
}

/// One record on one line.
pub fn line(
    record: &EventRecord,
    state: &ChainState,
    look: &Look<'_>,
    columns: usize,
    here: bool,
) -> Line<'static> {
    let text = look.style(if here { Role::Strong } else { Role::Text });
    let cursor = if here { look.theme.glyphs.cursor } else { " " };
    let (sign, _, role) = checked(state, record.sequence, look);
    let kind = if record.kind.ends_with("denied") || record.kind.ends_with("failed") {
        look.style(Role::Bad)
    } else {
        text
    };
    let time = look.time.short(record.at, look.now);
    look.row()
        .put(look.style(Role::Focused), cursor)
        .cell_right(text, count(record.sequence), 8)
        .put(text, " ")
        .cell(look.style(Role::Muted), time, 12)
        .put(text, " ")
        .cell(text, &record.actor.name, 11)
        .put(text, " ")
        .cell(kind, &record.kind, 21)
        .put(text, " ")
        .cell(text, object(record), object_columns(columns))
        .put(look.style(role), format!(" {sign}"))
        .line()
}

/// One record in full, its data as readable keys and values.
pub fn record(
    record: &EventRecord,
    state: &ChainState,
    look: &Look<'_>,
    columns: usize,
) -> Vec<Line<'static>> {
    let (sign, words, role) = checked(state, record.sequence, look);
    let mut lines = vec![look.rule_in(
        &format!("#{}  {}", count(record.sequence), record.kind),
        sign,
        columns,
        role,
    )];
    let mut fact = |label: &str, text: &str, role: Role| {
        let flow = look
            .flow(columns, 10)
            .piece(look.style(Role::Muted), format!("{label:<8}"), 0)
            .piece(look.style(role), text, 1);
        lines.extend(flow.lines());
    };
    let mut who = record.actor.name.clone();
    for (word, part) in [
        ("", &record.actor.id),
        ("from ", &record.actor.from),
        ("token ", &record.actor.token),
    ] {
        if let Some(part) = part {
            who += &format!("  {word}{part}");
        }
    }
    fact("who", &who, Role::Strong);
    let about = if record.subject_name.is_empty() {
        record.subject.clone()
    } else {
        format!("{}  {}", record.subject_name, record.subject)
    };
    fact("what", &about, Role::Text);
    fact("when", &crate::display::time::record(record.at), Role::Text);
    fact("call", &record.request_id, Role::Muted);
    let mut quotes = Vec::new();
    for (key, value) in flat(&record.data) {
        // Words that a person wrote stay behind the gutter, wherever they are in a record.
        if matches!(
            key.rsplit('.').next(),
            Some("reason" | "detail" | "contact" | "failure")
        ) {
            quotes.push((key, value));
        } else {
            fact(&key, &value, Role::Text);
        }
    }
    for (key, words) in quotes {
        let gutter = format!("   {} ", look.theme.glyphs.quote);
        lines.push(look.line(Role::Muted, format!(" {key}")));
        lines.extend(look.quoted(Role::Quote, &gutter, &words, columns));
    }
    let text = format!(
        "proof    leaf {}, {words}",
        record.sequence.saturating_sub(1)
    );
    lines.extend(look.wrapped(role, " ", &text, columns));
    lines
}

/// A record's data as keys and values: objects by dotted keys, lists on one line.
pub fn flat(data: &Value) -> Vec<(String, String)> {
    let mut out = Vec::new();
    push_flat("", data, &mut out);
    out
}

fn push_flat(prefix: &str, value: &Value, out: &mut Vec<(String, String)>) {
    match value {
        Value::Object(members) => {
            for (key, value) in members {
                let key = if prefix.is_empty() {
                    key.clone()
                } else {
                    format!("{prefix}.{key}")
                };
                push_flat(&key, value, out);
            }
        }
        Value::Null => {}
        Value::Array(items) if items.iter().any(|item| item.is_object() || item.is_array()) => {
            for (n, item) in items.iter().enumerate() {
                push_flat(&format!("{prefix}.{}", n + 1), item, out);
            }
        }
        Value::Array(items) => {
            let words: Vec<String> = items.iter().map(plain).collect();
            let text = if words.is_empty() {
                "none".to_owned()
            } else {
                words.join("  ")
            };
            out.push((prefix.to_owned(), text));
        }
        scalar => out.push((prefix.to_owned(), plain(scalar))),
    }
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// What the shown records are about: their families of actions and their actors, the most frequent first.
pub fn facets<'a>(
    records: impl Iterator<Item = &'a EventRecord>,
    look: &Look<'_>,
    columns: usize,
) -> Vec<Line<'static>> {
    let mut families: BTreeMap<&str, u64> = BTreeMap::new();
    let mut actors: BTreeMap<&str, u64> = BTreeMap::new();
    let mut n = 0;
    for record in records {
        let family = record.kind.split('.').next().unwrap_or(&record.kind);
        *families.entry(family).or_default() += 1;
        *actors.entry(&record.actor.name).or_default() += 1;
        n += 1;
    }
    let mut lines = vec![look.rule("FACETS", &format!("of the {n} loaded"), columns)];
    for (label, counts) in [("action", families), ("actor", actors)] {
        let mut counts: Vec<_> = counts.into_iter().collect();
        counts.sort_by_key(|(name, n)| (std::cmp::Reverse(*n), *name));
        let mut row = look
            .row()
            .cell(look.style(Role::Muted), format!(" {label}"), 8);
        for (name, n) in counts {
            let part = format!("  {name} {n}");
            if row.columns() + part.chars().count() > columns {
                break;
            }
            row = row.put(look.style(Role::Text), part);
        }
        lines.push(row.line());
    }
    lines
}
