//! The one writer. Commands queue up; what has queued while the last commit was in flight is decided together,
//! appended in one durable transaction, and only then published to readers, streams and the commands' callers.

use super::engine::{EngineError, Inner, Outcome};
use crate::{
    domain::{
        Actor, Cause, Command, Context, Event, Recorded, Refusal, State,
        decide::{self, decide},
        event::Subject,
    },
    event_log::store::{AppendError, SideWrite},
    secret::digest_of_bytes,
};
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot};

/// How many commands are decided and appended together at most.
const BATCH: usize = 256;
/// The longest leaf that the log takes, in bytes.
const LEAF_MAX: usize = 65_535;

/// What waits for the writer.
pub(super) struct Job {
    /// Decided one after the other, all or none.
    pub(super) commands: Vec<Command>,
    pub(super) context: Context,
    /// Written in the same transaction.
    pub(super) side: Vec<SideWrite>,
    pub(super) answer: oneshot::Sender<Result<Outcome, EngineError>>,
}

/// The writer's loop: it ends when it was told to stop and the queue is empty.
pub(super) async fn write(inner: Arc<Inner>, mut queue: mpsc::Receiver<Job>) {
    let mut jobs = Vec::with_capacity(BATCH);
    loop {
        tokio::select! {
            // Work first: a stop only counts once nothing waits.
            biased;
            count = queue.recv_many(&mut jobs, BATCH) => {
                if count == 0 {
                    return;
                }
                commit(&inner, std::mem::take(&mut jobs)).await;
            }
            () = inner.stopping.cancelled() => {
                queue.close();
                if queue.is_empty() {
                    return;
                }
            }
        }
    }
}

/// What was decided in one batch and waits to become durable.
#[derive(Default)]
struct Decided {
    recorded: Vec<Arc<Recorded>>,
    leaves: Vec<Vec<u8>>,
    side: Vec<SideWrite>,
    answers: Vec<(oneshot::Sender<Result<Outcome, EngineError>>, Outcome)>,
}

async fn commit(inner: &Inner, jobs: Vec<Job>) {
    let mut next = State::clone(&inner.state.read());
    let mut decided = Decided::default();
    for job in jobs {
        let Job {
            commands,
            context,
            side,
            answer,
        } = job;
        match run(inner, &mut next, &mut decided, &commands, context) {
            // A repetition or a refusal says nothing that the batch could still take back.
            Ok(outcome) if outcome.replayed => drop(answer.send(Ok(outcome))),
            Ok(outcome) => {
                decided.side.extend(side);
                decided.answers.push((answer, outcome));
            }
            Err(error) => drop(answer.send(Err(error))),
        }
    }
    let Decided {
        recorded,
        leaves,
        side,
        answers,
    } = decided;
    let written = if leaves.is_empty() {
        if side.is_empty() {
            Ok(())
        } else {
            inner.sealed.keep_all(side).await
        }
    } else {
        append(inner, leaves, side).await
    };
    metrics::histogram!("countersign_commit_events").record(recorded.len() as f64);
    match written {
        Ok(()) => {
            *inner.state.write() = Arc::new(next);
            inner.feed.publish(recorded);
            *inner.trouble.write() = None;
            for (answer, outcome) in answers {
                let _gone = answer.send(Ok(outcome));
            }
        }
        Err(error) => {
            tracing::error!(%error, "a batch could not be written");
            let since = inner
                .trouble
                .read()
                .as_ref()
                .map_or_else(crate::clock::now, |(_, since)| *since);
            *inner.trouble.write() = Some((error.to_string(), since));
            for (answer, _) in answers {
                let _gone = answer.send(Err(error.clone()));
            }
        }
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
    {
        if let Some(answered) = next.answered(*id, key) {
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
    }
    let length = decided.leaves.len();
    let mut subject = Subject::Broker;
    for command in commands {
        subject = command.subject();
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
            digest_of_bytes(
                &serde_json_canonicalizer::to_vec(&object).expect("plain data serialises"),
            )
        });
        let leaf = serde_json_canonicalizer::to_vec(&recorded).expect("plain data serialises");
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
) -> Result<(), EngineError> {
    let unavailable = |reason: String| EngineError::Unavailable {
        reason,
        retry_after_s: 5,
    };
    match inner.log.append(leaves, side).await {
        Ok(_) => Ok(()),
        Err(AppendError::Unknown(source)) => {
            tracing::warn!(%source, "whether a batch was written is not known; reading the log again");
            match inner.log.reload(|_, _| {}).await {
                Ok(reloaded) if reloaded.landed == Some(true) => Ok(()),
                Ok(_) => Err(unavailable(format!("the store is not available: {source}"))),
                Err(error) => Err(unavailable(format!("the store is not available: {error}"))),
            }
        }
        Err(AppendError::ReloadFirst) => {
            catch_up(inner).await?;
            Err(unavailable("the store was away; try again".into()))
        }
        Err(AppendError::Conflict { actual }) => Err(unavailable(format!(
            "another process has written to this log (it has {} leaves now); only one broker may use it",
            actual.size
        ))),
        Err(error) => Err(unavailable(format!("the store is not available: {error}"))),
    }
}

/// Takes up an earlier batch that landed after all, though its callers could only be told that it was not known.
async fn catch_up(inner: &Inner) -> Result<(), EngineError> {
    let mut landed = Vec::new();
    let read = inner
        .log
        .reload(|_, leaf| landed.push(serde_json::from_slice::<Recorded>(leaf)))
        .await;
    read.map_err(|error| EngineError::Unavailable {
        reason: format!("the store is not available: {error}"),
        retry_after_s: 5,
    })?;
    let mut state = State::clone(&inner.state.read());
    let mut recorded = Vec::with_capacity(landed.len());
    for leaf in landed {
        let leaf = Arc::new(leaf.map_err(|error| EngineError::Unavailable {
            reason: format!("the log cannot be read: {error}"),
            retry_after_s: 60,
        })?);
        state.apply(&leaf);
        recorded.push(leaf);
    }
    *inner.state.write() = Arc::new(state);
    inner.feed.publish(recorded);
    Ok(())
}
