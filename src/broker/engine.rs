//! The one writer. Commands queue up; what has queued while the last commit was in flight is decided together,
//! appended in one durable transaction, and only then published to readers, streams and the commands' callers.

use super::{
    evaluate,
    feed::{Feed, Subscription, TooOld},
    issuers::Issuers,
    sealed::Sealed,
    usage::Usage,
};
use crate::{
    domain::{
        Actor, Cause, Command, Context, Digest, Evaluation, OperatorId, Plan, Recorded, Refusal,
        RequestId, State,
        decide::{self, decide},
        event::Subject,
    },
    event_log::{
        checkpoint::SigningKey,
        log::{Log, OpenError},
        sqlite::SqliteStore,
        store::{AppendError, SideWrite, StoreError},
    },
    policy::PolicyStore,
    secret::{SealKey, digest_of_bytes},
    wire::Readiness,
};
use chrono::{DateTime, Utc};
use parking_lot::RwLock;
use std::{collections::BTreeMap, path::Path, sync::Arc};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

/// How many commands are decided and appended together at most.
const BATCH: usize = 256;
/// The longest leaf that the log takes, in bytes.
const LEAF_MAX: usize = 65_535;

/// What a command came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// What it was about.
    pub subject: Subject,
    /// The sequence of its last event, or of the state that already was as asked.
    pub sequence: u64,
    /// The state that the subject was in then, in its own word.
    pub state: String,
    /// An earlier command with the same idempotency key came to this.
    pub replayed: bool,
}

/// Why a command came to nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EngineError {
    /// The rules say no.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The broker cannot write now. Nothing that was not acknowledged counts as done.
    #[error("{reason}")]
    Unavailable {
        /// What is away.
        reason: String,
        /// When to come back, in seconds.
        retry_after_s: u64,
    },
}

impl EngineError {
    /// The store did not answer.
    pub fn store(error: &StoreError) -> Self {
        let reason = match std::error::Error::source(error) {
            Some(source) => format!("the store is not available: {error}: {source}"),
            None => format!("the store is not available: {error}"),
        };
        Self::Unavailable {
            reason,
            retry_after_s: 5,
        }
    }
}

/// Why the broker does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The store could not be opened.
    #[error("opening the store {path}")]
    Store {
        /// Where.
        path: String,
        /// Why.
        #[source]
        source: StoreError,
    },
    /// The log in it is not whole, or not ours.
    #[error("the log in {path} is refused")]
    Log {
        /// Where.
        path: String,
        /// Which leaf, and why.
        #[source]
        source: OpenError,
    },
    /// A leaf that is authentic but cannot be read by this build.
    #[error("leaf {index} of the log cannot be read by this version")]
    Leaf {
        /// Which leaf.
        index: u64,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
}

struct Job {
    /// Decided one after the other, all or none.
    commands: Vec<Command>,
    context: Context,
    /// Written in the same transaction.
    side: Vec<SideWrite>,
    answer: oneshot::Sender<Result<Outcome, EngineError>>,
}

struct Inner {
    log: Log<SqliteStore>,
    state: RwLock<Arc<State>>,
    feed: Arc<Feed>,
    jobs: mpsc::Sender<Job>,
    policy: PolicyStore,
    issuers: Issuers,
    sealed: Sealed,
    usage: Usage,
    origin: String,
    verifier_key: String,
    /// What the store said when it last failed, and since when.
    trouble: RwLock<Option<(String, DateTime<Utc>)>>,
    winding_down: CancellationToken,
    stopping: CancellationToken,
}

/// A handle on the running broker; cheap to clone.
#[derive(Clone)]
pub struct Engine(Arc<Inner>);

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine")
            .field("origin", &self.0.origin)
            .finish_non_exhaustive()
    }
}

/// The running writer; awaiting it tells when everything that was accepted is written.
pub type Writer = tokio::task::JoinHandle<()>;

impl Engine {
    /// Opens the log at `path`, verifying and folding every leaf, and starts the writer.
    ///
    /// # Errors
    /// [`StartError`]: nothing is repaired, nothing is served.
    pub async fn open(
        path: &Path,
        key: SigningKey,
        seal_key: SealKey,
        policy: PolicyStore,
        issuers: Issuers,
        waiting: usize,
    ) -> Result<(Self, Writer), StartError> {
        let shown = path.display().to_string();
        let origin = key.verifier_key().name().to_owned();
        let verifier_key = key.verifier_key().to_string();
        let store = SqliteStore::open(path)
            .await
            .map_err(|source| StartError::Store {
                path: shown.clone(),
                source,
            })?;
        let store = Arc::new(store);
        let mut state = State::default();
        let mut unreadable = None;
        let log = Log::open(Arc::clone(&store), key, |index, leaf| {
            if unreadable.is_none() {
                match serde_json::from_slice::<Recorded>(leaf) {
                    Ok(recorded) => state.apply(&recorded),
                    Err(source) => unreadable = Some((index, source)),
                }
            }
        })
        .await
        .map_err(|source| StartError::Log {
            path: shown,
            source,
        })?;
        if let Some((index, source)) = unreadable {
            return Err(StartError::Leaf { index, source });
        }
        let (jobs, queue) = mpsc::channel(waiting);
        let inner = Arc::new(Inner {
            feed: Arc::new(Feed::new(state.sequence)),
            state: RwLock::new(Arc::new(state)),
            log,
            jobs,
            policy,
            issuers,
            sealed: Sealed::new(store, seal_key),
            usage: Usage::default(),
            origin,
            verifier_key,
            trouble: RwLock::new(None),
            winding_down: CancellationToken::new(),
            stopping: CancellationToken::new(),
        });
        let writer = tokio::spawn(write(Arc::clone(&inner), queue));
        Ok((Self(inner), writer))
    }

    /// A consistent snapshot of everything that is durable.
    pub fn state(&self) -> Arc<State> {
        Arc::clone(&self.0.state.read())
    }

    /// Has `command` decided and, if it changes anything, written.
    ///
    /// # Errors
    /// [`EngineError`]; after `Unavailable` it is not known whether the command took effect, and repeating it with
    /// the same idempotency key settles it.
    pub async fn submit(&self, command: Command, context: Context) -> Result<Outcome, EngineError> {
        self.submit_all(vec![command], context, Vec::new()).await
    }

    /// Has `commands` decided one after the other, all or none, and written together with `side`. The answer is
    /// about the last one.
    ///
    /// # Errors
    /// As [`Engine::submit`].
    pub async fn submit_all(
        &self,
        commands: Vec<Command>,
        context: Context,
        side: Vec<SideWrite>,
    ) -> Result<Outcome, EngineError> {
        let (answer, answered) = oneshot::channel();
        let stopped = || EngineError::Unavailable {
            reason: "the broker is stopping".into(),
            retry_after_s: 5,
        };
        if self.0.stopping.is_cancelled() {
            return Err(stopped());
        }
        self.0
            .jobs
            .try_send(Job {
                commands,
                context,
                side,
                answer,
            })
            .map_err(|error| match error {
                mpsc::error::TrySendError::Full(_) => EngineError::Unavailable {
                    reason: "too many commands are waiting".into(),
                    retry_after_s: 1,
                },
                mpsc::error::TrySendError::Closed(_) => stopped(),
            })?;
        answered.await.map_err(|_| stopped())?
    }

    /// What policy says about a plan.
    pub fn evaluate(
        &self,
        plan: &Plan,
        requester: OperatorId,
        reason: &str,
        tags: &[String],
        now: DateTime<Utc>,
    ) -> Evaluation {
        evaluate::evaluate(
            &self.0.policy,
            &self.state(),
            plan,
            requester,
            reason,
            tags,
            now,
        )
    }

    /// Follows the log from the event after `after`.
    ///
    /// # Errors
    /// [`TooOld`] if that is further back than events are kept for streams.
    pub fn subscribe(&self, after: u64) -> Result<Subscription, TooOld> {
        self.0.feed.subscribe(after)
    }

    /// At most `limit` events from `from_sequence` (1 is the first) on, ascending.
    ///
    /// # Errors
    /// [`EngineError::Unavailable`] if the store does not answer.
    pub async fn events(
        &self,
        from_sequence: u64,
        limit: u32,
    ) -> Result<Vec<Recorded>, EngineError> {
        let from = from_sequence.saturating_sub(1);
        if from >= self.state().sequence {
            return Ok(Vec::new());
        }
        let leaves = self.0.log.leaves(from, limit).await.map_err(|error| {
            let reason = format!("the log cannot be read: {error}");
            EngineError::Unavailable {
                reason,
                retry_after_s: 5,
            }
        })?;
        leaves
            .iter()
            .map(|leaf| {
                serde_json::from_slice(&leaf.bytes).map_err(|error| EngineError::Unavailable {
                    reason: format!("leaf {} cannot be read: {error}", leaf.index),
                    retry_after_s: 60,
                })
            })
            .collect()
    }

    /// The log itself: checkpoint, tiles, proofs, entries.
    pub fn log(&self) -> &Log<SqliteStore> {
        &self.0.log
    }

    /// The secret of a claimed request, the first time that it is asked for; `None` ever after.
    ///
    /// # Errors
    /// [`EngineError::Unavailable`] if the store does not answer.
    pub async fn reveal(
        &self,
        request: RequestId,
    ) -> Result<Option<BTreeMap<String, String>>, EngineError> {
        self.0.sealed.take(request).await
    }

    /// Secrets that wait for their claim.
    pub fn sealed(&self) -> &Sealed {
        &self.0.sealed
    }

    /// Use since the last roll-up.
    pub fn usage(&self) -> &Usage {
        &self.0.usage
    }

    /// Whether everything that is needed is there.
    pub fn health(&self) -> Readiness {
        let issuers: Vec<_> = self.0.issuers.all().map(|issuer| issuer.health()).collect();
        let store = self.trouble().map(|(said, _)| said).unwrap_or_default();
        let status = match (store.is_empty(), issuers.iter().all(|issuer| issuer.ready)) {
            (false, _) => "down",
            (true, false) => "degraded",
            (true, true) => "ready",
        };
        Readiness {
            status: status.into(),
            store,
            sequence: self.state().sequence,
            issuers,
        }
    }

    /// The configured issuers.
    pub fn issuers(&self) -> &Issuers {
        &self.0.issuers
    }

    /// The log's origin.
    pub fn origin(&self) -> &str {
        &self.0.origin
    }

    /// The log's verifier key, as C2SP writes it.
    pub fn verifier_key(&self) -> &str {
        &self.0.verifier_key
    }

    /// What the store said when it last failed, and since when it has not been written to.
    pub fn trouble(&self) -> Option<(String, DateTime<Utc>)> {
        self.0.trouble.read().clone()
    }

    /// Cancelled when the reactors are to take up nothing new; what they have begun may still be recorded.
    pub fn winding_down(&self) -> &CancellationToken {
        &self.0.winding_down
    }

    /// Has the reactors take up nothing new.
    pub fn wind_down(&self) {
        self.0.winding_down.cancel();
    }

    /// Cancelled when the broker stops: streams and reactors end on it.
    pub fn stopping(&self) -> &CancellationToken {
        &self.0.stopping
    }

    /// Takes no more commands. What was accepted is written before the writer ends.
    pub fn stop(&self) {
        self.0.stopping.cancel();
        self.0.feed.close();
    }
}

/// The writer's loop: it ends when it was told to stop and the queue is empty.
async fn write(inner: Arc<Inner>, mut queue: mpsc::Receiver<Job>) {
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
                decided.recorded.iter().for_each(|recorded| next.apply(recorded));
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
    events: Vec<crate::domain::Event>,
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
        let leaf =
            serde_json_canonicalizer::to_vec(&recorded).expect("plain data serialises");
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

/// The digest that an idempotency key is bound to.
pub fn call_digest(method: &str, path: &str, body: &[u8]) -> Digest {
    let mut bytes = Vec::with_capacity(method.len() + path.len() + body.len() + 2);
    bytes.extend_from_slice(method.as_bytes());
    bytes.push(b' ');
    bytes.extend_from_slice(path.as_bytes());
    bytes.push(b'\n');
    bytes.extend_from_slice(body);
    digest_of_bytes(&bytes)
}

/// The context of a part of the broker that follows from events.
pub fn system_context(part: &'static str, now: DateTime<Utc>) -> Context {
    Context {
        now,
        actor: Actor::System(part),
        from: None,
        request_id: uuid::Uuid::now_v7().to_string(),
        trace: None,
        idempotency: None,
        if_match: None,
    }
}

/// 128 fresh bits that sort by `now`: the material of every identifier.
pub fn fresh_bits(now: DateTime<Utc>) -> u128 {
    let millis = now.timestamp_millis().max(0) as u64;
    let time = uuid::Timestamp::from_unix(
        uuid::NoContext,
        millis / 1_000,
        (millis % 1_000) as u32 * 1_000_000,
    );
    uuid::Uuid::new_v7(time).as_u128()
}
