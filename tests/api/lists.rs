//! Lists: the three forms agree, pages hold under inserts, and what has not changed is not sent again.

use crate::harness::{Answer, Api};
use countersign::wire::{
    CredentialRow, ListHeader,
    columns::{Decoded, Decoder},
};
use reqwest::Method;
use serde_json::{Value, json};

async fn as_type(api: &Api, path: &str, media: &str) -> reqwest::Response {
    let request = api
        .request(Method::GET, &api.admin, path)
        .header("accept", media);
    let response = request.send().await.expect("an answer");
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["content-type"], media);
    response
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lines_columns_and_pages_agree() {
    let api = Api::start().await;
    let client = api.client("orders-api", "development").await;
    for index in 0..7 {
        api.adopt(
            &format!("orders/{index}"),
            &client,
            &format!("secret-{index}"),
        )
        .await;
    }
    let page = api
        .get(
            &api.admin,
            "/v1/credentials?filter=orders%20env:dev&sort=name",
        )
        .await
        .is(200);
    assert_eq!(page.json()["total"], 7);
    let rows: Vec<CredentialRow> =
        serde_json::from_value(page.json()["items"].clone()).expect("rows");

    let path = "/v1/credentials?filter=env:dev&sort=name";
    let lines = as_type(&api, path, "application/x-ndjson").await;
    let sequence = lines.headers()["countersign-sequence"]
        .to_str()
        .expect("text")
        .to_owned();
    let text = lines.text().await.expect("lines");
    let (head, rest) = text.split_once('\n').expect("a header line");
    let head: ListHeader = serde_json::from_str(head).expect("a header");
    assert_eq!((head.count, head.sequence.to_string()), (7, sequence));
    let by_line: Vec<CredentialRow> = rest
        .lines()
        .map(|line| serde_json::from_str(line).expect("a row"))
        .collect();
    assert_eq!(by_line, rows);

    let bytes = as_type(&api, path, "application/vnd.countersign.columns")
        .await
        .bytes()
        .await
        .expect("bytes");
    let mut decoder = Decoder::default();
    let mut by_column = Vec::new();
    for decoded in decoder.push(&bytes).expect("whole frames") {
        match decoded {
            Decoded::Header(header) => assert_eq!(header, head),
            Decoded::Rows(block) => {
                by_column.extend((0..block.len()).filter_map(|index| block.row(index)));
            }
        }
    }
    decoder.finish().expect("a whole list");
    assert_eq!(by_column, rows);

    let stray = api
        .request(Method::GET, &api.admin, "/v1/credentials?limit=2")
        .header("accept", "application/x-ndjson");
    Answer::of(stray).await.refused(400, "malformed");
    api.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_hold_while_rows_come_in() {
    let api = Api::start().await;
    let client = api.client("orders-api", "development").await;
    for name in ["b", "d", "f", "h"] {
        api.adopt(name, &client, name).await;
    }
    let mut seen = Vec::new();
    let mut path = "/v1/credentials?limit=2".to_owned();
    loop {
        let page = api.get(&api.admin, &path).await.is(200).json();
        let names = page["items"].as_array().expect("rows").iter();
        seen.extend(names.map(|row| row["name"].as_str().expect("a name").to_owned()));
        let Some(next) = page["next"].as_str() else {
            break;
        };
        path = format!("/v1/credentials?limit=2&cursor={next}");
        if seen.len() == 2 {
            // Before the place where the page ended, and after it.
            api.adopt("a", &client, "a").await;
            api.adopt("e", &client, "e").await;
        }
    }
    assert_eq!(seen, ["b", "d", "e", "f", "h"]);
    api.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_lists_have_their_rows() {
    let api = Api::start().await;
    let client = api.client("orders-api", "development").await;
    let credential = api.adopt("orders/old", &client, "hunter2").await;
    api.post(
        &api.admin,
        &format!("/v1/credentials/{credential}/revoke"),
        json!({"reason": "leaked"}),
    )
    .await
    .is(200);
    let (_, asker) = api.enrol("sam", &["operator"], json!({})).await;
    api.post(
        &asker,
        "/v1/requests",
        Api::asking("orders/key", &client, "development", &["orders:read"]),
    )
    .await
    .is(201);
    let total = async |path: &str| -> Value {
        let page = api.get(&api.admin, path).await.is(200).json();
        assert_eq!(
            page["total"].as_u64(),
            page["items"].as_array().map(|items| items.len() as u64)
        );
        page["items"][0].clone()
    };
    let revocation = total("/v1/revocations?filter=leaked").await;
    assert_eq!(revocation["credential_name"], "orders/old");
    let path = format!(
        "/v1/revocations/{}",
        revocation["id"].as_str().expect("an id")
    );
    assert_eq!(
        api.get(&api.admin, &path).await.is(200).json()["row"],
        revocation
    );
    assert_eq!(total("/v1/clients").await["name"], "orders-api");
    assert_eq!(total("/v1/operators?sort=-name").await["name"], "sam");
    assert_eq!(
        total("/v1/requests?filter=orders").await["requester"],
        "sam"
    );
    let lines = as_type(&api, "/v1/requests", "application/x-ndjson")
        .await
        .text()
        .await
        .expect("lines");
    assert_eq!(lines.lines().count(), 2);
    api.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_has_not_changed_is_not_sent_again() {
    let api = Api::start().await;
    let client = api.client("orders-api", "development").await;
    let credential = api.adopt("orders/old", &client, "hunter2").await;
    for path in [
        format!("/v1/credentials/{credential}"),
        "/v1/overview".to_owned(),
    ] {
        let first = api.get(&api.admin, &path).await.is(200);
        let again = api
            .request(Method::GET, &api.admin, &path)
            .header("if-none-match", first.header("etag"));
        let again = Answer::of(again).await.is(304);
        assert_eq!(
            (again.text.as_str(), again.header("etag")),
            ("", first.header("etag"))
        );
    }
    let other = api
        .request(
            Method::GET,
            &api.admin,
            &format!("/v1/credentials/{credential}"),
        )
        .header("if-none-match", "\"1\"");
    Answer::of(other).await.is(200);
    api.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn long_lists_are_compressed_and_secrets_are_not() {
    let api = Api::start().await;
    let plain = reqwest::Client::builder()
        .no_proxy()
        .no_gzip()
        .build()
        .expect("a client");
    let ask = |path: &str| {
        plain
            .get(format!("{}{path}", api.url))
            .bearer_auth(&api.admin)
            .header("accept-encoding", "gzip")
            .send()
    };
    let list = ask("/v1/operators").await.expect("an answer");
    assert_eq!(
        list.headers()
            .get("content-encoding")
            .map(|value| value.as_bytes()),
        Some(&b"gzip"[..])
    );
    let stream = ask("/v1/events").await.expect("a stream");
    assert!(stream.headers().get("content-encoding").is_none());
    let minting = plain
        .post(format!("{}/v1/operators", api.url))
        .bearer_auth(&api.admin)
        .header("accept-encoding", "gzip")
        .header("idempotency-key", "\"k\"")
        .json(&json!({"name": "robot", "token_ttl_s": 600}));
    let minted = minting.send().await.expect("an answer");
    assert_eq!(minted.status(), 201);
    assert!(minted.headers().get("content-encoding").is_none());
    api.stop().await;
}
