//! A fixed model from fixed data, for snapshots of screens and for the pictures of the documents.

use super::fleet::Fleet;
use crate::wire::{CredentialId, CredentialRow, CredentialState, Environment, Kind, Tier};
use chrono::{DateTime, TimeDelta, Utc};

/// The time at which everything here stands still.
pub fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_790_692_327, 0).expect("a time in 2026")
}

/// A made-up fleet of `count`, the same every time: most long-lived, some ending, few without an end.
pub fn fleet(count: usize) -> Fleet {
    let mut fleet = Fleet::default();
    let mut state = 7_u64;
    for number in 0..count {
        fleet.upsert(&generated(number, &mut state));
    }
    fleet
}

fn generated(number: usize, state: &mut u64) -> CredentialRow {
    let mut draw = |below: u64| {
        *state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (*state >> 33) % below
    };
    let teams = [
        "payments", "ledger", "netops", "data", "platform", "storage", "obs", "cart",
    ];
    let uses = [
        "svc-api",
        "svc-etl",
        "wh-reader",
        "pg-rw",
        "pg-ro",
        "kafka-tls",
        "deploy",
    ];
    let team = teams[draw(8) as usize];
    let issued_at = now() - TimeDelta::seconds(draw(60 * 86_400) as i64);
    let life = [1, 7, 30, 90][draw(4) as usize] * 86_400;
    let ends = now() + TimeDelta::seconds(draw(life) as i64);
    let bits = (issued_at.timestamp_millis() as u128) << 80
        | u128::from(draw(u64::MAX)) << 40
        | number as u128;
    CredentialRow {
        id: CredentialId::from_bits(bits),
        name: format!("{team}-{}-{}", uses[draw(7) as usize], draw(9_000)),
        environment: Environment::ALL[[0, 1, 2, 2][draw(4) as usize]],
        kind: Kind::ALL[draw(4) as usize],
        client: format!("{team}-{}", ["api", "jobs", "ci", "web"][draw(4) as usize]),
        owner: team.into(),
        tier: Tier::ALL[draw(4) as usize],
        state: CredentialState::ALL[[0, 0, 0, 0, 0, 0, 0, 1, 2, 4][draw(10) as usize]],
        version: draw(40) as u32 + 1,
        accepted: 1,
        issued_at,
        expires_at: (draw(60) > 0).then_some(ends),
        rotate_by: (draw(5) > 0).then(|| issued_at + TimeDelta::seconds(life as i64 * 2 / 3)),
        last_used_at: (draw(9) > 0).then(|| now() - TimeDelta::seconds(draw(86_400) as i64)),
        sequence: number as u64 + 1,
    }
}
