//! What a screen is told of the one thing that its cursor rests on. It is asked for once at a time, again when it is
//! known to have changed or has become old, and not over and over where it could not be read.

use crate::console::effect::CallId;
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

/// What is known of one thing, by its identifier.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Told<K, T> {
    known: Option<(K, Box<T>)>,
    asked: Option<(CallId, K)>,
    at: Option<DateTime<Utc>>,
    /// Something has happened to it since it was told.
    stale: bool,
    /// Why what could not be read.
    failed: Option<(K, String)>,
}

impl<K, T> Default for Told<K, T> {
    fn default() -> Self {
        Self {
            known: None,
            asked: None,
            at: None,
            stale: false,
            failed: None,
        }
    }
}

impl<K: Copy + PartialEq, T> Told<K, T> {
    /// What is known of `id`.
    pub fn of(&self, id: K) -> Option<&T> {
        let (known, told) = self.known.as_ref()?;
        (*known == id).then_some(&**told)
    }

    /// Why `id` could not be read.
    pub fn why(&self, id: K) -> Option<&str> {
        let (failed, why) = self.failed.as_ref()?;
        (*failed == id).then_some(why.as_str())
    }

    /// Whether anything could not be read.
    pub fn has_failed(&self) -> bool {
        self.failed.is_some()
    }

    /// Whether an answer is on its way.
    pub fn is_asking(&self) -> bool {
        self.asked.is_some()
    }

    /// Whether `id` is to be asked for: what is told of it is not `current`, has changed, or is older than `most`.
    pub fn is_due(
        &self,
        id: K,
        current: impl Fn(&T) -> bool,
        most: Option<TimeDelta>,
        now: DateTime<Utc>,
    ) -> bool {
        let old = most.is_some_and(|most| self.at.is_none_or(|at| now - at >= most));
        let fresh = self.of(id).is_some_and(current) && !self.stale && !old;
        !fresh && self.why(id).is_none() && self.asked.is_none()
    }

    /// `id` was asked for because it was due.
    pub fn renew(&mut self, call: CallId, id: K) {
        self.stale = false;
        self.ask(call, id);
    }

    /// `id` was asked for.
    pub fn ask(&mut self, call: CallId, id: K) {
        self.asked = Some((call, id));
    }

    /// What this call had asked for; nothing is asked for any more then.
    pub fn answered(&mut self, call: CallId) -> Option<K> {
        let (_, id) = self.asked.filter(|(asked, _)| *asked == call)?;
        self.asked = None;
        Some(id)
    }

    /// `id` was told.
    pub fn put(&mut self, id: K, told: Box<T>, now: DateTime<Utc>) {
        self.known = Some((id, told));
        self.at = Some(now);
    }

    /// `id` could not be read.
    pub fn failed(&mut self, id: K, why: &str) {
        self.failed = Some((id, why.to_owned()));
    }

    /// What could not be read may be asked for again.
    pub fn forgive(&mut self) {
        self.failed = None;
    }

    /// Something happened to `id`.
    pub fn changed(&mut self, id: K) {
        self.stale |= self.of(id).is_some();
    }

    /// Something may have happened to whatever is known.
    pub fn outdate(&mut self) {
        self.stale = true;
    }
}
