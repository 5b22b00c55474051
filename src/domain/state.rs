//! The state: a fold over the log and nothing else.
//!
//! Its maps share structure, so a clone costs nothing to speak of: the writer folds into its own copy and
//! publishes it once the events are durable, and readers keep a consistent snapshot for as long as they like.

/// How often people ask, and what belongs together.
pub mod asking;
mod deliveries;
mod fold;
mod gateways;
/// What is held and was granted, counted.
pub mod granted;
mod plain_rules;
mod policies;
/// Rotations, and what will be due.
pub mod rotations;

use super::{
    Client, ClientId, Credential, CredentialId, Digest, Gateway, GatewayId, Operator, OperatorId,
    Proposal, ProposalId, Request, RequestId, RequestState, Revocation, RevocationId, Rotation,
    RotationId,
    event::Subject,
    text::{Pool, Text},
    words::Environment,
};
use asking::Asking;
use chrono::{DateTime, Duration, Utc};
use imbl::{HashMap, OrdMap, OrdSet, Vector};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// What was signed, and with what.
pub mod tokens;

/// A state at rest.
pub mod snapshot;

/// For how long an idempotency key is remembered.
pub const IDEMPOTENCY_WINDOW: Duration = Duration::hours(24);

/// For how long a plan that people denied cannot be asked for again unchanged.
pub const REFUSED_WINDOW: Duration = Duration::hours(24);

/// Over how long it is counted how often somebody asks.
pub const ASKING_WINDOW: Duration = Duration::hours(1);

/// A remembered idempotency key, and what its command came to: the answer that a repetition gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answered {
    /// Digest of the call that carried the key.
    pub body: Digest,
    /// What the command was about: the subject of its first event.
    pub subject: Subject,
    /// The sequence of its last event.
    pub sequence: u64,
    /// The state that the subject was in then, in its own words; empty where it has none.
    pub state: String,
}

/// How a credential was used, as far as it has been rolled up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Usage {
    /// How often it was accepted.
    pub accepted: u64,
    /// How often it was refused.
    pub refused: u64,
    /// When it was last accepted.
    pub last_used_at: Option<DateTime<Utc>>,
}

/// Something that will be due.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Due {
    /// A request's deadline.
    Request(RequestId),
    /// The look that others owe a request whose quorum was skipped.
    Review(RequestId),
    /// The end of a version's life or overlap.
    Version(CredentialId, u32),
    /// The end of the time to decide a proposed policy.
    Proposal(ProposalId),
    /// The end of what gateways may still believe of something that was revoked.
    Reach(RevocationId),
    /// The end of the time in which a rotation must have put its newer version into use.
    Rotation(RotationId),
}

/// Everything that is so after the events so far.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct State {
    /// How many events were folded: the sequence of the last one.
    pub sequence: u64,
    /// The time of the last event.
    pub time: DateTime<Utc>,
    /// Clients.
    pub clients: OrdMap<ClientId, Arc<Client>>,
    /// Operators.
    pub operators: OrdMap<OperatorId, Arc<Operator>>,
    /// Requests.
    pub requests: OrdMap<RequestId, Arc<Request>>,
    /// Credentials.
    pub credentials: OrdMap<CredentialId, Arc<Credential>>,
    /// Revocations.
    pub revocations: OrdMap<RevocationId, Arc<Revocation>>,
    /// Gateways, those out of service included.
    pub gateways: OrdMap<GatewayId, Arc<Gateway>>,
    /// Proposed policies, those that came in force included.
    pub proposals: OrdMap<ProposalId, Arc<Proposal>>,
    in_force: Option<ProposalId>,
    /// Rotations: those that run, those that ended lately, and what will be due.
    pub rotations: rotations::Rotations,
    /// The keys that sign tokens, and the places of tokens in their status lists.
    pub tokens: tokens::Tokens,
    /// What clients hold and requesters were granted, counted: for policy's facts.
    pub granted: granted::Granted,
    /// Rolled-up use.
    pub usage: OrdMap<CredentialId, Usage>,
    /// Requests that people must decide.
    pub awaiting: OrdSet<RequestId>,
    /// Requests that are approved or being issued: the issuance reactor's work.
    pub to_issue: OrdSet<RequestId>,
    /// Requests whose secret must be put where it belongs: the delivery reactor's work.
    pub to_deliver: OrdSet<RequestId>,
    /// Revocations that an issuer has yet to confirm: the revocation reactor's work.
    pub to_enforce: OrdSet<RevocationId>,
    /// What will be due, soonest first.
    pub due: OrdSet<(DateTime<Utc>, Due)>,
    // What there is one of for every credential is ordered, though nobody asks for the order: with a million entries a
    // hash map of this kind takes three times the memory and finds no faster.
    by_name: OrdMap<(Environment, Text), CredentialId>,
    open_by_name: HashMap<(Environment, String), RequestId>,
    by_digest: OrdMap<Digest, (CredentialId, u32)>,
    client_names: HashMap<String, ClientId>,
    operator_names: HashMap<String, OperatorId>,
    token_digests: HashMap<Digest, OperatorId>,
    /// Of those in service.
    gateway_names: HashMap<String, GatewayId>,
    gateway_tokens: HashMap<Digest, GatewayId>,
    /// What gateways have yet to apply, in the order in which it took effect.
    unapplied: OrdSet<(GatewayId, u64, RevocationId)>,
    /// Revoked versions that some gateway has not been seen to refuse.
    unproven: OrdMap<(CredentialId, u32), RevocationId>,
    /// Until when a plan that people denied cannot be asked for again unchanged, by its digest.
    refused: OrdMap<Digest, DateTime<Utc>>,
    /// How often each operator asks, and which of their requests belong together.
    pub asking: Asking,
    answered: HashMap<(OperatorId, String), Answered>,
    answered_order: Vector<(DateTime<Utc>, OperatorId, String)>,
    pool: Pool,
}

/// An object of the state, for hashing and for showing it raw.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Object<'a> {
    /// A client.
    Client(&'a Client),
    /// An operator.
    Operator(&'a Operator),
    /// A request.
    Request(&'a Request),
    /// A credential.
    Credential(&'a Credential),
    /// A revocation.
    Revocation(&'a Revocation),
    /// A proposed policy.
    Proposal(&'a Proposal),
    /// A gateway.
    Gateway(&'a Gateway),
    /// A rotation.
    Rotation(&'a Rotation),
}

impl State {
    /// The credential of this name.
    pub fn credential_named(
        &self,
        environment: Environment,
        name: &str,
    ) -> Option<&Arc<Credential>> {
        self.by_name
            .get(&(environment, name.into()))
            .and_then(|id| self.credentials.get(id))
    }

    /// The request of this credential name that has not ended: there is at most one.
    pub fn open_request_for(&self, environment: Environment, name: &str) -> Option<RequestId> {
        self.open_by_name
            .get(&(environment, name.to_owned()))
            .copied()
    }

    /// Requests that could not be made and that a person can have tried again.
    pub fn failed_requests(&self) -> Vec<&Arc<Request>> {
        let open = self.open_by_name.values();
        let open = open.filter_map(|id| self.requests.get(id));
        let mut failed: Vec<_> = open
            .filter(|request| request.state == RequestState::Failed)
            .collect();
        failed.sort_unstable_by_key(|request| request.id);
        failed
    }

    /// How often `operator` asked for something in the [`ASKING_WINDOW`] before `now`.
    pub fn asked_lately(&self, operator: OperatorId, now: DateTime<Utc>) -> usize {
        self.asking.lately(operator, now)
    }

    /// The credential and version whose secret has this digest.
    pub fn credential_of(&self, digest: &Digest) -> Option<(&Arc<Credential>, u32)> {
        let (id, number) = self.by_digest.get(digest)?;
        Some((self.credentials.get(id)?, *number))
    }

    /// The client of this name.
    pub fn client_named(&self, name: &str) -> Option<&Arc<Client>> {
        self.client_names
            .get(name)
            .and_then(|id| self.clients.get(id))
    }

    /// The operator of this handle.
    pub fn operator_named(&self, name: &str) -> Option<&Arc<Operator>> {
        self.operator_names
            .get(name)
            .and_then(|id| self.operators.get(id))
    }

    /// Whose sign-in token has this digest. Whether it is still valid is for the caller to check.
    pub fn operator_of_token(&self, digest: &Digest) -> Option<&Arc<Operator>> {
        self.token_digests
            .get(digest)
            .and_then(|id| self.operators.get(id))
    }

    /// Until when this very plan cannot be asked for again, because people denied it.
    pub fn refused_until(&self, plan: &Digest) -> Option<DateTime<Utc>> {
        self.refused.get(plan).copied()
    }

    /// What a call with this idempotency key came to.
    pub fn answered(&self, operator: OperatorId, key: &str) -> Option<&Answered> {
        self.answered.get(&(operator, key.to_owned()))
    }

    /// The object that an event is about.
    pub fn object(&self, subject: Subject) -> Option<Object<'_>> {
        match subject {
            Subject::Client(id) => self.clients.get(&id).map(|client| Object::Client(client)),
            Subject::Operator(id) => self
                .operators
                .get(&id)
                .map(|operator| Object::Operator(operator)),
            Subject::Request(id) => self
                .requests
                .get(&id)
                .map(|request| Object::Request(request)),
            Subject::Credential(id) => self
                .credentials
                .get(&id)
                .map(|credential| Object::Credential(credential)),
            Subject::Revocation(id) => self
                .revocations
                .get(&id)
                .map(|revocation| Object::Revocation(revocation)),
            Subject::Proposal(id) => self
                .proposals
                .get(&id)
                .map(|proposal| Object::Proposal(proposal)),
            Subject::Gateway(id) => self
                .gateways
                .get(&id)
                .map(|gateway| Object::Gateway(gateway)),
            Subject::Rotation(id) => self
                .rotations
                .all
                .get(&id)
                .map(|rotation| Object::Rotation(rotation)),
            Subject::Broker => None,
        }
    }

    /// The word for the state that an event's subject is in.
    pub fn word(&self, subject: Subject) -> String {
        match self.object(subject) {
            Some(Object::Request(request)) => request.state.to_string(),
            Some(Object::Proposal(proposal)) => proposal.state.to_string(),
            Some(Object::Rotation(rotation)) => rotation.state.to_string(),
            Some(Object::Credential(credential)) => credential.state(self.time).to_string(),
            Some(Object::Revocation(revocation)) => revocation.state().to_string(),
            Some(Object::Gateway(gateway)) if gateway.removed_at.is_some() => "removed".into(),
            Some(Object::Client(client)) if client.offboarded_at.is_some() => "offboarded".into(),
            Some(Object::Operator(operator)) if operator.offboarded_at.is_some() => {
                "offboarded".into()
            }
            Some(Object::Client(_) | Object::Operator(_) | Object::Gateway(_)) => "active".into(),
            None => String::new(),
        }
    }
}
