//! The signature of Standard Webhooks: HMAC-SHA256 over `id.timestamp.body`, under a secret written `whsec_…`.

use aws_lc_rs::hmac;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use std::path::Path;
use zeroize::Zeroizing;

/// How a secret begins.
const PREFIX: &str = "whsec_";
/// How long a secret may be, in bytes, as the specification has it.
const SECRET_BYTES: std::ops::RangeInclusive<usize> = 24..=64;
/// The most keys that sign at once: the newer one and the one that it replaces.
const KEYS_MAX: usize = 2;
/// The longest file of secrets, in bytes.
const FILE_BYTES: u64 = 4_096;

/// Why there is no key to sign with.
#[derive(Debug, thiserror::Error)]
pub enum WebhookKeyError {
    /// The file could not be read.
    #[error("its secret file cannot be read: {0}")]
    Read(#[from] std::io::Error),
    /// The file is not what it should be. What is in it is not repeated.
    #[error("its secret file: {0}")]
    Shape(&'static str),
}

/// The keys of one receiver. They neither print nor serialise.
pub struct WebhookKeys(Vec<hmac::Key>);

impl WebhookKeys {
    /// Reads one secret a line, the newest first.
    ///
    /// # Errors
    /// [`WebhookKeyError`].
    pub fn read(path: &Path) -> Result<Self, WebhookKeyError> {
        use std::io::Read as _;
        let mut text = Zeroizing::new(String::new());
        let file = std::fs::File::open(path)?;
        file.take(FILE_BYTES + 1).read_to_string(&mut text)?;
        if text.len() as u64 > FILE_BYTES {
            return Err(WebhookKeyError::Shape(
                "is too long; expected one or two lines",
            ));
        }
        Self::parse(&text)
    }

    /// The same, from its text.
    ///
    /// # Errors
    /// [`WebhookKeyError::Shape`].
    pub fn parse(text: &str) -> Result<Self, WebhookKeyError> {
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        let keys: Vec<_> = lines.map(key).collect::<Result<_, _>>()?;
        if (1..=KEYS_MAX).contains(&keys.len()) {
            Ok(Self(keys))
        } else {
            Err(WebhookKeyError::Shape(
                "expected one secret, or two in an overlap",
            ))
        }
    }

    /// The value of `webhook-signature`: one signature a key.
    pub fn sign(&self, id: &str, timestamp: i64, body: &[u8]) -> String {
        let signatures: Vec<String> = self
            .0
            .iter()
            .map(|key| {
                let mut context = hmac::Context::with_key(key);
                context.update(format!("{id}.{timestamp}.").as_bytes());
                context.update(body);
                format!("v1,{}", STANDARD.encode(context.sign()))
            })
            .collect();
        signatures.join(" ")
    }
}

fn key(line: &str) -> Result<hmac::Key, WebhookKeyError> {
    let shape = WebhookKeyError::Shape("expected whsec_ and 24 to 64 bytes in base 64");
    let Some(encoded) = line.strip_prefix(PREFIX) else {
        return Err(shape);
    };
    match STANDARD.decode(encoded).map(Zeroizing::new) {
        Ok(bytes) if SECRET_BYTES.contains(&bytes.len()) => {
            Ok(hmac::Key::new(hmac::HMAC_SHA256, &bytes))
        }
        _ => Err(shape),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

    #[test]
    fn the_published_vector() {
        let keys = WebhookKeys::parse(SECRET).unwrap();
        let signed = keys.sign(
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1_614_265_330,
            br#"{"test": 2432232314}"#,
        );
        assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn an_overlap_signs_with_both() {
        let other = format!("whsec_{}", STANDARD.encode([7; 32]));
        let one = |text: &str| WebhookKeys::parse(text).unwrap().sign("a", 1, b"b");
        let both = one(&format!("{other}\n{SECRET}\n"));
        assert_eq!(both, format!("{} {}", one(&other), one(SECRET)));
    }

    #[test]
    fn what_is_no_secret_is_refused_without_being_repeated() {
        let short = format!("whsec_{}", STANDARD.encode([1; 23]));
        let long = format!("whsec_{}", STANDARD.encode([1; 65]));
        let three = format!("{SECRET}\n{SECRET}\n{SECRET}");
        for bad in ["", "\n", "hunter2", "whsec_!!", &short, &long, &three] {
            let error = WebhookKeys::parse(bad).err().unwrap().to_string();
            assert!(error.contains("expected"), "{error}");
            assert!(!error.contains("hunter2"));
        }
    }
}
