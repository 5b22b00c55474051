//! A believable company with traffic.
//!
//! An embedded broker on loopback, filled by running the real engine through weeks on a virtual clock; afterwards
//! its services keep asking for things through the client, over HTTP, like anyone else's.

/// Who is there.
pub mod company;
/// Weeks, on a virtual clock.
pub mod history;
