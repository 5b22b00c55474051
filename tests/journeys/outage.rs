//! Servers that are away: named in the broker's readiness, waited for, and carried on with when they are back.

use crate::support::company::{PATIENCE, approve, credential_of, done, enforced, reaches};
use crate::support::{BrokerProcess, Company, Servers, psql, vault_config, wait_until};
use countersign::client::{Client, Once};
use countersign::issuers::locator;
use countersign::wire::revocation::Revoke;
use countersign::wire::{Readiness, RequestDetail, RequestId, RequestState};
use std::time::Duration;

/// The broker looks after its issuers every 15 s while they are well.
const NOTICED: Duration = Duration::from_secs(40);

/// Waits until readiness says `status`; what it says of the issuer.
async fn readiness(client: &Client, status: &str) -> String {
    let ready: Readiness = wait_until(NOTICED, status, async || {
        let ready = client.readiness().await.ok()?.value;
        (ready.status == status).then_some(ready)
    })
    .await;
    assert_eq!(ready.store, "");
    let vault = ready.issuers.into_iter().find(|one| one.issuer == "vault");
    let vault = vault.expect("the configured issuer");
    assert_eq!(vault.ready, status == "ready");
    vault.detail
}

/// The login of an issued request works.
async fn works(servers: &Servers, company: &Company, id: RequestId) -> RequestDetail {
    let detail = reaches(&company.robot, id, RequestState::Issued).await;
    let claimed = done(company.robot.claim(id, &Once::new()).await);
    let url = servers
        .postgres
        .url_as(&claimed.secret["username"], &claimed.secret["password"]);
    assert_eq!(psql(&url, "SELECT 1").as_deref(), Ok("1"));
    detail
}

#[tokio::test(flavor = "multi_thread")]
async fn what_openbao_and_postgresql_cannot_do_now_is_done_when_they_are_back() {
    let mut servers = Servers::start_durable().await;
    let broker = BrokerProcess::start(&vault_config(&servers, "").await);
    let company = Company::found(&broker, 2).await;
    readiness(&company.admin, "ready").await;
    let first = company
        .approved(&company.login("reports/first", "app-ro"))
        .await;
    let first = works(&servers, &company, first).await;

    // OpenBao is gone: what is approved waits, and nothing is written down as failed for it.
    servers.bao.stop();
    let waiting = company
        .approved(&company.login("reports/unreachable", "app-ro"))
        .await;
    let said = readiness(&company.admin, "degraded").await;
    assert!(said.contains("OpenBao"), "{said}");
    let overview = company.admin.overview().await.unwrap().value;
    assert!(
        overview.degraded[0].detail.contains("OpenBao"),
        "{:?}",
        overview.degraded
    );
    let still = company.robot.request(waiting).await.unwrap().value;
    assert_eq!(
        (still.row.state, still.attempts),
        (RequestState::Approved, 0)
    );
    servers.bao.start_again().await;
    works(&servers, &company, waiting).await;
    readiness(&company.admin, "ready").await;

    // Sealed: it answers, and does nothing. A revocation holds here at once and waits for it there.
    servers.bao.seal().await;
    let sealed = company
        .approved(&company.login("reports/sealed", "app-ro"))
        .await;
    let body = Revoke {
        version: None,
        reason: "while the vault is sealed".into(),
    };
    let credential = credential_of(&company.admin, &first).await;
    done(
        company
            .operator
            .revoke(credential.row.id, &body, &Once::new())
            .await,
    );
    let said = readiness(&company.admin, "degraded").await;
    assert!(
        said.contains("OpenBao") && said.contains("sealed"),
        "{said}"
    );
    servers.bao.unseal().await;
    works(&servers, &company, sealed).await;
    enforced(&company.operator, "reports/first").await;
    let username = &credential.versions[0].locator[locator::USERNAME];
    let sql = format!("SELECT count(*) FROM pg_roles WHERE rolname = '{username}'");
    assert_eq!(servers.postgres.ask(&sql), "0");

    // PostgreSQL is gone: OpenBao is there and cannot make the login.
    servers.postgres.stop();
    let waiting = company
        .approved(&company.login("reports/no-database", "app-ro"))
        .await;
    let said = readiness(&company.admin, "degraded").await;
    assert!(
        said.contains("PostgreSQL") && said.contains("connect"),
        "{said}"
    );
    let failure = wait_until(PATIENCE, "the failed attempt is told", async || {
        company.robot.request(waiting).await.ok()?.value.failure
    })
    .await;
    assert!(failure.contains("PostgreSQL"), "{failure}");
    servers.postgres.start_again();
    let detail = works(&servers, &company, waiting).await;
    assert_eq!(detail.attempts, 2, "nothing was tried in vain meanwhile");
    readiness(&company.admin, "ready").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_in_mid_issuance_finishes_what_was_begun() {
    const AT_ONCE: usize = 12;
    let servers = Servers::start().await;
    slow_down(&servers).await;
    let mut broker = BrokerProcess::start(&vault_config(&servers, "").await);
    let company = Company::found(&broker, 2).await;
    let mut ids = Vec::new();
    for number in 0..AT_ONCE {
        let name = format!("reports/stop-{number:02}");
        ids.push(company.asked(&company.login(&name, "app-short")).await);
    }
    for person in &company.approvers {
        for id in &ids {
            approve(person, *id).await;
        }
    }
    // All are begun, and none can be made yet: each takes a second in PostgreSQL.
    wait_until(PATIENCE, "all are being made", async || {
        for id in &ids {
            let detail = company.robot.request(*id).await.ok()?.value;
            (detail.attempts == 1).then_some(())?;
        }
        Some(())
    })
    .await;
    assert_eq!(broker.terminate(), 0, "{}", broker.log());
    broker.start_again();
    for id in ids {
        let detail = reaches(&company.robot, id, RequestState::Issued).await;
        assert_eq!(
            detail.attempts, 1,
            "finished before the end, not begun again"
        );
    }
    let roles = "SELECT count(*) FROM pg_roles WHERE rolname LIKE 'v-token-cs-%'";
    assert_eq!(servers.postgres.ask(roles), AT_ONCE.to_string());
}

/// Logins of the role `app-short` take a second and more to make, and live long enough to be looked at.
async fn slow_down(servers: &Servers) {
    let create = "SELECT pg_sleep(1.5); CREATE ROLE \"{{name}}\" WITH LOGIN PASSWORD '{{password}}' \
                  VALID UNTIL '{{expiration}}'";
    let revoke = ["DROP ROLE IF EXISTS \"{{name}}\""];
    servers
        .bao
        .add_role("app-short", "1h", "24h", create, &revoke)
        .await;
}
