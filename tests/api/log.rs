//! The log as outsiders read it: everything that it hands out is checked with nothing but the verifier key.

use crate::harness::Api;
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use countersign::event_log::{
    merkle::{leaf_hash, verify_consistency, verify_inclusion},
    tiles::parse_bundle,
    verify::check_receipt,
};
use serde_json::{Value, json};

fn hashes(proof: &Value) -> Vec<[u8; 32]> {
    let hashes = proof["hashes"].as_array().expect("hashes").iter();
    hashes
        .map(|hash| {
            let bytes = BASE64.decode(hash.as_str().expect("text")).expect("base64");
            bytes.try_into().expect("32 bytes")
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_log_hands_out_verifies() {
    let api = Api::start().await;
    let client = api.client("orders-api", "development").await;
    let old = api.broker.engine.log().head();
    for index in 0..5 {
        api.adopt(
            &format!("orders/{index}"),
            &client,
            &format!("secret-{index}"),
        )
        .await;
    }
    let admin = api.admin.as_str();
    let key = api.broker.engine.log().verifier_key().clone();
    let note = api.get(admin, "/v1/log/checkpoint").await.is(200).text;
    assert_eq!(api.get(admin, "/log/checkpoint").await.is(200).text, note);
    let head = key.open(&note).expect("signed by the log").head;
    assert_eq!(head.size, api.broker.engine.state().sequence);

    let lines = api
        .get(admin, "/v1/log/entries?from=1&limit=3")
        .await
        .is(200)
        .text;
    let entries: Vec<Value> = lines
        .lines()
        .map(|line| serde_json::from_str(line).expect("an entry"))
        .collect();
    assert_eq!(
        entries
            .iter()
            .map(|entry| entry["index"].as_u64())
            .collect::<Vec<_>>(),
        [Some(1), Some(2), Some(3)]
    );
    let leaf = BASE64
        .decode(entries[1]["leaf"].as_str().expect("text"))
        .expect("base64");

    let proof = api
        .get(admin, "/v1/log/proof/inclusion?index=2")
        .await
        .is(200)
        .json();
    verify_inclusion(2, head.size, &leaf_hash(&leaf), &hashes(&proof), &head.root)
        .expect("included");
    let proof = api
        .get(
            admin,
            &format!("/v1/log/proof/consistency?old={}", old.size),
        )
        .await
        .is(200)
        .json();
    verify_consistency(old.size, head.size, &old.root, &head.root, &hashes(&proof))
        .expect("consistent");
    let receipt = api.get(admin, "/log/proof?index=2").await.is(200).text;
    check_receipt(&key, &receipt, &leaf).expect("a receipt");

    let bundle = api
        .http
        .get(format!("{}/log/tile/entries/000.p/4", api.url))
        .bearer_auth(admin)
        .send()
        .await;
    let bundle = bundle.expect("an answer");
    assert!(
        bundle.headers()["cache-control"]
            .to_str()
            .expect("text")
            .contains("immutable")
    );
    let bytes = bundle.bytes().await.expect("bytes");
    assert_eq!(parse_bundle(&bytes).expect("a bundle")[2], leaf.as_slice());
    let tile = api
        .http
        .get(format!("{}/log/tile/0/000.p/4", api.url))
        .bearer_auth(admin)
        .send()
        .await;
    let bytes = tile.expect("an answer").bytes().await.expect("bytes");
    assert_eq!(&bytes[64..96], leaf_hash(&leaf));

    api.get(admin, "/log/tile/0/001")
        .await
        .refused(404, "not-found");
    api.get(admin, "/log/tile/0/1")
        .await
        .refused(400, "malformed");
    api.get(admin, "/v1/log/proof/inclusion?index=999")
        .await
        .refused(404, "not-found");
    api.get(admin, "/v1/log/proof/consistency?old=5&new=2")
        .await
        .refused(400, "malformed");
    api.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_are_read_newest_first_and_by_filter() {
    let api = Api::start().await;
    let client = api.client("orders-api", "development").await;
    for index in 0..5 {
        api.adopt(
            &format!("orders/{index}"),
            &client,
            &format!("secret-{index}"),
        )
        .await;
    }
    api.enrol("sam", &["viewer"], json!({})).await;
    let read = async |query: &str| {
        api.get(&api.admin, &format!("/v1/log/events?{query}"))
            .await
            .is(200)
            .json()
    };
    let mut seen = Vec::new();
    let mut query = "limit=3".to_owned();
    loop {
        let page = read(&query).await;
        let rows = page["items"].as_array().expect("rows").iter();
        seen.extend(rows.map(|row| row["sequence"].as_u64().expect("a number")));
        let Some(next) = page["next"].as_str() else {
            break;
        };
        query = format!("limit=3&cursor={next}");
    }
    let all: Vec<u64> = (1..=api.broker.engine.state().sequence).rev().collect();
    assert_eq!(seen, all);
    let adopted = read("filter=type:adopted&limit=2").await;
    assert_eq!(adopted["items"][0]["subject_name"], "orders/4");
    assert_eq!(adopted["items"].as_array().map(Vec::len), Some(2));
    assert_eq!(adopted["items"][0]["actor"]["name"], "admin");
    assert_eq!(adopted["items"][0]["actor"]["from"], "127.0.0.1");
    let cursor = adopted["next"].as_str().expect("more");
    let rest = read(&format!("filter=type:adopted&cursor={cursor}")).await;
    assert_eq!(rest["items"].as_array().map(Vec::len), Some(3));
    assert_eq!(rest["next"], Value::Null);
    api.stop().await;
}
