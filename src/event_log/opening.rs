//! What happens before a stored log is trusted: every leaf is read and hashed again, and must lead
//! to the root that the stored checkpoint signs. The leaves are handed on in the same pass.

use std::ops::Range;
use std::sync::Arc;

use super::checkpoint::{Checkpoint, NoteError, VerifierKey};
use super::merkle::leaf_hash;
use super::store::{AppendError, Head, Store, StoreError, StoredLeaf};
use super::tiles::{TILE_HEIGHT, TILE_WIDTH, Tile, Tree};

/// Leaves a read, while the next read is under way.
const CHUNK: u64 = 8192;

/// Why a stored log is not opened (or not reloaded). Where it can be told, which leaf it is.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The store could not be read.
    #[error("reading the stored log")]
    Read(#[source] StoreError),
    /// The first checkpoint of a new log could not be written.
    #[error("starting a new log")]
    Start(#[source] AppendError),
    /// The stored checkpoint is not one of this origin, signed by this key.
    #[error("checking the stored checkpoint")]
    Checkpoint(#[source] NoteError),
    /// The stored head is not the signed one.
    #[error("the stored head has {} leaves, the signed checkpoint {}, or their roots differ", stored.size, signed.size)]
    HeadDiffers { stored: Head, signed: Head },
    /// The leaf's bytes do not match its stored hash.
    #[error("leaf {index} was changed: its bytes do not match the hash stored with them")]
    LeafDamaged { index: u64 },
    /// A leaf is missing, though later ones are there.
    #[error("leaf {index} is missing")]
    LeafMissing { index: u64 },
    /// The last leaves are missing.
    #[error("the log is cut short: {have} leaves, the signed checkpoint covers {want}")]
    Truncated { have: u64, want: u64 },
    /// A leaf is stored that the signed checkpoint does not cover.
    #[error("leaf {index} lies beyond the signed checkpoint")]
    LeafBeyondHead { index: u64 },
    /// Bytes and hashes of leaves agree, yet the root is not the signed one: leaves were swapped or
    /// replaced together with their hashes. `within`: the leaves among which the first such one is,
    /// if a stored tile tells.
    #[error("the leaves do not have the signed root at size {size}: history was rewritten{}", among(within.as_ref()))]
    RootDiffers {
        size: u64,
        within: Option<Range<u64>>,
    },
    /// The leaves have the signed root; a stored tile of hashes does not match them.
    #[error("stored tile {n} of level {level} does not match the leaves")]
    TileDamaged { level: u8, n: u64 },
    /// The stored log has fewer leaves than were already acknowledged.
    #[error("the log shrank from {had} to {has} leaves")]
    Shrank { had: u64, has: u64 },
}

fn among(within: Option<&Range<u64>>) -> String {
    within.map_or_else(String::new, |w| {
        format!(", first among leaves {} to {}", w.start, w.end - 1)
    })
}

/// A stored log that was checked.
pub(super) struct Checked {
    pub(super) tree: Tree,
    pub(super) checkpoint: Checkpoint,
    /// Whether the tree passed through the head that was asked about.
    pub(super) passed: bool,
}

/// Checks what is stored beyond `tree` (which is trusted), handing each leaf to `on_leaf`, until
/// the store has nothing more. `ask`: a head of which [`Checked::passed`] shall tell.
pub(super) async fn check_stored<S: Store>(
    store: &Arc<S>,
    key: &VerifierKey,
    tree: Tree,
    ask: Option<Head>,
    on_leaf: &mut (impl FnMut(u64, &[u8]) + Send),
) -> Result<Checked, OpenError> {
    let mut check = Check {
        passed: ask == Some(head_of(&tree)),
        tree,
        ask,
        completed: Vec::new(),
        suspect: None,
    };
    loop {
        let stored = store.head().await.map_err(OpenError::Read)?;
        let checkpoint = key
            .open(&stored.checkpoint)
            .map_err(OpenError::Checkpoint)?;
        let want = stored.head;
        if checkpoint.head != want {
            return Err(OpenError::HeadDiffers {
                stored: want,
                signed: checkpoint.head,
            });
        }
        let had = check.tree.size();
        if want.size < had {
            return Err(OpenError::Shrank {
                had,
                has: want.size,
            });
        }
        check.leaves(store, want.size, on_leaf).await?;
        check.conclude(want)?;
        let beyond = store.read(want.size, 1).await.map_err(OpenError::Read)?;
        let Some(leaf) = beyond.first() else {
            return Ok(Checked {
                tree: check.tree,
                checkpoint,
                passed: check.passed,
            });
        };
        // Another writer may have appended meanwhile, and then the head has moved as well.
        let now = store.head().await.map_err(OpenError::Read)?;
        if now.head.size == want.size {
            return Err(OpenError::LeafBeyondHead { index: leaf.index });
        }
    }
}

pub(super) fn head_of(tree: &Tree) -> Head {
    Head {
        size: tree.size(),
        root: tree.root(),
    }
}

struct Check {
    tree: Tree,
    ask: Option<Head>,
    passed: bool,
    /// Tiles that the latest leaves completed, to be compared with the stored ones.
    completed: Vec<Tile>,
    /// The first stored tile that differs, and the leaves under the first hash that does.
    suspect: Option<(Tile, Range<u64>)>,
}

impl Check {
    async fn leaves<S: Store>(
        &mut self,
        store: &Arc<S>,
        want: u64,
        on_leaf: &mut (impl FnMut(u64, &[u8]) + Send),
    ) -> Result<(), OpenError> {
        let mut ahead = read_ahead(store, self.tree.size(), want);
        while self.tree.size() < want {
            let leaves = ahead
                .await
                .expect("the reading task neither panics nor is aborted")
                .map_err(OpenError::Read)?;
            let have = self.tree.size();
            let Some(last) = leaves.last() else {
                return Err(OpenError::Truncated { have, want });
            };
            ahead = read_ahead(store, last.index.saturating_add(1), want);
            for leaf in &leaves {
                self.leaf(leaf)?;
                on_leaf(leaf.index, &leaf.bytes);
            }
            self.compare_tiles(store).await?;
        }
        Ok(())
    }

    fn leaf(&mut self, leaf: &StoredLeaf) -> Result<(), OpenError> {
        let index = self.tree.size();
        if leaf.index != index {
            return Err(OpenError::LeafMissing { index });
        }
        let hash = leaf_hash(&leaf.bytes);
        if hash != leaf.hash {
            return Err(OpenError::LeafDamaged { index });
        }
        let completed = &mut self.completed;
        self.tree.push(hash, &mut |tile| {
            if tile.id.level > 0 {
                completed.push(tile);
            }
        });
        if self.ask.is_some_and(|ask| ask.size == index + 1) {
            self.passed = self.ask == Some(head_of(&self.tree));
        }
        Ok(())
    }

    async fn compare_tiles<S: Store>(&mut self, store: &Arc<S>) -> Result<(), OpenError> {
        for tile in std::mem::take(&mut self.completed) {
            let stored = store.tile(tile.id).await.map_err(OpenError::Read)?;
            let stored = stored.unwrap_or_default();
            let same = tile.hashes.iter().zip(&stored).take_while(|(a, b)| a == b);
            let same = same.count() as u64;
            if same < u64::from(TILE_WIDTH) && self.suspect.is_none() {
                let first = tile.id.n * u64::from(TILE_WIDTH) + same;
                let height = TILE_HEIGHT * u32::from(tile.id.level);
                self.suspect = Some((tile, first << height..(first + 1) << height));
            }
        }
        Ok(())
    }

    fn conclude(&mut self, want: Head) -> Result<(), OpenError> {
        let size = want.size;
        match self.suspect.take() {
            suspect if self.tree.root() != want.root => Err(OpenError::RootDiffers {
                size,
                within: suspect.map(|(_, within)| within),
            }),
            Some((tile, _)) => Err(OpenError::TileDamaged {
                level: tile.id.level,
                n: tile.id.n,
            }),
            None => Ok(()),
        }
    }
}

type Reading = tokio::task::JoinHandle<Result<Vec<StoredLeaf>, StoreError>>;

/// Starts reading the leaves from `from` on, none at or beyond `end`.
fn read_ahead<S: Store>(store: &Arc<S>, from: u64, end: u64) -> Reading {
    let store = Arc::clone(store);
    let limit = end.saturating_sub(from).min(CHUNK) as u32;
    tokio::spawn(async move {
        if limit == 0 {
            return Ok(Vec::new());
        }
        let mut leaves = store.read(from, limit).await?;
        leaves.retain(|leaf| leaf.index < end);
        Ok(leaves)
    })
}
