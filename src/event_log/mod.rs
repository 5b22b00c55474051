//! The append-only transparency log: opaque leaves, an RFC 6962 SHA-256 tree over them, checkpoints
//! signed as C2SP tlog-checkpoint, proofs and tiles anyone can check, and the stores that keep it.
//!
//! It knows bytes and not what they mean. Writing goes through `log::Log`; what a store must
//! promise is in `store`; who holds no store and trusts nobody uses `verify`.

pub mod checkpoint;
pub mod conformance;
pub mod export;
pub mod log;
pub mod merkle;
mod opening;
pub mod proof;
mod signing_key;
pub mod sqlite;
pub mod store;
pub mod tiles;
pub mod verify;
