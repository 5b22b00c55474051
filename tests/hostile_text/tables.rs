//! What the command line prints for people.

use super::company::Hostile;
use super::{faults, hostile};
use crate::support::cli::{Ran, cli};

fn assert_clean(what: &str, ran: &Ran) {
    assert_eq!(faults(&ran.out), Vec::<String>::new(), "{what}");
    assert_eq!(faults(&ran.err), Vec::<String>::new(), "{what}, its errors");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_table_passes_it_on() {
    let scene = Hostile::set().await;
    let by = |args: &[&str]| {
        let ran = cli(scene.broker.url(), &scene.token, args);
        assert_clean(&format!("{args:?}"), &ran);
        ran
    };
    let mut all = String::new();
    for args in [
        &["overview"][..],
        &["request", "list"],
        &["credential", "list"],
        &["revocation", "list"],
        &["client", "list"],
        &["operator", "list"],
        &["audit", "list"],
        &["audit", "verify"],
        &["watch", "--after", "0", "-n", "60"],
    ] {
        all += &by(args).expect(0).out;
    }
    for id in &scene.waiting {
        let shown = by(&["request", "show", id]).expect(0).out;
        assert!(shown.contains("mark"), "the reason is shown:\n{shown}");
        all += &shown;
    }
    for name in &scene.credentials {
        all += &by(&["credential", "show", name]).expect(0).out;
    }
    for number in 0..hostile().len() {
        assert!(
            all.contains(&format!("mark{number:02}")),
            "{number} is somewhere"
        );
    }
    for mark in ["␛", "⟨U+009B⟩", "⟨U+202E⟩", "⟨U+200B⟩", "␇"] {
        assert!(all.contains(mark), "{mark} in place of what it stands for");
    }
}

/// What is typed comes back in messages.
#[tokio::test(flavor = "multi_thread")]
async fn no_message_passes_it_on() {
    let scene = Hostile::set().await;
    for (_, text) in hostile() {
        let text = text.replace('\0', "");
        for args in [
            &["request", "show", &text][..],
            &["credential", "show", &text],
            &["credential", "list", "--filter", &text],
            &["client", "offboard", &text, "--reason", &text],
            &["operator", "token", &text, "--show"],
            &["--context", &text, "overview"],
        ] {
            let ran = cli(scene.broker.url(), &scene.token, args);
            assert_ne!(ran.code, 0, "{args:?}: {ran:?}");
            assert_clean(&format!("{args:?}"), &ran);
        }
        let withdraw = ["request", "withdraw", &scene.waiting[0], "--reason", &text];
        assert_clean(
            "withdraw",
            &cli(scene.broker.url(), &scene.token, &withdraw),
        );
    }
}
