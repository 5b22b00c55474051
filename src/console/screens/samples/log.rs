//! A quarter of an hour of a log, in letters that the bundled font has: what the audit screen is pictured with.

use super::{at, plan, requests};
use crate::wire::event::ActorView;
use crate::wire::{EventRecord, Page, plan_digest};
use serde_json::{Value, json};

/// What happened, newest first: seconds ago, type, object, who, and what the record says.
fn happened() -> Vec<(i64, &'static str, &'static str, &'static str, Value)> {
    let digest = plan_digest(&plan()).to_string();
    vec![
        (
            9,
            "approval.given",
            "payments/ledger-db",
            "tomo.s",
            json!({
                "approval": {
                    "by_name": "tomo.s", "digest": digest, "proof": {"method": "token"},
                    "reason": "index build of INC-5521, agreed with the owner of the table; one hour is enough, \
                               and the replica takes the reads meanwhile",
                },
            }),
        ),
        (
            27,
            "version.minted",
            "warehouse/reader",
            "issuance",
            json!({"version": {"number": 7, "state": "warm"}}),
        ),
        (
            27,
            "issuance.started",
            "warehouse/reader",
            "issuance",
            json!({"attempt": 1}),
        ),
        (
            28,
            "request.approved",
            "warehouse/reader",
            "etl-svc",
            json!({"by": "policy"}),
        ),
        (
            115,
            "request.awaiting_approval",
            "kms-root/decrypt",
            "bkup-svc",
            json!({"deadline": at(3_485)}),
        ),
        (
            115,
            "request.evaluated",
            "kms-root/decrypt",
            "bkup-svc",
            json!({"evaluation": {"outcome": "needs", "risk": {"score": 91}}}),
        ),
        (
            115,
            "request.submitted",
            "kms-root/decrypt",
            "bkup-svc",
            json!({}),
        ),
        (
            184,
            "approval.voided",
            "payments/refunds-db",
            "root",
            json!({"by": "sam.o", "reason": "no longer in security"}),
        ),
        (
            184,
            "operator.granted",
            "sam.o",
            "root",
            json!({"groups": ["platform"], "roles": {"production": ["viewer"]}}),
        ),
        (
            276,
            "request.denied",
            "cart/deploy",
            "ravi.p",
            json!({"ending": {"by": "ravi.p", "reason": "ask for staging first"}}),
        ),
        (
            340,
            "revocation.enforced",
            "svc-ci/deploy",
            "enforcement",
            json!({"proven": true}),
        ),
        (
            372,
            "revocation.effective",
            "svc-ci/deploy",
            "ravi.p",
            json!({"revocation": {"versions": [3], "whole": true, "reason": "found in a build log"}}),
        ),
        (
            407,
            "issuance.failed",
            "search/reindex",
            "issuance",
            json!({"attempt": 2, "last": false, "reason": "openbao did not answer in time"}),
        ),
        (
            455,
            "request.claimed",
            "orders/api-key",
            "orders-deploy",
            json!({}),
        ),
        (
            455,
            "version.promoted",
            "orders/api-key",
            "orders-deploy",
            json!({"version": 12}),
        ),
        (
            455,
            "version.retiring",
            "orders/api-key",
            "orders-deploy",
            json!({"version": 11}),
        ),
        (
            511,
            "version.retired",
            "edge/tls-signer",
            "expiry",
            json!({"version": 4}),
        ),
        (
            560,
            "credential.quarantined",
            "svc-ci/deploy",
            "maya.k",
            json!({"reason": "a build log shows it"}),
        ),
        (
            610,
            "operator.token_issued",
            "orders-deploy",
            "root",
            json!({}),
        ),
        (655, "usage.rolled_up", "broker", "usage", json!({})),
        (
            702,
            "request.withdrawn",
            "search/backup",
            "li.w",
            json!({"ending": {"by": "li.w", "reason": "not needed"}}),
        ),
        (744, "request.submitted", "search/backup", "li.w", json!({})),
        (
            801,
            "version.expired",
            "data/notebook-17",
            "expiry",
            json!({"version": 1}),
        ),
        (
            866,
            "credential.owner_changed",
            "legacy/smtp",
            "maya.k",
            json!({"owner": "mail", "reason": "it had none"}),
        ),
    ]
}

/// A page of them.
pub fn page() -> Page<EventRecord> {
    let newest = 918_204;
    let happened = happened().into_iter().zip((1..=newest).rev());
    let items: Vec<EventRecord> = happened
        .map(|((ago, kind, name, actor, data), sequence)| {
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
                data,
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
