//! Revocations and gateways on a bad night: a receiver is silent, an issuer refuses, the rest is done.

use super::{HOSTILE, at};
use crate::wire::revocation::PastRevocation;
use crate::wire::{
    CredentialId, CredentialRow, CredentialState, Enforcement, Environment, Evidence, Exposure,
    GatewayId, GatewayRow, Kind, Page, Profile, ReachState, ReachView, RevocationDetail,
    RevocationId, RevocationRow, RevocationState, Tier, TokenId, TokenRow,
};

/// One of this number, with everything in order since `began` seconds before now.
fn row(n: u128, name: &str, by: &str, reason: &str, began_s: i64) -> RevocationRow {
    let id = 0x0192_5d4e_8a00_7000_8000_0000_0000_4000 + n;
    RevocationRow {
        id: RevocationId::from_bits(id),
        credential: CredentialId::from_bits(0x0190_0000_0000_7000_8000_0000_0000_0000 | n),
        credential_name: name.into(),
        versions: vec![3],
        whole: true,
        reason: reason.into(),
        by: by.into(),
        effective_at: at(-began_s),
        state: RevocationState::Propagated,
        enforcement: Enforcement::Enforced {
            at: at(4 - began_s),
            proven: true,
        },
        gateways: 12,
        applied: 12,
        proven: 12,
        late: 0,
        propagated_at: Some(at(38 - began_s)),
        time_to_revoke_ms: Some(38_240),
        since: 918_000 + n as u64,
        sequence: 918_100 + n as u64,
    }
}

/// What is stuck, what is on its way, and what is done.
pub fn rows() -> Vec<RevocationRow> {
    let mut rows = vec![
        row(
            3,
            "svc-ci-deploy",
            "ravi.p",
            "leaked in a public repository",
            372,
        ),
        row(5, "pg-ledger-rw", "maya.k", "laptop stolen, INC-5521", 95),
        row(6, "kafka-mirror-tls", "maya.k", "replaced", 12),
        row(1, "vpn-bastion", "ana.r", "the contractor has left", 7_400),
        row(
            7,
            "legacy-smtp",
            "offboarding",
            "its client was taken out of service",
            93_000,
        ),
        row(8, "web/gh-app", "ravi.p", "in a ticket", 180_000),
    ];
    rows[0].state = RevocationState::Propagating;
    rows[0].enforcement = Enforcement::NotNeeded;
    (rows[0].applied, rows[0].proven, rows[0].late) = (11, 10, 1);
    rows[1].state = RevocationState::Propagating;
    rows[1].enforcement = Enforcement::Pending {
        attempts: 4,
        last_error: Some("role \"ledger_rw\" cannot be dropped: objects depend on it".into()),
    };
    (rows[1].gateways, rows[1].applied, rows[1].proven) = (0, 0, 0);
    rows[2].state = RevocationState::Propagating;
    (rows[2].whole, rows[2].versions) = (false, vec![7]);
    (rows[2].gateways, rows[2].applied, rows[2].proven) = (3, 1, 0);
    for open in &mut rows[..3] {
        (open.propagated_at, open.time_to_revoke_ms) = (None, None);
    }
    rows[3].late = 1;
    rows[3].time_to_revoke_ms = Some(372_000);
    rows[4].gateways = 0;
    (rows[4].applied, rows[4].proven) = (0, 0);
    rows[4].enforcement = Enforcement::NotNeeded;
    rows[4].time_to_revoke_ms = Some(0);
    rows
}

/// The credentials that they are of, of which other versions are still accepted.
pub fn credentials() -> Vec<CredentialRow> {
    let of = |row: RevocationRow| CredentialRow {
        id: row.credential,
        name: row.credential_name,
        environment: Environment::Production,
        kind: Kind::ApiKey,
        client: "orders-api".into(),
        owner: "orders".into(),
        tier: Tier::High,
        state: CredentialState::Active,
        version: 8,
        accepted: 1,
        issued_at: at(-700_000),
        expires_at: Some(at(900_000)),
        rotate_by: Some(at(200_000)),
        last_used_at: Some(at(-70)),
        sequence: 918_050,
    };
    rows().into_iter().map(of).collect()
}

/// A page of them.
pub fn page(items: Vec<RevocationRow>) -> Page<RevocationRow> {
    Page {
        next: None,
        total: items.len() as u64,
        sequence: 918_204,
        items,
    }
}

fn reach(n: u128, name: &str, profile: Profile, applied_ms: Option<u64>) -> ReachView {
    let since = at(-372);
    let later = |ms: u64| since + chrono::TimeDelta::milliseconds(ms.cast_signed());
    let told = !profile.asks();
    ReachView {
        gateway: GatewayId::from_bits(0x0192_5d4e_8a00_7000_8000_0000_0000_6000 + n),
        name: name.into(),
        profile,
        state: if applied_ms.is_some() {
            ReachState::Proven
        } else {
            ReachState::Pending
        },
        sent_at: told.then(|| later(300)),
        sent_ms: told.then_some(300),
        applied_at: applied_ms.map(later),
        applied_ms,
        by: applied_ms.map(|_| match profile {
            Profile::Receiver => Evidence::Acknowledged,
            Profile::Envoy => Evidence::CacheEnded,
            _ => Evidence::Asks,
        }),
        proven_at: applied_ms.map(|ms| later(ms + 900)),
        proven_ms: applied_ms.map(|ms| ms + 900),
        bound_at: None,
        objective_s: 60,
        late: false,
        seen_at: Some(at(-2)),
        silent: false,
        accepted: 0,
        accepted_at: None,
        refused: 1,
        refused_at: applied_ms.map(|ms| later(ms + 900)),
    }
}

/// The stuck one in full.
pub fn detail() -> RevocationDetail {
    let mut silent = reach(1, "syd-2", Profile::Receiver, None);
    silent.late = true;
    silent.silent = true;
    silent.sent_at = None;
    silent.sent_ms = None;
    silent.seen_at = Some(at(-747));
    let mut unseen = reach(2, "sin-2", Profile::Envoy, Some(31_000));
    (unseen.state, unseen.proven_at, unseen.proven_ms) = (ReachState::Applied, None, None);
    let mut all = vec![silent, unseen];
    for (n, name) in (3..).zip(["nrt-1", "sin-1", "pdx-1", "iad-2", "iad-1"]) {
        all.push(reach(
            n,
            name,
            Profile::Receiver,
            Some(4_400 - n as u64 * 500),
        ));
    }
    for (n, name) in (8..).zip(["lon-1", "ams-1", "fra-2", "fra-1", "syd-1"]) {
        all.push(reach(n, name, Profile::Nginx, Some(0)));
    }
    RevocationDetail {
        row: rows().remove(0),
        environment: Some(Environment::Production),
        client: "platform-ci".into(),
        dependents: vec!["deploy-eu".into(), "deploy-us".into()],
        objective_s: Some(60),
        reach: all,
        exposure: Exposure {
            through: vec!["syd-2".into()],
            accepted_after: None,
            refused_at: Some(at(-276)),
            ends_at: Some(at(2_273)),
        },
        before: ["vpn-bastion", "legacy-smtp", "web/gh-app"]
            .into_iter()
            .zip([Some(372_000), Some(9_000), Some(38_240)])
            .map(|(name, took)| PastRevocation {
                id: RevocationId::from_bits(9),
                credential_name: name.into(),
                effective_at: at(-9_000),
                time_to_revoke_ms: took,
            })
            .collect(),
    }
}

/// One that an issuer refuses, of a credential that no gateway is shown.
pub fn refused_by_issuer() -> RevocationDetail {
    RevocationDetail {
        row: rows().remove(1),
        reach: Vec::new(),
        objective_s: None,
        exposure: Exposure {
            through: Vec::new(),
            accepted_after: Some(at(-61)),
            refused_at: None,
            ends_at: None,
        },
        before: Vec::new(),
        ..detail()
    }
}

/// At more gateways than there are rows, and none of them has it.
pub fn long_detail() -> RevocationDetail {
    let mut long = detail();
    long.reach = (0..60)
        .map(|n| {
            let name = format!("edge-with-a-rather-long-name-{n:03}");
            let mut reach = reach(100 + n, &name, Profile::Nginx, None);
            reach.bound_at = Some(at(40));
            reach.accepted = 20 + n as u64;
            reach
        })
        .collect();
    (long.row.gateways, long.row.applied, long.row.proven) = (60, 0, 0);
    long.exposure.through = long.reach.iter().map(|reach| reach.name.clone()).collect();
    long.exposure.ends_at = None;
    long
}

/// The stuck one, in the words of somebody who wants it misread.
pub fn hostile_detail() -> RevocationDetail {
    let mut hostile = detail();
    hostile.row.reason = HOSTILE.into();
    hostile.row.by = "ra\u{200b}vi\u{1b}[31m".into();
    hostile.row.credential_name = "svc-\u{202e}ic\u{1b}]0;owned\u{7}".into();
    hostile.row.enforcement = Enforcement::Pending {
        attempts: 3,
        last_error: Some(format!("\u{9b}31m {HOSTILE}")),
    };
    hostile.reach[0].name = "syd\u{1b}[2J\u{2066}-2".into();
    hostile.client = HOSTILE.into();
    hostile.exposure.through = vec![hostile.reach[0].name.clone()];
    hostile.before[0].credential_name = HOSTILE.into();
    hostile
}

/// The gateways of that night.
pub fn gateways() -> Page<GatewayRow> {
    let row = |n: u128, name: &str, profile: Profile| GatewayRow {
        id: GatewayId::from_bits(0x0192_5d4e_8a00_7000_8000_0000_0000_6000 + n),
        name: name.into(),
        profile,
        environment: Environment::Production,
        audiences: vec!["https://orders.example".into()],
        routes: vec![crate::wire::Route {
            prefix: "/orders".into(),
            methods: vec!["GET".into(), "HEAD".into()],
            scope: "orders:read".into(),
        }],
        objective_s: 60,
        cache_s: if profile == Profile::Envoy { 30 } else { 0 },
        bound_s: match profile {
            Profile::Receiver => None,
            Profile::Envoy => Some(31),
            _ => Some(0),
        },
        by: "ana.r".into(),
        registered_at: at(-8_000_000),
        removed_at: None,
        tokens: vec![TokenRow {
            id: TokenId::from_bits(n),
            created_at: at(-8_000_000),
            expires_at: at(400_000),
            key: None,
        }],
        seen_at: Some(at(-2)),
        silent: false,
        cursor: if profile == Profile::Receiver {
            918_203
        } else {
            0
        },
        waiting: 0,
        late: 0,
        accepted: 1_204_551 + n as u64,
        refused: 311,
        sequence: 800 + n as u64,
    };
    let mut items = vec![
        row(8, "lon-1", Profile::Nginx),
        row(9, "ams-1", Profile::Nginx),
        row(2, "sin-2", Profile::Envoy),
        row(4, "sin-1", Profile::Receiver),
        row(5, "pdx-1", Profile::Haproxy),
        row(1, "syd-2", Profile::Receiver),
        row(13, "old-1", Profile::Introspection),
    ];
    items[5].seen_at = Some(at(-747));
    items[5].silent = true;
    items[5].cursor = 917_950;
    (items[5].waiting, items[5].late) = (3, 1);
    items[2].silent = true;
    items[2].seen_at = Some(at(-190));
    items[6].removed_at = Some(at(-90_000));
    Page {
        next: None,
        total: items.len() as u64,
        sequence: 918_204,
        items,
    }
}
