//! When an issuer is not asked for a while, and how long to wait between tries. Pure: time and chance come in.

use chrono::{DateTime, Duration, Utc};

/// Failures in a row that open the circuit.
const THRESHOLD: u32 = 3;
/// The first wait, and the longest.
const FIRST: Duration = Duration::milliseconds(500);
const LONGEST: Duration = Duration::seconds(60);

/// How long to wait before try number `attempt` (from 1): doubling from half a second to a minute, with the upper
/// half left to chance (`jitter` in `0..=1000`), so that many waiters do not come back at once.
pub fn backoff(attempt: u32, jitter: u16) -> Duration {
    let full = FIRST.num_milliseconds() << attempt.saturating_sub(1).min(16);
    let full = full.min(LONGEST.num_milliseconds());
    let half = full / 2;
    Duration::milliseconds(half + half * i64::from(jitter.min(1_000)) / 1_000)
}

/// The circuit of one issuer.
#[derive(Debug, Clone, Default)]
pub struct Breaker {
    failures: u32,
    open_until: Option<DateTime<Utc>>,
}

impl Breaker {
    /// Whether the issuer may be asked at `now`. Once the wait is over one caller may try; the others wait until
    /// it has come back.
    pub fn admit(&mut self, now: DateTime<Utc>) -> bool {
        match self.open_until {
            Some(until) if now < until => false,
            Some(_) => {
                self.open_until = Some(now + LONGEST);
                true
            }
            None => true,
        }
    }

    /// The issuer answered.
    pub fn succeeded(&mut self) {
        *self = Self::default();
    }

    /// The issuer was away. Returns when to ask again at the earliest.
    pub fn failed(&mut self, now: DateTime<Utc>, jitter: u16) -> DateTime<Utc> {
        self.failures += 1;
        let until = now + backoff(self.failures, jitter);
        if self.failures >= THRESHOLD {
            self.open_until = Some(until);
        }
        until
    }

    /// Since how many tries in a row it has been away.
    pub const fn failures(&self) -> u32 {
        self.failures
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_a_minute() {
        let waits: Vec<_> = (1..=9)
            .map(|attempt| backoff(attempt, 1_000).num_milliseconds())
            .collect();
        assert_eq!(
            waits,
            [
                500, 1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000
            ]
        );
        assert_eq!(backoff(1, 0).num_milliseconds(), 250);
        assert_eq!(backoff(u32::MAX, 1_000), LONGEST);
    }

    #[test]
    fn opens_after_three_failures_and_lets_one_try_when_the_wait_is_over() {
        let start = DateTime::UNIX_EPOCH;
        let mut breaker = Breaker::default();
        for _ in 0..2 {
            breaker.failed(start, 0);
            assert!(breaker.admit(start));
        }
        let until = breaker.failed(start, 0);
        assert!(!breaker.admit(start));
        assert!(breaker.admit(until), "one may try");
        assert!(!breaker.admit(until), "and only one");
        breaker.succeeded();
        assert!(breaker.admit(start));
    }
}
