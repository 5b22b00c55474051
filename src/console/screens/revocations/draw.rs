//! ```text
//! ── REVOCATIONS ─────────────── 2 open  214  sort trouble ─ │ ── GATEWAYS ──── 11 of 12 current ─
//! ▸▲ svc-ci-deploy  all  14:25:55Z  06:12 ████▌ 11/12 LATE   │  ▲ syd-2   receiver 12m27s  1 LATE
//! ── svc-ci-deploy, all of it ────────────────────────────────────────────────── by ravi.p ─
//! ```
//! On narrow screens the gateways are a line, and tab shows them in the list's place.

use super::detail::span;
use super::rows::{standing, versions};
use super::{Layout, Pane, Revocations, detail, gateways};
use crate::console::backend::Frame;
use crate::console::command::Command;
use crate::console::model::Shared;
use crate::console::screens::kit::{Look, paint};
use crate::console::theme::{Glyphs, Role, Theme};
use crate::console::widgets::list::{CellSlot, Column, Gutter, ListState, Source, Width, list};
use crate::console::widgets::{graph, put, repeat};
use crate::display::time::{clock, compact, count};
use crate::wire::{Enforcement, RevocationRow};
use ratatui::layout::Rect;
use ratatui::text::Line;

const COLUMNS: &[Column<'static>] = &[
    Column::new("CREDENTIAL", Width::AtLeast(18)),
    Column::new("WHICH", Width::Fixed(5)),
    Column::new("BEGAN", Width::Fixed(12)).right(),
    Column::new("TOOK", Width::Fixed(8)).right(),
    Column::new("REACHED", Width::Fixed(10)),
    Column::new("ISSUER", Width::Fixed(9)).priority(1),
    Column::new("BY", Width::Fixed(9)).priority(2),
    Column::new("STATE", Width::Fixed(12)),
];

struct List<'a> {
    screen: &'a Revocations,
    shared: &'a Shared,
    seen: Vec<&'a RevocationRow>,
}

impl List<'_> {
    fn row(&self, place: usize) -> Option<&RevocationRow> {
        self.seen
            .get(place.checked_sub(self.screen.offset)?)
            .copied()
    }

    fn glyphs(&self) -> Glyphs {
        if self.shared.ascii {
            Glyphs::ASCII
        } else {
            Glyphs::UNICODE
        }
    }
}

impl Source for List<'_> {
    fn len(&self) -> usize {
        self.screen.rows.order().len()
    }

    fn gutter(&self, place: usize) -> Gutter {
        let glyphs = self.glyphs();
        let sign = self.row(place).and_then(|row| {
            let (_, role, sign) = standing(row, &glyphs);
            Some((sign?, role))
        });
        Gutter {
            marked: false,
            sign,
        }
    }

    fn cell(&self, place: usize, column: usize, slot: &mut CellSlot<'_>) {
        let Some(row) = self.row(place) else { return };
        let (shared, glyphs) = (self.shared, self.glyphs());
        match column {
            0 => slot.identifier(&row.credential_name, Role::Text),
            1 => slot.text(&versions(row), Role::Text),
            2 => {
                let at = shared.time.short(row.effective_at, shared.now);
                slot.text(&at, Role::Text);
            }
            3 => match row.time_to_revoke_ms {
                Some(ms) => slot.text(&compact(span(ms)), Role::Text),
                None => {
                    let (_, role, _) = standing(row, &glyphs);
                    slot.text(&clock(shared.now - row.effective_at), role);
                }
            },
            4 if row.gateways == 0 => slot.text("-", Role::Muted),
            4 => {
                let share = f64::from(row.applied) / f64::from(row.gateways);
                let full = row.applied >= row.gateways;
                let bar = if full { Role::Good } else { Role::Warn };
                let figure = format!("{}/{}", row.applied, row.gateways);
                slot.draw(|area, buf, theme| {
                    let cells = Rect {
                        width: area.width.min(4),
                        ..area
                    };
                    graph::bar(share, bar, cells, buf, theme);
                    let at = (area.x + 5, area.y);
                    put(
                        buf,
                        theme,
                        at,
                        area.width.saturating_sub(5),
                        &figure,
                        theme.style(Role::Text),
                    );
                });
            }
            5 => {
                let (word, role) = match &row.enforcement {
                    Enforcement::NotNeeded => ("-", Role::Muted),
                    Enforcement::Pending { attempts: 0, .. } => ("told", Role::Warn),
                    Enforcement::Pending { .. } => ("FAILS", Role::Bad),
                    Enforcement::Enforced { proven: true, .. } => ("gone", Role::Good),
                    Enforcement::Enforced { .. } => ("withdrawn", Role::Text),
                };
                slot.text(word, role);
            }
            6 => slot.identifier(&row.by, Role::Text),
            _ => {
                let (words, role, _) = standing(row, &glyphs);
                slot.text(&words, role);
            }
        }
    }
}

/// Draws the screen.
pub fn view(
    screen: &Revocations,
    shared: &Shared,
    area: Rect,
    frame: &mut Frame<'_>,
    theme: &Theme,
) {
    let layout = Layout::of(area, screen);
    let look = Look::new(shared, theme);
    if layout.list.height > 2 {
        match (layout.wide, screen.pane) {
            (false, Pane::Gateways) => panel(screen, shared, layout.list, frame, theme),
            _ => draw_list(screen, shared, layout.list, frame, theme),
        }
    }
    if layout.wide && !screen.open {
        for y in layout.gateways.top()..layout.gateways.bottom() {
            let at = (layout.gateways.x - 2, y);
            let rule = theme.style(Role::Rule);
            repeat(frame.buffer, at, 1, theme.glyphs.vertical, rule);
        }
        panel(screen, shared, layout.gateways, frame, theme);
    }
    if layout.summary.height > 0 {
        let key = shared.keymap.key(Command::NextPane, theme.glyphs.ascii);
        let columns = usize::from(layout.summary.width);
        let line = match (&screen.gateways_refused, screen.pane) {
            (Some(why), _) => look.line(Role::Muted, format!(" GATEWAYS {why}")),
            (None, Pane::Gateways) => {
                let text = format!(
                    " REVOCATIONS {} not everywhere yet",
                    count(screen.rows.open())
                );
                look.row()
                    .put(look.style(Role::Text), text)
                    .end(
                        look.style(Role::Muted),
                        format!("{key} shows them "),
                        columns,
                    )
                    .line()
            }
            (None, Pane::Revocations) => gateways::summary(&screen.gateways, &look, columns, &key),
        };
        paint(frame.buffer, layout.summary, &[line], 0);
    }
    if layout.detail.height > 1 {
        draw_detail(screen, shared, layout.detail, frame, theme);
    }
}

fn note(screen: &Revocations, shared: &Shared, theme: &Theme) -> String {
    let (sort, reversed) = screen.rows.sort();
    let shown = screen.rows.order().len() as u64;
    let total = if screen.filter.is_empty() {
        screen.total.max(screen.rows.len() as u64)
    } else {
        screen.total.max(shown)
    };
    let mut parts = Vec::new();
    if screen.rows.open() > 0 {
        parts.push(format!("{} not everywhere yet", count(screen.rows.open())));
    }
    parts.push(if shown == total {
        count(total)
    } else {
        format!("{} of {}", count(shown), count(total))
    });
    let arrow = theme.glyphs.sort[usize::from(reversed)];
    parts.push(format!("sort {} {arrow}", sort.word()));
    if shared.cached_at.is_some() || screen.asked.is_some() {
        parts.push(theme.glyphs.cut.into());
    }
    parts.join("  ")
}

fn draw_list(
    screen: &Revocations,
    shared: &Shared,
    area: Rect,
    frame: &mut Frame<'_>,
    theme: &Theme,
) {
    let look = Look::new(shared, theme);
    let title = match screen.filter.as_str() {
        "" => "REVOCATIONS".to_owned(),
        filter => format!("REVOCATIONS  / {filter}"),
    };
    let columns = usize::from(area.width);
    let role = if screen.rows.open() > 0 {
        Role::Warn
    } else {
        Role::Muted
    };
    let rule = look.rule_in(&title, &note(screen, shared, theme), columns, role);
    paint(frame.buffer, Rect { height: 1, ..area }, &[rule], 0);
    let body = Rect {
        y: area.y + 1,
        height: area.height - 1,
        ..area
    };
    if screen.rows.order().is_empty() {
        let (role, text) = match (&screen.failed, screen.loaded) {
            (Some(why), _) => (Role::Bad, format!("{why}; r asks again")),
            (None, false) => (Role::Muted, "asking the broker".to_owned()),
            (None, true) if screen.rows.len() > 0 => (
                Role::Muted,
                "nothing matches; esc clears the filter".to_owned(),
            ),
            (None, true) => (Role::Muted, "nothing was ever revoked here".to_owned()),
        };
        let lines = look.wrapped(role, "   ", &text, columns);
        return paint(frame.buffer, body, &lines, 0);
    }
    let height = usize::from(body.height.saturating_sub(1));
    let source = List {
        screen,
        shared,
        seen: screen.rows.from(screen.offset).take(height).collect(),
    };
    let state = ListState {
        selected: if screen.pane == Pane::Revocations {
            screen.place
        } else {
            usize::MAX
        },
        offset: screen.offset,
    };
    let id = screen.rows.generation() * 2;
    if let Some(region) = list(&source, COLUMNS, state, id, body, frame.buffer, theme) {
        frame.region(region);
    }
}

fn panel(screen: &Revocations, shared: &Shared, area: Rect, frame: &mut Frame<'_>, theme: &Theme) {
    let look = Look::new(shared, theme);
    let columns = usize::from(area.width);
    let serving = screen
        .gateways
        .iter()
        .filter(|row| row.removed_at.is_none());
    let current = serving
        .clone()
        .filter(|row| gateways::standing(row).1 == Role::Good);
    let (current, serving) = (current.count(), serving.count());
    let role = if current < serving {
        Role::Warn
    } else {
        Role::Muted
    };
    let note = if screen.gateways.is_empty() {
        String::new()
    } else {
        format!("{current} of {serving} current")
    };
    let rule = look.rule_in("GATEWAYS", &note, columns, role);
    paint(frame.buffer, Rect { height: 1, ..area }, &[rule], 0);
    let body = Rect {
        y: area.y + 1,
        height: area.height.saturating_sub(1),
        ..area
    };
    if screen.gateways.is_empty() {
        let text = match (&screen.gateways_refused, screen.gateways_at) {
            (Some(why), _) => why.clone(),
            (None, None) => "asking the broker".into(),
            (None, Some(_)) => "none is registered: only this broker is asked".into(),
        };
        let lines = look.wrapped(Role::Muted, "   ", &text, columns);
        return paint(frame.buffer, body, &lines, 0);
    }
    let source = gateways::Panel {
        rows: &screen.gateways,
        shared,
    };
    let place = gateways::place(&screen.gateways, screen.gateway);
    let state = ListState {
        selected: if screen.pane == Pane::Gateways {
            place
        } else {
            usize::MAX
        },
        offset: screen.gateways_offset,
    };
    list(
        &source,
        gateways::COLUMNS,
        state,
        1,
        body,
        frame.buffer,
        theme,
    );
}

/// What the cursor is on, in full.
pub fn detail_lines(
    screen: &Revocations,
    shared: &Shared,
    theme: &Theme,
    columns: usize,
) -> Vec<Line<'static>> {
    let look = Look::new(shared, theme);
    if screen.pane == Pane::Gateways {
        return match screen.gateway_row() {
            Some(row) => gateways::lines(row, shared.sequence, &look, columns),
            None => Vec::new(),
        };
    }
    let Some(row) = screen.told() else {
        return Vec::new();
    };
    match screen.detail_of(row.id) {
        Some(known) => detail::lines(known, &look, columns, screen.open),
        None => {
            let mut lines = vec![detail::title(row, &look, columns)];
            match screen.detail.why(row.id) {
                Some(why) => {
                    lines.extend(look.wrapped(
                        Role::Bad,
                        " ",
                        &format!("{why}; r asks again"),
                        columns,
                    ));
                }
                None => lines.push(look.line(Role::Muted, " the gateways are on their way")),
            }
            lines
        }
    }
}

fn draw_detail(
    screen: &Revocations,
    shared: &Shared,
    area: Rect,
    frame: &mut Frame<'_>,
    theme: &Theme,
) {
    let columns = usize::from(area.width);
    let lines = detail_lines(screen, shared, theme, columns);
    let look = Look::new(shared, theme);
    look.paint_part(frame.buffer, area, &lines, screen.scroll, screen.open);
}
