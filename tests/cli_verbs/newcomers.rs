//! Templates, onboarding, and the access review.

use super::changes::People;
use super::{Desk, text};

/// Templates are listed, printed and checked, and a wrong one is refused with its line.
pub fn templates(desk: &mut Desk) {
    let admin = desk.admin.clone();
    let listed = desk.json(&["template", "list"]);
    let names: Vec<_> = listed
        .as_array()
        .unwrap()
        .iter()
        .map(|row| text(&row["name"]))
        .collect();
    assert!(names.contains(&"internal-service".to_owned()), "{names:?}");
    for name in &names {
        let shown = desk.run(&admin, &["template", "show", name]).expect(0).out;
        let file = desk.home.path().join(format!("{name}.toml"));
        std::fs::write(&file, shown).unwrap();
        let file = file.to_str().unwrap().to_owned();
        desk.run(&admin, &["template", "check", &file]).expect(0);
    }
    let file = desk.home.path().join("wrong.toml");
    std::fs::write(&file, "summary = \"x\"\n\n[client]\nnam = \"a\"\n").unwrap();
    let file = file.to_str().unwrap().to_owned();
    let wrong = desk
        .run(&admin, &["template", "check", &file])
        .expect(2)
        .err;
    assert!(
        wrong.contains("wrong.toml:4:1: unknown field `nam`"),
        "{wrong}"
    );
    let none = desk
        .run(&admin, &["template", "show", "nothing"])
        .expect(2)
        .err;
    assert!(none.contains("expected one of approver"), "{none}");
}

/// A dry run changes nothing, the first run makes client and request, the second nothing, and one that differs is
/// refused with what differs.
pub fn a_client_comes_as_a_template_says(desk: &mut Desk) {
    let admin = desk.admin.clone();
    let onboard = [
        "client",
        "onboard",
        "internal-service",
        "--set",
        "name=basket-api",
        "--set",
        "owner=payments",
    ];
    let missing = desk.run(&admin, &onboard[..5]).expect(2).err;
    assert!(missing.contains("--set owner=… (The team"), "{missing}");
    let head = desk.settled();
    let dry = [&onboard[..], &["--dry-run"]].concat();
    let plan = desk.run(&admin, &dry).expect(0).out;
    assert!(plan.contains("would make: client basket-api"), "{plan}");
    assert!(
        plan.contains("would make: request payments/basket-api"),
        "{plan}"
    );
    assert_eq!(desk.head(), head);

    let made = desk.run(&admin, &onboard).expect(0).out;
    assert!(made.contains("Onboarded basket-api (cli_"), "{made}");
    assert!(
        made.contains("Asked for payments/basket-api (req_"),
        "{made}"
    );
    let head = desk.settled();
    let again = desk.run(&admin, &onboard).expect(0);
    assert!(
        again
            .err
            .contains("basket-api is there, as the template says"),
        "{again:?}"
    );
    assert_eq!(desk.settled(), head, "applied twice it has one effect");

    let other = [&onboard[..], &["--set", "calls=ledger"]].concat();
    let other = desk.run(&admin, &other).expect(1).err;
    assert!(
        other.contains("audience is \"https://orders.internal\""),
        "{other}"
    );
    let other = [&onboard[..5], &["--set", "owner=ledger"]].concat();
    let other = desk.run(&admin, &other).expect(1).err;
    assert!(
        other.contains("client basket-api: owner is \"payments\", the template says \"ledger\""),
        "{other}"
    );
    assert_eq!(
        desk.head(),
        head,
        "where something differs nothing is changed"
    );
}

/// The same for a person, whose token is minted once.
pub fn a_person_comes_as_a_template_says(desk: &mut Desk) {
    let admin = desk.admin.clone();
    let file = desk.home.path().join("hana.token");
    let onboard = [
        "operator",
        "onboard",
        "on-call",
        "--set",
        "name=hana.w",
        "--set",
        "team=payments",
    ];
    let head = desk.settled();
    let dry = [&onboard[..], &["--dry-run"]].concat();
    let plan = desk.run(&admin, &dry).expect(0).out;
    assert!(plan.contains("would make: operator hana.w"), "{plan}");
    assert_eq!(desk.head(), head);
    let out = ["--out", file.to_str().unwrap()];
    let onboard = [&onboard[..], &out].concat();
    desk.run(&admin, &onboard).expect(0);
    let token = std::fs::read_to_string(&file).unwrap();
    desk.run(token.trim(), &["overview"]).expect(0);
    let head = desk.settled();
    let again = desk.run(&admin, &onboard).expect(0).err;
    assert!(again.contains("no token was minted"), "{again}");
    assert_eq!(desk.settled(), head, "applied twice it has one effect");
    let other = ["operator", "onboard", "auditor", "--set", "name=hana.w"];
    let other = desk.run(&admin, &other).expect(1).err;
    assert!(
        other.contains("operator hana.w: groups is \"on-call payments\""),
        "{other}"
    );
    let wrong = ["client", "onboard", "auditor", "--set", "name=hana.w"];
    desk.run(&admin, &wrong).expect(2);
}

/// What a team answers for is listed, confirmed, and given up.
pub fn the_access_review(desk: &mut Desk, people: &People) {
    let admin = desk.admin.clone();
    let adopted = |name: &str| {
        let digest = countersign::secret::digest_of(name).to_string();
        (name.to_owned(), digest)
    };
    for (name, digest) in [adopted("review/kept"), adopted("review/given-up")] {
        let words = [
            "credential",
            "adopt",
            &name,
            "--env",
            "production",
            "--kind",
            "api_key",
            "--issuer",
            "elsewhere",
            "--client",
            "reports",
            "--owner",
            "reviewers",
            "--audience",
            "orders",
            "--tier",
            "high",
            "--issued-at",
            "2026-01-01T00:00:00Z",
            "--digest",
            &digest,
        ];
        desk.run(&admin, &words).expect(0);
    }
    let list = ["review", "list", "--owner", "reviewers", "--sort", "name"];
    let listed = desk.json(&list);
    assert_eq!(listed.as_array().unwrap().len(), 2, "{listed}");
    assert_eq!(listed[1]["name"], "review/kept");
    assert_eq!(listed[1]["state"], "confirmed");
    assert_eq!(listed[1]["confirmed_by"], serde_json::Value::Null);
    let due = desk.json(&["review", "list", "--owner", "reviewers", "--filter", "due"]);
    assert_eq!(
        due,
        serde_json::json!([]),
        "nothing is due on its first day"
    );
    let confirm = [
        "review",
        "confirm",
        "review/kept",
        "--reason",
        "the nightly report",
    ];
    desk.run(&people.maya, &confirm).expect(3);
    desk.change(&admin, &confirm, 0);
    let both = [
        "review",
        "confirm",
        "review/kept",
        "review/given-up",
        "--reason",
        "both",
    ];
    let both = desk.run(&admin, &both).expect(0).out;
    assert!(
        both.contains("Confirmed review/kept") && both.contains("Confirmed review/given-up"),
        "{both}"
    );
    assert_eq!(desk.json(&list)[1]["confirmed_by"], "admin");
    let give_up = [
        "review",
        "give-up",
        "review/given-up",
        "--reason",
        "unused",
        "--yes",
    ];
    desk.change(&admin, &give_up, 0);
    let listed = desk.json(&list);
    assert_eq!(listed.as_array().unwrap().len(), 1, "{listed}");
    let shown = desk.json(&["credential", "show", "review/given-up"]);
    assert_eq!(shown["row"]["state"], "revoked");
    assert_eq!(
        shown["revocations"][0]["reason"],
        "given up in the access review: unused"
    );
}
