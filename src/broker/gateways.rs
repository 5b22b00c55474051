//! What is known of gateways beside the log: when each was last heard of, how far it has come, what it was handed, what
//! it reported that cannot be. None of it is a leaf; only what it settles is.

use super::engine::EngineError;
use crate::{
    domain::{CredentialId, Gateway, GatewayId, RevocationId, State},
    event_log::{sqlite::SqliteStore, store::Store as _},
    wire::gateway::{Finding, FindingKind},
};
use chrono::{DateTime, Utc};
use parking_lot::{Mutex, RwLock};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering},
    },
};
use tokio::sync::Notify;

const NAMESPACE: &str = "gateway";
/// How many moments of handing over are remembered of a gateway that does not acknowledge.
const SENT_MAX: usize = 1_024;
/// How many keys of a gateway's reports are remembered.
const KEYS_MAX: usize = 128;
/// How many findings are kept.
const FINDINGS_MAX: usize = 256;

/// Where one gateway is.
#[derive(Debug, Default)]
pub struct Place {
    /// Milliseconds since 1970; 0 if it was never heard of.
    seen_at: AtomicI64,
    cursor: AtomicU64,
    accepted: AtomicU64,
    refused: AtomicU64,
    /// By when it had been handed everything up to a sequence.
    sent: Mutex<BTreeMap<u64, DateTime<Utc>>>,
    /// The latest keys of its reports, oldest first.
    keys: Mutex<VecDeque<String>>,
    changed: AtomicBool,
}

/// A place at rest.
#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    seen_at: i64,
    cursor: u64,
}

impl Place {
    /// It was heard of.
    pub fn seen(&self, at: DateTime<Utc>) {
        self.seen_at
            .fetch_max(at.timestamp_millis(), Ordering::Relaxed);
        self.changed.store(true, Ordering::Relaxed);
    }

    /// It asked, and was answered.
    pub fn asked(&self, accepted: bool, at: DateTime<Utc>) {
        self.seen(at);
        let counter = if accepted {
            &self.accepted
        } else {
            &self.refused
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// It reported how often it accepted and refused by itself.
    pub fn reported(&self, accepted: u64, refused: u64) {
        self.accepted.fetch_add(accepted, Ordering::Relaxed);
        self.refused.fetch_add(refused, Ordering::Relaxed);
    }

    /// Whether a report with this key came before; if not, it is remembered.
    pub fn repeats(&self, key: &str) -> bool {
        let mut keys = self.keys.lock();
        if keys.iter().any(|held| held == key) {
            return true;
        }
        if keys.len() == KEYS_MAX {
            keys.pop_front();
        }
        keys.push_back(key.to_owned());
        false
    }

    /// It has applied everything up to `cursor`. What it was handed up to there is settled.
    pub fn applied(&self, cursor: u64, at: DateTime<Utc>) {
        self.seen(at);
        self.cursor.fetch_max(cursor, Ordering::Relaxed);
        let mut sent = self.sent.lock();
        *sent = sent.split_off(&(cursor + 1));
    }

    /// It was handed everything up to `sequence`.
    pub fn sent(&self, sequence: u64, at: DateTime<Utc>) {
        let mut sent = self.sent.lock();
        // The first time counts.
        if sent.range(sequence..).next().is_none() && sent.len() < SENT_MAX {
            sent.insert(sequence, at);
        }
    }

    /// By when it had been handed everything up to each sequence.
    pub fn handed(&self) -> BTreeMap<u64, DateTime<Utc>> {
        self.sent.lock().clone()
    }

    /// When it was handed what took effect by `since`, if it was and has not acknowledged it.
    pub fn sent_at(&self, since: u64) -> Option<DateTime<Utc>> {
        self.sent.lock().range(since..).next().map(|(_, at)| *at)
    }

    /// When it was last heard of.
    pub fn seen_at(&self) -> Option<DateTime<Utc>> {
        let millis = self.seen_at.load(Ordering::Relaxed);
        DateTime::from_timestamp_millis(millis).filter(|_| millis > 0)
    }

    /// Up to which sequence it has applied everything, as it said itself.
    pub fn cursor(&self) -> u64 {
        self.cursor.load(Ordering::Relaxed)
    }

    /// How often it was told yes and no since the broker's start.
    pub fn answered(&self) -> (u64, u64) {
        (
            self.accepted.load(Ordering::Relaxed),
            self.refused.load(Ordering::Relaxed),
        )
    }
}

/// The places of all gateways, and what they reported.
#[derive(Debug)]
pub struct Gateways {
    store: Arc<SqliteStore>,
    places: RwLock<HashMap<GatewayId, Arc<Place>>>,
    proofs: Mutex<BTreeSet<(GatewayId, RevocationId)>>,
    /// Told when there are proofs.
    pub(super) proven: Notify,
    findings: Mutex<VecDeque<Finding>>,
    found: AtomicU64,
}

impl Gateways {
    /// Over the log's own store.
    pub fn new(store: Arc<SqliteStore>) -> Self {
        Self {
            store,
            places: RwLock::default(),
            proofs: Mutex::default(),
            proven: Notify::new(),
            findings: Mutex::default(),
            found: AtomicU64::new(0),
        }
    }

    /// The place of this gateway.
    pub fn place(&self, id: GatewayId) -> Arc<Place> {
        if let Some(place) = self.places.read().get(&id) {
            return Arc::clone(place);
        }
        Arc::clone(self.places.write().entry(id).or_default())
    }

    /// A gateway was told that version `number` of `credential` is not accepted. If it was revoked, and nothing older
    /// can be left there, that shows that it is refused there.
    pub fn refused(&self, state: &State, gateway: &Gateway, credential: CredentialId, number: u32) {
        let Some(revocation) = state.unproven(credential, number) else {
            return;
        };
        let news = revocation
            .reach_of(gateway.id)
            .is_some_and(|reach| reach.applied.is_some() && reach.proven_at.is_none());
        if news && self.proofs.lock().insert((gateway.id, revocation.id)) {
            self.proven.notify_one();
        }
    }

    /// What was shown since the last time.
    pub(super) fn take_proofs(&self) -> BTreeSet<(GatewayId, RevocationId)> {
        std::mem::take(&mut *self.proofs.lock())
    }

    /// Keeps what cannot be, forgetting the oldest beyond 256.
    pub fn found(&self, finding: Finding) {
        self.found.fetch_add(1, Ordering::Relaxed);
        let kind = finding.kind;
        metrics::counter!("countersign_usage_findings_total", "kind" => kind.as_str()).increment(1);
        let mut findings = self.findings.lock();
        // The same again is no news: it is counted, and the latest time kept.
        let same = findings.iter_mut().find(|held| held.same(&finding));
        if let Some(held) = same {
            held.count += finding.count;
            held.at = held.at.max(finding.at);
            return;
        }
        if findings.len() == FINDINGS_MAX {
            findings.pop_front();
        }
        findings.push_back(finding);
    }

    /// What was found, latest first, and how often anything was.
    pub fn findings(&self) -> (Vec<Finding>, u64) {
        let findings = self.findings.lock().iter().rev().cloned().collect();
        (findings, self.found.load(Ordering::Relaxed))
    }

    /// Reads the places of the gateways of `state`.
    ///
    /// # Errors
    /// [`EngineError::Unavailable`] if the store does not answer.
    pub async fn load(&self, state: &State) -> Result<(), EngineError> {
        for gateway in state.gateways.values() {
            let key = gateway.id.to_string();
            let bytes = self.store.get_side(NAMESPACE, key.as_bytes()).await;
            let bytes = bytes.map_err(|error| EngineError::store(&error))?;
            // A place is a help, not the truth: one that cannot be read is learnt anew.
            let kept = bytes.and_then(|bytes| serde_json::from_slice::<Kept>(&bytes).ok());
            if let Some(kept) = kept {
                let place = self.place(gateway.id);
                place.seen_at.store(kept.seen_at, Ordering::Relaxed);
                place.cursor.store(kept.cursor, Ordering::Relaxed);
            }
        }
        Ok(())
    }

    /// Keeps the places that have changed since the last time.
    ///
    /// # Errors
    /// [`EngineError::Unavailable`] if the store does not answer.
    pub async fn save(&self) -> Result<(), EngineError> {
        let changed: Vec<_> = self
            .places
            .read()
            .iter()
            .filter(|(_, place)| place.changed.swap(false, Ordering::Relaxed))
            .map(|(id, place)| (*id, Arc::clone(place)))
            .collect();
        for (id, place) in changed {
            let kept = Kept {
                seen_at: place.seen_at.load(Ordering::Relaxed),
                cursor: place.cursor(),
            };
            let bytes = serde_json::to_vec(&kept).expect("numbers have a JSON form");
            let key = id.to_string();
            let saved = self.store.put_side(NAMESPACE, key.as_bytes(), &bytes).await;
            if let Err(error) = saved {
                place.changed.store(true, Ordering::Relaxed);
                return Err(EngineError::store(&error));
            }
        }
        Ok(())
    }
}

impl Finding {
    /// Whether it says the same about the same.
    fn same(&self, other: &Self) -> bool {
        (self.kind, self.gateway, self.credential, self.version)
            == (other.kind, other.gateway, other.credential, other.version)
            && self.digest == other.digest
            && self.kind != FindingKind::AcceptedAfterRevocation
    }
}
