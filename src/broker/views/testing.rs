//! Small states for tests, built by folding events, so that they are what the log could say.

use super::Views;
use crate::{
    broker::usage::{Reader, Usage},
    domain::{
        Cadence, Cause, Client, ClientId, Credential, CredentialId, Digest, Enforcement,
        Environment, Evaluation, Event, Kind, Operator, OperatorId, Plan, Quorum, Recorded,
        Request, RequestId, RequestState, Revocation, RevocationId, Risk, Role, State, StepUp,
        Text, Texts, Tier, Token, TokenId, Version, VersionState, command::ActorStamp,
        operator::Authenticator, request::Outcome,
    },
    secret::digest_of_bytes,
};
use chrono::{DateTime, TimeDelta, Utc};
use std::collections::{BTreeMap, BTreeSet};

/// `seconds` after the beginning of 2026.
pub fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_767_225_600 + seconds, 0).expect("a time this century")
}

/// An event as leaf `index`.
pub fn recorded(index: u64, ts: DateTime<Utc>, event: Event) -> Recorded {
    Recorded {
        v: 1,
        origin: "test.example/log".into(),
        seq: index,
        ts,
        subject: event.subject().to_string(),
        actor: ActorStamp {
            id: None,
            name: "test".into(),
            token: None,
            from: None,
        },
        request: Cause {
            command: "test".into(),
            id: "call-1".into(),
            trace: None,
            key: None,
            body: None,
        },
        event,
        state: None,
    }
}

/// A person with these roles, signed in by `token` for an hour from the start.
pub fn operator_with(name: &str, roles: &[(Environment, Role)], token: &str) -> Operator {
    let mut held: BTreeMap<Environment, BTreeSet<Role>> = BTreeMap::new();
    for &(environment, role) in roles {
        held.entry(environment).or_default().insert(role);
    }
    let bits = name
        .bytes()
        .fold(7_u128, |bits, byte| bits * 31 + u128::from(byte));
    Operator {
        id: OperatorId::from_bits(bits),
        name: name.into(),
        display_name: String::new(),
        robot: false,
        groups: BTreeSet::new(),
        roles: held,
        client: None,
        authenticators: vec![Authenticator::Token(Token {
            id: TokenId::from_bits(bits + 1),
            digest: digest_of_bytes(token.as_bytes()),
            created_at: at(0),
            expires_at: at(3_600),
            key: None,
            continues: None,
        })],
        offboarded_at: None,
        sequence: 0,
    }
}

/// A version made at `created`.
pub fn version(number: u32, state: VersionState, created: i64, expires: Option<i64>) -> Version {
    Version {
        number,
        state,
        digest: None,
        locator: BTreeMap::new(),
        request: None,
        created_at: at(created),
        expires_at: expires.map(at),
        retires_at: None,
        delivery: None,
    }
}

/// A revocation of a whole credential that needs nothing from an issuer.
/// Whoever showed a credential's first version.
pub const FIRST: Reader = Reader {
    version: 1,
    gateway: None,
    network: None,
};

pub fn revocation(bits: u128, credential: CredentialId, effective: i64) -> Revocation {
    Revocation {
        id: RevocationId::from_bits(bits),
        credential,
        versions: vec![1],
        whole: true,
        reason: "leaked".into(),
        by: "maya.k".into(),
        effective_at: at(effective),
        enforcement: Enforcement::NotNeeded,
        reach: Vec::new(),
        since: 0,
        sequence: 0,
    }
}

/// What a request waits for: `count` people of `security`.
pub fn needs(count: u8) -> Evaluation {
    Evaluation {
        outcome: Outcome::Needs,
        quorum: Some(Quorum {
            count,
            groups: vec!["security".into()],
        }),
        step_up: StepUp::None,
        hold: false,
        review: None,
        max_ttl_s: 86_400,
        approval_ttl_s: 3_600,
        risk: Risk {
            score: 70,
            tier: Tier::High,
            factors: Vec::new(),
        },
        rules: Vec::new(),
        policy_version: "1".into(),
        policy_digest: Digest([0; 32]),
    }
}

/// A state with one client, to which more is added event by event.
#[derive(Debug)]
pub struct World {
    /// What was folded so far.
    pub state: State,
    /// The client that everything is for.
    pub client: ClientId,
    ids: u128,
}

impl Default for World {
    fn default() -> Self {
        Self::new()
    }
}

impl World {
    /// One client, `checkout-api`, in production.
    pub fn new() -> Self {
        let client = ClientId::from_bits(1);
        let mut world = Self {
            state: State::default(),
            client,
            ids: 100,
        };
        world.happens(
            0,
            Event::ClientOnboarded {
                client: Box::new(Client {
                    id: client,
                    name: "checkout-api".into(),
                    owner: "checkout".into(),
                    contact: String::new(),
                    environment: Environment::Production,
                    tier: Tier::High,
                    dependents: vec!["checkout".into(), "billing".into()],
                    offboarded_at: None,
                    sequence: 0,
                }),
            },
        );
        world
    }

    /// Folds `event`, `seconds` after the start.
    pub fn happens(&mut self, seconds: i64, event: Event) {
        let leaf = recorded(self.state.sequence, at(seconds), event);
        self.state.apply(&leaf);
    }

    /// Fresh bits, ascending.
    pub fn bits(&mut self) -> u128 {
        self.ids += 1;
        self.ids
    }

    /// Adopts an active credential, changed as wanted.
    pub fn credential(&mut self, name: &str, change: impl FnOnce(&mut Credential)) -> CredentialId {
        let id = CredentialId::from_bits(self.bits());
        let mut credential = Credential {
            id,
            name: name.into(),
            environment: Environment::Production,
            kind: Kind::ApiKey,
            issuer: "countersign".into(),
            role: Text::default(),
            client: self.client,
            owner: "checkout".into(),
            audience: "https://payments.example".into(),
            scopes: ["payments:read"].into(),
            tier: Tier::Low,
            tags: Texts::default(),
            created_at: at(0),
            cadence_s: None,
            versions: vec![version(1, VersionState::Active, 0, Some(90 * 86_400))],
            quarantined_at: None,
            revoked: None,
            confirmed: None,
            destination: None,
            sequence: 0,
            trail: Vec::new(),
        };
        change(&mut credential);
        self.happens(
            0,
            Event::CredentialAdopted {
                credential: Box::new(credential),
            },
        );
        id
    }

    /// A request by `requester`, received at `seconds`, changed as wanted.
    pub fn request(
        &mut self,
        requester: &Operator,
        seconds: i64,
        change: impl FnOnce(&mut Request),
    ) -> RequestId {
        let id = RequestId::from_bits(self.bits());
        let mut request = Request {
            id,
            requester: requester.id,
            requester_name: requester.name.clone(),
            plan: Plan {
                credential: format!("payments/db-{}", id.bits()),
                environment: Environment::Production,
                kind: Kind::ApiKey,
                issuer: "countersign".into(),
                role: String::new(),
                client: self.client,
                audience: "https://payments.example".into(),
                scopes: vec!["payments:write".into()],
                ttl_s: 3_600,
                destination: None,
            },
            digest: Digest([7; 32]),
            reason: "release 12".into(),
            owner: "checkout".into(),
            tags: Vec::new(),
            state: RequestState::Submitted,
            submitted_at: at(seconds),
            run: None,
            evaluation: None,
            deadline: None,
            approvals: Vec::new(),
            ended_by: None,
            attempts: 0,
            facts_at: 0,
            attempt_locator: BTreeMap::new(),
            failure: None,
            issued: None,
            revision: 1,
            notes: Vec::new(),
            break_glass: None,
            sequence: 0,
            trail: Vec::new(),
        };
        change(&mut request);
        self.happens(
            seconds,
            Event::RequestSubmitted {
                request: Box::new(request),
            },
        );
        id
    }

    /// A request that waits for `count` people until `deadline`.
    pub fn awaiting(
        &mut self,
        requester: &Operator,
        seconds: i64,
        count: u8,
        deadline: i64,
    ) -> RequestId {
        let request = self.request(requester, seconds, |_| {});
        self.happens(
            seconds,
            Event::RequestEvaluated {
                request,
                evaluation: Box::new(needs(count)),
            },
        );
        self.happens(
            seconds,
            Event::RequestAwaitingApproval {
                request,
                deadline: at(deadline),
            },
        );
        request
    }

    /// The state, `seconds` after the start.
    pub fn views<'a>(&'a self, usage: &'a Usage, seconds: i64) -> Views<'a> {
        Views {
            state: &self.state,
            usage,
            reviews: Cadence::default(),
            now: at(0) + TimeDelta::seconds(seconds),
        }
    }
}
