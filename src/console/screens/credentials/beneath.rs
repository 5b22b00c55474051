//! What stands below a list that leaves room: what its marks mean, the saved views, and what is marked. A section is
//! drawn whole or not at all; the list itself goes first.
//!
//! ```text
//! ── WHAT THE MARKS MEAN ─────────────────────────────────
//!  ▲ needs a person now   ◆ breaks a rule, not urgent   █ used life
//!  ┊ planned renewal at 2/3 of life   · life left
//! ```

use super::{Credentials, VIEWS};
use crate::console::backend::Frame;
use crate::console::command::Command;
use crate::console::model::Shared;
use crate::console::screens::kit::{Look, paint};
use crate::console::theme::{Role, Theme};
use ratatui::layout::Rect;
use ratatui::text::Line;

/// Draws what fits below the list's last row, one line apart from it.
pub fn beneath(
    screen: &Credentials,
    shared: &Shared,
    free: Rect,
    frame: &mut Frame<'_>,
    theme: &Theme,
) {
    let look = Look::new(shared, theme);
    let columns = usize::from(free.width);
    let mut lines: Vec<Line<'static>> = Vec::new();
    // In the order of their worth; drawn in the order of the page.
    let sections = [
        marked(screen, shared, &look, columns),
        meaning(&look, columns),
        views(shared, &look, columns),
    ];
    let mut room = usize::from(free.height);
    let mut fits = sections.map(|section| {
        let needed = section.len() + 1;
        let fits = !section.is_empty() && needed <= room;
        if fits {
            room -= needed;
        }
        fits.then_some(section)
    });
    fits.rotate_left(1);
    for section in fits.into_iter().flatten() {
        lines.push(Line::default());
        lines.extend(section);
    }
    paint(frame.buffer, free, &lines, 0);
}

fn meaning(look: &Look<'_>, columns: usize) -> Vec<Line<'static>> {
    let glyphs = &look.theme.glyphs;
    let [full, open, tick] = if glyphs.ascii {
        ["#", ".", "|"]
    } else {
        ["█", "·", "┊"]
    };
    let mut lines = vec![look.rule("WHAT THE MARKS MEAN", "", columns)];
    let text = look.style(Role::Text);
    let mut flow = look.flow(columns, 1);
    for (sign, role, words) in [
        (glyphs.alert, Role::Bad, "needs a person now"),
        (glyphs.notice, Role::Warn, "breaks a rule, not urgent"),
        (full, Role::Bar, "used life"),
        (tick, Role::BarRest, "planned renewal at 2/3 of life"),
        (open, Role::BarRest, "life left"),
    ] {
        let width = crate::display::sanitize::width(words) + 2;
        flow = flow
            .together(look.style(role), sign, 3, width)
            .piece(text, words, 1);
    }
    lines.extend(flow.lines());
    lines
}

fn views(shared: &Shared, look: &Look<'_>, columns: usize) -> Vec<Line<'static>> {
    let key = shared.keymap.key(Command::Views, look.theme.glyphs.ascii);
    let mut lines = vec![look.rule(&format!("SAVED VIEWS  {key}"), "", columns)];
    let mut flow = look.flow(columns, 1);
    for ((name, _), key) in VIEWS.iter().zip('1'..='9') {
        let width = crate::display::sanitize::width(name) + 2;
        flow = flow
            .together(look.style(Role::Key), key.to_string(), 3, width)
            .piece(look.style(Role::Text), name, 1);
    }
    lines.extend(flow.lines());
    lines
}

fn marked(
    screen: &Credentials,
    shared: &Shared,
    look: &Look<'_>,
    columns: usize,
) -> Vec<Line<'static>> {
    if screen.marks.is_empty() {
        return Vec::new();
    }
    let ascii = look.theme.glyphs.ascii;
    let keys = |command| shared.keymap.key(command, ascii);
    let rows = screen.targets(shared);
    let mut names: Vec<&str> = rows.iter().take(4).map(|row| row.name.as_str()).collect();
    if rows.len() > names.len() {
        names.push(look.theme.glyphs.cut);
    }
    let title = format!("MARKED {}", rows.len());
    let acts = format!(
        "{} act on all of them   {} clear marks",
        keys(Command::Acts),
        keys(Command::MarkClear)
    );
    let mut lines = vec![look.rule(&title, "", columns)];
    let names = look
        .flow(columns, 1)
        .piece(look.style(Role::Text), names.join(", "), 1);
    lines.extend(names.lines());
    lines.push(look.line(Role::Muted, format!(" {acts}")));
    lines
}
