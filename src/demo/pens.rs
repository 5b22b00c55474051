//! The keys that the company's people sign with. They live and die with the demo: nobody else's agent is asked.

use crate::{
    domain::{
        Checked, Decision, Digest, Evaluation, Plan, RequestId, Signed, Statement, StepUp,
        statement::{About, Approver, Form, LogHead, PolicyRef, STATEMENT_LIFE, View},
    },
    ssh::{OwnKey, Signer},
    wire::signing::{approval_namespace, signed_bytes},
};
use chrono::{DateTime, Utc};
use std::{collections::BTreeMap, sync::Arc};

/// Everybody's key, by handle.
#[derive(Debug, Default)]
pub struct Pens(BTreeMap<String, Arc<OwnKey>>);

/// What somebody decided in the company's past.
pub struct Agreed<'a> {
    /// Who, by handle.
    pub by: &'a str,
    /// Yes or no.
    pub decision: Decision,
    /// On which request.
    pub request: RequestId,
    /// On what.
    pub plan: &'a Plan,
    /// Its digest.
    pub digest: Digest,
    /// What policy asked for.
    pub evaluation: &'a Evaluation,
    /// Why.
    pub reason: &'a str,
    /// When.
    pub at: DateTime<Utc>,
}

impl Pens {
    /// A fresh key for somebody.
    pub fn cut(&mut self, name: &str) -> Arc<OwnKey> {
        let key = Arc::new(OwnKey::generate());
        self.0.insert(name.to_owned(), Arc::clone(&key));
        key
    }

    /// Signs as this person.
    pub fn signer(&self, name: &str) -> Signer {
        self.0
            .get(name)
            .map_or(Signer::Agent(None), |key| Signer::Own(Arc::clone(key)))
    }

    /// The statement that somebody signed, where policy asked for one.
    pub fn sign(&self, head: &LogHead, agreed: &Agreed<'_>) -> Option<Box<Checked>> {
        let needed = agreed.evaluation.step_up != StepUp::None;
        let signer = self.signer(agreed.by);
        let identity = needed
            .then(|| signer.identities().ok()?.into_iter().next())
            .flatten()?;
        let fingerprint = identity.key.fingerprint();
        let statement = Statement {
            form: Statement::form(agreed.decision).to_owned(),
            aud: head.origin.clone(),
            log: head.clone(),
            request: About {
                id: agreed.request,
                rev: 1,
                digest: agreed.digest,
            },
            plan: agreed.plan.clone(),
            policy: PolicyRef {
                version: agreed.evaluation.policy_version.clone(),
                digest: agreed.evaluation.policy_digest,
            },
            decision: agreed.decision,
            approver: Approver {
                principal: agreed.by.to_owned(),
                key: fingerprint.clone(),
            },
            view: View {
                renderer: "countersign/demo".to_owned(),
                digest: agreed.digest,
            },
            nonce: agreed.request.to_string(),
            iat: agreed.at,
            exp: agreed.at + STATEMENT_LIFE,
            reason: agreed.reason.to_owned(),
        };
        let namespace = approval_namespace(&head.origin);
        let payload = String::from_utf8(signed_bytes(&statement)).expect("JSON is UTF-8");
        let signature = signer
            .sign(&identity, &namespace, payload.as_bytes())
            .ok()?;
        let allowed_signer = format!(
            "{} namespaces=\"{namespace}\" {}",
            agreed.by,
            identity.key.line()
        );
        Some(Box::new(Checked {
            statement,
            signed: Signed {
                fingerprint,
                hardware: false,
                certificate: false,
                payload,
                signature,
                allowed_signer,
            },
        }))
    }
}
