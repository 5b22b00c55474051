//! Big lists: only the cells that are seen are made, and the cursor is a mark in the gutter.
//!
//! ```text
//!   NAME                KIND OWNER        LEFT LIFE┊=renew
//! ▸▲ vpn-bastion        ssh  netops    overdue ████████████
//!  ✓ wh-reader-etl      db   data     00:14:20 █·······┊···
//! ```
//! Column 0 is the cursor, column 1 a sign or the mark, and column 2 the sign of a marked row; a bar over the whole row would cost hundreds of
//! bytes a move.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::{Align, put, put_cut, put_right};
use crate::console::backend::Region;
use crate::console::theme::{Role, Theme};
use crate::display::sanitize::Cut;

/// Columns of the gutter: cursor, mark or sign, the sign of a marked row.
pub const GUTTER: u16 = 3;

/// How wide a column is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Width {
    /// Always so many columns.
    Fixed(u16),
    /// At least so many, and a part of what is left.
    AtLeast(u16),
}

impl Width {
    fn least(self) -> u16 {
        match self {
            Self::Fixed(n) | Self::AtLeast(n) => n,
        }
    }
}

/// A column of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Column<'a> {
    /// Its head.
    pub title: &'a str,
    /// How wide it is.
    pub width: Width,
    /// How its text stands.
    pub align: Align,
    /// 0 stays on any screen; the highest goes first where it is narrow.
    pub priority: u8,
    /// `Some(true)`: sorted by it, ascending.
    pub sorted: Option<bool>,
}

impl<'a> Column<'a> {
    /// A left-aligned column that always stays.
    pub const fn new(title: &'a str, width: Width) -> Self {
        Self {
            title,
            width,
            align: Align::Left,
            priority: 0,
            sorted: None,
        }
    }

    /// The same, right-aligned.
    #[must_use]
    pub const fn right(mut self) -> Self {
        self.align = Align::Right;
        self
    }

    /// The same, given up on narrow screens; see [`Column::priority`].
    #[must_use]
    pub const fn priority(mut self, priority: u8) -> Self {
        self.priority = priority;
        self
    }
}

/// Where a visible column stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Placed {
    /// Its index among all columns.
    pub column: usize,
    /// First cell, from the area's left edge.
    pub x: u16,
    /// Cells.
    pub width: u16,
}

/// The columns that fit into `width`, in order, one blank between them.
pub fn place(columns: &[Column<'_>], width: u16) -> Vec<Placed> {
    let room = width.saturating_sub(GUTTER);
    let mut kept: Vec<usize> = (0..columns.len()).collect();
    let needed = |kept: &[usize]| {
        kept.iter()
            .map(|&i| columns[i].width.least() + 1)
            .sum::<u16>()
            .saturating_sub(1)
    };
    while needed(&kept) > room {
        // Of the same priority the one furthest to the right goes first.
        let droppable = kept.iter().copied().filter(|&i| columns[i].priority > 0);
        let Some(next) = droppable.max_by_key(|&i| (columns[i].priority, i)) else {
            break;
        };
        kept.retain(|&i| i != next);
    }
    let mut spare = room.saturating_sub(needed(&kept));
    let mut growing = kept
        .iter()
        .filter(|&&i| matches!(columns[i].width, Width::AtLeast(_)))
        .count() as u16;
    let mut x = GUTTER;
    let mut placed = Vec::with_capacity(kept.len());
    for i in kept {
        let mut columns_wide = columns[i].width.least();
        if matches!(columns[i].width, Width::AtLeast(_)) {
            let part = spare / growing;
            columns_wide += part;
            spare -= part;
            growing -= 1;
        }
        let columns_wide = columns_wide.min(width.saturating_sub(x));
        if columns_wide == 0 {
            break;
        }
        placed.push(Placed {
            column: i,
            x,
            width: columns_wide,
        });
        x += columns_wide + 1;
    }
    placed
}

/// What stands in a row's gutter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Gutter {
    /// Marked for an action.
    pub marked: bool,
    /// Needs a person, breaks a rule: a sign and its role.
    pub sign: Option<(&'static str, Role)>,
}

/// Where a source draws one cell.
pub struct CellSlot<'a> {
    buf: &'a mut Buffer,
    theme: &'a Theme,
    x: u16,
    y: u16,
    width: u16,
    align: Align,
}

impl CellSlot<'_> {
    /// Cells to draw in.
    pub fn width(&self) -> u16 {
        self.width
    }

    /// The theme, for signs and `--ascii`.
    pub fn theme(&self) -> &Theme {
        self.theme
    }

    /// Outside text as the column is aligned, cut at its end.
    pub fn text(&mut self, text: &str, role: Role) {
        self.styled(text, self.theme.style(role), Cut::End);
    }

    /// An identifier: cut in its middle, since both ends tell it apart.
    pub fn identifier(&mut self, text: &str, role: Role) {
        self.styled(text, self.theme.style(role), Cut::Middle);
    }

    /// Text with a style of its own.
    pub fn styled(&mut self, text: &str, style: Style, cut: Cut) {
        match self.align {
            Align::Left => {
                put_cut(
                    self.buf,
                    self.theme,
                    (self.x, self.y),
                    self.width,
                    text,
                    style,
                    cut,
                );
            }
            Align::Right => {
                put_right(
                    self.buf,
                    self.theme,
                    (self.x + self.width, self.y),
                    self.width,
                    text,
                    style,
                );
            }
        }
    }

    /// Lets a widget draw in the cell.
    pub fn draw(&mut self, widget: impl FnOnce(Rect, &mut Buffer, &Theme)) {
        let area = Rect::new(self.x, self.y, self.width, 1).intersection(self.buf.area);
        widget(area, self.buf, self.theme);
    }
}

/// Rows by index; asked for visible ones only.
pub trait Source {
    /// How many rows there are.
    fn len(&self) -> usize;
    /// Whether there is none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// The gutter of a row.
    fn gutter(&self, row: usize) -> Gutter;
    /// Draws one cell; `column` counts all columns, also those that are not visible.
    fn cell(&self, row: usize, column: usize, slot: &mut CellSlot<'_>);
}

/// Where a list stands. Keeps the selected row visible; which object that is, is the model's affair.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ListState {
    /// Row under the cursor.
    pub selected: usize,
    /// First visible row.
    pub offset: usize,
}

impl ListState {
    /// Puts the cursor on `row` and moves the window by as little as possible. `height` counts visible rows.
    pub fn select(&mut self, row: usize, len: usize, height: usize) {
        self.selected = row.min(len.saturating_sub(1));
        self.offset = self.offset.min(self.selected);
        if height > 0 && self.selected >= self.offset + height {
            self.offset = self.selected + 1 - height;
        }
        self.offset = self.offset.min(len.saturating_sub(height));
    }

    /// Moves the cursor by rows, down if positive.
    pub fn step(&mut self, by: isize, len: usize, height: usize) {
        self.select(self.selected.saturating_add_signed(by), len, height);
    }

    /// Moves window and cursor together, as half and whole pages do.
    pub fn page(&mut self, by: isize, len: usize, height: usize) {
        self.offset = self
            .offset
            .saturating_add_signed(by)
            .min(len.saturating_sub(height));
        self.step(by, len, height);
    }
}

/// Draws heads in the area's first row and the list below; returns the rows that the terminal may move.
///
/// `id` names the list for [`Region::id`]: another filter or sort order takes another number.
pub fn list(
    source: &dyn Source,
    columns: &[Column<'_>],
    state: ListState,
    id: u64,
    area: Rect,
    buf: &mut Buffer,
    theme: &Theme,
) -> Option<Region> {
    let area = area.intersection(buf.area);
    if area.height < 2 || area.width <= GUTTER {
        return None;
    }
    let placed = place(columns, area.width);
    heads(columns, &placed, area, buf, theme);
    let body = Rect {
        y: area.y + 1,
        height: area.height - 1,
        ..area
    };
    let last = source.len().min(state.offset + usize::from(body.height));
    for (y, row) in (body.y..).zip(state.offset..last) {
        let gutter = source.gutter(row);
        if row == state.selected {
            put(
                buf,
                theme,
                (area.x, y),
                1,
                theme.glyphs.cursor,
                theme.style(Role::Focused),
            );
        }
        // A marked row keeps its sign, one column further on: what needs a person is not hidden by choosing it.
        let mark = gutter.marked.then_some((theme.glyphs.mark, Role::Marked));
        for (x, (sign, role)) in (area.x + 1..).zip(mark.into_iter().chain(gutter.sign)) {
            put(buf, theme, (x, y), 1, sign, theme.style(role));
        }
        for place in &placed {
            let align = columns[place.column].align;
            let mut slot = CellSlot {
                buf,
                theme,
                x: area.x + place.x,
                y,
                width: place.width,
                align,
            };
            source.cell(row, place.column, &mut slot);
        }
    }
    Some(Region {
        id,
        top: body.top(),
        bottom: body.bottom(),
        offset: state.offset,
    })
}

fn heads(columns: &[Column<'_>], placed: &[Placed], area: Rect, buf: &mut Buffer, theme: &Theme) {
    let style = theme.style(Role::Head);
    for place in placed {
        let column = &columns[place.column];
        let [up, down] = theme.glyphs.sort;
        let arrow = column
            .sorted
            .map_or("", |ascending| if ascending { up } else { down });
        let title = format!("{}{arrow}", column.title);
        let x = area.x + place.x;
        match column.align {
            Align::Left => {
                put(buf, theme, (x, area.y), place.width, &title, style);
            }
            Align::Right => {
                put_right(
                    buf,
                    theme,
                    (x + place.width, area.y),
                    place.width,
                    &title,
                    style,
                );
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;

    struct Names(Vec<&'static str>);

    impl Source for Names {
        fn len(&self) -> usize {
            self.0.len()
        }
        fn gutter(&self, row: usize) -> Gutter {
            Gutter {
                marked: row == 2,
                sign: (row == 1 || row == 2).then_some(("▲", Role::Warn)),
            }
        }
        fn cell(&self, row: usize, column: usize, slot: &mut CellSlot<'_>) {
            match column {
                0 => slot.identifier(self.0[row], Role::Text),
                1 => slot.text("ledger", Role::Muted),
                _ => slot.text(&format!("{row}0:00"), Role::Text),
            }
        }
    }

    const COLUMNS: [Column<'_>; 3] = [
        Column::new("NAME", Width::AtLeast(8)),
        Column::new("OWNER", Width::Fixed(6)).priority(2),
        Column {
            sorted: Some(true),
            ..Column::new("LEFT", Width::Fixed(6)).right()
        },
    ];

    fn draw(width: u16, selected: usize) -> Vec<String> {
        let mut buf = blank(width, 4);
        let names = Names(vec![
            "pg-ledger-rw",
            "vpn",
            "日本\x1b-svc",
            "last-one-of-them",
        ]);
        let mut state = ListState::default();
        state.select(selected, names.len(), 3);
        let area = buf.area;
        let region = list(
            &names,
            &COLUMNS,
            state,
            9,
            area,
            &mut buf,
            &Theme::default(),
        )
        .unwrap();
        assert_eq!(
            (region.top, region.bottom, region.offset),
            (1, 4, state.offset)
        );
        lines(&buf)
    }

    #[test]
    fn rows_gutter_and_heads() {
        assert_eq!(
            draw(34, 0),
            [
                "   NAME              OWNER   LEFT↑",
                "▸  pg-ledger-rw      ledger  00:00",
                " ▲ vpn               ledger  10:00",
                " ✓▲日本␛-svc         ledger  20:00",
            ]
        );
    }

    #[test]
    fn a_narrow_screen_gives_up_the_least_needed_and_cuts_in_the_middle() {
        assert_eq!(draw(19, 3)[0], "   NAME       LEFT↑");
        assert_eq!(draw(19, 3)[3], "▸  last…them  30:00");
    }

    #[test]
    fn the_window_moves_as_little_as_it_can() {
        let mut state = ListState::default();
        state.step(5, 100, 10);
        assert_eq!((state.selected, state.offset), (5, 0));
        state.step(5, 100, 10);
        assert_eq!((state.selected, state.offset), (10, 1));
        state.page(10, 100, 10);
        assert_eq!((state.selected, state.offset), (20, 11));
        state.select(usize::MAX, 100, 10);
        assert_eq!((state.selected, state.offset), (99, 90));
        state.select(3, 4, 10);
        assert_eq!((state.selected, state.offset), (3, 0));
        state.step(-9, 0, 10);
        assert_eq!((state.selected, state.offset), (0, 0));
    }
}
