//! A quarter of an hour of a log, in letters that the bundled font has: what the audit screen is pictured with.

use super::{at, requests};
use crate::wire::event::ActorView;
use crate::wire::{EventRecord, Page};

/// What happened, newest first: seconds ago, type, object, who, and what the record says.
const HAPPENED: &[(i64, &str, &str, &str, &str)] = &[
    (
        9,
        "approval.given",
        "payments/ledger-db",
        "tomo.s",
        r#"{"approval": {"by_name": "tomo.s", "digest": "sha256:cade8b40890156498741ee4871271bcad139344381f3499d6c0d8a588b63950a", "proof": {"method": "token"}, "reason": "index build of INC-5521, agreed with the owner of the table; one hour is enough, and the replica takes the reads meanwhile"}}"#,
    ),
    (
        27,
        "version.minted",
        "warehouse/reader",
        "issuance",
        r#"{"version": {"number": 7, "state": "warm"}}"#,
    ),
    (
        27,
        "issuance.started",
        "warehouse/reader",
        "issuance",
        r#"{"attempt": 1}"#,
    ),
    (
        28,
        "request.approved",
        "warehouse/reader",
        "etl-svc",
        r#"{"by": "policy"}"#,
    ),
    (
        115,
        "request.awaiting_approval",
        "kms-root/decrypt",
        "bkup-svc",
        r#"{"deadline": "2026-09-29T15:30:12Z"}"#,
    ),
    (
        115,
        "request.evaluated",
        "kms-root/decrypt",
        "bkup-svc",
        r#"{"evaluation": {"outcome": "needs", "risk": {"score": 91}}}"#,
    ),
    (
        115,
        "request.submitted",
        "kms-root/decrypt",
        "bkup-svc",
        "{}",
    ),
    (
        184,
        "approval.voided",
        "payments/refunds-db",
        "root",
        r#"{"by": "sam.o", "reason": "no longer in security"}"#,
    ),
    (
        184,
        "operator.granted",
        "sam.o",
        "root",
        r#"{"groups": ["platform"], "roles": {"production": ["viewer"]}}"#,
    ),
    (
        276,
        "request.denied",
        "cart/deploy",
        "ravi.p",
        r#"{"ending": {"by": "ravi.p", "reason": "ask for staging first"}}"#,
    ),
    (
        340,
        "revocation.enforced",
        "svc-ci/deploy",
        "enforcement",
        r#"{"proven": true}"#,
    ),
    (
        372,
        "revocation.effective",
        "svc-ci/deploy",
        "ravi.p",
        r#"{"revocation": {"versions": [3], "whole": true, "reason": "found in a build log"}}"#,
    ),
    (
        407,
        "issuance.failed",
        "search/reindex",
        "issuance",
        r#"{"attempt": 2, "last": false, "reason": "openbao did not answer in time"}"#,
    ),
    (
        455,
        "request.claimed",
        "orders/api-key",
        "orders-deploy",
        "{}",
    ),
    (
        455,
        "version.promoted",
        "orders/api-key",
        "orders-deploy",
        r#"{"version": 12}"#,
    ),
    (
        455,
        "version.retiring",
        "orders/api-key",
        "orders-deploy",
        r#"{"version": 11}"#,
    ),
    (
        511,
        "version.retired",
        "edge/tls-signer",
        "expiry",
        r#"{"version": 4}"#,
    ),
    (
        560,
        "credential.quarantined",
        "svc-ci/deploy",
        "maya.k",
        r#"{"reason": "a build log shows it"}"#,
    ),
    (610, "operator.token_issued", "orders-deploy", "root", "{}"),
    (655, "usage.rolled_up", "broker", "usage", "{}"),
    (
        702,
        "request.withdrawn",
        "search/backup",
        "li.w",
        r#"{"ending": {"by": "li.w", "reason": "not needed"}}"#,
    ),
    (744, "request.submitted", "search/backup", "li.w", "{}"),
    (
        801,
        "version.expired",
        "data/notebook-17",
        "expiry",
        r#"{"version": 1}"#,
    ),
    (
        866,
        "credential.owner_changed",
        "legacy/smtp",
        "maya.k",
        r#"{"owner": "mail", "reason": "it had none"}"#,
    ),
];

/// A page of them.
pub fn page() -> Page<EventRecord> {
    let newest = 918_204;
    let happened = HAPPENED.iter().zip((1..=newest).rev());
    let items: Vec<EventRecord> = happened
        .map(|(&(ago, kind, name, actor, data), sequence)| {
            let person = actor.contains('.') || actor == "root";
            EventRecord {
                sequence,
                at: at(-ago),
                kind: kind.into(),
                subject: requests()[1].id.to_string(),
                subject_name: name.into(),
                actor: ActorView {
                    id: person.then(|| "opr_01jd9x2m3v5qk7w8y6z4t0r1bc".into()),
                    name: actor.into(),
                    token: None,
                    from: person.then(|| "10.4.1.7".into()),
                },
                request_id: "7c1f2ab0".into(),
                data: serde_json::from_str(data).expect("it is JSON"),
            }
        })
        .collect();
    Page {
        items,
        next: None,
        total: newest,
        sequence: newest,
    }
}
