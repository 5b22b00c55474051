//! What shows that a decision is somebody's: what must be signed, by which key, and when a no may stay unsigned.

use super::keys;
use crate::domain::{
    Actor, Approval, Checked, Context, Decision, Operator, OperatorId, Proof, Refusal, Request,
    SshKey, Statement, StepUp,
    check::Check,
    statement::{Form, STATEMENT_LIFE, Said},
};
use chrono::{DateTime, Utc};

/// What is decided, as far as keys go.
#[derive(Debug, Clone, Copy)]
pub struct Matter {
    /// Who asks for it.
    pub asker: OperatorId,
    /// Since when.
    pub asked_at: DateTime<Utc>,
    /// How a decision about it must be proven.
    pub step_up: StepUp,
}

impl Matter {
    /// A request.
    pub fn of(request: &Request) -> Self {
        Self {
            asker: request.requester,
            asked_at: request.submitted_at,
            step_up: request.step_up(),
        }
    }

    /// The enrolled keys of `person` that count for it at `now`.
    pub fn keys(self, person: &Operator, now: DateTime<Utc>) -> impl Iterator<Item = &SshKey> {
        let own = self.asker == person.id;
        person.ssh_keys().filter(move |key| {
            key.counts_at(if own { now } else { self.asked_at })
                && (own || key.enrolled_by != self.asker)
                && (key.hardware || self.step_up != StepUp::HardwareKey)
        })
    }
}

/// A decision in its maker's words.
#[derive(Debug, Clone, Copy)]
pub(super) struct Words<'a> {
    pub decision: Decision,
    pub person: &'a Operator,
    pub reason: &'a str,
}

/// What came with a denial.
#[derive(Debug)]
pub(super) struct Denied<'a, S = Statement> {
    /// The signed statement, if there was one.
    pub checked: Option<&'a Checked<S>>,
    /// Whoever denies says that they cannot sign.
    pub unsigned: bool,
}

/// What shows that the decision is the person's, if it is as strong as the matter asks. `differs` names what a statement
/// says otherwise than it is.
pub(super) fn proof<S: Form>(
    context: &Context,
    matter: Matter,
    words: &Words<'_>,
    checked: Option<&Checked<S>>,
    differs: impl FnOnce(&S) -> Option<&'static str>,
) -> Result<Proof, Refusal> {
    let Some(checked) = checked else {
        return match (&context.actor, matter.step_up) {
            (Actor::Operator { proof, .. }, StepUp::None) => Ok(proof.clone()),
            _ => Err(Refusal::Separation {
                rule: "signature-needed",
                detail: "this is decided by a signature of your SSH key, not by a session alone"
                    .into(),
            }),
        };
    };
    let said = checked.statement.said();
    let other = differs(&checked.statement)
        .or_else(|| says_otherwise(words, said, S::form(words.decision), checked));
    if let Some(what) = other {
        return Err(Refusal::Conflict {
            detail: format!("what was signed is about another {what}; look again, and sign that"),
        });
    }
    in_time(said, context.now)?;
    key_counts(matter, words, checked, context.now)?;
    if matter.step_up == StepUp::HardwareKey && !checked.signed.hardware {
        return Err(Refusal::Separation {
            rule: "hardware-key-needed",
            detail: "this is signed with a security key that is touched for it (an sk- key)".into(),
        });
    }
    let proof = Proof::SshSignature(Box::new(checked.signed.clone()));
    let mut check = Check::default();
    check.proof("/signed", &proof);
    check.finish()?;
    Ok(proof)
}

/// The same of a no. It only ever takes away, so nobody is kept from it who has no key at hand: whoever has none that
/// counts, or says that they cannot sign, denies by their session, and the record has it so. To leave the signature out
/// without a word is refused, so that a record without one means something.
pub(super) fn denial_proof<S: Form>(
    context: &Context,
    matter: Matter,
    words: &Words<'_>,
    shown: &Denied<'_, S>,
    differs: impl FnOnce(&S) -> Option<&'static str>,
) -> Result<Proof, Refusal> {
    let keyless = || matter.keys(words.person, context.now).next().is_none();
    if shown.checked.is_none() && matter.step_up != StepUp::None {
        if !shown.unsigned && !keyless() {
            return Err(Refusal::Separation {
                rule: "signature-needed",
                detail: "you have a key: sign the denial, or say that you cannot (`unsigned`); it stops either way"
                    .into(),
            });
        }
        let by_session = Matter {
            step_up: StepUp::None,
            ..matter
        };
        return proof::<S>(context, by_session, words, None, differs);
    }
    proof(context, matter, words, shown.checked, differs)
}

/// What a statement about a request says otherwise than the request is now.
pub(super) fn request_differs(held: &Request, said: &Statement) -> Option<&'static str> {
    let policy = held.evaluation.as_ref();
    first(&[
        (said.request.id != held.id, "request"),
        (said.request.rev != held.revision, "revision of the request"),
        (said.request.digest != held.digest, "digest"),
        (said.plan != held.plan, "plan"),
        (
            policy.is_none_or(|policy| {
                policy.policy_version != said.policy.version
                    || policy.policy_digest != said.policy.digest
            }),
            "policy",
        ),
    ])
}

fn says_otherwise<S>(
    words: &Words<'_>,
    said: Said<'_>,
    form: &str,
    checked: &Checked<S>,
) -> Option<&'static str> {
    first(&[
        (said.decision != words.decision, "decision"),
        (said.form != form, "form"),
        (said.approver.principal != words.person.name, "person"),
        (said.approver.key != checked.signed.fingerprint, "key"),
        (said.reason != words.reason, "reason"),
    ])
}

fn first(differs: &[(bool, &'static str)]) -> Option<&'static str> {
    let found = differs.iter().find(|(differs, _)| *differs);
    found.map(|(_, what)| *what)
}

fn in_time(said: Said<'_>, now: DateTime<Utc>) -> Result<(), Refusal> {
    // A signer's clock may be a little ahead of ours.
    let ahead = chrono::Duration::minutes(1);
    if said.iat <= now + ahead && now < said.exp && said.exp - said.iat <= STATEMENT_LIFE {
        Ok(())
    } else {
        Err(Refusal::Conflict {
            detail: format!(
                "the signature is good from {} until {}, and it is {now}; if that is wrong, set the clock right, and sign anew",
                said.iat, said.exp
            ),
        })
    }
}

fn key_counts<S>(
    matter: Matter,
    words: &Words<'_>,
    checked: &Checked<S>,
    now: DateTime<Utc>,
) -> Result<(), Refusal> {
    let refuse = |rule, detail: String| Err(Refusal::Separation { rule, detail });
    if checked.signed.certificate {
        return Ok(());
    }
    let fingerprint = &checked.signed.fingerprint;
    let Some(key) = words.person.ssh_key(fingerprint) else {
        return refuse(
            "unknown-key",
            format!(
                "the key {fingerprint} is not enrolled for {}",
                words.person.name
            ),
        );
    };
    if !key.counts_at(now) {
        return Err(keys::not_countersigned(key));
    }
    // In an emergency one acts for oneself: whose key it is, and since when, is looked at by the others afterwards.
    if words.decision == Decision::BreakGlass {
        return Ok(());
    }
    if !key.counts_at(matter.asked_at) {
        return refuse(
            "key-younger-than-request",
            "a key that was enrolled after the request does not count for it".into(),
        );
    }
    if key.enrolled_by == matter.asker {
        return refuse(
            "key-enrolled-by-requester",
            "this key was enrolled by who asks now; it does not count for what they ask".into(),
        );
    }
    Ok(())
}

/// Refuses a key that has signed an approval already.
pub(super) fn distinct_key<'a>(
    proof: &Proof,
    mut standing: impl Iterator<Item = &'a Approval>,
) -> Result<(), Refusal> {
    if let Proof::SshSignature(signed) = proof
        && standing.any(|given| given.key() == Some(&signed.fingerprint))
    {
        return Err(Refusal::Separation {
            rule: "distinct-keys",
            detail: "this key has signed an approval already; another person's key is needed"
                .into(),
        });
    }
    Ok(())
}

/// Whether what shows an approval still does: a key that was taken out of use since takes its approvals with it.
pub(super) fn proven(step_up: StepUp, approval: &Approval, person: &Operator) -> bool {
    match &approval.proof {
        Proof::Token { .. } => step_up == StepUp::None,
        Proof::SshSignature(signed) => {
            (step_up != StepUp::HardwareKey || signed.hardware)
                && (signed.certificate || person.ssh_key(&signed.fingerprint).is_some())
        }
    }
}
