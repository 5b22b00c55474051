//! Approved requests, made into secrets.

use super::{
    minting,
    work::{Turn, Work},
};
use crate::{
    broker::{
        engine::{Engine, EngineError},
        issuers::Configured,
        signing::countersigned_plan,
        tokens::About,
    },
    clock,
    domain::{Plan, Request, RequestId, RequestState, State},
    issuers::MintOrder,
};
use imbl::OrdSet;

/// Requests that are approved or being made.
pub(super) struct Issuance;

impl Work for Issuance {
    type Item = RequestId;
    const AT_ONCE: usize = 64;

    fn list(state: &State) -> &OrdSet<RequestId> {
        &state.to_issue
    }

    async fn turn(engine: Engine, id: RequestId, failures: u32) -> Turn {
        turn(&engine, id, failures).await
    }
}

async fn turn(engine: &Engine, id: RequestId, failures: u32) -> Turn {
    let Some(request) = engine.state().requests.get(&id).cloned() else {
        return Turn::Done;
    };
    let later = || Turn::later(failures + 1);
    let Some(issuer) = engine.issuers().get(&request.plan.issuer).cloned() else {
        let reason = format!("no issuer named {} is configured", request.plan.issuer);
        return minting::fail_unstarted(engine, id, request.attempts + 1, &reason)
            .await
            .unwrap_or_else(|_| later());
    };
    let result = match request.state {
        RequestState::Issuing => {
            let (attempt, locator) = (request.attempts, &request.attempt_locator);
            minting::resume(engine, &issuer, id, attempt, locator).await
        }
        RequestState::Approved => begin(engine, &issuer, &request, failures).await,
        _ => Ok(Turn::Done),
    };
    // The engine refuses what has changed under us (withdrawn, revoked): then there is nothing left to do here.
    match result {
        Ok(turn) => turn,
        Err(EngineError::Refused(refusal)) => {
            tracing::info!(request = %id, %refusal, "issuing was refused");
            later()
        }
        Err(EngineError::Unavailable { .. }) => later(),
    }
}

async fn begin(
    engine: &Engine,
    issuer: &Configured,
    request: &Request,
    failures: u32,
) -> Result<Turn, EngineError> {
    let attempt = request.attempts + 1;
    let signing = engine.signing();
    let plan = countersigned_plan(
        &signing.authorities,
        &engine.state(),
        engine.origin(),
        request,
    );
    let plan = match plan {
        Ok(plan) => plan,
        // What the approvals say is not what stands in the state: nothing is made, and a person sees why.
        Err(reason) => {
            return minting::fail_unstarted(engine, request.id, attempt, &reason).await;
        }
    };
    let mut order = order(request, &plan, attempt);
    let about = About {
        audience: &plan.audience,
        client: plan.client,
        environment: plan.environment,
        scopes: plan.scopes.clone(),
    };
    let token = engine
        .tokens()
        .order(&engine.state(), issuer, &about, clock::now());
    match token {
        Ok(token) => order.token = token,
        Err(trouble) => return Ok(minting::away(issuer, request.id, trouble)),
    }
    minting::begin(engine, issuer, request.id, attempt, &order, failures).await
}

/// What the issuer is asked for: the plan as it was signed, and the state's word for who asks and how often.
fn order(request: &Request, plan: &Plan, attempt: u32) -> MintOrder {
    MintOrder {
        attempt_key: format!("{}/{attempt}", request.id),
        request_id: request.id.to_string(),
        credential: plan.credential.clone(),
        role: if plan.role.is_empty() {
            plan.environment.short().to_ascii_lowercase()
        } else {
            plan.role.clone()
        },
        ttl_s: plan.ttl_s,
        max_ttl_s: request.granted_ttl_s(),
        token: None,
    }
}
