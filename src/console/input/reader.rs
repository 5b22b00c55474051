//! One thread that blocks on the terminal, the signals and the order to stop. No ticks.

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use signal_hook::SigId;
use signal_hook::consts::{SIGCONT, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP, SIGWINCH};
use thiserror::Error;

use super::{Input, Parser};
use crate::console::watchdog::Watchdog;

const SIGNALS: [i32; 7] = [SIGWINCH, SIGTERM, SIGHUP, SIGINT, SIGQUIT, SIGTSTP, SIGCONT];

/// Why the reader could not be started.
#[derive(Debug, Error)]
pub enum ReaderError {
    /// No descriptor or thread to be had.
    #[error("the terminal's input cannot be read")]
    Start(#[source] io::Error),
    /// A signal handler was refused.
    #[error("signal {signal} cannot be watched")]
    Signal {
        /// Its number.
        signal: i32,
        /// The system's word.
        #[source]
        source: io::Error,
    },
}

/// The running reader; dropping it stops the thread and calls the watchdog off.
#[derive(Debug)]
pub struct Reader {
    stop: UnixStream,
    thread: Option<JoinHandle<Option<Watchdog>>>,
    registered: Vec<SigId>,
}

impl Reader {
    /// Starts reading `tty`, which should be in raw mode, and hands everything to `sink`.
    ///
    /// `sink` runs on the reader's thread and should not block. After [`Input::Terminate`] or
    /// [`Input::Hangup`] the caller has `grace` to drop the reader; then `last_resort` runs with the signal's
    /// number. After a hang-up nothing more comes.
    ///
    /// # Errors
    /// If the system refuses a descriptor, a thread or a signal handler; nothing is then left running.
    pub fn start(
        tty: OwnedFd,
        sink: impl Fn(Input) + Send + 'static,
        grace: Duration,
        last_resort: impl Fn(i32) + Send + Sync + 'static,
    ) -> Result<Self, ReaderError> {
        let (stop, stopped) = UnixStream::pair().map_err(ReaderError::Start)?;
        let (signalled, wake) = UnixStream::pair().map_err(ReaderError::Start)?;
        signalled
            .set_nonblocking(true)
            .map_err(ReaderError::Start)?;
        let mut reader = Self {
            stop,
            thread: None,
            registered: Vec::new(),
        };
        let mut flags = Vec::new();
        for signal in SIGNALS {
            let refused = |source| ReaderError::Signal { signal, source };
            let flag = Arc::new(AtomicBool::new(false));
            // In this order: whoever is woken has to find the flag set.
            reader
                .registered
                .push(signal_hook::flag::register(signal, Arc::clone(&flag)).map_err(refused)?);
            let wake = wake.try_clone().map_err(refused)?;
            reader
                .registered
                .push(signal_hook::low_level::pipe::register(signal, wake).map_err(refused)?);
            flags.push((signal, flag));
        }
        let mut worker = Worker {
            tty,
            stopped,
            signalled,
            flags,
            sink,
            grace,
            last_resort: Arc::new(last_resort),
            dog: None,
        };
        let thread = std::thread::Builder::new()
            .name("input".into())
            .spawn(move || {
                worker.run();
                // Handed over so that stopping the reader calls it off, and nothing else does.
                worker.dog.take()
            });
        reader.thread = Some(thread.map_err(ReaderError::Start)?);
        Ok(reader)
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        for id in self.registered.drain(..) {
            signal_hook::low_level::unregister(id);
        }
        let _ = self.stop.write_all(b"x");
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct Worker<S, L> {
    tty: OwnedFd,
    stopped: UnixStream,
    signalled: UnixStream,
    flags: Vec<(i32, Arc<AtomicBool>)>,
    sink: S,
    grace: Duration,
    last_resort: Arc<L>,
    dog: Option<Watchdog>,
}

impl<S: Fn(Input), L: Fn(i32) + Send + Sync + 'static> Worker<S, L> {
    fn run(&mut self) {
        let mut parser = Parser::default();
        let mut found = Vec::new();
        let mut buffer = [0u8; 4096];
        loop {
            let wait = parser.wait().and_then(|wait| Timespec::try_from(wait).ok());
            let ready = {
                let mut fds = [
                    PollFd::from_borrowed_fd(self.tty.as_fd(), PollFlags::IN),
                    PollFd::from_borrowed_fd(self.signalled.as_fd(), PollFlags::IN),
                    PollFd::from_borrowed_fd(self.stopped.as_fd(), PollFlags::IN),
                ];
                match poll(&mut fds, wait.as_ref()) {
                    Ok(_) => fds.map(|fd| !fd.revents().is_empty()),
                    Err(Errno::INTR) => continue,
                    Err(_) => return self.hung_up(),
                }
            };
            let [tty, signalled, stopped] = ready;
            if stopped {
                return;
            }
            if signalled {
                self.signals();
            }
            if tty {
                match rustix::io::read(&self.tty, &mut buffer) {
                    Ok(0) => return self.hung_up(),
                    Ok(n) => parser.feed(&buffer[..n], &mut found),
                    Err(Errno::INTR | Errno::AGAIN) => {}
                    Err(_) => return self.hung_up(),
                }
            } else if !signalled {
                parser.stalled(&mut found);
            }
            found.drain(..).for_each(&self.sink);
        }
    }

    fn signals(&mut self) {
        let mut bytes = [0u8; 64];
        while matches!(self.signalled.read(&mut bytes), Ok(n) if n > 0) {}
        for i in 0..self.flags.len() {
            let (signal, flag) = &self.flags[i];
            if !flag.swap(false, Ordering::SeqCst) {
                continue;
            }
            let signal = *signal;
            match signal {
                SIGWINCH => {
                    if let Some((width, height)) = crate::console::terminal::size_of(&self.tty) {
                        (self.sink)(Input::Resize { width, height });
                    }
                }
                SIGTSTP => (self.sink)(Input::Suspend),
                SIGCONT => (self.sink)(Input::Resumed),
                _ => {
                    self.arm(signal);
                    (self.sink)(Input::Terminate(signal));
                }
            }
        }
    }

    fn hung_up(&mut self) {
        self.arm(SIGHUP);
        (self.sink)(Input::Hangup);
    }

    fn arm(&mut self, signal: i32) {
        if self.dog.is_none() {
            let last_resort = Arc::clone(&self.last_resort);
            self.dog = Some(Watchdog::arm(self.grace, move || last_resort(signal)));
        }
    }
}
