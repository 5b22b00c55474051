//! A private PostgreSQL server: Debian's binaries, a temporary data folder, loopback and a socket.

use super::process::{Server, run};
use super::{START, block_until, free_port};
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// The superuser's password; the server is on loopback and lives as long as a test.
pub const PASSWORD: &str = "test-superuser";

pub struct Postgres {
    server: Server,
    folder: TempDir,
    port: u16,
}

impl Postgres {
    /// A fresh server that accepts connections.
    pub fn start() -> Self {
        let folder = tempfile::Builder::new()
            .prefix("cs-pg-")
            .tempdir()
            .expect("a temporary folder");
        let password_file = folder.path().join("password");
        std::fs::write(&password_file, PASSWORD).expect("the folder is writable");
        if is_root() {
            run(&words(&["chown", "-R", "postgres:", &text(folder.path())]));
        }
        let data = text(&folder.path().join("data"));
        let password_option = format!("--pwfile={}", text(&password_file));
        run(&as_postgres(&[
            &binary("initdb"),
            "-D",
            &data,
            "-U",
            "postgres",
            "-N",
            "--auth=scram-sha-256",
            &password_option,
            "--encoding=UTF8",
            "--locale=C",
        ]));
        let port = free_port();
        let mut started = Self {
            server: launch(folder.path(), port),
            folder,
            port,
        };
        started.wait_ready();
        started
    }

    /// `postgres://…` as superuser.
    pub fn url(&self) -> String {
        self.url_as("postgres", PASSWORD)
    }

    /// `postgres://…` as somebody else.
    pub fn url_as(&self, user: &str, password: &str) -> String {
        format!(
            "postgres://{user}:{password}@127.0.0.1:{}/postgres",
            self.port
        )
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn log(&self) -> String {
        self.server.log()
    }

    /// Ends it at once, as a crash of the machine would; the data stays.
    pub fn stop(&mut self) {
        self.server.stop();
    }

    /// Starts it again with the same data, at the same port.
    pub fn start_again(&mut self) {
        self.server = launch(self.folder.path(), self.port);
        self.wait_ready();
    }

    /// Superuser's answer to one statement; panics when it fails.
    pub fn ask(&self, sql: &str) -> String {
        psql(&self.url(), sql).unwrap_or_else(|error| panic!("{sql}: {error}"))
    }

    fn wait_ready(&mut self) {
        let url = self.url();
        block_until(START, "PostgreSQL accepts connections", || {
            self.server.assert_running("PostgreSQL");
            psql(&url, "SELECT 1").ok()
        });
    }
}

/// `psql` with this URL: the rows as text (columns parted by `|`), or what it printed as an error.
pub fn psql(url: &str, sql: &str) -> Result<String, String> {
    let output = Command::new("psql")
        .args([
            "-X",
            "-q",
            "-A",
            "-t",
            "-w",
            "-v",
            "ON_ERROR_STOP=1",
            "-c",
            sql,
            url,
        ])
        .env("PGCONNECT_TIMEOUT", "10")
        .output()
        .expect("psql is installed (tests/run.sh installs it)");
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout)
            .trim_end()
            .to_owned())
    } else {
        Err(String::from_utf8_lossy(&output.stderr)
            .trim_end()
            .to_owned())
    }
}

fn launch(folder: &Path, port: u16) -> Server {
    let (data, socket) = (text(&folder.join("data")), text(folder));
    let command = as_postgres(&[
        &binary("postgres"),
        "-D",
        &data,
        "-k",
        &socket,
        "-p",
        &port.to_string(),
        "-c",
        "listen_addresses=127.0.0.1",
        "-c",
        "fsync=off",
        "-c",
        "max_connections=60",
        "-c",
        "shared_buffers=32MB",
    ]);
    Server::start("QUIT", &command, &folder.join("log"))
}

/// PostgreSQL refuses to run as root, so root becomes its user.
fn as_postgres(command: &[&str]) -> Vec<String> {
    let mut whole = if is_root() {
        words(&[
            "setpriv",
            "--reuid=postgres",
            "--regid=postgres",
            "--init-groups",
            "--",
        ])
    } else {
        Vec::new()
    };
    whole.extend(words(command));
    whole
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// On `PATH`, or in the newest of Debian's version folders.
fn binary(name: &str) -> String {
    let on_path = std::env::var_os("PATH")
        .into_iter()
        .flat_map(|path| std::env::split_paths(&path).collect::<Vec<_>>());
    let mut versions: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path().join("bin")))
        .collect();
    versions.sort_by_key(|path| {
        path.to_string_lossy()
            .chars()
            .filter(char::is_ascii_digit)
            .collect::<String>()
            .parse::<u32>()
            .unwrap_or(0)
    });
    let found = on_path
        .chain(versions.into_iter().rev())
        .map(|folder| folder.join(name))
        .find(|path| path.is_file());
    text(
        &found.unwrap_or_else(|| {
            panic!("{name} is not installed (tests/run.sh installs postgresql)")
        }),
    )
}

fn text(path: &Path) -> String {
    path.to_str().expect("test paths are UTF-8").to_owned()
}

fn words(list: &[&str]) -> Vec<String> {
    list.iter().map(|word| (*word).to_owned()).collect()
}
