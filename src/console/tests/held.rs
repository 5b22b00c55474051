//! What a held key costs, what a rested cursor brings, and what is painted before anything has been asked.

use super::*;
use crate::console::fixture;
use crate::console::known::Known;
use crate::console::model::{Context, Shared};
use crate::console::run::REST;
use crate::console::screens::samples;
use crate::wire::{CredentialId, Environment};

/// A live console with thousands of credentials, as far as it was painted.
fn long_list() -> Runner<Vec<u8>, Told> {
    let mut model = model((120, 40), ScreenId::Credentials);
    model.shared.calls.clear();
    model.shared.fleet = fixture::fleet(5_000);
    let mut runner = runner(model);
    runner.paint(now()).unwrap();
    feed_keys(&mut runner, "gg");
    rested(&mut runner);
    runner
}

/// Lets the cursor rest, and gives what was painted for it in bytes.
fn rested(runner: &mut Runner<Vec<u8>, Told>) -> usize {
    runner.screen.writer().clear();
    runner.rest(Instant::now() + REST).unwrap();
    runner.paint(now()).unwrap();
    runner.screen.writer().len()
}

/// What one key costs in bytes.
fn bytes_of(runner: &mut Runner<Vec<u8>, Told>, key: &str) -> usize {
    runner.screen.writer().clear();
    feed_keys(runner, key);
    runner.paint(now()).unwrap();
    runner.screen.writer().len()
}

/// The name on the detail's rule.
fn told(runner: &Runner<Vec<u8>, Told>) -> String {
    let shown = text(&runner.model);
    let rule = shown.lines().find_map(|line| line.split_once("│──"));
    let name = rule.unwrap().1.trim_start_matches([' ', '─']);
    name.split(" ─").next().unwrap().to_owned()
}

fn asked(runner: &mut Runner<Vec<u8>, Told>) -> Vec<CredentialId> {
    let effects = std::mem::take(&mut runner.world.0).into_iter();
    let id = |effect| match effect {
        Effect::Call(_, Call::Credential(id)) => Some(id),
        _ => None,
    };
    effects.filter_map(id).collect()
}

#[test]
fn while_a_key_is_held_the_list_moves_alone_and_costs_few_bytes() {
    let mut runner = long_list();
    let first = told(&runner);
    asked(&mut runner);
    for _ in 0..12 {
        let bytes = bytes_of(&mut runner, "j");
        assert!(bytes <= 60, "{bytes} bytes a move");
    }
    assert_eq!(told(&runner), first, "the detail waits, under its own name");
    feed_keys(&mut runner, &"j".repeat(30));
    runner.paint(now()).unwrap();
    for _ in 0..12 {
        let bytes = bytes_of(&mut runner, "j");
        assert!(bytes <= 250, "{bytes} bytes a scroll");
    }
    let bytes = bytes_of(&mut runner, "<pgdn>");
    assert!(bytes <= 4_000, "{bytes} bytes a page");
    assert_eq!(
        told(&runner),
        "",
        "what does not scroll with the list is blank"
    );
    assert_eq!(asked(&mut runner), [], "and nothing was asked for it");
    assert!(rested(&mut runner) > 0);
    let credentials = &runner.model.screens.credentials;
    let name = credentials.subject_name(&runner.model.shared);
    assert_eq!(told(&runner), name);
}

#[test]
fn a_rested_cursor_fills_the_detail_once() {
    let mut runner = long_list();
    asked(&mut runner);
    runner.model.shared.calls.clear();
    let before = Instant::now();
    feed_keys(&mut runner, "jjj");
    runner.paint(now()).unwrap();
    let subject = |runner: &Runner<Vec<u8>, Told>| {
        let credentials = &runner.model.screens.credentials;
        credentials.subject_name(&runner.model.shared)
    };
    assert_ne!(told(&runner), subject(&runner));
    runner.rest(before + REST).unwrap();
    assert_ne!(told(&runner), subject(&runner), "not yet");
    assert!(rested(&mut runner) > 0);
    assert_eq!(told(&runner), subject(&runner));
    assert_eq!(rested(&mut runner), 0, "once");
}

#[test]
fn a_menu_is_about_what_the_cursor_is_on_and_so_is_the_detail_beside_it() {
    let mut runner = long_list();
    feed_keys(&mut runner, "jj.");
    runner.paint(now()).unwrap();
    let credentials = &runner.model.screens.credentials;
    let name = credentials.subject_name(&runner.model.shared);
    match &runner.model.overlay {
        Some(Overlay::Menu(menu)) => assert_eq!(menu.title, format!("ACT  {name}")),
        other => panic!("no menu but {other:?}"),
    }
    runner.model.overlay = None;
    assert_eq!(told(&runner), name);
}

#[test]
fn the_first_picture_is_what_the_last_run_knew_and_says_so() {
    let context = Context {
        name: "prod".into(),
        ..Default::default()
    };
    let fresh = |minutes| now() + TimeDelta::minutes(minutes);
    let mut runner = runner(Model::new(Shared::new(context, fresh(12), (120, 40), 7)));
    let known = Known {
        at: now(),
        broker: "eu-west-1".into(),
        environment: Some(Environment::Production),
        overview: Box::new(samples::overview()),
    };
    runner.begin(Some(known), fresh(12)).unwrap();
    let shown = text(&runner.model);
    assert!(shown.starts_with("[PROD] eu-west-1 "), "{shown}");
    assert!(shown.contains("TIME TO EXPIRY"), "{shown}");
    assert!(shown.contains("12m old"), "{shown}");
    assert!(runner.model.shared.refuses_changes().is_some());
    let asks = |effect: &Effect| matches!(effect, Effect::Call(_, Call::Overview));
    assert!(
        runner.world.0.iter().any(asks),
        "the fresh one is asked for"
    );

    let call = Call::Overview;
    let overview = samples::overview();
    answer(
        &mut runner.model,
        &call,
        Reply::Overview(Box::new(overview)),
    );
    let shown = text(&runner.model);
    assert!(!shown.contains("12m old"), "{shown}");
}
