//! Real servers for the tests: PostgreSQL, OpenBao and OpenSSH, started privately on loopback, gone when dropped.
//!
//! A server that cannot be started fails the test with its log; nothing is skipped. Use it with
//! `mod support;` in an integration test. Most tests share one pair of servers: [`Servers::shared`].

#![allow(
    dead_code,
    unused_imports,
    reason = "every integration test compiles this module for itself and uses a part of it"
)]

pub mod broker;
pub mod cli;
pub mod company;
pub mod openbao;
pub mod openssh;
pub mod postgres;
pub mod process;
pub mod pty;

pub use broker::{BrokerProcess, vault_config};
pub use cli::cli;
pub use company::Company;
pub use openbao::OpenBao;
pub use postgres::{Postgres, psql};

use std::sync::atomic::{AtomicU16, Ordering};
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

/// A free port on loopback, below the range from which the system takes the ports of outgoing connections, so that
/// nobody else gets it before the server does; never the same twice in a process.
pub fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let start = std::process::id().wrapping_mul(64);
    for _ in 0..2_000 {
        let step = u32::from(NEXT.fetch_add(1, Ordering::Relaxed));
        let port = 12_000 + u16::try_from(start.wrapping_add(step) % 20_000).expect("below 20000");
        if std::net::TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
    panic!("no free port on loopback");
}

/// PostgreSQL, and OpenBao with database roles on it.
pub struct Servers {
    pub bao: OpenBao,
    pub postgres: Postgres,
}

impl Servers {
    /// A pair of its own, for a test that stops or breaks one.
    pub async fn start() -> Self {
        Self::with(OpenBao::start().await).await
    }

    /// The same with an OpenBao that can be stopped and started again.
    pub async fn start_durable() -> Self {
        Self::with(OpenBao::start_durable().await).await
    }

    async fn with(bao: OpenBao) -> Self {
        let postgres = Postgres::start();
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
