//! The log's private key: made, kept in a file that only its owner reads, and never printed.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::Path;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use zeroize::Zeroizing;

use super::checkpoint::{VerifierKey, VerifierKeyError};

const PEM_HEAD: &str = "-----BEGIN PRIVATE KEY-----";
const PEM_TAIL: &str = "-----END PRIVATE KEY-----";
/// No key file of ours is longer, in bytes.
const MAX_FILE: u64 = 4096;

/// Why there is no signing key.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The origin cannot be a key's name.
    #[error("naming the log's key")]
    Name(#[source] VerifierKeyError),
    /// The key file cannot be read.
    #[error("reading the log's key from {path}")]
    Read {
        path: String,
        #[source]
        source: io::Error,
    },
    /// The key file cannot be written; an existing file is never replaced.
    #[error("writing the log's key to {path}")]
    Write {
        path: String,
        #[source]
        source: io::Error,
    },
    /// Others than its owner can read or write the key file.
    #[error("the log's key {path} has mode {mode:04o}; it must be 0600 or 0400")]
    Exposed { path: String, mode: u32 },
    /// Neither an Ed25519 key in PKCS#8 (PEM or DER) nor a 32-byte seed, raw or in base64.
    #[error("the log's key is neither an Ed25519 key in PKCS#8 nor a 32-byte seed")]
    NotAKey,
    /// The random number generator failed.
    #[error("generating the log's key")]
    Generate,
}

/// The Ed25519 key that signs checkpoints, under the log's origin as its name.
pub struct SigningKey {
    pair: Ed25519KeyPair,
    verifier: VerifierKey,
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SigningKey(..)")
    }
}

impl SigningKey {
    /// A new key, in memory only.
    pub fn generate(origin: &str) -> Result<Self, KeyError> {
        Self::new(
            origin,
            Ed25519KeyPair::generate().map_err(|_| KeyError::Generate)?,
        )
    }

    /// The key of a 32-byte seed.
    pub fn from_seed(origin: &str, seed: &[u8; 32]) -> Result<Self, KeyError> {
        let pair = Ed25519KeyPair::from_seed_unchecked(seed).map_err(|_| KeyError::NotAKey)?;
        Self::new(origin, pair)
    }

    /// The key in a file: PKCS#8 (PEM or DER) or a seed, raw or in base64. On Unix the file must be
    /// closed to group and others.
    pub fn load(origin: &str, path: &Path) -> Result<Self, KeyError> {
        let reading = |source| KeyError::Read {
            path: path.display().to_string(),
            source,
        };
        let file = File::open(path).map_err(reading)?;
        check_mode(&file, path)?;
        let mut bytes = Zeroizing::new(Vec::with_capacity(MAX_FILE as usize + 1));
        file.take(MAX_FILE)
            .read_to_end(&mut bytes)
            .map_err(reading)?;
        Self::from_bytes(origin, &bytes)
    }

    /// Makes a key and keeps it in a new file (PKCS#8 PEM, mode 0600, flushed to disk).
    pub fn create(origin: &str, path: &Path) -> Result<Self, KeyError> {
        let key = Self::generate(origin)?;
        let der = key.pair.to_pkcs8v1().map_err(|_| KeyError::Generate)?;
        let text = Zeroizing::new(BASE64.encode(der.as_ref()));
        let pem = Zeroizing::new(format!("{PEM_HEAD}\n{}\n{PEM_TAIL}\n", *text));
        write_new(path, pem.as_bytes()).map_err(|source| KeyError::Write {
            path: path.display().to_string(),
            source,
        })?;
        Ok(key)
    }

    /// [`SigningKey::load`] if the file exists, else [`SigningKey::create`].
    pub fn load_or_create(origin: &str, path: &Path) -> Result<Self, KeyError> {
        match Self::load(origin, path) {
            Err(KeyError::Read { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                Self::create(origin, path)
            }
            other => other,
        }
    }

    /// The public half, to be handed to whoever verifies.
    pub fn verifier_key(&self) -> &VerifierKey {
        &self.verifier
    }

    pub(super) fn sign(&self, message: &[u8]) -> [u8; 64] {
        let signature = self.pair.sign(message);
        signature
            .as_ref()
            .try_into()
            .expect("Ed25519 signatures have 64 bytes")
    }

    fn new(origin: &str, pair: Ed25519KeyPair) -> Result<Self, KeyError> {
        let public = pair.public_key().as_ref().try_into();
        let public = public.map_err(|_| KeyError::NotAKey)?;
        let verifier = VerifierKey::new(origin, public).map_err(KeyError::Name)?;
        Ok(Self { pair, verifier })
    }

    fn from_bytes(origin: &str, bytes: &[u8]) -> Result<Self, KeyError> {
        if let Ok(seed) = bytes.try_into() {
            return Self::from_seed(origin, seed);
        }
        let der = Self::from_pkcs8(origin, bytes);
        let Some(text) = std::str::from_utf8(bytes).ok().filter(|_| der.is_err()) else {
            return der;
        };
        let text = text.trim();
        let pem = text
            .strip_prefix(PEM_HEAD)
            .and_then(|t| t.strip_suffix(PEM_TAIL));
        let body: Zeroizing<String> =
            Zeroizing::new(pem.unwrap_or(text).split_ascii_whitespace().collect());
        let decoded = BASE64
            .decode(body.as_bytes())
            .map_err(|_| KeyError::NotAKey)?;
        let decoded = Zeroizing::new(decoded);
        match (pem, decoded.as_slice().try_into()) {
            (Some(_), _) => Self::from_pkcs8(origin, &decoded),
            (None, Ok(seed)) => Self::from_seed(origin, seed),
            (None, Err(_)) => Err(KeyError::NotAKey),
        }
    }

    fn from_pkcs8(origin: &str, der: &[u8]) -> Result<Self, KeyError> {
        let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(der);
        Self::new(origin, pair.map_err(|_| KeyError::NotAKey)?)
    }
}

#[cfg(unix)]
fn check_mode(file: &File, path: &Path) -> Result<(), KeyError> {
    use std::os::unix::fs::PermissionsExt as _;
    let path = path.display().to_string();
    let metadata = file.metadata();
    let mode = match metadata {
        Ok(metadata) => metadata.permissions().mode() & 0o7777,
        Err(source) => return Err(KeyError::Read { path, source }),
    };
    let open_to_others = mode & 0o077;
    if open_to_others == 0 {
        Ok(())
    } else {
        Err(KeyError::Exposed { path, mode })
    }
}

#[cfg(not(unix))]
fn check_mode(_: &File, _: &Path) -> Result<(), KeyError> {
    Ok(())
}

fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    // The name must survive a crash too: a log whose key is lost cannot be continued.
    #[cfg(unix)]
    if let Some(folder) = path.parent().filter(|p| !p.as_os_str().is_empty()) {
        File::open(folder)?.sync_all()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ORIGIN: &str = "log.example/audit";

    #[test]
    fn a_created_key_is_loaded_again_and_not_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.key");
        let made = SigningKey::load_or_create(ORIGIN, &path).unwrap();
        let loaded = SigningKey::load_or_create(ORIGIN, &path).unwrap();
        assert_eq!(made.verifier_key(), loaded.verifier_key());
        assert!(matches!(
            SigningKey::create(ORIGIN, &path),
            Err(KeyError::Write { source, .. }) if source.kind() == io::ErrorKind::AlreadyExists
        ));
    }

    #[cfg(unix)]
    #[test]
    fn a_key_that_others_can_read_is_refused() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.key");
        SigningKey::create(ORIGIN, &path).unwrap();
        let mode = |mode| std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode));
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        mode(0o640).unwrap();
        let error = SigningKey::load(ORIGIN, &path).unwrap_err();
        assert!(
            matches!(error, KeyError::Exposed { mode: 0o640, .. }),
            "{error}"
        );
    }

    #[test]
    fn every_form_of_one_seed_is_one_key() {
        let key = SigningKey::from_seed(ORIGIN, &[7; 32]).unwrap();
        let v1 = key.pair.to_pkcs8v1().unwrap();
        let v2 = key.pair.to_pkcs8().unwrap();
        let pem = format!("{PEM_HEAD}\n{}\n{PEM_TAIL}\n", BASE64.encode(&v2));
        let seed = format!("{}\n", BASE64.encode([7; 32]));
        for bytes in [
            &[7; 32],
            v1.as_ref(),
            v2.as_ref(),
            pem.as_bytes(),
            seed.as_bytes(),
        ] {
            let again = SigningKey::from_bytes(ORIGIN, bytes).unwrap();
            assert_eq!(again.verifier_key(), key.verifier_key());
        }
        for bytes in [b"".as_slice(), b"AAAA", b"\xff\xfe", &[7; 31]] {
            let refused = SigningKey::from_bytes(ORIGIN, bytes);
            assert!(matches!(refused, Err(KeyError::NotAKey)), "{bytes:?}");
        }
    }

    #[test]
    fn nothing_of_the_key_prints() {
        let key = SigningKey::from_seed(ORIGIN, &[7; 32]).unwrap();
        assert_eq!(format!("{key:?}"), "SigningKey(..)");
        assert!(matches!(
            SigningKey::generate("a b"),
            Err(KeyError::Name(_))
        ));
    }
}
