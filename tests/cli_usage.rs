//! Command lines that make no sense, brokers that are not there, and what is said and returned then.
//! Every command runs in this process, against a world made for it.

#![allow(
    clippy::unwrap_used,
    clippy::too_many_lines,
    reason = "a test or benchmark stops where its ground gives way, and a table of cases reads better whole"
)]

use std::io::{Cursor, Write};
use std::path::Path;
use std::sync::{Arc, Mutex};

use chrono::DateTime;
use clap::Parser;
use countersign::cli::{self, Cli, Io, Terminal};
use countersign::config::Variables;

/// What a command wrote.
#[derive(Clone, Default)]
struct Pipe(Arc<Mutex<Vec<u8>>>);

impl Pipe {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// A pipe whose reader has gone.
struct Closed;

impl Write for Closed {
    fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
        Err(std::io::ErrorKind::BrokenPipe.into())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

struct Ran {
    code: u8,
    out: String,
    err: String,
}

struct World {
    home: tempfile::TempDir,
    extra: Vec<(&'static str, String)>,
    terminal: Terminal,
    input: &'static str,
}

impl World {
    fn new() -> Self {
        Self {
            home: tempfile::tempdir().unwrap(),
            extra: Vec::new(),
            terminal: Terminal::default(),
            input: "",
        }
    }

    fn set(mut self, name: &'static str, value: &str) -> Self {
        self.extra.push((name, value.to_owned()));
        self
    }

    fn config(&self) -> std::path::PathBuf {
        self.home.path().join("config.toml")
    }

    fn io(&self, out: Box<dyn Write + Send>, err: &Pipe) -> Io {
        let config = self.config().display().to_string();
        let mut values = vec![("COUNTERSIGN_CONFIG", config.as_str())];
        values.extend(
            self.extra
                .iter()
                .map(|(name, value)| (*name, value.as_str())),
        );
        Io {
            out,
            err: Box::new(err.clone()),
            input: Box::new(Cursor::new(self.input.as_bytes())),
            terminal: self.terminal,
            variables: Variables::of(values),
            now: DateTime::from_timestamp(1_790_000_000, 0).unwrap(),
        }
    }

    async fn run(&self, line: &str) -> Ran {
        let (out, err) = (Pipe::default(), Pipe::default());
        let words = std::iter::once("countersign").chain(line.split_whitespace());
        let code = match Cli::try_parse_from(words) {
            Ok(cli) => cli::execute(&cli, &mut self.io(Box::new(out.clone()), &err)).await,
            Err(error) => {
                write!(err.clone(), "{}", error.render()).unwrap();
                u8::try_from(error.exit_code()).unwrap()
            }
        };
        Ran {
            code,
            out: out.text(),
            err: err.text(),
        }
    }
}

/// An address where nobody listens.
fn nobody() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

/// A policy's own cases, with no broker anywhere: the shipped one, one that fails them, and ones that are none.
#[tokio::test]
async fn a_policy_is_tested_offline() {
    let world = World::new();
    let ran = world.run("policy test").await;
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    assert!(ran.out.contains(" cases, 0 failed"), "{}", ran.out);
    assert!(ran.out.contains("tiers.rego"), "{}", ran.out);

    let folder = world.home.path().join("ours");
    std::fs::create_dir_all(folder.join("cases")).unwrap();
    for (name, text) in countersign::policy::Bundle::shipped().files() {
        let text = text.replace(
            "\"environment.production\": 30",
            "\"environment.production\": 29",
        );
        std::fs::write(folder.join(name), text).unwrap();
    }
    std::fs::write(folder.join("README.md"), "notes are left alone").unwrap();
    let line = format!("policy test {}", folder.display());
    let ran = world.run(&line).await;
    assert_eq!(ran.code, 1, "{}{}", ran.out, ran.err);
    assert!(
        ran.out
            .contains("FAIL cases/environments.json: a write scope in production"),
        "{}",
        ran.out
    );
    assert!(ran.out.contains("  expected  "), "{}", ran.out);
    assert!(ran.out.contains("  got       "), "{}", ran.out);
    let ran = world.run(&format!("{line} -o json")).await;
    let report: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    assert!(!report["failed"].as_array().unwrap().is_empty());

    std::fs::write(
        folder.join("risk.rego"),
        "package countersign.issue\nx if {",
    )
    .unwrap();
    let ran = world.run(&line).await;
    assert_eq!(ran.code, 1);
    assert!(ran.err.contains("risk.rego:2: "), "{}", ran.err);
    let ran = world.run("policy test /nowhere").await;
    assert_eq!(ran.code, 1);
    assert!(ran.err.contains("/nowhere"), "{}", ran.err);
    let ran = world.run("policy simulate").await;
    assert_eq!(ran.code, 2, "{}", ran.err);
}

#[tokio::test]
async fn what_makes_no_sense_is_refused_with_what_would() {
    let table = [
        ("requets list", "request"),
        ("request", "Usage: countersign request"),
        ("request new", "--env"),
        (
            "request new x --env prod",
            "expected one of development, staging, production",
        ),
        (
            "request new x --env production --kind password",
            "expected one of api_key, jwt",
        ),
        ("request new x --ttl 1y", "such as 90s, 12h or 30d"),
        ("request list --output yaml", "table, json, ndjson, csv"),
        ("request list --limit many", "invalid digit"),
        ("request claim req_x --out a --show", "cannot be used with"),
        (
            "credential find --digest hunter2",
            "expected sha256: and 64 lower-case hex digits",
        ),
        ("credential revoke x --timeout 5m", "--wait"),
        ("credential adopt x --issued-at yesterday", "yesterday"),
        (
            "revocation show crd_1",
            "expected an identifier of the form rvk_",
        ),
        (
            "operator add x --role production:boss",
            "expected one of viewer, requester",
        ),
        (
            "operator revoke-token maya tok_1",
            "expected an identifier of the form tok_",
        ),
        ("audit verify --entries a", "--checkpoint"),
        ("audit verify --vkey nonsense", "not a verifier key"),
        (
            "overview --context a --url http://localhost",
            "cannot be used with",
        ),
        ("demo --credentials 0", "1..=1000000"),
        ("demo --rate=-1", "expected 0 to 1000"),
        ("serve", "--data"),
        ("serve --data d --tls-cert c", "--tls-key"),
        ("completions tcsh", "possible values: bash"),
    ];
    let world = World::new();
    for (line, words) in table {
        let ran = world.run(line).await;
        assert_eq!(ran.code, 2, "{line}: {}", ran.err);
        assert!(ran.err.contains(words), "{line}: {}", ran.err);
        assert_eq!(ran.out, "", "{line}");
    }
}

#[tokio::test]
async fn without_a_broker_it_says_how_to_name_one() {
    let ran = World::new().run("request list").await;
    assert_eq!(ran.code, 2);
    assert!(
        ran.err.contains("context add NAME --url URL"),
        "{}",
        ran.err
    );
}

#[tokio::test]
async fn a_broker_that_is_not_there_is_exit_code_7() {
    let world = World::new().set("COUNTERSIGN_TOKEN", "cs_token");
    for line in [
        "overview",
        "request list",
        "request show req_00000000000000000000000000",
        "credential list -o ndjson",
        "credential revoke pg/x --yes --reason leaked",
        "client list",
        "operator list",
        "revocation list",
        "audit list",
        "audit verify",
        "logout",
        "doctor",
    ] {
        let ran = world.run(&format!("{line} --url {}", nobody())).await;
        assert_eq!(ran.code, 7, "{line}: {}", ran.err);
        assert!(ran.err.starts_with("error: cannot "), "{line}: {}", ran.err);
        assert!(
            !ran.err.contains("cs_token") && !ran.out.contains("cs_token"),
            "{line}"
        );
    }
}

#[tokio::test]
async fn addresses_and_tokens_that_cannot_be_used_are_exit_code_2() {
    let table = [
        (
            "--url http://broker.example overview",
            "plain http would show the token",
        ),
        ("--url nonsense overview", "expected https://HOST"),
        (
            "--url http://localhost:1 --token-file /nonexistent/token overview",
            "cannot read the token file",
        ),
        ("--context nowhere overview", "no context called"),
    ];
    for (line, words) in table {
        let ran = World::new().run(line).await;
        assert_eq!(ran.code, 2, "{line}: {}", ran.err);
        assert!(ran.err.contains(words), "{line}: {}", ran.err);
    }
    let world = World::new().set("COUNTERSIGN_TOKEN", "two words");
    let ran = world.run("--url http://localhost:1 overview").await;
    assert_eq!(ran.code, 2);
    assert!(!ran.err.contains("two words"), "{}", ran.err);
}

#[tokio::test]
async fn a_configuration_that_cannot_be_read_names_its_line() {
    let world = World::new();
    std::fs::write(
        world.config(),
        "[contexts.prod]\nurl = \"https://b\"\ncolour = \"pink\"\n",
    )
    .unwrap();
    let ran = world.run("request list").await;
    assert_eq!(ran.code, 2);
    assert!(ran.err.contains("config.toml:3:"), "{}", ran.err);
    assert!(ran.err.contains("expected one of `red`"), "{}", ran.err);
}

#[tokio::test]
async fn contexts_are_added_chosen_and_removed() {
    let world = World::new();
    let run = async |line: &str| {
        let ran = world.run(line).await;
        assert_eq!(ran.code, 0, "{line}: {}", ran.err);
        ran.out
    };
    run("context add dev --url http://127.0.0.1:7878 --env development").await;
    run("context add prod --url https://broker.example --env production --read-only").await;
    let listed = run("context list -o csv").await;
    assert_eq!(
        listed,
        "current,name,environment,url,changes\r\n\
         *,dev,development,http://127.0.0.1:7878,allowed\r\n\
         ,prod,production,https://broker.example,refused\r\n"
    );
    run("context use prod").await;
    let listed: serde_json::Value =
        serde_json::from_str(&run("context list -o json").await).unwrap();
    assert_eq!(listed[1]["current"], true);

    let refused = world
        .run("request withdraw req_00000000000000000000000000 --reason x")
        .await;
    assert_eq!(refused.code, 3, "{}", refused.err);
    assert!(
        refused.err.contains("\"prod\" is read-only"),
        "{}",
        refused.err
    );

    for (line, words) in [
        (
            "context add dev --url http://127.0.0.1:1",
            "already; --replace",
        ),
        ("context add x", "needs --url"),
        (
            "context add x --url http://broker.example",
            "plain http would show the token",
        ),
        (
            "context add a/b --url https://b",
            "expected 1 to 64 letters",
        ),
        ("context use nowhere", "known are dev, prod"),
    ] {
        let ran = world.run(line).await;
        assert_eq!(ran.code, 2, "{line}: {}", ran.err);
        assert!(ran.err.contains(words), "{line}: {}", ran.err);
    }
    run("context remove prod").await;
    assert!(!run("context list").await.contains("prod"));
    assert!(is_private(&world.config()));
}

#[cfg(unix)]
fn is_private(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777 == 0o600
}

#[tokio::test]
async fn signing_in_needs_a_token_that_can_be_one() {
    let mut world = World::new();
    for input in ["", "two words\n", "cs_\u{7}bell"] {
        world.input = input;
        let ran = world.run("login --url http://127.0.0.1:1").await;
        assert_eq!(ran.code, 2, "{input:?}: {}", ran.err);
        assert!(ran.err.contains("that is no token"), "{}", ran.err);
        assert!(
            input.is_empty() || !ran.err.contains(input.trim()),
            "{}",
            ran.err
        );
    }
}

#[tokio::test]
async fn completions_are_made_for_every_shell() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let ran = World::new().run(&format!("completions {shell}")).await;
        assert_eq!(ran.code, 0, "{}", ran.err);
        assert!(ran.out.contains("quarantine"), "{shell}");
    }
}

#[tokio::test]
async fn a_reader_that_has_gone_is_no_failure() {
    let world = World::new();
    let err = Pipe::default();
    let cli = Cli::parse_from(["countersign", "completions", "bash"]);
    let code = cli::execute(&cli, &mut world.io(Box::new(Closed), &err)).await;
    assert_eq!((code, err.text().as_str()), (0, ""));
}

#[tokio::test]
async fn the_doctor_looks_at_this_machine_alone() {
    let mut world = World::new().set("TERM", "xterm-256color").set("LANG", "C");
    world.terminal = Terminal {
        stdin: true,
        stdout: true,
        stderr: true,
        size: Some((72, 20)),
    };
    let ran = world.run("doctor --offline").await;
    assert_eq!(ran.code, 0, "{}", ran.err);
    for words in [
        "warn  terminal     72x20",
        "ok    TERM         xterm-256color",
        "warn  UTF-8",
    ] {
        assert!(ran.out.contains(words), "{}", ran.out);
    }
}

#[tokio::test]
async fn a_log_is_verified_offline_against_its_key() {
    use countersign::event_log::checkpoint::SigningKey;
    use countersign::event_log::export::entry_line;
    use countersign::event_log::log::Log;
    use countersign::event_log::sqlite::SqliteStore;

    let world = World::new();
    let at = |name: &str| world.home.path().join(name);
    let key = SigningKey::from_seed("log.example/audit", &[7; 32]).unwrap();
    let vkey = key.verifier_key().to_string();
    let store = Arc::new(SqliteStore::open(&at("log.db")).await.unwrap());
    let log = Log::open(store, key, |_, _| {}).await.unwrap();
    let grow = async |leaves: std::ops::Range<u32>| {
        let leaves = leaves.map(|n| format!("leaf {n}").into_bytes()).collect();
        log.append(leaves, vec![]).await.unwrap();
    };
    grow(0..5).await;
    std::fs::write(at("old.txt"), &log.checkpoint().note).unwrap();
    grow(5..700).await;
    std::fs::write(at("new.txt"), &log.checkpoint().note).unwrap();
    let entries: String = (0..700)
        .map(|n| entry_line(n, format!("leaf {n}").as_bytes()))
        .collect();
    std::fs::write(at("entries"), &entries).unwrap();
    std::fs::write(at("changed"), entries.replacen("bGVhZiAx", "bGVhZiAy", 1)).unwrap();
    let cut: String = entries.split_inclusive('\n').take(300).collect();
    std::fs::write(at("cut"), cut).unwrap();
    let other = SigningKey::from_seed("log.example/audit", &[8; 32]).unwrap();

    let verify = async |entries: &str, checkpoint: &str, pinned: &str, key: &str| {
        let home = world.home.path().display();
        let pinned = if pinned.is_empty() {
            String::new()
        } else {
            format!("--pinned {home}/{pinned}")
        };
        let line = format!(
            "audit verify -o json --entries {home}/{entries} --checkpoint {home}/{checkpoint} {pinned} --vkey {key}"
        );
        world.run(&line).await
    };
    let good = verify("entries", "new.txt", "old.txt", &vkey).await;
    assert_eq!(good.code, 0, "{}", good.err);
    let report: serde_json::Value = serde_json::from_str(&good.out).unwrap();
    assert_eq!(report["size"], 700);
    assert_eq!(report["continues"], 5);
    assert_eq!(report["verified"], true);

    let other = other.verifier_key().to_string();
    for (entries, checkpoint, pinned, key, words) in [
        ("changed", "new.txt", "", &vkey, "at least one was changed"),
        (
            "changed",
            "new.txt",
            "old.txt",
            &vkey,
            "not those that were signed before",
        ),
        (
            "cut",
            "new.txt",
            "",
            &vkey,
            "300 leaves, and 700 are signed for",
        ),
        (
            "entries",
            "old.txt",
            "new.txt",
            &vkey,
            "it had 700 leaves and now has 5",
        ),
        (
            "entries",
            "new.txt",
            "",
            &other,
            "no signature by the trusted key",
        ),
        ("new.txt", "new.txt", "", &vkey, "line 1"),
    ] {
        let bad = verify(entries, checkpoint, pinned, key).await;
        assert_eq!(bad.code, 1, "{entries}: {}", bad.err);
        assert!(bad.err.contains(words), "{entries}: {}", bad.err);
        assert_eq!(bad.out, "", "{entries}");
    }
}
