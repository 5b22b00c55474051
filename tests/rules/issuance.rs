//! From approved to claimed: attempts, what is looked at again, the one claim, and what lapses.

use crate::world::*;
use chrono::Duration;
use countersign::domain::{
    Actor, Command, OperatorId, RequestId, RequestState, Role, VersionState, decide::may_retry,
    request::Outcome,
};
use std::collections::{BTreeMap, BTreeSet};

fn roles(operator: OperatorId, roles: &[Role]) -> Command {
    Command::GrantOperator {
        operator,
        roles: BTreeMap::from([(PROD, roles.iter().copied().collect())]),
        groups: BTreeSet::from(["security".into()]),
    }
}

/// A request that Ana and Ben have approved.
fn approved(world: &mut World) -> RequestId {
    let request = world.submit(OPAL, "payments/api", Outcome::Needs);
    for who in [ANA, BEN] {
        let approve = world.approve(request);
        world.given(by(who), approve);
    }
    request
}

/// The same, being made.
fn issuing(world: &mut World) -> RequestId {
    let request = approved(world);
    let start = world.start(request);
    world.given(BROKER, start);
    request
}

fn start(request: RequestId, attempt: u32) -> (Actor, Command) {
    (
        BROKER,
        Command::StartIssuance {
            request,
            attempt,
            locator: BTreeMap::new(),
        },
    )
}

fn fail(request: RequestId, attempt: u32, last: bool) -> (Actor, Command) {
    (
        BROKER,
        Command::RecordIssuanceFailed {
            request,
            attempt,
            reason: "away".into(),
            last,
        },
    )
}

fn failed(world: &mut World) -> RequestId {
    let request = issuing(world);
    let (actor, command) = fail(request, 1, true);
    world.given(actor, command);
    request
}

#[test]
fn making() {
    table(&[
        (
            "the first attempt",
            |w| start(approved(w), 1),
            "issuance.started",
        ),
        (
            "not the second first",
            |w| start(approved(w), 2),
            "refused conflict attempt 2 cannot begin",
        ),
        (
            "only the broker begins",
            |w| (by(ROOT), start(approved(w), 1).1),
            "refused separation-of-duties broker-only",
        ),
        (
            "not before it is approved",
            |w| start(w.submit(OPAL, "payments/api", Outcome::Needs), 1),
            "refused conflict attempt 1 cannot begin",
        ),
        (
            "not a second beside the first",
            |w| start(issuing(w), 2),
            "refused conflict attempt 2 cannot begin",
        ),
        (
            "not if an approver has lost the role",
            |w| {
                let request = approved(w);
                w.given(by(ROOT), roles(BEN, &[Role::Viewer]));
                start(request, 1)
            },
            "refused conflict attempt 1 cannot begin",
        ),
        (
            "nor if an approver has left",
            |w| {
                let request = approved(w);
                w.given(
                    by(ROOT),
                    Command::OffboardOperator {
                        operator: BEN,
                        reason: "left".into(),
                        hand_over_to: None,
                    },
                );
                start(request, 1)
            },
            "refused conflict attempt 1 cannot begin",
        ),
        (
            "nor by the role alone, once it is back: the approval stays void",
            |w| {
                let request = approved(w);
                w.given(by(ROOT), roles(BEN, &[Role::Viewer]));
                w.given(by(ROOT), roles(BEN, &[Role::Approver]));
                start(request, 1)
            },
            "refused conflict attempt 1 cannot begin",
        ),
        (
            "it is made",
            |w| {
                let request = issuing(w);
                (BROKER, w.minted(request, &[]))
            },
            "version.minted",
        ),
        (
            "not if an approver lost the role meanwhile",
            |w| {
                let request = issuing(w);
                w.given(by(ROOT), roles(BEN, &[Role::Viewer]));
                (BROKER, w.minted(request, &[]))
            },
            "refused separation-of-duties quorum",
        ),
        (
            "not if its client left meanwhile",
            |w| {
                let request = issuing(w);
                w.given(
                    by(ROOT),
                    Command::OffboardClient {
                        client: CHECKOUT,
                        reason: "gone".into(),
                        hand_over_to: None,
                        revocations: Vec::new(),
                    },
                );
                (BROKER, w.minted(request, &[]))
            },
            "refused conflict checkout was taken out of service",
        ),
        (
            "not if its name was revoked meanwhile",
            |w| {
                let credential = w.claimed(OPAL, "payments/api", &[]);
                let request = issuing(w);
                let revoke = w.revoke(credential, None);
                w.given(by(OPAL), revoke);
                (BROKER, w.minted(request, &[]))
            },
            "refused conflict payments/api is revoked for good",
        ),
        (
            "only once",
            |w| {
                let request = issuing(w);
                let minted = w.minted(request, &[]);
                w.given(BROKER, minted);
                (BROKER, w.minted(request, &[]))
            },
            "refused conflict attempt 1 is not under way: the request is issued",
        ),
        (
            "only by the broker",
            |w| {
                let request = issuing(w);
                (by(ROOT), w.minted(request, &[]))
            },
            "refused separation-of-duties broker-only",
        ),
        (
            "an attempt that is over makes nothing",
            |w| {
                let request = issuing(w);
                let late = w.minted(request, &[]);
                let (actor, command) = fail(request, 1, false);
                w.given(actor, command);
                w.given(BROKER, start(request, 2).1);
                (BROKER, late)
            },
            "refused conflict attempt 1 is not under way",
        ),
        (
            "an attempt fails",
            |w| fail(issuing(w), 1, false),
            "issuance.failed",
        ),
        (
            "the wrong attempt fails",
            |w| fail(issuing(w), 2, false),
            "refused conflict attempt 2 is not under way",
        ),
        (
            "the next has the next number",
            |w| {
                let request = issuing(w);
                w.given(BROKER, fail(request, 1, false).1);
                start(request, 2)
            },
            "issuance.started",
        ),
        (
            "after the last nothing begins by itself",
            |w| start(failed(w), 2),
            "refused conflict attempt 2 cannot begin",
        ),
        (
            "a person has it tried again",
            |w| (by(OPAL), Command::Retry { request: failed(w) }),
            "request.retried",
        ),
        (
            "who is on call, that is",
            |w| (by(ANA), Command::Retry { request: failed(w) }),
            "refused role-required",
        ),
        (
            "and only what has failed",
            |w| {
                (
                    by(OPAL),
                    Command::Retry {
                        request: w.issued(OPAL, "payments/api", &[]),
                    },
                )
            },
            "refused conflict the request is issued",
        ),
        (
            "what is tried already is not tried more",
            |w| {
                (
                    by(OPAL),
                    Command::Retry {
                        request: issuing(w),
                    },
                )
            },
            "nothing",
        ),
        (
            "not on approvals that are too old",
            |w| {
                let request = failed(w);
                w.pass(Duration::seconds(14_400));
                (by(OPAL), Command::Retry { request })
            },
            "refused conflict its approvals are too old",
        ),
        (
            "not without the people behind it",
            |w| {
                let request = failed(w);
                w.given(by(ROOT), roles(ANA, &[Role::Viewer]));
                (by(OPAL), Command::Retry { request })
            },
            "refused separation-of-duties quorum",
        ),
        (
            "what has failed can be taken back",
            |w| {
                (
                    by(OPAL),
                    Command::Withdraw {
                        request: failed(w),
                        reason: String::new(),
                    },
                )
            },
            "request.withdrawn",
        ),
    ]);
}

#[test]
fn what_failed_and_lost_its_people_says_so_with_the_way_forward() {
    let mut world = World::new();
    let request = failed(&mut world);
    assert_eq!(
        world.when(by(ROOT), roles(BEN, &[Role::Viewer])),
        "operator.granted approval.voided"
    );
    let held = &world.state.requests[&request];
    assert_eq!(held.standing().count(), 1);
    let said = may_retry(&world.state, held, world.now).expect_err("nobody stands behind it");
    assert_eq!(
        said.to_string(),
        "1 of 2 approvals still count (ben: no longer an approver in production); opal takes it back and asks again, and others decide anew"
    );
    let (reason, retry) = (String::new(), Command::Retry { request });
    assert!(world.when(by(OPAL), retry).starts_with("refused"));
    assert_eq!(
        world.when(by(OPAL), Command::Withdraw { request, reason }),
        "request.withdrawn"
    );
    let again = world.submit(OPAL, "payments/api", Outcome::Needs);
    assert_eq!(world.request_state(again), RequestState::AwaitingApproval);
}

#[test]
fn retried_it_goes_on_counting_and_is_made() {
    let mut world = World::new();
    let request = failed(&mut world);
    assert_eq!(world.request_state(request), RequestState::Failed);
    world.given(by(OPAL), Command::Retry { request });
    assert!(
        world
            .when(BROKER, start(request, 1).1)
            .starts_with("refused conflict")
    );
    world.given(BROKER, start(request, 2).1);
    let minted = world.minted(request, &[("lease", "l/2")]);
    assert_eq!(world.when(BROKER, minted), "version.minted");
    assert_eq!(
        world.when(by(OPAL), Command::Claim { request }),
        "request.claimed version.promoted"
    );
}

#[test]
fn claiming() {
    table(&[
        (
            "the requester, once",
            |w| {
                (
                    by(OPAL),
                    Command::Claim {
                        request: w.issued(OPAL, "payments/api", &[]),
                    },
                )
            },
            "request.claimed version.promoted",
        ),
        (
            "never twice",
            |w| {
                let request = w.issued(OPAL, "payments/api", &[]);
                w.given(by(OPAL), Command::Claim { request });
                (by(OPAL), Command::Claim { request })
            },
            "refused already-claimed",
        ),
        (
            "nobody else, not even an admin",
            |w| {
                (
                    by(ROOT),
                    Command::Claim {
                        request: w.issued(OPAL, "payments/api", &[]),
                    },
                )
            },
            "refused separation-of-duties own-request",
        ),
        (
            "not the broker",
            |w| {
                (
                    BROKER,
                    Command::Claim {
                        request: w.issued(OPAL, "payments/api", &[]),
                    },
                )
            },
            "refused separation-of-duties person-needed",
        ),
        (
            "not who may not ask any more",
            |w| {
                let request = w.issued(OPAL, "payments/api", &[]);
                w.given(by(ROOT), roles(OPAL, &[Role::Viewer]));
                (by(OPAL), Command::Claim { request })
            },
            "refused role-required",
        ),
        (
            "not before it is made",
            |w| {
                (
                    by(OPAL),
                    Command::Claim {
                        request: w.submit(OPAL, "payments/api", Outcome::Allow),
                    },
                )
            },
            "refused conflict the request is approved",
        ),
        (
            "not when its hour is over",
            |w| {
                let request = w.issued(OPAL, "payments/api", &[]);
                w.pass(Duration::hours(1));
                (by(OPAL), Command::Claim { request })
            },
            "refused conflict the secret is no longer valid",
        ),
        (
            "not once it was revoked",
            |w| {
                let request = w.issued(OPAL, "payments/api", &[]);
                let credential = w.state.requests[&request].issued.unwrap().0;
                let revoke = w.revoke(credential, Some(1));
                w.given(by(OPAL), revoke);
                (by(OPAL), Command::Claim { request })
            },
            "refused conflict the secret is no longer valid",
        ),
        (
            "not out of a quarantine",
            |w| {
                let request = w.issued(OPAL, "payments/api", &[]);
                let credential = w.state.requests[&request].issued.unwrap().0;
                w.given(
                    by(OPAL),
                    Command::Quarantine {
                        credential,
                        reason: "odd".into(),
                    },
                );
                (by(OPAL), Command::Claim { request })
            },
            "refused conflict payments/api is quarantined",
        ),
        (
            "the older version retires",
            |w| {
                w.claimed(OPAL, "payments/api", &[]);
                (
                    by(OPAL),
                    Command::Claim {
                        request: w.issued(OPAL, "payments/api", &[]),
                    },
                )
            },
            "request.claimed version.retiring version.promoted",
        ),
    ]);
}

#[test]
fn nobody_comes_for_it() {
    let mut world = World::new();
    let request = world.issued(OPAL, "payments/api", &[("lease", "l/1")]);
    let credential = world.state.requests[&request].issued.unwrap().0;
    world.pass(Duration::hours(1));
    assert_eq!(world.sweep(), "request.lapsed revocation.effective");
    assert_eq!(world.version_states(credential), [VersionState::Revoked]);
    assert_eq!(world.state.to_enforce.len(), 1, "the issuer is told");
    assert!(
        world
            .when(by(OPAL), Command::Claim { request })
            .starts_with("refused conflict the request is lapsed")
    );
    // The name is free for the next.
    world.claimed(OPAL, "payments/api", &[]);
    assert_eq!(
        world.version_states(credential),
        [VersionState::Revoked, VersionState::Active]
    );
}

#[test]
fn what_ends_within_its_claim_window_expires_and_is_not_revoked_as_well() {
    let mut world = World::new();
    let mut short = plan("payments/api");
    short.ttl_s = 60;
    let (request, command) = world.submission(short, evaluation(Outcome::Allow, 0));
    world.given(by(OPAL), command);
    let start = world.start(request);
    world.given(BROKER, start);
    let minted = world.minted(request, &[("lease", "l/1")]);
    world.given(BROKER, minted);
    world.pass(Duration::seconds(60));
    assert_eq!(world.sweep(), "request.lapsed version.expired");
    assert!(
        world.state.to_enforce.is_empty(),
        "the issuer ends it by itself"
    );
    assert!(world.state.due.is_empty());
}

#[test]
fn an_overlap_ends() {
    let mut world = World::new();
    let credential = world.claimed(OPAL, "payments/api", &[("lease", "l/1")]);
    world.claimed(OPAL, "payments/api", &[]);
    assert_eq!(
        world.version_states(credential),
        [VersionState::Retiring, VersionState::Active]
    );
    world.pass(Duration::milliseconds(3_599_999));
    assert_eq!(world.sweep(), "nothing");
    world.pass(Duration::milliseconds(1));
    assert!(
        !world.state.credentials[&credential].versions[0].accepted(world.now),
        "refused at its end, swept or not"
    );
    assert_eq!(world.sweep(), "version.retired revocation.effective");
    assert_eq!(
        world.version_states(credential),
        [VersionState::Retired, VersionState::Active]
    );
    assert_eq!(
        world.state.to_enforce.len(),
        1,
        "the issuer is told to end it"
    );
    world.pass(Duration::days(1));
    assert_eq!(world.sweep(), "version.expired");
}

#[test]
fn a_sweep_settles_what_it_can_and_leaves_the_rest_due() {
    let mut world = World::new();
    for number in 0..3 {
        world.issued(OPAL, &format!("many/{number}"), &[]);
    }
    world.pass(Duration::hours(1));
    let revocations = (1..=2)
        .map(countersign::domain::RevocationId::from_bits)
        .collect();
    let two = world.when(BROKER, Command::Sweep { revocations });
    assert_eq!(
        two,
        "request.lapsed revocation.effective request.lapsed revocation.effective"
    );
    assert_eq!(world.sweep(), "request.lapsed revocation.effective");
    assert!(
        world
            .when(
                by(ROOT),
                Command::Sweep {
                    revocations: Vec::new()
                }
            )
            .starts_with("refused")
    );
}
