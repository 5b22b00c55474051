//! Who takes part in a journey: a client, a robot that asks for it, people of `security` who decide, one who revokes.

use super::broker::BrokerProcess;
use super::wait_until;
use countersign::client::{Client, ClientError, ListQuery, Once};
use countersign::wire::{
    Approve, ClientId, CredentialDetail, Environment, Kind, NewClient, NewOperator, NewRequest,
    Receipt, RequestDetail, RequestId, RequestState, RevocationRow, Role, Tier,
};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Longest that a state may be waited for; reached only when something is wrong.
pub const PATIENCE: Duration = Duration::from_mins(1);

/// Everybody signed in at one broker.
pub struct Company {
    pub admin: Client,
    /// The client, `reports` in production.
    pub client: ClientId,
    /// A robot that asks for it.
    pub robot: Client,
    /// People of `security` who may approve.
    pub approvers: Vec<Client>,
    /// One who may revoke.
    pub operator: Client,
}

impl Company {
    /// Brings everybody in over HTTP, with so many approvers.
    pub async fn found(broker: &BrokerProcess, approvers: usize) -> Self {
        let admin = broker.client(&broker.admin_token());
        let new = NewClient {
            name: "reports".into(),
            owner: "payments".into(),
            contact: String::new(),
            environment: Environment::Production,
            tier: Tier::High,
            dependents: Vec::new(),
        };
        let client: ClientId = done(admin.add_client(&new, &Once::new()).await)
            .subject
            .parse()
            .expect("a client's identifier");
        let mut company = Self {
            robot: broker.client(""),
            operator: broker.client(""),
            approvers: Vec::new(),
            admin,
            client,
        };
        company.robot = company
            .hire(broker, "reports-deploy", &[Role::Requester])
            .await;
        company.operator = company
            .hire(broker, "omar.d", &[Role::Viewer, Role::Operator])
            .await;
        for number in 0..approvers {
            let name = format!("approver-{number:02}");
            let person = company
                .hire(broker, &name, &[Role::Viewer, Role::Approver])
                .await;
            company.approvers.push(person);
        }
        company
    }

    async fn hire(&self, broker: &BrokerProcess, name: &str, roles: &[Role]) -> Client {
        let robot = roles.contains(&Role::Requester);
        let new = NewOperator {
            name: name.into(),
            display_name: String::new(),
            robot,
            groups: roles
                .contains(&Role::Approver)
                .then(|| "security".to_owned())
                .into_iter()
                .collect(),
            roles: BTreeMap::from([(
                Environment::Production,
                roles.iter().copied().collect::<BTreeSet<_>>(),
            )]),
            client: robot.then_some(self.client),
            token_ttl_s: 86_400,
        };
        broker.client(&done(self.admin.add_operator(&new, &Once::new()).await).token)
    }

    /// What the robot asks for: a login at the production database.
    pub fn login(&self, credential: &str, role: &str) -> NewRequest {
        NewRequest {
            credential: credential.into(),
            environment: Environment::Production,
            kind: Kind::VaultLease,
            issuer: None,
            role: format!("database/creds/{role}"),
            client: self.client,
            audience: "reports-db".into(),
            scopes: Vec::new(),
            ttl_s: 3_600,
            reason: "the nightly report".into(),
            owner: None,
            tags: Vec::new(),
            dry_run: false,
        }
    }

    /// Asks, and has the first two approve. The request is approved then, or further.
    pub async fn approved(&self, request: &NewRequest) -> RequestId {
        let id = self.asked(request).await;
        for person in &self.approvers[..2] {
            approve(person, id).await;
        }
        id
    }

    /// Asks. The request waits for approval then.
    pub async fn asked(&self, request: &NewRequest) -> RequestId {
        let receipt = done(self.robot.ask(request, &Once::new()).await);
        assert_eq!(receipt.state, "awaiting_approval");
        receipt.subject.parse().expect("a request's identifier")
    }
}

/// Approves what is there now.
pub async fn approve(person: &Client, id: RequestId) -> Receipt {
    let seen = person
        .request(id)
        .await
        .expect("an approver sees requests")
        .value;
    let body = Approve {
        digest: seen.digest,
        reason: String::new(),
        signed: None,
    };
    done(person.approve(id, &body, &Once::new()).await)
}

/// The value of a command that has to work.
pub fn done<T: std::fmt::Debug>(outcome: countersign::client::Outcome<T>) -> T {
    match outcome.into_result() {
        Ok(answer) => answer.value,
        Err(error) => panic!("{error}"),
    }
}

/// Waits until a request is in this state.
pub async fn reaches(client: &Client, id: RequestId, state: RequestState) -> RequestDetail {
    let mut last = None;
    let found = tokio::time::timeout(PATIENCE, async {
        wait_until(PATIENCE * 2, "the state", async || {
            let detail = client.request(id).await.ok()?.value;
            let reached = detail.row.state == state;
            last = Some(detail.clone());
            reached.then_some(detail)
        })
        .await
    })
    .await;
    found.unwrap_or_else(|_| panic!("{id} did not become {state}: {last:#?}"))
}

/// The only revocation of a credential, once its issuer has confirmed it.
pub async fn enforced(client: &Client, credential: &str) -> RevocationRow {
    wait_until(PATIENCE, "the revocation is enforced", async || {
        let rows = client.revocations(&ListQuery::default()).await.ok()?.value;
        let mut of_it = rows
            .items
            .into_iter()
            .filter(|row| row.credential_name == credential);
        of_it.next().filter(|row| {
            matches!(
                row.enforcement,
                countersign::domain::Enforcement::Enforced { .. }
            )
        })
    })
    .await
}

/// The credential that was made for a request.
pub async fn credential_of(client: &Client, detail: &RequestDetail) -> CredentialDetail {
    let id = detail.credential_id.expect("it was issued");
    let found: Result<_, ClientError> = client.credential(id).await;
    found.expect("everybody with a role sees it").value
}
