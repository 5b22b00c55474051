//! Approved requests, made into secrets: prepared, logged, minted, sealed, recorded.
//!
//! The order is what keeps a crash harmless. Where the secret is made elsewhere, the attempt and the place where
//! everything it makes can be found are in the log before anything is made; the made secret is sealed before its
//! event is written. After a start an attempt that had come as far as the sealed secret is recorded, any other is
//! abandoned at the issuer and begun anew.

use super::{
    super::engine::system_context,
    jitter,
    work::{Turn, Work},
};
use crate::{
    broker::{
        engine::{Engine, EngineError, fresh_bits},
        issuers::Configured,
        sealed::Sealed,
        signing::countersigned_plan,
        tokens::About,
    },
    clock,
    domain::{Command, CredentialId, MintedVersion, Plan, Request, RequestId, RequestState, State},
    issuers::{IssueError, Locator, MintOrder, Minted, Prepared, RevokeOutcome},
};
use imbl::OrdSet;
use std::sync::Arc;

const PART: &str = "issuance";
/// After how many failed attempts a person has to look.
pub const ATTEMPTS: u32 = 8;
/// However often a system was away, the request waits for it.
const NEVER: u32 = u32::MAX;

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
        return fail_unstarted(engine, &request, reason)
            .await
            .unwrap_or_else(|_| later());
    };
    let result = match request.state {
        RequestState::Issuing => resume(engine, &issuer, &request).await,
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

/// Records a request that nobody can make as failed, by way of an attempt, so that a person sees why.
async fn fail_unstarted(
    engine: &Engine,
    request: &Request,
    reason: String,
) -> Result<Turn, EngineError> {
    let attempt = request.attempts + 1;
    let commands = vec![
        Command::StartIssuance {
            request: request.id,
            attempt,
            locator: Default::default(),
        },
        Command::RecordIssuanceFailed {
            request: request.id,
            attempt,
            reason,
            last: true,
        },
    ];
    engine
        .submit_all(commands, system_context(PART, clock::now()), Vec::new())
        .await?;
    Ok(Turn::Done)
}

/// Carries on after a stop in mid-attempt.
async fn resume(
    engine: &Engine,
    issuer: &Configured,
    request: &Request,
) -> Result<Turn, EngineError> {
    let attempt = request.attempts;
    if let Some(minted) = engine.sealed().made(request.id, attempt).await? {
        return record(engine, request.id, attempt, minted).await;
    }
    abandon(
        engine,
        issuer,
        request,
        attempt,
        &request.attempt_locator,
        "the broker stopped in mid-attempt",
        ATTEMPTS,
    )
    .await
}

/// Withdraws whatever an attempt may have made, then records that it failed; for good, if it was number `most`.
async fn abandon(
    engine: &Engine,
    issuer: &Configured,
    request: &Request,
    attempt: u32,
    locator: &Locator,
    reason: &str,
    most: u32,
) -> Result<Turn, EngineError> {
    if !locator.is_empty() {
        match issuer.issuer.revoke(locator).await {
            Ok(RevokeOutcome::Revoked { .. } | RevokeOutcome::NothingToDo) => {}
            Ok(RevokeOutcome::Failed { reason }) => {
                tracing::warn!(request = %request.id, reason, "an abandoned attempt could not be withdrawn yet");
                return Ok(Turn::later(6));
            }
            Err(error) => {
                issuer.heard(Some(error.to_string()));
                return Ok(Turn::Again(
                    issuer.breaker.lock().failed(clock::now(), jitter()),
                ));
            }
        }
    }
    let last = attempt >= most;
    failed(engine, request.id, attempt, reason.to_owned(), last).await?;
    Ok(if last {
        Turn::Done
    } else {
        Turn::later(attempt)
    })
}

async fn begin(
    engine: &Engine,
    issuer: &Arc<Configured>,
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
        Err(reason) => return fail_unstarted(engine, request, reason).await,
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
        Err(trouble) => return Ok(away(issuer, request, trouble)),
    }
    if !issuer.issuer.capabilities().has_leases {
        return mint_here(engine, issuer, request.id, attempt, &order).await;
    }
    if !issuer.breaker.lock().admit(clock::now()) {
        return Ok(Turn::later(failures + 1));
    }
    // After a failure an attempt, and its leaves, are worth it only once all that it needs is back.
    let failing = issuer.breaker.lock().failures() > 0;
    if failing && let Err(trouble) = issuer.issuer.ready().await {
        return Ok(away(issuer, request, &trouble.to_string()));
    }
    let prepared = match issuer.issuer.prepare(&order).await {
        Ok(prepared) => prepared,
        Err(error) => return not_prepared(engine, issuer, request, error).await,
    };
    let locator = prepared.locator.clone();
    let start = Command::StartIssuance {
        request: request.id,
        attempt,
        locator: locator.clone(),
    };
    if let Err(error) = engine
        .submit(start, system_context(PART, clock::now()))
        .await
    {
        // Not logged, so nothing may be made: give back what was prepared.
        if let Err(left) = issuer.issuer.revoke(&locator).await {
            tracing::warn!(request = %request.id, %left, "a prepared attempt is left to reconciliation");
        }
        return Err(error);
    }
    let started = std::time::Instant::now();
    match issuer.issuer.mint(&order, prepared).await {
        Ok(minted) => {
            issuer.breaker.lock().succeeded();
            issuer.heard(None);
            metrics::histogram!("countersign_mint_seconds", "issuer" => issuer.name.clone())
                .record(started.elapsed().as_secs_f64());
            let (minted, secret) = split(minted);
            engine
                .sealed()
                .keep(engine.sealed().put(request.id, attempt, &minted, &secret))
                .await?;
            record(engine, request.id, attempt, minted).await
        }
        Err(error) => {
            tracing::warn!(request = %request.id, attempt, %error, "an attempt failed");
            let most = match error {
                IssueError::Refused { .. } => {
                    // It answered: others need not wait for it.
                    issuer.breaker.lock().succeeded();
                    issuer.heard(None);
                    failed(engine, request.id, attempt, error.to_string(), true).await?;
                    return Ok(Turn::Done);
                }
                IssueError::Unavailable { .. } => NEVER,
                IssueError::Unknown { .. } => ATTEMPTS,
            };
            issuer.heard(Some(error.to_string()));
            let until = issuer.breaker.lock().failed(clock::now(), jitter());
            let turn = abandon(
                engine,
                issuer,
                request,
                attempt,
                &locator,
                &error.to_string(),
                most,
            )
            .await?;
            Ok(match turn {
                Turn::Done => turn,
                Turn::Again(at) => Turn::Again(at.max(until)),
            })
        }
    }
}

/// What is made here and now has no outside effect to be logged first: one commit for all of it.
async fn mint_here(
    engine: &Engine,
    issuer: &Configured,
    id: RequestId,
    attempt: u32,
    order: &MintOrder,
) -> Result<Turn, EngineError> {
    let minted = match issuer.issuer.mint(order, Prepared::nothing()).await {
        Ok(minted) => minted,
        Err(error) => {
            tracing::error!(request = %id, %error, "a secret could not be made here");
            return Ok(Turn::later(attempt));
        }
    };
    let (minted, secret) = split(minted);
    let side = vec![engine.sealed().put(id, attempt, &minted, &secret)];
    let now = clock::now();
    let credential = CredentialId::from_bits(fresh_bits(now));
    let commands = vec![
        Command::StartIssuance {
            request: id,
            attempt,
            locator: Default::default(),
        },
        Command::RecordMinted {
            request: id,
            attempt,
            credential,
            minted: Box::new(minted),
        },
    ];
    engine
        .submit_all(commands, system_context(PART, now), side)
        .await?;
    Ok(Turn::Done)
}

async fn record(
    engine: &Engine,
    id: RequestId,
    attempt: u32,
    minted: MintedVersion,
) -> Result<Turn, EngineError> {
    let now = clock::now();
    let credential = CredentialId::from_bits(fresh_bits(now));
    let locator = minted.locator.clone();
    let command = Command::RecordMinted {
        request: id,
        attempt,
        credential,
        minted: Box::new(minted),
    };
    match engine.submit(command, system_context(PART, now)).await {
        Ok(_) => Ok(Turn::Done),
        Err(EngineError::Refused(refusal)) => {
            // Revoked, or no longer approved by enough people, while the version was made: it must not live on at
            // its issuer.
            let state = engine.state();
            if let Some(request) = state.requests.get(&id)
                && let Some(issuer) = engine.issuers().get(&request.plan.issuer)
            {
                engine.sealed().keep(Sealed::forget(id)).await?;
                let reason = refusal.to_string();
                return abandon(engine, issuer, request, attempt, &locator, &reason, 0).await;
            }
            Ok(Turn::Done)
        }
        Err(error) => Err(error),
    }
}

async fn not_prepared(
    engine: &Engine,
    issuer: &Configured,
    request: &Request,
    error: IssueError,
) -> Result<Turn, EngineError> {
    if matches!(error, IssueError::Refused { .. }) {
        issuer.breaker.lock().succeeded();
        return fail_unstarted(engine, request, error.to_string()).await;
    }
    Ok(away(issuer, request, &error.to_string()))
}

/// The request stays approved and waits; nothing was begun that the log would have to tell.
fn away(issuer: &Configured, request: &Request, trouble: &str) -> Turn {
    issuer.heard(Some(trouble.to_owned()));
    let until = issuer.breaker.lock().failed(clock::now(), jitter());
    tracing::warn!(request = %request.id, trouble, "the issuer is away; the request waits");
    Turn::Again(until)
}

async fn failed(
    engine: &Engine,
    request: RequestId,
    attempt: u32,
    reason: String,
    last: bool,
) -> Result<(), EngineError> {
    let reason = reason.chars().take(500).collect();
    let command = Command::RecordIssuanceFailed {
        request,
        attempt,
        reason,
        last,
    };
    engine
        .submit(command, system_context(PART, clock::now()))
        .await?;
    Ok(())
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

pub(super) fn split(minted: Minted) -> (MintedVersion, crate::secret::SecretMaterial) {
    let version = MintedVersion {
        digest: minted.digest,
        locator: minted.locator,
        expires_at: minted.expires_at,
        warnings: minted.warnings,
    };
    (version, minted.secret)
}
