//! From the terminal's bytes to input: keys, pastes, answers, hang-ups.
//!
//! `Parser` is pure; `Reader` is one thread that blocks on the terminal, on the signals and on a
//! stop order, and wakes for nothing else. crossterm's reader swallows the answer `ESC [ 0 n` that the
//! output path waits for, and does not notice a terminal that is gone; hence our own.

mod parse;
mod reader;

pub use parse::Parser;
pub use reader::{Reader, ReaderError};

/// Longest paste taken, in bytes; nobody pastes more into a field or looks for a longer key.
pub const MAX_PASTE: usize = 64 * 1024;

/// Something that happened at the terminal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// A key with its modifiers.
    Key(Key),
    /// Text pasted in one go; never to be taken for keys.
    Paste(Paste),
    /// The terminal's answer to `CSI 5n`.
    StatusOk,
    /// The terminal has this size now, in cells.
    Resize {
        /// Columns.
        width: u16,
        /// Rows.
        height: u16,
    },
    /// The terminal's window got (`true`) or lost the focus.
    Focus(bool),
    /// Someone outside asks to suspend (SIGTSTP); Ctrl-Z arrives as a key.
    Suspend,
    /// The process goes on after having been stopped: paint everything.
    Resumed,
    /// A signal asks to end: its number. A program that does not react is ended hard.
    Terminate(i32),
    /// The terminal is gone. Nothing can be shown any more; end.
    Hangup,
}

/// What was pasted.
#[derive(Clone, PartialEq, Eq)]
pub struct Paste {
    /// The text, at most [`MAX_PASTE`] bytes, not sanitised.
    pub text: String,
    /// More was pasted than was taken.
    pub cut: bool,
}

impl std::fmt::Debug for Paste {
    /// A paste may be a leaked key, which someone looks up by pasting it: only its length shows.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Paste({} bytes, cut: {})", self.text.len(), self.cut)
    }
}

/// A key press.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    /// Which key.
    pub code: KeyCode,
    /// What was held with it.
    pub mods: Mods,
}

impl Key {
    /// A key without modifiers.
    pub const fn plain(code: KeyCode) -> Self {
        Self {
            code,
            mods: Mods::NONE,
        }
    }

    /// A character key; a capital is the character itself, without [`Mods::SHIFT`].
    pub const fn char(c: char) -> Self {
        Self::plain(KeyCode::Char(c))
    }

    /// Ctrl with a character key.
    pub const fn ctrl(c: char) -> Self {
        Self {
            code: KeyCode::Char(c),
            mods: Mods::CTRL,
        }
    }
}

/// Which key. Terminals cannot tell Ctrl-I from Tab or Ctrl-M from Enter, so these come as the latter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(missing_docs, reason = "named as on the keyboard")]
pub enum KeyCode {
    Char(char),
    Enter,
    Esc,
    Tab,
    BackTab,
    Backspace,
    Delete,
    Insert,
    Home,
    End,
    PageUp,
    PageDown,
    Up,
    Down,
    Left,
    Right,
    /// F1 to F20.
    F(u8),
}

/// Modifier keys held; a small set.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Mods(u8);

impl Mods {
    /// Nothing held.
    pub const NONE: Self = Self(0);
    /// Shift, where the key itself does not show it (arrows, Tab).
    pub const SHIFT: Self = Self(1);
    /// Alt, or Esc before the key within one read.
    pub const ALT: Self = Self(2);
    /// Control.
    pub const CTRL: Self = Self(4);

    /// From the parameter of xterm's sequences: 1 plus a bit set; bits above Ctrl are left out.
    fn from_xterm(parameter: u16) -> Self {
        Self((parameter.saturating_sub(1) & 7) as u8)
    }

    /// Both sets together.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether all of `other` are held.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// This set without `other`.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }
}

impl std::fmt::Debug for Mods {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names = [
            (Self::CTRL, "ctrl"),
            (Self::ALT, "alt"),
            (Self::SHIFT, "shift"),
        ];
        let held: Vec<&str> = names
            .iter()
            .filter(|(m, _)| self.contains(*m))
            .map(|(_, n)| *n)
            .collect();
        f.write_str(
            if held.is_empty() {
                "-".to_owned()
            } else {
                held.join("+")
            }
            .as_str(),
        )
    }
}
