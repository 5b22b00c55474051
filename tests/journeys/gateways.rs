//! Real gateways with the configurations that are shipped: nginx, Envoy and HAProxy before an upstream that says what it
//! saw. What was revoked is refused at each; whoever is paused or cut off shows as such.

use crate::support::cli::cli;
use crate::support::company::{PATIENCE, done};
use crate::support::process::Server;
use crate::support::{BrokerProcess, free_port, wait_until};
use axum::Router;
use axum::extract::Request;
use countersign::client::{Client, Once};
use countersign::secret::digest_of_bytes;
use countersign::wire::revocation::Revoke;
use countersign::wire::{
    Adoption, CredentialId, Environment, Evidence, Kind, NewClient, Pending, ReachState, ReachView,
    RevocationDetail, RevocationState, Tier,
};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

const KEY: &str = "cs_prod_journey";
const PROFILES: [&str; 3] = ["nginx", "envoy", "haproxy"];

/// An upstream that answers with the headers that it saw, a line each: where it is, and how often it was reached.
async fn upstream() -> (u16, Arc<AtomicUsize>) {
    let reached = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&reached);
    let echo = move |request: Request| {
        count.fetch_add(1, Ordering::SeqCst);
        let mut said = String::from("reached\n");
        for (name, value) in request.headers() {
            said.push_str(&format!("{name}: {}\n", value.to_str().unwrap()));
        }
        std::future::ready(said)
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move { axum::serve(listener, Router::new().fallback(echo)).await });
    (port, reached)
}

/// A company with a key, and an upstream.
pub struct Scene {
    broker: BrokerProcess,
    admin: String,
    client: Client,
    credential: CredentialId,
    upstream: u16,
    /// How often the upstream was reached, where it counts that.
    reached: Arc<AtomicUsize>,
}

/// A running gateway.
pub struct Front {
    pub name: String,
    pub port: u16,
    folder: PathBuf,
    server: Server,
}

impl Scene {
    async fn set() -> Self {
        let broker = BrokerProcess::start("");
        let admin = broker.admin_token();
        let client = broker.client(&admin);
        let new = NewClient {
            name: "orders-api".into(),
            owner: "payments".into(),
            contact: String::new(),
            environment: Environment::Production,
            tier: Tier::High,
            dependents: Vec::new(),
        };
        let owner = done(client.add_client(&new, &Once::new()).await).subject;
        let (upstream, reached) = upstream().await;
        let mut scene = Self {
            broker,
            admin,
            client,
            credential: CredentialId::from_bits(0),
            upstream,
            reached,
        };
        scene.credential = scene.adopt("orders/key", &owner, KEY).await;
        scene
    }

    /// Over a broker that has a key already, before this upstream.
    pub fn over(broker: BrokerProcess, credential: CredentialId, upstream: u16) -> Self {
        let admin = broker.admin_token();
        Self {
            client: broker.client(&admin),
            broker,
            admin,
            credential,
            upstream,
            reached: Arc::default(),
        }
    }

    async fn adopt(&self, name: &str, owner: &str, key: &str) -> CredentialId {
        let adoption = Adoption {
            name: name.into(),
            environment: Environment::Production,
            kind: Kind::ApiKey,
            issuer: "elsewhere".into(),
            client: owner.parse().unwrap(),
            owner: "payments".into(),
            audience: "orders".into(),
            scopes: vec!["orders:read".into()],
            tier: Tier::High,
            tags: Vec::new(),
            digest: digest_of_bytes(key.as_bytes()),
            issued_at: "2026-01-01T00:00:00Z".parse().unwrap(),
            expires_at: None,
            cadence_s: None,
        };
        let receipt = done(self.client.adopt(&adoption, &Once::new()).await);
        receipt.subject.parse().unwrap()
    }

    fn admin(&self, args: &[&str]) -> String {
        cli(self.broker.url(), &self.admin, args).expect(0).out
    }

    /// Registers a gateway; the file that holds its token.
    fn register(&self, name: &str, profile: &str, more: &[&str]) -> PathBuf {
        let file = self.broker.path(&format!("{name}.token"));
        let path = file.to_str().unwrap();
        let add = [
            "gateway",
            "add",
            name,
            "--profile",
            profile,
            "--env",
            "production",
            "--out",
            path,
        ];
        self.admin(&[&add[..], more].concat());
        file
    }

    /// A gateway with the configuration that the command line prints for it.
    pub async fn front(&self, name: &str, profile: &str, more: &[&str]) -> Front {
        let token = self.register(name, profile, more);
        let port = free_port();
        let (listen, upstream) = (
            format!("127.0.0.1:{port}"),
            format!("127.0.0.1:{}", self.upstream),
        );
        let fill = [
            "--listen",
            &listen,
            "--upstream",
            &upstream,
            "--gateway-token",
            token.to_str().unwrap(),
        ];
        let config = self.admin(&[&["gateway", "config", name], &fill[..]].concat());
        let folder = self.broker.path(&format!("{name}.d"));
        std::fs::create_dir(&folder).unwrap();
        let write = |file: &str, text: &str| {
            let path = folder.join(file);
            std::fs::write(&path, text).unwrap();
            path.to_str().unwrap().to_owned()
        };
        let place = folder.to_str().unwrap();
        let (command, signal) = match profile {
            "nginx" => {
                let config = config.replace("/run/countersign-nginx", &format!("{place}/cache"));
                let inner = write("countersign.conf", &config);
                let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
                    .map(|kind| format!("{kind}_temp_path {place}/{kind};\n"))
                    .concat();
                let outer = format!(
                    "daemon off;\nmaster_process off;\npid {place}/nginx.pid;\nerror_log stderr;\nevents {{}}\n\
                     http {{\naccess_log off;\n{temporary}include {inner};\n}}\n"
                );
                let file = write("nginx.conf", &outer);
                (format!("exec nginx -e stderr -c {file} -p {place}"), "QUIT")
            }
            "envoy" => {
                let file = write("envoy.yaml", &config);
                let envoy = "exec envoy --concurrency 1 --disable-hot-restart -l warn";
                (format!("{envoy} -c {file}"), "KILL")
            }
            _ => {
                write("haproxy.cfg", &config);
                let lua = self.admin(&["gateway", "config", name, "--lua"]);
                write("authz.lua", &lua);
                (
                    format!("cd {place} && exec haproxy -db -f haproxy.cfg"),
                    "TERM",
                )
            }
        };
        let command = ["sh".to_owned(), "-c".to_owned(), command];
        let mut server = Server::start(signal, &command, &folder.join("log"));
        wait_until(PATIENCE, &format!("{name} listens"), async || {
            server.assert_running(name);
            TcpStream::connect(("127.0.0.1", port)).ok()
        })
        .await;
        Front {
            name: name.to_owned(),
            port,
            folder,
            server,
        }
    }

    async fn revoke(&self, credential: CredentialId) -> String {
        let body = Revoke {
            version: None,
            reason: "leaked".into(),
        };
        done(self.client.revoke(credential, &body, &Once::new()).await).subject
    }

    async fn detail(&self, revocation: &str) -> RevocationDetail {
        let id = revocation.parse().unwrap();
        self.client.revocation(id).await.unwrap().value
    }

    /// A gateway's part, once it is so.
    async fn part(
        &self,
        revocation: &str,
        name: &str,
        is_so: impl Fn(&ReachView) -> bool,
    ) -> ReachView {
        wait_until(PATIENCE, &format!("{name}'s part"), async || {
            let detail = self.detail(revocation).await;
            let part = detail.reach.into_iter().find(|part| part.name == name)?;
            is_so(&part).then_some(part)
        })
        .await
    }
}

impl Front {
    /// The status and the whole answer to a call whose path is sent as it is.
    pub fn call(&self, path: &str, headers: &[&str]) -> (u16, String) {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut request =
            format!("GET {path} HTTP/1.1\r\nHost: orders.example\r\nConnection: close\r\n");
        for header in headers {
            request.push_str(header);
            request.push_str("\r\n");
        }
        request.push_str("\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let status = answer.split(' ').nth(1).and_then(|word| word.parse().ok());
        let status = status.unwrap_or_else(|| {
            panic!(
                "{} answered {answer:?}; its log:\n{}",
                self.name,
                self.server.log()
            )
        });
        (status, answer)
    }

    fn with_key(&self, path: &str) -> (u16, String) {
        self.call(path, &[&format!("Authorization: Bearer {KEY}")])
    }

    /// Stops it, or lets it go on.
    fn signal(&self, signal: &str) {
        let pid = std::fs::read_to_string(self.folder.join("nginx.pid")).unwrap();
        let sent = Command::new("kill").args([signal, pid.trim()]).status();
        assert!(sent.unwrap().success());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn three_gateways_ask_and_refuse_what_was_revoked() {
    let scene = Scene::set().await;
    let mut fronts = Vec::new();
    for profile in PROFILES {
        fronts.push(scene.front(&format!("edge-{profile}"), profile, &[]).await);
    }
    let real = format!("x-countersign-credential: {}", scene.credential);
    for front in &fronts {
        let name = &front.name;
        // Envoy's own look-ups of its clusters may take a moment.
        wait_until(PATIENCE, name, async || {
            (front.with_key("/orders").0 == 200).then_some(())
        })
        .await;
        let bearer = format!("Authorization: Bearer {KEY}");
        let forged = [
            &bearer,
            "X-Countersign-Credential: crd_forged",
            "X-Countersign-Scopes: everything",
            "X-Countersign-Subject: somebody/else",
        ];
        let (status, said) = front.call("/orders?x=1", &forged);
        let said = said.to_ascii_lowercase();
        assert_eq!(status, 200, "{name}: {said}");
        assert!(
            said.contains(&real) && !said.contains("forged"),
            "{name}: {said}"
        );
        assert!(
            said.contains("x-countersign-scopes: orders:read\n"),
            "{name}: {said}"
        );
        assert!(
            !said.contains("somebody/else") && !said.contains("everything"),
            "{name}: {said}"
        );
        assert!(
            !said.contains(KEY),
            "{name}: the key went on to the upstream"
        );
        assert!(
            !said.contains("cs_gwy_"),
            "{name}: its own token went on to the upstream"
        );

        let before = scene.reached.load(Ordering::SeqCst);
        let (status, said) = front.call("/orders", &["X-Countersign-Credential: crd_forged"]);
        assert_eq!(status, 401, "{name}: {said}");
        assert!(
            said.to_ascii_lowercase()
                .contains("www-authenticate: bearer realm"),
            "{name}: {said}"
        );
        for path in [
            "/a/../b",
            "/..",
            "//a",
            "/a//b",
            "/a;x=1",
            "/a/./b",
            "/a%2Fb",
            "/a%5cb",
            "/%2e%2e/b",
        ] {
            let (status, said) = front.with_key(path);
            assert!(status == 403 || status == 400, "{name} {path}: {said}");
        }
        assert_eq!(
            front.call("/orders", &["Authorization: Bearer another"]).0,
            401,
            "{name}"
        );
        assert_eq!(
            scene.reached.load(Ordering::SeqCst),
            before,
            "{name} let something through"
        );
    }

    let began = Instant::now();
    let revocation = scene.revoke(scene.credential).await;
    let told = began.elapsed();
    for front in &fronts {
        let name = &front.name;
        let asked = Instant::now();
        wait_until(PATIENCE, name, async || {
            (front.with_key("/orders").0 == 401).then_some(())
        })
        .await;
        println!(
            "{name}: revoke answered after {told:?}; first refusal {:?} after the revoke was sent, its call took {:?}",
            began.elapsed(),
            asked.elapsed()
        );
        let part = scene
            .part(&revocation, name, |part| part.state == ReachState::Proven)
            .await;
        assert_eq!(part.by, Some(Evidence::Asks));
        assert!(!part.silent && !part.late, "{part:?}");
        assert!(part.refused >= 1 && part.refused_at.is_some(), "{part:?}");
    }
    let detail = scene.detail(&revocation).await;
    assert_eq!(detail.row.state, RevocationState::Propagated);
    assert_eq!(
        (detail.row.gateways, detail.row.applied, detail.row.proven),
        (3, 3, 3)
    );
    assert_eq!(detail.exposure.accepted_after, None);
    assert!(detail.exposure.through.is_empty() && detail.exposure.refused_at.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_broker_nobody_passes() {
    let mut scene = Scene::set().await;
    let mut fronts = Vec::new();
    for profile in PROFILES {
        fronts.push(scene.front(&format!("edge-{profile}"), profile, &[]).await);
    }
    let passes = async |front: &Front| {
        wait_until(PATIENCE, &front.name, async || {
            (front.with_key("/orders").0 == 200).then_some(())
        })
        .await;
    };
    for front in &fronts {
        passes(front).await;
    }
    scene.broker.kill();
    for front in &fronts {
        let (status, said) = front.with_key("/orders");
        assert!(status >= 500, "{}: {said}", front.name);
        assert!(!said.contains("reached"), "{}: {said}", front.name);
    }
    scene.broker.start_again();
    for front in &fronts {
        passes(front).await;
    }
}

/// One that is told: it takes what it is handed, and says so, until its line is cut.
async fn receive(url: String, id: String, token: String) {
    let http = reqwest::Client::new();
    let mut turns = tokio::time::interval(Duration::from_millis(100));
    loop {
        turns.tick().await;
        let base = format!("{url}/v1/gateways/{id}");
        let asked = http
            .get(format!("{base}/pending"))
            .bearer_auth(&token)
            .send();
        let pending: Pending = asked.await.unwrap().json().await.unwrap();
        let cursor = serde_json::json!({"cursor": pending.through});
        let put = http
            .put(format!("{base}/cursor"))
            .bearer_auth(&token)
            .json(&cursor);
        assert!(put.send().await.unwrap().status().is_success());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_paused_and_the_cut_off_show_as_they_are() {
    let scene = Scene::set().await;
    let front = scene.front("paused", "nginx", &["--cache", "2s"]).await;
    assert_eq!(front.with_key("/orders").0, 200);
    let token = scene.register("cut-off", "receiver", &["--objective", "1s"]);
    let token = std::fs::read_to_string(token).unwrap().trim().to_owned();
    let rows: serde_json::Value =
        serde_json::from_str(&scene.admin(&["gateway", "list", "-o", "json"])).unwrap();
    let row = rows
        .as_array()
        .unwrap()
        .iter()
        .find(|row| row["name"] == "cut-off");
    let id = row.unwrap()["id"].as_str().unwrap().to_owned();
    let url = scene.broker.url().to_owned();
    let receiving = tokio::spawn(receive(url.clone(), id.clone(), token.clone()));
    wait_until(PATIENCE, "it is heard of", async || {
        let shown = scene.admin(&["gateway", "show", "cut-off", "-o", "json"]);
        let row: serde_json::Value = serde_json::from_str(&shown).unwrap();
        row["seen_at"].is_string().then_some(())
    })
    .await;

    // Both stop: one in the middle of its life, one cut off from the broker.
    front.signal("-STOP");
    receiving.abort();
    let _aborted = receiving.await;
    let owner = scene.client.credential(scene.credential).await.unwrap();
    let owner = owner.value.client_id.to_string();
    let second = scene.adopt("orders/second", &owner, "cs_prod_second").await;
    let revocation = scene.revoke(scene.credential).await;
    let later = scene.revoke(second).await;

    let part = scene
        .part(&revocation, "paused", |part| part.applied_at.is_some())
        .await;
    assert_eq!(part.by, Some(Evidence::CacheEnded), "{part:?}");
    assert!(
        part.applied_ms.unwrap() >= 3_000,
        "the bound is the cache and a second: {part:?}"
    );
    assert!(
        part.silent && part.state == ReachState::Applied,
        "nobody saw it refuse: {part:?}"
    );
    let part = scene.part(&revocation, "cut-off", |part| part.late).await;
    assert_eq!(part.state, ReachState::Pending, "{part:?}");
    assert!(part.silent && part.applied_at.is_none(), "{part:?}");
    let detail = scene.detail(&revocation).await;
    assert_eq!(detail.row.state, RevocationState::Propagating);
    assert_eq!(detail.exposure.through, ["cut-off"]);
    let third = scene
        .adopt("orders/third", &owner, "cs_prod_third")
        .await
        .to_string();
    let wait = [
        "credential",
        "revoke",
        &third,
        "--reason",
        "x",
        "--yes",
        "--wait",
        "--timeout",
        "1s",
    ];
    let waited = cli(scene.broker.url(), &scene.admin, &wait).expect(5);
    assert!(waited.err.contains("not refused by"), "{}", waited.err);

    // Back again: one refuses for all to see, the other catches up in order.
    front.signal("-CONT");
    assert_eq!(front.with_key("/orders").0, 401);
    let part = scene
        .part(&revocation, "paused", |part| {
            part.state == ReachState::Proven
        })
        .await;
    assert!(!part.silent, "{part:?}");
    let receiving = tokio::spawn(receive(url, id, token));
    let first = scene
        .part(&revocation, "cut-off", |part| part.applied_at.is_some())
        .await;
    let next = scene
        .part(&later, "cut-off", |part| part.applied_at.is_some())
        .await;
    assert_eq!(first.by, Some(Evidence::Acknowledged));
    assert!(first.late, "the outage counts: {first:?}");
    assert!(
        first.applied_at <= next.applied_at,
        "in the order in which they took effect"
    );
    let detail = scene.detail(&revocation).await;
    assert_eq!(detail.row.state, RevocationState::Propagated);
    assert!(
        detail.row.time_to_revoke_ms.unwrap() >= 1_000,
        "{:?}",
        detail.row
    );
    receiving.abort();
}
