//! `overview`: what needs a person now, what hurts today, is the service good, hygiene. In that order.

use super::app::App;
use super::args::Format;
use super::error::CliError;
use super::output::{Sheet, Style, span, write_json};
use crate::display::glyphs::{bar, sparkline};
use crate::display::time::{ago, count, percent};
use crate::wire::Overview;

/// Prints the overview.
///
/// # Errors
/// Why it could not be read.
pub async fn run(app: &mut App<'_>) -> Result<(), CliError> {
    let client = app.connect().await?;
    let overview = client.overview().await;
    let overview = overview.map_err(CliError::call("read the overview"))?.value;
    let style = app.style();
    match style.format {
        Format::Table => {
            let ascii = !is_utf8(app);
            let text = page(&overview, &style, ascii);
            app.io.out.write_all(text.as_bytes())?;
        }
        Format::Csv => {
            return Err(CliError::Usage(
                "an overview is no table; use -o json".to_owned(),
            ));
        }
        Format::Json | Format::Ndjson => {
            write_json(&mut *app.io.out, &overview, style.format == Format::Json)?;
            app.io.out.write_all(b"\n")?;
        }
    }
    app.io.out.flush()?;
    Ok(())
}

fn is_utf8(app: &App<'_>) -> bool {
    // Pipes and files are UTF-8 as everything else here; the Linux console's font is small.
    app.io.variables.get(crate::config::variables::TERM) != Some("linux")
}

fn page(overview: &Overview, style: &Style, ascii: bool) -> String {
    let mut sheet = Sheet::default();
    let now = overview.now;
    sheet.line(&format!(
        "At sequence {}, {}",
        overview.sequence,
        crate::display::time::record(now)
    ));
    needs_a_person(&mut sheet, overview);
    sheet.section("Time to expiry");
    let most = overview.lifetimes.iter().map(|bucket| bucket.count).max();
    for bucket in &overview.lifetimes {
        let share = bucket.count as f64 / most.unwrap_or(1).max(1) as f64;
        sheet.line(&format!(
            "  {:<6} {:>9}  {}",
            bucket.label,
            count(bucket.count),
            bar(share, 30, ascii)
        ));
    }
    let rotation = &overview.rotation;
    sheet.section("Rotation");
    sheet.fact(
        "covered",
        format!(
            "{} of {} ({})",
            count(rotation.covered),
            count(rotation.living),
            percent(rotation.covered as f64 / rotation.living.max(1) as f64)
        ),
    );
    sheet.fact("overdue", count(rotation.overdue));
    if let (Some(name), Some(since)) = (&rotation.oldest_overdue, rotation.oldest_overdue_since) {
        sheet.fact("longest", format!("{name}, due {}", ago(since, now)));
    }
    sheet.fact("due in a day", count(rotation.due_24h));

    service(&mut sheet, overview, ascii);
    let hygiene = &overview.hygiene;
    sheet.section("Hygiene");
    sheet.fact("never expiring", count(hygiene.never_expiring));
    sheet.fact("unused 45 days", count(hygiene.unused_45d));
    sheet.fact("without owner", count(hygiene.orphaned));
    sheet.fact("quarantined", count(hygiene.quarantined));
    sheet.fact("review overdue", count(hygiene.review_overdue));
    sheet.section("Latest events");
    for event in overview.recent.iter().take(8) {
        let subject = match event.subject_name.as_str() {
            "" => &event.subject,
            _ => &event.subject_name,
        };
        sheet.line(&format!(
            "  {:>8}  {:>9}  {} {subject} by {}",
            event.sequence,
            style.moment(event.at),
            event.kind,
            event.actor.name
        ));
    }
    sheet.finish()
}

fn needs_a_person(sheet: &mut Sheet, overview: &Overview) {
    let approvals = &overview.approvals;
    sheet.section("Needs a person");
    let mut quiet = true;
    if approvals.reviews_owed > 0 {
        quiet = false;
        sheet.line(&format!(
            "  GLASS BROKEN: {} issued without a quorum and not looked at yet: request list --filter state:review_owed",
            approvals.reviews_owed
        ));
    }
    if let Some(row) = &approvals.policy {
        quiet = false;
        sheet.line(&format!(
            "  {} proposed policies wait; first: by {}, {} of {} approvals, ends {}: policy show {}",
            approvals.policies,
            row.proposed_by,
            row.approvals,
            row.needed,
            ago(row.deadline, overview.now),
            row.id
        ));
    }
    if approvals.open > 0 {
        quiet = false;
        sheet.line(&format!(
            "  {} requests wait for a decision{}, {} of them end within 20 minutes",
            approvals.open,
            if approvals.items < approvals.open {
                format!(" in {} items, bursts counted once", approvals.items)
            } else {
                String::new()
            },
            approvals.ending_soon
        ));
        if let Some(row) = &approvals.soonest {
            let ends = row.deadline.map(|deadline| ago(deadline, overview.now));
            sheet.line(&format!(
                "  first: {} by {} (risk {} {}), ends {}: {}",
                row.credential,
                row.requester,
                row.risk,
                row.tier,
                ends.as_deref().unwrap_or("never"),
                row.id
            ));
        }
    }
    for pending in &overview.revocations.pending {
        quiet = false;
        sheet.line(&format!(
            "  revoked here, not at its issuer yet: {} since {}",
            pending.credential_name,
            ago(pending.effective_at, overview.now)
        ));
    }
    for late in &overview.revocations.late {
        quiet = false;
        sheet.line(&format!(
            "  revoked here, late at a gateway: {} since {}, {} of {} refuse it",
            late.credential_name,
            ago(late.effective_at, overview.now),
            late.applied,
            late.gateways
        ));
    }
    for issuer in &overview.degraded {
        quiet = false;
        sheet.line(&format!(
            "  issuer {} is away: {}",
            issuer.issuer, issuer.detail
        ));
    }
    if quiet {
        sheet.line("  nothing");
    }
}

fn service(sheet: &mut Sheet, overview: &Overview, ascii: bool) {
    let issuance = &overview.issuance;
    let hours: Vec<f64> = issuance.per_hour.iter().map(|hour| *hour as f64).collect();
    let milliseconds = |value: Option<u64>| value.map_or("-".to_owned(), |ms| format!("{ms} ms"));
    let seconds = |value: Option<u64>| value.map_or("-".to_owned(), span);
    sheet.section("Service, 24 hours");
    sheet.fact("requests", sparkline(&hours, None, ascii));
    sheet.fact(
        "issued",
        format!(
            "{}, {} failed, {} denied",
            count(issuance.issued),
            count(issuance.failed),
            count(issuance.denied)
        ),
    );
    if let Some(good) = issuance.good_bp {
        sheet.fact("good", percent(f64::from(good) / 10_000.0));
    }
    sheet.fact(
        "to issue",
        format!(
            "median {}, 95th {}, 99th {}",
            milliseconds(issuance.p50_ms),
            milliseconds(issuance.p95_ms),
            milliseconds(issuance.p99_ms)
        ),
    );
    let approvals = &overview.approvals;
    sheet.fact(
        "to decide",
        format!(
            "median {}, 95th {} (30 days)",
            seconds(approvals.decide_p50_s),
            seconds(approvals.decide_p95_s)
        ),
    );
    let revocations = &overview.revocations;
    sheet.fact(
        "to revoke",
        format!(
            "{} in 30 days: median {}, 95th {}, longest {}",
            revocations.count,
            milliseconds(revocations.p50_ms),
            milliseconds(revocations.p95_ms),
            milliseconds(revocations.max_ms)
        ),
    );
}
