//! The snapshot is a cache: whatever became of the file, a start comes to what the log says.

#![allow(
    clippy::unwrap_used,
    clippy::too_many_lines,
    reason = "a test or benchmark stops where its ground gives way, and a table of cases reads better whole"
)]

use chrono::{DateTime, Duration, Utc};
use countersign::{
    broker::{
        engine::{fresh_bits, system_context},
        leaf,
        serve::{Broker, Options},
        snapshot::Snapshots,
    },
    clock,
    config::BrokerConfig,
    domain::{
        Actor, ApprovalId, Client, ClientId, Command, Context, Credential, CredentialId, Digest,
        Environment, Evaluation, Facts, Gateway, GatewayId, Kind, MintedVersion, Operator,
        OperatorId, Plan, Profile, Proof, ProposalId, Quorum, Recorded, RequestId, RequestState,
        RevocationId, Risk, RiskFactor, Role, SshKey, State, StepUp, Text, Texts, Tier, Token,
        TokenId, Version, VersionState,
        command::Cause,
        decide::{self, decide},
        event::UsageEntry,
        operator::{Authenticator, Continued},
        request::Outcome,
        state::asking::BURST,
    },
    event_log::store::Head,
    secret::{SealKey, digest_of_bytes},
};
use proptest::prelude::*;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};
use tempfile::TempDir;

const PROD: Environment = Environment::Production;
const ADMIN: OperatorId = OperatorId::from_bits(1);
const APPROVER: OperatorId = OperatorId::from_bits(2);

/// A state that is asked for things as the writer asks, and the leaves that this makes.
struct World {
    state: State,
    log: Vec<Vec<u8>>,
    now: DateTime<Utc>,
    fresh: u128,
}

impl World {
    fn new() -> Self {
        let mut world = Self {
            state: State::default(),
            log: Vec::new(),
            now: DateTime::from_timestamp(1_800_000_000, 5_000_000).unwrap(),
            fresh: 100,
        };
        let admin = operator(ADMIN, "root", &[Role::Admin, Role::Operator], "");
        let system = Actor::System("test");
        world.ask(
            system.clone(),
            Command::EnrolOperator(Box::new(admin)),
            None,
        );
        let mut approver = operator(APPROVER, "ana", &[Role::Approver], "security");
        approver.display_name = "Ana".into();
        world.ask(system, Command::EnrolOperator(Box::new(approver)), None);
        let key = SshKey {
            fingerprint: "SHA256:abc".into(),
            public_key: "ssh-ed25519 AAAA".into(),
            hardware: true,
            enrolled_by: ADMIN,
            enrolled_at: world.now,
            valid_from: None,
            countersigned_by: None,
        };
        let enrol = Command::EnrolKey {
            operator: APPROVER,
            key,
        };
        world.ask(by(ADMIN), enrol, None);
        world.onboard();
        assert_eq!(world.state.clients.len(), 1, "the company stands");
        world
    }

    fn fresh(&mut self) -> u128 {
        self.fresh += 1;
        self.fresh
    }

    fn ask(&mut self, actor: Actor, command: Command, key: Option<u8>) {
        let idempotency = key.map(|key| (format!("key-{key}"), Digest([key; 32])));
        if let (Some((key, _)), Actor::Operator { id, .. }) = (&idempotency, &actor)
            && self.state.answered(*id, key).is_some()
        {
            return;
        }
        let context = Context {
            now: self.now,
            actor,
            from: None,
            request_id: "r".into(),
            trace: None,
            idempotency,
            if_match: None,
        };
        for event in decide(&self.state, &command, &context).unwrap_or_default() {
            let (key, body) = context.idempotency.clone().unzip();
            let recorded = Recorded {
                v: 1,
                origin: "test.example/log".into(),
                seq: self.state.sequence,
                ts: context.now,
                subject: event.subject().to_string(),
                actor: decide::stamp(&self.state, &context),
                request: Cause {
                    command: command.name().into(),
                    id: "r".into(),
                    trace: None,
                    key,
                    body,
                },
                event,
                state: None,
            };
            self.state.apply(&recorded);
            self.log.push(serde_json::to_vec(&recorded).unwrap());
        }
    }

    fn onboard(&mut self) {
        let id = ClientId::from_bits(self.fresh());
        let client = Client {
            id,
            name: format!("client-{}", self.state.clients.len()),
            owner: "payments".into(),
            contact: "#payments".into(),
            environment: PROD,
            tier: Tier::High,
            dependents: vec!["cart".into()],
            offboarded_at: None,
            sequence: 0,
        };
        self.ask(by(ADMIN), Command::OnboardClient(Box::new(client)), None);
    }

    /// One thing that happens, drawn as small numbers that pick from what there is.
    fn step(&mut self, [what, which, how]: [u8; 3]) {
        let system = Actor::System("test");
        let key = (how % 3 == 0).then_some(how);
        let reason = String::from("because");
        let requests = |state: &State, wanted: RequestState| {
            let all: Vec<_> = state
                .requests
                .values()
                .filter(|held| held.state == wanted)
                .map(|held| held.id)
                .collect();
            all.get(usize::from(which) % all.len().max(1)).copied()
        };
        let credentials: Vec<_> = self.state.credentials.keys().copied().collect();
        let credential = credentials
            .get(usize::from(which) % credentials.len().max(1))
            .copied();
        match what % 21 {
            0..3 => self.submit(which, how, key),
            3 | 4 => {
                if let Some(id) = requests(&self.state, RequestState::AwaitingApproval) {
                    let digest = self.state.requests[&id].digest;
                    let approval = ApprovalId::from_bits(self.fresh());
                    let command = if how % 5 == 0 {
                        Command::Deny {
                            request: id,
                            digest,
                            reason,
                            revocation: RevocationId::from_bits(self.fresh()),
                            checked: None,
                            unsigned: true,
                        }
                    } else {
                        Command::Approve {
                            request: id,
                            approval,
                            digest,
                            reason,
                            checked: None,
                        }
                    };
                    self.ask(by(APPROVER), command, key);
                }
            }
            5 | 6 => {
                if let Some(id) = requests(&self.state, RequestState::Approved) {
                    let attempt = self.state.requests[&id].attempts + 1;
                    let locator = locator(how);
                    self.ask(
                        system,
                        Command::StartIssuance {
                            request: id,
                            attempt,
                            locator,
                        },
                        None,
                    );
                }
            }
            7 | 8 => {
                if let Some(request) = requests(&self.state, RequestState::Issuing) {
                    let attempt = self.state.requests[&request].attempts;
                    let credential = CredentialId::from_bits(self.fresh());
                    let minted = Box::new(MintedVersion {
                        digest: Some(digest_of_bytes(&credential.bits().to_be_bytes())),
                        locator: locator(how),
                        expires_at: None,
                        warnings: vec![],
                    });
                    let command = if how % 4 == 0 {
                        Command::RecordIssuanceFailed {
                            request,
                            attempt,
                            reason,
                            last: how.is_multiple_of(8),
                        }
                    } else {
                        Command::RecordMinted {
                            request,
                            attempt,
                            credential,
                            minted,
                        }
                    };
                    self.ask(system, command, None);
                }
            }
            9 => {
                if let Some(request) = requests(&self.state, RequestState::Issued) {
                    self.ask(by(ADMIN), Command::Claim { request }, key);
                }
            }
            10 => self.adopt(which, how),
            11 => {
                if let Some(credential) = credential {
                    let id = RevocationId::from_bits(self.fresh());
                    let version = (how.is_multiple_of(2)).then_some(1);
                    self.ask(
                        by(ADMIN),
                        Command::Revoke {
                            id,
                            credential,
                            version,
                            reason,
                        },
                        key,
                    );
                }
            }
            12 => {
                if let Some(credential) = credential {
                    let command = if how.is_multiple_of(2) {
                        Command::Quarantine { credential, reason }
                    } else {
                        Command::Release { credential, reason }
                    };
                    self.ask(by(ADMIN), command, key);
                }
            }
            13 => {
                let revocations: Vec<_> = self.state.to_enforce.iter().copied().collect();
                if let Some(&revocation) =
                    revocations.get(usize::from(which) % revocations.len().max(1))
                {
                    let command = if how.is_multiple_of(2) {
                        Command::RecordEnforced {
                            revocation,
                            proven: how % 4 == 0,
                        }
                    } else {
                        Command::RecordEnforcementFailed { revocation, reason }
                    };
                    self.ask(system, command, None);
                }
            }
            14 => {
                if let Some(credential) = credential {
                    let last_used_at = (how.is_multiple_of(2)).then_some(self.now);
                    let entries = vec![UsageEntry {
                        credential,
                        accepted: how.into(),
                        refused: 1,
                        last_used_at,
                    }];
                    self.ask(
                        system,
                        Command::RollUpUsage {
                            hour: self.now,
                            entries,
                        },
                        None,
                    );
                }
            }
            15 => {
                let id = OperatorId::from_bits(self.fresh());
                let new = operator(id, &format!("person-{}", id.bits()), &[Role::Viewer], "");
                self.ask(by(ADMIN), Command::EnrolOperator(Box::new(new)), key);
                let token = token(self.fresh());
                self.ask(
                    by(ADMIN),
                    Command::IssueToken {
                        operator: id,
                        token: token.clone(),
                    },
                    None,
                );
                match how % 3 {
                    0 => self.ask(
                        by(ADMIN),
                        Command::OffboardOperator {
                            operator: id,
                            reason,
                            hand_over_to: None,
                        },
                        None,
                    ),
                    1 => self.ask(
                        by(ADMIN),
                        Command::RevokeToken {
                            operator: id,
                            token: token.id,
                        },
                        None,
                    ),
                    _ => {
                        self.sessions(id);
                        self.onboard();
                    }
                }
            }
            17 => self.policy(which, how, key),
            18 | 19 => self.gateway(which, how, key),
            16 => {
                self.now += Duration::seconds(1 << (u32::from(which) % 18));
                let revocations = (0..Command::SWEEP_LIMIT)
                    .map(|_| RevocationId::from_bits(self.fresh()))
                    .collect();
                self.ask(system, Command::Sweep { revocations }, None);
            }
            _ => self.now += Duration::milliseconds(1 << (u32::from(which) % 28)),
        }
    }

    /// A gateway comes or goes, or has applied or refused something.
    fn gateway(&mut self, which: u8, how: u8, key: Option<u8>) {
        let reason = String::from("because");
        let gateways: Vec<_> = self.state.gateways.keys().copied().collect();
        let Some(&gateway) = gateways.get(usize::from(which) % (gateways.len() + 1)) else {
            let fresh = self.fresh();
            let profile = Profile::ALL[usize::from(how) % Profile::ALL.len()];
            let new = Gateway {
                id: GatewayId::from_bits(fresh),
                name: format!("edge-{fresh}"),
                profile,
                environment: PROD,
                audiences: vec!["https://orders.example".into()],
                routes: Vec::new(),
                objective_s: 60,
                cache_s: if profile.asks() {
                    u64::from(how % 3)
                } else {
                    0
                },
                by: String::new(),
                registered_at: self.now,
                tokens: vec![token(fresh)],
                removed_at: None,
                sequence: 0,
            };
            return self.ask(by(ADMIN), Command::RegisterGateway(Box::new(new)), key);
        };
        match how % 5 {
            0 => self.ask(by(ADMIN), Command::RemoveGateway { gateway, reason }, key),
            1 => {
                let token = token(self.fresh());
                let command = Command::IssueGatewayToken { gateway, token };
                self.ask(by(ADMIN), command, key);
            }
            2 => {
                let revocation = self.state.revocations.keys().next().copied();
                if let Some(revocation) = revocation {
                    let command = Command::RecordProven {
                        gateway,
                        revocation,
                    };
                    self.ask(Actor::System("test"), command, None);
                }
            }
            _ => {
                let command = Command::RecordCursor {
                    gateway,
                    cursor: self.state.sequence,
                    sent: BTreeMap::from([(self.state.sequence, self.now)]),
                };
                self.ask(Actor::System("test"), command, None);
            }
        }
    }

    /// A policy is proposed, or what waits is decided.
    /// Signs in, and has the session go on.
    fn sessions(&mut self, id: OperatorId) {
        let mut continues = None;
        for hours in [1, 2] {
            let opened = Token {
                created_at: self.now,
                expires_at: self.now + Duration::hours(hours),
                key: Some("SHA256:certified".into()),
                continues,
                ..token(self.fresh())
            };
            continues = Some(Continued {
                session: opened.id,
                signed_in_at: opened.signed_in_at(),
            });
            let command = Command::SignIn {
                operator: id,
                token: opened,
            };
            self.ask(by(id), command, None);
        }
    }

    fn policy(&mut self, which: u8, how: u8, key: Option<u8>) {
        let waiting = self.state.proposals.values().find(|held| {
            held.state == countersign::domain::ProposalState::AwaitingApproval
                && how.is_multiple_of(2)
        });
        let reason = String::from("because");
        let (who, command) = match waiting.map(|held| (held.id, held.digest)) {
            Some((proposal, digest)) if how.is_multiple_of(8) => {
                let command = Command::DenyPolicy {
                    proposal,
                    digest,
                    reason,
                    checked: None,
                    unsigned: true,
                };
                (APPROVER, command)
            }
            Some((proposal, digest)) => {
                let command = Command::ApprovePolicy {
                    proposal,
                    approval: ApprovalId::from_bits(self.fresh()),
                    digest,
                    reason,
                    checked: None,
                };
                (APPROVER, command)
            }
            None => {
                let files = BTreeMap::from([("issue.rego".to_owned(), format!("# {which}"))]);
                let command = Command::ProposePolicy {
                    id: ProposalId::from_bits(self.fresh()),
                    digest: digest_of_bytes(&[which]),
                    files,
                    base: self.state.policy_version(),
                    base_digest: digest_of_bytes(b"base"),
                    reason,
                    step_up: StepUp::None,
                    quorum: Quorum {
                        count: 1,
                        groups: vec!["security".into()],
                    },
                    approval_ttl_s: 3_600,
                };
                (ADMIN, command)
            }
        };
        self.ask(by(who), command, key);
    }

    fn submit(&mut self, which: u8, how: u8, key: Option<u8>) {
        let plan = Plan {
            credential: format!("payments/name-{}", which % 7),
            environment: PROD,
            kind: Kind::ApiKey,
            issuer: "keys".into(),
            role: String::new(),
            client: *self.state.clients.keys().next().unwrap(),
            audience: "https://orders.example".into(),
            scopes: vec!["orders:read".into()],
            ttl_s: 86_400,
            destination: None,
        };
        let outcome = [
            Outcome::Allow,
            Outcome::Needs,
            Outcome::Needs,
            Outcome::Deny,
        ][usize::from(how % 4)];
        let evaluation = Evaluation {
            outcome,
            quorum: (outcome == Outcome::Needs).then(|| Quorum {
                count: 1 + how % 2,
                groups: vec!["security".into()],
            }),
            step_up: StepUp::None,
            hold: false,
            review: None,
            max_ttl_s: 604_800,
            approval_ttl_s: 14_400,
            risk: Risk {
                score: 70,
                tier: Tier::High,
                factors: how
                    .is_multiple_of(5)
                    .then(|| RiskFactor {
                        id: BURST.into(),
                        points: 15,
                        reason: "many".into(),
                    })
                    .into_iter()
                    .collect(),
            },
            rules: vec![],
            policy_version: self.state.policy_version().to_string(),
            policy_digest: digest_of_bytes(b"policy"),
        };
        let command = Command::SubmitRequest {
            id: RequestId::from_bits(self.fresh()),
            digest: digest_of_bytes(&serde_json_canonicalizer::to_vec(&plan).unwrap()),
            plan,
            reason: "rotation".into(),
            owner: "payments".into(),
            tags: vec!["pci".into()],
            evaluation: Box::new(evaluation),
            facts: Box::new(Facts::ordinary("api_key", "production")),
        };
        self.ask(by(ADMIN), command, key);
    }

    fn adopt(&mut self, which: u8, how: u8) {
        let id = self.fresh();
        let client = *self.state.clients.keys().next().unwrap();
        let adopted = credential(
            id,
            &format!("payments/name-{}", which % 7),
            client,
            self.now,
            locator(how),
        );
        self.ask(by(ADMIN), Command::Adopt(Box::new(adopted)), None);
    }
}

fn locator(how: u8) -> BTreeMap<String, String> {
    if how.is_multiple_of(2) {
        BTreeMap::new()
    } else {
        BTreeMap::from([("lease".into(), format!("l/{how}"))])
    }
}

fn by(id: OperatorId) -> Actor {
    let token = TokenId::from_bits(id.bits());
    Actor::Operator {
        id,
        proof: Proof::Token { token },
    }
}

fn token(number: u128) -> Token {
    Token {
        id: TokenId::from_bits(number),
        digest: digest_of_bytes(&number.to_be_bytes()),
        created_at: DateTime::from_timestamp(1_700_000_000, 0).unwrap(),
        expires_at: DateTime::from_timestamp(9_999_999_999, 0).unwrap(),
        key: None,
        continues: None,
    }
}

fn operator(id: OperatorId, name: &str, roles: &[Role], group: &str) -> Operator {
    let roles: BTreeSet<Role> = roles.iter().copied().collect();
    Operator {
        id,
        name: name.into(),
        display_name: name.to_uppercase(),
        robot: false,
        groups: (!group.is_empty())
            .then(|| group.to_owned())
            .into_iter()
            .collect(),
        roles: BTreeMap::from([(PROD, roles)]),
        client: None,
        authenticators: vec![Authenticator::Token(token(id.bits()))],
        offboarded_at: None,
        sequence: 0,
    }
}

fn credential(
    id: u128,
    name: &str,
    client: ClientId,
    now: DateTime<Utc>,
    locator: BTreeMap<String, String>,
) -> Credential {
    Credential {
        id: CredentialId::from_bits(id),
        name: name.into(),
        environment: PROD,
        kind: Kind::ApiKey,
        issuer: "keys".into(),
        role: Text::default(),
        client,
        owner: "payments".into(),
        audience: "https://orders.example".into(),
        scopes: ["orders:read"].into(),
        tier: Tier::High,
        tags: Texts::default(),
        created_at: now,
        cadence_s: Some(86_400),
        versions: vec![Version {
            number: 1,
            state: VersionState::Active,
            digest: Some(digest_of_bytes(&id.to_be_bytes())),
            locator,
            request: None,
            created_at: now,
            expires_at: Some(now + Duration::days(30)),
            retires_at: None,
            delivery: None,
        }],
        quarantined_at: None,
        revoked: None,
        confirmed: None,
        destination: None,
        sequence: 0,
        trail: vec![],
    }
}

fn fold(leaves: &[Vec<u8>]) -> State {
    resume(State::default(), leaves)
}

fn resume(mut state: State, tail: &[Vec<u8>]) -> State {
    for leaf in tail {
        state.apply(&leaf::read(leaf).unwrap());
    }
    state
}

fn through_a_file(folder: &Path, state: &State) -> State {
    let seal_key = SealKey::open_or_create(&folder.join("seal.key")).unwrap();
    let snapshots = Snapshots::new(folder.join("snapshot"), &seal_key, "test.example/log");
    let head = Head {
        size: state.sequence,
        root: [9; 32],
    };
    snapshots.write(state, head).unwrap();
    let found = snapshots.read().unwrap().expect("written just now");
    assert_eq!((found.sequence, found.root), (state.sequence, [9; 32]));
    found.state().unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn a_snapshot_and_the_rest_of_the_log_are_the_log(
        steps in prop::collection::vec(any::<[u8; 3]>(), 1..200), cut in any::<prop::sample::Index>(),
    ) {
        let mut world = World::new();
        for step in steps {
            world.step(step);
        }
        let folder = tempfile::tempdir().unwrap();
        let (head, tail) = world.log.split_at(cut.index(world.log.len() + 1).max(1));
        let before = fold(head);
        let read = through_a_file(folder.path(), &before);
        prop_assert_eq!(&read, &before, "every index is back");
        prop_assert_eq!(&resume(read, tail), &world.state);
        prop_assert_eq!(&fold(&world.log), &world.state);
    }
}

/// What the random histories prove is worth something only if they fill every part of the state.
#[test]
fn the_histories_reach_every_index() {
    use proptest::{strategy::ValueTree, test_runner::TestRunner};
    let mut runner = TestRunner::deterministic();
    let strategy = prop::collection::vec(any::<[u8; 3]>(), 200);
    let mut reached = BTreeSet::new();
    for _ in 0..24 {
        let mut world = World::new();
        for step in strategy.new_tree(&mut runner).unwrap().current() {
            world.step(step);
            for part in world.state.parts() {
                let name = format!("{part:?}");
                reached.insert(name.split(['(', ' ']).next().unwrap().to_owned());
            }
        }
    }
    let reached: Vec<_> = reached.iter().map(String::as_str).collect();
    assert_eq!(
        reached,
        [
            "Answered",
            "Awaiting",
            "Burst",
            "Client",
            "ClientName",
            "Credential",
            "Due",
            "Gateway",
            "Head",
            "OpenName",
            "Operator",
            "OperatorName",
            "Proposal",
            "Request",
            "Revocation",
            "RotationTotals",
            "ToEnforce",
            "ToIssue",
            "TokenDigest",
            "Usage"
        ]
    );
}

fn options(folder: &TempDir, data: &str) -> Options {
    Options {
        data: folder.path().join(data),
        origin: Some("test.example/log".into()),
        admin_token_file: Some(folder.path().join(format!("{data}.admin"))),
        config: BrokerConfig::default(),
        now: clock::now(),
    }
}

async fn adopt(broker: &Broker, name: &str) {
    let state = broker.engine.state();
    let admin = state.operator_named("admin").unwrap().id;
    let now = clock::now();
    let mut context = Context {
        actor: by(admin),
        ..system_context("test", now)
    };
    let client = match state.client_named("shop") {
        Some(client) => client.id,
        None => {
            let id = ClientId::from_bits(fresh_bits(now));
            let client = Client {
                id,
                name: "shop".into(),
                owner: "payments".into(),
                contact: String::new(),
                environment: PROD,
                tier: Tier::Low,
                dependents: vec![],
                offboarded_at: None,
                sequence: 0,
            };
            let onboard = Command::OnboardClient(Box::new(client));
            broker
                .engine
                .submit(onboard, context.clone())
                .await
                .unwrap();
            id
        }
    };
    context.idempotency = Some((name.to_owned(), Digest([1; 32])));
    let adopted = credential(fresh_bits(now), name, client, now, BTreeMap::new());
    broker
        .engine
        .submit(Command::Adopt(Box::new(adopted)), context)
        .await
        .unwrap();
}

/// A folder in which a broker has run and stopped: its options, its snapshot, and its state.
async fn lived(folder: &TempDir, data: &str) -> (Options, PathBuf, State) {
    let options = options(folder, data);
    let broker = Broker::open_quiet(&options).await.unwrap();
    for name in ["payments/one", "payments/two", "payments/three"] {
        adopt(&broker, name).await;
    }
    let state = State::clone(&broker.engine.state());
    broker.stop().await;
    let snapshot = options.data.join("snapshot");
    (options, snapshot, state)
}

/// Starts, and tells from which snapshot and with what state; stops without leaving a newer one.
async fn start(options: &Options) -> (Option<u64>, State) {
    let broker = Broker::open_quiet(options)
        .await
        .expect("a start never fails for a snapshot");
    let found = (
        broker.engine.started_from_snapshot(),
        State::clone(&broker.engine.state()),
    );
    broker.stop().await;
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clean_stop_leaves_a_snapshot_and_the_next_start_goes_by_it() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let (options, snapshot, state) = lived(&folder, "data").await;
    assert_eq!(
        fs::metadata(&snapshot).unwrap().permissions().mode() & 0o777,
        0o600
    );
    assert!(!snapshot.with_extension("new").exists());
    assert_eq!(start(&options).await, (Some(state.sequence), state.clone()));

    // An older one of the same log is as good: the tail is folded on top.
    let older = fs::read(&snapshot).unwrap();
    let broker = Broker::open_quiet(&options).await.unwrap();
    adopt(&broker, "payments/four").await;
    let newer = State::clone(&broker.engine.state());
    broker.stop().await;
    fs::write(&snapshot, older).unwrap();
    assert_eq!(start(&options).await, (Some(state.sequence), newer.clone()));

    fs::remove_file(&snapshot).unwrap();
    assert_eq!(start(&options).await, (None, newer));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_snapshot_is_ignored_wherever_it_was_changed() {
    let folder = tempfile::tempdir().unwrap();
    let (options, snapshot, state) = lived(&folder, "data").await;
    let whole = fs::read(&snapshot).unwrap();
    let line = whole.iter().position(|byte| *byte == b'\n').unwrap();
    let length = whole.len();
    for at in [
        0,
        40,
        line - 5,
        line,
        line + 1,
        usize::midpoint(line, length),
        length - 33,
        length - 1,
    ] {
        let mut changed = whole.clone();
        changed[at] ^= 1;
        fs::write(&snapshot, changed).unwrap();
        assert_eq!(
            start(&options).await,
            (None, state.clone()),
            "byte {at} of {length}"
        );
    }
    for cut in [0, 1, line, line + 1, length - 32, length - 1] {
        fs::write(&snapshot, &whole[..cut]).unwrap();
        assert_eq!(
            start(&options).await,
            (None, state.clone()),
            "cut at {cut} of {length}"
        );
    }
    fs::write(&snapshot, &whole).unwrap();
    assert_eq!(
        start(&options).await,
        (Some(state.sequence), state),
        "the whole one is used"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_of_something_else_is_ignored() {
    let folder = tempfile::tempdir().unwrap();
    let (options, snapshot, state) = lived(&folder, "data").await;
    let (_, foreign, _) = lived(&folder, "other").await;
    fs::copy(&foreign, &snapshot).unwrap();
    assert_eq!(
        start(&options).await,
        (None, state.clone()),
        "another broker's"
    );

    fs::remove_file(&snapshot).unwrap();
    fs::create_dir(&snapshot).unwrap();
    assert_eq!(start(&options).await, (None, state.clone()), "a folder");
    fs::remove_dir(&snapshot).unwrap();

    // Under our own key, but not of this log: a wrong root, then a sequence that the log has not reached.
    let seal_key = SealKey::open_or_create(&options.data.join("seal.key")).unwrap();
    let mut lie = state.clone();
    lie.credentials = Default::default();
    let ours = |origin: &str| Snapshots::new(snapshot.clone(), &seal_key, origin);
    ours("test.example/log")
        .write(
            &lie,
            Head {
                size: lie.sequence,
                root: [1; 32],
            },
        )
        .unwrap();
    assert_eq!(
        start(&options).await,
        (None, state.clone()),
        "another history's"
    );
    lie.sequence += 5;
    ours("test.example/log")
        .write(
            &lie,
            Head {
                size: lie.sequence,
                root: [1; 32],
            },
        )
        .unwrap();
    assert_eq!(
        start(&options).await,
        (None, state.clone()),
        "newer than the log"
    );
    ours("else.example/log")
        .write(
            &lie,
            Head {
                size: lie.sequence,
                root: [1; 32],
            },
        )
        .unwrap();
    assert_eq!(start(&options).await, (None, state), "another origin's");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_cannot_write_its_snapshot_stops_cleanly() {
    let folder = tempfile::tempdir().unwrap();
    let options = options(&folder, "data");
    let broker = Broker::open_quiet(&options).await.unwrap();
    adopt(&broker, "payments/one").await;
    let state = State::clone(&broker.engine.state());
    // The place of the file that is written aside is taken by a folder.
    fs::create_dir(options.data.join("snapshot.new")).unwrap();
    broker.stop().await;
    assert!(!options.data.join("snapshot").exists());
    fs::remove_dir(options.data.join("snapshot.new")).unwrap();
    assert_eq!(start(&options).await, (None, state));
}
