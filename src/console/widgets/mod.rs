//! What screens are put together from: pure functions from data, area and theme to cells.
//!
//! Cells are written directly into ratatui's buffer; nothing is allocated for what is off the screen.
//! All text goes through `put` and thereby through the sanitiser, so no widget can let a control
//! character past.

/// Lines of a change, with signs as well as colours.
pub mod diff;
/// Life bars, bars with labels, sparklines, heat strips.
pub mod graph;
/// Big lists: visible cells only, cursor mark in a gutter.
pub mod list;
/// A line in which something is typed, plain or masked.
pub mod prompt;
/// Section rules, panes, sheets, toasts, key hints.
pub mod section;
/// Wrapped and quoted prose.
pub mod text;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use unicode_segmentation::UnicodeSegmentation;

use crate::console::theme::Theme;
use crate::display::sanitize::{Cut, fit_with, width};

/// How text stands in its columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Align {
    /// Names and words.
    #[default]
    Left,
    /// Numbers and times left.
    Right,
}

/// Writes outside text at `(x, y)`, cut at its end to `columns`; returns the columns used.
///
/// What stood there is replaced, its style too. Positions outside of the buffer are left out, so a widget needs no size checks of its own.
pub fn put(
    buf: &mut Buffer,
    theme: &Theme,
    (x, y): (u16, u16),
    columns: u16,
    text: &str,
    style: Style,
) -> u16 {
    put_cut(buf, theme, (x, y), columns, text, style, Cut::End)
}

/// As [`put`], with the choice of where the text is cut.
pub fn put_cut(
    buf: &mut Buffer,
    theme: &Theme,
    (x, y): (u16, u16),
    columns: u16,
    text: &str,
    style: Style,
    cut: Cut,
) -> u16 {
    let area = buf.area;
    if y < area.top() || y >= area.bottom() || x < area.left() || x >= area.right() {
        return 0;
    }
    let columns = columns.min(area.right() - x);
    let shown = fit_with(text, columns.into(), cut, theme.glyphs.cut);
    let start = buf.index_of(x, y);
    if shown.is_ascii() {
        for (cell, byte) in buf.content[start..].iter_mut().zip(shown.bytes()) {
            cell.reset();
            cell.set_char(char::from(byte)).set_style(style);
        }
        return shown.len() as u16;
    }
    let mut at = start;
    for grapheme in shown.graphemes(true) {
        let columns = width(grapheme).max(1);
        buf.content[at].reset();
        buf.content[at].set_symbol(grapheme).set_style(style);
        for cell in &mut buf.content[at + 1..at + columns] {
            cell.reset();
            cell.set_style(style);
        }
        at += columns;
    }
    (at - start) as u16
}

/// Writes text so that it ends before column `right`; returns its first column.
pub fn put_right(
    buf: &mut Buffer,
    theme: &Theme,
    (right, y): (u16, u16),
    columns: u16,
    text: &str,
    style: Style,
) -> u16 {
    let shown = fit_with(text, columns.into(), Cut::End, theme.glyphs.cut);
    let x = right.saturating_sub(width(&shown) as u16);
    put(buf, theme, (x, y), columns, &shown, style);
    x
}

/// Writes pieces with a style each, one after the other, within `columns`; returns the columns used.
pub fn put_spans(
    buf: &mut Buffer,
    theme: &Theme,
    (x, y): (u16, u16),
    columns: u16,
    spans: &[(&str, Style)],
) -> u16 {
    let mut used = 0;
    for (text, style) in spans {
        used += put(buf, theme, (x + used, y), columns - used, text, *style);
    }
    used
}

/// Repeats a one-column glyph over `columns`.
pub fn repeat(buf: &mut Buffer, (x, y): (u16, u16), columns: u16, glyph: &str, style: Style) {
    let area = buf.area;
    for x in x..x.saturating_add(columns).min(area.right()) {
        if let Some(cell) = buf.cell_mut((x, y)) {
            cell.reset();
            cell.set_symbol(glyph).set_style(style);
        }
    }
}

/// Makes an area blank, whatever was drawn there.
pub fn clear(buf: &mut Buffer, area: Rect) {
    let area = area.intersection(buf.area);
    for y in area.top()..area.bottom() {
        for x in area.left()..area.right() {
            buf[(x, y)].reset();
        }
    }
}

/// Dims an area: data older than it should be, or what lies behind a sheet.
pub fn dim(buf: &mut Buffer, area: Rect, style: Style) {
    buf.set_style(area.intersection(buf.area), style);
}

#[cfg(test)]
pub(crate) mod testing {
    use super::*;

    /// The glyphs of a buffer as lines, trailing blanks cut.
    pub(crate) fn lines(buf: &Buffer) -> Vec<String> {
        (buf.area.top()..buf.area.bottom())
            .map(|y| {
                let mut line = String::new();
                let mut x = buf.area.left();
                while x < buf.area.right() {
                    let symbol = buf[(x, y)].symbol();
                    line.push_str(symbol);
                    x += width(symbol).max(1) as u16;
                }
                line.trim_end().to_owned()
            })
            .collect()
    }

    /// A blank buffer of that size.
    pub(crate) fn blank(width: u16, height: u16) -> Buffer {
        Buffer::empty(Rect::new(0, 0, width, height))
    }
}

#[cfg(test)]
mod tests {
    use super::testing::*;
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn hostile_text_is_shown_and_cut() {
        let (mut buf, theme) = (blank(12, 2), Theme::default());
        assert_eq!(
            put(&mut buf, &theme, (0, 0), 12, "a\x1b[2Jb", Style::new()),
            6
        );
        assert_eq!(
            put(&mut buf, &theme, (2, 1), 40, "日本語テスト", Style::new()),
            9
        );
        assert_eq!(lines(&buf), ["a␛[2Jb", "  日本語テ…"]);
        assert_eq!(put(&mut buf, &theme, (0, 9), 5, "below", Style::new()), 0);
        repeat(&mut buf, (0, 0), 12, "─", Style::new().dim());
        put(&mut buf, &theme, (0, 0), 1, "x", Style::new().bold());
        assert_eq!(
            buf[(0, 0)].modifier,
            ratatui::style::Modifier::BOLD,
            "nothing shines through"
        );
    }

    proptest! {
        #[test]
        fn nothing_is_written_outside(x in 0u16..20, y in 0u16..5, columns in 0u16..30, text in "\\PC{0,30}") {
            let (mut buf, theme) = (blank(14, 3), Theme::new(crate::console::theme::ThemeName::Mono, true));
            let used = put(&mut buf, &theme, (x, y), columns, &text, Style::new());
            prop_assert!(used <= columns);
            let inside = lines(&buf).concat().trim().len();
            prop_assert!(used > 0 || inside == 0);
        }
    }
}
