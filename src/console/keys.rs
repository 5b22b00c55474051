//! From a key press to what it means where it is pressed: a command, a character of a field, a choice.

use super::command::Command;
use super::edit::Edit;
use super::event::Event;
use super::input::{Key, KeyCode, Mods};
use super::keymap::{Chord, Found};
use super::model::{Model, Overlay, PromptKind};

/// The presses of a sequence that is not complete yet.
#[derive(Debug, Default)]
pub struct Keys {
    pending: Vec<Chord>,
}

/// Whether what is typed belongs to the masked field, which only the runner sees.
pub fn is_masked(model: &Model) -> bool {
    matches!(&model.overlay, Some(Overlay::Prompt(prompt)) if prompt.kind == PromptKind::FindKey)
}

impl Keys {
    /// A key held with Alt to which nothing is bound is Esc and then the key: on a slow line the two
    /// arrive together, and whoever pressed Esc must not lose both.
    pub fn apart(&self, key: Key, model: &Model) -> [Option<Key>; 2] {
        let bound = chord(key).map(|chord| model.shared.keymap.find(&[chord]));
        if key.mods.contains(Mods::ALT) && bound.is_none_or(|found| found == Found::Nothing) {
            let mods = key.mods.without(Mods::ALT);
            return [Some(Key::plain(KeyCode::Esc)), Some(Key { mods, ..key })];
        }
        [Some(key), None]
    }

    /// What the key means now; `None` if nothing, or if more presses have to follow.
    pub fn press(&mut self, key: Key, model: &Model) -> Option<Event> {
        let plain = !key.mods.contains(Mods::CTRL) && !key.mods.contains(Mods::ALT);
        match (&model.overlay, key.code) {
            (Some(Overlay::Prompt(_) | Overlay::Palette(..) | Overlay::Sheet(_)), code) => {
                if let Some(edit) = edit(code, key.mods) {
                    self.pending.clear();
                    return Some(Event::Edit(edit));
                }
            }
            (Some(Overlay::Menu(_)), KeyCode::Char(c)) if plain => {
                self.pending.clear();
                return Some(Event::Choice(c));
            }
            _ => {}
        }
        self.pending.push(chord(key)?);
        let mut found = model.shared.keymap.find(&self.pending);
        if found == Found::Nothing && self.pending.len() > 1 {
            // A broken sequence: the last press begins anew.
            self.pending.drain(..self.pending.len() - 1);
            found = model.shared.keymap.find(&self.pending);
        }
        match found {
            Found::Command(command) => {
                self.pending.clear();
                Some(Event::Command(command))
            }
            Found::Prefix => None,
            Found::Nothing => {
                self.pending.clear();
                None
            }
        }
    }
}

/// Keys that edit text wherever text is typed.
fn edit(code: KeyCode, mods: Mods) -> Option<Edit> {
    let ctrl = mods.contains(Mods::CTRL);
    Some(match code {
        _ if mods.contains(Mods::ALT) => return None,
        KeyCode::Char('w') if ctrl => Edit::DeleteWord,
        KeyCode::Char('u') if ctrl => Edit::DeleteToStart,
        KeyCode::Char(c) if !ctrl => Edit::Insert(c),
        KeyCode::Backspace => Edit::Backspace,
        KeyCode::Delete => Edit::Delete,
        KeyCode::Left => Edit::Left,
        KeyCode::Right => Edit::Right,
        KeyCode::Home => Edit::Home,
        KeyCode::End => Edit::End,
        KeyCode::Up => Edit::Up,
        KeyCode::Down => Edit::Down,
        _ => return None,
    })
}

/// The key as the settings write it.
pub fn chord(key: Key) -> Option<Chord> {
    let name = match key.code {
        KeyCode::Char(' ') => "space".to_owned(),
        KeyCode::Char(c) => c.to_string(),
        KeyCode::Enter => "enter".into(),
        KeyCode::Esc => "esc".into(),
        KeyCode::Tab if key.mods.contains(Mods::SHIFT) => "shift-tab".into(),
        KeyCode::Tab => "tab".into(),
        KeyCode::BackTab => "shift-tab".into(),
        KeyCode::Backspace => "backspace".into(),
        KeyCode::Delete => "delete".into(),
        KeyCode::Insert => "insert".into(),
        KeyCode::Home => "home".into(),
        KeyCode::End => "end".into(),
        KeyCode::PageUp => "pgup".into(),
        KeyCode::PageDown => "pgdn".into(),
        KeyCode::Up => "up".into(),
        KeyCode::Down => "down".into(),
        KeyCode::Left => "left".into(),
        KeyCode::Right => "right".into(),
        KeyCode::F(number) => format!("f{number}"),
    };
    let prefix = match key.mods {
        mods if mods.contains(Mods::CTRL) => "ctrl-",
        mods if mods.contains(Mods::ALT) => "alt-",
        _ => "",
    };
    Chord::parse(&format!("{prefix}{name}"))
}

/// Reads a line of key names and characters, as tests and pictures write them: `jj<enter>/env:prod<esc>`.
pub fn script(text: &str) -> Vec<Key> {
    let mut keys = Vec::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let named = rest
            .strip_prefix('<')
            .and_then(|inner| inner.split_once('>'));
        if let Some((key, after)) = named.and_then(|(name, after)| Some((named_key(name)?, after)))
        {
            keys.push(key);
            rest = after;
        } else {
            keys.push(Key::char(c));
            rest = &rest[c.len_utf8()..];
        }
    }
    keys
}

fn named_key(name: &str) -> Option<Key> {
    if let Some(c) = name.strip_prefix("ctrl-") {
        return c.chars().next().map(Key::ctrl);
    }
    Some(Key::plain(match name {
        "enter" => KeyCode::Enter,
        "esc" => KeyCode::Esc,
        "tab" => KeyCode::Tab,
        "space" => KeyCode::Char(' '),
        "up" => KeyCode::Up,
        "down" => KeyCode::Down,
        "pgdn" => KeyCode::PageDown,
        "pgup" => KeyCode::PageUp,
        "home" => KeyCode::Home,
        "end" => KeyCode::End,
        "backspace" => KeyCode::Backspace,
        _ => return None,
    }))
}

/// The command that a key means on the bare screen; for documents and tests.
pub fn command_of(model: &Model, key: Key) -> Option<Command> {
    match model.shared.keymap.find(&[chord(key)?]) {
        Found::Command(command) => Some(command),
        Found::Prefix | Found::Nothing => None,
    }
}
