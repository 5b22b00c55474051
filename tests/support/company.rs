//! Who takes part in a journey: a client, a robot that asks for it, people of `security` who decide and carry a key for
//! it, one who revokes.

use super::broker::BrokerProcess;
use super::wait_until;
use countersign::client::chain::Keep;
use countersign::client::sign::{Decided, SigningError, sign_decision, verified_head};
use countersign::client::{Client, ClientError, ListQuery, Once};
use countersign::clock;
use countersign::ssh::{OwnKey, Signer};
use countersign::wire::signing::Decision;
use countersign::wire::{
    Approve, ClientId, CredentialDetail, Environment, Kind, MintedToken, NewClient, NewKey,
    NewOperator, NewRequest, Receipt, RequestDetail, RequestId, RequestState, RevocationRow, Role,
    StepUp, Tier,
};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
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
    pub approvers: Vec<Approver>,
    /// One who may revoke.
    pub operator: Client,
}

/// Somebody who decides, and the key that they do it with.
#[derive(Clone)]
pub struct Approver {
    pub name: String,
    pub client: Client,
    pub signer: Signer,
}

impl Approver {
    /// What is sent to approve a request that was looked at: signed, where it asks for that.
    pub async fn approval(&self, seen: &RequestDetail, reason: &str) -> Approve {
        let approval = self.try_approval(seen, reason).await;
        approval.expect("a broker that answers, and a key that counts")
    }

    /// The same, for a broker that may be away or a key that may not count.
    pub async fn try_approval(
        &self,
        seen: &RequestDetail,
        reason: &str,
    ) -> Result<Approve, SigningError> {
        let signed = if seen.step_up == StepUp::None {
            None
        } else {
            let decided = Decided {
                operator: &self.name,
                detail: seen,
                decision: Decision::Approve,
                reason,
                view: seen.digest,
                head: verified_head(&self.client, &Keep::nowhere(), None).await?,
                now: clock::now(),
            };
            Some(sign_decision(&self.client, &self.signer, &decided).await?)
        };
        Ok(Approve {
            digest: seen.digest,
            reason: reason.into(),
            signed,
        })
    }
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
            let person = company.approver(broker, &name).await;
            company.approvers.push(person);
        }
        company
    }

    /// Somebody of `security`, with a key that was enrolled before anything was asked.
    async fn approver(&self, broker: &BrokerProcess, name: &str) -> Approver {
        let minted = self.account(name, &[Role::Viewer, Role::Approver]).await;
        self.keyed(broker, name, &minted).await
    }

    /// Gives somebody a key to decide with.
    pub async fn keyed(
        &self,
        broker: &BrokerProcess,
        name: &str,
        minted: &MintedToken,
    ) -> Approver {
        let key = OwnKey::generate();
        let body = NewKey {
            public_key: key.public().line(),
        };
        done(
            self.admin
                .add_key(minted.operator, &body, &Once::new())
                .await,
        );
        Approver {
            name: name.into(),
            client: broker.client(&minted.token),
            signer: Signer::Own(Arc::new(key)),
        }
    }

    async fn hire(&self, broker: &BrokerProcess, name: &str, roles: &[Role]) -> Client {
        broker.client(&self.account(name, roles).await.token)
    }

    async fn account(&self, name: &str, roles: &[Role]) -> MintedToken {
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
        done(self.admin.add_operator(&new, &Once::new()).await)
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
            destination: None,
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
pub async fn approve(person: &Approver, id: RequestId) -> Receipt {
    let seen = person.client.request(id).await;
    let seen = seen.expect("an approver sees requests").value;
    let body = person.approval(&seen, "").await;
    done(person.client.approve(id, &body, &Once::new()).await)
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
