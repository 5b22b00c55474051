//! The listener: plain HTTP on loopback, TLS everywhere.

use super::{engine::Engine, http};
use crate::config::Limits;
use axum_server::{Handle, tls_rustls::RustlsConfig};
use std::{
    io,
    net::{SocketAddr, TcpListener},
    path::PathBuf,
    time::Duration,
};
use tokio::task::JoinHandle;

/// How long open connections may take to finish once the broker was told to stop.
const GRACE: Duration = Duration::from_secs(5);

/// Certificate chain and private key, both PEM.
#[derive(Debug, Clone)]
pub struct TlsFiles {
    /// The chain, leaf first.
    pub certificate: PathBuf,
    /// The key.
    pub key: PathBuf,
}

/// Why the broker does not listen.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// Tokens would travel in the clear.
    #[error("{address} is not on loopback: listening there needs --tls-cert and --tls-key")]
    Plain {
        /// The address.
        address: SocketAddr,
    },
    /// The address is taken, or not ours.
    #[error("listening on {address}")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// Certificate or key cannot be used.
    #[error("reading {} and {}", files.certificate.display(), files.key.display())]
    Tls {
        /// The files.
        files: TlsFiles,
        /// Why not.
        #[source]
        source: io::Error,
    },
}

/// A listening broker.
#[derive(Debug)]
pub struct Listening {
    /// `http://127.0.0.1:7878` or `https://…`.
    pub url: String,
    handle: Handle<SocketAddr>,
    task: JoinHandle<io::Result<()>>,
}

/// Listens on `address`; port 0 takes any free one.
///
/// # Errors
/// [`ListenError`]
pub async fn listen(
    engine: Engine,
    limits: &Limits,
    address: SocketAddr,
    tls: Option<TlsFiles>,
) -> Result<Listening, ListenError> {
    if tls.is_none() && !address.ip().is_loopback() {
        return Err(ListenError::Plain { address });
    }
    let bind_error = |source| ListenError::Bind { address, source };
    let listener = TcpListener::bind(address).map_err(bind_error)?;
    listener.set_nonblocking(true).map_err(bind_error)?;
    let bound = listener.local_addr().map_err(bind_error)?;
    let service = http::router(engine, limits).into_make_service_with_connect_info::<SocketAddr>();
    let handle = Handle::new();
    let scheme = if tls.is_some() { "https" } else { "http" };
    let task = match tls {
        Some(files) => {
            let config = RustlsConfig::from_pem_file(&files.certificate, &files.key)
                .await
                .map_err(|source| ListenError::Tls { files, source })?;
            let server = axum_server::from_tcp_rustls(listener, config).map_err(bind_error)?;
            tokio::spawn(server.handle(handle.clone()).serve(service))
        }
        None => {
            let server = axum_server::from_tcp(listener).map_err(bind_error)?;
            tokio::spawn(server.handle(handle.clone()).serve(service))
        }
    };
    Ok(Listening {
        url: format!("{scheme}://{bound}"),
        handle,
        task,
    })
}

impl Listening {
    /// Takes no more connections and lets the open ones finish. Streams end by themselves once the engine stops.
    pub async fn stop(self) {
        self.handle.graceful_shutdown(Some(GRACE));
        if let Ok(Err(error)) = self.task.await {
            tracing::warn!(%error, "the listener ended badly");
        }
    }
}
