//! What policy says about a plan: facts gathered from the state, the decision in the domain's words.

use crate::{
    domain::{
        Digest, Evaluation, Kind, OperatorId, Plan, Quorum, Risk, RiskFactor, RuleResult, State,
        Tier, request::Outcome,
    },
    policy::{
        ContextFacts, Decision, Effect, Facts, PolicyStore, RequestFacts, RequesterFacts, RiskTier,
    },
};
use chrono::{DateTime, Datelike, Timelike, Utc};

/// Asks `policy` about `plan` as of `now`.
pub fn evaluate(
    policy: &PolicyStore,
    state: &State,
    plan: &Plan,
    requester: OperatorId,
    reason: &str,
    tags: &[String],
    now: DateTime<Utc>,
) -> Evaluation {
    let facts = facts(state, plan, requester, reason, tags, now);
    in_our_words(policy.decide(&facts))
}

fn facts(
    state: &State,
    plan: &Plan,
    requester: OperatorId,
    reason: &str,
    tags: &[String],
    now: DateTime<Utc>,
) -> Facts {
    let operator = state.operators.get(&requester);
    let scopes = match plan.kind {
        Kind::VaultLease | Kind::DatabaseRole => {
            vec![
                plan.role
                    .rsplit('/')
                    .next()
                    .unwrap_or(&plan.role)
                    .to_owned(),
            ]
        }
        Kind::ApiKey | Kind::Jwt => plan.scopes.clone(),
    };
    Facts {
        request: RequestFacts {
            kind: plan.kind.to_string(),
            environment: plan.environment.to_string(),
            scopes,
            audience: plan.audience.clone(),
            ttl_s: plan.ttl_s,
            reason_present: !reason.trim().is_empty(),
            client_tier: state
                .clients
                .get(&plan.client)
                .map_or(Tier::Critical, |client| client.tier)
                .to_string(),
            regulatory_tags: tags.to_vec(),
        },
        requester: RequesterFacts {
            id: requester.to_string(),
            roles: operator
                .and_then(|operator| operator.roles.get(&plan.environment))
                .map(|roles| roles.iter().map(ToString::to_string).collect())
                .unwrap_or_default(),
            groups: operator
                .map(|operator| operator.groups.iter().cloned().collect())
                .unwrap_or_default(),
        },
        context: ContextFacts {
            hour: now.hour() as u8,
            weekday: now.weekday().number_from_monday() as u8,
            requests_last_hour: state.asked_lately(requester, now) as u32,
        },
    }
}

fn in_our_words(decision: Decision) -> Evaluation {
    Evaluation {
        outcome: match decision.outcome {
            crate::policy::Outcome::Allow => Outcome::Allow,
            crate::policy::Outcome::Deny => Outcome::Deny,
            crate::policy::Outcome::Needs => Outcome::Needs,
        },
        quorum: decision.quorum.map(|quorum| Quorum {
            count: quorum.count,
            groups: quorum.groups,
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
        policy_digest: decision
            .policy
            .digest
            .parse()
            .or_else(|_| format!("sha256:{}", decision.policy.digest).parse())
            .unwrap_or(Digest([0; 32])),
    }
}
