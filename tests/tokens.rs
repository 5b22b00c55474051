//! Signed tokens, as whoever checks them by themselves sees them: PyJWT, joserfc, two readers of status lists, and
//! OpenBao's own `auth/jwt`; on the built program.

#![expect(
    clippy::unwrap_used,
    reason = "a panic in a test's helper is its report"
)]

mod support;

use countersign::client::Once;
use countersign::wire::revocation::Revoke;
use countersign::wire::rotation::Rotate;
use countersign::wire::{CredentialId, Environment, Kind, NewRequest, Reason, RequestState};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::io::Write as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use support::company::{PATIENCE, approve, done, reaches};
use support::{BrokerProcess, Company, OpenBao, cli, wait_until};

const AUDIENCE: &str = "https://orders.example";

/// `COUNTERSIGN_TEST_PYTHON`, or where `tests/run.sh` makes its environment.
fn python() -> PathBuf {
    std::env::var_os("COUNTERSIGN_TEST_PYTHON").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("target/tools/bin/python"),
        PathBuf::from,
    )
}

/// What a foreign reader says of `text`; its complaint if it does not accept it.
fn read(args: &[&str], text: &str) -> Result<Value, String> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tokens/read.py");
    let mut child = Command::new(python())
        .arg(script)
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("tests/run.sh installs Python");
    child
        .stdin
        .take()
        .unwrap()
        .write_all(text.as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    if output.status.success() {
        Ok(serde_json::from_slice(&output.stdout).unwrap())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

struct Scene {
    broker: BrokerProcess,
    company: Company,
}

/// A token that was given out.
struct Given {
    credential: CredentialId,
    token: String,
}

impl Scene {
    async fn set(more: &str) -> Self {
        let broker = BrokerProcess::start_with(|url| {
            format!(
                "[tokens]\nissuer = \"{url}\"\n{more}\n\
                 [issuer.es]\ntype = \"jwt\"\nalgorithm = \"ES256\"\n\
                 [issuer.rs]\ntype = \"jwt\"\nalgorithm = \"RS256\"\n"
            )
        });
        let company = Company::found(&broker, 2).await;
        Self { broker, company }
    }

    fn url(&self) -> &str {
        self.broker.url()
    }

    /// Asks, has it approved, and takes it.
    async fn given(&self, name: &str, issuer: &str) -> Given {
        let request = NewRequest {
            credential: name.into(),
            environment: Environment::Production,
            kind: Kind::Jwt,
            issuer: Some(issuer.into()),
            role: String::new(),
            client: self.company.client,
            audience: AUDIENCE.into(),
            scopes: vec!["orders:read".into()],
            ttl_s: 900,
            reason: "the nightly report".into(),
            owner: None,
            tags: Vec::new(),
            destination: None,
            dry_run: false,
        };
        let asked = done(self.company.robot.ask(&request, &Once::new()).await);
        let id = asked.subject.parse().unwrap();
        if asked.state == "awaiting_approval" {
            for person in &self.company.approvers {
                let seen = self.company.admin.request(id).await.unwrap().value;
                if seen.row.state == RequestState::AwaitingApproval {
                    approve(person, id).await;
                }
            }
        }
        reaches(&self.company.admin, id, RequestState::Issued).await;
        let claimed = done(self.company.robot.claim(id, &Once::new()).await);
        Given {
            credential: claimed.credential,
            token: claimed.secret["token"].clone(),
        }
    }

    /// Rotates it by hand, and takes the newer token.
    async fn rotated(&self, credential: CredentialId) -> String {
        let body = Rotate {
            cause: None,
            reason: "CHG-7".into(),
        };
        let rotated = done(
            self.company
                .operator
                .rotate(credential, &body, &Once::new())
                .await,
        );
        let id = rotated.subject.parse().unwrap();
        let claimed = wait_until(PATIENCE, "the newer token is there", async || {
            let outcome = self.company.robot.claim_rotation(id, &Once::new()).await;
            outcome.into_result().ok().map(|answer| answer.value)
        })
        .await;
        claimed.secret["token"].clone()
    }

    fn claims(&self, token: &str, algorithm: &str) -> Result<Value, String> {
        read(&["token", self.url(), AUDIENCE, algorithm], token)
    }

    /// What both readers of status lists say.
    fn status(&self, token: &str) -> u64 {
        let read = read(&["status", self.url()], token).unwrap();
        assert_eq!(read["openvc"], read["token_status_list"], "{read}");
        assert_eq!(read["size"], 131_072);
        read["openvc"].as_u64().unwrap()
    }

    async fn introspected(&self, token: &str) -> Value {
        let call = reqwest::Client::new()
            .post(format!("{}/v1/introspect", self.url()))
            .bearer_auth(self.broker.admin_token())
            .json(&json!({ "token": token }));
        call.send().await.unwrap().json().await.unwrap()
    }

    /// What a gateway is told of the token: the status and the reason.
    async fn at_gateway(&self, gateway: &str, token: &str) -> (u16, String) {
        let secret = std::fs::read_to_string(self.broker.path(&format!("{gateway}.token")));
        let call = reqwest::Client::new()
            .get(format!("{}/authz/{gateway}", self.url()))
            .bearer_auth(token)
            .header("Countersign-Gateway-Token", secret.unwrap().trim())
            .header("X-Original-Method", "GET")
            .header("X-Original-URI", "/orders");
        let answer = call.send().await.unwrap();
        let reason = answer.headers().get("x-countersign-reason");
        let reason = reason.map_or("", |reason| reason.to_str().unwrap());
        (answer.status().as_u16(), reason.to_owned())
    }

    fn register(&self, gateway: &str, audience: &str) {
        let file = self.broker.path(&format!("{gateway}.token"));
        let file = file.to_str().unwrap();
        let add = [
            "gateway",
            "add",
            gateway,
            "--profile",
            "nginx",
            "--env",
            "production",
            "--audience",
            audience,
            "--out",
            file,
        ];
        cli(self.url(), &self.broker.admin_token(), &add).expect(0);
    }

    /// The names of the published keys.
    async fn published(&self) -> BTreeSet<String> {
        let url = format!("{}/.well-known/jwks.json", self.url());
        let set: Value = reqwest::get(url).await.unwrap().json().await.unwrap();
        let keys = set["keys"].as_array().unwrap().iter();
        keys.map(|key| key["kid"].as_str().unwrap().to_owned())
            .collect()
    }

    /// The events of this type.
    async fn events(&self, kind: &str) -> Vec<Value> {
        let call = reqwest::Client::new()
            .get(format!("{}/v1/log/events", self.url()))
            .query(&[("filter", format!("type:{kind}"))])
            .bearer_auth(self.broker.admin_token());
        let page: Value = call.send().await.unwrap().json().await.unwrap();
        page["items"].as_array().unwrap().clone()
    }

    async fn because(&self, change: &str, credential: CredentialId) {
        let (operator, once) = (&self.company.operator, Once::new());
        let reason = Reason {
            reason: "INC-7".into(),
        };
        match change {
            "quarantine" => drop(done(operator.quarantine(credential, &reason, &once).await)),
            "release" => drop(done(
                self.company.admin.release(credential, &reason, &once).await,
            )),
            _ => {
                let body = Revoke {
                    version: None,
                    reason: reason.reason,
                };
                done(operator.revoke(credential, &body, &once).await);
            }
        }
    }
}

fn header(token: &str) -> Value {
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
    let part = token.split('.').next().unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn foreign_readers_accept_tokens_and_see_what_was_withdrawn() {
    let scene = Scene::set("status_ttl_s = 60").await;
    scene.register("orders", AUDIENCE);
    scene.register("billing", "https://billing.example");
    for (issuer, algorithm) in [("es", "ES256"), ("rs", "RS256")] {
        let given = scene.given(&format!("orders/{issuer}"), issuer).await;
        let token = &given.token;
        let claims = scene.claims(token, algorithm).unwrap();
        assert_eq!(claims["sub"], format!("orders/{issuer}"));
        assert_eq!(claims["client_id"], scene.company.client.to_string());
        assert_eq!(claims["scope"], "orders:read");
        let life = claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap();
        assert_eq!(life, 900, "what was approved, and no more");

        let told = scene.introspected(token).await;
        assert_eq!(told["active"], true, "{told}");
        for name in [
            "iss",
            "sub",
            "aud",
            "client_id",
            "scope",
            "exp",
            "jti",
            "environment",
        ] {
            assert_eq!(told[name], claims[name], "{name}");
        }
        assert_eq!(scene.at_gateway("orders", token).await.0, 200);
        let elsewhere = scene.at_gateway("billing", token).await;
        assert_eq!(elsewhere, (401, "other_audience".into()));

        assert_eq!(scene.status(token), 0);
        scene.because("quarantine", given.credential).await;
        assert_eq!(scene.status(token), 2, "suspended in the very next answer");
        scene.because("release", given.credential).await;
        assert_eq!(scene.status(token), 0);
        let newer = scene.rotated(given.credential).await;
        assert_eq!(
            scene.claims(&newer, algorithm).unwrap()["sub"],
            claims["sub"]
        );
        assert_eq!((scene.status(token), scene.status(&newer)), (0, 0));
        scene.because("revoke", given.credential).await;
        for token in [token, &newer] {
            assert_eq!(scene.status(token), 1);
            assert_eq!(scene.introspected(token).await, json!({"active": false}));
            let refused = scene.at_gateway("orders", token).await;
            assert_eq!(refused, (401, "revoked".into()));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn forgeries_are_refused_by_all() {
    let scene = Scene::set("").await;
    scene.register("orders", AUDIENCE);
    let given = scene.given("orders/es", "es").await;
    let kid = header(&given.token)["kid"].as_str().unwrap().to_owned();
    let key = scene.broker.data().join(format!("token-keys/{kid}.key"));
    assert_eq!(std::fs::metadata(&key).unwrap().mode() & 0o7777, 0o600);
    // The two libraries refuse all but the last, or this fails.
    let forged = read(&["forge", scene.url(), key.to_str().unwrap()], &given.token).unwrap();
    let forged = forged.as_object().unwrap();
    assert_eq!(forged.len(), 11);
    for (name, token) in forged {
        let token = token.as_str().unwrap();
        let told = scene.introspected(token).await;
        assert_eq!(told, json!({"active": false}), "{name}");
        let refused = scene.at_gateway("orders", token).await;
        assert_eq!(refused, (401, "unknown".into()), "{name}");
    }
    assert_eq!(scene.at_gateway("orders", &given.token).await.0, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vault_logs_in_with_a_token() {
    let scene = Scene::set("").await;
    let bao = OpenBao::start().await;
    bao.root("POST", "sys/auth/jwt", json!({"type": "jwt"}))
        .await;
    let config = json!({"jwks_url": format!("{}/.well-known/jwks.json", scene.url()),
        "bound_issuer": scene.url(), "jwt_supported_algs": ["ES256", "RS256"]});
    bao.root("POST", "auth/jwt/config", config).await;
    let role = json!({"role_type": "jwt", "user_claim": "sub", "bound_audiences": [AUDIENCE],
        "bound_claims": {"client_id": scene.company.client.to_string()}, "token_policies": ["default"]});
    bao.root("POST", "auth/jwt/role/orders", role).await;
    for issuer in ["es", "rs"] {
        let given = scene.given(&format!("orders/{issuer}"), issuer).await;
        let login = |token: &str| json!({"role": "orders", "jwt": token});
        let answer = bao
            .call("", "POST", "auth/jwt/login", login(&given.token))
            .await;
        let answer = answer.unwrap();
        assert_eq!(answer["auth"]["metadata"]["role"], "orders", "{answer}");
        let mut edited = given.token.clone().into_bytes();
        let last = edited.len() - 10;
        edited[last] = if edited[last] == b'A' { b'B' } else { b'A' };
        let edited = String::from_utf8(edited).unwrap();
        let refused = bao.call("", "POST", "auth/jwt/login", login(&edited)).await;
        let (status, answer) = refused.unwrap_err();
        assert_eq!(status, 400, "{answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_follow_each_other_and_what_the_older_signed_stays_readable() {
    let mut scene = Scene::set("key_life_s = 8\npublish_ahead_s = 4").await;
    let given = scene.given("orders/es", "es").await;
    let signer = |token: &str| header(token)["kid"].as_str().unwrap().to_owned();
    let first = signer(&given.token);
    assert!(scene.published().await.contains(&first));
    wait_until(PATIENCE, "another key signs", async || {
        let events = scene.events("token_key.in_use").await;
        let mut replaced = events.iter();
        replaced
            .find(|event| event["data"]["instead_of"] == first)
            .map(drop)
    })
    .await;
    let newer = scene.given("orders/newer", "es").await.token;
    let second = signer(&newer);
    assert_ne!(second, first);
    // Known to readers for long enough before anything was signed with it.
    let published = scene.events("token_key.published").await;
    let published = published
        .iter()
        .find(|event| event["data"]["key"]["kid"] == second);
    let used = scene.events("token_key.in_use").await;
    let used = used.iter().find(|event| event["data"]["kid"] == second);
    let [published, used] = [published, used].map(|event| {
        let at = event.unwrap()["at"].as_str().unwrap();
        at.parse::<chrono::DateTime<chrono::Utc>>().unwrap()
    });
    assert!(used - published >= chrono::TimeDelta::seconds(4));
    let known = scene.published().await;
    assert!(known.contains(&first) && known.contains(&second));
    for token in [&given.token, &newer] {
        scene.claims(token, "ES256").unwrap();
    }
    // Private halves and the log's word on which signs outlast a kill.
    scene.broker.kill();
    scene.broker.start_again();
    for token in [&given.token, &newer] {
        scene.claims(token, "ES256").unwrap();
        assert_eq!(scene.introspected(token).await["active"], true);
    }
}
