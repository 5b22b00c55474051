//! The drill as Markdown, from the log: every row of it is a record that can be checked.

use std::fmt::Write as _;
use std::path::Path;

use super::{Report, moment};
use crate::cli::app::App;
use crate::cli::error::CliError;
use crate::cli::rows;
use crate::client::{Client, ListQuery};
use crate::display::sanitize::safe;
use crate::wire::EventRecord;
use chrono::{DateTime, TimeDelta, Utc};

/// Records of a page.
const PAGE: u64 = 500;
/// The most records in one timeline.
const RECORDS: usize = 5_000;

/// Text in a cell or a sentence: what would be Markdown or HTML in it is text.
fn cell(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in safe(text).chars() {
        if "\\`*_{}[]<>#|!&~".contains(c) {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

/// Writes the timeline to a new file.
///
/// # Errors
/// Where the log cannot be read or the file not be written.
pub async fn write(
    app: &mut App<'_>,
    client: &Client,
    report: &Report,
    began: DateTime<Utc>,
    file: &Path,
) -> Result<(), CliError> {
    let records = records(client, report).await?;
    let text = page(report, &records, began);
    let failed = || CliError::files(format!("write the new file {}", file.display()));
    let mut out = std::fs::File::create_new(file).map_err(failed())?;
    std::io::Write::write_all(&mut out, text.as_bytes()).map_err(failed())?;
    out.sync_all().map_err(failed())?;
    app.say(&format!("The timeline is in {}", file.display()))
}

/// The records of the last day about the credential and about what was done to it, oldest first.
async fn records(client: &Client, report: &Report) -> Result<Vec<EventRecord>, CliError> {
    let mut subjects = vec![report.found.row.id.to_string()];
    subjects.extend(report.rotation.map(|id| id.to_string()));
    let earlier = report.found.revocations.iter().map(|row| row.id);
    let own = report.revocation.iter().map(|detail| detail.row.id);
    subjects.extend(earlier.chain(own).map(|id| id.to_string()));
    subjects.dedup();
    let words: Vec<String> = subjects.iter().map(|id| format!("subject={id}")).collect();
    let mut query = ListQuery::filter(format!("({}) & age<=25h", words.join(" | "))).limit(PAGE);
    let mut records = Vec::new();
    loop {
        let page = client.log_events(&query).await;
        let page = page
            .map_err(CliError::call("read the log for the timeline"))?
            .value;
        let oldest = page.items.last().map(|record| record.at);
        records.extend(page.items);
        let before = crate::clock::now() - TimeDelta::hours(25);
        let over = oldest.is_some_and(|at| at < before) || records.len() >= RECORDS;
        if over || page.next.is_none() || page.next == query.cursor {
            break;
        }
        query.cursor = page.next;
    }
    records.reverse();
    Ok(records)
}

/// What a record says beside its type.
fn said(record: &EventRecord) -> String {
    let data = &record.data;
    let revocation = data.get("revocation");
    let reason = data
        .get("reason")
        .or_else(|| revocation?.get("reason"))
        .or_else(|| data.get("rotation")?.get("reason"));
    reason
        .and_then(|reason| reason.as_str())
        .map(cell)
        .unwrap_or_default()
}

fn page(report: &Report, records: &[EventRecord], began: DateTime<Utc>) -> String {
    let found = &report.found;
    let row = &found.row;
    let mut out = String::new();
    let mut line = |text: String| {
        // Writing to a text does not fail.
        let _written = writeln!(out, "{text}");
    };
    line(format!("# Found secret of {}", cell(&row.name)));
    line(String::new());
    line(format!(
        "Version {} in {}, tier {}, used by {}, answered for by {}. The drill began at {}.",
        found.version,
        row.environment,
        row.tier,
        cell(&row.client),
        cell(&row.owner),
        moment(began)
    ));
    line(String::new());
    let accepted = if found.accepted { "was" } else { "was not" };
    line(format!(
        "- It {accepted} accepted when it was found ({}).",
        found.version_state
    ));
    line(format!(
        "- It is for {} and allows {}.",
        cell(&found.audience),
        cell(&found.scopes.join(" "))
    ));
    let dependents = match found.dependents.as_slice() {
        [] => "nothing that is known".to_owned(),
        some => cell(&some.join(", ")),
    };
    line(format!("- What stops with it: {dependents}."));
    for reader in &found.readers {
        line(format!(
            "- Shown in the day before at {} from {}: accepted {}, refused {}.",
            cell(reader.gateway.as_deref().unwrap_or("introspection")),
            cell(reader.network.as_deref().unwrap_or("somewhere")),
            reader.accepted,
            reader.refused
        ));
    }
    line(String::new());
    line("## What happened".to_owned());
    line(String::new());
    line("| record | time | what | who | why |".to_owned());
    line("| ---: | --- | --- | --- | --- |".to_owned());
    for record in records {
        line(format!(
            "| {} | {} | {} | {} | {} |",
            record.sequence,
            moment(record.at),
            cell(&record.kind),
            cell(&record.actor.name),
            said(record)
        ));
    }
    if let Some(detail) = &report.revocation {
        line(String::new());
        line("## Gateways".to_owned());
        line(String::new());
        line("| gateway | refuses after | seen to refuse after | objective |".to_owned());
        line("| --- | ---: | ---: | ---: |".to_owned());
        for view in &detail.reach {
            line(format!(
                "| {} | {} | {} | {} s{} |",
                cell(&view.name),
                rows::took(view.applied_ms),
                rows::took(view.proven_ms),
                view.objective_s,
                if view.late { ", late" } else { "" }
            ));
        }
        line(String::new());
        line(format!(
            "Time to revoke: {}.",
            rows::took(detail.row.time_to_revoke_ms)
        ));
    }
    line(String::new());
    line(if report.refused {
        "Afterwards the secret itself was shown to the broker, and refused.".to_owned()
    } else {
        "The secret itself was not shown to be refused.".to_owned()
    });
    line(String::new());
    line(
        "Every record is a leaf of the signed log: `countersign audit verify` checks it."
            .to_owned(),
    );
    out
}
