//! The verbs that look, and those that concern this machine only.

use super::changes::People;
use super::{Desk, text};
use crate::support::BrokerProcess;
use crate::support::cli::run;
use serde_json::Value;

fn names(list: &Value, key: &str) -> Vec<String> {
    let rows = list.as_array().unwrap_or_else(|| panic!("rows: {list}"));
    rows.iter().map(|row| text(&row[key])).collect()
}

/// What there is, in every form that it is printed in.
pub fn lists_and_overview(desk: &mut Desk) {
    let admin = desk.admin.clone();
    assert_eq!(
        names(&desk.json(&["client", "list", "--sort", "name"]), "name"),
        ["orders-api", "reports"]
    );
    let operators = names(&desk.json(&["operator", "list"]), "name");
    assert!(operators.contains(&"maya.k".to_owned()), "{operators:?}");
    let denied = desk.json(&["request", "list", "--filter", "state:denied"]);
    assert_eq!(
        names(&denied, "credential"),
        ["reports/db", "reports/other"]
    );
    let live = desk.json(&[
        "credential",
        "list",
        "--filter",
        "!state:revoked",
        "--sort",
        "name",
    ]);
    let live = names(&live, "name");
    assert!(live.contains(&"reports/key".to_owned()), "{live:?}");
    let revocations = desk.json(&["revocation", "list"]);
    let revoked = names(&revocations, "credential_name");
    assert!(revoked.contains(&"legacy/smtp".to_owned()), "{revoked:?}");
    let id = text(&revocations[0]["id"]);
    let shown = desk.json(&["revocation", "show", &id]);
    assert_eq!(shown["row"], revocations[0]);
    the_registry(desk);
    let held = desk.json(&["operator", "show", "maya.k"]);
    assert_eq!(held["account"]["operator"]["name"], "maya.k");
    assert_eq!(held["owners"], serde_json::json!(["maya.k", "security"]));
    let held = desk.run(&admin, &["operator", "show", "maya.k"]).expect(0);
    assert!(held.out.contains("SSH keys: 1"), "{held:?}");
    // Who carries no such name, as an account or as an owner, is nobody.
    let nobody = desk.run(&admin, &["operator", "show", "nobody-at-all"]);
    assert!(
        nobody.expect(1).err.contains("nobody-at-all"),
        "it is named"
    );
    let overview = desk.json(&["overview"]);
    assert!(overview.is_object());
    for format in ["table", "ndjson", "csv"] {
        for args in [
            &["credential", "list"][..],
            &["request", "list"],
            &["revocation", "list"],
            &["client", "list"],
            &["operator", "list"],
            &["audit", "list"],
        ] {
            let ran = desk
                .run(&admin, &[args, &["-o", format]].concat())
                .expect(0);
            assert!(
                ran.out.lines().count() >= 2,
                "{args:?} as {format}: {ran:?}"
            );
            if format == "ndjson" {
                for line in ran.out.lines() {
                    serde_json::from_str::<Value>(line).unwrap();
                }
            }
        }
    }
    for args in [
        &["credential", "show", "nobody/knows"][..],
        &["request", "show", "req_00000000000000000000000000"],
        &["revocation", "show", "rvk_00000000000000000000000000"],
    ] {
        desk.run(&admin, args).expect(1);
    }
    desk.run(&admin, &["credential", "list", "--filter", "colour:red"])
        .expect(2);
}

/// What has happened is told from the beginning, for as long as the broker remembers it.
pub fn the_stream(desk: &mut Desk) {
    let admin = desk.admin.clone();
    let watched = desk
        .run(
            &admin,
            &["watch", "--after", "0", "--count", "3", "-o", "json"],
        )
        .expect(0);
    let sequences: Vec<u64> = watched
        .out
        .lines()
        .map(|line| {
            serde_json::from_str::<Value>(line).unwrap()["event"]["sequence"]
                .as_u64()
                .unwrap()
        })
        .collect();
    assert_eq!(sequences, [1, 2, 3]);
}

/// Searched, verified, exported, and the export verified by itself.
pub fn the_log(desk: &mut Desk) {
    let admin = desk.admin.clone();
    let found = desk.json(&["audit", "list", "--filter", "type:request.denied"]);
    assert_eq!(names(&found, "type"), ["request.denied", "request.denied"]);
    // The broker was started again since: what it streams begins there.
    let early = desk
        .run(&admin, &["watch", "--after", "0", "--count", "1"])
        .expect(1);
    assert!(early.err.contains("use `audit list`"), "{early:?}");
    let head = desk.settled();
    let verified = desk.json(&["audit", "verify"]);
    assert_eq!(
        (&verified["verified"], &verified["size"]),
        (&true.into(), &head.into())
    );
    let key = desk.broker.started().verifier_key.clone();
    let verified = desk.json(&["audit", "verify", "--vkey", &key]);
    assert_eq!(verified["key_from"], "given");
    let folder = desk.home.path().join("export");
    let folder = folder.to_str().unwrap().to_owned();
    let exported = desk.json(&["audit", "export", &folder, "--proof", "2"]);
    assert_eq!(exported["size"], head);
    let (entries, checkpoint) = (
        format!("{folder}/entries.ndjson"),
        format!("{folder}/checkpoint.txt"),
    );
    let offline = [
        "audit",
        "verify",
        "--entries",
        &entries,
        "--checkpoint",
        &checkpoint,
        "--vkey",
        &key,
    ];
    assert_eq!(desk.json(&offline)["size"], head);
    let whole = std::fs::read_to_string(&entries).unwrap();
    let (first, rest) = whole.split_once('\n').unwrap();
    std::fs::write(&entries, format!("{rest}{first}\n")).unwrap();
    desk.run(&admin, &offline).expect(1);
    desk.run(&admin, &["audit", "export", &folder]).expect(1);
}

/// Brokers by name, in a file of this desk.
pub fn contexts(desk: &mut Desk) {
    let admin = desk.admin.clone();
    let url = desk.broker.url().to_owned();
    for name in ["here", "there"] {
        desk.run(
            &admin,
            &[
                "context",
                "add",
                name,
                "--url",
                &url,
                "--env",
                "development",
            ],
        )
        .expect(0);
    }
    desk.run(&admin, &["context", "add", "here", "--url", &url])
        .expect(2);
    desk.run(&admin, &["context", "use", "there"]).expect(0);
    desk.run(&admin, &["context", "use", "nowhere"]).expect(2);
    let list = desk.json(&["context", "list"]);
    assert_eq!(names(&list, "name"), ["here", "there"]);
    assert_eq!(list[1]["current"], true);
    desk.run(&admin, &["overview", "--context", "here"])
        .expect(0);
    // Without a key of its own it would trust the next that comes.
    desk.run(&admin, &["context", "forget-key", "here"])
        .expect(2);
    let forget = ["context", "forget-key", "here", "--on-trust"];
    desk.run(&admin, &forget).expect(0);
    desk.run(&admin, &["context", "remove", "there"]).expect(0);
    assert_eq!(names(&desk.json(&["context", "list"]), "name"), ["here"]);
    // Looking is all that a read-only context allows.
    desk.run(
        &admin,
        &["context", "add", "ro", "--url", &url, "--read-only"],
    )
    .expect(0);
    let refused = desk.run(
        &admin,
        &[
            "credential",
            "release",
            "reports/key",
            "--reason",
            "x",
            "--context",
            "ro",
        ],
    );
    assert_eq!(refused.code, 3, "{refused:?}");
}

/// With a key that is kept in a context, a log that another one has signed is refused.
pub fn a_trusted_key(desk: &mut Desk) {
    let admin = desk.admin.clone();
    let url = desk.broker.url().to_owned();
    let ours = desk.broker.started().verifier_key.clone();
    let theirs = BrokerProcess::start("").started().verifier_key.clone();
    for (name, key) in [("trusted", &ours), ("other", &theirs)] {
        let words = ["context", "add", name, "--url", &url, "--verifier-key", key];
        desk.run(&admin, &words).expect(0);
    }
    let bad = [
        "context",
        "add",
        "bad",
        "--url",
        &url,
        "--verifier-key",
        "abc",
    ];
    desk.run(&admin, &bad).expect(2);
    let list = desk.json(&["context", "list"]);
    let kept = |name: &str| {
        let rows = list.as_array().unwrap().iter();
        let mut named = rows.filter(|row| row["name"] == name);
        text(&named.next().unwrap()["verifier_key"])
    };
    assert_eq!((kept("trusted"), kept("other")), (ours, theirs));

    let verified = desk.json(&["audit", "verify", "--context", "trusted"]);
    assert_eq!(verified["key_from"], "configured");
    let refused = desk.run(&admin, &["audit", "verify", "--context", "other"]);
    assert_eq!(refused.code, 1, "{refused:?}");

    let doctor = |desk: &mut Desk, context: &str, code: i32| {
        let words = ["doctor", "--context", context, "-o", "json"];
        let checks = desk.run(&admin, &words).expect(code).json();
        let rows = checks.as_array().unwrap().clone();
        let key = rows.into_iter().find(|row| row["what"] == "log key");
        key.expect("the key is spoken of")
    };
    assert_eq!(doctor(desk, "trusted", 0)["outcome"], "ok");
    let here = doctor(desk, "here", 0);
    assert_eq!(here["outcome"], "warn");
    assert!(
        text(&here["found"]).contains("the broker's own word"),
        "{here}"
    );
    let other = doctor(desk, "other", 1);
    assert_eq!(other["outcome"], "fail");
    assert!(text(&other["found"]).contains("trusts"), "{other}");
}

/// A token is kept for the next commands, and withdrawn.
pub fn signing_in_and_out(desk: &mut Desk, people: &People) {
    use std::os::unix::fs::PermissionsExt as _;
    let private = std::fs::Permissions::from_mode(0o700);
    std::fs::set_permissions(desk.home.path(), private).unwrap();
    desk.fed(None, &["overview"], "").expect(3);
    desk.fed(None, &["login", "--in-file"], "not-a-token\n")
        .expect(3);
    let minted = desk.minting_change(
        &desk.admin.clone(),
        &["operator", "token", "maya.k", "--ttl", "1h"],
    );
    let token = text(&minted["token"]);
    desk.fed(None, &["login", "--in-file"], &format!("{token}\n"))
        .expect(0);
    desk.fed(None, &["overview"], "").expect(0);
    desk.fed(None, &["logout"], "").expect(0);
    desk.fed(None, &["overview"], "").expect(3);
    // Signing out withdrew that token, and no other.
    desk.run(&token, &["overview"]).expect(3);
    desk.run(&people.maya, &["overview"]).expect(0);
}

/// What is needed, and what a shell completes.
pub fn this_machine(desk: &mut Desk) {
    let admin = desk.admin.clone();
    let checks = desk.json(&["doctor"]);
    let whats = names(&checks, "what");
    for what in ["terminal", "broker", "ready", "session", "clock"] {
        assert!(whats.contains(&what.to_owned()), "{what} in {checks}");
    }
    desk.run(&admin, &["doctor", "--offline"]).expect(0);
    let away = desk.run(&admin, &["doctor", "--url", "http://127.0.0.1:1"]);
    assert_eq!(away.code, 7, "{away:?}");
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let ran = desk.run(&admin, &["completions", shell]).expect(0);
        assert!(ran.out.contains("countersign"), "{shell}");
    }
}

/// Without a terminal the demo prints its overview and leaves.
pub fn the_demo(desk: &mut Desk) {
    let mut demo = desk.command(
        "",
        &["demo", "--credentials", "40", "--rate", "0", "-o", "json"],
    );
    demo.env_remove("COUNTERSIGN_URL")
        .env_remove("COUNTERSIGN_TOKEN");
    let overview = run(&mut demo).expect(0).json();
    assert!(overview.is_object());
}

/// The registry's parts, and an export that proves itself until a byte of it is another.
fn the_registry(desk: &mut Desk) {
    let admin = desk.admin.clone();
    let all = desk.json(&["revocation", "list", "--sort", "since"]);
    let first = all[0]["since"].as_u64().unwrap().to_string();
    let rest = desk.json(&["revocation", "list", "--sort", "since", "--since", &first]);
    assert_eq!(
        rest.as_array().unwrap().len() + 1,
        all.as_array().unwrap().len()
    );
    let of_nobody = ["revocation", "list", "--client", "nobody-at-all"];
    desk.run(&admin, &of_nobody).expect(1);
    let future = ["revocation", "list", "--since", "999999999"];
    let future = desk.run(&admin, &future);
    assert!(future.err.contains("of the past"), "{future:?}");

    let file = desk.home.path().join("registry.ndjson");
    let path = file.to_str().unwrap().to_owned();
    let written = desk.json(&["revocation", "export", &path]);
    assert_eq!(written["revocations"], all.as_array().unwrap().len());
    let vkey = text(&desk.json(&["audit", "verify"])["key"]);
    let verified = desk.json(&["revocation", "verify", &path, "--vkey", &vkey]);
    assert_eq!(verified, written);
    // A new file only; and not one that somebody has touched.
    desk.run(&admin, &["revocation", "export", &path]).expect(1);
    let whole = std::fs::read_to_string(&file).unwrap();
    let lines: Vec<&str> = whole.lines().collect();
    let without = [&lines[..1], &lines[3..]].concat().join("\n");
    let touched = lines[1].replacen("\"leaf\":\"e", "\"leaf\":\"f", 1);
    assert_ne!(touched, lines[1]);
    for forged in [
        lines[..lines.len() - 1].join("\n"),
        without,
        [lines[0], &touched, lines[2]].join("\n"),
        whole.replace("\"count\":", "\"count\":1"),
        String::new(),
    ] {
        std::fs::write(&file, forged).unwrap();
        let refused = desk.run(&admin, &["revocation", "verify", &path, "--vkey", &vkey]);
        let refused = refused.expect(1);
        assert!(refused.err.contains("does not verify"), "{refused:?}");
    }
}
