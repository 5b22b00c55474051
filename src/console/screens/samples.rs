//! Fixed data for these screens: what snapshots and pictures are drawn from. The words of requesters in it are
//! as hostile as words can be.

/// What somebody holds.
pub mod held;
/// A log in letters that the bundled font has.
pub mod log;
/// Policies.
pub mod policy;
/// Revocations and gateways.
pub mod revocations;
/// Rotations.
pub mod rotation;

use crate::client::chain::{Alarm, ChainState};
use crate::wire::event::ActorView;
use crate::wire::overview::{
    ApprovalFigures, Bucket, HeatRow, HygieneFigures, IssuanceFigures, RevocationFigures,
    RotationFigures,
};
use crate::wire::request::{ApprovalView, RequesterHistory, ScopeChange};
use crate::wire::{ApprovalId, ClientId, CredentialId, OperatorId, RequestId, RevocationId};
use crate::wire::{
    Environment, EventRecord, IssuerHealth, Kind, Overview, Page, Plan, Quorum, RequestDetail,
    RequestRow, RequestState, RevocationRow, Risk, RiskFactor, RuleResult, ScopeHolder, Session,
    StepUp, Tier, Verdict, plan_digest,
};
use chrono::{DateTime, TimeDelta, TimeZone as _, Utc};
use serde_json::json;
use std::collections::BTreeMap;

/// ANSI, OSC, bidi, zero-width, wide and combining characters.
pub const HOSTILE: &str = "index build \u{1b}[2J\u{1b}]0;owned\u{7}\u{202e}lla tnarg\u{202c} zero\u{200b}width \
    日本語 e\u{301}\u{301}\u{301}\u{301}\u{301}\r\nsecond line: APPROVED by maya.k";

/// The time that all of it is seen from.
pub fn now() -> DateTime<Utc> {
    Utc.with_ymd_and_hms(2026, 9, 29, 14, 32, 7)
        .single()
        .expect("a time that exists")
}

fn at(seconds: i64) -> DateTime<Utc> {
    now() + TimeDelta::seconds(seconds)
}

/// An approver in production.
pub fn session() -> Session {
    let roles = [(
        Environment::Production,
        [crate::wire::Role::Approver].into(),
    )];
    Session {
        id: crate::wire::TokenId::from_bits(1),
        operator: OperatorId::from_bits(1),
        name: "maya.k".into(),
        robot: false,
        groups: ["security".to_owned()].into(),
        roles: BTreeMap::from(roles),
        method: "ssh".into(),
        key: Some("SHA256:uFDBJ4RgTfUYYkB1JTDCCd3LIHOdDAZ8jLdMAcCQTXk".into()),
        opened_at: at(-7 * 3_600),
        expires_at: at(3_600),
        signed_in_at: at(-7 * 3_600),
        renewable_until: Some(at(5 * 3_600)),
        origin: "broker.example/audit".into(),
        verifier_key: String::new(),
        now: now(),
        broker: "eu-west-1".into(),
        environment: Some(Environment::Production),
    }
}

fn row(
    n: u128,
    requester: &str,
    credential: &str,
    risk: u8,
    tier: Tier,
    left_s: i64,
) -> RequestRow {
    RequestRow {
        id: RequestId::from_bits(0x0192_5d4e_8a00_7000_8000_0000_0000_8800 + n),
        digest: plan_digest(&plan()),
        requester: requester.into(),
        credential: credential.into(),
        environment: Environment::Production,
        kind: Kind::VaultLease,
        wants: "database/creds/payments-rw".into(),
        client: "payments-api".into(),
        ttl_s: 3_600,
        state: RequestState::AwaitingApproval,
        risk,
        tier,
        approvals: 0,
        void: 0,
        needed: 2,
        submitted_at: at(-540),
        run: RequestId::from_bits(0x0192_5d4e_8a00_7000_8000_0000_0000_8800 + n),
        burst: false,
        deadline: Some(at(left_s)),
        review_by: None,
        sequence: 918_100 + n as u64,
    }
}

/// So many requests of one person in one run; policy says of those beyond the twentieth that they are a burst.
pub fn burst(many: u128, requester: &str) -> Vec<RequestRow> {
    let run = RequestId::from_bits(0x0192_5d4e_8a00_7000_8000_0000_0000_9000);
    (0..many)
        .map(|n| RequestRow {
            id: RequestId::from_bits(run.bits() + n),
            submitted_at: at(n as i64 - 1_200),
            run,
            burst: n >= 20,
            ..row(
                n,
                requester,
                &format!("exports/job-{n}"),
                45,
                Tier::Elevated,
                9_000,
            )
        })
        .collect()
}

/// Requests of every kind that a queue has.
pub fn requests() -> Vec<RequestRow> {
    let mut rows = vec![
        row(
            46,
            "bkup-svc",
            "kms-root/decrypt",
            91,
            Tier::Critical,
            1_025,
        ),
        row(41, "jlin", "payments/ledger-db", 82, Tier::High, 1_061),
        row(43, "tomo.s", "infra/bastion-ssh", 55, Tier::Elevated, 2_590),
        row(39, "etl", "warehouse/writer", 48, Tier::Elevated, 3_062),
        row(47, "ci\u{202e}.evil", "web/gh-app", 21, Tier::Low, 4_320),
        row(40, "ravi.p", "search/reindex-日本語", 34, Tier::Low, 9_000),
    ];
    rows[0].approvals = 1;
    rows[0].needed = 3;
    rows[3].environment = Environment::Staging;
    rows[5].state = RequestState::Failed;
    rows
}

/// The request that the review is drawn from.
pub fn plan() -> Plan {
    Plan {
        credential: "payments/ledger-db".into(),
        environment: Environment::Production,
        kind: Kind::VaultLease,
        issuer: "openbao".into(),
        role: "database/creds/payments-rw".into(),
        client: ClientId::from_bits(0x0192_5d4e_8a00_7000_8000_0000_0000_0007),
        audience: "https://payments.example".into(),
        scopes: vec!["db:ddl".into(), "db:write:*".into(), "db:read".into()],
        ttl_s: 3_600,
        destination: None,
    }
}

fn change(scope: &str, held: bool, covers: u64) -> ScopeChange {
    ScopeChange {
        scope: scope.into(),
        held,
        wildcard: scope.contains('*'),
        covers,
    }
}

fn rule(effect: &str, id: &str, reason: &str) -> RuleResult {
    RuleResult {
        id: id.into(),
        effect: effect.into(),
        reason: reason.into(),
    }
}

fn factor(points: i32, id: &str, reason: &str) -> RiskFactor {
    RiskFactor {
        id: id.into(),
        points,
        reason: reason.into(),
    }
}

/// A request in full, for review.
pub fn detail() -> RequestDetail {
    let plan = plan();
    RequestDetail {
        row: requests()[1].clone(),
        requester_id: OperatorId::from_bits(2),
        requester_robot: false,
        requester_groups: vec!["payments-oncall".into()],
        digest: plan_digest(&plan),
        changes: vec![
            change("database/creds/payments-rw", false, 0),
            change("db:ddl", false, 0),
            change("db:write:*", false, 31),
            change("db:read", true, 4),
        ],
        plan,
        reason: "add index for slow checkout query, INC-5521".into(),
        owner: "team-payments".into(),
        tags: vec!["pci".into()],
        outcome: None,
        quorum: Some(Quorum {
            count: 2,
            groups: vec!["security".into()],
        }),
        max_ttl_s: 7_200,
        risk: Some(Risk {
            score: 82,
            tier: Tier::High,
            factors: vec![
                factor(40, "production_ddl", "ddl in production"),
                factor(25, "first_time", "first time"),
                factor(17, "off_hours", "off hours"),
            ],
        }),
        rules: vec![
            rule("warn", "change_ticket", "no change ticket: two approvals"),
            rule("ok", "duration", "1h is within 2h"),
            rule("ok", "separation", "the approver is another person"),
        ],
        policy: "default@9f3c".into(),
        revision: 1,
        step_up: StepUp::SshSignature,
        notes: Vec::new(),
        break_glass: None,
        approvals: Vec::new(),
        ended_by: None,
        end_reason: None,
        end_proof: None,
        failure: None,
        may_retry: None,
        attempts: 0,
        delivery: None,
        credential_id: None,
        may_decide: Verdict {
            allowed: true,
            rule: String::new(),
            detail: String::new(),
        },
        deciders: vec!["maya.k".into(), "tomo.s".into()],
        holders: vec![ScopeHolder {
            credential: "payments/migrator".into(),
            owner: "team-payments".into(),
            expires_at: Some(at(86_400)),
        }],
        holders_total: 1,
        history: RequesterHistory {
            days: 90,
            asked: 14,
            issued: 12,
            denied: 1,
            lapsed: 1,
            last_hour: 1,
            same_before: 0,
        },
        trail: Vec::new(),
    }
}

/// The same request as someone would send it who wants it to be misread.
pub fn hostile_detail() -> RequestDetail {
    let mut detail = detail();
    detail.reason = HOSTILE.into();
    detail.row.requester = "jl\u{200b}in\u{1b}[31m".into();
    detail.requester_groups = vec!["pay\u{202e}ments".into()];
    detail.row.client = "payments-\u{430}pi".into();
    detail.rules[0].reason = "no ticket\u{1b}]8;;http://evil\u{7}click".into();
    detail.approvals = vec![ApprovalView {
        id: ApprovalId::from_bits(3),
        by: "tomo.s".into(),
        at: at(-60),
        reason: "\u{9b}31mfine\u{2066}".into(),
        proof: "ssh_signature".into(),
        key: Some("SHA256:hX0bRBbXTQfZmiUR5wWaUS1h2fIKSeEpeQ3T2V9Ycb8".into()),
        hardware: false,
        void: None,
    }];
    detail.row.approvals = 1;
    detail
}

/// The same request, asking for so much that it does not fit on a screen.
pub fn long_detail() -> RequestDetail {
    let mut detail = detail();
    detail.plan.scopes = (1..=40).map(|n| format!("db:table:{n:03}")).collect();
    detail.digest = plan_digest(&detail.plan);
    detail.changes = detail
        .plan
        .scopes
        .iter()
        .map(|scope| change(scope, false, 0))
        .collect();
    detail
}

/// One event.
pub fn event(sequence: u64, seconds_ago: i64, kind: &str, name: &str, actor: &str) -> EventRecord {
    EventRecord {
        sequence,
        at: at(-seconds_ago),
        kind: kind.into(),
        subject: requests()[1].id.to_string(),
        subject_name: name.into(),
        actor: ActorView {
            id: Some("opr_01jd9x2m3v5qk7w8y6z4t0r1bc".into()),
            name: actor.into(),
            token: None,
            from: Some("10.4.1.7".into()),
        },
        request_id: "7c1f2ab0".into(),
        data: json!({
            "approval": {"by": actor, "proof": {"method": "token"}, "reason": HOSTILE},
            "digest": plan_digest(&plan()).to_string(),
            "groups": ["security", "payments"],
            "count": 2
        }),
    }
}

/// Events, newest first.
pub fn events() -> Vec<EventRecord> {
    vec![
        event(918_204, 9, "approval.given", "payments/ledger-db", "tomo.s"),
        event(
            918_203,
            27,
            "version.minted",
            "warehouse/reader",
            "issuance",
        ),
        event(
            918_202,
            115,
            "request.awaiting_approval",
            "kms-root/decrypt",
            "policy",
        ),
        event(
            918_201,
            184,
            "request.submitted",
            "kms-root/decrypt",
            "bkup-svc",
        ),
        event(
            918_200,
            276,
            "request.denied",
            "cart/deploy\u{1b}[2J",
            "ravi.p",
        ),
        event(
            918_199,
            372,
            "revocation.effective",
            "svc-ci/deploy",
            "ravi.p",
        ),
        event(
            918_198,
            407,
            "issuance.failed",
            "search/reindex-日本語",
            "issuance",
        ),
    ]
}

/// A page of [`events`].
pub fn event_page() -> Page<EventRecord> {
    Page {
        items: events(),
        next: None,
        total: 7,
        sequence: 918_204,
    }
}

/// The first screen on a morning with trouble.
pub fn overview() -> Overview {
    let bucket = |label: &str, count, filter: &str| Bucket {
        label: label.into(),
        count,
        filter: filter.into(),
    };
    Overview {
        sequence: 918_204,
        now: now(),
        lifetimes: vec![
            bucket("<1h", 96, "left<1h"),
            bucket("<24h", 312, "left<24h"),
            bucket("<7d", 640, "left<7d"),
            bucket("<30d", 1_904, "left<30d"),
            bucket("<90d", 1_031, "left<90d"),
            bucket(">90d", 171, "left>=90d"),
            bucket("never", 64, "never"),
        ],
        rotation: RotationFigures {
            living: 4_218,
            covered: 3_902,
            overdue: 14,
            oldest_overdue: Some("edge/vpn-bastion".into()),
            oldest_overdue_since: Some(at(-9 * 86_400 - 43_200)),
            due_24h: 37,
            heat: vec![
                HeatRow {
                    kind: "api_key".into(),
                    days: vec![0, 3, 0, 0, 4, 0, 0, 0, 5, 0, 0, 3, 0, 0],
                },
                HeatRow {
                    kind: "vault_lease".into(),
                    days: vec![4, 9, 3, 2, 18, 0, 0, 12, 3, 5, 40, 11, 0, 0],
                },
            ],
        },
        issuance: IssuanceFigures {
            per_hour: vec![
                200, 210, 300, 220, 190, 200, 230, 250, 210, 320, 600, 900, 1_100, 1_200, 1_000,
                980, 990, 1_300, 1_900, 1_000, 900, 700, 500, 400,
            ],
            issued: 18_312,
            failed: 11,
            denied: 112,
            p50_ms: Some(41),
            p95_ms: Some(180),
            p99_ms: Some(412),
            good_bp: Some(9_994),
        },
        approvals: ApprovalFigures {
            open: 5,
            reviews_owed: 0,
            ending_soon: 2,
            items: 5,
            policies: 0,
            policy: None,
            soonest: Some(requests()[0].clone()),
            ages: vec![2, 2, 1, 0],
            decide_p50_s: Some(220),
            decide_p95_s: Some(1_320),
        },
        revocations: RevocationFigures {
            count: 214,
            p50_ms: Some(4_000),
            p95_ms: Some(38_000),
            max_ms: Some(372_000),
            pending: vec![RevocationRow {
                id: RevocationId::from_bits(9),
                credential: CredentialId::from_bits(10),
                credential_name: "svc-ci/deploy".into(),
                versions: vec![3],
                whole: true,
                reason: "leaked".into(),
                by: "ravi.p".into(),
                effective_at: at(-372),
                enforcement: crate::wire::revocation::Enforcement::NotNeeded,
                state: crate::wire::RevocationState::Propagating,
                gateways: 12,
                applied: 11,
                proven: 11,
                late: 1,
                propagated_at: None,
                time_to_revoke_ms: None,
                since: 918_199,
                sequence: 918_199,
            }],
            late: Vec::new(),
        },
        hygiene: HygieneFigures {
            never_expiring: 64,
            unused_45d: 88,
            orphaned: 19,
            quarantined: 1,
            review_overdue: 7,
        },
        degraded: vec![IssuerHealth {
            issuer: "openbao".into(),
            ready: false,
            detail: "sealed since 14:20Z".into(),
        }],
        recent: events(),
    }
}

/// A log that was checked to its end.
pub fn whole() -> ChainState {
    ChainState::Whole {
        size: 918_203,
        root: "5c1ea90b44d702f15c1ea90b44d702f15c1ea90b44d702f15c1ea90b44d702f1".into(),
        key: "f3a91c07".into(),
        key_on_trust: true,
    }
}

/// A log that was rolled back.
pub fn rolled_back() -> ChainState {
    ChainState::Alarm(Alarm {
        word: "ROLLBACK".into(),
        detail: "918203 records were seen here before, only 918100 are offered now".into(),
        command: "countersign audit verify --context prod".into(),
        evidence: Some("/home/maya/.local/state/countersign/prod/evidence/1".into()),
    })
}
