//! What somebody holds and answers for, put together from the broker's lists: a person, a robot, or a team.

pub mod lines;

use super::api::Client;
use super::error::ClientError;
use super::query::ListQuery;
use crate::wire::filter::FILTER_MAX;
use crate::wire::{
    ClientRow, CredentialRow, OperatorHoldings, OperatorRow, Page, ReviewRow, ReviewState,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Rows of each part that are fetched; how many there are is told all the same.
const ROWS: u64 = 100;
/// What stands around the owners in a filter, in bytes: parentheses and what else must hold.
const AROUND: usize = 100;

/// A part of what is held: its first rows, and how many there are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part<T> {
    /// The first of them, at most 100.
    pub rows: Vec<T>,
    /// How many there are.
    pub total: u64,
}

impl<T> Default for Part<T> {
    fn default() -> Self {
        Self {
            rows: Vec::new(),
            total: 0,
        }
    }
}

impl<T> Part<T> {
    fn take(&mut self, page: Page<T>) {
        let room = (ROWS as usize).saturating_sub(self.rows.len());
        self.rows.extend(page.items.into_iter().take(room));
        self.total += page.total;
    }
}

/// What somebody holds and answers for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// The handle or the team's name, as it was asked for.
    pub name: String,
    /// The account of that name, and what leaves with it; none for a team, and for a name that no account has.
    pub account: Option<Box<OperatorHoldings>>,
    /// The owners that the rest is about: the name, and the groups that the account is in.
    pub owners: Vec<String>,
    /// Clients that these owners answer for, in service.
    pub clients: Part<ClientRow>,
    /// Living credentials that they answer for.
    pub credentials: Part<CredentialRow>,
    /// Of these, whose access review is due or overdue; soonest first.
    pub reviews: Part<ReviewRow>,
}

impl Held {
    /// Whether nobody is called so, and nothing belongs to it.
    pub fn is_nobody(&self) -> bool {
        self.account.is_none() && self.clients.total == 0 && self.credentials.total == 0
    }
}

impl Client {
    /// Everything that a person, a robot or a team holds and answers for.
    ///
    /// # Errors
    /// As the lists that it is put together from.
    pub async fn held_by(&self, name: &str) -> Result<Held, ClientError> {
        let account = match self.account(name).await? {
            Some(row) => Some(Box::new(self.operator_holdings(row.id).await?.value)),
            None => None,
        };
        let groups = account.iter().flat_map(|held| &held.operator.groups);
        let owners: BTreeSet<&str> = std::iter::once(name)
            .chain(groups.map(String::as_str))
            .collect();
        let mut held = Held {
            name: name.to_owned(),
            owners: owners.iter().map(|&owner| owner.to_owned()).collect(),
            account: None,
            clients: Part::default(),
            credentials: Part::default(),
            reviews: Part::default(),
        };
        for owners in filters(owners) {
            let those = |rest: &str| ListQuery::filter(format!("({owners}){rest}")).limit(ROWS);
            let clients = self.clients(&those(" & state:active")).await?.value;
            held.clients.take(clients);
            let living = those(" & !state:revoked & !state:expired");
            held.credentials
                .take(self.credentials(&living).await?.value);
            let due = format!(
                " & (state={} | state={})",
                ReviewState::Due,
                ReviewState::Overdue
            );
            held.reviews
                .take(self.reviews(None, &those(&due)).await?.value);
        }
        held.account = account;
        Ok(held)
    }

    /// The account with exactly this handle: the filter finds display names and other cases too.
    async fn account(&self, name: &str) -> Result<Option<OperatorRow>, ClientError> {
        let Some(filter) = term("name", name) else {
            return Ok(None);
        };
        let mut query = ListQuery::filter(filter);
        loop {
            let page = self.operators(&query).await?.value;
            let found = page.items.into_iter().find(|row| row.name == name);
            if found.is_some() || page.next.is_none() {
                return Ok(found);
            }
            query.cursor = page.next;
        }
    }
}

/// `field="value"`; none for what cannot be written so, and what nothing is therefore called.
fn term(field: &str, value: &str) -> Option<String> {
    let whole = !value.is_empty() && !value.contains('"') && value.len() < FILTER_MAX / 2;
    whole.then(|| format!("{field}=\"{value}\""))
}

/// Filters that together name each owner once, none longer than a filter may be.
fn filters<'a>(owners: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let mut filters: Vec<String> = Vec::new();
    for owner in owners.into_iter().filter_map(|owner| term("owner", owner)) {
        match filters.last_mut() {
            Some(last) if last.len() + owner.len() + 3 <= FILTER_MAX - AROUND => {
                last.push_str(" | ");
                last.push_str(&owner);
            }
            _ => filters.push(owner),
        }
    }
    filters
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::filter::Filter;

    #[test]
    fn every_owner_is_named_once_in_filters_that_are_taken() {
        let names: Vec<String> = (0..200)
            .map(|n| format!("{}{n}", "team-with-a-long-name-".repeat(4)))
            .collect();
        let filters = filters(names.iter().map(String::as_str));
        assert!(filters.len() > 1);
        for filter in &filters {
            let whole = format!("({filter}) & (state=due | state=overdue)");
            Filter::parse_for::<ReviewRow>(&whole).unwrap();
            Filter::parse_for::<ClientRow>(&format!("({filter}) & state:active")).unwrap();
            let living = format!("({filter}) & !state:revoked & !state:expired");
            Filter::parse_for::<CredentialRow>(&living).unwrap();
        }
        for name in &names {
            let named = format!("owner=\"{name}\"");
            let count: usize = filters.iter().map(|f| f.matches(&named).count()).sum();
            assert_eq!(count, 1, "{name}");
        }
    }

    #[test]
    fn what_cannot_be_asked_for_is_nobody_and_not_another_question() {
        assert_eq!(term("name", "maya.k").unwrap(), "name=\"maya.k\"");
        for odd in ["", "a\" | name:\"", &"x".repeat(FILTER_MAX)] {
            assert_eq!(term("name", odd), None, "{odd}");
        }
        assert!(self::filters(["x\" | never"]).is_empty());
    }
}
