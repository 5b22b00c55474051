//! Rotations that run or ended lately, and what will be due. All that a credential at rest costs is its place in the
//! list of what is due.

use super::{Due, State};
use crate::domain::{
    Credential, CredentialId, Environment, Event, Rotation, RotationId, RotationRules,
    RotationState, Setback,
    credential::remember,
    rotation::{Retry, Return, Totals},
};
use chrono::{DateTime, Utc};
use imbl::{OrdMap, OrdSet, Vector};
use std::sync::Arc;

/// How many rotations that have ended are remembered.
pub const HISTORY: usize = 4_096;

/// All of them.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Rotations {
    /// Those that run, and the latest that have ended.
    pub all: OrdMap<RotationId, Arc<Rotation>>,
    /// The rotation that runs, by credential.
    pub running: OrdMap<CredentialId, RotationId>,
    /// What begins by itself, soonest first.
    pub due: OrdSet<(DateTime<Utc>, CredentialId)>,
    /// What the broker has something to do about: the rotation reactor's work.
    pub to_do: OrdSet<RotationId>,
    /// Those whose older version is still accepted.
    pub overlapping: OrdSet<RotationId>,
    /// What they all came to.
    pub totals: Totals,
    pub(super) rules: Option<Arc<RotationRules>>,
    pub(super) since: Option<DateTime<Utc>>,
    /// Those that have ended, oldest first.
    pub(super) ended: Vector<RotationId>,
    pub(super) retries: OrdMap<CredentialId, Retry>,
    /// Versions whose life was extended: once is the limit.
    pub(super) extended: OrdSet<(CredentialId, u32)>,
    at_work: [u32; Environment::ALL.len()],
}

impl Rotations {
    /// The table that counts, and since when.
    pub fn rules(&self) -> Option<(&Arc<RotationRules>, DateTime<Utc>)> {
        Some((self.rules.as_ref()?, self.since?))
    }

    /// The rotation of `credential` that runs.
    pub fn of(&self, credential: CredentialId) -> Option<&Arc<Rotation>> {
        self.all.get(self.running.get(&credential)?)
    }

    /// Those that have ended, latest first; no more are remembered than [`HISTORY`].
    pub fn ended(&self) -> impl Iterator<Item = &Arc<Rotation>> {
        self.ended.iter().rev().filter_map(|id| self.all.get(id))
    }

    /// How many are at issuer and check in `environment`.
    pub fn at_work(&self, environment: Environment) -> u32 {
        self.at_work[environment as usize]
    }

    /// How often rotations of `credential` came to nothing in a row, and when it is tried again.
    pub fn retry(&self, credential: CredentialId) -> Option<&Retry> {
        self.retries.get(&credential)
    }

    /// Whether this version's life was extended already.
    pub fn extended(&self, credential: CredentialId, version: u32) -> bool {
        self.extended.contains(&(credential, version))
    }

    /// When the next rotation of `credential` begins by itself.
    pub fn begins(&self, credential: &Credential) -> Option<DateTime<Utc>> {
        if credential.quarantined_at.is_some() || self.running.contains_key(&credential.id) {
            return None;
        }
        self.rules
            .as_ref()?
            .begins(credential, self.retries.get(&credential.id))
    }

    fn set_rules(&mut self, rules: &RotationRules, at: DateTime<Utc>) {
        self.rules = Some(Arc::new(rules.clone()));
        self.since = Some(at);
    }

    /// Lists anew what will be due, for all of a fleet.
    pub(super) fn list_due<'a>(&mut self, credentials: impl Iterator<Item = &'a Arc<Credential>>) {
        if self.rules.is_none() {
            return;
        }
        let mut due: Vec<_> = credentials
            .filter_map(|credential| Some((self.begins(credential)?, credential.id)))
            .collect();
        due.sort_unstable();
        self.due = due.into_iter().collect();
    }

    /// Counts one that runs among those at work.
    fn recount(&mut self, was: bool, is: bool, environment: Environment) {
        let count = &mut self.at_work[environment as usize];
        *count = *count + u32::from(is) - u32::from(was);
    }
}

fn deadline(rotation: &Rotation) -> Option<(DateTime<Utc>, Due)> {
    rotation
        .deadline
        .filter(|_| rotation.state.before_promotion())
        .map(|at| (at, Due::Rotation(rotation.id)))
}

impl State {
    /// Keeps the list of what will be due in step with a change of `id`: what `change` does to it.
    pub(super) fn rescheduling(&mut self, id: CredentialId, change: impl FnOnce(&mut Self)) {
        let next = |state: &Self| {
            let credential = state.credentials.get(&id)?;
            state.rotations.begins(credential)
        };
        let before = next(self);
        change(self);
        let after = next(self);
        if before != after {
            if let Some(at) = before {
                self.rotations.due.remove(&(at, id));
            }
            if let Some(at) = after {
                self.rotations.due.insert((at, id));
            }
        }
        self.review_work(id);
    }

    /// Makes the lists that follow from credentials and rotations, once a snapshot has brought all of both.
    pub(super) fn list_rotations(&mut self) {
        let running = (self.rotations.all.values())
            .filter(|rotation| !rotation.state.ended())
            .cloned();
        for rotation in running.collect::<Vec<_>>() {
            let (id, credential) = (rotation.id, rotation.credential);
            self.rotations.running.insert(credential, id);
            if rotation.state.promoted() {
                self.rotations.overlapping.insert(id);
            }
            if let Some(held) = self.credentials.get(&credential) {
                let environment = held.environment;
                self.rotations
                    .recount(false, rotation.at_work(), environment);
            }
            self.review_work(credential);
        }
        self.rotations.list_due(self.credentials.values());
    }

    /// Whether there is something to do about the rotation of `id` that runs.
    fn review_work(&mut self, id: CredentialId) {
        let (Some(rotation), Some(credential)) = (self.rotations.of(id), self.credentials.get(&id))
        else {
            return;
        };
        let (rotation, wanted) = (rotation.id, rotation.wants_work(credential));
        if wanted {
            self.rotations.to_do.insert(rotation);
        } else {
            self.rotations.to_do.remove(&rotation);
        }
    }

    pub(super) fn apply_rotation(&mut self, event: &Event, at: DateTime<Utc>) {
        match event {
            Event::RotationRulesSet { rules } => {
                self.rotations.set_rules(rules, at);
                self.rotations.list_due(self.credentials.values());
            }
            Event::RotationStarted { rotation } => {
                if !self.credentials.contains_key(&rotation.credential) {
                    return;
                }
                let mut rotation = rotation.as_ref().clone();
                rotation.sequence = self.sequence;
                remember(&mut rotation.trail, self.sequence);
                self.rotations.totals.started += 1;
                self.rescheduling(rotation.credential, |state| {
                    state
                        .rotations
                        .running
                        .insert(rotation.credential, rotation.id);
                    state.touch(rotation.credential);
                    state.rotations.all.insert(rotation.id, Arc::new(rotation));
                });
            }
            _ => self.apply_step(event, at),
        }
    }

    /// Notes that something happened to a credential of which only its rotation tells more.
    fn touch(&mut self, id: CredentialId) {
        self.change_credential(id, |_| ());
    }

    fn apply_step(&mut self, event: &Event, at: DateTime<Utc>) {
        let crate::domain::event::Subject::Rotation(id) = event.subject() else {
            return;
        };
        let Some(held) = self.rotations.all.get(&id) else {
            return;
        };
        let Some(credential) = self.credentials.get(&held.credential) else {
            return;
        };
        let (before, environment) = (Arc::clone(held), credential.environment);
        let mut rotation = before.as_ref().clone();
        step(&mut rotation, event, at);
        rotation.sequence = self.sequence;
        remember(&mut rotation.trail, self.sequence);
        let rotation = Arc::new(rotation);
        self.rescheduling(before.credential, |state| {
            match event {
                Event::RotationMinted {
                    credential,
                    version,
                    ..
                } => state.change_credential(*credential, |credential| {
                    credential.versions.push(version.as_ref().clone());
                }),
                Event::RotationExtended {
                    credential,
                    version,
                    until,
                    ..
                } => {
                    state.rotations.totals.extended += 1;
                    state.rotations.extended.insert((*credential, *version));
                    state.change_credential(*credential, |credential| {
                        let versions = &mut credential.versions;
                        for held in versions.iter_mut().filter(|held| held.number == *version) {
                            held.expires_at = held.expires_at.map(|end| end.max(*until));
                        }
                    });
                }
                _ => state.touch(before.credential),
            }
            state.place(&before, &rotation, environment);
            state.count(&before, &rotation, event);
        });
    }

    /// Keeps the lists in step with one rotation's change.
    fn place(&mut self, before: &Rotation, rotation: &Arc<Rotation>, environment: Environment) {
        if let Some(due) = deadline(before) {
            self.due.remove(&due);
        }
        self.due.extend(deadline(rotation));
        let rotations = &mut self.rotations;
        rotations.recount(before.at_work(), rotation.at_work(), environment);
        if rotation.state.promoted() && !rotation.state.ended() {
            rotations.overlapping.insert(rotation.id);
        } else {
            rotations.overlapping.remove(&rotation.id);
        }
        rotations.all.insert(rotation.id, Arc::clone(rotation));
        if rotation.state.ended() && !before.state.ended() {
            rotations.running.remove(&rotation.credential);
            rotations.to_do.remove(&rotation.id);
            rotations.ended.push_back(rotation.id);
            if rotations.ended.len() > HISTORY
                && let Some(oldest) = rotations.ended.pop_front()
            {
                rotations.all.remove(&oldest);
            }
        }
    }

    fn count(&mut self, before: &Rotation, rotation: &Rotation, event: &Event) {
        let totals = &mut self.rotations.totals;
        let retry_at = match event {
            Event::RotationPromoted { .. } => {
                totals.promoted += 1;
                totals.downtime_s += rotation.gap_s;
                match rotation.on_schedule() {
                    Some(true) => totals.on_schedule += 1,
                    Some(false) => totals.late += 1,
                    None => {}
                }
                self.rotations.retries.remove(&rotation.credential);
                return;
            }
            Event::RotationCompleted { .. } => {
                totals.completed += 1;
                return;
            }
            Event::RotationRolledBack {
                setback, retry_at, ..
            } => {
                *totals.rolled_back.entry(*setback).or_default() += 1;
                totals.rolled_back_late += u64::from(before.promoted_at.is_some());
                retry_at
            }
            Event::RotationFailed {
                setback, retry_at, ..
            } => {
                *totals.failed.entry(*setback).or_default() += 1;
                retry_at
            }
            _ => return,
        };
        if before.promoted_at.is_none() && rotation.on_schedule() == Some(false) {
            totals.late += 1;
        }
        let failures = self
            .rotations
            .retries
            .get(&rotation.credential)
            .map_or(0, |retry| retry.failures);
        let retry = Retry {
            failures: failures.saturating_add(1),
            at: *retry_at,
        };
        self.rotations.retries.insert(rotation.credential, retry);
    }
}

/// What one event changes about the rotation itself.
fn step(rotation: &mut Rotation, event: &Event, at: DateTime<Utc>) {
    let ended = |rotation: &mut Rotation, state, setback: Setback, reason: &String| {
        rotation.state = state;
        rotation.setback = Some(setback);
        rotation.failure = Some(reason.clone());
        rotation.ended_at = Some(at);
    };
    match event {
        Event::RotationMinting {
            attempt,
            locator,
            deadline,
            ..
        } => {
            rotation.state = RotationState::Minting;
            rotation.attempts = *attempt;
            rotation.attempt_locator.clone_from(locator);
            rotation.deadline = Some(*deadline);
        }
        Event::RotationAttemptFailed { reason, .. } => {
            rotation.state = RotationState::Due;
            rotation.failure = Some(reason.clone());
            rotation.attempt_locator.clear();
        }
        Event::RotationMinted { version, .. } => {
            rotation.state = RotationState::Warm;
            rotation.to = Some(version.number);
            rotation.minted_at = Some(at);
            rotation.failure = None;
            rotation.attempt_locator.clear();
        }
        Event::RotationChecking { by, .. } => {
            rotation.state = RotationState::Checking;
            rotation.checked_by.clone_from(by);
        }
        Event::RotationChecked { seen, .. } => {
            rotation.checked_at = Some(at);
            rotation.check.clone_from(seen);
        }
        Event::RotationHandedOver { to, .. } => {
            rotation.handed_at = Some(at);
            rotation.handed_to.clone_from(to);
        }
        Event::RotationPromoted { until, gap_s, .. } => {
            rotation.state = if until.is_some() {
                RotationState::Overlapping
            } else {
                RotationState::Promoted
            };
            rotation.promoted_at = Some(at);
            rotation.overlap_until = *until;
            rotation.gap_s = *gap_s;
            rotation.deadline = None;
        }
        Event::RotationGoingBack {
            by,
            setback,
            reason,
            ..
        } => {
            rotation.going_back = Some(Return {
                by: by.clone(),
                setback: *setback,
                reason: reason.clone(),
                done_at: None,
            });
        }
        Event::RotationPutBack { to, until, .. } => {
            rotation.handed_to.clone_from(to);
            rotation.overlap_until = Some(*until);
            if let Some(back) = &mut rotation.going_back {
                back.done_at = Some(at);
            }
        }
        Event::RotationExtended { until, .. } => {
            rotation.extended_until = Some(*until);
            rotation.deadline = rotation.deadline.map(|deadline| deadline.max(*until));
        }
        Event::RotationRolledBack {
            setback, reason, ..
        } => ended(rotation, RotationState::RolledBack, *setback, reason),
        Event::RotationFailed {
            setback, reason, ..
        } => ended(rotation, RotationState::Failed, *setback, reason),
        Event::RotationCompleted { .. } => {
            rotation.state = RotationState::Completed;
            rotation.ended_at = Some(at);
        }
        _ => {}
    }
}
