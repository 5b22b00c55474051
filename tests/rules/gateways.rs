//! Gateways, and how what was revoked reaches them.

use crate::world::*;
use chrono::Duration;
use countersign::domain::{
    Actor, Command, CredentialId, Environment, GatewayId, Profile, Reach, RevocationId,
    RevocationState, Route, TokenId, revocation::Evidence,
};
use std::collections::BTreeMap;

const ASKS: GatewayId = GatewayId::from_bits(1);
const CACHES: GatewayId = GatewayId::from_bits(2);
const TOLD: GatewayId = GatewayId::from_bits(3);

fn register(world: &mut World) {
    for (id, name, profile, cache_s) in [
        (ASKS, "asks", Profile::Nginx, 0),
        (CACHES, "caches", Profile::Envoy, 5),
        (TOLD, "told", Profile::Receiver, 0),
    ] {
        let new = gateway(id, name, profile, cache_s);
        world.given(by(ROOT), Command::RegisterGateway(Box::new(new)));
    }
}

fn itself(id: GatewayId) -> Actor {
    Actor::Gateway {
        id,
        token: TokenId::from_bits(id.bits() << 64),
    }
}

fn cursor(gateway: GatewayId, cursor: u64) -> Command {
    Command::RecordCursor {
        gateway,
        cursor,
        sent: BTreeMap::new(),
    }
}

/// A company with three gateways, and a key that has just been revoked.
fn revoked() -> (World, RevocationId, CredentialId) {
    let mut world = World::new();
    register(&mut world);
    let credential = world.claimed(OPAL, "payments/api", &[]);
    let command = world.revoke(credential, None);
    let Command::Revoke { id, .. } = command else {
        unreachable!()
    };
    world.given(by(OPAL), command);
    (world, id, credential)
}

fn reach(world: &World, revocation: RevocationId, gateway: GatewayId) -> Reach {
    let held = &world.state.revocations[&revocation];
    held.reach_of(gateway).expect("it concerns it").clone()
}

#[test]
fn each_gateway_applies_as_it_learns() {
    let (mut world, id, _) = revoked();
    let began = world.now;
    let state = |world: &World| world.state.revocations[&id].state();
    assert_eq!(state(&world), RevocationState::Propagating);
    let asks = reach(&world, id, ASKS).applied.unwrap();
    assert_eq!((asks.at, asks.by), (began, Evidence::Asks));
    assert_eq!(reach(&world, id, CACHES).applied, None);
    assert_eq!(reach(&world, id, TOLD).applied, None);

    // Its bound is what it may keep, and a second.
    world.pass(Duration::seconds(5));
    assert_eq!(world.sweep(), "nothing");
    world.pass(Duration::seconds(1));
    assert_eq!(world.sweep(), "revocation.applied");
    let caches = reach(&world, id, CACHES).applied.unwrap();
    assert_eq!((caches.at, caches.by), (world.now, Evidence::CacheEnded));
    assert_eq!(world.state.revocations[&id].propagated_at(), None);

    world.pass(Duration::seconds(10));
    let since = world.state.revocations[&id].since;
    assert_eq!(world.when(itself(TOLD), cursor(TOLD, since - 1)), "nothing");
    let told = Command::RecordCursor {
        gateway: TOLD,
        cursor: since,
        sent: BTreeMap::from([
            (since - 1, began - Duration::seconds(9)),
            (since + 1, began + Duration::seconds(2)),
        ]),
    };
    assert_eq!(world.when(itself(TOLD), told), "revocation.applied");
    let told = reach(&world, id, TOLD);
    assert_eq!(told.sent_at, Some(began + Duration::seconds(2)));
    assert_eq!(told.applied.unwrap().by, Evidence::Acknowledged);
    assert_eq!(state(&world), RevocationState::Propagated);
    assert_eq!(
        world.state.revocations[&id].propagated_at(),
        Some(world.now)
    );
    let last = world.state.sequence;
    assert_eq!(world.when(itself(TOLD), cursor(TOLD, last)), "nothing");
}

#[test]
fn a_refusal_proves_only_where_no_older_answer_can_be_left() {
    let (mut world, id, _) = revoked();
    let proven = |gateway| Command::RecordProven {
        gateway,
        revocation: id,
    };
    assert_eq!(world.when(BROKER, proven(ASKS)), "revocation.proven");
    assert_eq!(world.when(BROKER, proven(ASKS)), "nothing");
    assert_eq!(world.when(BROKER, proven(CACHES)), "nothing");
    world.pass(Duration::seconds(6));
    assert_eq!(world.sweep(), "revocation.applied");
    assert_eq!(world.when(BROKER, proven(CACHES)), "revocation.proven");
    assert_eq!(reach(&world, id, CACHES).proven_at, Some(world.now));
}

#[test]
fn an_outage_is_caught_up_in_order() {
    let (mut world, first, _) = revoked();
    let mut ids = vec![first];
    for number in 0..3 {
        let credential = world.claimed(OPAL, &format!("payments/{number}"), &[]);
        let command = world.revoke(credential, None);
        if let Command::Revoke { id, .. } = &command {
            ids.push(*id);
        }
        world.given(by(OPAL), command);
    }
    let waiting: Vec<_> = world.state.unapplied_by(TOLD).map(|(_, id)| id).collect();
    assert_eq!(waiting, ids, "in the order in which they took effect");
    let middle = world.state.revocations[&ids[1]].since;
    assert_eq!(
        world.when(itself(TOLD), cursor(TOLD, middle)),
        "revocation.applied revocation.applied"
    );
    let last = world.state.sequence;
    assert_eq!(
        world.when(itself(TOLD), cursor(TOLD, last)),
        "revocation.applied revocation.applied"
    );
}

#[test]
fn only_gateways_that_accepted_it_are_waited_for() {
    let mut world = World::new();
    register(&mut world);
    let mut lab = gateway(GatewayId::from_bits(7), "lab", Profile::Receiver, 0);
    lab.environment = Environment::Development;
    world.given(by(ROOT), Command::RegisterGateway(Box::new(lab)));
    let mut other = gateway(GatewayId::from_bits(8), "other", Profile::Receiver, 0);
    other.audiences = vec!["billing".into()];
    world.given(by(ROOT), Command::RegisterGateway(Box::new(other)));
    let credential = world.claimed(OPAL, "payments/api", &[]);
    let command = world.revoke(credential, None);
    world.given(by(OPAL), command);
    let held = world.state.revocations.values().next().unwrap().clone();
    let gateways: Vec<_> = held.reach.iter().map(|reach| reach.gateway).collect();
    assert_eq!(gateways, [ASKS, CACHES, TOLD]);
    // One that comes later never knew it.
    let late = gateway(GatewayId::from_bits(9), "late", Profile::Receiver, 0);
    world.given(by(ROOT), Command::RegisterGateway(Box::new(late)));
    assert_eq!(world.state.unapplied_by(GatewayId::from_bits(9)).count(), 0);
}

#[test]
fn nothing_waits_for_a_gateway_that_is_gone() {
    let (mut world, id, _) = revoked();
    world.pass(Duration::seconds(6));
    world.sweep();
    let caught_up = world.now;
    world.pass(Duration::hours(1));
    let remove = Command::RemoveGateway {
        gateway: TOLD,
        reason: "retired".into(),
    };
    assert_eq!(world.when(by(ROOT), remove), "gateway.removed");
    let told = reach(&world, id, TOLD).applied.unwrap();
    assert_eq!(told.by, Evidence::Removed);
    let held = &world.state.revocations[&id];
    assert_eq!(held.state(), RevocationState::Propagated);
    assert_eq!(
        held.propagated_at(),
        Some(caught_up),
        "what is gone has applied nothing"
    );
}

#[test]
fn who_may_do_what() {
    table(&[
        (
            "an admin registers",
            |_| {
                let new = gateway(ASKS, "edge", Profile::Nginx, 0);
                (by(ROOT), Command::RegisterGateway(Box::new(new)))
            },
            "gateway.registered",
        ),
        (
            "nobody else does",
            |_| {
                let new = gateway(ASKS, "edge", Profile::Nginx, 0);
                (by(OPAL), Command::RegisterGateway(Box::new(new)))
            },
            "refused role-required",
        ),
        (
            "an admin of another environment does not",
            |_| {
                let new = gateway(ASKS, "edge", Profile::Nginx, 0);
                (by(ADA), Command::RegisterGateway(Box::new(new)))
            },
            "refused role-required",
        ),
        (
            "a name is taken once",
            |world| {
                register(world);
                let new = gateway(GatewayId::from_bits(9), "asks", Profile::Nginx, 0);
                (by(ROOT), Command::RegisterGateway(Box::new(new)))
            },
            "refused conflict a gateway named asks is in service",
        ),
        (
            "a name is free again once its gateway is gone",
            |world| {
                register(world);
                let gateway_gone = Command::RemoveGateway {
                    gateway: ASKS,
                    reason: "old".into(),
                };
                world.given(by(ROOT), gateway_gone);
                let new = gateway(GatewayId::from_bits(9), "asks", Profile::Nginx, 0);
                (by(ROOT), Command::RegisterGateway(Box::new(new)))
            },
            "gateway.registered",
        ),
        (
            "what cannot be is refused, all of it",
            |_| {
                let mut new = gateway(ASKS, "edge/1", Profile::Receiver, 9_000);
                new.objective_s = 0;
                new.routes = vec![Route {
                    prefix: "orders;x".into(),
                    methods: vec!["get".into()],
                    scope: String::new(),
                }];
                (by(ROOT), Command::RegisterGateway(Box::new(new)))
            },
            "refused invalid /name /objective_s /cache_s /cache_s /routes/0/prefix /routes/0/methods /routes/0/scope",
        ),
        (
            "an objective that its cache cannot meet",
            |_| {
                let new = gateway(ASKS, "edge", Profile::Nginx, 60);
                (by(ROOT), Command::RegisterGateway(Box::new(new)))
            },
            "refused invalid /objective_s",
        ),
        (
            "only the gateway moves its cursor",
            |world| {
                register(world);
                (itself(ASKS), cursor(TOLD, 1))
            },
            "refused separation-of-duties gateway-only",
        ),
        (
            "not even an admin does",
            |world| {
                register(world);
                (by(ROOT), cursor(TOLD, 1))
            },
            "refused separation-of-duties gateway-only",
        ),
        (
            "a cursor from the future",
            |world| {
                register(world);
                (itself(TOLD), cursor(TOLD, world.state.sequence + 1))
            },
            "refused invalid /cursor",
        ),
        (
            "a gateway that nobody knows",
            |_| (itself(TOLD), cursor(TOLD, 1)),
            "refused not-found no gateway",
        ),
        (
            "a gateway that is gone",
            |world| {
                register(world);
                let remove = Command::RemoveGateway {
                    gateway: TOLD,
                    reason: "old".into(),
                };
                world.given(by(ROOT), remove);
                (itself(TOLD), cursor(TOLD, 1))
            },
            "refused conflict told is out of service",
        ),
        (
            "only the broker sees a refusal",
            |world| {
                register(world);
                let command = Command::RecordProven {
                    gateway: ASKS,
                    revocation: RevocationId::from_bits(1),
                };
                (itself(ASKS), command)
            },
            "refused separation-of-duties broker-only",
        ),
        (
            "a fifth token",
            |world| {
                register(world);
                for number in 0..3 {
                    let command = Command::IssueGatewayToken {
                        gateway: ASKS,
                        token: token(900 + number),
                    };
                    world.given(by(ROOT), command);
                }
                let command = Command::IssueGatewayToken {
                    gateway: ASKS,
                    token: token(990),
                };
                (by(ROOT), command)
            },
            "refused limit-reached asks holds 4 tokens",
        ),
    ]);
}
