//! The encoder against an emulator that shares no code with it, and the bytes it may cost.

use std::num::NonZeroU16;
use std::time::Instant;

use proptest::prelude::*;
use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::style::{Color, Modifier, Style};

use super::*;

fn emulator(width: u16, height: u16) -> vt100::Parser {
    let size = |n| NonZeroU16::new(n).unwrap();
    vt100::Parser::new(size(height), size(width), 0)
}

fn colour(c: vt100::Color) -> Color {
    const SIXTEEN: [Color; 16] = [
        Color::Black,
        Color::Red,
        Color::Green,
        Color::Yellow,
        Color::Blue,
        Color::Magenta,
        Color::Cyan,
        Color::Gray,
        Color::DarkGray,
        Color::LightRed,
        Color::LightGreen,
        Color::LightYellow,
        Color::LightBlue,
        Color::LightMagenta,
        Color::LightCyan,
        Color::White,
    ];
    match c {
        vt100::Color::Default => Color::Reset,
        vt100::Color::Idx(n) => SIXTEEN
            .get(usize::from(n))
            .copied()
            .unwrap_or(Color::Indexed(n)),
        vt100::Color::Rgb(r, g, b) => Color::Rgb(r, g, b),
    }
}

/// Fails unless the emulator shows `want`, glyph by glyph with colours and attributes.
fn assert_shows(parser: &vt100::Parser, want: &Buffer) -> Result<(), TestCaseError> {
    let mut y = 0;
    while y < want.area.height {
        let mut x = 0;
        while x < want.area.width {
            let cell = &want[(x, y)];
            let got = parser.screen().cell(y, x).expect("inside the screen");
            let mut attributes = Modifier::empty();
            attributes.set(Modifier::BOLD, got.bold());
            attributes.set(Modifier::DIM, got.dim());
            attributes.set(Modifier::ITALIC, got.italic());
            attributes.set(Modifier::UNDERLINED, got.underline());
            attributes.set(Modifier::REVERSED, got.inverse());
            let symbol = if got.has_contents() {
                got.contents()
            } else {
                " "
            };
            let wide = unicode_width::UnicodeWidthStr::width(cell.symbol()).max(1) as u16;
            let expected = if x + wide > want.area.width {
                " "
            } else {
                cell.symbol()
            };
            prop_assert_eq!(symbol, expected, "glyph at {},{}", x, y);
            let seen = Modifier::REVERSED | Modifier::UNDERLINED;
            if expected != " " || cell.modifier.intersects(seen) || cell.bg != Color::Reset {
                prop_assert_eq!(
                    colour(got.fgcolor()),
                    cell.fg,
                    "foreground at {},{} {:?}",
                    x,
                    y,
                    symbol
                );
                prop_assert_eq!(
                    attributes,
                    cell.modifier,
                    "attributes at {},{} {:?}",
                    x,
                    y,
                    symbol
                );
            } else {
                prop_assert!(!attributes.intersects(seen), "visible blank at {},{}", x, y);
            }
            prop_assert_eq!(
                colour(got.bgcolor()),
                cell.bg,
                "background at {},{} {:?}",
                x,
                y,
                symbol
            );
            x += wide;
        }
        y += 1;
    }
    Ok(())
}

#[derive(Debug, Clone)]
enum Step {
    Write {
        x: u16,
        y: u16,
        text: String,
        style: Style,
    },
    Clear {
        y: u16,
    },
    Scroll {
        to: usize,
    },
    Resize {
        width: u16,
        height: u16,
    },
    Repaint,
    Cursor {
        x: u16,
        y: u16,
    },
}

fn style() -> impl Strategy<Value = Style> {
    let palette = vec![
        Color::Reset,
        Color::Reset,
        Color::Red,
        Color::LightBlue,
        Color::Gray,
        Color::Indexed(208),
        Color::Rgb(1, 2, 3),
    ];
    let modifiers = prop::sample::subsequence(
        vec![
            Modifier::BOLD,
            Modifier::DIM,
            Modifier::ITALIC,
            Modifier::UNDERLINED,
            Modifier::REVERSED,
        ],
        0..3,
    );
    (
        prop::sample::select(palette.clone()),
        prop::sample::select(palette),
        modifiers,
    )
        .prop_map(|(fg, bg, m)| {
            Style::new()
                .fg(fg)
                .bg(bg)
                .add_modifier(m.into_iter().fold(Modifier::empty(), |a, b| a | b))
        })
}

fn step() -> impl Strategy<Value = Step> {
    let text = prop_oneof![
        "[ -~]{1,20}",
        " {1,30}",
        "[─│█▁▂▸▲●]{1,12}",
        "[日本語한글a ]{1,8}",
        prop::sample::select(vec![
            "e\u{301}x",
            "👩y",
            "z❤\u{fe0f}!",
            "\u{1f512} k",
            "x\u{302}\u{301}o"
        ])
        .prop_map(String::from),
    ];
    prop_oneof![
        6 => (0u16..34, 0u16..12, text, style()).prop_map(|(x, y, text, style)| Step::Write { x, y, text, style }),
        1 => (0u16..12).prop_map(|y| Step::Clear { y }),
        3 => (0usize..12).prop_map(|to| Step::Scroll { to }),
        1 => (1u16..40, 1u16..14).prop_map(|(width, height)| Step::Resize { width, height }),
        1 => Just(Step::Repaint),
        1 => (0u16..40, 0u16..14).prop_map(|(x, y)| Step::Cursor { x, y }),
    ]
}

/// Plays frames; after each, the emulator has to show exactly the buffer.
fn play(steps: &[Vec<Step>], options: Options) -> Result<(), TestCaseError> {
    let (mut width, mut height) = (32, 12);
    let mut screen = Screen::new(Vec::new(), width, height, options, Pace::off());
    let mut parser = emulator(width, height);
    // Leftovers of whoever had the terminal before.
    parser.process(b"leftover\x1b[1;31m text");
    let mut canvas = Buffer::empty(Rect::new(0, 0, width, height));
    let (mut offset, now) = (0, Instant::now());
    for frame in steps {
        let mut cursor = None;
        for step in frame {
            match step {
                Step::Write { x, y, text, style } if *x < width && *y < height => {
                    canvas.set_string(*x, *y, text, *style);
                    // The emulator knows bold and dim as one intensity, so no cell may have both.
                    let both = Modifier::BOLD | Modifier::DIM;
                    for cell in canvas
                        .content
                        .iter_mut()
                        .filter(|c| c.modifier.contains(both))
                    {
                        cell.modifier.remove(Modifier::DIM);
                    }
                }
                Step::Clear { y } if *y < height => {
                    (0..width).for_each(|x| canvas[(x, *y)].reset());
                }
                Step::Scroll { to } => {
                    // The list takes rows 2..height-1, as a header and a footer leave them.
                    let by = *to as isize - offset as isize;
                    let rows =
                        usize::from(width)..usize::from(width) * usize::from(height.max(3) - 1);
                    if rows.end <= canvas.content.len() && rows.start < rows.end {
                        let part = &mut canvas.content[rows];
                        let cells = (by.unsigned_abs() * usize::from(width)).min(part.len());
                        if by > 0 {
                            part.rotate_left(cells);
                        } else {
                            part.rotate_right(cells);
                        }
                    }
                    offset = *to;
                }
                Step::Resize {
                    width: w,
                    height: h,
                } => {
                    (width, height) = (*w, *h);
                    screen.resize(width, height);
                    canvas = Buffer::empty(Rect::new(0, 0, width, height));
                    let size = |n| NonZeroU16::new(n).unwrap();
                    parser.screen_mut().set_size(size(height), size(width));
                }
                Step::Repaint => screen.invalidate(),
                Step::Cursor { x, y } => cursor = Some(Position::new(*x, *y)),
                Step::Write { .. } | Step::Clear { .. } => {}
            }
        }
        screen
            .draw(now, |f| {
                f.buffer.clone_from(&canvas);
                if height > 2 {
                    f.region(Region {
                        id: 1,
                        top: 1,
                        bottom: height - 1,
                        offset,
                    });
                }
                if let Some(position) = cursor {
                    f.cursor_at(position);
                }
            })
            .unwrap();
        parser.process(&std::mem::take(screen.writer()));
        assert_shows(&parser, &canvas)?;
        let inside = cursor.filter(|p| p.x < width && p.y < height);
        prop_assert_eq!(parser.screen().hide_cursor(), inside.is_none());
        if let Some(p) = inside {
            prop_assert_eq!(parser.screen().cursor_position(), (p.y, p.x));
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]
    #[test]
    fn an_emulator_shows_the_buffer(
        steps in prop::collection::vec(prop::collection::vec(step(), 0..6), 1..10),
        repeat in any::<bool>(),
    ) {
        play(&steps, Options { synchronized: true, repeat })?;
    }
}

/// A list of 100 000 rows as a console would draw it: header, list, footer.
struct List {
    top: usize,
    selected: usize,
}

impl List {
    fn draw(&self, frame: &mut Frame<'_>) {
        let area = frame.area();
        let body = area.height - 2;
        let bold = Style::new().add_modifier(Modifier::BOLD);
        frame.buffer.set_string(
            0,
            0,
            "   NAME                   KIND        OWNER      LEFT",
            bold,
        );
        for row in 0..body {
            let n = self.top + usize::from(row);
            let mixed = n.wrapping_mul(2_654_435_761) % 0xffff_ffff;
            let line = format!(
                "   svc-{:<18} {:<11} team-{:<5} {:>8} {:<10} {:<8} 2026-{:02}-{:02} {:>9} k-{:08x} {}",
                mixed % 1_000_000,
                ["database", "tls", "api key", "oidc"][mixed % 4],
                mixed % 97,
                mixed % 86_400,
                ["vault-eu", "pki-1", "jwt"][mixed % 3],
                ["prod", "staging"][mixed % 2],
                mixed % 12 + 1,
                mixed % 28 + 1,
                mixed % 7919,
                mixed,
                ["active", "expiring", "rotating"][mixed % 3],
            );
            frame
                .buffer
                .set_stringn(0, row + 1, line, area.width.into(), Style::new());
        }
        frame.buffer.set_string(
            0,
            1 + (self.selected - self.top) as u16,
            "▸",
            Style::new().fg(Color::Cyan),
        );
        let foot = format!("{} of 100,000", self.selected + 1);
        frame
            .buffer
            .set_string(0, area.height - 1, foot, Style::new());
        frame.region(Region {
            id: 7,
            top: 1,
            bottom: area.height - 1,
            offset: self.top,
        });
    }
}

/// Median bytes of `n` frames, each made by `change`.
fn median_bytes(
    list: &mut List,
    screen: &mut Screen<Vec<u8>>,
    n: usize,
    change: impl Fn(&mut List),
) -> usize {
    let mut sizes: Vec<usize> = (0..n)
        .map(|_| {
            change(list);
            match screen.draw(Instant::now(), |f| list.draw(f)).unwrap() {
                Painted::Sent(bytes) => bytes,
                other => panic!("{other:?}"),
            }
        })
        .collect();
    sizes.sort_unstable();
    sizes[n / 2]
}

#[test]
fn a_key_costs_few_bytes() {
    let mut list = List {
        top: 5000,
        selected: 5000,
    };
    let mut screen = Screen::new(Vec::new(), 120, 40, Options::default(), Pace::off());
    let first = match screen.draw(Instant::now(), |f| list.draw(f)).unwrap() {
        Painted::Sent(bytes) => bytes,
        other => panic!("{other:?}"),
    };
    let moving = median_bytes(&mut list, &mut screen, 30, |l| l.selected += 1);
    list.selected = list.top + 37;
    screen.draw(Instant::now(), |f| list.draw(f)).unwrap();
    let scrolling = median_bytes(&mut list, &mut screen, 30, |l| {
        l.top += 1;
        l.selected += 1;
    });
    let up = median_bytes(&mut list, &mut screen, 30, |l| {
        l.top -= 1;
        l.selected -= 1;
    });
    let paging = median_bytes(&mut list, &mut screen, 30, |l| {
        l.top += 38;
        l.selected += 38;
    });
    let report =
        format!("first {first}, move {moving}, scroll {scrolling}, up {up}, page {paging}");
    assert!(moving <= 40, "{report}");
    assert!(scrolling <= 170 && up <= 170, "{report}");
    assert!(paging <= 3700, "{report}");
    println!("bytes at 120x40: {report}");
}

#[test]
fn nothing_new_costs_nothing() {
    let list = List {
        top: 0,
        selected: 3,
    };
    let mut screen = Screen::new(Vec::new(), 80, 24, Options::default(), Pace::off());
    screen.draw(Instant::now(), |f| list.draw(f)).unwrap();
    screen.writer().clear();
    assert_eq!(
        screen.draw(Instant::now(), |f| list.draw(f)).unwrap(),
        Painted::Unchanged
    );
    assert!(screen.writer().is_empty());
}

#[test]
fn control_characters_in_a_cell_never_get_out() {
    let mut screen = Screen::new(Vec::new(), 10, 1, Options::default(), Pace::off());
    screen
        .draw(Instant::now(), |f| {
            f.buffer[(0, 0)].set_symbol("\x1b");
            f.buffer[(1, 0)].set_symbol("\u{9b}2J");
        })
        .unwrap();
    let text = String::from_utf8(screen.writer().clone()).unwrap();
    assert!(text.contains("??") && !text.contains('\u{9b}'), "{text:?}");
}

#[test]
fn held_frames_show_only_the_newest_state() {
    let mut screen = Screen::new(Vec::new(), 120, 40, Options::default(), Pace::default());
    let mut parser = emulator(120, 40);
    let mut list = List {
        top: 0,
        selected: 0,
    };
    let now = Instant::now();
    let mut held = 0;
    for _ in 0..50 {
        list.top += 38;
        list.selected += 38;
        held += usize::from(screen.draw(now, |f| list.draw(f)).unwrap() == Painted::Held);
    }
    assert!(held > 40, "no answer came, {held} held");
    while screen.deadline().is_some() {
        screen.answered();
    }
    assert!(matches!(
        screen.draw(now, |f| list.draw(f)).unwrap(),
        Painted::Sent(_)
    ));
    parser.process(screen.writer());
    assert!(
        parser.screen().contents().contains("1,901 of")
            || parser.screen().contents().contains("1901 of")
    );
}
