//! What must never be so, whatever was asked for in whatever order. Written against the public face of the state
//! alone, and without the rules' own helpers.

use chrono::{DateTime, Utc};
use countersign::{
    broker::leaf,
    domain::{
        CredentialId, Enforcement, Environment, Event, GatewayId, Profile, Proof, Proposal,
        ProposalState, Request, RequestId, RequestState, RevocationId, Role, RotationId,
        RotationState, State, StepUp, VersionState,
        request::Outcome,
        revocation::{Applied, Evidence},
        state::Due,
    },
};
use std::collections::{BTreeMap, BTreeSet};

/// What was so before and may not change.
#[derive(Default)]
pub struct Watch {
    over: BTreeMap<(CredentialId, u32), VersionState>,
    ended: BTreeMap<RequestId, RequestState>,
    claims: BTreeSet<RequestId>,
    begun: BTreeSet<RequestId>,
    delivered: BTreeSet<RequestId>,
    mints: BTreeSet<RequestId>,
    applied: BTreeMap<(RevocationId, GatewayId), Applied>,
    rotated: BTreeSet<RotationId>,
    handed: BTreeSet<RotationId>,
    extended: BTreeSet<(CredentialId, u32)>,
    rotations_over: BTreeMap<RotationId, RotationState>,
    now: DateTime<Utc>,
}

impl Watch {
    /// Before an event of this time is folded: whether it may happen at all.
    pub fn before(&mut self, state: &State, event: &Event, now: DateTime<Utc>) {
        self.now = now;
        match event {
            Event::IssuanceStarted { request, .. } => {
                people_stand_behind(state, &state.requests[request])
            }
            Event::VersionMinted { request, .. } => {
                people_stand_behind(state, &state.requests[request]);
                assert!(self.mints.insert(*request), "{request} was minted twice");
            }
            Event::PolicyInForce { proposal, version } => {
                let held = &state.proposals[proposal];
                people_stand_behind_policy(state, held);
                assert_eq!(held.base, state.policy_version(), "compared with another");
                assert_eq!(*version, held.base + 1, "versions count up");
            }
            Event::RequestEvaluated { evaluation, .. } => {
                let in_force = state.policy_version().to_string();
                assert_eq!(evaluation.policy_version, in_force, "decided by another");
            }
            Event::CredentialConfirmed { by, .. } => {
                let person = state.operators.values().find(|held| held.name == *by);
                assert!(
                    person.is_some_and(|held| !held.robot && held.offboarded_at.is_none()),
                    "confirmed by {by}"
                );
            }
            Event::VersionRetired {
                credential,
                version,
            } => {
                let held = &state.credentials[credential];
                assert!(
                    held.versions.iter().any(|other| other.number != *version
                        && other.state == VersionState::Active
                        && other.accepted(self.now)),
                    "{} loses its last working version",
                    held.name
                );
            }
            Event::RotationMinted { rotation, .. } => {
                let held = &state.rotations.all[rotation];
                assert_eq!(held.state, RotationState::Minting, "{held:?}");
                assert!(self.rotated.insert(*rotation), "{rotation} was made twice");
            }
            Event::RotationPromoted { rotation, .. } => {
                let held = &state.rotations.all[rotation];
                assert!(held.checked_at.is_some(), "{rotation} was not checked");
            }
            Event::RotationGoingBack { rotation, .. } => {
                let held = &state.rotations.all[rotation];
                assert!(held.going_back.is_none(), "{held:?} goes back already");
            }
            Event::RotationPutBack { rotation, .. } => {
                let held = &state.rotations.all[rotation];
                let credential = &state.credentials[&held.credential];
                let both = [Some(held.from), held.to].map(|number| {
                    credential
                        .version(number.unwrap())
                        .unwrap()
                        .accepted(self.now)
                });
                assert_eq!(both, [true, true], "{held:?}");
            }
            Event::RotationHandedOver { rotation, .. } => {
                assert!(self.handed.insert(*rotation), "{rotation} left twice");
            }
            Event::RotationExtended {
                credential,
                version,
                ..
            } => {
                let place = (*credential, *version);
                assert!(self.extended.insert(place), "{place:?} was extended twice");
            }
            Event::RequestClaimed { request, by } => {
                assert!(self.claims.insert(*request), "{request} was claimed twice");
                assert_eq!(state.requests[request].requester, *by, "claimed by another");
                let to = &state.requests[request].plan.destination;
                assert!(to.is_none(), "{request} was claimed and has a destination");
            }
            Event::DeliveryStarted { request, to, .. } => {
                assert!(self.begun.insert(*request), "{request} was begun twice");
                let signed = state.requests[request].plan.destination.as_ref();
                assert_eq!(signed, Some(to), "{request} goes where nobody signed for");
            }
            Event::RequestDelivered { request, .. } => {
                assert!(
                    self.begun.contains(request),
                    "{request} left before it was logged"
                );
                let first = self.delivered.insert(*request);
                assert!(first, "{request} was delivered twice");
            }
            _ => {}
        }
        no_secret(&serde_json::to_value(event).unwrap());
    }

    /// After a command: everything that must always be so.
    pub fn check(&mut self, state: &State) {
        crate::tokens::check(state);
        for credential in state.credentials.values() {
            let count = |wanted| {
                credential
                    .versions
                    .iter()
                    .filter(|held| held.state == wanted)
                    .count()
            };
            assert!(
                count(VersionState::Active) <= 1,
                "two active versions of {}",
                credential.name
            );
            assert!(
                count(VersionState::Warm) <= 1,
                "two warm versions of {}",
                credential.name
            );
            assert!(
                credential
                    .versions
                    .windows(2)
                    .all(|pair| pair[0].number + 1 == pair[1].number),
                "numbers do not ascend"
            );
            for version in &credential.versions {
                let place = (credential.id, version.number);
                if version.state == VersionState::Retiring {
                    assert!(
                        version.retires_at.is_some(),
                        "{place:?} retires without an end"
                    );
                }
                if credential.revoked.is_some() {
                    assert!(
                        !version.state.accepted(),
                        "{place:?} of a revoked credential is accepted"
                    );
                }
                if let Some(was) = self.over.get(&place) {
                    assert_eq!(*was, version.state, "{place:?} was over");
                } else if !version.state.accepted() {
                    self.over.insert(place, version.state);
                }
            }
        }
        for request in state.requests.values() {
            if let Some(was) = self.ended.get(&request.id) {
                assert_eq!(*was, request.state, "{} had ended", request.id);
            } else if request.state.ended() {
                self.ended.insert(request.id, request.state);
            }
            let counting = request
                .approvals
                .iter()
                .filter(|approval| approval.void.is_none() && approval.digest == request.digest);
            let people: BTreeSet<_> = counting.clone().map(|approval| approval.by).collect();
            assert_eq!(people.len(), counting.count(), "somebody counts twice");
            // Or it would be tried, and refused, for ever.
            if request.state == RequestState::Approved {
                people_stand_behind(state, request);
            }
        }
        for revocation in state.revocations.values() {
            let credential = &state.credentials[&revocation.credential];
            for reach in &revocation.reach {
                let gateway = &state.gateways[&reach.gateway];
                assert_eq!(gateway.environment, credential.environment);
                let Some(applied) = reach.applied else {
                    assert!(
                        gateway.removed_at.is_none(),
                        "nothing waits for what is gone"
                    );
                    assert_eq!(reach.proven_at, None, "proven before it was applied");
                    continue;
                };
                let earliest = match (gateway.profile, applied.by) {
                    (_, Evidence::Removed) => revocation.effective_at,
                    (Profile::Receiver, by) => {
                        assert_eq!(by, Evidence::Acknowledged, "a receiver says so itself");
                        revocation.effective_at
                    }
                    (_, Evidence::Asks) => {
                        assert_eq!(gateway.cache_s, 0, "it may believe an older answer");
                        revocation.effective_at
                    }
                    (_, Evidence::CacheEnded) => {
                        let cache = chrono::Duration::seconds(gateway.cache_s as i64);
                        revocation.effective_at + cache
                    }
                    (_, Evidence::Acknowledged) => revocation.effective_at,
                };
                assert!(applied.at >= earliest, "applied before it could be");
                let place = (revocation.id, reach.gateway);
                let was = *self.applied.entry(place).or_insert(applied);
                assert_eq!(was, applied, "what was applied stays so");
            }
        }
        for rotation in state.rotations.all.values() {
            if let Some(was) = self.rotations_over.get(&rotation.id) {
                assert_eq!(*was, rotation.state, "{} had ended", rotation.id);
            } else if rotation.state.ended() {
                self.rotations_over.insert(rotation.id, rotation.state);
            }
        }
        let deciding: Vec<_> = state
            .proposals
            .values()
            .filter(|held| held.state == ProposalState::InForce)
            .map(|held| held.id)
            .collect();
        assert!(deciding.len() <= 1, "several policies are in force");
        assert_eq!(
            deciding.first().copied(),
            state.policy_in_force().map(|held| held.id)
        );
        indices(state);
    }
}

/// Enough distinct people who may, none of them who proposed it, each for this very text. The last approval is the
/// event before, so that it is in the state already.
fn people_stand_behind_policy(state: &State, proposal: &Proposal) {
    let people: BTreeSet<_> = proposal
        .approvals
        .iter()
        .filter(|approval| approval.digest == proposal.digest && approval.by != proposal.proposer)
        .filter_map(|approval| state.operators.get(&approval.by))
        .filter(|person| {
            !person.robot
                && person.offboarded_at.is_none()
                && person
                    .roles
                    .get(&countersign::domain::Environment::Production)
                    .is_some_and(|roles| roles.contains(&Role::Approver))
                && proposal
                    .quorum
                    .groups
                    .iter()
                    .any(|group| person.groups.contains(group))
        })
        .map(|person| person.id)
        .collect();
    assert!(
        proposal.quorum.count >= 1 && people.len() >= usize::from(proposal.quorum.count),
        "{} comes in force with {} of {} people behind it",
        proposal.id,
        people.len(),
        proposal.quorum.count
    );
}

fn people_stand_behind(state: &State, request: &Request) {
    let evaluation = request.evaluation.as_ref().expect("evaluated");
    if let Some(glass) = &request.break_glass {
        assert_eq!(glass.by, request.requester, "another broke the glass");
        assert!(evaluation.review.is_some(), "nobody owes it a look");
        assert!(
            matches!(glass.proof, Proof::SshSignature(_)),
            "an unsigned emergency"
        );
        return;
    }
    let quorum = match evaluation.outcome {
        Outcome::Allow => return,
        Outcome::Deny => panic!("{} was denied by policy and is issued", request.id),
        Outcome::Needs => evaluation.quorum.as_ref().expect("needs a quorum"),
    };
    let people: BTreeSet<_> = request
        .approvals
        .iter()
        .filter(|approval| {
            approval.void.is_none()
                && approval.digest == request.digest
                && approval.by != request.requester
        })
        .filter_map(|approval| Some((approval, state.operators.get(&approval.by)?)))
        .filter(|(approval, person)| match &approval.proof {
            Proof::Token { .. } => evaluation.step_up == StepUp::None,
            Proof::SshSignature(signed) => {
                (signed.hardware || evaluation.step_up != StepUp::HardwareKey)
                    && (signed.certificate || person.ssh_key(&signed.fingerprint).is_some())
            }
        })
        .map(|(_, person)| person)
        .filter(|person| {
            !person.robot
                && person.offboarded_at.is_none()
                && person.client != Some(request.plan.client)
                && person
                    .roles
                    .get(&request.plan.environment)
                    .is_some_and(|roles| roles.contains(&Role::Approver))
                && quorum
                    .groups
                    .iter()
                    .any(|group| person.groups.contains(group))
        })
        .map(|person| person.id)
        .collect();
    assert!(
        quorum.count >= 1 && people.len() >= usize::from(quorum.count),
        "{} is issued with {} of {} people behind it",
        request.id,
        people.len(),
        quorum.count
    );
}

/// Every index says what the objects say, no more and no less.
pub fn indices(state: &State) {
    let mut due = BTreeSet::new();
    let mut open = BTreeMap::new();
    for request in state.requests.values() {
        let waits = matches!(
            request.state,
            RequestState::AwaitingApproval | RequestState::Held
        );
        let glass = request.break_glass.as_ref();
        let owed = glass.filter(|glass| glass.reviewed_at.is_none());
        if let Some(glass) = owed {
            due.insert((glass.review_by, Due::Review(request.id)));
        }
        assert_eq!(
            state.awaiting.contains(&request.id),
            waits || owed.is_some()
        );
        let to_issue = matches!(
            request.state,
            RequestState::Approved | RequestState::Issuing
        );
        assert_eq!(state.to_issue.contains(&request.id), to_issue);
        let to_deliver =
            request.state == RequestState::Issued && request.plan.destination.is_some();
        assert_eq!(state.to_deliver.contains(&request.id), to_deliver);
        if waits || request.state == RequestState::Issued {
            due.insert((
                request.deadline.expect("a deadline"),
                Due::Request(request.id),
            ));
        }
        let name = (request.plan.environment, request.plan.credential.as_str());
        let slot = open.entry(name).or_insert(None);
        if !request.state.ended() {
            assert_eq!(*slot, None, "two open requests for {name:?}");
            *slot = Some(request.id);
        }
    }
    for ((environment, name), id) in open {
        assert_eq!(state.open_request_for(environment, name), id);
    }
    for proposal in state.proposals.values() {
        if proposal.state == ProposalState::AwaitingApproval {
            due.insert((proposal.deadline, Due::Proposal(proposal.id)));
        }
    }
    for credential in state.credentials.values() {
        let named = state.credential_named(credential.environment, &credential.name);
        assert_eq!(named.map(|found| found.id), Some(credential.id));
        for version in &credential.versions {
            if let Some(digest) = &version.digest {
                let (found, number) = state.credential_of(digest).expect("known by its digest");
                assert_eq!((found.id, number), (credential.id, version.number));
            }
            if let (true, Some(end)) = (version.state.accepted(), version.ends_at()) {
                due.insert((end, Due::Version(credential.id, version.number)));
            }
        }
    }
    let mut unapplied = BTreeSet::new();
    for revocation in state.revocations.values() {
        for reach in &revocation.reach {
            let gateway = &state.gateways[&reach.gateway];
            if reach.applied.is_some() {
                continue;
            }
            unapplied.insert((gateway.id, revocation.since, revocation.id));
            if gateway.profile != Profile::Receiver {
                let cache = chrono::Duration::seconds(gateway.cache_s as i64 + 1);
                due.insert((revocation.effective_at + cache, Due::Reach(revocation.id)));
            }
        }
    }
    rotation_lists(state, &mut due);
    assert_eq!(state.due.iter().copied().collect::<BTreeSet<_>>(), due);
    assert_eq!(state.unapplied().collect::<BTreeSet<_>>(), unapplied);
    for gateway in state.gateways.values() {
        if gateway.removed_at.is_none() {
            let named = state.gateway_named(&gateway.name);
            assert_eq!(named.map(|found| found.id), Some(gateway.id));
        } else {
            assert!(gateway.tokens.is_empty(), "it could still prove who it is");
        }
        for token in &gateway.tokens {
            let found = state.gateway_of_token(&token.digest);
            assert_eq!(found.map(|found| found.id), Some(gateway.id));
        }
    }
    for revocation in state.revocations.values() {
        let pending = matches!(revocation.enforcement, Enforcement::Pending { .. });
        assert_eq!(state.to_enforce.contains(&revocation.id), pending);
    }
    for client in state.clients.values() {
        assert_eq!(
            state.client_named(&client.name).map(|found| found.id),
            Some(client.id)
        );
    }
    for operator in state.operators.values() {
        assert_eq!(
            state.operator_named(&operator.name).map(|found| found.id),
            Some(operator.id)
        );
        assert!(operator.offboarded_at.is_none() || operator.authenticators.is_empty());
        for token in operator.tokens() {
            assert_eq!(
                state.operator_of_token(&token.digest).map(|found| found.id),
                Some(operator.id)
            );
        }
    }
    assert!(
        state
            .awaiting
            .iter()
            .chain(&state.to_issue)
            .chain(&state.to_deliver)
            .all(|id| state.requests.contains_key(id))
    );
    assert!(
        state
            .to_enforce
            .iter()
            .all(|id| state.revocations.contains_key(id))
    );
}

fn rotation_lists(state: &State, due: &mut BTreeSet<(DateTime<Utc>, Due)>) {
    let rotations = &state.rotations;
    let mut running = BTreeMap::new();
    let mut at_work = BTreeMap::<_, u32>::new();
    for rotation in rotations.all.values() {
        let credential = &state.credentials[&rotation.credential];
        let over = rotation.state.ended();
        if !over {
            let other = running.insert(rotation.credential, rotation.id);
            assert_eq!(other, None, "two rotations of {} run", credential.name);
            *at_work.entry(credential.environment).or_default() += u32::from(rotation.at_work());
        }
        if let (true, Some(deadline)) = (rotation.state.before_promotion(), rotation.deadline) {
            due.insert((deadline, Due::Rotation(rotation.id)));
        }
        assert_eq!(
            rotations.overlapping.contains(&rotation.id),
            rotation.state == RotationState::Overlapping
        );
        assert_eq!(
            rotations.to_do.contains(&rotation.id),
            !over && rotation.wants_work(credential),
            "{} is {}",
            rotation.id,
            rotation.state
        );
    }
    assert_eq!(
        rotations
            .running
            .iter()
            .map(|(a, b)| (*a, *b))
            .collect::<BTreeMap<_, _>>(),
        running
    );
    for &environment in Environment::ALL {
        let counted = at_work.get(&environment).copied().unwrap_or(0);
        assert_eq!(rotations.at_work(environment), counted, "at work");
    }
    let Some((rules, _)) = rotations.rules() else {
        assert!(rotations.due.is_empty());
        return;
    };
    let begins: BTreeSet<_> = (state.credentials.values())
        .filter(|held| held.quarantined_at.is_none() && !running.contains_key(&held.id))
        .filter_map(|held| Some((rules.begins(held, rotations.retry(held.id))?, held.id)))
        .collect();
    assert_eq!(
        rotations.due.iter().copied().collect::<BTreeSet<_>>(),
        begins
    );
}

/// Names that a secret would go by. A token's own record is its identifier, digest and times.
fn no_secret(value: &serde_json::Value) {
    match value {
        serde_json::Value::Object(fields) => {
            for (name, inner) in fields {
                for word in ["secret", "password", "private", "plaintext", "bearer"] {
                    assert!(!name.contains(word), "a field named {name}");
                }
                if name == "token" {
                    assert!(
                        inner.is_object()
                            || inner.as_str().is_some_and(|text| text.starts_with("tok_")),
                        "a token itself"
                    );
                }
                no_secret(inner);
            }
        }
        serde_json::Value::Array(list) => list.iter().for_each(no_secret),
        _ => {}
    }
}

/// Everything public of a state, comparable.
pub fn dump(state: &State) -> serde_json::Value {
    let usage: BTreeMap<String, _> = state
        .usage
        .iter()
        .map(|(id, usage)| (id.to_string(), usage))
        .collect();
    fn list<'a, T: serde::Serialize + 'a>(
        values: impl Iterator<Item = &'a std::sync::Arc<T>>,
    ) -> serde_json::Value {
        values
            .map(|value| serde_json::to_value(value.as_ref()).unwrap())
            .collect()
    }
    serde_json::json!({
        "sequence": state.sequence,
        "time": state.time,
        "clients": list(state.clients.values()),
        "operators": list(state.operators.values()),
        "requests": list(state.requests.values()),
        "credentials": list(state.credentials.values()),
        "revocations": list(state.revocations.values()),
        "proposals": list(state.proposals.values()),
        "gateways": list(state.gateways.values()),
        "unapplied": format!("{:?}", state.unapplied().collect::<Vec<_>>()),
        "rotations": list(state.rotations.all.values()),
        "rotation": format!("{:?}", state.rotations),
        "granted": format!("{:?}", state.granted),
        "usage": usage,
        "awaiting": format!("{:?}", state.awaiting),
        "to_issue": format!("{:?}", state.to_issue),
        "to_deliver": format!("{:?}", state.to_deliver),
        "to_enforce": format!("{:?}", state.to_enforce),
        "due": format!("{:?}", state.due),
    })
}

/// The state that a log comes to, read as the broker reads it at its start.
pub fn fold(log: &[Vec<u8>]) -> State {
    let mut state = State::default();
    for leaf in log {
        state.apply(&leaf::read(leaf).unwrap());
    }
    state
}
