//! Requests of one person that belong together: shown as one item, so that a queue stays as short as what there is to
//! think about. Each is still decided by itself.

use super::{Environment, RequestId, RequestRow, Tier};
use chrono::{DateTime, Utc};
use std::collections::{BTreeMap, BTreeSet};

/// What a queue shows as one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item<'a> {
    /// One request.
    One(&'a RequestRow),
    /// Several of one person.
    Burst(Burst<'a>),
}

/// Requests of one person, asked for in one run that policy calls a burst.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Burst<'a> {
    /// The run, by its first request, which need not be among the rows.
    pub run: RequestId,
    /// Two or more, in the order in which they came.
    pub rows: Vec<&'a RequestRow>,
}

impl<'a> Item<'a> {
    /// What it is called: the request, or the run.
    pub fn key(&self) -> RequestId {
        match self {
            Self::One(row) => row.id,
            Self::Burst(burst) => burst.run,
        }
    }

    /// Its requests.
    pub fn rows(&self) -> &[&'a RequestRow] {
        match self {
            Self::One(row) => std::slice::from_ref(row),
            Self::Burst(burst) => &burst.rows,
        }
    }
}

impl Burst<'_> {
    /// Whose.
    pub fn requester(&self) -> &str {
        self.rows.first().map_or("", |row| &row.requester)
    }

    /// The highest risk among them.
    pub fn risk(&self) -> (u8, Tier) {
        let risks = self.rows.iter().map(|row| (row.risk, row.tier));
        risks.max().unwrap_or((0, Tier::Low))
    }

    /// Since when the first of them waits.
    pub fn oldest(&self) -> Option<DateTime<Utc>> {
        self.rows.iter().map(|row| row.submitted_at).min()
    }

    /// Until when the first of them can be decided.
    pub fn soonest(&self) -> Option<DateTime<Utc>> {
        let ends = self.rows.iter().map(|row| row.review_by.or(row.deadline));
        ends.flatten().min()
    }

    /// Where they are used.
    pub fn environments(&self) -> BTreeSet<Environment> {
        self.rows.iter().map(|row| row.environment).collect()
    }
}

/// The rows with those of one burst put together, where the first of them stood. `known` tells whether a run is a burst
/// by what else is known of it: a row that was read before its run became one does not say so.
pub fn together<'a>(rows: &[&'a RequestRow], known: impl Fn(RequestId) -> bool) -> Vec<Item<'a>> {
    let mut runs: BTreeMap<RequestId, (usize, bool)> = BTreeMap::new();
    for row in rows {
        let (count, burst) = runs.entry(row.run).or_default();
        *count += 1;
        *burst |= row.burst;
    }
    let several = |run: RequestId| {
        runs.get(&run)
            .is_some_and(|(count, burst)| *count > 1 && (*burst || known(run)))
    };
    let mut items: Vec<Item<'a>> = Vec::new();
    let mut places = BTreeMap::new();
    for row in rows {
        if !several(row.run) {
            items.push(Item::One(row));
            continue;
        }
        let place = *places.entry(row.run).or_insert(items.len());
        match items.get_mut(place) {
            Some(Item::Burst(burst)) => burst.rows.push(row),
            _ => items.push(Item::Burst(Burst {
                run: row.run,
                rows: vec![row],
            })),
        }
    }
    items
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{Kind, RequestState};

    fn row(number: u128, run: u128, burst: bool) -> RequestRow {
        let at = DateTime::from_timestamp(1_790_000_000 + number as i64, 0).expect("a time");
        RequestRow {
            id: RequestId::from_bits(number),
            digest: crate::secret::digest_of("plan"),
            requester: "opal".into(),
            credential: format!("orders/{number}"),
            environment: Environment::ALL[number as usize % 3],
            kind: Kind::ApiKey,
            wants: String::new(),
            client: "orders".into(),
            ttl_s: 3_600,
            state: RequestState::AwaitingApproval,
            risk: number as u8,
            tier: Tier::Low,
            approvals: 0,
            void: 0,
            needed: 1,
            submitted_at: at,
            run: RequestId::from_bits(run),
            burst,
            deadline: Some(at),
            review_by: None,
            sequence: 1,
        }
    }

    #[test]
    fn one_item_where_the_first_stood_and_the_rest_as_they_were() {
        let rows = [
            row(9, 9, false),
            row(5, 1, true),
            row(3, 3, false),
            row(2, 1, false),
            row(7, 7, true),
            row(8, 4, false),
            row(6, 4, false),
        ];
        let rows: Vec<&RequestRow> = rows.iter().collect();
        let shape = |known: bool| -> Vec<(u128, usize)> {
            let items = together(&rows, |run| known && run.bits() == 4);
            let shape = items
                .iter()
                .map(|item| (item.key().bits(), item.rows().len()));
            shape.collect()
        };
        assert_eq!(
            shape(false),
            [(9, 1), (1, 2), (3, 1), (7, 1), (8, 1), (6, 1)]
        );
        assert_eq!(shape(true), [(9, 1), (1, 2), (3, 1), (7, 1), (4, 2)]);
        let items = together(&rows, |_| false);
        let Item::Burst(burst) = &items[1] else {
            panic!("a burst: {items:?}");
        };
        assert_eq!(burst.risk(), (5, Tier::Low));
        assert_eq!(burst.oldest(), Some(rows[3].submitted_at));
        assert_eq!(burst.environments().len(), 1);
        assert_eq!(burst.requester(), "opal");
    }

    #[test]
    fn ten_thousand_are_put_together_at_once() {
        let rows: Vec<RequestRow> = (1..=10_000).map(|number| row(number, 1, true)).collect();
        let rows: Vec<&RequestRow> = rows.iter().collect();
        let begun = std::time::Instant::now();
        let items = together(&rows, |_| false);
        assert_eq!((items.len(), items[0].rows().len()), (1, 10_000));
        assert!(begun.elapsed().as_millis() < 250, "{:?}", begun.elapsed());
    }
}
