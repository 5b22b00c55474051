//! The table of rotation as a snapshot holds it: every field in its place, none left out.

use crate::domain::{
    Digest, Environment, Kind, RotationRules, Tier,
    rotation::{Freeze, Moment, RotationPolicy, Schedule},
};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The table, plainly.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PlainRules {
    schedules: Vec<PlainSchedule>,
    freezes: Vec<(String, Vec<Environment>, Moment, Moment)>,
    batch: u32,
    promote_within_s: u64,
    compromise_overlap_s: u64,
    retry_s: u64,
    issuers: Vec<String>,
    version: u32,
    digest: Digest,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct PlainSchedule {
    kinds: Vec<Kind>,
    environments: Vec<Environment>,
    tiers: Vec<Tier>,
    cadence_s: Option<u64>,
    jitter_percent: u8,
    overlap_s: u64,
    unused_s: u64,
    fallback_s: u64,
    grace_s: u64,
}

impl From<&Arc<RotationRules>> for PlainRules {
    fn from(rules: &Arc<RotationRules>) -> Self {
        let RotationRules {
            policy,
            issuers,
            version,
            digest,
        } = rules.as_ref().clone();
        let RotationPolicy {
            schedules,
            freezes,
            batch,
            promote_within_s,
            compromise_overlap_s,
            retry_s,
        } = policy;
        let plain = |schedule| {
            let Schedule {
                kinds,
                environments,
                tiers,
                cadence_s,
                jitter_percent,
                overlap_s,
                unused_s,
                fallback_s,
                grace_s,
            } = schedule;
            PlainSchedule {
                kinds,
                environments,
                tiers,
                cadence_s,
                jitter_percent,
                overlap_s,
                unused_s,
                fallback_s,
                grace_s,
            }
        };
        let window = |freeze: Freeze| (freeze.name, freeze.environments, freeze.from, freeze.until);
        Self {
            schedules: schedules.into_iter().map(plain).collect(),
            freezes: freezes.into_iter().map(window).collect(),
            batch,
            promote_within_s,
            compromise_overlap_s,
            retry_s,
            issuers,
            version,
            digest,
        }
    }
}

impl From<PlainRules> for RotationRules {
    fn from(plain: PlainRules) -> Self {
        let schedule = |plain: PlainSchedule| Schedule {
            kinds: plain.kinds,
            environments: plain.environments,
            tiers: plain.tiers,
            cadence_s: plain.cadence_s,
            jitter_percent: plain.jitter_percent,
            overlap_s: plain.overlap_s,
            unused_s: plain.unused_s,
            fallback_s: plain.fallback_s,
            grace_s: plain.grace_s,
        };
        let freeze = |(name, environments, from, until)| Freeze {
            name,
            environments,
            from,
            until,
        };
        Self {
            policy: RotationPolicy {
                schedules: plain.schedules.into_iter().map(schedule).collect(),
                freezes: plain.freezes.into_iter().map(freeze).collect(),
                batch: plain.batch,
                promote_within_s: plain.promote_within_s,
                compromise_overlap_s: plain.compromise_overlap_s,
                retry_s: plain.retry_s,
            },
            issuers: plain.issuers,
            version: plain.version,
            digest: plain.digest,
        }
    }
}
