//! A state taken apart into plain parts and put together again, for a cache of the fold at rest.
//!
//! The types of the log are written for people: words, tags, fields left out. The parts here are the same things
//! with every field in its place, so that a format that does not name fields can hold them. Each mirror lists the
//! fields of its type once; one that is forgotten does not compile.

mod mirrors;

use super::plain_rules::PlainRules;
use super::{Answered, Due, State, Usage, granted::wanted, rotations::Rotations};
use crate::domain::{
    Approval, ApprovalId, BreakGlass, Client, ClientId, Credential, CredentialId, Delivery,
    Destination, Digest, Environment, Evaluation, Evidence, Gateway, GatewayId, Kind, Note,
    Operator, OperatorId, Plan, Profile, Proof, Proposal, ProposalId, ProposalState, Quorum, Reach,
    Request, RequestId, RequestState, Revocation, RevocationId, Role, Rotation, RotationCause,
    RotationId, RotationState, Route, Setback, Signed, SshKey, StepUp, Text, Texts, Tier, Token,
    TokenId, TokenKey, Version, VersionState,
    event::Subject,
    operator::{Authenticator, Continued},
    request::Ending,
    review::Confirmation,
    revocation::{Applied, Enforcement},
    rotation::{Member, Retry, Return, Terms, Totals},
};
use chrono::{DateTime, Utc};
use mirrors::{
    client, credential, gateway, operator, proposal, request, revocation, rotation, time,
    time_or_none,
};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    thread,
};

/// One part of a state.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Part {
    /// How far the fold had come: sequence and time of the last event. Comes first.
    Head(u64, #[serde(with = "time")] DateTime<Utc>),
    /// A client.
    Client(#[serde(with = "client")] Arc<Client>),
    /// A client's name, and whose it is now.
    ClientName(String, ClientId),
    /// An operator.
    Operator(#[serde(with = "operator")] Arc<Operator>),
    /// An operator's handle, and whose it is now.
    OperatorName(String, OperatorId),
    /// Whose sign-in token has this digest.
    TokenDigest(Digest, OperatorId),
    /// A request.
    Request(#[serde(with = "request")] Arc<Request>),
    /// The request of a credential's name that has not ended.
    OpenName(Environment, String, RequestId),
    /// A credential.
    Credential(#[serde(with = "credential")] Arc<Credential>),
    /// A gateway.
    Gateway(#[serde(with = "gateway")] Arc<Gateway>),
    /// A revocation.
    Revocation(#[serde(with = "revocation")] Arc<Revocation>),
    /// A proposed policy.
    Proposal(#[serde(with = "proposal")] Arc<Proposal>),
    /// Rolled-up use.
    Usage {
        /// Of which credential.
        credential: CredentialId,
        /// How often it was accepted.
        accepted: u64,
        /// How often it was refused.
        refused: u64,
        /// When it was last accepted.
        #[serde(with = "time_or_none")]
        last_used_at: Option<DateTime<Utc>>,
    },
    /// A request that people must decide.
    Awaiting(RequestId),
    /// A request that is approved or being issued.
    ToIssue(RequestId),
    /// A request whose secret must be put where it belongs.
    ToDeliver(RequestId),
    /// A revocation that an issuer has yet to confirm.
    ToEnforce(RevocationId),
    /// Something that will be due.
    Due(#[serde(with = "time")] DateTime<Utc>, Due),
    /// A plan that people denied, and until when it cannot be asked for again.
    Refused(Digest, #[serde(with = "time")] DateTime<Utc>),
    /// The table of rotation that counts, and since when.
    RotationRules(PlainRules, #[serde(with = "time")] DateTime<Utc>),
    /// A rotation.
    Rotation(#[serde(with = "rotation")] Arc<Rotation>),
    /// A rotation that has ended, in the order in which they are forgotten.
    RotationEnded(RotationId),
    /// What all rotations came to.
    RotationTotals(Totals),
    /// When a credential whose rotations came to nothing is tried again.
    RotationRetry {
        /// Which.
        credential: CredentialId,
        /// How many in a row.
        failures: u32,
        /// Not before.
        #[serde(with = "time")]
        at: DateTime<Utc>,
    },
    /// A version whose life was extended.
    Extended(CredentialId, u32),
    /// A key that signs tokens.
    TokenKey(Arc<TokenKey>),
    /// A remembered idempotency key, in the order in which they are forgotten.
    Answered {
        /// Since when.
        #[serde(with = "time")]
        since: DateTime<Utc>,
        /// Whose.
        operator: OperatorId,
        /// The key.
        key: String,
        /// Digest of the call.
        body: Digest,
        /// What the command was about.
        subject: Subject,
        /// The sequence of its last event.
        sequence: u64,
        /// The state that the subject was in then.
        state: String,
    },
    /// A run of requests that is a burst.
    Burst(RequestId),
}

impl State {
    /// Every part of it. [`Restoring`] puts them together again.
    pub fn parts(&self) -> impl Iterator<Item = Part> + '_ {
        let head = std::iter::once(Part::Head(self.sequence, self.time));
        let people = (self.clients.values().cloned().map(Part::Client))
            .chain(
                self.client_names
                    .iter()
                    .map(|(name, id)| Part::ClientName(name.clone(), *id)),
            )
            .chain(self.operators.values().cloned().map(Part::Operator))
            .chain(
                self.operator_names
                    .iter()
                    .map(|(name, id)| Part::OperatorName(name.clone(), *id)),
            )
            .chain(
                self.token_digests
                    .iter()
                    .map(|(digest, id)| Part::TokenDigest(*digest, *id)),
            );
        let requests = (self.requests.values().cloned().map(Part::Request)).chain(
            self.open_by_name
                .iter()
                .map(|((environment, name), id)| Part::OpenName(*environment, name.clone(), *id)),
        );
        let credentials = (self.credentials_by_name().cloned().map(Part::Credential))
            .chain(self.gateways.values().cloned().map(Part::Gateway))
            .chain(self.revocations.values().cloned().map(Part::Revocation))
            .chain(self.proposals.values().cloned().map(Part::Proposal))
            .chain(self.usage.iter().map(|(credential, usage)| Part::Usage {
                credential: *credential,
                accepted: usage.accepted,
                refused: usage.refused,
                last_used_at: usage.last_used_at,
            }));
        let lists = (self.awaiting.iter().copied().map(Part::Awaiting))
            .chain(self.to_issue.iter().copied().map(Part::ToIssue))
            .chain(self.to_deliver.iter().copied().map(Part::ToDeliver))
            .chain(self.to_enforce.iter().copied().map(Part::ToEnforce))
            .chain(
                self.refused
                    .iter()
                    .map(|(digest, until)| Part::Refused(*digest, *until)),
            )
            .chain(self.asking.bursts().map(Part::Burst))
            .chain(self.tokens.keys.values().cloned().map(Part::TokenKey))
            .chain(self.due.iter().map(|(at, due)| Part::Due(*at, *due)));
        let answers = self
            .answered_order
            .iter()
            .filter_map(|(since, operator, key)| {
                let place = (*operator, key.clone());
                let answered = self.answered.get(&place)?.clone();
                Some(Part::Answered {
                    since: *since,
                    operator: *operator,
                    key: place.1,
                    body: answered.body,
                    subject: answered.subject,
                    sequence: answered.sequence,
                    state: answered.state,
                })
            });
        head.chain(people)
            .chain(requests)
            .chain(credentials)
            .chain(self.rotations.parts())
            .chain(lists)
            .chain(answers)
    }

    /// In the order of the names, in which the largest of the indices is then filled from end to end.
    fn credentials_by_name(&self) -> impl Iterator<Item = &Arc<Credential>> {
        let each_has_a_name = self.by_name.len() == self.credentials.len();
        let (named, all) = if each_has_a_name {
            (Some(&self.by_name), None)
        } else {
            (None, Some(&self.credentials))
        };
        let named = named.into_iter().flat_map(|names| names.values());
        named
            .filter_map(|id| self.credentials.get(id))
            .chain(all.into_iter().flat_map(|all| all.values()))
    }
}
impl Rotations {
    fn parts(&self) -> impl Iterator<Item = Part> + '_ {
        let rules = (self.rules())
            .map(|(rules, since)| Part::RotationRules(PlainRules::from(rules), since));
        rules
            .into_iter()
            .chain(self.all.values().cloned().map(Part::Rotation))
            .chain(self.ended.iter().copied().map(Part::RotationEnded))
            .chain(std::iter::once(Part::RotationTotals(self.totals.clone())))
            .chain(self.retries.iter().map(|(id, retry)| Part::RotationRetry {
                credential: *id,
                failures: retry.failures,
                at: retry.at,
            }))
            .chain(
                self.extended
                    .iter()
                    .map(|(credential, version)| Part::Extended(*credential, *version)),
            )
    }
}

/// A state that is being put together.
#[derive(Debug, Default)]
pub struct Restoring {
    state: State,
    credentials: Vec<(CredentialId, Arc<Credential>)>,
    digests: Vec<(Digest, (CredentialId, u32))>,
    asked: Vec<(DateTime<Utc>, OperatorId, RequestId)>,
}

impl Restoring {
    /// Adds a part that [`State::parts`] gave, in any order but for [`Part::Answered`] and [`Part::RotationEnded`],
    /// which keep theirs.
    pub fn take(&mut self, part: Part) {
        let state = &mut self.state;
        match part {
            Part::Head(sequence, time) => (state.sequence, state.time) = (sequence, time),
            Part::Client(client) => drop(state.clients.insert(client.id, client)),
            Part::ClientName(name, id) => drop(state.client_names.insert(name, id)),
            Part::Operator(operator) => drop(state.operators.insert(operator.id, operator)),
            Part::OperatorName(name, id) => drop(state.operator_names.insert(name, id)),
            Part::TokenDigest(digest, id) => drop(state.token_digests.insert(digest, id)),
            Part::Request(mut request) => {
                if let Some(evaluation) = &mut Arc::make_mut(&mut request).evaluation {
                    *evaluation = state.pool.evaluation(evaluation);
                }
                if request.issued.is_some() {
                    state
                        .granted
                        .issued(request.requester, wanted(&request.plan));
                }
                let asked = (request.submitted_at, request.requester, request.run());
                self.asked.push(asked);
                state.requests.insert(request.id, request);
            }
            Part::Proposal(proposal) => state.restore_proposal(proposal),
            Part::OpenName(environment, name, id) => {
                state.open_by_name.insert((environment, name), id);
            }
            Part::Credential(mut credential) => {
                let id = credential.id;
                state.share(Arc::make_mut(&mut credential));
                state
                    .by_name
                    .insert((credential.environment, credential.name.clone()), id);
                for version in &credential.versions {
                    if let Some(digest) = version.digest {
                        self.digests.push((digest, (id, version.number)));
                    }
                    state.tokens.place(id, version);
                }
                state.granted.held(None, &credential);
                self.credentials.push((id, credential));
            }
            Part::Gateway(gateway) => {
                state.index_gateway(&gateway);
                state.gateways.insert(gateway.id, gateway);
            }
            Part::Revocation(revocation) => {
                state.index_reach(&revocation);
                drop(state.revocations.insert(revocation.id, revocation));
            }
            Part::Usage {
                credential,
                accepted,
                refused,
                last_used_at,
            } => {
                let usage = Usage {
                    accepted,
                    refused,
                    last_used_at,
                };
                state.usage.insert(credential, usage);
            }
            Part::Awaiting(id) => drop(state.awaiting.insert(id)),
            Part::ToIssue(id) => drop(state.to_issue.insert(id)),
            Part::ToDeliver(id) => drop(state.to_deliver.insert(id)),
            Part::ToEnforce(id) => drop(state.to_enforce.insert(id)),
            Part::Due(at, due) => drop(state.due.insert((at, due))),
            Part::Burst(run) => state.asking.restore_burst(run),
            Part::Refused(digest, until) => drop(state.refused.insert(digest, until)),
            Part::RotationRules(rules, since) => {
                state.rotations.rules = Some(Arc::new(rules.into()));
                state.rotations.since = Some(since);
            }
            Part::Rotation(rotation) => {
                drop(state.rotations.all.insert(rotation.id, rotation));
            }
            Part::RotationEnded(id) => state.rotations.ended.push_back(id),
            Part::RotationTotals(totals) => state.rotations.totals = totals,
            Part::RotationRetry {
                credential,
                failures,
                at,
            } => {
                let retry = Retry { failures, at };
                state.rotations.retries.insert(credential, retry);
            }
            Part::Extended(credential, version) => {
                state.rotations.extended.insert((credential, version));
            }
            Part::TokenKey(key) => drop(state.tokens.keys.insert(key.kid.clone(), key)),
            Part::Answered {
                since,
                operator,
                key,
                body,
                subject,
                sequence,
                state: word,
            } => {
                state
                    .answered_order
                    .push_back((since, operator, key.clone()));
                let answered = Answered {
                    body,
                    subject,
                    sequence,
                    state: word,
                };
                state.answered.insert((operator, key), answered);
            }
        }
    }

    /// The state, once all parts were added.
    pub fn finish(mut self) -> State {
        // Sorted first: a large tree is filled several times as fast from end to end than by leaps.
        let (mut credentials, mut digests) = (self.credentials, self.digests);
        let by_id = move || {
            credentials.sort_unstable_by_key(|(id, _)| *id);
            credentials.into_iter().collect()
        };
        let by_digest = move || {
            digests.sort_unstable();
            digests.into_iter().collect()
        };
        thread::scope(|scope| {
            let by_id = scope.spawn(by_id);
            self.state.by_digest = by_digest();
            self.state.credentials = by_id.join().expect("sorting cannot fail");
        });
        // As they were folded: the log's time never runs backwards.
        self.asked.sort_unstable();
        for (at, operator, run) in self.asked {
            self.state.asking.remember(operator, run, at);
        }
        self.state.list_rotations();
        self.state
    }
}
