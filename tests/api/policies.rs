//! A change of policy over HTTP: refused where it does not hold, decided by its quorum, in force at once, there again
//! after a restart, and honest about what it would have decided.

use crate::harness::{Answer, Api, Person};
use countersign::{
    domain::{Decision, Event, PolicyStatement},
    policy::Bundle,
    wire::{policy_digest, signing::approval_namespace},
};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::process::{Command, Stdio};

/// The shipped policy with a difference that changes nothing.
pub fn variant(number: u32) -> BTreeMap<String, String> {
    let mut files = Bundle::shipped().files().clone();
    files
        .get_mut("issue.rego")
        .expect("a file of it")
        .push_str(&format!("\n# {number}\n"));
    files
}

/// One that asks for two people where one was asked for, its cases with it.
fn stricter() -> BTreeMap<String, String> {
    let mut files = Bundle::shipped().files().clone();
    let tiers =
        files["tiers.json"].replace(r#""elevated": {"count": 1,"#, r#""elevated": {"count": 2,"#);
    files.insert("tiers.json".into(), tiers);
    for (name, text) in &mut files {
        if name.starts_with("cases/") {
            *text = text
                .lines()
                .filter(|line| !line.contains("\"approvals\": 1"))
                .map(|line| line.to_owned() + "\n")
                .collect::<String>()
                .replace("},\n  ]", "}\n  ]");
        }
    }
    files
}

/// The identifier of a proposal of [`variant`], by whom `token` signs in.
pub async fn propose(api: &Api, token: &str, number: u32) -> String {
    let base = api.broker.engine.state().policy_version();
    let body = json!({"files": variant(number), "base": base, "reason": "tighter"});
    api.post(token, "/v1/policies/proposals", body)
        .await
        .is(201)
        .subject()
}

struct People {
    opal: String,
    ana: Person,
    ben: Person,
}

async fn people(api: &Api) -> People {
    let security = || json!({"groups": ["security"]});
    People {
        opal: api.enrol("opal", &["operator"], json!({})).await.1,
        ana: api.person("ana", &["approver"], security()).await,
        ben: api.person("ben", &["approver"], security()).await,
    }
}

/// The signed approval of `person`.
async fn decide(api: &Api, person: &Person, id: &str) -> Value {
    let said = api
        .says_policy(person, id, Decision::Approve, "looks right")
        .await;
    let body = api.policy_decision(person, &said);
    let path = format!("/v1/policies/proposals/{id}/approvals");
    api.post(&person.token, &path, body).await.is(200).json()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_policy_comes_in_force_by_its_quorum_and_is_there_after_a_restart() {
    let api = Api::start().await;
    let who = people(&api).await;
    let client = api.client("shop", "production").await;
    let ask = |name: &str| Api::asking(name, &client, "production", &["orders:read"]);
    let first = api
        .post(&who.opal, "/v1/requests", ask("before"))
        .await
        .is(201)
        .subject();
    let path = format!("/v1/requests/{first}");
    let before = api.get(&who.ana.token, &path).await.is(200).json();
    assert_eq!(before["quorum"]["count"], 1, "{before}");

    let files = stricter();
    let body = json!({"files": files, "base": 1, "reason": "two for whatever is elevated"});
    let id = api
        .post(&who.opal, "/v1/policies/proposals", body)
        .await
        .is(201)
        .subject();
    let shown = api
        .get(&who.ana.token, &format!("/v1/policies/proposals/{id}"))
        .await
        .is(200)
        .json();
    assert_eq!(shown["may_decide"]["allowed"], true);
    assert_eq!(shown["row"]["needed"], 2);
    assert_eq!(shown["files"], json!(files));
    assert_eq!(shown["before"], json!(Bundle::shipped().files()));
    let own = api
        .get(&who.opal, &format!("/v1/policies/proposals/{id}"))
        .await
        .is(200)
        .json();
    assert_eq!(own["may_decide"]["rule"], "proposer-never-counts");

    // What it would have decided, on the facts as they were.
    let tried = api
        .post(&who.opal, "/v1/policies/simulate", json!({"proposal": id}))
        .await
        .is(200)
        .json();
    assert_eq!(
        (&tried["decisions"], &tried["differ"]),
        (&json!(1), &json!(1))
    );
    let differs = &tried["differences"][0];
    assert_eq!(differs["request"], json!(first));
    assert_eq!(differs["before"]["approvals"], 1);
    assert_eq!(differs["after"]["approvals"], 2);
    // The policy in force, tried on its own decisions, would decide them the same.
    let body = json!({"files": variant(1), "days": 1});
    let tried = api
        .post(&who.ana.token, "/v1/policies/simulate", body)
        .await
        .is(200)
        .json();
    assert_eq!(
        (&tried["decisions"], &tried["differ"]),
        (&json!(1), &json!(0))
    );

    assert_eq!(
        decide(&api, &who.ana, &id).await["state"],
        "awaiting_approval"
    );
    assert_eq!(decide(&api, &who.ben, &id).await["state"], "in_force");
    let all = api.get(&who.ana.token, "/v1/policies").await.is(200).json();
    assert_eq!(all["in_force"], 2);
    assert_eq!(all["versions"][0]["approved_by"], json!(["ana", "ben"]));
    assert_eq!(all["versions"][1]["version"], 1);

    let asked = async |api: &Api, name: &str| {
        let id = api
            .post(&who.opal, "/v1/requests", ask(name))
            .await
            .is(201)
            .subject();
        api.get(&who.ana.token, &format!("/v1/requests/{id}"))
            .await
            .is(200)
            .json()
    };
    let after = asked(&api, "after").await;
    assert_eq!(after["quorum"]["count"], 2, "{after}");
    assert!(after["policy"].as_str().unwrap().contains('2'), "{after}");
    let api = api.restart().await;
    let again = asked(&api, "again").await;
    assert_eq!(again["quorum"]["count"], 2, "{again}");
    let text = api
        .get(&who.ana.token, "/v1/policies/2")
        .await
        .is(200)
        .json();
    assert_eq!(text["files"], json!(files));
    api.get(&who.ana.token, "/v1/policies/3")
        .await
        .refused(404, "not-found");
    api.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_does_not_hold_is_refused_with_file_and_line_and_the_old_one_stays() {
    let api = Api::start().await;
    let who = people(&api).await;
    let mut broken = variant(1);
    broken.insert(
        "risk.rego".into(),
        "package countersign.issue\nx if {".into(),
    );
    let mut failing = variant(2);
    failing.insert(
        "weights.json".into(),
        failing["weights.json"].replace("production\": 30", "production\": 0"),
    );
    let mut long = variant(3);
    long.insert("notes.rego".into(), "# long\n".repeat(3_000));
    let mut stray = variant(4);
    stray.insert("run.sh".into(), "true".into());
    for (files, pointer, words) in [
        (broken, "/files/risk.rego", "risk.rego:2: "),
        (failing, "/files/cases~1", "expected outcome needs"),
        (long, "/files", "fit one leaf"),
        (stray, "/files/run.sh", "expected NAME.rego"),
    ] {
        let body = json!({"files": files, "base": 1, "reason": "x"});
        let refused = api
            .post(&who.opal, "/v1/policies/proposals", body)
            .await
            .refused(422, "invalid");
        let fields = refused.json()["errors"].clone();
        assert!(
            fields
                .as_array()
                .unwrap()
                .iter()
                .any(
                    |field| field["pointer"].as_str().unwrap().starts_with(pointer)
                        && field["detail"].as_str().unwrap().contains(words)
                ),
            "{pointer}: {fields}"
        );
    }
    let body = json!({"files": {"a.rego": "#".repeat(70_000)}, "base": 1, "reason": "x"});
    api.post(&who.opal, "/v1/policies/proposals", body)
        .await
        .refused(413, "too-large");
    let body = json!({"files": variant(5), "base": 2, "reason": "x"});
    api.post(&who.opal, "/v1/policies/proposals", body)
        .await
        .refused(409, "conflict");
    let body = json!({"files": {}});
    api.post(&who.opal, "/v1/policies/simulate", body)
        .await
        .refused(422, "invalid");
    let all = api.get(&who.opal, "/v1/policies").await.is(200).json();
    assert_eq!(all["in_force"], 1);
    assert_eq!(all["proposals"], json!([]));

    let id = propose(&api, &who.opal, 6).await;
    let path = format!("/v1/policies/proposals/{id}/approvals");
    let wrong = json!({"digest": policy_digest(&variant(7))});
    api.post(&who.ana.token, &path, wrong)
        .await
        .refused(409, "conflict");
    api.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_decision_is_by_the_policy_in_force_where_it_stands_in_the_log() {
    let api = Api::start().await;
    let who = people(&api).await;
    let client = api.client("shop", "production").await;
    let id = propose(&api, &who.opal, 1).await;
    decide(&api, &who.ana, &id).await;
    let asked = (0..64).map(|number| {
        let name = format!("racing-{number}");
        let body = Api::asking(&name, &client, "production", &["orders:read"]);
        api.post(&who.opal, "/v1/requests", body)
    });
    let (answers, _) = tokio::join!(
        futures_util::future::join_all(asked),
        decide(&api, &who.ben, &id)
    );
    let mut done = 0;
    for answer in answers {
        if answer.status.is_success() {
            done += 1;
        } else {
            let answer = answer.refused(409, "conflict");
            assert!(
                answer.text.contains("came in force while version 1"),
                "{answer:?}"
            );
        }
    }
    let engine = &api.broker.engine;
    // What waits is evaluated again when another policy comes in force, so the requests are counted.
    let (mut in_force, mut evaluated) = (1, BTreeSet::new());
    for recorded in engine.events(1, 4_000).await.expect("the log") {
        match recorded.event {
            Event::PolicyInForce { version, .. } => in_force = version,
            Event::RequestEvaluated {
                request,
                evaluation,
                ..
            } => {
                evaluated.insert(request);
                assert_eq!(evaluation.policy_version, in_force.to_string());
            }
            _ => {}
        }
    }
    assert_eq!((in_force, evaluated.len()), (2, done));
    api.stop().await;
}

/// Sends what `person` signed about `signed` to the proposal `to`, after `change`.
async fn send(
    api: &Api,
    person: &Person,
    (signed, to): (&str, &str),
    change: impl FnOnce(&mut PolicyStatement),
) -> Answer {
    let mut said = api
        .says_policy(person, signed, Decision::Approve, "looks right")
        .await;
    change(&mut said);
    let path = format!("/v1/policies/proposals/{to}/approvals");
    let body = api.policy_decision(person, &said);
    api.post(&person.token, &path, body).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_signature_is_good_for_one_proposal_at_one_broker_and_its_text() {
    let api = Api::start().await;
    let who = people(&api).await;
    let id = propose(&api, &who.opal, 1).await;
    let other = propose(&api, &who.opal, 2).await;
    let path = format!("/v1/policies/proposals/{id}/approvals");
    let unsigned = json!({"digest": policy_digest(&variant(1))});
    api.post(&who.ana.token, &path, unsigned)
        .await
        .refused(403, "separation-of-duties");

    // Replayed on another proposal: its nonce is for the first.
    send(&api, &who.ana, (&other, &id), |_| {})
        .await
        .refused(403, "signature-refused");
    let told = send(&api, &who.ana, (&id, &id), |said| {
        said.aud = "other.example/log".into();
    });
    told.await.refused(403, "signature-refused");
    let told = send(&api, &who.ana, (&id, &id), |said| {
        said.log.root = "AAAA".into();
    });
    told.await.refused(403, "signature-refused");
    let told = send(&api, &who.ana, (&id, &id), |said| {
        said.base.digest = said.proposal.digest;
    });
    told.await.refused(409, "conflict");

    // The signed bytes and no others; and once only.
    let said = api
        .says_policy(&who.ana, &id, Decision::Approve, "looks right")
        .await;
    let honest = api.policy_decision(&who.ana, &said);
    let mut tampered = honest.clone();
    let payload = tampered["signed"]["payload"].as_str().expect("text");
    tampered["signed"]["payload"] = json!(payload.replace("\"version\":2", "\"version\":3"));
    api.post(&who.ana.token, &path, tampered)
        .await
        .refused(403, "signature-refused");
    api.post(&who.ana.token, &path, honest.clone())
        .await
        .is(200);
    api.post(&who.ana.token, &path, honest)
        .await
        .refused(403, "signature-refused");
    api.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_is_removed_in_between_takes_its_approval_with_it() {
    let api = Api::start().await;
    let who = people(&api).await;
    let id = propose(&api, &who.opal, 1).await;
    decide(&api, &who.ana, &id).await;
    let path = format!("/v1/operators/{}/keys/remove", who.ana.id);
    let fingerprint = who.ana.identity().key.fingerprint();
    let remove = json!({"fingerprint": fingerprint, "reason": "lost"});
    api.post(&api.admin, &path, remove).await.is(200);
    assert_eq!(
        decide(&api, &who.ben, &id).await["state"],
        "awaiting_approval"
    );
    let path = format!("/v1/policies/proposals/{id}");
    let shown = api.get(&who.ben.token, &path).await.is(200).json();
    assert_eq!(shown["row"]["approvals"], 1, "{shown}");
    assert_eq!(
        shown["approvals"][0]["void"],
        "the key that signed it was taken out of use"
    );
    api.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_recorded_of_a_policy_is_checked_by_stock_openssh() {
    let api = Api::start().await;
    let who = people(&api).await;
    let id = propose(&api, &who.opal, 1).await;
    decide(&api, &who.ana, &id).await;
    let said = api
        .says_policy(&who.ben, &id, Decision::Deny, "too wide")
        .await;
    let path = format!("/v1/policies/proposals/{id}/denials");
    let silent = json!({"digest": said.proposal.digest, "reason": "too wide"});
    api.post(&who.ben.token, &path, silent)
        .await
        .refused(403, "separation-of-duties");
    let body = api.policy_decision(&who.ben, &said);
    api.post(&who.ben.token, &path, body).await.is(200);
    let path = format!("/v1/policies/proposals/{id}");
    let shown = api.get(&who.opal, &path).await.is(200).json();
    assert_eq!(shown["end_proof"]["proof"], "ssh_signature", "{shown}");

    let mut checked = 0;
    for recorded in api.broker.engine.events(1, 4_000).await.expect("the log") {
        let event = serde_json::to_value(&recorded.event).expect("JSON");
        let data = &event["data"];
        let (by, proof) = match recorded.event {
            Event::PolicyApprovalGiven { .. } => ("ana", &data["approval"]["proof"]),
            Event::PolicyDenied { .. } => ("ben", &data["ending"]["proof"]),
            _ => continue,
        };
        verified(&api, by, proof);
        checked += 1;
    }
    assert_eq!(checked, 2);
    api.stop().await;
}

/// `ssh-keygen -Y verify` accepts what a leaf holds, and nothing else.
pub fn verified(api: &Api, by: &str, proof: &Value) {
    let folder = tempfile::tempdir().expect("a folder");
    let text = |name: &str| proof[name].as_str().expect("text").to_owned();
    let file = |name: &str| folder.path().join(name);
    std::fs::write(file("allowed_signers"), text("allowed_signer") + "\n").expect("written");
    std::fs::write(file("statement.json.sig"), text("signature")).expect("written");
    let namespace = approval_namespace(api.broker.engine.origin());
    let check = |message: &str| {
        let mut child = Command::new("ssh-keygen")
            .args(["-Y", "verify", "-f", "allowed_signers", "-I", by, "-n"])
            .args([&namespace, "-s", "statement.json.sig"])
            .current_dir(folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("ssh-keygen is installed");
        let mut stdin = child.stdin.take().expect("a pipe");
        stdin.write_all(message.as_bytes()).expect("written");
        drop(stdin);
        child.wait().expect("it ends").success()
    };
    let payload = text("payload");
    assert!(check(&payload), "{proof}");
    assert!(!check(&payload.replace("too wide", "fine")) || !payload.contains("too wide"));
    assert!(!check(&format!("{payload} ")));
}
