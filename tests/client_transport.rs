//! The client against a real HTTP server in this process: headers, retries, lists, and the stream.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use countersign::client::retry::{Backoff, RetryPolicy};
use countersign::client::{
    Answer, Call, ClientError, Delivery, Feed, Follow, Link, Transport, TransportOptions,
    new_idempotency_key, stream,
};
use futures_util::{Stream, StreamExt};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::sync::mpsc;

/// Longer than anything here takes; only a failure waits for it.
const DEADLINE: Duration = Duration::from_secs(20);

async fn serve(router: Router) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address: SocketAddr = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    format!("http://{address}")
}

fn options(url: &str) -> TransportOptions {
    TransportOptions {
        retry: RetryPolicy {
            backoff: Backoff {
                base: Duration::from_millis(1),
                cap: Duration::from_millis(5),
            },
            ..RetryPolicy::default()
        },
        ..TransportOptions::new(url)
    }
}

fn transport(url: &str) -> Transport {
    Transport::new(options(url)).unwrap()
}

/// Requests as the server saw them.
type Seen = Arc<Mutex<Vec<HeaderMap>>>;

fn header_values(seen: &Seen, name: &str) -> Vec<String> {
    seen.lock()
        .iter()
        .map(|headers| {
            headers
                .get(name)
                .map_or(String::new(), |value| value.to_str().unwrap().to_owned())
        })
        .collect()
}

#[tokio::test]
async fn a_call_carries_its_headers_and_an_answer_gives_its_own() {
    let seen = Seen::default();
    let app = Router::new()
        .route(
            "/prefix/v1/credentials/{id}",
            get(
                |State(seen): State<Seen>, Path(id): Path<String>, headers: HeaderMap| async move {
                    seen.lock().push(headers);
                    (
                        [
                            ("countersign-sequence", "42"),
                            ("etag", "\"7\""),
                            ("idempotency-replayed", "true"),
                        ],
                        Json(json!({ "id": id })),
                    )
                },
            )
            .delete(|| async { StatusCode::NO_CONTENT }),
        )
        .with_state(seen.clone());
    let transport = transport(&format!("{}/prefix", serve(app).await));
    let call = Call::get(["v1", "credentials", "crd_ä/../x"]);
    transport.send::<Value>(&call).await.unwrap();
    transport.set_token(Some("cs_token".into()));
    let answer: Answer<Value> = transport.send(&call.if_match("\"7\"")).await.unwrap();
    assert_eq!(answer.value["id"], "crd_ä/../x");
    assert_eq!(answer.sequence, Some(42));
    assert_eq!(answer.etag.as_deref(), Some("\"7\""));
    assert!(answer.replayed);
    assert_eq!(
        header_values(&seen, "authorization"),
        ["", "Bearer cs_token"]
    );
    assert_eq!(header_values(&seen, "if-match"), ["", "\"7\""]);
    let agent = concat!("countersign/", env!("CARGO_PKG_VERSION"));
    assert_eq!(header_values(&seen, "user-agent"), [agent, agent]);
    let ids = header_values(&seen, "x-request-id");
    assert!(ids[0].len() == 36 && ids[0] != ids[1], "{ids:?}");
    assert!(header_values(&seen, "traceparent")[0].starts_with("00-"));

    let gone: Answer<()> = transport
        .send(&Call::delete(["v1", "credentials", "x"]))
        .await
        .unwrap();
    assert_eq!(
        (gone.sequence, gone.etag, gone.replayed),
        (None, None, false)
    );
}

/// Fails `failures` times with `status`, then answers.
fn flaky(seen: &Seen, failures: usize, status: u16, retry_after: &'static str) -> Router {
    let seen = seen.clone();
    let handler = move |headers: HeaderMap| async move {
        seen.lock().push(headers);
        if seen.lock().len() > failures {
            return Json(json!("done")).into_response();
        }
        let mut response = (
            StatusCode::from_u16(status).unwrap(),
            [(header::CONTENT_TYPE, "application/problem+json")],
            json!({ "type": "/problems/busy", "title": "Busy", "status": 200, "detail": "", "instance": "x", "fault": "system" })
                .to_string(),
        )
            .into_response();
        if !retry_after.is_empty() {
            let value = retry_after.parse().unwrap();
            response.headers_mut().insert(header::RETRY_AFTER, value);
        }
        response
    };
    Router::new().route("/v1/requests", get(handler.clone()).post(handler))
}

#[tokio::test]
async fn what_is_safe_is_repeated_with_one_key_and_nothing_else_is() {
    let path = ["v1", "requests"];
    let command = || Call::post(path, &json!({})).unwrap();
    let key = new_idempotency_key();
    let cases = [
        ("a read", Call::get(path), 503, "", 3),
        ("a read told to wait a moment", Call::get(path), 429, "0", 3),
        (
            "a command with a key",
            command().idempotent(&key),
            503,
            "",
            3,
        ),
        ("a command without one", command(), 503, "", 1),
        (
            "a read told to wait for an hour",
            Call::get(path),
            503,
            "3600",
            1,
        ),
        ("a read that failed", Call::get(path), 500, "", 1),
        ("a read that was refused", Call::get(path), 403, "", 1),
    ];
    for (name, call, status, retry_after, tries) in cases {
        let seen = Seen::default();
        let transport = transport(&serve(flaky(&seen, 2, status, retry_after)).await);
        let result = transport.send::<String>(&call).await;
        assert_eq!(seen.lock().len(), tries, "{name}");
        if tries == 3 {
            assert_eq!(result.unwrap().value, "done", "{name}");
            let ids = header_values(&seen, "x-request-id");
            assert!(
                ids.iter().all(|id| *id == ids[0]),
                "{name}: one call, one id"
            );
        } else {
            let error = result.unwrap_err();
            assert_eq!(
                error.status(),
                Some(status),
                "{name}: the status line counts"
            );
            assert_eq!(error.to_string(), "Busy", "{name}");
        }
        if name == "a command with a key" {
            let sent = header_values(&seen, "idempotency-key");
            assert_eq!(sent, vec![format!("\"{key}\""); 3]);
        }
    }
}

#[tokio::test]
async fn a_read_gives_up_after_its_tries() {
    let seen = Seen::default();
    let transport = transport(&serve(flaky(&seen, usize::MAX, 503, "")).await);
    let error = transport
        .send::<Value>(&Call::get(["v1", "requests"]))
        .await
        .unwrap_err();
    assert_eq!(seen.lock().len(), 4);
    assert_eq!(error.delivery(), Delivery::Unknown);
}

#[tokio::test]
async fn a_problem_arrives_whole() {
    let app = Router::new().route(
        "/v1/requests",
        post(|| async {
            (
                StatusCode::UNPROCESSABLE_ENTITY,
                [(header::CONTENT_TYPE, "application/problem+json; charset=utf-8")],
                json!({
                    "type": "validation", "title": "Not accepted", "status": 422, "detail": "one field",
                    "instance": "req-1", "fault": "caller", "extension": {"ignored": true},
                    "errors": [{"pointer": "/ttl_s", "detail": "at most 28800"}]
                })
                .to_string(),
            )
        }),
    );
    let transport = transport(&serve(app).await);
    let call = Call::post(["v1", "requests"], &json!({})).unwrap();
    let error = transport.send::<Value>(&call).await.unwrap_err();
    assert_eq!(error.delivery(), Delivery::Sent);
    let words = error.to_string();
    assert_eq!(words, "Not accepted: one field; /ttl_s: at most 28800");
    let ClientError::Problem(problem) = error else {
        panic!("{error:?}");
    };
    assert_eq!(problem.instance, "req-1");
    assert_eq!(problem.errors[0].pointer, "/ttl_s");
}

#[tokio::test]
async fn nobody_there_is_not_sent() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let error = transport(&url)
        .send::<Value>(&Call::get(["v1"]))
        .await
        .unwrap_err();
    assert_eq!(error.delivery(), Delivery::NotSent);
    assert!(error.is_unreachable());
    let words = error.to_string();
    assert!(
        words.starts_with(&format!("cannot reach the broker at {url}: "))
            && words.contains("refused"),
        "{words}"
    );
}

#[tokio::test]
async fn lists_come_a_line_or_a_chunk_at_a_time() {
    let rows: Vec<String> = (0..5000)
        .map(|n| format!("{{\"n\":{n},\"pad\":\"{}\"}}\n", "x".repeat(n % 90)))
        .collect();
    let text = format!("{{\"count\":5000}}\n{}", rows.concat());
    let columns: Vec<u8> = (0..300_000_u32).map(|n| n as u8).collect();
    let sent = columns.clone();
    let app = Router::new()
        .route(
            "/v1/credentials",
            get(move |headers: HeaderMap| {
                let accept = headers[header::ACCEPT].to_str().unwrap().to_owned();
                let (text, columns) = (text.clone(), columns.clone());
                async move {
                    // Pieces that fall anywhere, in the middle of a line too.
                    let bytes = if accept == "application/x-ndjson" {
                        text.into_bytes()
                    } else {
                        columns
                    };
                    let pieces: Vec<Result<Vec<u8>, Infallible>> =
                        bytes.chunks(777).map(|piece| Ok(piece.to_vec())).collect();
                    (
                        [
                            (header::CONTENT_TYPE, accept),
                            (
                                header::HeaderName::from_static("countersign-sequence"),
                                "9".to_owned(),
                            ),
                        ],
                        Body::from_stream(futures_util::stream::iter(pieces)),
                    )
                }
            }),
        )
        .layer(tower_http::compression::CompressionLayer::new());
    let transport = transport(&serve(app).await);
    let call = Call::get(["v1", "credentials"]);
    let mut lines = transport.lines(&call).await.unwrap();
    assert_eq!(lines.sequence, Some(9));
    let header: Value = lines.value.next().await.unwrap().unwrap();
    assert_eq!(header["count"], 5000);
    for n in 0..5000 {
        let row: Value = lines.value.next().await.unwrap().unwrap();
        assert_eq!(row["n"], n);
    }
    assert!(lines.value.next::<Value>().await.unwrap().is_none());

    let media = "application/vnd.countersign.columns";
    let answer = transport.chunks(&call, media, 1 << 20).await.unwrap();
    assert_eq!(answer.value.read_to_end().await.unwrap(), sent);
    let small = transport.chunks(&call, media, 1000).await.unwrap();
    let error = small.value.read_to_end().await.unwrap_err();
    assert!(
        matches!(error, ClientError::TooLarge { limit_bytes: 1000 }),
        "{error}"
    );
}

// ---- the stream ---------------------------------------------------------------------------------

fn item(sequence: u64) -> Event {
    Event::default()
        .id(sequence.to_string())
        .event("change")
        .json_data(json!({ "n": sequence }))
        .unwrap()
}

fn sse(events: impl Stream<Item = Event> + Send + 'static) -> Response {
    Sse::new(events.map(Ok::<_, Infallible>)).into_response()
}

fn resume_point(headers: &HeaderMap) -> u64 {
    headers["last-event-id"].to_str().unwrap().parse().unwrap()
}

async fn hear(feed: &mut mpsc::Receiver<Feed<Value>>) -> Option<Feed<Value>> {
    tokio::time::timeout(DEADLINE, feed.recv())
        .await
        .expect("the feed has something to say")
}

/// A stream whose handler is told how many connections came before and where to resume.
async fn streaming<F>(handler: F) -> Transport
where
    F: Fn(usize, u64) -> Response + Clone + Send + Sync + 'static,
{
    let connections = Arc::new(AtomicUsize::new(0));
    let app = Router::new().route(
        "/v1/events",
        get(move |headers: HeaderMap| async move {
            assert_eq!(headers[header::ACCEPT], "text/event-stream");
            assert_eq!(headers[header::ACCEPT_ENCODING], "identity");
            handler(
                connections.fetch_add(1, Ordering::SeqCst),
                resume_point(&headers),
            )
        }),
    );
    transport(&serve(app).await)
}

#[tokio::test]
async fn a_stream_that_drops_is_resumed_without_loss_or_repetition() {
    let transport = streaming(|connection, after| {
        // The second connection repeats what was already sent; every one drops after three new ones.
        let from = if connection == 1 { after } else { after + 1 };
        let first = Event::default()
            .retry(Duration::from_millis(50))
            .comment("hello");
        sse(futures_util::stream::iter([first])
            .chain(futures_util::stream::iter((from..=after + 3).map(item))))
    })
    .await;
    let mut feed = stream::follow::<Value>(transport, Follow::all(100));
    let mut sequences = Vec::new();
    let mut links = Vec::new();
    while sequences.len() < 12 {
        match hear(&mut feed).await.unwrap() {
            Feed::Item { sequence, item } => {
                assert_eq!(item["n"], sequence);
                sequences.push(sequence);
            }
            Feed::Link(link) => links.push(link),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(sequences, (101..=112).collect::<Vec<u64>>());
    assert_eq!(links[..2], [Link::Connecting, Link::Live]);
    let lost: Vec<&Link> = links
        .iter()
        .filter(|link| matches!(link, Link::Reconnecting { .. }))
        .collect();
    assert_eq!(lost.len(), 3);
    for link in lost {
        let Link::Reconnecting {
            attempt,
            wait,
            reason,
        } = link
        else {
            unreachable!()
        };
        assert_eq!(*attempt, 1, "every connection brought something");
        assert!(
            *wait <= Duration::from_millis(50),
            "the broker's own pace: {wait:?}"
        );
        assert_eq!(reason, "the broker ended the stream");
    }
}

#[tokio::test]
async fn catching_up_ends_where_the_broker_was_when_asked() {
    let transport = streaming(|_, after| {
        let events = futures_util::stream::iter((after + 1..=after + 3).map(item));
        (
            [("countersign-sequence", "12")],
            sse(events.chain(futures_util::stream::pending())),
        )
            .into_response()
    })
    .await;
    let mut feed = stream::follow::<Value>(transport, Follow::all(10));
    let mut heard = Vec::new();
    for _ in 0..6 {
        heard.push(match hear(&mut feed).await.unwrap() {
            Feed::Item { sequence, .. } => sequence.to_string(),
            Feed::Link(link) => format!("{link:?}"),
            other => panic!("{other:?}"),
        });
    }
    assert_eq!(
        heard,
        ["Connecting", "CatchingUp", "11", "12", "Live", "13"]
    );
}

/// Everything until the feed ends; the last word first.
async fn last_word(feed: &mut mpsc::Receiver<Feed<Value>>) -> (Feed<Value>, Vec<u64>) {
    let mut items = Vec::new();
    let mut last = None;
    while let Some(word) = hear(feed).await {
        if let Feed::Item { sequence, .. } = &word {
            items.push(*sequence);
        }
        last = Some(word);
    }
    (last.unwrap(), items)
}

#[tokio::test]
async fn a_gap_ends_the_feed_unless_it_was_filtered() {
    let gapped = |_, after: u64| {
        sse(futures_util::stream::iter([
            item(after + 1),
            item(after + 3),
            Event::default().event("reset").data(""),
        ]))
    };
    let mut feed = stream::follow::<Value>(streaming(gapped).await, Follow::all(5));
    let (word, items) = last_word(&mut feed).await;
    assert!(
        matches!(
            word,
            Feed::Gap {
                expected: 7,
                got: 8
            }
        ),
        "{word:?}"
    );
    assert_eq!(items, [6]);

    let filtered = Follow {
        filters: vec![("type".into(), "credential.revoked".into())],
        ..Follow::all(5)
    };
    let mut feed = stream::follow::<Value>(streaming(gapped).await, filtered);
    let (word, items) = last_word(&mut feed).await;
    assert!(matches!(word, Feed::Reset), "{word:?}");
    assert_eq!(items, [6, 8]);
}

#[tokio::test]
async fn what_resuming_cannot_mend_is_the_last_word() {
    let problem = |status: u16| {
        move |_: usize, _: u64| {
            (
                StatusCode::from_u16(status).unwrap(),
                [(header::CONTENT_TYPE, "application/problem+json")],
                json!({"type": "/problems/no", "title": "No", "status": status, "detail": "no", "instance": "x", "fault": "caller"}).to_string(),
            )
                .into_response()
        }
    };
    let mut feed = stream::follow::<Value>(streaming(problem(410)).await, Follow::all(1));
    assert!(matches!(last_word(&mut feed).await.0, Feed::Reset));

    let mut feed = stream::follow::<Value>(streaming(problem(401)).await, Follow::all(1));
    let (word, _) = last_word(&mut feed).await;
    assert!(
        matches!(&word, Feed::Ended(error) if error.is_unauthenticated()),
        "{word:?}"
    );

    let behind = |_: usize, _: u64| {
        (
            [("countersign-sequence", "3")],
            sse(futures_util::stream::pending()),
        )
            .into_response()
    };
    let mut feed = stream::follow::<Value>(streaming(behind).await, Follow::all(7));
    assert!(
        matches!(last_word(&mut feed).await.0, Feed::Reset),
        "an older log than was seen"
    );
}

#[tokio::test]
async fn a_broker_that_is_down_is_tried_again_until_it_is_back() {
    let transport = streaming(|connection, after| {
        if connection < 2 {
            return StatusCode::SERVICE_UNAVAILABLE.into_response();
        }
        sse(futures_util::stream::iter([item(after + 1)]).chain(futures_util::stream::pending()))
    })
    .await;
    let origin = transport.origin().to_owned();
    let mut feed = stream::follow::<Value>(transport, Follow::all(0));
    let mut attempts = Vec::new();
    loop {
        match hear(&mut feed).await.unwrap() {
            Feed::Link(Link::Reconnecting {
                attempt, reason, ..
            }) => {
                assert_eq!(reason, format!("{origin} answered 503 without saying why"));
                attempts.push(attempt);
            }
            Feed::Item { sequence: 1, .. } => break,
            Feed::Link(_) => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(attempts, [1, 2]);
}

#[tokio::test]
async fn heartbeats_hold_the_line_and_silence_loses_it() {
    let connections = Arc::new(AtomicUsize::new(0));
    let counted = connections.clone();
    let app = Router::new().route(
        "/v1/events",
        get(move |headers: HeaderMap| async move {
            let after = resume_point(&headers);
            if counted.fetch_add(1, Ordering::SeqCst) == 0 {
                // Three silences long, with a heartbeat well within each.
                let late = futures_util::stream::once(async move {
                    tokio::time::sleep(Duration::from_millis(2500)).await;
                    item(after + 1)
                });
                let quiet = late.chain(futures_util::stream::pending());
                let alive = KeepAlive::new()
                    .interval(Duration::from_millis(100))
                    .text("beat");
                let beats = quiet.map(Ok::<_, Infallible>);
                Sse::new(beats.take(1)).keep_alive(alive).into_response()
            } else {
                sse(futures_util::stream::iter([item(after + 1)])
                    .chain(futures_util::stream::pending()))
            }
        }),
    );
    let url = serve(app).await;
    let transport = Transport::new(TransportOptions {
        stream_silence: Duration::from_secs(1),
        ..options(&url)
    })
    .unwrap();
    let mut feed = stream::follow::<Value>(transport, Follow::all(0));
    let mut reasons = Vec::new();
    let mut sequences = Vec::new();
    while reasons.len() < 2 {
        match hear(&mut feed).await.unwrap() {
            Feed::Item { sequence, .. } => {
                sequences.push(sequence);
                assert_eq!(
                    connections.load(Ordering::SeqCst),
                    sequences.len(),
                    "no connection was lost before"
                );
            }
            Feed::Link(Link::Reconnecting { reason, .. }) => reasons.push(reason),
            Feed::Link(_) => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(sequences, [1, 2]);
    assert_eq!(reasons[0], "the broker ended the stream");
    assert_eq!(
        reasons[1],
        format!("the broker at {url} did not answer in time")
    );
}

#[tokio::test]
async fn dropping_the_feed_closes_the_connection() {
    struct TellOnDrop(mpsc::UnboundedSender<()>);
    impl Drop for TellOnDrop {
        fn drop(&mut self) {
            let _ = self.0.send(());
        }
    }
    let (closed, mut was_closed) = mpsc::unbounded_channel();
    let transport = streaming(move |_, after| {
        let guard = TellOnDrop(closed.clone());
        let first = futures_util::stream::iter([item(after + 1)]);
        sse(
            first.chain(futures_util::stream::pending().map(move |event| {
                let _held = &guard;
                event
            })),
        )
    })
    .await;
    let mut feed = stream::follow::<Value>(transport, Follow::all(0));
    while !matches!(hear(&mut feed).await, Some(Feed::Item { .. })) {}
    drop(feed);
    tokio::time::timeout(DEADLINE, was_closed.recv())
        .await
        .expect("the server sees the connection close")
        .unwrap();
}
