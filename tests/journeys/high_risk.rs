//! One high-risk credential from asking to revoked, with an auditor at the end: nothing in it is pretend.

use crate::support::cli::{Ran, cli};
use crate::support::company::{PATIENCE, enforced, reaches};
use crate::support::pty::Pty;
use crate::support::{BrokerProcess, Servers, psql, vault_config, wait_until};
use countersign::client::Client;
use countersign::domain::Enforcement;
use countersign::wire::{RequestId, RequestState};
use sqlx::{ConnectOptions as _, Row as _};
use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

const CREDENTIAL: &str = "reports/payments-db";
const ENTER: &str = "\r";
const TAB: &str = "\t";
const CTRL_Y: &str = "\x19";

/// The broker, and everybody's tokens by handle.
struct Scene {
    servers: Servers,
    broker: BrokerProcess,
    tokens: BTreeMap<&'static str, String>,
}

impl Scene {
    async fn set() -> Self {
        let servers = Servers::start().await;
        let broker = BrokerProcess::start(&vault_config(&servers, "").await);
        let tokens = BTreeMap::from([("admin", broker.admin_token())]);
        Self {
            servers,
            broker,
            tokens,
        }
    }

    /// Runs the command line as somebody.
    fn by(&self, who: &str, args: &[&str]) -> Ran {
        cli(self.broker.url(), &self.tokens[who], args)
    }

    /// The same as a typed client.
    fn client(&self, who: &str) -> Client {
        self.broker.client(&self.tokens[who])
    }

    /// The admin opens an account, and the token goes to a private file.
    fn hire(&mut self, who: &'static str, more: &[&str]) {
        let file = self.broker.path(who);
        let path = file.to_str().unwrap();
        let args = [&["operator", "add", who, "--out", path], more].concat();
        self.by("admin", &args).expect(0);
        let mode = std::fs::metadata(&file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let token = std::fs::read_to_string(&file).unwrap().trim().to_owned();
        self.tokens.insert(who, token);
    }

    /// An export of the log into a new folder.
    fn export(&self, name: &str, more: &[&str]) -> (PathBuf, Ran) {
        let folder = self.broker.path(name);
        let key = &self.broker.started().verifier_key;
        let args = [
            &["audit", "export", folder.to_str().unwrap(), "--vkey", key],
            more,
        ]
        .concat();
        let ran = self.by("admin", &args);
        (folder, ran)
    }

    /// An export checked by itself, with the key from the broker's start.
    fn verify(&self, folder: &Path) -> Ran {
        let file = |name: &str| folder.join(name).to_str().unwrap().to_owned();
        let (entries, checkpoint) = (file("entries.ndjson"), file("checkpoint.txt"));
        let key = &self.broker.started().verifier_key;
        let args = [
            "--entries",
            &entries,
            "--checkpoint",
            &checkpoint,
            "--vkey",
            key,
        ];
        cli(
            "http://localhost:1",
            "",
            &[&["audit", "verify"], &args[..]].concat(),
        )
    }
}

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

/// What `request claim` wrote: `name=value` lines.
fn read_secret(file: &Path) -> BTreeMap<String, String> {
    let text = std::fs::read_to_string(file).unwrap();
    let parts = text.lines().map(|line| line.split_once('=').unwrap());
    parts
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
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
    onboard(&mut scene);
    let earlier = scene.broker.path("earlier.txt");
    std::fs::write(&earlier, scene.client("admin").checkpoint().await.unwrap()).unwrap();

    let id = ask(&scene);
    decide(&scene, id).await;
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

/// The admin brings everybody in.
fn onboard(scene: &mut Scene) {
    let args = [
        "--owner",
        "payments",
        "--env",
        "production",
        "--tier",
        "high",
    ];
    scene
        .by(
            "admin",
            &[&["client", "add", "reports"], &args[..]].concat(),
        )
        .expect(0);
    let robot = [
        "--robot",
        "--role",
        "production:requester",
        "--client",
        "reports",
    ];
    scene.hire("reports-deploy", &robot);
    let approver = [
        "--role",
        "production:viewer,approver",
        "--group",
        "security",
    ];
    scene.hire("maya.k", &approver);
    scene.hire("ben.r", &approver);
    scene.hire("omar.d", &["--role", "production:viewer,operator"]);
}

/// The service asks, and two of `security` have to agree.
fn ask(scene: &Scene) -> RequestId {
    let what = [
        "--env",
        "production",
        "--kind",
        "vault_lease",
        "--client",
        "reports",
    ];
    let how = [
        "--audience",
        "reports-db",
        "--role",
        "database/creds/app-ro",
        "--ttl",
        "1h",
    ];
    let why = ["--reason", "the nightly report", "-o", "json"];
    let args = [
        &["request", "new", CREDENTIAL],
        &what[..],
        &how[..],
        &why[..],
    ]
    .concat();
    let receipt = scene.by("reports-deploy", &args).expect(4).json();
    assert_eq!(receipt["state"], "awaiting_approval");
    let id = receipt["subject"].as_str().unwrap();
    let shown = scene
        .by("maya.k", &["request", "show", id, "-o", "json"])
        .expect(0)
        .json();
    assert_eq!(
        (&shown["quorum"]["count"], &shown["quorum"]["groups"][0]),
        (&2.into(), &"security".into())
    );
    id.parse().unwrap()
}

/// The requester's own approval is refused; one person approves by the command line, another in the console.
async fn decide(scene: &Scene, id: RequestId) {
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

    approve_in_console(scene);
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

/// The keys of a person in the console, at 120×40.
fn console(scene: &Scene, who: &str) -> Pty {
    let pty = Pty::open(scene.broker.url(), &scene.tokens[who], &[], 120, 40);
    pty.wait_for("Overview");
    pty
}

/// Fills in a sheet, field by field, and sends it.
fn commit(pty: &Pty, fields: &[&str]) {
    for (number, text) in fields.iter().enumerate() {
        if number > 0 {
            pty.send(TAB);
        }
        pty.send(text);
        pty.wait_for(text);
    }
    pty.send(CTRL_Y);
}

/// The second person looks at everything that the review says, and approves.
fn approve_in_console(scene: &Scene) {
    let pty = console(scene, "ben.r");
    pty.send("2");
    pty.wait_for("payments-db");
    pty.send(ENTER);
    pty.wait_for("You are the last of 2 from security");
    pty.send(".");
    pty.wait_for("approve");
    pty.send("a");
    pty.wait_for("approval 2 of 2: it is made at once");
    commit(&pty, &["seen and needed", CREDENTIAL]);
    pty.wait_until("the request left the queue", |screen| {
        !screen.contains("it is made at once")
    });
    pty.send("q");
    assert_eq!(pty.ended(), 0);
}

/// Whoever found it in a paste revokes it in the console.
fn revoke_in_console(scene: &Scene) {
    let pty = console(scene, "omar.d");
    pty.send("3");
    pty.wait_for(CREDENTIAL);
    pty.send(ENTER);
    pty.wait_for("crd_");
    pty.send(".");
    pty.wait_for("revoke");
    pty.send("x");
    pty.wait_for("REVOKE");
    commit(&pty, &["seen in a paste", CREDENTIAL]);
    pty.wait_for("whole by omar.d: seen in a paste");
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
