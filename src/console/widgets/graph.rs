//! Small figures: life bars, labelled bars, sparklines, heat strips. Each has a plain form for `--ascii`.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::{put, put_right, repeat};
use crate::console::theme::{Role, Theme};
use crate::display::glyphs;
use crate::display::sanitize::width;

/// Used part, tick of the planned renewal, rest; shares of the life from 0 to 1.
pub fn life(used: f64, tick: Option<f64>, area: Rect, buf: &mut Buffer, theme: &Theme) {
    let bar = glyphs::life_bar(used, tick, area.width.into(), theme.glyphs.ascii);
    let full = if theme.glyphs.ascii { '#' } else { '█' };
    let role = if used >= 1.0 { Role::Bad } else { Role::Bar };
    let (filled, rest) = (theme.style(role), theme.style(Role::BarRest));
    let mut style = filled;
    // Our own signs, a column each: they need no sanitiser, and there is one bar in every row of a list.
    for (x, sign) in (area.left()..area.right()).zip(bar.chars()) {
        if sign != full {
            style = rest;
        }
        if let Some(cell) = buf.cell_mut((x, area.y)) {
            cell.reset();
            cell.set_char(sign).set_style(style);
        }
    }
}

/// A bar of eighth blocks over the area's width; `share` from 0 to 1.
pub fn bar(share: f64, role: Role, area: Rect, buf: &mut Buffer, theme: &Theme) {
    let text = glyphs::bar(share, area.width.into(), theme.glyphs.ascii);
    put(
        buf,
        theme,
        (area.x, area.y),
        area.width,
        &text,
        theme.style(role),
    );
}

/// One line of a histogram.
#[derive(Debug, Clone, PartialEq)]
pub struct Bucket<'a> {
    /// Such as `<24h`.
    pub label: &'a str,
    /// What the bar is as long as.
    pub value: f64,
    /// The figures to its right, already formatted.
    pub figures: &'a str,
    /// The bar's role.
    pub role: Role,
}

/// A histogram, a row each: label, bar, figures. Bars share one scale; labels and figures line up.
pub fn buckets(buckets: &[Bucket<'_>], area: Rect, buf: &mut Buffer, theme: &Theme) {
    let area = area.intersection(buf.area);
    let widest =
        |text: fn(&Bucket<'_>) -> usize| buckets.iter().map(text).max().unwrap_or(0) as u16;
    let (labels, figures) = (widest(|b| width(b.label)), widest(|b| width(b.figures)));
    let room = area.width.saturating_sub(labels + figures + 2);
    let top = buckets.iter().map(|b| b.value).fold(0.0, f64::max);
    for (y, bucket) in (area.top()..area.bottom()).zip(buckets) {
        put(
            buf,
            theme,
            (area.x, y),
            labels,
            bucket.label,
            theme.style(Role::Muted),
        );
        let share = if top > 0.0 { bucket.value / top } else { 0.0 };
        bar(
            share,
            bucket.role,
            Rect::new(area.x + labels + 1, y, room, 1),
            buf,
            theme,
        );
        put_right(
            buf,
            theme,
            (area.right(), y),
            figures,
            bucket.figures,
            theme.style(Role::Text),
        );
    }
}

/// A sparkline over the area's width; more values than columns are averaged. `max` fixes the scale.
pub fn spark(
    values: &[f64],
    max: Option<f64>,
    role: Role,
    area: Rect,
    buf: &mut Buffer,
    theme: &Theme,
) {
    let values = glyphs::squeeze(values, area.width.into());
    let text = glyphs::sparkline(&values, max, theme.glyphs.ascii);
    put(
        buf,
        theme,
        (area.x, area.y),
        area.width,
        &text,
        theme.style(role),
    );
}

/// A heat strip: two columns and a blank a cell, level 0 to 4 each.
pub fn heat(levels: &[u8], area: Rect, buf: &mut Buffer, theme: &Theme) {
    let cells = usize::from(area.width.saturating_add(1) / 3);
    for (i, level) in levels.iter().take(cells).enumerate() {
        let glyph = glyphs::heat(*level, theme.glyphs.ascii).to_string();
        repeat(
            buf,
            (area.x + 3 * i as u16, area.y),
            2,
            &glyph,
            theme.style(Role::Heat(*level)),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;
    use ratatui::style::Color;

    #[test]
    fn figures_as_in_the_mock_ups() {
        let (mut buf, theme) = (blank(24, 5), Theme::default());
        life(0.5, Some(0.75), Rect::new(0, 0, 8, 1), &mut buf, &theme);
        spark(
            &[0.0, 3.0, 7.0],
            None,
            Role::Bar,
            Rect::new(0, 1, 10, 1),
            &mut buf,
            &theme,
        );
        heat(&[0, 1, 2, 3, 4], Rect::new(0, 2, 11, 1), &mut buf, &theme);
        let two = [
            Bucket {
                label: "<1h",
                value: 5.0,
                figures: "96",
                role: Role::Bar,
            },
            Bucket {
                label: "never",
                value: 10.0,
                figures: "1,904",
                role: Role::Warn,
            },
        ];
        buckets(&two, Rect::new(0, 3, 24, 2), &mut buf, &theme);
        assert_eq!(
            lines(&buf),
            [
                "████··┊·",
                "▁▄█",
                "·· ░░ ▒▒ ▓▓",
                "<1h   ██████          96",
                "never ████████████ 1,904"
            ]
        );
        assert_eq!(buf[(0, 0)].fg, Color::Cyan);
    }

    #[test]
    fn no_room_is_no_error() {
        let (mut buf, theme) = (blank(3, 1), Theme::default());
        let one = [Bucket {
            label: "long label",
            value: f64::NAN,
            figures: "1",
            role: Role::Bar,
        }];
        buckets(&one, Rect::new(0, 0, 3, 9), &mut buf, &theme);
        life(f64::INFINITY, None, Rect::new(2, 0, 0, 1), &mut buf, &theme);
        heat(&[1; 40], Rect::new(0, 0, 3, 1), &mut buf, &theme);
        assert_eq!(buf[(0, 0)].symbol(), "░");
    }
}
