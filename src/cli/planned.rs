//! `credential revoke --filter`: what a filter finds is shown as a plan, and revoked together or not at all.

use std::path::{Path, PathBuf};

use clap::{Args, ValueHint};

use super::app::{App, settled};
use super::args::{ChangeArgs, Format};
use super::error::CliError;
use super::output::{self, Sheet, Style};
use super::rows;
use super::wait::{self, End};
use crate::client::Client;
use crate::display::time::count;
use crate::wire::revocation::{RevokePlanned, RevokedPlan};
use crate::wire::{PlannedReach, RevocationRow, RevocationState};

/// The longest file with a plan that is read, in bytes: 256 credentials with the longest names are far below it.
const PLAN_BYTES: u64 = 4 * 1024 * 1024;

/// Several at once.
#[derive(Debug, Args)]
pub struct Several {
    /// Everything that matches, in the same language as `/` in the console: what is found is shown first
    #[arg(long, value_name = "FILTER", conflicts_with_all = ["version", "plan"])]
    pub filter: Option<String>,
    /// Everything that this plan says, as --filter with --dry-run -o json printed it; - for standard input
    #[arg(long, value_name = "FILE", conflicts_with = "version", value_hint = ValueHint::FilePath)]
    pub plan: Option<PathBuf>,
}

/// Revokes what a filter finds, or what a plan says.
///
/// # Errors
/// Why it was not done.
pub async fn revoke(
    app: &mut App<'_>,
    several: &Several,
    change: &ChangeArgs,
) -> Result<(), CliError> {
    let client = app.connect_to_change().await?;
    let planned = match (&several.plan, &several.filter) {
        (Some(file), _) => read(app, file)?,
        (None, Some(filter)) => {
            let planned = client.plan_revocation(filter).await;
            planned
                .map_err(CliError::call("plan the revocation"))?
                .value
        }
        (None, None) => {
            return Err(CliError::Usage(
                "expected a CREDENTIAL, --filter or --plan".to_owned(),
            ));
        }
    };
    if change.dry_run {
        return print(app, &planned);
    }
    let style = Style {
        format: Format::Table,
        ..app.style()
    };
    app.io.err.write_all(sheet(&planned, &style).as_bytes())?;
    let effect = format!(
        "{} credentials are revoked at once, for good; type how many",
        count(planned.count)
    );
    app.confirm(change, &effect, &planned.count.to_string())?;
    let body = RevokePlanned {
        plan: planned.plan,
        digest: planned.digest,
        reason: app.reason(change)?,
    };
    let once = App::once(change);
    let outcome = client.revoke_planned(&body, &once).await;
    let done = settled(outcome, "revoke what the filter finds", &once)?.value;
    match app.global.output {
        Format::Table | Format::Csv => {
            let many = count(done.revocations.len() as u64);
            app.say(&format!(
                "Revoked {many} credentials as planned ({}), recorded as #{}",
                done.digest.short(),
                done.sequence
            ))?;
        }
        format => {
            output::write_json(&mut *app.io.out, &done, format == Format::Json)?;
            app.io.out.write_all(b"\n")?;
        }
    }
    if change.wait {
        propagated(app, &client, &done, change).await
    } else {
        Ok(())
    }
}

fn read(app: &mut App<'_>, file: &Path) -> Result<PlannedReach, CliError> {
    use std::io::Read as _;
    let failed = || CliError::files(format!("read the plan {}", file.display()));
    let mut text = String::new();
    if file == Path::new("-") {
        let mut input = (&mut *app.io.input).take(PLAN_BYTES);
        input.read_to_string(&mut text).map_err(failed())?;
    } else {
        let opened = std::fs::File::open(file).map_err(failed())?;
        opened
            .take(PLAN_BYTES)
            .read_to_string(&mut text)
            .map_err(failed())?;
    }
    serde_json::from_str(&text).map_err(|error| {
        CliError::Usage(format!(
            "{} is no plan of `credential revoke --filter … --dry-run -o json`: {error}",
            file.display()
        ))
    })
}

/// The plan, as the output of a dry run.
fn print(app: &mut App<'_>, planned: &PlannedReach) -> Result<(), CliError> {
    let style = app.style();
    match style.format {
        Format::Table | Format::Csv => {
            app.io.out.write_all(sheet(planned, &style).as_bytes())?;
        }
        format => {
            output::write_json(&mut *app.io.out, planned, format == Format::Json)?;
            app.io.out.write_all(b"\n")?;
        }
    }
    Ok(())
}

fn sheet(planned: &PlannedReach, style: &Style) -> String {
    let mut sheet = Sheet::default();
    sheet.section(&format!(
        "Revoked for good: {} credentials, {} of them in use",
        count(planned.count),
        count(planned.in_use)
    ));
    sheet.fact("filter", &planned.plan.filter);
    sheet.fact("as of", format!("#{}", planned.plan.head));
    sheet.fact("plan", planned.digest.to_string());
    for (what, counts) in [
        ("tiers", &planned.by_tier),
        ("environments", &planned.by_environment),
        ("owners", &planned.by_owner),
    ] {
        let words = counts.iter().map(|(word, n)| format!("{word} {n}"));
        sheet.fact(what, words.collect::<Vec<_>>().join(", "));
    }
    sheet.line("");
    for row in &planned.rows {
        let used = match row.last_used_at {
            Some(at) => format!("last used {}", style.moment(at)),
            None => "not used as far as is known".to_owned(),
        };
        let mark = if row.in_use { "IN USE, " } else { "" };
        sheet.line(&format!(
            "  {}  {} {}, owner {}, client {}, {mark}{used}",
            row.name, row.environment, row.tier, row.owner, row.client
        ));
    }
    sheet.finish()
}

/// Waits until issuers and gateways refuse all of it too.
async fn propagated(
    app: &mut App<'_>,
    client: &Client,
    done: &RevokedPlan,
    change: &ChangeArgs,
) -> Result<(), CliError> {
    let end = wait::until(
        client,
        done.sequence,
        change.timeout,
        |item| item.event.kind.starts_with("revocation."),
        async || {
            let mut all: Vec<RevocationRow> = Vec::with_capacity(done.revocations.len());
            for id in &done.revocations {
                let detail = client.revocation(*id).await;
                all.push(
                    detail
                        .map_err(CliError::call("look at a revocation"))?
                        .value
                        .row,
                );
            }
            let whole = |row: &RevocationRow| row.state == RevocationState::Propagated;
            Ok(if all.iter().all(whole) {
                End::Reached(all)
            } else {
                all.retain(|row| !whole(row));
                End::Not(all)
            })
        },
    )
    .await?;
    match end {
        End::Reached(rows) => {
            let took = rows.iter().filter_map(|row| row.time_to_revoke_ms).max();
            app.say(&format!(
                "Refused everywhere, the last after {}",
                rows::took(took)
            ))
        }
        End::Not(rows) => Err(CliError::NotConverged {
            subject: format!("the revocation of {} credentials", rows.len()),
            state: "on its way to gateways or issuers; this broker refuses them".to_owned(),
        }),
    }
}
