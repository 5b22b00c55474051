//! Signed tokens (JWS, RFC 7515) in their compact form, and the keys that sign them. Signing only: whoever checks a token
//! of ours does so with software of their own, and the broker knows its tokens by their digest.

mod key;
mod ring;

pub use key::{KeyError, SigningKey};
pub use ring::{KeyRing, RingError};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Serialize;

/// The header of a token; its members in the order in which they are hashed.
#[derive(Serialize)]
struct Header<'a> {
    alg: &'a str,
    kid: &'a str,
    typ: &'a str,
}

/// `claims` as a signed token of this type (`at+jwt`).
pub fn sign<T: Serialize>(key: &SigningKey, typ: &str, claims: &T) -> String {
    let header = Header {
        alg: key.algorithm().as_str(),
        kid: key.kid(),
        typ,
    };
    let mut token = encode(&header);
    token.push('.');
    token.push_str(&encode(claims));
    let signature = key.sign(token.as_bytes());
    token.push('.');
    URL_SAFE_NO_PAD.encode_string(signature, &mut token);
    token
}

fn encode<T: Serialize>(value: &T) -> String {
    URL_SAFE_NO_PAD.encode(serde_json::to_vec(value).expect("claims are plain data"))
}
