//! The verbs that change something.

use super::{Desk, text};
use crate::support::openssh::{Agent, ED25519};
use crate::support::{START, block_until};
use serde_json::Value;

/// Nobody listens there: requests that it should serve wait for it.
/// And a destination that is not there.
pub const AN_ISSUER_THAT_IS_AWAY: &str = "[issuer.vault]\ntype = \"openbao\"\n\
     address = \"http://127.0.0.1:1\"\ntoken_env = \"COUNTERSIGN_NO_TOKEN\"\n\
     roles = [\"database/creds/app-ro\"]\n\
     [destination.disk]\ntype = \"file\"\nroot = \"/nonexistent\"\nprefixes = [\"legacy\"]\n\
     environments = [\"development\", \"staging\", \"production\"]\n";

/// Who is there: their tokens.
pub struct People {
    /// Approves, in `security`.
    pub maya: String,
    /// So does he.
    pub tomo: String,
    /// Operates in development, and is offboarded in the end.
    pub sam: String,
    /// Operates in production. Who asks has not enrolled the keys of those who decide.
    pub opal: String,
}

/// Clients and operators come in.
pub fn people(desk: &mut Desk) -> People {
    let admin = desk.admin.clone();
    for (name, environment, tier) in [
        ("orders-api", "development", "low"),
        ("reports", "production", "high"),
    ] {
        let added = desk.change(
            &admin,
            &[
                "client",
                "add",
                name,
                "--owner",
                "orders",
                "--contact",
                "#orders",
                "--env",
                environment,
                "--tier",
                tier,
                "--dependent",
                "orders-web",
            ],
            0,
        );
        assert!(text(&added["subject"]).starts_with("cli_"));
    }
    let hire = |desk: &mut Desk, name: &str, role: &str, group: &str| {
        let words = [
            "operator", "add", name, "--role", role, "--group", group, "--ttl", "1d",
        ];
        text(&desk.minting_change(&admin, &words)["token"])
    };
    let maya = hire(desk, "maya.k", "all:viewer,approver", "security");
    let tomo = hire(desk, "tomo.s", "all:viewer,approver", "security");
    equip(desk, "maya.k", &maya);
    equip(desk, "tomo.s", &tomo);
    let opal = hire(desk, "opal.w", "production:viewer,operator", "reports");
    let sam = hire(desk, "sam.o", "development:viewer", "orders");
    desk.change(
        &admin,
        &[
            "operator",
            "grant",
            "sam.o",
            "--role",
            "development:viewer,operator",
            "--group",
            "orders",
        ],
        0,
    );
    let second = desk.minting_change(&admin, &["operator", "token", "sam.o", "--ttl", "1h"]);
    let (second, id) = (text(&second["token"]), text(&second["id"]));
    desk.run(&second, &["overview"]).expect(0);
    desk.change(
        &admin,
        &["operator", "revoke-token", "sam.o", &id, "--yes"],
        0,
    );
    desk.run(&second, &["overview"]).expect(3);
    People {
        maya,
        tomo,
        sam,
        opal,
    }
}

/// Somebody gets an agent, and a key in it that the admin enrols; one that was lost is taken out again.
fn equip(desk: &mut Desk, name: &str, token: &str) {
    let admin = desk.admin.clone();
    let mut agent = Agent::start();
    let (key, lost) = (agent.key(ED25519), agent.key(ED25519));
    for key in [&key, &lost] {
        let file = key.public.to_str().unwrap();
        desk.change(&admin, &["operator", "key", "add", name, file], 0);
    }
    let remove = [
        "operator",
        "key",
        "remove",
        name,
        &lost.fingerprint,
        "--reason",
        "lost",
        "--yes",
    ];
    desk.change(&admin, &remove, 0);
    let listed = desk.json(&["operator", "key", "list", name]);
    let kept: Vec<_> = listed.as_array().unwrap().iter().collect();
    assert_eq!(kept.len(), 1, "{listed}");
    assert_eq!(kept[0]["fingerprint"], key.fingerprint.as_str());
    assert!(
        kept[0]["valid_from"].is_string(),
        "there is no other admin to ask"
    );
    desk.agents.insert(token.to_owned(), agent);
}

fn asking<'a>(name: &'a str, client: &'a str, environment: &'a str) -> Vec<&'a str> {
    vec![
        "request",
        "new",
        name,
        "--env",
        environment,
        "--kind",
        "api_key",
        "--client",
        client,
        "--audience",
        "orders",
        "--scope",
        "orders:read",
        "--ttl",
        "1d",
        "--reason",
        "the nightly report",
    ]
}

/// Asking, deciding, collecting.
pub fn requests(desk: &mut Desk, people: &People) {
    let admin = desk.admin.clone();
    let maya = people.maya.clone();
    let mut low = asking("orders/key", "orders-api", "development");
    low.push("--wait");
    let issued = desk.change_that_waits(&admin, &low);
    let claimed = desk.minting(&admin, &["request", "claim", &issued]);
    assert_eq!(
        claimed["credential_name"].as_str().unwrap_or("orders/key"),
        "orders/key"
    );
    assert!(text(&claimed["secret"]["token"]).starts_with("cs"));

    let asked = asking("reports/key", "reports", "production");
    let approved = desk.change(&people.opal, &asked, 4);
    let approved = text(&approved["subject"]);
    desk.run(&admin, &["request", "approve", &approved, "--yes"])
        .expect(3);
    let shown = desk.json(&["request", "show", &approved]);
    assert_eq!(shown["row"]["state"], "awaiting_approval");
    let digest = text(&shown["digest"]);
    let wrong = desk.run(
        &maya,
        &[
            "request",
            "approve",
            &approved,
            "--yes",
            "--digest",
            "00000-0000-000",
        ],
    );
    assert!([2, 6].contains(&wrong.code), "{wrong:?}");
    desk.change(
        &maya,
        &[
            "request", "approve", &approved, "--yes", "--digest", &digest,
        ],
        0,
    );
    desk.reaches(&approved, "awaiting_approval");
    let other = ["request", "approve", &approved, "--yes"];
    desk.change(&people.tomo, &other, 0);
    desk.reaches(&approved, "issued");

    let denied = desk.change(&admin, &asking("reports/other", "reports", "production"), 4);
    let denied = text(&denied["subject"]);
    desk.run(&maya, &["request", "deny", &denied]).expect(2);
    desk.change(
        &maya,
        &["request", "deny", &denied, "--reason", "not now"],
        0,
    );
    desk.reaches(&denied, "denied");
    // One request is no burst.
    let none = ["request", "deny-burst", &denied, "--reason", "no", "--yes"];
    let told = desk.run(&maya, &none).expect(1).err;
    assert!(told.contains("burst"), "{told}");
    // Policy asked for no signature there, and there is none to show.
    let unsigned = desk.run(&admin, &["audit", "denial", &denied]);
    assert!(
        unsigned.expect(1).err.contains("it was not signed"),
        "by a session"
    );

    let withdrawn = desk.change(&admin, &asking("reports/third", "reports", "production"), 4);
    let withdrawn = text(&withdrawn["subject"]);
    desk.change(
        &admin,
        &["request", "withdraw", &withdrawn, "--reason", "a mistake"],
        0,
    );
    desk.reaches(&withdrawn, "withdrawn");
    desk.run(&admin, &["request", "retry", &withdrawn])
        .expect(1);
}

impl Desk {
    /// As [`Desk::change`] for one that waits: its dry run has nothing to wait for, and its repetition waits for what
    /// is there already. The identifier of what it was about.
    fn change_that_waits(&mut self, token: &str, args: &[&str]) -> String {
        let made = self.change(token, args, 0);
        let id = text(&made["subject"]);
        self.reaches(&id, "issued");
        id
    }

    /// Waits until a request is in this state.
    fn reaches(&mut self, request: &str, state: &str) -> Value {
        block_until(START, state, || {
            let shown = self.json(&["request", "show", request]);
            (shown["row"]["state"] == state).then_some(shown)
        })
    }
}

/// Bringing in, fencing, giving away, revoking.
pub fn credentials(desk: &mut Desk) {
    let admin = desk.admin.clone();
    let secret = "a secret that something else made";
    let digest = countersign::secret::digest_of(secret).to_string();
    desk.change(
        &admin,
        &[
            "credential",
            "adopt",
            "legacy/smtp",
            "--env",
            "development",
            "--kind",
            "api_key",
            "--issuer",
            "smtp-admin",
            "--client",
            "orders-api",
            "--owner",
            "orders",
            "--audience",
            "smtp",
            "--scope",
            "mail:send",
            "--tier",
            "low",
            "--digest",
            &digest,
            "--issued-at",
            "2026-01-31T12:00:00Z",
            "--cadence",
            "90d",
        ],
        0,
    );
    let by_digest = desk.json(&["credential", "find", "--digest", &digest]);
    let by_secret = desk
        .fed(Some(&admin), &["credential", "find", "-o", "json"], secret)
        .expect(0)
        .json();
    assert_eq!(by_digest, by_secret);
    assert_eq!(by_secret["row"]["name"], "legacy/smtp");
    let unknown = desk.fed(Some(&admin), &["credential", "find"], "nobody's");
    assert_eq!(unknown.code, 1, "{unknown:?}");
    assert!(!unknown.err.contains("nobody's"), "{unknown:?}");

    let state = |desk: &mut Desk| {
        let shown = desk.json(&["credential", "show", "legacy/smtp"]);
        text(&shown["row"]["state"])
    };
    desk.change(
        &admin,
        &[
            "credential",
            "owner",
            "legacy/smtp",
            "payments",
            "--reason",
            "moved",
        ],
        0,
    );
    desk.change(
        &admin,
        &[
            "credential",
            "deliver-to",
            "legacy/smtp",
            "disk:legacy/smtp",
            "--reason",
            "its host reads it there",
            "--yes",
        ],
        0,
    );
    let shown = desk.json(&["credential", "show", "legacy/smtp"]);
    assert_eq!(text(&shown["destination"]["path"]), "legacy/smtp");
    desk.run(
        &admin,
        &["credential", "quarantine", "legacy/smtp", "--reason", "odd"],
    )
    .expect(2);
    desk.change(
        &admin,
        &[
            "credential",
            "quarantine",
            "legacy/smtp",
            "--reason",
            "odd",
            "--yes",
        ],
        0,
    );
    assert_eq!(state(desk), "quarantined");
    desk.change(
        &admin,
        &[
            "credential",
            "release",
            "legacy/smtp",
            "--reason",
            "it was a test",
        ],
        0,
    );
    assert_eq!(state(desk), "active");
    let shown = desk.json(&["credential", "show", "legacy/smtp"]);
    let seen = shown["row"]["sequence"].as_u64().unwrap() - 1;
    desk.run(
        &admin,
        &[
            "credential",
            "revoke",
            "legacy/smtp",
            "--reason",
            "leaked",
            "--yes",
            "--if-seen",
            &seen.to_string(),
        ],
    )
    .expect(6);
    desk.change(
        &admin,
        &[
            "credential",
            "revoke",
            "legacy/smtp",
            "--reason",
            "leaked",
            "--yes",
        ],
        0,
    );
    assert_eq!(state(desk), "revoked");
    // A key is refused by the broker alone: there is nothing to wait for at an issuer.
    desk.change(
        &admin,
        &[
            "credential",
            "revoke",
            "orders/key",
            "--version",
            "1",
            "--reason",
            "rotated",
            "--yes",
            "--wait",
        ],
        0,
    );
}

/// Asked about, stopped, let go on, made smaller, signed.
pub fn shaped_by_people(desk: &mut Desk, people: &People) {
    let (admin, maya) = (desk.admin.clone(), people.maya.clone());
    let asked = desk.change(
        &admin,
        &asking("reports/shaped", "reports", "production"),
        4,
    );
    let id = text(&asked["subject"]);
    desk.change(
        &maya,
        &["request", "ask", &id, "--reason", "for which report?"],
        0,
    );
    desk.change(
        &admin,
        &["request", "ask", &id, "--reason", "the nightly one"],
        0,
    );
    let shown = desk.json(&["request", "show", &id]);
    let notes: Vec<_> = shown["notes"].as_array().unwrap().iter().collect();
    assert_eq!(notes.len(), 2, "{shown}");
    desk.change(
        &maya,
        &["request", "hold", &id, "--reason", "after the audit"],
        0,
    );
    desk.reaches(&id, "held");
    desk.change(
        &maya,
        &["request", "resume", &id, "--reason", "the audit is over"],
        0,
    );
    desk.reaches(&id, "awaiting_approval");
    let narrow = [
        "request",
        "narrow",
        &id,
        "--ttl",
        "1h",
        "--reason",
        "an hour is enough",
        "--yes",
        "-o",
        "json",
    ];
    let head = desk.settled();
    let dry = [&narrow[..], &["--dry-run"]].concat();
    let would = desk.run(&maya, &dry).expect(0).json();
    assert_eq!(would["plan"]["ttl_s"], 3_600, "{would}");
    assert_eq!(desk.head(), head, "a dry run changes nothing");
    let (key, made) = desk.once(&maya, &narrow);
    let made = made.expect(0);
    let head = desk.settled();
    // Who repeats it reads the narrower plan first, and is told what the first came to.
    let again = [&narrow[..], &["--idempotency-key", &key]].concat();
    let again = desk.run(&maya, &again).expect(0);
    assert_eq!(again.out, made.out);
    assert_eq!(desk.head(), head, "it is narrowed once");
    let shown = desk.json(&["request", "show", &id]);
    assert_eq!(
        (&shown["revision"], &shown["plan"]["ttl_s"]),
        (&2.into(), &3_600.into())
    );
    desk.change(
        &admin,
        &["request", "withdraw", &id, "--reason", "not needed"],
        0,
    );
}

/// Somebody on call cannot wait for the others, and says so with their key.
pub fn an_emergency(desk: &mut Desk) {
    let admin = desk.admin.clone();
    let hired = [
        "operator",
        "add",
        "olga.c",
        "--role",
        "production:viewer,operator",
        "--group",
        "on-call",
    ];
    let olga = text(&desk.minting_change(&admin, &hired)["token"]);
    equip(desk, "olga.c", &olga);
    let asked = desk.change(
        &olga,
        &asking("reports/emergency", "reports", "production"),
        4,
    );
    let id = text(&asked["subject"]);
    let unreasoned = ["request", "break-glass", &id, "--yes"];
    desk.run(&olga, &unreasoned).expect(2);
    let breaks = [
        "request",
        "break-glass",
        &id,
        "--yes",
        "--reason",
        "INC-7: reports are down",
    ];
    desk.change(&olga, &breaks, 0);
    let shown = desk.reaches(&id, "issued");
    assert_eq!(shown["break_glass"]["by"], "olga.c");
}

/// An approved request whose issuer is away waits for it; when one who approved it may no longer decide, it waits for
/// people again, and says whose approval is void and why.
pub fn a_quorum_falls(desk: &mut Desk, people: &People) {
    let admin = desk.admin.clone();
    let asked = desk.change(
        &people.opal,
        &[
            "request",
            "new",
            "reports/db",
            "--env",
            "production",
            "--kind",
            "vault_lease",
            "--role",
            "database/creds/app-ro",
            "--client",
            "reports",
            "--audience",
            "reports-db",
            "--ttl",
            "1h",
            "--reason",
            "the nightly report",
        ],
        4,
    );
    let id = text(&asked["subject"]);
    for person in [&people.maya, &people.tomo] {
        desk.change(person, &["request", "approve", &id, "--yes"], 0);
    }
    desk.reaches(&id, "approved");
    what_was_signed(desk, &id);
    let taken = [
        "operator",
        "grant",
        "tomo.s",
        "--role",
        "all:viewer,approver",
        "--group",
        "orders",
    ];
    desk.change(&admin, &taken, 0);
    let shown = desk.reaches(&id, "awaiting_approval");
    let counts = ["approvals", "void", "needed"].map(|key| shown["row"][key].as_u64().unwrap());
    assert_eq!(counts, [1, 1, 2]);
    let given = shown["approvals"].as_array().unwrap();
    let void = given.iter().find(|given| given["by"] == "tomo.s").unwrap();
    assert_eq!(void["void"], "no longer in security");
    let told = desk.run(&admin, &["request", "show", &id]).expect(0).out;
    assert!(
        told.contains("it no longer counts: no longer in security"),
        "{told}"
    );
    // Who has approved may still deny, and signs that too.
    let deny = ["request", "deny", &id, "--reason", "not any more"];
    desk.change(&people.maya, &deny, 0);
    let folder = desk.home.path().join("denial");
    let path = folder.to_str().unwrap().to_owned();
    let no = desk.json(&["audit", "denial", &id, "--export", &path]);
    assert_eq!(
        (no["decision"].as_str(), no["by"].as_str()),
        (Some("deny"), Some("maya.k"))
    );
    verified(&folder);
}

/// What was exported there is what OpenSSH says was signed.
fn verified(folder: &std::path::Path) {
    let verify = std::process::Command::new("sh")
        .arg("verify.sh")
        .current_dir(folder)
        .output();
    let verify = verify.unwrap();
    assert!(verify.status.success(), "{verify:?}");
}

/// The latest signature of a request, shown, and in files that OpenSSH checks.
fn what_was_signed(desk: &mut Desk, id: &str) {
    let folder = desk.home.path().join("approval");
    let path = folder.to_str().unwrap().to_owned();
    let signed = desk.json(&["audit", "approval", id, "--export", &path]);
    assert_eq!(signed["by"], "tomo.s");
    assert_eq!(signed["statement"]["request"]["id"], *id);
    verified(&folder);
    let approval = text(&signed["approval"]);
    let again = desk.json(&["audit", "approval", &approval]);
    assert_eq!(again["statement"], signed["statement"]);
    let admin = desk.admin.clone();
    // What is there already is not written over.
    desk.run(&admin, &["audit", "approval", id, "--export", &path])
        .expect(1);
    desk.run(
        &admin,
        &["audit", "approval", "apr_00000000000000000000000000"],
    )
    .expect(1);
}

/// With a second admin, a key of somebody in production takes both.
pub fn a_second_admin(desk: &mut Desk, people: &People) {
    let admin = desk.admin.clone();
    let hired = ["operator", "add", "root2", "--role", "all:admin"];
    let second = text(&desk.minting_change(&admin, &hired)["token"]);
    let mut agent = Agent::start();
    let key = agent.key(ED25519);
    let file = key.public.to_str().unwrap();
    desk.change(&admin, &["operator", "key", "add", "maya.k", file], 0);
    let countersign = ["operator", "key", "countersign", "maya.k", &key.fingerprint];
    desk.run(&admin, &countersign).expect(3);
    desk.agents.insert(people.maya.clone(), agent);
    let waits = desk.fed(Some(&people.maya), &["login", "maya.k", "--in-file"], "");
    assert_eq!(waits.code, 3, "{waits:?}");
    assert!(waits.err.contains("waits for another admin"), "{waits:?}");
    desk.change(&second, &countersign, 0);
    desk.fed(Some(&people.maya), &["login", "maya.k", "--in-file"], "")
        .expect(0);
}

/// A request whose issuer is gone from the configuration fails, and is tried again when asked to.
pub fn a_failed_request_is_tried_again(desk: &mut Desk) {
    let admin = desk.admin.clone();
    let asked = desk.change(
        &admin,
        &[
            "request",
            "new",
            "orders/db",
            "--env",
            "development",
            "--kind",
            "vault_lease",
            "--role",
            "database/creds/app-ro",
            "--client",
            "orders-api",
            "--audience",
            "orders-db",
            "--ttl",
            "1h",
            "--reason",
            "a report",
        ],
        0,
    );
    let id = text(&asked["subject"]);
    desk.reaches(&id, "approved");
    assert_eq!(desk.broker.terminate(), 0);
    std::fs::write(desk.broker.path("broker.toml"), "").unwrap();
    desk.broker.start_again();
    let failed = desk.reaches(&id, "failed");
    assert!(
        text(&failed["failure"]).contains("no issuer named vault"),
        "{failed}"
    );
    let before = desk.settled();
    desk.change(&admin, &["request", "retry", &id], 0);
    desk.reaches(&id, "failed");
    assert!(desk.settled() > before + 1, "it was tried");
    desk.change(
        &admin,
        &["request", "withdraw", &id, "--reason", "no such issuer"],
        0,
    );
}

/// A client and an operator leave.
pub fn leaving(desk: &mut Desk, people: &People) {
    let admin = desk.admin.clone();
    desk.run(
        &admin,
        &["client", "offboard", "orders-api", "--reason", "replaced"],
    )
    .expect(2);
    // What it holds is shown first, and changes nothing.
    let head = desk.settled();
    let plan = ["client", "offboard", "orders-api", "--dry-run"];
    let plan = desk.run(&admin, &plan).expect(0).out;
    assert!(plan.contains("orders-api in development"), "{plan}");
    assert!(plan.contains("Credentials:"), "{plan}");
    assert!(plan.contains("orders-web"), "{plan}");
    assert_eq!(desk.head(), head);
    desk.change(
        &admin,
        &[
            "client",
            "offboard",
            "orders-api",
            "--reason",
            "replaced",
            "--yes",
        ],
        0,
    );
    desk.run(&people.sam, &["overview"]).expect(0);
    let plan = [
        "operator",
        "offboard",
        "sam.o",
        "--hand-over-to",
        "ledger",
        "--dry-run",
    ];
    let plan = desk.run(&admin, &plan).expect(0).out;
    assert!(plan.contains("The account of sam.o"), "{plan}");
    assert!(plan.contains("development:viewer,operator"), "{plan}");
    desk.change(
        &admin,
        &["operator", "offboard", "sam.o", "--reason", "left", "--yes"],
        0,
    );
    desk.run(&people.sam, &["overview"]).expect(3);
}
