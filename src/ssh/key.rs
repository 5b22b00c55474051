//! Public keys: read, printed, and what one of them makes of a signature.

use super::signature::Touch;
use super::wire::{Malformed, Reader, put};
use aws_lc_rs::{digest, signature as verify};
use base64::{Engine as _, engine::general_purpose};

/// The longest key, as a line, in bytes: RSA with 16,384 bits and a comment fit.
const LINE_MAX: usize = 8 * 1024;
/// The fewest bits of an RSA key.
const RSA_BITS_MIN: usize = 3_072;
/// The most: what the library verifies.
const RSA_BITS_MAX: usize = 8_192;

/// What kind of key it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// `ssh-ed25519`.
    Ed25519,
    /// `ecdsa-sha2-nistp256`.
    EcdsaP256,
    /// `ecdsa-sha2-nistp384`.
    EcdsaP384,
    /// `ecdsa-sha2-nistp521`.
    EcdsaP521,
    /// `ssh-rsa`, used with SHA-2 only.
    Rsa,
    /// `sk-ssh-ed25519@openssh.com`: in an authenticator.
    SkEd25519,
    /// `sk-ecdsa-sha2-nistp256@openssh.com`: in an authenticator.
    SkEcdsaP256,
}

impl Algorithm {
    /// Every kind that is read.
    pub const ALL: [Self; 7] = [
        Self::Ed25519,
        Self::EcdsaP256,
        Self::EcdsaP384,
        Self::EcdsaP521,
        Self::Rsa,
        Self::SkEd25519,
        Self::SkEcdsaP256,
    ];

    /// The word that OpenSSH writes.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ed25519 => "ssh-ed25519",
            Self::EcdsaP256 => "ecdsa-sha2-nistp256",
            Self::EcdsaP384 => "ecdsa-sha2-nistp384",
            Self::EcdsaP521 => "ecdsa-sha2-nistp521",
            Self::Rsa => "ssh-rsa",
            Self::SkEd25519 => "sk-ssh-ed25519@openssh.com",
            Self::SkEcdsaP256 => "sk-ecdsa-sha2-nistp256@openssh.com",
        }
    }

    /// The kind of this word.
    pub fn named(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }

    /// Whether the private half is in an authenticator that wants a touch.
    pub const fn in_hardware(self) -> bool {
        matches!(self, Self::SkEd25519 | Self::SkEcdsaP256)
    }

    /// The name of the curve that is written into an ECDSA key, and the bytes of one coordinate.
    const fn curve(self) -> Option<(&'static str, usize)> {
        match self {
            Self::EcdsaP256 | Self::SkEcdsaP256 => Some(("nistp256", 32)),
            Self::EcdsaP384 => Some(("nistp384", 48)),
            Self::EcdsaP521 => Some(("nistp521", 66)),
            Self::Ed25519 | Self::Rsa | Self::SkEd25519 => None,
        }
    }
}

/// Why something is not a key that is accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Not a line of a public key.
    #[error(
        "expected one line as in a .pub file: a type, the key in base64, and a comment if you like"
    )]
    Line,
    /// The type says one thing, the key another, or the key is damaged.
    #[error("the key is damaged: {0}")]
    Malformed(#[from] Malformed),
    /// A kind of key that is not accepted.
    #[error("keys of type {word} are not accepted: expected {accepted}", accepted = accepted())]
    Algorithm {
        /// Its word.
        word: String,
    },
    /// Too short, or too long to be checked.
    #[error("an RSA key of {0} bits is not accepted: expected {RSA_BITS_MIN} to {RSA_BITS_MAX}")]
    Bits(usize),
}

fn accepted() -> String {
    Algorithm::ALL.map(Algorithm::as_str).join(", ")
}

/// A public key.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicKey {
    algorithm: Algorithm,
    blob: Vec<u8>,
}

impl std::fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.fingerprint())
    }
}

impl PublicKey {
    /// Reads a key as it travels.
    ///
    /// # Errors
    /// [`KeyError`] if it is none, or none that is accepted.
    pub fn from_blob(blob: &[u8]) -> Result<Self, KeyError> {
        let mut fields = Reader(blob);
        let word = fields.text()?;
        let algorithm = Algorithm::named(word).ok_or_else(|| KeyError::Algorithm {
            word: printable(word),
        })?;
        skip(algorithm, &mut fields)?;
        fields.end()?;
        Ok(Self {
            algorithm,
            blob: blob.to_vec(),
        })
    }

    /// Reads a line as in a `.pub` file or `authorized_keys`, without options. A comment is passed over.
    ///
    /// # Errors
    /// [`KeyError`] if it is none, or none that is accepted.
    pub fn from_line(line: &str) -> Result<Self, KeyError> {
        let line = line.trim();
        if line.len() > LINE_MAX || line.contains(['\n', '\r']) {
            return Err(KeyError::Line);
        }
        let mut words = line.split_ascii_whitespace();
        let (word, encoded) = (words.next(), words.next());
        let (Some(word), Some(encoded)) = (word, encoded) else {
            return Err(KeyError::Line);
        };
        let blob = general_purpose::STANDARD
            .decode(encoded)
            .map_err(|_| KeyError::Line)?;
        let key = Self::from_blob(&blob)?;
        if key.algorithm.as_str() == word {
            Ok(key)
        } else {
            Err(Malformed.into())
        }
    }

    /// From a type and the fields that follow it: what stands inside a certificate.
    pub(super) fn from_fields(algorithm: Algorithm, fields: &[u8]) -> Result<Self, KeyError> {
        let mut blob = Vec::new();
        put(&mut blob, algorithm.as_str().as_bytes());
        blob.extend_from_slice(fields);
        Self::from_blob(&blob)
    }

    /// What kind of key it is.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The key as it travels.
    pub fn blob(&self) -> &[u8] {
        &self.blob
    }

    /// `SHA256:` and base64, as OpenSSH prints it.
    pub fn fingerprint(&self) -> String {
        super::fingerprint_of(&self.blob)
    }

    /// Type and base64, without a comment.
    pub fn line(&self) -> String {
        format!(
            "{} {}",
            self.algorithm.as_str(),
            general_purpose::STANDARD.encode(&self.blob)
        )
    }

    /// Whether `signature` (an algorithm's word and its bytes, as an agent gives them) is this key's over `data`. For
    /// a key in an authenticator, what the authenticator says of the touch.
    pub(super) fn accepts(
        &self,
        signature: &[u8],
        data: &[u8],
    ) -> Result<Option<Touch>, Malformed> {
        let mut key = Reader(&self.blob);
        key.string()?;
        let mut signature = Reader(signature);
        let word = signature.text()?;
        let body = signature.string()?;
        if self.algorithm != Algorithm::Rsa && word != self.algorithm.as_str() {
            return Err(Malformed);
        }
        let touch = match self.algorithm {
            Algorithm::Ed25519 => {
                checked(&verify::ED25519, key.string()?, data, body)?;
                None
            }
            Algorithm::EcdsaP256 | Algorithm::EcdsaP384 | Algorithm::EcdsaP521 => {
                self.ecdsa(&mut key, data, body)?;
                None
            }
            Algorithm::Rsa => {
                let parameters = match word {
                    "rsa-sha2-512" => &verify::RSA_PKCS1_2048_8192_SHA512,
                    "rsa-sha2-256" => &verify::RSA_PKCS1_2048_8192_SHA256,
                    _ => return Err(Malformed),
                };
                let (e, n) = (key.positive()?, key.positive()?);
                verify::RsaPublicKeyComponents { n, e }
                    .verify(parameters, data, body)
                    .map_err(|_| Malformed)?;
                None
            }
            Algorithm::SkEd25519 => {
                let point = key.string()?;
                let (touch, signed) = touched(key.string()?, &mut signature, data)?;
                checked(&verify::ED25519, point, &signed, body)?;
                Some(touch)
            }
            Algorithm::SkEcdsaP256 => {
                let mut application = key;
                application.string()?;
                application.string()?;
                let (touch, signed) = touched(application.string()?, &mut signature, data)?;
                self.ecdsa(&mut key, &signed, body)?;
                Some(touch)
            }
        };
        signature.end()?;
        Ok(touch)
    }

    fn ecdsa(&self, key: &mut Reader<'_>, data: &[u8], body: &[u8]) -> Result<(), Malformed> {
        let (_, width) = self.algorithm.curve().ok_or(Malformed)?;
        key.string()?;
        let point = key.string()?;
        let mut parts = Reader(body);
        let mut fixed = Vec::with_capacity(2 * width);
        for _ in 0..2 {
            let part = parts.positive()?;
            let missing = width.checked_sub(part.len()).ok_or(Malformed)?;
            fixed.resize(fixed.len() + missing, 0);
            fixed.extend_from_slice(part);
        }
        parts.end()?;
        let algorithm = match self.algorithm {
            Algorithm::EcdsaP384 => &verify::ECDSA_P384_SHA384_FIXED,
            Algorithm::EcdsaP521 => &verify::ECDSA_P521_SHA512_FIXED,
            _ => &verify::ECDSA_P256_SHA256_FIXED,
        };
        checked(algorithm, point, data, &fixed)
    }
}

fn checked(
    algorithm: &'static dyn verify::VerificationAlgorithm,
    key: &[u8],
    data: &[u8],
    body: &[u8],
) -> Result<(), Malformed> {
    verify::UnparsedPublicKey::new(algorithm, key)
        .verify(data, body)
        .map_err(|_| Malformed)
}

/// What an authenticator signs: the application, what it says of the touch, and the data's hash.
fn touched(
    application: &[u8],
    signature: &mut Reader<'_>,
    data: &[u8],
) -> Result<(Touch, Vec<u8>), Malformed> {
    let (flags, counter) = (signature.byte()?, signature.u32()?);
    let sha256 = |bytes| digest::digest(&digest::SHA256, bytes);
    let mut signed = sha256(application).as_ref().to_vec();
    signed.push(flags);
    signed.extend(counter.to_be_bytes());
    signed.extend_from_slice(sha256(data).as_ref());
    let touch = Touch {
        present: flags & 0b001 != 0,
        verified: flags & 0b100 != 0,
        counter,
    };
    Ok((touch, signed))
}

/// Passes over a key's fields, so that what follows can be read; refuses what is too weak.
pub(super) fn skip(algorithm: Algorithm, fields: &mut Reader<'_>) -> Result<(), KeyError> {
    if let Some((curve, width)) = algorithm.curve() {
        if fields.text()? != curve {
            return Err(Malformed.into());
        }
        // An uncompressed point: a byte that says so, and two coordinates.
        let point = fields.string()?;
        if point.len() != 1 + 2 * width || point[0] != 4 {
            return Err(Malformed.into());
        }
    }
    match algorithm {
        Algorithm::Ed25519 | Algorithm::SkEd25519 if fields.string()?.len() != 32 => {
            return Err(Malformed.into());
        }
        Algorithm::Ed25519 | Algorithm::SkEd25519 => {}
        Algorithm::Rsa => {
            fields.positive()?;
            let modulus = fields.positive()?;
            let leading = modulus.first().map_or(8, |byte| byte.leading_zeros());
            let bits = modulus.len() * 8 - leading as usize;
            if !(RSA_BITS_MIN..=RSA_BITS_MAX).contains(&bits) {
                return Err(KeyError::Bits(bits));
            }
        }
        _ => {}
    }
    if algorithm.in_hardware() {
        fields.text()?;
    }
    Ok(())
}

/// A word from outside, short and on one line.
fn printable(word: &str) -> String {
    let graphic = |c: &char| c.is_ascii_graphic();
    word.chars().filter(graphic).take(64).collect()
}
