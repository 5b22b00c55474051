//! What decisions are signed with, and what was signed.

use super::effect::ToSign;
use super::event::{CallError, Delivery};
use super::model::OUTBOX_MAX;
use crate::client::Client;
use crate::client::sign::{Decided, SigningError, sign_decision, sign_policy};
use crate::ssh::Signer;
use crate::wire::signing::Decision;
use crate::wire::{ProposalDetail, SignedStatement};
use parking_lot::Mutex;
use std::collections::BTreeMap;

/// How many signatures are remembered; the console remembers no more changes than that either.
const SIGNED_MAX: usize = OUTBOX_MAX;

/// Who signs, and what they signed: asked again by the same idempotency key, the broker must get the same bytes.
#[derive(Debug)]
pub struct Pens {
    signer: Signer,
    signed: Mutex<BTreeMap<String, SignedStatement>>,
}

/// What is signed.
#[derive(Debug, Clone, Copy)]
pub enum Matter<'a> {
    /// A decision on a request.
    Request(&'a ToSign),
    /// A decision on a proposed policy.
    Policy(&'a ToSign<ProposalDetail>),
}

/// A decision in its maker's words.
#[derive(Debug, Clone, Copy)]
pub struct Words<'a> {
    /// What is decided.
    pub decision: Decision,
    /// Why.
    pub reason: &'a str,
    /// The idempotency key that it is sent with.
    pub key: &'a str,
}

impl Pens {
    /// Nothing was signed yet.
    pub fn new(signer: Signer) -> Self {
        Self {
            signer,
            signed: Mutex::default(),
        }
    }

    /// Who signs.
    pub fn signer(&self) -> &Signer {
        &self.signer
    }

    /// Has a decision signed. Takes as long as somebody takes to touch a key.
    ///
    /// # Errors
    /// Why it was not signed; nothing was sent then.
    pub async fn sign(
        &self,
        client: &Client,
        matter: Matter<'_>,
        words: Words<'_>,
    ) -> Result<SignedStatement, CallError> {
        self.signed(client, matter, words)
            .await
            .map_err(|error| not_sent(&error))
    }

    /// The same of a denial. Without a key at hand, or a log that is known to be whole, there is no signature, and it goes
    /// out all the same.
    ///
    /// # Errors
    /// Why it does not go out: the broker is away, or it is not what was looked at any more.
    pub async fn sign_denial(
        &self,
        client: &Client,
        matter: Matter<'_>,
        words: Words<'_>,
    ) -> Result<Option<SignedStatement>, CallError> {
        match self.signed(client, matter, words).await {
            Ok(signed) => Ok(Some(signed)),
            Err(error) if error.leaves_denial() => Ok(None),
            Err(error) => Err(not_sent(&error)),
        }
    }

    async fn signed(
        &self,
        client: &Client,
        matter: Matter<'_>,
        words: Words<'_>,
    ) -> Result<SignedStatement, SigningError> {
        if let Some(signed) = self.signed.lock().get(words.key) {
            return Ok(signed.clone());
        }
        let signed = match matter {
            Matter::Request(to_sign) => {
                sign_decision(client, &self.signer, &decided(to_sign, words)).await
            }
            Matter::Policy(to_sign) => {
                sign_policy(client, &self.signer, &decided(to_sign, words)).await
            }
        }?;
        let mut held = self.signed.lock();
        while held.len() >= SIGNED_MAX {
            held.pop_first();
        }
        held.insert(words.key.to_owned(), signed.clone());
        Ok(signed)
    }
}

fn decided<'a, D>(to_sign: &'a ToSign<D>, words: Words<'a>) -> Decided<'a, D> {
    Decided {
        operator: &to_sign.operator,
        detail: &to_sign.detail,
        decision: words.decision,
        reason: words.reason,
        view: to_sign.view,
        head: to_sign.head.clone(),
        now: crate::clock::now(),
    }
}

/// Nothing was sent, whatever went wrong: such a decision leaves with its signature or not at all.
fn not_sent(error: &SigningError) -> CallError {
    CallError {
        delivery: Delivery::NotSent,
        problem: None,
        detail: error.to_string(),
    }
}
