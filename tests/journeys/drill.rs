//! A key turns up where it should not be: one command finds what it is, has it rotated without an outage, revokes it, and
//! follows that until real gateways refuse it; the page for the postmortem is written from the log.

use crate::gateways::{Front, Scene};
use crate::support::cli::{cli, command};
use crate::support::company::{PATIENCE, done};
use crate::support::{BrokerProcess, wait_until};
use axum::Router;
use countersign::client::Once;
use countersign::secret::digest_of;
use countersign::wire::{Adoption, Environment, Kind, NewClient, Tier};
use std::io::Write as _;
use std::process::Stdio;

const KEY: &str = "a key that was pasted into a chat";

fn shown(front: &Front) -> u16 {
    let bearer = format!("Authorization: Bearer {KEY}");
    front.call("/orders", &[&bearer]).0
}

#[tokio::test(flavor = "multi_thread")]
async fn a_found_key_is_refused_by_every_gateway_without_an_outage() {
    let broker = BrokerProcess::start("");
    let (url, admin) = (broker.url().to_owned(), broker.admin_token());
    let file = broker.path("drill.md");
    let client = broker.client(&admin);
    let new = NewClient {
        name: "orders-api".into(),
        owner: "payments".into(),
        contact: "payments@example".into(),
        environment: Environment::Production,
        tier: Tier::High,
        dependents: vec!["checkout".into()],
    };
    let owner = done(client.add_client(&new, &Once::new()).await).subject;
    let adoption = Adoption {
        name: "orders/key".into(),
        environment: Environment::Production,
        kind: Kind::ApiKey,
        issuer: "countersign".into(),
        client: owner.parse().unwrap(),
        owner: "payments".into(),
        audience: "orders".into(),
        scopes: vec!["orders:read".into()],
        tier: Tier::High,
        tags: Vec::new(),
        digest: digest_of(KEY),
        issued_at: countersign::clock::now() - chrono::TimeDelta::hours(1),
        expires_at: None,
        cadence_s: None,
    };
    let adopted = done(client.adopt(&adoption, &Once::new()).await).subject;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let upstream = listener.local_addr().unwrap().port();
    let reached = Router::new().fallback(async || "reached");
    tokio::spawn(async move { axum::serve(listener, reached).await });
    let scene = Scene::over(broker, adopted.parse().unwrap(), upstream);
    let fronts = [
        scene.front("edge-asks", "nginx", &[]).await,
        scene.front("edge-keeps", "nginx", &["--cache", "2s"]).await,
    ];
    for front in &fronts {
        assert_eq!(shown(front), 200, "{}", front.name);
    }

    let mut drill = command(&url, &admin);
    drill.args(["drill", "--rotate-then-revoke", "--yes", "--within", "60s"]);
    drill.args(["--reason", "pasted into a chat", "-o", "json", "--timeline"]);
    drill.arg(&file);
    let mut drill = drill
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drill
        .stdin
        .take()
        .unwrap()
        .write_all(KEY.as_bytes())
        .unwrap();
    // Until the newer version is in use nothing is refused: whoever uses the key goes on working.
    let id = wait_until(
        PATIENCE,
        "the newer version can be put into use",
        async || {
            let listed = cli(&url, &admin, &["rotation", "list", "-o", "json"]).expect(0);
            let rows = listed.json();
            let id = rows.as_array()?.first()?["id"].as_str()?.to_owned();
            let shown = cli(&url, &admin, &["rotation", "show", &id, "-o", "json"]);
            (shown.expect(0).json()["row"]["step"] == 3).then_some(id)
        },
    )
    .await;
    for front in &fronts {
        assert_eq!(shown(front), 200, "{} while {id} goes on", front.name);
    }
    cli(
        &url,
        &admin,
        &["credential", "promote", "orders/key", "--yes"],
    )
    .expect(0);
    let output = tokio::task::spawn_blocking(move || drill.wait_with_output()).await;
    let output = output.unwrap().unwrap();
    let err = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{err}");
    for part in [
        "orders/key in production, version 1",
        "ACCEPTED NOW",
        "checkout",
        "payments@example",
        "Gateways that it can be shown to: 2",
        "at edge-asks from 127.0.0.0/24, accepted 1",
        "edge-asks refuses it after",
        "edge-keeps refuses it after",
        "2 of 2 gateways refuse it",
        "Refused: the broker says so",
    ] {
        assert!(err.contains(part), "{part} in\n{err}");
    }
    // What the command says is so: at the gateways themselves.
    for front in &fronts {
        assert_eq!(shown(front), 401, "{}", front.name);
    }
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["revocation"]["row"]["state"], "propagated");
    assert_eq!(report["revocation"]["row"]["applied"], 2);
    let page = std::fs::read_to_string(&file).unwrap();
    for part in [
        "| rotation.started |",
        "| revocation.effective |",
        "| revocation.applied |",
        "| edge-keeps |",
        "Time to revoke:",
    ] {
        assert!(page.contains(part), "{part} in\n{page}");
    }
    assert!(!page.contains(KEY) && !err.contains(KEY), "{page}{err}");
}
