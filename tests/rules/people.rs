//! Clients and operators come and go; an admin always stays.

use crate::world::*;
use chrono::Duration;
use countersign::domain::{
    Actor, Client, ClientId, Command, Environment, Operator, OperatorId, RequestState,
    RevocationId, Role, TokenId, VersionState, operator::Authenticator, request::Outcome,
};
use std::collections::{BTreeMap, BTreeSet};

const NEW: OperatorId = person(50);

fn enrol(who: Actor, change: impl FnOnce(&mut Operator)) -> (Actor, Command) {
    let mut someone = operator(NEW, "nora", &[PROD], &[Role::Viewer], &[]);
    change(&mut someone);
    (who, Command::EnrolOperator(Box::new(someone)))
}

fn grant(who: OperatorId, operator: OperatorId, roles: &[(Environment, Role)]) -> (Actor, Command) {
    let mut held: BTreeMap<Environment, BTreeSet<Role>> = BTreeMap::new();
    for (environment, role) in roles {
        held.entry(*environment).or_default().insert(*role);
    }
    (
        by(who),
        Command::GrantOperator {
            operator,
            roles: held,
            groups: BTreeSet::new(),
        },
    )
}

fn close(who: OperatorId, operator: OperatorId) -> (Actor, Command) {
    (
        by(who),
        Command::OffboardOperator {
            operator,
            reason: "left".into(),
            hand_over_to: None,
        },
    )
}

fn issue(who: OperatorId, operator: OperatorId) -> (Actor, Command) {
    (
        by(who),
        Command::IssueToken {
            operator,
            token: token(900),
        },
    )
}

fn withdraw(who: OperatorId, operator: OperatorId, token: u128) -> (Actor, Command) {
    (
        by(who),
        Command::RevokeToken {
            operator,
            token: TokenId::from_bits(token),
        },
    )
}

/// A second admin of production, with a token or without.
fn second_admin(world: &mut World, signs_in: bool) {
    let (actor, command) = enrol(by(ROOT), |someone| {
        *someone = operator(NEW, "nora", Environment::ALL, &[Role::Admin], &[]);
        if !signs_in {
            someone.authenticators.clear();
        }
    });
    world.given(actor, command);
}

#[test]
fn operators() {
    table(&[
        (
            "an admin enrols",
            |_| enrol(by(ROOT), |_| {}),
            "operator.enrolled",
        ),
        (
            "the broker only the first",
            |_| enrol(BROKER, |_| {}),
            "refused separation-of-duties person-needed",
        ),
        (
            "an admin of elsewhere",
            |_| enrol(by(ADA), |_| {}),
            "refused role-required",
        ),
        (
            "somebody on call",
            |_| enrol(by(OPAL), |someone| someone.roles.clear()),
            "refused role-required",
        ),
        (
            "without a role, any admin",
            |_| enrol(by(ADA), |someone| someone.roles.clear()),
            "operator.enrolled",
        ),
        (
            "a name that is taken",
            |_| enrol(by(ROOT), |someone| someone.name = "ana".into()),
            "refused conflict an operator named ana exists",
        ),
        (
            "a requester without a client",
            |_| {
                enrol(by(ROOT), |someone| {
                    someone.roles.insert(PROD, [Role::Requester].into());
                })
            },
            "refused invalid /client",
        ),
        (
            "for a client there is not",
            |_| {
                enrol(by(ROOT), |someone| {
                    someone.client = Some(ClientId::from_bits(77))
                })
            },
            "refused invalid /client",
        ),
        (
            "a group that is no name",
            |_| {
                enrol(by(ROOT), |someone| {
                    someone.groups.insert("A B".into());
                })
            },
            "refused invalid /groups/0",
        ),
        (
            "a name of two lines",
            |_| enrol(by(ROOT), |someone| someone.display_name = "a\nb".into()),
            "refused invalid /display_name",
        ),
        (
            "nine ways to sign in",
            |_| {
                enrol(by(ROOT), |someone| {
                    someone.authenticators =
                        (60..69).map(|n| Authenticator::Token(token(n))).collect()
                })
            },
            "refused invalid /authenticators",
        ),
        (
            "a token more",
            |_| issue(ROOT, ANA),
            "operator.token_issued",
        ),
        (
            "by an admin of elsewhere",
            |_| issue(ADA, ANA),
            "refused role-required",
        ),
        (
            "for oneself, without being admin",
            |_| issue(ANA, ANA),
            "refused role-required",
        ),
        (
            "sixteen are enough",
            |w| {
                for number in 0..15 {
                    w.given(
                        by(ROOT),
                        Command::IssueToken {
                            operator: ANA,
                            token: token(800 + number),
                        },
                    );
                }
                issue(ROOT, ANA)
            },
            "refused limit-reached",
        ),
        (
            "one that is over",
            |w| {
                let mut over = token(900);
                over.expires_at = w.now;
                (
                    by(ROOT),
                    Command::IssueToken {
                        operator: ANA,
                        token: over,
                    },
                )
            },
            "refused invalid /ttl_s",
        ),
        (
            "none for a closed account",
            |w| {
                let (actor, command) = close(ROOT, ANA);
                w.given(actor, command);
                issue(ROOT, ANA)
            },
            "refused conflict the account of ana is closed",
        ),
        (
            "one's own token",
            |_| withdraw(ANA, ANA, 3),
            "operator.token_revoked",
        ),
        (
            "another's",
            |_| withdraw(BEN, ANA, 3),
            "refused role-required",
        ),
        (
            "another's, as admin",
            |_| withdraw(ROOT, ANA, 3),
            "operator.token_revoked",
        ),
        ("one there is not", |_| withdraw(ROOT, ANA, 99), "nothing"),
        (
            "the last admin's last token",
            |_| withdraw(ROOT, ROOT, 1),
            "refused separation-of-duties last-admin",
        ),
        (
            "the last admin's last but one",
            |w| {
                let (actor, command) = issue(ROOT, ROOT);
                w.given(actor, command);
                withdraw(ROOT, ROOT, 1)
            },
            "operator.token_revoked",
        ),
        (
            "where another admin can sign in",
            |w| {
                second_admin(w, true);
                withdraw(ROOT, ROOT, 1)
            },
            "operator.token_revoked",
        ),
        (
            "where another admin cannot",
            |w| {
                second_admin(w, false);
                withdraw(ROOT, ROOT, 1)
            },
            "refused separation-of-duties last-admin",
        ),
        (
            "roles are given",
            |_| grant(ROOT, DAN, &[(PROD, Role::Approver)]),
            "operator.granted",
        ),
        (
            "the same roles",
            |w| {
                let (actor, command) = grant(ROOT, DAN, &[(PROD, Role::Approver)]);
                w.given(actor.clone(), command.clone());
                (actor, command)
            },
            "nothing",
        ),
        (
            "where one is admin",
            |_| grant(ADA, DEV, &[(Environment::Development, Role::Viewer)]),
            "operator.granted",
        ),
        (
            "not elsewhere",
            |_| grant(ADA, DEV, &[(PROD, Role::Viewer)]),
            "refused role-required",
        ),
        (
            "nor to oneself",
            |_| {
                grant(
                    ADA,
                    ADA,
                    &[(PROD, Role::Admin), (Environment::Development, Role::Admin)],
                )
            },
            "refused role-required",
        ),
        (
            "the last admin of an environment stays",
            |_| {
                grant(
                    ROOT,
                    ROOT,
                    &[
                        (Environment::Development, Role::Admin),
                        (Environment::Staging, Role::Admin),
                    ],
                )
            },
            "refused separation-of-duties last-admin",
        ),
        (
            "where there is another, one may go",
            |_| {
                grant(
                    ROOT,
                    ROOT,
                    &[(PROD, Role::Admin), (Environment::Staging, Role::Admin)],
                )
            },
            "operator.granted",
        ),
        (
            "a closed account gets no role",
            |w| {
                let (actor, command) = close(ROOT, DAN);
                w.given(actor, command);
                grant(ROOT, DAN, &[(PROD, Role::Admin)])
            },
            "refused conflict the account of dan is closed",
        ),
        (
            "an account is closed",
            |_| close(ROOT, ANA),
            "operator.offboarded",
        ),
        (
            "twice is once",
            |w| {
                let (actor, command) = close(ROOT, ANA);
                w.given(actor.clone(), command.clone());
                (actor, command)
            },
            "nothing",
        ),
        (
            "the last admin's is not",
            |_| close(ROOT, ROOT),
            "refused separation-of-duties last-admin",
        ),
        (
            "by an admin of elsewhere",
            |_| close(ADA, ANA),
            "refused role-required",
        ),
        (
            "an unknown one",
            |_| close(ROOT, person(99)),
            "refused not-found",
        ),
    ]);
}

#[test]
fn the_broker_enrols_the_first_and_only_the_first() {
    let mut world = World::empty();
    let (actor, command) = enrol(BROKER, |_| {});
    world.given(actor, command);
    let (actor, command) = enrol(BROKER, |someone| someone.name = "another".into());
    assert!(
        world
            .when(actor, command)
            .starts_with("refused separation-of-duties person-needed")
    );
}

#[test]
fn a_closed_account_signs_in_nowhere_and_does_nothing() {
    let mut world = World::new();
    let digest = token(ANA.bits()).digest;
    assert_eq!(
        world.state.operator_of_token(&digest).map(|found| found.id),
        Some(ANA)
    );
    let (actor, command) = close(ROOT, ANA);
    world.given(actor, command);
    assert!(world.state.operator_of_token(&digest).is_none());
    assert!(!world.state.operators[&ANA].holds_anywhere(Role::ALL));
    let request = world.submit(OPAL, "payments/api", Outcome::Needs);
    let approve = world.approve(request);
    assert!(
        world
            .when(by(ANA), approve)
            .starts_with("refused not-found")
    );
}

#[test]
fn an_admin_whose_tokens_are_over_does_not_count() {
    let mut world = World::new();
    second_admin(&mut world, false);
    let mut soon = token(950);
    soon.expires_at = world.now + Duration::hours(1);
    world.given(
        by(ROOT),
        Command::IssueToken {
            operator: NEW,
            token: soon,
        },
    );
    world.pass(Duration::hours(1));
    let (actor, command) = close(ROOT, ROOT);
    assert!(
        world
            .when(actor, command)
            .starts_with("refused separation-of-duties last-admin")
    );
}

#[test]
fn clients() {
    fn bring(who: OperatorId, change: impl FnOnce(&mut Client)) -> (Actor, Command) {
        let mut new = client(ClientId::from_bits(60), "search", PROD);
        change(&mut new);
        (by(who), Command::OnboardClient(Box::new(new)))
    }
    fn gone(who: OperatorId, revocations: u128) -> (Actor, Command) {
        let revocations = (1..=revocations).map(RevocationId::from_bits).collect();
        (
            by(who),
            Command::OffboardClient {
                client: CHECKOUT,
                reason: "gone".into(),
                hand_over_to: None,
                revocations,
            },
        )
    }
    table(&[
        (
            "an admin brings one",
            |_| bring(ROOT, |_| {}),
            "client.onboarded",
        ),
        (
            "nobody else",
            |_| bring(OPAL, |_| {}),
            "refused role-required",
        ),
        (
            "an admin of elsewhere",
            |_| bring(ADA, |_| {}),
            "refused role-required",
        ),
        (
            "a name that is taken",
            |_| bring(ROOT, |new| new.name = "checkout".into()),
            "refused conflict a client named checkout exists",
        ),
        (
            "a name that is none",
            |_| bring(ROOT, |new| new.name = "-".into()),
            "refused invalid /name",
        ),
        (
            "one that holds nothing goes",
            |_| gone(ROOT, 0),
            "client.offboarded",
        ),
        (
            "with all that it holds",
            |w| {
                w.claimed(OPAL, "payments/a", &[]);
                w.claimed(OPAL, "payments/b", &[]);
                gone(ROOT, 2)
            },
            "client.offboarded revocation.effective revocation.effective",
        ),
        (
            "or not at all",
            |w| {
                w.claimed(OPAL, "payments/a", &[]);
                w.claimed(OPAL, "payments/b", &[]);
                gone(ROOT, 1)
            },
            "refused limit-reached",
        ),
        (
            "and all that is asked for it",
            |w| {
                w.submit(OPAL, "payments/a", Outcome::Needs);
                w.submit(OPAL, "payments/b", Outcome::Allow);
                gone(ROOT, 0)
            },
            "client.offboarded request.denied request.denied",
        ),
        (
            "twice is once",
            |w| {
                let (actor, command) = gone(ROOT, 0);
                w.given(actor.clone(), command.clone());
                (actor, command)
            },
            "nothing",
        ),
        (
            "nobody else sends it away",
            |_| gone(OPAL, 0),
            "refused role-required",
        ),
    ]);
}

#[test]
fn what_a_client_held_is_refused_from_then_on() {
    let mut world = World::new();
    let credential = world.claimed(OPAL, "payments/a", &[("lease", "1")]);
    let unclaimed = world.issued(OPAL, "payments/b", &[]);
    let waiting = world.submit(OPAL, "payments/c", Outcome::Needs);
    let revocations = (1..=2).map(RevocationId::from_bits).collect();
    world.given(
        by(ROOT),
        Command::OffboardClient {
            client: CHECKOUT,
            reason: "gone".into(),
            hand_over_to: None,
            revocations,
        },
    );
    assert_eq!(world.version_states(credential), [VersionState::Revoked]);
    assert!(world.state.credentials[&credential].revoked.is_some());
    assert_eq!(world.request_state(waiting), RequestState::Denied);
    assert!(
        world
            .when(by(OPAL), Command::Claim { request: unclaimed })
            .starts_with("refused conflict")
    );
    assert_eq!(world.state.to_enforce.len(), 1);
    assert!(world.state.awaiting.is_empty() && world.state.to_issue.is_empty());
}
