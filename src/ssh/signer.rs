//! Whoever can sign for a person: their agent, or a key of the program's own.

use super::agent::{ATTENDED, Agent, AgentError, Identity};
use super::key::{Algorithm, PublicKey};
use super::signature::Signature;
use super::wire::put;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Why nothing was signed.
#[derive(Debug, thiserror::Error)]
pub enum SignError {
    /// The agent's trouble.
    #[error(transparent)]
    Agent(#[from] AgentError),
    /// Nobody said where an agent is.
    #[error(
        "no SSH agent: SSH_AUTH_SOCK is not set; start one and `ssh-add` your key, or connect with `ssh -A`"
    )]
    NoAgent,
    /// It holds nothing that is accepted.
    #[error(
        "the SSH agent holds no key that is accepted here, or it is locked: `ssh-add -l` shows what it has"
    )]
    NoKey,
    /// It does not hold the key that was asked for.
    #[error("the SSH agent does not hold the key {0}: `ssh-add` it first")]
    MissingKey(String),
}

/// A key that lives and dies with the program, for what the program itself plays.
pub struct OwnKey {
    pair: Ed25519KeyPair,
    key: PublicKey,
}

impl std::fmt::Debug for OwnKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("OwnKey").field(&self.key).finish()
    }
}

impl OwnKey {
    /// A fresh Ed25519 key.
    pub fn generate() -> Self {
        let pair =
            Ed25519KeyPair::generate().expect("the operating system's random source answers");
        let mut fields = Vec::new();
        put(&mut fields, pair.public_key().as_ref());
        let key = PublicKey::from_fields(Algorithm::Ed25519, &fields)
            .expect("an Ed25519 key has 32 bytes");
        Self { pair, key }
    }

    /// Its public half.
    pub fn public(&self) -> &PublicKey {
        &self.key
    }

    fn sign(&self, data: &[u8]) -> Vec<u8> {
        let mut raw = Vec::new();
        put(&mut raw, Algorithm::Ed25519.as_str().as_bytes());
        put(&mut raw, self.pair.sign(data).as_ref());
        raw
    }
}

/// Who signs. Cheap to clone; its methods block, for as long as somebody takes to touch a key.
#[derive(Debug, Clone)]
pub enum Signer {
    /// The agent at this address; none where nobody said one.
    Agent(Option<PathBuf>),
    /// A key of the program's own.
    Own(Arc<OwnKey>),
}

impl Signer {
    fn agent(path: Option<&PathBuf>) -> Result<Agent, SignError> {
        Ok(Agent::connect(path.ok_or(SignError::NoAgent)?)?)
    }

    /// The keys that can sign.
    ///
    /// # Errors
    /// [`SignError`], also when there is none.
    pub fn identities(&self) -> Result<Vec<Identity>, SignError> {
        let held = match self {
            Self::Agent(path) => Self::agent(path.as_ref())?.identities()?,
            Self::Own(own) => vec![Identity {
                blob: own.key.blob().to_vec(),
                key: own.key.clone(),
                certificate: false,
                comment: "countersign".to_owned(),
            }],
        };
        if held.is_empty() {
            return Err(SignError::NoKey);
        }
        Ok(held)
    }

    /// The armoured signature of `identity` over `message` in `namespace`.
    ///
    /// # Errors
    /// [`SignError`].
    pub fn sign(
        &self,
        identity: &Identity,
        namespace: &str,
        message: &[u8],
    ) -> Result<String, SignError> {
        self.sign_within(identity, namespace, message, ATTENDED)
    }

    /// As [`Signer::sign`], waited for so long.
    ///
    /// # Errors
    /// [`SignError`].
    pub fn sign_within(
        &self,
        identity: &Identity,
        namespace: &str,
        message: &[u8],
        wait: Duration,
    ) -> Result<String, SignError> {
        let data = Signature::signed_data(namespace, message);
        let raw = match self {
            Self::Agent(path) => Self::agent(path.as_ref())?.sign(identity, &data, wait)?,
            Self::Own(own) if own.key == identity.key => own.sign(&data),
            Self::Own(_) => return Err(SignError::MissingKey(identity.key.fingerprint())),
        };
        Ok(Signature::armour(&identity.blob, namespace, &raw))
    }
}
