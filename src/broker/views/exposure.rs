//! What a found secret is, what it opens, and who uses it.

use super::Views;
use crate::{
    broker::gateways::Gateways,
    domain::{Credential, Version},
    wire::{FoundSecret, ReaderView, exposure::OpenGateway},
};
use chrono::TimeDelta;

/// For how long back whoever showed it is told.
const BACK: TimeDelta = TimeDelta::days(1);

impl Views<'_> {
    /// What somebody needs to know of a version whose secret was found.
    pub fn found_secret(
        &self,
        credential: &Credential,
        version: &Version,
        gateways: &Gateways,
    ) -> FoundSecret {
        let since = self.now - BACK;
        let refused = credential.revoked.is_some() || credential.quarantined_at.is_some();
        let client = self.state.clients.get(&credential.client);
        let of_it = |reader: &ReaderView| {
            let last = reader.accepted_at.max(reader.refused_at);
            reader.version == version.number && last.is_some_and(|at| at >= since)
        };
        let mut open: Vec<OpenGateway> = self
            .state
            .gateways
            .values()
            .filter(|gateway| gateway.removed_at.is_none() && gateway.guards(credential))
            .map(|gateway| {
                let seen_at = gateways.place(gateway.id).seen_at();
                let objective = TimeDelta::seconds(gateway.objective_s.cast_signed());
                OpenGateway {
                    id: gateway.id,
                    name: gateway.name.clone(),
                    environment: gateway.environment,
                    profile: gateway.profile,
                    objective_s: gateway.objective_s,
                    cache_s: gateway.cache_s,
                    seen_at,
                    silent: seen_at.is_none_or(|seen| self.now - seen > objective),
                }
            })
            .collect();
        open.sort_by(|one, other| one.name.cmp(&other.name));
        FoundSecret {
            row: self.credential_row(credential),
            version: version.number,
            version_state: version.state,
            accepted: !refused && version.accepted(self.now),
            quarantined_at: credential.quarantined_at,
            ends_at: version.ends_at(),
            client_id: credential.client,
            contact: client.map_or_else(String::new, |client| client.contact.clone()),
            audience: credential.audience.to_string(),
            scopes: credential.scopes.to_strings(),
            dependents: client.map_or_else(Vec::new, |client| client.dependents.clone()),
            gateways: open,
            readers: self
                .readers(credential.id)
                .into_iter()
                .filter(of_it)
                .collect(),
            since,
            revocations: self
                .state
                .revocations
                .values()
                .filter(|held| {
                    held.credential == credential.id && held.versions.contains(&version.number)
                })
                .map(|held| self.revocation_row(held))
                .collect(),
            sequence: self.state.sequence,
        }
    }
}
