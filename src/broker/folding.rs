//! The state at the start: from the snapshot if it holds, and from the log's own leaves beyond it, or from all of them.
//!
//! The log is verified leaf by leaf in either case, and the snapshot is only believed once the log, verified, has at
//! its sequence the root that it names.

use super::{
    engine::StartError,
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
use std::{sync::Arc, thread::JoinHandle};

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
    fold.settle();
    let Some((sequence, root)) = expected else {
        return Ok(Folded {
            state: fold.end()?,
            log,
            from_snapshot: None,
        });
    };
    let held = match fold.refused.take() {
        Some(error) => Err(error),
        None => match log.root_at(sequence).await {
            Ok(at) if at == root => Ok(()),
            Ok(_) | Err(_) => Err(SnapshotError::Other {
                what: "root",
                found: crate::domain::Digest(root).to_string(),
                expected: format!("the log's own at {sequence}"),
            }),
        },
    };
    match held {
        Ok(()) => {
            snapshots.covered(sequence);
            Ok(Folded {
                state: fold.end()?,
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
    let size = log.head().size;
    while fold.state.sequence < size {
        let leaves = log
            .leaves(fold.state.sequence, 4096)
            .await
            .map_err(|error| StartError::Store {
                path: path.to_owned(),
                source: StoreError::new("reading the log again", error),
            })?;
        for leaf in &leaves {
            fold.leaf(leaf.index, &leaf.bytes);
        }
        if let Some((index, source)) = fold.unreadable.take() {
            return Err(StartError::Leaf { index, source });
        }
    }
    fold.end()
}

struct Fold {
    /// Leaves before this one are in the snapshot.
    first: u64,
    /// The snapshot, being decoded while the log is verified.
    decoding: Option<JoinHandle<Result<State, SnapshotError>>>,
    /// Why the snapshot cannot be used after all.
    refused: Option<SnapshotError>,
    state: State,
    unreadable: Option<(u64, serde_json::Error)>,
}

impl Fold {
    fn new(found: Option<Found>) -> Self {
        Self {
            first: found.as_ref().map_or(0, |found| found.sequence),
            decoding: found.map(|found| std::thread::spawn(move || found.state())),
            refused: None,
            state: State::default(),
            unreadable: None,
        }
    }

    /// Waits for the snapshot, if it is still being decoded. The log's reading task has a thread of its own.
    fn settle(&mut self) {
        let Some(decoding) = self.decoding.take() else {
            return;
        };
        match decoding.join().unwrap_or(Err(SnapshotError::NotOurs)) {
            Ok(state) => self.state = state,
            Err(error) => self.refused = Some(error),
        }
    }

    fn leaf(&mut self, index: u64, leaf: &[u8]) {
        if index < self.first || self.unreadable.is_some() {
            return;
        }
        self.settle();
        if self.refused.is_some() {
            return;
        }
        match serde_json::from_slice::<Recorded>(leaf) {
            Ok(recorded) => self.state.apply(&recorded),
            Err(source) => self.unreadable = Some((index, source)),
        }
    }

    fn end(self) -> Result<State, StartError> {
        match self.unreadable {
            Some((index, source)) => Err(StartError::Leaf { index, source }),
            None => Ok(self.state),
        }
    }
}
