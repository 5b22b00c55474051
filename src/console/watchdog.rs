//! The last resort: a console that was told to end and does not is ended.
//!
//! A loop stuck in a write to a dead link, or in anything else, must not leave a process behind that
//! holds a session open. The dog is armed by the first signal or hang-up and called off by a clean end.

use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::JoinHandle;
use std::time::Duration;

/// How long the loop has to end by itself once it was told to.
pub const GRACE: Duration = Duration::from_secs(2);

/// An armed watchdog; dropping it calls it off.
#[derive(Debug)]
pub struct Watchdog {
    call_off: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Watchdog {
    /// Runs `bite` on a thread of its own unless dropped within `grace`. `bite` normally does not return.
    pub fn arm(grace: Duration, bite: impl FnOnce() + Send + 'static) -> Self {
        let (call_off, called_off) = mpsc::channel::<()>();
        let spawned = std::thread::Builder::new()
            .name("watchdog".into())
            .spawn(move || {
                if called_off.recv_timeout(grace) == Err(RecvTimeoutError::Timeout) {
                    bite();
                }
            });
        // Without a thread there is no second chance, but the loop has still been told.
        Self {
            call_off: Some(call_off),
            thread: spawned.ok(),
        }
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        self.call_off = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bites_once_unless_called_off() {
        let (told, hears) = mpsc::channel();
        let dog = Watchdog::arm(Duration::from_millis(20), {
            let told = told.clone();
            move || told.send("late").unwrap()
        });
        assert_eq!(hears.recv_timeout(Duration::from_secs(5)), Ok("late"));
        drop(dog);
        drop(Watchdog::arm(Duration::from_hours(1), move || {
            told.send("never").unwrap();
        }));
        assert_eq!(
            hears.recv(),
            Err(mpsc::RecvError),
            "called off, and its thread gone"
        );
    }
}
