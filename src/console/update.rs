//! An event and the model in, a changed model and effects out. No clock, no input or output.
//!
//! What is shared is changed first, then the event goes on to the screens: commands to the one that is shown,
//! everything else to all of them.

mod commands;
mod outbox;
mod overlays;

pub use commands::available;

use super::command::Command;
use super::drill;
use super::effect::{Call, Effect};
use super::event::{Event, Level, LinkState, Reply};
use super::model::{Ctx, Model, Overlay};
use super::screens::{Jump, ScreenId};
use super::screens::{credentials::holdings, held};
use super::session::{self, SessionEnd};
use crate::display::time::TimeFormat;
use crate::wire::FeedItem;

/// Takes one event.
pub fn update(model: &mut Model, event: &Event) -> Vec<Effect> {
    let mut effects = Vec::new();
    let mut jump = None;
    match event {
        Event::Command(command) => commands::command(model, *command, &mut jump, &mut effects),
        Event::Choice(key) => overlays::choice(model, *key, &mut jump, &mut effects),
        Event::Edit(edit) => overlays::edit(model, edit, &mut jump, &mut effects),
        Event::Masked(length) => {
            if let Some(Overlay::Prompt(prompt)) = &mut model.overlay {
                prompt.masked = *length;
            }
        }
        event => {
            shared(model, event, &mut jump, &mut effects);
            for id in ScreenId::ALL {
                with_screen(model, *id, &mut jump, &mut effects, |screen, ctx| {
                    screen.update(event, ctx);
                });
            }
        }
    }
    // A jump may cause another one; more than a few would be two screens sending each other about.
    for _ in 0..4 {
        let Some(to) = jump.take() else { break };
        go(model, &to, &mut jump, &mut effects);
    }
    effects
}

/// Lends a screen and everything it may touch to `what`.
fn with_screen(
    model: &mut Model,
    id: ScreenId,
    jump: &mut Option<Jump>,
    effects: &mut Vec<Effect>,
    what: impl FnOnce(&mut dyn super::screens::Screen, &mut Ctx<'_>),
) {
    let frozen = model.frozen();
    let mut ctx = Ctx {
        shared: &mut model.shared,
        overlay: &mut model.overlay,
        current: model.current,
        frozen,
        jump,
        effects,
    };
    what(model.screens.get_mut(id), &mut ctx);
}

/// The same without a screen.
fn with<T>(
    model: &mut Model,
    jump: &mut Option<Jump>,
    effects: &mut Vec<Effect>,
    what: impl FnOnce(&mut Ctx<'_>) -> T,
) -> T {
    let frozen = model.frozen();
    what(&mut Ctx {
        shared: &mut model.shared,
        overlay: &mut model.overlay,
        current: model.current,
        frozen,
        jump,
        effects,
    })
}

fn go(model: &mut Model, to: &Jump, jump: &mut Option<Jump>, effects: &mut Vec<Effect>) {
    if to.screen != model.current {
        model.previous = model.current;
        model.current = to.screen;
    }
    with_screen(model, to.screen, jump, effects, |screen, ctx| {
        screen.enter(ctx);
        if to.id.is_some() || to.filter.is_some() {
            screen.jump(to, ctx);
        }
    });
}

/// What an event changes for all screens.
fn shared(model: &mut Model, event: &Event, jump: &mut Option<Jump>, effects: &mut Vec<Effect>) {
    match event {
        Event::Tick(now) => {
            model.shared.now = *now;
            model.shared.toasts.retain(|toast| toast.until > *now);
            with(model, jump, effects, session::tick);
        }
        Event::Resized(width, height) => model.shared.size = (*width, *height),
        Event::Chain(state) => model.shared.chain = state.clone(),
        Event::Note(level, text) => with(model, jump, effects, |ctx| ctx.toast(*level, text)),
        Event::Known(known) => {
            model.shared.last_broker = Some((known.broker.clone(), known.environment));
        }
        Event::Cached(header, at) => {
            model.shared.fleet.expect_rows(header.count);
            if model.shared.fleet.is_empty() {
                model.shared.cached_at = Some(*at);
            }
        }
        Event::Reload(header) => {
            model.shared.fleet.expect_rows(header.count);
            model.shared.sequence = model.shared.sequence.max(header.sequence);
        }
        Event::Rows(block) => model.shared.fleet.extend(block),
        Event::Loaded(true) => model.shared.cached_at = None,
        Event::Link(link) => linked(model, link, jump, effects),
        Event::Feed(item) => fed(model, item, jump, effects),
        Event::Hashed(digest) => {
            model.overlay = None;
            with(model, jump, effects, |ctx| ctx.call(Call::Lookup(*digest)));
        }
        Event::Reply(id, reply) => {
            let asked = model.shared.calls.iter().find(|(open, _)| open == id);
            let asked = asked.map(|(_, call)| call.clone());
            model.shared.calls.retain(|(open, _)| open != id);
            // These are asked for by no screen, so no screen says what went wrong.
            let what = match &asked {
                Some(Call::Session) => Some("who is signed in is not known"),
                Some(Call::SignIn(_)) => Some("not signed in"),
                Some(Call::Lookup(_)) => Some("the key could not be looked for"),
                Some(Call::ClientHoldings(_)) => Some("what the client holds is not known"),
                Some(Call::HeldBy(_)) => Some("what they hold is not known"),
                Some(Call::OverdueReviews) => Some("the access reviews are not known"),
                _ => None,
            };
            if let (Some(what), Err(error)) = (what, reply.as_ref()) {
                with(model, jump, effects, |ctx| ctx.failed(what, error));
            }
            if let (Some(Call::Renew(_)), Err(error)) = (&asked, reply.as_ref()) {
                session::not_renewed(&mut model.shared, error);
            }
            if reply.is_ok() {
                model.shared.heard_at = Some(model.shared.now);
            }
            outbox::replied(model, *id, reply, jump, effects);
            match reply.as_ref() {
                Ok(Reply::Session(session)) => {
                    let shared = &mut model.shared;
                    shared.session_end = Some(SessionEnd::of(session, shared.now));
                    shared.session = Some((**session).clone());
                    if matches!(asked, Some(Call::SignIn(_))) {
                        signed_in(model, jump, effects);
                    }
                }
                Ok(Reply::Requests(page)) => {
                    for row in &page.items {
                        model.shared.requests.insert(row.id, row.clone());
                    }
                }
                Ok(Reply::Request(detail)) => {
                    model
                        .shared
                        .requests
                        .insert(detail.row.id, detail.row.clone());
                }
                Ok(Reply::Credential(detail)) => {
                    model.shared.fleet.upsert(&detail.row);
                }
                Ok(Reply::ClientHoldings(held)) => with(model, jump, effects, |ctx| {
                    holdings::opens(held, ctx);
                }),
                Ok(Reply::HeldBy(held)) => with(model, jump, effects, |ctx| held::opens(held, ctx)),
                Ok(Reply::Reviews(overdue)) => with(model, jump, effects, |ctx| {
                    held::opens_reviews(overdue, ctx);
                }),
                Ok(Reply::Found(found)) => with(model, jump, effects, |ctx| match found {
                    Some(row) => {
                        ctx.shared.fleet.upsert(row);
                        ctx.toast(Level::Bad, format!("that key belongs to {}", row.name));
                        drill::found(row, ctx);
                    }
                    None => ctx.toast(Level::Info, "no credential here has that secret"),
                }),
                Ok(Reply::Events(page)) => drill::records(model, id, page, effects),
                _ => {}
            }
        }
        _ => {}
    }
}

/// A person signed in from here.
fn signed_in(model: &mut Model, jump: &mut Option<Jump>, effects: &mut Vec<Effect>) {
    let shared = &model.shared;
    let until = shared.session_end.as_ref().map_or(shared.now, |end| end.at);
    let until = TimeFormat::Utc.short(until, shared.now);
    // A stream that is open goes on; where there is none, it is time to begin.
    if !matches!(shared.link, LinkState::Live { .. } | LinkState::CatchingUp) {
        effects.push(Effect::Reload);
    }
    with(model, jump, effects, |ctx| {
        ctx.toast(Level::Good, format!("signed in until {until}"));
    });
}

fn linked(model: &mut Model, link: &LinkState, jump: &mut Option<Jump>, effects: &mut Vec<Effect>) {
    let was_live = matches!(model.shared.link, LinkState::Live { .. });
    let is_live = matches!(link, LinkState::Live { .. });
    if was_live || is_live {
        model.shared.heard_at = Some(model.shared.now);
    }
    let before = std::mem::replace(&mut model.shared.link, link.clone());
    // Who is signed in is asked beside the list and not after it: the first screen needs no list.
    let unknown = model.shared.session.is_none() || matches!(before, LinkState::SignedOut(_));
    if *link == LinkState::Connecting && unknown {
        with(model, jump, effects, |ctx| ctx.call(Call::Session));
    }
    if is_live && !was_live {
        if model.shared.session.is_none() {
            with(model, jump, effects, |ctx| ctx.call(Call::Session));
        }
        outbox::settle(model, jump, effects);
        let current = model.current;
        with_screen(model, current, jump, effects, |screen, ctx| {
            screen.enter(ctx);
        });
    }
}

/// Issued at once, without a quorum: everybody who looks is told.
const GLASS_BROKEN: &str = "request.glass_broken";

fn credential_of(item: &FeedItem) -> &str {
    match &item.request {
        Some(row) => &row.credential,
        None => &item.event.subject,
    }
}

fn fed(model: &mut Model, item: &FeedItem, jump: &mut Option<Jump>, effects: &mut Vec<Effect>) {
    let shared = &mut model.shared;
    shared.sequence = shared.sequence.max(item.event.sequence);
    shared.fleet.feed(item);
    if let Some(row) = &item.request {
        shared.requests.insert(row.id, row.clone());
    }
    let credential = item.credential.as_ref();
    let touched = [
        (item.event.subject.clone(), item.event.sequence),
        credential.map_or_else(Default::default, |row| (row.id.to_string(), row.sequence)),
        item.request
            .as_ref()
            .map_or_else(Default::default, |row| (row.id.to_string(), row.sequence)),
    ];
    let what = format!("{} by {}", item.event.kind, item.event.actor.name);
    if item.event.kind == GLASS_BROKEN {
        let name = credential_of(item);
        let text = format!("GLASS BROKEN by {}: {name}", item.event.actor.name);
        effects.push(Effect::Bell);
        effects.push(Effect::Title(text.clone()));
        effects.push(Effect::Notify(text.clone()));
        with(model, jump, effects, |ctx| ctx.toast(Level::Bad, text));
    }
    if let Some(Overlay::Sheet(sheet)) = &mut model.overlay {
        for (id, sequence) in &touched {
            sheet.object_moved(id, *sequence, &what);
        }
    }
    let watched = |id: &&(String, u64)| model.shared.watched.contains(&id.0);
    if touched.iter().any(|id| watched(&id)) {
        let name = match item.event.subject_name.as_str() {
            "" => &item.event.subject,
            name => name,
        };
        let text = format!("{name}: {what}");
        effects.push(Effect::Bell);
        effects.push(Effect::Title(text.clone()));
        effects.push(Effect::Notify(text.clone()));
        with(model, jump, effects, |ctx| ctx.toast(Level::Info, text));
    }
}

/// Runs a command as if its key had been pressed.
fn run(model: &mut Model, command: Command, jump: &mut Option<Jump>, effects: &mut Vec<Effect>) {
    commands::command(model, command, jump, effects);
}
