//! The kernel's persistent keyring of this user: survives logout and `tmux`, is gone on restart, and
//! forgets a token by itself when its time is over.
//!
//! Only that ring is used, linked to this process. The session keyring breaks under `tmux` and `su`,
//! and hands out tokens that another session has replaced long ago.

use std::time::Duration;

use linux_keyutils::{Key, KeyError, KeyRing, KeyRingIdentifier};
use secrecy::SecretString;

use super::{Unavailable, exposed, stored};

#[derive(Clone, Debug)]
pub(super) struct PersistentKeyring {
    /// Visible to this user in `/proc/keys`, so it names the broker and nothing else.
    description: String,
}

impl PersistentKeyring {
    pub(super) fn new(origin: &str) -> Self {
        Self {
            description: format!("countersign:{origin}"),
        }
    }

    pub(super) fn get(&self) -> Result<Option<SecretString>, Unavailable> {
        match self.find()? {
            Some(key) => Ok(stored(key.read_to_vec().map_err(|_| Unavailable)?)),
            None => Ok(None),
        }
    }

    pub(super) fn set(
        &self,
        token: &SecretString,
        life: Option<Duration>,
    ) -> Result<(), Unavailable> {
        let key = ring()?
            .add_key(self.description.as_str(), exposed(token).as_bytes())
            .map_err(|_| Unavailable)?;
        if let Some(life) = life {
            let seconds = usize::try_from(life.as_secs().max(1)).unwrap_or(usize::MAX);
            if key.set_timeout(seconds).is_err() {
                // Better not kept than kept for longer than it should be.
                self.delete()?;
                return Err(Unavailable);
            }
        }
        Ok(())
    }

    pub(super) fn delete(&self) -> Result<(), Unavailable> {
        if let Some(key) = self.find()? {
            ring()?.unlink_key(key).map_err(|_| Unavailable)?;
            // Unlinking was the deletion; this only hurries the kernel.
            let _ = key.invalidate();
        }
        Ok(())
    }

    fn find(&self) -> Result<Option<Key>, Unavailable> {
        match ring()?.search(self.description.as_str()) {
            Ok(key) => Ok(Some(key)),
            Err(KeyError::KeyDoesNotExist | KeyError::KeyExpired | KeyError::KeyRevoked) => {
                Ok(None)
            }
            Err(_) => Err(Unavailable),
        }
    }
}

/// Asked for at every use: each thread needs its own link to the ring. Fails where the kernel was built
/// without persistent keyrings or a sandbox forbids them.
fn ring() -> Result<KeyRing, Unavailable> {
    KeyRing::get_persistent(KeyRingIdentifier::Process).map_err(|_| Unavailable)
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    /// Where there is no persistent keyring, the store has to say so instead of pretending.
    #[test]
    fn a_token_is_replaced_found_from_another_thread_and_deleted() {
        let store = PersistentKeyring::new(&format!("test-{}", uuid::Uuid::now_v7()));
        if ring().is_err() {
            assert!(store.set(&"cs_one".into(), None).is_err());
            assert!(store.get().is_err());
            return;
        }
        assert!(store.get().unwrap().is_none());
        store.set(&"cs_one".into(), None).unwrap();
        store
            .set(&"cs_two".into(), Some(Duration::from_mins(1)))
            .unwrap();
        let other = store.clone();
        let found = std::thread::spawn(move || other.get().unwrap().unwrap());
        assert_eq!(found.join().unwrap().expose_secret(), "cs_two");
        store.delete().unwrap();
        assert!(store.get().unwrap().is_none());
        store.delete().unwrap();
    }
}
