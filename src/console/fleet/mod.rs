//! The credentials that the console knows of: up to a million, in columns, at some 110 bytes each.
//!
//! Closed words are one byte, owners and clients numbers into a dictionary, names one run of bytes that a
//! search goes over in one go. Rows are only ever added or overwritten: credentials do not vanish, so a row's
//! number stays what it is and the lists of `view` can be made of numbers.

/// Lists over the fleet: sorted, filtered, kept up to date.
pub mod view;

mod late;
mod narrow;
mod search;

use crate::wire::columns::{BLOCK_ROWS, Block};
use crate::wire::{
    CredentialId, CredentialRow, CredentialState, Environment, FeedItem, Kind, Tier,
};
use chrono::{DateTime, Utc};
use late::Late;
use narrow::{Numbers, Times};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

pub use view::{Sort, SortColumn, View};

/// "No such time": sorts behind every time.
const NEVER: i64 = i64::MAX;
/// Changes remembered for lists; beyond it they read everything again.
const JOURNAL_MAX: usize = 1 << 16;

/// What changed about a row, for lists that have to move it.
pub(super) mod what {
    /// It is new.
    pub const NEW: u8 = 1;
    /// Its end.
    pub const EXPIRES: u8 = 2;
    /// Its owner or client.
    pub const WORDS: u8 = 4;
    /// Its last use.
    pub const USED: u8 = 8;
    /// Its state or another closed word.
    pub const CODES: u8 = 16;
    /// Its rotation or its making.
    pub const TIMES: u8 = 32;
}

/// The credentials by row number.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(from = "Vec<Block>", into = "Vec<Block>")]
pub struct Fleet {
    ids: Vec<CredentialId>,
    /// Up to here the identifiers ascend, as they do in the broker's list and with what is made after it.
    ascending: usize,
    /// The rows of the identifiers from there on.
    late: Late,
    names: String,
    /// Where each name begins in `names`; one more than there are rows, unless there are none.
    starts: Vec<u32>,
    words: Vec<Box<str>>,
    places: HashMap<Box<str>, u32>,
    owners: Vec<u32>,
    clients: Vec<u32>,
    /// Environment, kind, tier and state, each by place in its list, in four bits.
    codes: Vec<u16>,
    versions: Vec<u32>,
    accepted: Vec<u16>,
    issued: Times,
    expires: Times,
    rotate: Times,
    used: Times,
    sequences: Numbers,
    journal: Vec<(u32, u8)>,
    journal_lost: bool,
}

fn millis(at: Option<DateTime<Utc>>) -> i64 {
    at.map_or(NEVER, |at| at.timestamp_millis())
}

fn time(millis: i64) -> Option<DateTime<Utc>> {
    match millis {
        NEVER => None,
        _ => DateTime::from_timestamp_millis(millis),
    }
}

fn code<T: PartialEq>(all: &[T], value: T) -> u16 {
    let place = all.iter().position(|known| *known == value);
    place.expect("a closed word is in its own list") as u16
}

fn codes(environment: Environment, kind: Kind, tier: Tier, state: CredentialState) -> u16 {
    code(Environment::ALL, environment)
        | code(Kind::ALL, kind) << 4
        | code(Tier::ALL, tier) << 8
        | code(CredentialState::ALL, state) << 12
}

/// One row without its texts being copied.
struct Incoming<'a> {
    id: CredentialId,
    name: &'a str,
    /// Places in the fleet's dictionary.
    owner: u32,
    client: u32,
    codes: u16,
    version: u32,
    accepted: u32,
    times: [i64; 4],
    sequence: u64,
}

impl Fleet {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// Makes room for `rows` in all, so that a long list does not grow by doubling.
    pub fn expect_rows(&mut self, rows: u64) {
        let more = (rows as usize).min(4 << 20).saturating_sub(self.len());
        self.ids.reserve_exact(more);
        self.starts.reserve_exact(more + 1);
        self.names.reserve_exact(more * 24);
        self.owners.reserve_exact(more);
        self.clients.reserve_exact(more);
        self.codes.reserve_exact(more);
        self.versions.reserve_exact(more);
        self.accepted.reserve_exact(more);
        for column in [
            &mut self.issued,
            &mut self.expires,
            &mut self.rotate,
            &mut self.used,
        ] {
            column.reserve_exact(more);
        }
        self.sequences.reserve_exact(more);
    }

    /// The identifier of a row.
    pub fn id(&self, row: u32) -> Option<CredentialId> {
        self.ids.get(row as usize).copied()
    }

    /// The name of a row; empty beyond the end.
    pub fn name(&self, row: u32) -> &str {
        let at = row as usize;
        match (self.starts.get(at), self.starts.get(at + 1)) {
            (Some(&start), Some(&end)) => &self.names[start as usize..end as usize],
            _ => "",
        }
    }

    /// One row, put together.
    pub fn get(&self, row: u32) -> Option<CredentialRow> {
        let at = row as usize;
        self.ids.get(at)?;
        let [environment, kind, tier, state] = [0, 1, 2, 3].map(|which| self.code(at, which));
        let word = |place: u32| self.words[place as usize].to_string();
        Some(CredentialRow {
            id: self.ids[at],
            name: self.name(row).to_owned(),
            environment: Environment::ALL[environment],
            kind: Kind::ALL[kind],
            client: word(self.clients[at]),
            owner: word(self.owners[at]),
            tier: Tier::ALL[tier],
            state: CredentialState::ALL[state],
            version: self.versions[at],
            accepted: self.accepted[at].into(),
            issued_at: time(self.issued.get(at))?,
            expires_at: time(self.expires.get(at)),
            rotate_by: time(self.rotate.get(at)),
            last_used_at: time(self.used.get(at)),
            sequence: self.sequences.get(at),
        })
    }

    /// When a row's credential ends and when it must have rotated.
    pub fn deadlines(&self, row: u32) -> [Option<DateTime<Utc>>; 2] {
        let at = row as usize;
        if at < self.len() {
            [time(self.expires.get(at)), time(self.rotate.get(at))]
        } else {
            [None, None]
        }
    }

    /// The row of a credential.
    pub fn find(&self, id: CredentialId) -> Option<u32> {
        match self.ids[..self.ascending].binary_search(&id) {
            Ok(row) => Some(row as u32),
            Err(_) => self.late.find(&self.ids, id),
        }
    }

    /// One of a row's four codes.
    fn code(&self, at: usize, which: usize) -> usize {
        usize::from(self.codes[at] >> (4 * which) & 15)
    }

    /// Takes a row in, or over the one of the same identifier unless that one is newer. Returns its number.
    pub fn upsert(&mut self, row: &CredentialRow) -> u32 {
        let (owner, client) = (self.word(&row.owner), self.word(&row.client));
        self.take(&Incoming {
            id: row.id,
            name: &row.name,
            owner,
            client,
            codes: codes(row.environment, row.kind, row.tier, row.state),
            version: row.version,
            accepted: row.accepted,
            times: [
                row.issued_at.timestamp_millis(),
                millis(row.expires_at),
                millis(row.rotate_by),
                millis(row.last_used_at),
            ],
            sequence: row.sequence,
        })
    }

    /// Takes a block of rows in.
    pub fn extend(&mut self, block: &Block) {
        // The block's dictionary into ours once, and not its words row by row.
        let places: Vec<u32> = block.words.iter().map(|word| self.word(word)).collect();
        for row in 0..block.len() {
            self.take(&Incoming {
                id: block.ids[row],
                name: block.name(row),
                owner: places[usize::from(block.owners[row])],
                client: places[usize::from(block.clients[row])],
                codes: codes(
                    block.environments[row],
                    block.kinds[row],
                    block.tiers[row],
                    block.states[row],
                ),
                version: block.versions[row],
                accepted: block.accepted[row],
                times: [
                    block.issued[row].timestamp_millis(),
                    millis(block.expires[row]),
                    millis(block.rotate[row]),
                    millis(block.used[row]),
                ],
                sequence: block.sequences[row],
            });
        }
    }

    /// Takes what an event of the stream says about a credential.
    pub fn feed(&mut self, item: &FeedItem) {
        if let Some(row) = &item.credential {
            self.upsert(row);
        }
    }

    /// The rows that changed since the last time, with what changed; `None` if they were too many to remember.
    pub(super) fn take_journal(&mut self) -> Option<Vec<(u32, u8)>> {
        let lost = std::mem::take(&mut self.journal_lost);
        let journal = std::mem::take(&mut self.journal);
        (!lost).then_some(journal)
    }

    /// Whether rows changed since lists were last brought up to date.
    pub fn has_news(&self) -> bool {
        self.journal_lost || !self.journal.is_empty()
    }

    /// The rows as blocks, in the order of `rows`; for the cache.
    pub fn blocks<'a>(&'a self, rows: &'a [u32]) -> impl Iterator<Item = Block> + 'a {
        rows.chunks(BLOCK_ROWS).map(|part| {
            let rows: Vec<CredentialRow> = part.iter().filter_map(|row| self.get(*row)).collect();
            Block::from_rows(&rows)
        })
    }

    /// Bytes that the columns take, spare room and dictionary included.
    pub fn memory(&self) -> usize {
        self.ids.capacity() * 16
            + self.late.memory()
            + self.names.capacity()
            + (self.starts.capacity() + self.owners.capacity() + self.clients.capacity()) * 4
            + self.versions.capacity() * 4
            + (self.codes.capacity() + self.accepted.capacity()) * 2
            + (self.issued.memory() + self.expires.memory() + self.rotate.memory())
            + (self.used.memory() + self.sequences.memory())
            + self
                .words
                .iter()
                .map(|word| word.len() * 2 + 64)
                .sum::<usize>()
            + self.journal.capacity() * 8
    }

    fn take(&mut self, row: &Incoming<'_>) -> u32 {
        let (owner, client) = (row.owner, row.client);
        let accepted = u16::try_from(row.accepted).unwrap_or(u16::MAX);
        let [issued, expires, rotate, used] = row.times;
        let Some(number) = self.find(row.id) else {
            let number = self.ids.len() as u32;
            if self.starts.is_empty() {
                self.starts.push(0);
            }
            let ascends = self.ids.last().is_none_or(|last| *last < row.id);
            self.ids.push(row.id);
            if self.late.is_empty() && ascends {
                self.ascending += 1;
            } else {
                self.late.insert(&self.ids, number);
            }
            self.names.push_str(row.name);
            self.starts.push(self.names.len() as u32);
            self.owners.push(owner);
            self.clients.push(client);
            self.codes.push(row.codes);
            self.versions.push(row.version);
            self.accepted.push(accepted);
            self.issued.push(issued);
            self.expires.push(expires);
            self.rotate.push(rotate);
            self.used.push(used);
            self.sequences.push(row.sequence);
            self.note(number, what::NEW);
            return number;
        };
        let at = number as usize;
        if row.sequence < self.sequences.get(at) {
            return number;
        }
        if self.name(number) != row.name {
            self.rename(at, row.name);
            self.journal_lost = true;
        }
        let mut changed = 0;
        let mut set = |old: bool, flag: u8| changed |= if old { flag } else { 0 };
        set(self.expires.set(at, expires), what::EXPIRES);
        set(
            (self.owners[at], self.clients[at]) != (owner, client),
            what::WORDS,
        );
        set(self.used.set(at, used), what::USED);
        set(self.codes[at] != row.codes, what::CODES);
        set(self.issued.set(at, issued), what::TIMES);
        set(self.rotate.set(at, rotate), what::TIMES);
        self.owners[at] = owner;
        self.clients[at] = client;
        self.codes[at] = row.codes;
        self.versions[at] = row.version;
        self.accepted[at] = accepted;
        self.sequences.set(at, row.sequence);
        if changed != 0 {
            self.note(number, changed);
        }
        number
    }

    /// Names are stable, so this is rare and may cost a pass over all of them.
    fn rename(&mut self, at: usize, name: &str) {
        let (start, end) = (self.starts[at] as usize, self.starts[at + 1] as usize);
        self.names.replace_range(start..end, name);
        let moved = name.len() as i64 - (end - start) as i64;
        for later in &mut self.starts[at + 1..] {
            *later = (i64::from(*later) + moved) as u32;
        }
    }

    fn word(&mut self, word: &str) -> u32 {
        if let Some(place) = self.places.get(word) {
            return *place;
        }
        let place = self.words.len() as u32;
        self.words.push(word.into());
        self.places.insert(word.into(), place);
        place
    }

    fn note(&mut self, row: u32, changed: u8) {
        if self.journal_lost {
            return;
        }
        if self.journal.len() == JOURNAL_MAX {
            self.journal_lost = true;
            self.journal = Vec::new();
        } else {
            self.journal.push((row, changed));
        }
    }
}

/// Equal if they hold the same rows under the same numbers, however they came there.
impl PartialEq for Fleet {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len()
            && (0..self.len() as u32).all(|row| self.get(row) == other.get(row))
    }
}

impl From<Fleet> for Vec<Block> {
    fn from(fleet: Fleet) -> Self {
        let rows: Vec<u32> = (0..fleet.len() as u32).collect();
        fleet.blocks(&rows).collect()
    }
}

impl From<Vec<Block>> for Fleet {
    fn from(blocks: Vec<Block>) -> Self {
        let mut fleet = Self::default();
        for block in &blocks {
            fleet.extend(block);
        }
        fleet.take_journal();
        fleet
    }
}
