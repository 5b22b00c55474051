//! Random histories: people, services and the broker's own parts ask for anything in any order, and after every step
//! the rules hold. What is drawn are small numbers that pick from what there is at that moment, so that most commands
//! meet something, names collide, and a failing history shrinks to a short one.

use crate::{invariants::*, world::*};
use chrono::{DateTime, Duration, Utc};
use countersign::domain::{
    Actor, ApprovalId, Client, ClientId, Command, Context, CredentialId, Digest, Environment,
    MintedVersion, Operator, OperatorId, RequestId, RequestState, RevocationId, Role, TokenId,
    decide::may_decide,
    event::{Subject, UsageEntry},
    request::Outcome,
    state::IDEMPOTENCY_WINDOW,
};
use countersign::secret::digest_of_bytes;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// One thing that somebody does.
#[derive(Debug, Clone)]
struct Step {
    what: What,
    /// Picks who does it. Most often somebody who may.
    who: u8,
    anyone: bool,
    /// Picks the object.
    which: u8,
    /// Further choices.
    how: u8,
    /// Look at the object as it was before: `If-Match` of a step ago.
    stale: bool,
    /// One of a few idempotency keys.
    key: Option<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    Submit,
    Approve,
    Deny,
    Withdraw,
    Retry,
    Claim,
    Start,
    Minted,
    MintFailed,
    Adopt,
    Quarantine,
    Release,
    Revoke,
    ChangeOwner,
    Enforced,
    EnforcementFailed,
    Sweep,
    Usage,
    Leftover,
    Pass,
    Grant,
    Enrol,
    CloseAccount,
    IssueToken,
    RevokeToken,
    Onboard,
    Offboard,
}

fn step() -> impl Strategy<Value = Step> {
    use What::*;
    let what = prop_oneof![
        14 => Just(Submit),
        16 => Just(Approve),
        2 => Just(Deny),
        2 => Just(Withdraw),
        3 => Just(Retry),
        14 => Just(Claim),
        14 => Just(Start),
        14 => Just(Minted),
        4 => Just(MintFailed),
        3 => Just(Adopt),
        2 => Just(Quarantine),
        2 => Just(Release),
        3 => Just(Revoke),
        1 => Just(ChangeOwner),
        3 => Just(Enforced),
        2 => Just(EnforcementFailed),
        6 => Just(Sweep),
        1 => Just(Usage),
        1 => Just(Leftover),
        8 => Just(Pass),
        5 => Just(Grant),
        2 => Just(Enrol),
        1 => Just(CloseAccount),
        2 => Just(IssueToken),
        2 => Just(RevokeToken),
        1 => Just(Onboard),
        1 => Just(Offboard),
    ];
    let keys = proptest::option::weighted(0.2, 0..4_u8);
    (what, any::<u8>(), prop::bool::weighted(0.15), any::<u8>(), any::<u8>(), prop::bool::weighted(0.05), keys).prop_map(
        |(what, who, anyone, which, how, stale, key)| Step { what, who, anyone, which, how, stale, key },
    )
}

/// The `number`th of what there is, going round.
fn pick<T>(list: impl IntoIterator<Item = T>, number: u8) -> Option<T> {
    let mut list: Vec<T> = list.into_iter().collect();
    if list.is_empty() {
        return None;
    }
    let place = usize::from(number) % list.len();
    Some(list.swap_remove(place))
}

/// What an idempotency key must be remembered by.
#[derive(Debug, Clone)]
struct Remembered {
    since: DateTime<Utc>,
    body: Digest,
    subject: Subject,
    sequence: u64,
}

struct History {
    world: World,
    remembered: HashMap<(OperatorId, String), Remembered>,
    seen: u64,
    asked: usize,
    done: usize,
}

impl History {
    fn new() -> Self {
        let mut world = World::new();
        // A second admin, so that the last one is not the only one for long.
        let second = operator(person(20), "second", Environment::ALL, &[Role::Admin], &[]);
        world.given(by(ROOT), Command::EnrolOperator(Box::new(second)));
        Self { world, remembered: HashMap::new(), seen: 0, asked: 0, done: 0 }
    }

    fn take(&mut self, step: &Step) {
        if step.what == What::Pass {
            // From a second to two hours; now and then a day and more.
            let seconds = if step.how < 16 { 100_000 } else { 1 << (u32::from(step.how) % 14) };
            self.world.pass(Duration::seconds(seconds));
            return;
        }
        let Some((actor, command)) = self.command(step) else { return };
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
        assert_eq!(changed, outcome.as_ref().is_ok_and(|kinds| !kinds.is_empty()), "a refusal changes nothing");
        self.done += usize::from(changed);
        self.remember(&context, sequence);
    }

    /// What the writer asks before it decides: a remembered key is answered, never carried out again.
    fn is_repetition(&self, context: &Context) -> bool {
        let (Actor::Operator { id, .. }, Some((key, _))) = (&context.actor, &context.idempotency) else {
            return false;
        };
        self.world.state.answered(*id, key).is_some()
    }

    fn remember(&mut self, context: &Context, before: u64) {
        let state = &self.world.state;
        self.remembered.retain(|_, held| held.since + IDEMPOTENCY_WINDOW >= state.time);
        if let (Actor::Operator { id, .. }, Some((key, body)), true) =
            (&context.actor, &context.idempotency, state.sequence > before)
        {
            let first: countersign::domain::Recorded =
                serde_json::from_slice(&self.world.log[before as usize]).unwrap();
            let held = Remembered {
                since: context.now,
                body: *body,
                subject: first.event.subject(),
                sequence: state.sequence,
            };
            let answered = state.answered(*id, key).expect("remembered");
            assert_eq!(answered.state, state.word(held.subject), "the answer is what it came to then");
            self.remembered.insert((*id, key.clone()), held);
        }
        for id in state.operators.keys() {
            for key in 0..4 {
                let key = format!("key-{key}");
                let answered = state.answered(*id, &key).map(|held| (held.body, held.subject, held.sequence));
                let expected = self.remembered.get(&(*id, key)).map(|held| (held.body, held.subject, held.sequence));
                assert_eq!(answered, expected, "what is remembered of a key");
            }
        }
    }

    /// Most often one of whom `may` holds.
    fn someone(&self, step: &Step, may: impl Fn(&Operator) -> bool) -> Option<Actor> {
        let all = self.world.state.operators.values();
        if step.anyone && step.who % 7 == 0 {
            return Some(BROKER);
        }
        let found = if step.anyone { pick(all, step.who) } else { pick(all.filter(|held| may(held)), step.who) };
        found.map(|held| by(held.id))
    }

    fn holder(&self, step: &Step, roles: &'static [Role]) -> Option<Actor> {
        self.someone(step, |held| held.holds(PROD, roles))
    }

    fn broker(&self, step: &Step) -> Option<Actor> {
        if step.anyone { self.someone(step, |_| false) } else { Some(BROKER) }
    }

    fn request(&self, step: &Step, wanted: &[RequestState]) -> Option<RequestId> {
        let all = self.world.state.requests.values();
        let found = if step.anyone {
            pick(all, step.which)
        } else {
            pick(all.filter(|held| wanted.contains(&held.state)), step.which)
        };
        found.map(|held| held.id)
    }

    fn credential(&self, step: &Step) -> Option<CredentialId> {
        pick(self.world.state.credentials.keys().copied(), step.which)
    }

    fn command(&mut self, step: &Step) -> Option<(Actor, Command)> {
        match step.what {
            What::Submit => self.submission(step),
            What::Approve | What::Deny | What::Withdraw | What::Retry | What::Claim => self.decision(step),
            What::Start | What::Minted | What::MintFailed => self.issuance(step),
            What::Grant | What::Enrol | What::CloseAccount | What::IssueToken | What::RevokeToken | What::Onboard | What::Offboard => self.people(step),
            _ => self.upkeep(step),
        }
    }

    /// One of a few names: most often one that can be asked for, and then as often one that exists as one that is new.
    fn name(&self, step: &Step) -> Option<String> {
        let state = &self.world.state;
        let names = (0..12).map(|number| format!("name-{number}"));
        if step.anyone || step.which % 16 == 0 {
            return pick(names, step.which);
        }
        let free: Vec<String> = names
            .filter(|name| {
                let held = state.credential_named(PROD, name);
                let exists = held.is_some();
                state.open_request_for(PROD, name).is_none()
                    && held.is_none_or(|held| held.revoked.is_none())
                    && exists == (step.what == What::Submit && step.how % 2 == 0)
            })
            .collect();
        pick(free, step.which)
    }

    fn submission(&mut self, step: &Step) -> Option<(Actor, Command)> {
        let who = self.someone(step, |held| {
            held.holds(PROD, &[Role::Operator, Role::Admin])
                || held.holds(PROD, &[Role::Requester]) && held.client.is_some()
        })?;
        let outcome = match step.how % 8 {
            0 => Outcome::Deny,
            1..4 => Outcome::Allow,
            _ => Outcome::Needs,
        };
        let mut asked = plan(&self.name(step)?);
        asked.client = if step.which % 41 == 0 { LEDGER } else { CHECKOUT };
        asked.ttl_s = if step.which % 3 == 0 { 600 } else { 86_400 };
        if step.which % 43 == 0 {
            asked.scopes.push("orders:write".into());
        }
        let (_, command) = self.world.submission(asked, evaluation(outcome, 1 + step.how % 2));
        Some((who, command))
    }

    fn decision(&mut self, step: &Step) -> Option<(Actor, Command)> {
        use RequestState::*;
        let waiting = &[AwaitingApproval][..];
        let wanted = match step.what {
            What::Withdraw => &[AwaitingApproval, Approved, Failed][..],
            What::Retry => &[Failed],
            What::Claim => &[Issued],
            _ => waiting,
        };
        let request = self.request(step, wanted)?;
        let held = self.world.state.requests[&request].clone();
        let who = match step.what {
            What::Approve | What::Deny => {
                let state = &self.world.state;
                self.someone(step, |someone| {
                    may_decide(state, &held, &state.operators[&someone.id]).is_ok()
                        && !held.approvals.iter().any(|given| given.by == someone.id)
                })?
            }
            What::Retry => self.holder(step, &[Role::Operator, Role::Admin])?,
            _ => self.someone(step, |someone| someone.id == held.requester)?,
        };
        let digest = if step.how % 16 == 0 { digest(&plan("something/else")) } else { held.digest };
        let reason = String::from("because");
        let command = match step.what {
            What::Approve => Command::Approve {
                request,
                approval: ApprovalId::from_bits(self.world.fresh()),
                digest,
                reason,
            },
            What::Deny => Command::Deny { request, digest, reason },
            What::Withdraw => Command::Withdraw { request, reason },
            What::Retry => Command::Retry { request },
            _ => Command::Claim { request },
        };
        Some((who, command))
    }

    fn issuance(&mut self, step: &Step) -> Option<(Actor, Command)> {
        use RequestState::*;
        let wanted = if step.what == What::Start { &[Approved][..] } else { &[Issuing] };
        let request = self.request(step, wanted)?;
        let who = self.broker(step)?;
        let attempts = self.world.state.requests[&request].attempts;
        // Now and then a message that comes too early or too late.
        let attempt = match step.how % 12 {
            0 => attempts.saturating_sub(1),
            1 => attempts + 2,
            _ => attempts + u32::from(step.what == What::Start),
        };
        let lease = if step.how % 2 == 0 { pairs(&[("lease", "l/1")]) } else { BTreeMap::new() };
        let command = match step.what {
            What::Start => Command::StartIssuance { request, attempt, locator: lease },
            What::Minted => {
                let fresh = self.world.fresh();
                let ends = self.world.now + Duration::seconds(i64::from(step.which) * 30);
                Command::RecordMinted {
                    request,
                    attempt,
                    credential: CredentialId::from_bits(fresh),
                    minted: Box::new(MintedVersion {
                        digest: Some(digest_of_bytes(&fresh.to_be_bytes())),
                        locator: lease,
                        expires_at: (step.how % 3 == 0).then_some(ends),
                        warnings: Vec::new(),
                    }),
                }
            }
            _ => Command::RecordIssuanceFailed {
                request,
                attempt,
                reason: "the issuer is away".into(),
                last: step.how % 3 == 0,
            },
        };
        Some((who, command))
    }

    fn upkeep(&mut self, step: &Step) -> Option<(Actor, Command)> {
        let reason = String::from("because");
        let fresh = self.world.fresh();
        Some(match step.what {
            What::Adopt => {
                let name = self.name(step)?;
                let mut held = adopted(&mut self.world, &name);
                if step.how % 2 == 0 {
                    held.versions[0].locator = pairs(&[("lease", "old")]);
                }
                (self.holder(step, &[Role::Admin])?, Command::Adopt(Box::new(held)))
            }
            What::Quarantine => {
                let who = self.holder(step, &[Role::Operator, Role::Admin])?;
                (who, Command::Quarantine { credential: self.credential(step)?, reason })
            }
            What::Release => {
                let who = self.holder(step, &[Role::Admin])?;
                let held = self.world.state.credentials.values();
                let quarantined = held.filter(|held| step.anyone || held.quarantined_at.is_some());
                let credential = pick(quarantined.map(|held| held.id), step.which)?;
                (who, Command::Release { credential, reason })
            }
            What::Revoke => {
                let who = self.holder(step, &[Role::Operator, Role::Admin])?;
                let credential = self.credential(step)?;
                let number = self.world.state.credentials[&credential].next_number();
                let version = (step.how % 4 > 0).then(|| 1 + u32::from(step.how) % number);
                (who, Command::Revoke { id: RevocationId::from_bits(fresh), credential, version, reason })
            }
            What::ChangeOwner => {
                let who = self.holder(step, &[Role::Admin])?;
                let owner = format!("team-{}", step.how % 3);
                (who, Command::ChangeOwner { credential: self.credential(step)?, owner, reason })
            }
            What::Enforced | What::EnforcementFailed => {
                let who = self.broker(step)?;
                let state = &self.world.state;
                let revocation = if step.anyone {
                    pick(state.revocations.keys().copied(), step.which)?
                } else {
                    pick(state.to_enforce.iter().copied(), step.which)?
                };
                let command = if step.what == What::Enforced {
                    Command::RecordEnforced { revocation, proven: step.how % 2 == 0 }
                } else {
                    Command::RecordEnforcementFailed { revocation, reason }
                };
                (who, command)
            }
            What::Usage => {
                let credential = self.credential(step)?;
                let entry = UsageEntry {
                    credential,
                    accepted: u64::from(step.how),
                    refused: 1,
                    last_used_at: Some(self.world.now),
                };
                (self.broker(step)?, Command::RollUpUsage { hour: self.world.now, entries: vec![entry] })
            }
            What::Leftover => {
                (self.broker(step)?, Command::RecordLeftover { issuer: "vault".into(), what: reason })
            }
            _ => {
                // Sometimes with too few identifiers for all that is due.
                let count = if step.how % 4 == 0 { 1 } else { Command::SWEEP_LIMIT };
                let revocations = (0..count).map(|_| RevocationId::from_bits(self.world.fresh())).collect();
                (self.broker(step)?, Command::Sweep { revocations })
            }
        })
    }

    fn people(&mut self, step: &Step) -> Option<(Actor, Command)> {
        let who = self.holder(step, &[Role::Admin])?;
        let someone = pick(self.world.state.operators.keys().copied(), step.which)?;
        let fresh = self.world.fresh();
        let reason = String::from("because");
        let role = Role::ALL[usize::from(step.how) % Role::ALL.len()];
        let roles: BTreeMap<Environment, BTreeSet<Role>> = match step.how % 4 {
            0 => BTreeMap::new(),
            1 => BTreeMap::from([(PROD, [role, Role::Approver].into())]),
            2 => BTreeMap::from([(PROD, [role].into()), (Environment::Development, [role].into())]),
            _ => BTreeMap::from([(PROD, [Role::Operator, Role::Approver].into())]),
        };
        let groups: BTreeSet<String> = match step.how % 5 {
            0 => BTreeSet::new(),
            1 => ["payments".into()].into(),
            _ => ["security".into()].into(),
        };
        Some((who, match step.what {
            What::Grant => Command::GrantOperator { operator: someone, roles, groups },
            What::Enrol => {
                let mut new = operator(person(fresh), &format!("new-{}", step.which), &[], &[], &[]);
                new.roles = roles;
                new.groups = groups;
                new.robot = step.which % 5 == 0;
                new.client = (step.which % 3 == 0).then_some(CHECKOUT);
                Command::EnrolOperator(Box::new(new))
            }
            What::CloseAccount => Command::OffboardOperator { operator: someone, reason },
            What::IssueToken => {
                let mut token = token(fresh);
                if step.how % 2 == 0 {
                    token.expires_at = self.world.now + Duration::hours(1);
                }
                Command::IssueToken { operator: someone, token }
            }
            What::RevokeToken => {
                let held = &self.world.state.operators[&someone];
                let token = pick(held.tokens().map(|token| token.id), step.how).unwrap_or(TokenId::from_bits(1));
                Command::RevokeToken { operator: someone, token }
            }
            What::Onboard => {
                let new: Client = client(ClientId::from_bits(fresh), &format!("client-{}", step.which % 3), PROD);
                Command::OnboardClient(Box::new(new))
            }
            _ => {
                // Checkout last of all: most histories are about it.
                let client = if step.how == 0 { CHECKOUT } else { LEDGER };
                let held = self.world.state.credentials.values().filter(|held| held.client == client).count();
                let revocations = (0..held).map(|_| RevocationId::from_bits(self.world.fresh())).collect();
                Command::OffboardClient { client, reason, revocations }
            }
        }))
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
            resumed.apply(&serde_json::from_slice(leaf).unwrap());
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
    let context = Context { idempotency: Some(("k".into(), call)), ..world.context(by(OPAL)) };
    world.try_with(&context, &command).unwrap();
    let answered = world.state.answered(OPAL, "k").unwrap().clone();
    assert_eq!((answered.body, answered.subject), (call, Subject::Request(request)));
    assert_eq!((answered.sequence, answered.state.as_str()), (world.state.sequence, "approved"));
    assert_eq!(world.state.answered(ANA, "k"), None, "a key is its caller's own");
    // What comes of the request later changes nothing about the answer.
    world.pass(IDEMPOTENCY_WINDOW);
    world.given(by(OPAL), Command::Withdraw { request, reason: String::new() });
    assert_eq!(world.state.answered(OPAL, "k"), Some(&answered));
    world.pass(Duration::milliseconds(1));
    world.submit(OPAL, "payments/api", Outcome::Allow);
    assert_eq!(world.state.answered(OPAL, "k"), None, "and is forgotten after its day");
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
        let mut recorded: countersign::domain::Recorded = serde_json::from_slice(leaf).unwrap();
        if matches!(recorded.event.kind(), "client.onboarded" | "operator.enrolled" | "request.submitted") {
            continue;
        }
        let mut state = countersign::domain::State::default();
        recorded.seq = 0;
        state.apply(&recorded);
        assert_eq!(state.sequence, 1);
        let held = state.requests.len() + state.clients.len() + state.operators.len() + state.awaiting.len();
        assert_eq!(held + state.to_issue.len(), 0, "{}", recorded.event.kind());
    }
}

/// The generator is worth its time only if it gets somewhere: over many histories a good share of the commands change
/// something, and every kind of event occurs.
#[test]
fn histories_reach_every_event() {
    use proptest::{strategy::ValueTree, test_runner::TestRunner};
    let mut runner = TestRunner::deterministic();
    let strategy = prop::collection::vec(step(), 150);
    let (mut asked, mut done) = (0, 0);
    let mut kinds = BTreeMap::<String, usize>::new();
    for _ in 0..40 {
        let mut history = History::new();
        for step in &strategy.new_tree(&mut runner).unwrap().current() {
            history.take(step);
        }
        asked += history.asked;
        done += history.done;
        for leaf in &history.world.log {
            let event: serde_json::Value = serde_json::from_slice(leaf).unwrap();
            *kinds.entry(event["type"].as_str().unwrap().to_owned()).or_default() += 1;
        }
    }
    println!("{done} of {asked} commands changed something: {kinds:?}");
    assert!(done * 2 > asked, "only {done} of {asked} commands changed something");
    let missing: Vec<_> = EVERY_KIND.iter().filter(|kind| !kinds.contains_key(**kind)).collect();
    assert!(missing.is_empty(), "never reached: {missing:?}");
}

const EVERY_KIND: [&str; 35] = [
    "client.onboarded",
    "client.offboarded",
    "operator.enrolled",
    "operator.token_issued",
    "operator.token_revoked",
    "operator.granted",
    "operator.offboarded",
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
    "request.lapsed",
    "credential.adopted",
    "version.promoted",
    "version.retiring",
    "version.retired",
    "version.expired",
    "credential.owner_changed",
    "credential.quarantined",
    "credential.released",
    "revocation.effective",
    "revocation.enforced",
    "revocation.failed",
    "usage.rolled_up",
    "reconciliation.removed",
];
