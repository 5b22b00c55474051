//! What a start costs, with a snapshot and without, what stays in memory, and what the first screen takes to count: of
//! a fleet of 1 M credentials that were adopted and did nothing since, and of a log of 1 M events, eight for each
//! credential that was asked for, issued and claimed.
//!
//! `cargo bench --bench cold_start [-- COUNT]` makes each through the real writer, then opens its folder in processes
//! of their own and prints seconds and resident bytes a credential.

#![allow(
    clippy::unwrap_used,
    clippy::too_many_lines,
    reason = "a test or benchmark stops where its ground gives way, and a table of cases reads better whole"
)]
#![expect(clippy::print_stdout, reason = "a benchmark prints")]

use chrono::TimeDelta;
use countersign::{
    broker::{
        engine::{Engine, fresh_bits, system_context},
        evaluate::Asked,
        overview::overview,
        serve::{Broker, Options, new_operator},
    },
    clock,
    config::BrokerConfig,
    domain::{
        Actor, Client, ClientId, Command, Context, Credential, CredentialId, Environment, Kind,
        MintedVersion, OperatorId, Plan, Proof, RequestId, Role, Text, Tier, TokenId, Version,
        VersionState,
    },
    secret::{digest_of_bytes, mint_token},
    wire::plan_digest,
};
use futures_util::StreamExt as _;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    future::Future,
    hint::black_box,
    path::Path,
    process,
    time::Instant,
};

/// Events of one credential that is asked for, issued and claimed.
const EVENTS: u64 = 8;

fn main() {
    let arguments: Vec<_> = std::env::args()
        .skip(1)
        .filter(|argument| argument != "--bench")
        .collect();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    match arguments.as_slice() {
        [open, data] if open == "open" => runtime.block_on(open_once(Path::new(data))),
        [count] => runtime.block_on(both(count.parse().unwrap())),
        _ => runtime.block_on(both(1_000_000)),
    }
}

async fn both(count: u64) {
    println!("{count} credentials, adopted");
    run(count, async |engine| adopt(engine, count).await).await;
    let credentials = count / EVENTS;
    println!("{count} events of {credentials} credentials, issued and claimed");
    run(credentials, async |engine| {
        issue_all(engine, credentials).await;
    })
    .await;
}

/// `make` makes so many credentials.
async fn run(count: u64, make: impl AsyncFnOnce(&Engine)) {
    let folder = tempfile::tempdir().unwrap();
    let empty = folder.path().join("empty");
    Broker::open_quiet(&options(&empty))
        .await
        .unwrap()
        .stop()
        .await;
    let data = folder.path().join("data");
    let start = Instant::now();
    let broker = Broker::open_quiet(&options(&data)).await.unwrap();
    make(&broker.engine).await;
    println!(
        "making them                              {:>8.1} s",
        start.elapsed().as_secs_f64()
    );
    let start = Instant::now();
    broker.stop().await;
    println!(
        "stop                                     {:>8.2} s",
        start.elapsed().as_secs_f64()
    );
    let snapshot = data.join("snapshot");
    println!(
        "log / snapshot                           {:>8.0} / {:.0} B a credential",
        fs::metadata(data.join("log.db")).unwrap().len() as f64 / count as f64,
        fs::metadata(&snapshot).unwrap().len() as f64 / count as f64
    );
    let (_, _, base, _) = child(&empty);
    for how in ["with", "without"] {
        let (seconds, processor, resident, overview) = child(&data);
        let each = (resident - base) / count as f64;
        println!(
            "start {how:<8} a snapshot                {seconds:>8.2} s   {processor:.2} s of processor time   {each:.0} B resident a credential   {:.1} ms an overview",
            overview * 1e3
        );
        if how == "with" {
            fs::remove_file(&snapshot).unwrap();
        }
    }
}

/// Opens the folder in another process. Seconds, seconds of processor time, resident bytes once it is open, and seconds
/// to count the first screen.
fn child(data: &Path) -> (f64, f64, f64, f64) {
    let said = process::Command::new(std::env::current_exe().unwrap())
        .arg("open")
        .arg(data)
        .output()
        .unwrap();
    let said = String::from_utf8(said.stdout).unwrap();
    let figures: Vec<f64> = said
        .split_whitespace()
        .map(|figure| figure.parse().unwrap())
        .collect();
    (figures[0], figures[1], figures[2], figures[3])
}

async fn open_once(data: &Path) {
    let start = Instant::now();
    let broker = Broker::open_quiet(&options(data)).await.unwrap();
    let seconds = start.elapsed().as_secs_f64();
    let resident = fs::read_to_string("/proc/self/status").unwrap();
    let resident = resident
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .unwrap();
    let kilobytes: f64 = resident.trim().trim_end_matches(" kB").parse().unwrap();
    // In user and system mode, in hundredths of a second: the 14th and 15th field, the 2nd of which ends with ')'.
    let times = fs::read_to_string("/proc/self/stat").unwrap();
    let times = times.rsplit(") ").next().unwrap().split(' ');
    let processor: f64 = times
        .skip(11)
        .take(2)
        .map(|time| time.parse::<f64>().unwrap())
        .sum();
    let state = broker.engine.state();
    let usage = broker.engine.usage();
    let mut counted: Vec<_> = (0..9)
        .map(|_| {
            let start = Instant::now();
            let reviews = broker.engine.policies().reviews(&state);
            black_box(overview(
                &state,
                usage,
                reviews,
                clock::now(),
                vec![],
                vec![],
                &mut None,
            ));
            start.elapsed().as_secs_f64()
        })
        .collect();
    counted.sort_by(f64::total_cmp);
    println!(
        "{seconds} {} {} {}",
        processor / 100.0,
        kilobytes * 1024.0,
        counted[counted.len() / 2]
    );
    // As a crash would: a stop would write the snapshot that the next measurement must do without.
    drop(broker);
    process::exit(0);
}

/// Onboards the client of all of it.
async fn onboard(engine: &Engine, admin: OperatorId, environment: Environment) -> ClientId {
    let client = ClientId::from_bits(fresh_bits(clock::now()));
    let onboard = Command::OnboardClient(Box::new(Client {
        id: client,
        name: "checkout-api".into(),
        owner: "payments".into(),
        contact: String::new(),
        environment,
        tier: Tier::Low,
        dependents: vec![],
        offboarded_at: None,
        sequence: 0,
    }));
    engine.submit(onboard, context(admin)).await.unwrap();
    client
}

async fn at_once(doing: impl Iterator<Item: Future<Output = ()>>) {
    futures_util::stream::iter(doing)
        .buffer_unordered(2048)
        .for_each(|()| async {})
        .await;
}

/// As a service asks for keys that need nobody, and takes them.
async fn issue_all(engine: &Engine, count: u64) {
    let admin = engine.state().operator_named("admin").unwrap().id;
    let client = onboard(engine, admin, Environment::Development).await;
    let now = clock::now();
    let roles = BTreeMap::from([(Environment::Development, BTreeSet::from([Role::Requester]))]);
    let ends = now + TimeDelta::days(1);
    let token = mint_token("opr");
    let mut service = new_operator("svc", "", now, roles, BTreeSet::new(), &token, ends);
    service.client = Some(client);
    let requester = service.id;
    let enrol = Command::EnrolOperator(Box::new(service));
    engine.submit(enrol, context(admin)).await.unwrap();
    at_once((0..count).map(|number| issue(engine, requester, client, number))).await;
}

async fn issue(engine: &Engine, requester: OperatorId, client: ClientId, number: u64) {
    let now = clock::now();
    let id = RequestId::from_bits(fresh_bits(now));
    let plan = Plan {
        credential: format!("payments/checkout-{number:07}"),
        environment: Environment::Development,
        kind: Kind::ApiKey,
        issuer: "countersign".into(),
        role: String::new(),
        client,
        audience: "https://payments.example".into(),
        scopes: vec!["orders:read".into(), "orders:write".into()],
        ttl_s: 86_400,
        destination: None,
    };
    let asked = Asked {
        plan: &plan,
        requester,
        reason: "the nightly run",
        tags: &[],
        break_glass: false,
    };
    let (facts, evaluation) = engine.evaluate(&asked, now);
    let submit = Command::SubmitRequest {
        id,
        digest: plan_digest(&plan),
        plan,
        reason: "the nightly run".into(),
        owner: "payments".into(),
        tags: vec![],
        evaluation: Box::new(evaluation),
        facts: Box::new(facts),
    };
    engine.submit(submit, context(requester)).await.unwrap();
    let made = vec![
        Command::StartIssuance {
            request: id,
            attempt: 1,
            locator: BTreeMap::new(),
        },
        Command::RecordMinted {
            request: id,
            attempt: 1,
            credential: CredentialId::from_bits(fresh_bits(now)),
            minted: Box::new(MintedVersion {
                digest: Some(digest_of_bytes(&number.to_be_bytes())),
                locator: BTreeMap::new(),
                expires_at: Some(now + TimeDelta::days(1)),
                warnings: vec![],
            }),
        },
    ];
    let system = system_context("issuance", now);
    engine.submit_all(made, system, vec![]).await.unwrap();
    let claim = Command::Claim { request: id };
    engine.submit(claim, context(requester)).await.unwrap();
}

async fn adopt(engine: &Engine, count: u64) {
    let admin = engine.state().operator_named("admin").unwrap().id;
    let client = onboard(engine, admin, Environment::Production).await;
    let adoptions = (0..count).map(|number| async move {
        engine
            .submit(
                Command::Adopt(Box::new(credential(number, client))),
                context(admin),
            )
            .await
            .unwrap();
    });
    at_once(adoptions).await;
}

fn credential(number: u64, client: ClientId) -> Credential {
    let now = clock::now();
    Credential {
        id: CredentialId::from_bits(fresh_bits(now)),
        name: format!("payments/checkout-{number:07}").into(),
        environment: Environment::Production,
        kind: Kind::ApiKey,
        issuer: "countersign".into(),
        role: Text::default(),
        client,
        owner: "payments".into(),
        audience: "https://payments.example".into(),
        scopes: ["orders:read", "orders:write"].into(),
        tier: Tier::High,
        tags: ["pci"].into(),
        created_at: now,
        cadence_s: Some(7_776_000),
        versions: vec![Version {
            number: 1,
            state: VersionState::Active,
            digest: Some(digest_of_bytes(&number.to_be_bytes())),
            locator: BTreeMap::new(),
            request: None,
            created_at: now,
            expires_at: Some(now + TimeDelta::days(90)),
            retires_at: None,
            delivery: None,
        }],
        quarantined_at: None,
        revoked: None,
        confirmed: None,
        destination: None,
        sequence: 0,
        trail: vec![],
    }
}

fn context(by: OperatorId) -> Context {
    let token = TokenId::from_bits(1);
    Context {
        actor: Actor::Operator {
            id: by,
            proof: Proof::Token { token },
        },
        ..system_context("bench", clock::now())
    }
}

fn options(data: &Path) -> Options {
    Options {
        data: data.to_owned(),
        origin: Some("bench.example/log".into()),
        admin_token_file: Some(data.with_extension("admin")),
        config: BrokerConfig::default(),
        now: clock::now(),
    }
}
