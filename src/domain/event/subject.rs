//! What an event is about.

use super::Event;
use crate::domain::{
    ClientId, CredentialId, GatewayId, OperatorId, ProposalId, RequestId, RevocationId, RotationId,
};
use serde::{Deserialize, Serialize};

/// What an event is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Subject {
    /// A client.
    Client(ClientId),
    /// An operator.
    Operator(OperatorId),
    /// A request.
    Request(RequestId),
    /// A credential.
    Credential(CredentialId),
    /// A revocation.
    Revocation(RevocationId),
    /// A proposed change of policy, or the policy that it became.
    Proposal(ProposalId),
    /// A gateway.
    Gateway(GatewayId),
    /// A rotation.
    Rotation(RotationId),
    /// The broker itself.
    Broker,
}

impl std::fmt::Display for Subject {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Client(id) => id.fmt(f),
            Self::Operator(id) => id.fmt(f),
            Self::Request(id) => id.fmt(f),
            Self::Credential(id) => id.fmt(f),
            Self::Revocation(id) => id.fmt(f),
            Self::Proposal(id) => id.fmt(f),
            Self::Gateway(id) => id.fmt(f),
            Self::Rotation(id) => id.fmt(f),
            Self::Broker => f.write_str("broker"),
        }
    }
}

impl Event {
    /// The object that the event is about.
    pub fn subject(&self) -> Subject {
        match self {
            Self::ClientOnboarded { client } => Subject::Client(client.id),
            Self::ClientOffboarded { client, .. } | Self::ClientOwnerChanged { client, .. } => {
                Subject::Client(*client)
            }
            Self::OperatorEnrolled { operator } => Subject::Operator(operator.id),
            Self::TokenIssued { operator, .. }
            | Self::TokenRevoked { operator, .. }
            | Self::KeyEnrolled { operator, .. }
            | Self::KeyCountersigned { operator, .. }
            | Self::KeyRemoved { operator, .. }
            | Self::OperatorGranted { operator, .. }
            | Self::OperatorOffboarded { operator, .. } => Subject::Operator(*operator),
            Self::RequestSubmitted { request } => Subject::Request(request.id),
            Self::RequestIdentified { request, .. }
            | Self::RequestEvaluated { request, .. }
            | Self::RequestAwaitingApproval { request, .. }
            | Self::ApprovalGiven { request, .. }
            | Self::ApprovalVoided { request, .. }
            | Self::RequestApproved { request, .. }
            | Self::RequestDenied { request, .. }
            | Self::RequestNarrowed { request, .. }
            | Self::RequestHeld { request, .. }
            | Self::RequestResumed { request, .. }
            | Self::NoteAdded { request, .. }
            | Self::GlassBroken { request, .. }
            | Self::ReviewClosed { request }
            | Self::ReviewFailed { request, .. }
            | Self::RequestExpired { request }
            | Self::RequestWithdrawn { request, .. }
            | Self::IssuanceStarted { request, .. }
            | Self::IssuanceFailed { request, .. }
            | Self::RequestRetried { request }
            | Self::RequestClaimed { request, .. }
            | Self::DeliveryStarted { request, .. }
            | Self::DeliveryFailed { request, .. }
            | Self::RequestDelivered { request, .. }
            | Self::RequestLapsed { request } => Subject::Request(*request),
            Self::PolicyProposed { proposal } => Subject::Proposal(proposal.id),
            Self::PolicyApprovalGiven { proposal, .. }
            | Self::PolicyApprovalVoided { proposal, .. }
            | Self::PolicyInForce { proposal, .. }
            | Self::PolicyDenied { proposal, .. }
            | Self::PolicyWithdrawn { proposal, .. }
            | Self::PolicyExpired { proposal } => Subject::Proposal(*proposal),
            Self::VersionMinted { credential, .. }
            | Self::VersionPromoted { credential, .. }
            | Self::VersionRetiring { credential, .. }
            | Self::VersionRetired { credential, .. }
            | Self::VersionExpired { credential, .. }
            | Self::VersionDiscarded { credential, .. }
            | Self::OwnerChanged { credential, .. }
            | Self::DestinationChanged { credential, .. }
            | Self::CredentialConfirmed { credential, .. }
            | Self::CredentialQuarantined { credential, .. }
            | Self::CredentialReleased { credential, .. } => Subject::Credential(*credential),
            Self::CredentialAdopted { credential } => Subject::Credential(credential.id),
            Self::RevocationEffective { revocation } => Subject::Revocation(revocation.id),
            Self::RevocationEnforced { revocation, .. }
            | Self::RevocationFailed { revocation, .. }
            | Self::RevocationApplied { revocation, .. }
            | Self::RevocationProven { revocation, .. } => Subject::Revocation(*revocation),
            Self::GatewayRegistered { gateway } => Subject::Gateway(gateway.id),
            Self::GatewayTokenIssued { gateway, .. }
            | Self::GatewayTokenRevoked { gateway, .. }
            | Self::GatewayRemoved { gateway, .. } => Subject::Gateway(*gateway),
            Self::RotationStarted { rotation } => Subject::Rotation(rotation.id),
            Self::RotationMinting { rotation, .. }
            | Self::RotationAttemptFailed { rotation, .. }
            | Self::RotationMinted { rotation, .. }
            | Self::RotationChecking { rotation, .. }
            | Self::RotationChecked { rotation, .. }
            | Self::RotationHandedOver { rotation, .. }
            | Self::RotationGoingBack { rotation, .. }
            | Self::RotationPutBack { rotation, .. }
            | Self::RotationPromoted { rotation, .. }
            | Self::RotationExtended { rotation, .. }
            | Self::RotationRolledBack { rotation, .. }
            | Self::RotationFailed { rotation, .. }
            | Self::RotationCompleted { rotation, .. } => Subject::Rotation(*rotation),
            Self::RevocationPlanned { .. }
            | Self::RotationRulesSet { .. }
            | Self::TokenKeyPublished { .. }
            | Self::TokenKeyInUse { .. }
            | Self::TokenKeyWithdrawn { .. }
            | Self::UsageRolledUp { .. }
            | Self::LeftoverRemoved { .. } => Subject::Broker,
        }
    }
}
