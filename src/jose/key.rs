//! A key that signs: made, kept in a file that only its owner reads, and never printed.

use crate::domain::Algorithm;
use aws_lc_rs::{
    encoding::AsDer as _,
    rand::SystemRandom,
    rsa::{self, KeySize},
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, RSA_PKCS1_SHA256},
};
use base64::{
    Engine as _, engine::general_purpose::STANDARD, engine::general_purpose::URL_SAFE_NO_PAD,
};
use std::collections::BTreeMap;
use zeroize::Zeroizing;

const PEM_HEAD: &str = "-----BEGIN PRIVATE KEY-----";
const PEM_TAIL: &str = "-----END PRIVATE KEY-----";

/// Why there is no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The random number generator failed.
    #[error("a key could not be generated")]
    Generate,
    /// Neither a P-256 nor an RSA key of 2048 bits or more.
    #[error("not a private key in PKCS#8 (PEM), on P-256 or RSA of 2048 bits or more")]
    NotAKey,
}

enum Pair {
    Es256(EcdsaKeyPair),
    Rs256(rsa::KeyPair),
}

/// A private key, the JWK of its public half, and the name that follows from that.
pub struct SigningKey {
    pair: Pair,
    kid: String,
    public: BTreeMap<String, String>,
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SigningKey")
            .field("kid", &self.kid)
            .finish_non_exhaustive()
    }
}

impl SigningKey {
    /// A new key, in memory only.
    ///
    /// # Errors
    /// [`KeyError::Generate`].
    pub fn generate(algorithm: Algorithm) -> Result<Self, KeyError> {
        let pair = match algorithm {
            Algorithm::Es256 => {
                EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).map(Pair::Es256)
            }
            Algorithm::Rs256 => rsa::KeyPair::generate(KeySize::Rsa2048).map(Pair::Rs256),
        };
        Self::new(pair.map_err(|_| KeyError::Generate)?)
    }

    /// The key in a PEM text, as [`SigningKey::to_pem`] writes it.
    ///
    /// # Errors
    /// [`KeyError::NotAKey`].
    pub fn from_pem(text: &str) -> Result<Self, KeyError> {
        let body = text.trim().strip_prefix(PEM_HEAD);
        let body = body.and_then(|body| body.strip_suffix(PEM_TAIL));
        let body: Zeroizing<String> = Zeroizing::new(
            body.ok_or(KeyError::NotAKey)?
                .split_ascii_whitespace()
                .collect(),
        );
        let der = STANDARD
            .decode(body.as_bytes())
            .map_err(|_| KeyError::NotAKey)?;
        let der = Zeroizing::new(der);
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &der)
            .map(Pair::Es256)
            .or_else(|_| rsa::KeyPair::from_pkcs8(&der).map(Pair::Rs256));
        Self::new(pair.map_err(|_| KeyError::NotAKey)?)
    }

    /// Its PKCS#8 form as PEM: for the file that it is kept in.
    ///
    /// # Errors
    /// [`KeyError::Generate`] if it has no such form.
    pub fn to_pem(&self) -> Result<Zeroizing<String>, KeyError> {
        let text = match &self.pair {
            Pair::Es256(pair) => pair
                .to_pkcs8v1()
                .map(|der| Zeroizing::new(STANDARD.encode(der.as_ref()))),
            Pair::Rs256(pair) => pair
                .as_der()
                .map(|der| Zeroizing::new(STANDARD.encode(der.as_ref()))),
        };
        let text = text.map_err(|_| KeyError::Generate)?;
        Ok(Zeroizing::new(format!(
            "{PEM_HEAD}\n{}\n{PEM_TAIL}\n",
            *text
        )))
    }

    fn new(pair: Pair) -> Result<Self, KeyError> {
        let public = match &pair {
            Pair::Es256(pair) => point(pair.public_key().as_ref()),
            Pair::Rs256(pair) if pair.public_modulus_len() >= 256 => {
                modulus(pair.public_key().as_ref())
            }
            Pair::Rs256(_) => None,
        };
        let public = public.ok_or(KeyError::NotAKey)?;
        Ok(Self {
            pair,
            kid: thumbprint(&public),
            public,
        })
    }

    /// How it signs.
    pub fn algorithm(&self) -> Algorithm {
        match self.pair {
            Pair::Es256(_) => Algorithm::Es256,
            Pair::Rs256(_) => Algorithm::Rs256,
        }
    }

    /// Its name: the RFC 7638 thumbprint of its public half.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// The public members of its JWK.
    pub fn public(&self) -> &BTreeMap<String, String> {
        &self.public
    }

    /// The signature over `message`, as JWS has it.
    pub(super) fn sign(&self, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match &self.pair {
            Pair::Es256(pair) => pair
                .sign(&random, message)
                .expect("the operating system's random source answers")
                .as_ref()
                .to_vec(),
            Pair::Rs256(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature)
                    .expect("the signature has the length of the modulus");
                signature
            }
        }
    }
}

fn members<const N: usize>(members: [(&str, String); N]) -> BTreeMap<String, String> {
    members
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

/// An uncompressed point of P-256.
fn point(bytes: &[u8]) -> Option<BTreeMap<String, String>> {
    let (&4, coordinates) = bytes.split_first()? else {
        return None;
    };
    let (x, y) = coordinates
        .split_at_checked(32)
        .filter(|(_, y)| y.len() == 32)?;
    Some(members([
        ("kty", "EC".to_owned()),
        ("crv", "P-256".to_owned()),
        ("x", URL_SAFE_NO_PAD.encode(x)),
        ("y", URL_SAFE_NO_PAD.encode(y)),
    ]))
}

/// `RSAPublicKey` of PKCS #1: a sequence of two positive integers.
fn modulus(der: &[u8]) -> Option<BTreeMap<String, String>> {
    let (body, []) = tagged(der, 0x30)? else {
        return None;
    };
    let (n, rest) = tagged(body, 0x02)?;
    let (e, []) = tagged(rest, 0x02)? else {
        return None;
    };
    let bare = |number: &[u8]| {
        let zeros = number.iter().take_while(|byte| **byte == 0).count();
        URL_SAFE_NO_PAD.encode(&number[zeros..])
    };
    Some(members([
        ("kty", "RSA".to_owned()),
        ("n", bare(n)),
        ("e", bare(e)),
    ]))
}

/// The contents of the DER value at the beginning, if it has this tag, and what follows it.
fn tagged(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (head, rest) = der.split_first_chunk::<2>()?;
    if head[0] != tag {
        return None;
    }
    let (length, rest) = match head[1] {
        short if short < 0x80 => (usize::from(short), rest),
        0x81 => (usize::from(*rest.first()?), rest.get(1..)?),
        0x82 => {
            let (length, rest) = rest.split_first_chunk::<2>()?;
            (usize::from(u16::from_be_bytes(*length)), rest)
        }
        _ => return None,
    };
    rest.split_at_checked(length)
}

/// RFC 7638: the digest of the required members, in the order of their names.
fn thumbprint(public: &BTreeMap<String, String>) -> String {
    let text = serde_json::to_vec(public).expect("plain data serialises");
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &text);
    URL_SAFE_NO_PAD.encode(digest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_lc_rs::signature::{
        ECDSA_P256_SHA256_FIXED, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents,
        UnparsedPublicKey,
    };

    fn bytes(key: &SigningKey, name: &str) -> Vec<u8> {
        URL_SAFE_NO_PAD.decode(&key.public()[name]).unwrap()
    }

    #[test]
    fn the_published_half_verifies_and_the_file_gives_the_same_key() {
        let key = SigningKey::generate(Algorithm::Es256).unwrap();
        let again = SigningKey::from_pem(&key.to_pem().unwrap()).unwrap();
        assert_eq!((again.kid(), again.public()), (key.kid(), key.public()));
        let point = [vec![4], bytes(&key, "x"), bytes(&key, "y")].concat();
        let public = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point);
        assert_eq!(public.verify(b"text", &again.sign(b"text")), Ok(()));
        assert!(public.verify(b"other", &again.sign(b"text")).is_err());

        let key = SigningKey::generate(Algorithm::Rs256).unwrap();
        let again = SigningKey::from_pem(&key.to_pem().unwrap()).unwrap();
        assert_eq!((again.kid(), again.public()), (key.kid(), key.public()));
        let public = RsaPublicKeyComponents {
            n: bytes(&key, "n"),
            e: bytes(&key, "e"),
        };
        assert_eq!(bytes(&key, "n").len(), 256);
        let signature = again.sign(b"text");
        assert_eq!(
            public.verify(&RSA_PKCS1_2048_8192_SHA256, b"text", &signature),
            Ok(())
        );
        assert_eq!(
            format!("{key:?}"),
            format!("SigningKey {{ kid: {:?}, .. }}", key.kid())
        );
    }

    /// The example of RFC 7638, section 3.1.
    #[test]
    fn a_name_is_the_thumbprint() {
        let public = members([
            ("kty", "RSA".to_owned()),
            (
                "n",
                "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw".to_owned(),
            ),
            ("e", "AQAB".to_owned()),
        ]);
        assert_eq!(
            thumbprint(&public),
            "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"
        );
    }

    #[test]
    fn what_is_no_such_key_is_refused() {
        let key = SigningKey::generate(Algorithm::Es256).unwrap();
        let pem = key.to_pem().unwrap();
        for text in [
            "",
            "x",
            &pem.replace("PRIVATE", "PUBLIC"),
            &pem[..pem.len() - 40],
        ] {
            assert_eq!(SigningKey::from_pem(text).unwrap_err(), KeyError::NotAKey);
        }
    }
}
