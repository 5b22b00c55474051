//! The gateways: how each learns of revocations, how far it has come, and when it was last heard of.

use crate::console::model::Shared;
use crate::console::screens::kit::Look;
use crate::console::theme::{Glyphs, Role};
use crate::console::widgets::list::{CellSlot, Column, Gutter, Source, Width};
use crate::display::sanitize::{Cut, fit_with};
use crate::display::time::{ago, compact, count};
use crate::wire::{GatewayId, GatewayRow, Profile};
use chrono::{DateTime, TimeDelta, Utc};
use ratatui::text::Line;

/// The panel's columns.
pub const COLUMNS: &[Column<'static>] = &[
    Column::new("GATEWAY", Width::AtLeast(10)),
    Column::new("RUNS", Width::Fixed(8)),
    Column::new("HEARD", Width::Fixed(6)).right(),
    Column::new("BEHIND", Width::Fixed(6)).right(),
    Column::new("STATE", Width::Fixed(7)),
];

/// Those that want looking at first, then by name; those out of service last.
pub fn sorted(rows: &[GatewayRow]) -> Vec<GatewayRow> {
    let mut rows = rows.to_vec();
    rows.sort_by(|one, other| {
        let grave = |row: &GatewayRow| {
            let gone = row.removed_at.is_some();
            (
                gone,
                gone || row.late == 0,
                gone || !row.silent,
                gone || row.waiting == 0,
            )
        };
        let name = one.name.cmp(&other.name);
        grave(one).cmp(&grave(other)).then(name)
    });
    rows
}

/// How it stands: a word and how grave that is.
pub fn standing(row: &GatewayRow) -> (&'static str, Role) {
    match row {
        _ if row.removed_at.is_some() => ("removed", Role::Muted),
        _ if row.late > 0 => ("LATE", Role::Bad),
        _ if row.silent && row.waiting > 0 => ("SILENT", Role::Bad),
        _ if row.silent => ("silent", Role::Warn),
        _ if row.waiting > 0 => ("behind", Role::Warn),
        _ => ("current", Role::Good),
    }
}

/// In one line, for where there is no room for the panel.
pub fn summary(rows: &[GatewayRow], look: &Look<'_>, columns: usize, key: &str) -> Line<'static> {
    let serving = rows.iter().filter(|row| row.removed_at.is_none());
    let (mut all, mut current) = (0_usize, 0_usize);
    let mut trouble = Vec::new();
    for row in serving {
        all += 1;
        let (word, role) = standing(row);
        if role == Role::Good {
            current += 1;
        } else {
            trouble.push(format!("{} {word}", row.name));
        }
    }
    let glyphs = &look.theme.glyphs;
    let line = look.row().put(look.style(Role::Title), " GATEWAYS ").put(
        look.style(Role::Text),
        format!("{current} of {all} current"),
    );
    let line = if trouble.is_empty() {
        line
    } else {
        let grave = rows.iter().any(|row| standing(row).1 == Role::Bad);
        let (sign, role) = if grave {
            (glyphs.alert, Role::Bad)
        } else {
            (glyphs.notice, Role::Warn)
        };
        let room = columns.saturating_sub(line.columns() + key.len() + 8);
        line.put(look.style(role), format!("  {sign} ")).put(
            look.style(role),
            fit_with(&trouble.join(", "), room, Cut::End, glyphs.cut),
        )
    };
    line.end(
        look.style(Role::Muted),
        format!("{key} shows them "),
        columns,
    )
    .line()
}

/// The rows that are seen.
pub struct Panel<'a> {
    /// All of them, sorted.
    pub rows: &'a [GatewayRow],
    /// What is known of now and of the glyphs.
    pub shared: &'a Shared,
}

impl Source for Panel<'_> {
    fn len(&self) -> usize {
        self.rows.len()
    }

    fn gutter(&self, place: usize) -> Gutter {
        let glyphs = if self.shared.ascii {
            Glyphs::ASCII
        } else {
            Glyphs::UNICODE
        };
        let role = self.rows.get(place).map(|row| standing(row).1);
        Gutter {
            marked: false,
            sign: match role {
                Some(Role::Bad) => Some((glyphs.alert, Role::Bad)),
                Some(Role::Warn) => Some((glyphs.ring, Role::Warn)),
                Some(Role::Good) => Some((glyphs.dot, Role::Good)),
                _ => None,
            },
        }
    }

    fn cell(&self, place: usize, column: usize, slot: &mut CellSlot<'_>) {
        let Some(row) = self.rows.get(place) else {
            return;
        };
        let (word, role) = standing(row);
        let text = if row.removed_at.is_some() {
            Role::Muted
        } else {
            Role::Text
        };
        match column {
            0 => slot.identifier(&row.name, text),
            1 => slot.text(runs(row.profile), text),
            2 => {
                let heard = row
                    .seen_at
                    .map_or_else(|| "never".to_owned(), |at| compact(self.shared.now - at));
                slot.text(&heard, if row.silent { role } else { text });
            }
            3 => slot.text(
                &count(row.waiting),
                if row.waiting > 0 { role } else { text },
            ),
            _ => slot.text(word, role),
        }
    }
}

/// What it runs, in eight columns.
fn runs(profile: Profile) -> &'static str {
    match profile {
        Profile::Nginx => "nginx",
        Profile::Envoy => "envoy",
        Profile::Haproxy => "haproxy",
        Profile::Introspection => "rfc7662",
        Profile::Receiver => "receiver",
    }
}

/// Everything about one, as lines.
pub fn lines(row: &GatewayRow, newest: u64, look: &Look<'_>, columns: usize) -> Vec<Line<'static>> {
    let when = |at: DateTime<Utc>| {
        let full = look.time.full(at, look.now);
        let distance = ago(at, look.now);
        if full == distance {
            full
        } else {
            format!("{full}  {distance}")
        }
    };
    let seconds = |s: u64| compact(TimeDelta::seconds(s.min(1 << 32).cast_signed()));
    let (word, role) = standing(row);
    let mut lines = vec![look.rule(
        &row.name,
        &format!("{} in {}", row.profile, row.environment),
        columns,
    )];
    let mut pair = |label: &str, role: Role, text: String| {
        let flow = look
            .flow(columns, 14)
            .piece(look.style(Role::Muted), format!("{label:<12}"), 0)
            .piece(look.style(role), text, 1);
        lines.extend(flow.lines());
    };
    let behind = match (row.waiting, row.late) {
        (0, _) => format!("{word}: it has applied every revocation that concerns it"),
        (waiting, 0) => format!("{word}: {} revocations wait for it", count(waiting)),
        (waiting, late) => format!(
            "{word}: {} revocations wait for it, {} of them over its goal",
            count(waiting),
            count(late)
        ),
    };
    pair("state", role, behind);
    let heard = row.seen_at.map_or_else(|| "never".to_owned(), when);
    pair(
        "last heard",
        if row.silent { role } else { Role::Text },
        if row.silent {
            format!(
                "{heard}: longer ago than its goal of {}",
                seconds(row.objective_s)
            )
        } else {
            heard
        },
    );
    let learns = match (row.bound_s, row.cache_s) {
        (None, _) => match row.cursor {
            0 => "it is told, and has not said yet how far it has come".to_owned(),
            at if newest >= at => format!(
                "it is told; it has applied everything up to #{}, {} records of the log behind",
                count(at),
                count(newest - at)
            ),
            at => format!("it is told; it has applied everything up to #{}", count(at)),
        },
        (Some(0), _) => "it asks about every call, so it refuses from the same moment".into(),
        (Some(bound), cache) => format!(
            "it asks, and keeps an answer for {}: it refuses within {}",
            seconds(cache),
            seconds(bound)
        ),
    };
    pair("learns", Role::Text, learns);
    pair(
        "goal",
        Role::Text,
        format!("{} from revoked to refused", seconds(row.objective_s)),
    );
    let answered = format!(
        "{} times yes, {} times no since the broker's start",
        count(row.accepted),
        count(row.refused)
    );
    pair("answered", Role::Text, answered);
    let guards = match row.audiences.as_slice() {
        [] => format!("everything in {}", row.environment),
        audiences => audiences.join(", "),
    };
    pair("guards", Role::Text, guards);
    for route in &row.routes {
        let methods = if route.methods.is_empty() {
            "any method".to_owned()
        } else {
            route.methods.join(" ")
        };
        pair(
            "route",
            Role::Text,
            format!("{}  {methods}  needs {}", route.prefix, route.scope),
        );
    }
    for token in &row.tokens {
        let soon = token.expires_at - look.now < TimeDelta::days(7);
        let role = if soon { Role::Warn } else { Role::Muted };
        pair(
            "token",
            role,
            format!("{}  ends {}", token.id, when(token.expires_at)),
        );
    }
    pair(
        "registered",
        Role::Muted,
        format!("{}  by {}", when(row.registered_at), row.by),
    );
    if let Some(at) = row.removed_at {
        pair("removed", Role::Warn, when(at));
    }
    pair("id", Role::Muted, row.id.to_string());
    lines
}

/// Where one stands.
pub fn place(rows: &[GatewayRow], id: Option<GatewayId>) -> usize {
    id.and_then(|id| rows.iter().position(|row| row.id == id))
        .unwrap_or(0)
}
