//! Who may say yes or no, and how many yeses are enough.

use super::{
    fresh, operator, people,
    requests::{denials, find, open, outlived, same_policy, seconds},
    signatures::{
        Denied, Matter, Words, denial_proof, distinct_key, proof, proven, request_differs,
    },
};
use crate::domain::{
    Approval, ApprovalId, BreakGlass, Checked, Command, Context, Decision, Digest, Event, Operator,
    OperatorId, Refusal, Request, RequestId, RequestState, RevocationId, Role, State, StepUp,
    check::Check,
    request::{Ending, Evaluation, Outcome},
};
use std::{collections::BTreeSet, sync::Arc};

/// What is said where a quorum names no group: nobody can decide it.
pub const APPROVAL_GROUP_EMPTY: &str =
    "the policy names no group that may decide this, so nobody can";

pub(super) fn decide(
    state: &State,
    command: &Command,
    context: &Context,
) -> Result<Vec<Event>, Refusal> {
    match command {
        Command::Approve {
            request,
            approval,
            digest,
            reason,
            checked,
        } => approve(
            state,
            context,
            *request,
            *approval,
            *digest,
            reason,
            checked.as_deref(),
        ),
        Command::Deny {
            request,
            digest,
            reason,
            revocation,
            checked,
            unsigned,
        } => {
            let proof = Denied {
                checked: checked.as_deref(),
                unsigned: *unsigned,
            };
            deny(
                state,
                context,
                *request,
                *digest,
                reason,
                *revocation,
                &proof,
            )
        }
        Command::BreakGlass {
            request,
            reason,
            evaluation,
            checked,
        } => break_glass(
            state,
            context,
            *request,
            reason,
            evaluation,
            checked.as_deref(),
        ),
        _ => Ok(Vec::new()),
    }
}

fn approve(
    state: &State,
    context: &Context,
    id: RequestId,
    approval: ApprovalId,
    digest: Digest,
    reason: &str,
    checked: Option<&Checked>,
) -> Result<Vec<Event>, Refusal> {
    let held = decidable(state, context, id, digest)?;
    let approver = may_decide(state, held, operator(state, context)?)?;
    let mut check = Check::default();
    check.text("/reason", reason, false);
    check.finish()?;
    if held.approved_by(approver.id) {
        return Err(Refusal::Separation {
            rule: "distinct-people",
            detail: "you have approved this already; another person is needed".into(),
        });
    }
    let said = Words {
        decision: Decision::Approve,
        person: approver,
        reason,
    };
    let proof = proof(context, Matter::of(held), &said, checked, |statement| {
        request_differs(held, statement)
    })?;
    distinct_key(&proof, held.standing())?;
    let given = Approval {
        id: approval,
        by: approver.id,
        by_name: approver.name.clone(),
        at: context.now,
        digest,
        reason: reason.to_owned(),
        proof,
        void: None,
    };
    let mut events = vec![Event::ApprovalGiven {
        request: id,
        approval: Box::new(given),
    }];
    let needed = held.quorum().map_or(u8::MAX, |quorum| quorum.count);
    if standing(state, held).len() + 1 >= usize::from(needed) {
        events.push(if held.review_owed().is_some() {
            Event::ReviewClosed { request: id }
        } else {
            Event::RequestApproved {
                request: id,
                by: "quorum".into(),
            }
        });
    }
    Ok(events)
}

fn deny(
    state: &State,
    context: &Context,
    id: RequestId,
    digest: Digest,
    reason: &str,
    revocation: RevocationId,
    shown: &Denied<'_>,
) -> Result<Vec<Event>, Refusal> {
    let held = decidable(state, context, id, digest)?;
    let denier = may_decide(state, held, operator(state, context)?)?;
    people::require_reason(reason)?;
    let said = Words {
        decision: Decision::Deny,
        person: denier,
        reason,
    };
    let proof = denial_proof(context, Matter::of(held), &said, shown, |statement| {
        request_differs(held, statement)
    })?;
    let ending = Ending {
        by: denier.name.clone(),
        reason: reason.to_owned(),
        at: context.now,
        proof: Some(proof),
    };
    if held.review_owed().is_some() {
        return fail_review(state, held, ending, revocation).ok_or(Refusal::Conflict {
            detail: "the secret is being made at this moment; deny it again in a moment".into(),
        });
    }
    Ok(vec![Event::RequestDenied {
        request: id,
        ending,
    }])
}

/// Takes back what was issued without a quorum. `None` while it is being made: only then is there something to take.
pub(super) fn fail_review(
    state: &State,
    held: &Request,
    ending: Ending,
    revocation: RevocationId,
) -> Option<Vec<Event>> {
    let Ending {
        by,
        reason,
        at: now,
        proof,
    } = ending.clone();
    let why = format!("issued without a quorum, and its review failed: {reason}");
    let mut events = vec![Event::ReviewFailed {
        request: held.id,
        by: by.clone(),
        reason,
        proof,
    }];
    match held.state {
        RequestState::Issuing => return None,
        RequestState::Approved | RequestState::Failed => events.push(Event::RequestDenied {
            request: held.id,
            ending,
        }),
        _ => {}
    }
    let made = held
        .issued
        .and_then(|(credential, number)| Some((state.credentials.get(&credential)?, number)));
    if let Some((credential, number)) = made
        && credential
            .version(number)
            .is_some_and(|version| version.accepted(now))
    {
        events.push(super::sweep::withdrawal(
            credential,
            number,
            revocation,
            &crate::domain::check::clip(&why, crate::domain::check::TEXT_MAX),
            &by,
            now,
        ));
    }
    Some(events)
}

/// Skips the quorum. Only who asked can do it, policy must allow it, and it is signed whatever policy says.
fn break_glass(
    state: &State,
    context: &Context,
    id: RequestId,
    reason: &str,
    evaluation: &Evaluation,
    checked: Option<&Checked>,
) -> Result<Vec<Event>, Refusal> {
    let held = open(
        state,
        context,
        id,
        &[RequestState::AwaitingApproval, RequestState::Held],
    )?;
    let person = operator(state, context)?;
    if person.id != held.requester || person.robot {
        return Err(Refusal::Separation {
            rule: "own-request",
            detail: "only the person who asked can break the glass for it".into(),
        });
    }
    people::require_reason(reason)?;
    same_policy(state, evaluation)?;
    let evaluation = evaluation.bounded();
    let Some(review) = evaluation
        .review
        .as_ref()
        .filter(|_| evaluation.outcome == Outcome::Allow)
    else {
        return Err(Refusal::Separation {
            rule: "break-glass",
            detail: format!("policy does not let you: {}", denials(&evaluation)),
        });
    };
    let review_by = context.now + seconds(review.within_s);
    let matter = Matter {
        step_up: evaluation.step_up.max(StepUp::SshSignature),
        ..Matter::of(held)
    };
    let said = Words {
        decision: Decision::BreakGlass,
        person,
        reason,
    };
    let proof = proof(context, matter, &said, checked, |statement| {
        request_differs(held, statement)
    })?;
    Ok(vec![
        Event::GlassBroken {
            request: id,
            glass: Box::new(BreakGlass {
                by: person.id,
                by_name: person.name.clone(),
                at: context.now,
                reason: reason.to_owned(),
                proof,
                review_by,
                reviewed_at: None,
            }),
            evaluation: Box::new(evaluation),
        },
        Event::RequestApproved {
            request: id,
            by: "break-glass".into(),
        },
    ])
}

/// The request, if it still waits for people, or for their look afterwards, and is what the caller saw.
fn decidable<'a>(
    state: &'a State,
    context: &Context,
    id: RequestId,
    digest: Digest,
) -> Result<&'a Arc<Request>, Refusal> {
    let held = find(state, id)?;
    let held = match held.review_owed() {
        Some(until) if context.now < until => {
            fresh(context, id, held.sequence, &held.trail)?;
            held
        }
        _ => open(state, context, id, &[RequestState::AwaitingApproval])?,
    };
    if outlived(state, held) {
        return Err(Refusal::Conflict {
            detail: "another policy came in force; look again once it has spoken about this".into(),
        });
    }
    if held.digest != digest {
        return Err(Refusal::Conflict {
            detail: format!(
                "what you saw ({}) is not what is asked ({})",
                digest.short(),
                held.digest.short()
            ),
        });
    }
    Ok(held)
}

/// Whether `person` may decide `request`: the answer to the approver's first question.
///
/// # Errors
/// The rule that says no, and who could decide instead.
pub fn may_decide<'a>(
    _state: &State,
    request: &Request,
    person: &'a Arc<Operator>,
) -> Result<&'a Arc<Operator>, Refusal> {
    let quorum = request.quorum();
    let groups = quorum
        .map(|quorum| quorum.groups.join(" or "))
        .unwrap_or_default();
    let refuse = |rule, detail| Err(Refusal::Separation { rule, detail });
    if quorum.is_none_or(|quorum| quorum.groups.is_empty() || quorum.count == 0) {
        return refuse("no-group", APPROVAL_GROUP_EMPTY.to_owned());
    }
    if person.id == request.requester {
        return refuse(
            "requester-never-counts",
            format!(
                "you asked for this; {} of {groups} decide",
                quorum.map_or(0, |quorum| quorum.count)
            ),
        );
    }
    if person.robot {
        return refuse("people-only", "robots do not decide requests".to_owned());
    }
    if person
        .client
        .is_some_and(|client| client == request.plan.client)
    {
        return refuse(
            "beneficiary",
            "you act for the client that would get this".to_owned(),
        );
    }
    if !person.holds(request.plan.environment, &[Role::Approver]) {
        return Err(Refusal::Role {
            needs: vec![Role::Approver.as_str()],
            environment: request.plan.environment,
        });
    }
    if !quorum.is_some_and(|quorum| {
        quorum
            .groups
            .iter()
            .any(|group| person.groups.contains(group))
    }) {
        return refuse(
            "group",
            format!("this is for {groups}; you are in none of them"),
        );
    }
    Ok(person)
}

/// The distinct people whose approvals still count: entitled now, for this very digest, each with a key of their own.
pub(super) fn standing(state: &State, request: &Request) -> BTreeSet<OperatorId> {
    let mut keys = BTreeSet::new();
    request
        .standing()
        .filter(|approval| {
            state.operators.get(&approval.by).is_some_and(|person| {
                may_decide(state, request, person).is_ok()
                    && proven(request.step_up(), approval, person)
            })
        })
        .filter(|approval| approval.key().is_none_or(|key| keys.insert(key)))
        .map(|approval| approval.by)
        .collect()
}
