//! The weeks ahead day by day, and how well cadences are kept.

use crate::console::screens::kit::{Look, beside};
use crate::console::theme::Role;
use crate::display::glyphs::{bar, heat};
use crate::display::time::{compact, count, count_short, percent};
use crate::wire::RotationCalendar;
use crate::wire::rotation::{Compliance, FreezeWindow, RotationDay, RotationMeasures};
use chrono::{DateTime, Datelike as _, Days, NaiveDate, TimeDelta, Utc};
use ratatui::text::{Line, Span};
use std::collections::BTreeMap;

/// Weeks of the calendar.
const WEEKS: u64 = 5;
/// Columns of a day.
const DAY: usize = 10;

/// The weeks ahead: how many begin on each day, where they pile up, which days are frozen.
pub fn calendar(
    calendar: &RotationCalendar,
    look: &Look<'_>,
    columns: usize,
) -> Vec<Line<'static>> {
    let note = format!(
        "{} to come, {} overdue",
        count(calendar.planned_total),
        count(calendar.overdue)
    );
    let mut lines = vec![look.rule("CALENDAR, UTC", &note, columns)];
    let Some(summary) = &calendar.summary else {
        lines.push(look.line(Role::Muted, " the broker did not send its days"));
        return lines;
    };
    let days: BTreeMap<NaiveDate, &RotationDay> =
        summary.days.iter().map(|day| (day.date, day)).collect();
    let today = look.now.date_naive();
    let first = today - Days::new(today.weekday().num_days_from_monday().into());
    let most = days.values().map(|day| day.planned).max().unwrap_or(0);
    let many = pile_up(&days);
    let mut head = look.row().to(7);
    for name in ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"] {
        head = head.cell(look.style(Role::Head), name, DAY);
    }
    lines.push(head.line());
    for week in 0..WEEKS {
        let monday = first + Days::new(week * 7);
        let mut row = look.row().cell(
            look.style(Role::Muted),
            format!(" {}", monday.format("%m-%d")),
            7,
        );
        for n in 0..7 {
            let date = monday + Days::new(n);
            let day = days.get(&date).copied();
            row = self::day(row, date, day, today, (most, many), &calendar.freezes, look);
        }
        lines.push(row.line());
    }
    lines.extend(remarks(
        &days,
        many,
        today,
        &calendar.freezes,
        look,
        columns,
    ));
    lines
}

/// From how many on a day is a pile-up: twice what a day with any has on average, and five at least.
fn pile_up(days: &BTreeMap<NaiveDate, &RotationDay>) -> u64 {
    let busy: Vec<u64> = days
        .values()
        .map(|day| day.planned)
        .filter(|n| *n > 0)
        .collect();
    let mean = busy.iter().sum::<u64>() / (busy.len() as u64).max(1);
    (2 * mean).max(5)
}

fn frozen(date: NaiveDate, freezes: &[FreezeWindow]) -> Option<&FreezeWindow> {
    let start = date.and_time(chrono::NaiveTime::MIN).and_utc();
    let end = start + TimeDelta::days(1);
    freezes
        .iter()
        .find(|freeze| freeze.from < end && freeze.until > start)
}

fn day(
    row: crate::console::screens::kit::Row,
    date: NaiveDate,
    day: Option<&RotationDay>,
    today: NaiveDate,
    (most, many): (u64, u64),
    freezes: &[FreezeWindow],
    look: &Look<'_>,
) -> crate::console::screens::kit::Row {
    let ascii = look.theme.glyphs.ascii;
    let end = row.columns() + DAY;
    let number = date.format("%d").to_string();
    let planned = day.map_or(0, |day| day.planned);
    let role = match () {
        () if date == today => Role::Strong,
        () if date < today => Role::Muted,
        () => Role::Text,
    };
    let here = if date == today {
        look.theme.glyphs.cursor
    } else {
        " "
    };
    let row = row
        .put(look.style(Role::Focused), here)
        .put(look.style(role), number)
        .put(look.style(role), " ");
    let level = match planned {
        0 => 0,
        n => (n * 4).div_ceil(most.max(1)).min(4) as u8,
    };
    let row = if frozen(date, freezes).is_some() {
        row.put(look.style(Role::Warn), if ascii { "~" } else { "╌" })
    } else {
        row.put(
            look.style(Role::Heat(level)),
            heat(level, ascii).to_string(),
        )
    };
    let row = if planned > 0 {
        row.put(look.style(role), count_short(planned))
    } else {
        row
    };
    let row = if planned >= many {
        row.put(look.style(Role::Bad), look.theme.glyphs.alert)
    } else if day.is_some_and(|day| day.failed > 0) {
        row.put(look.style(Role::Bad), "x")
    } else {
        row
    };
    row.to(end)
}

fn remarks(
    days: &BTreeMap<NaiveDate, &RotationDay>,
    many: u64,
    today: NaiveDate,
    freezes: &[FreezeWindow],
    look: &Look<'_>,
    columns: usize,
) -> Vec<Line<'static>> {
    let alert = look.theme.glyphs.alert;
    let mut lines = Vec::new();
    let mut piled: Vec<_> = days
        .values()
        .filter(|day| day.planned >= many && day.date >= today)
        .collect();
    piled.sort_by_key(|day| std::cmp::Reverse((day.planned, day.date)));
    for day in piled.iter().take(2) {
        let text = format!(
            "{alert} {} piles up: {} begin that day",
            day.date.format("%Y-%m-%d"),
            count(day.planned)
        );
        lines.extend(look.wrapped(Role::Bad, " ", &text, columns));
    }
    let full = |at: DateTime<Utc>| look.time.short(at, look.now);
    for freeze in freezes
        .iter()
        .filter(|freeze| freeze.until > look.now)
        .take(3)
    {
        let places: Vec<_> = freeze.environments.iter().map(|e| e.as_str()).collect();
        let places = if places.is_empty() {
            "everywhere".to_owned()
        } else {
            places.join(", ")
        };
        let text = format!(
            "{} frozen: {} from {} to {}, {places}; what is due then begins after it",
            if look.theme.glyphs.ascii { "~" } else { "╌" },
            freeze.name,
            full(freeze.from),
            full(freeze.until)
        );
        lines.extend(look.wrapped(Role::Warn, " ", &text, columns));
    }
    let sign = |level: u8| heat(level, look.theme.glyphs.ascii);
    let text = format!(
        "{} to {} few to many begin   {alert} piles up   x some came to nothing",
        sign(1),
        sign(4)
    );
    lines.push(look.line(Role::Muted, format!(" {text}")));
    lines
}

/// How well cadences are kept: by environment, tier and team, and what rotations came to.
pub fn compliance(
    calendar: &RotationCalendar,
    look: &Look<'_>,
    columns: usize,
    whole: bool,
) -> Vec<Line<'static>> {
    let Some(summary) = &calendar.summary else {
        return vec![
            look.rule("COMPLIANCE", "", columns),
            look.line(Role::Muted, " the broker did not send its figures"),
        ];
    };
    let all = summary.environments.iter();
    let (cadenced, overdue) = all.fold((0, 0), |(cadenced, overdue), part| {
        (cadenced + part.cadenced, overdue + part.overdue)
    });
    let note = format!(
        "{} with a cadence, {} overdue",
        count(cadenced),
        count(overdue)
    );
    let role = if overdue > 0 { Role::Bad } else { Role::Muted };
    let mut lines = vec![look.rule_in("COMPLIANCE", &note, columns, role)];
    let most = if whole { usize::MAX } else { 6 };
    if columns >= 108 {
        let left_columns = columns / 2 - 2;
        let right_columns = columns - left_columns - 3;
        let gap = Span::styled(
            format!(" {} ", look.theme.glyphs.vertical),
            look.style(Role::Rule),
        );
        let mut left = table(
            "ENVIRONMENT",
            &summary.environments,
            most,
            look,
            left_columns,
        );
        left.extend(table("TIER", &summary.tiers, most, look, left_columns));
        let right = table(
            "TEAM",
            &summary.teams,
            most.saturating_mul(2),
            look,
            right_columns,
        );
        lines.extend(beside(
            left,
            right,
            left_columns,
            &gap,
            look.theme.glyphs.cut,
        ));
    } else {
        lines.extend(table(
            "ENVIRONMENT",
            &summary.environments,
            most,
            look,
            columns,
        ));
        lines.extend(table("TIER", &summary.tiers, most, look, columns));
        lines.extend(table("TEAM", &summary.teams, most, look, columns));
    }
    lines.extend(measures(&summary.measures, look, columns));
    lines
}

fn table(
    title: &str,
    parts: &[Compliance],
    most: usize,
    look: &Look<'_>,
    columns: usize,
) -> Vec<Line<'static>> {
    let head = look.style(Role::Head);
    let text = look.style(Role::Text);
    let name = columns.saturating_sub(44).clamp(12, 24);
    let heads = look
        .row()
        .put(head, " ")
        .cell(head, title, name)
        .to(name + 13)
        .cell_right(head, "KEPT", 8)
        .cell_right(head, "DUE", 6)
        .cell_right(head, "LATE", 7)
        .cell_right(head, "BY HAND", 9);
    let mut lines = vec![heads.line()];
    for part in parts.iter().take(most) {
        let share = if part.cadenced == 0 {
            1.0
        } else {
            1.0 - part.overdue as f64 / part.cadenced as f64
        };
        let late = look.style(if part.overdue > 0 {
            Role::Bad
        } else {
            Role::Muted
        });
        let row = look
            .row()
            .put(text, " ")
            .cell(text, &part.name, name - 1)
            .to(name + 1)
            .put(
                look.style(Role::Bar),
                bar(share, 11, look.theme.glyphs.ascii),
            )
            .to(name + 13)
            .cell_right(text, percent(share), 8)
            .cell_right(text, count(part.due), 6)
            .cell_right(late, count(part.overdue), 7)
            .cell_right(text, count(part.by_hand), 9);
        lines.push(row.line());
    }
    if parts.len() > most {
        let text = format!(" and {} more: enter", parts.len() - most);
        lines.push(look.line(Role::Muted, text));
    }
    lines
}

fn measures(measures: &RotationMeasures, look: &Look<'_>, columns: usize) -> Vec<Line<'static>> {
    let share = |share: Option<f64>| share.map_or_else(|| "-".to_owned(), percent);
    let seconds = |s: Option<f64>| {
        s.map_or_else(
            || "-".to_owned(),
            |s| {
                compact(TimeDelta::milliseconds(
                    (s.clamp(0.0, 1e12) * 1_000.0) as i64,
                ))
            },
        )
    };
    let mut lines = vec![look.rule(
        "WHAT ROTATIONS CAME TO",
        &format!("{} began, ever", count(measures.started)),
        columns,
    )];
    let mut flow = look.flow(columns, 1);
    for (label, text) in [
        ("on time", share(measures.on_schedule)),
        ("went well", share(measures.success)),
        ("mean", seconds(measures.mean_s)),
        ("p95", seconds(measures.p95_s)),
        ("nothing accepted for", {
            let s = measures.downtime_s.min(1 << 32).cast_signed();
            compact(TimeDelta::seconds(s))
        }),
        ("extended", count(measures.extended)),
    ] {
        flow = flow
            .together(look.style(Role::Muted), label, 3, text.len() + 1)
            .piece(look.style(Role::Strong), text, 1);
    }
    lines.extend(flow.lines());
    let causes = |counts: &BTreeMap<String, u64>| {
        let parts: Vec<String> = counts
            .iter()
            .map(|(cause, n)| format!("{cause} {}", count(*n)))
            .collect();
        parts.join(", ")
    };
    for (label, counts) in [
        ("failed", &measures.failed),
        ("rolled back", &measures.rolled_back),
    ] {
        if !counts.is_empty() {
            let text = format!("{label} for: {}", causes(counts));
            lines.extend(look.wrapped(Role::Text, " ", &text, columns));
        }
    }
    lines
}
