//! The registry's export: written with the proofs that come with it, and checked offline against the log's key alone.

use std::io::{BufRead, Read as _};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::de::DeserializeOwned;

use crate::client::{LogEntry, LogProof};
use crate::event_log::checkpoint::VerifierKey;
use crate::event_log::merkle::{Hash, leaf_hash, verify_inclusion};
use crate::wire::revocation::{REGISTRY, RegistryHeader};

/// The longest line that is read, in bytes: a leaf of the log has at most 64 KiB.
const LINE_BYTES: u64 = 256 * 1024;

/// What an export came to.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Checked {
    /// How many revocations are proven.
    pub revocations: u64,
    /// What took effect after this sequence is there.
    pub since: u64,
    /// Up to and with this one.
    pub through: u64,
    /// Of which client; of all, if none.
    pub client: Option<String>,
    /// How long the log is that they are proven to be in.
    pub size: u64,
}

/// Checks every line: the checkpoint's signature, that each record is in the log that it signs for, that each is a
/// revocation's, that they are in order and as many as they are said to be.
///
/// # Errors
/// The first thing that does not fit, with its line.
pub fn check(key: &VerifierKey, input: impl BufRead) -> Result<Checked, String> {
    let mut lines = Lines { input, number: 0 };
    let mut whole: Option<Checked> = None;
    while let Some(line) = lines.next()? {
        let header: RegistryHeader = lines.parse(&line)?;
        if header.form != REGISTRY {
            return Err(lines.says(format!("expected {REGISTRY}, not {:?}", header.form)));
        }
        let head = key.open(&header.checkpoint);
        let head = head.map_err(|error| lines.says(error.to_string()))?.head;
        let before = whole.as_ref();
        if before
            .is_some_and(|before| before.through != header.since || before.client != header.client)
        {
            return Err(lines.says("it does not go on from the part before it".into()));
        }
        let mut last = header.since;
        for _ in 0..header.count {
            last = proven(&mut lines, head.size, &head.root, last)?;
        }
        if last > header.through || header.through > head.size {
            return Err(lines.says("it says another end than it has".into()));
        }
        whole = Some(Checked {
            revocations: before.map_or(0, |before| before.revocations) + header.count,
            since: before.map_or(header.since, |before| before.since),
            through: header.through,
            client: header.client,
            size: head.size,
        });
    }
    whole.ok_or_else(|| "it is empty".to_owned())
}

/// One record and its proof; the sequence of the record.
fn proven<R: BufRead>(
    lines: &mut Lines<R>,
    size: u64,
    root: &Hash,
    after: u64,
) -> Result<u64, String> {
    let entry: LogEntry = lines.take()?;
    let leaf = BASE64
        .decode(&entry.leaf)
        .map_err(|_| lines.says("the leaf is not base 64".into()))?;
    let event: serde_json::Value = serde_json::from_slice(&leaf)
        .map_err(|error| lines.says(format!("the leaf is no event: {error}")))?;
    if event["type"] != "revocation.effective" || event["seq"] != entry.index {
        return Err(lines.says("the leaf is no revocation's, or of another place".into()));
    }
    let proof: LogProof = lines.take()?;
    let LogProof::Inclusion {
        index,
        size: of,
        hashes,
    } = proof
    else {
        return Err(lines.says("expected the proof that the record is in the log".into()));
    };
    let hashes: Option<Vec<Hash>> = hashes
        .iter()
        .map(|hash| BASE64.decode(hash).ok()?.try_into().ok())
        .collect();
    let hashes = hashes.ok_or_else(|| lines.says("a hash of the proof is none".into()))?;
    if index != entry.index || of != size {
        return Err(lines.says("the proof is of another record or another log".into()));
    }
    verify_inclusion(index, size, &leaf_hash(&leaf), &hashes, root)
        .map_err(|error| lines.says(error.to_string()))?;
    if index < after {
        return Err(lines.says("the records are not in order".into()));
    }
    Ok(index + 1)
}

/// The lines of an export, and how many were read.
struct Lines<R> {
    input: R,
    number: u64,
}

impl<R: BufRead> Lines<R> {
    fn next(&mut self) -> Result<Option<String>, String> {
        let mut line = String::new();
        self.number += 1;
        let read = (&mut self.input)
            .take(LINE_BYTES)
            .read_line(&mut line)
            .map_err(|error| self.says(error.to_string()))?;
        Ok((read > 0).then_some(line))
    }

    fn take<T: DeserializeOwned>(&mut self) -> Result<T, String> {
        let line = self.next()?;
        let line = line.ok_or_else(|| self.says("it is cut short".into()))?;
        self.parse(&line)
    }

    fn parse<T: DeserializeOwned>(&self, line: &str) -> Result<T, String> {
        serde_json::from_str(line).map_err(|error| self.says(error.to_string()))
    }

    fn says(&self, what: String) -> String {
        format!("line {}: {what}", self.number)
    }
}
