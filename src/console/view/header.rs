//! Row 1, the same on every screen: where am I, who am I, is what I see true. And the tabs below it.

use crate::console::event::LinkState;
use crate::console::model::{Model, Shared};
use crate::console::screens::ScreenId;
use crate::console::theme::{Role, Theme};
use crate::console::widgets::{put, put_right};
use crate::display::sanitize::width;
use crate::display::time::{TimeFormat, clock, compact};
use crate::wire::{Environment, Role as Right};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

/// Rights, the one that matters most first.
const RIGHTS: [Right; 6] = [
    Right::Admin,
    Right::Approver,
    Right::Operator,
    Right::Auditor,
    Right::Viewer,
    Right::Requester,
];

/// Row 1.
pub fn header(model: &Model, area: Rect, buf: &mut Buffer, theme: &Theme) {
    let shared = &model.shared;
    let (sign, word, role) = link(model, theme);
    let right = area.right().saturating_sub(1);
    let shown = format!("{sign} {word}");
    let mut x = put_right(
        buf,
        theme,
        (right, area.y),
        right,
        &shown,
        theme.style(role),
    );
    if shared.context.read_only {
        x = put_right(
            buf,
            theme,
            (x.saturating_sub(2), area.y),
            x,
            "RO",
            theme.style(Role::Strong),
        );
    }
    let time = time(shared);
    let x = put_right(
        buf,
        theme,
        (x.saturating_sub(2), area.y),
        x,
        &time,
        theme.style(Role::Text),
    );

    let room = x.saturating_sub(1);
    let environment = shared.environment();
    let (tag, gravest) = place(shared);
    let mut at = put(
        buf,
        theme,
        (0, area.y),
        room,
        &tag,
        theme.environment(gravest),
    ) + 1;
    let session = shared.session.as_ref();
    let broker = shared.broker();
    at += put(
        buf,
        theme,
        (at, area.y),
        room.saturating_sub(at),
        broker,
        theme.style(Role::Strong),
    );
    let who = match session {
        None => match &shared.link {
            LinkState::SignedOut(_) => "signed out".to_owned(),
            _ => String::new(),
        },
        Some(session) => {
            let held = session
                .roles
                .iter()
                .filter(|(env, _)| environment.is_none_or(|e| e == **env));
            let held: Vec<_> = held.flat_map(|(_, roles)| roles).collect();
            let words = RIGHTS.iter().filter(|right| held.contains(right));
            let words: Vec<&str> = words.take(2).map(|right| right.as_str()).collect();
            let words = if words.is_empty() {
                "no role here".into()
            } else {
                words.join("+")
            };
            format!("{} {words}", session.name)
        }
    };
    at += 2;
    put(
        buf,
        theme,
        (at, area.y),
        room.saturating_sub(at),
        &who,
        theme.style(Role::Text),
    );
}

/// The environment in brackets, and the one whose colour it has. Where neither settings nor broker name one, those in
/// which the person holds a role, in the colour of the gravest: what can be done from here is done there.
fn place(shared: &Shared) -> (String, &'static str) {
    if let Some(environment) = shared.environment() {
        return (format!("[{}]", environment.short()), environment.as_str());
    }
    let roles = shared.session.iter().flat_map(|session| &session.roles);
    let held = roles.filter(|(_, roles)| !roles.is_empty());
    let mut held: Vec<Environment> = held.map(|(environment, _)| *environment).collect();
    held.sort_unstable();
    let gravest = held.last().map_or("", |environment| environment.as_str());
    let words: Vec<&str> = held.iter().rev().map(|held| held.short()).collect();
    match words.as_slice() {
        [] => ("[no env]".to_owned(), ""),
        words => (format!("[{}]", words.join("+")), gravest),
    }
}

fn time(shared: &Shared) -> String {
    let now = shared.now;
    match (shared.time, shared.clock) {
        (TimeFormat::Local, true) => now
            .with_timezone(&chrono::Local)
            .format("%H:%M:%S%:z")
            .to_string(),
        (TimeFormat::Local, false) => now
            .with_timezone(&chrono::Local)
            .format("%H:%M%:z")
            .to_string(),
        (_, true) => now.format("%H:%M:%SZ").to_string(),
        (_, false) => now.format("%H:%MZ").to_string(),
    }
}

fn link<'a>(model: &Model, theme: &'a Theme) -> (&'a str, String, Role) {
    let shared = &model.shared;
    let glyphs = &theme.glyphs;
    if shared.paused {
        return (glyphs.paused, "paused".into(), Role::Warn);
    }
    match &shared.link {
        LinkState::Live { .. } if shared.cached_at.is_some() => {
            (glyphs.ring, "loading".into(), Role::Warn)
        }
        LinkState::Live { latency_ms } => (glyphs.dot, format!("live {latency_ms}ms"), Role::Good),
        LinkState::CatchingUp => (glyphs.ring, "catching up".into(), Role::Warn),
        LinkState::SignedOut(_) => (glyphs.alert, "signed out".into(), Role::Bad),
        LinkState::Offline { since, .. } => {
            let away = clock(shared.now - *since);
            (glyphs.alert, format!("offline {away}"), Role::Bad)
        }
        LinkState::Starting | LinkState::Connecting => match model.kept_at() {
            Some(at) => {
                let age = compact(shared.now - at);
                (glyphs.ring, format!("{age} old"), Role::Warn)
            }
            None => (glyphs.ring, "connecting".into(), Role::Warn),
        },
    }
}

/// The tabs; long names where there is room for all.
pub fn tabs(model: &Model, area: Rect, buf: &mut Buffer, theme: &Theme) {
    let label = |id: ScreenId, long: bool| {
        let name = if long { id.title() } else { id.short() };
        let badge = model.screens.get(id).badge(&model.shared);
        let badge = badge
            .filter(|count| *count > 0)
            .map(|count| format!(" {count}"));
        format!("{} {name}{}", id.digit(), badge.unwrap_or_default())
    };
    let total = |long: bool| -> usize {
        ScreenId::ALL
            .iter()
            .map(|id| width(&label(*id, long)) + 3)
            .sum()
    };
    let long = total(true) < usize::from(area.width);
    let mut x = 1;
    for id in ScreenId::ALL {
        let here = *id == model.current;
        let cursor = if here { theme.glyphs.cursor } else { " " };
        put(
            buf,
            theme,
            (x, area.y + 1),
            1,
            cursor,
            theme.style(Role::Focused),
        );
        let role = if here { Role::Focused } else { Role::Text };
        let text = label(*id, long);
        x += 1 + put(
            buf,
            theme,
            (x + 1, area.y + 1),
            area.width - x - 1,
            &text,
            theme.style(role),
        );
        x += if long { 2 } else { 1 };
        if x + 2 >= area.width {
            break;
        }
    }
}
