//! Who the caller is, and signing out.

use super::{
    App,
    extract::{Call, Nothing, Reader},
    list::answer,
    problem::ApiError,
    requests::receipt,
};
use crate::{
    domain::Command,
    wire::{Receipt, Session},
};
use axum::{extract::State, response::Response};

/// Who am I, what may I do, until when; and what to check the log with.
#[utoipa::path(get, path = "/v1/session", tag = "session", responses((status = 200, body = Session)))]
pub async fn show(State(app): State<App>, reader: Reader) -> Response {
    let operator = &reader.caller.operator;
    let session = Session {
        id: reader.caller.token,
        operator: operator.id,
        name: operator.name.clone(),
        robot: operator.robot,
        groups: operator.groups.clone(),
        roles: operator.roles.clone(),
        method: if reader.caller.key.is_some() {
            "ssh"
        } else {
            "token"
        }
        .to_owned(),
        key: reader.caller.key.clone(),
        opened_at: reader.caller.opened_at,
        expires_at: reader.caller.expires_at,
        signed_in_at: reader.caller.signed_in_at,
        renewable_until: reader.caller.renewable_until,
        origin: app.engine().origin().to_owned(),
        verifier_key: app.engine().verifier_key().to_owned(),
        now: reader.now,
        broker: "countersign".to_owned(),
        environment: None,
    };
    answer(reader.state.sequence, &session)
}

/// Signs out: withdraws the token that this call is made with.
#[utoipa::path(delete, path = "/v1/session", tag = "session", responses((status = 200, body = Receipt)))]
pub async fn sign_out(State(app): State<App>, call: Call<Nothing>) -> Result<Response, ApiError> {
    let command = Command::RevokeToken {
        operator: call.caller.id(),
        token: call.caller.token,
    };
    Ok(receipt(&call.submit_repeatable(&app, command).await?))
}
