//! OpenSSH as people have it: keys, the agent that holds them, and a server that lets the agent be reached from another
//! machine. Everything is the current user's, in a folder of its own, and gone when dropped.

use super::process::{Server, run};
use super::{START, block_until, free_port};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// OpenSSH's software authenticator, of Debian's `openssh-tests`: FIDO keys without hardware.
const AUTHENTICATOR: &str = "/usr/lib/openssh/regress/misc/sk-dummy/sk-dummy.so";

/// A kind of key, by the word of `ssh-keygen -t`.
pub const ED25519: &str = "ed25519";

/// A key in an authenticator, where there is one; else an ordinary one of another kind.
pub fn in_hardware() -> &'static str {
    if Path::new(AUTHENTICATOR).exists() {
        "ed25519-sk"
    } else {
        "ecdsa"
    }
}

/// Somebody's agent.
pub struct Agent {
    folder: TempDir,
    socket: PathBuf,
    _server: Server,
    keys: u32,
}

/// A key that an agent holds.
pub struct Held {
    /// The file with the public half.
    pub public: PathBuf,
    /// `SHA256:…`
    pub fingerprint: String,
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(ToString::to_string).collect()
}

fn text(path: &Path) -> String {
    path.to_str().expect("UTF-8").to_owned()
}

fn folder() -> TempDir {
    // A socket's address has room for about a hundred bytes.
    tempfile::Builder::new()
        .prefix("cs-ssh-")
        .tempdir()
        .expect("a temporary folder")
}

impl Agent {
    /// An agent that holds nothing yet.
    pub fn start() -> Self {
        let folder = folder();
        let socket = folder.path().join("agent");
        let command = ["ssh-agent", "-D", "-a", &text(&socket), "-P", AUTHENTICATOR];
        let log = folder.path().join("agent.log");
        let mut server = Server::start("TERM", &words(&command), &log);
        block_until(START, "the agent listens", || {
            server.assert_running("ssh-agent");
            std::os::unix::net::UnixStream::connect(&socket).ok()
        });
        Self {
            folder,
            socket,
            _server: server,
            keys: 0,
        }
    }

    /// Where it listens: `SSH_AUTH_SOCK`.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// A fresh key of this kind, which it holds from here on.
    pub fn key(&mut self, kind: &str) -> Held {
        self.keys += 1;
        let file = self.folder.path().join(format!("key-{}", self.keys));
        let socket = format!("SSH_AUTH_SOCK={}", text(&self.socket));
        let path = text(&file);
        let mut make = words(&[
            "ssh-keygen",
            "-q",
            "-t",
            kind,
            "-N",
            "",
            "-C",
            "",
            "-f",
            &path,
        ]);
        let mut add = words(&["env", &socket, "ssh-add", "-q"]);
        if kind.ends_with("-sk") {
            make.extend(words(&["-w", AUTHENTICATOR]));
            add.extend(words(&["-S", AUTHENTICATOR]));
        }
        run(&make);
        add.push(path.clone());
        run(&add);
        let public = PathBuf::from(format!("{path}.pub"));
        let told = run(&words(&["ssh-keygen", "-l", "-f", &text(&public)]));
        let fingerprint = told.split_whitespace().nth(1).expect("ssh-keygen -l");
        Held {
            fingerprint: fingerprint.to_owned(),
            public,
        }
    }

    /// It lets go of a key.
    pub fn forget(&self, key: &Held) {
        let socket = format!("SSH_AUTH_SOCK={}", text(&self.socket));
        run(&words(&[
            "env",
            &socket,
            "ssh-add",
            "-q",
            "-d",
            &text(&key.public),
        ]));
    }
}

/// An SSH server on loopback that lets one key of the current user in, and forwards agents.
pub struct Sshd {
    folder: TempDir,
    port: u16,
    user: String,
    _server: Server,
}

impl Sshd {
    /// Lets in who holds `key`.
    pub fn start(key: &Held) -> Self {
        let folder = folder();
        let path = |name: &str| text(&folder.path().join(name));
        let host = path("host");
        run(&words(&[
            "ssh-keygen",
            "-q",
            "-t",
            "ed25519",
            "-N",
            "",
            "-C",
            "",
            "-f",
            &host,
        ]));
        std::fs::copy(&key.public, path("authorized_keys")).expect("the folder is writable");
        let port = free_port();
        let host_key = std::fs::read_to_string(path("host.pub")).expect("ssh-keygen wrote it");
        std::fs::write(
            path("known_hosts"),
            format!("[127.0.0.1]:{port} {host_key}"),
        )
        .expect("the folder is writable");
        let user = run(&words(&["id", "-un"])).trim().to_owned();
        if user == "root" {
            // Where the service was never started, its place is not there yet.
            std::fs::create_dir_all("/run/sshd").expect("root may");
        }
        let config = format!(
            "Port {port}\nListenAddress 127.0.0.1\nHostKey {host}\nPidFile none\n\
             AuthorizedKeysFile {}\nStrictModes no\nUsePAM no\nPasswordAuthentication no\n\
             KbdInteractiveAuthentication no\nPermitRootLogin prohibit-password\nAllowAgentForwarding yes\n",
            path("authorized_keys")
        );
        std::fs::write(path("sshd_config"), config).expect("the folder is writable");
        // It starts itself again for every session, so it wants to be called by its whole path.
        let sshd = run(&words(&[
            "sh",
            "-c",
            "PATH=$PATH:/usr/sbin:/sbin command -v sshd",
        ]));
        let command = [sshd.trim(), "-D", "-e", "-f", &path("sshd_config")];
        let log = folder.path().join("sshd.log");
        let mut server = Server::start("TERM", &words(&command), &log);
        block_until(START, "sshd listens", || {
            server.assert_running("sshd");
            server.log().contains("Server listening").then_some(())
        });
        Self {
            folder,
            port,
            user,
            _server: server,
        }
    }

    /// The words of `ssh -A` that run `remote` there; its environment must name the agent.
    pub fn command(&self, terminal: bool, key: &Held, remote: &str) -> Vec<String> {
        let known = format!(
            "UserKnownHostsFile={}",
            text(&self.folder.path().join("known_hosts"))
        );
        let identity = format!("IdentityFile={}", text(&key.public));
        let port = self.port.to_string();
        let at = format!("{}@127.0.0.1", self.user);
        let mut all = words(&["ssh", "-F", "none", "-A"]);
        if terminal {
            all.push("-tt".to_owned());
        }
        for option in [
            "BatchMode=yes",
            "IdentitiesOnly=yes",
            "StrictHostKeyChecking=yes",
            "LogLevel=ERROR",
            &known,
            &identity,
        ] {
            all.extend(words(&["-o", option]));
        }
        all.extend(words(&["-p", &port, &at, remote]));
        all
    }
}
