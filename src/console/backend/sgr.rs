//! Character attributes: the shortest escape sequence from one set to the next.

use ratatui::buffer::Cell;
use ratatui::style::{Color, Modifier};

use super::short::Short;

/// What the terminal will draw the next character with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pen {
    pub fg: Color,
    pub bg: Color,
    pub modifier: Modifier,
}

impl Pen {
    /// The terminal's own colours and nothing else.
    pub const PLAIN: Self = Self {
        fg: Color::Reset,
        bg: Color::Reset,
        modifier: Modifier::empty(),
    };

    pub fn of(cell: &Cell) -> Self {
        Self {
            fg: cell.fg,
            bg: cell.bg,
            modifier: cell.modifier,
        }
    }

    /// Whether a blank drawn with this pen is the same as an erased cell.
    pub fn erases(self) -> bool {
        let seen_on_blanks = Modifier::REVERSED
            .union(Modifier::UNDERLINED)
            .union(Modifier::CROSSED_OUT);
        self.bg == Color::Reset && !self.modifier.intersects(seen_on_blanks)
    }

    /// Appends the sequence that leads from `self` to `to`.
    pub fn change(self, to: Self, out: &mut Vec<u8>) {
        if self == to {
            return;
        }
        if to == Self::PLAIN {
            out.extend_from_slice(b"\x1b[m");
            return;
        }
        let mut fresh = Params::new();
        fresh.push(b"0");
        fresh.add(to.modifier);
        fresh.colour(to.fg, 30);
        fresh.colour(to.bg, 40);
        let mut delta = Params::new();
        delta.steps(self, to);
        let shorter = if delta.bytes.len() <= fresh.bytes.len() {
            delta
        } else {
            fresh
        };
        out.extend_from_slice(b"\x1b[");
        out.extend_from_slice(&shorter.bytes);
        out.push(b'm');
    }
}

/// Attributes in their order, with the codes that switch them on and off. Bold and dim share one "off".
const ATTRIBUTES: [(Modifier, &[u8], &[u8]); 9] = [
    (Modifier::BOLD, b"1", b"22"),
    (Modifier::DIM, b"2", b"22"),
    (Modifier::ITALIC, b"3", b"23"),
    (Modifier::UNDERLINED, b"4", b"24"),
    (Modifier::SLOW_BLINK, b"5", b"25"),
    (Modifier::RAPID_BLINK, b"6", b"25"),
    (Modifier::REVERSED, b"7", b"27"),
    (Modifier::HIDDEN, b"8", b"28"),
    (Modifier::CROSSED_OUT, b"9", b"29"),
];

struct Params {
    bytes: Short,
}

impl Params {
    fn new() -> Self {
        Self {
            bytes: Short::new(),
        }
    }

    fn push(&mut self, code: &[u8]) {
        self.part();
        self.bytes.add(code);
    }

    fn numbers(&mut self, codes: &[u8]) {
        for code in codes {
            self.part();
            self.bytes.number((*code).into());
        }
    }

    fn part(&mut self) {
        if !self.bytes.is_empty() {
            self.bytes.add(b";");
        }
    }

    fn add(&mut self, modifiers: Modifier) {
        for (modifier, on, _) in ATTRIBUTES {
            if modifiers.contains(modifier) {
                self.push(on);
            }
        }
    }

    fn steps(&mut self, from: Pen, to: Pen) {
        let mut on = to.modifier - from.modifier;
        let gone = from.modifier - to.modifier;
        let weight = Modifier::BOLD.union(Modifier::DIM);
        let blink = Modifier::SLOW_BLINK.union(Modifier::RAPID_BLINK);
        for pair in [weight, blink] {
            if gone.intersects(pair) {
                // The shared "off" takes the other one away too.
                on |= to.modifier & pair;
            }
        }
        let mut last: &[u8] = b"";
        for (modifier, _, off) in ATTRIBUTES {
            if gone.contains(modifier) && off != last {
                self.push(off);
                last = off;
            }
        }
        self.add(on);
        if from.fg != to.fg {
            if to.fg == Color::Reset {
                self.push(b"39");
            } else {
                self.colour(to.fg, 30);
            }
        }
        if from.bg != to.bg {
            if to.bg == Color::Reset {
                self.push(b"49");
            } else {
                self.colour(to.bg, 40);
            }
        }
    }

    /// `base` is 30 for the foreground, 40 for the background. `Reset` adds nothing.
    fn colour(&mut self, colour: Color, base: u8) {
        let code = match colour {
            Color::Reset => return,
            Color::Black => base,
            Color::Red => base + 1,
            Color::Green => base + 2,
            Color::Yellow => base + 3,
            Color::Blue => base + 4,
            Color::Magenta => base + 5,
            Color::Cyan => base + 6,
            Color::Gray => base + 7,
            Color::DarkGray => base + 60,
            Color::LightRed => base + 61,
            Color::LightGreen => base + 62,
            Color::LightYellow => base + 63,
            Color::LightBlue => base + 64,
            Color::LightMagenta => base + 65,
            Color::LightCyan => base + 66,
            Color::White => base + 67,
            Color::Indexed(n) => return self.numbers(&[base + 8, 5, n]),
            Color::Rgb(r, g, b) => {
                return self.numbers(&[base + 8, 2, r, g, b]);
            }
        };
        self.numbers(&[code]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(from: Pen, to: Pen) -> String {
        let mut out = Vec::new();
        from.change(to, &mut out);
        String::from_utf8(out).unwrap().replace('\x1b', "")
    }

    fn pen(fg: Color, modifier: Modifier) -> Pen {
        Pen {
            fg,
            bg: Color::Reset,
            modifier,
        }
    }

    #[test]
    fn takes_the_shorter_way() {
        let (bold, dim) = (Modifier::BOLD, Modifier::DIM);
        assert_eq!(change(Pen::PLAIN, pen(Color::Red, bold)), "[1;31m");
        assert_eq!(
            change(pen(Color::Red, bold), pen(Color::Green, bold)),
            "[32m"
        );
        assert_eq!(
            change(pen(Color::Red, bold), pen(Color::Red, dim)),
            "[22;2m"
        );
        assert_eq!(
            change(pen(Color::Red, bold | dim), pen(Color::Red, dim)),
            "[22;2m"
        );
        assert_eq!(change(pen(Color::Red, bold), Pen::PLAIN), "[m");
        assert_eq!(
            change(
                pen(Color::Red, bold | Modifier::ITALIC),
                pen(Color::Reset, dim)
            ),
            "[0;2m"
        );
        assert_eq!(change(pen(Color::Red, bold), pen(Color::Red, bold)), "");
        assert_eq!(
            change(Pen::PLAIN, pen(Color::Indexed(208), Modifier::empty())),
            "[38;5;208m"
        );
    }
}
