//! `request deny-burst`: what waits of a burst, shown first and then denied one by one.

use serde::Serialize;

use super::app::{App, settled};
use super::args::{ChangeArgs, Format};
use super::error::CliError;
use super::output::{self, Row, Sheet, Style};
use crate::client::{Client, ListQuery, Once};
use crate::wire::burst::{Burst, Item};
use crate::wire::{Deny, RequestId, RequestRow};

/// What a table shows as one row of the queue.
#[derive(Serialize)]
#[serde(transparent)]
pub struct Queued {
    rows: Vec<RequestRow>,
}

impl From<&Item<'_>> for Queued {
    fn from(item: &Item<'_>) -> Self {
        let rows = item.rows().iter().map(|row| (*row).clone());
        Self {
            rows: rows.collect(),
        }
    }
}

impl Row for Queued {
    const COLUMNS: &'static [(&'static str, crate::display::table::Align)] = RequestRow::COLUMNS;

    fn cells(&self, style: &Style) -> Vec<String> {
        let [first, _, ..] = self.rows.as_slice() else {
            return self.rows.iter().flat_map(|row| row.cells(style)).collect();
        };
        let burst = Burst {
            run: first.run,
            rows: self.rows.iter().collect(),
        };
        let (score, tier) = burst.risk();
        let environments: Vec<&str> = burst
            .environments()
            .iter()
            .map(|env| env.as_str())
            .collect();
        let newest = self.rows.iter().map(|row| row.sequence).max();
        vec![
            burst.run.to_string(),
            format!("BURST of {}", self.rows.len()),
            environments.join(" "),
            "--each shows them".to_owned(),
            String::new(),
            String::new(),
            "burst".to_owned(),
            format!("{score} {tier}"),
            String::new(),
            burst.requester().to_owned(),
            style.moment_or(burst.oldest(), "-"),
            style.moment_or(burst.soonest(), "-"),
            newest.map_or_else(String::new, |sequence| sequence.to_string()),
        ]
    }
}

/// What is about to be denied.
#[derive(Serialize)]
struct Plan<'a> {
    dry_run: bool,
    run: RequestId,
    denies: &'a [RequestRow],
}

/// Denies what waits of the burst that `name` names, by its run or one of its requests.
///
/// # Errors
/// Why it was not done, or not all of it.
pub async fn deny(app: &mut App<'_>, name: &str, change: &ChangeArgs) -> Result<(), CliError> {
    let id: RequestId = name.parse().map_err(|_| {
        CliError::Usage(format!(
            "{name:?} is not a request's identifier (req_…), as `request list` shows it for a burst"
        ))
    })?;
    let client = app.connect_to_change().await?;
    let rows = waiting(&client).await?;
    let run = rows.iter().find(|row| row.run == id || row.id == id);
    let run = run.map(|row| row.run).ok_or(CliError::NotFound {
        what: "burst that waits for a decision",
        name: name.to_owned(),
    })?;
    let rows: Vec<RequestRow> = rows.into_iter().filter(|row| row.run == run).collect();
    let requester = rows.first().map_or("", |row| &row.requester).to_owned();
    let style = app.style();
    if change.dry_run {
        let plan = Plan {
            dry_run: true,
            run,
            denies: &rows,
        };
        match style.format {
            Format::Table | Format::Csv => app.io.out.write_all(sheet(&rows, &style).as_bytes())?,
            format => {
                output::write_json(&mut *app.io.out, &plan, format == Format::Json)?;
                app.io.out.write_all(b"\n")?;
            }
        }
        return Ok(());
    }
    app.io.err.write_all(sheet(&rows, &style).as_bytes())?;
    let effect = format!("{} requests of {requester} are denied", rows.len());
    app.confirm(change, &effect, &requester)?;
    let reason = app.reason(change)?;
    let key = App::once(change).key;
    let mut failed = None;
    for row in &rows {
        let once = Once {
            key: format!("{key}-{}", row.id),
            seen: Some(row.sequence),
        };
        let body = Deny {
            digest: row.digest,
            reason: reason.clone(),
            signed: None,
            // Its rows were shown, and none in full: that is nothing to sign, and the record says so.
            unsigned: true,
        };
        let outcome = client.deny(row.id, &body, &once).await;
        match settled(outcome, format!("deny {}", row.id), &once) {
            Ok(answer) => app.receipt(&format!("Denied {}", row.id), &answer.value)?,
            Err(error) => {
                app.say(&format!("{} is not denied: {error}", row.id))?;
                failed = failed.or(Some(error));
            }
        }
    }
    failed.map_or(Ok(()), Err)
}

/// Everything of bursts that waits for a decision.
async fn waiting(client: &Client) -> Result<Vec<RequestRow>, CliError> {
    let mut query = ListQuery::filter("state:burst state:awaiting_approval".to_owned());
    let mut rows = Vec::new();
    loop {
        let page = client.requests(&query).await;
        let page = page.map_err(CliError::call("list requests"))?.value;
        rows.extend(page.items);
        if page.next.is_none() {
            return Ok(rows);
        }
        query.cursor = page.next;
    }
}

fn sheet(rows: &[RequestRow], style: &Style) -> String {
    let mut sheet = Sheet::default();
    sheet.section("Denied, each with a record of its own");
    for row in rows {
        sheet.line(&format!(
            "  {}  {} in {}, risk {} {}, asked {}",
            row.id,
            row.credential,
            row.environment,
            row.risk,
            row.tier,
            style.moment(row.submitted_at)
        ));
    }
    sheet.finish()
}
