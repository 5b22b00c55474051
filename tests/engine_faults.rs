//! The engine when its store fails: nothing acknowledged is lost, nothing unacknowledged is shown, and it comes back
//! by itself.

#![allow(
    clippy::unwrap_used,
    clippy::too_many_lines,
    reason = "a test or benchmark stops where its ground gives way, and a table of cases reads better whole"
)]

use countersign::{
    broker::{
        engine::{Engine, EngineError, Outcome, fresh_bits, system_context},
        serve::{Broker, OpenError, Options},
    },
    clock,
    config::BrokerConfig,
    domain::{
        Actor, Client, ClientId, Command, Context, Digest, Environment, OperatorId, Proof, State,
        Tier, TokenId,
    },
};
use futures_util::future::join_all;
use sqlx::{
    Connection as _,
    sqlite::{SqliteConnectOptions, SqliteConnection},
};
use std::{future::Future, pin::Pin, time::Duration, time::Instant};
use tempfile::TempDir;

/// No wait in these tests is longer.
const PATIENCE: Duration = Duration::from_secs(30);

type Submitting<'a> = Pin<Box<dyn Future<Output = Result<Outcome, EngineError>> + 'a>>;

struct Bench {
    folder: TempDir,
    options: Options,
    broker: Broker,
    admin: OperatorId,
}

impl Bench {
    async fn start(commands_waiting: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut config = BrokerConfig::default();
        config.limits.commands_waiting = commands_waiting;
        let options = Options {
            data: folder.path().join("data"),
            origin: Some("test.example/log".into()),
            admin_token_file: Some(folder.path().join("admin")),
            config,
            now: clock::now(),
        };
        let broker = Broker::open(&options).await.unwrap();
        let admin = broker.engine.state().operator_named("admin").unwrap().id;
        Self {
            folder,
            options,
            broker,
            admin,
        }
    }

    fn engine(&self) -> &Engine {
        &self.broker.engine
    }

    fn context(&self, key: Option<&str>) -> Context {
        let token = TokenId::from_bits(1);
        Context {
            actor: Actor::Operator {
                id: self.admin,
                proof: Proof::Token { token },
            },
            idempotency: key.map(|key| (key.to_owned(), Digest([1; 32]))),
            ..system_context("test", clock::now())
        }
    }

    fn onboard(&self, name: &str) -> Submitting<'_> {
        self.onboard_with_key(name, None)
    }

    fn onboard_with_key(&self, name: &str, key: Option<&str>) -> Submitting<'_> {
        Box::pin(self.engine().submit(onboarding(name), self.context(key)))
    }

    async fn elsewhere(&self) -> SqliteConnection {
        elsewhere(&self.options).await
    }

    /// Has the store fail as `sql` says, from the next batch on.
    async fn sabotage(&self, sql: &'static str) {
        let mut other = self.elsewhere().await;
        sqlx::raw_sql(sql).execute(&mut other).await.unwrap();
        other.close().await.unwrap();
    }

    async fn until_ready(&self) {
        let ready = async {
            let mut look = tokio::time::interval(Duration::from_millis(50));
            while self.engine().health().status != "ready" {
                look.tick().await;
            }
        };
        tokio::time::timeout(PATIENCE, ready)
            .await
            .expect("the broker comes back by itself");
    }

    /// Stops, folds the log afresh, with no snapshot in between, and compares.
    async fn stop_and_compare(self) -> State {
        let state = State::clone(&self.engine().state());
        self.broker.stop().await;
        let folded = fold_afresh(&self.options).await;
        assert_eq!(folded, state, "what was shown is what the log says");
        drop(self.folder);
        state
    }
}

async fn elsewhere(options: &Options) -> SqliteConnection {
    let file = SqliteConnectOptions::new().filename(options.data.join("log.db"));
    SqliteConnection::connect_with(&file).await.unwrap()
}

async fn fold_afresh(options: &Options) -> State {
    std::fs::remove_file(options.data.join("snapshot")).unwrap();
    let broker = Broker::open_quiet(options).await.unwrap();
    let state = State::clone(&broker.engine.state());
    broker.stop().await;
    state
}

fn onboarding(name: &str) -> Command {
    Command::OnboardClient(Box::new(Client {
        id: ClientId::from_bits(fresh_bits(clock::now())),
        name: name.into(),
        owner: "payments".into(),
        contact: String::new(),
        environment: Environment::Development,
        tier: Tier::Low,
        dependents: vec![],
        offboarded_at: None,
        sequence: 0,
    }))
}

fn unavailable(answer: Result<Outcome, EngineError>) -> String {
    match answer {
        Err(EngineError::Unavailable {
            reason,
            retry_after_s,
        }) => {
            assert!(retry_after_s > 0);
            reason
        }
        other => panic!("expected that the store is away, got {other:?}"),
    }
}

/// Polls each once, so that all are in the queue.
async fn queue(submitting: &mut [Submitting<'_>]) {
    for one in submitting {
        assert!(futures_util::poll!(one).is_pending());
    }
}

#[tokio::test]
async fn while_another_process_holds_the_lock_reads_answer_and_writes_say_when_to_come_back() {
    let bench = Bench::start(64).await;
    bench.onboard("before").await.unwrap();
    let mut other = bench.elsewhere().await;
    sqlx::raw_sql("BEGIN EXCLUSIVE")
        .execute(&mut other)
        .await
        .unwrap();

    let mut feed = bench
        .engine()
        .subscribe(bench.engine().state().sequence)
        .unwrap();
    let begun = Instant::now();
    let mut during = vec![bench.onboard("during")];
    queue(&mut during).await;
    assert!(bench.engine().state().client_named("before").is_some());
    let events = bench.engine().events(1, 10).await.unwrap();
    assert_eq!(events.len() as u64, bench.engine().state().sequence);
    assert_eq!(
        bench.engine().health().status,
        "ready",
        "nothing has failed yet"
    );
    let reason = unavailable(join_all(during).await.remove(0));
    assert!(reason.contains("locked"), "{reason}");
    assert!(
        begun.elapsed() >= Duration::from_secs(4),
        "the lock was waited for"
    );

    let health = bench.engine().health();
    assert_eq!(
        (health.status.as_str(), health.store.as_str()),
        ("down", reason.as_str())
    );
    assert!(bench.engine().state().client_named("during").is_none());
    assert!(
        futures_util::poll!(std::pin::pin!(feed.next())).is_pending(),
        "nothing was published"
    );

    sqlx::raw_sql("ROLLBACK").execute(&mut other).await.unwrap();
    other.close().await.unwrap();
    // Nobody asks for anything: it has to notice by itself.
    bench.until_ready().await;
    assert_eq!(bench.engine().trouble(), None);
    bench.onboard("during").await.unwrap();
    bench.onboard("after").await.unwrap();
    let state = bench.stop_and_compare().await;
    for name in ["before", "during", "after"] {
        assert!(state.client_named(name).is_some(), "{name}");
    }
}

#[tokio::test]
async fn a_full_queue_says_so_and_what_was_accepted_is_written() {
    let bench = Bench::start(4).await;
    let mut other = bench.elsewhere().await;
    sqlx::raw_sql("BEGIN EXCLUSIVE")
        .execute(&mut other)
        .await
        .unwrap();
    let mut first = [bench.onboard("first")];
    queue(&mut first).await;
    // The writer takes it up and waits for the lock with it.
    tokio::time::timeout(PATIENCE, async {
        while futures_util::poll!(&mut first[0]).is_pending() && bench.engine().waiting() > 0 {
            tokio::task::yield_now().await;
        }
    })
    .await
    .unwrap();
    let names = ["a", "b", "c", "d"];
    let mut accepted: Vec<_> = names.iter().map(|name| bench.onboard(name)).collect();
    queue(&mut accepted).await;
    for _ in 0..8 {
        let reason = unavailable(bench.onboard("too-many").await);
        assert_eq!(reason, "too many commands are waiting");
    }
    sqlx::raw_sql("ROLLBACK").execute(&mut other).await.unwrap();
    for answer in join_all(first.into_iter().chain(accepted)).await {
        answer.unwrap();
    }
    other.close().await.unwrap();
    let state = bench.stop_and_compare().await;
    assert!(names.iter().all(|name| state.client_named(name).is_some()));
    assert!(state.client_named("too-many").is_none());
}

#[tokio::test]
async fn a_stop_writes_what_was_accepted_and_ends_every_stream() {
    let bench = Bench::start(2048).await;
    let mut feed = bench
        .engine()
        .subscribe(bench.engine().state().sequence)
        .unwrap();
    let mut other = bench.elsewhere().await;
    sqlx::raw_sql("BEGIN EXCLUSIVE")
        .execute(&mut other)
        .await
        .unwrap();
    // More than one batch.
    let names: Vec<_> = (0..600).map(|number| format!("client-{number}")).collect();
    let mut accepted: Vec<_> = names.iter().map(|name| bench.onboard(name)).collect();
    queue(&mut accepted).await;
    bench.engine().stop();
    let reason = unavailable(bench.onboard("too-late").await);
    assert_eq!(reason, "the broker is stopping");
    sqlx::raw_sql("ROLLBACK").execute(&mut other).await.unwrap();
    for answer in join_all(accepted).await {
        answer.unwrap();
    }
    let mut heard = 0;
    let all = async {
        while feed.next().await.is_some() {
            heard += 1;
        }
    };
    tokio::time::timeout(PATIENCE, all)
        .await
        .expect("the stream ends");
    assert_eq!(heard, names.len(), "after it has delivered everything");
    other.close().await.unwrap();
    let state = bench.stop_and_compare().await;
    assert!(names.iter().all(|name| state.client_named(name).is_some()));
}

const REFUSES: &str =
    "CREATE TRIGGER fault BEFORE INSERT ON leaves BEGIN SELECT RAISE(ABORT, 'disk on fire'); END";
const HEALS: &str = "DROP TRIGGER fault";
/// Everything goes well up to the commit itself, which then fails: whether it was written is not known.
const FAILS_AT_COMMIT: &str = "
CREATE TABLE good (id INTEGER PRIMARY KEY);
CREATE TABLE bad (id INTEGER REFERENCES good (id) DEFERRABLE INITIALLY DEFERRED);
CREATE TRIGGER fault AFTER INSERT ON leaves BEGIN INSERT INTO bad VALUES (7); END";

#[tokio::test]
async fn what_rests_on_a_batch_that_failed_fails_with_it() {
    let bench = Bench::start(64).await;
    bench.onboard("before").await.unwrap();
    bench.sabotage(REFUSES).await;
    // All three are decided in one batch: a command, its repetition, and one that it stands in the way of.
    let mut batch = [
        bench.onboard_with_key("shop", Some("key-1")),
        bench.onboard_with_key("shop", Some("key-1")),
        bench.onboard("shop"),
    ];
    queue(&mut batch).await;
    for answer in join_all(batch).await {
        let reason = unavailable(answer);
        assert!(reason.contains("disk on fire"), "{reason}");
    }
    assert_eq!(bench.engine().health().status, "down");
    bench.sabotage(HEALS).await;
    let repeated = bench.onboard_with_key("shop", Some("key-1")).await.unwrap();
    assert!(!repeated.replayed, "it had never happened");
    let again = bench.onboard_with_key("shop", Some("key-1")).await.unwrap();
    assert!(again.replayed);
    assert_eq!(bench.engine().health().status, "ready");
    bench.stop_and_compare().await;
}

#[tokio::test]
async fn a_commit_whose_fate_was_not_known_is_settled_by_the_log() {
    let bench = Bench::start(64).await;
    bench.sabotage(FAILS_AT_COMMIT).await;
    let before = bench.engine().state().sequence;
    for _ in 0..3 {
        let reason = unavailable(bench.onboard("shop").await);
        assert!(reason.contains("FOREIGN KEY"), "{reason}");
    }
    assert_eq!(bench.engine().state().sequence, before);
    bench.sabotage(HEALS).await;
    bench.onboard("shop").await.unwrap();
    assert_eq!(bench.engine().health().status, "ready");
    let state = bench.stop_and_compare().await;
    assert_eq!(state.sequence, before + 1);
}

#[tokio::test]
async fn a_changed_leaf_keeps_the_broker_from_starting_with_or_without_a_snapshot() {
    let bench = Bench::start(64).await;
    for name in ["one", "two", "three"] {
        bench.onboard(name).await.unwrap();
    }
    let Bench {
        folder,
        options,
        broker,
        ..
    } = bench;
    broker.stop().await;
    let snapshot = options.data.join("snapshot");
    assert!(snapshot.exists());
    let mut other = elsewhere(&options).await;
    sqlx::raw_sql("UPDATE leaves SET bytes = CAST(replace(bytes, '\"two\"', '\"tow\"') AS BLOB) WHERE idx = 3")
        .execute(&mut other)
        .await
        .unwrap();
    other.close().await.unwrap();
    for _ in 0..2 {
        let refused = Broker::open_quiet(&options)
            .await
            .expect_err("a start on a changed log");
        let said = chain(&refused);
        assert!(matches!(refused, OpenError::Start(_)), "{said}");
        assert!(said.contains("leaf 3 was changed"), "{said}");
        let _gone = std::fs::remove_file(&snapshot);
    }
    drop(folder);
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut said = error.to_string();
    let mut cause = error.source();
    while let Some(source) = cause {
        said.push_str(&format!(": {source}"));
        cause = source.source();
    }
    said
}
