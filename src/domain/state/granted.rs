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
    let scopes = plan.scopes.iter().map(String::as_str);
    allowed(plan.kind, &plan.role, scopes)
        .map(str::to_owned)
        .collect()
}

fn allowed<'a>(
    kind: Kind,
    role: &'a str,
    scopes: impl Iterator<Item = &'a str>,
) -> impl Iterator<Item = &'a str> {
    let made_in_a_database = matches!(kind, Kind::VaultLease | Kind::DatabaseRole);
    let name = made_in_a_database.then(|| role.rsplit('/').next().unwrap_or(role));
    name.into_iter()
        .chain(scopes.filter(move |_| !made_in_a_database))
}

/// Whether anything of it is accepted.
pub(super) fn living(credential: &Credential) -> bool {
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

    /// A credential came, or changed: then `lived` says whether anything of it was accepted before.
    pub(super) fn held(&mut self, lived: Option<bool>, credential: &Credential) {
        let (was, is) = (lived.unwrap_or(false), living(credential));
        if lived == Some(is) {
            return;
        }
        let grants = self.clients.entry(credential.client).or_default();
        if lived.is_none() {
            grants.ever += 1;
        }
        if was == is {
            return;
        }
        let scopes = credential.scopes.iter().map(|scope| scope.as_str());
        let scopes = allowed(credential.kind, &credential.role, scopes);
        if is {
            grants.living += 1;
            for scope in scopes {
                match grants.scopes.get_mut(scope) {
                    Some(count) => *count += 1,
                    None => drop(grants.scopes.insert(scope.to_owned(), 1)),
                }
            }
        } else {
            grants.living -= 1;
            for scope in scopes {
                if let Some(count) = grants.scopes.get_mut(scope) {
                    *count -= 1;
                    if *count == 0 {
                        grants.scopes.remove(scope);
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
