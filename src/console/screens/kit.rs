//! Lines of styled text, put together piece by piece. Screens are built as lines first, so that what is on a
//! page, and where, is known without drawing it. Every string passes the sanitiser here.

use crate::console::model::Shared;
use crate::console::theme::{Role, Theme, ThemeName};
use crate::display::{
    sanitize::{Cut, fit_with, safe, width},
    time::TimeFormat,
};
use chrono::{DateTime, Utc};
use ratatui::{
    buffer::Buffer,
    layout::Rect,
    style::Style,
    text::{Line, Span},
};

/// What every page needs to know of how things are shown.
#[derive(Debug, Clone, Copy)]
pub struct Look<'a> {
    /// Colours and signs.
    pub theme: &'a Theme,
    /// How times are written.
    pub time: TimeFormat,
    /// The time that the screen is drawn for.
    pub now: DateTime<Utc>,
}

impl<'a> Look<'a> {
    /// As the shared state has it.
    pub fn new(shared: &Shared, theme: &'a Theme) -> Self {
        Self {
            theme,
            time: shared.time,
            now: shared.now,
        }
    }

    /// Draws the part of `lines` from line `scroll` on, and says how many are below; `open` if the page has the screen to
    /// itself, so that it scrolls. Returns the first line that is seen.
    pub fn paint_part(
        &self,
        buffer: &mut Buffer,
        area: Rect,
        lines: &[Line<'static>],
        scroll: usize,
        open: bool,
    ) -> usize {
        let height = usize::from(area.height);
        let skip = scroll.min(lines.len().saturating_sub(height));
        paint(buffer, area, lines, skip);
        let below = lines.len().saturating_sub(skip + height);
        if below > 0 {
            let how = if open { "ctrl-d" } else { "enter" };
            let note = format!("{} lines below: {how}", below + 1);
            let last = Rect {
                y: area.bottom() - 1,
                height: 1,
                ..area
            };
            crate::console::paint::clear(buffer, last);
            let rule = self.rule_in("", &note, usize::from(area.width), Role::Muted);
            paint(buffer, last, &[rule], 0);
        }
        skip
    }

    /// A label of `wide` columns, and what it says on as many lines as it takes.
    pub fn pair(
        &self,
        (label, wide): (&str, usize),
        role: Role,
        text: &str,
        columns: usize,
    ) -> Vec<Line<'static>> {
        self.flow(columns, wide + 2)
            .piece(self.style(Role::Muted), format!("{label:<wide$}"), 0)
            .piece(self.style(role), text, 1)
            .lines()
    }

    /// Pieces that flow: what does not fit on a line goes on the next one, nothing is cut.
    pub fn flow(&self, columns: usize, indent: usize) -> Flow {
        Flow {
            lines: Vec::new(),
            row: self.row().to(1),
            columns,
            indent,
        }
    }

    /// The style of a role.
    pub fn style(&self, role: Role) -> Style {
        self.theme.style(role)
    }

    /// An empty line to add to.
    pub fn row(&self) -> Row {
        Row {
            spans: Vec::new(),
            columns: 0,
            sign: self.theme.glyphs.cut,
        }
    }

    /// A line of one piece.
    pub fn line(&self, role: Role, text: impl AsRef<str>) -> Line<'static> {
        self.row().put(self.style(role), text).line()
    }

    /// A section's rule over `columns`: `── TITLE ───── note ─`.
    pub fn rule(&self, title: &str, note: &str, columns: usize) -> Line<'static> {
        self.rule_in(title, note, columns, Role::Muted)
    }

    /// As [`Look::rule`], with the note in the style of a role.
    pub fn rule_in(&self, title: &str, note: &str, columns: usize, role: Role) -> Line<'static> {
        let sign = self.theme.glyphs.horizontal;
        let dash = |n: usize| sign.repeat(n);
        let style = self.style(Role::Rule);
        if title.is_empty() {
            let note = format!(" {note} ");
            let lead = columns.saturating_sub(width(&safe(&note)) + 1);
            let row = self
                .row()
                .put(style, dash(lead))
                .put(self.style(role), note);
            let rest = columns.saturating_sub(row.columns());
            return row.put(style, dash(rest)).line();
        }
        let title = fit_with(
            title,
            columns.saturating_sub(6),
            Cut::End,
            self.theme.glyphs.cut,
        );
        let taken = 4 + width(&title);
        let note_columns = width(&safe(note));
        let row = self
            .row()
            .put(style, dash(2))
            .put(style, " ")
            .put(self.style(Role::Title), &title)
            .put(style, " ");
        if note.is_empty() || taken + note_columns + 4 > columns {
            return row.put(style, dash(columns.saturating_sub(taken))).line();
        }
        row.put(style, dash(columns - taken - note_columns - 3))
            .put(style, " ")
            .put(self.style(role), note)
            .put(style, " ")
            .put(style, dash(1))
            .line()
    }

    /// One paragraph in lines of at most `columns`, each behind `lead`. Its own line ends are shown, not obeyed:
    /// outside text cannot begin a line here.
    pub fn wrapped(
        &self,
        role: Role,
        lead: &str,
        text: &str,
        columns: usize,
    ) -> Vec<Line<'static>> {
        self.quoted(role, lead, &safe(text), columns)
    }

    /// One line of a text as it stands, its blanks too, behind `lead`; what does not fit goes on the next line.
    pub fn verbatim(
        &self,
        role: Role,
        lead: &str,
        text: &str,
        columns: usize,
    ) -> Vec<Line<'static>> {
        let room = columns.saturating_sub(width(lead)).max(8);
        crate::console::paint::chop(text, room)
            .iter()
            .map(|part| {
                self.row()
                    .put(self.style(Role::Rule), lead)
                    .put(self.style(role), part)
                    .line()
            })
            .collect()
    }

    /// Someone's words in lines of at most `columns`, with their own line ends: `lead` is a gutter on each line.
    pub fn quoted(&self, role: Role, lead: &str, text: &str, columns: usize) -> Vec<Line<'static>> {
        let room = columns.saturating_sub(width(lead)).max(8);
        crate::console::paint::wrap(text, room)
            .iter()
            .map(|part| {
                self.row()
                    .put(self.style(Role::Rule), lead)
                    .put(self.style(role), part)
                    .line()
            })
            .collect()
    }
}

/// A line under construction.
#[derive(Debug, Clone)]
pub struct Row {
    spans: Vec<Span<'static>>,
    columns: usize,
    sign: &'static str,
}

impl Row {
    /// Columns that are taken so far.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// Adds a piece in full.
    pub fn put(mut self, style: Style, text: impl AsRef<str>) -> Self {
        let text = safe(text.as_ref()).into_owned();
        self.columns += width(&text);
        self.spans.push(Span::styled(text, style));
        self
    }

    /// Adds blanks up to a column; nothing if the line is there already.
    pub fn to(self, column: usize) -> Self {
        let blanks = column.saturating_sub(self.columns);
        self.put(Style::new(), " ".repeat(blanks))
    }

    /// Adds a piece in exactly so many columns, cut in its middle as identifiers are in lists.
    pub fn cell(self, style: Style, text: impl AsRef<str>, columns: usize) -> Self {
        let end = self.columns + columns;
        self.at_most(style, text, columns).to(end)
    }

    /// Adds a piece in at most so many columns, cut in its middle.
    pub fn at_most(self, style: Style, text: impl AsRef<str>, columns: usize) -> Self {
        let shown = fit_with(text.as_ref(), columns, Cut::Middle, self.sign).into_owned();
        self.put(style, shown)
    }

    /// Adds a piece at the right edge of so many columns.
    pub fn cell_right(self, style: Style, text: impl AsRef<str>, columns: usize) -> Self {
        let shown = fit_with(text.as_ref(), columns, Cut::Middle, self.sign).into_owned();
        let start = self.columns + columns - width(&shown).min(columns);
        self.to(start).put(style, shown)
    }

    /// Adds a piece so that it ends before `column`; at least one blank before it, or not at all.
    pub fn end(self, style: Style, text: impl AsRef<str>, column: usize) -> Self {
        let shown = safe(text.as_ref()).into_owned();
        let start = column.saturating_sub(width(&shown));
        if start <= self.columns {
            return self;
        }
        self.to(start).put(style, shown)
    }

    /// Adds another line's pieces as they are.
    pub fn join(mut self, line: Line<'static>) -> Self {
        self.columns += line.width();
        self.spans.extend(line.spans);
        self
    }

    /// The line.
    pub fn line(self) -> Line<'static> {
        Line::from(self.spans)
    }
}

/// Lines that pieces flow into.
#[derive(Debug, Clone)]
pub struct Flow {
    lines: Vec<Line<'static>>,
    row: Row,
    columns: usize,
    indent: usize,
}

impl Flow {
    /// Adds a piece, `gap` blanks behind the one before it. One that is wider than a line is broken.
    #[must_use]
    pub fn piece(mut self, style: Style, text: impl AsRef<str>, gap: usize) -> Self {
        let room = self.columns.saturating_sub(self.indent).max(8);
        for (n, part) in crate::console::paint::wrap(&safe(text.as_ref()), room)
            .iter()
            .enumerate()
        {
            let gap = if self.row.columns <= self.indent.min(1) {
                0
            } else {
                gap
            };
            if n > 0 || self.row.columns + gap + width(part) > self.columns {
                let next = Row {
                    spans: Vec::new(),
                    columns: 0,
                    sign: self.row.sign,
                }
                .to(self.indent);
                let full = std::mem::replace(&mut self.row, next);
                self.lines.push(full.line());
                self.row = self.row.put(style, part);
            } else {
                let start = self.row.columns + gap;
                self.row = self.row.to(start).put(style, part);
            }
        }
        self
    }

    /// Adds a piece that stays on one line with the `next` columns behind it.
    #[must_use]
    pub fn together(
        mut self,
        style: Style,
        text: impl AsRef<str>,
        gap: usize,
        next: usize,
    ) -> Self {
        let needed = width(&safe(text.as_ref())) + next;
        if self.row.columns > self.indent && self.row.columns + gap + needed > self.columns {
            let sign = self.row.sign;
            let fresh = Row {
                spans: Vec::new(),
                columns: 0,
                sign,
            }
            .to(self.indent);
            let full = std::mem::replace(&mut self.row, fresh);
            self.lines.push(full.line());
        }
        let gap = if self.row.columns > self.indent {
            gap
        } else {
            0
        };
        self.piece(style, text, gap)
    }

    /// The lines.
    pub fn lines(mut self) -> Vec<Line<'static>> {
        self.lines.push(self.row.line());
        self.lines
    }
}

/// The theme that a layout is computed with where none is at hand: signs count, colours do not.
pub fn theme_of(shared: &Shared) -> Theme {
    Theme::new(ThemeName::Default, shared.ascii)
}

/// The part of the terminal that a screen has to itself: below row 1 and the tabs, above the hints.
pub fn body(shared: &Shared) -> Rect {
    let (columns, rows) = shared.size;
    Rect::new(0, 2, columns, rows.saturating_sub(3))
}

/// A line that takes exactly `columns`: longer ones lose their end, which `sign` stands for.
pub fn exactly(line: Line<'static>, columns: usize, sign: &'static str) -> Line<'static> {
    let mut row = Row {
        spans: Vec::new(),
        columns: 0,
        sign,
    };
    let fits = line.width() <= columns;
    for span in line.spans {
        let room = columns.saturating_sub(row.columns);
        if fits || width(&span.content) < room {
            row = row.put(span.style, span.content);
        } else {
            let text = format!("{}{sign}", span.content);
            let shown = fit_with(&text, room, Cut::End, sign).into_owned();
            row = row.put(span.style, shown);
            break;
        }
    }
    row.to(columns).line()
}

/// Two columns side by side, `gap` between them; the shorter one is filled with blanks.
pub fn beside(
    left: Vec<Line<'static>>,
    right: Vec<Line<'static>>,
    left_columns: usize,
    gap: &Span<'static>,
    sign: &'static str,
) -> Vec<Line<'static>> {
    let lines = left.len().max(right.len());
    let mut left = left.into_iter();
    let mut right = right.into_iter();
    (0..lines)
        .map(|_| {
            let mut line = exactly(left.next().unwrap_or_default(), left_columns, sign);
            line.spans.push(gap.clone());
            line.spans.extend(right.next().unwrap_or_default().spans);
            line
        })
        .collect()
}

/// Writes lines into an area, from line `skip` on.
pub fn paint(buffer: &mut Buffer, area: Rect, lines: &[Line<'static>], skip: usize) {
    let area = area.intersection(buffer.area);
    for (line, y) in lines.iter().skip(skip).zip(area.top()..area.bottom()) {
        buffer.set_line(area.x, y, line, area.width);
    }
}

/// Where a page of `lines` must begin so that line `cursor` is among the `rows` that show, moved as little as
/// may be from `skip`.
pub fn scrolled(skip: usize, cursor: usize, rows: usize, lines: usize) -> usize {
    let last = lines.saturating_sub(rows);
    let skip = if cursor < skip {
        cursor
    } else if cursor >= skip + rows.max(1) {
        cursor + 1 - rows.max(1)
    } else {
        skip
    };
    skip.min(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(line: &Line<'_>) -> String {
        line.spans
            .iter()
            .map(|span| span.content.as_ref())
            .collect()
    }

    #[test]
    fn rows_are_as_wide_as_they_say() {
        let theme = Theme::default();
        let look = Look {
            theme: &theme,
            time: TimeFormat::Utc,
            now: DateTime::UNIX_EPOCH,
        };
        assert_eq!(
            text(&look.rule("RISK", "4 of 4", 24)),
            "── RISK ─────── 4 of 4 ─"
        );
        assert_eq!(
            text(&look.rule("RISK", "far too long for it", 24))
                .chars()
                .count(),
            24
        );
        let row = look
            .row()
            .cell(Style::new(), "payments/checkout-db", 9)
            .cell_right(Style::new(), "7", 3);
        assert_eq!(row.columns(), 12);
        let cut = exactly(look.line(Role::Text, "日本日本日本"), 7, "…");
        assert_eq!(cut.width(), 7);
        assert!(!text(&look.line(Role::Text, "a\x1b[31mb")).contains('\x1b'));
    }

    #[test]
    fn pages_follow_the_cursor() {
        assert_eq!(scrolled(0, 5, 10, 30), 0);
        assert_eq!(scrolled(0, 12, 10, 30), 3);
        assert_eq!(scrolled(20, 2, 10, 30), 2);
        assert_eq!(scrolled(25, 29, 10, 30), 20);
    }
}
