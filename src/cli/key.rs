//! `operator key`: the SSH keys that people sign in and decide with.

use std::io::Read as _;
use std::path::PathBuf;

use clap::{Args, Subcommand, ValueHint};

use super::app::{App, settled};
use super::args::ChangeArgs;
use super::error::CliError;
use super::operator::Who;
use super::output;
use crate::client::ListQuery;
use crate::ssh::PublicKey;
use crate::wire::{KeyName, NewKey, OperatorRow, RemoveKey};

/// The longest line of a public key that is read, in bytes.
const LINE_BYTES: u64 = 16 * 1024;

/// Verbs of `operator key`.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// The keys of an account, and from when each counts
    List(Who),
    /// Enrol a public key
    ///
    /// For somebody with a role in production it counts once another admin has countersigned it.
    ///
    /// For example: countersign operator key add maya.k ~/.ssh/id_ed25519.pub
    Add(Add),
    /// Countersign a key that another admin has enrolled
    Countersign(Named),
    /// Take a key out of use at once: its sessions end, and its approvals of what is not issued yet no longer count
    Remove(Named),
}

/// Arguments of `operator key add`.
#[derive(Debug, Args)]
pub struct Add {
    #[command(flatten)]
    who: Who,
    /// The file with the public key, or - for standard input
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    file: PathBuf,
    #[command(flatten)]
    change: ChangeArgs,
}

/// A key of an account.
#[derive(Debug, Args)]
pub struct Named {
    #[command(flatten)]
    who: Who,
    /// The key's fingerprint, as `ssh-keygen -l` prints it
    #[arg(value_name = "SHA256:…")]
    fingerprint: String,
    #[command(flatten)]
    change: ChangeArgs,
}

/// Runs a verb.
///
/// # Errors
/// Why it was not done.
pub async fn run(app: &mut App<'_>, verb: &Verb) -> Result<(), CliError> {
    match verb {
        Verb::List(who) => list(app, who).await,
        Verb::Add(args) => add(app, args).await,
        Verb::Countersign(args) => countersign(app, args).await,
        Verb::Remove(args) => remove(app, args).await,
    }
}

async fn list(app: &mut App<'_>, who: &Who) -> Result<(), CliError> {
    let client = app.connect().await?;
    let found = app.operator(&client, &who.operator).await?;
    let mut query = ListQuery::default();
    let row = loop {
        let page = client.operators(&query).await;
        let page = page.map_err(CliError::call("list operators"))?.value;
        if let Some(row) = page.items.into_iter().find(|row| row.id == found.id) {
            break row;
        }
        query.cursor = Some(page.next.ok_or(CliError::NotFound {
            what: "operator",
            name: who.operator.clone(),
        })?);
    };
    let style = app.style();
    output::one(&mut *app.io.out, style, &row.keys, &row, |style| {
        sheet(&row, style)
    })?;
    Ok(())
}

fn sheet(row: &OperatorRow, style: &output::Style) -> String {
    let mut sheet = output::Sheet::default();
    if row.keys.is_empty() {
        sheet.line(&format!("{} has no key", row.name));
    }
    for key in &row.keys {
        let counts = match (key.valid_from, &key.countersigned_by) {
            (None, _) => "waits for another admin".to_owned(),
            (Some(from), Some(by)) => {
                format!("counts from {}, countersigned by {by}", style.full(from))
            }
            (Some(from), None) => format!("counts from {}", style.full(from)),
        };
        let kind = key.public_key.split(' ').next().unwrap_or_default();
        sheet.line(&format!("{}  {kind}  {counts}", key.fingerprint));
    }
    sheet.finish()
}

async fn add(app: &mut App<'_>, args: &Add) -> Result<(), CliError> {
    let mut text = String::new();
    if args.file.as_os_str() == "-" {
        let mut input = (&mut *app.io.input).take(LINE_BYTES);
        let read = input.read_to_string(&mut text);
        read.map_err(CliError::files("read the key from standard input"))?;
    } else {
        let file = std::fs::File::open(&args.file);
        let read = file.and_then(|file| file.take(LINE_BYTES).read_to_string(&mut text));
        read.map_err(CliError::files(format!("read {}", args.file.display())))?;
    }
    // Refused here already: a private key must not travel because somebody left out the ending.
    let key = PublicKey::from_line(&text).map_err(|error| CliError::Usage(error.to_string()))?;
    let client = app.connect_to_change().await?;
    let found = app.operator(&client, &args.who.operator).await?;
    let (id, once) = (found.id, App::once(&args.change));
    let body = NewKey {
        public_key: key.line(),
    };
    if args.change.dry_run {
        return app.would_send(&format!("/v1/operators/{id}/keys"), &body, &once);
    }
    let fingerprint = key.fingerprint();
    let doing = format!("enrol {fingerprint} for {}", found.name);
    let receipt = settled(client.add_key(id, &body, &once).await, doing, &once)?.value;
    app.receipt(
        &format!("Enrolled {fingerprint} for {}", found.name),
        &receipt,
    )
}

async fn countersign(app: &mut App<'_>, args: &Named) -> Result<(), CliError> {
    let client = app.connect_to_change().await?;
    let found = app.operator(&client, &args.who.operator).await?;
    let (id, once) = (found.id, App::once(&args.change));
    let body = KeyName {
        fingerprint: args.fingerprint.clone(),
    };
    if args.change.dry_run {
        let path = format!("/v1/operators/{id}/keys/countersign");
        return app.would_send(&path, &body, &once);
    }
    let doing = format!("countersign {} of {}", args.fingerprint, found.name);
    let outcome = client.countersign_key(id, &body, &once).await;
    let receipt = settled(outcome, doing, &once)?.value;
    let done = format!("Countersigned {} of {}", args.fingerprint, found.name);
    app.receipt(&done, &receipt)
}

async fn remove(app: &mut App<'_>, args: &Named) -> Result<(), CliError> {
    let client = app.connect_to_change().await?;
    let found = app.operator(&client, &args.who.operator).await?;
    let (id, once) = (found.id, App::once(&args.change));
    let body = RemoveKey {
        fingerprint: args.fingerprint.clone(),
        reason: app.reason(&args.change)?,
    };
    if args.change.dry_run {
        let path = format!("/v1/operators/{id}/keys/remove");
        return app.would_send(&path, &body, &once);
    }
    let effect = format!("{} signs in with it no more, at once", found.name);
    app.confirm(&args.change, &effect, &found.name)?;
    let doing = format!("remove {} of {}", args.fingerprint, found.name);
    let outcome = client.remove_key(id, &body, &once).await;
    let receipt = settled(outcome, doing, &once)?.value;
    let done = format!("Removed {} of {}", args.fingerprint, found.name);
    app.receipt(&done, &receipt)
}
