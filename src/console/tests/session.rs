//! A session goes on in time, or says in time that it will not.

use super::super::effect::{Call, CallId, Effect};
use super::super::event::{CallError, Delivery, Event, LinkState, Reply};
use super::super::fixture::{answer, now, press};
use super::super::model::Model;
use super::super::run::next_tick;
use super::super::screens::samples;
use super::super::update::update;
use super::{start, text};
use crate::wire::Session;
use chrono::{DateTime, TimeDelta, Utc};

/// Opened now for so long, by a broker whose clock is two minutes behind.
fn opened(life: TimeDelta, bound: Option<TimeDelta>) -> Session {
    let there = now() - TimeDelta::minutes(2);
    Session {
        opened_at: there,
        signed_in_at: there,
        expires_at: there + life,
        renewable_until: bound.map(|bound| there + bound),
        now: there,
        ..samples::session()
    }
}

fn with(life: TimeDelta, bound: Option<TimeDelta>) -> (Model, Session) {
    let mut model = start(80, 24);
    let session = opened(life, bound);
    let reply = Reply::Session(Box::new(session.clone()));
    update(&mut model, &Event::Reply(CallId(0), Box::new(Ok(reply))));
    (model, session)
}

/// What is shown, whatever line it is on.
fn shown(model: &Model) -> String {
    text(model).split_whitespace().collect::<Vec<_>>().join(" ")
}

fn hours(hours: i64) -> TimeDelta {
    TimeDelta::hours(hours)
}

fn at(model: &mut Model, time: DateTime<Utc>) -> Vec<Effect> {
    update(model, &Event::Tick(time))
}

fn renewals(effects: &[Effect]) -> usize {
    let renews = |effect: &&Effect| matches!(effect, Effect::Call(_, Call::Renew(_)));
    effects.iter().filter(renews).count()
}

fn refuse(model: &mut Model, delivery: Delivery, detail: &str) {
    let renews = |(_, call): &&(_, Call)| matches!(call, Call::Renew(_));
    let (id, _) = model.shared.calls.iter().find(renews).unwrap().clone();
    let error = CallError {
        delivery,
        problem: None,
        detail: detail.into(),
    };
    update(model, &Event::Reply(id, Box::new(Err(error))));
}

#[test]
fn it_goes_on_a_quarter_of_an_hour_before_its_end_and_nobody_notices() {
    let (mut model, session) = with(hours(8), Some(hours(12)));
    let due = now() + hours(8) - TimeDelta::minutes(15);
    let second = TimeDelta::seconds(1);
    assert_eq!(renewals(&at(&mut model, due - second)), 0);
    assert!(next_tick(&model) <= due, "it wakes in time");
    assert_eq!(renewals(&at(&mut model, due)), 1);
    assert_eq!(
        renewals(&at(&mut model, due + second)),
        0,
        "it is under way"
    );
    // Nothing that a person calls off.
    assert!(!press(&mut model, "<ctrl-c>").iter().any(|effect| {
        matches!(effect, Effect::Cancel(id) if model.shared.calls.iter().any(|(call, asks)| {
            call == id && matches!(asks, Call::Renew(_))
        }))
    }));
    model.interrupted = false;
    // The keys came with a time of their own.
    at(&mut model, due + second);
    model.shared.toasts.clear();
    let before = text(&model);

    let renewed = Session {
        opened_at: session.now + hours(8),
        expires_at: session.signed_in_at + hours(12),
        now: session.now + (due - now()),
        ..session.clone()
    };
    let call = Call::Renew(Box::new(session));
    answer(&mut model, &call, Reply::Session(Box::new(renewed)));
    assert_eq!(text(&model), before);
    // The bound is reached: the next end is one for a person, and is said in time.
    let end = now() + hours(12);
    assert_eq!(renewals(&at(&mut model, end - TimeDelta::minutes(25))), 0);
    assert!(!shown(&model).contains("the session ends"));
    assert_eq!(renewals(&at(&mut model, end - TimeDelta::minutes(10))), 0);
    let shown = shown(&model);
    assert!(
        shown.contains("the session ends in 10m: :login, or countersign login maya.k"),
        "{shown}"
    );
    assert!(shown.contains("12 hours after signing in"), "{shown}");
}

#[test]
fn a_short_session_goes_on_a_tenth_before_its_end() {
    let (mut model, _) = with(TimeDelta::seconds(60), Some(hours(12)));
    let due = now() + TimeDelta::seconds(54);
    assert_eq!(
        renewals(&at(&mut model, due - TimeDelta::milliseconds(1))),
        0
    );
    assert_eq!(renewals(&at(&mut model, due)), 1);
}

#[test]
fn what_may_pass_is_tried_again_and_a_key_that_wants_its_person_is_left_alone() {
    let (mut model, _) = with(hours(8), Some(hours(12)));
    let due = now() + hours(8) - TimeDelta::minutes(15);
    at(&mut model, due);
    refuse(&mut model, Delivery::NotSent, "no SSH agent answers");
    assert!(
        shown(&model).contains("the session ends in 15m"),
        "{}",
        text(&model)
    );
    assert!(
        shown(&model).contains("no SSH agent answers"),
        "{}",
        text(&model)
    );
    assert_eq!(renewals(&at(&mut model, due + TimeDelta::seconds(59))), 0);
    let minute = TimeDelta::minutes(1);
    assert_eq!(renewals(&at(&mut model, due + minute)), 1);
    refuse(
        &mut model,
        Delivery::Refused,
        "your key wants to be touched",
    );
    assert_eq!(renewals(&at(&mut model, due + minute * 5)), 0);
    assert!(
        shown(&model).contains("your key wants to be touched"),
        "{}",
        text(&model)
    );

    // The person does it from here.
    let effects = press(&mut model, ":login<enter>");
    assert!(effects.iter().any(|effect| {
        matches!(effect, Effect::Call(_, Call::SignIn(name)) if name == "maya.k")
    }));
    assert!(shown(&model).contains("touch your key"), "{}", text(&model));
    at(&mut model, due + minute * 5);
    let mut anew = opened(hours(8), Some(hours(12)));
    for time in [&mut anew.now, &mut anew.opened_at, &mut anew.expires_at] {
        *time += hours(8);
    }
    let call = Call::SignIn("maya.k".into());
    let effects = answer(&mut model, &call, Reply::Session(Box::new(anew)));
    assert!(!effects.contains(&Effect::Reload), "the stream goes on");
    let shown = shown(&model);
    assert!(shown.contains("signed in until"), "{shown}");
    assert!(!shown.contains("the session ends"), "{shown}");
}

#[test]
fn a_session_that_ended_says_why_keeps_what_was_seen_and_comes_back() {
    let (mut model, _) = with(hours(1), None);
    let end = now() + hours(1);
    let effects = at(&mut model, end);
    assert!(
        effects.contains(&Effect::Reload),
        "whoever follows finds out"
    );
    assert!(!at(&mut model, end).contains(&Effect::Reload), "once");
    let out = Event::Link(LinkState::SignedOut("this token is not valid here".into()));
    update(&mut model, &out);
    let shown = shown(&model);
    for words in [
        "signed out",
        "the session ended at 15:32:07Z (a token is not renewed)",
        ":login, or countersign login maya.k",
        "pg-ledger-rw",
    ] {
        assert!(shown.contains(words), "{words}: {shown}");
    }
    // Somebody signed in from another terminal: who it is, is asked anew.
    let effects = update(&mut model, &Event::Link(LinkState::Connecting));
    assert!(
        effects
            .iter()
            .any(|effect| matches!(effect, Effect::Call(_, Call::Session)))
    );
}
