//! The overview's sections, each a pure function from the broker's figures to lines.

use super::page::{Page, Way};
use crate::client::chain::ChainState;
use crate::console::chain;
use crate::console::effect::Call;
use crate::console::screens::{
    Jump, ScreenId,
    kit::{Look, Row},
};
use crate::console::theme::Role;
use crate::display::{
    glyphs::{bar, heat},
    time::{ago, clock, compact, count, count_short, percent},
};
use crate::wire::{Overview, overview::Bucket};
use chrono::TimeDelta;
use ratatui::text::Line;

/// To the access reviews that are overdue.
const OVERDUE: Way = Way::Ask(Call::OverdueReviews);

/// To the list of credentials that match.
pub(super) fn credentials(filter: &str) -> Jump {
    Jump {
        screen: ScreenId::Credentials,
        id: None,
        filter: Some(filter.to_owned()),
    }
}

/// To the queue of requests, those that match or one.
pub(super) fn requests(filter: Option<&str>, id: Option<String>) -> Jump {
    Jump {
        screen: ScreenId::Approvals,
        id,
        filter: filter.map(str::to_owned),
    }
}

/// To a revocation.
pub(super) fn revocation(id: String) -> Jump {
    Jump {
        screen: ScreenId::Revocations,
        id: Some(id),
        filter: None,
    }
}

pub(super) fn audit(filter: &str, id: Option<String>) -> Jump {
    Jump {
        screen: ScreenId::Audit,
        id,
        filter: Some(filter.to_owned()),
    }
}

fn plural(n: u64, one: &str, many: &str) -> String {
    format!("{} {}", count(n), if n == 1 { one } else { many })
}

/// What cannot wait, at most `most` rows; the rule says how many more there are.
pub fn needs(overview: &Overview, look: &Look<'_>, columns: usize, most: usize) -> Page {
    let mut page = Page::default();
    let approvals = &overview.approvals;
    let alert = look.theme.glyphs.alert;
    let row = |role: Role, what: &str| -> Row {
        look.row()
            .put(look.style(role), format!(" {alert} "))
            .cell(look.style(Role::Strong), what, 26.min(columns / 3))
            .put(look.style(Role::Text), "  ")
    };
    if approvals.reviews_owed > 0 {
        let what = format!("{} GLASS BROKEN", count(approvals.reviews_owed));
        let line = row(Role::Bad, &what).put(
            look.style(Role::Text),
            "made without a quorum; others must look at it",
        );
        let jump = requests(Some("state:review_owed"), None);
        page.item(line.line(), "need:reviews", jump);
    }
    if approvals.ending_soon > 0 {
        let what = format!(
            "{} <20m",
            plural(
                approvals.ending_soon,
                "approval ends in",
                "approvals end in"
            )
        );
        let mut line = row(Role::Warn, &what);
        let mut id = None;
        if let Some(soonest) = &approvals.soonest {
            id = Some(soonest.id.to_string());
            let wide = if columns >= super::page::WIDE { 60 } else { 32 };
            line = line.at_most(
                look.style(Role::Text),
                format!("{} asks {}", soonest.requester, soonest.credential),
                wide,
            );
            if let Some(deadline) = soonest.deadline {
                let left = format!("{} left ", clock(deadline - look.now));
                line = line.end(look.style(Role::Warn), left, columns);
            }
        }
        page.item(line.line(), "need:approvals", requests(None, id));
    }
    if let Some(policy) = &approvals.policy {
        let what = plural(approvals.policies, "policy proposed", "policies proposed");
        let left = format!("{} left ", compact(policy.deadline - look.now));
        let missing = policy.needed.saturating_sub(policy.approvals);
        let words = format!("by {}; {missing} more must sign it", policy.proposed_by);
        let line = row(Role::Warn, &what)
            .at_most(look.style(Role::Text), words, 44)
            .end(look.style(Role::Warn), left, columns);
        let jump = Jump {
            screen: ScreenId::Policy,
            id: Some(policy.id.to_string()),
            filter: None,
        };
        page.item(line.line(), "need:policies", jump);
    }
    if let Some(first) = overview.revocations.pending.first() {
        let n = overview.revocations.pending.len() as u64;
        let what = plural(n, "revocation not enforced", "revocations not enforced");
        let line = row(Role::Bad, &what)
            .at_most(look.style(Role::Text), &first.credential_name, 34)
            .end(
                look.style(Role::Bad),
                format!("for {} ", clock(look.now - first.effective_at)),
                columns,
            );
        let jump = revocation(first.id.to_string());
        page.item(line.line(), "need:revocations", jump);
    }
    if let Some(first) = overview.revocations.late.first() {
        let n = overview.revocations.late.len() as u64;
        let what = plural(n, "revocation late", "revocations late");
        let waiting = first.gateways.saturating_sub(first.applied);
        let words = format!("{}: {waiting} gateways wait", first.credential_name);
        let line = row(Role::Bad, &what)
            .at_most(look.style(Role::Text), words, 44)
            .end(
                look.style(Role::Bad),
                format!("for {} ", clock(look.now - first.effective_at)),
                columns,
            );
        let jump = revocation(first.id.to_string());
        page.item(line.line(), "need:late", jump);
    }
    for issuer in &overview.degraded {
        let line = row(Role::Bad, &format!("issuer {} away", issuer.issuer));
        let room = columns.saturating_sub(line.columns() + 1);
        let line = line.at_most(look.style(Role::Text), &issuer.detail, room);
        let jump = requests(Some("state:issuing"), None);
        page.item(line.line(), format!("need:issuer:{}", issuer.issuer), jump);
    }
    let failed = overview.issuance.failed;
    if failed > 0 {
        let what = plural(failed, "issuance failed", "issuances failed");
        let line = row(Role::Warn, &what).put(
            look.style(Role::Text),
            "within 24h; a person can retry what is still failed",
        );
        page.item(
            line.line(),
            "need:failed",
            requests(Some("state:failed"), None),
        );
    }
    let late = overview.hygiene.review_overdue;
    if late > 0 {
        let what = plural(late, "review overdue", "reviews overdue");
        let line = row(Role::Warn, &what).put(
            look.style(Role::Text),
            "nobody said in time that it is still needed",
        );
        page.item(line.line(), "need:access-reviews", OVERDUE);
    }
    if page.lines.is_empty() {
        page.text(look.line(
            Role::Good,
            format!(" {} nothing needs a person now", look.theme.glyphs.dot),
        ));
    }
    let hidden = page.lines.len().saturating_sub(most);
    page.lines.truncate(most);
    page.places.retain(|place| place.line < most);
    let note = if hidden > 0 {
        format!("{hidden} more at a larger size")
    } else {
        String::new()
    };
    let mut whole = Page::default();
    whole.text(look.rule("NEEDS YOU NOW", &note, columns));
    whole.below(page);
    whole
}

fn bucket(row: Row, bucket: &Bucket, look: &Look<'_>, most: u64, bar_columns: usize) -> Row {
    let share = if most == 0 {
        0.0
    } else {
        bucket.count as f64 / most as f64
    };
    let role = match bucket.label.as_str() {
        "<1h" | "<24h" => Role::Warn,
        "never" => Role::Bad,
        _ => Role::Bar,
    };
    let start = row.columns();
    row.put(look.style(Role::Text), " ")
        .cell(look.style(Role::Text), &bucket.label, 6)
        .put(
            look.style(role),
            bar(share, bar_columns, look.theme.glyphs.ascii),
        )
        .to(start + 7 + bar_columns)
        .cell_right(look.style(Role::Strong), count(bucket.count), 7)
}

fn living_note(overview: &Overview) -> String {
    format!("{} live credentials", count(overview.rotation.living))
}

fn largest(overview: &Overview) -> u64 {
    overview
        .lifetimes
        .iter()
        .map(|bucket| bucket.count)
        .max()
        .unwrap_or(0)
}

/// Lifetimes in two columns, and hygiene on the last row.
pub fn expiry_short(overview: &Overview, look: &Look<'_>, columns: usize) -> Page {
    let mut page = Page::default();
    page.text(look.rule("TIME TO EXPIRY", &living_note(overview), columns));
    let (never, ends): (Vec<_>, Vec<_>) = overview
        .lifetimes
        .iter()
        .partition(|bucket| bucket.label == "never");
    let half = ends.len().div_ceil(2);
    let (most, middle) = (largest(overview), columns / 2 - 6);
    for (n, left) in ends.iter().take(half).enumerate() {
        page.place(format!("life:{}", left.label), 0, credentials(&left.filter));
        let mut row = bucket(look.row(), left, look, most, 16);
        if let Some(right) = ends.get(half + n) {
            page.place(
                format!("life:{}", right.label),
                middle,
                credentials(&right.filter),
            );
            row = bucket(row.to(middle), right, look, most, 16);
        }
        page.lines.push(row.line());
    }
    let mut row = look.row();
    if let Some(never) = never.first() {
        page.place("life:never", 0, credentials(&never.filter));
        row = bucket(row, never, look, most, 16);
    }
    let hygiene = &overview.hygiene;
    let figures = [
        (
            "hygiene:unused",
            "unused >45d",
            hygiene.unused_45d,
            "unused>45d",
        ),
        (
            "hygiene:orphaned",
            "no owner",
            hygiene.orphaned,
            "owner:nobody",
        ),
        (
            "hygiene:quarantined",
            "quarantined",
            hygiene.quarantined,
            "state:quarantined",
        ),
    ];
    row = row.to(middle);
    for (key, words, n, filter) in figures {
        page.place(key, row.columns(), credentials(filter));
        let role = if n > 0 { Role::Warn } else { Role::Muted };
        row = row
            .put(look.style(Role::Muted), format!(" {words} "))
            .put(look.style(role), count_short(n));
    }
    page.lines.push(row.line());
    page
}

/// Lifetimes one below the other, with their shares.
pub fn expiry_tall(overview: &Overview, look: &Look<'_>, columns: usize) -> Page {
    let mut page = Page::default();
    page.text(look.rule("TIME TO EXPIRY", &living_note(overview), columns));
    let (most, living) = (largest(overview), overview.rotation.living.max(1));
    for each in &overview.lifetimes {
        let mut row = bucket(look.row(), each, look, most, columns.saturating_sub(37)).cell_right(
            look.style(Role::Muted),
            percent(each.count as f64 / living as f64),
            7,
        );
        if each.label == "never" && each.count > 0 {
            let words = format!("  {} no end set", look.theme.glyphs.notice);
            row = row.put(look.style(Role::Bad), words);
        }
        page.item(
            row.line(),
            format!("life:{}", each.label),
            credentials(&each.filter),
        );
    }
    page
}

/// Coverage, overdue, due soon; at 80 columns also the due days in one row.
pub fn rotation(overview: &Overview, look: &Look<'_>, columns: usize) -> Page {
    let figures = &overview.rotation;
    let mut page = Page::default();
    let note = format!(
        "with a cadence {} of {}",
        count(figures.covered),
        count(figures.living)
    );
    page.text(look.rule("ROTATION", &note, columns));
    let share = figures.covered as f64 / figures.living.max(1) as f64;
    let row = look
        .row()
        .put(look.style(Role::Text), " covered  ")
        .put(
            look.style(Role::Bar),
            bar(share, 20, look.theme.glyphs.ascii),
        )
        .to(31)
        .cell(look.style(Role::Strong), percent(share), 7);
    let all = Jump {
        screen: ScreenId::Rotation,
        id: None,
        filter: Some(String::new()),
    };
    page.place("rotation:covered", 0, all);
    let column = 40;
    page.place("rotation:due", column, credentials("due<24h"));
    let row = row
        .to(column)
        .put(look.style(Role::Muted), " due in 24h ")
        .put(look.style(Role::Strong), count(figures.due_24h));
    let late = overview.hygiene.review_overdue;
    let column = 58;
    let row = if columns < 80 {
        row
    } else {
        page.place("rotation:access-reviews", column, OVERDUE);
        let role = if late > 0 { Role::Warn } else { Role::Muted };
        row.to(column)
            .put(look.style(Role::Muted), " reviews late ")
            .put(look.style(role), count_short(late))
    };
    page.lines.push(row.line());
    let role = if figures.overdue > 0 {
        Role::Bad
    } else {
        Role::Good
    };
    let mut row = look.row().put(look.style(Role::Text), " overdue  ").cell(
        look.style(role),
        count(figures.overdue),
        7,
    );
    if let (Some(name), Some(since)) = (&figures.oldest_overdue, figures.oldest_overdue_since) {
        row = row
            .put(look.style(Role::Muted), "oldest ")
            .at_most(
                look.style(Role::Text),
                name,
                columns.saturating_sub(40).min(36),
            )
            .put(
                look.style(Role::Bad),
                format!(" {}", compact(look.now - since)),
            );
    }
    page.item(row.line(), "rotation:overdue", credentials("overdue"));
    if columns < 80 || figures.heat.is_empty() {
        return page;
    }
    let days: Vec<u64> = (0..14)
        .map(|day| {
            figures
                .heat
                .iter()
                .filter_map(|row| row.days.get(day))
                .sum()
        })
        .collect();
    page.item(
        heat_row(" due 14d", &days, look, 2),
        "rotation:heat",
        credentials("due<14d"),
    );
    page
}

fn heat_level(n: u64) -> u8 {
    match n {
        0 => 0,
        1..=5 => 1,
        6..=15 => 2,
        16..=30 => 3,
        _ => 4,
    }
}

/// Columns for the longest kind, a blank before and behind it.
const KIND_COLUMNS: usize = 15;

fn heat_row(label: &str, days: &[u64], look: &Look<'_>, cell: usize) -> Line<'static> {
    let row = look.row().cell(look.style(Role::Text), label, KIND_COLUMNS);
    let row = days.iter().fold(row, |row, n| {
        let level = heat_level(*n);
        let sign = heat(level, look.theme.glyphs.ascii)
            .to_string()
            .repeat(cell);
        row.put(look.style(Role::Heat(level)), sign)
            .put(look.style(Role::Text), " ")
    });
    row.cell_right(look.style(Role::Strong), count_short(days.iter().sum()), 5)
        .line()
}

/// What is due on the coming fortnight's days, a row a kind.
pub fn due(overview: &Overview, look: &Look<'_>, columns: usize) -> Page {
    let mut page = Page::default();
    page.text(look.rule("DUE  next 14 days", "rows are kinds, UTC days", columns));
    let days = (0..14).map(|day| look.now + TimeDelta::days(day));
    let head = days.fold(look.row().to(KIND_COLUMNS), |row, day| {
        row.cell(
            look.style(Role::Head),
            &day.format("%a").to_string()[..2],
            3,
        )
    });
    page.text(head.line());
    for row in overview.rotation.heat.iter().take(6) {
        let line = heat_row(&format!(" {}", row.kind), &row.days, look, 2);
        let jump = credentials(&format!("kind:{} & due<14d", row.kind));
        page.item(line, format!("due:{}", row.kind), jump);
    }
    let sign = |level| heat(level, look.theme.glyphs.ascii);
    page.text(look.line(
        Role::Muted,
        format!(
            "               {}0  {}1-5  {}6-15  {}16-30  {}>30",
            sign(0),
            sign(1),
            sign(2),
            sign(3),
            sign(4)
        ),
    ));
    page
}

/// What breaks a rule without being urgent.
pub fn hygiene(overview: &Overview, look: &Look<'_>, columns: usize) -> Page {
    let figures = &overview.hygiene;
    let mut page = Page::default();
    page.text(look.rule("HYGIENE", "", columns));
    let rows = [
        ("never", "no end set", figures.never_expiring, "never"),
        (
            "unused",
            "unused for 45 days",
            figures.unused_45d,
            "unused>45d",
        ),
        (
            "orphaned",
            "nobody answers for it",
            figures.orphaned,
            "owner:nobody",
        ),
        (
            "quarantined",
            "in quarantine",
            figures.quarantined,
            "state:quarantined",
        ),
    ];
    for (key, words, n, filter) in rows {
        let role = if n > 0 { Role::Warn } else { Role::Muted };
        let row = look
            .row()
            .put(look.style(Role::Text), " ")
            .cell(look.style(Role::Text), words, 24)
            .cell_right(look.style(role), count(n), 7);
        page.item(row.line(), format!("hygiene:{key}"), credentials(filter));
    }
    let late = figures.review_overdue;
    let role = if late > 0 { Role::Warn } else { Role::Muted };
    let row = look
        .row()
        .put(look.style(Role::Text), " ")
        .cell(look.style(Role::Text), "access review overdue", 24)
        .cell_right(look.style(role), count(late), 7);
    page.item(row.line(), "hygiene:access-reviews", OVERDUE);
    page
}

/// The latest events, newest first, in what room there is.
pub fn recent(
    overview: &Overview,
    state: &ChainState,
    look: &Look<'_>,
    columns: usize,
    room: usize,
) -> Page {
    let mut page = Page::default();
    let (words, role) = chain::short(state, look.theme);
    page.text(look.rule_in("LAST", &words, columns, role));
    for event in overview.recent.iter().take(room) {
        let name = if event.subject_name.is_empty() {
            &event.subject
        } else {
            &event.subject_name
        };
        let wide = columns >= super::page::WIDE;
        let time = look.time.short(event.at, look.now);
        let sequence = format!("#{} ", count(event.sequence));
        let row = look
            .row()
            .put(look.style(Role::Muted), format!(" {time}  "))
            .cell(
                look.style(Role::Text),
                &event.kind,
                if wide { 26 } else { 22 },
            )
            .cell(
                look.style(Role::Text),
                &event.actor.name,
                if wide { 16 } else { 11 },
            )
            .put(look.style(Role::Text), " ");
        let space = columns.saturating_sub(row.columns() + sequence.len() + 2);
        let row = row.at_most(look.style(Role::Text), name, space).end(
            look.style(Role::Muted),
            sequence,
            columns,
        );
        page.item(
            row.line(),
            format!("event:{}", event.sequence),
            audit("", Some(event.sequence.to_string())),
        );
    }
    if overview.recent.is_empty() {
        page.text(look.line(
            Role::Muted,
            format!(" nothing yet, as of {}", ago(overview.now, look.now)),
        ));
    }
    page
}
