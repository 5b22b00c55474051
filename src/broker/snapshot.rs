//! The folded state in a file beside the log, so that a start need not fold everything again. It is a cache and no
//! more: the log is verified leaf by leaf with or without it, and a file that is not wholly ours is left alone.
//!
//! One line of JSON (what it is a snapshot of), the parts of the state in blocks within one zstd stream, and an
//! HMAC-SHA256 over all of it. The key comes from the sealing key, so that whoever can write the file cannot change
//! the state by it; the line names build, origin, sequence and the log's root there, so that a snapshot of another
//! log, of another history of this one, or by other rules is not taken for this one's.

use crate::{
    domain::{
        Digest, State,
        state::snapshot::{Part, Restoring},
    },
    event_log::{merkle::Hash, store::Head},
    secret::{SealKey, digest_of_bytes},
};
use aws_lc_rs::hmac;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use std::{
    fs::{self, File},
    io::{self, BufReader, BufWriter, Read, Write},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    sync::Arc,
};

/// After how many events the next snapshot is written.
pub const EVERY: u64 = 50_000;
const FORMAT: &str = "countersign-snapshot/1";
const TAG: usize = 32;
/// How many bytes of parts are encoded or decoded at once.
const BLOCK: usize = 256 * 1024;
/// No longer first line is ever read, in bytes.
const LINE: usize = 4096;

/// What the first line says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct About {
    format: String,
    build: String,
    origin: String,
    sequence: u64,
    /// The log's root over its first `sequence` leaves.
    root: Digest,
}

/// Why a snapshot is not used, or could not be written.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// The file cannot be read or written.
    #[error("{attempted} {}", path.display())]
    File {
        /// What was attempted.
        attempted: &'static str,
        /// Where.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// It is cut short, changed, or written under another key: these cannot be told apart.
    #[error("it was changed, cut short, or written under another key")]
    NotOurs,
    /// It is whole, and of something else.
    #[error("it has another {what}: {found}, expected {expected}")]
    Other {
        /// What differs.
        what: &'static str,
        /// What it says.
        found: String,
        /// What was expected.
        expected: String,
    },
    /// It is authentic and still cannot be read.
    #[error("its parts cannot be read")]
    Parts(#[source] io::Error),
}

/// Where a broker's snapshots are, and how far the latest one goes.
#[derive(Debug)]
pub struct Snapshots {
    path: PathBuf,
    key: hmac::Key,
    origin: String,
    /// The sequence of the latest snapshot, written or tried. Held while one is written.
    latest: Mutex<u64>,
}

/// An authentic snapshot of this origin by this build, not yet decoded.
#[derive(Debug)]
pub struct Found {
    /// How many events it covers.
    pub sequence: u64,
    /// The log's root over them; to be compared.
    pub root: Hash,
    body: Vec<u8>,
}

impl Snapshots {
    /// In the file at `path`, for the log of `origin`.
    pub fn new(path: PathBuf, seal_key: &SealKey, origin: &str) -> Self {
        Self {
            path,
            key: seal_key.authenticator("countersign snapshot"),
            origin: origin.to_owned(),
            latest: Mutex::new(0),
        }
    }

    /// The snapshot on disk, if there is one. Reads all of it, so not on a thread that others wait for.
    ///
    /// # Errors
    /// [`SnapshotError`]: it is to be ignored.
    pub fn read(&self) -> Result<Option<Found>, SnapshotError> {
        let mut body = match fs::read(&self.path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(self.file("reading", error)),
        };
        let signed = body.len().checked_sub(TAG).ok_or(SnapshotError::NotOurs)?;
        let (said, tag) = body.split_at(signed);
        hmac::verify(&self.key, said, tag).map_err(|_| SnapshotError::NotOurs)?;
        let line = said
            .iter()
            .take(LINE)
            .position(|byte| *byte == b'\n')
            .ok_or(SnapshotError::NotOurs)?;
        let about: About = serde_json::from_slice(&said[..line])
            .map_err(|error| SnapshotError::Parts(error.into()))?;
        let expected = self.about(about.sequence, about.root.0);
        for (what, found, expected) in [
            ("format", &about.format, &expected.format),
            ("build", &about.build, &expected.build),
            ("origin", &about.origin, &expected.origin),
        ] {
            if found != expected {
                let (found, expected) = (found.clone(), expected.clone());
                return Err(SnapshotError::Other {
                    what,
                    found,
                    expected,
                });
            }
        }
        body.truncate(signed);
        body.drain(..=line);
        Ok(Some(Found {
            sequence: about.sequence,
            root: about.root.0,
            body,
        }))
    }

    /// Remembers that the state up to `sequence` need not be written again.
    pub fn covered(&self, sequence: u64) {
        *self.latest.lock() = sequence;
    }

    /// Whether [`EVERY`] events have come since the latest snapshot, and none is being written.
    pub fn due(&self, sequence: u64) -> bool {
        self.latest
            .try_lock()
            .is_some_and(|latest| sequence.saturating_sub(*latest) >= EVERY)
    }

    /// Writes `state`, which is what the log's first `head.size` leaves come to, in place of what is there, and waits
    /// for the disk. Nothing is written if the latest snapshot is as new.
    ///
    /// # Errors
    /// [`SnapshotError::File`]: what was there before still is.
    pub fn write(&self, state: &State, head: Head) -> Result<(), SnapshotError> {
        let mut latest = self.latest.lock();
        if state.sequence <= *latest || state.sequence != head.size {
            return Ok(());
        }
        // Also when it fails: a full disk is not tried again at every event.
        *latest = state.sequence;
        let aside = self.path.with_extension("new");
        let written = self
            .write_to(&aside, state, head)
            .and_then(|()| fs::rename(&aside, &self.path))
            .and_then(|()| sync_folder(&self.path));
        written.map_err(|error| {
            let _left = fs::remove_file(&aside);
            self.file("writing", error)
        })
    }

    fn write_to(&self, path: &Path, state: &State, head: Head) -> io::Result<()> {
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let file = fs::OpenOptions::new()
            .create_new(true)
            .write(true)
            .mode(0o600)
            .open(path)?;
        let mut out = Authenticated {
            inner: BufWriter::with_capacity(BLOCK, file),
            tag: hmac::Context::with_key(&self.key),
        };
        let mut about = serde_json::to_vec(&self.about(state.sequence, head.root))?;
        about.push(b'\n');
        out.write_all(&about)?;
        encode(state, &mut out)?;
        let tag = out.tag.sign();
        out.inner.write_all(tag.as_ref())?;
        out.inner.into_inner()?.sync_all()
    }

    fn about(&self, sequence: u64, root: Hash) -> About {
        About {
            format: FORMAT.into(),
            build: build(),
            origin: self.origin.clone(),
            sequence,
            root: Digest(root),
        }
    }

    fn file(&self, attempted: &'static str, source: io::Error) -> SnapshotError {
        SnapshotError::File {
            attempted,
            path: self.path.clone(),
            source,
        }
    }
}

impl Found {
    /// The state that it holds.
    ///
    /// # Errors
    /// [`SnapshotError::Parts`], which only a fault of this program explains.
    pub fn state(self) -> Result<State, SnapshotError> {
        let state = decode(&self.body).map_err(SnapshotError::Parts)?;
        if state.sequence == self.sequence {
            Ok(state)
        } else {
            Err(SnapshotError::Other {
                what: "sequence",
                found: state.sequence.to_string(),
                expected: self.sequence.to_string(),
            })
        }
    }
}

/// The crate's version, and a digest of the code that folds and encodes: a state folded by other rules is not this
/// build's, even between two releases.
fn build() -> String {
    let rules = [
        include_str!("snapshot.rs"),
        include_str!("../domain/state.rs"),
        include_str!("../domain/state/fold.rs"),
        include_str!("../domain/state/granted.rs"),
        include_str!("../domain/state/policies.rs"),
        include_str!("../domain/state/snapshot.rs"),
        include_str!("../domain/state/asking.rs"),
        include_str!("../domain/state/deliveries.rs"),
        include_str!("../domain/state/gateways.rs"),
        include_str!("../domain/state/plain_rules.rs"),
        include_str!("../domain/state/rotations.rs"),
        include_str!("../domain/state/snapshot/mirrors.rs"),
        include_str!("../domain/approval.rs"),
        include_str!("../domain/client.rs"),
        include_str!("../domain/credential.rs"),
        include_str!("../domain/digest.rs"),
        include_str!("../domain/event.rs"),
        include_str!("../domain/event/subject.rs"),
        include_str!("../domain/gateway.rs"),
        include_str!("../domain/id.rs"),
        include_str!("../domain/operator.rs"),
        include_str!("../domain/policy.rs"),
        include_str!("../domain/request.rs"),
        include_str!("../domain/revocation.rs"),
        include_str!("../domain/review.rs"),
        include_str!("../domain/rotation.rs"),
        include_str!("../domain/rotation/freeze.rs"),
        include_str!("../domain/rotation/rules.rs"),
        include_str!("../domain/text.rs"),
        include_str!("../domain/words.rs"),
    ];
    let digest = digest_of_bytes(rules.concat().as_bytes());
    format!("{} {}", env!("CARGO_PKG_VERSION"), digest.short())
}

/// Blocks of parts, each after its length in four bytes, big-endian; the last one is empty.
fn encode(state: &State, out: impl Write) -> io::Result<()> {
    let mut out = zstd::Encoder::new(out, 1)?;
    let mut block = Vec::with_capacity(BLOCK + 64 * 1024);
    for part in state.parts() {
        block = postcard::to_extend(&part, block).map_err(io::Error::other)?;
        if block.len() >= BLOCK {
            write_block(&mut out, &block)?;
            block.clear();
        }
    }
    if !block.is_empty() {
        write_block(&mut out, &block)?;
    }
    write_block(&mut out, &[])?;
    out.finish().map(drop)
}

fn write_block(out: &mut impl Write, block: &[u8]) -> io::Result<()> {
    let length = u32::try_from(block.len()).map_err(io::Error::other)?;
    out.write_all(&length.to_be_bytes())?;
    out.write_all(block)
}

fn decode(body: &[u8]) -> io::Result<State> {
    let mut from = BufReader::with_capacity(BLOCK, zstd::Decoder::with_buffer(body)?);
    let mut state = Restoring::default();
    let mut block = Vec::new();
    loop {
        let mut length = [0; 4];
        from.read_exact(&mut length)?;
        let length = u32::from_be_bytes(length) as usize;
        if length == 0 {
            return Ok(state.finish());
        }
        block.resize(length, 0);
        from.read_exact(&mut block)?;
        let mut left = block.as_slice();
        while !left.is_empty() {
            let (part, rest) = postcard::take_from_bytes::<Part>(left).map_err(io::Error::other)?;
            state.take(part);
            left = rest;
        }
    }
}

/// Everything that passes goes into the tag.
struct Authenticated<W> {
    inner: W,
    tag: hmac::Context,
}

impl<W: Write> Write for Authenticated<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.inner.write(bytes)?;
        self.tag.update(&bytes[..count]);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// A rename lasts once its folder is on disk.
fn sync_folder(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(folder) => File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}

/// Writes a snapshot on a thread of its own. A failure is told and harmless.
pub fn write_aside(
    snapshots: &Arc<Snapshots>,
    state: Arc<State>,
    head: Head,
) -> tokio::task::JoinHandle<()> {
    let snapshots = Arc::clone(snapshots);
    tokio::task::spawn_blocking(move || {
        let started = std::time::Instant::now();
        match snapshots.write(&state, head) {
            Ok(()) => {
                let took_ms = started.elapsed().as_millis();
                tracing::debug!(sequence = state.sequence, took_ms, "snapshot written");
            }
            Err(error) => {
                let source = std::error::Error::source(&error).map(ToString::to_string);
                tracing::warn!(%error, source, "the snapshot could not be written; the next start folds more of the log");
            }
        }
    })
}
