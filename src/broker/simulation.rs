//! Recorded decisions, taken again by another policy on the facts that the log holds.

use super::{
    engine::{Engine, EngineError},
    evaluate::in_our_words,
};
use crate::{
    domain::{Evaluation, Event, Facts, Request},
    policy::Policy,
    wire::{
        Simulation,
        policy::{Decided, Difference},
    },
};
use chrono::{DateTime, TimeDelta, Utc};
use std::{collections::BTreeMap, sync::Arc};

/// How many of the latest requests are taken again.
const REQUESTS_MAX: usize = 10_000;
/// How many differences are listed.
const LISTED: usize = 200;
/// How many are decided before others get their turn on this thread pool.
const PIECE: usize = 256;
/// How many leaves are read at once; what lies further apart is read by itself.
const LEAVES: u64 = 512;

/// What `policy` would have decided about the requests of the last `days`.
///
/// # Errors
/// [`EngineError::Unavailable`] if the store does not answer.
pub async fn simulate(
    engine: &Engine,
    policy: Arc<Policy>,
    days: u32,
    now: DateTime<Utc>,
) -> Result<Simulation, EngineError> {
    let state = engine.state();
    let since = now - TimeDelta::days(days.into());
    let mut within = state
        .requests
        .values()
        .rev()
        .take_while(|request| request.submitted_at >= since)
        .cloned();
    let requests: Vec<Arc<Request>> = within.by_ref().take(REQUESTS_MAX).collect();
    let mut simulation = Simulation {
        digest: crate::wire::policy_digest(policy.bundle().files()),
        days,
        decisions: 0,
        differ: 0,
        without_facts: 0,
        cut: within.next().is_some(),
        differences: Vec::new(),
    };
    for piece in requests.chunks(PIECE) {
        let facts = facts(engine, piece).await?;
        let (piece, policy) = (piece.to_vec(), Arc::clone(&policy));
        // Deciding is work, not waiting: off the threads that everybody waits on.
        let decided = tokio::task::spawn_blocking(move || {
            piece
                .into_iter()
                .map(|request| {
                    let after = facts
                        .get(&request.facts_at)
                        .map(|facts| in_our_words(policy.decide(facts)));
                    (request, after)
                })
                .collect::<Vec<_>>()
        })
        .await
        .map_err(|error| EngineError::away("the simulation stopped", &error))?;
        for (request, after) in decided {
            note(&mut simulation, &request, after.as_ref());
        }
    }
    Ok(simulation)
}

/// The recorded facts of these requests, by the sequence of their event.
async fn facts(
    engine: &Engine,
    requests: &[Arc<Request>],
) -> Result<BTreeMap<u64, Facts>, EngineError> {
    let mut places: Vec<u64> = requests
        .iter()
        .map(|request| request.facts_at)
        .filter(|&place| place > 0)
        .collect();
    places.sort_unstable();
    let mut found = BTreeMap::new();
    let mut left = places.as_slice();
    while let Some(&first) = left.first() {
        let run = left.partition_point(|&place| place < first + LEAVES);
        let last = left[run - 1];
        let events = engine.events(first, (last - first + 1) as u32).await?;
        for recorded in events {
            let sequence = recorded.sequence();
            if let Event::RequestIdentified {
                facts: Some(facts), ..
            } = recorded.event
                && left[..run].binary_search(&sequence).is_ok()
            {
                found.insert(sequence, *facts);
            }
        }
        left = &left[run..];
    }
    Ok(found)
}

fn note(simulation: &mut Simulation, request: &Request, after: Option<&Evaluation>) {
    let (Some(before), Some(after)) = (&request.evaluation, after) else {
        simulation.without_facts += 1;
        return;
    };
    simulation.decisions += 1;
    let (before, after) = (decided(before), decided(after));
    if before.differs(&after).is_empty() {
        return;
    }
    simulation.differ += 1;
    if simulation.differences.len() < LISTED {
        simulation.differences.push(Difference {
            request: request.id,
            credential: request.plan.credential.clone(),
            environment: request.plan.environment,
            requester: request.requester_name.clone(),
            submitted_at: request.submitted_at,
            before,
            after,
        });
    }
}

fn decided(evaluation: &Evaluation) -> Decided {
    let speaks = |effect: &str| {
        let rules = evaluation.rules.iter();
        rules
            .filter(|rule| rule.effect == effect)
            .map(|rule| format!("{}: {}", rule.id, rule.reason))
            .take(4)
            .collect::<Vec<_>>()
    };
    let denies = speaks("deny");
    Decided {
        outcome: evaluation.outcome,
        approvals: evaluation.quorum.as_ref().map_or(0, |quorum| quorum.count),
        groups: evaluation
            .quorum
            .as_ref()
            .map(|quorum| quorum.groups.clone())
            .unwrap_or_default(),
        step_up: evaluation.step_up,
        hold: evaluation.hold,
        max_ttl_s: evaluation.max_ttl_s,
        risk: evaluation.risk.score,
        tier: evaluation.risk.tier,
        reasons: if denies.is_empty() {
            speaks("warn")
        } else {
            denies
        },
    }
}
