//! The language, by example and by generation.

use super::*;
use crate::wire::CredentialRow;
use proptest::prelude::*;

fn row() -> CredentialRow {
    serde_json::from_value(serde_json::json!({
        "id": "crd_01jd9x2m3v5qk7w8y6z4t0r1bc", "name": "pg-ledger-rw", "environment": "production",
        "kind": "vault_lease", "client": "Ledger-API", "owner": "ledger", "tier": "high",
        "state": "rotating", "version": 42, "accepted": 2, "issued_at": "2026-09-29T13:51:07Z",
        "expires_at": "2026-09-29T17:42:07Z", "rotate_by": "2026-09-29T14:00:00Z",
        "last_used_at": null, "sequence": 918_202,
    }))
    .unwrap()
}

fn now() -> DateTime<Utc> {
    "2026-09-29T14:32:07Z".parse().unwrap()
}

#[test]
fn matches_what_it_says() {
    let row = row();
    let holds = |text: &str| Filter::parse(text).unwrap().matches(&row, now());
    for yes in [
        "",
        "LEDGER",
        "ledger-api",
        "env:prod",
        "env:PROD & kind:vault",
        "env=prod",
        "name=pg-ledger-rw",
        "left<24h",
        "left<=3h10m",
        "left>3h9m59s",
        "overdue",
        "due<0s",
        "unused>40m",
        "version>=42 accepted:2",
        "!never",
        "state:rot | nonsense",
        "env:prod & (left<24h | never) & !state:revoked",
        "\"ledger\"",
    ] {
        assert!(holds(yes), "{yes}");
    }
    for no in [
        "nonsense",
        "env:stg",
        "env:dev",
        "name=pg-ledger",
        "left>24h",
        "never",
        "risk>1",
        "!ledger",
        "\"never\"",
    ] {
        assert!(!holds(no), "{no}");
    }
}

#[test]
fn says_where_it_stops_making_sense() {
    let error = |text: &str| Filter::parse(text).unwrap_err().to_string();
    assert_eq!(error("env:prod & (left<24h"), "at character 21: expected )");
    assert_eq!(
        error("left<soon"),
        "at character 6: expected a span such as 90s, 15m, 24h, 7d or 1d12h"
    );
    assert!(error("colour:red").starts_with("at character 1: expected a field: id name owner"));
    assert!(error("a &").starts_with("at character 4: expected a word"));
    assert_eq!(
        error("env<prod"),
        "at character 4: expected : or = after env"
    );
    assert!(error("\"open").contains("closing"));
    assert!(error(&"!".repeat(40)).contains("at most 32 levels"));
    let error = Filter::parse_for::<CredentialRow>("risk>3").unwrap_err();
    assert!(error.expected.starts_with("a field: name owner"));
    assert!(!error.expected.contains("risk"));
}

#[test]
fn every_listed_field_is_answered() {
    let row = row();
    for field in CredentialRow::FIELDS {
        assert_ne!(row.value(*field), Value::None, "{}", field.word());
    }
}

fn text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("env:prod"),
        Just("left<24h"),
        Just("never"),
        Just("\"never\""),
        Just("a b"),
        Just("&"),
        Just("|"),
        Just("!"),
        Just("("),
        Just(")"),
        Just(" "),
        Just("name=\"x y\""),
        Just("risk>=070"),
        Just("due<-90m"),
        Just("ÄÖ\u{130}"),
    ];
    proptest::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn reading_never_panics(text in "\\PC{0,60}") {
        let _ = Filter::parse(&text).map(|filter| filter.matches(&row(), now()));
    }

    #[test]
    fn what_is_printed_reads_the_same(text in text()) {
        if let Ok(filter) = Filter::parse(&text) {
            let printed = filter.to_string();
            prop_assert_eq!(Filter::parse(&printed), Ok(filter), "{} from {}", printed, text);
        }
    }
}
