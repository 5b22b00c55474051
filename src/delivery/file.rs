//! A file on this machine, replaced in one step: a reader sees the old secret or the new one, never half of either.
//!
//! Every folder on the way from the root to the file is opened by its own name, and none of them may be a link: what
//! somebody may write below the root cannot lead the broker out of it. The folders are whoever runs the host to make,
//! since their modes decide who gets in; the broker makes none.

use super::{ConfigError, Deliver, Delivered, DeliveryError, DeliveryOrder, Paths, wrong};
use crate::secret::SecretMaterial;
use futures_util::{FutureExt as _, future::BoxFuture};
use parking_lot::Mutex;
use rustix::{
    fs::{AtFlags, FileType, Mode, OFlags},
    io::Errno,
};
use serde::Deserialize;
use std::{
    fs::File,
    io::{Read as _, Write as _},
    os::fd::OwnedFd,
    path::PathBuf,
    sync::Arc,
};
use zeroize::Zeroizing;

const FOLDER: &str = "the folder";
/// The largest file that is taken for an older secret, in bytes.
const CONTENT_MAX: usize = 64 << 10;

/// A folder on this machine.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileConfig {
    /// Where paths begin: an absolute path, no part of which is a link.
    pub root: PathBuf,
    /// Paths below these may be delivered to.
    pub prefixes: Vec<String>,
    /// The file's mode, in octal: `0600`, or up to `0640` for a group. Others get nothing.
    #[serde(default = "default_mode")]
    pub mode: String,
    /// Whose the file is, by number; the broker's own if left out. Another's needs the right to give files away.
    #[serde(default)]
    pub uid: Option<u32>,
    /// The file's group, by number.
    #[serde(default)]
    pub gid: Option<u32>,
    /// What is in it: `json`, one object of the secret's fields, or `plain`, the one field as it is.
    #[serde(default)]
    pub format: Format,
}

/// What a file holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// One JSON object of the secret's fields.
    #[default]
    Json,
    /// The one field that an opaque key has, and nothing else.
    Plain,
}

fn default_mode() -> String {
    "0600".to_owned()
}

/// The adapter.
pub(super) struct Folder(Arc<Inner>);

struct Inner {
    config: FileConfig,
    mode: Mode,
    paths: Paths,
    /// One writer at a time: the temporary file has one name, so that a stop leaves at most one, which the next finds.
    writing: Mutex<()>,
}

impl Folder {
    pub(super) fn new(config: FileConfig) -> Result<Self, ConfigError> {
        if !config.root.is_absolute() {
            return wrong("root", "expected an absolute path");
        }
        let mode = match u32::from_str_radix(&config.mode, 8) {
            // Read for its owner, and nothing but reading for a group.
            Ok(bits) if bits & !0o640 == 0 && bits & 0o400 != 0 => Mode::from_raw_mode(bits),
            _ => return wrong("mode", "expected 0400, 0440, 0600 or 0640"),
        };
        let paths = Paths::new(config.prefixes.clone())?;
        Ok(Self(Arc::new(Inner {
            config,
            mode,
            paths,
            writing: Mutex::new(()),
        })))
    }
}

impl Inner {
    fn put(
        &self,
        order: &DeliveryOrder,
        secret: &SecretMaterial,
    ) -> Result<Delivered, DeliveryError> {
        self.paths.admit(&order.path).or_else(refused)?;
        let text = self.content(secret)?;
        let _one = self.writing.lock();
        let (folders, name) = split(&order.path);
        let folder = self.open(folders)?;
        replaceable(&folder, name, &order.path)?;
        let temporary = format!(".{name}.countersign");
        let written = self
            .write(&folder, &temporary, text.as_bytes())
            .and_then(|()| {
                rustix::fs::renameat(&folder, &temporary, &folder, name)?;
                rustix::fs::fsync(&folder)?;
                read_back(&folder, name, text.len() + 1)
            });
        let place = self.config.root.join(&order.path).display().to_string();
        match written {
            Ok(held) if *held == text.as_bytes() => Ok(Delivered {
                place,
                proven: true,
            }),
            Ok(_) => Err(DeliveryError::Unknown {
                system: FOLDER,
                reason: format!("{place} was written and reads otherwise"),
            }),
            Err(error) => {
                // Gone already if it came as far as the renaming.
                let _ = rustix::fs::unlinkat(&folder, &temporary, AtFlags::empty());
                Err(judge(&format!("writing {place}"), error))
            }
        }
    }

    /// What is at the path, if it has the form of a secret.
    fn look(&self, order: &DeliveryOrder) -> Result<Option<SecretMaterial>, DeliveryError> {
        self.paths.admit(&order.path).or_else(refused)?;
        let (folders, name) = split(&order.path);
        let folder = self.open(folders)?;
        let held = match read_back(&folder, name, CONTENT_MAX + 1) {
            Ok(held) if held.len() <= CONTENT_MAX => held,
            Ok(_) | Err(Errno::NOENT | Errno::LOOP | Errno::ISDIR) => return Ok(None),
            Err(error) => return Err(judge(&format!("reading {}", order.path), error)),
        };
        let Ok(text) = std::str::from_utf8(&held) else {
            return Ok(None);
        };
        let held = SecretMaterial::new(text.to_owned());
        Ok(match self.config.format {
            Format::Json => SecretMaterial::from_object(held),
            Format::Plain => Some(held),
        })
    }

    fn content(&self, secret: &SecretMaterial) -> Result<Zeroizing<String>, DeliveryError> {
        match self.config.format {
            Format::Json => Ok(Zeroizing::new(format!("{}\n", secret.as_object().expose()))),
            Format::Plain => {
                let mut fields = secret.fields().into_values();
                match (fields.next(), fields.next()) {
                    (Some(one), None) => Ok(Zeroizing::new(one.expose().to_owned())),
                    _ => refused(
                        "a login has several fields, which its format \"plain\" cannot hold; use a destination of format \"json\""
                            .to_owned(),
                    ),
                }
            }
        }
    }

    /// The folder, opened name by name from the top of the file system: nothing on the way is a link.
    fn open(&self, folders: &str) -> Result<OwnedFd, DeliveryError> {
        let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::RDONLY | OFlags::CLOEXEC;
        let root = self.config.root.components().filter_map(|part| match part {
            std::path::Component::Normal(name) => name.to_str(),
            _ => None,
        });
        let below = folders.split('/').filter(|name| !name.is_empty());
        let mut at = PathBuf::from("/");
        let mut folder = rustix::fs::open("/", flags, Mode::empty())
            .map_err(|error| judge("opening /", error))?;
        for name in root.chain(below) {
            at.push(name);
            folder = rustix::fs::openat(&folder, name, flags, Mode::empty()).map_err(|error| {
                let shown = at.display();
                match error {
                    Errno::LOOP | Errno::NOTDIR => DeliveryError::Refused {
                        system: FOLDER,
                        reason: format!("{shown} is a link or no folder; expected a folder"),
                    },
                    Errno::NOENT => DeliveryError::Refused {
                        system: FOLDER,
                        reason: format!(
                            "{shown} does not exist; make it, open to the service and nobody else"
                        ),
                    },
                    other => judge(&format!("opening {shown}"), other),
                }
            })?;
        }
        Ok(folder)
    }

    fn write(&self, folder: &OwnedFd, temporary: &str, bytes: &[u8]) -> Result<(), Errno> {
        match rustix::fs::unlinkat(folder, temporary, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(error) => return Err(error),
        }
        let flags =
            OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        // Closed to everybody else until it is whose it should be.
        let file = rustix::fs::openat(folder, temporary, flags, Mode::RUSR | Mode::WUSR)?;
        let mut file = File::from(file);
        file.write_all(bytes).map_err(errno)?;
        if self.config.uid.is_some() || self.config.gid.is_some() {
            let uid = self.config.uid.map(rustix::fs::Uid::from_raw);
            let gid = self.config.gid.map(rustix::fs::Gid::from_raw);
            rustix::fs::fchown(&file, uid, gid)?;
        }
        rustix::fs::fchmod(&file, self.mode)?;
        rustix::fs::fsync(&file)
    }
}

/// A path's folders, and the name in them.
fn split(path: &str) -> (&str, &str) {
    path.rsplit_once('/').unwrap_or(("", path))
}

/// Whether what is there may be replaced: nothing, or a file.
fn replaceable(folder: &OwnedFd, name: &str, path: &str) -> Result<(), DeliveryError> {
    match rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) {
        Err(Errno::NOENT) => Ok(()),
        Err(error) => Err(judge(&format!("looking at {path}"), error)),
        Ok(stat) => match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => Ok(()),
            FileType::Symlink => refused(format!("{path} is a link; expected a file or nothing")),
            _ => refused(format!("{path} is no file; expected a file or nothing")),
        },
    }
}

/// The file's first `most` bytes.
fn read_back(folder: &OwnedFd, name: &str, most: usize) -> Result<Zeroizing<Vec<u8>>, Errno> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = File::from(rustix::fs::openat(folder, name, flags, Mode::empty())?);
    let mut held = Zeroizing::new(Vec::with_capacity(most));
    let mut file = file.take(most as u64);
    file.read_to_end(&mut held).map_err(errno)?;
    Ok(held)
}

fn errno(error: std::io::Error) -> Errno {
    Errno::from_io_error(&error).unwrap_or(Errno::IO)
}

/// A right that is missing needs a person; a disk that is full or failing passes.
fn judge(doing: &str, error: Errno) -> DeliveryError {
    let reason = format!("{doing}: {error}");
    match error {
        Errno::ACCESS | Errno::PERM | Errno::ROFS | Errno::NAMETOOLONG | Errno::ISDIR => {
            DeliveryError::Refused {
                system: FOLDER,
                reason,
            }
        }
        _ => DeliveryError::Unavailable {
            system: FOLDER,
            reason,
            retry_after_s: None,
        },
    }
}

fn refused<T>(reason: String) -> Result<T, DeliveryError> {
    Err(DeliveryError::Refused {
        system: FOLDER,
        reason,
    })
}

impl Deliver for Folder {
    fn paths(&self) -> &Paths {
        &self.0.paths
    }

    fn deliver<'a>(
        &'a self,
        order: &'a DeliveryOrder,
        secret: &'a SecretMaterial,
    ) -> BoxFuture<'a, Result<Delivered, DeliveryError>> {
        let (inner, order) = (Arc::clone(&self.0), order.clone());
        let secret = SecretMaterial::new(secret.expose().to_owned());
        async move {
            // A disk may be slow.
            tokio::task::spawn_blocking(move || inner.put(&order, &secret))
                .await
                .unwrap_or_else(|_| {
                    Err(DeliveryError::Unknown {
                        system: FOLDER,
                        reason: "the writing task failed".to_owned(),
                    })
                })
        }
        .boxed()
    }

    fn held<'a>(
        &'a self,
        order: &'a DeliveryOrder,
    ) -> BoxFuture<'a, Result<Option<SecretMaterial>, DeliveryError>> {
        let (inner, order) = (Arc::clone(&self.0), order.clone());
        async move {
            tokio::task::spawn_blocking(move || inner.look(&order))
                .await
                .unwrap_or(Ok(None))
        }
        .boxed()
    }

    fn ready(&self) -> BoxFuture<'_, Result<(), String>> {
        let inner = Arc::clone(&self.0);
        async move {
            let opened = tokio::task::spawn_blocking(move || inner.open("").map(drop)).await;
            match opened {
                Ok(Ok(())) => Ok(()),
                Ok(Err(error)) => Err(error.to_string()),
                Err(_) => Err(format!("{FOLDER}: it could not be looked at")),
            }
        }
        .boxed()
    }
}

#[cfg(test)]
mod tests;
