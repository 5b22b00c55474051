//! Real servers for the tests: PostgreSQL and OpenBao, started privately on loopback, gone when dropped.
//!
//! A server that cannot be started fails the test with its log; nothing is skipped. Use it with
//! `mod support;` in an integration test. Most tests share one pair of servers: [`Servers::shared`].

#![allow(
    dead_code,
    unused_imports,
    reason = "every integration test compiles this module for itself and uses a part of it"
)]

pub mod openbao;
pub mod postgres;
pub mod process;

pub use openbao::OpenBao;
pub use postgres::{Postgres, psql};

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

/// Ample for a server's start on two busy cores.
pub const START: Duration = Duration::from_mins(1);

/// Asks `state` until it gives a value; panics with `what` when `within` has passed.
pub async fn wait_until<T>(
    within: Duration,
    what: &str,
    mut state: impl AsyncFnMut() -> Option<T>,
) -> T {
    let started = Instant::now();
    loop {
        if let Some(value) = state().await {
            return value;
        }
        assert!(
            started.elapsed() < within,
            "waited {within:?} in vain: {what}"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// The same for tests without a runtime.
pub fn block_until<T>(within: Duration, what: &str, mut state: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(value) = state() {
            return value;
        }
        assert!(
            started.elapsed() < within,
            "waited {within:?} in vain: {what}"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A port on loopback that was free a moment ago.
pub fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
    listener
        .local_addr()
        .expect("a bound listener has an address")
        .port()
}

/// PostgreSQL, and OpenBao with database roles on it.
pub struct Servers {
    pub bao: OpenBao,
    pub postgres: Postgres,
}

impl Servers {
    /// A pair of its own, for a test that stops or breaks one.
    pub async fn start() -> Self {
        let postgres = Postgres::start();
        let bao = OpenBao::start().await;
        bao.set_up_database(&postgres).await;
        Self { bao, postgres }
    }

    /// The pair shared by the tests of this process that run at the same time; it ends with the last of them.
    pub async fn shared() -> Arc<Self> {
        static SHARED: tokio::sync::Mutex<Weak<Servers>> =
            tokio::sync::Mutex::const_new(Weak::new());
        let mut shared = SHARED.lock().await;
        if let Some(servers) = shared.upgrade() {
            return servers;
        }
        let servers = Arc::new(Self::start().await);
        *shared = Arc::downgrade(&servers);
        servers
    }
}
