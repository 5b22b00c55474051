//! What is remembered of a broker's log between runs: its key, the checkpoint last found whole, and the
//! evidence when two signed heads contradict each other. One folder a context, each file written whole.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// The folder could not be read or written.
#[derive(Debug, thiserror::Error)]
#[error("cannot {attempted} {}", path.display())]
pub struct KeepError {
    /// `read` or `write`.
    pub attempted: &'static str,
    /// Which file.
    pub path: PathBuf,
    /// Why.
    #[source]
    pub source: io::Error,
}

/// One context's folder, such as `$XDG_STATE_HOME/countersign/prod`.
#[derive(Debug, Clone)]
pub struct Keep {
    folder: Option<PathBuf>,
}

impl Keep {
    /// The folder need not exist yet.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: Some(folder.into()),
        }
    }

    /// Remembers nothing: for a broker that does not outlive this run.
    pub fn nowhere() -> Self {
        Self { folder: None }
    }

    /// The verifier key that was kept at first contact.
    pub fn key(&self) -> Result<Option<String>, KeepError> {
        self.read("verifier-key")
    }

    /// Keeps the verifier key.
    pub fn set_key(&self, key: &str) -> Result<(), KeepError> {
        self.write("verifier-key", key)
    }

    /// The checkpoint last found whole, as it was signed.
    pub fn checkpoint(&self) -> Result<Option<String>, KeepError> {
        self.read("checkpoint")
    }

    /// Keeps a checkpoint, durably: the file is the old one or the new one, never half of one.
    pub fn set_checkpoint(&self, note: &str) -> Result<(), KeepError> {
        self.write("checkpoint", note)
    }

    /// Keeps two signed heads that contradict each other, and says where. Nothing earlier is written over.
    pub fn evidence(&self, before: &str, offered: &str) -> Result<Option<String>, KeepError> {
        let Some(folder) = &self.folder else {
            return Ok(None);
        };
        let place = (1..=u32::MAX)
            .map(|n| folder.join("evidence").join(n.to_string()))
            .find(|place| !place.exists())
            .expect("numbers do not run out");
        write(&place.join("checkpoint-before"), before)?;
        write(&place.join("checkpoint-offered"), offered)?;
        Ok(Some(place.display().to_string()))
    }

    /// Forgets the key of the first contact and the last checkpoint, and says where they lie now: the next contact is the
    /// first again. `None` if nothing was kept.
    pub fn forget_trust(&self) -> Result<Option<String>, KeepError> {
        let Some(folder) = &self.folder else {
            return Ok(None);
        };
        let kept: Vec<_> = ["verifier-key", "checkpoint"]
            .into_iter()
            .filter(|name| folder.join(name).exists())
            .collect();
        if kept.is_empty() {
            return Ok(None);
        }
        let place = (1..=u32::MAX)
            .map(|n| folder.join("forgotten").join(n.to_string()))
            .find(|place| !place.exists())
            .expect("numbers do not run out");
        let moved = |attempted, path: &Path| {
            let path = path.to_owned();
            move |source| KeepError {
                attempted,
                path,
                source,
            }
        };
        fs::create_dir_all(&place).map_err(moved("write", &place))?;
        for name in kept {
            let from = folder.join(name);
            fs::rename(&from, place.join(name)).map_err(moved("move", &from))?;
        }
        Ok(Some(place.display().to_string()))
    }

    fn write(&self, name: &str, text: &str) -> Result<(), KeepError> {
        match &self.folder {
            Some(folder) => write(&folder.join(name), text),
            None => Ok(()),
        }
    }

    fn read(&self, name: &str) -> Result<Option<String>, KeepError> {
        let Some(folder) = &self.folder else {
            return Ok(None);
        };
        let path = folder.join(name);
        match fs::read_to_string(&path) {
            Ok(text) => Ok(Some(text)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(KeepError {
                attempted: "read",
                path,
                source,
            }),
        }
    }
}

fn write(path: &Path, text: &str) -> Result<(), KeepError> {
    write_whole(path, text.as_bytes()).map_err(|source| KeepError {
        attempted: "write",
        path: path.to_owned(),
        source,
    })
}

fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().expect("files are kept in a folder");
    fs::create_dir_all(folder)?;
    // The process number keeps two consoles of one person from writing into one temporary file.
    let temporary = path.with_extension(format!("{}.new", std::process::id()));
    let mut file = fs::File::create(&temporary)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&temporary, path)?;
    fs::File::open(folder)?.sync_all()
}
