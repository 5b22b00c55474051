//! Reads what a terminal was sent, and knows only what the console may say to it.

use super::fools;

/// Everything in `raw` that is not the console's own: by whoever reads it, an attack that worked.
pub fn foreign(raw: &[u8]) -> Vec<String> {
    let mut found = Vec::new();
    let text = match std::str::from_utf8(raw) {
        Ok(text) => text,
        Err(error) => return vec![format!("not UTF-8: {error}")],
    };
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let length = match c {
            '\x1b' => sequence(rest),
            '\r' | '\n' | '\x08' => Some(1),
            c if fools(c) => None,
            c => Some(c.len_utf8()),
        };
        let shown: String = rest.chars().take(24).collect();
        rest = &rest[length.unwrap_or(c.len_utf8())..];
        if length.is_none() {
            found.push(format!("{shown:?}"));
        }
    }
    found
}

/// The length of the sequence at the start, if it is one of the console's.
fn sequence(text: &str) -> Option<usize> {
    if text.starts_with("\x1bM") {
        return Some(2);
    }
    if let Some(title) = text.strip_prefix("\x1b]2;countersign: ") {
        let end = title.find("\x1b\\")?;
        let clean = !title[..end].chars().any(fools);
        return clean.then_some(text.len() - title.len() + end + 2);
    }
    let body = text.strip_prefix("\x1b[")?;
    let end = body.find(|c: char| ('\x40'..='\x7e').contains(&c))?;
    let (parameters, last) = (&body[..end], body.as_bytes()[end]);
    let plain = parameters
        .bytes()
        .all(|byte| byte.is_ascii_digit() || matches!(byte, b';' | b':'));
    let mode = ["?1049", "?25", "?2004", "?7", "?2026"].contains(&parameters);
    let ours = match last {
        b'h' | b'l' => mode,
        b'n' => parameters == "5",
        b'm' | b'H' | b'G' | b'd' | b'A' | b'B' | b'C' | b'D' | b'J' | b'K' | b'X' | b'r' => plain,
        _ => false,
    };
    ours.then_some(2 + end + 1)
}

#[test]
fn what_is_not_ours_is_seen() {
    assert_eq!(
        foreign("a\x1b[1;31mb\x1b[?25l\r\n\x1b[5n".as_bytes()),
        Vec::<String>::new()
    );
    for (trick, text) in super::hostile() {
        let fine = ["wide", "combining", "long"].contains(&trick);
        let harmless = text.replace('\u{200d}', "");
        let text = if fine { &harmless } else { &text };
        assert_eq!(foreign(text.as_bytes()).is_empty(), fine, "{trick}");
    }
}
