//! What rotates, what will and what did, and the order in which it is shown. The order is made anew when something
//! changed or a minute has passed, never for a picture.

use crate::wire::filter::Filter;
use crate::wire::rotation::PlannedRow;
use crate::wire::{CredentialId, RotationCalendar, RotationId, RotationRow, RotationState};
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// For how long one that came to nothing is trouble.
const TROUBLED: TimeDelta = TimeDelta::hours(48);
/// How old the order gets: passing time makes what is planned overdue.
const KEPT: TimeDelta = TimeDelta::minutes(1);
/// Rotations kept at most that have ended.
const ENDED: usize = 1_000;

/// What an entry is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Key {
    /// One that runs or has ended.
    Rotation(RotationId),
    /// One to come, of this credential.
    Planned(CredentialId),
}

/// Where an entry belongs, in the order in which a person looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Group {
    /// Overdue, late, failing, or come to nothing lately.
    Trouble,
    /// Under way.
    Running,
    /// To come.
    Planned,
    /// Over.
    Ended,
}

impl Group {
    /// Its heading.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Trouble => "TROUBLE",
            Self::Running => "IN PROGRESS",
            Self::Planned => "PLANNED",
            Self::Ended => "ENDED",
        }
    }
}

/// What the list is sorted by, within its groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum SortBy {
    /// What is next, or was last.
    #[default]
    Time,
    /// The credential's name.
    Name,
    /// The team that answers for it.
    Owner,
}

impl SortBy {
    /// The one after this.
    #[must_use]
    pub const fn next(self) -> Self {
        match self {
            Self::Time => Self::Name,
            Self::Name => Self::Owner,
            Self::Owner => Self::Time,
        }
    }

    /// Its word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Time => "time",
            Self::Name => "name",
            Self::Owner => "owner",
        }
    }
}

/// An entry, to be drawn.
#[derive(Debug, Clone, Copy)]
pub enum Item<'a> {
    /// One that runs or has ended.
    Rotation(&'a RotationRow),
    /// One to come.
    Planned(&'a PlannedRow),
}

impl Item<'_> {
    /// Its credential.
    pub fn credential(self) -> CredentialId {
        match self {
            Self::Rotation(row) => row.credential,
            Self::Planned(row) => row.credential,
        }
    }

    /// That one's name.
    pub fn name(&self) -> &str {
        match self {
            Self::Rotation(row) => &row.credential_name,
            Self::Planned(row) => &row.credential_name,
        }
    }

    fn owner(&self) -> &str {
        match self {
            Self::Rotation(row) => &row.owner,
            Self::Planned(row) => &row.owner,
        }
    }

    /// The time that it is sorted by: later is further down.
    fn time(self) -> i64 {
        match self {
            Self::Planned(row) => row.begins_at.timestamp_millis(),
            Self::Rotation(row) => match row.ended_at {
                Some(at) => -at.timestamp_millis(),
                None => row.started_at.timestamp_millis(),
            },
        }
    }

    /// Lines that it takes: one where there is no newer version to draw.
    pub fn lines(self, now: DateTime<Utc>) -> usize {
        match self {
            Self::Planned(row) if row.late_at <= now => 1,
            _ => 2,
        }
    }
}

/// Whether nobody is on the newer version though the time for it is over.
pub fn is_late(row: &RotationRow, now: DateTime<Utc>) -> bool {
    row.promoted_at.is_none() && row.ended_at.is_none() && row.late_at.is_some_and(|at| at <= now)
}

/// What is known, and its order.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Entries {
    rotations: BTreeMap<RotationId, RotationRow>,
    planned: BTreeMap<CredentialId, PlannedRow>,
    order: Vec<(Group, Key)>,
    counts: [usize; 4],
    sort: SortBy,
    reversed: bool,
    settled_at: Option<DateTime<Utc>>,
}

impl Entries {
    /// A fresh calendar takes the place of what was known, but for rows that came with the stream since.
    pub fn take(&mut self, calendar: &RotationCalendar) {
        self.rotations
            .retain(|_, row| row.sequence > calendar.sequence);
        for row in calendar.running.iter().chain(&calendar.ended) {
            self.rotations.entry(row.id).or_insert_with(|| row.clone());
        }
        let planned = calendar.planned.iter();
        self.planned = planned.map(|row| (row.credential, row.clone())).collect();
        let running: Vec<_> = self.running().map(|row| row.credential).collect();
        for credential in running {
            self.planned.remove(&credential);
        }
        self.settled_at = None;
    }

    /// A row came with the stream.
    pub fn put(&mut self, row: &RotationRow) {
        if self
            .rotations
            .get(&row.id)
            .is_some_and(|before| before.sequence > row.sequence)
        {
            return;
        }
        if row.ended_at.is_none() {
            self.planned.remove(&row.credential);
        }
        self.rotations.insert(row.id, row.clone());
        self.settled_at = None;
        let surplus = self.rotations.len().saturating_sub(2 * ENDED);
        if surplus > 0 {
            // Identifiers begin with the time: the first are the oldest.
            let over = self.rotations.values().filter(|row| row.ended_at.is_some());
            let over: Vec<_> = over.map(|row| row.id).take(surplus + ENDED).collect();
            for id in over {
                self.rotations.remove(&id);
            }
        }
    }

    fn running(&self) -> impl Iterator<Item = &RotationRow> {
        self.rotations.values().filter(|row| row.ended_at.is_none())
    }

    /// One of them.
    pub fn get(&self, key: Key) -> Option<Item<'_>> {
        match key {
            Key::Rotation(id) => self.rotations.get(&id).map(Item::Rotation),
            Key::Planned(id) => self.planned.get(&id).map(Item::Planned),
        }
    }

    /// The rotation of a credential that runs, or the one to come.
    pub fn of(&self, credential: CredentialId) -> Option<Key> {
        let running = self.running().find(|row| row.credential == credential);
        running.map(|row| Key::Rotation(row.id)).or_else(|| {
            let planned = self.planned.contains_key(&credential);
            planned.then_some(Key::Planned(credential))
        })
    }

    /// In their order.
    pub fn order(&self) -> &[(Group, Key)] {
        &self.order
    }

    /// How many there are of a group.
    pub fn count(&self, group: Group) -> usize {
        self.counts[group as usize]
    }

    /// What they are sorted by, and whether the other way round.
    pub fn sort(&self) -> (SortBy, bool) {
        (self.sort, self.reversed)
    }

    /// Sorts otherwise.
    pub fn set_sort(&mut self, sort: SortBy, reversed: bool) {
        (self.sort, self.reversed) = (sort, reversed);
        self.settled_at = None;
    }

    /// The order has to be made again.
    pub fn anew(&mut self) {
        self.settled_at = None;
    }

    /// Brings the order up to date, if it is not. Says whether it did.
    pub fn settle(&mut self, filter: &Filter, now: DateTime<Utc>) -> bool {
        if self
            .settled_at
            .is_some_and(|at| now - at < KEPT && now >= at)
        {
            return false;
        }
        self.settled_at = Some(now);
        // What came to nothing is trouble until the next one of its credential.
        let mut latest = BTreeMap::<CredentialId, RotationId>::new();
        for row in self.rotations.values() {
            let held = latest.entry(row.credential).or_insert(row.id);
            *held = (*held).max(row.id);
        }
        let group = |row: &RotationRow| match (row.state, row.ended_at) {
            (RotationState::Completed, _) => Group::Ended,
            (_, Some(at)) => {
                let last = latest.get(&row.credential) == Some(&row.id);
                if last && now - at < TROUBLED {
                    Group::Trouble
                } else {
                    Group::Ended
                }
            }
            (_, None) if is_late(row, now) || row.failure.is_some() => Group::Trouble,
            (_, None) => Group::Running,
        };
        let rotations = self.rotations.values();
        let rotations = rotations
            .filter(|row| filter.matches(*row, now))
            .map(|row| (group(row), Key::Rotation(row.id), Item::Rotation(row)));
        let planned = self.planned.values();
        let planned = planned.filter(|row| filter.matches(*row, now)).map(|row| {
            let late = row.late_at <= now;
            let group = if late { Group::Trouble } else { Group::Planned };
            (group, Key::Planned(row.credential), Item::Planned(row))
        });
        let mut all: Vec<_> = rotations.chain(planned).collect();
        match self.sort {
            // Of what is in trouble, what is under way or overdue comes before what is over.
            SortBy::Time => all.sort_by_key(|(group, key, item)| {
                let over = matches!(item, Item::Rotation(row) if row.ended_at.is_some());
                (*group, over, item.time(), *key)
            }),
            SortBy::Name => all.sort_by(|one, other| {
                (one.0, one.2.name(), one.1).cmp(&(other.0, other.2.name(), other.1))
            }),
            SortBy::Owner => all.sort_by(|one, other| {
                let of = |entry: &(Group, Key, Item<'_>)| (entry.0, entry.2.time(), entry.1);
                (one.0, one.2.owner())
                    .cmp(&(other.0, other.2.owner()))
                    .then_with(|| of(one).cmp(&of(other)))
            }),
        }
        if self.reversed {
            all.reverse();
            // The groups stay in their order.
            all.sort_by_key(|(group, ..)| *group);
        }
        self.counts = [0; 4];
        for (group, ..) in &all {
            self.counts[*group as usize] += 1;
        }
        self.order = all
            .into_iter()
            .map(|(group, key, _)| (group, key))
            .collect();
        true
    }
}
