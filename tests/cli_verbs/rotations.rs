//! Rotations: begun, collected, put into use, taken back, and looked at.

use super::{Desk, text};
use crate::support::{self, block_until};
use serde_json::Value;

/// Something under management that this broker makes itself, a day old.
fn adopt(desk: &mut Desk, name: &str, digit: char) {
    let admin = desk.admin.clone();
    let issued = (countersign::clock::now() - chrono::TimeDelta::days(1)).to_rfc3339();
    let digest = format!("sha256:{}", digit.to_string().repeat(64));
    let args = [
        "credential",
        "adopt",
        name,
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
        "--digest",
        &digest,
        "--issued-at",
        &issued,
    ];
    desk.change(&admin, &args, 0);
}

/// Waits until its newer secret can be collected.
fn checked(desk: &mut Desk, rotation: &str) -> Value {
    block_until(support::START, "the newer version passes its check", || {
        let shown = desk.json(&["rotation", "show", rotation]);
        (shown["row"]["step"] == 3).then_some(shown)
    })
}

fn begin(desk: &mut Desk, name: &str) -> String {
    let admin = desk.admin.clone();
    let args = ["credential", "rotate", name, "--reason", "CHG-9"];
    let begun = desk.change(&admin, &args, 0);
    let rotation = text(&begun["subject"]);
    checked(desk, &rotation);
    rotation
}

pub fn rotations(desk: &mut Desk) {
    let admin = desk.admin.clone();
    for (name, digit) in [("orders/spare", 'a'), ("orders/other", 'b')] {
        adopt(desk, name, digit);
    }
    let rotation = begin(desk, "orders/spare");
    let args = ["rotation", "claim", &rotation, "--show"];
    let claimed = desk.minting(&admin, &args);
    assert!(text(&claimed["secret"]["token"]).starts_with("cs_"));
    let back = [
        "credential",
        "rollback",
        "orders/spare",
        "--reason",
        "a partner refuses it",
        "--yes",
    ];
    desk.change(&admin, &back, 0);
    let shown = desk.run(&admin, &["rotation", "show", &rotation]).expect(0);
    assert!(shown.out.contains("rolled_back"), "{shown:?}");
    let again = desk.run(&admin, &back).expect(1);
    assert!(again.err.contains("rotate again"), "{again:?}");

    begin(desk, "orders/other");
    let promote = ["credential", "promote", "orders/other", "--yes"];
    desk.change(&admin, &promote, 0);

    let start = [
        "rotation",
        "start",
        "orders/spare",
        "--reason",
        "the vault moves",
        "--yes",
    ];
    let begun = desk.change(&admin, &start, 0);
    checked(desk, &text(&begun["subject"]));

    let listed = desk.json(&["rotation", "list"]);
    let states: Vec<_> = listed
        .as_array()
        .unwrap()
        .iter()
        .map(|row| text(&row["state"]))
        .collect();
    assert_eq!(states, ["overlapping", "checking", "rolled_back"]);
    let later = (countersign::clock::now() + chrono::TimeDelta::days(300)).to_rfc3339();
    for args in [
        &["rotation", "list"][..],
        &[
            "rotation",
            "calendar",
            "--until",
            &later,
            "--env",
            "production",
        ],
        &["rotation", "compliance"],
    ] {
        for format in ["table", "json", "csv"] {
            desk.run(&admin, &[args, &["-o", format]].concat())
                .expect(0);
        }
    }
    let kept = desk.json(&["rotation", "compliance"]);
    assert_eq!(kept["measures"]["rolled_back"]["operator"], 1, "{kept}");
    desk.run(
        &admin,
        &["rotation", "show", "rot_00000000000000000000000000"],
    )
    .expect(1);
}
