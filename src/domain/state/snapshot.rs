//! A state taken apart into plain parts and put together again, for a cache of the fold at rest.
//!
//! The types of the log are written for people: words, tags, fields left out. The parts here are the same things
//! with every field in its place, so that a format that does not name fields can hold them. Each mirror lists the
//! fields of its type once; one that is forgotten does not compile.

use super::{Answered, Due, State, Usage, granted::wanted, rotations::Rotations};
use crate::domain::{
    Approval, ApprovalId, BreakGlass, Client, ClientId, Credential, CredentialId, Delivery,
    Destination, Digest, Environment, Evaluation, Evidence, Gateway, GatewayId, Kind, Note,
    Operator, OperatorId, Plan, Profile, Proof, Proposal, ProposalId, ProposalState, Quorum, Reach,
    Request, RequestId, RequestState, Revocation, RevocationId, Role, Rotation, RotationCause,
    RotationId, RotationRules, RotationState, Route, Setback, Signed, SshKey, StepUp, Text, Texts,
    Tier, Token, TokenId, Version, VersionState,
    event::Subject,
    operator::{Authenticator, Continued},
    request::Ending,
    review::Confirmation,
    revocation::{Applied, Enforcement},
    rotation::{Member, Retry, Terms, Totals},
};
use chrono::{DateTime, Utc};
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
    /// The table of rotation that counts, as JSON, which its times and windows are written in; and since when.
    RotationRules(String, #[serde(with = "time")] DateTime<Utc>),
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
        let rules = self.rules().map(|(rules, since)| {
            let json = serde_json::to_string(rules).expect("plain data serialises");
            Part::RotationRules(json, since)
        });
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
            Part::RotationRules(json, since) => {
                // Written by this very build.
                let rules: Option<RotationRules> = serde_json::from_str(&json).ok();
                state.rotations.rules = rules.map(Arc::new);
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

/// Times as seconds and nanoseconds: a text takes three times the room and ten times the time.
mod time {
    use super::{DateTime, Deserialize, Serialize, Utc};
    use serde::{Deserializer, Serializer, de::Error as _};

    pub(super) fn serialize<S: Serializer>(
        time: &DateTime<Utc>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        (time.timestamp(), time.timestamp_subsec_nanos()).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<DateTime<Utc>, D::Error> {
        let (seconds, nanos) = <(i64, u32)>::deserialize(deserializer)?;
        DateTime::from_timestamp(seconds, nanos).ok_or_else(|| D::Error::custom("not a time"))
    }
}

mod time_or_none {
    use super::{DateTime, Deserialize, Serialize, Utc};
    use serde::{Deserializer, Serializer};

    #[derive(Serialize, Deserialize)]
    struct Held(#[serde(with = "super::time")] DateTime<Utc>);

    #[expect(clippy::ref_option, reason = "serde's signature")]
    pub(super) fn serialize<S: Serializer>(
        time: &Option<DateTime<Utc>>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        time.map(Held).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<DateTime<Utc>>, D::Error> {
        Ok(Option::<Held>::deserialize(deserializer)?.map(|held| held.0))
    }
}

/// A module for fields of type `Arc<$type>`, and one for fields of type `Vec<$type>`, by way of the mirror.
macro_rules! by_mirror {
    ($(shared $module:ident: $type:ident as $mirror:ident;)* $(list $list:ident: $item:ident as $item_mirror:ident as $text:literal;)* $(option $option:ident: $some:ident as $some_mirror:ident as $some_text:literal;)*) => {
        $(mod $module {
            use super::{$mirror, $type, Arc};
            use serde::{Deserializer, Serializer};

            pub(super) fn serialize<S: Serializer>(held: &Arc<$type>, serializer: S) -> Result<S::Ok, S::Error> {
                $mirror::serialize(held, serializer)
            }

            pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Arc<$type>, D::Error> {
                $mirror::deserialize(deserializer).map(Arc::new)
            }
        })*
        $(mod $list {
            use super::{$item, $item_mirror, Deserialize, Serialize};
            use serde::{Deserializer, Serializer};

            struct Lent<'a>(&'a $item);

            impl Serialize for Lent<'_> {
                fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                    $item_mirror::serialize(self.0, serializer)
                }
            }

            #[derive(Deserialize)]
            struct Held(#[serde(with = $text)] $item);

            pub(super) fn serialize<S: Serializer>(list: &[$item], serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_seq(list.iter().map(Lent))
            }

            pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<$item>, D::Error> {
                let mut list: Vec<$item> = Vec::<Held>::deserialize(deserializer)?.into_iter().map(|held| held.0).collect();
                list.shrink_to_fit();
                Ok(list)
            }
        })*
        $(mod $option {
            use super::{$some, $some_mirror, Deserialize, Serialize};
            use serde::{Deserializer, Serializer};

            struct Lent<'a>(&'a $some);

            impl Serialize for Lent<'_> {
                fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                    $some_mirror::serialize(self.0, serializer)
                }
            }

            #[derive(Deserialize)]
            struct Held(#[serde(with = $some_text)] $some);

            #[expect(clippy::ref_option, reason = "serde's signature")]
            pub(super) fn serialize<S: Serializer>(held: &Option<$some>, serializer: S) -> Result<S::Ok, S::Error> {
                held.as_ref().map(Lent).serialize(serializer)
            }

            pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<$some>, D::Error> {
                Ok(Option::<Held>::deserialize(deserializer)?.map(|held| held.0))
            }
        })*
    };
}

by_mirror! {
    shared client: Client as PlainClient;
    shared operator: Operator as PlainOperator;
    shared request: Request as PlainRequest;
    shared credential: Credential as PlainCredential;
    shared gateway: Gateway as PlainGateway;
    shared revocation: Revocation as PlainRevocation;
    shared proposal: Proposal as PlainProposal;
    shared rotation: Rotation as PlainRotation;
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Client")]
struct PlainClient {
    id: ClientId,
    name: String,
    owner: String,
    contact: String,
    environment: Environment,
    tier: Tier,
    dependents: Vec<String>,
    #[serde(with = "time_or_none")]
    offboarded_at: Option<DateTime<Utc>>,
    sequence: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Operator")]
struct PlainOperator {
    id: OperatorId,
    name: String,
    display_name: String,
    robot: bool,
    groups: BTreeSet<String>,
    roles: BTreeMap<Environment, BTreeSet<Role>>,
    client: Option<ClientId>,
    #[serde(with = "authenticators")]
    authenticators: Vec<Authenticator>,
    #[serde(with = "time_or_none")]
    offboarded_at: Option<DateTime<Utc>>,
    sequence: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Authenticator")]
enum PlainAuthenticator {
    Token(#[serde(with = "PlainToken")] Token),
    SshKey(#[serde(with = "PlainSshKey")] SshKey),
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Token")]
struct PlainToken {
    id: TokenId,
    digest: Digest,
    #[serde(with = "time")]
    created_at: DateTime<Utc>,
    #[serde(with = "time")]
    expires_at: DateTime<Utc>,
    key: Option<String>,
    continues: Option<Continued>,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "SshKey")]
struct PlainSshKey {
    fingerprint: String,
    public_key: String,
    hardware: bool,
    enrolled_by: OperatorId,
    #[serde(with = "time")]
    enrolled_at: DateTime<Utc>,
    #[serde(with = "time_or_none")]
    valid_from: Option<DateTime<Utc>>,
    countersigned_by: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Plan")]
struct PlainPlan {
    credential: String,
    environment: Environment,
    kind: Kind,
    issuer: String,
    role: String,
    client: ClientId,
    audience: String,
    scopes: Vec<String>,
    ttl_s: u64,
    destination: Option<Destination>,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Request")]
struct PlainRequest {
    id: RequestId,
    requester: OperatorId,
    requester_name: String,
    #[serde(with = "PlainPlan")]
    plan: Plan,
    digest: Digest,
    reason: String,
    owner: String,
    tags: Vec<String>,
    state: RequestState,
    #[serde(with = "time")]
    submitted_at: DateTime<Utc>,
    run: Option<RequestId>,
    evaluation: Option<Arc<Evaluation>>,
    #[serde(with = "time_or_none")]
    deadline: Option<DateTime<Utc>>,
    #[serde(with = "approvals")]
    approvals: Vec<Approval>,
    #[serde(with = "ending")]
    ended_by: Option<Ending>,
    attempts: u32,
    facts_at: u64,
    attempt_locator: BTreeMap<String, String>,
    failure: Option<String>,
    issued: Option<(CredentialId, u32)>,
    revision: u32,
    notes: Vec<Note>,
    #[serde(with = "broken_glass")]
    break_glass: Option<Box<BreakGlass>>,
    sequence: u64,
    trail: Vec<u64>,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Proposal")]
struct PlainProposal {
    id: ProposalId,
    proposer: OperatorId,
    proposer_name: String,
    files: BTreeMap<String, String>,
    digest: Digest,
    base: u32,
    base_digest: Option<Digest>,
    reason: String,
    quorum: Quorum,
    step_up: StepUp,
    state: ProposalState,
    #[serde(with = "time")]
    proposed_at: DateTime<Utc>,
    #[serde(with = "time")]
    deadline: DateTime<Utc>,
    #[serde(with = "approvals")]
    approvals: Vec<Approval>,
    #[serde(with = "ending")]
    ended_by: Option<Ending>,
    version: Option<(u32, DateTime<Utc>)>,
    sequence: u64,
    trail: Vec<u64>,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Approval")]
struct PlainApproval {
    id: ApprovalId,
    by: OperatorId,
    by_name: String,
    #[serde(with = "time")]
    at: DateTime<Utc>,
    digest: Digest,
    reason: String,
    #[serde(with = "PlainProof")]
    proof: Proof,
    void: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Proof")]
enum PlainProof {
    Token { token: TokenId },
    SshSignature(Box<Signed>),
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Ending")]
struct PlainEnding {
    by: String,
    reason: String,
    #[serde(with = "time")]
    at: DateTime<Utc>,
    #[serde(with = "shown_by")]
    proof: Option<Proof>,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "BreakGlass")]
struct PlainBreakGlass {
    by: OperatorId,
    by_name: String,
    #[serde(with = "time")]
    at: DateTime<Utc>,
    reason: String,
    #[serde(with = "PlainProof")]
    proof: Proof,
    #[serde(with = "time")]
    review_by: DateTime<Utc>,
    #[serde(with = "time_or_none")]
    reviewed_at: Option<DateTime<Utc>>,
}

mod broken_glass {
    use super::{BreakGlass, Deserialize, PlainBreakGlass, Serialize};
    use serde::{Deserializer, Serializer};

    struct Lent<'a>(&'a BreakGlass);

    impl Serialize for Lent<'_> {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            PlainBreakGlass::serialize(self.0, serializer)
        }
    }

    #[derive(Deserialize)]
    struct Held(#[serde(with = "PlainBreakGlass")] BreakGlass);

    #[expect(clippy::ref_option, reason = "serde's signature")]
    pub(super) fn serialize<S: Serializer>(
        glass: &Option<Box<BreakGlass>>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        glass.as_deref().map(Lent).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Box<BreakGlass>>, D::Error> {
        Ok(Option::<Held>::deserialize(deserializer)?.map(|held| Box::new(held.0)))
    }
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Credential")]
struct PlainCredential {
    id: CredentialId,
    name: Text,
    environment: Environment,
    kind: Kind,
    issuer: Text,
    role: Text,
    client: ClientId,
    owner: Text,
    audience: Text,
    scopes: Texts,
    tier: Tier,
    tags: Texts,
    #[serde(with = "time")]
    created_at: DateTime<Utc>,
    cadence_s: Option<u64>,
    #[serde(with = "versions")]
    versions: Vec<Version>,
    #[serde(with = "time_or_none")]
    quarantined_at: Option<DateTime<Utc>>,
    revoked: Option<RevocationId>,
    confirmed: Option<Box<Confirmation>>,
    destination: Option<Box<Destination>>,
    sequence: u64,
    trail: Vec<u64>,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Version")]
struct PlainVersion {
    number: u32,
    state: VersionState,
    digest: Option<Digest>,
    locator: BTreeMap<String, String>,
    request: Option<RequestId>,
    #[serde(with = "time")]
    created_at: DateTime<Utc>,
    #[serde(with = "time_or_none")]
    expires_at: Option<DateTime<Utc>>,
    #[serde(with = "time_or_none")]
    retires_at: Option<DateTime<Utc>>,
    delivery: Option<Box<Delivery>>,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Revocation")]
struct PlainRevocation {
    id: RevocationId,
    credential: CredentialId,
    versions: Vec<u32>,
    whole: bool,
    reason: String,
    by: String,
    #[serde(with = "time")]
    effective_at: DateTime<Utc>,
    #[serde(with = "PlainEnforcement")]
    enforcement: Enforcement,
    #[serde(with = "reach")]
    reach: Vec<Reach>,
    since: u64,
    sequence: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Reach")]
struct PlainReach {
    gateway: GatewayId,
    #[serde(with = "time_or_none")]
    sent_at: Option<DateTime<Utc>>,
    #[serde(with = "applied_or_none")]
    applied: Option<Applied>,
    #[serde(with = "time_or_none")]
    proven_at: Option<DateTime<Utc>>,
}

mod applied_or_none {
    use super::{Applied, DateTime, Deserialize, Evidence, Serialize, Utc};
    use serde::{Deserializer, Serializer};

    #[derive(Serialize, Deserialize)]
    struct Held(#[serde(with = "super::time")] DateTime<Utc>, Evidence);

    #[expect(clippy::ref_option, reason = "serde's signature")]
    pub(super) fn serialize<S: Serializer>(
        applied: &Option<Applied>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        applied
            .map(|applied| Held(applied.at, applied.by))
            .serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Applied>, D::Error> {
        let held = Option::<Held>::deserialize(deserializer)?;
        Ok(held.map(|Held(at, by)| Applied { at, by }))
    }
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Gateway")]
struct PlainGateway {
    id: GatewayId,
    name: String,
    profile: Profile,
    environment: Environment,
    audiences: Vec<Text>,
    #[serde(with = "routes")]
    routes: Vec<Route>,
    objective_s: u64,
    cache_s: u64,
    by: String,
    #[serde(with = "time")]
    registered_at: DateTime<Utc>,
    #[serde(with = "tokens")]
    tokens: Vec<Token>,
    #[serde(with = "time_or_none")]
    removed_at: Option<DateTime<Utc>>,
    sequence: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Route")]
struct PlainRoute {
    prefix: String,
    methods: Vec<String>,
    scope: String,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Enforcement")]
enum PlainEnforcement {
    NotNeeded,
    Pending {
        attempts: u32,
        last_error: Option<String>,
    },
    Enforced {
        #[serde(with = "time")]
        at: DateTime<Utc>,
        proven: bool,
    },
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Rotation")]
struct PlainRotation {
    id: RotationId,
    credential: CredentialId,
    from: u32,
    to: Option<u32>,
    cause: RotationCause,
    by: String,
    reason: String,
    state: RotationState,
    #[serde(with = "time_or_none")]
    due_at: Option<DateTime<Utc>>,
    #[serde(with = "time_or_none")]
    late_at: Option<DateTime<Utc>>,
    frozen: Option<String>,
    terms: Terms,
    member: Option<Member>,
    #[serde(with = "time")]
    started_at: DateTime<Utc>,
    #[serde(with = "time_or_none")]
    deadline: Option<DateTime<Utc>>,
    attempts: u32,
    attempt_locator: BTreeMap<String, String>,
    #[serde(with = "time_or_none")]
    minted_at: Option<DateTime<Utc>>,
    checked_by: String,
    #[serde(with = "time_or_none")]
    checked_at: Option<DateTime<Utc>>,
    check: String,
    #[serde(with = "time_or_none")]
    handed_at: Option<DateTime<Utc>>,
    handed_to: String,
    #[serde(with = "time_or_none")]
    promoted_at: Option<DateTime<Utc>>,
    #[serde(with = "time_or_none")]
    overlap_until: Option<DateTime<Utc>>,
    #[serde(with = "time_or_none")]
    extended_until: Option<DateTime<Utc>>,
    #[serde(with = "time_or_none")]
    ended_at: Option<DateTime<Utc>>,
    setback: Option<Setback>,
    failure: Option<String>,
    gap_s: u64,
    sequence: u64,
    trail: Vec<u64>,
}

by_mirror! {
    list authenticators: Authenticator as PlainAuthenticator as "PlainAuthenticator";
    list approvals: Approval as PlainApproval as "PlainApproval";
    list reach: Reach as PlainReach as "PlainReach";
    list routes: Route as PlainRoute as "PlainRoute";
    list tokens: Token as PlainToken as "PlainToken";
    list versions: Version as PlainVersion as "PlainVersion";
    option ending: Ending as PlainEnding as "PlainEnding";
    option shown_by: Proof as PlainProof as "PlainProof";
}
