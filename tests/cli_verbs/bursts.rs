//! What one person asks for in a burst, on the command line: one row of the queue wherever the pages end, and denied
//! once however often that is said.

use crate::support::cli::{Ran, cli};
use crate::support::company::done;
use crate::support::{BrokerProcess, Company};
use countersign::client::Once;
use countersign::wire::{Environment, Kind, NewOperator, NewRequest, Reason, Role};
use std::collections::BTreeMap;

/// Policy calls it a burst from the twenty-first within an hour on.
const MANY: usize = 23;

#[tokio::test(flavor = "multi_thread")]
async fn a_burst_is_one_row_and_one_answer() {
    let broker = BrokerProcess::start("");
    let company = Company::found(&broker, 1).await;
    let decider = NewOperator {
        name: "dora.k".into(),
        display_name: String::new(),
        robot: false,
        groups: ["security".to_owned()].into(),
        roles: BTreeMap::from([(
            Environment::Production,
            [Role::Viewer, Role::Approver].into(),
        )]),
        client: None,
        token_ttl_s: 3_600,
    };
    let decider = done(company.admin.add_operator(&decider, &Once::new()).await);
    let by = |args: &[&str]| -> Ran { cli(broker.url(), &decider.token, args) };
    let mut asked = Vec::new();
    for number in 0..MANY {
        let request = NewRequest {
            kind: Kind::ApiKey,
            role: String::new(),
            scopes: vec!["reports:read".into()],
            ..company.login(&format!("burst/{number:02}"), "unused")
        };
        asked.push(company.asked(&request).await.to_string());
    }

    for limit in ["1", "2", "100", "0"] {
        let table = by(&["request", "list", "--limit", limit]).expect(0).out;
        let rows: Vec<&str> = table.lines().skip(1).collect();
        assert_eq!(rows.len(), 1, "limit {limit}:\n{table}");
        assert!(rows[0].contains(&format!("BURST of {MANY}")), "{table}");
        assert!(rows[0].contains(&asked[0]), "{table}");
    }
    let each = by(&["request", "list", "--each", "--limit", "2"]).expect(0);
    assert_eq!(each.out.lines().count(), 3, "{}", each.out);
    assert!(each.err.contains(&format!("2 of {MANY} rows")), "{each:?}");

    // Denied once; again under the same key, by any of its requests, it is the first answer.
    let deny = |name: &str, key: &str, reason: &str| {
        let args = ["request", "deny-burst", name, "--yes", "-o", "ndjson"];
        let told = ["--reason", reason, "--idempotency-key", key];
        by(&[&args[..], &told[..]].concat())
    };
    let taken_back = asked[MANY - 1].parse().expect("a request's identifier");
    let slip = Reason {
        reason: "a slip".into(),
    };
    done(
        company
            .robot
            .withdraw(taken_back, &slip, &Once::new())
            .await,
    );
    let first = deny(&asked[0], "once", "too many").expect(0);
    assert_eq!(first.out.lines().count(), MANY - 1, "{first:?}");
    let again = deny(&asked[7], "once", "too many").expect(0);
    let sorted = |ran: &Ran| {
        let mut lines: Vec<String> = ran.out.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    assert_eq!(sorted(&again), sorted(&first));
    // Another key, or none, is another call: nothing is left for it.
    let other = deny(&asked[0], "twice", "too many").expect(1);
    assert!(other.err.contains("burst that waits"), "{other:?}");
    let args = ["request", "deny-burst", &asked[0], "--reason", "x", "--yes"];
    by(&args).expect(1);
    // The same key with other words is a mistake, and said to be one.
    let reused = deny(&asked[0], "once", "other words");
    assert_eq!((reused.code, reused.out.as_str()), (2, ""), "{reused:?}");
}
