//! The gateways of the company, and what was revoked just before the console opens.

use super::{Line, Station, script::Author};
use crate::{
    broker::engine::fresh_bits,
    domain::{
        Command, Environment, Gateway, GatewayId, Profile, RevocationId, Token, TokenId,
        gateway::Route,
    },
    secret::mint_token,
};
use chrono::TimeDelta;

/// A gateway: its name, how it learns of revocations, for how many seconds it keeps an answer, where it stands,
/// whether it is heard of.
type Place = (&'static str, Profile, u64, Environment, bool);

const PLACES: [Place; 7] = [
    (
        "edge-fra-1",
        Profile::Nginx,
        0,
        Environment::Production,
        true,
    ),
    (
        "edge-ams-1",
        Profile::Envoy,
        20,
        Environment::Production,
        true,
    ),
    (
        "mesh-iad-1",
        Profile::Receiver,
        0,
        Environment::Production,
        true,
    ),
    (
        "mesh-nrt-1",
        Profile::Receiver,
        0,
        Environment::Production,
        true,
    ),
    // Cut off: what is revoked waits for it.
    (
        "mesh-syd-2",
        Profile::Receiver,
        0,
        Environment::Production,
        false,
    ),
    (
        "edge-stg-1",
        Profile::Haproxy,
        0,
        Environment::Staging,
        true,
    ),
    (
        "edge-dev-1",
        Profile::Nginx,
        0,
        Environment::Development,
        true,
    ),
];

impl Author<'_> {
    /// Brings the gateways into service, after what the weeks before have revoked.
    pub(super) fn gateways(&mut self) {
        let since = self.now - TimeDelta::minutes(100);
        for (name, profile, cache_s, environment, heard) in PLACES {
            let token = mint_token("gwy");
            let id = GatewayId::from_bits(fresh_bits(since));
            let gateway = Gateway {
                id,
                name: name.to_owned(),
                profile,
                environment,
                audiences: Vec::new(),
                routes: Vec::<Route>::new(),
                objective_s: 60,
                cache_s,
                by: String::from("admin"),
                registered_at: since,
                tokens: vec![Token {
                    id: TokenId::from_bits(fresh_bits(since)),
                    digest: token.digest(),
                    created_at: since,
                    expires_at: self.now + TimeDelta::days(30),
                    key: None,
                    continues: None,
                }],
                removed_at: None,
                sequence: 0,
            };
            let admin = self.admin;
            self.act(since, admin, Command::RegisterGateway(Box::new(gateway)));
            self.stations.push(Station { id, token, heard });
        }
    }

    /// Somebody on call has withdrawn something a moment ago: the gateways are about to hear of it.
    pub(super) fn leak(&mut self) {
        let now = self.now;
        let production = |asker| {
            let service = self
                .services
                .iter()
                .find(|service| service.operator == asker);
            service.is_some_and(|service| service.environment == Environment::Production)
        };
        let lasting = self
            .held
            .iter()
            .rev()
            .copied()
            .filter(|(_, asker, since, ends)| {
                production(*asker)
                    && *since < now - TimeDelta::hours(3)
                    && *ends > now + TimeDelta::days(1)
            });
        let leaked: Vec<_> = lasting.take(2).map(|(credential, ..)| credential).collect();
        for (credential, seconds) in leaked.into_iter().zip([41, 18]) {
            let at = now - TimeDelta::seconds(seconds);
            let command = Command::Revoke {
                id: RevocationId::from_bits(fresh_bits(at)),
                credential,
                version: None,
                reason: "found in a public repository".into(),
            };
            let by = self.people["ravi.p"];
            self.script.push((at, Line::Do(by, Box::new(command))));
        }
    }
}
