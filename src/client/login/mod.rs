//! Where a login's token comes from, and where it is kept between runs.
//!
//! In this order: given for this run (`--token-file`, `COUNTERSIGN_TOKEN`; never stored); the kernel's
//! persistent keyring; the desktop's credential store, unless this is an SSH session; a private file on
//! a memory file system, only when asked for; memory. Losing it costs one sign-in, so nothing here
//! ever stops one: a store that fails is passed over, and `Login::place` says where the token is.

mod desktop;
mod file;
#[cfg(target_os = "linux")]
mod kernel;

use std::path::{Path, PathBuf};
use std::time::Duration;

use parking_lot::Mutex;
use secrecy::{ExposeSecret, SecretString};

use super::error::ClientError;
use crate::config::{Variables, variables};

/// The longest token, in bytes; a key of the kernel's keyring holds little more.
const MAX_TOKEN_BYTES: usize = 8 * 1024;

/// Where the token is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// Nowhere: nobody is signed in.
    Nowhere,
    /// `--token-file`.
    GivenFile(PathBuf),
    /// `COUNTERSIGN_TOKEN`.
    GivenVariable,
    /// The kernel's persistent keyring of this user.
    KernelKeyring,
    /// Secret Service, Keychain or Credential Manager.
    DesktopStore,
    /// A private file.
    File(PathBuf),
    /// This process.
    Memory,
}

impl Place {
    /// A sentence for the status line and `doctor`.
    pub fn sentence(&self) -> String {
        match self {
            Self::Nowhere => "Not signed in.".to_owned(),
            Self::GivenFile(path) => {
                format!("The token is from {} and is not stored.", path.display())
            }
            Self::GivenVariable => "The token is from COUNTERSIGN_TOKEN and is not stored.".to_owned(),
            Self::KernelKeyring => {
                "The token is in the kernel's keyring until it expires or this machine restarts.".to_owned()
            }
            Self::DesktopStore => "The token is in the desktop's credential store.".to_owned(),
            Self::File(path) => {
                format!("The token is in {}, readable by you only.", path.display())
            }
            Self::Memory => {
                "The token is in memory only: this machine has no place to keep it, so the next run asks again.".to_owned()
            }
        }
    }
}

/// Why a token that was given cannot be used. Stores never fail: they are passed over.
#[derive(Debug, thiserror::Error)]
pub enum LoginError {
    /// `--token-file` cannot be read.
    #[error("cannot read the token file {path}")]
    ReadTokenFile {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// It is not a token.
    #[error(
        "{origin} holds no token: expected one line of printable characters, at most {MAX_TOKEN_BYTES} bytes"
    )]
    NotAToken {
        /// The variable or file; never its content.
        origin: String,
    },
}

/// What decides where a token may be kept.
#[derive(Clone, Debug, Default)]
pub struct LoginOptions {
    /// The broker, as [`super::Transport::origin`] gives it: each has its own login.
    pub origin: String,
    /// `--token-file`.
    pub token_file: Option<PathBuf>,
    /// Keep the token in a file under `XDG_RUNTIME_DIR` when there is no better place.
    pub allow_file: bool,
}

/// The login at one broker.
#[derive(Debug)]
pub struct Login {
    given: Option<(SecretString, Place)>,
    stores: Vec<Store>,
    memory: Mutex<Option<SecretString>>,
    place: Mutex<Place>,
}

/// A place outside this process.
#[derive(Clone, Debug)]
enum Store {
    #[cfg(target_os = "linux")]
    Kernel(kernel::PersistentKeyring),
    Desktop(desktop::DesktopStore),
    File(file::PrivateFile),
}

/// A store could not do it: the next is asked.
#[derive(Debug)]
struct Unavailable;

impl Store {
    fn place(&self) -> Place {
        match self {
            #[cfg(target_os = "linux")]
            Self::Kernel(_) => Place::KernelKeyring,
            Self::Desktop(_) => Place::DesktopStore,
            Self::File(file) => Place::File(file.path.clone()),
        }
    }

    async fn get(&self) -> Result<Option<SecretString>, Unavailable> {
        match self {
            #[cfg(target_os = "linux")]
            Self::Kernel(store) => store.get(),
            Self::Desktop(store) => store.get().await,
            Self::File(store) => store.get(),
        }
    }

    async fn set(&self, token: &SecretString, life: Option<Duration>) -> Result<(), Unavailable> {
        match self {
            #[cfg(target_os = "linux")]
            Self::Kernel(store) => store.set(token, life),
            Self::Desktop(store) => store.set(token).await,
            Self::File(store) => store.set(token),
        }
    }

    async fn delete(&self) -> Result<(), Unavailable> {
        match self {
            #[cfg(target_os = "linux")]
            Self::Kernel(store) => store.delete(),
            Self::Desktop(store) => store.delete().await,
            Self::File(store) => store.delete(),
        }
    }
}

impl Login {
    /// Takes the token that was given, and works out which stores may be used. Asks none of them yet.
    ///
    /// # Errors
    /// [`LoginError`], only about a token that was given.
    pub fn open(options: &LoginOptions, variables: &Variables) -> Result<Self, LoginError> {
        let given = if let Some(path) = &options.token_file {
            Some((read_token_file(path)?, Place::GivenFile(path.clone())))
        } else if let Some(token) = variables.get(variables::TOKEN) {
            let token = check_token(token, variables::TOKEN.name)?;
            Some((token, Place::GivenVariable))
        } else {
            None
        };
        let mut stores = Vec::new();
        #[cfg(target_os = "linux")]
        stores.push(Store::Kernel(kernel::PersistentKeyring::new(
            &options.origin,
        )));
        if desktop::is_offered(variables) {
            stores.push(Store::Desktop(desktop::DesktopStore::new(&options.origin)));
        }
        if options.allow_file
            && let Some(folder) = variables.get(variables::XDG_RUNTIME_DIR)
        {
            let file = file::PrivateFile::new(Path::new(folder), &options.origin);
            stores.push(Store::File(file));
        }
        Ok(Self {
            given,
            stores,
            memory: Mutex::new(None),
            place: Mutex::new(Place::Nowhere),
        })
    }

    /// The token: given, from the first store that has one, or from memory.
    pub async fn token(&self) -> Option<SecretString> {
        if let Some((token, place)) = &self.given {
            *self.place.lock() = place.clone();
            return Some(token.clone());
        }
        let remembered = self.memory.lock().clone();
        if remembered.is_some() {
            return remembered;
        }
        for store in &self.stores {
            if let Ok(Some(token)) = store.get().await {
                return Some(self.found(token, store));
            }
        }
        *self.place.lock() = Place::Nowhere;
        None
    }

    /// Keeps a new token in the first store that takes it, for `life` where the store can count;
    /// in memory in any case.
    pub async fn keep(&self, token: SecretString, life: Option<Duration>) -> Place {
        *self.memory.lock() = Some(token.clone());
        let mut place = Place::Memory;
        for store in &self.stores {
            if store.set(&token, life).await.is_ok() {
                place = store.place();
                break;
            }
        }
        *self.place.lock() = place.clone();
        place
    }

    /// Whether the token was given for this run: whoever gave it replaces it.
    pub fn is_given(&self) -> bool {
        self.given.is_some()
    }

    /// Keeps a token in the place of the one in use, for `life` where the store can count. Where none was kept it goes
    /// to the first store that takes it, but into no file: that is only for whom asked for one.
    pub async fn replace(&self, token: SecretString, life: Option<Duration>) -> Place {
        let before = self.place();
        *self.memory.lock() = Some(token.clone());
        if self.is_given() {
            return before;
        }
        let mut place = Place::Memory;
        for store in &self.stores {
            let fits = match before {
                Place::Nowhere | Place::Memory => !matches!(store, Store::File(_)),
                _ => store.place() == before,
            };
            if fits && store.set(&token, life).await.is_ok() {
                place = store.place();
                break;
            }
        }
        *self.place.lock() = place.clone();
        place
    }

    /// The stored token, if it is another than `than`: somebody signed in from another run.
    pub async fn other(&self, than: Option<&SecretString>) -> Option<SecretString> {
        if self.is_given() {
            return None;
        }
        for store in &self.stores {
            if let Ok(Some(token)) = store.get().await {
                let same = than.is_some_and(|than| exposed(than) == exposed(&token));
                return (!same).then(|| self.found(token, store));
            }
        }
        None
    }

    fn found(&self, token: SecretString, store: &Store) -> SecretString {
        *self.memory.lock() = Some(token.clone());
        *self.place.lock() = store.place();
        token
    }

    /// Forgets the token everywhere. One that was given stays with whoever gave it.
    pub async fn forget(&self) {
        *self.memory.lock() = None;
        for store in &self.stores {
            // A store that cannot be reached keeps a token that the broker refuses: no harm.
            let _ = store.delete().await;
        }
        *self.place.lock() = Place::Nowhere;
    }

    /// Hands a call's result on, and forgets a kept token that the broker does not know any more.
    pub async fn settle<T>(&self, result: Result<T, ClientError>) -> Result<T, ClientError> {
        if let Err(error) = &result
            && error.is_unauthenticated()
            && self.given.is_none()
        {
            self.forget().await;
        }
        result
    }

    /// The stores that would be asked, in order; whether they answer is only known by asking.
    pub fn places(&self) -> Vec<Place> {
        self.stores.iter().map(Store::place).collect()
    }

    /// Where the token is, as of the last [`Login::token`], [`Login::keep`] or [`Login::forget`].
    pub fn place(&self) -> Place {
        self.place.lock().clone()
    }
}

fn read_token_file(path: &Path) -> Result<SecretString, LoginError> {
    use std::io::Read;
    let failed = |source| LoginError::ReadTokenFile {
        path: path.to_owned(),
        source,
    };
    let mut text = zeroize::Zeroizing::new(String::new());
    std::fs::File::open(path)
        .map_err(failed)?
        .take(MAX_TOKEN_BYTES as u64 + 2)
        .read_to_string(&mut text)
        .map_err(failed)?;
    check_token(&text, &path.display().to_string())
}

fn check_token(text: &str, origin: &str) -> Result<SecretString, LoginError> {
    let token = text.trim();
    let fine = !token.is_empty()
        && token.len() <= MAX_TOKEN_BYTES
        && token.bytes().all(|byte| byte.is_ascii_graphic());
    if fine {
        Ok(token.into())
    } else {
        Err(LoginError::NotAToken {
            origin: origin.to_owned(),
        })
    }
}

/// A stored token, if it still looks like one.
fn stored(bytes: Vec<u8>) -> Option<SecretString> {
    let bytes = zeroize::Zeroizing::new(bytes);
    check_token(std::str::from_utf8(&bytes).ok()?, "the store").ok()
}

/// What a store keeps of a token.
fn exposed(token: &SecretString) -> &str {
    token.expose_secret()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::error::problem;

    fn open(options: &LoginOptions, values: &[(&str, &str)]) -> Result<Login, LoginError> {
        Login::open(options, &Variables::of(values.iter().copied()))
    }

    /// A login without the kernel's keyring, which would outlive the test.
    fn without_kernel(options: &LoginOptions, values: &[(&str, &str)]) -> Login {
        let mut login = open(options, values).unwrap();
        login
            .stores
            .retain(|store| store.place() != Place::KernelKeyring);
        login
    }

    #[tokio::test]
    async fn a_given_token_is_used_and_never_stored() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        std::fs::write(&path, "cs_from_file\n").unwrap();
        let runtime = folder.path().display().to_string();
        let options = LoginOptions {
            origin: "https://a".into(),
            token_file: Some(path.clone()),
            allow_file: true,
        };
        let values = [
            ("COUNTERSIGN_TOKEN", "cs_from_variable"),
            ("XDG_RUNTIME_DIR", runtime.as_str()),
        ];
        let login = without_kernel(&options, &values);
        assert_eq!(login.token().await.unwrap().expose_secret(), "cs_from_file");
        assert_eq!(login.place(), Place::GivenFile(path));
        let options = LoginOptions {
            token_file: None,
            ..options
        };
        let login = without_kernel(&options, &values);
        assert_eq!(
            login.token().await.unwrap().expose_secret(),
            "cs_from_variable"
        );
        assert_eq!(
            login.place().sentence(),
            "The token is from COUNTERSIGN_TOKEN and is not stored."
        );
        let names = std::fs::read_dir(folder.path()).unwrap().count();
        assert_eq!(names, 1, "only the token file itself");
        assert!(!format!("{login:?}").contains("cs_from"));
    }

    #[test]
    fn a_given_token_that_is_none_is_refused_without_showing_it() {
        for bad in ["two words", "control\u{7}", "ümlaut", "   "] {
            let error = open(&LoginOptions::default(), &[("COUNTERSIGN_TOKEN", bad)]).unwrap_err();
            let words = error.to_string();
            assert!(
                words.starts_with("COUNTERSIGN_TOKEN holds no token"),
                "{words}"
            );
            assert!(bad.trim().is_empty() || !words.contains(bad), "{words}");
        }
        let options = LoginOptions {
            token_file: Some("/nonexistent/token".into()),
            ..LoginOptions::default()
        };
        let error = open(&options, &[]).unwrap_err().to_string();
        assert_eq!(error, "cannot read the token file /nonexistent/token");
    }

    #[tokio::test]
    async fn without_a_store_memory_keeps_it_and_says_so() {
        let login = without_kernel(&LoginOptions::default(), &[]);
        assert!(login.token().await.is_none());
        assert_eq!(login.place(), Place::Nowhere);
        assert_eq!(login.keep("cs_new".into(), None).await, Place::Memory);
        assert_eq!(login.token().await.unwrap().expose_secret(), "cs_new");
        assert!(login.place().sentence().contains("in memory only"));
    }

    #[tokio::test]
    async fn what_takes_a_tokens_place_goes_where_it_was_and_another_run_finds_it() {
        let folder = tempfile::tempdir().unwrap();
        let runtime = folder.path().display().to_string();
        let options = LoginOptions {
            origin: "https://a".into(),
            token_file: None,
            allow_file: true,
        };
        let values = [("XDG_RUNTIME_DIR", runtime.as_str())];
        let one = without_kernel(&options, &values);
        assert_eq!(one.replace("cs_a".into(), None).await, Place::Memory);
        assert!(
            one.other(None).await.is_none(),
            "no file that was not asked for"
        );
        let kept = one.keep("cs_b".into(), None).await;
        let other = without_kernel(&options, &values);
        let in_use = other.token().await.unwrap();
        assert!(other.other(Some(&in_use)).await.is_none());
        assert_eq!(one.replace("cs_c".into(), None).await, kept);
        let newer = other.other(Some(&in_use)).await.unwrap();
        assert_eq!(newer.expose_secret(), "cs_c");
        assert_eq!(other.token().await.unwrap().expose_secret(), "cs_c");

        let given = without_kernel(&options, &[("COUNTERSIGN_TOKEN", "cs_given"), values[0]]);
        assert!(given.other(None).await.is_none());
        given.replace("cs_d".into(), None).await;
        assert_eq!(one.other(None).await.unwrap().expose_secret(), "cs_c");
    }

    #[tokio::test]
    async fn a_401_deletes_what_was_kept_and_other_errors_do_not() {
        let folder = tempfile::tempdir().unwrap();
        let runtime = folder.path().display().to_string();
        let options = LoginOptions {
            origin: "https://a".into(),
            token_file: None,
            allow_file: true,
        };
        let values = [("XDG_RUNTIME_DIR", runtime.as_str())];
        let refused = |status| Err::<(), _>(problem(status, None));
        let login = without_kernel(&options, &values);
        let place = login.keep("cs_kept".into(), None).await;
        assert!(matches!(place, Place::File(_)), "{place:?}");
        assert!(login.settle(refused(403)).await.is_err());
        let again = without_kernel(&options, &values);
        assert_eq!(again.token().await.unwrap().expose_secret(), "cs_kept");
        assert_eq!(again.place(), place);
        let elsewhere = LoginOptions {
            origin: "https://b".into(),
            ..options.clone()
        };
        assert!(without_kernel(&elsewhere, &values).token().await.is_none());
        assert!(login.settle(refused(401)).await.is_err());
        assert!(login.token().await.is_none());
        assert!(without_kernel(&options, &values).token().await.is_none());
    }

    #[test]
    fn the_desktop_is_asked_on_the_desktop_only() {
        let offered = |values: &[(&str, &str)]| {
            open(&LoginOptions::default(), values)
                .unwrap()
                .stores
                .iter()
                .any(|store| store.place() == Place::DesktopStore)
        };
        let bus = ("DBUS_SESSION_BUS_ADDRESS", "unix:path=/run/user/1/bus");
        assert_eq!(offered(&[bus]), cfg!(feature = "keyring"));
        assert!(!offered(&[bus, ("SSH_CONNECTION", "a b c d")]));
        if cfg!(target_os = "linux") {
            assert!(!offered(&[]));
        }
    }
}
