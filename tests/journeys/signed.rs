//! Countersigned: people sign in and decide with keys that their agents hold, here or forwarded over SSH, and anybody can
//! check later with stock OpenSSH what they signed. What a signature does not cover, it does not decide.

use crate::scene::{CREDENTIAL, Scene, read_secret};
use crate::support::company::{Approver, done, reaches};
use crate::support::openssh::{ED25519, Held, Sshd, in_hardware};
use crate::support::pty::Pty;
use crate::support::{BrokerProcess, cli, psql, vault_config};
use countersign::client::chain::Keep;
use countersign::client::sign::{Decided, SigningError, statement, verified_head};
use countersign::client::{Client, ClientError, Once, Outcome};
use countersign::clock;
use countersign::ssh::Signer;
use countersign::wire::signing::{Decision, approval_namespace, signed_bytes};
use countersign::wire::{
    Approve, NewKey, NewOperator, Problem, RequestDetail, RequestId, RequestState, Role,
    SignedStatement,
};
use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

const FIRST: &str = "approval 1 of 2: nothing is made yet";

/// A machine that people reach over SSH with their agent forwarded, and the program on it.
struct Elsewhere {
    sshd: Sshd,
    key: Held,
    folder: PathBuf,
}

impl Elsewhere {
    fn new(scene: &Scene, key: Held) -> Self {
        let folder = scene.broker.path("elsewhere");
        std::fs::create_dir(&folder).unwrap();
        // A token is kept in a folder that nobody else looks into.
        let private = std::fs::Permissions::from_mode(0o700);
        std::fs::set_permissions(&folder, private).unwrap();
        Self {
            sshd: Sshd::start(&key),
            key,
            folder,
        }
    }

    /// `ssh -A` that runs the program there, without a token, with nothing of this machine but the agent.
    fn command(&self, scene: &Scene, terminal: bool, args: &[&str]) -> Command {
        let place = self.folder.display();
        let program = crate::support::broker::program();
        let remote = format!(
            "exec env -i PATH=\"$PATH\" HOME={place} XDG_RUNTIME_DIR={place} COUNTERSIGN_CONFIG={place}/config.toml \
             TERM=xterm-256color LANG=C.UTF-8 SSH_AUTH_SOCK=\"$SSH_AUTH_SOCK\" COUNTERSIGN_URL={} {} {}",
            scene.broker.url(),
            program.display(),
            args.join(" "),
        );
        let words = self.sshd.command(terminal, &self.key, &remote);
        let mut command = Command::new(&words[0]);
        command
            .args(&words[1..])
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", &self.folder)
            .env("TERM", "xterm-256color")
            .env("SSH_AUTH_SOCK", scene.agents["maya.k"].socket());
        command
    }
}

/// Approves on the command line.
fn approve(scene: &Scene, who: &str, id: RequestId) -> cli::Ran {
    let id = id.to_string();
    let words = [
        "request",
        "approve",
        &id,
        "--yes",
        "--reason",
        "seen and needed",
    ];
    scene.by(who, &words)
}

fn standing(scene: &Scene, id: RequestId) -> RequestDetail {
    let shown = scene.by("admin", &["request", "show", &id.to_string(), "-o", "json"]);
    serde_json::from_value(shown.expect(0).json()).unwrap()
}

/// Everybody, each with an agent and a key that another admin has countersigned. Maya's key.
fn people(scene: &mut Scene) -> BTreeMap<&'static str, Held> {
    scene.onboard();
    scene.hire("root2", &["--role", "all:admin"]);
    let mut keys = BTreeMap::new();
    for (who, kind) in [("maya.k", ED25519), ("ben.r", in_hardware())] {
        let key = scene.equip(who, kind);
        let fingerprint = key.fingerprint.clone();
        let countersign = ["operator", "key", "countersign", who, &fingerprint];
        let own = scene.by("admin", &countersign).expect(3);
        assert!(own.err.contains("another admin countersigns it"), "{own:?}");
        scene.by("root2", &countersign).expect(0);
        keys.insert(who, key);
    }
    keys
}

#[tokio::test(flavor = "multi_thread")]
async fn signed_in_over_ssh_reviewed_signed_issued_and_checked_by_openssh() {
    let mut scene = Scene::set().await;
    let mut keys = people(&mut scene);
    let elsewhere = Elsewhere::new(&scene, keys.remove("maya.k").unwrap());

    let mut login = elsewhere.command(&scene, false, &["login", "maya.k", "--in-file"]);
    let signed_in = cli::run(&mut login).expect(0);
    assert!(
        signed_in.err.contains(" as maya.k until ") || signed_in.out.contains(" as maya.k until "),
        "{signed_in:?}"
    );

    let id = scene.ask(CREDENTIAL);
    let console = elsewhere.command(&scene, true, &[]);
    let pty = Pty::run(&console, 120, 40);
    pty.wait_for("● live");
    Scene::approve_in_console(pty, CREDENTIAL, FIRST);
    let detail = standing(&scene, id);
    assert_eq!(
        (detail.row.state, detail.row.approvals),
        (RequestState::AwaitingApproval, 1)
    );
    assert_eq!(
        detail.approvals[0].key.as_deref(),
        Some(elsewhere.key.fingerprint.as_str())
    );

    approve(&scene, "ben.r", id).expect(0);
    let detail = reaches(&scene.client("reports-deploy"), id, RequestState::Issued).await;
    let hardware: Vec<bool> = detail
        .approvals
        .iter()
        .map(|given| given.hardware)
        .collect();
    assert_eq!(hardware, [false, in_hardware() != "ecdsa"]);

    let file = scene.broker.path("login");
    let claim = [
        "request",
        "claim",
        &id.to_string(),
        "--out",
        file.to_str().unwrap(),
    ];
    scene.by("reports-deploy", &claim).expect(0);
    let login = read_secret(&file);
    let url = scene
        .servers
        .postgres
        .url_as(&login["username"], &login["password"]);
    assert_eq!(
        psql(&url, "SELECT current_user").as_ref(),
        Ok(&login["username"])
    );

    // By request: the latest signature; by approval: that one.
    let ben = checked_by_openssh(&scene, &id.to_string(), "by-request");
    let of_maya = detail
        .approvals
        .iter()
        .find(|given| given.by == "maya.k")
        .unwrap();
    let maya = checked_by_openssh(&scene, &of_maya.id.to_string(), "by-approval");
    for (folder, who) in [(&ben, "ben.r"), (&maya, "maya.k")] {
        let said = std::fs::read_to_string(folder.join("statement.json")).unwrap();
        assert!(said.contains(&format!("\"principal\":\"{who}\"")), "{said}");
        assert!(
            said.contains(CREDENTIAL) && said.contains("seen and needed"),
            "{said}"
        );
    }
    refused_by_openssh(&ben, &maya);
}

/// `ssh-keygen -Y verify` in the folder of an export, with nothing but what is in it.
fn ssh_keygen_verify(folder: &Path) -> bool {
    let verify = Command::new("sh")
        .arg("verify.sh")
        .current_dir(folder)
        .output()
        .unwrap();
    verify.status.success()
}

fn checked_by_openssh(scene: &Scene, which: &str, name: &str) -> PathBuf {
    let folder = scene.broker.path(name);
    let words = [
        "audit",
        "approval",
        which,
        "--export",
        folder.to_str().unwrap(),
    ];
    scene.by("admin", &words).expect(0);
    assert!(ssh_keygen_verify(&folder), "ssh-keygen refuses {name}");
    folder
}

/// Another's line, another's signature, and a byte more: each is refused.
fn refused_by_openssh(one: &Path, other: &Path) {
    for name in ["allowed_signers", "statement.json.sig", "statement.json"] {
        let kept = std::fs::read(one.join(name)).unwrap();
        std::fs::copy(other.join(name), one.join(name)).unwrap();
        assert!(!ssh_keygen_verify(one), "accepted with another {name}");
        std::fs::write(one.join(name), kept).unwrap();
    }
    assert!(ssh_keygen_verify(one), "as it was");
    let statement = one.join("statement.json");
    let said = std::fs::read_to_string(&statement).unwrap();
    std::fs::write(&statement, said.replacen("production", "staging", 1)).unwrap();
    assert!(!ssh_keygen_verify(one), "accepted with another word");
}

/// What somebody's agent signs about a request as it is shown to them, whatever the client says of whether that counts.
struct Forger<'a> {
    client: &'a Client,
    who: &'a str,
    agent: &'a Path,
    key: &'a Held,
}

impl Forger<'_> {
    async fn sign(&self, id: RequestId) -> (RequestDetail, SignedStatement) {
        let detail = self.client.request(id).await.unwrap().value;
        let order = self.client.signing(id).await.unwrap().value;
        let decided = Decided {
            operator: self.who,
            detail: &detail,
            decision: Decision::Approve,
            reason: "",
            view: detail.digest,
            head: verified_head(self.client, &Keep::nowhere(), None)
                .await
                .unwrap(),
            now: clock::now(),
        };
        let said = statement(&order, &decided, &self.key.fingerprint).unwrap();
        let payload = String::from_utf8(signed_bytes(&said)).unwrap();
        let signer = Signer::Agent(Some(self.agent.to_owned()));
        let identities = signer.identities().unwrap();
        let own = |identity: &&countersign::ssh::Identity| {
            identity.key.fingerprint() == self.key.fingerprint
        };
        let identity = identities.iter().find(own).expect("the agent holds it");
        let namespace = approval_namespace(&order.origin);
        let signature = signer.sign(identity, &namespace, payload.as_bytes());
        let signature = signature.unwrap();
        (detail, SignedStatement { payload, signature })
    }
}

async fn send(client: &Client, detail: &RequestDetail, signed: SignedStatement) -> Problem {
    let body = Approve {
        digest: detail.digest,
        reason: String::new(),
        signed: Some(signed),
    };
    match client.approve(detail.row.id, &body, &Once::new()).await {
        Outcome::Refused(ClientError::Problem(problem)) => *problem,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_was_removed_in_between_takes_its_signature_with_it() {
    let mut scene = Scene::set().await;
    let keys = people(&mut scene);
    let id = scene.ask(CREDENTIAL);
    approve(&scene, "maya.k", id).expect(0);
    let key = &keys["maya.k"].fingerprint;
    let remove = [
        "operator", "key", "remove", "maya.k", key, "--reason", "lost", "--yes",
    ];
    scene.by("admin", &remove).expect(0);

    let detail = standing(&scene, id);
    let void = detail.approvals[0].void.as_deref();
    assert_eq!(void, Some("the key that signed it was taken out of use"));
    approve(&scene, "ben.r", id).expect(0);
    let detail = standing(&scene, id);
    assert_eq!(
        (detail.row.state, detail.row.approvals, detail.attempts),
        (RequestState::AwaitingApproval, 1, 0),
        "one of two counts, and nothing is made"
    );

    // Her client knows; and if it did not, the broker does.
    let again = approve(&scene, "maya.k", id).expect(3);
    assert!(
        again
            .err
            .contains("none of the agent's keys signs for maya.k"),
        "{again:?}"
    );
    let client = scene.client("maya.k");
    let forger = Forger {
        client: &client,
        who: "maya.k",
        agent: scene.agents["maya.k"].socket(),
        key: &keys["maya.k"],
    };
    let (detail, signed) = forger.sign(id).await;
    let problem = send(&client, &detail, signed).await;
    assert_eq!(problem.slug(), "signature-refused", "{problem:?}");
    assert!(
        problem.detail.contains("is not enrolled for you"),
        "{problem:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_younger_than_the_request_does_not_count_for_it() {
    let mut scene = Scene::set().await;
    people(&mut scene);
    let id = scene.ask(CREDENTIAL);
    let young = scene.equip("maya.k", ED25519);
    let countersign = [
        "operator",
        "key",
        "countersign",
        "maya.k",
        &young.fingerprint,
    ];
    scene.by("root2", &countersign).expect(0);

    let client = scene.client("maya.k");
    let forger = Forger {
        client: &client,
        who: "maya.k",
        agent: scene.agents["maya.k"].socket(),
        key: &young,
    };
    let (detail, signed) = forger.sign(id).await;
    let problem = send(&client, &detail, signed).await;
    assert_eq!(problem.slug(), "separation-of-duties", "{problem:?}");
    assert!(
        problem.detail.contains("enrolled after the request"),
        "{problem:?}"
    );
    // The older one does, and is what the client picks of the two.
    approve(&scene, "maya.k", id).expect(0);
    assert_ne!(
        standing(&scene, id).approvals[0].key,
        Some(young.fingerprint)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signature_is_good_for_one_request_at_one_broker() {
    let mut scene = Scene::set().await;
    let keys = people(&mut scene);
    let (one, other) = (scene.ask(CREDENTIAL), scene.ask("reports/other-db"));
    let client = scene.client("ben.r");
    let forger = Forger {
        client: &client,
        who: "ben.r",
        agent: scene.agents["ben.r"].socket(),
        key: &keys["ben.r"],
    };

    // On another request: before it was used, and after.
    let (_, unused) = forger.sign(one).await;
    let target = client.request(other).await.unwrap().value;
    let problem = send(&client, &target, unused.clone()).await;
    assert_eq!(problem.slug(), "signature-refused", "{problem:?}");
    let problem = send(&client, &client.request(one).await.unwrap().value, unused).await;
    assert_eq!(
        problem.slug(),
        "signature-refused",
        "it is spent by then: {problem:?}"
    );
    let (detail, signed) = forger.sign(one).await;
    let body = Approve {
        digest: detail.digest,
        reason: String::new(),
        signed: Some(signed.clone()),
    };
    done(client.approve(one, &body, &Once::new()).await);
    let problem = send(&client, &target, signed.clone()).await;
    assert_eq!(problem.slug(), "signature-refused", "{problem:?}");
    assert_eq!(standing(&scene, other).approvals, Vec::new());

    // At another broker, where the same person has the same key and decides about the same thing.
    let config = vault_config(&scene.servers, "").await;
    let broker = BrokerProcess::start(&config);
    let company = crate::support::Company::found(&broker, 1).await;
    let there = ben_there(&broker, &company.admin, &keys["ben.r"]).await;
    let asked = company.asked(&company.login(CREDENTIAL, "app-ro")).await;
    let seen = there.request(asked).await.unwrap().value;
    let problem = send(&there, &seen, signed).await;
    assert_eq!(problem.slug(), "signature-refused", "{problem:?}");
    assert!(problem.detail.contains("for another broker"), "{problem:?}");
    // His own client does not sign for one log what it has verified of another.
    let here = verified_head(&client, &Keep::nowhere(), None)
        .await
        .unwrap();
    let decided = Decided {
        operator: "ben.r",
        detail: &seen,
        decision: Decision::Approve,
        reason: "",
        view: seen.digest,
        head: here,
        now: clock::now(),
    };
    let signer = Signer::Agent(Some(scene.agents["ben.r"].socket().to_owned()));
    let refused = countersign::client::sign::sign_decision(&there, &signer, &decided).await;
    assert!(matches!(refused, Err(SigningError::Log(_))), "{refused:?}");
}

/// Ben at another broker, with the key that he has here.
async fn ben_there(broker: &BrokerProcess, admin: &Client, key: &Held) -> Client {
    let new = NewOperator {
        name: "ben.r".into(),
        display_name: String::new(),
        robot: false,
        groups: ["security".to_owned()].into(),
        roles: BTreeMap::from([(
            countersign::wire::Environment::Production,
            [Role::Viewer, Role::Approver].into(),
        )]),
        client: None,
        token_ttl_s: 3_600,
    };
    let minted = done(admin.add_operator(&new, &Once::new()).await);
    let public_key = std::fs::read_to_string(&key.public).unwrap();
    let body = NewKey {
        public_key: public_key.trim().to_owned(),
    };
    done(admin.add_key(minted.operator, &body, &Once::new()).await);
    broker.client(&minted.token)
}

#[tokio::test(flavor = "multi_thread")]
async fn narrowing_voids_what_was_signed_about_more() {
    let mut scene = Scene::set().await;
    people(&mut scene);
    let id = scene.ask(CREDENTIAL);
    approve(&scene, "maya.k", id).expect(0);
    let text = id.to_string();
    let ben = Approver {
        name: "ben.r".into(),
        client: scene.client("ben.r"),
        signer: Signer::Agent(Some(scene.agents["ben.r"].socket().to_owned())),
    };
    let before = ben.client.request(id).await.unwrap().value;
    let signed_before = ben.approval(&before, "").await;

    let narrow = [
        "request",
        "narrow",
        &text,
        "--ttl",
        "30m",
        "--reason",
        "half an hour is enough",
        "--yes",
    ];
    scene.by("ben.r", &narrow).expect(0);
    let detail = standing(&scene, id);
    assert_eq!((detail.plan.ttl_s, detail.revision), (1_800, 2));
    assert_eq!(
        (detail.row.state, detail.row.approvals),
        (RequestState::AwaitingApproval, 0)
    );

    // What was signed about the hour, and not sent yet, is about another revision.
    let refused = ben.client.approve(id, &signed_before, &Once::new()).await;
    assert!(matches!(refused, Outcome::Refused(_)), "{refused:?}");
    assert_eq!(standing(&scene, id).row.approvals, 0);

    // Both look again, and what is made lives for half an hour.
    approve(&scene, "ben.r", id).expect(0);
    assert_eq!(
        standing(&scene, id).row.state,
        RequestState::AwaitingApproval
    );
    approve(&scene, "maya.k", id).expect(0);
    let issued = reaches(&scene.client("reports-deploy"), id, RequestState::Issued).await;
    let credential = crate::support::company::credential_of(&scene.client("admin"), &issued).await;
    let version = &credential.versions[0];
    let lives = version.expires_at.unwrap() - version.created_at;
    assert!(lives.num_seconds() <= 1_800, "{lives}");
}
