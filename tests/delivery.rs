//! Delivery to a real OpenBao: KV v2 by check-and-set, under a token that has just the rights of `assets/openbao`.

#![expect(
    clippy::unwrap_used,
    reason = "a panic in a test's helper is its report"
)]

mod support;

use countersign::{
    client::{ClientError, Once},
    wire::{
        CredentialId, DeliveryView, Destination, Kind, NewRequest, Reason, RequestDetail,
        RequestId, RequestState, RotationDetail, VersionState,
        rotation::{Rotate, RotationState, Setback},
    },
};
use countersign::{
    delivery::{Deliver, Delivered, DeliveryError, DeliveryOrder, from_table},
    secret::SecretMaterial,
};
use serde_json::{Value, json};
use std::{os::unix::fs::PermissionsExt as _, path::Path, sync::Arc};
use support::{
    BrokerProcess, Company, OpenBao, Servers,
    company::{PATIENCE, credential_of, done, reaches},
    psql, vault_config, wait_until,
};
use tokio::{sync::watch, task::JoinHandle};

async fn destination(bao: &OpenBao) -> Box<dyn Deliver> {
    from_table(toml::from_str(&bao.kv2_toml(&["payments"]).await).unwrap()).unwrap()
}

fn order(id: &str, version: u32, path: &str) -> DeliveryOrder {
    DeliveryOrder {
        id: id.into(),
        credential: format!("name-of/{id}"),
        environment: "production".into(),
        version,
        path: path.into(),
        expires_at: None,
        over: None,
    }
}

fn login(number: u32) -> SecretMaterial {
    let (user, password) = (format!("v-{number}"), format!("p\"{number}"));
    SecretMaterial::from_fields(&[("username", &user), ("password", &password)])
}

async fn held(bao: &OpenBao, path: &str) -> Value {
    let path = format!("secret/data/{path}");
    bao.root("GET", &path, Value::Null).await["data"].take()
}

fn refusal(result: Result<Delivered, DeliveryError>) -> String {
    match result {
        Err(error @ DeliveryError::Refused { .. }) => error.to_string(),
        other => panic!("expected a refusal, got {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_is_written_once_named_in_the_metadata_and_read_back() {
    let bao = OpenBao::start().await;
    let vault = destination(&bao).await;
    vault.ready().await.unwrap();
    let path = "payments/checkout-db";
    for version in [1, 2] {
        for _ in 0..2 {
            let delivered = vault
                .deliver(&order("crd_a", version, path), &login(version))
                .await;
            assert_eq!(
                delivered.unwrap(),
                Delivered {
                    place: format!("secret/{path}, version {version}"),
                    proven: true
                },
                "a repetition writes nothing"
            );
        }
    }
    let held = held(&bao, path).await;
    assert_eq!(held["data"], json!({"username": "v-2", "password": "p\"2"}));
    let metadata = &held["metadata"];
    assert_eq!(metadata["version"], 2);
    assert_eq!(metadata["custom_metadata"]["countersign-id"], "crd_a");
    assert_eq!(metadata["custom_metadata"]["countersign-version"], "2");
    assert_eq!(
        metadata["custom_metadata"]["countersign-credential"],
        "name-of/crd_a"
    );
    let audit = bao.audit_log();
    assert!(
        audit.contains("crd_a/2"),
        "OpenBao's audit log names the delivery"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_newer_or_somebody_elses_stays() {
    let bao = OpenBao::start().await;
    let vault = destination(&bao).await;
    let path = "payments/checkout-db";
    let put = async |id: &str, version, path: &str| {
        vault
            .deliver(&order(id, version, path), &login(version))
            .await
    };
    put("crd_a", 3, path).await.unwrap();
    let older = refusal(put("crd_a", 2, path).await);
    assert!(older.contains("holds version 3, which is newer"), "{older}");
    let other = refusal(put("crd_b", 9, path).await);
    assert!(
        other.contains("holds the secret of name-of/crd_a"),
        "{other}"
    );
    let foreign = json!({"data": {"username": "theirs"}});
    bao.root("POST", "secret/data/payments/theirs", foreign)
        .await;
    let foreign = refusal(put("crd_a", 4, "payments/theirs").await);
    assert!(foreign.contains("did not write"), "{foreign}");
    let outside = refusal(put("crd_a", 4, "ops/x").await);
    assert!(
        outside.contains("expected a path below payments"),
        "{outside}"
    );
    assert_eq!(held(&bao, path).await["data"]["username"], "v-3");
    assert_eq!(
        held(&bao, "payments/theirs").await["data"]["username"],
        "theirs"
    );
    // What somebody removed by hand is written again, and what they added to the metadata stays.
    let note = json!({"custom_metadata": {"countersign-id": "crd_a", "countersign-version": "3", "team": "pay"}});
    bao.root("POST", &format!("secret/metadata/{path}"), note)
        .await;
    bao.root("DELETE", &format!("secret/data/{path}"), Value::Null)
        .await;
    put("crd_a", 3, path).await.unwrap();
    put("crd_a", 4, path).await.unwrap();
    let held = held(&bao, path).await;
    assert_eq!(held["data"]["username"], "v-4");
    assert_eq!(held["metadata"]["custom_metadata"]["team"], "pay");
}

/// Many writers of many versions at once: whatever the order, the newest is there at the end, and never an older one
/// after it.
#[tokio::test(flavor = "multi_thread")]
async fn concurrent_writers_end_with_the_newest() {
    let bao = OpenBao::start().await;
    let mut writers = Vec::new();
    for version in 1..=6 {
        // Each with a client of its own, and each twice.
        for _ in 0..2 {
            let vault = destination(&bao).await;
            writers.push(tokio::spawn(async move {
                let order = order("crd_a", version, "payments/race");
                loop {
                    match vault.deliver(&order, &login(version)).await {
                        Ok(_) => break true,
                        Err(DeliveryError::Refused { .. }) => break false,
                        Err(_) => {}
                    }
                }
            }));
        }
    }
    let mut ended = Vec::new();
    for writer in writers {
        ended.push(writer.await.unwrap());
    }
    assert!(ended[10] && ended[11], "the newest always arrives");
    let metadata = bao.root("GET", "secret/metadata/payments/race", Value::Null);
    let current = metadata.await["data"]["current_version"].as_u64().unwrap();
    let mut last = String::new();
    for version in 1..=current {
        let path = format!("secret/data/payments/race?version={version}");
        let held = bao.root("GET", &path, Value::Null).await;
        let user = held["data"]["data"]["username"]
            .as_str()
            .unwrap()
            .to_owned();
        assert!(user > last, "{user} was written over {last}");
        last = user;
    }
    assert_eq!(last, "v-6");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_away_or_denies_is_told_apart() {
    let mut bao = OpenBao::start().await;
    let vault = destination(&bao).await;
    let put = async || {
        vault
            .deliver(&order("crd_a", 1, "payments/x"), &login(1))
            .await
    };
    let denied = json!({"policy": "path \"auth/token/lookup-self\" { capabilities = [\"read\"] }"});
    let policy = "sys/policies/acl/countersign-deliver";
    let granted = bao.root("GET", policy, Value::Null).await["data"]["policy"].take();
    bao.root("PUT", policy, denied).await;
    let said = refusal(put().await);
    assert!(said.contains("countersign-deliver.hcl"), "{said}");
    bao.root("PUT", policy, json!({"policy": granted})).await;
    bao.seal().await;
    let sealed = put().await.unwrap_err();
    assert!(
        matches!(sealed, DeliveryError::Unavailable { .. }),
        "{sealed}"
    );
    assert!(vault.ready().await.is_err());
    bao.unseal().await;
    put().await.unwrap();
    bao.stop();
    let away = put().await.unwrap_err();
    assert!(matches!(away, DeliveryError::Unavailable { .. }), "{away}");
}

fn to(name: &str, path: &str) -> Destination {
    Destination {
        name: name.into(),
        path: path.into(),
    }
}

/// A broker whose issuer is `servers`, with the destinations `vault` (another OpenBao) and `disk` (a folder).
async fn broker(servers: &Servers, vault: &OpenBao, disk: &Path) -> BrokerProcess {
    let config = format!(
        "{}\n[destination.vault]\nenvironments = [\"production\"]\n{}\n\
         [destination.disk]\nenvironments = [\"production\"]\ntype = \"file\"\nroot = \"{}\"\nprefixes = [\"payments\"]\n",
        vault_config(servers, "").await,
        vault.kv2_toml(&["payments"]).await,
        disk.display(),
    );
    BrokerProcess::start(&config)
}

/// Asks for a login that is put somewhere, and has it approved.
async fn approved(company: &Company, credential: &str, to: Destination) -> RequestId {
    let mut request = company.login(credential, "app-ro");
    request.destination = Some(to);
    company.approved(&request).await
}

/// Waits until a delivery has failed, and tells why.
async fn failing(company: &Company, id: RequestId) -> String {
    wait_until(PATIENCE, "the failure is told", async || {
        let detail: RequestDetail = company.admin.request(id).await.ok()?.value;
        assert!(!detail.row.state.ended(), "{detail:#?}");
        detail.delivery?.failure
    })
    .await
}

fn works(servers: &Servers, login: &Value) -> Result<String, String> {
    let field = |name: &str| login[name].as_str().unwrap().to_owned();
    let url = servers
        .postgres
        .url_as(&field("username"), &field("password"));
    psql(&url, "SELECT 1")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_is_put_where_its_service_reads_it_and_nowhere_else() {
    let (servers, vault) = (Servers::start().await, OpenBao::start().await);
    let disk = tempfile::tempdir().unwrap();
    let broker = broker(&servers, &vault, disk.path()).await;
    let company = Company::found(&broker, 2).await;
    let path = "payments/reports-db";
    let id = approved(&company, "reports/db", to("vault", path)).await;
    let detail = reaches(&company.admin, id, RequestState::Delivered).await;
    let delivery: DeliveryView = detail.delivery.clone().unwrap();
    assert_eq!(delivery.place, format!("secret/{path}, version 1"));
    assert!(delivery.proven && delivery.failure.is_none());
    let held = held(&vault, path).await;
    assert_eq!(works(&servers, &held["data"]).as_deref(), Ok("1"));
    let credential = credential_of(&company.admin, &detail).await;
    assert_eq!(credential.destination, Some(to("vault", path)));
    assert_eq!(credential.versions[0].delivery, Some(delivery));
    assert_eq!(credential.row.accepted, 1);

    // Nobody gets it a second time, and nothing keeps it.
    let claimed = company.robot.claim(id, &Once::new()).await.into_result();
    let Err(ClientError::Problem(problem)) = claimed else {
        panic!("{claimed:?}");
    };
    assert_eq!(problem.slug(), "conflict", "{}", problem.detail);
    let password = held["data"]["password"].as_str().unwrap();
    for entry in std::fs::read_dir(broker.data()).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        let found = bytes
            .windows(password.len())
            .any(|window| window == password.as_bytes());
        assert!(!found, "the broker still has it");
    }
    assert!(!broker.log().contains(password));

    // The next version goes where the first one went, without being told; the one before it retires.
    let again = company.login("reports/db", "app-ro");
    let id = company.approved(&again).await;
    reaches(&company.admin, id, RequestState::Delivered).await;
    let newer = self::held(&vault, path).await;
    assert_eq!(
        newer["metadata"]["custom_metadata"]["countersign-version"],
        "2"
    );
    assert_eq!(works(&servers, &newer["data"]).as_deref(), Ok("1"));
    assert_eq!(
        works(&servers, &held["data"]).as_deref(),
        Ok("1"),
        "it overlaps"
    );

    // What cannot be is said at the door.
    for (place, pointer, expected) in [
        (
            to("vault", "ops/x"),
            "/destination/path",
            "expected a path below payments",
        ),
        (
            to("cellar", "payments/x"),
            "/destination/name",
            "expected one of disk, vault",
        ),
        (
            to("vault", "payments/../x"),
            "/destination/path",
            "begins with a dot",
        ),
    ] {
        let mut request = company.login("reports/other", "app-ro");
        request.destination = Some(place);
        let refused = company
            .robot
            .ask(&request, &Once::new())
            .await
            .into_result();
        let Err(ClientError::Problem(problem)) = refused else {
            panic!("{refused:?}");
        };
        assert_eq!(problem.errors[0].pointer, pointer);
        assert!(problem.errors[0].detail.contains(expected), "{problem:?}");
    }
}

/// A vault that is sealed, and a broker that is killed meanwhile: it is delivered when both are back, once.
#[tokio::test(flavor = "multi_thread")]
async fn a_delivery_survives_outages_and_is_done_once() {
    let (servers, vault) = (Servers::start().await, OpenBao::start().await);
    let disk = tempfile::tempdir().unwrap();
    let mut broker = broker(&servers, &vault, disk.path()).await;
    let company = Company::found(&broker, 2).await;
    vault.seal().await;
    let path = "payments/reports-db";
    let id = approved(&company, "reports/db", to("vault", path)).await;
    let why = failing(&company, id).await;
    assert!(
        why.contains("OpenBao is unavailable") && why.contains("sealed"),
        "{why}"
    );
    let readiness = company.admin.readiness().await.unwrap().value;
    assert_eq!(readiness.status, "degraded");
    let place = readiness
        .destinations
        .iter()
        .find(|one| one.destination == "vault");
    assert!(!place.unwrap().ready);
    broker.kill();
    broker.start_again();
    vault.unseal().await;
    let detail = reaches(&company.admin, id, RequestState::Delivered).await;
    let held = held(&vault, path).await;
    assert_eq!(held["metadata"]["version"], 1, "written once");
    assert_eq!(works(&servers, &held["data"]).as_deref(), Ok("1"));
    let kinds: Vec<_> = detail
        .trail
        .iter()
        .map(|event| event.kind.as_str())
        .collect();
    let count = |kind: &str| kinds.iter().filter(|found| **found == kind).count();
    assert_eq!(
        (count("delivery.started"), count("request.delivered")),
        (1, 1),
        "{kinds:?}"
    );
}

/// A version that its probe finds wanting is not put anywhere: the one that works stays where it is read, and is not
/// withdrawn.
#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_pass_its_probe_is_not_delivered() {
    let (servers, vault) = (Servers::start().await, OpenBao::start().await);
    let config = format!(
        "{}\n[destination.vault]\nenvironments = [\"production\"]\n{}\n\
         [probe.db]\nenvironments = [\"production\"]\ncredentials = [\"reports/*\"]\n\
         type = \"postgres\"\nurl = \"postgres://127.0.0.1:{}/postgres\"\n",
        vault_config(&servers, "").await,
        vault.kv2_toml(&["payments"]).await,
        servers.postgres.port(),
    );
    let broker = BrokerProcess::start(&config);
    let company = Company::found(&broker, 2).await;
    let path = "payments/reports-db";
    let id = approved(&company, "reports/db", to("vault", path)).await;
    let detail = reaches(&company.admin, id, RequestState::Delivered).await;
    let check = detail.delivery.unwrap().check;
    assert_eq!(check, "db: it logged in, and SELECT 1 was answered");
    let works_now = held(&vault, path).await["data"].take();

    // Whoever logs in from now on is turned away at the database; sessions and roles stay.
    servers
        .postgres
        .ask("ALTER DATABASE postgres CONNECTION LIMIT 0");
    let again = company.login("reports/db", "app-ro");
    let id = company.approved(&again).await;
    let why = failing(&company, id).await;
    assert!(
        why.contains("did not pass the probe db") || why.contains("the probe db had no answer"),
        "{why}"
    );
    let still = held(&vault, path).await;
    assert_eq!(
        (&still["data"], &still["metadata"]["version"]),
        (&works_now, &json!(1))
    );
    let request = company.admin.request(id).await.unwrap().value;
    let credential = credential_of(&company.admin, &request).await;
    let states: Vec<_> = credential
        .versions
        .iter()
        .map(|version| version.state.as_str())
        .collect();
    assert_eq!(
        states,
        ["active", "warm"],
        "the old one is in use as before"
    );
    servers
        .postgres
        .ask("ALTER DATABASE postgres CONNECTION LIMIT -1");
    reaches(&company.admin, id, RequestState::Delivered).await;
    assert_eq!(
        works(&servers, &works_now).as_deref(),
        Ok("1"),
        "it overlaps"
    );
}

/// A probe that never answers: what it was to try does not go into use, and what is in use stays.
#[tokio::test(flavor = "multi_thread")]
async fn a_probe_that_never_answers_fails_the_check() {
    let disk = tempfile::tempdir().unwrap();
    let root = disk.path().canonicalize().unwrap();
    std::fs::create_dir(root.join("payments")).unwrap();
    let silent = support::free_port();
    let broker = BrokerProcess::start(&format!(
        "[destination.disk]\nenvironments = [\"production\"]\ntype = \"file\"\nroot = {root:?}\nprefixes = [\"payments\"]\n\
         [probe.gone]\nenvironments = [\"production\"]\ncredentials = [\"orders/*\"]\n\
         type = \"http\"\nurl = \"http://127.0.0.1:{silent}/\"\n"
    ));
    let company = Company::found(&broker, 2).await;
    // The first one is claimed by hand: nothing is tried before it is in use.
    let asked = NewRequest {
        kind: Kind::ApiKey,
        role: String::new(),
        audience: "orders".into(),
        scopes: vec!["orders:read".into()],
        ..company.login("orders/key", "unused")
    };
    let request = company.approved(&asked).await;
    let issued = reaches(&company.admin, request, RequestState::Issued).await;
    done(company.robot.claim(request, &Once::new()).await);
    let credential = credential_of(&company.admin, &issued).await.row.id;
    let failed = rotated(
        &company,
        credential,
        &[RotationState::RolledBack, RotationState::Failed],
    )
    .await;
    assert_eq!(failed.row.setback, Some(Setback::Check));
    let why = failed.row.failure.unwrap_or_default();
    assert!(why.contains("the probe gone had no answer"), "{why}");
    let held = company.admin.credential(credential).await.unwrap().value;
    let states: Vec<_> = held.versions.iter().map(|version| version.state).collect();
    assert_eq!(states, [VersionState::Active, VersionState::Discarded]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_place_that_refuses_is_tried_again_once_somebody_has_seen_to_it() {
    let (servers, vault) = (Servers::start().await, OpenBao::start().await);
    let home = tempfile::tempdir().unwrap();
    let disk = home.path().canonicalize().unwrap();
    let broker = broker(&servers, &vault, &disk).await;
    let company = Company::found(&broker, 2).await;
    let id = approved(&company, "reports/db", to("disk", "payments/db.json")).await;
    let why = failing(&company, id).await;
    assert!(why.contains("does not exist; make it"), "{why}");
    std::fs::create_dir(disk.join("payments")).unwrap();
    reaches(&company.admin, id, RequestState::Delivered).await;
    let file = disk.join("payments/db.json");
    let login: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    assert_eq!(works(&servers, &login).as_deref(), Ok("1"));
    let mode = std::fs::metadata(&file).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o600);

    // Somebody else's place is not taken, whoever asks for it.
    let foreign = json!({"data": {"username": "theirs"}});
    vault
        .root("POST", "secret/data/payments/theirs", foreign)
        .await;
    let id = approved(&company, "reports/mine", to("vault", "payments/theirs")).await;
    let why = failing(&company, id).await;
    assert!(why.contains("did not write"), "{why}");
    // It goes on being tried, and is said once.
    let tries = || {
        vault
            .audit_log()
            .matches("secret/metadata/payments/theirs")
            .count()
    };
    let before = tries();
    wait_until(PATIENCE, "it is tried again", async || {
        (tries() > before + 4).then_some(())
    })
    .await;
    let detail = company.admin.request(id).await.unwrap().value;
    let failures = detail
        .trail
        .iter()
        .filter(|event| event.kind == "delivery.failed");
    assert_eq!(failures.count(), 1);
    let remove = vault.root("DELETE", "secret/metadata/payments/theirs", Value::Null);
    remove.await;
    reaches(&company.admin, id, RequestState::Delivered).await;
}

/// Reads the place as a service does, again and again, and logs in with what it reads each time; how often it could is
/// told as it goes. Ends when it is told to, with what went wrong when it could not.
fn reader(
    servers: &Arc<Servers>,
    vault: &Arc<OpenBao>,
    path: &'static str,
) -> (
    watch::Sender<bool>,
    watch::Receiver<usize>,
    JoinHandle<Vec<String>>,
) {
    let (servers, vault) = (Arc::clone(servers), Arc::clone(vault));
    let (stop, stopped) = watch::channel(false);
    let (worked, times) = watch::channel(0);
    let reading = tokio::spawn(async move {
        let mut wrong = Vec::new();
        while !*stopped.borrow() {
            let login = held(&vault, path).await["data"].take();
            let at = Arc::clone(&servers);
            let said = tokio::task::spawn_blocking(move || works(&at, &login)).await;
            match said.unwrap() {
                Ok(_) => worked.send_modify(|times| *times += 1),
                Err(why) => wrong.push(why),
            }
        }
        wrong
    });
    (stop, times, reading)
}

/// Has a credential rotated by hand, and waits until the rotation is in one of these states.
async fn rotated(
    company: &Company,
    credential: CredentialId,
    states: &[RotationState],
) -> RotationDetail {
    let body = Rotate {
        cause: None,
        reason: "tried by hand".into(),
    };
    let begun = company
        .operator
        .rotate(credential, &body, &Once::new())
        .await;
    let id = done(begun).subject.parse().unwrap();
    let mut last = None;
    let found = tokio::time::timeout(PATIENCE, async {
        wait_until(PATIENCE * 2, "the rotation", async || {
            let detail = company.admin.rotation(id).await.ok()?.value;
            last = Some(detail.clone());
            states.contains(&detail.row.state).then_some(detail)
        })
        .await
    });
    let found = found.await;
    found.unwrap_or_else(|_| panic!("{id} did not become one of {states:?}: {last:#?}"))
}

/// A login in KV v2 is rotated under a service that reads it there: nobody is ever turned away. A version that its probe
/// finds wanting changes nothing: the one that works stays where it is read, and is never withdrawn.
#[tokio::test(flavor = "multi_thread")]
async fn a_login_is_rotated_under_its_reader() {
    let (servers, vault) = (
        Arc::new(Servers::start().await),
        Arc::new(OpenBao::start().await),
    );
    servers.postgres.ask("CREATE DATABASE tried");
    let config = format!(
        "{}\n[destination.vault]\nenvironments = [\"production\"]\n{}\n\
         [probe.db]\nenvironments = [\"production\"]\ncredentials = [\"reports/*\"]\n\
         type = \"postgres\"\nurl = \"postgres://127.0.0.1:{}/tried\"\n",
        vault_config(&servers, "").await,
        vault.kv2_toml(&["payments"]).await,
        servers.postgres.port(),
    );
    let broker = BrokerProcess::start(&config);
    let company = Company::found(&broker, 2).await;
    let path = "payments/reports-db";
    let id = approved(&company, "reports/db", to("vault", path)).await;
    let detail = reaches(&company.admin, id, RequestState::Delivered).await;
    let credential = credential_of(&company.admin, &detail).await.row.id;
    let first = held(&vault, path).await["data"].take();
    let (stop, mut times, reading) = reader(&servers, &vault, path);
    let versions = async || {
        let detail = company.admin.credential(credential).await.unwrap().value;
        let states = detail.versions.iter().map(|version| version.state);
        states.collect::<Vec<_>>()
    };

    // The database that the probe asks takes nobody; the one that the service uses does.
    servers
        .postgres
        .ask("ALTER DATABASE tried ALLOW_CONNECTIONS false");
    let failed = rotated(
        &company,
        credential,
        &[RotationState::RolledBack, RotationState::Failed],
    )
    .await;
    assert_eq!(failed.row.setback, Some(Setback::Check));
    let why = failed.row.failure.unwrap_or_default();
    assert!(why.contains("did not pass the probe db"), "{why}");
    assert_eq!(
        versions().await,
        [VersionState::Active, VersionState::Discarded]
    );
    let still = held(&vault, path).await;
    assert_eq!(
        (&still["data"], &still["metadata"]["version"]),
        (&first, &json!(1))
    );

    servers
        .postgres
        .ask("ALTER DATABASE tried ALLOW_CONNECTIONS true");
    let kept = rotated(
        &company,
        credential,
        &[RotationState::Overlapping, RotationState::Completed],
    )
    .await;
    assert_eq!(kept.row.to, Some(3));
    let newer = held(&vault, path).await;
    assert_eq!(
        newer["metadata"]["custom_metadata"]["countersign-version"],
        "3"
    );
    assert_ne!(newer["data"], first);
    assert_eq!(
        versions().await,
        [
            VersionState::Retiring,
            VersionState::Discarded,
            VersionState::Active
        ]
    );
    assert_eq!(works(&servers, &newer["data"]).as_deref(), Ok("1"));
    assert_eq!(works(&servers, &first).as_deref(), Ok("1"), "it overlaps");

    // Back to the older one: its login is where it is read before the newer one is refused.
    let reason = Reason {
        reason: "permission denied on the newer one".into(),
    };
    let back = company
        .operator
        .roll_back(credential, &reason, &Once::new())
        .await;
    done(back);
    let back = wait_until(PATIENCE, "the older login is back", async || {
        let back = held(&vault, path).await;
        (back["data"] == first).then_some(back)
    })
    .await;
    assert_eq!(
        back["metadata"]["custom_metadata"]["countersign-version"],
        "1"
    );
    wait_until(PATIENCE, "the versions change places", async || {
        (versions().await
            == [
                VersionState::Active,
                VersionState::Discarded,
                VersionState::Retiring,
            ])
        .then_some(())
    })
    .await;
    assert_eq!(works(&servers, &first).as_deref(), Ok("1"));
    assert_eq!(
        works(&servers, &newer["data"]).as_deref(),
        Ok("1"),
        "whoever has not come back yet is not refused"
    );

    let enough = times.wait_for(|times| *times > 10);
    let enough = tokio::time::timeout(PATIENCE, enough).await;
    let enough = enough.is_ok_and(|times| times.is_ok());
    assert!(enough, "it reads no more");
    stop.send(true).unwrap();
    assert_eq!(reading.await.unwrap(), Vec::<String>::new());
}
