//! What was asked under a policy that is no longer in force is put before the one that is.

use super::{super::engine::system_context, moved};
use crate::{
    broker::{breaker::backoff, engine::Engine, evaluate::Asked},
    clock,
    domain::{Command, Request, State, decide::outlived},
};
use std::sync::Arc;

const PART: &str = "reevaluation";

/// Runs until the broker stops.
pub async fn run(engine: Engine) {
    let mut failures = 0;
    loop {
        let state = engine.state();
        let failed = match work(&state) {
            Some(request) => !turn(&engine, &request).await,
            None => false,
        };
        failures = if failed { failures + 1 } else { 0 };
        let again = if failed {
            Some(clock::now() + backoff(failures, super::jitter()))
        } else {
            None
        };
        // More of the same waits for nothing.
        if !failed && work(&engine.state()).is_some() {
            continue;
        }
        if !moved(&engine, state.sequence, again).await {
            return;
        }
    }
}

/// A request that the policy in force has yet to speak about.
fn work(state: &State) -> Option<Arc<Request>> {
    let open = state.awaiting.iter().chain(&state.to_issue);
    open.filter_map(|id| state.requests.get(id))
        .find(|request| outlived(state, request))
        .cloned()
}

async fn turn(engine: &Engine, request: &Request) -> bool {
    let now = clock::now();
    let asked = Asked {
        plan: &request.plan,
        requester: request.requester,
        reason: &request.reason,
        tags: &request.tags,
        break_glass: false,
    };
    let (facts, evaluation) = engine.evaluate(&asked, now);
    let command = Command::Reevaluate {
        request: request.id,
        evaluation: Box::new(evaluation),
        facts: Box::new(facts),
    };
    match engine.submit(command, system_context(PART, now)).await {
        Ok(_) => true,
        Err(error) => {
            tracing::warn!(request = %request.id, %error, "the policy in force could not be asked");
            false
        }
    }
}
