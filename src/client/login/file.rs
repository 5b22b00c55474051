//! A file that only its owner can read, on a file system that lives in memory. Only when asked for.

use std::path::{Path, PathBuf};

use secrecy::SecretString;

use super::{Unavailable, exposed, stored};
use crate::config::write_private;

#[derive(Clone, Debug)]
pub(super) struct PrivateFile {
    pub(super) path: PathBuf,
}

impl PrivateFile {
    /// One file a broker, named so that it can be recognised and is a file name anywhere.
    pub(super) fn new(runtime_folder: &Path, origin: &str) -> Self {
        let name: String = origin
            .chars()
            .map(|c| {
                if c.is_ascii_alphanumeric() || matches!(c, '.' | '-') {
                    c
                } else {
                    '_'
                }
            })
            .collect();
        Self {
            path: runtime_folder
                .join("countersign")
                .join(format!("{name}.token")),
        }
    }

    pub(super) fn get(&self) -> Result<Option<SecretString>, Unavailable> {
        if !is_private(&self.path)? {
            return Ok(None);
        }
        let bytes = std::fs::read(&self.path).map_err(|_| Unavailable)?;
        Ok(stored(bytes))
    }

    pub(super) fn set(&self, token: &SecretString) -> Result<(), Unavailable> {
        write_private(&self.path, exposed(token).as_bytes()).map_err(|_| Unavailable)
    }

    pub(super) fn delete(&self) -> Result<(), Unavailable> {
        match std::fs::remove_file(&self.path) {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
            Err(_) => Err(Unavailable),
        }
    }
}

/// Whether the file is there, a plain file, this user's and nobody else's to read. Somebody else's token would sign
/// this user's actions with another name.
fn is_private(path: &Path) -> Result<bool, Unavailable> {
    let found = match std::fs::symlink_metadata(path) {
        Ok(found) => found,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(false),
        Err(_) => return Err(Unavailable),
    };
    #[cfg(unix)]
    {
        use std::os::unix::fs::{MetadataExt, PermissionsExt};
        let own = found.uid() == rustix::process::geteuid().as_raw();
        // Six zero bits at the end: nothing for group and others.
        let closed = found.permissions().mode().trailing_zeros() >= 6;
        Ok(found.is_file() && own && closed)
    }
    #[cfg(not(unix))]
    Ok(found.is_file())
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use secrecy::ExposeSecret;

    use super::*;

    #[test]
    fn the_file_is_private_or_not_believed() {
        let folder = tempfile::tempdir().unwrap();
        let store = PrivateFile::new(folder.path(), "https://broker.example:7878");
        assert!(
            store
                .path
                .ends_with("countersign/https___broker.example_7878.token")
        );
        assert!(store.get().unwrap().is_none());
        store.set(&"cs_kept".into()).unwrap();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&store.path), 0o600);
        assert_eq!(store.get().unwrap().unwrap().expose_secret(), "cs_kept");
        let open = std::fs::Permissions::from_mode(0o644);
        std::fs::set_permissions(&store.path, open).unwrap();
        assert!(store.get().unwrap().is_none(), "others could have read it");
        store.delete().unwrap();
        store.delete().unwrap();
        assert!(!store.path.exists());
    }
}
