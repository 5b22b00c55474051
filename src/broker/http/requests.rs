//! Asking, deciding, claiming.

use super::{
    App, Secret,
    credentials::trail,
    extract::{Call, Id, Nothing, Params, Reader, invalid},
    list::{self, Form, Key, ListParams, Sorted, answer, not_modified, tagged},
    problem::ApiError,
};
use crate::{
    broker::engine::{Outcome, fresh_bits},
    broker::evaluate::Asked,
    domain::{
        Command, Destination, Environment, Plan, Request, RequestId, check, decide::decide,
        event::Subject, request,
    },
    wire::{
        Claimed, NewRequest, Page, Reason, Receipt, RequestDetail, RequestRow, digest::plan_digest,
        header as names,
    },
};
use axum::{
    extract::State as Shared,
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::Response,
};
use serde::Serialize;
use std::sync::Arc;

/// What a command came to, for whoever sent it.
pub(super) fn receipt(outcome: &Outcome) -> Response {
    let body = Receipt {
        subject: outcome.subject.to_string(),
        sequence: outcome.sequence,
        state: outcome.state.clone(),
        dry_run: false,
    };
    done(outcome, &body)
}

/// The answer to a command: `body`, the sequence of its write, and whether it repeats an earlier one.
pub(super) fn done<T: Serialize>(outcome: &Outcome, body: &T) -> Response {
    let response = answer(outcome.sequence, body);
    if outcome.replayed {
        repeated(response)
    } else {
        response
    }
}

/// Marks an answer that repeats an earlier one.
pub(super) fn repeated(mut response: Response) -> Response {
    response.headers_mut().insert(
        HeaderName::from_static(names::IDEMPOTENCY_REPLAYED),
        HeaderValue::from_static("true"),
    );
    response
}

/// The receipt for something new, which is then found under `folder`.
pub(super) fn created(folder: &str, outcome: &Outcome) -> Response {
    let mut response = receipt(outcome);
    *response.status_mut() = StatusCode::CREATED;
    let place = HeaderValue::from_str(&format!("{folder}/{}", outcome.subject));
    response
        .headers_mut()
        .insert(header::LOCATION, place.expect("identifiers are ASCII"));
    response
}

impl Sorted for Request {
    const SORTS: &'static [&'static str] = &[
        "-submitted_at",
        "deadline",
        "risk",
        "credential",
        "requester",
        "environment",
        "state",
        "sequence",
    ];

    fn key(&self, sort: &str) -> Key<'_> {
        match sort {
            "deadline" => Key::time(self.deadline),
            "risk" => Key::Number(
                self.evaluation
                    .as_ref()
                    .map_or(0, |evaluation| evaluation.risk.score.into()),
            ),
            "credential" => Key::text(&self.plan.credential),
            "requester" => Key::text(&self.requester_name),
            "environment" => Key::Number(self.plan.environment as i64),
            "state" => Key::Number(self.state as i64),
            "sequence" => Key::Number(self.sequence as i64),
            _ => Key::time(Some(self.submitted_at)),
        }
    }

    fn bits(&self) -> u128 {
        self.id.bits()
    }
}

/// The queue and everything that was in it; a page as JSON, newest first, or with `Accept: application/x-ndjson`
/// the whole list as lines.
#[utoipa::path(get, path = "/v1/requests", tag = "requests", params(ListParams),
    responses((status = 200, content(
        (Page<RequestRow> = "application/json"), (RequestRow = "application/x-ndjson")))))]
pub async fn list(
    Shared(app): Shared<App>,
    reader: Reader,
    Params(params): Params<ListParams>,
) -> Result<Response, ApiError> {
    let state = Arc::clone(&reader.state);
    let (sequence, now) = (state.sequence, reader.now);
    let views = app.views(&state, now);
    let row = |request: &Request| views.request_row(request);
    let sees = |request: &Request| reader.caller.sees(request.plan.client);
    if reader.accepts(names::NDJSON) {
        let (app, held) = (app.clone(), Arc::clone(&state));
        let lines = move |some: &[Arc<Request>]| {
            let views = app.views(&held, now);
            list::lines(some.iter().map(|one| views.request_row(one)))
        };
        let sees_some = (!reader.caller.reads_all()).then_some(&sees as &dyn Fn(&Request) -> bool);
        let (at, all) = ((sequence, now), &state.requests);
        return list::whole(Form::LINES, &params, at, all, sees_some, row, lines);
    }
    let visible = state.requests.values().map(AsRef::as_ref);
    let visible = visible.filter(|request| sees(request));
    let page: Page<RequestRow> = list::page(&params, sequence, now, visible, row)?;
    Ok(answer(sequence, &page))
}

/// One request with everything that an approver needs, the digest that a decision is bound to included.
#[utoipa::path(get, path = "/v1/requests/{id}", tag = "requests",
    params(("id" = String, Path, description = "`req_…`")),
    responses((status = 200, body = RequestDetail), (status = 304, description = "Unchanged since `If-None-Match`")))]
pub async fn show(
    Shared(app): Shared<App>,
    reader: Reader,
    Id(id): Id<RequestId>,
) -> Result<Response, ApiError> {
    let request = reader
        .state
        .requests
        .get(&id)
        .filter(|request| reader.caller.sees(request.plan.client))
        .ok_or_else(|| ApiError::not_found("request", id))?;
    if reader.has(request.sequence) {
        return Ok(not_modified(request.sequence));
    }
    let trail = trail(&app, &reader.state, &request.trail).await?;
    let views = app.views(&reader.state, reader.now);
    let body: RequestDetail = views.request_detail(request, &reader.caller.operator, trail);
    Ok(tagged(
        answer(reader.state.sequence, &body),
        request.sequence,
    ))
}

/// Asks for a credential. With `dry_run` it says what would happen, in `state`, and changes nothing.
#[utoipa::path(post, path = "/v1/requests", tag = "requests", request_body = NewRequest,
    responses((status = 201, body = Receipt), (status = 200, body = Receipt, description = "A dry run: nothing was changed")))]
pub async fn submit(
    Shared(app): Shared<App>,
    call: Call<NewRequest>,
) -> Result<Response, ApiError> {
    let command = ask(&app, &call)?;
    if call.body.dry_run {
        return dry_run(&app, &call, &command);
    }
    let outcome = call.submit(&app, command).await?;
    Ok(created("/v1/requests", &outcome))
}

/// The command that asks for what `call` wants, with what policy says about it now.
fn ask(app: &App, call: &Call<NewRequest>) -> Result<Command, ApiError> {
    let body = &call.body;
    // Before policy is asked: its facts are only about what could be asked for at all.
    let mut check = check::Check::default();
    check.name("/credential", &body.credential);
    check.text("/role", &body.role, false);
    check.scopes("/scopes", &body.scopes);
    check.scopes("/tags", &body.tags);
    check.ttl("/ttl_s", body.ttl_s);
    check.finish()?;
    let issuers = app.engine().issuers();
    let issuer = match &body.issuer {
        Some(name) => name.clone(),
        None => issuers
            .only(body.kind)
            .ok_or_else(|| {
                let mut names: Vec<_> = issuers
                    .all()
                    .filter(|issuer| issuer.kind == body.kind)
                    .map(|issuer| issuer.name.as_str())
                    .collect();
                names.sort_unstable();
                if names.is_empty() {
                    invalid("/kind", format!("no issuer of {} is configured", body.kind))
                } else {
                    invalid("/issuer", format!("expected one of {}", names.join(", ")))
                }
            })?
            .to_owned(),
    };
    let plan = Plan {
        credential: body.credential.clone(),
        environment: body.environment,
        kind: body.kind,
        issuer,
        role: body.role.clone(),
        client: body.client,
        audience: body.audience.clone(),
        scopes: body.scopes.clone(),
        ttl_s: body.ttl_s,
        destination: body.destination.clone().or_else(|| {
            let held = call
                .state
                .credential_named(body.environment, &body.credential)?;
            held.destination.as_deref().cloned()
        }),
    };
    if let Some(destination) = &plan.destination {
        admitted(app, destination, plan.environment)?;
    }
    issuers
        .serves(&plan)
        .map_err(|expected| invalid("/issuer", expected))?;
    let owner = body.owner.clone().or_else(|| {
        let client = call.state.clients.get(&body.client)?;
        Some(client.owner.clone())
    });
    let owner = owner.ok_or_else(|| {
        invalid(
            "/client",
            format!("expected a client in service in {}", body.environment),
        )
    })?;
    let asked = Asked {
        plan: &plan,
        requester: call.caller.id(),
        reason: &body.reason,
        tags: &body.tags,
        break_glass: false,
    };
    let (facts, evaluation) = app.engine().evaluate(&asked, call.now);
    Ok(Command::SubmitRequest {
        id: RequestId::from_bits(fresh_bits(call.now)),
        digest: plan_digest(&plan),
        plan,
        reason: body.reason.clone(),
        owner,
        tags: body.tags.clone(),
        evaluation: Box::new(evaluation),
        facts: Box::new(facts),
    })
}

/// Refuses a destination that is not configured, does not serve the environment, or does not take the path.
pub(super) fn admitted(
    app: &App,
    destination: &Destination,
    environment: Environment,
) -> Result<(), ApiError> {
    let mut check = check::Check::default();
    check.destination("/destination", destination);
    check.finish()?;
    let admitted = app.engine().destinations().admit(destination, environment);
    admitted.map_err(|error| invalid(&error.pointer, error.detail))?;
    Ok(())
}

fn dry_run(app: &App, call: &Call<NewRequest>, command: &Command) -> Result<Response, ApiError> {
    let state = app.engine().state();
    decide(&state, command, &call.context())?;
    let Command::SubmitRequest { evaluation, .. } = command else {
        return Err(ApiError::internal(&"a dry run of something else"));
    };
    let would = match evaluation.outcome {
        request::Outcome::Allow => "approved",
        request::Outcome::Needs => "awaiting_approval",
        request::Outcome::Deny => "denied",
    };
    let body = Receipt {
        subject: call.body.credential.clone(),
        sequence: state.sequence,
        state: would.to_owned(),
        dry_run: true,
    };
    Ok(answer(state.sequence, &body))
}

impl<T> Call<T> {
    pub(super) fn must_see_request(&self, id: RequestId) -> Result<(), ApiError> {
        let client = self
            .state
            .requests
            .get(&id)
            .map(|request| request.plan.client);
        self.must_see("request", id, client)
    }
}

/// Takes a request back.
#[utoipa::path(post, path = "/v1/requests/{id}/withdraw", tag = "requests", request_body = Reason,
    params(("id" = String, Path, description = "`req_…`")), responses((status = 200, body = Receipt)))]
pub async fn withdraw(
    Shared(app): Shared<App>,
    Id(id): Id<RequestId>,
    call: Call<Reason>,
) -> Result<Response, ApiError> {
    call.must_see_request(id)?;
    let command = Command::Withdraw {
        request: id,
        reason: call.body.reason.clone(),
    };
    Ok(receipt(&call.submit(&app, command).await?))
}

/// Has a failed issuance tried again.
#[utoipa::path(post, path = "/v1/requests/{id}/retry", tag = "requests", request_body = Nothing,
    params(("id" = String, Path, description = "`req_…`")), responses((status = 200, body = Receipt)))]
pub async fn retry(
    Shared(app): Shared<App>,
    Id(id): Id<RequestId>,
    call: Call<Nothing>,
) -> Result<Response, ApiError> {
    call.must_see_request(id)?;
    let command = Command::Retry { request: id };
    Ok(receipt(&call.submit(&app, command).await?))
}

/// Takes the secret, once. A repetition with the same idempotency key says that it was delivered already, unless the
/// first answer was lost before the secret had left.
#[utoipa::path(post, path = "/v1/requests/{id}/claim", tag = "requests", request_body = Nothing,
    params(("id" = String, Path, description = "`req_…`")), responses((status = 200, body = Claimed)))]
pub async fn claim(
    Shared(app): Shared<App>,
    Id(id): Id<RequestId>,
    call: Call<Nothing>,
) -> Result<Response, ApiError> {
    call.must_see_request(id)?;
    let outcome = call.submit(&app, Command::Claim { request: id }).await?;
    debug_assert!(matches!(outcome.subject, Subject::Request(_)));
    let state = app.engine().state();
    let (credential, version) = state
        .requests
        .get(&id)
        .and_then(|request| request.issued)
        .ok_or_else(|| ApiError::internal(&"a claimed request without a credential"))?;
    let expires_at = state
        .credentials
        .get(&credential)
        .and_then(|held| held.version(version))
        .and_then(|version| version.expires_at);
    let secret = app.engine().reveal(id).await?;
    let body = Claimed {
        request: id,
        credential,
        version,
        secret_already_delivered: secret.is_none(),
        secret: secret.unwrap_or_default(),
        expires_at,
        sequence: outcome.sequence,
    };
    let mut response = done(&outcome, &body);
    response.extensions_mut().insert(Secret);
    Ok(response)
}
