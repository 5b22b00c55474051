//! The one function family through which outside text passes: shown, not obeyed.
//!
//! Names, reasons and addresses come from whoever asks for access, so any of them may carry escape
//! sequences, bidirectional overrides, zero-width characters or a megabyte of text. Nothing is dropped:
//! what cannot be shown as itself becomes a visible mark, so that a reader sees that something was there.

use std::borrow::Cow;
use std::fmt::Write;

use unicode_security::confusable_detection::skeleton;
use unicode_security::{GeneralSecurityProfile, MixedScript};
use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;

/// Longest outside text shown at all, in bytes; the rest is counted, not shown.
pub const MAX_BYTES: usize = 4096;

/// Combining marks shown on one base character. Real scripts need two or three at most.
const MAX_COMBINING: usize = 3;

/// Where [`fit`] takes text away when there is too much of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Cut {
    /// Keep the start: `svc-paym…`
    #[default]
    End,
    /// Keep both ends, as for identifiers: `svc-p…oidc`
    Middle,
}

/// `text` with everything that a terminal or an eye could be fooled by made visible.
///
/// Control characters become their pictures (`␛`), everything invisible becomes a mark such as
/// `⟨U+202E⟩`, and text beyond [`MAX_BYTES`] is replaced by its count: `…(+1,048,512 bytes)`.
/// Printable ASCII comes back borrowed and unchanged; applying it twice changes nothing more.
pub fn safe(text: &str) -> Cow<'_, str> {
    safe_within(text, MAX_BYTES)
}

/// As [`safe`], for text that keeps its lines: `\n` stays, and a tab becomes four blanks.
pub fn safe_lines(text: &str) -> Vec<String> {
    let (kept, cut) = bounded(text, MAX_BYTES);
    let mut lines: Vec<String> = kept
        .split('\n')
        .map(|line| {
            let line = line
                .strip_suffix('\r')
                .unwrap_or(line)
                .replace('\t', "    ");
            safe_within(&line, usize::MAX).into_owned()
        })
        .collect();
    if cut > 0 {
        lines.push(rest_note(cut));
    }
    lines
}

/// As [`safe`], for bytes that may not be UTF-8: invalid bytes show as `⟨0xFF⟩`.
pub fn safe_bytes(bytes: &[u8]) -> String {
    let cut = bytes.len().saturating_sub(MAX_BYTES);
    let mut out = String::new();
    for chunk in bytes[..bytes.len() - cut].utf8_chunks() {
        out.push_str(&safe_within(chunk.valid(), usize::MAX));
        for byte in chunk.invalid() {
            push(&mut out, format_args!("⟨0x{byte:02X}⟩"));
        }
    }
    if cut > 0 {
        out.push_str(&rest_note(cut));
    }
    out
}

/// Columns that `text` takes on the screen; what [`fit`] counts in.
pub fn width(text: &str) -> usize {
    if text.is_ascii() {
        text.len()
    } else {
        text.graphemes(true).map(UnicodeWidthStr::width).sum()
    }
}

/// `text` made [`safe`] and cut to at most `columns`, with `…` where something was taken away.
///
/// Cuts between graphemes only, so the result may be a column narrower when a wide one did not fit.
pub fn fit(text: &str, columns: usize, cut: Cut) -> Cow<'_, str> {
    fit_with(text, columns, cut, "…")
}

/// As [`fit`], with the caller's one-column sign for what was taken away: `~` where only ASCII may show.
pub fn fit_with<'a>(text: &'a str, columns: usize, cut: Cut, sign: &str) -> Cow<'a, str> {
    let shown = safe(text);
    if shown.len() <= columns && shown.is_ascii() || width(&shown) <= columns {
        return shown;
    }
    if columns == 0 {
        return Cow::Borrowed("");
    }
    let room = columns.saturating_sub(width(sign));
    let tail_room = match cut {
        Cut::End => 0,
        Cut::Middle => room / 2,
    };
    let head = take(shown.graphemes(true), room - tail_room);
    let tail = take(shown.graphemes(true).rev(), tail_room);
    Cow::Owned(format!(
        "{}{sign}{}",
        &shown[..head],
        &shown[shown.len() - tail..]
    ))
}

/// [`fit`] and then padded with blanks to exactly `columns`; `right` puts the blanks before the text.
pub fn pad(text: &str, columns: usize, cut: Cut, right: bool) -> String {
    let shown = fit(text, columns, cut);
    let blanks = " ".repeat(columns.saturating_sub(width(&shown)));
    if right {
        format!("{blanks}{shown}")
    } else {
        format!("{shown}{blanks}")
    }
}

/// Why a name deserves a second look; see [`suspicious`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Suspicion {
    /// It looks the same as this known name but is another string.
    LooksLike(String),
    /// It mixes writing systems in one word, as lookalikes do.
    MixedScripts,
    /// It holds characters that are not meant for names at all, or that cannot be seen.
    HiddenCharacters,
    /// It is not ASCII but reads as if it were.
    ReadsAsAscii,
}

/// Whether `name` may be an imitation, judged against the names already `known`.
///
/// `None` for a known name itself and for ordinary names in any one script (`müller`, `日本`).
pub fn suspicious(name: &str, known: &[&str]) -> Option<Suspicion> {
    let (name, cut) = bounded(name, MAX_BYTES);
    if known.contains(&name) && cut == 0 {
        return None;
    }
    let shape = shape_of(name);
    if let Some(twin) = known.iter().find(|k| **k != name && shape_of(k) == shape) {
        return Some(Suspicion::LooksLike((*twin).to_owned()));
    }
    if name.is_ascii() {
        return name
            .chars()
            .any(|c| c.is_ascii_control())
            .then_some(Suspicion::HiddenCharacters);
    }
    if name.chars().any(is_hidden) {
        return Some(Suspicion::HiddenCharacters);
    }
    if !name.is_single_script() {
        return Some(Suspicion::MixedScripts);
    }
    let plain = |c: char| c.is_ascii() || c.identifier_allowed();
    if skeleton(name).all(|c| c.is_ascii()) || !name.chars().all(plain) && shape.is_ascii() {
        return Some(Suspicion::ReadsAsAscii);
    }
    None
}

/// What the eye makes of a name: the confusable skeleton, without case.
fn shape_of(name: &str) -> String {
    skeleton(&name.to_lowercase()).collect()
}

fn safe_within(text: &str, max_bytes: usize) -> Cow<'_, str> {
    if text.len() <= max_bytes && text.bytes().all(|b| (0x20..0x7f).contains(&b)) {
        return Cow::Borrowed(text);
    }
    let (kept, cut) = bounded(text, max_bytes);
    let mut out = String::with_capacity(kept.len() + 16);
    for grapheme in kept.graphemes(true) {
        push_grapheme(&mut out, grapheme);
    }
    if cut > 0 {
        out.push_str(&rest_note(cut));
    }
    if out == text {
        Cow::Borrowed(text)
    } else {
        Cow::Owned(out)
    }
}

/// The longest start of `text` within `max_bytes` that ends between characters, and how much is left out.
fn bounded(text: &str, max_bytes: usize) -> (&str, usize) {
    if text.len() <= max_bytes {
        return (text, 0);
    }
    let end = text.floor_char_boundary(max_bytes);
    (&text[..end], text.len() - end)
}

fn rest_note(bytes: usize) -> String {
    format!("…(+{} bytes)", super::time::count(bytes as u64))
}

fn push_grapheme(out: &mut String, grapheme: &str) {
    let mut combining = 0;
    // A variation selector is fair after the one character it varies, and a mark anywhere else.
    let mut may_vary = false;
    for (index, c) in grapheme.chars().enumerate() {
        match c {
            ' '..='~' => out.push(c),
            '\0'..='\x1f' => out.push(picture(c)),
            '\x7f' => out.push('␡'),
            '\u{fe0e}' | '\u{fe0f}' if may_vary => {
                out.push(c);
                may_vary = false;
                continue;
            }
            c if is_hidden(c) => push_mark(out, c),
            c if is_combining(c) => {
                combining += 1;
                // A mark without a base would land on whatever was drawn before it.
                if index == 0 || combining > MAX_COMBINING {
                    push_mark(out, c);
                } else {
                    out.push(c);
                }
            }
            c => out.push(c),
        }
        may_vary = index == 0 && is_pictograph(c);
    }
}

fn picture(control: char) -> char {
    char::from_u32(0x2400 + control as u32).unwrap_or('␀')
}

fn push_mark(out: &mut String, c: char) {
    push(out, format_args!("⟨U+{:04X}⟩", c as u32));
}

fn push(out: &mut String, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text)
        .expect("writing to a String cannot fail");
}

/// Takes no column of its own and joins what stands before it.
fn is_combining(c: char) -> bool {
    !c.is_ascii() && unicode_width::UnicodeWidthChar::width(c) == Some(0)
}

/// Symbols whose picture form a variation selector may choose. Not letters, where selectors hide data.
fn is_pictograph(c: char) -> bool {
    matches!(c, '\u{203c}'..='\u{3299}' | '\u{1f000}'..='\u{1faff}')
}

/// Whether `c` cannot be seen, changes the order of others, or means something to the terminal only.
pub fn is_hidden(c: char) -> bool {
    matches!(c,
        '\0'..='\x1f' | '\x7f'..='\u{9f}' // controls, C1 among them
        | '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{600}'..='\u{605}' | '\u{6dd}' | '\u{70f}'
        | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
        | '\u{a0}' | '\u{1680}' | '\u{2000}'..='\u{200f}' // odd blanks, zero widths, direction marks
        | '\u{2028}'..='\u{202f}' // line and paragraph separators, embeddings and overrides
        | '\u{205f}'..='\u{206f}' // joiners, isolates, deprecated format characters
        | '\u{2800}' | '\u{3000}' | '\u{3164}' | '\u{ffa0}' // blanks in disguise
        | '\u{e000}'..='\u{f8ff}' | '\u{f0000}'..='\u{10ffff}' // private use
        | '\u{fdd0}'..='\u{fdef}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{fff0}'..='\u{ffff}'
        | '\u{13430}'..='\u{1343f}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
        | '\u{e0000}'..='\u{e0fff}') // tags and further selectors
}

/// Bytes of the graphemes that fit into `room` columns.
fn take<'a>(graphemes: impl Iterator<Item = &'a str>, room: usize) -> usize {
    let (mut columns, mut bytes) = (0, 0);
    for grapheme in graphemes {
        columns += UnicodeWidthStr::width(grapheme);
        if columns > room {
            break;
        }
        bytes += grapheme.len();
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn shows_instead_of_obeying() {
        assert_eq!(safe("a\u{202e}b\x1b[31m"), "a⟨U+202E⟩b␛[31m");
        assert_eq!(safe("x\x7fy\u{9b}z"), "x␡y⟨U+009B⟩z");
        assert_eq!(safe("line\u{2028}sep"), "line⟨U+2028⟩sep");
        assert_eq!(safe("a\u{e0041}b\u{fe0f}"), "a⟨U+E0041⟩b⟨U+FE0F⟩");
        assert_eq!(safe("two\r\nlines"), "two␍␊lines");
        assert_eq!(safe("\u{301}lone"), "⟨U+0301⟩lone");
        assert_eq!(safe("müller 日本 é"), "müller 日本 é");
    }

    #[test]
    fn stacked_marks_are_capped_and_counted() {
        let zalgo = format!("z{}", "\u{301}".repeat(6));
        assert_eq!(
            safe(&zalgo),
            "z\u{301}\u{301}\u{301}⟨U+0301⟩⟨U+0301⟩⟨U+0301⟩"
        );
    }

    #[test]
    fn a_megabyte_is_counted_not_shown() {
        let shown = safe(&"a".repeat(1_048_576 + 4032)).into_owned();
        assert!(shown.ends_with("…(+1,048,512 bytes)"), "{}", &shown[4090..]);
        assert!(shown.len() < 5000);
    }

    #[test]
    fn invalid_bytes_are_named() {
        assert_eq!(safe_bytes(b"ok\xff\xc3(\x00"), "ok⟨0xFF⟩⟨0xC3⟩(␀");
    }

    #[test]
    fn lines_survive_where_lines_are_meant() {
        assert_eq!(safe_lines("a\tb\r\nc\x1b"), ["a    b", "c␛"]);
    }

    #[test]
    fn cuts_at_the_end_or_in_the_middle() {
        assert_eq!(fit("svc-payments-oidc", 9, Cut::End), "svc-paym…");
        assert_eq!(fit("svc-payments-oidc", 9, Cut::Middle), "svc-…oidc");
        assert_eq!(fit("日本語テスト", 5, Cut::End), "日本…");
        assert_eq!(fit("日本語テスト", 6, Cut::End), "日本…");
        assert_eq!(fit("abc", 0, Cut::End), "");
        assert_eq!(pad("日本", 6, Cut::End, true), "  日本");
    }

    #[test]
    fn lookalikes_are_called_out() {
        let known = ["admin", "svc-deploy", "paypal"];
        let like = |s: &str| Some(Suspicion::LooksLike(s.into()));
        assert_eq!(suspicious("аdmin", &known), like("admin")); // Cyrillic a
        assert_eq!(suspicious("svc-dep1oy", &known), like("svc-deploy"));
        assert_eq!(suspicious("Admin", &known), like("admin"));
        assert_eq!(suspicious("admin", &known), None);
        assert_eq!(
            suspicious("ad\u{200b}ministrator", &[]),
            Some(Suspicion::HiddenCharacters)
        );
        assert_eq!(suspicious("bаckup-jоb", &[]), Some(Suspicion::MixedScripts));
        assert_eq!(suspicious("расе", &[]), Some(Suspicion::ReadsAsAscii)); // Cyrillic throughout
        for fine in ["müller", "日本", "backup-job", "пользователь"] {
            assert_eq!(suspicious(fine, &known), None, "{fine}");
        }
    }

    fn nasty() -> impl Strategy<Value = String> {
        let piece = prop_oneof![
            any::<char>().prop_map(String::from),
            "[ -~]{0,6}",
            prop::sample::select(vec![
                "\u{202e}",
                "\u{200b}",
                "\u{301}",
                "\u{fe0f}",
                "\x1b[2J",
                "👩‍👩‍👧",
                "日本",
                "\u{1f1e9}",
                "ก\u{e33}",
                "\u{e0041}",
                "각",
                "\r\n",
                "\u{feff}",
                "❤\u{fe0f}",
                "\u{2028}",
            ])
            .prop_map(String::from),
        ];
        prop::collection::vec(piece, 0..24).prop_map(|p| p.concat())
    }

    proptest! {
        #[test]
        fn nothing_hidden_gets_through(text in nasty()) {
            let shown = safe(&text).into_owned();
            let mut before = ' ';
            for c in shown.chars() {
                let fair = matches!(c, '\u{fe0e}' | '\u{fe0f}') && is_pictograph(before);
                prop_assert!(!is_hidden(c) || fair, "{c:?} in {shown:?}");
                prop_assert!(!c.is_control());
                before = c;
            }
            prop_assert_eq!(safe(&shown).into_owned(), shown.clone(), "twice is once");
        }

        #[test]
        fn fit_never_overflows(text in nasty(), columns in 0usize..40, middle in any::<bool>()) {
            let cut = if middle { Cut::Middle } else { Cut::End };
            let shown = fit(&text, columns, cut);
            prop_assert!(width(&shown) <= columns, "{shown:?} is {}", width(&shown));
            prop_assert_eq!(width(&pad(&text, columns, cut, middle)), columns);
        }

        #[test]
        fn ascii_is_itself(text in "[ -~]{0,200}") {
            prop_assert_eq!(safe(&text), text.as_str());
        }
    }
}
