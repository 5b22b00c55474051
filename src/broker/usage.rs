//! How credentials are used, counted beside the log: a look-up must not cost a leaf. Once an hour the counts are
//! drained and rolled up into it; what is lost in a crash is at most that hour's counts.

use crate::domain::{
    CredentialId,
    event::UsageEntry,
    state::{State, Usage as RolledUp},
};
use chrono::{DateTime, Utc};
use parking_lot::Mutex;
use std::collections::HashMap;

/// Counters are spread over this many locks, so that look-ups on all cores do not wait for one another.
const SHARDS: usize = 64;

/// Counts since the last roll-up.
#[derive(Debug)]
pub struct Usage {
    shards: Vec<Mutex<HashMap<CredentialId, RolledUp>>>,
}

impl Default for Usage {
    fn default() -> Self {
        Self::new()
    }
}

impl Usage {
    /// Nothing counted yet.
    pub fn new() -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
        }
    }

    fn shard(&self, credential: CredentialId) -> &Mutex<HashMap<CredentialId, RolledUp>> {
        // The low bits of an identifier are random, the high ones are time.
        &self.shards[credential.bits() as usize % SHARDS]
    }

    /// Counts one look-up of a known credential at `at`.
    pub fn record(&self, credential: CredentialId, accepted: bool, at: DateTime<Utc>) {
        let mut shard = self.shard(credential).lock();
        let counts = shard.entry(credential).or_default();
        if accepted {
            counts.accepted += 1;
            counts.last_used_at = counts.last_used_at.max(Some(at));
        } else {
            counts.refused += 1;
        }
    }

    /// Takes everything that was counted, by credential: the entries of one roll-up. Until they are folded they show
    /// nowhere, which is the time of one commit. Hand them to [`Usage::restore`] if they could not be written.
    pub fn drain_hour(&self) -> Vec<UsageEntry> {
        let mut entries: Vec<UsageEntry> = self
            .shards
            .iter()
            .flat_map(|shard| std::mem::take(&mut *shard.lock()))
            .map(|(credential, counts)| UsageEntry {
                credential,
                accepted: counts.accepted,
                refused: counts.refused,
                last_used_at: counts.last_used_at,
            })
            .collect();
        entries.sort_unstable_by_key(|entry| entry.credential);
        entries
    }

    /// Puts back what was drained and could not be written.
    pub fn restore(&self, entries: Vec<UsageEntry>) {
        for entry in entries {
            let mut shard = self.shard(entry.credential).lock();
            let counts = shard.entry(entry.credential).or_default();
            counts.accepted += entry.accepted;
            counts.refused += entry.refused;
            counts.last_used_at = counts.last_used_at.max(entry.last_used_at);
        }
    }

    /// What is known now: rolled up and counted since.
    pub fn of(&self, state: &State, credential: CredentialId) -> RolledUp {
        let mut total = state.usage.get(&credential).copied().unwrap_or_default();
        if let Some(counts) = self.shard(credential).lock().get(&credential) {
            total.accepted += counts.accepted;
            total.refused += counts.refused;
            total.last_used_at = total.last_used_at.max(counts.last_used_at);
        }
        total
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::views::testing::at;

    #[test]
    fn counts_merge_drain_and_come_back() {
        let usage = Usage::new();
        let (one, other) = (CredentialId::from_bits(1), CredentialId::from_bits(2));
        let mut state = State::default();
        state.usage.insert(
            one,
            RolledUp { accepted: 10, refused: 1, last_used_at: Some(at(5)) },
        );
        usage.record(one, true, at(7));
        usage.record(one, true, at(6));
        usage.record(one, false, at(8));
        usage.record(other, false, at(9));
        let seen = usage.of(&state, one);
        assert_eq!((seen.accepted, seen.refused, seen.last_used_at), (12, 2, Some(at(7))));

        let drained = usage.drain_hour();
        assert_eq!(drained.len(), 2);
        assert_eq!((drained[0].accepted, drained[0].refused), (2, 1));
        assert_eq!(drained[1].last_used_at, None);
        assert!(usage.drain_hour().is_empty());
        assert_eq!(usage.of(&state, one).accepted, 10);

        usage.record(one, true, at(11));
        usage.restore(drained);
        let seen = usage.of(&state, one);
        assert_eq!((seen.accepted, seen.refused, seen.last_used_at), (13, 2, Some(at(11))));
    }

    #[test]
    fn threads_lose_no_count() {
        let usage = Usage::new();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for id in 0..1_000 {
                        usage.record(CredentialId::from_bits(id % 7), id % 2 == 0, at(1));
                    }
                });
            }
        });
        let total: u64 = usage
            .drain_hour()
            .iter()
            .map(|entry| entry.accepted + entry.refused)
            .sum();
        assert_eq!(total, 4_000);
    }
}
