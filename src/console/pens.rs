//! What decisions are signed with, and what was signed.

use super::effect::ToSign;
use super::event::{CallError, Delivery};
use super::model::OUTBOX_MAX;
use crate::client::Client;
use crate::client::sign::{Decided, sign_decision};
use crate::ssh::Signer;
use crate::wire::SignedStatement;
use crate::wire::signing::Decision;
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

impl Pens {
    /// Nothing was signed yet.
    pub fn new(signer: Signer) -> Self {
        Self {
            signer,
            signed: Mutex::default(),
        }
    }

    /// Has a decision signed, or gives the signature that it got under this key before. Takes as long as somebody takes
    /// to touch a key.
    ///
    /// # Errors
    /// Why it was not signed; nothing was sent then.
    pub async fn sign(
        &self,
        client: &Client,
        to_sign: &ToSign,
        decision: Decision,
        reason: &str,
        key: &str,
    ) -> Result<SignedStatement, CallError> {
        if let Some(signed) = self.signed.lock().get(key) {
            return Ok(signed.clone());
        }
        let decided = Decided {
            operator: &to_sign.operator,
            detail: &to_sign.detail,
            decision,
            reason,
            view: to_sign.view,
            head: to_sign.head.clone(),
            now: crate::clock::now(),
        };
        let signed = sign_decision(client, &self.signer, &decided)
            .await
            .map_err(|error| CallError {
                // Nothing was sent, whatever went wrong: a decision leaves with its signature or not at all.
                delivery: Delivery::NotSent,
                problem: None,
                detail: error.to_string(),
            })?;
        let mut held = self.signed.lock();
        while held.len() >= SIGNED_MAX {
            held.pop_first();
        }
        held.insert(key.to_owned(), signed.clone());
        Ok(signed)
    }
}
