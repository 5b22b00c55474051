//! Revocations and gateways: what is stuck is seen first, nothing open is left out, and nothing moves under a menu.

use super::{Bench, snap};
use countersign::console::command::ActKind;
use countersign::console::edit::Edit;
use countersign::console::effect::{Action, Call, Effect};
use countersign::console::event::{CallError, Delivery, Event, LinkState, Reply};
use countersign::console::model::Overlay;
use countersign::console::screens::samples::revocations as samples;
use countersign::console::screens::{Screen as _, ScreenId};
use countersign::console::theme::{Theme, ThemeName};
use countersign::wire::columns::Block;
use countersign::wire::{
    Environment, FeedItem, GatewayRow, ListHeader, Page, RevocationDetail, RevocationId,
    RevocationRow, RevocationState, Role,
};
use std::time::Instant;

impl Bench {
    /// The screen with these rows and gateways, and the cursor's detail there.
    fn revocations(
        rows: Vec<RevocationRow>,
        detail: Option<RevocationDetail>,
        gateways: Page<GatewayRow>,
        columns: u16,
        height: u16,
    ) -> Self {
        let mut bench = Self::new(ScreenId::Revocations, columns, height);
        let open = bench.asked(is_open_call);
        let all = bench.asked(|call| is_list_call(call) && !is_open_call(call));
        bench.answer(open, Reply::Revocations(samples::page(Vec::new())));
        bench.answer(all, Reply::Revocations(samples::page(rows)));
        let asked = bench.asked(|call| *call == Call::Gateways);
        bench.answer(asked, Reply::Gateways(gateways));
        bench.tick();
        if let Some(detail) = detail {
            let id = bench.asked(|call| *call == Call::Revocation(detail.row.id));
            bench.answer(id, Reply::Revocation(Box::new(detail)));
        }
        bench.tick();
        bench
    }

    fn stuck(columns: u16, rows: u16) -> Self {
        let detail = Some(samples::detail());
        Self::revocations(samples::rows(), detail, samples::gateways(), columns, rows)
    }

    fn with_detail(detail: RevocationDetail, columns: u16, height: u16) -> Self {
        let rows = vec![detail.row.clone()];
        Self::revocations(rows, Some(detail), samples::gateways(), columns, height)
    }

    pub(super) fn hostile_revocations(columns: u16, rows: u16) -> Self {
        Self::with_detail(samples::hostile_detail(), columns, rows)
    }

    pub(super) fn tick(&mut self) {
        let now = self.model.shared.now;
        self.event(&Event::Tick(now));
    }

    fn order(&self) -> Vec<String> {
        let rows = self.model.screens.revocations.export(&self.model.shared);
        let (_, text) = rows.unwrap_or_default();
        text.lines()
            .map(|line| {
                serde_json::from_str::<RevocationRow>(line)
                    .unwrap()
                    .credential_name
            })
            .collect()
    }
}

fn is_list_call(call: &Call) -> bool {
    matches!(call, Call::Revocations { .. })
}

fn is_open_call(call: &Call) -> bool {
    matches!(call, Call::Revocations { filter, .. } if filter.contains("propagating"))
}

fn none() -> Page<GatewayRow> {
    Page {
        items: Vec::new(),
        next: None,
        total: 0,
        sequence: 1,
    }
}

fn fed(row: RevocationRow) -> Event {
    let mut event = super::samples::event(918_300, 0, "revocation.applied", "svc", "gateways");
    event.subject = row.id.to_string();
    Event::Feed(Box::new(FeedItem {
        event,
        credential: None,
        request: None,
        revocation: Some(row),
        rotation: None,
    }))
}

#[test]
fn they_look_as_they_did() {
    snap("revocations", Bench::stuck);
    snap("revocations-opened", |columns, rows| {
        let mut bench = Bench::stuck(columns, rows);
        bench.press("enter");
        bench
    });
    snap("revocations-issuer", |columns, rows| {
        let mut bench = Bench::stuck(columns, rows);
        bench.press("j");
        bench.event(&Event::Rested);
        let detail = samples::refused_by_issuer();
        let id = bench.asked(|call| *call == Call::Revocation(detail.row.id));
        bench.answer(id, Reply::Revocation(Box::new(detail)));
        bench
    });
    snap("revocations-long", |columns, rows| {
        Bench::with_detail(samples::long_detail(), columns, rows)
    });
    snap("revocations-hostile", Bench::hostile_revocations);
    snap("revocations-gateways", |columns, rows| {
        let mut bench = Bench::stuck(columns, rows);
        bench.press("tab");
        bench
    });
    snap("revocations-empty", |columns, rows| {
        Bench::revocations(Vec::new(), None, none(), columns, rows)
    });
    snap("revocations-error", |columns, rows| {
        let mut bench = Bench::new(ScreenId::Revocations, columns, rows);
        let asked = bench.asked(|call| is_list_call(call) && !is_open_call(call));
        let gateways = bench.asked(|call| *call == Call::Gateways);
        for (id, detail) in [
            (asked, "the broker answered 503 without saying why"),
            (gateways, "your roles do not reach the gateways"),
        ] {
            let error = CallError {
                delivery: Delivery::Refused,
                problem: None,
                detail: detail.into(),
            };
            bench.event(&Event::Reply(id, Box::new(Err(error))));
        }
        bench
    });
}

#[test]
fn what_is_stuck_stands_first_and_says_where_and_since_when() {
    for (columns, rows) in super::SIZES {
        let bench = Bench::stuck(columns, rows);
        assert_eq!(
            bench.order()[..3],
            ["svc-ci-deploy", "pg-ledger-rw", "kafka-mirror-tls"],
            "late, refused by its issuer, on its way; then the rest"
        );
        let text = bench.text();
        for words in [
            "3 not everywhere yet",
            "LATE at 1",
            "ISSUER FAILS",
            "11 of 12 refuse it",
            "late 06:12, goal 01:00",
            "still accepted",
            "SILENT since 14:19:40Z: queued",
            "only through syd-2",
        ] {
            assert!(text.contains(words), "{words} in {text}");
        }
    }
    // The number beside the tab is the same.
    let bench = Bench::stuck(80, 24);
    assert!(bench.whole().contains("6 Revoke 3"), "{}", bench.whole());
}

#[test]
fn an_issuer_that_refuses_is_never_hidden() {
    let mut bench = Bench::with_detail(samples::refused_by_issuer(), 80, 24);
    let text = bench.text();
    assert!(text.contains("ISSUER FAILS"), "{text}");
    assert!(text.contains("NOT withdrawn after 4 tries"), "{text}");
    assert!(text.contains("objects depend on it"), "{text}");
    assert!(text.contains("ACCEPTED somewhere"), "{text}");
    bench.press("e");
    let Some(Overlay::Page(_, lines, _)) = &bench.model.overlay else {
        panic!("no page");
    };
    let said = lines.join(" ");
    assert!(
        said.contains("NOT YET withdrawn at its issuer, 4 tries"),
        "{said}"
    );
}

#[test]
fn rows_come_with_the_stream_and_do_not_move_under_a_menu() {
    let mut bench = Bench::stuck(80, 24);
    let mut row = samples::rows().remove(0);
    row.state = RevocationState::Propagated;
    row.applied = 12;
    row.time_to_revoke_ms = Some(380_000);
    row.sequence += 1_000;
    bench.press(".");
    bench.effects.clear();
    bench.event(&fed(row.clone()));
    bench.tick();
    assert_eq!(
        bench.order()[0],
        "svc-ci-deploy",
        "it stays while the menu is open"
    );
    bench.press("esc");
    bench.tick();
    assert_eq!(bench.order()[0], "pg-ledger-rw");
    assert_eq!(
        bench.model.screens.revocations.cursor,
        Some(row.id),
        "the cursor stays with what it was on"
    );
    assert!(bench.whole().contains("6 Revoke 2"), "{}", bench.whole());
    // It has moved on, so it is read again.
    bench.asked(|call| *call == Call::Revocation(row.id));
    // An older row does not take the place of a newer one.
    let mut older = samples::rows().remove(0);
    older.sequence = 1;
    bench.event(&fed(older));
    bench.tick();
    assert!(bench.whole().contains("6 Revoke 2"), "{}", bench.whole());
}

#[test]
fn what_is_open_is_asked_for_however_old_it_is() {
    let mut bench = Bench::new(ScreenId::Revocations, 80, 24);
    let open = bench.asked(is_open_call);
    let all = bench.asked(|call| is_list_call(call) && !is_open_call(call));
    let mut rows = samples::rows();
    let old = rows.remove(0);
    bench.answer(open, Reply::Revocations(samples::page(Vec::new())));
    bench.effects.clear();
    let mut page = samples::page(rows);
    (page.next, page.total) = (Some("more".into()), 9_000);
    bench.answer(all, Reply::Revocations(page));
    let open = bench.asked(is_open_call);
    bench.answer(open, Reply::Revocations(samples::page(vec![old])));
    bench.tick();
    assert_eq!(bench.order()[0], "svc-ci-deploy");
    assert!(bench.text().contains("6 of 9,000"), "{}", bench.text());
}

#[test]
fn many_are_kept_within_bounds_and_drawn_fast() {
    let mut bench = Bench::stuck(120, 40);
    let done = samples::rows().remove(5);
    for n in 0..20_000_u128 {
        let mut row = done.clone();
        row.id = RevocationId::from_bits(1 << 100 | n);
        row.sequence = 1_000_000 + n as u64;
        bench.event(&fed(row));
    }
    bench.tick();
    let kept = bench.order();
    assert_eq!(kept.len(), 2_000);
    assert_eq!(kept[0], "svc-ci-deploy", "what is open is never let go");
    let began = Instant::now();
    for _ in 0..50 {
        bench.text();
    }
    let each = began.elapsed() / 50;
    assert!(each.as_millis() < 50, "{each:?} for a picture");
}

#[test]
fn bars_and_signs_have_a_plain_form() {
    let theme = Theme::new(ThemeName::Default, true);
    for keys in ["", "enter", "tab", "tab enter"] {
        for (columns, rows) in super::SIZES {
            let mut bench = Bench::stuck(columns, rows);
            bench.model.shared.ascii = true;
            bench.press(keys);
            let text = super::glyphs(&bench.drawn(&theme));
            assert!(text.is_ascii(), "{keys}: {text}");
        }
    }
}

#[test]
fn enter_opens_it_and_then_its_credential() {
    let mut bench = Bench::stuck(80, 24);
    bench.press("enter");
    assert!(bench.text().contains("iad-2"), "{}", bench.text());
    bench.press("ctrl-d ctrl-d ctrl-d");
    assert!(
        bench.text().contains("THEIR WORDS, UNCHECKED"),
        "{}",
        bench.text()
    );
    bench.press("enter");
    assert_eq!(bench.model.current, ScreenId::Credentials);
    bench.press("-");
    assert_eq!(bench.model.current, ScreenId::Revocations);
    bench.press("esc");
    assert!(bench.text().contains("GATEWAYS"), "{}", bench.text());
}

#[test]
fn they_are_filtered_sorted_and_found_by_their_identifier() {
    let mut bench = Bench::stuck(80, 24);
    bench.press("/");
    for typed in "by=maya.k".chars() {
        bench.event(&Event::Edit(Edit::Insert(typed)));
    }
    bench.press("enter");
    assert_eq!(bench.order(), ["pg-ledger-rw", "kafka-mirror-tls"]);
    assert_eq!(
        bench.model.screens.revocations.twin(&bench.model.shared),
        "countersign revocation list --filter 'by=maya.k'"
    );
    bench.press("esc s");
    assert_eq!(bench.order()[0], "kafka-mirror-tls", "the latest first");
    bench.press("S");
    assert_eq!(bench.order()[0], "web/gh-app");
    // One that is not in the list is asked for and shown.
    let mut far = samples::detail();
    far.row.id = RevocationId::from_bits(77);
    far.row.credential_name = "edge/long-ago".into();
    let jump = countersign::console::screens::Jump {
        screen: ScreenId::Revocations,
        id: Some(far.row.id.to_string()),
        filter: None,
    };
    bench.model.overlay = Some(Overlay::Menu(countersign::console::model::Menu {
        title: String::new(),
        entries: vec![countersign::console::model::MenuEntry {
            key: '1',
            label: String::new(),
            note: String::new(),
            refused: None,
            does: countersign::console::model::Choice::Jump(jump),
        }],
        cursor: None,
    }));
    bench.event(&Event::Choice('1'));
    let id = bench.asked(|call| *call == Call::Revocation(far.row.id));
    bench.answer(id, Reply::Revocation(Box::new(far)));
    bench.tick();
    assert!(
        bench.text().contains("edge/long-ago, all of it"),
        "{}",
        bench.text()
    );
}

fn with_roles(bench: &mut Bench, roles: &[Role]) {
    let session = bench.model.shared.session.as_mut().unwrap();
    let held = roles.iter().copied().collect();
    session.roles.insert(Environment::Production, held);
}

#[test]
fn a_gateway_goes_out_of_service_by_its_typed_name_and_an_admin_only() {
    let mut bench = Bench::stuck(80, 24);
    bench.press("tab");
    let why = bench.refused(ActKind::Fence).expect("refused");
    assert!(why.contains("needs the role admin"), "{why}");
    with_roles(&mut bench, &[Role::Admin]);
    let sheet = bench.act(ActKind::Fence).expect("a sheet opens");
    let gateway = samples::gateways().items[5].clone();
    assert_eq!(sheet.targets[0].action, Action::RemoveGateway(gateway.id));
    assert_eq!(sheet.targets[0].sequence, gateway.sequence);
    assert_eq!(sheet.missing().unwrap(), "still to do: 1 and 2");
    sheet.edit(&Edit::Insert('x'));
    sheet.step(1);
    sheet.edit(&Edit::Paste(gateway.name.clone()));
    assert_eq!(
        sheet.missing().unwrap(),
        "still to do: 2",
        "typed, not pasted"
    );
    assert!(
        bench.whole().contains("cut it off from its traffic first"),
        "{}",
        bench.whole()
    );
}

#[test]
fn what_is_left_of_a_credential_is_withdrawn_from_here() {
    let mut bench = Bench::stuck(120, 40);
    with_roles(&mut bench, &[Role::Operator]);
    let row = samples::rows().remove(2);
    let credential = samples::credentials().remove(2);
    for event in [
        Event::Reload(ListHeader {
            count: 1,
            sequence: 5,
        }),
        Event::Rows(Box::new(Block::from_rows(&[credential]))),
        Event::Loaded(true),
    ] {
        bench.event(&event);
    }
    bench.press("j j");
    assert_eq!(bench.refused(ActKind::Revoke), None);
    assert!(bench.refused(ActKind::Retry).unwrap().contains("by itself"));
    let sheet = bench.act(ActKind::Revoke).expect("a sheet opens");
    assert_eq!(
        sheet.targets[0].action,
        Action::Revoke(row.credential, None)
    );
    let acts = bench.effects.iter();
    let sent = acts.filter(|effect| matches!(effect, Effect::Call(_, Call::Act(_))));
    assert_eq!(sent.count(), 0, "nothing is sent by opening a sheet");
}

#[test]
fn a_lost_link_keeps_what_is_known_and_a_new_one_asks_for_what_was_missed() {
    let mut bench = Bench::stuck(80, 24);
    let now = bench.model.shared.now;
    bench.event(&Event::Link(LinkState::Offline {
        since: now,
        retry_at: now,
        why: "it is away".into(),
    }));
    assert!(bench.text().contains("svc-ci-deploy"), "{}", bench.text());
    bench.effects.clear();
    bench.event(&Event::Link(LinkState::Live { latency_ms: 3 }));
    bench.asked(|call| is_list_call(call) && !is_open_call(call));
}
