//! One rotation as lines: its steps, what it waits for, who is still on the older version, what rolling back would do.

use super::entries::{Item, is_late};
use crate::console::screens::kit::{Look, beside};
use crate::console::theme::Role;
use crate::display::glyphs::bar;
use crate::display::sanitize::{Cut, fit_with};
use crate::display::time::{ago, compact, count};
use crate::wire::rotation::{PlannedRow, Reader, RotationStep};
use crate::wire::{RotationDetail, RotationRow};
use chrono::{DateTime, TimeDelta, Utc};
use ratatui::text::{Line, Span};
use std::collections::BTreeMap;

/// From this width on the steps stand beside the readers.
const WIDE: usize = 108;
/// Readers of the older version that are named where there is little room.
const FEW: usize = 1;

/// A label, and what it says on as many lines as it takes.
fn pair(
    look: &Look<'_>,
    label: &str,
    role: Role,
    text: &str,
    columns: usize,
) -> Vec<Line<'static>> {
    look.pair((label, 8), role, text, columns)
}

/// The rule of a rotation: from what to what, by whom, how far.
pub fn title(row: &RotationRow, look: &Look<'_>, columns: usize) -> Line<'static> {
    let arrow = look.theme.glyphs.arrow;
    let to = row.to.map_or_else(|| "?".to_owned(), |to| to.to_string());
    let note = if row.ended_at.is_some() {
        format!("{} by {}  {}", row.cause, row.by, row.state)
    } else {
        format!(
            "{} by {}  step {} of {}",
            row.cause,
            row.by,
            row.step,
            crate::wire::rotation::STEPS
        )
    };
    let role = if is_late(row, look.now) || row.setback.is_some() {
        Role::Bad
    } else {
        Role::Muted
    };
    let title = format!("{} v{}{arrow}v{to}", row.credential_name, row.from);
    look.rule_in(&title, &note, columns, role)
}

/// The lines of one that runs or has ended. `whole`: nothing is left out.
pub fn lines(
    detail: &RotationDetail,
    look: &Look<'_>,
    columns: usize,
    whole: bool,
) -> Vec<Line<'static>> {
    let row = &detail.row;
    let mut lines = vec![title(row, look, columns)];
    if columns >= WIDE {
        let left_columns = columns * 58 / 100;
        let right_columns = columns - left_columns - 3;
        let gap = Span::styled(
            format!(" {} ", look.theme.glyphs.vertical),
            look.style(Role::Rule),
        );
        let left = steps_tall(detail, look, left_columns);
        let right = readers_tall(detail, look, right_columns, whole);
        lines.extend(beside(
            left,
            right,
            left_columns,
            &gap,
            look.theme.glyphs.cut,
        ));
    } else {
        lines.extend(steps_short(detail, look, columns, whole));
        lines.extend(readers_short(detail, look, columns, whole));
    }
    if let Some(why) = &row.failure {
        let word = if row.setback.is_some() {
            "failed"
        } else {
            "tries"
        };
        let text = match row.setback {
            Some(setback) => format!("{setback}: {why}"),
            None => format!("{} so far, the last said: {why}", detail.attempts),
        };
        if whole {
            lines.extend(pair(look, word, Role::Bad, &text, columns));
        } else {
            let text = fit_with(
                &text,
                columns.saturating_sub(11),
                Cut::End,
                look.theme.glyphs.cut,
            );
            lines.extend(pair(look, word, Role::Bad, &text, columns));
        }
    }
    if !detail.guard.is_empty() {
        lines.extend(pair(look, "guard", Role::Strong, &detail.guard, columns));
    }
    let undo = &detail.undo;
    let text = match (undo.possible, undo.until) {
        (true, Some(until)) => format!(
            "until {}: {}",
            look.time.short(until, look.now),
            undo.effect
        ),
        (true, None) => undo.effect.clone(),
        (false, _) => format!("no: {}", undo.effect),
    };
    let role = if undo.possible {
        Role::Text
    } else {
        Role::Muted
    };
    lines.extend(pair(look, "undo", role, &text, columns));
    if let Some(until) = row.extended_until {
        let text = format!(
            "v{} lives longer, once, until {}: the newer one was not in use in time",
            row.from,
            look.time.short(until, look.now)
        );
        lines.extend(pair(look, "fallback", Role::Warn, &text, columns));
    }
    if let Some(name) = &row.frozen {
        let text = format!("its date was moved by {name}");
        lines.extend(pair(look, "frozen", Role::Warn, &text, columns));
    }
    if whole {
        lines.extend(rest(detail, look, columns));
    }
    lines
}

fn sign(state: &str, look: &Look<'_>) -> (&'static str, Role) {
    let glyphs = &look.theme.glyphs;
    match state {
        "done" => (glyphs.dot, Role::Good),
        "now" => (glyphs.cursor, Role::Focused),
        "failed" => (glyphs.alert, Role::Bad),
        "skipped" => ("-", Role::Muted),
        _ => (glyphs.ring, Role::Muted),
    }
}

fn steps_short(
    detail: &RotationDetail,
    look: &Look<'_>,
    columns: usize,
    whole: bool,
) -> Vec<Line<'static>> {
    let mut flow = look.flow(columns, 1);
    let ahead = |step: &&RotationStep| step.state == "next" && !whole;
    let to_go = detail.steps.iter().filter(ahead).count();
    for step in detail.steps.iter().filter(|step| !ahead(step)) {
        let (sign, role) = sign(&step.state, look);
        let name = format!("{} {}", step.number, step.name);
        let text = if step.state == "now" {
            Role::Strong
        } else {
            Role::Text
        };
        flow = flow
            .together(look.style(role), sign, 2, name.chars().count() + 1)
            .piece(look.style(text), name, 1);
    }
    if to_go > 0 {
        let text = format!("{} {to_go} to go", look.theme.glyphs.ring);
        flow = flow.piece(look.style(Role::Muted), text, 2);
    }
    flow.lines()
}

fn steps_tall(detail: &RotationDetail, look: &Look<'_>, columns: usize) -> Vec<Line<'static>> {
    let short = |at: DateTime<Utc>| look.time.short(at, look.now);
    let mut lines = Vec::new();
    for step in &detail.steps {
        let (sign, role) = sign(&step.state, look);
        let text = look.style(if step.state == "now" {
            Role::Strong
        } else {
            Role::Text
        });
        let at = match (step.at, step.state.as_str()) {
            (Some(at), _) => short(at),
            (None, "now") => "now".into(),
            (None, _) => String::new(),
        };
        let took = step.took_ms.map_or_else(String::new, |ms| {
            compact(TimeDelta::milliseconds(ms.min(1 << 50).cast_signed()))
        });
        let row = look
            .row()
            .put(look.style(role), format!(" {sign} "))
            .cell(text, format!("{} {}", step.number, step.name), 18)
            .to(22)
            .cell(look.style(Role::Muted), at, 12)
            .cell_right(look.style(Role::Muted), took, 7)
            .put(text, "  ");
        let room = columns.saturating_sub(row.columns());
        let note = if step.state == "failed" {
            Role::Bad
        } else {
            Role::Muted
        };
        let cut = look.theme.glyphs.cut;
        let words = fit_with(&step.note, room, Cut::End, cut);
        lines.push(row.put(look.style(note), words).line());
    }
    lines
}

/// Each reader by the version that it used last: where two rows are of one, the later one counts.
fn by_version<'a>(detail: &'a RotationDetail) -> BTreeMap<u32, Vec<&'a Reader>> {
    let mut latest: BTreeMap<(&str, Option<&str>), &'a Reader> = BTreeMap::new();
    for reader in &detail.readers {
        let held = latest
            .entry((reader.name.as_str(), reader.network.as_deref()))
            .or_insert(reader);
        if (reader.last_used_at, reader.version) > (held.last_used_at, held.version) {
            *held = reader;
        }
    }
    let mut versions: BTreeMap<u32, Vec<&'a Reader>> = BTreeMap::new();
    for reader in latest.into_values() {
        versions.entry(reader.version).or_default().push(reader);
    }
    for readers in versions.values_mut() {
        readers.sort_by_key(|reader| std::cmp::Reverse(reader.last_used_at));
    }
    versions
}

fn named(reader: &Reader, now: DateTime<Utc>) -> String {
    let from = reader
        .network
        .as_deref()
        .map_or_else(String::new, |network| format!(" {network}"));
    format!("{}{from} {}", reader.name, ago(reader.last_used_at, now))
}

fn readers_short(
    detail: &RotationDetail,
    look: &Look<'_>,
    columns: usize,
    whole: bool,
) -> Vec<Line<'static>> {
    let row = &detail.row;
    let versions = by_version(detail);
    let of = |number: u32| versions.get(&number).map_or(&[][..], Vec::as_slice);
    let (older, newer) = (of(row.from), row.to.map_or(&[][..], of));
    let over = row.ended_at.is_some();
    if older.is_empty() && newer.is_empty() {
        let text = "nobody was seen using either version since the broker's start";
        return pair(look, "readers", Role::Muted, text, columns);
    }
    let few = if whole { 8 } else { FEW };
    let moved = format!("{} of {} moved", newer.len(), newer.len() + older.len());
    if older.is_empty() {
        return pair(look, "readers", Role::Good, &moved, columns);
    }
    let mut names: Vec<String> = older
        .iter()
        .take(few)
        .map(|reader| named(reader, look.now))
        .collect();
    match older.len().saturating_sub(few) {
        0 => {}
        1 => names.push("1 other".into()),
        more => names.push(format!("{more} others")),
    }
    let text = format!("{moved}; still on v{}: {}", row.from, names.join(", "));
    let role = if over { Role::Text } else { Role::Warn };
    pair(look, "readers", role, &text, columns)
}

fn readers_tall(
    detail: &RotationDetail,
    look: &Look<'_>,
    columns: usize,
    whole: bool,
) -> Vec<Line<'static>> {
    let row = &detail.row;
    let versions = by_version(detail);
    let most = versions.values().map(Vec::len).max().unwrap_or(0).max(1);
    let mut lines = vec![look.rule("READERS BY VERSION", "", columns)];
    for number in row.to.into_iter().chain([row.from]) {
        let readers = versions.get(&number).map_or(0, Vec::len);
        let older = number == row.from && readers > 0 && row.ended_at.is_none();
        let role = if older { Role::Warn } else { Role::Bar };
        let share = readers as f64 / most as f64;
        lines.push(
            look.row()
                .cell(look.style(Role::Muted), format!(" v{number}"), 7)
                .put(look.style(role), bar(share, 22, look.theme.glyphs.ascii))
                .to(31)
                .put(look.style(Role::Strong), readers.to_string())
                .line(),
        );
    }
    let older = versions.get(&row.from).map_or(&[][..], Vec::as_slice);
    if versions.is_empty() {
        lines.push(look.line(Role::Muted, " nobody seen since the broker's start"));
    }
    let shown = if whole { older.len() } else { 3 };
    for reader in older.iter().take(shown) {
        let when = ago(reader.last_used_at, look.now);
        let from = reader.network.as_deref().unwrap_or("");
        let tail = format!("{} times, {when} ", count(reader.accepted));
        let room = columns.saturating_sub(tail.len() + 2);
        lines.push(
            look.row()
                .put(look.style(Role::Text), " ")
                .at_most(
                    look.style(Role::Text),
                    format!("{} {from}", reader.name),
                    room,
                )
                .end(look.style(Role::Warn), tail, columns)
                .line(),
        );
    }
    if older.len() > shown {
        let text = format!(" and {} more", older.len() - shown);
        lines.push(look.line(Role::Muted, text));
    }
    lines
}

fn rest(detail: &RotationDetail, look: &Look<'_>, columns: usize) -> Vec<Line<'static>> {
    let row = &detail.row;
    let seconds = |s: u64| compact(TimeDelta::seconds(s.min(1 << 32).cast_signed()));
    let mut lines = vec![look.rule("WHY, IN THEIR WORDS, UNCHECKED", "", columns)];
    let gutter = format!(" {} ", look.theme.glyphs.quote);
    lines.extend(look.quoted(Role::Quote, &gutter, &detail.reason, columns));
    lines.push(look.rule("TERMS", "", columns));
    let terms = format!(
        "both accepted for at most {}; the older one goes once unused for {}; policy version {}",
        seconds(detail.overlap_s),
        seconds(detail.unused_s),
        detail.policy_version
    );
    lines.extend(pair(look, "overlap", Role::Text, &terms, columns));
    if let Some(at) = row.due_at {
        lines.extend(pair(
            look,
            "due",
            Role::Text,
            &look.time.full(at, look.now),
            columns,
        ));
    }
    if !detail.handed_to.is_empty() {
        lines.extend(pair(
            look,
            "went to",
            Role::Text,
            &detail.handed_to,
            columns,
        ));
    }
    lines.extend(pair(look, "id", Role::Muted, &row.id.to_string(), columns));
    if !detail.group.is_empty() {
        lines.push(look.rule("BEGUN WITH IT", &format!("{}", detail.group.len()), columns));
        for other in &detail.group {
            let text = format!(
                " wave {}  {}  {}",
                other.wave + 1,
                other.credential_name,
                other.state
            );
            lines.push(look.line(Role::Text, text));
        }
    }
    lines.push(look.rule("TRAIL", "", columns));
    for event in &detail.trail {
        let at = look.time.short(event.at, look.now);
        let text = format!(
            " {at} {} by {}  #{}",
            event.kind,
            event.actor.name,
            count(event.sequence)
        );
        lines.extend(look.wrapped(Role::Text, "", &text, columns));
    }
    lines
}

/// One to come: when it begins by itself, and what moved that.
pub fn planned(row: &PlannedRow, look: &Look<'_>, columns: usize) -> Vec<Line<'static>> {
    let when = |at: DateTime<Utc>| {
        let full = look.time.full(at, look.now);
        let distance = ago(at, look.now);
        if full == distance {
            full
        } else {
            format!("{full}  {distance}")
        }
    };
    let late = row.late_at <= look.now;
    let note = if late { "overdue" } else { "planned" };
    let role = if late { Role::Bad } else { Role::Muted };
    let title = format!("{} v{}", row.credential_name, row.from);
    let mut lines = vec![look.rule_in(&title, note, columns, role)];
    let class = format!(
        "{} of {}, {} in {}",
        row.kind, row.owner, row.tier, row.environment
    );
    lines.extend(pair(look, "what", Role::Text, &class, columns));
    lines.extend(pair(
        look,
        "made",
        Role::Text,
        &when(row.from_since),
        columns,
    ));
    lines.extend(pair(look, "due", role_of(late), &when(row.due_at), columns));
    let begins = if row.begins_at <= look.now {
        "as soon as its turn comes: an environment rotates a few at a time".to_owned()
    } else {
        format!("{}, by itself", when(row.begins_at))
    };
    lines.extend(pair(look, "begins", Role::Strong, &begins, columns));
    lines.extend(pair(
        look,
        "late",
        role_of(late),
        &when(row.late_at),
        columns,
    ));
    if let Some(name) = &row.frozen {
        let text = format!("its date was moved by the freeze window {name}");
        lines.extend(pair(look, "frozen", Role::Warn, &text, columns));
    }
    if row.failures > 0 {
        let text = format!(
            "{} in a row came to nothing; the last is listed too",
            row.failures
        );
        lines.extend(pair(look, "failed", Role::Bad, &text, columns));
    }
    let overlap = TimeDelta::seconds(row.overlap_s.min(1 << 32).cast_signed());
    let text = format!(
        "both versions are accepted for at most {}",
        compact(overlap)
    );
    lines.extend(pair(look, "overlap", Role::Text, &text, columns));
    lines
}

fn role_of(late: bool) -> Role {
    if late { Role::Bad } else { Role::Text }
}

/// Why it stands as it does, in sentences.
pub fn explain(item: Item<'_>, detail: Option<&RotationDetail>, look: &Look<'_>) -> Vec<String> {
    let full = |at: DateTime<Utc>| look.time.full(at, look.now);
    let mut say = Vec::new();
    match item {
        Item::Planned(row) => {
            say.push(format!(
                "By its cadence version {} is to be replaced by {}; its own jitter is in that.",
                row.from,
                full(row.due_at)
            ));
            say.push(format!("It counts as late from {} on.", full(row.late_at)));
            say.push(
                "It begins by itself: freeze windows and the number that may run at once in its environment can hold it."
                    .into(),
            );
        }
        Item::Rotation(row) => {
            say.push(format!(
                "{} began it at {}, because of: {}.",
                row.by,
                full(row.started_at),
                row.cause
            ));
            if let Some(at) = row.overlap_until.filter(|_| row.ended_at.is_none()) {
                say.push(format!(
                    "Version {} is refused once nobody has used it for its set time, and at {} whatever happens: the hard stop.",
                    row.from,
                    full(at)
                ));
            }
            if let Some(setback) = row.setback {
                say.push(format!(
                    "It came to nothing ({setback}): version {} is in use as before, and nobody was refused.",
                    row.from
                ));
            }
        }
    }
    if let Some(detail) = detail {
        if !detail.guard.is_empty() {
            say.push(format!("Now: {}.", detail.guard));
        }
        say.push(format!("Rolling back: {}.", detail.undo.effect));
    }
    say
}
