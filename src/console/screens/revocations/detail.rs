//! One revocation as lines, in the order in which a person at three in the morning asks: is it refused, where not,
//! could it still be used, how did others go.
//!
//! ```text
//! ── svc-ci-deploy, all of it ────────────────────────────── by ravi.p  14:25:55Z ─
//!  why ▏ leaked in public repo
//!  ██████████████████████████████████████████▎      11 of 12 refuse it  ▲ late 06:12, goal 01:00
//!    GATEWAY             SENT   APPLIED    PROVEN
//!  ▲ syd-2           14:25:55         -         -   SILENT since 14:19:40Z: queued until it is back
//!  ● sin-2              +0.3s    +38.2s    +38.2s   refused there
//! ```

use crate::console::screens::credentials::answers::enforcement;
use crate::console::screens::kit::{Look, Row};
use crate::console::theme::Role;
use crate::display::glyphs::bar;
use crate::display::time::{clock, compact, count};
use crate::wire::{
    Enforcement, Evidence, Profile, ReachState, ReachView, RevocationDetail, RevocationRow,
    RevocationState,
};
use chrono::{DateTime, TimeDelta, Utc};
use ratatui::text::Line;

/// From this width on a line has a strip of its times.
const STRIP_FROM: usize = 108;
/// Columns of that strip.
const STRIP: usize = 32;
/// Gateways that are named although they refuse it, where there is little room.
const FEW: usize = 4;

/// A span from milliseconds, however many.
pub fn span(ms: u64) -> TimeDelta {
    TimeDelta::milliseconds(ms.min(1 << 50).cast_signed())
}

/// `+0.3s`, `+38.2s`, `+6m12s`.
fn after(ms: Option<u64>) -> String {
    match ms {
        None => "-".into(),
        Some(ms @ 0..100_000) => format!("+{}.{}s", ms / 1_000, ms % 1_000 / 100),
        Some(ms) => format!("+{}", compact(span(ms))),
    }
}

/// Whether it is waited for.
fn waits(reach: &ReachView) -> bool {
    matches!(reach.state, ReachState::Pending | ReachState::Sent)
}

/// The lines. `whole`: nothing is left out, for where they can be scrolled.
pub fn lines(
    detail: &RevocationDetail,
    look: &Look<'_>,
    columns: usize,
    whole: bool,
) -> Vec<Line<'static>> {
    let row = &detail.row;
    let mut lines = vec![title(row, look, columns)];
    lines.push(
        look.row()
            .put(look.style(Role::Muted), " why")
            .put(
                look.style(Role::Rule),
                format!(" {} ", look.theme.glyphs.quote),
            )
            .at_most(
                look.style(Role::Quote),
                &row.reason,
                columns.saturating_sub(8),
            )
            .line(),
    );
    lines.extend(progress(detail, look, columns));
    if whole || row.enforcement != Enforcement::NotNeeded {
        lines.extend(issuer(row, look, columns));
    }
    // Where little of the gateways is seen, what they come to stands above them.
    let brief = !whole && through(detail).0 == Role::Bad;
    if brief {
        let (role, text) = through(detail);
        lines.extend(pair(look, "still accepted", role, &text, columns));
    }
    lines.extend(gateways(detail, look, columns, whole));
    lines.extend(exposure(detail, look, columns, brief));
    lines.extend(histogram(detail, look, columns));
    lines.extend(before(detail, look, columns));
    if whole {
        lines.push(look.rule("THEIR WORDS, UNCHECKED", "", columns));
        let gutter = format!(" {} ", look.theme.glyphs.quote);
        lines.extend(look.quoted(Role::Quote, &gutter, &row.reason, columns));
        lines.push(look.rule("RECORD", "", columns));
        let versions: Vec<String> = row.versions.iter().map(|n| format!("v{n}")).collect();
        let environment = detail
            .environment
            .map_or_else(String::new, |found| found.to_string());
        for (label, text) in [
            ("id", row.id.to_string()),
            ("of", format!("{}  {}", row.credential, versions.join(" "))),
            ("used by", format!("{}  {environment}", detail.client)),
            ("stops", detail.dependents.join(", ")),
            (
                "log",
                format!("#{} to #{}", count(row.since), count(row.sequence)),
            ),
        ] {
            if !text.trim().is_empty() {
                lines.extend(pair(look, label, Role::Text, &text, columns));
            }
        }
    }
    lines
}

/// A label, and what it says on as many lines as it takes.
fn pair(
    look: &Look<'_>,
    label: &str,
    role: Role,
    text: &str,
    columns: usize,
) -> Vec<Line<'static>> {
    look.pair((label, 18), role, text, columns)
}

/// The rule: what it is of, who did it, when.
pub fn title(row: &RevocationRow, look: &Look<'_>, columns: usize) -> Line<'static> {
    let what = match row.versions.as_slice() {
        _ if row.whole => "all of it".to_owned(),
        [one] => format!("version {one} only"),
        many => format!("{} versions", many.len()),
    };
    let at = look.time.short(row.effective_at, look.now);
    let note = format!("by {}  {at}", row.by);
    look.rule(&format!("{}, {what}", row.credential_name), &note, columns)
}

fn progress(detail: &RevocationDetail, look: &Look<'_>, columns: usize) -> Vec<Line<'static>> {
    let row = &detail.row;
    let glyphs = &look.theme.glyphs;
    if row.gateways == 0 {
        let text = "refused here from that moment; no gateway in service guards it";
        return look.wrapped(Role::Text, " ", text, columns);
    }
    let elapsed = look.now - row.effective_at;
    let goal = detail
        .objective_s
        .map(|seconds| TimeDelta::seconds(seconds.min(1 << 32).cast_signed()));
    let over = goal.is_some_and(|goal| elapsed > goal);
    let goal = goal.map_or_else(String::new, |goal| format!(", goal {}", clock(goal)));
    let (role, words) = match (row.state, row.time_to_revoke_ms) {
        (RevocationState::Propagated, Some(ms)) => {
            let late = if row.late > 0 { "late, " } else { "" };
            (
                if row.late > 0 { Role::Warn } else { Role::Good },
                format!("{} {late}after {}{goal}", glyphs.dot, compact(span(ms))),
            )
        }
        _ if over => (
            Role::Bad,
            format!("{} late {}{goal}", glyphs.alert, clock(elapsed)),
        ),
        _ => (
            Role::Warn,
            format!("{} {} so far{goal}", glyphs.ring, clock(elapsed)),
        ),
    };
    let figure = format!("{} of {} refuse it", row.applied, row.gateways);
    let room = columns.saturating_sub(figure.len() + words.chars().count() + 6);
    let share = f64::from(row.applied) / f64::from(row.gateways);
    let line = look
        .row()
        .put(
            look.style(Role::Bar),
            format!(" {}", bar(share, room, glyphs.ascii)),
        )
        .to(room + 2)
        .put(look.style(Role::Strong), figure)
        .put(look.style(role), format!("  {words}"));
    vec![line.line()]
}

fn issuer(row: &RevocationRow, look: &Look<'_>, columns: usize) -> Vec<Line<'static>> {
    let (role, text) = match &row.enforcement {
        Enforcement::NotNeeded => (Role::Muted, "nothing to withdraw there".to_owned()),
        Enforcement::Pending {
            attempts: 0,
            last_error: None,
        } => (Role::Warn, "is being told".to_owned()),
        Enforcement::Pending {
            attempts,
            last_error,
        } => (
            Role::Bad,
            format!(
                "NOT withdrawn after {attempts} tries, tried on: {}",
                last_error.as_deref().unwrap_or("no answer")
            ),
        ),
        Enforcement::Enforced { at, proven } => {
            let proof = if *proven {
                ", seen gone there"
            } else {
                ", not looked up"
            };
            let at = look.time.short(*at, look.now);
            (Role::Good, format!("withdrawn {at}{proof}"))
        }
    };
    look.flow(columns, 16)
        .piece(look.style(Role::Muted), "at its issuer", 0)
        .piece(look.style(role), text, 2)
        .lines()
}

/// What a gateway's line says last.
fn words(reach: &ReachView, look: &Look<'_>) -> (String, Role) {
    let short = |at: DateTime<Utc>| look.time.short(at, look.now);
    let misused = reach
        .accepted_at
        .zip(reach.applied_at)
        .is_some_and(|(accepted, applied)| accepted > applied);
    if misused {
        return ("ACCEPTED it after it had applied it".into(), Role::Bad);
    }
    let late = if reach.late { "late, " } else { "" };
    match (reach.state, reach.by) {
        (ReachState::Removed, _) => ("taken out of service before it had".into(), Role::Muted),
        (ReachState::Proven, _) => (format!("{late}seen to refuse it"), Role::Good),
        (ReachState::Applied, by) => {
            let how = match by {
                Some(Evidence::Asks) => "asks about every call",
                Some(Evidence::CacheEnded) => "kept answers have ended",
                Some(Evidence::Acknowledged) => "says that it refuses it",
                _ => "refuses it",
            };
            (format!("{late}{how}"), Role::Text)
        }
        (ReachState::Pending | ReachState::Sent, _) => {
            let grave = if reach.late { Role::Bad } else { Role::Warn };
            let text = match (reach.profile, reach.bound_at) {
                (Profile::Receiver, _) if reach.silent => match reach.seen_at {
                    Some(at) => format!("SILENT since {}: queued", short(at)),
                    None => "NEVER HEARD OF: queued".into(),
                },
                (Profile::Receiver, _) if reach.state == ReachState::Sent => {
                    "told, has not confirmed".into()
                }
                (Profile::Receiver, _) => "queued for it".into(),
                (_, Some(at)) => format!("may keep an answer until {}", short(at)),
                (_, None) => "has not asked yet".into(),
            };
            (text, grave)
        }
    }
}

fn gateways(
    detail: &RevocationDetail,
    look: &Look<'_>,
    columns: usize,
    whole: bool,
) -> Vec<Line<'static>> {
    if detail.reach.is_empty() {
        return Vec::new();
    }
    let wide = columns >= STRIP_FROM;
    let most = detail
        .reach
        .iter()
        .filter_map(|reach| reach.applied_ms)
        .max()
        .unwrap_or(0)
        .max(
            (look.now - detail.row.effective_at)
                .num_milliseconds()
                .max(0)
                .cast_unsigned(),
        )
        .clamp(1_000, 1 << 40);
    let muted = look.style(Role::Head);
    let name = if wide { 20 } else { 15 };
    let head = look
        .row()
        .put(muted, "   GATEWAY")
        .to(3 + name)
        .cell_right(muted, "SENT", 9)
        .cell_right(muted, "APPLIED", 9)
        .cell_right(muted, "PROVEN", 9);
    let head = if wide {
        let (sent, applied, proven) = strip_signs(look);
        let scale = format!("  {sent} sent {applied} applied {proven} proven, log time");
        head.put(muted, scale)
    } else {
        head
    };
    let mut lines = vec![head.line()];
    // What is waited for comes first, and is never left out.
    let waiting = detail.reach.iter().filter(|reach| waits(reach)).count();
    let shown = if whole {
        detail.reach.len()
    } else {
        waiting.saturating_add(if wide { FEW } else { 1 })
    };
    for reach in detail.reach.iter().take(shown) {
        lines.push(gateway(reach, look, columns, name, wide.then_some(most)));
    }
    let rest = detail.reach.get(shown..).unwrap_or_default();
    if let Some(slowest) = rest.iter().filter_map(|reach| reach.applied_ms).max() {
        let text = format!(
            "   {} {} more within {}",
            look.theme.glyphs.cut,
            rest.len(),
            after(Some(slowest)).trim_start_matches('+')
        );
        lines.push(look.line(Role::Muted, text));
    }
    lines
}

fn gateway(
    reach: &ReachView,
    look: &Look<'_>,
    columns: usize,
    name: usize,
    strip: Option<u64>,
) -> Line<'static> {
    let glyphs = &look.theme.glyphs;
    let (words, role) = words(reach, look);
    let sign = match reach.state {
        ReachState::Removed => " ",
        ReachState::Pending | ReachState::Sent if reach.late => glyphs.alert,
        ReachState::Pending | ReachState::Sent => glyphs.ring,
        _ if role == Role::Bad => glyphs.alert,
        _ => glyphs.dot,
    };
    let sign_role = match sign {
        sign if sign == glyphs.alert => Role::Bad,
        sign if sign == glyphs.ring => Role::Warn,
        _ => Role::Good,
    };
    let text = look.style(Role::Text);
    // Whoever asks is told nothing.
    let sent = if reach.profile.asks() {
        "asks".to_owned()
    } else {
        after(reach.sent_ms)
    };
    let row = look
        .row()
        .put(look.style(sign_role), format!(" {sign} "))
        .cell(text, &reach.name, name - 1)
        .to(3 + name)
        .cell_right(look.style(Role::Muted), sent, 9)
        .cell_right(text, after(reach.applied_ms), 9)
        .cell_right(text, after(reach.proven_ms), 9)
        .put(text, "  ");
    let row = match strip {
        Some(most) => self::strip(row, reach, look, most).put(text, "  "),
        None => row,
    };
    let room = columns.saturating_sub(row.columns());
    row.at_most(look.style(role), words, room).line()
}

fn strip_signs(look: &Look<'_>) -> (&'static str, &'static str, &'static str) {
    if look.theme.glyphs.ascii {
        (".", "+", "#")
    } else {
        ("░", "▒", "█")
    }
}

/// The times of one gateway on an axis of their logarithm: from a tenth of a second to the longest.
fn strip(row: Row, reach: &ReachView, look: &Look<'_>, most_ms: u64) -> Row {
    let place = |ms: u64| -> usize {
        let share = ((ms.max(100) as f64) / 100.0).ln() / ((most_ms as f64) / 100.0).ln();
        ((share * STRIP as f64).round() as usize).min(STRIP)
    };
    let (sent, applied, proven) = strip_signs(look);
    if waits(reach) {
        let end = STRIP - 1;
        let from = reach.sent_ms.map_or(end, place).min(end);
        let line = look.theme.glyphs.horizontal.repeat(from);
        return row
            .put(look.style(Role::Rule), line)
            .put(look.style(Role::BarRest), sent.repeat(end - from))
            .put(
                look.style(if reach.late { Role::Bad } else { Role::Warn }),
                look.theme.glyphs.alert,
            );
    }
    let told = reach.sent_ms.map_or(0, place);
    let done = reach.applied_ms.map_or(STRIP, place).max(told);
    let seen = reach.proven_ms.map_or(STRIP, place).max(done);
    row.put(look.style(Role::Text), " ".repeat(told))
        .put(look.style(Role::BarRest), sent.repeat(done - told))
        .put(look.style(Role::Bar), applied.repeat(seen - done))
        .put(look.style(Role::Good), proven.repeat(STRIP - seen))
}

/// Who may still accept it.
fn through(detail: &RevocationDetail) -> (Role, String) {
    match detail.exposure.through.as_slice() {
        [] if matches!(detail.row.enforcement, Enforcement::Pending { .. }) => (
            Role::Bad,
            "by what its issuer guards by itself: that has not withdrawn it".to_owned(),
        ),
        [] => (Role::Good, "no: nobody accepts it any more".to_owned()),
        names => {
            let used: u64 = detail
                .reach
                .iter()
                .filter(|reach| waits(reach))
                .map(|reach| reach.accepted)
                .sum();
            let often = match used {
                0 => "where it was never used".to_owned(),
                many => format!("where it was used {} times", count(many)),
            };
            let text = match names {
                [a] => format!("only through {a}, {often}"),
                [a, b, c] => format!("through {a}, {b} and {c}, {often}"),
                [a, b] => format!("through {a} and {b}, {often}"),
                [a, b, rest @ ..] => {
                    format!("through {a}, {b} and {} others, {often}", rest.len())
                }
                [] => String::new(),
            };
            (Role::Bad, text)
        }
    }
}

fn exposure(
    detail: &RevocationDetail,
    look: &Look<'_>,
    columns: usize,
    brief: bool,
) -> Vec<Line<'static>> {
    let exposure = &detail.exposure;
    let short = |at: DateTime<Utc>| look.time.short(at, look.now);
    let mut lines = vec![look.rule("COULD IT STILL BE USED", "", columns)];
    if !brief {
        let (role, through) = through(detail);
        lines.extend(pair(look, "now", role, &through, columns));
    }
    let used = match exposure.accepted_after {
        Some(at) => (Role::Bad, format!("ACCEPTED somewhere, last {}", short(at))),
        // What its issuer guards by itself is used without anybody here being asked.
        None if matches!(detail.row.enforcement, Enforcement::Pending { .. }) => (
            Role::Warn,
            "accepted at no gateway, as far as is known; not known of its issuer".into(),
        ),
        None => (
            Role::Text,
            "not accepted anywhere, as far as is known".into(),
        ),
    };
    lines.extend(pair(look, "since then", used.0, &used.1, columns));
    if let Some(at) = exposure.refused_at {
        let text = format!("somebody tried it and was refused, last {}", short(at));
        lines.extend(pair(look, "tried", Role::Warn, &text, columns));
    }
    if !exposure.through.is_empty() {
        let (role, text) = match exposure.ends_at {
            Some(at) => (
                Role::Text,
                format!(
                    "{}, when it ends by itself (in {})",
                    short(at),
                    clock(at - look.now)
                ),
            ),
            None => (Role::Bad, "never: it has no end of its own".into()),
        };
        lines.extend(pair(look, "worst case ends", role, &text, columns));
    }
    lines
}

/// After how long gateways refused it: one block a gateway, by doubling spans.
fn histogram(detail: &RevocationDetail, look: &Look<'_>, columns: usize) -> Vec<Line<'static>> {
    let mut took: Vec<u64> = detail
        .reach
        .iter()
        .filter_map(|reach| reach.applied_ms)
        .collect();
    if took.len() < 2 {
        return Vec::new();
    }
    took.sort_unstable();
    let half = took[(took.len() - 1) / 2];
    let most = took[took.len() - 1];
    let note = format!("p50 {}  max {}", compact(span(half)), compact(span(most)));
    let mut lines = vec![look.rule("REFUSED AFTER, one block a gateway", &note, columns)];
    let block = if look.theme.glyphs.ascii { "#" } else { "█" };
    let mut flow = look.flow(columns, 1);
    let (mut from, mut until) = (0_u64, 1_000_u64);
    let mut left = took.as_slice();
    while !left.is_empty() {
        let within = left.partition_point(|ms| *ms < until);
        let label = format!("{}s", from / 1_000);
        let blocks = match within {
            0 => "·".to_owned(),
            many @ 1..=12 => block.repeat(many),
            many => format!("{} {}", block.repeat(12), count(many as u64)),
        };
        let blocks = if look.theme.glyphs.ascii {
            blocks.replace('·', ".")
        } else {
            blocks
        };
        flow = flow
            .together(
                look.style(Role::Muted),
                label,
                2,
                blocks.chars().count() + 1,
            )
            .piece(look.style(Role::Bar), blocks, 1);
        left = &left[within..];
        (from, until) = (until, until * 2);
    }
    let waiting = detail.reach.iter().filter(|reach| waits(reach)).count();
    if waiting > 0 {
        let text = format!("{} {waiting} still counting", look.theme.glyphs.alert);
        flow = flow.piece(look.style(Role::Bad), text, 3);
    }
    lines.extend(flow.lines());
    lines
}

fn before(detail: &RevocationDetail, look: &Look<'_>, columns: usize) -> Vec<Line<'static>> {
    if detail.before.is_empty() {
        return Vec::new();
    }
    let mut lines = vec![look.rule("THE ONES BEFORE", "", columns)];
    let mut flow = look.flow(columns, 1);
    for past in detail.before.iter().take(6) {
        let took = match past.time_to_revoke_ms {
            Some(ms) => compact(span(ms)),
            None => "not yet everywhere".into(),
        };
        let role = if past.time_to_revoke_ms.is_some() {
            Role::Text
        } else {
            Role::Warn
        };
        flow = flow
            .together(
                look.style(Role::Muted),
                &past.credential_name,
                3,
                took.len() + 1,
            )
            .piece(look.style(role), took, 1);
    }
    lines.extend(flow.lines());
    lines
}

/// Why it stands as it does, in sentences.
pub fn explain(detail: &RevocationDetail, look: &Look<'_>) -> Vec<String> {
    let row = &detail.row;
    let at = look.time.full(row.effective_at, look.now);
    let mut say = vec![format!(
        "{} withdrew it at {at}. From that moment this broker refuses it, whatever else is away.",
        row.by
    )];
    if row.gateways > 0 {
        say.push(format!(
            "{} gateways were in service then that guard it: {} refuse it too, {} of them were seen doing so.",
            row.gateways, row.applied, row.proven
        ));
    }
    for reach in detail.reach.iter().filter(|reach| waits(reach)).take(12) {
        let (words, _) = words(reach, look);
        let goal = compact(TimeDelta::seconds(
            reach.objective_s.min(1 << 32).cast_signed(),
        ));
        say.push(format!("{}: {words}. Its goal is {goal}.", reach.name));
    }
    say.push(
        "What a gateway that was away has missed is queued, and handed over in order once it is back; restarts lose nothing of it."
            .into(),
    );
    say.push(enforcement_words(row, look));
    say
}

fn enforcement_words(row: &RevocationRow, look: &Look<'_>) -> String {
    enforcement(&row.enforcement, |at| look.time.short(at, look.now))
}
