//! Whole lives of credentials, on the built program, a real OpenBao and a real PostgreSQL.

#![expect(
    clippy::unwrap_used,
    reason = "a panic in a test's helper is its report"
)]

mod support;

#[path = "journeys/drill.rs"]
mod drill;
#[path = "journeys/gateways.rs"]
mod gateways;
#[path = "journeys/high_risk.rs"]
mod high_risk;
#[path = "journeys/kill.rs"]
mod kill;
#[path = "journeys/kill_rotations.rs"]
mod kill_rotations;
#[path = "journeys/outage.rs"]
mod outage;
#[path = "journeys/races.rs"]
mod races;
#[path = "journeys/recovery.rs"]
mod recovery;
#[path = "journeys/rotations.rs"]
mod rotations;
#[path = "journeys/scene.rs"]
mod scene;
#[path = "journeys/signed.rs"]
mod signed;
