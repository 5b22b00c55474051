//! A credential rotates: by hand, by itself, back again; and what the calendar says of it.

use crate::harness::{Answer, Api, fresh_key};
use chrono::TimeDelta;
use countersign::{clock, domain::RotationState};
use reqwest::Method;
use serde_json::{Value, json};

async fn active(api: &Api, gateway: &str, secret: &str) -> bool {
    let request = api
        .request(Method::POST, gateway, "/v1/introspect")
        .json(&json!({"token": secret}));
    let told = Answer::of(request).await.is(200).json();
    told["active"] == true
}

async fn show(api: &Api, rotation: &str) -> Value {
    let path = format!("/v1/rotations/{rotation}");
    api.get(&api.admin, &path).await.is(200).json()
}

/// An adopted key of the built-in issuer, made an hour ago, and a service of its client.
async fn keyed(api: &Api, name: &str) -> (String, String, String) {
    let client = api.client(name, "development").await;
    let more = json!({"robot": true, "client": client});
    let (_, service) = api
        .enrol(&format!("{name}/svc"), &["requester"], more)
        .await;
    let lately = (clock::now() - TimeDelta::hours(1)).to_rfc3339();
    let secret = format!("old-{name}");
    let id = api
        .adopt_from("countersign", name, &client, &secret, &lately)
        .await;
    (id, service, secret)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_rotates_by_hand_and_nobody_is_refused() {
    let api = Api::start().await;
    let (credential, service, old) = keyed(&api, "orders").await;
    let (_, gateway) = api
        .enrol("gateway", &["viewer"], json!({"robot": true}))
        .await;
    let (_, on_call) = api.enrol("sam", &["operator"], json!({})).await;
    let path = format!("/v1/credentials/{credential}");

    let seen = api.get(&on_call, &path).await.is(200);
    let begin = api
        .posting(
            &on_call,
            &format!("{path}/rotate"),
            &json!({"reason": "CHG-7"}),
        )
        .header("if-match", seen.header("etag"));
    let begun = Answer::of(begin).await.is(201);
    let rotation = begun.subject();
    assert_eq!(
        begun.header("location"),
        format!("/v1/rotations/{rotation}")
    );
    // What was seen before it is stale now, and a second one is refused.
    let stale = api
        .posting(
            &on_call,
            &format!("{path}/rollback"),
            &json!({"reason": "x"}),
        )
        .header("if-match", seen.header("etag"));
    Answer::of(stale).await.refused(412, "stale");
    let again = api
        .post(
            &on_call,
            &format!("{path}/rotate"),
            json!({"reason": "again"}),
        )
        .await;
    let again = again.refused(409, "conflict");
    assert!(
        again.json()["detail"]
            .as_str()
            .expect("words")
            .contains("is under way"),
        "{again:?}"
    );

    checked(&api, &rotation).await;
    let detail = show(&api, &rotation).await;
    assert_eq!(detail["row"]["state"], "checking");
    assert_eq!(detail["row"]["step"], 3);
    assert_eq!(detail["steps"][1]["state"], "done");
    assert_eq!(detail["steps"][1]["note"], "accepted here");
    assert_eq!(detail["undo"]["possible"], true);
    assert!(
        active(&api, &gateway, &old).await,
        "the older one is in use"
    );

    // The secret: not for somebody on call of another team; once for the service of its client.
    let claim = format!("/v1/rotations/{rotation}/claim");
    api.post(&on_call, &claim, json!({}))
        .await
        .refused(403, "separation-of-duties");
    let key = fresh_key();
    let claiming = || {
        api.request(Method::POST, &service, &claim)
            .header("idempotency-key", &key)
    };
    let claimed = Answer::of(claiming()).await.is(200).json();
    let new = claimed["secret"]["token"]
        .as_str()
        .expect("a secret")
        .to_owned();
    assert_eq!(claimed["version"], 2);
    let repeated = Answer::of(claiming()).await.is(200).json();
    assert_eq!(repeated["secret_already_delivered"], true);
    assert_eq!(repeated["secret"], json!({}));
    api.post(&service, &claim, json!({}))
        .await
        .refused(409, "already-claimed");
    for secret in [&old, &new] {
        assert!(active(&api, &gateway, secret).await, "both overlap");
    }
    let detail = show(&api, &rotation).await;
    assert_eq!(detail["row"]["state"], "overlapping");
    let versions: Vec<_> = detail["readers"]
        .as_array()
        .expect("readers")
        .iter()
        .map(|reader| reader["version"].clone())
        .collect();
    assert_eq!(versions, [json!(2), json!(1)], "latest first: {detail}");

    // Back, while the overlap lasts; and not again afterwards.
    let back = json!({"reason": "the newer one is refused by a partner"});
    api.post(&on_call, &format!("{path}/rollback"), back.clone())
        .await
        .is(200);
    assert!(active(&api, &gateway, &old).await);
    assert!(!active(&api, &gateway, &new).await);
    let detail = show(&api, &rotation).await;
    assert_eq!(detail["row"]["state"], "rolled_back");
    assert_eq!(detail["row"]["setback"], "operator");
    let refused = api.post(&on_call, &format!("{path}/rollback"), back).await;
    let refused = refused.refused(409, "conflict");
    assert!(
        refused.json()["detail"]
            .as_str()
            .expect("words")
            .contains("rotate again"),
        "{refused:?}"
    );
    api.stop().await;
}

async fn checked(api: &Api, rotation: &str) {
    let id: countersign::domain::RotationId = rotation.parse().expect("an identifier");
    loop {
        let state = api.broker.engine.state();
        if state.rotations.all[&id].checked_at.is_some() {
            return;
        }
        let mut feed = api.broker.engine.subscribe(state.sequence).expect("a feed");
        feed.next().await.expect("another event");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_due_rotates_by_itself_and_the_calendar_says_so() {
    let api = Api::start().await;
    let (fresh, _, _) = keyed(&api, "orders").await;
    let client = api.client("invoices", "development").await;
    // A year old, under a cadence of half a year.
    let due = api
        .adopt_from(
            "countersign",
            "invoices/key",
            &client,
            "old",
            "2025-11-01T00:00:00Z",
        )
        .await;
    let by_hand = api.adopt("invoices/legacy", &client, "older").await;
    let id: countersign::domain::CredentialId = due.parse().expect("an identifier");
    let rotation = loop {
        let state = api.broker.engine.state();
        if let Some(rotation) = state.rotations.of(id)
            && rotation.checked_at.is_some()
        {
            break rotation.id.to_string();
        }
        let mut feed = api.broker.engine.subscribe(state.sequence).expect("a feed");
        feed.next().await.expect("another event");
    };
    let detail = show(&api, &rotation).await;
    assert_eq!(detail["row"]["by"], "rotation");
    assert_eq!(detail["policy_version"], 1);
    assert!(detail["row"]["due_at"].is_string() && detail["row"]["late_at"].is_string());

    let listed = api
        .get(&api.admin, "/v1/rotations?summary=true")
        .await
        .is(200)
        .json();
    let running = listed["running"].as_array().expect("rows");
    assert_eq!(running.len(), 1, "{listed}");
    assert_eq!(running[0]["credential"], due.as_str());
    let environments = listed["summary"]["environments"].as_array().expect("rows");
    assert_eq!(environments[0]["name"], "development");
    assert_eq!(environments[0]["cadenced"], 3);
    assert_eq!(environments[0]["overdue"], 2);
    assert_eq!(
        environments[0]["by_hand"], 1,
        "nobody here makes {by_hand}: {listed}"
    );
    assert_eq!(listed["summary"]["measures"]["started"], 1);
    // The other one is due in half a year.
    let later =
        (clock::now() + TimeDelta::days(300)).to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
    let path = format!("/v1/rotations?until={later}&team=payments&environment=development");
    let planned = api.get(&api.admin, &path).await.is(200).json();
    assert_eq!(
        planned["planned"][0]["credential"],
        fresh.as_str(),
        "{planned}"
    );
    assert_eq!(planned["planned_total"], 1);
    let other = api
        .get(&api.admin, "/v1/rotations?team=nobody")
        .await
        .is(200)
        .json();
    assert_eq!(other["running"], json!([]));
    for wrong in [
        "until=2020-01-01T00:00:00Z",
        "limit=0",
        "limit=1001",
        "team=x&colour=red",
        "from=yesterday",
    ] {
        api.get(&api.admin, &format!("/v1/rotations?{wrong}"))
            .await
            .refused(400, "malformed");
    }
    let text = api.get("", "/metrics").await.is(200);
    let measured = "countersign_rotations{what=\"started\"}";
    assert!(text.text.contains(measured), "{}", text.text);

    // Put into use by hand, and carried on after a restart.
    let promote = format!("/v1/credentials/{due}/promote");
    api.post(&api.admin, &promote, json!({})).await.is(200);
    let api = api.restart().await;
    let state = api.broker.engine.state();
    let held = state.rotations.of(id).expect("it overlaps");
    assert_eq!(held.state, RotationState::Overlapping);
    assert_eq!(state.rotations.totals.promoted, 1);
    api.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_group_begins_in_the_order_of_who_depends_on_whom() {
    let api = Api::start().await;
    let (one, ..) = keyed(&api, "orders").await;
    let (other, ..) = keyed(&api, "shipping").await;
    let body = json!({"credentials": [one, other], "reason": "the vault moves"});
    let begun = api.post(&api.admin, "/v1/rotations", body).await.is(201);
    let rotation = begun.subject();
    checked(&api, &rotation).await;
    let detail = show(&api, &rotation).await;
    assert_eq!(detail["group"].as_array().expect("rows").len(), 1);
    for (body, pointer) in [
        (json!({"credentials": [], "reason": "x"}), "/credentials"),
        (
            json!({"credentials": [one, one], "reason": "x"}),
            "/credentials/1",
        ),
    ] {
        let refused = api
            .post(&api.admin, "/v1/rotations", body)
            .await
            .refused(422, "invalid");
        assert_eq!(refused.json()["errors"][0]["pointer"], pointer);
    }
    api.stop().await;
}
