//! The check against a real log in a store, and against the same log once someone has touched it.

#![allow(
    clippy::unwrap_used,
    clippy::too_many_lines,
    reason = "a test or benchmark stops where its ground gives way, and a table of cases reads better whole"
)]

use bytes::Bytes;
use countersign::client::chain::{Chain, ChainState, Keep, LogSource, follow};
use countersign::event_log::checkpoint::SigningKey;
use countersign::event_log::log::Log;
use countersign::event_log::sqlite::SqliteStore;
use countersign::event_log::tiles::{TileKind, TilePath};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;

const ORIGIN: &str = "log.example/audit";

/// A log that is served as it is, save for what a test puts in its place.
#[derive(Clone)]
struct Served {
    log: Arc<Mutex<Arc<Log<SqliteStore>>>>,
    note: Arc<Mutex<Option<String>>>,
    tiles: Arc<Mutex<BTreeMap<String, Bytes>>>,
    away: Arc<Mutex<bool>>,
    _folder: Arc<tempfile::TempDir>,
}

impl std::fmt::Debug for Served {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Served")
    }
}

impl LogSource for Served {
    type Error = String;

    async fn checkpoint(&self) -> Result<String, String> {
        if *self.away.lock() {
            return Err("connection refused".into());
        }
        let note = self.note.lock().clone();
        Ok(note.unwrap_or_else(|| self.log.lock().checkpoint().note.clone()))
    }

    async fn tile(&self, path: TilePath) -> Result<Bytes, String> {
        if let Some(bytes) = self.tiles.lock().get(&path.to_string()) {
            return Ok(bytes.clone());
        }
        let log = self.log.lock().clone();
        let bytes = log.tile(path).await.map_err(|error| error.to_string())?;
        bytes
            .map(Bytes::from)
            .ok_or_else(|| "no such tile".to_owned())
    }
}

fn signing_key() -> SigningKey {
    SigningKey::from_seed(ORIGIN, &[1; 32]).unwrap()
}

fn verifier_key() -> String {
    signing_key().verifier_key().to_string()
}

async fn serve(leaves: u32) -> Served {
    let folder = tempfile::tempdir().unwrap();
    let log = written(&folder, "log.db", 0..leaves).await;
    Served {
        log: Arc::new(Mutex::new(log)),
        note: Arc::default(),
        tiles: Arc::default(),
        away: Arc::default(),
        _folder: Arc::new(folder),
    }
}

async fn written(
    folder: &tempfile::TempDir,
    name: &str,
    leaves: std::ops::Range<u32>,
) -> Arc<Log<SqliteStore>> {
    let store = Arc::new(SqliteStore::open(&folder.path().join(name)).await.unwrap());
    let log = Log::open(store, signing_key(), |_, _| {}).await.unwrap();
    grow(&log, leaves).await;
    Arc::new(log)
}

async fn grow(log: &Log<SqliteStore>, leaves: std::ops::Range<u32>) {
    if !leaves.is_empty() {
        let leaves = leaves.map(|n| format!("leaf {n}").into_bytes()).collect();
        log.append(leaves, vec![]).await.unwrap();
    }
}

fn chain(served: &Served, keep: &tempfile::TempDir) -> Chain<Served> {
    Chain::new(
        served.clone(),
        Keep::new(keep.path().join("prod")),
        None,
        &verifier_key(),
        "prod",
    )
    .unwrap()
}

async fn settle(chain: &mut Chain<Served>) -> ChainState {
    chain.refresh().await.unwrap();
    while chain.step().await.unwrap() {}
    chain.state().clone()
}

fn alarm_word(state: &ChainState) -> &str {
    match state {
        ChainState::Alarm(alarm) => &alarm.word,
        other => panic!("no alarm: {other:?}"),
    }
}

#[tokio::test]
async fn a_whole_log_is_checked_and_followed_as_it_grows() {
    let (served, keep) = (serve(700).await, tempfile::tempdir().unwrap());
    let mut chain = chain(&served, &keep);
    chain.refresh().await.unwrap();
    assert!(chain.step().await.unwrap());
    assert_eq!(
        *chain.state(),
        ChainState::Checking {
            checked: 256,
            size: 700
        }
    );
    assert!(matches!(
        settle(&mut chain).await,
        ChainState::Whole {
            size: 700,
            key_on_trust: true,
            ..
        }
    ));
    let log = served.log.lock().clone();
    grow(&log, 700..1100).await;
    assert!(matches!(
        settle(&mut chain).await,
        ChainState::Whole { size: 1100, .. }
    ));
    let kept = std::fs::read_to_string(keep.path().join("prod/checkpoint")).unwrap();
    assert_eq!(kept, log.checkpoint().note);
}

#[tokio::test]
async fn a_log_that_shrank_since_the_last_run_is_a_rollback_and_both_heads_are_kept() {
    let (served, keep) = (serve(300).await, tempfile::tempdir().unwrap());
    settle(&mut chain(&served, &keep)).await;
    let folder = tempfile::tempdir().unwrap();
    *served.log.lock() = written(&folder, "short.db", 0..200).await;
    let mut again = chain(&served, &keep);
    let state = settle(&mut again).await;
    assert_eq!(alarm_word(&state), "ROLLBACK");
    let ChainState::Alarm(alarm) = &state else {
        unreachable!()
    };
    assert_eq!(alarm.command, "countersign audit verify --context prod");
    let evidence = std::path::PathBuf::from(alarm.evidence.clone().unwrap());
    assert!(evidence.join("checkpoint-before").exists());
    assert!(evidence.join("checkpoint-offered").exists());
    // A better answer later takes nothing back.
    let folder = tempfile::tempdir().unwrap();
    *served.log.lock() = written(&folder, "long.db", 0..400).await;
    assert_eq!(settle(&mut again).await, state);
}

#[tokio::test]
async fn another_history_of_the_same_size_is_a_split_view_and_a_longer_one_is_rewritten() {
    let (served, keep) = (serve(40).await, tempfile::tempdir().unwrap());
    settle(&mut chain(&served, &keep)).await;
    let folder = tempfile::tempdir().unwrap();
    *served.log.lock() = written(&folder, "other.db", 1000..1040).await;
    assert_eq!(
        alarm_word(&settle(&mut chain(&served, &keep)).await),
        "SPLIT VIEW"
    );
    *served.log.lock() = written(&folder, "longer.db", 1000..1060).await;
    assert_eq!(
        alarm_word(&settle(&mut chain(&served, &keep)).await),
        "REWRITTEN"
    );
}

#[tokio::test]
async fn an_edited_leaf_is_named() {
    let (served, keep) = (serve(300).await, tempfile::tempdir().unwrap());
    let log = served.log.lock().clone();
    let path = TilePath {
        kind: TileKind::Entries,
        n: 1,
        width: 44,
    };
    let mut bundle = log.tile(path).await.unwrap().unwrap();
    // 256 + 3: each entry is two bytes of length and eight of text.
    bundle[3 * 10 + 9] ^= 1;
    served
        .tiles
        .lock()
        .insert(path.to_string(), Bytes::from(bundle));
    assert_eq!(
        alarm_word(&settle(&mut chain(&served, &keep)).await),
        "BAD LEAF 259"
    );
}

#[tokio::test]
async fn a_forged_checkpoint_and_another_key_are_alarms() {
    let (served, keep) = (serve(5).await, tempfile::tempdir().unwrap());
    let forger = SigningKey::from_seed(ORIGIN, &[2; 32]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(
        SqliteStore::open(&folder.path().join("forged.db"))
            .await
            .unwrap(),
    );
    let forged = Log::open(store, forger, |_, _| {}).await.unwrap();
    grow(&forged, 0..9).await;
    let other_key = forged.verifier_key().to_string();
    *served.log.lock() = Arc::new(forged);
    let mut first = chain(&served, &keep);
    assert_eq!(alarm_word(&settle(&mut first).await), "BAD SIGNATURE");
    // The key kept at first contact is not replaced by the one that the broker offers now.
    let keep = Keep::new(keep.path().join("prod"));
    let second = Chain::new(served, keep, None, &other_key, "prod").unwrap();
    assert_eq!(alarm_word(second.state()), "OTHER KEY");
}

#[tokio::test]
async fn a_key_that_is_configured_later_takes_over_once_the_first_is_forgotten() {
    let (served, folder) = (serve(5).await, tempfile::tempdir().unwrap());
    settle(&mut chain(&served, &folder)).await;
    let rightful = SigningKey::from_seed(ORIGIN, &[2; 32]).unwrap();
    let store = folder.path().join("anew.db");
    let store = Arc::new(SqliteStore::open(&store).await.unwrap());
    let anew = Log::open(store, rightful, |_, _| {}).await.unwrap();
    grow(&anew, 0..9).await;
    let key = anew.verifier_key().to_string();
    *served.log.lock() = Arc::new(anew);

    let keep = || Keep::new(folder.path().join("prod"));
    let configured = |served: Served| Chain::new(served, keep(), Some(&key), &key, "prod").unwrap();
    let stuck = configured(served.clone());
    let ChainState::Alarm(alarm) = stuck.state() else {
        panic!("{:?}", stuck.state());
    };
    assert_eq!(alarm.command, "countersign context forget-key prod");
    assert!(alarm.detail.contains("at first contact"), "{alarm:?}");
    let place = keep().forget_trust().unwrap().expect("it was kept");
    assert!(std::path::Path::new(&place).join("checkpoint").exists());
    assert_eq!(keep().forget_trust().unwrap(), None);
    assert!(matches!(
        settle(&mut configured(served)).await,
        ChainState::Whole { size: 9, .. }
    ));
}

#[tokio::test]
async fn a_broker_that_is_away_raises_no_alarm() {
    let (served, keep) = (serve(10).await, tempfile::tempdir().unwrap());
    let mut chain = chain(&served, &keep);
    settle(&mut chain).await;
    *served.away.lock() = true;
    assert_eq!(
        settle(&mut chain).await,
        ChainState::Unreachable {
            checked: 10,
            detail: "connection refused".into()
        }
    );
    *served.away.lock() = false;
    assert!(matches!(
        settle(&mut chain).await,
        ChainState::Whole { size: 10, .. }
    ));
}

#[tokio::test]
async fn following_reports_each_state_once_and_ends_with_its_caller() {
    let (served, keep) = (serve(300).await, tempfile::tempdir().unwrap());
    let (heads, watch) = tokio::sync::watch::channel(300);
    let (report, mut states) = tokio::sync::mpsc::unbounded_channel();
    let chain = chain(&served, &keep);
    let task = tokio::spawn(follow(
        chain,
        watch,
        std::time::Duration::from_mins(1),
        move |state| {
            let _closed = report.send(state);
        },
    ));
    let mut seen = Vec::new();
    while let Some(state) = states.recv().await {
        let done = matches!(state, ChainState::Whole { size: 301, .. });
        if matches!(state, ChainState::Whole { size: 300, .. }) {
            let log = served.log.lock().clone();
            grow(&log, 300..301).await;
            heads.send(301).unwrap();
        }
        seen.push(state);
        if done {
            break;
        }
    }
    drop(heads);
    task.await.unwrap().unwrap();
    assert!(seen.windows(2).all(|pair| pair[0] != pair[1]));
    assert!(seen.contains(&ChainState::Checking {
        checked: 256,
        size: 300
    }));
}
