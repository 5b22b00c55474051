//! Withdrawing what a filter found: all of it as it was planned, or nothing. Whoever asks has found out by the filter
//! what there is now; here it is made sure that this is still so, member by member.

use super::{credentials, people, stamp};
use crate::domain::{
    Command, Context, Credential, Digest, Event, FieldError, PlannedRevocation, Refusal,
    RevocationId, RevocationPlan, State,
};
use std::collections::BTreeSet;

pub(super) fn decide(
    state: &State,
    context: &Context,
    plan: &RevocationPlan,
    digest: Digest,
    reason: &str,
    ids: &[RevocationId],
) -> Result<Vec<Event>, Refusal> {
    people::require_reason(reason)?;
    bounded(plan, ids)?;
    // The digest says what was looked at; a single sequence cannot.
    let context = Context {
        if_match: None,
        ..context.clone()
    };
    let mut events = Vec::with_capacity(plan.members.len() + 1);
    let mut changed = Vec::new();
    for (member, id) in plan.members.iter().zip(ids) {
        let held = credentials::on_call(state, member.credential, &context)?;
        if let Some(difference) = difference(held, member) {
            changed.push(difference);
            continue;
        }
        events.extend(credentials::revoke_events(
            state, held, None, *id, reason, &context,
        ));
    }
    if !changed.is_empty() {
        return Err(Refusal::Stale {
            subject: "what the filter finds".into(),
            seen: plan.head,
            current: state.sequence,
            changed,
        });
    }
    events.push(Event::RevocationPlanned {
        filter: plan.filter.clone(),
        head: plan.head,
        digest,
        revocations: ids.to_vec(),
        by: stamp(state, &context).name,
        reason: reason.to_owned(),
    });
    Ok(events)
}

fn bounded(plan: &RevocationPlan, ids: &[RevocationId]) -> Result<(), Refusal> {
    let limit = Command::REVOKE_LIMIT;
    let refuse = |detail: String| {
        Refusal::Invalid(vec![FieldError {
            pointer: "/plan/members".into(),
            detail,
        }])
    };
    if plan.members.is_empty() || plan.members.len() > limit || ids.len() != plan.members.len() {
        return Err(refuse(format!("expected 1 to {limit} credentials")));
    }
    let distinct: BTreeSet<_> = plan
        .members
        .iter()
        .map(|member| member.credential)
        .collect();
    if distinct.len() < plan.members.len() {
        return Err(refuse("expected each credential once".into()));
    }
    Ok(())
}

/// What is not as it was planned, in words.
fn difference(held: &Credential, planned: &PlannedRevocation) -> Option<String> {
    let name = &held.name;
    if held.revoked.is_some() {
        return Some(format!("{name} was revoked"));
    }
    let now = held.accepted_versions();
    (now != planned.versions).then(|| {
        let words = |versions: &[u32]| match versions {
            [] => "none".to_owned(),
            some => some
                .iter()
                .map(|v| format!("v{v}"))
                .collect::<Vec<_>>()
                .join(" "),
        };
        let (before, after) = (words(&planned.versions), words(&now));
        format!("{name} had {before} accepted, and now {after}")
    })
}
