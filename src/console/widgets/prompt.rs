//! A line in which something is typed: filters, reasons, names to confirm, and keys to look up.

use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use secrecy::SecretString;
use unicode_segmentation::UnicodeSegmentation;
use zeroize::Zeroize;

use super::put;
use crate::console::input::{Key, KeyCode, Mods, Paste};
use crate::console::theme::{Role, Theme};
use crate::display::sanitize::width;

/// Longest text taken, in bytes.
const MAX: usize = 4096;

/// What a key or a paste did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Typed {
    /// The text is different now.
    Changed,
    /// Only the cursor moved, or nothing happened.
    Same,
    /// Enter.
    Done,
    /// Esc.
    Cancelled,
    /// A paste, where pasting is refused.
    PasteRefused,
    /// Not a key for a prompt.
    NotMine,
}

/// A one-line editor. A masked one shows no character and wipes its memory when it is dropped.
#[derive(Clone, Default)]
pub struct Prompt {
    text: String,
    /// Byte position, always between graphemes.
    cursor: usize,
    masked: bool,
    no_paste: bool,
}

impl std::fmt::Debug for Prompt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let text = if self.masked { "[masked]" } else { &self.text };
        f.debug_struct("Prompt")
            .field("text", &text)
            .field("cursor", &self.cursor)
            .finish_non_exhaustive()
    }
}

impl Drop for Prompt {
    fn drop(&mut self) {
        if self.masked {
            self.text.zeroize();
        }
    }
}

impl Prompt {
    /// An editor with `text` in it, cursor at its end.
    pub fn new(text: &str) -> Self {
        Self {
            text: text.to_owned(),
            cursor: text.len(),
            ..Self::default()
        }
    }

    /// An editor that shows no character: for secrets.
    pub fn masked() -> Self {
        // Room for all of it at once: growing would leave copies behind.
        Self {
            text: String::with_capacity(MAX),
            masked: true,
            ..Self::default()
        }
    }

    /// An editor that refuses pastes: for names that have to be typed to be meant.
    pub fn typed_only() -> Self {
        let mut prompt = Self::default();
        prompt.no_paste = true;
        prompt
    }

    /// What has been typed; empty for a masked editor, which gives it to [`Self::take_secret`] only.
    pub fn text(&self) -> &str {
        if self.masked { "" } else { &self.text }
    }

    /// How many characters have been typed, as a masked editor shows them.
    pub fn len(&self) -> usize {
        self.text.graphemes(true).count()
    }

    /// Whether nothing has been typed.
    pub fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// Empties the editor and hands out what was in it, surrounding blanks removed.
    pub fn take_secret(&mut self) -> SecretString {
        let secret = SecretString::from(self.text.trim().to_owned());
        self.text.zeroize();
        self.cursor = 0;
        secret
    }

    /// Takes a key.
    pub fn key(&mut self, key: Key) -> Typed {
        let ctrl = key.mods.contains(Mods::CTRL);
        if key.mods.contains(Mods::ALT) {
            return Typed::NotMine;
        }
        match key.code {
            KeyCode::Enter => return Typed::Done,
            KeyCode::Esc => return Typed::Cancelled,
            KeyCode::Char('a') if ctrl => self.cursor = 0,
            KeyCode::Char('e') if ctrl => self.cursor = self.text.len(),
            KeyCode::Char('u') if ctrl => return self.remove(0, self.cursor),
            KeyCode::Char('k') if ctrl => return self.remove(self.cursor, self.text.len()),
            KeyCode::Char('w') if ctrl => return self.remove(self.word_before(), self.cursor),
            KeyCode::Char('h') if ctrl => return self.remove(self.before(), self.cursor),
            KeyCode::Char(c) if !ctrl => return self.insert(c.encode_utf8(&mut [0; 4])),
            KeyCode::Backspace => return self.remove(self.before(), self.cursor),
            KeyCode::Delete => return self.remove(self.cursor, self.after()),
            KeyCode::Left => self.cursor = self.before(),
            KeyCode::Right => self.cursor = self.after(),
            KeyCode::Home => self.cursor = 0,
            KeyCode::End => self.cursor = self.text.len(),
            _ => return Typed::NotMine,
        }
        Typed::Same
    }

    /// Takes a paste; line breaks become blanks, since the line is one.
    pub fn paste(&mut self, paste: &Paste) -> Typed {
        if self.no_paste {
            return Typed::PasteRefused;
        }
        let mut line = paste
            .text
            .trim_end_matches(['\r', '\n'])
            .replace("\r\n", " ")
            .replace(['\r', '\n', '\t'], " ");
        let typed = self.insert(&line);
        line.zeroize();
        typed
    }

    /// Draws the line and returns where the terminal's cursor belongs. Scrolls so that it stays visible.
    pub fn draw(&self, area: Rect, buf: &mut Buffer, theme: &Theme) -> Position {
        let columns = usize::from(area.width.saturating_sub(1));
        let (shown, before) = if self.masked {
            let marks = |text: &str| theme.glyphs.masked.repeat(text.graphemes(true).count());
            (marks(&self.text), width(&marks(&self.text[..self.cursor])))
        } else {
            let before = crate::display::sanitize::safe(&self.text[..self.cursor]);
            (
                crate::display::sanitize::safe(&self.text).into_owned(),
                width(&before),
            )
        };
        let mut skip = 0;
        let mut skipped = 0;
        for grapheme in shown.graphemes(true) {
            if before - skipped.min(before) <= columns {
                break;
            }
            skip += grapheme.len();
            skipped += width(grapheme);
        }
        put(
            buf,
            theme,
            (area.x, area.y),
            area.width,
            &shown[skip..],
            theme.style(Role::Input),
        );
        let x = (before - skipped.min(before)).min(columns) as u16;
        Position::new(area.x + x, area.y)
    }

    fn insert(&mut self, text: &str) -> Typed {
        let room = MAX.saturating_sub(self.text.len());
        let text = &text[..text.floor_char_boundary(room.min(text.len()))];
        self.text.insert_str(self.cursor, text);
        self.cursor += text.len();
        // What was inserted may have joined the grapheme before or after it.
        if !self
            .text
            .grapheme_indices(true)
            .any(|(i, _)| i == self.cursor)
        {
            self.cursor = self.after();
        }
        if text.is_empty() {
            Typed::Same
        } else {
            Typed::Changed
        }
    }

    fn remove(&mut self, from: usize, to: usize) -> Typed {
        if from >= to {
            return Typed::Same;
        }
        self.text.replace_range(from..to, "");
        self.cursor = from;
        Typed::Changed
    }

    fn before(&self) -> usize {
        let starts = self.text.grapheme_indices(true).map(|(i, _)| i);
        starts.take_while(|i| *i < self.cursor).last().unwrap_or(0)
    }

    fn after(&self) -> usize {
        let mut starts = self.text.grapheme_indices(true).map(|(i, _)| i);
        starts.find(|i| *i > self.cursor).unwrap_or(self.text.len())
    }

    fn word_before(&self) -> usize {
        let kept = self.text[..self.cursor].trim_end();
        kept.rfind(char::is_whitespace).map_or(0, |i| {
            i + kept[i..].chars().next().map_or(1, char::len_utf8)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;
    use proptest::prelude::*;
    use secrecy::ExposeSecret;

    fn paste(text: &str) -> Paste {
        Paste {
            text: text.into(),
            cut: false,
        }
    }

    #[test]
    fn edits_by_graphemes_and_words() {
        let mut prompt = Prompt::new("env:prod e\u{301}x");
        let press = |prompt: &mut Prompt, code| prompt.key(Key::plain(code));
        press(&mut prompt, KeyCode::Left);
        assert_eq!(press(&mut prompt, KeyCode::Backspace), Typed::Changed);
        assert_eq!(prompt.text(), "env:prod x");
        press(&mut prompt, KeyCode::End);
        prompt.key(Key::ctrl('w'));
        prompt.key(Key::ctrl('w'));
        assert_eq!(prompt.text(), "");
        prompt.key(Key::char('G'));
        assert_eq!(prompt.paste(&paste("one\r\ntwo\n")), Typed::Changed);
        assert_eq!(prompt.text(), "Gone two");
        assert_eq!(press(&mut prompt, KeyCode::Enter), Typed::Done);
        assert_eq!(press(&mut prompt, KeyCode::PageUp), Typed::NotMine);
    }

    #[test]
    fn masked_text_never_shows() {
        let mut prompt = Prompt::masked();
        prompt.paste(&paste("  cs_pat_secret\n"));
        let (mut buf, theme) = (blank(20, 1), Theme::default());
        let area = buf.area;
        let cursor = prompt.draw(area, &mut buf, &theme);
        assert_eq!((lines(&buf)[0].as_str(), cursor.x), ("•••••••••••••••", 15));
        assert!(!format!("{prompt:?}").contains("secret") && prompt.text().is_empty());
        assert_eq!(prompt.take_secret().expose_secret(), "cs_pat_secret");
        assert!(prompt.is_empty());
    }

    #[test]
    fn names_to_confirm_are_typed() {
        let mut prompt = Prompt::typed_only();
        assert_eq!(prompt.paste(&paste("pg-prod")), Typed::PasteRefused);
        assert!(prompt.is_empty());
    }

    proptest! {
        #[test]
        fn the_cursor_stays_in_view(text in "\\PC{0,40}", keys in prop::collection::vec(0u8..6, 0..20), columns in 1u16..12) {
            let mut prompt = Prompt::new(&text);
            for key in keys {
                prompt.key(match key {
                    0 => Key::plain(KeyCode::Left),
                    1 => Key::plain(KeyCode::Delete),
                    2 => Key::plain(KeyCode::Home),
                    3 => Key::char('\u{301}'),
                    4 => Key::char('日'),
                    _ => Key::plain(KeyCode::Right),
                });
            }
            let mut buf = blank(columns, 1);
            let area = buf.area;
            let cursor = prompt.draw(area, &mut buf, &Theme::default());
            prop_assert!(cursor.x < columns);
        }
    }
}
