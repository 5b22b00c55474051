//! Random histories: anything is asked for in any order, and after every step the rules hold.

use crate::{
    invariants::*,
    steps::{Step, What, step},
    world::*,
};
use chrono::{DateTime, Duration, Utc};
use countersign::broker::leaf;
use countersign::domain::{
    Actor, Command, Context, Digest, Environment, GatewayId, OperatorId, Profile, Role,
    event::Subject, request::Outcome, state::IDEMPOTENCY_WINDOW,
};
use countersign::secret::digest_of_bytes;
use proptest::prelude::*;
use std::collections::{BTreeMap, HashMap};

/// What an idempotency key must be remembered by.
#[derive(Debug, Clone)]
struct Remembered {
    since: DateTime<Utc>,
    body: Digest,
    subject: Subject,
    sequence: u64,
}

pub struct History {
    pub world: World,
    remembered: HashMap<(OperatorId, String), Remembered>,
    seen: u64,
    asked: usize,
    done: usize,
}

impl History {
    fn new() -> Self {
        let mut world = World::new();
        // Most people have a key from the start, as in a company that works with them.
        for who in [OPAL, ANA, BEN] {
            world.enrol_key(who);
        }
        world.pass(Duration::seconds(1));
        // A second admin, so that the last one is not the only one for long.
        let second = operator(person(20), "second", Environment::ALL, &[Role::Admin], &[]);
        world.given(by(ROOT), Command::EnrolOperator(Box::new(second)));
        for (number, profile, cache_s) in [
            (1, Profile::Nginx, 0),
            (2, Profile::Envoy, 5),
            (3, Profile::Receiver, 0),
        ] {
            let id = GatewayId::from_bits(number);
            let new = gateway(id, &format!("gateway-{number}"), profile, cache_s);
            world.given(by(ROOT), Command::RegisterGateway(Box::new(new)));
        }
        let rules = Box::new(rotation_rules(1));
        world.given(BROKER, Command::SetRotationRules(rules));
        Self {
            world,
            remembered: HashMap::new(),
            seen: 0,
            asked: 0,
            done: 0,
        }
    }

    fn take(&mut self, step: &Step) {
        if step.what == What::Pass {
            // From a second to two hours; now and then a day and more.
            let seconds = if step.how < 16 {
                100_000 * (1 + i64::from(step.which % 8))
            } else {
                1 << (u32::from(step.how) % 14)
            };
            self.world.pass(Duration::seconds(seconds));
            return;
        }
        let Some((actor, command)) = self.command(step) else {
            return;
        };
        let mut context = self.world.context(actor);
        if step.stale {
            context.if_match = Some(self.seen);
        }
        if let Some(key) = step.key {
            let body = digest_of_bytes(&[key, step.how % 3]);
            context.idempotency = Some((format!("key-{key}"), body));
        }
        self.seen = self.world.state.sequence;
        if self.is_repetition(&context) {
            return;
        }
        self.asked += 1;
        let sequence = self.world.state.sequence;
        let outcome = self.world.try_with(&context, &command);
        let changed = self.world.state.sequence > sequence;
        assert_eq!(
            changed,
            outcome.as_ref().is_ok_and(|kinds| !kinds.is_empty()),
            "a refusal changes nothing"
        );
        self.done += usize::from(changed);
        self.remember(&context, sequence);
    }

    /// What the writer asks before it decides: a remembered key is answered, never carried out again.
    fn is_repetition(&self, context: &Context) -> bool {
        let (Actor::Operator { id, .. }, Some((key, _))) = (&context.actor, &context.idempotency)
        else {
            return false;
        };
        self.world.state.answered(*id, key).is_some()
    }

    fn remember(&mut self, context: &Context, before: u64) {
        let state = &self.world.state;
        self.remembered
            .retain(|_, held| held.since + IDEMPOTENCY_WINDOW >= state.time);
        if let (Actor::Operator { id, .. }, Some((key, body)), true) = (
            &context.actor,
            &context.idempotency,
            state.sequence > before,
        ) {
            let first: countersign::domain::Recorded =
                leaf::read(&self.world.log[before as usize]).unwrap();
            let held = Remembered {
                since: context.now,
                body: *body,
                subject: first.event.subject(),
                sequence: state.sequence,
            };
            let answered = state.answered(*id, key).expect("remembered");
            assert_eq!(
                answered.state,
                state.word(held.subject),
                "the answer is what it came to then"
            );
            self.remembered.insert((*id, key.clone()), held);
        }
        for id in state.operators.keys() {
            for key in 0..4 {
                let key = format!("key-{key}");
                let answered = state
                    .answered(*id, &key)
                    .map(|held| (held.body, held.subject, held.sequence));
                let expected = self
                    .remembered
                    .get(&(*id, key))
                    .map(|held| (held.body, held.subject, held.sequence));
                assert_eq!(answered, expected, "what is remembered of a key");
            }
        }
    }

    /// The log alone gives the same state, and always has an admin who can sign in.
    fn end(&self) {
        let state = &self.world.state;
        let folded = fold(&self.world.log);
        assert_eq!(dump(&folded), dump(state), "the log gives the same state");
        indices(&folded);
        // A part of the log, and then the rest.
        let (head, tail) = self.world.log.split_at(self.world.log.len() / 2);
        let mut resumed = fold(head).clone();
        for leaf in tail {
            resumed.apply(&leaf::read(leaf).unwrap());
        }
        assert_eq!(dump(&resumed), dump(state));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn no_history_breaks_a_rule(steps in prop::collection::vec(step(), 1..160)) {
        let mut history = History::new();
        for step in &steps {
            history.take(step);
        }
        history.end();
    }
}

#[test]
fn a_key_is_remembered_for_a_day() {
    let mut world = World::new();
    let call = digest_of_bytes(b"POST /v1/requests");
    let (request, command) = world.submission(plan("payments/api"), evaluation(Outcome::Allow, 1));
    let context = Context {
        idempotency: Some(("k".into(), call)),
        ..world.context(by(OPAL))
    };
    world.try_with(&context, &command).unwrap();
    let answered = world.state.answered(OPAL, "k").unwrap().clone();
    assert_eq!(
        (answered.body, answered.subject),
        (call, Subject::Request(request))
    );
    assert_eq!(
        (answered.sequence, answered.state.as_str()),
        (world.state.sequence, "approved")
    );
    assert_eq!(
        world.state.answered(ANA, "k"),
        None,
        "a key is its caller's own"
    );
    // What comes of the request later changes nothing about the answer.
    world.pass(IDEMPOTENCY_WINDOW);
    world.given(
        by(OPAL),
        Command::Withdraw {
            request,
            reason: String::new(),
        },
    );
    assert_eq!(world.state.answered(OPAL, "k"), Some(&answered));
    world.pass(Duration::milliseconds(1));
    world.submit(OPAL, "payments/api", Outcome::Allow);
    assert_eq!(
        world.state.answered(OPAL, "k"),
        None,
        "and is forgotten after its day"
    );
}

#[test]
fn what_refers_to_nothing_changes_nothing() {
    let mut full = World::new();
    let credential = full.claimed(OPAL, "payments/api", &[("lease", "1")]);
    full.submit(OPAL, "payments/db", Outcome::Needs);
    let revoke = full.revoke(credential, None);
    full.given(by(OPAL), revoke);
    // The same events, in a log where none of their objects ever came to be, each alone.
    for leaf in &full.log {
        let mut recorded: countersign::domain::Recorded = leaf::read(leaf).unwrap();
        if matches!(
            recorded.event.kind(),
            "client.onboarded" | "operator.enrolled" | "request.submitted" | "gateway.registered"
        ) {
            continue;
        }
        let mut state = countersign::domain::State::default();
        recorded.seq = 0;
        state.apply(&recorded);
        assert_eq!(state.sequence, 1);
        let held = state.requests.len()
            + state.clients.len()
            + state.operators.len()
            + state.awaiting.len()
            + state.to_deliver.len();
        assert_eq!(held + state.to_issue.len(), 0, "{}", recorded.event.kind());
    }
}

/// The generator is worth its time only if it gets somewhere: over many histories a good share of the commands change
/// something, and every kind of event occurs.
#[test]
fn histories_reach_every_event() {
    use proptest::{strategy::ValueTree, test_runner::TestRunner};
    let mut runner = TestRunner::deterministic();
    let strategy = prop::collection::vec(step(), 200);
    let (mut asked, mut done) = (0, 0);
    let mut kinds = BTreeMap::<String, usize>::new();
    for _ in 0..180 {
        let mut history = History::new();
        for step in &strategy.new_tree(&mut runner).unwrap().current() {
            history.take(step);
        }
        asked += history.asked;
        done += history.done;
        for leaf in &history.world.log {
            let event: serde_json::Value = serde_json::from_slice(leaf).unwrap();
            *kinds
                .entry(event["type"].as_str().unwrap().to_owned())
                .or_default() += 1;
        }
    }
    println!("{done} of {asked} commands changed something: {kinds:?}");
    assert!(
        done * 2 > asked,
        "only {done} of {asked} commands changed something"
    );
    let missing: Vec<_> = EVERY_KIND
        .iter()
        .filter(|kind| !kinds.contains_key(**kind))
        .collect();
    assert!(missing.is_empty(), "never reached: {missing:?}");
}

const EVERY_KIND: [&str; 80] = [
    "client.onboarded",
    "client.offboarded",
    "client.owner_changed",
    "operator.enrolled",
    "operator.token_issued",
    "operator.token_revoked",
    "operator.granted",
    "approval.voided",
    "policy.approval_given",
    "policy.approval_voided",
    "policy.in_force",
    "operator.offboarded",
    "operator.key_enrolled",
    "operator.key_countersigned",
    "operator.key_removed",
    "request.narrowed",
    "request.held",
    "request.resumed",
    "request.note_added",
    "request.glass_broken",
    "review.closed",
    "review.failed",
    "request.submitted",
    "request.identified",
    "request.evaluated",
    "request.awaiting_approval",
    "approval.given",
    "request.approved",
    "request.denied",
    "request.expired",
    "request.withdrawn",
    "issuance.started",
    "issuance.failed",
    "request.retried",
    "version.minted",
    "request.claimed",
    "delivery.started",
    "delivery.failed",
    "request.delivered",
    "request.lapsed",
    "credential.adopted",
    "version.promoted",
    "version.retiring",
    "version.retired",
    "version.expired",
    "version.discarded",
    "rotation.rules_set",
    "rotation.started",
    "rotation.minting",
    "rotation.attempt_failed",
    "rotation.minted",
    "rotation.checking",
    "rotation.checked",
    "rotation.handed_over",
    "rotation.promoted",
    "rotation.extended",
    "rotation.going_back",
    "rotation.put_back",
    "rotation.rolled_back",
    "rotation.failed",
    "rotation.completed",
    "credential.owner_changed",
    "credential.destination_changed",
    "credential.confirmed",
    "credential.quarantined",
    "credential.released",
    "revocation.effective",
    "revocation.enforced",
    "revocation.failed",
    "revocation.applied",
    "revocation.proven",
    "gateway.registered",
    "gateway.token_issued",
    "gateway.token_revoked",
    "gateway.removed",
    "token_key.published",
    "token_key.in_use",
    "token_key.withdrawn",
    "usage.rolled_up",
    "reconciliation.removed",
];
