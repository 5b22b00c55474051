//! What a policy answers, checked before anybody relies on it.

use serde::{Deserialize, Serialize};

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
    /// Lower-case hexadecimal SHA-256 of the text.
    pub digest: String,
}

/// The policy's own words, exactly: one field more or less is refused.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Verdict {
    outcome: Outcome,
    quorum: Option<Quorum>,
    max_ttl_s: u64,
    approval_ttl_s: u64,
    risk: Risk,
    rules: Vec<RuleResult>,
}

impl Decision {
    /// Reads a policy's answer and checks that it holds together; the error is for people.
    pub(super) fn parse(json: &str, policy: PolicyId) -> Result<Self, String> {
        let verdict: Verdict = serde_json::from_str(json).map_err(|error| error.to_string())?;
        let denies = verdict.rules.iter().any(|rule| rule.effect == Effect::Deny);
        match (verdict.outcome, &verdict.quorum) {
            (Outcome::Needs, None) => return Err("outcome needs without a quorum".to_owned()),
            (Outcome::Needs, Some(quorum)) if quorum.count == 0 || quorum.groups.is_empty() => {
                return Err("a quorum of nobody".to_owned());
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
        if verdict.risk.score > 100 {
            return Err(format!("risk score {} is over 100", verdict.risk.score));
        }
        let mut rules = verdict.rules;
        rules.sort_by_key(|rule| rule.effect);
        let mut risk = verdict.risk;
        risk.factors
            .sort_by_key(|factor| std::cmp::Reverse(factor.points));
        Ok(Self {
            outcome: verdict.outcome,
            quorum: verdict.quorum,
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
