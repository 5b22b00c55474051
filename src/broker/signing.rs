//! What people sign: checked when it comes, and checked again by whoever carries it out.

use super::{engine::Engine, nonces::Nonces};
use crate::{
    domain::check::{PAYLOAD_MAX, SIGNATURE_MAX},
    domain::operator::Continued,
    domain::{
        Approval, Checked, Decision, Digest, Operator, Plan, PolicyStatement, Proof, Proposal,
        Request, RequestId, Signed, State, Statement, StepUp,
        statement::{Form, LogHead},
    },
    ssh::{Certificate, CertificateError, KeyError, PublicKey, Signature, SignatureError},
    wire::{
        plan_digest,
        signing::{
            LOGIN, NotCanonical, SignedStatement, approval_namespace, login_namespace, parse_login,
            parse_statement,
        },
    },
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use chrono::{DateTime, Duration, Utc};
use serde::{Serialize, de::DeserializeOwned};
use std::{collections::BTreeSet, sync::Arc};

/// How long a sign-in nonce is good.
pub const LOGIN_LIFE: Duration = Duration::minutes(2);

/// Why something that was signed does not count.
#[derive(Debug, thiserror::Error)]
pub enum SigningError {
    /// It is longer than anything that is signed here.
    #[error(
        "what was signed is longer than {PAYLOAD_MAX} bytes, or its signature than {SIGNATURE_MAX}"
    )]
    TooLong,
    /// The signature.
    #[error(transparent)]
    Signature(#[from] SignatureError),
    /// The key in it.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The certificate in it.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// No such key of this person.
    #[error(
        "the key {0} is not enrolled for you: ask an admin (`countersign operator key add`), or sign with one that is"
    )]
    UnknownKey(String),
    /// What was signed.
    #[error(transparent)]
    Form(#[from] NotCanonical),
    /// For another broker, or another person.
    #[error("what was signed is for another {0}")]
    Elsewhere(&'static str),
    /// The session that was to go on.
    #[error("the session that this would continue has ended or was signed out: sign in again")]
    Ended,
    /// The nonce.
    #[error(
        "the broker does not know this nonce, or it was used or has expired: ask again, and sign anew"
    )]
    Nonce,
    /// The log that the signer saw.
    #[error(
        "the signer saw another history of the log than this broker has: compare checkpoints before anything is decided"
    )]
    History,
    /// The log cannot be read.
    #[error("the log cannot be read: {0}")]
    Log(String),
}

/// What the broker checks signatures with.
#[derive(Debug, Default)]
pub struct Signing {
    /// Certification authorities whose certificates are accepted.
    pub authorities: Vec<PublicKey>,
    /// How long a session lasts that a key opened.
    pub session: Duration,
    /// Nonces that wait.
    pub nonces: Nonces,
}

/// Who signed, as far as keys go.
struct SignedBy {
    key: PublicKey,
    certificate: bool,
    allowed_signer: String,
}

/// The purpose of a sign-in nonce.
pub fn login_purpose(operator: &str) -> String {
    format!("login {operator}")
}

/// The purpose of a decision's nonce: one person, one request, one revision of it.
pub fn decision_purpose(operator: &Operator, request: RequestId, revision: u32) -> String {
    format!("decide {} {request} {revision}", operator.id)
}

/// The same for a proposed policy, which is never changed.
pub fn policy_purpose(operator: &Operator, proposal: &Proposal) -> String {
    format!("decide {} {}", operator.id, proposal.id)
}

/// Whose key it is, if it is one of `operator`'s.
fn signer(
    authorities: &[PublicKey],
    operator: &Operator,
    blob: &[u8],
    namespace: &str,
    now: DateTime<Utc>,
) -> Result<SignedBy, SigningError> {
    let name = &operator.name;
    if Certificate::is_one(blob) {
        let certificate = Certificate::parse(blob)?;
        let (key, authority) = certificate.key_of(authorities, name, now)?;
        return Ok(SignedBy {
            key: key.clone(),
            certificate: true,
            allowed_signer: format!(
                "{name} cert-authority,namespaces=\"{namespace}\" {}",
                authority.line()
            ),
        });
    }
    let key = PublicKey::from_blob(blob)?;
    let fingerprint = key.fingerprint();
    let enrolled = operator
        .ssh_key(&fingerprint)
        .filter(|enrolled| enrolled.public_key == key.line())
        .ok_or(SigningError::UnknownKey(fingerprint))?;
    let since = enrolled.valid_from.unwrap_or(enrolled.enrolled_at);
    Ok(SignedBy {
        allowed_signer: format!(
            "{name} namespaces=\"{namespace}\",valid-after=\"{}\" {}",
            since.format("%Y%m%d%H%M%SZ"),
            key.line()
        ),
        key,
        certificate: false,
    })
}

/// A sign-in whose signature is right.
#[derive(Debug)]
pub struct SignedIn {
    /// Who.
    pub operator: Arc<Operator>,
    /// The key that signed.
    pub key: PublicKey,
    /// The session that goes on, if it is not a person who signs in.
    pub continues: Option<Continued>,
}

/// Checks a sign-in: the operator's handle that was asked for, the key that answers, and the session that it continues.
///
/// # Errors
/// [`SigningError`].
pub fn check_login(
    signing: &Signing,
    state: &State,
    origin: &str,
    message: &str,
    signature: &str,
    now: DateTime<Utc>,
) -> Result<SignedIn, SigningError> {
    if message.len() > PAYLOAD_MAX || signature.len() > SIGNATURE_MAX {
        return Err(SigningError::TooLong);
    }
    let said = parse_login(message)?;
    if said.form != LOGIN {
        return Err(SigningError::Elsewhere("purpose"));
    }
    if said.aud != origin {
        return Err(SigningError::Elsewhere("broker"));
    }
    if !signing
        .nonces
        .spend(&said.nonce, &login_purpose(&said.operator), now)
        || said.exp <= now
    {
        return Err(SigningError::Nonce);
    }
    let signature = Signature::parse(signature)?;
    let unknown = || SigningError::UnknownKey(crate::ssh::fingerprint_of(signature.key_blob()));
    // An account that does not exist and a key that it does not have are answered alike.
    let operator = state
        .operator_named(&said.operator)
        .filter(|operator| operator.offboarded_at.is_none())
        .ok_or_else(unknown)?;
    let namespace = login_namespace(origin);
    let by = signer(
        &signing.authorities,
        operator,
        signature.key_blob(),
        &namespace,
        now,
    )?;
    signature.verify(&by.key, &namespace, message.as_bytes())?;
    let continues = match said.continues {
        Some(session) => {
            let held = operator.tokens().find(|token| token.id == session);
            Some(Continued {
                session,
                signed_in_at: held.ok_or(SigningError::Ended)?.signed_in_at(),
            })
        }
        None => None,
    };
    Ok(SignedIn {
        operator: Arc::clone(operator),
        key: by.key,
        continues,
    })
}

/// Checks a decision as it comes: the signature, that it is for this broker and this history of its log, and that its
/// nonce was given for this `purpose`. What it says about what it is about is for the rules to judge. `call` tells one
/// call from another: the nonce is good for one of them.
///
/// # Errors
/// [`SigningError`].
pub async fn check_decision<S: Form + Serialize + DeserializeOwned>(
    engine: &Engine,
    operator: &Operator,
    purpose: impl FnOnce(&S) -> String,
    sent: &SignedStatement,
    call: Digest,
    now: DateTime<Utc>,
) -> Result<Checked<S>, SigningError> {
    if sent.payload.len() > PAYLOAD_MAX || sent.signature.len() > SIGNATURE_MAX {
        return Err(SigningError::TooLong);
    }
    let statement: S = parse_statement(&sent.payload)?;
    let said = statement.said();
    let origin = engine.origin();
    if said.aud != origin || said.log.origin != origin {
        return Err(SigningError::Elsewhere("broker"));
    }
    let signature = Signature::parse(&sent.signature)?;
    let namespace = approval_namespace(origin);
    let signing = engine.signing();
    let by = signer(
        &signing.authorities,
        operator,
        signature.key_blob(),
        &namespace,
        now,
    )?;
    let touch = signature.verify(&by.key, &namespace, sent.payload.as_bytes())?;
    same_history(engine, said.log).await?;
    // Last, so that a signature that was no good does not cost its nonce.
    let purpose = purpose(&statement);
    if !signing.nonces.spend_on(said.nonce, &purpose, call, now) {
        return Err(SigningError::Nonce);
    }
    Ok(Checked {
        statement,
        signed: Signed {
            fingerprint: by.key.fingerprint(),
            hardware: touch.is_some(),
            certificate: by.certificate,
            payload: sent.payload.clone(),
            signature: sent.signature.clone(),
            allowed_signer: by.allowed_signer,
        },
    })
}

/// Whether the head that the signer verified is one that this log has had.
async fn same_history(engine: &Engine, seen: &LogHead) -> Result<(), SigningError> {
    let size = seen.size;
    if size > engine.log().head().size {
        return Err(SigningError::History);
    }
    let root = engine.log().root_at(size).await;
    let root = root.map_err(|error| SigningError::Log(error.to_string()))?;
    if STANDARD.encode(root) == seen.root {
        Ok(())
    } else {
        Err(SigningError::History)
    }
}

/// What is to be carried out: taken from the signed bytes, each signature checked once more, by whoever is about to
/// act. Where policy asks for no signature, what stands in the state.
///
/// # Errors
/// Why an approval that is recorded does not hold.
pub fn countersigned_plan(
    authorities: &[PublicKey],
    state: &State,
    origin: &str,
    request: &Request,
) -> Result<Plan, String> {
    if let Some(glass) = &request.break_glass {
        let person = state
            .operators
            .get(&glass.by)
            .ok_or("who broke the glass is not known")?;
        let broken = (Decision::BreakGlass, &glass.proof, glass.at);
        return signed_plan(authorities, person, origin, request, broken);
    }
    let Some(quorum) = request
        .quorum()
        .filter(|_| request.step_up() != StepUp::None)
    else {
        return Ok(request.plan.clone());
    };
    let (mut people, mut keys, mut plan) = (BTreeSet::new(), BTreeSet::new(), None);
    for approval in request.standing() {
        let signed = approved_plan(authorities, state, origin, request, approval)?;
        people.insert(approval.by);
        keys.extend(approval.key());
        plan = Some(signed);
    }
    let (good, needed) = (people.len().min(keys.len()), usize::from(quorum.count));
    plan.filter(|_| good >= needed)
        .ok_or_else(|| format!("{good} of {needed} signatures hold for what is asked now"))
}

fn approved_plan(
    authorities: &[PublicKey],
    state: &State,
    origin: &str,
    request: &Request,
    approval: &Approval,
) -> Result<Plan, String> {
    let person = state
        .operators
        .get(&approval.by)
        .ok_or_else(|| format!("{} is not known", approval.by_name))?;
    let given = (Decision::Approve, &approval.proof, approval.at);
    signed_plan(authorities, person, origin, request, given)
}

fn signed_plan(
    authorities: &[PublicKey],
    person: &Operator,
    origin: &str,
    request: &Request,
    (decision, proof, at): (Decision, &Proof, DateTime<Utc>),
) -> Result<Plan, String> {
    let said: Statement = signed_once(authorities, person, origin, proof, at)?;
    let digest = plan_digest(&said.plan);
    if said.request.id != request.id || digest != said.request.digest {
        return Err(elsewhere(person));
    }
    let decided = said.decision == decision && said.request.rev == request.revision;
    if digest != request.digest || !decided {
        return Err(format!(
            "the signature of {}: what was signed is not what is to be done",
            person.name
        ));
    }
    Ok(said.plan)
}

/// Whether the approvals of a proposal that were given before this one hold: each signature checked once more, before the
/// text decides anything. Gives how many do; where no signatures are asked for, all of them.
///
/// # Errors
/// Why an approval that is recorded does not hold.
pub fn countersigned_policy(
    authorities: &[PublicKey],
    state: &State,
    origin: &str,
    proposal: &Proposal,
) -> Result<usize, String> {
    let (mut people, mut keys) = (BTreeSet::new(), BTreeSet::new());
    for approval in proposal.standing() {
        people.insert(approval.by);
        if proposal.step_up == StepUp::None {
            continue;
        }
        let person = state
            .operators
            .get(&approval.by)
            .ok_or_else(|| format!("{} is not known", approval.by_name))?;
        let said: PolicyStatement =
            signed_once(authorities, person, origin, &approval.proof, approval.at)?;
        let about = &said.proposal;
        if about.id != proposal.id
            || about.digest != proposal.digest
            || said.decision != Decision::Approve
        {
            return Err(elsewhere(person));
        }
        keys.extend(approval.key());
    }
    Ok(match proposal.step_up {
        StepUp::None => people.len(),
        _ => people.len().min(keys.len()),
    })
}

fn elsewhere(person: &Operator) -> String {
    format!(
        "the signature of {}: it is about something else",
        person.name
    )
}

/// What `person` once signed for this broker, its signature checked once more.
fn signed_once<S: Form + Serialize + DeserializeOwned>(
    authorities: &[PublicKey],
    person: &Operator,
    origin: &str,
    proof: &Proof,
    at: DateTime<Utc>,
) -> Result<S, String> {
    let Proof::SshSignature(signed) = proof else {
        return Err(format!("{} has not signed", person.name));
    };
    let refused =
        |error: &dyn std::fmt::Display| format!("the signature of {}: {error}", person.name);
    let namespace = approval_namespace(origin);
    let signature = Signature::parse(&signed.signature).map_err(|error| refused(&error))?;
    // As of when it was signed: a certificate may have run out since.
    let by = signer(authorities, person, signature.key_blob(), &namespace, at)
        .map_err(|error| refused(&error))?;
    signature
        .verify(&by.key, &namespace, signed.payload.as_bytes())
        .map_err(|error| refused(&error))?;
    let statement: S = parse_statement(&signed.payload).map_err(|error| refused(&error))?;
    let said = statement.said();
    if said.aud != origin || said.form != S::form(said.decision) {
        return Err(elsewhere(person));
    }
    let theirs =
        said.approver.principal == person.name && said.approver.key == by.key.fingerprint();
    if theirs {
        Ok(statement)
    } else {
        Err(refused(&"what was signed names somebody else"))
    }
}
