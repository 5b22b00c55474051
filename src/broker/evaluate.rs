//! What policy says about a plan: facts gathered from the state, the decision in the domain's words.

use crate::{
    domain::{
        Digest, Environment, Evaluation, Facts, Operator, OperatorId, Plan, Quorum, Review, Risk,
        RiskFactor, Role, RuleResult, State, StepUp, Tier,
        facts::{
            ClientFacts, DataFacts, EnvironmentFacts, GrantFacts, HistoryFacts, RequestFacts,
            RequesterFacts, TimeFacts,
        },
        request::Outcome,
        state::granted::wanted,
    },
    policy::{self, Decision, Effect, RiskTier},
};
use chrono::{DateTime, Datelike, Timelike, Utc};

/// What policy is asked about.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// What would be done.
    pub plan: &'a Plan,
    /// Who asks.
    pub requester: OperatorId,
    /// Why, in their words.
    pub reason: &'a str,
    /// Regulatory tags.
    pub tags: &'a [String],
    /// Whether the quorum is to be skipped.
    pub break_glass: bool,
}

/// The facts about `plan` as of `now`, and what `decide` makes of them.
pub fn evaluate(
    decide: impl FnOnce(&Facts) -> Decision,
    state: &State,
    asked: &Asked<'_>,
    now: DateTime<Utc>,
) -> (Facts, Evaluation) {
    let &Asked {
        plan, requester, ..
    } = asked;
    let facts = facts(state, asked, now).bounded();
    let mut evaluation = in_our_words(decide(&facts));
    if let Some(quorum) = &evaluation.quorum {
        let able = able(state, quorum, plan, requester);
        if able < usize::from(quorum.count) {
            evaluation.rules.push(RuleResult {
                id: "policy.quorum_unreachable".to_owned(),
                effect: "warn".to_owned(),
                reason: format!(
                    "a fault of the policy, not of the request: it asks for {} from {}, and {able} there may decide in {}",
                    quorum.count,
                    quorum.groups.join(" or "),
                    plan.environment,
                ),
            });
        }
    }
    (facts, evaluation)
}

/// How many people could decide it; no more are counted than are needed.
fn able(state: &State, quorum: &Quorum, plan: &Plan, requester: OperatorId) -> usize {
    let could = |person: &Operator| {
        person.id != requester
            && !person.robot
            && person.client != Some(plan.client)
            && person.holds(plan.environment, &[Role::Approver])
            && quorum
                .groups
                .iter()
                .any(|group| person.groups.contains(group))
    };
    state
        .operators
        .values()
        .filter(|person| could(person))
        .take(quorum.count.into())
        .count()
}

fn facts(state: &State, asked: &Asked<'_>, now: DateTime<Utc>) -> Facts {
    let &Asked {
        plan,
        requester,
        reason,
        tags,
        break_glass,
    } = asked;
    let scopes = wanted(plan);
    let held = state.granted.client(plan.client);
    let granted = state.granted.requester(requester);
    let (requester_scopes, new_scopes) = scopes
        .iter()
        .cloned()
        .partition(|scope| granted.is_some_and(|granted| granted.scopes.contains_key(scope)));
    Facts {
        client: client_facts(state, plan),
        requester: requester_facts(state, requester, plan.environment),
        environment: EnvironmentFacts {
            name: plan.environment.to_string(),
        },
        grants: GrantFacts {
            client_credentials: held.map_or(0, |held| held.living),
            client_scopes: held
                .map(|held| held.scopes.keys().take(crate::domain::check::LIST_MAX))
                .into_iter()
                .flatten()
                .cloned()
                .collect(),
            requester_credentials: granted.map_or(0, |granted| granted.issued),
            requester_scopes,
        },
        approvals: Vec::new(),
        history: HistoryFacts {
            client_first_use: held.is_none_or(|held| held.ever == 0),
            new_scopes,
            requests_last_hour: state.asked_lately(requester, now) as u32,
        },
        data: DataFacts {
            classes: tags.to_vec(),
        },
        anomalies: Vec::new(),
        time: TimeFacts {
            hour: now.hour() as u8,
            weekday: now.weekday().number_from_monday() as u8,
        },
        request: RequestFacts {
            kind: plan.kind.to_string(),
            scopes,
            audience: plan.audience.clone(),
            ttl_s: plan.ttl_s,
            reason_present: !reason.trim().is_empty(),
            break_glass,
            destination: plan
                .destination
                .as_ref()
                .map(|destination| destination.name.clone())
                .unwrap_or_default(),
        },
    }
}

/// A client that is not known is as dangerous as any.
fn client_facts(state: &State, plan: &Plan) -> ClientFacts {
    let client = state.clients.get(&plan.client);
    ClientFacts {
        name: client.map(|client| client.name.clone()).unwrap_or_default(),
        owner: client
            .map(|client| client.owner.clone())
            .unwrap_or_default(),
        tier: client
            .map_or(Tier::Critical, |client| client.tier)
            .to_string(),
        dependents: client.map_or(0, |client| client.dependents.len() as u32),
    }
}

fn requester_facts(
    state: &State,
    requester: OperatorId,
    environment: Environment,
) -> RequesterFacts {
    let Some(operator) = state.operators.get(&requester) else {
        return RequesterFacts {
            name: requester.to_string(),
            robot: true,
            ..RequesterFacts::default()
        };
    };
    RequesterFacts {
        name: operator.name.clone(),
        robot: operator.robot,
        roles: operator
            .roles
            .get(&environment)
            .map(|roles| roles.iter().map(ToString::to_string).collect())
            .unwrap_or_default(),
        groups: operator.groups.iter().cloned().collect(),
    }
}

/// A decision in the domain's words.
pub fn in_our_words(decision: Decision) -> Evaluation {
    Evaluation {
        outcome: match decision.outcome {
            policy::Outcome::Allow => Outcome::Allow,
            policy::Outcome::Deny => Outcome::Deny,
            policy::Outcome::Needs => Outcome::Needs,
        },
        quorum: decision.quorum.map(quorum),
        step_up: step_up(decision.step_up),
        hold: decision.hold,
        review: decision.review.map(|review| Review {
            quorum: quorum(review.quorum),
            within_s: review.within_s,
        }),
        max_ttl_s: decision.max_ttl_s,
        approval_ttl_s: decision.approval_ttl_s,
        risk: Risk {
            score: decision.risk.score,
            tier: match decision.risk.tier {
                RiskTier::Low => Tier::Low,
                RiskTier::Elevated => Tier::Elevated,
                RiskTier::High => Tier::High,
                RiskTier::Critical => Tier::Critical,
            },
            factors: decision
                .risk
                .factors
                .into_iter()
                .map(|factor| RiskFactor {
                    id: factor.id,
                    points: factor.points.into(),
                    reason: factor.reason,
                })
                .collect(),
        },
        rules: decision
            .rules
            .into_iter()
            .map(|rule| RuleResult {
                id: rule.id,
                effect: match rule.effect {
                    Effect::Ok => "ok",
                    Effect::Warn => "warn",
                    Effect::Deny => "deny",
                }
                .to_owned(),
                reason: rule.reason,
            })
            .collect(),
        policy_version: decision.policy.version.to_string(),
        policy_digest: digest(&decision.policy),
    }
}

/// A quorum in the domain's words.
pub fn quorum(quorum: policy::Quorum) -> Quorum {
    Quorum {
        count: quorum.count,
        groups: quorum.groups,
    }
}

/// A step-up in the domain's words.
pub fn step_up(step_up: policy::StepUp) -> StepUp {
    match step_up {
        policy::StepUp::None => StepUp::None,
        policy::StepUp::SshSignature => StepUp::SshSignature,
        policy::StepUp::HardwareKey => StepUp::HardwareKey,
    }
}

/// A policy's digest in the domain's words.
pub(super) fn digest(policy: &policy::PolicyId) -> Digest {
    format!("sha256:{}", policy.digest)
        .parse()
        .expect("a policy's digest is 64 hexadecimal digits")
}
