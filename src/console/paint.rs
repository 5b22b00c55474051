//! Drawing text into cells. Every string passes the sanitiser on its way, so nothing that came from outside
//! can be anything but text here.

use super::theme::{Role, Theme};
use crate::display::sanitize::{Cut, fit_with, width};
use ratatui::{buffer::Buffer, layout::Rect, style::Style};

/// Writes `text` from `x`, at most `columns` wide, and returns the column behind it. What does not fit is cut
/// at its end; `…` stands for it.
pub fn text(buffer: &mut Buffer, x: u16, y: u16, columns: u16, text: &str, style: Style) -> u16 {
    put(buffer, x, y, columns, text, Cut::End, style)
}

/// As [`text`], and says where to cut.
pub fn put(
    buffer: &mut Buffer,
    x: u16,
    y: u16,
    columns: u16,
    text: &str,
    cut: Cut,
    style: Style,
) -> u16 {
    let area = buffer.area;
    if y >= area.bottom() || x >= area.right() || columns == 0 {
        return x;
    }
    let room = columns.min(area.right() - x);
    let shown = fit_with(text, usize::from(room), cut, "…");
    buffer
        .set_stringn(x, y, shown.as_ref(), usize::from(room), style)
        .0
}

/// Writes `text` so that it ends before column `right`, and returns the column where it begins.
pub fn text_right(buffer: &mut Buffer, right: u16, y: u16, shown: &str, style: Style) -> u16 {
    let columns = (width(&crate::display::sanitize::safe(shown)) as u16).min(right);
    let x = right - columns;
    text(buffer, x, y, columns, shown, style);
    x
}

/// A section's rule over the whole of `row`: `── title ───────── note ─`.
pub fn rule(buffer: &mut Buffer, row: Rect, title: &str, note: &str, theme: &Theme) {
    if row.width < 4 || row.y >= buffer.area.bottom() {
        return;
    }
    let line = theme.style(Role::Rule);
    let sign = theme.glyphs.horizontal;
    for x in row.left()..row.right().min(buffer.area.right()) {
        buffer[(x, row.y)].set_symbol(sign).set_style(line);
    }
    let mut left = row.x;
    if !title.is_empty() {
        let room = row.width.saturating_sub(6);
        let x = text(
            buffer,
            row.x + 3,
            row.y,
            room,
            title,
            theme.style(Role::Title),
        );
        buffer[(row.x + 2, row.y)].set_symbol(" ");
        if x < row.right() {
            buffer[(x, row.y)].set_symbol(" ");
        }
        left = x + 1;
    }
    let columns = width(note) as u16;
    if !note.is_empty() && left + columns + 4 < row.right() {
        let x = row.right() - columns - 2;
        buffer[(x - 1, row.y)].set_symbol(" ");
        text(buffer, x, row.y, columns, note, theme.style(Role::Muted));
        buffer[(x + columns, row.y)].set_symbol(" ");
    }
}

/// Blanks an area.
pub fn clear(buffer: &mut Buffer, area: Rect) {
    let area = area.intersection(buffer.area);
    for y in area.top()..area.bottom() {
        for x in area.left()..area.right() {
            buffer[(x, y)].reset();
        }
    }
}

/// One line of a text in pieces of at most `columns`, nothing of it dropped; an empty one is one empty piece.
pub fn chop(text: &str, columns: usize) -> Vec<String> {
    use unicode_segmentation::UnicodeSegmentation as _;
    let mut pieces = vec![String::new()];
    let mut taken = 0;
    for grapheme in crate::display::sanitize::safe(text).graphemes(true) {
        let wide = width(grapheme);
        if taken + wide > columns && taken > 0 {
            pieces.push(String::new());
            taken = 0;
        }
        taken += wide;
        if let Some(last) = pieces.last_mut() {
            last.push_str(grapheme);
        }
    }
    pieces
}

/// `text` in lines of at most `columns`, broken at blanks where there are any.
pub fn wrap(text: &str, columns: usize) -> Vec<String> {
    let mut lines = Vec::new();
    for paragraph in crate::display::sanitize::safe_lines(text) {
        let mut line = String::new();
        for word in paragraph.split(' ') {
            let mut word = word;
            if !line.is_empty() && width(&line) + 1 + width(word) > columns {
                lines.push(std::mem::take(&mut line));
            } else if !line.is_empty() {
                line.push(' ');
            }
            while width(word) > columns.max(1) {
                let mut end = word.floor_char_boundary(columns.max(1));
                if end == 0 {
                    end = word.chars().next().map_or(0, char::len_utf8);
                }
                lines.push(word[..end].to_owned());
                word = &word[end..];
            }
            line.push_str(word);
        }
        lines.push(line);
    }
    lines
}
