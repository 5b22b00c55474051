//! The private halves that are here: a folder closed to others, a file a key, named as the key is.

use super::key::{KeyError, SigningKey};
use crate::domain::Algorithm;
use parking_lot::RwLock;
use std::{
    collections::BTreeMap,
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Write as _},
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    sync::Arc,
};
use zeroize::Zeroizing;

/// No key file of ours is longer, in bytes.
const FILE_MAX: u64 = 8 * 1024;
/// What a key file's name ends in.
const ENDING: &str = "key";

/// Why a key is not to be had.
#[derive(Debug, thiserror::Error)]
pub enum RingError {
    /// The folder or a file in it.
    #[error("{attempted} {}", path.display())]
    File {
        /// What was attempted.
        attempted: &'static str,
        /// Where.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// Others than its owner can read or write it.
    #[error("{} has mode {mode:04o}; it must be 0600 or 0400", path.display())]
    Exposed {
        /// The key file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// It is no key, or not the one that its name says.
    #[error("{} is not the key that its name says", path.display())]
    Other {
        /// The key file.
        path: PathBuf,
    },
    /// None could be made.
    #[error(transparent)]
    Key(#[from] KeyError),
}

/// The private keys of one broker.
#[derive(Debug, Default)]
pub struct KeyRing {
    folder: PathBuf,
    keys: RwLock<BTreeMap<String, Arc<SigningKey>>>,
}

fn failed(attempted: &'static str, path: &Path) -> impl FnOnce(io::Error) -> RingError {
    let path = path.to_owned();
    move |source| RingError::File {
        attempted,
        path,
        source,
    }
}

impl KeyRing {
    /// The keys in `folder`, which is made at the first key.
    ///
    /// # Errors
    /// [`RingError`]; a file that others could read is never used.
    pub fn open(folder: PathBuf) -> Result<Self, RingError> {
        let mut keys = BTreeMap::new();
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => Some(entries),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(failed("reading", &folder)(error)),
        };
        for entry in entries.into_iter().flatten() {
            let path = entry.map_err(failed("reading", &folder))?.path();
            if path.extension().is_some_and(|ending| ending == ENDING) {
                let key = load(&path)?;
                keys.insert(key.kid().to_owned(), Arc::new(key));
            }
        }
        Ok(Self {
            folder,
            keys: RwLock::new(keys),
        })
    }

    /// The key of this name.
    pub fn get(&self, kid: &str) -> Option<Arc<SigningKey>> {
        self.keys.read().get(kid).cloned()
    }

    /// Whether the private half of this name is here.
    pub fn has(&self, kid: &str) -> bool {
        self.keys.read().contains_key(kid)
    }

    /// The names of all that are here.
    pub fn names(&self) -> Vec<String> {
        self.keys.read().keys().cloned().collect()
    }

    /// Makes a key, on disk before it is told of: what it signs must be readable after a stop.
    ///
    /// # Errors
    /// [`RingError`].
    pub fn create(&self, algorithm: Algorithm) -> Result<Arc<SigningKey>, RingError> {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.folder)
            .map_err(failed("making the folder", &self.folder))?;
        let key = Arc::new(SigningKey::generate(algorithm)?);
        let path = self.path(key.kid());
        let text = key.to_pem()?;
        OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .and_then(|mut file| {
                file.write_all(text.as_bytes())?;
                file.sync_all()?;
                // The name must survive a crash too.
                File::open(&self.folder)?.sync_all()
            })
            .map_err(failed("writing", &path))?;
        self.keys
            .write()
            .insert(key.kid().to_owned(), Arc::clone(&key));
        Ok(key)
    }

    /// Forgets a key, on disk too.
    ///
    /// # Errors
    /// [`RingError::File`].
    pub fn remove(&self, kid: &str) -> Result<(), RingError> {
        if self.keys.write().remove(kid).is_none() {
            return Ok(());
        }
        let path = self.path(kid);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(failed("removing", &path)(error))
            }
            _ => Ok(()),
        }
    }

    fn path(&self, kid: &str) -> PathBuf {
        self.folder.join(format!("{kid}.{ENDING}"))
    }
}

fn load(path: &Path) -> Result<SigningKey, RingError> {
    let file = File::open(path).map_err(failed("reading", path))?;
    let mode = file.metadata().map_err(failed("reading", path))?.mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(RingError::Exposed {
            path: path.to_owned(),
            mode,
        });
    }
    let other = || RingError::Other {
        path: path.to_owned(),
    };
    let mut text = Zeroizing::new(String::with_capacity(FILE_MAX as usize));
    file.take(FILE_MAX)
        .read_to_string(&mut text)
        .map_err(failed("reading", path))?;
    let key = SigningKey::from_pem(&text).map_err(|_| other())?;
    let named = path.file_stem().is_some_and(|name| name == key.kid());
    if named { Ok(key) } else { Err(other()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn keys_are_kept_closed_and_found_again() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("token-keys");
        let ring = KeyRing::open(place.clone()).unwrap();
        let kid = ring.create(Algorithm::Es256).unwrap().kid().to_owned();
        let path = place.join(format!("{kid}.key"));
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o600);
        assert_eq!(fs::metadata(&place).unwrap().mode() & 0o7777, 0o700);
        let again = KeyRing::open(place.clone()).unwrap();
        assert_eq!(again.names(), [kid.as_str()]);

        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let exposed = KeyRing::open(place.clone()).unwrap_err();
        assert!(matches!(exposed, RingError::Exposed { mode: 0o640, .. }));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        let moved = place.join("other.key");
        fs::rename(&path, &moved).unwrap();
        let other = KeyRing::open(place.clone()).unwrap_err();
        assert!(matches!(other, RingError::Other { .. }));
        fs::rename(&moved, &path).unwrap();

        again.remove(&kid).unwrap();
        assert!(!again.has(&kid) && !path.exists());
        again.remove(&kid).unwrap();
    }
}
