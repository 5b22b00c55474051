//! SHA-256 of a secret: all that is kept of one at rest. The secrets are 256 random bits, so no slow
//! password hash is needed: there is nothing to guess.

pub use crate::domain::Digest;

/// SHA-256 over the UTF-8 bytes of `text`.
pub fn digest_of(text: &str) -> Digest {
    digest_of_bytes(text.as_bytes())
}

/// SHA-256 over `bytes`.
pub fn digest_of_bytes(bytes: &[u8]) -> Digest {
    let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes);
    Digest(hash.as_ref().try_into().expect("SHA-256 gives 32 bytes"))
}
