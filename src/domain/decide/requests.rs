//! A request's way from asking to its decision: asked, narrowed, held, talked about, taken back.

use super::{
    decisions::may_decide, fresh, holder, offboarding::can_be_withdrawn, operator, people, system,
};
use crate::domain::{
    Client, Command, Context, Credential, Digest, Event, Facts, Kind, Note, Plan, Refusal, Request,
    RequestId, RequestState, Role, State,
    check::{self, Check, covers},
    request::{Ending, Evaluation, NOTES_MAX, Outcome},
};
use chrono::Duration;
use std::{collections::BTreeSet, sync::Arc};

/// How many open requests one requester may have.
const OPEN_MAX: usize = 64;

pub(super) fn decide(
    state: &State,
    command: &Command,
    context: &Context,
) -> Result<Vec<Event>, Refusal> {
    match command {
        Command::SubmitRequest {
            id,
            plan,
            digest,
            reason,
            owner,
            tags,
            evaluation,
            facts,
        } => submit(
            state, context, *id, plan, *digest, reason, owner, tags, evaluation, facts,
        ),
        Command::Narrow {
            request,
            plan,
            digest,
            reason,
            evaluation,
        } => narrow(state, context, *request, plan, *digest, reason, evaluation),
        Command::Reevaluate {
            request,
            evaluation,
            facts,
        } => {
            system(context)?;
            reevaluate(state, context, *request, evaluation, facts)
        }
        Command::Hold { request, reason } => hold(state, context, *request, reason),
        Command::Resume { request, reason } => resume(state, context, *request, reason),
        Command::AddNote { request, text } => add_note(state, context, *request, text),
        Command::Withdraw { request, reason } => withdraw(state, context, *request, reason),
        _ => Ok(Vec::new()),
    }
}

fn submit(
    state: &State,
    context: &Context,
    id: RequestId,
    plan: &Plan,
    digest: Digest,
    reason: &str,
    owner: &str,
    tags: &[String],
    evaluation: &Evaluation,
    facts: &Facts,
) -> Result<Vec<Event>, Refusal> {
    same_policy(state, evaluation)?;
    let evaluation = evaluation.bounded();
    let asker = holder(
        state,
        context,
        plan.environment,
        &[Role::Requester, Role::Operator, Role::Admin],
    )?;
    check_plan(state, plan, reason, owner, tags)?;
    // Who is on call may ask for any client; a requester only for the one it is bound to, and for none without one.
    if asker.client != Some(plan.client)
        && !asker.holds(plan.environment, &[Role::Operator, Role::Admin])
    {
        return Err(Refusal::Separation {
            rule: "own-client",
            detail: "this account asks for its own client only".into(),
        });
    }
    if state.requests.contains_key(&id) {
        return Err(Refusal::Conflict {
            detail: format!("{id} exists already"),
        });
    }
    if let Some(until) = state
        .refused_until(&digest)
        .filter(|until| context.now < *until)
    {
        return Err(Refusal::Conflict {
            detail: format!(
                "people denied exactly this; ask for less, or for the same after {}",
                until.format("%Y-%m-%dT%H:%M:%SZ")
            ),
        });
    }
    let waiting = state
        .awaiting
        .iter()
        .filter_map(|open| state.requests.get(open));
    if waiting.filter(|open| open.requester == asker.id).count() >= OPEN_MAX {
        return Err(Refusal::Limit {
            detail: format!(
                "{OPEN_MAX} of your requests wait already; withdraw some, or wait for their decision"
            ),
        });
    }
    let request = Request {
        id,
        requester: asker.id,
        requester_name: asker.name.clone(),
        plan: plan.clone(),
        digest,
        reason: reason.to_owned(),
        owner: owner.to_owned(),
        tags: tags.to_vec(),
        state: RequestState::Submitted,
        submitted_at: context.now,
        run: None,
        evaluation: None,
        deadline: None,
        approvals: Vec::new(),
        ended_by: None,
        attempts: 0,
        facts_at: 0,
        attempt_locator: Default::default(),
        failure: None,
        issued: None,
        revision: 1,
        notes: Vec::new(),
        break_glass: None,
        sequence: 0,
        trail: Vec::new(),
    };
    let roles = asker
        .roles
        .get(&plan.environment)
        .cloned()
        .unwrap_or_default();
    let mut events = vec![
        Event::RequestSubmitted {
            request: Box::new(request),
        },
        Event::RequestIdentified {
            request: id,
            roles,
            groups: asker.groups.clone(),
            facts: Some(Box::new(facts.clone())),
        },
        Event::RequestEvaluated {
            request: id,
            evaluation: Box::new(evaluation.clone()),
        },
    ];
    events.push(match evaluation.outcome {
        Outcome::Allow => Event::RequestApproved {
            request: id,
            by: "policy".into(),
        },
        Outcome::Needs => Event::RequestAwaitingApproval {
            request: id,
            deadline: context.now + seconds(evaluation.approval_ttl_s),
        },
        Outcome::Deny => {
            let ending = Ending {
                by: "policy".into(),
                reason: denials(&evaluation),
                at: context.now,
                proof: None,
            };
            Event::RequestDenied {
                request: id,
                ending,
            }
        }
    });
    if evaluation.outcome == Outcome::Needs && evaluation.hold {
        events.push(Event::RequestHeld {
            request: id,
            by: "policy".into(),
            reason: "policy wants somebody to look before it is decided".into(),
            deadline: context.now + seconds(evaluation.approval_ttl_s),
        });
    }
    Ok(events)
}

/// Policy was asked before the writer's turn came: what it said only counts if it is still the policy in force.
pub(super) fn same_policy(state: &State, evaluation: &Evaluation) -> Result<(), Refusal> {
    let in_force = state.policy_version().to_string();
    if evaluation.policy_version == in_force {
        Ok(())
    } else {
        Err(Refusal::Conflict {
            detail: format!(
                "version {in_force} of the policy came in force while version {} was asked; ask again",
                check::clip(&evaluation.policy_version, check::NAME_MAX)
            ),
        })
    }
}

fn check_plan(
    state: &State,
    plan: &Plan,
    reason: &str,
    owner: &str,
    tags: &[String],
) -> Result<(), Refusal> {
    let mut check = Check::default();
    check.name("/credential", &plan.credential);
    check.name("/issuer", &plan.issuer);
    check.scope("/audience", &plan.audience);
    check.scopes("/scopes", &plan.scopes);
    check.scopes("/tags", tags);
    check.ttl("/ttl_s", plan.ttl_s);
    check.text("/reason", reason, false);
    check.name("/owner", owner);
    if let Some(destination) = &plan.destination {
        check.destination("/destination", destination);
    }
    match plan.kind {
        Kind::ApiKey | Kind::Jwt if !plan.role.is_empty() => {
            let kind = plan.kind;
            check.refuse("/role", format!("expected none for {kind}: it has scopes"));
        }
        Kind::ApiKey | Kind::Jwt if plan.scopes.is_empty() => {
            check.refuse("/scopes", "expected at least one scope");
        }
        Kind::VaultLease | Kind::DatabaseRole => check.scope("/role", &plan.role),
        Kind::ApiKey | Kind::Jwt => {}
    }
    match served_client(state, plan) {
        Ok(client) if client.environment != plan.environment => check.refuse(
            "/environment",
            format!(
                "expected {}, where {} runs",
                client.environment, client.name
            ),
        ),
        Ok(_) => {}
        Err(why) => check.refuse("/client", why),
    }
    check.finish()?;
    if let Some(open) = state.open_request_for(plan.environment, &plan.credential) {
        return Err(Refusal::Conflict {
            detail: format!(
                "{open} asks for {} already; let it be decided, or take it back",
                plan.credential
            ),
        });
    }
    state
        .credential_named(plan.environment, &plan.credential)
        .map_or(Ok(()), |held| same_purpose(held, plan))
}

/// The plan's client, if it is in service; else what would be accepted.
pub(super) fn served_client<'a>(state: &'a State, plan: &Plan) -> Result<&'a Arc<Client>, String> {
    match state.clients.get(&plan.client) {
        None => Err("expected a known client".into()),
        Some(client) if client.offboarded_at.is_some() => {
            Err(format!("{} was taken out of service", client.name))
        }
        Some(client) => Ok(client),
    }
}

/// Whether another version of `held` is what `plan` asks for. Whoever holds a version may do what its credential
/// allows, so a plan for less under the same name would be approved as less and issued as more.
pub(super) fn same_purpose(held: &Credential, plan: &Plan) -> Result<(), Refusal> {
    let conflict = |detail| Err(Refusal::Conflict { detail });
    if held.revoked.is_some() {
        return conflict(format!(
            "{} is revoked for good; choose another name",
            plan.credential
        ));
    }
    let held_scopes: BTreeSet<_> = held.scopes.iter().map(|scope| &**scope).collect();
    let plan_scopes: BTreeSet<_> = plan.scopes.iter().map(|scope| &**scope).collect();
    let other = [
        (held.client != plan.client, "client"),
        (held.kind != plan.kind, "kind"),
        (held.issuer != plan.issuer, "issuer"),
        (held.role != plan.role, "role"),
        (held.audience != plan.audience, "audience"),
        (held_scopes != plan_scopes, "set of scopes"),
        (
            held.destination.as_deref() != plan.destination.as_ref(),
            "destination",
        ),
    ];
    match other.iter().find(|(differs, _)| *differs) {
        None => Ok(()),
        Some((_, what)) => conflict(format!(
            "{} exists in {} with another {what}; ask for the same, or choose another name",
            plan.credential, plan.environment
        )),
    }
}

/// Makes a request ask for less. Everything else about it stays: who decides a narrower plan need not wonder what else
/// may have changed.
fn narrow(
    state: &State,
    context: &Context,
    id: RequestId,
    plan: &Plan,
    digest: Digest,
    reason: &str,
    evaluation: &Evaluation,
) -> Result<Vec<Event>, Refusal> {
    let held = open(state, context, id, &[RequestState::AwaitingApproval])?;
    let person = may_decide(state, held, operator(state, context)?)?;
    people::require_reason(reason)?;
    let mut check = Check::default();
    check.scopes("/scopes", &plan.scopes);
    check.ttl("/ttl_s", plan.ttl_s);
    if plan.ttl_s > held.granted_ttl_s() {
        check.refuse(
            "/ttl_s",
            format!("expected at most {} seconds", held.granted_ttl_s()),
        );
    }
    for (index, scope) in plan.scopes.iter().enumerate() {
        if !held.plan.scopes.iter().any(|wider| covers(wider, scope)) {
            check.refuse(
                format!("/scopes/{index}"),
                "expected one that was asked for",
            );
        }
    }
    if plan.scopes.is_empty() && !held.plan.scopes.is_empty() {
        check.refuse("/scopes", "expected at least one; to grant none, deny it");
    }
    check.finish()?;
    let kept = Plan {
        scopes: held.plan.scopes.clone(),
        ttl_s: held.plan.ttl_s,
        ..plan.clone()
    };
    if kept != held.plan || digest == held.digest {
        return Err(Refusal::Conflict {
            detail: "narrowing takes scopes away or shortens the life, and changes nothing else"
                .into(),
        });
    }
    state
        .credential_named(plan.environment, &plan.credential)
        .map_or(Ok(()), |credential| same_purpose(credential, plan))?;
    same_policy(state, evaluation)?;
    if evaluation.outcome == Outcome::Deny {
        return Err(Refusal::Conflict {
            detail: format!("policy says no to this: {}", denials(evaluation)),
        });
    }
    let mut events = vec![Event::RequestNarrowed {
        request: id,
        by: person.name.clone(),
        reason: reason.to_owned(),
        plan: Box::new(plan.clone()),
        digest,
        evaluation: Box::new(evaluation.bounded()),
    }];
    if evaluation.outcome == Outcome::Allow {
        events.push(Event::RequestApproved {
            request: id,
            by: "policy".into(),
        });
    }
    Ok(events)
}

/// Another policy came in force while people were deciding, or before the secret was made: it speaks now, and what was
/// approved under the old one is void. Until it has spoken, nothing about the request is decided or made.
fn reevaluate(
    state: &State,
    context: &Context,
    id: RequestId,
    evaluation: &Evaluation,
    facts: &Facts,
) -> Result<Vec<Event>, Refusal> {
    let held = find(state, id)?;
    if !outlived(state, held) {
        return Ok(Vec::new());
    }
    same_policy(state, evaluation)?;
    let evaluation = evaluation.bounded();
    let why = format!("policy version {} came in force", evaluation.policy_version);
    let mut events: Vec<Event> = held
        .standing()
        .map(|approval| Event::ApprovalVoided {
            request: id,
            approval: approval.id,
            by: approval.by_name.clone(),
            reason: why.clone(),
        })
        .collect();
    let asker = state.operators.get(&held.requester);
    let asker = asker.filter(|asker| asker.offboarded_at.is_none());
    events.push(Event::RequestIdentified {
        request: id,
        roles: asker
            .and_then(|asker| asker.roles.get(&held.plan.environment).cloned())
            .unwrap_or_default(),
        groups: asker.map(|asker| asker.groups.clone()).unwrap_or_default(),
        facts: Some(Box::new(facts.clone())),
    });
    events.push(Event::RequestEvaluated {
        request: id,
        evaluation: Box::new(evaluation.clone()),
    });
    let deadline = held
        .deadline
        .unwrap_or(context.now + seconds(evaluation.approval_ttl_s));
    match evaluation.outcome {
        Outcome::Allow => events.push(Event::RequestApproved {
            request: id,
            by: "policy".into(),
        }),
        Outcome::Deny => events.push(Event::RequestDenied {
            request: id,
            ending: Ending {
                by: "policy".into(),
                reason: denials(&evaluation),
                at: context.now,
                proof: None,
            },
        }),
        Outcome::Needs => {
            events.push(Event::RequestAwaitingApproval {
                request: id,
                deadline,
            });
            if held.state == RequestState::Held || evaluation.hold {
                events.push(Event::RequestHeld {
                    request: id,
                    by: "policy".into(),
                    reason: "held as it was before".into(),
                    deadline,
                });
            }
        }
    }
    Ok(events)
}

/// Whether a request that is not made yet was evaluated by a policy that is no longer in force. An emergency is not
/// asked about twice: it is over in minutes, and others look at it.
pub fn outlived(state: &State, request: &Request) -> bool {
    let open = matches!(
        request.state,
        RequestState::AwaitingApproval | RequestState::Held | RequestState::Approved
    );
    open && request.break_glass.is_none()
        && request
            .evaluation
            .as_ref()
            .is_some_and(|evaluation| same_policy(state, evaluation).is_err())
}

/// What the rules that say no say.
pub(super) fn denials(evaluation: &Evaluation) -> String {
    let reasons: Vec<_> = evaluation
        .rules
        .iter()
        .filter(|rule| rule.effect == "deny")
        .map(|rule| rule.reason.as_str())
        .collect();
    check::clip(&reasons.join("; "), check::TEXT_MAX)
}

fn hold(
    state: &State,
    context: &Context,
    id: RequestId,
    reason: &str,
) -> Result<Vec<Event>, Refusal> {
    let held = open(
        state,
        context,
        id,
        &[RequestState::AwaitingApproval, RequestState::Held],
    )?;
    let person = operator(state, context)?;
    // Stopping is safe: who is on call may do it as well as who decides.
    if !person.holds(held.plan.environment, &[Role::Operator]) {
        may_decide(state, held, person)?;
    }
    people::require_reason(reason)?;
    if held.state == RequestState::Held {
        return Ok(Vec::new());
    }
    Ok(vec![Event::RequestHeld {
        request: id,
        by: person.name.clone(),
        reason: reason.to_owned(),
        deadline: held.deadline.unwrap_or(context.now),
    }])
}

fn resume(
    state: &State,
    context: &Context,
    id: RequestId,
    reason: &str,
) -> Result<Vec<Event>, Refusal> {
    let held = open(
        state,
        context,
        id,
        &[RequestState::AwaitingApproval, RequestState::Held],
    )?;
    let person = may_decide(state, held, operator(state, context)?)?;
    people::require_reason(reason)?;
    if held.state == RequestState::AwaitingApproval {
        return Ok(Vec::new());
    }
    Ok(vec![Event::RequestResumed {
        request: id,
        by: person.name.clone(),
        reason: reason.to_owned(),
    }])
}

fn add_note(
    state: &State,
    context: &Context,
    id: RequestId,
    text: &str,
) -> Result<Vec<Event>, Refusal> {
    let held = find(state, id)?;
    let person = operator(state, context)?;
    if held.review_owed().is_none() {
        open(
            state,
            context,
            id,
            &[RequestState::AwaitingApproval, RequestState::Held],
        )?;
    }
    let answer = person.id == held.requester;
    if !answer {
        may_decide(state, held, person)?;
    }
    let mut check = Check::default();
    check.text("/text", text, true);
    check.finish()?;
    if held.notes.len() >= NOTES_MAX {
        return Err(Refusal::Limit {
            detail: format!(
                "a request holds {NOTES_MAX} questions and answers; decide it, or talk"
            ),
        });
    }
    Ok(vec![Event::NoteAdded {
        request: id,
        note: Note {
            by: person.name.clone(),
            at: context.now,
            text: text.to_owned(),
            answer,
        },
    }])
}

/// The request, if it is in one of `states`, in time, and as the caller saw it.
pub(super) fn open<'a>(
    state: &'a State,
    context: &Context,
    id: RequestId,
    states: &[RequestState],
) -> Result<&'a Arc<Request>, Refusal> {
    let held = find(state, id)?;
    fresh(context, id, held.sequence, &held.trail)?;
    if !states.contains(&held.state) {
        return Err(Refusal::Conflict {
            detail: format!("the request is {}: there is nothing to decide", held.state),
        });
    }
    if held
        .deadline
        .is_some_and(|deadline| deadline <= context.now)
    {
        return Err(Refusal::Conflict {
            detail: "the time to decide is over".into(),
        });
    }
    Ok(held)
}

/// Taking back works until the issuer was asked: from then on there may be a secret, and it must be accounted for.
fn withdraw(
    state: &State,
    context: &Context,
    id: RequestId,
    reason: &str,
) -> Result<Vec<Event>, Refusal> {
    let held = find(state, id)?;
    let asker = operator(state, context)?;
    if held.requester != asker.id && !asker.holds(held.plan.environment, &[Role::Admin]) {
        return Err(Refusal::Separation {
            rule: "own-request",
            detail: format!(
                "only {} or an admin can take this request back",
                held.requester_name
            ),
        });
    }
    fresh(context, id, held.sequence, &held.trail)?;
    let mut check = Check::default();
    check.text("/reason", reason, false);
    check.finish()?;
    match held.state {
        open if can_be_withdrawn(open) => Ok(vec![Event::RequestWithdrawn {
            request: id,
            ending: Ending {
                by: asker.name.clone(),
                reason: reason.to_owned(),
                at: context.now,
                proof: None,
            },
        }]),
        RequestState::Withdrawn => Ok(Vec::new()),
        other => Err(Refusal::Conflict {
            detail: format!("the request is {other}: it cannot be taken back"),
        }),
    }
}

pub(super) fn find(state: &State, id: RequestId) -> Result<&Arc<Request>, Refusal> {
    state.requests.get(&id).ok_or(Refusal::NotFound {
        what: "request",
        id: id.to_string(),
    })
}

/// As a duration; capped at the longest life there is, so that adding it to a time cannot overflow.
pub(super) fn seconds(count: u64) -> Duration {
    Duration::seconds(i64::try_from(count.min(check::TTL_MAX_S)).unwrap_or(i64::MAX))
}
