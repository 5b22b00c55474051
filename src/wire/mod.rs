//! The types that broker and client both speak. The OpenAPI document is generated from them and the client
//! compiles against them, so the two sides cannot drift apart.

/// Requests that belong together.
pub mod burst;
/// Clients of credentials.
pub mod client;
/// The columnar media type of lists.
pub mod columns;
/// Credentials: rows and detail.
pub mod credential;
/// What an approval is bound to, computed from the plan.
pub mod digest;
/// Events as the stream and the audit screen carry them.
pub mod event;
/// A found secret: what it is, what it opens, who uses it.
pub mod exposure;
/// The one filter language.
pub mod filter;
/// Gateways.
pub mod gateway;
/// Names of headers and media types.
pub mod header;
/// What leaves with a client or a person.
pub mod holdings;
/// Lists: pages, and the header line of a streamed list.
pub mod list;
/// People and robots, their tokens and sessions.
pub mod operator;
/// Everything that the first screen needs.
pub mod overview;
/// Policies, proposals, simulations.
pub mod policy;
/// RFC 9457 problem details.
pub mod problem;
/// Issuance requests: asking, deciding, claiming.
pub mod request;
/// Access review: what each team answers for, and until when it must say so.
pub mod review;
/// Revocations.
pub mod revocation;
/// Rotations: the calendar, one with its steps, compliance.
pub mod rotation;
/// Health, readiness and token introspection.
pub mod service;
/// Signing in with an SSH key, and signing decisions.
pub mod signing;
/// What readers of tokens are told.
pub mod tokens;
/// What receivers of webhooks are sent.
pub mod webhook;

pub use client::{ClientRow, NewClient};
pub use credential::{
    Adoption, CredentialDetail, CredentialRow, DeliverTo, DeliveryView, ReaderView, ScopeHolder,
    VersionView,
};
pub use digest::{plan_bytes, plan_digest, policy_digest, revocation_digest};
pub use event::{EventRecord, FeedItem};
pub use exposure::FoundSecret;
pub use gateway::{
    Cursor, Finding, FindingKind, Findings, GatewayRow, MintedGatewayToken, NewGateway, Pending,
    RevokedHere, Standing,
};
pub use holdings::{ClientHoldings, HeldCredential, Offboard, OperatorHoldings};
pub use list::{ListHeader, Page};
pub use operator::{Grant, MintedToken, NewOperator, NewToken, OperatorRow, Session, TokenRow};
pub use overview::Overview;
pub use policy::{
    NewProposal, Policies, PolicyDetail, PolicyRow, ProposalDetail, ProposalRow, Simulate,
    Simulation,
};
pub use problem::{Fault, Problem};
pub use request::{
    Approve, BreakGlass, Claimed, Deny, Narrow, NewNote, NewRequest, Receipt, RequestDetail,
    RequestRow, Verdict,
};
pub use review::ReviewRow;
pub use revocation::{
    Exposure, PlannedReach, ReachState, ReachView, RevocationDetail, RevocationRow,
};
pub use rotation::{RotationCalendar, RotationDetail, RotationRow};
pub use service::{
    DestinationHealth, Health, Introspection, IssuerHealth, Readiness, WebhookHealth,
};
pub use signing::{
    Challenge, KeyName, KeyRow, NewChallenge, NewKey, RemoveKey, SignedStatement, SigningOrder,
    SshSignIn,
};

/// What names, scopes, texts and durations may look like: the broker refuses everything else.
pub use crate::domain::check;
pub use crate::domain::{
    ApprovalId, ClientId, CredentialId, CredentialState, Destination, Digest, Enforcement,
    Environment, Evidence, FieldError, GatewayId, Kind, Note, OperatorId, Plan, PolicyStatement,
    Profile, ProposalId, ProposalState, Quorum, RequestId, RequestState, ReviewState, RevocationId,
    RevocationPlan, RevocationState, Risk, RiskFactor, Role, RotationCause, RotationId,
    RotationState, Route, RuleResult, Statement, StepUp, Tier, TokenId, VersionState,
    request::Outcome,
};

/// A reason for something, in a person's words.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Reason {
    /// Why; kept in the log. 1 to 2,000 bytes.
    #[schema(max_length = 2000)]
    pub reason: String,
}
