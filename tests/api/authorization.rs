//! Who may do what, as one text: actor by route. A change here is a change of what people are allowed, so it is read
//! by a person.

use crate::harness::{Answer, Api, Person, fresh_key};
use crate::policies;
use countersign::{
    broker::http::document,
    ssh::{OwnKey, Signer},
    wire::signing::Decision,
};
use reqwest::Method;
use serde_json::{Value, json};
use std::{collections::BTreeSet, fmt::Write as _};

/// Every route, with a body that is acceptable; `{…}` is filled in with something of the kind that is fresh.
const ROUTES: &[(&str, &str)] = &[
    ("GET", "/healthz"),
    ("GET", "/readyz"),
    ("GET", "/metrics"),
    ("GET", "/openapi.json"),
    ("GET", "/problems/{slug}"),
    ("POST", "/v1/login/challenge"),
    ("POST", "/v1/login/ssh"),
    ("GET", "/v1/session"),
    ("GET", "/v1/overview"),
    ("GET", "/v1/credentials"),
    ("GET", "/v1/credentials/{credential}"),
    ("POST", "/v1/credentials"),
    ("POST", "/v1/credentials/lookup"),
    ("POST", "/v1/credentials/exposure"),
    ("POST", "/v1/credentials/{credential}/confirm"),
    ("POST", "/v1/credentials/{credential}/owner"),
    ("POST", "/v1/credentials/{credential}/deliver-to"),
    ("POST", "/v1/credentials/{credential}/quarantine"),
    ("POST", "/v1/credentials/{credential}/release"),
    ("POST", "/v1/credentials/{credential}/revoke"),
    ("POST", "/v1/credentials/{rotated}/rotate"),
    ("POST", "/v1/credentials/{rotated}/promote"),
    ("POST", "/v1/credentials/{rotated}/rollback"),
    ("GET", "/v1/rotations"),
    ("POST", "/v1/rotations"),
    ("GET", "/v1/rotations/{rotation}"),
    ("POST", "/v1/rotations/{rotation}/claim"),
    ("GET", "/v1/reviews"),
    ("GET", "/v1/requests"),
    ("GET", "/v1/requests/{request}"),
    ("POST", "/v1/requests"),
    ("POST", "/v1/requests/{request}/signing"),
    ("POST", "/v1/requests/{request}/approvals"),
    ("POST", "/v1/requests/{request}/denials"),
    ("POST", "/v1/requests/{request}/narrow"),
    ("POST", "/v1/requests/{request}/hold"),
    ("POST", "/v1/requests/{request}/resume"),
    ("POST", "/v1/requests/{request}/notes"),
    ("POST", "/v1/requests/{request}/break-glass"),
    ("POST", "/v1/requests/{request}/withdraw"),
    ("POST", "/v1/requests/{request}/retry"),
    ("POST", "/v1/requests/{request}/claim"),
    ("GET", "/v1/policies"),
    ("GET", "/v1/policies/{version}"),
    ("GET", "/v1/policies/proposals/{proposal}"),
    ("POST", "/v1/policies/proposals"),
    ("POST", "/v1/policies/proposals/{proposal}/approvals"),
    ("POST", "/v1/policies/proposals/{proposal}/denials"),
    ("POST", "/v1/policies/proposals/{proposal}/signing"),
    ("POST", "/v1/policies/proposals/{proposal}/withdraw"),
    ("POST", "/v1/policies/simulate"),
    ("GET", "/v1/revocations"),
    ("GET", "/v1/revocations/export"),
    ("POST", "/v1/revocations/plan"),
    ("POST", "/v1/revocations"),
    ("GET", "/v1/revocations/{revocation}"),
    ("GET", "/v1/gateways"),
    ("GET", "/v1/gateways/{gateway}"),
    ("POST", "/v1/gateways"),
    ("POST", "/v1/gateways/{gateway}/tokens"),
    ("DELETE", "/v1/gateways/{gateway}/tokens/{token}"),
    ("POST", "/v1/gateways/{gateway}/remove"),
    ("GET", "/v1/gateways/{gateway}/pending"),
    ("PUT", "/v1/gateways/{gateway}/cursor"),
    ("GET", "/v1/usage/findings"),
    ("POST", "/v1/usage"),
    ("GET", "/v1/clients"),
    ("POST", "/v1/clients"),
    ("GET", "/v1/clients/{client}/holdings"),
    ("POST", "/v1/clients/{client}/offboard"),
    ("GET", "/v1/operators"),
    ("POST", "/v1/operators"),
    ("POST", "/v1/operators/{operator}/tokens"),
    ("DELETE", "/v1/operators/{operator}/tokens/{token}"),
    ("POST", "/v1/operators/{operator}/keys"),
    ("POST", "/v1/operators/{operator}/keys/countersign"),
    ("POST", "/v1/operators/{operator}/keys/remove"),
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
    ("GET", "/log/tile/{tile}"),
    ("GET", "/log/proof?index=0"),
    ("POST", "/v1/introspect"),
    ("POST", "/oauth/introspect"),
    ("POST", "/oauth/revoke"),
    ("GET", "/.well-known/jwks.json"),
    ("GET", "/.well-known/oauth-authorization-server"),
    ("GET", "/status"),
    ("GET", "/status/{algorithm}/{number}"),
    ("DELETE", "/v1/session"),
];

struct Company {
    api: Api,
    client: String,
    asker: String,
    count: u32,
    asked: Option<String>,
    proposed: Option<String>,
}

impl Company {
    fn name(&mut self, what: &str) -> String {
        self.count += 1;
        format!("{what}-{}", self.count)
    }

    /// Fills the route's places with fresh objects, and gives the body that fits.
    async fn prepare(&mut self, path: &str, actor: &Person) -> (String, Value) {
        let mut filled = path
            .replace("{slug}", "stale")
            .replace("{version}", "1")
            .replace("{algorithm}", "es256")
            .replace("{number}", "1")
            .replace("{tile}", "entries/000.p/1");
        let mut body = json!({"reason": "because"});
        if path.contains("{revocation}") {
            let name = self.name("revoked");
            let id = self.api.adopt(&name, &self.client, &name).await;
            let revoke = format!("/v1/credentials/{id}/revoke");
            let revoked = self.api.post(&self.api.admin, &revoke, body.clone());
            let id = revoked.await.is(200).subject();
            filled = filled.replace("{revocation}", &id);
        }
        if path.contains("{rotated}") || path.contains("{rotation}") || path == "/v1/rotations" {
            let name = self.name("rotated");
            let id = (self.api)
                .adopt_from("countersign", &name, &self.client, &name, &lately())
                .await;
            if !path.ends_with("/rotate") && path != "/v1/rotations" {
                let rotation = self.api.rotated(&id).await;
                filled = filled.replace("{rotation}", &rotation);
            }
            filled = filled.replace("{rotated}", &id);
            if path == "/v1/rotations" {
                body["credentials"] = json!([id]);
            }
        }
        if path.starts_with("/v1/revocations") && !path.contains('{') {
            let name = self.name("planned");
            self.api.adopt(&name, &self.client, &name).await;
            body = json!({"filter": format!("name={name}")});
            if path == "/v1/revocations" {
                let (api, filter) = (&self.api, body);
                let planned = api.post(&api.admin, "/v1/revocations/plan", filter);
                let planned = planned.await.is(200).json();
                body = json!({"plan": planned["plan"], "digest": planned["digest"],
                    "reason": "because"});
            }
        }
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
            // What waits is bounded: the one before is not needed any more.
            if let Some(before) = self.asked.replace(id.clone()) {
                let path = format!("/v1/requests/{before}/withdraw");
                let over = json!({"reason": "over"});
                self.api.post(&self.asker, &path, over).await;
            }
            if path.ends_with("/resume") {
                let path = format!("/v1/requests/{id}/hold");
                let hold = self
                    .api
                    .post(&self.asker, &path, json!({"reason": "not yet"}));
                hold.await.is(200);
            }
            body["digest"] = detail["digest"].clone();
            body["ttl_s"] = json!(600);
            if ["approvals", "break-glass", "denials"]
                .iter()
                .any(|verb| path.ends_with(verb))
            {
                self.sign(path, &id, actor, &mut body).await;
            }
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
                self.sign_policy(path, &id, actor, &mut body).await;
                filled = filled.replace("{proposal}", &id);
            }
        }
        if path.contains("{gateway}") {
            let name = self.name("gateway");
            let new = json!({"name": name, "profile": "nginx", "environment": "development",
                "token_ttl_s": 600});
            let minted = self.api.post(&self.api.admin, "/v1/gateways", new);
            let minted = minted.await.is(201).json();
            let text = |field: &str| minted[field].as_str().expect("a text").to_owned();
            filled = filled
                .replace("{gateway}", &text("gateway"))
                .replace("{token}", &text("id"));
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
            if path.contains("/keys/") {
                let key = OwnKey::generate();
                let enrol = json!({"public_key": key.public().line()});
                let keys = format!("/v1/operators/{id}/keys");
                self.api.post(&self.api.admin, &keys, enrol).await.is(200);
                body["fingerprint"] = json!(key.public().fingerprint());
            }
            filled = filled.replace("{operator}", &id).replace("{token}", &token);
        }
        (filled, self.body(path, body))
    }

    /// The body that fits the route; `body` holds what was learnt while its places were filled.
    fn body(&mut self, path: &str, mut body: Value) -> Value {
        let name = self.name("new");
        let digest = countersign::secret::digest_of_bytes(name.as_bytes());
        match path.rsplit('/').next().expect("a last step") {
            "claim" | "retry" | "signing" | "promote" => json!({}),
            "proposals" | "simulate" => body,
            "challenge" => json!({"operator": "known"}),
            "ssh" => json!({"message": "x", "signature": "x"}),
            "remove" if path.contains("{gateway}") => json!({"reason": "because"}),
            "approvals" | "denials" | "break-glass" | "remove" => {
                body.as_object_mut().expect("an object").remove("ttl_s");
                body
            }
            "notes" => json!({"text": "why?"}),
            "keys" => json!({"public_key": OwnKey::generate().public().line()}),
            "countersign" => json!({"fingerprint": body["fingerprint"]}),
            "deliver-to" | "hold" | "resume" | "withdraw" | "revoke" | "quarantine" | "release"
            | "offboard" | "rollback" | "rotate" => {
                json!({"reason": "because"})
            }
            "owner" => json!({"owner": "ledger", "reason": "because"}),
            "tokens" => json!({"ttl_s": 600}),
            "grant" => json!({"roles": {"production": ["viewer"]}, "groups": ["x"]}),
            "introspect" => json!({"token": "x"}),
            "lookup" | "exposure" => {
                json!({"digest": countersign::secret::digest_of_bytes(b"known")})
            }
            "credentials" => json!({"name": name, "environment": "development", "kind": "api_key",
                "issuer": "elsewhere", "client": self.client, "owner": "x", "audience": "y", "tier": "low",
                "digest": digest, "issued_at": "2026-01-01T00:00:00Z"}),
            "requests" => Api::asking(&name, &self.client, "development", &["orders:read"]),
            "clients" => {
                json!({"name": name, "owner": "x", "environment": "development", "tier": "low"})
            }
            "gateways" => json!({"name": name, "profile": "nginx", "environment": "development",
                "token_ttl_s": 600}),
            "cursor" => json!({"cursor": 1}),
            "usage" => json!({"reports": []}),
            "operators" => json!({"name": name, "token_ttl_s": 600}),
            _ => body,
        }
    }

    /// The actor's signature, where they have a key and see the request at all.
    async fn sign(&self, path: &str, request: &str, actor: &Person, body: &mut Value) {
        let emergency = path.ends_with("break-glass");
        if emergency {
            body.as_object_mut().expect("an object").remove("digest");
            body["signed"] = json!({"payload": "x", "signature": "x"});
        }
        let shown = format!("/v1/requests/{request}");
        let seen = self.api.get(&actor.token, &shown).await;
        if matches!(actor.signer, Signer::Own(_)) && seen.status.is_success() {
            let decision = match path.rsplit('/').next() {
                _ if emergency => Decision::BreakGlass,
                Some("denials") => Decision::Deny,
                _ => Decision::Approve,
            };
            let said = self.api.says(actor, request, decision, "because").await;
            body["signed"] = self.api.approval(actor, &said)["signed"].clone();
        }
    }

    /// The same about a proposed policy.
    async fn sign_policy(&self, path: &str, proposal: &str, actor: &Person, body: &mut Value) {
        let decision = match path.rsplit('/').next() {
            Some("approvals") => Decision::Approve,
            Some("denials") => Decision::Deny,
            _ => return,
        };
        let shown = format!("/v1/policies/proposals/{proposal}");
        let seen = self.api.get(&actor.token, &shown).await;
        if matches!(actor.signer, Signer::Own(_)) && seen.status.is_success() {
            let api = &self.api;
            let said = api.says_policy(actor, proposal, decision, "because").await;
            body["signed"] = api.policy_decision(actor, &said)["signed"].clone();
        }
    }
}

/// An hour ago: nothing is due.
fn lately() -> String {
    let at = countersign::clock::now() - chrono::TimeDelta::hours(1);
    at.to_rfc3339()
}

/// A route without its parameters' names, so that two ways of writing it compare.
fn bare(path: &str) -> String {
    let path = path.split('?').next().unwrap_or_default();
    let steps = path
        .split('/')
        .map(|step| if step.starts_with('{') { "{}" } else { step });
    steps.collect::<Vec<_>>().join("/")
}

/// A route that is new has to be put into the matrix, where a person reads who may use it.
#[test]
fn every_route_is_in_the_matrix() {
    let document: Value = serde_json::from_str(&document()).expect("JSON");
    let mut documented = BTreeSet::new();
    for (path, item) in document["paths"].as_object().expect("paths") {
        let methods = item.as_object().expect("operations").keys();
        documented.extend(methods.map(|method| (method.to_uppercase(), bare(path))));
    }
    let listed: BTreeSet<_> = ROUTES
        .iter()
        .map(|(method, path)| ((*method).to_owned(), bare(path)))
        .collect();
    assert_eq!(listed.len(), ROUTES.len(), "a route is listed twice");
    let missing: Vec<_> = documented.difference(&listed).collect();
    assert!(missing.is_empty(), "not in the matrix: {missing:?}");
    let gone: Vec<_> = listed.difference(&documented).collect();
    assert!(gone.is_empty(), "not in the document: {gone:?}");
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
    let mut people = Vec::new();
    for (name, account) in actors {
        let handle = format!("actor/{name}");
        let person = match account {
            Some((roles, more)) if more["robot"] != true => api.person(&handle, roles, more).await,
            // Nobody, and robots, have no key.
            other => {
                let token = match other {
                    Some((roles, more)) => api.enrol(&handle, roles, more).await.1,
                    None => String::new(),
                };
                Person {
                    name: handle,
                    id: String::new(),
                    token,
                    signer: Signer::Agent(None),
                }
            }
        };
        people.push((name, person));
    }
    let mut company = Company {
        api,
        client,
        asker,
        count: 0,
        asked: None,
        proposed: None,
    };
    let mut matrix = String::new();
    for (method, path) in ROUTES {
        writeln!(matrix, "{method} {path}").expect("a String takes all");
        for (name, person) in &people {
            // Requests are for production, where people decide.
            let development = company.client.clone();
            if path.contains("{request}") {
                company.client.clone_from(&production);
            }
            let (filled, body) = company.prepare(path, person).await;
            company.client = development;
            let verb: Method = method.parse().expect("a method");
            let mut request = company.api.request(verb.clone(), &person.token, &filled);
            if verb == Method::POST {
                request = request.header("idempotency-key", fresh_key()).json(&body);
            } else if verb == Method::PUT {
                request = request.json(&body);
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
                let status = answer.status.as_u16();
                if answer.status.is_success() {
                    status.to_string()
                } else if path.starts_with("/oauth/") {
                    let error = answer.json()["error"].as_str().map(str::to_owned);
                    format!("{status} {}", error.expect("OAuth's own form"))
                } else {
                    format!("{status} {}", answer.problem())
                }
            };
            writeln!(matrix, "  {name:<10} {said}").expect("a String takes all");
        }
    }
    insta::assert_snapshot!("matrix", matrix);
    company.api.stop().await;
}
