//! From issued to delivered: what is logged before the secret leaves, what then goes into use, and who says where to.

use crate::world::*;
use chrono::Duration;
use countersign::domain::{
    Actor, Command, CredentialId, Destination, OperatorId, RequestId, RequestState, VersionState,
    request::Outcome,
};
use std::collections::BTreeSet;

/// A made version whose secret goes to a destination.
fn issued(world: &mut World) -> RequestId {
    let mut asked = plan("payments/api");
    asked.destination = Some(destination(0));
    let (request, submit) = world.submission(asked, evaluation(Outcome::Allow, 0));
    world.given(by(OPAL), submit);
    let start = world.start(request);
    world.given(BROKER, start);
    let minted = world.minted(request, &[]);
    world.given(BROKER, minted);
    request
}

fn begun(world: &mut World) -> RequestId {
    let request = issued(world);
    world.given(BROKER, Command::StartDelivery { request });
    request
}

fn done(request: RequestId) -> (Actor, Command) {
    let command = Command::RecordRequestDelivered {
        request,
        place: "secret/payments/0, version 1".into(),
        proven: true,
        check: String::new(),
    };
    (BROKER, command)
}

fn failed(request: RequestId, reason: &str) -> (Actor, Command) {
    let reason = reason.into();
    (BROKER, Command::RecordDeliveryFailed { request, reason })
}

fn delivered(world: &mut World) -> CredentialId {
    let request = begun(world);
    let (actor, command) = done(request);
    world.given(actor, command);
    world.state.requests[&request].issued.unwrap().0
}

fn deliver_to(
    who: OperatorId,
    credential: CredentialId,
    destination: Option<Destination>,
) -> (Actor, Command) {
    let command = Command::DeliverTo {
        credential,
        destination,
        reason: "moved".into(),
    };
    (by(who), command)
}

#[test]
fn delivering() {
    table(&[
        (
            "begun",
            |w| (BROKER, Command::StartDelivery { request: issued(w) }),
            "delivery.started",
        ),
        (
            "once",
            |w| (BROKER, Command::StartDelivery { request: begun(w) }),
            "nothing",
        ),
        (
            "only the broker begins",
            |w| (by(ROOT), Command::StartDelivery { request: issued(w) }),
            "refused separation-of-duties broker-only",
        ),
        (
            "nothing to deliver where there is no destination",
            |w| {
                let request = w.issued(OPAL, "payments/api", &[]);
                (BROKER, Command::StartDelivery { request })
            },
            "refused conflict the secret waits for its claim",
        ),
        (
            "nobody claims what is delivered",
            |w| (by(OPAL), Command::Claim { request: issued(w) }),
            "refused conflict the secret is put at vault:payments/0",
        ),
        (
            "nothing is done that was not begun",
            |w| done(issued(w)),
            "refused conflict the delivery of",
        ),
        (
            "nor fails",
            |w| failed(issued(w), "away"),
            "refused conflict the delivery of",
        ),
        (
            "done, and in use",
            |w| done(begun(w)),
            "request.delivered version.promoted",
        ),
        (
            "not twice",
            |w| {
                let request = begun(w);
                let (actor, command) = done(request);
                w.given(actor, command);
                done(request)
            },
            "refused conflict the request is delivered",
        ),
        ("failed", |w| failed(begun(w), "away"), "delivery.failed"),
        (
            "said once",
            |w| {
                let request = begun(w);
                let (actor, command) = failed(request, "away");
                w.given(actor, command);
                failed(request, "away")
            },
            "nothing",
        ),
        (
            "done after it failed",
            |w| {
                let request = begun(w);
                let (actor, command) = failed(request, "away");
                w.given(actor, command);
                done(request)
            },
            "request.delivered version.promoted",
        ),
        (
            "not what is quarantined",
            |w| {
                let request = issued(w);
                let credential = w.state.requests[&request].issued.unwrap().0;
                let reason = "odd".into();
                w.given(by(OPAL), Command::Quarantine { credential, reason });
                (BROKER, Command::StartDelivery { request })
            },
            "refused conflict payments/api is quarantined",
        ),
        (
            "what was withdrawn on its way is there, and not in use",
            |w| {
                let request = begun(w);
                let credential = w.state.requests[&request].issued.unwrap().0;
                let revoke = w.revoke(credential, Some(1));
                w.given(by(OPAL), revoke);
                done(request)
            },
            "request.delivered",
        ),
        (
            "none begins in the last part of the window",
            |w| {
                let request = issued(w);
                w.pass(Duration::minutes(55));
                (BROKER, Command::StartDelivery { request })
            },
            "refused conflict the time to deliver is over",
        ),
    ]);
}

#[test]
fn saying_where_to() {
    table(&[
        (
            "an admin",
            |w| deliver_to(ROOT, delivered(w), Some(destination(1))),
            "credential.destination_changed",
        ),
        (
            "as it is already",
            |w| deliver_to(ROOT, delivered(w), Some(destination(0))),
            "nothing",
        ),
        (
            "into hands again",
            |w| deliver_to(ROOT, delivered(w), None),
            "credential.destination_changed",
        ),
        (
            "not who is on call for others",
            |w| deliver_to(OPAL, delivered(w), None),
            "refused role-required",
        ),
        (
            "who is on call in the team that owns it",
            |w| {
                let credential = delivered(w);
                let opal = w.state.operators[&OPAL].clone();
                let grant = Command::GrantOperator {
                    operator: OPAL,
                    roles: opal.roles.clone(),
                    groups: BTreeSet::from(["payments".into()]),
                };
                w.given(by(ROOT), grant);
                deliver_to(OPAL, credential, None)
            },
            "credential.destination_changed",
        ),
        (
            "not an approver of the team",
            |w| deliver_to(CY, delivered(w), None),
            "refused role-required",
        ),
        (
            "no way out of the place",
            |w| {
                let mut to = destination(0);
                to.path = "payments/../root".into();
                deliver_to(ROOT, delivered(w), Some(to))
            },
            "refused invalid /destination/path",
        ),
        (
            "not while a request asks for it",
            |w| {
                let request = issued(w);
                let credential = w.state.requests[&request].issued.unwrap().0;
                deliver_to(ROOT, credential, None)
            },
            "refused conflict req_",
        ),
        (
            "another version goes where the first went",
            |w| {
                delivered(w);
                let asked = plan("payments/api");
                let (_, submit) = w.submission(asked, evaluation(Outcome::Allow, 0));
                (by(OPAL), submit)
            },
            "refused conflict payments/api exists in production with another destination",
        ),
    ]);
}

/// What cannot be delivered lapses as what nobody claims does; a newer version retires the older one.
#[test]
fn ends() {
    let mut world = World::new();
    let request = begun(&mut world);
    world.pass(Duration::hours(1));
    let followed = world.sweep();
    assert_eq!(followed, "request.lapsed revocation.effective");
    assert_eq!(world.request_state(request), RequestState::Lapsed);
    let revocation = world.state.revocations.values().next().unwrap();
    assert_eq!(revocation.reason, "it could not be delivered in time");

    let mut world = World::new();
    let credential = delivered(&mut world);
    let request = begun(&mut world);
    let (actor, command) = done(request);
    let followed = world.when(actor, command);
    assert_eq!(
        followed,
        "request.delivered version.retiring version.promoted"
    );
    assert_eq!(
        world.version_states(credential),
        [VersionState::Retiring, VersionState::Active]
    );
    let version = &world.state.credentials[&credential].versions[1];
    let delivery = version.delivery.as_ref().unwrap();
    assert_eq!(delivery.place, "secret/payments/0, version 1");
    assert!(delivery.proven && delivery.failure.is_none());
    assert_eq!(delivery.done_at, Some(world.now));
}
