//! What an append costs beside what it cannot be cheaper than: an append and `fdatasync` of as many
//! bytes, and plain SQLite inserts without tree or signature. And what opening a log costs.
//!
//! `cargo bench --bench append`; `VERIFY_LEAVES=1000000` for a larger log to open.

use std::hint::black_box;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use countersign::event_log::checkpoint::SigningKey;
use countersign::event_log::log::Log;
use countersign::event_log::merkle::{Frontier, leaf_hash};
use countersign::event_log::sqlite::SqliteStore;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{Connection as _, QueryBuilder, Sqlite, SqliteConnection};
use tokio::runtime::Runtime;

/// A leaf is about as long as a broker's event, in bytes.
const LEAF: usize = 300;
const BATCHES: [usize; 3] = [1, 64, 256];

fn leaves(count: usize) -> Vec<Vec<u8>> {
    vec![vec![b'e'; LEAF]; count]
}

fn runtime() -> Runtime {
    Runtime::new().expect("a runtime")
}

async fn open(path: &Path) -> Log<SqliteStore> {
    let key = SigningKey::from_seed("log.example/bench", &[1; 32]).expect("a key");
    let store = SqliteStore::open(path).await.expect("a store");
    let log = Log::open(Arc::new(store), key, |_, leaf| {
        black_box(leaf);
    });
    log.await.expect("a sound log")
}

fn floor(c: &mut Criterion) {
    let mut group = c.benchmark_group("append");
    for batch in BATCHES {
        group.throughput(Throughput::Elements(batch as u64));
        group.bench_function(format!("floor: write and fdatasync/{batch}"), |b| {
            let mut file = tempfile::tempfile().expect("a file");
            let bytes = vec![0_u8; batch * LEAF];
            b.iter(|| {
                file.write_all(&bytes).expect("written");
                file.sync_data().expect("flushed");
            });
        });
    }
    group.finish();
}

fn raw_sqlite(c: &mut Criterion) {
    let runtime = runtime();
    let folder = tempfile::tempdir().expect("a folder");
    let options = SqliteConnectOptions::new()
        .filename(folder.path().join("raw.db"))
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full);
    let mut db = runtime
        .block_on(SqliteConnection::connect_with(&options))
        .expect("a database");
    let table = "CREATE TABLE raw (id INTEGER PRIMARY KEY, bytes BLOB NOT NULL)";
    runtime
        .block_on(sqlx::raw_sql(table).execute(&mut db))
        .expect("a table");
    let mut group = c.benchmark_group("append");
    for batch in BATCHES {
        group.throughput(Throughput::Elements(batch as u64));
        group.bench_function(format!("raw SQLite insert/{batch}"), |b| {
            b.iter_custom(|rounds| {
                let batches: Vec<_> = (0..rounds).map(|_| leaves(batch)).collect();
                let start = Instant::now();
                runtime.block_on(async {
                    for batch in batches {
                        let mut insert = QueryBuilder::<Sqlite>::new("INSERT INTO raw (bytes) ");
                        insert.push_values(batch, |mut row, leaf| {
                            row.push_bind(leaf);
                        });
                        insert.build().execute(&mut db).await.expect("inserted");
                    }
                });
                start.elapsed()
            });
        });
    }
    group.finish();
}

fn log(c: &mut Criterion) {
    let runtime = runtime();
    let folder = tempfile::tempdir().expect("a folder");
    let log = runtime.block_on(open(&folder.path().join("log.db")));
    let mut group = c.benchmark_group("append");
    for batch in BATCHES {
        group.throughput(Throughput::Elements(batch as u64));
        group.bench_function(format!("log/{batch}"), |b| {
            b.iter_custom(|rounds| {
                let batches: Vec<_> = (0..rounds).map(|_| leaves(batch)).collect();
                let start = Instant::now();
                runtime.block_on(async {
                    for batch in batches {
                        log.append(batch, vec![]).await.expect("appended");
                    }
                });
                start.elapsed()
            });
        });
    }
    group.finish();
}

fn hashing(c: &mut Criterion) {
    let mut group = c.benchmark_group("hashing");
    for batch in BATCHES {
        let leaves = leaves(batch);
        group.throughput(Throughput::Elements(batch as u64));
        group.bench_function(format!("tree of a batch/{batch}"), |b| {
            b.iter(|| {
                let mut frontier = Frontier::new();
                for leaf in &leaves {
                    frontier.push(leaf_hash(leaf));
                }
                frontier.root()
            });
        });
    }
    group.finish();
}

fn cold_open(c: &mut Criterion) {
    let count: usize = std::env::var("VERIFY_LEAVES")
        .ok()
        .and_then(|count| count.parse().ok())
        .unwrap_or(100_000);
    let runtime = runtime();
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("log.db");
    runtime.block_on(async {
        let log = open(&path).await;
        for at in (0..count).step_by(5000) {
            let batch = leaves((count - at).min(5000));
            log.append(batch, vec![]).await.expect("appended");
        }
    });
    let mut group = c.benchmark_group("open");
    group
        .sample_size(10)
        .measurement_time(Duration::from_secs(20));
    group.throughput(Throughput::Elements(count as u64));
    group.bench_function(format!("verify every leaf/{count}"), |b| {
        // On a worker thread, as in the broker, so that reading and hashing run side by side.
        b.iter(|| {
            let path = path.clone();
            let opened = runtime.spawn(async move { open(&path).await.head() });
            runtime.block_on(opened).expect("opened")
        });
    });
    group.finish();
}

criterion_group!(benches, floor, raw_sqlite, log, hashing, cold_open);
criterion_main!(benches);
