//! What a store of the log must promise. It keeps bytes; hashing, signing and checking are the
//! log's. `super::conformance` is the test of these promises.

use std::future::Future;

use super::merkle::Hash;
use super::tiles::{Tile, TileId};

pub use super::checkpoint::Head;

/// Whatever a database driver says.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// A leaf as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredLeaf {
    /// Position in the log, from 0.
    pub index: u64,
    /// The leaf hash that was stored beside the bytes.
    pub hash: Hash,
    /// The leaf.
    pub bytes: Vec<u8>,
}

/// A leaf to be appended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewLeaf {
    /// RFC 6962 leaf hash of the bytes.
    pub hash: Hash,
    /// At most 65,535 bytes.
    pub bytes: Vec<u8>,
}

/// A small value kept beside the log: a reactor's cursor, a lease, a cached answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SideWrite {
    /// Sets `key` in `namespace` to `value`.
    Put {
        namespace: &'static str,
        key: Vec<u8>,
        value: Vec<u8>,
    },
    /// Removes `key` from `namespace`, if it is there.
    Delete {
        namespace: &'static str,
        key: Vec<u8>,
    },
}

/// All that one append writes, in one transaction.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// The leaves, in order, from the expected head's size on. Empty only in the very first batch,
    /// whose checkpoint makes the log its key's.
    pub leaves: Vec<NewLeaf>,
    /// Tiles of level 1 and higher that these leaves complete. Level 0 is the leaf hashes.
    pub tiles: Vec<Tile>,
    /// Size after the append.
    pub new_size: u64,
    /// Root after the append.
    pub new_root: Hash,
    /// The signed checkpoint of that head.
    pub checkpoint: String,
    /// Applied in order.
    pub side: Vec<SideWrite>,
}

/// The head as it is kept, with the note that signs it (empty in a store never written to).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredHead {
    /// Size and root.
    pub head: Head,
    /// The signed checkpoint.
    pub checkpoint: String,
}

/// Why an append was not acknowledged.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// The head is another than the expected one. Nothing was written.
    #[error("the log's head has moved to {} leaves", actual.size)]
    Conflict { actual: Head },
    /// The batch may be written, whole, or not at all. Reload and compare before going on.
    #[error("writing to the log: whether it was written is not known")]
    Unknown(#[source] BoxError),
    /// Nothing was written; the same append may be tried again.
    #[error("writing to the log")]
    Refused(#[source] BoxError),
    /// An earlier append's fate is unknown, and nothing is appended before a reload has told it.
    /// Nothing was written.
    #[error("the log must be reloaded first: the fate of an earlier append is not known")]
    ReloadFirst,
    /// There was no leaf to append. Nothing was written.
    #[error("an append needs at least one leaf")]
    NoLeaves,
    /// The leaf at this position of the batch is longer than 65,535 bytes. Nothing was written.
    #[error("leaf {position} of the batch has {length} bytes, over the limit of 65535")]
    LeafTooLong { position: usize, length: usize },
}

/// A read or a side write that failed. A side write may have been done.
#[derive(Debug, thiserror::Error)]
#[error("{attempted}")]
pub struct StoreError {
    /// What was attempted.
    pub attempted: &'static str,
    #[source]
    source: BoxError,
}

impl StoreError {
    /// Wraps what the driver said while `attempted`.
    pub fn new(attempted: &'static str, source: impl Into<BoxError>) -> Self {
        Self {
            attempted,
            source: source.into(),
        }
    }
}

/// Keeps the log. Every write is durable when it returns `Ok`, and atomic whatever it returns.
pub trait Store: Send + Sync + 'static {
    /// Writes the batch if the stored head still is `expected`.
    ///
    /// `Ok`: durable, all of it. [`AppendError::Conflict`]: another append came first, nothing
    /// written. [`AppendError::Refused`]: nothing written. [`AppendError::Unknown`]: all or nothing
    /// was written; reload to learn which. Of two appends on one head at most one is ever written;
    /// a batch without leaves conflicts unless the store was never written to.
    fn append(
        &self,
        expected: Head,
        batch: Batch,
    ) -> impl Future<Output = Result<(), AppendError>> + Send;

    /// The head and its checkpoint; [`Head::EMPTY`] and an empty note in a new store.
    fn head(&self) -> impl Future<Output = Result<StoredHead, StoreError>> + Send;

    /// Leaves with `index >= from`, ascending, at most `limit`. It may stop short of `limit` to
    /// bound memory, but yields at least one if there is one. Leaves are yielded as they are
    /// stored, damaged or not: the reader checks.
    fn read(
        &self,
        from: u64,
        limit: u32,
    ) -> impl Future<Output = Result<Vec<StoredLeaf>, StoreError>> + Send;

    /// The stored leaf hashes with `index` in `from..from + limit`, ascending; fewer if leaves are
    /// missing.
    fn leaf_hashes(
        &self,
        from: u64,
        limit: u32,
    ) -> impl Future<Output = Result<Vec<Hash>, StoreError>> + Send;

    /// A complete tile of level 1 or higher; `None` if it is not stored or not 256 hashes.
    fn tile(
        &self,
        id: TileId,
    ) -> impl Future<Output = Result<Option<Vec<Hash>>, StoreError>> + Send;

    /// Applies side writes in order, in one transaction of their own.
    fn write_side(
        &self,
        writes: Vec<SideWrite>,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// The value of a key, if set.
    fn get_side(
        &self,
        namespace: &str,
        key: &[u8],
    ) -> impl Future<Output = Result<Option<Vec<u8>>, StoreError>> + Send;

    /// All keys and values of a namespace, by key.
    #[expect(clippy::type_complexity, reason = "pairs of key and value")]
    fn scan_side(
        &self,
        namespace: &str,
    ) -> impl Future<Output = Result<Vec<(Vec<u8>, Vec<u8>)>, StoreError>> + Send;

    /// One [`SideWrite::Put`].
    fn put_side(
        &self,
        namespace: &'static str,
        key: &[u8],
        value: &[u8],
    ) -> impl Future<Output = Result<(), StoreError>> + Send {
        let (key, value) = (key.to_vec(), value.to_vec());
        self.write_side(vec![SideWrite::Put {
            namespace,
            key,
            value,
        }])
    }

    /// One [`SideWrite::Delete`].
    fn delete_side(
        &self,
        namespace: &'static str,
        key: &[u8],
    ) -> impl Future<Output = Result<(), StoreError>> + Send {
        let key = key.to_vec();
        self.write_side(vec![SideWrite::Delete { namespace, key }])
    }
}
