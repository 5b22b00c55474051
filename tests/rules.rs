//! The rules, seen from outside: tables of given events, a command and what must follow, and random histories after
//! each step of which nothing may be so that must never be.

#![allow(
    clippy::unwrap_used,
    clippy::too_many_lines,
    clippy::semicolon_if_nothing_returned,
    clippy::manual_is_multiple_of,
    clippy::unused_async,
    reason = "a test or benchmark stops where its ground gives way, and a table of cases reads better whole"
)]

#[path = "rules/world.rs"]
mod world;

#[path = "rules/invariants.rs"]
mod invariants;

#[path = "rules/requests.rs"]
mod requests;

#[path = "rules/issuance.rs"]
mod issuance;

#[path = "rules/deliveries.rs"]
mod deliveries;

#[path = "rules/quorum.rs"]
mod quorum;

#[path = "rules/credentials.rs"]
mod credentials;

#[path = "rules/people.rs"]
mod people;

#[path = "rules/reviews.rs"]
mod reviews;

#[path = "rules/gateways.rs"]
mod gateways;

#[path = "rules/offboarding.rs"]
mod offboarding;

#[path = "rules/policies.rs"]
mod policies;

#[path = "rules/steps.rs"]
mod steps;

#[path = "rules/rotation_steps.rs"]
mod rotation_steps;

#[path = "rules/rotations.rs"]
mod rotations;

#[path = "rules/rotations_back.rs"]
mod rotations_back;

#[path = "rules/year.rs"]
mod year;

#[path = "rules/histories.rs"]
mod histories;

#[path = "rules/signing.rs"]
mod signing;

#[path = "rules/leaves.rs"]
mod leaves;

#[path = "rules/tokens.rs"]
mod tokens;
