//! Lines of a change: a sign, a colour, and the text; never the colour alone.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::put;
use crate::console::theme::{Role, Theme};

/// What became of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// Comes new.
    Added,
    /// Goes away.
    Removed,
    /// Stays.
    Same,
}

/// One line of a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DiffLine {
    /// What became of it.
    pub change: Change,
    /// The line, not sanitised.
    pub text: String,
}

/// The lines of `after` against those of `before`, by their longest common subsequence.
///
/// For policy texts and scope lists. Beyond 2 000 lines a side, everything between the common start and
/// end counts as replaced: exactness there is not worth the square of the length.
pub fn compare<'a>(before: &[&'a str], after: &[&'a str]) -> Vec<DiffLine> {
    let start = before.iter().zip(after).take_while(|(a, b)| a == b).count();
    let rest = (before.len() - start).min(after.len() - start);
    let end = (0..rest)
        .take_while(|i| before[before.len() - 1 - i] == after[after.len() - 1 - i])
        .count();
    let (old, new) = (
        &before[start..before.len() - end],
        &after[start..after.len() - end],
    );
    let line = |change| {
        move |text: &&'a str| DiffLine {
            change,
            text: (*text).to_owned(),
        }
    };
    let mut out: Vec<DiffLine> = before[..start].iter().map(line(Change::Same)).collect();
    if old.len() > 2000 || new.len() > 2000 {
        out.extend(old.iter().map(line(Change::Removed)));
        out.extend(new.iter().map(line(Change::Added)));
    } else {
        middle(old, new, &mut out);
    }
    out.extend(before[before.len() - end..].iter().map(line(Change::Same)));
    out
}

fn middle(old: &[&str], new: &[&str], out: &mut Vec<DiffLine>) {
    // longest[i][j]: length of the common subsequence of old[i..] and new[j..].
    let stride = new.len() + 1;
    let mut longest = vec![0u32; (old.len() + 1) * stride];
    for i in (0..old.len()).rev() {
        for j in (0..new.len()).rev() {
            longest[i * stride + j] = if old[i] == new[j] {
                longest[(i + 1) * stride + j + 1] + 1
            } else {
                longest[(i + 1) * stride + j].max(longest[i * stride + j + 1])
            };
        }
    }
    let (mut i, mut j) = (0, 0);
    while i < old.len() || j < new.len() {
        let removes = j == new.len()
            || i < old.len() && longest[(i + 1) * stride + j] >= longest[i * stride + j + 1];
        let (change, text) = if i < old.len() && j < new.len() && old[i] == new[j] {
            (i, j) = (i + 1, j + 1);
            (Change::Same, old[i - 1])
        } else if removes && i < old.len() {
            i += 1;
            (Change::Removed, old[i - 1])
        } else {
            j += 1;
            (Change::Added, new[j - 1])
        };
        out.push(DiffLine {
            change,
            text: text.to_owned(),
        });
    }
}

/// Draws lines from `offset` on: `+ text`, `- text`, `  text`. Returns the rows used.
pub fn diff(lines: &[DiffLine], offset: usize, area: Rect, buf: &mut Buffer, theme: &Theme) -> u16 {
    let area = area.intersection(buf.area);
    let mut used = 0;
    for (y, line) in (area.top()..area.bottom()).zip(lines.iter().skip(offset)) {
        let (sign, role) = match line.change {
            Change::Added => ("+", Role::Added),
            Change::Removed => ("-", Role::Removed),
            Change::Same => (" ", Role::Muted),
        };
        let style = theme.style(role);
        put(buf, theme, (area.x, y), 1.min(area.width), sign, style);
        put(
            buf,
            theme,
            (area.x + 2, y),
            area.width.saturating_sub(2),
            &line.text,
            style,
        );
        used += 1;
    }
    used
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn signs_say_it_without_colour() {
        let (mut buf, theme) = (blank(12, 4), Theme::default());
        let lines_of = compare(&["read", "write", "x"], &["read", "ddl\x1b", "x"]);
        let area = buf.area;
        assert_eq!(diff(&lines_of, 0, area, &mut buf, &theme), 4);
        assert_eq!(lines(&buf), ["  read", "- write", "+ ddl␛", "  x"]);
    }

    proptest! {
        #[test]
        fn a_change_holds_both_sides(old in prop::collection::vec("[abc]", 0..12), new in prop::collection::vec("[abc]", 0..12)) {
            let old: Vec<&str> = old.iter().map(String::as_str).collect();
            let new: Vec<&str> = new.iter().map(String::as_str).collect();
            let all = compare(&old, &new);
            let side = |gone: Change| -> Vec<&str> {
                all.iter().filter(|l| l.change != gone).map(|l| l.text.as_str()).collect()
            };
            prop_assert_eq!(side(Change::Added), old);
            prop_assert_eq!(side(Change::Removed), new);
        }
    }
}
