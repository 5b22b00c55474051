//! Where names are strict: refused with the place, nothing kept, and nothing in the broker's own log that a terminal
//! obeys.

use super::{fools, hostile};
use crate::support::{BrokerProcess, Company};
use reqwest::header::{HeaderName, HeaderValue};
use serde_json::{Value, json};
use std::io::{Read as _, Write as _};

struct Door {
    broker: BrokerProcess,
    company: Company,
    http: reqwest::Client,
}

impl Door {
    async fn set() -> Self {
        let broker = BrokerProcess::start("");
        let company = Company::found(&broker, 1).await;
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        Self {
            broker,
            company,
            http,
        }
    }

    fn post(&self, path: &str) -> reqwest::RequestBuilder {
        self.http
            .post(format!("{}{path}", self.broker.url()))
            .bearer_auth(self.broker.admin_token())
            .header("content-type", "application/json")
    }

    async fn send(&self, path: &str, body: &Value) -> (u16, Value) {
        let key = format!("\"{}\"", uuid::Uuid::now_v7());
        let sent = self.post(path).header("idempotency-key", key);
        let answer = sent.body(body.to_string()).send().await.unwrap();
        let status = answer.status().as_u16();
        (status, answer.json().await.unwrap())
    }

    fn assert_log_is_clean(&self) {
        let log = self.broker.log();
        let bad: Vec<_> = log
            .lines()
            .filter(|line| line.chars().any(fools))
            .take(3)
            .collect();
        assert_eq!(bad, Vec::<&str>::new(), "the broker's own log");
    }
}

/// A body that is accepted, its address, and the strict fields in it.
fn bodies(door: &Door) -> Vec<(&'static str, Value, &'static [&'static str])> {
    let request = json!({ "credential": "a/b", "environment": "production", "kind": "api_key",
        "client": door.company.client.to_string(), "audience": "a", "scopes": ["a:b"], "ttl_s": 3600,
        "owner": "payments", "tags": ["pci"], "reason": "", "dry_run": true });
    let client = json!({ "name": "x", "owner": "payments", "contact": "", "environment": "staging", "tier": "low",
        "dependents": ["y"] });
    let operator = json!({ "name": "x", "display_name": "", "robot": false, "groups": ["g"], "roles": {},
        "token_ttl_s": 3600 });
    vec![
        (
            "/v1/requests",
            request,
            &[
                "/credential",
                "/audience",
                "/scopes/0",
                "/tags/0",
                "/owner",
                "/client",
                "/kind",
            ],
        ),
        (
            "/v1/clients",
            client,
            &["/name", "/owner", "/dependents/0", "/environment", "/tier"],
        ),
        ("/v1/operators", operator, &["/name", "/groups/0"]),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn names_refuse_it_and_say_where() {
    let door = Door::set().await;
    for (path, body, fields) in bodies(&door) {
        for field in fields {
            for (trick, text) in hostile() {
                let mut body = body.clone();
                *body.pointer_mut(field).unwrap() = json!(text);
                let (status, answer) = door.send(path, &body).await;
                let what = format!("{path} {field} {trick}: {status} {answer}");
                assert!(matches!(status, 400 | 422), "{what}");
                let first = answer["errors"][0]["pointer"].as_str().unwrap_or_default();
                let parent = field.trim_end_matches("/0");
                assert!(first == *field || first == parent, "{what}");
                let said = answer.to_string();
                assert!(!said.chars().any(fools), "in its words: {what}");
            }
        }
    }
    door.assert_log_is_clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn text_is_bounded_and_bodies_are_utf8() {
    let door = Door::set().await;
    let client = |contact: &str| json!({ "name": "x", "owner": "payments", "contact": contact, "environment": "staging", "tier": "low" });
    let (status, answer) = door.send("/v1/clients", &client(&"x".repeat(2_001))).await;
    assert_eq!(
        (status, &answer["errors"][0]["pointer"]),
        (422, &json!("/contact"))
    );
    let (status, _) = door
        .send("/v1/clients", &client(&"x".repeat(1 << 20)))
        .await;
    assert_eq!(status, 413);
    let mut bytes = client("CONTACT").to_string().into_bytes();
    let at = bytes
        .windows(7)
        .position(|part| part == b"CONTACT")
        .unwrap();
    bytes[at..at + 4].copy_from_slice(b"\xff\xfe\xc0\xaf");
    let sent = door.post("/v1/clients").header("idempotency-key", "\"k\"");
    let answer = sent.body(bytes).send().await.unwrap();
    assert_eq!(answer.status(), 400);
    let display = json!({ "name": "x", "display_name": "a\u{1b}[31m", "token_ttl_s": 3600 });
    let (status, answer) = door.send("/v1/operators", &display).await;
    assert_eq!(
        (status, &answer["errors"][0]["pointer"]),
        (422, &json!("/display_name"))
    );
    door.assert_log_is_clean();
}

/// What headers may hold at all: tabs and bytes above ASCII.
#[tokio::test(flavor = "multi_thread")]
async fn headers_are_refused_replaced_or_left_out() {
    let door = Door::set().await;
    let body = json!({ "name": "x", "owner": "payments", "environment": "staging", "tier": "low" })
        .to_string();
    let values = [
        "\u{9b}31m\u{202e}x".as_bytes().to_vec(),
        b"\xff\xfe\tx".to_vec(),
        "Z\u{301}\u{200b}".as_bytes().to_vec(),
        vec![b'x'; 2_000],
    ];
    for value in &values {
        let value = HeaderValue::from_bytes(value).unwrap();
        let sent = door.post("/v1/clients").body(body.clone());
        let answer = sent.header("idempotency-key", &value).send().await.unwrap();
        assert_eq!(answer.status(), 400, "{value:?}");
        let mut sent = door.http.get(format!("{}/v1/session", door.broker.url()));
        sent = sent.bearer_auth(door.broker.admin_token());
        for name in [
            "x-request-id",
            "traceparent",
            "user-agent",
            "if-none-match",
            "accept",
        ] {
            sent = sent.header(HeaderName::from_static(name), &value);
        }
        let answer = sent.send().await.unwrap();
        assert!(
            answer.status() == 200 || answer.status() == 406,
            "{answer:?}"
        );
        let id = answer.headers()["x-request-id"].to_str().unwrap();
        assert!(
            id.len() <= 128 && id.bytes().all(|byte| byte.is_ascii_graphic()),
            "{id}"
        );
        assert_ne!(id.as_bytes(), value.as_bytes());
    }
    // What no header may hold ends at the parser, before anything of ours reads it.
    let address = door.broker.url().trim_start_matches("http://").to_owned();
    let mut raw = std::net::TcpStream::connect(&address).unwrap();
    raw.write_all(b"GET /v1/session HTTP/1.1\r\nHost: x\r\nX-Request-Id: \x1b]0;pwned\x07\r\n\r\n")
        .unwrap();
    let mut told = Vec::new();
    raw.read_to_end(&mut told).unwrap();
    assert!(
        told.starts_with(b"HTTP/1.1 400"),
        "{}",
        String::from_utf8_lossy(&told)
    );
    let (status, _) = door
        .send("/v1/clients", &serde_json::from_str(&body).unwrap())
        .await;
    assert_eq!(status, 201, "and the broker goes on");
    door.assert_log_is_clean();
}
