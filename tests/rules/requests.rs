//! Asking, and saying yes or no.

use crate::world::*;
use chrono::Duration;
use countersign::domain::{
    Actor, Command, Context, Environment, Kind, OperatorId, Plan, Refusal, RequestId, RequestState,
    RevocationId, RiskFactor, Role, State,
    request::Outcome,
    state::{asking::BURST, snapshot::Restoring},
};
use std::collections::{BTreeMap, BTreeSet};

const ALLOWED: &str = "request.submitted request.identified request.evaluated request.approved";
const WAITS: &str =
    "request.submitted request.identified request.evaluated request.awaiting_approval";
const DENIED: &str = "request.submitted request.identified request.evaluated request.denied";

fn ask(
    world: &mut World,
    who: OperatorId,
    outcome: Outcome,
    change: impl FnOnce(&mut Plan),
) -> (Actor, Command) {
    let mut plan = plan("payments/api");
    change(&mut plan);
    let (_, command) = world.submission(plan, evaluation(outcome, 2));
    (by(who), command)
}

fn same(_: &mut Plan) {}

/// A request that policy says is part of a burst.
fn bursting(world: &mut World, name: &str) -> RequestId {
    let mut spoken = evaluation(Outcome::Needs, 2);
    spoken.risk.factors.push(RiskFactor {
        id: BURST.into(),
        points: 15,
        reason: "21 requests".into(),
    });
    let (id, command) = world.submission(plan(name), spoken);
    world.given(by(OPAL), command);
    id
}

/// The state that its parts make again.
fn restored(world: &World) -> State {
    let mut restoring = Restoring::default();
    world.state.parts().for_each(|part| restoring.take(part));
    restoring.finish()
}

#[test]
fn what_comes_within_an_hour_of_the_one_before_is_one_run_and_a_burst_once_policy_says_so() {
    let mut world = World::new();
    let run = |world: &World, id: RequestId| world.state.requests[&id].run();
    let first = world.submit(OPAL, "payments/a", Outcome::Needs);
    let service = world.submit(SERVICE, "payments/b", Outcome::Needs);
    assert_eq!(run(&world, service), service, "another person's");
    world.pass(Duration::minutes(59));
    let second = world.submit(OPAL, "payments/c", Outcome::Allow);
    world.pass(Duration::minutes(59));
    assert!(!world.state.asking.is_burst(first));
    let third = bursting(&mut world, "payments/d");
    for id in [first, second, third] {
        assert_eq!(run(&world, id), first);
    }
    assert!(world.state.asking.is_burst(first));
    assert!(!world.state.asking.is_burst(service));
    assert_eq!(restored(&world), world.state);
    // It stays one when the request that made it one is over.
    let reason = String::new();
    let request = third;
    world.given(by(OPAL), Command::Withdraw { request, reason });
    assert!(world.state.asking.is_burst(first));
    world.pass(Duration::minutes(60));
    let later = world.submit(OPAL, "payments/e", Outcome::Needs);
    assert_eq!(run(&world, later), later, "an hour later it is another run");
    assert!(!world.state.asking.is_burst(later));
    assert_eq!(restored(&world), world.state);
}

#[test]
fn asking() {
    table(&[
        (
            "policy allows",
            |w| ask(w, OPAL, Outcome::Allow, same),
            ALLOWED,
        ),
        (
            "policy needs people",
            |w| ask(w, OPAL, Outcome::Needs, same),
            WAITS,
        ),
        (
            "policy denies",
            |w| ask(w, OPAL, Outcome::Deny, same),
            DENIED,
        ),
        (
            "a service for its client",
            |w| ask(w, SERVICE, Outcome::Allow, same),
            ALLOWED,
        ),
        (
            "a service for another",
            |w| ask(w, SERVICE, Outcome::Allow, |plan| plan.client = LEDGER),
            "refused separation-of-duties own-client",
        ),
        (
            "a requester without a client",
            |w| {
                w.given(by(ROOT), grant(DAN, PROD, &[Role::Requester]));
                ask(w, DAN, Outcome::Allow, same)
            },
            "refused separation-of-duties own-client",
        ),
        (
            "an approver may not ask",
            |w| ask(w, ANA, Outcome::Allow, same),
            "refused role-required",
        ),
        (
            "roles count where they are held",
            |w| {
                ask(w, OPAL, Outcome::Allow, |plan| {
                    plan.environment = Environment::Development;
                    plan.client = LAB;
                })
            },
            "refused role-required",
        ),
        (
            "a part of the broker is nobody",
            |w| (BROKER, ask(w, OPAL, Outcome::Allow, same).1),
            "refused separation-of-duties person-needed",
        ),
        (
            "an audience never crosses an environment",
            |w| ask(w, OPAL, Outcome::Allow, |plan| plan.client = LAB),
            "refused invalid /environment",
        ),
        (
            "an unknown client",
            |w| {
                ask(w, OPAL, Outcome::Allow, |plan| {
                    plan.client = countersign::domain::ClientId::from_bits(99)
                })
            },
            "refused invalid /client",
        ),
        (
            "a client out of service",
            |w| {
                w.given(by(ROOT), offboard(CHECKOUT));
                ask(w, OPAL, Outcome::Allow, same)
            },
            "refused invalid /client",
        ),
        (
            "an api key has scopes",
            |w| ask(w, OPAL, Outcome::Allow, |plan| plan.scopes.clear()),
            "refused invalid /scopes",
        ),
        (
            "and no role",
            |w| ask(w, OPAL, Outcome::Allow, |plan| plan.role = "db".into()),
            "refused invalid /role",
        ),
        (
            "a lease has a role",
            |w| ask(w, OPAL, Outcome::Allow, |plan| plan.kind = Kind::VaultLease),
            "refused invalid /role",
        ),
        (
            "a database login of no role",
            |w| {
                ask(w, OPAL, Outcome::Allow, |plan| {
                    plan.kind = Kind::DatabaseRole;
                    plan.role = String::new();
                })
            },
            "refused invalid /role",
        ),
        (
            "every field is named at once",
            |w| {
                ask(w, OPAL, Outcome::Allow, |plan| {
                    plan.credential = "Payments".into();
                    plan.ttl_s = 59;
                    plan.scopes = vec!["a".into(), "a".into(), "b c".into()];
                })
            },
            "refused invalid /credential /scopes/1 /scopes/2 /ttl_s",
        ),
        (
            "two years at most",
            |w| ask(w, OPAL, Outcome::Allow, |plan| plan.ttl_s = 63_072_001),
            "refused invalid /ttl_s",
        ),
        (
            "one open request a name",
            |w| {
                w.submit(OPAL, "payments/api", Outcome::Needs);
                ask(w, OPAL, Outcome::Allow, same)
            },
            "refused conflict req_",
        ),
        (
            "an issued one is open until it is claimed",
            |w| {
                w.issued(OPAL, "payments/api", &[]);
                ask(w, OPAL, Outcome::Allow, same)
            },
            "refused conflict req_",
        ),
        (
            "again, once it is claimed",
            |w| {
                w.claimed(OPAL, "payments/api", &[]);
                ask(w, OPAL, Outcome::Allow, same)
            },
            ALLOWED,
        ),
        (
            "in another order of scopes",
            |w| {
                w.claimed(OPAL, "payments/api", &[]);
                ask(w, OPAL, Outcome::Allow, |plan| {
                    plan.scopes = vec!["orders:read".into()]
                })
            },
            ALLOWED,
        ),
        (
            "not for other scopes under the same name",
            |w| {
                w.claimed(OPAL, "payments/api", &[]);
                ask(w, OPAL, Outcome::Allow, |plan| {
                    plan.scopes = vec!["orders:list".into()]
                })
            },
            "refused conflict payments/api exists in production with another set of scopes",
        ),
        (
            "not for another client under the same name",
            |w| {
                w.claimed(OPAL, "payments/api", &[]);
                ask(w, OPAL, Outcome::Allow, |plan| plan.client = LEDGER)
            },
            "refused conflict payments/api exists in production with another client",
        ),
        (
            "a name that was revoked is gone",
            |w| {
                let credential = w.claimed(OPAL, "payments/api", &[]);
                let revoke = w.revoke(credential, None);
                w.given(by(OPAL), revoke);
                ask(w, OPAL, Outcome::Allow, same)
            },
            "refused conflict payments/api is revoked for good",
        ),
        (
            "sixty-four may wait",
            |w| {
                for number in 0..64 {
                    w.submit(OPAL, &format!("many/{number}"), Outcome::Needs);
                }
                ask(w, OPAL, Outcome::Allow, same)
            },
            "refused limit-reached",
        ),
    ]);
}

fn grant(operator: OperatorId, environment: Environment, roles: &[Role]) -> Command {
    Command::GrantOperator {
        operator,
        roles: BTreeMap::from([(environment, roles.iter().copied().collect())]),
        groups: BTreeSet::from(["security".into()]),
    }
}

fn offboard(client: countersign::domain::ClientId) -> Command {
    Command::OffboardClient {
        client,
        reason: "gone".into(),
        hand_over_to: None,
        revocations: Vec::new(),
    }
}

/// `who` approves a request by Opal for which two of `security` are needed.
fn approval(world: &mut World, who: OperatorId) -> (Actor, Command) {
    let request = world.submit(OPAL, "payments/api", Outcome::Needs);
    (by(who), world.approve(request))
}

/// The same after Ana has approved.
fn second(world: &mut World, who: OperatorId) -> (Actor, Command) {
    let (ana, first) = approval(world, ANA);
    let Command::Approve { request, .. } = first else {
        unreachable!()
    };
    world.given(ana, first);
    (by(who), world.approve(request))
}

#[test]
fn approving() {
    table(&[
        ("the first of two", |w| approval(w, ANA), "approval.given"),
        (
            "the second of two",
            |w| second(w, BEN),
            "approval.given request.approved",
        ),
        (
            "the same person twice",
            |w| second(w, ANA),
            "refused separation-of-duties distinct-people",
        ),
        (
            "the requester never counts",
            |w| {
                w.given(
                    by(ROOT),
                    grant(OPAL, PROD, &[Role::Operator, Role::Approver]),
                );
                approval(w, OPAL)
            },
            "refused separation-of-duties requester-never-counts",
        ),
        (
            "robots do not decide",
            |w| approval(w, ROBO),
            "refused separation-of-duties people-only",
        ),
        (
            "nor who acts for the client",
            |w| approval(w, BENEFICIARY),
            "refused separation-of-duties beneficiary",
        ),
        (
            "the wrong group",
            |w| approval(w, CY),
            "refused separation-of-duties group",
        ),
        (
            "the wrong role",
            |w| approval(w, DAN),
            "refused role-required",
        ),
        (
            "the right role elsewhere",
            |w| approval(w, DEV),
            "refused role-required",
        ),
        (
            "an admin is no approver",
            |w| approval(w, ROOT),
            "refused role-required",
        ),
        (
            "a closed account",
            |w| {
                w.given(
                    by(ROOT),
                    Command::OffboardOperator {
                        operator: ANA,
                        reason: "left".into(),
                        hand_over_to: None,
                    },
                );
                approval(w, ANA)
            },
            "refused not-found",
        ),
        (
            "a part of the broker",
            |w| (BROKER, approval(w, ANA).1),
            "refused separation-of-duties person-needed",
        ),
        (
            "another digest than what is asked",
            |w| {
                let (actor, command) = approval(w, ANA);
                let Command::Approve {
                    request,
                    approval,
                    reason,
                    ..
                } = command
                else {
                    unreachable!()
                };
                (
                    actor,
                    Command::Approve {
                        request,
                        approval,
                        reason,
                        digest: digest(&plan("another")),
                        checked: None,
                    },
                )
            },
            "refused conflict what you saw",
        ),
        (
            "a second that replaces a lost first is not enough",
            |w| {
                let (actor, command) = second(w, BEN);
                w.given(by(ROOT), grant(ANA, PROD, &[Role::Viewer]));
                (actor, command)
            },
            "approval.given",
        ),
        (
            "at the deadline it is too late",
            |w| {
                let (actor, command) = approval(w, ANA);
                w.pass(Duration::seconds(14_400));
                (actor, command)
            },
            "refused conflict the time to decide is over",
        ),
        (
            "a moment before it is not",
            |w| {
                let (actor, command) = approval(w, ANA);
                w.pass(Duration::milliseconds(14_399_999));
                (actor, command)
            },
            "approval.given",
        ),
        (
            "a quorum that names nobody",
            |w| {
                let mut nobody = evaluation(Outcome::Needs, 1);
                nobody.quorum.as_mut().unwrap().groups.clear();
                let (request, command) = w.submission(plan("payments/api"), nobody);
                w.given(by(OPAL), command);
                (by(ANA), w.approve(request))
            },
            "refused separation-of-duties no-group",
        ),
        (
            "a quorum of none is nobody's leave",
            |w| {
                let (request, command) =
                    w.submission(plan("payments/api"), evaluation(Outcome::Needs, 0));
                w.given(by(OPAL), command);
                (by(ANA), w.approve(request))
            },
            "refused separation-of-duties no-group",
        ),
        (
            "nothing waits where policy allowed",
            |w| {
                let request = w.submit(OPAL, "payments/api", Outcome::Allow);
                (by(ANA), w.approve(request))
            },
            "refused conflict the request is approved",
        ),
        (
            "an unknown request",
            |w| {
                let (actor, command) = approval(w, ANA);
                let Command::Approve {
                    approval,
                    reason,
                    digest,
                    ..
                } = command
                else {
                    unreachable!()
                };
                (
                    actor,
                    Command::Approve {
                        request: RequestId::from_bits(5),
                        approval,
                        reason,
                        digest,
                        checked: None,
                    },
                )
            },
            "refused not-found",
        ),
    ]);
}

/// `who` denies a request by Opal.
fn denial(world: &mut World, who: OperatorId, reason: &str) -> (Actor, Command) {
    let request = world.submit(OPAL, "payments/api", Outcome::Needs);
    let digest = world.state.requests[&request].digest;
    (
        by(who),
        Command::Deny {
            request,
            digest,
            reason: reason.into(),
            revocation: RevocationId::from_bits(world.fresh()),
            checked: None,
            unsigned: true,
        },
    )
}

#[test]
fn denying_and_taking_back() {
    fn back(w: &mut World, who: OperatorId, outcome: Outcome) -> (Actor, Command) {
        let request = w.submit(OPAL, "payments/api", outcome);
        (
            by(who),
            Command::Withdraw {
                request,
                reason: String::new(),
            },
        )
    }
    table(&[
        (
            "one entitled denial ends it",
            |w| denial(w, ANA, "too broad"),
            "request.denied",
        ),
        (
            "it says why",
            |w| denial(w, ANA, "  "),
            "refused invalid /reason",
        ),
        (
            "the wrong group",
            |w| denial(w, CY, "no"),
            "refused separation-of-duties group",
        ),
        (
            "after an approval too",
            |w| {
                let (actor, command) = denial(w, BEN, "no");
                let Command::Deny { request, .. } = command else {
                    unreachable!()
                };
                let approve = w.approve(request);
                w.given(by(ANA), approve);
                (actor, command)
            },
            "request.denied",
        ),
        (
            "what was denied is not approved",
            |w| {
                let (actor, command) = denial(w, ANA, "no");
                let Command::Deny { request, .. } = command else {
                    unreachable!()
                };
                w.given(actor, command);
                (by(BEN), w.approve(request))
            },
            "refused conflict the request is denied",
        ),
        (
            "the requester takes it back",
            |w| back(w, OPAL, Outcome::Needs),
            "request.withdrawn",
        ),
        (
            "an admin does",
            |w| back(w, ROOT, Outcome::Needs),
            "request.withdrawn",
        ),
        (
            "nobody else",
            |w| back(w, ANA, Outcome::Needs),
            "refused separation-of-duties own-request",
        ),
        (
            "nor an admin of elsewhere",
            |w| back(w, ADA, Outcome::Needs),
            "refused separation-of-duties own-request",
        ),
        (
            "approved, before it is begun",
            |w| back(w, OPAL, Outcome::Allow),
            "request.withdrawn",
        ),
        (
            "twice is once",
            |w| {
                let (actor, command) = back(w, OPAL, Outcome::Needs);
                w.given(actor.clone(), command.clone());
                (actor, command)
            },
            "nothing",
        ),
        (
            "not while it is made",
            |w| {
                let (actor, command) = back(w, OPAL, Outcome::Allow);
                let Command::Withdraw { request, .. } = command else {
                    unreachable!()
                };
                let start = w.start(request);
                w.given(BROKER, start);
                (actor, command)
            },
            "refused conflict the request is issuing",
        ),
        (
            "not once it was denied",
            |w| back(w, OPAL, Outcome::Deny),
            "refused conflict the request is denied",
        ),
    ]);
}

#[test]
fn nobody_decides_in_time() {
    let mut world = World::new();
    let request = world.submit(OPAL, "payments/api", Outcome::Needs);
    world.pass(Duration::milliseconds(14_399_999));
    assert_eq!(world.sweep(), "nothing");
    world.pass(Duration::milliseconds(1));
    assert_eq!(world.sweep(), "request.expired");
    assert_eq!(world.request_state(request), RequestState::Expired);
    assert_eq!(world.sweep(), "nothing");
    let approve = world.approve(request);
    assert!(
        world
            .when(by(ANA), approve)
            .starts_with("refused conflict the request is expired")
    );
}

#[test]
fn what_was_seen_must_still_be_so() {
    let mut world = World::new();
    let request = world.submit(OPAL, "payments/api", Outcome::Needs);
    let seen = world.state.requests[&request].sequence;
    let approve = world.approve(request);
    world.given(by(ANA), approve);
    let now = world.state.sequence;
    let approve = world.approve(request);
    let stale = Context {
        if_match: Some(seen),
        ..world.context(by(BEN))
    };
    match world.try_with(&stale, &approve) {
        Err(Refusal::Stale {
            seen: was,
            current,
            changed,
            ..
        }) => {
            assert_eq!((was, current), (seen, now));
            assert_eq!(changed, [format!("#{now}")]);
        }
        other => panic!("expected a stale refusal, got {other:?}"),
    }
    let fresh = Context {
        if_match: Some(now),
        ..world.context(by(BEN))
    };
    assert_eq!(
        world.try_with(&fresh, &approve),
        Ok(vec!["approval.given", "request.approved"])
    );
}

#[test]
fn a_policy_of_any_length_is_cut_to_what_the_log_takes() {
    let mut world = World::new();
    let mut endless = evaluation(Outcome::Needs, 1);
    endless.approval_ttl_s = u64::MAX;
    endless.max_ttl_s = u64::MAX;
    let (request, command) = world.submission(plan("payments/api"), endless);
    assert_eq!(world.when(by(OPAL), command), WAITS);
    let held = &world.state.requests[&request];
    assert_eq!(held.deadline, Some(world.now + Duration::days(730)));
    assert_eq!(
        held.granted_ttl_s(),
        86_400,
        "what was asked for, within what policy allows"
    );
}
