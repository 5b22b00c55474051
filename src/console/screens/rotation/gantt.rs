//! Versions as bars on an axis of time.
//!
//! ```text
//!                    06  08  10  12  14  16  18
//!                                     ▼ now
//!  pg-ledger-rw v41 ████████████████▓▓▓▓▓▓▓┤      used 2m ago
//!               v42                 ▓▓▓▓▓▓▓██████ ends 17:42Z
//! ```

use super::entries::{Item, is_late};
use crate::console::screens::kit::{Look, Row};
use crate::console::theme::Role;
use crate::display::sanitize::{Cut, fit_with, width};
use crate::display::time::{TimeFormat, compact};
use crate::wire::rotation::{FreezeWindow, PlannedRow};
use crate::wire::{RotationRow, RotationState};
use chrono::{DateTime, Local, TimeDelta, Utc};
use ratatui::text::Line;
use unicode_segmentation::UnicodeSegmentation as _;

/// How many seconds one cell stands for, the closest first.
pub const CELLS_S: [i64; 9] = [
    300, 900, 1_800, 3_600, 10_800, 21_600, 43_200, 86_400, 172_800,
];
/// Half an hour a cell.
pub const USUAL: usize = 2;

/// The part of time that is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// The left end.
    pub from: DateTime<Utc>,
    /// Seconds a cell.
    pub cell_s: i64,
    /// How many cells.
    pub cells: usize,
}

impl Window {
    /// With now at a third, moved by `pan` cells.
    pub fn new(now: DateTime<Utc>, zoom: usize, pan: i64, cells: usize) -> Self {
        let cell_s = CELLS_S[zoom.min(CELLS_S.len() - 1)];
        let lead = i64::try_from(cells / 3).unwrap_or(0);
        let first = now.timestamp().div_euclid(cell_s) - lead + pan;
        Self {
            from: DateTime::from_timestamp(first * cell_s, 0).unwrap_or(now),
            cell_s,
            cells,
        }
    }

    /// The right end.
    pub fn until(&self) -> DateTime<Utc> {
        self.start(self.cells)
    }

    /// Where a cell begins.
    fn start(&self, cell: usize) -> DateTime<Utc> {
        let seconds = self.cell_s * i64::try_from(cell).unwrap_or(0);
        self.from + TimeDelta::seconds(seconds)
    }

    /// The cell that a time is in.
    fn cell(&self, at: DateTime<Utc>) -> Option<usize> {
        let cell = (at - self.from).num_seconds().div_euclid(self.cell_s);
        usize::try_from(cell).ok().filter(|cell| *cell < self.cells)
    }
}

/// What a cell of a bar shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fill {
    None,
    Valid,
    Both,
    Plan,
    Late,
    End,
    Back,
}

impl Fill {
    fn sign(self, ascii: bool) -> (&'static str, Role) {
        let (sign, plain, role) = match self {
            Self::None => (" ", " ", Role::Text),
            Self::Valid => ("█", "#", Role::Bar),
            Self::Both => ("▓", "=", Role::Warn),
            Self::Plan => ("░", ".", Role::BarRest),
            Self::Late => ("▒", "!", Role::Bad),
            Self::End => ("┤", "|", Role::Strong),
            Self::Back => ("◄", "<", Role::Bad),
        };
        (if ascii { plain } else { sign }, role)
    }
}

/// What the fills mean.
pub fn legend(look: &Look<'_>, columns: usize) -> Line<'static> {
    let ascii = look.theme.glyphs.ascii;
    let mut row = look.row();
    for (fill, words) in [
        (Fill::Valid, "only valid"),
        (Fill::Both, "both valid"),
        (Fill::Plan, "plan, not in use"),
        (Fill::Late, "overdue"),
        (Fill::End, "old ends"),
        (Fill::Back, "came to nothing"),
    ] {
        let (sign, role) = fill.sign(ascii);
        if row.columns() + words.len() + 4 > columns {
            break;
        }
        row = row
            .put(look.style(role), format!(" {sign} "))
            .put(look.style(Role::Muted), words);
    }
    row.line()
}

/// The hours or days above the bars.
pub fn axis(window: &Window, look: &Look<'_>, lead: usize) -> Line<'static> {
    let hour = 3_600;
    let steps = [
        hour,
        2 * hour,
        4 * hour,
        6 * hour,
        12 * hour,
        24 * hour,
        48 * hour,
        96 * hour,
        192 * hour,
        384 * hour,
    ];
    // An hour has two digits, a day five columns.
    let needed = |step: i64| if step < 24 * hour { 4 } else { 6 };
    let step = steps
        .into_iter()
        .find(|step| *step >= window.cell_s * needed(*step))
        .unwrap_or(384 * hour);
    let pattern = if step < 24 * hour { "%H" } else { "%m-%d" };
    let mut row = look.row().to(lead);
    for cell in 0..window.cells {
        let at = window.start(cell);
        if at.timestamp().rem_euclid(step) == 0 && row.columns() <= lead + cell {
            let text = match look.time {
                TimeFormat::Local => at.with_timezone(&Local).format(pattern).to_string(),
                _ => at.format(pattern).to_string(),
            };
            if cell + text.len() <= window.cells {
                row = row.to(lead + cell).put(look.style(Role::Muted), text);
            }
        }
    }
    row.line()
}

/// Now, and the windows in which nothing begins by itself.
pub fn marks(
    window: &Window,
    freezes: &[FreezeWindow],
    look: &Look<'_>,
    lead: usize,
) -> Line<'static> {
    let ascii = look.theme.glyphs.ascii;
    let cut = look.theme.glyphs.cut;
    let frozen = if ascii { "~" } else { "╌" };
    let mut cells: Vec<(String, Role)> = vec![(" ".to_owned(), Role::Text); window.cells];
    // Names come from a policy's text: what is wider than one cell takes those that it covers.
    let mut write = |start: usize, room: usize, text: &str, role: Role| {
        let shown = fit_with(text, room, Cut::End, cut);
        let mut at = start;
        for grapheme in shown.graphemes(true) {
            let columns = width(grapheme);
            if columns == 0 || at + columns > cells.len() {
                continue;
            }
            cells[at] = (grapheme.to_owned(), role);
            for covered in &mut cells[at + 1..at + columns] {
                *covered = (String::new(), role);
            }
            at += columns;
        }
    };
    for freeze in freezes {
        let from = freeze.from.max(window.from);
        let until = freeze.until.min(window.until());
        let (Some(first), true) = (window.cell(from), from < until) else {
            continue;
        };
        let room = window.cell(until).unwrap_or(window.cells) - first;
        let name = fit_with(&freeze.name, room.saturating_sub(11), Cut::End, cut);
        let name = format!("{frozen} frozen: {name} ");
        let rest = room.saturating_sub(width(&name));
        let text = format!("{name}{}", frozen.repeat(rest));
        write(first, room, &text, Role::Warn);
    }
    if let Some(cell) = window.cell(look.now) {
        let at = look.time.short(look.now, look.now);
        let at = match look.time {
            TimeFormat::Ago => "now".to_owned(),
            _ => format!("now {at}"),
        };
        let text = format!("{} {at} ", if ascii { "v" } else { "▼" });
        write(cell, window.cells - cell, &text, Role::Strong);
    }
    let line = look.row().to(lead);
    let line = cells
        .into_iter()
        .fold(line, |line, (text, role)| line.put(look.style(role), text));
    line.line()
}

type Spans = Vec<(DateTime<Utc>, DateTime<Utc>, Fill)>;
type Ends = Vec<(DateTime<Utc>, Fill)>;

fn cells(window: &Window, spans: &Spans, ends: &Ends) -> Vec<Fill> {
    let half = TimeDelta::seconds(window.cell_s / 2);
    let mut cells: Vec<Fill> = (0..window.cells)
        .map(|cell| {
            let middle = window.start(cell) + half;
            let inside =
                |span: &&(DateTime<Utc>, DateTime<Utc>, Fill)| span.0 <= middle && middle < span.1;
            spans
                .iter()
                .rev()
                .find(inside)
                .map_or(Fill::None, |span| span.2)
        })
        .collect();
    // What is shorter than a cell is seen all the same.
    for (from, until, fill) in spans {
        if let Some(cell) = window.cell(*from)
            && *until > *from
            && cells[cell] == Fill::None
        {
            cells[cell] = *fill;
        }
    }
    for (at, fill) in ends {
        if let Some(cell) = window.cell(*at) {
            cells[cell] = *fill;
        }
    }
    cells
}

fn put(mut row: Row, cells: &[Fill], look: &Look<'_>) -> Row {
    for run in cells.chunk_by(|one, other| one == other) {
        let (sign, role) = run[0].sign(look.theme.glyphs.ascii);
        row = row.put(look.style(role), sign.repeat(run.len()));
    }
    row
}

/// The bars of the older and the newer version.
fn bars(item: Item<'_>, window: &Window, now: DateTime<Utc>) -> [(Spans, Ends); 2] {
    let end = window.until().max(now);
    match item {
        Item::Planned(row) if row.late_at <= now => [
            (
                vec![
                    (row.from_since, row.due_at, Fill::Valid),
                    (row.due_at, end, Fill::Late),
                ],
                Vec::new(),
            ),
            (Vec::new(), Vec::new()),
        ],
        Item::Planned(row) => {
            let begins = row.begins_at.max(now);
            let overlap = TimeDelta::seconds(row.overlap_s.min(1 << 32).cast_signed());
            let over = begins + overlap;
            [
                (
                    vec![
                        (row.from_since, begins, Fill::Valid),
                        (begins, over, Fill::Plan),
                    ],
                    vec![(over, Fill::End)],
                ),
                (vec![(begins, end, Fill::Plan)], Vec::new()),
            ]
        }
        Item::Rotation(row) => rotation_bars(row, end, now),
    }
}

fn rotation_bars(row: &RotationRow, end: DateTime<Utc>, now: DateTime<Utc>) -> [(Spans, Ends); 2] {
    let made = row.minted_at;
    match (row.promoted_at, row.ended_at) {
        // Not in use yet: the older one stays valid whatever comes.
        (None, None) => {
            let mut older = vec![(row.from_since, end, Fill::Valid)];
            if let Some(late) = row.late_at.filter(|late| *late <= now) {
                older.push((late, end, Fill::Late));
            }
            let newer = made.map(|made| (made, end, Fill::Plan));
            [
                (older, Vec::new()),
                (newer.into_iter().collect(), Vec::new()),
            ]
        }
        (None, Some(ended)) => {
            let newer = (made.unwrap_or(row.started_at), ended, Fill::Plan);
            [
                (vec![(row.from_since, end, Fill::Valid)], Vec::new()),
                (vec![newer], vec![(ended, Fill::Back)]),
            ]
        }
        (Some(promoted), ended) if row.state == RotationState::RolledBack => {
            let ended = ended.unwrap_or(promoted);
            [
                (
                    vec![
                        (row.from_since, end, Fill::Valid),
                        (promoted, ended, Fill::Both),
                    ],
                    Vec::new(),
                ),
                (
                    vec![
                        (made.unwrap_or(promoted), promoted, Fill::Plan),
                        (promoted, ended, Fill::Both),
                    ],
                    vec![(ended, Fill::Back)],
                ),
            ]
        }
        (Some(promoted), ended) => {
            let over = ended.or(row.overlap_until).unwrap_or(now);
            [
                (
                    vec![
                        (row.from_since, promoted, Fill::Valid),
                        (promoted, over, Fill::Both),
                    ],
                    vec![(over, Fill::End)],
                ),
                (
                    vec![
                        (made.unwrap_or(promoted), promoted, Fill::Plan),
                        (promoted, over, Fill::Both),
                        (over, end, Fill::Valid),
                    ],
                    Vec::new(),
                ),
            ]
        }
    }
}

/// What stands behind the two bars.
fn notes(item: Item<'_>, look: &Look<'_>) -> [(String, Role); 2] {
    let short = |at: DateTime<Utc>| look.time.short(at, look.now);
    let alert = look.theme.glyphs.alert;
    match item {
        Item::Planned(row) => planned_notes(row, look),
        Item::Rotation(row) => match row.state {
            RotationState::Overlapping | RotationState::Promoted => {
                let older = match row.from_used_at {
                    Some(at) => {
                        let idle = compact(look.now - at);
                        (format!("used {idle} ago"), Role::Warn)
                    }
                    None => ("not seen in use".into(), Role::Text),
                };
                let until = row
                    .overlap_until
                    .map_or_else(String::new, |at| format!("till {}", short(at)));
                [older, (until, Role::Text)]
            }
            RotationState::Completed => {
                let at = row.ended_at.map_or_else(String::new, short);
                [
                    (format!("done {at}"), Role::Good),
                    (String::new(), Role::Text),
                ]
            }
            RotationState::RolledBack | RotationState::Failed => {
                let word = if row.state == RotationState::Failed {
                    "FAILED"
                } else {
                    "rolled back"
                };
                let at = row
                    .ended_at
                    .map_or_else(String::new, |at| compact(look.now - at));
                let why = row.failure.clone().unwrap_or_default();
                [(format!("{word} {at}"), Role::Bad), (why, Role::Warn)]
            }
            state => {
                let first = if is_late(row, look.now) {
                    let late = row
                        .late_at
                        .map_or_else(String::new, |at| compact(look.now - at));
                    (format!("{alert} {late} late"), Role::Bad)
                } else {
                    let words = match state {
                        RotationState::Due => "waits its turn",
                        RotationState::Minting => "being made",
                        RotationState::Checking if row.step == 3 => "to be taken",
                        _ => "being tried",
                    };
                    (words.to_owned(), Role::Warn)
                };
                let second = match (&row.failure, row.deadline) {
                    (Some(why), _) => (why.clone(), Role::Bad),
                    (None, Some(at)) => (format!("by {}", short(at)), Role::Text),
                    (None, None) => (String::new(), Role::Text),
                };
                [first, second]
            }
        },
    }
}

fn planned_notes(row: &PlannedRow, look: &Look<'_>) -> [(String, Role); 2] {
    if row.late_at <= look.now {
        let late = compact(look.now - row.late_at);
        let text = format!("{} {late} late", look.theme.glyphs.alert);
        return [(text, Role::Bad), (String::new(), Role::Text)];
    }
    let begins = look.time.short(row.begins_at, look.now);
    let second = match (&row.frozen, row.failures) {
        (_, 1..) => (format!("failed {} times", row.failures), Role::Warn),
        (Some(name), 0) => (format!("after {name}"), Role::Warn),
        (None, 0) => (String::new(), Role::Text),
    };
    [(begins, Role::Text), second]
}

/// Columns before the bars: sign, name, version.
pub fn lead(columns: usize) -> (usize, usize) {
    let name = if columns >= 110 { 24 } else { 15 };
    (name, name + 7)
}

/// Cells that the bars have.
pub fn cells_of(columns: usize) -> usize {
    let note = if columns >= 110 { 20 } else { 15 };
    columns.saturating_sub(lead(columns).1 + note + 1).max(8)
}

/// The lines of one entry.
pub fn lines(
    item: Item<'_>,
    here: bool,
    sign: (&str, Role),
    window: &Window,
    look: &Look<'_>,
    columns: usize,
) -> Vec<Line<'static>> {
    let (name, lead) = lead(columns);
    let (from, to) = match item {
        Item::Planned(row) => (row.from, row.from.saturating_add(1)),
        Item::Rotation(row) => (row.from, row.to.unwrap_or(row.from.saturating_add(1))),
    };
    let notes = notes(item, look);
    let bars = bars(item, window, look.now);
    let shown = item.lines(look.now);
    let cut = look.theme.glyphs.cut;
    let text = look.style(if here { Role::Strong } else { Role::Text });
    let mut lines = Vec::new();
    let versions = bars.iter().zip([from, to]).zip(&notes);
    for (((spans, ends), version), (words, role)) in versions.take(shown) {
        let row = if lines.is_empty() {
            let cursor = if here { look.theme.glyphs.cursor } else { " " };
            look.row()
                .put(look.style(Role::Focused), cursor)
                .put(look.style(sign.1), sign.0)
                .put(text, " ")
                .cell(text, item.name(), name - 2)
        } else {
            look.row()
        };
        let row = row
            .to(name + 2)
            .cell(look.style(Role::Muted), format!("v{version}"), 4)
            .to(lead);
        let row = put(row, &cells(window, spans, ends), look);
        let room = columns.saturating_sub(row.columns() + 1);
        lines.push(
            row.put(text, " ")
                .put(look.style(*role), fit_with(words, room, Cut::End, cut))
                .line(),
        );
    }
    lines
}
