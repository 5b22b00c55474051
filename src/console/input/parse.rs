//! Bytes to input: UTF-8, the sequences of xterm, tmux, the Linux console and kitty, bracketed paste.
//!
//! Total: any bytes are taken, in any pieces; what means nothing is left out. Memory is bounded.

use std::time::Duration;

use super::{Input, Key, KeyCode, MAX_PASTE, Mods, Paste};

/// How long an escape character may stand alone before it is the Esc key.
const ESC_WAIT: Duration = Duration::from_millis(25);
/// How long an unfinished sequence or paste may stall before it is dropped.
const STALL_WAIT: Duration = Duration::from_secs(1);
/// Longest sequence kept; longer ones are not ours.
const MAX_SEQUENCE: usize = 256;
const PASTE_END: &[u8] = b"\x1b[201~";

/// Where the parser stands between two reads.
#[derive(Debug, Default)]
enum State {
    #[default]
    Ground,
    /// Within a bracketed paste; `kept` never grows beyond [`MAX_PASTE`] and the end mark.
    Paste { kept: Vec<u8>, cut: bool },
    /// Within an OSC, DCS or similar string, all of which is left out.
    Text,
}

/// An incremental parser. Feed it what was read; ask [`Parser::wait`] how long to wait for more.
#[derive(Debug, Default)]
pub struct Parser {
    state: State,
    /// The start of something unfinished.
    pending: Vec<u8>,
}

/// What the start of the pending bytes is.
enum Token {
    /// So many bytes, and what they mean.
    Whole(usize, Option<Input>),
    PasteBegins(usize),
    TextBegins(usize),
    More,
}

impl Parser {
    /// Takes bytes and appends what they mean to `out`.
    pub fn feed(&mut self, bytes: &[u8], out: &mut Vec<Input>) {
        self.pending.extend_from_slice(bytes);
        let mut data = std::mem::take(&mut self.pending);
        let used = self.consume(&data, out);
        data.drain(..used);
        self.pending = data;
    }

    /// How long to wait for more bytes before calling [`Self::stalled`]; `None` if nothing is unfinished.
    pub fn wait(&self) -> Option<Duration> {
        match (&self.state, self.pending.as_slice()) {
            (State::Ground, []) => None,
            (State::Ground, _) => Some(ESC_WAIT),
            (State::Paste { .. } | State::Text, _) => Some(STALL_WAIT),
        }
    }

    /// No more bytes came in time: a lone escape is the Esc key, the rest of a sequence is dropped.
    pub fn stalled(&mut self, out: &mut Vec<Input>) {
        let pending = std::mem::take(&mut self.pending);
        match std::mem::take(&mut self.state) {
            State::Ground => match pending.as_slice() {
                [0x1b] => out.push(Input::Key(Key::plain(KeyCode::Esc))),
                [0x1b, 0x1b] => out.extend([
                    Input::Key(Key::plain(KeyCode::Esc)),
                    Input::Key(Key::plain(KeyCode::Esc)),
                ]),
                // The beginning of a sequence with nothing after it was typed by a person.
                [0x1b, c @ b' '..=b'~'] => {
                    out.push(Input::Key(Key {
                        code: KeyCode::Char(char::from(*c)),
                        mods: Mods::ALT,
                    }));
                }
                _ => {}
            },
            State::Paste { kept, cut } => out.push(finish_paste(kept, cut)),
            State::Text => {}
        }
    }

    fn consume(&mut self, data: &[u8], out: &mut Vec<Input>) -> usize {
        let mut at = 0;
        while at < data.len() {
            let rest = &data[at..];
            match &mut self.state {
                State::Ground => match token(rest) {
                    Token::Whole(n, input) => {
                        out.extend(input);
                        at += n;
                    }
                    Token::PasteBegins(n) => {
                        self.state = State::Paste {
                            kept: Vec::new(),
                            cut: false,
                        };
                        at += n;
                    }
                    Token::TextBegins(n) => {
                        self.state = State::Text;
                        at += n;
                    }
                    Token::More if rest.len() > MAX_SEQUENCE => at += rest.len(),
                    Token::More => return at,
                },
                State::Paste { kept, cut } => {
                    if let Some(end) = memchr::memmem::find(rest, PASTE_END) {
                        keep(kept, cut, &rest[..end]);
                        out.push(finish_paste(std::mem::take(kept), *cut));
                        self.state = State::Ground;
                        at += end + PASTE_END.len();
                    } else {
                        // The end mark may have been cut in two by the read.
                        let tail = (1..PASTE_END.len())
                            .rev()
                            .find(|&n| rest.ends_with(&PASTE_END[..n]))
                            .unwrap_or(0);
                        keep(kept, cut, &rest[..rest.len() - tail]);
                        return at + rest.len() - tail;
                    }
                }
                State::Text => match rest
                    .iter()
                    .position(|b| matches!(b, 0x07 | 0x1b | 0x18 | 0x1a))
                {
                    Some(i) if rest[i] == 0x1b => {
                        match rest.get(i + 1) {
                            Some(b'\\') => at += i + 2,
                            // Some other sequence begins; the string ends without its mark.
                            Some(_) => at += i,
                            None => return at + i,
                        }
                        self.state = State::Ground;
                    }
                    Some(i) => {
                        self.state = State::Ground;
                        at += i + 1;
                    }
                    None => at += rest.len(),
                },
            }
        }
        at
    }
}

fn keep(kept: &mut Vec<u8>, cut: &mut bool, bytes: &[u8]) {
    let room = MAX_PASTE - kept.len();
    kept.extend_from_slice(&bytes[..bytes.len().min(room)]);
    *cut |= bytes.len() > room;
}

fn finish_paste(kept: Vec<u8>, cut: bool) -> Input {
    let mut text = String::from_utf8_lossy(&kept).into_owned();
    let long = text.len() > MAX_PASTE;
    text.truncate(text.floor_char_boundary(MAX_PASTE));
    Input::Paste(Paste {
        text,
        cut: cut || long,
    })
}

#[expect(
    clippy::unnecessary_wraps,
    reason = "the tables it stands in have rows without a key"
)]
fn key(code: KeyCode) -> Option<Input> {
    Some(Input::Key(Key::plain(code)))
}

/// Reads one token from the start of `bytes`, which is not empty.
fn token(bytes: &[u8]) -> Token {
    match bytes {
        [0x1b] => Token::More,
        [0x1b, b'[', ..] => csi(bytes),
        [0x1b, b'O', rest @ ..] => match rest {
            [] => Token::More,
            [letter, ..] => Token::Whole(3, letter_key(*letter, Mods::NONE)),
        },
        // A string can only be an answer to a question, and we ask none; but others may have asked.
        [0x1b, b']' | b'P' | b'^' | b'_' | b'X'] => Token::More,
        [0x1b, b']' | b'P' | b'^' | b'_' | b'X', ..] => Token::TextBegins(2),
        [0x1b, 0x1b, ..] if bytes.len() == 2 => Token::More,
        // Esc, and then something else that happens to have come with the same read.
        [0x1b, 0x1b, ..] => Token::Whole(1, key(KeyCode::Esc)),
        [0x1b, rest @ ..] => match character(rest) {
            Some((n, Some(Input::Key(key)))) => Token::Whole(
                n + 1,
                Some(Input::Key(Key {
                    mods: key.mods.with(Mods::ALT),
                    ..key
                })),
            ),
            Some((n, _)) => Token::Whole(n + 1, None),
            None => Token::More,
        },
        _ => character(bytes).map_or(Token::More, |(n, input)| Token::Whole(n, input)),
    }
}

/// A single character or control; `None` if its UTF-8 is unfinished.
fn character(bytes: &[u8]) -> Option<(usize, Option<Input>)> {
    let control = |c: u8| Some(Input::Key(Key::ctrl(char::from(c))));
    let input = match bytes[0] {
        b'\r' | b'\n' => key(KeyCode::Enter),
        b'\t' => key(KeyCode::Tab),
        0x08 | 0x7f => key(KeyCode::Backspace),
        0 => control(b' '),
        c @ 1..=26 => control(c - 1 + b'a'),
        c @ 28..=31 => control(c - 28 + b'\\'),
        0x1b => key(KeyCode::Esc),
        c @ b' '..=b'~' => key(KeyCode::Char(char::from(c))),
        first => {
            let length = match first {
                0xc2..=0xdf => 2,
                0xe0..=0xef => 3,
                0xf0..=0xf4 => 4,
                _ => return Some((1, None)),
            };
            let end = (1..length.min(bytes.len())).find(|&i| !(0x80..0xc0).contains(&bytes[i]));
            if let Some(end) = end {
                return Some((end, None));
            }
            if bytes.len() < length {
                return None;
            }
            let c = std::str::from_utf8(&bytes[..length])
                .ok()
                .and_then(|s| s.chars().next());
            // C1 controls are no keys, whatever encoded them.
            let c = c.filter(|c| !c.is_control());
            return Some((length, c.and_then(|c| key(KeyCode::Char(c)))));
        }
    };
    Some((1, input))
}

/// `ESC [ …`: parameters, then a letter.
fn csi(bytes: &[u8]) -> Token {
    // The Linux console's function keys: ESC [ [ A.
    if bytes.get(2) == Some(&b'[') {
        return match bytes.get(3) {
            None => Token::More,
            Some(c @ b'A'..=b'E') => Token::Whole(4, key(KeyCode::F(c - b'A' + 1))),
            Some(_) => Token::Whole(4, None),
        };
    }
    let Some(end) = bytes[2..]
        .iter()
        .position(|b| !(0x20..0x40).contains(b))
        .map(|i| i + 2)
    else {
        return Token::More;
    };
    let (params, last) = (&bytes[2..end], bytes[end]);
    if !(0x40..0x7f).contains(&last) {
        // Broken off by a control or another sequence; that one is read next.
        return Token::Whole(end, None);
    }
    if last == b'M' && params.is_empty() {
        // An old mouse report: three bytes more. The mouse is off, but someone may have left it on.
        return if bytes.len() < 6 {
            Token::More
        } else {
            Token::Whole(6, None)
        };
    }
    if (params, last) == (b"200", b'~') {
        return Token::PasteBegins(end + 1);
    }
    Token::Whole(end + 1, sequence(params, last))
}

fn sequence(params: &[u8], last: u8) -> Option<Input> {
    if params.first().is_some_and(|b| matches!(b, b'<'..=b'?')) {
        return None;
    }
    // Sub-parameters after a colon (kitty's alternate keys) are left out.
    let mut numbers = params.split(|b| *b == b';').map(|part| {
        let digits = part.split(|b| *b == b':').next().unwrap_or(part);
        std::str::from_utf8(digits)
            .ok()
            .and_then(|d| d.parse::<u32>().ok())
            .unwrap_or(1)
    });
    let first = numbers.next().unwrap_or(1);
    let second = numbers.next().unwrap_or(1);
    let third = numbers.next();
    let mods = Mods::from_xterm(second.min(256) as u16);
    match last {
        b'n' if matches!(params, b"0" | b"3") => Some(Input::StatusOk),
        b'I' if params.is_empty() => Some(Input::Focus(true)),
        b'O' if params.is_empty() => Some(Input::Focus(false)),
        b'Z' => key(KeyCode::BackTab),
        b'u' => coded(first, mods),
        // xterm's modifyOtherKeys: 27 ; modifiers ; character ~
        b'~' if first == 27 => coded(third?, mods),
        b'~' => Some(Input::Key(Key {
            code: numbered(first)?,
            mods,
        })),
        _ => letter_key(last, mods),
    }
}

/// Kitty's and xterm's way of sending any character with modifiers.
fn coded(code: u32, mods: Mods) -> Option<Input> {
    let code = match code {
        9 if mods.contains(Mods::SHIFT) => return key(KeyCode::BackTab),
        9 => KeyCode::Tab,
        13 | 57414 => KeyCode::Enter,
        27 => KeyCode::Esc,
        8 | 127 => KeyCode::Backspace,
        57399..=57408 => KeyCode::Char(char::from(b'0' + (code - 57399) as u8)),
        c => {
            let private = ('\u{e000}'..='\u{f8ff}').contains(&char::from_u32(c)?);
            let c = char::from_u32(c).filter(|c| !c.is_control() && !private)?;
            let shifted = mods.contains(Mods::SHIFT) && !mods.contains(Mods::CTRL);
            let c = if shifted {
                c.to_uppercase().next().unwrap_or(c)
            } else {
                c
            };
            return Some(Input::Key(Key {
                code: KeyCode::Char(c),
                mods: mods.without(Mods::SHIFT),
            }));
        }
    };
    Some(Input::Key(Key { code, mods }))
}

fn letter_key(letter: u8, mods: Mods) -> Option<Input> {
    let code = match letter {
        b'A' => KeyCode::Up,
        b'B' => KeyCode::Down,
        b'C' => KeyCode::Right,
        b'D' => KeyCode::Left,
        b'F' => KeyCode::End,
        b'H' => KeyCode::Home,
        b'M' => KeyCode::Enter,
        b'P'..=b'S' => KeyCode::F(letter - b'P' + 1),
        _ => return None,
    };
    Some(Input::Key(Key { code, mods }))
}

fn numbered(number: u32) -> Option<KeyCode> {
    Some(match number {
        1 | 7 => KeyCode::Home,
        2 => KeyCode::Insert,
        3 => KeyCode::Delete,
        4 | 8 => KeyCode::End,
        5 => KeyCode::PageUp,
        6 => KeyCode::PageDown,
        11..=15 => KeyCode::F((number - 10) as u8),
        17..=21 => KeyCode::F((number - 11) as u8),
        23..=26 => KeyCode::F((number - 12) as u8),
        28 | 29 => KeyCode::F((number - 13) as u8),
        31..=34 => KeyCode::F((number - 14) as u8),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(bytes: &[u8]) -> Vec<Input> {
        let (mut parser, mut out) = (Parser::default(), Vec::new());
        parser.feed(bytes, &mut out);
        if parser.wait().is_some() {
            parser.stalled(&mut out);
        }
        out
    }

    fn plain(code: KeyCode) -> Input {
        Input::Key(Key::plain(code))
    }

    #[test]
    fn keys_of_all_terminals() {
        let cases: &[(&[u8], Input)] = &[
            (b"j", Input::Key(Key::char('j'))),
            (b"G", Input::Key(Key::char('G'))),
            ("é".as_bytes(), Input::Key(Key::char('é'))),
            (b"\r", plain(KeyCode::Enter)),
            (b"\x7f", plain(KeyCode::Backspace)),
            (b"\x03", Input::Key(Key::ctrl('c'))),
            (b"\x1a", Input::Key(Key::ctrl('z'))),
            (b"\x1b", plain(KeyCode::Esc)),
            (b"\x1b[A", plain(KeyCode::Up)),
            (b"\x1bOB", plain(KeyCode::Down)),
            (b"\x1b[5~", plain(KeyCode::PageUp)),
            (b"\x1b[1~", plain(KeyCode::Home)),
            (b"\x1b[Z", plain(KeyCode::BackTab)),
            (b"\x1bOP", plain(KeyCode::F(1))),
            (b"\x1b[[A", plain(KeyCode::F(1))),
            (b"\x1b[11~", plain(KeyCode::F(1))),
            (b"\x1b[24~", plain(KeyCode::F(12))),
            (
                b"\x1b[1;5C",
                Input::Key(Key {
                    code: KeyCode::Right,
                    mods: Mods::CTRL,
                }),
            ),
            (
                b"\x1b[1;2A",
                Input::Key(Key {
                    code: KeyCode::Up,
                    mods: Mods::SHIFT,
                }),
            ),
            (b"\x1b[97;5u", Input::Key(Key::ctrl('a'))),
            (b"\x1b[106;2u", Input::Key(Key::char('J'))),
            (b"\x1b[27;5;97~", Input::Key(Key::ctrl('a'))),
            (b"\x1b[27u", plain(KeyCode::Esc)),
            (
                b"\x1bx",
                Input::Key(Key {
                    code: KeyCode::Char('x'),
                    mods: Mods::ALT,
                }),
            ),
            (b"\x1b[0n", Input::StatusOk),
            (b"\x1b[I", Input::Focus(true)),
        ];
        for (bytes, want) in cases {
            assert_eq!(
                parse(bytes),
                std::slice::from_ref(want),
                "{:?}",
                String::from_utf8_lossy(bytes)
            );
        }
    }

    #[test]
    fn an_answer_among_keys() {
        assert_eq!(
            parse(b"j\x1b[0n\x1b[Bk"),
            [
                Input::Key(Key::char('j')),
                Input::StatusOk,
                plain(KeyCode::Down),
                Input::Key(Key::char('k'))
            ]
        );
    }

    #[test]
    fn pastes_are_never_keys_and_bounded() {
        assert_eq!(
            parse(b"\x1b[200~q\r\x1b[31m\x1b[201~x"),
            [
                Input::Paste(Paste {
                    text: "q\r\x1b[31m".into(),
                    cut: false
                }),
                Input::Key(Key::char('x'))
            ]
        );
        let mut long = b"\x1b[200~".to_vec();
        long.extend(std::iter::repeat_n(b'a', MAX_PASTE + 10));
        long.extend(PASTE_END);
        let [Input::Paste(paste)] = &parse(&long)[..] else {
            panic!("one paste")
        };
        assert!(paste.cut && paste.text.len() == MAX_PASTE);
        assert_eq!(format!("{paste:?}"), "Paste(65536 bytes, cut: true)");
    }

    #[test]
    fn foreign_answers_and_mouse_reports_are_left_out() {
        assert_eq!(
            parse(b"\x1b]11;rgb:0/0/0\x07a\x1bP>|x\x1b\\b"),
            [Input::Key(Key::char('a')), Input::Key(Key::char('b'))]
        );
        assert_eq!(parse(b"\x1b[<0;3;4Mx\x1b[M !!y\x1b[?62;22cz").len(), 3);
        assert_eq!(
            parse(b"\x1b[200~never ended"),
            [Input::Paste(Paste {
                text: "never ended".into(),
                cut: false
            })]
        );
    }

    fn pieces() -> impl Strategy<Value = Vec<u8>> {
        let piece = prop_oneof![
            prop::collection::vec(any::<u8>(), 0..6),
            prop::sample::select(vec![
                &b"\x1b[200~"[..],
                b"\x1b[201~",
                b"\x1b[0n",
                b"\x1b[1;5C",
                b"\x1b]0;t\x07",
                "日é".as_bytes(),
                b"\x1b[[A",
                b"\x1b[M",
            ])
            .prop_map(<[u8]>::to_vec),
        ];
        prop::collection::vec(piece, 0..12).prop_map(|p| p.concat())
    }

    proptest! {
        #[test]
        fn any_bytes_in_any_pieces_mean_the_same(bytes in pieces(), cuts in prop::collection::vec(1usize..7, 0..40)) {
            let whole = parse(&bytes);
            let (mut parser, mut out, mut rest) = (Parser::default(), Vec::new(), &bytes[..]);
            for cut in cuts.into_iter().chain([usize::MAX]) {
                let (now, later) = rest.split_at(cut.min(rest.len()));
                parser.feed(now, &mut out);
                rest = later;
            }
            if parser.wait().is_some() {
                parser.stalled(&mut out);
            }
            prop_assert_eq!(out, whole);
        }
    }
}
