//! Text that wants to be obeyed: by the terminal (escapes, controls) or by the eye (bidirectional overrides, things of
//! no width). Names refuse it; free text keeps it; no screen and no table of the command line passes it on.

#![expect(
    clippy::unwrap_used,
    reason = "a panic in a test's helper is its report"
)]

mod support;
#[path = "support/tty.rs"]
mod tty;

#[path = "hostile_text/company.rs"]
mod company;
#[path = "hostile_text/doors.rs"]
mod doors;
#[path = "hostile_text/screens.rs"]
mod screens;
#[path = "hostile_text/stream.rs"]
mod stream;
#[path = "hostile_text/tables.rs"]
mod tables;

/// One of each trick, by name. All fit into the longest free text.
pub fn hostile() -> Vec<(&'static str, String)> {
    let text = |text: &str| text.to_owned();
    vec![
        (
            "csi",
            text("\x1b[2J\x1b[H\x1b[31;5mred\x1b[?1049l\x1b[?25h\x1b[6n\x1bc\x1b(0"),
        ),
        (
            "title",
            text("\x1b]0;pwned\x07\x1b]2;pwned\x1b\\\x1b]4;1;rgb:ff/00/00\x07\x1b]10;#ff0000\x07"),
        ),
        (
            "clipboard",
            text("\x1b]52;c;cHduZWQ=\x07\x1b]52;c;cHduZWQ=\x1b\\"),
        ),
        (
            "link",
            text("\x1b]8;;http://evil.example\x1b\\click\x1b]8;;\x1b\\"),
        ),
        (
            "dcs",
            text(
                "\x1bP1$r0m\x1b\\\x1b_apc\x1b\\\x1b^pm\x1b\\\x1bX sos\x1b\\\x1b[200~paste\x1b[201~",
            ),
        ),
        (
            "c1",
            text("\u{9b}31m\u{9d}0;pwned\u{9c}\u{90}dcs\u{9c}\u{85}next\u{8d}"),
        ),
        (
            "bidi",
            text("\u{202e}gpj.exe\u{202c}\u{2066}iso\u{2069}\u{2067}\u{200f}\u{61c}\u{202d}"),
        ),
        (
            "unseen",
            text(
                "ad\u{200b}m\u{200d}in\u{feff}\u{2060}\u{ad}\u{e0041}\u{e0042}\u{3164}\u{2028}x\u{2029}",
            ),
        ),
        (
            "wide",
            text("日本語の理由👩\u{200d}👩\u{200d}👧 🏳\u{fe0f}\u{200d}🌈 ﷽ ꧅ 각").repeat(6),
        ),
        (
            "combining",
            format!(
                "Z{}o{}",
                "\u{301}".repeat(200),
                "\u{20dd}\u{334}".repeat(150)
            ),
        ),
        (
            "lines",
            text("one\nINJECTED ROW\r\rover\ttab\x08\x08\x7f\0nul\x07bell\x0e\x0fshift\x0b\x0c"),
        ),
        ("long", "long ".repeat(380)),
    ]
}

/// A mark by which the text of one trick is found again.
pub fn marked(number: usize, text: &str) -> String {
    format!("mark{number:02} {text}")
}

/// Whether a terminal or an eye could be fooled by it. Its own list, not the program's.
pub fn fools(c: char) -> bool {
    matches!(c,
        '\0'..='\x1f' | '\x7f'..='\u{9f}'
        | '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{2069}' | '\u{feff}' | '\u{3164}' | '\u{e0000}'..='\u{e007f}')
}

/// What is wrong with a text that a terminal is about to show as it is; lines may end.
pub fn faults(text: &str) -> Vec<String> {
    let mut found: Vec<String> = text
        .lines()
        .filter(|line| line.chars().any(fools))
        .map(|line| format!("{line:?}"))
        .collect();
    let mut run = 0;
    for c in text.chars() {
        run = if matches!(c, '\u{300}'..='\u{36f}' | '\u{20d0}'..='\u{20ff}') {
            run + 1
        } else {
            0
        };
        if run == 5 {
            found.push("a flood of combining marks".to_owned());
        }
    }
    found
}
