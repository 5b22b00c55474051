//! What bad input gets: each slug, with the place and what would be accepted, and nothing written.

use crate::harness::{Answer, Api, fresh_key};
use countersign::config::Limits;
use reqwest::Method;
use serde_json::json;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bodies_that_cannot_be_read_are_pointed_at() {
    let api = Api::start().await;
    let before = api.broker.engine.state().sequence;
    let raw = |kind: &str, body: String| {
        let request = api
            .request(Method::POST, &api.admin, "/v1/clients")
            .header("idempotency-key", fresh_key())
            .header("content-type", kind)
            .body(body);
        Answer::of(request)
    };
    let client = |extra: &str| {
        format!(r#"{{"name":"x","owner":"y","environment":"production","tier":"low"{extra}}}"#)
    };
    raw("application/json", "{".into())
        .await
        .refused(400, "malformed");
    let unknown = raw("application/json", client(r#","colour":1"#))
        .await
        .refused(400, "malformed");
    assert!(unknown.text.contains("colour"));
    let typed = raw("application/json", client(r#","dependents":["a",7]"#))
        .await
        .refused(400, "malformed");
    assert_eq!(typed.json()["errors"][0]["pointer"], "/dependents/1");
    raw("application/json", String::new())
        .await
        .refused(400, "malformed");
    raw("text/plain", client(""))
        .await
        .refused(415, "unsupported-media-type");
    raw("application/json", format!("\"{}\"", "x".repeat(70_000)))
        .await
        .refused(413, "too-large");
    let refused = raw(
        "application/json",
        client("").replace(r#""x""#, r#""Not A Name""#),
    )
    .await;
    assert_eq!(
        refused.refused(422, "invalid").json()["errors"][0]["pointer"],
        "/name"
    );
    assert_eq!(api.broker.engine.state().sequence, before);
    api.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_header_parameter_and_address_is_checked() {
    let api = Api::start().await;
    let client = api.client("orders-api", "development").await;
    let credential = api.adopt("orders/old", &client, "hunter2").await;
    let admin = api.admin.as_str();
    api.get("", "/v1/overview")
        .await
        .refused(401, "not-signed-in");
    api.get("cs_opr_wrong", "/v1/overview")
        .await
        .refused(401, "not-signed-in");
    api.get(admin, "/v1/nowhere")
        .await
        .refused(404, "not-found");
    let method = Answer::of(api.request(Method::PUT, admin, "/v1/overview"))
        .await
        .refused(405, "method-not-allowed");
    assert_eq!(method.header("allow"), "GET,HEAD");
    api.get(admin, "/v1/credentials/req_0000000000000000000000000x")
        .await
        .refused(400, "malformed");
    api.get(admin, "/v1/credentials/crd_00000000000000000000000000")
        .await
        .refused(404, "not-found");
    for query in [
        "limit=0",
        "limit=many",
        "colour=red",
        "sort=colour",
        "filter=colour:red",
        "filter=(",
        "cursor=x",
    ] {
        api.get(admin, &format!("/v1/credentials?{query}"))
            .await
            .refused(400, "malformed");
    }
    api.get(
        admin,
        &format!("/v1/credentials?filter={}", "x".repeat(9_000)),
    )
    .await
    .refused(414, "address-too-long");
    let fat = api
        .request(Method::GET, admin, "/v1/session")
        .header("x-fat", "x".repeat(20_000));
    Answer::of(fat).await.refused(431, "headers-too-large");

    let path = format!("/v1/credentials/{credential}/quarantine");
    let reason = json!({"reason": "odd"});
    let keyless = api.request(Method::POST, admin, &path).json(&reason);
    Answer::of(keyless)
        .await
        .refused(400, "idempotency-key-missing");
    let odd_key = api
        .request(Method::POST, admin, &path)
        .header("idempotency-key", "a b")
        .json(&reason);
    Answer::of(odd_key).await.refused(400, "malformed");
    let odd_match = api.posting(admin, &path, &reason).header("if-match", "7");
    Answer::of(odd_match).await.refused(400, "malformed");

    let traced = api
        .request(Method::GET, "", "/v1/session")
        .header("x-request-id", "call-7")
        .header(
            "traceparent",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        );
    let traced = Answer::of(traced).await.refused(401, "not-signed-in");
    assert_eq!(traced.json()["instance"], "call-7");
    assert_eq!(
        traced.json()["trace_id"],
        "4bf92f3577b34da6a3ce929d0e0e4736"
    );
    for name in [
        "x-content-type-options",
        "cache-control",
        "content-security-policy",
    ] {
        assert!(!traced.header(name).is_empty(), "{name}");
    }
    assert!(traced.sequence() > 0);
    api.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_rules_refusals_keep_their_meaning() {
    let api = Api::start().await;
    let client = api.client("orders-api", "development").await;
    let credential = api.adopt("orders/old", &client, "hunter2").await;
    let (_, viewer) = api.enrol("vera", &["viewer"], json!({})).await;
    let admin = api.admin.as_str();
    let path = |what: &str| format!("/v1/credentials/{credential}/{what}");
    let role = api
        .post(&viewer, &path("revoke"), json!({"reason": "x"}))
        .await
        .refused(403, "role-required");
    assert!(
        role.json()["detail"]
            .as_str()
            .expect("text")
            .contains("operator")
    );
    api.post(admin, &path("revoke"), json!({"reason": " "}))
        .await
        .refused(422, "invalid");
    api.post(admin, &path("revoke"), json!({"reason": "x", "version": 9}))
        .await
        .refused(422, "invalid");
    let twice =
        json!({"name": "orders-api", "owner": "x", "environment": "development", "tier": "low"});
    api.post(admin, "/v1/clients", twice)
        .await
        .refused(409, "conflict");
    let id = api.get(admin, "/v1/session").await.json()["operator"]
        .as_str()
        .expect("an id")
        .to_owned();
    api.post(
        admin,
        &format!("/v1/operators/{id}/tokens"),
        json!({"ttl_s": 5}),
    )
    .await
    .refused(422, "invalid");
    for _ in 1..16 {
        api.post(
            admin,
            &format!("/v1/operators/{id}/tokens"),
            json!({"ttl_s": 600}),
        )
        .await
        .is(201);
    }
    api.post(
        admin,
        &format!("/v1/operators/{id}/tokens"),
        json!({"ttl_s": 600}),
    )
    .await
    .refused(409, "limit-reached");
    let vault = json!({"credential": "a", "environment": "development", "kind": "vault_lease", "client": client,
        "audience": "db", "ttl_s": 600, "role": "database/creds/x"});
    let unknown = api
        .post(admin, "/v1/requests", vault)
        .await
        .refused(422, "invalid");
    assert_eq!(unknown.json()["errors"][0]["pointer"], "/kind");
    api.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_secret_in_place_of_a_digest_is_not_echoed() {
    let api = Api::start().await;
    let client = api.client("orders-api", "development").await;
    let credential = api.adopt("orders/old", &client, "hunter2").await;
    let lookup = |digest: String| {
        let request = api.request(Method::POST, &api.admin, "/v1/credentials/lookup");
        Answer::of(request.json(&json!({"digest": digest})))
    };
    let refused = lookup("hunter2".into()).await.refused(422, "invalid");
    assert!(!refused.text.contains("hunter2"));
    let digest = countersign::secret::digest_of_bytes(b"hunter2").to_string();
    assert_eq!(
        lookup(digest).await.is(200).json()["row"]["id"],
        credential.as_str()
    );
    let unknown = countersign::secret::digest_of_bytes(b"hunter3").to_string();
    lookup(unknown).await.refused(404, "not-found");
    api.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_problems_mean_can_be_looked_up_by_anybody() {
    let api = Api::start().await;
    for kind in countersign::broker::http::problem::KINDS {
        let page = api
            .get("", &format!("/problems/{}", kind.slug))
            .await
            .is(200);
        assert!(page.text.contains(kind.title));
    }
    api.get("", "/problems/nothing")
        .await
        .refused(404, "not-found");
    for path in ["/healthz", "/readyz", "/openapi.json"] {
        api.get("", path).await.is(200).json();
    }
    let figures = api.get("", "/metrics").await.is(200);
    for figure in [
        "countersign_log_size",
        "countersign_queue_depth",
        "http_server_request_duration_seconds_bucket",
    ] {
        assert!(
            figures.text.contains(figure),
            "{figure} in {}",
            figures.text
        );
    }
    assert!(!figures.text.contains(&api.admin));
    api.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn too_many_streams_and_a_stopping_broker_say_when_to_come_back() {
    let api = Api::with(Limits {
        streams: 1,
        ..Limits::default()
    })
    .await;
    let open = api
        .request(Method::GET, &api.admin, "/v1/events")
        .send()
        .await
        .expect("a stream");
    assert_eq!(open.status(), 200);
    let busy = api.get(&api.admin, "/v1/events").await.refused(503, "busy");
    assert_eq!(
        busy.header("retry-after"),
        busy.json()["retry_after_s"].to_string()
    );
    api.broker.engine.stop();
    let body = json!({"name": "x", "owner": "y", "environment": "production", "tier": "low"});
    let stopping = api
        .post(&api.admin, "/v1/clients", body)
        .await
        .refused(503, "unavailable");
    assert_eq!(stopping.header("retry-after"), "5");
    api.get(&api.admin, "/v1/session").await.is(200);
    api.stop().await;
}
