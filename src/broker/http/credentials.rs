//! The inventory: lists in three forms, one with its history, and what can be done to it.

use super::{
    App,
    extract::{Call, Id, Params, Reader, invalid},
    list::{self, Form, Key, ListParams, Sorted, answer, not_modified, tagged},
    problem::ApiError,
    requests::{admitted, created, receipt},
};
use crate::{
    broker::{
        engine::fresh_bits,
        views::{Views, event::event_record},
    },
    domain::{
        Command, Credential, CredentialId, Digest, RevocationId, State, Text, Version,
        VersionState, check,
    },
    wire::{
        Adoption, CredentialDetail, CredentialRow, DeliverTo, EventRecord, FoundSecret, Page,
        Reason, Receipt, columns, header as names, revocation::Revoke,
    },
};
use axum::{extract::State as Shared, response::Response};
use serde::Deserialize;
use std::{collections::BTreeMap, sync::Arc};

impl Sorted for Credential {
    const SORTS: &'static [&'static str] = &[
        "name",
        "environment",
        "kind",
        "owner",
        "tier",
        "issued_at",
        "expires_at",
        "rotate_by",
        "sequence",
    ];

    fn key(&self, sort: &str) -> Key<'_> {
        match sort {
            "environment" => Key::Number(self.environment as i64),
            "kind" => Key::text(self.kind.as_str()),
            "owner" => Key::text(&self.owner),
            "tier" => Key::Number(self.tier as i64),
            "issued_at" => Key::time(self.current().map(|version| version.created_at)),
            "expires_at" => Key::time(self.expires_at()),
            "rotate_by" => Key::time(self.rotation_due_at()),
            "sequence" => Key::Number(self.sequence as i64),
            _ => Key::text(&self.name),
        }
    }

    fn bits(&self) -> u128 {
        self.id.bits()
    }
}

/// The inventory. A page as JSON; with `Accept: application/x-ndjson` or
/// `application/vnd.countersign.columns` the whole list as a stream whose head has its length and sequence.
#[utoipa::path(get, path = "/v1/credentials", tag = "credentials", params(ListParams),
    responses((status = 200, content(
        (Page<CredentialRow> = "application/json"),
        (CredentialRow = "application/x-ndjson"),
        (Vec<u8> = "application/vnd.countersign.columns")))))]
pub async fn list(
    Shared(app): Shared<App>,
    reader: Reader,
    Params(params): Params<ListParams>,
) -> Result<Response, ApiError> {
    let state = Arc::clone(&reader.state);
    let (sequence, now) = (state.sequence, reader.now);
    let views = app.views(&state, now);
    let row = |credential: &Credential| views.credential_row(credential);
    let (whole, held, at) = (app.clone(), Arc::clone(&state), (sequence, now));
    let sees = |credential: &Credential| reader.caller.sees(credential.client);
    let sees_some = (!reader.caller.reads_all()).then_some(&sees as &dyn Fn(&Credential) -> bool);
    if reader.accepts(names::COLUMNS) {
        let block = move |some: &[Arc<Credential>]| {
            let views = whole.views(&held, now);
            columns::block_frame(some.iter().map(|one| views.shown(one)))
        };
        let all = &state.credentials;
        return list::whole(Form::COLUMNS, &params, at, all, sees_some, row, block);
    }
    if reader.accepts(names::NDJSON) {
        let lines = move |some: &[Arc<Credential>]| {
            let views = whole.views(&held, now);
            list::lines(some.iter().map(|one| views.credential_row(one)))
        };
        let all = &state.credentials;
        return list::whole(Form::LINES, &params, at, all, sees_some, row, lines);
    }
    let items = state.credentials.values().map(AsRef::as_ref);
    let items = items.filter(|credential| sees(credential));
    let page: Page<CredentialRow> = list::page(&params, sequence, now, items, row)?;
    Ok(answer(sequence, &page))
}

/// The events with these sequences, newest first.
pub(super) async fn trail(
    app: &App,
    state: &State,
    sequences: &[u64],
) -> Result<Vec<EventRecord>, ApiError> {
    let mut records = Vec::with_capacity(sequences.len());
    for &sequence in sequences.iter().rev() {
        if let Some(recorded) = app.engine().events(sequence, 1).await?.first() {
            records.push(event_record(state, recorded));
        }
    }
    Ok(records)
}

async fn detail(app: &App, reader: &Reader, credential: &Credential) -> Result<Response, ApiError> {
    let trail = trail(app, &reader.state, &credential.trail).await?;
    let views: Views<'_> = app.views(&reader.state, reader.now);
    let body: CredentialDetail = views.credential_detail(credential, trail);
    Ok(tagged(
        answer(reader.state.sequence, &body),
        credential.sequence,
    ))
}

/// One credential with its versions, dependents, revocations and latest events.
#[utoipa::path(get, path = "/v1/credentials/{id}", tag = "credentials",
    params(("id" = String, Path, description = "`crd_…`")),
    responses((status = 200, body = CredentialDetail), (status = 304, description = "Unchanged since `If-None-Match`")))]
pub async fn show(
    Shared(app): Shared<App>,
    reader: Reader,
    Id(id): Id<CredentialId>,
) -> Result<Response, ApiError> {
    let credential = reader
        .state
        .credentials
        .get(&id)
        .filter(|credential| reader.caller.sees(credential.client))
        .ok_or_else(|| ApiError::not_found("credential", id))?;
    if reader.has(credential.sequence) {
        return Ok(not_modified(credential.sequence));
    }
    detail(&app, &reader, credential).await
}

/// A found secret's digest: the secret itself never travels.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Lookup {
    /// `sha256:` and 64 hex digits.
    #[schema(
        example = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        max_length = 512
    )]
    digest: String,
}

/// Which credential does this found secret belong to? Changes nothing.
#[utoipa::path(post, path = "/v1/credentials/lookup", tag = "credentials", request_body = Lookup,
    responses((status = 200, body = CredentialDetail)))]
pub async fn lookup(
    Shared(app): Shared<App>,
    reader: Reader,
    call: Call<Lookup>,
) -> Result<Response, ApiError> {
    let (credential, _version) = found(&reader, &call.body)?;
    detail(&app, &reader, credential).await
}

/// The credential that a found secret belongs to, and which of its versions it is.
fn found<'a>(reader: &'a Reader, lookup: &Lookup) -> Result<(&'a Arc<Credential>, u32), ApiError> {
    let digest: Digest = lookup.digest.parse().map_err(|_| {
        invalid(
            "/digest",
            "expected sha256: and 64 lower-case hex digits; never send a secret itself, and revoke it if you just did",
        )
    })?;
    reader
        .state
        .credential_of(&digest)
        .filter(|(credential, _)| reader.caller.sees(credential.client))
        .ok_or_else(|| ApiError::not_found("credential with the digest", digest))
}

/// What is this found secret, what does it open, and who uses it? Changes nothing.
#[utoipa::path(post, path = "/v1/credentials/exposure", tag = "credentials", request_body = Lookup,
    responses((status = 200, body = FoundSecret)))]
pub async fn exposure(
    Shared(app): Shared<App>,
    reader: Reader,
    call: Call<Lookup>,
) -> Result<Response, ApiError> {
    let (credential, number) = found(&reader, &call.body)?;
    let version = credential
        .version(number)
        .ok_or_else(|| ApiError::internal(&"a digest of a version that is not there"))?;
    let views = app.views(&reader.state, reader.now);
    let body = views.found_secret(credential, version, app.engine().gateways());
    Ok(answer(reader.state.sequence, &body))
}

/// Brings a credential that something else issued under management.
#[utoipa::path(post, path = "/v1/credentials", tag = "credentials", request_body = Adoption,
    responses((status = 201, body = Receipt)))]
pub async fn adopt(Shared(app): Shared<App>, call: Call<Adoption>) -> Result<Response, ApiError> {
    let body = &call.body;
    if let Some(seconds) = body.cadence_s {
        let mut check = check::Check::default();
        check.ttl("/cadence_s", seconds);
        check.finish()?;
    }
    if body.issued_at > call.now {
        return Err(invalid("/issued_at", "expected a time in the past"));
    }
    if body.expires_at.is_some_and(|end| end <= call.now) {
        return Err(invalid(
            "/expires_at",
            "expected a time in the future, or null",
        ));
    }
    let credential = Credential {
        id: CredentialId::from_bits(fresh_bits(call.now)),
        name: (&body.name).into(),
        environment: body.environment,
        kind: body.kind,
        issuer: (&body.issuer).into(),
        role: Text::default(),
        client: body.client,
        owner: (&body.owner).into(),
        audience: (&body.audience).into(),
        scopes: body.scopes.iter().collect(),
        tier: body.tier,
        tags: body.tags.iter().collect(),
        created_at: call.now,
        cadence_s: body.cadence_s,
        versions: vec![Version {
            number: 1,
            state: VersionState::Active,
            digest: Some(body.digest),
            locator: BTreeMap::new(),
            request: None,
            created_at: body.issued_at,
            expires_at: body.expires_at,
            retires_at: None,
            delivery: None,
        }],
        quarantined_at: None,
        revoked: None,
        confirmed: None,
        destination: None,
        sequence: 0,
        trail: Vec::new(),
    };
    let outcome = call
        .submit(&app, Command::Adopt(Box::new(credential)))
        .await?;
    Ok(created("/v1/credentials", &outcome))
}

impl<T> Call<T> {
    pub(super) fn must_see_credential(&self, id: CredentialId) -> Result<(), ApiError> {
        let client = self
            .state
            .credentials
            .get(&id)
            .map(|credential| credential.client);
        self.must_see("credential", id, client)
    }
}

/// Withdraws one version, or the whole credential for good. It is refused from the answer on.
#[utoipa::path(post, path = "/v1/credentials/{id}/revoke", tag = "credentials", request_body = Revoke,
    params(("id" = String, Path, description = "`crd_…`")), responses((status = 200, body = Receipt)))]
pub async fn revoke(
    Shared(app): Shared<App>,
    Id(id): Id<CredentialId>,
    call: Call<Revoke>,
) -> Result<Response, ApiError> {
    call.must_see_credential(id)?;
    let command = Command::Revoke {
        id: RevocationId::from_bits(fresh_bits(call.now)),
        credential: id,
        version: call.body.version,
        reason: call.body.reason.clone(),
    };
    Ok(receipt(&call.submit(&app, command).await?))
}

/// Refuses all versions, reversibly.
#[utoipa::path(post, path = "/v1/credentials/{id}/quarantine", tag = "credentials", request_body = Reason,
    params(("id" = String, Path, description = "`crd_…`")), responses((status = 200, body = Receipt)))]
pub async fn quarantine(
    Shared(app): Shared<App>,
    Id(id): Id<CredentialId>,
    call: Call<Reason>,
) -> Result<Response, ApiError> {
    call.must_see_credential(id)?;
    let command = Command::Quarantine {
        credential: id,
        reason: call.body.reason.clone(),
    };
    Ok(receipt(&call.submit(&app, command).await?))
}

/// Accepts again what was quarantined.
#[utoipa::path(post, path = "/v1/credentials/{id}/release", tag = "credentials", request_body = Reason,
    params(("id" = String, Path, description = "`crd_…`")), responses((status = 200, body = Receipt)))]
pub async fn release(
    Shared(app): Shared<App>,
    Id(id): Id<CredentialId>,
    call: Call<Reason>,
) -> Result<Response, ApiError> {
    call.must_see_credential(id)?;
    let command = Command::Release {
        credential: id,
        reason: call.body.reason.clone(),
    };
    Ok(receipt(&call.submit(&app, command).await?))
}

/// Another team that answers for it.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewOwner {
    /// The team.
    #[schema(max_length = 128)]
    owner: String,
    /// Why.
    #[schema(max_length = 2000)]
    reason: String,
}

/// Changes which team answers for it.
#[utoipa::path(post, path = "/v1/credentials/{id}/owner", tag = "credentials", request_body = NewOwner,
    params(("id" = String, Path, description = "`crd_…`")), responses((status = 200, body = Receipt)))]
pub async fn change_owner(
    Shared(app): Shared<App>,
    Id(id): Id<CredentialId>,
    call: Call<NewOwner>,
) -> Result<Response, ApiError> {
    call.must_see_credential(id)?;
    let command = Command::ChangeOwner {
        credential: id,
        owner: call.body.owner.clone(),
        reason: call.body.reason.clone(),
    };
    Ok(receipt(&call.submit(&app, command).await?))
}

/// Has the secrets of a credential go elsewhere from its next version on: to a destination, or into the hands of whoever
/// asks. Versions that are delivered already stay where they are.
#[utoipa::path(post, path = "/v1/credentials/{id}/deliver-to", tag = "credentials", request_body = DeliverTo,
    params(("id" = String, Path, description = "`crd_…`")), responses((status = 200, body = Receipt)))]
pub async fn deliver_to(
    Shared(app): Shared<App>,
    Id(id): Id<CredentialId>,
    call: Call<DeliverTo>,
) -> Result<Response, ApiError> {
    call.must_see_credential(id)?;
    let environment = call.state.credentials.get(&id).map(|held| held.environment);
    if let Some((destination, environment)) = call.body.destination.as_ref().zip(environment) {
        admitted(&app, destination, environment)?;
    }
    let command = Command::DeliverTo {
        credential: id,
        destination: call.body.destination.clone(),
        reason: call.body.reason.clone(),
    };
    Ok(receipt(&call.submit(&app, command).await?))
}
