//! Rotations as screens show them: rows, the steps of one, and the calendar's figures.

use super::{Views, living};
use crate::{
    domain::{
        Credential, Rotation, RotationState, Setback, Tier, VersionState,
        decide::can_rotate,
        rotation::{RotationRules, Totals},
    },
    wire::{
        Environment, EventRecord,
        rotation::{
            Compliance, FreezeWindow, PlannedRow, Reader, RotationDay, RotationDetail,
            RotationMeasures, RotationRow, RotationStep, RotationSummary, Undo,
        },
    },
};
use chrono::{DateTime, TimeDelta, Utc};
use std::{collections::BTreeMap, sync::Arc};

/// How many teams the figures name.
const TEAMS: usize = 50;

impl Views<'_> {
    /// What lists show of a rotation. `None` if its credential is not known.
    pub fn rotation_row(&self, rotation: &Rotation) -> Option<RotationRow> {
        let credential = self.state.credentials.get(&rotation.credential)?;
        let from = credential.version(rotation.from);
        Some(RotationRow {
            id: rotation.id,
            credential: credential.id,
            credential_name: credential.name.to_string(),
            environment: credential.environment,
            kind: credential.kind,
            tier: credential.tier,
            owner: credential.owner.to_string(),
            state: rotation.state,
            cause: rotation.cause,
            by: rotation.by.clone(),
            from: rotation.from,
            to: rotation.to,
            step: step_of(rotation),
            from_since: from.map_or(rotation.started_at, |version| version.created_at),
            due_at: rotation.due_at,
            late_at: rotation.late_at,
            frozen: rotation.frozen.clone(),
            started_at: rotation.started_at,
            minted_at: rotation.minted_at,
            promoted_at: rotation.promoted_at,
            overlap_until: rotation.overlap_until,
            deadline: rotation.deadline,
            extended_until: rotation.extended_until,
            ended_at: rotation.ended_at,
            setback: rotation.setback,
            failure: rotation.failure.clone(),
            from_used_at: (self.usage)
                .used(rotation.credential, &[rotation.from], None)
                .accepted_at,
            group: rotation.member.map(|member| member.of),
            wave: rotation.member.map_or(0, |member| member.wave),
            sequence: rotation.sequence,
        })
    }

    /// What lists show of a rotation to come.
    pub fn planned_row(&self, credential: &Credential) -> Option<PlannedRow> {
        let (rules, _) = self.state.rotations.rules()?;
        let planned = rules.planned(credential)?;
        let version = credential.version(planned.version)?;
        let terms = rules.terms(credential, crate::domain::RotationCause::Schedule);
        let retry = self.state.rotations.retry(credential.id);
        Some(PlannedRow {
            credential: credential.id,
            credential_name: credential.name.to_string(),
            environment: credential.environment,
            kind: credential.kind,
            tier: credential.tier,
            owner: credential.owner.to_string(),
            from: planned.version,
            from_since: version.created_at,
            begins_at: self
                .state
                .rotations
                .begins(credential)
                .unwrap_or(planned.due_at),
            due_at: planned.due_at,
            late_at: planned.late_at,
            frozen: planned.frozen.map(str::to_owned),
            failures: retry.map_or(0, |retry| retry.failures),
            overlap_s: terms.overlap_s,
        })
    }

    /// One rotation with everything that belongs to it.
    pub fn rotation_detail(
        &self,
        rotation: &Rotation,
        trail: Vec<EventRecord>,
    ) -> Option<RotationDetail> {
        let credential = self.state.credentials.get(&rotation.credential)?;
        let mut group: Vec<_> = rotation
            .member
            .into_iter()
            .flat_map(|member| {
                self.state.rotations.all.values().filter(move |other| {
                    other.id != rotation.id
                        && other.member.is_some_and(|place| place.of == member.of)
                })
            })
            .filter_map(|other| self.rotation_row(other))
            .collect();
        group.sort_by_key(|row| (row.wave, row.id));
        Some(RotationDetail {
            row: self.rotation_row(rotation)?,
            reason: rotation.reason.clone(),
            steps: steps(rotation, credential),
            guard: self.guard(rotation, credential),
            undo: self.undo(rotation, credential),
            readers: self.readers_of_either(rotation),
            overlap_s: rotation.terms.overlap_s,
            unused_s: rotation.terms.unused_s,
            policy_version: rotation.terms.policy_version,
            policy_digest: rotation.terms.policy_digest.to_string(),
            attempts: rotation.attempts,
            handed_to: rotation.handed_to.clone(),
            group,
            trail,
        })
    }

    /// Who uses either version, by gateway; latest first.
    fn readers_of_either(&self, rotation: &Rotation) -> Vec<Reader> {
        let mut readers: Vec<_> = (self.readers(rotation.credential).into_iter())
            .filter(|reader| reader.version == rotation.from || Some(reader.version) == rotation.to)
            .filter_map(|reader| {
                Some(Reader {
                    name: (reader.gateway).unwrap_or_else(|| "this broker".to_owned()),
                    network: reader.network,
                    version: reader.version,
                    accepted: reader.accepted,
                    last_used_at: reader.accepted_at?,
                })
            })
            .collect();
        // Within one millisecond the newer version comes first.
        readers.sort_by_key(|reader| std::cmp::Reverse((reader.last_used_at, reader.version)));
        readers
    }

    /// What it waits for, in a sentence.
    fn guard(&self, rotation: &Rotation, credential: &Credential) -> String {
        let by = |at: Option<DateTime<Utc>>| {
            at.map_or_else(String::new, |at| format!(", by {}", time(at)))
        };
        match rotation.state {
            RotationState::Due => {
                match crate::domain::decide::its_turn(self.state, rotation, credential) {
                    Ok(()) => "its turn comes next".to_owned(),
                    Err(refusal) => format!("waits for its turn: {refusal}"),
                }
            }
            RotationState::Minting => format!("the issuer {} is making it", credential.issuer),
            RotationState::Checking if rotation.checked_at.is_some() => format!(
                "waits until the team {} or its client takes the newer secret{}",
                credential.owner,
                by(rotation.deadline)
            ),
            RotationState::Warm | RotationState::Checking => "its check is under way".to_owned(),
            RotationState::Overlapping if rotation.going_back.is_some() && !rotation.is_back() => {
                format!(
                    "version {} is being put back at {}; then the newer one goes",
                    rotation.from, rotation.handed_to
                )
            }
            RotationState::Promoted | RotationState::Overlapping => format!(
                "version {} goes once nobody has used it for {} s, or at {}",
                rotation.outgoing().unwrap_or(rotation.from),
                rotation.terms.unused_s,
                rotation.overlap_until.map_or_else(String::new, time)
            ),
            _ => String::new(),
        }
    }

    fn undo(&self, rotation: &Rotation, credential: &Credential) -> Undo {
        let refused = |effect: String| Undo {
            possible: false,
            until: None,
            effect,
        };
        match rotation.state {
            RotationState::Overlapping if rotation.going_back.is_some() => {
                refused(format!("it goes back to version {} already", rotation.from))
            }
            RotationState::Overlapping => {
                let is_read = credential.destination.is_some() && rotation.handed_at.is_some();
                let older = credential.version(rotation.from).filter(|version| {
                    version.state == VersionState::Retiring && version.accepted(self.now)
                });
                match (older, rotation.to) {
                    (Some(older), Some(to)) => Undo {
                        possible: true,
                        until: older.ends_at(),
                        effect: if is_read {
                            format!(
                                "version {} is put back at {}, if the place could be read, and in use again; then version {to} goes once nobody has used it for {} s",
                                rotation.from, rotation.handed_to, rotation.terms.unused_s
                            )
                        } else {
                            format!(
                                "version {} is in use again; version {to} is refused at once",
                                rotation.from
                            )
                        },
                    },
                    _ => refused(format!("version {} cannot come back", rotation.from)),
                }
            }
            state if state.before_promotion() => Undo {
                possible: true,
                until: rotation.deadline,
                effect: match rotation.to {
                    Some(to) => format!(
                        "version {} stays in use; version {to} is discarded",
                        rotation.from
                    ),
                    None => format!("version {} stays in use", rotation.from),
                },
            },
            _ => refused(match can_rotate(self.state, credential, self.now) {
                Ok(_) => "it has ended; rotate again instead".to_owned(),
                Err(refusal) => format!("it has ended; {refusal}"),
            }),
        }
    }
}

fn time(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true)
}

/// A step: what is done in it, from when to when, and what came of it.
type Told = (String, Option<DateTime<Utc>>, Option<DateTime<Utc>>, String);

/// The step that a rotation is at: 1 make it, 2 try it, 3 hand it over, 4 wait for readers, 5 the older one goes, 6 done.
fn step_of(rotation: &Rotation) -> u8 {
    match rotation.state {
        RotationState::Scheduled | RotationState::Due | RotationState::Minting => 1,
        RotationState::Warm => 2,
        RotationState::Checking if rotation.checked_at.is_none() => 2,
        RotationState::Checking => 3,
        RotationState::Promoted | RotationState::Overlapping => 4,
        RotationState::Completed => 6,
        RotationState::RolledBack | RotationState::Failed if rotation.promoted_at.is_some() => 4,
        RotationState::RolledBack | RotationState::Failed if rotation.checked_at.is_some() => 3,
        RotationState::RolledBack | RotationState::Failed if rotation.minted_at.is_some() => 2,
        RotationState::RolledBack | RotationState::Failed => 1,
    }
}

fn steps(rotation: &Rotation, credential: &Credential) -> Vec<RotationStep> {
    let to = rotation
        .to
        .map_or_else(|| "the newer version".to_owned(), |to| format!("v{to}"));
    let completed_at = (rotation.state == RotationState::Completed)
        .then_some(rotation.ended_at)
        .flatten();
    let failure = rotation.failure.clone().unwrap_or_default();
    let overlap = rotation.overlap_until.map_or_else(String::new, |until| {
        format!(
            "when idle {} s, no later than {}",
            rotation.terms.unused_s,
            time(until)
        )
    });
    let all: [Told; 6] = [
        (
            format!("mint {to}"),
            Some(rotation.started_at),
            rotation.minted_at,
            format!("issuer {}", credential.issuer),
        ),
        (
            "self-test".to_owned(),
            rotation.minted_at,
            rotation.checked_at,
            rotation.check.clone(),
        ),
        (
            "hand over".to_owned(),
            rotation.checked_at,
            rotation.handed_at.or(rotation.promoted_at),
            rotation.handed_to.clone(),
        ),
        (
            "wait for readers".to_owned(),
            rotation.promoted_at,
            completed_at,
            overlap.clone(),
        ),
        (
            format!("revoke v{}", rotation.from),
            completed_at,
            completed_at,
            overlap,
        ),
        (
            format!("v{} refused", rotation.from),
            completed_at,
            completed_at,
            String::new(),
        ),
    ];
    let at = step_of(rotation);
    let broken = matches!(
        rotation.state,
        RotationState::Failed | RotationState::RolledBack
    );
    all.into_iter()
        .zip(1_u8..)
        .map(|((name, began, done, note), number)| {
            let state = match () {
                () if done.is_some() => "done",
                () if broken && number == at => "failed",
                () if broken => "skipped",
                () if number == at => "now",
                () => "next",
            };
            let took = began.zip(done).map(|(began, done)| done - began);
            RotationStep {
                number,
                name,
                state: state.to_owned(),
                at: done,
                took_ms: took.map(|took| took.num_milliseconds().max(0).cast_unsigned()),
                note: if state == "failed" {
                    failure.clone()
                } else {
                    note
                },
            }
        })
        .collect()
}

/// The freeze windows that touch `from` to `until`, soonest first; at most 100.
pub fn freezes(
    rules: &RotationRules,
    from: DateTime<Utc>,
    until: DateTime<Utc>,
) -> Vec<FreezeWindow> {
    let mut windows = Vec::new();
    for freeze in &rules.policy.freezes {
        let mut at = from;
        while at < until && windows.len() < 100 {
            match freeze.around(at) {
                Some(window) => {
                    windows.push(FreezeWindow {
                        name: freeze.name.clone(),
                        environments: freeze.environments.clone(),
                        from: window.0,
                        until: window.1,
                    });
                    at = window.1;
                }
                None => at += TimeDelta::hours(1),
            }
        }
    }
    windows.sort_by_key(|window| window.from);
    windows
}

/// What rotations came to.
pub fn measures(totals: &Totals, took: &mut [i64]) -> RotationMeasures {
    let words = |counts: &BTreeMap<Setback, u64>| {
        counts
            .iter()
            .map(|(setback, count)| (setback.to_string(), *count))
            .collect()
    };
    let share = |part: u64, whole: u64| (whole > 0).then(|| part as f64 / whole as f64);
    took.sort_unstable();
    let seconds = |ms: i64| ms as f64 / 1_000.0;
    let setbacks: u64 = totals
        .failed
        .values()
        .chain(totals.rolled_back.values())
        .sum();
    let worked = totals.promoted - totals.rolled_back_late.min(totals.promoted);
    RotationMeasures {
        started: totals.started,
        promoted: totals.promoted,
        completed: totals.completed,
        on_schedule: share(totals.on_schedule, totals.on_schedule + totals.late),
        success: share(worked, worked + setbacks),
        failed: words(&totals.failed),
        rolled_back: words(&totals.rolled_back),
        extended: totals.extended,
        downtime_s: totals.downtime_s,
        mean_s: (!took.is_empty()).then(|| seconds(took.iter().sum::<i64>()) / took.len() as f64),
        p95_s: took
            .get((took.len() * 95).div_ceil(100).saturating_sub(1))
            .map(|&ms| seconds(ms)),
    }
}

/// Counts how well cadences are kept.
#[derive(Debug, Default)]
pub struct Tally {
    teams: BTreeMap<String, Compliance>,
    tiers: BTreeMap<Tier, Compliance>,
    environments: BTreeMap<Environment, Compliance>,
}

impl Tally {
    /// Counts one credential.
    pub fn count(&mut self, views: &Views<'_>, rules: &RotationRules, credential: &Credential) {
        if !living(credential.state(views.now)) {
            return;
        }
        let Some(schedule) = rules.policy.schedule(credential.into()) else {
            return;
        };
        let (Some(cadence), Some(version)) =
            (schedule.cadence_of(credential), credential.current())
        else {
            return;
        };
        let up =
            version.created_at + TimeDelta::seconds(cadence.min(i64::MAX as u64 / 1_000) as i64);
        // What ends before its cadence is up does not rotate.
        if version.expires_at.is_some_and(|end| end <= up) {
            return;
        }
        let planned = rules.planned(credential);
        let late_at = planned.map_or(up, |planned| planned.late_at);
        let due_at = planned.map_or(up, |planned| planned.due_at);
        let slots = [
            self.teams.entry(credential.owner.to_string()).or_default(),
            self.tiers.entry(credential.tier).or_default(),
            self.environments.entry(credential.environment).or_default(),
        ];
        for slot in slots {
            slot.cadenced += 1;
            if views.now >= late_at {
                slot.overdue += 1;
                slot.by_hand += u64::from(planned.is_none());
            } else if views.now >= due_at {
                slot.due += 1;
            } else {
                slot.on_schedule += 1;
            }
        }
    }

    /// The figures, with `days` and `measures`.
    pub fn summary(self, days: Vec<RotationDay>, measures: RotationMeasures) -> RotationSummary {
        fn named<K: std::fmt::Display>(counts: BTreeMap<K, Compliance>) -> Vec<Compliance> {
            counts
                .into_iter()
                .map(|(name, counted)| Compliance {
                    name: name.to_string(),
                    ..counted
                })
                .collect()
        }
        let mut teams = named(self.teams);
        teams.sort_by_key(|team| std::cmp::Reverse((team.overdue, team.due, team.cadenced)));
        teams.truncate(TEAMS);
        RotationSummary {
            days,
            teams,
            tiers: named(self.tiers),
            environments: named(self.environments),
            measures,
        }
    }
}

/// How long the latest rotations took until the newer version was in use, in milliseconds.
pub fn took<'a>(rotations: impl Iterator<Item = &'a Arc<Rotation>>) -> Vec<i64> {
    rotations
        .filter_map(|rotation| Some(rotation.took()?.num_milliseconds()))
        .collect()
}
