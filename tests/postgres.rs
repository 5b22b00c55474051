//! The PostgreSQL issuer against a real PostgreSQL, by a user who may make roles and is no superuser.

#![expect(
    clippy::unwrap_used,
    reason = "a panic in a test's helper is its report"
)]

mod support;

#[path = "postgres/broker.rs"]
mod broker;
#[path = "postgres/pair.rs"]
mod pair;

use countersign::issuers::postgres::{PostgresConfig, PostgresIssuer};
use countersign::issuers::{
    IssueError, Issuer, Locator, MintOrder, Minted, RevokeOutcome, locator,
};
use countersign::secret::SecretMaterial;
use sqlx::{Connection as _, PgConnection};
use std::time::Duration;
use support::{Postgres, psql, wait_until};

const PROVEN: Result<RevokeOutcome, IssueError> = Ok(RevokeOutcome::Revoked { proven: true });

/// A server with a table, a role that may read it, and the broker's user.
fn database() -> Postgres {
    let postgres = Postgres::start();
    postgres.ask(
        "CREATE ROLE countersign LOGIN CREATEROLE PASSWORD 'brokers-own'; CREATE ROLE payments_ro; \
         CREATE TABLE ledger (id int); INSERT INTO ledger VALUES (7); GRANT SELECT ON ledger TO payments_ro; \
         GRANT CREATE ON SCHEMA public TO payments_ro",
    );
    postgres.ask("ALTER SYSTEM SET log_statement = 'all'");
    postgres.ask("SELECT pg_reload_conf()");
    postgres
}

/// Lines of an `[issuer.NAME]` section, without its header and type; tables of roles come after them.
fn section(postgres: &Postgres) -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("password");
    std::fs::write(&file, "brokers-own\n").unwrap();
    let text = format!(
        "url = \"postgres://countersign@127.0.0.1:{}/postgres\"\npassword_file = \"{}\"\n",
        postgres.port(),
        file.display()
    );
    (folder, text)
}

fn build(text: &str) -> PostgresIssuer {
    PostgresIssuer::new(toml::from_str::<PostgresConfig>(text).unwrap()).unwrap()
}

/// An issuer with the role `ro`, and whatever else its table has.
fn issuer(postgres: &Postgres, lines: &str, role: &str) -> (tempfile::TempDir, PostgresIssuer) {
    let (folder, text) = section(postgres);
    let text = format!("{text}{lines}\n[role.ro]\nmember_of = [\"payments_ro\"]\n{role}\n");
    (folder, build(&text))
}

fn order(role: &str, attempt: &str, ttl_s: u64) -> MintOrder {
    MintOrder {
        attempt_key: attempt.into(),
        request_id: attempt.split('/').next().unwrap().into(),
        credential: "payments/reports-db".into(),
        role: role.into(),
        ttl_s,
        max_ttl_s: 86_400,
        token: None,
    }
}

async fn mint(issuer: &PostgresIssuer, order: &MintOrder) -> Result<Minted, IssueError> {
    let prepared = issuer.prepare(order).await?;
    issuer.mint(order, prepared).await
}

fn login_url(postgres: &Postgres, minted: &Minted) -> String {
    let login = minted.secret.fields();
    assert_eq!(
        login["username"].expose(),
        minted.locator[locator::USERNAME]
    );
    postgres.url_as(login["username"].expose(), login["password"].expose())
}

fn refusal(result: Result<Minted, IssueError>) -> String {
    match result.unwrap_err() {
        IssueError::Refused { system, reason } => {
            assert_eq!(system, "PostgreSQL");
            reason
        }
        other => panic!("{other:?}"),
    }
}

fn failure(outcome: Result<RevokeOutcome, IssueError>) -> String {
    match outcome {
        Ok(RevokeOutcome::Failed { reason }) => reason,
        other => panic!("{other:?}"),
    }
}

fn exists(postgres: &Postgres, name: &str) -> bool {
    let name = name.replace('\'', "''");
    postgres.ask(&format!(
        "SELECT count(*) FROM pg_roles WHERE rolname = '{name}'"
    )) == "1"
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_works_for_its_time_and_a_revocation_ends_its_sessions() {
    let postgres = database();
    let (_folder, issuer) = issuer(&postgres, "", "connection_limit = 3");
    issuer.ready().await.unwrap();
    let minted = mint(&issuer, &order("ro", "req_7/1", 3_600)).await.unwrap();
    let url = login_url(&postgres, &minted);
    assert_eq!(minted.locator[locator::USERNAME], "cs_countersign_req_7_1");
    assert_eq!(psql(&url, "SELECT id FROM ledger").as_deref(), Ok("7"));
    assert!(psql(&url, "INSERT INTO ledger VALUES (8)").is_err());
    let facts = postgres.ask(
        "SELECT extract(epoch FROM rolvaliduntil)::bigint, rolconnlimit, rolcreaterole, \
         shobj_description(oid, 'pg_authid')::json->>'attempt' FROM pg_roles WHERE rolname = 'cs_countersign_req_7_1'",
    );
    let ends = minted.expires_at.unwrap();
    assert_eq!(
        facts,
        format!("{}|3|f|req_7/1", (ends.timestamp_millis() + 500) / 1_000)
    );
    let life = (ends - countersign::clock::now()).num_seconds();
    assert!((3_580..=3_600).contains(&life), "{life}");
    let seen = issuer.probe(&minted.locator, &minted.secret).await.unwrap();
    assert_eq!(seen.as_deref(), Some("it logged in at PostgreSQL"));
    let other =
        SecretMaterial::from_fields(&[("username", "cs_countersign_req_7_1"), ("password", "x")]);
    assert!(matches!(
        issuer.probe(&minted.locator, &other).await,
        Err(IssueError::Refused { reason, .. }) if reason.contains("password authentication failed")
    ));
    // The server was told to log everything: neither it nor we ever wrote the password down.
    let password = minted.secret.fields()["password"].expose().to_owned();
    let log = postgres.log();
    assert!(log.contains("CREATE ROLE \"cs_countersign_req_7_1\" LOGIN PASSWORD 'SCRAM-SHA-256$"));
    assert!(!log.contains(&password) && !format!("{minted:?}").contains(&password));

    let mut session = PgConnection::connect(&url).await.unwrap();
    assert_eq!(issuer.users(&minted.locator).await, Ok(Some(1)));
    // What it made stays, with the broker's user.
    sqlx::query("CREATE TABLE made ()")
        .execute(&mut session)
        .await
        .unwrap();
    assert_eq!(issuer.revoke(&minted.locator).await, PROVEN);
    let ended = sqlx::query("SELECT 1").execute(&mut session).await;
    assert!(ended.is_err(), "the open session was ended by the server");
    assert!(
        psql(&url, "SELECT 1")
            .unwrap_err()
            .contains("authentication failed")
    );
    assert!(!exists(&postgres, "cs_countersign_req_7_1"));
    let owner = postgres.ask("SELECT tableowner FROM pg_tables WHERE tablename = 'made'");
    assert_eq!(owner, "countersign");
    assert_eq!(
        issuer.revoke(&minted.locator).await,
        PROVEN,
        "revoking again changes nothing"
    );
    // Nobody else's login is ended from here, whatever a locator says.
    for name in ["postgres", "payments_ro", "cs_other_req_7_1"] {
        let locator = Locator::from([(locator::USERNAME.to_owned(), name.to_owned())]);
        let said = issuer.revoke(&locator).await.unwrap_err();
        assert!(said.to_string().contains("end it there by hand"), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn its_time_is_over_at_the_server_too() {
    let postgres = database();
    let (_folder, issuer) = issuer(&postgres, "", "");
    let minted = mint(&issuer, &order("ro", "req_8/1", 1)).await.unwrap();
    let url = login_url(&postgres, &minted);
    wait_until(Duration::from_secs(20), "nobody is let in", async || {
        psql(&url, "SELECT 1").err()
    })
    .await;
    // What is known is spared until it is not; then it goes, whatever its age.
    let known = [minted.locator.clone()];
    assert!(issuer.reconcile(&known).await.unwrap().is_clean());
    let report = wait_until(Duration::from_secs(20), "it is found", async || {
        let report = issuer.reconcile(&[]).await.unwrap();
        (!report.is_clean()).then_some(report)
    })
    .await;
    assert_eq!(
        report.others_removed,
        ["login cs_countersign_req_8_1 of attempt req_8/1, whose time was over"]
    );
    assert!(!exists(&postgres, "cs_countersign_req_8_1"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revocation_statement_that_fails_is_told_and_tried_again() {
    let postgres = database();
    let failing = "revocation = [\"INSERT INTO gone VALUES ({{literal}})\", \"COMMENT ON ROLE {{name}} IS 'left'\"]";
    let (_folder, issuer) = issuer(&postgres, "", failing);
    let minted = mint(&issuer, &order("ro", "req_9/1", 3_600)).await.unwrap();
    let url = login_url(&postgres, &minted);
    let mut session = PgConnection::connect(&url).await.unwrap();
    for _ in 0..2 {
        let reason = failure(issuer.revoke(&minted.locator).await);
        assert_eq!(
            reason,
            "PostgreSQL: relation \"gone\" does not exist; it can log in no more, and its sessions are ended"
        );
    }
    assert!(sqlx::query("SELECT 1").execute(&mut session).await.is_err());
    assert!(
        psql(&url, "SELECT 1")
            .unwrap_err()
            .contains("not permitted to log in")
    );
    assert!(exists(&postgres, "cs_countersign_req_9_1"));
    postgres.ask("CREATE TABLE gone (name text); GRANT INSERT ON gone TO countersign");
    assert_eq!(issuer.revoke(&minted.locator).await, PROVEN);
    assert_eq!(
        postgres.ask("SELECT name FROM gone"),
        "cs_countersign_req_9_1"
    );

    // What it owns in another database is not reached from this one.
    postgres.ask("CREATE DATABASE other");
    let minted = mint(&issuer, &order("ro", "req_10/1", 3_600))
        .await
        .unwrap();
    let url = postgres.url();
    let elsewhere = format!("{}/other", url.rsplit_once('/').unwrap().0);
    psql(
        &elsewhere,
        "CREATE TABLE t (); ALTER TABLE t OWNER TO cs_countersign_req_10_1",
    )
    .unwrap();
    let reason = failure(issuer.revoke(&minted.locator).await);
    assert!(
        reason.contains("cannot be dropped because some objects depend on it")
            && reason.contains("1 object in database other"),
        "{reason}"
    );
    assert!(psql(&login_url(&postgres, &minted), "SELECT 1").is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_names_stay_names() {
    let postgres = database();
    postgres.ask(
        "CREATE ROLE \"we\"\"ird'; DROP TABLE ledger; --\"; CREATE ROLE \"tur\"\"n;1\" NOLOGIN; CREATE ROLE \"tur'n\\2\" NOLOGIN",
    );
    let (_folder, text) = section(&postgres);
    let roles = "[role.odd]\nmember_of = ['''we\"ird'; DROP TABLE ledger; --''']\n\
                 revocation = [\"SELECT {{literal}}, '{{{{name}}}}'\"]\n\
                 [role.pair]\nlogins = ['''tur\"n;1''', '''tur'n\\2''']\n";
    let issuer = build(&format!("{text}{roles}"));
    let mut odd = order("odd", "req_'\"; DROP TABLE ledger; --/1", 600);
    odd.credential = "'; DROP TABLE ledger; -- \\' {{name}}".into();
    let minted = mint(&issuer, &odd).await.unwrap();
    let name = &minted.locator[locator::USERNAME];
    assert!(
        name.starts_with("cs_countersign_") && name.len() == 47,
        "{name}"
    );
    assert_eq!(
        psql(&login_url(&postgres, &minted), "SELECT 1").as_deref(),
        Ok("1")
    );
    let noted = format!(
        "SELECT shobj_description(oid, 'pg_authid')::json->>'credential' FROM pg_roles WHERE rolname = '{name}'"
    );
    assert_eq!(postgres.ask(&noted), odd.credential);
    assert_eq!(issuer.revoke(&minted.locator).await, PROVEN);
    for (attempt, login) in [("req_1/1", "tur\"n;1"), ("req_2/1", "tur'n\\2")] {
        let minted = mint(&issuer, &order("pair", attempt, 600)).await.unwrap();
        assert_eq!(minted.locator[locator::USERNAME], login);
        assert_eq!(issuer.users(&minted.locator).await, Ok(Some(0)));
        let probed = issuer.probe(&minted.locator, &minted.secret).await;
        assert!(probed.unwrap().is_some());
    }
    assert_eq!(postgres.ask("SELECT id FROM ledger"), "7");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_made_is_refused_in_words_that_help() {
    let postgres = database();
    let (_folder, text) = section(&postgres);
    let issuer = build(&format!(
        "{text}[role.ro]\nmember_of = [\"no_such_role\"]\n[role.pair]\nlogins = [\"one\", \"two\"]\n\
         [role.high]\nlogins = [\"postgres\", \"three\"]\n"
    ));
    for (role, ttl_s, expected) in [
        ("ro", 60, "role \"no_such_role\" does not exist"),
        (
            "nobody",
            60,
            "\"nobody\" is not among the configured roles (high, pair, ro)",
        ),
        ("ro", 0, "a lifetime of 0 s"),
        ("ro", u64::MAX, "no date is"),
        ("pair", 60, "there is no role \"one\"; make it with NOLOGIN"),
        ("high", 60, "\"postgres\" is a superuser"),
    ] {
        let mut order = order(role, "req_3/1", ttl_s);
        order.max_ttl_s = u64::MAX;
        let said = refusal(mint(&issuer, &order).await);
        assert!(said.contains(expected), "{said}");
    }
    assert!(!exists(&postgres, "cs_countersign_req_3_1"));
    let weak = "CREATE ROLE weak LOGIN PASSWORD 'brokers-own'";
    postgres.ask(weak);
    let (_folder, text) = section(&postgres);
    let text = text.replace("countersign@", "weak@");
    let weak = build(&format!("{text}[role.ro]\nmember_of = [\"payments_ro\"]\n"));
    let said = weak.ready().await.unwrap_err();
    assert!(said.reason.contains("CREATEROLE"), "{said}");
    let said = refusal(mint(&weak, &order("ro", "req_4/1", 60)).await);
    assert!(said.contains("CREATEROLE"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn leftovers_are_found_by_their_attempt_and_nobody_elses_is_touched() {
    let postgres = database();
    let (_folder, issuer) = issuer(&postgres, "orphan_age_s = 0", "");
    let kept = mint(&issuer, &order("ro", "req_1/1", 600)).await.unwrap();
    let lost = mint(&issuer, &order("ro", "req_2/1", 600)).await.unwrap();
    // Another broker's, and one whose name only looks like ours.
    let (_other_folder, other) = self::issuer(&postgres, "name = \"other\"", "");
    let foreign = mint(&other, &order("ro", "req_3/1", 600)).await.unwrap();
    postgres.ask("CREATE ROLE cs_countersign_by_hand LOGIN");
    // This process has just made them: spared whether known or not.
    assert!(issuer.reconcile(&[]).await.unwrap().is_clean());
    // After a restart only what the broker knows is.
    let (_folder, restarted) = self::issuer(&postgres, "orphan_age_s = 0", "");
    let report = restarted
        .reconcile(std::slice::from_ref(&kept.locator))
        .await
        .unwrap();
    assert_eq!(
        report.others_removed,
        ["login cs_countersign_req_2_1 of attempt req_2/1, that nothing explains"]
    );
    assert_eq!(report.failures, Vec::<String>::new());
    assert!(psql(&login_url(&postgres, &lost), "SELECT 1").is_err());
    for works in [&kept, &foreign] {
        assert_eq!(
            psql(&login_url(&postgres, works), "SELECT 1").as_deref(),
            Ok("1")
        );
    }
    assert!(exists(&postgres, "cs_countersign_by_hand"));
    // Young ones are somebody's attempt under way.
    let (_folder, patient) = self::issuer(&postgres, "orphan_age_s = 3600", "");
    assert!(patient.reconcile(&[]).await.unwrap().is_clean());
    // Nobody waits for the answer any more: what was made is removed at once.
    let abandoned = order("ro", "req_5/1", 600);
    let prepared = issuer.prepare(&abandoned).await.unwrap();
    let mint = issuer.mint(&abandoned, prepared);
    drop(tokio::time::timeout(Duration::from_millis(1), mint).await);
    wait_until(Duration::from_secs(20), "it is gone", async || {
        (!exists(&postgres, "cs_countersign_req_5_1")).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_is_asked_over_tls_that_it_is_who_it_should_be() {
    let postgres = database();
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = rcgen::CertificateParams::new(vec!["localhost".into()])
        .unwrap()
        .self_signed(&key)
        .unwrap();
    for (file, pem) in [
        ("server.crt", certificate.pem()),
        ("server.key", key.serialize_pem()),
    ] {
        let sql = format!(
            "COPY (SELECT unnest(string_to_array(trim('{pem}'), E'\\n'))) TO PROGRAM 'umask 077; cat > {file}'"
        );
        postgres.ask(&sql);
    }
    postgres.ask("ALTER SYSTEM SET ssl = on");
    postgres.ask("SELECT pg_reload_conf()");
    wait_until(Duration::from_secs(20), "TLS is on", async || {
        (postgres.ask("SHOW ssl") == "on").then_some(())
    })
    .await;
    let (folder, text) = section(&postgres);
    let ca = folder.path().join("ca.pem");
    std::fs::write(&ca, certificate.pem()).unwrap();
    let role = "[role.ro]\nmember_of = [\"payments_ro\"]\n";
    let with = |host: &str, ca: &std::path::Path| {
        let text = text.replace("127.0.0.1", host);
        build(&format!("{text}ca_file = \"{}\"\n{role}", ca.display()))
    };
    let right = with("localhost", &ca);
    right.ready().await.unwrap();
    let minted = mint(&right, &order("ro", "req_1/1", 60)).await.unwrap();
    assert_eq!(right.revoke(&minted.locator).await, PROVEN);
    // The certificate is for another name, or of somebody else.
    let said = with("127.0.0.1", &ca).ready().await.unwrap_err();
    assert!(said.reason.contains("certificate"), "{said}");
    let stranger = folder.path().join("other.pem");
    let other = rcgen::generate_simple_self_signed(vec!["localhost".into()]).unwrap();
    std::fs::write(&stranger, other.cert.pem()).unwrap();
    let said = with("localhost", &stranger).ready().await.unwrap_err();
    assert!(said.reason.contains("certificate"), "{said}");
    for (url, expected) in [
        ("postgres://c@db.example/x", "in the clear"),
        ("postgres://c:secret@localhost/x", "has a password in it"),
        ("postgres://localhost/x", "names no user"),
        ("https://localhost/x", "expected postgres://"),
    ] {
        let text = format!("url = \"{url}\"\npassword_env = \"P\"\n{role}");
        let refused = PostgresIssuer::new(toml::from_str(&text).unwrap());
        let said = refused.err().unwrap().to_string();
        assert!(
            said.starts_with("url: ") && said.contains(expected),
            "{said}"
        );
    }
}
