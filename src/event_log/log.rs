//! The log: one writer that hashes, signs and stores, and readers that never wait for it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use parking_lot::RwLock;
use tokio::sync::Mutex;

use super::checkpoint::{Checkpoint, SigningKey, VerifierKey};
use super::merkle::{Hash, leaf_hash};
use super::opening::{check_stored, head_of};
use super::proof::{ConsistencyProof, InclusionProof, ProofPlan};
use super::store::{AppendError, Batch, Head, NewLeaf, SideWrite, Store, StoreError, StoredLeaf};
use super::tiles::{MAX_LEAF, TILE_WIDTH, Tile, TileId, TileKind, TilePath, Tree};

pub use super::opening::OpenError;

/// Why the log could not answer.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The store could not be read.
    #[error("reading the log")]
    Store(#[source] StoreError),
    /// There is no such leaf, or no tree of such a size yet.
    #[error("{asked} is outside a log of {size} leaves")]
    OutsideLog { asked: u64, size: u64 },
    /// The older size is the larger one.
    #[error("there is no proof from {old} to {new}: the older tree is the larger")]
    Reversed { old: u64, new: u64 },
    /// A tile that must be stored is not, or is not whole: the store was damaged since it was opened.
    #[error("tile {n} of level {level} is missing from the store")]
    TileMissing { level: u8, n: u64 },
    /// A leaf that must be stored is not.
    #[error("leaf {index} is missing from the store")]
    LeafMissing { index: u64 },
}

/// An acknowledged append: durable, and covered by the checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Appended {
    /// The index of the first leaf of the batch; the others follow without gaps.
    pub first_index: u64,
    /// Signed, and stored in the same transaction.
    pub checkpoint: Arc<Checkpoint>,
}

impl Appended {
    /// The head after the append.
    pub fn head(&self) -> Head {
        self.checkpoint.head
    }
}

/// What a reload found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reloaded {
    /// The checkpoint that is stored now.
    pub checkpoint: Arc<Checkpoint>,
    /// Whether the append that ended in [`AppendError::Unknown`] (or was cancelled) is in the log.
    /// `None` if there was none.
    pub landed: Option<bool>,
}

/// What readers see: always a head that is stored and signed.
#[derive(Debug)]
struct Published {
    tree: Tree,
    checkpoint: Arc<Checkpoint>,
}

/// A log under one origin and key.
#[derive(Debug)]
pub struct Log<S> {
    store: Arc<S>,
    key: SigningKey,
    /// Held while writing. Within: the head of an append whose fate is not known.
    in_doubt: Mutex<Option<Head>>,
    published: RwLock<Arc<Published>>,
}

impl<S: Store> Log<S> {
    /// Opens the log in `store` under the key, whose name is the origin, and trusts nothing stored:
    /// every leaf is hashed again, the root compared with the signed checkpoint's. Each leaf goes to
    /// `on_leaf` with its index as it is read, so *before* the root over all of them is known: what
    /// was folded is to be used only if this returns `Ok`. A store never written to gets a signed
    /// checkpoint of the empty log.
    pub async fn open(
        store: Arc<S>,
        key: SigningKey,
        mut on_leaf: impl FnMut(u64, &[u8]) + Send,
    ) -> Result<Self, OpenError> {
        let stored = store.head().await.map_err(OpenError::Read)?;
        if stored.head == Head::EMPTY && stored.checkpoint.is_empty() {
            let found = store.read(0, 1).await.map_err(OpenError::Read)?;
            if let Some(leaf) = found.first() {
                return Err(OpenError::LeafBeyondHead { index: leaf.index });
            }
            let first = Batch {
                new_root: Head::EMPTY.root,
                checkpoint: Checkpoint::sign(&key, Head::EMPTY).note,
                ..Batch::default()
            };
            match store.append(Head::EMPTY, first).await {
                // Somebody else started it meanwhile; the check tells whether under this key.
                Ok(()) | Err(AppendError::Conflict { .. }) => {}
                Err(error) => return Err(OpenError::Start(error)),
            }
        }
        let vkey = key.verifier_key();
        let checked = check_stored(&store, vkey, Tree::new(), None, &mut on_leaf).await?;
        let published = Arc::new(Published {
            tree: checked.tree,
            checkpoint: Arc::new(checked.checkpoint),
        });
        Ok(Self {
            store,
            key,
            in_doubt: Mutex::new(None),
            published: RwLock::new(published),
        })
    }

    /// Appends the leaves, in order, together with the side writes: all of it or nothing. On `Ok` it
    /// is durable under a signed checkpoint. On [`AppendError::Conflict`] another writer was first:
    /// [`Log::reload`] hands over its leaves. On [`AppendError::Unknown`], and when this call is
    /// cancelled, nothing more is appended until a reload has told whether the batch landed.
    pub async fn append(
        &self,
        leaves: Vec<Vec<u8>>,
        side: Vec<SideWrite>,
    ) -> Result<Appended, AppendError> {
        if leaves.is_empty() {
            return Err(AppendError::NoLeaves);
        }
        if let Some(position) = leaves.iter().position(|leaf| leaf.len() > MAX_LEAF) {
            let length = leaves[position].len();
            return Err(AppendError::LeafTooLong { position, length });
        }
        let mut in_doubt = self.in_doubt.lock().await;
        if in_doubt.is_some() {
            return Err(AppendError::ReloadFirst);
        }
        let before = self.published();
        let expected = before.checkpoint.head;
        let mut tree = before.tree.clone();
        let mut tiles = Vec::new();
        let mut keep = |tile: Tile| {
            if tile.id.level > 0 {
                tiles.push(tile);
            }
        };
        let leaves = leaves
            .into_iter()
            .map(|bytes| {
                let hash = leaf_hash(&bytes);
                tree.push(hash, &mut keep);
                NewLeaf { hash, bytes }
            })
            .collect();
        let head = head_of(&tree);
        let checkpoint = Checkpoint::sign(&self.key, head);
        let batch = Batch {
            leaves,
            tiles,
            new_size: head.size,
            new_root: head.root,
            checkpoint: checkpoint.note.clone(),
            side,
        };
        // In doubt while the store has it: should this future be dropped here, it stays so.
        *in_doubt = Some(head);
        let stored = self.store.append(expected, batch).await;
        if !matches!(stored, Err(AppendError::Unknown(_))) {
            *in_doubt = None;
        }
        stored?;
        let checkpoint = Arc::new(checkpoint);
        *self.published.write() = Arc::new(Published {
            tree,
            checkpoint: Arc::clone(&checkpoint),
        });
        Ok(Appended {
            first_index: expected.size,
            checkpoint,
        })
    }

    /// Reads what the store holds beyond the head known here, checks it as [`Log::open`] does, and
    /// hands its leaves to `on_leaf`; then tells what became of an append in doubt.
    pub async fn reload(
        &self,
        mut on_leaf: impl FnMut(u64, &[u8]) + Send,
    ) -> Result<Reloaded, OpenError> {
        let mut in_doubt = self.in_doubt.lock().await;
        let tree = self.published().tree.clone();
        let vkey = self.key.verifier_key();
        let checked = check_stored(&self.store, vkey, tree, *in_doubt, &mut on_leaf).await?;
        let checkpoint = Arc::new(checked.checkpoint);
        *self.published.write() = Arc::new(Published {
            tree: checked.tree,
            checkpoint: Arc::clone(&checkpoint),
        });
        let landed = in_doubt.take().map(|_| checked.passed);
        Ok(Reloaded { checkpoint, landed })
    }

    /// The latest checkpoint, as signed and stored.
    pub fn checkpoint(&self) -> Arc<Checkpoint> {
        Arc::clone(&self.published().checkpoint)
    }

    /// The latest head.
    pub fn head(&self) -> Head {
        self.published().checkpoint.head
    }

    /// The key to give to whoever verifies; its name is the origin.
    pub fn verifier_key(&self) -> &VerifierKey {
        self.key.verifier_key()
    }

    /// The store, for what is kept beside the log.
    pub fn store(&self) -> &Arc<S> {
        &self.store
    }

    /// At most `limit` leaves from `from` on, none beyond the latest checkpoint. It may stop short
    /// of `limit`, but not at none while there are any.
    pub async fn leaves(&self, from: u64, limit: u32) -> Result<Vec<StoredLeaf>, ReadError> {
        let size = self.head().size;
        let limit = size.saturating_sub(from).min(limit.into()) as u32;
        if limit == 0 {
            return Ok(Vec::new());
        }
        let leaves = self
            .store
            .read(from, limit)
            .await
            .map_err(ReadError::Store)?;
        let gap = (from..).zip(&leaves).find(|(want, l)| l.index != *want);
        match (gap, leaves.is_empty()) {
            (Some((index, _)), _) => Err(ReadError::LeafMissing { index }),
            (None, true) => Err(ReadError::LeafMissing { index: from }),
            (None, false) => Ok(leaves),
        }
    }

    /// Proves that leaf `index` is in the tree of `size` leaves, which is any up to the latest.
    pub async fn inclusion_proof(
        &self,
        index: u64,
        size: u64,
    ) -> Result<InclusionProof, ReadError> {
        let published = self.published();
        published.covers(size)?;
        let plan = ProofPlan::inclusion(index, size);
        let plan = plan.ok_or(ReadError::OutsideLog { asked: index, size })?;
        let hashes = self.build(&published, &plan).await?;
        Ok(InclusionProof {
            index,
            size,
            hashes,
        })
    }

    /// Proves that the tree of `old` leaves is a prefix of that of `new`, any up to the latest.
    pub async fn consistency_proof(
        &self,
        old: u64,
        new: u64,
    ) -> Result<ConsistencyProof, ReadError> {
        let published = self.published();
        published.covers(new)?;
        let plan = ProofPlan::consistency(old, new).ok_or(ReadError::Reversed { old, new })?;
        let hashes = self.build(&published, &plan).await?;
        Ok(ConsistencyProof { old, new, hashes })
    }

    /// The root at an earlier size.
    pub async fn root_at(&self, size: u64) -> Result<Hash, ReadError> {
        let published = self.published();
        published.covers(size)?;
        let root = self.build(&published, &ProofPlan::root(size)).await?;
        Ok(root.first().copied().unwrap_or(Head::EMPTY.root))
    }

    /// A leaf's receipt that stands by itself: `c2sp.org/tlog-proof@v1` text with the latest
    /// checkpoint in it.
    pub async fn proof_note(&self, index: u64) -> Result<String, ReadError> {
        let published = self.published();
        let size = published.checkpoint.head.size;
        let plan = ProofPlan::inclusion(index, size);
        let plan = plan.ok_or(ReadError::OutsideLog { asked: index, size })?;
        let hashes = self.build(&published, &plan).await?;
        let mut note = format!("c2sp.org/tlog-proof@v1\nindex {index}\n");
        for hash in hashes {
            writeln!(note, "{}", BASE64.encode(hash)).expect("a String takes all");
        }
        note.push('\n');
        note.push_str(&published.checkpoint.note);
        Ok(note)
    }

    /// What `tile/{path}` serves: hashes, or a bundle of leaves. `None` if the latest tree has not
    /// so many.
    pub async fn tile(&self, path: TilePath) -> Result<Option<Vec<u8>>, ReadError> {
        let TileKind::Hashes(level) = path.kind else {
            return self.entries(path.n, path.width).await;
        };
        let published = self.published();
        let id = TileId { level, n: path.n };
        if id.width_at(published.tree.size()) < path.width {
            return Ok(None);
        }
        let hashes = self.tile_hashes(&published, id).await?;
        Ok(Some(Tile::to_bytes(&hashes[..path.width.into()])))
    }

    /// The first `width` leaves of bundle `n`: each its length in two bytes, big-endian, and itself.
    /// `None` if the latest tree has not so many.
    pub async fn entries(&self, n: u64, width: u16) -> Result<Option<Vec<u8>>, ReadError> {
        let id = TileId { level: 0, n };
        if id.width_at(self.head().size) < width {
            return Ok(None);
        }
        let (mut at, mut bundle) = (n * u64::from(TILE_WIDTH), Vec::new());
        let end = at + u64::from(width);
        while at < end {
            for leaf in self.leaves(at, (end - at) as u32).await? {
                let fits = super::tiles::push_bundle_entry(&mut bundle, &leaf.bytes);
                if !fits {
                    return Err(ReadError::LeafMissing { index: leaf.index });
                }
                at += 1;
            }
        }
        Ok(Some(bundle))
    }

    fn published(&self) -> Arc<Published> {
        Arc::clone(&self.published.read())
    }

    async fn build(&self, published: &Published, plan: &ProofPlan) -> Result<Vec<Hash>, ReadError> {
        let mut tiles = BTreeMap::new();
        for id in plan.tiles() {
            tiles.insert(id, self.tile_hashes(published, id).await?);
        }
        plan.build(&tiles).map_err(missing)
    }

    /// All hashes that the tile has in the published tree.
    async fn tile_hashes(&self, published: &Published, id: TileId) -> Result<Vec<Hash>, ReadError> {
        if let Some(hashes) = published.tree.edge_tile(id) {
            return Ok(hashes.to_vec());
        }
        let width = u64::from(TILE_WIDTH);
        let hashes = if id.level == 0 {
            self.store
                .leaf_hashes(id.n * width, TILE_WIDTH.into())
                .await
        } else {
            self.store.tile(id).await.map(Option::unwrap_or_default)
        };
        let hashes = hashes.map_err(ReadError::Store)?;
        if hashes.len() == usize::from(TILE_WIDTH) {
            Ok(hashes)
        } else {
            Err(missing(id))
        }
    }
}

fn missing(TileId { level, n }: TileId) -> ReadError {
    ReadError::TileMissing { level, n }
}

impl Published {
    fn covers(&self, asked: u64) -> Result<(), ReadError> {
        let size = self.checkpoint.head.size;
        if asked <= size {
            Ok(())
        } else {
            Err(ReadError::OutsideLog { asked, size })
        }
    }
}
