//! Staying signed in: the built console, a broker whose sessions are as short as they may be, and a real `ssh-agent`.

#![expect(
    clippy::unwrap_used,
    reason = "a panic in a test's helper is its report"
)]

mod support;

use chrono::{DateTime, Utc};
use countersign::clock;
use countersign::wire::TokenId;
use std::process::Command;
use std::time::Duration;
use support::cli::{self, Ran};
use support::openssh::{Agent, ED25519, Held};
use support::pty::Pty;
use support::{BrokerProcess, block_until};

/// The shortest session that a broker may be set to lasts a minute; then some for a busy machine.
const SESSION: Duration = Duration::from_secs(90);
const ENTER: &str = "\r";

/// Maya, her agent, and a machine that keeps her login in a private folder.
struct Scene {
    broker: BrokerProcess,
    agent: Agent,
    key: Held,
}

impl Scene {
    fn set() -> Self {
        let broker = BrokerProcess::start("[login]\nsession_s = 60\n");
        let mut agent = Agent::start();
        let key = agent.key(ED25519);
        let scene = Self { broker, agent, key };
        let file = scene.broker.path("maya.token");
        let hire = ["operator", "add", "maya.k", "--out", file.to_str().unwrap()];
        scene
            .admin(&[&hire[..], &["--role", "development:viewer"]].concat())
            .expect(0);
        scene.enrol(&scene.key);
        scene.login();
        scene
    }

    fn admin(&self, args: &[&str]) -> Ran {
        cli::cli(self.broker.url(), &self.broker.admin_token(), args)
    }

    fn enrol(&self, key: &Held) {
        let file = key.public.to_str().unwrap();
        self.admin(&["operator", "key", "add", "maya.k", file])
            .expect(0);
    }

    /// The program as Maya has it: no token but what it keeps itself.
    fn command(&self) -> Command {
        let mut command = cli::command(self.broker.url(), "");
        let folder = self.broker.path("");
        command
            .env_remove("COUNTERSIGN_TOKEN")
            .env("HOME", &folder)
            .env("XDG_RUNTIME_DIR", &folder)
            .env("SSH_AUTH_SOCK", self.agent.socket());
        // `env_remove` would be taken over as a variable without a value.
        let kept: Vec<_> = command
            .get_envs()
            .filter_map(|(name, value)| Some((name.to_owned(), value?.to_owned())))
            .collect();
        let mut clean = Command::new(command.get_program());
        clean.env_clear().envs(kept);
        clean
    }

    fn login(&self) {
        let mut login = self.command();
        let told = cli::run(login.args(["login", "maya.k", "--in-file"])).expect(0);
        assert!(
            told.err.contains("renewed by an open console until"),
            "{told:?}"
        );
    }

    fn console(&self) -> Pty {
        let pty = Pty::run(&self.command(), 120, 40);
        pty.wait_for("● live");
        pty
    }

    /// Her sessions: which, and when each ends.
    fn sessions(&self) -> Vec<(TokenId, DateTime<Utc>)> {
        let listed = self
            .admin(&["operator", "list", "-o", "json"])
            .expect(0)
            .json();
        let rows = listed["items"].as_array().or(listed.as_array()).unwrap();
        let maya = rows.iter().find(|row| row["name"] == "maya.k").unwrap();
        let tokens = maya["tokens"].as_array().unwrap();
        let opened = tokens.iter().filter(|row| !row["key"].is_null());
        opened
            .map(|row| {
                let read = |name: &str| serde_json::from_value(row[name].clone());
                let id = serde_json::from_value(row["id"].clone()).unwrap();
                (id, read("expires_at").unwrap())
            })
            .collect()
    }

    /// The admin does something that every open console hears of.
    fn heard(&self, pty: &Pty, name: &str) {
        let onboard = [
            "client",
            "add",
            name,
            "--owner",
            "payments",
            "--env",
            "development",
        ];
        self.admin(&[&onboard[..], &["--tier", "low"]].concat())
            .expect(0);
        pty.wait_for(name);
        pty.wait_for("● live");
    }
}

#[test]
fn a_console_is_still_signed_in_after_its_first_session_has_ended() {
    let scene = Scene::set();
    let pty = scene.console();
    // From within, a person's own doing, once.
    let (stored, _) = scene.sessions()[0];
    pty.send(&format!(":login{ENTER}"));
    pty.wait_for("signed in until");
    let (first, end) = block_until(SESSION, "one session in the other's place", || match scene
        .sessions()[..]
    {
        [only] if only.0 != stored => Some(only),
        _ => None,
    });
    pty.send("7");
    scene.heard(&pty, "before-api");

    // And by itself.
    block_until(SESSION, "another session in its place", || {
        match scene.sessions()[..] {
            [(only, later)] if only != first && later > end => Some(()),
            _ => None,
        }
    });
    assert!(clock::now() < end, "in time");
    block_until(SESSION, "the end of the first", || {
        (clock::now() > end).then_some(())
    });
    scene.heard(&pty, "after-api");
    // So is the next run: the new one is where the old one was kept.
    let told = cli::run(scene.command().args(["doctor"]));
    assert!(
        told.out.contains("an open console renews it until"),
        "{told:?}"
    );
    drop(pty);
}

#[test]
fn without_its_key_it_says_so_in_time_and_goes_on_when_somebody_signs_in() {
    let mut scene = Scene::set();
    let pty = scene.console();
    scene.agent.forget(&scene.key);
    let seen = |what: &str| {
        block_until(SESSION, what, || pty.screen().contains(what).then_some(()));
    };
    seen("the session ends in");
    seen(":login, or countersign login maya.k");
    seen("the session ended at");
    seen("signed out");
    // Another key, another terminal.
    scene.key = scene.agent.key(ED25519);
    scene.enrol(&scene.key);
    scene.login();
    pty.wait_for("● live");
    assert!(!pty.screen().contains("signed out"), "{}", pty.screen());
    pty.send("7");
    scene.heard(&pty, "again-api");
}
