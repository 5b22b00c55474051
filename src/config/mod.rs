//! Contexts, files, environment variables and their defaults.
//!
//! `variables` is the one registry of environment variables; `console` is the file that people keep
//! (`config.toml`); `broker` is what `serve --config` reads. Nothing here holds a secret.

pub mod broker;
pub mod console;
pub mod tokens;
pub mod variables;
pub mod webhook;

use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;

pub use broker::{BrokerConfig, Limits};
pub use console::{
    Colour, Config, Context, EnvironmentWord, Notify, Target, Theme, TimeFormat, UiConfig,
};
pub use tokens::TokensConfig;
pub use variables::Variables;
pub use webhook::WebhookConfig;

/// What can be wrong with configuration. Every message says where, and what would be accepted.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file is there and cannot be read.
    #[error("cannot read {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The file could not be written; the old one is as it was.
    #[error("cannot write {path}")]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The file is not what it should be.
    #[error("{path}:{line}:{column}: {reason}")]
    Parse {
        /// The file.
        path: PathBuf,
        /// From 1.
        line: usize,
        /// From 1, in characters.
        column: usize,
        /// What is wrong, and what is accepted.
        reason: String,
    },
    /// A value that parses and makes no sense.
    #[error("{origin}: {reason}")]
    Invalid {
        /// The file and key, or the environment variable.
        origin: String,
        /// What is wrong, and what is accepted.
        reason: String,
    },
    /// No such context.
    #[error("no context called {name:?}; known are {known}")]
    UnknownContext {
        /// What was asked for.
        name: String,
        /// What there is.
        known: String,
    },
    /// Nothing says which broker to talk to.
    #[error(
        "no broker is configured: set COUNTERSIGN_URL, or add one with `countersign context add NAME --url URL`"
    )]
    NoContext,
    /// Neither `XDG_CONFIG_HOME` nor `HOME` is set.
    #[error(
        "cannot tell where the configuration lives: set HOME, XDG_CONFIG_HOME or COUNTERSIGN_CONFIG"
    )]
    NoHome,
}

/// Where it is remembered what was seen of the log of the broker that a context names: by name alone, so that another
/// address under the same name does not escape it. `$XDG_STATE_HOME`, else `~/.local/state`.
pub fn state_folder(variables: &Variables, context: &str) -> Option<PathBuf> {
    let absolute = |variable| {
        let path = PathBuf::from(variables.get(variable)?);
        path.is_absolute().then_some(path)
    };
    let base = absolute(variables::XDG_STATE_HOME)
        .or_else(|| Some(absolute(variables::HOME)?.join(".local/state")))?;
    let safe = |c: char| {
        if c.is_ascii_alphanumeric() || c == '-' {
            c
        } else {
            '_'
        }
    };
    let name: String = context.chars().map(safe).take(64).collect();
    Some(base.join("countersign").join(name))
}

/// Parses TOML, turning the parser's byte span into a line that an editor understands.
///
/// # Errors
/// [`ConfigError::Parse`]; serde's words already list the accepted fields and values.
pub fn parse_toml<T: DeserializeOwned>(path: &Path, text: &str) -> Result<T, ConfigError> {
    toml::from_str(text).map_err(|error| {
        let at = error.span().map_or(0, |span| span.start.min(text.len()));
        let before = text.get(..at).unwrap_or("");
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        ConfigError::Parse {
            path: path.to_owned(),
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
            reason: error.message().trim().replace('\n', "; "),
        }
    })
}

/// Reads a whole text file; `None` when there is none.
pub(crate) fn read_optional(path: &Path) -> Result<Option<String>, ConfigError> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(ConfigError::Read {
            path: path.to_owned(),
            source,
        }),
    }
}

/// Replaces a file in one step, readable by its owner only; missing folders are made with mode 0700.
/// After a crash there is the old file or the new one, never half of either.
///
/// # Errors
/// Any [`std::io::Error`] on the way; the temporary file is gone and the old file as it was.
pub fn write_private(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    use std::io::Write;
    // Somebody's dotfiles may be links into a repository: replace what the link points at.
    let path = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
        _ => PathBuf::from("."),
    };
    make_private_folder(&folder)?;
    let temporary = folder.join(format!(
        ".{}.{}",
        path.file_name().unwrap_or_default().to_string_lossy(),
        uuid::Uuid::now_v7().simple()
    ));
    let written = (|| {
        let mut file = private_options().open(&temporary)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        std::fs::rename(&temporary, &path)?;
        std::fs::File::open(&folder)?.sync_all()
    })();
    if written.is_err() {
        let _ = std::fs::remove_file(&temporary);
    }
    written
}

fn private_options() -> std::fs::OpenOptions {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

fn make_private_folder(folder: &Path) -> std::io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(unix)]
    fn a_private_file_is_private_and_replaced_in_one_step() {
        use std::os::unix::fs::PermissionsExt;
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("a/b/config.toml");
        write_private(&path, b"one").unwrap();
        write_private(&path, b"two").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"two");
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&path), 0o600);
        assert_eq!(mode(path.parent().unwrap()), 0o700);
        let names: Vec<_> = std::fs::read_dir(path.parent().unwrap()).unwrap().collect();
        assert_eq!(names.len(), 1, "no temporary file is left");

        let link = home.path().join("link.toml");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        write_private(&link, b"three").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"three");
        assert!(std::fs::symlink_metadata(&link).unwrap().is_symlink());
    }
}
