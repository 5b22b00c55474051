//! The SSH keys that people sign in and decide with.

use super::{
    App,
    extract::{Call, Id, invalid},
    problem::ApiError,
    requests::receipt,
};
use crate::{
    domain::{Command, OperatorId, SshKey},
    ssh::PublicKey,
    wire::{KeyName, NewKey, Receipt, RemoveKey},
};
use axum::{extract::State as Shared, response::Response};

/// Enrols an SSH key. For somebody with a role in production it counts once another admin has countersigned it.
#[utoipa::path(post, path = "/v1/operators/{id}/keys", tag = "operators", request_body = NewKey,
    params(("id" = String, Path, description = "`opr_…`")), responses((status = 200, body = Receipt)))]
pub async fn enrol_key(
    Shared(app): Shared<App>,
    Id(id): Id<OperatorId>,
    call: Call<NewKey>,
) -> Result<Response, ApiError> {
    let key = PublicKey::from_line(&call.body.public_key)
        .map_err(|error| invalid("/public_key", error.to_string()))?;
    let command = Command::EnrolKey {
        operator: id,
        key: SshKey {
            fingerprint: key.fingerprint(),
            public_key: key.line(),
            hardware: key.algorithm().in_hardware(),
            // Who and when is for the rules to fill in.
            enrolled_by: call.caller.id(),
            enrolled_at: call.now,
            valid_from: None,
            countersigned_by: None,
        },
    };
    Ok(receipt(&call.submit(&app, command).await?))
}

/// Countersigns an enrolment: another admin's part.
#[utoipa::path(post, path = "/v1/operators/{id}/keys/countersign", tag = "operators", request_body = KeyName,
    params(("id" = String, Path, description = "`opr_…`")), responses((status = 200, body = Receipt)))]
pub async fn countersign_key(
    Shared(app): Shared<App>,
    Id(id): Id<OperatorId>,
    call: Call<KeyName>,
) -> Result<Response, ApiError> {
    let command = Command::CountersignKey {
        operator: id,
        fingerprint: call.body.fingerprint.clone(),
    };
    Ok(receipt(&call.submit(&app, command).await?))
}

/// Takes a key out of use at once, ends the sessions that it opened, and takes its approvals of what is not issued yet
/// out of the count.
#[utoipa::path(post, path = "/v1/operators/{id}/keys/remove", tag = "operators", request_body = RemoveKey,
    params(("id" = String, Path, description = "`opr_…`")), responses((status = 200, body = Receipt)))]
pub async fn remove_key(
    Shared(app): Shared<App>,
    Id(id): Id<OperatorId>,
    call: Call<RemoveKey>,
) -> Result<Response, ApiError> {
    let command = Command::RemoveKey {
        operator: id,
        fingerprint: call.body.fingerprint.clone(),
        reason: call.body.reason.clone(),
    };
    Ok(receipt(&call.submit(&app, command).await?))
}
