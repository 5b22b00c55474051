//! What a decision, a durable command and a durable issue cost, beside the floors of the same run: an
//! `append + fdatasync` of 4 KiB, and SQLite (WAL, FULL) with one row a transaction.
//!
//! `cargo bench --bench engine` prints a table; every figure is a median, and ratios are within the run. Processor time
//! is of the whole process: asking, deciding, writing, making and sealing.

#![allow(
    clippy::unwrap_used,
    clippy::too_many_lines,
    reason = "a test or benchmark stops where its ground gives way, and a table of cases reads better whole"
)]
#![expect(clippy::print_stdout, reason = "a benchmark prints")]

use countersign::{
    broker::{
        engine::{Engine, fresh_bits},
        evaluate::Asked,
        feed::Subscription,
        serve::{Broker, Options, new_operator},
    },
    clock,
    config::BrokerConfig,
    domain::{
        Actor, Client, ClientId, Command, Context, Environment, Event, Kind, OperatorId, Plan,
        Proof, RequestId, Role, Tier, TokenId,
    },
    secret::mint_token,
    wire::plan_digest,
};
use futures_util::future::join_all;
use parking_lot::Mutex;
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fs::File,
    io::Write as _,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::oneshot;

/// Events of one issue that needs nobody: submitted, identified, evaluated, approved, started, minted.
const EVENTS: f64 = 6.0;

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(run());
}

fn asked(plan: &Plan, requester: OperatorId) -> Asked<'_> {
    Asked {
        plan,
        requester,
        reason: "bench",
        tags: &[],
        break_glass: false,
    }
}

async fn run() {
    let folder = tempfile::tempdir().unwrap();
    let floor = fdatasync(folder.path(), 400);
    println!(
        "append 4 KiB + fdatasync (F)             p50 {:>9.1} µs",
        micros(median(floor.clone()))
    );
    let sqlite = sqlite_one_a_transaction(folder.path(), 400).await;
    let sqlite_rate = 1.0 / mean(&sqlite).as_secs_f64();
    println!("SQLite FULL, 1 row a transaction (S1)    {sqlite_rate:>11.0} /s");

    let options = Options {
        data: folder.path().join("data"),
        origin: Some("bench.example/log".into()),
        now: countersign::clock::now(),
        admin_token_file: Some(folder.path().join("admin")),
        config: BrokerConfig::default(),
    };
    let broker = Broker::open(&options).await.unwrap();
    let (service, client) = company(&broker.engine).await;
    let floor = micros(median(floor));
    let waiting = Waiting::default();
    let feed = broker.engine.subscribe(broker.engine.state().sequence);
    tokio::spawn(tell(feed.unwrap(), waiting.clone()));

    let mut alone = Vec::new();
    for serial in 0..300 {
        let start = Instant::now();
        issue(&broker.engine, &waiting, service, client, serial).await;
        alone.push(start.elapsed());
    }
    let p50 = micros(median(alone));
    println!(
        "durable issue, 1 at a time               p50 {p50:>9.1} µs   {:.1} F",
        p50 / floor
    );
    for at_once in [16_u64, 64] {
        let each = 150;
        let (start, spent) = (Instant::now(), processor());
        let tasks = (0..at_once).map(|lane| {
            let (engine, waiting) = (broker.engine.clone(), waiting.clone());
            tokio::spawn(async move {
                let mut times = Vec::new();
                for turn in 0..each {
                    let start = Instant::now();
                    issue(
                        &engine,
                        &waiting,
                        service,
                        client,
                        1_000 + at_once * 1_000_000 + lane * 1_000 + turn,
                    )
                    .await;
                    times.push(start.elapsed());
                }
                times
            })
        });
        let mut times: Vec<_> = join_all(tasks)
            .await
            .into_iter()
            .flat_map(Result::unwrap)
            .collect();
        let rate = (at_once * each) as f64 / start.elapsed().as_secs_f64();
        let each = (processor() - spent) / (at_once * each) as f64 * 1e6;
        times.sort_unstable();
        let (p50, p99) = (times[times.len() / 2], times[times.len() * 99 / 100]);
        println!(
            "durable issue, {at_once:>2} at a time              {rate:>11.0} /s   {:.1} S1, {:.1} S1 in events   p99/p50 {:.1}   {each:.0} µs of processor time each",
            rate / sqlite_rate,
            rate * EVENTS / sqlite_rate,
            p99.as_secs_f64() / p50.as_secs_f64()
        );
    }
    validation(&broker.engine);
    decisions(&broker.engine, service, client);
    broker.stop().await;
}

/// What a check of a key costs within the process: its digest and a look-up in the published state.
fn validation(engine: &Engine) {
    let token = mint_token("prod");
    let rounds = 200_000_u32;
    let start = Instant::now();
    for _ in 0..rounds {
        let digest = countersign::secret::digest_of(std::hint::black_box(token.expose()));
        std::hint::black_box(engine.state().credential_of(&digest).is_some());
    }
    println!(
        "check of a key, in process               {:>11.3} µs",
        micros(start.elapsed() / rounds)
    );
}

/// What policy costs within the process: gathering the facts and deciding on them, and the decision alone.
fn decisions(engine: &Engine, service: OperatorId, client: ClientId) {
    let plan = Plan {
        credential: "bench/policy".into(),
        environment: Environment::Production,
        kind: Kind::VaultLease,
        issuer: "openbao".into(),
        role: "database/creds/payments-ro".into(),
        client,
        audience: "https://bench.example".into(),
        scopes: vec![],
        ttl_s: 3_600,
        destination: None,
    };
    let now = clock::now();
    let (facts, _) = engine.evaluate(&asked(&plan, service), now);
    let policy = engine.policies().in_force(&engine.state());
    let figure = |words: &str, mut decide: Box<dyn FnMut() + '_>| {
        let mut times: Vec<_> = (0..5_000)
            .map(|_| {
                let start = Instant::now();
                decide();
                start.elapsed()
            })
            .collect();
        times.sort_unstable();
        println!(
            "{words:<40} p50 {:>9.1} µs   p99 {:.1} µs",
            micros(times[times.len() / 2]),
            micros(times[times.len() * 99 / 100])
        );
    };
    figure(
        "policy: one decision",
        Box::new(|| drop(std::hint::black_box(policy.decide(&facts)))),
    );
    figure(
        "policy: facts and decision",
        Box::new(|| {
            let evaluated = engine.evaluate(&asked(&plan, service), now);
            drop(std::hint::black_box(evaluated));
        }),
    );
}

/// Who waits for the version of which request.
type Waiting = Arc<Mutex<HashMap<RequestId, oneshot::Sender<()>>>>;

/// Tells who waits, from one subscription: if each followed all events, waiting would cost more than issuing.
async fn tell(mut feed: Subscription, waiting: Waiting) {
    while let Some(recorded) = feed.next().await {
        if let Event::VersionMinted { request, .. } = &recorded.event
            && let Some(waits) = waiting.lock().remove(request)
        {
            waits.send(()).unwrap();
        }
    }
}

/// From asking to the sealed secret, as a service sees it.
async fn issue(
    engine: &Engine,
    waiting: &Waiting,
    service: OperatorId,
    client: ClientId,
    serial: u64,
) {
    let now = clock::now();
    let id = RequestId::from_bits(fresh_bits(now));
    let plan = Plan {
        credential: format!("bench/key-{serial}"),
        environment: Environment::Development,
        kind: Kind::ApiKey,
        issuer: "countersign".into(),
        role: String::new(),
        client,
        audience: "https://bench.example".into(),
        scopes: vec!["orders:read".into()],
        ttl_s: 3_600,
        destination: None,
    };
    let (facts, evaluation) = engine.evaluate(&asked(&plan, service), now);
    let (minted, made) = oneshot::channel();
    waiting.lock().insert(id, minted);
    let command = Command::SubmitRequest {
        id,
        digest: plan_digest(&plan),
        plan,
        reason: "bench".into(),
        owner: "bench".into(),
        tags: vec![],
        evaluation: Box::new(evaluation),
        facts: Box::new(facts),
    };
    engine.submit(command, context(service)).await.unwrap();
    made.await.unwrap();
}

async fn company(engine: &Engine) -> (OperatorId, ClientId) {
    let admin = engine.state().operator_named("admin").unwrap().id;
    let now = clock::now();
    let client = ClientId::from_bits(fresh_bits(now));
    let onboard = Command::OnboardClient(Box::new(Client {
        id: client,
        name: "bench".into(),
        owner: "bench".into(),
        contact: String::new(),
        environment: Environment::Development,
        tier: Tier::Low,
        dependents: vec![],
        offboarded_at: None,
        sequence: 0,
    }));
    engine.submit(onboard, context(admin)).await.unwrap();
    let roles = BTreeMap::from([(Environment::Development, BTreeSet::from([Role::Requester]))]);
    let ends = now + chrono::TimeDelta::days(1);
    let mut service = new_operator(
        "svc",
        "",
        now,
        roles,
        BTreeSet::new(),
        &mint_token("opr"),
        ends,
    );
    service.client = Some(client);
    let id = service.id;
    engine
        .submit(Command::EnrolOperator(Box::new(service)), context(admin))
        .await
        .unwrap();
    (id, client)
}

fn context(by: OperatorId) -> Context {
    Context {
        now: clock::now(),
        actor: Actor::Operator {
            id: by,
            proof: Proof::Token {
                token: TokenId::from_bits(1),
            },
        },
        from: None,
        request_id: "bench".into(),
        trace: None,
        idempotency: None,
        if_match: None,
    }
}

fn fdatasync(folder: &Path, rounds: usize) -> Vec<Duration> {
    let mut file = File::create(folder.join("floor")).unwrap();
    let block = [7_u8; 4096];
    (0..rounds)
        .map(|_| {
            let start = Instant::now();
            file.write_all(&block).unwrap();
            file.sync_data().unwrap();
            start.elapsed()
        })
        .collect()
}

async fn sqlite_one_a_transaction(folder: &Path, rounds: usize) -> Vec<Duration> {
    use sqlx::{
        Connection as _,
        sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteSynchronous},
    };
    let options = SqliteConnectOptions::new()
        .filename(folder.join("s1.db"))
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full);
    let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
    sqlx::query("CREATE TABLE events (seq INTEGER PRIMARY KEY, body BLOB)")
        .execute(&mut connection)
        .await
        .unwrap();
    let mut times = Vec::with_capacity(rounds);
    for _ in 0..rounds {
        let start = Instant::now();
        sqlx::query("INSERT INTO events (body) VALUES (?)")
            .bind(vec![7_u8; 600])
            .execute(&mut connection)
            .await
            .unwrap();
        times.push(start.elapsed());
    }
    times
}

/// Seconds of processor time that this process has taken.
fn processor() -> f64 {
    // In user and system mode, in hundredths of a second: the 14th and 15th field, the 2nd of which ends with ')'.
    let times = std::fs::read_to_string("/proc/self/stat").unwrap();
    let times = times.rsplit(") ").next().unwrap().split(' ');
    let hundredths = times.skip(11).take(2).map(|time| time.parse::<f64>());
    hundredths.map(Result::unwrap).sum::<f64>() / 100.0
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

fn mean(times: &[Duration]) -> Duration {
    times.iter().sum::<Duration>() / times.len() as u32
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}
