//! Somebody who holds something of everything, and reviews that nobody did.

use super::{at, requests};
use crate::client::Held;
use crate::client::holdings::Part;
use crate::wire::holdings::GivenApproval;
use crate::wire::{
    ClientId, ClientRow, CredentialId, CredentialRow, CredentialState, Environment, KeyRow, Kind,
    OperatorHoldings, OperatorId, OperatorRow, Page, ReviewRow, ReviewState, Role, Tier, TokenId,
    TokenRow,
};

const DAY: i64 = 86_400;

/// What Ravi, who is alone in `recon`, holds and answers for.
pub fn held() -> Held {
    let mut asked = requests();
    asked.truncate(1);
    let operator = OperatorRow {
        id: OperatorId::from_bits(21),
        name: "ravi.p".into(),
        display_name: "Ravi Patel".into(),
        robot: false,
        groups: ["ledger".to_owned(), "recon".to_owned()].into(),
        roles: [
            (Environment::Staging, [Role::Viewer, Role::Operator].into()),
            (
                Environment::Production,
                [Role::Viewer, Role::Approver].into(),
            ),
        ]
        .into(),
        client: None,
        tokens: vec![TokenRow {
            id: TokenId::from_bits(22),
            created_at: at(-7_200),
            expires_at: at(3_600),
            key: Some("SHA256:7hP1fXqW9bq0W3xLr2c8m4zq1e5YJ0a6n9b2QdVtKxE".into()),
        }],
        keys: vec![KeyRow {
            fingerprint: "SHA256:7hP1fXqW9bq0W3xLr2c8m4zq1e5YJ0a6n9b2QdVtKxE".into(),
            public_key: String::new(),
            hardware: true,
            enrolled_by: OperatorId::from_bits(20),
            enrolled_at: at(-90 * DAY),
            valid_from: Some(at(-89 * DAY)),
            countersigned_by: Some("maya.k".into()),
        }],
        offboarded_at: None,
        sequence: 870_001,
    };
    let owned = CredentialRow {
        id: CredentialId::from_bits(61),
        name: "pg-ledger-rw".into(),
        environment: Environment::Production,
        kind: Kind::DatabaseRole,
        client: "ledger-api".into(),
        owner: "ledger".into(),
        tier: Tier::High,
        state: CredentialState::Rotating,
        version: 42,
        accepted: 2,
        issued_at: at(-29 * DAY),
        expires_at: Some(at(11_400)),
        rotate_by: Some(at(54_000)),
        last_used_at: Some(at(-420)),
        sequence: 900_005,
    };
    Held {
        name: "ravi.p".into(),
        account: Some(Box::new(OperatorHoldings {
            operator,
            requests: asked,
            requests_total: 1,
            approvals: vec![GivenApproval {
                request: crate::wire::RequestId::from_bits(31),
                credential: "payments/refunds-db".into(),
                environment: Environment::Production,
                at: at(-600),
            }],
            alone_in: vec!["ravi.p".into(), "recon".into()],
            credentials: Vec::new(),
            credentials_total: 2,
            sequence: 918_204,
        })),
        owners: vec!["ledger".into(), "ravi.p".into(), "recon".into()],
        clients: Part {
            rows: vec![ClientRow {
                id: ClientId::from_bits(41),
                name: "ledger-api".into(),
                owner: "ledger".into(),
                contact: "ledger@example".into(),
                environment: Environment::Production,
                tier: Tier::High,
                dependents: vec!["invoices".into()],
                credentials: 12,
                offboarded_at: None,
                sequence: 7,
            }],
            total: 1,
        },
        credentials: Part {
            total: 140,
            rows: vec![owned],
        },
        reviews: Part {
            rows: vec![overdue("ledger/reader", "ledger", -3)],
            total: 1,
        },
    }
}

fn overdue(name: &str, owner: &str, days: i64) -> ReviewRow {
    ReviewRow {
        id: CredentialId::from_bits(51),
        name: name.into(),
        environment: Environment::Production,
        kind: Kind::ApiKey,
        tier: Tier::High,
        owner: owner.into(),
        client: "ledger-api".into(),
        scopes: vec!["ledger:read".into()],
        state: ReviewState::Overdue,
        due_at: at(days * DAY),
        confirmed_at: None,
        confirmed_by: None,
        last_used_at: Some(at(-420)),
        sequence: 900_000,
    }
}

/// Access reviews that are overdue, the longest first.
pub fn reviews() -> Page<ReviewRow> {
    let rows = [
        ("edge/vpn-bastion", "netops", -41),
        ("warehouse/reader", "data", -12),
        ("ledger/reader", "ledger", -3),
    ];
    Page {
        items: rows
            .map(|(name, owner, days)| overdue(name, owner, days))
            .into(),
        next: Some("cursor".into()),
        total: 7,
        sequence: 918_204,
    }
}
