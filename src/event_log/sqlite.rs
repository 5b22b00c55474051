//! The log in one SQLite file: WAL, flushed on every commit, deleted bytes overwritten. One
//! connection writes; a few read beside it. The head is one row, and moving it is the
//! compare-and-swap that orders everything.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteRow,
    SqliteSynchronous,
};
use sqlx::{Connection as _, Row as _, Sqlite, SqliteConnection, Transaction};
use tokio::sync::Mutex;

use super::merkle::Hash;
use super::store::{
    AppendError, Batch, Head, NewLeaf, SideWrite, Store, StoreError, StoredHead, StoredLeaf,
};
use super::tiles::{Tile, TileId};

/// A read stops after this many bytes of leaves.
const READ_BYTES: usize = 8 << 20;
/// Leaves that are read as one row: at most 32 MiB, if all have the greatest length.
const PACKED: u32 = 512;

const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS leaves (idx INTEGER PRIMARY KEY, hash BLOB NOT NULL, bytes BLOB NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS tiles (level INTEGER NOT NULL, n INTEGER NOT NULL, hashes BLOB NOT NULL,
    PRIMARY KEY (level, n)) STRICT;
CREATE TABLE IF NOT EXISTS side (namespace TEXT NOT NULL, key BLOB NOT NULL, value BLOB NOT NULL,
    PRIMARY KEY (namespace, key)) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS head (id INTEGER PRIMARY KEY CHECK (id = 1), size INTEGER NOT NULL,
    root BLOB NOT NULL, checkpoint TEXT NOT NULL) STRICT;
";

/// A log in a SQLite file.
#[derive(Debug)]
pub struct SqliteStore {
    writer: Mutex<SqliteConnection>,
    readers: SqlitePool,
}

impl SqliteStore {
    /// Opens the file, making it (closed to other users) and its tables if they are not there.
    pub async fn open(path: &Path) -> Result<Self, StoreError> {
        close_to_others(path).map_err(failed("creating the log's file"))?;
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .pragma("secure_delete", "ON")
            .busy_timeout(Duration::from_secs(5));
        let opening = "opening the log's file";
        let mut writer = SqliteConnection::connect_with(&options)
            .await
            .map_err(failed(opening))?;
        sqlx::raw_sql(SCHEMA)
            .execute(&mut writer)
            .await
            .map_err(failed("making the log's tables"))?;
        sqlx::query("INSERT OR IGNORE INTO head VALUES (1, 0, ?, '')")
            .bind(Head::EMPTY.root.to_vec())
            .execute(&mut writer)
            .await
            .map_err(failed("making the log's tables"))?;
        let readers = SqlitePoolOptions::new()
            .max_connections(4)
            .test_before_acquire(false)
            .connect_with(options)
            .await
            .map_err(failed(opening))?;
        Ok(Self {
            writer: Mutex::new(writer),
            readers,
        })
    }

    /// Closes all connections, folding the write-ahead file into the database.
    pub async fn close(self) -> Result<(), StoreError> {
        self.readers.close().await;
        let closed = self.writer.into_inner().close().await;
        closed.map_err(failed("closing the log's file"))
    }
}

impl Store for SqliteStore {
    async fn append(&self, expected: Head, batch: Batch) -> Result<(), AppendError> {
        let mut writer = self.writer.lock().await;
        let mut tx = writer
            .begin_with("BEGIN IMMEDIATE")
            .await
            .map_err(refused)?;
        let moved = sqlx::query(
            "UPDATE head SET size = ?1, root = ?2, checkpoint = ?3
             WHERE size = ?4 AND root = ?5 AND (size < ?1 OR checkpoint = '')",
        )
        .bind(to_i64(batch.new_size))
        .bind(batch.new_root.to_vec())
        .bind(batch.checkpoint)
        .bind(to_i64(expected.size))
        .bind(expected.root.to_vec())
        .execute(&mut *tx)
        .await
        .map_err(refused)?;
        if moved.rows_affected() == 0 {
            let actual = read_head(&mut *tx).await.map_err(refused)?;
            tx.rollback().await.map_err(refused)?;
            return Err(AppendError::Conflict {
                actual: actual.head,
            });
        }
        insert_leaves(&mut tx, expected.size, batch.leaves)
            .await
            .map_err(refused)?;
        insert_tiles(&mut tx, batch.tiles).await.map_err(refused)?;
        apply_side(&mut tx, batch.side).await.map_err(refused)?;
        tx.commit()
            .await
            .map_err(|e| AppendError::Unknown(e.into()))
    }

    async fn head(&self) -> Result<StoredHead, StoreError> {
        read_head(&self.readers)
            .await
            .map_err(failed("reading the log's head"))
    }

    async fn read(&self, from: u64, limit: u32) -> Result<Vec<StoredLeaf>, StoreError> {
        let reading = "reading leaves";
        let (mut leaves, mut bytes) = (Vec::new(), 0);
        let mut next = from;
        while leaves.len() < limit as usize && bytes < READ_BYTES {
            let want = (limit - leaves.len() as u32).min(PACKED);
            let packed = read_packed(&self.readers, next, want).await;
            let more = match packed.map_err(failed(reading))?.unpack() {
                Some(more) => more,
                None => {
                    let rows = read_rows(&self.readers, next, want).await;
                    rows.map_err(failed(reading))?
                }
            };
            let Some(last) = more.last() else { break };
            next = last.index.saturating_add(1);
            bytes += more.iter().map(|leaf| leaf.bytes.len()).sum::<usize>();
            let was_last = more.len() < want as usize;
            leaves.extend(more);
            if was_last {
                break;
            }
        }
        Ok(leaves)
    }

    async fn leaf_hashes(&self, from: u64, limit: u32) -> Result<Vec<Hash>, StoreError> {
        // One row and not one for each hash, as in `read_packed`.
        let hashes: Option<Vec<u8>> = sqlx::query_scalar(
            "SELECT CAST(group_concat(hash, '') AS BLOB)
             FROM (SELECT hash FROM leaves WHERE idx >= ? AND idx < ? ORDER BY idx)",
        )
        .bind(to_i64(from))
        .bind(to_i64(from.saturating_add(limit.into())))
        .fetch_one(&self.readers)
        .await
        .map_err(failed("reading leaf hashes"))?;
        Ok(hashes.unwrap_or_default().as_chunks().0.to_vec())
    }

    async fn tile(&self, id: TileId) -> Result<Option<Vec<Hash>>, StoreError> {
        let bytes: Option<Vec<u8>> =
            sqlx::query_scalar("SELECT hashes FROM tiles WHERE level = ? AND n = ?")
                .bind(id.level)
                .bind(to_i64(id.n))
                .fetch_optional(&self.readers)
                .await
                .map_err(failed("reading a tile"))?;
        Ok(bytes.and_then(|bytes| Tile::from_bytes(&bytes)))
    }

    async fn write_side(&self, writes: Vec<SideWrite>) -> Result<(), StoreError> {
        let writing = "writing beside the log";
        let mut writer = self.writer.lock().await;
        let mut tx = writer
            .begin_with("BEGIN IMMEDIATE")
            .await
            .map_err(failed(writing))?;
        apply_side(&mut tx, writes).await.map_err(failed(writing))?;
        tx.commit().await.map_err(failed(writing))
    }

    async fn get_side(&self, namespace: &str, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        sqlx::query_scalar("SELECT value FROM side WHERE namespace = ? AND key = ?")
            .bind(namespace)
            .bind(key)
            .fetch_optional(&self.readers)
            .await
            .map_err(failed("reading beside the log"))
    }

    async fn scan_side(&self, namespace: &str) -> Result<Vec<(Vec<u8>, Vec<u8>)>, StoreError> {
        sqlx::query_as("SELECT key, value FROM side WHERE namespace = ? ORDER BY key")
            .bind(namespace)
            .fetch_all(&self.readers)
            .await
            .map_err(failed("reading beside the log"))
    }
}

/// All leaves in one statement of four values, whatever their number: one prepared statement for
/// ever, where a row of values for each leaf took twice as long. The leaves travel end to end
/// in one blob, and `json_each` says where each starts and how long it is.
async fn insert_leaves(
    tx: &mut Transaction<'_, Sqlite>,
    first: u64,
    leaves: Vec<NewLeaf>,
) -> sqlx::Result<()> {
    if leaves.is_empty() {
        return Ok(());
    }
    let total: usize = leaves.iter().map(|leaf| leaf.bytes.len()).sum();
    let mut hashes = Vec::with_capacity(leaves.len() * 32);
    // One byte in front: of an empty blob, SQLite's substr yields NULL and not an empty one.
    let mut bytes = Vec::with_capacity(1 + total);
    bytes.push(0);
    let mut places = String::with_capacity(leaves.len() * 12);
    for leaf in &leaves {
        let place = (bytes.len() << 16) | leaf.bytes.len();
        let separator = if places.is_empty() { '[' } else { ',' };
        write!(places, "{separator}{place}").expect("a String takes all");
        hashes.extend_from_slice(&leaf.hash);
        bytes.extend_from_slice(&leaf.bytes);
    }
    places.push(']');
    sqlx::query(
        "INSERT INTO leaves (idx, hash, bytes)
         SELECT ?1 + key, substr(?2, 32 * key + 1, 32), substr(?3, (value >> 16) + 1, value & 65535)
         FROM json_each(?4)",
    )
    .bind(to_i64(first))
    .bind(hashes)
    .bind(bytes)
    .bind(places)
    .execute(&mut **tx)
    .await?;
    Ok(())
}

async fn insert_tiles(tx: &mut Transaction<'_, Sqlite>, tiles: Vec<Tile>) -> sqlx::Result<()> {
    for tile in tiles {
        sqlx::query("INSERT INTO tiles (level, n, hashes) VALUES (?, ?, ?)")
            .bind(tile.id.level)
            .bind(to_i64(tile.id.n))
            .bind(Tile::to_bytes(&tile.hashes))
            .execute(&mut **tx)
            .await?;
    }
    Ok(())
}

async fn apply_side(tx: &mut Transaction<'_, Sqlite>, writes: Vec<SideWrite>) -> sqlx::Result<()> {
    let mut puts = Puts::default();
    for write in writes {
        match write {
            SideWrite::Put {
                namespace,
                key,
                value,
            } => {
                if namespace != puts.namespace {
                    std::mem::take(&mut puts).apply(tx).await?;
                    puts.namespace = namespace;
                }
                puts.add(&key, &value);
            }
            SideWrite::Delete { namespace, key } => {
                std::mem::take(&mut puts).apply(tx).await?;
                sqlx::query("DELETE FROM side WHERE namespace = ? AND key = ?")
                    .bind(namespace)
                    .bind(key)
                    .execute(&mut **tx)
                    .await?;
            }
        }
    }
    puts.apply(tx).await
}

/// Values of one namespace, put in one statement as the leaves are: a batch has one for every secret that was made.
#[derive(Default)]
struct Puts {
    namespace: &'static str,
    /// Keys and values, one after the other, behind one byte.
    bytes: Vec<u8>,
    /// Where each key begins and how long it is, and the same of its value.
    places: String,
}

impl Puts {
    fn add(&mut self, key: &[u8], value: &[u8]) {
        if self.bytes.is_empty() {
            self.bytes.push(0);
        }
        let (start, middle) = (self.bytes.len() + 1, self.bytes.len() + 1 + key.len());
        let separator = if self.places.is_empty() { '[' } else { ',' };
        let (key_length, length) = (key.len(), value.len());
        write!(
            self.places,
            "{separator}[{start},{key_length},{middle},{length}]"
        )
        .expect("a String takes all");
        self.bytes.extend_from_slice(key);
        self.bytes.extend_from_slice(value);
    }

    async fn apply(mut self, tx: &mut Transaction<'_, Sqlite>) -> sqlx::Result<()> {
        if self.places.is_empty() {
            return Ok(());
        }
        self.places.push(']');
        sqlx::query(
            "INSERT INTO side (namespace, key, value)
             SELECT ?1, substr(?2, value ->> 0, value ->> 1), substr(?2, value ->> 2, value ->> 3)
             FROM json_each(?3) WHERE true ORDER BY json_each.key
             ON CONFLICT DO UPDATE SET value = excluded.value",
        )
        .bind(self.namespace)
        .bind(self.bytes)
        .bind(self.places)
        .execute(&mut **tx)
        .await?;
        Ok(())
    }
}

/// Leaves in one row: the driver's cost of a row is several times that of reading and hashing a
/// leaf. The bytes pass through `group_concat` unchanged, for SQLite concatenates blobs by length.
struct Packed {
    /// `index:length` of each leaf, with commas between.
    places: String,
    hashes: Vec<u8>,
    bytes: Vec<u8>,
}

impl Packed {
    /// The leaves; `None` if the lengths do not add up, as when a stored hash was cut.
    fn unpack(&self) -> Option<Vec<StoredLeaf>> {
        let (hashes, rest) = self.hashes.as_chunks::<32>();
        let mut hashes = hashes.iter();
        let mut bytes = self.bytes.as_slice();
        let mut leaves: Vec<StoredLeaf> = Vec::with_capacity(hashes.len());
        for place in self.places.split_terminator(',') {
            let (index, length) = place.split_once(':')?;
            let (leaf, after) = bytes.split_at_checked(length.parse().ok()?)?;
            bytes = after;
            leaves.push(StoredLeaf {
                index: index.parse().ok()?,
                hash: *hashes.next()?,
                bytes: leaf.to_vec(),
            });
        }
        let whole = rest.is_empty() && hashes.len() == 0 && bytes.is_empty();
        (whole && leaves.is_sorted_by_key(|leaf| leaf.index)).then_some(leaves)
    }
}

async fn read_packed(readers: &SqlitePool, from: u64, limit: u32) -> sqlx::Result<Packed> {
    let row = sqlx::query(
        "SELECT group_concat(idx || ':' || length(bytes), ','), CAST(group_concat(hash, '') AS BLOB),
                CAST(group_concat(bytes, '') AS BLOB)
         FROM (SELECT idx, hash, bytes FROM leaves WHERE idx >= ? ORDER BY idx LIMIT ?)",
    )
    .bind(to_i64(from))
    .bind(limit)
    .fetch_one(readers)
    .await?;
    let places: Option<String> = row.try_get(0)?;
    let (hashes, bytes): (Option<Vec<u8>>, Option<Vec<u8>>) = (row.try_get(1)?, row.try_get(2)?);
    Ok(Packed {
        places: places.unwrap_or_default(),
        hashes: hashes.unwrap_or_default(),
        bytes: bytes.unwrap_or_default(),
    })
}

/// The same, a row for each leaf: what is damaged is yielded as it is.
async fn read_rows(readers: &SqlitePool, from: u64, limit: u32) -> sqlx::Result<Vec<StoredLeaf>> {
    let rows =
        sqlx::query("SELECT idx, hash, bytes FROM leaves WHERE idx >= ? ORDER BY idx LIMIT ?")
            .bind(to_i64(from))
            .bind(limit)
            .fetch_all(readers)
            .await?;
    rows.iter().map(stored_leaf).collect()
}

async fn read_head<'c>(on: impl sqlx::Executor<'c, Database = Sqlite>) -> sqlx::Result<StoredHead> {
    let row = sqlx::query("SELECT size, root, checkpoint FROM head WHERE id = 1");
    let row = row.fetch_one(on).await?;
    Ok(StoredHead {
        head: Head {
            size: to_u64(row.try_get("size")?),
            root: to_hash(row.try_get("root")?),
        },
        checkpoint: row.try_get("checkpoint")?,
    })
}

fn stored_leaf(row: &SqliteRow) -> sqlx::Result<StoredLeaf> {
    Ok(StoredLeaf {
        index: to_u64(row.try_get(0)?),
        hash: to_hash(row.try_get(1)?),
        bytes: row.try_get(2)?,
    })
}

/// SQLite's integers are signed; no log comes near 2^63 leaves.
fn to_i64(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

/// A negative index or size can only be damage, and no such leaf is ever expected.
fn to_u64(n: i64) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}

/// A stored hash of another length can only be damage: as zeros it matches no leaf.
fn to_hash(bytes: &[u8]) -> Hash {
    bytes.try_into().unwrap_or([0; 32])
}

fn refused(source: sqlx::Error) -> AppendError {
    AppendError::Refused(source.into())
}

fn failed<E: Into<super::store::BoxError>>(attempted: &'static str) -> impl Fn(E) -> StoreError {
    move |source| StoreError::new(attempted, source)
}

#[cfg(unix)]
fn close_to_others(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut options = std::fs::OpenOptions::new();
    options.create(true).append(true).mode(0o600).open(path)?;
    Ok(())
}

#[cfg(not(unix))]
fn close_to_others(_: &Path) -> std::io::Result<()> {
    Ok(())
}
