//! A sheet: what will happen, what is still to be filled in, and only then the key that sends it.

use super::overlays::typed;
use crate::console::backend::Frame;
use crate::console::command::Command;
use crate::console::model::{Model, Outcome};
use crate::console::sheet::{Fact, FieldKind, Sheet, Tone};
use crate::console::theme::{Role, Theme};
use crate::console::widgets::section::sheet as boxed;
use crate::console::widgets::text::wrap;
use crate::console::widgets::{put, put_right};
use crate::display::sanitize::{safe, width};
use ratatui::layout::Rect;

/// One drawn line.
struct Line {
    label: String,
    text: String,
    role: Role,
    /// The field that is typed here.
    field: Option<usize>,
}

impl Line {
    fn new(text: impl Into<String>, role: Role) -> Self {
        Self {
            label: String::new(),
            text: text.into(),
            role,
            field: None,
        }
    }
}

/// Draws the sheet in the middle of `area`.
pub fn sheet(sheet: &Sheet, model: &Model, area: Rect, frame: &mut Frame<'_>, theme: &Theme) {
    let columns = area.width.saturating_sub(4).min(76);
    let room = usize::from(columns.saturating_sub(4));
    let mut lines = Vec::new();
    sheet
        .facts
        .iter()
        .for_each(|fact| facts(fact, room, &mut lines, theme));
    for (place, field) in sheet.fields.iter().enumerate() {
        lines.push(Line::new("", Role::Text));
        let done = if field.done() {
            theme.glyphs.dot
        } else {
            theme.glyphs.ring
        };
        let label = format!("{done} {}  {}", place + 1, field.label);
        lines.extend(
            wrap(&label, room)
                .into_iter()
                .map(|text| Line::new(text, Role::Strong)),
        );
        lines.push(Line {
            field: Some(place),
            ..Line::new("", Role::Input)
        });
        if let Some(why) = &field.refused {
            lines.push(Line::new(format!("     {why}"), Role::Bad));
        }
        let wrong = match &field.kind {
            FieldKind::Confirm(wanted) => !wanted.starts_with(field.line.text()),
            FieldKind::Reason { .. } => false,
        };
        if wrong {
            lines.push(Line::new("     this is not its name", Role::Warn));
        }
    }
    lines.push(Line::new("", Role::Text));
    closing(sheet, model, room, &mut lines, theme);

    let inside = boxed(
        &safe(&sheet.title),
        (columns, lines.len() as u16 + 3),
        area,
        frame.buffer,
        theme,
    );
    let height = usize::from(inside.height);
    let from = scrolled(sheet, &lines, height);
    for (line, y) in lines[from..].iter().zip(inside.top()..inside.bottom()) {
        let label = put(
            frame.buffer,
            theme,
            (inside.x, y),
            inside.width,
            &line.label,
            theme.style(Role::Muted),
        );
        let x = inside.x + label;
        let width = inside.width.saturating_sub(label);
        match line
            .field
            .and_then(|place| sheet.fields.get(place).map(|field| (place, field)))
        {
            None => {
                put(
                    frame.buffer,
                    theme,
                    (x, y),
                    width,
                    &line.text,
                    theme.style(line.role),
                );
            }
            Some((place, field)) => {
                let sign = if place == sheet.focus && !sheet.sent() {
                    ">"
                } else {
                    " "
                };
                put(
                    frame.buffer,
                    theme,
                    (x + 3, y),
                    1,
                    sign,
                    theme.style(Role::Focused),
                );
                let area = Rect::new(x + 5, y, width.saturating_sub(6), 1);
                if place == sheet.focus && !sheet.sent() {
                    typed(field.line.text(), field.line.before(), area, frame, theme);
                } else {
                    let style = theme.style(Role::Input);
                    put(
                        frame.buffer,
                        theme,
                        (area.x, y),
                        area.width,
                        field.line.text(),
                        style,
                    );
                }
            }
        }
    }
    let below = lines.len().saturating_sub(from + height);
    if below > 0 {
        let note = format!(
            " {below} more below, {} ",
            model
                .shared
                .keymap
                .key(Command::HalfPageDown, theme.glyphs.ascii)
        );
        let at = (inside.right(), inside.bottom());
        put_right(
            frame.buffer,
            theme,
            at,
            inside.width,
            &note,
            theme.style(Role::Warn),
        );
    }
}

/// The lines above the window. What the person scrolled to, within what there is; untouched, the field in
/// focus is kept in sight.
fn scrolled(sheet: &Sheet, lines: &[Line], height: usize) -> usize {
    let last = lines.len().saturating_sub(height);
    if sheet.scroll > 0 {
        return sheet.scroll.min(last);
    }
    let focus = lines
        .iter()
        .position(|line| line.field == Some(sheet.focus));
    focus
        .map_or(0, |at| (at + 3).saturating_sub(height))
        .min(last)
}

fn facts(fact: &Fact, room: usize, lines: &mut Vec<Line>, theme: &Theme) {
    let role = match fact.tone {
        Tone::Plain => Role::Text,
        Tone::Strong => Role::Strong,
        Tone::Warn => Role::Warn,
        Tone::Quote => Role::Quote,
        Tone::Muted => Role::Muted,
    };
    let indent = if fact.label.is_empty() {
        0
    } else {
        width(&fact.label).max(7) + 1
    };
    let gutter = match fact.tone {
        Tone::Quote => format!("{} ", theme.glyphs.quote),
        Tone::Warn => format!("{} ", theme.glyphs.alert),
        _ => String::new(),
    };
    let text = room.saturating_sub(indent + width(&gutter)).max(8);
    for (place, line) in wrap(&fact.text, text).into_iter().enumerate() {
        let label = if place == 0 { fact.label.as_str() } else { "" };
        let gutter = match (fact.tone, place) {
            (Tone::Warn, 1..) => "  ",
            _ => &gutter,
        };
        lines.push(Line {
            label: format!("{label:indent$}"),
            text: format!("{gutter}{line}"),
            role,
            field: None,
        });
    }
}

/// The last lines: what is still missing, the key that sends, or what became of it.
fn closing(sheet: &Sheet, model: &Model, room: usize, lines: &mut Vec<Line>, theme: &Theme) {
    let key = model.shared.keymap.key(Command::Commit, theme.glyphs.ascii);
    if sheet.sent() {
        for target in &sheet.targets {
            let sent = target.sent.as_ref();
            let sent = sent.and_then(|key| model.shared.outbox.iter().find(|s| s.call.key == *key));
            let Some(sent) = sent else { continue };
            let (word, text, role) = match &sent.outcome {
                Outcome::Sending(_) => ("SENT", "no answer yet".into(), Role::Text),
                Outcome::Done(receipt) => ("DONE", receipt.state.clone(), Role::Good),
                Outcome::Refused(why) => ("REFUSED", format!("nothing happened: {why}"), Role::Bad),
                Outcome::NotSent(why) => {
                    ("NOT SENT", format!("nothing happened: {why}"), Role::Bad)
                }
                Outcome::Unknown(why) => (
                    "UNKNOWN",
                    format!("{why}; {key} asks again by the same key, which cannot do it twice"),
                    Role::Warn,
                ),
                Outcome::CalledOff => (
                    "CALLED OFF",
                    format!(
                        "it may have happened; {key} sends it again by the same key, which cannot do it twice"
                    ),
                    Role::Warn,
                ),
            };
            let text = format!("{word}  {}: {text}", target.name);
            lines.extend(
                wrap(&text, room)
                    .into_iter()
                    .map(|line| Line::new(line, role)),
            );
        }
        return;
    }
    let blocked = sheet.missing().or_else(|| model.shared.refuses_changes());
    let (text, role) = match blocked {
        Some(why) => (
            format!("Nothing can be sent: {why}. Enter never sends."),
            Role::Muted,
        ),
        None => (format!("{key}  {}", sheet.verb), Role::Focused),
    };
    lines.extend(
        wrap(&text, room)
            .into_iter()
            .map(|line| Line::new(line, role)),
    );
}
