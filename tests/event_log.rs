//! The log in a SQLite file: the suite for stores, and what someone with the file could try.

#![expect(clippy::unwrap_used, reason = "a test stops at its first surprise")]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use countersign::event_log::checkpoint::{NoteError, SigningKey};
use countersign::event_log::log::{Log, OpenError, ReadError};
use countersign::event_log::merkle::leaf_hash;
use countersign::event_log::sqlite::SqliteStore;
use countersign::event_log::store::Store as _;
use countersign::event_log::verify::{Verdict, Verifier, verify_growth, verify_leaves};
use countersign::event_log::{conformance, export};
use sqlx::Connection as _;

const ORIGIN: &str = "log.example/audit";

fn key() -> SigningKey {
    SigningKey::from_seed(ORIGIN, &[1; 32]).unwrap()
}

async fn open_under(path: &Path, key: SigningKey) -> Result<Log<SqliteStore>, OpenError> {
    let store = Arc::new(SqliteStore::open(path).await.unwrap());
    Log::open(store, key, |_, _| {}).await
}

async fn open(path: &Path) -> Result<Log<SqliteStore>, OpenError> {
    open_under(path, key()).await
}

fn leaves(range: std::ops::Range<u32>) -> Vec<Vec<u8>> {
    range.map(|n| format!("leaf {n}").into_bytes()).collect()
}

/// A log of `size` leaves in a file of its own, closed.
async fn written(size: u32) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.db");
    let log = open(&path).await.unwrap();
    for at in (0..size).step_by(1000) {
        log.append(leaves(at..size.min(at + 1000)), vec![])
            .await
            .unwrap();
    }
    (folder, path)
}

/// Runs statements on the file as someone with access to it would, behind the store's back.
async fn tamper(path: &Path, sql: &'static str) {
    let url = format!("sqlite://{}", path.display());
    let mut db = sqlx::SqliteConnection::connect(&url).await.unwrap();
    let done = sqlx::raw_sql(sql).execute(&mut db).await.unwrap();
    assert!(done.rows_affected() > 0, "{sql} changed nothing");
    db.close().await.unwrap();
}

async fn error_after(size: u32, sql: &'static str) -> OpenError {
    let (_folder, path) = written(size).await;
    open(&path)
        .await
        .expect("sound before it was tampered with");
    tamper(&path, sql).await;
    open(&path).await.expect_err(sql)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqlite_keeps_a_store_s_promises() {
    let folder = tempfile::tempdir().unwrap();
    let count = std::sync::atomic::AtomicUsize::new(0);
    conformance::run(|| {
        let n = count.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        let path = folder.path().join(format!("{n}.db"));
        async move { SqliteStore::open(&path).await.unwrap() }
    })
    .await;
}

#[tokio::test]
async fn a_log_is_found_again_after_a_restart() {
    let (_folder, path) = written(2500).await;
    let store = Arc::new(SqliteStore::open(&path).await.unwrap());
    let mut found = Vec::new();
    let log = Log::open(store, key(), |_, leaf| found.push(leaf.to_vec())).await;
    assert_eq!(log.unwrap().head().size, 2500);
    assert_eq!(found, leaves(0..2500));
}

#[cfg(unix)]
#[tokio::test]
async fn the_file_is_closed_to_other_users() {
    use std::os::unix::fs::PermissionsExt as _;
    let (_folder, path) = written(1).await;
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
}

#[tokio::test]
async fn a_changed_byte_is_found_and_named() {
    let error = error_after(
        300,
        "UPDATE leaves SET bytes = CAST('leaf 1O3' AS BLOB) WHERE idx = 103",
    );
    assert!(matches!(error.await, OpenError::LeafDamaged { index: 103 }));
    let error = error_after(300, "UPDATE leaves SET hash = zeroblob(32) WHERE idx = 7");
    assert!(matches!(error.await, OpenError::LeafDamaged { index: 7 }));
    let error = error_after(300, "UPDATE leaves SET hash = x'00' WHERE idx = 8");
    assert!(matches!(error.await, OpenError::LeafDamaged { index: 8 }));
}

#[tokio::test]
async fn a_deleted_leaf_is_found_and_named() {
    let error = error_after(300, "DELETE FROM leaves WHERE idx = 200").await;
    assert!(
        matches!(error, OpenError::LeafMissing { index: 200 }),
        "{error}"
    );
    let closed_up =
        "DELETE FROM leaves WHERE idx = 297; UPDATE leaves SET idx = idx - 1 WHERE idx > 297";
    let error = error_after(300, closed_up).await;
    assert!(
        matches!(
            error,
            OpenError::Truncated {
                have: 299,
                want: 300
            }
        ),
        "{error}"
    );
}

#[tokio::test]
async fn swapped_leaves_are_found_and_named_where_it_can_be_told() {
    // The bytes alone: the hashes beside them tell.
    let error = error_after(
        300,
        "UPDATE leaves SET bytes = CAST('leaf ' || (51 - idx) AS BLOB) WHERE idx IN (25, 26)",
    );
    assert!(matches!(error.await, OpenError::LeafDamaged { index: 25 }));
    // Whole rows: only the root tells, and below the first complete tile not where.
    const ROWS: &str =
        "UPDATE leaves SET idx = -1 WHERE idx = 700; UPDATE leaves SET idx = 700 WHERE idx = 701;
        UPDATE leaves SET idx = 701 WHERE idx = -1";
    let error = error_after(800, ROWS).await;
    assert!(
        matches!(
            error,
            OpenError::RootDiffers {
                size: 800,
                within: None
            }
        ),
        "{error}"
    );
    // Under a stored tile it is known to 256 leaves.
    let error = error_after(65_600, ROWS).await;
    let OpenError::RootDiffers {
        size: 65_600,
        within: Some(within),
    } = error
    else {
        panic!("{error}");
    };
    assert_eq!(within, 512..768);
}

#[tokio::test]
async fn a_cut_or_lengthened_tail_is_found() {
    let error = error_after(300, "DELETE FROM leaves WHERE idx >= 290").await;
    assert!(
        matches!(
            error,
            OpenError::Truncated {
                have: 290,
                want: 300
            }
        ),
        "{error}"
    );
    let error = error_after(300, "DELETE FROM leaves").await;
    assert!(
        matches!(error, OpenError::Truncated { have: 0, want: 300 }),
        "{error}"
    );
    let error = error_after(
        300,
        "INSERT INTO leaves SELECT 300, hash, bytes FROM leaves WHERE idx = 0",
    )
    .await;
    assert!(
        matches!(error, OpenError::LeafBeyondHead { index: 300 }),
        "{error}"
    );
    let error = error_after(300, "UPDATE head SET size = 290").await;
    assert!(matches!(error, OpenError::HeadDiffers { .. }), "{error}");
    let error = error_after(300, "UPDATE head SET size = 0, checkpoint = ''").await;
    assert!(
        matches!(error, OpenError::Checkpoint(NoteError::Malformed(_))),
        "{error}"
    );
}

#[tokio::test]
async fn a_damaged_tile_is_found_and_named() {
    let error = error_after(
        65_600,
        "UPDATE tiles SET hashes = zeroblob(8192) WHERE level = 1",
    )
    .await;
    assert!(
        matches!(error, OpenError::TileDamaged { level: 1, n: 0 }),
        "{error}"
    );
    let error = error_after(65_600, "DELETE FROM tiles").await;
    assert!(
        matches!(error, OpenError::TileDamaged { level: 1, n: 0 }),
        "{error}"
    );
}

#[tokio::test]
async fn a_foreign_key_or_origin_does_not_open_it() {
    let (_folder, path) = written(3).await;
    let other_key = SigningKey::from_seed(ORIGIN, &[2; 32]).unwrap();
    let error = open_under(&path, other_key).await.unwrap_err();
    assert!(
        matches!(error, OpenError::Checkpoint(NoteError::NotSigned(_))),
        "{error}"
    );
    let other_origin = SigningKey::from_seed("log.example/other", &[1; 32]).unwrap();
    let error = open_under(&path, other_origin).await.unwrap_err();
    assert!(
        matches!(
            error,
            OpenError::Checkpoint(NoteError::ForeignOrigin { .. })
        ),
        "{error}"
    );
    let error = error_after(
        3,
        "UPDATE head SET checkpoint = replace(checkpoint, char(10) || '3', char(10) || '4')",
    )
    .await;
    assert!(
        matches!(error, OpenError::Checkpoint(NoteError::BadSignature(_))),
        "{error}"
    );
}

#[tokio::test]
async fn a_reload_after_tampering_is_refused_and_a_restored_backup_too() {
    let (_folder, path) = written(300).await;
    let log = open(&path).await.unwrap();
    let behind = open(&path).await.unwrap();
    log.append(leaves(300..400), vec![]).await.unwrap();
    tamper(&path, "UPDATE leaves SET bytes = x'00' WHERE idx = 333").await;
    let error = behind.reload(|_, _| {}).await.unwrap_err();
    assert!(
        matches!(error, OpenError::LeafDamaged { index: 333 }),
        "{error}"
    );
    let (_old_folder, old) = written(10).await;
    let old = SqliteStore::open(&old).await.unwrap().head().await.unwrap();
    let url = format!("sqlite://{}", path.display());
    let mut db = sqlx::SqliteConnection::connect(&url).await.unwrap();
    sqlx::query("UPDATE head SET size = 10, root = ?, checkpoint = ?")
        .bind(old.head.root.to_vec())
        .bind(old.checkpoint)
        .execute(&mut db)
        .await
        .unwrap();
    let error = log.reload(|_, _| {}).await.unwrap_err();
    assert!(
        matches!(error, OpenError::Shrank { had: 400, has: 10 }),
        "{error}"
    );
}

#[tokio::test]
async fn a_cancelled_append_is_in_doubt_until_a_reload() {
    let (_folder, path) = written(10).await;
    let log = open(&path).await.unwrap();
    let append = log.append(leaves(10..20), vec![]);
    // Polled once, and dropped while the store has it.
    assert!(futures_util::FutureExt::now_or_never(append).is_none());
    let error = log.append(leaves(10..20), vec![]).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "the log must be reloaded first: the fate of an earlier append is not known"
    );
    let landed = log.reload(|_, _| {}).await.unwrap().landed.unwrap();
    let first = log
        .append(leaves(20..21), vec![])
        .await
        .unwrap()
        .first_index;
    assert_eq!(first, if landed { 20 } else { 10 });
}

#[tokio::test]
async fn leaves_damaged_while_open_are_not_proved_or_skipped() {
    let (_folder, path) = written(600).await;
    let log = open(&path).await.unwrap();
    tamper(&path, "DELETE FROM leaves WHERE idx = 599 OR idx = 5").await;
    let error = log.leaves(0, 100).await.unwrap_err();
    assert!(
        matches!(error, ReadError::LeafMissing { index: 5 }),
        "{error}"
    );
    assert!(log.entries(0, 256).await.is_err());
    let error = log.inclusion_proof(1, 600).await.unwrap_err();
    assert!(
        matches!(error, ReadError::TileMissing { level: 0, n: 0 }),
        "{error}"
    );
}

#[tokio::test]
async fn exports_are_whole_to_a_verifier_who_has_only_the_key() {
    let (_folder, path) = written(1200).await;
    let log = open(&path).await.unwrap();
    let vkey = log.verifier_key().clone();
    let pinned = log.checkpoint();
    log.append(leaves(1200..1500), vec![]).await.unwrap();
    let offered = log.checkpoint();

    let mut out = Vec::new();
    export::write_entries(&log, 1500, &mut out).await.unwrap();
    let lines: Vec<_> = std::str::from_utf8(&out).unwrap().lines().collect();
    assert_eq!(lines.len(), 1500);
    assert_eq!(lines[3], r#"{"index":3,"leaf":"bGVhZiAz"}"#);

    let verifier = Verifier::new(vkey.clone(), Some(pinned.head), &offered.note).unwrap();
    let stream =
        |leaves: Vec<Vec<u8>>| futures_util::stream::iter(leaves.into_iter().map(Ok::<_, ()>));
    let verdict = verify_leaves(verifier.clone(), stream(leaves(0..1500)))
        .await
        .unwrap();
    assert_eq!(
        verdict,
        Verdict::Whole {
            size: 1500,
            root: offered.head.root
        }
    );
    let mut altered = leaves(0..1500);
    altered[1400][0] ^= 1;
    let verdict = verify_leaves(verifier, stream(altered)).await.unwrap();
    assert_eq!(verdict, Verdict::RootDiffers { size: 1500 });

    let fetch = async |old, new| {
        log.consistency_proof(old, new)
            .await
            .map(|proof| proof.hashes)
    };
    let verdict = verify_growth(&vkey, Some(pinned.head), &offered.note, fetch)
        .await
        .unwrap();
    assert!(verdict.is_whole());
    let mut forged = pinned.head;
    forged.root = leaf_hash(b"another history");
    let verdict = verify_growth(&vkey, Some(forged), &offered.note, fetch)
        .await
        .unwrap();
    assert_eq!(
        verdict,
        Verdict::Rewritten {
            pinned: 1200,
            offered: 1500
        }
    );
    let verdict = verify_growth(&vkey, Some(offered.head), &pinned.note, fetch)
        .await
        .unwrap();
    assert_eq!(
        verdict,
        Verdict::Rollback {
            pinned: 1500,
            offered: 1200
        }
    );
}
