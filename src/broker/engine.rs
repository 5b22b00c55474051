//! The running broker as everything else sees it: a snapshot to read, a queue for commands, a feed to follow.

use super::{
    cursors::Cursors,
    destinations::Destinations,
    evaluate::Asked,
    feed::{Feed, Subscription, TooOld},
    folding,
    gateways::Gateways,
    issuers::Issuers,
    leaf,
    policies::{InForce, Policies},
    probes::Probes,
    sealed::{MadeFor, Sealed},
    signing::Signing,
    snapshot::Snapshots,
    tokens::TokenService,
    usage::Usage,
    webhooks::Webhooks,
    writer::{self, Job},
};
use crate::{
    domain::{
        Actor, Command, Context, Digest, Evaluation, Facts, GatewayId, Recorded, Refusal, State,
        decide, event::Subject,
    },
    event_log::{
        checkpoint::SigningKey,
        log::{Log, OpenError},
        sqlite::SqliteStore,
        store::{SideWrite, StoreError},
    },
    policy::PolicyStore,
    secret::{SealKey, digest_of_bytes},
    wire::{Readiness, Standing},
};
use chrono::{DateTime, Utc};
use parking_lot::RwLock;
use std::{
    collections::BTreeMap,
    path::Path,
    sync::{Arc, atomic::AtomicBool},
};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

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
        Self::away("the store is not available", error)
    }

    /// `what` is so because of `error` and what caused that, all of which the reason tells.
    pub fn away(what: &str, error: &dyn std::error::Error) -> Self {
        let mut reason = format!("{what}: {error}");
        let mut cause = error.source();
        while let Some(source) = cause {
            reason.push_str(&format!(": {source}"));
            cause = source.source();
        }
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

/// What handle and writer share.
pub(super) struct Inner {
    pub(super) log: Log<SqliteStore>,
    pub(super) state: RwLock<Arc<State>>,
    pub(super) feed: Arc<Feed>,
    jobs: mpsc::Sender<Job>,
    policies: Policies,
    issuers: Issuers,
    signing: Signing,
    webhooks: Webhooks,
    destinations: Destinations,
    probes: Probes,
    tokens: TokenService,
    cursors: Cursors,
    gateways: Gateways,
    pub(super) sealed: Sealed,
    usage: Usage,
    pub(super) origin: String,
    verifier_key: String,
    /// What the store said when it last failed, and since when.
    pub(super) trouble: RwLock<Option<(String, DateTime<Utc>)>>,
    /// Whether the state may be behind the log: a batch's fate was not known, and the log was not read since.
    pub(super) unsettled: AtomicBool,
    pub(super) snapshots: Arc<Snapshots>,
    from_snapshot: Option<u64>,
    winding_down: CancellationToken,
    pub(super) stopping: CancellationToken,
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
    /// Opens the log at `path`, verifying every leaf and folding what no snapshot beside it covers, and starts the
    /// writer.
    ///
    /// # Errors
    /// [`StartError`]: nothing is repaired, nothing is served.
    pub async fn open(
        path: &Path,
        key: SigningKey,
        seal_key: SealKey,
        policy: PolicyStore,
        issuers: Issuers,
        signing: Signing,
        webhooks: Webhooks,
        destinations: Destinations,
        probes: Probes,
        tokens: TokenService,
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
        let snapshots = Snapshots::new(path.with_file_name("snapshot"), &seal_key, &origin);
        let snapshots = Arc::new(snapshots);
        let folding::Folded {
            log,
            state,
            from_snapshot,
        } = folding::open(Arc::clone(&store), key, &snapshots, &shown).await?;
        let gateways = Gateways::new(Arc::clone(&store));
        if let Err(error) = gateways.load(&state).await {
            tracing::warn!(%error, "when gateways were last heard of is not known");
        }
        let policies = Policies::new(policy);
        if let InForce::Broken { id, reason } = policies.in_force(&state) {
            tracing::error!(
                version = id.version,
                digest = id.digest,
                reason,
                "every request is refused"
            );
        }
        let (jobs, queue) = mpsc::channel(waiting);
        let inner = Arc::new(Inner {
            feed: Arc::new(Feed::new(state.sequence)),
            state: RwLock::new(Arc::new(state)),
            log,
            jobs,
            policies,
            issuers,
            signing,
            webhooks,
            destinations,
            probes,
            tokens,
            cursors: Cursors::new(Arc::clone(&store)),
            gateways,
            sealed: Sealed::new(store, seal_key),
            usage: Usage::default(),
            origin,
            verifier_key,
            trouble: RwLock::new(None),
            unsettled: AtomicBool::new(false),
            snapshots,
            from_snapshot,
            winding_down: CancellationToken::new(),
            stopping: CancellationToken::new(),
        });
        let writer = tokio::spawn(writer::write(Arc::clone(&inner), queue));
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

    /// What the policy in force says about a plan, and on which facts.
    pub fn evaluate(&self, asked: &Asked<'_>, now: DateTime<Utc>) -> (Facts, Evaluation) {
        self.0.policies.evaluate(&self.state(), asked, now)
    }

    /// Policies: the one in force, and those that are proposed.
    pub fn policies(&self) -> &Policies {
        &self.0.policies
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
                leaf::read(&leaf.bytes).map_err(|error| EngineError::Unavailable {
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

    /// The secret of a claimed request or rotation, the first time that it is asked for; `None` ever after.
    ///
    /// # Errors
    /// [`EngineError::Unavailable`] if the store does not answer.
    pub async fn reveal(
        &self,
        made_for: impl Into<MadeFor>,
    ) -> Result<Option<BTreeMap<String, String>>, EngineError> {
        self.0.sealed.take(made_for).await
    }

    /// Secrets that wait for their claim.
    pub fn sealed(&self) -> &Sealed {
        &self.0.sealed
    }

    /// What is known of gateways beside the log.
    pub fn gateways(&self) -> &Gateways {
        &self.0.gateways
    }

    /// A gateway has applied everything up to `cursor`: what that settles is recorded, however much it is.
    ///
    /// # Errors
    /// As [`Engine::submit`].
    pub async fn applied(
        &self,
        gateway: GatewayId,
        cursor: u64,
        context: Context,
    ) -> Result<Standing, EngineError> {
        let place = self.gateways().place(gateway);
        let (now, sent) = (context.now, place.handed());
        let mut state = self.state();
        loop {
            let settles = state
                .unapplied_by(gateway)
                .next()
                .is_some_and(|(since, _)| since <= cursor);
            // A heartbeat that settles nothing is not worth the writer's time.
            let command = Command::RecordCursor {
                gateway,
                cursor,
                sent: sent.clone(),
            };
            if !settles {
                decide(&state, &command, &context)?;
                break;
            }
            self.submit(command, context.clone()).await?;
            state = self.state();
        }
        place.applied(cursor, now);
        Ok(Standing {
            gateway,
            cursor: place.cursor(),
            waiting: state.unapplied_by(gateway).count() as u64,
            sequence: state.sequence,
        })
    }

    /// Use since the last roll-up.
    pub fn usage(&self) -> &Usage {
        &self.0.usage
    }

    /// Whether everything that is needed is there.
    pub fn health(&self) -> Readiness {
        let issuers: Vec<_> = self.0.issuers.all().map(|issuer| issuer.health()).collect();
        let mut store = self.trouble().map(|(said, _)| said).unwrap_or_default();
        if self.0.jobs.is_closed() {
            "the writer has ended; nothing is written any more".clone_into(&mut store);
        }
        let sequence = self.state().sequence;
        let webhooks = self.0.webhooks.health(sequence);
        let destinations: Vec<_> = self
            .0
            .destinations
            .all()
            .map(|destination| destination.health())
            .collect();
        let well = issuers.iter().all(|issuer| issuer.ready)
            && webhooks.iter().all(|webhook| webhook.ready)
            && destinations.iter().all(|destination| destination.ready);
        let status = match (store.is_empty(), well) {
            (false, _) => "down",
            (true, false) => "degraded",
            (true, true) => "ready",
        };
        Readiness {
            status: status.into(),
            store,
            sequence,
            issuers,
            webhooks,
            destinations,
        }
    }

    /// The configured issuers.
    pub fn issuers(&self) -> &Issuers {
        &self.0.issuers
    }

    /// The configured destinations of secrets.
    pub fn destinations(&self) -> &Destinations {
        &self.0.destinations
    }

    /// The configured probes of new versions.
    pub fn probes(&self) -> &Probes {
        &self.0.probes
    }

    /// Signing of tokens.
    pub fn tokens(&self) -> &TokenService {
        &self.0.tokens
    }

    /// Receivers of webhooks.
    pub fn webhooks(&self) -> &Webhooks {
        &self.0.webhooks
    }

    /// How far they were told.
    pub fn cursors(&self) -> &Cursors {
        &self.0.cursors
    }

    /// What signatures are checked with.
    pub fn signing(&self) -> &Signing {
        &self.0.signing
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

    /// How many commands wait for the writer.
    pub fn waiting(&self) -> usize {
        self.0.jobs.max_capacity() - self.0.jobs.capacity()
    }

    /// The sequence of the snapshot that this start went by, if there was one that held.
    pub fn started_from_snapshot(&self) -> Option<u64> {
        self.0.from_snapshot
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

    /// Takes no more commands. What was accepted is written before the writer ends, and then every stream ends.
    pub fn stop(&self) {
        self.0.winding_down.cancel();
        self.0.stopping.cancel();
    }
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
