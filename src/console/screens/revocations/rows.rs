//! The revocations that are known, a bounded number of them, and the order in which they are shown. The order is
//! made anew when something changed, never for a picture.

use crate::console::theme::{Glyphs, Role};
use crate::wire::filter::Filter;
use crate::wire::{Enforcement, RevocationId, RevocationRow, RevocationState};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// Rows kept at most; of those that are over, the oldest go.
pub const KEPT: usize = 2_000;

/// What the list is sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum SortBy {
    /// What is stuck, what is on its way, then the rest, latest first.
    #[default]
    Trouble,
    /// When it took effect.
    Began,
    /// How long it took everywhere.
    Took,
    /// The credential's name.
    Name,
}

impl SortBy {
    /// The one after this.
    #[must_use]
    pub const fn next(self) -> Self {
        match self {
            Self::Trouble => Self::Began,
            Self::Began => Self::Took,
            Self::Took => Self::Name,
            Self::Name => Self::Trouble,
        }
    }

    /// Its word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Trouble => "trouble",
            Self::Began => "began",
            Self::Took => "took",
            Self::Name => "name",
        }
    }
}

/// Whether somebody who must refuse it may not yet.
pub fn is_open(row: &RevocationRow) -> bool {
    row.state != RevocationState::Propagated
}

/// Whether its issuer was told and has not withdrawn it.
pub fn issuer_fails(row: &RevocationRow) -> bool {
    matches!(&row.enforcement, Enforcement::Pending { attempts, last_error } if *attempts > 0 && last_error.is_some())
}

/// How it stands: in words, how grave, and the sign before it.
pub fn standing(row: &RevocationRow, glyphs: &Glyphs) -> (String, Role, Option<&'static str>) {
    let waiting = row.gateways.saturating_sub(row.applied);
    let bad = |text: String| (text, Role::Bad, Some(glyphs.alert));
    match (is_open(row), waiting) {
        (true, 1..) if row.late > 0 => bad(format!("LATE at {waiting}")),
        (true, _) if issuer_fails(row) => bad("ISSUER FAILS".into()),
        (true, 1..) => (
            format!("waits for {waiting}"),
            Role::Warn,
            Some(glyphs.ring),
        ),
        (true, 0) => ("issuer told".into(), Role::Warn, Some(glyphs.ring)),
        (false, _) if row.late > 0 => (format!("done, {} late", row.late), Role::Warn, None),
        (false, _) if row.gateways == 0 && row.enforcement == Enforcement::NotNeeded => {
            ("refused here".into(), Role::Text, None)
        }
        (false, _) => ("everywhere".into(), Role::Good, None),
    }
}

/// Which of its versions, in few columns.
pub fn versions(row: &RevocationRow) -> String {
    match row.versions.as_slice() {
        _ if row.whole => "all".into(),
        [] => "none".into(),
        [one] => format!("v{one}"),
        [first, rest @ ..] => format!("v{first}+{}", rest.len()),
    }
}

/// What is known, and its order.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Rows {
    by_id: BTreeMap<RevocationId, RevocationRow>,
    order: Vec<RevocationId>,
    open: u64,
    sort: SortBy,
    reversed: bool,
    /// Another number for every order that is not the one before with some rows more.
    generation: u64,
    dirty: bool,
}

impl Rows {
    /// Takes a row in, unless a newer one is here.
    pub fn put(&mut self, row: &RevocationRow) {
        let before = self.by_id.get(&row.id);
        if before.is_some_and(|before| before.sequence > row.sequence || before == row) {
            return;
        }
        self.open -= u64::from(before.is_some_and(is_open));
        self.open += u64::from(is_open(row));
        self.by_id.insert(row.id, row.clone());
        self.dirty = true;
    }

    /// How many are not everywhere yet.
    pub fn open(&self) -> u64 {
        self.open
    }

    /// How many are known.
    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    /// One of them.
    pub fn get(&self, id: RevocationId) -> Option<&RevocationRow> {
        self.by_id.get(&id)
    }

    /// In their order.
    pub fn order(&self) -> &[RevocationId] {
        &self.order
    }

    /// The rows from a place on.
    pub fn from(&self, place: usize) -> impl Iterator<Item = &RevocationRow> {
        self.order
            .iter()
            .skip(place)
            .filter_map(|id| self.by_id.get(id))
    }

    /// See [`Rows::generation`].
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// What they are sorted by, and whether the other way round.
    pub fn sort(&self) -> (SortBy, bool) {
        (self.sort, self.reversed)
    }

    /// Sorts otherwise.
    pub fn set_sort(&mut self, sort: SortBy, reversed: bool) {
        (self.sort, self.reversed) = (sort, reversed);
        self.anew();
    }

    /// The order has to be made again: another filter or sort.
    pub fn anew(&mut self) {
        self.generation += 1;
        self.dirty = true;
    }

    /// Brings the order up to date, if anything changed. Says whether it did.
    pub fn settle(&mut self, filter: &Filter, now: DateTime<Utc>) -> bool {
        if !std::mem::take(&mut self.dirty) {
            return false;
        }
        self.shrink();
        let matching = self.by_id.values().filter(|row| filter.matches(*row, now));
        let mut rows: Vec<&RevocationRow> = matching.collect();
        let latest = |row: &RevocationRow| Reverse((row.effective_at, row.id));
        match self.sort {
            SortBy::Trouble => rows.sort_by_key(|row| {
                // What waits longest is first of the stuck, and last of the rest.
                let waits = is_open(row).then_some((row.effective_at, row.id));
                // Where a gateway is late the key still opens doors; an issuer that fails can be so for weeks.
                let grave = match (row.late, issuer_fails(row)) {
                    (1.., _) => 0,
                    (0, true) => 1,
                    (0, false) => 2,
                };
                (waits.is_none(), waits.map(|_| grave), waits, latest(row))
            }),
            SortBy::Began => rows.sort_by_key(|row| latest(row)),
            SortBy::Took => rows.sort_by_key(|row| {
                let took = row.time_to_revoke_ms.unwrap_or(u64::MAX);
                (Reverse(took), latest(row))
            }),
            SortBy::Name => rows.sort_by(|one, other| {
                let name = one.credential_name.cmp(&other.credential_name);
                name.then_with(|| latest(one).cmp(&latest(other)))
            }),
        }
        if self.reversed {
            rows.reverse();
        }
        self.order = rows.into_iter().map(|row| row.id).collect();
        true
    }

    fn shrink(&mut self) {
        let surplus = self.by_id.len().saturating_sub(KEPT);
        if surplus == 0 {
            return;
        }
        let over = self.by_id.values().filter(|row| !is_open(row));
        let mut over: Vec<_> = over.map(|row| (row.effective_at, row.id)).collect();
        over.sort_unstable();
        for (_, id) in over.into_iter().take(surplus) {
            self.by_id.remove(&id);
        }
    }
}
