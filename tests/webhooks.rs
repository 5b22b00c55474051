//! Webhooks, told over real connections: a receiver checks each signature as the standard says, and behaves badly in
//! every way that receivers do. Whatever happens, each event arrives, in the order of the log.

#![allow(
    clippy::unwrap_used,
    reason = "a panic in a test's helper is its report"
)]

use aws_lc_rs::hmac;
use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode},
    routing::post,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use countersign::{
    broker::{
        engine::{Engine, fresh_bits, system_context},
        serve::{Broker, Options},
    },
    clock,
    config::{BrokerConfig, WebhookConfig},
    domain::{Actor, Client, ClientId, Command, Environment, Proof, Tier, TokenId},
    wire::{WebhookHealth, webhook::CloudEvent},
};
use std::{
    collections::VecDeque,
    net::SocketAddr,
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};
use tempfile::TempDir;
use tokio::{
    net::TcpListener,
    runtime::{Builder, Runtime},
    sync::{mpsc, oneshot},
};

const KEY: [u8; 32] = [7; 32];

/// Ample for waits of a few seconds on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// How the receiver behaves at its next call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Manner {
    Answer(u16),
    /// Takes the call and says nothing.
    Hang,
}

/// One call, its signature checked.
#[derive(Debug)]
struct Called {
    id: String,
    event: CloudEvent,
    manner: Manner,
}

#[derive(Clone)]
struct Script {
    manners: Arc<Mutex<VecDeque<Manner>>>,
    calls: mpsc::UnboundedSender<Called>,
}

/// A receiver that listens until it leaves.
struct Receiver {
    address: SocketAddr,
    script: Script,
    /// Of its own, so that its connections end with it.
    runtime: Runtime,
}

impl Receiver {
    async fn listen(address: SocketAddr, calls: mpsc::UnboundedSender<Called>) -> Self {
        let script = Script {
            manners: Arc::default(),
            calls,
        };
        let app = Router::new()
            .route("/hook", post(called))
            .with_state(script.clone());
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let (told, at) = oneshot::channel();
        runtime.spawn(async move {
            let listener = TcpListener::bind(address).await.unwrap();
            told.send(listener.local_addr().unwrap()).unwrap();
            axum::serve(listener, app).await.unwrap();
        });
        Self {
            address: at.await.unwrap(),
            script,
            runtime,
        }
    }

    /// Behaves like this at its next calls, and well afterwards.
    fn behave(&self, manners: &[Manner]) {
        self.script.manners.lock().unwrap().extend(manners);
    }

    /// Gone, with every connection.
    async fn leave(self) {
        let runtime = self.runtime;
        let gone = tokio::task::spawn_blocking(move || runtime.shutdown_timeout(PATIENCE));
        gone.await.unwrap();
    }
}

async fn called(State(script): State<Script>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let header = |name: &str| headers[name].to_str().unwrap().to_owned();
    assert_eq!(
        header("content-type"),
        "application/cloudevents+json; charset=utf-8"
    );
    let (id, timestamp) = (header("webhook-id"), header("webhook-timestamp"));
    let age = clock::now().timestamp() - timestamp.parse::<i64>().unwrap();
    assert!((0..60).contains(&age), "{age} s old");
    let mut signed = format!("{id}.{timestamp}.").into_bytes();
    signed.extend_from_slice(&body);
    let key = hmac::Key::new(hmac::HMAC_SHA256, &KEY);
    let signature = header("webhook-signature");
    let signature = STANDARD
        .decode(signature.strip_prefix("v1,").unwrap())
        .unwrap();
    hmac::verify(&key, &signed, &signature).expect("it is signed by the broker");
    let event: CloudEvent = serde_json::from_slice(&body).unwrap();
    assert_eq!(event.id, id);
    let manner = script.manners.lock().unwrap().pop_front();
    let manner = manner.unwrap_or(Manner::Answer(204));
    let _gone = script.calls.send(Called { id, event, manner });
    match manner {
        Manner::Answer(status) => StatusCode::from_u16(status).unwrap(),
        Manner::Hang => std::future::pending().await,
    }
}

struct Company {
    folder: TempDir,
    broker: Broker,
    config: BrokerConfig,
    count: u32,
}

fn options(folder: &Path, config: &BrokerConfig) -> Options {
    Options {
        data: folder.join("data"),
        origin: Some("test.example/log".into()),
        now: clock::now(),
        admin_token_file: Some(folder.join("admin")),
        config: config.clone(),
    }
}

impl Company {
    async fn start(address: SocketAddr, events: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let secret_file = folder.path().join("hook.secret");
        std::fs::write(&secret_file, format!("whsec_{}\n", STANDARD.encode(KEY))).unwrap();
        let hook = WebhookConfig {
            url: format!("http://{address}/hook"),
            secret_file,
            events: events.iter().map(|&kind| kind.into()).collect(),
            timeout_s: 1,
            ca_file: None,
        };
        let config = BrokerConfig {
            webhook: [("chat".to_owned(), hook)].into(),
            ..BrokerConfig::default()
        };
        let broker = Broker::open(&options(folder.path(), &config))
            .await
            .unwrap();
        Self {
            folder,
            broker,
            config,
            count: 0,
        }
    }

    async fn restart(self) -> Self {
        let Self {
            folder,
            broker,
            config,
            count,
        } = self;
        broker.stop().await;
        let broker = Broker::open(&options(folder.path(), &config))
            .await
            .unwrap();
        Self {
            folder,
            broker,
            config,
            count,
        }
    }

    fn engine(&self) -> &Engine {
        &self.broker.engine
    }

    /// A client comes; its name.
    async fn onboard(&mut self) -> String {
        self.count += 1;
        let name = format!("client-{}", self.count);
        let now = clock::now();
        let admin = self.engine().state().operator_named("admin").unwrap().id;
        let client = Client {
            id: ClientId::from_bits(fresh_bits(now)),
            name: name.clone(),
            owner: "payments".into(),
            contact: String::new(),
            environment: Environment::Production,
            tier: Tier::High,
            dependents: vec![],
            offboarded_at: None,
            sequence: 0,
        };
        let token = TokenId::from_bits(1);
        let context = countersign::domain::Context {
            actor: Actor::Operator {
                id: admin,
                proof: Proof::Token { token },
            },
            ..system_context("test", now)
        };
        let command = Command::OnboardClient(Box::new(client));
        self.engine().submit(command, context).await.unwrap();
        name
    }

    fn health(&self) -> WebhookHealth {
        self.engine().health().webhooks.remove(0)
    }

    /// Waits until the receiver stands like this, as the metrics and `readyz` see it.
    async fn until(&self, wanted: impl Fn(&WebhookHealth) -> bool) {
        let waiting = async {
            while !wanted(&self.health()) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let waited = tokio::time::timeout(PATIENCE, waiting).await;
        waited.unwrap_or_else(|_| panic!("it stays {:?}", self.health()));
    }
}

async fn next(calls: &mut mpsc::UnboundedReceiver<Called>) -> Called {
    let call = tokio::time::timeout(PATIENCE, calls.recv()).await;
    call.expect("a call in time").expect("a receiver")
}

fn anywhere() -> SocketAddr {
    "127.0.0.1:0".parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_event_arrives_in_order_whatever_the_receiver_does() {
    let (sender, mut calls) = mpsc::unbounded_channel();
    let receiver = Receiver::listen(anywhere(), sender.clone()).await;
    let address = receiver.address;
    let mut company = Company::start(address, &["client.*"]).await;
    let mut heard: Vec<Called> = Vec::new();
    let mut expected = Vec::new();

    // It answers well; what it does not want (the admin's account, before) it does not hear of.
    expected.push(company.onboard().await);
    heard.push(next(&mut calls).await);
    assert_eq!(heard[0].event.kind, "client.onboarded");
    assert_eq!(heard[0].event.source, "test.example/log");
    assert_eq!(heard[0].event.data.actor, "admin");
    company
        .until(|health| health.ready && health.behind == 0)
        .await;

    // It fails and then takes it: the same message comes again, and no later one before it.
    receiver.behave(&[
        Manner::Answer(500),
        Manner::Answer(503),
        Manner::Answer(200),
    ]);
    expected.push(company.onboard().await);
    expected.push(company.onboard().await);
    let again: Vec<Called> = [
        next(&mut calls).await,
        next(&mut calls).await,
        next(&mut calls).await,
    ]
    .into();
    assert!(again.iter().all(|call| call.id == again[0].id));
    heard.extend(again.into_iter().last());
    heard.push(next(&mut calls).await);

    // It hangs: the call is given up, the service is degraded meanwhile, and it is called again.
    receiver.behave(&[Manner::Hang]);
    expected.push(company.onboard().await);
    assert_eq!(next(&mut calls).await.manner, Manner::Hang);
    company
        .until(|health| health.detail.contains("did not answer in time"))
        .await;
    assert_eq!(company.engine().health().status, "degraded");
    heard.push(next(&mut calls).await);
    company.until(|health| health.ready).await;
    assert_eq!(company.engine().health().status, "ready");

    // It disappears, things happen, the broker restarts, and it comes back.
    receiver.leave().await;
    for _ in 0..3 {
        expected.push(company.onboard().await);
    }
    company
        .until(|health| health.detail.contains("4 calls in a row"))
        .await;
    assert!(company.health().behind >= 3);
    let mut company = company.restart().await;
    company.until(|health| !health.ready).await;
    let receiver = Receiver::listen(address, sender).await;
    expected.push(company.onboard().await);
    for _ in 0..4 {
        heard.push(next(&mut calls).await);
    }
    company
        .until(|health| health.ready && health.behind == 0)
        .await;

    let names: Vec<_> = heard
        .iter()
        .map(|call| call.event.data.subject_name.clone())
        .collect();
    assert_eq!(names, expected);
    let sequences: Vec<_> = heard.iter().map(|call| call.event.data.sequence).collect();
    assert!(sequences.is_sorted_by(|a, b| a < b), "{sequences:?}");
    receiver.leave().await;
    company.broker.stop().await;
    assert!(calls.try_recv().is_err(), "nothing came twice without need");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receiver_that_is_gone_is_called_no_more_until_its_address_changes() {
    let (sender, mut calls) = mpsc::unbounded_channel();
    let receiver = Receiver::listen(anywhere(), sender).await;
    let mut company = Company::start(receiver.address, &["client.onboarded"]).await;
    receiver.behave(&[Manner::Answer(410)]);
    company.onboard().await;
    assert_eq!(next(&mut calls).await.manner, Manner::Answer(410));
    company.until(|health| health.detail.contains("410")).await;
    company.onboard().await;
    let mut company = company.restart().await;
    company.until(|health| health.detail.contains("410")).await;
    company.onboard().await;
    let hook = company.config.webhook.get_mut("chat").unwrap();
    hook.url = format!("{}?again", hook.url);
    let company = company.restart().await;
    // What it said that it did not want is told to the new address: nobody else had it.
    for name in ["client-1", "client-2", "client-3"] {
        assert_eq!(next(&mut calls).await.event.data.subject_name, name);
    }
    assert!(calls.try_recv().is_err(), "nothing came to the old address");
    receiver.leave().await;
    company.broker.stop().await;
}

#[tokio::test]
async fn a_secret_that_cannot_sign_keeps_the_broker_from_starting() {
    let folder = tempfile::tempdir().unwrap();
    let secret_file = folder.path().join("hook.secret");
    let hook = WebhookConfig {
        url: "https://chat.example/hook".into(),
        secret_file: secret_file.clone(),
        events: vec!["request.*".into()],
        timeout_s: 1,
        ca_file: None,
    };
    let mut config = BrokerConfig {
        webhook: [("chat".to_owned(), hook)].into(),
        ..BrokerConfig::default()
    };
    let refused = async |config: &BrokerConfig| {
        let error = Broker::open(&options(folder.path(), config))
            .await
            .unwrap_err();
        let mut said = error.to_string();
        let mut cause = std::error::Error::source(&error);
        while let Some(source) = cause {
            said = format!("{said}: {source}");
            cause = source.source();
        }
        said
    };
    assert!(
        refused(&config)
            .await
            .contains("webhook.chat.secret_file: its secret file cannot be read")
    );
    std::fs::write(&secret_file, "hunter2hunter2hunter2").unwrap();
    let said = refused(&config).await;
    assert!(
        said.contains("expected whsec_") && !said.contains("hunter2"),
        "{said}"
    );
    std::fs::write(&secret_file, format!("whsec_{}", STANDARD.encode(KEY))).unwrap();
    config.webhook.get_mut("chat").unwrap().events = vec!["request.approve".into()];
    assert!(refused(&config).await.contains("no type of event"));
}
