//! A request's way from asking to the claimed secret, and who may say yes.

use super::{fresh, holder, operator, people, system};
use crate::domain::{
    Actor, Approval, Command, Context, Credential, CredentialId, Digest, Event, Kind, Operator,
    Plan, Refusal, Request, RequestId, RequestState, Role, State, Tier, Version, VersionState,
    check::Check,
    command::MintedVersion,
    request::{Ending, Evaluation, Outcome},
};
use chrono::Duration;
use std::{collections::BTreeSet, sync::Arc};

/// How long an issued secret waits for its claim.
pub const CLAIM_WINDOW: Duration = Duration::hours(1);
/// How long an older version is accepted beside the one that replaced it.
pub const OVERLAP: Duration = Duration::hours(1);
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
        } => {
            let held = decidable(state, context, *request, *digest)?;
            let approver = may_decide(state, held, operator(state, context)?)?;
            people_reason(reason, false)?;
            if held.approvals.iter().any(|given| given.by == approver.id) {
                return Err(Refusal::Separation {
                    rule: "distinct-people",
                    detail: "you have approved this already; another person is needed".into(),
                });
            }
            let Actor::Operator { proof, .. } = &context.actor else {
                return Ok(Vec::new());
            };
            let given = Approval {
                id: *approval,
                by: approver.id,
                by_name: approver.name.clone(),
                at: context.now,
                digest: *digest,
                reason: reason.clone(),
                proof: proof.clone(),
            };
            let mut events = vec![Event::ApprovalGiven {
                request: *request,
                approval: Box::new(given),
            }];
            let needed = held.quorum().map_or(u8::MAX, |quorum| quorum.count);
            if standing(state, held).len() + 1 >= usize::from(needed) {
                events.push(Event::RequestApproved {
                    request: *request,
                    by: "quorum".into(),
                });
            }
            Ok(events)
        }
        Command::Deny {
            request,
            digest,
            reason,
        } => {
            let held = decidable(state, context, *request, *digest)?;
            let denier = may_decide(state, held, operator(state, context)?)?;
            people_reason(reason, true)?;
            let ending = Ending {
                by: denier.name.clone(),
                reason: reason.clone(),
                at: context.now,
            };
            Ok(vec![Event::RequestDenied {
                request: *request,
                ending,
            }])
        }
        Command::Withdraw { request, reason } => {
            let held = find(state, *request)?;
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
            fresh(context, request, held.sequence, &held.trail)?;
            people_reason(reason, false)?;
            match held.state {
                RequestState::AwaitingApproval | RequestState::Held | RequestState::Failed => {
                    let ending = Ending {
                        by: asker.name.clone(),
                        reason: reason.clone(),
                        at: context.now,
                    };
                    Ok(vec![Event::RequestWithdrawn {
                        request: *request,
                        ending,
                    }])
                }
                RequestState::Withdrawn => Ok(Vec::new()),
                other => Err(Refusal::Conflict {
                    detail: format!("the request is {other}: it cannot be taken back"),
                }),
            }
        }
        Command::Retry { request } => {
            let held = find(state, *request)?;
            fresh(context, request, held.sequence, &held.trail)?;
            holder(
                state,
                context,
                held.plan.environment,
                &[Role::Operator, Role::Admin],
            )?;
            match held.state {
                RequestState::Failed => Ok(vec![Event::RequestRetried { request: *request }]),
                RequestState::Approved | RequestState::Issuing => Ok(Vec::new()),
                other => Err(Refusal::Conflict {
                    detail: format!("the request is {other}: only a failed one is tried again"),
                }),
            }
        }
        Command::Claim { request } => claim(state, context, *request),
        Command::StartIssuance {
            request,
            attempt,
            locator,
        } => {
            system(context)?;
            let held = find(state, *request)?;
            let expected = held.attempts + 1;
            match held.state {
                RequestState::Approved | RequestState::Issuing if *attempt == expected => {
                    quorum_stands(state, held)?;
                    Ok(vec![Event::IssuanceStarted {
                        request: *request,
                        attempt: *attempt,
                        locator: locator.clone(),
                    }])
                }
                other => Err(Refusal::Conflict {
                    detail: format!(
                        "attempt {attempt} cannot begin: the request is {other} and attempt {expected} is next"
                    ),
                }),
            }
        }
        Command::RecordMinted {
            request,
            attempt,
            credential,
            minted,
        } => {
            system(context)?;
            let held = in_attempt(state, *request, *attempt)?;
            record_minted(state, context, held, *credential, minted)
        }
        Command::RecordIssuanceFailed {
            request,
            attempt,
            reason,
            last,
        } => {
            system(context)?;
            in_attempt(state, *request, *attempt)?;
            Ok(vec![Event::IssuanceFailed {
                request: *request,
                attempt: *attempt,
                reason: reason.clone(),
                last: *last,
            }])
        }
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
    let asker = holder(
        state,
        context,
        plan.environment,
        &[Role::Requester, Role::Operator, Role::Admin],
    )?;
    check_plan(state, plan, reason, owner, tags)?;
    let bound_elsewhere = asker.client.is_some_and(|client| client != plan.client);
    if bound_elsewhere && !asker.holds(plan.environment, &[Role::Operator, Role::Admin]) {
        return Err(Refusal::Separation {
            rule: "own-client",
            detail: "this account asks for its own client only".into(),
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
                reason: reasons.join("; "),
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
            check.refuse("/role", "expected none for an api_key: it has scopes")
        }
        Kind::ApiKey if plan.scopes.is_empty() => {
            check.refuse("/scopes", "expected at least one scope")
        }
        Kind::VaultLease => check.scope("/role", &plan.role),
        Kind::ApiKey => {}
        Kind::Jwt | Kind::DatabaseRole => check.refuse("/kind", "expected api_key or vault_lease"),
    }
    match state.clients.get(&plan.client) {
        None => check.refuse("/client", "expected a known client"),
        Some(client) if client.offboarded_at.is_some() => {
            check.refuse(
                "/client",
                format!("{} was taken out of service", client.name),
            );
        }
        Some(client) if client.environment != plan.environment => {
            check.refuse(
                "/environment",
                format!(
                    "expected {}, where {} runs",
                    client.environment, client.name
                ),
            );
        }
        Some(_) => {}
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
    if let Some(held) = state.credential_named(plan.environment, &plan.credential) {
        if held.client != plan.client || held.kind != plan.kind || held.issuer != plan.issuer {
            return Err(Refusal::Conflict {
                detail: format!(
                    "{} exists in {} for another client, kind or issuer; choose another name",
                    plan.credential, plan.environment
                ),
            });
        }
        if held.revoked.is_some() {
            return Err(Refusal::Conflict {
                detail: format!(
                    "{} is revoked for good; choose another name",
                    plan.credential
                ),
            });
        }
    }
    Ok(())
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
    state: &State,
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
    let _ = state;
    Ok(person)
}

/// The distinct people whose approvals still count: entitled now, for this very digest.
fn standing(state: &State, request: &Request) -> BTreeSet<crate::domain::OperatorId> {
    request
        .approvals
        .iter()
        .filter(|approval| approval.digest == request.digest)
        .filter_map(|approval| state.operators.get(&approval.by))
        .filter(|person| may_decide(state, request, person).is_ok())
        .map(|person| person.id)
        .collect()
}

/// Looks again, at the time of issuing, whether enough entitled people stand behind the request.
fn quorum_stands(state: &State, request: &Request) -> Result<(), Refusal> {
    let Some(evaluation) = &request.evaluation else {
        return Err(Refusal::Conflict {
            detail: "policy has not spoken".into(),
        });
    };
    match evaluation.outcome {
        Outcome::Allow => Ok(()),
        Outcome::Deny => Err(Refusal::Conflict {
            detail: "policy says no".into(),
        }),
        Outcome::Needs => {
            let (have, need) = (
                standing(state, request).len(),
                request.quorum().map_or(u8::MAX, |quorum| quorum.count),
            );
            if have >= usize::from(need) {
                Ok(())
            } else {
                Err(Refusal::Separation {
                    rule: "quorum",
                    detail: format!(
                        "{have} of {need} approvals still count: somebody's role or group has changed"
                    ),
                })
            }
        }
    }
}

fn in_attempt(state: &State, id: RequestId, attempt: u32) -> Result<&Arc<Request>, Refusal> {
    let held = find(state, id)?;
    if held.state == RequestState::Issuing && held.attempts == attempt {
        Ok(held)
    } else {
        Err(Refusal::Conflict {
            detail: format!(
                "attempt {attempt} is not under way: the request is {}",
                held.state
            ),
        })
    }
}

fn record_minted(
    state: &State,
    context: &Context,
    request: &Arc<Request>,
    fresh_id: CredentialId,
    minted: &MintedVersion,
) -> Result<Vec<Event>, Refusal> {
    let plan = &request.plan;
    let granted_until = context.now + seconds(request.granted_ttl_s());
    let existing = state.credential_named(plan.environment, &plan.credential);
    if existing.is_some_and(|held| held.revoked.is_some()) {
        return Err(Refusal::Conflict {
            detail: format!("{} was revoked meanwhile", plan.credential),
        });
    }
    let version = Version {
        number: existing.map_or(1, |held| held.next_number()),
        state: VersionState::Warm,
        digest: minted.digest,
        locator: minted.locator.clone(),
        request: Some(request.id),
        created_at: context.now,
        expires_at: Some(
            minted
                .expires_at
                .map_or(granted_until, |end| end.min(granted_until)),
        ),
        retires_at: None,
    };
    let first = existing.is_none().then(|| {
        Box::new(Credential {
            id: fresh_id,
            name: plan.credential.clone(),
            environment: plan.environment,
            kind: plan.kind,
            issuer: plan.issuer.clone(),
            role: plan.role.clone(),
            client: plan.client,
            owner: request.owner.clone(),
            audience: plan.audience.clone(),
            scopes: plan.scopes.clone(),
            tier: request
                .evaluation
                .as_ref()
                .map_or(Tier::Critical, |evaluation| evaluation.risk.tier),
            tags: request.tags.clone(),
            created_at: context.now,
            cadence_s: Some(request.granted_ttl_s()),
            versions: vec![version.clone()],
            quarantined_at: None,
            revoked: None,
            sequence: 0,
            trail: Vec::new(),
        })
    });
    let claim_until = version
        .expires_at
        .map_or(context.now + CLAIM_WINDOW, |end| {
            end.min(context.now + CLAIM_WINDOW)
        });
    Ok(vec![Event::VersionMinted {
        request: request.id,
        credential: existing.map_or(fresh_id, |held| held.id),
        version: Box::new(version),
        first,
        claim_until,
        warnings: minted.warnings.clone(),
    }])
}

fn claim(state: &State, context: &Context, id: RequestId) -> Result<Vec<Event>, Refusal> {
    let held = find(state, id)?;
    let asker = operator(state, context)?;
    if held.requester != asker.id {
        return Err(Refusal::Separation {
            rule: "own-request",
            detail: format!("only {} can claim this secret", held.requester_name),
        });
    }
    fresh(context, id, held.sequence, &held.trail)?;
    match held.state {
        RequestState::Issued => {}
        RequestState::Claimed => {
            return Err(Refusal::AlreadyClaimed {
                request: id.to_string(),
            });
        }
        other => {
            return Err(Refusal::Conflict {
                detail: format!("the request is {other}: there is no secret to claim"),
            });
        }
    }
    let made = held
        .issued
        .and_then(|(credential, number)| Some((state.credentials.get(&credential)?, number)));
    let Some((credential, number)) = made else {
        return Err(Refusal::Conflict {
            detail: "there is no secret to claim".into(),
        });
    };
    let alive = credential
        .version(number)
        .is_some_and(|version| version.accepted(context.now));
    if !alive
        || held
            .deadline
            .is_some_and(|deadline| deadline <= context.now)
    {
        return Err(Refusal::Conflict {
            detail: "the secret is no longer valid".into(),
        });
    }
    let mut events = vec![Event::RequestClaimed {
        request: id,
        by: asker.id,
    }];
    for older in credential
        .versions
        .iter()
        .filter(|version| version.state == VersionState::Active)
    {
        events.push(Event::VersionRetiring {
            credential: credential.id,
            version: older.number,
            until: context.now + OVERLAP,
        });
    }
    events.push(Event::VersionPromoted {
        credential: credential.id,
        version: number,
    });
    Ok(events)
}

fn find(state: &State, id: RequestId) -> Result<&Arc<Request>, Refusal> {
    state.requests.get(&id).ok_or(Refusal::NotFound {
        what: "request",
        id: id.to_string(),
    })
}

fn people_reason(reason: &str, required: bool) -> Result<(), Refusal> {
    if required {
        return people::require_reason(reason);
    }
    let mut check = Check::default();
    check.text("/reason", reason, false);
    check.finish()
}

fn seconds(count: u64) -> Duration {
    Duration::seconds(i64::try_from(count).unwrap_or(i64::MAX / 1_000))
}
