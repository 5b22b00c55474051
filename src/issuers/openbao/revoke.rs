//! Revoking a lease so that it is certain: the synchronous call, the token, and a lookup that no longer finds it.
//! OpenBao's own 204 proves nothing, and revoking a token hides a database that refused.

use super::Inner;
use super::http::{As, CallError, Envelope};
use super::judge;
use crate::issuers::{IssueError, Locator, RevokeOutcome, locator};
use reqwest::Method;
use serde_json::{Value, json};

impl Inner {
    pub(super) async fn revoke_and_prove(
        &self,
        locator: &Locator,
    ) -> Result<RevokeOutcome, IssueError> {
        let lease_id = locator.get(locator::LEASE_ID);
        let accessor = locator.get(locator::TOKEN_ACCESSOR);
        let request_id = accessor.map_or("revocation", String::as_str);
        if let Some(lease_id) = lease_id {
            let body = json!({"lease_id": lease_id, "sync": true});
            if let Err(error) = self.put(request_id, "sys/leases/revoke", &body).await {
                // The lease is as it was. Its token stays too: without it OpenBao would retry in the dark.
                if error.says("failed to revoke") {
                    return Ok(RevokeOutcome::Failed {
                        reason: error.text(),
                    });
                }
                return Err(self.judged(error).await);
            }
        }
        if let Some(accessor) = accessor {
            self.revoke_token(request_id, accessor).await?;
            self.under_way.forget(accessor);
        }
        let proven = match (lease_id, accessor) {
            (Some(lease_id), _) => match self.lease_is_gone(request_id, lease_id).await {
                Some(false) => {
                    let reason =
                        "OpenBao accepted the revocation but still lists the lease".to_owned();
                    return Ok(RevokeOutcome::Failed { reason });
                }
                gone => gone.is_some(),
            },
            // Without a lease id only the sweep of the database can tell whether a login was made.
            (None, Some(_)) => false,
            (None, None) => return Ok(RevokeOutcome::NothingToDo),
        };
        Ok(RevokeOutcome::Revoked { proven })
    }

    /// Ends a child token with everything it holds; one that is already gone is fine.
    pub(super) async fn revoke_token(
        &self,
        request_id: &str,
        accessor: &str,
    ) -> Result<(), IssueError> {
        let body = json!({"accessor": accessor});
        match self
            .put(request_id, "auth/token/revoke-accessor", &body)
            .await
        {
            Err(error) if error.says("invalid accessor") => Ok(()),
            Err(error) => Err(self.judged(error).await),
            Ok(()) => Ok(()),
        }
    }

    /// `None` when nobody could be asked. The call is forwarded to the active node, whose word counts.
    async fn lease_is_gone(&self, request_id: &str, lease_id: &str) -> Option<bool> {
        let body = json!({"lease_id": lease_id});
        match self.put(request_id, "sys/leases/lookup", &body).await {
            Ok(()) => Some(false),
            Err(error) if error.says("invalid lease") => Some(true),
            Err(_) => None,
        }
    }

    /// Asks for the lease of a version that is to go into use.
    pub(super) async fn look_up(&self, locator: &Locator) -> Result<Option<String>, IssueError> {
        let Some(lease_id) = locator.get(locator::LEASE_ID) else {
            return Ok(None);
        };
        match self.lease_is_gone("rotation", lease_id).await {
            Some(false) => Ok(Some("OpenBao holds its lease".to_owned())),
            Some(true) => Err(IssueError::Refused {
                system: judge::OPENBAO,
                reason: "it does not know the lease any more".to_owned(),
            }),
            None => Err(judge::unavailable(
                judge::OPENBAO,
                "its lease could not be looked up".to_owned(),
                None,
            )),
        }
    }

    async fn put(&self, request_id: &str, path: &str, body: &Value) -> Result<(), CallError> {
        let answer: Option<Envelope<Value>> = self
            .api
            .call(As::Broker, request_id, Method::PUT, path, Some(body))
            .await?;
        drop(answer);
        Ok(())
    }

    async fn judged(&self, error: CallError) -> IssueError {
        let judged = judge::repeatable(&error);
        self.judge_denied(error, judged).await
    }
}
