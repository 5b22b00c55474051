//! `watch`: what happens, as it happens.

use clap::Args as ClapArgs;

use super::app::App;
use super::args::Format;
use super::error::CliError;
use super::output::{Row, write_csv_row, write_json};
use crate::client::{EventQuery, Feed, Link};
use crate::display::sanitize::safe;
use crate::wire::{EventRecord, FeedItem};

/// Arguments of `watch`.
#[derive(Clone, Debug, ClapArgs)]
pub struct Args {
    /// Only what is about this object: an identifier, or the name of a credential
    #[arg(long, value_name = "OBJECT")]
    subject: Option<String>,
    /// Only events of this type, such as request.approved
    #[arg(long = "type", value_name = "TYPE")]
    kind: Option<String>,
    /// Begin after this sequence; with 0, at the beginning. From now on if left out
    #[arg(long, value_name = "SEQUENCE")]
    after: Option<u64>,
    /// End after so many events
    #[arg(long, short = 'n', value_name = "EVENTS")]
    count: Option<u64>,
}

/// Follows the stream until it is told to stop.
///
/// # Errors
/// A stream that cannot be followed, or cannot be resumed without a gap.
pub async fn run(app: &mut App<'_>, args: &Args) -> Result<(), CliError> {
    let client = app.connect().await?;
    let subject = match &args.subject {
        Some(name) if is_identifier(name) => Some(name.clone()),
        Some(name) => Some(app.credential(&client, name).await?.id.to_string()),
        None => None,
    };
    let doing = || CliError::call("follow the broker's events");
    let query = EventQuery {
        subject,
        kind: args.kind.clone(),
        after: args.after,
    };
    let mut feed = client.events(query).await.map_err(doing())?;
    let mut left = args.count.unwrap_or(u64::MAX);
    let style = app.style();
    if style.format == Format::Csv {
        let titles = EventRecord::COLUMNS
            .iter()
            .map(|(title, _)| title.to_lowercase().replace(' ', "_"));
        write_csv_row(&mut *app.io.out, titles)?;
        app.io.out.flush()?;
    }
    while left > 0 {
        let heard = tokio::select! {
            heard = feed.recv() => heard,
            _ = tokio::signal::ctrl_c() => return Ok(()),
        };
        match heard {
            Some(Feed::Item { item, .. }) => {
                print(app, &item)?;
                left -= 1;
            }
            Some(Feed::Link(Link::Reconnecting { wait, reason, .. })) => {
                app.say(&format!(
                    "link lost ({reason}); next try in {:.1} s",
                    wait.as_secs_f64()
                ))?;
            }
            Some(Feed::Link(_)) => {}
            Some(Feed::Ended(error)) => return Err(doing()(error)),
            Some(Feed::Gap { expected, got }) => {
                return Err(CliError::Unverified(format!(
                    "events {expected} to {} are missing from the stream",
                    got.saturating_sub(1)
                )));
            }
            Some(Feed::Reset) => {
                return Err(CliError::Declined(
                    "the broker does not keep events from so long ago; use `audit list`, or a later --after".to_owned(),
                ));
            }
            None => return Ok(()),
        }
    }
    Ok(())
}

fn print(app: &mut App<'_>, item: &FeedItem) -> Result<(), CliError> {
    let style = app.style();
    let event = &item.event;
    match style.format {
        Format::Table => {
            let subject = match event.subject_name.as_str() {
                "" => &event.subject,
                _ => &event.subject_name,
            };
            writeln!(
                app.io.out,
                "{:>8}  {}  {:<26} {}  by {}",
                event.sequence,
                crate::display::time::record(event.at),
                safe(&event.kind),
                safe(subject),
                safe(&event.actor.name),
            )?;
        }
        Format::Csv => write_csv_row(&mut *app.io.out, event.cells(&style))?,
        Format::Json | Format::Ndjson => {
            // One document a line in both: a stream has no end to close an array at.
            write_json(&mut *app.io.out, item, false)?;
            app.io.out.write_all(b"\n")?;
        }
    }
    // Whoever waits for an event waits for this line.
    app.io.out.flush()?;
    Ok(())
}

fn is_identifier(text: &str) -> bool {
    text.split_once('_').is_some_and(|(prefix, rest)| {
        prefix.len() == 3
            && rest.len() == 26
            && rest.bytes().all(|byte| byte.is_ascii_alphanumeric())
    })
}
