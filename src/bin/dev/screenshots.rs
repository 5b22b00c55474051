//! Draws pictures from fixed buffers, or checks that the committed ones are up to date.

use std::io::Write;
use std::path::Path;

use color_eyre::eyre::{Result, WrapErr, bail, ensure};
use countersign::console::shot::{Paper, render};
use countersign::console::theme::{Role, Severity, Theme, ThemeName};
use countersign::console::widgets::{graph, list, put, section};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

/// Every picture by its file name; add a screen here.
fn pictures() -> Vec<(&'static str, Buffer, Paper)> {
    vec![
        ("widgets", widgets(&Theme::default()), Paper::DARK),
        (
            "widgets-light",
            widgets(&Theme::new(ThemeName::BlueOrange, false)),
            Paper::LIGHT,
        ),
    ]
}

/// Writes `NAME.svg` and `NAME.png` into `folder`, or compares with what is there.
pub(crate) fn run(folder: &Path, check: bool, out: &mut impl Write) -> Result<()> {
    let mut stale = Vec::new();
    for (name, buffer, paper) in pictures() {
        let picture = render(&buffer, &paper);
        ensure!(
            picture.missing.is_empty(),
            "{name}: the bundled font has no {:?}",
            picture.missing
        );
        for (kind, bytes) in [("svg", picture.svg.as_bytes()), ("png", &picture.png)] {
            let file = folder.join(format!("{name}.{kind}"));
            if check {
                if std::fs::read(&file).ok().as_deref() != Some(bytes) {
                    stale.push(file.display().to_string());
                }
                continue;
            }
            std::fs::create_dir_all(folder)
                .wrap_err("the folder of the pictures cannot be made")?;
            std::fs::write(&file, bytes)
                .wrap_err_with(|| format!("{} cannot be written", file.display()))?;
            writeln!(out, "{}", file.display())?;
        }
    }
    if !stale.is_empty() {
        bail!(
            "stale, run `cargo run --features dev --bin dev screenshots`: {}",
            stale.join(", ")
        );
    }
    Ok(())
}

/// One of each widget, to judge glyphs and colours by.
fn widgets(theme: &Theme) -> Buffer {
    let area = Rect::new(0, 0, 80, 20);
    let mut buf = Buffer::empty(area);
    let row = |y| Rect::new(0, y, 80, 1);
    let b = &mut buf;
    let used = put(b, theme, (0, 0), 10, "[PROD]", theme.environment("prod"));
    put(
        b,
        theme,
        (used + 1, 0),
        70,
        "eu-west-1  maya.k approver",
        theme.style(Role::Strong),
    );
    put(
        b,
        theme,
        (62, 0),
        18,
        &format!("{} live 184ms", theme.glyphs.dot),
        theme.style(Role::Good),
    );
    section::section("CREDENTIALS", "408 of 4,218", row(1), b, theme);
    let (left, right) = section::panes(52, Rect::new(0, 2, 80, 7), b, theme);
    let columns = [
        list::Column::new("NAME", list::Width::AtLeast(12)),
        list::Column {
            sorted: Some(true),
            ..list::Column::new("LEFT", list::Width::Fixed(9)).right()
        },
        list::Column::new("LIFE┊=renew", list::Width::Fixed(12)),
    ];
    let state = list::ListState {
        selected: 2,
        offset: 0,
    };
    list::list(&Sample, &columns, state, 0, left, b, theme);
    let words = [
        Severity::Info,
        Severity::Low,
        Severity::Medium,
        Severity::High,
        Severity::Critical,
    ];
    for (i, severity) in words.into_iter().enumerate() {
        let at = (right.x, right.y + i as u16);
        put(
            b,
            theme,
            at,
            20,
            severity.word(),
            theme.style(Role::Severity(severity)),
        );
    }
    section::section("TIME TO EXPIRY", "4,218 live", row(10), b, theme);
    let figures = [
        graph::Bucket {
            label: "<1h",
            value: 96.0,
            figures: "96  2.3%",
            role: Role::Bad,
        },
        graph::Bucket {
            label: "<24h",
            value: 312.0,
            figures: "312  7.4%",
            role: Role::Warn,
        },
        graph::Bucket {
            label: "<30d",
            value: 1904.0,
            figures: "1,904 45.1%",
            role: Role::Bar,
        },
    ];
    graph::buckets(&figures, Rect::new(1, 11, 50, 3), b, theme);
    graph::heat(&[0, 1, 2, 3, 4, 0, 2], Rect::new(55, 11, 24, 1), b, theme);
    let wave: Vec<f64> = (0..24).map(|i| f64::from(i * 7 % 23)).collect();
    graph::spark(&wave, None, Role::Bar, Rect::new(55, 13, 24, 1), b, theme);
    let inside = section::sheet("SIGN APPROVAL", (40, 4), Rect::new(0, 14, 80, 5), b, theme);
    put(
        b,
        theme,
        (inside.x, inside.y),
        inside.width,
        "ALLOW jlin\u{202e}  ddl + read",
        theme.style(Role::Text),
    );
    section::hints(
        &[("j/k", "move"), ("⏎", "open"), (".", "act"), ("?", "help")],
        row(19),
        b,
        theme,
    );
    buf
}

/// Invented rows.
struct Sample;

impl list::Source for Sample {
    fn len(&self) -> usize {
        5
    }

    fn gutter(&self, row: usize) -> list::Gutter {
        list::Gutter {
            marked: row == 1,
            sign: (row == 0).then_some(("▲", Role::Warn)),
        }
    }

    fn cell(&self, row: usize, column: usize, slot: &mut list::CellSlot<'_>) {
        let names = [
            "vpn-bastion",
            "wh-reader-etl",
            "svc-payments-oidc",
            "pg-ledger-rw",
            "müller-\u{1b}[31m-svc",
        ];
        let used = [1.2, 0.02, 0.7, 0.9, 0.4];
        match column {
            0 => slot.identifier(names[row], Role::Text),
            1 => slot.text(
                ["overdue", "00:14:20", "02:10:44", "03:10:00", "4d02h"][row],
                Role::Text,
            ),
            _ => slot.draw(|area, buf, theme| graph::life(used[row], Some(0.67), area, buf, theme)),
        }
    }
}
