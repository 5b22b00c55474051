//! Help, palette, menus, pages and prompts.

use crate::console::backend::Frame;
use crate::console::command::{Command, Group};
use crate::console::model::{Menu, Model, Overlay, Prompt, PromptKind};
use crate::console::palette;
use crate::console::theme::{Role, Theme};
use crate::console::update::available;
use crate::console::widgets::section::{sheet as boxed, toast};
use crate::console::widgets::text::wrap;
use crate::console::widgets::{put, put_right};
use crate::display::sanitize::{safe, width};
use ratatui::layout::{Position, Rect};

/// Whatever is a box over the screen, sheets apart.
pub fn overlay(overlay: &Overlay, model: &Model, area: Rect, frame: &mut Frame<'_>, theme: &Theme) {
    match overlay {
        Overlay::Help(from) => help(model, *from, area, frame, theme),
        Overlay::Palette(line, cursor) => {
            let inside = boxed("COMMAND", (76, 18), area, frame.buffer, theme);
            if inside.height < 3 {
                return;
            }
            typed(
                line.text(),
                line.before(),
                Rect {
                    height: 1,
                    ..inside
                },
                frame,
                theme,
            );
            let rows = Rect {
                y: inside.y + 2,
                height: inside.height - 2,
                ..inside
            };
            commands(model, line.text(), *cursor, rows, frame, theme);
        }
        Overlay::Menu(open) => menu(open, area, frame, theme),
        Overlay::Page(title, lines, from) => {
            let inside = boxed(
                &safe(title),
                (area.width - 4, area.height),
                area,
                frame.buffer,
                theme,
            );
            let columns = usize::from(inside.width);
            let lines = lines
                .iter()
                .flat_map(|line| hanging(line, columns, theme.glyphs.quote));
            let styled = lines.map(|line| (line, Role::Text));
            page(&styled.collect::<Vec<_>>(), *from, inside, frame, theme);
        }
        Overlay::Sheet(_) | Overlay::Prompt(_) => {}
    }
}

/// A line of a page in lines of at most `columns`: what goes on stands under its beginning, behind the same gutter.
fn hanging(line: &str, columns: usize, gutter: &str) -> Vec<String> {
    let inner = line.trim_start_matches(' ').trim_start_matches(gutter);
    let inner = inner.trim_start_matches(' ');
    let lead = &line[..line.len() - inner.len()];
    let taken = width(lead);
    if taken * 2 > columns {
        return wrap(line, columns);
    }
    let parts = wrap(inner, columns - taken);
    parts.iter().map(|part| format!("{lead}{part}")).collect()
}

fn page(lines: &[(String, Role)], from: usize, area: Rect, frame: &mut Frame<'_>, theme: &Theme) {
    let height = usize::from(area.height);
    let from = from.min(lines.len().saturating_sub(height));
    for ((line, role), y) in lines[from..].iter().zip(area.top()..area.bottom()) {
        put(
            frame.buffer,
            theme,
            (area.x, y),
            area.width,
            line,
            theme.style(*role),
        );
    }
    let below = lines.len().saturating_sub(from + height);
    if below > 0 {
        let note = format!(" {below} more below ");
        let at = (area.right(), area.bottom());
        put_right(
            frame.buffer,
            theme,
            at,
            area.width,
            &note,
            theme.style(Role::Muted),
        );
    }
}

fn help(model: &Model, from: usize, area: Rect, frame: &mut Frame<'_>, theme: &Theme) {
    let inside = boxed("KEYS", (78, area.height), area, frame.buffer, theme);
    let mut lines = Vec::new();
    for group in Group::ALL {
        lines.push((group.title().to_owned(), Role::Title));
        for command in Command::ALL
            .iter()
            .filter(|command| command.group() == group)
        {
            let keys = model
                .shared
                .keymap
                .keys(*command, theme.glyphs.ascii)
                .join(" ");
            let keys = if keys.is_empty() { ":".into() } else { keys };
            let refused = available(*command, model).err();
            let role = if refused.is_some() {
                Role::Muted
            } else {
                Role::Text
            };
            let gap = " ".repeat(12_usize.saturating_sub(width(&keys)));
            lines.push((format!(" {keys}{gap} {}", command.help()), role));
        }
        lines.push((String::new(), Role::Text));
    }
    lines.push((
        "In the act menu each entry has one key, the same everywhere.".into(),
        Role::Muted,
    ));
    page(&lines, from, inside, frame, theme);
}

fn commands(
    model: &Model,
    text: &str,
    cursor: usize,
    area: Rect,
    frame: &mut Frame<'_>,
    theme: &Theme,
) {
    let found = palette::matches(text);
    let height = usize::from(area.height);
    let from = (cursor + 1).saturating_sub(height);
    for ((place, command), y) in (0..).zip(&found).skip(from).zip(area.top()..area.bottom()) {
        let here = place == cursor;
        let sign = if here { theme.glyphs.cursor } else { " " };
        put(
            frame.buffer,
            theme,
            (area.x, y),
            1,
            sign,
            theme.style(Role::Focused),
        );
        let keys = model
            .shared
            .keymap
            .keys(*command, theme.glyphs.ascii)
            .join(" ");
        put(
            frame.buffer,
            theme,
            (area.x + 2, y),
            12,
            &keys,
            theme.style(Role::Key),
        );
        let refused = available(*command, model).err();
        let role = if refused.is_some() {
            Role::Muted
        } else {
            Role::Text
        };
        let room = area.width.saturating_sub(15);
        let used = put(
            frame.buffer,
            theme,
            (area.x + 15, y),
            room,
            command.help(),
            theme.style(role),
        );
        let note = refused.or_else(|| palette::twin(*command).map(Into::into));
        if let Some(note) = note.filter(|note| usize::from(room - used) > width(note) + 2) {
            let at = (area.right(), y);
            put_right(
                frame.buffer,
                theme,
                at,
                room,
                &note,
                theme.style(Role::Muted),
            );
        }
    }
    if found.is_empty() {
        put(
            frame.buffer,
            theme,
            (area.x, area.y),
            area.width,
            "no such command",
            theme.style(Role::Muted),
        );
    }
}

fn menu(menu: &Menu, area: Rect, frame: &mut Frame<'_>, theme: &Theme) {
    let columns = area.width.saturating_sub(4).min(76);
    let room = usize::from(columns.saturating_sub(22));
    let mut rows: Vec<(Option<usize>, Vec<String>, bool)> = Vec::new();
    for (place, entry) in menu.entries.iter().enumerate() {
        let text = entry
            .refused
            .as_ref()
            .map_or_else(|| entry.note.clone(), |why| format!("not now: {why}"));
        rows.push((Some(place), wrap(&text, room), entry.refused.is_some()));
    }
    let lines: usize = rows.iter().map(|(_, lines, _)| lines.len().max(1)).sum();
    let inside = boxed(
        &safe(&menu.title),
        (columns, lines as u16 + 4),
        area,
        frame.buffer,
        theme,
    );
    let mut y = inside.y + 1;
    for (place, lines, refused) in rows {
        let Some(place) = place.filter(|_| y < inside.bottom()) else {
            continue;
        };
        let entry = &menu.entries[place];
        let here = menu.cursor == Some(place);
        let sign = if here { theme.glyphs.cursor } else { " " };
        put(
            frame.buffer,
            theme,
            (inside.x, y),
            1,
            sign,
            theme.style(Role::Focused),
        );
        let (key, text) = if refused {
            (Role::Muted, Role::Muted)
        } else {
            (Role::Key, Role::Text)
        };
        put(
            frame.buffer,
            theme,
            (inside.x + 2, y),
            1,
            &entry.key.to_string(),
            theme.style(key),
        );
        put(
            frame.buffer,
            theme,
            (inside.x + 4, y),
            13,
            &entry.label,
            theme.style(text),
        );
        for line in &lines {
            if y < inside.bottom() {
                let role = if refused { Role::Muted } else { Role::Text };
                put(
                    frame.buffer,
                    theme,
                    (inside.x + 18, y),
                    room as u16,
                    line,
                    theme.style(role),
                );
            }
            y += 1;
        }
        y += u16::from(lines.is_empty());
    }
}

/// The last row while something is typed there.
pub fn prompt(prompt: &Prompt, row: Rect, frame: &mut Frame<'_>, theme: &Theme) {
    let sign = match prompt.kind {
        PromptKind::Filter => "/ ",
        PromptKind::Holder => "who holds it (person, robot or team): ",
        PromptKind::FindKey => "leaked key, hashed here, only the digest is sent: ",
    };
    let used = put(
        frame.buffer,
        theme,
        (row.x, row.y),
        row.width,
        sign,
        theme.style(Role::Key),
    );
    let x = row.x + used;
    let mut room = row.width.saturating_sub(used);
    if let Some(error) = &prompt.error {
        let columns = width(error) as u16;
        if columns < room / 2 {
            room -= columns + 1;
            let at = (row.right(), row.y);
            let style = theme.style(Role::Warn);
            put_right(frame.buffer, theme, at, columns, error, style);
        } else {
            // What would be accepted is the point of it: above the prompt there is room for all of it.
            let lines = wrap(error, usize::from(row.width.saturating_sub(4)).max(8));
            let rows = (lines.len() as u16).min(row.y);
            for (line, y) in lines.iter().zip(row.y - rows..row.y) {
                let above = Rect { y, ..row };
                toast(line, Role::Warn, above, frame.buffer, theme);
            }
        }
    }
    let area = Rect::new(x, row.y, room, 1);
    match prompt.kind {
        PromptKind::Filter | PromptKind::Holder => {
            typed(prompt.line.text(), prompt.line.before(), area, frame, theme);
        }
        PromptKind::FindKey => {
            let shown = theme
                .glyphs
                .masked
                .repeat(prompt.masked.min(usize::from(room)));
            typed(&shown, &shown, area, frame, theme);
        }
    }
}

/// Text being typed, with the terminal's cursor where it stands; scrolled so that it stays visible.
pub fn typed(text: &str, before: &str, area: Rect, frame: &mut Frame<'_>, theme: &Theme) {
    let columns = usize::from(area.width.saturating_sub(1));
    let at = width(&safe(before));
    let shown = safe(text);
    let mut from = 0;
    for (place, c) in shown.char_indices() {
        if at - width(&shown[..from]).min(at) <= columns {
            break;
        }
        from = place + c.len_utf8();
    }
    put(
        frame.buffer,
        theme,
        (area.x, area.y),
        area.width,
        &shown[from..],
        theme.style(Role::Input),
    );
    let x = at - width(&shown[..from]).min(at);
    frame.cursor_at(Position::new(area.x + x as u16, area.y));
}
