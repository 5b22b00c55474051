//! What a policy answers, checked before anybody relies on it.

use regorus::Value;
use serde::{Deserialize, Serialize};

use super::answer;

/// The rule id of every denial that the policy itself did not give: it failed, ran away, contradicted
/// itself or answered something else than was asked.
pub const UNDEFINED: &str = "policy.undefined";

/// A policy's answer to one request, with everything that led to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Decision {
    /// Allow, deny, or who has to agree first.
    pub outcome: Outcome,
    /// Present exactly when the outcome is [`Outcome::Needs`].
    pub quorum: Option<Quorum>,
    /// How each approval must be proven.
    pub step_up: StepUp,
    /// Nothing happens until somebody has looked.
    pub hold: bool,
    /// Who must look afterwards, where the quorum is skipped.
    pub review: Option<Review>,
    /// The longest lifetime that this policy grants here, in seconds; 0 when it grants none.
    pub max_ttl_s: u64,
    /// How long a quorum may take before the request expires, in seconds.
    pub approval_ttl_s: u64,
    /// How risky, and why.
    pub risk: Risk,
    /// What every rule that had something to say said; refusals first.
    pub rules: Vec<RuleResult>,
    /// Which policy decided.
    pub policy: PolicyId,
}

/// The three answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// Issue at once.
    Allow,
    /// Refuse.
    Deny,
    /// Wait for a quorum.
    Needs,
}

/// How many distinct people, from any of which groups.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Quorum {
    /// At least one.
    pub count: u8,
    /// Never empty: an empty list would let anybody approve.
    pub groups: Vec<String>,
}

/// What an approver must show besides being signed in. Ordered with the strictest last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepUp {
    /// Nothing more.
    None,
    /// A signature by an enrolled SSH key.
    SshSignature,
    /// Such a signature by a hardware key that was touched for it.
    HardwareKey,
}

/// The look that others must take after the quorum was skipped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Review {
    /// How many, from which groups.
    pub quorum: Quorum,
    /// Within how many seconds.
    pub within_s: u64,
}

/// The score, its tier and the factors that add up to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Risk {
    /// 0 to 100.
    pub score: u8,
    /// The band that the score falls in.
    pub tier: RiskTier,
    /// What added up to it.
    pub factors: Vec<RiskFactor>,
}

/// Bands of risk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RiskTier {
    /// Decided without people.
    Low,
    /// Worth a look.
    Elevated,
    /// Shown loudly.
    High,
    /// Shown loudest.
    Critical,
}

/// One reason for the score.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RiskFactor {
    /// Stable name, such as `scope.wildcard`.
    pub id: String,
    /// Points added, or taken away when negative.
    pub points: i16,
    /// A short phrase for people.
    pub reason: String,
}

/// What one rule said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RuleResult {
    /// Stable name, such as `ttl.cap`.
    pub id: String,
    /// Whether it is content, wary or refuses.
    pub effect: Effect,
    /// A sentence for people, naming what would be accepted.
    pub reason: String,
}

/// A rule's verdict. Ordered with refusals first, as they are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Effect {
    /// This alone refuses the request.
    Deny,
    /// Somebody should see this.
    Warn,
    /// Content.
    Ok,
}

/// Which text decided: recorded with every decision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyId {
    /// Counts up with every policy put in force; the shipped one is 1.
    pub version: u32,
    /// Lower-case hexadecimal SHA-256 of the files' JCS bytes.
    pub digest: String,
}

/// The policy's own words, exactly: one field more or less is refused.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Verdict {
    outcome: Outcome,
    quorum: Option<Quorum>,
    step_up: StepUp,
    hold: bool,
    review: Option<Review>,
    max_ttl_s: u64,
    approval_ttl_s: u64,
    risk: Risk,
    rules: Vec<RuleResult>,
}

impl Decision {
    /// Reads a policy's answer and checks that it holds together; the error is for people.
    pub(super) fn parse(answer: &Value, policy: PolicyId) -> Result<Self, String> {
        let verdict: Verdict = answer::read(answer).map_err(|error| error.to_string())?;
        let denies = verdict.rules.iter().any(|rule| rule.effect == Effect::Deny);
        match (verdict.outcome, &verdict.quorum) {
            (Outcome::Needs, None) => return Err("outcome needs without a quorum".to_owned()),
            (Outcome::Needs, Some(quorum)) if quorum.count == 0 || quorum.groups.is_empty() => {
                return Err(format!(
                    "it asks for {} and names no group that they may come from: a fault of the policy, not of the request",
                    if quorum.count == 1 {
                        "1 approval".to_owned()
                    } else {
                        format!("{} approvals", quorum.count)
                    }
                ));
            }
            (Outcome::Allow | Outcome::Deny, Some(_)) => {
                return Err("a quorum, but the outcome is not needs".to_owned());
            }
            (Outcome::Deny, None) if !denies => {
                return Err("outcome deny without a rule that denies".to_owned());
            }
            (Outcome::Allow | Outcome::Needs, _) if denies => {
                return Err("a rule denies, but the outcome does not".to_owned());
            }
            (Outcome::Allow | Outcome::Needs, _) if verdict.max_ttl_s == 0 => {
                return Err("no lifetime is granted, but the outcome does not deny".to_owned());
            }
            (Outcome::Needs, _) if verdict.approval_ttl_s == 0 => {
                return Err("approvals are asked for and given no time".to_owned());
            }
            _ => {}
        }
        if verdict.hold && verdict.outcome != Outcome::Needs {
            return Err("a hold, but nothing waits for anybody".to_owned());
        }
        if let Some(review) = &verdict.review
            && (review.quorum.count == 0 || review.quorum.groups.is_empty() || review.within_s == 0)
        {
            return Err("a review by nobody, or in no time: a fault of the policy".to_owned());
        }
        let terms: i64 = verdict
            .risk
            .factors
            .iter()
            .map(|factor| i64::from(factor.points))
            .sum();
        if i64::from(verdict.risk.score) != terms.clamp(0, 100) {
            return Err(format!(
                "its factors add up to {terms}, and its risk score is {}: a hidden term",
                verdict.risk.score
            ));
        }
        let mut rules = verdict.rules;
        rules.sort_by_key(|rule| rule.effect);
        let mut risk = verdict.risk;
        risk.factors
            .sort_by_key(|factor| std::cmp::Reverse(factor.points));
        Ok(Self {
            outcome: verdict.outcome,
            quorum: verdict.quorum,
            step_up: verdict.step_up,
            hold: verdict.hold,
            review: verdict.review,
            max_ttl_s: verdict.max_ttl_s,
            approval_ttl_s: verdict.approval_ttl_s,
            risk,
            rules,
            policy,
        })
    }

    /// The denial given when the policy could not be asked or did not answer.
    pub fn undefined(reason: &str, policy: PolicyId) -> Self {
        Self {
            outcome: Outcome::Deny,
            quorum: None,
            step_up: StepUp::None,
            hold: false,
            review: None,
            max_ttl_s: 0,
            approval_ttl_s: 0,
            risk: Risk {
                score: 100,
                tier: RiskTier::Critical,
                factors: vec![RiskFactor {
                    id: UNDEFINED.to_owned(),
                    points: 100,
                    reason: "the policy gave no answer".to_owned(),
                }],
            },
            rules: vec![RuleResult {
                id: UNDEFINED.to_owned(),
                effect: Effect::Deny,
                reason: format!("the policy gave no usable answer: {reason}"),
            }],
            policy,
        }
    }

    /// Whether this denial means that the policy itself is broken: worth an alert.
    pub fn is_undefined(&self) -> bool {
        self.rules.iter().any(|rule| rule.id == UNDEFINED)
    }

    /// The refusing rules' reasons, for a problem's detail.
    pub fn denials(&self) -> impl Iterator<Item = &RuleResult> {
        self.rules.iter().filter(|rule| rule.effect == Effect::Deny)
    }
}
