//! Two logins that take turns.

use crate::*;

/// A server with two logins for one service, and an issuer that gives them out in turn as `app`.
fn pair() -> (Postgres, tempfile::TempDir, PostgresIssuer) {
    let postgres = database();
    postgres.ask("CREATE ROLE app_a NOLOGIN IN ROLE payments_ro; CREATE ROLE app_b NOLOGIN IN ROLE payments_ro");
    let (folder, text) = section(&postgres);
    let issuer = build(&format!(
        "{text}orphan_age_s = 0\n[role.app]\nlogins = [\"app_a\", \"app_b\"]\n"
    ));
    (postgres, folder, issuer)
}

#[tokio::test(flavor = "multi_thread")]
async fn versions_have_them_in_turn_and_the_older_works_until_it_is_ended() {
    let (postgres, _folder, issuer) = pair();
    let first = mint(&issuer, &order("app", "req_1/1", 600)).await.unwrap();
    let second = mint(&issuer, &order("app", "rot_1/1", 600)).await.unwrap();
    assert_eq!(
        (
            first.locator[locator::USERNAME].as_str(),
            second.locator[locator::USERNAME].as_str()
        ),
        ("app_a", "app_b")
    );
    for works in [&first, &second] {
        assert_eq!(
            psql(&login_url(&postgres, works), "SELECT id FROM ledger").as_deref(),
            Ok("7")
        );
    }
    // A third would take the login from under somebody.
    let said = refusal(mint(&issuer, &order("app", "rot_2/1", 600)).await);
    assert!(
        said.contains("both logins of \"app\" are in use (app_a, app_b)"),
        "{said}"
    );

    let mut session = PgConnection::connect(&login_url(&postgres, &first))
        .await
        .unwrap();
    let mut newer = PgConnection::connect(&login_url(&postgres, &second))
        .await
        .unwrap();
    assert_eq!(issuer.users(&first.locator).await, Ok(Some(1)));
    assert_eq!(issuer.revoke(&first.locator).await, PROVEN);
    assert!(sqlx::query("SELECT 1").execute(&mut session).await.is_err());
    sqlx::query("SELECT 1").execute(&mut newer).await.unwrap();
    assert!(exists(&postgres, "app_a"), "it stays for the next version");

    // The next has it with another password; what is still said of the first touches it no more.
    let third = mint(&issuer, &order("app", "rot_2/1", 600)).await.unwrap();
    assert_eq!(third.locator[locator::USERNAME], "app_a");
    assert!(psql(&login_url(&postgres, &first), "SELECT 1").is_err());
    assert_eq!(issuer.revoke(&first.locator).await, PROVEN);
    assert_eq!(
        psql(&login_url(&postgres, &third), "SELECT 1").as_deref(),
        Ok("1")
    );
    // Another credential under the same two would take turns with a stranger.
    assert_eq!(issuer.revoke(&second.locator).await, PROVEN);
    let mut stranger = order("app", "req_9/1", 600);
    stranger.credential = "orders/db".into();
    let said = refusal(mint(&issuer, &stranger).await);
    assert!(
        said.contains("\"app\" is held by payments/reports-db"),
        "{said}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn attempts_at_the_same_time_do_not_take_each_others_login() {
    let (postgres, _folder, issuer) = pair();
    let (one, other) = (order("app", "req_1/1", 600), order("app", "req_2/1", 600));
    let (first, second) = (
        issuer.prepare(&one).await.unwrap(),
        issuer.prepare(&other).await.unwrap(),
    );
    assert_eq!(
        first.locator[locator::USERNAME],
        second.locator[locator::USERNAME]
    );
    let abandoned = second.locator.clone();
    let (first, second) = tokio::join!(issuer.mint(&one, first), issuer.mint(&other, second));
    let (won, lost) = match (first, second) {
        (Ok(won), Err(lost)) | (Err(lost), Ok(won)) => (won, lost),
        both => panic!("{both:?}"),
    };
    assert!(
        lost.to_string().contains("app_a was given out meanwhile"),
        "{lost}"
    );
    // Giving up the one that lost does not end the one that won.
    if won.locator != abandoned {
        assert_eq!(issuer.revoke(&abandoned).await, PROVEN);
    }
    assert_eq!(
        psql(&login_url(&postgres, &won), "SELECT 1").as_deref(),
        Ok("1")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_nothing_explains_is_shut_and_stays() {
    let (postgres, folder, issuer) = pair();
    let known = mint(&issuer, &order("app", "req_1/1", 600)).await.unwrap();
    let lost = mint(&issuer, &order("app", "req_2/1", 600)).await.unwrap();
    drop(issuer);
    let password = folder.path().join("password");
    let restarted = build(&format!(
        "url = \"postgres://countersign@127.0.0.1:{}/postgres\"\npassword_file = \"{}\"\norphan_age_s = 0\n\
         [role.app]\nlogins = [\"app_a\", \"app_b\"]\n",
        postgres.port(),
        password.display()
    ));
    let report = restarted
        .reconcile(std::slice::from_ref(&known.locator))
        .await
        .unwrap();
    assert_eq!(
        report.others_removed,
        ["login app_b of attempt req_2/1, that nothing explains"]
    );
    assert!(exists(&postgres, "app_b") && psql(&login_url(&postgres, &lost), "SELECT 1").is_err());
    assert_eq!(
        psql(&login_url(&postgres, &known), "SELECT 1").as_deref(),
        Ok("1")
    );
    let again = restarted
        .reconcile(std::slice::from_ref(&known.locator))
        .await
        .unwrap();
    assert!(again.is_clean(), "{again:?}");
}
