//! The same with the built broker: rotations under load, revocations that fail, a database that dies.

use crate::support::company::{PATIENCE, credential_of, done, enforced, reaches};
use crate::support::{BrokerProcess, Company};
use crate::*;
use countersign::client::{ListQuery, Once};
use countersign::domain::Enforcement;
use countersign::wire::revocation::Revoke;
use countersign::wire::rotation::Rotate;
use countersign::wire::{CredentialId, Kind, NewRequest, RequestId, RequestState};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, RwLock};

fn broker(postgres: &Postgres, roles: &str) -> (tempfile::TempDir, BrokerProcess) {
    let (folder, text) = section(postgres);
    let config = format!("[issuer.payments]\ntype = \"postgres\"\n{text}{roles}");
    (folder, BrokerProcess::start(&config))
}

fn asks(company: &Company, credential: &str, role: &str, ttl_s: u64) -> NewRequest {
    NewRequest {
        kind: Kind::DatabaseRole,
        role: role.into(),
        ttl_s,
        ..company.login(credential, "unused")
    }
}

/// The login that was made for a request, and its credential.
async fn taken(
    postgres: &Postgres,
    company: &Company,
    id: RequestId,
) -> (CredentialId, BTreeMap<String, String>) {
    let detail = reaches(&company.robot, id, RequestState::Issued).await;
    let secret = done(company.robot.claim(id, &Once::new()).await).secret;
    let url = postgres.url_as(&secret["username"], &secret["password"]);
    assert_eq!(psql(&url, "SELECT id FROM ledger").as_deref(), Ok("7"));
    (detail.credential_id.unwrap(), secret)
}

/// A service's pool: so many connections that ask all the time, each of which takes up the newest login between two
/// questions.
struct Pool {
    login: Arc<RwLock<(u64, String)>>,
    stop: Arc<AtomicBool>,
    asked: Arc<AtomicU64>,
    /// The generation of the login that each connection has.
    at: Vec<Arc<AtomicU64>>,
    workers: Vec<tokio::task::JoinHandle<Result<(), sqlx::Error>>>,
}

impl Pool {
    fn open(connections: usize, url: String) -> Self {
        let login = Arc::new(RwLock::new((1, url)));
        let (stop, asked) = (
            Arc::new(AtomicBool::new(false)),
            Arc::new(AtomicU64::new(0)),
        );
        let at: Vec<Arc<AtomicU64>> = (0..connections).map(|_| Arc::default()).collect();
        let workers = at.iter().map(|at| {
            let (login, stop) = (Arc::clone(&login), Arc::clone(&stop));
            let (asked, at) = (Arc::clone(&asked), Arc::clone(at));
            tokio::spawn(async move {
                let mut session: Option<PgConnection> = None;
                while !stop.load(Ordering::SeqCst) {
                    let (generation, url) = login.read().unwrap().clone();
                    if at.load(Ordering::SeqCst) != generation || session.is_none() {
                        if let Some(old) = session.take() {
                            old.close().await?;
                        }
                        session = Some(PgConnection::connect(&url).await?);
                        at.store(generation, Ordering::SeqCst);
                    }
                    if let Some(session) = &mut session {
                        sqlx::query("SELECT id FROM ledger")
                            .fetch_one(session)
                            .await?;
                    }
                    asked.fetch_add(1, Ordering::SeqCst);
                }
                Ok(())
            })
        });
        let workers = workers.collect();
        Self {
            login,
            stop,
            asked,
            at,
            workers,
        }
    }

    /// Gives the newer login out, and waits until every connection has it.
    async fn take_up(&self, url: String) {
        let generation = {
            let mut login = self.login.write().unwrap();
            *login = (login.0 + 1, url);
            login.0
        };
        wait_until(
            PATIENCE,
            "every connection has the newer login",
            async || {
                let there = self
                    .at
                    .iter()
                    .all(|at| at.load(Ordering::SeqCst) == generation);
                there.then_some(())
            },
        )
        .await;
    }

    /// How many questions were answered; none was refused.
    async fn close(self) -> u64 {
        self.stop.store(true, Ordering::SeqCst);
        for worker in self.workers {
            worker.await.unwrap().expect("no query of the pool fails");
        }
        self.asked.load(Ordering::SeqCst)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pool_of_open_connections_notices_no_rotation() {
    let postgres = database();
    postgres.ask("CREATE ROLE app_a NOLOGIN IN ROLE payments_ro; CREATE ROLE app_b NOLOGIN IN ROLE payments_ro");
    let (_folder, broker) = broker(
        &postgres,
        "[issuer.payments.role.payments-app]\nlogins = [\"app_a\", \"app_b\"]\n",
    );
    let company = Company::found(&broker, 2).await;
    let id = company
        .approved(&asks(
            &company,
            "reports/payments-db",
            "payments-app",
            3_600,
        ))
        .await;
    let (credential, secret) = taken(&postgres, &company, id).await;
    assert_eq!(secret["username"], "app_a");
    let pool = Pool::open(6, postgres.url_as(&secret["username"], &secret["password"]));
    let mut names = vec![secret["username"].clone()];
    for version in 1..=4 {
        let body = Rotate {
            cause: None,
            reason: "CHG-7".into(),
        };
        let begun = done(
            company
                .operator
                .rotate(credential, &body, &Once::new())
                .await,
        );
        let rotation = begun.subject.parse().unwrap();
        let newer = wait_until(PATIENCE, "the newer login is there", async || {
            let claimed = company.robot.claim_rotation(rotation, &Once::new()).await;
            claimed.into_result().ok()
        })
        .await
        .value
        .secret;
        let seen = company.robot.rotation(rotation).await.unwrap().value;
        let checked = seen
            .steps
            .iter()
            .any(|step| step.note.contains("it logged in at PostgreSQL"));
        assert!(checked, "{:?}", seen.steps);
        pool.take_up(postgres.url_as(&newer["username"], &newer["password"]))
            .await;
        names.push(newer["username"].clone());
        // Nobody is left on the older one: it goes before its overlap would end by itself.
        let body = Revoke {
            version: Some(version),
            reason: "everybody has the newer one".into(),
        };
        done(
            company
                .operator
                .revoke(credential, &body, &Once::new())
                .await,
        );
        wait_until(PATIENCE, "the older login is shut", async || {
            let shut =
                "SELECT count(*) FROM pg_roles WHERE rolname LIKE 'app__' AND NOT rolcanlogin";
            (postgres.ask(shut) == "1").then_some(())
        })
        .await;
        wait_until(PATIENCE, "the rotation is over", async || {
            let detail = company.robot.rotation(rotation).await.ok()?.value;
            detail.row.state.ended().then_some(())
        })
        .await;
    }
    assert_eq!(names, ["app_a", "app_b", "app_a", "app_b", "app_a"]);
    let asked = pool.close().await;
    assert!(asked > 100, "{asked} questions are no load");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_database_cannot_do_now_is_shown_and_done_later() {
    let mut postgres = database();
    let (_folder, broker) = broker(
        &postgres,
        "[issuer.payments.role.payments-ro]\nmember_of = [\"payments_ro\"]\n\
         revocation = [\"INSERT INTO gone VALUES ({{literal}})\"]\n",
    );
    let company = Company::found(&broker, 2).await;
    let first = company
        .approved(&asks(&company, "reports/first", "payments-ro", 3_600))
        .await;
    let (credential, secret) = taken(&postgres, &company, first).await;
    let body = Revoke {
        version: None,
        reason: "leaked".into(),
    };
    done(
        company
            .operator
            .revoke(credential, &body, &Once::new())
            .await,
    );
    let told = wait_until(PATIENCE, "the failure is shown", async || {
        let rows = company
            .operator
            .revocations(&ListQuery::default())
            .await
            .ok()?
            .value;
        rows.items
            .into_iter()
            .find_map(|row| match row.enforcement {
                Enforcement::Pending {
                    last_error: Some(words),
                    ..
                } if row.credential == credential => Some(words),
                _ => None,
            })
    })
    .await;
    assert!(
        told.starts_with("PostgreSQL: relation \"gone\" does not exist"),
        "{told}"
    );
    let url = postgres.url_as(&secret["username"], &secret["password"]);
    assert!(
        psql(&url, "SELECT 1").is_err(),
        "it lets nobody in meanwhile"
    );

    // The database dies before what was approved is made, and with a revocation to be tried again.
    postgres.stop();
    let second = company
        .approved(&asks(&company, "reports/second", "payments-ro", 60))
        .await;
    wait_until(PATIENCE, "readiness names it", async || {
        let ready = company.admin.readiness().await.ok()?.value;
        let named = ready
            .issuers
            .iter()
            .any(|one| one.issuer == "payments" && one.detail.contains("PostgreSQL"));
        (ready.status == "degraded" && named).then_some(())
    })
    .await;
    let still = company.robot.request(second).await.unwrap().value;
    assert_eq!(
        (still.row.state, still.attempts),
        (RequestState::Approved, 0),
        "nothing is tried in vain"
    );
    postgres.start_again();
    postgres.ask("CREATE TABLE gone (name text); GRANT INSERT ON gone TO countersign");
    let (_, secret) = taken(&postgres, &company, second).await;
    let row = enforced(&company.operator, "reports/first").await;
    assert!(
        matches!(row.enforcement, Enforcement::Enforced { proven: true, .. }),
        "{row:?}"
    );
    assert_eq!(postgres.ask("SELECT count(*) FROM gone"), "1");

    // Its minute over, the login is gone, its open session with it, and the log says so.
    let url = postgres.url_as(&secret["username"], &secret["password"]);
    let mut session = PgConnection::connect(&url).await.unwrap();
    wait_until(PATIENCE * 2, "the login is gone", async || {
        (!exists(&postgres, &secret["username"])).then_some(())
    })
    .await;
    assert!(sqlx::query("SELECT 1").execute(&mut session).await.is_err());
    let detail = company.admin.request(second).await.unwrap().value;
    let held = credential_of(&company.admin, &detail).await;
    assert_eq!(held.row.state.as_str(), "expired");
}
