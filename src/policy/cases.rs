//! Cases: what a policy must decide, kept beside it and tried before it comes in force.
//!
//! A file of cases is `{"cases": [{"name": …, "kind": …, "environment": …, "facts": {…}, "expect": {…}}]}`. The facts
//! say only what differs from an ordinary request of that kind in that environment; what is expected says only what
//! matters to the case.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    bundle::Bundle,
    decision::{Decision, Outcome, RiskTier, StepUp},
    engine::{self, Policy},
    error::PolicyError,
};
use crate::domain::Facts;

/// The most cases of a policy.
pub const MAX_CASES: usize = 200;

/// One file of cases.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Suite {
    cases: Vec<Case>,
}

/// One case.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    kind: String,
    environment: String,
    #[serde(default)]
    facts: Value,
    expect: Expected,
}

/// What must come of it; what is left out may be anything.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Expected {
    outcome: Outcome,
    approvals: Option<u8>,
    groups: Option<BTreeSet<String>>,
    step_up: Option<StepUp>,
    hold: Option<bool>,
    review: Option<bool>,
    max_ttl_s: Option<u64>,
    tier: Option<RiskTier>,
    score: Option<u8>,
    /// Each of these must have spoken.
    #[serde(default)]
    rules: Vec<String>,
    /// Each of these must be among the terms of the risk.
    #[serde(default)]
    factors: Vec<String>,
}

/// One case that was not decided as it says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Failure {
    /// The file.
    pub file: String,
    /// The case.
    pub name: String,
    /// What it expects.
    pub expected: String,
    /// What came of it.
    pub got: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: {:?}: expected {}, got {}",
            self.file, self.name, self.expected, self.got
        )
    }
}

/// How the lines of one file of rules were used by the cases.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Coverage {
    /// The file.
    pub file: String,
    /// Lines that some case went through.
    pub covered: usize,
    /// Lines that hold something to evaluate.
    pub lines: usize,
    /// Those that no case went through.
    pub missing: Vec<u32>,
}

/// What running the cases came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// How many cases there are.
    pub total: usize,
    /// Those that failed.
    pub failed: Vec<Failure>,
    /// By file; empty where it was not asked for.
    pub coverage: Vec<Coverage>,
}

/// Runs all of a policy's own cases.
///
/// # Errors
/// [`PolicyError::File`] for a case whose facts are not facts.
pub fn run(policy: &Policy, bundle: &Bundle) -> Result<Report, PolicyError> {
    let mut failed = Vec::new();
    let all = cases(bundle)?;
    for (file, case, facts) in &all {
        failed.extend(case.check(file, &policy.decide(facts)));
    }
    Ok(Report {
        total: all.len(),
        failed,
        coverage: Vec::new(),
    })
}

/// As [`run`], and which lines of the rules the cases went through.
///
/// # Errors
/// As [`run`].
pub fn run_with_coverage(policy: &Policy, bundle: &Bundle) -> Result<Report, PolicyError> {
    let mut report = run(policy, bundle)?;
    let all = cases(bundle)?;
    report.coverage = engine::coverage(bundle, all.iter().map(|(_, _, facts)| facts))?;
    Ok(report)
}

/// The facts of all cases, for comparing one way of deciding with another.
#[cfg(test)]
pub(super) fn facts(bundle: &Bundle) -> Vec<(String, Facts)> {
    cases(bundle)
        .expect("sound cases")
        .into_iter()
        .map(|(_, case, facts)| (case.name.clone(), facts))
        .collect()
}

fn cases(bundle: &Bundle) -> Result<Vec<(&str, &Case, Facts)>, PolicyError> {
    let mut all = Vec::new();
    let mut names = BTreeMap::new();
    for (file, suite) in bundle.suites() {
        for case in &suite.cases {
            let fault = |reason: String| PolicyError::File {
                name: file.clone(),
                line: 0,
                reason: format!("case {:?}: {reason}", case.name),
            };
            if let Some(other) = names.insert(&case.name, file) {
                return Err(fault(format!("{other} has a case of this name too")));
            }
            if all.len() == MAX_CASES {
                return Err(fault(format!("at most {MAX_CASES} cases are run")));
            }
            let facts = case.facts().map_err(|error| fault(error.to_string()))?;
            all.push((file.as_str(), case, facts));
        }
    }
    Ok(all)
}

impl Case {
    fn facts(&self) -> Result<Facts, serde_json::Error> {
        let mut facts = serde_json::to_value(Facts::ordinary(&self.kind, &self.environment))?;
        merge(&mut facts, &self.facts);
        serde_json::from_value(facts)
    }

    fn check(&self, file: &str, decision: &Decision) -> Option<Failure> {
        let expect = &self.expect;
        let quorum = decision.quorum.as_ref();
        let mut differs = Difference::default();
        differs.note("outcome", Some(&expect.outcome), &decision.outcome);
        let approvals = quorum.map_or(0, |quorum| quorum.count);
        differs.note("approvals", expect.approvals.as_ref(), &approvals);
        let groups = quorum
            .map(|quorum| quorum.groups.iter().cloned().collect())
            .unwrap_or_default();
        differs.note("groups", expect.groups.as_ref(), &groups);
        differs.note("step_up", expect.step_up.as_ref(), &decision.step_up);
        differs.note("hold", expect.hold.as_ref(), &decision.hold);
        let review = decision.review.is_some();
        differs.note("review", expect.review.as_ref(), &review);
        differs.note("max_ttl_s", expect.max_ttl_s.as_ref(), &decision.max_ttl_s);
        differs.note("tier", expect.tier.as_ref(), &decision.risk.tier);
        differs.note("score", expect.score.as_ref(), &decision.risk.score);
        let rules: Vec<&str> = decision.rules.iter().map(|rule| rule.id.as_str()).collect();
        differs.has("rules", &expect.rules, &rules);
        let factors: Vec<&str> = decision
            .risk
            .factors
            .iter()
            .map(|factor| factor.id.as_str())
            .collect();
        differs.has("factors", &expect.factors, &factors);
        // Why it was refused says more than that it was.
        if !differs.expected.is_empty() && decision.outcome == Outcome::Deny {
            let reasons: Vec<_> = decision
                .denials()
                .map(|rule| rule.reason.as_str())
                .collect();
            differs.got.push(format!("because {}", reasons.join("; ")));
        }
        differs.failure(file, &self.name)
    }
}

/// What was expected and what came, side by side.
#[derive(Default)]
struct Difference {
    expected: Vec<String>,
    got: Vec<String>,
}

impl Difference {
    fn note<T: PartialEq + Serialize>(&mut self, what: &str, expected: Option<&T>, got: &T) {
        if let Some(expected) = expected
            && expected != got
        {
            self.expected.push(format!("{what} {}", word(expected)));
            self.got.push(format!("{what} {}", word(got)));
        }
    }

    fn has(&mut self, what: &str, expected: &[String], got: &[&str]) {
        for id in expected {
            if !got.contains(&id.as_str()) {
                self.expected.push(format!("{what} with {id}"));
                self.got.push(format!("{what} {}", got.join(", ")));
            }
        }
    }

    fn failure(self, file: &str, name: &str) -> Option<Failure> {
        (!self.expected.is_empty()).then(|| Failure {
            file: file.to_owned(),
            name: name.to_owned(),
            expected: self.expected.join(", "),
            got: self.got.join(", "),
        })
    }
}

fn word(value: &impl Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(Value::String(word)) => word,
        Ok(value) => value.to_string(),
        Err(error) => error.to_string(),
    }
}

/// Puts what `over` says in place of what `under` says; objects field by field.
fn merge(under: &mut Value, over: &Value) {
    match (under, over) {
        (_, Value::Null) => {}
        (Value::Object(under), Value::Object(over)) => {
            for (name, value) in over {
                merge(under.entry(name.clone()).or_insert(Value::Null), value);
            }
        }
        (under, over) => *under = over.clone(),
    }
}
