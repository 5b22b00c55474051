//! Bursts: in `request list` one row each, and `request deny-burst`, which shows what waits of one and then denies it
//! request by request.

use serde::Serialize;

use super::app::{App, PAGE_ROWS, row_limit, settled};
use super::args::{ChangeArgs, Format, ListArgs};
use super::error::CliError;
use super::output::{self, List, Row, Sheet, Style};
use crate::client::{Client, ListQuery, Once};
use crate::wire::burst::{Burst, Item, together};
use crate::wire::{Deny, RequestId, RequestRow, RequestState};
use std::collections::BTreeSet;

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
    let nothing = || CliError::NotFound {
        what: "burst that waits for a decision",
        name: name.to_owned(),
    };
    let client = app.connect_to_change().await?;
    let run = match client.request(id).await {
        Ok(answer) => answer.value.row.run,
        Err(error) if error.status() == Some(404) => return Err(nothing()),
        Err(error) => return Err(CliError::call(format!("show request {id}"))(error)),
    };
    let of_run = |mut rows: Vec<RequestRow>| {
        rows.retain(|row| row.run == run);
        rows
    };
    let rows = of_run(all(&client, "state=burst state=awaiting_approval").await?);
    // Who repeats a call by its key gets the answers that it got, also where nothing is left to be denied.
    let denied = match change.idempotency_key {
        Some(_) if !change.dry_run => of_run(all(&client, "state=burst state=denied").await?),
        _ => Vec::new(),
    };
    if rows.is_empty() && denied.is_empty() {
        return Err(nothing());
    }
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
    if !rows.is_empty() {
        app.io.err.write_all(sheet(&rows, &style).as_bytes())?;
        let effect = format!("{} requests of {requester} are denied", rows.len());
        app.confirm(change, &effect, &requester)?;
    }
    let reason = app.reason(change)?;
    let key = App::once(change).key;
    let (mut failed, mut answered) = (None, false);
    for row in denied.iter().chain(&rows) {
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
            Ok(answer) => {
                answered = true;
                app.receipt(&format!("Denied {}", row.id), &answer.value)?;
            }
            // Another call denied it: it is no part of this one's answer.
            Err(error) if row.state == RequestState::Denied && is_over(&error) => {}
            Err(error) => {
                app.say(&format!("{} is not denied: {error}", row.id))?;
                failed = failed.or(Some(error));
            }
        }
    }
    match failed {
        Some(error) => Err(error),
        None if answered => Ok(()),
        None => Err(nothing()),
    }
}

/// Whether the broker said that there is nothing to decide any more.
fn is_over(error: &CliError) -> bool {
    matches!(error, CliError::Call { source, .. } if matches!(source.status(), Some(409 | 412)))
}

/// Prints the queue, the requests of one burst as one row where the first of them stands, also where they are on
/// several pages.
///
/// # Errors
/// Whatever a page gives.
pub async fn list(app: &mut App<'_>, args: &ListArgs) -> Result<(), CliError> {
    let client = app.connect().await?;
    let style = app.style();
    let limit = row_limit(args, style.format) as usize;
    let mut query = ListQuery {
        filter: args.filter.clone(),
        sort: args.sort.clone(),
        limit: Some(PAGE_ROWS),
        cursor: None,
    };
    let mut rows: Vec<RequestRow> = Vec::new();
    let (total, more) = loop {
        let page = client.requests(&query).await;
        let page = page.map_err(CliError::call("list requests"))?.value;
        rows.extend(page.items);
        let enough = items(&rows).len() >= limit;
        if enough || page.next.is_none() || page.next == query.cursor {
            break (page.total, page.next.is_some());
        }
        query.cursor = page.next;
    };
    if more && rows.iter().any(|row| row.burst) {
        complete(&client, args.filter.as_deref(), &mut rows).await?;
    }
    let items = items(&rows);
    let mut list = List::begin::<Queued>(&mut *app.io.out, style)?;
    let mut shown = 0;
    for item in items.iter().take(limit) {
        shown += item.rows().len() as u64;
        list.row(&Queued::from(item))?;
    }
    list.end()?;
    if more || items.len() > limit {
        app.more(shown, total)?;
    }
    Ok(())
}

fn items(rows: &[RequestRow]) -> Vec<Item<'_>> {
    together(&rows.iter().collect::<Vec<_>>(), |_| false)
}

/// Adds what pages that were not read have of the bursts that are there.
async fn complete(
    client: &Client,
    filter: Option<&str>,
    rows: &mut Vec<RequestRow>,
) -> Result<(), CliError> {
    let filter = match filter {
        Some(filter) => format!("({filter}) & state=burst"),
        None => "state=burst".to_owned(),
    };
    let runs: BTreeSet<RequestId> = rows.iter().map(|row| row.run).collect();
    let known: BTreeSet<RequestId> = rows.iter().map(|row| row.id).collect();
    let mut others = all(client, &filter).await?;
    others.retain(|row| runs.contains(&row.run) && !known.contains(&row.id));
    rows.extend(others);
    Ok(())
}

/// All requests that match.
async fn all(client: &Client, filter: &str) -> Result<Vec<RequestRow>, CliError> {
    let mut query = ListQuery::filter(filter).limit(PAGE_ROWS);
    let mut rows = Vec::new();
    loop {
        let page = client.requests(&query).await;
        let page = page.map_err(CliError::call("list requests"))?.value;
        rows.extend(page.items);
        if page.next.is_none() || page.next == query.cursor {
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
