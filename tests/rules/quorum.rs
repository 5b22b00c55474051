//! Somebody who approved may no longer decide: what that does to requests that are not made yet. That nothing stays
//! approved without its people is an invariant of the random histories.

use crate::world::*;
use chrono::Duration;
use countersign::domain::{
    Actor, Command, OperatorId, RequestId, RequestState, Role, request::Outcome,
};
use std::collections::{BTreeMap, BTreeSet};

fn grant(operator: OperatorId, roles: &[Role], groups: &[&str]) -> (Actor, Command) {
    let command = Command::GrantOperator {
        operator,
        roles: BTreeMap::from([(PROD, roles.iter().copied().collect::<BTreeSet<_>>())]),
        groups: groups.iter().map(|group| (*group).to_owned()).collect(),
    };
    (by(ROOT), command)
}

fn close(operator: OperatorId) -> (Actor, Command) {
    let command = Command::OffboardOperator {
        operator,
        reason: "left".into(),
        hand_over_to: None,
    };
    (by(ROOT), command)
}

/// One that needs two, approved by these.
fn approved_by(world: &mut World, name: &str, people: &[OperatorId]) -> RequestId {
    let request = world.submit(OPAL, name, Outcome::Needs);
    for who in people {
        let approve = world.approve(request);
        world.given(by(*who), approve);
    }
    request
}

fn approved(world: &mut World) -> RequestId {
    approved_by(world, "payments/api", &[ANA, BEN])
}

fn why(world: &World, request: RequestId) -> Vec<(String, Option<String>)> {
    let request = &world.state.requests[&request];
    let given = request.approvals.iter();
    given
        .map(|given| (given.by_name.clone(), given.void.clone()))
        .collect()
}

#[test]
fn what_follows_when_a_right_is_taken() {
    table(&[
        (
            "the role: back to the people",
            |w| {
                approved(w);
                grant(BEN, &[Role::Viewer], &["security"])
            },
            "operator.granted approval.voided request.awaiting_approval",
        ),
        (
            "the group",
            |w| {
                approved(w);
                grant(BEN, &[Role::Approver], &["platform"])
            },
            "operator.granted approval.voided request.awaiting_approval",
        ),
        (
            "the account",
            |w| {
                approved(w);
                close(BEN)
            },
            "operator.offboarded approval.voided request.awaiting_approval",
        ),
        (
            "another role is no loss",
            |w| {
                approved(w);
                grant(
                    BEN,
                    &[Role::Approver, Role::Auditor],
                    &["security", "platform"],
                )
            },
            "operator.granted",
        ),
        (
            "one who did not approve",
            |w| {
                approved(w);
                grant(CY, &[Role::Viewer], &[])
            },
            "operator.granted",
        ),
        (
            "while people still decide, it waits on with one less",
            |w| {
                approved_by(w, "payments/api", &[BEN]);
                grant(BEN, &[Role::Viewer], &[])
            },
            "operator.granted approval.voided",
        ),
        (
            "while it is made the attempt decides",
            |w| {
                let request = approved(w);
                let start = w.start(request);
                w.given(BROKER, start);
                grant(BEN, &[Role::Viewer], &[])
            },
            "operator.granted approval.voided",
        ),
        (
            "what is made is made",
            |w| {
                let request = approved(w);
                let start = w.start(request);
                w.given(BROKER, start);
                let minted = w.minted(request, &[]);
                w.given(BROKER, minted);
                grant(BEN, &[Role::Viewer], &[])
            },
            "operator.granted",
        ),
        (
            "an attempt that failed meanwhile is not repeated without the people",
            |w| {
                let request = approved(w);
                let start = w.start(request);
                w.given(BROKER, start);
                let (who, taken) = grant(BEN, &[Role::Viewer], &[]);
                w.given(who, taken);
                let failed = Command::RecordIssuanceFailed {
                    request,
                    attempt: 1,
                    reason: "away".into(),
                    last: false,
                };
                (BROKER, failed)
            },
            "issuance.failed request.awaiting_approval",
        ),
        (
            "each of several",
            |w| {
                approved(w);
                approved_by(w, "payments/other", &[BEN, ANA]);
                close(BEN)
            },
            "operator.offboarded approval.voided request.awaiting_approval approval.voided \
             request.awaiting_approval",
        ),
    ]);
}

#[test]
fn it_says_whose_and_why_and_the_people_decide_anew() {
    let mut world = World::new();
    let request = approved(&mut world);
    let (who, taken) = grant(BEN, &[Role::Approver], &["platform"]);
    world.given(who, taken);
    assert_eq!(world.request_state(request), RequestState::AwaitingApproval);
    let names: Vec<_> = why(&world, request);
    assert_eq!(names[0].1, None, "Ana's counts");
    assert_eq!(names[1].1.as_deref(), Some("no longer in security"));
    let held = &world.state.requests[&request];
    let life = i64::try_from(held.evaluation.as_ref().unwrap().approval_ttl_s).unwrap();
    assert_eq!(held.deadline, Some(world.now + Duration::seconds(life)));

    // Ana's one does not come to two by being given again; Ben's right alone does not bring his back.
    let again = world.approve(request);
    assert!(
        world
            .when(by(ANA), again)
            .starts_with("refused separation-of-duties distinct-people")
    );
    let (who, given) = grant(BEN, &[Role::Approver], &["security"]);
    world.given(who, given);
    assert_eq!(world.request_state(request), RequestState::AwaitingApproval);
    let anew = world.approve(request);
    assert_eq!(world.when(by(BEN), anew), "approval.given request.approved");
    let start = world.start(request);
    assert_eq!(world.when(BROKER, start), "issuance.started");
}

#[test]
fn without_a_new_decision_it_ends_by_itself() {
    let mut world = World::new();
    let request = approved(&mut world);
    let (who, closed) = close(BEN);
    world.given(who, closed);
    assert_eq!(
        why(&world, request)[1].1.as_deref(),
        Some("the account was closed")
    );
    world.pass(Duration::days(30));
    assert!(world.sweep().contains("request.expired"));
    assert_eq!(world.request_state(request), RequestState::Expired);
}
