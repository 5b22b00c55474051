//! Use, counted beside the log. A check of a key costs one short lock of one of many shards, never a write; what
//! was counted is rolled up into the log once an hour.

use crate::domain::{CredentialId, GatewayId, Network, State, event::UsageEntry, state};
use chrono::{DateTime, Utc};
use parking_lot::Mutex;
use std::collections::HashMap;

const SHARDS: usize = 64;
/// How many readers of one credential are told apart; of more, the one that was not seen for longest is forgotten.
pub const READERS_MAX: usize = 32;

/// Who showed a version, and from where.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Reader {
    /// Which version.
    pub version: u32,
    /// The gateway that asked or reported; none where an operator's token asked.
    pub gateway: Option<GatewayId>,
    /// Where it was used from, where the gateway said so.
    pub network: Option<Network>,
}

/// How often, and when last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Used {
    /// How often it was accepted.
    pub accepted: u64,
    /// When last.
    pub accepted_at: Option<DateTime<Utc>>,
    /// How often it was refused.
    pub refused: u64,
    /// When last.
    pub refused_at: Option<DateTime<Utc>>,
}

impl Used {
    /// One use.
    pub const fn once(accepted: bool, at: DateTime<Utc>) -> Self {
        if accepted {
            Self {
                accepted: 1,
                accepted_at: Some(at),
                refused: 0,
                refused_at: None,
            }
        } else {
            Self {
                accepted: 0,
                accepted_at: None,
                refused: 1,
                refused_at: Some(at),
            }
        }
    }

    fn add(&mut self, more: &Self) {
        self.accepted = self.accepted.saturating_add(more.accepted);
        self.refused = self.refused.saturating_add(more.refused);
        self.accepted_at = self.accepted_at.max(more.accepted_at);
        self.refused_at = self.refused_at.max(more.refused_at);
    }

    fn last(&self) -> Option<DateTime<Utc>> {
        self.accepted_at.max(self.refused_at)
    }
}

/// The use of some credentials: counted since the last roll-up, and by reader since the broker's start.
#[derive(Debug, Default)]
struct Shard {
    counters: HashMap<CredentialId, state::Usage>,
    readers: HashMap<CredentialId, Vec<(Reader, Used)>>,
}

/// What was counted.
#[derive(Debug)]
pub struct Usage {
    shards: Vec<Mutex<Shard>>,
}

impl Default for Usage {
    fn default() -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
        }
    }
}

impl Usage {
    fn shard(&self, credential: CredentialId) -> &Mutex<Shard> {
        // The low bits of an identifier are random, so they spread evenly.
        &self.shards[credential.bits() as usize % SHARDS]
    }

    /// Counts uses of a version of `credential`.
    pub fn record(&self, credential: CredentialId, reader: Reader, used: &Used) {
        let mut shard = self.shard(credential).lock();
        let counter = shard.counters.entry(credential).or_default();
        counter.accepted = counter.accepted.saturating_add(used.accepted);
        counter.refused = counter.refused.saturating_add(used.refused);
        counter.last_used_at = counter.last_used_at.max(used.accepted_at);
        let readers = shard.readers.entry(credential).or_default();
        if let Some((_, held)) = readers.iter_mut().find(|(known, _)| *known == reader) {
            held.add(used);
            return;
        }
        if readers.len() == READERS_MAX {
            let places = readers.iter().enumerate();
            if let Some((oldest, _)) = places.min_by_key(|(_, (_, used))| used.last()) {
                readers.swap_remove(oldest);
            }
        } else if readers.is_empty() {
            readers.reserve_exact(1);
        }
        readers.push((reader, *used));
    }

    /// Who showed `credential` since the broker's start: versions in order, then whoever was seen last.
    pub fn readers(&self, credential: CredentialId) -> Vec<(Reader, Used)> {
        let shard = self.shard(credential).lock();
        let mut readers = shard.readers.get(&credential).cloned().unwrap_or_default();
        drop(shard);
        readers.sort_by_key(|(reader, used)| (reader.version, std::cmp::Reverse(used.last())));
        readers
    }

    /// The use of some versions of `credential` since the broker's start, at one gateway or everywhere.
    pub fn used(
        &self,
        credential: CredentialId,
        versions: &[u32],
        gateway: Option<GatewayId>,
    ) -> Used {
        let shard = self.shard(credential).lock();
        let readers = shard.readers.get(&credential).into_iter().flatten();
        let mut all = Used::default();
        for (_, used) in readers.filter(|(reader, _)| {
            versions.contains(&reader.version) && (gateway.is_none() || reader.gateway == gateway)
        }) {
            all.add(used);
        }
        all
    }

    /// What was counted of the use of `credential` since the last roll-up.
    pub fn since(&self, credential: CredentialId) -> state::Usage {
        let shard = self.shard(credential).lock();
        shard.counters.get(&credential).copied().unwrap_or_default()
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
            .flat_map(|shard| std::mem::take(&mut shard.lock().counters))
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
            let counter = shard.counters.entry(entry.credential).or_default();
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
        let reader = Reader {
            version: 1,
            gateway: None,
            network: None,
        };
        usage.record(id, reader, &Used::once(true, at));
        usage.record(id, reader, &Used::once(false, at));
        let taken = usage.drain_hour();
        assert_eq!(usage.of(&State::default(), id), state::Usage::default());
        usage.put_back(&taken);
        usage.record(id, reader, &Used::once(true, at));
        let now = usage.of(&State::default(), id);
        assert_eq!(
            (now.accepted, now.refused, now.last_used_at),
            (2, 1, Some(at))
        );
    }

    #[test]
    fn readers_are_told_apart_and_bounded() {
        let usage = Usage::default();
        let id = CredentialId::from_bits(7);
        let at = |second| DateTime::from_timestamp(second, 0).expect("a time");
        let reader = |version, last| Reader {
            version,
            gateway: Some(GatewayId::from_bits(1)),
            network: Some(Network::V4([10, 0, last])),
        };
        usage.record(id, reader(2, 0), &Used::once(true, at(5)));
        usage.record(id, reader(1, 0), &Used::once(true, at(1)));
        usage.record(id, reader(1, 0), &Used::once(false, at(2)));
        let readers = usage.readers(id);
        assert_eq!(readers.len(), 2);
        let (first, used) = readers[0];
        assert_eq!(first, reader(1, 0));
        assert_eq!((used.accepted, used.refused), (1, 1));
        for last in 1..=READERS_MAX as u8 {
            let used = Used::once(true, at(100 + i64::from(last)));
            usage.record(id, reader(3, last), &used);
        }
        let readers = usage.readers(id);
        assert_eq!(readers.len(), READERS_MAX);
        assert!(readers.iter().all(|(reader, _)| reader.version == 3));
    }
}
