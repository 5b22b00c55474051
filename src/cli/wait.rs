//! `--wait`: follows the event stream until something has come to its end. The object itself is what
//! counts; events only say when to look again, so one that is lost costs a moment and no more.

use std::time::Duration;

use tokio::sync::mpsc::Receiver;
use tokio::time::{Instant, interval, timeout_at};

use super::error::CliError;
use crate::client::{Client, ClientError, EventQuery, Feed};
use crate::wire::FeedItem;

/// Looked at this often even if no event says so: a caller's stream may leave out what it may not see.
const LOOK_ANYWAY: Duration = Duration::from_secs(2);

/// How far a thing has come.
#[derive(Debug)]
pub enum End<T> {
    /// To its end.
    Reached(T),
    /// Not yet.
    Not(T),
}

/// Looks at once, and again after every event that `concerns` it, until `look` says that the end is
/// reached or the time is over.
///
/// # Errors
/// Whatever `look` gives; a lost stream is no error.
pub async fn until<T>(
    client: &Client,
    after: u64,
    limit: Duration,
    concerns: impl Fn(&FeedItem) -> bool,
    look: impl AsyncFn() -> Result<End<T>, CliError>,
) -> Result<End<T>, CliError> {
    let deadline = Instant::now() + limit;
    let mut from = after;
    let mut feed = None;
    // A service sees its own objects only, and not the stream: it looks now and then.
    let mut may_follow = true;
    let mut anyway = interval(LOOK_ANYWAY);
    loop {
        if may_follow && feed.is_none() {
            let query = EventQuery {
                after: Some(from),
                ..EventQuery::default()
            };
            feed = Some(client.events(query).await.map_err(ended)?);
        }
        tokio::select! {
            _ = anyway.tick() => {}
            () = tokio::time::sleep_until(deadline) => return look().await,
            heard = hear(&mut feed) => match heard {
                Some(Feed::Item { item, .. }) if concerns(&item) => {}
                Some(Feed::Item { .. } | Feed::Link(_)) => continue,
                Some(Feed::Gap { got, .. }) => {
                    from = got;
                    feed = None;
                }
                Some(Feed::Ended(error)) if error.status() == Some(403) => {
                    may_follow = false;
                    feed = None;
                }
                Some(Feed::Ended(error)) => return Err(ended(error)),
                Some(Feed::Reset) | None => {
                    from = client.head().await.map_err(ended)?;
                    feed = None;
                }
            },
        }
        // A slow answer must not outlast the time by much.
        match timeout_at(deadline + LOOK_ANYWAY, look()).await {
            Ok(Ok(End::Not(_))) if Instant::now() < deadline => {}
            Ok(result) => return result,
            Err(_) => return look().await,
        }
    }
}

async fn hear(feed: &mut Option<Receiver<Feed<FeedItem>>>) -> Option<Feed<FeedItem>> {
    match feed {
        Some(feed) => feed.recv().await,
        None => std::future::pending().await,
    }
}

fn ended(error: ClientError) -> CliError {
    CliError::call("follow the broker's events")(error)
}
