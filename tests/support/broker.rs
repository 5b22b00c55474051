//! The broker as people run it: the built program, its own process, folder, port and log; killed, ended and started
//! again on the same folder and port.

use super::process::Server;
use super::{Servers, block_until, free_port};
use countersign::client::retry::RetryPolicy;
use countersign::client::{Client, TransportOptions};
use serde::Deserialize;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::TempDir;

/// Ample for a start that verifies a log of some thousand leaves on two busy cores.
const START: Duration = Duration::from_secs(30);

/// The line that `serve` prints.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Started {
    pub address: String,
    pub origin: String,
    pub verifier_key: String,
}

pub struct BrokerProcess {
    server: Server,
    folder: TempDir,
    port: u16,
    started: Started,
}

/// The program under test; `COUNTERSIGN_TEST_BINARY` names another build of it.
pub fn program() -> PathBuf {
    std::env::var_os("COUNTERSIGN_TEST_BINARY").map_or_else(
        || PathBuf::from(env!("CARGO_BIN_EXE_countersign")),
        PathBuf::from,
    )
}

/// A configuration with one issuer, `vault`: this pair of servers. `more` are lines of its section.
pub async fn vault_config(servers: &Servers, more: &str) -> String {
    let section = servers.bao.config_toml(&servers.postgres).await;
    format!("[issuer.vault]\ntype = \"openbao\"\n{section}{more}\n")
}

impl BrokerProcess {
    /// A broker on a fresh folder that answers.
    pub fn start(config: &str) -> Self {
        Self::start_with(|_| config.to_owned())
    }

    /// The same for a configuration that names its address.
    pub fn start_with(config: impl FnOnce(&str) -> String) -> Self {
        let folder = tempfile::Builder::new()
            .prefix("cs-broker-")
            .tempdir()
            .expect("a temporary folder");
        let port = free_port();
        let config = config(&format!("http://127.0.0.1:{port}"));
        std::fs::write(folder.path().join("broker.toml"), config).expect("the folder is writable");
        let mut server = launch(folder.path(), port);
        let started = wait_for_line(&mut server, 0).unwrap_or_else(|log| {
            panic!("the broker did not start:\n{log}");
        });
        Self {
            server,
            folder,
            port,
            started,
        }
    }

    /// What it printed at its first start; the same ever after.
    pub fn started(&self) -> &Started {
        &self.started
    }

    /// `http://127.0.0.1:port`.
    pub fn url(&self) -> &str {
        &self.started.address
    }

    /// Where its store and keys are.
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// A path beside its data, for what a test writes.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn admin_token(&self) -> String {
        let file = self.path("admin.token");
        let token = std::fs::read_to_string(file).expect("the first start wrote it");
        token.trim().to_owned()
    }

    /// Everything that its processes printed so far.
    pub fn log(&self) -> String {
        self.server.log()
    }

    /// A client signed in with this token. It repeats nothing by itself: what a call came to is the test's to judge.
    pub fn client(&self, token: &str) -> Client {
        let options = TransportOptions {
            retry: RetryPolicy::once(),
            ..TransportOptions::new(self.url())
        };
        let client = Client::new(options).expect("a loopback address");
        client.transport().set_token(Some(token.to_owned().into()));
        client
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        let code = self.server.stop_with("KILL");
        assert_eq!(code, 128 + 9, "it ended before:\n{}", self.log());
    }

    /// SIGTERM; its exit code.
    pub fn terminate(&mut self) -> i32 {
        self.server.stop_with("TERM")
    }

    /// Starts it on the same folder and port, and waits until it answers.
    pub fn start_again(&mut self) {
        let started = self.try_start_again().unwrap_or_else(|log| {
            panic!("the broker did not start again:\n{log}");
        });
        assert_eq!(
            started, self.started,
            "same place, same log, same key as before"
        );
    }

    /// The same, for one that may refuse: then what it printed.
    pub fn try_start_again(&mut self) -> Result<Started, String> {
        let before = self.log().len();
        self.server = launch(self.folder.path(), self.port);
        wait_for_line(&mut self.server, before)
    }
}

fn launch(folder: &Path, port: u16) -> Server {
    let text = |path: PathBuf| path.into_os_string().into_string().expect("UTF-8");
    let command = [
        text(program()),
        "serve".into(),
        "--data".into(),
        text(folder.join("data")),
        "--listen".into(),
        format!("127.0.0.1:{port}"),
        "--admin-token-file".into(),
        text(folder.join("admin.token")),
        "--config".into(),
        text(folder.join("broker.toml")),
    ];
    Server::start("KILL", &command, &folder.join("broker.log"))
}

/// The line of the start, in what was printed after the first `before` bytes; or all of that, if it ended instead.
fn wait_for_line(server: &mut Server, before: usize) -> Result<Started, String> {
    block_until(START, "the broker starts", || {
        let ended = server.ended();
        let log = server.log();
        let printed = &log[before..];
        let whole = printed.rfind('\n').map_or("", |end| &printed[..end]);
        let line = whole
            .lines()
            .find_map(|line| serde_json::from_str::<Started>(line).ok());
        match (line, ended) {
            (Some(started), _) => Some(Ok(started)),
            (None, Some(_)) => Some(Err(printed.to_owned())),
            (None, None) => None,
        }
    })
}

/// A failed test shows the last of what the broker had to say.
impl Drop for BrokerProcess {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = self.log();
            let lines: Vec<&str> = log.lines().collect();
            let last = lines[lines.len().saturating_sub(40)..].join("\n");
            let _gone = writeln!(std::io::stderr(), "the broker's log ends:\n{last}");
        }
    }
}
