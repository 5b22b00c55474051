//! `rotation`: what rotates, what will, how well cadences are kept, and the newer secret.

use chrono::{DateTime, Utc};
use clap::{Args, Subcommand};

use super::app::{App, settled};
use super::args::{ChangeArgs, Format};
use super::deliver::{DeliverArgs, Delivered, Destination};
use super::error::CliError;
use super::output::{self, List, Row, Sheet, Style, write_json};
use crate::client::{CalendarQuery, Once};
use crate::display::table::Align::{self, Left, Right};
use crate::wire::rotation::{Compliance, PlannedRow, RotateGroup, RotationRow};
use crate::wire::{Environment, RotationCalendar, RotationDetail, RotationId};

/// Verbs of `rotation`.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Rotations that run, and those that ended lately
    List(Calendar),
    /// One rotation: its steps, what it waits for, and what rolling back would do
    Show {
        /// The rotation's identifier
        #[arg(value_name = "ROTATION")]
        rotation: RotationId,
    },
    /// Rotations to come: what is due first, by cadence, jitter and freeze windows
    Calendar(Calendar),
    /// How well cadences are kept: by team, tier and environment
    Compliance(Calendar),
    /// Rotate several credentials, what others depend on first
    Start {
        /// The credentials' names or identifiers
        #[arg(value_name = "CREDENTIAL", required = true)]
        credentials: Vec<String>,
        #[command(flatten)]
        change: ChangeArgs,
    },
    /// Collect the newer secret, once; its version is in use from then on
    Claim(Claim),
}

/// What part of the calendar.
#[derive(Debug, Args)]
pub struct Calendar {
    /// From when, such as 2026-01-31T12:00:00Z; a week ago if left out
    #[arg(long, value_name = "TIME")]
    from: Option<DateTime<Utc>>,
    /// Until when; in four weeks if left out
    #[arg(long, value_name = "TIME")]
    until: Option<DateTime<Utc>>,
    /// Only what this team answers for
    #[arg(long, value_name = "TEAM")]
    team: Option<String>,
    /// Only this environment: development, staging or production
    #[arg(long, value_name = "ENVIRONMENT")]
    env: Option<Environment>,
    /// At most so many rows
    #[arg(long, value_name = "ROWS", value_parser = clap::value_parser!(u64).range(1..=1_000))]
    limit: Option<u64>,
}

/// Arguments of `rotation claim`.
#[derive(Debug, Args)]
pub struct Claim {
    /// The rotation's identifier
    #[arg(value_name = "ROTATION")]
    rotation: RotationId,
    /// Name the claim: a repetition with the same key tells that it was delivered
    #[arg(long, value_name = "KEY")]
    idempotency_key: Option<String>,
    #[command(flatten)]
    deliver: DeliverArgs,
}

/// Runs a verb.
///
/// # Errors
/// Why it was not done.
pub async fn run(app: &mut App<'_>, verb: &Verb) -> Result<(), CliError> {
    match verb {
        Verb::List(args) => {
            let calendar = calendar(app, args, false).await?;
            let rows = calendar.running.iter().chain(&calendar.ended);
            list(app, rows)
        }
        Verb::Calendar(args) => {
            let calendar = calendar(app, args, false).await?;
            list(app, calendar.planned.iter())?;
            if app.global.output == Format::Table {
                app.say(&format!(
                    "{} to come until {}, {} of them overdue; policy version {}",
                    calendar.planned_total,
                    app.style().full(calendar.until),
                    calendar.overdue,
                    calendar.policy_version
                ))?;
            }
            Ok(())
        }
        Verb::Compliance(args) => compliance(app, args).await,
        Verb::Show { rotation } => {
            let client = app.connect().await?;
            let detail = client.rotation(*rotation).await;
            let detail = detail
                .map_err(CliError::call(format!("show rotation {rotation}")))?
                .value;
            let style = app.style();
            output::one(&mut *app.io.out, style, &detail, &detail.row, |style| {
                sheet(&detail, style)
            })?;
            Ok(())
        }
        Verb::Start {
            credentials,
            change,
        } => start(app, credentials, change).await,
        Verb::Claim(claim) => collect(app, claim).await,
    }
}

async fn calendar(
    app: &mut App<'_>,
    args: &Calendar,
    summary: bool,
) -> Result<RotationCalendar, CliError> {
    let client = app.connect().await?;
    let query = CalendarQuery {
        from: args.from,
        until: args.until,
        team: args.team.clone(),
        environment: args.env,
        credential: None,
        summary,
        limit: args.limit,
    };
    let answer = client.rotations(&query).await;
    Ok(answer.map_err(CliError::call("list rotations"))?.value)
}

fn list<'a, R: Row + 'a>(
    app: &mut App<'_>,
    rows: impl Iterator<Item = &'a R>,
) -> Result<(), CliError> {
    let style = app.style();
    let mut list = List::begin::<R>(&mut *app.io.out, style)?;
    for row in rows {
        list.row(row)?;
    }
    Ok(list.end()?)
}

async fn compliance(app: &mut App<'_>, args: &Calendar) -> Result<(), CliError> {
    let calendar = calendar(app, args, true).await?;
    let Some(summary) = &calendar.summary else {
        return app.say("This broker gave no figures");
    };
    match app.global.output {
        Format::Json | Format::Ndjson => {
            let pretty = app.global.output == Format::Json;
            write_json(&mut *app.io.out, summary, pretty)?;
            app.io.out.write_all(b"\n")?;
            Ok(())
        }
        Format::Csv | Format::Table => {
            let rows = (summary.environments.iter())
                .chain(&summary.tiers)
                .chain(&summary.teams);
            list(app, rows)?;
            let measures = &summary.measures;
            let percent = |share: Option<f64>| {
                share.map_or_else(|| "-".to_owned(), |share| format!("{:.1} %", share * 100.0))
            };
            let seconds = |seconds: Option<f64>| {
                seconds.map_or_else(|| "-".to_owned(), |seconds| format!("{seconds:.1} s"))
            };
            app.say(&format!(
                "{} begun, {} in use, {} on schedule, {} succeeded; mean {}, p95 {}; {} s without an accepted version",
                measures.started,
                measures.promoted,
                percent(measures.on_schedule),
                percent(measures.success),
                seconds(measures.mean_s),
                seconds(measures.p95_s),
                measures.downtime_s
            ))
        }
    }
}

async fn start(app: &mut App<'_>, names: &[String], change: &ChangeArgs) -> Result<(), CliError> {
    let client = app.connect_to_change().await?;
    let mut credentials = Vec::new();
    for name in names {
        credentials.push(app.credential(&client, name).await?.id);
    }
    let count = credentials.len();
    let effect = format!("{count} credentials get newer versions, what others depend on first");
    app.confirm(change, &effect, &count.to_string())?;
    let body = RotateGroup {
        credentials,
        cause: None,
        reason: app.reason(change)?,
    };
    let once = App::once(change);
    if change.dry_run {
        return app.would_send("/v1/rotations", &body, &once);
    }
    let outcome = client.rotate_group(&body, &once).await;
    let receipt = settled(outcome, format!("rotate {count} credentials"), &once)?;
    app.receipt(&format!("Rotating {count} credentials"), &receipt.value)
}

async fn collect(app: &mut App<'_>, claim: &Claim) -> Result<(), CliError> {
    let client = app.connect_to_change().await?;
    let id = claim.rotation;
    let once = match &claim.idempotency_key {
        Some(key) => Once {
            key: key.clone(),
            seen: None,
        },
        None => Once::new(),
    };
    // A secret is handed out once: whether it can be put somewhere is known before it is asked for.
    let destination = Destination::open(&claim.deliver, app.io)?;
    let outcome = client.claim_rotation(id, &once).await;
    let claimed = match settled(outcome, format!("claim {id}"), &once) {
        Ok(answer) => answer.value,
        Err(error) => {
            destination.discard();
            return Err(error);
        }
    };
    if claimed.secret_already_delivered {
        destination.discard();
        return Err(CliError::Ended {
            request: id.to_string(),
            state: "handed over".to_owned(),
            reason:
                "the secret was delivered to an earlier claim with this key; it is not shown again"
                    .to_owned(),
        });
    }
    let delivered = Delivered {
        document: &claimed,
        fields: &claimed.secret,
    };
    let place = destination.put(&claim.deliver, app.global.output, app.io, &delivered)?;
    app.say(&format!(
        "Claimed {id}: version {} of {} is in use. {place}",
        claimed.version, claimed.credential
    ))
}

impl Row for RotationRow {
    const COLUMNS: &'static [(&'static str, Align)] = &[
        ("ID", Left),
        ("CREDENTIAL", Left),
        ("ENV", Left),
        ("VERSIONS", Left),
        ("STATE", Left),
        ("CAUSE", Left),
        ("STARTED", Right),
        ("DUE", Right),
        ("OVERLAP UNTIL", Right),
        ("BY", Left),
    ];

    fn cells(&self, style: &Style) -> Vec<String> {
        let to = self.to.map_or_else(|| "?".to_owned(), |to| to.to_string());
        vec![
            self.id.to_string(),
            self.credential_name.clone(),
            self.environment.short().to_owned(),
            format!("{}→{to}", self.from),
            match self.setback {
                Some(setback) => format!("{} ({setback})", self.state),
                None => self.state.to_string(),
            },
            self.cause.to_string(),
            style.moment(self.started_at),
            style.moment_or(self.due_at, "-"),
            style.moment_or(self.overlap_until, "-"),
            self.by.clone(),
        ]
    }
}

impl Row for PlannedRow {
    const COLUMNS: &'static [(&'static str, Align)] = &[
        ("CREDENTIAL", Left),
        ("ENV", Left),
        ("TIER", Left),
        ("OWNER", Left),
        ("VERSION", Right),
        ("BEGINS", Right),
        ("LATE", Right),
        ("FROZEN", Left),
        ("FAILURES", Right),
    ];

    fn cells(&self, style: &Style) -> Vec<String> {
        vec![
            self.credential_name.clone(),
            self.environment.short().to_owned(),
            self.tier.to_string(),
            self.owner.clone(),
            self.from.to_string(),
            style.moment(self.begins_at),
            style.moment(self.late_at),
            self.frozen.clone().unwrap_or_default(),
            self.failures.to_string(),
        ]
    }
}

impl Row for Compliance {
    const COLUMNS: &'static [(&'static str, Align)] = &[
        ("NAME", Left),
        ("CADENCED", Right),
        ("ON SCHEDULE", Right),
        ("DUE", Right),
        ("OVERDUE", Right),
        ("BY HAND", Right),
    ];

    fn cells(&self, _style: &Style) -> Vec<String> {
        vec![
            self.name.clone(),
            self.cadenced.to_string(),
            self.on_schedule.to_string(),
            self.due.to_string(),
            self.overdue.to_string(),
            self.by_hand.to_string(),
        ]
    }
}

fn sheet(detail: &RotationDetail, style: &Style) -> String {
    let row = &detail.row;
    let mut sheet = Sheet::default();
    let to = row
        .to
        .map_or_else(|| "the next one".to_owned(), |to| format!("version {to}"));
    sheet.line(&format!(
        "{}: {to} takes the place of version {}, {}",
        row.credential_name, row.from, row.state
    ));
    sheet.fact("id", row.id.to_string());
    sheet.fact("credential", row.credential.to_string());
    sheet.fact("cause", format!("{}, by {}", row.cause, row.by));
    for (name, at) in [
        ("due", row.due_at),
        ("late from", row.late_at),
        ("started", Some(row.started_at)),
        ("in use since", row.promoted_at),
        ("overlap until", row.overlap_until),
        ("extended until", row.extended_until),
        ("ended", row.ended_at),
    ] {
        if let Some(at) = at {
            sheet.fact(name, style.full(at));
        }
    }
    if let Some(frozen) = &row.frozen {
        sheet.fact("moved by", frozen.clone());
    }
    if let Some(failure) = &row.failure {
        sheet.fact("failure", failure.clone());
    }
    sheet.fact("policy", format!("version {}", detail.policy_version));
    sheet.section("Steps");
    for step in &detail.steps {
        let took = step
            .took_ms
            .map_or_else(String::new, |ms| format!("  {:.1} s", ms as f64 / 1_000.0));
        sheet.line(&format!(
            "  {} {:<18} {:<8}{took}  {}",
            step.number, step.name, step.state, step.note
        ));
    }
    if !detail.guard.is_empty() {
        sheet.section("Now");
        sheet.line(&format!("  {}", detail.guard));
    }
    sheet.section("If you roll back");
    sheet.line(&format!("  {}", detail.undo.effect));
    if !detail.readers.is_empty() {
        sheet.section("Readers");
        for reader in &detail.readers {
            sheet.line(&format!(
                "  {} last used version {} {}",
                reader.name,
                reader.version,
                style.moment(reader.last_used_at)
            ));
        }
    }
    sheet.section("Reason");
    sheet.quote(&detail.reason);
    sheet.finish()
}
