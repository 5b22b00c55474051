//! The HTTP face on a real listener and a real store: what callers may rely on, and what bad input gets.

mod authorization;
mod gateways;
mod harness;
mod journey;
mod leaving;
mod lists;
mod log;
mod oauth;
mod planned;
mod policies;
mod problems;
mod races;
mod rotations;
mod signing;
mod stream;
