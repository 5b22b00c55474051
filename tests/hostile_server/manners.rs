//! How a hostile server treats a connection.

#![allow(
    dead_code,
    reason = "every integration test compiles this module for itself and uses a part of it"
)]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// How one connection is treated.
#[derive(Clone)]
pub enum Hostility {
    /// These bytes, then the connection is closed.
    Bytes(Vec<u8>),
    /// A head, then so many bytes of JSON string, then the end.
    Flood { head: String, bytes: u64 },
    /// A head, then a byte of JSON a moment, without end.
    Drip { head: String },
    /// A head, then nothing, without end.
    Silence { head: String },
}

/// Reads a request's head; nothing if the other side left before its end.
pub async fn head(socket: &mut TcpStream) -> std::io::Result<Vec<u8>> {
    let mut request = Vec::new();
    while !request.windows(4).any(|four| four == b"\r\n\r\n") {
        if socket.read_buf(&mut request).await? == 0 {
            return Ok(Vec::new());
        }
    }
    Ok(request)
}

/// Reads a request and treats it so. `taken` counts what the other side takes of a flood.
pub async fn treat(
    mut socket: TcpStream,
    manners: Hostility,
    taken: Arc<AtomicU64>,
) -> std::io::Result<()> {
    if head(&mut socket).await?.is_empty() {
        return Ok(());
    }
    carry_out(socket, manners, taken).await
}

/// Treats a connection whose request was read.
pub async fn carry_out(
    mut socket: TcpStream,
    manners: Hostility,
    taken: Arc<AtomicU64>,
) -> std::io::Result<()> {
    match manners {
        Hostility::Bytes(bytes) => socket.write_all(&bytes).await?,
        Hostility::Flood { head, bytes } => {
            socket.write_all(head.as_bytes()).await?;
            let block = vec![b'x'; 64 * 1024];
            let mut left = bytes;
            while left > 0 {
                let now = left.min(block.len() as u64);
                socket.write_all(&block[..now as usize]).await?;
                taken.fetch_add(now, Ordering::SeqCst);
                left -= now;
            }
        }
        Hostility::Drip { head } => {
            socket.write_all(head.as_bytes()).await?;
            let mut drops = tokio::time::interval(Duration::from_millis(20));
            loop {
                drops.tick().await;
                socket.write_all(b" ").await?;
            }
        }
        Hostility::Silence { head } => {
            socket.write_all(head.as_bytes()).await?;
            let mut nothing = [0];
            // Until the client has had enough.
            while socket.read(&mut nothing).await? > 0 {}
        }
    }
    socket.shutdown().await
}

/// A whole answer, and the connection is closed.
pub fn answer(status: &str, headers: &str, body: &str) -> Hostility {
    Hostility::Bytes(
        format!(
            "HTTP/1.1 {status}\r\ncontent-length: {}\r\n{headers}connection: close\r\n\r\n{body}",
            body.len()
        )
        .into(),
    )
}
