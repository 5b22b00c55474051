//! Facts in, decision with reasons out. Pure: no clock, no I/O but reading a folder that it is pointed at, no randomness.
//!
//! A policy is a few files: rules in Rego, data in JSON, and cases that it must decide. It is compiled once. Whatever
//! goes wrong while deciding is a denial by `policy.undefined`; one that does not load is never asked.

mod answer;
mod bundle;
/// What a policy must decide.
pub mod cases;
mod decision;
mod engine;
mod error;
mod input;
mod lint;
mod store;

pub use bundle::{Bundle, Change, MAX_BYTES, MAX_FILES};
pub use decision::{
    Decision, Effect, Outcome, PolicyId, Quorum, Review, Risk, RiskFactor, RiskTier, RuleResult,
    StepUp, UNDEFINED,
};
pub use engine::Policy;
pub use error::PolicyError;
pub use store::PolicyStore;

#[cfg(test)]
mod tests;
