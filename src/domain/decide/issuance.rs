//! From an approved request to the claimed secret. Everything that was true when it was approved is looked at again
//! before a secret is made, and once more before it counts.

use super::{
    decisions::standing,
    fresh, holder, operator, quorum,
    requests::{find, outlived, same_purpose, seconds, served_client},
    system, tokens,
};
use crate::domain::{
    Command, Context, Credential, CredentialId, Event, MintedVersion, Refusal, Request, RequestId,
    RequestState, Role, State, Tier, Version, VersionState, check, request::Outcome,
};
use chrono::{DateTime, Duration, Utc};
use std::sync::Arc;

/// How long an issued secret waits for its claim.
pub const CLAIM_WINDOW: Duration = Duration::hours(1);
/// How long an older version is accepted beside the one that replaced it.
pub const OVERLAP: Duration = Duration::hours(1);
/// How many of an issuer's remarks are kept.
const WARNINGS_MAX: usize = 8;

pub(super) fn decide(
    state: &State,
    command: &Command,
    context: &Context,
) -> Result<Vec<Event>, Refusal> {
    match command {
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
                RequestState::Approved | RequestState::Issuing => Ok(Vec::new()),
                _ => {
                    may_retry(state, held, context.now)?;
                    Ok(vec![Event::RequestRetried { request: *request }])
                }
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
            // Only from here: while an attempt is under way its secret may exist, and a second would orphan it.
            let expected = held.attempts + 1;
            match held.state {
                RequestState::Approved if *attempt == expected => {
                    if outlived(state, held) {
                        return Err(Refusal::Conflict {
                            detail:
                                "another policy came in force and has not spoken about this yet"
                                    .into(),
                        });
                    }
                    may_issue(state, held)?;
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
            may_issue(state, held)?;
            tokens::may_stand(state, minted)?;
            Ok(vec![record_minted(
                state,
                context,
                held,
                *credential,
                minted,
            )])
        }
        Command::RecordIssuanceFailed {
            request,
            attempt,
            reason,
            last,
        } => {
            system(context)?;
            let held = in_attempt(state, *request, *attempt)?;
            let mut events = vec![Event::IssuanceFailed {
                request: *request,
                attempt: *attempt,
                reason: check::clip(reason, check::TEXT_MAX),
                last: *last,
            }];
            // Somebody's right to decide was taken while the attempt was under way: people decide before the next.
            if !last {
                events.extend(quorum::reopened(held, held.standing().count(), context.now));
            }
            Ok(events)
        }
        _ => Ok(Vec::new()),
    }
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
                let lost: Vec<String> = (request.approvals.iter())
                    .filter_map(|given| {
                        let why = given.void.as_deref()?;
                        Some(format!(" ({}: {why})", given.by_name))
                    })
                    .collect();
                Err(Refusal::Separation {
                    rule: "quorum",
                    detail: format!("{have} of {need} approvals still count{}", lost.concat()),
                })
            }
        }
    }
}

/// Looks again, at the time of issuing: who stands behind the request, its client, and the name that it is for.
fn may_issue(state: &State, request: &Request) -> Result<(), Refusal> {
    quorum_stands(state, request)?;
    served_client(state, &request.plan).map_err(|detail| Refusal::Conflict { detail })?;
    let Some(held) = state.credential_named(request.plan.environment, &request.plan.credential)
    else {
        return Ok(());
    };
    same_purpose(held, &request.plan)?;
    // One newer version at a time.
    match state.rotations.of(held.id) {
        Some(rotation) if rotation.state.before_promotion() => Err(Refusal::Conflict {
            detail: format!(
                "{} is rotating it, {}; let it put its version into use, or roll it back",
                rotation.id, rotation.state
            ),
        }),
        _ => Ok(()),
    }
}

/// Whether a request that could not be made can be tried again.
///
/// # Errors
/// Why not, and the way forward.
pub fn may_retry(state: &State, request: &Request, now: DateTime<Utc>) -> Result<(), Refusal> {
    if request.state != RequestState::Failed {
        return Err(Refusal::Conflict {
            detail: format!(
                "the request is {}: only a failed one is tried again",
                request.state
            ),
        });
    }
    may_issue(state, request).map_err(|refusal| match refusal {
        Refusal::Separation { rule, detail } => Refusal::Separation {
            rule,
            detail: format!("{detail}; {}", ask_again(request)),
        },
        other => other,
    })?;
    approvals_last(request, now)
}

/// The way forward for a request that failed and that nobody stands behind any more.
fn ask_again(request: &Request) -> String {
    format!(
        "{} takes it back and asks again, and others decide anew",
        request.requester_name
    )
}

/// Refuses to try again on approvals that were given longer ago than policy lets a decision take.
fn approvals_last(request: &Request, now: DateTime<Utc>) -> Result<(), Refusal> {
    let life = request
        .evaluation
        .as_ref()
        .map_or(Duration::zero(), |evaluation| {
            seconds(evaluation.approval_ttl_s)
        });
    let oldest = request.standing().map(|approval| approval.at).min();
    if oldest.is_some_and(|at| at + life <= now) {
        return Err(Refusal::Conflict {
            detail: format!("its approvals are too old to count; {}", ask_again(request)),
        });
    }
    Ok(())
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
) -> Event {
    let plan = &request.plan;
    let granted_until = context.now + seconds(request.granted_ttl_s());
    let existing = state.credential_named(plan.environment, &plan.credential);
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
        delivery: None,
    };
    let first = existing.is_none().then(|| {
        Box::new(Credential {
            id: fresh_id,
            name: (&plan.credential).into(),
            environment: plan.environment,
            kind: plan.kind,
            issuer: (&plan.issuer).into(),
            role: (&plan.role).into(),
            client: plan.client,
            owner: (&request.owner).into(),
            audience: (&plan.audience).into(),
            scopes: plan.scopes.iter().collect(),
            tier: request
                .evaluation
                .as_ref()
                .map_or(Tier::Critical, |evaluation| evaluation.risk.tier),
            tags: request.tags.iter().collect(),
            created_at: context.now,
            cadence_s: Some(request.granted_ttl_s()),
            versions: vec![version.clone()],
            quarantined_at: None,
            revoked: None,
            confirmed: None,
            destination: plan.destination.clone().map(Box::new),
            sequence: 0,
            trail: Vec::new(),
        })
    });
    let claim_until = version
        .expires_at
        .map_or(context.now + CLAIM_WINDOW, |end| {
            end.min(context.now + CLAIM_WINDOW)
        });
    Event::VersionMinted {
        request: request.id,
        credential: existing.map_or(fresh_id, |held| held.id),
        version: Box::new(version),
        first,
        claim_until,
        warnings: minted
            .warnings
            .iter()
            .take(WARNINGS_MAX)
            .map(|warning| check::clip(warning, check::TEXT_MAX))
            .collect(),
    }
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
    holder(
        state,
        context,
        held.plan.environment,
        &[Role::Requester, Role::Operator, Role::Admin],
    )?;
    fresh(context, id, held.sequence, &held.trail)?;
    match held.state {
        RequestState::Issued => {
            if let Some(destination) = &held.plan.destination {
                return Err(Refusal::Conflict {
                    detail: format!(
                        "the secret is put at {destination}, and handed to nobody; read it there"
                    ),
                });
            }
        }
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
    let (credential, number) = made(state, context, held)?;
    let mut events = vec![Event::RequestClaimed {
        request: id,
        by: asker.id,
    }];
    events.extend(into_use(credential, number, context));
    Ok(events)
}

/// What was made for an issued request, while it may be handed out.
pub(super) fn made<'a>(
    state: &'a State,
    context: &Context,
    request: &Request,
) -> Result<(&'a Arc<Credential>, u32), Refusal> {
    let made = request
        .issued
        .and_then(|(credential, number)| Some((state.credentials.get(&credential)?, number)));
    let Some((credential, number)) = made else {
        return Err(Refusal::Conflict {
            detail: "there is no secret to hand out".into(),
        });
    };
    if credential.quarantined_at.is_some() {
        return Err(Refusal::Conflict {
            detail: format!(
                "{} is quarantined: nothing of it is handed out until an admin releases it",
                credential.name
            ),
        });
    }
    let over = request
        .deadline
        .is_some_and(|deadline| deadline <= context.now);
    if !alive(credential, number, context) || over {
        return Err(Refusal::Conflict {
            detail: "the secret is no longer valid".into(),
        });
    }
    Ok((credential, number))
}

/// Whether the version is accepted.
pub(super) fn alive(credential: &Credential, number: u32, context: &Context) -> bool {
    credential
        .version(number)
        .is_some_and(|version| version.accepted(context.now))
}

/// A version whose secret is where it belongs goes into use, and the one before it retires.
pub(super) fn into_use(
    credential: &Credential,
    number: u32,
    context: &Context,
) -> impl Iterator<Item = Event> {
    let (id, until) = (credential.id, context.now + OVERLAP);
    let active = |version: &&Version| version.state == VersionState::Active;
    let retiring =
        credential
            .versions
            .iter()
            .filter(active)
            .map(move |older| Event::VersionRetiring {
                credential: id,
                version: older.number,
                until,
            });
    retiring.chain([Event::VersionPromoted {
        credential: id,
        version: number,
    }])
}
