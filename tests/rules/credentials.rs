//! Revoking, quarantine, ownership, adoption, and what issuers report.

use crate::world::*;
use countersign::domain::{
    Actor, Command, Credential, CredentialId, CredentialState, Enforcement, Environment,
    OperatorId, PlannedRevocation, RevocationId, RevocationPlan, VersionState, event::UsageEntry,
    request::Outcome,
};

fn revoking(world: &mut World, who: OperatorId, version: Option<u32>) -> (Actor, Command) {
    let credential = world.claimed(OPAL, "payments/api", &[]);
    (by(who), world.revoke(credential, version))
}

#[test]
fn revoking_one_or_all() {
    table(&[
        (
            "who is on call",
            |w| revoking(w, OPAL, None),
            "revocation.effective",
        ),
        (
            "an admin",
            |w| revoking(w, ROOT, Some(1)),
            "revocation.effective",
        ),
        (
            "not an approver",
            |w| revoking(w, ANA, None),
            "refused role-required",
        ),
        (
            "not an admin of elsewhere",
            |w| revoking(w, ADA, None),
            "refused role-required",
        ),
        (
            "a version there is not",
            |w| revoking(w, OPAL, Some(2)),
            "refused invalid /version",
        ),
        (
            "it says why",
            |w| {
                let (actor, command) = revoking(w, OPAL, None);
                let Command::Revoke {
                    id,
                    credential,
                    version,
                    ..
                } = command
                else {
                    unreachable!()
                };
                (
                    actor,
                    Command::Revoke {
                        id,
                        credential,
                        version,
                        reason: String::new(),
                    },
                )
            },
            "refused invalid /reason",
        ),
        (
            "twice is once",
            |w| {
                let (actor, command) = revoking(w, OPAL, None);
                let Command::Revoke { credential, .. } = command else {
                    unreachable!()
                };
                w.given(actor.clone(), command);
                (actor, w.revoke(credential, None))
            },
            "nothing",
        ),
        (
            "a version twice is once",
            |w| {
                let (actor, command) = revoking(w, OPAL, Some(1));
                let Command::Revoke { credential, .. } = command else {
                    unreachable!()
                };
                w.given(actor.clone(), command);
                (actor, w.revoke(credential, Some(1)))
            },
            "nothing",
        ),
        (
            "all, after its one version",
            |w| {
                let (actor, command) = revoking(w, OPAL, Some(1));
                let Command::Revoke { credential, .. } = command else {
                    unreachable!()
                };
                w.given(actor.clone(), command);
                (actor, w.revoke(credential, None))
            },
            "revocation.effective",
        ),
        (
            "out of a quarantine",
            |w| {
                let (actor, command) = revoking(w, OPAL, None);
                let Command::Revoke { credential, .. } = command else {
                    unreachable!()
                };
                w.given(
                    by(OPAL),
                    Command::Quarantine {
                        credential,
                        reason: "odd".into(),
                    },
                );
                (actor, command)
            },
            "revocation.effective",
        ),
        (
            "an unknown credential",
            |w| (by(OPAL), w.revoke(CredentialId::from_bits(5), None)),
            "refused not-found",
        ),
    ]);
}

#[test]
fn one_version_leaves_the_others() {
    let mut world = World::new();
    let credential = world.claimed(OPAL, "payments/api", &[("lease", "1")]);
    world.claimed(OPAL, "payments/api", &[("lease", "2")]);
    let revoke = world.revoke(credential, Some(1));
    world.given(by(OPAL), revoke);
    assert_eq!(
        world.version_states(credential),
        [VersionState::Revoked, VersionState::Active]
    );
    assert_eq!(
        world.state.credentials[&credential].state(world.now),
        CredentialState::Active
    );
    let revoke = world.revoke(credential, None);
    world.given(by(OPAL), revoke);
    assert_eq!(
        world.state.credentials[&credential].state(world.now),
        CredentialState::Revoked
    );
    let revoked: Vec<_> = world
        .state
        .revocations
        .values()
        .map(|held| held.versions.clone())
        .collect();
    assert_eq!(
        revoked,
        [vec![1], vec![2]],
        "each withdraws what was still accepted"
    );
}

#[test]
fn the_issuer_confirms_in_the_end() {
    let mut world = World::new();
    let credential = world.claimed(OPAL, "payments/db", &[("lease", "1")]);
    let revoke = world.revoke(credential, None);
    let Command::Revoke { id: revocation, .. } = revoke else {
        unreachable!()
    };
    world.given(by(OPAL), revoke);
    let away = Command::RecordEnforcementFailed {
        revocation,
        reason: "sealed\nagain".into(),
    };
    assert_eq!(world.when(BROKER, away.clone()), "revocation.failed");
    assert_eq!(world.when(BROKER, away), "revocation.failed");
    assert_eq!(
        world.state.revocations[&revocation].enforcement,
        Enforcement::Pending {
            attempts: 2,
            last_error: Some("sealed again".into())
        }
    );
    let done = Command::RecordEnforced {
        revocation,
        proven: true,
    };
    assert!(
        world
            .when(by(ROOT), done.clone())
            .starts_with("refused separation-of-duties broker-only")
    );
    assert_eq!(world.when(BROKER, done.clone()), "revocation.enforced");
    assert_eq!(world.when(BROKER, done), "nothing");
    let late = Command::RecordEnforcementFailed {
        revocation,
        reason: "late".into(),
    };
    assert_eq!(world.when(BROKER, late), "nothing");
    assert!(world.state.to_enforce.is_empty());
    let unknown = Command::RecordEnforced {
        revocation: RevocationId::from_bits(4),
        proven: true,
    };
    assert!(world.when(BROKER, unknown).starts_with("refused not-found"));
}

#[test]
fn quarantine_and_owner() {
    fn held(w: &mut World) -> CredentialId {
        w.claimed(OPAL, "payments/api", &[])
    }
    fn quarantined(w: &mut World) -> CredentialId {
        let credential = held(w);
        w.given(
            by(OPAL),
            Command::Quarantine {
                credential,
                reason: "odd".into(),
            },
        );
        credential
    }
    fn revoked(w: &mut World) -> CredentialId {
        let credential = held(w);
        let revoke = w.revoke(credential, None);
        w.given(by(OPAL), revoke);
        credential
    }
    fn release(who: OperatorId, credential: CredentialId) -> (Actor, Command) {
        (
            by(who),
            Command::Release {
                credential,
                reason: "benign".into(),
            },
        )
    }
    fn quarantine(who: OperatorId, credential: CredentialId) -> (Actor, Command) {
        (
            by(who),
            Command::Quarantine {
                credential,
                reason: "odd".into(),
            },
        )
    }
    fn owner(who: OperatorId, credential: CredentialId, owner: &str) -> (Actor, Command) {
        (
            by(who),
            Command::ChangeOwner {
                credential,
                owner: owner.into(),
                reason: "reorganised".into(),
            },
        )
    }
    table(&[
        (
            "who is on call puts it in",
            |w| quarantine(OPAL, held(w)),
            "credential.quarantined",
        ),
        (
            "twice is once",
            |w| quarantine(OPAL, quarantined(w)),
            "nothing",
        ),
        (
            "not an approver",
            |w| quarantine(ANA, held(w)),
            "refused role-required",
        ),
        (
            "not what is revoked",
            |w| quarantine(OPAL, revoked(w)),
            "refused conflict payments/api is revoked for good",
        ),
        (
            "an admin lets it out",
            |w| release(ROOT, quarantined(w)),
            "credential.released",
        ),
        (
            "nobody else",
            |w| release(OPAL, quarantined(w)),
            "refused role-required",
        ),
        ("what is out is out", |w| release(ROOT, held(w)), "nothing"),
        (
            "not what is revoked either",
            |w| release(ROOT, revoked(w)),
            "refused conflict",
        ),
        (
            "an admin names another owner",
            |w| owner(ROOT, held(w), "ledger"),
            "credential.owner_changed",
        ),
        (
            "the same owner",
            |w| owner(ROOT, held(w), "payments"),
            "nothing",
        ),
        (
            "a name that is none",
            |w| owner(ROOT, held(w), "The Team"),
            "refused invalid /owner",
        ),
        (
            "nobody else names one",
            |w| owner(OPAL, held(w), "ledger"),
            "refused role-required",
        ),
    ]);
}

fn adopt(
    world: &mut World,
    who: OperatorId,
    change: impl FnOnce(&mut Credential),
) -> (Actor, Command) {
    let mut credential = adopted(world, "legacy/api");
    change(&mut credential);
    (by(who), Command::Adopt(Box::new(credential)))
}

#[test]
fn adopting() {
    table(&[
        ("an admin", |w| adopt(w, ROOT, |_| {}), "credential.adopted"),
        (
            "nobody else",
            |w| adopt(w, OPAL, |_| {}),
            "refused role-required",
        ),
        (
            "an admin of elsewhere",
            |w| adopt(w, ADA, |_| {}),
            "refused role-required",
        ),
        (
            "a name that is taken",
            |w| {
                w.claimed(OPAL, "legacy/api", &[]);
                adopt(w, ROOT, |_| {})
            },
            "refused conflict a credential named legacy/api exists",
        ),
        (
            "a name that is asked for",
            |w| {
                w.submit(OPAL, "legacy/api", Outcome::Needs);
                adopt(w, ROOT, |_| {})
            },
            "refused conflict req_",
        ),
        (
            "a client of elsewhere",
            |w| adopt(w, ROOT, |held| held.client = LAB),
            "refused invalid /client",
        ),
        (
            "an environment that its client is not in",
            |w| adopt(w, ROOT, |held| held.environment = Environment::Staging),
            "refused invalid /client",
        ),
        (
            "known by nothing",
            |w| adopt(w, ROOT, |held| held.versions[0].digest = None),
            "refused invalid /digest",
        ),
        (
            "known by where its issuer has it",
            |w| {
                adopt(w, ROOT, |held| {
                    held.versions[0].digest = None;
                    held.versions[0].locator = pairs(&[("lease", "1")]);
                })
            },
            "credential.adopted",
        ),
        (
            "a secret that is known already",
            |w| {
                let (actor, command) = adopt(w, ROOT, |_| {});
                let Command::Adopt(first) = command.clone() else {
                    unreachable!()
                };
                w.given(actor, command);
                adopt(w, ROOT, |held| {
                    held.name = "legacy/other".into();
                    held.versions[0].digest = first.versions[0].digest;
                })
            },
            "refused invalid /digest",
        ),
        (
            "no version",
            |w| adopt(w, ROOT, |held| held.versions.clear()),
            "refused invalid /versions",
        ),
        (
            "a second version",
            |w| adopt(w, ROOT, |held| held.versions[0].number = 2),
            "refused invalid /versions/0",
        ),
        (
            "one that is warm",
            |w| adopt(w, ROOT, |held| held.versions[0].state = VersionState::Warm),
            "refused invalid /versions/0",
        ),
        (
            "one that would retire without a successor",
            |w| {
                adopt(w, ROOT, |held| {
                    held.versions[0].retires_at = Some(held.created_at)
                })
            },
            "refused invalid /versions/0",
        ),
        (
            "one that is over",
            |w| {
                adopt(w, ROOT, |held| {
                    held.versions[0].expires_at = Some(held.created_at)
                })
            },
            "refused invalid /expires_at",
        ),
        (
            "a locator of any length",
            |w| {
                adopt(w, ROOT, |held| {
                    held.versions[0].locator = pairs(&[("lease", &"x".repeat(513))])
                })
            },
            "refused invalid /locator/lease",
        ),
    ]);
}

#[test]
fn an_adopted_one_rotates_and_expires_like_any_other() {
    let mut world = World::new();
    let (actor, command) = adopt(&mut world, ROOT, |_| {});
    let Command::Adopt(held) = &command else {
        unreachable!()
    };
    let id = held.id;
    world.given(actor, command);
    assert_eq!(world.claimed(OPAL, "legacy/api", &[]), id);
    assert_eq!(
        world.version_states(id),
        [VersionState::Retiring, VersionState::Active]
    );
    world.pass(chrono::Duration::hours(2));
    assert_eq!(world.sweep(), "version.retired");
    world.pass(chrono::Duration::days(31));
    assert_eq!(world.sweep(), "version.expired");
    assert_eq!(
        world.state.credentials[&id].state(world.now),
        CredentialState::Expired
    );
}

#[test]
fn a_plan_is_executed_whole_or_not_at_all() {
    let mut world = World::new();
    let one = world.claimed(OPAL, "payments/one", &[]);
    let two = world.claimed(OPAL, "payments/two", &[]);
    let planned = |credential, versions: &[u32]| PlannedRevocation {
        credential,
        versions: versions.to_vec(),
    };
    let plan = |world: &mut World, members: Vec<PlannedRevocation>| Command::RevokePlanned {
        ids: (members
            .iter()
            .map(|_| RevocationId::from_bits(world.fresh())))
        .collect(),
        plan: Box::new(RevocationPlan {
            filter: "owner=payments".into(),
            head: world.state.sequence,
            members,
        }),
        digest: countersign::secret::digest_of("plan"),
        reason: "leaked".into(),
    };
    let both = vec![planned(one, &[1]), planned(two, &[1])];

    let command = plan(&mut world, both.clone());
    assert!(
        world
            .when(by(ANA), command.clone())
            .starts_with("refused role-required")
    );
    let none = plan(&mut world, Vec::new());
    assert!(
        world
            .when(by(OPAL), none)
            .starts_with("refused invalid /plan/members")
    );
    let doubled = plan(&mut world, vec![both[0].clone(), both[0].clone()]);
    assert!(
        world
            .when(by(OPAL), doubled)
            .starts_with("refused invalid /plan/members")
    );
    let many = plan(&mut world, vec![both[0].clone(); Command::REVOKE_LIMIT + 1]);
    assert!(
        world
            .when(by(OPAL), many)
            .starts_with("refused invalid /plan/members")
    );

    // One has another version, or is gone: the other one stays as well.
    let other = plan(&mut world, vec![planned(one, &[1]), planned(two, &[1, 2])]);
    assert!(world.when(by(OPAL), other).starts_with("refused stale"));
    let mut half = world;
    let revoke = half.revoke(two, None);
    half.given(by(OPAL), revoke);
    assert!(half.when(by(OPAL), command).starts_with("refused stale"));
    assert!(half.state.credentials[&one].revoked.is_none());

    let mut world = World::new();
    let one = world.claimed(OPAL, "payments/one", &[]);
    let two = world.claimed(OPAL, "payments/two", &[]);
    let command = plan(&mut world, vec![planned(one, &[1]), planned(two, &[1])]);
    assert_eq!(
        world.when(by(OPAL), command.clone()),
        "revocation.effective revocation.effective revocation.planned"
    );
    for credential in [one, two] {
        assert!(world.state.credentials[&credential].revoked.is_some());
    }
    assert!(world.when(by(OPAL), command).starts_with("refused stale"));
}

#[test]
fn use_is_counted_for_what_there_is() {
    let mut world = World::new();
    let credential = world.claimed(OPAL, "payments/api", &[]);
    let entry = |credential| UsageEntry {
        credential,
        accepted: 3,
        refused: 1,
        last_used_at: Some(world.now),
    };
    let entries = vec![entry(credential), entry(CredentialId::from_bits(9))];
    let command = Command::RollUpUsage {
        hour: world.now,
        entries,
    };
    assert!(world.when(by(ROOT), command.clone()).starts_with("refused"));
    for _ in 0..2 {
        assert_eq!(world.when(BROKER, command.clone()), "usage.rolled_up");
    }
    assert_eq!(world.state.usage[&credential].accepted, 6);
    assert_eq!(
        world.state.usage.len(),
        1,
        "what refers to nothing changes nothing"
    );
    let empty = Command::RollUpUsage {
        hour: world.now,
        entries: Vec::new(),
    };
    assert_eq!(world.when(BROKER, empty), "nothing");
    let leftover = Command::RecordLeftover {
        issuer: "vault".into(),
        what: "lease 7".into(),
    };
    assert!(
        world
            .when(by(ROOT), leftover.clone())
            .starts_with("refused")
    );
    assert_eq!(world.when(BROKER, leftover), "reconciliation.removed");
}
