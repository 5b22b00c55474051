//! Rotation: how it goes when all goes well, what follows when something does not, and what is refused.

use crate::world::*;
use chrono::{DateTime, Duration, Utc};
use countersign::{
    domain::{
        Actor, Client, ClientId, Command, CredentialId, Environment, MintedVersion, Rotation,
        RotationCause, RotationId, RotationState, Setback, VersionState, request::Outcome,
        rotation::Retry,
    },
    secret::digest_of_bytes,
};
use std::{collections::BTreeMap, sync::Arc};

/// A credential that was adopted and has the whole table of rotation: an end in 30 days, a cadence of ten.
pub fn keyed(world: &mut World, name: &str) -> CredentialId {
    if world.state.rotations.rules().is_none() {
        let rules = Box::new(rotation_rules(1));
        world.given(BROKER, Command::SetRotationRules(rules));
    }
    let held = adopted(world, name);
    let id = held.id;
    world.given(by(ROOT), Command::Adopt(Box::new(held)));
    id
}

fn rotate(world: &mut World, credential: CredentialId) -> Command {
    Command::Rotate {
        id: RotationId::from_bits(world.fresh()),
        credential,
        cause: RotationCause::Operator,
        reason: "because".into(),
    }
}

pub fn of(world: &World, credential: CredentialId) -> Arc<Rotation> {
    let running = world.state.rotations.of(credential);
    let last = (world.state.rotations.ended()).find(|ended| ended.credential == credential);
    Arc::clone(running.or(last).expect("a rotation"))
}

pub fn revocation(world: &mut World) -> countersign::domain::RevocationId {
    countersign::domain::RevocationId::from_bits(world.fresh())
}

impl World {
    fn begun(&mut self, credential: CredentialId) -> RotationId {
        let command = rotate(self, credential);
        self.given(by(OPAL), command);
        of(self, credential).id
    }

    fn start_minting(&mut self, rotation: RotationId) -> Command {
        Command::StartMinting {
            rotation,
            attempt: self.state.rotations.all[&rotation].attempts + 1,
            locator: BTreeMap::new(),
        }
    }

    fn rotation_minted(&mut self, rotation: RotationId, locator: &[(&str, &str)]) -> Command {
        let fresh = self.fresh();
        Command::RecordRotationMinted {
            rotation,
            attempt: self.state.rotations.all[&rotation].attempts,
            minted: Box::new(MintedVersion {
                digest: Some(digest_of_bytes(&fresh.to_be_bytes())),
                locator: pairs(locator),
                expires_at: None,
                warnings: Vec::new(),
            }),
        }
    }

    fn warm(&mut self, credential: CredentialId) -> RotationId {
        let rotation = self.begun(credential);
        let start = self.start_minting(rotation);
        self.given(BROKER, start);
        let minted = self.rotation_minted(rotation, &[]);
        self.given(BROKER, minted);
        rotation
    }

    fn checked(&mut self, credential: CredentialId) -> RotationId {
        let rotation = self.warm(credential);
        let by = String::from("keys");
        self.given(BROKER, Command::StartCheck { rotation, by });
        let seen = String::from("accepted");
        self.given(BROKER, Command::RecordChecked { rotation, seen });
        rotation
    }

    pub fn overlapping(&mut self, credential: CredentialId) -> RotationId {
        let rotation = self.checked(credential);
        let to = String::from("kv/payments");
        self.given(BROKER, Command::RecordDelivered { rotation, to });
        rotation
    }
}

#[test]
fn a_version_takes_the_place_of_another_and_nobody_is_refused() {
    use VersionState::*;
    let mut world = World::new();
    let credential = keyed(&mut world, "payments/api");
    let command = rotate(&mut world, credential);
    assert_eq!(world.when(by(OPAL), command), "rotation.started");
    let rotation = of(&world, credential).id;
    let step = world.start_minting(rotation);
    assert_eq!(world.when(BROKER, step), "rotation.minting");
    let step = world.rotation_minted(rotation, &[("lease", "1")]);
    assert_eq!(world.when(BROKER, step), "rotation.minted");
    assert_eq!(world.version_states(credential), [Active, Warm]);
    let minted = &world.state.credentials[&credential].versions[1];
    let life = minted.expires_at.unwrap() - minted.created_at;
    assert_eq!(
        life,
        Duration::days(30),
        "as long as the older one was to live"
    );
    let by = String::from("keys");
    let step = Command::StartCheck { rotation, by };
    assert_eq!(world.when(BROKER, step), "rotation.checking");
    let step = Command::ClaimRotated { rotation };
    let too_early = world.when(crate::world::by(SERVICE), step.clone());
    assert!(
        too_early.contains("once it has passed its check"),
        "{too_early}"
    );
    let seen = String::from("accepted");
    let checked = Command::RecordChecked { rotation, seen };
    assert_eq!(world.when(BROKER, checked), "rotation.checked");
    assert!(
        world.state.rotations.to_do.is_empty(),
        "it waits for its taker"
    );
    assert_eq!(
        world.when(crate::world::by(SERVICE), step),
        "rotation.handed_over version.retiring version.promoted rotation.promoted"
    );
    assert_eq!(world.version_states(credential), [Retiring, Active]);
    let held = of(&world, credential);
    assert_eq!(held.state, RotationState::Overlapping);
    assert_eq!(held.overlap_until, Some(world.now + Duration::days(1)));

    // Used an hour ago: the overlap goes on. Not for two hours: it is over.
    let overlap = |used: Option<DateTime<Utc>>, revocation| Command::EndOverlap {
        rotation,
        last_used_at: used,
        revocation,
    };
    world.pass(Duration::hours(3));
    let id = revocation(&mut world);
    let used = world.now - Duration::hours(1);
    let refused = world.when(BROKER, overlap(Some(used), id));
    assert!(refused.contains("was used 3600 s ago"), "{refused}");
    assert_eq!(
        world.when(BROKER, overlap(None, id)),
        "version.retired rotation.completed"
    );
    assert_eq!(world.version_states(credential), [Retired, Active]);
    let totals = &world.state.rotations.totals;
    assert_eq!(
        (totals.started, totals.promoted, totals.completed),
        (1, 1, 1)
    );
}

#[test]
fn the_hard_stop_ends_an_overlap_that_somebody_still_uses() {
    let mut world = World::new();
    let credential = keyed(&mut world, "payments/api");
    world.overlapping(credential);
    world.pass(Duration::days(1));
    assert_eq!(world.sweep(), "version.retired rotation.completed");
    let command = Command::RollBack {
        credential,
        reason: "it was better before".into(),
        revocation: revocation(&mut world),
    };
    let refused = world.when(by(OPAL), command);
    assert!(
        refused.contains("version 1 is accepted no more since"),
        "{refused}"
    );
    assert!(refused.contains("rotate again instead"), "{refused}");
}

#[test]
fn what_goes_wrong_leaves_the_older_version_in_use() {
    use VersionState::*;
    type Wrong = fn(&mut World, CredentialId) -> (Actor, Command);
    let rows: [(&str, Wrong, &str, RotationState, Setback); 4] = [
        (
            "the last attempt failed",
            |world, credential| {
                let rotation = world.begun(credential);
                let start = world.start_minting(rotation);
                world.given(BROKER, start);
                let revocation = revocation(world);
                let reason = String::from("503");
                (
                    BROKER,
                    Command::RecordMintingFailed {
                        rotation,
                        attempt: 1,
                        reason,
                        last: true,
                        revocation,
                    },
                )
            },
            "rotation.failed",
            RotationState::Failed,
            Setback::Issuer,
        ),
        (
            "the check failed",
            |world, credential| {
                let rotation = world.warm(credential);
                let by = String::from("keys");
                world.given(BROKER, Command::StartCheck { rotation, by });
                let revocation = revocation(world);
                (
                    BROKER,
                    Command::RecordCheckFailed {
                        rotation,
                        reason: "403".into(),
                        revocation,
                    },
                )
            },
            "version.discarded rotation.rolled_back",
            RotationState::RolledBack,
            Setback::Check,
        ),
        (
            "it failed once it was in use",
            |world, credential| {
                let rotation = world.overlapping(credential);
                let revocation = revocation(world);
                (
                    BROKER,
                    Command::RecordCheckFailed {
                        rotation,
                        reason: "403".into(),
                        revocation,
                    },
                )
            },
            "version.discarded version.promoted rotation.rolled_back",
            RotationState::RolledBack,
            Setback::Check,
        ),
        (
            "a person wants it back",
            |world, credential| {
                world.overlapping(credential);
                let revocation = revocation(world);
                (
                    by(OPAL),
                    Command::RollBack {
                        credential,
                        reason: "slow".into(),
                        revocation,
                    },
                )
            },
            "version.discarded version.promoted rotation.rolled_back",
            RotationState::RolledBack,
            Setback::Operator,
        ),
    ];
    for (what, wrong, then, state, setback) in rows {
        let mut world = World::new();
        let credential = keyed(&mut world, "payments/api");
        let (actor, command) = wrong(&mut world, credential);
        assert_eq!(world.when(actor, command), then, "{what}");
        let held = of(&world, credential);
        assert_eq!((held.state, held.setback), (state, Some(setback)), "{what}");
        let versions = &world.state.credentials[&credential].versions;
        assert_eq!(versions[0].state, Active, "{what}");
        assert_eq!(versions[0].retires_at, None, "{what}");
        assert!(
            versions.get(1).is_none_or(|newer| newer.state == Discarded),
            "{what}"
        );
        // Not again at once.
        let due: Vec<_> = world.state.rotations.due.iter().copied().collect();
        assert_eq!(due.len(), 1, "{what}");
        assert!(due[0].0 > world.now + Duration::minutes(59), "{what}");
    }
}

#[test]
fn each_failure_in_a_row_waits_twice_as_long() {
    let mut world = World::new();
    let credential = keyed(&mut world, "payments/api");
    for hours in [1, 2, 4, 8, 16, 24, 24] {
        let rotation = world.begun(credential);
        let start = world.start_minting(rotation);
        world.given(BROKER, start);
        let failed = Command::RecordMintingFailed {
            rotation,
            attempt: 1,
            reason: "503".into(),
            last: true,
            revocation: revocation(&mut world),
        };
        world.given(BROKER, failed);
        let at = world.now + Duration::hours(hours);
        assert_eq!(
            world
                .state
                .rotations
                .retry(credential)
                .map(|Retry { at, .. }| *at),
            Some(at)
        );
    }
    world.overlapping(credential);
    assert_eq!(world.state.rotations.retry(credential), None);
}

#[test]
fn the_fallback_window_comes_once_and_says_so() {
    let mut world = World::new();
    let credential = keyed(&mut world, "payments/api");
    world.pass(Duration::days(29));
    world.checked(credential);
    let end = world.state.credentials[&credential].versions[0]
        .expires_at
        .unwrap();
    // A minute before the end: nobody has taken the newer secret.
    world.now = end - Duration::minutes(1);
    assert_eq!(world.sweep(), "rotation.extended");
    let held = of(&world, credential);
    let until = world.now + Duration::days(2);
    assert_eq!(held.extended_until, Some(until));
    assert_eq!(
        world.state.credentials[&credential].versions[0].expires_at,
        Some(until)
    );
    let last: serde_json::Value = serde_json::from_slice(world.log.last().unwrap()).unwrap();
    assert_eq!(last["data"]["owner"], "payments", "whom to tell");
    // Once: then the newer one is in use although nobody has it yet, and can still be taken.
    world.now = until - Duration::seconds(1);
    assert_eq!(world.sweep(), "nothing");
    world.now = until;
    let followed = world.sweep();
    assert!(followed.contains("version.promoted"), "{followed}");
    assert!(!followed.contains("rotation.extended"), "{followed}");
    let rotation = of(&world, credential).id;
    assert_eq!(
        world.when(by(SERVICE), Command::ClaimRotated { rotation }),
        "rotation.handed_over"
    );
    let again = world.when(by(SERVICE), Command::ClaimRotated { rotation });
    assert!(again.starts_with("refused already-claimed"), "{again}");
}

#[test]
fn the_last_version_that_works_is_never_taken_away() {
    use VersionState::*;
    let mut world = World::new();
    let credential = keyed(&mut world, "payments/api");
    let rotation = world.overlapping(credential);
    // The newer version leaks and is revoked: the older one is in use again.
    let command = world.revoke(credential, Some(2));
    world.given(by(OPAL), command);
    assert!(world.state.rotations.to_do.contains(&rotation));
    let revocation = revocation(&mut world);
    let settled = world.when(
        BROKER,
        Command::SettleRotation {
            rotation,
            revocation,
        },
    );
    assert_eq!(settled, "version.promoted rotation.rolled_back");
    assert_eq!(world.version_states(credential), [Active, Revoked]);

    // The same, and nobody has settled it before the overlap's hard stop.
    let credential = keyed(&mut world, "payments/db");
    world.overlapping(credential);
    let command = world.revoke(credential, Some(2));
    world.given(by(OPAL), command);
    world.pass(Duration::days(1));
    assert_eq!(world.sweep(), "version.promoted rotation.rolled_back");
    assert_eq!(world.version_states(credential), [Active, Revoked]);
}

#[test]
fn refusals_say_what_would_be_accepted() {
    table(&[
        (
            "somebody who is not on call",
            |world| {
                let credential = keyed(world, "payments/api");
                (by(ANA), rotate(world, credential))
            },
            "refused role-required this needs the role operator or admin in production",
        ),
        (
            "without a word why",
            |world| {
                let credential = keyed(world, "payments/api");
                let id = RotationId::from_bits(7);
                let cause = RotationCause::Operator;
                (
                    by(OPAL),
                    Command::Rotate {
                        id,
                        credential,
                        cause,
                        reason: " ".into(),
                    },
                )
            },
            "refused invalid /reason",
        ),
        (
            "a cause that only the broker sees",
            |world| {
                let credential = keyed(world, "payments/api");
                let id = RotationId::from_bits(7);
                let cause = RotationCause::Schedule;
                (
                    by(OPAL),
                    Command::Rotate {
                        id,
                        credential,
                        cause,
                        reason: "x".into(),
                    },
                )
            },
            "refused invalid /cause",
        ),
        (
            "what is revoked",
            |world| {
                let credential = keyed(world, "payments/api");
                let revoke = world.revoke(credential, None);
                world.given(by(OPAL), revoke);
                (by(OPAL), rotate(world, credential))
            },
            "refused conflict payments/api is revoked for good: ask for another with a request",
        ),
        (
            "what is quarantined",
            |world| {
                let credential = keyed(world, "payments/api");
                let reason = String::from("odd");
                world.given(by(OPAL), Command::Quarantine { credential, reason });
                (by(OPAL), rotate(world, credential))
            },
            "refused conflict payments/api is quarantined: release it first",
        ),
        (
            "one that runs already",
            |world| {
                let credential = keyed(world, "payments/api");
                world.begun(credential);
                (by(OPAL), rotate(world, credential))
            },
            "refused conflict rot_",
        ),
        (
            "one whose newer version a request is making",
            |world| {
                let credential = world.claimed(OPAL, "payments/api", &[]);
                keyed(world, "payments/other");
                world.issued(OPAL, "payments/api", &[]);
                (by(OPAL), rotate(world, credential))
            },
            "refused conflict req_",
        ),
        (
            "a request's version while a rotation makes one",
            |world| {
                let credential = world.claimed(OPAL, "payments/api", &[]);
                keyed(world, "payments/other");
                let request = world.submit(OPAL, "payments/api", Outcome::Allow);
                world.begun(credential);
                (BROKER, world.start(request))
            },
            "refused conflict rot_",
        ),
        (
            "an issuer that is not configured",
            |world| {
                keyed(world, "payments/other");
                let mut held = adopted(world, "payments/api");
                held.issuer = "elsewhere".into();
                let credential = held.id;
                world.given(by(ROOT), Command::Adopt(Box::new(held)));
                (by(OPAL), rotate(world, credential))
            },
            "refused conflict no issuer named elsewhere is configured here; accepted: keys",
        ),
        (
            "going back before anything began",
            |world| {
                let credential = keyed(world, "payments/api");
                let revocation = revocation(world);
                (
                    by(OPAL),
                    Command::RollBack {
                        credential,
                        reason: "x".into(),
                        revocation,
                    },
                )
            },
            "refused conflict no rotation of payments/api is under way; rotate it first",
        ),
        (
            "promoting what was not checked",
            |world| {
                let credential = keyed(world, "payments/api");
                world.warm(credential);
                (by(OPAL), Command::Promote { credential })
            },
            "refused conflict rot_",
        ),
        (
            "the secret, for somebody of another team",
            |world| {
                let credential = keyed(world, "payments/api");
                let rotation = world.checked(credential);
                (by(OPAL), Command::ClaimRotated { rotation })
            },
            "refused separation-of-duties own-credential",
        ),
        (
            "a second attempt while one is under way",
            |world| {
                let credential = keyed(world, "payments/api");
                let rotation = world.begun(credential);
                let start = world.start_minting(rotation);
                world.given(BROKER, start);
                (BROKER, world.start_minting(rotation))
            },
            "refused conflict rot_",
        ),
        (
            "a table whose cadence is shorter than its overlap",
            |_| {
                let mut rules = rotation_rules(1);
                rules.policy.schedules[0].cadence_s = Some(86_400);
                (BROKER, Command::SetRotationRules(Box::new(rules)))
            },
            "refused conflict schedule 1: cadence_s: 86400 with 10 % of jitter is not longer than the overlap of 86400 seconds; expected more than 96001",
        ),
    ]);
}

fn depending(id: u128, name: &str, dependents: &[&str]) -> Client {
    Client {
        dependents: dependents.iter().map(|name| (*name).to_owned()).collect(),
        ..client(ClientId::from_bits(id), name, PROD)
    }
}

#[test]
fn dependents_that_lead_back_to_themselves_are_refused() {
    let mut world = World::new();
    for (id, name, dependents) in [(50, "a", &["b"][..]), (51, "b", &["c", "cart"])] {
        let client = Box::new(depending(id, name, dependents));
        world.given(by(ROOT), Command::OnboardClient(client));
    }
    for (name, dependents) in [("c", &["a"][..]), ("d", &["d"])] {
        let client = Box::new(depending(52, name, dependents));
        let told = world.when(by(ROOT), Command::OnboardClient(client));
        assert_eq!(told, "refused invalid /dependents");
    }
}

#[test]
fn a_group_goes_in_order_and_one_that_fails_holds_up_nobody() {
    let mut world = World::new();
    for (id, name, dependents) in [
        (50, "db", &["api"][..]),
        (51, "api", &["web"]),
        (52, "web", &[]),
    ] {
        let client = Box::new(depending(id, name, dependents));
        world.given(by(ROOT), Command::OnboardClient(client));
    }
    keyed(&mut world, "other");
    let mut members = Vec::new();
    // Named in the wrong order.
    for (client, name) in [
        (52, "web/key"),
        (51, "api/key"),
        (50, "db/key"),
        (50, "db/other"),
    ] {
        let mut held = adopted(&mut world, name);
        held.client = ClientId::from_bits(client);
        members.push((RotationId::from_bits(world.fresh()), held.id));
        world.given(by(ROOT), Command::Adopt(Box::new(held)));
    }
    let command = Command::RotateGroup {
        members: members.clone(),
        cause: RotationCause::Operator,
        reason: "the database moves".into(),
    };
    world.given(by(OPAL), command);
    let waves: Vec<_> = members
        .iter()
        .map(|(id, _)| world.state.rotations.all[id].member.unwrap().wave)
        .collect();
    assert_eq!(waves, [2, 1, 0, 0]);
    let [web, api, db, other] = [0, 1, 2, 3].map(|index| members[index].0);
    let start = world.start_minting(api);
    let waits = world.when(BROKER, start);
    assert!(waits.contains("comes first"), "{waits}");
    for first in [db, other] {
        let start = world.start_minting(first);
        world.given(BROKER, start);
    }
    // The batch of two is full for anything else, however early.
    let third = keyed(&mut world, "third");
    let third = world.begun(third);
    let start = world.start_minting(third);
    let full = world.when(BROKER, start);
    assert_eq!(
        full,
        "refused limit-reached 2 rotations are at work in production already"
    );
    // One fails, one comes into use: the next wave may begin.
    let failed = Command::RecordMintingFailed {
        rotation: other,
        attempt: 1,
        reason: "no such database".into(),
        last: true,
        revocation: revocation(&mut world),
    };
    world.given(BROKER, failed);
    let minted = world.rotation_minted(db, &[]);
    world.given(BROKER, minted);
    let by_keys = String::from("keys");
    world.given(
        BROKER,
        Command::StartCheck {
            rotation: db,
            by: by_keys,
        },
    );
    world.given(
        BROKER,
        Command::RecordChecked {
            rotation: db,
            seen: "accepted".into(),
        },
    );
    let start = world.start_minting(api);
    assert!(
        world.when(BROKER, start).contains("comes first"),
        "checked is not in use"
    );
    world.given(
        BROKER,
        Command::RecordDelivered {
            rotation: db,
            to: "kv".into(),
        },
    );
    let start = world.start_minting(api);
    assert_eq!(world.when(BROKER, start), "rotation.minting");
    let start = world.start_minting(web);
    assert!(world.when(BROKER, start).contains("comes first"));
}

/// What comes due together goes in the order of who depends on whom; whoever is linked with nobody waits for nobody.
#[test]
fn what_is_due_together_goes_in_order() {
    let mut world = World::new();
    for (id, name, dependents) in [
        (50, "db", &["api"][..]),
        (51, "api", &[]),
        (52, "lone", &[]),
    ] {
        let client = Box::new(depending(id, name, dependents));
        world.given(by(ROOT), Command::OnboardClient(client));
    }
    keyed(&mut world, "payments/other");
    let mut held = Vec::new();
    for (client, name) in [(51, "api/key"), (52, "lone/key"), (50, "db/key")] {
        let mut adopted = adopted(&mut world, name);
        adopted.client = ClientId::from_bits(client);
        held.push(adopted.id);
        world.given(by(ROOT), Command::Adopt(Box::new(adopted)));
    }
    world.pass(Duration::days(14));
    let ids = (0..8).map(|_| RotationId::from_bits(world.fresh()));
    let ids = ids.collect();
    assert_eq!(
        world.when(BROKER, Command::RotateDue { ids }),
        ["rotation.started"; 4].join(" ")
    );
    let [api, lone, db] = [0, 1, 2].map(|index: usize| of(&world, held[index]));
    assert_eq!(lone.member, None);
    let (api_place, db_place) = (api.member.unwrap(), db.member.unwrap());
    assert_eq!(api_place.of, db_place.of);
    assert_eq!((db_place.wave, api_place.wave), (0, 1));
    let start = world.start_minting(api.id);
    let waits = world.when(BROKER, start);
    assert!(waits.contains(&format!("{} comes first", db.id)), "{waits}");
    for first in [lone.id, db.id] {
        let start = world.start_minting(first);
        assert_eq!(world.when(BROKER, start), "rotation.minting");
    }
}

#[test]
fn what_is_due_begins_by_itself_with_jitter_and_not_in_a_freeze() {
    let mut world = World::new();
    let mut dates = std::collections::BTreeSet::new();
    for number in 0..40 {
        let id = keyed(&mut world, &format!("payments/key-{number}"));
        let (rules, _) = world.state.rotations.rules().unwrap();
        let planned = rules.planned(&world.state.credentials[&id]).unwrap();
        let cadence = world.now + Duration::days(10);
        assert!(planned.due_at >= cadence - Duration::days(1));
        match planned.frozen {
            None => assert!(planned.due_at <= cadence),
            Some(name) => {
                assert_eq!(name, "weekend");
                assert_eq!(planned.due_at.to_rfc3339(), "2027-01-25T06:00:00+00:00");
            }
        }
        assert!(rules.frozen(PROD, planned.due_at).is_none());
        dates.insert(planned.due_at);
    }
    assert!(dates.len() > 5, "spread: {}", dates.len());
    let ids = |world: &mut World| {
        (0..10)
            .map(|_| RotationId::from_bits(world.fresh()))
            .collect()
    };
    let some = ids(&mut world);
    assert_eq!(
        world.when(BROKER, Command::RotateDue { ids: some }),
        "nothing"
    );
    world.now = *dates.last().unwrap();
    let some = ids(&mut world);
    let begun = world.when(BROKER, Command::RotateDue { ids: some });
    assert_eq!(begun.split(' ').count(), 4, "twice the batch: {begun}");
    let held = world.state.rotations.all.values().next().unwrap();
    assert_eq!(held.cause, RotationCause::Schedule);
    assert_eq!(held.by, "test");
    assert_eq!(held.terms.policy_digest, digest_of_bytes(b"policy"));
    // A table under which they had been due already is a cause of its own.
    let mut world = World::new();
    let credential = keyed(&mut world, "payments/api");
    world.pass(Duration::days(6));
    let rules = Box::new(rotation_rules(2));
    world.given(BROKER, Command::SetRotationRules(rules));
    let some = ids(&mut world);
    world.given(BROKER, Command::RotateDue { ids: some });
    assert_eq!(of(&world, credential).cause, RotationCause::Policy);
}

#[test]
fn what_was_asked_for_a_shorter_time_than_its_cadence_ends_with_it() {
    let mut world = World::new();
    keyed(&mut world, "payments/other");
    world.claimed(OPAL, "payments/once", &[]);
    assert_eq!(world.state.rotations.due.len(), 1, "a day is less than ten");
    let mut held = adopted(&mut world, "lab/key");
    held.environment = Environment::Development;
    held.client = LAB;
    world.given(by(ROOT), Command::Adopt(Box::new(held)));
    assert_eq!(world.state.rotations.due.len(), 1, "no cadence there");
}

#[test]
fn a_compromised_secret_overlaps_for_a_short_time_only() {
    let mut world = World::new();
    let credential = keyed(&mut world, "payments/api");
    let id = RotationId::from_bits(world.fresh());
    let cause = RotationCause::Compromise;
    let reason = String::from("in a public repository");
    world.given(
        by(OPAL),
        Command::Rotate {
            id,
            credential,
            cause,
            reason,
        },
    );
    let terms = &of(&world, credential).terms;
    assert_eq!((terms.overlap_s, terms.unused_s), (900, 900));
}
