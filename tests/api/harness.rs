//! A broker that listens, people who are signed in, and answers that say what they were when a test fails.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use countersign::{
    broker::{
        listen::{Listening, listen},
        serve::{Broker, Options},
    },
    client::sign::{Decided, policy_statement, statement},
    config::{BrokerConfig, Limits},
    domain::{Digest, PolicyStatement, RequestState, Statement, statement::LogHead},
    ssh::{Identity, OwnKey, Signer},
    wire::{
        ProposalDetail, RequestDetail, SigningOrder,
        signing::{Decision, approval_namespace, signed_bytes},
    },
};
use reqwest::{Method, RequestBuilder, StatusCode, header::HeaderMap};
use serde_json::{Value, json};
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use tempfile::TempDir;

pub struct Api {
    pub url: String,
    pub http: reqwest::Client,
    pub broker: Broker,
    pub admin: String,
    listening: Listening,
    folder: TempDir,
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub text: String,
}

impl Answer {
    pub async fn of(request: RequestBuilder) -> Self {
        let response = request.send().await.expect("an answer");
        Self {
            status: response.status(),
            headers: response.headers().clone(),
            text: response.text().await.expect("a body"),
        }
    }

    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    #[track_caller]
    pub fn is(self, status: u16) -> Self {
        assert_eq!(self.status.as_u16(), status, "{self:?}");
        self
    }

    /// The problem's slug, after checking that it is one, whole and consistent.
    #[track_caller]
    pub fn problem(&self) -> String {
        assert_eq!(
            self.header("content-type"),
            "application/problem+json",
            "{self:?}"
        );
        let body = self.json();
        assert_eq!(body["status"], self.status.as_u16(), "{self:?}");
        assert_eq!(body["instance"], self.header("x-request-id"), "{self:?}");
        let fault = if self.status.is_server_error() {
            "system"
        } else {
            "caller"
        };
        assert_eq!(body["fault"], fault);
        assert!(!body["detail"].as_str().expect("a detail").is_empty());
        let kind = body["type"].as_str().expect("a type");
        kind.strip_prefix("/problems/").expect("a slug").to_owned()
    }

    #[track_caller]
    pub fn refused(self, status: u16, slug: &str) -> Self {
        let answer = self.is(status);
        assert_eq!(answer.problem(), slug, "{answer:?}");
        answer
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().expect("text"))
    }

    pub fn sequence(&self) -> u64 {
        self.header("countersign-sequence")
            .parse()
            .expect("a sequence on every answer")
    }

    #[track_caller]
    pub fn subject(&self) -> String {
        self.json()["subject"]
            .as_str()
            .expect("a subject")
            .to_owned()
    }
}

/// Somebody with a key.
pub struct Person {
    pub name: String,
    pub id: String,
    pub token: String,
    pub signer: Signer,
}

impl Person {
    /// The key, as an agent would list it.
    pub fn identity(&self) -> Identity {
        self.signer.identities().expect("a key").remove(0)
    }

    /// Their signature over `message` in `namespace`.
    pub fn sign(&self, namespace: &str, message: &str) -> String {
        let signed = self
            .signer
            .sign(&self.identity(), namespace, message.as_bytes());
        signed.expect("a key of the program's own signs")
    }
}

/// The one form in which something is signed.
pub fn canonical<T: serde::Serialize>(said: &T) -> String {
    String::from_utf8(signed_bytes(said)).expect("JSON is UTF-8")
}

/// A key that no call used before.
pub fn fresh_key() -> String {
    format!("\"{}\"", uuid::Uuid::now_v7())
}

impl Api {
    pub async fn start() -> Self {
        Self::with(Limits::default()).await
    }

    pub async fn with(limits: Limits) -> Self {
        Self::with_config(BrokerConfig {
            limits,
            ..BrokerConfig::default()
        })
        .await
    }

    pub async fn with_config(config: BrokerConfig) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        Self::open(folder, config).await
    }

    async fn open(folder: TempDir, config: BrokerConfig) -> Self {
        let file = folder.path().join("admin");
        let options = Options {
            now: countersign::clock::now(),
            data: folder.path().join("data"),
            origin: Some("test.example/log".into()),
            admin_token_file: Some(file.clone()),
            config,
        };
        let limits = &options.config.limits;
        let broker = Broker::open(&options).await.expect("a broker");
        let address = "127.0.0.1:0".parse().expect("an address");
        let listening = listen(broker.engine.clone(), limits, address, None)
            .await
            .expect("a listener");
        Self {
            url: listening.url.clone(),
            http: reqwest::Client::builder()
                .no_proxy()
                .build()
                .expect("a client"),
            broker,
            admin: std::fs::read_to_string(file)
                .expect("a token")
                .trim()
                .to_owned(),
            listening,
            folder,
        }
    }

    /// Stops, and starts again on the same folder.
    pub async fn restart(self) -> Self {
        let Self {
            listening,
            broker,
            folder,
            ..
        } = self;
        broker.stop().await;
        listening.stop().await;
        Self::open(folder, BrokerConfig::default()).await
    }

    pub async fn stop(self) {
        self.broker.stop().await;
        self.listening.stop().await;
    }

    pub fn request(&self, method: Method, token: &str, path: &str) -> RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.url));
        if token.is_empty() {
            request
        } else {
            request.bearer_auth(token)
        }
    }

    pub async fn get(&self, token: &str, path: &str) -> Answer {
        Answer::of(self.request(Method::GET, token, path)).await
    }

    pub fn posting(&self, token: &str, path: &str, body: &Value) -> RequestBuilder {
        self.request(Method::POST, token, path)
            .header("idempotency-key", fresh_key())
            .json(body)
    }

    pub async fn post(&self, token: &str, path: &str, body: Value) -> Answer {
        Answer::of(self.posting(token, path, &body)).await
    }

    /// Opens an account with these roles in every environment; gives its identifier and token.
    pub async fn enrol(&self, name: &str, roles: &[&str], more: Value) -> (String, String) {
        let held: BTreeMap<_, _> = ["development", "staging", "production"]
            .map(|environment| (environment, roles))
            .into();
        let mut body = json!({"name": name, "roles": held, "token_ttl_s": 3600});
        let fields = body.as_object_mut().expect("an object");
        fields.extend(more.as_object().cloned().unwrap_or_default());
        let minted = self
            .post(&self.admin, "/v1/operators", body)
            .await
            .is(201)
            .json();
        let text = |name: &str| minted[name].as_str().expect("text").to_owned();
        (text("operator"), text("token"))
    }

    /// The same for somebody with a key of their own, which is enrolled.
    pub async fn person(&self, name: &str, roles: &[&str], more: Value) -> Person {
        let (id, token) = self.enrol(name, roles, more).await;
        let key = Arc::new(OwnKey::generate());
        let body = json!({"public_key": key.public().line()});
        self.post(&self.admin, &format!("/v1/operators/{id}/keys"), body)
            .await
            .is(200);
        Person {
            name: name.to_owned(),
            id,
            token,
            signer: Signer::Own(key),
        }
    }

    /// The head of the log, as somebody who has verified it knows it.
    pub fn head(&self) -> LogHead {
        let head = self.broker.engine.log().head();
        LogHead {
            origin: self.broker.engine.origin().to_owned(),
            size: head.size,
            root: STANDARD.encode(head.root),
        }
    }

    /// What somebody has to say to approve a request as it is now, with a nonce for it.
    pub async fn said(&self, person: &Person, request: &str, reason: &str) -> Statement {
        self.says(person, request, Decision::Approve, reason).await
    }

    /// The same for any decision.
    pub async fn says(
        &self,
        person: &Person,
        request: &str,
        decision: Decision,
        reason: &str,
    ) -> Statement {
        let path = format!("/v1/requests/{request}");
        let detail: RequestDetail = self.shown(person, &path).await;
        let order = self.order(person, &path).await;
        let decided = self.decided(person, &detail, decision, reason, detail.digest);
        let said = statement(&order, &decided, &person.identity().key.fingerprint());
        said.expect("nothing has changed since")
    }

    /// What somebody has to say to decide on a proposed policy.
    pub async fn says_policy(
        &self,
        person: &Person,
        proposal: &str,
        decision: Decision,
        reason: &str,
    ) -> PolicyStatement {
        let path = format!("/v1/policies/proposals/{proposal}");
        let detail: ProposalDetail = self.shown(person, &path).await;
        let order = self.order(person, &path).await;
        let decided = self.decided(person, &detail, decision, reason, detail.row.digest);
        let said = policy_statement(&order, &decided, &person.identity().key.fingerprint());
        said.expect("nothing has changed since")
    }

    async fn shown<T: serde::de::DeserializeOwned>(&self, person: &Person, path: &str) -> T {
        let detail = self.get(&person.token, path).await.is(200).json();
        serde_json::from_value(detail).expect("what the contract says")
    }

    async fn order(&self, person: &Person, path: &str) -> SigningOrder {
        let path = format!("{path}/signing");
        let order = self.post(&person.token, &path, json!({})).await.is(200);
        serde_json::from_value(order.json()).expect("an order")
    }

    fn decided<'a, D>(
        &self,
        person: &'a Person,
        detail: &'a D,
        decision: Decision,
        reason: &'a str,
        view: Digest,
    ) -> Decided<'a, D> {
        Decided {
            operator: &person.name,
            detail,
            decision,
            reason,
            view,
            head: self.head(),
            now: countersign::clock::now(),
        }
    }

    /// The body that decides by this statement, signed by this person.
    pub fn approval(&self, person: &Person, said: &Statement) -> Value {
        self.signed(person, said, said.request.digest, &said.reason)
    }

    /// The same of a proposed policy.
    pub fn policy_decision(&self, person: &Person, said: &PolicyStatement) -> Value {
        self.signed(person, said, said.proposal.digest, &said.reason)
    }

    fn signed<S: serde::Serialize>(
        &self,
        person: &Person,
        said: &S,
        digest: Digest,
        reason: &str,
    ) -> Value {
        let payload = canonical(said);
        let signature = person.sign(&approval_namespace(self.broker.engine.origin()), &payload);
        json!({"digest": digest, "reason": reason,
            "signed": {"payload": payload, "signature": signature}})
    }

    pub async fn client(&self, name: &str, environment: &str) -> String {
        let body = json!({"name": name, "owner": "payments", "environment": environment, "tier": "low",
            "dependents": ["checkout", "billing"]});
        self.post(&self.admin, "/v1/clients", body)
            .await
            .is(201)
            .subject()
    }

    /// Brings a credential in whose secret has this digest; gives its identifier.
    pub async fn adopt(&self, name: &str, client: &str, secret: &str) -> String {
        let issued_at = "2026-01-01T00:00:00Z";
        self.adopt_from("elsewhere", name, client, secret, issued_at)
            .await
    }

    /// The same for one that this issuer makes, issued at that time.
    pub async fn adopt_from(
        &self,
        issuer: &str,
        name: &str,
        client: &str,
        secret: &str,
        issued_at: &str,
    ) -> String {
        let digest = countersign::secret::digest_of_bytes(secret.as_bytes());
        let body = json!({"name": name, "environment": "development", "kind": "api_key", "issuer": issuer,
            "client": client, "owner": "payments", "audience": "https://orders.example", "scopes": ["orders:read"],
            "tier": "low", "digest": digest, "issued_at": issued_at});
        self.post(&self.admin, "/v1/credentials", body)
            .await
            .is(201)
            .subject()
    }

    /// Begins to rotate a credential, and waits until its newer secret can be taken.
    pub async fn rotated(&self, credential: &str) -> String {
        let path = format!("/v1/credentials/{credential}/rotate");
        let begun = self.post(&self.admin, &path, json!({"reason": "because"}));
        let id = begun.await.is(201).subject();
        let rotation: countersign::domain::RotationId = id.parse().expect("an identifier");
        loop {
            let state = self.broker.engine.state();
            if state.rotations.all[&rotation].checked_at.is_some() {
                return id;
            }
            let mut feed = self
                .broker
                .engine
                .subscribe(state.sequence)
                .expect("a feed");
            feed.next().await.expect("another event");
        }
    }

    /// What a service asks for.
    pub fn asking(name: &str, client: &str, environment: &str, scopes: &[&str]) -> Value {
        json!({"credential": name, "environment": environment, "kind": "api_key", "client": client,
            "audience": "https://orders.example", "scopes": scopes, "ttl_s": 3600, "reason": "CHG-1"})
    }

    /// Waits, on the engine's own feed, until the request is in this state.
    pub async fn until(&self, request: &str, wanted: RequestState) {
        let id: countersign::domain::RequestId = request.parse().expect("an identifier");
        loop {
            let state = self.broker.engine.state();
            let held = state.requests[&id].state;
            if held == wanted {
                return;
            }
            let mut feed = self
                .broker
                .engine
                .subscribe(state.sequence)
                .expect("a feed");
            tokio::time::timeout(Duration::from_secs(10), feed.next())
                .await
                .unwrap_or_else(|_| panic!("{request} stays {held}"));
        }
    }
}
