//! Keys in, model, effects and pictures out.

use super::backend::{Options, Pace, Screen};
use super::effect::{Action, Call, Effect};
use super::event::{CallError, Delivery, Event, LinkState, Reply};
use super::fixture::{answer, credential, credentials, model, now, over, press};
use super::input::{Input, Key, Mods, Paste};
use super::keys::script;
use super::model::{Model, Outcome, Overlay};
use super::record::Recording;
use super::run::{Incoming, Runner, World, next_tick};
use super::screens::ScreenId;
use super::theme::Theme;
use super::update::update;
use super::view::view;
use crate::config::Notify;
use crate::wire::{EventRecord, FeedItem, Receipt};
use chrono::TimeDelta;
use ratatui::buffer::Buffer;
use std::time::Instant;

mod held;
mod session;

fn start(width: u16, height: u16) -> Model {
    let mut model = model((width, height), ScreenId::Credentials);
    // What other screens asked for when the link came is not the matter here.
    model
        .shared
        .calls
        .retain(|(_, call)| matches!(call, Call::Credential(_)));
    press(&mut model, "jjj");
    if let Some((_, Call::Credential(id))) = model.shared.calls.last().cloned()
        && id != credential().row.id
    {
        let mut other = credential();
        other.row = credentials().into_iter().find(|row| row.id == id).unwrap();
        answer(
            &mut model,
            &Call::Credential(id),
            Reply::Credential(Box::new(other)),
        );
        update(&mut model, &Event::Tick(now()));
    }
    press(&mut model, "j");
    model
}

/// With the cursor on pg-ledger-rw and its detail there.
fn ledger(width: u16, height: u16) -> Model {
    let mut model = start(width, height);
    press(&mut model, "/pg-ledger<enter>");
    while let Some((_, call)) = model.shared.calls.last().cloned() {
        let Call::Credential(id) = call else {
            panic!("only details are asked for: {call:?}")
        };
        let mut detail = credential();
        if id != detail.row.id {
            detail.row = credentials().into_iter().find(|row| row.id == id).unwrap();
        }
        answer(&mut model, &call, Reply::Credential(Box::new(detail)));
        update(&mut model, &Event::Tick(now()));
    }
    model
}

fn drawn(model: &Model) -> Buffer {
    let (width, height) = model.shared.size;
    let mut screen = Screen::new(Vec::new(), width, height, Options::default(), Pace::off());
    let mut shown = None;
    let draw = |frame: &mut super::backend::Frame<'_>| {
        view(model, frame, &Theme::default());
        shown = Some(frame.buffer.clone());
    };
    screen.draw(Instant::now(), draw).unwrap();
    shown.unwrap()
}

/// The glyphs, and below them the styles as runs, which ratatui's own text leaves out.
fn picture(model: &Model) -> String {
    let buffer = drawn(model);
    let (mut glyphs, mut styles) = (String::new(), String::new());
    for y in 0..buffer.area.height {
        let mut line = String::new();
        let mut runs: Vec<(String, u16)> = Vec::new();
        for x in 0..buffer.area.width {
            let cell = &buffer[(x, y)];
            line.push_str(cell.symbol());
            let style = cell.style();
            let colour = style.fg.filter(|fg| *fg != ratatui::style::Color::Reset);
            let name = colour.map_or_else(String::new, |fg| format!("{fg}"));
            let name = format!("{name}{:?}", style.add_modifier)
                .replace("NONE", "")
                .replace(" | ", "+");
            match runs.last_mut() {
                Some((last, count)) if *last == name => *count += 1,
                _ => runs.push((name, 1)),
            }
        }
        glyphs.push_str(line.trim_end());
        glyphs.push('\n');
        let runs: Vec<_> = runs
            .iter()
            .map(|(name, count)| format!("{count}{name}"))
            .collect();
        styles.push_str(&runs.join(" "));
        styles.push('\n');
    }
    format!("{glyphs}---\n{styles}")
}

fn text(model: &Model) -> String {
    let shown = picture(model);
    shown.split("---\n").next().unwrap().to_owned()
}

fn event(kind: &str, sequence: u64) -> FeedItem {
    let mut row = credential().row;
    row.sequence = sequence;
    row.expires_at = Some(now() + TimeDelta::days(90));
    let record: EventRecord = serde_json::from_value(serde_json::json!({
        "sequence": sequence, "at": now(), "type": kind, "subject": row.id, "subject_name": row.name,
        "actor": {"name": "tomo.s"}, "request_id": "r-2", "data": {},
    }))
    .unwrap();
    FeedItem {
        revocation: None,
        rotation: None,
        event: record,
        credential: Some(row),
        request: None,
    }
}

fn sheet(model: &Model) -> &super::sheet::Sheet {
    match &model.overlay {
        Some(Overlay::Sheet(sheet)) => sheet,
        other => panic!("no sheet but {other:?}"),
    }
}

fn acts(effects: &[Effect]) -> Vec<&super::effect::ActCall> {
    let act = |effect| match effect {
        &Effect::Call(_, Call::Act(ref act)) => Some(act),
        _ => None,
    };
    effects.iter().filter_map(act).collect()
}

#[test]
fn pictures() {
    for (width, height) in [(80, 24), (120, 40)] {
        let model = ledger(width, height);
        let shot = |name: &str, keys: &str| {
            let mut model = model.clone();
            press(&mut model, keys);
            insta::assert_snapshot!(format!("{name}_{width}x{height}"), picture(&model));
        };
        insta::assert_snapshot!(
            format!("list_{width}x{height}"),
            picture(&start(width, height))
        );
        shot("filtered", "");
        shot("detail", "<enter>");
        shot("help", "?");
        shot("palette", ":leak");
        shot("act_menu", ".");
        shot("which_version", ".x");
        shot("sheet", ".f");
        shot("sheet_ready", ".fleaked in INC-5521<tab>pg-ledger-rw");
        shot("prompt_error", "/env<backspace>v<colour:");
    }
}

#[test]
fn no_single_key_changes_anything_and_enter_never_commits() {
    let mut model = ledger(80, 24);
    for key in super::command::Command::ALL
        .iter()
        .flat_map(|command| command.default_keys())
    {
        let mut model = model.clone();
        let effects = press(&mut model, &format!("<{key}>"));
        assert_eq!(acts(&effects).len(), 0, "{key}");
    }
    let effects = press(
        &mut model,
        ".f<enter><enter><ctrl-y>because<tab>pg-ledger-rw<enter><enter>",
    );
    assert_eq!(acts(&effects), Vec::<&super::effect::ActCall>::new());
    assert_eq!(sheet(&model).missing(), None);
    let effects = press(&mut model, "<ctrl-y>");
    let sent = acts(&effects);
    assert_eq!(sent.len(), 1);
    assert_eq!(sent[0].action, Action::Quarantine(credential().row.id));
    assert_eq!(
        (sent[0].if_match, sent[0].reason.as_str()),
        (900_005, "because")
    );
    assert_eq!(
        acts(&press(&mut model, "<ctrl-y>")).len(),
        0,
        "not twice while it is under way"
    );
}

#[test]
fn the_production_name_is_typed_not_pasted() {
    let mut model = ledger(80, 24);
    press(&mut model, ".fbecause<tab>");
    update(
        &mut model,
        &Event::Edit(super::edit::Edit::Paste("pg-ledger-rw".into())),
    );
    assert!(text(&model).contains("typed, not pasted"));
    assert_eq!(sheet(&model).missing().unwrap(), "still to do: 2");
}

#[test]
fn a_sheet_says_when_its_object_has_moved_on() {
    let mut model = ledger(80, 24);
    press(&mut model, ".fbecause<tab>pg-ledger-rw");
    update(
        &mut model,
        &Event::Feed(Box::new(event("credential.quarantined", 900_200))),
    );
    let effects = press(&mut model, "<ctrl-y>");
    assert!(acts(&effects).is_empty());
    let shown = text(&model)
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ");
    assert!(
        shown.contains("credential.quarantined by tomo.s"),
        "{shown}"
    );
}

#[test]
fn the_cursor_follows_the_credential_and_lists_freeze_under_a_sheet() {
    let mut model = start(80, 24);
    let name = |model: &Model| model.screens.credentials.subject_name(&model.shared);
    let before = name(&model);
    assert_eq!(before, "pg-ledger-rw");
    press(&mut model, ".");
    let frozen = text(&model);
    update(
        &mut model,
        &Event::Feed(Box::new(event("credential.renewed", 900_300))),
    );
    update(&mut model, &Event::Tick(now()));
    assert_eq!(
        text(&model).lines().nth(5),
        frozen.lines().nth(5),
        "nothing moves under a menu"
    );
    press(&mut model, "<esc>");
    assert_eq!(name(&model), before);
    press(&mut model, "k");
    assert_eq!(
        name(&model),
        "kafka-mirror-tls",
        "it ends in 90 days now, so it stands after this one"
    );
}

#[test]
fn a_lost_link_says_what_is_not_known_and_settles_it_by_the_same_key() {
    let mut model = ledger(80, 24);
    let effects = press(&mut model, ".fbecause<tab>pg-ledger-rw<ctrl-y>");
    let first = acts(&effects)[0].clone();
    let id = model.shared.calls.last().unwrap().0;
    let lost = CallError {
        delivery: Delivery::Unknown,
        problem: None,
        detail: "the connection broke".into(),
    };
    update(&mut model, &Event::Reply(id, Box::new(Err(lost))));
    let away = LinkState::Offline {
        since: now(),
        retry_at: now(),
        why: "gone".into(),
    };
    update(&mut model, &Event::Link(away));
    assert!(text(&model).contains("UNKNOWN"), "{}", text(&model));
    press(&mut model, "<esc>");
    press(&mut model, "q");
    assert!(
        text(&model).contains("sent and not answered"),
        "{}",
        text(&model)
    );
    press(&mut model, "<esc>");
    let effects = update(&mut model, &Event::Link(LinkState::Live { latency_ms: 9 }));
    assert_eq!(
        acts(&effects),
        [&first],
        "the same command with the same key"
    );
    let receipt = Receipt {
        subject: first.action.subject(),
        sequence: 900_400,
        state: "quarantined".into(),
        dry_run: false,
    };
    answer(&mut model, &Call::Act(first), Reply::Receipt(receipt));
    assert!(matches!(model.shared.outbox[0].outcome, Outcome::Done(_)));
    assert_eq!(press(&mut model, "q"), [Effect::Quit]);
}

#[test]
fn stale_objects_refuse_actions_and_say_why() {
    let mut model = ledger(80, 24);
    let away = LinkState::Offline {
        since: now(),
        retry_at: now(),
        why: "gone".into(),
    };
    update(&mut model, &Event::Link(away));
    update(&mut model, &Event::Tick(now() + TimeDelta::seconds(80)));
    press(&mut model, ".f");
    assert!(
        matches!(model.overlay, Some(Overlay::Menu(_))),
        "the entry is not taken"
    );
    let shown = text(&model);
    assert!(shown.contains("not now: the broker is away"), "{shown}");
}

#[test]
fn escape_never_quits_and_ctrl_c_cancels_first() {
    let mut model = start(80, 24);
    for _ in 0..9 {
        assert!(!press(&mut model, "<esc>").contains(&Effect::Quit));
    }
    let (id, _) = model.shared.calls.last().cloned().unwrap();
    assert!(press(&mut model, "<ctrl-c>").contains(&Effect::Cancel(id)));
    let called_off = CallError {
        delivery: Delivery::Cancelled,
        problem: None,
        detail: String::new(),
    };
    model.shared.calls.clear();
    update(&mut model, &Event::Reply(id, Box::new(Err(called_off))));
    let mut idle = model.clone();
    idle.shared.link = LinkState::Connecting;
    idle.shared.calls.clear();
    assert!(!press(&mut idle, "<ctrl-c>").contains(&Effect::Quit));
    assert!(press(&mut idle, "<ctrl-c>").contains(&Effect::Quit));
}

#[test]
fn escape_and_a_key_that_arrive_together_are_both_heard() {
    let mut runner = runner(ledger(80, 24));
    feed_keys(&mut runner, "?");
    let together = Key {
        mods: Mods::ALT,
        ..Key::char('.')
    };
    runner.take(Incoming::Input(Input::Key(together))).unwrap();
    assert!(matches!(runner.model.overlay, Some(Overlay::Menu(_))));
}

/// Remembers what it was asked.
#[derive(Default)]
struct Told(Vec<Effect>, Option<String>);

impl World for Told {
    fn carry_out(&mut self, effect: Effect) {
        self.0.push(effect);
    }

    fn dump(&mut self, recording: &Recording) -> Result<String, String> {
        self.1 = Some(serde_json::to_string(recording).unwrap());
        Ok("memory".into())
    }
}

fn runner(model: Model) -> Runner<Vec<u8>, Told> {
    let (width, height) = model.shared.size;
    let screen = Screen::new(Vec::new(), width, height, Options::default(), Pace::off());
    Runner::new(model, screen, Theme::default(), Told::default())
}

fn feed_keys(runner: &mut Runner<Vec<u8>, Told>, keys: &str) {
    for key in script(keys) {
        runner.take(Incoming::Input(Input::Key(key))).unwrap();
    }
}

#[test]
fn a_recording_played_forward_is_the_session() {
    let mut runner = runner(ledger(80, 24));
    feed_keys(&mut runner, "/left<1h<enter>jjs<space>.f");
    runner.paint(now()).unwrap();
    runner
        .take(Incoming::Event(Event::Feed(Box::new(event("x", 900_300)))))
        .unwrap();
    feed_keys(&mut runner, "<esc>:dump");
    let before = runner.model.clone();
    feed_keys(&mut runner, "<enter>");
    let recording: Recording = serde_json::from_str(&runner.world.1.take().unwrap()).unwrap();
    let mut replayed = recording.replay();
    // The dump itself closes the palette that asked for it, and tells where it is.
    replayed.overlay.clone_from(&before.overlay);
    replayed.shared.toasts.clone_from(&before.shared.toasts);
    assert_eq!(replayed, before);
    assert_eq!(recording.notice(), None);
    // What `dev replay` prints is what stood there.
    let shown = super::pictures::last_screen(&recording);
    assert_eq!(shown, super::pictures::text(&drawn(&recording.replay())));
    assert!(shown.contains("pg-ledger-rw"), "{shown}");
}

#[test]
fn a_recording_says_what_it_left_out() {
    let mut model = ledger(80, 24);
    model.shared.fleet = super::fixture::fleet(super::record::FLEET_MAX + 1);
    let mut runner = runner(model);
    feed_keys(&mut runner, ":dump<enter>");
    let recording: Recording = serde_json::from_str(&runner.world.1.take().unwrap()).unwrap();
    assert!(recording.replay().shared.fleet.is_empty());
    let notice = recording.notice().expect("something was left out");
    assert!(
        notice.starts_with("20,001 credentials were left out"),
        "{notice}"
    );
    assert!(super::pictures::last_screen(&recording).ends_with(&format!("{notice}\n")));
    let told = runner
        .model
        .shared
        .toasts
        .last()
        .expect("it is said where it is");
    assert!(told.text.ends_with(&notice), "{}", told.text);
}

#[test]
fn a_leaked_key_is_looked_up_by_its_digest_and_never_written_down() {
    let mut runner = runner(ledger(80, 24));
    feed_keys(&mut runner, ":leaked<enter>");
    let secret = "ck_live_Zm9vYmFyYmF6";
    let paste = Paste {
        text: format!("  {secret}\n"),
        cut: false,
    };
    runner.take(Incoming::Input(Input::Paste(paste))).unwrap();
    assert!(text(&runner.model).contains(&"•".repeat(secret.len())));
    feed_keys(&mut runner, "<enter>");
    let digest = crate::secret::digest_of(secret);
    assert!(
        runner
            .world
            .0
            .iter()
            .any(|e| matches!(e, Effect::Call(_, Call::Lookup(d)) if *d == digest))
    );
    feed_keys(&mut runner, ":dump<enter>");
    let recording = runner.world.1.take().unwrap();
    assert!(!recording.contains("Zm9v") && recording.contains(&digest.to_string()));
    let found = Reply::Found(Some(Box::new(credentials().remove(6))));
    answer(&mut runner.model, &Call::Lookup(digest), found);
    assert_eq!(
        runner
            .model
            .screens
            .credentials
            .subject_name(&runner.model.shared),
        "legacy-smtp"
    );
}

#[test]
fn many_keys_cost_one_picture_and_nothing_new_costs_nothing() {
    let mut runner = runner(ledger(80, 24));
    runner.paint(now()).unwrap();
    runner.screen.writer().clear();
    feed_keys(&mut runner, &"jk".repeat(50));
    assert!(runner.screen.writer().is_empty());
    runner.paint(now()).unwrap();
    let bytes = runner.screen.writer().len();
    assert!(bytes < 60, "{bytes} bytes");
    runner.screen.writer().clear();
    runner.paint(now() + TimeDelta::seconds(1)).unwrap();
    runner
        .take(Incoming::Event(Event::Link(LinkState::Live {
            latency_ms: 184,
        })))
        .unwrap();
    runner.paint(now() + TimeDelta::seconds(2)).unwrap();
    assert!(
        runner.screen.writer().is_empty(),
        "nothing that is seen has changed"
    );
}

#[test]
fn an_idle_console_sleeps_until_the_minute() {
    let mut model = ledger(80, 24);
    model.shared.toasts.clear();
    assert!(next_tick(&model) - now() >= TimeDelta::seconds(4));
    model.shared.clock = true;
    assert!(next_tick(&model) - now() <= TimeDelta::seconds(1));
}

#[test]
fn why_a_credential_is_marked_is_said_in_words() {
    for (down, words) in [
        (
            0,
            &[
                "ACTIVE: version 3 is in use",
                "within the hour",
                "LATE by 9d12h",
            ][..],
        ),
        (2, &["FENCED: every version is refused"]),
        (3, &["DUE in 40m, within a day"]),
        (4, &["OVERLAP: 2 versions are accepted"]),
        (6, &["It NEVER ends", "Nobody answers for it"]),
    ] {
        let mut model = start(120, 40);
        press(&mut model, &format!("gg{}e", "j".repeat(down)));
        let said = over(&model);
        for word in words {
            assert!(said.contains(word), "{down}: {word} is not in\n{said}");
        }
    }
    let mut known = ledger(120, 40);
    press(&mut known, "e");
    assert!(over(&known).contains("refused 3 times"), "{}", over(&known));
}

#[test]
fn a_version_is_compared_with_the_one_before() {
    let mut model = ledger(120, 40);
    press(&mut model, "d");
    let said = over(&model);
    for line in [
        "v41 to v42",
        "- state      retiring",
        "+ state      active",
        "- made       ",
        "- lifetime   29d07h",
        "  request    none: it was adopted",
        "  overlap    v41 ends",
    ] {
        assert!(said.contains(line), "{line} is not in\n{said}");
    }
    let mut unknown = start(120, 40);
    press(&mut unknown, "d");
    let told = &unknown.shared.toasts.last().expect("it says why not").text;
    assert_eq!(told, "its versions are still on their way");
}

#[test]
fn what_belongs_to_a_credential_is_a_key_away() {
    let mut model = ledger(120, 40);
    press(&mut model, "o");
    let said = over(&model);
    for line in [
        "1 client  everything that ledger-api uses",
        "3 requests",
        "4 audit trail",
    ] {
        assert!(said.contains(line), "{line} is not in\n{said}");
    }
    press(&mut model, "1");
    assert_eq!(model.current, ScreenId::Credentials);
    assert!(
        text(&model).contains("client=\"ledger-api\""),
        "{}",
        text(&model)
    );
    press(&mut model, "o");
    let effects = press(&mut model, "4");
    assert_eq!(model.current, ScreenId::Audit);
    let id = credential().row.id;
    let asked = format!("subject={id}");
    assert!(
        effects.iter().any(|effect| matches!(effect, Effect::Call(_, Call::Events { filter, .. }) if *filter == asked)),
        "{effects:?}"
    );
}

#[test]
fn a_key_that_means_nothing_somewhere_says_why() {
    use super::command::{Command, Group};
    for screen in ScreenId::ALL {
        let model = super::fixture::model((120, 40), *screen);
        for command in Command::ALL {
            if command.group() == Group::Console {
                continue;
            }
            if let Err(why) = super::update::available(*command, &model) {
                let vague = ["not on this screen", "nothing of the kind on this screen"];
                assert!(
                    !vague.contains(&why.as_str()),
                    "{screen:?} {command:?}: {why}"
                );
            }
        }
    }
}

#[test]
fn the_enforcement_of_a_revocation_is_fetched_as_soon_as_it_is_heard_of() {
    let mut model = ledger(120, 40);
    let mut detail = credential();
    detail.row.state = crate::wire::CredentialState::Revoked;
    let revocation = crate::wire::RevocationRow {
        id: crate::wire::RevocationId::from_bits(7),
        credential: detail.row.id,
        credential_name: detail.row.name.clone(),
        versions: vec![41, 42],
        whole: true,
        reason: "leaked".into(),
        by: "maya.k".into(),
        effective_at: now(),
        enforcement: crate::wire::Enforcement::Pending {
            attempts: 0,
            last_error: None,
        },
        state: crate::wire::RevocationState::Effective,
        gateways: 0,
        applied: 0,
        proven: 0,
        late: 0,
        propagated_at: None,
        time_to_revoke_ms: None,
        since: 900_400,
        sequence: 900_400,
    };
    detail.row.sequence = 900_400;
    detail.revocations = vec![revocation.clone()];
    // The list's row comes first, by the stream; then the detail that it makes necessary.
    let mut item = event("revocation.effective", 900_400);
    item.event.subject = revocation.id.to_string();
    update(&mut model, &Event::Feed(Box::new(item)));
    update(&mut model, &Event::Tick(now()));
    let call = Call::Credential(detail.row.id);
    answer(
        &mut model,
        &call,
        Reply::Credential(Box::new(detail.clone())),
    );
    press(&mut model, "<enter>");
    assert!(
        text(&model).contains("its issuer is being told"),
        "{}",
        text(&model)
    );

    // The enforcement changes no row of the list: the event alone says that there is news.
    let mut item = event("revocation.enforced", 900_401);
    item.event.subject = revocation.id.to_string();
    item.credential = None;
    update(&mut model, &Event::Feed(Box::new(item)));
    let effects = update(&mut model, &Event::Tick(now()));
    assert!(
        effects
            .iter()
            .any(|effect| matches!(effect, Effect::Call(_, asked) if *asked == call)),
        "{effects:?}"
    );
    detail.revocations[0].enforcement = crate::wire::Enforcement::Enforced {
        at: now(),
        proven: true,
    };
    answer(&mut model, &call, Reply::Credential(Box::new(detail)));
    assert!(text(&model).contains("proven there"), "{}", text(&model));
}

#[test]
fn the_environment_is_said_where_no_setting_names_it() {
    let mut model = start(80, 24);
    let row = |model: &Model| text(model).lines().next().unwrap().to_owned();
    let session = model.shared.session.as_mut().unwrap();
    session.environment = None;
    assert!(row(&model).starts_with("[PROD] "), "{}", row(&model));
    let session = model.shared.session.as_mut().unwrap();
    let roles = session.roles.values().next().unwrap().clone();
    session
        .roles
        .insert(crate::wire::Environment::Staging, roles);
    assert!(row(&model).starts_with("[PROD+STG] "), "{}", row(&model));
    model.shared.session = None;
    assert!(row(&model).starts_with("[no env] "), "{}", row(&model));
}

#[test]
fn why_the_broker_is_away_stands_on_the_screen() {
    let mut model = start(80, 24);
    let away = |why: &str| {
        Event::Link(LinkState::Offline {
            since: now(),
            retry_at: now() + TimeDelta::seconds(8),
            why: why.into(),
        })
    };
    let why = "cannot trust the broker at https://localhost:1: its certificate has expired";
    update(&mut model, &away(why));
    let shown = text(&model);
    let flat: Vec<&str> = shown.split_whitespace().collect();
    let flat = flat.join(" ");
    assert!(
        flat.contains(&format!("{why}. Tried again at 14:32:15Z; r tries now")),
        "{shown}"
    );
    // However much is said, the screen is not gone, and nothing of it is obeyed.
    update(&mut model, &away(&"\u{1b}[2J ".repeat(500)));
    assert!(text(&model).contains("credentials"), "{}", text(&model));
    assert!(!text(&model).contains('\u{1b}'));
}

#[test]
fn long_words_of_a_record_keep_their_gutter_on_every_line() {
    for (width, height) in [(80, 24), (120, 40)] {
        let mut model = super::fixture::model((width, height), ScreenId::Credentials);
        press(&mut model, "7");
        let mut page = super::screens::samples::log::page();
        let words = "word ".repeat(120);
        page.items[0].data = serde_json::json!({"reason": words});
        let call = model
            .shared
            .calls
            .iter()
            .find(|(_, call)| matches!(call, Call::Events { .. }))
            .map(|(_, call)| call.clone())
            .unwrap();
        answer(&mut model, &call, Reply::Events(page));
        press(&mut model, "<enter>");
        let shown = text(&model);
        let words: Vec<&str> = shown
            .lines()
            .filter(|line| line.contains("word word"))
            .collect();
        assert!(words.len() > 5, "{shown}");
        for line in words {
            let before = line.split("word").next().unwrap();
            assert!(before.contains('▏'), "{line}\n{shown}");
        }
    }
}

#[test]
fn help_is_on_the_last_row_of_every_screen() {
    for size in [(80, 24), (120, 40)] {
        for screen in ScreenId::ALL {
            let shown = text(&super::fixture::model(size, *screen));
            let last = shown.lines().last().unwrap();
            assert!(last.ends_with(": cmd  ? help"), "{screen:?}: {last}");
        }
    }
}

#[test]
fn a_broken_glass_is_loud_on_every_console() {
    for (notify, asked) in [
        (Notify::Off, ""),
        (
            Notify::Osc9,
            "\x1b]9;countersign: GLASS BROKEN by jlin: x; y",
        ),
        (
            Notify::Osc777,
            "\x1b]777;notify;countersign;GLASS BROKEN by jlin: x, y",
        ),
    ] {
        let mut runner = runner(ledger(80, 24));
        runner.notify = notify;
        let mut item = event("x", 900_300);
        item.event.kind = "request.glass_broken".into();
        item.event.actor.name = "jlin".into();
        item.event.subject = "x; y\x1b[2J".into();
        runner
            .take(Incoming::Event(Event::Feed(Box::new(item))))
            .unwrap();
        runner.paint(now()).unwrap();
        let shown = text(&runner.model);
        assert!(shown.contains("GLASS BROKEN by jlin"), "{shown}");
        let written = String::from_utf8(std::mem::take(runner.screen.writer())).unwrap();
        assert!(written.contains('\x07'), "it rings: {written:?}");
        assert!(
            written.contains("\x1b]2;countersign: GLASS BROKEN"),
            "{written:?}"
        );
        assert!(written.contains(asked), "{written:?}");
        assert_eq!(written.contains("\x1b]9;"), notify == Notify::Osc9);
        assert_eq!(written.contains("\x1b]777;"), notify == Notify::Osc777);
        let hostile = written.matches("\x1b[2J").count();
        assert!(
            hostile <= 1,
            "what they wrote never clears the screen: {written:?}"
        );
    }
}
