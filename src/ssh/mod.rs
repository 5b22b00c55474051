//! OpenSSH's formats and its agent: public keys, certificates, signatures over messages (SSHSIG), and whoever holds
//! the private half. A leaf module: it knows bytes, not what is signed or why.
//!
//! Only keys that are still sound are read: Ed25519, ECDSA over the NIST curves, RSA of at least 3,072 bits with
//! SHA-2, and the two kinds that live in a FIDO authenticator. A signature of the latter counts only if the
//! authenticator was touched, which `ssh-keygen -Y verify` does not check.

mod agent;
mod certificate;
mod key;
mod signature;
mod signer;
mod wire;

pub use agent::{ATTENDED, Agent, AgentError, Identity, UNATTENDED};
pub use certificate::{Certificate, CertificateError};
pub use key::{Algorithm, KeyError, PublicKey};
pub use signature::{Signature, SignatureError, Touch, fingerprint_of};
pub use signer::{OwnKey, SignError, Signer};

#[cfg(test)]
mod tests;
