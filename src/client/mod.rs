//! A client of the broker's HTTP API: one transport with bounds on everything, retries of what is safe,
//! a stream that resumes and notices gaps, and a login kept where this machine can keep it;
//! `Client` has the typed calls.
//!
//! The other side is not trusted: whatever it sends ends as a value, or as a `ClientError` whose
//! words are safe to print.

mod access;
mod address;
mod api;
mod call;
pub mod chain;
mod error;
mod gateways;
pub mod holdings;
mod list;
pub mod login;
mod outcome;
mod policies;
mod query;
pub mod retry;
mod revocations;
mod rotations;
mod rows;
pub mod sign;
pub mod stream;
mod transport;

pub use access::{Access, RenewError};
pub use api::{Client, LogEntry, LogProof, OwnerChange};
pub use call::{Call, new_idempotency_key};
pub use error::{ClientError, Delivery};
pub use holdings::Held;
pub use list::{Chunks, Lines};
pub use outcome::{Once, Outcome};
pub use query::{EventQuery, ListQuery};
pub use rotations::CalendarQuery;
pub use rows::Rows;
pub use stream::{Feed, Follow, Link};
pub use transport::{Answer, Transport, TransportOptions};
