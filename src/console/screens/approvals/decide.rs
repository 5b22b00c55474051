//! May I, and what do I sign: who may decide, what keeps a decision locked, and the sheets.

use super::review::{asked_for, granted};
use crate::console::effect::Action;
use crate::console::sheet::{Fact, Field, Sheet, Target, Tone};
use crate::display::sanitize::{Suspicion, suspicious};
use crate::wire::{Digest, Environment, Quorum, RequestDetail, RequestState, plan_digest};

/// How the person stands to a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// May decide it.
    May,
    /// Others decide it.
    NotYours {
        /// The rule, in words.
        why: String,
        /// Who could, by handle.
        who: String,
    },
    /// Nobody decides it any more, or yet.
    Over(String),
    /// The broker names another digest than the plan has: what is shown is not what would be approved.
    DigestDiffers {
        /// The digest of the plan shown.
        shown: Digest,
    },
}

/// How the person stands to a request. The digest is computed from the plan that is shown.
pub fn standing(detail: &RequestDetail) -> Standing {
    let shown = plan_digest(&detail.plan);
    if shown != detail.digest {
        return Standing::DigestDiffers { shown };
    }
    let state = detail.row.state;
    if state != RequestState::AwaitingApproval {
        return Standing::Over(format!("it is {state}: there is nothing to decide"));
    }
    if detail.may_decide.allowed {
        return Standing::May;
    }
    let verdict = &detail.may_decide;
    Standing::NotYours {
        why: if verdict.rule.is_empty() {
            verdict.detail.clone()
        } else {
            format!("{} ({})", verdict.detail, verdict.rule)
        },
        who: detail.deciders.join(", "),
    }
}

/// Who must approve: ` from security or payments`.
pub fn quorum_words(quorum: &Quorum) -> String {
    if quorum.groups.is_empty() {
        " from a list that is empty, so nobody can".into()
    } else {
        format!(" from {}", quorum.groups.join(" or "))
    }
}

/// How much of a review was on the screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// Lines that were not, of how many.
    pub hidden_lines: usize,
    /// Scopes that were.
    pub scopes: usize,
}

/// Why it cannot be approved; `None` if it can. Denying needs none of the reading.
pub fn approve_refused(detail: &RequestDetail, seen: Seen) -> Option<String> {
    if let Some(why) = deny_refused(detail) {
        return Some(why);
    }
    let scopes = asked_for(&detail.plan).len();
    if seen.scopes < scopes {
        return Some(format!(
            "locked: {} of {scopes} scopes were not on the screen yet (ctrl-d)",
            scopes - seen.scopes
        ));
    }
    (seen.hidden_lines > 0).then(|| {
        format!(
            "locked: {} lines were not on the screen yet (ctrl-d)",
            seen.hidden_lines
        )
    })
}

/// Why it cannot be denied; `None` if it can.
pub fn deny_refused(detail: &RequestDetail) -> Option<String> {
    match standing(detail) {
        Standing::May => None,
        Standing::NotYours { why, who } if who.is_empty() => Some(format!("not yours: {why}")),
        Standing::NotYours { why, who } => Some(format!("not yours: {why}; who can: {who}")),
        Standing::Over(why) => Some(why),
        Standing::DigestDiffers { .. } => {
            Some("the digest is not of the plan shown here; tell security".into())
        }
    }
}

fn target(detail: &RequestDetail, action: Action) -> Vec<Target> {
    vec![Target {
        action,
        name: detail.plan.credential.clone(),
        sequence: detail.row.sequence,
        sent: None,
    }]
}

fn facts(detail: &RequestDetail, verb: &str) -> Vec<Fact> {
    let plan = &detail.plan;
    let asked = asked_for(plan);
    let what = if asked.is_empty() {
        "whatever the issuer gives".to_owned()
    } else {
        asked.join("  ")
    };
    let mut facts = vec![
        Fact::new(verb, format!("{} to have {what}", detail.row.requester)).tone(Tone::Strong),
        Fact::new(
            "AS",
            format!("{}, {} by {}", plan.credential, plan.kind, plan.issuer),
        ),
        Fact::new(
            "IN",
            format!("{}   FOR {}", plan.environment, granted(detail)),
        ),
        Fact::new("CLIENT", format!("{} {}", detail.row.client, plan.client)),
        Fact::new("TO", plan.audience.clone()),
        Fact::new("REQUEST", detail.row.id.to_string()),
        Fact::new("DIGEST", plan_digest(plan).short()),
    ];
    if asked.iter().any(|scope| scope.contains('*')) {
        let text = "there is a wildcard in what is asked for";
        facts.insert(1, Fact::new("", text).tone(Tone::Warn));
    }
    facts
}

/// The sheet that approves exactly what was seen. In production the credential's name is typed.
pub fn approve_sheet(detail: &RequestDetail) -> Sheet {
    let row = &detail.row;
    let production = detail.plan.environment == Environment::Production;
    let mut facts = facts(detail, "ALLOW");
    let last = row.approvals + 1 >= row.needed;
    let then = if last {
        format!(
            "approval {} of {}: it is made at once; undo by revoking it",
            row.approvals + 1,
            row.needed
        )
    } else {
        format!(
            "approval {} of {}: nothing is made yet",
            row.approvals + 1,
            row.needed
        )
    };
    facts.push(Fact::new("THEN", then));
    let action = Action::Approve(row.id, plan_digest(&detail.plan));
    let mut sheet = Sheet::new("APPROVE", "approve", target(detail, action))
        .facts(facts)
        .field(Field::reason(production));
    if production {
        sheet = sheet.field(Field::confirm(&detail.plan.credential));
    }
    sheet
}

/// The sheet that denies it: a reason and nothing else, so that no is never harder than yes.
pub fn deny_sheet(detail: &RequestDetail) -> Sheet {
    let mut facts = facts(detail, "DENY");
    facts.push(Fact::new(
        "THEN",
        "it is over at once; nothing is made; a new request can be made",
    ));
    let action = Action::Deny(detail.row.id, plan_digest(&detail.plan));
    Sheet::new("DENY", "deny", target(detail, action))
        .facts(facts)
        .field(Field::reason(true))
}

/// The sheet that takes one's own request back.
pub fn withdraw_sheet(detail: &RequestDetail) -> Sheet {
    Sheet::new(
        "WITHDRAW",
        "withdraw",
        target(detail, Action::Withdraw(detail.row.id)),
    )
    .facts(vec![
        Fact::new("TAKE BACK", detail.plan.credential.clone()).tone(Tone::Strong),
        Fact::new("REQUEST", detail.row.id.to_string()),
        Fact::new("THEN", "nobody can decide it any more; nothing is made"),
    ])
    .field(Field::reason(true))
}

/// The sheet that has a failed issuance tried once more.
pub fn retry_sheet(detail: &RequestDetail) -> Sheet {
    let failure = detail.failure.clone().unwrap_or_default();
    Sheet::new(
        "RETRY",
        "retry",
        target(detail, Action::Retry(detail.row.id)),
    )
    .facts(vec![
        Fact::new("MAKE", detail.plan.credential.clone()).tone(Tone::Strong),
        Fact::new("BY", detail.plan.issuer.clone()),
        Fact::new("REQUEST", detail.row.id.to_string()),
        Fact::new("FAILED", failure).tone(Tone::Quote),
        Fact::new(
            "THEN",
            "it is made under the approvals it has; no second secret can come of it",
        ),
    ])
    .field(Field::reason(true))
}

/// What a person should look at twice about a name, among the names that are known; the name itself may be
/// one of them.
pub fn lookalike(what: &str, name: &str, known: &[&str]) -> Option<String> {
    // Twins have nearly the same length; without this a large fleet would be spelled out for each review.
    let near = |other: &&str| *other != name && other.len().abs_diff(name.len()) <= 4;
    let near: Vec<&str> = known.iter().copied().filter(near).collect();
    Some(match suspicious(name, &near)? {
        Suspicion::LooksLike(twin) => format!("{what} {name} reads like {twin}, and is another"),
        Suspicion::MixedScripts => format!("{what} {name} mixes writing systems"),
        Suspicion::HiddenCharacters => format!("{what} {name} has characters that cannot be seen"),
        Suspicion::ReadsAsAscii => format!("{what} {name} reads as plain letters and is not"),
    })
}
