//! The state at the start: from the snapshot if it holds, and from the log's own leaves beyond it, or from all of them.
//!
//! The log is verified leaf by leaf in either case, and the snapshot is only believed once the log, verified, has at
//! its sequence the root that it names. While one thread hashes, others read what the leaves say, and one folds it.

use super::{
    engine::StartError,
    leaf,
    snapshot::{Found, SnapshotError, Snapshots},
};
use crate::{
    domain::{Recorded, State},
    event_log::{
        checkpoint::SigningKey,
        log::Log,
        sqlite::SqliteStore,
        store::{Store as _, StoreError},
    },
};
use std::{
    sync::{
        Arc,
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread::{self, JoinHandle},
};

/// How many threads read leaves: to read one takes as long as to hash it and to fold it.
const READERS: usize = 2;
/// How many leaves go from thread to thread at once.
const LOT: usize = 1024;
/// How many lots wait for each thread at most: some megabytes.
const WAITING: usize = 4;

/// A log that was opened, and what it comes to.
pub(super) struct Folded {
    pub(super) log: Log<SqliteStore>,
    pub(super) state: State,
    /// The sequence of the snapshot that the fold began with, if any.
    pub(super) from_snapshot: Option<u64>,
}

/// Opens and folds the log in `store`.
pub(super) async fn open(
    store: Arc<SqliteStore>,
    key: SigningKey,
    snapshots: &Arc<Snapshots>,
    path: &str,
) -> Result<Folded, StartError> {
    let found = find(&store, snapshots).await.unwrap_or_else(|error| {
        ignored(&error);
        None
    });
    let expected = found.as_ref().map(|found| (found.sequence, found.root));
    let mut fold = Fold::new(found);
    let log = Log::open(store, key, |index, leaf| fold.leaf(index, leaf))
        .await
        .map_err(|source| StartError::Log {
            path: path.to_owned(),
            source,
        })?;
    let folded = fold.end();
    let Some((sequence, root)) = expected else {
        return Ok(Folded {
            state: folded?,
            log,
            from_snapshot: None,
        });
    };
    let held = match folded {
        Err(Unfolded::Snapshot(error)) => Err(error),
        Err(error) => return Err(error.into()),
        Ok(state) => match log.root_at(sequence).await {
            Ok(at) if at == root => Ok(state),
            Ok(_) | Err(_) => Err(SnapshotError::Other {
                what: "root",
                found: crate::domain::Digest(root).to_string(),
                expected: format!("the log's own at {sequence}"),
            }),
        },
    };
    match held {
        Ok(state) => {
            snapshots.covered(sequence);
            Ok(Folded {
                state,
                log,
                from_snapshot: Some(sequence),
            })
        }
        Err(error) => {
            // An authentic snapshot of another history: a restored backup, say. The log was verified; it is read again.
            ignored(&error);
            let state = from_the_start(&log, path).await?;
            Ok(Folded {
                log,
                state,
                from_snapshot: None,
            })
        }
    }
}

/// The snapshot, if it is authentic and not newer than the log.
async fn find(
    store: &SqliteStore,
    snapshots: &Arc<Snapshots>,
) -> Result<Option<Found>, SnapshotError> {
    let reader = Arc::clone(snapshots);
    let found = tokio::task::spawn_blocking(move || reader.read())
        .await
        .unwrap_or(Err(SnapshotError::NotOurs))?;
    let Some(found) = found else {
        return Ok(None);
    };
    // Whether the head itself is genuine is found out when the log is opened.
    let size = store.head().await.map_or(0, |stored| stored.head.size);
    if found.sequence > size {
        return Err(SnapshotError::Other {
            what: "log",
            found: format!("one of {} leaves", found.sequence),
            expected: format!("one of {size}"),
        });
    }
    Ok(Some(found))
}

fn ignored(error: &SnapshotError) {
    let source = std::error::Error::source(error).map(ToString::to_string);
    tracing::warn!(%error, source, "the snapshot is not used; the whole log is folded");
}

async fn from_the_start(log: &Log<SqliteStore>, path: &str) -> Result<State, StartError> {
    let mut fold = Fold::new(None);
    let (mut next, size) = (0, log.head().size);
    while next < size {
        let leaves = log
            .leaves(next, 4096)
            .await
            .map_err(|error| StartError::Store {
                path: path.to_owned(),
                source: StoreError::new("reading the log again", error),
            })?;
        for leaf in &leaves {
            fold.leaf(leaf.index, &leaf.bytes);
        }
        next += leaves.len() as u64;
    }
    Ok(fold.end()?)
}

/// Why there is no state.
#[derive(Debug)]
enum Unfolded {
    /// The snapshot cannot be used after all.
    Snapshot(SnapshotError),
    /// This leaf cannot be read.
    Leaf(u64, serde_json::Error),
}

impl From<Unfolded> for StartError {
    fn from(unfolded: Unfolded) -> Self {
        match unfolded {
            Unfolded::Leaf(index, source) => Self::Leaf { index, source },
            Unfolded::Snapshot(error) => {
                unreachable!("a fold from the start has no snapshot: {error}")
            }
        }
    }
}

/// Leaves that follow on each other.
#[derive(Default)]
struct Lot {
    first: u64,
    bytes: Vec<u8>,
    /// Where each ends in `bytes`.
    ends: Vec<usize>,
}

/// The fold, beside the verification. Lots go to the readers in turn, and from there, in the same turn, to the one
/// thread that folds. Whoever ends early has the others' sends fail, and says why when all are joined.
struct Fold {
    /// Leaves before this one are in the snapshot.
    after: u64,
    lot: Lot,
    turn: usize,
    readers: Vec<SyncSender<Lot>>,
    folding: JoinHandle<Result<State, Unfolded>>,
}

type Read = Result<Vec<Recorded>, Unfolded>;

impl Fold {
    fn new(found: Option<Found>) -> Self {
        let after = found.as_ref().map_or(0, |found| found.sequence);
        let (readers, read): (Vec<_>, Vec<_>) = (0..READERS)
            .map(|_| {
                let (send, lots) = sync_channel(WAITING);
                let (done, read) = sync_channel(WAITING);
                thread::spawn(move || read_lots(&lots, &done));
                (send, read)
            })
            .unzip();
        Self {
            after,
            lot: Lot::default(),
            turn: 0,
            readers,
            folding: thread::spawn(move || fold(found, &read)),
        }
    }

    fn leaf(&mut self, index: u64, leaf: &[u8]) {
        if index < self.after {
            return;
        }
        if self.lot.ends.is_empty() {
            self.lot.first = index;
        }
        self.lot.bytes.extend_from_slice(leaf);
        self.lot.ends.push(self.lot.bytes.len());
        if self.lot.ends.len() == LOT {
            self.hand_on();
        }
    }

    fn hand_on(&mut self) {
        let _ended = self.readers[self.turn].send(std::mem::take(&mut self.lot));
        self.turn = (self.turn + 1) % READERS;
    }

    fn end(mut self) -> Result<State, Unfolded> {
        self.hand_on();
        drop(self.readers);
        self.folding.join().expect("a fold is total")
    }
}

fn read_lots(lots: &Receiver<Lot>, done: &SyncSender<Read>) {
    for lot in lots {
        let mut start = 0;
        let each = (lot.first..).zip(&lot.ends).map(|(index, end)| {
            let leaf = &lot.bytes[std::mem::replace(&mut start, *end)..*end];
            leaf::read(leaf).map_err(|error| Unfolded::Leaf(index, error))
        });
        if done.send(each.collect()).is_err() {
            return;
        }
    }
}

fn fold(found: Option<Found>, read: &[Receiver<Read>]) -> Result<State, Unfolded> {
    let mut state = match found {
        Some(found) => found.state().map_err(Unfolded::Snapshot)?,
        None => State::default(),
    };
    for reader in read.iter().cycle() {
        let Ok(lot) = reader.recv() else { break };
        for recorded in lot? {
            state.apply(&recorded);
        }
    }
    Ok(state)
}
