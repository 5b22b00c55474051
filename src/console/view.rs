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
use super::theme::{Role, Theme};
use super::update::available;
use super::widgets;
use super::widgets::section::{hints, toast};
use ratatui::layout::Rect;

/// Narrower or lower than this, only a sentence is drawn.
const LEAST: (u16, u16) = (40, 8);

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
    toasts(model, body, frame, theme);
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
        for command in fixed {
            shown.push((model.shared.keymap.key(command, ascii), command.short()));
        }
    }
    let shown: Vec<(&str, &str)> = shown
        .iter()
        .filter(|(key, _)| !key.is_empty())
        .map(|(key, label)| (key.as_str(), *label))
        .collect();
    hints(&shown, row, frame.buffer, theme);
}

fn toasts(model: &Model, body: Rect, frame: &mut Frame<'_>, theme: &Theme) {
    let toasts = &model.shared.toasts;
    for (note, y) in toasts.iter().rev().zip((body.top()..body.bottom()).rev()) {
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
        let row = Rect::new(body.x, y, body.width, 1);
        let text = format!("{sign} {}", note.text);
        toast(text.trim_start(), role, row, frame.buffer, theme);
    }
}
