//! The desktop's credential store: Secret Service, Keychain, Credential Manager.
//!
//! A locked one may ask a question on a screen that nobody sees, so every use has a time limit.

use crate::config::{Variables, variables};

/// Whether asking it makes sense here.
pub(super) fn is_offered(variables: &Variables) -> bool {
    let bus = !cfg!(target_os = "linux") || variables.has(variables::DBUS_SESSION_BUS_ADDRESS);
    cfg!(feature = "keyring") && bus && !variables.has(variables::SSH_CONNECTION)
}

#[cfg(not(feature = "keyring"))]
pub(super) use absent::DesktopStore;
#[cfg(feature = "keyring")]
pub(super) use present::DesktopStore;

#[cfg(feature = "keyring")]
mod present {
    use std::time::Duration;

    use secrecy::SecretString;

    use super::super::{Unavailable, exposed, stored};

    /// Long enough for D-Bus, too short to notice.
    const PATIENCE: Duration = Duration::from_secs(2);

    const SERVICE: &str = "countersign";

    #[derive(Clone, Debug)]
    pub(in super::super) struct DesktopStore {
        user: String,
    }

    impl DesktopStore {
        pub(in super::super) fn new(origin: &str) -> Self {
            Self {
                user: origin.to_owned(),
            }
        }

        pub(in super::super) async fn get(&self) -> Result<Option<SecretString>, Unavailable> {
            let user = self.user.clone();
            patiently(move || Ok(stored(entry(&user)?.get_secret()?))).await
        }

        pub(in super::super) async fn set(&self, token: &SecretString) -> Result<(), Unavailable> {
            let user = self.user.clone();
            let token = token.clone();
            patiently(move || entry(&user)?.set_password(exposed(&token))).await
        }

        pub(in super::super) async fn delete(&self) -> Result<(), Unavailable> {
            let user = self.user.clone();
            patiently(move || entry(&user)?.delete_credential()).await
        }
    }

    fn entry(user: &str) -> keyring::Result<keyring::Entry> {
        keyring::Entry::new(SERVICE, user)
    }

    /// Runs on a thread of its own and not on the runtime's: one that waits for an answer that never comes
    /// would keep the runtime, and so the program, from ending.
    async fn patiently<T: Send + 'static>(
        work: impl FnOnce() -> keyring::Result<T> + Send + 'static,
    ) -> Result<T, Unavailable> {
        let (answer, asked) = tokio::sync::oneshot::channel();
        std::thread::Builder::new()
            .name("credential-store".to_owned())
            .spawn(move || {
                // Nobody listens any more when patience ran out.
                let _ = answer.send(work());
            })
            .map_err(|_| Unavailable)?;
        match tokio::time::timeout(PATIENCE, asked).await {
            Ok(Ok(Ok(value))) => Ok(value),
            _ => Err(Unavailable),
        }
    }
}

#[cfg(not(feature = "keyring"))]
mod absent {
    use secrecy::SecretString;

    use super::super::Unavailable;

    #[derive(Clone, Debug)]
    pub(in super::super) struct DesktopStore;

    impl DesktopStore {
        pub(in super::super) fn new(_origin: &str) -> Self {
            Self
        }

        pub(in super::super) async fn get(&self) -> Result<Option<SecretString>, Unavailable> {
            Err(Unavailable)
        }

        pub(in super::super) async fn set(&self, _token: &SecretString) -> Result<(), Unavailable> {
            Err(Unavailable)
        }

        pub(in super::super) async fn delete(&self) -> Result<(), Unavailable> {
            Err(Unavailable)
        }
    }
}
