//! The command line as people run it: the built program, with nothing of this machine's configuration.

use super::broker::program;
use serde_json::Value;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, ExitStatus, Stdio};

/// What a command came to.
#[derive(Debug)]
pub struct Ran {
    /// As [`code`] has it.
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Ran {
    /// Panics unless it ended with this code.
    pub fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{self:#?}");
        self
    }

    /// What it printed, as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:#?}"))
    }
}

/// Runs `countersign ARGS` against this broker with this token.
pub fn cli(url: &str, token: &str, args: &[&str]) -> Ran {
    run(command(url, token).args(args))
}

/// The program, told where and as whom by the environment alone.
pub fn command(url: &str, token: &str) -> Command {
    let mut command = Command::new(program());
    command
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", "/nonexistent")
        .env("TERM", "xterm-256color")
        .env("LANG", "C.UTF-8")
        .env("COUNTERSIGN_URL", url)
        .env("COUNTERSIGN_TOKEN", token);
    command
}

/// Runs it to the end, without a terminal.
pub fn run(command: &mut Command) -> Ran {
    let output = command
        .stdin(Stdio::null())
        .output()
        .expect("the program under test runs");
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("UTF-8");
    Ran {
        code: code(output.status),
        out: text(&output.stdout),
        err: text(&output.stderr),
    }
}

/// Its exit code, or the signal that ended it, negative.
pub fn code(status: ExitStatus) -> i32 {
    let signal = status.signal().map(|signal| -signal);
    status.code().or(signal).expect("it ended")
}
