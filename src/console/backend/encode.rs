//! From what the terminal shows to what it should show, in few bytes.
//!
//! A row that is the same costs nothing. In the others only changed cells are written; the cursor goes
//! to them the cheapest way, blanks are erased rather than written, attributes change by difference.
//! Where terminals disagree about a character's width, the cursor is placed anew after it, so that one
//! strange name cannot shift the rest of a row.

use ratatui::buffer::{Buffer, Cell};
use unicode_width::UnicodeWidthStr;

use super::sgr::Pen;
use super::short::Short;

/// What this terminal can be trusted with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Wrap large frames in DEC mode 2026; a terminal without it ignores the marks.
    pub synchronized: bool,
    /// `CSI b` repeats a character. Not everything that calls itself xterm can do it.
    pub repeat: bool,
}

impl Options {
    /// By the name in `TERM`: repeating only for terminals known to do it.
    pub fn for_term(term: &str) -> Self {
        let known = [
            "alacritty",
            "contour",
            "foot",
            "ghostty",
            "kitty",
            "vte",
            "wezterm",
        ];
        let name = term.strip_prefix("xterm-").unwrap_or(term);
        Self {
            synchronized: term != "linux",
            repeat: known.iter().any(|k| name.starts_with(k)),
        }
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            synchronized: true,
            repeat: false,
        }
    }
}

/// Blank runs longer than this are erased and jumped over instead of written.
const ERASE_FROM: usize = 10;

/// What we know of the terminal's state between two writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct State {
    pub pen: Pen,
    /// Column, unknown after the last column (wrap pending) and after glyphs of disputed width.
    pub x: Option<usize>,
    pub y: Option<usize>,
}

impl State {
    pub const UNKNOWN: Self = Self {
        pen: Pen::PLAIN,
        x: None,
        y: None,
    };
}

/// Appends bytes to `out` and follows what they do to the terminal.
pub(super) struct Encoder<'a> {
    pub out: &'a mut Vec<u8>,
    pub state: State,
    width: usize,
    height: usize,
    options: Options,
    scratch: Scratch,
}

#[derive(Default)]
struct Scratch {
    dirty: Vec<bool>,
    covered: Vec<bool>,
    covered_before: Vec<bool>,
}

impl<'a> Encoder<'a> {
    pub fn new(out: &'a mut Vec<u8>, state: State, size: (usize, usize), options: Options) -> Self {
        Self {
            out,
            state,
            width: size.0,
            height: size.1,
            options,
            scratch: Scratch::default(),
        }
    }

    /// Leaves the terminal showing nothing, cursor at home, pen plain.
    pub fn clear(&mut self) {
        self.out.extend_from_slice(b"\x1b[m\x1b[H\x1b[2J");
        self.state = State {
            pen: Pen::PLAIN,
            x: Some(0),
            y: Some(0),
        };
    }

    /// Lets the terminal move the rows `top..bottom` up by `by` (down if negative); blank rows come in.
    pub fn scroll(&mut self, top: usize, bottom: usize, by: isize) {
        // Rows that come in take the pen's background.
        self.pen(Pen::PLAIN);
        let whole = top == 0 && bottom == self.height;
        if !whole {
            push(self.out, format_args!("\x1b[{};{bottom}r", top + 1));
            // Some emulators put the cursor at the region's top rather than at home.
            (self.state.x, self.state.y) = (None, None);
        }
        // Line feed and reverse index rather than SU and SD, which the Linux console lacks.
        if by > 0 {
            self.go(0, bottom - 1, None);
            self.out
                .extend(std::iter::repeat_n(b'\n', by.unsigned_abs()));
        } else {
            self.go(0, top, None);
            for _ in 0..by.unsigned_abs() {
                self.out.extend_from_slice(b"\x1bM");
            }
        }
        if !whole {
            self.out.extend_from_slice(b"\x1b[r");
            (self.state.x, self.state.y) = (Some(0), Some(0));
        }
    }

    /// Writes whatever differs. Both buffers have the encoder's size.
    pub fn frame(&mut self, old: &Buffer, new: &Buffer) {
        for y in 0..self.height {
            let row = y * self.width..(y + 1) * self.width;
            let (a, b) = (&old.content[row.clone()], &new.content[row]);
            if a != b {
                self.row(y, a, b);
            }
        }
    }

    fn row(&mut self, y: usize, old: &[Cell], new: &[Cell]) {
        let mut scratch = std::mem::take(&mut self.scratch);
        let Scratch {
            dirty,
            covered,
            covered_before,
        } = &mut scratch;
        cover(old, covered_before);
        cover(new, covered);
        dirty.clear();
        dirty
            .extend((0..new.len()).map(|x| {
                covered[x] != covered_before[x] || !covered[x] && !same(&old[x], &new[x])
            }));
        for x in (1..new.len()).rev() {
            // Half of a wide glyph cannot be written alone.
            if covered[x] && dirty[x] {
                dirty[x - 1] = true;
            }
        }
        let end = (0..new.len())
            .rev()
            .find(|&x| covered[x] || !blank(&new[x]))
            .map_or(0, |x| x + 1);
        let mut x = 0;
        while x < end {
            if !dirty[x] || covered[x] {
                x += 1;
                continue;
            }
            let blanks = (x..end)
                .take_while(|&i| !covered[i] && blank(&new[i]))
                .count();
            let last_dirty = (x..x + blanks)
                .rev()
                .find(|&i| dirty[i])
                .map_or(0, |i| i + 1 - x);
            self.go(x, y, Some((new, covered.as_slice())));
            if last_dirty > ERASE_FROM {
                self.pen_that_erases();
                push(self.out, format_args!("\x1b[{last_dirty}X"));
                x += last_dirty;
                continue;
            }
            x += self.glyph(x, new, dirty, covered);
        }
        let first = (end..new.len()).find(|&x| dirty[x]);
        if let Some(first) = first {
            let last = (first..new.len())
                .rev()
                .find(|&x| dirty[x])
                .unwrap_or(first);
            self.go(first, y, Some((new, covered.as_slice())));
            self.pen_that_erases();
            if last - first < 3 {
                for x in first..=last {
                    self.out.push(b' ');
                    self.advance(x + 1);
                }
            } else {
                self.out.extend_from_slice(b"\x1b[K");
            }
        }
        self.scratch = scratch;
    }

    /// Writes the glyph at `x`, where the cursor is; returns the columns dealt with.
    fn glyph(&mut self, x: usize, row: &[Cell], dirty: &mut [bool], covered: &[bool]) -> usize {
        let cell = &row[x];
        let symbol = printable(cell.symbol());
        let columns = columns(symbol);
        if x + columns > self.width {
            // Half a wide glyph at the edge: nothing a terminal could show.
            self.pen(Pen {
                fg: cell.fg,
                bg: cell.bg,
                modifier: cell.modifier,
            });
            self.out.push(b' ');
            self.advance(x + 1);
            return 1;
        }
        if !(blank(cell) && self.state.pen.erases()) {
            self.pen(Pen::of(cell));
        }
        if trusted(symbol, columns) {
            self.out.extend_from_slice(symbol.as_bytes());
            let mut done = columns;
            if self.options.repeat && columns == 1 {
                let same = row[x + 1..]
                    .iter()
                    .zip(&dirty[x + 1..])
                    .zip(&covered[x + 1..]);
                let again = same
                    .take_while(|((c, dirty), covered)| **dirty && !**covered && *c == cell)
                    .count();
                if again * symbol.len() > 5 {
                    push(self.out, format_args!("\x1b[{again}b"));
                    done += again;
                }
            }
            self.advance(x + done);
            return done;
        }
        if columns == 2 {
            // Should the terminal take it for narrow, its second cell must not keep what was there.
            self.out.extend_from_slice(b"\x1b[2X");
        }
        self.out.extend_from_slice(symbol.as_bytes());
        self.state.x = None;
        if x + columns + 1 >= self.width {
            self.state.y = None;
        }
        // Should it be taken for wider, the next cell has to be written over it.
        if let Some(next) = dirty.get_mut(x + columns) {
            *next = true;
        }
        columns
    }

    fn advance(&mut self, x: usize) {
        // In the last column the terminal holds back the wrap, and differs in what a move then does.
        self.state.x = (x < self.width).then_some(x);
    }

    pub fn pen(&mut self, to: Pen) {
        self.state.pen.change(to, self.out);
        self.state.pen = to;
    }

    fn pen_that_erases(&mut self) {
        if !self.state.pen.erases() {
            self.pen(Pen::PLAIN);
        }
    }

    /// Moves the cursor the cheapest way. `row` is the new row, whose cells may be written again to get across.
    pub fn go(&mut self, x: usize, y: usize, row: Option<(&[Cell], &[bool])>) {
        if (self.state.x, self.state.y) == (Some(x), Some(y)) {
            return;
        }
        let mut best = Short::new();
        best.add(b"\x1b[");
        if y > 0 || x > 0 {
            best.number(y + 1);
        }
        if x > 0 {
            best.add(b";");
            best.number(x + 1);
        }
        best.add(b"H");
        if let Some(from) = self.state.y {
            let mut consider = |trial: Short| {
                if trial.len() < best.len() {
                    best = trial;
                }
            };
            if let Some(here) = self.state.x {
                let mut trial = Short::new();
                vertical(&mut trial, from, y);
                horizontal(&mut trial, here, x);
                consider(trial);
                let gap = row.filter(|_| from == y && here < x && x - here < 12);
                if let Some(again) = gap.and_then(|gap| self.gap(gap, here, x)) {
                    consider(again);
                }
            }
            let mut trial = Short::new();
            trial.add(b"\r");
            vertical(&mut trial, from, y);
            horizontal(&mut trial, 0, x);
            consider(trial);
        }
        self.out.extend_from_slice(&best);
        (self.state.x, self.state.y) = (Some(x), Some(y));
    }

    /// The unchanged cells between here and there, if they can be written again without a change of pen.
    fn gap(&self, (row, covered): (&[Cell], &[bool]), from: usize, to: usize) -> Option<Short> {
        let mut bytes = Short::new();
        for x in from..to {
            let cell = &row[x];
            let pen_fits =
                Pen::of(cell) == self.state.pen || blank(cell) && self.state.pen.erases();
            if covered[x] || !pen_fits || !trusted(cell.symbol(), 1) || columns(cell.symbol()) != 1
            {
                return None;
            }
            bytes.add(cell.symbol().as_bytes());
        }
        Some(bytes)
    }
}

fn push(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    use std::io::Write;
    out.write_fmt(text).expect("writing to a Vec cannot fail");
}

fn vertical(out: &mut Short, from: usize, to: usize) {
    match to.abs_diff(from) {
        // Raw mode: a line feed only goes down. The target is on the screen, so it never scrolls.
        n @ 1..=3 if to > from => out.add(&b"\n\n\n"[..n]),
        0 => {}
        n => {
            out.add(b"\x1b[");
            if n > 1 {
                out.number(n);
            }
            out.add(if to > from { b"B" } else { b"A" });
        }
    }
}

fn horizontal(out: &mut Short, from: usize, to: usize) {
    match to.abs_diff(from) {
        0 => {}
        n @ 1..=3 if to < from => out.add(&b"\x08\x08\x08"[..n]),
        1 => out.add(b"\x1b[C"),
        n => {
            let digits = |number: usize| number.checked_ilog10().unwrap_or(0);
            out.add(b"\x1b[");
            if digits(n) <= digits(to + 1) {
                out.number(n);
                out.add(if to > from { b"C" } else { b"D" });
            } else {
                out.number(to + 1);
                out.add(b"G");
            }
        }
    }
}

/// Looks like an erased cell.
fn blank(cell: &Cell) -> bool {
    cell.symbol() == " " && Pen::of(cell).erases()
}

fn same(a: &Cell, b: &Cell) -> bool {
    a.symbol() == b.symbol() && Pen::of(a) == Pen::of(b) || blank(a) && blank(b)
}

fn columns(symbol: &str) -> usize {
    if symbol.len() == 1 {
        1
    } else {
        symbol.width().max(1)
    }
}

/// Marks the cells that lie under the right part of a wide glyph.
fn cover(row: &[Cell], covered: &mut Vec<bool>) {
    covered.clear();
    covered.resize(row.len(), false);
    let mut x = 0;
    while x < row.len() {
        let columns = columns(row[x].symbol());
        let end = (x + columns).min(row.len());
        if columns > 1 && x + columns <= row.len() {
            covered[x + 1..end].fill(true);
        }
        x = end;
    }
}

/// The last line of defence: whatever a view let through, no control character reaches the terminal.
fn printable(symbol: &str) -> &str {
    match symbol.as_bytes() {
        [b' '..=b'~'] => symbol,
        [] => " ",
        _ if symbol.chars().any(char::is_control) => "?",
        _ => symbol,
    }
}

/// Whether all terminals agree on the width: single characters of long-settled blocks.
fn trusted(symbol: &str, columns: usize) -> bool {
    if symbol.len() == 1 {
        return true;
    }
    let mut chars = symbol.chars();
    let (Some(c), None) = (chars.next(), chars.next()) else {
        return false;
    };
    match columns {
        1 => matches!(c,
            '\u{a1}'..='\u{ac}' | '\u{ae}'..='\u{24f}' | '\u{370}'..='\u{482}' | '\u{48a}'..='\u{52f}'
            | '\u{2010}'..='\u{2027}' | '\u{2030}'..='\u{203b}' | '\u{2190}'..='\u{2193}' | '\u{2400}'..='\u{2426}'
            | '\u{2500}'..='\u{25a9}' | '\u{25ac}'..='\u{25b5}' | '\u{25b7}'..='\u{25bf}' | '\u{25c1}'..='\u{25fa}'
            | '\u{2713}' | '\u{2717}' | '\u{27e8}' | '\u{27e9}' | '\u{2801}'..='\u{28ff}'),
        2 => {
            matches!(c, '\u{3041}'..='\u{3096}' | '\u{30a1}'..='\u{30fa}' | '\u{4e00}'..='\u{9fff}' | '\u{ac00}'..='\u{d7a3}')
        }
        _ => false,
    }
}
