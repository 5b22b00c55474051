//! The calls about rotations.

use super::api::Client;
use super::call::Call;
use super::error::ClientError;
use super::outcome::{Once, Outcome};
use super::transport::Answer;
use crate::wire::rotation::{ClaimedRotation, Rotate, RotateGroup};
use crate::wire::{
    CredentialId, Environment, Reason, Receipt, RotationCalendar, RotationDetail, RotationId,
};
use chrono::{DateTime, SecondsFormat, Utc};

/// What part of the calendar is asked for; the broker's own range where it is left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CalendarQuery {
    /// From when.
    pub from: Option<DateTime<Utc>>,
    /// Until when.
    pub until: Option<DateTime<Utc>>,
    /// Only what this team answers for.
    pub team: Option<String>,
    /// Only this environment.
    pub environment: Option<Environment>,
    /// Only this credential.
    pub credential: Option<CredentialId>,
    /// Figures over the whole fleet too.
    pub summary: bool,
    /// Rows of each part.
    pub limit: Option<u64>,
}

impl Client {
    /// Rotations past and to come.
    pub async fn rotations(
        &self,
        query: &CalendarQuery,
    ) -> Result<Answer<RotationCalendar>, ClientError> {
        let mut call = Call::get(["v1", "rotations"]);
        for (name, at) in [("from", query.from), ("until", query.until)] {
            if let Some(at) = at {
                call = call.query(name, at.to_rfc3339_opts(SecondsFormat::Millis, true));
            }
        }
        if let Some(team) = &query.team {
            call = call.query("team", team);
        }
        if let Some(environment) = query.environment {
            call = call.query("environment", environment);
        }
        if let Some(credential) = query.credential {
            call = call.query("credential", credential);
        }
        if query.summary {
            call = call.query("summary", true);
        }
        if let Some(limit) = query.limit {
            call = call.query("limit", limit);
        }
        self.transport().send(&call).await
    }

    /// One rotation with its steps.
    pub async fn rotation(&self, id: RotationId) -> Result<Answer<RotationDetail>, ClientError> {
        self.one("rotations", id).await
    }

    /// Begins to rotate a credential.
    pub async fn rotate(&self, id: CredentialId, body: &Rotate, once: &Once) -> Outcome<Receipt> {
        let path = ["credentials", &id.to_string(), "rotate"];
        self.command(&path, body, once).await
    }

    /// Begins to rotate several, in the order of who depends on whom.
    pub async fn rotate_group(&self, body: &RotateGroup, once: &Once) -> Outcome<Receipt> {
        self.command(&["rotations"], body, once).await
    }

    /// Puts the newer version of a credential into use.
    pub async fn promote(&self, id: CredentialId, once: &Once) -> Outcome<Receipt> {
        let path = ["credentials", &id.to_string(), "promote"];
        self.command(&path, &serde_json::json!({}), once).await
    }

    /// Goes back to the older version of a credential.
    pub async fn roll_back(
        &self,
        id: CredentialId,
        reason: &Reason,
        once: &Once,
    ) -> Outcome<Receipt> {
        let path = ["credentials", &id.to_string(), "rollback"];
        self.command(&path, reason, once).await
    }

    /// Takes the newer secret, once.
    pub async fn claim_rotation(&self, id: RotationId, once: &Once) -> Outcome<ClaimedRotation> {
        let path = ["rotations", &id.to_string(), "claim"];
        self.command(&path, &serde_json::json!({}), once).await
    }
}
