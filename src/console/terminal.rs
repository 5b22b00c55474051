//! The terminal is taken and given back as it was found: on quit, error, panic, signal and suspension.

use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Once};
use std::thread::ThreadId;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::process::{Signal, getpgid, getpgrp, getsid, kill_current_process_group};
use rustix::termios::{OptionalActions, Termios, isatty, tcgetattr, tcgetwinsize, tcsetattr};
use signal_hook::consts::SIGCONT;
use thiserror::Error;

/// Alternate screen, cursor off, bracketed paste on, automatic wrap off.
const ENTER: &[u8] = b"\x1b[?1049h\x1b[?25l\x1b[?2004h\x1b[?7l\x1b[m";
/// The way back; the synchronised mode and the scroll region in case a frame was broken off.
const LEAVE: &[u8] = b"\x1b[?2026l\x1b[m\x1b[r\x1b[?7h\x1b[?2004l\x1b[?25h\x1b[?1049l";
/// How long the end may wait for answers that would otherwise turn up in the shell.
const ANSWERS_WAIT: Duration = Duration::from_millis(250);
/// How long giving the terminal back may wait for a line that takes nothing.
const WRITE_WAIT: Duration = Duration::from_millis(300);

/// Why the terminal could not be taken.
#[derive(Debug, Error)]
pub enum TerminalError {
    /// Neither the standard streams nor `/dev/tty` is a terminal.
    #[error("there is no terminal here")]
    NoTerminal(#[source] io::Error),
    /// Its settings could not be read or changed.
    #[error("the terminal's settings cannot be changed")]
    Settings(#[source] io::Error),
    /// It took no output.
    #[error("the terminal takes no output")]
    Write(#[source] io::Error),
    /// The process could not be stopped.
    #[error("this process cannot be suspended")]
    Suspend(#[source] io::Error),
}

/// What is needed to give the terminal back from any thread.
struct Held {
    input: OwnedFd,
    output: OwnedFd,
    owner: ThreadId,
    /// The settings found; `None` while the terminal is not ours.
    found: Mutex<Option<Termios>>,
    /// Questions whose answers would turn up in the shell.
    questions: Mutex<Option<Arc<AtomicUsize>>>,
    /// Panics of other threads, kept until there is a screen to print them on.
    reports: Mutex<Vec<String>>,
}

/// The terminal that a panic has to give back.
static TAKEN: Mutex<Option<Arc<Held>>> = Mutex::new(None);
static HOOK: Once = Once::new();

/// The terminal in raw mode on its alternate screen; dropping it gives it back as it was.
///
/// Drop the input reader first, so that both do not read at the same time.
pub struct Terminal {
    held: Arc<Held>,
}

impl Terminal {
    /// Takes the terminal of this process: the standard streams, or `/dev/tty` where they lead elsewhere.
    ///
    /// Installs a panic hook before whatever hook there is, so install others first.
    pub fn enter() -> Result<Self, TerminalError> {
        let own = |fd: std::os::fd::BorrowedFd<'_>| {
            if isatty(fd) {
                fd.try_clone_to_owned()
            } else {
                open_tty()
            }
        };
        let input = own(rustix::stdio::stdin()).map_err(TerminalError::NoTerminal)?;
        let output = own(rustix::stdio::stdout()).map_err(TerminalError::NoTerminal)?;
        Self::enter_on(input, output)
    }

    /// As [`Self::enter`], on given descriptors.
    pub fn enter_on(input: OwnedFd, output: OwnedFd) -> Result<Self, TerminalError> {
        let held = Arc::new(Held {
            input,
            output,
            owner: std::thread::current().id(),
            found: Mutex::new(None),
            questions: Mutex::new(None),
            reports: Mutex::new(Vec::new()),
        });
        held.take()?;
        *TAKEN.lock() = Some(Arc::clone(&held));
        HOOK.call_once(install_hook);
        Ok(Self { held })
    }

    /// Columns and rows.
    pub fn size(&self) -> (u16, u16) {
        size_of(&self.held.output).unwrap_or((80, 24))
    }

    /// A writer to this terminal for the screen.
    pub fn writer(&self) -> Result<TtyWriter, TerminalError> {
        let fd = self.held.output.try_clone().map_err(TerminalError::Write)?;
        Ok(TtyWriter { fd })
    }

    /// A descriptor to read this terminal with.
    pub fn input(&self) -> Result<OwnedFd, TerminalError> {
        self.held
            .input
            .try_clone()
            .map_err(TerminalError::NoTerminal)
    }

    /// Makes the end wait a moment for the screen's unanswered questions, so that no answer reaches the shell.
    pub fn expect_answers(&self, open: Arc<AtomicUsize>) {
        *self.held.questions.lock() = Some(open);
    }

    /// What the watchdog does when the loop does not end: gives the terminal back and leaves with `128 + signal`.
    pub fn last_resort(&self) -> impl Fn(i32) + Send + Sync + 'static {
        let held = Arc::clone(&self.held);
        move |signal| {
            held.give_back(false);
            signal_hook::low_level::exit(128 + signal);
        }
    }

    /// Gives the terminal back and stops this job until it is continued; then takes it again.
    ///
    /// `false` if nobody is there who could continue it (no job control); then nothing happened. After
    /// `true` the screen is empty: invalidate and paint.
    pub fn suspend(&self) -> Result<bool, TerminalError> {
        let leader = getsid(None).and_then(|session| getpgid(Some(session)));
        if leader.is_ok_and(|group| group == getpgrp()) {
            return Ok(false);
        }
        let suspend = TerminalError::Suspend;
        let (continued, wake) = UnixStream::pair().map_err(suspend)?;
        let id = signal_hook::low_level::pipe::register(SIGCONT, wake).map_err(suspend)?;
        self.held.give_back(true);
        let stopped = kill_current_process_group(Signal::STOP);
        if stopped.is_ok() {
            // The stop may come a moment after the call returns; until then the terminal is not ours.
            let mut fds = [PollFd::from_borrowed_fd(continued.as_fd(), PollFlags::IN)];
            let _ = poll(&mut fds, Some(&timespec(WRITE_WAIT)));
        }
        signal_hook::low_level::unregister(id);
        self.held.take()?;
        stopped.map(|()| true).map_err(|e| suspend(e.into()))
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.held.give_back(true);
        let mut taken = TAKEN.lock();
        if taken
            .as_ref()
            .is_some_and(|held| Arc::ptr_eq(held, &self.held))
        {
            *taken = None;
        }
    }
}

impl Held {
    fn take(&self) -> Result<(), TerminalError> {
        let settings = |e: Errno| TerminalError::Settings(e.into());
        let found = tcgetattr(&self.input).map_err(settings)?;
        let mut raw = found.clone();
        raw.make_raw();
        tcsetattr(&self.input, OptionalActions::Now, &raw).map_err(settings)?;
        *self.found.lock() = Some(found);
        let written = write_within(&self.output, ENTER, Duration::from_secs(3));
        if let Err(error) = written {
            self.give_back(false);
            return Err(TerminalError::Write(error));
        }
        Ok(())
    }

    /// Idempotent, and never waits long: the terminal may be gone, or its line stuck.
    fn give_back(&self, wait_for_answers: bool) {
        let Some(found) = self.found.lock().take() else {
            return;
        };
        let missing = wait_for_answers && !self.answers_came();
        let _ = write_within(&self.output, LEAVE, WRITE_WAIT);
        let how = if missing {
            OptionalActions::Flush
        } else {
            OptionalActions::Now
        };
        let _ = tcsetattr(&self.input, how, &found);
        for report in self.reports.lock().drain(..) {
            let _ = write_within(&self.output, report.as_bytes(), WRITE_WAIT);
        }
    }

    /// Reads what is still expected. `false` if some of it may come later.
    fn answers_came(&self) -> bool {
        let open = self
            .questions
            .lock()
            .as_ref()
            .map_or(0, |open| open.load(Ordering::Relaxed));
        let (mut missing, deadline) = (open, Instant::now() + ANSWERS_WAIT);
        let mut seen: Vec<u8> = Vec::new();
        while missing > 0 {
            let left = deadline.saturating_duration_since(Instant::now());
            let mut fds = [PollFd::from_borrowed_fd(self.input.as_fd(), PollFlags::IN)];
            match poll(&mut fds, Some(&timespec(left))) {
                Ok(0) => return false,
                Ok(_) => {}
                Err(Errno::INTR) => continue,
                Err(_) => return true,
            }
            let mut buffer = [0u8; 256];
            match rustix::io::read(&self.input, &mut buffer) {
                Ok(0) | Err(_) => return true,
                Ok(n) => seen.extend_from_slice(&buffer[..n]),
            }
            missing = open.saturating_sub(memchr::memmem::find_iter(&seen, b"\x1b[0n").count());
        }
        true
    }
}

/// Restores the screen before any other hook prints; a panic elsewhere is kept for later, since the screen
/// goes on.
fn install_hook() {
    let next = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        let held = TAKEN.lock().clone();
        let Some(held) = held else { return next(info) };
        if held.owner == std::thread::current().id() {
            held.give_back(false);
            return next(info);
        }
        if held.found.lock().is_none() {
            return next(info);
        }
        let mut reports = held.reports.lock();
        if reports.len() < 16 {
            reports.push(format!("a background task panicked: {info}\r\n"));
        }
    }));
}

fn open_tty() -> io::Result<OwnedFd> {
    Ok(rustix::fs::open(
        "/dev/tty",
        OFlags::RDWR | OFlags::CLOEXEC,
        Mode::empty(),
    )?)
}

/// Columns and rows of a terminal; `None` if it does not know them.
pub(crate) fn size_of(fd: impl AsFd) -> Option<(u16, u16)> {
    let size = tcgetwinsize(fd).ok()?;
    (size.ws_col > 0 && size.ws_row > 0).then_some((size.ws_col, size.ws_row))
}

/// Writes to the terminal, also where someone has made it non-blocking. Unbuffered: a frame is one write.
#[derive(Debug)]
pub struct TtyWriter {
    fd: OwnedFd,
}

impl Write for TtyWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        loop {
            match rustix::io::write(&self.fd, bytes) {
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => {
                    let mut fds = [PollFd::from_borrowed_fd(self.fd.as_fd(), PollFlags::OUT)];
                    poll(&mut fds, None)?;
                }
                done => return Ok(done?),
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes all of `bytes`, or gives up when the line takes nothing for that long.
fn write_within(fd: &OwnedFd, mut bytes: &[u8], wait: Duration) -> io::Result<()> {
    while !bytes.is_empty() {
        let mut fds = [PollFd::from_borrowed_fd(fd.as_fd(), PollFlags::OUT)];
        match poll(&mut fds, Some(&timespec(wait))) {
            Ok(0) => return Err(io::ErrorKind::TimedOut.into()),
            Ok(_) => {}
            Err(Errno::INTR) => continue,
            Err(error) => return Err(error.into()),
        }
        match rustix::io::write(fd, bytes) {
            Ok(n) => bytes = &bytes[n..],
            Err(Errno::INTR | Errno::AGAIN) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

fn timespec(wait: Duration) -> Timespec {
    Timespec::try_from(wait).expect("a wait of some seconds fits")
}
