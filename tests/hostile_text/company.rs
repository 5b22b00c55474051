//! A broker whose every free text is hostile.

use super::{hostile, marked};
use crate::support::company::{approve, credential_of, done, reaches};
use crate::support::{BrokerProcess, Company};
use countersign::client::Once;
use countersign::wire::revocation::Revoke;
use countersign::wire::{
    Deny, Environment, Kind, NewClient, NewOperator, NewRequest, Reason, RequestState, Role, Tier,
};
use std::collections::BTreeMap;

pub struct Hostile {
    pub broker: BrokerProcess,
    pub company: Company,
    /// Signed in with every role that sees something.
    pub token: String,
    /// A request that waits, by trick.
    pub waiting: Vec<String>,
    /// Names of credentials that were made.
    pub credentials: Vec<String>,
    /// How many of them were revoked again.
    pub revoked: usize,
}

impl Hostile {
    pub async fn set() -> Self {
        let broker = BrokerProcess::start("");
        let company = Company::found(&broker, 2).await;
        let mut scene = Self {
            broker,
            company,
            token: String::new(),
            waiting: Vec::new(),
            credentials: Vec::new(),
            revoked: 0,
        };
        for (number, (trick, text)) in hostile().into_iter().enumerate() {
            scene.add(number, trick, &marked(number, &text)).await;
        }
        // Last: with two admins, keys wait for the second.
        scene.token = seer(&scene.company).await;
        scene
    }

    fn request(&self, name: &str, reason: &str) -> NewRequest {
        NewRequest {
            kind: Kind::ApiKey,
            role: String::new(),
            scopes: vec!["reports:read".into()],
            reason: reason.into(),
            ..self.company.login(name, "unused")
        }
    }

    /// One trick in every free text that there is.
    async fn add(&mut self, number: usize, trick: &str, text: &str) {
        let admin = &self.company.admin;
        let client = NewClient {
            name: format!("client-{trick}"),
            owner: "payments".into(),
            contact: text.into(),
            environment: Environment::Staging,
            tier: Tier::Low,
            dependents: Vec::new(),
        };
        done(admin.add_client(&client, &Once::new()).await);
        // A display name is one short line: controls and floods are refused, see `doors`.
        let line: String = text.chars().filter(|c| !c.is_control()).take(30).collect();
        let person = NewOperator {
            name: format!("person-{trick}"),
            display_name: line,
            robot: false,
            groups: ["security".to_owned()].into(),
            roles: BTreeMap::from([(
                Environment::Production,
                [Role::Viewer, Role::Approver].into(),
            )]),
            client: None,
            token_ttl_s: 3_600,
        };
        let minted = done(admin.add_operator(&person, &Once::new()).await);
        let signing = self
            .company
            .keyed(&self.broker, &person.name, &minted)
            .await;
        let person = signing.client.clone();

        let waiting = self.request(&format!("waiting/{trick}"), text);
        self.waiting
            .push(self.company.asked(&waiting).await.to_string());

        let denied = self
            .company
            .asked(&self.request(&format!("denied/{trick}"), text))
            .await;
        let digest = person.request(denied).await.unwrap().value.digest;
        let deny = Deny {
            digest,
            reason: text.into(),
            signed: None,
            unsigned: true,
        };
        done(person.deny(denied, &deny, &Once::new()).await);

        let made = format!("made/{trick}");
        let approved = self.company.asked(&self.request(&made, text)).await;
        let seen = person.request(approved).await.unwrap().value;
        // A flood of controls would not fit into what is signed, and is refused there.
        let reason: String = text.chars().take(400).collect();
        let body = signing.approval(&seen, &reason).await;
        done(person.approve(approved, &body, &Once::new()).await);
        if seen.row.needed > 1 {
            approve(&self.company.approvers[0], approved).await;
        }
        let detail = reaches(admin, approved, RequestState::Issued).await;
        let credential = credential_of(admin, &detail).await.row.id;
        self.credentials.push(made);
        let reason = Reason {
            reason: text.into(),
        };
        let operator = &self.company.operator;
        done(operator.quarantine(credential, &reason, &Once::new()).await);
        if number.is_multiple_of(2) {
            done(admin.release(credential, &reason, &Once::new()).await);
            let revoke = Revoke {
                reason: text.into(),
                version: None,
            };
            done(operator.revoke(credential, &revoke, &Once::new()).await);
            self.revoked += 1;
        }
    }
}

/// Somebody who sees everything, and may decide.
async fn seer(company: &Company) -> String {
    let roles = [
        Role::Viewer,
        Role::Operator,
        Role::Approver,
        Role::Auditor,
        Role::Admin,
    ];
    let of = |environment: &Environment| (*environment, roles.into_iter().collect());
    let seer = NewOperator {
        name: "seer".into(),
        display_name: String::new(),
        robot: false,
        groups: ["security".to_owned()].into(),
        roles: Environment::ALL.iter().map(of).collect(),
        client: None,
        token_ttl_s: 86_400,
    };
    done(company.admin.add_operator(&seer, &Once::new()).await).token
}
