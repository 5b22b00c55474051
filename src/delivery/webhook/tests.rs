//! Against a real HTTP server that behaves badly.

use super::*;
use aws_lc_rs::hmac;
use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, Uri},
    response::IntoResponse as _,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use parking_lot::Mutex;
use std::{net::SocketAddr, sync::Arc};

const KEY: [u8; 32] = [7; 32];

/// How the server answers next, and what it was sent.
#[derive(Default)]
struct Script {
    answer: u16,
    says: String,
    hangs: bool,
    to: Option<String>,
    calls: Vec<(String, String, serde_json::Value)>,
}

type Shared = Arc<Mutex<Script>>;

async fn called(
    State(script): State<Shared>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> axum::response::Response {
    let header = |name: &str| headers[name].to_str().unwrap().to_owned();
    let (id, timestamp) = (header("webhook-id"), header("webhook-timestamp"));
    let key = hmac::Key::new(hmac::HMAC_SHA256, &KEY);
    let signed = [format!("{id}.{timestamp}.").as_bytes(), &body].concat();
    let signature = header("webhook-signature");
    let signature = STANDARD
        .decode(signature.strip_prefix("v1,").unwrap())
        .unwrap();
    hmac::verify(&key, &signed, &signature).unwrap();
    let (status, says, hangs, to) = {
        let mut script = script.lock();
        let json = serde_json::from_slice(&body).unwrap();
        script.calls.push((uri.path().to_owned(), id, json));
        let says = script.says.clone();
        (script.answer, says, script.hangs, script.to.clone())
    };
    if hangs {
        std::future::pending::<()>().await;
    }
    let status = StatusCode::from_u16(status).unwrap();
    match to {
        Some(to) => (status, [(header::LOCATION, to)], says).into_response(),
        None => (status, says).into_response(),
    }
}

async fn server() -> (SocketAddr, Shared) {
    let script = Shared::default();
    script.lock().answer = 204;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let app = Router::new().fallback(called).with_state(script.clone());
    tokio::spawn(async move { axum::serve(listener, app).await });
    (address, script)
}

fn receiver(address: SocketAddr, file: &std::path::Path) -> Receiver {
    std::fs::write(file, format!("whsec_{}\n", STANDARD.encode(KEY))).unwrap();
    Receiver::new(ReceiverConfig {
        url: format!("http://{address}/secrets/"),
        secret_file: file.to_owned(),
        prefixes: vec!["payments".into()],
        timeout_s: 1,
        ca_file: None,
    })
    .unwrap()
}

fn order(version: u32, path: &str) -> DeliveryOrder {
    DeliveryOrder {
        id: "crd_1".into(),
        credential: "payments/checkout-api".into(),
        environment: "staging".into(),
        version,
        path: path.into(),
        expires_at: None,
        over: None,
    }
}

#[tokio::test]
async fn a_receiver_gets_each_version_signed_and_with_one_id() {
    let folder = tempfile::tempdir().unwrap();
    let (address, script) = server().await;
    let receiver = receiver(address, &folder.path().join("key"));
    let secret = SecretMaterial::new("cs_stage_hunter2".into());
    let deliver = async |version, path| receiver.post(&order(version, path), &secret).await;

    let first = deliver(1, "payments/api").await.unwrap();
    assert!(
        first
            .place
            .starts_with(&format!("http://{address}/secrets/payments/api, dlv_"))
    );
    script.lock().answer = 503;
    let later = deliver(2, "payments/api").await.unwrap_err();
    assert!(
        matches!(later, DeliveryError::Unavailable { .. }),
        "{later}"
    );
    script.lock().answer = 200;
    deliver(2, "payments/api").await.unwrap();

    let calls = std::mem::take(&mut script.lock().calls);
    let ids: Vec<_> = calls.iter().map(|(_, id, _)| id.clone()).collect();
    assert_ne!(ids[0], ids[1]);
    assert_eq!(ids[1], ids[2], "the same version has the same id");
    let (path, _, body) = &calls[0];
    assert_eq!(path, "/secrets/payments/api");
    assert_eq!(body["version"], 1);
    assert_eq!(body["credential"], "payments/checkout-api");
    assert_eq!(body["secret"]["token"], "cs_stage_hunter2");

    let elsewhere = deliver(1, "ops/api").await.unwrap_err().to_string();
    assert!(
        elsewhere.contains("expected a path below payments"),
        "{elsewhere}"
    );
    assert!(script.lock().calls.is_empty(), "it was not asked");
}

#[tokio::test]
async fn whatever_a_receiver_does_is_told_apart_and_says_nothing_secret() {
    let folder = tempfile::tempdir().unwrap();
    let (address, script) = server().await;
    let receiver = receiver(address, &folder.path().join("key"));
    let secret = SecretMaterial::new("cs_stage_hunter2".into());
    let deliver = async || receiver.post(&order(1, "payments/api"), &secret).await;

    script.lock().answer = 422;
    script.lock().says = "no such service".into();
    assert_eq!(
        deliver().await,
        refused("it answered 422: no such service".into())
    );
    script.lock().says = "what is cs_stage_hunter2?".into();
    assert_eq!(deliver().await, refused("it answered 422".into()));
    script.lock().says = "x".repeat(1_000_000);
    assert_eq!(deliver().await, refused("it answered 422".into()));

    // Another address must not get what was meant for this one.
    let (other, elsewhere) = server().await;
    script.lock().answer = 307;
    script.lock().to = Some(format!("http://{other}/x"));
    let moved = deliver().await.unwrap_err().to_string();
    assert!(moved.contains("not sent on"), "{moved}");
    assert!(elsewhere.lock().calls.is_empty());

    script.lock().hangs = true;
    let silent = deliver().await.unwrap_err();
    assert_eq!(
        silent,
        DeliveryError::Unknown {
            system: RECEIVER,
            reason: "it did not answer in time".into()
        }
    );
    std::fs::write(folder.path().join("key"), "hunter2").unwrap();
    let unsigned = deliver().await.unwrap_err();
    assert!(matches!(unsigned, DeliveryError::Unavailable { .. }));
    assert!(!unsigned.to_string().contains("hunter2"));
}

#[tokio::test]
async fn a_receiver_that_is_not_there_is_unavailable() {
    let folder = tempfile::tempdir().unwrap();
    let (address, _script) = {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        (listener.local_addr().unwrap(), ())
    };
    let receiver = receiver(address, &folder.path().join("key"));
    let secret = SecretMaterial::new("cs_stage_hunter2".into());
    let away = receiver.post(&order(1, "payments/api"), &secret).await;
    assert_eq!(away, unavailable("it cannot be reached", None));
}
