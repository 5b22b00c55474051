//! The OpenAPI document: it is 3.1, everything that it refers to is there, and it changes only on purpose.

use countersign::broker::http::document;
use serde_json::Value;
use std::collections::BTreeSet;

fn parsed() -> Value {
    serde_json::from_str(&document()).expect("JSON")
}

fn walk(value: &Value, seen: &mut impl FnMut(&serde_json::Map<String, Value>)) {
    match value {
        Value::Object(fields) => {
            seen(fields);
            fields.values().for_each(|inner| walk(inner, seen));
        }
        Value::Array(items) => items.iter().for_each(|inner| walk(inner, seen)),
        _ => {}
    }
}

#[test]
fn every_reference_leads_somewhere() {
    let document = parsed();
    assert_eq!(document["openapi"], "3.1.0");
    let mut missing = BTreeSet::new();
    walk(&document, &mut |fields| {
        if let Some(Value::String(reference)) = fields.get("$ref") {
            let pointer = reference
                .strip_prefix('#')
                .expect("a reference into the document");
            if document.pointer(pointer).is_none() {
                missing.insert(reference.clone());
            }
        }
    });
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn every_operation_is_whole() {
    let document = parsed();
    let mut names = BTreeSet::new();
    for (path, item) in document["paths"].as_object().expect("paths") {
        let places: BTreeSet<_> = path
            .split('/')
            .filter_map(|step| step.strip_prefix('{')?.strip_suffix('}'))
            .collect();
        for (method, operation) in item.as_object().expect("operations") {
            let what = format!("{method} {path}");
            let name = operation["operationId"]
                .as_str()
                .unwrap_or_else(|| panic!("{what}: no operationId"));
            assert!(names.insert(name.to_owned()), "{what}: {name} is taken");
            assert!(
                operation["summary"]
                    .as_str()
                    .is_some_and(|text| !text.is_empty()),
                "{what}: no summary"
            );
            let parameters = operation["parameters"]
                .as_array()
                .cloned()
                .unwrap_or_default();
            let given: BTreeSet<_> = parameters
                .iter()
                .filter(|parameter| parameter["in"] == "path")
                .map(|parameter| parameter["name"].as_str().expect("a name"))
                .collect();
            assert_eq!(given, places, "{what}");
            let responses = operation["responses"].as_object().expect("responses");
            assert!(
                responses.keys().any(|status| status.starts_with('2')),
                "{what}"
            );
            for (status, response) in responses {
                let error = status.parse::<u16>().expect("a status") >= 400;
                let problem = &response["content"]["application/problem+json"]["schema"]["$ref"];
                // OAuth software reads refusals in OAuth's own form (RFC 6749).
                let oauth =
                    path.starts_with("/oauth/") && ["400", "401"].contains(&status.as_str());
                if oauth {
                    let own = &response["content"]["application/json"]["schema"]["$ref"];
                    assert_eq!(own, "#/components/schemas/OAuthError", "{what} {status}");
                } else if error && !(path == "/readyz" && status == "503") {
                    assert_eq!(problem, "#/components/schemas/Problem", "{what} {status}");
                }
                assert!(
                    response["headers"]["Countersign-Sequence"].is_object(),
                    "{what} {status}"
                );
            }
            let open = operation["security"]
                .as_array()
                .is_some_and(|schemes| schemes.iter().all(|one| *one == serde_json::json!({})));
            // Whoever signs in is not signed in yet, and may be refused all the same.
            let stays_out = !open || path == "/v1/login/ssh";
            assert_eq!(stays_out, responses.contains_key("401"), "{what}");
            let keyed = parameters
                .iter()
                .any(|parameter| parameter["name"] == "Idempotency-Key");
            let asks = [
                "/lookup",
                "/exposure",
                "/oauth/revoke",
                "/revocations/plan",
                "/introspect",
                "/simulate",
                "/signing",
                "/login/challenge",
                "/login/ssh",
            ];
            let asks = asks.iter().any(|end| path.ends_with(end));
            // What is put where it stands is the same when it is said twice.
            let changes = !["get", "put"].contains(&method.as_str());
            assert_eq!(keyed, changes && !asks, "{what}");
        }
    }
}

#[test]
fn words_are_documented_as_they_travel() {
    let document = parsed();
    let words = &document["components"]["schemas"]["Role"]["enum"];
    assert_eq!(words.as_array().map(Vec::len), Some(6));
    assert_eq!(words[0], "viewer");
}

#[test]
fn the_document_changes_only_on_purpose() {
    insta::assert_snapshot!("openapi", document());
}
