//! Revoking what a filter finds: what was looked at, all of it, or nothing.

use crate::harness::{Answer, Api, fresh_key};
use reqwest::Method;
use serde_json::{Value, json};

async fn revoke(api: &Api, token: &str, key: &str, planned: &Value) -> Answer {
    let request = api
        .request(Method::POST, token, "/v1/revocations")
        .header("idempotency-key", key)
        .json(&json!({"plan": planned["plan"], "digest": planned["digest"], "reason": "leaked"}));
    Answer::of(request).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_filter_finds_is_shown_and_revoked_as_it_was_shown() {
    let api = Api::start().await;
    let client = api.client("orders-api", "development").await;
    let first = api.adopt("orders/a", &client, "a").await;
    let second = api.adopt("orders/b", &client, "b").await;
    let other = api.adopt("billing/c", &client, "c").await;
    let plan = async |filter: &str| {
        let path = "/v1/revocations/plan";
        api.post(&api.admin, path, json!({"filter": filter})).await
    };
    // It has to leave something out, to make sense and to find something.
    let all = plan("").await.refused(422, "invalid");
    assert_eq!(all.json()["errors"][0]["pointer"], "/filter");
    plan("risk>3").await.refused(422, "invalid");
    plan("name=nothing").await.refused(409, "conflict");

    let used = api
        .post(&api.admin, "/v1/introspect", json!({"token": "a"}))
        .await;
    assert_eq!(used.is(200).json()["active"], true);
    let head = api.get(&api.admin, "/v1/overview").await.json()["sequence"].clone();
    let planned = plan("name:orders/").await.is(200).json();
    assert_eq!(planned["count"], 2);
    assert_eq!(planned["in_use"], 1);
    assert_eq!(planned["by_tier"], json!({"low": 2}));
    assert_eq!(planned["by_environment"], json!({"development": 2}));
    assert_eq!(planned["by_owner"], json!({"payments": 2}));
    assert_eq!(planned["plan"]["head"], head);
    let rows: Vec<_> = planned["rows"].as_array().expect("rows").iter().collect();
    assert_eq!(
        (&rows[0]["name"], &rows[0]["in_use"]),
        (&json!("orders/a"), &json!(true))
    );
    assert_eq!(rows[1]["name"], "orders/b");
    let after = api.get(&api.admin, "/v1/overview").await.json()["sequence"].clone();
    assert_eq!(after, head, "a plan changes nothing");

    // Whoever may not revoke is told before, and whoever sees nothing of it learns nothing.
    let (_, viewer) = api.enrol("vera", &["viewer"], json!({})).await;
    let refused = api.post(
        &viewer,
        "/v1/revocations/plan",
        json!({"filter": "name:orders/"}),
    );
    refused.await.refused(403, "role-required");
    revoke(&api, &viewer, &fresh_key(), &planned)
        .await
        .refused(403, "role-required");
    let strange = api.client("billing-api", "development").await;
    let (_, robot) = api
        .enrol(
            "bill",
            &["requester"],
            json!({"robot": true, "client": strange}),
        )
        .await;
    let unseen = revoke(&api, &robot, &fresh_key(), &planned).await;
    assert!(!unseen.refused(404, "not-found").text.contains("orders/"));

    // Something else matches by now: all of it stays, and what is new is named.
    let third = api.adopt("orders/d", &client, "d").await;
    let stale = revoke(&api, &api.admin, &fresh_key(), &planned).await;
    let stale = stale.refused(412, "stale");
    assert!(stale.text.contains("orders/d is found now"), "{stale:?}");
    let path = format!("/v1/credentials/{first}");
    let untouched = api.get(&api.admin, &path).await.is(200).json();
    assert_eq!(untouched["row"]["state"], "active");
    let gone = json!({"reason": "elsewhere"});
    let path = format!("/v1/credentials/{third}/revoke");
    api.post(&api.admin, &path, gone).await.is(200);

    // A plan that was written by hand is none.
    let mut forged = planned.clone();
    let member = forged["plan"]["members"].as_array_mut().expect("members");
    member.push(json!({"credential": other, "versions": [1]}));
    let forged = revoke(&api, &api.admin, &fresh_key(), &forged).await;
    assert_eq!(
        forged.refused(422, "invalid").json()["errors"][0]["pointer"],
        "/digest"
    );

    let key = fresh_key();
    let done = revoke(&api, &api.admin, &key, &planned).await.is(201);
    let revocations = done.json()["revocations"]
        .as_array()
        .expect("a list")
        .clone();
    assert_eq!(revocations.len(), 2);
    let again = revoke(&api, &api.admin, &key, &planned).await.is(201);
    assert_eq!(again.header("idempotency-replayed"), "true");
    assert_eq!(again.json(), done.json());
    // Another call finds nothing as it was.
    let twice = revoke(&api, &api.admin, &fresh_key(), &planned).await;
    let twice = twice.refused(412, "stale");
    assert!(twice.text.contains("not found any more"), "{twice:?}");

    for (id, state) in [
        (&first, "revoked"),
        (&second, "revoked"),
        (&other, "active"),
    ] {
        let path = format!("/v1/credentials/{id}");
        let detail = api.get(&api.admin, &path).await.is(200).json();
        assert_eq!(detail["row"]["state"], state, "{id}");
    }
    // One record for each, and one that names them all and what was asked for.
    let log = "/v1/log/events?filter=type:revocation.planned";
    let records = api.get(&api.admin, log).await.is(200).json();
    assert_eq!(records["total"], 1);
    let data = &records["items"][0]["data"];
    assert_eq!(data["filter"], "name:orders/");
    assert_eq!(data["digest"], planned["digest"]);
    assert_eq!(data["revocations"], json!(revocations));
    assert_eq!(records["items"][0]["sequence"], done.json()["sequence"]);
    let log = "/v1/log/events?filter=type:revocation.effective";
    let effective = api.get(&api.admin, log).await.is(200).json();
    assert_eq!(effective["total"], 3);
    api.stop().await;
}
