//! The console as people use it: the built program on a pseudo-terminal, driven by keys, its screen read through a
//! terminal emulator that shares no code with it.

use super::cli::command;
use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};
use std::io::{Read as _, Write};
use std::num::NonZeroU16;
use std::process::Command;
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Longest wait for something on the screen; reached only when something is wrong.
const PATIENCE: Duration = Duration::from_secs(30);

pub struct Pty {
    child: Box<dyn Child + Send + Sync>,
    keys: Arc<Mutex<Box<dyn Write + Send>>>,
    emulator: Arc<Mutex<vt100::Parser>>,
    news: Receiver<()>,
    _master: Box<dyn MasterPty + Send>,
}

impl Pty {
    /// `countersign ARGS` on a terminal of this size, told by the environment alone where and as whom.
    pub fn open(url: &str, token: &str, args: &[&str], columns: u16, rows: u16) -> Self {
        Self::run(command(url, token).args(args), columns, rows)
    }

    /// This command, with nothing but its own environment.
    pub fn run(command: &Command, columns: u16, rows: u16) -> Self {
        let size = PtySize {
            rows,
            cols: columns,
            pixel_width: 0,
            pixel_height: 0,
        };
        let pair = native_pty_system()
            .openpty(size)
            .expect("a pseudo-terminal");
        let mut builder = CommandBuilder::new(command.get_program());
        builder.args(command.get_args());
        builder.env_clear();
        for (name, value) in command.get_envs() {
            builder.env(name, value.expect("nothing is taken out"));
        }
        let child = pair
            .slave
            .spawn_command(builder)
            .expect("the program under test runs");
        drop(pair.slave);
        let cells = |count| NonZeroU16::new(count).expect("a terminal has cells");
        let emulator = Arc::new(Mutex::new(vt100::Parser::new(
            cells(rows),
            cells(columns),
            0,
        )));
        let keys = Arc::new(Mutex::new(pair.master.take_writer().expect("taken once")));
        let mut output = pair.master.try_clone_reader().expect("a second reader");
        let (told, news) = mpsc::channel();
        let (parser, writer) = (Arc::clone(&emulator), Arc::clone(&keys));
        std::thread::spawn(move || {
            let mut buffer = [0_u8; 16_384];
            while let Ok(length @ 1..) = output.read(&mut buffer) {
                hold(&parser).process(&buffer[..length]);
                // A terminal says that it is there when it is asked.
                let asked = buffer[..length]
                    .windows(4)
                    .filter(|part| part == b"\x1b[5n");
                for _ in asked {
                    let _gone = hold(&writer).write_all(b"\x1b[0n");
                }
                if told.send(()).is_err() {
                    return;
                }
            }
        });
        Self {
            child,
            keys,
            emulator,
            news,
            _master: pair.master,
        }
    }

    /// Presses keys, as a terminal sends them.
    pub fn send(&self, keys: &str) {
        let mut writer = hold(&self.keys);
        writer
            .write_all(keys.as_bytes())
            .expect("the program reads its terminal");
        writer.flush().expect("the program reads its terminal");
    }

    /// What the screen shows, a line a row.
    pub fn screen(&self) -> String {
        hold(&self.emulator).screen().contents()
    }

    /// Waits until the screen shows `text`.
    pub fn wait_for(&self, text: &str) {
        self.wait_until(text, |screen| screen.contains(text));
    }

    /// Waits until the screen is as it should be; panics with it when it does not come to that.
    pub fn wait_until(&self, what: &str, condition: impl Fn(&str) -> bool) {
        let end = Instant::now() + PATIENCE;
        loop {
            let screen = self.screen();
            if condition(&screen) {
                return;
            }
            let left = end.saturating_duration_since(Instant::now());
            let gone = self.news.recv_timeout(left).is_err();
            assert!(
                !gone || condition(&self.screen()),
                "not seen: {what}\n{screen}"
            );
        }
    }

    /// Waits until the program has ended by itself; its exit code.
    pub fn ended(mut self) -> u32 {
        let end = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().expect("a child can be asked") {
                return status.exit_code();
            }
            assert!(Instant::now() < end, "it does not end:\n{}", self.screen());
            // Its output ends with it; a poll covers what ends without a word.
            let _news = self.news.recv_timeout(Duration::from_millis(50));
        }
    }
}

impl Drop for Pty {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _gone = self.child.wait();
    }
}

fn hold<T: ?Sized>(lock: &Mutex<T>) -> MutexGuard<'_, T> {
    lock.lock().unwrap_or_else(PoisonError::into_inner)
}
