//! A server process that does not outlive the test, even when the test process is killed.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

/// The shell holds the server on one side and a pipe from the test on the other: when the pipe closes, for whatever
/// reason, the server gets the signal `$0`, or the one that was written to the pipe last.
const SUPERVISE: &str = r#"
exec 3<&0
"$@" </dev/null 3<&- &
server=$!
{ read -r signal <&3; kill -"${signal:-$0}" "$server"; } 2>/dev/null &
watch=$!
exec 3<&-
wait "$server"
status=$?
kill "$watch" 2>/dev/null
exit "$status"
"#;

/// A running server.
pub struct Server {
    shell: Option<Child>,
    log: PathBuf,
}

impl Server {
    /// Starts `command`, its output going to `log`; `signal` (`QUIT`, `KILL`, …) ends it.
    pub fn start(signal: &str, command: &[String], log: &Path) -> Self {
        let out = File::options()
            .create(true)
            .append(true)
            .open(log)
            .expect("the log can be written");
        let err = out.try_clone().expect("a file can be duplicated");
        let shell = Command::new("sh")
            .arg("-c")
            .arg(SUPERVISE)
            .arg(signal)
            .args(command)
            .stdin(Stdio::piped())
            .stdout(out)
            .stderr(err)
            .spawn()
            .expect("sh starts");
        Self {
            shell: Some(shell),
            log: log.to_owned(),
        }
    }

    /// Everything that the server printed so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Panics with the log when the server has ended by itself.
    pub fn assert_running(&mut self, what: &str) {
        let ended = self
            .shell
            .as_mut()
            .and_then(|shell| shell.try_wait().expect("sh can be asked"));
        assert!(
            ended.is_none(),
            "{what} ended with {ended:?}; its log:\n{}",
            self.log()
        );
    }

    /// Ends it by its signal and waits until it is gone.
    pub fn stop(&mut self) {
        if let Some(mut shell) = self.shell.take() {
            drop(shell.stdin.take());
            shell.wait().expect("sh can be waited for");
        }
    }

    /// Ends it by another signal (`TERM`, …) and waits until it is gone; its exit code, or 128 and the signal.
    pub fn stop_with(&mut self, signal: &str) -> i32 {
        let mut shell = self.shell.take().expect("it was not stopped before");
        let mut pipe = shell.stdin.take().expect("the pipe is ours");
        writeln!(pipe, "{signal}").expect("the shell reads from the pipe");
        drop(pipe);
        code(shell.wait().expect("sh can be waited for"))
    }

    /// Its exit code, if it has ended by itself.
    pub fn ended(&mut self) -> Option<i32> {
        let status = self.shell.as_mut()?.try_wait();
        status.expect("sh can be asked").map(code)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

fn code(status: ExitStatus) -> i32 {
    status.code().expect("sh itself is not killed")
}

/// Runs to the end; panics with its output when it fails.
pub fn run(command: &[String]) -> String {
    let output = Command::new(&command[0])
        .args(&command[1..])
        .output()
        .unwrap_or_else(|error| panic!("cannot run {}: {error}", command[0]));
    let text = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(
        output.status.success(),
        "{command:?} failed with {}:\n{text}",
        output.status
    );
    text
}
