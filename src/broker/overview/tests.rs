//! Figures against what was counted by hand.

use super::*;
use crate::{
    broker::{
        usage::Used,
        views::testing::{FIRST, World, at, operator_with, revocation, version},
    },
    domain::{
        Approval, ApprovalId, Digest, Environment, Event, Proof, Role, TokenId, VersionState,
        request::Ending,
    },
};

const HOUR: i64 = 3_600;
const DAY: i64 = 86_400;

fn count(world: &World, usage: &Usage, seconds: i64) -> Overview {
    let state = Arc::new(world.state.clone());
    counted(&state, usage, seconds, &mut None)
}

fn counted(state: &Arc<State>, usage: &Usage, seconds: i64, kept: &mut Option<Kept>) -> Overview {
    overview(
        state,
        usage,
        Cadence::default(),
        at(seconds),
        Vec::new(),
        Vec::new(),
        kept,
    )
}

#[test]
fn a_count_that_followed_is_a_count_made_anew() {
    let mut world = World::new();
    let now = 60 * DAY;
    let mut fleet = Vec::new();
    for number in 0..24 {
        fleet.push(
            world.credential(&format!("payments/{number}"), |credential| {
                let end = (number % 5 > 0).then(|| now + number * 3 * HOUR);
                credential.versions = vec![version(1, VersionState::Active, now - 50 * DAY, end)];
                credential.created_at = at(now - (30 + number) * DAY);
                credential.cadence_s = (number % 3 > 0).then(|| (40 + number) as u64 * DAY as u64);
                credential.kind = Kind::ALL[number as usize % Kind::ALL.len()];
                credential.owner = if number % 7 == 0 { NOBODY } else { "payments" }.into();
            }),
        );
    }
    let usage = Usage::default();
    usage.record(fleet[3], FIRST, &Used::once(true, at(now - HOUR)));
    let (mut kept, mut followed) = (None, 0);
    counted(&Arc::new(world.state.clone()), &usage, now, &mut kept);
    for (number, id) in fleet.into_iter().enumerate() {
        let event = match number % 4 {
            0 => Event::CredentialQuarantined {
                credential: id,
                reason: "odd".into(),
            },
            1 => Event::RevocationEffective {
                revocation: Box::new(revocation(1_000 + number as u128, id, now)),
            },
            2 => Event::OwnerChanged {
                credential: id,
                owner: NOBODY.into(),
                reason: "left".into(),
            },
            _ => Event::VersionExpired {
                credential: id,
                version: 1,
            },
        };
        world.happens(now, event);
        world.credential(&format!("new/{number}"), |credential| {
            credential.versions = vec![version(1, VersionState::Active, now - HOUR, None)];
        });
        let state = Arc::new(world.state.clone());
        let follow = |kept: Kept| kept.follow(&state, &usage, Cadence::default(), at(now));
        kept = kept.take().and_then(follow);
        followed += usize::from(kept.is_some());
        let seen = counted(&state, &usage, now, &mut kept);
        assert_eq!(seen, counted(&state, &usage, now, &mut None), "{number}");
    }
    assert!(
        followed > 16,
        "{followed}: the others lost what was longest overdue"
    );
    let state = Arc::new(world.state.clone());
    let kept = kept.expect("it was just counted");
    let late = kept.follow(&state, &usage, Cadence::default(), at(now + 10));
    assert!(late.is_none(), "too old");
}

#[test]
fn percentiles_are_nearest_ranks() {
    let hundred: Vec<u64> = (1..=100).collect();
    assert_eq!(percentile(&hundred, 50), Some(50));
    assert_eq!(percentile(&hundred, 99), Some(99));
    assert_eq!(percentile(&[7], 50), Some(7));
    assert_eq!(percentile(&[1, 2], 95), Some(2));
    assert_eq!(percentile(&[], 50), None);
}

#[test]
fn an_empty_broker_counts_nothing() {
    let world = World::new();
    let seen = count(&world, &Usage::default(), 10);
    assert_eq!(
        seen.lifetimes
            .iter()
            .map(|bucket| bucket.count)
            .sum::<u64>(),
        0
    );
    assert_eq!(seen.lifetimes.len(), 7);
    assert_eq!(seen.issuance.per_hour, vec![0; 24]);
    assert_eq!(seen.issuance.good_bp, None);
    assert_eq!(seen.approvals.open, 0);
    assert_eq!(seen.hygiene, HygieneFigures::default());
}

#[test]
fn the_fleet_is_counted_by_hand() {
    let mut world = World::new();
    let now = 60 * DAY;
    let mut add = |name: &str, made: i64, end: Option<i64>, cadence: Option<u64>, owner: &str| {
        world.credential(name, |credential| {
            credential.created_at = at(made);
            credential.versions = vec![version(1, VersionState::Active, made, end)];
            credential.cadence_s = cadence;
            credential.owner = owner.into();
        })
    };
    add("half-hour", now - HOUR, Some(now + HOUR / 2), None, "a");
    add("two-hours", now - HOUR, Some(now + 2 * HOUR), None, "a");
    add(
        "six-days",
        now - HOUR,
        Some(now + 6 * DAY),
        Some(HOUR as u64 * 3),
        "a",
    );
    let overdue = add(
        "overdue",
        now - 50 * DAY,
        Some(now + 20 * DAY),
        Some(10 * DAY as u64),
        "a",
    );
    add(
        "older-overdue",
        now - 50 * DAY,
        Some(now + 80 * DAY),
        Some(9 * DAY as u64),
        "a",
    );
    add(
        "century",
        now - HOUR,
        Some(now + 91 * DAY),
        Some(5 * DAY as u64),
        NOBODY,
    );
    let forever = add("forever", now - 50 * DAY, None, None, "a");
    add("dead", 0, Some(10), Some(60), "a");
    world.happens(
        now,
        Event::CredentialQuarantined {
            credential: forever,
            reason: "odd".into(),
        },
    );
    let usage = Usage::default();
    usage.record(overdue, FIRST, &Used::once(true, at(now - DAY)));
    let seen = count(&world, &usage, now);
    let by_label: Vec<_> = seen
        .lifetimes
        .iter()
        .map(|bucket| (bucket.label.as_str(), bucket.count))
        .collect();
    for bucket in &seen.lifetimes {
        let filter =
            crate::wire::filter::Filter::parse_for::<crate::wire::CredentialRow>(&bucket.filter);
        let filter = filter.expect("the shown filter can be typed");
        let views = Views {
            state: &world.state,
            usage: &usage,
            reviews: Cadence::default(),
            now: at(now),
        };
        let listed = world
            .state
            .credentials
            .values()
            .map(|held| views.credential_row(held));
        let count = listed.filter(|row| filter.matches(row, at(now))).count() as u64;
        assert_eq!(count, bucket.count, "{}", bucket.filter);
    }
    assert_eq!(
        by_label,
        [
            ("<1h", 1),
            ("<24h", 1),
            ("<7d", 1),
            ("<30d", 1),
            ("<90d", 1),
            (">90d", 1),
            ("never", 1)
        ]
    );
    let rotation = &seen.rotation;
    assert_eq!((rotation.living, rotation.covered), (7, 4));
    assert_eq!((rotation.overdue, rotation.due_24h), (2, 1));
    assert_eq!(rotation.oldest_overdue.as_deref(), Some("older-overdue"));
    assert_eq!(rotation.oldest_overdue_since, Some(at(now - 41 * DAY)));
    let keys = rotation
        .heat
        .iter()
        .find(|row| row.kind == "api_key")
        .expect("a row a kind");
    assert_eq!(keys.days[0], 3, "two overdue and one due in two hours");
    assert_eq!(keys.days[4], 1, "made an hour ago, due after five days");
    assert_eq!(
        seen.hygiene,
        HygieneFigures {
            never_expiring: 1,
            unused_45d: 2,
            orphaned: 1,
            quarantined: 1,
            review_overdue: 0,
        }
    );
}

#[test]
fn issuance_approvals_and_decisions_are_counted_by_hand() {
    let mut world = World::new();
    let sam = operator_with("sam", &[(Environment::Production, Role::Operator)], "a");
    let now = 10 * DAY;
    world.request(&sam, now - 30 * HOUR, |_| {});
    // Two attempts: one failed, one made it 1,500 ms after the approval, which took 600 s.
    let issued = world.awaiting(&sam, now - 2 * HOUR - 60, 1, now);
    let approved = now - 2 * HOUR - 60 + 600;
    world.happens(
        approved,
        Event::ApprovalGiven {
            request: issued,
            approval: Box::new(Approval {
                id: ApprovalId::from_bits(1),
                by: sam.id,
                by_name: "maya".into(),
                at: at(approved),
                digest: Digest([7; 32]),
                reason: String::new(),
                proof: Proof::Token {
                    token: TokenId::from_bits(1),
                },
                void: None,
            }),
        },
    );
    let credential = world.credential("made", |credential| {
        credential.versions[0].created_at = at(approved) + TimeDelta::milliseconds(1_500);
    });
    for attempt in [1, 2] {
        world.happens(
            approved,
            Event::IssuanceStarted {
                request: issued,
                attempt,
                locator: Default::default(),
            },
        );
    }
    let made = version(2, VersionState::Warm, approved + 2, Some(now + DAY));
    world.happens(
        approved + 2,
        Event::VersionMinted {
            request: issued,
            credential,
            version: Box::new(made),
            first: None,
            claim_until: at(now + DAY),
            warnings: Vec::new(),
        },
    );
    let denied = world.awaiting(&sam, now - HOUR, 2, now + DAY);
    world.happens(
        now - HOUR + 60,
        Event::RequestDenied {
            request: denied,
            ending: Ending {
                by: "maya".into(),
                reason: "no".into(),
                at: at(now - HOUR + 60),
                proof: None,
            },
        },
    );
    world.awaiting(&sam, now - 200, 1, now + 5 * HOUR);
    let soonest = world.awaiting(&sam, now - 1_000, 1, now + 600);
    let seen = count(&world, &Usage::default(), now);
    let issuance = &seen.issuance;
    assert_eq!(issuance.per_hour.iter().sum::<u64>(), 4);
    assert_eq!(issuance.per_hour[21], 1, "two hours and a minute ago");
    assert_eq!(issuance.per_hour[22], 1, "exactly an hour ago");
    assert_eq!(issuance.per_hour[23], 2);
    assert_eq!(
        (issuance.issued, issuance.failed, issuance.denied),
        (1, 1, 1)
    );
    assert_eq!(issuance.good_bp, Some(5_000));
    assert_eq!(issuance.p50_ms, Some(2_000));
    let approvals = &seen.approvals;
    assert_eq!((approvals.open, approvals.ending_soon), (2, 1));
    assert_eq!(approvals.ages, [1, 0, 1, 0]);
    assert_eq!(approvals.soonest.as_ref().map(|row| row.id), Some(soonest));
    assert_eq!(
        (approvals.decide_p50_s, approvals.decide_p95_s),
        (Some(60), Some(600))
    );
}

#[test]
fn revocations_are_counted_by_hand() {
    let mut world = World::new();
    let now = 40 * DAY;
    for (bits, effective, proven_after) in [
        (1, DAY, Some(5)),
        (2, 20 * DAY, Some(2)),
        (3, 21 * DAY, Some(9)),
        (4, now - 5, None),
        (5, now, None),
    ] {
        let credential = world.credential(&format!("c{bits}"), |_| {});
        let mut held = revocation(bits, credential, effective);
        if bits != 5 {
            held.enforcement = Enforcement::Pending {
                attempts: 0,
                last_error: None,
            };
        }
        world.happens(
            effective,
            Event::RevocationEffective {
                revocation: Box::new(held.clone()),
            },
        );
        if let Some(seconds) = proven_after {
            world.happens(
                effective + seconds,
                Event::RevocationEnforced {
                    revocation: held.id,
                    proven: true,
                },
            );
        }
    }
    let seen = count(&world, &Usage::default(), now).revocations;
    assert_eq!(seen.count, 4, "the first is older than 30 days");
    assert_eq!(
        (seen.p50_ms, seen.p95_ms, seen.max_ms),
        (Some(2_000), Some(9_000), Some(9_000))
    );
    assert_eq!(seen.pending.len(), 1);
    assert_eq!(seen.pending[0].credential_name, "c4");
}

#[test]
fn a_large_fleet_is_counted_in_milliseconds() {
    let mut world = World::new();
    for index in 0..20_000 {
        world.credential(&format!("fleet/{index}"), |credential| {
            credential.cadence_s = Some(DAY as u64);
        });
    }
    let usage = Usage::default();
    let began = std::time::Instant::now();
    let seen = count(&world, &usage, 10);
    assert_eq!(seen.rotation.living, 20_000);
    // Twenty thousand in an unoptimised build; far from the budget, but a quadratic slip would show.
    assert!(began.elapsed().as_secs() < 2, "{:?}", began.elapsed());
}
