//! When to try again. Delays are pure: attempt and jitter in, duration out.

use std::time::Duration;

use backon::Retryable;

use super::error::ClientError;

/// Exponential backoff with equal jitter: half of the delay is certain, half is chance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// The first delay's upper end.
    pub base: Duration,
    /// No delay is longer.
    pub cap: Duration,
}

impl Backoff {
    /// The delay before attempt `attempt + 1`, where `attempt` counts failures from 1; `jitter` from 0 to 1.
    pub fn next_delay(self, attempt: u32, jitter: f64) -> Duration {
        let doubled = self
            .base
            .saturating_mul(2_u32.saturating_pow(attempt.saturating_sub(1)));
        let full = doubled.min(self.cap);
        full / 2 + (full / 2).mul_f64(jitter.clamp(0.0, 1.0))
    }
}

/// How calls are repeated. Only repeatable ones are: see [`super::Call::is_repeatable`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// All tries together; 1 means never again.
    pub attempts: u32,
    /// Between them.
    pub backoff: Backoff,
    /// A broker that asks for a longer pause than this is not waited for: its answer is handed on.
    pub longest_wait: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            attempts: 4,
            backoff: Backoff {
                base: Duration::from_millis(200),
                cap: Duration::from_secs(5),
            },
            longest_wait: Duration::from_secs(10),
        }
    }
}

impl RetryPolicy {
    /// Never again.
    pub fn once() -> Self {
        Self {
            attempts: 1,
            ..Self::default()
        }
    }

    /// The pause after this failure: the usual one, or longer when the broker asked for it; `None`
    /// when that is longer than anybody would wait.
    pub fn pause(self, error: &ClientError, usual: Duration) -> Option<Duration> {
        let wait = error.retry_after().map_or(usual, |asked| asked.max(usual));
        (wait <= self.longest_wait).then_some(wait)
    }

    /// Runs `send` until it succeeds, fails for good or has had its tries.
    pub(super) async fn run<T, F>(
        self,
        repeatable: bool,
        send: impl FnMut() -> F,
    ) -> Result<T, ClientError>
    where
        F: Future<Output = Result<T, ClientError>>,
    {
        let attempts = if repeatable { self.attempts } else { 1 };
        let delays = (1..attempts)
            .map(|attempt| self.backoff.next_delay(attempt, jitter()))
            .collect::<Vec<_>>();
        send.retry(delays.into_iter())
            .when(ClientError::is_transient)
            .adjust(|error, usual| self.pause(error, usual?))
            .await
    }
}

/// A number from 0 to 1, so that many consoles do not come back at the same moment.
pub(super) fn jitter() -> f64 {
    let mut bytes = [0_u8; 4];
    // Without randomness everybody waits half of the longest time: no reason to fail.
    if aws_lc_rs::rand::fill(&mut bytes).is_err() {
        return 0.0;
    }
    f64::from(u32::from_le_bytes(bytes)) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::error::problem;

    #[test]
    fn delays_double_to_the_cap_and_never_fall_below_half() {
        let backoff = Backoff {
            base: Duration::from_millis(200),
            cap: Duration::from_secs(5),
        };
        let at = |attempt, jitter| backoff.next_delay(attempt, jitter).as_millis();
        assert_eq!([at(1, 0.0), at(1, 1.0)], [100, 200]);
        assert_eq!([at(2, 0.0), at(2, 1.0)], [200, 400]);
        assert_eq!([at(3, 0.5), at(4, 1.0)], [600, 1600]);
        assert_eq!(
            [at(6, 0.0), at(6, 1.0), at(u32::MAX, 1.0)],
            [2500, 5000, 5000]
        );
        assert_eq!([at(0, 1.0), at(1, 7.0), at(1, -1.0)], [200, 200, 100]);
        assert!((0.0..=1.0).contains(&jitter()));
    }

    #[test]
    fn a_broker_that_asks_for_a_pause_gets_it_or_is_given_up() {
        let policy = RetryPolicy::default();
        let busy = |retry_after_s| problem(503, retry_after_s);
        let usual = Duration::from_millis(300);
        assert_eq!(policy.pause(&busy(None), usual), Some(usual));
        assert_eq!(policy.pause(&busy(Some(0)), usual), Some(usual));
        assert_eq!(
            policy.pause(&busy(Some(3)), usual),
            Some(Duration::from_secs(3))
        );
        assert_eq!(policy.pause(&busy(Some(3600)), usual), None);
        assert_eq!(policy.pause(&busy(Some(u64::MAX)), usual), None);
    }
}
