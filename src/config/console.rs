//! The file that people keep: contexts, key bindings, looks. And which broker a command talks to.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::variables::{self, Variables};
use super::{ConfigError, parse_toml, read_optional, write_private};
use crate::event_log::checkpoint::VerifierKey;

/// `config.toml`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The context used when none is named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub current: Option<String>,
    /// `[contexts.NAME]`.
    pub contexts: BTreeMap<String, Context>,
    /// `[keys]`: command to key, in the console's own words; the console checks them.
    pub keys: BTreeMap<String, String>,
    /// `[ui]`.
    pub ui: UiConfig,
}

/// A named broker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Context {
    /// Where it listens: `https://…`, or `http://` on loopback.
    pub url: String,
    /// Which environment it serves, painted on every screen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<EnvironmentWord>,
    /// The environment's colour, when the usual one will not do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub colour: Option<Colour>,
    /// Trust only these certificates (PEM) for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
    /// The only key that may sign its log, `name+id+base64`, from a source other than the broker itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verifier_key: Option<String>,
    /// Refuse every change from here.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub read_only: bool,
}

/// The three environments.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EnvironmentWord {
    /// Nothing here matters.
    Development,
    /// Somebody is waiting.
    Staging,
    /// Customers are.
    Production,
}

impl EnvironmentWord {
    /// As the console paints it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Development => "development",
            Self::Staging => "staging",
            Self::Production => "production",
        }
    }
}

/// The terminal's own colours, by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "colours")]
pub enum Colour {
    Red,
    Yellow,
    Green,
    Blue,
    Magenta,
    Cyan,
    White,
    Grey,
}

/// How the console looks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct UiConfig {
    /// Colours.
    pub theme: Theme,
    /// Only ASCII on the screen.
    pub ascii: bool,
    /// How moments are shown at first; `t` cycles.
    pub time: TimeFormat,
    /// How the terminal is asked to show a desktop notification.
    pub notify: Notify,
}

/// The ways to ask a terminal for a desktop notification. Off, since a terminal that does not know one may print it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Notify {
    /// Only the bell and the window's title.
    #[default]
    Off,
    /// OSC 9, as iTerm2 and others.
    Osc9,
    /// OSC 777, as rxvt-unicode and others.
    Osc777,
}

/// The themes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Theme {
    /// The terminal's sixteen colours.
    #[default]
    Default,
    /// Blue and orange instead of green and red.
    ColourBlind,
    /// Only the strongest contrasts.
    HighContrast,
    /// No colour at all.
    Mono,
}

/// The ways to show a moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TimeFormat {
    /// `4m ago`.
    Ago,
    /// `03:12:07Z`.
    #[default]
    Utc,
    /// In the zone of this machine.
    Local,
}

/// The broker that a command or the console was pointed at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The context's name, or the URL's host when there is no context.
    pub name: String,
    /// What is known about it.
    pub context: Context,
}

impl Target {
    /// The colour to paint the environment with; `None` when nobody said which environment it is.
    pub fn colour(&self) -> Option<Colour> {
        self.context.colour.or(match self.context.environment? {
            EnvironmentWord::Production => Some(Colour::Red),
            EnvironmentWord::Staging => Some(Colour::Yellow),
            EnvironmentWord::Development => Some(Colour::Green),
        })
    }
}

impl Config {
    /// Where the file is: `COUNTERSIGN_CONFIG`, else `countersign/config.toml` under `XDG_CONFIG_HOME`
    /// or `~/.config`. A relative `XDG_CONFIG_HOME` is ignored, as its specification says.
    ///
    /// # Errors
    /// [`ConfigError::NoHome`].
    pub fn path(variables: &Variables) -> Result<PathBuf, ConfigError> {
        if let Some(path) = variables.get(variables::CONFIG) {
            return Ok(path.into());
        }
        let home = variables
            .get(variables::XDG_CONFIG_HOME)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
            .or_else(|| Some(Path::new(variables.get(variables::HOME)?).join(".config")))
            .ok_or(ConfigError::NoHome)?;
        Ok(home.join("countersign").join("config.toml"))
    }

    /// Reads the file; without one, the defaults.
    ///
    /// # Errors
    /// [`ConfigError`] with file and line.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        match read_optional(path)? {
            Some(text) => Self::parse(path, &text),
            None => Ok(Self::default()),
        }
    }

    /// Parses and checks a text; `path` is for messages.
    ///
    /// # Errors
    /// [`ConfigError`] with file and line.
    pub fn parse(path: &Path, text: &str) -> Result<Self, ConfigError> {
        let config: Self = parse_toml(path, text)?;
        if let Some(current) = &config.current {
            config.context(current)?;
        }
        for (name, context) in &config.contexts {
            let invalid = |key: &str, reason: String| ConfigError::Invalid {
                origin: format!("{}: contexts.{name}{key}", path.display()),
                reason,
            };
            check_name(name).map_err(|reason| invalid("", reason))?;
            reqwest::Url::parse(&context.url).map_err(|error| {
                invalid(
                    ".url",
                    format!("{error}; expected https://HOST[:PORT], or http:// on loopback"),
                )
            })?;
            if let Some(key) = &context.verifier_key {
                key.parse::<VerifierKey>()
                    .map_err(|error| invalid(".verifier_key", error.to_string()))?;
            }
        }
        Ok(config)
    }

    /// Writes the file in one step, readable by its owner only. Comments in the old one are lost.
    ///
    /// # Errors
    /// [`ConfigError::Write`]; the old file is as it was.
    pub fn save(&self, path: &Path) -> Result<(), ConfigError> {
        let text = toml::to_string_pretty(self).expect("configuration is plain data");
        write_private(path, text.as_bytes()).map_err(|source| ConfigError::Write {
            path: path.to_owned(),
            source,
        })
    }

    /// A context by name.
    ///
    /// # Errors
    /// [`ConfigError::UnknownContext`], naming those that exist.
    pub fn context(&self, name: &str) -> Result<&Context, ConfigError> {
        self.contexts
            .get(name)
            .ok_or_else(|| ConfigError::UnknownContext {
                name: name.to_owned(),
                known: if self.contexts.is_empty() {
                    "none yet".to_owned()
                } else {
                    let names: Vec<&str> = self.contexts.keys().map(String::as_str).collect();
                    names.join(", ")
                },
            })
    }

    /// Which broker to talk to. The first that is set wins: the named context (`--context`),
    /// `COUNTERSIGN_URL`, `COUNTERSIGN_CONTEXT`, the file's `current`, the only context there is.
    ///
    /// # Errors
    /// [`ConfigError::UnknownContext`] or [`ConfigError::NoContext`].
    pub fn target(
        &self,
        named: Option<&str>,
        variables: &Variables,
    ) -> Result<Target, ConfigError> {
        let named_target = |name: &str| {
            Ok(Target {
                name: name.to_owned(),
                context: self.context(name)?.clone(),
            })
        };
        if let Some(name) = named {
            return named_target(name);
        }
        if let Some(url) = variables.get(variables::URL) {
            let host = reqwest::Url::parse(url)
                .map_err(|error| ConfigError::Invalid {
                    origin: variables::URL.name.to_owned(),
                    reason: format!(
                        "{error}; expected https://HOST[:PORT], or http:// on loopback"
                    ),
                })?
                .host_str()
                .unwrap_or("broker")
                .to_owned();
            return Ok(Target {
                name: host,
                context: Context {
                    url: url.to_owned(),
                    environment: None,
                    colour: None,
                    ca_file: variables.get(variables::CA_FILE).map(PathBuf::from),
                    verifier_key: None,
                    read_only: false,
                },
            });
        }
        let only = || match self.contexts.len() {
            1 => self.contexts.keys().next().map(String::as_str),
            _ => None,
        };
        variables
            .get(variables::CONTEXT)
            .or(self.current.as_deref())
            .or_else(only)
            .map_or(Err(ConfigError::NoContext), named_target)
    }
}

/// Names go into prompts, file names and keyring descriptions.
fn check_name(name: &str) -> Result<(), String> {
    let fine = !name.is_empty()
        && name.len() <= 64
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'));
    if fine {
        Ok(())
    } else {
        Err("not a name; expected 1 to 64 letters, digits, -, _ and .".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = r#"
current = "prod"

[contexts.prod]
url = "https://broker.example:7878"
environment = "production"
ca_file = "/etc/countersign/ca.pem"

[contexts.dev]
url = "http://127.0.0.1:7878"
environment = "development"
colour = "cyan"
read_only = true

[keys]
"approval.approve" = "ctrl-y"

[ui]
theme = "colour-blind"
time = "ago"
"#;

    fn parse(text: &str) -> Result<Config, ConfigError> {
        Config::parse(Path::new("config.toml"), text)
    }

    #[test]
    fn a_file_survives_being_saved() {
        let config = parse(FILE).unwrap();
        assert_eq!(config.ui.theme, Theme::ColourBlind);
        assert_eq!(config.keys["approval.approve"], "ctrl-y");
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("countersign/config.toml");
        assert_eq!(
            Config::load(&path).unwrap(),
            Config::default(),
            "no file yet"
        );
        config.save(&path).unwrap();
        assert_eq!(Config::load(&path).unwrap(), config);
    }

    #[test]
    fn the_target_follows_flag_url_variable_and_file() {
        let config = parse(FILE).unwrap();
        let none = Variables::default();
        assert_eq!(config.target(None, &none).unwrap().name, "prod");
        assert_eq!(
            config.target(None, &none).unwrap().colour(),
            Some(Colour::Red)
        );
        let by_name = Variables::of([("COUNTERSIGN_CONTEXT", "dev")]);
        assert_eq!(
            config.target(None, &by_name).unwrap().colour(),
            Some(Colour::Cyan)
        );
        let by_url = Variables::of([
            ("COUNTERSIGN_CONTEXT", "dev"),
            ("COUNTERSIGN_URL", "https://other.example:1"),
            ("COUNTERSIGN_CA_FILE", "ca.pem"),
        ]);
        let target = config.target(None, &by_url).unwrap();
        assert_eq!(
            (target.name.as_str(), target.colour()),
            ("other.example", None)
        );
        assert_eq!(target.context.ca_file, Some("ca.pem".into()));
        assert_eq!(config.target(Some("dev"), &by_url).unwrap().name, "dev");
        let error = config.target(Some("stage"), &none).unwrap_err().to_string();
        assert_eq!(error, "no context called \"stage\"; known are dev, prod");
        assert!(matches!(
            Config::default().target(None, &none),
            Err(ConfigError::NoContext)
        ));
        let only = parse("[contexts.one]\nurl = \"https://a\"\n").unwrap();
        assert_eq!(only.target(None, &none).unwrap().name, "one");
        let bad = Variables::of([("COUNTERSIGN_URL", "nonsense")]);
        let error = config.target(None, &bad).unwrap_err().to_string();
        assert!(error.starts_with("COUNTERSIGN_URL: "), "{error}");
    }

    #[test]
    fn what_is_wrong_is_said_with_its_line_and_what_is_accepted() {
        for (text, expected) in [
            (
                "[ui]\ntheme = \"pink\"\n",
                "config.toml:2:9: unknown variant `pink`, expected one of `default`, `colour-blind`, `high-contrast`, `mono`",
            ),
            (
                "[contexts.a]\nurl = \"https://a\"\nenvironment = \"prod\"\n",
                "config.toml:3:15: unknown variant `prod`, expected one of `development`, `staging`, `production`",
            ),
            (
                "[contexts.a]\nurl = \"https://a\"\ncolor = \"red\"\n",
                "config.toml:3:1: unknown field `color`, expected one of `url`, `environment`, `colour`",
            ),
            (
                "[contexts.a]\nread_only = true\n",
                "config.toml:1:1: missing field `url`",
            ),
            (
                "\n[keys]\nquit = 3\n",
                "config.toml:3:8: invalid type: integer `3`, expected a string",
            ),
            (
                "[contexts.a]\nurl = \"a b\"\n",
                "config.toml: contexts.a.url: relative URL without a base; expected https://",
            ),
            (
                "[contexts.\"a b\"]\nurl = \"https://a\"\n",
                "config.toml: contexts.a b: not a name",
            ),
            (
                "[contexts.a]\nurl = \"https://a\"\nverifier_key = \"abc\"\n",
                "config.toml: contexts.a.verifier_key: ",
            ),
            (
                "current = \"b\"\n[contexts.a]\nurl = \"https://a\"\n",
                "no context called \"b\"; known are a",
            ),
            ("x = = 1", "config.toml:1:"),
        ] {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.starts_with(expected), "{error}");
        }
    }

    #[test]
    fn the_path_follows_the_variables() {
        let path = |values: &[(&str, &str)]| {
            Config::path(&Variables::of(values.iter().copied()))
                .map(|path| path.display().to_string())
        };
        assert_eq!(
            path(&[("HOME", "/home/maya")]).unwrap(),
            "/home/maya/.config/countersign/config.toml"
        );
        assert_eq!(
            path(&[("HOME", "/home/maya"), ("XDG_CONFIG_HOME", "relative")]).unwrap(),
            "/home/maya/.config/countersign/config.toml"
        );
        assert_eq!(
            path(&[("XDG_CONFIG_HOME", "/x")]).unwrap(),
            "/x/countersign/config.toml"
        );
        assert_eq!(path(&[("COUNTERSIGN_CONFIG", "c.toml")]).unwrap(), "c.toml");
        assert!(matches!(path(&[]), Err(ConfigError::NoHome)));
    }
}
