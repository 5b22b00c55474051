//! The terminal foundation on a real pseudo-terminal, judged by an emulator that shares no code with it.
//!
//! Every test plays the terminal: it reads what is written, answers or does not, and goes away.
#![expect(
    clippy::unwrap_used,
    reason = "a test helper that fails is a failed test"
)]

use std::io::{Read, Write};
use std::num::NonZeroU16;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use countersign::console::backend::{Options, Pace, Painted, Screen};
use countersign::console::input::{Input, Key, KeyCode, Paste, Reader};
use countersign::console::terminal::{Terminal, TtyWriter};
use portable_pty::{MasterPty, PtySize, native_pty_system};
use ratatui::style::Style;
use rustix::fs::{Mode, OFlags};

/// Longest that anything here may take; reached only when it fails.
const PATIENCE: Duration = Duration::from_secs(10);

/// Signals and the panic hook belong to the process, so one test at a time.
fn alone() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    ONE.lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// The far side: an emulator on the master, answering status questions if told to.
struct FarSide {
    master: Option<Box<dyn MasterPty + Send>>,
    keys: Arc<Mutex<Option<Box<dyn Write + Send>>>>,
    emulator: Arc<Mutex<vt100::Parser>>,
    raw: Arc<Mutex<Vec<u8>>>,
    news: Receiver<()>,
    name: PathBuf,
}

impl FarSide {
    fn open(width: u16, height: u16, answers: bool) -> Self {
        let size = PtySize {
            rows: height,
            cols: width,
            pixel_width: 0,
            pixel_height: 0,
        };
        let pair = native_pty_system().openpty(size).unwrap();
        let name = pair.master.tty_name().unwrap();
        let cells = |n| NonZeroU16::new(n).unwrap();
        let emulator = Arc::new(Mutex::new(vt100::Parser::new(
            cells(height),
            cells(width),
            0,
        )));
        let raw = Arc::new(Mutex::new(Vec::new()));
        let keys = Arc::new(Mutex::new(Some(pair.master.take_writer().unwrap())));
        let mut output = pair.master.try_clone_reader().unwrap();
        let (told, news) = mpsc::channel();
        let (parser, bytes, writer) = (Arc::clone(&emulator), Arc::clone(&raw), Arc::clone(&keys));
        // Keeps the line up until the near side has been opened and closed.
        let slave = pair.slave;
        std::thread::spawn(move || {
            let _slave = slave;
            let mut buffer = [0u8; 8192];
            while let Ok(n @ 1..) = output.read(&mut buffer) {
                parser.lock().unwrap().process(&buffer[..n]);
                bytes.lock().unwrap().extend_from_slice(&buffer[..n]);
                let questions = buffer[..n].windows(4).filter(|w| w == b"\x1b[5n").count();
                if answers && let Some(keys) = writer.lock().unwrap().as_mut() {
                    let _ = keys.write_all(&b"\x1b[0n".repeat(questions));
                }
                if told.send(()).is_err() {
                    return;
                }
            }
        });
        Self {
            master: Some(pair.master),
            keys,
            emulator,
            raw,
            news,
            name,
        }
    }

    /// The near side, as a program has it; it does not become a controlling terminal.
    fn near(&self) -> OwnedFd {
        rustix::fs::open(
            &self.name,
            OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC,
            Mode::empty(),
        )
        .unwrap()
    }

    fn press(&self, bytes: &[u8]) {
        self.keys
            .lock()
            .unwrap()
            .as_mut()
            .unwrap()
            .write_all(bytes)
            .unwrap();
    }

    fn wait_until(&self, what: &str, condition: impl Fn(&vt100::Screen) -> bool) {
        let end = Instant::now() + PATIENCE;
        while !condition(self.emulator.lock().unwrap().screen()) {
            let left = end.saturating_duration_since(Instant::now());
            let told = self.news.recv_timeout(left);
            assert!(
                told != Err(RecvTimeoutError::Timeout),
                "not seen: {what}\n{}",
                self.emulator.lock().unwrap().screen().contents()
            );
        }
    }

    fn assert_given_back(&self) {
        self.wait_until("the main screen", |s| {
            !s.alternate_screen() && !s.hide_cursor() && !s.bracketed_paste()
        });
        let raw = self.raw.lock().unwrap().clone();
        let last = |mode: &str| {
            let text = String::from_utf8_lossy(&raw).into_owned();
            (
                text.rfind(&format!("\x1b[?{mode}h")),
                text.rfind(&format!("\x1b[?{mode}l")),
            )
        };
        let (wrap_on, wrap_off) = last("7");
        assert!(wrap_on > wrap_off, "automatic wrap is on again");
    }
}

/// The settings of a terminal in a form that can be compared.
fn settings(fd: &OwnedFd) -> String {
    format!("{:?}", rustix::termios::tcgetattr(fd).unwrap())
}

fn reader(tty: OwnedFd) -> (Reader, Receiver<Input>) {
    let (sink, inputs) = mpsc::channel();
    let sink = move |input| {
        let _ = sink.send(input);
    };
    (Reader::start(tty, sink, PATIENCE, |_| {}).unwrap(), inputs)
}

fn screen(terminal: &Terminal, pace: Pace) -> Screen<TtyWriter> {
    let (width, height) = terminal.size();
    Screen::new(
        terminal.writer().unwrap(),
        width,
        height,
        Options::default(),
        pace,
    )
}

fn fill(screen: &mut Screen<TtyWriter>, text: &str) -> Painted {
    let painted = screen.draw(Instant::now(), |frame| {
        let area = frame.area();
        for y in 0..area.height {
            frame.buffer.set_stringn(
                0,
                y,
                format!("{text} {y} ").repeat(20),
                area.width.into(),
                Style::new(),
            );
        }
    });
    painted.unwrap()
}

#[test]
fn given_back_as_it_was_found() {
    let _alone = alone();
    let far = FarSide::open(80, 24, false);
    let near = far.near();
    let before = settings(&near);
    {
        let terminal =
            Terminal::enter_on(near.try_clone().unwrap(), near.try_clone().unwrap()).unwrap();
        assert_ne!(settings(&near), before, "raw");
        assert_eq!(terminal.size(), (80, 24));
        fill(&mut screen(&terminal, Pace::off()), "hello");
        far.wait_until("the picture", |s| {
            s.alternate_screen() && s.hide_cursor() && s.contents().contains("hello 23")
        });
        assert!(far.emulator.lock().unwrap().screen().bracketed_paste());
    }
    assert_eq!(settings(&near), before);
    far.assert_given_back();
}

#[test]
fn a_panic_gives_it_back_before_the_report() {
    let _alone = alone();
    let far = FarSide::open(80, 24, false);
    let near = far.near();
    let before = settings(&near);
    let tty = near.try_clone().unwrap();
    let outcome = std::thread::spawn(move || {
        let _terminal = Terminal::enter_on(tty.try_clone().unwrap(), tty).unwrap();
        // Another thread's panic must not tear the screen down; its report comes at the end.
        let _ = std::thread::spawn(|| panic!("a task of its own")).join();
        panic!("on purpose");
    })
    .join();
    assert!(outcome.is_err());
    assert_eq!(settings(&near), before);
    far.assert_given_back();
    far.wait_until("the kept report", |s| {
        s.contents().contains("a task of its own")
    });
}

#[test]
fn keys_pastes_and_signals_arrive() {
    let _alone = alone();
    let far = FarSide::open(80, 24, true);
    let near = far.near();
    let terminal =
        Terminal::enter_on(near.try_clone().unwrap(), near.try_clone().unwrap()).unwrap();
    let (reader, inputs) = reader(terminal.input().unwrap());
    let next = || inputs.recv_timeout(PATIENCE).unwrap();
    far.press(b"j\x1b[B\x1b[200~two\nlines\x1b[201~");
    assert_eq!(next(), Input::Key(Key::char('j')));
    assert_eq!(next(), Input::Key(Key::plain(KeyCode::Down)));
    assert_eq!(
        next(),
        Input::Paste(Paste {
            text: "two\nlines".into(),
            cut: false
        })
    );
    far.press(b"\x1b");
    assert_eq!(
        next(),
        Input::Key(Key::plain(KeyCode::Esc)),
        "a lone escape comes after a moment"
    );
    far.press(b"\x03");
    assert_eq!(next(), Input::Key(Key::ctrl('c')), "raw: no signal");

    let size = PtySize {
        rows: 40,
        cols: 120,
        pixel_width: 0,
        pixel_height: 0,
    };
    far.master.as_ref().unwrap().resize(size).unwrap();
    signal_hook::low_level::raise(signal_hook::consts::SIGWINCH).unwrap();
    assert_eq!(
        next(),
        Input::Resize {
            width: 120,
            height: 40
        }
    );
    signal_hook::low_level::raise(signal_hook::consts::SIGTERM).unwrap();
    assert_eq!(next(), Input::Terminate(signal_hook::consts::SIGTERM));
    drop(reader);
    assert_eq!(
        inputs.recv_timeout(PATIENCE),
        Err(RecvTimeoutError::Disconnected),
        "the thread is gone"
    );
}

#[test]
fn a_dead_terminal_is_noticed_and_a_stuck_loop_ended() {
    let _alone = alone();
    // The far side's own thread holds the near side open, so this pair is made by hand.
    let pair = native_pty_system().openpty(PtySize::default()).unwrap();
    let name = pair.master.tty_name().unwrap();
    let near = rustix::fs::open(&name, OFlags::RDWR | OFlags::NOCTTY, Mode::empty()).unwrap();
    let (sink, inputs) = mpsc::channel();
    let (bite, bitten) = mpsc::channel();
    let begun = Instant::now();
    let sink = move |input| {
        let _ = sink.send(input);
    };
    let last_resort = move |signal| {
        let _ = bite.send(signal);
    };
    let reader = Reader::start(near, sink, Duration::from_millis(50), last_resort).unwrap();
    drop(pair);
    assert_eq!(inputs.recv_timeout(PATIENCE), Ok(Input::Hangup));
    assert_eq!(
        bitten.recv_timeout(PATIENCE),
        Ok(signal_hook::consts::SIGHUP),
        "this loop does not end by itself"
    );
    assert!(begun.elapsed() < Duration::from_secs(3));
    assert_eq!(
        inputs.recv_timeout(PATIENCE),
        Err(RecvTimeoutError::Disconnected),
        "the reader does not spin"
    );
    drop(reader);
}

#[test]
fn a_loop_that_ends_in_time_is_left_alone() {
    let _alone = alone();
    let pair = native_pty_system().openpty(PtySize::default()).unwrap();
    let near = rustix::fs::open(
        pair.master.tty_name().unwrap(),
        OFlags::RDWR | OFlags::NOCTTY,
        Mode::empty(),
    )
    .unwrap();
    let (sink, inputs) = mpsc::channel();
    let (bite, bitten) = mpsc::channel::<i32>();
    let sink = move |input| {
        let _ = sink.send(input);
    };
    let last_resort = move |signal| {
        let _ = bite.send(signal);
    };
    let reader = Reader::start(near, sink, Duration::from_hours(1), last_resort).unwrap();
    drop(pair);
    assert_eq!(inputs.recv_timeout(PATIENCE), Ok(Input::Hangup));
    drop(reader);
    assert_eq!(
        bitten.recv_timeout(PATIENCE),
        Err(RecvTimeoutError::Disconnected)
    );
}

#[test]
fn a_slow_line_shows_the_newest_state_once_it_answers() {
    let _alone = alone();
    let far = FarSide::open(80, 24, false);
    let near = far.near();
    let terminal =
        Terminal::enter_on(near.try_clone().unwrap(), near.try_clone().unwrap()).unwrap();
    let (reader, inputs) = reader(terminal.input().unwrap());
    let mut screen = screen(&terminal, Pace::default());
    assert!(
        matches!(fill(&mut screen, "first"), Painted::Sent(_)),
        "nothing delays the first picture"
    );
    let mut page = 0;
    while fill(&mut screen, &format!("page {page}")) != Painted::Held {
        page += 1;
        assert!(page < 50, "held in the end");
    }
    for skipped in 0..20 {
        assert_eq!(
            fill(&mut screen, &format!("skipped {skipped}")),
            Painted::Held
        );
    }
    far.wait_until("the last page sent", |s| {
        s.contents().contains(&format!("page {} 23", page - 1))
    });
    let questions = far
        .raw
        .lock()
        .unwrap()
        .windows(4)
        .filter(|w| w == b"\x1b[5n")
        .count();
    assert!(questions >= 1);
    far.press(&b"\x1b[0n".repeat(questions));
    for _ in 0..questions {
        assert_eq!(inputs.recv_timeout(PATIENCE), Ok(Input::StatusOk));
        screen.answered();
    }
    assert!(matches!(fill(&mut screen, "newest"), Painted::Sent(_)));
    far.wait_until("the newest state", |s| s.contents().contains("newest 23"));
    assert!(!String::from_utf8_lossy(&far.raw.lock().unwrap()).contains("skipped"));
    drop(reader);
}

#[test]
fn no_answer_reaches_the_shell() {
    let _alone = alone();
    let far = FarSide::open(80, 24, true);
    let near = far.near();
    let terminal =
        Terminal::enter_on(near.try_clone().unwrap(), near.try_clone().unwrap()).unwrap();
    let mut screen = screen(&terminal, Pace::default());
    terminal.expect_answers(screen.open_questions());
    fill(&mut screen, "one");
    fill(&mut screen, "two");
    assert_eq!(
        screen
            .open_questions()
            .load(std::sync::atomic::Ordering::Relaxed),
        1
    );
    drop(terminal);
    far.assert_given_back();
    // What a shell would now read has to begin with what is typed now, not with an answer.
    far.press(b"ls\n");
    let mut line = [0u8; 64];
    let read = rustix::io::read(&near, &mut line).unwrap();
    assert_eq!(&line[..read], b"ls\n");
}
