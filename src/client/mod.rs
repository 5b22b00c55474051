//! A client of the broker.

pub mod chain;
