//! Rotations on a busy afternoon: one waits for readers, one waits for its owner, two came to nothing, one is overdue.

use super::{HOSTILE, at};
use crate::wire::event::ActorView;
use crate::wire::rotation::{
    Compliance, FreezeWindow, PlannedRow, Reader, RotationDay, RotationMeasures, RotationStep,
    RotationSummary, Setback, Undo,
};
use crate::wire::{
    CredentialId, CredentialRow, CredentialState, Environment, EventRecord, Kind, RotationCalendar,
    RotationCause, RotationDetail, RotationId, RotationRow, RotationState, Tier,
};
use std::collections::BTreeMap;

const HOUR: i64 = 3_600;
const DAY: i64 = 24 * HOUR;

fn credential(n: u128) -> CredentialId {
    CredentialId::from_bits(0x0190_0000_0000_7000_8000_0000_0000_0000 | n)
}

fn row(n: u128, name: &str, owner: &str, state: RotationState, began_s: i64) -> RotationRow {
    RotationRow {
        id: RotationId::from_bits(0x0192_5d4e_8a00_7000_8000_0000_0000_7000 + n),
        credential: credential(n),
        credential_name: name.into(),
        environment: Environment::Production,
        kind: Kind::ApiKey,
        tier: Tier::High,
        owner: owner.into(),
        state,
        cause: RotationCause::Schedule,
        by: "rotation".into(),
        from: 41,
        to: Some(42),
        step: 4,
        from_since: at(-30 * DAY),
        due_at: Some(at(-began_s)),
        late_at: Some(at(DAY - began_s)),
        frozen: None,
        started_at: at(-began_s),
        minted_at: Some(at(2 - began_s)),
        promoted_at: Some(at(5 - began_s)),
        overlap_until: Some(at(4 * HOUR - began_s)),
        deadline: Some(at(DAY - began_s)),
        extended_until: None,
        ended_at: None,
        setback: None,
        failure: None,
        from_used_at: Some(at(-136)),
        group: None,
        wave: 0,
        sequence: 900_000 + n as u64,
    }
}

/// Those that run.
pub fn running() -> Vec<RotationRow> {
    let mut rows = vec![
        row(
            1,
            "pg-ledger-rw",
            "ledger",
            RotationState::Overlapping,
            1_925,
        ),
        row(
            2,
            "svc-payments-oidc",
            "payments",
            RotationState::Checking,
            5 * HOUR,
        ),
        row(
            3,
            "edge/vpn-bastion",
            "netops",
            RotationState::Minting,
            40 * HOUR,
        ),
    ];
    rows[0].by = "ravi.p".into();
    rows[0].cause = RotationCause::Offboarding;
    (rows[1].promoted_at, rows[1].overlap_until, rows[1].step) = (None, None, 3);
    (
        rows[2].promoted_at,
        rows[2].overlap_until,
        rows[2].minted_at,
    ) = (None, None, None);
    (rows[2].to, rows[2].step, rows[2].deadline) = (None, 1, None);
    rows[2].failure = Some("openbao: sealed since 14:20Z".into());
    rows
}

/// Those that have ended.
pub fn ended() -> Vec<RotationRow> {
    let mut rows = vec![
        row(
            4,
            "s3-backup-hmac",
            "storage",
            RotationState::RolledBack,
            6 * HOUR,
        ),
        row(5, "cart/redis-acl", "cart", RotationState::Failed, 9 * HOUR),
        row(
            6,
            "search/reindex",
            "search",
            RotationState::Completed,
            14 * HOUR,
        ),
    ];
    rows[0].ended_at = Some(at(-4 * HOUR));
    rows[0].setback = Some(Setback::Check);
    rows[0].failure = Some("403 from https://backup.example with v42, 9 times".into());
    (rows[1].promoted_at, rows[1].overlap_until, rows[1].step) = (None, None, 2);
    rows[1].ended_at = Some(at(-8 * HOUR - 1_800));
    rows[1].setback = Some(Setback::Unclaimed);
    rows[1].failure = Some("nobody took the newer version in time".into());
    rows[2].ended_at = Some(at(-10 * HOUR));
    rows[2].step = 6;
    rows
}

fn to_come(n: u128, name: &str, owner: &str, begins_s: i64) -> PlannedRow {
    PlannedRow {
        credential: credential(n),
        credential_name: name.into(),
        environment: Environment::Production,
        kind: Kind::VaultLease,
        tier: Tier::Elevated,
        owner: owner.into(),
        from: 7,
        from_since: at(begins_s - 30 * DAY),
        begins_at: at(begins_s),
        due_at: at(begins_s),
        late_at: at(begins_s + DAY),
        frozen: None,
        failures: 0,
        overlap_s: 4 * HOUR.cast_unsigned(),
    }
}

/// Those to come.
pub fn planned() -> Vec<PlannedRow> {
    let mut rows = vec![
        to_come(7, "legacy/smtp-relay", "netops", -10 * DAY),
        to_come(8, "kafka-mirror-tls", "stream", 6 * HOUR + 1_700),
        to_come(9, "mesh-edge-fra", "netops", 9 * HOUR),
        to_come(10, "web/gh-app", "web", 14 * HOUR),
        to_come(11, "warehouse/reader", "data", 5 * DAY),
    ];
    rows[2].failures = 2;
    rows[3].frozen = Some("autumn sale".into());
    rows
}

fn compliance(name: &str, cadenced: u64, due: u64, overdue: u64, by_hand: u64) -> Compliance {
    Compliance {
        name: name.into(),
        cadenced,
        on_schedule: cadenced - due - overdue,
        due,
        overdue,
        by_hand,
    }
}

/// All of it, with figures.
pub fn calendar() -> RotationCalendar {
    let today = at(0).date_naive();
    let day = |n: i64, planned, promoted, failed| RotationDay {
        date: today + chrono::TimeDelta::days(n),
        planned,
        promoted,
        failed,
    };
    RotationCalendar {
        from: at(-40 * DAY),
        until: at(80 * DAY),
        now: at(0),
        running: running(),
        ended: ended(),
        planned: planned(),
        planned_total: 142,
        overdue: 1,
        freezes: vec![FreezeWindow {
            name: "autumn sale".into(),
            environments: vec![Environment::Production],
            from: at(8 * HOUR),
            until: at(4 * DAY),
        }],
        policy_version: 3,
        summary: Some(RotationSummary {
            days: vec![
                day(-1, 0, 6, 2),
                day(0, 4, 3, 1),
                day(1, 3, 0, 0),
                day(5, 40, 0, 0),
                day(6, 9, 0, 0),
                day(9, 2, 0, 0),
                day(13, 5, 0, 0),
                day(20, 11, 0, 0),
            ],
            teams: vec![
                compliance("netops", 41, 2, 9, 4),
                compliance("payments", 310, 4, 2, 0),
                compliance("ledger", 120, 1, 0, 0),
            ],
            tiers: vec![
                compliance("critical", 40, 0, 3, 3),
                compliance("high", 220, 4, 6, 1),
                compliance("low", 211, 3, 2, 0),
            ],
            environments: vec![
                compliance("production", 331, 5, 10, 4),
                compliance("staging", 140, 2, 1, 0),
            ],
            measures: RotationMeasures {
                started: 1_204,
                promoted: 1_188,
                completed: 1_180,
                on_schedule: Some(0.985),
                success: Some(0.991),
                failed: BTreeMap::from([("issuer".into(), 4), ("unclaimed".into(), 5)]),
                rolled_back: BTreeMap::from([("check".into(), 2)]),
                extended: 3,
                downtime_s: 0,
                mean_s: Some(42.4),
                p95_s: Some(310.0),
            },
        }),
        sequence: 900_500,
    }
}

fn step(number: u8, name: &str, state: &str, after_s: Option<i64>, note: &str) -> RotationStep {
    RotationStep {
        number,
        name: name.into(),
        state: state.into(),
        at: after_s.map(|after| at(after - 1_925)),
        took_ms: after_s.map(|after| after.cast_unsigned() * 300),
        note: note.into(),
    }
}

fn reader(name: &str, network: &str, version: u32, accepted: u64, ago_s: i64) -> Reader {
    Reader {
        name: name.into(),
        network: Some(network.into()),
        version,
        accepted,
        last_used_at: at(-ago_s),
    }
}

/// The one that waits for its readers.
pub fn detail() -> RotationDetail {
    let row = running().remove(0);
    let trail = ["rotation.promoted", "rotation.checked", "rotation.minted"];
    RotationDetail {
        reason: "ledger-batch's operator left the team".into(),
        steps: vec![
            step(1, "mint v42", "done", Some(2), "issuer openbao"),
            step(2, "self-test", "done", Some(4), "read ok, write ok"),
            step(3, "hand over", "done", Some(5), "kv:ledger/pg"),
            step(
                4,
                "wait for readers",
                "now",
                None,
                "when idle 600 s, no later than 18:00Z",
            ),
            step(
                5,
                "revoke v41",
                "next",
                None,
                "when idle 600 s, no later than 18:00Z",
            ),
            step(6, "v41 refused", "next", None, ""),
        ],
        guard: "version 41 goes once nobody has used it for 600 s, or at 2026-09-29T18:00:02Z"
            .into(),
        undo: Undo {
            possible: true,
            until: row.overlap_until,
            effect: "version 41 is in use again; version 42 is refused at once".into(),
        },
        readers: vec![
            reader("fra-1", "10.4.1.0/24", 42, 2_412, 2),
            reader("fra-1", "10.4.2.0/24", 42, 980, 3),
            reader("ams-1", "10.8.1.0/24", 42, 77, 5),
            reader("fra-1", "10.9.7.0/24", 41, 212, 136),
            reader("ams-1", "10.9.7.0/24", 41, 88, 178),
            reader("fra-1", "10.4.1.0/24", 41, 9_000, 1_900),
        ],
        overlap_s: 14_400,
        unused_s: 600,
        policy_version: 3,
        policy_digest: "sha256:5c1ea90b44d702f1".into(),
        attempts: 1,
        handed_to: "kv:ledger/pg".into(),
        group: vec![running().remove(1)],
        trail: trail
            .into_iter()
            .zip(900_003..)
            .map(|(kind, sequence)| EventRecord {
                sequence,
                at: at(-1_920),
                kind: kind.into(),
                subject: row.id.to_string(),
                subject_name: row.credential_name.clone(),
                actor: ActorView {
                    id: None,
                    name: "rotation".into(),
                    token: None,
                    from: None,
                },
                request_id: "7c1f2ab0".into(),
                data: serde_json::Value::Null,
            })
            .collect(),
        row,
    }
}

/// The same in the words of somebody who wants it misread.
pub fn hostile_detail() -> RotationDetail {
    let mut hostile = detail();
    hostile.reason = HOSTILE.into();
    hostile.row.credential_name = "pg-\u{202e}wr\u{1b}]0;owned\u{7}".into();
    hostile.row.by = "ra\u{200b}vi\u{1b}[31m".into();
    hostile.row.failure = Some(format!("\u{9b}31m{HOSTILE}"));
    hostile.row.frozen = Some("sale\u{1b}[2J\u{2066}".into());
    hostile.row.extended_until = Some(at(9_000));
    hostile.steps[3].note = HOSTILE.into();
    hostile.guard = format!("waits for {HOSTILE}");
    hostile.undo.effect = HOSTILE.into();
    hostile.handed_to = HOSTILE.into();
    for reader in &mut hostile.readers {
        reader.name = format!("fra\u{1b}[2J\u{2066}{}", reader.accepted);
    }
    hostile.group[0].credential_name = HOSTILE.into();
    hostile
}

/// A calendar whose names are hostile.
pub fn hostile_calendar() -> RotationCalendar {
    let mut calendar = calendar();
    calendar.running = vec![hostile_detail().row];
    calendar.planned[1].credential_name = HOSTILE.into();
    calendar.planned[1].frozen = Some(HOSTILE.into());
    calendar.freezes[0].name = HOSTILE.into();
    if let Some(summary) = &mut calendar.summary {
        summary.teams[0].name = HOSTILE.into();
        summary.measures.failed = BTreeMap::from([(HOSTILE.into(), 4)]);
    }
    calendar
}

/// More of everything than there are rows.
pub fn long_calendar() -> RotationCalendar {
    let mut calendar = calendar();
    let owner = "a-team-with-a-rather-long-name";
    calendar.planned = (0..400)
        .map(|n| {
            let name = format!("fleet/of-many-services-with-long-names-{n:04}");
            to_come(100 + n, &name, owner, n as i64 * 1_200 - DAY * 3)
        })
        .collect();
    (calendar.planned_total, calendar.overdue) = (98_120, 144);
    if let Some(summary) = &mut calendar.summary {
        summary.teams = (0..50)
            .map(|n| compliance(&format!("{owner}-{n:02}"), 2_000, 7, 50 - n, 3))
            .collect();
    }
    calendar
}

/// The credentials of all of these.
pub fn credentials() -> Vec<CredentialRow> {
    let calendar = calendar();
    let rotations = calendar.running.into_iter().chain(calendar.ended);
    let of = |id, name, owner: String, version| CredentialRow {
        id,
        name,
        environment: Environment::Production,
        kind: Kind::ApiKey,
        client: format!("{owner}-api"),
        owner,
        tier: Tier::High,
        state: CredentialState::Active,
        version,
        accepted: 1,
        issued_at: at(-30 * DAY),
        expires_at: Some(at(90 * DAY)),
        rotate_by: Some(at(HOUR)),
        last_used_at: Some(at(-70)),
        sequence: 899_000,
    };
    let rotations =
        rotations.map(|row| of(row.credential, row.credential_name, row.owner, row.from));
    let planned = calendar.planned.into_iter();
    let planned = planned.map(|row| of(row.credential, row.credential_name, row.owner, row.from));
    rotations.chain(planned).collect()
}
