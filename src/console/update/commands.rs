//! The commands that mean the same on every screen; the rest goes to the screen that is shown.

use super::{overlays, with, with_screen};
use crate::console::command::Command;
use crate::console::drill;
use crate::console::edit::Line;
use crate::console::effect::{Call, Effect};
use crate::console::event::{Event, Level};
use crate::console::model::{
    Choice, Menu, MenuEntry, Model, Overlay, Prompt, PromptKind, SCREENS_OWN,
};
use crate::console::screens::{Jump, ScreenId};
use crate::display::time::TimeFormat;

/// Why a command cannot be given now, if so. The hints, the help, the palette and the dispatch all ask this.
pub fn available(command: Command, model: &Model) -> Result<(), String> {
    let screen = model.screens.get(model.current);
    let shared = &model.shared;
    let must = |holds: bool, why: &str| if holds { Ok(()) } else { Err(why.to_owned()) };
    match command {
        Command::Filter => must(screen.filter().is_some(), "nothing to filter here"),
        Command::Views => must(!screen.views().is_empty(), "no saved views here"),
        Command::Acts => must(
            !screen.acts(shared).is_empty(),
            "nothing can be done with what the cursor is on",
        ),
        Command::CopyId | Command::CopyMenu | Command::Watch | Command::Raw => must(
            screen.has_subject(shared),
            "the cursor is on nothing that has an identifier",
        ),
        Command::Contexts => must(
            !shared.context.others.is_empty(),
            "no other context is set up",
        ),
        Command::Commit => must(
            matches!(model.overlay, Some(Overlay::Sheet(_))),
            "there is no sheet to send",
        ),
        Command::Login => must(
            shared.session.is_some(),
            "whose login is not known here: run `countersign login NAME` in another terminal",
        ),
        Command::Drill => must(
            shared.drill.is_some(),
            "find a leaked key first: `:find key`, and paste it",
        ),
        Command::FindKey | Command::Holdings => match shared.session {
            None => Err("not signed in yet".into()),
            Some(_) => Ok(()),
        },
        own if SCREENS_OWN.contains(&own) => screen.available(own, shared).map_err(Into::into),
        show => match ScreenId::ALL.iter().find(|id| id.command() == show) {
            None if is_show(show) => Err("this console has no such screen".into()),
            _ => Ok(()),
        },
    }
}

fn is_show(command: Command) -> bool {
    matches!(
        command,
        Command::ShowOverview
            | Command::ShowApprovals
            | Command::ShowCredentials
            | Command::ShowRotation
            | Command::ShowRevocations
            | Command::ShowAudit
            | Command::ShowPolicy
    )
}

/// Carries a command out.
pub fn command(
    model: &mut Model,
    command: Command,
    jump: &mut Option<Jump>,
    effects: &mut Vec<Effect>,
) {
    if command == Command::Interrupt {
        return interrupt(model, jump, effects);
    }
    model.interrupted = false;
    match command {
        Command::Redraw => return effects.push(Effect::Redraw),
        Command::Suspend => return effects.push(Effect::Suspend),
        Command::TimeFormat => {
            model.shared.time = model.shared.time.next();
            let word = match model.shared.time {
                TimeFormat::Ago => "times as distance from now",
                TimeFormat::Utc => "times in UTC",
                TimeFormat::Local => "times in this computer's zone",
            };
            return with(model, jump, effects, |ctx| ctx.toast(Level::Info, word));
        }
        _ => {}
    }
    if model.overlay.is_some() && overlays::command(model, command, jump, effects) {
        return;
    }
    if let Err(why) = available(command, model) {
        return with(model, jump, effects, |ctx| ctx.toast(Level::Info, why));
    }
    if let Some(screen) = ScreenId::ALL.iter().find(|id| id.command() == command) {
        model.overlay = None;
        *jump = Some(Jump {
            screen: *screen,
            id: None,
            filter: None,
        });
        return;
    }
    general(model, command, jump, effects);
}

fn general(
    model: &mut Model,
    command: Command,
    jump: &mut Option<Jump>,
    effects: &mut Vec<Effect>,
) {
    let current = model.current;
    let subject = || model.screens.get(current).subject(&model.shared);
    match command {
        Command::LastScreen => {
            *jump = Some(Jump {
                screen: model.previous,
                id: None,
                filter: None,
            });
        }
        Command::Help => model.overlay = Some(Overlay::Help(0)),
        Command::Palette => model.overlay = Some(Overlay::Palette(Line::default(), 0)),
        Command::Filter => {
            let text = model.screens.get(current).filter().unwrap_or_default();
            model.overlay = Some(prompt(PromptKind::Filter, text.to_owned()));
        }
        Command::FindKey => {
            effects.push(Effect::ClearMasked);
            model.overlay = Some(prompt(PromptKind::FindKey, String::new()));
        }
        Command::Holdings => model.overlay = Some(prompt(PromptKind::Holder, String::new())),
        Command::Drill => {
            if let Some(menu) = drill::menu(&model.shared) {
                model.overlay = Some(Overlay::Menu(menu));
            }
        }
        Command::Acts => model.overlay = Some(Overlay::Menu(act_menu(model))),
        Command::Views => model.overlay = Some(Overlay::Menu(views_menu(model))),
        Command::Contexts => {
            let others = model.shared.context.others.clone();
            let entries = others
                .into_iter()
                .zip('1'..='9')
                .map(|(name, key)| MenuEntry {
                    key,
                    label: name.clone(),
                    note: String::new(),
                    refused: None,
                    does: Choice::Context(name),
                });
            model.overlay = Some(Overlay::Menu(Menu {
                title: "CONTEXT".into(),
                entries: entries.collect(),
                cursor: Some(0),
            }));
        }
        Command::CopyId => {
            let id = subject().map(|subject| subject.id).unwrap_or_default();
            with(model, jump, effects, |ctx| ctx.copy(id));
        }
        Command::CopyMenu => model.overlay = Some(Overlay::Menu(copy_menu(model))),
        Command::Raw => {
            let Some(subject) = subject() else { return };
            let lines = subject.json.lines().map(Into::into).collect();
            model.overlay = Some(Overlay::Page(subject.name, lines, 0));
        }
        Command::Watch => {
            let Some(subject) = subject() else { return };
            let watched = &mut model.shared.watched;
            let off = watched.remove(&subject.id);
            if !off {
                watched.insert(subject.id);
            }
            let word = if off {
                "no longer watching"
            } else {
                "watching"
            };
            let text = format!("{word} {}", subject.name);
            with(model, jump, effects, |ctx| ctx.toast(Level::Info, text));
        }
        Command::Pause => {
            model.shared.paused = !model.shared.paused;
        }
        Command::Refresh => {
            effects.push(Effect::Reload);
            if model.shared.session.is_none() {
                with(model, jump, effects, |ctx| ctx.call(Call::Session));
            }
            with_screen(model, current, jump, effects, |screen, ctx| {
                screen.enter(ctx);
            });
        }
        Command::Export => match model.screens.get(current).export(&model.shared) {
            Some((ending, text)) => effects.push(Effect::Export {
                stem: current.title().to_lowercase(),
                ending: ending.into(),
                text,
            }),
            None => with(model, jump, effects, |ctx| {
                ctx.toast(Level::Info, "there is nothing here to write to a file");
            }),
        },
        Command::Login => {
            let Some(session) = &model.shared.session else {
                return;
            };
            let call = Call::SignIn(session.name.clone());
            with(model, jump, effects, |ctx| {
                ctx.toast(
                    Level::Info,
                    "asking your SSH agent: touch your key if it waits for that",
                );
                ctx.call(call);
            });
        }
        Command::Dump => effects.push(Effect::DumpRecording),
        Command::Quit => quit(model, effects),
        other => with_screen(model, current, jump, effects, |screen, ctx| {
            screen.update(&Event::Command(other), ctx);
        }),
    }
}

fn prompt(kind: PromptKind, text: String) -> Overlay {
    Overlay::Prompt(Prompt {
        kind,
        line: Line::new(text.clone()),
        before: text,
        error: None,
        masked: 0,
    })
}

fn act_menu(model: &Model) -> Menu {
    let shared = &model.shared;
    let screen = model.screens.get(model.current);
    let blocked = shared.refuses_changes();
    let acts = screen.acts(shared).into_iter().map(|act| MenuEntry {
        key: shared.keymap.act_key(act.kind),
        label: act.kind.label().into(),
        note: act.effect,
        refused: act.refused.or_else(|| blocked.clone()),
        does: Choice::Act(act.kind),
    });
    let name = screen.subject(shared).map(|subject| subject.name);
    Menu {
        title: format!("ACT  {}", name.unwrap_or_default()),
        entries: acts.collect(),
        // No default: Enter takes nothing here.
        cursor: None,
    }
}

fn views_menu(model: &Model) -> Menu {
    let views = model.screens.get(model.current).views();
    let entries = views
        .iter()
        .zip('1'..='9')
        .map(|((name, filter), key)| MenuEntry {
            key,
            label: (*name).into(),
            note: (*filter).into(),
            refused: None,
            does: Choice::Filter((*filter).into()),
        });
    Menu {
        title: "SAVED VIEWS".into(),
        entries: entries.collect(),
        cursor: Some(0),
    }
}

fn copy_menu(model: &Model) -> Menu {
    let shared = &model.shared;
    let screen = model.screens.get(model.current);
    let list = screen.twin(shared);
    let subject = screen.subject(shared);
    let (id, json, twin) = match subject {
        Some(subject) => (subject.id, subject.json, subject.twin),
        None => Default::default(),
    };
    let entry = |key: char, label: &str, note: &str, text: String| MenuEntry {
        key,
        label: label.into(),
        note: note.into(),
        refused: None,
        does: Choice::Copy(text),
    };
    Menu {
        title: "COPY AS".into(),
        entries: vec![
            entry('i', "identifier", &id, id.clone()),
            entry('j', "JSON", "the record as it came", json),
            entry('c', "command", &twin, twin.clone()),
            entry('l', "list", &list, list.clone()),
        ],
        cursor: Some(0),
    }
}

fn interrupt(model: &mut Model, jump: &mut Option<Jump>, effects: &mut Vec<Effect>) {
    // What goes on by itself is not the person's to call off.
    let own = |(_, call): &&(_, Call)| !matches!(call, Call::Renew(_));
    if let Some((id, _)) = model.shared.calls.iter().rfind(own) {
        effects.push(Effect::Cancel(*id));
        model.interrupted = false;
    } else if model.interrupted {
        effects.push(Effect::Quit);
    } else {
        model.interrupted = true;
        with(model, jump, effects, |ctx| {
            ctx.toast(Level::Info, "nothing is under way; once more quits");
        });
    }
}

fn quit(model: &mut Model, effects: &mut Vec<Effect>) {
    let open = model
        .shared
        .outbox
        .iter()
        .filter(|sent| sent.open())
        .count();
    if open == 0 {
        return effects.push(Effect::Quit);
    }
    let note =
        format!("all the same: {open} sent and not answered, so whether it happened is not known");
    model.overlay = Some(Overlay::Menu(Menu {
        title: "QUIT?".into(),
        entries: vec![MenuEntry {
            key: 'y',
            label: "quit".into(),
            note,
            refused: None,
            does: Choice::Quit,
        }],
        cursor: None,
    }));
}
