//! What one reactor has under way, and when it may try again what failed.

use chrono::{DateTime, Utc};
use parking_lot::Mutex;
use std::{collections::HashMap, hash::Hash, sync::Arc};
use tokio::sync::Notify;

/// Where one item stands.
#[derive(Debug, Clone, Copy)]
enum Place {
    UnderWay,
    Waiting { until: DateTime<Utc>, failures: u32 },
}

/// The items of one reactor, shared with the tasks that work on them.
#[derive(Debug)]
pub(super) struct Waits<K> {
    places: Arc<Mutex<HashMap<K, Place>>>,
    /// Rung when a task ends, so that the reactor looks again.
    bell: Arc<Notify>,
}

impl<K> Clone for Waits<K> {
    fn clone(&self) -> Self {
        Self {
            places: Arc::clone(&self.places),
            bell: Arc::clone(&self.bell),
        }
    }
}

impl<K: Eq + Hash + Copy> Waits<K> {
    pub(super) fn new() -> Self {
        Self {
            places: Arc::default(),
            bell: Arc::default(),
        }
    }

    /// Takes `key` up unless it is under way or must wait. Returns how often it has failed so far.
    pub(super) fn take(&self, key: K, now: DateTime<Utc>) -> Option<u32> {
        let mut places = self.places.lock();
        let failures = match places.get(&key) {
            Some(Place::UnderWay) => return None,
            Some(Place::Waiting { until, .. }) if now < *until => return None,
            Some(Place::Waiting { failures, .. }) => *failures,
            None => 0,
        };
        places.insert(key, Place::UnderWay);
        Some(failures)
    }

    /// `key` is done with, or is to be looked at afresh.
    pub(super) fn done(&self, key: K) {
        self.places.lock().remove(&key);
        self.bell.notify_one();
    }

    /// `key` failed and must wait.
    pub(super) fn wait(&self, key: K, until: DateTime<Utc>, failures: u32) {
        self.places
            .lock()
            .insert(key, Place::Waiting { until, failures });
        self.bell.notify_one();
    }

    /// Forgets what is no longer on the work list.
    pub(super) fn keep_only(&self, mut wanted: impl FnMut(&K) -> bool) {
        self.places
            .lock()
            .retain(|key, place| matches!(place, Place::UnderWay) || wanted(key));
    }

    /// When the next waiting item may be tried.
    pub(super) fn next(&self) -> Option<DateTime<Utc>> {
        let places = self.places.lock();
        places
            .values()
            .filter_map(|place| match place {
                Place::Waiting { until, .. } => Some(*until),
                Place::UnderWay => None,
            })
            .min()
    }

    /// A task of this reactor has ended.
    pub(super) async fn rung(&self) {
        self.bell.notified().await;
    }
}
