//! What the API shows, made from a snapshot of the state: rows for lists, details for one object, events in words.
//! Plain functions of snapshot, use and time; only trails are read from the log.

/// Everything about one credential.
pub mod credential;
/// Events as stream and audit show them.
pub mod event;
/// A found secret: what it opens, and who uses it.
pub mod exposure;
/// Gateways, and what reaches them.
pub mod gateway;
/// What leaves with a client or a person.
pub mod holdings;
/// What a filter would withdraw.
pub mod planned;
/// Policies and proposals.
pub mod policy;
/// Everything that an approver needs.
pub mod request;
/// Rotations.
pub mod rotation;
/// Small states for tests, built by folding events.
#[cfg(test)]
pub mod testing;

use super::usage::Usage;
use crate::{
    domain::{
        Approval, Cadence, Client, ClientId, Credential, Kind, Operator, Plan, Proof, Request,
        ReviewState, State, Tier, credential::CredentialState, request::Ending,
    },
    wire::{
        ClientRow, CredentialRow, KeyRow, OperatorRow, RequestRow, ReviewRow, TokenRow,
        columns::Shown,
        request::{ApprovalView, DenialProof},
    },
};
use chrono::{DateTime, Utc};
use std::{borrow::Cow, collections::HashMap};

/// One person's approval, of whatever it is.
fn approval_view(approval: &Approval) -> ApprovalView {
    ApprovalView {
        id: approval.id,
        by: approval.by_name.clone(),
        at: approval.at,
        reason: approval.reason.clone(),
        proof: match approval.proof {
            Proof::Token { .. } => "token",
            Proof::SshSignature(_) => "ssh_signature",
        }
        .to_owned(),
        key: approval.key().map(str::to_owned),
        hardware: matches!(&approval.proof, Proof::SshSignature(signed) if signed.hardware),
        void: approval.void.clone(),
    }
}

/// What shows that a denial was a person's.
fn denial_proof(ending: Option<&Ending>) -> Option<DenialProof> {
    Some(match ending?.proof.as_ref()? {
        Proof::Token { .. } => DenialProof {
            proof: "token".to_owned(),
            key: None,
            hardware: false,
        },
        Proof::SshSignature(signed) => DenialProof {
            proof: "ssh_signature".to_owned(),
            key: Some(signed.fingerprint.clone()),
            hardware: signed.hardware,
        },
    })
}

/// One snapshot, seen at one time.
#[derive(Debug, Clone, Copy)]
pub struct Views<'a> {
    /// The snapshot.
    pub state: &'a State,
    /// Use since the last roll-up.
    pub usage: &'a Usage,
    /// How often access is reviewed under the policy in force.
    pub reviews: Cadence,
    /// The time.
    pub now: DateTime<Utc>,
}

/// Whether a credential in this state is alive: it could be used, or could be again.
pub const fn living(state: CredentialState) -> bool {
    !matches!(state, CredentialState::Revoked | CredentialState::Expired)
}

impl Views<'_> {
    /// A client's name; its identifier if the log never introduced it.
    pub fn client_name(&self, id: ClientId) -> String {
        self.client(id).into_owned()
    }

    fn client(&self, id: ClientId) -> Cow<'_, str> {
        match self.state.clients.get(&id) {
            Some(client) => client.name.as_str().into(),
            None => id.to_string().into(),
        }
    }

    /// What a list shows of a credential.
    pub fn credential_row(&self, credential: &Credential) -> CredentialRow {
        self.shown(credential).into()
    }

    /// The same, its texts left where they are.
    pub fn shown<'b>(&'b self, credential: &'b Credential) -> Shown<'b> {
        let shown = credential.current().or(credential.versions.last());
        let accepted = credential
            .versions
            .iter()
            .filter(|version| version.accepted(self.now))
            .count();
        let refused = credential.revoked.is_some() || credential.quarantined_at.is_some();
        Shown {
            id: credential.id,
            name: &credential.name,
            environment: credential.environment,
            kind: credential.kind,
            client: self.client(credential.client),
            owner: &credential.owner,
            tier: credential.tier,
            state: credential.state(self.now),
            version: shown.map_or(0, |version| version.number),
            accepted: if refused { 0 } else { accepted as u32 },
            issued_at: shown.map_or(credential.created_at, |version| version.created_at),
            expires_at: credential.expires_at(),
            rotate_by: credential.rotation_due_at(),
            last_used_at: self.usage.of(self.state, credential.id).last_used_at,
            sequence: credential.sequence,
        }
    }

    /// What the access review shows of a credential.
    pub fn review_row(&self, credential: &Credential) -> ReviewRow {
        let confirmed = credential.confirmed.as_deref();
        ReviewRow {
            id: credential.id,
            name: credential.name.to_string(),
            environment: credential.environment,
            kind: credential.kind,
            tier: credential.tier,
            owner: credential.owner.to_string(),
            client: self.client_name(credential.client),
            scopes: credential.scopes.to_strings(),
            state: credential
                .review(&self.reviews, self.now)
                .unwrap_or(ReviewState::Confirmed),
            due_at: credential.review_due_at(&self.reviews),
            confirmed_at: confirmed.map(|confirmation| confirmation.at),
            confirmed_by: confirmed.map(|confirmation| confirmation.by.clone()),
            last_used_at: self.usage.of(self.state, credential.id).last_used_at,
            sequence: credential.sequence,
        }
    }

    /// What the queue shows of a request.
    pub fn request_row(&self, request: &Request) -> RequestRow {
        let risk = request
            .evaluation
            .as_ref()
            .map(|evaluation| &evaluation.risk);
        RequestRow {
            id: request.id,
            digest: request.digest,
            requester: request.requester_name.clone(),
            credential: request.plan.credential.clone(),
            environment: request.plan.environment,
            kind: request.plan.kind,
            wants: wants(&request.plan),
            client: self.client_name(request.plan.client),
            ttl_s: request.granted_ttl_s(),
            state: request.state,
            risk: risk.map_or(0, |risk| risk.score),
            tier: risk.map_or(Tier::Low, |risk| risk.tier),
            approvals: request.standing().count() as u32,
            void: request
                .approvals
                .iter()
                .filter(|approval| approval.void.is_some())
                .count() as u32,
            needed: request.quorum().map_or(0, |quorum| u32::from(quorum.count)),
            submitted_at: request.submitted_at,
            run: request.run(),
            burst: self.state.asking.is_burst(request.run()),
            deadline: request.deadline,
            review_by: request.review_owed(),
            sequence: request.sequence,
        }
    }

    /// How many living credentials each client holds.
    pub fn living_by_client(&self) -> HashMap<ClientId, u64> {
        let mut counts = HashMap::new();
        for credential in self.state.credentials.values() {
            if living(credential.state(self.now)) {
                *counts.entry(credential.client).or_default() += 1;
            }
        }
        counts
    }

    /// A client, holding this many living credentials.
    pub fn client_row(&self, client: &Client, credentials: u64) -> ClientRow {
        ClientRow {
            id: client.id,
            name: client.name.clone(),
            owner: client.owner.clone(),
            contact: client.contact.clone(),
            environment: client.environment,
            tier: client.tier,
            dependents: client.dependents.clone(),
            credentials,
            offboarded_at: client.offboarded_at,
            sequence: client.sequence,
        }
    }

    /// An operator; of the tokens everything but the tokens.
    pub fn operator_row(&self, operator: &Operator) -> OperatorRow {
        OperatorRow {
            id: operator.id,
            name: operator.name.clone(),
            display_name: operator.display_name.clone(),
            robot: operator.robot,
            groups: operator.groups.clone(),
            roles: operator.roles.clone(),
            client: operator.client,
            tokens: operator
                .tokens()
                .map(|token| TokenRow {
                    id: token.id,
                    created_at: token.created_at,
                    expires_at: token.expires_at,
                    key: token.key.clone(),
                })
                .collect(),
            keys: operator
                .ssh_keys()
                .map(|key| KeyRow {
                    fingerprint: key.fingerprint.clone(),
                    public_key: key.public_key.clone(),
                    hardware: key.hardware,
                    enrolled_by: key.enrolled_by,
                    enrolled_at: key.enrolled_at,
                    valid_from: key.valid_from,
                    countersigned_by: key.countersigned_by.clone(),
                })
                .collect(),
            offboarded_at: operator.offboarded_at,
            sequence: operator.sequence,
        }
    }
}

/// What a plan wants, in one line: the issuer's role where there is one, else the scopes.
pub fn wants(plan: &Plan) -> String {
    match plan.kind {
        Kind::VaultLease | Kind::DatabaseRole if !plan.role.is_empty() => plan.role.clone(),
        _ => plan.scopes.join(" "),
    }
}

#[cfg(test)]
mod tests {
    use super::{testing::*, *};
    use crate::broker::usage::Used;
    use crate::domain::{CredentialId, Event, RevocationId, VersionState};

    #[test]
    fn a_row_follows_versions_and_flags() {
        let mut world = World::new();
        let id = world.credential("payments/db", |credential| {
            credential.cadence_s = Some(3_600);
            credential.versions = vec![
                version(1, VersionState::Retiring, 0, Some(10_000)),
                version(2, VersionState::Active, 500, Some(20_000)),
            ];
        });
        let usage = Usage::default();
        usage.record(id, FIRST, &Used::once(true, at(700)));
        let row = |world: &World| {
            let views = world.views(&usage, 1_000);
            views.credential_row(&world.state.credentials[&id])
        };
        let seen = row(&world);
        assert_eq!((seen.version, seen.accepted), (2, 2));
        assert_eq!(seen.state, CredentialState::Rotating);
        assert_eq!(seen.client, "checkout-api");
        assert_eq!(seen.issued_at, at(500));
        assert_eq!(seen.expires_at, Some(at(20_000)));
        assert_eq!(seen.rotate_by, Some(at(4_100)));
        assert_eq!(seen.last_used_at, Some(at(700)));
        assert_eq!(seen.sequence, world.state.sequence);

        world.happens(
            1_000,
            Event::CredentialQuarantined {
                credential: id,
                reason: "odd".into(),
            },
        );
        let seen = row(&world);
        assert_eq!(
            (seen.state, seen.accepted),
            (CredentialState::Quarantined, 0)
        );
    }

    #[test]
    fn what_nothing_explains_still_has_a_row() {
        let mut world = World::new();
        let id = world.credential("old/smtp", |credential| {
            credential.versions = vec![version(1, VersionState::Expired, 0, Some(10))];
            credential.client = ClientId::from_bits(99);
        });
        let usage = Usage::default();
        let views = world.views(&usage, 1_000);
        let row = views.credential_row(&world.state.credentials[&id]);
        assert_eq!(
            (row.state, row.version, row.accepted),
            (CredentialState::Expired, 1, 0)
        );
        assert_eq!(row.client, ClientId::from_bits(99).to_string());
        let orphan = views.revocation_row(&revocation(1, CredentialId::from_bits(5), 0));
        assert_eq!(orphan.credential_name, "");
        assert_eq!(orphan.id, RevocationId::from_bits(1));
    }

    #[test]
    fn clients_count_what_lives() {
        let mut world = World::new();
        world.credential("a", |_| {});
        world.credential("b", |_| {});
        world.credential("c", |credential| {
            credential.versions = vec![version(1, VersionState::Expired, 0, Some(10))];
        });
        let usage = Usage::default();
        let views = world.views(&usage, 1_000);
        assert_eq!(views.living_by_client()[&world.client], 2);
    }
}
