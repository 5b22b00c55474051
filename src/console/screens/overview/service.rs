//! Is the service good: issuance, approvals and revocations as lines.

use super::page::Page;
use super::sections::{audit, requests, revocation};
use crate::console::screens::{
    Jump, ScreenId,
    kit::{Look, Row},
};
use crate::console::theme::Role;
use crate::display::{
    glyphs::{sparkline, squeeze},
    time::{clock, compact, count, count_short},
};
use crate::wire::Overview;
use chrono::TimeDelta;

fn ms(figure: Option<u64>) -> String {
    figure.map_or_else(
        || "-".into(),
        |ms| {
            compact(TimeDelta::milliseconds(
                ms.min(i64::MAX as u64 / 2_000_000) as i64
            ))
        },
    )
}

fn seconds(figure: Option<u64>) -> String {
    figure.map_or_else(
        || "-".into(),
        |s| compact(TimeDelta::seconds(s.min(1 << 40) as i64)),
    )
}

fn quantiles(row: Row, look: &Look<'_>, pairs: &[(&str, String)]) -> Row {
    pairs.iter().fold(row, |row, (name, value)| {
        row.put(look.style(Role::Muted), format!("  {name} "))
            .put(look.style(Role::Strong), value)
    })
}

fn good(overview: &Overview, look: &Look<'_>) -> Row {
    let (words, role) = match overview.issuance.good_bp {
        None => ("none ended".to_owned(), Role::Muted),
        Some(bp) => (
            format!("{}.{:02}%", bp / 100, bp % 100),
            if bp < 9_990 { Role::Warn } else { Role::Good },
        ),
    };
    look.row()
        .put(look.style(Role::Text), " good ")
        .put(look.style(role), words)
}

fn hours(overview: &Overview, look: &Look<'_>, columns: usize) -> (String, String) {
    let per_hour: Vec<f64> = overview
        .issuance
        .per_hour
        .iter()
        .map(|n| *n as f64)
        .collect();
    let peak = overview
        .issuance
        .per_hour
        .iter()
        .copied()
        .max()
        .unwrap_or(0);
    let line = sparkline(&squeeze(&per_hour, columns), None, look.theme.glyphs.ascii);
    (line, format!("{} peak", count_short(peak)))
}

/// Rate, latency and the share that went well, in two rows.
pub fn issuance_short(overview: &Overview, look: &Look<'_>, columns: usize) -> Page {
    let figures = &overview.issuance;
    let mut page = Page::default();
    page.text(look.rule(
        "ISSUANCE 24h",
        &format!("{} made", count(figures.issued)),
        columns,
    ));
    let row = quantiles(
        good(overview, look),
        look,
        &[
            ("p50", ms(figures.p50_ms)),
            ("p95", ms(figures.p95_ms)),
            ("p99", ms(figures.p99_ms)),
        ],
    );
    let row = row.end(
        look.style(Role::Muted),
        "from approval to the made secret ",
        columns,
    );
    page.item(row.line(), "issuance", audit("type:version.minted", None));
    let (line, peak) = hours(overview, look, 24);
    let row = look
        .row()
        .put(look.style(Role::Bar), format!(" {line}"))
        .put(look.style(Role::Muted), format!("  {peak}/h"))
        .to(48)
        .put(look.style(Role::Muted), "denied ")
        .cell(look.style(Role::Strong), count(figures.denied), 7)
        .put(look.style(Role::Muted), "failed ")
        .put(
            look.style(if figures.failed > 0 {
                Role::Bad
            } else {
                Role::Strong
            }),
            count(figures.failed),
        );
    page.item(
        row.line(),
        "issuance:hours",
        requests(Some("state:denied"), None),
    );
    page
}

/// The same with more room.
pub fn issuance_tall(overview: &Overview, look: &Look<'_>, columns: usize) -> Page {
    let figures = &overview.issuance;
    let mut page = Page::default();
    page.text(look.rule(
        "ISSUANCE 24h",
        &format!("{} made", count(figures.issued)),
        columns,
    ));
    page.item(
        good(overview, look).line(),
        "issuance",
        audit("type:version.minted", None),
    );
    let row = look.row().put(look.style(Role::Text), " made in");
    let row = quantiles(
        row,
        look,
        &[
            ("p50", ms(figures.p50_ms)),
            ("p95", ms(figures.p95_ms)),
            ("p99", ms(figures.p99_ms)),
        ],
    );
    page.text(row.line());
    let (line, peak) = hours(overview, look, 24);
    let row = look
        .row()
        .put(look.style(Role::Text), " asked/h  ")
        .put(look.style(Role::Bar), line)
        .put(look.style(Role::Muted), format!("  {peak}"));
    page.text(row.line());
    let row = look
        .row()
        .put(look.style(Role::Muted), " denied ")
        .put(look.style(Role::Strong), count(figures.denied));
    page.item(
        row.line(),
        "issuance:denied",
        requests(Some("state:denied"), None),
    );
    let row = look.row().put(look.style(Role::Muted), " failed ").put(
        look.style(if figures.failed > 0 {
            Role::Bad
        } else {
            Role::Strong
        }),
        count(figures.failed),
    );
    page.item(
        row.line(),
        "issuance:failed",
        requests(Some("state:failed"), None),
    );
    page
}

/// How long people take, and what waits.
pub fn approvals(overview: &Overview, look: &Look<'_>, columns: usize, tall: bool) -> Page {
    let figures = &overview.approvals;
    let mut page = Page::default();
    let open = if figures.items < figures.open {
        format!("{} open, as {}", count(figures.open), count(figures.items))
    } else {
        format!("{} open", count(figures.open))
    };
    page.text(look.rule("APPROVALS", &open, columns));
    let labels = ["<5m", "<15m", "<60m", ">60m"];
    let row = look.row().put(look.style(Role::Muted), " age");
    let row = labels
        .iter()
        .zip(&figures.ages)
        .fold(row, |row, (label, n)| {
            row.put(look.style(Role::Muted), format!(" {label} ")).put(
                look.style(if *n > 0 { Role::Strong } else { Role::Muted }),
                count_short(*n),
            )
        });
    page.item(row.line(), "approvals:open", requests(None, None));
    let words = if tall {
        " decided in 30d"
    } else {
        " decide 30d"
    };
    let row = quantiles(
        look.row().put(look.style(Role::Muted), words),
        look,
        &[
            ("p50", seconds(figures.decide_p50_s)),
            ("p95", seconds(figures.decide_p95_s)),
        ],
    );
    page.item(
        row.line(),
        "approvals:decided",
        audit("type:request.approved", None),
    );
    page
}

/// How long it takes until a withdrawn secret is proven dead at its issuer.
pub fn revocations(overview: &Overview, look: &Look<'_>, columns: usize, tall: bool) -> Page {
    let figures = &overview.revocations;
    let mut page = Page::default();
    page.text(look.rule(
        "REVOKE 30d",
        &format!("{} done", count(figures.count)),
        columns,
    ));
    let row = quantiles(
        look.row(),
        look,
        &[
            ("p50", ms(figures.p50_ms)),
            ("p95", ms(figures.p95_ms)),
            ("max", ms(figures.max_ms)),
        ],
    );
    let all = Jump {
        screen: ScreenId::Revocations,
        id: None,
        filter: Some("age<30d".into()),
    };
    page.item(row.line(), "revocations", all);
    let waiting = figures.pending.len();
    if waiting == 0 {
        page.text(look.line(
            Role::Good,
            format!(" {} all proven at their issuers", look.theme.glyphs.dot),
        ));
    } else if tall {
        for each in figures.pending.iter().take(3) {
            let row = look
                .row()
                .put(
                    look.style(Role::Bad),
                    format!(" {} ", look.theme.glyphs.alert),
                )
                .at_most(
                    look.style(Role::Text),
                    &each.credential_name,
                    columns.saturating_sub(16),
                )
                .end(
                    look.style(Role::Bad),
                    format!("{} ", clock(look.now - each.effective_at)),
                    columns,
                );
            let jump = revocation(each.id.to_string());
            page.item(row.line(), format!("revocation:{}", each.id), jump);
        }
    } else {
        page.text(look.line(
            Role::Bad,
            format!(" {} {waiting} not proven yet", look.theme.glyphs.alert),
        ));
    }
    page
}
