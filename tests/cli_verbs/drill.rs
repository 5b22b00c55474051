//! A secret that was found: looked at, contained both ways, and written down.

use super::{Desk, text};
use crate::support::{self, block_until};
use std::io::Write as _;
use std::process::Stdio;

const SECRET: &str = "the leaked key";

fn adopt(desk: &mut Desk) {
    let admin = desk.admin.clone();
    let issued = (countersign::clock::now() - chrono::TimeDelta::days(1)).to_rfc3339();
    let args = [
        "credential",
        "adopt",
        "leaky/key",
        "--env",
        "development",
        "--kind",
        "api_key",
        "--issuer",
        "countersign",
        "--client",
        "orders-api",
        "--owner",
        "admin",
        "--audience",
        "orders",
        "--tier",
        "low",
        "--issued-at",
        &issued,
    ];
    desk.fed(Some(&admin), &args, SECRET).expect(0);
}

pub fn drill(desk: &mut Desk) {
    adopt(desk);
    let admin = desk.admin.clone();
    let fed = |desk: &mut Desk, args: &[&str], secret: &str| {
        let ran = desk.fed(Some(&admin), args, secret);
        assert!(
            !ran.err.contains(SECRET) && !ran.out.contains(SECRET),
            "{ran:?}"
        );
        ran
    };
    let looked = fed(desk, &["drill", "-o", "json"], SECRET).expect(0);
    assert!(looked.err.contains("ACCEPTED NOW"), "{looked:?}");
    let seen = looked.json();
    assert_eq!(seen["found"]["row"]["name"], "leaky/key");
    assert_eq!(
        (&seen["found"]["version"], &seen["found"]["accepted"]),
        (&1.into(), &true.into())
    );
    assert_eq!(seen["contained"], serde_json::Value::Null);
    // A look changes nothing, and so does a dry run.
    let head = desk.settled();
    fed(desk, &["drill", "--quarantine", "--dry-run"], SECRET).expect(0);
    assert_eq!(desk.head(), head);
    fed(desk, &["drill"], "another key").expect(1);
    let damaged = fed(desk, &["drill"], "cs_prod_shortened").expect(2);
    assert!(damaged.err.contains("nothing was asked"), "{damaged:?}");

    let args = [
        "drill",
        "--quarantine",
        "--yes",
        "--reason",
        "on a pastebin",
        "-o",
        "json",
    ];
    let fenced = fed(desk, &args, SECRET).expect(0);
    assert!(
        fenced.err.contains("Refused: the broker says so"),
        "{fenced:?}"
    );
    let fenced = fenced.json();
    assert_eq!(
        (&fenced["contained"], &fenced["refused"]),
        (&"quarantined".into(), &true.into())
    );
    let release = [
        "credential",
        "release",
        "leaky/key",
        "--reason",
        "a false alarm",
    ];
    desk.run(&admin, &release).expect(0);

    let file = desk.home.path().join("drill.md");
    let args = [
        "drill",
        "--rotate-then-revoke",
        "--yes",
        "--reason",
        "it is | everywhere",
        "-o",
        "json",
        "--timeline",
        file.to_str().unwrap(),
    ];
    let mut child = desk
        .command(&admin, &args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let written = child.stdin.take().unwrap().write_all(SECRET.as_bytes());
    written.unwrap();
    block_until(
        support::START,
        "its newer version can be put into use",
        || {
            let listed = desk.json(&["rotation", "list"]);
            let mut rows = listed.as_array().unwrap().iter();
            let row = rows.find(|row| row["credential_name"] == "leaky/key")?;
            let id = text(&row["id"]);
            (desk.json(&["rotation", "show", &id])["row"]["step"] == 3).then_some(())
        },
    );
    desk.run(&admin, &["credential", "promote", "leaky/key", "--yes"])
        .expect(0);
    let output = child.wait_with_output().unwrap();
    let err = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{err}");
    assert!(err.contains("Version 2 of leaky/key is in use"), "{err}");
    let done: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        (&done["contained"], &done["refused"]),
        (&"revoked".into(), &true.into())
    );
    assert_eq!(done["revocation"]["row"]["state"], "propagated");
    assert_eq!(
        done["revocation"]["row"]["versions"],
        serde_json::json!([1])
    );
    let page = std::fs::read_to_string(&file).unwrap();
    for part in [
        "# Found secret of leaky/key",
        "revocation.effective",
        "rotation.started",
        "credential.quarantined",
        "it is \\| everywhere",
        "shown to the broker, and refused",
    ] {
        assert!(page.contains(part), "{part} in\n{page}");
    }
    assert!(!page.contains(SECRET), "{page}");
    let after = desk.json(&["credential", "show", "leaky/key"]);
    assert_eq!(after["row"]["version"], 2);
    assert_eq!(after["row"]["state"], "active");
}
