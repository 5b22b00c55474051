//! Every verb of every noun, run as people run it: the built program against a built broker. A change is made three
//! times: as a dry run, which leaves the log as it is; in earnest; and once more with the same idempotency key, which
//! changes nothing again. A command that no part of this walk runs fails the test.

#![allow(
    clippy::unwrap_used,
    clippy::too_many_lines,
    reason = "a panic in a test's helper is its report, and a walk reads better whole"
)]

#[path = "cli_verbs/bursts.rs"]
mod bursts;
#[path = "cli_verbs/changes.rs"]
mod changes;
#[path = "cli_verbs/drill.rs"]
mod drill;
#[path = "cli_verbs/gateways.rs"]
mod gateways;
#[path = "cli_verbs/looks.rs"]
mod looks;
#[path = "cli_verbs/newcomers.rs"]
mod newcomers;
#[path = "cli_verbs/rotations.rs"]
mod rotations;
mod support;

use clap::CommandFactory as _;
use countersign::cli::Cli;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::process::{Command, Stdio};
use support::cli::{Ran, code, command, run};
use support::openssh::Agent;
use support::{BrokerProcess, block_until};

/// Nouns that are walked through where their subject is tested.
const ELSEWHERE: &[&str] = &["policy"];

/// A person at a shell, before a broker.
struct Desk {
    broker: BrokerProcess,
    home: tempfile::TempDir,
    admin: String,
    /// The agents that people have, by their token.
    agents: BTreeMap<String, Agent>,
    /// The commands that were run, by their words.
    ran: BTreeSet<String>,
    keys: u32,
}

/// The words of the command that these arguments name.
fn name_of(args: &[&str]) -> String {
    let mut command = Cli::command();
    let mut words = Vec::new();
    for arg in args {
        let Some(sub) = command.find_subcommand(arg).cloned() else {
            continue;
        };
        words.push(sub.get_name().to_owned());
        command = sub;
    }
    words.join(" ")
}

/// Every command that does something by itself.
fn every_command() -> BTreeSet<String> {
    fn walk(command: &clap::Command, path: &str, all: &mut BTreeSet<String>) {
        let mut subs = command
            .get_subcommands()
            .filter(|sub| sub.get_name() != "help")
            .peekable();
        if subs.peek().is_none() {
            all.insert(path.to_owned());
        }
        for sub in subs {
            walk(sub, format!("{path} {}", sub.get_name()).trim(), all);
        }
    }
    let mut all = BTreeSet::new();
    walk(&Cli::command(), "", &mut all);
    all
}

impl Desk {
    fn new(config: &str) -> Self {
        let broker = BrokerProcess::start(config);
        let admin = broker.admin_token();
        Self {
            broker,
            home: tempfile::tempdir().unwrap(),
            admin,
            agents: BTreeMap::new(),
            // The broker above is the program's own.
            ran: BTreeSet::from(["serve".to_owned()]),
            keys: 0,
        }
    }

    /// The command as this token's owner; its configuration and logins are this desk's own.
    fn command(&mut self, token: &str, args: &[&str]) -> Command {
        self.ran.insert(name_of(args));
        let mut built = command(self.broker.url(), token);
        built
            .args(args)
            .env("COUNTERSIGN_CONFIG", self.home.path().join("config.toml"))
            .env("XDG_RUNTIME_DIR", self.home.path());
        if let Some(agent) = self.agents.get(token) {
            built.env("SSH_AUTH_SOCK", agent.socket());
        }
        built
    }

    fn run(&mut self, token: &str, args: &[&str]) -> Ran {
        run(&mut self.command(token, args))
    }

    /// As the admin, with JSON and exit code 0.
    fn json(&mut self, args: &[&str]) -> Value {
        let admin = self.admin.clone();
        let args = [args, &["-o", "json"]].concat();
        self.run(&admin, &args).expect(0).json()
    }

    /// With this on its standard input.
    fn fed(&mut self, token: Option<&str>, args: &[&str], input: &str) -> Ran {
        let mut built = self.command(token.unwrap_or_default(), args);
        if token.is_none() {
            built.env_remove("COUNTERSIGN_TOKEN");
        }
        let mut child = built
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // One that needs no input may have ended.
        let _gone = child.stdin.take().unwrap().write_all(input.as_bytes());
        let output = child.wait_with_output().unwrap();
        Ran {
            code: code(output.status),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// How long the log is.
    fn head(&mut self) -> u64 {
        let newest = self.json(&["audit", "list", "--limit", "2"]);
        // The hour's use is rolled up when it strikes, whatever is done just then.
        let mut newest = newest.as_array().unwrap().iter();
        let newest = newest.find(|event| event["type"] != "usage.rolled_up");
        newest.unwrap()["sequence"].as_u64().unwrap()
    }

    /// The log's length once it has stopped growing by what follows from the last change.
    fn settled(&mut self) -> u64 {
        let mut before = 0;
        block_until(support::START, "the log comes to rest", || {
            let now = self.head();
            (std::mem::replace(&mut before, now) == now).then_some(now)
        })
    }

    /// Makes a change three times; what it printed the second time. `code` is what it must end with.
    fn change(&mut self, token: &str, args: &[&str], code: i32) -> Value {
        let args = [args, &["-o", "json"]].concat();
        let head = self.settled();
        let dry = [args.as_slice(), &["--dry-run"]].concat();
        let would = self.run(token, &dry).expect(code).json();
        assert_eq!(would["dry_run"], true, "{args:?}");
        assert_eq!(self.head(), head, "{args:?} changed something in a dry run");
        let (key, made) = self.once(token, &args);
        let made = made.expect(code);
        assert!(self.settled() > head, "{args:?} changed nothing");
        let head = self.settled();
        let again = [args.as_slice(), &["--idempotency-key", &key]].concat();
        let again = self.run(token, &again).expect(code);
        assert_eq!(again.out, made.out, "{args:?} answers the same");
        assert_eq!(self.head(), head, "{args:?} is carried out once");
        made.json()
    }

    /// In earnest, under a key of its own.
    fn once(&mut self, token: &str, args: &[&str]) -> (String, Ran) {
        self.keys += 1;
        let key = format!("desk-{}-{}", std::process::id(), self.keys);
        let args = [args, &["--idempotency-key", &key]].concat();
        let ran = self.run(token, &args);
        (key, ran)
    }

    /// A change that hands out a secret: its repetition must not hand it out again. The document with the secret.
    fn minting(&mut self, token: &str, args: &[&str]) -> Value {
        let args = [args, &["-o", "json"]].concat();
        let (key, made) = self.once(token, &args);
        let made = made.expect(0).json();
        let head = self.settled();
        let again = [args.as_slice(), &["--idempotency-key", &key]].concat();
        let again = self.run(token, &again).expect(1);
        assert!(again.out.is_empty(), "{again:?}");
        assert!(again.err.contains("delivered to an earlier"), "{again:?}");
        assert_eq!(self.head(), head, "{args:?} is carried out once");
        made
    }

    /// The same with a dry run before it.
    fn minting_change(&mut self, token: &str, args: &[&str]) -> Value {
        let head = self.settled();
        let dry = [args, &["-o", "json", "--dry-run"]].concat();
        let would = self.run(token, &dry).expect(0).json();
        assert_eq!(would["dry_run"], true, "{args:?}");
        assert_eq!(self.head(), head, "{args:?} changed something in a dry run");
        self.minting(token, args)
    }
}

fn text(value: &Value) -> String {
    value
        .as_str()
        .unwrap_or_else(|| panic!("a text, not {value}"))
        .to_owned()
}

#[test]
fn every_verb_works_on_a_real_broker() {
    let mut desk = Desk::new(changes::AN_ISSUER_THAT_IS_AWAY);
    let people = changes::people(&mut desk);
    looks::the_stream(&mut desk);
    changes::requests(&mut desk, &people);
    changes::shaped_by_people(&mut desk, &people);
    changes::an_emergency(&mut desk);
    changes::credentials(&mut desk);
    changes::a_quorum_falls(&mut desk, &people);
    changes::a_failed_request_is_tried_again(&mut desk);
    gateways::gateways(&mut desk);
    rotations::rotations(&mut desk);
    drill::drill(&mut desk);
    looks::lists_and_overview(&mut desk);
    looks::the_log(&mut desk);
    looks::contexts(&mut desk);
    looks::a_trusted_key(&mut desk);
    looks::signing_in_and_out(&mut desk, &people);
    looks::this_machine(&mut desk);
    looks::the_demo(&mut desk);
    newcomers::templates(&mut desk);
    newcomers::a_client_comes_as_a_template_says(&mut desk);
    newcomers::a_person_comes_as_a_template_says(&mut desk);
    newcomers::the_access_review(&mut desk, &people);
    changes::a_second_admin(&mut desk, &people);
    changes::leaving(&mut desk, &people);
    let mut untested: Vec<_> = every_command().difference(&desk.ran).cloned().collect();
    untested.retain(|name| !ELSEWHERE.iter().any(|noun| name.starts_with(noun)));
    assert!(untested.is_empty(), "never run: {untested:?}");
}
