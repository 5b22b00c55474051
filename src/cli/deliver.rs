//! Where a secret goes: a private file, or standard output where that is not a screen. The place is
//! opened before the secret is asked for, because it is handed out once.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use clap::{Args, ValueHint};
use serde::Serialize;
use zeroize::Zeroizing;

use super::args::Format;
use super::error::CliError;
use super::io::Io;
use super::output::write_json;

/// Where to put a secret.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Where the secret goes")]
pub struct DeliverArgs {
    /// Write the secret to this new file, readable by you only (mode 0600)
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, conflicts_with = "show")]
    pub out: Option<PathBuf>,
    /// Print the secret, even on a terminal
    #[arg(long)]
    pub show: bool,
    /// Only this part of the secret, such as token, username or password
    #[arg(long, value_name = "NAME")]
    pub field: Option<String>,
}

/// An open place for a secret.
#[derive(Debug)]
pub enum Destination {
    /// A new, private, empty file.
    File(PathBuf, std::fs::File),
    /// Standard output.
    Output,
}

/// What is delivered.
pub struct Delivered<'a, T> {
    /// The whole answer, for `-o json`.
    pub document: &'a T,
    /// The secret's parts.
    pub fields: &'a BTreeMap<String, String>,
}

impl Destination {
    /// Makes sure that the secret can go where it was asked for.
    ///
    /// # Errors
    /// [`CliError::Usage`] when it would land on a screen, [`CliError::Files`] when the file cannot be
    /// made or is there already.
    pub fn open(args: &DeliverArgs, io: &Io) -> Result<Self, CliError> {
        match &args.out {
            Some(path) => Ok(Self::File(path.clone(), create(path)?)),
            None if args.show || !io.terminal.stdout => Ok(Self::Output),
            None => Err(CliError::Usage(
                "the secret would be printed on this terminal: pass --out FILE, or --show if that is meant"
                    .to_owned(),
            )),
        }
    }

    /// Leaves nothing behind.
    pub fn discard(self) {
        if let Self::File(path, _) = self {
            // The file is empty and ours; if it stays, it says nothing.
            let _ = std::fs::remove_file(path);
        }
    }

    /// Writes the secret and says where it is. With one part, the bare value; with several, a line
    /// each; with `-o json`, the whole answer.
    ///
    /// # Errors
    /// [`CliError::Files`]; the secret is lost then, and the message says so.
    pub fn put<T: Serialize>(
        self,
        args: &DeliverArgs,
        format: Format,
        io: &mut Io,
        delivered: &Delivered<'_, T>,
    ) -> Result<String, CliError> {
        let mut text = Zeroizing::new(Vec::new());
        // A part that is not there must not lose the others: they come once.
        let part = args.field.as_ref().map(|name| delivered.fields.get(name));
        let missing = match part {
            Some(None) => " It has no part of that name, so all of it was written.",
            _ => "",
        };
        match (part.flatten(), format) {
            (Some(value), _) => writeln!(text, "{value}")?,
            (None, Format::Json | Format::Ndjson) => {
                write_json(&mut *text, delivered.document, format == Format::Json)?;
                text.push(b'\n');
            }
            (None, _) if delivered.fields.len() == 1 => {
                for value in delivered.fields.values() {
                    writeln!(text, "{value}")?;
                }
            }
            (None, _) => {
                for (name, value) in delivered.fields {
                    writeln!(text, "{name}={value}")?;
                }
            }
        }
        match self {
            Self::File(path, mut file) => {
                let written = file.write_all(&text).and_then(|()| file.sync_all());
                let doing = format!(
                    "write {}; the secret is spent: revoke it and ask again",
                    path.display()
                );
                written.map_err(CliError::files(doing))?;
                Ok(format!(
                    "The secret is in {}, readable by you only.{missing}",
                    path.display()
                ))
            }
            Self::Output => {
                io.out.write_all(&text)?;
                io.out.flush()?;
                Ok(format!("The secret is shown once.{missing}"))
            }
        }
    }
}

fn create(path: &Path) -> Result<std::fs::File, CliError> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let doing = format!("make the new file {}", path.display());
    options.open(path).map_err(CliError::files(doing))
}
