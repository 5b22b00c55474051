//! A year of a fleet in seconds, on the rules alone and a clock of its own: 2,000 credentials under the policy that
//! ships, with freeze windows; once when nothing fails, and once with outages, broken versions, people who come late
//! and secrets that leak.

use crate::{invariants::Watch, world::*};
use chrono::{DateTime, Duration, Utc};
use countersign::{
    domain::{
        Cause, Command, CredentialId, Environment, Event, MintedVersion, Recorded, Refusal,
        RevocationId, RotationId, RotationRules, RotationState, State, Tier, VersionState,
        decide::{self, decide},
    },
    policy::Bundle,
    secret::digest_of_bytes,
};
use std::collections::{BTreeMap, BTreeSet};

const FLEET: usize = 2_000;
const TICK: Duration = Duration::minutes(30);

/// The same numbers in every run.
struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % limit
    }

    fn one_in(&mut self, many: u64) -> bool {
        self.below(many) == 0
    }
}

struct Year {
    state: State,
    watch: Watch,
    now: DateTime<Utc>,
    fresh: u128,
    chance: Chance,
    /// Whether anything fails at all.
    rough: bool,
    /// When somebody takes what waits for them.
    takes: BTreeMap<RotationId, DateTime<Utc>>,
    /// When the older version was used for the last time.
    used: BTreeMap<RotationId, DateTime<Utc>>,
    /// What was fenced at some time.
    fenced: BTreeSet<CredentialId>,
    events: usize,
}

impl Year {
    fn new(rough: bool) -> Self {
        let world = World::new();
        let mut year = Self {
            state: world.state.clone(),
            watch: Watch::default(),
            now: world.now,
            fresh: 1 << 64,
            chance: Chance(0x9e37_79b9_7f4a_7c15),
            rough,
            takes: BTreeMap::new(),
            used: BTreeMap::new(),
            fenced: BTreeSet::new(),
            events: 0,
        };
        let bundle = Bundle::shipped();
        let rules = RotationRules {
            policy: bundle.rotation().clone(),
            issuers: vec!["keys".into()],
            version: 1,
            digest: digest_of_bytes(b"policy"),
        };
        year.given(BROKER, Command::SetRotationRules(Box::new(rules.clone())));
        let mut world = world;
        for number in 0..FLEET {
            let mut held = adopted(&mut world, &format!("fleet/key-{number}"));
            held.tier = Tier::ALL[number % 4];
            if number % 3 == 2 {
                held.environment = Environment::Development;
                held.client = LAB;
            }
            // Nothing is overdue when the year begins.
            let cadence_s = rules
                .policy
                .schedule((&held).into())
                .unwrap()
                .cadence_s
                .unwrap();
            let age = Duration::seconds(year.chance.below(cadence_s * 7 / 10) as i64);
            let life = Duration::days(if number % 3 == 2 { 365 } else { 400 });
            let version = &mut held.versions[0];
            version.created_at = year.now - age;
            version.expires_at = Some(year.now - age + life);
            year.given(by(ROOT), Command::Adopt(Box::new(held)));
        }
        year
    }

    fn bits(&mut self) -> u128 {
        self.fresh += 1;
        self.fresh
    }

    fn revocation(&mut self) -> RevocationId {
        RevocationId::from_bits(self.bits())
    }

    fn given(&mut self, actor: countersign::domain::Actor, command: Command) {
        let name = command.name();
        if let Err(refusal) = self.act(actor, command) {
            panic!("given {name}: {refusal}");
        }
    }

    /// Decides and folds as the writer does, and looks at whatever was touched.
    fn act(
        &mut self,
        actor: countersign::domain::Actor,
        command: Command,
    ) -> Result<usize, Refusal> {
        let context = countersign::domain::Context {
            now: self.now,
            actor,
            from: None,
            request_id: "r".into(),
            trace: None,
            idempotency: None,
            if_match: None,
        };
        let events = decide(&self.state, &command, &context)?;
        let mut touched = BTreeSet::new();
        let count = events.len();
        self.events += count;
        for event in events {
            self.watch.before(&self.state, &event, self.now);
            if let Event::CredentialQuarantined { credential, .. } = &event {
                self.fenced.insert(*credential);
            }
            touched.extend(of(&event));
            let recorded = Recorded {
                v: 1,
                origin: "example.com/log".into(),
                seq: self.state.sequence,
                ts: self.now,
                subject: event.subject().to_string(),
                actor: decide::stamp(&self.state, &context),
                request: Cause {
                    command: command.name().to_owned(),
                    id: "r".into(),
                    trace: None,
                    key: None,
                    body: None,
                },
                event,
                state: None,
            };
            self.state.apply(&recorded);
        }
        for id in touched {
            self.holds(id);
        }
        Ok(count)
    }

    /// The rules of ARCHITECTURE, for one credential.
    fn holds(&self, id: CredentialId) {
        let held = &self.state.credentials[&id];
        let count = |wanted| {
            let versions = held.versions.iter();
            versions.filter(|version| version.state == wanted).count()
        };
        assert!(
            count(VersionState::Active) <= 1,
            "two active of {}",
            held.name
        );
        assert!(count(VersionState::Warm) <= 1, "two warm of {}", held.name);
        // What is fenced does not rotate, and may have ended by the time it is released.
        if held.revoked.is_none() && !self.fenced.contains(&id) {
            assert!(
                held.versions
                    .iter()
                    .any(|version| version.accepted(self.now)),
                "{} has no version that works at {}",
                held.name,
                self.now
            );
        }
    }

    /// Whether the issuer is away: for three days in spring, and for an hour a week.
    fn outage(&self, began: DateTime<Utc>) -> bool {
        let since = self.now - began;
        self.rough
            && ((Duration::days(90)..Duration::days(93)).contains(&since)
                || since.num_hours() % 168 == 100)
    }

    fn tick(&mut self, began: DateTime<Utc>) {
        loop {
            let ids = (0..64)
                .map(|_| RotationId::from_bits(self.bits()))
                .collect();
            if self.act(BROKER, Command::RotateDue { ids }).unwrap() == 0 {
                break;
            }
            self.work(began);
        }
        self.work(began);
        self.people();
        self.overlaps();
        let revocations = (0..Command::SWEEP_LIMIT)
            .map(|_| self.revocation())
            .collect();
        self.given(BROKER, Command::Sweep { revocations });
        if self.rough {
            self.accidents();
        }
    }

    /// What the reactor does.
    fn work(&mut self, began: DateTime<Utc>) {
        let to_do: Vec<_> = self.state.rotations.to_do.iter().copied().collect();
        for rotation in to_do {
            for _ in 0..4 {
                if !self.step(rotation, began) {
                    break;
                }
            }
        }
    }

    fn step(&mut self, rotation: RotationId, began: DateTime<Utc>) -> bool {
        let held = self.state.rotations.all[&rotation].clone();
        let credential = self.state.credentials[&held.credential].clone();
        let revocation = self.revocation();
        let command = if held.out_of_step(&credential) {
            Command::SettleRotation {
                rotation,
                revocation,
            }
        } else {
            match held.state {
                RotationState::Due if self.outage(began) => return false,
                RotationState::Due => Command::StartMinting {
                    rotation,
                    attempt: held.attempts + 1,
                    locator: BTreeMap::new(),
                },
                RotationState::Minting if self.rough && self.chance.one_in(20) => {
                    Command::RecordMintingFailed {
                        rotation,
                        attempt: held.attempts,
                        reason: "503".into(),
                        last: self.chance.one_in(5),
                        revocation,
                    }
                }
                RotationState::Minting => {
                    let fresh = self.bits();
                    Command::RecordRotationMinted {
                        rotation,
                        attempt: held.attempts,
                        minted: Box::new(MintedVersion {
                            digest: Some(digest_of_bytes(&fresh.to_be_bytes())),
                            locator: BTreeMap::new(),
                            expires_at: None,
                            warnings: Vec::new(),
                        }),
                    }
                }
                RotationState::Warm => Command::StartCheck {
                    rotation,
                    by: "keys".into(),
                },
                RotationState::Checking if self.rough && self.chance.one_in(25) => {
                    Command::RecordCheckFailed {
                        rotation,
                        reason: "403".into(),
                        revocation,
                    }
                }
                RotationState::Checking => Command::RecordChecked {
                    rotation,
                    seen: "accepted".into(),
                },
                _ => return false,
            }
        };
        let checked = matches!(command, Command::RecordChecked { .. });
        let went_on = self.act(BROKER, command).is_ok();
        if checked && went_on {
            // Within half a day; where things go wrong, now and then in a fortnight.
            let hours = if self.rough && self.chance.one_in(30) {
                336
            } else {
                self.chance.below(12)
            };
            self.takes
                .insert(rotation, self.now + Duration::hours(hours as i64));
            return false;
        }
        went_on
    }

    fn people(&mut self) {
        let come: Vec<_> = (self.takes.iter())
            .filter(|(_, at)| **at <= self.now)
            .map(|(id, _)| *id)
            .collect();
        for rotation in come {
            self.takes.remove(&rotation);
            let to = String::from("kv/fleet");
            if self
                .act(BROKER, Command::RecordDelivered { rotation, to })
                .is_ok()
            {
                // Readers come over within two hours; some forget.
                let hours = if self.rough && self.chance.one_in(40) {
                    200
                } else {
                    self.chance.below(3)
                };
                self.used
                    .insert(rotation, self.now + Duration::hours(hours as i64));
            }
        }
    }

    fn overlaps(&mut self) {
        let overlapping: Vec<_> = self.state.rotations.overlapping.iter().copied().collect();
        for rotation in overlapping {
            let last = self.used.get(&rotation).copied();
            let last_used_at = last.map(|at| at.min(self.now));
            let revocation = self.revocation();
            let ended = self.act(
                BROKER,
                Command::EndOverlap {
                    rotation,
                    last_used_at,
                    revocation,
                },
            );
            if ended.is_ok() {
                self.used.remove(&rotation);
            }
        }
    }

    /// Somebody rolls back, a secret leaks, a version is revoked, something is fenced for a while.
    fn accidents(&mut self) {
        if !self.chance.one_in(8) {
            return;
        }
        let place = self.chance.below(FLEET as u64) as usize;
        let Some((&credential, held)) = self.state.credentials.iter().nth(place) else {
            return;
        };
        let development = held.environment == Environment::Development;
        let who = by(if development { ROOT } else { OPAL });
        let admin = by(ROOT);
        let reason = String::from("because");
        let revocation = self.revocation();
        let id = RotationId::from_bits(self.bits());
        let fenced = self.state.credentials[&credential].quarantined_at.is_some();
        let newest = self.state.credentials[&credential].versions.last();
        let overlaps = (self.state.rotations.of(credential))
            .is_some_and(|rotation| rotation.state == RotationState::Overlapping);
        let _refused = match self.chance.below(5) {
            0 => self.act(
                admin,
                Command::RollBack {
                    credential,
                    reason,
                    revocation,
                },
            ),
            1 => self.act(
                admin,
                Command::Rotate {
                    id,
                    credential,
                    cause: countersign::domain::RotationCause::Compromise,
                    reason,
                },
            ),
            // The newer one of two: the older one has to come back.
            2 if overlaps => self.act(
                admin,
                Command::Revoke {
                    id: revocation,
                    credential,
                    version: newest.map(|version| version.number),
                    reason,
                },
            ),
            _ if fenced => self.act(admin, Command::Release { credential, reason }),
            3 => self.act(who, Command::Quarantine { credential, reason }),
            _ => Ok(0),
        };
    }

    fn run(&mut self) {
        let began = self.now;
        let mut day = 0;
        while self.now < began + Duration::days(365) {
            self.now += TICK;
            self.tick(began);
            if (self.now - began).num_days() / 7 > day {
                day = (self.now - began).num_days() / 7;
                self.watch.check(&self.state);
            }
        }
        self.watch.check(&self.state);
    }
}

/// The credential that an event is about.
fn of(event: &Event) -> Option<CredentialId> {
    match event.subject() {
        countersign::domain::event::Subject::Credential(id) => Some(id),
        _ => match event {
            Event::RevocationEffective { revocation } => Some(revocation.credential),
            Event::RotationMinted { credential, .. }
            | Event::RotationExtended { credential, .. } => Some(*credential),
            _ => None,
        },
    }
}

#[test]
fn all_that_is_due_in_a_year_ends_on_schedule_when_nothing_fails() {
    let mut year = Year::new(false);
    year.run();
    let totals = &year.state.rotations.totals;
    println!("{} events: {totals:?}", year.events);
    assert!(totals.promoted > 5_000, "{totals:?}");
    assert_eq!(totals.late, 0, "every one on schedule");
    assert_eq!(totals.on_schedule, totals.promoted);
    assert!(totals.failed.is_empty() && totals.rolled_back.is_empty());
    assert_eq!((totals.extended, totals.downtime_s), (0, 0));
    // And nothing was forgotten.
    let (rules, _) = year.state.rotations.rules().unwrap();
    for credential in year.state.credentials.values() {
        let planned = rules.planned(credential).expect("it rotates");
        assert!(planned.late_at > year.now, "{} is overdue", credential.name);
    }
}

#[test]
fn in_a_rough_year_nothing_loses_its_last_working_version() {
    let mut year = Year::new(true);
    year.run();
    let totals = &year.state.rotations.totals;
    println!("{} events: {totals:?}", year.events);
    assert!(totals.promoted > 5_000, "{totals:?}");
    assert!(totals.failed.values().sum::<u64>() > 50, "{totals:?}");
    assert!(totals.rolled_back.values().sum::<u64>() > 100, "{totals:?}");
    assert!(totals.late > 0, "an outage of three days is late for some");
}
