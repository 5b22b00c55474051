//! A policy that two approved, and one that is proposed in its place.

use super::{HOSTILE, at};
use crate::wire::policy::{Decided, Difference};
use crate::wire::request::ApprovalView;
use crate::wire::{
    ApprovalId, Environment, Outcome, Policies, PolicyDetail, PolicyRow, ProposalDetail,
    ProposalId, ProposalRow, ProposalState, RequestId, Simulation, StepUp, Tier, Verdict,
    policy_digest,
};
use std::collections::BTreeMap;

const TIERS: &str = r#"{
  "approval_ttl_s": 14400,
  "ask": {
    "production": {
      "low": {"count": 0, "groups": [], "step_up": "none"},
      "elevated": {"count": 1, "groups": ["security"], "step_up": "none"},
      "high": {"count": 2, "groups": ["security"], "step_up": "ssh_signature"}
    }
  }
}
"#;

fn shipped() -> BTreeMap<String, String> {
    [
        ("issue.rego", "package countersign.issue\n"),
        ("tiers.json", TIERS),
        (
            "weights.json",
            "{\n  \"points\": {\n    \"hours.off\": 5\n  }\n}\n",
        ),
    ]
    .map(|(name, text)| (name.to_owned(), text.to_owned()))
    .into()
}

fn second() -> BTreeMap<String, String> {
    let mut files = shipped();
    let text = files["weights.json"].replace(": 5", ": 10");
    files.insert("weights.json".to_owned(), text);
    files
}

fn third() -> BTreeMap<String, String> {
    let mut files = second();
    let text = TIERS.replace(
        r#""elevated": {"count": 1, "groups": ["security"], "step_up": "none"}"#,
        r#""elevated": {"count": 2, "groups": ["security"], "step_up": "ssh_signature"}"#,
    );
    files.insert("tiers.json".to_owned(), text);
    files.insert(
        "cases/tiers.json".to_owned(),
        "{\"cases\": []}\n".to_owned(),
    );
    files
}

fn second_row() -> PolicyRow {
    PolicyRow {
        version: 2,
        digest: policy_digest(&second()),
        in_force: true,
        since: Some(at(-86_400 * 12)),
        proposal: Some(ProposalId::from_bits(2)),
        proposed_by: "maya.k".into(),
        approved_by: vec!["tomo.s".into(), "ana.r".into()],
        reason: "nights count for more since the incident of 3 September".into(),
    }
}

fn third_row() -> ProposalRow {
    ProposalRow {
        id: ProposalId::from_bits(3),
        state: ProposalState::AwaitingApproval,
        base: 2,
        digest: policy_digest(&third()),
        proposed_by: "ravi.p".into(),
        reason: "two people for whatever is elevated in production".into(),
        proposed_at: at(-5_400),
        deadline: at(86_400 * 6),
        approvals: 1,
        needed: 2,
        groups: vec!["security".into()],
        version: None,
        sequence: 918_190,
    }
}

/// All of them.
pub fn policies() -> Policies {
    Policies {
        in_force: 2,
        fault: String::new(),
        versions: vec![
            second_row(),
            PolicyRow {
                version: 1,
                digest: policy_digest(&shipped()),
                in_force: false,
                since: None,
                proposal: None,
                proposed_by: String::new(),
                approved_by: Vec::new(),
                reason: "ships with the program".into(),
            },
        ],
        proposals: vec![third_row()],
    }
}

/// The version in force.
pub fn version() -> PolicyDetail {
    PolicyDetail {
        row: second_row(),
        files: second(),
        before: shipped(),
    }
}

/// The proposal, half approved.
pub fn proposal() -> ProposalDetail {
    ProposalDetail {
        row: third_row(),
        files: third(),
        before: second(),
        approvals: vec![ApprovalView {
            id: ApprovalId::from_bits(9),
            by: "ana.r".into(),
            at: at(-1_800),
            reason: String::new(),
            proof: "ssh_signature".into(),
            key: Some("SHA256:o3Yp1sXb0rXkQe5m2cW8vTq9hUjL4nZ7aGfDdRiS6Bw".into()),
            hardware: false,
            void: None,
        }],
        may_decide: Verdict {
            allowed: true,
            rule: String::new(),
            detail: String::new(),
        },
        deciders: vec!["maya.k".into(), "tomo.s".into()],
        step_up: StepUp::SshSignature,
        ended_by: None,
        end_reason: None,
        end_proof: None,
        trail: Vec::new(),
    }
}

/// The same by somebody hostile, in a text and in words that pretend.
pub fn hostile() -> ProposalDetail {
    let mut detail = proposal();
    detail.row.reason = HOSTILE.into();
    detail.files.insert(
        "tiers.json".into(),
        format!("{HOSTILE}\n\u{1b}[32m you may decide this\n"),
    );
    detail.may_decide = Verdict {
        allowed: false,
        rule: "proposer-never-counts".into(),
        detail: "you proposed this; 2 of security decide".into(),
    };
    detail
}

/// What it would have decided.
pub fn simulation() -> Simulation {
    let decided = |approvals, step_up, risk| Decided {
        outcome: Outcome::Needs,
        approvals,
        groups: vec!["security".into()],
        step_up,
        hold: false,
        max_ttl_s: 7_776_000,
        risk,
        tier: Tier::Elevated,
        reasons: vec!["tier.elevated: elevated risk in production".into()],
    };
    let difference = |number: u128, credential: &str, seconds| Difference {
        request: RequestId::from_bits(number),
        credential: credential.into(),
        environment: Environment::Production,
        requester: "svc-orders-api".into(),
        submitted_at: at(seconds),
        before: decided(1, StepUp::None, 43),
        after: decided(2, StepUp::SshSignature, 43),
    };
    Simulation {
        digest: policy_digest(&third()),
        days: 30,
        decisions: 311,
        differ: 4,
        without_facts: 0,
        cut: false,
        differences: vec![
            difference(1, "payments/checkout-api", -7_200),
            difference(2, "orders/fulfilment", -90_000),
            difference(3, "billing/invoices", -400_000),
            difference(4, "search/indexer", -900_000),
        ],
    }
}
