//! May I decide this policy, what is missing, and the sheets.

use super::page::{changed_files, simulated_words};
use crate::console::effect::{Action, ToSign};
use crate::console::screens::approvals::decide::{signing, signing_denial};
use crate::console::sheet::{Fact, Field, Sheet, Target, Tone};
use crate::wire::{ProposalDetail, ProposalRow, ProposalState, Simulation, policy_digest};

/// What a proposal's text is signed by.
pub type PolicyToSign = ToSign<ProposalDetail>;

/// What is missing until it comes in force.
pub fn missing(row: &ProposalRow) -> String {
    match row.needed.saturating_sub(row.approvals) {
        0 => "nothing is missing".to_owned(),
        more => format!("{more} more of {}", row.groups.join(" or ")),
    }
}

/// Why it cannot be approved; `None` if it can. `hidden` lines of it were not on the screen yet.
pub fn approve_refused(detail: &ProposalDetail, hidden: usize) -> Option<String> {
    if let Some(why) = deny_refused(detail) {
        return Some(why);
    }
    let verdict = &detail.may_decide;
    if !verdict.allowed {
        return Some(format!("{}: {}", verdict.detail, missing(&detail.row)));
    }
    (hidden > 0).then(|| format!("locked: {hidden} lines were not on the screen yet (ctrl-d)"))
}

/// Why it cannot be denied; `None` if it can. Denying needs none of the reading, and who has approved may still deny.
pub fn deny_refused(detail: &ProposalDetail) -> Option<String> {
    if policy_digest(&detail.files) != detail.row.digest {
        return Some("the digest is not of the text shown here; tell security".into());
    }
    let verdict = &detail.may_decide;
    if verdict.allowed || verdict.rule == "distinct-people" {
        return None;
    }
    Some(match detail.deciders.join(", ") {
        who if who.is_empty() => verdict.detail.clone(),
        who => format!("{}; who can: {who}", verdict.detail),
    })
}

/// Why it cannot be taken back; `None` if it can.
pub fn withdraw_refused(detail: &ProposalDetail) -> Option<String> {
    let state = detail.row.state;
    (state != ProposalState::AwaitingApproval)
        .then(|| format!("it is {state}: there is nothing to take back"))
}

fn target(detail: &ProposalDetail, action: Action) -> Vec<Target> {
    vec![Target {
        action,
        name: format!("policy version {}", detail.row.base + 1),
        sequence: detail.row.sequence,
        sent: None,
    }]
}

fn facts(detail: &ProposalDetail, simulation: Option<&Simulation>, verb: &str) -> Vec<Fact> {
    let row = &detail.row;
    let changed = changed_files(detail);
    let would = Fact::new("TRIED", simulated_words(simulation, false));
    vec![
        Fact::new(
            verb,
            format!(
                "the text of {} as version {}, in place of version {}",
                row.proposed_by,
                row.base + 1,
                row.base
            ),
        )
        .tone(Tone::Strong),
        Fact::new("CHANGES", changed.join("  ")),
        match simulation {
            Some(_) => would,
            None => would.tone(Tone::Warn),
        },
        Fact::new("ID", row.id.to_string()),
        Fact::new("TEXT", policy_digest(&detail.files).short()),
    ]
}

/// The sheet that approves exactly the text that was seen; its short digest is typed.
pub fn approve_sheet(
    detail: &ProposalDetail,
    simulation: Option<&Simulation>,
    to_sign: Option<PolicyToSign>,
) -> Sheet {
    let row = &detail.row;
    let digest = policy_digest(&detail.files);
    let mut facts = facts(detail, simulation, "ALLOW");
    facts.extend(signing(to_sign.as_ref(), detail.step_up));
    let number = format!("approval {} of {}", row.approvals + 1, row.needed);
    let then = if row.approvals + 1 >= row.needed {
        format!("{number}: it decides every request from then on; undo by proposing the one before")
    } else {
        format!("{number}: nothing comes in force yet")
    };
    facts.push(Fact::new("THEN", then));
    let action = Action::ApprovePolicy(row.id, digest, to_sign.map(Box::new));
    Sheet::new("APPROVE POLICY", "approve", target(detail, action))
        .facts(facts)
        .field(Field::reason(true))
        .field(Field::confirm(&digest.short()))
}

/// The sheet that denies it. What keeps a key from signing does not keep anybody from denying.
pub fn deny_sheet(
    detail: &ProposalDetail,
    simulation: Option<&Simulation>,
    to_sign: Result<Option<PolicyToSign>, String>,
) -> Sheet {
    let digest = policy_digest(&detail.files);
    let mut facts = facts(detail, simulation, "DENY");
    let signs = to_sign.as_ref().map(Option::as_ref).map_err(String::as_str);
    facts.extend(signing_denial(signs, detail.step_up));
    facts.push(Fact::new(
        "THEN",
        "it is over at once; what is in force stays; it can be proposed again",
    ));
    let to_sign = to_sign.ok().flatten().map(Box::new);
    let action = Action::DenyPolicy(detail.row.id, digest, to_sign);
    Sheet::new("DENY POLICY", "deny", target(detail, action))
        .facts(facts)
        .field(Field::reason(true))
        .field(Field::confirm(&digest.short()))
}

/// The sheet that takes a proposal back.
pub fn withdraw_sheet(detail: &ProposalDetail) -> Sheet {
    let digest = policy_digest(&detail.files);
    let action = Action::WithdrawPolicy(detail.row.id);
    Sheet::new("WITHDRAW POLICY", "withdraw", target(detail, action))
        .facts(vec![
            Fact::new(
                "TAKE BACK",
                format!("the text of {}", detail.row.proposed_by),
            )
            .tone(Tone::Strong),
            Fact::new("ID", detail.row.id.to_string()),
            Fact::new(
                "THEN",
                "nobody can decide it any more; what is in force stays",
            ),
        ])
        .field(Field::reason(true))
        .field(Field::confirm(&digest.short()))
}
