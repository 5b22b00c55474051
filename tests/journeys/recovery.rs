//! The narrowest of moments: the login is made and its secret sealed, and the broker ends before it can say so.

use crate::support::company::{PATIENCE, done, reaches};
use crate::support::{BrokerProcess, Company, Servers, psql, vault_config, wait_until};
use countersign::broker::engine::system_context;
use countersign::broker::serve::{Broker, Options};
use countersign::client::Once;
use countersign::clock;
use countersign::config::BrokerConfig;
use countersign::domain::{Command, MintedVersion};
use countersign::issuers::{MintOrder, locator};
use countersign::wire::{RequestId, RequestState};

/// Sorts behind every login that OpenBao makes, and is older than all of them.
const STRAY: &str = "v-token-cs-zzz-leftover-1700000000";

/// Does what the broker does for an approved request, up to the sealed secret; gives the login's name.
async fn make_and_stop(broker: &BrokerProcess, id: RequestId) -> String {
    let options = Options {
        data: broker.data(),
        origin: None,
        now: clock::now(),
        admin_token_file: None,
        config: BrokerConfig::load(&broker.path("broker.toml")).unwrap(),
    };
    let quiet = Broker::open_quiet(&options).await.unwrap();
    let engine = &quiet.engine;
    let plan = engine.state().requests[&id].plan.clone();
    let order = MintOrder {
        attempt_key: format!("{id}/1"),
        request_id: id.to_string(),
        credential: plan.credential,
        role: plan.role,
        ttl_s: plan.ttl_s,
        max_ttl_s: plan.ttl_s,
        token: None,
    };
    let vault = &engine.issuers().get("vault").unwrap().issuer;
    let prepared = vault.prepare(&order).await.unwrap();
    let start = Command::StartIssuance {
        request: id,
        attempt: 1,
        locator: prepared.locator.clone(),
    };
    let context = system_context("issuance", clock::now());
    engine.submit(start, context).await.unwrap();
    let minted = vault.mint(&order, prepared).await.unwrap();
    let username = minted.locator[locator::USERNAME].clone();
    let version = MintedVersion {
        digest: minted.digest,
        locator: minted.locator,
        expires_at: minted.expires_at,
        warnings: minted.warnings,
    };
    let sealed = engine.sealed();
    let write = sealed.put(id, 1, &version, &minted.secret);
    sealed.keep(write).await.unwrap();
    quiet.stop().await;
    username
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_that_was_made_before_a_stop_is_recorded_and_not_taken_for_a_leftover() {
    let servers = Servers::start().await;
    let config = vault_config(&servers, "orphan_age_s = 1").await;
    let mut broker = BrokerProcess::start(&config);
    let company = Company::found(&broker, 2).await;
    // With OpenBao sealed the request is approved and waits.
    servers.bao.seal().await;
    let id = company
        .approved(&company.login("reports/recovered", "app-ro"))
        .await;
    assert_eq!(broker.terminate(), 0, "{}", broker.log());
    servers.bao.unseal().await;
    let username = make_and_stop(&broker, id).await;

    // Old enough to be taken for a leftover, beside one that is.
    servers
        .postgres
        .ask(&format!("CREATE ROLE \"{STRAY}\" LOGIN"));
    let age = "SELECT extract(epoch FROM now())::bigint - substring(rolname FROM '\\d+$')::bigint \
               FROM pg_roles WHERE rolname = ";
    wait_until(PATIENCE, "the login has come of age", async || {
        let age = servers.postgres.ask(&format!("{age}'{username}'"));
        (age.parse::<i64>().unwrap() > 1).then_some(())
    })
    .await;
    broker.start_again();
    wait_until(PATIENCE, "the leftover is removed", async || {
        let sql = format!("SELECT count(*) FROM pg_roles WHERE rolname = '{STRAY}'");
        (servers.postgres.ask(&sql) == "0").then_some(())
    })
    .await;
    let detail = reaches(&company.robot, id, RequestState::Issued).await;
    assert_eq!(detail.attempts, 1, "recorded, not made anew");
    let secret = done(company.robot.claim(id, &Once::new()).await).secret;
    assert_eq!(secret["username"], username);
    let url = servers.postgres.url_as(&username, &secret["password"]);
    assert_eq!(psql(&url, "SELECT 1").as_deref(), Ok("1"));
}
