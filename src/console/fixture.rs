//! A fixed model from fixed data, for snapshots of screens and for the pictures of the documents.

use super::effect::{Call, Effect};
use super::event::{Event, LinkState, Reply};
use super::fleet::Fleet;
use super::keys::{Keys, script};
use super::model::{Context, Model, Overlay, Shared};
use super::screens::ScreenId;
use super::update::update;
use crate::wire::columns::Block;
use crate::wire::{
    CredentialDetail, CredentialId, CredentialRow, CredentialState, Environment, Kind, ListHeader,
    Session, Tier,
};
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

/// Maya, on call and approver in production, on a broker of that name.
pub fn session() -> Session {
    serde_json::from_value(serde_json::json!({
        "id": "tok_01jd9x2m3v5qk7w8y6z4t0r1bc",
        "operator": "opr_01jd9x2m3v5qk7w8y6z4t0r1bc", "name": "maya.k", "robot": false,
        "groups": ["security"], "roles": {"production": ["approver", "operator"]}, "method": "token",
        "opened_at": "2026-09-29T00:00:00Z", "expires_at": "2026-09-30T00:00:00Z",
        "signed_in_at": "2026-09-29T00:00:00Z", "renewable_until": null, "origin": "countersign.example/log", "verifier_key": "",
        "now": "2026-09-29T14:32:07Z", "broker": "eu-west-1", "environment": "production",
    }))
    .expect("a session as the broker sends it")
}

/// The credentials of the pictures: a handful that need looking at, and a fleet behind them.
pub fn credentials() -> Vec<CredentialRow> {
    let row = |number: u128,
               name: &str,
               kind,
               owner: &str,
               issued_h: i64,
               left_m: Option<i64>,
               due_m: i64| {
        CredentialRow {
            id: CredentialId::from_bits(0x0190_0000_0000_7000_8000_0000_0000_0000 | number),
            name: name.into(),
            environment: Environment::Production,
            kind,
            client: format!("{owner}-api"),
            owner: owner.into(),
            tier: Tier::High,
            state: CredentialState::Active,
            version: 3,
            accepted: 1,
            issued_at: now() - TimeDelta::hours(issued_h),
            expires_at: left_m.map(|left| now() + TimeDelta::minutes(left)),
            rotate_by: Some(now() + TimeDelta::minutes(due_m)),
            last_used_at: Some(now() - TimeDelta::minutes(7)),
            sequence: 900_000 + number as u64,
        }
    };
    let mut rows = vec![
        row(
            1,
            "vpn-bastion",
            Kind::ApiKey,
            "netops",
            2_000,
            Some(9),
            -13_680,
        ),
        row(
            2,
            "wh-reader-etl",
            Kind::DatabaseRole,
            "data",
            1,
            Some(14),
            600,
        ),
        row(
            3,
            "svc-ci-deploy",
            Kind::ApiKey,
            "platform",
            700,
            Some(37),
            6_000,
        ),
        row(
            4,
            "svc-payments-jwt",
            Kind::Jwt,
            "payments",
            6,
            Some(130),
            40,
        ),
        row(
            5,
            "pg-ledger-rw",
            Kind::DatabaseRole,
            "ledger",
            700,
            Some(190),
            900,
        ),
        row(
            6,
            "kafka-mirror-tls",
            Kind::VaultLease,
            "stream",
            12,
            Some(388),
            120,
        ),
        row(
            7,
            "legacy-smtp",
            Kind::ApiKey,
            "nobody",
            9_000,
            None,
            90_000,
        ),
    ];
    rows[4].state = CredentialState::Rotating;
    rows[4].accepted = 2;
    rows[4].version = 42;
    rows[2].state = CredentialState::Quarantined;
    rows
}

/// What the broker tells of `pg-ledger-rw`.
pub fn credential() -> CredentialDetail {
    let row = credentials().remove(4);
    let version = |number: u32, state: &str, hours: i64, retires: Option<i64>| {
        serde_json::json!({
            "number": number, "state": state, "accepted": true, "created_at": now() - TimeDelta::hours(hours),
            "expires_at": row.expires_at, "request": null, "locator": {},
            "retires_at": retires.map(|minutes| now() + TimeDelta::minutes(minutes)),
        })
    };
    serde_json::from_value(serde_json::json!({
        "row": row, "client_id": "cli_01jd9x2m3v5qk7w8y6z4t0r1bc", "audience": "pg-ledger-prod",
        "scopes": ["pg-ledger-prod:read", "pg-ledger-prod:write"], "tags": ["pci"], "issuer": "vault-prod",
        "role": "database/creds/ledger-rw", "cadence_s": 2_592_000, "renew_at": now() + TimeDelta::hours(2),
        "created_at": now() - TimeDelta::days(400), "quarantined_at": null,
        "versions": [version(41, "retiring", 700, Some(60)), version(42, "active", 1, None)],
        "dependents": ["ledger-batch", "recon-eu"], "used": 48_211, "refused": 3, "revocations": [],
        "trail": [{
            "sequence": 900_005, "at": now() - TimeDelta::minutes(41), "type": "credential.version_activated",
            "subject": row.id, "subject_name": "pg-ledger-rw", "actor": {"name": "issuance"},
            "request_id": "r-1", "data": {},
        }],
    }))
    .expect("a detail as the broker sends it")
}

/// A console of this size, signed in and live, showing `screen`.
pub fn model(size: (u16, u16), screen: ScreenId) -> Model {
    let context = Context {
        name: "prod".into(),
        url: "https://countersign.example".into(),
        others: vec!["staging".into()],
        ..Context::default()
    };
    let mut model = Model::new(Shared::new(context, now(), size, 7));
    model.current = screen;
    let rows = credentials();
    let header = ListHeader {
        count: rows.len() as u64,
        sequence: 900_100,
    };
    let events = [
        Event::Reload(header),
        Event::Rows(Box::new(Block::from_rows(&rows))),
        Event::Loaded(true),
        Event::Link(LinkState::Live { latency_ms: 184 }),
    ];
    for event in &events {
        update(&mut model, event);
    }
    answer(
        &mut model,
        &Call::Session,
        Reply::Session(Box::new(session())),
    );
    update(&mut model, &Event::Tick(now()));
    model
}

/// Answers a call that is under way.
pub fn answer(model: &mut Model, call: &Call, reply: Reply) -> Vec<Effect> {
    let open = model.shared.calls.iter().find(|(_, open)| open == call);
    let id = open.expect("the call is under way").0;
    update(model, &Event::Reply(id, Box::new(Ok(reply))))
}

/// Presses keys, as [`script`] reads them, and after each brings the lists up to date and lets the cursor rest.
pub fn press(model: &mut Model, keys: &str) -> Vec<Effect> {
    let mut pressed = Keys::default();
    let mut effects = Vec::new();
    for key in script(keys) {
        if let Some(event) = pressed.press(key, model) {
            effects.extend(update(model, &event));
        }
        effects.extend(update(model, &Event::Tick(now())));
        effects.extend(update(model, &Event::Rested));
    }
    effects
}

/// The page or menu that lies over the screen, as text.
///
/// # Panics
/// If neither does.
pub fn over(model: &Model) -> String {
    match &model.overlay {
        Some(Overlay::Page(title, lines, _)) => format!("{title}\n{}", lines.join("\n")),
        Some(Overlay::Menu(menu)) => {
            let entries = menu.entries.iter();
            let lines =
                entries.map(|entry| format!("{} {}  {}", entry.key, entry.label, entry.note));
            format!("{}\n{}", menu.title, lines.collect::<Vec<_>>().join("\n"))
        }
        other => panic!("nothing to read: {other:?}"),
    }
}
