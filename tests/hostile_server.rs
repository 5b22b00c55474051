//! The client against servers that lie, stall, flood and break off: every time a clear message, and the
//! same client works with the next answer.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "hostile_server/certificates.rs"]
mod certificates;
#[path = "hostile_server/manners.rs"]
mod manners;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use certificates::{authority, tls_server};
use manners::{Hostility, answer, treat};

use countersign::client::retry::RetryPolicy;
use countersign::client::{
    Call, ClientError, Delivery, Feed, Follow, Link, Transport, TransportOptions, stream,
};
use rcgen::CertificateParams;
use serde::Deserialize;
use serde_json::Value;
use tokio::net::TcpListener;

/// Longer than anything here takes; only a failure waits for it.
const DEADLINE: Duration = Duration::from_secs(20);

/// What the client expects: anything else is a wrong type.
#[derive(Debug, Deserialize, PartialEq)]
struct Expected {
    count: u32,
}

/// A server that is hostile to the first connections and well-behaved afterwards.
struct Server {
    url: String,
    connections: Arc<AtomicUsize>,
    /// Bytes that the other side took.
    taken: Arc<AtomicU64>,
}

const GOOD: &str = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 11\r\nconnection: close\r\n\r\n{\"count\":7}";

async fn hostile(first: Vec<Hostility>) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let connections = Arc::new(AtomicUsize::new(0));
    let taken = Arc::new(AtomicU64::new(0));
    let server = Server {
        url,
        connections: connections.clone(),
        taken: taken.clone(),
    };
    tokio::spawn(async move {
        loop {
            let (socket, _) = listener.accept().await.unwrap();
            let number = connections.fetch_add(1, Ordering::SeqCst);
            let manners = first
                .get(number)
                .cloned()
                .unwrap_or_else(|| Hostility::Bytes(GOOD.into()));
            tokio::spawn(treat(socket, manners, taken.clone()));
        }
    });
    server
}

const JSON: &str = "content-type: application/json\r\n";

fn impatient(url: &str) -> Transport {
    Transport::new(TransportOptions {
        read_timeout: Duration::from_millis(1500),
        answer_timeout: Duration::from_millis(2500),
        stream_silence: Duration::from_millis(1500),
        line_bytes: 100_000,
        event_bytes: 100_000,
        retry: RetryPolicy::once(),
        ..TransportOptions::new(url)
    })
    .unwrap()
}

/// One bad answer, then a good one over the same client. Gives the error for a closer look.
async fn survive(name: &str, hostility: Hostility) -> (ClientError, Server) {
    let server = hostile(vec![hostility]).await;
    let transport = impatient(&server.url);
    let call = Call::get(["v1", "overview"]);
    let error = tokio::time::timeout(DEADLINE, transport.send::<Expected>(&call))
        .await
        .unwrap_or_else(|_| panic!("{name}: hangs"))
        .expect_err(name);
    let words = error.to_string();
    assert!(
        !words.is_empty() && words.len() < 2000 && !words.chars().any(char::is_control),
        "{name}: {words:?}"
    );
    let good = transport.send::<Expected>(&call).await.unwrap();
    assert_eq!(good.value, Expected { count: 7 }, "{name}: alive");
    (error, server)
}

#[tokio::test]
async fn wrong_types_and_garbage_are_named_and_tamed() {
    let cases: Vec<(&str, Hostility, &str)> = vec![
        ("a string for a number", answer("200 OK", JSON, r#"{"count":"many"}"#), "cannot understand the broker's answer: invalid type: string \"many\""),
        ("a list for an object", answer("200 OK", JSON, "[1,2"), "cannot understand the broker's answer: "),
        ("escapes in a wrong value", answer("200 OK", JSON, "{\"count\":\"\\u001b]0;owned\\u0007\\u202e\"}"), "cannot understand the broker's answer: "),
        ("half a document", answer("200 OK", JSON, r#"{"count":"#), "cannot understand the broker's answer: EOF while parsing"),
        ("bytes that are no text", Hostility::Bytes([b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 4\r\nconnection: close\r\n\r\n".as_slice(), &[0xff, 0xfe, 0x00, 0x1b]].concat()), "cannot understand the broker's answer: "),
        ("deeper than anybody reads", answer("200 OK", JSON, &"[".repeat(200_000)), "cannot understand the broker's answer: "),
        ("a number too large", answer("200 OK", JSON, "{\"count\":1e400}"), "cannot understand the broker's answer: number out of range"),
        ("a web page", answer("200 OK", "content-type: text/html\r\n", "<h1>hello</h1>"), "expected application/json from the broker and got text/html"),
        ("no type", answer("200 OK", "", "{}"), "expected application/json from the broker and got nothing"),
        ("no HTTP", Hostility::Bytes(b"SSH-2.0-OpenSSH_9.2\r\n".to_vec()), "broke before the answer was complete: "),
        ("an empty answer", Hostility::Bytes(Vec::new()), "broke before the answer was complete: "),
        ("endless headers", Hostility::Bytes(format!("HTTP/1.1 200 OK\r\nx: {}\r\n\r\n", "y".repeat(2_000_000)).into()), "broke before the answer was complete: "),
        ("not really compressed", answer("200 OK", "content-type: application/json\r\ncontent-encoding: gzip\r\n", "plain text"), "broke before the answer was complete: "),
    ];
    for (name, hostility, words) in cases {
        let (error, _server) = survive(name, hostility).await;
        assert!(error.to_string().contains(words), "{name}: {error}");
        assert!(!error.to_string().contains('\u{202e}'), "{name}");
    }
}

#[tokio::test]
async fn half_a_body_is_never_taken_for_a_whole_one() {
    let short = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{\"count\":7}";
    let chunked = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\nb\r\n{\"count\":7}\r\n";
    for bytes in [short, chunked] {
        let (error, _server) = survive(bytes, Hostility::Bytes(bytes.into())).await;
        assert!(matches!(error, ClientError::Interrupted { .. }), "{error}");
        assert_eq!(error.delivery(), Delivery::Unknown);
    }
}

#[tokio::test]
async fn a_flood_is_refused_early() {
    const HUNDRED_MB: u64 = 100_000_000;
    let head = |length: &str| {
        format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n{length}connection: close\r\n\r\n\""
        )
    };
    for (name, length, most) in [
        (
            "announced",
            format!("content-length: {}\r\n", HUNDRED_MB + 1),
            16_000_000,
        ),
        ("not announced", String::new(), 40_000_000),
    ] {
        let flood = Hostility::Flood {
            head: head(&length),
            bytes: HUNDRED_MB,
        };
        let server = hostile(vec![flood]).await;
        let transport = Transport::new(TransportOptions {
            retry: RetryPolicy::once(),
            ..TransportOptions::new(&server.url)
        })
        .unwrap();
        let call = Call::get(["v1", "overview"]);
        let error = transport.send::<Value>(&call).await.unwrap_err();
        assert!(
            matches!(
                error,
                ClientError::TooLarge {
                    limit_bytes: 16_777_216
                }
            ),
            "{name}: {error}"
        );
        let taken = server.taken.load(Ordering::SeqCst);
        assert!(taken < most, "{name}: {taken} bytes were taken");
        assert_eq!(
            transport.send::<Expected>(&call).await.unwrap().value.count,
            7
        );
    }
}

#[tokio::test]
async fn a_compressed_flood_is_measured_unpacked() {
    use axum::routing::get;
    let app = axum::Router::new()
        .route(
            "/v1/overview",
            get(|| async { axum::Json(" ".repeat(50_000_000)) }),
        )
        .layer(tower_http::compression::CompressionLayer::new());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    let transport = Transport::new(TransportOptions::new(&url)).unwrap();
    let error = transport
        .send::<Value>(&Call::get(["v1", "overview"]))
        .await
        .unwrap_err();
    assert!(matches!(error, ClientError::TooLarge { .. }), "{error}");
}

#[tokio::test]
async fn stalling_ends_in_time() {
    let head = format!("HTTP/1.1 200 OK\r\n{JSON}content-length: 5000\r\n\r\n");
    let cases = [
        ("a drip", Hostility::Drip { head: head.clone() }),
        ("silence after the head", Hostility::Silence { head }),
        ("silence from the start", Hostility::Silence { head: String::new() }),
        ("a problem that drips", Hostility::Drip {
            head: "HTTP/1.1 500 No\r\ncontent-type: application/problem+json\r\ncontent-length: 5000\r\n\r\n".into(),
        }),
    ];
    let together = cases.map(|(name, hostility)| async move {
        let (error, _server) = survive(name, hostility).await;
        let in_time = matches!(&error, ClientError::Timeout { .. })
            || matches!(&error, ClientError::Status { status: 500, .. });
        assert!(in_time, "{name}: {error}");
        assert_eq!(error.delivery(), Delivery::Unknown, "{name}");
    });
    futures_util::future::join_all(together).await;
}

#[tokio::test]
async fn refusals_without_reason_and_redirects_are_plain() {
    let (error, _server) =
        survive("429", answer("429 Slow", "retry-after: 7\r\n", "slow down")).await;
    assert_eq!(error.retry_after(), Some(Duration::from_secs(7)));
    assert!(error.is_transient());
    let (error, _server) = survive(
        "503",
        answer(
            "503 Down",
            "retry-after: Wed, 21 Oct 2026 07:28:00 GMT\r\n",
            "",
        ),
    )
    .await;
    assert_eq!((error.status(), error.retry_after()), (Some(503), None));
    let problem = "content-type: application/problem+json\r\n";
    for body in ["{\"title\":7}", "not json", "[]", "{}", "\u{1b}[2J"] {
        let (error, _server) = survive(body, answer("403 No", problem, body)).await;
        assert!(
            error
                .to_string()
                .ends_with("answered 403 without saying why"),
            "{error}"
        );
    }
    let (error, _server) = survive("a hostile title", answer("403 No", problem, "{\"type\":\"\",\"title\":\"\\u001b[2J\\u202eNo\",\"status\":200,\"detail\":\"\\u0007\",\"instance\":\"\",\"fault\":\"caller\"}")).await;
    assert_eq!(error.to_string(), "\\u{1b}[2J\\u{202e}No: \\u{7}");
    assert_eq!(error.status(), Some(403), "what the status line says");

    let elsewhere = hostile(Vec::new()).await;
    for status in ["301 Moved", "302 Found", "307 Temporary", "308 Permanent"] {
        let location = format!("location: {}/v1/overview\r\n", elsewhere.url);
        let (error, server) = survive(status, answer(status, &location, "")).await;
        assert!(
            error.to_string().contains("points elsewhere")
                && error.to_string().contains(&elsewhere.url),
            "{error}"
        );
        assert_eq!(server.connections.load(Ordering::SeqCst), 2);
    }
    assert_eq!(
        elsewhere.connections.load(Ordering::SeqCst),
        0,
        "the token went nowhere else"
    );
}

#[tokio::test]
async fn a_list_that_goes_wrong_says_where() {
    let ndjson = "content-type: application/x-ndjson\r\n";
    let long = format!("{{\"count\":1}}\n\"{}\"\n", "x".repeat(1_000_000));
    for (body, words) in [
        (
            "{\"count\":1}\n{\"count\":\"two\"}\n",
            "line 2: invalid type: string \"two\"",
        ),
        ("{\"count\":1}\n{\"cou", "the last line is not complete"),
        ("{\"count\":1}\n\n", "line 2: EOF while parsing"),
        (long.as_str(), "larger than 100000 bytes"),
    ] {
        let server = hostile(vec![answer("200 OK", ndjson, body)]).await;
        let mut lines = impatient(&server.url)
            .lines(&Call::get(["v1", "credentials"]))
            .await
            .unwrap()
            .value;
        assert_eq!(
            lines.next::<Expected>().await.unwrap(),
            Some(Expected { count: 1 })
        );
        let error = lines.next::<Expected>().await.unwrap_err();
        assert!(error.to_string().contains(words), "{error}");
    }
}

#[tokio::test]
async fn a_hostile_stream_is_left_and_tried_again() {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";
    let event = |text: &str| Hostility::Bytes(format!("{head}{text}").into());
    let mut garbage = head.as_bytes().to_vec();
    garbage.extend((0..50_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8));
    let first = vec![
        event("id: 1\ndata: {\"count\":\"\\u001b[2J\"}\n\n"),
        event("data: {\"count\":1}\n\n"),
        event("id: minus one\ndata: {\"count\":1}\n\n"),
        Hostility::Flood {
            head: format!("{head}id: 1\ndata: "),
            bytes: 50_000_000,
        },
        Hostility::Bytes(garbage),
        answer("200 OK", "content-type: text/html\r\n", "<p>"),
        Hostility::Silence {
            head: head.to_owned(),
        },
        event("retry: 0\nid: 1\ndata: {\"count\":1}\n\nid: 2\ndata: {\"cou"),
    ];
    let expected = [
        "event 1 cannot be understood: invalid type: string",
        "an event came without its sequence",
        "an event came without its sequence",
        "an event is larger than 100000 bytes",
        "",
        "expected text/event-stream from the broker and got text/html",
        "did not answer in time",
        "the broker ended the stream",
    ];
    let mut fast = vec![event("retry: 10\n\n")];
    fast.extend(first);
    let server = hostile(fast).await;
    let mut feed = stream::follow::<Expected>(impatient(&server.url), Follow::all(0));
    let mut reasons = Vec::new();
    let mut items = Vec::new();
    while reasons.len() < expected.len() + 1 {
        let word = tokio::time::timeout(Duration::from_mins(1), feed.recv())
            .await
            .expect("the feed goes on")
            .expect("the feed does not end");
        match word {
            Feed::Link(Link::Reconnecting { reason, .. }) => reasons.push(reason),
            Feed::Item { sequence, .. } => items.push(sequence),
            Feed::Link(_) => {}
            other => panic!("{other:?}"),
        }
    }
    for (reason, words) in reasons[1..].iter().zip(expected) {
        assert!(reason.contains(words), "{reason} is not about: {words}");
        assert!(!reason.chars().any(char::is_control), "{reason:?}");
    }
    assert_eq!(items, [1], "half an event is none");
    assert!(server.taken.load(Ordering::SeqCst) < 20_000_000);
}

// ---- certificates -------------------------------------------------------------------------------

#[tokio::test]
async fn a_certificate_that_does_not_hold_is_named() {
    let ours = authority("ours");
    let folder = tempfile::tempdir().unwrap();
    let ca_file = folder.path().join("ca.pem");
    std::fs::write(&ca_file, &ours.pem).unwrap();
    let connect = |address: SocketAddr| {
        let options = TransportOptions {
            ca_file: Some(ca_file.clone()),
            ..TransportOptions::new(&format!("https://localhost:{}", address.port()))
        };
        let transport = Transport::new(options).unwrap();
        async move {
            transport
                .send::<Expected>(&Call::get(["v1", "overview"]))
                .await
        }
    };

    let good = connect(tls_server(&ours, |_| {})).await.unwrap();
    assert_eq!(good.value, Expected { count: 7 });

    let expired = tls_server(&ours, |params| {
        params.not_before = rcgen::date_time_ymd(2019, 1, 1);
        params.not_after = rcgen::date_time_ymd(2020, 1, 1);
    });
    let early = tls_server(&ours, |params| {
        params.not_before = rcgen::date_time_ymd(2400, 1, 1);
        params.not_after = rcgen::date_time_ymd(2401, 1, 1);
    });
    let other_name = tls_server(&ours, |params| {
        *params = CertificateParams::new(vec!["elsewhere.example".to_owned()]).unwrap();
    });
    let other_issuer = tls_server(&authority("theirs"), |_| {});
    for (address, words) in [
        (expired, "its certificate has expired"),
        (early, "its certificate is not valid yet"),
        (other_name, "its certificate is for another name"),
        (
            other_issuer,
            "its certificate was issued by nobody trusted here",
        ),
    ] {
        let error = connect(address).await.unwrap_err();
        assert!(matches!(error, ClientError::Untrusted { .. }), "{error}");
        let expected = format!(
            "cannot trust the broker at https://localhost:{}: {words}",
            address.port()
        );
        assert!(error.to_string().starts_with(&expected), "{error}");
        assert_eq!(error.delivery(), Delivery::NotSent);
        assert!(!error.is_transient());
    }
}

#[tokio::test]
async fn without_a_ca_file_this_machine_decides() {
    let address = tls_server(&authority("nobody"), |_| {});
    let url = format!("https://localhost:{}", address.port());
    // On a machine without any trusted certificates there is nothing to decide with: that is said too.
    match Transport::new(TransportOptions::new(&url)) {
        Ok(transport) => {
            let call = Call::get(["v1", "overview"]);
            let error = transport.send::<Expected>(&call).await.unwrap_err();
            assert!(matches!(error, ClientError::Untrusted { .. }), "{error}");
        }
        Err(error) => assert!(matches!(error, ClientError::Setup { .. }), "{error}"),
    }
}
