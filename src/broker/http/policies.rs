//! Policies: reading them, proposing, deciding, and trying one on what was decided before.

use super::{
    App,
    credentials::trail,
    extract::{Call, Id, Nothing, Reader, invalid},
    list::{answer, not_modified, tagged},
    problem::{self, ApiError},
    requests::{created, receipt},
};
use crate::{
    broker::{
        engine::fresh_bits,
        evaluate::{quorum, step_up},
        signing,
        simulation::{self},
    },
    domain::{
        ApprovalId, Checked, Command, Event, PolicyStatement, Proposal, ProposalId, ProposalState,
        Refusal, State,
        decide::policy_matter,
        policy::{FILES_MAX, encoded_size},
        statement::{PolicyRef, STATEMENT_LIFE},
    },
    policy::{Policy, PolicyError},
    wire::{
        Approve, Deny, NewProposal, Policies, PolicyDetail, ProposalDetail, Reason, Receipt,
        SignedStatement, SigningOrder, Simulate, Simulation, policy_digest,
    },
};
use axum::{
    extract::{Path, State as Shared},
    response::Response,
};
use std::{collections::BTreeMap, sync::Arc};

/// Over how many days back a simulation goes if it is not said.
const DAYS: u32 = 30;
/// And at most.
const DAYS_MAX: u32 = 365;

/// The versions that were in force, newest first, and what is proposed.
#[utoipa::path(get, path = "/v1/policies", tag = "policies", responses((status = 200, body = Policies)))]
pub async fn list(Shared(app): Shared<App>, reader: Reader) -> Result<Response, ApiError> {
    reader.reads_all()?;
    let views = app.views(&reader.state, reader.now);
    let body: Policies = views.policies(app.engine().policies());
    Ok(answer(reader.state.sequence, &body))
}

/// One version with its text, and the text of the one before.
#[utoipa::path(get, path = "/v1/policies/{version}", tag = "policies",
    params(("version" = u32, Path, description = "a version, from 1")),
    responses((status = 200, body = PolicyDetail)))]
pub async fn show(
    Shared(app): Shared<App>,
    reader: Reader,
    Path(version): Path<String>,
) -> Result<Response, ApiError> {
    reader.reads_all()?;
    let views = app.views(&reader.state, reader.now);
    let body: Option<PolicyDetail> = version
        .parse()
        .ok()
        .and_then(|version| views.policy_detail(app.engine().policies(), version));
    let body = body.ok_or_else(|| ApiError::not_found("policy of version", &version))?;
    Ok(answer(reader.state.sequence, &body))
}

/// One proposal with its text, the text that it would replace, and the digest that a decision is bound to.
#[utoipa::path(get, path = "/v1/policies/proposals/{id}", tag = "policies",
    params(("id" = String, Path, description = "`prp_…`")),
    responses((status = 200, body = ProposalDetail), (status = 304, description = "Unchanged since `If-None-Match`")))]
pub async fn proposal(
    Shared(app): Shared<App>,
    reader: Reader,
    Id(id): Id<ProposalId>,
) -> Result<Response, ApiError> {
    reader.reads_all()?;
    let held = find(&reader.state, id)?;
    if reader.has(held.sequence) {
        return Ok(not_modified(held.sequence));
    }
    let trail = trail(&app, &reader.state, &held.trail).await?;
    let views = app.views(&reader.state, reader.now);
    let policies = app.engine().policies();
    let body: ProposalDetail =
        views.proposal_detail(policies, held, &reader.caller.operator, trail);
    Ok(tagged(answer(reader.state.sequence, &body), held.sequence))
}

fn find(state: &State, id: ProposalId) -> Result<&Arc<Proposal>, ApiError> {
    state
        .proposals
        .get(&id)
        .ok_or_else(|| ApiError::not_found("proposal", id))
}

/// Proposes another policy, as a whole. It must load and decide its own cases as they say.
#[utoipa::path(post, path = "/v1/policies/proposals", tag = "policies", request_body = NewProposal,
    responses((status = 201, body = Receipt)))]
pub async fn propose(
    Shared(app): Shared<App>,
    call: Call<NewProposal>,
) -> Result<Response, ApiError> {
    let body = &call.body;
    // Who may not propose is told so before anything is compiled for them.
    let policies = app.engine().policies();
    let change = policies.change(&call.state);
    let command = Command::ProposePolicy {
        id: ProposalId::from_bits(fresh_bits(call.now)),
        files: body.files.clone(),
        digest: policy_digest(&body.files),
        base: body.base,
        base_digest: policies.digest(&call.state),
        reason: body.reason.clone(),
        quorum: quorum(change.quorum),
        step_up: step_up(change.step_up),
        approval_ttl_s: change.approval_ttl_s,
    };
    if !call.replays(&call.state) {
        crate::domain::decide(&call.state, &command, &call.context())?;
        load(&app, &call.state, &body.files).await?;
    }
    let outcome = call.submit(&app, command).await?;
    Ok(created("/v1/policies/proposals", &outcome))
}

/// Compiles `files` and has them decide their cases, off the threads that everybody waits on.
async fn load(
    app: &App,
    state: &Arc<State>,
    files: &BTreeMap<String, String>,
) -> Result<Arc<Policy>, ApiError> {
    let size = encoded_size(files);
    if size > FILES_MAX {
        let detail = format!("they take {size} bytes as JSON; at most {FILES_MAX} are accepted");
        return Err(invalid("/files", detail));
    }
    let (app, state, files) = (app.clone(), Arc::clone(state), files.clone());
    tokio::task::spawn_blocking(move || app.engine().policies().load(&state, &files))
        .await
        .map_err(|error| ApiError::internal(&error))?
        .map_err(|error| faulty(&error))
}

/// What is wrong with a policy, by the file that it is wrong in.
fn faulty(error: &PolicyError) -> ApiError {
    let at = |name: &str| {
        let name = name.replace('~', "~0").replace('/', "~1");
        format!("/files/{name}")
    };
    match error {
        PolicyError::File { name, .. }
        | PolicyError::Compile { name, .. }
        | PolicyError::Forbidden { name, .. } => invalid(&at(name), error.to_string()),
        PolicyError::Cases { failed, .. } => {
            let fields = failed
                .iter()
                .take(20)
                .map(|failure| crate::domain::FieldError {
                    pointer: at(&failure.file),
                    detail: failure.to_string(),
                });
            Refusal::Invalid(fields.collect()).into()
        }
        PolicyError::Read { .. } | PolicyError::TooLong { .. } | PolicyError::Unusable { .. } => {
            invalid("/files", error.to_string())
        }
    }
}

/// What a statement about this proposal is made with: a nonce, and what it has to say. Changes nothing.
#[utoipa::path(post, path = "/v1/policies/proposals/{id}/signing", tag = "policies", request_body = Nothing,
    params(("id" = String, Path, description = "`prp_…`")), responses((status = 200, body = SigningOrder)))]
pub async fn signing_order(
    Shared(app): Shared<App>,
    Id(id): Id<ProposalId>,
    call: Call<Nothing>,
) -> Result<Response, ApiError> {
    call.must_read_all()?;
    let held = find(&call.state, id)?;
    let operator = &call.caller.operator;
    let engine = app.engine();
    let purpose = signing::policy_purpose(operator, held);
    let body = SigningOrder {
        origin: engine.origin().to_owned(),
        nonce: engine
            .signing()
            .nonces
            .issue(purpose, call.now, STATEMENT_LIFE),
        expires_at: call.now + STATEMENT_LIFE,
        now: call.now,
        revision: held.base + 1,
        policy: PolicyRef {
            version: held.base.to_string(),
            digest: held
                .base_digest
                .unwrap_or_else(|| engine.policies().digest(&call.state)),
        },
        step_up: held.step_up,
        keys: policy_matter(held)
            .keys(operator, call.now)
            .map(|key| key.fingerprint.clone())
            .collect(),
    };
    Ok(answer(call.state.sequence, &body))
}

async fn checked<T>(
    app: &App,
    call: &Call<T>,
    held: &Proposal,
    signed: Option<&SignedStatement>,
) -> Result<Option<Box<Checked<PolicyStatement>>>, ApiError> {
    // A repetition gets the first one's answer, by its key: the nonce was spent by then.
    let Some(signed) = signed.filter(|_| !call.is_repetition()) else {
        return Ok(None);
    };
    let operator = &call.caller.operator;
    let purpose = |_: &PolicyStatement| signing::policy_purpose(operator, held);
    let identity = call.identity(&signed.payload);
    signing::check_decision(app.engine(), operator, purpose, signed, identity, call.now)
        .await
        .map(|checked| Some(Box::new(checked)))
        .map_err(|error| ApiError::new(&problem::SIGNATURE, error.to_string()))
}

/// Nothing comes in force on approvals whose signatures do not hold any more: those before this one are checked again.
fn countersigned(app: &App, state: &State, held: &Proposal) -> Result<(), ApiError> {
    let refused = |why| ApiError::new(&problem::SIGNATURE, why);
    let engine = app.engine();
    let authorities = &engine.signing().authorities;
    let good = signing::countersigned_policy(authorities, state, engine.origin(), held)
        .map_err(refused)?;
    let needed = usize::from(held.quorum.count);
    if good + 1 >= needed {
        Ok(())
    } else {
        Err(refused(format!(
            "{} of {needed} signatures hold for this text",
            good + 1
        )))
    }
}

/// Approves a proposal, bound to the digest of the text that was seen. The last approval that is needed puts it in force.
#[utoipa::path(post, path = "/v1/policies/proposals/{id}/approvals", tag = "policies", request_body = Approve,
    params(("id" = String, Path, description = "`prp_…`")), responses((status = 200, body = Receipt)))]
pub async fn approve(
    Shared(app): Shared<App>,
    Id(id): Id<ProposalId>,
    mut call: Call<Approve>,
) -> Result<Response, ApiError> {
    call.must_read_all()?;
    let intention = (id, call.body.digest, call.body.reason.clone());
    call.means("approve", &intention);
    let state = Arc::clone(&call.state);
    let held = find(&state, id)?;
    let command = Command::ApprovePolicy {
        proposal: id,
        approval: ApprovalId::from_bits(fresh_bits(call.now)),
        digest: call.body.digest,
        reason: call.body.reason.clone(),
        checked: checked(&app, &call, held, call.body.signed.as_ref()).await?,
    };
    if held.state == ProposalState::AwaitingApproval && !call.replays(&call.state) {
        let events = crate::domain::decide(&call.state, &command, &call.context())?;
        let last = |event: &Event| matches!(event, Event::PolicyInForce { .. });
        if events.iter().any(last) {
            countersigned(&app, &state, held)?;
        }
        // It loaded when it was proposed; this build may be another.
        load(&app, &call.state, &held.files).await?;
    }
    Ok(receipt(&call.submit(&app, command).await?))
}

/// Denies a proposal: one person's no ends it. It is signed, or `unsigned` says that its maker cannot.
#[utoipa::path(post, path = "/v1/policies/proposals/{id}/denials", tag = "policies", request_body = Deny,
    params(("id" = String, Path, description = "`prp_…`")), responses((status = 200, body = Receipt)))]
pub async fn deny(
    Shared(app): Shared<App>,
    Id(id): Id<ProposalId>,
    mut call: Call<Deny>,
) -> Result<Response, ApiError> {
    call.must_read_all()?;
    let intention = (id, call.body.digest, call.body.reason.clone());
    call.means("deny", &intention);
    let state = Arc::clone(&call.state);
    let held = find(&state, id)?;
    let command = Command::DenyPolicy {
        proposal: id,
        digest: call.body.digest,
        reason: call.body.reason.clone(),
        checked: checked(&app, &call, held, call.body.signed.as_ref()).await?,
        unsigned: call.body.unsigned,
    };
    Ok(receipt(&call.submit(&app, command).await?))
}

/// Takes a proposal back.
#[utoipa::path(post, path = "/v1/policies/proposals/{id}/withdraw", tag = "policies", request_body = Reason,
    params(("id" = String, Path, description = "`prp_…`")), responses((status = 200, body = Receipt)))]
pub async fn withdraw(
    Shared(app): Shared<App>,
    Id(id): Id<ProposalId>,
    call: Call<Reason>,
) -> Result<Response, ApiError> {
    call.must_read_all()?;
    let command = Command::WithdrawPolicy {
        proposal: id,
        reason: call.body.reason.clone(),
    };
    Ok(receipt(&call.submit(&app, command).await?))
}

/// What would a policy have decided about the requests of the last days, on the facts as they were? Changes nothing.
#[utoipa::path(post, path = "/v1/policies/simulate", tag = "policies", request_body = Simulate,
    responses((status = 200, body = Simulation)))]
pub async fn simulate(
    Shared(app): Shared<App>,
    call: Call<Simulate>,
) -> Result<Response, ApiError> {
    call.must_read_all()?;
    let days = call.body.days.unwrap_or(DAYS);
    if !(1..=DAYS_MAX).contains(&days) {
        return Err(invalid("/days", format!("expected 1 to {DAYS_MAX}")));
    }
    let files = match (call.body.proposal, call.body.files.is_empty()) {
        (Some(id), true) => &find(&call.state, id)?.files,
        (None, false) => &call.body.files,
        _ => return Err(invalid("", "expected either files or a proposal")),
    };
    let policy = load(&app, &call.state, files).await?;
    let body: Simulation = simulation::simulate(app.engine(), policy, days, call.now).await?;
    Ok(answer(call.state.sequence, &body))
}
