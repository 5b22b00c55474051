//! The registry of revocations.

use super::{
    App,
    extract::{Id, Params, Reader},
    list::{self, Key, ListParams, Sorted, answer, tagged},
    problem::ApiError,
};
use crate::{
    domain::{Revocation, RevocationId},
    wire::{Page, RevocationDetail, RevocationRow},
};
use axum::{extract::State as Shared, response::Response};

impl Sorted for Revocation {
    const SORTS: &'static [&'static str] = &["-effective_at", "sequence"];

    fn key(&self, sort: &str) -> Key<'_> {
        match sort {
            "sequence" => Key::Number(self.sequence as i64),
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

/// Revocations, latest first.
#[utoipa::path(get, path = "/v1/revocations", tag = "revocations", params(ListParams),
    responses((status = 200, body = Page<RevocationRow>)))]
pub async fn list(
    Shared(app): Shared<App>,
    reader: Reader,
    Params(params): Params<ListParams>,
) -> Result<Response, ApiError> {
    let views = app.views(&reader.state, reader.now);
    let visible = reader
        .state
        .revocations
        .values()
        .map(AsRef::as_ref)
        .filter(|revocation| sees(&reader, revocation));
    let sequence = reader.state.sequence;
    let page: Page<RevocationRow> =
        list::page(&params, sequence, reader.now, visible, |revocation| {
            views.revocation_row(revocation)
        })?;
    Ok(answer(sequence, &page))
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
