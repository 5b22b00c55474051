//! `kill -9` at a random moment of a credential's life, many lives over: whatever was acknowledged is still there,
//! nothing is made twice, the secret leaves once, and nothing is left behind at OpenBao or in PostgreSQL.

use crate::support::company::{Approver, PATIENCE, enforced, reaches};
use crate::support::{BrokerProcess, Company, Servers, cli, psql, vault_config, wait_until};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use countersign::client::{Answer, Client, ClientError, EventQuery, Feed, LogEntry, Once, Outcome};
use countersign::issuers::locator;
use countersign::wire::revocation::Revoke;
use countersign::wire::{CredentialDetail, RequestDetail, RequestId, RequestState};
use futures_util::FutureExt as _;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::panic::AssertUnwindSafe;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// How many lives; `COUNTERSIGN_TEST_KILLS` says otherwise for a quick look.
const RUNS: u64 = 200;
/// Every so many lives the credential is left to live.
const KEPT: u64 = 10;
/// What is younger is left alone by reconciliation, in seconds.
const ORPHAN_AGE_S: i64 = 2;
/// Longest that one life may take, kills included.
pub const PATIENCE_OF_A_LIFE: Duration = Duration::from_mins(3);
/// The steps of a life, each with about as many milliseconds as it takes: within these it is killed.
const STEPS: [(&str, u64); 8] = [
    ("ask", 12),
    ("first approval", 20),
    ("second approval", 20),
    ("begin to issue", 30),
    ("make the login", 60),
    ("claim", 12),
    ("revoke", 12),
    ("enforce", 90),
];

/// Splitmix64: the same moments in every run of the test.
pub struct Dice(pub u64);

impl Dice {
    pub fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (bits ^ (bits >> 31)) % end
    }
}

/// When the broker is killed in one life.
#[derive(Debug, Clone, Copy)]
struct Moment {
    step: usize,
    after: Duration,
    /// And once more, so long after it answers again.
    again: Option<Duration>,
}

impl Moment {
    fn of(run: u64) -> Self {
        let mut dice = Dice(run);
        let step = dice.below(STEPS.len() as u64) as usize;
        let after = Duration::from_micros(dice.below(STEPS[step].1 * 1_000));
        let again = (dice.below(4) == 0).then(|| Duration::from_micros(dice.below(150_000)));
        Self { step, after, again }
    }
}

/// What one life has shown to those who took part.
struct Life {
    request: RequestId,
    credential: CredentialDetail,
    /// What the broker acknowledged: idempotency key and sequence.
    acknowledged: Vec<(String, u64)>,
    /// The claim's answers that had the secret in them.
    secrets: usize,
}

/// Sends one command, with one key, until the broker has said what became of it.
pub async fn insist<T>(
    acknowledged: &mut Vec<(String, u64)>,
    once: &Once,
    send: impl AsyncFn(&Once) -> Outcome<T>,
) -> T {
    let answer: Answer<T> = wait_until(PATIENCE, "an answer", async || match send(once).await {
        Outcome::Sent(answer) => Some(answer),
        Outcome::NotSent(_) | Outcome::Unknown(_) => None,
        Outcome::Refused(error) => panic!("{error}"),
    })
    .await;
    let sequence = answer.sequence.expect("every answer carries it");
    acknowledged.push((once.key.clone(), sequence));
    answer.value
}

/// Signs and sends one approval until the broker has said what became of it. A kill voids the nonces that were given
/// out: what was signed with one is refused then, unless it was carried out before, and signed anew.
async fn decide(acknowledged: &mut Vec<(String, u64)>, person: &Approver, seen: &RequestDetail) {
    let (once, id) = (Once::new(), seen.row.id);
    let mut signed = None;
    let answer = wait_until(PATIENCE, "the approval is acknowledged", async || {
        let body = match signed.take() {
            Some(body) => body,
            None => person.try_approval(seen, "").await.ok()?,
        };
        match person.client.approve(id, &body, &once).await {
            Outcome::Sent(answer) => return Some(answer),
            Outcome::NotSent(_) | Outcome::Unknown(_) => signed = Some(body),
            Outcome::Refused(ClientError::Problem(problem))
                if problem.slug() == "signature-refused" => {}
            Outcome::Refused(error) => panic!("{error}"),
        }
        None
    })
    .await;
    let sequence = answer.sequence.expect("every answer carries it");
    acknowledged.push((once.key.clone(), sequence));
}

/// One life, from asking to the enforced revocation, through whatever happens to the broker meanwhile.
async fn live(
    company: &Company,
    servers: &Servers,
    name: &str,
    revoked: bool,
    step: watch::Sender<usize>,
) -> Life {
    let mut told = Vec::new();
    let asked = company.login(name, "app-ro");
    let receipt = insist(&mut told, &Once::new(), async |once| {
        company.robot.ask(&asked, once).await
    })
    .await;
    let request: RequestId = receipt.subject.parse().unwrap();
    let seen = reaches(&company.robot, request, RequestState::AwaitingApproval).await;
    let making = EventQuery {
        subject: Some(request.to_string()),
        kind: Some("issuance.started".into()),
        after: Some(seen.row.sequence),
    };
    let mut making = company.admin.events(making).await.unwrap();
    for (number, person) in company.approvers[..2].iter().enumerate() {
        step.send_replace(number + 1);
        decide(&mut told, person, &seen).await;
    }
    step.send_replace(3);
    // A kill may end the feed: the moment of this life has been then.
    let begun = async {
        while let Some(feed) = making.recv().await
            && !matches!(feed, Feed::Item { .. })
        {}
    };
    let begun = tokio::time::timeout(PATIENCE, begun).await;
    begun.expect("making the login is begun");
    step.send_replace(4);
    let issued = reaches(&company.robot, request, RequestState::Issued).await;
    let credential = wait_until(PATIENCE, "the credential is read", async || {
        company.admin.credential(issued.credential_id?).await.ok()
    })
    .await
    .value;

    step.send_replace(5);
    let claim = Once::new();
    let claimed = insist(&mut told, &claim, async |once| {
        company.robot.claim(request, once).await
    })
    .await;
    let mut secrets = usize::from(!claimed.secret.is_empty());
    if let Some(password) = claimed.secret.get("password") {
        let url = servers
            .postgres
            .url_as(&claimed.secret["username"], password);
        let logged_in = tokio::task::spawn_blocking(move || psql(&url, "SELECT 1")).await;
        assert_eq!(logged_in.unwrap().as_deref(), Ok("1"), "{name}");
    }
    if revoked {
        step.send_replace(6);
        let body = Revoke {
            version: None,
            reason: "the report is done".into(),
        };
        let id = credential.row.id;
        insist(&mut told, &Once::new(), async |once| {
            company.operator.revoke(id, &body, once).await
        })
        .await;
        step.send_replace(7);
        enforced(&company.operator, name).await;
    }
    step.send_replace(STEPS.len());

    // Whoever claims again gets no secret: neither by the same key nor by another.
    let again = insist(&mut told, &claim, async |once| {
        company.robot.claim(request, once).await
    })
    .await;
    secrets += usize::from(!again.secret.is_empty());
    let rival = wait_until(PATIENCE, "an answer", async || {
        match company.robot.claim(request, &Once::new()).await {
            Outcome::Refused(ClientError::Problem(problem)) => Some(*problem),
            Outcome::NotSent(_) | Outcome::Unknown(_) => None,
            other => panic!("{other:?}"),
        }
    })
    .await;
    assert_eq!((rival.status, rival.slug()), (409, "already-claimed"));
    Life {
        request,
        credential,
        acknowledged: told,
        secrets,
    }
}

/// Kills the broker once a life that others are living is at this step, after each of these pauses, and starts it again.
pub fn killed(
    mut broker: BrokerProcess,
    at: usize,
    pauses: Vec<Duration>,
    mut step: watch::Receiver<usize>,
) -> JoinHandle<BrokerProcess> {
    tokio::task::spawn_blocking(move || {
        let reached = |step: &usize| *step != usize::MAX && *step >= at;
        // A life that is over, or does not come by this step, is killed at its end.
        let _over = Handle::current().block_on(step.wait_for(reached));
        for pause in pauses {
            std::thread::sleep(pause); // until the random moment
            broker.kill();
            broker.start_again();
        }
        broker
    })
}

/// The log's leaves from `from` (0 is the first) to its end.
async fn leaves(client: &Client, from: u64) -> Vec<Value> {
    let end = client.head().await.unwrap();
    let mut leaves = Vec::new();
    while from + (leaves.len() as u64) < end {
        let at = from + leaves.len() as u64;
        let mut lines = client.log_entries(at, end - at).await.unwrap();
        while let Some(entry) = lines.next::<LogEntry>().await.unwrap() {
            let leaf = BASE64.decode(entry.leaf).unwrap();
            leaves.push(serde_json::from_slice(&leaf).unwrap());
        }
    }
    leaves
}

/// What the log must say about one life, given its leaves since it began.
fn check_life(life: &Life, revoked: bool, leaves: &[Value], from: u64) {
    for (key, sequence) in &life.acknowledged {
        let leaf = &leaves[usize::try_from(sequence - 1 - from).unwrap()];
        assert_eq!(
            leaf["request"]["key"], **key,
            "acknowledged at sequence {sequence}, and something else is there: {leaf}"
        );
    }
    let id = life.request.to_string();
    let count = |kind: &str, about: &dyn Fn(&Value) -> bool| {
        leaves
            .iter()
            .filter(|leaf| leaf["type"] == kind && about(&leaf["data"]))
            .count()
    };
    let of_request = |data: &Value| data["request"] == *id;
    assert_eq!(count("version.minted", &of_request), 1, "issued once");
    assert_eq!(count("request.claimed", &of_request), 1, "claimed once");
    assert!(life.secrets <= 1, "the secret left {} times", life.secrets);
    assert_eq!(life.credential.versions.len(), 1);
    let made =
        |data: &Value| data["revocation"]["credential"] == *life.credential.row.id.to_string();
    assert_eq!(count("revocation.effective", &made), usize::from(revoked));
}

/// How often making this login was begun.
fn begun(life: &Life, leaves: &[Value]) -> usize {
    let id = life.request.to_string();
    let begun =
        |leaf: &&Value| leaf["type"] == "issuance.started" && leaf["data"]["request"] == *id;
    leaves.iter().filter(begun).count()
}

/// Accessors of the living child tokens, by the request that they were made for.
pub async fn child_tokens(servers: &Servers) -> BTreeMap<String, String> {
    let listed = servers
        .bao
        .root("LIST", "auth/token/accessors", Value::Null)
        .await;
    let mut tokens = BTreeMap::new();
    for accessor in listed["data"]["keys"].as_array().unwrap() {
        let body = json!({"accessor": accessor});
        let path = "auth/token/lookup-accessor";
        // One that has ended since it was listed is not living.
        let Ok(facts) = servers
            .bao
            .call(servers.bao.root_token(), "POST", path, body)
            .await
        else {
            continue;
        };
        if facts["data"]["meta"]["made_by"] == "countersign" {
            tokens.insert(
                accessor.as_str().unwrap().to_owned(),
                facts["data"]["meta"]["request_id"]
                    .as_str()
                    .unwrap()
                    .to_owned(),
            );
        }
    }
    tokens
}

pub fn roles(servers: &Servers) -> BTreeSet<String> {
    let sql = "SELECT rolname FROM pg_roles WHERE rolname LIKE 'v-token-cs-%'";
    servers
        .postgres
        .ask(sql)
        .lines()
        .map(str::to_owned)
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_kills_lose_nothing_make_nothing_twice_and_leave_nothing_behind() {
    let runs = std::env::var("COUNTERSIGN_TEST_KILLS").map_or(RUNS, |runs| runs.parse().unwrap());
    let servers = Servers::start().await;
    let more = format!("orphan_age_s = {ORPHAN_AGE_S}");
    let mut broker = BrokerProcess::start(&vault_config(&servers, &more).await);
    let company = Company::found(&broker, 2).await;
    let pinned = broker.path("pinned.txt");
    std::fs::write(&pinned, company.admin.checkpoint().await.unwrap()).unwrap();

    let mut living: Vec<Life> = Vec::new();
    let (mut delivered, mut interrupted) = (0, 0);
    for run in 0..runs {
        let revoked = run % KEPT != KEPT - 1;
        let moment = Moment::of(run);
        let from = company.admin.head().await.unwrap();
        let (step, steps) = watch::channel(0);
        let name = format!("reports/kill-{run:03}");
        let pauses = [Some(moment.after), moment.again].into_iter().flatten();
        let killer = killed(broker, moment.step, pauses.collect(), steps);
        let life = AssertUnwindSafe(live(&company, &servers, &name, revoked, step))
            .catch_unwind()
            .await;
        broker = killer.await.unwrap();
        let life = life.unwrap_or_else(|_| {
            panic!(
                "run {run}, killed at {moment:?}; the broker's log:\n{}",
                broker.log()
            )
        });
        let leaves = leaves(&company.admin, from).await;
        check_life(&life, revoked, &leaves, from);
        delivered += life.secrets;
        interrupted += usize::from(begun(&life, &leaves) > 1);
        if !revoked {
            living.push(life);
        }
    }
    assert!(
        delivered * 10 >= runs as usize * 8,
        "{delivered} of {runs} secrets arrived: a kill loses one in transit at most now and then"
    );

    assert!(
        interrupted * 20 >= runs as usize,
        "only {interrupted} of {runs} kills came while a login was being made"
    );

    // Nothing more is younger than what reconciliation looks at; a start reconciles.
    wait_until(PATIENCE, "leftovers are old enough", async || {
        let newest = company
            .admin
            .log_events(&Default::default())
            .await
            .ok()?
            .value
            .items;
        let age = countersign::clock::now() - newest.first()?.at;
        (age.num_seconds() > ORPHAN_AGE_S).then_some(())
    })
    .await;
    broker.kill();
    broker.start_again();
    let known = |name: &str| -> BTreeSet<String> {
        let versions = living.iter().flat_map(|life| &life.credential.versions);
        versions
            .map(|version| version.locator[name].clone())
            .collect()
    };
    let (usernames, accessors) = (known(locator::USERNAME), known(locator::TOKEN_ACCESSOR));
    let mut left = (BTreeSet::new(), BTreeMap::new());
    wait_until(PATIENCE, "only what lives is left", async || {
        left = (roles(&servers), child_tokens(&servers).await);
        let same = left.0 == usernames && left.1.keys().eq(accessors.iter());
        same.then_some(())
    })
    .await;

    let (url, token, path) = (broker.url(), broker.admin_token(), pinned.to_str().unwrap());
    let verified = cli(
        url,
        &token,
        &["audit", "verify", "--pinned", path, "-o", "json"],
    )
    .expect(0);
    assert_eq!(verified.json()["verified"], true);
}
