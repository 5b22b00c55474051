//! From keys to commands. The table of `super::command` gives the defaults, the settings' `[keys]` change
//! them, and two commands on one key are refused with both names.

use super::command::{ActKind, Command};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use thiserror::Error;

/// Why the settings' keys cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum KeymapError {
    /// No command or act of that name.
    #[error("[keys] names `{0}`, which is no command")]
    UnknownCommand(String),
    /// Not a key.
    #[error(
        "[keys] `{command}`: `{key}` is not a key; write j, G, ctrl-d, `g g`, space, enter, f1"
    )]
    BadKey {
        /// For which command.
        command: String,
        /// What stood there.
        key: String,
    },
    /// One key for two.
    #[error("[keys] `{key}` is bound to both `{first}` and `{second}`")]
    Conflict {
        /// The key.
        key: String,
        /// What has it.
        first: &'static str,
        /// What wants it too.
        second: &'static str,
    },
}

/// One key press as settings and help write it: `j`, `G`, `ctrl-d`, `enter`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Chord(String);

const NAMED: &[&str] = &[
    "space",
    "enter",
    "esc",
    "tab",
    "shift-tab",
    "backspace",
    "delete",
    "insert",
    "home",
    "end",
    "pgup",
    "pgdn",
    "up",
    "down",
    "left",
    "right",
];

impl Chord {
    /// Reads one press; `None` if it is not a key.
    pub fn parse(text: &str) -> Option<Self> {
        let bare = text
            .strip_prefix("ctrl-")
            .or_else(|| text.strip_prefix("alt-"))
            .unwrap_or(text);
        let function = bare
            .strip_prefix('f')
            .and_then(|number| number.parse::<u8>().ok())
            .is_some_and(|number| (1..=20).contains(&number));
        let one = bare.chars().count() == 1 && !bare.contains(char::is_whitespace);
        (one || function || NAMED.contains(&bare)).then(|| Self(text.to_owned()))
    }

    /// As the settings write it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// As the screen shows it: `⏎`, `^D`, `tab`.
    pub fn shown(&self, ascii: bool) -> String {
        match self.0.as_str() {
            "enter" if !ascii => "⏎".into(),
            "up" if !ascii => "↑".into(),
            "down" if !ascii => "↓".into(),
            "left" if !ascii => "←".into(),
            "right" if !ascii => "→".into(),
            text => match text.strip_prefix("ctrl-") {
                Some(key) => format!("^{}", key.to_uppercase()),
                None => text.into(),
            },
        }
    }
}

/// Keys bound to commands. A command has one sequence of presses or several.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Keymap {
    bound: Vec<(Vec<Chord>, Command)>,
    acts: Vec<(char, ActKind)>,
}

impl Default for Keymap {
    fn default() -> Self {
        Self::with(&BTreeMap::new()).expect("a test holds the table without conflicts")
    }
}

/// What the presses so far come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// A command.
    Command(Command),
    /// The beginning of one: wait for the next press.
    Prefix,
    /// Nothing.
    Nothing,
}

impl Keymap {
    /// The table's keys, changed by the settings: a command's name and its keys, separated by commas. No keys
    /// leave the command to the palette.
    pub fn with(settings: &BTreeMap<String, String>) -> Result<Self, KeymapError> {
        let mut keymap = Self {
            bound: Vec::new(),
            acts: Vec::new(),
        };
        let known = |id: &str| {
            Command::ALL.iter().any(|command| command.id() == id)
                || ActKind::ALL.iter().any(|kind| kind.id() == id)
        };
        if let Some(unknown) = settings.keys().find(|id| !known(id)) {
            return Err(KeymapError::UnknownCommand(unknown.clone()));
        }
        for &command in Command::ALL {
            let own: Vec<String> = match settings.get(command.id()) {
                Some(text) => split_keys(text),
                None => command.default_keys().iter().map(|k| (*k).into()).collect(),
            };
            for key in own {
                let bad = || KeymapError::BadKey {
                    command: command.id().into(),
                    key: key.clone(),
                };
                let chords: Option<Vec<Chord>> = key.split_whitespace().map(Chord::parse).collect();
                let chords = chords.filter(|c| !c.is_empty()).ok_or_else(bad)?;
                keymap.bind(chords, command)?;
            }
        }
        for &kind in ActKind::ALL {
            let key = match settings.get(kind.id()) {
                Some(text) => text.trim().to_owned(),
                None => kind.default_key().into(),
            };
            let mut letters = key.chars();
            let (Some(letter), None) = (letters.next(), letters.next()) else {
                return Err(KeymapError::BadKey {
                    command: kind.id().into(),
                    key,
                });
            };
            if let Some((_, other)) = keymap.acts.iter().find(|(taken, _)| *taken == letter) {
                return Err(KeymapError::Conflict {
                    key,
                    first: other.id(),
                    second: kind.id(),
                });
            }
            keymap.acts.push((letter, kind));
        }
        Ok(keymap)
    }

    fn bind(&mut self, chords: Vec<Chord>, command: Command) -> Result<(), KeymapError> {
        // A sequence that begins with another one could never be reached, or would hide it.
        let clash = self
            .bound
            .iter()
            .find(|(taken, _)| taken.starts_with(&chords) || chords.starts_with(taken));
        if let Some((_, other)) = clash {
            let key: Vec<_> = chords.iter().map(Chord::as_str).collect();
            return Err(KeymapError::Conflict {
                key: key.join(" "),
                first: other.id(),
                second: command.id(),
            });
        }
        self.bound.push((chords, command));
        Ok(())
    }

    /// What `presses` come to.
    pub fn find(&self, presses: &[Chord]) -> Found {
        for (chords, command) in &self.bound {
            if chords == presses {
                return Found::Command(*command);
            }
        }
        let begins = |(chords, _): &&(Vec<Chord>, Command)| chords.starts_with(presses);
        match self.bound.iter().find(begins) {
            Some(_) => Found::Prefix,
            None => Found::Nothing,
        }
    }

    /// The first key of a command as the screen shows it; empty if it has none.
    pub fn key(&self, command: Command, ascii: bool) -> String {
        self.keys(command, ascii)
            .into_iter()
            .next()
            .unwrap_or_default()
    }

    /// All keys of a command as the screen shows them.
    pub fn keys(&self, command: Command, ascii: bool) -> Vec<String> {
        self.bound
            .iter()
            .filter(|(_, bound)| *bound == command)
            .map(|(chords, _)| chords.iter().map(|chord| chord.shown(ascii)).collect())
            .collect()
    }

    /// The key of an act in the menu.
    pub fn act_key(&self, kind: ActKind) -> char {
        self.acts
            .iter()
            .find(|(_, bound)| *bound == kind)
            .map_or_else(|| kind.default_key(), |(key, _)| *key)
    }
}

/// `"j, down"`; the comma itself is written alone.
fn split_keys(text: &str) -> Vec<String> {
    if text.trim() == "," {
        return vec![",".into()];
    }
    let keys = text.split(',').map(str::trim);
    keys.filter(|key| !key.is_empty()).map(Into::into).collect()
}

/// The key table of the documents, as Markdown, from the defaults.
pub fn markdown() -> String {
    let keymap = Keymap::default();
    let mut out = String::from("| keys | what they do | name in `[keys]` |\n| --- | --- | --- |\n");
    for &command in Command::ALL {
        let keys: Vec<String> = command
            .default_keys()
            .iter()
            .map(|k| format!("`{k}`"))
            .collect();
        let keys = if keys.is_empty() {
            "`:`".into()
        } else {
            keys.join(" ")
        };
        let help = command.help().replace('|', "\\|");
        out.push_str(&format!("| {keys} | {help} | `{}` |\n", command.id()));
    }
    out.push_str("\nIn the act menu (`.`): ");
    let acts: Vec<String> = ActKind::ALL
        .iter()
        .map(|kind| format!("`{}` {}", keymap.act_key(*kind), kind.label()))
        .collect();
    out.push_str(&acts.join(", "));
    out.push_str(".\n");
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(pairs: &[(&str, &str)]) -> Result<Keymap, KeymapError> {
        let pairs = pairs.iter().map(|(k, v)| ((*k).into(), (*v).into()));
        Keymap::with(&pairs.collect())
    }

    fn chords(text: &str) -> Vec<Chord> {
        text.split(' ')
            .map(|key| Chord::parse(key).unwrap())
            .collect()
    }

    #[test]
    fn the_table_has_no_conflicts_and_every_key_is_one() {
        let keymap = Keymap::with(&BTreeMap::new()).unwrap();
        assert_eq!(keymap.find(&chords("g")), Found::Prefix);
        assert_eq!(keymap.find(&chords("g g")), Found::Command(Command::First));
        assert_eq!(keymap.find(&chords("g x")), Found::Nothing);
        let mut ids: Vec<_> = Command::ALL.iter().map(|c| c.id()).collect();
        ids.extend(ActKind::ALL.iter().map(|k| k.id()));
        let count = ids.len();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), count, "no two may share a name");
    }

    #[test]
    fn conflicts_are_refused_with_both_names() {
        let error = settings(&[("view.refresh", "p")]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "[keys] `p` is bound to both `view.refresh` and `view.pause`"
        );
        let error = settings(&[("find.key", "g")]).unwrap_err();
        assert!(matches!(
            error,
            KeymapError::Conflict {
                first: "move.first",
                ..
            }
        ));
        let error = settings(&[("act.deny", "a")]).unwrap_err();
        assert!(matches!(
            error,
            KeymapError::Conflict {
                first: "act.approve",
                ..
            }
        ));
    }

    #[test]
    fn settings_move_keys() {
        let keymap = settings(&[("view.refresh", "f5, ctrl-r"), ("console.quit", "")]).unwrap();
        assert_eq!(keymap.find(&chords("f5")), Found::Command(Command::Refresh));
        assert_eq!(keymap.find(&chords("r")), Found::Nothing);
        assert_eq!(keymap.key(Command::Quit, false), "");
        assert!(matches!(
            settings(&[("view.refesh", "r")]),
            Err(KeymapError::UnknownCommand(_))
        ));
        assert!(matches!(
            settings(&[("view.refresh", "f99")]),
            Err(KeymapError::BadKey { .. })
        ));
    }

    #[test]
    fn the_documents_table_names_every_command() {
        let table = markdown();
        assert!(
            Command::ALL
                .iter()
                .all(|c| table.contains(&format!("`{}`", c.id())))
        );
    }
}
