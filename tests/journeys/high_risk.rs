//! One high-risk credential from asking to revoked, with an auditor at the end: nothing in it is pretend.

use crate::scene::{CREDENTIAL, ENTER, Scene, act, commit, read_secret};
use crate::support::cli::Ran;
use crate::support::company::{PATIENCE, enforced, reaches};
use crate::support::openssh::ED25519;
use crate::support::{Servers, psql, wait_until};
use countersign::domain::Enforcement;
use countersign::wire::{RequestId, RequestState};
use sqlx::{ConnectOptions as _, Row as _};
use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// The same by readers from PyPI, which share no code with us.
fn verify_independently(folder: &Path, key: &str) -> Ran {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/journeys/verify_export.py");
    let mut command = Command::new(python());
    command.arg(script).arg(folder).arg(key);
    crate::support::cli::run(&mut command)
}

/// `COUNTERSIGN_TEST_PYTHON`, or where `tests/run.sh` makes its environment.
fn python() -> PathBuf {
    let made = || {
        let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(
            || Path::new(env!("CARGO_MANIFEST_DIR")).join("target"),
            PathBuf::from,
        );
        target.join("tools/bin/python")
    };
    let found = std::env::var_os("COUNTERSIGN_TEST_PYTHON").map_or_else(made, PathBuf::from);
    assert!(found.is_file(), "no {}: run tests/run.sh", found.display());
    found
}

/// A session that would stay open for ten minutes, once PostgreSQL shows it.
async fn open_session(servers: &Servers, url: &str, username: &str) -> Child {
    let session = Command::new("psql")
        .args(["-X", "-q", "-c", "SELECT pg_sleep(600)", url])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let active = format!(
        "SELECT count(*) FROM pg_stat_activity WHERE usename = '{username}' AND query LIKE '%sleep%'"
    );
    wait_until(PATIENCE, "the session is open", async || {
        (servers.postgres.ask(&active) == "1").then_some(())
    })
    .await;
    session
}

/// Flips one bit in the middle of the stored leaf of this index, beside the running broker.
async fn damage(store: &Path, index: i64) {
    let mut connection = sqlx::sqlite::SqliteConnectOptions::new()
        .filename(store)
        .connect()
        .await
        .unwrap();
    let row = sqlx::query("SELECT bytes FROM leaves WHERE idx = ?")
        .bind(index)
        .fetch_one(&mut connection)
        .await
        .unwrap();
    let mut bytes: Vec<u8> = row.get(0);
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    let changed = sqlx::query("UPDATE leaves SET bytes = ? WHERE idx = ?")
        .bind(bytes)
        .bind(index)
        .execute(&mut connection)
        .await
        .unwrap();
    assert_eq!(changed.rows_affected(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_production_login_from_asking_to_revoked_and_audited() {
    let mut scene = Scene::set().await;
    scene.onboard();
    for who in ["maya.k", "ben.r"] {
        scene.equip(who, ED25519);
    }
    let earlier = scene.broker.path("earlier.txt");
    std::fs::write(&earlier, scene.client("admin").checkpoint().await.unwrap()).unwrap();

    let id = scene.ask(CREDENTIAL);
    decide(&scene, id);
    reaches(&scene.client("reports-deploy"), id, RequestState::Issued).await;
    let login = claim(&scene, id);
    let url = scene
        .servers
        .postgres
        .url_as(&login["username"], &login["password"]);
    assert_eq!(
        psql(&url, "SELECT current_user").as_ref(),
        Ok(&login["username"])
    );
    let mut session = open_session(&scene.servers, &url, &login["username"]).await;

    revoke_in_console(&scene);
    let row = enforced(&scene.client("omar.d"), CREDENTIAL).await;
    assert!(
        matches!(row.enforcement, Enforcement::Enforced { proven: true, .. }),
        "{row:?}"
    );
    let refused = psql(&url, "SELECT 1").unwrap_err();
    assert!(refused.contains("authentication failed"), "{refused}");
    assert!(
        !session.wait().unwrap().success(),
        "the open session was ended"
    );

    audit(&scene, &earlier);
    tamper(&mut scene).await;
}

/// The requester's own approval is refused; one person approves by the command line, another in the console.
fn decide(scene: &Scene, id: RequestId) {
    let text = id.to_string();
    let show = ["request", "show", &text, "-o", "json"];
    let digest = scene.by("maya.k", &show).expect(0).json()["digest"]
        .as_str()
        .unwrap()
        .to_owned();
    let approve = [
        "request",
        "approve",
        &text,
        "--digest",
        &digest,
        "--reason",
        "it is due",
    ];

    let own = scene.by("reports-deploy", &approve).expect(3);
    assert!(
        own.err.contains("separation of duties") && own.err.contains("you asked for this"),
        "{own:?}"
    );

    let first = scene
        .by("maya.k", &[&approve[..], &["-o", "json"]].concat())
        .expect(0);
    assert_eq!(first.json()["state"], "awaiting_approval");
    let twice = scene.by("maya.k", &approve).expect(3);
    assert!(twice.err.contains("another person is needed"), "{twice:?}");

    let pty = scene.console("ben.r");
    Scene::approve_in_console(pty, CREDENTIAL, "approval 2 of 2: it is made at once");
}

/// The service collects its secret, and nobody does so again.
fn claim(scene: &Scene, id: RequestId) -> BTreeMap<String, String> {
    let (id, file) = (id.to_string(), scene.broker.path("login"));
    let out = ["--out", file.to_str().unwrap()];
    scene
        .by(
            "reports-deploy",
            &[&["request", "claim", &id], &out[..]].concat(),
        )
        .expect(0);
    assert_eq!(
        std::fs::metadata(&file).unwrap().permissions().mode() & 0o777,
        0o600
    );
    let again = scene
        .by("reports-deploy", &["request", "claim", &id, "--show"])
        .expect(1);
    assert!(
        again.err.contains("a secret is shown once") && again.out.is_empty(),
        "{again:?}"
    );
    let login = read_secret(&file);
    assert!(
        !scene.broker.log().contains(&login["password"]),
        "no secret in the log"
    );
    login
}

/// Whoever found it in a paste revokes it in the console.
fn revoke_in_console(scene: &Scene) {
    let pty = scene.console("omar.d");
    pty.send("3");
    pty.wait_for(CREDENTIAL);
    pty.send(ENTER);
    pty.wait_for("crd_");
    act(&pty, "x revoke", "REVOKE");
    commit(&pty, &["seen in a paste", CREDENTIAL]);
    pty.wait_for("whole by omar.d: seen in");
    pty.send("q");
    assert_eq!(pty.ended(), 0);
}

/// The export is whole by our own word and by others', and tells the whole life.
fn audit(scene: &Scene, earlier: &Path) {
    let (folder, exported) = scene.export(
        "export",
        &["--pinned", earlier.to_str().unwrap(), "--proof", "3"],
    );
    exported.expect(0);
    let verified = scene.verify(&folder).expect(0);
    assert!(verified.out.starts_with("Whole: "), "{verified:?}");
    let key = &scene.broker.started().verifier_key;
    let independent = verify_independently(&folder, key).expect(0);
    assert!(
        independent.out.contains(" and 4 proofs fit "),
        "{independent:?}"
    );
    let told = scene
        .by("admin", &["audit", "list", "-o", "ndjson", "--limit", "0"])
        .expect(0)
        .out;
    for kind in [
        "request.awaiting_approval",
        "approval.given",
        "version.minted",
        "request.claimed",
        "revocation.effective",
        "revocation.enforced",
    ] {
        assert!(
            told.contains(&format!("\"{kind}\"")),
            "{kind} is not in {told}"
        );
    }
    // A file that was touched on its way is refused by both.
    let entries = folder.join("entries.ndjson");
    let text = std::fs::read_to_string(&entries).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let shorter = lines[..lines.len() - 1].join("\n") + "\n";
    std::fs::write(&entries, shorter).unwrap();
    scene.verify(&folder).expect(1);
    verify_independently(&folder, key).expect(1);
}

/// One byte of the store is changed: what is exported from then on is refused, and the broker does not start on it.
async fn tamper(scene: &mut Scene) {
    const LEAF: i64 = 7;
    damage(&scene.broker.data().join("log.db"), LEAF).await;
    let (folder, exported) = scene.export("damaged", &[]);
    exported.expect(1);
    scene.verify(&folder).expect(1);
    let key = &scene.broker.started().verifier_key;
    let independent = verify_independently(&folder, key).expect(1);
    assert!(independent.err.contains("have the root"), "{independent:?}");

    assert_eq!(scene.broker.terminate(), 0);
    let said = scene.broker.try_start_again().unwrap_err();
    assert!(said.contains(&format!("leaf {LEAF} was changed")), "{said}");
}
