//! A terminal that remembers every byte that it was sent, can be resized, and outlives the program that runs on it:
//! a shell holds it, so that what the program left behind can be looked at.

#![allow(
    dead_code,
    reason = "every integration test compiles this module for itself and uses a part of it"
)]

use super::support::broker::program;
use super::support::cli::command;
use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};
use rustix::fs::{Mode, OFlags};
use std::io::{Read as _, Write};
use std::num::NonZeroU16;
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Longest wait for anything; reached only when something is wrong.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Says when it begins, runs the program, says how it ended, and waits for a line before it leaves the terminal.
pub const AND_WAIT: &str = r#"read -r _; "$@"; printf 'ended:%s:\n' "$?"; read -r _"#;

/// What the terminal was sent, and what that made of it.
pub struct Shown {
    pub emulator: vt100::Parser,
    pub raw: Vec<u8>,
}

pub struct Tty {
    pub child: Box<dyn Child + Send + Sync>,
    pub master: Box<dyn MasterPty + Send>,
    keys: Arc<Mutex<Box<dyn Write + Send>>>,
    shown: Arc<Mutex<Shown>>,
    news: Receiver<()>,
}

pub fn size(columns: u16, rows: u16) -> PtySize {
    PtySize {
        rows,
        cols: columns,
        pixel_width: 0,
        pixel_height: 0,
    }
}

/// A command with the environment of a test.
pub fn builder(url: &str, token: &str, words: &[&str]) -> CommandBuilder {
    let mut builder = CommandBuilder::new(words[0]);
    builder.args(&words[1..]);
    // Else it would be the home folder, which the program has none of.
    builder.cwd(std::env::temp_dir());
    builder.env_clear();
    for (name, value) in command(url, token).get_envs() {
        builder.env(name, value.expect("nothing is taken out"));
    }
    builder
}

pub fn emulator(columns: u16, rows: u16) -> vt100::Parser {
    let cells = |count| NonZeroU16::new(count).expect("a terminal has cells");
    vt100::Parser::new(cells(rows), cells(columns), 0)
}

impl Tty {
    /// The console under a shell with this script, whose `$@` is the program. See [`AND_WAIT`].
    pub fn open(url: &str, token: &str, script: &str, columns: u16, rows: u16) -> Self {
        let program = program();
        let program = program.to_str().expect("UTF-8");
        let words = ["sh", "-c", script, "sh", program];
        Self::spawn(builder(url, token, &words), columns, rows)
    }

    pub fn spawn(builder: CommandBuilder, columns: u16, rows: u16) -> Self {
        let pair = native_pty_system()
            .openpty(size(columns, rows))
            .expect("a pseudo-terminal");
        let child = pair.slave.spawn_command(builder).expect("sh runs");
        drop(pair.slave);
        let shown = Arc::new(Mutex::new(Shown {
            emulator: emulator(columns, rows),
            raw: Vec::new(),
        }));
        let keys = Arc::new(Mutex::new(pair.master.take_writer().expect("taken once")));
        let mut output = pair.master.try_clone_reader().expect("a second reader");
        let (told, news) = mpsc::channel();
        let (state, writer) = (Arc::clone(&shown), Arc::clone(&keys));
        std::thread::spawn(move || {
            let mut buffer = [0_u8; 16_384];
            while let Ok(length @ 1..) = output.read(&mut buffer) {
                let asked = {
                    let mut state = hold(&state);
                    state.emulator.process(&buffer[..length]);
                    let from = state.raw.len().saturating_sub(3);
                    state.raw.extend_from_slice(&buffer[..length]);
                    let new = state.raw[from..].windows(4);
                    new.filter(|part| part == b"\x1b[5n").count()
                };
                let _gone = hold(&writer).write_all(&b"\x1b[0n".repeat(asked));
                if told.send(()).is_err() {
                    return;
                }
            }
        });
        Self {
            child,
            master: pair.master,
            keys,
            shown,
            news,
        }
    }

    pub fn send(&self, keys: &str) {
        let mut writer = hold(&self.keys);
        writer
            .write_all(keys.as_bytes())
            .expect("the terminal is open");
    }

    pub fn shown(&self) -> MutexGuard<'_, Shown> {
        hold(&self.shown)
    }

    pub fn screen(&self) -> String {
        self.shown().emulator.screen().contents()
    }

    pub fn wait_for(&self, text: &str) {
        self.wait_until(text, |shown| {
            shown.emulator.screen().contents().contains(text)
        });
    }

    /// Waits until what is shown is as it should be; panics with it when it does not come to that.
    pub fn wait_until(&self, what: &str, condition: impl Fn(&Shown) -> bool) {
        let end = Instant::now() + PATIENCE;
        while !condition(&self.shown()) {
            let left = end.saturating_duration_since(Instant::now());
            // Without news there may still be some that came just before.
            let silent = self.news.recv_timeout(left).is_err();
            assert!(
                !silent || condition(&self.shown()),
                "not seen: {what}\n{}",
                self.screen()
            );
        }
    }

    /// The terminal's settings, in a form that can be compared.
    pub fn settings(&self) -> String {
        let name = self.master.tty_name().expect("it has a name");
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
        let near = rustix::fs::open(name, flags, Mode::empty()).expect("it is there");
        format!("{:?}", rustix::termios::tcgetattr(&near).expect("settings"))
    }

    /// The shell's only child.
    pub fn program(&self) -> String {
        let shell = self.child.process_id().expect("it runs");
        let children = std::fs::read_to_string(format!("/proc/{shell}/task/{shell}/children"))
            .expect("the shell runs");
        children.split_whitespace().next().expect("a child").into()
    }
}

impl Drop for Tty {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _gone = self.child.wait();
    }
}

fn hold<T: ?Sized>(lock: &Mutex<T>) -> MutexGuard<'_, T> {
    lock.lock().unwrap_or_else(PoisonError::into_inner)
}
