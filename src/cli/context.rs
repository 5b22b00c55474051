//! `context`: brokers by name, kept in the configuration file.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde::Serialize;

use super::app::App;
use super::error::CliError;
use super::output::{List, Row, Style};
use crate::client::chain::Keep;
use crate::client::{Client, TransportOptions};
use crate::config::{Config, Context, state_folder};
use crate::display::table::Align::{self, Left};
use crate::event_log::checkpoint::VerifierKey;
use crate::wire::Environment;

/// Verbs of `context`.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// The contexts; the current one is marked
    List,
    /// Make a context the current one
    Use {
        /// The context
        #[arg(value_name = "NAME")]
        name: String,
    },
    /// Add a context, or replace the one of this name
    Add(Add),
    /// Forget the log key that was trusted at first contact, and the last checkpoint seen
    ///
    /// For when a key was given with --verifier-key since, or the broker's log was begun anew, and you know that that
    /// is right: until then the console and signing refuse a log that another key has signed. What is forgotten is
    /// moved aside, not deleted.
    ForgetKey {
        /// The context
        #[arg(value_name = "NAME")]
        name: String,
        /// Trust whichever key the broker offers next, where the context names none
        #[arg(long)]
        on_trust: bool,
    },
    /// Remove a context; a kept login is forgotten by `logout`
    Remove {
        /// The context
        #[arg(value_name = "NAME")]
        name: String,
    },
}

/// Arguments of `context add`. The address is the common option `--url`, and `--ca-file` goes with it.
#[derive(Debug, Args)]
pub struct Add {
    /// 1 to 64 letters, digits, -, _ and .
    #[arg(value_name = "NAME")]
    name: String,
    /// The environment that it serves, painted on every screen: development, staging or production
    #[arg(long, value_name = "ENVIRONMENT")]
    env: Option<Environment>,
    /// The only key that may sign its log: name+id+base64, as `serve` prints it, from a source that you
    /// trust. The console and `audit verify` refuse a log that another key has signed
    #[arg(long, value_name = "KEY")]
    verifier_key: Option<VerifierKey>,
    /// Refuse every change from here
    #[arg(long)]
    read_only: bool,
    /// Make it the current one; the first always is
    #[arg(long)]
    r#use: bool,
    /// Replace a context of this name
    #[arg(long)]
    replace: bool,
}

/// One line of `context list`.
#[derive(Debug, Serialize)]
struct ContextRow {
    current: bool,
    name: String,
    url: String,
    environment: Option<&'static str>,
    read_only: bool,
    ca_file: Option<PathBuf>,
    verifier_key: Option<String>,
}

impl Row for ContextRow {
    const COLUMNS: &'static [(&'static str, Align)] = &[
        ("CURRENT", Left),
        ("NAME", Left),
        ("ENVIRONMENT", Left),
        ("URL", Left),
        ("CHANGES", Left),
    ];

    fn cells(&self, _: &Style) -> Vec<String> {
        vec![
            if self.current { "*" } else { "" }.to_owned(),
            self.name.clone(),
            self.environment.unwrap_or_default().to_owned(),
            self.url.clone(),
            if self.read_only { "refused" } else { "allowed" }.to_owned(),
        ]
    }
}

/// Runs a verb.
///
/// # Errors
/// Why it was not done.
pub fn run(app: &mut App<'_>, verb: &Verb) -> Result<(), CliError> {
    let path = Config::path(&app.io.variables)?;
    let mut config = Config::load(&path)?;
    match verb {
        Verb::List => list(app, &config),
        Verb::Use { name } => {
            config.context(name)?;
            config.current = Some(name.clone());
            config.save(&path)?;
            app.say(&format!("The current context is {name}"))
        }
        Verb::Add(add) => {
            let context = context(app, add)?;
            if config.contexts.contains_key(&add.name) && !add.replace {
                return Err(CliError::Usage(format!(
                    "there is a context {:?} already; --replace replaces it",
                    add.name
                )));
            }
            config.contexts.insert(add.name.clone(), context);
            if add.r#use || config.contexts.len() == 1 {
                config.current = Some(add.name.clone());
            }
            // Read it back before it is written: what is saved must load.
            let text = toml::to_string(&config).expect("configuration is plain data");
            Config::parse(&path, &text)?;
            config.save(&path)?;
            app.say(&format!("Added {} to {}", add.name, path.display()))
        }
        Verb::ForgetKey { name, on_trust } => {
            let context = config.context(name)?;
            if context.verifier_key.is_none() && !on_trust {
                return Err(CliError::Usage(format!(
                    "{name} names no key, so whichever the broker offers next would be trusted: give it one (context add --replace --verifier-key), or pass --on-trust"
                )));
            }
            let keep = state_folder(&app.io.variables, name).map(Keep::new);
            let forgotten = match keep {
                Some(keep) => keep
                    .forget_trust()
                    .map_err(|error| CliError::Unverified(error.to_string()))?,
                None => None,
            };
            app.say(&match forgotten {
                Some(place) => format!("Forgotten; what was kept lies in {place}"),
                None => format!("Nothing was kept of {name}"),
            })
        }
        Verb::Remove { name } => {
            config.context(name)?;
            config.contexts.remove(name);
            if config.current.as_ref() == Some(name) {
                config.current = None;
            }
            config.save(&path)?;
            app.say(&format!("Removed {name}"))
        }
    }
}

fn list(app: &mut App<'_>, config: &Config) -> Result<(), CliError> {
    let style = app.style();
    let mut list = List::begin::<ContextRow>(&mut *app.io.out, style)?;
    for (name, context) in &config.contexts {
        list.row(&ContextRow {
            current: config.current.as_ref() == Some(name),
            name: name.clone(),
            url: context.url.clone(),
            environment: context.environment.map(|environment| environment.word()),
            read_only: context.read_only,
            ca_file: context.ca_file.clone(),
            verifier_key: context.verifier_key.clone(),
        })?;
    }
    Ok(list.end()?)
}

fn context(app: &App<'_>, add: &Add) -> Result<Context, CliError> {
    let url = app.global.url.clone().ok_or_else(|| {
        CliError::Usage(
            "context add needs --url https://HOST[:PORT], or http:// on loopback".to_owned(),
        )
    })?;
    let ca_file = match &app.global.ca_file {
        // The configuration is read from anywhere.
        Some(path) => Some(
            std::path::absolute(path)
                .map_err(CliError::files(format!("find {}", path.display())))?,
        ),
        None => None,
    };
    // The transport's own rules decide what an address is.
    let options = TransportOptions {
        ca_file: ca_file.clone(),
        ..TransportOptions::new(&url)
    };
    Client::new(options).map_err(CliError::call("use this address"))?;
    Ok(Context {
        url,
        environment: add.env.map(word),
        colour: None,
        ca_file,
        verifier_key: add.verifier_key.as_ref().map(ToString::to_string),
        read_only: add.read_only,
    })
}

fn word(environment: Environment) -> crate::config::EnvironmentWord {
    use crate::config::EnvironmentWord;
    match environment {
        Environment::Development => EnvironmentWord::Development,
        Environment::Staging => EnvironmentWord::Staging,
        Environment::Production => EnvironmentWord::Production,
    }
}
