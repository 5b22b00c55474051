//! Gateways: what they ask is answered by the book, what was revoked reaches each, and only they speak for themselves.

use crate::harness::{Answer, Api};
use reqwest::Method;
use serde_json::{Value, json};
use std::time::Duration;

const TOKEN: &str = "countersign-gateway-token";
const IDENTITY: [&str; 6] = [
    "x-countersign-credential",
    "x-countersign-client",
    "x-countersign-subject",
    "x-countersign-scopes",
    "x-countersign-expires",
    "x-countersign-decision",
];

/// A gateway of development: its identifier and token.
async fn gateway(api: &Api, name: &str, profile: &str, more: Value) -> (String, String) {
    let mut body = json!({"name": name, "profile": profile, "environment": "development",
        "token_ttl_s": 3600});
    let fields = body.as_object_mut().expect("it is one");
    fields.extend(more.as_object().cloned().unwrap_or_default());
    let minted = api
        .post(&api.admin, "/v1/gateways", body)
        .await
        .is(201)
        .json();
    let text = |name: &str| minted[name].as_str().expect("a string").to_owned();
    (text("gateway"), text("token"))
}

/// What nginx asks about a call.
async fn asks(
    api: &Api,
    name: &str,
    token: &str,
    key: Option<&str>,
    method: &str,
    uri: &str,
) -> Answer {
    let path = format!("/authz/{name}");
    let mut request = api
        .request(Method::GET, key.unwrap_or_default(), &path)
        .header(TOKEN, token)
        .header("x-original-method", method)
        .header("x-original-uri", uri)
        .header("x-real-ip", "203.0.113.7");
    if key.is_none() {
        request = request.header("authorization", "");
    }
    Answer::of(request).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_call_is_answered_by_the_book() {
    let api = Api::start().await;
    let client = api.client("orders-api", "development").await;
    let credential = api.adopt("orders/key", &client, "the key").await;
    let routes = json!([{"prefix": "/orders", "methods": ["GET"], "scope": "orders:read"},
        {"prefix": "/orders", "methods": ["POST"], "scope": "orders:write"}]);
    let (_, token) = gateway(
        &api,
        "edge",
        "nginx",
        json!({"routes": routes, "cache_s": 5}),
    )
    .await;
    let (_, other) = gateway(&api, "other", "nginx", json!({"audiences": ["elsewhere"]})).await;
    let mut production = json!({"environment": "production"});
    production["routes"] = json!([]);
    let (_, far) = gateway(&api, "far", "nginx", production).await;

    let yes = asks(
        &api,
        "edge",
        &token,
        Some("the key"),
        "GET",
        "/orders/7?x=//..",
    )
    .await;
    assert_eq!(yes.status, 200, "{yes:?}");
    for name in IDENTITY {
        assert!(!yes.header(name).is_empty(), "{name}");
    }
    assert_eq!(yes.header("x-countersign-credential"), credential);
    assert_eq!(yes.header("x-countersign-client"), client);
    assert_eq!(yes.header("x-countersign-subject"), "orders/key");
    assert_eq!(yes.header("x-countersign-scopes"), "orders:read");
    assert_eq!(yes.header("x-countersign-expires"), "never");
    assert_eq!(yes.header("cache-control"), "private, max-age=5");

    let table = [
        ("edge", &token, None, "GET", "/orders", 401, "no_credential"),
        (
            "edge",
            &token,
            Some("another"),
            "GET",
            "/orders",
            401,
            "unknown",
        ),
        (
            "edge",
            &token,
            Some("the key"),
            "POST",
            "/orders",
            403,
            "insufficient_scope",
        ),
        (
            "edge",
            &token,
            Some("the key"),
            "GET",
            "/admin",
            403,
            "no_route",
        ),
        (
            "edge",
            &token,
            Some("the key"),
            "GET",
            "/orders/../admin",
            403,
            "ambiguous_path",
        ),
        (
            "edge",
            &token,
            Some("the key"),
            "GET",
            "/orders%2f7",
            403,
            "ambiguous_path",
        ),
        (
            "edge",
            &other,
            Some("the key"),
            "GET",
            "/orders",
            403,
            "unknown_gateway",
        ),
        (
            "nobody",
            &token,
            Some("the key"),
            "GET",
            "/orders",
            403,
            "unknown_gateway",
        ),
        (
            "other",
            &other,
            Some("the key"),
            "GET",
            "/orders",
            401,
            "other_audience",
        ),
        (
            "far",
            &far,
            Some("the key"),
            "GET",
            "/orders",
            401,
            "other_environment",
        ),
    ];
    for (name, token, key, method, uri, status, reason) in table {
        let answer = asks(&api, name, token, key, method, uri).await;
        assert_eq!(
            (
                answer.status.as_u16(),
                answer.header("x-countersign-reason")
            ),
            (status, reason),
            "{name} {method} {uri}"
        );
        assert_eq!(answer.header("x-countersign-decision"), "deny");
        assert_eq!(answer.header("cache-control"), "no-store");
        assert!(!answer.header("x-request-id").is_empty(), "{answer:?}");
        let challenge = answer.header("www-authenticate");
        match reason {
            "no_credential" => assert_eq!(challenge, r#"Bearer realm="countersign""#),
            "insufficient_scope" => assert!(challenge.ends_with(r#"scope="orders:write""#)),
            _ if status == 401 => assert!(challenge.contains("invalid_token"), "{challenge}"),
            _ => assert_eq!(challenge, ""),
        }
    }
    let path = format!("/v1/credentials/{credential}");
    let detail = api.get(&api.admin, &path).await.is(200).json();
    assert_eq!(detail["used"], 1);

    // A gateway that names its calls finds them again; an odd name is not taken over.
    for (key, status) in [("the key", 200), ("another", 401)] {
        for (sent, taken) in [("edge-7:1", true), ("edge 7", false)] {
            let request = api
                .request(Method::GET, key, "/authz/edge")
                .header(TOKEN, &token)
                .header("x-original-method", "GET")
                .header("x-original-uri", "/orders/7")
                .header("x-request-id", sent);
            let answer = Answer::of(request).await.is(status);
            let named = answer.header("x-request-id");
            assert_eq!(named == sent, taken, "{status} {sent}: {named}");
        }
    }
    api.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_found_secret_tells_what_it_opens_and_who_uses_it() {
    let api = Api::start().await;
    let client = api.client("orders-api", "development").await;
    let credential = api.adopt("orders/key", &client, "the key").await;
    let (_, token) = gateway(&api, "edge", "nginx", json!({"cache_s": 5})).await;
    gateway(&api, "aside", "nginx", json!({"audiences": ["elsewhere"]})).await;
    let digest = countersign::secret::digest_of_bytes(b"the key").to_string();
    let exposure = async || {
        let path = "/v1/credentials/exposure";
        let answer = api.post(&api.admin, path, json!({"digest": digest})).await;
        answer.is(200).json()
    };
    let before = exposure().await;
    assert_eq!(before["row"]["id"], credential.as_str());
    assert_eq!(
        (&before["version"], &before["accepted"]),
        (&json!(1), &json!(true))
    );
    assert_eq!(before["readers"], json!([]));
    let open = before["gateways"].as_array().expect("a list");
    let names: Vec<_> = open.iter().map(|gateway| &gateway["name"]).collect();
    assert_eq!(names, ["edge"], "only what guards its audience");
    assert_eq!(
        (&open[0]["cache_s"], &open[0]["silent"]),
        (&json!(5), &json!(true))
    );

    let asked = asks(&api, "edge", &token, Some("the key"), "GET", "/orders").await;
    asked.is(200);
    let used = exposure().await;
    assert_eq!(used["gateways"][0]["silent"], false);
    let reader = &used["readers"][0];
    assert_eq!(
        (&reader["gateway"], &reader["network"], &reader["accepted"]),
        (&json!("edge"), &json!("203.0.113.0/24"), &json!(1))
    );

    let path = format!("/v1/credentials/{credential}/revoke");
    let leaked = json!({"reason": "leaked", "version": 1});
    api.post(&api.admin, &path, leaked).await.is(200);
    let after = exposure().await;
    assert_eq!(
        (&after["accepted"], &after["version_state"]),
        (&json!(false), &json!("revoked"))
    );
    assert_eq!(after["revocations"][0]["reason"], "leaked");
    // The secret itself is refused unread, and nobody learns of what is not theirs.
    let path = "/v1/credentials/exposure";
    let sent = api
        .post(&api.admin, path, json!({"digest": "the key"}))
        .await;
    assert!(!sent.refused(422, "invalid").text.contains("the key"));
    let other = api.client("billing-api", "development").await;
    let (_, robot) = api
        .enrol("bill", &["requester"], json!({"client": other}))
        .await;
    api.post(&robot, path, json!({"digest": digest}))
        .await
        .refused(404, "not-found");
    api.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn envoy_says_it_by_method_and_path() {
    let api = Api::start().await;
    let client = api.client("orders-api", "development").await;
    api.adopt("orders/key", &client, "the key").await;
    let routes = json!([{"prefix": "/orders", "methods": ["PUT"], "scope": "orders:read"}]);
    let (_, token) = gateway(&api, "mesh", "envoy", json!({"routes": routes})).await;
    let ask = async |method: Method, path: &str| {
        let path = format!("/authz/mesh{path}");
        let request = api.request(method, "the key", &path).header(TOKEN, &token);
        let answer = Answer::of(request).await;
        (
            answer.status.as_u16(),
            answer.header("x-countersign-reason").to_owned(),
        )
    };
    assert_eq!(
        ask(Method::PUT, "/orders/7?q=1").await,
        (200, String::new())
    );
    assert_eq!(ask(Method::GET, "/orders").await, (403, "no_route".into()));
    assert_eq!(ask(Method::GET, "").await, (403, "no_route".into()));
    assert_eq!(
        ask(Method::PUT, "//orders").await,
        (403, "ambiguous_path".into())
    );
    assert_eq!(
        ask(Method::PUT, "/orders;x").await,
        (403, "ambiguous_path".into())
    );
    api.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_revoked_reaches_each_gateway_as_it_learns() {
    let api = Api::start().await;
    let client = api.client("orders-api", "development").await;
    let credential = api.adopt("orders/key", &client, "the key").await;
    let (asking, token) = gateway(&api, "edge", "nginx", json!({})).await;
    let (told, told_token) = gateway(&api, "told", "receiver", json!({"objective_s": 1})).await;
    asks(&api, "edge", &token, Some("the key"), "GET", "/")
        .await
        .is(200);
    let revoke = format!("/v1/credentials/{credential}/revoke");
    let receipt = api
        .post(&api.admin, &revoke, json!({"reason": "leaked"}))
        .await
        .is(200);
    let path = format!("/v1/revocations/{}", receipt.subject());
    let look = async || api.get(&api.admin, &path).await.is(200).json();
    let part = |detail: &Value, name: &str| {
        let reach = detail["reach"].as_array().unwrap();
        reach
            .iter()
            .find(|held| held["name"] == name)
            .unwrap()
            .clone()
    };
    let detail = look().await;
    assert_eq!(detail["row"]["state"], "propagating");
    assert_eq!(
        (&detail["row"]["gateways"], &detail["row"]["applied"]),
        (&2.into(), &1.into())
    );
    let edge = part(&detail, "edge");
    assert_eq!(
        (&edge["state"], &edge["by"], &edge["applied_ms"]),
        (&"applied".into(), &"asks".into(), &0.into())
    );
    assert_eq!(part(&detail, "told")["state"], "pending");
    assert_eq!(detail["exposure"]["through"], json!(["told"]));

    // The next that tries it proves that it is refused.
    let no = asks(&api, "edge", &token, Some("the key"), "GET", "/").await;
    assert_eq!(
        (no.status.as_u16(), no.header("x-countersign-reason")),
        (401, "revoked")
    );
    while part(&look().await, "edge")["state"] != "proven" {
        let seen = api.broker.engine.state().sequence;
        let mut feed = api.broker.engine.subscribe(seen).unwrap();
        // It may have come between the look and the subscription.
        let _news = tokio::time::timeout(Duration::from_millis(200), feed.next()).await;
    }

    // The receiver is handed it, as often as it asks, until it acknowledges.
    let pending = format!("/v1/gateways/{told}/pending");
    for _ in 0..2 {
        let waiting = api.get(&told_token, &pending).await.is(200).json();
        assert_eq!(waiting["items"].as_array().unwrap().len(), 1);
        assert_eq!(waiting["items"][0]["credential"], credential.as_str());
        let digest = countersign::secret::digest_of_bytes(b"the key").to_string();
        assert_eq!(waiting["items"][0]["digests"][0], digest);
    }
    let told_part = part(&look().await, "told");
    assert_eq!(told_part["state"], "sent");
    let through = api.get(&told_token, &pending).await.is(200).json()["through"].clone();
    let cursor = format!("/v1/gateways/{told}/cursor");
    let put = async |token: &str, cursor_at: Value| {
        let request = api
            .request(Method::PUT, token, &cursor)
            .json(&json!({"cursor": cursor_at}));
        Answer::of(request).await
    };
    let future = put(&told_token, json!(1_000_000)).await;
    assert_eq!(
        (future.status.as_u16(), future.problem()),
        (422, "invalid".into())
    );
    let another = put(&token, through.clone()).await;
    assert_eq!(
        (another.status.as_u16(), another.problem()),
        (403, "separation-of-duties".into())
    );
    assert_eq!(put(&api.admin, through.clone()).await.status, 401);
    let standing = put(&told_token, through).await.is(200).json();
    assert_eq!(standing["waiting"], 0);
    let detail = look().await;
    assert_eq!(detail["row"]["state"], "propagated");
    assert!(detail["row"]["time_to_revoke_ms"].is_u64());
    assert_eq!(part(&detail, "told")["by"], "acknowledged");
    assert_eq!(detail["exposure"]["through"], json!([]));

    // Only its own, and only while it is in service.
    let other = format!("/v1/gateways/{asking}/pending");
    assert_eq!(api.get(&told_token, &other).await.status, 403);
    let remove = format!("/v1/gateways/{told}/remove");
    api.post(&api.admin, &remove, json!({"reason": "retired"}))
        .await
        .is(200);
    assert_eq!(api.get(&told_token, &pending).await.status, 401);
    let metrics = api.get("", "/metrics").await.is(200);
    let waiting = "countersign_gateway_waiting{gateway=\"edge\"} 0";
    assert!(metrics.text.contains(waiting), "{}", metrics.text);
    api.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_gateways_report_is_counted_by_version_and_network() {
    let api = Api::start().await;
    let client = api.client("orders-api", "development").await;
    let credential = api.adopt("orders/key", &client, "the key").await;
    let (_, token) = gateway(&api, "told", "receiver", json!({})).await;
    let digest = countersign::secret::digest_of_bytes(b"the key").to_string();
    let now = countersign::clock::now();
    let report = async |key: &str, reports: Value| {
        let request = api
            .request(Method::POST, &token, "/v1/usage")
            .header("idempotency-key", key)
            .json(&json!({"reports": reports}));
        Answer::of(request).await
    };
    let batch = json!([
        {"digest": digest, "network": "203.0.113.9", "accepted": 40, "at": now},
        {"credential": credential, "version": 1, "network": "198.51.100.0/24", "accepted": 2, "refused": 1, "at": now},
    ]);
    assert_eq!(report("a", batch.clone()).await.is(200).json()["taken"], 2);
    let again = report("a", batch).await.is(200);
    assert_eq!(again.header("idempotency-replayed"), "true");
    let path = format!("/v1/credentials/{credential}");
    let detail = api.get(&api.admin, &path).await.is(200).json();
    assert_eq!(
        (&detail["used"], &detail["refused"]),
        (&42.into(), &1.into())
    );
    let readers = detail["readers"].as_array().unwrap();
    assert_eq!(readers.len(), 2);
    for reader in readers {
        assert_eq!(
            (&reader["version"], &reader["gateway"]),
            (&1.into(), &"told".into())
        );
        let accepted = if reader["network"] == "203.0.113.0/24" {
            40
        } else {
            2
        };
        assert_eq!(reader["accepted"], accepted);
    }

    // What never was is refused, all of it, and kept.
    let unknown = json!([
        {"credential": credential, "version": 1, "accepted": 5, "at": now},
        {"credential": credential, "version": 9, "accepted": 1, "at": now, "network": "192.0.2.1"},
        {"credential": credential, "version": 1, "accepted": 1, "at": "2019-01-01T00:00:00Z"},
        {"credential": credential, "version": 1, "at": now},
        {"credential": credential, "digest": digest, "accepted": 1, "at": now},
        {"digest": digest, "network": "here", "accepted": 1, "at": now},
    ]);
    let no = report("b", unknown).await.refused(422, "invalid").json();
    let pointers: Vec<_> = no["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|error| &error["pointer"])
        .collect();
    let expected = [
        "/reports/1",
        "/reports/2/at",
        "/reports/3",
        "/reports/4",
        "/reports/5/network",
    ];
    assert_eq!(pointers, expected);
    let detail = api.get(&api.admin, &path).await.is(200).json();
    assert_eq!(detail["used"], 42, "nothing of it was counted");
    let found = api
        .get(&api.admin, "/v1/usage/findings")
        .await
        .is(200)
        .json();
    assert_eq!(found["count"], 1);
    assert_eq!(found["items"][0]["kind"], "unknown_version");
    assert_eq!(
        (&found["items"][0]["version"], &found["items"][0]["network"]),
        (&9.into(), &"192.0.2.1".into())
    );
    report("", json!([])).await.is(400);
    report("c", json!([])).await.refused(422, "invalid");
    api.stop().await;
}
