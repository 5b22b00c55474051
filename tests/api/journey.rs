//! One life of a low-risk key, and what repeating each step does to it.

use crate::harness::{Answer, Api, Person, fresh_key};
use countersign::domain::RequestState;
use reqwest::Method;
use serde_json::{Value, json};

async fn introspect(api: &Api, token: &str, secret: &str) -> Value {
    let request = api
        .request(Method::POST, token, "/v1/introspect")
        .json(&json!({"token": secret}));
    Answer::of(request).await.is(200).json()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_is_asked_for_claimed_used_and_revoked() {
    let api = Api::start().await;
    let client = api.client("orders-api", "development").await;
    let (_, service) = api
        .enrol(
            "svc",
            &["requester"],
            json!({"robot": true, "client": client}),
        )
        .await;
    let (_, gateway) = api
        .enrol("gateway", &["viewer"], json!({"robot": true}))
        .await;
    let (_, on_call) = api.enrol("sam", &["operator"], json!({})).await;

    let asked = api
        .post(
            &service,
            "/v1/requests",
            Api::asking("orders/key", &client, "development", &["orders:read"]),
        )
        .await
        .is(201);
    let id = asked.subject();
    assert_eq!(asked.header("location"), format!("/v1/requests/{id}"));
    assert_eq!(
        asked.sequence(),
        asked.json()["sequence"].as_u64().expect("a number")
    );
    api.until(&id, RequestState::Issued).await;

    let key = fresh_key();
    let claiming = || {
        api.request(Method::POST, &service, &format!("/v1/requests/{id}/claim"))
            .header("idempotency-key", &key)
    };
    let claimed = Answer::of(claiming()).await.is(200);
    assert_eq!(claimed.header("idempotency-replayed"), "");
    let secret = claimed.json()["secret"]["token"]
        .as_str()
        .expect("the secret")
        .to_owned();
    let credential = claimed.json()["credential"]
        .as_str()
        .expect("an identifier")
        .to_owned();

    // The same call again: the same answer without the secret. Another call: refused.
    let again = Answer::of(claiming()).await.is(200);
    assert_eq!(again.header("idempotency-replayed"), "true");
    assert_eq!(again.json()["secret"], json!({}));
    assert_eq!(again.json()["secret_already_delivered"], true);
    assert_eq!(again.json()["sequence"], claimed.json()["sequence"]);
    api.post(&service, &format!("/v1/requests/{id}/claim"), json!({}))
        .await
        .refused(409, "already-claimed");

    let told = introspect(&api, &gateway, &secret).await;
    assert_eq!(
        (&told["active"], &told["scope"]),
        (&json!(true), &json!("orders:read"))
    );
    assert_eq!(told["sub"], credential.as_str());
    assert_eq!(told["iss"], "test.example/log");
    let form = api
        .request(Method::POST, &gateway, "/v1/introspect")
        .header("content-type", "application/x-www-form-urlencoded")
        .body(format!("token={secret}&token_type_hint=access_token"));
    assert_eq!(Answer::of(form).await.is(200).json(), told);

    let path = format!("/v1/credentials/{credential}");
    let detail = api.get(&on_call, &path).await.is(200);
    assert_eq!(detail.json()["used"], 2);
    assert_eq!(detail.json()["row"]["state"], "active");
    assert!(detail.json()["row"]["last_used_at"].is_string());

    let revoking = api
        .posting(
            &on_call,
            &format!("{path}/revoke"),
            &json!({"reason": "leaked"}),
        )
        .header("if-match", detail.header("etag"));
    let revoked = Answer::of(revoking).await.is(200);
    assert_eq!(
        introspect(&api, &gateway, &secret).await,
        json!({"active": false})
    );
    assert_eq!(
        introspect(&api, &gateway, "cs_key_unknown").await,
        json!({"active": false})
    );
    let detail = api.get(&on_call, &path).await.json();
    assert_eq!(
        (&detail["row"]["state"], &detail["refused"]),
        (&json!("revoked"), &json!(1))
    );
    assert_eq!(detail["revocations"][0]["reason"], "leaked");
    let trail = detail["trail"].as_array().expect("events").iter();
    let trail: Vec<_> = trail
        .map(|event| event["type"].as_str().expect("a type"))
        .collect();
    assert_eq!(
        trail,
        ["revocation.effective", "version.promoted", "version.minted"]
    );
    assert!(revoked.sequence() > claimed.sequence());
    api.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn people_decide_what_they_saw() {
    let api = Api::start().await;
    let client = api.client("orders-api", "production").await;
    let (_, asker) = api
        .enrol(
            "sam",
            &["operator", "approver"],
            json!({"groups": ["security"]}),
        )
        .await;
    let security = || json!({"groups": ["security"]});
    let maya = api.person("maya", &["approver"], security()).await;
    let noor = api.person("noor", &["approver"], security()).await;
    let body = Api::asking("orders/writer", &client, "production", &["orders:write"]);

    let mut dry = body.clone();
    dry["dry_run"] = json!(true);
    let unkeyed = api.request(Method::POST, &asker, "/v1/requests").json(&dry);
    let would = Answer::of(unkeyed).await.is(200).json();
    assert_eq!(
        (&would["dry_run"], &would["state"]),
        (&json!(true), &json!("awaiting_approval"))
    );
    assert_eq!(
        api.get(&maya.token, "/v1/requests").await.json()["total"],
        0
    );

    let id = api
        .post(&asker, "/v1/requests", body)
        .await
        .is(201)
        .subject();
    let path = format!("/v1/requests/{id}");
    let own = api.get(&asker, &path).await.is(200).json();
    assert_eq!(own["may_decide"]["rule"], "requester-never-counts");
    assert_eq!(own["deciders"], json!(["maya", "noor"]));
    assert_eq!(own["changes"][0]["scope"], "orders:write");

    let seen = api.get(&maya.token, &path).await.is(200);
    assert_eq!(seen.json()["may_decide"]["allowed"], true);
    let digest = seen.json()["digest"].clone();
    let approvals = format!("{path}/approvals");
    api.post(&asker, &approvals, json!({"digest": digest}))
        .await
        .refused(403, "separation-of-duties");
    let decide = async |person: &Person, tag: &str| {
        let said = api.said(person, &id, "fine").await;
        let body = api.approval(person, &said);
        let request = api.posting(&person.token, &approvals, &body);
        Answer::of(request.header("if-match", tag)).await
    };
    // A session alone decides nothing of this weight.
    let unsigned = json!({"digest": digest, "reason": "fine"});
    let alone = api.post(&maya.token, &approvals, unsigned).await;
    let alone = alone.refused(403, "separation-of-duties").json();
    assert!(
        alone["detail"]
            .to_string()
            .contains("a signature of your SSH key")
    );
    decide(&maya, seen.header("etag")).await.is(200);

    // Noor looked before Maya decided: told what has happened since.
    let stale = decide(&noor, seen.header("etag"))
        .await
        .refused(412, "stale");
    assert!(stale.json()["current_sequence"].as_u64() > Some(0));
    let changed = stale.json()["changed"][0]
        .as_str()
        .expect("a change")
        .to_owned();
    assert!(changed.starts_with("approval.given by maya"), "{changed}");

    let now = api.get(&noor.token, &path).await.is(200);
    decide(&noor, now.header("etag")).await.is(200);
    api.until(&id, RequestState::Issued).await;
    let other = json!({"digest": format!("sha256:{}", "0".repeat(64))});
    api.post(&noor.token, &approvals, other)
        .await
        .refused(409, "conflict");
    api.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_binds_one_call_to_one_answer() {
    let api = Api::start().await;
    let client = api.client("orders-api", "development").await;
    let credential = api.adopt("orders/old", &client, "hunter2").await;
    let (_, on_call) = api.enrol("sam", &["operator"], json!({})).await;
    let path = format!("/v1/credentials/{credential}/revoke");
    let key = fresh_key();
    let send = |key: &str, body: Value| {
        Answer::of(
            api.request(Method::POST, &on_call, &path)
                .header("idempotency-key", key)
                .json(&body),
        )
    };
    let first = send(&key, json!({"reason": "leaked"})).await.is(200);
    let before = api.broker.engine.state().sequence;
    // Quoted or bare, it is the same key.
    for key in [key.as_str(), key.trim_matches('"')] {
        let again = send(key, json!({"reason": "leaked"})).await.is(200);
        assert_eq!(again.header("idempotency-replayed"), "true");
        assert_eq!(again.json(), first.json());
        assert_eq!(again.sequence(), first.sequence());
    }
    send(&key, json!({"reason": "other"}))
        .await
        .refused(422, "idempotency-key-reused");
    assert_eq!(api.broker.engine.state().sequence, before);

    // A minted token is shown once; a repetition names it without it.
    let body = json!({"name": "robot", "robot": true, "token_ttl_s": 600});
    let key = fresh_key();
    let mint = || {
        Answer::of(
            api.request(Method::POST, &api.admin, "/v1/operators")
                .header("idempotency-key", &key)
                .json(&body),
        )
    };
    let (first, again) = (mint().await.is(201), mint().await.is(201));
    assert!(
        first.json()["token"]
            .as_str()
            .expect("a token")
            .starts_with("cs_opr_")
    );
    assert_eq!(again.json()["token"], "");
    for field in ["operator", "id", "expires_at", "sequence"] {
        assert_eq!(again.json()[field], first.json()[field], "{field}");
    }
    api.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn signing_out_and_closing_an_account_end_a_session() {
    let api = Api::start().await;
    let (id, token) = api.enrol("sam", &["viewer"], json!({})).await;
    let session = api.get(&token, "/v1/session").await.is(200).json();
    assert_eq!(
        (&session["name"], &session["operator"]),
        (&json!("sam"), &json!(id))
    );
    assert!(
        session["verifier_key"]
            .as_str()
            .expect("a key")
            .starts_with("test.example/log+")
    );
    Answer::of(api.request(Method::DELETE, &token, "/v1/session"))
        .await
        .is(200);
    let out = api
        .get(&token, "/v1/session")
        .await
        .refused(401, "not-signed-in");
    assert!(out.header("www-authenticate").contains("invalid_token"));

    let path = format!("/v1/operators/{id}/tokens");
    let minted = api
        .post(&api.admin, &path, json!({"ttl_s": 600}))
        .await
        .is(201)
        .json();
    let token = minted["token"].as_str().expect("a token").to_owned();
    api.get(&token, "/v1/overview").await.is(200);
    api.post(
        &api.admin,
        &format!("/v1/operators/{id}/offboard"),
        json!({"reason": "left"}),
    )
    .await
    .is(200);
    api.get(&token, "/v1/overview")
        .await
        .refused(401, "not-signed-in");
    api.stop().await;
}
