//! The last known state of the first screen, kept beside the list for the next start: painted before the broker, a
//! certificate or a login has been asked for. It names the broker and its environment, never who was signed in, and
//! like everything on the wire that it is made of it holds no secret.

use super::event::Reply;
use crate::wire::{Environment, Overview};
use chrono::{DateTime, TimeDelta, Utc};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// The largest file that is read, in bytes.
const KNOWN_MAX: u64 = 1 << 20;
/// Between two writings of it while the console runs, in seconds.
const WRITE_EVERY_S: i64 = 60;

/// What was known of a broker.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Known {
    /// When the figures came.
    pub at: DateTime<Utc>,
    /// The word that the broker goes by.
    pub broker: String,
    /// The environment that the broker said it was set up for.
    pub environment: Option<Environment>,
    /// The first screen.
    pub overview: Box<Overview>,
}

impl Known {
    /// Reads what was kept; nothing if it is not there or cannot be read: the fresh answer is on its way.
    pub fn load(path: &Path) -> Option<Self> {
        let file = std::fs::File::open(path).ok()?;
        let mut bytes = Vec::new();
        file.take(KNOWN_MAX + 1).read_to_end(&mut bytes).ok()?;
        if bytes.len() as u64 > KNOWN_MAX {
            return None;
        }
        serde_json::from_slice(&bytes).ok()
    }
}

#[derive(Default)]
struct Heard {
    broker: Option<(String, Option<Environment>)>,
    overview: Option<(DateTime<Utc>, Box<Overview>)>,
    written: Option<DateTime<Utc>>,
}

/// Listens to what the broker answers and keeps the newest of it for the next start.
pub struct Keeper {
    path: Option<PathBuf>,
    heard: Mutex<Heard>,
}

impl Keeper {
    /// Keeps it there, readable by this user alone; without a path it keeps nothing.
    pub fn new(path: Option<PathBuf>) -> Self {
        Self {
            path,
            heard: Mutex::default(),
        }
    }

    /// Hears an answer that came `now`, and writes down what is known if that has not been done for a while.
    pub fn hear(&self, reply: &Reply, now: DateTime<Utc>) {
        let mut heard = self.heard.lock();
        match reply {
            Reply::Session(session) => {
                heard.broker = Some((session.broker.clone(), session.environment));
            }
            Reply::Overview(overview) => heard.overview = Some((now, overview.clone())),
            _ => return,
        }
        let due = |at: DateTime<Utc>| now - at >= TimeDelta::seconds(WRITE_EVERY_S);
        if heard.written.is_none_or(due) {
            self.write(&mut heard);
        }
    }

    /// Writes down what was heard since the last time. A start without it takes some milliseconds longer, so what
    /// fails here is nobody's concern.
    pub fn finish(&self) {
        self.write(&mut self.heard.lock());
    }

    fn write(&self, heard: &mut Heard) {
        let (Some(path), Some((broker, environment)), Some((at, overview))) =
            (&self.path, &heard.broker, &heard.overview)
        else {
            return;
        };
        if heard.written.is_some_and(|written| written >= *at) {
            return;
        }
        let known = Known {
            at: *at,
            broker: broker.clone(),
            environment: *environment,
            overview: overview.clone(),
        };
        if let Ok(bytes) = serde_json::to_vec(&known) {
            let mut file = KeptFile::begin(Some(path));
            file.write(&bytes);
            file.finish();
        }
        heard.written = Some(*at);
    }
}

/// Bytes on their way into the cache, for this user alone. Whatever fails there costs the next start some time, no
/// more, so nothing is waited for until it is on the disk.
pub(super) struct KeptFile {
    file: Option<(std::fs::File, PathBuf, PathBuf)>,
}

impl KeptFile {
    /// A new file that is to become `path`.
    pub(super) fn begin(path: Option<&Path>) -> Self {
        let open = |path: &Path| {
            std::fs::create_dir_all(path.parent()?).ok()?;
            let mut temporary = path.as_os_str().to_owned();
            temporary.push(format!(".{}.tmp", std::process::id()));
            let temporary = PathBuf::from(temporary);
            let file = std::fs::OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(true)
                .mode(0o600)
                .open(&temporary)
                .ok()?;
            Some((file, temporary, path.to_owned()))
        };
        Self {
            file: path.and_then(open),
        }
    }

    /// Takes more of it.
    pub(super) fn write(&mut self, bytes: &[u8]) {
        if let Some((file, temporary, _)) = &mut self.file
            && file.write_all(bytes).is_err()
        {
            let _ = std::fs::remove_file(temporary);
            self.file = None;
        }
    }

    /// Complete: takes the place of the one before.
    pub(super) fn finish(mut self) {
        if let Some((_, temporary, path)) = self.file.take() {
            let _ = std::fs::rename(temporary, path);
        }
    }
}

impl Drop for KeptFile {
    fn drop(&mut self) {
        if let Some((_, temporary, _)) = self.file.take() {
            let _ = std::fs::remove_file(temporary);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::console::fixture::{now, session};
    use crate::console::screens::samples;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn what_was_heard_last_is_kept_privately_and_without_who_was_signed_in() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("prod.known");
        let keeper = Keeper::new(Some(path.clone()));
        let mut overview = samples::overview();
        keeper.hear(&Reply::Overview(Box::new(overview.clone())), now());
        assert_eq!(Known::load(&path), None, "the broker has no name yet");
        keeper.hear(&Reply::Session(Box::new(session())), now());
        let first = Known::load(&path).unwrap();
        assert_eq!((first.at, first.broker.as_str()), (now(), "eu-west-1"));
        assert_eq!(*first.overview, overview);

        let text = std::fs::read_to_string(&path).unwrap();
        let kept: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&text).unwrap();
        let names: Vec<&str> = kept.keys().map(String::as_str).collect();
        assert_eq!(names, ["at", "broker", "environment", "overview"]);
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);

        overview.sequence += 1;
        let later = now() + TimeDelta::seconds(5);
        keeper.hear(&Reply::Overview(Box::new(overview.clone())), later);
        assert_eq!(
            Known::load(&path).unwrap(),
            first,
            "not written every few seconds"
        );
        keeper.finish();
        assert_eq!(Known::load(&path).unwrap().at, later);
    }

    #[test]
    fn what_cannot_be_read_is_not_known() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("known");
        assert_eq!(Known::load(&path), None);
        std::fs::write(&path, "{\"at\":").unwrap();
        assert_eq!(Known::load(&path), None);
    }
}
