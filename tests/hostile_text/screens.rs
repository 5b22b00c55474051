//! Every screen of the built console at both sizes, byte by byte.

use super::company::Hostile;
use super::{hostile, stream::foreign};
use crate::tty::{AND_WAIT, Tty};
use std::collections::BTreeSet;

/// The Esc key where it cannot be taken for the beginning of something else.
const ESC: &str = "\x1b[27u";

struct Walk {
    tty: Tty,
    /// Marks that were seen on any screen.
    marks: BTreeSet<String>,
    seen: String,
}

impl Walk {
    /// Presses keys, and waits until a redraw that came after them is on the screen and no answer is missing on it.
    fn press(&mut self, keys: &str) {
        self.tty.send(keys);
        let from = self.tty.shown().raw.len();
        self.tty.send("\x0c");
        self.tty.wait_until("a redraw", |shown| {
            let screen = shown.emulator.screen().contents();
            let missing = ["on its way", "asking", "loading", "waiting for the broker"];
            whole_frame(&shown.raw[from..])
                && !screen.trim().is_empty()
                && !missing.iter().any(|words| screen.contains(words))
        });
        self.look();
    }

    /// Presses keys, and waits for words that the answer has.
    fn press_for(&mut self, keys: &str, words: &str) {
        self.tty.send(keys);
        self.tty.wait_for(words);
        self.press("");
    }

    /// Waits for the reason of a request that was not shown before.
    fn wait_for_new_mark(&mut self) {
        let known = self.marks.clone();
        // Half a frame may show half of one and half of another; what counts is what a redraw shows.
        while self.marks == known {
            self.tty.wait_until("another reason", |shown| {
                !marks(&shown.emulator.screen().contents()).is_subset(&known)
            });
            self.press("");
        }
    }

    fn look(&mut self) {
        let screen = self.tty.screen();
        self.marks.extend(marks(&screen));
        self.seen += &screen;
        self.seen += "\n=====\n";
    }
}

/// Whether a frame that paints everything came, and came to its end.
fn whole_frame(raw: &[u8]) -> bool {
    let find = |raw: &[u8], part: &[u8]| raw.windows(part.len()).position(|found| found == part);
    find(raw, b"\x1b[2J").is_some_and(|at| find(&raw[at..], b"\x1b[?2026l").is_some())
}

/// The tricks whose text is on a screen.
fn marks(screen: &str) -> BTreeSet<String> {
    let found = screen.match_indices("mark");
    found
        .filter_map(|(at, _)| screen.get(at..at + 6))
        .filter(|mark| mark.bytes().skip(4).all(|byte| byte.is_ascii_digit()))
        .map(str::to_owned)
        .collect()
}

async fn walk(columns: u16, rows: u16) {
    let scene = Hostile::set().await;
    let tty = Tty::open(scene.broker.url(), &scene.token, AND_WAIT, columns, rows);
    tty.send("\n");
    let mut walk = Walk {
        tty,
        marks: BTreeSet::new(),
        seen: String::new(),
    };
    walk.press_for("", "NEEDS YOU NOW");

    // Every request that waits: the burst that they are, the review to its end, its record, why, the sheets.
    walk.press_for("2", "BURST of");
    walk.press("\r");
    for number in 0..hostile().len() {
        if number == 0 {
            walk.press("gg");
        } else {
            walk.press(&format!("{ESC}j"));
        }
        walk.tty.send("\r");
        walk.wait_for_new_mark();
        for _ in 0..4 {
            walk.press("]");
        }
        walk.press("i");
        walk.press(ESC);
        walk.press("e");
        walk.press(ESC);
        walk.press(".a");
        walk.press(ESC);
        walk.press(".d");
        walk.press(ESC);
    }
    // Every credential in detail.
    walk.press_for("3", "made/");
    walk.press("gg");
    for _ in 0..scene.credentials.len() {
        walk.press("\r");
        for _ in 0..4 {
            walk.press("]");
        }
        walk.press("i");
        walk.press(ESC);
        walk.press(".x");
        walk.press(ESC);
        walk.press(ESC);
        walk.press("3");
        walk.press(&format!("{ESC}j"));
    }
    // The rotations, the calendar and the compliance, each with the whole screen.
    walk.press("4");
    for _ in 0..3 {
        walk.press("\r");
        walk.press("\x1b[F");
        walk.press("i");
        walk.press(ESC);
        walk.press(ESC);
        walk.press("\t");
    }
    // Every revocation, gateway by gateway, and the gateways.
    walk.press_for("6", "made/");
    walk.press("gg");
    for _ in 0..scene.revoked {
        walk.press("\r");
        walk.press("\x1b[F");
        walk.press("i");
        walk.press(ESC);
        walk.press("e");
        walk.press(ESC);
        walk.press(".x");
        walk.press(ESC);
        walk.press(ESC);
        walk.press(&format!("{ESC}j"));
    }
    walk.press("\t");
    walk.press("\r");
    walk.press(&format!("{ESC}{ESC}"));
    // The last records of the log, each opened.
    walk.press("7");
    walk.press("gg");
    for _ in 0..40 {
        walk.press("\r");
        walk.press("i");
        walk.press(ESC);
        walk.press(&format!("{ESC}j"));
    }
    walk.press("?");
    walk.press(ESC);
    walk.press(":");
    walk.press(ESC);
    walk.press("1");
    // Something may still be open; what is typed into a field is not sent by any of these.
    walk.tty.send(&format!("{ESC}{ESC}"));
    walk.press("");
    walk.tty.send("q");
    walk.tty.wait_for("ended:0:");

    let shown = walk.tty.shown();
    assert_eq!(foreign(&shown.raw), Vec::<String>::new());
    let missing: Vec<_> = (0..hostile().len())
        .map(|number| format!("mark{number:02}"))
        .filter(|mark| !walk.marks.contains(mark))
        .collect();
    assert!(missing.is_empty(), "never shown: {missing:?}");
    for place in [
        "─ APPROVE ",
        "─ DENY ",
        "─ REVOKE ",
        "\"reason\"",
        "─ AUDIT ",
        "─ #",
        "THEIR WORDS, UNCHECKED",
    ] {
        assert!(walk.seen.contains(place), "the walk came by {place}");
    }
    for mark in ["␛", "⟨U+202E⟩", "⟨U+200B⟩"] {
        assert!(walk.seen.contains(mark), "{mark} stands for what it is");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_screen_of_80_by_24_passes_it_on() {
    walk(80, 24).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_screen_of_120_by_40_passes_it_on() {
    walk(120, 40).await;
}
