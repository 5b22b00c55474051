//! What a PostgreSQL server keeps of a password (RFC 5802, RFC 7677), computed here, so that the password itself is
//! never in a statement that the server could log.

use super::SecretMaterial;
use aws_lc_rs::{
    digest::{SHA256, digest},
    hmac, pbkdf2,
    rand::{SecureRandom as _, SystemRandom},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use std::num::NonZeroU32;
use zeroize::Zeroizing;

/// As many rounds as PostgreSQL's own default has; the passwords are random, so more would add nothing.
const ROUNDS: NonZeroU32 = NonZeroU32::new(4_096).expect("not zero");

/// `SCRAM-SHA-256$4096:…`, with a fresh salt. `password` is ASCII: then there is nothing to normalise.
pub fn scram_verifier(password: &SecretMaterial) -> String {
    let mut salt = [0_u8; 16];
    SystemRandom::new()
        .fill(&mut salt)
        .expect("the operating system's random source answers");
    let (stored, server) = keys(password.expose().as_bytes(), &salt);
    format!(
        "SCRAM-SHA-256${ROUNDS}:{}${}:{}",
        STANDARD.encode(salt),
        STANDARD.encode(stored),
        STANDARD.encode(server)
    )
}

/// `StoredKey` and `ServerKey`.
fn keys(password: &[u8], salt: &[u8]) -> ([u8; 32], [u8; 32]) {
    let mut salted = Zeroizing::new([0_u8; 32]);
    pbkdf2::derive(
        pbkdf2::PBKDF2_HMAC_SHA256,
        ROUNDS,
        salt,
        password,
        &mut *salted,
    );
    let key = hmac::Key::new(hmac::HMAC_SHA256, &*salted);
    let fixed = |bytes: &[u8]| <[u8; 32]>::try_from(bytes).expect("SHA-256 has 32 bytes");
    let client = hmac::sign(&key, b"Client Key");
    let stored = digest(&SHA256, client.as_ref());
    let server = hmac::sign(&key, b"Server Key");
    (fixed(stored.as_ref()), fixed(server.as_ref()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The exchange of RFC 7677, section 3: both its signatures follow from our two keys.
    #[test]
    fn the_rfcs_example_comes_out() {
        let decode = |text: &str| STANDARD.decode(text).unwrap();
        let (stored, server) = keys(b"pencil", &decode("W22ZaJ0SNY7soEsUEjb6gQ=="));
        let nonce = "rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
        let exchange = format!(
            "n=user,r=rOprNGfwEbeRWgbNEkqO,r={nonce},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,c=biws,r={nonce}"
        );
        let sign = |key: &[u8]| {
            let key = hmac::Key::new(hmac::HMAC_SHA256, key);
            hmac::sign(&key, exchange.as_bytes())
        };
        assert_eq!(
            STANDARD.encode(sign(&server)),
            "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="
        );
        // ClientKey is the proof without the signature; its digest is what is stored.
        let proof = decode("dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=");
        let signature = sign(&stored);
        let client: Vec<u8> = (proof.iter().zip(signature.as_ref()))
            .map(|(one, other)| one ^ other)
            .collect();
        assert_eq!(digest(&SHA256, &client).as_ref(), stored);
    }

    #[test]
    fn the_text_is_what_postgresql_stores_and_never_twice_the_same() {
        let password = SecretMaterial::new("pencil".into());
        let (one, other) = (scram_verifier(&password), scram_verifier(&password));
        assert_ne!(one, other);
        let parts: Vec<&str> = one.split(['$', ':']).collect();
        let lengths: Vec<usize> = parts[2..]
            .iter()
            .map(|part| STANDARD.decode(part).unwrap().len())
            .collect();
        assert_eq!(
            (&parts[..2], lengths.as_slice()),
            (&["SCRAM-SHA-256", "4096"][..], &[16, 32, 32][..])
        );
    }
}
