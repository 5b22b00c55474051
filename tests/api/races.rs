//! Sixty-four final signatures at once, and another policy that comes in force among them: the secret is made once or
//! not at all, and the log says which policy decided. With real signatures, over HTTP and in the engine itself.

use crate::{
    harness::{Answer, Api, Person},
    policies::propose,
};
use countersign::{
    broker::{
        engine::{Engine, EngineError, fresh_bits},
        signing::{check_decision, decision_purpose, policy_purpose},
    },
    clock,
    domain::{
        Actor, ApprovalId, Command, Context, Decision, Event, OperatorId, PolicyStatement, Proof,
        ProposalId, Refusal, RequestId, RequestState, Statement, TokenId,
    },
    wire::SignedStatement,
};
use futures_util::future::join_all;
use serde_json::{Value, json};
use std::{sync::Arc, time::Duration};
use tokio::sync::Barrier;

const AT_ONCE: usize = 64;

struct Scene {
    api: Api,
    client: String,
    service: String,
    /// Who can be the second of two, and first of all the one who is the first.
    approvers: Vec<Person>,
    proposer: String,
}

/// How the final signatures and the policy's last approval are let go.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Start {
    PolicyFirst,
    Together,
    SignaturesFirst,
}

impl Scene {
    async fn set() -> Self {
        let api = Api::start().await;
        let client = api.client("orders-api", "production").await;
        let robot = json!({"robot": true, "client": client});
        let (_, service) = api.enrol("svc", &["requester"], robot).await;
        let (_, proposer) = api.enrol("opal", &["operator"], json!({})).await;
        let mut approvers = Vec::new();
        for number in 0..=AT_ONCE {
            let security = json!({"groups": ["security"]});
            let name = format!("approver-{number}");
            approvers.push(api.person(&name, &["approver"], security).await);
        }
        Self {
            api,
            client,
            service,
            approvers,
            proposer,
        }
    }

    fn engine(&self) -> &Engine {
        &self.api.broker.engine
    }

    /// A request that one has signed, and what each of the others would send as the last.
    async fn one_short(&self, name: &str) -> (String, Vec<Value>) {
        let asking = Api::asking(name, &self.client, "production", &["orders:write"]);
        let asked = self.api.post(&self.service, "/v1/requests", asking).await;
        let request = asked.is(201).subject();
        let sign = async |person: &Person| {
            let said = self.api.said(person, &request, "fine").await;
            self.api.approval(person, &said)
        };
        let path = format!("/v1/requests/{request}/approvals");
        let (first, others) = self.approvers.split_first().expect("many");
        let body = sign(first).await;
        self.api.post(&first.token, &path, body).await.is(200);
        let mut bodies = Vec::new();
        for person in others {
            bodies.push(sign(person).await);
        }
        (request, bodies)
    }

    /// The next policy, one approval short.
    async fn proposed(&self, number: u32) -> String {
        let id = propose(&self.api, &self.proposer, number).await;
        let path = format!("/v1/policies/proposals/{id}/approvals");
        let first = &self.approvers[0];
        let body = self.decides(first, &id).await;
        self.api.post(&first.token, &path, body).await.is(200);
        id
    }

    /// What somebody sends who approves a proposed policy.
    async fn decides(&self, person: &Person, proposal: &str) -> Value {
        let api = &self.api;
        let said = api
            .says_policy(person, proposal, Decision::Approve, "fine")
            .await;
        api.policy_decision(person, &said)
    }

    /// The events of one request, each with the policy that was in force there.
    async fn trail(&self, request: &str) -> Vec<(u32, Event)> {
        let (mut in_force, mut trail) = (1, Vec::new());
        let events = self.engine().events(1, 20_000).await.expect("the log");
        for recorded in events {
            if let Event::PolicyInForce { version, .. } = recorded.event {
                in_force = version;
            }
            if recorded.event.subject().to_string() == request || minted(&recorded.event, request) {
                trail.push((in_force, recorded.event));
            }
        }
        trail
    }

    /// Everything that the log must say about a request, whoever won. Whether it was made.
    async fn made(&self, request: &str) -> bool {
        let (mut spoke, mut counted, mut made) = (String::new(), 0, 0);
        for (in_force, event) in self.trail(request).await {
            match event {
                Event::RequestEvaluated { evaluation, .. } => {
                    assert_eq!(evaluation.policy_version, in_force.to_string());
                    spoke.clone_from(&evaluation.policy_version);
                }
                Event::ApprovalGiven { approval, .. } => {
                    let Proof::SshSignature(signed) = &approval.proof else {
                        panic!("an approval that nobody signed");
                    };
                    let said: Value = serde_json::from_str(&signed.payload).expect("JSON");
                    assert_eq!(said["policy"]["version"], json!(spoke), "what was signed");
                    assert_eq!(spoke, in_force.to_string(), "what decided");
                    counted += 1;
                }
                Event::ApprovalVoided { .. } => counted -= 1,
                Event::RequestApproved { .. } => assert_eq!(counted, 2),
                Event::IssuanceStarted { .. } => {
                    assert_eq!((counted, &spoke), (2, &in_force.to_string()));
                }
                Event::VersionMinted { .. } => made += 1,
                _ => {}
            }
        }
        assert!(made <= 1, "made {made} times");
        made == 1
    }

    /// Waits until the policy in force has spoken about the request, or the secret is made.
    async fn settles(&self, request: &str) -> RequestState {
        let id: RequestId = request.parse().expect("an identifier");
        tokio::time::timeout(Duration::from_secs(20), async {
            loop {
                let state = self.engine().state();
                let held = &state.requests[&id];
                let evaluation = held.evaluation.as_ref().expect("policy has spoken");
                let spoken = evaluation.policy_version == state.policy_version().to_string();
                let rests = match held.state {
                    RequestState::Issued => true,
                    RequestState::AwaitingApproval => spoken,
                    _ => false,
                };
                if rests {
                    return held.state;
                }
                let feed = self.engine().subscribe(state.sequence);
                feed.expect("a feed").next().await;
            }
        })
        .await
        .expect("it settles")
    }

    /// One round, with `race` letting both go: what was refused says why, and the log agrees with itself.
    async fn round(
        &self,
        number: u32,
        start: Start,
        race: impl AsyncFn(&Scene, &str, Vec<Value>, Option<(&str, Value)>) -> Vec<Result<(), String>>,
    ) -> bool {
        let (request, bodies) = self.one_short(&format!("orders/race-{number}")).await;
        let proposal = self.proposed(number).await;
        let path = format!("/v1/policies/proposals/{proposal}/approvals");
        let decision = self.decides(&self.approvers[1], &proposal).await;
        let last = &self.approvers[1].token;
        if start == Start::PolicyFirst {
            let decided = self.api.post(last, &path, decision.clone()).await;
            assert_eq!(decided.is(200).json()["state"], "in_force");
        }
        let racing = (start == Start::Together).then_some((proposal.as_str(), decision.clone()));
        let answers = race(self, &request, bodies, racing).await;
        if start == Start::SignaturesFirst {
            self.api.until(&request, RequestState::Issued).await;
            self.api.post(last, &path, decision).await.is(200);
        }
        let done = answers.iter().filter(|answer| answer.is_ok()).count();
        assert!(done <= 1, "{done} of {AT_ONCE} were the last");
        for refused in answers.iter().filter_map(|answer| answer.as_ref().err()) {
            let known = [
                "nothing to decide",
                "is about another revision of the request",
                "another policy came in force",
                "is approved",
                "is issuing",
                "is issued",
            ];
            assert!(known.iter().any(|why| refused.contains(why)), "{refused}");
        }
        let state = self.settles(&request).await;
        let made = self.made(&request).await;
        assert_eq!(made, state == RequestState::Issued);
        if !made {
            // Nobody is stuck: what the policy in force asks for is signed anew, and then it is made, once.
            let path = format!("/v1/requests/{request}/approvals");
            for person in &self.approvers[..2] {
                let said = self.api.said(person, &request, "again").await;
                let body = self.api.approval(person, &said);
                self.api.post(&person.token, &path, body).await.is(200);
            }
            self.api.until(&request, RequestState::Issued).await;
            assert!(self.made(&request).await);
        }
        made
    }

    /// Rounds of each kind. What must come of those that are no race is known.
    async fn rounds(
        &self,
        race: impl AsyncFn(&Scene, &str, Vec<Value>, Option<(&str, Value)>) -> Vec<Result<(), String>>,
    ) {
        assert!(!self.round(1, Start::PolicyFirst, &race).await);
        assert!(self.round(2, Start::SignaturesFirst, &race).await);
        for number in 3..6 {
            // Either may win.
            self.round(number, Start::Together, &race).await;
        }
    }
}

fn minted(event: &Event, wanted: &str) -> bool {
    matches!(event, Event::VersionMinted { request, .. } if request.to_string() == wanted)
}

/// Sends what was signed and the policy's last approval at the same moment, as HTTP calls.
async fn over_http(
    scene: &Scene,
    request: &str,
    bodies: Vec<Value>,
    proposal: Option<(&str, Value)>,
) -> Vec<Result<(), String>> {
    let path = format!("/v1/requests/{request}/approvals");
    let signatures = bodies.iter().zip(&scene.approvers[1..]);
    let signatures = signatures.map(|(body, person)| scene.api.posting(&person.token, &path, body));
    let sent: Vec<_> = signatures.map(Answer::of).collect();
    let policy = async {
        let Some((proposal, body)) = proposal else {
            return;
        };
        let path = format!("/v1/policies/proposals/{proposal}/approvals");
        let last = &scene.approvers[1].token;
        let decided = scene.api.post(last, &path, body).await.is(200);
        assert_eq!(decided.json()["state"], "in_force");
    };
    let (answers, ()) = tokio::join!(join_all(sent), policy);
    let told = |answer: Answer| match answer.status.as_u16() {
        200 => Ok(()),
        409 => Err(answer.json()["detail"].to_string()),
        _ => panic!("{answer:?}"),
    };
    answers.into_iter().map(told).collect()
}

/// The same as commands, each checked as the broker checks what comes and then let go at the same moment.
async fn in_process(
    scene: &Scene,
    request: &str,
    bodies: Vec<Value>,
    proposal: Option<(&str, Value)>,
) -> Vec<Result<(), String>> {
    let engine = scene.engine();
    let id: RequestId = request.parse().expect("an identifier");
    let mut commands = Vec::new();
    for (body, person) in bodies.into_iter().zip(&scene.approvers[1..]) {
        let sent: SignedStatement = serde_json::from_value(body["signed"].clone()).expect("signed");
        let by: OperatorId = person.id.parse().expect("an identifier");
        let state = engine.state();
        let (operator, held) = (&state.operators[&by], &state.requests[&id]);
        let (call, now) = (countersign::secret::digest_of(&person.name), clock::now());
        let purpose = |said: &Statement| decision_purpose(operator, id, said.request.rev);
        let checked = check_decision(engine, operator, purpose, &sent, call, now).await;
        let approve = Command::Approve {
            request: id,
            approval: ApprovalId::from_bits(fresh_bits(now)),
            digest: held.digest,
            reason: "fine".into(),
            checked: Some(Box::new(checked.expect("a good signature"))),
        };
        commands.push((by, approve));
    }
    if let Some((proposal, body)) = proposal {
        let sent: SignedStatement = serde_json::from_value(body["signed"].clone()).expect("signed");
        let last: OperatorId = scene.approvers[1].id.parse().expect("an identifier");
        let proposal: ProposalId = proposal.parse().expect("an identifier");
        let state = engine.state();
        let (operator, held) = (&state.operators[&last], &state.proposals[&proposal]);
        let (call, now) = (countersign::secret::digest_of("the last"), clock::now());
        let purpose = |_: &PolicyStatement| policy_purpose(operator, held);
        let checked = check_decision(engine, operator, purpose, &sent, call, now).await;
        let approve = Command::ApprovePolicy {
            proposal,
            approval: ApprovalId::from_bits(fresh_bits(now)),
            digest: held.digest,
            reason: "fine".into(),
            checked: Some(Box::new(checked.expect("a good signature"))),
        };
        commands.insert(AT_ONCE / 2, (last, approve));
    }
    let barrier = Arc::new(Barrier::new(commands.len()));
    let racers = commands.into_iter().map(|(by, command)| {
        let (engine, barrier) = (engine.clone(), Arc::clone(&barrier));
        tokio::spawn(async move {
            let policy = matches!(command, Command::ApprovePolicy { .. });
            barrier.wait().await;
            (policy, engine.submit(command, context(by)).await)
        })
    });
    let mut answers = Vec::new();
    for racer in join_all(racers).await {
        match racer.expect("it ran") {
            (true, decided) => assert_eq!(decided.expect("it counts").state, "in_force"),
            (false, Ok(_)) => answers.push(Ok(())),
            (false, Err(EngineError::Refused(Refusal::Conflict { detail }))) => {
                answers.push(Err(detail));
            }
            (false, Err(error)) => panic!("{error}"),
        }
    }
    answers
}

fn context(by: OperatorId) -> Context {
    Context {
        now: clock::now(),
        actor: Actor::Operator {
            id: by,
            proof: Proof::Token {
                token: TokenId::from_bits(1),
            },
        },
        from: None,
        request_id: "race".into(),
        trace: None,
        idempotency: None,
        if_match: None,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn final_signatures_race_a_policy_over_http() {
    let scene = Scene::set().await;
    scene.rounds(over_http).await;
    scene.api.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn final_signatures_race_a_policy_in_the_engine() {
    let scene = Scene::set().await;
    scene.rounds(in_process).await;
    scene.api.stop().await;
}
