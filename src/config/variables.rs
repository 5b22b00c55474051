//! The one registry of environment variables. Help, documentation and reading are all drawn from it.

use std::collections::BTreeMap;

/// One environment variable that the program looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Variable {
    /// Its name.
    pub name: &'static str,
    /// What its value looks like.
    pub value: &'static str,
    /// One line for people.
    pub help: &'static str,
    /// Never shown, not even by `doctor`.
    pub secret: bool,
}

macro_rules! variables {
    ($($ident:ident = $name:literal $value:literal $secret:literal $help:literal;)*) => {
        $(#[doc = $help] pub const $ident: Variable = Variable { name: $name, value: $value, help: $help, secret: $secret };)*
        /// Every variable, in the order in which documentation lists them.
        pub const ALL: &[Variable] = &[$($ident),*];
    };
}

variables! {
    URL = "COUNTERSIGN_URL" "URL" false "The broker to talk to, without a configured context.";
    TOKEN = "COUNTERSIGN_TOKEN" "TOKEN" true "The token to sign in with. Never stored.";
    CONTEXT = "COUNTERSIGN_CONTEXT" "NAME" false "The context to use instead of the current one.";
    CA_FILE = "COUNTERSIGN_CA_FILE" "FILE" false "Trust only these certificates (PEM) for the broker of COUNTERSIGN_URL.";
    CONFIG = "COUNTERSIGN_CONFIG" "FILE" false "The configuration file, instead of countersign/config.toml under XDG_CONFIG_HOME.";
    LOG = "COUNTERSIGN_LOG" "FILTER" false "What is logged, such as `info` or `countersign=debug`.";
    NO_COLOR = "NO_COLOR" "1" false "No colour, whatever the terminal can do.";
    XDG_CONFIG_HOME = "XDG_CONFIG_HOME" "DIR" false "Where configuration lives; ~/.config when unset.";
    XDG_RUNTIME_DIR = "XDG_RUNTIME_DIR" "DIR" false "Where a token may be kept in a file, when that is asked for.";
    HOME = "HOME" "DIR" false "The home folder.";
    DBUS_SESSION_BUS_ADDRESS = "DBUS_SESSION_BUS_ADDRESS" "ADDRESS" false "With a desktop session, its Secret Service may keep the token.";
    SSH_CONNECTION = "SSH_CONNECTION" "ADDRESSES" false "Over SSH the desktop's Secret Service is left alone.";
    SSH_AUTH_SOCK = "SSH_AUTH_SOCK" "SOCKET" false "The SSH agent whose keys sign you in and sign your decisions.";
    XDG_STATE_HOME = "XDG_STATE_HOME" "DIR" false "Where it is remembered what was seen of brokers' logs; ~/.local/state when unset.";
    TERM = "TERM" "NAME" false "The kind of terminal.";
    COLORTERM = "COLORTERM" "truecolor" false "Whether the terminal has all colours; `doctor` tells.";
    LC_ALL = "LC_ALL" "LOCALE" false "The locale before all others: whether the terminal takes UTF-8.";
    LC_CTYPE = "LC_CTYPE" "LOCALE" false "The locale of characters, unless LC_ALL is set.";
    LANG = "LANG" "LOCALE" false "The locale, unless one of these two is set.";
    TMUX = "TMUX" "SOCKET" false "Inside tmux, copies are wrapped for it.";
}

/// The variables' values, read once at the start and handed on, so that tests need not change the
/// process. Empty counts as unset. `Debug` hides secrets.
#[derive(Clone, Default)]
pub struct Variables(BTreeMap<&'static str, String>);

impl Variables {
    /// What the process was started with. Values that are not UTF-8 count as unset.
    pub fn from_process() -> Self {
        Self(
            ALL.iter()
                .filter_map(|variable| Some((variable.name, std::env::var(variable.name).ok()?)))
                .filter(|(_, value)| !value.is_empty())
                .collect(),
        )
    }

    /// Exactly these; names outside the registry are left out.
    pub fn of<'a>(values: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        Self(
            values
                .into_iter()
                .filter(|(_, value)| !value.is_empty())
                .filter_map(|(name, value)| {
                    let variable = ALL.iter().find(|variable| variable.name == name)?;
                    Some((variable.name, value.to_owned()))
                })
                .collect(),
        )
    }

    /// The same with one of them set to another value.
    #[must_use]
    pub fn with(mut self, variable: Variable, value: &str) -> Self {
        self.0.insert(variable.name, value.to_owned());
        self
    }

    /// A variable's value, when it is set and not empty.
    pub fn get(&self, variable: Variable) -> Option<&str> {
        self.0.get(variable.name).map(String::as_str)
    }

    /// Whether a variable is set and not empty.
    pub fn has(&self, variable: Variable) -> bool {
        self.get(variable).is_some()
    }
}

impl std::fmt::Debug for Variables {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut map = f.debug_map();
        for variable in ALL {
            if let Some(value) = self.get(*variable) {
                map.entry(
                    &variable.name,
                    &if variable.secret { "[REDACTED]" } else { value },
                );
            }
        }
        map.finish()
    }
}

/// The registry as a Markdown table, for the documentation generator.
pub fn markdown() -> String {
    let mut table = String::from("| variable | value | meaning |\n| --- | --- | --- |\n");
    for variable in ALL {
        table.push_str(&format!(
            "| `{}` | {} | {} |\n",
            variable.name, variable.value, variable.help
        ));
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_variable_is_listed_once_with_help() {
        let mut names: Vec<_> = ALL.iter().map(|variable| variable.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), ALL.len());
        assert!(ALL.iter().all(|variable| variable.help.ends_with('.')));
        assert_eq!(markdown().lines().count(), ALL.len() + 2);
    }

    #[test]
    fn empty_is_unset_and_secrets_do_not_print() {
        let variables = Variables::of([
            ("COUNTERSIGN_TOKEN", "cs_secret"),
            ("NO_COLOR", ""),
            ("OTHER", "x"),
        ]);
        assert_eq!(variables.get(TOKEN), Some("cs_secret"));
        assert!(!variables.has(NO_COLOR));
        let shown = format!("{variables:?}");
        assert!(
            !shown.contains("cs_secret") && shown.contains("[REDACTED]"),
            "{shown}"
        );
    }
}
