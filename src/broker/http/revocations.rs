//! The registry of revocations.

use super::{
    App,
    extract::{Call, Id, Params, Reader, invalid},
    list::{self, Key, ListParams, Sorted, answer, raw, tagged},
    problem::{self, ApiError},
    requests::done,
};
use crate::{
    broker::engine::fresh_bits,
    domain::{
        ClientId, Command, Credential, Digest, Event, Revocation, RevocationId, RevocationPlan,
        decide::decide,
    },
    event_log::export::{entry_line, inclusion_line},
    wire::{
        CredentialRow, Page, PlannedReach, RevocationDetail, RevocationRow,
        filter::Filter,
        header as names,
        revocation::{PlanRevocation, REGISTRY, RegistryHeader, RevokePlanned, RevokedPlan},
        revocation_digest,
    },
};
use axum::{extract::State as Shared, http::StatusCode, response::Response};
use serde::Deserialize;

impl Sorted for Revocation {
    const SORTS: &'static [&'static str] = &["-effective_at", "since", "sequence"];

    fn key(&self, sort: &str) -> Key<'_> {
        match sort {
            "sequence" => Key::Number(self.sequence as i64),
            "since" => Key::Number(self.since as i64),
            _ => Key::time(Some(self.effective_at)),
        }
    }

    fn bits(&self) -> u128 {
        self.id.bits()
    }
}

fn sees(reader: &Reader, revocation: &Revocation) -> bool {
    reader
        .state
        .credentials
        .get(&revocation.credential)
        .map_or_else(
            || reader.caller.reads_all(),
            |credential| reader.caller.sees(credential.client),
        )
}

/// What part of the registry is wanted.
#[derive(Debug, Clone, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct RegistryParams {
    /// Only of what this client uses, by identifier or name.
    #[param(example = "orders-api", max_length = 128)]
    pub client: Option<String>,
    /// Only what took effect after this sequence, as `since` of the last row that was read.
    pub since: Option<u64>,
    /// Rows that match; the language of the console's `/`.
    #[param(example = "state:propagating", max_length = 1000)]
    pub filter: Option<String>,
    /// The field to sort by; with `-` before it, the other way round.
    pub sort: Option<String>,
    /// Rows of a page, 1 to 1,000; 100 if left out.
    #[param(minimum = 1, maximum = 1000)]
    pub limit: Option<u32>,
    /// `next` of the page before.
    pub cursor: Option<String>,
}

/// The revocations of a client, if one is named, after a sequence, in the order in which they took effect.
fn part<'a>(
    reader: &'a Reader,
    client: Option<&str>,
    since: Option<u64>,
) -> Result<Vec<&'a Revocation>, ApiError> {
    let state = &reader.state;
    let since = since.unwrap_or(0);
    if since > state.sequence {
        let head = state.sequence;
        let detail = format!("in the query: since: expected a sequence of the past, up to {head}");
        return Err(ApiError::new(&problem::MALFORMED, detail));
    }
    let client = match client {
        None => None,
        Some(named) => {
            let known = match named.parse::<ClientId>() {
                Ok(id) => state.clients.get(&id),
                Err(_) => state.client_named(named),
            };
            let known = known.filter(|client| reader.caller.sees(client.id));
            let missing = || ApiError::not_found("client", named);
            Some(known.ok_or_else(missing)?.id)
        }
    };
    let of_client = |revocation: &Revocation| {
        let credential = state.credentials.get(&revocation.credential);
        client.is_none_or(|id| credential.is_some_and(|held| held.client == id))
    };
    let mut found: Vec<&Revocation> = state
        .revocations
        .values()
        .map(AsRef::as_ref)
        .filter(|held| held.since > since && sees(reader, held) && of_client(held))
        .collect();
    found.sort_unstable_by_key(|held| held.since);
    Ok(found)
}

/// The registry of revocations: latest first, or by `sort=since` in the order in which they took effect, which never
/// changes. Whoever reads from the last `since` on misses none.
#[utoipa::path(get, path = "/v1/revocations", tag = "revocations", params(RegistryParams),
    responses((status = 200, body = Page<RevocationRow>)))]
pub async fn list(
    Shared(app): Shared<App>,
    reader: Reader,
    Params(params): Params<RegistryParams>,
) -> Result<Response, ApiError> {
    let views = app.views(&reader.state, reader.now);
    let part = part(&reader, params.client.as_deref(), params.since)?;
    let sequence = reader.state.sequence;
    let params = ListParams {
        filter: params.filter,
        sort: params.sort,
        limit: params.limit,
        cursor: params.cursor,
    };
    let row = |revocation: &Revocation| views.revocation_row(revocation);
    let items = part.into_iter();
    let page: Page<RevocationRow> = list::page(&params, sequence, reader.now, items, row)?;
    Ok(answer(sequence, &page))
}

/// What part of the registry is exported.
#[derive(Debug, Clone, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ExportParams {
    /// Only of what this client uses, by identifier or name.
    #[param(example = "orders-api", max_length = 128)]
    pub client: Option<String>,
    /// Only what took effect after this sequence.
    pub since: Option<u64>,
}

/// How many revocations one export has at most.
const EXPORTED: usize = 1_000;

/// A part of the registry that proves itself: the log's signed checkpoint, and for each revocation the record by which
/// it took effect with the proof that it is in that log. The first line says what it is and up to which sequence it
/// goes (`through`, from where the next one begins if there is `more`); then two lines a revocation, in the form of an
/// audit's export. It proves that each was recorded, not that there are no others: for that the whole log is needed.
#[utoipa::path(get, path = "/v1/revocations/export", tag = "revocations", params(ExportParams),
    responses((status = 200, body = String, content_type = "application/x-ndjson")))]
pub async fn export(
    Shared(app): Shared<App>,
    reader: Reader,
    Params(params): Params<ExportParams>,
) -> Result<Response, ApiError> {
    reader.reads_all()?;
    let mut part = part(&reader, params.client.as_deref(), params.since)?;
    let log = app.engine().log();
    let checkpoint = log.checkpoint();
    let size = checkpoint.head.size;
    part.retain(|revocation| revocation.since <= size);
    let more = part.len() > EXPORTED;
    part.truncate(EXPORTED);
    let through = match part.last() {
        Some(last) if more => last.since,
        _ => size.min(reader.state.sequence),
    };
    let header = RegistryHeader {
        form: REGISTRY.to_owned(),
        checkpoint: checkpoint.note.clone(),
        client: params.client,
        since: params.since.unwrap_or(0),
        through,
        count: part.len() as u64,
        more,
    };
    let mut lines = serde_json::to_string(&header).map_err(|error| ApiError::internal(&error))?;
    lines.push('\n');
    for revocation in part {
        let index = revocation.since - 1;
        let leaves = log.leaves(index, 1).await?;
        let leaf = leaves
            .first()
            .ok_or_else(|| ApiError::internal(&"a revocation without its leaf"))?;
        lines.push_str(&entry_line(index, &leaf.bytes));
        lines.push_str(&inclusion_line(&log.inclusion_proof(index, size).await?));
    }
    Ok(raw(size, names::NDJSON, lines))
}

/// The filter of a plan.
fn parsed(text: &str) -> Result<Filter, ApiError> {
    let filter = Filter::parse_for::<CredentialRow>(text)
        .map_err(|error| invalid("/filter", error.to_string()))?;
    if filter.is_all() {
        let detail = "expected a filter that leaves something out, such as owner=payments env:prod";
        return Err(invalid("/filter", detail));
    }
    Ok(filter)
}

/// What would be withdrawn by a filter: every living credential that it finds, how many by tier, environment and owner,
/// and which are in use. Changes nothing; the answer's plan and digest are what it is executed by.
#[utoipa::path(post, path = "/v1/revocations/plan", tag = "revocations", request_body = PlanRevocation,
    responses((status = 200, body = PlannedReach)))]
pub async fn plan(
    Shared(app): Shared<App>,
    call: Call<PlanRevocation>,
) -> Result<Response, ApiError> {
    let filter = parsed(&call.body.filter)?;
    let views = app.views(&call.state, call.now);
    let sees = |credential: &Credential| call.caller.sees(credential.client);
    let reach = views.planned_reach(&call.body.filter, &filter, sees)?;
    // Whoever may not execute it is told now.
    let command = command(&call, &reach.plan, reach.digest, "planned");
    decide(&call.state, &command, &call.context())?;
    Ok(answer(call.state.sequence, &reach))
}

fn command<T>(call: &Call<T>, plan: &RevocationPlan, digest: Digest, reason: &str) -> Command {
    let fresh = |_: &_| RevocationId::from_bits(fresh_bits(call.now));
    Command::RevokePlanned {
        ids: plan.members.iter().map(fresh).collect(),
        plan: Box::new(plan.clone()),
        digest,
        reason: reason.to_owned(),
    }
}

/// Withdraws everything that a plan says, for good: one revocation for each credential, and a record that names them
/// all. Refused where the filter finds anything else by now, and says what.
#[utoipa::path(post, path = "/v1/revocations", tag = "revocations", request_body = RevokePlanned,
    responses((status = 201, body = RevokedPlan)))]
pub async fn revoke_planned(
    Shared(app): Shared<App>,
    call: Call<RevokePlanned>,
) -> Result<Response, ApiError> {
    let RevokePlanned {
        plan,
        digest,
        reason,
    } = &call.body;
    let filter = parsed(&plan.filter)?;
    if plan.members.len() > Command::REVOKE_LIMIT {
        let limit = Command::REVOKE_LIMIT;
        return Err(invalid(
            "/plan/members",
            format!("expected at most {limit} credentials"),
        ));
    }
    if revocation_digest(plan) != *digest {
        return Err(invalid("/digest", "expected the digest of this very plan"));
    }
    if plan.head > call.state.sequence {
        let head = call.state.sequence;
        return Err(invalid(
            "/plan/head",
            format!("expected a sequence of the past, up to {head}"),
        ));
    }
    for member in &plan.members {
        call.must_see_credential(member.credential)?;
    }
    // What a repetition depended on need not hold any more: its first one has changed it.
    if !call.is_repetition() {
        let sees = |credential: &Credential| call.caller.sees(credential.client);
        let views = app.views(&call.state, call.now);
        views.still_planned(plan, &filter, sees)?;
    }
    let outcome = call
        .submit(&app, command(&call, plan, *digest, reason))
        .await?;
    let events = app.engine().events(outcome.sequence, 1).await?;
    let Some(Event::RevocationPlanned {
        digest,
        revocations,
        ..
    }) = events.into_iter().next().map(|recorded| recorded.event)
    else {
        return Err(ApiError::internal(&"a plan was executed without its event"));
    };
    let body = RevokedPlan {
        digest,
        revocations,
        sequence: outcome.sequence,
    };
    let mut response = done(&outcome, &body);
    *response.status_mut() = StatusCode::CREATED;
    Ok(response)
}

/// One revocation, and how far it has come, gateway by gateway.
#[utoipa::path(get, path = "/v1/revocations/{id}", tag = "revocations",
    params(("id" = String, Path, description = "`rvk_…`")),
    responses((status = 200, body = RevocationDetail)))]
pub async fn show(
    Shared(app): Shared<App>,
    reader: Reader,
    Id(id): Id<RevocationId>,
) -> Result<Response, ApiError> {
    let revocation = reader
        .state
        .revocations
        .get(&id)
        .filter(|revocation| sees(&reader, revocation))
        .ok_or_else(|| ApiError::not_found("revocation", id))?;
    let views = app.views(&reader.state, reader.now);
    let body = views.revocation_detail(revocation, app.engine().gateways());
    Ok(tagged(
        answer(reader.state.sequence, &body),
        revocation.sequence,
    ))
}
