//! The engine on a real store: one life of an `api_key`, races, repetitions, and what survives a restart.

#![allow(
    clippy::unwrap_used,
    clippy::too_many_lines,
    reason = "a test or benchmark stops where its ground gives way, and a table of cases reads better whole"
)]

use base64::{Engine as _, engine::general_purpose::STANDARD};
use chrono::{DateTime, Utc};
use countersign::{
    broker::{
        engine::{Engine, EngineError, Outcome, fresh_bits},
        evaluate::Asked,
        serve::{Broker, Options, new_operator},
        signing::{check_decision, decision_purpose},
    },
    clock,
    config::BrokerConfig,
    domain::{
        Actor, ApprovalId, Checked, Client, ClientId, Command, Context, Decision, Digest,
        Environment, Kind, Operator, OperatorId, Plan, Proof, Refusal, RequestId, RequestState,
        Role, SshKey, Statement, StepUp, Tier, TokenId,
        statement::{About, Approver, LogHead, PolicyRef, STATEMENT, STATEMENT_LIFE, View},
    },
    secret::mint_token,
    ssh::{OwnKey, Signer},
    wire::{
        SignedStatement, plan_digest,
        signing::{approval_namespace, signed_bytes},
    },
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};
use tempfile::TempDir;

fn options(folder: &TempDir) -> Options {
    Options {
        data: folder.path().join("data"),
        origin: Some("test.example/log".into()),
        now: countersign::clock::now(),
        admin_token_file: Some(folder.path().join("admin")),
        config: BrokerConfig::default(),
    }
}

struct Company {
    broker: Broker,
    folder: TempDir,
    service: OperatorId,
    approvers: [OperatorId; 3],
    pens: Pens,
    client: ClientId,
}

/// The keys that people sign with.
#[derive(Default)]
struct Pens(BTreeMap<OperatorId, Signer>);

impl Pens {
    /// A fresh key, and the command that enrols it.
    fn cut(&mut self, operator: OperatorId, admin: OperatorId) -> Command {
        let own = OwnKey::generate();
        let key = SshKey {
            fingerprint: own.public().fingerprint(),
            public_key: own.public().line(),
            hardware: false,
            enrolled_by: admin,
            enrolled_at: clock::now(),
            valid_from: None,
            countersigned_by: None,
        };
        self.0.insert(operator, Signer::Own(Arc::new(own)));
        Command::EnrolKey { operator, key }
    }

    /// What `by` signs to approve `id` as it is now, checked as the broker checks it.
    async fn sign(&self, engine: &Engine, id: RequestId, by: OperatorId) -> Checked {
        let state = engine.state();
        let (request, operator) = (&state.requests[&id], &state.operators[&by]);
        let policy = request.evaluation.as_ref().unwrap();
        assert_eq!(policy.step_up, StepUp::SshSignature);
        let signer = &self.0[&by];
        let identity = signer.identities().unwrap().remove(0);
        let (now, head) = (clock::now(), engine.log().head());
        let purpose = decision_purpose(operator, id, request.revision);
        let statement = Statement {
            form: STATEMENT.into(),
            aud: engine.origin().into(),
            log: LogHead {
                origin: engine.origin().into(),
                size: head.size,
                root: STANDARD.encode(head.root),
            },
            request: About {
                id,
                rev: request.revision,
                digest: request.digest,
            },
            plan: request.plan.clone(),
            policy: PolicyRef {
                version: policy.policy_version.clone(),
                digest: policy.policy_digest,
            },
            decision: Decision::Approve,
            approver: Approver {
                principal: operator.name.clone(),
                key: identity.key.fingerprint(),
            },
            view: View {
                renderer: "test".into(),
                digest: request.digest,
            },
            nonce: engine
                .signing()
                .nonces
                .issue(purpose.clone(), now, STATEMENT_LIFE),
            iat: now,
            exp: now + STATEMENT_LIFE,
            reason: String::new(),
        };
        let payload = String::from_utf8(signed_bytes(&statement)).unwrap();
        let namespace = approval_namespace(engine.origin());
        let signature = signer.sign(&identity, &namespace, payload.as_bytes());
        let sent = SignedStatement {
            payload,
            signature: signature.unwrap(),
        };
        let digest = request.digest;
        check_decision(
            engine,
            operator,
            |_: &Statement| purpose,
            &sent,
            digest,
            now,
        )
        .await
        .unwrap()
    }
}

impl Company {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let broker = Broker::open(&options(&folder)).await.unwrap();
        let admin = broker.engine.state().operator_named("admin").unwrap().id;
        let now = clock::now();
        let client = ClientId::from_bits(fresh_bits(now));
        let onboard = Command::OnboardClient(Box::new(Client {
            id: client,
            name: "checkout-api".into(),
            owner: "payments".into(),
            contact: String::new(),
            environment: Environment::Production,
            tier: Tier::High,
            dependents: vec![],
            offboarded_at: None,
            sequence: 0,
        }));
        submit(&broker.engine, admin, onboard).await.unwrap();
        let mut service = person("svc", &[Role::Requester], &[]);
        service.robot = true;
        service.client = Some(client);
        let people =
            ["ana", "ben", "eve"].map(|name| person(name, &[Role::Approver], &["security"]));
        let approvers = [people[0].id, people[1].id, people[2].id];
        let service_id = service.id;
        let mut pens = Pens::default();
        for operator in people.into_iter().chain([service]) {
            let (id, decides) = (operator.id, !operator.robot);
            let enrol = Command::EnrolOperator(Box::new(operator));
            submit(&broker.engine, admin, enrol).await.unwrap();
            if decides {
                let enrol = pens.cut(id, admin);
                submit(&broker.engine, admin, enrol).await.unwrap();
            }
        }
        Self {
            broker,
            folder,
            service: service_id,
            approvers,
            pens,
            client,
        }
    }

    fn engine(&self) -> &Engine {
        &self.broker.engine
    }

    async fn ask(&self, scopes: &[&str]) -> RequestId {
        let id = RequestId::from_bits(fresh_bits(clock::now()));
        let command = self.asking(id, scopes);
        submit(self.engine(), self.service, command).await.unwrap();
        id
    }

    fn asking(&self, id: RequestId, scopes: &[&str]) -> Command {
        let plan = Plan {
            credential: format!("payments/{}", id.to_string().replace('_', "-")),
            environment: Environment::Production,
            kind: Kind::ApiKey,
            issuer: "countersign".into(),
            role: String::new(),
            client: self.client,
            audience: "https://payments.example".into(),
            scopes: scopes.iter().map(ToString::to_string).collect(),
            ttl_s: 86_400,
            destination: None,
        };
        let (facts, evaluation) = self.engine().evaluate(
            &Asked {
                plan: &plan,
                requester: self.service,
                reason: "CHG-1",
                tags: &[],
                break_glass: false,
            },
            clock::now(),
        );
        Command::SubmitRequest {
            id,
            digest: plan_digest(&plan),
            plan,
            reason: "CHG-1".into(),
            owner: "payments".into(),
            tags: vec![],
            evaluation: Box::new(evaluation),
            facts: Box::new(facts),
        }
    }

    async fn approve(&self, id: RequestId, by: OperatorId) -> Result<Outcome, EngineError> {
        let checked = self.pens.sign(self.engine(), id, by).await;
        submit(self.engine(), by, approval(id, checked)).await
    }

    async fn until(&self, id: RequestId, wanted: RequestState) {
        let mut after = self.engine().state().sequence;
        loop {
            let state = self.engine().state();
            if state.requests[&id].state == wanted {
                return;
            }
            after = after.max(state.sequence);
            let mut feed = self.engine().subscribe(after).unwrap();
            tokio::time::timeout(std::time::Duration::from_secs(10), feed.next())
                .await
                .unwrap_or_else(|_| panic!("{id} stays {}", state.requests[&id].state));
        }
    }
}

fn approval(request: RequestId, checked: Checked) -> Command {
    Command::Approve {
        request,
        approval: ApprovalId::from_bits(fresh_bits(clock::now())),
        digest: checked.statement.request.digest,
        reason: String::new(),
        checked: Some(Box::new(checked)),
    }
}

fn person(name: &str, roles: &[Role], groups: &[&str]) -> Operator {
    let now = clock::now();
    let roles = BTreeMap::from([(
        Environment::Production,
        roles.iter().copied().collect::<BTreeSet<_>>(),
    )]);
    let groups = groups.iter().map(ToString::to_string).collect();
    new_operator(
        name,
        name,
        now,
        roles,
        groups,
        &mint_token("opr"),
        now + chrono::TimeDelta::days(1),
    )
}

fn context(by: OperatorId, now: DateTime<Utc>) -> Context {
    Context {
        now,
        actor: Actor::Operator {
            id: by,
            proof: Proof::Token {
                token: TokenId::from_bits(1),
            },
        },
        from: None,
        request_id: "test".into(),
        trace: None,
        idempotency: None,
        if_match: None,
    }
}

async fn submit(engine: &Engine, by: OperatorId, command: Command) -> Result<Outcome, EngineError> {
    engine.submit(command, context(by, clock::now())).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_high_risk_key_is_issued_after_two_approvals_and_claimed_once() {
    let company = Company::start().await;
    let id = company.ask(&["orders:write"]).await;
    let by_another = company
        .pens
        .sign(company.engine(), id, company.approvers[0]);
    let own = approval(id, by_another.await);
    let own = submit(company.engine(), company.service, own)
        .await
        .unwrap_err();
    assert!(
        matches!(
            own,
            EngineError::Refused(Refusal::Separation {
                rule: "requester-never-counts",
                ..
            })
        ),
        "{own}"
    );
    company.approve(id, company.approvers[0]).await.unwrap();
    let again = company.approve(id, company.approvers[0]).await.unwrap_err();
    assert!(
        matches!(
            again,
            EngineError::Refused(Refusal::Separation {
                rule: "distinct-people",
                ..
            })
        ),
        "{again}"
    );
    assert_eq!(
        company.engine().state().requests[&id].state,
        RequestState::AwaitingApproval
    );
    company.approve(id, company.approvers[1]).await.unwrap();
    company.until(id, RequestState::Issued).await;
    submit(
        company.engine(),
        company.service,
        Command::Claim { request: id },
    )
    .await
    .unwrap();
    let secret = company.engine().reveal(id).await.unwrap().unwrap();
    assert_eq!(company.engine().reveal(id).await.unwrap(), None);
    let state = company.engine().state();
    let digest = countersign::secret::digest_of(&secret["token"]);
    let (credential, version) = state.credential_of(&digest).unwrap();
    assert!(credential.version(version).unwrap().accepted(clock::now()));
    let second = submit(
        company.engine(),
        company.service,
        Command::Claim { request: id },
    )
    .await
    .unwrap_err();
    assert!(
        matches!(second, EngineError::Refused(Refusal::AlreadyClaimed { .. })),
        "{second}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn of_64_parallel_final_approvals_and_claims_one_each_succeeds() {
    let company = Arc::new(Company::start().await);
    let id = company.ask(&["orders:write"]).await;
    company.approve(id, company.approvers[0]).await.unwrap();
    let mut signed = Vec::new();
    for turn in 0..64 {
        let by = company.approvers[1 + turn % 2];
        signed.push((by, company.pens.sign(company.engine(), id, by).await));
    }
    let racers = signed.into_iter().map(|(by, checked)| {
        let company = Arc::clone(&company);
        tokio::spawn(async move {
            submit(company.engine(), by, approval(id, checked))
                .await
                .is_ok()
        })
    });
    let won = futures_util::future::join_all(racers)
        .await
        .into_iter()
        .filter(|won| *won.as_ref().unwrap())
        .count();
    assert_eq!(won, 1, "final approvals");
    company.until(id, RequestState::Issued).await;
    let racers = (0..64).map(|_| {
        let company = Arc::clone(&company);
        tokio::spawn(async move {
            submit(
                company.engine(),
                company.service,
                Command::Claim { request: id },
            )
            .await
            .is_ok()
        })
    });
    let won = futures_util::future::join_all(racers)
        .await
        .into_iter()
        .filter(|won| *won.as_ref().unwrap())
        .count();
    assert_eq!(won, 1, "claims");
    let reveals = (0..64).map(|_| company.engine().reveal(id));
    let shown = futures_util::future::join_all(reveals)
        .await
        .into_iter()
        .filter(|it| it.as_ref().unwrap().is_some());
    assert_eq!(shown.count(), 1, "secrets");
    let state = company.engine().state();
    assert_eq!(state.credentials.len(), 1);
    assert_eq!(state.requests[&id].attempts, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_idempotency_key_changes_nothing_twice() {
    let company = Company::start().await;
    let id = RequestId::from_bits(fresh_bits(clock::now()));
    let command = company.asking(id, &["orders:write"]);
    let mut once = context(company.service, clock::now());
    once.idempotency = Some(("key-1".into(), Digest([1; 32])));
    let first = company
        .engine()
        .submit(command.clone(), once.clone())
        .await
        .unwrap();
    let repeated = company
        .engine()
        .submit(command.clone(), once.clone())
        .await
        .unwrap();
    assert!(!first.replayed && repeated.replayed);
    assert_eq!(
        Outcome {
            replayed: false,
            ..repeated
        },
        first
    );
    once.idempotency = Some(("key-1".into(), Digest([2; 32])));
    let reused = company.engine().submit(command, once).await.unwrap_err();
    assert_eq!(reused, EngineError::Refused(Refusal::KeyReused));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_folds_the_same_state_and_carries_on() {
    let company = Company::start().await;
    let id = company.ask(&["orders:write"]).await;
    company.approve(id, company.approvers[0]).await.unwrap();
    let before = company.engine().state();
    let Company {
        broker,
        folder,
        approvers,
        pens,
        ..
    } = company;
    broker.stop().await;
    let broker = Broker::open(&options(&folder)).await.unwrap();
    let after = broker.engine.state();
    assert_eq!(after.sequence, before.sequence);
    assert_eq!(after.requests, before.requests);
    assert_eq!(after.operators, before.operators);
    let Err(second) = Broker::open(&options(&folder)).await.map(|_| ()) else {
        panic!("two brokers in one folder")
    };
    assert!(
        second.to_string().contains("another broker is using"),
        "{second}"
    );
    let checked = pens.sign(&broker.engine, id, approvers[1]).await;
    submit(&broker.engine, approvers[1], approval(id, checked))
        .await
        .unwrap();
    broker.stop().await;
}
