//! One request as a person decides it, in the order of deciding. Everything that is approved is read from the
//! plan whose bytes are hashed here; what the broker adds to it is comparison, and is never shown instead.

use super::decide::{Standing, standing};
use super::queue::{severity, state_role, tier_word};
use crate::console::screens::kit::{Look, beside};
use crate::console::theme::Role;
use crate::display::time::{clock, compact};
use crate::wire::request::ScopeChange;
use crate::wire::{Environment, Plan, RequestDetail, RequestState, StepUp};
use chrono::TimeDelta;
use ratatui::text::{Line, Span};
use std::collections::HashMap;

/// The review as lines, and on which of them each thing asked for stands.
#[derive(Debug, Clone, Default)]
pub struct Review {
    /// The lines.
    pub lines: Vec<Line<'static>>,
    /// The line of each role or scope of the plan, in its order.
    pub scopes: Vec<usize>,
}

/// What is known of a request beside its detail.
#[derive(Debug, Clone, Copy)]
pub struct Around<'a> {
    /// Its place in the queue, from 1, and how long the queue is.
    pub place: Option<(usize, usize)>,
    /// What happened to it since it was opened.
    pub moved: Option<&'a str>,
    /// Names in it that may be imitations.
    pub lookalikes: &'a [String],
    /// How many of its scopes were on the screen so far.
    pub scopes_seen: usize,
}

/// Everything that a plan grants: the issuer's role, then the scopes.
pub fn asked_for(plan: &Plan) -> Vec<&str> {
    let role = Some(plan.role.as_str()).filter(|role| !role.is_empty());
    role.into_iter()
        .chain(plan.scopes.iter().map(String::as_str))
        .collect()
}

/// A life in words.
pub fn duration(seconds: u64) -> String {
    compact(TimeDelta::seconds(seconds.min(1 << 40) as i64))
}

/// The life that is granted: what the plan asks, within what policy allows.
pub fn granted(detail: &RequestDetail) -> String {
    let asked = detail.plan.ttl_s;
    if detail.max_ttl_s > 0 && detail.max_ttl_s < asked {
        format!("{} (asked {})", duration(detail.max_ttl_s), duration(asked))
    } else {
        duration(asked)
    }
}

/// The lines of a review.
///
/// ```text
/// ── req_…  2/7 ────────────────────────── may decide  quorum 0/2  17:41 left ─
///  who gets what, where, for how long
///  RISK  HIGH 82  +40 … +25 … +17 …
/// ── CHANGE vs what it holds ─── 4 of 4 seen ─ ── REACH ────────────────────────
/// ── POLICY ───────────────────── 1 of 5 warns ─ ── REQUESTER ──────────────────
/// ── … WROTE  (not checked by the broker) ──────────────────────────────────────
/// ── IF YOU APPROVE ────────────────────────────────────────────────────────────
/// ```
pub fn review(
    detail: &RequestDetail,
    me: &str,
    around: Around<'_>,
    look: &Look<'_>,
    columns: usize,
) -> Review {
    let mut page = Review::default();
    let standing = standing(detail);
    page.lines
        .push(title(detail, around, &standing, look, columns));
    page.lines
        .extend(warnings(detail, around, &standing, look, columns));
    page.lines.extend(sentence(detail, me, look, columns));
    page.lines.extend(risk(detail, look, columns));

    let left_columns = columns * 57 / 100;
    let right_columns = columns - left_columns - 1;
    let gap = Span::raw(" ");
    let cut = look.theme.glyphs.cut;
    let (change, scopes) = change(detail, around, look, left_columns);
    let start = page.lines.len();
    page.scopes = scopes.into_iter().map(|line| start + line).collect();
    page.lines.extend(beside(
        change,
        reach(detail, look, right_columns),
        left_columns,
        &gap,
        cut,
    ));
    let policy = policy(detail, look, left_columns);
    page.lines.extend(beside(
        policy,
        history(detail, look, right_columns),
        left_columns,
        &gap,
        cut,
    ));
    page.lines.extend(words(detail, look, columns));
    page.lines.extend(outcome(detail, look, columns));
    page.lines
        .extend(consequence(detail, &standing, look, columns));
    page
}

fn title(
    detail: &RequestDetail,
    around: Around<'_>,
    standing: &Standing,
    look: &Look<'_>,
    columns: usize,
) -> Line<'static> {
    let row = &detail.row;
    let place = around
        .place
        .map_or_else(String::new, |(n, of)| format!("  {n}/{of}"));
    let title = format!("{}{place}", row.id);
    let mut note = Vec::new();
    if row.state == RequestState::AwaitingApproval {
        if matches!(standing, Standing::May) {
            note.push("may decide".to_owned());
        }
        note.push(format!("quorum {}/{}", row.approvals, row.needed));
        if let Some(deadline) = row.deadline {
            note.push(format!("{} left", clock(deadline - look.now)));
        }
    } else {
        note.push(row.state.to_string());
    }
    // What is least missed goes first when there is no room for all of it.
    while note.len() > 1 && title.len() + note.join("  ").len() + 8 > columns {
        note.remove(0);
    }
    look.rule_in(&title, &note.join("  "), columns, Role::Strong)
}

fn warnings(
    detail: &RequestDetail,
    around: Around<'_>,
    standing: &Standing,
    look: &Look<'_>,
    columns: usize,
) -> Vec<Line<'static>> {
    let alert = look.theme.glyphs.alert;
    let mut lines = Vec::new();
    let mut say = |role: Role, text: String| {
        lines.extend(look.wrapped(role, " ", &text, columns));
    };
    if let Some(what) = around.moved {
        say(
            Role::Warn,
            format!(
                "{alert} CHANGED while you looked: {what}. This is how it is now; read it again."
            ),
        );
    }
    match standing {
        Standing::May => {}
        Standing::Approved => say(Role::Good, super::decide::approved(detail)),
        Standing::NotYours { why, who } => {
            say(Role::Warn, format!("{alert} NOT YOURS TO DECIDE  {why}"));
            if !who.is_empty() {
                say(Role::Text, format!("who can: {who}"));
            }
        }
        Standing::Over(why) => say(Role::Muted, why.clone()),
        Standing::DigestDiffers { shown } => say(
            Role::Bad,
            format!(
                "{alert} DIGEST DIFFERS  the broker says {}, the plan shown here gives {shown}. Nothing can be \
                 approved from here; tell security.",
                detail.digest
            ),
        ),
    }
    if let Some(glass) = &detail.break_glass {
        let text = match glass.reviewed_at {
            None => format!(
                "{alert} GLASS BROKEN by {}: made without a quorum. Sign for it, or deny it and it is withdrawn; \
                 nobody by then, and it is withdrawn: {}",
                glass.by,
                look.time.full(glass.review_by, look.now)
            ),
            Some(at) => format!(
                "the glass was broken by {}, and others looked at it {}",
                glass.by,
                look.time.short(at, look.now)
            ),
        };
        let role = match glass.reviewed_at {
            None => Role::Bad,
            Some(_) => Role::Muted,
        };
        say(role, text);
        say(Role::Quote, format!("{}: {}", glass.by, glass.reason));
    }
    if detail.row.void > 0 && detail.row.state == RequestState::AwaitingApproval {
        let given = detail.approvals.iter();
        let void: Vec<String> = given
            .filter_map(|given| Some(format!("{}'s ({})", given.by, given.void.as_ref()?)))
            .collect();
        let text = format!(
            "{alert} APPROVALS LOST  {} no longer counts; {} of {} do",
            void.join(", "),
            detail.row.approvals,
            detail.row.needed
        );
        say(Role::Warn, text);
    }
    for lookalike in around.lookalikes {
        say(Role::Warn, format!("{alert} LOOKALIKE  {lookalike}"));
    }
    lines
}

/// Who gets what, where, for how long: the whole plan, nothing cut.
fn sentence(
    detail: &RequestDetail,
    me: &str,
    look: &Look<'_>,
    columns: usize,
) -> Vec<Line<'static>> {
    let plan = &detail.plan;
    let (text, strong, muted) = (
        look.style(Role::Text),
        look.style(Role::Strong),
        look.style(Role::Muted),
    );
    let kind = if detail.requester_robot {
        "robot"
    } else {
        "person"
    };
    let mut who = vec![kind.to_owned()];
    who.extend(detail.requester_groups.iter().cloned());
    let you = if detail.row.requester == me {
        ", you"
    } else {
        ""
    };
    let environment = match plan.environment {
        Environment::Production => plan.environment.as_str().to_uppercase(),
        other => other.to_string(),
    };
    let mut flow = look
        .flow(columns, 2)
        .piece(strong, &detail.row.requester, 0)
        .piece(muted, format!("({}{you})", who.join(", ")), 1)
        .piece(text, "for", 1)
        .piece(strong, &detail.row.client, 1)
        .piece(muted, plan.client.to_string(), 1)
        .piece(text, "gets", 1)
        .piece(strong, &plan.credential, 1)
        .piece(text, "in", 1)
        .piece(
            look.theme.environment(plan.environment.as_str()),
            environment,
            1,
        )
        .piece(text, "for", 1)
        .piece(strong, granted(detail), 1)
        .piece(muted, "as", 1)
        .piece(text, format!("{} by {}", plan.kind, plan.issuer), 1);
    if !plan.role.is_empty() {
        flow = flow.piece(strong, &plan.role, 1);
    }
    flow = flow
        .piece(muted, "shown to", 1)
        .piece(text, &plan.audience, 1);
    if let Some(destination) = &plan.destination {
        flow = flow
            .piece(muted, "and put at", 1)
            .piece(strong, destination.to_string(), 1);
    }
    flow.lines()
}

fn risk(detail: &RequestDetail, look: &Look<'_>, columns: usize) -> Vec<Line<'static>> {
    let Some(risk) = &detail.risk else {
        return vec![look.line(Role::Muted, " RISK  not scored yet")];
    };
    let severity = severity(risk.tier);
    let mut flow = look
        .flow(columns, 7)
        .piece(look.style(Role::Strong), "RISK ", 0)
        .piece(
            look.style(Role::Severity(severity)),
            format!("{} {}", tier_word(risk.tier), risk.score),
            1,
        );
    for factor in &risk.factors {
        let role = if factor.points > 0 {
            Role::Text
        } else {
            Role::Good
        };
        flow = flow.piece(
            look.style(role),
            format!("{:+} {}", factor.points, factor.reason),
            3,
        );
    }
    let sum: i64 = risk
        .factors
        .iter()
        .map(|factor| i64::from(factor.points))
        .sum();
    if sum.clamp(0, 100) != i64::from(risk.score) {
        flow = flow.piece(
            look.style(Role::Bad),
            format!("these add up to {sum}, not to the score"),
            3,
        );
    } else if sum != i64::from(risk.score) {
        flow = flow.piece(
            look.style(Role::Muted),
            format!("= {sum}, cut to {}", risk.score),
            3,
        );
    }
    flow.lines()
}

fn change(
    detail: &RequestDetail,
    around: Around<'_>,
    look: &Look<'_>,
    columns: usize,
) -> (Vec<Line<'static>>, Vec<usize>) {
    let asked = asked_for(&detail.plan);
    let note = format!(
        "{} of {} seen",
        around.scopes_seen.min(asked.len()),
        asked.len()
    );
    let mut lines = vec![look.rule("CHANGE vs what it holds", &note, columns)];
    let mut at = Vec::new();
    let changes: HashMap<&str, &ScopeChange> = detail
        .changes
        .iter()
        .map(|change| (change.scope.as_str(), change))
        .collect();
    for scope in &asked {
        let known = changes.get(*scope);
        let wildcard = scope.contains('*');
        let (sign, words, role) = match known {
            Some(change) if change.held => ("=", "has it".to_owned(), Role::Muted),
            Some(_) => ("+", "NEW".to_owned(), Role::Added),
            None => ("+", "not compared".to_owned(), Role::Warn),
        };
        let words = if wildcard {
            let covers = known.map_or(0, |change| change.covers);
            format!("{words}, ANY: covers {covers} in use")
        } else {
            words
        };
        let role = if wildcard { Role::Warn } else { role };
        let flow = look
            .flow(columns.saturating_sub(1), 5)
            .piece(look.style(role), sign, 0)
            .piece(look.style(Role::Text), scope, 1)
            .piece(look.style(role), words, 2);
        let part = flow.lines();
        // A scope counts as seen once its last line was.
        lines.extend(part);
        at.push(lines.len() - 1);
    }
    if asked.is_empty() {
        lines.push(look.line(
            Role::Warn,
            " no role and no scope: whatever the issuer gives by default",
        ));
    }
    (lines, at)
}

fn reach(detail: &RequestDetail, look: &Look<'_>, columns: usize) -> Vec<Line<'static>> {
    let mut lines = vec![look.rule("REACH", "", columns)];
    if detail.holders_total == 0 {
        lines.push(look.line(Role::Text, " nobody else holds the same"));
    } else {
        let text = match detail.holders_total {
            1 => "1 other holds the same:".to_owned(),
            n => format!("{n} others hold the same:"),
        };
        lines.push(look.line(Role::Text, format!(" {text}")));
        for holder in detail.holders.iter().take(3) {
            let row = look.row().put(look.style(Role::Muted), "  ");
            lines.push(
                row.at_most(
                    look.style(Role::Muted),
                    format!("{} of {}", holder.credential, holder.owner),
                    columns.saturating_sub(3),
                )
                .line(),
            );
        }
        let more = detail
            .holders_total
            .saturating_sub(detail.holders.len().min(3) as u64);
        if more > 0 {
            lines.push(look.line(Role::Muted, format!("  and {more} more")));
        }
    }
    let tags = if detail.tags.is_empty() {
        String::new()
    } else {
        format!(", tagged {}", detail.tags.join(" "))
    };
    let text = format!("owner {}{tags}", detail.owner);
    lines.extend(look.wrapped(Role::Muted, " ", &text, columns));
    lines
}

fn policy(detail: &RequestDetail, look: &Look<'_>, columns: usize) -> Vec<Line<'static>> {
    let count = |effect: &str| {
        detail
            .rules
            .iter()
            .filter(|rule| rule.effect == effect)
            .count()
    };
    let note = format!(
        "{} ok {} warn {} deny",
        count("ok"),
        count("warn"),
        count("deny")
    );
    let mut lines = vec![look.rule(&format!("POLICY {}", detail.policy), &note, columns)];
    if lines[0].width() > columns || detail.policy.len() + note.len() + 14 > columns {
        lines[0] = look.rule("POLICY", &note, columns);
    }
    // Failures first, whatever order they came in.
    let rank = |effect: &str| match effect {
        "deny" => 0,
        "warn" => 1,
        "ok" => 3,
        _ => 2,
    };
    let mut rules: Vec<_> = detail.rules.iter().collect();
    rules.sort_by_key(|rule| rank(&rule.effect));
    for rule in rules {
        let (word, role) = match rank(&rule.effect) {
            0 => ("DENY", Role::Bad),
            1 => ("WARN", Role::Warn),
            3 => ("ok", Role::Good),
            _ => (rule.effect.as_str(), Role::Warn),
        };
        let flow = look
            .flow(columns.saturating_sub(1), 7)
            .piece(look.style(role), format!("{word:<5}"), 0)
            .piece(look.style(Role::Text), &rule.reason, 1);
        lines.extend(flow.lines());
    }
    if detail.rules.is_empty() {
        lines.push(look.line(Role::Muted, " no rule has spoken yet"));
    }
    lines
}

fn history(detail: &RequestDetail, look: &Look<'_>, columns: usize) -> Vec<Line<'static>> {
    let past = &detail.history;
    let mut lines = vec![look.rule("REQUESTER", "", columns)];
    let text = format!(
        "{}d {} asked {} ok {} no {} lapsed",
        past.days, past.asked, past.issued, past.denied, past.lapsed
    );
    lines.extend(look.wrapped(Role::Text, " ", &text, columns));
    let (text, role) = match past.same_before {
        0 => ("the same before: never".to_owned(), Role::Warn),
        1 => ("the same before: once".to_owned(), Role::Text),
        n => (format!("the same before: {n} times"), Role::Text),
    };
    lines.push(look.line(role, format!(" {text}")));
    let role = if past.last_hour > 2 {
        Role::Warn
    } else {
        Role::Text
    };
    let asked = look.time.short(detail.row.submitted_at, look.now);
    let text = format!("last hour: {}   asked {asked}", past.last_hour);
    lines.extend(look.wrapped(role, " ", &text, columns));
    lines
}

/// The requester's words, and those of whoever approved: behind a gutter, so that they cannot pose as ours.
fn words(detail: &RequestDetail, look: &Look<'_>, columns: usize) -> Vec<Line<'static>> {
    let title = format!(
        "{} WROTE  (not checked by the broker)",
        detail.row.requester.to_uppercase()
    );
    let mut lines = vec![look.rule(&title, "", columns)];
    let gutter = format!(" {} ", look.theme.glyphs.quote);
    if detail.reason.trim().is_empty() {
        lines.push(look.line(Role::Warn, " nothing"));
    } else {
        lines.extend(look.quoted(Role::Quote, &gutter, &detail.reason, columns));
    }
    for note in &detail.notes {
        let at = look.time.short(note.at, look.now);
        let verb = if note.answer { "answers" } else { "asks" };
        let text = format!("{} {verb} {at}: {}", note.by, note.text);
        lines.extend(look.quoted(Role::Quote, &gutter, &text, columns));
    }
    lines.extend(signatures(detail, look, columns));
    lines
}

/// Who has approved so far, by which key, and whether it still counts.
fn signatures(detail: &RequestDetail, look: &Look<'_>, columns: usize) -> Vec<Line<'static>> {
    if detail.approvals.is_empty() {
        return Vec::new();
    }
    let count = detail.row.approvals;
    let note = format!("{count} of {} count", detail.approvals.len());
    let mut lines = vec![look.rule("APPROVED SO FAR", &note, columns)];
    for given in &detail.approvals {
        let at = look.time.short(given.at, look.now);
        let by = match (&given.key, given.hardware) {
            (None, _) => "by the session, unsigned".to_owned(),
            (Some(key), true) => format!("signed by security key {key}"),
            (Some(key), false) => format!("signed by {key}"),
        };
        let (lost, role) = match &given.void {
            None => (String::new(), Role::Text),
            Some(why) => (format!("; it no longer counts: {why}"), Role::Warn),
        };
        let text = format!("{} {at} {by}{lost}", given.by);
        lines.extend(look.wrapped(role, " ", &text, columns));
        if !given.reason.is_empty() {
            let gutter = format!(" {} ", look.theme.glyphs.quote);
            lines.extend(look.quoted(Role::Quote, &gutter, &given.reason, columns));
        }
    }
    lines
}

/// What became of it, once something did.
fn outcome(detail: &RequestDetail, look: &Look<'_>, columns: usize) -> Vec<Line<'static>> {
    let mut lines = Vec::new();
    let state = detail.row.state;
    if let Some(failure) = &detail.failure {
        let text = format!(
            "issuing failed after {} attempts: {failure}",
            detail.attempts
        );
        lines.extend(look.wrapped(Role::Bad, " ", &text, columns));
    }
    if let Some(retry) = detail.may_retry.as_ref().filter(|retry| !retry.allowed) {
        lines.extend(look.wrapped(Role::Warn, " ", &retry.detail, columns));
    }
    if let Some(by) = &detail.ended_by {
        let reason = detail.end_reason.as_deref().unwrap_or("");
        let text = format!("{state} by {by}: {reason}");
        lines.extend(look.wrapped(state_role(state), " ", &text, columns));
        if let Some(proof) = &detail.end_proof {
            lines.extend(look.wrapped(Role::Muted, " ", &proof.words(), columns));
        }
    }
    if let Some(credential) = detail.credential_id {
        lines.push(look.line(Role::Good, format!(" made: {credential}  (o opens it)")));
    }
    if !lines.is_empty() {
        lines.insert(0, look.rule("WHAT CAME OF IT", &state.to_string(), columns));
    }
    lines
}

fn consequence(
    detail: &RequestDetail,
    standing: &Standing,
    look: &Look<'_>,
    columns: usize,
) -> Vec<Line<'static>> {
    let mut lines = Vec::new();
    let row = &detail.row;
    if row.state == RequestState::AwaitingApproval && *standing != Standing::Approved {
        lines.push(look.rule("IF YOU APPROVE", "the first no ends it", columns));
        let groups = detail
            .quorum
            .as_ref()
            .map_or_else(String::new, super::decide::quorum_words);
        let open = row.needed.saturating_sub(row.approvals + 1);
        let now = if open > 0 {
            let verb = if open == 1 { "approves" } else { "approve" };
            format!(
                "You are {} of {}: nothing is made until {open} more{groups} {verb}.",
                row.approvals + 1,
                row.needed
            )
        } else {
            format!(
                "You are the last of {}{groups}: it is made at once.",
                row.needed
            )
        };
        lines.extend(look.wrapped(Role::Text, " ", &now, columns));
        let then = format!(
            "Then made by {}, claimed once, ends by itself in {}. Undo: revoke it.",
            detail.plan.issuer,
            granted(detail)
        );
        lines.extend(look.wrapped(Role::Text, " ", &then, columns));
    }
    let digest = match standing {
        Standing::DigestDiffers { .. } => {
            return lines;
        }
        _ => detail.digest.short(),
    };
    let text = format!("Digest {digest}, computed here from this plan: same as the broker's.");
    lines.extend(look.wrapped(Role::Muted, " ", &text, columns));
    if *standing == Standing::Approved {
        return lines;
    }
    let sign = match detail.step_up {
        StepUp::None => return lines,
        StepUp::SshSignature => {
            "You sign exactly this with your SSH key; a session alone decides nothing here."
        }
        StepUp::HardwareKey => {
            "You sign exactly this with a security key, touched for it; nothing else decides here."
        }
    };
    lines.extend(look.wrapped(Role::Text, " ", sign, columns));
    lines
}
