//! Deciding requests: what to sign, yes, no, less, not yet, and the emergency.

use super::{
    App,
    extract::{Call, Id, Nothing},
    list::answer,
    problem::{self, ApiError},
    requests::receipt,
};
use crate::{
    broker::{engine::fresh_bits, evaluate::Asked, signing},
    domain::{
        ApprovalId, Checked, Command, Evaluation, Plan, Request, RequestId, RevocationId,
        Statement,
        decide::{Matter, decide},
        statement::{PolicyRef, STATEMENT_LIFE},
    },
    wire::{
        Approve, BreakGlass, Deny, Narrow, NewNote, Reason, Receipt, SignedStatement, SigningOrder,
        plan_digest, request::Narrowed,
    },
};
use axum::{extract::State as Shared, response::Response};
use std::sync::Arc;

fn the_request<T>(call: &Call<T>, id: RequestId) -> Result<Arc<Request>, ApiError> {
    call.must_see_request(id)?;
    call.state
        .requests
        .get(&id)
        .cloned()
        .ok_or_else(|| ApiError::not_found("request", id))
}

/// What a statement about this request is made with: a nonce, and what it has to say. Changes nothing.
#[utoipa::path(post, path = "/v1/requests/{id}/signing", tag = "requests", request_body = Nothing,
    params(("id" = String, Path, description = "`req_…`")), responses((status = 200, body = SigningOrder)))]
pub async fn signing_order(
    Shared(app): Shared<App>,
    Id(id): Id<RequestId>,
    call: Call<Nothing>,
) -> Result<Response, ApiError> {
    let request = the_request(&call, id)?;
    let operator = &call.caller.operator;
    let policy = request.evaluation.as_ref().ok_or_else(|| {
        ApiError::new(
            &problem::CONFLICT,
            "policy has not spoken about this request yet",
        )
    })?;
    let purpose = signing::decision_purpose(operator, id, request.revision);
    let nonces = &app.engine().signing().nonces;
    let body = SigningOrder {
        origin: app.engine().origin().to_owned(),
        nonce: nonces.issue(purpose, call.now, STATEMENT_LIFE),
        expires_at: call.now + STATEMENT_LIFE,
        now: call.now,
        revision: request.revision,
        policy: PolicyRef {
            version: policy.policy_version.clone(),
            digest: policy.policy_digest,
        },
        step_up: request.step_up(),
        keys: Matter::of(&request)
            .keys(operator, call.now)
            .map(|key| key.fingerprint.clone())
            .collect(),
    };
    Ok(answer(call.state.sequence, &body))
}

async fn checked<T>(
    app: &App,
    call: &Call<T>,
    request: &Request,
    signed: Option<&SignedStatement>,
) -> Result<Option<Box<Checked>>, ApiError> {
    // A repetition gets the first one's answer, by its key: the nonce was spent by then.
    let Some(signed) = signed.filter(|_| !call.is_repetition()) else {
        return Ok(None);
    };
    let operator = &call.caller.operator;
    let purpose = |said: &Statement| {
        // For the revision that was signed: that it is another one by now is for the rules to say.
        signing::decision_purpose(operator, request.id, said.request.rev)
    };
    let identity = call.identity(&signed.payload);
    signing::check_decision(app.engine(), operator, purpose, signed, identity, call.now)
        .await
        .map(|checked| Some(Box::new(checked)))
        .map_err(|error| ApiError::new(&problem::SIGNATURE, error.to_string()))
}

/// Approves a request, bound to the digest of the plan that was seen.
#[utoipa::path(post, path = "/v1/requests/{id}/approvals", tag = "requests", request_body = Approve,
    params(("id" = String, Path, description = "`req_…`")), responses((status = 200, body = Receipt)))]
pub async fn approve(
    Shared(app): Shared<App>,
    Id(id): Id<RequestId>,
    mut call: Call<Approve>,
) -> Result<Response, ApiError> {
    let request = the_request(&call, id)?;
    let intention = (id, call.body.digest, call.body.reason.clone());
    call.means("approve", &intention);
    let command = Command::Approve {
        request: id,
        approval: ApprovalId::from_bits(fresh_bits(call.now)),
        digest: call.body.digest,
        reason: call.body.reason.clone(),
        checked: checked(&app, &call, &request, call.body.signed.as_ref()).await?,
    };
    Ok(receipt(&call.submit(&app, command).await?))
}

/// Denies a request: one person's no ends it. Of a request whose quorum was skipped, it withdraws what was issued. Where
/// `step_up` asks for signatures, it is signed, or `unsigned` says that its maker cannot.
#[utoipa::path(post, path = "/v1/requests/{id}/denials", tag = "requests", request_body = Deny,
    params(("id" = String, Path, description = "`req_…`")), responses((status = 200, body = Receipt)))]
pub async fn deny(
    Shared(app): Shared<App>,
    Id(id): Id<RequestId>,
    mut call: Call<Deny>,
) -> Result<Response, ApiError> {
    let request = the_request(&call, id)?;
    let intention = (id, call.body.digest, call.body.reason.clone());
    call.means("deny", &intention);
    let command = Command::Deny {
        request: id,
        digest: call.body.digest,
        reason: call.body.reason.clone(),
        revocation: RevocationId::from_bits(fresh_bits(call.now)),
        checked: checked(&app, &call, &request, call.body.signed.as_ref()).await?,
        unsigned: call.body.unsigned,
    };
    Ok(receipt(&call.submit(&app, command).await?))
}

/// Makes a request ask for less: fewer scopes, a shorter life. Approvals of what it asked for before no longer count.
/// With `dry_run` it tells the risk and the quorum of what would be left.
#[utoipa::path(post, path = "/v1/requests/{id}/narrow", tag = "requests", request_body = Narrow,
    params(("id" = String, Path, description = "`req_…`")), responses((status = 200, body = Receipt)))]
pub async fn narrow(
    Shared(app): Shared<App>,
    Id(id): Id<RequestId>,
    mut call: Call<Narrow>,
) -> Result<Response, ApiError> {
    let request = the_request(&call, id)?;
    // Who repeats it has seen the narrower plan by then, and means the same.
    let intention = (id, call.body.scopes.clone(), call.body.ttl_s);
    call.means("narrow", &(intention, call.body.reason.clone()));
    let (body, repeats) = (&call.body, call.is_repetition());
    if body.digest != request.digest && !repeats {
        let detail = format!(
            "what you saw ({}) is not what is asked ({})",
            body.digest.short(),
            request.digest.short()
        );
        return Err(ApiError::new(&problem::CONFLICT, detail));
    }
    let plan = Plan {
        scopes: body
            .scopes
            .clone()
            .unwrap_or_else(|| request.plan.scopes.clone()),
        ttl_s: body.ttl_s.unwrap_or(request.plan.ttl_s),
        ..request.plan.clone()
    };
    let evaluation = evaluate(&app, &call, &request, &plan, false);
    let digest = plan_digest(&plan);
    let command = Command::Narrow {
        request: id,
        plan: plan.clone(),
        digest,
        reason: body.reason.clone(),
        evaluation: Box::new(evaluation.clone()),
    };
    if body.dry_run {
        if !repeats {
            decide(&call.state, &command, &call.context())?;
        }
        let told = Narrowed {
            plan,
            digest,
            outcome: evaluation.outcome,
            quorum: evaluation.quorum,
            step_up: evaluation.step_up,
            risk: evaluation.risk,
        };
        return Ok(answer(call.state.sequence, &told));
    }
    Ok(receipt(&call.submit(&app, command).await?))
}

fn evaluate<T>(
    app: &App,
    call: &Call<T>,
    request: &Request,
    plan: &Plan,
    break_glass: bool,
) -> Evaluation {
    let asked = Asked {
        plan,
        requester: request.requester,
        reason: &request.reason,
        tags: &request.tags,
        break_glass,
    };
    app.engine().evaluate(&asked, call.now).1
}

/// Stops a request until somebody lets it go on.
#[utoipa::path(post, path = "/v1/requests/{id}/hold", tag = "requests", request_body = Reason,
    params(("id" = String, Path, description = "`req_…`")), responses((status = 200, body = Receipt)))]
pub async fn hold(
    Shared(app): Shared<App>,
    Id(id): Id<RequestId>,
    call: Call<Reason>,
) -> Result<Response, ApiError> {
    call.must_see_request(id)?;
    let command = Command::Hold {
        request: id,
        reason: call.body.reason.clone(),
    };
    Ok(receipt(&call.submit(&app, command).await?))
}

/// Lets a held request go on.
#[utoipa::path(post, path = "/v1/requests/{id}/resume", tag = "requests", request_body = Reason,
    params(("id" = String, Path, description = "`req_…`")), responses((status = 200, body = Receipt)))]
pub async fn resume(
    Shared(app): Shared<App>,
    Id(id): Id<RequestId>,
    call: Call<Reason>,
) -> Result<Response, ApiError> {
    call.must_see_request(id)?;
    let command = Command::Resume {
        request: id,
        reason: call.body.reason.clone(),
    };
    Ok(receipt(&call.submit(&app, command).await?))
}

/// Asks the requester something, or, by the requester, answers.
#[utoipa::path(post, path = "/v1/requests/{id}/notes", tag = "requests", request_body = NewNote,
    params(("id" = String, Path, description = "`req_…`")), responses((status = 200, body = Receipt)))]
pub async fn add_note(
    Shared(app): Shared<App>,
    Id(id): Id<RequestId>,
    call: Call<NewNote>,
) -> Result<Response, ApiError> {
    call.must_see_request(id)?;
    let command = Command::AddNote {
        request: id,
        text: call.body.text.clone(),
    };
    Ok(receipt(&call.submit(&app, command).await?))
}

/// Skips the quorum of one's own request in an emergency. Signed, loud, short, and looked at by others afterwards: if
/// they do not in time, what was issued is withdrawn.
#[utoipa::path(post, path = "/v1/requests/{id}/break-glass", tag = "requests", request_body = BreakGlass,
    params(("id" = String, Path, description = "`req_…`")), responses((status = 200, body = Receipt)))]
pub async fn break_glass(
    Shared(app): Shared<App>,
    Id(id): Id<RequestId>,
    mut call: Call<BreakGlass>,
) -> Result<Response, ApiError> {
    let request = the_request(&call, id)?;
    let intention = (id, call.body.reason.clone());
    call.means("break-glass", &intention);
    let mut evaluation = evaluate(&app, &call, &request, &request.plan, true);
    // An emergency is granted for minutes, whatever was asked for before it was one.
    if evaluation.max_ttl_s < request.plan.ttl_s {
        let short = Plan {
            ttl_s: evaluation.max_ttl_s,
            ..request.plan.clone()
        };
        evaluation = evaluate(&app, &call, &request, &short, true);
    }
    let command = Command::BreakGlass {
        request: id,
        reason: call.body.reason.clone(),
        evaluation: Box::new(evaluation),
        checked: checked(&app, &call, &request, Some(&call.body.signed)).await?,
    };
    Ok(receipt(&call.submit(&app, command).await?))
}
