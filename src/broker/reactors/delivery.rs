//! Issued secrets, put where they are read: logged, tried, put there, recorded, forgotten.
//!
//! That a delivery begins is in the log before the secret leaves; that it is done is in the log together with the
//! sealed secret's removal. In between it may be done twice, after a stop or a lost answer, and comes to the same: the
//! adapters see to that. While it cannot be done it is tried again, until the request's window ends and it lapses.

use super::{
    super::engine::system_context,
    jitter,
    work::{Turn, Work},
};
use crate::{
    broker::{
        destinations::Configured,
        engine::{Engine, EngineError},
        sealed::Sealed,
        signing::countersigned_plan,
    },
    clock,
    delivery::{Delivered, DeliveryError, DeliveryOrder},
    domain::{Command, Request, RequestId, RequestState, State},
    probes::ProbeOutcome,
    secret::SecretMaterial,
};
use imbl::OrdSet;
use std::time::Duration;

const PART: &str = "delivery";
/// No try takes longer. Shorter than the last part of a request's window, in which none begins.
const TRY: Duration = Duration::from_mins(4);

/// Requests whose secret must be put where it belongs.
pub(super) struct Deliveries;

impl Work for Deliveries {
    type Item = RequestId;
    const AT_ONCE: usize = 32;

    fn list(state: &State) -> &OrdSet<RequestId> {
        &state.to_deliver
    }

    async fn turn(engine: Engine, id: RequestId, failures: u32) -> Turn {
        let Some(request) = engine.state().requests.get(&id).cloned() else {
            return Turn::Done;
        };
        if request.state != RequestState::Issued {
            return Turn::Done;
        }
        match carry(&engine, &request, failures).await {
            Ok(turn) => turn,
            // Quarantined, withdrawn, or too late: then it waits for the end of one or the other.
            Err(EngineError::Refused(refusal)) => {
                tracing::info!(request = %id, %refusal, "a delivery was refused");
                Turn::later(failures + 1)
            }
            Err(EngineError::Unavailable { .. }) => Turn::later(failures + 1),
        }
    }
}

/// Puts a secret in its place, in good time or not at all, and counts what came of it.
pub(super) async fn place(
    configured: &Configured,
    order: &DeliveryOrder,
    secret: &SecretMaterial,
) -> Result<Delivered, DeliveryError> {
    let put = tokio::time::timeout(TRY, configured.place.deliver(order, secret)).await;
    let put = put.unwrap_or_else(|_| {
        Err(DeliveryError::Unknown {
            system: "the destination",
            reason: "it was not done in time".to_owned(),
        })
    });
    if put.is_ok() {
        counted(&configured.name, "delivered");
        configured.breaker.lock().succeeded();
        configured.heard(None);
    } else {
        counted(&configured.name, "failed");
    }
    put
}

async fn carry(engine: &Engine, request: &Request, failures: u32) -> Result<Turn, EngineError> {
    let failed = async |reason: String| {
        record_failure(engine, request.id, reason).await?;
        Ok(Turn::later(failures + 1))
    };
    let begin = Command::StartDelivery {
        request: request.id,
    };
    engine
        .submit(begin, system_context(PART, clock::now()))
        .await?;
    let signing = engine.signing();
    let state = engine.state();
    let signed = countersigned_plan(&signing.authorities, &state, engine.origin(), request);
    let to = match signed {
        Ok(plan) => plan.destination,
        // What the approvals say is not what stands in the state: nothing leaves, and a person sees why.
        Err(reason) => return failed(reason).await,
    };
    let Some((to, (credential, number))) = to.zip(request.issued) else {
        return Ok(Turn::Done);
    };
    let configured = match engine.destinations().admit(&to, request.plan.environment) {
        Ok(configured) => configured.clone(),
        Err(error) => return failed(format!("{to} is refused: {}", error.detail)).await,
    };
    if !configured.breaker.lock().admit(clock::now()) {
        return Ok(Turn::later(failures + 1));
    }
    let Some(secret) = engine.sealed().open(request.id).await? else {
        return failed("its secret is not in the broker's store any more".to_owned()).await;
    };
    // A version that does not work never takes the place of one that does.
    let check = match tried(engine, request, &secret).await {
        Ok(seen) => seen,
        Err(reason) => return failed(reason).await,
    };
    let expires_at = state
        .credentials
        .get(&credential)
        .and_then(|held| held.version(number)?.expires_at);
    let order = DeliveryOrder {
        id: credential.to_string(),
        credential: request.plan.credential.clone(),
        environment: request.plan.environment.to_string(),
        version: number,
        path: to.path.clone(),
        expires_at,
        over: None,
    };
    match place(&configured, &order, &secret).await {
        Ok(delivered) => record(engine, request.id, delivered, check).await,
        Err(error) => {
            tracing::warn!(request = %request.id, destination = configured.name, %error, "a secret could not be delivered");
            record_failure(engine, request.id, error.to_string()).await?;
            if matches!(error, DeliveryError::Refused { .. }) {
                // It answered: others need not wait for it.
                configured.breaker.lock().succeeded();
                return Ok(Turn::later(failures + 1));
            }
            configured.heard(Some(error.to_string()));
            let until = configured.breaker.lock().failed(clock::now(), jitter());
            Ok(Turn::Again(until))
        }
    }
}

/// What the configured probe saw of the version; nothing where there is none for its credential.
async fn tried(
    engine: &Engine,
    request: &Request,
    secret: &SecretMaterial,
) -> Result<String, String> {
    let plan = &request.plan;
    let Some(configured) = engine.probes().of(&plan.credential, plan.environment) else {
        return Ok(String::new());
    };
    let name = &configured.name;
    match configured.probe.probe(secret).await {
        ProbeOutcome::Passed { seen } => Ok(format!("{name}: {seen}")),
        ProbeOutcome::Failed { reason } => Err(format!(
            "the version did not pass the probe {name}: {reason}"
        )),
        ProbeOutcome::NoAnswer { reason } => {
            Err(format!("the probe {name} had no answer: {reason}"))
        }
    }
}

async fn record(
    engine: &Engine,
    request: RequestId,
    delivered: Delivered,
    check: String,
) -> Result<Turn, EngineError> {
    let command = Command::RecordRequestDelivered {
        request,
        place: delivered.place,
        proven: delivered.proven,
        check,
    };
    let context = system_context(PART, clock::now());
    engine
        .submit_all(vec![command], context, vec![Sealed::forget(request)])
        .await?;
    Ok(Turn::Done)
}

async fn record_failure(
    engine: &Engine,
    request: RequestId,
    reason: String,
) -> Result<(), EngineError> {
    let command = Command::RecordDeliveryFailed { request, reason };
    engine
        .submit(command, system_context(PART, clock::now()))
        .await?;
    Ok(())
}

fn counted(destination: &str, result: &'static str) {
    metrics::counter!("countersign_deliveries_total", "destination" => destination.to_owned(), "result" => result)
        .increment(1);
}
