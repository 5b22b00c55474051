//! Signatures over HTTP, each test named after its rule: a real broker, real keys, and bytes that were signed for
//! something else, by somebody else, or in another form. What a statement must say about its request is
//! `tests/rules/signing.rs`'s.

use crate::harness::{Answer, Api, Person, canonical};
use chrono::TimeDelta;
use countersign::{
    broker::signing::{LOGIN_LIFE, login_purpose},
    client::{
        Access, Client, EventQuery, Feed, Link, ListQuery, TransportOptions,
        login::{Login as Kept, LoginOptions},
    },
    clock,
    config::{BrokerConfig, Variables, broker::Login},
    domain::{Decision, Operator, RequestId, RequestState, Statement, statement::STATEMENT_LIFE},
    ssh::{Identity, OwnKey, Signer},
    wire::{
        Challenge,
        signing::{LOGIN, LoginMessage, approval_namespace, login_namespace},
    },
};
use reqwest::Method;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use std::{process::Command, sync::Arc};

const ORIGIN: &str = "test.example/log";

/// A request that wants signatures, and two who may give them.
struct Scene {
    api: Api,
    maya: Person,
    noor: Person,
    client: String,
    service: String,
    request: String,
}

impl Scene {
    async fn set() -> Self {
        let api = Api::start().await;
        let client = api.client("orders-api", "production").await;
        let robot = json!({"robot": true, "client": client});
        let (_, service) = api.enrol("svc", &["requester"], robot).await;
        let security = || json!({"groups": ["security"]});
        let maya = api.person("maya", &["approver"], security()).await;
        let noor = api.person("noor", &["approver"], security()).await;
        let request = ask(&api, &service, &client, "orders/writer").await;
        Self {
            api,
            maya,
            noor,
            client,
            service,
            request,
        }
    }

    async fn said(&self) -> Statement {
        self.api.said(&self.maya, &self.request, "fine").await
    }

    /// Sends an approval to the request, as Maya.
    async fn send(&self, body: &Value) -> Answer {
        self.send_to(&self.request, &self.maya, body).await
    }

    async fn send_to(&self, request: &str, by: &Person, body: &Value) -> Answer {
        let path = format!("/v1/requests/{request}/approvals");
        self.api.post(&by.token, &path, body.clone()).await
    }

    /// Maya's approval of a statement that was changed before she signed it.
    async fn changed(&self, change: impl FnOnce(&mut Statement)) -> Answer {
        let mut said = self.said().await;
        change(&mut said);
        self.send(&self.api.approval(&self.maya, &said)).await
    }

    /// Nothing of what was refused has left a trace, and the honest approval still counts.
    async fn still_open(self) {
        let path = format!("/v1/requests/{}", self.request);
        let detail = self.api.get(&self.maya.token, &path).await.is(200).json();
        assert_eq!(detail["approvals"], json!([]));
        let said = self.said().await;
        let honest = self.api.approval(&self.maya, &said);
        self.send(&honest).await.is(200);
        self.api.stop().await;
    }
}

async fn ask(api: &Api, service: &str, client: &str, name: &str) -> String {
    let asking = Api::asking(name, client, "production", &["orders:write"]);
    api.post(service, "/v1/requests", asking)
        .await
        .is(201)
        .subject()
}

#[track_caller]
fn refused(answer: Answer, why: &str) {
    let answer = answer.refused(403, "signature-refused");
    let detail = answer.json()["detail"].to_string();
    assert!(detail.contains(why), "{detail}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_signatures_of_two_people_are_a_quorum() {
    let scene = Scene::set().await;
    for person in [&scene.maya, &scene.noor] {
        let said = scene.api.said(person, &scene.request, "fine").await;
        let body = scene.api.approval(person, &said);
        scene.send_to(&scene.request, person, &body).await.is(200);
    }
    scene.api.until(&scene.request, RequestState::Issued).await;
    scene.api.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_signature_that_fell_does_not_hold_up_those_that_stand() {
    let scene = Scene::set().await;
    let api = &scene.api;
    let security = json!({"groups": ["security"]});
    let olga = api.person("olga", &["approver"], security).await;
    let request = ask(api, &scene.service, &scene.client, "orders/reader").await;
    let approve = async |person: &Person| {
        let said = api.said(person, &request, "fine").await;
        let body = api.approval(person, &said);
        scene.send_to(&request, person, &body).await.is(200);
    };
    approve(&scene.maya).await;
    let path = format!("/v1/operators/{}/keys/remove", scene.maya.id);
    let fingerprint = scene.maya.identity().key.fingerprint();
    let remove = json!({"fingerprint": fingerprint, "reason": "lost"});
    api.post(&api.admin, &path, remove).await.is(200);
    approve(&scene.noor).await;
    approve(&olga).await;
    api.until(&request, RequestState::Issued).await;
    scene.api.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_parse_of_one_form() {
    let scene = Scene::set().await;
    let namespace = approval_namespace(ORIGIN);
    type Rewrite = fn(&str, &Value) -> String;
    let rewrites: [(&str, Rewrite, &str); 7] = [
        (
            "pretty-printed",
            |_, value| serde_json::to_string_pretty(value).expect("JSON"),
            "canonical form",
        ),
        (
            "reordered",
            |text, _| {
                let (head, tail) = text
                    .split_once(r#","aud":"test.example/log""#)
                    .expect("a member");
                format!(r#"{{"aud":"test.example/log",{}{tail}"#, &head[1..])
            },
            "canonical form",
        ),
        (
            "a member twice",
            |text, _| text.replacen('{', r#"{"decision":"deny","#, 1),
            "duplicate field",
        ),
        (
            "an unknown member",
            |text, _| text.replacen('{', r#"{"also":true,"#, 1),
            "unknown field",
        ),
        (
            "an unknown member inside",
            |text, _| text.replacen(r#""plan":{"#, r#""plan":{"also":true,"#, 1),
            "unknown field",
        ),
        (
            "a member less",
            |text, _| text.replacen(r#""decision":"approve","#, "", 1),
            "missing field",
        ),
        (
            "a line break behind",
            |text, _| format!("{text}\n"),
            "canonical form",
        ),
    ];
    for (what, rewrite, why) in rewrites {
        let said = scene.said().await;
        let value = serde_json::to_value(&said).expect("JSON");
        let payload = rewrite(&canonical(&said), &value);
        assert_ne!(payload, canonical(&said), "{what}");
        let signature = scene.maya.sign(&namespace, &payload);
        let body = json!({"digest": said.request.digest, "reason": "fine",
            "signed": {"payload": payload, "signature": signature}});
        println!("{what}");
        refused(scene.send(&body).await, why);
    }
    scene.still_open().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_namespace_for_each_purpose_and_broker() {
    let scene = Scene::set().await;
    for namespace in [
        login_namespace(ORIGIN),
        approval_namespace("other.example/log"),
        "file".to_owned(),
    ] {
        let said = scene.said().await;
        let payload = canonical(&said);
        let mut body = scene.api.approval(&scene.maya, &said);
        body["signed"]["signature"] = json!(scene.maya.sign(&namespace, &payload));
        let answer = scene.send(&body).await.refused(403, "signature-refused");
        assert!(
            answer.json()["detail"].to_string().contains("namespace"),
            "{answer:?}"
        );
    }
    scene.still_open().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_signers_own_enrolled_key() {
    let scene = Scene::set().await;
    // Noor's key, and one that nobody has: what it says does not matter.
    let stranger = Person {
        signer: Signer::Own(Arc::new(OwnKey::generate())),
        ..scene.api.person("stranger", &["viewer"], json!({})).await
    };
    for signer in [&scene.noor, &stranger] {
        let mut said = scene.said().await;
        said.approver.key = signer.identity().key.fingerprint();
        let body = scene.api.approval(signer, &said);
        refused(scene.send(&body).await, "is not enrolled for you");
    }
    // Her own key, naming another.
    let answer = scene
        .changed(|said| said.approver.key = scene.noor.identity().key.fingerprint())
        .await;
    answer.refused(409, "conflict");
    scene.still_open().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_signed_bytes_and_no_others() {
    let scene = Scene::set().await;
    let said = scene.said().await;
    let honest = scene.api.approval(&scene.maya, &said);
    let mut wider = said.clone();
    wider.plan.ttl_s += 1;
    let mut tampered = honest.clone();
    tampered["signed"]["payload"] = json!(canonical(&wider));
    refused(scene.send(&tampered).await, "does not fit");
    for damage in [
        "",
        "-----BEGIN SSH SIGNATURE-----\nAAAA\n-----END SSH SIGNATURE-----\n",
    ] {
        let mut damaged = honest.clone();
        damaged["signed"]["signature"] = json!(damage);
        scene.send(&damaged).await.refused(403, "signature-refused");
    }
    let mut long = honest.clone();
    long["signed"]["payload"] = json!("x".repeat(20_000));
    refused(scene.send(&long).await, "is longer than");
    // None of that has cost the honest one its nonce.
    scene.send(&honest).await.is(200);
    scene.api.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn this_broker_and_this_log() {
    let scene = Scene::set().await;
    let elsewhere = "is for another broker";
    refused(
        scene
            .changed(|said| said.aud = "other.example/log".into())
            .await,
        elsewhere,
    );
    refused(
        scene
            .changed(|said| said.log.origin = "other.example/log".into())
            .await,
        elsewhere,
    );
    scene.still_open().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_head_that_this_log_has_had() {
    let scene = Scene::set().await;
    let another = "another history of the log";
    refused(scene.changed(|said| said.log.size += 1).await, another);
    refused(scene.changed(|said| said.log.size -= 1).await, another);
    refused(
        scene.changed(|said| said.log.root = "AAAA".into()).await,
        another,
    );
    // One that was the head a while ago is as good.
    let mut said = scene.said().await;
    let earlier = scene.api.head();
    scene.api.client("more", "development").await;
    assert!(scene.api.head().size > earlier.size);
    said.log = earlier;
    let body = scene.api.approval(&scene.maya, &said);
    scene.send(&body).await.is(200);
    scene.api.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_nonce_for_one_decision_of_one_person_about_one_request() {
    let scene = Scene::set().await;
    let nonce = "does not know this nonce";
    refused(
        scene.changed(|said| said.nonce = "made-up".into()).await,
        nonce,
    );

    let of_noor = scene
        .api
        .said(&scene.noor, &scene.request, "fine")
        .await
        .nonce;
    refused(scene.changed(|said| said.nonce = of_noor).await, nonce);

    let other = ask(&scene.api, &scene.service, &scene.client, "orders/other").await;
    let of_other = scene.api.said(&scene.maya, &other, "fine").await.nonce;
    refused(scene.changed(|said| said.nonce = of_other).await, nonce);

    // One that was asked for too long ago.
    let state = scene.api.broker.engine.state();
    let id: RequestId = scene.request.parse().expect("an identifier");
    let maya: &Operator = state.operator_named("maya").expect("she is there");
    let revision = state.requests[&id].revision;
    let purpose = countersign::broker::signing::decision_purpose(maya, id, revision);
    let long_ago = clock::now() - STATEMENT_LIFE;
    let nonces = &scene.api.broker.engine.signing().nonces;
    let old = nonces.issue(purpose, long_ago, STATEMENT_LIFE);
    refused(scene.changed(|said| said.nonce = old).await, nonce);

    // And once only: on the same request, and on another one.
    let said = scene.said().await;
    let body = scene.api.approval(&scene.maya, &said);
    scene.send(&body).await.is(200);
    refused(scene.send(&body).await, nonce);
    refused(scene.send_to(&other, &scene.maya, &body).await, nonce);
    scene.api.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_statement_in_its_time() {
    let scene = Scene::set().await;
    let early = |said: &mut Statement| said.iat += TimeDelta::minutes(2);
    let over = |said: &mut Statement| said.exp = said.iat;
    let long = |said: &mut Statement| said.exp += TimeDelta::seconds(1);
    for change in [early, over, long] {
        let answer = scene.changed(change).await.refused(409, "conflict");
        assert!(
            answer.json()["detail"]
                .to_string()
                .contains("set the clock right"),
            "{answer:?}"
        );
    }
    scene.still_open().await;
}

/// The same decision again by the same idempotency key, signed anew: the first one's answer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repetition_gets_the_first_ones_answer() {
    let scene = Scene::set().await;
    let path = format!("/v1/requests/{}/approvals", scene.request);
    let key = crate::harness::fresh_key();
    let send = async |reason: &str| {
        let said = scene.api.said(&scene.maya, &scene.request, reason).await;
        let body = scene.api.approval(&scene.maya, &said);
        let call = scene.api.request(Method::POST, &scene.maya.token, &path);
        Answer::of(call.header("idempotency-key", &key).json(&body)).await
    };
    let first = send("fine").await.is(200);
    let again = send("fine").await.is(200);
    assert_eq!(again.header("idempotency-replayed"), "true");
    assert_eq!(again.json(), first.json());
    send("on second thoughts")
        .await
        .refused(422, "idempotency-key-reused");
    scene.api.stop().await;
}

/// Sent twice because nobody answered yet: both are the same call, and get the same answer.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn repetitions_in_flight_get_one_answer() {
    let scene = Scene::set().await;
    let path = format!("/v1/requests/{}/approvals", scene.request);
    let said = scene.said().await;
    let body = scene.api.approval(&scene.maya, &said);
    let key = crate::harness::fresh_key();
    let calls = (0..32).map(|_| {
        let call = scene.api.request(Method::POST, &scene.maya.token, &path);
        Answer::of(call.header("idempotency-key", &key).json(&body))
    });
    let answers = futures_util::future::join_all(calls).await;
    let answers: Vec<Answer> = answers.into_iter().map(|answer| answer.is(200)).collect();
    let first = answers[0].json();
    assert!(answers.iter().all(|answer| answer.json() == first));
    let replayed = |answer: &&Answer| answer.header("idempotency-replayed") == "true";
    assert_eq!(answers.iter().filter(replayed).count(), 31);
    let path = format!("/v1/requests/{}", scene.request);
    let detail = scene.api.get(&scene.maya.token, &path).await.is(200).json();
    assert_eq!(detail["approvals"].as_array().map(Vec::len), Some(1));
    // The same bytes under another key are another call, and the nonce is spent.
    refused(scene.send(&body).await, "does not know this nonce");
    scene.api.stop().await;
}

/// A narrower plan is another plan, and so has another digest: whoever repeats the narrowing has seen that by then.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn narrowing_again_under_one_key_answers_the_same() {
    let scene = Scene::set().await;
    let path = format!("/v1/requests/{}", scene.request);
    let digest = async || {
        let detail = scene.api.get(&scene.maya.token, &path).await.is(200).json();
        detail["digest"].clone()
    };
    let key = crate::harness::fresh_key();
    let narrow = async |ttl_s: u64, dry_run: bool| {
        let body = json!({"digest": digest().await, "ttl_s": ttl_s, "reason": "enough", "dry_run": dry_run});
        let narrow = format!("{path}/narrow");
        let call = scene.api.request(Method::POST, &scene.maya.token, &narrow);
        Answer::of(call.header("idempotency-key", &key).json(&body)).await
    };
    let wide = digest().await;
    let first = narrow(600, false).await.is(200);
    assert_ne!(digest().await, wide);
    let told = narrow(600, true).await.is(200).json();
    assert_eq!(told["plan"]["ttl_s"], 600, "what it came to");
    let again = narrow(600, false).await.is(200);
    assert_eq!(again.header("idempotency-replayed"), "true");
    assert_eq!(again.json(), first.json());
    narrow(500, false)
        .await
        .refused(422, "idempotency-key-reused");
    scene.api.stop().await;
}

/// Somebody at the door.
struct Door {
    api: Api,
    maya: Person,
}

impl Door {
    async fn set() -> Self {
        let api = Api::start().await;
        let maya = api.person("maya", &["viewer"], json!({})).await;
        Self { api, maya }
    }

    async fn message(&self, operator: &str) -> LoginMessage {
        challenged(&self.api, operator).await
    }

    /// Signs in by this message, signed by Maya.
    async fn enter(&self, message: &LoginMessage) -> Answer {
        let text = canonical(message);
        let signature = self.maya.sign(&login_namespace(ORIGIN), &text);
        knock(&self.api, &text, &signature).await
    }
}

async fn challenged(api: &Api, operator: &str) -> LoginMessage {
    let call = api.request(Method::POST, "", "/v1/login/challenge");
    let answer = Answer::of(call.json(&json!({"operator": operator}))).await;
    let challenge: Challenge = serde_json::from_value(answer.is(200).json()).expect("a challenge");
    LoginMessage {
        form: LOGIN.into(),
        aud: challenge.origin,
        operator: operator.to_owned(),
        nonce: challenge.nonce,
        exp: challenge.expires_at,
        continues: None,
    }
}

async fn knock(api: &Api, message: &str, signature: &str) -> Answer {
    let call = api.request(Method::POST, "", "/v1/login/ssh");
    Answer::of(call.json(&json!({"message": message, "signature": signature}))).await
}

#[track_caller]
fn outside(answer: Answer, why: &str) {
    let answer = answer.refused(401, "sign-in-refused");
    assert!(
        answer.json()["detail"].to_string().contains(why),
        "{answer:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_opens_a_short_session_that_is_its_owners() {
    let door = Door::set().await;
    let message = door.message("maya").await;
    let minted = door.enter(&message).await.is(201).json();
    let token = minted["token"].as_str().expect("a token").to_owned();
    let session = door.api.get(&token, "/v1/session").await.is(200).json();
    assert_eq!(session["name"], "maya");
    let until: chrono::DateTime<chrono::Utc> =
        serde_json::from_value(minted["expires_at"].clone()).expect("a time");
    let hours = (until - clock::now()).num_minutes();
    assert!((8 * 60 - 2..=8 * 60).contains(&hours), "{hours} minutes");
    // With its key goes the session.
    let path = format!("/v1/operators/{}/keys/remove", door.maya.id);
    let fingerprint = door.maya.identity().key.fingerprint();
    let remove = json!({"fingerprint": fingerprint, "reason": "lost"});
    door.api.post(&door.api.admin, &path, remove).await.is(200);
    door.api
        .get(&token, "/v1/session")
        .await
        .refused(401, "not-signed-in");
    door.api.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_goes_on_by_its_key_within_its_bound_and_the_old_one_is_gone() {
    let door = Door::set().await;
    let folder = tempfile::tempdir().expect("a folder");
    let runtime = folder.path().to_str().expect("UTF-8");
    let client = Client::new(TransportOptions::new(&door.api.url)).expect("a loopback address");
    let options = LoginOptions {
        origin: client.transport().origin().to_owned(),
        token_file: None,
        allow_file: true,
    };
    let login = Kept::open(&options, &Variables::of([("XDG_RUNTIME_DIR", runtime)]))
        .expect("nothing was given");
    let access = Access::open(client.clone(), login).await;
    let maya = &door.maya;
    let first = access.sign_in(&maya.signer, "maya", clock::now()).await;
    let first = first.expect("signed in");
    let before = client.transport().token().expect("a token");
    let bound = first.signed_in_at + TimeDelta::hours(12);
    assert_eq!(first.renewable_until, Some(bound));

    let mut feed = client
        .events(EventQuery::default())
        .await
        .expect("a stream");
    while !matches!(feed.recv().await, Some(Feed::Link(Link::Live))) {}
    let second = access.renew(&maya.signer, &first, clock::now()).await;
    let second = second.expect("renewed");
    assert_ne!(second.id, first.id);
    assert!(second.expires_at > first.expires_at, "{second:?}");
    assert_eq!(
        (second.signed_in_at, second.renewable_until),
        (first.signed_in_at, Some(bound))
    );
    door.api
        .get(before.expose_secret(), "/v1/session")
        .await
        .refused(401, "not-signed-in");
    let listed = client.operators(&ListQuery::filter("name=maya")).await;
    let listed = listed.expect("a list").value.items.remove(0);
    let sessions: Vec<_> = listed
        .tokens
        .iter()
        .filter(|row| row.key.is_some())
        .collect();
    assert_eq!(sessions.len(), 1, "{sessions:?}");
    assert_eq!(sessions[0].id, second.id);
    // The stream went over to the new session and was not lost meanwhile.
    let mut revoked = false;
    while !revoked {
        match feed.recv().await.expect("it goes on") {
            Feed::Link(Link::Live | Link::CatchingUp) => {}
            Feed::Item { item, .. } => revoked = item.event.kind == "operator.token_revoked",
            other => panic!("{other:?}"),
        }
    }

    // What is signed to go on with one session is no good for another, nor once that one is gone.
    let mut message = door.message("maya").await;
    message.continues = Some(first.id);
    outside(door.enter(&message).await, "has ended or was signed out");
    door.api.person("noor", &["viewer"], json!({})).await;
    let mut message = door.message("maya").await;
    message.operator = "noor".into();
    message.continues = Some(second.id);
    outside(door.enter(&message).await, "does not know this nonce");
    // Without its person nothing goes on that wants one, or that was given.
    let elsewhere = Signer::Own(Arc::new(OwnKey::generate()));
    let error = access.renew(&elsewhere, &second, clock::now()).await;
    let error = error.expect_err("another key");
    assert!(
        error.to_string().contains("does not hold the key"),
        "{error}"
    );
    assert!(error.may_pass(), "the key may be added again");
    door.api.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sign_in_is_for_one_operator_once_and_soon() {
    let door = Door::set().await;
    let nonce = "does not know this nonce";
    door.api.person("noor", &["admin"], json!({})).await;

    // Her challenge, for another account; another's challenge, for hers.
    let mut message = door.message("maya").await;
    message.operator = "noor".into();
    outside(door.enter(&message).await, nonce);
    let mut message = door.message("noor").await;
    message.operator = "maya".into();
    outside(door.enter(&message).await, nonce);
    // Another's account with her key, and one that is not there: told alike.
    for operator in ["noor", "nobody"] {
        outside(
            door.enter(&door.message(operator).await).await,
            "is not enrolled for you",
        );
    }

    let message = door.message("maya").await;
    door.enter(&message).await.is(201);
    outside(door.enter(&message).await, nonce);

    let nonces = &door.api.broker.engine.signing().nonces;
    let long_ago = clock::now() - LOGIN_LIFE;
    let mut message = door.message("maya").await;
    message.nonce = nonces.issue(login_purpose("maya"), long_ago, LOGIN_LIFE);
    outside(door.enter(&message).await, nonce);
    let mut message = door.message("maya").await;
    message.exp = long_ago;
    outside(door.enter(&message).await, nonce);
    door.api.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sign_in_is_for_this_broker_in_its_own_words() {
    let door = Door::set().await;
    let mut message = door.message("maya").await;
    message.aud = "other.example/log".into();
    outside(door.enter(&message).await, "is for another broker");
    let mut message = door.message("maya").await;
    message.form = "urn:countersign:decision:v1".into();
    outside(door.enter(&message).await, "is for another purpose");

    let message = door.message("maya").await;
    let text = serde_json::to_string_pretty(&message).expect("JSON");
    let signature = door.maya.sign(&login_namespace(ORIGIN), &text);
    outside(knock(&door.api, &text, &signature).await, "canonical form");

    let message = canonical(&door.message("maya").await);
    let signature = door.maya.sign(&approval_namespace(ORIGIN), &message);
    outside(knock(&door.api, &message, &signature).await, "namespace");
    door.api.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_enrolled_key_of_a_person_in_service() {
    let door = Door::set().await;
    let stranger = Person {
        signer: Signer::Own(Arc::new(OwnKey::generate())),
        ..door.api.person("stranger", &["viewer"], json!({})).await
    };
    let text = canonical(&door.message("maya").await);
    let signature = stranger.sign(&login_namespace(ORIGIN), &text);
    outside(
        knock(&door.api, &text, &signature).await,
        "is not enrolled for you",
    );

    // A robot has no key to enrol, so there is none that signs it in.
    let (robot, _) = door
        .api
        .enrol("robot", &["viewer"], json!({"robot": true}))
        .await;
    let path = format!("/v1/operators/{robot}/keys");
    let line = json!({"public_key": stranger.identity().key.line()});
    door.api
        .post(&door.api.admin, &path, line)
        .await
        .refused(403, "separation-of-duties");
    outside(
        door.enter(&door.message("robot").await).await,
        "is not enrolled for you",
    );

    let path = format!("/v1/operators/{}/offboard", door.maya.id);
    door.api
        .post(&door.api.admin, &path, json!({"reason": "left"}))
        .await
        .is(200);
    outside(
        door.enter(&door.message("maya").await).await,
        "is not enrolled for you",
    );
    door.api.stop().await;
}

/// A certification authority, by OpenSSH.
struct Authority(tempfile::TempDir);

impl Authority {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let own = Self(folder);
        own.ssh_keygen(&["-q", "-t", "ed25519", "-N", "", "-f", "ca"]);
        own
    }

    fn ssh_keygen(&self, args: &[&str]) {
        let ran = Command::new("ssh-keygen")
            .args(args)
            .current_dir(self.0.path())
            .output()
            .expect("ssh-keygen is installed");
        assert!(ran.status.success(), "{ran:?}");
    }

    /// The line of a key's public half.
    fn public(&self, name: &str) -> String {
        let text = std::fs::read_to_string(self.0.path().join(format!("{name}.pub")));
        text.expect("ssh-keygen wrote it").trim().to_owned()
    }

    /// A fresh key, and its certificate made with these options.
    fn certify(&self, options: &[&str]) -> (Signer, Identity) {
        let own = OwnKey::generate();
        let file = self.0.path().join("key.pub");
        std::fs::write(&file, own.public().line()).expect("the folder is writable");
        let make = [&["-q", "-s", "ca", "-I", "test"], options, &["key.pub"]].concat();
        self.ssh_keygen(&make);
        let text = std::fs::read_to_string(self.0.path().join("key-cert.pub"));
        let text = text.expect("ssh-keygen wrote it");
        let encoded = text.split(' ').nth(1).expect("a line");
        use base64::{Engine as _, engine::general_purpose::STANDARD};
        let identity = Identity {
            blob: STANDARD.decode(encoded).expect("base64"),
            key: own.public().clone(),
            certificate: true,
            comment: String::new(),
        };
        (Signer::Own(Arc::new(own)), identity)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kinds_of_keys_that_are_strong_enough() {
    let door = Door::set().await;
    let keys = Authority::new();
    let path = format!("/v1/operators/{}/keys", door.maya.id);
    let enrol = async |line: &str| {
        let body = json!({"public_key": line});
        door.api.post(&door.api.admin, &path, body).await
    };
    for (name, kind, bits) in [
        ("p256", "ecdsa", "256"),
        ("p384", "ecdsa", "384"),
        ("p521", "ecdsa", "521"),
        ("rsa3072", "rsa", "3072"),
    ] {
        keys.ssh_keygen(&["-q", "-t", kind, "-b", bits, "-N", "", "-f", name]);
        enrol(&keys.public(name)).await.is(200);
    }
    keys.ssh_keygen(&["-q", "-t", "rsa", "-b", "2048", "-N", "", "-f", "rsa2048"]);
    let weak = keys.public("rsa2048");
    for (line, why) in [
        (weak.as_str(), "2048 bits"),
        ("ssh-dss AAAAB3NzaC1kc3M=", "ssh-dss"),
        ("ssh-ed25519 AAAA", "damaged"),
        (
            "-----BEGIN OPENSSH PRIVATE KEY-----",
            "one line as in a .pub file",
        ),
    ] {
        let answer = enrol(line).await.refused(422, "invalid");
        let error = &answer.json()["errors"][0];
        assert_eq!(error["pointer"], "/public_key");
        assert!(error.to_string().contains(why), "{error}");
    }
    door.api.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_by_a_configured_authority_for_this_person_now() {
    let (trusted, other) = (Authority::new(), Authority::new());
    let api = Api::with_config(BrokerConfig {
        login: Login {
            ssh_authorities: vec![trusted.public("ca")],
            ..Login::default()
        },
        ..BrokerConfig::default()
    })
    .await;
    api.enrol("maya", &["viewer"], json!({})).await;
    api.enrol("robot", &["viewer"], json!({"robot": true}))
        .await;
    let enter = async |operator: &str, (signer, identity): (Signer, Identity)| {
        let text = canonical(&challenged(&api, operator).await);
        let signature = signer.sign(&identity, &login_namespace(ORIGIN), text.as_bytes());
        knock(&api, &text, &signature.expect("its own key signs")).await
    };
    let good = trusted.certify(&["-n", "maya", "-V", "+1h"]);
    let minted = enter("maya", good).await.is(201).json();
    let token = minted["token"].as_str().expect("a token");
    let session = api.get(token, "/v1/session").await.is(200).json();
    assert_eq!(session["name"], "maya");

    let mine = &["-n", "maya", "-V", "+1h"][..];
    outside(
        enter("maya", other.certify(mine)).await,
        "not by a certification authority that this broker trusts",
    );
    for (options, why) in [
        (&["-n", "noor", "-V", "+1h"][..], "is not for maya"),
        (&["-V", "+1h"], "is not for maya"),
        (
            &["-n", "maya", "-V", "20200101:20200102"],
            "is not valid at this time",
        ),
        (&["-h", "-n", "maya", "-V", "+1h"], "a host's certificate"),
        (
            &["-n", "maya", "-V", "+1h", "-O", "source-address=10.0.0.0/8"],
            "is limited by source-address",
        ),
    ] {
        outside(enter("maya", trusted.certify(options)).await, why);
    }
    // The certificate of a robot's name signs nobody in.
    let robots = trusted.certify(&["-n", "robot", "-V", "+1h"]);
    enter("robot", robots)
        .await
        .refused(403, "separation-of-duties");
    api.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_denial_is_signed_and_checked_by_stock_openssh() {
    let scene = Scene::set().await;
    let path = format!("/v1/requests/{}/denials", scene.request);
    let deny = async |body: Value| scene.api.post(&scene.maya.token, &path, body).await;
    let digest = scene.said().await.request.digest;
    let silent = json!({"digest": digest, "reason": "too wide"});
    let told = deny(silent).await.refused(403, "separation-of-duties");
    assert!(told.text.contains("unsigned"), "{told:?}");
    // What was signed to approve denies nothing.
    let yes = scene.said().await;
    deny(scene.api.approval(&scene.maya, &yes))
        .await
        .refused(409, "conflict");

    let no = || {
        scene
            .api
            .says(&scene.maya, &scene.request, Decision::Deny, "too wide")
    };
    let said = no().await;
    // And the other way round.
    scene
        .send(&scene.api.approval(&scene.maya, &said))
        .await
        .refused(409, "conflict");
    let said = no().await;
    assert_eq!(said.form, "urn:countersign:denial:v1");
    deny(scene.api.approval(&scene.maya, &said)).await.is(200);
    let path = format!("/v1/requests/{}", scene.request);
    let detail = scene.api.get(&scene.maya.token, &path).await.is(200).json();
    let key = scene.maya.identity().key.fingerprint();
    assert_eq!(
        detail["end_proof"],
        json!({"proof": "ssh_signature", "key": key, "hardware": false})
    );
    let log = scene.api.broker.engine.events(1, 4_000).await;
    let denied = log.expect("the log").into_iter().find_map(|recorded| {
        let event = serde_json::to_value(&recorded.event).expect("JSON");
        (event["type"] == "request.denied").then(|| event["data"]["ending"]["proof"].clone())
    });
    crate::policies::verified(&scene.api, "maya", &denied.expect("a denial"));
    scene.api.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_has_no_key_at_hand_denies_all_the_same_and_the_record_says_so() {
    let scene = Scene::set().await;
    let path = format!("/v1/requests/{}/denials", scene.request);
    let digest = scene.said().await.request.digest;
    let body = json!({"digest": digest, "reason": "stolen laptop", "unsigned": true});
    scene.api.post(&scene.maya.token, &path, body).await.is(200);
    let path = format!("/v1/requests/{}", scene.request);
    let detail = scene.api.get(&scene.maya.token, &path).await.is(200).json();
    assert_eq!(detail["row"]["state"], "denied");
    assert_eq!(
        detail["end_proof"],
        json!({"proof": "token", "key": null, "hardware": false})
    );
    scene.api.stop().await;
}
