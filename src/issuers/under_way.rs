//! The attempts of this process that the broker may not have written down yet, so that a sweep does not take them
//! for leftovers. In memory only: after a restart nothing is under way.

use super::Locator;
use super::locator::USERNAME;
use parking_lot::Mutex;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long a finished attempt is remembered for the broker to write it down.
const WRITTEN_WITHIN: Duration = Duration::from_mins(5);

#[derive(Clone)]
pub(super) struct UnderWay {
    /// Under which name a locator has what an attempt is known by.
    name: &'static str,
    attempts: Arc<Mutex<HashMap<String, Attempt>>>,
}

#[derive(Default)]
struct Attempt {
    username: Option<String>,
    finished: Option<Instant>,
}

/// Keeps an attempt listed until it is dropped or finished.
pub(super) struct Listed {
    list: UnderWay,
    key: String,
}

impl UnderWay {
    /// None yet; `name` is that of the locator's entry that tells attempts apart.
    pub(super) fn keyed(name: &'static str) -> Self {
        Self {
            name,
            attempts: Arc::default(),
        }
    }

    pub(super) fn list(&self, key: &str) -> Listed {
        self.attempts
            .lock()
            .insert(key.to_owned(), Attempt::default());
        Listed {
            list: self.clone(),
            key: key.to_owned(),
        }
    }

    /// Keys of attempts and usernames to spare, besides what the broker knows.
    pub(super) fn spared(&self, known: &[Locator]) -> (HashSet<String>, HashSet<String>) {
        let of = |name: &str| {
            known
                .iter()
                .filter_map(|l| l.get(name).cloned())
                .collect::<HashSet<_>>()
        };
        let (mut keys, mut usernames) = (of(self.name), of(USERNAME));
        let mut attempts = self.attempts.lock();
        attempts.retain(|_, attempt| {
            let written = attempt
                .username
                .as_ref()
                .is_some_and(|name| usernames.contains(name));
            !written
                && attempt
                    .finished
                    .is_none_or(|at| at.elapsed() < WRITTEN_WITHIN)
        });
        keys.extend(attempts.keys().cloned());
        usernames.extend(
            attempts
                .values()
                .filter_map(|attempt| attempt.username.clone()),
        );
        (keys, usernames)
    }

    pub(super) fn forget(&self, key: &str) {
        self.attempts.lock().remove(key);
    }
}

impl Listed {
    /// The attempt succeeded: spare its login until the broker has it.
    pub(super) fn finish(self, username: &str) {
        let attempt = Attempt {
            username: Some(username.to_owned()),
            finished: Some(Instant::now()),
        };
        self.list.attempts.lock().insert(self.key.clone(), attempt);
    }
}

impl Drop for Listed {
    fn drop(&mut self) {
        let mut attempts = self.list.attempts.lock();
        if attempts
            .get(&self.key)
            .is_some_and(|attempt| attempt.finished.is_none())
        {
            attempts.remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attempt_is_spared_while_listed_and_until_written_down() {
        let under_way = UnderWay::keyed(super::super::locator::TOKEN_ACCESSOR);
        let (dropped, finished) = (under_way.list("a"), under_way.list("b"));
        drop(dropped);
        finished.finish("v-1");
        let (accessors, usernames) = under_way.spared(&[]);
        assert_eq!((accessors.len(), accessors.contains("b")), (1, true));
        assert!(usernames.contains("v-1"));
        let known = Locator::from([(USERNAME.to_owned(), "v-1".to_owned())]);
        let (accessors, usernames) = under_way.spared(&[known]);
        assert!(!accessors.contains("b") && usernames.contains("v-1"));
        assert!(
            under_way.spared(&[]).0.is_empty(),
            "once written down it is the broker's to list"
        );
    }
}
