//! Section rules, panes, sheets, toasts and the line of key hints.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Modifier;

use super::{clear, put, put_right, repeat};
use crate::console::theme::{Role, Theme};
use crate::display::sanitize::width;

/// A rule over the whole width with a title and something on the right: `── ROTATION ───── 37 due ─`.
pub fn section(title: &str, right: &str, area: Rect, buf: &mut Buffer, theme: &Theme) {
    let area = area.intersection(buf.area);
    if area.is_empty() {
        return;
    }
    let (rule, y) = (theme.style(Role::Rule), area.y);
    repeat(buf, (area.x, y), area.width, theme.glyphs.horizontal, rule);
    if area.width < 8 {
        return;
    }
    let mut free = area.width - 6;
    if !title.is_empty() {
        let text = format!(" {title} ");
        free -= put(
            buf,
            theme,
            (area.x + 2, y),
            free,
            &text,
            theme.style(Role::Title),
        )
        .min(free);
    }
    let wanted = width(right) as u16 + 2;
    if !right.is_empty() && wanted <= free {
        put_right(
            buf,
            theme,
            (area.right() - 1, y),
            wanted,
            &format!(" {right} "),
            theme.style(Role::Muted),
        );
    }
}

/// Splits an area in two with a vertical rule between; `left` columns go to the first, the rule takes three.
pub fn panes(left: u16, area: Rect, buf: &mut Buffer, theme: &Theme) -> (Rect, Rect) {
    let area = area.intersection(buf.area);
    let left = left.min(area.width);
    let style = theme.style(Role::Rule);
    if left + 3 >= area.width {
        return (
            area,
            Rect {
                x: area.right(),
                width: 0,
                ..area
            },
        );
    }
    for y in area.top()..area.bottom() {
        put(
            buf,
            theme,
            (area.x + left + 1, y),
            1,
            theme.glyphs.vertical,
            style,
        );
    }
    let first = Rect {
        width: left,
        ..area
    };
    (
        first,
        Rect {
            x: area.x + left + 3,
            width: area.width - left - 3,
            ..area
        },
    )
}

/// A box in the middle of `area`, at most `columns` × `rows`; what was under it is gone. Returns its inside.
pub fn sheet(
    title: &str,
    (columns, rows): (u16, u16),
    area: Rect,
    buf: &mut Buffer,
    theme: &Theme,
) -> Rect {
    let area = area.intersection(buf.area);
    let (columns, rows) = (columns.min(area.width), rows.min(area.height));
    let outer = Rect {
        x: area.x + (area.width - columns) / 2,
        y: area.y + (area.height - rows) / 2,
        width: columns,
        height: rows,
    };
    clear(buf, outer);
    if columns < 4 || rows < 3 {
        return outer;
    }
    let style = theme.style(Role::Focused);
    let [top_left, top_right, bottom_left, bottom_right] = theme.glyphs.corners;
    let (right, bottom) = (outer.right() - 1, outer.bottom() - 1);
    for (y, corners) in [
        (outer.y, [top_left, top_right]),
        (bottom, [bottom_left, bottom_right]),
    ] {
        repeat(buf, (outer.x, y), columns, theme.glyphs.horizontal, style);
        put(buf, theme, (outer.x, y), 1, corners[0], style);
        put(buf, theme, (right, y), 1, corners[1], style);
    }
    for y in outer.y + 1..bottom {
        put(buf, theme, (outer.x, y), 1, theme.glyphs.vertical, style);
        put(buf, theme, (right, y), 1, theme.glyphs.vertical, style);
    }
    put(
        buf,
        theme,
        (outer.x + 2, outer.y),
        columns - 4,
        &format!(" {title} "),
        style,
    );
    Rect {
        x: outer.x + 2,
        y: outer.y + 1,
        width: columns - 4,
        height: rows - 2,
    }
}

/// Text that fills one row as a passing notice.
pub fn toast(text: &str, role: Role, area: Rect, buf: &mut Buffer, theme: &Theme) {
    let area = area.intersection(buf.area);
    if area.is_empty() {
        return;
    }
    let row = Rect { height: 1, ..area };
    clear(buf, row);
    let style = theme.style(role).add_modifier(Modifier::BOLD);
    put(
        buf,
        theme,
        (area.x + 1, area.y),
        area.width.saturating_sub(2),
        text,
        style,
    );
}

/// Key hints in one row, those that no longer fit left out whole: ` j/k move  ⏎ open`. Returns how many fit.
pub fn hints(hints: &[(&str, &str)], area: Rect, buf: &mut Buffer, theme: &Theme) -> usize {
    let area = area.intersection(buf.area);
    let mut x = area.x.saturating_add(1);
    for (shown, (key, label)) in hints.iter().enumerate() {
        let wide = (width(key) + width(label) + 1) as u16;
        if area.is_empty() || x + wide > area.right() {
            return shown;
        }
        x += put(buf, theme, (x, area.y), wide, key, theme.style(Role::Key)) + 1;
        x += put(
            buf,
            theme,
            (x, area.y),
            wide,
            label,
            theme.style(Role::Muted),
        ) + 2;
    }
    hints.len()
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;
    use crate::console::theme::ThemeName;

    #[test]
    fn rules_keep_the_title_and_give_up_the_right_side_first() {
        let theme = Theme::default();
        let draw = |columns| {
            let mut buf = blank(columns, 1);
            let area = buf.area;
            section("ROTATION", "37 due", area, &mut buf, &theme);
            lines(&buf).remove(0)
        };
        assert_eq!(
            draw(32),
            "── ROTATION ────────── 37 due ──".replacen("── 37 due ──", "─── 37 due ─", 1)
        );
        assert_eq!(draw(20), "── ROTATION ────────");
        assert_eq!(draw(3), "───");
    }

    #[test]
    fn sheets_cover_what_is_below() {
        let theme = Theme::new(ThemeName::Mono, true);
        let mut buf = blank(16, 5);
        let area = buf.area;
        repeat(&mut buf, (0, 2), 16, "x", theme.style(Role::Text));
        let inside = sheet("SIGN", (12, 3), area, &mut buf, &theme);
        assert_eq!(inside, Rect::new(4, 2, 8, 1));
        assert_eq!(
            lines(&buf)[1..4],
            ["  +- SIGN ---+", "xx|          |xx", "  +----------+"]
        );
        sheet("tiny", (90, 90), Rect::new(0, 0, 2, 2), &mut buf, &theme);
    }

    #[test]
    fn panes_and_hints() {
        let theme = Theme::default();
        let mut buf = blank(20, 2);
        let (left, right) = panes(8, Rect::new(0, 0, 20, 1), &mut buf, &theme);
        assert_eq!((left.width, right.x, right.width), (8, 11, 9));
        let shown = hints(
            &[("j/k", "move"), (".", "act"), ("?", "help")],
            Rect::new(0, 1, 20, 1),
            &mut buf,
            &theme,
        );
        assert_eq!(shown, 2);
        assert_eq!(lines(&buf), ["         │", " j/k move  . act"]);
        let mut tiny = blank(3, 1);
        assert_eq!(
            panes(8, Rect::new(0, 0, 3, 1), &mut tiny, &theme).1.width,
            0
        );
        toast(
            "copied",
            Role::Toast,
            Rect::new(0, 0, 20, 1),
            &mut buf,
            &theme,
        );
        assert_eq!(lines(&buf)[0], " copied");
    }
}
