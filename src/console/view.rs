//! Draws the model, reading only.
//!
//! ```text
//! [PROD] eu-west-1  maya.k approver                        14:32:07Z  ● live 184ms    where am I
//!   1 Overview  2 Approvals 7 ▸3 Creds  7 Audit                                       tabs
//!                                                                                     the screen
//!  j move  ⏎ open  / filter  . act                                                    hints, or a prompt
//! ```

mod header;
mod overlays;
mod sheet;

use super::backend::Frame;
use super::command::Command;
use super::event::Level;
use super::model::{Model, Overlay};
use super::session;
use super::theme::{Role, Theme};
use super::update::available;
use super::widgets;
use super::widgets::section::{hints, toast};
use super::widgets::text::wrap;
use crate::display::{sanitize::width, time::TimeFormat};
use ratatui::layout::Rect;

/// Narrower or lower than this, only a sentence is drawn.
const LEAST: (u16, u16) = (40, 8);

/// The most rows that one notice takes.
const TOAST_ROWS: usize = 3;

/// The part of a terminal of this size that belongs to the screen.
pub fn body(size: (u16, u16)) -> Rect {
    Rect::new(0, 2, size.0, size.1.saturating_sub(3))
}

/// Draws everything.
pub fn view(model: &Model, frame: &mut Frame<'_>, theme: &Theme) {
    let area = frame.area();
    if area.width < LEAST.0 || area.height < LEAST.1 {
        let text = format!("at least {}x{} is needed", LEAST.0, LEAST.1);
        widgets::put(
            frame.buffer,
            theme,
            (0, 0),
            area.width,
            &text,
            theme.style(Role::Text),
        );
        return;
    }
    header::header(model, area, frame.buffer, theme);
    header::tabs(model, area, frame.buffer, theme);
    let body = body((area.width, area.height)).intersection(area);
    let screen = model.screens.get(model.current);
    screen.view(&model.shared, body, frame, theme);
    if model.kept_at().is_some() || is_away(model) {
        widgets::dim(frame.buffer, body, theme.style(Role::Stale));
    }
    let last = Rect::new(0, area.bottom() - 1, area.width, 1);
    footer(model, last, frame, theme);
    let taken = away(model, body, frame, theme);
    let above = Rect {
        height: body.height - taken,
        ..body
    };
    toasts(model, above, frame, theme);
    match &model.overlay {
        None | Some(Overlay::Prompt(_)) => {}
        Some(Overlay::Sheet(open)) => sheet::sheet(open, model, body, frame, theme),
        Some(overlay) => overlays::overlay(overlay, model, body, frame, theme),
    }
}

fn is_away(model: &Model) -> bool {
    use super::event::LinkState;
    matches!(
        model.shared.link,
        LinkState::Offline { .. } | LinkState::SignedOut(_)
    )
}

/// Why the broker is away or soon will not know us, on the last rows of the screen for as long as it is. Returns how many.
fn away(model: &Model, body: Rect, frame: &mut Frame<'_>, theme: &Theme) -> u16 {
    use super::event::LinkState;
    let shared = &model.shared;
    let again = shared.keymap.key(Command::Refresh, theme.glyphs.ascii);
    let text = match &shared.link {
        LinkState::Offline { retry_at, why, .. } => {
            // A distance would have to be drawn anew each second.
            let at = match shared.time {
                TimeFormat::Ago => TimeFormat::Utc,
                other => other,
            };
            let at = at.short(*retry_at, shared.now);
            format!("{why}. Tried again at {at}; {again} tries now")
        }
        LinkState::SignedOut(why) => session::signed_out(shared, why),
        _ => match session::ending(shared) {
            Some(ending) => ending,
            None => return 0,
        },
    };
    let columns = usize::from(body.width.saturating_sub(4)).max(8);
    let mut lines = wrap(&text, columns);
    lines.truncate(usize::from(body.height / 3).max(1));
    let rows = lines.len() as u16;
    for ((place, line), y) in lines.iter().enumerate().zip(body.bottom() - rows..) {
        let sign = if place == 0 { theme.glyphs.alert } else { " " };
        let row = Rect::new(body.x, y, body.width, 1);
        toast(
            &format!("{sign} {line}"),
            Role::Bad,
            row,
            frame.buffer,
            theme,
        );
    }
    rows
}

fn footer(model: &Model, row: Rect, frame: &mut Frame<'_>, theme: &Theme) {
    if let Some(Overlay::Prompt(prompt)) = &model.overlay {
        return overlays::prompt(prompt, row, frame, theme);
    }
    let ascii = theme.glyphs.ascii;
    let commands = match &model.overlay {
        None => model.screens.get(model.current).hints(&model.shared),
        Some(Overlay::Sheet(_)) => vec![Command::NextPane, Command::Back],
        Some(Overlay::Palette(..)) => vec![Command::Open, Command::Back],
        Some(Overlay::Help(_) | Overlay::Page(..)) => {
            vec![Command::Down, Command::HalfPageDown, Command::Back]
        }
        Some(_) => vec![Command::Back],
    };
    let mut shown: Vec<(String, &str)> = Vec::new();
    let fixed = [Command::Palette, Command::Help];
    for command in commands {
        if fixed.contains(&command) {
            continue;
        }
        if model.overlay.is_none() && available(command, model).is_err() {
            continue;
        }
        let label = match (&model.overlay, command) {
            (Some(Overlay::Sheet(sheet)), Command::Back) if !sheet.sent() => "back, nothing sent",
            (Some(Overlay::Sheet(_)), Command::NextPane) => "next field",
            _ => command.short(),
        };
        shown.push((model.shared.keymap.key(command, ascii), label));
    }
    if model.overlay.is_none() {
        let hint = |command: Command| (model.shared.keymap.key(command, ascii), command.short());
        let ways_out = fixed.map(hint);
        // Whatever else is left out: these two lead to all of it.
        let columns = |hints: &[(String, &str)]| -> usize {
            let each = hints
                .iter()
                .map(|(key, label)| width(key) + width(label) + 3);
            each.sum()
        };
        let room = usize::from(row.width).saturating_sub(columns(&ways_out));
        while columns(&shown) > room && shown.pop().is_some() {}
        shown.extend(ways_out);
    }
    let shown: Vec<(&str, &str)> = shown
        .iter()
        .filter(|(key, _)| !key.is_empty())
        .map(|(key, label)| (key.as_str(), *label))
        .collect();
    hints(&shown, row, frame.buffer, theme);
}

fn toasts(model: &Model, body: Rect, frame: &mut Frame<'_>, theme: &Theme) {
    let columns = usize::from(body.width.saturating_sub(2)).max(8);
    let mut end = body.bottom();
    for note in model.shared.toasts.iter().rev() {
        let role = match note.level {
            Level::Info => Role::Toast,
            Level::Good => Role::Good,
            Level::Bad => Role::Bad,
        };
        let sign = match note.level {
            Level::Info => "",
            Level::Good => theme.glyphs.dot,
            Level::Bad => theme.glyphs.alert,
        };
        let text = format!("{sign} {}", note.text);
        let mut lines = wrap(text.trim_start(), columns);
        // A path or a reason is worth some rows, a flood is not.
        lines.truncate(TOAST_ROWS);
        let rows = lines.len() as u16;
        if end < body.top() + rows {
            return;
        }
        end -= rows;
        for (line, y) in lines.iter().zip(end..) {
            let row = Rect::new(body.x, y, body.width, 1);
            toast(line, role, row, frame.buffer, theme);
        }
    }
}
