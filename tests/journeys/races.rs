//! Sixty-four at once: one succeeds, the others are refused in so many words, and nobody gets a 5xx.

use crate::support::company::{approve, credential_of, reaches};
use crate::support::{BrokerProcess, Company, Servers, vault_config};
use countersign::client::{ClientError, Once, Outcome};
use countersign::issuers::locator;
use countersign::wire::{Claimed, Problem, RequestState, StepUp};
use std::future::Future;
use std::sync::Arc;
use tokio::sync::Barrier;

const AT_ONCE: usize = 64;

/// Sends all at the same moment.
async fn at_once<T, F>(calls: Vec<F>) -> Vec<Outcome<T>>
where
    T: Send + 'static,
    F: Future<Output = Outcome<T>> + Send + 'static,
{
    let barrier = Arc::new(Barrier::new(calls.len()));
    let tasks: Vec<_> = calls
        .into_iter()
        .map(|call| {
            let barrier = Arc::clone(&barrier);
            tokio::spawn(async move {
                barrier.wait().await;
                call.await
            })
        })
        .collect();
    let mut outcomes = Vec::new();
    for task in tasks {
        outcomes.push(task.await.unwrap());
    }
    outcomes
}

/// Those that succeeded, and the problems of those that were refused; anything else fails the test.
fn sort_out<T: std::fmt::Debug>(outcomes: Vec<Outcome<T>>) -> (Vec<T>, Vec<Problem>) {
    let (mut done, mut refused) = (Vec::new(), Vec::new());
    for outcome in outcomes {
        match outcome {
            Outcome::Sent(answer) => done.push(answer.value),
            Outcome::Refused(ClientError::Problem(problem)) => {
                refused.push(*problem);
            }
            other => panic!("{other:?}"),
        }
    }
    (done, refused)
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_sixty_four_final_approvals_and_one_of_sixty_four_claims() {
    let servers = Servers::start().await;
    let broker = BrokerProcess::start(&vault_config(&servers, "").await);
    // The first approval is given; each of the others could be the last.
    let company = Company::found(&broker, AT_ONCE + 1).await;
    let id = company
        .asked(&company.login("reports/race", "app-ro"))
        .await;
    let receipt = approve(&company.approvers[0], id).await;
    assert_eq!(receipt.state, "awaiting_approval");

    // Everybody has looked and signed before anybody sends.
    let mut finals = Vec::new();
    for person in &company.approvers[1..] {
        let seen = person.client.request(id).await.unwrap().value;
        assert_eq!(seen.step_up, StepUp::SshSignature);
        let body = person.approval(&seen, "at the same moment").await;
        let client = person.client.clone();
        finals.push(async move { client.approve(id, &body, &Once::new()).await });
    }
    let (approved, refused) = sort_out(at_once(finals).await);
    assert_eq!((approved.len(), refused.len()), (1, AT_ONCE - 1));
    for problem in &refused {
        assert_eq!(
            (problem.status, problem.detail.contains("nothing to decide")),
            (409, true),
            "{problem:?}"
        );
    }
    let detail = reaches(&company.robot, id, RequestState::Issued).await;
    assert_eq!((detail.approvals.len(), detail.attempts), (2, 1));
    let credential = credential_of(&company.admin, &detail).await;
    assert_eq!(credential.versions.len(), 1, "made once");

    // Half of the claims are repetitions of one another, half are rivals.
    let same = Once::new();
    let claims = (0..AT_ONCE).map(|number| {
        let once = if number % 2 == 0 {
            same.clone()
        } else {
            Once::new()
        };
        let robot = company.robot.clone();
        async move { robot.claim(id, &once).await }
    });
    let (claimed, refused) = sort_out(at_once(claims.collect()).await);
    let with_secret: Vec<&Claimed> = claimed
        .iter()
        .filter(|one| !one.secret.is_empty())
        .collect();
    assert_eq!(with_secret.len(), 1, "the secret left once");
    assert!(
        claimed.len() == 1 || claimed.len() == AT_ONCE / 2,
        "only repetitions of the winner succeed beside it: {}",
        claimed.len()
    );
    assert!(
        claimed
            .iter()
            .all(|one| one.secret.is_empty() == one.secret_already_delivered)
    );
    for problem in &refused {
        assert_eq!(
            (problem.status, problem.slug() == "already-claimed"),
            (409, true),
            "{problem:?}"
        );
    }
    let username = &credential.versions[0].locator[locator::USERNAME];
    assert_eq!(with_secret[0].secret["username"], *username);

    // Sixty-four rivals and no repetitions, for the plain count.
    let id = company
        .approved(&company.login("reports/race-2", "app-ro"))
        .await;
    reaches(&company.robot, id, RequestState::Issued).await;
    let rivals = (0..AT_ONCE).map(|_| {
        let robot = company.robot.clone();
        async move { robot.claim(id, &Once::new()).await }
    });
    let (claimed, refused) = sort_out(at_once(rivals.collect()).await);
    assert_eq!((claimed.len(), refused.len()), (1, AT_ONCE - 1));
    assert_eq!(claimed[0].secret.len(), 2);

    // And one database role a request, whoever raced.
    let roles = "SELECT count(*) FROM pg_roles WHERE rolname LIKE 'v-token-cs-%'";
    assert_eq!(servers.postgres.ask(roles), "2");
}
