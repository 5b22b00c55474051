//! ```text
//! ── ROTATION  24h, 1 cell = 30m ─────────────── 2 trouble  3 running  37 to come ─
//!                    06  08  10  12  14  16  18  20  22  00
//!                                     ▼ now 14:32:07Z
//! ▸▲pg-ledger-rw v41 ████████████████▓▓▓▓▓▓▓┤          v41 used 2m ago
//!                v42                 ▓▓▓▓▓▓▓██████████ hard stop 17:42Z
//! ```
//! Below stands what the cursor is on, the calendar or the compliance: tab goes round.

use super::entries::{Group, Item};
use super::{Lower, Rotation, detail, gantt, plans};
use crate::console::backend::{Frame, Region};
use crate::console::model::Shared;
use crate::console::screens::kit::{Look, paint};
use crate::console::theme::{Glyphs, Role, Theme};
use crate::display::time::{compact, count};
use chrono::TimeDelta;
use ratatui::layout::Rect;
use ratatui::text::Line;

/// From this width on groups have headings; on narrow screens their sign tells them apart.
pub const WIDE: u16 = 110;
/// Lines above the entries: the rule, the axis, now.
const HEAD: u16 = 3;

/// Where everything stands.
pub struct Layout {
    /// The bars with their head.
    pub bars: Rect,
    /// The legend.
    pub legend: Rect,
    /// What stands below.
    pub lower: Rect,
}

impl Layout {
    /// For this area; `open` gives all of it to the lower part.
    pub fn of(area: Rect, open: bool) -> Self {
        if open {
            let none = Rect { height: 0, ..area };
            return Self {
                bars: none,
                legend: none,
                lower: area,
            };
        }
        let lower = (area.height * 2 / 5).clamp(7, 16).min(area.height);
        let bars = Rect {
            height: area.height.saturating_sub(lower + 1),
            ..area
        };
        let legend = Rect {
            y: bars.bottom(),
            height: 1.min(area.height),
            ..area
        };
        let y = legend.bottom();
        Self {
            bars,
            legend,
            lower: Rect {
                y,
                height: area.bottom().saturating_sub(y),
                ..area
            },
        }
    }

    /// Lines for entries.
    pub fn rows(&self) -> usize {
        usize::from(self.bars.height.saturating_sub(HEAD))
    }
}

fn sign(group: Group, glyphs: &Glyphs) -> (&'static str, Role) {
    match group {
        Group::Trouble => (glyphs.alert, Role::Bad),
        Group::Running => (glyphs.dot, Role::Warn),
        Group::Planned => (glyphs.ring, Role::Muted),
        Group::Ended => (" ", Role::Muted),
    }
}

fn note(screen: &Rotation) -> String {
    let count_of = |group| count(screen.entries.count(group) as u64);
    let mut parts = Vec::new();
    for (group, word) in [(Group::Trouble, "trouble"), (Group::Running, "running")] {
        if screen.entries.count(group) > 0 {
            parts.push(format!("{} {word}", count_of(group)));
        }
    }
    if let Some(calendar) = &screen.calendar {
        let shown = screen.entries.count(Group::Planned) as u64;
        let all = calendar.planned_total.saturating_sub(calendar.overdue);
        parts.push(if screen.filter.is_empty() && shown < all {
            format!("{} of {} to come", count(shown), count(all))
        } else {
            format!("{} to come", count(shown))
        });
    }
    let (sort, reversed) = screen.entries.sort();
    if sort != super::entries::SortBy::Time || reversed {
        let word = if reversed { ", reversed" } else { "" };
        parts.push(format!("by {}{word}", sort.word()));
    }
    parts.join("  ")
}

/// Draws the screen.
pub fn view(screen: &Rotation, shared: &Shared, area: Rect, frame: &mut Frame<'_>, theme: &Theme) {
    let layout = Layout::of(area, screen.open);
    if layout.bars.height > 0 {
        draw_bars(screen, shared, &layout, frame, theme);
    }
    draw_lower(screen, shared, layout.lower, frame, theme);
}

fn draw_bars(
    screen: &Rotation,
    shared: &Shared,
    layout: &Layout,
    frame: &mut Frame<'_>,
    theme: &Theme,
) {
    let look = Look::new(shared, theme);
    let area = layout.bars;
    let columns = usize::from(area.width);
    let window = screen.window(shared);
    let (_, lead) = gantt::lead(columns);
    let span = TimeDelta::seconds(window.cell_s * i64::try_from(window.cells).unwrap_or(0));
    let cell = compact(TimeDelta::seconds(window.cell_s));
    let title = match screen.filter.as_str() {
        "" => format!("ROTATION  {}, 1 cell = {cell}", compact(span)),
        filter => format!("ROTATION  / {filter}"),
    };
    let role = if screen.entries.count(Group::Trouble) > 0 {
        Role::Bad
    } else {
        Role::Muted
    };
    let freezes = screen
        .calendar
        .as_ref()
        .map_or(&[][..], |calendar| calendar.freezes.as_slice());
    let mut lines = vec![
        look.rule_in(&title, &note(screen), columns, role),
        gantt::axis(&window, &look, lead),
        gantt::marks(&window, freezes, &look, lead),
    ];
    let room = usize::from(area.height);
    if screen.entries.order().is_empty() {
        let (role, text) = match (&screen.failed, &screen.calendar) {
            (Some(why), _) => (Role::Bad, format!("{why}; r asks again")),
            (None, None) => (Role::Muted, "asking the broker".to_owned()),
            (None, Some(_)) if !screen.filter.is_empty() => {
                (Role::Muted, "nothing matches; esc clears the filter".to_owned())
            }
            (None, Some(calendar)) if calendar.policy_version == 0 => (
                Role::Warn,
                "no policy says yet how often what rotates".to_owned(),
            ),
            (None, Some(_)) => (
                Role::Muted,
                "nothing rotates by itself: nothing with a cadence is made by an issuer of this broker"
                    .to_owned(),
            ),
        };
        lines.extend(look.wrapped(role, "   ", &text, columns));
    }
    let wide = area.width >= WIDE;
    for place in screen.skip..screen.entries.order().len() {
        if lines.len() >= room {
            break;
        }
        let (group, key) = screen.entries.order()[place];
        let Some(item) = screen.entries.get(key) else {
            continue;
        };
        if wide && screen.heads(place) {
            let all = count(screen.entries.count(group) as u64);
            let text = format!(" {} {all}", group.title());
            lines.push(look.line(Role::Title, text));
        }
        let here = place == screen.place;
        let sign = sign(group, &theme.glyphs);
        lines.extend(gantt::lines(item, here, sign, &window, &look, columns));
    }
    lines.truncate(room);
    paint(frame.buffer, area, &lines, 0);
    paint(
        frame.buffer,
        layout.legend,
        &[gantt::legend(&look, columns)],
        0,
    );
}

/// What stands below.
pub fn lower_lines(
    screen: &Rotation,
    shared: &Shared,
    theme: &Theme,
    columns: usize,
) -> Vec<Line<'static>> {
    let look = Look::new(shared, theme);
    let known =
        |draw: fn(&crate::wire::RotationCalendar, &Look<'_>, usize, bool) -> Vec<Line<'static>>| {
            match &screen.calendar {
                Some(calendar) => draw(calendar, &look, columns, screen.open),
                None => Vec::new(),
            }
        };
    match screen.lower {
        Lower::Calendar => {
            known(|calendar, look, columns, _| plans::calendar(calendar, look, columns))
        }
        Lower::Compliance => known(plans::compliance),
        Lower::Detail => match screen.told() {
            None => Vec::new(),
            Some(Item::Planned(row)) => detail::planned(row, &look, columns),
            Some(Item::Rotation(row)) => match screen.detail_of(row.id) {
                Some(known) => detail::lines(known, &look, columns, screen.open),
                None => {
                    let mut lines = vec![detail::title(row, &look, columns)];
                    match screen.detail.why(row.id) {
                        Some(why) => lines.extend(look.wrapped(
                            Role::Bad,
                            " ",
                            &format!("{why}; r asks again"),
                            columns,
                        )),
                        None => lines.push(look.line(Role::Muted, " its steps are on their way")),
                    }
                    lines
                }
            },
        },
    }
}

fn draw_lower(
    screen: &Rotation,
    shared: &Shared,
    area: Rect,
    frame: &mut Frame<'_>,
    theme: &Theme,
) {
    if area.height == 0 {
        return;
    }
    let columns = usize::from(area.width);
    let lines = lower_lines(screen, shared, theme, columns);
    let look = Look::new(shared, theme);
    let skip = look.paint_part(frame.buffer, area, &lines, screen.scroll, screen.open);
    if screen.open {
        frame.region(Region {
            id: 4,
            top: area.top(),
            bottom: area.bottom(),
            offset: skip,
        });
    }
}
