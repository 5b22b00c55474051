//! Signing in and signing decisions with the key that a person's agent holds.
//!
//! What is signed is put together here, from what was looked at and what the broker must not be believed about: the plan
//! and its digest are computed again, the log's head is one that this side verified. The agent is asked on a thread
//! of its own, for as long as somebody takes to touch a key.

use super::api::{Client, LogProof};
use super::chain::{ChainState, Keep, KeepError};
use super::error::ClientError;
use crate::event_log::checkpoint::{Checkpoint, VerifierKey};
use crate::event_log::merkle::Hash;
use crate::event_log::verify::{Offer, Verdict, check_growth, judge};
use crate::ssh::{ATTENDED, Identity, SignError, Signer, UNATTENDED};
use crate::wire::signing::{
    About, AboutPolicy, Approver, Decision, Form, LOGIN, LogHead, LoginMessage, PolicyRef, View,
    approval_namespace, login_namespace, signed_bytes,
};
use crate::wire::{
    Digest, MintedToken, PolicyStatement, ProposalDetail, RequestDetail, Session, SignedStatement,
    SigningOrder, SshSignIn, Statement, StepUp, TokenId, plan_digest, policy_digest,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use chrono::{DateTime, TimeDelta, Utc};
use std::time::Duration;

/// How many keys are tried to sign in: each may want a touch.
const TRIES: usize = 6;
/// How far the clocks may be apart.
const SKEW_MAX: TimeDelta = TimeDelta::minutes(5);
/// The program and version that drew what was looked at.
const RENDERER: &str = concat!("countersign/", env!("CARGO_PKG_VERSION"));

/// Why nothing was signed.
#[derive(Debug, thiserror::Error)]
pub enum SigningError {
    /// The agent.
    #[error(transparent)]
    Signer(#[from] SignError),
    /// The broker.
    #[error(transparent)]
    Call(#[from] ClientError),
    /// None of the agent's keys is one that counts here.
    #[error("none of the agent's keys signs for {operator} here: {why}")]
    NoKey {
        /// Who.
        operator: String,
        /// What the agent holds, and what would count.
        why: String,
    },
    /// It is not what was looked at any more.
    #[error("it has changed since you looked: {0}; nothing was signed")]
    Changed(&'static str),
    /// The clocks are apart.
    #[error("this machine's clock is {0} from the broker's: set it right before you sign anything")]
    Clock(String),
    /// The log is not known to be whole.
    #[error("nothing is signed on a log that was not verified: {0}")]
    Log(String),
    /// The waiting thread was lost.
    #[error("signing was given up")]
    GivenUp,
}

impl SigningError {
    /// Whether a denial goes out all the same, unsigned: whoever has no key at hand is not kept from stopping something. Of
    /// what has changed, or where the broker is away, nothing goes out.
    pub const fn leaves_denial(&self) -> bool {
        !matches!(self, Self::Call(_) | Self::Changed(_))
    }
}

/// What is decided, as it was looked at: a request, or a proposed policy.
#[derive(Debug, Clone)]
pub struct Decided<'a, D = RequestDetail> {
    /// Who decides.
    pub operator: &'a str,
    /// What was looked at.
    pub detail: &'a D,
    /// Yes, no, or the emergency's yes.
    pub decision: Decision,
    /// Why.
    pub reason: &'a str,
    /// SHA-256 of the lines that were shown.
    pub view: Digest,
    /// The head of the log that was verified here.
    pub head: LogHead,
    /// This machine's time.
    pub now: DateTime<Utc>,
}

/// Signs in: asks for a challenge and has it signed, with one key after the other until one is accepted.
///
/// # Errors
/// [`SigningError`].
pub async fn sign_in(
    client: &Client,
    signer: &Signer,
    operator: &str,
    wanted: Option<&str>,
    now: DateTime<Utc>,
) -> Result<MintedToken, SigningError> {
    let mut identities = blocking(signer, Signer::identities).await?;
    // What signs without being touched comes first.
    identities.sort_by_key(|identity| identity.key.algorithm().in_hardware());
    if let Some(wanted) = wanted {
        identities.retain(|identity| identity.key.fingerprint() == wanted);
        if identities.is_empty() {
            return Err(SignError::MissingKey(wanted.to_owned()).into());
        }
    }
    let mut refused = Vec::new();
    for identity in identities.into_iter().take(TRIES) {
        let fingerprint = identity.key.fingerprint();
        match enter(client, signer, identity, (operator, None), ATTENDED, now).await {
            Err(SigningError::Call(ClientError::Problem(problem))) => {
                refused.push(format!("{fingerprint}: {}", problem.detail));
            }
            answer => return answer,
        }
    }
    Err(SigningError::NoKey {
        operator: operator.to_owned(),
        why: refused.join("; "),
    })
}

/// Has `session` go on as another, by the key that opened it and without its person; none if that key wants to be
/// touched.
///
/// # Errors
/// [`SigningError`].
pub async fn go_on(
    client: &Client,
    signer: &Signer,
    session: &Session,
    key: &str,
    now: DateTime<Utc>,
) -> Result<Option<MintedToken>, SigningError> {
    let mut identities = blocking(signer, Signer::identities).await?;
    identities.retain(|identity| identity.key.fingerprint() == key);
    // The key itself before a certificate for it, which may have run out.
    identities.sort_by_key(|identity| identity.certificate);
    let Some(last) = identities.pop() else {
        return Err(SignError::MissingKey(key.to_owned()).into());
    };
    if last.key.algorithm().in_hardware() {
        return Ok(None);
    }
    let who = (session.name.as_str(), Some(session.id));
    for identity in identities {
        match enter(client, signer, identity, who, UNATTENDED, now).await {
            Err(SigningError::Call(ClientError::Problem(_))) => {}
            answer => return answer.map(Some),
        }
    }
    let minted = enter(client, signer, last, who, UNATTENDED, now).await;
    minted.map(Some)
}

/// One challenge, answered by one key: somebody's, who signs in or whose session goes on.
async fn enter(
    client: &Client,
    signer: &Signer,
    identity: Identity,
    (operator, continues): (&str, Option<TokenId>),
    wait: Duration,
    now: DateTime<Utc>,
) -> Result<MintedToken, SigningError> {
    let challenge = client.challenge(operator).await?.value;
    same_time(now, challenge.now)?;
    let message = signed_bytes(&LoginMessage {
        form: LOGIN.to_owned(),
        aud: challenge.origin.clone(),
        operator: operator.to_owned(),
        nonce: challenge.nonce,
        exp: challenge.expires_at,
        continues,
    });
    let namespace = login_namespace(&challenge.origin);
    let (message, signature) = sign(signer, identity, namespace, message, wait).await?;
    let minted = client.sign_in(&SshSignIn { message, signature }).await;
    Ok(minted?.value)
}

/// Signs a decision.
///
/// # Errors
/// [`SigningError`]; nothing was sent.
pub async fn sign_decision(
    client: &Client,
    signer: &Signer,
    decided: &Decided<'_>,
) -> Result<SignedStatement, SigningError> {
    let order = client.signing(decided.detail.row.id).await?.value;
    let say = |key: &str| statement(&order, decided, key).map(|said| signed_bytes(&said));
    sign_order(signer, &order, decided, say).await
}

/// Signs a decision on a proposed policy.
///
/// # Errors
/// [`SigningError`]; nothing was sent.
pub async fn sign_policy(
    client: &Client,
    signer: &Signer,
    decided: &Decided<'_, ProposalDetail>,
) -> Result<SignedStatement, SigningError> {
    let order = client.policy_signing(decided.detail.row.id).await?.value;
    let say = |key: &str| policy_statement(&order, decided, key).map(|said| signed_bytes(&said));
    sign_order(signer, &order, decided, say).await
}

async fn sign_order<D>(
    signer: &Signer,
    order: &SigningOrder,
    decided: &Decided<'_, D>,
    say: impl FnOnce(&str) -> Result<Vec<u8>, SigningError>,
) -> Result<SignedStatement, SigningError> {
    same_time(decided.now, order.now)?;
    if order.origin != decided.head.origin {
        return Err(SigningError::Log(
            "the broker is for another log than the one that was verified".to_owned(),
        ));
    }
    let identities = blocking(signer, Signer::identities).await?;
    let identity = choose(identities, order, decided.operator)?;
    let message = say(&identity.key.fingerprint())?;
    let namespace = approval_namespace(&order.origin);
    let (payload, signature) = sign(signer, identity, namespace, message, ATTENDED).await?;
    Ok(SignedStatement { payload, signature })
}

/// The statement of a decision, by the key of this fingerprint.
///
/// # Errors
/// [`SigningError::Changed`] if what was looked at is not what the broker asks about.
pub fn statement(
    order: &SigningOrder,
    decided: &Decided<'_>,
    fingerprint: &str,
) -> Result<Statement, SigningError> {
    let detail = decided.detail;
    if order.revision != detail.revision {
        return Err(SigningError::Changed("it was narrowed"));
    }
    // Computed again from the plan itself: the broker's word for it is not signed.
    if plan_digest(&detail.plan) != detail.digest {
        return Err(SigningError::Changed("its digest is not its plan's"));
    }
    Ok(Statement {
        form: Statement::form(decided.decision).to_owned(),
        aud: order.origin.clone(),
        log: decided.head.clone(),
        request: About {
            id: detail.row.id,
            rev: detail.revision,
            digest: detail.digest,
        },
        plan: detail.plan.clone(),
        policy: order.policy.clone(),
        decision: decided.decision,
        approver: Approver {
            principal: decided.operator.to_owned(),
            key: fingerprint.to_owned(),
        },
        view: View {
            renderer: RENDERER.to_owned(),
            digest: decided.view,
        },
        nonce: order.nonce.clone(),
        iat: order.now,
        exp: order.expires_at,
        reason: decided.reason.to_owned(),
    })
}

/// The statement of a decision on a proposed policy, by the key of this fingerprint.
///
/// # Errors
/// [`SigningError::Changed`] if what was looked at is not what the broker asks about.
pub fn policy_statement(
    order: &SigningOrder,
    decided: &Decided<'_, ProposalDetail>,
    fingerprint: &str,
) -> Result<PolicyStatement, SigningError> {
    let detail = decided.detail;
    // Computed again from the texts that were shown: the broker's word for them is not signed.
    let digest = policy_digest(&detail.files);
    if digest != detail.row.digest {
        return Err(SigningError::Changed("its digest is not its text's"));
    }
    let base = PolicyRef {
        version: detail.row.base.to_string(),
        digest: policy_digest(&detail.before),
    };
    if order.policy != base || order.revision != detail.row.base + 1 {
        return Err(SigningError::Changed(
            "it was compared with another policy than the one in force",
        ));
    }
    Ok(PolicyStatement {
        form: PolicyStatement::form(decided.decision).to_owned(),
        aud: order.origin.clone(),
        log: decided.head.clone(),
        proposal: AboutPolicy {
            id: detail.row.id,
            version: order.revision,
            digest,
        },
        base,
        decision: decided.decision,
        approver: Approver {
            principal: decided.operator.to_owned(),
            key: fingerprint.to_owned(),
        },
        view: View {
            renderer: RENDERER.to_owned(),
            digest: decided.view,
        },
        nonce: order.nonce.clone(),
        iat: order.now,
        exp: order.expires_at,
        reason: decided.reason.to_owned(),
    })
}

fn choose(
    mut identities: Vec<Identity>,
    order: &SigningOrder,
    operator: &str,
) -> Result<Identity, SigningError> {
    let hardware = order.step_up == StepUp::HardwareKey;
    let held: Vec<_> = identities
        .iter()
        .map(|identity| identity.key.fingerprint())
        .collect();
    identities.retain(|identity| {
        let counts = identity.certificate || order.keys.contains(&identity.key.fingerprint());
        counts && (!hardware || identity.key.algorithm().in_hardware())
    });
    // The strongest that is there; an enrolled key before a certificate.
    identities.sort_by_key(|identity| {
        (
            identity.certificate,
            !identity.key.algorithm().in_hardware(),
        )
    });
    identities.into_iter().next().ok_or_else(|| {
        let list = |keys: &[String]| match keys {
            [] => "none".to_owned(),
            keys => keys.join(", "),
        };
        SigningError::NoKey {
            operator: operator.to_owned(),
            why: format!(
                "it holds {}; what counts for this is {}{}",
                list(&held),
                list(&order.keys),
                if hardware {
                    ", and it must be a security key"
                } else {
                    ""
                }
            ),
        }
    })
}

fn same_time(here: DateTime<Utc>, there: DateTime<Utc>) -> Result<(), SigningError> {
    let apart = (here - there).abs();
    if apart <= SKEW_MAX {
        Ok(())
    } else {
        Err(SigningError::Clock(crate::display::time::compact(apart)))
    }
}

async fn blocking<T: Send + 'static>(
    signer: &Signer,
    ask: impl FnOnce(&Signer) -> Result<T, SignError> + Send + 'static,
) -> Result<T, SigningError> {
    let signer = signer.clone();
    let asked = tokio::task::spawn_blocking(move || ask(&signer)).await;
    Ok(asked.map_err(|_| SigningError::GivenUp)??)
}

async fn sign(
    signer: &Signer,
    identity: Identity,
    namespace: String,
    message: Vec<u8>,
    wait: Duration,
) -> Result<(String, String), SigningError> {
    let text = String::from_utf8(message).expect("JSON is UTF-8");
    let signed = text.clone();
    let signature = blocking(signer, move |signer| {
        signer.sign_within(&identity, &namespace, text.as_bytes(), wait)
    })
    .await?;
    Ok((signed, signature))
}

/// The head of the log as the console's own check has it.
///
/// # Errors
/// [`SigningError::Log`] unless every leaf was found whole.
pub fn head_of(state: &ChainState, origin: &str) -> Result<LogHead, SigningError> {
    match state {
        ChainState::Whole { size, root, .. } => {
            let unreadable = || SigningError::Log("its root cannot be read".to_owned());
            let bytes: Option<Vec<u8>> = root
                .as_bytes()
                .chunks(2)
                .map(|pair| {
                    let digits = std::str::from_utf8(pair).ok()?;
                    u8::from_str_radix(digits, 16).ok()
                })
                .collect();
            Ok(LogHead {
                origin: origin.to_owned(),
                size: *size,
                root: STANDARD.encode(bytes.ok_or_else(unreadable)?),
            })
        }
        ChainState::Alarm(alarm) => Err(SigningError::Log(alarm.detail.clone())),
        ChainState::Unreachable { detail, .. } => Err(SigningError::Log(detail.clone())),
        ChainState::Unchecked | ChainState::Checking { .. } => Err(SigningError::Log(
            "it is still being verified; try again in a moment".to_owned(),
        )),
    }
}

/// The signed head of the log, checked by its key and against what was seen of it before.
///
/// # Errors
/// [`SigningError::Log`] if it contradicts what was seen; [`SigningError::Call`] if it cannot be fetched.
pub async fn verified_head(
    client: &Client,
    keep: &Keep,
    configured: Option<&str>,
) -> Result<LogHead, SigningError> {
    let kept = |error: KeepError| SigningError::Log(error.to_string());
    let log = |error: &dyn std::fmt::Display| SigningError::Log(error.to_string());
    let session = client.session().await?.value;
    let trusted = match (configured, keep.key().map_err(kept)?) {
        (Some(key), _) => key.to_owned(),
        (None, Some(key)) => key,
        (None, None) => {
            keep.set_key(&session.verifier_key).map_err(kept)?;
            session.verifier_key.clone()
        }
    };
    let key: VerifierKey = trusted.trim().parse().map_err(|error| log(&error))?;
    let note = client.checkpoint().await?;
    let pinned = match keep.checkpoint().map_err(kept)? {
        Some(pinned) => Some(
            key.open(&pinned)
                .map_err(|error| {
                    SigningError::Log(format!(
                        "what was seen of it before was not signed by the key that is trusted now ({error}); if that key is right: countersign context forget-key"
                    ))
                })?
                .head,
        ),
        None => None,
    };
    let offer = judge(&key, pinned, &note)
        .map_err(|verdict| SigningError::Log(super::chain::words(&verdict)))?;
    if let (Offer::Grown(offered), Some(pinned)) = (&offer, pinned) {
        let proof = consistency(client, pinned.size, offered.head.size).await?;
        match check_growth(pinned, offered.head, &proof) {
            Verdict::Whole { .. } => {}
            verdict => return Err(SigningError::Log(super::chain::words(&verdict))),
        }
    }
    keep.set_checkpoint(&note).map_err(kept)?;
    let Checkpoint { head, .. } = offer.into_checkpoint();
    Ok(LogHead {
        origin: session.origin,
        size: head.size,
        root: STANDARD.encode(head.root),
    })
}

async fn consistency(client: &Client, old: u64, new: u64) -> Result<Vec<Hash>, SigningError> {
    let unreadable = || SigningError::Log("the broker's proof cannot be read".to_owned());
    let LogProof::Consistency { hashes, .. } = client.consistency_proof(old, new).await? else {
        return Err(unreadable());
    };
    hashes
        .iter()
        .map(|text| STANDARD.decode(text).ok()?.try_into().ok())
        .collect::<Option<_>>()
        .ok_or_else(unreadable)
}
