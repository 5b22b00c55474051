//! `kill -9` at a random moment of a rotation, or of its roll back, many times over: it goes on where it was. What
//! stands where the service reads always works, and no version outlives its time, here or at the database.

use crate::kill::{Dice, PATIENCE_OF_A_LIFE, child_tokens, insist, killed, roles};
use crate::rotations::rotate_by;
use crate::support::company::{PATIENCE, credential_of, reaches};
use crate::support::{BrokerProcess, Company, OpenBao, Servers, psql, vault_config, wait_until};
use countersign::client::Once;
use countersign::issuers::locator;
use countersign::wire::rotation::{Rotate, RotationDetail, RotationState};
use countersign::wire::{
    CredentialId, Destination, Reason, RequestState, RotationId, VersionState,
};
use futures_util::FutureExt as _;
use serde_json::Value;
use std::collections::BTreeSet;
use std::panic::AssertUnwindSafe;
use std::time::Duration;
use tokio::sync::watch;

/// How many rotations; `COUNTERSIGN_TEST_KILLS` says otherwise.
const RUNS: u64 = 40;
/// Every so many of them is rolled back.
const BACK: u64 = 4;
const PATH: &str = "payments/reports-db";
/// By hand; an overlap ends when nobody has used the older login for a second.
const SCHEDULE: &str = r#"{"kinds": ["vault_lease"], "jitter_percent": 0, "overlap_s": 3, "unused_s": 1, "fallback_s": 60, "grace_s": 0}"#;
/// What happens after a rotation was asked for, and about how long it takes, in milliseconds.
const SPAN_MS: u64 = 400;

/// When the broker is killed, after a rotation was begun (0) or was to go back (1).
fn moment(dice: &mut Dice, back: bool) -> (usize, Vec<Duration>) {
    let step = if back { dice.below(2) as usize } else { 0 };
    let mut pauses = vec![Duration::from_micros(dice.below(SPAN_MS * 1_000))];
    if dice.below(4) == 0 {
        pauses.push(Duration::from_micros(dice.below(150_000)));
    }
    (step, pauses)
}

async fn until(
    company: &Company,
    id: RotationId,
    what: &str,
    is_so: impl Fn(&RotationDetail) -> bool,
) -> RotationDetail {
    let mut last = None;
    let found = tokio::time::timeout(PATIENCE, async {
        wait_until(PATIENCE * 2, what, async || {
            let detail = company.admin.rotation(id).await.ok()?.value;
            last = Some(detail.clone());
            is_so(&detail).then_some(detail)
        })
        .await
    });
    let found = found.await;
    found.unwrap_or_else(|_| panic!("not {what}: {last:#?}"))
}

/// One rotation to its end, through whatever happens to the broker meanwhile.
async fn live(
    company: &Company,
    credential: CredentialId,
    back: bool,
    step: watch::Sender<usize>,
) -> RotationDetail {
    let body = Rotate {
        cause: None,
        reason: "by hand".into(),
    };
    step.send_replace(0);
    let begun = insist(&mut Vec::new(), &Once::new(), async |once| {
        company.operator.rotate(credential, &body, once).await
    })
    .await;
    let id = begun.subject.parse().unwrap();
    if back {
        until(company, id, "overlapping", |detail| {
            detail.row.state == RotationState::Overlapping
        })
        .await;
        step.send_replace(1);
        let reason = Reason {
            reason: "permission denied on the newer one".into(),
        };
        insist(&mut Vec::new(), &Once::new(), async |once| {
            company.operator.roll_back(credential, &reason, once).await
        })
        .await;
    }
    step.send_replace(2);
    until(company, id, "ended", |detail| detail.row.state.ended()).await
}

/// What the service finds at its place.
async fn held(vault: &OpenBao) -> Value {
    let path = format!("secret/data/{PATH}");
    vault.root("GET", &path, Value::Null).await["data"]["data"].take()
}

async fn logs_in(servers: &Servers, login: &Value) -> Result<String, String> {
    let field = |name: &str| login[name].as_str().unwrap();
    let url = servers
        .postgres
        .url_as(field("username"), field("password"));
    tokio::task::spawn_blocking(move || psql(&url, "SELECT 1"))
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_moment_a_rotation_is_killed_at_it_goes_on() {
    let runs = std::env::var("COUNTERSIGN_TEST_KILLS").map_or(RUNS, |runs| runs.parse().unwrap());
    let (servers, vault) = (Servers::start().await, OpenBao::start().await);
    let config = format!(
        "{}\n[destination.vault]\nenvironments = [\"production\"]\n{}\n",
        vault_config(&servers, "orphan_age_s = 2").await,
        vault.kv2_toml(&["payments"]).await,
    );
    let mut broker = BrokerProcess::start(&config);
    let company = Company::found(&broker, 2).await;
    rotate_by(&company, SCHEDULE).await;
    let mut request = company.login("reports/db", "app-ro");
    request.destination = Some(Destination {
        name: "vault".into(),
        path: PATH.into(),
    });
    let request = company.approved(&request).await;
    let delivered = reaches(&company.admin, request, RequestState::Delivered).await;
    let credential = credential_of(&company.admin, &delivered).await.row.id;

    let (mut back, mut forth) = (0, 0);
    for run in 0..runs {
        let mut dice = Dice(run);
        let goes_back = run % BACK == BACK - 1;
        let (at, pauses) = moment(&mut dice, goes_back);
        let shown = format!("run {run}, killed at step {at} after {pauses:?}");
        let (step, steps) = watch::channel(usize::MAX);
        let killer = killed(broker, at, pauses, steps);
        let life = tokio::time::timeout(
            PATIENCE_OF_A_LIFE,
            AssertUnwindSafe(live(&company, credential, goes_back, step)).catch_unwind(),
        )
        .await;
        broker = killer.await.unwrap();
        let Ok(Ok(rotation)) = life else {
            panic!("{shown}; the broker's log:\n{}", broker.log());
        };
        match rotation.row.state {
            RotationState::Completed => forth += 1,
            RotationState::RolledBack => back += 1,
            other => panic!("{shown}: {other}: {rotation:#?}"),
        }
        let login = held(&vault).await;
        assert_eq!(
            logs_in(&servers, &login).await.as_deref(),
            Ok("1"),
            "{shown}"
        );
        let detail = company.admin.credential(credential).await.unwrap().value;
        let in_use = detail
            .versions
            .iter()
            .find(|version| version.state == VersionState::Active);
        assert_eq!(
            in_use.unwrap().locator[locator::USERNAME],
            login["username"],
            "{shown}: what is in use is what is read"
        );
    }
    println!("{runs} rotations killed: {forth} went on to their end, {back} back");
    assert!(forth > 0 && back > 0);

    // Whatever is not accepted has no role and no token left; what is accepted has both.
    let detail = company.admin.credential(credential).await.unwrap().value;
    let of = |name: &str| -> BTreeSet<String> {
        let accepted = detail.versions.iter().filter(|version| {
            matches!(version.state, VersionState::Active | VersionState::Retiring)
        });
        accepted
            .map(|version| version.locator[name].clone())
            .collect()
    };
    let (usernames, accessors) = (of(locator::USERNAME), of(locator::TOKEN_ACCESSOR));
    assert_eq!(usernames.len(), 1, "{:#?}", detail.versions);
    let leftover = Duration::from_secs(3);
    wait_until(PATIENCE, "leftovers are old enough", async || {
        let newest = company.admin.log_events(&Default::default()).await.ok()?;
        let age = countersign::clock::now() - newest.value.items.first()?.at;
        (age.to_std().ok()? > leftover).then_some(())
    })
    .await;
    broker.kill();
    broker.start_again();
    wait_until(PATIENCE, "only what lives is left", async || {
        let same = roles(&servers) == usernames
            && child_tokens(&servers).await.keys().eq(accessors.iter());
        same.then_some(())
    })
    .await;
}
