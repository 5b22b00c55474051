//! Going back from a version that services read at a destination: the older secret is put there first.

use crate::{
    rotations::{of, revocation},
    world::*,
};
use chrono::Duration;
use countersign::domain::{
    Command, CredentialId, Destination, RotationId, RotationState, Setback, VersionState,
};

impl World {
    /// A rotation whose newer secret is where its services read it.
    fn read(&mut self) -> (CredentialId, RotationId) {
        let credential = crate::rotations::keyed(self, "payments/api");
        let moved = Command::DeliverTo {
            credential,
            destination: Some(Destination {
                name: "vault".into(),
                path: "payments/api".into(),
            }),
            reason: "they read it there".into(),
        };
        self.given(by(ROOT), moved);
        (credential, self.overlapping(credential))
    }

    fn roll_back(&mut self, credential: CredentialId) -> String {
        let command = Command::RollBack {
            credential,
            reason: "403 on version 2".into(),
            revocation: revocation(self),
        };
        self.when(by(OPAL), command)
    }

    fn put_back(&mut self, rotation: RotationId, to: &str) -> String {
        let command = Command::RecordPutBack {
            rotation,
            to: to.into(),
            revocation: revocation(self),
        };
        self.when(BROKER, command)
    }

    fn end_overlap(&mut self, rotation: RotationId) -> String {
        let command = Command::EndOverlap {
            rotation,
            last_used_at: None,
            revocation: revocation(self),
        };
        self.when(BROKER, command)
    }
}

#[test]
fn the_older_secret_comes_back_before_the_newer_version_goes() {
    use VersionState::*;
    let mut world = World::new();
    let (credential, rotation) = world.read();
    assert_eq!(world.roll_back(credential), "rotation.going_back");
    assert_eq!(
        world.version_states(credential),
        [Retiring, Active],
        "nobody is refused yet"
    );
    assert!(world.state.rotations.to_do.contains(&rotation));
    assert_eq!(
        world.roll_back(credential),
        "nothing",
        "it goes back already"
    );

    assert_eq!(
        world.put_back(rotation, "vault/payments/api, version 3"),
        "version.retiring version.promoted rotation.put_back"
    );
    assert_eq!(world.version_states(credential), [Active, Retiring]);
    let held = of(&world, credential);
    assert_eq!(held.state, RotationState::Overlapping);
    assert_eq!(held.overlap_until, Some(world.now + Duration::days(1)));
    assert!(
        world
            .put_back(rotation, "again")
            .contains("no place for an older secret")
    );

    // Readers come back to the older one; then the newer one goes.
    world.pass(Duration::hours(1));
    let refused = world.end_overlap(rotation);
    assert!(
        refused.contains("version 2 was used 3600 s ago"),
        "{refused}"
    );
    world.pass(Duration::hours(2));
    assert_eq!(
        world.end_overlap(rotation),
        "version.discarded rotation.rolled_back"
    );
    assert_eq!(world.version_states(credential), [Active, Discarded]);
    let held = &world.state.rotations.all[&rotation];
    assert_eq!(held.setback, Some(Setback::Operator));
    assert_eq!(held.failure.as_deref(), Some("403 on version 2"));
}

#[test]
fn the_hard_stop_ends_it_too() {
    let mut world = World::new();
    let (credential, rotation) = world.read();
    world.roll_back(credential);
    world.put_back(rotation, "vault/payments/api, version 3");
    world.pass(Duration::days(1));
    assert_eq!(world.sweep(), "version.discarded rotation.rolled_back");
    assert_eq!(
        world.version_states(credential),
        [VersionState::Active, VersionState::Discarded]
    );
}

#[test]
fn where_the_older_secret_is_not_known_the_newer_version_goes_at_once() {
    use VersionState::*;
    let mut world = World::new();
    let (credential, rotation) = world.read();
    world.roll_back(credential);
    assert_eq!(
        world.put_back(rotation, ""),
        "version.discarded version.promoted rotation.rolled_back"
    );
    assert_eq!(world.version_states(credential), [Active, Discarded]);
}

#[test]
fn whatever_is_revoked_on_the_way_back_the_other_version_stays() {
    use VersionState::*;
    for (version, states) in [(1, [Revoked, Active]), (2, [Active, Revoked])] {
        let mut world = World::new();
        let (credential, rotation) = world.read();
        world.roll_back(credential);
        world.put_back(rotation, "vault/payments/api, version 3");
        let revoke = Command::Revoke {
            id: revocation(&mut world),
            credential,
            version: Some(version),
            reason: "leaked".into(),
        };
        world.given(by(OPAL), revoke);
        let settle = Command::SettleRotation {
            rotation,
            revocation: revocation(&mut world),
        };
        world.given(BROKER, settle);
        assert_eq!(world.version_states(credential), states);
        assert!(world.state.rotations.all[&rotation].state.ended());
    }
}

#[test]
fn nobody_is_handed_what_goes_to_a_destination() {
    let mut world = World::new();
    let (credential, rotation) = world.read();
    let refused = world.when(by(SERVICE), Command::ClaimRotated { rotation });
    assert!(refused.contains("read it there"), "{refused}");
    assert_eq!(of(&world, credential).handed_to, "kv/payments");
}
