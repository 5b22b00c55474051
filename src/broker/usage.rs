//! Use, counted beside the log. A check of a key costs one short lock of one of many shards, never a write; what
//! was counted is rolled up into the log once an hour.

use crate::domain::{CredentialId, State, event::UsageEntry, state};
use chrono::{DateTime, Utc};
use parking_lot::Mutex;
use std::collections::HashMap;

const SHARDS: usize = 64;

/// The counters since the last roll-up.
#[derive(Debug)]
pub struct Usage {
    shards: Vec<Mutex<HashMap<CredentialId, state::Usage>>>,
}

impl Default for Usage {
    fn default() -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
        }
    }
}

impl Usage {
    fn shard(&self, credential: CredentialId) -> &Mutex<HashMap<CredentialId, state::Usage>> {
        // The low bits of an identifier are random, so they spread evenly.
        &self.shards[credential.bits() as usize % SHARDS]
    }

    /// Counts one check of `credential`.
    pub fn record(&self, credential: CredentialId, accepted: bool, at: DateTime<Utc>) {
        let mut shard = self.shard(credential).lock();
        let counter = shard.entry(credential).or_default();
        if accepted {
            counter.accepted += 1;
            counter.last_used_at = counter.last_used_at.max(Some(at));
        } else {
            counter.refused += 1;
        }
    }

    /// What was counted of the use of `credential` since the last roll-up.
    pub fn since(&self, credential: CredentialId) -> state::Usage {
        let shard = self.shard(credential).lock();
        shard.get(&credential).copied().unwrap_or_default()
    }

    /// What is known of the use of `credential`: rolled up and since.
    pub fn of(&self, state: &State, credential: CredentialId) -> state::Usage {
        let rolled_up = state.usage.get(&credential).copied().unwrap_or_default();
        let since = self.since(credential);
        state::Usage {
            accepted: rolled_up.accepted + since.accepted,
            refused: rolled_up.refused + since.refused,
            last_used_at: rolled_up.last_used_at.max(since.last_used_at),
        }
    }

    /// Takes what was counted since the last time, ordered by credential.
    pub fn drain_hour(&self) -> Vec<UsageEntry> {
        let mut entries: Vec<_> = self
            .shards
            .iter()
            .flat_map(|shard| std::mem::take(&mut *shard.lock()))
            .map(|(credential, counter)| UsageEntry {
                credential,
                accepted: counter.accepted,
                refused: counter.refused,
                last_used_at: counter.last_used_at,
            })
            .collect();
        entries.sort_unstable_by_key(|entry| entry.credential);
        entries
    }

    /// Counts again what was taken but could not be written.
    pub fn put_back(&self, entries: &[UsageEntry]) {
        for entry in entries {
            let mut shard = self.shard(entry.credential).lock();
            let counter = shard.entry(entry.credential).or_default();
            counter.accepted += entry.accepted;
            counter.refused += entry.refused;
            counter.last_used_at = counter.last_used_at.max(entry.last_used_at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_taken_and_put_back_is_counted_once() {
        let usage = Usage::default();
        let id = CredentialId::from_bits(7);
        let at = DateTime::UNIX_EPOCH;
        usage.record(id, true, at);
        usage.record(id, false, at);
        let taken = usage.drain_hour();
        assert_eq!(usage.of(&State::default(), id), state::Usage::default());
        usage.put_back(&taken);
        usage.record(id, true, at);
        let now = usage.of(&State::default(), id);
        assert_eq!(
            (now.accepted, now.refused, now.last_used_at),
            (2, 1, Some(at))
        );
    }
}
