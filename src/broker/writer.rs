//! The one writer. Commands queue up; what has queued while the last commit was in flight is decided together,
//! appended in one durable transaction, and only then published to readers, streams and the commands' callers.

use super::{
    engine::{EngineError, Inner, Outcome},
    leaf,
    sealed::Sealed,
    snapshot,
};
use crate::{
    canonical,
    domain::{
        Actor, Cause, Command, Context, Event, Recorded, Refusal, State,
        decide::{self, decide},
        event::Subject,
    },
    event_log::store::{AppendError, Head, SideWrite, Store as _},
    secret::digest_of_bytes,
};
use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};
use tokio::sync::{mpsc, oneshot};

/// How many commands are decided and appended together at most.
const BATCH: usize = 256;
/// How often a store that was away is tried, while nobody else does.
const PROBE: Duration = Duration::from_secs(2);
/// The longest leaf that the log takes, in bytes.
const LEAF_MAX: usize = 65_535;

/// What waits for the writer.
pub(super) struct Job {
    /// Decided one after the other, all or none.
    pub(super) commands: Vec<Command>,
    pub(super) context: Context,
    /// Written in the same transaction.
    pub(super) side: Vec<SideWrite>,
    pub(super) answer: Answer,
}

/// The writer's loop: it ends when it was told to stop and the queue is empty.
pub(super) async fn write(inner: Arc<Inner>, mut queue: mpsc::Receiver<Job>) {
    // However the writer ends, nobody waits for events that cannot come.
    let _closing = Closing(Arc::clone(&inner));
    let mut jobs = Vec::with_capacity(BATCH);
    loop {
        let away = inner.trouble.read().is_some();
        tokio::select! {
            // Work first: a stop only counts once nothing waits.
            biased;
            count = queue.recv_many(&mut jobs, BATCH) => {
                if count == 0 {
                    break;
                }
                commit(&inner, std::mem::take(&mut jobs)).await;
            }
            () = inner.stopping.cancelled() => {
                queue.close();
                while queue.recv_many(&mut jobs, BATCH).await > 0 {
                    commit(&inner, std::mem::take(&mut jobs)).await;
                }
                break;
            }
            // Nobody sends commands to a broker that says it is down: it has to find out by itself that it is not.
            () = tokio::time::sleep(PROBE), if away => probe(&inner).await,
        }
    }
    let (state, head) = durable(&inner);
    let _ended = snapshot::write_aside(&inner.snapshots, state, head).await;
}

struct Closing(Arc<Inner>);

impl Drop for Closing {
    fn drop(&mut self) {
        self.0.feed.close();
    }
}

/// The published state, and the log's head: they belong together whenever the writer is not at work.
fn durable(inner: &Inner) -> (Arc<State>, Head) {
    (Arc::clone(&inner.state.read()), inner.log.head())
}

type Answer = oneshot::Sender<Result<Outcome, EngineError>>;

/// What was decided in one batch and waits to become durable.
#[derive(Default)]
struct Decided {
    recorded: Vec<Arc<Recorded>>,
    leaves: Vec<Vec<u8>>,
    side: Vec<SideWrite>,
    answers: Vec<(Answer, Result<Outcome, EngineError>)>,
}

/// How a batch became durable.
enum Written {
    /// As it was decided.
    Now,
    /// It was found in the log afterwards, and taken up from there.
    Found,
}

async fn commit(inner: &Inner, jobs: Vec<Job>) {
    if inner.unsettled.load(Ordering::Relaxed)
        && let Err(error) = settle(inner).await
    {
        trouble(inner, &error);
        for job in jobs {
            let _gone = job.answer.send(Err(error.clone()));
        }
        return;
    }
    let mut next = State::clone(&inner.state.read());
    let mut decided = Decided::default();
    for job in jobs {
        let Job {
            commands,
            context,
            side,
            answer,
        } = job;
        let outcome = run(inner, &mut next, &mut decided, &commands, context);
        if outcome.as_ref().is_ok_and(|outcome| !outcome.replayed) {
            decided.side.extend(side);
        }
        if decided.leaves.is_empty() && decided.side.is_empty() {
            // Nothing in this batch can still take it back.
            let _gone = answer.send(outcome);
        } else {
            // A repetition or a refusal too may rest on what is not durable yet.
            decided.answers.push((answer, outcome));
        }
    }
    let Decided {
        recorded,
        leaves,
        side,
        answers,
    } = decided;
    if leaves.is_empty() && side.is_empty() {
        return;
    }
    let mut side = side;
    side.extend(
        recorded
            .iter()
            .flat_map(|recorded| Sealed::outlived(&recorded.event)),
    );
    let written = if leaves.is_empty() {
        let kept = inner.sealed.keep_all(side).await;
        kept.map(|()| Written::Now)
    } else {
        append(inner, leaves, side).await
    };
    metrics::histogram!("countersign_commit_events").record(recorded.len() as f64);
    match written {
        Ok(written) => {
            if let Written::Now = written {
                *inner.state.write() = Arc::new(next);
                inner.feed.publish(recorded);
            }
            *inner.trouble.write() = None;
            for (answer, outcome) in answers {
                let _gone = answer.send(outcome);
            }
            let (state, head) = durable(inner);
            if inner.snapshots.due(state.sequence) {
                // Not waited for: the writer has better things to do.
                drop(snapshot::write_aside(&inner.snapshots, state, head));
            }
        }
        Err(error) => {
            tracing::error!(%error, "a batch could not be written");
            trouble(inner, &error);
            for (answer, _) in answers {
                let _gone = answer.send(Err(error.clone()));
            }
        }
    }
}

/// Remembers what the store said, and since when it has been away.
fn trouble(inner: &Inner, error: &EngineError) {
    let mut trouble = inner.trouble.write();
    let since = trouble
        .as_ref()
        .map_or_else(crate::clock::now, |(_, since)| *since);
    *trouble = Some((error.to_string(), since));
}

/// Finds out whether a store that was away is back: by a small write, since that is what failed.
async fn probe(inner: &Inner) {
    match attempt(inner).await {
        Ok(()) => {
            tracing::info!("the store is back");
            *inner.trouble.write() = None;
        }
        Err(error) => trouble(inner, &error),
    }
}

async fn attempt(inner: &Inner) -> Result<(), EngineError> {
    if inner.unsettled.load(Ordering::Relaxed) {
        settle(inner).await?;
    }
    let store = inner.log.store();
    let away = |error| EngineError::store(&error);
    store
        .put_side("broker", b"probe", b"")
        .await
        .map_err(away)?;
    let stored = store.head().await.map_err(away)?.head;
    if stored == inner.log.head() {
        Ok(())
    } else {
        Err(not_alone(stored))
    }
}

fn not_alone(actual: Head) -> EngineError {
    EngineError::Unavailable {
        reason: format!(
            "another process has written to this log (it has {} leaves now); only one broker may use it",
            actual.size
        ),
        retry_after_s: 5,
    }
}

/// Decides one job on top of what the batch has decided so far. On an error `next` and `decided` are as before.
fn run(
    inner: &Inner,
    next: &mut State,
    decided: &mut Decided,
    commands: &[Command],
    mut context: Context,
) -> Result<Outcome, EngineError> {
    // The log's time never runs backwards, whatever the clocks of those who ask do.
    context.now = context.now.max(next.time);
    if let (Some((key, body)), Actor::Operator { id, .. }) = (&context.idempotency, &context.actor)
        && let Some(answered) = next.answered(*id, key)
    {
        if answered.body != *body {
            return Err(Refusal::KeyReused.into());
        }
        return Ok(Outcome {
            subject: answered.subject,
            sequence: answered.sequence,
            state: answered.state.clone(),
            replayed: true,
        });
    }
    let length = decided.leaves.len();
    let mut subject = Subject::Broker;
    for command in commands {
        // What the answer is about is read off the events, as the fold does for a repetition: the two cannot differ.
        subject = command.subject();
        let before = decided.recorded.len();
        let attempt = decide(next, command, &context)
            .map_err(EngineError::from)
            .and_then(|events| record(inner, next, decided, command, &context, events));
        if let Err(error) = attempt {
            if decided.leaves.len() != length {
                // An earlier command of this job was folded already. Folding the batch anew without it is rare,
                // and costs the common case nothing, as keeping a copy for every job would.
                decided.leaves.truncate(length);
                decided.recorded.truncate(length);
                *next = State::clone(&inner.state.read());
                decided
                    .recorded
                    .iter()
                    .for_each(|recorded| next.apply(recorded));
            }
            return Err(error);
        }
        if let Some(first) = decided.recorded.get(before) {
            subject = first.event.subject();
        }
    }
    Ok(Outcome {
        subject,
        sequence: next.sequence,
        state: next.word(subject),
        replayed: false,
    })
}

fn record(
    inner: &Inner,
    next: &mut State,
    decided: &mut Decided,
    command: &Command,
    context: &Context,
    events: Vec<Event>,
) -> Result<(), EngineError> {
    let actor = decide::stamp(next, context);
    let (key, body) = context.idempotency.clone().unzip();
    let request = Cause {
        command: command.name().to_owned(),
        id: context.request_id.clone(),
        trace: context.trace.clone(),
        key,
        body,
    };
    for event in events {
        let mut recorded = Recorded {
            v: 1,
            origin: inner.origin.clone(),
            seq: next.sequence,
            ts: context.now,
            subject: event.subject().to_string(),
            actor: actor.clone(),
            request: request.clone(),
            event,
            state: None,
        };
        next.apply(&recorded);
        recorded.state = next.object(recorded.event.subject()).map(|object| {
            digest_of_bytes(&canonical::to_vec(&object).expect("plain data serialises"))
        });
        let leaf = canonical::to_vec(&recorded).expect("plain data serialises");
        let too_large = leaf.len() > LEAF_MAX;
        decided.leaves.push(leaf);
        decided.recorded.push(Arc::new(recorded));
        if too_large {
            let detail = "the event would be larger than the log takes".into();
            return Err(Refusal::Limit { detail }.into());
        }
    }
    Ok(())
}

/// Appends, and settles it when the store could not say whether it did.
async fn append(
    inner: &Inner,
    leaves: Vec<Vec<u8>>,
    side: Vec<SideWrite>,
) -> Result<Written, EngineError> {
    let away =
        |error: &dyn std::error::Error| EngineError::away("the store is not available", error);
    match inner.log.append(leaves, side).await {
        Ok(_) => Ok(Written::Now),
        Err(error @ AppendError::Unknown(_)) => {
            tracing::warn!(%error, "reading the log again to know");
            inner.unsettled.store(true, Ordering::Relaxed);
            if settle(inner).await? == Some(true) {
                Ok(Written::Found)
            } else {
                Err(away(&error))
            }
        }
        Err(error @ AppendError::ReloadFirst) => {
            inner.unsettled.store(true, Ordering::Relaxed);
            Err(away(&error))
        }
        Err(AppendError::Conflict { actual }) => Err(not_alone(actual)),
        Err(error) => Err(away(&error)),
    }
}

/// Brings the state to where the log is, which may be further than was acknowledged: a batch can land although its
/// callers could only be told that this was not known. Returns whether the one in doubt did, if there was one.
async fn settle(inner: &Inner) -> Result<Option<bool>, EngineError> {
    let away = |error: &dyn std::error::Error| EngineError::away("the log cannot be read", error);
    let reloaded = inner
        .log
        .reload(|_, _| {})
        .await
        .map_err(|error| away(&error))?;
    loop {
        let mut state = State::clone(&inner.state.read());
        let leaves = inner.log.leaves(state.sequence, BATCH as u32).await;
        let leaves = leaves.map_err(|error| away(&error))?;
        if leaves.is_empty() {
            break;
        }
        let mut recorded = Vec::with_capacity(leaves.len());
        for leaf in leaves {
            let event = leaf::read(&leaf.bytes).map_err(|error| away(&error))?;
            let event: Arc<Recorded> = Arc::new(event);
            state.apply(&event);
            recorded.push(event);
        }
        *inner.state.write() = Arc::new(state);
        inner.feed.publish(recorded);
    }
    inner.unsettled.store(false, Ordering::Relaxed);
    Ok(reloaded.landed)
}
