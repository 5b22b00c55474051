//! A small company to try the rules on: it decides, records and folds as the broker's writer does, and checks after
//! every command that no rule is broken.

use crate::invariants::Watch;
use chrono::{DateTime, Duration, Utc};
use countersign::{
    broker,
    domain::{
        Actor, Cause, Checked, Client, ClientId, Command, Context, Credential, CredentialId,
        Decision, Destination, Digest, Environment, Evaluation, Event, Facts, Gateway, GatewayId,
        Kind, MintedVersion, Operator, OperatorId, Plan, PolicyStatement, Profile, Proof,
        ProposalId, Quorum, Recorded, Refusal, RequestId, RequestState, Risk, Role, RotationRules,
        Signed, SshKey, State, StepUp, Text, Texts, Tier, Token, TokenId, Version, VersionState,
        decide::{self, decide},
        operator::Authenticator,
        request::Outcome,
        rotation::{Freeze, RotationPolicy, Schedule},
        statement::{
            About, AboutPolicy, Approver, Form, LogHead, PolicyRef, STATEMENT_LIFE, Statement, View,
        },
    },
    secret::digest_of_bytes,
};
use std::collections::{BTreeMap, BTreeSet};

/// The log that is signed about.
const LOG: &str = "broker.example/log";

fn log_head() -> LogHead {
    LogHead {
        origin: LOG.into(),
        size: 1,
        root: String::new(),
    }
}

/// The longest leaf that the log takes.
pub const LEAF_MAX: usize = 65_535;

pub const fn person(number: u128) -> OperatorId {
    OperatorId::from_bits(number)
}

/// Admin everywhere.
pub const ROOT: OperatorId = person(1);
/// On call in production.
pub const OPAL: OperatorId = person(2);
/// Approvers of production, in the group `security`.
pub const ANA: OperatorId = person(3);
pub const BEN: OperatorId = person(4);
/// An approver in another group.
pub const CY: OperatorId = person(5);
/// In the group, but only a viewer.
pub const DAN: OperatorId = person(6);
/// A robot with every role and the group.
pub const ROBO: OperatorId = person(7);
/// A service that asks for the client `checkout`.
pub const SERVICE: OperatorId = person(8);
/// An approver who acts for `checkout`.
pub const BENEFICIARY: OperatorId = person(9);
/// Admin of development only.
pub const ADA: OperatorId = person(10);
/// An approver of development only, in the group.
pub const DEV: OperatorId = person(11);

pub const CHECKOUT: ClientId = ClientId::from_bits(1);
pub const LEDGER: ClientId = ClientId::from_bits(2);
pub const LAB: ClientId = ClientId::from_bits(3);

pub const PROD: Environment = Environment::Production;

/// A table of rotation with short times: production's keys every ten days, with a day of overlap.
pub fn rotation_rules(version: u32) -> RotationRules {
    let schedule = Schedule {
        kinds: Vec::new(),
        environments: vec![PROD],
        tiers: Vec::new(),
        cadence_s: Some(10 * 86_400 / u64::from(version)),
        jitter_percent: 10,
        overlap_s: 86_400,
        unused_s: 7_200,
        fallback_s: 2 * 86_400,
        grace_s: 3_600,
    };
    let mut policy = RotationPolicy {
        batch: 2,
        promote_within_s: 3 * 86_400,
        ..RotationPolicy::default()
    };
    policy.schedules.insert(0, schedule);
    policy.freezes = vec![Freeze {
        name: "weekend".into(),
        environments: vec![PROD],
        from: "fri 16:00".parse().unwrap(),
        until: "mon 06:00".parse().unwrap(),
    }];
    RotationRules {
        policy,
        issuers: vec!["keys".into()],
        version,
        digest: digest_of_bytes(b"policy"),
    }
}

/// Somebody who is signed in.
pub fn by(id: OperatorId) -> Actor {
    let token = TokenId::from_bits(id.bits());
    Actor::Operator {
        id,
        proof: Proof::Token { token },
    }
}

/// A part of the broker.
pub const BROKER: Actor = Actor::System("test");

pub struct World {
    pub state: State,
    pub log: Vec<Vec<u8>>,
    pub now: DateTime<Utc>,
    pub watch: Watch,
    fresh: u128,
}

impl World {
    /// Nobody and nothing.
    pub fn empty() -> Self {
        Self {
            state: State::default(),
            log: Vec::new(),
            now: DateTime::from_timestamp(1_800_000_000, 0).unwrap(),
            watch: Watch::default(),
            fresh: 1_000,
        }
    }

    /// The company described by the constants above.
    pub fn new() -> Self {
        let mut world = Self::empty();
        let admin = operator(ROOT, "root", Environment::ALL, &[Role::Admin], &[]);
        world.given(BROKER, Command::EnrolOperator(Box::new(admin)));
        for (id, name, environment) in [
            (CHECKOUT, "checkout", PROD),
            (LEDGER, "ledger", PROD),
            (LAB, "lab", Environment::Development),
        ] {
            let client = Box::new(client(id, name, environment));
            world.given(by(ROOT), Command::OnboardClient(client));
        }
        let security = &["security"][..];
        let production = [PROD];
        let development = [Environment::Development];
        for someone in [
            operator(OPAL, "opal", &production, &[Role::Operator], &[]),
            operator(ANA, "ana", &production, &[Role::Approver], security),
            operator(BEN, "ben", &production, &[Role::Approver], security),
            operator(CY, "cy", &production, &[Role::Approver], &["payments"]),
            operator(DAN, "dan", &production, &[Role::Viewer], security),
            Operator {
                robot: true,
                ..operator(
                    ROBO,
                    "robo",
                    &production,
                    &[Role::Approver, Role::Operator],
                    security,
                )
            },
            Operator {
                robot: true,
                client: Some(CHECKOUT),
                ..operator(SERVICE, "service", &production, &[Role::Requester], &[])
            },
            Operator {
                client: Some(CHECKOUT),
                ..operator(
                    BENEFICIARY,
                    "benny",
                    &production,
                    &[Role::Approver],
                    security,
                )
            },
            operator(ADA, "ada", &development, &[Role::Admin], &[]),
            operator(DEV, "dev", &development, &[Role::Approver], security),
        ] {
            world.given(by(ROOT), Command::EnrolOperator(Box::new(someone)));
        }
        world
    }

    /// 128 bits that were not given out before.
    pub fn fresh(&mut self) -> u128 {
        self.fresh += 1;
        self.fresh
    }

    pub fn context(&self, actor: Actor) -> Context {
        Context {
            now: self.now,
            actor,
            from: None,
            request_id: "r".into(),
            trace: None,
            idempotency: None,
            if_match: None,
        }
    }

    /// Decides, records and folds; what happened, by name, or why nothing did.
    pub fn try_with(
        &mut self,
        context: &Context,
        command: &Command,
    ) -> Result<Vec<&'static str>, Refusal> {
        let events = decide(&self.state, command, context)?;
        let kinds = events.iter().map(Event::kind).collect();
        for event in events {
            self.record(context, command.name(), event);
        }
        self.watch.check(&self.state);
        Ok(kinds)
    }

    pub fn record(&mut self, context: &Context, command: &str, event: Event) {
        self.watch.before(&self.state, &event, context.now);
        let (key, body) = context.idempotency.clone().unzip();
        let recorded = Recorded {
            v: 1,
            origin: "example.com/log".into(),
            seq: self.state.sequence,
            ts: context.now,
            subject: event.subject().to_string(),
            actor: decide::stamp(&self.state, context),
            request: Cause {
                command: command.to_owned(),
                id: context.request_id.clone(),
                trace: None,
                key,
                body,
            },
            event,
            state: None,
        };
        let leaf = leaf(&recorded);
        self.state.apply(&recorded);
        self.log.push(leaf);
    }

    pub fn attempt(
        &mut self,
        actor: Actor,
        command: Command,
    ) -> Result<Vec<&'static str>, Refusal> {
        let context = self.context(actor);
        self.try_with(&context, &command)
    }

    /// What must succeed for a test to begin.
    pub fn given(&mut self, actor: Actor, command: Command) {
        let name = command.name();
        if let Err(refusal) = self.attempt(actor, command) {
            panic!("given {name}: {refusal}");
        }
    }

    /// What follows, as one line: the events' names, `nothing`, or `refused` with the slug and the rule or detail.
    pub fn when(&mut self, actor: Actor, command: Command) -> String {
        told(self.attempt(actor, command))
    }

    pub fn pass(&mut self, time: Duration) {
        self.now += time;
    }

    /// Whatever is due by now happens.
    pub fn sweep(&mut self) -> String {
        let revocations = (0..Command::SWEEP_LIMIT)
            .map(|_| countersign::domain::RevocationId::from_bits(self.fresh()))
            .collect();
        self.when(BROKER, Command::Sweep { revocations })
    }

    /// A request for `name` by `who`, evaluated as `outcome`.
    pub fn submit(&mut self, who: OperatorId, name: &str, outcome: Outcome) -> RequestId {
        let (id, command) = self.submission(plan(name), evaluation(outcome, 2));
        self.given(by(who), command);
        id
    }

    /// Evaluated by the policy in force, whatever version `evaluation` names.
    pub fn submission(&mut self, plan: Plan, mut evaluation: Evaluation) -> (RequestId, Command) {
        evaluation.policy_version = self.state.policy_version().to_string();
        let id = RequestId::from_bits(self.fresh());
        let command = Command::SubmitRequest {
            id,
            digest: digest(&plan),
            plan,
            reason: "rotation".into(),
            owner: "payments".into(),
            tags: vec!["pci".into()],
            evaluation: Box::new(evaluation),
            facts: Box::new(Facts::ordinary("api_key", "production")),
        };
        (id, command)
    }

    /// A proposal of a fresh text, written against `base`, for `count` people of `security`.
    pub fn proposal(&mut self, base: u32, count: u8) -> Command {
        let fresh = self.fresh();
        let files = BTreeMap::from([("issue.rego".to_owned(), format!("# {fresh}"))]);
        Command::ProposePolicy {
            id: ProposalId::from_bits(fresh),
            digest: digest_of_bytes(&serde_json_canonicalizer::to_vec(&files).unwrap()),
            files,
            base,
            base_digest: digest_of_bytes(&base.to_be_bytes()),
            reason: "tighter".into(),
            step_up: StepUp::None,
            quorum: Quorum {
                count,
                groups: vec!["security".into()],
            },
            approval_ttl_s: 3_600,
        }
    }

    /// The approval of a proposal's text.
    pub fn approve_policy(&mut self, proposal: ProposalId) -> Command {
        Command::ApprovePolicy {
            proposal,
            approval: countersign::domain::ApprovalId::from_bits(self.fresh()),
            digest: self.state.proposals[&proposal].digest,
            reason: "looks right".into(),
            checked: None,
        }
    }

    /// What `who` signs about a proposal.
    pub fn signed_policy(
        &self,
        who: OperatorId,
        proposal: ProposalId,
        decision: Decision,
        reason: &str,
    ) -> Checked<PolicyStatement> {
        let held = &self.state.proposals[&proposal];
        let (about, signed) = self.by_key(who);
        let statement = PolicyStatement {
            form: PolicyStatement::form(decision).into(),
            aud: LOG.into(),
            log: log_head(),
            proposal: AboutPolicy {
                id: proposal,
                version: held.base + 1,
                digest: held.digest,
            },
            base: PolicyRef {
                version: held.base.to_string(),
                digest: held.base_digest.expect("a proposal of today"),
            },
            decision,
            approver: about,
            view: View {
                renderer: "test".into(),
                digest: held.digest,
            },
            nonce: "n".into(),
            iat: self.now,
            exp: self.now + STATEMENT_LIFE,
            reason: reason.into(),
        };
        Checked { statement, signed }
    }

    /// Who signs, and what the broker noted of the signature.
    fn by_key(&self, who: OperatorId) -> (Approver, Signed) {
        let fingerprint = format!("SHA256:{}", who.bits());
        let approver = Approver {
            principal: self.state.operators[&who].name.clone(),
            key: fingerprint.clone(),
        };
        let signed = Signed {
            fingerprint,
            hardware: false,
            certificate: false,
            payload: "{}".into(),
            signature: "signature".into(),
            allowed_signer: "line".into(),
        };
        (approver, signed)
    }

    pub fn approve(&mut self, request: RequestId) -> Command {
        let digest = self.state.requests[&request].digest;
        Command::Approve {
            request,
            approval: countersign::domain::ApprovalId::from_bits(self.fresh()),
            digest,
            reason: "looks right".into(),
            checked: None,
        }
    }

    /// Somebody's key is enrolled, and counts from now on.
    pub fn enrol_key(&mut self, who: OperatorId) -> String {
        let fingerprint = format!("SHA256:{}", who.bits());
        let key = SshKey {
            fingerprint: fingerprint.clone(),
            public_key: format!("ssh-ed25519 {}", who.bits()),
            hardware: false,
            enrolled_by: ROOT,
            enrolled_at: self.now,
            valid_from: None,
            countersigned_by: None,
        };
        let operator = who;
        self.given(by(ROOT), Command::EnrolKey { operator, key });
        fingerprint
    }

    /// What `who` signs with that key about a request as it is now; the signature itself was checked before.
    pub fn signed(
        &self,
        who: OperatorId,
        request: RequestId,
        decision: Decision,
        reason: &str,
    ) -> Checked {
        let held = &self.state.requests[&request];
        let policy = held.evaluation.as_ref().expect("policy has spoken");
        let (approver, signed) = self.by_key(who);
        let statement = Statement {
            form: Statement::form(decision).into(),
            aud: LOG.into(),
            log: log_head(),
            request: About {
                id: request,
                rev: held.revision,
                digest: held.digest,
            },
            plan: held.plan.clone(),
            policy: PolicyRef {
                version: policy.policy_version.clone(),
                digest: policy.policy_digest,
            },
            decision,
            approver,
            view: View {
                renderer: "test".into(),
                digest: held.digest,
            },
            nonce: "n".into(),
            iat: self.now,
            exp: self.now + STATEMENT_LIFE,
            reason: reason.into(),
        };
        Checked { statement, signed }
    }

    /// The approval of `who`, signed.
    pub fn approve_signed(&mut self, who: OperatorId, request: RequestId) -> Command {
        let checked = self.signed(who, request, Decision::Approve, "looks right");
        let Command::Approve {
            request,
            approval,
            digest,
            reason,
            ..
        } = self.approve(request)
        else {
            unreachable!()
        };
        Command::Approve {
            request,
            approval,
            digest,
            reason,
            checked: Some(Box::new(checked)),
        }
    }

    pub fn start(&self, request: RequestId) -> Command {
        Command::StartIssuance {
            request,
            attempt: self.state.requests[&request].attempts + 1,
            locator: BTreeMap::new(),
        }
    }

    pub fn minted(&mut self, request: RequestId, locator: &[(&str, &str)]) -> Command {
        let fresh = self.fresh();
        Command::RecordMinted {
            request,
            attempt: self.state.requests[&request].attempts,
            credential: CredentialId::from_bits(fresh),
            minted: Box::new(MintedVersion {
                digest: Some(digest_of_bytes(&fresh.to_be_bytes())),
                locator: pairs(locator),
                expires_at: None,
                warnings: Vec::new(),
            }),
        }
    }

    /// A request that was approved by policy and made; unclaimed.
    pub fn issued(&mut self, who: OperatorId, name: &str, locator: &[(&str, &str)]) -> RequestId {
        let request = self.submit(who, name, Outcome::Allow);
        let start = self.start(request);
        self.given(BROKER, start);
        let minted = self.minted(request, locator);
        self.given(BROKER, minted);
        request
    }

    /// As [`World::issued`], and claimed.
    pub fn claimed(
        &mut self,
        who: OperatorId,
        name: &str,
        locator: &[(&str, &str)],
    ) -> CredentialId {
        let request = self.issued(who, name, locator);
        self.given(by(who), Command::Claim { request });
        self.state.requests[&request].issued.unwrap().0
    }

    pub fn revoke(&mut self, credential: CredentialId, version: Option<u32>) -> Command {
        Command::Revoke {
            id: countersign::domain::RevocationId::from_bits(self.fresh()),
            credential,
            version,
            reason: "leaked".into(),
        }
    }

    pub fn request_state(&self, id: RequestId) -> RequestState {
        self.state.requests[&id].state
    }

    pub fn version_states(&self, id: CredentialId) -> Vec<VersionState> {
        let versions = &self.state.credentials[&id].versions;
        versions.iter().map(|version| version.state).collect()
    }
}

/// The leaf that the log would keep, having checked that nothing is lost in it and that it fits.
pub fn leaf(recorded: &Recorded) -> Vec<u8> {
    let leaf = serde_json_canonicalizer::to_vec(recorded).unwrap();
    assert!(
        leaf.len() <= LEAF_MAX,
        "{} has {} bytes",
        recorded.event.kind(),
        leaf.len()
    );
    let read = broker::leaf::read(&leaf).unwrap();
    assert_eq!(&read, recorded, "an event must survive its leaf");
    assert_eq!(
        serde_json_canonicalizer::to_vec(&read).unwrap(),
        leaf,
        "and its bytes must be stable"
    );
    leaf
}

pub fn told(outcome: Result<Vec<&'static str>, Refusal>) -> String {
    match outcome {
        Ok(kinds) if kinds.is_empty() => "nothing".into(),
        Ok(kinds) => kinds.join(" "),
        Err(refusal) => {
            let slug = refusal.slug();
            match refusal {
                Refusal::Separation { rule, .. } => format!("refused {slug} {rule}"),
                Refusal::Invalid(fields) => {
                    let fields: Vec<_> = fields.into_iter().map(|field| field.pointer).collect();
                    format!("refused {slug} {}", fields.join(" "))
                }
                other => format!("refused {slug} {other}"),
            }
        }
    }
}

/// One row: what it shows, what was so before, who asks for what, and what then follows. A refusal's end may be left
/// out of the last.
pub type Row = (
    &'static str,
    fn(&mut World) -> (Actor, Command),
    &'static str,
);

pub fn table(rows: &[Row]) {
    for (what, given_and_when, then) in rows {
        let mut world = World::new();
        let (actor, command) = given_and_when(&mut world);
        let before = world.log.len();
        let followed = world.when(actor, command);
        if then.starts_with("refused") {
            assert!(
                followed.starts_with(then),
                "{what}: expected {then}, got {followed}"
            );
            assert_eq!(world.log.len(), before, "{what}: a refusal changes nothing");
        } else {
            assert_eq!(followed, *then, "{what}");
        }
    }
}

pub fn operator(
    id: OperatorId,
    name: &str,
    environments: &[Environment],
    roles: &[Role],
    groups: &[&str],
) -> Operator {
    let roles: BTreeSet<Role> = roles.iter().copied().collect();
    Operator {
        id,
        name: name.into(),
        display_name: name.to_uppercase(),
        robot: false,
        groups: groups.iter().map(|group| (*group).to_owned()).collect(),
        roles: environments
            .iter()
            .map(|&environment| (environment, roles.clone()))
            .collect(),
        client: None,
        authenticators: vec![Authenticator::Token(token(id.bits()))],
        offboarded_at: None,
        sequence: 0,
    }
}

/// A token that works until the year 2286.
pub fn token(number: u128) -> Token {
    Token {
        id: TokenId::from_bits(number),
        digest: digest_of_bytes(format!("token {number}").as_bytes()),
        created_at: DateTime::from_timestamp(1_700_000_000, 0).unwrap(),
        expires_at: DateTime::from_timestamp(9_999_999_999, 0).unwrap(),
        key: None,
        continues: None,
    }
}

pub fn client(id: ClientId, name: &str, environment: Environment) -> Client {
    Client {
        id,
        name: name.into(),
        owner: "payments".into(),
        contact: "#payments".into(),
        environment,
        tier: Tier::High,
        dependents: vec!["cart".into()],
        offboarded_at: None,
        sequence: 0,
    }
}

/// A gateway of production that guards everything, with one token.
pub fn gateway(id: GatewayId, name: &str, profile: Profile, cache_s: u64) -> Gateway {
    Gateway {
        id,
        name: name.into(),
        profile,
        environment: PROD,
        audiences: Vec::new(),
        routes: Vec::new(),
        objective_s: 60,
        cache_s,
        by: String::new(),
        registered_at: DateTime::UNIX_EPOCH,
        tokens: vec![token(id.bits() << 64)],
        removed_at: None,
        sequence: 0,
    }
}

pub fn plan(name: &str) -> Plan {
    Plan {
        credential: name.into(),
        environment: PROD,
        kind: Kind::ApiKey,
        issuer: "keys".into(),
        role: String::new(),
        client: CHECKOUT,
        audience: "orders".into(),
        scopes: vec!["orders:read".into()],
        ttl_s: 86_400,
        destination: None,
    }
}

/// One of a few.
pub fn destination(number: u8) -> Destination {
    Destination {
        name: "vault".into(),
        path: format!("payments/{}", number % 3),
    }
}

pub fn digest(plan: &Plan) -> Digest {
    digest_of_bytes(&serde_json_canonicalizer::to_vec(plan).unwrap())
}

pub fn evaluation(outcome: Outcome, count: u8) -> Evaluation {
    Evaluation {
        outcome,
        quorum: (outcome == Outcome::Needs).then(|| Quorum {
            count,
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
            factors: Vec::new(),
        },
        rules: Vec::new(),
        policy_version: "1".into(),
        policy_digest: digest_of_bytes(b"policy"),
    }
}

pub fn adopted(world: &mut World, name: &str) -> Credential {
    let fresh = world.fresh();
    Credential {
        id: CredentialId::from_bits(fresh),
        name: name.into(),
        environment: PROD,
        kind: Kind::ApiKey,
        issuer: "keys".into(),
        role: Text::default(),
        client: CHECKOUT,
        owner: "payments".into(),
        audience: "orders".into(),
        scopes: ["orders:read"].into(),
        tier: Tier::High,
        tags: Texts::default(),
        created_at: world.now,
        cadence_s: None,
        versions: vec![Version {
            number: 1,
            state: VersionState::Active,
            digest: Some(digest_of_bytes(&fresh.to_be_bytes())),
            locator: BTreeMap::new(),
            request: None,
            created_at: world.now,
            expires_at: Some(world.now + Duration::days(30)),
            retires_at: None,
            delivery: None,
        }],
        quarantined_at: None,
        revoked: None,
        confirmed: None,
        destination: None,
        sequence: 0,
        trail: Vec::new(),
    }
}

pub fn pairs(list: &[(&str, &str)]) -> BTreeMap<String, String> {
    list.iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect()
}
