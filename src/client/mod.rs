//! A client of the broker's HTTP API: one transport with bounds on everything, retries of what is safe,
//! a stream that resumes and notices gaps, and a login kept where this machine can keep it.
//!
//! The other side is not trusted: whatever it sends ends as a value, or as a [`ClientError`] whose
//! words are safe to print.

mod address;
mod call;
mod error;
mod list;
pub mod login;
pub mod retry;
pub mod stream;
mod transport;

pub use call::{Call, new_idempotency_key};
pub use error::{ClientError, Delivery};
pub use list::{Chunks, Lines};
pub use stream::{Feed, Follow, Link};
pub use transport::{Answer, Transport, TransportOptions};
