//! The OpenBao issuer against a server that misbehaves in ways that the real one cannot be made to: a front that
//! answers the preparation as OpenBao does, and then the call that mints in a wrong way.
#![expect(
    clippy::unwrap_used,
    reason = "a panic in a test's helper is its report"
)]

mod support;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post};
use countersign::issuers::openbao::{OpenBaoConfig, OpenBaoIssuer};
use countersign::issuers::{IssueError, Issuer, Locator, MintOrder, RevokeOutcome, locator};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use support::wait_until;
use tempfile::TempDir;

const CHILD: &str =
    r#"{"auth":{"client_token":"s.child","accessor":"acc","lease_duration":60,"orphan":true}}"#;

#[derive(Clone, Copy)]
enum Fault {
    HangsUp,
    HalfAnAnswer,
    NeverAnswers,
    Endless,
    NotJson,
    NoData,
    WrongTypes,
    Redirects,
    Busy,
    Broken,
    ControlGroup,
}

/// What the front saw.
#[derive(Default)]
struct Seen {
    mints: AtomicUsize,
    child_revocations: AtomicUsize,
    redirected: AtomicUsize,
}

/// The address of a front with this fault, on loopback.
async fn front(fault: Fault) -> (String, Arc<Seen>) {
    let seen = Arc::new(Seen::default());
    let (minting, revoking, redirected) = (seen.clone(), seen.clone(), seen.clone());
    let count = |counter: &AtomicUsize| counter.fetch_add(1, Ordering::SeqCst);
    let routes = Router::new()
        .route("/v1/auth/token/create", post(|| async { CHILD }))
        .route(
            "/v1/database/creds/app-ro",
            get(move |headers: HeaderMap| async move {
                assert_eq!(
                    headers["x-vault-token"], "s.child",
                    "the child mints, not the broker"
                );
                assert_eq!(headers["x-countersign-request"], "req_7");
                count(&minting.mints);
                answer(fault).await
            }),
        )
        .route(
            "/v1/auth/token/revoke-accessor",
            any(move || async move {
                count(&revoking.child_revocations);
                StatusCode::NO_CONTENT
            }),
        )
        .route(
            "/v1/sys/leases/revoke",
            any(|| async { StatusCode::NO_CONTENT }),
        )
        .route(
            "/v1/sys/leases/lookup",
            any(|| async { r#"{"data":{"id":"database/creds/app-ro/x"}}"# }),
        )
        .route(
            "/elsewhere",
            any(move || async move {
                count(&redirected.redirected);
                ""
            }),
        );
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, routes).await });
    (address, seen)
}

async fn answer(fault: Fault) -> Response {
    let broken_off = |start: &'static str| {
        let end = Err(std::io::Error::other("cut"));
        Body::from_stream(futures_util::stream::iter([Ok(start), end])).into_response()
    };
    let endless =
        || futures_util::stream::repeat_with(|| Ok::<_, std::io::Error>("x".repeat(65_536)));
    match fault {
        Fault::HangsUp => broken_off(""),
        Fault::HalfAnAnswer => broken_off(r#"{"lease_id":"database/creds/app-ro/x","da"#),
        Fault::NeverAnswers => std::future::pending().await,
        Fault::Endless => Body::from_stream(endless()).into_response(),
        Fault::NotJson => "<html>it works</html>".into_response(),
        Fault::NoData => {
            r#"{"lease_id":"database/creds/app-ro/x","lease_duration":60,"data":null}"#
                .into_response()
        }
        Fault::WrongTypes => r#"{"data":{"username":7,"password":"do-not-print"}}"#.into_response(),
        Fault::Redirects => (
            StatusCode::TEMPORARY_REDIRECT,
            [(header::LOCATION, "/elsewhere")],
        )
            .into_response(),
        Fault::Busy => {
            let body = r#"{"errors":["rate limit quota exceeded"]}"#;
            (
                StatusCode::TOO_MANY_REQUESTS,
                [(header::RETRY_AFTER, "4")],
                body,
            )
                .into_response()
        }
        Fault::Broken => (
            StatusCode::INTERNAL_SERVER_ERROR,
            r#"{"errors":["internal error"]}"#,
        )
            .into_response(),
        Fault::ControlGroup => {
            r#"{"data":null,"wrap_info":{"token":"s.w","ttl":60}}"#.into_response()
        }
    }
}

fn issuer(folder: &TempDir, address: &str, extra: &str) -> OpenBaoIssuer {
    let token = folder.path().join("broker-token");
    std::fs::write(&token, "s.broker").unwrap();
    let config = format!(
        "address = {address:?}\ntoken_file = \"{}\"\nroles = [\"database/creds/app-ro\"]\ntimeout_s = 4\n{extra}",
        token.display()
    );
    OpenBaoIssuer::new(toml::from_str::<OpenBaoConfig>(&config).unwrap()).unwrap()
}

fn order() -> MintOrder {
    MintOrder {
        attempt_key: "req_7/1".into(),
        request_id: "req_7".into(),
        credential: "payments/reports-db".into(),
        role: "database/creds/app-ro".into(),
        ttl_s: 60,
        max_ttl_s: 60,
        token: None,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_answer_to_minting_is_judged_and_the_child_token_removed() {
    let folder = tempfile::tempdir().unwrap();
    let cases = [
        (Fault::HangsUp, "unknown", ""),
        (Fault::HalfAnAnswer, "unknown", ""),
        (Fault::NeverAnswers, "unknown", "no answer in time"),
        (Fault::Endless, "unknown", "longer than"),
        (Fault::NotJson, "unknown", "not what OpenBao sends"),
        (Fault::NoData, "unknown", "has no data"),
        (Fault::WrongTypes, "unknown", "not what OpenBao sends"),
        (Fault::Redirects, "unavailable", "another node"),
        (Fault::Busy, "unavailable", "quota"),
        (Fault::Broken, "unknown", "internal error"),
        (Fault::ControlGroup, "refused", "control group"),
    ];
    for (number, (fault, expected, words)) in cases.into_iter().enumerate() {
        let (address, seen) = front(fault).await;
        let issuer = issuer(&folder, &address, "");
        let prepared = issuer.prepare(&order()).await.unwrap();
        let error = issuer.mint(&order(), prepared).await.unwrap_err();
        let kind = match &error {
            IssueError::Unavailable { retry_after_s, .. } => {
                assert_eq!(*retry_after_s, matches!(fault, Fault::Busy).then_some(4));
                "unavailable"
            }
            IssueError::Refused { .. } => "refused",
            IssueError::Unknown { .. } => "unknown",
        };
        let text = error.to_string();
        assert!(
            kind == expected && text.contains(words) && text.contains("OpenBao"),
            "case {number}: {error:?}"
        );
        assert!(
            !format!("{error:?}").contains("do-not-print"),
            "case {number}: {error:?}"
        );
        let counts = [&seen.mints, &seen.child_revocations, &seen.redirected]
            .map(|c| c.load(Ordering::SeqCst));
        assert_eq!(
            counts,
            [1, 1, 0],
            "case {number}: asked once, child removed, no redirect followed"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_that_goes_away_does_not_stop_the_call() {
    let folder = tempfile::tempdir().unwrap();
    let (address, seen) = front(Fault::NeverAnswers).await;
    let issuer = issuer(&folder, &address, "");
    let order = order();
    let prepared = issuer.prepare(&order).await.unwrap();
    let gave_up =
        tokio::time::timeout(Duration::from_millis(300), issuer.mint(&order, prepared)).await;
    assert!(gave_up.is_err());
    wait_until(
        Duration::from_secs(20),
        "the attempt is ended all the same",
        async || (seen.child_revocations.load(Ordering::SeqCst) == 1).then_some(()),
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_yes_without_an_end_is_no_revocation() {
    let folder = tempfile::tempdir().unwrap();
    let (address, _seen) = front(Fault::Broken).await;
    let lease = Locator::from([(
        locator::LEASE_ID.to_owned(),
        "database/creds/app-ro/x".to_owned(),
    )]);
    let outcome = issuer(&folder, &address, "").revoke(&lease).await.unwrap();
    assert!(
        matches!(&outcome, RevokeOutcome::Failed { reason } if reason.contains("still lists the lease")),
        "{outcome:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_configured_authority_is_trusted() {
    let folder = tempfile::tempdir().unwrap();
    // The other half of the process may have installed it already: the same one.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let made = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
    let (cert, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    let tls = axum_server::tls_rustls::RustlsConfig::from_pem(
        cert.clone().into_bytes(),
        key.into_bytes(),
    )
    .await
    .unwrap();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = format!("https://{}", listener.local_addr().unwrap());
    let routes = Router::new().route(
        "/v1/auth/token/lookup-self",
        get(|| async { r#"{"data":{"ttl":9}}"# }),
    );
    let server = axum_server::from_tcp_rustls(listener, tls)
        .unwrap()
        .serve(routes.into_make_service());
    tokio::spawn(server);

    let not_ready = issuer(&folder, &address, "").ready().await.unwrap_err();
    assert!(not_ready.reason.contains("certificate"), "{not_ready}");
    let file = folder.path().join("authority.pem");
    std::fs::write(&file, cert).unwrap();
    issuer(
        &folder,
        &address,
        &format!("ca_file = \"{}\"", file.display()),
    )
    .ready()
    .await
    .unwrap();
}
