//! What the terminal shows, what it should show, and one write for the difference.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Instant;

use ratatui::buffer::{Buffer, Cell};
use ratatui::layout::{Position, Rect};

use super::encode::{Encoder, Options, State};
use super::pace::{Pace, QUESTION};

/// Frames larger than this are marked as synchronised; a smaller one is seen at once anyway.
const SYNCHRONIZE_FROM: usize = 200;

/// A frame that moved rows and is shorter than this needs no comparison with one that did not.
const CLEARLY_SHORT: usize = 400;

/// Rows that show a part of something longer, such as a list.
///
/// Declared by views in every frame. The screen compares the offset with the one it last painted, so
/// skipped frames do no harm, and lets the terminal move the rows if that is cheaper than writing them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Region {
    /// The same list has the same number in each frame; another list, filter or sort order another one.
    pub id: u64,
    /// First row of the region.
    pub top: u16,
    /// First row below the region.
    pub bottom: u16,
    /// Which of the list's lines stands in the first row.
    pub offset: usize,
}

/// One picture in the making.
pub struct Frame<'a> {
    /// Blank at first; the views draw into it.
    pub buffer: &'a mut Buffer,
    regions: &'a mut Vec<Region>,
    cursor: &'a mut Option<Position>,
}

impl Frame<'_> {
    /// The whole screen, from (0, 0).
    pub fn area(&self) -> Rect {
        self.buffer.area
    }

    /// Declares rows that may have moved.
    pub fn region(&mut self, region: Region) {
        self.regions.push(region);
    }

    /// Shows the terminal's cursor there, as where one types; without it the cursor is hidden.
    pub fn cursor_at(&mut self, position: Position) {
        *self.cursor = Some(position);
    }
}

/// What became of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Painted {
    /// Nothing was different; nothing was written.
    Unchanged,
    /// So many bytes went out, in one write.
    Sent(usize),
    /// Too much is on the way. The picture was not made; try again after [`Screen::answered`] or at
    /// [`Screen::deadline`], with whatever is newest then.
    Held,
}

/// A terminal of a certain size behind a writer, and the way to change what it shows.
///
/// Not safe for two writers: whatever else goes to the same terminal has to pass [`Screen::pass`].
#[derive(Debug)]
pub struct Screen<W: Write> {
    out: W,
    shown: Buffer,
    next: Buffer,
    regions: Vec<Region>,
    declared: Vec<Region>,
    state: State,
    cursor_visible: bool,
    repaint: bool,
    options: Options,
    pace: Pace,
    bytes: Vec<u8>,
    trial: Vec<u8>,
}

impl<W: Write> Screen<W> {
    /// A screen of `width` × `height` cells. The first frame clears whatever was there.
    pub fn new(out: W, width: u16, height: u16, options: Options, pace: Pace) -> Self {
        let area = Rect::new(0, 0, width, height);
        Self {
            out,
            shown: Buffer::empty(area),
            next: Buffer::empty(area),
            regions: Vec::new(),
            declared: Vec::new(),
            state: State::UNKNOWN,
            cursor_visible: false,
            repaint: true,
            options,
            pace,
            bytes: Vec::with_capacity(8192),
            trial: Vec::new(),
        }
    }

    /// The size in cells.
    pub fn area(&self) -> Rect {
        self.next.area
    }

    /// Takes a new size; the next frame is painted whole, since terminals differ in what they keep.
    pub fn resize(&mut self, width: u16, height: u16) {
        let area = Rect::new(0, 0, width, height);
        self.shown = Buffer::empty(area);
        self.next = Buffer::empty(area);
        self.repaint = true;
    }

    /// Forgets what is shown, so that the next frame is painted whole: after suspending, or on request.
    pub fn invalidate(&mut self) {
        self.repaint = true;
    }

    /// The terminal answered a question ([`crate::console::input::Input::StatusOk`]).
    pub fn answered(&mut self) {
        self.pace.answered();
    }

    /// Until when a held frame should wait for an answer; `None` if none is expected.
    pub fn deadline(&self) -> Option<Instant> {
        self.pace.deadline()
    }

    /// Whether a frame would be painted now rather than held.
    pub fn may_paint(&mut self, now: Instant) -> bool {
        self.pace.may_send(now)
    }

    /// Answers that may still arrive; see [`Pace::open_questions`].
    pub fn open_questions(&self) -> Arc<AtomicUsize> {
        self.pace.open_questions()
    }

    /// Draws a picture and sends what is different, in one write.
    ///
    /// # Errors
    /// What the writer says; the next frame is then painted whole.
    pub fn draw(&mut self, now: Instant, view: impl FnOnce(&mut Frame<'_>)) -> io::Result<Painted> {
        if !self.pace.may_send(now) {
            return Ok(Painted::Held);
        }
        self.next.reset();
        self.declared.clear();
        let mut cursor = None;
        view(&mut Frame {
            buffer: &mut self.next,
            regions: &mut self.declared,
            cursor: &mut cursor,
        });
        self.bytes.clear();
        let state = self.encode(cursor);
        std::mem::swap(&mut self.shown, &mut self.next);
        std::mem::swap(&mut self.regions, &mut self.declared);
        if self.bytes.is_empty() {
            return Ok(Painted::Unchanged);
        }
        self.state = state;
        self.repaint = false;
        if self.bytes.len() >= SYNCHRONIZE_FROM && self.options.synchronized {
            self.bytes.splice(0..0, *b"\x1b[?2026h");
            self.bytes.extend_from_slice(b"\x1b[?2026l");
        }
        self.send(now)
    }

    /// Sends `bytes` that neither move the cursor nor draw: bell, title, clipboard.
    ///
    /// # Errors
    /// What the writer says.
    pub fn pass(&mut self, bytes: &[u8], now: Instant) -> io::Result<()> {
        self.bytes.clear();
        self.bytes.extend_from_slice(bytes);
        self.send(now).map(|_| ())
    }

    /// The writer, for tests and for the way out.
    pub fn writer(&mut self) -> &mut W {
        &mut self.out
    }

    fn send(&mut self, now: Instant) -> io::Result<Painted> {
        if self.pace.sending(self.bytes.len(), now) {
            self.bytes.extend_from_slice(QUESTION);
        }
        let sent = self
            .out
            .write_all(&self.bytes)
            .and_then(|()| self.out.flush());
        if sent.is_err() {
            self.repaint = true;
        }
        sent.map(|()| Painted::Sent(self.bytes.len()))
    }

    /// Fills `bytes` with the way from `shown` to `next`, and returns the terminal's state after it.
    fn encode(&mut self, cursor: Option<Position>) -> State {
        let size = (
            usize::from(self.next.area.width),
            usize::from(self.next.area.height),
        );
        if self.repaint {
            self.shown.reset();
            let mut encoder = Encoder::new(&mut self.bytes, self.state, size, self.options);
            encoder.clear();
            encoder.frame(&self.shown, &self.next);
            let state = encoder.state;
            return self.place_cursor(state, cursor, size);
        }
        let mut state = None;
        let moves = self.moves();
        if !moves.is_empty() {
            let mut moved = self.shown.clone();
            let mut encoder = Encoder::new(&mut self.bytes, self.state, size, self.options);
            for (region, by) in moves {
                encoder.scroll(region.top.into(), region.bottom.into(), by);
                move_rows(&mut moved, region, by);
            }
            encoder.frame(&moved, &self.next);
            state = Some(encoder.state);
        }
        // Whether moving rows pays depends on what else stands in them: unless it clearly did, both
        // ways are encoded and the shorter one is taken.
        let state = match state {
            Some(state) if self.bytes.len() < CLEARLY_SHORT => state,
            moved => {
                self.trial.clear();
                let mut encoder = Encoder::new(&mut self.trial, self.state, size, self.options);
                encoder.frame(&self.shown, &self.next);
                let state = encoder.state;
                match moved {
                    Some(moved) if self.bytes.len() <= self.trial.len() => moved,
                    _ => {
                        std::mem::swap(&mut self.bytes, &mut self.trial);
                        state
                    }
                }
            }
        };
        self.place_cursor(state, cursor, size)
    }

    fn place_cursor(
        &mut self,
        state: State,
        cursor: Option<Position>,
        size: (usize, usize),
    ) -> State {
        let mut encoder = Encoder::new(&mut self.bytes, state, size, self.options);
        let inside = cursor.filter(|p| usize::from(p.x) < size.0 && usize::from(p.y) < size.1);
        if let Some(position) = inside {
            encoder.go(position.x.into(), position.y.into(), None);
        }
        if inside.is_some() != self.cursor_visible || self.repaint {
            encoder.out.extend_from_slice(if inside.is_some() {
                b"\x1b[?25h"
            } else {
                b"\x1b[?25l"
            });
            self.cursor_visible = inside.is_some();
        }
        encoder.state
    }

    /// Regions that show the same list as before at another offset, by less than half of their height.
    fn moves(&self) -> Vec<(Region, isize)> {
        let same = |a: &Region, b: &Region| (a.id, a.top, a.bottom) == (b.id, b.top, b.bottom);
        self.declared
            .iter()
            .filter(|new| new.top < new.bottom && new.bottom <= self.next.area.height)
            .filter_map(|new| {
                let old = self.regions.iter().find(|old| same(old, new))?;
                let by = new.offset.checked_signed_diff(old.offset)?;
                let height = usize::from(new.bottom - new.top);
                (by != 0 && by.unsigned_abs() * 2 < height).then_some((*new, by))
            })
            .collect()
    }
}

/// Does to our idea of the screen what [`Encoder::scroll`] does to the terminal.
fn move_rows(buffer: &mut Buffer, region: Region, by: isize) {
    let width = usize::from(buffer.area.width);
    let rows =
        &mut buffer.content[usize::from(region.top) * width..usize::from(region.bottom) * width];
    let cells = by.unsigned_abs() * width;
    if by > 0 {
        rows.rotate_left(cells);
        let kept = rows.len() - cells;
        rows[kept..].fill(Cell::EMPTY);
    } else {
        rows.rotate_right(cells);
        rows[..cells].fill(Cell::EMPTY);
    }
}
