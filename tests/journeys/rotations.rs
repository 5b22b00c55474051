//! A key is rotated twenty times, by its cadence, by hand, once back again, while clients call through real gateways
//! with whatever their file holds: not one call is refused.

use crate::gateways::{Front, Scene};
use crate::support::company::{Approver, PATIENCE, credential_of, done, reaches};
use crate::support::{BrokerProcess, Company, wait_until};
use axum::Router;
use axum::extract::Request;
use axum::http::StatusCode;
use countersign::client::chain::Keep;
use countersign::client::sign::{Decided, sign_policy, verified_head};
use countersign::client::{CalendarQuery, Client, Once, Outcome};
use countersign::clock;
use countersign::wire::rotation::{
    Rotate, RotationCalendar, RotationCause, RotationRow, RotationState, Setback,
};
use countersign::wire::signing::Decision;
use countersign::wire::{
    Approve, CredentialId, Destination, Kind, NewProposal, NewRequest, ProposalId, Reason,
    RequestState, VersionState,
};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// How many rotations are gone through.
const ROTATIONS: usize = 20;
/// How many clients call through each gateway.
const CLIENTS: usize = 2;
/// Every six seconds by itself; an overlap ends when nobody has used the older key for a second.
const SCHEDULE: &str = r#"{"kinds": ["api_key"], "cadence_s": 6, "jitter_percent": 0, "overlap_s": 5, "unused_s": 1, "fallback_s": 60, "grace_s": 1}"#;

/// The service behind the gateways: everybody who comes as far is answered. What the probe asks can be made to fail.
async fn service() -> (u16, Arc<AtomicBool>) {
    let works = Arc::new(AtomicBool::new(true));
    let answer = {
        let works = Arc::clone(&works);
        move |request: Request| {
            let down = request.uri().path() == "/probe" && !works.load(Ordering::SeqCst);
            std::future::ready(if down {
                StatusCode::FORBIDDEN
            } else {
                StatusCode::OK
            })
        }
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move { axum::serve(listener, Router::new().fallback(answer)).await });
    (port, works)
}

/// One client: reads its key from the file before each call, as a service does that follows its file.
async fn call(url: String, file: PathBuf, stop: watch::Receiver<bool>) -> (usize, Vec<String>) {
    let http = reqwest::Client::new();
    let (mut answered, mut wrong) = (0, Vec::new());
    while !*stop.borrow() {
        let held: serde_json::Value =
            serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
        let key = held["token"].as_str().unwrap();
        match http.get(&url).bearer_auth(key).send().await {
            Ok(answer) if answer.status() == StatusCode::OK => answered += 1,
            Ok(answer) => wrong.push(format!("{} from {url}", answer.status())),
            Err(error) => wrong.push(format!("{error} from {url}")),
        }
    }
    (answered, wrong)
}

/// Clients that call until they are told to stop.
struct Load {
    stop: watch::Sender<bool>,
    clients: Vec<JoinHandle<(usize, Vec<String>)>>,
}

impl Load {
    fn start(fronts: &[Front], file: &Path) -> Self {
        let (stop, stopped) = watch::channel(false);
        let urls = fronts.iter().flat_map(|front| {
            std::iter::repeat_n(format!("http://127.0.0.1:{}/orders", front.port), CLIENTS)
        });
        let clients = urls
            .map(|url| tokio::spawn(call(url, file.to_owned(), stopped.clone())))
            .collect();
        Self { stop, clients }
    }

    /// How many calls were answered; panics with those that were not.
    async fn end(self) -> usize {
        self.stop.send(true).unwrap();
        let mut all = 0;
        for client in self.clients {
            let (answered, wrong) = client.await.unwrap();
            assert_eq!(
                wrong,
                Vec::<String>::new(),
                "beside {answered} answered calls"
            );
            assert!(answered > 0);
            all += answered;
        }
        all
    }
}

/// Puts another table of rotation in force: proposed, and approved by two with their keys.
pub async fn rotate_by(company: &Company, schedule: &str) {
    let held = company.admin.policies().await.unwrap().value.in_force;
    let mut files = company.admin.policy(held).await.unwrap().value.files;
    let table = files.get_mut("rotation.json").unwrap();
    *table = table.replacen(
        "\"schedules\": [",
        &format!("\"schedules\": [\n{schedule},"),
        1,
    );
    let proposal = NewProposal {
        files,
        base: held,
        reason: "every six seconds".into(),
    };
    // Not the admin: keys that the proposer enrolled do not count.
    let proposed = company
        .operator
        .propose_policy(&proposal, &Once::new())
        .await;
    let id: ProposalId = done(proposed).subject.parse().unwrap();
    for person in &company.approvers[..2] {
        approve_policy(person, id).await;
    }
    wait_until(PATIENCE, "the policy is in force", async || {
        let policies = company.admin.policies().await.ok()?.value;
        (policies.in_force > held).then_some(())
    })
    .await;
}

async fn approve_policy(person: &Approver, id: ProposalId) {
    let seen = person.client.proposal(id).await.unwrap().value;
    let head = verified_head(&person.client, &Keep::nowhere(), None).await;
    let decided = Decided {
        operator: &person.name,
        detail: &seen,
        decision: Decision::Approve,
        reason: "",
        view: seen.row.digest,
        head: head.unwrap(),
        now: clock::now(),
    };
    let signed = sign_policy(&person.client, &person.signer, &decided).await;
    let body = Approve {
        digest: seen.row.digest,
        reason: String::new(),
        signed: Some(signed.unwrap()),
    };
    done(person.client.approve_policy(id, &body, &Once::new()).await);
}

async fn rotations(client: &Client) -> RotationCalendar {
    let all = client.rotations(&CalendarQuery::default()).await;
    all.unwrap().value
}

/// Begins one by hand, unless one has just begun by itself.
async fn rotate(company: &Company, credential: CredentialId) {
    let body = Rotate {
        cause: None,
        reason: "by hand".into(),
    };
    match company
        .operator
        .rotate(credential, &body, &Once::new())
        .await
    {
        Outcome::Sent(_) | Outcome::Refused(_) => {}
        other => panic!("{other:?}"),
    }
}

/// Goes back from the rotation that runs, if its newer key is in use.
async fn go_back(company: &Company, credential: CredentialId) -> bool {
    let reason = Reason {
        reason: "403 on the newer one".into(),
    };
    let back = company
        .operator
        .roll_back(credential, &reason, &Once::new())
        .await;
    matches!(back, Outcome::Sent(_))
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_rotations_under_load_refuse_nobody() {
    let (upstream, works) = service().await;
    let disk = tempfile::tempdir().unwrap();
    let root = disk.path().canonicalize().unwrap();
    std::fs::create_dir(root.join("payments")).unwrap();
    let broker = BrokerProcess::start(&format!(
        "[destination.disk]\nenvironments = [\"production\"]\ntype = \"file\"\nroot = {root:?}\nprefixes = [\"payments\"]\n\
         [probe.service]\nenvironments = [\"production\"]\ncredentials = [\"orders/*\"]\n\
         type = \"http\"\nurl = \"http://127.0.0.1:{upstream}/probe\"\n"
    ));
    let company = Company::found(&broker, 2).await;
    let request = company
        .approved(&NewRequest {
            kind: Kind::ApiKey,
            role: String::new(),
            audience: "orders".into(),
            scopes: vec!["orders:read".into()],
            ttl_s: 86_400,
            destination: Some(Destination {
                name: "disk".into(),
                path: "payments/orders.json".into(),
            }),
            ..company.login("orders/key", "unused")
        })
        .await;
    let delivered = reaches(&company.admin, request, RequestState::Delivered).await;
    let credential = credential_of(&company.admin, &delivered).await.row.id;
    let file = root.join("payments/orders.json");

    let scene = Scene::over(broker, credential, upstream);
    let fronts = [
        scene.front("edge-nginx", "nginx", &[]).await,
        scene.front("edge-envoy", "envoy", &[]).await,
    ];
    let held: serde_json::Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    let bearer = format!("Authorization: Bearer {}", held["token"].as_str().unwrap());
    for front in &fronts {
        // Envoy's own look-ups of its clusters may take a moment.
        wait_until(PATIENCE, &front.name, async || {
            (front.call("/orders", &[&bearer]).0 == 200).then_some(())
        })
        .await;
    }
    let load = Load::start(&fronts, &file);

    // By hand only: the check fails, and the key in use is never withdrawn.
    works.store(false, Ordering::SeqCst);
    rotate(&company, credential).await;
    let failed = wait_until(PATIENCE, "the check fails", async || {
        rotations(&company.admin).await.ended.into_iter().next()
    })
    .await;
    assert_eq!(failed.setback, Some(Setback::Check), "{failed:?}");
    works.store(true, Ordering::SeqCst);

    rotate_by(&company, SCHEDULE).await;
    let mut went_back = None;
    let ended: Vec<RotationRow> = wait_until(PATIENCE * 5, "twenty rotations", async || {
        let all = rotations(&company.admin).await;
        let ended = all.ended.len() - 1;
        match all.running.first() {
            // Every third one does not wait for its date.
            None if ended % 3 == 0 => rotate(&company, credential).await,
            Some(row)
                if row.state == RotationState::Overlapping
                    && went_back.is_none()
                    && ended > 4
                    && go_back(&company, credential).await =>
            {
                went_back = Some(row.id);
            }
            _ => {}
        }
        (ended >= ROTATIONS).then_some(all.ended)
    })
    .await;
    let calls = load.end().await;

    let count = |is: &dyn Fn(&RotationRow) -> bool| ended.iter().filter(|row| is(row)).count();
    let by_hand = count(&|row| row.cause == RotationCause::Operator);
    let by_date = count(&|row| row.cause != RotationCause::Operator);
    println!(
        "{calls} calls through {} gateways during {by_hand} rotations by hand and {by_date} by date",
        fronts.len()
    );
    assert!(
        by_hand > 3 && by_date > 3,
        "{by_hand} by hand, {by_date} by date"
    );
    let back = ended.iter().find(|row| Some(row.id) == went_back).unwrap();
    assert_eq!(
        (back.state, back.setback),
        (RotationState::RolledBack, Some(Setback::Operator))
    );
    assert_eq!(
        count(&|row| row.state == RotationState::Completed),
        ended.len() - 2,
        "all but the one that failed and the one that went back: {ended:#?}"
    );
    let versions = company
        .admin
        .credential(credential)
        .await
        .unwrap()
        .value
        .versions;
    let of = |state| {
        versions
            .iter()
            .filter(|version| version.state == state)
            .count()
    };
    assert_eq!(of(VersionState::Active), 1);
    assert_eq!(of(VersionState::Discarded), 2);
    assert_eq!(of(VersionState::Retired), ended.len() - 2);
}
