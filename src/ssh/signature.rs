//! SSHSIG: a signature over a message, bound to a namespace, as `ssh-keygen -Y sign` makes and `-Y verify` checks it.
//! After OpenSSH's `PROTOCOL.sshsig`.

use super::key::PublicKey;
use super::wire::{Malformed, Reader, put};
use aws_lc_rs::digest;
use base64::{Engine as _, engine::general_purpose};

const MAGIC: &[u8] = b"SSHSIG";
const VERSION: u32 = 1;
const HASH: &str = "sha512";
const BEGIN: &str = "-----BEGIN SSH SIGNATURE-----";
const END: &str = "-----END SSH SIGNATURE-----";
/// The width of the lines between, as `ssh-keygen` writes them.
const LINE: usize = 70;
/// The longest armoured signature that is read, in bytes.
const ARMOUR_MAX: usize = 16 * 1024;

/// What an authenticator says of whoever used it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Touch {
    /// It was touched.
    pub present: bool,
    /// Its PIN was given, or a finger recognised.
    pub verified: bool,
    /// How often it has signed, as far as it counts.
    pub counter: u32,
}

/// Why a signature does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// Not an armoured SSHSIG, or a damaged one.
    #[error("this is not an SSH signature, or it is damaged")]
    Malformed,
    /// Made for another purpose.
    #[error("the signature was made for another purpose (its namespace is a different one)")]
    Namespace,
    /// By another key.
    #[error("the signature is by another key than the one it is checked against")]
    Key,
    /// Not over this message, or not by this key.
    #[error("the signature does not fit: what was signed is not what was sent")]
    Forged,
    /// The authenticator was not touched.
    #[error("the security key was not touched for this signature")]
    Untouched,
}

impl From<Malformed> for SignatureError {
    fn from(_: Malformed) -> Self {
        Self::Malformed
    }
}

/// `SHA256:` and base64 without padding, over a key or certificate as it travels.
pub fn fingerprint_of(blob: &[u8]) -> String {
    let hash = digest::digest(&digest::SHA256, blob);
    format!(
        "SHA256:{}",
        general_purpose::STANDARD_NO_PAD.encode(hash.as_ref())
    )
}

/// A signature, taken apart but not yet believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    key: Vec<u8>,
    namespace: String,
    hash: String,
    raw: Vec<u8>,
}

impl Signature {
    /// Reads an armoured signature.
    ///
    /// # Errors
    /// [`SignatureError::Malformed`].
    pub fn parse(armoured: &str) -> Result<Self, SignatureError> {
        if armoured.len() > ARMOUR_MAX {
            return Err(SignatureError::Malformed);
        }
        let body = armoured
            .trim()
            .strip_prefix(BEGIN)
            .and_then(|rest| rest.strip_suffix(END))
            .ok_or(SignatureError::Malformed)?;
        let encoded: String = body.split_ascii_whitespace().collect();
        let bytes = general_purpose::STANDARD
            .decode(encoded)
            .map_err(|_| SignatureError::Malformed)?;
        let mut fields = Reader(bytes.strip_prefix(MAGIC).ok_or(SignatureError::Malformed)?);
        if fields.u32()? != VERSION {
            return Err(SignatureError::Malformed);
        }
        let key = fields.string()?.to_vec();
        let namespace = fields.text()?.to_owned();
        // Reserved; whatever stands there is signed, so only what we would have signed is read.
        if !fields.string()?.is_empty() || namespace.is_empty() {
            return Err(SignatureError::Malformed);
        }
        let hash = fields.text()?.to_owned();
        let raw = fields.string()?.to_vec();
        fields.end()?;
        Ok(Self {
            key,
            namespace,
            hash,
            raw,
        })
    }

    /// Puts together what an agent answered, armoured as `ssh-keygen` does.
    pub(super) fn armour(key: &[u8], namespace: &str, raw: &[u8]) -> String {
        let mut bytes = MAGIC.to_vec();
        bytes.extend(VERSION.to_be_bytes());
        for field in [key, namespace.as_bytes(), b"", HASH.as_bytes(), raw] {
            put(&mut bytes, field);
        }
        let encoded = general_purpose::STANDARD.encode(bytes);
        let mut text = format!("{BEGIN}\n");
        for line in encoded.as_bytes().chunks(LINE) {
            text.extend(line.iter().map(|byte| char::from(*byte)));
            text.push('\n');
        }
        text.push_str(END);
        text.push('\n');
        text
    }

    /// What a key signs for `message` in `namespace`: never the message itself, so that no signature made here can
    /// be used as another protocol's.
    pub(super) fn signed_data(namespace: &str, message: &[u8]) -> Vec<u8> {
        signed_data(namespace, HASH, message).expect("our own hash is known")
    }

    /// The key or certificate that the signature says it is by. Nothing is known of it yet.
    pub fn key_blob(&self) -> &[u8] {
        &self.key
    }

    /// Whether it is `key`'s signature over `message` in `namespace`; for a key in an authenticator, one for which it
    /// was touched.
    ///
    /// The key is one that is trusted already: the one inside the signature never is. Whether that is a
    /// certificate for `key` is for the caller to have checked.
    ///
    /// # Errors
    /// [`SignatureError`].
    pub fn verify(
        &self,
        key: &PublicKey,
        namespace: &str,
        message: &[u8],
    ) -> Result<Option<Touch>, SignatureError> {
        if self.namespace != namespace {
            return Err(SignatureError::Namespace);
        }
        let data = signed_data(namespace, &self.hash, message).ok_or(SignatureError::Malformed)?;
        let touch = key
            .accepts(&self.raw, &data)
            .map_err(|_| SignatureError::Forged)?;
        if touch.is_some_and(|touch| !touch.present) {
            return Err(SignatureError::Untouched);
        }
        Ok(touch)
    }
}

fn signed_data(namespace: &str, hash: &str, message: &[u8]) -> Option<Vec<u8>> {
    let algorithm = match hash {
        "sha512" => &digest::SHA512,
        "sha256" => &digest::SHA256,
        _ => return None,
    };
    let hashed = digest::digest(algorithm, message);
    let mut data = MAGIC.to_vec();
    for field in [namespace.as_bytes(), b"", hash.as_bytes(), hashed.as_ref()] {
        put(&mut data, field);
    }
    Some(data)
}
