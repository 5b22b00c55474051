//! Who and what a journey has: real servers, a broker, people with tokens and agents, and what they do on the command line
//! and in the console.

use crate::support::cli::{self, Ran};
use crate::support::company::PATIENCE;
use crate::support::openssh::{Agent, Held};
use crate::support::pty::Pty;
use crate::support::{BrokerProcess, Servers, vault_config};
use countersign::client::Client;
use countersign::wire::RequestId;
use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

pub const CREDENTIAL: &str = "reports/payments-db";
pub const ENTER: &str = "\r";
const ESC: &str = "\x1b";
const TAB: &str = "\t";
const CTRL_Y: &str = "\x19";

/// The servers, the broker, and everybody's tokens and agents by handle.
pub struct Scene {
    pub servers: Servers,
    pub broker: BrokerProcess,
    pub tokens: BTreeMap<&'static str, String>,
    pub agents: BTreeMap<&'static str, Agent>,
}

impl Scene {
    pub async fn set() -> Self {
        let servers = Servers::start().await;
        let broker = BrokerProcess::start(&vault_config(&servers, "").await);
        let tokens = BTreeMap::from([("admin", broker.admin_token())]);
        Self {
            servers,
            broker,
            tokens,
            agents: BTreeMap::new(),
        }
    }

    /// Runs the command line as somebody, with their agent.
    pub fn by(&self, who: &str, args: &[&str]) -> Ran {
        cli::run(self.command(who).args(args))
    }

    /// The program with somebody's token and agent.
    fn command(&self, who: &str) -> Command {
        let mut command = cli::command(self.broker.url(), &self.tokens[who]);
        if let Some(agent) = self.agents.get(who) {
            command.env("SSH_AUTH_SOCK", agent.socket());
        }
        command
    }

    /// Somebody gets an agent with a key of this kind, which the admin enrols.
    pub fn equip(&mut self, who: &'static str, kind: &str) -> Held {
        let agent = self.agents.entry(who).or_insert_with(Agent::start);
        let key = agent.key(kind);
        let file = key.public.to_str().unwrap();
        self.by("admin", &["operator", "key", "add", who, file])
            .expect(0);
        key
    }

    /// The same as a typed client.
    pub fn client(&self, who: &str) -> Client {
        self.broker.client(&self.tokens[who])
    }

    /// The admin opens an account, and the token goes to a private file.
    pub fn hire(&mut self, who: &'static str, more: &[&str]) {
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
    pub fn export(&self, name: &str, more: &[&str]) -> (PathBuf, Ran) {
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
    pub fn verify(&self, folder: &Path) -> Ran {
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
        let words = [&["audit", "verify"], &args[..]].concat();
        cli::cli("http://localhost:1", "", &words)
    }

    /// The admin brings everybody in.
    pub fn onboard(&mut self) {
        let args = [
            "--owner",
            "payments",
            "--env",
            "production",
            "--tier",
            "high",
        ];
        self.by(
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
        self.hire("reports-deploy", &robot);
        let approver = [
            "--role",
            "production:viewer,approver",
            "--group",
            "security",
        ];
        self.hire("maya.k", &approver);
        self.hire("ben.r", &approver);
        self.hire("omar.d", &["--role", "production:viewer,operator"]);
    }

    /// The service asks, and two of `security` have to agree.
    pub fn ask(&self, credential: &str) -> RequestId {
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
            &["request", "new", credential],
            &what[..],
            &how[..],
            &why[..],
        ]
        .concat();
        let receipt = self.by("reports-deploy", &args).expect(4).json();
        assert_eq!(receipt["state"], "awaiting_approval");
        let id = receipt["subject"].as_str().unwrap();
        let shown = self
            .by("maya.k", &["request", "show", id, "-o", "json"])
            .expect(0)
            .json();
        assert_eq!(
            (&shown["quorum"]["count"], &shown["quorum"]["groups"][0]),
            (&2.into(), &"security".into())
        );
        id.parse().unwrap()
    }

    /// Somebody's console, at 120×40.
    pub fn console(&self, who: &str) -> Pty {
        let pty = Pty::run(&self.command(who), 120, 40);
        pty.wait_for("● live");
        pty
    }

    /// Somebody opens what waits, looks at it, and approves it; `effect` is what the sheet says that comes of it.
    pub fn approve_in_console(pty: Pty, credential: &str, effect: &str) {
        pty.send("2");
        // The first screen may name it too: Enter is for the row of the queue.
        pty.wait_until("it stands in the queue", |screen| {
            screen.contains("── QUEUE") && screen.contains(credential)
        });
        pty.send(ENTER);
        pty.wait_for("from security");
        act(&pty, "a approve", effect);
        commit(&pty, &["seen and needed", credential]);
        pty.wait_until("it was approved", |screen| !screen.contains(effect));
        pty.send("q");
        assert_eq!(pty.ended(), 0);
    }
}

/// Picks an act of the menu, `key name`, and waits for `sheet`. What the console has just begun (it follows the broker, it
/// verifies the log) is a reason to say "not now", and the menu is opened anew until it is done.
pub fn act(pty: &Pty, entry: &str, sheet: &str) {
    let end = Instant::now() + PATIENCE;
    let refused = |screen: &str| {
        screen
            .lines()
            .any(|line| line.contains(entry) && line.contains("not now"))
    };
    loop {
        pty.send(".");
        pty.wait_for(entry);
        let screen = pty.screen();
        if !refused(&screen) {
            break;
        }
        assert!(Instant::now() < end, "never now:\n{screen}");
        pty.send(ESC);
        pty.wait_until("the menu is closed", |screen| !refused(screen));
    }
    pty.send(&entry[..1]);
    pty.wait_for(sheet);
}

/// Fills in a sheet, field by field, and sends it.
pub fn commit(pty: &Pty, fields: &[&str]) {
    for (number, text) in fields.iter().enumerate() {
        if number > 0 {
            pty.send(TAB);
        }
        pty.send(text);
        pty.wait_for(text);
    }
    pty.send(CTRL_Y);
}

/// What `request claim` wrote: `name=value` lines.
pub fn read_secret(file: &Path) -> BTreeMap<String, String> {
    let text = std::fs::read_to_string(file).unwrap();
    let parts = text.lines().map(|line| line.split_once('=').unwrap());
    parts
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}
