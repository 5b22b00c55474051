//! Gateways: registering them, what they have applied, and what they have yet to.

use super::{
    App,
    extract::{Call, GatewayCall, Id, Ids, Nothing, Params, Reader},
    list::{self, Key, ListParams, Sorted, answer, tagged},
    minting::{created, mint, minted},
    problem::ApiError,
    requests::receipt,
};
use crate::{
    broker::engine::{Outcome, fresh_bits},
    domain::{Command, Event, Gateway, GatewayId, Revocation, Token, TokenId},
    secret::SecretMaterial,
    wire::{
        Cursor, Findings, GatewayRow, MintedGatewayToken, NewGateway, NewToken, Page, Pending,
        Reason, Receipt, RevokedHere, Standing,
    },
};
use axum::{extract::State as Shared, response::Response};

/// The label that gateways' tokens begin with.
const LABEL: &str = "gwy";
/// How many revocations a gateway is handed at once.
const HANDED: usize = Command::SETTLE_LIMIT;

impl Sorted for Gateway {
    const SORTS: &'static [&'static str] = &["name", "sequence"];

    fn key(&self, sort: &str) -> Key<'_> {
        match sort {
            "sequence" => Key::Number(self.sequence as i64),
            _ => Key::text(&self.name),
        }
    }

    fn bits(&self) -> u128 {
        self.id.bits()
    }
}

/// Gateways, by name, and how far each has come. Those out of service are among them.
#[utoipa::path(get, path = "/v1/gateways", tag = "gateways", params(ListParams),
    responses((status = 200, body = Page<GatewayRow>)))]
pub async fn list(
    Shared(app): Shared<App>,
    reader: Reader,
    Params(params): Params<ListParams>,
) -> Result<Response, ApiError> {
    reader.reads_all()?;
    let views = app.views(&reader.state, reader.now);
    let gateways = reader.state.gateways.values().map(AsRef::as_ref);
    let sequence = reader.state.sequence;
    let page: Page<GatewayRow> = list::page(&params, sequence, reader.now, gateways, |gateway| {
        views.gateway_row(gateway, app.engine().gateways())
    })?;
    Ok(answer(sequence, &page))
}

/// One gateway, and how far it has come.
#[utoipa::path(get, path = "/v1/gateways/{id}", tag = "gateways",
    params(("id" = String, Path, description = "`gwy_…`")), responses((status = 200, body = GatewayRow)))]
pub async fn show(
    Shared(app): Shared<App>,
    reader: Reader,
    Id(id): Id<GatewayId>,
) -> Result<Response, ApiError> {
    reader.reads_all()?;
    let gateway = reader
        .state
        .gateways
        .get(&id)
        .ok_or_else(|| ApiError::not_found("gateway", id))?;
    let views = app.views(&reader.state, reader.now);
    let body = views.gateway_row(gateway, app.engine().gateways());
    Ok(tagged(
        answer(reader.state.sequence, &body),
        gateway.sequence,
    ))
}

/// Brings a gateway into service, with a first token. The token is in this answer and nowhere else.
#[utoipa::path(post, path = "/v1/gateways", tag = "gateways", request_body = NewGateway,
    responses((status = 201, body = MintedGatewayToken)))]
pub async fn register(
    Shared(app): Shared<App>,
    call: Call<NewGateway>,
) -> Result<Response, ApiError> {
    let (secret, token) = mint(LABEL, "/token_ttl_s", call.body.token_ttl_s, call.now)?;
    let id = GatewayId::from_bits(fresh_bits(call.now));
    let new = &call.body;
    let gateway = Gateway {
        id,
        name: new.name.clone(),
        profile: new.profile,
        environment: new.environment,
        audiences: new
            .audiences
            .iter()
            .map(|text| text.as_str().into())
            .collect(),
        routes: new.routes.clone(),
        objective_s: new.objective_s,
        cache_s: new.cache_s,
        by: call.caller.operator.name.clone(),
        registered_at: call.now,
        tokens: vec![token.clone()],
        removed_at: None,
        sequence: 0,
    };
    let command = Command::RegisterGateway(Box::new(gateway));
    let outcome = call.submit(&app, command).await?;
    answered(&app, id, &outcome, &secret, token).await
}

/// Gives a gateway another token; the one before works on, so that it can be replaced without a gap.
#[utoipa::path(post, path = "/v1/gateways/{id}/tokens", tag = "gateways", request_body = NewToken,
    params(("id" = String, Path, description = "`gwy_…`")), responses((status = 201, body = MintedGatewayToken)))]
pub async fn issue_token(
    Shared(app): Shared<App>,
    Id(gateway): Id<GatewayId>,
    call: Call<NewToken>,
) -> Result<Response, ApiError> {
    let (secret, token) = mint(LABEL, "/ttl_s", call.body.ttl_s, call.now)?;
    let command = Command::IssueGatewayToken {
        gateway,
        token: token.clone(),
    };
    let outcome = call.submit(&app, command).await?;
    answered(&app, gateway, &outcome, &secret, token).await
}

/// Withdraws a gateway's token. Withdrawing it again changes nothing.
#[utoipa::path(delete, path = "/v1/gateways/{id}/tokens/{token}", tag = "gateways",
    params(("id" = String, Path, description = "`gwy_…`"), ("token" = String, Path, description = "`tok_…`")),
    responses((status = 200, body = Receipt)))]
pub async fn revoke_token(
    Shared(app): Shared<App>,
    Ids(gateway, token): Ids<GatewayId, TokenId>,
    call: Call<Nothing>,
) -> Result<Response, ApiError> {
    let command = Command::RevokeGatewayToken { gateway, token };
    Ok(receipt(&call.submit_repeatable(&app, command).await?))
}

/// Takes a gateway out of service: its tokens are void, and no revocation waits for it any more.
#[utoipa::path(post, path = "/v1/gateways/{id}/remove", tag = "gateways", request_body = Reason,
    params(("id" = String, Path, description = "`gwy_…`")), responses((status = 200, body = Receipt)))]
pub async fn remove(
    Shared(app): Shared<App>,
    Id(gateway): Id<GatewayId>,
    call: Call<Reason>,
) -> Result<Response, ApiError> {
    let command = Command::RemoveGateway {
        gateway,
        reason: call.body.reason.clone(),
    };
    Ok(receipt(&call.submit(&app, command).await?))
}

/// The answer with the minted token; for a repetition without it, with what the first one had made.
async fn answered(
    app: &App,
    gateway: GatewayId,
    outcome: &Outcome,
    secret: &SecretMaterial,
    token: Token,
) -> Result<Response, ApiError> {
    let made = minted(
        app,
        outcome,
        (gateway, token),
        secret,
        |event| match event {
            Event::GatewayTokenIssued { gateway, token } => Some((gateway, token)),
            Event::GatewayRegistered { gateway } => {
                Some((gateway.id, gateway.tokens.first().cloned()?))
            }
            _ => None,
        },
    )
    .await?;
    let body = MintedGatewayToken {
        gateway: made.holder,
        id: made.token.id,
        token: made.text,
        expires_at: made.token.expires_at,
        sequence: outcome.sequence,
    };
    Ok(created(outcome, &body))
}

/// What a gateway has yet to apply, oldest first, by its own token. It is handed the same until it has acknowledged it.
#[utoipa::path(get, path = "/v1/gateways/{id}/pending", tag = "gateways",
    params(("id" = String, Path, description = "`gwy_…`: the gateway that asks")),
    responses((status = 200, body = Pending)))]
pub async fn pending(
    Shared(app): Shared<App>,
    Id(id): Id<GatewayId>,
    call: GatewayCall<Nothing>,
) -> Result<Response, ApiError> {
    call.must_be(id)?;
    let state = &call.state;
    let mut waiting = state.unapplied_by(id);
    let items: Vec<RevokedHere> = waiting
        .by_ref()
        .take(HANDED)
        .filter_map(|(_, revocation)| state.revocations.get(&revocation))
        .map(|revocation| here(state, revocation))
        .collect();
    let more = waiting.next().is_some();
    // Whoever has applied all that waits has applied everything there is.
    let through = match items.last() {
        Some(last) if more => last.since,
        _ => state.sequence,
    };
    let place = app.engine().gateways().place(id);
    place.seen(call.now);
    place.sent(through, call.now);
    let body = Pending {
        items,
        through,
        more,
    };
    Ok(answer(state.sequence, &body))
}

fn here(state: &crate::domain::State, revocation: &Revocation) -> RevokedHere {
    let versions = state
        .credentials
        .get(&revocation.credential)
        .map(|credential| credential.versions.as_slice())
        .unwrap_or_default();
    RevokedHere {
        revocation: revocation.id,
        credential: revocation.credential,
        versions: revocation.versions.clone(),
        digests: versions
            .iter()
            .filter(|version| revocation.versions.contains(&version.number))
            .filter_map(|version| version.digest)
            .collect(),
        effective_at: revocation.effective_at,
        since: revocation.since,
    }
}

/// A gateway says how far it has come, by its own token: its heartbeat too. What it has applied with that is recorded.
#[utoipa::path(put, path = "/v1/gateways/{id}/cursor", tag = "gateways", request_body = Cursor,
    params(("id" = String, Path, description = "`gwy_…`: the gateway that says so")),
    responses((status = 200, body = Standing)))]
pub async fn cursor(
    Shared(app): Shared<App>,
    Id(gateway): Id<GatewayId>,
    call: GatewayCall<Cursor>,
) -> Result<Response, ApiError> {
    let cursor = call.body.cursor;
    let standing = app
        .engine()
        .applied(gateway, cursor, call.context())
        .await?;
    Ok(answer(standing.sequence, &standing))
}

/// What gateways reported that cannot be, latest first.
#[utoipa::path(get, path = "/v1/usage/findings", tag = "gateways", operation_id = "findings",
    responses((status = 200, body = Findings)))]
pub async fn findings(Shared(app): Shared<App>, reader: Reader) -> Result<Response, ApiError> {
    reader.reads_all()?;
    let (items, count) = app.engine().gateways().findings();
    Ok(answer(reader.state.sequence, &Findings { count, items }))
}
