//! Secret material: types that cannot print, opaque tokens with a checksum, digests, and the sealing
//! of a secret that waits for its single claim. A leaf module: it depends on none of ours.

mod digest;
mod scram;
mod seal;
mod token;
mod webhook_keys;

pub use digest::{Digest, digest_of, digest_of_bytes};
pub use scram::scram_verifier;
pub use seal::{SealError, SealKey};
pub use token::{Malformed, Token, mint_password, mint_token, parse_token};
pub use webhook_keys::{WebhookKeyError, WebhookKeys};

use serde::Deserialize;
use std::collections::BTreeMap;
use zeroize::Zeroizing;

/// Plain secret text (an opaque key, or a JSON object of fields for a database login).
///
/// Wiped from memory when dropped. It neither prints nor serialises, so it cannot slip into a log line, an
/// error or an event; whoever needs the text says so with [`SecretMaterial::expose`].
pub struct SecretMaterial(Zeroizing<String>);

impl SecretMaterial {
    /// Takes ownership of `text`, so that no second copy stays behind.
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// A JSON object with these fields, in this order of names: what a login consists of.
    pub fn from_fields(fields: &[(&str, &str)]) -> Self {
        let mut text = Zeroizing::new(String::from("{"));
        for (index, (name, value)) in fields.iter().enumerate() {
            if index > 0 {
                text.push(',');
            }
            // `Value`'s own escaping; the intermediate strings are wiped.
            let name = Zeroizing::new(serde_json::Value::from(*name).to_string());
            let value = Zeroizing::new(serde_json::Value::from(*value).to_string());
            text.push_str(&name);
            text.push(':');
            text.push_str(&value);
        }
        text.push('}');
        Self(text)
    }

    /// Its fields by name: a login's, or `token` for an opaque key.
    pub fn fields(&self) -> BTreeMap<String, Self> {
        serde_json::from_str(&self.0).unwrap_or_else(|_| {
            let text = Self(self.0.clone());
            BTreeMap::from([("token".to_owned(), text)])
        })
    }

    /// The fields as the text of one JSON object.
    pub fn as_object(&self) -> Self {
        let fields = self.fields();
        let fields: Vec<_> = fields
            .iter()
            .map(|(name, value)| (name.as_str(), value.expose()))
            .collect();
        Self::from_fields(&fields)
    }

    /// The secret whose fields these are, as [`SecretMaterial::as_object`] writes them; `None` if it is no such object.
    pub fn from_object(object: Self) -> Option<Self> {
        let mut fields: BTreeMap<String, Self> = serde_json::from_str(object.expose()).ok()?;
        match (fields.len(), fields.remove("token")) {
            (0, _) => None,
            (1, Some(token)) => Some(token),
            _ => Some(object),
        }
    }

    /// The plain text. Every use of this name is a place to look at in a review.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// SHA-256 of the plain text: what may be stored and looked up.
    pub fn digest(&self) -> Digest {
        digest_of(&self.0)
    }
}

impl From<String> for SecretMaterial {
    fn from(text: String) -> Self {
        Self::new(text)
    }
}

impl std::fmt::Debug for SecretMaterial {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[REDACTED]")
    }
}

impl std::fmt::Display for SecretMaterial {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[REDACTED]")
    }
}

/// Read from answers and configuration files; there is no `Serialize` on purpose.
impl<'de> Deserialize<'de> for SecretMaterial {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_prints_the_text() {
        let secret = SecretMaterial::new("hunter2".to_owned());
        assert_eq!(
            format!("{secret} {secret:?} {:?}", Some(&secret)),
            "[REDACTED] [REDACTED] Some([REDACTED])"
        );
        assert_eq!(secret.expose(), "hunter2");
    }

    #[test]
    fn fields_become_a_json_object_whatever_they_hold() {
        let login = SecretMaterial::from_fields(&[("username", "v-x"), ("password", "a\"b\\c\nü")]);
        let read: std::collections::BTreeMap<String, String> =
            serde_json::from_str(login.expose()).unwrap();
        assert_eq!(read["username"], "v-x");
        assert_eq!(read["password"], "a\"b\\c\nü");
        assert_eq!(SecretMaterial::from_fields(&[]).expose(), "{}");
        assert_eq!(login.fields()["password"].expose(), "a\"b\\c\nü");
        let key = SecretMaterial::new("cs_prod_x".to_owned());
        assert_eq!(key.as_object().expose(), r#"{"token":"cs_prod_x"}"#);
    }
}
