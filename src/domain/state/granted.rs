//! What clients hold and what requesters were granted, counted as the log is folded: policy asks for it at every
//! request, and looking through all credentials for it would take as long as there are credentials.

use crate::domain::{ClientId, Credential, Kind, OperatorId, Plan};
use imbl::OrdMap;

/// What one client holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClientGrants {
    /// Credentials that it ever had.
    pub ever: u64,
    /// Credentials of which a version is accepted.
    pub living: u32,
    /// What these allow, and how many allow it.
    pub scopes: OrdMap<String, u32>,
}

/// What was issued on one requester's requests.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RequesterGrants {
    /// How many versions.
    pub issued: u64,
    /// Which scopes or roles, and how often.
    pub scopes: OrdMap<String, u64>,
}

/// What is held and was granted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Granted {
    clients: OrdMap<ClientId, ClientGrants>,
    requesters: OrdMap<OperatorId, RequesterGrants>,
}

/// What a plan asks for in one list: its scopes, or the role's name for what is made in a database.
pub fn wanted(plan: &Plan) -> Vec<String> {
    allowed(plan.kind, &plan.role, &plan.scopes)
}

fn allowed(kind: Kind, role: &str, scopes: &[String]) -> Vec<String> {
    match kind {
        Kind::VaultLease | Kind::DatabaseRole => {
            vec![role.rsplit('/').next().unwrap_or(role).to_owned()]
        }
        Kind::ApiKey | Kind::Jwt => scopes.to_vec(),
    }
}

/// Whether anything of it is accepted.
fn living(credential: &Credential) -> bool {
    credential.revoked.is_none()
        && credential
            .versions
            .iter()
            .any(|version| version.state.accepted())
}

impl Granted {
    /// What this client holds.
    pub fn client(&self, id: ClientId) -> Option<&ClientGrants> {
        self.clients.get(&id)
    }

    /// What this requester was granted.
    pub fn requester(&self, id: OperatorId) -> Option<&RequesterGrants> {
        self.requesters.get(&id)
    }

    /// A credential came, or changed.
    pub(super) fn held(&mut self, before: Option<&Credential>, after: Option<&Credential>) {
        let was = before.is_some_and(living);
        let is = after.is_some_and(living);
        let Some(credential) = after else {
            return;
        };
        if before.is_some() && was == is {
            return;
        }
        let grants = self.clients.entry(credential.client).or_default();
        if before.is_none() {
            grants.ever += 1;
        }
        if was == is {
            return;
        }
        let scopes = allowed(
            credential.kind,
            &credential.role,
            &credential.scopes.to_strings(),
        );
        if is {
            grants.living += 1;
            for scope in scopes {
                *grants.scopes.entry(scope).or_default() += 1;
            }
        } else {
            grants.living -= 1;
            for scope in scopes {
                if let Some(count) = grants.scopes.get_mut(&scope) {
                    *count -= 1;
                    if *count == 0 {
                        grants.scopes.remove(&scope);
                    }
                }
            }
        }
    }

    /// A version was made on a request of `requester`.
    pub(super) fn issued(&mut self, requester: OperatorId, wanted: Vec<String>) {
        let grants = self.requesters.entry(requester).or_default();
        grants.issued += 1;
        for scope in wanted {
            *grants.scopes.entry(scope).or_default() += 1;
        }
    }
}
