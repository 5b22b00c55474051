//! The way to the broker, beside the screen: calls as tasks that can be called off, and one task that reads the
//! list, keeps it for the next start, and follows the stream from where the list ends.

use super::changes::change;
use super::effect::{Call, CallId, Effect};
use super::event::{CallError, Delivery, Event, Level, LinkState, Reply};
use super::known::{Keeper, KeptFile};
use super::pens::Pens;
use super::run::Incoming;
use crate::client::{
    Access, CalendarQuery, Client, ClientError, EventQuery, Feed, Link, ListQuery, Once,
};
use crate::ssh::Signer;
use crate::wire::columns::{Decoded, Decoder};
use crate::wire::{Narrow, ReviewState, Session, Simulate};
use chrono::TimeDelta;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, TrySendError};
use std::time::{Duration, Instant};
use tokio::runtime::Handle;
use tokio::sync::{Notify, Semaphore, watch};
use tokio::task::AbortHandle;

/// The most bytes of one list that are read or kept.
const LIST_MAX: u64 = 256 << 20;
/// Between tries to reach the broker, in seconds: at first, and at most.
const RETRY_S: (i64, i64) = (1, 30);
/// Between two looks for a login that another run stored.
const LOOK_AGAIN: Duration = Duration::from_secs(2);
/// Rows of one page of requests, revocations or events.
const PAGE: u64 = 500;

/// Rows of each part of the calendar of rotations.
const ROTATIONS: u64 = 400;

/// Blocks of rows that may wait to be taken in: one while the next is read. A key waits for no more of them.
const BLOCKS_WAITING: usize = 2;

/// A sender that waits without holding a thread of the runtime.
#[derive(Clone)]
pub struct Sender {
    queue: SyncSender<Incoming>,
    blocks: Arc<Semaphore>,
}

impl Sender {
    /// Sends to this queue.
    pub fn new(queue: SyncSender<Incoming>) -> Self {
        let blocks = Arc::new(Semaphore::new(BLOCKS_WAITING));
        Self { queue, blocks }
    }

    /// Sends, waiting while the queue is full, and with rows until those before them were taken. `false` once
    /// nobody listens.
    pub async fn send(&self, event: Event) -> bool {
        let item = match event {
            Event::Rows(block) => match Arc::clone(&self.blocks).acquire_owned().await {
                Ok(permit) => Incoming::Rows(block, permit),
                Err(_) => return false,
            },
            event => Incoming::Event(event),
        };
        self.pass(item).await
    }

    /// Sends anything, waiting while the queue is full. `false` once nobody listens.
    pub async fn pass(&self, mut item: Incoming) -> bool {
        loop {
            match self.queue.try_send(item) {
                Ok(()) => return true,
                Err(TrySendError::Disconnected(_)) => return false,
                Err(TrySendError::Full(back)) => {
                    item = back;
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            }
        }
    }
}

/// The way in, once there is one: making it reads certificates and asks for the login, which nobody waits for who
/// has a key to press.
#[derive(Clone)]
pub struct Connection(watch::Receiver<Option<Access>>);

impl Connection {
    /// A connection to come, and where to put it.
    pub fn pending() -> (watch::Sender<Option<Access>>, Self) {
        let (made, access) = watch::channel(None);
        (made, Self(access))
    }

    /// Waits for it; `None` if there will be none.
    pub async fn access(&mut self) -> Option<Access> {
        let access = self.0.wait_for(Option::is_some).await.ok()?;
        access.clone()
    }

    /// The same for the client alone.
    pub async fn client(&mut self) -> Option<Client> {
        Some(self.access().await?.client)
    }
}

/// The newest sequence heard of, once the list is whole for the first time: what nobody waits for may begin then.
pub type Heard = watch::Receiver<Option<u64>>;

/// The broker as the runner's effects reach it.
pub struct Broker {
    heard: Heard,
    connection: Connection,
    pens: Arc<Pens>,
    keeper: Arc<Keeper>,
    runtime: Handle,
    sender: Sender,
    calls: HashMap<CallId, AbortHandle>,
    reload: Arc<Notify>,
    follower: AbortHandle,
}

impl Broker {
    /// Follows the broker as soon as it is connected. The list is kept in `cache`, if there is one.
    pub fn start(
        connection: Connection,
        signer: Signer,
        runtime: Handle,
        sender: Sender,
        cache: Option<PathBuf>,
        keeper: Keeper,
    ) -> Self {
        let reload = Arc::new(Notify::new());
        let (newest, heard) = watch::channel(None);
        let mut connected = connection.clone();
        let (told, again) = (sender.clone(), Arc::clone(&reload));
        let follow = async move {
            let Some(access) = connected.access().await else {
                return;
            };
            let follower = Follower {
                access,
                sender: told,
                reload: again,
                cache,
                newest,
                failures: 0,
            };
            follower.run().await;
        };
        let follower = runtime.spawn(follow).abort_handle();
        Self {
            heard,
            connection,
            pens: Arc::new(Pens::new(signer)),
            keeper: Arc::new(keeper),
            runtime,
            sender,
            calls: HashMap::new(),
            reload,
            follower,
        }
    }

    /// See [`Heard`].
    pub fn heard(&self) -> Heard {
        self.heard.clone()
    }

    /// Carries an effect out; those that are not the broker's come back.
    pub fn carry_out(&mut self, effect: Effect) -> Option<Effect> {
        match effect {
            Effect::Call(id, call) => self.call(id, call),
            Effect::Cancel(id) => {
                if let Some(task) = self.calls.remove(&id) {
                    task.abort();
                    let error = CallError {
                        delivery: Delivery::Cancelled,
                        problem: None,
                        detail: "called off".into(),
                    };
                    let reply = Event::Reply(id, Box::new(Err(error)));
                    let sender = self.sender.clone();
                    self.runtime.spawn(async move { sender.send(reply).await });
                }
            }
            // A channel of depth one: ten orders to look again are one.
            Effect::Reload => self.reload.notify_one(),
            other => return Some(other),
        }
        None
    }

    fn call(&mut self, id: CallId, call: Call) {
        self.calls.retain(|_, task| !task.is_finished());
        let (mut connection, sender) = (self.connection.clone(), self.sender.clone());
        let pens = Arc::clone(&self.pens);
        let keeper = Arc::clone(&self.keeper);
        let task = self.runtime.spawn(async move {
            let Some(access) = connection.access().await else {
                return;
            };
            let reply = match call {
                Call::Renew(session) => renew(&access, &pens, &session).await,
                Call::SignIn(name) => sign_in(&access, &pens, &name).await,
                call => ask(&access.client, &pens, call).await,
            };
            if let Ok(reply) = &reply {
                keeper.hear(reply, crate::clock::now());
            }
            sender.send(Event::Reply(id, Box::new(reply))).await;
        });
        self.calls.insert(id, task.abort_handle());
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.follower.abort();
        self.calls.values().for_each(AbortHandle::abort);
        self.keeper.finish();
    }
}

/// What an error means for whoever asked.
pub fn call_error(error: &ClientError, delivery: Delivery) -> CallError {
    let problem = match error {
        ClientError::Problem(problem) => serde_json::to_value(problem)
            .ok()
            .and_then(|value| serde_json::from_value(value).ok()),
        _ => None,
    };
    CallError {
        delivery,
        problem,
        detail: error.to_string(),
    }
}

/// Not sent: it may be tried again, and nobody is bothered by it.
async fn renew(access: &Access, pens: &Pens, session: &Session) -> Result<Reply, CallError> {
    let renewed = access.renew(pens.signer(), session, crate::clock::now());
    let session = renewed.await.map_err(|error| CallError {
        delivery: if error.may_pass() {
            Delivery::NotSent
        } else {
            Delivery::Refused
        },
        problem: None,
        detail: error.to_string(),
    })?;
    Ok(Reply::Session(Box::new(session)))
}

async fn sign_in(access: &Access, pens: &Pens, name: &str) -> Result<Reply, CallError> {
    let signed_in = access.sign_in(pens.signer(), name, crate::clock::now());
    let session = signed_in.await.map_err(|error| CallError {
        delivery: Delivery::Refused,
        problem: None,
        detail: error.to_string(),
    })?;
    Ok(Reply::Session(Box::new(session)))
}

async fn ask(client: &Client, pens: &Pens, call: Call) -> Result<Reply, CallError> {
    let failed = |error: ClientError| {
        let delivery = match error.delivery() {
            crate::client::Delivery::Sent => Delivery::Refused,
            crate::client::Delivery::NotSent => Delivery::NotSent,
            crate::client::Delivery::Unknown => Delivery::Unknown,
        };
        call_error(&error, delivery)
    };
    let listed = |filter: String| match filter.as_str() {
        "" => ListQuery::default().limit(PAGE),
        _ => ListQuery::filter(filter).limit(PAGE),
    };
    Ok(match call {
        // Both are answered by whoever has the login as well.
        Call::Session | Call::Renew(_) | Call::SignIn(_) => {
            Reply::Session(Box::new(client.session().await.map_err(failed)?.value))
        }
        Call::Overview => Reply::Overview(Box::new(client.overview().await.map_err(failed)?.value)),
        Call::Requests { filter } => Reply::Requests(
            client
                .requests(&listed(filter))
                .await
                .map_err(failed)?
                .value,
        ),
        Call::Request(id) => {
            Reply::Request(Box::new(client.request(id).await.map_err(failed)?.value))
        }
        Call::WouldNarrow(id, digest, scopes, ttl_s) => {
            let body = Narrow {
                digest,
                scopes: Some(scopes),
                ttl_s: Some(ttl_s),
                // What is only tried needs no reason of a person's; what is done gets one.
                reason: "to see what it would come to".into(),
                dry_run: true,
            };
            let outcome = client.would_narrow(id, &body, &Once::new()).await;
            Reply::Narrowed(Box::new(outcome.into_result().map_err(failed)?.value))
        }
        Call::Credential(id) => {
            Reply::Credential(Box::new(client.credential(id).await.map_err(failed)?.value))
        }
        Call::ClientHoldings(id) => {
            let holdings = client.client_holdings(id).await;
            Reply::ClientHoldings(Box::new(holdings.map_err(failed)?.value))
        }
        Call::HeldBy(name) => Reply::HeldBy(Box::new(client.held_by(&name).await.map_err(failed)?)),
        Call::OverdueReviews => {
            let query = listed(format!("state={}", ReviewState::Overdue));
            Reply::Reviews(client.reviews(None, &query).await.map_err(failed)?.value)
        }
        Call::Lookup(digest) => match client.find_credential(digest).await {
            Ok(answer) => Reply::Found(Some(Box::new(answer.value.row))),
            Err(error) if error.status() == Some(404) => Reply::Found(None),
            Err(error) => return Err(failed(error)),
        },
        Call::Revocations { filter, cursor } => {
            let query = ListQuery {
                cursor,
                ..listed(filter)
            };
            Reply::Revocations(client.revocations(&query).await.map_err(failed)?.value)
        }
        Call::Revocation(id) => {
            Reply::Revocation(Box::new(client.revocation(id).await.map_err(failed)?.value))
        }
        Call::Rotations { from, until } => {
            let query = CalendarQuery {
                from: Some(from),
                until: Some(until),
                summary: true,
                limit: Some(ROTATIONS),
                ..CalendarQuery::default()
            };
            Reply::Rotations(Box::new(
                client.rotations(&query).await.map_err(failed)?.value,
            ))
        }
        Call::Rotation(id) => {
            Reply::Rotation(Box::new(client.rotation(id).await.map_err(failed)?.value))
        }
        Call::Gateways => Reply::Gateways(
            client
                .gateways(&ListQuery::default().limit(PAGE))
                .await
                .map_err(failed)?
                .value,
        ),
        Call::Events {
            filter,
            cursor,
            limit,
        } => {
            let query = ListQuery {
                cursor,
                ..listed(filter).limit(u64::from(limit))
            };
            Reply::Events(client.log_events(&query).await.map_err(failed)?.value)
        }
        Call::Policies => Reply::Policies(Box::new(client.policies().await.map_err(failed)?.value)),
        Call::Policy(version) => Reply::Policy(Box::new(
            client.policy(version).await.map_err(failed)?.value,
        )),
        Call::Proposal(id) => {
            Reply::Proposal(Box::new(client.proposal(id).await.map_err(failed)?.value))
        }
        Call::Simulate(id) => {
            let simulate = Simulate {
                proposal: Some(id),
                ..Simulate::default()
            };
            let simulation = client.simulate_policy(&simulate).await;
            Reply::Simulation(Box::new(simulation.map_err(failed)?.value))
        }
        Call::Act(act) => return change(client, pens, act).await.map(Reply::Receipt),
    })
}

/// Reads the list, follows the stream, and begins again whenever the two no longer fit together.
struct Follower {
    access: Access,
    sender: Sender,
    reload: Arc<Notify>,
    cache: Option<PathBuf>,
    newest: watch::Sender<Option<u64>>,
    failures: u32,
}

/// Why a round of list and stream is over.
enum Over {
    /// Nobody listens any more.
    Unheard,
    /// Read the list again, now.
    Again,
    /// Something failed.
    Failed(ClientError),
}

impl Follower {
    async fn run(mut self) {
        let mut away_since = None;
        loop {
            if !self.sender.send(Event::Link(LinkState::Connecting)).await && away_since.is_none() {
                return;
            }
            let began = Instant::now();
            let over = match self.round(&mut away_since).await {
                Ok(never) => match never {},
                Err(over) => over,
            };
            let error = match over {
                Over::Unheard => return,
                Over::Again => continue,
                Over::Failed(error) => error,
            };
            let now = crate::clock::now();
            let since = *away_since.get_or_insert(now);
            if error.is_unauthenticated() {
                if self.access.adopt(None).await.is_some() {
                    continue;
                }
                let why = error.to_string();
                if !self
                    .sender
                    .send(Event::Link(LinkState::SignedOut(why)))
                    .await
                {
                    return;
                }
                self.signed_in_again().await;
                continue;
            }
            if began.elapsed() > Duration::from_secs(20) {
                self.failures = 0;
            }
            let wait = (RETRY_S.0 << self.failures.min(5)).min(RETRY_S.1);
            self.failures += 1;
            let link = LinkState::Offline {
                since,
                retry_at: now + TimeDelta::seconds(wait),
                why: error.to_string(),
            };
            if !self.sender.send(Event::Link(link)).await {
                return;
            }
            tokio::select! {
                () = tokio::time::sleep(Duration::from_secs(wait as u64)) => {}
                () = self.reload.notified() => {}
            }
        }
    }

    /// Waits until somebody signs in, here or from another run, or wants it tried.
    async fn signed_in_again(&self) {
        loop {
            tokio::select! {
                () = self.reload.notified() => return,
                // No store of logins says by itself that it has a new one.
                () = tokio::time::sleep(LOOK_AGAIN) => {
                    if self.access.adopt(None).await.is_some() {
                        return;
                    }
                }
            }
        }
    }

    /// One list and the stream after it.
    async fn round(
        &mut self,
        away_since: &mut Option<chrono::DateTime<chrono::Utc>>,
    ) -> Result<std::convert::Infallible, Over> {
        let asked = Instant::now();
        let answer = self
            .access
            .client
            .credential_columns(&ListQuery::default(), LIST_MAX)
            .await;
        let mut chunks = answer.map_err(Over::Failed)?.value;
        let latency_ms = u32::try_from(asked.elapsed().as_millis()).unwrap_or(u32::MAX);
        let mut decoder = Decoder::default();
        let mut kept = KeptFile::begin(self.cache.as_deref());
        let mut sequence = 0;
        while let Some(bytes) = chunks.next().await.map_err(Over::Failed)? {
            kept.write(&bytes);
            let decoded = decoder.push(&bytes).map_err(unreadable)?;
            for part in decoded {
                let event = match part {
                    Decoded::Header(header) => {
                        sequence = header.sequence;
                        Event::Reload(header)
                    }
                    Decoded::Rows(block) => Event::Rows(block),
                };
                self.tell(event).await?;
            }
        }
        decoder.finish().map_err(unreadable)?;
        kept.finish();
        self.tell(Event::Loaded(true)).await?;
        self.newest.send_replace(Some(sequence));
        let query = EventQuery {
            after: Some(sequence),
            ..EventQuery::default()
        };
        let mut feed = self
            .access
            .client
            .events(query)
            .await
            .map_err(Over::Failed)?;
        loop {
            let item = tokio::select! {
                item = feed.recv() => item.ok_or(Over::Again)?,
                () = self.reload.notified() => return Err(Over::Again),
            };
            match item {
                Feed::Link(Link::Live) => {
                    self.failures = 0;
                    *away_since = None;
                    self.tell(Event::Link(LinkState::Live { latency_ms }))
                        .await?;
                }
                Feed::Link(Link::Connecting) => {
                    self.tell(Event::Link(LinkState::Connecting)).await?;
                }
                Feed::Link(Link::CatchingUp) => {
                    self.tell(Event::Link(LinkState::CatchingUp)).await?;
                }
                Feed::Link(Link::Reconnecting { wait, reason, .. }) => {
                    let now = crate::clock::now();
                    let since = *away_since.get_or_insert(now);
                    let wait = TimeDelta::from_std(wait).unwrap_or(TimeDelta::seconds(RETRY_S.1));
                    let link = LinkState::Offline {
                        since,
                        retry_at: now + wait,
                        why: reason,
                    };
                    self.tell(Event::Link(link)).await?;
                }
                Feed::Item { item, .. } => {
                    self.newest.send_replace(Some(item.event.sequence));
                    self.tell(Event::Feed(Box::new(item))).await?;
                }
                Feed::Gap { .. } | Feed::Reset => {
                    self.tell(Event::Link(LinkState::CatchingUp)).await?;
                    return Err(Over::Again);
                }
                Feed::Ended(error) => return Err(Over::Failed(error)),
            }
        }
    }

    async fn tell(&self, event: Event) -> Result<(), Over> {
        if self.sender.send(event).await {
            Ok(())
        } else {
            Err(Over::Unheard)
        }
    }
}

fn unreadable(error: crate::wire::columns::ColumnsError) -> Over {
    Over::Failed(ClientError::Decode {
        reason: error.to_string(),
    })
}

/// Sends the kept list, if there is one, piece by piece. Reads files: on a thread that may be held.
pub fn send_cached(path: &Path, sender: &Sender, runtime: &Handle) -> Option<()> {
    use std::io::Read as _;
    let send = |event| runtime.block_on(sender.send(event)).then_some(());
    let mut file = std::fs::File::open(path).ok()?;
    let about = file.metadata().ok()?;
    if about.len() > LIST_MAX {
        return None;
    }
    let at = chrono::DateTime::<chrono::Utc>::from(about.modified().ok()?);
    let mut decoder = Decoder::default();
    let mut buffer = vec![0; 256 << 10];
    loop {
        let read = file.read(&mut buffer).ok()?;
        if read == 0 {
            break;
        }
        // A cache that cannot be read is no cache; the fresh list is on its way.
        for part in decoder.push(&buffer[..read]).ok()? {
            let event = match part {
                Decoded::Header(header) => Event::Cached(header, at),
                Decoded::Rows(block) => Event::Rows(block),
            };
            send(event)?;
        }
    }
    send(Event::Loaded(false))
}

/// Notes for the person from tasks that have no reply.
pub fn note(sender: &Sender, level: Level, text: String) {
    // The queue is full only while much more is being told; a note may wait for the next occasion.
    let _ = sender
        .queue
        .try_send(Incoming::Event(Event::Note(level, text)));
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt as _;

    #[tokio::test]
    async fn rows_wait_for_those_before_them_and_keys_do_not_wait_for_rows() {
        let (queue, incoming) = std::sync::mpsc::sync_channel(super::super::run::QUEUE);
        let sender = Sender::new(queue);
        let rows = || Event::Rows(Box::default());
        for _ in 0..BLOCKS_WAITING {
            assert!(sender.send(rows()).await);
        }
        let mut next = Box::pin(sender.send(rows()));
        assert_eq!(next.as_mut().now_or_never(), None, "it waits");
        assert!(sender.send(Event::Loaded(true)).await);
        drop(incoming.try_recv().unwrap());
        assert_eq!(next.now_or_never(), Some(true), "one was taken");
        drop(incoming);
        assert!(!sender.send(Event::Loaded(true)).await);
    }

    #[tokio::test]
    async fn a_connection_that_will_not_be_made_is_not_waited_for() {
        let (made, mut connection) = Connection::pending();
        assert!(connection.client().now_or_never().is_none());
        drop(made);
        assert!(connection.client().await.is_none());
    }
}
