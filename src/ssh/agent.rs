//! The agent that holds somebody's private keys, local or forwarded: what it has, and a signature by one of them.
//! Blocking, with a limit on every wait. After draft-ietf-sshm-ssh-agent.

use super::certificate::Certificate;
use super::key::{Algorithm, PublicKey};
use super::wire::{Malformed, Reader, put};
use std::io::{self, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

const REQUEST_IDENTITIES: u8 = 11;
const IDENTITIES: u8 = 12;
const SIGN_REQUEST: u8 = 13;
const SIGN_RESPONSE: u8 = 14;
/// RSA with SHA-512; the default would be SHA-1.
const RSA_SHA2_512: u32 = 4;
/// The longest message, as in OpenSSH.
const MESSAGE_MAX: usize = 256 * 1024;
/// The most keys that are looked at.
const IDENTITIES_MAX: u32 = 256;
/// How long a list may take.
const LIST_WAIT: Duration = Duration::from_secs(10);
/// How long a signature may take: somebody may have to find the key and touch it.
pub const ATTENDED: Duration = Duration::from_mins(1);
/// How long one may take that nobody should have to do anything for.
pub const UNATTENDED: Duration = Duration::from_secs(5);

/// Why the agent is of no help.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// There is none at the address.
    #[error(
        "no SSH agent answers at {path}: start one and `ssh-add` your key, or connect with `ssh -A`"
    )]
    Connect {
        /// Where it should be.
        path: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It stopped answering.
    #[error("the SSH agent did not answer in time, or hung up")]
    Away(#[source] io::Error),
    /// It said no.
    #[error(
        "the SSH agent refused to sign: the key may be locked, confined to another host, or was not confirmed or touched"
    )]
    Refused,
    /// It answered something else.
    #[error("what answers at the SSH agent's address does not speak its language")]
    Protocol,
}

impl From<Malformed> for AgentError {
    fn from(_: Malformed) -> Self {
        Self::Protocol
    }
}

/// A key that the agent holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Key or certificate, as it travels.
    pub blob: Vec<u8>,
    /// The key itself: of a certificate, the one that it is for.
    pub key: PublicKey,
    /// Whether it is a certificate.
    pub certificate: bool,
    /// The comment, for people; whatever bytes it had.
    pub comment: String,
}

/// A connection to an agent.
#[derive(Debug)]
pub struct Agent(UnixStream);

impl Agent {
    /// Connects to the agent at `path`.
    ///
    /// # Errors
    /// [`AgentError::Connect`].
    pub fn connect(path: &Path) -> Result<Self, AgentError> {
        let connect = || {
            let stream = UnixStream::connect(path)?;
            stream.set_write_timeout(Some(LIST_WAIT))?;
            Ok(stream)
        };
        connect().map(Self).map_err(|source| AgentError::Connect {
            path: path.display().to_string(),
            source,
        })
    }

    fn ask(&mut self, body: &[u8], wait: Duration) -> Result<Vec<u8>, AgentError> {
        let mut talk = || {
            self.0.set_read_timeout(Some(wait))?;
            let mut message = Vec::with_capacity(4 + body.len());
            put(&mut message, body);
            self.0.write_all(&message)?;
            let mut length = [0; 4];
            self.0.read_exact(&mut length)?;
            let length = u32::from_be_bytes(length) as usize;
            if length == 0 || length > MESSAGE_MAX {
                return Ok(None);
            }
            let mut answer = vec![0; length];
            self.0.read_exact(&mut answer)?;
            Ok(Some(answer))
        };
        talk()
            .map_err(AgentError::Away)?
            .ok_or(AgentError::Protocol)
    }

    /// The keys that it holds and that are accepted here. An agent that is locked holds none.
    ///
    /// # Errors
    /// [`AgentError`].
    pub fn identities(&mut self) -> Result<Vec<Identity>, AgentError> {
        let answer = self.ask(&[REQUEST_IDENTITIES], LIST_WAIT)?;
        let mut fields = Reader(&answer);
        if fields.byte()? != IDENTITIES {
            return Err(AgentError::Protocol);
        }
        let count = fields.u32()?;
        let mut held = Vec::new();
        for _ in 0..count.min(IDENTITIES_MAX) {
            let (blob, comment) = (fields.string()?, fields.string()?);
            // One key that is not accepted does not hide the others.
            if let Some(identity) = identity(blob, comment) {
                held.push(identity);
            }
        }
        Ok(held)
    }

    /// The signature of `identity` over `data`, waited for so long: an algorithm's word and its bytes.
    ///
    /// # Errors
    /// [`AgentError::Refused`] if it will not.
    pub fn sign(
        &mut self,
        identity: &Identity,
        data: &[u8],
        wait: Duration,
    ) -> Result<Vec<u8>, AgentError> {
        let flags = match identity.key.algorithm() {
            Algorithm::Rsa => RSA_SHA2_512,
            _ => 0,
        };
        let mut body = vec![SIGN_REQUEST];
        put(&mut body, &identity.blob);
        put(&mut body, data);
        body.extend(flags.to_be_bytes());
        let answer = self.ask(&body, wait)?;
        let mut fields = Reader(&answer);
        if fields.byte()? != SIGN_RESPONSE {
            return Err(AgentError::Refused);
        }
        Ok(fields.string()?.to_vec())
    }
}

fn identity(blob: &[u8], comment: &[u8]) -> Option<Identity> {
    let certificate = Certificate::is_one(blob);
    let key = if certificate {
        Certificate::parse(blob).ok()?.into_key()
    } else {
        PublicKey::from_blob(blob).ok()?
    };
    Some(Identity {
        blob: blob.to_vec(),
        key,
        certificate,
        comment: String::from_utf8_lossy(comment).chars().take(128).collect(),
    })
}
