//! Countersign: a credential broker, and the terminal console in which people run it.
//!
//! This is the map, one line a module; each module's own page says more. Arrows point one way:
//! `main → demo → cli, console → display, client → wire → domain` on one side and
//! `main → broker → policy, issuers, delivery, probes, event_log, wire → domain` on the other.

/// Of a large, long-lived heap glibc's allocator takes a fifth of the time of every answer, and gives little back.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The broker: the single writer, what follows from events, and the HTTP face.
pub mod broker;
/// The one way to write a value as JSON: what is hashed and what is signed.
pub mod canonical;
/// The command line: one file a noun, the scriptable twin of every screen.
pub mod cli;
/// A typed client of the broker's HTTP API: retries, idempotency keys, stream with resume, login.
pub mod client;
/// The one place that reads a clock.
pub mod clock;
/// Contexts, files, environment variables and their defaults.
pub mod config;
/// The terminal console: one ordered queue, pure update, view that only reads.
pub mod console;
/// Where services read their secrets: one adapter a kind.
pub mod delivery;
/// A believable company with traffic, driven through the client like anyone else's.
pub mod demo;
/// What both faces need to show things: sanitising outside text, times, durations, tables.
pub mod display;
/// Words and rules: what may happen to a credential, and what then follows. Pure.
pub mod domain;
/// The append-only transparency log: bytes, hashes, proofs and signed checkpoints.
pub mod event_log;
/// Who makes the secret: one adapter a kind.
pub mod issuers;
/// Signed tokens (JWS) and the keys that sign them.
pub mod jose;
/// Calls to other systems: where they may go, how long they may take, how much is read.
pub mod outbound;
/// Facts in, decision with reasons out.
pub mod policy;
/// New versions, used for real before they take over: one adapter a kind of use.
pub mod probes;
/// Secret material: minting, checksums, digests, and types that cannot print.
pub mod secret;
/// OpenSSH's keys, certificates and signatures, and the agent that holds the private half.
pub mod ssh;
/// The types that broker and client both speak.
pub mod wire;
