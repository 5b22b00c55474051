//! A line of text being edited: characters and a cursor between them.

use serde::{Deserialize, Serialize};
use unicode_segmentation::UnicodeSegmentation;

/// What a key does to a line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Edit {
    /// Types one character.
    Insert(char),
    /// Pastes; lines are joined by blanks.
    Paste(String),
    /// Takes away what is before the cursor.
    Backspace,
    /// Takes away what is under the cursor.
    Delete,
    /// Takes away the word before the cursor.
    DeleteWord,
    /// Takes away everything before the cursor.
    DeleteToStart,
    /// One to the left.
    Left,
    /// One to the right.
    Right,
    /// To the beginning.
    Home,
    /// To the end.
    End,
    /// To the earlier entry or the choice above.
    Up,
    /// To the later entry or the choice below.
    Down,
}

/// A line under edit. The cursor is a byte position between two graphemes.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Line {
    text: String,
    cursor: usize,
}

impl Line {
    /// A line that holds `text`, the cursor behind it.
    pub fn new(text: impl Into<String>) -> Self {
        let text = text.into();
        Self {
            cursor: text.len(),
            text,
        }
    }

    /// What was typed.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What stands before the cursor.
    pub fn before(&self) -> &str {
        &self.text[..self.cursor]
    }

    /// Applies an edit; at most `limit` bytes are kept. Returns whether the text changed.
    pub fn apply(&mut self, edit: &Edit, limit: usize) -> bool {
        let length = self.text.len();
        let was = self.cursor;
        match edit {
            Edit::Insert(c) => return self.insert(&c.to_string(), limit),
            Edit::Paste(text) => {
                let joined = text.trim_end().replace(['\r', '\n', '\t'], " ");
                return self.insert(&joined, limit);
            }
            Edit::Backspace => {
                self.cursor = self.left();
                self.text.replace_range(self.cursor..was, "");
            }
            Edit::Delete => {
                let right = self.right();
                self.text.replace_range(was..right, "");
            }
            Edit::DeleteWord => {
                let kept = self.before().trim_end();
                self.cursor = kept.rfind(' ').map_or(0, |at| at + 1);
                self.text.replace_range(self.cursor..was, "");
            }
            Edit::DeleteToStart => {
                self.text.replace_range(..was, "");
                self.cursor = 0;
            }
            Edit::Left => self.cursor = self.left(),
            Edit::Right => self.cursor = self.right(),
            Edit::Home => self.cursor = 0,
            Edit::End => self.cursor = length,
            Edit::Up | Edit::Down => {}
        }
        self.text.len() != length
    }

    fn insert(&mut self, text: &str, limit: usize) -> bool {
        let room = limit.saturating_sub(self.text.len());
        let taken = &text[..text.floor_char_boundary(room)];
        self.text.insert_str(self.cursor, taken);
        self.cursor += taken.len();
        !taken.is_empty()
    }

    fn left(&self) -> usize {
        self.before()
            .grapheme_indices(true)
            .next_back()
            .map_or(0, |(at, _)| at)
    }

    fn right(&self) -> usize {
        let after = &self.text[self.cursor..];
        self.cursor + after.graphemes(true).next().map_or(0, str::len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edits_between_graphemes() {
        let mut line = Line::new("maya e\u{301}");
        assert!(line.apply(&Edit::Backspace, 99));
        assert_eq!(line.text(), "maya ");
        assert!(line.apply(&Edit::Paste("is\nhere\n".into()), 99));
        assert_eq!(line.text(), "maya is here");
        assert!(line.apply(&Edit::DeleteWord, 99));
        assert!(!line.apply(&Edit::Home, 99));
        assert!(line.apply(&Edit::Delete, 99));
        assert_eq!((line.text(), line.before()), ("aya is ", ""));
        assert!(line.apply(&Edit::Insert('ü'), 9));
        assert!(!line.apply(&Edit::Insert('x'), 9), "the limit holds");
        assert_eq!(line.text(), "üaya is ");
    }
}
