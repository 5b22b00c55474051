//! The loop of a reactor that works through a list of the state: so many items at once, each with its own task, what
//! failed again after a pause.

use super::{jitter, moved, waits::Waits};
use crate::{
    broker::{breaker::backoff, engine::Engine},
    clock,
    domain::State,
};
use chrono::{DateTime, Utc};
use imbl::OrdSet;
use std::{hash::Hash, sync::Arc};
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

/// How one turn at an item ended.
pub(super) enum Turn {
    /// Recorded, or no longer wanted.
    Done,
    /// To be tried again at that time.
    Again(DateTime<Utc>),
}

impl Turn {
    /// To be tried again after the pause that follows so many failures.
    pub(super) fn later(failures: u32) -> Self {
        Self::Again(clock::now() + backoff(failures, jitter()))
    }
}

/// What a reactor works through.
pub(super) trait Work {
    /// One thing on the list.
    type Item: Copy + Ord + Hash + Send + Sync + 'static;
    /// How many are worked on at once.
    const AT_ONCE: usize;

    /// What is to be done.
    fn list(state: &State) -> &OrdSet<Self::Item>;

    /// One turn at an item that has failed so often.
    fn turn(
        engine: Engine,
        item: Self::Item,
        failures: u32,
    ) -> impl Future<Output = Turn> + Send + 'static;
}

/// Runs until the broker stops; what is under way then is finished by its own task.
pub(super) async fn run<W: Work>(engine: Engine, tasks: TaskTracker) {
    let waits: Waits<W::Item> = Waits::new();
    let room = Arc::new(Semaphore::new(W::AT_ONCE));
    loop {
        let state = engine.state();
        waits.keep_only(|item| W::list(&state).contains(item));
        let mut full = false;
        for &item in W::list(&state) {
            let Ok(permit) = Arc::clone(&room).try_acquire_owned() else {
                full = true;
                break;
            };
            let Some(failures) = waits.take(item, clock::now()) else {
                continue;
            };
            let (engine, waits) = (engine.clone(), waits.clone());
            tasks.spawn(async move {
                let turn = W::turn(engine.clone(), item, failures).await;
                // Room is made before the bell is rung, or whoever hears it finds none.
                drop(permit);
                let turn = match turn {
                    // Done, and still on the list: taking it up at once again would never end.
                    Turn::Done if W::list(&engine.state()).contains(&item) => {
                        Turn::later(failures + 1)
                    }
                    turn => turn,
                };
                match turn {
                    Turn::Done => waits.done(item),
                    Turn::Again(at) => waits.wait(item, at, failures + 1),
                }
            });
        }
        let go_on = tokio::select! {
            // While there is no room it is the bell that counts, not what has become due meanwhile.
            go_on = moved(&engine, state.sequence, waits.next().filter(|_| !full)) => go_on,
            () = waits.rung() => true,
        };
        if !go_on {
            return;
        }
    }
}
