//! The calls about policies.

use super::api::Client;
use super::call::Call;
use super::error::ClientError;
use super::outcome::{Once, Outcome};
use super::transport::Answer;
use crate::wire::{
    Approve, Deny, NewProposal, Policies, PolicyDetail, ProposalDetail, ProposalId, Reason,
    Receipt, SigningOrder, Simulate, Simulation,
};

impl Client {
    /// The versions that were in force, and what is proposed.
    pub async fn policies(&self) -> Result<Answer<Policies>, ClientError> {
        let call = Call::get(["v1", "policies"]);
        self.transport().send(&call).await
    }

    /// One version with its text.
    pub async fn policy(&self, version: u32) -> Result<Answer<PolicyDetail>, ClientError> {
        self.one("policies", version).await
    }

    /// One proposal with its text.
    pub async fn proposal(&self, id: ProposalId) -> Result<Answer<ProposalDetail>, ClientError> {
        let call = Call::get(["v1", "policies", "proposals", &id.to_string()]);
        self.transport().send(&call).await
    }

    /// Proposes another policy.
    pub async fn propose_policy(&self, proposal: &NewProposal, once: &Once) -> Outcome<Receipt> {
        self.command(&["policies", "proposals"], proposal, once)
            .await
    }

    /// Approves the text that was seen.
    pub async fn approve_policy(
        &self,
        id: ProposalId,
        body: &Approve,
        once: &Once,
    ) -> Outcome<Receipt> {
        self.decide_policy(id, "approvals", body, once).await
    }

    /// Denies the text that was seen.
    pub async fn deny_policy(&self, id: ProposalId, body: &Deny, once: &Once) -> Outcome<Receipt> {
        self.decide_policy(id, "denials", body, once).await
    }

    /// What a statement about a proposal is made with.
    pub async fn policy_signing(
        &self,
        id: ProposalId,
    ) -> Result<Answer<SigningOrder>, ClientError> {
        let path = ["v1", "policies", "proposals", &id.to_string(), "signing"];
        // Another nonce does no harm: the key only makes it safe to repeat.
        let call = Once::new().apply(Call::post(path, &serde_json::json!({}))?);
        self.transport().send(&call).await
    }

    /// Takes a proposal back.
    pub async fn withdraw_policy(
        &self,
        id: ProposalId,
        reason: &Reason,
        once: &Once,
    ) -> Outcome<Receipt> {
        self.decide_policy(id, "withdraw", reason, once).await
    }

    async fn decide_policy(
        &self,
        id: ProposalId,
        verb: &str,
        body: &impl serde::Serialize,
        once: &Once,
    ) -> Outcome<Receipt> {
        let path = ["policies", "proposals", &id.to_string(), verb];
        self.command(&path, body, once).await
    }

    /// What a policy would have decided about recorded requests. Changes nothing.
    pub async fn simulate_policy(
        &self,
        simulate: &Simulate,
    ) -> Result<Answer<Simulation>, ClientError> {
        // It changes nothing, so a key only makes it safe to repeat.
        let call = Call::post(["v1", "policies", "simulate"], simulate)?;
        self.transport().send(&Once::new().apply(call)).await
    }
}
