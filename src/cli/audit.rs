//! `audit`: the transparency log, searched, verified and handed to an auditor.
//!
//! Verifying hashes every leaf here and believes the broker nothing but what its key has signed.

use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use clap::{Args, Subcommand, ValueHint};
use serde::Serialize;

use super::app::App;
use super::approval;
use super::args::{Format, ListArgs};
use super::error::CliError;
use super::output::write_json;
use crate::client::{Client, ClientError, LogEntry, LogProof};
use crate::event_log::checkpoint::{Checkpoint, VerifierKey};
use crate::event_log::verify::{Verdict, Verifier};

/// Leaves asked for at once.
const ENTRIES_AT_ONCE: u64 = 4096;
/// The longest line of an entries file, in bytes.
const LINE_BYTES: usize = 16 * 1024 * 1024;

/// Verbs of `audit`.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Search the log, newest first
    ///
    /// For example: countersign audit list --filter 'type:request.approved by:maya.k'
    List(Search),
    /// Hash every leaf of the log here, and compare with what the broker's key has signed
    ///
    /// Without --entries the log is read from the broker. With --entries and --checkpoint nothing is
    /// asked of anybody: an export is checked as it is. Exit code 1 if anything does not fit.
    Verify(Verify),
    /// Write the log to a folder for an auditor: leaves, signed checkpoint, proofs, key
    ///
    /// It writes entries.ndjson, checkpoint.txt, proofs.ndjson and verifier-key.txt into a new folder.
    /// What is written is verified on the way.
    Export(Export),
    /// One approval: what was signed, by which key, and how to check it with stock OpenSSH
    ///
    /// With --export it writes statement.json, statement.json.sig, allowed_signers and leaf.tlog-proof into a new
    /// folder; `ssh-keygen -Y verify` needs the first three, and nothing of ours.
    Approval(approval::Approval),
    /// One denial of a request or a proposed policy, if it was signed: the same files as of an approval
    Denial(approval::Denial),
}

/// Arguments of `audit list`.
#[derive(Debug, Args)]
pub struct Search {
    /// Only what matches, in the same language as `/` in the console: words, and FIELD:VALUE
    #[arg(long, short, value_name = "FILTER")]
    filter: Option<String>,
    /// At most so many events; 0 for all. A table shows 100 if left out, the other formats all
    #[arg(long, short = 'n', value_name = "ROWS")]
    limit: Option<u64>,
}

/// Arguments of `audit verify`.
#[derive(Debug, Args)]
pub struct Verify {
    /// The log's verifier key, from a source that you trust: name+id+base64. Without it the context's
    /// is taken; where there is none the broker's own word, and said so
    #[arg(long, value_name = "KEY")]
    vkey: Option<VerifierKey>,
    /// A checkpoint that you kept from earlier: the log must be a continuation of it
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pinned: Option<PathBuf>,
    /// Check this file of leaves, a JSON object a line, instead of asking the broker
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, requires = "checkpoint", requires = "vkey")]
    entries: Option<PathBuf>,
    /// The signed checkpoint that goes with --entries
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, requires = "entries")]
    checkpoint: Option<PathBuf>,
}

/// Arguments of `audit export`.
#[derive(Debug, Args)]
pub struct Export {
    /// A new folder to write to
    #[arg(value_name = "DIR", value_hint = ValueHint::DirPath)]
    folder: PathBuf,
    /// The log's verifier key, from a source that you trust; the context's without it, else the broker's
    /// own word
    #[arg(long, value_name = "KEY")]
    vkey: Option<VerifierKey>,
    /// A checkpoint from earlier: adds the proof that the log continues it
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pinned: Option<PathBuf>,
    /// Adds the proof that the leaf of this sequence is in the log; may be given several times. The
    /// first and the last are always proven
    #[arg(long = "proof", value_name = "SEQUENCE", value_parser = clap::value_parser!(u64).range(1..))]
    proofs: Vec<u64>,
}

/// What verifying came to, for programs.
#[derive(Debug, Serialize)]
struct Report<'a> {
    verified: bool,
    size: u64,
    root: String,
    origin: &'a str,
    key: String,
    key_from: &'static str,
    continues: Option<u64>,
}

/// Runs a verb.
///
/// # Errors
/// Why it was not done, or [`CliError::Unverified`].
pub async fn run(app: &mut App<'_>, verb: &Verb) -> Result<(), CliError> {
    match verb {
        Verb::List(args) => {
            let client = app.connect().await?;
            let args = ListArgs {
                filter: args.filter.clone(),
                sort: None,
                limit: args.limit,
            };
            app.list(&args, async |query| {
                let page = client.log_events(&query).await;
                page.map_err(CliError::call("search the log"))
            })
            .await
        }
        Verb::Verify(args) => match (&args.entries, &args.checkpoint, &args.vkey) {
            (Some(entries), Some(checkpoint), Some(key)) => {
                offline(app, args, entries, checkpoint, key)
            }
            _ => online(app, args).await,
        },
        Verb::Export(args) => export(app, args).await,
        Verb::Approval(args) => approval::run(app, args).await,
        Verb::Denial(args) => approval::run_denial(app, args).await,
    }
}

fn offline(
    app: &mut App<'_>,
    args: &Verify,
    entries: &Path,
    checkpoint: &Path,
    key: &VerifierKey,
) -> Result<(), CliError> {
    let note = read(checkpoint)?;
    let pinned = pinned(args.pinned.as_deref(), key)?;
    let mut verifier = verifier(key, pinned.as_ref(), &note)?;
    let open = |error| CliError::files(format!("read {}", entries.display()))(error);
    let mut file = BufReader::new(std::fs::File::open(entries).map_err(open)?);
    let mut line = Vec::new();
    let mut number = 0_u64;
    loop {
        line.clear();
        let mut bounded = std::io::Read::take(&mut file, LINE_BYTES as u64);
        if bounded.read_until(b'\n', &mut line).map_err(open)? == 0 {
            break;
        }
        number += 1;
        if line.trim_ascii().is_empty() {
            continue;
        }
        let entry: LogEntry = serde_json::from_slice(&line).map_err(|error| {
            CliError::Unverified(format!("{} line {number}: {error}", entries.display()))
        })?;
        push(&mut verifier, &entry)?;
    }
    conclude(app, &verifier, key, "given", pinned.as_ref())
}

async fn online(app: &mut App<'_>, args: &Verify) -> Result<(), CliError> {
    let client = app.connect().await?;
    let (key, from) = trusted_key(app, &client, args.vkey.as_ref()).await?;
    let pinned = pinned(args.pinned.as_deref(), &key)?;
    let note = client.checkpoint().await;
    let note = note.map_err(CliError::call("read the log's checkpoint"))?;
    let mut verifier = verifier(&key, pinned.as_ref(), &note)?;
    read_leaves(&client, &mut verifier, |_| Ok(())).await?;
    conclude(app, &verifier, &key, from, pinned.as_ref())
}

async fn export(app: &mut App<'_>, args: &Export) -> Result<(), CliError> {
    let client = app.connect().await?;
    let (key, from) = trusted_key(app, &client, args.vkey.as_ref()).await?;
    let pinned = pinned(args.pinned.as_deref(), &key)?;
    let note = client.checkpoint().await;
    let note = note.map_err(CliError::call("read the log's checkpoint"))?;
    let mut verifier = verifier(&key, pinned.as_ref(), &note)?;
    let size = verifier.target().size;
    if let Some(beyond) = args.proofs.iter().find(|sequence| **sequence > size) {
        return Err(CliError::Usage(format!(
            "--proof {beyond} is beyond the log's end at sequence {size}"
        )));
    }
    let folder = &args.folder;
    std::fs::create_dir(folder).map_err(CliError::files(format!(
        "make the new folder {}",
        folder.display()
    )))?;
    let failed = |name: &str| CliError::files(format!("write {}", folder.join(name).display()));
    let write =
        |name: &str, text: &str| std::fs::write(folder.join(name), text).map_err(failed(name));
    write("checkpoint.txt", &note)?;
    write("verifier-key.txt", &format!("{key}\n"))?;

    let name = "entries.ndjson";
    let file = std::fs::File::create(folder.join(name)).map_err(failed(name))?;
    let mut entries = BufWriter::new(file);
    read_leaves(&client, &mut verifier, |entry| {
        let line = serde_json::to_string(entry).expect("text and a number have a JSON form");
        writeln!(entries, "{line}").map_err(failed(name))
    })
    .await?;
    let file = entries
        .into_inner()
        .map_err(|error| failed(name)(error.into_error()))?;
    file.sync_all().map_err(failed(name))?;

    let mut proofs = String::new();
    let mut add = |proof: LogProof| {
        let line = serde_json::to_string(&proof).expect("text and numbers have a JSON form");
        proofs.push_str(&line);
        proofs.push('\n');
    };
    let mut sequences = args.proofs.clone();
    if size > 0 {
        sequences.extend([1, size]);
    }
    sequences.sort_unstable();
    sequences.dedup();
    for sequence in sequences {
        let proof = client.inclusion_proof(sequence - 1, size).await;
        add(proof.map_err(CliError::call(format!("prove sequence {sequence}")))?);
    }
    if let Some(pinned) = pinned.as_ref().filter(|pinned| pinned.head.size < size) {
        let proof = client.consistency_proof(pinned.head.size, size).await;
        add(proof.map_err(CliError::call(
            "prove that the log continues the kept checkpoint",
        ))?);
    }
    write("proofs.ndjson", &proofs)?;
    conclude(app, &verifier, &key, from, pinned.as_ref())?;
    app.say(&format!("Written to {}", folder.display()))
}

/// The key to judge by, and where it is from.
///
/// # Errors
/// Where there is none, or what there is is none.
pub(super) async fn trusted_key(
    app: &mut App<'_>,
    client: &Client,
    given: Option<&VerifierKey>,
) -> Result<(VerifierKey, &'static str), CliError> {
    if let Some(key) = given {
        return Ok((key.clone(), "given"));
    }
    let target = app.target()?;
    if let Some(key) = &target.context.verifier_key {
        let key = key.parse().map_err(|error| {
            CliError::Usage(format!("verifier_key of {}: {error}", target.name))
        })?;
        return Ok((key, "configured"));
    }
    let session = client.session().await;
    let word = session
        .map_err(CliError::call("ask for the log's key"))?
        .value
        .verifier_key;
    let key = word
        .parse()
        .map_err(|error| CliError::Unverified(format!("{error}")))?;
    app.say(&format!(
        "The key is the broker's own word ({key}); compare it with one from elsewhere, and pass --vkey, or keep it by `context add --verifier-key`"
    ))?;
    Ok((key, "the broker"))
}

fn pinned(path: Option<&Path>, key: &VerifierKey) -> Result<Option<Checkpoint>, CliError> {
    let Some(path) = path else {
        return Ok(None);
    };
    let opened = key.open(&read(path)?);
    let checkpoint =
        opened.map_err(|error| CliError::Unverified(format!("{}: {error}", path.display())))?;
    Ok(Some(checkpoint))
}

fn verifier(
    key: &VerifierKey,
    pinned: Option<&Checkpoint>,
    note: &str,
) -> Result<Verifier, CliError> {
    let pinned = pinned.map(|checkpoint| checkpoint.head);
    Verifier::new(key.clone(), pinned, note).map_err(refuted)
}

/// Reads the leaves that the checkpoint covers, in order, and pushes each through the verifier.
async fn read_leaves(
    client: &Client,
    verifier: &mut Verifier,
    mut keep: impl FnMut(&LogEntry) -> Result<(), CliError>,
) -> Result<(), CliError> {
    let doing = || CliError::call("read the log's leaves");
    loop {
        let (from, size) = (verifier.next_index(), verifier.target().size);
        if from >= size {
            return Ok(());
        }
        let limit = (size - from).min(ENTRIES_AT_ONCE);
        let mut lines = client.log_entries(from, limit).await.map_err(doing())?;
        while let Some(entry) = lines.next::<LogEntry>().await.map_err(doing())? {
            if verifier.next_index() < size {
                push(verifier, &entry)?;
                keep(&entry)?;
            }
        }
        if verifier.next_index() == from {
            return Err(doing()(ClientError::Decode {
                reason: format!("no leaves from {from} on, though {size} are signed for"),
            }));
        }
    }
}

fn push(verifier: &mut Verifier, entry: &LogEntry) -> Result<(), CliError> {
    let leaf = BASE64
        .decode(&entry.leaf)
        .map_err(|_| CliError::Unverified(format!("leaf {} is not base 64", entry.index)))?;
    verifier
        .push_entry(entry.index, &leaf, None)
        .map_err(refuted)
}

fn conclude(
    app: &mut App<'_>,
    verifier: &Verifier,
    key: &VerifierKey,
    key_from: &'static str,
    pinned: Option<&Checkpoint>,
) -> Result<(), CliError> {
    let Verdict::Whole { size, root } = verifier.verdict() else {
        return Err(refuted(verifier.verdict()));
    };
    let report = Report {
        verified: true,
        size,
        root: BASE64.encode(root),
        origin: key.name(),
        key: key.to_string(),
        key_from,
        continues: pinned.map(|checkpoint| checkpoint.head.size),
    };
    if app.global.output == Format::Table {
        let continues = match report.continues {
            Some(size) => format!("; it continues the checkpoint of {size} leaves"),
            None => String::new(),
        };
        let words = format!(
            "Whole: {size} leaves hashed here have the root {} that {} signed (key {}){continues}\n",
            report.root,
            report.origin,
            key.fingerprint(),
        );
        app.io.out.write_all(words.as_bytes())?;
    } else {
        write_json(&mut *app.io.out, &report, app.global.output == Format::Json)?;
        app.io.out.write_all(b"\n")?;
    }
    Ok(())
}

/// A verdict that says that something is wrong, in words.
fn refuted(verdict: Verdict) -> CliError {
    let encode = |hash| BASE64.encode(hash);
    CliError::Unverified(match verdict {
        Verdict::Whole { .. } => "it is whole".to_owned(),
        Verdict::BadSignature(error) => error.to_string(),
        Verdict::Rollback { pinned, offered } => {
            format!(
                "it had {pinned} leaves and now has {offered}: keep both checkpoints, they prove it"
            )
        }
        Verdict::SplitView {
            size,
            pinned,
            offered,
        } => format!(
            "two signed roots for {size} leaves, {} and {}: keep both checkpoints, they prove it",
            encode(pinned),
            encode(offered)
        ),
        Verdict::Rewritten { pinned, offered } => format!(
            "the first {pinned} leaves of these {offered} are not those that were signed before: keep both checkpoints, they prove it"
        ),
        Verdict::BadProof(error) => error.to_string(),
        Verdict::BadLeaf { index } => {
            format!("leaf {index} is not where or what it is said to be")
        }
        Verdict::Truncated { have, want } => {
            format!("{have} leaves, and {want} are signed for")
        }
        Verdict::RootDiffers { size } => {
            format!("the {size} leaves do not have the signed root: at least one was changed")
        }
    })
}

fn read(path: &Path) -> Result<String, CliError> {
    std::fs::read_to_string(path).map_err(CliError::files(format!("read {}", path.display())))
}
