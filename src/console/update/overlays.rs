//! What lies over the screen: help, palette, menus, sheets, prompts. Whatever is on top has the keys.

use super::{available, outbox, run, with, with_screen};
use crate::console::command::Command;
use crate::console::drill;
use crate::console::edit::Edit;
use crate::console::effect::{Call, Effect};
use crate::console::event::Level;
use crate::console::model::{Choice, Model, Overlay, PromptKind};
use crate::console::palette;
use crate::console::screens::Jump;

/// Longest text in a prompt, in bytes.
const LINE_MAX: usize = 1_000;

/// A command while something lies over the screen. Returns whether that was the end of it.
pub fn command(
    model: &mut Model,
    command: Command,
    jump: &mut Option<Jump>,
    effects: &mut Vec<Effect>,
) -> bool {
    let Some(mut overlay) = model.overlay.take() else {
        return false;
    };
    let page = (usize::from(model.shared.size.1) / 2).max(1);
    match (&mut overlay, command) {
        (Overlay::Prompt(prompt), Command::Back) => {
            match prompt.kind {
                PromptKind::Filter => filter(model, &prompt.before.clone(), jump, effects),
                PromptKind::FindKey => {
                    effects.push(Effect::ClearMasked);
                    Ok(())
                }
                PromptKind::Holder => Ok(()),
            }
            .unwrap_or_default();
            return true;
        }
        (Overlay::Sheet(sheet), Command::Back) => {
            if sheet.sent() {
                with(model, jump, effects, |ctx| {
                    ctx.toast(Level::Info, "the sheet is closed; what was sent stays sent");
                });
            }
            return true;
        }
        (_, Command::Back) => return true,
        (Overlay::Help(_), Command::Help) | (Overlay::Palette(..), Command::Palette) => {
            return true;
        }
        (Overlay::Prompt(prompt), Command::Open) => match prompt.kind {
            PromptKind::Filter if prompt.error.is_none() => return true,
            PromptKind::Filter => {}
            PromptKind::FindKey if prompt.masked > 0 => effects.push(Effect::HashMasked),
            PromptKind::FindKey => {}
            PromptKind::Holder => {
                let name = prompt.line.text().trim();
                if !name.is_empty() {
                    held_by(model, name, jump, effects);
                    return true;
                }
            }
        },
        (Overlay::Palette(line, cursor), Command::Open) => {
            if let Some(name) = palette::holder(line.text()) {
                held_by(model, name, jump, effects);
                return true;
            }
            let found = palette::matches(line.text());
            if let Some(command) = found.get(*cursor) {
                run(model, *command, jump, effects);
                return true;
            }
        }
        (Overlay::Sheet(_), Command::Commit) => {
            let Overlay::Sheet(sheet) = overlay else {
                return true;
            };
            outbox::commit(model, sheet, jump, effects);
            return true;
        }
        (Overlay::Sheet(sheet), Command::NextPane | Command::Open) => sheet.step(1),
        (Overlay::Sheet(sheet), Command::PreviousPane) => sheet.step(-1),
        (Overlay::Menu(menu), Command::Open) => {
            if let Some(cursor) = menu.cursor {
                let key = menu.entries.get(cursor).map(|entry| entry.key);
                model.overlay = Some(overlay);
                if let Some(key) = key {
                    choice(model, key, jump, effects);
                }
                return true;
            }
        }
        (Overlay::Menu(menu), Command::Down | Command::Up) => {
            let last = menu.entries.len().saturating_sub(1);
            if let Some(cursor) = &mut menu.cursor {
                *cursor = match command {
                    Command::Down => (*cursor + 1).min(last),
                    _ => cursor.saturating_sub(1),
                };
            }
        }
        (Overlay::Sheet(sheet), moves) => scroll(&mut sheet.scroll, moves, page),
        (Overlay::Help(from) | Overlay::Page(_, _, from), moves) => {
            let is_move = matches!(
                moves,
                Command::Down
                    | Command::Up
                    | Command::HalfPageDown
                    | Command::HalfPageUp
                    | Command::First
                    | Command::Last
            );
            if !is_move {
                // Help and pages are to be read, not to be fought: any other command closes them and goes on.
                return false;
            }
            scroll(from, moves, page);
        }
        _ => {}
    }
    model.overlay = Some(overlay);
    true
}

/// Asks what somebody holds, as soon as it is known who asks.
fn held_by(model: &mut Model, name: &str, jump: &mut Option<Jump>, effects: &mut Vec<Effect>) {
    let known = available(Command::Holdings, model);
    with(model, jump, effects, |ctx| match known {
        Ok(()) => {
            ctx.call(Call::HeldBy(name.to_owned()));
        }
        Err(why) => ctx.toast(Level::Info, why),
    });
}

/// Moves a window by lines; how far there is to go is the view's affair.
fn scroll(from: &mut usize, command: Command, page: usize) {
    match command {
        Command::Down => *from += 1,
        Command::Up => *from = from.saturating_sub(1),
        Command::HalfPageDown => *from += page,
        Command::HalfPageUp => *from = from.saturating_sub(page),
        Command::First => *from = 0,
        _ => {}
    }
}

/// A key of a menu.
pub fn choice(model: &mut Model, key: char, jump: &mut Option<Jump>, effects: &mut Vec<Effect>) {
    let Some(Overlay::Menu(menu)) = &model.overlay else {
        return;
    };
    let Some(entry) = menu.entries.iter().find(|entry| entry.key == key).cloned() else {
        return with(model, jump, effects, |ctx| {
            ctx.toast(Level::Info, format!("{key} is not on this menu"));
        });
    };
    if let Some(why) = entry.refused {
        let text = format!("{}: {why}", entry.label);
        return with(model, jump, effects, |ctx| ctx.toast(Level::Bad, text));
    }
    model.overlay = None;
    let current = model.current;
    match entry.does {
        Choice::Act(kind) => with_screen(model, current, jump, effects, |screen, ctx| {
            screen.act(kind, ctx);
        }),
        Choice::ActOn(kind, version) => {
            with_screen(model, current, jump, effects, |screen, ctx| {
                screen.act_on(kind, version, ctx);
            });
        }
        Choice::Copy(text) => with(model, jump, effects, |ctx| ctx.copy(text)),
        Choice::Filter(text) => filter(model, &text, jump, effects).unwrap_or_default(),
        Choice::Jump(to) => *jump = Some(to),
        Choice::Drill(step) => with(model, jump, effects, |ctx| drill::step(step, ctx)),
        Choice::Ask(call) => with(model, jump, effects, |ctx| {
            ctx.call(call);
        }),
        Choice::Context(name) => effects.push(Effect::SwitchContext(name)),
        Choice::Quit => effects.push(Effect::Quit),
    }
}

/// Typing into whatever takes it.
pub fn edit(model: &mut Model, edit: &Edit, jump: &mut Option<Jump>, effects: &mut Vec<Effect>) {
    let Some(mut overlay) = model.overlay.take() else {
        return;
    };
    match &mut overlay {
        Overlay::Sheet(sheet) => sheet.edit(edit),
        Overlay::Palette(line, cursor) => match edit {
            Edit::Up => *cursor = cursor.saturating_sub(1),
            Edit::Down => {
                let last = palette::matches(line.text()).len().saturating_sub(1);
                *cursor = (*cursor + 1).min(last);
            }
            _ => {
                line.apply(edit, LINE_MAX);
                *cursor = 0;
            }
        },
        Overlay::Prompt(prompt) if prompt.kind == PromptKind::Holder => {
            prompt.line.apply(edit, LINE_MAX);
        }
        Overlay::Prompt(prompt) if prompt.kind == PromptKind::Filter => {
            let changed = prompt.line.apply(edit, LINE_MAX);
            let text = prompt.line.text().to_owned();
            if changed {
                prompt.error = filter(model, &text, jump, effects).err();
            }
        }
        _ => {}
    }
    model.overlay = Some(overlay);
}

/// Hands a filter to the screen; the error says what is wrong with it.
fn filter(
    model: &mut Model,
    text: &str,
    jump: &mut Option<Jump>,
    effects: &mut Vec<Effect>,
) -> Result<(), String> {
    let current = model.current;
    let mut result = Ok(());
    with_screen(model, current, jump, effects, |screen, ctx| {
        result = screen
            .set_filter(text, ctx)
            .map_err(|error| error.to_string());
    });
    result
}
