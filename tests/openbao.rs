//! The OpenBao issuer against a real OpenBao on a real PostgreSQL.

#![expect(
    clippy::unwrap_used,
    reason = "a panic in a test's helper is its report"
)]

mod support;

use countersign::issuers::openbao::{OpenBaoConfig, OpenBaoIssuer};
use countersign::issuers::{
    IssueError, Issuer, Locator, MintOrder, Minted, RevokeOutcome, locator,
};
use serde_json::json;
use std::collections::BTreeMap;
use std::process::{Command, Stdio};
use std::time::Duration;
use support::{Servers, psql, wait_until};

async fn issuer(servers: &Servers) -> OpenBaoIssuer {
    issuer_with(servers, "").await
}

/// `extra` lines replace the ones of the same name.
async fn issuer_with(servers: &Servers, extra: &str) -> OpenBaoIssuer {
    let mut config: toml::Table =
        toml::from_str(&servers.bao.config_toml(&servers.postgres).await).unwrap();
    config.extend(toml::from_str::<toml::Table>(extra).unwrap());
    OpenBaoIssuer::new(config.try_into::<OpenBaoConfig>().unwrap()).unwrap()
}

fn order(role: &str, ttl_s: u64) -> MintOrder {
    MintOrder {
        attempt_key: "req_7/1".into(),
        request_id: "req_7".into(),
        credential: "payments/reports-db".into(),
        role: format!("database/creds/{role}"),
        ttl_s,
        max_ttl_s: 86_400,
        token: None,
    }
}

async fn mint(issuer: &OpenBaoIssuer, order: &MintOrder) -> Result<Minted, IssueError> {
    let prepared = issuer.prepare(order).await?;
    issuer.mint(order, prepared).await
}

fn login_url(servers: &Servers, minted: &Minted) -> String {
    let login: BTreeMap<String, String> = serde_json::from_str(minted.secret.expose()).unwrap();
    assert_eq!(login["username"], minted.locator[locator::USERNAME]);
    servers
        .postgres
        .url_as(&login["username"], &login["password"])
}

fn role_exists(servers: &Servers, name: &str) -> bool {
    servers.postgres.ask(&format!(
        "SELECT count(*) FROM pg_roles WHERE rolname = '{name}'"
    )) == "1"
}

async fn lease_exists(servers: &Servers, lease_id: &str) -> bool {
    let body = json!({"lease_id": lease_id});
    servers
        .bao
        .call(servers.bao.root_token(), "PUT", "sys/leases/lookup", body)
        .await
        .is_ok()
}

async fn token_exists(servers: &Servers, accessor: &str) -> bool {
    let body = json!({"accessor": accessor});
    servers
        .bao
        .call(
            servers.bao.root_token(),
            "POST",
            "auth/token/lookup-accessor",
            body,
        )
        .await
        .is_ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_works_until_it_is_revoked_and_open_sessions_end() {
    let servers = Servers::shared().await;
    let issuer = issuer(&servers).await;
    issuer.ready().await.unwrap();
    let minted = mint(&issuer, &order("app-ro", 3600)).await.unwrap();
    let url = login_url(&servers, &minted);
    let username = &minted.locator[locator::USERNAME];
    assert!(username.starts_with("v-token-cs-app-ro-"), "{username}");
    assert_eq!(
        psql(&url, "SELECT current_user").as_deref(),
        Ok(username.as_str())
    );

    let mut session = Command::new("psql")
        .args(["-X", "-q", "-c", "SELECT pg_sleep(600)", &url])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let active = format!(
        "SELECT count(*) FROM pg_stat_activity WHERE usename = '{username}' AND query LIKE '%sleep%'"
    );
    wait_until(Duration::from_secs(20), "the session runs", async || {
        (servers.postgres.ask(&active) == "1").then_some(())
    })
    .await;

    assert_eq!(
        issuer.revoke(&minted.locator).await,
        Ok(RevokeOutcome::Revoked { proven: true })
    );
    let refused = psql(&url, "SELECT 1").unwrap_err();
    assert!(refused.contains("authentication failed"), "{refused}");
    let ended = tokio::task::spawn_blocking(move || session.wait().unwrap())
        .await
        .unwrap();
    assert!(!ended.success(), "the open session was ended by the server");
    assert!(!role_exists(&servers, username));
    assert!(!lease_exists(&servers, &minted.locator[locator::LEASE_ID]).await);
    assert!(!token_exists(&servers, &minted.locator[locator::TOKEN_ACCESSOR]).await);
    assert_eq!(
        issuer.revoke(&minted.locator).await,
        Ok(RevokeOutcome::Revoked { proven: true }),
        "revoking again changes nothing"
    );
    let audit = servers.bao.audit_log();
    let told = audit
        .lines()
        .any(|line| line.contains("x-countersign-request") && line.contains("req_7"));
    assert!(told, "OpenBao's audit log names the request");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_approved_lifetime_holds_whatever_the_role_says() {
    let servers = Servers::shared().await;
    let issuer = issuer(&servers).await;
    // Shorter than the role's default of 1 h, and longer than it.
    for ttl_s in [120, 7_200] {
        let before = countersign::clock::now();
        let minted = mint(&issuer, &order("app-ro", ttl_s)).await.unwrap();
        let lives = (minted.expires_at.unwrap() - before).num_milliseconds();
        let approved = i64::try_from(ttl_s * 1_000).unwrap();
        // Never longer, but for the millisecond that our own clock is cut to.
        assert!(
            lives > approved - 10_000 && lives <= approved + 2_000,
            "{lives} ms of {approved}"
        );
        assert_eq!(minted.warnings, Vec::<String>::new());
        let username = &minted.locator[locator::USERNAME];
        let sql = format!(
            "SELECT extract(epoch FROM rolvaliduntil - now()) FROM pg_roles WHERE rolname = '{username}'"
        );
        let valid_s: f64 = servers.postgres.ask(&sql).parse().unwrap();
        assert!(
            valid_s <= ttl_s as f64 + 6.0,
            "PostgreSQL's own limit follows: {valid_s}"
        );
    }
    // The cap of policy counts where it is smaller.
    let mut capped = order("app-ro", 7_200);
    capped.max_ttl_s = 60;
    let minted = mint(&issuer, &capped).await.unwrap();
    assert!((minted.expires_at.unwrap() - countersign::clock::now()).num_seconds() <= 60);
    // The role gives less than approved: said so.
    let minted = mint(&issuer, &order("app-short", 7_200)).await.unwrap();
    assert!((minted.expires_at.unwrap() - countersign::clock::now()).num_seconds() <= 60);
    assert!(
        minted
            .warnings
            .iter()
            .any(|text| text.contains("7200 s were approved")),
        "{:?}",
        minted.warnings
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_ends_by_itself_when_its_time_is_up() {
    let servers = Servers::shared().await;
    let minted = mint(&issuer(&servers).await, &order("app-ro", 3))
        .await
        .unwrap();
    let username = minted.locator[locator::USERNAME].clone();
    wait_until(Duration::from_mins(1), "the login is gone", async || {
        (!role_exists(&servers, &username)).then_some(())
    })
    .await;
    assert!(psql(&login_url(&servers, &minted), "SELECT 1").is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revocation_that_the_database_refuses_is_reported_and_can_be_retried() {
    let servers = Servers::start().await;
    let issuer = issuer(&servers).await;
    let minted = mint(&issuer, &order("stuck", 3600)).await.unwrap();
    let outcome = issuer.revoke(&minted.locator).await.unwrap();
    let RevokeOutcome::Failed { reason } = outcome else {
        panic!("{outcome:?}")
    };
    assert!(reason.contains("no_such_function"), "{reason}");
    assert!(
        psql(&login_url(&servers, &minted), "SELECT 1").is_ok(),
        "it does still work, as reported"
    );
    servers
        .bao
        .add_role(
            "stuck",
            "1h",
            "24h",
            "SELECT 1",
            &["DROP OWNED BY \"{{name}}\"", "DROP ROLE \"{{name}}\""],
        )
        .await;
    assert_eq!(
        issuer.revoke(&minted.locator).await,
        Ok(RevokeOutcome::Revoked { proven: true })
    );
    assert!(!role_exists(&servers, &minted.locator[locator::USERNAME]));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_is_refused_with_its_reason() {
    let servers = Servers::shared().await;
    let issuer = issuer(&servers).await;
    let refused = |result: Result<Minted, IssueError>| match result {
        Err(IssueError::Refused { system, reason }) => (system, reason),
        other => panic!("{other:?}"),
    };
    let (system, reason) = refused(mint(&issuer, &order("elsewhere", 60)).await);
    assert!(
        system == "OpenBao" && reason.contains("not among the configured roles"),
        "{reason}"
    );
    let (system, reason) = refused(mint(&issuer, &order("broken", 60)).await);
    assert!(
        system == "PostgreSQL" && reason.contains("syntax error"),
        "{system}: {reason}"
    );
    let (_, reason) = refused(mint(&issuer, &order("app-ro", 0)).await);
    assert!(reason.contains("0 s"), "{reason}");
    // The token role does not give out this policy.
    let greedy = issuer_with(&servers, "policies = [\"countersign\"]").await;
    let (system, reason) = refused(mint(&greedy, &order("app-ro", 60)).await);
    assert!(
        system == "OpenBao" && reason.contains("countersign"),
        "{reason}"
    );
    // A right is missing: the broker may not make children without the role.
    let roleless = {
        let mut config: toml::Table =
            toml::from_str(&servers.bao.config_toml(&servers.postgres).await).unwrap();
        config.remove("token_role");
        OpenBaoIssuer::new(config.try_into::<OpenBaoConfig>().unwrap()).unwrap()
    };
    let (system, reason) = refused(mint(&roleless, &order("app-ro", 60)).await);
    assert!(
        system == "OpenBao" && reason.contains("countersign.hcl"),
        "{reason}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn systems_that_are_down_are_named_and_nothing_is_left_when_they_are_back() {
    let mut servers = Servers::start().await;
    let issuer = issuer(&servers).await;
    let minted = mint(&issuer, &order("app-ro", 600)).await.unwrap();
    let unavailable = |error: IssueError| match error {
        IssueError::Unavailable { system, reason, .. } => (system, reason),
        other => panic!("{other:?}"),
    };

    servers.postgres.stop();
    let (system, reason) = unavailable(mint(&issuer, &order("app-ro", 600)).await.unwrap_err());
    assert!(
        system == "PostgreSQL" && reason.contains("connect"),
        "{system}: {reason}"
    );
    let not_ready = issuer.ready().await.unwrap_err();
    assert!(
        not_ready.system == "PostgreSQL" && !not_ready.reason.contains("test-superuser"),
        "{not_ready}"
    );
    let outcome = issuer.revoke(&minted.locator).await.unwrap();
    assert!(
        matches!(&outcome, RevokeOutcome::Failed { reason } if reason.contains("connect")),
        "{outcome:?}"
    );

    servers.postgres.start_again();
    issuer.ready().await.unwrap();
    assert_eq!(
        issuer.revoke(&minted.locator).await,
        Ok(RevokeOutcome::Revoked { proven: true })
    );
    let again = mint(&issuer, &order("app-ro", 600)).await.unwrap();

    servers.bao.seal().await;
    let (system, reason) = unavailable(issuer.prepare(&order("app-ro", 600)).await.unwrap_err());
    assert!(system == "OpenBao" && reason.contains("sealed"), "{reason}");
    servers.bao.stop();
    let (system, reason) = unavailable(issuer.prepare(&order("app-ro", 600)).await.unwrap_err());
    assert!(
        system == "OpenBao" && reason.contains("refused"),
        "{reason}"
    );
    assert_eq!(
        unavailable(issuer.revoke(&again.locator).await.unwrap_err()).0,
        "OpenBao"
    );
    assert_eq!(
        unavailable(issuer.reconcile(&[]).await.unwrap_err()).0,
        "OpenBao"
    );
    let not_ready = issuer.ready().await.unwrap_err();
    assert!(
        not_ready.system == "OpenBao" && not_ready.reason.contains("cannot reach"),
        "{not_ready}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_broker_token_means_wait_and_a_new_one_in_the_file_is_enough() {
    let servers = Servers::shared().await;
    let file = servers.bao.broker_token_file().await;
    let issuer = issuer_with(&servers, &format!("token_file = {file:?}")).await;
    let good = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, "s.notatokenthatwasevermade00").unwrap();
    let error = issuer.prepare(&order("app-ro", 60)).await.unwrap_err();
    assert!(
        matches!(&error, IssueError::Unavailable { reason, .. } if reason.contains("broker-token-")),
        "{error}"
    );
    assert!(
        issuer
            .ready()
            .await
            .unwrap_err()
            .reason
            .contains("broker-token-")
    );
    std::fs::write(&file, format!("{good}\n")).unwrap();
    issuer.ready().await.unwrap();
    mint(&issuer, &order("app-ro", 60)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn abandoned_attempts_are_removed_and_everybody_elses_are_not() {
    let servers = Servers::start().await;
    let ours = issuer_with(&servers, "orphan_age_s = 0\nname = \"one\"").await;
    let working = mint(&ours, &order("app-ro", 600)).await.unwrap();
    let abandoned = ours.prepare(&order("app-ro", 600)).await.unwrap();
    let accessor = abandoned.locator[locator::TOKEN_ACCESSOR].clone();

    let report = ours.reconcile(&[]).await.unwrap();
    assert!(
        report.is_clean(),
        "what this process still works on is spared: {report:?}"
    );
    drop(abandoned);
    // A broker started anew remembers nothing, and knows only what it wrote down.
    let restarted = issuer_with(&servers, "orphan_age_s = 0\nname = \"one\"").await;
    let other = issuer_with(&servers, "orphan_age_s = 0\nname = \"two\"").await;
    let careful = issuer_with(&servers, "orphan_age_s = 3600\nname = \"one\"").await;
    let known = [working.locator.clone()];
    assert!(
        other.reconcile(&known).await.unwrap().is_clean(),
        "another broker's"
    );
    assert!(
        careful.reconcile(&known).await.unwrap().is_clean(),
        "too young"
    );
    let report = restarted.reconcile(&known).await.unwrap();
    assert_eq!(report.attempts_removed.len(), 1, "{report:?}");
    let removed = &report.attempts_removed[0];
    assert_eq!(
        (
            removed.token_accessor.as_str(),
            removed.attempt_key.as_str()
        ),
        (accessor.as_str(), "req_7/1")
    );
    assert!(!token_exists(&servers, &accessor).await);
    assert!(psql(&login_url(&servers, &working), "SELECT 1").is_ok());

    // Minted, but the broker died before it wrote that down: only the preparation is known to be abandoned.
    let lost = mint(&ours, &order("app-ro", 600)).await.unwrap();
    let report = restarted.reconcile(&known).await.unwrap();
    assert_eq!(report.attempts_removed.len(), 1, "{report:?}");
    assert!(!role_exists(&servers, &lost.locator[locator::USERNAME]));
    assert!(restarted.reconcile(&known).await.unwrap().is_clean());
    let abandoned_only = Locator::from([(
        locator::TOKEN_ACCESSOR.into(),
        working.locator[locator::TOKEN_ACCESSOR].clone(),
    )]);
    assert_eq!(
        restarted.revoke(&abandoned_only).await,
        Ok(RevokeOutcome::Revoked { proven: false }),
        "without the lease's id it is done but not proven"
    );
    assert!(psql(&login_url(&servers, &working), "SELECT 1").is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_that_goes_away_in_the_middle_leaves_nothing() {
    let servers = Servers::start().await;
    let issuer = issuer_with(&servers, "orphan_age_s = 0").await;
    for step in 0..24 {
        let order = order("app-ro", 600);
        let prepared = issuer.prepare(&order).await.unwrap();
        let minting = issuer.mint(&order, prepared);
        let patience = Duration::from_millis(step * 2);
        match tokio::time::timeout(patience, minting).await {
            Ok(minted) => drop(issuer.revoke(&minted.unwrap().locator).await.unwrap()),
            Err(_gave_up) => {}
        }
    }
    let ours = "SELECT count(*) FROM pg_roles WHERE rolname LIKE 'v-token-cs-%'";
    wait_until(
        Duration::from_secs(30),
        "the detached tasks clean up",
        async || {
            issuer.reconcile(&[]).await.unwrap();
            (servers.postgres.ask(ours) == "0").then_some(())
        },
    )
    .await;
    let restarted = issuer_with(&servers, "orphan_age_s = 0").await;
    assert!(
        restarted.reconcile(&[]).await.unwrap().is_clean(),
        "nothing was left to find"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn logins_that_openbao_lost_are_dropped_with_what_they_hold() {
    let servers = Servers::start().await;
    let issuer = issuer_with(&servers, "orphan_age_s = 0").await;
    let working = mint(&issuer, &order("app-ro", 600)).await.unwrap();
    let lost = mint(&issuer, &order("stuck", 600)).await.unwrap();
    let (url, username) = (
        login_url(&servers, &lost),
        lost.locator[locator::USERNAME].clone(),
    );
    // The lease is forgotten, the login stays: what a client that hangs up at the wrong moment causes.
    servers
        .bao
        .root(
            "PUT",
            "sys/leases/revoke-force/database/creds/stuck",
            json!({}),
        )
        .await;
    servers
        .postgres
        .ask(&format!("GRANT CREATE ON SCHEMA public TO \"{username}\""));
    psql(
        &url,
        "CREATE TABLE kept (n int); INSERT INTO kept VALUES (7)",
    )
    .unwrap();
    servers
        .postgres
        .ask("CREATE ROLE \"v-token-cs-by-hand\" LOGIN; CREATE ROLE \"v-other-app-ro-x-1\"");

    // A broker started anew: the first login is written down, the second is not.
    let restarted = issuer_with(&servers, "orphan_age_s = 0").await;
    let report = restarted
        .reconcile(std::slice::from_ref(&working.locator))
        .await
        .unwrap();
    assert_eq!(report.logins_removed, [username.as_str()], "{report:?}");
    assert!(report.failures.is_empty(), "{report:?}");
    assert!(psql(&url, "SELECT 1").is_err());
    assert!(
        psql(&login_url(&servers, &working), "SELECT 1").is_ok(),
        "a known login is left alone"
    );
    assert_eq!(
        servers.postgres.ask("SELECT n FROM kept"),
        "7",
        "what the login owned is not lost"
    );
    let left = servers.postgres.ask("SELECT count(*) FROM pg_roles WHERE rolname IN ('v-token-cs-by-hand', 'v-other-app-ro-x-1')");
    assert_eq!(
        left, "2",
        "logins that OpenBao did not make for us are left alone"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_killed_broker_had_asked_for_is_removed() {
    let servers = Servers::start().await;
    for attempt in 0..30_u64 {
        let child = json!({
            "policies": ["countersign-issue"], "ttl": "600s", "explicit_max_ttl": "600s",
            "display_name": "cs-req_9", "no_default_policy": true, "no_parent": true,
            "meta": {"made_by": "countersign", "broker": "countersign", "attempt_key": format!("req_9/{attempt}")},
        });
        let child = servers.bao.root("POST", "auth/token/create", child).await;
        let token = child["auth"]["client_token"].as_str().unwrap();
        let asked = servers
            .bao
            .call(token, "GET", "database/creds/app-ro", json!(null));
        // A killed process closes its connection in the middle: so does a dropped call.
        let _ = tokio::time::timeout(Duration::from_millis(attempt), asked).await;
    }
    let restarted = issuer_with(&servers, "orphan_age_s = 0").await;
    let ours = "SELECT count(*) FROM pg_roles WHERE rolname LIKE 'v-token-cs-%'";
    let mut removed = 0;
    wait_until(Duration::from_secs(30), "nothing is left", async || {
        let report = restarted.reconcile(&[]).await.unwrap();
        removed += report.attempts_removed.len();
        (report.is_clean() && servers.postgres.ask(ours) == "0").then_some(())
    })
    .await;
    assert_eq!(removed, 30, "each attempt is found by its child token");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_preparation_that_waited_too_long_is_to_be_made_anew() {
    let servers = Servers::shared().await;
    let issuer = issuer(&servers).await;
    let order = order("app-ro", 1);
    let prepared = issuer.prepare(&order).await.unwrap();
    let accessor = prepared.locator[locator::TOKEN_ACCESSOR].clone();
    wait_until(
        Duration::from_secs(30),
        "the child token ends",
        async || (!token_exists(&servers, &accessor).await).then_some(()),
    )
    .await;
    let error = issuer.mint(&order, prepared).await.unwrap_err();
    assert!(
        matches!(&error, IssueError::Unavailable { reason, .. } if reason.contains("ended before it was used")),
        "{error}"
    );
    // A policy that lacks the right is another matter.
    servers
        .bao
        .root(
            "PUT",
            "sys/policies/acl/nothing",
            json!({"policy": "path \"x\" { capabilities = [] }"}),
        )
        .await;
    servers
        .bao
        .root(
            "POST",
            "auth/token/roles/nothing",
            json!({"allowed_policies": "nothing", "orphan": true}),
        )
        .await;
    let powerless = issuer_with(
        &servers,
        &format!(
            "policies = [\"nothing\"]\ntoken_role = \"nothing\"\ntoken_file = {:?}",
            root_token_file(&servers)
        ),
    )
    .await;
    let error = mint(&powerless, &self::order("app-ro", 60))
        .await
        .unwrap_err();
    assert!(
        matches!(&error, IssueError::Refused { reason, .. } if reason.contains("nothing do not allow")),
        "{error}"
    );
}

fn root_token_file(servers: &Servers) -> std::path::PathBuf {
    let path = servers.bao.folder().join("root-token");
    std::fs::write(&path, servers.bao.root_token()).unwrap();
    path
}
