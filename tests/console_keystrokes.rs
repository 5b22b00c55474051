//! How few keys a decision takes, and that none is ever made by accident.

#![allow(
    clippy::unwrap_used,
    reason = "a test or benchmark stops where its ground gives way"
)]

use countersign::console::effect::{Action, Call, Effect};
use countersign::console::event::{Event, LinkState, Reply};
use countersign::console::input::{Key, KeyCode};
use countersign::console::keys::{Keys, is_masked, script};
use countersign::console::model::{Context, Model, Overlay, Shared};
use countersign::console::screens::{ScreenId, samples};
use countersign::console::update::update;
use countersign::wire::columns::Block;
use countersign::wire::{
    Environment, ListHeader, Page, RequestDetail, RequestId, Role, plan_digest,
};

/// A queue with a request of every kind, each of which a key must sign, and somebody at its keyboard.
struct Desk {
    model: Model,
    keys: Keys,
    /// What was sent to be changed.
    acts: Vec<Action>,
    details: Vec<RequestDetail>,
}

impl Desk {
    fn new() -> Self {
        let mut shared = Shared::new(Context::default(), samples::now(), (80, 24), 7);
        shared.session = Some(samples::session());
        shared.heard_at = Some(samples::now());
        shared.chain = samples::whole();
        let mut model = Model::new(shared);
        model.current = ScreenId::Approvals;
        let details = samples::requests().into_iter().enumerate();
        let details = details.map(|(n, row)| {
            let mut detail = samples::detail();
            detail.row = row;
            detail.row.environment = Environment::ALL[n % Environment::ALL.len()];
            detail.plan.environment = detail.row.environment;
            detail.plan.credential.clone_from(&detail.row.credential);
            detail.digest = plan_digest(&detail.plan);
            detail
        });
        let mut desk = Self {
            model,
            keys: Keys::default(),
            acts: Vec::new(),
            details: details.collect(),
        };
        desk.event(&Event::Link(LinkState::Live { latency_ms: 1 }));
        desk
    }

    /// Every role everywhere, and the credentials that the other screens tell of.
    fn holds_everything(&mut self) {
        let session = self.model.shared.session.as_mut().unwrap();
        let roles = |environment| (environment, Role::ALL.iter().copied().collect());
        session.roles = Environment::ALL.iter().copied().map(roles).collect();
        let mut rows = samples::revocations::credentials();
        let known: Vec<_> = rows.iter().map(|row| row.id).collect();
        let more = samples::rotation::credentials().into_iter();
        rows.extend(more.filter(|row| !known.contains(&row.id)));
        let header = ListHeader {
            count: rows.len() as u64,
            sequence: 1,
        };
        for event in [
            Event::Reload(header),
            Event::Rows(Box::new(Block::from_rows(&rows))),
            Event::Loaded(true),
            Event::Tick(samples::now()),
        ] {
            self.event(&event);
        }
    }

    fn detail(&self, id: RequestId) -> RequestDetail {
        let held = self.details.iter().find(|detail| detail.row.id == id);
        held.unwrap().clone()
    }

    /// Answers what is asked as a broker would that is fast and says yes.
    fn event(&mut self, event: &Event) {
        let mut effects = update(&mut self.model, event);
        while let Some(effect) = effects.pop() {
            let Effect::Call(id, call) = effect else {
                continue;
            };
            let reply = match call {
                Call::Requests { .. } => Reply::Requests(Page {
                    items: self.details.iter().map(|held| held.row.clone()).collect(),
                    next: None,
                    total: self.details.len() as u64,
                    sequence: 918_204,
                }),
                Call::Request(id) => Reply::Request(Box::new(self.detail(id))),
                Call::Overview => Reply::Overview(Box::new(samples::overview())),
                Call::Policies => Reply::Policies(Box::new(samples::policy::policies())),
                Call::Policy(_) => Reply::Policy(Box::new(samples::policy::version())),
                Call::Proposal(_) => Reply::Proposal(Box::new(samples::policy::proposal())),
                Call::Simulate(_) => Reply::Simulation(Box::new(samples::policy::simulation())),
                Call::Revocations { .. } => {
                    Reply::Revocations(samples::revocations::page(samples::revocations::rows()))
                }
                Call::Revocation(_) => Reply::Revocation(Box::new(samples::revocations::detail())),
                Call::Rotations { .. } => Reply::Rotations(Box::new(samples::rotation::calendar())),
                Call::Rotation(_) => Reply::Rotation(Box::new(samples::rotation::detail())),
                Call::Gateways => Reply::Gateways(samples::revocations::gateways()),
                Call::Act(act) => {
                    self.acts.push(act.action);
                    continue;
                }
                _ => continue,
            };
            let reply = Event::Reply(id, Box::new(Ok(reply)));
            effects.extend(update(&mut self.model, &reply));
        }
    }

    fn press(&mut self, key: Key) {
        if is_masked(&self.model) && key.code != KeyCode::Esc {
            return;
        }
        for key in self.keys.apart(key, &self.model).into_iter().flatten() {
            if let Some(event) = self.keys.press(key, &self.model) {
                self.event(&event);
                // As the runner does: the time, and a cursor that has rested.
                self.event(&Event::Tick(samples::now()));
                self.event(&Event::Rested);
            }
        }
    }

    fn type_keys(&mut self, keys: &str) -> usize {
        let keys = script(keys);
        let many = keys.len();
        for key in keys {
            self.press(key);
        }
        many
    }

    fn signed(&self) -> impl Iterator<Item = &Action> {
        self.acts.iter().filter(|action| {
            matches!(
                action,
                Action::Approve(_, _, Some(_))
                    | Action::Deny(_, _, Some(_))
                    | Action::BreakGlass(..)
                    | Action::ApprovePolicy(..)
                    | Action::DenyPolicy(..)
                    | Action::WithdrawPolicy(_)
                    | Action::Revoke(..)
                    | Action::Quarantine(_)
                    | Action::Release(_)
                    | Action::RemoveGateway(_)
                    | Action::Rotate(..)
                    | Action::Promote(_)
                    | Action::RollBack(_)
            )
        })
    }
}

#[test]
fn from_the_queue_to_a_signed_decision_in_eight_strokes() {
    let mut desk = Desk::new();
    let mut strokes = desk.type_keys("<enter>");
    while !matches!(desk.model.overlay, Some(Overlay::Sheet(_))) {
        strokes += desk.type_keys(".a");
        if !matches!(desk.model.overlay, Some(Overlay::Sheet(_))) {
            // Something below was not read yet.
            strokes = strokes - 2 + desk.type_keys("<esc><ctrl-d>") - 1;
        }
        assert!(strokes < 20, "{:?}", desk.model.shared.toasts);
    }
    desk.type_keys("INC-5521, agreed with ana");
    strokes += desk.type_keys("<tab>");
    desk.type_keys("kms-root/decrypt");
    strokes += desk.type_keys("<ctrl-y>");
    assert_eq!(desk.signed().count(), 1, "{:?}", desk.model.shared.toasts);
    assert!(strokes <= 8, "{strokes} strokes beside reason and target");
}

#[test]
fn from_the_overview_to_a_signed_policy() {
    let mut desk = Desk::new();
    desk.type_keys("8");
    let mut tries = 0;
    while !matches!(desk.model.overlay, Some(Overlay::Sheet(_))) {
        desk.type_keys(".a");
        if !matches!(desk.model.overlay, Some(Overlay::Sheet(_))) {
            desk.type_keys("<esc><ctrl-d>");
        }
        tries += 1;
        assert!(tries < 12, "{:?}", desk.model.shared.toasts);
    }
    desk.type_keys("tightens what we agreed<tab>");
    desk.type_keys("<ctrl-y>");
    assert_eq!(desk.signed().count(), 0, "its digest is typed first");
    let digest = samples::policy::proposal().row.digest;
    desk.type_keys(&digest.short());
    desk.type_keys("<ctrl-y>");
    assert_eq!(desk.signed().count(), 1, "{:?}", desk.model.shared.toasts);
}

#[test]
fn a_hundred_thousand_random_keys_sign_nothing() {
    random_keys(ScreenId::Approvals, "2", &['a', 'g', 'n', 'd']);
}

#[test]
fn nor_do_they_on_the_policies() {
    random_keys(ScreenId::Policy, "8", &['a', 'd', 'a']);
}

#[test]
fn nor_do_they_revoke_anything_or_take_a_gateway_away() {
    random_keys(ScreenId::Revocations, "6", &['x', 'f', 't', 'f']);
}

#[test]
fn nor_do_they_rotate_promote_or_roll_back() {
    random_keys(ScreenId::Rotation, "4", &['r', 'p', 'b']);
}

/// Random keys on one screen, those that lead to a decision far more often than by chance.
fn random_keys(screen: ScreenId, back: &str, acts: &[char]) {
    const NAMED: &[KeyCode] = &[
        KeyCode::Enter,
        KeyCode::Esc,
        KeyCode::Tab,
        KeyCode::Up,
        KeyCode::Down,
        KeyCode::Left,
        KeyCode::PageDown,
        KeyCode::Home,
        KeyCode::Backspace,
        KeyCode::F(5),
    ];
    let mut desk = Desk::new();
    desk.holds_everything();
    desk.type_keys(back);
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut sheets = 0_u32;
    for _ in 0..100_000 {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let pick = (state >> 8) as usize;
        let key = match state % 16 {
            0 => Key::char('.'),
            1 => Key::char(acts[pick % acts.len()]),
            2 => Key::ctrl('y'),
            3 => Key::ctrl('d'),
            4..=6 => Key::plain(NAMED[pick % NAMED.len()]),
            7 => Key::ctrl(char::from(b'a' + (pick % 26) as u8)),
            _ => Key::char(char::from(b' ' + (pick % 95) as u8)),
        };
        let before = matches!(desk.model.overlay, Some(Overlay::Sheet(_)));
        desk.press(key);
        let after = matches!(desk.model.overlay, Some(Overlay::Sheet(_)));
        sheets += u32::from(after && !before);
        // Whoever wandered off comes back: it is this screen that is tried.
        if desk.model.current != screen && pick.is_multiple_of(8) {
            desk.type_keys("<esc><esc>");
            desk.type_keys(back);
        }
    }
    assert!(sheets > 20, "sheets were open: {sheets}");
    let signed: Vec<_> = desk.signed().collect();
    assert!(signed.is_empty(), "{signed:?}");
}
