//! ```text
//! ── env:prod & left<24h ────── 408 of 4,218 · sort left ↑ ─ │ ── pg-ledger-rw ────── v42 ─
//!   NAME            KIND OWNER     LEFT LIFE┊=renew STATE     │  state   overlap, 2 accepted
//! ▸▲ pg-ledger-rw   db   ledger   3h10m ████████┊·· overlap   │  issued  2026-09-29 13:51:07Z
//! ```
//! On narrow screens the detail stands below the list; opened it has everything.

use super::beneath::beneath;
use super::detail::{Part, parts, state};
use super::{Credentials, Layout};
use crate::console::backend::Frame;
use crate::console::model::Shared;
use crate::console::theme::{Role, Theme};
use crate::console::widgets::list::{CellSlot, Column, Gutter, ListState, Source, Width, list};
use crate::console::widgets::section::section;
use crate::console::widgets::text::wrap;
use crate::console::widgets::{graph, put, repeat};
use crate::display::time::{compact, count};
use crate::wire::{CredentialRow, CredentialState, Kind};
use chrono::{DateTime, TimeDelta, Utc};
use ratatui::layout::Rect;

const COLUMNS: &[Column<'static>] = &[
    Column::new("NAME", Width::AtLeast(26)),
    Column::new("ENV", Width::Fixed(4)).priority(2),
    Column::new("KIND", Width::Fixed(5)).priority(3),
    Column::new("OWNER", Width::Fixed(10)),
    Column::new("LEFT", Width::Fixed(7)).right(),
    Column::new("LIFE┊=renew", Width::Fixed(11)).priority(1),
    Column::new("STATE", Width::Fixed(11)),
];

/// Renewal is planned after two thirds of a life.
const RENEW: f64 = 2.0 / 3.0;

/// A drawn line of the detail: a rule, or a label, its text and how that is meant.
type Line = (Option<(String, String)>, &'static str, String, Role);

struct Rows<'a> {
    screen: &'a Credentials,
    shared: &'a Shared,
    /// The rows that are seen, put together once.
    seen: Vec<CredentialRow>,
}

impl Rows<'_> {
    fn row(&self, place: usize) -> Option<&CredentialRow> {
        self.seen.get(place.checked_sub(self.screen.offset)?)
    }
}

/// Needs a person now, or breaks a rule.
fn grave(row: &CredentialRow, now: DateTime<Utc>) -> Option<bool> {
    let alive = matches!(
        row.state,
        CredentialState::Active | CredentialState::Rotating
    );
    let ends = row
        .expires_at
        .is_some_and(|at| at - now < TimeDelta::hours(1));
    let late = row.rotate_by.is_some_and(|at| at < now);
    match () {
        () if alive && (ends || late) => Some(true),
        () if row.state == CredentialState::Quarantined => Some(true),
        () if alive && (row.expires_at.is_none() || row.owner == "nobody") => Some(false),
        () => None,
    }
}

fn left(row: &CredentialRow, now: DateTime<Utc>) -> (String, Role) {
    match row.expires_at {
        _ if row.state == CredentialState::Revoked => ("ended".into(), Role::Muted),
        None => ("never".into(), Role::Warn),
        Some(at) if at <= now => ("ended".into(), Role::Muted),
        Some(at) => {
            let role = match at - now {
                left if left < TimeDelta::hours(1) => Role::Bad,
                left if left < TimeDelta::hours(24) => Role::Warn,
                _ => Role::Text,
            };
            (compact(at - now), role)
        }
    }
}

fn used(row: &CredentialRow, now: DateTime<Utc>) -> f64 {
    let Some(end) = row.expires_at else {
        return 0.0;
    };
    let life = (end - row.issued_at).num_seconds() as f64;
    ((now - row.issued_at).num_seconds() as f64 / life.max(1.0)).clamp(0.0, 1.0)
}

fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::ApiKey => "key",
        Kind::Jwt => "jwt",
        Kind::DatabaseRole => "db",
        Kind::VaultLease => "vault",
    }
}

impl Source for Rows<'_> {
    fn len(&self) -> usize {
        self.screen.view.rows().len()
    }

    fn gutter(&self, place: usize) -> Gutter {
        let glyphs = crate::console::theme::Glyphs::UNICODE;
        let glyphs = if self.shared.ascii {
            crate::console::theme::Glyphs::ASCII
        } else {
            glyphs
        };
        let row = self.row(place);
        let sign = row
            .and_then(|row| grave(row, self.shared.now))
            .map(|grave| {
                if grave {
                    (glyphs.alert, Role::Bad)
                } else {
                    (glyphs.notice, Role::Warn)
                }
            });
        Gutter {
            marked: row.is_some_and(|row| self.screen.marks.contains(&row.id)),
            sign,
        }
    }

    fn cell(&self, place: usize, column: usize, slot: &mut CellSlot<'_>) {
        let Some(row) = self.row(place) else { return };
        let now = self.shared.now;
        let dead = matches!(
            row.state,
            CredentialState::Revoked | CredentialState::Expired
        );
        let role = if dead { Role::Muted } else { Role::Text };
        match column {
            0 => slot.identifier(&row.name, role),
            1 => slot.text(row.environment.short(), role),
            2 => slot.text(kind(row.kind), role),
            3 => slot.identifier(&row.owner, role),
            4 => {
                let (text, role) = left(row, now);
                slot.text(&text, role);
            }
            5 => {
                let tick = row.expires_at.map(|_| RENEW);
                let used = used(row, now);
                slot.draw(|area, buf, theme| graph::life(used, tick, area, buf, theme));
            }
            _ => {
                let (text, role) = state(row, now);
                slot.text(&text, role);
            }
        }
    }
}

/// Draws list and detail.
pub fn view(
    screen: &Credentials,
    shared: &Shared,
    area: Rect,
    frame: &mut Frame<'_>,
    theme: &Theme,
) {
    let layout = Layout::of(area, screen.open);
    if layout.list.height > 2 {
        draw_list(screen, shared, layout, frame, theme);
    }
    if layout.wide && !screen.open {
        let x = layout.detail.x - 1;
        for y in area.top()..area.bottom() {
            repeat(
                frame.buffer,
                (x, y),
                1,
                theme.glyphs.vertical,
                theme.style(Role::Rule),
            );
        }
    }
    if layout.detail.height > 1 {
        draw_detail(screen, shared, layout.detail, frame, theme);
    }
}

fn draw_list(
    screen: &Credentials,
    shared: &Shared,
    layout: Layout,
    frame: &mut Frame<'_>,
    theme: &Theme,
) {
    let area = layout.list;
    let total = shared.fleet.len() as u64;
    let found = screen.view.rows().len() as u64;
    let sort = screen.view.sort();
    let arrow = theme.glyphs.sort[usize::from(sort.descending)];
    let mut note = if screen.filter.is_empty() {
        count(total)
    } else {
        format!("{} of {}", count(found), count(total))
    };
    if screen.view.busy() || screen.loading() {
        note.push_str(theme.glyphs.cut);
    }
    note.push_str(&format!(" · sort {} {arrow}", sort.column.word()));
    if !screen.marks.is_empty() {
        note.push_str(&format!(" · {} marked", screen.marks.len()));
    }
    let title = match screen.filter.as_str() {
        "" => "credentials".to_owned(),
        filter => format!("filter {filter}"),
    };
    let note = if theme.glyphs.ascii {
        note.replace('·', "-")
    } else {
        note
    };
    section(
        &title,
        &note,
        Rect { height: 1, ..area },
        frame.buffer,
        theme,
    );
    let body = Rect {
        y: area.y + 1,
        height: area.height - 1,
        ..area
    };
    if found == 0 {
        let text = match (
            shared.fleet.is_empty(),
            screen.loading() || shared.session.is_none(),
        ) {
            (true, true) => "nothing known yet: waiting for the broker",
            (true, false) => "there are no credentials yet",
            (false, _) => "nothing matches; esc clears the filter",
        };
        let at = (body.x + 3, body.y + 1);
        put(
            frame.buffer,
            theme,
            at,
            body.width - 3,
            text,
            theme.style(Role::Muted),
        );
        return;
    }
    let height = usize::from(body.height - 1);
    let rows = screen.view.rows().iter().skip(screen.offset).take(height);
    let source = Rows {
        screen,
        shared,
        seen: rows.filter_map(|row| shared.fleet.get(*row)).collect(),
    };
    let state = ListState {
        selected: screen.place,
        offset: screen.offset,
    };
    let ascii = theme.glyphs.ascii;
    let columns: Vec<Column<'_>> = COLUMNS
        .iter()
        .map(|column| match column.title {
            "LIFE┊=renew" if ascii => Column {
                title: "LIFE|=renew",
                ..*column
            },
            _ => *column,
        })
        .collect();
    let id = screen.view.generation();
    let region = list(&source, &columns, state, id, body, frame.buffer, theme);
    let drawn = body.y + 1 + found.min(height as u64) as u16;
    let free = Rect {
        y: drawn,
        height: body.bottom().saturating_sub(drawn),
        ..body
    };
    beneath(screen, shared, free, frame, theme);
    // Beside a detail the terminal would move that too; the screen takes whichever way is shorter.
    if let Some(region) = region {
        frame.region(region);
    }
}

fn draw_detail(
    screen: &Credentials,
    shared: &Shared,
    area: Rect,
    frame: &mut Frame<'_>,
    theme: &Theme,
) {
    let Some(row) = screen.told(shared) else {
        return section("", "", Rect { height: 1, ..area }, frame.buffer, theme);
    };
    let detail = screen.detail_of(row.id);
    let indent = 11;
    let room = usize::from(area.width.saturating_sub(indent + 2));
    let mut lines: Vec<Line> = Vec::new();
    for part in parts(&row, detail, shared, theme) {
        match part {
            Part::Section(title, note) => {
                lines.push((Some((title, note)), "", String::new(), Role::Text));
            }
            Part::Pair(label, text, role) => {
                let room = if label.is_empty() {
                    room + usize::from(indent) - 1
                } else {
                    room
                };
                for (place, line) in wrap(&text, room.max(8)).into_iter().enumerate() {
                    lines.push((None, if place == 0 { label } else { "" }, line, role));
                }
            }
        }
    }
    let height = usize::from(area.height - 1);
    let from = screen.scroll.min(lines.len().saturating_sub(height));
    let below = lines.len().saturating_sub(from + height);
    let note = match below {
        0 => format!("v{}", row.version),
        _ => format!("v{}, {below} more below", row.version),
    };
    let rule = Rect { height: 1, ..area };
    section(&row.name, &note, rule, frame.buffer, theme);
    let mut labelled = false;
    for ((rule, label, text, role), y) in lines[from..].iter().zip(area.y + 1..area.bottom()) {
        if let Some((title, note)) = rule {
            section(
                title,
                note,
                Rect::new(area.x, y, area.width, 1),
                frame.buffer,
                theme,
            );
            labelled = false;
            continue;
        }
        labelled = labelled || !label.is_empty();
        put(
            frame.buffer,
            theme,
            (area.x + 1, y),
            indent,
            label,
            theme.style(Role::Muted),
        );
        let x = if labelled {
            area.x + indent
        } else {
            area.x + 2
        };
        let room = area.right().saturating_sub(x);
        put(frame.buffer, theme, (x, y), room, text, theme.style(*role));
    }
}

/// Spans are shown coarsely, so that a quiet list is drawn once a minute; only what ends within ten minutes
/// is counted in steps of five seconds.
pub fn tick_s(screen: &Credentials, shared: &Shared) -> u32 {
    let height = Layout::of(crate::console::view::body(shared.size), screen.open).rows();
    let seen = screen.view.rows().iter().skip(screen.offset).take(height);
    let mut seen = seen
        .chain(screen.rested.as_ref())
        .flat_map(|row| shared.fleet.deadlines(*row))
        .flatten();
    let close = seen.any(|at| (at - shared.now).abs() < TimeDelta::minutes(10));
    if close { 5 } else { 60 }
}
