//! A list over the fleet: sorted by packed keys, filtered piece by piece so that typing never waits, and
//! brought up to date from the fleet's journal without reading everything again.

use super::search::Search;
use super::{Fleet, NEVER, what};
use crate::wire::CredentialState;
use crate::wire::filter::{Expr, Filter};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// Rows tried one by one, in the list's order, for the first screenful.
const PROBE: usize = 1 << 14;
/// Matches that make a first screenful, on any screen.
const SCREENFUL: usize = 256;
/// Rows gone through in one step.
const STEP: usize = 1 << 17;

/// What a list is sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum SortColumn {
    /// What is left of its life: what lives first, then what never ends, then what has ended, latest first.
    #[default]
    Left,
    /// Its name.
    Name,
    /// Its owner.
    Owner,
    /// When it was last used; unused comes last.
    Used,
    /// When it must have rotated; without cadence comes last.
    Due,
    /// Its state.
    State,
}

impl SortColumn {
    /// Every column, in the order in which `s` goes round.
    pub const ALL: [Self; 6] = [
        Self::Left,
        Self::Name,
        Self::Owner,
        Self::Used,
        Self::Due,
        Self::State,
    ];

    /// Its word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Left => "left",
            Self::Name => "name",
            Self::Owner => "owner",
            Self::Used => "used",
            Self::Due => "due",
            Self::State => "state",
        }
    }

    /// The one after it.
    #[must_use]
    pub fn next(self) -> Self {
        let place = Self::ALL.iter().position(|column| *column == self);
        Self::ALL[(place.unwrap_or(0) + 1) % Self::ALL.len()]
    }

    const fn depends_on(self) -> u8 {
        match self {
            Self::Left => what::EXPIRES | what::CODES,
            Self::Name => 0,
            Self::Owner => what::WORDS,
            Self::Used => what::USED,
            Self::Due => what::TIMES,
            Self::State => what::CODES,
        }
    }
}

/// A list's order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Sort {
    /// By what.
    pub column: SortColumn,
    /// The other way round.
    pub descending: bool,
}

/// How far a new filter has come.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
enum Scan {
    /// Through.
    #[default]
    Done,
    /// So many rows of the order were tried one by one; then by bits: these so far, in the fleet's order.
    Bits { tried: usize, bits: Vec<u64> },
}

/// The list.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct View {
    sort: Sort,
    filter: String,
    /// All rows in order.
    order: Vec<u32>,
    /// Those of them that match; `None` where all do.
    rows: Option<Vec<u32>>,
    scan: Scan,
    /// Goes up with every other filter or order: another list for the screen.
    generation: u64,
}

impl View {
    /// The rows that match, in order, as far as the filter has come.
    pub fn rows(&self) -> &[u32] {
        self.rows.as_deref().unwrap_or(&self.order)
    }

    /// All rows in order.
    pub fn order(&self) -> &[u32] {
        &self.order
    }

    /// Its order.
    pub fn sort(&self) -> Sort {
        self.sort
    }

    /// A number that is another one for another filter or order.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// Whether the filter still has rows to go through; call [`Self::advance`].
    pub fn busy(&self) -> bool {
        self.scan != Scan::Done
    }

    fn parsed(&self) -> Filter {
        Filter::parse(&self.filter).unwrap_or_default()
    }

    /// Another order.
    pub fn set_sort(&mut self, sort: Sort, fleet: &Fleet, now: DateTime<Utc>) {
        self.sort = sort;
        self.generation += 1;
        self.sort_all(fleet);
        self.restart(fleet, now);
    }

    /// Another filter: the first screenful is there at once, the rest comes by [`Self::advance`].
    pub fn set_filter(&mut self, filter: &Filter, fleet: &Fleet, now: DateTime<Utc>) {
        let narrower = !self.busy() && narrows(self.parsed().expr(), filter.expr());
        self.filter = filter.to_string();
        self.generation += 1;
        if narrower {
            // Whatever matches now matched before, so only those are tried.
            let search = Search::new(filter, fleet, now);
            if self.rows().len() <= PROBE {
                let matched = self.rows().iter().copied();
                self.rows = Some(matched.filter(|row| search.test(fleet, *row)).collect());
                return;
            }
        }
        self.restart(fleet, now);
    }

    /// Takes the filter further. Call while [`Self::busy`] and nobody types.
    pub fn advance(&mut self, fleet: &Fleet, now: DateTime<Utc>) {
        let Scan::Bits { tried, mut bits } = std::mem::take(&mut self.scan) else {
            return;
        };
        let done = bits.len() * 64;
        if done < fleet.len() {
            let search = Search::new(&self.parsed(), fleet, now);
            bits.extend(search.bits(fleet, done, STEP));
        }
        if bits.len() * 64 < fleet.len() {
            self.scan = Scan::Bits { tried, bits };
            return;
        }
        let hit = |row: &u32| bits[*row as usize / 64] >> (row % 64) & 1 == 1;
        let rest = self.order[tried..].iter().copied();
        let rows = self.rows.get_or_insert_default();
        rows.extend(rest.filter(hit));
    }

    /// Brings the list up to date with what changed in the fleet. Returns whether anything moved.
    pub fn settle(&mut self, fleet: &mut Fleet, now: DateTime<Utc>) -> bool {
        if !fleet.has_news() {
            return false;
        }
        let news = fleet.take_journal();
        let few = fleet.len() / 8 + 64;
        let Some(news) = news.filter(|news| news.len() <= few && !self.busy()) else {
            self.sort_all(fleet);
            self.restart(fleet, now);
            return true;
        };
        let search = Search::new(&self.parsed(), fleet, now);
        let mut changed = vec![0_u64; fleet.len().div_ceil(64)];
        let mut moved = changed.clone();
        let depends = self.sort.column.depends_on() | what::NEW;
        for (row, what) in &news {
            let (word, bit) = (*row as usize / 64, 1 << (row % 64));
            changed[word] |= bit;
            if what & depends != 0 {
                moved[word] |= bit;
            }
        }
        let mut rows: Vec<u32> = news.into_iter().map(|(row, _)| row).collect();
        rows.sort_unstable();
        rows.dedup();
        let is_in = |bits: &[u64], row: u32| bits[row as usize / 64] >> (row % 64) & 1 == 1;
        let all = rows
            .iter()
            .copied()
            .filter(|row| is_in(&moved, *row))
            .collect();
        let order = std::mem::take(&mut self.order);
        self.order = self.merged(order, all, &moved, fleet);
        if let Some(matched) = self.rows.take() {
            rows.retain(|row| search.test(fleet, *row));
            self.rows = Some(self.merged(matched, rows, &changed, fleet));
        }
        true
    }

    /// `list` without the rows in `out`, and with `fresh` put in where they belong.
    fn merged(&self, mut list: Vec<u32>, fresh: Vec<u32>, out: &[u64], fleet: &Fleet) -> Vec<u32> {
        if out.iter().all(|word| *word == 0) {
            return list;
        }
        list.retain(|row| out[*row as usize / 64] >> (row % 64) & 1 == 0);
        if fresh.is_empty() {
            return list;
        }
        let fresh = self.sorted(fresh, fleet);
        let ranks = self.ranks(fleet);
        let mut merged = Vec::with_capacity(list.len() + fresh.len());
        let mut from = 0;
        for row in fresh {
            let before = |other: &u32| self.before(*other, row, fleet, &ranks);
            let to = from + list[from..].partition_point(before);
            merged.extend_from_slice(&list[from..to]);
            merged.push(row);
            from = to;
        }
        merged.extend_from_slice(&list[from..]);
        merged
    }

    fn restart(&mut self, fleet: &Fleet, now: DateTime<Utc>) {
        let filter = self.parsed();
        self.scan = Scan::Done;
        if filter.is_all() {
            self.rows = None;
            return;
        }
        let search = Search::new(&filter, fleet, now);
        let (mut tried, mut rows) = (0, Vec::new());
        for row in self.order.iter().take(PROBE) {
            tried += 1;
            if search.test(fleet, *row) {
                rows.push(*row);
                if rows.len() == SCREENFUL {
                    break;
                }
            }
        }
        self.rows = Some(rows);
        if tried < self.order.len() {
            self.scan = Scan::Bits {
                tried,
                bits: Vec::new(),
            };
        }
    }

    fn sort_all(&mut self, fleet: &Fleet) {
        let all = (0..fleet.len() as u32).collect();
        self.order = self.sorted(all, fleet);
    }

    /// The dictionary's words by rank, where the order is by owner.
    fn ranks(&self, fleet: &Fleet) -> Vec<u32> {
        if self.sort.column != SortColumn::Owner {
            return Vec::new();
        }
        let mut places: Vec<u32> = (0..fleet.words.len() as u32).collect();
        places.sort_unstable_by_key(|place| &fleet.words[*place as usize]);
        let mut ranks = vec![0; places.len()];
        for (rank, place) in places.into_iter().enumerate() {
            ranks[place as usize] = rank as u32;
        }
        ranks
    }

    /// A number that sorts as the row does; names only by their beginning.
    fn key(&self, row: u32, fleet: &Fleet, ranks: &[u32]) -> u64 {
        let at = row as usize;
        let time = |millis: i64| millis as u64 ^ 1 << 63;
        let key = match self.sort.column {
            SortColumn::Left => left_key(fleet.code(at, 3), fleet.expires.get(at)),
            SortColumn::Used => time(fleet.used.get(at)),
            SortColumn::Due => time(fleet.rotate.get(at)),
            SortColumn::State => fleet.code(at, 3) as u64,
            SortColumn::Owner => ranks[fleet.owners[at] as usize].into(),
            SortColumn::Name => {
                let name = fleet.name(row).as_bytes();
                let mut head = [0; 8];
                let length = name.len().min(8);
                head[..length].copy_from_slice(&name[..length]);
                u64::from_be_bytes(head)
            }
        };
        if self.sort.descending { !key } else { key }
    }

    fn tie(&self, a: u32, b: u32, fleet: &Fleet) -> std::cmp::Ordering {
        let by_name = match self.sort {
            Sort {
                column: SortColumn::Name,
                descending,
            } => {
                let order = fleet.name(a).cmp(fleet.name(b));
                if descending { order.reverse() } else { order }
            }
            _ => std::cmp::Ordering::Equal,
        };
        by_name.then(a.cmp(&b))
    }

    fn before(&self, a: u32, b: u32, fleet: &Fleet, ranks: &[u32]) -> bool {
        let keys = self.key(a, fleet, ranks).cmp(&self.key(b, fleet, ranks));
        keys.then_with(|| self.tie(a, b, fleet)).is_lt()
    }

    fn sorted(&self, rows: Vec<u32>, fleet: &Fleet) -> Vec<u32> {
        let ranks = self.ranks(fleet);
        let keyed = rows
            .into_iter()
            .map(|row| (self.key(row, fleet, &ranks), row));
        let mut keyed: Vec<(u64, u32)> = keyed.collect();
        if self.sort.column == SortColumn::Name {
            keyed.sort_unstable_by(|a, b| a.0.cmp(&b.0).then_with(|| self.tie(a.1, b.1, fleet)));
        } else {
            keyed.sort_unstable();
        }
        keyed.into_iter().map(|(_, row)| row).collect()
    }
}

/// Sorts by what is left of a life: nobody looks for what has ended before what is about to.
fn left_key(state: usize, expires: i64) -> u64 {
    const CLASS: u32 = 62;
    let ended = [CredentialState::Revoked, CredentialState::Expired]
        .iter()
        .any(|ended| CredentialState::ALL[state] == *ended);
    let millis = (expires.max(0) as u64).min((1 << CLASS) - 1);
    match (ended, expires) {
        (true, _) => 2 << CLASS | ((1 << CLASS) - 1 - millis),
        (false, NEVER) => 1 << CLASS,
        (false, _) => millis,
    }
}

/// Whether every match of `new` is a match of `old`: the same words, and typing has gone on.
fn narrows(old: &Expr, new: &Expr) -> bool {
    match (old, new) {
        (Expr::Word(old), Expr::Word(new)) => new.contains(old.as_str()),
        (_, Expr::And(parts)) => match old {
            Expr::And(old) => old
                .iter()
                .all(|o| parts.iter().any(|n| o == n || narrows(o, n))),
            _ => parts.iter().any(|part| part == old || narrows(old, part)),
        },
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::console::fixture;
    use crate::wire::CredentialRow;
    use proptest::prelude::*;

    fn all(view: &mut View, fleet: &Fleet, now: DateTime<Utc>) -> Vec<String> {
        while view.busy() {
            view.advance(fleet, now);
        }
        view.rows()
            .iter()
            .map(|row| fleet.name(*row).to_owned())
            .collect()
    }

    #[test]
    fn a_list_is_the_filter_applied_row_by_row_in_order() {
        let (fleet, now) = (fixture::fleet(40_000), fixture::now());
        for text in [
            "",
            "svc",
            "ledger etl",
            "env:prod & (left<24h | never)",
            "!svc state:act",
            "é",
            "name:7",
        ] {
            let filter = Filter::parse(text).unwrap();
            for column in SortColumn::ALL {
                let mut view = View::default();
                let sort = Sort {
                    column,
                    descending: column == SortColumn::Owner,
                };
                view.set_sort(sort, &fleet, now);
                view.set_filter(&filter, &fleet, now);
                let first: Vec<u32> = view.rows().to_vec();
                let found = all(&mut view, &fleet, now);
                assert_eq!(view.rows()[..first.len()], first, "what was shown stays");
                let rows = view.order().iter().filter_map(|row| fleet.get(*row));
                let expected = rows
                    .filter(|row| filter.matches(row, now))
                    .map(|row| row.name);
                assert!(found.iter().cloned().eq(expected), "{text} by {column:?}");
            }
        }
    }

    #[test]
    fn orders_are_orders() {
        let (fleet, now) = (fixture::fleet(3_000), fixture::now());
        let mut view = View::default();
        let mut sorted = |column, descending| {
            view.set_sort(Sort { column, descending }, &fleet, now);
            let rows = view.rows().iter().map(|row| fleet.get(*row).unwrap());
            rows.collect::<Vec<_>>()
        };
        assert!(sorted(SortColumn::Name, false).is_sorted_by_key(|row| row.name.clone()));
        assert!(
            sorted(SortColumn::Name, true)
                .iter()
                .rev()
                .is_sorted_by_key(|row| row.name.clone())
        );
        assert!(sorted(SortColumn::Owner, false).is_sorted_by_key(|row| row.owner.clone()));
        let left = sorted(SortColumn::Left, false);
        let ended = |row: &CredentialRow| {
            matches!(
                row.state,
                CredentialState::Revoked | CredentialState::Expired
            )
        };
        let living = left.iter().filter(|row| !ended(row));
        assert!(living.is_sorted_by_key(|row| (row.expires_at.is_none(), row.expires_at)));
        assert!(left.is_sorted_by_key(ended), "what has ended comes last");
    }

    #[test]
    fn memory_stays_small() {
        let mut fleet = Fleet::default();
        let count = 100_000;
        fleet.expect_rows(count);
        let full = fixture::fleet(count as usize);
        let rows: Vec<u32> = (0..count as u32).collect();
        full.blocks(&rows).for_each(|block| fleet.extend(&block));
        // Beside the columns, a list has an order and its matches.
        let bytes = fleet.memory() / fleet.len() + 8;
        assert!(bytes <= 120, "{bytes} bytes a row");
        assert_eq!(fleet, full);
    }

    proptest! {
        #[test]
        fn a_list_kept_up_to_date_is_the_list_made_anew(
            changes in proptest::collection::vec((0_u32..400, 0_i64..90, 0_usize..5, any::<bool>()), 1..60),
            column in 0_usize..6,
            text in prop_oneof![Just(""), Just("svc"), Just("left<24h | never"), Just("state:act")],
        ) {
            let source = fixture::fleet(400);
            let (mut fleet, now) = (fixture::fleet(300), fixture::now());
            fleet.take_journal();
            let filter = Filter::parse(text).unwrap();
            let sort = Sort { column: SortColumn::ALL[column], descending: false };
            let mut kept = View::default();
            kept.set_sort(sort, &fleet, now);
            kept.set_filter(&filter, &fleet, now);
            for part in changes.chunks(7) {
                for (row, hours, state, new) in part {
                    let mut changed = source.get(*row).unwrap();
                    changed.sequence += 1_000_000;
                    changed.expires_at = (!new).then(|| now + chrono::TimeDelta::hours(*hours));
                    changed.state = crate::wire::CredentialState::ALL[*state];
                    fleet.upsert(&changed);
                }
                kept.settle(&mut fleet, now);
            }
            let mut anew = View::default();
            anew.set_sort(sort, &fleet, now);
            anew.set_filter(&filter, &fleet, now);
            prop_assert_eq!(all(&mut kept, &fleet, now), all(&mut anew, &fleet, now));
        }
    }
}
