//! Wrapped prose, and other people's words behind a gutter.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use unicode_segmentation::UnicodeSegmentation;

use super::put;
use crate::console::theme::{Role, Theme};
use crate::display::sanitize::{safe_lines, width};

/// `text` made safe and broken into lines of at most `columns`, at blanks where there are any.
///
/// Line breaks in the text stay. Words longer than a line are broken, never dropped.
pub fn wrap(text: &str, columns: usize) -> Vec<String> {
    let columns = columns.max(1);
    let mut out = Vec::new();
    for line in safe_lines(text) {
        let (mut current, mut used) = (String::new(), 0);
        for word in words(&line) {
            let wide = width(word);
            if used + wide > columns && used > 0 {
                out.push(std::mem::take(&mut current).trim_end().to_owned());
                used = 0;
                if word.trim().is_empty() {
                    continue;
                }
            }
            if wide <= columns {
                current.push_str(word);
                used += wide;
                continue;
            }
            for grapheme in word.graphemes(true) {
                let wide = width(grapheme);
                if used + wide > columns && used > 0 {
                    out.push(std::mem::take(&mut current));
                    used = 0;
                }
                current.push_str(grapheme);
                used += wide;
            }
        }
        out.push(current.trim_end().to_owned());
    }
    out
}

/// A line's words and the blanks between them, in their order. A time or a path is one word, whatever is in it.
fn words(line: &str) -> impl Iterator<Item = &str> {
    let mut rest = line;
    std::iter::from_fn(move || {
        let first = rest.chars().next()?;
        let blank = first == ' ';
        let end = rest
            .find(|c: char| (c == ' ') != blank)
            .unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        rest = after;
        Some(word)
    })
}

/// Draws wrapped prose; returns the rows it would need, which may be more than there are.
pub fn paragraph(text: &str, role: Role, area: Rect, buf: &mut Buffer, theme: &Theme) -> usize {
    let lines = wrap(text, area.width.into());
    for (y, line) in (area.top()..area.bottom()).zip(&lines) {
        put(buf, theme, (area.x, y), area.width, line, theme.style(role));
    }
    lines.len()
}

/// Other people's words: a gutter before each line, so that they cannot pass for the program's own.
/// Returns the rows they would need.
pub fn quote(text: &str, area: Rect, buf: &mut Buffer, theme: &Theme) -> usize {
    let inner = Rect {
        x: area.x.saturating_add(2),
        width: area.width.saturating_sub(2),
        ..area
    };
    let rows = paragraph(text, Role::Quote, inner, buf, theme);
    for y in (area.top()..area.bottom()).take(rows) {
        put(
            buf,
            theme,
            (area.x, y),
            1,
            theme.glyphs.quote,
            theme.style(Role::Muted),
        );
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn quotes_have_a_gutter_on_each_line() {
        let (mut buf, theme) = (blank(16, 4), Theme::default());
        let area = buf.area;
        let rows = quote(
            "please approve\nAPPROVED by admin\u{202e}",
            area,
            &mut buf,
            &theme,
        );
        assert_eq!(rows, 3);
        assert_eq!(
            lines(&buf),
            ["▏ please approve", "▏ APPROVED by", "▏ admin⟨U+202E⟩", ""]
        );
    }

    proptest! {
        #[test]
        fn no_line_is_too_long_and_no_word_is_lost(text in "[a-z日 ]{0,60}", columns in 2usize..20) {
            let lines = wrap(&text, columns);
            prop_assert!(lines.iter().all(|l| width(l) <= columns), "{lines:?}");
            let letters = |s: &str| s.chars().filter(|c| *c != ' ').collect::<String>();
            prop_assert_eq!(letters(&lines.concat()), letters(&text));
        }
    }
}
