//! How often what must rotate, and when it is due.

use super::{Class, Freeze, Retry, RotationCause, Terms, fits};
use crate::domain::{
    Credential, Digest, Environment, Kind, Tier, VersionState,
    check::{LIST_MAX, TTL_MAX_S},
};
use chrono::{DateTime, Duration, Utc};
use serde::{Deserialize, Serialize};

/// How often credentials of one sort rotate. An empty list stands for all.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Schedule {
    /// Of these kinds.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kinds: Vec<Kind>,
    /// In these environments.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub environments: Vec<Environment>,
    /// In these tiers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tiers: Vec<Tier>,
    /// The oldest that a version in use may become, in seconds; none where policy lets it become as old as it likes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cadence_s: Option<u64>,
    /// By up to how much of its cadence a rotation is drawn forward, in percent, so that not all come at once.
    pub jitter_percent: u8,
    /// For how long the older version is accepted beside the newer one at most, in seconds.
    pub overlap_s: u64,
    /// The overlap ends once nobody has used the older version for so long, in seconds.
    pub unused_s: u64,
    /// By how much the older version's life is extended, once, when it would end first; in seconds.
    pub fallback_s: u64,
    /// For how long after its cadence a rotation still counts as on schedule, in seconds.
    pub grace_s: u64,
}

/// The policy's table of rotation: `rotation.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RotationPolicy {
    /// The first that fits counts.
    pub schedules: Vec<Schedule>,
    /// When nothing rotates by itself.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub freezes: Vec<Freeze>,
    /// How many may be at issuer and check at once, in one environment.
    pub batch: u32,
    /// Within how long of its making the newer version must be in use, in seconds.
    pub promote_within_s: u64,
    /// For how long the older version is accepted at most where its secret is known to others, in seconds.
    pub compromise_overlap_s: u64,
    /// How long after a rotation that came to nothing the next is begun, in seconds; twice as long each time after.
    pub retry_s: u64,
}

impl Default for RotationPolicy {
    /// What holds where a policy does not say: nothing rotates by itself, and by hand with an hour of overlap.
    fn default() -> Self {
        Self {
            schedules: vec![Schedule {
                kinds: Vec::new(),
                environments: Vec::new(),
                tiers: Vec::new(),
                cadence_s: None,
                jitter_percent: 0,
                overlap_s: 3_600,
                unused_s: 900,
                fallback_s: 86_400,
                grace_s: 0,
            }],
            freezes: Vec::new(),
            batch: 32,
            promote_within_s: 7 * 86_400,
            compromise_overlap_s: 900,
            retry_s: 3_600,
        }
    }
}

impl RotationPolicy {
    /// What is wrong with it and what would be accepted, in words.
    pub fn complaint(&self) -> Option<String> {
        for (index, schedule) in self.schedules.iter().enumerate() {
            if let Some(complaint) = schedule.complaint() {
                return Some(format!("schedule {}: {complaint}", index + 1));
            }
        }
        if self.schedules.len() > LIST_MAX || self.freezes.len() > LIST_MAX {
            return Some(format!("expected at most {LIST_MAX} schedules and freezes"));
        }
        for &kind in Kind::ALL {
            for &environment in Environment::ALL {
                for &tier in Tier::ALL {
                    let class = Class {
                        kind,
                        environment,
                        tier,
                    };
                    if self.schedule(class).is_none() {
                        return Some(format!(
                            "no schedule fits {kind} in {environment} of tier {tier}: end the list with one for all"
                        ));
                    }
                }
            }
        }
        if let Some(complaint) = self.freezes.iter().find_map(Freeze::complaint) {
            return Some(complaint);
        }
        let seconds = 60..=TTL_MAX_S;
        if self.batch == 0 || self.batch > 10_000 {
            return Some("batch: expected 1 to 10000".into());
        }
        for (name, value) in [
            ("promote_within_s", self.promote_within_s),
            ("retry_s", self.retry_s),
        ] {
            if !seconds.contains(&value) {
                return Some(format!("{name}: expected 60 to {TTL_MAX_S} seconds"));
            }
        }
        (self.compromise_overlap_s > TTL_MAX_S)
            .then(|| format!("compromise_overlap_s: expected at most {TTL_MAX_S} seconds"))
    }

    /// The schedule of a class.
    pub fn schedule(&self, class: Class) -> Option<&Schedule> {
        self.schedules.iter().find(|schedule| {
            fits(&schedule.kinds, &class.kind)
                && fits(&schedule.environments, &class.environment)
                && fits(&schedule.tiers, &class.tier)
        })
    }
}

impl Schedule {
    /// The cadence of `credential` under this schedule, in seconds: the shorter of policy's and its own.
    pub fn cadence_of(&self, credential: &Credential) -> Option<u64> {
        match (self.cadence_s, credential.cadence_s) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        }
    }

    fn complaint(&self) -> Option<String> {
        let longest = [self.overlap_s, self.unused_s, self.fallback_s, self.grace_s]
            .into_iter()
            .chain(self.cadence_s)
            .max();
        if longest > Some(TTL_MAX_S) {
            return Some(format!("expected at most {TTL_MAX_S} seconds"));
        }
        if self.jitter_percent > 50 {
            return Some("jitter_percent: expected 0 to 50".into());
        }
        if self.unused_s > self.overlap_s {
            return Some(format!(
                "unused_s: expected at most overlap_s, {} seconds: the overlap is over by then",
                self.overlap_s
            ));
        }
        let cadence = self.cadence_s?;
        let soonest = cadence - cadence * u64::from(self.jitter_percent) / 100;
        if soonest <= self.overlap_s {
            return Some(format!(
                "cadence_s: {cadence} with {} % of jitter is not longer than the overlap of {} seconds; expected more than {}",
                self.jitter_percent,
                self.overlap_s,
                self.overlap_s * 100 / (100 - u64::from(self.jitter_percent)) + 1
            ));
        }
        (self.grace_s >= cadence)
            .then(|| format!("grace_s: expected less than cadence_s, {cadence} seconds"))
    }
}

/// When a credential rotates next, by cadence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Planned<'a> {
    /// The version that is in use, and is replaced.
    pub version: u32,
    /// When.
    pub due_at: DateTime<Utc>,
    /// From when on it is overdue.
    pub late_at: DateTime<Utc>,
    /// The freeze window that moved it.
    pub frozen: Option<&'a str>,
}

/// The table that counts, as the log has it: which policy it is of, and which issuers can be asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RotationRules {
    /// The table.
    pub policy: RotationPolicy,
    /// The issuers that this broker can have a version made by, by configured name.
    pub issuers: Vec<String>,
    /// The version of the policy in force that it is of.
    pub version: u32,
    /// SHA-256 of that policy's text.
    pub digest: Digest,
}

impl RotationRules {
    /// When `credential` rotates next by itself: by the shorter of the policy's cadence and its own. `None` if it does
    /// not: no version is in use, nothing sets a cadence, no issuer can be asked, or the version ends before. What was
    /// asked for a shorter time than its cadence is over then, and is asked for again.
    pub fn planned(&self, credential: &Credential) -> Option<Planned<'_>> {
        if credential.revoked.is_some()
            || !self.issuers.iter().any(|name| **name == *credential.issuer)
        {
            return None;
        }
        let version = credential
            .versions
            .iter()
            .rev()
            .find(|version| version.state == VersionState::Active)?;
        let schedule = self.policy.schedule(credential.into())?;
        let cadence = schedule.cadence_of(credential)?;
        let span = cadence * u64::from(schedule.jitter_percent) / 100;
        let jitter = spread(credential.id.bits(), version.number) % (span + 1);
        let cadence_up = version.created_at + seconds(cadence);
        if version.expires_at.is_some_and(|end| end <= cadence_up) {
            return None;
        }
        let (due_at, frozen) = self.thawed(
            cadence_up - seconds(jitter),
            credential.environment,
            version.expires_at,
        );
        Some(Planned {
            version: version.number,
            due_at,
            late_at: cadence_up.max(due_at) + seconds(schedule.grace_s),
            frozen,
        })
    }

    /// When the next rotation of `credential` is begun, which is when it is due, or later after some that came to
    /// nothing.
    pub fn begins(&self, credential: &Credential, retry: Option<&Retry>) -> Option<DateTime<Utc>> {
        let planned = self.planned(credential)?;
        Some(match retry {
            Some(retry) if retry.at > planned.due_at => {
                let end = credential.version(planned.version)?.expires_at;
                self.thawed(retry.at, credential.environment, end).0
            }
            _ => planned.due_at,
        })
    }

    /// `at`, or the first time after it at which nothing is frozen. Where the version ends before that, the freeze
    /// does not count: an outage is worse than a change in a quiet time.
    fn thawed(
        &self,
        at: DateTime<Utc>,
        environment: Environment,
        end: Option<DateTime<Utc>>,
    ) -> (DateTime<Utc>, Option<&str>) {
        let mut moved = at;
        let mut by = None;
        // Windows may touch; that a whole chain of them never ends is not looked into further than this.
        for _ in 0..8 {
            let window = self
                .policy
                .freezes
                .iter()
                .filter(|freeze| fits(&freeze.environments, &environment))
                .find_map(|freeze| Some((freeze.around(moved)?, freeze)));
            let Some(((_, until), freeze)) = window else {
                break;
            };
            moved = until;
            by.get_or_insert(freeze.name.as_str());
        }
        if end.is_some_and(|end| end <= moved + seconds(self.policy.promote_within_s)) {
            return (at, None);
        }
        (moved, by)
    }

    /// The freeze window that `environment` is in at `now`, and its end.
    pub fn frozen(
        &self,
        environment: Environment,
        now: DateTime<Utc>,
    ) -> Option<(&str, DateTime<Utc>)> {
        self.policy
            .freezes
            .iter()
            .filter(|freeze| fits(&freeze.environments, &environment))
            .find_map(|freeze| Some((freeze.name.as_str(), freeze.around(now)?.1)))
    }

    /// What a rotation of `credential` that begins now goes by.
    pub fn terms(&self, credential: &Credential, cause: RotationCause) -> Terms {
        let fallback = RotationPolicy::default();
        let schedule = self
            .policy
            .schedule(credential.into())
            .unwrap_or(&fallback.schedules[0]);
        let mut overlap_s = schedule.overlap_s;
        if cause == RotationCause::Compromise {
            overlap_s = overlap_s.min(self.policy.compromise_overlap_s);
        }
        // A credential's own cadence may be shorter than policy's, and must leave room for the next rotation.
        if let Some(cadence) = schedule.cadence_of(credential) {
            overlap_s = overlap_s.min(cadence / 2);
        }
        Terms {
            overlap_s,
            unused_s: schedule.unused_s.min(overlap_s),
            fallback_s: schedule.fallback_s,
            promote_within_s: self.policy.promote_within_s,
            policy_version: self.version,
            policy_digest: self.digest,
        }
    }
}

fn seconds(seconds: u64) -> Duration {
    Duration::seconds(i64::try_from(seconds).unwrap_or(i64::MAX / 1_000))
}

/// A number that looks random and is always the same for one version (the finaliser of SplitMix64).
fn spread(id: u128, number: u32) -> u64 {
    let mut mixed = (id as u64) ^ ((id >> 64) as u64).rotate_left(32) ^ u64::from(number) << 48;
    mixed = mixed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}
