//! Overview, approvals and audit, driven by keys and drawn at both sizes from fixed data.

#![allow(
    clippy::unwrap_used,
    clippy::too_many_lines,
    reason = "a test or benchmark stops where its ground gives way, and a table of cases reads better whole"
)]

#[path = "console_screens/revocations.rs"]
mod revocations;
#[path = "console_screens/rotation.rs"]
mod rotation;

use countersign::client::chain::ChainState;
use countersign::console::backend::{Options, Pace, Screen as Terminal};
use countersign::console::command::ActKind;
use countersign::console::edit::Edit;
use countersign::console::effect::{Action, Call, CallId, Effect};
use countersign::console::event::{Event, LinkState, Reply};
use countersign::console::keymap::{Chord, Found};
use countersign::console::model::{Context, Model, Overlay, Shared};
use countersign::console::screens::approvals::Opened;
use countersign::console::screens::kit::Look;
use countersign::console::screens::overview::page::{Way, page};
use countersign::console::screens::{Act, ScreenId, samples};
use countersign::console::sheet::{FieldKind, Sheet};
use countersign::console::theme::Theme;
use countersign::console::update::update;
use countersign::wire::filter::Filter;
use countersign::wire::{
    CredentialRow, EventRecord, FeedItem, Page, ProposalDetail, RequestDetail, RequestRow,
    RequestState, StepUp, Verdict,
};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Instant;

/// A console on one screen, signed in and live.
struct Bench {
    model: Model,
    effects: Vec<Effect>,
}

impl Bench {
    fn new(screen: ScreenId, columns: u16, rows: u16) -> Self {
        let context = Context {
            name: "prod".into(),
            ..Context::default()
        };
        let mut shared = Shared::new(context, samples::now(), (columns, rows), 7);
        shared.session = Some(samples::session());
        shared.heard_at = Some(samples::now());
        shared.chain = samples::whole();
        let mut model = Model::new(shared);
        model.current = screen;
        model.shared.link = LinkState::Connecting;
        let mut bench = Self {
            model,
            effects: Vec::new(),
        };
        bench.event(&Event::Link(LinkState::Live { latency_ms: 184 }));
        bench
    }

    fn event(&mut self, event: &Event) {
        self.effects.extend(update(&mut self.model, event));
    }

    /// Presses keys, as the documents write them: `j j enter`.
    fn press(&mut self, keys: &str) {
        for key in keys.split_whitespace() {
            let chord = Chord::parse(key).unwrap_or_else(|| panic!("{key} is no key"));
            let Found::Command(command) = self.model.shared.keymap.find(&[chord]) else {
                panic!("{key} is bound to nothing");
            };
            self.event(&Event::Command(command));
        }
    }

    /// The last question of a kind that is still open.
    fn asked(&self, wanted: impl Fn(&Call) -> bool) -> CallId {
        self.effects
            .iter()
            .rev()
            .find_map(|effect| match effect {
                Effect::Call(id, call) if wanted(call) => Some(*id),
                _ => None,
            })
            .expect("it was asked")
    }

    fn answer(&mut self, id: CallId, reply: Reply) {
        self.event(&Event::Reply(id, Box::new(Ok(reply))));
    }

    fn overview(columns: u16, rows: u16) -> Self {
        let mut bench = Self::new(ScreenId::Overview, columns, rows);
        let id = bench.asked(|call| *call == Call::Overview);
        bench.answer(id, Reply::Overview(Box::new(samples::overview())));
        bench
    }

    fn approvals(columns: u16, rows: u16) -> Self {
        let mut bench = Self::new(ScreenId::Approvals, columns, rows);
        let id = bench.asked(|call| matches!(call, Call::Requests { .. }));
        let page = Page {
            items: samples::requests(),
            next: None,
            total: 6,
            sequence: 918_204,
        };
        bench.answer(id, Reply::Requests(page));
        bench
    }

    /// The second request of the queue under review.
    fn review(detail: RequestDetail, columns: u16, rows: u16) -> Self {
        let mut bench = Self::approvals(columns, rows);
        bench.press("j enter");
        let id = bench.asked(|call| *call == Call::Request(detail.row.id));
        bench.answer(id, Reply::Request(Box::new(detail)));
        bench
    }

    fn audit(columns: u16, rows: u16) -> Self {
        let mut bench = Self::new(ScreenId::Audit, columns, rows);
        let id = bench.asked(|call| matches!(call, Call::Events { .. }));
        bench.answer(id, Reply::Events(samples::event_page()));
        bench
    }

    /// The policy screen with the cursor on what is proposed.
    fn policy(proposal: ProposalDetail, columns: u16, rows: u16) -> Self {
        let mut bench = Self::new(ScreenId::Policy, columns, rows);
        let id = bench.asked(|call| *call == Call::Policies);
        bench.answer(id, Reply::Policies(Box::new(samples::policy::policies())));
        let id = bench.asked(|call| *call == Call::Proposal(proposal.row.id));
        let simulate = bench.asked(|call| *call == Call::Simulate(proposal.row.id));
        bench.answer(id, Reply::Proposal(Box::new(proposal)));
        let simulation = samples::policy::simulation();
        bench.answer(simulate, Reply::Simulation(Box::new(simulation)));
        bench
    }

    /// The same with the cursor on the version in force.
    fn policy_version(columns: u16, rows: u16) -> Self {
        let mut bench = Self::policy(samples::policy::proposal(), columns, rows);
        bench.press("j");
        let id = bench.asked(|call| *call == Call::Policy(2));
        bench.answer(id, Reply::Policy(Box::new(samples::policy::version())));
        bench
    }

    fn acts(&self) -> Vec<Act> {
        self.model
            .screens
            .get(self.model.current)
            .acts(&self.model.shared)
    }

    fn refused(&self, kind: ActKind) -> Option<String> {
        let acts = self.acts();
        let act = acts
            .iter()
            .find(|act| act.kind == kind)
            .expect("it is in the menu");
        act.refused.clone()
    }

    /// Opens the act menu and takes an entry.
    fn act(&mut self, kind: ActKind) -> Option<&mut Sheet> {
        self.press(".");
        self.event(&Event::Choice(kind.default_key()));
        if !matches!(self.model.overlay, Some(Overlay::Sheet(_))) {
            self.press("esc");
        }
        match &mut self.model.overlay {
            Some(Overlay::Sheet(sheet)) => Some(sheet),
            _ => None,
        }
    }

    fn opened(&self) -> &Opened {
        self.model
            .screens
            .approvals
            .open
            .as_ref()
            .expect("a review is open")
    }

    fn draw(&self) -> Buffer {
        self.drawn(&Theme::default())
    }

    fn drawn(&self, theme: &Theme) -> Buffer {
        let (columns, rows) = self.model.shared.size;
        let mut terminal = Terminal::new(
            Vec::new(),
            columns,
            rows,
            Options::for_term("xterm"),
            Pace::off(),
        );
        let mut drawn = Buffer::empty(Rect::new(0, 0, columns, rows));
        let area = Rect::new(0, 2, columns, rows - 3);
        terminal
            .draw(Instant::now(), |frame| {
                let screen = self.model.screens.get(self.model.current);
                screen.view(&self.model.shared, area, frame, theme);
                drawn = frame.buffer.clone();
            })
            .unwrap();
        drawn
    }

    fn text(&self) -> String {
        glyphs(&self.draw())
    }

    /// The whole picture, with what lies over the screen.
    fn whole(&self) -> String {
        let (columns, rows) = self.model.shared.size;
        let options = Options::for_term("xterm");
        let mut terminal = Terminal::new(Vec::new(), columns, rows, options, Pace::off());
        let mut drawn = Buffer::empty(Rect::new(0, 0, columns, rows));
        terminal
            .draw(Instant::now(), |frame| {
                countersign::console::view::view(&self.model, frame, &Theme::default());
                drawn = frame.buffer.clone();
            })
            .unwrap();
        glyphs(&drawn)
    }
}

fn glyphs(buffer: &Buffer) -> String {
    let mut text = String::new();
    for y in buffer.area.top()..buffer.area.bottom() {
        let mut x = buffer.area.left();
        let mut line = String::new();
        while x < buffer.area.right() {
            let symbol = buffer[(x, y)].symbol();
            line.push_str(symbol);
            x += (unicode_width::UnicodeWidthStr::width(symbol) as u16).max(1);
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// Glyphs, and below them the styles: one letter a style, blank for none.
fn picture(buffer: &Buffer) -> String {
    let mut letters: BTreeMap<String, char> = BTreeMap::new();
    let mut grid = String::new();
    for y in buffer.area.top()..buffer.area.bottom() {
        let mut line = String::new();
        for x in buffer.area.left()..buffer.area.right() {
            let style = buffer[(x, y)].style();
            let words = format!("{:?} on {:?} {:?}", style.fg, style.bg, style.add_modifier);
            let next = char::from(b'a' + letters.len() as u8);
            let plain = words == "Some(Reset) on Some(Reset) NONE";
            line.push(if plain {
                ' '
            } else {
                *letters.entry(words).or_insert(next)
            });
        }
        grid.push_str(line.trim_end());
        grid.push('\n');
    }
    let mut text = glyphs(buffer);
    text.push_str("styles\n");
    text.push_str(&grid);
    for (words, letter) in letters {
        writeln!(text, "{letter} = {words}").unwrap();
    }
    text
}

const SIZES: [(u16, u16); 2] = [(80, 24), (120, 40)];

fn snap(name: &str, bench: impl Fn(u16, u16) -> Bench) {
    for (columns, rows) in SIZES {
        let picture = picture(&bench(columns, rows).draw());
        insta::assert_snapshot!(format!("{name}-{columns}x{rows}"), picture);
    }
}

#[test]
fn screens_look_as_they_did() {
    snap("overview", Bench::overview);
    snap("approvals-burst", |columns, rows| {
        on_the_burst(with_a_burst(24, "export-svc", columns, rows))
    });
    snap("approvals", Bench::approvals);
    snap("review", |columns, rows| {
        Bench::review(samples::detail(), columns, rows)
    });
    snap("review-hostile", |columns, rows| {
        Bench::review(samples::hostile_detail(), columns, rows)
    });
    snap("review-long", |columns, rows| {
        Bench::review(samples::long_detail(), columns, rows)
    });
    snap("audit", Bench::audit);
    snap("policy", |columns, rows| {
        Bench::policy(samples::policy::proposal(), columns, rows)
    });
    snap("policy-hostile", |columns, rows| {
        Bench::policy(samples::policy::hostile(), columns, rows)
    });
    snap("policy-version", Bench::policy_version);
    snap("audit-alarm", |columns, rows| {
        let mut bench = Bench::audit(columns, rows);
        bench.model.shared.chain = samples::rolled_back();
        bench
    });
}

#[test]
fn nothing_that_a_requester_wrote_reaches_the_terminal() {
    for (columns, rows) in SIZES {
        for text in [
            Bench::review(samples::hostile_detail(), columns, rows).text(),
            Bench::approvals(columns, rows).text(),
            Bench::audit(columns, rows).text(),
            Bench::overview(columns, rows).text(),
            Bench::policy(samples::policy::hostile(), columns, rows).text(),
            Bench::hostile_revocations(columns, rows).text(),
            Bench::hostile_rotations(columns, rows).text(),
        ] {
            let hidden = |c: char| c != '\n' && countersign::display::sanitize::is_hidden(c);
            assert!(!text.contains(hidden), "{text}");
        }
    }
    let text = Bench::review(samples::hostile_detail(), 80, 60).text();
    assert!(text.contains("⟨U+202E⟩") && text.contains("␛[2J"), "{text}");
    assert!(text.contains("LOOKALIKE  the requester"), "{text}");
    assert!(
        text.contains(" ▏ second line: APPROVED by maya.k"),
        "their words stay behind the gutter: {text}"
    );
}

#[test]
fn a_policy_is_judged_by_its_own_text() {
    let text = Bench::policy(samples::policy::proposal(), 80, 60).text();
    for part in [
        "4 of 311 decisions would differ",
        "needs 1 from security",
        "needs 2 from security, ssh_signature",
        "+       \"elevated\": {\"count\": 2",
        "-       \"elevated\": {\"count\": 1",
        "cases/tiers.json, new",
        "approved by ana.r",
        "you may decide this",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
    assert!(!text.contains("do not approve it"), "{text}");
    // A text that is not what its digest says is called out.
    let mut swapped = samples::policy::proposal();
    swapped.files.insert("tiers.json".into(), "{}".into());
    let text = Bench::policy(swapped, 80, 60).text();
    assert!(text.contains("do not approve it"), "{text}");
    // Why not, and who can, come first.
    let text = Bench::policy(samples::policy::hostile(), 80, 24).text();
    assert!(text.contains("you may not: you proposed this"), "{text}");
    assert!(text.contains("these can: maya.k, tomo.s"), "{text}");
    // What is changed keeps its blanks: they mean something in a policy.
    let text = Bench::policy(samples::policy::proposal(), 120, 60).text();
    assert!(
        text.contains("   +       \"elevated\": {\"count\": 2"),
        "{text}"
    );
    let text = Bench::policy_version(80, 40).text();
    assert!(
        text.contains("proposed by maya.k, approved by tomo.s and ana.r"),
        "{text}"
    );
}

#[test]
fn the_whole_plan_is_on_the_screen_and_identifiers_are_not_cut() {
    for (columns, rows) in SIZES {
        let text = Bench::review(samples::detail(), columns, rows).text();
        let plan = samples::plan();
        let flat: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
        for part in [
            samples::detail().row.id.to_string(),
            plan.client.to_string(),
            plan.credential,
            plan.role,
            plan.audience,
            plan.issuer,
            "PRODUCTION for 1h".into(),
            "4 of 4 seen".into(),
            samples::detail().digest.short(),
        ] {
            assert!(flat.contains(&part), "{part} in {text}");
        }
        assert!(!flat.contains("lines below"), "it fits: {text}");
    }
}

#[test]
fn approving_is_bound_to_the_plan_and_typed_in_production() {
    let mut bench = Bench::review(samples::detail(), 80, 24);
    assert_eq!(bench.refused(ActKind::Approve), None);
    let sheet = bench.act(ActKind::Approve).expect("a sheet opens");
    let id = samples::detail().row.id;
    let Action::Approve(approved, digest, Some(to_sign)) = &sheet.targets[0].action else {
        panic!("{:?}", sheet.targets[0].action);
    };
    assert_eq!(
        (*approved, *digest),
        (id, countersign::wire::plan_digest(&samples::plan()))
    );
    assert_eq!(
        to_sign.detail,
        samples::detail(),
        "what was shown is what is signed"
    );
    assert_eq!(
        (to_sign.operator.as_str(), to_sign.head.size),
        ("maya.k", 918_203)
    );
    assert_eq!(sheet.targets[0].sequence, samples::detail().row.sequence);
    assert_eq!(sheet.missing().as_deref(), Some("still to do: 1 and 2"));
    sheet.edit(&Edit::Paste("INC-5521, agreed with ana".into()));
    sheet.step(1);
    sheet.edit(&Edit::Paste("payments/ledger-db".into()));
    assert!(
        sheet.fields[1].refused.is_some(),
        "a paste is refused where the target is typed"
    );
    for letter in "payments/ledger-db".chars() {
        sheet.edit(&Edit::Insert(letter));
    }
    assert_eq!(sheet.missing(), None);
    assert_eq!(sheet.reason(), "INC-5521, agreed with ana");
}

#[test]
fn denying_is_no_harder_than_approving() {
    let mut bench = Bench::review(samples::long_detail(), 80, 24);
    assert!(bench.refused(ActKind::Approve).is_some());
    assert_eq!(
        bench.refused(ActKind::Deny),
        None,
        "a no needs no reading to the end"
    );
    let sheet = bench.act(ActKind::Deny).expect("a sheet opens");
    assert_eq!(sheet.fields[0].kind, FieldKind::Reason { required: true });
    // Where a key signs, the name is typed, as it is to approve; where none does, a reason is all.
    assert!(matches!(sheet.fields[1].kind, FieldKind::Confirm(_)));
    assert_eq!(sheet.fields.len(), 2);
    let mut detail = samples::long_detail();
    detail.step_up = StepUp::None;
    let mut bench = Bench::review(detail.clone(), 80, 24);
    let sheet = bench.act(ActKind::Deny).expect("a sheet opens");
    assert_eq!(sheet.fields.len(), 1);
    // What keeps a key from signing keeps nobody from denying.
    detail.step_up = StepUp::SshSignature;
    let mut bench = Bench::review(detail, 80, 24);
    bench.model.shared.chain = ChainState::Unchecked;
    let sheet = bench.act(ActKind::Deny).expect("a sheet opens");
    assert!(matches!(sheet.targets[0].action, Action::Deny(_, _, None)));
    let facts: Vec<_> = sheet.facts.iter().map(|fact| fact.text.as_str()).collect();
    assert!(
        facts.join("\n").contains("recorded as not signed"),
        "{facts:?}"
    );
}

#[test]
fn approving_stays_locked_until_everything_was_on_the_screen() {
    let mut bench = Bench::review(samples::long_detail(), 80, 24);
    let why = bench.refused(ActKind::Approve).expect("locked");
    assert!(
        why.starts_with("locked: ") && why.contains("of 41 scopes"),
        "{why}"
    );
    assert!(
        bench.act(ActKind::Approve).is_none(),
        "no sheet while locked"
    );
    bench.press("end");
    let why = bench
        .refused(ActKind::Approve)
        .expect("jumping to the end shows only the end");
    assert!(why.contains("scopes"), "{why}");
    bench.press("home");
    for _ in 0..8 {
        bench.press("ctrl-d");
    }
    assert_eq!(bench.refused(ActKind::Approve), None);
    // Another size is another layout: what was seen in the old one does not count.
    bench.model.shared.size = (60, 20);
    bench.event(&Event::Resized(60, 20));
    assert!(bench.refused(ActKind::Approve).is_some());
}

#[test]
fn a_digest_of_something_else_refuses() {
    let mut detail = samples::detail();
    detail.plan.ttl_s += 1;
    let mut bench = Bench::review(detail, 80, 24);
    assert!(bench.text().contains("DIGEST DIFFERS"));
    for kind in [ActKind::Approve, ActKind::Deny] {
        assert!(bench.refused(kind).expect("refused").contains("digest"));
        assert!(bench.act(kind).is_none());
    }
}

#[test]
fn who_may_not_decide_is_told_why_and_who_can() {
    let mut detail = samples::detail();
    detail.row.requester = "maya.k".into();
    detail.may_decide = Verdict {
        allowed: false,
        rule: "own_request".into(),
        detail: "you asked for it yourself".into(),
    };
    let mut bench = Bench::review(detail, 80, 24);
    let text = bench.text();
    assert!(
        text.contains("NOT YOURS TO DECIDE  you asked for it yourself"),
        "{text}"
    );
    assert!(text.contains("who can: maya.k, tomo.s"), "{text}");
    assert!(
        bench
            .refused(ActKind::Approve)
            .expect("refused")
            .contains("own_request")
    );
    let sheet = bench
        .act(ActKind::Withdraw)
        .expect("one's own can be taken back");
    assert!(matches!(sheet.targets[0].action, Action::Withdraw(_)));
}

#[test]
fn who_has_approved_is_not_asked_again_and_may_still_say_no() {
    let mut detail = samples::detail();
    detail.row.approvals = 1;
    detail.may_decide = Verdict {
        allowed: false,
        rule: "distinct-people".into(),
        detail: "you have approved this already".into(),
    };
    let mut bench = Bench::review(detail, 80, 40);
    let text = bench.text();
    let words = "you have approved it: 1 more from security";
    assert!(text.contains(words), "{text}");
    assert!(!text.contains("IF YOU APPROVE"), "{text}");
    assert_eq!(bench.refused(ActKind::Approve).as_deref(), Some(words));
    for kind in [ActKind::Deny, ActKind::Hold, ActKind::Narrow, ActKind::Ask] {
        assert_eq!(bench.refused(kind), None, "{kind:?}");
    }
    let sheet = bench.act(ActKind::Deny).expect("a sheet opens");
    assert!(matches!(sheet.targets[0].action, Action::Deny(..)));
}

#[test]
fn what_was_made_in_an_emergency_waits_first_in_the_queue() {
    let mut rows = samples::requests();
    let last = rows.last_mut().unwrap();
    last.state = RequestState::Claimed;
    last.review_by = Some(samples::now() + chrono::TimeDelta::hours(3));
    let name = last.credential.clone();
    let mut bench = Bench::new(ScreenId::Approvals, 120, 30);
    let id = bench.asked(|call| matches!(call, Call::Requests { .. }));
    let total = rows.len() as u64;
    let page = Page {
        items: rows,
        next: None,
        total,
        sequence: 918_204,
    };
    bench.answer(id, Reply::Requests(page));
    let text = bench.text();
    let first = text
        .lines()
        .find(|line| line.contains('▸') || line.contains('▸'));
    let glass = text.lines().position(|line| line.contains("GLASS BROKEN"));
    let other = text
        .lines()
        .position(|line| line.contains("kms-root/decrypt"));
    assert!(glass < other && glass.is_some(), "{name} {first:?}\n{text}");
}

#[test]
fn ten_thousand_scopes_are_read_to_the_end_or_not_signed() {
    let mut detail = samples::detail();
    detail.plan.scopes = (0..10_000).map(|n| format!("db:read:t{n}")).collect();
    detail.changes.clear();
    detail.digest = countersign::wire::plan_digest(&detail.plan);
    let mut bench = Bench::review(detail, 80, 24);
    let text = bench.text();
    assert_eq!(text.lines().count(), 24, "{text}");
    let why = bench.refused(ActKind::Approve).expect("locked");
    assert!(why.contains("of 10001 scopes"), "{why}");
    bench.press("end");
    let why = bench.refused(ActKind::Approve).expect("locked still");
    assert!(why.contains("scopes were not on the screen"), "{why}");
    assert_eq!(bench.refused(ActKind::Deny), None);
}

#[test]
fn an_approval_that_no_longer_counts_is_marked_in_queue_and_review() {
    for (columns, rows) in SIZES {
        let mut detail = samples::detail();
        detail.row.void = 1;
        detail.approvals = samples::hostile_detail().approvals;
        detail.approvals[0].void = Some("no longer in security".into());
        let mut queue = Bench::approvals(columns, rows);
        let item = FeedItem {
            revocation: None,
            rotation: None,
            event: samples::event(918_205, 0, "approval.voided", "payments/ledger-db", "root"),
            credential: None,
            request: Some(RequestRow {
                sequence: 918_205,
                ..detail.row.clone()
            }),
        };
        queue.event(&Event::Feed(Box::new(item)));
        assert!(queue.text().contains("▲0/2"), "{}", queue.text());
        let bench = Bench::review(detail, columns, rows);
        let text = bench.text();
        assert!(
            text.contains("APPROVALS LOST  tomo.s's (no longer in security)"),
            "{text}"
        );
    }
}

#[test]
fn a_request_that_moved_on_says_so_and_is_read_again() {
    let mut bench = Bench::review(samples::detail(), 80, 24);
    let mut row = samples::detail().row;
    row.sequence = 918_205;
    row.approvals = 1;
    let item = FeedItem {
        revocation: None,
        rotation: None,
        event: samples::event(918_205, 0, "approval.given", "payments/ledger-db", "tomo.s"),
        credential: None,
        request: Some(row.clone()),
    };
    bench.event(&Event::Feed(Box::new(item)));
    assert_eq!(
        bench.opened().moved.as_deref(),
        Some("approval.given by tomo.s")
    );
    assert_eq!(bench.model.shared.requests[&row.id].approvals, 1);
    let id = bench.asked(|call| *call == Call::Request(row.id));
    let mut detail = samples::detail();
    detail.row = row;
    bench.answer(id, Reply::Request(Box::new(detail)));
    assert!(
        bench
            .text()
            .contains("CHANGED while you looked: approval.given by tomo.s")
    );
    let sheet = bench
        .act(ActKind::Approve)
        .map(|sheet| sheet.targets[0].sequence);
    assert!(sheet.is_none_or(|sequence| sequence == 918_205));
}

#[test]
fn the_queue_is_by_risk_and_the_cursor_stays_with_its_request() {
    let mut bench = Bench::approvals(80, 24);
    let text = bench.text();
    let order: Vec<_> = [
        "kms-root",
        "payments/ledger",
        "infra/bastion",
        "warehouse",
        "web/gh-app",
        "search/",
    ]
    .iter()
    .map(|name| {
        text.find(name)
            .unwrap_or_else(|| panic!("{name} in {text}"))
    })
    .collect();
    assert!(order.is_sorted(), "{text}");
    let screen = bench.model.screens.get(ScreenId::Approvals);
    assert_eq!(
        screen.badge(&bench.model.shared),
        Some(5),
        "the failed one waits for no decision"
    );
    bench.press("j j");
    let third = bench.model.screens.approvals.cursor;
    let mut row = samples::requests()[4].clone();
    row.risk = 100;
    row.sequence += 1_000;
    let item = FeedItem {
        revocation: None,
        rotation: None,
        event: samples::event(918_206, 0, "request.evaluated", "web/gh-app", "policy"),
        credential: None,
        request: Some(row),
    };
    bench.event(&Event::Feed(Box::new(item)));
    assert_eq!(bench.model.screens.approvals.cursor, third);
    bench.press("k");
    let ledger = samples::requests()[1].id;
    assert_eq!(
        bench.model.screens.approvals.cursor,
        Some(ledger),
        "what is above it now"
    );
    bench.press("enter J");
    assert_eq!(bench.opened().id, third.expect("it was on one"));
    bench.press("K");
    assert_eq!(bench.opened().id, ledger);
    bench.press("esc");
    assert!(bench.model.screens.approvals.open.is_none());
}

/// The queue with a burst of so many in it.
fn with_a_burst(many: u128, requester: &str, columns: u16, rows: u16) -> Bench {
    let mut bench = Bench::approvals(columns, rows);
    bench.press("r");
    let id = bench.asked(|call| matches!(call, Call::Requests { .. }));
    let items = samples::burst(many, requester);
    let (total, sequence) = (items.len() as u64, 918_204);
    let next = None;
    bench.answer(
        id,
        Reply::Requests(Page {
            items,
            next,
            total,
            sequence,
        }),
    );
    bench
}

/// The screen, with the cursor on the burst.
fn on_the_burst(mut bench: Bench) -> Bench {
    for _ in 0..12 {
        let here = |line: &str| line.contains("BURST of") && line.starts_with('▸');
        if bench.text().lines().any(here) {
            return bench;
        }
        bench.press("j");
    }
    panic!("no burst:\n{}", bench.text());
}

#[test]
fn a_burst_is_one_item_and_opens() {
    for (columns, rows) in SIZES {
        let mut bench = on_the_burst(with_a_burst(24, "export-svc", columns, rows));
        let text = bench.text();
        assert!(text.contains("BURST of 24, first 20m ago"), "{text}");
        assert!(!text.contains("exports/job-3 "), "{text}");
        bench.press("enter");
        let text = bench.text();
        assert!(text.contains("BURST of export-svc"), "{text}");
        assert!(text.contains("24 requests, each by itself"), "{text}");
        // Each is reviewed and decided on its own.
        bench.press("enter");
        bench.asked(|call| matches!(call, Call::Request(_)));
        bench.press("esc esc");
        assert!(bench.text().contains("BURST of 24"), "{}", bench.text());
        on_the_burst(bench);
    }
}

#[test]
fn a_burst_is_denied_together_as_a_plan_that_is_shown() {
    let mut bench = on_the_burst(with_a_burst(24, "export-svc", 120, 40));
    assert_eq!(bench.refused(ActKind::Deny), None);
    let sheet = bench.act(ActKind::Deny).expect("a sheet opens").clone();
    assert_eq!(sheet.targets.len(), 24);
    for (target, row) in sheet.targets.iter().zip(samples::burst(24, "export-svc")) {
        assert_eq!(target.sequence, row.sequence);
        assert!(
            sheet
                .facts
                .iter()
                .any(|fact| fact.text.contains(&format!("{}   ", row.credential)))
        );
    }
    let denied =
        |target: &countersign::console::sheet::Target| matches!(target.action, Action::Deny(..));
    assert!(sheet.targets.iter().all(denied));
    assert!(sheet.missing().is_some(), "a reason is wanted");
}

#[test]
fn the_cursor_stays_with_its_request_when_a_burst_begins() {
    let mut bench = with_a_burst(20, "export-svc", 120, 40);
    assert!(!bench.text().contains("BURST"), "twenty are none yet");
    let last = samples::burst(21, "export-svc").pop().unwrap();
    let item = FeedItem {
        revocation: None,
        rotation: None,
        event: samples::event(
            918_205,
            0,
            "request.submitted",
            "exports/job-20",
            "export-svc",
        ),
        credential: None,
        request: Some(last),
    };
    bench.press("j j j j j j");
    bench.event(&Event::Feed(Box::new(item)));
    let text = bench.text();
    let here = |line: &str| line.contains("BURST of 21") && line.starts_with('▸');
    assert!(text.lines().any(here), "{text}");
}

#[test]
fn ten_thousand_in_one_burst_stay_quick_and_hostile_names_are_shown() {
    let begun = Instant::now();
    let mut bench = on_the_burst(with_a_burst(10_000, "ex\u{202e}port\u{1b}[2J", 80, 24));
    let text = bench.text();
    assert!(text.contains("BURST of 10000"), "{text}");
    assert!(
        !text.contains('\u{202e}') && !text.contains('\u{1b}'),
        "{text}"
    );
    for keys in ["enter", "end", "home", "j", "esc"] {
        let pressed = Instant::now();
        bench.press(keys);
        assert!(
            pressed.elapsed().as_millis() < 500,
            "{keys}: {:?}",
            pressed.elapsed()
        );
    }
    assert!(begun.elapsed().as_secs() < 20, "{:?}", begun.elapsed());
}

#[test]
fn figures_open_the_lists_behind_them() {
    for (columns, rows) in SIZES {
        let mut bench = Bench::overview(columns, rows);
        bench.press("j enter");
        assert_eq!(bench.model.current, ScreenId::Approvals);
        assert_eq!(bench.opened().id, samples::requests()[0].id);
        bench.press("-");
        assert_eq!(bench.model.current, ScreenId::Overview);
        for _ in 0..40 {
            bench.press("j");
        }
        bench.press("enter");
        assert_eq!(bench.model.current, ScreenId::Audit);
    }
    let theme = Theme::default();
    let bench = Bench::overview(80, 24);
    let look = Look::new(&bench.model.shared, &theme);
    for (columns, rows) in [(80, 21), (120, 37)] {
        let page = page(
            &samples::overview(),
            &samples::whole(),
            &look,
            columns,
            rows,
        );
        assert!(page.places.len() > 18);
        for place in &page.places {
            let Way::Jump(jump) = &place.way else {
                assert_eq!(place.way, Way::Ask(Call::OverdueReviews));
                continue;
            };
            let filter = jump.filter.as_deref().unwrap_or_default();
            let read = match jump.screen {
                ScreenId::Credentials => Filter::parse_for::<CredentialRow>(filter),
                ScreenId::Audit => Filter::parse_for::<EventRecord>(filter),
                _ => Filter::parse_for::<RequestRow>(filter),
            };
            assert!(read.is_ok(), "{}: {filter}: {read:?}", place.key);
            // What can be opened begins with a blank, where the cursor goes.
            let line = page.lines[place.line].to_string();
            assert_eq!(line.chars().nth(place.column), Some(' '), "{line}");
        }
    }
}

#[test]
fn what_somebody_holds_is_a_page_from_every_row_that_names_them() {
    let held = || Reply::HeldBy(Box::new(samples::held::held()));
    for (columns, rows) in SIZES {
        // The queue, before a request is opened.
        let mut bench = Bench::approvals(columns, rows);
        let requester = samples::requests()[0].requester.clone();
        bench.press("o");
        bench.event(&Event::Choice('2'));
        let id = bench.asked(|call| *call == Call::HeldBy(requester.clone()));
        assert!(
            bench.model.overlay.is_none(),
            "nothing opens before the answer"
        );
        bench.answer(id, held());
        insta::assert_snapshot!(format!("holdings-{columns}x{rows}"), bench.whole());
        let said = page_over(&bench);
        for part in [
            "WHAT ravi.p HOLDS",
            "ravi.p, Ravi Patel: a person.",
            "production: viewer, approver",
            "in hardware, counts since",
            "Open requests of theirs: 1",
            "Nobody else stands for ravi.p, recon: 2 living",
            "Access reviews due of ledger, ravi.p, recon: 1",
            "ledger-api in production  tier high, living credentials: 12",
            "Living credentials that ledger, ravi.p, recon answers for: 140",
            "and 139 more",
            "countersign operator offboard ravi.p",
        ] {
            assert!(said.contains(part), "{part} in\n{said}");
        }
        // Whoever is asked for by name, from anywhere.
        let mut bench = Bench::overview(columns, rows);
        bench.press(":");
        bench.event(&Event::Edit(Edit::Paste("operator ledger".into())));
        bench.press("enter");
        let id = bench.asked(|call| *call == Call::HeldBy("ledger".into()));
        let mut team = samples::held::held();
        team.account = None;
        team.name = "ledger".into();
        bench.answer(id, Reply::HeldBy(Box::new(team)));
        assert!(bench.whole().contains("No account is called ledger"));
        // Nobody of that name.
        let mut bench = Bench::audit(columns, rows);
        bench.press(":");
        bench.event(&Event::Edit(Edit::Paste("operator nobody".into())));
        bench.press("enter");
        let id = bench.asked(|call| *call == Call::HeldBy("nobody".into()));
        let mut none = samples::held::held();
        none.name = "nobody".into();
        none.account = None;
        (none.clients.total, none.credentials.total) = (0, 0);
        bench.answer(id, Reply::HeldBy(Box::new(none)));
        assert!(bench.model.overlay.is_none());
        let told = &bench.model.shared.toasts.last().expect("it says so").text;
        assert_eq!(told, "nobody here is called nobody, and nothing is theirs");
    }
}

#[test]
fn hostile_names_on_the_page_of_holdings_are_shown_and_not_obeyed() {
    for (columns, rows) in SIZES {
        let mut held = samples::held::held();
        held.name = samples::HOSTILE.into();
        held.owners = vec![samples::HOSTILE.into()];
        if let Some(account) = &mut held.account {
            account.operator.display_name = samples::HOSTILE.into();
            account.approvals[0].credential = samples::HOSTILE.into();
        }
        held.clients.rows[0].name = samples::HOSTILE.into();
        held.reviews.rows[0].owner = samples::HOSTILE.into();
        let mut bench = Bench::approvals(columns, rows);
        bench.press("o");
        bench.event(&Event::Choice('2'));
        let id = bench.asked(|call| matches!(call, Call::HeldBy(_)));
        bench.answer(id, Reply::HeldBy(Box::new(held)));
        let mut text = bench.whole();
        for _ in 0..4 {
            bench.press("ctrl-d");
            text += &bench.whole();
        }
        let hidden = |c: char| c != '\n' && countersign::display::sanitize::is_hidden(c);
        assert!(!text.contains(hidden), "{text}");
        assert!(text.contains("⟨U+202E⟩") && text.contains("␛[2J"), "{text}");
    }
}

#[test]
fn overdue_reviews_are_a_line_of_the_overview_that_opens() {
    for (columns, rows) in SIZES {
        let mut bench = Bench::overview(columns, rows);
        let mut overview = samples::overview();
        overview.approvals.ending_soon = 0;
        overview.revocations.pending.clear();
        overview.degraded.clear();
        overview.issuance.failed = 0;
        bench.model.screens.overview.overview = Some(Box::new(overview));
        assert!(
            bench.text().contains("7 reviews overdue"),
            "{}",
            bench.text()
        );
        bench.press("j enter");
        let id = bench.asked(|call| *call == Call::OverdueReviews);
        bench.answer(id, Reply::Reviews(samples::held::reviews()));
        insta::assert_snapshot!(format!("reviews-{columns}x{rows}"), bench.whole());
        let said = page_over(&bench);
        for part in [
            "Overdue: 7, the longest first",
            "edge/vpn-bastion in production  owner netops, overdue",
            "and 4 more",
            "countersign review give-up NAME",
        ] {
            assert!(said.contains(part), "{part} in\n{said}");
        }
        // Where more urgent things fill the top, the figure is elsewhere too.
        let look_at = Bench::overview(columns, rows);
        let theme = Theme::default();
        let look = Look::new(&look_at.model.shared, &theme);
        let (columns, rows) = (usize::from(columns), usize::from(rows) - 3);
        let page = page(
            &samples::overview(),
            &samples::whole(),
            &look,
            columns,
            rows,
        );
        let mut there = page
            .places
            .iter()
            .filter(|place| place.way == Way::Ask(Call::OverdueReviews));
        assert!(there.any(|place| !place.key.starts_with("need:")));
    }
}

/// The page that lies over the screen, all of it.
fn page_over(bench: &Bench) -> String {
    let Some(Overlay::Page(title, lines, _)) = &bench.model.overlay else {
        panic!("no page: {:?}", bench.model.overlay);
    };
    format!("{title}\n{}", lines.join("\n"))
}

#[test]
fn an_alarm_of_the_chain_is_loud_and_stops_every_change() {
    let mut bench = Bench::review(samples::detail(), 80, 24);
    bench.model.shared.chain = samples::rolled_back();
    assert!(bench.act(ActKind::Approve).is_none());
    let why = bench.model.shared.refuses_changes().expect("read only");
    assert!(
        why.contains("ROLLBACK") && why.contains("countersign audit verify --context prod"),
        "{why}"
    );
    let mut bench = Bench::audit(80, 24);
    bench.model.shared.chain = samples::rolled_back();
    let text = bench.text();
    assert!(text.contains("ALARM ROLLBACK"), "{text}");
    assert!(
        text.contains("countersign audit verify --context prod"),
        "{text}"
    );
}

#[test]
fn audit_follows_the_newest_or_stays_with_its_record() {
    let mut bench = Bench::audit(80, 24);
    let newer = |sequence| FeedItem {
        revocation: None,
        rotation: None,
        event: samples::event(sequence, 0, "request.claimed", "warehouse/reader", "etl"),
        credential: None,
        request: None,
    };
    bench.event(&Event::Feed(Box::new(newer(918_205))));
    assert!(bench.text().contains("▸ 918,205"), "{}", bench.text());
    bench.press("j j");
    assert!(bench.text().contains("▸ 918,203"));
    bench.event(&Event::Feed(Box::new(newer(918_206))));
    assert!(bench.text().contains("▸ 918,203"));
    bench.press("i");
    assert!(matches!(bench.model.overlay, Some(Overlay::Page(..))));
    bench.model.overlay = None;
    bench.press("o");
    bench.event(&Event::Choice('1'));
    assert_eq!(bench.model.current, ScreenId::Approvals);
    bench.press("7 /");
    bench.event(&Event::Edit(Edit::Paste("type:approval".into())));
    bench.press("enter");
    bench.asked(|call| matches!(call, Call::Events { filter, .. } if filter == "type:approval"));
}

#[test]
fn records_say_whether_their_leaf_was_checked() {
    let mut bench = Bench::audit(120, 40);
    assert!(
        bench.text().contains("leaf 918203, not checked yet"),
        "{}",
        bench.text()
    );
    bench.press("j");
    assert!(bench.text().contains("leaf 918202, checked here"));
    bench.model.shared.chain = ChainState::Checking {
        checked: 10,
        size: 918_204,
    };
    assert!(bench.text().contains("checking #10 of #918,204"));
}

#[test]
fn a_policy_is_approved_once_all_of_it_was_read() {
    for (columns, rows) in [(80, 24), (120, 40)] {
        let mut bench = Bench::policy(samples::policy::proposal(), columns, rows);
        let text = bench.text();
        assert!(text.contains("1 more of security"), "{text}");
        if rows == 24 {
            let said = bench.refused(ActKind::Approve).expect("not read yet");
            assert!(said.starts_with("locked: "), "{said}");
            assert!(text.contains("lines below: ctrl-d"), "{text}");
            assert_eq!(bench.refused(ActKind::Deny), None, "no needs no reading");
        }
        for _ in 0..8 {
            bench.press("ctrl-d");
        }
        assert_eq!(bench.refused(ActKind::Approve), None);
        let sheet = bench.act(ActKind::Approve).expect("a sheet opens");
        let Action::ApprovePolicy(id, digest, Some(to_sign)) = &sheet.targets[0].action else {
            panic!("{sheet:?}");
        };
        let proposal = samples::policy::proposal();
        assert_eq!((*id, *digest), (proposal.row.id, proposal.row.digest));
        assert_eq!(to_sign.detail, proposal, "what is signed is what was shown");
        assert_eq!(sheet.missing().as_deref(), Some("still to do: 1 and 2"));
        let facts: Vec<_> = sheet.facts.iter().map(|fact| fact.text.as_str()).collect();
        let facts = facts.join("\n");
        for part in [
            "as version 3, in place of version 2",
            "cases/tiers.json  tiers.json",
            "4 of 311 decisions would differ",
            "approval 2 of 2",
        ] {
            assert!(facts.contains(part), "{part} in {facts}");
        }
        insta::assert_snapshot!(format!("policy-sheet-{columns}x{rows}"), bench.whole());
    }
}

#[test]
fn ones_own_proposal_is_explained_and_can_be_taken_back() {
    let mut own = samples::policy::proposal();
    own.may_decide = samples::policy::hostile().may_decide;
    own.row.proposed_by = samples::session().name;
    let mut bench = Bench::policy(own, 80, 24);
    for kind in [ActKind::Approve, ActKind::Deny] {
        let said = bench.refused(kind).expect("one's own");
        assert!(said.contains("you proposed this; 2 of security"), "{said}");
    }
    let sheet = bench.act(ActKind::Withdraw).expect("a sheet opens");
    assert!(matches!(sheet.targets[0].action, Action::WithdrawPolicy(_)));
}

#[test]
fn a_proposed_policy_needs_somebody_now() {
    let mut overview = samples::overview();
    overview.approvals.policies = 1;
    let proposal = samples::policy::proposal();
    overview.approvals.policy = Some(proposal.row.clone());
    let mut bench = Bench::new(ScreenId::Overview, 120, 40);
    let id = bench.asked(|call| *call == Call::Overview);
    bench.answer(id, Reply::Overview(Box::new(overview)));
    let text = bench.text();
    assert!(text.contains("1 policy proposed"), "{text}");
    assert!(text.contains("by ravi.p; 1 more must sign it"), "{text}");
    // Enter on that row opens it.
    for _ in 0..8 {
        bench.press("j enter");
        if bench.model.current == ScreenId::Policy {
            return;
        }
        bench.press("1");
    }
    panic!("enter never came to the policy");
}
