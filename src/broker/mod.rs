//! The broker: one writer that decides and appends, reactors that do what follows, and the HTTP face.
//!
//! ```text
//! http ──▶ engine (queue → decide → append → publish) ──▶ feed ──▶ streams
//!             ▲                                   │
//!             └──────────── reactors ◀────────────┘   issuance · delivery · enforcement · propagation · expiry · usage · reconciliation · webhooks
//! ```
//!
//! What a reactor has to do is folded from the log like everything else (`crate::domain::State::to_issue` and
//! its siblings), so its work list is as durable as the log and there is no second cursor that could disagree. Receivers of webhooks
//! are the exception: what they were told is a fact about them, kept as a cursor beside the log.

/// Who is calling, and what they may read.
pub mod auth;
/// When an issuer is not asked for a while.
pub mod breaker;
/// How far receivers were told.
pub mod cursors;
/// The configured destinations of secrets.
pub mod destinations;
/// The running broker: its state, its queue, its feed.
pub mod engine;
/// Facts for the policy, and its decision in the domain's words.
pub mod evaluate;
/// The stream of what became durable.
pub mod feed;
/// The state at the start.
mod folding;
/// What is known of gateways beside the log.
pub mod gateways;
/// The HTTP face.
pub mod http;
/// The configured issuers.
pub mod issuers;
/// A leaf of the log, read.
pub mod leaf;
/// The listener.
pub mod listen;
/// Nonces that wait for their one use.
pub mod nonces;
/// The first screen's figures.
pub mod overview;
/// Which policy decides.
pub mod policies;
/// The configured probes of new versions.
pub mod probes;
/// What follows from events.
pub mod reactors;
/// Secrets between their making and their claim or delivery.
pub mod sealed;
/// Opening, serving, and stopping.
pub mod serve;
/// What people sign, checked.
pub mod signing;
/// What a policy would have decided.
pub mod simulation;
/// The folded state at rest.
pub mod snapshot;
/// Signing of tokens, and the lists of their status.
pub mod tokens;
/// Use, counted beside the log.
pub mod usage;
/// What the API shows.
pub mod views;
/// Receivers that are told what happens.
pub mod webhooks;
/// The one writer.
mod writer;
