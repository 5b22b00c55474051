//! A request's way from asking to the claimed secret, and who may say yes.

use super::{fresh, holder, operator, people};
use crate::domain::{
    Actor, Approval, ApprovalId, Client, Command, Context, Credential, Digest, Event, Kind,
    Operator, OperatorId, Plan, Refusal, Request, RequestId, RequestState, Role, State,
    check::{self, Check},
    request::{Ending, Evaluation, Outcome},
};
use chrono::Duration;
use std::{collections::BTreeSet, sync::Arc};

/// What is said where a quorum names no group: nobody can decide it.
pub const APPROVAL_GROUP_EMPTY: &str =
    "the policy names no group that may decide this, so nobody can";
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
        } => submit(
            state, context, *id, plan, *digest, reason, owner, tags, evaluation,
        ),
        Command::Approve {
            request,
            approval,
            digest,
            reason,
        } => approve(state, context, *request, *approval, *digest, reason),
        Command::Deny {
            request,
            digest,
            reason,
        } => deny(state, context, *request, *digest, reason),
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
) -> Result<Vec<Event>, Refusal> {
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
        evaluation: None,
        deadline: None,
        approvals: Vec::new(),
        ended_by: None,
        attempts: 0,
        attempt_locator: Default::default(),
        failure: None,
        issued: None,
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
            let reasons: Vec<_> = evaluation
                .rules
                .iter()
                .filter(|rule| rule.effect == "deny")
                .map(|rule| rule.reason.as_str())
                .collect();
            let ending = Ending {
                by: "policy".into(),
                reason: check::clip(&reasons.join("; "), check::TEXT_MAX),
                at: context.now,
            };
            Event::RequestDenied {
                request: id,
                ending,
            }
        }
    });
    Ok(events)
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
    match plan.kind {
        Kind::ApiKey if !plan.role.is_empty() => {
            check.refuse("/role", "expected none for an api_key: it has scopes");
        }
        Kind::ApiKey if plan.scopes.is_empty() => {
            check.refuse("/scopes", "expected at least one scope");
        }
        Kind::VaultLease => check.scope("/role", &plan.role),
        Kind::ApiKey => {}
        Kind::Jwt | Kind::DatabaseRole => check.refuse("/kind", "expected api_key or vault_lease"),
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
    ];
    match other.iter().find(|(differs, _)| *differs) {
        None => Ok(()),
        Some((_, what)) => conflict(format!(
            "{} exists in {} with another {what}; ask for the same, or choose another name",
            plan.credential, plan.environment
        )),
    }
}

fn approve(
    state: &State,
    context: &Context,
    id: RequestId,
    approval: ApprovalId,
    digest: Digest,
    reason: &str,
) -> Result<Vec<Event>, Refusal> {
    let held = decidable(state, context, id, digest)?;
    let approver = may_decide(state, held, operator(state, context)?)?;
    let Actor::Operator { proof, .. } = &context.actor else {
        return Ok(Vec::new());
    };
    let mut check = Check::default();
    check.text("/reason", reason, false);
    check.proof("/proof", proof);
    check.finish()?;
    if held.approvals.iter().any(|given| given.by == approver.id) {
        return Err(Refusal::Separation {
            rule: "distinct-people",
            detail: "you have approved this already; another person is needed".into(),
        });
    }
    let given = Approval {
        id: approval,
        by: approver.id,
        by_name: approver.name.clone(),
        at: context.now,
        digest,
        reason: reason.to_owned(),
        proof: proof.clone(),
    };
    let mut events = vec![Event::ApprovalGiven {
        request: id,
        approval: Box::new(given),
    }];
    let needed = held.quorum().map_or(u8::MAX, |quorum| quorum.count);
    if standing(state, held).len() + 1 >= usize::from(needed) {
        events.push(Event::RequestApproved {
            request: id,
            by: "quorum".into(),
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
) -> Result<Vec<Event>, Refusal> {
    let held = decidable(state, context, id, digest)?;
    let denier = may_decide(state, held, operator(state, context)?)?;
    people::require_reason(reason)?;
    Ok(vec![Event::RequestDenied {
        request: id,
        ending: Ending {
            by: denier.name.clone(),
            reason: reason.to_owned(),
            at: context.now,
        },
    }])
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
        RequestState::AwaitingApproval
        | RequestState::Held
        | RequestState::Approved
        | RequestState::Failed => Ok(vec![Event::RequestWithdrawn {
            request: id,
            ending: Ending {
                by: asker.name.clone(),
                reason: reason.to_owned(),
                at: context.now,
            },
        }]),
        RequestState::Withdrawn => Ok(Vec::new()),
        other => Err(Refusal::Conflict {
            detail: format!("the request is {other}: it cannot be taken back"),
        }),
    }
}

/// The request, if it still waits for people and is what the caller saw.
fn decidable<'a>(
    state: &'a State,
    context: &Context,
    id: RequestId,
    digest: Digest,
) -> Result<&'a Arc<Request>, Refusal> {
    let held = find(state, id)?;
    fresh(context, id, held.sequence, &held.trail)?;
    if held.state != RequestState::AwaitingApproval {
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

/// The distinct people whose approvals still count: entitled now, for this very digest.
pub(super) fn standing(state: &State, request: &Request) -> BTreeSet<OperatorId> {
    request
        .approvals
        .iter()
        .filter(|approval| approval.digest == request.digest)
        .filter_map(|approval| state.operators.get(&approval.by))
        .filter(|person| may_decide(state, request, person).is_ok())
        .map(|person| person.id)
        .collect()
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
