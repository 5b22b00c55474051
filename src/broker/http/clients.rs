//! Clients: who uses credentials.

use super::{
    App,
    extract::{Call, Id, Params, Reader},
    list::{self, Key, ListParams, Sorted, answer, tagged},
    problem::ApiError,
    requests::receipt,
};
use crate::{
    broker::engine::fresh_bits,
    domain::{Client, ClientId, Command, RevocationId},
    wire::{ClientHoldings, ClientRow, NewClient, Offboard, Page, Receipt},
};
use axum::{extract::State as Shared, http::StatusCode, response::Response};

/// How many credentials can be withdrawn with their client in one command.
const WITHDRAWN_AT_ONCE: usize = 512;

impl Sorted for Client {
    const SORTS: &'static [&'static str] = &["name", "owner", "environment", "tier", "sequence"];

    fn key(&self, sort: &str) -> Key<'_> {
        match sort {
            "owner" => Key::text(&self.owner),
            "environment" => Key::Number(self.environment as i64),
            "tier" => Key::Number(self.tier as i64),
            "sequence" => Key::Number(self.sequence as i64),
            _ => Key::text(&self.name),
        }
    }

    fn bits(&self) -> u128 {
        self.id.bits()
    }
}

/// Clients, by name.
#[utoipa::path(get, path = "/v1/clients", tag = "clients", params(ListParams),
    responses((status = 200, body = Page<ClientRow>)))]
pub async fn list(
    Shared(app): Shared<App>,
    reader: Reader,
    Params(params): Params<ListParams>,
) -> Result<Response, ApiError> {
    let views = app.views(&reader.state, reader.now);
    let held = views.living_by_client();
    let visible = reader
        .state
        .clients
        .values()
        .map(AsRef::as_ref)
        .filter(|client| reader.caller.sees(client.id));
    let sequence = reader.state.sequence;
    let row = |client: &Client| {
        views.client_row(client, held.get(&client.id).copied().unwrap_or_default())
    };
    let page: Page<ClientRow> = list::page(&params, sequence, reader.now, visible, row)?;
    Ok(answer(sequence, &page))
}

/// Brings a client in.
#[utoipa::path(post, path = "/v1/clients", tag = "clients", request_body = NewClient,
    responses((status = 201, body = Receipt)))]
pub async fn onboard(
    Shared(app): Shared<App>,
    call: Call<NewClient>,
) -> Result<Response, ApiError> {
    let body = &call.body;
    let client = Client {
        id: ClientId::from_bits(fresh_bits(call.now)),
        name: body.name.clone(),
        owner: body.owner.clone(),
        contact: body.contact.clone(),
        environment: body.environment,
        tier: body.tier,
        dependents: body.dependents.clone(),
        offboarded_at: None,
        sequence: 0,
    };
    let command = Command::OnboardClient(Box::new(client));
    let mut response = receipt(&call.submit(&app, command).await?);
    *response.status_mut() = StatusCode::CREATED;
    Ok(response)
}

/// Everything that a client holds: what leaves with it.
#[utoipa::path(get, path = "/v1/clients/{id}/holdings", tag = "clients", operation_id = "client_holdings",
    params(("id" = String, Path, description = "`cli_…`")), responses((status = 200, body = ClientHoldings)))]
pub async fn holdings(
    Shared(app): Shared<App>,
    reader: Reader,
    Id(id): Id<ClientId>,
) -> Result<Response, ApiError> {
    let client = reader
        .state
        .clients
        .get(&id)
        .filter(|_| reader.caller.sees(id))
        .ok_or_else(|| ApiError::not_found("client", id))?;
    let views = app.views(&reader.state, reader.now);
    let response = answer(reader.state.sequence, &views.client_holdings(client));
    Ok(tagged(response, client.sequence))
}

/// Takes a client out of service: everything that it holds is withdrawn, or goes over to another team.
#[utoipa::path(post, path = "/v1/clients/{id}/offboard", tag = "clients", request_body = Offboard,
    params(("id" = String, Path, description = "`cli_…`")), responses((status = 200, body = Receipt)))]
pub async fn offboard(
    Shared(app): Shared<App>,
    Id(id): Id<ClientId>,
    call: Call<Offboard>,
) -> Result<Response, ApiError> {
    call.must_see("client", id, Some(id))?;
    let command = Command::OffboardClient {
        client: id,
        reason: call.body.reason.clone(),
        hand_over_to: call.body.hand_over_to.clone(),
        revocations: (0..WITHDRAWN_AT_ONCE)
            .map(|_| RevocationId::from_bits(fresh_bits(call.now)))
            .collect(),
    };
    Ok(receipt(&call.submit(&app, command).await?))
}
