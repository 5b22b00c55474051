//! Nonces that wait for their one use. In memory: a restart voids them, and whoever holds one asks for another.

use crate::domain::Digest;
use aws_lc_rs::rand::{SecureRandom as _, SystemRandom};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, Duration, Utc};
use parking_lot::Mutex;
use std::collections::{HashMap, VecDeque};

/// How many are held. Beyond it the oldest goes: somebody who asks for thousands makes others ask again, no more.
const HELD_MAX: usize = 8_192;

/// Nonces, each for one purpose.
#[derive(Debug, Default)]
pub struct Nonces(Mutex<Held>);

#[derive(Debug, Default)]
struct Held {
    /// What each is good for, until when, and what it was spent on.
    good_for: HashMap<String, (String, DateTime<Utc>, Option<Digest>)>,
    /// Oldest first.
    order: VecDeque<String>,
}

impl Nonces {
    /// A fresh one, good once for `purpose` until `life` from `now`.
    pub fn issue(&self, purpose: String, now: DateTime<Utc>, life: Duration) -> String {
        let mut bytes = [0; 16];
        SystemRandom::new()
            .fill(&mut bytes)
            .expect("the operating system's random source answers");
        let nonce = URL_SAFE_NO_PAD.encode(bytes);
        let mut held = self.0.lock();
        while held.order.len() >= HELD_MAX {
            if let Some(oldest) = held.order.pop_front() {
                held.good_for.remove(&oldest);
            }
        }
        held.order.push_back(nonce.clone());
        held.good_for
            .insert(nonce.clone(), (purpose, now + life, None));
        nonce
    }

    /// Whether `nonce` is good for `purpose` at `now`. Asking spends it on `use_of`, whatever the answer: a call that is
    /// repeated before the first has its answer is the same use, and is told apart by whoever remembers answers.
    pub fn spend_on(&self, nonce: &str, purpose: &str, use_of: Digest, now: DateTime<Utc>) -> bool {
        let mut held = self.0.lock();
        let Some((good_for, until, spent_on)) = held.good_for.get_mut(nonce) else {
            return false;
        };
        let spent_here = *spent_on.get_or_insert(use_of) == use_of;
        spent_here && good_for == purpose && now < *until
    }

    /// Whether `nonce` is good for `purpose` at `now`. It is spent by asking, whatever the answer.
    pub fn spend(&self, nonce: &str, purpose: &str, now: DateTime<Utc>) -> bool {
        let mut held = self.0.lock();
        let found = held.good_for.remove(nonce);
        if found.is_some() {
            held.order.retain(|other| other != nonce);
        }
        found.is_some_and(|(good_for, until, spent_on)| {
            good_for == purpose && now < until && spent_on.is_none()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::digest_of_bytes;

    fn at(second: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_790_000_000 + second, 0).expect("a time")
    }

    #[test]
    fn a_nonce_is_good_once_for_its_purpose_in_its_time() {
        let nonces = Nonces::default();
        let fresh = || nonces.issue("a".into(), at(0), Duration::seconds(60));
        let (one, two, three) = (fresh(), fresh(), fresh());
        assert!(nonces.spend(&one, "a", at(59)));
        assert!(!nonces.spend(&one, "a", at(59)), "spent");
        assert!(!nonces.spend(&two, "b", at(1)), "another purpose");
        assert!(!nonces.spend(&two, "a", at(1)), "spent by the attempt");
        assert!(!nonces.spend(&three, "a", at(60)), "too late");
        assert!(!nonces.spend("never issued", "a", at(1)));
    }

    #[test]
    fn a_repetition_is_the_same_use() {
        let nonces = Nonces::default();
        let nonce = nonces.issue("a".into(), at(0), Duration::seconds(60));
        let (one, other) = (digest_of_bytes(b"one"), digest_of_bytes(b"other"));
        let elsewhere = nonces.issue("a".into(), at(0), Duration::seconds(60));
        assert!(
            !nonces.spend_on(&elsewhere, "b", other, at(1)),
            "another purpose"
        );
        assert!(
            !nonces.spend_on(&elsewhere, "a", one, at(1)),
            "spent by that"
        );
        assert!(nonces.spend_on(&nonce, "a", one, at(1)));
        assert!(nonces.spend_on(&nonce, "a", one, at(2)), "sent twice");
        assert!(!nonces.spend_on(&nonce, "a", other, at(3)), "used");
        assert!(!nonces.spend(&nonce, "a", at(3)), "used");
        let late = nonces.issue("a".into(), at(0), Duration::seconds(60));
        assert!(!nonces.spend_on(&late, "a", one, at(60)), "too late");
    }

    #[test]
    fn the_oldest_make_room() {
        let nonces = Nonces::default();
        let first = nonces.issue("a".into(), at(0), Duration::seconds(60));
        for _ in 0..HELD_MAX {
            nonces.issue("a".into(), at(0), Duration::seconds(60));
        }
        assert!(!nonces.spend(&first, "a", at(1)));
        assert_eq!(nonces.0.lock().good_for.len(), HELD_MAX);
    }
}
