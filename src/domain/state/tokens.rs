//! The keys that sign tokens, and the places of the signed tokens in their status lists.

use super::State;
use crate::domain::{
    CredentialId, Event, Version,
    token_key::{Algorithm, LIST_FULL, LIST_SIZE, Purpose, StatusList, TokenKey},
};
use chrono::{DateTime, Utc};
use imbl::OrdMap;
use std::sync::Arc;

/// What was signed, and with what.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Tokens {
    /// The keys that are published, by name.
    pub keys: OrdMap<String, Arc<TokenKey>>,
    /// Which version has which place.
    places: OrdMap<(StatusList, u32), (CredentialId, u32)>,
    /// How many places of each list are taken.
    taken: OrdMap<StatusList, usize>,
}

impl Tokens {
    /// The key that signs.
    pub fn in_use(&self, purpose: Purpose, algorithm: Algorithm) -> Option<&Arc<TokenKey>> {
        self.of(purpose, algorithm).find(|key| key.in_use())
    }

    /// The keys of one purpose and algorithm.
    pub fn of(
        &self,
        purpose: Purpose,
        algorithm: Algorithm,
    ) -> impl Iterator<Item = &Arc<TokenKey>> {
        self.keys
            .values()
            .filter(move |key| key.purpose == purpose && key.algorithm == algorithm)
    }

    /// The list that the next token goes into.
    pub fn open_list(&self, algorithm: Algorithm) -> StatusList {
        let last = self
            .lists()
            .filter(|list| list.algorithm == algorithm)
            .last();
        match last {
            Some(list)
                if self
                    .taken
                    .get(&list)
                    .is_some_and(|taken| *taken < LIST_FULL) =>
            {
                list
            }
            last => StatusList {
                algorithm,
                number: last.map_or(0, |list| list.number) + 1,
            },
        }
    }

    /// All lists.
    pub fn lists(&self) -> impl Iterator<Item = StatusList> + '_ {
        self.taken.keys().copied()
    }

    /// Whether somebody has this place already.
    pub fn is_taken(&self, list: StatusList, index: u32) -> bool {
        self.places.contains_key(&(list, index))
    }

    /// Who is in a list, by place.
    pub fn members(&self, list: StatusList) -> impl Iterator<Item = (u32, CredentialId, u32)> + '_ {
        self.places
            .range((list, 0)..=(list, LIST_SIZE))
            .map(|((_, index), (credential, version))| (*index, *credential, *version))
    }

    /// Remembers the place of a version.
    pub(super) fn place(&mut self, credential: CredentialId, version: &Version) {
        if let Some(standing) = version.standing() {
            let place = (standing.list, standing.index);
            let held = self.places.insert(place, (credential, version.number));
            if held.is_none() {
                *self.taken.entry(standing.list).or_insert(0) += 1;
            }
        }
    }

    /// A key has signed something that lives until `end`.
    pub(super) fn signed(&mut self, version: &Version) {
        if let Some(standing) = version.standing()
            && let Some(key) = self.keys.get_mut(standing.kid)
            && key.last_end < version.expires_at
        {
            Arc::make_mut(key).last_end = version.expires_at;
        }
    }
}

impl State {
    pub(super) fn apply_token_key(&mut self, event: &Event, at: DateTime<Utc>) {
        let keys = &mut self.tokens.keys;
        match event {
            Event::TokenKeyPublished { key } => {
                let held = TokenKey {
                    kid: key.kid.clone(),
                    purpose: key.purpose,
                    algorithm: key.algorithm,
                    public: key.public.clone(),
                    published_at: at,
                    use_from: key.use_from,
                    in_use_since: None,
                    replaced_at: None,
                    last_end: None,
                };
                keys.insert(key.kid.clone(), Arc::new(held));
            }
            Event::TokenKeyInUse { kid, instead_of } => {
                if let Some(older) = instead_of.as_ref().and_then(|older| keys.get_mut(older)) {
                    Arc::make_mut(older).replaced_at = Some(at);
                }
                if let Some(key) = keys.get_mut(kid) {
                    Arc::make_mut(key).in_use_since = Some(at);
                }
            }
            Event::TokenKeyWithdrawn { kid } => drop(keys.remove(kid)),
            _ => {}
        }
    }
}
