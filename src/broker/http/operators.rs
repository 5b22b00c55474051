//! People and robots, and the tokens that they sign in with.

use super::{
    App,
    extract::{Call, Id, Ids, Nothing, Params, Reader},
    list::{self, Key, ListParams, Sorted, answer, tagged},
    minting::{created, mint, minted},
    problem::ApiError,
    requests::receipt,
};
use crate::{
    broker::engine::{Outcome, fresh_bits},
    domain::{Command, Event, Operator, OperatorId, Token, TokenId, operator::Authenticator},
    secret::SecretMaterial,
    wire::{
        Grant, MintedToken, NewOperator, NewToken, Offboard, OperatorHoldings, OperatorRow, Page,
        Receipt,
    },
};
use axum::{extract::State as Shared, response::Response};

impl Sorted for Operator {
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

/// Operators, by handle.
#[utoipa::path(get, path = "/v1/operators", tag = "operators", params(ListParams),
    responses((status = 200, body = Page<OperatorRow>)))]
pub async fn list(
    Shared(app): Shared<App>,
    reader: Reader,
    Params(params): Params<ListParams>,
) -> Result<Response, ApiError> {
    reader.reads_all()?;
    let views = app.views(&reader.state, reader.now);
    let operators = reader.state.operators.values().map(AsRef::as_ref);
    let sequence = reader.state.sequence;
    let page: Page<OperatorRow> =
        list::page(&params, sequence, reader.now, operators, |operator| {
            views.operator_row(operator)
        })?;
    Ok(answer(sequence, &page))
}

/// The answer with the minted token; for a repetition without it, with what the first one had made.
async fn answered(
    app: &App,
    operator: OperatorId,
    outcome: &Outcome,
    secret: &SecretMaterial,
    token: Token,
) -> Result<Response, ApiError> {
    let made = minted(
        app,
        outcome,
        (operator, token),
        secret,
        |event| match event {
            Event::TokenIssued { operator, token } => Some((operator, token)),
            Event::OperatorEnrolled { operator } => {
                Some((operator.id, operator.tokens().next().cloned()?))
            }
            _ => None,
        },
    )
    .await?;
    let body = MintedToken {
        operator: made.holder,
        id: made.token.id,
        token: made.text,
        expires_at: made.token.expires_at,
        sequence: outcome.sequence,
    };
    Ok(created(outcome, &body))
}

/// Opens an account with a first token. The token is in this answer and nowhere else.
#[utoipa::path(post, path = "/v1/operators", tag = "operators", request_body = NewOperator,
    responses((status = 201, body = MintedToken)))]
pub async fn enrol(
    Shared(app): Shared<App>,
    call: Call<NewOperator>,
) -> Result<Response, ApiError> {
    let body = &call.body;
    let (secret, token) = mint("opr", "/token_ttl_s", body.token_ttl_s, call.now)?;
    let operator = Operator {
        id: OperatorId::from_bits(fresh_bits(call.now)),
        name: body.name.clone(),
        display_name: body.display_name.clone(),
        robot: body.robot,
        groups: body.groups.clone(),
        roles: body.roles.clone(),
        client: body.client,
        authenticators: vec![Authenticator::Token(token.clone())],
        offboarded_at: None,
        sequence: 0,
    };
    let id = operator.id;
    let outcome = call
        .submit(&app, Command::EnrolOperator(Box::new(operator)))
        .await?;
    answered(&app, id, &outcome, &secret, token).await
}

/// Gives an account another token. The token is in this answer and nowhere else.
#[utoipa::path(post, path = "/v1/operators/{id}/tokens", tag = "operators", request_body = NewToken,
    params(("id" = String, Path, description = "`opr_…`")), responses((status = 201, body = MintedToken)))]
pub async fn issue_token(
    Shared(app): Shared<App>,
    Id(id): Id<OperatorId>,
    call: Call<NewToken>,
) -> Result<Response, ApiError> {
    let (secret, token) = mint("opr", "/ttl_s", call.body.ttl_s, call.now)?;
    let command = Command::IssueToken {
        operator: id,
        token: token.clone(),
    };
    let outcome = call.submit(&app, command).await?;
    answered(&app, id, &outcome, &secret, token).await
}

/// Withdraws a token. Withdrawing it again changes nothing.
#[utoipa::path(delete, path = "/v1/operators/{id}/tokens/{token}", tag = "operators",
    params(("id" = String, Path, description = "`opr_…`"), ("token" = String, Path, description = "`tok_…`")),
    responses((status = 200, body = Receipt)))]
pub async fn revoke_token(
    Shared(app): Shared<App>,
    Ids(operator, token): Ids<OperatorId, TokenId>,
    call: Call<Nothing>,
) -> Result<Response, ApiError> {
    let command = Command::RevokeToken { operator, token };
    Ok(receipt(&call.submit_repeatable(&app, command).await?))
}

/// Sets the roles and groups that somebody holds from now on.
#[utoipa::path(post, path = "/v1/operators/{id}/grant", tag = "operators", request_body = Grant,
    params(("id" = String, Path, description = "`opr_…`")), responses((status = 200, body = Receipt)))]
pub async fn grant(
    Shared(app): Shared<App>,
    Id(id): Id<OperatorId>,
    call: Call<Grant>,
) -> Result<Response, ApiError> {
    let command = Command::GrantOperator {
        operator: id,
        roles: call.body.roles.clone(),
        groups: call.body.groups.clone(),
    };
    Ok(receipt(&call.submit(&app, command).await?))
}

/// Everything that a person or robot holds: what leaves with them.
#[utoipa::path(get, path = "/v1/operators/{id}/holdings", tag = "operators", operation_id = "operator_holdings",
    params(("id" = String, Path, description = "`opr_…`")), responses((status = 200, body = OperatorHoldings)))]
pub async fn holdings(
    Shared(app): Shared<App>,
    reader: Reader,
    Id(id): Id<OperatorId>,
) -> Result<Response, ApiError> {
    reader.reads_all()?;
    let operator = reader
        .state
        .operators
        .get(&id)
        .ok_or_else(|| ApiError::not_found("operator", id))?;
    let views = app.views(&reader.state, reader.now);
    let response = answer(reader.state.sequence, &views.operator_holdings(operator));
    Ok(tagged(response, operator.sequence))
}

/// Closes an account: its tokens stop working at once.
#[utoipa::path(post, path = "/v1/operators/{id}/offboard", tag = "operators", request_body = Offboard,
    params(("id" = String, Path, description = "`opr_…`")), responses((status = 200, body = Receipt)))]
pub async fn offboard(
    Shared(app): Shared<App>,
    Id(id): Id<OperatorId>,
    call: Call<Offboard>,
) -> Result<Response, ApiError> {
    let command = Command::OffboardOperator {
        operator: id,
        reason: call.body.reason.clone(),
        hand_over_to: call.body.hand_over_to.clone(),
    };
    Ok(receipt(&call.submit(&app, command).await?))
}
