//! One suite that every store must pass: call `run` from a test with a factory of empty stores.
//! It panics on the first promise of `super::store` that is broken.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::checkpoint::SigningKey;
use super::log::{Log, Reloaded};
use super::merkle::{Frontier, Hash, leaf_hash, verify_consistency, verify_inclusion};
use super::store::{
    AppendError, Batch, Head, SideWrite, Store, StoreError, StoredHead, StoredLeaf,
};
use super::tiles::{TileId, TileKind, TilePath, parse_bundle};
use super::verify::check_receipt;

const ORIGIN: &str = "log.example/conformance";
const CURSORS: &str = "cursors";

/// Runs the whole suite; each part on a store of its own.
pub async fn run<S, F>(make: impl Fn() -> F)
where
    S: Store,
    F: Future<Output = S>,
{
    empty_log(make().await).await;
    appends_are_read_back(make().await).await;
    proofs_and_tiles(make().await).await;
    side_values(make().await).await;
    one_head_one_winner(make().await).await;
    two_writers_lose_nothing(make().await).await;
    every_write_fails_twice(&make).await;
    reads_pass_on_their_failures(make().await).await;
}

fn key() -> SigningKey {
    SigningKey::from_seed(ORIGIN, &[42; 32]).expect("the origin is a key's name")
}

async fn open<S: Store>(store: &Arc<S>) -> (Log<S>, Vec<Vec<u8>>) {
    let mut leaves = Vec::new();
    let log = Log::open(Arc::clone(store), key(), |index, leaf| {
        assert_eq!(index, leaves.len() as u64, "leaves come in order");
        leaves.push(leaf.to_vec());
    })
    .await
    .expect("a sound log opens");
    (log, leaves)
}

/// Leaves of many lengths: empty, short, and sometimes the longest.
fn leaf(n: u64) -> Vec<u8> {
    let length = match n % 97 {
        0 => 0,
        13 => 65_535,
        other => (other * 7) as usize,
    };
    let mut leaf = format!("leaf {n} ").into_bytes();
    leaf.resize(length, b'.');
    leaf
}

fn leaves(range: std::ops::Range<u64>) -> Vec<Vec<u8>> {
    range.map(leaf).collect()
}

fn cursor(value: u64) -> SideWrite {
    SideWrite::Put {
        namespace: CURSORS,
        key: b"at".to_vec(),
        value: value.to_be_bytes().to_vec(),
    }
}

async fn cursor_of<S: Store>(store: &S) -> Option<u64> {
    let value = store.get_side(CURSORS, b"at").await;
    let value = value.expect("side values are read");
    value.map(|v| u64::from_be_bytes(v.try_into().expect("eight bytes")))
}

async fn empty_log<S: Store>(store: S) {
    let store = Arc::new(store);
    let (log, found) = open(&store).await;
    assert!(found.is_empty());
    assert_eq!(log.head(), Head::EMPTY);
    let refused = log.append(vec![], vec![]).await;
    assert!(matches!(refused, Err(AppendError::NoLeaves)), "{refused:?}");
    let refused = log.append(vec![vec![], vec![0; 65_536]], vec![]).await;
    assert!(
        matches!(
            refused,
            Err(AppendError::LeafTooLong {
                position: 1,
                length: 65_536
            })
        ),
        "{refused:?}"
    );
    let stored = store.head().await.expect("the head is read");
    assert_eq!(stored.checkpoint, log.checkpoint().note);
    // The empty log has its owner from the start.
    let other = SigningKey::from_seed(ORIGIN, &[43; 32]).expect("a key");
    let foreign = Log::open(Arc::clone(&store), other, |_, _| {}).await;
    assert!(foreign.is_err(), "another key does not open it");
}

async fn appends_are_read_back<S: Store>(store: S) {
    let store = Arc::new(store);
    let (log, _) = open(&store).await;
    let mut size = 0;
    // Batches on either side of what a statement or a tile holds.
    for count in [1, 2, 3, 255, 256, 257, 700] {
        let batch = leaves(size..size + count);
        let appended = log
            .append(batch, vec![cursor(size)])
            .await
            .expect("appended");
        assert_eq!(appended.first_index, size);
        size += count;
        assert_eq!(appended.head().size, size);
        assert_eq!(log.head(), appended.head());
        let stored = store.head().await.expect("the head is read");
        assert_eq!(stored.head, appended.head());
        assert_eq!(stored.checkpoint, appended.checkpoint.note);
    }
    let mut at = 0;
    while at < size {
        let read = store.read(at, 300).await.expect("leaves are read");
        assert!(!read.is_empty() && read.len() <= 300);
        for stored in read {
            assert_eq!(stored.index, at);
            assert_eq!(stored.bytes, leaf(at));
            assert_eq!(stored.hash, leaf_hash(&leaf(at)));
            at += 1;
        }
    }
    assert_eq!(store.read(size, 10).await.expect("leaves are read"), []);
    let hashes = store.leaf_hashes(3, 2).await.expect("hashes are read");
    assert_eq!(hashes, [leaf_hash(&leaf(3)), leaf_hash(&leaf(4))]);
    assert_eq!(log.leaves(size, 5).await.expect("none"), []);
    let (again, found) = open(&store).await;
    assert_eq!(again.head(), log.head());
    assert_eq!(found, leaves(0..size));
}

async fn proofs_and_tiles<S: Store>(store: S) {
    const SIZE: u64 = 66_000; // past 65,536, so that a tile of level 1 is complete and stored
    let small = |n: u64| n.to_be_bytes().to_vec();
    let store = Arc::new(store);
    let (log, _) = open(&store).await;
    let (mut frontier, mut roots) = (Frontier::new(), vec![Head::EMPTY.root]);
    for n in 0..SIZE {
        frontier.push(leaf_hash(&small(n)));
        roots.push(frontier.root());
    }
    for at in (0..SIZE).step_by(2000) {
        let batch = (at..at + 2000).map(small).collect();
        log.append(batch, vec![]).await.expect("appended");
    }
    let root = &roots[SIZE as usize];
    assert_eq!(log.head().root, *root);
    for index in [0, 1, 255, 256, 257, 32_767, 65_535, 65_536, SIZE - 1] {
        let proof = log.inclusion_proof(index, SIZE).await.expect("proved");
        let hash = leaf_hash(&small(index));
        let proved = verify_inclusion(index, SIZE, &hash, &proof.hashes, root);
        assert_eq!(proved, Ok(()), "index {index}");
        let receipt = log.proof_note(index).await.expect("proved");
        let checked = check_receipt(log.verifier_key(), &receipt, &small(index));
        assert_eq!(checked.map(|(index, _)| index), Ok(index));
        let old_root = &roots[index as usize];
        let proof = log.consistency_proof(index, SIZE).await.expect("proved");
        let proved = verify_consistency(index, SIZE, old_root, root, &proof.hashes);
        assert_eq!(proved, Ok(()), "size {index}");
        let recomputed = log.root_at(index).await.expect("computed");
        assert_eq!(recomputed, *old_root);
    }
    assert!(log.inclusion_proof(SIZE, SIZE).await.is_err());
    assert!(log.inclusion_proof(0, SIZE + 1).await.is_err());
    assert!(log.consistency_proof(2, 1).await.is_err());
    let stored = store.tile(TileId { level: 1, n: 0 }).await.expect("read");
    let stored = stored.expect("a complete tile is stored");
    assert_eq!(stored[0], roots[256]);
    assert_eq!(
        store.tile(TileId { level: 1, n: 1 }).await.expect("read"),
        None
    );
    let serve = async |kind, n, width| log.tile(TilePath { kind, n, width }).await.expect("served");
    let top = serve(TileKind::Hashes(2), 0, 1).await;
    assert_eq!(top, Some(roots[65_536].to_vec()));
    assert_eq!(serve(TileKind::Hashes(2), 0, 2).await, None);
    assert_eq!(
        serve(TileKind::Hashes(1), 0, 256).await,
        Some(stored.concat())
    );
    let bundle = serve(TileKind::Entries, 257, 208).await.expect("served");
    let bundle = parse_bundle(&bundle).expect("whole");
    assert_eq!(bundle.len(), 208);
    assert_eq!(bundle[207], small(SIZE - 1));
    assert_eq!(serve(TileKind::Entries, 257, 209).await, None);
}

async fn side_values<S: Store>(store: S) {
    let put = |namespace, key: &[u8], value: &[u8]| SideWrite::Put {
        namespace,
        key: key.to_vec(),
        value: value.to_vec(),
    };
    let delete = |namespace, key: &[u8]| SideWrite::Delete {
        namespace,
        key: key.to_vec(),
    };
    let get = async |namespace, key: &[u8]| store.get_side(namespace, key).await.expect("read");
    assert_eq!(get("a", b"k").await, None);
    store.put_side("a", b"k", b"1").await.expect("written");
    store.put_side("a", b"k", b"2").await.expect("written");
    store.put_side("b", b"k", b"3").await.expect("written");
    assert_eq!(get("a", b"k").await.as_deref(), Some(b"2".as_slice()));
    // In order, within one transaction.
    let writes = vec![
        put("a", b"k", b""),
        put("a", b"\0\xff", b"x"),
        put("a", b"z", b"y"),
        delete("a", b"z"),
    ];
    store.write_side(writes).await.expect("written");
    let all = store.scan_side("a").await.expect("read");
    assert_eq!(
        all,
        [(vec![0, 255], b"x".to_vec()), (b"k".to_vec(), vec![])]
    );
    store.delete_side("a", b"k").await.expect("deleted");
    store
        .delete_side("a", b"k")
        .await
        .expect("deleting twice is no error");
    assert_eq!(get("a", b"k").await, None);
    assert_eq!(get("b", b"k").await.as_deref(), Some(b"3".as_slice()));

    // With an append: both or neither.
    let store = Arc::new(store);
    let (log, _) = open(&store).await;
    let appended = log
        .append(leaves(0..1), vec![cursor(1), delete("b", b"k")])
        .await;
    appended.expect("appended");
    assert_eq!(cursor_of(&*store).await, Some(1));
    assert_eq!(store.get_side("b", b"k").await.expect("read"), None);
    let (behind, _) = open(&store).await;
    log.append(leaves(1..2), vec![cursor(2)])
        .await
        .expect("appended");
    let conflict = behind.append(leaves(1..2), vec![cursor(9)]).await;
    assert!(
        matches!(conflict, Err(AppendError::Conflict { .. })),
        "{conflict:?}"
    );
    assert_eq!(
        cursor_of(&*store).await,
        Some(2),
        "a refused append writes nothing"
    );
}

async fn one_head_one_winner<S: Store>(store: S) {
    const WRITERS: u64 = 8;
    let store = Arc::new(store);
    open(&store)
        .await
        .0
        .append(leaves(0..3), vec![])
        .await
        .expect("appended");
    let (mut logs, mut writers) = (Vec::new(), Vec::new());
    for _ in 0..WRITERS {
        logs.push(open(&store).await.0);
    }
    for (n, log) in (0..WRITERS).zip(logs) {
        let batch = vec![format!("writer {n}").into_bytes()];
        writers.push(tokio::spawn(async move {
            log.append(batch, vec![cursor(n)]).await
        }));
    }
    let mut winners = Vec::new();
    for (n, writer) in (0..WRITERS).zip(writers) {
        match writer.await.expect("a writer does not panic") {
            Ok(appended) => winners.push((n, appended.head())),
            Err(AppendError::Conflict { actual }) => assert_eq!(actual.size, 4),
            Err(other) => panic!("an honest race ends in a conflict: {other:?}"),
        }
    }
    let [(winner, head)] = winners[..] else {
        panic!("exactly one writer wins a head, not {winners:?}");
    };
    let (log, found) = open(&store).await;
    assert_eq!(log.head(), head);
    assert_eq!(found[3], format!("writer {winner}").into_bytes());
    assert_eq!(cursor_of(&*store).await, Some(winner));
}

async fn two_writers_lose_nothing<S: Store>(store: S) {
    const EACH: u64 = 40;
    let store = Arc::new(store);
    let mut writers = Vec::new();
    for name in ["left", "right"] {
        let (log, _) = open(&store).await;
        writers.push(tokio::spawn(async move {
            let mut seen = Vec::new();
            for n in 0..EACH {
                let leaf = format!("{name} {n}").into_bytes();
                loop {
                    match log.append(vec![leaf.clone()], vec![]).await {
                        Ok(appended) => {
                            seen.push((appended.first_index, leaf));
                            break;
                        }
                        Err(AppendError::Conflict { .. }) => {
                            let reloaded = log.reload(|_, _| {}).await.expect("reloaded");
                            assert_eq!(reloaded.landed, None);
                        }
                        Err(other) => panic!("an honest race ends in a conflict: {other:?}"),
                    }
                }
            }
            seen
        }));
    }
    let mut acknowledged = Vec::new();
    for writer in writers {
        acknowledged.extend(writer.await.expect("a writer does not panic"));
    }
    acknowledged.sort();
    let (_, found) = open(&store).await;
    let found: Vec<_> = (0..).zip(found).collect();
    assert_eq!(found, acknowledged);
}

/// Fails each write of a run in turn: lost, and stored but reported as failed.
async fn every_write_fails_twice<S, F>(make: &impl Fn() -> F)
where
    S: Store,
    F: Future<Output = S>,
{
    for fault in [Fault::Lost, Fault::StoredButFailed] {
        for nth in 0.. {
            let store = Arc::new(Faulty::new(make().await, nth, fault));
            let failed = fails_once(&store).await;
            if !failed {
                assert!(nth > 8, "every write of the run has had its turn");
                break;
            }
        }
    }
}

/// The log's first checkpoint, four appends with side writes, and two side writes between them;
/// returns whether a write failed on the way.
async fn fails_once<S: Store>(store: &Arc<Faulty<S>>) -> bool {
    let log = match Log::open(Arc::clone(store), key(), |_, _| {}).await {
        Ok(log) => log,
        Err(_) => open(store).await.0, // as after a restart
    };
    let mut written = 0;
    for round in 1..=4 {
        let (batch, until) = (leaves(written..written + round * 3), written + round * 3);
        let mut result = log
            .append(batch.clone(), vec![cursor(until)])
            .await
            .map(|_| ());
        if matches!(result, Err(AppendError::Unknown(_))) {
            let early = log.append(batch.clone(), vec![]).await;
            assert!(matches!(early, Err(AppendError::ReloadFirst)), "{early:?}");
            let mut came = Vec::new();
            let reloaded = log.reload(|_, leaf| came.push(leaf.to_vec())).await;
            let Reloaded { landed, checkpoint } = reloaded.expect("reloaded");
            assert_eq!(checkpoint, log.checkpoint());
            let landed = landed.expect("an append was in doubt");
            assert_eq!(landed, store.fault == Fault::StoredButFailed);
            assert_eq!(came, if landed { batch.clone() } else { vec![] });
            let side = cursor_of(&store.inner).await;
            assert_eq!(
                side == Some(until),
                landed,
                "side writes share the batch's fate"
            );
            result = if landed {
                Ok(())
            } else {
                log.append(batch, vec![cursor(until)]).await.map(|_| ())
            };
        }
        result.expect("appended in the end");
        written = until;
        let mark = written.to_be_bytes();
        while store.put_side(CURSORS, b"mark", &mark).await.is_err() {}
        let side = store.get_side(CURSORS, b"mark").await.expect("read");
        assert_eq!(side.as_deref(), Some(mark.as_slice()));
    }
    let (again, found) = open(store).await;
    assert_eq!(again.head(), log.head());
    assert_eq!(
        found,
        leaves(0..written),
        "nothing acknowledged is lost, nothing written twice"
    );
    assert_eq!(cursor_of(&**store).await, Some(written));
    store.writes.load(Ordering::SeqCst) > store.nth
}

async fn reads_pass_on_their_failures<S: Store>(store: S) {
    let store = Arc::new(Faulty::new(store, usize::MAX, Fault::Lost));
    let (log, _) = open(&store).await;
    log.append(leaves(0..300), vec![]).await.expect("appended");
    store.reads_fail.store(1, Ordering::SeqCst);
    assert!(log.leaves(0, 10).await.is_err());
    assert!(log.inclusion_proof(0, 300).await.is_err());
    assert!(log.reload(|_, _| {}).await.is_err());
    assert!(
        Log::open(Arc::clone(&store), key(), |_, _| {})
            .await
            .is_err()
    );
    store.reads_fail.store(0, Ordering::SeqCst);
    assert!(log.inclusion_proof(0, 300).await.is_ok());
    log.append(leaves(300..301), vec![])
        .await
        .expect("the log goes on");
}

/// What becomes of the write that fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It is not done, and reported as failed.
    Lost,
    /// It is done, and reported as failed.
    StoredButFailed,
}

/// A store whose `nth` write (from 0) fails; and, when told, all its reads.
#[derive(Debug)]
pub struct Faulty<S> {
    inner: S,
    nth: usize,
    fault: Fault,
    writes: AtomicUsize,
    reads_fail: AtomicUsize,
}

impl<S> Faulty<S> {
    /// Wraps a store.
    pub fn new(inner: S, nth: usize, fault: Fault) -> Self {
        Self {
            inner,
            nth,
            fault,
            writes: AtomicUsize::new(0),
            reads_fail: AtomicUsize::new(0),
        }
    }

    fn strikes(&self) -> Option<Fault> {
        let strikes = self.writes.fetch_add(1, Ordering::SeqCst) == self.nth;
        strikes.then_some(self.fault)
    }

    fn may_read(&self) -> Result<(), StoreError> {
        if self.reads_fail.load(Ordering::SeqCst) == 0 {
            Ok(())
        } else {
            Err(StoreError::new(
                "reading, with a fault injected",
                "injected",
            ))
        }
    }
}

impl<S: Store> Store for Faulty<S> {
    async fn append(&self, expected: Head, batch: Batch) -> Result<(), AppendError> {
        let fault = self.strikes();
        if fault != Some(Fault::Lost) {
            self.inner.append(expected, batch).await?;
        }
        fault.map_or(Ok(()), |_| Err(AppendError::Unknown("injected".into())))
    }

    async fn head(&self) -> Result<StoredHead, StoreError> {
        self.may_read()?;
        self.inner.head().await
    }

    async fn read(&self, from: u64, limit: u32) -> Result<Vec<StoredLeaf>, StoreError> {
        self.may_read()?;
        self.inner.read(from, limit).await
    }

    async fn leaf_hashes(&self, from: u64, limit: u32) -> Result<Vec<Hash>, StoreError> {
        self.may_read()?;
        self.inner.leaf_hashes(from, limit).await
    }

    async fn tile(&self, id: TileId) -> Result<Option<Vec<Hash>>, StoreError> {
        self.may_read()?;
        self.inner.tile(id).await
    }

    async fn write_side(&self, writes: Vec<SideWrite>) -> Result<(), StoreError> {
        let fault = self.strikes();
        if fault != Some(Fault::Lost) {
            self.inner.write_side(writes).await?;
        }
        let injected = || StoreError::new("writing, with a fault injected", "injected");
        fault.map_or(Ok(()), |_| Err(injected()))
    }

    async fn get_side(&self, namespace: &str, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.may_read()?;
        self.inner.get_side(namespace, key).await
    }

    async fn scan_side(&self, namespace: &str) -> Result<Vec<(Vec<u8>, Vec<u8>)>, StoreError> {
        self.may_read()?;
        self.inner.scan_side(namespace).await
    }
}
