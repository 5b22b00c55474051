//! The floor of an HTTP answer: axum, 200 bytes from memory. `benches/http.py` runs it beside the broker.

#![allow(
    clippy::unwrap_used,
    clippy::too_many_lines,
    reason = "a test or benchmark stops where its ground gives way, and a table of cases reads better whole"
)]
#![expect(clippy::print_stdout, reason = "it says where it listens")]

use axum::{Router, routing::any};

#[tokio::main]
async fn main() {
    let body = "x".repeat(200);
    let router = Router::new().fallback(any(move || {
        let body = body.clone();
        async move { body }
    }));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    println!("http://{}", listener.local_addr().unwrap());
    axum::serve(listener, router).await.unwrap();
}
