//! Who leaves takes nothing along: what they held is withdrawn or handed over, once.

use crate::world::*;
use countersign::domain::{
    Actor, Command, CredentialId, OperatorId, RequestState, RevocationId, VersionState,
    decide::left_alone, request::Outcome,
};

fn close(who: OperatorId, hand_over_to: Option<&str>) -> (Actor, Command) {
    let command = Command::OffboardOperator {
        operator: who,
        reason: "left".into(),
        hand_over_to: hand_over_to.map(str::to_owned),
    };
    (by(ROOT), command)
}

fn gone(hand_over_to: Option<&str>) -> (Actor, Command) {
    let command = Command::OffboardClient {
        client: CHECKOUT,
        reason: "replaced".into(),
        hand_over_to: hand_over_to.map(str::to_owned),
        revocations: (1..=8).map(RevocationId::from_bits).collect(),
    };
    (by(ROOT), command)
}

fn owner(world: &World, credential: CredentialId) -> String {
    world.state.credentials[&credential].owner.to_string()
}

#[test]
fn a_person_leaves() {
    table(&[
        (
            "who holds nothing",
            |_| close(DAN, None),
            "operator.offboarded",
        ),
        (
            "their open requests are withdrawn",
            |w| {
                w.submit(OPAL, "payments/a", Outcome::Needs);
                w.submit(OPAL, "payments/b", Outcome::Allow);
                w.submit(SERVICE, "payments/c", Outcome::Needs);
                close(OPAL, None)
            },
            "operator.offboarded request.withdrawn request.withdrawn",
        ),
        (
            "not what was made already",
            |w| {
                w.claimed(OPAL, "payments/a", &[]);
                close(OPAL, None)
            },
            "operator.offboarded",
        ),
        (
            "their approvals no longer count",
            |w| {
                let request = w.submit(OPAL, "payments/a", Outcome::Needs);
                let approve = w.approve(request);
                w.given(by(ANA), approve);
                close(ANA, None)
            },
            "operator.offboarded approval.voided",
        ),
        (
            "what nobody else stands for goes over",
            |w| {
                w.claimed(OPAL, "payments/a", &[]);
                w.claimed(OPAL, "payments/b", &[]);
                close(CY, Some("treasury"))
            },
            "operator.offboarded credential.owner_changed credential.owner_changed",
        ),
        (
            "and stays, if nobody is named",
            |w| {
                w.claimed(OPAL, "payments/a", &[]);
                close(CY, None)
            },
            "operator.offboarded",
        ),
        (
            "not what others of the team still stand for",
            |w| {
                w.claimed(OPAL, "payments/a", &[]);
                let other = operator(person(60), "pat", &[], &[], &["payments"]);
                w.given(by(ROOT), Command::EnrolOperator(Box::new(other)));
                close(CY, Some("treasury"))
            },
            "operator.offboarded",
        ),
        (
            "to a team that is none",
            |_| close(CY, Some("Trea sury")),
            "refused invalid /hand_over_to",
        ),
        (
            "twice is once",
            |w| {
                w.submit(OPAL, "payments/a", Outcome::Needs);
                let (actor, command) = close(OPAL, Some("treasury"));
                w.given(actor.clone(), command.clone());
                (actor, command)
            },
            "nothing",
        ),
        (
            "what was left can be handed over later",
            |w| {
                w.claimed(OPAL, "payments/a", &[]);
                let (actor, command) = close(CY, None);
                w.given(actor, command);
                close(CY, Some("treasury"))
            },
            "credential.owner_changed",
        ),
    ]);
}

#[test]
fn a_client_leaves_and_its_credentials_stay_with_another_team() {
    let mut world = World::new();
    let kept = world.claimed(OPAL, "payments/a", &[]);
    let over = world.claimed(OPAL, "payments/b", &[]);
    let revoke = world.revoke(over, None);
    world.given(by(OPAL), revoke);
    let waiting = world.submit(OPAL, "payments/c", Outcome::Needs);
    let (actor, command) = gone(Some("treasury"));
    assert_eq!(
        world.when(actor.clone(), command.clone()),
        "client.offboarded request.denied client.owner_changed credential.owner_changed"
    );
    assert_eq!(world.state.clients[&CHECKOUT].owner, "treasury");
    assert_eq!(owner(&world, kept), "treasury");
    assert_eq!(
        owner(&world, over),
        "payments",
        "what has ended is not moved"
    );
    assert_eq!(world.version_states(kept), [VersionState::Active]);
    assert_eq!(world.request_state(waiting), RequestState::Denied);
    assert_eq!(world.when(actor, command), "nothing");
    // Nor is it revoked by a repetition that names nobody: it is somebody else's now.
    let (actor, command) = gone(None);
    assert_eq!(world.when(actor, command), "nothing");
    assert_eq!(world.version_states(kept), [VersionState::Active]);
}

#[test]
fn nobody_stands_for_what_only_robots_and_closed_accounts_are_left_for() {
    let mut world = World::new();
    let alone = |world: &World| left_alone(&world.state, &world.state.operators[&CY]);
    assert!(alone(&world).iter().eq(["cy", "payments"]));
    let mut robot = operator(person(60), "cron", &[], &[], &["payments"]);
    robot.robot = true;
    world.given(by(ROOT), Command::EnrolOperator(Box::new(robot)));
    assert!(alone(&world).iter().eq(["cy", "payments"]));
    let other = operator(person(61), "pat", &[], &[], &["payments"]);
    world.given(by(ROOT), Command::EnrolOperator(Box::new(other)));
    assert!(alone(&world).iter().eq(["cy"]));
    let (actor, command) = close(person(61), None);
    world.given(actor, command);
    assert!(alone(&world).iter().eq(["cy", "payments"]));
}
