//! Pure text graphics: life bars, eighth blocks and sparklines; `ascii` gives the plain form of each.

/// Used part, tick of the planned renewal, and what is left: `█████·┊··`, or `#####.|..`.
///
/// `used` and `tick` are shares of the life, 0 to 1; a life over its end fills the whole bar. A life
/// that has begun shows at least one full cell, one that has not ended at least one open one.
pub fn life_bar(used: f64, tick: Option<f64>, columns: usize, ascii: bool) -> String {
    let [full, open, mark] = if ascii {
        ['#', '.', '|']
    } else {
        ['█', '·', '┊']
    };
    let filled = filled_cells(used, columns);
    let tick = tick.map(|t| ((t * columns as f64) as usize).min(columns.saturating_sub(1)));
    (0..columns)
        .map(|i| match i {
            i if i < filled => full,
            i if Some(i) == tick => mark,
            _ => open,
        })
        .collect()
}

fn filled_cells(used: f64, columns: usize) -> usize {
    if used.is_nan() || used <= 0.0 || columns == 0 {
        return 0;
    }
    if used >= 1.0 {
        return columns;
    }
    let cells = (used * columns as f64).round() as usize;
    if columns == 1 {
        cells
    } else {
        cells.clamp(1, columns - 1)
    }
}

/// A bar of eighth blocks, `columns` wide at `share` 1, without padding: `████▉`. Not nothing if not zero.
pub fn bar(share: f64, columns: usize, ascii: bool) -> String {
    let share = if share.is_nan() {
        0.0
    } else {
        share.clamp(0.0, 1.0)
    };
    if ascii {
        let cells = (share * columns as f64).round() as usize;
        return "#".repeat(if share > 0.0 {
            cells.max(1).min(columns)
        } else {
            0
        });
    }
    let mut eighths = (share * columns as f64 * 8.0).round() as usize;
    if share > 0.0 {
        eighths = eighths.max(1).min(columns * 8);
    }
    let mut out = "█".repeat(eighths / 8);
    if !eighths.is_multiple_of(8) {
        out.push(['▏', '▎', '▍', '▌', '▋', '▊', '▉'][eighths % 8 - 1]);
    }
    out
}

/// One column a value, scaled to `max` (or the largest, if `None`): `▁▂▃▅█`; in ASCII `_.-=#`.
///
/// Zero is the lowest glyph, so that a quiet hour is still seen as an hour.
pub fn sparkline(values: &[f64], max: Option<f64>, ascii: bool) -> String {
    let steps: &[char] = if ascii {
        &['_', '.', '-', '=', '#']
    } else {
        &['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█']
    };
    let top = max.unwrap_or_else(|| values.iter().copied().fold(0.0, f64::max));
    values
        .iter()
        .map(|value| {
            let share = if top > 0.0 {
                (value / top).clamp(0.0, 1.0)
            } else {
                0.0
            };
            steps[((share * (steps.len() - 1) as f64).round() as usize).min(steps.len() - 1)]
        })
        .collect()
}

/// `values` averaged into exactly `columns` groups, so that a sparkline fits; fewer values stay as they are.
pub fn squeeze(values: &[f64], columns: usize) -> Vec<f64> {
    if values.len() <= columns || columns == 0 {
        return values.to_vec();
    }
    (0..columns)
        .map(|i| {
            let group = &values[i * values.len() / columns..(i + 1) * values.len() / columns];
            group.iter().sum::<f64>() / group.len() as f64
        })
        .collect()
}

/// The fill of a heat cell for level 0 (nothing) to 4 (most): `··`, `░░`, `▒▒`, `▓▓`, `██`.
pub fn heat(level: u8, ascii: bool) -> char {
    let steps = if ascii {
        ['.', '-', '+', 'x', '#']
    } else {
        ['·', '░', '▒', '▓', '█']
    };
    steps[usize::from(level.min(4))]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn life_bars_read_as_in_the_mock_ups() {
        assert_eq!(life_bar(0.67, Some(0.67), 12, false), "████████┊···");
        assert_eq!(life_bar(0.02, Some(0.67), 12, false), "█·······┊···");
        assert_eq!(life_bar(0.99, Some(0.67), 12, false), "███████████·");
        assert_eq!(life_bar(1.7, None, 12, false), "████████████");
        assert_eq!(life_bar(0.0, None, 4, true), "....");
        assert_eq!(life_bar(0.5, Some(0.75), 4, true), "##.|");
        assert_eq!(life_bar(f64::NAN, Some(f64::NAN), 0, false), "");
    }

    #[test]
    fn bars_never_lie_about_zero() {
        assert_eq!(bar(0.0, 10, false), "");
        assert_eq!(bar(0.0001, 10, false), "▏");
        assert_eq!(bar(0.5, 9, false), "████▌");
        assert_eq!(bar(7.0, 3, false), "███");
        assert_eq!(bar(0.001, 10, true), "#");
    }

    #[test]
    fn sparklines_scale_and_squeeze() {
        assert_eq!(sparkline(&[0.0, 1.0, 4.0, 7.0], None, false), "▁▂▅█");
        assert_eq!(sparkline(&[0.0, 0.0], None, false), "▁▁");
        assert_eq!(sparkline(&[5.0, 10.0], Some(20.0), true), ".-");
        assert_eq!(squeeze(&[1.0, 3.0, 5.0, 7.0], 2), [2.0, 6.0]);
        assert_eq!(heat(9, false), '█');
    }
}
