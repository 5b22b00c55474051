//! The stream of what became durable: a bounded memory of the latest events, and a wake-up for whoever follows.

use crate::domain::Recorded;
use parking_lot::RwLock;
use std::{collections::VecDeque, sync::Arc};
use tokio::sync::watch;

/// How many of the latest events are kept for followers. Whoever is further behind starts from a list.
pub const KEPT: usize = 16_384;

/// The feed of one broker.
#[derive(Debug)]
pub struct Feed {
    /// The latest events, and the sequence of the first of them.
    events: RwLock<(u64, VecDeque<Arc<Recorded>>)>,
    /// Touched whenever something was published. Whether it is closed, and that once and for all: what is published
    /// afterwards does not open it again.
    closed: watch::Sender<bool>,
}

/// The events asked for are no longer kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("events up to {oldest} are no longer kept for streams; start from a list")]
pub struct TooOld {
    /// The oldest sequence that can still be followed.
    pub oldest: u64,
}

impl Feed {
    /// A feed that begins after `sequence`.
    pub fn new(sequence: u64) -> Self {
        Self {
            events: RwLock::new((sequence + 1, VecDeque::new())),
            closed: watch::Sender::new(false),
        }
    }

    /// Adds what has just become durable; sequences follow on from the last one.
    pub fn publish(&self, recorded: impl IntoIterator<Item = Arc<Recorded>>) {
        let mut events = self.events.write();
        let (first, kept) = &mut *events;
        kept.extend(recorded);
        while kept.len() > KEPT {
            kept.pop_front();
            *first += 1;
        }
        drop(events);
        self.closed.send_modify(|_| {});
    }

    /// Ends every subscription once it has delivered what is there.
    pub fn close(&self) {
        self.closed.send_replace(true);
    }

    /// Follows from the event after `after`.
    ///
    /// # Errors
    /// [`TooOld`] if that event is no longer kept.
    pub fn subscribe(self: &Arc<Self>, after: u64) -> Result<Subscription, TooOld> {
        let first = self.events.read().0;
        if after + 1 < first {
            return Err(TooOld { oldest: first - 1 });
        }
        Ok(Subscription {
            feed: Arc::clone(self),
            after,
            closed: self.closed.subscribe(),
        })
    }

    fn get(&self, sequence: u64) -> Result<Option<Arc<Recorded>>, TooOld> {
        let events = self.events.read();
        let (first, kept) = &*events;
        if sequence < *first {
            return Err(TooOld { oldest: first - 1 });
        }
        Ok(kept.get((sequence - first) as usize).cloned())
    }
}

/// One follower's place in the feed.
#[derive(Debug)]
pub struct Subscription {
    feed: Arc<Feed>,
    after: u64,
    closed: watch::Receiver<bool>,
}

impl Subscription {
    /// The next event, without gaps; `None` once the broker stops, or once this follower has fallen so far behind
    /// that events were lost to it: either way it has to come back and say where it was.
    pub async fn next(&mut self) -> Option<Arc<Recorded>> {
        loop {
            // Seen before the events are looked at: whatever comes after that look wakes this follower.
            let closed = *self.closed.borrow_and_update();
            match self.feed.get(self.after + 1) {
                Ok(Some(recorded)) => {
                    self.after += 1;
                    return Some(recorded);
                }
                Err(_) => return None,
                Ok(None) if closed => return None,
                Ok(None) => self.closed.changed().await.ok()?,
            }
        }
    }

    /// The sequence of the last event that was delivered.
    pub const fn after(&self) -> u64 {
        self.after
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_close_holds_whatever_is_published_afterwards() {
        let feed = Arc::new(Feed::new(7));
        let mut before = feed.subscribe(7).unwrap();
        feed.close();
        feed.publish([]);
        assert!(before.next().await.is_none());
        assert!(feed.subscribe(7).unwrap().next().await.is_none());
        assert_eq!(feed.subscribe(3).unwrap_err(), TooOld { oldest: 7 });
    }
}
