//! Who may do what, as one text: actor by route. A change here is a change of what people are allowed, so it is read
//! by a person.

use crate::harness::{Answer, Api, fresh_key};
use crate::policies;
use reqwest::Method;
use serde_json::{Value, json};
use std::fmt::Write as _;

/// Every route, with a body that is acceptable; `{…}` is filled in with something of the kind that is fresh.
const ROUTES: &[(&str, &str)] = &[
    ("GET", "/healthz"),
    ("GET", "/readyz"),
    ("GET", "/metrics"),
    ("GET", "/openapi.json"),
    ("GET", "/problems/stale"),
    ("GET", "/v1/session"),
    ("GET", "/v1/overview"),
    ("GET", "/v1/credentials"),
    ("GET", "/v1/credentials/{credential}"),
    ("POST", "/v1/credentials"),
    ("POST", "/v1/credentials/lookup"),
    ("POST", "/v1/credentials/{credential}/confirm"),
    ("POST", "/v1/credentials/{credential}/owner"),
    ("POST", "/v1/credentials/{credential}/quarantine"),
    ("POST", "/v1/credentials/{credential}/release"),
    ("POST", "/v1/credentials/{credential}/revoke"),
    ("GET", "/v1/reviews"),
    ("GET", "/v1/requests"),
    ("GET", "/v1/requests/{request}"),
    ("POST", "/v1/requests"),
    ("POST", "/v1/requests/{request}/approvals"),
    ("POST", "/v1/requests/{request}/denials"),
    ("POST", "/v1/requests/{request}/withdraw"),
    ("POST", "/v1/requests/{request}/retry"),
    ("POST", "/v1/requests/{request}/claim"),
    ("GET", "/v1/policies"),
    ("GET", "/v1/policies/1"),
    ("GET", "/v1/policies/proposals/{proposal}"),
    ("POST", "/v1/policies/proposals"),
    ("POST", "/v1/policies/proposals/{proposal}/approvals"),
    ("POST", "/v1/policies/proposals/{proposal}/denials"),
    ("POST", "/v1/policies/proposals/{proposal}/withdraw"),
    ("POST", "/v1/policies/simulate"),
    ("GET", "/v1/revocations"),
    ("GET", "/v1/clients"),
    ("POST", "/v1/clients"),
    ("GET", "/v1/clients/{client}/holdings"),
    ("POST", "/v1/clients/{client}/offboard"),
    ("GET", "/v1/operators"),
    ("POST", "/v1/operators"),
    ("POST", "/v1/operators/{operator}/tokens"),
    ("DELETE", "/v1/operators/{operator}/tokens/{token}"),
    ("POST", "/v1/operators/{operator}/grant"),
    ("GET", "/v1/operators/{operator}/holdings"),
    ("POST", "/v1/operators/{operator}/offboard"),
    ("GET", "/v1/events"),
    ("GET", "/v1/log/events"),
    ("GET", "/v1/log/checkpoint"),
    ("GET", "/v1/log/entries"),
    ("GET", "/v1/log/proof/inclusion?index=0"),
    ("GET", "/v1/log/proof/consistency?old=1"),
    ("GET", "/log/checkpoint"),
    ("GET", "/log/tile/entries/000.p/1"),
    ("GET", "/log/proof?index=0"),
    ("POST", "/v1/introspect"),
    ("DELETE", "/v1/session"),
];

struct Company {
    api: Api,
    client: String,
    asker: String,
    count: u32,
    proposed: Option<String>,
}

impl Company {
    fn name(&mut self, what: &str) -> String {
        self.count += 1;
        format!("{what}-{}", self.count)
    }

    /// Fills the route's places with fresh objects, and gives the body that fits.
    async fn prepare(&mut self, path: &str) -> (String, Value) {
        let mut filled = path.to_owned();
        let mut body = json!({"reason": "because"});
        if path.contains("{credential}") {
            let name = self.name("credential");
            let id = self.api.adopt(&name, &self.client, &name).await;
            filled = filled.replace("{credential}", &id);
        }
        if path.contains("{request}") {
            let name = self.name("request");
            let asking = Api::asking(&name, &self.client, "production", &["orders:write"]);
            let id = self
                .api
                .post(&self.asker, "/v1/requests", asking)
                .await
                .is(201)
                .subject();
            let detail = self
                .api
                .get(&self.api.admin, &format!("/v1/requests/{id}"))
                .await
                .is(200)
                .json();
            body["digest"] = detail["digest"].clone();
            filled = filled.replace("{request}", &id);
        }
        if path.contains("{proposal}") || path.ends_with("proposals") || path.ends_with("simulate")
        {
            self.count += 1;
            let files = policies::variant(self.count);
            body["base"] = json!(self.api.broker.engine.state().policy_version());
            body["files"] = json!(files);
            if path.ends_with("simulate") {
                body = json!({"files": files, "days": 1});
            }
            if path.contains("{proposal}") {
                let id = policies::propose(&self.api, &self.asker, self.count).await;
                body = json!({"digest": countersign::wire::policy_digest(&files), "reason": "because"});
                // What waits is bounded: the one before is not needed any more.
                if let Some(before) = self.proposed.replace(id.clone()) {
                    let path = format!("/v1/policies/proposals/{before}/withdraw");
                    let over = json!({"reason": "over"});
                    self.api.post(&self.api.admin, &path, over).await;
                }
                filled = filled.replace("{proposal}", &id);
            }
        }
        if path.contains("{client}") {
            let name = self.name("client");
            let id = self.api.client(&name, "production").await;
            filled = filled.replace("{client}", &id);
        }
        if path.contains("{operator}") {
            let name = self.name("operator");
            let (id, _) = self.api.enrol(&name, &["viewer"], json!({})).await;
            let listed = self
                .api
                .get(
                    &self.api.admin,
                    &format!("/v1/operators?filter=name={name}"),
                )
                .await
                .is(200);
            let token = listed.json()["items"][0]["tokens"][0]["id"]
                .as_str()
                .expect("a token")
                .to_owned();
            filled = filled.replace("{operator}", &id).replace("{token}", &token);
        }
        let name = self.name("new");
        let digest = countersign::secret::digest_of_bytes(name.as_bytes());
        let body = match path.rsplit('/').next().expect("a last step") {
            "claim" | "retry" => json!({}),
            "proposals" | "simulate" => body,
            "withdraw" | "revoke" | "quarantine" | "release" | "offboard" => {
                json!({"reason": "because"})
            }
            "owner" => json!({"owner": "ledger", "reason": "because"}),
            "tokens" => json!({"ttl_s": 600}),
            "grant" => json!({"roles": {"production": ["viewer"]}, "groups": ["x"]}),
            "introspect" => json!({"token": "x"}),
            "lookup" => json!({"digest": countersign::secret::digest_of_bytes(b"known")}),
            "credentials" => json!({"name": name, "environment": "development", "kind": "api_key",
                "issuer": "elsewhere", "client": self.client, "owner": "x", "audience": "y", "tier": "low",
                "digest": digest, "issued_at": "2026-01-01T00:00:00Z"}),
            "requests" => Api::asking(&name, &self.client, "development", &["orders:read"]),
            "clients" => {
                json!({"name": name, "owner": "x", "environment": "development", "tier": "low"})
            }
            "operators" => json!({"name": name, "token_ttl_s": 600}),
            _ => body,
        };
        (filled, body)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_authorization_matrix() {
    let api = Api::start().await;
    let client = api.client("orders-api", "development").await;
    let production = api.client("shop", "production").await;
    let (_, asker) = api.enrol("asker", &["operator"], json!({})).await;
    api.adopt("known", &client, "known").await;
    let other = api.client("other", "development").await;
    let actors = [
        ("nobody", None),
        ("none", Some((&[][..], json!({})))),
        (
            "foreign",
            Some((&["requester"][..], json!({"robot": true, "client": other}))),
        ),
        (
            "requester",
            Some((&["requester"][..], json!({"robot": true, "client": client}))),
        ),
        ("viewer", Some((&["viewer"][..], json!({})))),
        ("operator", Some((&["operator"][..], json!({})))),
        (
            "approver",
            Some((&["approver"][..], json!({"groups": ["security"]}))),
        ),
        ("auditor", Some((&["auditor"][..], json!({})))),
        ("admin", Some((&["admin"][..], json!({})))),
    ];
    let mut tokens = Vec::new();
    for (name, account) in actors {
        let token = match account {
            None => String::new(),
            Some((roles, more)) => api.enrol(&format!("actor/{name}"), roles, more).await.1,
        };
        tokens.push((name, token));
    }
    let mut company = Company {
        api,
        client,
        asker,
        count: 0,
        proposed: None,
    };
    let mut matrix = String::new();
    for (method, path) in ROUTES {
        writeln!(matrix, "{method} {path}").expect("a String takes all");
        for (name, token) in &tokens {
            // Requests are for production, where people decide.
            let development = company.client.clone();
            if path.contains("{request}") {
                company.client.clone_from(&production);
            }
            let (filled, body) = company.prepare(path).await;
            company.client = development;
            let verb: Method = method.parse().expect("a method");
            let mut request = company.api.request(verb.clone(), token, &filled);
            if verb == Method::POST {
                request = request.header("idempotency-key", fresh_key()).json(&body);
            }
            let said = if *path == "/v1/events" {
                // It has no end to wait for.
                let response = request.send().await.expect("an answer");
                let status = response.status();
                if status.is_success() {
                    status.as_u16().to_string()
                } else {
                    format!("{} …", status.as_u16())
                }
            } else {
                let answer = Answer::of(request).await;
                assert!(!answer.status.is_server_error(), "{name}: {answer:?}");
                if answer.status.is_success() {
                    answer.status.as_u16().to_string()
                } else {
                    format!("{} {}", answer.status.as_u16(), answer.problem())
                }
            };
            writeln!(matrix, "  {name:<10} {said}").expect("a String takes all");
        }
    }
    insta::assert_snapshot!("matrix", matrix);
    company.api.stop().await;
}
