//! The access review, and what is shown before a client or a person leaves.

use crate::harness::{Answer, Api, fresh_key};
use reqwest::Method;
use serde_json::json;

fn names(list: &serde_json::Value) -> Vec<&str> {
    let rows = list.as_array().expect("a list").iter();
    rows.map(|row| row["name"].as_str().expect("a name"))
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_team_confirms_what_it_answers_for() {
    let api = Api::start().await;
    let client = api.client("orders-api", "development").await;
    let id = api.adopt("orders/a", &client, "a").await;
    api.adopt("orders/b", &client, "b").await;
    let moved = json!({"owner": "ledger", "reason": "reorganised"});
    let path = format!("/v1/credentials/{id}/owner");
    api.post(&api.admin, &path, moved).await.is(200);
    let (_, member) = api
        .enrol("pat", &["viewer"], json!({"groups": ["ledger"]}))
        .await;
    let (_, other) = api
        .enrol("kim", &["viewer"], json!({"groups": ["orders"]}))
        .await;

    let review = api
        .get(&other, "/v1/reviews?owner=ledger")
        .await
        .is(200)
        .json();
    assert_eq!(names(&review["items"]), ["orders/a"]);
    assert_eq!(review["items"][0]["state"], "confirmed");
    let overdue = api
        .get(&other, "/v1/reviews?filter=state:overdue")
        .await
        .is(200);
    assert_eq!(overdue.json()["total"], 0);
    let all = api
        .get(&other, "/v1/reviews?sort=-name&limit=1")
        .await
        .is(200)
        .json();
    assert_eq!(names(&all["items"]), ["orders/b"]);
    assert_eq!(all["total"], 2);
    assert!(all["next"].is_string(), "{all}");
    api.get(&other, "/v1/reviews?owners=x")
        .await
        .refused(400, "malformed");

    let path = format!("/v1/credentials/{id}/confirm");
    let why = json!({"reason": "the ledger reads it"});
    api.post(&other, &path, why.clone())
        .await
        .refused(403, "role-required");
    let stale = api
        .request(Method::POST, &member, &path)
        .header("idempotency-key", fresh_key())
        .header("if-match", "\"1\"")
        .json(&why);
    Answer::of(stale).await.refused(412, "stale");
    let key = fresh_key();
    let confirm = || {
        let call = api.request(Method::POST, &member, &path);
        call.header("idempotency-key", &key).json(&why)
    };
    let first = Answer::of(confirm()).await.is(200);
    let again = Answer::of(confirm()).await.is(200);
    assert_eq!(again.header("idempotency-replayed"), "true");
    assert_eq!(again.json(), first.json());
    let review = api
        .get(&other, "/v1/reviews?owner=ledger")
        .await
        .is(200)
        .json();
    assert_eq!(review["items"][0]["confirmed_by"], "pat");
    let overview = api.get(&other, "/v1/overview").await.is(200).json();
    assert_eq!(overview["hygiene"]["review_overdue"], 0);
    api.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_held_is_shown_and_handed_over() {
    let api = Api::start().await;
    let client = api.client("orders-api", "production").await;
    let (pat, asker) = api
        .enrol(
            "pat",
            &["operator"],
            json!({"groups": ["orders", "security"]}),
        )
        .await;
    api.enrol("kim", &["approver"], json!({"groups": ["security"]}))
        .await;
    api.enrol(
        "svc",
        &["requester"],
        json!({"robot": true, "client": client}),
    )
    .await;
    let asking = Api::asking("orders/c", &client, "production", &["orders:write"]);
    let request = api
        .post(&asker, "/v1/requests", asking)
        .await
        .is(201)
        .subject();
    let held = api.client("held", "development").await;
    let kept = api.adopt("orders/a", &held, "a").await;
    let moved = json!({"owner": "orders", "reason": "theirs"});
    let owner = format!("/v1/credentials/{kept}/owner");
    api.post(&api.admin, &owner, moved).await.is(200);

    let path = format!("/v1/clients/{client}/holdings");
    let holdings = api.get(&asker, &path).await.is(200).json();
    assert_eq!(holdings["requests"][0]["id"], request.as_str());
    assert_eq!(names(&holdings["accounts"]), ["svc"]);
    assert_eq!(
        holdings["client"]["dependents"],
        json!(["checkout", "billing"])
    );

    let path = format!("/v1/operators/{pat}/holdings");
    let answer = api.get(&api.admin, &path).await.is(200);
    let (holdings, seen) = (answer.json(), answer.header("etag").to_owned());
    assert_eq!(holdings["requests_total"], 1);
    assert_eq!(holdings["alone_in"], json!(["orders", "pat"]));
    assert_eq!(names(&holdings["credentials"]), ["orders/a"]);

    let leave = format!("/v1/operators/{pat}/offboard");
    let body = json!({"reason": "left", "hand_over_to": "ledger"});
    let nowhere = json!({"reason": "left", "hand_over_to": "The Ledger"});
    api.post(&api.admin, &leave, nowhere)
        .await
        .refused(422, "invalid");
    let call = api
        .posting(&api.admin, &leave, &body)
        .header("if-match", seen);
    Answer::of(call).await.is(200);
    let credential = api
        .get(&api.admin, &format!("/v1/credentials/{kept}"))
        .await;
    assert_eq!(credential.json()["row"]["owner"], "ledger");
    let asked = api
        .get(&api.admin, &format!("/v1/requests/{request}"))
        .await;
    assert_eq!(asked.json()["row"]["state"], "withdrawn");
    let before = api.get(&api.admin, "/v1/overview").await.sequence();
    api.post(&api.admin, &leave, body).await.is(200);
    let after = api.get(&api.admin, "/v1/overview").await.sequence();
    assert_eq!(after, before, "done twice it has one effect");

    let leave = format!("/v1/clients/{held}/offboard");
    let body = json!({"reason": "replaced", "hand_over_to": "payments"});
    api.post(&api.admin, &leave, body).await.is(200);
    let credential = api
        .get(&api.admin, &format!("/v1/credentials/{kept}"))
        .await;
    let row = credential.json()["row"].clone();
    assert_eq!(
        (row["owner"].as_str(), row["state"].as_str()),
        (Some("payments"), Some("active"))
    );
    api.stop().await;
}
