//! Words and rules, after `DOMAIN`: what may happen to a credential, and what then follows.
//!
//! Everything here is plain data and plain functions. `decide` answers a command with events or a typed
//! refusal, `State::apply` folds an event into the state; neither reads a clock, draws randomness or does I/O.
//!
//! To add an event: a variant in `event.rs`, its fold in `state.rs`, the command that causes it in `command.rs`,
//! its rule in `decide/`, and its word in the model of `tests/rules.rs`.

/// Approvals and denials: who may decide, and what a decision is bound to.
pub mod approval;
/// Validation of what people and services send, with the words of the refusal.
pub mod check;
/// Who uses a credential.
pub mod client;
/// What can be asked of the broker.
pub mod command;
/// Stable names and the versions that come and go under them.
pub mod credential;
/// Command and state in, events or refusal out.
pub mod decide;
/// Where secrets go.
pub mod destination;
/// SHA-256 digests.
pub mod digest;
/// What has happened.
pub mod event;
/// What policy is asked about.
pub mod facts;
/// Gateways.
pub mod gateway;
/// Typed identifiers.
pub mod id;
/// Where something was used from.
pub mod network;
/// People and robots, their roles and how they prove who they are.
pub mod operator;
/// Changes of policy.
pub mod policy;
/// Why a command changes nothing, and what would be accepted.
pub mod refusal;
/// Issuance requests.
pub mod request;
/// Access review.
pub mod review;
/// Revocations and their way to whoever must enforce them.
pub mod revocation;
/// A newer version in the place of the one in use.
pub mod rotation;
/// The fold over the log.
pub mod state;
/// What a person signs when they decide.
pub mod statement;
/// Texts that many objects have in common.
pub mod text;
/// The keys that sign tokens, and where a signed token stands.
pub mod token_key;
/// Small closed vocabularies: environment, kind, tier.
pub mod words;

pub use approval::{Approval, Decision, Proof, Quorum, Signed};
pub use client::Client;
pub use command::{Actor, Cause, Command, Context, MintedVersion};
pub use credential::{Credential, CredentialState, Version, VersionState};
pub use decide::decide;
pub use destination::{Delivery, Destination};
pub use digest::Digest;
pub use event::{Event, Recorded};
pub use facts::Facts;
pub use gateway::{Gateway, Profile, Route};
pub use id::{
    ApprovalId, ClientId, CredentialId, GatewayId, OperatorId, ProposalId, RequestId, RevocationId,
    RotationId, TokenId,
};
pub use network::Network;
pub use operator::{Operator, Role, SshKey, Token};
pub use policy::{Proposal, ProposalState};
pub use refusal::{FieldError, Refusal};
pub use request::{
    BreakGlass, Evaluation, Note, Plan, Request, RequestState, Review, Risk, RiskFactor,
    RuleResult, StepUp,
};
pub use review::{Cadence, Confirmation, ReviewState};
pub use revocation::{
    Enforcement, Evidence, PlannedRevocation, Reach, Revocation, RevocationPlan, RevocationState,
};
pub use rotation::{Rotation, RotationCause, RotationRules, RotationState, Setback};
pub use state::State;
pub use statement::{Checked, PolicyStatement, Statement};
pub use text::{Text, Texts};
pub use token_key::{Algorithm, NewTokenKey, Purpose, TokenKey};
pub use words::{Environment, Kind, Tier};
