//! The built console on a pseudo-terminal: however it ends, the terminal is as it was, and it ends when it should.
//! A panic cannot be provoked in the built program; `tests/terminal.rs` has the guard that covers it.

#![expect(
    clippy::unwrap_used,
    reason = "a panic in a test's helper is its report"
)]

mod support;
#[path = "support/tty.rs"]
mod tty;

use portable_pty::native_pty_system;
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::Command;
use std::sync::mpsc;
use std::time::{Duration, Instant};
use support::broker::program;
use support::{BrokerProcess, block_until};
use tty::{AND_WAIT, PATIENCE, Tty, builder, emulator, size};

/// What the first screen has in its tab row.
const PAINTED: &str = "Overview";
/// A console whose terminal is gone is gone after this long.
const GONE_WITHIN: Duration = Duration::from_secs(3);

/// Opens the console; the terminal's settings as they were before it.
fn open(broker: &BrokerProcess, script: &str) -> (Tty, String) {
    let tty = Tty::open(broker.url(), &broker.admin_token(), script, 80, 24);
    let before = tty.settings();
    tty.send("\n");
    tty.wait_until("the console", |shown| {
        let screen = shown.emulator.screen();
        screen.alternate_screen() && screen.contents().contains(PAINTED)
    });
    assert_ne!(tty.settings(), before, "raw while it runs");
    assert!(tty.shown().emulator.screen().bracketed_paste());
    (tty, before)
}

/// Ends it in some way, and looks at what it leaves.
fn given_back_after(code: i32, end: impl FnOnce(&Tty)) {
    let broker = BrokerProcess::start("");
    let (tty, before) = open(&broker, AND_WAIT);
    end(&tty);
    let ended = format!("ended:{code}:");
    tty.wait_until(&ended, |shown| {
        shown.emulator.screen().contents().contains("ended:")
    });
    let text = tty.screen();
    assert!(text.contains(&ended), "{text}");
    assert_eq!(tty.settings(), before);
    let shown = tty.shown();
    let screen = shown.emulator.screen();
    assert!(!screen.alternate_screen(), "the main screen");
    assert!(!screen.hide_cursor(), "the cursor");
    assert!(!screen.bracketed_paste());
    assert!(!screen.application_cursor() && !screen.application_keypad());
    assert_eq!(screen.mouse_protocol_mode(), vt100::MouseProtocolMode::None);
    assert!(
        !text.contains(PAINTED),
        "nothing of it is left behind: {text}"
    );
    let raw = String::from_utf8_lossy(&shown.raw);
    for (on, off) in [("?7h", "?7l"), ("?2026l", "?2026h")] {
        let last = |mode: &str| raw.rfind(&format!("\x1b[{mode}"));
        assert!(last(on) >= last(off), "the last word is {on}");
    }
}

fn signal(name: &str, process: &str) {
    let sent = Command::new("kill").args([name, process]).status().unwrap();
    assert!(sent.success(), "kill {name} {process}");
}

#[test]
fn quitting_leaves_the_terminal_as_it_was() {
    given_back_after(0, |tty| tty.send("q"));
}

#[test]
fn sigterm_leaves_the_terminal_as_it_was() {
    given_back_after(128 + 15, |tty| signal("-TERM", &tty.program()));
}

#[test]
fn sigint_leaves_the_terminal_as_it_was() {
    given_back_after(128 + 2, |tty| signal("-INT", &tty.program()));
}

#[test]
fn sighup_leaves_the_terminal_as_it_was() {
    given_back_after(128 + 1, |tty| signal("-HUP", &tty.program()));
}

/// Runs it as `words` until it has painted, then takes the terminal away.
fn gone_with_its_terminal(words: &[&str]) {
    let broker = BrokerProcess::start("");
    let pair = native_pty_system().openpty(size(80, 24)).unwrap();
    let command = builder(broker.url(), &broker.admin_token(), words);
    let mut child = pair.slave.spawn_command(command).unwrap();
    drop(pair.slave);
    let mut output = pair.master.try_clone_reader().unwrap();
    let mut keys = pair.master.take_writer().unwrap();
    let (told, painted) = mpsc::channel();
    // Reads until then and no longer: whoever still reads holds the terminal open.
    let reader = std::thread::spawn(move || {
        let mut emulator = emulator(80, 24);
        let mut buffer = [0_u8; 16_384];
        while let Ok(length @ 1..) = output.read(&mut buffer) {
            emulator.process(&buffer[..length]);
            let new = &buffer[..length];
            if new.windows(4).any(|part| part == b"\x1b[5n") {
                keys.write_all(b"\x1b[0n").unwrap();
            }
            if emulator.screen().contents().contains(PAINTED) {
                break;
            }
        }
        told.send(emulator.screen().contents())
    });
    let screen = painted.recv_timeout(PATIENCE).unwrap();
    reader.join().unwrap().unwrap();
    assert!(screen.contains(PAINTED), "{screen}");
    let begun = Instant::now();
    drop(pair.master);
    let code = block_until(
        GONE_WITHIN,
        "the console goes with its terminal",
        || match child.try_wait() {
            Ok(Some(status)) => Some(status.exit_code()),
            _ => None,
        },
    );
    assert!(begun.elapsed() <= GONE_WITHIN, "with {code}");
}

#[test]
fn it_goes_with_its_terminal() {
    gone_with_its_terminal(&[program().to_str().unwrap()]);
}

#[test]
fn it_goes_with_its_terminal_when_nobody_tells_it() {
    let deaf = "trap '' HUP; exec \"$@\"";
    gone_with_its_terminal(&["sh", "-c", deaf, "sh", program().to_str().unwrap()]);
}

/// What the console shows of the company on its first screen, once it knows.
const FIGURES: &str = "TIME TO EXPIRY";

fn first_row(tty: &Tty) -> String {
    let screen = tty.screen();
    screen.lines().next().unwrap_or_default().trim_end().into()
}

/// Runs the console with this cache, its token to come from a pipe that nobody has written to yet.
fn open_without_token(broker: &BrokerProcess, cache: &Path, pipe: &Path) -> Tty {
    let made = Command::new("mkfifo").arg(pipe).status().unwrap();
    assert!(made.success());
    let script = r#""$@"; printf 'ended:%s:\n' "$?"; read -r _"#;
    let program = program();
    let (program, pipe) = (program.to_str().unwrap(), pipe.to_str().unwrap());
    let words = ["sh", "-c", script, "sh", program, "--token-file", pipe];
    let mut command = builder(broker.url(), &broker.admin_token(), &words);
    command.env("XDG_CACHE_HOME", cache);
    Tty::spawn(command, 80, 24)
}

#[test]
fn what_was_last_known_is_painted_before_there_is_a_client() {
    let broker = BrokerProcess::start("");
    let folder = tempfile::tempdir().unwrap();
    let program = program();
    let words = ["sh", "-c", AND_WAIT, "sh", program.to_str().unwrap()];
    let mut first = builder(broker.url(), &broker.admin_token(), &words);
    first.env("XDG_CACHE_HOME", folder.path());
    let tty = Tty::spawn(first, 80, 24);
    tty.send("\n");
    tty.wait_for(FIGURES);
    let kept = || std::fs::read_dir(folder.path().join("countersign")).ok();
    block_until(PATIENCE, "what is known is kept", || {
        let mut names = kept()?.filter_map(|entry| Some(entry.ok()?.file_name()));
        names.find(|name| {
            Path::new(name)
                .extension()
                .is_some_and(|end| end == "known")
        })
    });
    tty.send("q");
    tty.wait_for("ended:0:");

    let pipe = folder.path().join("token");
    let tty = open_without_token(&broker, folder.path(), &pipe);
    tty.wait_for(FIGURES);
    assert!(
        first_row(&tty).ends_with(" old"),
        "its age is told: {}",
        tty.screen()
    );
    std::fs::write(&pipe, broker.admin_token()).unwrap();
    tty.wait_for("● live ");
    assert!(
        !first_row(&tty).contains(" old"),
        "it is fresh: {}",
        tty.screen()
    );
    tty.send("q");
    tty.wait_for("ended:0:");
}

#[test]
fn it_can_be_left_before_there_is_a_client_and_ends_when_there_cannot_be_one() {
    let broker = BrokerProcess::start("");
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("never");
    let tty = open_without_token(&broker, folder.path(), &pipe);
    tty.wait_for(PAINTED);
    tty.send("q");
    tty.wait_for("ended:0:");

    let pipe = folder.path().join("token");
    let tty = open_without_token(&broker, folder.path(), &pipe);
    tty.wait_for(PAINTED);
    std::fs::write(&pipe, "not a token").unwrap();
    tty.wait_for("ended:1:");
    assert!(tty.screen().contains("holds no token"), "{}", tty.screen());
}

/// What is on the screen without what time changes.
fn still(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_ascii_digit() { '0' } else { c })
        .collect()
}

#[test]
fn a_storm_of_sizes_ends_in_a_picture_that_a_redraw_agrees_with() {
    let broker = BrokerProcess::start("");
    let (tty, _before) = open(&broker, AND_WAIT);
    let sizes = [
        (1, 1),
        (2, 40),
        (200, 1),
        (1, 24),
        (500, 200),
        (7, 3),
        (79, 23),
        (1, 1),
        (120, 40),
    ];
    for round in 0..20 {
        for (columns, rows) in sizes {
            tty.master
                .resize(size(columns + round % 2, rows + round % 3))
                .unwrap();
        }
    }
    let before_last = tty.shown().raw.len();
    tty.master.resize(size(80, 24)).unwrap();
    let whole = |shown: &tty::Shown| {
        let text = shown.emulator.screen().contents();
        text.contains(PAINTED) && text.contains("? help") && shown.raw.len() > before_last
    };
    tty.wait_until("the last size", whole);
    // The emulator kept its 80 by 24 and obeyed what was meant for others; a whole picture clears that away.
    tty.send("\x0c");
    tty.wait_until("a redraw", |shown| {
        let new = &shown.raw[before_last..];
        new.windows(4).any(|part| part == b"\x1b[2J")
    });
    let settled = block_until(PATIENCE, "pictures that agree", || {
        let (shown, from) = (still(&tty.screen()), tty.shown().raw.len());
        tty.send("\x0c");
        tty.wait_until("another redraw", |shown| {
            shown.raw[from..].windows(4).any(|part| part == b"\x1b[2J")
        });
        let end = Instant::now() + Duration::from_secs(2);
        while Instant::now() < end {
            if still(&tty.screen()) == shown && whole(&tty.shown()) {
                return Some(shown);
            }
            std::thread::yield_now();
        }
        None
    });
    assert!(settled.contains(PAINTED));
    tty.send("q");
    tty.wait_for("ended:0:");
}

#[test]
fn suspending_gives_the_terminal_to_the_shell_and_coming_back_takes_it_again() {
    let broker = BrokerProcess::start("");
    let words = ["bash", "--norc", "--noprofile", "-i"];
    let mut shell = builder(broker.url(), &broker.admin_token(), &words);
    shell.env("PS1", "ready> ");
    let tty = Tty::spawn(shell, 80, 24);
    tty.wait_for("ready>");
    // No line editor, so that the shell does not set the terminal up anew around each command.
    tty.send("set +o emacs +o vi; stty sane; echo pl''ain\n");
    tty.wait_for("plain");
    tty.send(&format!("{}\n", program().to_str().unwrap()));
    let painted = |shown: &tty::Shown| {
        let screen = shown.emulator.screen();
        screen.alternate_screen() && screen.contents().contains(PAINTED)
    };
    tty.wait_until("the console", painted);
    let raw = tty.settings();
    for turn in 0..2 {
        tty.send("\x1a");
        tty.wait_until("the shell", |shown| {
            let screen = shown.emulator.screen();
            !screen.alternate_screen()
                && !screen.hide_cursor()
                // What was said the last time stands there still; keys that come before the shell listens are lost.
                && screen.contents().matches("Stopped").count() > turn
                && screen.contents().trim_end().ends_with("ready>")
        });
        assert_ne!(tty.settings(), raw, "the shell has its terminal");
        tty.send("fg\n");
        tty.wait_until("the console again", painted);
        block_until(PATIENCE, "raw again", || {
            (tty.settings() == raw).then_some(())
        });
    }
    tty.send("q");
    tty.wait_until("the main screen", |shown| {
        !shown.emulator.screen().alternate_screen()
    });
    tty.send("echo code:$?:\n");
    tty.wait_for("code:0:");
}
