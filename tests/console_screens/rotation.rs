//! Rotation: what is overdue or stuck stands first, bars say what their notes say, and nothing rotates by chance.

use super::{Bench, SIZES, snap};
use countersign::console::command::ActKind;
use countersign::console::edit::Edit;
use countersign::console::effect::{Action, Call};
use countersign::console::event::{CallError, Delivery, Event, Reply};
use countersign::console::model::Overlay;
use countersign::console::screens::samples::rotation as samples;
use countersign::console::screens::{Screen as _, ScreenId, Subject};
use countersign::console::theme::{Theme, ThemeName};
use countersign::wire::columns::Block;
use countersign::wire::rotation::RotationCalendar;
use countersign::wire::{
    Environment, FeedItem, ListHeader, Role, RotationDetail, RotationId, RotationRow, RotationState,
};
use std::time::Instant;

impl Bench {
    fn rotations(
        calendar: RotationCalendar,
        detail: Option<RotationDetail>,
        columns: u16,
        rows: u16,
    ) -> Self {
        let mut bench = Self::new(ScreenId::Rotation, columns, rows);
        let asked = bench.asked(|call| matches!(call, Call::Rotations { .. }));
        bench.answer(asked, Reply::Rotations(Box::new(calendar)));
        bench.tick();
        if let Some(detail) = detail {
            bench.on(&detail.row.credential_name);
            bench.tick();
            let id = bench.asked(|call| *call == Call::Rotation(detail.row.id));
            bench.answer(id, Reply::Rotation(Box::new(detail)));
        }
        bench.tick();
        bench
    }

    fn busy(columns: u16, rows: u16) -> Self {
        Self::rotations(samples::calendar(), Some(samples::detail()), columns, rows)
    }

    pub(super) fn hostile_rotations(columns: u16, rows: u16) -> Self {
        let detail = Some(samples::hostile_detail());
        Self::rotations(samples::hostile_calendar(), detail, columns, rows)
    }

    /// Goes down until the cursor rests on the one of this name.
    fn on(&mut self, name: &str) {
        for _ in 0..60 {
            self.event(&Event::Rested);
            let shared = &self.model.shared;
            let found = |subject: &Subject| subject.name == name;
            let subject = self.model.screens.rotation.subject(shared);
            let found = subject.as_ref().is_some_and(found);
            // What was asked for on the way there is of no use.
            let calls = self.model.shared.calls.clone();
            for (id, call) in calls {
                if matches!(call, Call::Rotation(_)) && !found {
                    let error = CallError {
                        delivery: Delivery::Cancelled,
                        problem: None,
                        detail: "passed by".into(),
                    };
                    self.event(&Event::Reply(id, Box::new(Err(error))));
                }
            }
            if found {
                return;
            }
            self.press("j");
        }
        panic!("{name} is not in the list");
    }

    fn names(&self) -> Vec<String> {
        let rows = self.model.screens.rotation.export(&self.model.shared);
        let (_, text) = rows.unwrap_or_default();
        text.lines()
            .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
            .map(|row| row["credential_name"].as_str().unwrap().to_owned())
            .collect()
    }

    fn with_credentials(mut self, roles: &[Role]) -> Self {
        let rows = samples::credentials();
        for event in [
            Event::Reload(ListHeader {
                count: rows.len() as u64,
                sequence: 5,
            }),
            Event::Rows(Box::new(Block::from_rows(&rows))),
            Event::Loaded(true),
        ] {
            self.event(&event);
        }
        let session = self.model.shared.session.as_mut().unwrap();
        let held = roles.iter().copied().collect();
        session.roles.insert(Environment::Production, held);
        self
    }
}

fn fed(row: RotationRow) -> Event {
    let mut event = super::samples::event(918_300, 0, "rotation.promoted", "svc", "rotation");
    event.subject = row.id.to_string();
    Event::Feed(Box::new(FeedItem {
        event,
        credential: None,
        request: None,
        revocation: None,
        rotation: Some(row),
    }))
}

#[test]
fn they_look_as_they_did() {
    snap("rotation", Bench::busy);
    snap("rotation-opened", |columns, rows| {
        let mut bench = Bench::busy(columns, rows);
        bench.press("enter");
        bench
    });
    snap("rotation-overdue", |columns, rows| {
        Bench::rotations(samples::calendar(), None, columns, rows)
    });
    snap("rotation-calendar", |columns, rows| {
        let mut bench = Bench::busy(columns, rows);
        bench.press("tab enter");
        bench
    });
    snap("rotation-compliance", |columns, rows| {
        let mut bench = Bench::busy(columns, rows);
        bench.press("tab tab");
        bench
    });
    snap("rotation-long", |columns, rows| {
        let mut bench = Bench::rotations(samples::long_calendar(), None, columns, rows);
        bench.press("G _ _ _");
        bench
    });
    snap("rotation-hostile", Bench::hostile_rotations);
    snap("rotation-empty", |columns, rows| {
        let mut calendar = samples::calendar();
        (calendar.running, calendar.ended, calendar.planned) = Default::default();
        (calendar.planned_total, calendar.overdue) = (0, 0);
        calendar.policy_version = 0;
        Bench::rotations(calendar, None, columns, rows)
    });
    snap("rotation-error", |columns, rows| {
        let mut bench = Bench::new(ScreenId::Rotation, columns, rows);
        let asked = bench.asked(|call| matches!(call, Call::Rotations { .. }));
        let error = CallError {
            delivery: Delivery::Refused,
            problem: None,
            detail: "the broker answered 503 without saying why".into(),
        };
        bench.event(&Event::Reply(asked, Box::new(Err(error))));
        bench
    });
}

#[test]
fn what_is_late_or_came_to_nothing_stands_first() {
    for (columns, rows) in SIZES {
        let bench = Bench::rotations(samples::calendar(), None, columns, rows);
        assert_eq!(
            bench.names()[..4],
            [
                "legacy/smtp-relay",
                "edge/vpn-bastion",
                "s3-backup-hmac",
                "cart/redis-acl"
            ],
            "overdue, failing, then what came to nothing, the latest first"
        );
        let text = bench.text();
        for words in [
            "4 trouble",
            "2 running",
            "9d late",
            "openbao: se",
            "rolled back",
        ] {
            assert!(text.contains(words), "{words} in {text}");
        }
        assert!(bench.whole().contains("4 Rotat"), "{}", bench.whole());
    }
}

#[test]
fn a_running_rotation_tells_its_guard_and_who_is_on_the_older_version() {
    for (columns, rows) in SIZES {
        let text = Bench::busy(columns, rows).text();
        let flat: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
        for words in [
            "step 4 of 6",
            "goes once nobody has used it for 600 s",
            "10.9.7.0/24",
            "version 41 is in use again; version 42 is refused at once",
        ] {
            assert!(flat.contains(words), "{words} in {text}");
        }
    }
    // The reader that has moved counts for the newer version only.
    let text = Bench::busy(80, 24).text();
    assert!(text.contains("3 of 5 moved"), "{text}");
}

#[test]
fn rows_come_with_the_stream_and_do_not_move_under_a_menu() {
    let mut bench = Bench::busy(80, 24).with_credentials(&[Role::Operator]);
    let before = bench.names();
    let mut row = samples::running().remove(0);
    row.state = RotationState::Completed;
    row.ended_at = Some(bench.model.shared.now);
    row.sequence += 1_000_000;
    bench.press(".");
    bench.event(&fed(row.clone()));
    bench.tick();
    assert_eq!(bench.names(), before, "it stands still under a menu");
    bench.press("esc");
    bench.tick();
    assert_ne!(bench.names(), before);
    let subject = bench.model.screens.rotation.subject(&bench.model.shared);
    assert_eq!(
        subject.unwrap().name,
        "pg-ledger-rw",
        "the cursor stays with it"
    );
    // What begins is planned no more.
    let mut begun = samples::running().remove(1);
    begun.id = RotationId::from_bits(1 << 120);
    begun.credential = samples::planned()[1].credential;
    begun.credential_name = "kafka-mirror-tls".into();
    begun.sequence = 2_000_000;
    bench.event(&fed(begun));
    bench.tick();
    let names = bench.names();
    assert_eq!(
        names
            .iter()
            .filter(|name| *name == "kafka-mirror-tls")
            .count(),
        1
    );
}

#[test]
fn time_is_panned_and_zoomed() {
    let mut bench = Bench::busy(80, 24);
    assert!(bench.text().contains("1 cell = 30m"), "{}", bench.text());
    assert!(bench.text().contains("▼ now"), "{}", bench.text());
    bench.press("_");
    assert!(bench.text().contains("1 cell = 1h"), "{}", bench.text());
    bench.press("+ +");
    assert!(bench.text().contains("1 cell = 15m"), "{}", bench.text());
    for _ in 0..12 {
        bench.press("l");
    }
    assert!(!bench.text().contains("▼ now"), "{}", bench.text());
    bench.press("0");
    assert!(bench.text().contains("1 cell = 30m"), "{}", bench.text());
    assert!(bench.text().contains("▼ now"), "{}", bench.text());
    // Far out the range that is known does not suffice: more is asked for.
    bench.effects.clear();
    for _ in 0..9 {
        bench.press("_");
    }
    bench.press("l l l l l l");
    bench.tick();
    bench.asked(|call| matches!(call, Call::Rotations { .. }));
}

#[test]
fn it_is_rotated_and_rolled_back_by_sheets_alone() {
    let mut bench = Bench::busy(80, 24);
    assert!(bench.acts().is_empty(), "the credential is not known yet");
    bench = bench.with_credentials(&[Role::Approver]);
    let why = bench.refused(ActKind::RollBack).expect("refused");
    assert!(why.contains("needs the role operator"), "{why}");
    bench = bench.with_credentials(&[Role::Operator]);
    assert!(
        bench
            .refused(ActKind::Rotate)
            .unwrap()
            .contains("under way already")
    );
    assert!(
        bench
            .refused(ActKind::Promote)
            .unwrap()
            .contains("in use already")
    );
    let row = samples::running().remove(0);
    let sheet = bench.act(ActKind::RollBack).expect("a sheet opens");
    assert_eq!(sheet.targets[0].action, Action::RollBack(row.credential));
    assert_eq!(sheet.targets[0].sequence, 899_000, "the credential's");
    assert_eq!(sheet.missing().unwrap(), "still to do: 1 and 2");
    sheet.edit(&Edit::Insert('x'));
    sheet.step(1);
    sheet.edit(&Edit::Paste(row.credential_name.clone()));
    assert_eq!(
        sheet.missing().unwrap(),
        "still to do: 2",
        "typed, not pasted"
    );
    let text = bench.whole();
    assert!(text.contains("version 42 is refused at once"), "{text}");
    assert!(text.contains("use the newer version"), "{text}");
    bench.press("esc");
    // The one that waits to be taken can be put into use.
    bench.press("home");
    bench.on("svc-payments-oidc");
    assert_eq!(bench.refused(ActKind::Promote), None);
    let sheet = bench.act(ActKind::Promote).expect("a sheet opens");
    assert_eq!(
        sheet.missing().unwrap(),
        "still to do: 1",
        "its name is typed"
    );
    bench.press("esc");
    // The overdue one can be rotated now.
    bench.press("home");
    bench.on("legacy/smtp-relay");
    let sheet = bench.act(ActKind::Rotate).expect("a sheet opens");
    let overdue = samples::planned().remove(0);
    assert_eq!(
        sheet.targets[0].action,
        Action::Rotate(overdue.credential, None)
    );
}

#[test]
fn it_is_filtered_and_found_from_elsewhere() {
    let mut bench = Bench::busy(80, 24);
    bench.press("/");
    for typed in "overdue".chars() {
        bench.event(&Event::Edit(Edit::Insert(typed)));
    }
    bench.press("enter");
    assert_eq!(bench.names(), ["legacy/smtp-relay", "edge/vpn-bastion"]);
    bench.press("esc s");
    let names = bench.names();
    assert!(
        names[..4].is_sorted(),
        "by name within each group: {names:?}"
    );
    bench.press("enter enter");
    assert_eq!(bench.model.current, ScreenId::Credentials);
}

#[test]
fn the_weeks_ahead_show_pile_ups_and_frozen_days() {
    let mut bench = Bench::busy(80, 24);
    bench.press("tab enter");
    let text = bench.text();
    for words in [
        "142 to come, 1 overdue",
        "40▲",
        "piles up: 40 begin that day",
        "frozen: autumn sale",
    ] {
        assert!(text.contains(words), "{words} in {text}");
    }
    bench.press("esc tab enter");
    let text = bench.text();
    for words in [
        "netops",
        "78.0%",
        "on time 98.5%",
        "failed for: issuer 4, unclaimed 5",
    ] {
        assert!(text.contains(words), "{words} in {text}");
    }
    bench.press("e");
    assert!(matches!(bench.model.overlay, Some(Overlay::Page(..))));
}

#[test]
fn bars_and_signs_have_a_plain_form() {
    let theme = Theme::new(ThemeName::Default, true);
    for keys in ["", "enter", "tab", "tab tab"] {
        for (columns, rows) in SIZES {
            let mut bench = Bench::busy(columns, rows);
            bench.model.shared.ascii = true;
            bench.press(keys);
            let text = super::glyphs(&bench.drawn(&theme));
            assert!(text.is_ascii(), "{keys}: {text}");
        }
    }
    let mut bench = Bench::busy(80, 24);
    bench.model.shared.ascii = true;
    let text = super::glyphs(&bench.drawn(&theme));
    assert!(
        text.contains("####====") && text.contains("========|"),
        "{text}"
    );
}

#[test]
fn a_large_fleet_is_drawn_fast() {
    let mut bench = Bench::rotations(samples::long_calendar(), None, 120, 40);
    let began = Instant::now();
    for _ in 0..50 {
        bench.press("j");
        bench.tick();
        bench.text();
    }
    let each = began.elapsed() / 50;
    assert!(each.as_millis() < 50, "{each:?} for a key and a picture");
    assert!(
        bench.text().contains("of 97,976 to come"),
        "{}",
        bench.text()
    );
}
