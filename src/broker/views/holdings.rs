//! What leaves with a client or a person.

use super::{Views, living};
use crate::{
    domain::{
        Client, Credential, Operator, Request,
        decide::{can_be_withdrawn, left_alone},
    },
    wire::{
        ClientHoldings, HeldCredential, OperatorHoldings, RequestRow,
        holdings::{ActingAccount, GivenApproval},
    },
};

/// The most rows of one kind in one answer.
const ROWS: usize = 1_000;

impl Views<'_> {
    /// Everything that a client holds.
    pub fn client_holdings(&self, client: &Client) -> ClientHoldings {
        let (credentials, credentials_total) =
            self.held(|credential| credential.client == client.id);
        let (requests, requests_total) = self.open(|request| request.plan.client == client.id);
        let accounts = self.state.operators.values().filter(|operator| {
            operator.client == Some(client.id) && operator.offboarded_at.is_none()
        });
        ClientHoldings {
            client: self.client_row(client, credentials_total),
            credentials,
            credentials_total,
            requests,
            requests_total,
            accounts: accounts
                .map(|operator| ActingAccount {
                    id: operator.id,
                    name: operator.name.clone(),
                    robot: operator.robot,
                    tokens: operator.tokens().count() as u64,
                })
                .collect(),
            sequence: self.state.sequence,
        }
    }

    /// Everything that a person or robot holds.
    pub fn operator_holdings(&self, operator: &Operator) -> OperatorHoldings {
        let alone_in = left_alone(self.state, operator);
        let (credentials, credentials_total) =
            self.held(|credential| alone_in.contains(credential.owner.as_str()));
        let (requests, requests_total) = self.open(|request| request.requester == operator.id);
        let undecided = self.state.awaiting.iter().chain(&self.state.to_issue);
        let approvals = undecided
            .filter_map(|id| self.state.requests.get(id))
            .flat_map(|request| {
                let given = request.standing().filter(|given| given.by == operator.id);
                given.map(|given| GivenApproval {
                    request: request.id,
                    credential: request.plan.credential.clone(),
                    environment: request.plan.environment,
                    at: given.at,
                })
            })
            .collect();
        OperatorHoldings {
            operator: self.operator_row(operator),
            requests,
            requests_total,
            approvals,
            alone_in: alone_in.into_iter().collect(),
            credentials,
            credentials_total,
            sequence: self.state.sequence,
        }
    }

    /// Living credentials, the first of them by name, and how many there are.
    fn held(&self, theirs: impl Fn(&Credential) -> bool) -> (Vec<HeldCredential>, u64) {
        let held = self.state.credentials.values();
        let mut held: Vec<&Credential> = held
            .map(AsRef::as_ref)
            .filter(|credential| theirs(credential) && living(credential.state(self.now)))
            .collect();
        held.sort_unstable_by_key(|credential| (&credential.name, credential.environment));
        let total = held.len() as u64;
        let rows = held
            .into_iter()
            .take(ROWS)
            .map(|credential| HeldCredential {
                id: credential.id,
                name: credential.name.to_string(),
                environment: credential.environment,
                owner: credential.owner.to_string(),
                state: credential.state(self.now),
                expires_at: credential.expires_at(),
                last_used_at: self.usage.of(self.state, credential.id).last_used_at,
            });
        (rows.collect(), total)
    }

    /// Requests that can still be withdrawn, oldest first, and how many there are.
    fn open(&self, theirs: impl Fn(&Request) -> bool) -> (Vec<RequestRow>, u64) {
        let requests = self.state.requests.values();
        let open: Vec<_> = requests
            .filter(|request| can_be_withdrawn(request.state) && theirs(request))
            .collect();
        let total = open.len() as u64;
        let rows = open.into_iter().take(ROWS);
        (
            rows.map(|request| self.request_row(request)).collect(),
            total,
        )
    }
}
