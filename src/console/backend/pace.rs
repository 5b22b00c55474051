//! Flow control that the terminal itself acknowledges.
//!
//! A write to a terminal says nothing about when it will be seen: over SSH, socket buffers hold seconds of
//! output. So after some hundred bytes the terminal is asked for a sign of life (`CSI 5n`), and while too
//! much is on the way unanswered, no frame is made; the next one shows the newest state only.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// The question, "device status report"; the answer `ESC [ 0 n` reaches the input reader.
pub(super) const QUESTION: &[u8] = b"\x1b[5n";

/// Bytes after which a question is due.
const ASK_EVERY: usize = 800;
/// Bytes that may be on the way once the terminal has shown that it answers.
const WINDOW: usize = 2000;
/// The same before its first answer: a terminal that never answers should not freeze meanwhile.
const FIRST_WINDOW: usize = 16_000;
/// How long an answer may take before the terminal counts as one that does not answer.
const PATIENCE: Duration = Duration::from_secs(3);

/// What is on the way to the terminal.
#[derive(Debug)]
pub struct Pace {
    /// Bytes covered by each question not yet answered, oldest first.
    asked: VecDeque<(usize, Instant)>,
    on_the_way: usize,
    /// Sent after the last question.
    since: usize,
    first_frame: bool,
    answered: bool,
    off: bool,
    /// Questions without answer, shared with whoever has to keep the answers out of the shell.
    open: Arc<AtomicUsize>,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            asked: VecDeque::new(),
            on_the_way: 0,
            since: 0,
            first_frame: true,
            answered: false,
            off: false,
            open: Arc::default(),
        }
    }
}

impl Pace {
    /// No questions and no limits: for output that is not a terminal.
    pub fn off() -> Self {
        Self {
            off: true,
            ..Self::default()
        }
    }

    /// Answers still expected; shared, so that the terminal guard can wait for them when it leaves.
    pub fn open_questions(&self) -> Arc<AtomicUsize> {
        Arc::clone(&self.open)
    }

    /// Whether a frame may go out. Gives up on the terminal for good once an answer is overdue.
    pub fn may_send(&mut self, now: Instant) -> bool {
        if self.deadline().is_some_and(|deadline| now >= deadline) {
            self.off = true;
            self.on_the_way = 0;
            self.since = 0;
            self.asked.clear();
        }
        let window = if self.answered { WINDOW } else { FIRST_WINDOW };
        self.off || self.on_the_way == 0 || self.on_the_way + self.since < window
    }

    /// When to ask [`Self::may_send`] again if no answer comes before; `None` if nothing is expected.
    pub fn deadline(&self) -> Option<Instant> {
        self.asked.front().map(|(_, at)| *at + PATIENCE)
    }

    /// Counts `bytes` about to be sent; `true` if [`QUESTION`] is to follow them.
    ///
    /// The first frame never asks: nothing may delay the start, not even the look of a question.
    pub(super) fn sending(&mut self, bytes: usize, now: Instant) -> bool {
        if self.off {
            return false;
        }
        self.since += bytes;
        if std::mem::take(&mut self.first_frame) || self.since <= ASK_EVERY {
            return false;
        }
        let covered = std::mem::take(&mut self.since);
        self.on_the_way += covered;
        self.asked.push_back((covered, now));
        self.open.fetch_add(1, Ordering::Relaxed);
        true
    }

    /// The terminal answered one question.
    pub fn answered(&mut self) {
        // An answer after giving up still has to be counted off for whoever waits at the end.
        let _ = self
            .open
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1));
        if let Some((covered, _)) = self.asked.pop_front() {
            self.on_the_way -= covered;
            self.answered = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_frame_is_free_and_then_the_window_holds() {
        let (mut pace, t) = (Pace::default(), Instant::now());
        assert!(pace.may_send(t));
        assert!(!pace.sending(6000, t), "the first frame asks nothing");
        assert!(pace.may_send(t));
        assert!(pace.sending(900, t), "the next one does");
        pace.answered();
        assert!(pace.sending(3500, t));
        assert!(!pace.may_send(t), "a page is on the way");
        pace.answered();
        assert!(pace.may_send(t));
        assert_eq!(pace.open_questions().load(Ordering::Relaxed), 0);
    }

    #[test]
    fn small_frames_pass_until_the_window_is_full() {
        let (mut pace, t) = (Pace::default(), Instant::now());
        pace.sending(10, t);
        pace.sending(900, t);
        pace.answered();
        let mut sent = 0;
        while pace.may_send(t) {
            pace.sending(30, t);
            sent += 30;
        }
        assert!((1900..=2100).contains(&sent), "{sent}");
    }

    #[test]
    fn a_silent_terminal_is_given_up_for_good() {
        let (mut pace, t) = (Pace::default(), Instant::now());
        pace.sending(1, t);
        pace.sending(20_000, t);
        assert!(!pace.may_send(t));
        let deadline = pace.deadline().unwrap();
        assert!(!pace.may_send(deadline.checked_sub(Duration::from_millis(1)).unwrap()));
        assert!(pace.may_send(deadline));
        assert!(!pace.sending(90_000, deadline), "never asked again");
        assert!(pace.may_send(deadline) && pace.deadline().is_none());
        assert_eq!(
            pace.open_questions().load(Ordering::Relaxed),
            1,
            "one answer may still come"
        );
        pace.answered();
        pace.answered();
        assert_eq!(pace.open_questions().load(Ordering::Relaxed), 0);
    }
}
