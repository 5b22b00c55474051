//! The calls about revocations of several credentials at once.

use super::api::Client;
use super::call::Call;
use super::error::ClientError;
use super::outcome::{Once, Outcome};
use super::query::ListQuery;
use super::transport::Answer;
use crate::wire::header::NDJSON;
use crate::wire::revocation::{PlanRevocation, RevokePlanned, RevokedPlan};
use crate::wire::{Page, PlannedReach, RevocationRow};
use bytes::Bytes;

/// The largest export that is taken, in bytes: 1,000 records of the largest kind.
const EXPORT_BYTES: u64 = 128 * 1024 * 1024;

fn part(mut call: Call, client: Option<&str>, since: Option<u64>) -> Call {
    if let Some(client) = client {
        call = call.query("client", client);
    }
    match since {
        Some(since) => call.query("since", since),
        None => call,
    }
}

impl Client {
    /// What would be revoked by a filter. Changes nothing.
    ///
    /// # Errors
    /// Where the filter makes no sense, finds nothing or too much, and as every call.
    pub async fn plan_revocation(&self, filter: &str) -> Result<Answer<PlannedReach>, ClientError> {
        let filter = filter.to_owned();
        let call = Call::post(["v1", "revocations", "plan"], &PlanRevocation { filter })?;
        // It changes nothing, so a key only makes it safe to repeat.
        self.transport().send(&Once::new().apply(call)).await
    }

    /// A page of the registry: of one client, if one is named, and after a sequence.
    ///
    /// # Errors
    /// An unknown client, a sequence of the future, and as every list.
    pub async fn registry(
        &self,
        client: Option<&str>,
        since: Option<u64>,
        query: &ListQuery,
    ) -> Result<Answer<Page<RevocationRow>>, ClientError> {
        let call = query.apply(part(Call::get(["v1", "revocations"]), client, since));
        self.transport().send(&call).await
    }

    /// A part of the registry that proves itself, as lines. Nobody has checked it yet.
    ///
    /// # Errors
    /// As [`Client::registry`].
    pub async fn registry_export(
        &self,
        client: Option<&str>,
        since: Option<u64>,
    ) -> Result<Bytes, ClientError> {
        let call = part(Call::get(["v1", "revocations", "export"]), client, since);
        let chunks = self.transport().chunks(&call, NDJSON, EXPORT_BYTES).await?;
        chunks.value.read_to_end().await
    }

    /// Revokes all that a plan says, or nothing.
    pub async fn revoke_planned(&self, body: &RevokePlanned, once: &Once) -> Outcome<RevokedPlan> {
        self.command(&["revocations"], body, once).await
    }
}
