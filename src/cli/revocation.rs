//! `revocation`: what was withdrawn, and how far that has come; the registry and its export.

use std::io::BufReader;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand, ValueHint};

use super::app::App;
use super::args::{Format, ListArgs};
use super::error::CliError;
use super::registry::{self, Checked};
use super::{audit, output, review};
use crate::event_log::checkpoint::VerifierKey;
use crate::wire::RevocationId;
use crate::wire::revocation::RegistryHeader;

/// Verbs of `revocation`.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// The registry of revocations
    ///
    /// For example: countersign revocation list --client orders-api --since 918204 --sort since
    List {
        #[command(flatten)]
        part: Part,
        #[command(flatten)]
        list: ListArgs,
    },
    /// One revocation: from when it holds here, at the issuer, and at each gateway
    Show {
        /// The revocation's identifier
        #[arg(value_name = "REVOCATION")]
        revocation: RevocationId,
    },
    /// Write a part of the registry that proves itself: each record, and that it is in the signed log
    ///
    /// What is written is verified on the way. It proves that each revocation was recorded, not that there
    /// are no others: for that the whole log is needed (`audit export`).
    Export {
        /// The new file to write to
        #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
        file: PathBuf,
        #[command(flatten)]
        part: Part,
        /// The log's verifier key, from a source that you trust; the context's without it, else the broker's
        /// own word
        #[arg(long, value_name = "KEY")]
        vkey: Option<VerifierKey>,
    },
    /// Check an export of the registry, without asking anybody
    Verify {
        /// What `revocation export` wrote
        #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
        file: PathBuf,
        /// The log's verifier key, from a source that you trust: name+id+base64
        #[arg(long, value_name = "KEY")]
        vkey: VerifierKey,
    },
}

/// What part of the registry.
#[derive(Debug, Args)]
pub struct Part {
    /// Only of what this client uses, by name or identifier
    #[arg(long, value_name = "CLIENT")]
    client: Option<String>,
    /// Only what took effect after this sequence
    #[arg(long, value_name = "SEQUENCE")]
    since: Option<u64>,
}

/// Runs a verb.
///
/// # Errors
/// Why it was not done.
pub async fn run(app: &mut App<'_>, verb: &Verb) -> Result<(), CliError> {
    match verb {
        Verb::List { part, list } => {
            let client = app.connect().await?;
            app.list(list, async |query| {
                let page = client.registry(part.client.as_deref(), part.since, &query);
                page.await.map_err(CliError::call("list revocations"))
            })
            .await
        }
        Verb::Show { revocation } => {
            let client = app.connect().await?;
            let row = client.revocation(*revocation).await;
            let detail = row
                .map_err(CliError::call(format!("show revocation {revocation}")))?
                .value;
            let style = app.style();
            output::one(&mut *app.io.out, style, &detail, &detail.row, |style| {
                review::revocation(&detail, style)
            })?;
            Ok(())
        }
        Verb::Export { file, part, vkey } => export(app, file, part, vkey.as_ref()).await,
        Verb::Verify { file, vkey } => {
            let failed = || CliError::files(format!("read {}", file.display()));
            let opened = std::fs::File::open(file).map_err(failed())?;
            let checked = registry::check(vkey, BufReader::new(opened));
            let refuted = |why| CliError::Unverified(format!("{}: {why}", file.display()));
            report(app, &checked.map_err(refuted)?)
        }
    }
}

async fn export(
    app: &mut App<'_>,
    file: &Path,
    part: &Part,
    vkey: Option<&VerifierKey>,
) -> Result<(), CliError> {
    let client = app.connect().await?;
    let (key, _) = audit::trusted_key(app, &client, vkey).await?;
    let doing = || CliError::call("export the registry");
    let mut since = part.since;
    let mut whole = Vec::new();
    loop {
        let bytes = client.registry_export(part.client.as_deref(), since).await;
        let bytes = bytes.map_err(doing())?;
        whole.extend_from_slice(&bytes);
        let first = bytes
            .split(|byte| *byte == b'\n')
            .next()
            .unwrap_or_default();
        let header: RegistryHeader = serde_json::from_slice(first)
            .map_err(|error| CliError::Unverified(format!("the export's first line: {error}")))?;
        // A broker that says that there is more and goes no further is not asked for ever.
        if !header.more || since.is_some_and(|since| header.through <= since) {
            break;
        }
        since = Some(header.through);
    }
    let checked = registry::check(&key, whole.as_slice()).map_err(CliError::Unverified)?;
    let failed = || CliError::files(format!("write the new file {}", file.display()));
    let mut out = std::fs::File::create_new(file).map_err(failed())?;
    std::io::Write::write_all(&mut out, &whole).map_err(failed())?;
    out.sync_all().map_err(failed())?;
    report(app, &checked)
}

fn report(app: &mut App<'_>, checked: &Checked) -> Result<(), CliError> {
    if app.global.output == Format::Table {
        let of = match &checked.client {
            Some(client) => format!(" of {client}"),
            None => String::new(),
        };
        let words = format!(
            "Proven: {} revocations{of} after #{} up to #{}, each in the signed log of {} records\n",
            checked.revocations, checked.since, checked.through, checked.size
        );
        app.io.out.write_all(words.as_bytes())?;
    } else {
        output::write_json(&mut *app.io.out, checked, app.global.output == Format::Json)?;
        app.io.out.write_all(b"\n")?;
    }
    Ok(())
}
