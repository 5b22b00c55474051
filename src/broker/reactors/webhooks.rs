//! Events, carried to one receiver: in the order of the log, at least once, and until it has them. A receiver that is
//! away holds up nobody but itself.

use super::{jitter, moved};
use crate::{
    broker::{
        cursors::Cursor,
        engine::Engine,
        views::Views,
        webhooks::{Delivery, Webhook, body},
    },
    clock,
    domain::Recorded,
};
use chrono::{DateTime, Utc};
use std::{sync::Arc, time::Duration};

/// How many events are read at once.
const PAGE: u32 = 128;
/// How long to wait when the store does not answer.
const STORE: Duration = Duration::from_secs(1);

/// How the way to one receiver ends.
enum End {
    /// The broker stops.
    Stopping,
    /// The receiver wants nothing any more.
    Gone,
}

/// Runs until the broker stops, or the receiver says that it is gone. What a receiver hears that nobody told of before
/// begins after `newest`, the sequence at the broker's start.
pub async fn run(engine: Engine, hook: Arc<Webhook>, newest: u64) {
    let Some(mut cursor) = begin(&engine, &hook, newest).await else {
        return;
    };
    if cursor.gone.as_deref() == Some(hook.url()) {
        hook.gone();
        return;
    }
    cursor.gone = None;
    match follow(&engine, &hook, &mut cursor).await {
        End::Stopping => {}
        End::Gone => {
            hook.gone();
            cursor.gone = Some(hook.url().to_owned());
            tracing::warn!(
                webhook = hook.name(),
                "the receiver answered 410 and is called no more"
            );
        }
    }
    // What was passed over since the last delivery need not be looked at again; if this is lost, it is.
    if let Err(error) = engine.cursors().save(hook.name(), &cursor).await {
        tracing::warn!(webhook = hook.name(), %error, "its place could not be kept");
    }
}

/// Where to begin: where it was, or with what happens since the start. Not with what happens from now on: events may
/// have come while its place was looked for.
async fn begin(engine: &Engine, hook: &Webhook, newest: u64) -> Option<Cursor> {
    loop {
        let kept = match engine.cursors().load(hook.name()).await {
            Ok(Some(cursor)) => Ok(cursor),
            Ok(None) => {
                let cursor = Cursor {
                    after: newest,
                    gone: None,
                };
                let saved = engine.cursors().save(hook.name(), &cursor).await;
                saved.map(|()| cursor)
            }
            Err(error) => Err(error),
        };
        match kept {
            Ok(cursor) => return Some(cursor),
            Err(error) => {
                tracing::warn!(webhook = hook.name(), %error, "its place cannot be read");
                if !wait(engine, STORE).await {
                    return None;
                }
            }
        }
    }
}

async fn follow(engine: &Engine, hook: &Webhook, cursor: &mut Cursor) -> End {
    loop {
        hook.came_to(cursor.after);
        if cursor.after >= engine.state().sequence {
            if moved(engine, cursor.after, None).await {
                continue;
            }
            return End::Stopping;
        }
        let page = match engine.events(cursor.after + 1, PAGE).await {
            Ok(page) => page,
            Err(error) => {
                tracing::warn!(webhook = hook.name(), %error, "the log cannot be read");
                if wait(engine, STORE).await {
                    continue;
                }
                return End::Stopping;
            }
        };
        for recorded in &page {
            if hook.wants(recorded.event.kind()) {
                if let Some(end) = carry(engine, hook, recorded).await {
                    return end;
                }
                cursor.after = recorded.sequence();
                // If this is lost, the receiver hears of it once more.
                if let Err(error) = engine.cursors().save(hook.name(), cursor).await {
                    tracing::warn!(webhook = hook.name(), %error, "its place could not be kept");
                }
            }
            cursor.after = recorded.sequence();
            hook.came_to(cursor.after);
        }
        if engine.winding_down().is_cancelled() {
            return End::Stopping;
        }
    }
}

/// Calls until the receiver has it. `None`: it has.
async fn carry(engine: &Engine, hook: &Webhook, recorded: &Recorded) -> Option<End> {
    let id = body::id(recorded);
    let state = engine.state();
    let views = Views {
        state: &state,
        usage: engine.usage(),
        reviews: engine.policies().reviews(&state),
        now: clock::now(),
    };
    let body = body::body(&views, recorded);
    loop {
        let now = clock::now();
        if !hook.admit(now) {
            if wait(engine, STORE).await {
                continue;
            }
            return Some(End::Stopping);
        }
        let delivery = tokio::select! {
            // It may have arrived: then it arrives again after the next start.
            () = engine.winding_down().cancelled() => return Some(End::Stopping),
            delivery = hook.deliver(&id, &body, now) => delivery,
        };
        let again = match delivery {
            Delivery::Taken => {
                counted(hook, "taken");
                hook.succeeded();
                return None;
            }
            Delivery::Gone => {
                counted(hook, "gone");
                return Some(End::Gone);
            }
            Delivery::Failed { why, retry_after } => {
                counted(hook, "failed");
                let now = clock::now();
                let again = hook.failed(&why, now, jitter());
                let sequence = recorded.sequence();
                tracing::warn!(
                    webhook = hook.name(),
                    sequence,
                    why,
                    "a receiver could not be told"
                );
                again.max(now + retry_after.unwrap_or_default())
            }
        };
        if !wait(engine, until(again)).await {
            return Some(End::Stopping);
        }
    }
}

fn counted(hook: &Webhook, result: &'static str) {
    let name = hook.name().to_owned();
    metrics::counter!("countersign_webhook_calls_total", "webhook" => name, "result" => result)
        .increment(1);
}

fn until(at: DateTime<Utc>) -> Duration {
    (at - clock::now()).to_std().unwrap_or_default()
}

/// Waits, unless the broker stops first. Returns whether to go on.
async fn wait(engine: &Engine, time: Duration) -> bool {
    tokio::select! {
        () = engine.winding_down().cancelled() => false,
        () = tokio::time::sleep(time) => true,
    }
}
