//! Following the broker's events: Server-Sent Events with resume, gap detection and a link whose state
//! can be shown.
//!
//! `follow` runs until it is told something that resuming cannot mend: a gap, a broker that no longer
//! keeps what is needed, or a refusal. The follower then reads the list again and follows from there.

use std::marker::PhantomData;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use serde::de::DeserializeOwned;
use sse_stream::{Sse, SseByteStream};
use tokio::sync::mpsc;

use super::call::Call;
use super::error::{ClientError, tame};
use super::retry::{Backoff, jitter};
use super::transport::Transport;

/// Between connections.
pub const RECONNECT: Backoff = Backoff {
    base: Duration::from_millis(500),
    cap: Duration::from_secs(30),
};

/// However long the broker asks to be left alone, a console looks again after this.
const LONGEST_WAIT: Duration = Duration::from_mins(1);

/// A connection that held this long counts as good, even if nothing happened on it.
const GOOD_AFTER: Duration = Duration::from_secs(20);

/// Items waiting for the follower. When they are not taken, reading stops, and so in the end does the broker's sending.
const WAITING: usize = 1024;

/// What to follow.
#[derive(Clone, Debug)]
pub struct Follow {
    /// Everything after this sequence; what the list was read at.
    pub after: u64,
    /// Query parameters that narrow the stream. Without any, every sequence is expected to come.
    pub filters: Vec<(String, String)>,
    /// The path, in segments.
    pub path: Vec<String>,
}

impl Follow {
    /// All events after `after`.
    pub fn all(after: u64) -> Self {
        Self {
            after,
            filters: Vec::new(),
            path: vec!["v1".to_owned(), "events".to_owned()],
        }
    }
}

/// What a follower hears, in order.
#[derive(Debug)]
pub enum Feed<T> {
    /// The link changed.
    Link(Link),
    /// An event.
    Item {
        /// Its place in the log.
        sequence: u64,
        /// The event.
        item: T,
    },
    /// Events are missing: read the list again. The last word.
    Gap {
        /// The sequence that should have come.
        expected: u64,
        /// The one that came.
        got: u64,
    },
    /// The broker cannot resume from here: read the list again. The last word.
    Reset,
    /// The broker refused for good (signed out, not allowed, not there). The last word.
    Ended(ClientError),
}

/// The state of the link, for the status line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Link {
    /// First try.
    Connecting,
    /// Connected, and hearing what was missed.
    CatchingUp,
    /// Connected and up to date.
    Live,
    /// Not connected; trying again.
    Reconnecting {
        /// Failures in a row, from 1.
        attempt: u32,
        /// Until the next try.
        wait: Duration,
        /// Why the link was lost, safe to print.
        reason: String,
    },
}

/// Starts following. Dropping the receiver ends it and closes the connection at once.
pub fn follow<T>(transport: Transport, what: Follow) -> mpsc::Receiver<Feed<T>>
where
    T: DeserializeOwned + Send + 'static,
{
    let (sender, receiver) = mpsc::channel(WAITING);
    tokio::spawn(async move {
        let mut follower = Follower {
            transport,
            filtered: !what.filters.is_empty(),
            last: what.after,
            what,
            attempt: 0,
            backoff: RECONNECT,
            sender: sender.clone(),
            item: PhantomData,
        };
        tokio::select! {
            () = sender.closed() => {}
            _ = follower.run() => {}
        }
    });
    receiver
}

struct Follower<T> {
    transport: Transport,
    what: Follow,
    filtered: bool,
    /// The last sequence handed on.
    last: u64,
    attempt: u32,
    backoff: Backoff,
    sender: mpsc::Sender<Feed<T>>,
    item: PhantomData<fn() -> T>,
}

/// Why one connection ended.
enum End<T> {
    /// Try again.
    Lost {
        reason: String,
        asked: Option<Duration>,
    },
    /// Another token signs now: at once again, and nobody has to know.
    Renewed,
    /// The last word.
    Final(Option<Feed<T>>),
}

impl<T> End<T> {
    fn lost(reason: impl Into<String>) -> Self {
        Self::Lost {
            reason: reason.into(),
            asked: None,
        }
    }
}

/// The receiver is gone: nobody is left to tell.
struct Unheard;

impl<T: DeserializeOwned> Follower<T> {
    async fn run(&mut self) -> Result<(), Unheard> {
        self.tell(Feed::Link(Link::Connecting)).await?;
        loop {
            let started = Instant::now();
            match self.connection().await? {
                End::Final(Some(word)) => return self.tell(word).await,
                End::Final(None) => return Ok(()),
                End::Renewed => {}
                End::Lost { reason, asked } => {
                    if started.elapsed() >= GOOD_AFTER {
                        self.attempt = 0;
                    }
                    self.attempt = self.attempt.saturating_add(1);
                    let usual = self.backoff.next_delay(self.attempt, jitter());
                    let wait = asked
                        .map_or(usual, |asked| asked.max(usual))
                        .min(LONGEST_WAIT);
                    self.tell(Feed::Link(Link::Reconnecting {
                        attempt: self.attempt,
                        wait,
                        reason,
                    }))
                    .await?;
                    tokio::time::sleep(wait).await;
                }
            }
        }
    }

    async fn tell(&self, word: Feed<T>) -> Result<(), Unheard> {
        self.sender.send(word).await.map_err(|_| Unheard)
    }

    fn call(&self) -> Call {
        let mut call = Call::get(self.what.path.iter().map(String::as_str));
        call.query.clone_from(&self.what.filters);
        call.accept = "text/event-stream";
        call.last_event_id = Some(self.last);
        call
    }

    /// One connection from opening to its end.
    async fn connection(&mut self) -> Result<End<T>, Unheard> {
        let mut token = self.transport.token_changes();
        let (response, head) = match self.transport.open_stream(&self.call()).await {
            Ok(Some(opened)) => opened,
            Ok(None) => return Ok(End::Final(None)),
            Err(error) => return Ok(refused(error)),
        };
        if head.is_some_and(|head| head < self.last) {
            // Restored from a backup, or another broker: what was seen here never happened there.
            return Ok(End::Final(Some(Feed::Reset)));
        }
        // A filtered stream may never mention the head, so there is nothing to wait for.
        let mut behind = if self.filtered { None } else { head }.filter(|head| *head > self.last);
        let state = match behind {
            Some(_) => Link::CatchingUp,
            None => Link::Live,
        };
        self.tell(Feed::Link(state)).await?;

        let mut meter = BlockMeter::new(self.transport.options().event_bytes);
        let origin = self.transport.origin().to_owned();
        let bytes = response.bytes_stream().map(move |chunk| {
            let chunk = chunk
                .map_err(|error| Broken(ClientError::from_reqwest(&origin, &error).to_string()))?;
            meter.add(&chunk)?;
            Ok::<_, Broken>(chunk)
        });
        let mut events = std::pin::pin!(SseByteStream::new(bytes));
        loop {
            let next = tokio::select! {
                // First, so that a session which was replaced and then ended is not taken for a lost link.
                biased;
                Ok(()) = token.changed() => return Ok(End::Renewed),
                next = events.next() => next,
            };
            let event = match next {
                None => return Ok(End::lost("the broker ended the stream")),
                Some(Err(sse_stream::Error::Body(error))) => {
                    return Ok(End::lost(error.to_string()));
                }
                Some(Err(error)) => return Ok(End::lost(tame(&error.to_string()))),
                Some(Ok(event)) => event,
            };
            if let Some(end) = self.event(event).await? {
                return Ok(end);
            }
            if behind.is_some_and(|head| self.last >= head) {
                behind = None;
                self.tell(Feed::Link(Link::Live)).await?;
            }
        }
    }

    /// One event; `Some` when the connection is over.
    async fn event(&mut self, event: Sse) -> Result<Option<End<T>>, Unheard> {
        if let Some(milliseconds) = event.retry {
            let asked = Duration::from_millis(milliseconds);
            self.backoff.base = asked.clamp(Duration::from_millis(10), self.backoff.cap);
        }
        if event.event.as_deref() == Some("reset") {
            return Ok(Some(End::Final(Some(Feed::Reset))));
        }
        let Some(data) = event.data else {
            return Ok(None);
        };
        let Some(sequence) = event.id.and_then(|id| id.parse::<u64>().ok()) else {
            return Ok(Some(End::lost("an event came without its sequence")));
        };
        if sequence <= self.last {
            // Said again after a resume; it was handed on the first time.
            return Ok(None);
        }
        let expected = self.last + 1;
        if !self.filtered && sequence != expected {
            return Ok(Some(End::Final(Some(Feed::Gap {
                expected,
                got: sequence,
            }))));
        }
        match serde_json::from_str(&data) {
            Ok(item) => {
                self.tell(Feed::Item { sequence, item }).await?;
                self.last = sequence;
                self.attempt = 0;
                Ok(None)
            }
            Err(error) => Ok(Some(End::lost(format!(
                "event {sequence} cannot be understood: {}",
                tame(&error.to_string())
            )))),
        }
    }
}

/// Whether a connection that was not opened is worth another try.
fn refused<T>(error: ClientError) -> End<T> {
    match error.status() {
        Some(410) => End::Final(Some(Feed::Reset)),
        Some(status) if status < 500 && status != 429 && status != 408 => {
            End::Final(Some(Feed::Ended(error)))
        }
        _ => End::Lost {
            asked: error.retry_after(),
            reason: error.to_string(),
        },
    }
}

/// A fault below the event parser, already in words.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Broken(String);

/// Counts the bytes since the last blank line, because the parser holds an event of any size.
struct BlockMeter {
    limit_bytes: usize,
    bytes: usize,
    line_is_empty: bool,
}

impl BlockMeter {
    fn new(limit_bytes: usize) -> Self {
        Self {
            limit_bytes,
            bytes: 0,
            line_is_empty: true,
        }
    }

    fn add(&mut self, chunk: &[u8]) -> Result<(), Broken> {
        for byte in chunk {
            self.bytes += 1;
            match byte {
                b'\n' if self.line_is_empty => self.bytes = 0,
                b'\n' => self.line_is_empty = true,
                b'\r' => {}
                _ => self.line_is_empty = false,
            }
            if self.bytes > self.limit_bytes {
                return Err(Broken(format!(
                    "an event is larger than {} bytes",
                    self.limit_bytes
                )));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_meter_counts_one_event_across_chunks_and_line_ends() {
        let mut meter = BlockMeter::new(10);
        assert!(meter.add(b"data: x\n").is_ok());
        assert!(meter.add(b"\ndata: y\r\n").is_ok());
        assert!(meter.add(b"\r\n: beat\n\n").is_ok());
        assert_eq!(meter.bytes, 0);
        let error = meter.add(b"data: 34567").unwrap_err().to_string();
        assert_eq!(error, "an event is larger than 10 bytes");
    }

    #[test]
    fn reconnecting_backs_off_to_half_a_minute() {
        assert_eq!(RECONNECT.next_delay(1, 1.0), Duration::from_millis(500));
        assert_eq!(RECONNECT.next_delay(4, 1.0), Duration::from_secs(4));
        assert_eq!(RECONNECT.next_delay(40, 1.0), Duration::from_secs(30));
        assert_eq!(RECONNECT.next_delay(40, 0.0), Duration::from_secs(15));
    }
}
