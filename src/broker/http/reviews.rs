//! Access review: what each team answers for, and its word that it is still needed. To give something up is to
//! revoke it.

use super::{
    App,
    extract::{Call, Id, Params, Reader},
    list::{self, Key, ListParams, Sorted, answer},
    problem::ApiError,
    requests::receipt,
};
use crate::{
    domain::{Cadence, Command, Credential, CredentialId},
    wire::{Page, Reason, Receipt, ReviewRow},
};
use axum::{extract::State as Shared, response::Response};
use serde::Deserialize;

/// What part of the review is wanted.
#[derive(Debug, Clone, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ReviewParams {
    /// Only what this team answers for.
    #[param(example = "payments", max_length = 128)]
    pub owner: Option<String>,
    /// Rows that match; the language of the console's `/`.
    #[param(example = "state:overdue", max_length = 1000)]
    pub filter: Option<String>,
    /// The field to sort by; with `-` before it, the other way round.
    pub sort: Option<String>,
    /// Rows of a page, 1 to 1,000; 100 if left out.
    #[param(minimum = 1, maximum = 1000)]
    pub limit: Option<u32>,
    /// `next` of the page before.
    pub cursor: Option<String>,
}

/// A credential as the review sorts it.
struct Reviewed<'a>(&'a Credential, &'a Cadence);

impl Sorted for Reviewed<'_> {
    const SORTS: &'static [&'static str] =
        &["due", "name", "owner", "environment", "tier", "sequence"];

    fn key(&self, sort: &str) -> Key<'_> {
        match sort {
            "due" => Key::time(Some(self.0.review_due_at(self.1))),
            sort => self.0.key(sort),
        }
    }

    fn bits(&self) -> u128 {
        self.0.id.bits()
    }
}

/// What each team answers for, with the date until which it must be confirmed; soonest first.
#[utoipa::path(get, path = "/v1/reviews", tag = "credentials", operation_id = "list_reviews", params(ReviewParams),
    responses((status = 200, body = Page<ReviewRow>)))]
pub async fn list(
    Shared(app): Shared<App>,
    reader: Reader,
    Params(params): Params<ReviewParams>,
) -> Result<Response, ApiError> {
    let views = app.views(&reader.state, reader.now);
    let wanted: Vec<Reviewed<'_>> = reader
        .state
        .credentials
        .values()
        .filter(|credential| reader.caller.sees(credential.client))
        .filter(|credential| {
            let owner = params.owner.as_ref();
            owner.is_none_or(|owner| credential.owner == *owner)
        })
        .filter(|credential| !credential.has_ended(reader.now))
        .map(|credential| Reviewed(credential, &views.reviews))
        .collect();
    let sequence = reader.state.sequence;
    let params = ListParams {
        filter: params.filter,
        sort: params.sort,
        limit: params.limit,
        cursor: params.cursor,
    };
    let row = |reviewed: &Reviewed<'_>| views.review_row(reviewed.0);
    let page: Page<ReviewRow> = list::page(&params, sequence, reader.now, wanted.iter(), row)?;
    Ok(answer(sequence, &page))
}

/// Says that a credential is still needed; its review is due again after the cadence of its tier.
#[utoipa::path(post, path = "/v1/credentials/{id}/confirm", tag = "credentials", request_body = Reason,
    params(("id" = String, Path, description = "`crd_…`")), responses((status = 200, body = Receipt)))]
pub async fn confirm(
    Shared(app): Shared<App>,
    Id(id): Id<CredentialId>,
    call: Call<Reason>,
) -> Result<Response, ApiError> {
    call.must_see_credential(id)?;
    let command = Command::Confirm {
        credential: id,
        reason: call.body.reason.clone(),
    };
    Ok(receipt(&call.submit(&app, command).await?))
}
