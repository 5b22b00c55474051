//! Sealing: a minted secret waits for its single claim encrypted (AES-256-GCM) under a key file beside the store,
//! so that the store alone, or a backup of it, gives nothing away.

use super::SecretMaterial;
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::hmac::{self, HMAC_SHA256};
use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

const KEY_LEN: usize = 32;
/// First byte of every sealed secret, so that a later scheme can be told from this one.
const SCHEME: u8 = 1;

/// The key under which secrets are sealed, and from which keys for other purposes are derived.
pub struct SealKey(LessSafeKey, hmac::Key);

/// Why a key file cannot be used, or a sealed secret not be opened.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// The file cannot be read or made.
    #[error("cannot use the seal key {path}")]
    KeyFile {
        /// The key file.
        path: PathBuf,
        /// What the file system said.
        #[source]
        source: io::Error,
    },
    /// Others could read the key.
    #[error(
        "the seal key {path} has mode {mode:04o}, so others can read it; run: chmod 600 {path}"
    )]
    TooOpen {
        /// The key file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// Not a key at all.
    #[error("the seal key {path} is {found} bytes long, expected 32; restore it from a backup")]
    Damaged {
        /// The key file.
        path: PathBuf,
        /// Its length in bytes.
        found: usize,
    },
    /// Wrong key, wrong context, or changed bytes: the three cannot be told apart.
    #[error(
        "the sealed secret does not open: it was changed, belongs to something else, or the key is another"
    )]
    DoesNotOpen,
}

impl SealKey {
    /// Reads the key in `path`, or makes one there (32 random bytes, mode 0600) when there is no file.
    ///
    /// # Errors
    /// `TooOpen` when group or others have any right to it; never repaired silently, as it may have been read.
    pub fn open_or_create(path: &Path) -> Result<Self, SealError> {
        let failed = |source| SealError::KeyFile {
            path: path.to_owned(),
            source,
        };
        match fs::metadata(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                create(path).map_err(failed)?;
            }
            Err(error) => return Err(failed(error)),
            Ok(_) => {}
        }
        refuse_if_open(path)?;
        let bytes = Zeroizing::new(fs::read(path).map_err(failed)?);
        if bytes.len() != KEY_LEN {
            return Err(SealError::Damaged {
                path: path.to_owned(),
                found: bytes.len(),
            });
        }
        let key = UnboundKey::new(&AES_256_GCM, &bytes).expect("an AES-256 key has 32 bytes");
        let root = hmac::Key::new(HMAC_SHA256, &bytes);
        Ok(Self(LessSafeKey::new(key), root))
    }

    /// The key that authenticates what the broker itself has left on disk for `purpose`. Each purpose has its own.
    pub fn authenticator(&self, purpose: &str) -> hmac::Key {
        hmac::Key::new(
            HMAC_SHA256,
            hmac::sign(&self.1, purpose.as_bytes()).as_ref(),
        )
    }

    /// Seals `secret` for the purpose that `context` names (such as the version's id): opening it needs the same
    /// bytes, so a sealed secret cannot be moved to another row.
    ///
    /// Shape: scheme byte, 12 bytes nonce (random: one key seals far fewer than 2^32 secrets), ciphertext, 16 bytes tag.
    pub fn seal(&self, secret: &SecretMaterial, context: &[u8]) -> Vec<u8> {
        let mut nonce = [0_u8; NONCE_LEN];
        SystemRandom::new()
            .fill(&mut nonce)
            .expect("the operating system's random source answers");
        let mut text = Zeroizing::new(secret.expose().as_bytes().to_vec());
        let tag = self
            .0
            .seal_in_place_separate_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(context),
                &mut text[..],
            )
            .expect("a secret is far below AES-GCM's 64 GiB");
        [&[SCHEME], &nonce[..], &text[..], tag.as_ref()].concat()
    }

    /// Opens what [`SealKey::seal`] made with the same `context`.
    pub fn open(&self, sealed: &[u8], context: &[u8]) -> Result<SecretMaterial, SealError> {
        let (scheme, rest) = sealed.split_first().ok_or(SealError::DoesNotOpen)?;
        if *scheme != SCHEME || rest.len() < NONCE_LEN {
            return Err(SealError::DoesNotOpen);
        }
        let (nonce, text) = rest.split_at(NONCE_LEN);
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| SealError::DoesNotOpen)?;
        let mut text = Zeroizing::new(text.to_vec());
        let plain = self
            .0
            .open_in_place(nonce, Aad::from(context), &mut text)
            .map_err(|_| SealError::DoesNotOpen)?;
        let plain = std::str::from_utf8(plain).map_err(|_| SealError::DoesNotOpen)?;
        Ok(SecretMaterial::new(plain.to_owned()))
    }
}

impl std::fmt::Debug for SealKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SealKey([REDACTED])")
    }
}

/// Written aside and linked into place, so that a crash leaves no half key and two starters agree on one.
fn create(path: &Path) -> io::Result<()> {
    let mut bytes = Zeroizing::new([0_u8; KEY_LEN]);
    SystemRandom::new()
        .fill(&mut *bytes)
        .map_err(|_| io::Error::other("the operating system's random source failed"))?;
    let mut aside = path.as_os_str().to_owned();
    aside.push(format!(".{}.new", std::process::id()));
    let aside = PathBuf::from(aside);
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let written = options.open(&aside).and_then(|mut file| {
        file.write_all(&*bytes)?;
        file.sync_all()
    });
    let linked = written.and_then(|()| match fs::hard_link(&aside, path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        other => other,
    });
    fs::remove_file(&aside)?;
    linked
}

#[cfg(unix)]
fn refuse_if_open(path: &Path) -> Result<(), SealError> {
    use std::os::unix::fs::PermissionsExt as _;
    let metadata = fs::metadata(path).map_err(|source| SealError::KeyFile {
        path: path.to_owned(),
        source,
    })?;
    let mode = metadata.permissions().mode() & 0o7777;
    let others = mode & 0o077;
    if others == 0 {
        Ok(())
    } else {
        Err(SealError::TooOpen {
            path: path.to_owned(),
            mode,
        })
    }
}

#[cfg(not(unix))]
fn refuse_if_open(_path: &Path) -> Result<(), SealError> {
    Ok(()) // the folder's access list decides there
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::os::unix::fs::PermissionsExt as _;

    fn key() -> (tempfile::TempDir, SealKey) {
        let folder = tempfile::tempdir().unwrap();
        let key = SealKey::open_or_create(&folder.path().join("seal.key")).unwrap();
        (folder, key)
    }

    #[test]
    fn the_key_file_is_private_and_lasts() {
        let (folder, key) = key();
        let path = folder.path().join("seal.key");
        let metadata = fs::metadata(&path).unwrap();
        assert_eq!(
            (metadata.permissions().mode() & 0o777, metadata.len()),
            (0o600, 32)
        );
        let sealed = key.seal(&SecretMaterial::new("s".into()), b"ver_1");
        let again = SealKey::open_or_create(&path).unwrap();
        assert_eq!(again.open(&sealed, b"ver_1").unwrap().expose(), "s");
        assert_eq!(
            fs::read_dir(folder.path()).unwrap().count(),
            1,
            "nothing else is left in the folder"
        );
    }

    #[test]
    fn a_readable_or_damaged_key_is_refused_with_the_fix() {
        let (folder, _key) = key();
        let path = folder.path().join("seal.key");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let text = SealKey::open_or_create(&path).unwrap_err().to_string();
        assert!(
            text.contains("0640") && text.contains("chmod 600"),
            "{text}"
        );
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        fs::write(&path, b"short").unwrap();
        assert!(matches!(
            SealKey::open_or_create(&path),
            Err(SealError::Damaged { found: 5, .. })
        ));
    }

    #[test]
    fn another_key_does_not_open_it() {
        let ((_a, one), (_b, two)) = (key(), key());
        let sealed = one.seal(&SecretMaterial::new("s".into()), b"");
        assert!(matches!(
            two.open(&sealed, b""),
            Err(SealError::DoesNotOpen)
        ));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn what_is_sealed_opens_and_what_is_changed_does_not(
            text in ".{0,200}", context in prop::collection::vec(any::<u8>(), 0..40),
            at in any::<prop::sample::Index>(), flip in 1_u8..=255, cut in any::<prop::sample::Index>(),
        ) {
            let (_folder, key) = key();
            let sealed = key.seal(&SecretMaterial::new(text.clone()), &context);
            let opened = key.open(&sealed, &context).unwrap();
            prop_assert_eq!(opened.expose(), &text);
            prop_assert!(text.len() < 8 || !sealed.windows(text.len()).any(|w| w == text.as_bytes()));
            let mut changed = sealed.clone();
            changed[at.index(sealed.len())] ^= flip;
            prop_assert!(key.open(&changed, &context).is_err());
            prop_assert!(key.open(&sealed[..cut.index(sealed.len())], &context).is_err());
            let mut other = context.clone();
            other.push(0);
            prop_assert!(key.open(&sealed, &other).is_err());
            prop_assert_ne!(key.seal(&SecretMaterial::new(text), &context), sealed, "nonces differ");
        }
    }
}
