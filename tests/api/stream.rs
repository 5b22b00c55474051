//! The stream: each event once, resumed where it broke, refused where it no longer reaches, ended when it must.

use crate::harness::Api;
use futures_util::StreamExt as _;
use reqwest::Method;
use serde_json::{Value, json};
use std::time::Duration;

struct Follower {
    response:
        std::pin::Pin<Box<dyn futures_util::Stream<Item = reqwest::Result<bytes::Bytes>> + Send>>,
    text: String,
}

impl Follower {
    async fn open(api: &Api, token: &str, path: &str, last: Option<u64>) -> Self {
        let mut request = api.request(Method::GET, token, path);
        if let Some(last) = last {
            request = request.header("last-event-id", last.to_string());
        }
        let response = request.send().await.expect("a stream");
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        assert_eq!(response.headers()["cache-control"], "no-store");
        let mut follower = Self {
            response: Box::pin(response.bytes_stream()),
            text: String::new(),
        };
        let hello = follower.block().await.expect("a first block");
        assert_eq!(hello, "retry: 2000");
        follower
    }

    /// The next block between empty lines; none once the stream has ended.
    async fn block(&mut self) -> Option<String> {
        loop {
            if let Some((block, _)) = self.text.split_once("\n\n") {
                let block = block.to_owned();
                self.text.drain(..block.len() + 2);
                return Some(block);
            }
            let next = tokio::time::timeout(Duration::from_secs(10), self.response.next());
            let bytes = next.await.expect("something within ten seconds")?.ok()?;
            self.text
                .push_str(std::str::from_utf8(&bytes).expect("UTF-8"));
        }
    }

    /// The next event: its id, its type and its data.
    async fn event(&mut self) -> Option<(u64, String, Value)> {
        let block = self.block().await?;
        let field = |name: &str| {
            let mut lines = block.lines();
            lines
                .find_map(|line| line.strip_prefix(name))
                .unwrap_or_else(|| panic!("{name} in {block}"))
        };
        let data = serde_json::from_str(field("data: ")).expect("JSON");
        Some((
            field("id: ").parse().expect("a sequence"),
            field("event: ").to_owned(),
            data,
        ))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_event_comes_once_and_in_order_across_a_break() {
    let api = Api::start().await;
    let client = api.client("orders-api", "development").await;
    let start = api.broker.engine.state().sequence;
    let mut follower = Follower::open(
        &api,
        &api.admin,
        &format!("/v1/events?after={}", start - 1),
        None,
    )
    .await;
    let (id, kind, data) = follower.event().await.expect("the event before");
    assert_eq!((id, kind.as_str()), (start, "client.onboarded"));
    assert_eq!(data["event"]["subject_name"], "orders-api");

    let credential = api.adopt("orders/a", &client, "a").await;
    let (id, kind, data) = follower.event().await.expect("a live event");
    assert_eq!((id, kind.as_str()), (start + 1, "credential.adopted"));
    assert_eq!(data["credential"]["id"], credential.as_str());
    drop(follower);

    // While nobody followed.
    for name in ["orders/b", "orders/c"] {
        api.adopt(name, &client, name).await;
    }
    let mut resumed = Follower::open(&api, &api.admin, "/v1/events", Some(start + 1)).await;
    for expected in [start + 2, start + 3] {
        assert_eq!(resumed.event().await.expect("a missed event").0, expected);
    }
    api.adopt("orders/d", &client, "d").await;
    assert_eq!(resumed.event().await.expect("a live event").0, start + 4);
    api.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_filtered_stream_has_only_what_was_asked_for() {
    let api = Api::start().await;
    let client = api.client("orders-api", "development").await;
    let one = api.adopt("orders/a", &client, "a").await;
    let other = api.adopt("orders/b", &client, "b").await;
    let mut by_type = Follower::open(
        &api,
        &api.admin,
        "/v1/events?type=credential.quarantined",
        None,
    )
    .await;
    let mut by_subject =
        Follower::open(&api, &api.admin, &format!("/v1/events?subject={one}"), None).await;
    for credential in [&other, &one] {
        let path = format!("/v1/credentials/{credential}/quarantine");
        api.post(&api.admin, &path, json!({"reason": "odd"}))
            .await
            .is(200);
    }
    api.post(
        &api.admin,
        &format!("/v1/credentials/{one}/release"),
        json!({"reason": "fine"}),
    )
    .await
    .is(200);
    for credential in [&other, &one] {
        let (_, _, data) = by_type.event().await.expect("an event");
        assert_eq!(data["event"]["subject"], credential.as_str());
    }
    for kind in ["credential.quarantined", "credential.released"] {
        assert_eq!(by_subject.event().await.expect("an event").1, kind);
    }
    api.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_longer_kept_is_gone() {
    let api = Api::start().await;
    api.client("orders-api", "development").await;
    let api = api.restart().await;
    let sequence = api.broker.engine.state().sequence;
    api.get(&api.admin, "/v1/events?after=0")
        .await
        .refused(410, "events-gone");
    let ahead = sequence + 1;
    api.get(&api.admin, &format!("/v1/events?after={ahead}"))
        .await
        .refused(410, "events-gone");
    api.get(&api.admin, "/v1/events?after=x")
        .await
        .refused(400, "malformed");
    Follower::open(&api, &api.admin, "/v1/events", Some(sequence)).await;
    api.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_ends_with_the_token_and_with_the_broker() {
    let api = Api::start().await;
    let (id, token) = api.enrol("sam", &["viewer"], json!({})).await;
    let mut sam = Follower::open(&api, &token, "/v1/events", None).await;
    let mut admin = Follower::open(&api, &api.admin, "/v1/events", None).await;
    api.post(
        &api.admin,
        &format!("/v1/operators/{id}/offboard"),
        json!({"reason": "left"}),
    )
    .await
    .is(200);
    assert_eq!(
        sam.event().await,
        None,
        "the account was closed before the event was sent"
    );
    assert_eq!(
        admin.event().await.expect("an event").1,
        "operator.offboarded"
    );
    let stopping = tokio::spawn(api.stop());
    assert_eq!(admin.event().await, None);
    stopping.await.expect("stopped");
}
