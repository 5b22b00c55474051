//! How each event changes the state, and the indices with it.

use super::{
    Answered, Due, IDEMPOTENCY_WINDOW, REFUSED_WINDOW, State,
    granted::{living, wanted},
};
use crate::domain::{
    Credential, CredentialId, Digest, Event, Operator, OperatorId, Recorded, Request, RequestId,
    RequestState, Token, VersionState,
    credential::remember,
    event::{Subject, UsageEntry},
    operator::{Authenticator, RENEWAL_GRACE},
    request::NOTES_MAX,
    review::Confirmation,
    revocation::Enforcement,
};
use chrono::{DateTime, Utc};
use imbl::HashMap;
use std::sync::Arc;

/// Who denies, where it is policy and not a person.
const POLICY: &str = "policy";

/// What a request has due: its deadline while somebody can still act on it, and the look that others owe it.
fn due_of(request: &Request) -> [Option<(DateTime<Utc>, Due)>; 2] {
    let counts = waits_for_people(request) || request.state == RequestState::Issued;
    [
        request
            .deadline
            .filter(|_| counts)
            .map(|at| (at, Due::Request(request.id))),
        request
            .review_owed()
            .map(|at| (at, Due::Review(request.id))),
    ]
}

/// Where a request stands in the indices besides its deadline.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Places {
    due: [Option<(DateTime<Utc>, Due)>; 2],
    open: bool,
    awaiting: bool,
    to_issue: bool,
    to_deliver: bool,
}

impl Places {
    const NONE: Self = Self {
        due: [None, None],
        open: false,
        awaiting: false,
        to_issue: false,
        to_deliver: false,
    };

    fn of(request: &Request) -> Self {
        Self {
            due: due_of(request),
            open: !request.state.ended(),
            // A review too is something that people must decide.
            awaiting: waits_for_people(request) || request.review_owed().is_some(),
            to_issue: matches!(
                request.state,
                RequestState::Approved | RequestState::Issuing
            ),
            to_deliver: request.state == RequestState::Issued && request.plan.destination.is_some(),
        }
    }
}

/// What a credential has due: the ends of the versions that are accepted.
fn ends_of(credential: &Credential) -> Vec<(DateTime<Utc>, Due)> {
    let accepted = credential.versions.iter().filter(|v| v.state.accepted());
    accepted
        .filter_map(|version| {
            let due = Due::Version(credential.id, version.number);
            version.ends_at().map(|end| (end, due))
        })
        .collect()
}

fn waits_for_people(request: &Request) -> bool {
    matches!(
        request.state,
        RequestState::AwaitingApproval | RequestState::Held
    )
}

/// Takes the tokens of which `ended` is true away from an account.
fn drop_tokens(
    operator: &mut Operator,
    digests: &mut HashMap<Digest, OperatorId>,
    ended: impl Fn(&Token) -> bool,
) {
    operator
        .authenticators
        .retain(|authenticator| match authenticator {
            Authenticator::Token(held) if ended(held) => {
                digests.remove(&held.digest);
                false
            }
            _ => true,
        });
}

impl State {
    /// Folds one event. Total: an event once written always applies; what refers to nothing changes nothing.
    pub fn apply(&mut self, recorded: &Recorded) {
        self.sequence = recorded.sequence();
        self.time = recorded.ts;
        let at = recorded.ts;
        match &recorded.event {
            Event::ClientOnboarded { .. }
            | Event::ClientOffboarded { .. }
            | Event::ClientOwnerChanged { .. } => {
                self.apply_client(&recorded.event, at);
            }
            Event::OperatorEnrolled { .. }
            | Event::TokenIssued { .. }
            | Event::TokenRevoked { .. }
            | Event::KeyEnrolled { .. }
            | Event::KeyCountersigned { .. }
            | Event::KeyRemoved { .. }
            | Event::OperatorGranted { .. }
            | Event::OperatorOffboarded { .. } => self.apply_operator(&recorded.event, at),
            Event::VersionMinted { .. } => self.apply_minted(&recorded.event),
            Event::DeliveryStarted { .. }
            | Event::DeliveryFailed { .. }
            | Event::RequestDelivered { .. } => self.apply_delivery(&recorded.event, at),
            Event::UsageRolledUp { entries, .. } => self.apply_usage(entries),
            // What it names has taken effect by events of its own.
            Event::RevocationPlanned { .. } | Event::LeftoverRemoved { .. } => {}
            Event::TokenKeyPublished { .. }
            | Event::TokenKeyInUse { .. }
            | Event::TokenKeyWithdrawn { .. } => self.apply_token_key(&recorded.event, at),
            Event::CredentialAdopted { .. }
            | Event::VersionPromoted { .. }
            | Event::VersionRetiring { .. }
            | Event::VersionRetired { .. }
            | Event::VersionExpired { .. }
            | Event::VersionDiscarded { .. }
            | Event::OwnerChanged { .. }
            | Event::DestinationChanged { .. }
            | Event::CredentialConfirmed { .. }
            | Event::CredentialQuarantined { .. }
            | Event::CredentialReleased { .. } => self.apply_credential(&recorded.event, at),
            Event::RevocationEffective { .. }
            | Event::RevocationEnforced { .. }
            | Event::RevocationFailed { .. } => {
                self.apply_revocation(&recorded.event, at);
            }
            Event::RevocationApplied { .. } | Event::RevocationProven { .. } => {
                self.apply_reach(&recorded.event, at);
            }
            Event::GatewayRegistered { .. }
            | Event::GatewayTokenIssued { .. }
            | Event::GatewayTokenRevoked { .. }
            | Event::GatewayRemoved { .. } => self.apply_gateway(&recorded.event, at),
            Event::RotationRulesSet { .. }
            | Event::RotationStarted { .. }
            | Event::RotationMinting { .. }
            | Event::RotationAttemptFailed { .. }
            | Event::RotationMinted { .. }
            | Event::RotationChecking { .. }
            | Event::RotationChecked { .. }
            | Event::RotationHandedOver { .. }
            | Event::RotationGoingBack { .. }
            | Event::RotationPutBack { .. }
            | Event::RotationPromoted { .. }
            | Event::RotationExtended { .. }
            | Event::RotationRolledBack { .. }
            | Event::RotationFailed { .. }
            | Event::RotationCompleted { .. } => self.apply_rotation(&recorded.event, at),
            Event::PolicyProposed { .. }
            | Event::PolicyApprovalGiven { .. }
            | Event::PolicyApprovalVoided { .. }
            | Event::PolicyInForce { .. }
            | Event::PolicyDenied { .. }
            | Event::PolicyWithdrawn { .. }
            | Event::PolicyExpired { .. } => self.apply_policy(&recorded.event, at),
            _ => self.apply_request(&recorded.event, at),
        }
        self.remember_answer(recorded);
    }

    fn remember_answer(&mut self, recorded: &Recorded) {
        while self
            .answered_order
            .front()
            .is_some_and(|(at, ..)| *at + IDEMPOTENCY_WINDOW < recorded.ts)
        {
            if let Some((_, operator, key)) = self.answered_order.pop_front() {
                self.answered.remove(&(operator, key));
            }
        }
        let (Some(operator), Some(key), Some(body)) = (
            recorded.actor.id,
            &recorded.request.key,
            recorded.request.body,
        ) else {
            return;
        };
        let place = (operator, key.clone());
        // A later event of the same command: the answer stays about the subject of its first.
        let first = self.answered.get(&place).map(|answered| answered.subject);
        if first.is_none() {
            self.answered_order
                .push_back((recorded.ts, operator, key.clone()));
        }
        let subject = first.unwrap_or_else(|| recorded.event.subject());
        let state = self.word(subject);
        self.answered.insert(
            place,
            Answered {
                body,
                subject,
                sequence: self.sequence,
                state,
            },
        );
    }

    fn apply_client(&mut self, event: &Event, at: DateTime<Utc>) {
        match event {
            Event::ClientOnboarded { client } => {
                let mut client = client.as_ref().clone();
                client.sequence = self.sequence;
                self.client_names.insert(client.name.clone(), client.id);
                self.clients.insert(client.id, Arc::new(client));
            }
            Event::ClientOffboarded { client, .. } => {
                if let Some(client) = self.clients.get_mut(client) {
                    let client = Arc::make_mut(client);
                    client.offboarded_at = Some(at);
                    client.sequence = self.sequence;
                }
            }
            Event::ClientOwnerChanged { client, owner, .. } => {
                if let Some(client) = self.clients.get_mut(client) {
                    let client = Arc::make_mut(client);
                    client.owner.clone_from(owner);
                    client.sequence = self.sequence;
                }
            }
            _ => {}
        }
    }

    fn apply_operator(&mut self, event: &Event, at: DateTime<Utc>) {
        if let Event::OperatorEnrolled { operator } = event {
            let mut operator = operator.as_ref().clone();
            operator.sequence = self.sequence;
            for token in operator.tokens() {
                self.token_digests.insert(token.digest, operator.id);
            }
            self.operator_names
                .insert(operator.name.clone(), operator.id);
            self.operators.insert(operator.id, Arc::new(operator));
            return;
        }
        let Subject::Operator(id) = event.subject() else {
            return;
        };
        let Some(operator) = self.operators.get_mut(&id) else {
            return;
        };
        let operator = Arc::make_mut(operator);
        operator.sequence = self.sequence;
        match event {
            Event::TokenIssued { token, .. } => {
                // Sessions are short and come often: those that have ended make room.
                drop_tokens(operator, &mut self.token_digests, |held| {
                    held.key.is_some() && held.expires_at <= at
                });
                // The one that it continues has had its time, but for a moment.
                let replaced = token.continues.as_ref().map(|continued| continued.session);
                for authenticator in &mut operator.authenticators {
                    if let Authenticator::Token(held) = authenticator
                        && Some(held.id) == replaced
                    {
                        held.expires_at = held.expires_at.min(at + RENEWAL_GRACE);
                    }
                }
                self.token_digests.insert(token.digest, id);
                operator
                    .authenticators
                    .push(Authenticator::Token(token.clone()));
            }
            Event::TokenRevoked { token, .. } => {
                drop_tokens(operator, &mut self.token_digests, |held| held.id == *token);
            }
            Event::KeyEnrolled { key, .. } => operator
                .authenticators
                .push(Authenticator::SshKey(key.clone())),
            Event::KeyCountersigned {
                fingerprint, by, ..
            } => {
                for authenticator in &mut operator.authenticators {
                    if let Authenticator::SshKey(key) = authenticator
                        && key.fingerprint == *fingerprint
                    {
                        key.valid_from = Some(at);
                        key.countersigned_by = Some(by.clone());
                    }
                }
            }
            Event::KeyRemoved { fingerprint, .. } => {
                drop_tokens(operator, &mut self.token_digests, |held| {
                    held.key.as_ref() == Some(fingerprint)
                });
                operator.authenticators.retain(|authenticator| {
                    !matches!(authenticator, Authenticator::SshKey(key) if key.fingerprint == *fingerprint)
                });
            }
            Event::OperatorGranted { roles, groups, .. } => {
                operator.roles.clone_from(roles);
                operator.groups.clone_from(groups);
            }
            Event::OperatorOffboarded { .. } => {
                operator.offboarded_at = Some(at);
                for token in operator.tokens() {
                    self.token_digests.remove(&token.digest);
                }
                operator.authenticators.clear();
            }
            _ => {}
        }
    }

    fn apply_request(&mut self, event: &Event, at: DateTime<Utc>) {
        if let Event::RequestSubmitted { request } = event {
            let mut request = request.as_ref().clone();
            request.sequence = self.sequence;
            remember(&mut request.trail, self.sequence);
            let (requester, at) = (request.requester, request.submitted_at);
            let run = self.asking.remember(requester, request.id, at);
            request.run = Some(run).filter(|run| *run != request.id);
            self.index_request(Places::NONE, &request);
            self.requests.insert(request.id, Arc::new(request));
            return;
        }
        let Subject::Request(id) = event.subject() else {
            return;
        };
        if let Event::RequestDenied { ending, .. } = event {
            self.remember_refused(id, ending.by != POLICY, at);
        }
        let sequence = self.sequence;
        let evaluation = match event {
            Event::RequestEvaluated { evaluation, .. }
            | Event::RequestNarrowed { evaluation, .. }
            | Event::GlassBroken { evaluation, .. } => Some(self.pool.evaluation(evaluation)),
            _ => None,
        };
        if let (Some(evaluation), Some(held)) = (&evaluation, self.requests.get(&id)) {
            self.asking.judged(held.run(), evaluation);
        }
        self.change_request(id, |request| match event {
            Event::RequestIdentified { facts, .. } => {
                request.state = RequestState::Identified;
                request.facts_at = if facts.is_some() { sequence } else { 0 };
            }
            Event::RequestEvaluated { .. } => {
                // Asked again, by another policy: what was signed before is about something else.
                if request.evaluation.is_some() {
                    request.revision += 1;
                }
                request.state = RequestState::Evaluated;
                request.evaluation = evaluation;
            }
            Event::RequestAwaitingApproval { deadline, .. } => {
                request.state = RequestState::AwaitingApproval;
                request.deadline = Some(*deadline);
            }
            Event::ApprovalGiven { approval, .. } => {
                request.approvals.push(approval.as_ref().clone());
            }
            Event::ApprovalVoided {
                approval, reason, ..
            } => {
                let given = request.approvals.iter_mut();
                for given in given.filter(|given| given.id == *approval) {
                    given.void = Some(reason.clone());
                }
            }
            Event::RequestApproved { .. } | Event::RequestRetried { .. } => {
                request.state = RequestState::Approved;
                request.deadline = None;
                request.failure = None;
            }
            Event::RequestDenied { ending, .. } => {
                request.state = RequestState::Denied;
                request.ended_by = Some(ending.clone());
            }
            Event::RequestNarrowed { plan, digest, .. } => {
                request.plan = plan.as_ref().clone();
                request.digest = *digest;
                request.evaluation = evaluation;
                request.revision += 1;
            }
            Event::RequestHeld { deadline, .. } => {
                request.state = RequestState::Held;
                request.deadline = Some(*deadline);
            }
            Event::RequestResumed { .. } => request.state = RequestState::AwaitingApproval,
            Event::NoteAdded { note, .. } if request.notes.len() < NOTES_MAX => {
                request.notes.push(note.clone());
            }
            Event::NoteAdded { .. } => {}
            Event::GlassBroken { glass, .. } => {
                request.break_glass = Some(glass.clone());
                request.evaluation = evaluation;
            }
            Event::ReviewClosed { .. } | Event::ReviewFailed { .. } => {
                if let Some(glass) = &mut request.break_glass {
                    glass.reviewed_at = Some(at);
                }
            }
            Event::RequestExpired { .. } => request.state = RequestState::Expired,
            Event::RequestWithdrawn { ending, .. } => {
                request.state = RequestState::Withdrawn;
                request.ended_by = Some(ending.clone());
            }
            Event::IssuanceStarted {
                attempt, locator, ..
            } => {
                request.state = RequestState::Issuing;
                request.attempts = *attempt;
                request.attempt_locator.clone_from(locator);
            }
            Event::IssuanceFailed { reason, last, .. } => {
                request.state = if *last {
                    RequestState::Failed
                } else {
                    RequestState::Approved
                };
                request.failure = Some(reason.clone());
                request.attempt_locator.clear();
            }
            Event::RequestClaimed { .. } => request.state = RequestState::Claimed,
            Event::RequestLapsed { .. } => request.state = RequestState::Lapsed,
            _ => {}
        });
    }

    /// Remembers a plan that people denied, and forgets those that can be asked for again.
    fn remember_refused(&mut self, id: RequestId, by_people: bool, at: DateTime<Utc>) {
        let over: Vec<_> = self
            .refused
            .iter()
            .filter(|(_, until)| **until <= at)
            .map(|(digest, _)| *digest)
            .collect();
        for digest in over {
            self.refused.remove(&digest);
        }
        if by_people && let Some(request) = self.requests.get(&id) {
            self.refused.insert(request.digest, at + REFUSED_WINDOW);
        }
    }

    pub(super) fn change_request(&mut self, id: RequestId, change: impl FnOnce(&mut Request)) {
        let Some(held) = self.requests.get_mut(&id) else {
            return;
        };
        // Copied once for all that happens to it before the next state is published.
        let request = Arc::make_mut(held);
        let before = Places::of(request);
        change(request);
        request.sequence = self.sequence;
        remember(&mut request.trail, self.sequence);
        let request = Arc::clone(held);
        self.index_request(before, &request);
    }

    fn index_request(&mut self, before: Places, request: &Request) {
        let after = Places::of(request);
        if before == after {
            return;
        }
        for due in before.due.iter().flatten() {
            self.due.remove(due);
        }
        self.due.extend(after.due.into_iter().flatten());
        if before.open != after.open {
            let name = (request.plan.environment, request.plan.credential.clone());
            if after.open {
                self.open_by_name.insert(name, request.id);
            } else if self.open_by_name.get(&name) == Some(&request.id) {
                self.open_by_name.remove(&name);
            }
        }
        if after.awaiting {
            self.awaiting.insert(request.id);
        } else if before.awaiting {
            self.awaiting.remove(&request.id);
        }
        if after.to_issue {
            self.to_issue.insert(request.id);
        } else if before.to_issue {
            self.to_issue.remove(&request.id);
        }
        if after.to_deliver {
            self.to_deliver.insert(request.id);
        } else if before.to_deliver {
            self.to_deliver.remove(&request.id);
        }
    }

    fn apply_minted(&mut self, event: &Event) {
        let Event::VersionMinted {
            request,
            credential,
            version,
            first,
            claim_until,
            ..
        } = event
        else {
            return;
        };
        if let Some(first) = first {
            self.insert_credential(first.as_ref().clone());
        } else {
            self.change_credential(*credential, |credential| {
                credential.versions.push(version.as_ref().clone());
            });
        }
        if let Some(request) = self.requests.get(request) {
            self.granted
                .issued(request.requester, wanted(&request.plan));
        }
        self.change_request(*request, |request| {
            request.state = RequestState::Issued;
            request.deadline = Some(*claim_until);
            request.issued = Some((*credential, version.number));
            request.failure = None;
            request.attempt_locator.clear();
        });
    }

    /// Has `credential` hold what others hold too.
    pub(super) fn share(&mut self, credential: &mut Credential) {
        let pool = &mut self.pool;
        for text in [
            &mut credential.issuer,
            &mut credential.role,
            &mut credential.owner,
            &mut credential.audience,
        ] {
            *text = pool.text(text);
        }
        for list in [&mut credential.scopes, &mut credential.tags] {
            *list = pool.list(list);
        }
    }

    fn insert_credential(&mut self, mut credential: Credential) {
        credential.sequence = self.sequence;
        remember(&mut credential.trail, self.sequence);
        self.share(&mut credential);
        credential.fit();
        self.by_name.insert(
            (credential.environment, credential.name.clone()),
            credential.id,
        );
        self.index_digests(&credential, 0);
        self.due.extend(ends_of(&credential));
        self.granted.held(None, &credential);
        self.rescheduling(credential.id, |state| {
            state
                .credentials
                .insert(credential.id, Arc::new(credential));
        });
    }

    /// Indexes the versions from place `first` on: the digest of one that was made does not change.
    fn index_digests(&mut self, credential: &Credential, first: usize) {
        for version in &credential.versions[first..] {
            if let Some(digest) = version.digest {
                self.by_digest
                    .insert(digest, (credential.id, version.number));
            }
            self.tokens.place(credential.id, version);
            self.tokens.signed(version);
        }
    }

    pub(super) fn change_credential(
        &mut self,
        id: CredentialId,
        change: impl FnOnce(&mut Credential),
    ) {
        self.rescheduling(id, |state| state.alter_credential(id, change));
    }

    fn alter_credential(&mut self, id: CredentialId, change: impl FnOnce(&mut Credential)) {
        let Some(held) = self.credentials.get_mut(&id) else {
            return;
        };
        let credential = Arc::make_mut(held);
        let (versions, due) = (credential.versions.len(), ends_of(credential));
        let lived = living(credential);
        change(credential);
        credential.sequence = self.sequence;
        remember(&mut credential.trail, self.sequence);
        credential.fit();
        let credential = Arc::clone(held);
        let due_now = ends_of(&credential);
        if due != due_now {
            for due in &due {
                self.due.remove(due);
            }
            self.due.extend(due_now);
        }
        self.index_digests(&credential, versions);
        self.granted.held(Some(lived), &credential);
    }

    fn set_version(&mut self, id: CredentialId, number: u32, state: VersionState) {
        self.change_credential(id, |credential| {
            // What is over stays over, whatever the order in which it is told.
            if let Some(version) = credential
                .versions
                .iter_mut()
                .find(|version| version.number == number && version.state.accepted())
            {
                version.state = state;
                // One that comes back into use has no end of an overlap any more.
                if state == VersionState::Active {
                    version.retires_at = None;
                }
            }
        });
        if !state.accepted() {
            self.rotations.extended.remove(&(id, number));
        }
    }

    fn apply_credential(&mut self, event: &Event, at: DateTime<Utc>) {
        match event {
            Event::CredentialAdopted { credential } => {
                self.insert_credential(credential.as_ref().clone());
            }
            Event::VersionPromoted {
                credential,
                version,
            } => {
                self.set_version(*credential, *version, VersionState::Active);
            }
            Event::VersionRetiring {
                credential,
                version,
                until,
            } => self.change_credential(*credential, |credential| {
                if let Some(held) = credential
                    .versions
                    .iter_mut()
                    .find(|held| held.number == *version && held.state.accepted())
                {
                    held.state = VersionState::Retiring;
                    held.retires_at = Some(*until);
                }
            }),
            Event::VersionRetired {
                credential,
                version,
            } => {
                self.set_version(*credential, *version, VersionState::Retired);
            }
            Event::VersionExpired {
                credential,
                version,
            } => {
                self.set_version(*credential, *version, VersionState::Expired);
            }
            Event::VersionDiscarded {
                credential,
                version,
            } => {
                self.set_version(*credential, *version, VersionState::Discarded);
            }
            Event::OwnerChanged {
                credential, owner, ..
            } => {
                let owner = self.pool.text(&owner.into());
                self.change_credential(*credential, |credential| credential.owner = owner);
            }
            Event::DestinationChanged {
                credential,
                destination,
                ..
            } => {
                self.change_credential(*credential, |credential| {
                    credential.destination = destination.clone().map(Box::new);
                });
            }
            Event::CredentialConfirmed {
                credential,
                by,
                reason,
            } => {
                self.change_credential(*credential, |credential| {
                    credential.confirmed = Some(Box::new(Confirmation {
                        by: by.clone(),
                        reason: reason.clone(),
                        at,
                    }));
                });
            }
            Event::CredentialQuarantined { credential, .. } => {
                self.change_credential(*credential, |credential| {
                    credential.quarantined_at = Some(at);
                });
            }
            Event::CredentialReleased { credential, .. } => {
                self.change_credential(*credential, |credential| credential.quarantined_at = None);
            }
            _ => {}
        }
    }

    fn apply_revocation(&mut self, event: &Event, at: DateTime<Utc>) {
        if let Event::RevocationEffective { revocation } = event {
            let mut revocation = revocation.as_ref().clone();
            revocation.sequence = self.sequence;
            revocation.since = self.sequence;
            revocation.reach = self.concerned(&revocation);
            self.change_credential(revocation.credential, |credential| {
                for version in &mut credential.versions {
                    // A version that was retired or expired stays what it is: only the issuer is told.
                    if revocation.versions.contains(&version.number) && version.state.accepted() {
                        version.state = VersionState::Revoked;
                    }
                }
                if revocation.whole {
                    credential.revoked = Some(revocation.id);
                }
            });
            for number in &revocation.versions {
                let version = (revocation.credential, *number);
                self.rotations.extended.remove(&version);
            }
            if matches!(revocation.enforcement, Enforcement::Pending { .. }) {
                self.to_enforce.insert(revocation.id);
            }
            self.insert_revocation(revocation);
            return;
        }
        let Subject::Revocation(id) = event.subject() else {
            return;
        };
        let Some(revocation) = self.revocations.get_mut(&id) else {
            return;
        };
        let revocation = Arc::make_mut(revocation);
        revocation.sequence = self.sequence;
        match event {
            Event::RevocationEnforced { proven, .. } => {
                revocation.enforcement = Enforcement::Enforced {
                    at,
                    proven: *proven,
                };
                self.to_enforce.remove(&id);
            }
            Event::RevocationFailed {
                attempt, reason, ..
            } => {
                revocation.enforcement = Enforcement::Pending {
                    attempts: *attempt,
                    last_error: Some(reason.clone()),
                };
            }
            _ => {}
        }
    }

    fn apply_usage(&mut self, entries: &[UsageEntry]) {
        for entry in entries {
            if !self.credentials.contains_key(&entry.credential) {
                continue;
            }
            let usage = self.usage.entry(entry.credential).or_default();
            usage.accepted += entry.accepted;
            usage.refused += entry.refused;
            usage.last_used_at = usage.last_used_at.max(entry.last_used_at);
        }
    }
}
