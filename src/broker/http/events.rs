//! The stream: the log's tail as Server-Sent Events. A frame is built once for all who follow. Whoever does not read
//! is cut after a while and holds little until then; it comes back with `Last-Event-ID` and misses nothing.

use super::{
    App,
    extract::{Params, Reader},
    metrics::Subscriber,
    problem::{self, ApiError},
};
use crate::{
    broker::{auth::Caller, feed::Subscription, views::event::feed_item},
    clock,
    domain::Recorded,
    wire::{FeedItem, header as names},
};
use axum::{
    body::{Body, Bytes},
    extract::State as Shared,
    http::{HeaderMap, HeaderName, HeaderValue, header},
    response::Response,
};
use bytes::BytesMut;
use futures_util::FutureExt as _;
use parking_lot::Mutex;
use serde::Deserialize;
use std::{collections::BTreeMap, convert::Infallible, time::Duration};
use tokio::{sync::mpsc, time::Instant};
use tokio_stream::{StreamExt as _, wrappers::ReceiverStream};

/// How long a stream may be silent before a comment shows that it is alive.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// How long a subscriber may leave what was sent unread.
const PATIENCE: Duration = Duration::from_secs(30);
/// Pieces that may wait for one subscriber.
const WAITING: usize = 8;
/// A piece is closed beyond this many bytes.
const PIECE: usize = 32 * 1024;
/// How many of the latest frames are kept for those who follow a little later.
const FRAMES: usize = 1_024;

/// What to follow.
#[derive(Debug, Clone, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct StreamParams {
    /// Only events about this object, by identifier.
    #[param(max_length = 64)]
    pub subject: Option<String>,
    /// Only events of this type, such as `request.approved`, or of all types that begin with it, such as `request.`.
    #[serde(rename = "type")]
    #[param(max_length = 64)]
    pub kind: Option<String>,
    /// Start strictly after this sequence; from now on if left out. `Last-Event-ID` takes precedence.
    pub after: Option<u64>,
}

impl StreamParams {
    fn wants(&self, recorded: &Recorded) -> bool {
        let subject = self
            .subject
            .as_ref()
            .is_none_or(|subject| *subject == recorded.subject);
        let kind = self.kind.as_ref().is_none_or(|kind| {
            let found = recorded.event.kind();
            found == kind || (kind.ends_with('.') && found.starts_with(kind.as_str()))
        });
        subject && kind
    }
}

/// Frames that were built already.
#[derive(Debug, Default)]
pub struct Frames(Mutex<BTreeMap<u64, Bytes>>);

impl Frames {
    fn get(&self, app: &App, recorded: &Recorded) -> Bytes {
        // Held while building: of all who follow, one builds and the others wait a few microseconds for it.
        let mut frames = self.0.lock();
        if let Some(frame) = frames.get(&recorded.sequence()) {
            return frame.clone();
        }
        let state = app.engine().state();
        let item = feed_item(&app.views(&state, clock::now()), recorded);
        let frame = Bytes::from(frame(&item));
        frames.insert(recorded.sequence(), frame.clone());
        if frames.len() > FRAMES {
            frames.pop_first();
        }
        frame
    }
}

fn frame(item: &FeedItem) -> Vec<u8> {
    let head = format!(
        "id: {}\nevent: {}\ndata: ",
        item.event.sequence, item.event.kind
    );
    let mut bytes = head.into_bytes();
    serde_json::to_writer(&mut bytes, item).expect("an event is plain data");
    bytes.extend_from_slice(b"\n\n");
    bytes
}

/// Follows the log as Server-Sent Events: `id` is the sequence, `event` the type, `data` a `FeedItem` with the rows
/// of what changed as they are now. Resumed strictly after `Last-Event-ID`; a comment every 15 seconds; 410 when
/// asked for what is no longer kept: start from a list then. The stream ends when the broker stops, when the token
/// does, and for whoever does not read.
#[utoipa::path(get, path = "/v1/events", tag = "events",
    params(StreamParams, ("Last-Event-ID" = Option<u64>, Header, description = "The last event that was seen")),
    responses((status = 200, body = FeedItem, content_type = "text/event-stream"),
        (status = 410, body = crate::wire::Problem, content_type = "application/problem+json", description = "`events-gone`")))]
pub async fn follow(
    Shared(app): Shared<App>,
    reader: Reader,
    Params(params): Params<StreamParams>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    reader.reads_all()?;
    let sequence = reader.state.sequence;
    let after = match headers.get("last-event-id") {
        Some(value) => {
            let seen = value
                .to_str()
                .ok()
                .and_then(|text| text.trim().parse().ok());
            seen.ok_or_else(|| {
                ApiError::new(&problem::MALFORMED, "expected a sequence in Last-Event-ID")
            })?
        }
        None => params.after.unwrap_or(sequence),
    };
    let gone = |detail: String| ApiError::new(&problem::GONE, detail);
    if after > sequence {
        let detail = format!(
            "the log has only {sequence} events: this is not the log that you followed before"
        );
        return Err(gone(detail));
    }
    let subscription = app
        .engine()
        .subscribe(after)
        .map_err(|error| gone(error.to_string()))?;
    let permit = app.streams().clone().try_acquire_owned().map_err(|_| {
        ApiError::new(&problem::BUSY, "as many streams are open as there may be").retry_after(5)
    })?;
    let (send, receive) = mpsc::channel(WAITING);
    let pump = Pump {
        app,
        caller: reader.caller,
        params,
        send,
    };
    tokio::spawn(async move {
        let _held = (permit, Subscriber::begin());
        pump.run(subscription).await;
    });
    let mut response = Response::new(Body::from_stream(
        ReceiverStream::new(receive).map(Ok::<_, Infallible>),
    ));
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/event-stream"),
    );
    headers.insert(HeaderName::from_static(names::SEQUENCE), sequence.into());
    headers.insert(
        HeaderName::from_static("x-accel-buffering"),
        HeaderValue::from_static("no"),
    );
    Ok(response)
}

/// Carries events to one subscriber.
struct Pump {
    app: App,
    caller: Caller,
    params: StreamParams,
    send: mpsc::Sender<Bytes>,
}

impl Pump {
    async fn run(self, mut subscription: Subscription) {
        if !self.deliver(Bytes::from_static(b"retry: 2000\n\n")).await {
            return;
        }
        let mut beat = Instant::now() + HEARTBEAT;
        loop {
            let next = tokio::select! {
                biased;
                () = self.send.closed() => return,
                next = subscription.next() => next,
                () = tokio::time::sleep_until(beat) => {
                    if !self.may_follow() || !self.deliver(Bytes::from_static(b":\n\n")).await {
                        return;
                    }
                    beat = Instant::now() + HEARTBEAT;
                    continue;
                }
            };
            // The end, or so far behind that events were lost: either way they come back and say where they were.
            let Some(first) = next else { return };
            let piece = self.piece(&first, &mut subscription);
            if piece.is_empty() {
                continue;
            }
            if !self.may_follow() || !self.deliver(piece).await {
                return;
            }
            beat = Instant::now() + HEARTBEAT;
        }
    }

    /// The frame of `first`, and of what else is there already.
    fn piece(&self, first: &Recorded, subscription: &mut Subscription) -> Bytes {
        let mut joined = BytesMut::new();
        let mut only = self.frame(first);
        loop {
            let size = joined.len() + only.as_ref().map_or(0, Bytes::len);
            if size > PIECE {
                break;
            }
            let Some(Some(next)) = subscription.next().now_or_never() else {
                break;
            };
            let Some(frame) = self.frame(&next) else {
                continue;
            };
            match only.take() {
                Some(before) if joined.is_empty() => {
                    joined.extend_from_slice(&before);
                    joined.extend_from_slice(&frame);
                }
                None if joined.is_empty() => only = Some(frame),
                _ => joined.extend_from_slice(&frame),
            }
        }
        // One frame by itself is shared by all who follow, not copied.
        if joined.is_empty() {
            only.unwrap_or_default()
        } else {
            joined.freeze()
        }
    }

    fn frame(&self, recorded: &Recorded) -> Option<Bytes> {
        self.params
            .wants(recorded)
            .then(|| self.app.frames().get(&self.app, recorded))
    }

    /// A stream outlives its call, so what the call was allowed by is looked at again.
    fn may_follow(&self) -> bool {
        let state = self.app.engine().state();
        let now = clock::now();
        state
            .operators
            .get(&self.caller.id())
            .is_some_and(|operator| {
                operator.offboarded_at.is_none()
                    && !operator.sees_only_its_client()
                    && operator
                        .tokens()
                        .any(|token| token.id == self.caller.token && now < token.expires_at)
            })
    }

    /// Whether the subscriber still reads.
    async fn deliver(&self, piece: Bytes) -> bool {
        matches!(
            tokio::time::timeout(PATIENCE, self.send.send(piece)).await,
            Ok(Ok(()))
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        broker::views::{
            event::event_record,
            testing::{World, at, recorded},
        },
        domain::Event,
    };

    #[test]
    fn a_frame_is_three_lines_whatever_the_event_says() {
        let mut world = World::new();
        let credential = world.credential("a", |_| {});
        let event = Event::CredentialQuarantined {
            credential,
            reason: "two\nlines\r\n\ndata: x".into(),
        };
        let leaf = recorded(41, at(0), event);
        let item = FeedItem {
            revocation: None,
            rotation: None,
            event: event_record(&world.state, &leaf),
            credential: None,
            request: None,
        };
        let text = String::from_utf8(frame(&item)).expect("UTF-8");
        assert_eq!(text.lines().count(), 4, "{text}");
        assert!(text.starts_with("id: 42\nevent: credential.quarantined\ndata: {"));
        assert!(text.ends_with("}\n\n"));
    }

    #[test]
    fn events_are_chosen_by_subject_and_type() {
        let mut world = World::new();
        let credential = world.credential("a", |_| {});
        let leaf = recorded(
            1,
            at(0),
            Event::CredentialReleased {
                credential,
                reason: "x".into(),
            },
        );
        let wants = |subject: Option<&str>, kind: Option<&str>| {
            let params = StreamParams {
                subject: subject.map(Into::into),
                kind: kind.map(Into::into),
                after: None,
            };
            params.wants(&leaf)
        };
        let id = credential.to_string();
        assert!(wants(None, None));
        assert!(wants(Some(&id), Some("credential.released")));
        assert!(wants(None, Some("credential.")));
        assert!(!wants(None, Some("credential")));
        assert!(!wants(None, Some("request.")));
        assert!(!wants(Some("crd_x"), None));
    }
}
