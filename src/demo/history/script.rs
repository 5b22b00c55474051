//! The script: who does what when.

use super::{BY_REQUEST, Line, Service, Station, WEEKS};
use crate::{
    broker::{
        engine::{Engine, fresh_bits},
        evaluate::Asked,
        serve::new_operator,
    },
    demo::{
        company::{Company, Team, Variety},
        pens::{Agreed, Pens},
    },
    domain::{
        ApprovalId, Checked, Client, ClientId, Command, Credential, CredentialId, Decision, Digest,
        Environment, Kind, MintedVersion, OperatorId, Plan, RequestId, RevocationId, Role, SshKey,
        Text, Tier, Version, VersionState, event::UsageEntry, request::Outcome as PolicyOutcome,
        statement::LogHead,
    },
    secret::{SecretMaterial, digest_of, mint_token},
    ssh::PublicKey,
    wire::plan_digest,
};
use chrono::{DateTime, TimeDelta, Utc};
use std::collections::{BTreeMap, BTreeSet};

/// Writes the script.
pub(super) struct Author<'a> {
    company: &'a Company,
    pub(super) variety: Variety,
    pub(super) start: DateTime<Utc>,
    pub(super) now: DateTime<Utc>,
    pub(super) admin: OperatorId,
    pub(super) people: BTreeMap<String, OperatorId>,
    /// Everybody's key.
    pub(super) pens: Pens,
    head: LogHead,
    /// The services that were brought in.
    pub(super) services: Vec<Service>,
    /// The gateways that were brought in.
    pub(super) stations: Vec<Station>,
    pub(super) script: Vec<(DateTime<Utc>, Line)>,
    living: Vec<(CredentialId, DateTime<Utc>)>,
    /// What services hold: which, whose, since when and until when.
    pub(super) held: Vec<(CredentialId, OperatorId, DateTime<Utc>, DateTime<Utc>)>,
}

impl<'a> Author<'a> {
    /// Nothing is written yet. The same seed writes the same script.
    pub(super) fn new(
        company: &'a Company,
        seed: u64,
        admin: OperatorId,
        now: DateTime<Utc>,
        head: LogHead,
    ) -> Self {
        Self {
            company,
            variety: Variety::new(seed),
            start: now - WEEKS,
            now,
            admin,
            people: BTreeMap::new(),
            pens: Pens::default(),
            head,
            services: Vec::new(),
            stations: Vec::new(),
            script: Vec::new(),
            living: Vec::new(),
            held: Vec::new(),
        }
    }

    /// What those who sign from here on have verified of the log.
    pub(super) fn verified(&mut self, head: LogHead) {
        self.head = head;
    }

    /// What was written since, in the order of time.
    pub(super) fn script(&mut self) -> Vec<(DateTime<Utc>, Line)> {
        self.script.sort_by_key(|(at, _)| *at);
        std::mem::take(&mut self.script)
    }

    pub(super) fn act(&mut self, at: DateTime<Utc>, by: OperatorId, command: Command) {
        self.script.push((at, Line::Do(by, Box::new(command))));
    }

    /// A moment between `from` and `to` seconds after `at`.
    fn after(&mut self, at: DateTime<Utc>, from: u64, to: u64) -> DateTime<Utc> {
        at + TimeDelta::milliseconds(self.variety.between(from * 1_000, to * 1_000) as i64)
    }

    pub(super) fn enrol(&mut self) -> ((String, SecretMaterial), (String, SecretMaterial)) {
        let (start, ends) = (self.start, self.now + TimeDelta::days(30));
        let mut approvers = Vec::new();
        for person in &self.company.person.clone() {
            let token = mint_token("opr");
            let roles = everywhere(&person.roles);
            let groups = person.groups.iter().cloned().collect();
            let operator = new_operator(
                &person.name,
                &person.display_name,
                start,
                roles,
                groups,
                &token,
                ends,
            );
            self.people.insert(person.name.clone(), operator.id);
            self.act(
                start,
                self.admin,
                Command::EnrolOperator(Box::new(operator)),
            );
            let key = self.pens.cut(&person.name);
            let operator = self.people[&person.name];
            self.act(
                start,
                self.admin,
                enrol_key(operator, self.admin, key.public(), start),
            );
            if person.roles.contains(&Role::Approver) && person.roles.contains(&Role::Operator) {
                approvers.push((person.name.clone(), token));
            }
        }
        for team in self.company.team.clone() {
            for (place, service) in team.services.iter().enumerate() {
                self.service(&team, service, Environment::Production);
                if place % 2 == 0 {
                    self.service(&team, service, Environment::Staging);
                }
                if place % 3 == 0 {
                    self.service(&team, service, Environment::Development);
                }
            }
        }
        let mut approvers = approvers.into_iter();
        let missing = "the shipped company has two people on call who approve; a test reads it";
        (
            approvers.next().expect(missing),
            approvers.next().expect(missing),
        )
    }

    fn service(&mut self, team: &Team, service: &str, environment: Environment) {
        let (start, ends) = (self.start, self.now + TimeDelta::days(30));
        let name = match environment {
            Environment::Production => service.to_owned(),
            other => format!("{service}-{}", other.short().to_ascii_lowercase()),
        };
        let client = ClientId::from_bits(fresh_bits(start));
        self.act(
            start,
            self.admin,
            Command::OnboardClient(Box::new(Client {
                id: client,
                name: name.clone(),
                owner: team.name.clone(),
                contact: format!("#{}-on-call", team.name),
                environment,
                tier: team.tier,
                dependents: team
                    .services
                    .iter()
                    // Those named before it, so that nothing depends on itself by way of another.
                    .take_while(|other| *other != service)
                    .take(2)
                    .cloned()
                    .collect(),
                offboarded_at: None,
                sequence: 0,
            })),
        );
        let token = mint_token("opr");
        let roles = BTreeMap::from([(environment, BTreeSet::from([Role::Requester]))]);
        let mut robot = new_operator(
            &format!("svc-{name}"),
            "",
            start,
            roles,
            BTreeSet::new(),
            &token,
            ends,
        );
        robot.robot = true;
        robot.client = Some(client);
        let operator = robot.id;
        self.act(start, self.admin, Command::EnrolOperator(Box::new(robot)));
        self.services.push(Service {
            operator,
            token,
            client,
            name,
            environment,
            team: team.clone(),
        });
    }

    /// A plan that one of the services might have.
    fn plan(&mut self, serial: usize) -> (usize, Plan) {
        let place = self.variety.below(self.services.len() as u64) as usize;
        let service = &self.services[place];
        let (client, environment, name, team) = (
            service.client,
            service.environment,
            service.name.clone(),
            service.team.clone(),
        );
        let mut scopes = BTreeSet::new();
        for _ in 0..self.variety.between(1, 4) {
            scopes.insert(self.variety.of(&team.scopes).clone());
        }
        let days = *self.variety.of(&[1, 3, 7, 14, 30, 30, 60, 90]);
        let plan = Plan {
            credential: format!("{}/{name}-{serial:04}", team.name),
            environment,
            kind: Kind::ApiKey,
            issuer: "countersign".into(),
            role: String::new(),
            client,
            audience: format!("https://{}.example", team.name),
            scopes: scopes.into_iter().collect(),
            ttl_s: days * 86_400,
            destination: None,
        };
        (place, plan)
    }

    fn submission(
        &mut self,
        engine: &Engine,
        place: usize,
        plan: Plan,
        at: DateTime<Utc>,
    ) -> (RequestId, PolicyOutcome, u8, Command) {
        let reason = self.variety.of(&self.company.words.reasons).clone();
        let service = &self.services[place];
        let (operator, team) = (service.operator, service.team.clone());
        let asked = Asked {
            plan: &plan,
            requester: operator,
            reason: &reason,
            tags: &team.tags,
            break_glass: false,
        };
        let (facts, evaluation) = engine.evaluate(&asked, at);
        let needed = evaluation.quorum.as_ref().map_or(0, |quorum| quorum.count);
        let outcome = evaluation.outcome;
        let id = RequestId::from_bits(fresh_bits(at));
        let command = Command::SubmitRequest {
            id,
            digest: plan_digest(&plan),
            plan,
            reason,
            owner: team.name.clone(),
            tags: team.tags,
            evaluation: Box::new(evaluation),
            facts: Box::new(facts),
        };
        (id, outcome, needed, command)
    }

    /// Requests over the weeks, most of them approved, issued and claimed.
    pub(super) fn requests(&mut self, engine: &Engine, count: usize) {
        let span = (WEEKS - TimeDelta::hours(3)).num_seconds() as u64;
        for serial in 0..count {
            let asked =
                self.start + TimeDelta::seconds(3_600 + self.variety.below(span - 3_600) as i64);
            let (place, plan) = self.plan(serial);
            let ttl_s = plan.ttl_s;
            let (id, outcome, needed, command) = self.submission(engine, place, plan, asked);
            let asker = self.services[place].operator;
            self.act(asked, asker, command.clone());
            let mut decided = asked;
            match outcome {
                PolicyOutcome::Deny => continue,
                PolicyOutcome::Allow => {}
                PolicyOutcome::Needs => {
                    if self.variety.chance(4) {
                        continue; // nobody decided in time
                    }
                    decided = self.after(asked, 40, 1_500);
                    let deciders = ["maya.k", "tomo.s", "ana.r"];
                    let first = self.variety.below(3) as usize;
                    if self.variety.chance(8) {
                        self.deny(&command, deciders[first], decided);
                        continue;
                    }
                    for turn in 0..usize::from(needed) {
                        self.approve(&command, deciders[(first + turn) % 3], decided);
                        if turn + 1 < usize::from(needed) {
                            decided = self.after(decided, 20, 900);
                        }
                    }
                }
            }
            self.issue(id, asker, decided, ttl_s);
        }
    }

    /// Somebody approves what `submitted` asks for, signed where policy wants that.
    fn approve(&mut self, submitted: &Command, by: &str, at: DateTime<Utc>) {
        let reason = self.variety.of(&self.company.words.approvals).clone();
        let Some((request, digest, checked)) =
            self.signed(submitted, by, Decision::Approve, &reason, at)
        else {
            return;
        };
        let command = Command::Approve {
            request,
            approval: ApprovalId::from_bits(fresh_bits(at)),
            digest,
            checked,
            reason,
        };
        self.act(at, self.people[by], command);
    }

    /// Somebody denies what `submitted` asks for, signed where policy wants that.
    fn deny(&mut self, submitted: &Command, by: &str, at: DateTime<Utc>) {
        let reason = self.variety.of(&self.company.words.denials).clone();
        let Some((request, digest, checked)) =
            self.signed(submitted, by, Decision::Deny, &reason, at)
        else {
            return;
        };
        let command = Command::Deny {
            request,
            digest,
            reason,
            revocation: RevocationId::from_bits(fresh_bits(at)),
            unsigned: checked.is_none(),
            checked,
        };
        self.act(at, self.people[by], command);
    }

    fn signed(
        &self,
        submitted: &Command,
        by: &str,
        decision: Decision,
        reason: &str,
        at: DateTime<Utc>,
    ) -> Option<(RequestId, Digest, Option<Box<Checked>>)> {
        let Command::SubmitRequest {
            id,
            plan,
            digest,
            evaluation,
            ..
        } = submitted
        else {
            return None;
        };
        let agreed = Agreed {
            by,
            decision,
            request: *id,
            plan,
            digest: *digest,
            evaluation,
            reason,
            at,
        };
        Some((*id, *digest, self.pens.sign(&self.head, &agreed)))
    }

    fn issue(
        &mut self,
        request: RequestId,
        asker: OperatorId,
        approved: DateTime<Utc>,
        ttl_s: u64,
    ) {
        let credential = CredentialId::from_bits(fresh_bits(approved));
        let minted_at = approved + TimeDelta::milliseconds(self.variety.between(8, 90) as i64);
        let minted = MintedVersion {
            digest: Some(digest_of(mint_token("demo").expose())),
            locator: BTreeMap::new(),
            expires_at: None,
            warnings: Vec::new(),
        };
        self.script.push((
            minted_at,
            Line::Follow(vec![
                Command::StartIssuance {
                    request,
                    attempt: 1,
                    locator: BTreeMap::new(),
                },
                Command::RecordMinted {
                    request,
                    attempt: 1,
                    credential,
                    minted: Box::new(minted),
                },
            ]),
        ));
        if self.variety.chance(97) {
            let claimed = self.after(minted_at, 1, 400);
            self.act(claimed, asker, Command::Claim { request });
            let ends = claimed.min(self.now) + TimeDelta::seconds(ttl_s as i64);
            self.living.push((credential, ends));
            self.held.push((credential, asker, claimed, ends));
        }
    }

    /// What was there before Countersign came, and the bulk of a large fleet.
    pub(super) fn adoptions(&mut self, count: usize) {
        for serial in 0..count {
            let at = self.start + TimeDelta::seconds(600 + (serial as i64 * 7) % 3_000);
            let legacy =
                &self.company.legacy[self.variety.below(self.company.legacy.len() as u64) as usize];
            let stem = self.variety.of(&legacy.names).clone();
            let place = self.variety.below(self.services.len() as u64) as usize;
            let service = &self.services[place];
            let (client, environment, team) =
                (service.client, service.environment, service.team.clone());
            let cadence_s = [30, 90, 90, 180, 365][self.variety.below(5) as usize] * 86_400;
            let mut age = self.variety.between(1, 300 * 24);
            if self.variety.chance(96) {
                // Most are younger than their cadence asks for by the time the console opens; a few are not.
                age %= (cadence_s / 3_600 - 22 * 24).max(24);
            }
            let issued_at = at - TimeDelta::hours(age as i64);
            let never = legacy.kind == Kind::ApiKey && self.variety.chance(16);
            let left = match self.variety.below(100) {
                0..=3 => self.variety.between(1, 40) * 60,
                4..=12 => self.variety.between(1, 24) * 3_600,
                13..=30 => self.variety.between(1, 7) * 86_400,
                31..=70 => self.variety.between(7, 30) * 86_400,
                71..=92 => self.variety.between(30, 90) * 86_400,
                _ => self.variety.between(90, 300) * 86_400,
            };
            let expires_at = (!never).then(|| self.now + TimeDelta::seconds(left as i64));
            let id = CredentialId::from_bits(fresh_bits(at));
            let digest = digest_of_serial(serial, self.variety.bits());
            let locator = if legacy.kind == Kind::VaultLease {
                BTreeMap::from([(
                    "lease_id".to_owned(),
                    format!("database/creds/{stem}/{serial:06}"),
                )])
            } else {
                BTreeMap::new()
            };
            let credential = Credential {
                id,
                name: format!("{}/{stem}-{serial:04}", team.name).into(),
                environment,
                kind: legacy.kind,
                issuer: (&legacy.issuer).into(),
                role: Text::default(),
                client,
                owner: if self.variety.chance(2) {
                    "nobody".into()
                } else {
                    (&team.name).into()
                },
                audience: format!("https://{}.example", team.name).into(),
                scopes: [self.variety.of(&team.scopes)].into(),
                tier: if environment == Environment::Production {
                    team.tier
                } else {
                    Tier::Low
                },
                tags: team.tags.iter().collect(),
                created_at: issued_at,
                cadence_s: (!never).then_some(cadence_s),
                versions: vec![Version {
                    number: 1,
                    state: VersionState::Active,
                    digest: Some(digest),
                    locator,
                    request: None,
                    created_at: issued_at,
                    expires_at,
                    retires_at: None,
                    delivery: None,
                }],
                quarantined_at: None,
                revoked: None,
                confirmed: None,
                destination: None,
                sequence: 0,
                trail: Vec::new(),
            };
            if serial < BY_REQUEST {
                self.living
                    .push((id, expires_at.unwrap_or(self.now + TimeDelta::days(999))));
            }
            self.act(at, self.admin, Command::Adopt(Box::new(credential)));
        }
    }

    /// Leaks, lost laptops, services taken down.
    pub(super) fn incidents(&mut self) {
        let on_call = [self.people["ravi.p"], self.people["maya.k"]];
        for turn in 0..self.living.len() / 24 {
            let (credential, _) = *self.variety.of(&self.living);
            let hours = self.variety.between(2, 20 * 24);
            let at = self.now - TimeDelta::hours(hours as i64);
            let reason = self.variety.of(&self.company.words.revocations).clone();
            let by = *self.variety.of(&on_call);
            let command = if turn % 6 == 5 {
                Command::Quarantine { credential, reason }
            } else {
                let id = RevocationId::from_bits(fresh_bits(at));
                Command::Revoke {
                    id,
                    credential,
                    version: None,
                    reason,
                }
            };
            self.act(at, by, command);
        }
    }

    /// Most credentials are used every day; some have not been for weeks.
    pub(super) fn use_of_everything(&mut self) {
        let used: Vec<_> = (0..self.living.len())
            .filter(|_| self.variety.chance(78))
            .collect();
        for day in 0..WEEKS.num_days() {
            let at = self.start + TimeDelta::days(day) + TimeDelta::hours(20);
            let mut entries = Vec::new();
            for &place in &used {
                let (credential, ends) = self.living[place];
                if at < ends && entries.len() < 600 {
                    let minutes = self.variety.between(1, 900) as i64;
                    entries.push(UsageEntry {
                        credential,
                        accepted: self.variety.between(4, 2_000),
                        refused: u64::from(self.variety.chance(6)),
                        last_used_at: Some(at - TimeDelta::minutes(minutes)),
                    });
                }
            }
            for some in entries.chunks(300) {
                let command = Command::RollUpUsage {
                    hour: at,
                    entries: some.to_vec(),
                };
                self.script.push((at, Line::Follow(vec![command])));
            }
        }
    }

    /// What is due is settled as the weeks go by.
    pub(super) fn housekeeping(&mut self) {
        let mut at = self.start + TimeDelta::hours(2);
        while at < self.now {
            let revocations = (0..Command::SWEEP_LIMIT)
                .map(|_| RevocationId::from_bits(fresh_bits(at)))
                .collect();
            self.script
                .push((at, Line::Follow(vec![Command::Sweep { revocations }])));
            at += TimeDelta::minutes(40);
        }
    }

    /// What waits for a decision when the console opens.
    pub(super) fn queue(&mut self, engine: &Engine) {
        let mut waiting = 0;
        for serial in 9_000..9_400 {
            if waiting == 7 {
                return;
            }
            let minutes = [4, 11, 23, 55, 130, 222, 229][waiting];
            let asked = self.now - TimeDelta::minutes(minutes);
            let (place, plan) = self.plan(serial);
            let (_, outcome, needed, command) = self.submission(engine, place, plan, asked);
            if outcome != PolicyOutcome::Needs {
                continue;
            }
            self.act(asked, self.services[place].operator, command.clone());
            if needed > 1 && waiting % 3 == 1 {
                let at = asked + TimeDelta::seconds(90);
                self.approve(&command, "tomo.s", at);
            }
            waiting += 1;
        }
    }
}

fn enrol_key(
    operator: OperatorId,
    admin: OperatorId,
    key: &PublicKey,
    at: DateTime<Utc>,
) -> Command {
    Command::EnrolKey {
        operator,
        key: SshKey {
            fingerprint: key.fingerprint(),
            public_key: key.line(),
            hardware: key.algorithm().in_hardware(),
            enrolled_by: admin,
            enrolled_at: at,
            valid_from: None,
            countersigned_by: None,
        },
    }
}

fn everywhere(roles: &[Role]) -> BTreeMap<Environment, BTreeSet<Role>> {
    Environment::ALL
        .iter()
        .map(|&environment| (environment, roles.iter().copied().collect()))
        .collect()
}

/// A digest that no secret is known for: these keys exist elsewhere.
fn digest_of_serial(serial: usize, salt: u64) -> Digest {
    digest_of(&format!("adopted {serial} {salt}"))
}
