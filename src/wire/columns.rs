//! The credentials' list in columns: a million rows in some 40 bytes each, and quick to read.
//!
//! The media type `super::header::COLUMNS` is a run of frames, each `[u32 little-endian length][payload]`. The
//! first payload is the `ListHeader` as JSON; every other is zstd over postcard of one block of at most
//! `BLOCK_ROWS` rows, column by column: closed words as numbers, owners and clients through a dictionary,
//! times as differences, names one after another. Whatever arrives is bounded before it is believed.

use super::{CredentialId, CredentialRow, CredentialState, Environment, Kind, ListHeader, Tier};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::{borrow::Cow, collections::HashMap};

/// The most rows in one block.
pub const BLOCK_ROWS: usize = 4_096;
/// The largest payload of a frame, in bytes.
pub const FRAME_MAX: usize = 2 << 20;
/// The largest block once it is unpacked, in bytes.
const UNPACKED_MAX: usize = 4 << 20;

/// Why bytes are not a list in columns.
#[derive(Debug, thiserror::Error)]
pub enum ColumnsError {
    /// A frame claims to be larger than any that we make.
    #[error("a frame of {0} bytes, where {FRAME_MAX} are the most")]
    FrameTooLarge(u64),
    /// The first frame is not a header.
    #[error("the list's header cannot be read")]
    Header(#[source] serde_json::Error),
    /// A block does not unpack.
    #[error("a block cannot be unpacked")]
    Unpack(#[source] std::io::Error),
    /// A block is not what it should be.
    #[error("a block cannot be read")]
    Read(#[source] postcard::Error),
    /// A block's columns do not fit together.
    #[error("a block makes no sense: {0}")]
    Shape(&'static str),
    /// The stream ended within a frame, or before its header.
    #[error("the list breaks off")]
    BreaksOff,
}

/// Up to [`BLOCK_ROWS`] credentials, column by column. All columns have the same length, and every number in
/// them means something: whoever holds a block need not check again.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(try_from = "Packed", into = "Packed")]
pub struct Block {
    /// Identifiers.
    pub ids: Vec<CredentialId>,
    /// All names, one after another.
    pub names: String,
    /// Where in `names` each name ends.
    pub ends: Vec<u32>,
    /// The dictionary of owners and clients.
    pub words: Vec<String>,
    /// Owners, by place in `words`.
    pub owners: Vec<u16>,
    /// Clients, by place in `words`.
    pub clients: Vec<u16>,
    /// Where used.
    pub environments: Vec<Environment>,
    /// What made of.
    pub kinds: Vec<Kind>,
    /// How much harm.
    pub tiers: Vec<Tier>,
    /// Where in life.
    pub states: Vec<CredentialState>,
    /// Versions in use.
    pub versions: Vec<u32>,
    /// Accepted versions.
    pub accepted: Vec<u32>,
    /// When made.
    pub issued: Vec<DateTime<Utc>>,
    /// When they end.
    pub expires: Vec<Option<DateTime<Utc>>>,
    /// When they must have rotated.
    pub rotate: Vec<Option<DateTime<Utc>>>,
    /// When last used.
    pub used: Vec<Option<DateTime<Utc>>>,
    /// Sequences of the last change.
    pub sequences: Vec<u64>,
}

impl Block {
    /// The rows as columns; rows beyond [`BLOCK_ROWS`] are left out.
    pub fn from_rows(rows: &[CredentialRow]) -> Self {
        let rows = &rows[..rows.len().min(BLOCK_ROWS)];
        let mut block = Self::default();
        let mut places: HashMap<&str, u16> = HashMap::new();
        for row in rows {
            let mut place = |word| {
                let next = places.len() as u16;
                *places.entry(word).or_insert_with(|| {
                    block.words.push(String::from(word));
                    next
                })
            };
            block.owners.push(place(&row.owner));
            block.clients.push(place(&row.client));
            block.ids.push(row.id);
            block.names.push_str(&row.name);
            block.ends.push(block.names.len() as u32);
            block.environments.push(row.environment);
            block.kinds.push(row.kind);
            block.tiers.push(row.tier);
            block.states.push(row.state);
            block.versions.push(row.version);
            block.accepted.push(row.accepted);
            block.issued.push(row.issued_at);
            block.expires.push(row.expires_at);
            block.rotate.push(row.rotate_by);
            block.used.push(row.last_used_at);
            block.sequences.push(row.sequence);
        }
        block
    }

    /// How many rows.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// The name of a row; empty beyond the end.
    pub fn name(&self, row: usize) -> &str {
        let start = match row {
            0 => 0,
            _ => self.ends.get(row - 1).map_or(0, |end| *end as usize),
        };
        let end = self.ends.get(row).map_or(start, |end| *end as usize);
        &self.names[start..end]
    }

    /// One row, put together; `None` beyond the end.
    pub fn row(&self, row: usize) -> Option<CredentialRow> {
        self.shown(row).map(CredentialRow::from)
    }

    fn shown(&self, row: usize) -> Option<Shown<'_>> {
        let word = |place: u16| self.words[usize::from(place)].as_str();
        Some(Shown {
            id: *self.ids.get(row)?,
            name: self.name(row),
            environment: self.environments[row],
            kind: self.kinds[row],
            client: word(self.clients[row]).into(),
            owner: word(self.owners[row]),
            tier: self.tiers[row],
            state: self.states[row],
            version: self.versions[row],
            accepted: self.accepted[row],
            issued_at: self.issued[row],
            expires_at: self.expires[row],
            rotate_by: self.rotate[row],
            last_used_at: self.used[row],
            sequence: self.sequences[row],
        })
    }
}

/// A [`CredentialRow`] whose texts stay where they are: a list of a million copies none.
#[derive(Debug, Clone)]
pub struct Shown<'a> {
    /// Which credential.
    pub id: CredentialId,
    /// The stable name.
    pub name: &'a str,
    /// Where it is used.
    pub environment: Environment,
    /// What it is made of.
    pub kind: Kind,
    /// Who uses it, by name.
    pub client: Cow<'a, str>,
    /// The team that answers for it.
    pub owner: &'a str,
    /// How much harm misuse would do.
    pub tier: Tier,
    /// What follows from its versions and flags.
    pub state: CredentialState,
    /// The number of the version in use, or of the last one.
    pub version: u32,
    /// How many versions are accepted.
    pub accepted: u32,
    /// When the version in use was made.
    pub issued_at: DateTime<Utc>,
    /// When it ends; none means never.
    pub expires_at: Option<DateTime<Utc>>,
    /// When it must have rotated, by cadence.
    pub rotate_by: Option<DateTime<Utc>>,
    /// When it was last accepted, as far as is known.
    pub last_used_at: Option<DateTime<Utc>>,
    /// Sequence of the last change.
    pub sequence: u64,
}

impl From<Shown<'_>> for CredentialRow {
    fn from(shown: Shown<'_>) -> Self {
        Self {
            id: shown.id,
            name: shown.name.to_owned(),
            environment: shown.environment,
            kind: shown.kind,
            client: shown.client.into_owned(),
            owner: shown.owner.to_owned(),
            tier: shown.tier,
            state: shown.state,
            version: shown.version,
            accepted: shown.accepted,
            issued_at: shown.issued_at,
            expires_at: shown.expires_at,
            rotate_by: shown.rotate_by,
            last_used_at: shown.last_used_at,
            sequence: shown.sequence,
        }
    }
}

impl<'a> From<&'a CredentialRow> for Shown<'a> {
    fn from(row: &'a CredentialRow) -> Self {
        Self {
            id: row.id,
            name: &row.name,
            environment: row.environment,
            kind: row.kind,
            client: row.client.as_str().into(),
            owner: &row.owner,
            tier: row.tier,
            state: row.state,
            version: row.version,
            accepted: row.accepted,
            issued_at: row.issued_at,
            expires_at: row.expires_at,
            rotate_by: row.rotate_by,
            last_used_at: row.last_used_at,
            sequence: row.sequence,
        }
    }
}

/// A block as it travels: differences and small numbers, which compress well.
#[derive(Default, Serialize, Deserialize)]
struct Packed {
    /// The upper halves of the identifiers, which hold their time: each less the one before.
    id_upper: Vec<i64>,
    /// The lower halves, which are random: eight bytes each.
    id_lower: Vec<u8>,
    names: String,
    name_lengths: Vec<u16>,
    words: Vec<String>,
    owners: Vec<u16>,
    clients: Vec<u16>,
    environments: Vec<u8>,
    kinds: Vec<u8>,
    tiers: Vec<u8>,
    states: Vec<u8>,
    versions: Vec<u32>,
    accepted: Vec<u32>,
    /// Milliseconds, each less the one before.
    issued: Vec<i64>,
    /// Milliseconds after `issued`.
    expires: Vec<Option<i64>>,
    rotate: Vec<Option<i64>>,
    used: Vec<Option<i64>>,
    /// Each less the one before.
    sequences: Vec<i64>,
}

fn place<T: PartialEq>(all: &[T], value: &T) -> u8 {
    let place = all.iter().position(|known| known == value);
    place.expect("a closed word is in its own list") as u8
}

impl Packed {
    fn new<'a>(rows: impl Iterator<Item = Shown<'a>>) -> Self {
        let mut packed = Self::default();
        let mut places: HashMap<String, u16> = HashMap::new();
        let (mut last_upper, mut last_issued, mut last_sequence) = (0_u64, 0_i64, 0_u64);
        for row in rows.take(BLOCK_ROWS) {
            let words = &mut packed.words;
            let mut word = |word: &str| {
                places.get(word).copied().unwrap_or_else(|| {
                    let next = words.len() as u16;
                    words.push(word.to_owned());
                    places.insert(word.to_owned(), next);
                    next
                })
            };
            packed.owners.push(word(row.owner));
            packed.clients.push(word(&row.client));
            let bits = row.id.bits();
            let upper = (bits >> 64) as u64;
            packed.id_upper.push(upper.wrapping_sub(last_upper) as i64);
            packed
                .id_lower
                .extend_from_slice(&(bits as u64).to_be_bytes());
            last_upper = upper;
            packed.names.push_str(row.name);
            packed.name_lengths.push(row.name.len() as u16);
            packed
                .environments
                .push(place(Environment::ALL, &row.environment));
            packed.kinds.push(place(Kind::ALL, &row.kind));
            packed.tiers.push(place(Tier::ALL, &row.tier));
            packed.states.push(place(CredentialState::ALL, &row.state));
            packed.versions.push(row.version);
            packed.accepted.push(row.accepted);
            let issued = row.issued_at.timestamp_millis();
            let after = |time: Option<DateTime<Utc>>| time.map(|at| at.timestamp_millis() - issued);
            packed.issued.push(issued.wrapping_sub(last_issued));
            last_issued = issued;
            packed.expires.push(after(row.expires_at));
            packed.rotate.push(after(row.rotate_by));
            packed.used.push(after(row.last_used_at));
            packed
                .sequences
                .push(row.sequence.wrapping_sub(last_sequence) as i64);
            last_sequence = row.sequence;
        }
        packed
    }
}

impl From<Block> for Packed {
    fn from(block: Block) -> Self {
        Self::new((0..block.len()).filter_map(|row| block.shown(row)))
    }
}

fn decoded<T: Copy>(all: &[T], codes: &[u8]) -> Result<Vec<T>, ColumnsError> {
    let known = |code: &u8| all.get(usize::from(*code)).copied();
    let values: Option<Vec<T>> = codes.iter().map(known).collect();
    values.ok_or(ColumnsError::Shape("a word that this build does not know"))
}

fn time(millis: i64) -> Result<DateTime<Utc>, ColumnsError> {
    DateTime::from_timestamp_millis(millis).ok_or(ColumnsError::Shape("a time out of range"))
}

impl TryFrom<Packed> for Block {
    type Error = ColumnsError;

    fn try_from(packed: Packed) -> Result<Self, ColumnsError> {
        let count = packed.id_upper.len();
        let lengths = [
            packed.id_lower.len() / 8,
            packed.name_lengths.len(),
            packed.owners.len(),
            packed.clients.len(),
            packed.environments.len(),
            packed.kinds.len(),
            packed.tiers.len(),
            packed.states.len(),
            packed.versions.len(),
            packed.accepted.len(),
            packed.issued.len(),
            packed.expires.len(),
            packed.rotate.len(),
            packed.used.len(),
            packed.sequences.len(),
        ];
        if count > BLOCK_ROWS || lengths.iter().any(|length| *length != count) {
            return Err(ColumnsError::Shape("columns of different lengths"));
        }
        let words = packed.words.len();
        let mut places = packed.owners.iter().chain(&packed.clients);
        if places.any(|place| usize::from(*place) >= words) {
            return Err(ColumnsError::Shape("a word beyond the dictionary"));
        }
        let mut block = Self {
            environments: decoded(Environment::ALL, &packed.environments)?,
            kinds: decoded(Kind::ALL, &packed.kinds)?,
            tiers: decoded(Tier::ALL, &packed.tiers)?,
            states: decoded(CredentialState::ALL, &packed.states)?,
            ids: Vec::with_capacity(count),
            ends: Vec::with_capacity(count),
            issued: Vec::with_capacity(count),
            expires: Vec::with_capacity(count),
            rotate: Vec::with_capacity(count),
            used: Vec::with_capacity(count),
            sequences: Vec::with_capacity(count),
            ..Self::default()
        };
        let (mut upper, mut end, mut issued, mut sequence) = (0_u64, 0_usize, 0_i64, 0_u64);
        for (row, lower) in packed.id_lower.as_chunks::<8>().0.iter().enumerate() {
            upper = upper.wrapping_add(packed.id_upper[row] as u64);
            let bits = u128::from(upper) << 64 | u128::from(u64::from_be_bytes(*lower));
            block.ids.push(CredentialId::from_bits(bits));
            end += usize::from(packed.name_lengths[row]);
            if !packed.names.is_char_boundary(end) {
                return Err(ColumnsError::Shape("a name that ends elsewhere"));
            }
            block.ends.push(end as u32);
            issued = issued.wrapping_add(packed.issued[row]);
            block.issued.push(time(issued)?);
            let after = |span: Option<i64>| match span {
                Some(span) => time(issued.wrapping_add(span)).map(Some),
                None => Ok(None),
            };
            block.expires.push(after(packed.expires[row])?);
            block.rotate.push(after(packed.rotate[row])?);
            block.used.push(after(packed.used[row])?);
            sequence = sequence.wrapping_add(packed.sequences[row] as u64);
            block.sequences.push(sequence);
        }
        if end != packed.names.len() {
            return Err(ColumnsError::Shape("names beyond the last row"));
        }
        block.names = packed.names;
        block.words = packed.words;
        block.owners = packed.owners;
        block.clients = packed.clients;
        block.versions = packed.versions;
        block.accepted = packed.accepted;
        Ok(block)
    }
}

fn frame(payload: &[u8]) -> Vec<u8> {
    let mut frame = Vec::with_capacity(payload.len() + 4);
    frame.extend_from_slice(&(payload.len() as u32).to_le_bytes());
    frame.extend_from_slice(payload);
    frame
}

/// The first frame.
pub fn header_frame(header: &ListHeader) -> Vec<u8> {
    frame(&serde_json::to_vec(header).expect("two numbers always serialise"))
}

/// The frame of one block; rows beyond [`BLOCK_ROWS`] are left out.
pub fn block_frame<'a>(rows: impl Iterator<Item = Shown<'a>>) -> Vec<u8> {
    let bytes = postcard::to_allocvec(&Packed::new(rows)).expect("plain columns always serialise");
    frame(&zstd::bulk::compress(&bytes, 1).expect("compressing into memory cannot fail"))
}

/// What came out of the bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decoded {
    /// The list begins.
    Header(ListHeader),
    /// Some of its rows.
    Rows(Box<Block>),
}

/// Takes the bytes as they come and gives header and blocks as soon as they are whole.
pub struct Decoder {
    pending: Vec<u8>,
    unpacked: Vec<u8>,
    began: bool,
}

impl Default for Decoder {
    fn default() -> Self {
        Self {
            pending: Vec::new(),
            unpacked: Vec::with_capacity(UNPACKED_MAX),
            began: false,
        }
    }
}

impl Decoder {
    /// Takes more bytes. Holds at most one frame's worth of bytes that are not whole yet.
    pub fn push(&mut self, bytes: &[u8]) -> Result<Vec<Decoded>, ColumnsError> {
        self.pending.extend_from_slice(bytes);
        let mut found = Vec::new();
        let mut start = 0;
        while let Some((length, rest)) = self.pending[start..].split_first_chunk::<4>() {
            let length = u32::from_le_bytes(*length) as usize;
            if length > FRAME_MAX {
                return Err(ColumnsError::FrameTooLarge(length as u64));
            }
            let Some(payload) = rest.get(..length) else {
                break;
            };
            if self.began {
                self.unpacked.clear();
                zstd::bulk::Decompressor::new()
                    .and_then(|mut unpack| unpack.decompress_to_buffer(payload, &mut self.unpacked))
                    .map_err(ColumnsError::Unpack)?;
                let block = postcard::from_bytes(&self.unpacked).map_err(ColumnsError::Read)?;
                found.push(Decoded::Rows(Box::new(block)));
            } else {
                let header = serde_json::from_slice(payload).map_err(ColumnsError::Header)?;
                self.began = true;
                found.push(Decoded::Header(header));
            }
            start += 4 + length;
        }
        self.pending.drain(..start);
        Ok(found)
    }

    /// Says that no more bytes come.
    ///
    /// # Errors
    /// If the list breaks off within a frame or before its header.
    pub fn finish(self) -> Result<(), ColumnsError> {
        if self.began && self.pending.is_empty() {
            Ok(())
        } else {
            Err(ColumnsError::BreaksOff)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Rows as a real fleet has them: time-ordered identifiers, few owners, usual lifetimes.
    fn rows(count: usize) -> Vec<CredentialRow> {
        let mut state = 7_u64;
        let mut random = move || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            state >> 16
        };
        let teams = [
            "payments", "ledger", "netops", "data", "platform", "storage",
        ];
        let begin = 1_790_000_000_000_i64;
        (0..count)
            .map(|n| {
                let made = begin + n as i64 * 37_000 + (random() % 9_000) as i64;
                let lower = u128::from(random()) << 32 ^ u128::from(random());
                let team = teams[random() as usize % teams.len()];
                let issued_at = time(made).unwrap();
                let days = [1, 30, 90][random() as usize % 3];
                let ends = issued_at + chrono::TimeDelta::days(days);
                CredentialRow {
                    id: CredentialId::from_bits((made as u128) << 80 | 7 << 76 | lower),
                    name: format!(
                        "{team}/svc-{}-{:03}",
                        ["api", "etl"][n % 2],
                        random() % 1000
                    ),
                    environment: Environment::ALL[random() as usize % 3],
                    kind: Kind::ALL[random() as usize % 4],
                    client: format!("{team}-{}", random() % 40),
                    owner: team.into(),
                    tier: Tier::ALL[random() as usize % 4],
                    state: CredentialState::ALL[(random() % 40 / 36) as usize],
                    version: (random() % 9) as u32 + 1,
                    accepted: 1,
                    issued_at,
                    expires_at: (random() % 20 > 0).then_some(ends),
                    rotate_by: Some(issued_at + chrono::TimeDelta::days(days * 2 / 3)),
                    last_used_at: Some(
                        issued_at + chrono::TimeDelta::seconds((random() % 86_400) as i64),
                    ),
                    sequence: n as u64 * 3 + random() % 3,
                }
            })
            .collect()
    }

    #[test]
    fn a_list_comes_back_however_it_is_cut_and_costs_few_bytes() {
        let rows = rows(BLOCK_ROWS + 100);
        let header = ListHeader {
            count: rows.len() as u64,
            sequence: 918_204,
        };
        let mut bytes = header_frame(&header);
        rows.chunks(BLOCK_ROWS)
            .for_each(|part| bytes.extend(block_frame(part.iter().map(Shown::from))));
        assert!(
            bytes.len() / rows.len() < 45,
            "{} bytes a row",
            bytes.len() / rows.len()
        );
        for step in [1_000_000, 4_093, 5] {
            let mut decoder = Decoder::default();
            let mut found = Vec::new();
            for part in bytes.chunks(step) {
                found.extend(decoder.push(part).unwrap());
            }
            decoder.finish().unwrap();
            assert_eq!(found.remove(0), Decoded::Header(header));
            let back = found.iter().flat_map(|decoded| match decoded {
                Decoded::Rows(block) => (0..block.len())
                    .map(|row| block.row(row).unwrap())
                    .collect(),
                Decoded::Header(_) => Vec::new(),
            });
            assert!(back.eq(rows.iter().cloned()), "in steps of {step}");
        }
    }

    #[test]
    fn what_is_not_a_list_is_refused() {
        let header = header_frame(&ListHeader {
            count: 1,
            sequence: 1,
        });
        let block = block_frame(rows(3).iter().map(Shown::from));
        let refused = |bytes: &[u8]| {
            let mut decoder = Decoder::default();
            decoder.push(&header).unwrap();
            decoder.push(bytes).unwrap_err().to_string()
        };
        assert!(refused(&[255; 4]).contains("4294967295 bytes"));
        assert!(refused(&frame(b"no zstd")).contains("unpacked"));
        assert!(refused(&frame(&zstd::bulk::compress(&[9, 1], 1).unwrap())).contains("read"));
        let mut unpacked = zstd::bulk::decompress(&block[4..], UNPACKED_MAX).unwrap();
        unpacked[0] += 1;
        assert!(refused(&frame(&zstd::bulk::compress(&unpacked, 1).unwrap())).contains("block"));
        let bomb = zstd::bulk::compress(&vec![0; UNPACKED_MAX * 8], 1).unwrap();
        assert!(refused(&frame(&bomb)).contains("unpacked"));
        assert!(
            Decoder::default().push(&block).is_err(),
            "a header comes first"
        );
        let mut decoder = Decoder::default();
        decoder.push(&header[..7]).unwrap();
        assert!(matches!(decoder.finish(), Err(ColumnsError::BreaksOff)));
    }

    #[test]
    fn blocks_that_contradict_themselves_are_refused() {
        let packed = || Packed::from(Block::from_rows(&rows(3)));
        let refused = |change: fn(&mut Packed)| {
            let mut packed = packed();
            change(&mut packed);
            Block::try_from(packed).unwrap_err().to_string()
        };
        assert!(refused(|p| p.owners[0] = 99).contains("dictionary"));
        assert!(refused(|p| p.states[2] = 9).contains("does not know"));
        assert!(refused(|p| p.name_lengths[2] += 1).contains("ends elsewhere"));
        assert!(refused(|p| p.name_lengths[2] -= 1).contains("beyond the last row"));
        assert!(refused(|p| p.issued[1] = i64::MAX).contains("time"));
        assert!(refused(|p| p.expires[1] = Some(i64::MAX)).contains("time"));
        assert!(
            refused(|p| {
                p.versions.pop();
            })
            .contains("lengths")
        );
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes: Vec<u8>, flips in proptest::collection::vec((0_usize..400, any::<u8>()), 1..6)) {
            let mut decoder = Decoder::default();
            let _ = decoder.push(&bytes);
            let block = Block::from_rows(&rows(9));
            let mut raw = postcard::to_allocvec(&block).unwrap();
            for (at, byte) in flips {
                let at = at % raw.len();
                raw[at] = byte;
            }
            let mut decoder = Decoder::default();
            decoder.push(&header_frame(&ListHeader { count: 9, sequence: 1 })).unwrap();
            if let Ok(found) = decoder.push(&frame(&zstd::bulk::compress(&raw, 1).unwrap())) {
                for decoded in found {
                    let Decoded::Rows(block) = decoded else { continue };
                    for row in 0..block.len() {
                        prop_assert!(block.row(row).is_some());
                    }
                }
            }
        }
    }
}
