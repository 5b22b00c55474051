//! The shipped policy on its own cases, and what becomes of policies that are broken.

use std::collections::BTreeMap;

use super::*;
use crate::domain::Facts;

fn shipped() -> Policy {
    Policy::load(1, &Bundle::shipped()).expect("the shipped policy loads")
}

/// The shipped files with one replaced or added.
fn with(name: &str, text: &str) -> Result<Bundle, PolicyError> {
    let mut files = Bundle::shipped().files().clone();
    files.insert(name.to_owned(), text.to_owned());
    Bundle::new(files)
}

fn edited(name: &str, from: &str, to: &str) -> Bundle {
    let text = Bundle::shipped().files()[name].clone();
    assert!(text.contains(from), "{name} has no {from:?}");
    with(name, &text.replacen(from, to, 1)).expect("files of the right kinds")
}

#[test]
fn the_shipped_policy_decides_its_cases_and_they_go_through_every_line() {
    let bundle = Bundle::shipped();
    let report = cases::run_with_coverage(&shipped(), &bundle).expect("sound cases");
    for failure in &report.failed {
        println!("{failure}");
    }
    assert!(report.failed.is_empty());
    assert!(report.total >= 50, "{}", report.total);
    for file in &report.coverage {
        // What says that the policy itself is at fault cannot speak in a sound one.
        let text = &bundle.files()[&file.file];
        let rule = |line: u32| {
            let above = text.lines().take(line as usize).collect::<Vec<_>>();
            let from = above.join("\n").rfind("\n\n").unwrap_or(0);
            text[from..].trim_start().split("\n\n").next()
        };
        let (guards, missing): (Vec<u32>, Vec<u32>) = (file.missing.iter()).partition(|line| {
            rule(**line).is_some_and(|rule| rule.contains("a fault of the policy"))
        });
        assert!(
            missing.is_empty(),
            "{}: no case goes through lines {missing:?}",
            file.file
        );
        assert!(guards.len() <= 3, "{}: {guards:?}", file.file);
    }
}

#[test]
fn every_risk_is_the_sum_of_its_factors() {
    let policy = shipped();
    for (name, facts) in cases::facts(&Bundle::shipped()) {
        let decision = policy.decide(&facts);
        let sum: i32 = decision
            .risk
            .factors
            .iter()
            .map(|factor| i32::from(factor.points))
            .sum();
        assert_eq!(i32::from(decision.risk.score), sum.clamp(0, 100), "{name}");
    }
}

#[test]
fn the_register_machine_and_the_interpreter_agree() {
    let policy = shipped();
    let bundle = Bundle::shipped();
    let mut engine = regorus::Engine::new();
    engine
        .add_data(regorus::Value::from(bundle.data().clone()))
        .unwrap();
    for (name, text) in bundle.modules() {
        engine.add_policy(name.into(), text.into()).unwrap();
    }
    for (name, facts) in cases::facts(&bundle) {
        engine.set_input(serde_json::to_value(&facts).unwrap().into());
        let answer = engine
            .eval_rule("data.countersign.issue.result".into())
            .unwrap();
        let other = Decision::parse(&answer, policy.id().clone()).unwrap();
        assert_eq!(policy.decide(&facts), other, "{name}");
    }
}

#[test]
fn no_lifetime_is_longer_than_its_row_of_sp_800_57() {
    let bundle = Bundle::shipped();
    let lifetimes: serde_json::Value =
        serde_json::from_str(&bundle.files()["lifetimes.json"]).unwrap();
    let caps = lifetimes["cap_s"].as_object().unwrap();
    assert_eq!(caps.len(), 4);
    for (kind, environments) in caps {
        let row = &lifetimes["row"][kind];
        assert!(!row["table_1"].as_str().unwrap().is_empty());
        for (environment, cap) in environments.as_object().unwrap() {
            assert!(
                cap.as_u64().unwrap() <= row["longest_s"].as_u64().unwrap(),
                "{kind} in {environment}"
            );
        }
    }
}

#[test]
fn two_of_security_change_the_policy_and_so_they_do_where_it_does_not_say() {
    assert_eq!(Bundle::shipped().change(), &Change::default());
    let mut files = Bundle::shipped().files().clone();
    files.remove("change.json");
    assert_eq!(Bundle::new(files).unwrap().change(), &Change::default());
    for nobody in [
        r#"{"quorum": {"count": 0, "groups": ["security"]}, "approval_ttl_s": 60}"#,
        r#"{"quorum": {"count": 2, "groups": []}, "approval_ttl_s": 60}"#,
    ] {
        let error = with("change.json", nobody).unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("change.json:1: it lets nobody"),
            "{error}"
        );
    }
}

#[test]
fn an_empty_list_of_approvers_is_the_policys_fault() {
    let bundle = edited(
        "tiers.json",
        r#""production": {
      "low": {"count": 0, "groups": [], "step_up": "none"},
      "elevated": {"count": 1, "groups": ["security"]"#,
        r#""production": {
      "low": {"count": 0, "groups": [], "step_up": "none"},
      "elevated": {"count": 1, "groups": []"#,
    );
    // An ordinary request meets it, so it does not load.
    let error = Policy::load(2, &bundle).unwrap_err().to_string();
    assert!(
        error.contains(
            "names no group that they may come from: a fault of the policy, not of the request"
        ),
        "{error}"
    );
    // Where only an extraordinary one does, that one is refused and told why.
    let bundle = edited(
        "tiers.json",
        r#""critical": {"count": 1, "groups": ["security"]"#,
        r#""critical": {"count": 1, "groups": []"#,
    );
    let policy = Policy::load(2, &bundle).unwrap();
    let mut facts = Facts::ordinary("api_key", "development");
    facts.request.scopes = vec!["*".into(), "a:admin".into(), "a:write".into()];
    let decision = policy.decide(&facts);
    assert!(decision.is_undefined());
    assert!(
        decision.rules[0].reason.contains("a fault of the policy"),
        "{decision:?}"
    );
}

#[test]
fn what_would_count_for_less_than_it_says_fails_closed() {
    // A weight that is missing: the signal would be free.
    let bundle = edited("weights.json", "\"scope.wildcard\": 30,\n", "");
    let mut facts = Facts::ordinary("api_key", "development");
    facts.request.scopes = vec!["*".into()];
    let decision = Policy::load(2, &bundle).unwrap().decide(&facts);
    assert_eq!(decision.outcome, Outcome::Deny);
    assert_eq!(decision.rules[0].id, "risk.unweighted");
    // A term that is not shown.
    let bundle = edited(
        "risk.rego",
        "sum([factor.points | some factor in factors])",
        "sum([factor.points | some factor in factors]) + 1",
    );
    let error = Policy::load(2, &bundle).unwrap_err().to_string();
    assert!(error.contains("a hidden term"), "{error}");
}

#[test]
fn a_hardware_key_is_one_word_in_the_table() {
    let text = Bundle::shipped().files()["tiers.json"].clone();
    let bundle = with("tiers.json", &text.replace("ssh_signature", "hardware_key")).unwrap();
    let policy = Policy::load(2, &bundle).unwrap();
    let decision = policy.decide(&Facts::ordinary("vault_lease", "production"));
    assert_eq!(decision.step_up, StepUp::HardwareKey);
    let decision = policy.decide(&Facts::ordinary("api_key", "production"));
    assert_eq!(decision.step_up, StepUp::None, "elevated asks for no more");
}

/// A policy whose answer is `result`, plus whatever `more` defines.
fn small(result: &str, more: &str) -> Bundle {
    let text =
        format!("package countersign.issue\n\nimport rego.v1\n\n{more}\n\nresult := {result}\n");
    Bundle::new(BTreeMap::from([("p.rego".to_owned(), text)])).expect("one file of rules")
}

const ALLOW: &str = r#"{"outcome": "allow", "quorum": null, "step_up": "none", "hold": false, "review": null, "max_ttl_s": 60, "approval_ttl_s": 60, "risk": {"score": 0, "tier": "low", "factors": []}, "rules": []}"#;

#[test]
fn a_policy_that_is_undefined_for_an_ordinary_request_does_not_load() {
    let text = small(ALLOW, "").files()["p.rego"].replace(
        "result :=",
        "result := r if { input.environment.name == \"staging\"; r := allowed }\n\nallowed :=",
    );
    let bundle = Bundle::new(BTreeMap::from([("p.rego".to_owned(), text)])).unwrap();
    let error = Policy::load(2, &bundle).unwrap_err();
    assert!(
        matches!(&error, PolicyError::Unusable { environment, .. } if environment == "development"),
        "{error}"
    );
}

#[test]
fn whatever_goes_wrong_later_is_a_denial_by_policy_undefined() {
    let loads = |more: &str, answer: &str| Policy::load(7, &small(answer, more)).unwrap();
    let mut odd = Facts::ordinary("api_key", "staging");
    odd.history.requests_last_hour = 1000;
    let answer = ALLOW.replace("\"allow\"", "o");
    for (name, rule) in [
        (
            "undefined",
            "o := \"allow\" if input.history.requests_last_hour < 1000",
        ),
        (
            "conflicting",
            "o := \"allow\" if input.history.requests_last_hour >= 0\n\no := \"needs\" if input.history.requests_last_hour > 999",
        ),
        (
            "misshapen",
            "default o := \"allow\"\n\no := \"perhaps\" if input.history.requests_last_hour > 999",
        ),
        (
            "quorum of nobody",
            "default o := \"allow\"\n\no := \"needs\" if input.history.requests_last_hour > 999",
        ),
        (
            "runaway",
            "o := \"allow\" if count([1 | some i in numbers.range(1, input.history.requests_last_hour * 10); some j in numbers.range(1, input.history.requests_last_hour * 10)]) >= 0",
        ),
    ] {
        let policy = loads(rule, &answer);
        let decision = policy.decide(&odd);
        assert_eq!(decision.outcome, Outcome::Deny, "{name}");
        assert!(decision.is_undefined(), "{name}: {decision:?}");
        assert_eq!(decision.policy.version, 7, "{name}");
        let ordinary = policy.decide(&Facts::ordinary("api_key", "staging"));
        assert_eq!(
            ordinary.outcome,
            Outcome::Allow,
            "{name}: the machine recovered"
        );
    }
}

#[test]
fn a_bad_policy_is_refused_with_file_and_line() {
    let uses_x = ALLOW.replace("\"rules\": []", "\"rules\": [r | x; r := 1]");
    for (rule, words) in [
        ("x if { input.request.ttl_s == }", "expect"),
        ("x if { no_such_function(1) }", "no_such_function"),
        ("x if { y == 1 }", "y"),
        (
            "x if input.environment.nmae == \"staging\"",
            "no such fact: input.environment.nmae",
        ),
        ("x := time.now_ns()", "time.now_ns"),
    ] {
        let error = Policy::load(2, &small(&uses_x, rule))
            .unwrap_err()
            .to_string();
        assert!(error.starts_with("p.rego:5: "), "{error}");
        assert!(error.contains(words), "{error}");
    }
    // One that is spread over files: the file at fault is named.
    let error = Policy::load(2, &edited("risk.rego", "off_hours if", "off_hours if if"))
        .unwrap_err()
        .to_string();
    assert!(error.starts_with("risk.rego:"), "{error}");
    for (name, text, start) in [
        ("weights.json", "{\n  \"points\": {,\n", "weights.json:2: "),
        ("weights.json", "[]", "weights.json:1: expected an object"),
        (
            "reviews.json",
            r#"{"every_s": {"low": 1, "elevated": 2, "high": 2, "critical": 2}, "notice_s": 1}"#,
            "reviews.json:1: a review of tier low every 1 s: expected more than the notice of 1 s",
        ),
        ("reviews.json", r#"{"every_s": {}}"#, "reviews.json:1: "),
        (
            "rotation.json",
            r#"{"schedules": [{"cadence_s": 3600, "jitter_percent": 0, "overlap_s": 3600, "unused_s": 60, "fallback_s": 0, "grace_s": 0}], "batch": 1, "promote_within_s": 60, "compromise_overlap_s": 0, "retry_s": 60}"#,
            "rotation.json:1: schedule 1: cadence_s: 3600 with 0 % of jitter is not longer than the overlap of 3600 seconds; expected more than 3601",
        ),
        (
            "rotation.json",
            r#"{"schedules": [], "batch": 1, "promote_within_s": 60, "compromise_overlap_s": 0, "retry_s": 60}"#,
            "rotation.json:1: no schedule fits api_key in development of tier low: end the list with one for all",
        ),
        (
            "cases/risk.json",
            "{\"cases\": [{\"nmae\": 1}]}",
            "cases/risk.json:1: ",
        ),
        ("run.sh", "rm -rf /", "run.sh:0: expected NAME.rego"),
        ("../up.rego", "", "../up.rego:0: expected NAME.rego"),
    ] {
        let error = with(name, text).unwrap_err().to_string();
        assert!(error.starts_with(start), "{error}");
    }
    let error = with("long.rego", &"#\n".repeat(2_500_000))
        .unwrap_err()
        .to_string();
    assert!(error.contains("at most 262144 bytes"), "{error}");
    let error = Policy::load(2, &small("1", "")).unwrap_err().to_string();
    assert!(error.contains("no usable answer"), "{error}");
}

#[test]
fn an_endless_rule_ends_and_is_refused() {
    let endless = "o := \"allow\" if count([1 | some i in numbers.range(1, 100000); some j in numbers.range(1, 100000); i + j < 0]) >= 0";
    let started = std::time::Instant::now();
    let error = Policy::load(2, &small(&ALLOW.replace("\"allow\"", "o"), endless))
        .unwrap_err()
        .to_string();
    assert!(error.contains("no usable answer"), "{error}");
    assert!(started.elapsed().as_secs() < 20, "{:?}", started.elapsed());
}

#[test]
fn a_policy_that_fails_its_own_cases_is_not_loaded_and_the_others_stay() {
    let store = PolicyStore::shipped();
    let before = store.first().id().clone();
    let text = Bundle::shipped().files()["weights.json"].replace(
        "\"environment.production\": 30",
        "\"environment.production\": 0",
    );
    let mut files = Bundle::shipped().files().clone();
    files.insert("weights.json".into(), text);
    let PolicyError::Cases { failed, total } = store.load(2, &files).unwrap_err() else {
        panic!("it loads, and only its cases fail");
    };
    assert!(failed.len() > 3 && failed.len() < total, "{failed:?}");
    let told = failed
        .iter()
        .find(|failure| failure.name == "a read scope in production")
        .expect("it asks for nobody now")
        .to_string();
    assert!(
        told.contains("expected outcome needs, approvals 1")
            && told.contains("got outcome allow, approvals 0"),
        "{told}"
    );
    assert_eq!(store.first().id(), &before);

    files.insert("cases/environments.json".into(), "{\"cases\": []}".into());
    for name in ["databases", "lifetimes", "partners", "risk"] {
        files.remove(&format!("cases/{name}.json"));
    }
    let loaded = store.load(2, &files).unwrap();
    assert_eq!(loaded.id().version, 2);
    assert_eq!(store.held(loaded.id()).unwrap().id(), loaded.id());
}

/// Not a benchmark, a guard: the figure is in `benches/engine.rs`.
#[test]
fn a_decision_takes_microseconds() {
    let policy = shipped();
    let facts = Facts::ordinary("vault_lease", "production");
    let mut took: Vec<_> = (0..2001)
        .map(|_| {
            let start = std::time::Instant::now();
            assert_eq!(policy.decide(&facts).outcome, Outcome::Needs);
            start.elapsed()
        })
        .collect();
    took.sort();
    println!("p50 {:?} p99 {:?}", took[1000], took[1980]);
    let budget = if cfg!(debug_assertions) { 10_000 } else { 500 };
    assert!(took[1000].as_micros() < budget, "{:?}", took[1000]);
}
