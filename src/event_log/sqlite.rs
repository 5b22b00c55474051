//! The log in one SQLite file: WAL, flushed on every commit, deleted bytes overwritten. One
//! connection writes; a few read beside it. The head is one row, and moving it is the
//! compare-and-swap that orders everything.

use std::path::Path;
use std::time::Duration;

use futures_util::TryStreamExt as _;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteRow,
    SqliteSynchronous,
};
use sqlx::{Connection as _, QueryBuilder, Row as _, Sqlite, SqliteConnection, Transaction};
use tokio::sync::Mutex;

use super::merkle::Hash;
use super::store::{
    AppendError, Batch, Head, NewLeaf, SideWrite, Store, StoreError, StoredHead, StoredLeaf,
};
use super::tiles::{Tile, TileId};

/// Leaves are inserted by this many rows a statement and halves of it, so that few distinct
/// statements are ever prepared. Three values a row: far below SQLite's limit of 32,766.
const MOST_ROWS: usize = 256;
/// A read stops after this many bytes of leaves.
const READ_BYTES: usize = 8 << 20;
/// Rows that the driver's thread may run ahead of the reader.
const ROWS_AHEAD: usize = 2048;

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
            .busy_timeout(Duration::from_secs(5))
            .row_buffer_size(ROWS_AHEAD);
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
        let mut rows =
            sqlx::query("SELECT idx, hash, bytes FROM leaves WHERE idx >= ? ORDER BY idx LIMIT ?")
                .bind(to_i64(from))
                .bind(limit)
                .fetch(&self.readers);
        let (mut leaves, mut bytes) = (Vec::new(), 0);
        while bytes < READ_BYTES
            && let Some(row) = rows.try_next().await.map_err(failed(reading))?
        {
            let leaf = stored_leaf(&row).map_err(failed(reading))?;
            bytes += leaf.bytes.len();
            leaves.push(leaf);
        }
        Ok(leaves)
    }

    async fn leaf_hashes(&self, from: u64, limit: u32) -> Result<Vec<Hash>, StoreError> {
        let rows: Vec<Vec<u8>> =
            sqlx::query_scalar("SELECT hash FROM leaves WHERE idx >= ? ORDER BY idx LIMIT ?")
                .bind(to_i64(from))
                .bind(limit)
                .fetch_all(&self.readers)
                .await
                .map_err(failed("reading leaf hashes"))?;
        Ok(rows.iter().map(|hash| to_hash(hash)).collect())
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

async fn insert_leaves(
    tx: &mut Transaction<'_, Sqlite>,
    first: u64,
    leaves: Vec<NewLeaf>,
) -> sqlx::Result<()> {
    let mut index = to_i64(first);
    let mut leaves = leaves.into_iter();
    while leaves.len() > 0 {
        let rows = (1 << leaves.len().ilog2()).min(MOST_ROWS);
        let mut insert = QueryBuilder::new("INSERT INTO leaves (idx, hash, bytes) ");
        insert.push_values(leaves.by_ref().take(rows), |mut row, leaf| {
            row.push_bind(index)
                .push_bind(leaf.hash.to_vec())
                .push_bind(leaf.bytes);
            index += 1;
        });
        insert.build().execute(&mut **tx).await?;
    }
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
    for write in writes {
        let query = match write {
            SideWrite::Put {
                namespace,
                key,
                value,
            } => sqlx::query(
                "INSERT INTO side (namespace, key, value) VALUES (?, ?, ?)
                 ON CONFLICT DO UPDATE SET value = excluded.value",
            )
            .bind(namespace)
            .bind(key)
            .bind(value),
            SideWrite::Delete { namespace, key } => {
                sqlx::query("DELETE FROM side WHERE namespace = ? AND key = ?")
                    .bind(namespace)
                    .bind(key)
            }
        };
        query.execute(&mut **tx).await?;
    }
    Ok(())
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
