//! May I, and what do I sign: who may decide, what keeps a decision locked, and the sheets.

use super::review::{asked_for, granted};
use crate::console::command::ActKind;
use crate::console::effect::{Action, ToSign};
use crate::console::model::{Choice, Menu, MenuEntry, Shared};
use crate::console::sheet::{Fact, Field, Sheet, Target, Tone};
use crate::wire::burst::Burst;
use crate::wire::request::Narrowed;
use crate::wire::{
    Digest, Environment, Quorum, RequestDetail, RequestRow, RequestState, Role, StepUp, plan_digest,
};
use std::collections::HashSet;

/// How the person stands to a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// May decide it.
    May,
    /// Has approved it; may still deny it, offer less, or stop it.
    Approved,
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
    let owed = review_owed(detail);
    if state != RequestState::AwaitingApproval && !owed {
        return Standing::Over(format!("it is {state}: there is nothing to decide"));
    }
    if detail.may_decide.allowed {
        return Standing::May;
    }
    let verdict = &detail.may_decide;
    if verdict.rule == "distinct-people" {
        return Standing::Approved;
    }
    Standing::NotYours {
        why: if verdict.rule.is_empty() {
            verdict.detail.clone()
        } else {
            format!("{} ({})", verdict.detail, verdict.rule)
        },
        who: detail.deciders.join(", "),
    }
}

/// Whether others have yet to look at what was issued without them.
pub fn review_owed(detail: &RequestDetail) -> bool {
    let glass = detail.break_glass.as_ref();
    glass.is_some_and(|glass| glass.reviewed_at.is_none())
}

/// Who must approve: ` from security or payments`.
pub fn quorum_words(quorum: &Quorum) -> String {
    if quorum.groups.is_empty() {
        " from a list that is empty, so nobody can".into()
    } else {
        format!(" from {}", quorum.groups.join(" or "))
    }
}

/// What is still missing after the person's own approval.
pub fn approved(detail: &RequestDetail) -> String {
    let more = detail.row.needed.saturating_sub(detail.row.approvals);
    let groups = detail
        .quorum
        .as_ref()
        .map_or_else(String::new, quorum_words);
    format!("you have approved it: {more} more{groups}")
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
    if standing(detail) == Standing::Approved {
        return Some(approved(detail));
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

/// Why less cannot be offered; `None` if it can.
pub fn narrow_refused(detail: &RequestDetail) -> Option<String> {
    if review_owed(detail) {
        return Some("it is issued already".into());
    }
    deny_refused(detail).or_else(|| {
        narrowings(detail)
            .is_empty()
            .then(|| "there is nothing less to offer; deny it".into())
    })
}

fn waits(detail: &RequestDetail) -> Option<String> {
    let state = detail.row.state;
    let waits = matches!(state, RequestState::AwaitingApproval | RequestState::Held);
    (!waits && !review_owed(detail)).then(|| format!("it is {state}: nothing is open about it"))
}

/// Why nothing can be asked or answered; `None` if it can.
pub fn note_refused(detail: &RequestDetail, own: bool) -> Option<String> {
    waits(detail).or_else(|| match standing(detail) {
        Standing::NotYours { why, .. } if !own && detail.row.state != RequestState::Held => {
            Some(format!("not yours: {why}"))
        }
        _ => None,
    })
}

/// Why it cannot be stopped, or let go on; `None` if it can.
pub fn hold_refused(detail: &RequestDetail, shared: &Shared) -> Option<String> {
    if review_owed(detail) {
        return Some("it is issued already; deny it to withdraw it".into());
    }
    let on_call = shared.holds(detail.plan.environment, &[Role::Operator]);
    waits(detail).or_else(|| match standing(detail) {
        Standing::NotYours { why, .. } if !on_call => Some(format!("not yours: {why}")),
        _ => None,
    })
}

/// Why the glass cannot be broken; `None` if it can be tried: policy has the last word.
pub fn break_glass_refused(detail: &RequestDetail) -> Option<String> {
    if detail.break_glass.is_some() {
        return Some("it is broken already".into());
    }
    waits(detail)
}

/// Why it cannot be denied; `None` if it can.
pub fn deny_refused(detail: &RequestDetail) -> Option<String> {
    match standing(detail) {
        Standing::May | Standing::Approved => None,
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
    if let Some(destination) = &plan.destination {
        let fact = Fact::new("PUT AT", destination.to_string());
        facts.insert(facts.len() - 2, fact);
    }
    if asked.iter().any(|scope| scope.contains('*')) {
        let text = "there is a wildcard in what is asked for";
        facts.insert(1, Fact::new("", text).tone(Tone::Warn));
    }
    facts
}

/// What a person's key will say, for the sheet.
pub fn signing<D>(to_sign: Option<&ToSign<D>>, step_up: StepUp) -> Option<Fact> {
    let to_sign = to_sign?;
    let key = match step_up {
        StepUp::HardwareKey => "your security key signs this, once you touch it",
        _ => "your SSH key signs this; touch it, if it is one that asks",
    };
    Some(Fact::new(
        "SIGN",
        format!("{key}: as {}, log #{}", to_sign.operator, to_sign.head.size),
    ))
}

/// What a person's key will say of a denial, where signatures are asked for: it stops with one and without.
pub fn signing_denial<D>(
    to_sign: Result<Option<&ToSign<D>>, &str>,
    step_up: StepUp,
) -> Option<Fact> {
    const WITHOUT: &str = "it is denied all the same, and recorded as not signed";
    match to_sign {
        Ok(to_sign) => {
            let mut fact = signing(to_sign, step_up)?;
            fact.text.push_str("; without a key at hand ");
            fact.text.push_str(WITHOUT);
            Some(fact)
        }
        Err(why) => Some(Fact::new("SIGN", format!("nothing: {why}; {WITHOUT}")).tone(Tone::Warn)),
    }
}

/// The sheet that approves exactly what was seen. In production, and wherever a key signs, the credential's name is
/// typed: nobody signs by accident.
pub fn approve_sheet(detail: &RequestDetail, to_sign: Option<ToSign>) -> Sheet {
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
    facts.extend(signing(to_sign.as_ref(), detail.step_up));
    facts.push(Fact::new("THEN", then));
    let typed = production || to_sign.is_some();
    let action = Action::Approve(row.id, plan_digest(&detail.plan), to_sign.map(Box::new));
    let mut sheet = Sheet::new("APPROVE", "approve", target(detail, action))
        .facts(facts)
        .field(Field::reason(production));
    if typed {
        sheet = sheet.field(Field::confirm(&detail.plan.credential));
    }
    sheet
}

/// A way of asking for less.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Narrowing {
    /// What is different, in words.
    pub label: String,
    /// The scopes that are left.
    pub scopes: Vec<String>,
    /// The life that is left, in seconds.
    pub ttl_s: u64,
}

/// The shortest life that is offered, in seconds.
const LIFE_MIN_S: u64 = 15 * 60;

/// How many scopes are offered to be left out one by one.
const WITHOUT_ONE: usize = 16;

/// The ways of asking for less that are offered: without a wildcard, without what is new, for a shorter time.
pub fn narrowings(detail: &RequestDetail) -> Vec<Narrowing> {
    let plan = &detail.plan;
    let granted = match detail.max_ttl_s {
        0 => plan.ttl_s,
        most => plan.ttl_s.min(most),
    };
    let mut ways: Vec<Narrowing> = Vec::new();
    let mut offer = |label: String, scopes: Vec<String>, ttl_s: u64| {
        let less = scopes.len() < plan.scopes.len() || ttl_s < granted;
        let known = ways
            .iter()
            .any(|way| way.scopes == scopes && way.ttl_s == ttl_s);
        if less && scopes.is_empty() == plan.scopes.is_empty() && !known {
            ways.push(Narrowing {
                label,
                scopes,
                ttl_s,
            });
        }
    };
    let keep = |kept: &dyn Fn(&str) -> bool| {
        let scopes = plan.scopes.iter();
        scopes
            .filter(|scope| kept(scope))
            .cloned()
            .collect::<Vec<_>>()
    };
    let held: HashSet<&str> = detail
        .changes
        .iter()
        .filter(|change| change.held)
        .map(|change| change.scope.as_str())
        .collect();
    let held = |scope: &str| held.contains(scope);
    for part in [2, 4, 8] {
        let ttl_s = (granted / part).max(LIFE_MIN_S);
        let label = format!("for {} only", super::review::duration(ttl_s));
        offer(label, plan.scopes.clone(), ttl_s);
    }
    offer(
        "without wildcards".into(),
        keep(&|scope| !scope.contains('*')),
        granted,
    );
    offer("only what it holds already".into(), keep(&held), granted);
    let new = plan.scopes.iter().filter(|scope| !held(scope));
    for scope in new.take(WITHOUT_ONE) {
        offer(
            format!("without {scope}"),
            keep(&|other| other != scope.as_str()),
            granted,
        );
    }
    ways
}

/// The menu of ways to ask for less; each is tried at the broker before anything is asked of the person.
pub fn narrow_menu(detail: &RequestDetail) -> Menu {
    let entries = ('a'..='z').zip(narrowings(detail)).enumerate();
    Menu {
        title: format!("NARROW {}", detail.plan.credential),
        entries: entries
            .map(|(at, (key, way))| MenuEntry {
                key,
                label: way.label,
                note: "the broker says what risk and quorum that would have".into(),
                refused: None,
                does: Choice::ActOn(ActKind::Narrow, at as u32),
            })
            .collect(),
        cursor: Some(0),
    }
}

/// The sheet that makes it ask for less, with what policy says of that.
pub fn narrow_sheet(detail: &RequestDetail, narrowed: &Narrowed) -> Sheet {
    let left = RequestDetail {
        plan: narrowed.plan.clone(),
        ..detail.clone()
    };
    let mut facts = facts(&left, "OFFER");
    let before = detail.risk.as_ref().map_or(0, |risk| risk.score);
    let quorum = match &narrowed.quorum {
        Some(quorum) => format!("{} approvals{}", quorum.count, quorum_words(quorum)),
        None => "no approval: policy lets it through at once".into(),
    };
    facts.extend([
        Fact::new(
            "RISK",
            format!(
                "{} {}, now {before}",
                narrowed.risk.tier, narrowed.risk.score
            ),
        ),
        Fact::new("QUORUM", quorum),
        Fact::new(
            "THEN",
            "what was approved so far no longer counts; the requester is told",
        ),
    ]);
    let plan = &narrowed.plan;
    let action = Action::Narrow(
        detail.row.id,
        plan_digest(&detail.plan),
        plan.scopes.clone(),
        plan.ttl_s,
    );
    Sheet::new("NARROW", "narrow", target(detail, action))
        .facts(facts)
        .field(Field::reason(true))
}

/// The sheet that asks the requester something, or answers.
pub fn note_sheet(detail: &RequestDetail, answer: bool) -> Sheet {
    let (title, to) = if answer {
        ("ANSWER", "whoever decides")
    } else {
        ("ASK", detail.row.requester.as_str())
    };
    let action = Action::AddNote(detail.row.id);
    Sheet::new(title, &title.to_lowercase(), target(detail, action))
        .facts(vec![
            Fact::new("ABOUT", detail.plan.credential.clone()).tone(Tone::Strong),
            Fact::new("TO", to),
            Fact::new(
                "THEN",
                "it is kept in the record, for good, and decides nothing",
            ),
        ])
        .field(Field::reason(true))
}

/// The sheet that stops it, or lets it go on.
pub fn hold_sheet(detail: &RequestDetail) -> Sheet {
    let held = detail.row.state == RequestState::Held;
    let (title, verb, action, then) = if held {
        (
            "LET IT GO ON",
            "resume",
            Action::Resume(detail.row.id),
            "it can be decided again; what was approved still counts",
        )
    } else {
        (
            "HOLD",
            "hold",
            Action::Hold(detail.row.id),
            "nobody can decide it until somebody lets it go on; its time still runs",
        )
    };
    Sheet::new(title, verb, target(detail, action))
        .facts(vec![
            Fact::new(title, detail.plan.credential.clone()).tone(Tone::Strong),
            Fact::new("REQUEST", detail.row.id.to_string()),
            Fact::new("THEN", then),
        ])
        .field(Field::reason(true))
}

/// The sheet that skips the quorum of one's own request.
pub fn break_glass_sheet(detail: &RequestDetail, to_sign: ToSign) -> Sheet {
    let mut facts = facts(detail, "TAKE");
    facts.insert(
        0,
        Fact::new("", "EMERGENCY: nobody else has agreed to this").tone(Tone::Warn),
    );
    facts.extend(signing(Some(&to_sign), detail.step_up));
    facts.push(Fact::new(
        "THEN",
        "made at once, for minutes; everybody is told; if others do not sign for it in time, it is withdrawn",
    ));
    let action = Action::BreakGlass(detail.row.id, Box::new(to_sign));
    Sheet::new("BREAK GLASS", "break the glass", target(detail, action))
        .facts(facts)
        .field(Field::reason(true))
        .field(Field::confirm(&detail.plan.credential))
}

/// The sheet that denies it: a reason, and the name where a key signs, so that no is never harder than yes and nobody
/// signs by accident. What keeps a key from signing does not keep anybody from denying.
pub fn deny_sheet(detail: &RequestDetail, to_sign: Result<Option<ToSign>, String>) -> Sheet {
    let mut facts = facts(detail, "DENY");
    let signs = to_sign.as_ref().map(Option::as_ref).map_err(String::as_str);
    facts.extend(signing_denial(signs, detail.step_up));
    let to_sign = to_sign.ok().flatten();
    let typed = to_sign.is_some();
    facts.push(Fact::new(
        "THEN",
        "it is over at once; nothing is made; a new request can be made",
    ));
    let digest = plan_digest(&detail.plan);
    let action = Action::Deny(detail.row.id, digest, to_sign.map(Box::new));
    let sheet = Sheet::new("DENY", "deny", target(detail, action))
        .facts(facts)
        .field(Field::reason(true));
    if typed {
        sheet.field(Field::confirm(&detail.plan.credential))
    } else {
        sheet
    }
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

/// The requests of a burst that can be denied: those that wait for a decision.
pub fn undecided<'a>(burst: &'a Burst<'_>) -> impl Iterator<Item = &'a RequestRow> {
    let waits = |row: &&RequestRow| row.state == RequestState::AwaitingApproval;
    burst.rows.iter().copied().filter(waits)
}

/// Why a burst cannot be denied together; `None` if it can be tried: who may decide each is the broker's to say.
pub fn deny_all_refused(burst: &Burst<'_>, shared: &Shared) -> Option<String> {
    let me = shared.session.as_ref();
    if me.is_some_and(|session| session.name == burst.requester()) {
        return Some("they are yours: take them back one by one".into());
    }
    if undecided(burst).next().is_none() {
        return Some("none of them waits for a decision".into());
    }
    let elsewhere = undecided(burst).find(|row| !shared.holds(row.environment, &[Role::Approver]));
    elsewhere.map(|row| format!("needs the role approver in {}", row.environment))
}

/// The sheet that denies all of a burst that waits: what is denied is listed, one by one, before anything is sent.
pub fn deny_all_sheet(burst: &Burst<'_>) -> Sheet {
    let rows: Vec<&RequestRow> = undecided(burst).collect();
    let mut facts = vec![Fact::new(
        "",
        format!(
            "{} requests of {}, each by itself:",
            rows.len(),
            burst.requester()
        ),
    )];
    facts.extend(rows.iter().map(|row| {
        let text = format!(
            "{}   {}, risk {}, wants {}",
            row.credential, row.environment, row.risk, row.wants
        );
        Fact::new("DENY", text).tone(Tone::Strong)
    }));
    let others = burst.rows.len() - rows.len();
    if others > 0 {
        let text = format!("{others} that wait for no decision (held, or failed)");
        facts.push(Fact::new("NOT", text));
    }
    facts.push(Fact::new(
        "THEN",
        "each is over at once, with a record of its own; nothing is made; a new request can be made",
    ));
    let targets = rows.iter().map(|row| Target {
        // Its rows were shown, and none in full: that is nothing to sign, and the record says so.
        action: Action::Deny(row.id, row.digest, None),
        name: row.credential.clone(),
        sequence: row.sequence,
        sent: None,
    });
    Sheet::new("DENY ALL OF A BURST", "deny all", targets.collect())
        .facts(facts)
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
