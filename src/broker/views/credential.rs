//! Everything about one credential.

use super::Views;
use crate::{
    domain::{Credential, CredentialId, Delivery, GatewayId, Version},
    wire::{CredentialDetail, DeliveryView, EventRecord, ReaderView, VersionView},
};
use chrono::{DateTime, Utc};

/// How far a delivery has come.
pub(super) fn delivery_view(delivery: &Delivery) -> DeliveryView {
    DeliveryView {
        to: delivery.to.clone(),
        begun_at: delivery.begun_at,
        failure: delivery.failure.clone(),
        done_at: delivery.done_at,
        place: delivery.place.clone(),
        proven: delivery.proven,
        check: delivery.check.clone(),
    }
}

fn version_view(credential: &Credential, version: &Version, now: DateTime<Utc>) -> VersionView {
    let refused = credential.revoked.is_some() || credential.quarantined_at.is_some();
    VersionView {
        number: version.number,
        state: version.state,
        accepted: !refused && version.accepted(now),
        created_at: version.created_at,
        expires_at: version.expires_at,
        retires_at: version.retires_at,
        request: version.request,
        locator: version.locator.clone(),
        delivery: version.delivery.as_deref().map(delivery_view),
    }
}

impl Views<'_> {
    /// Who showed which version, and from where.
    pub(super) fn readers(&self, credential: CredentialId) -> Vec<ReaderView> {
        let gateway = |id: GatewayId| {
            self.state
                .gateways
                .get(&id)
                .map_or_else(|| id.to_string(), |gateway| gateway.name.clone())
        };
        self.usage
            .readers(credential)
            .into_iter()
            .map(|(reader, used)| ReaderView {
                version: reader.version,
                gateway: reader.gateway.map(gateway),
                network: reader.network.map(|network| network.to_string()),
                accepted: used.accepted,
                accepted_at: used.accepted_at,
                refused: used.refused,
                refused_at: used.refused_at,
            })
            .collect()
    }

    /// Everything about `credential`; `trail` is its latest events, newest first.
    pub fn credential_detail(
        &self,
        credential: &Credential,
        trail: Vec<EventRecord>,
    ) -> CredentialDetail {
        let usage = self.usage.of(self.state, credential.id);
        // Revocations are found through the credential's own history first; there are few of them in any state.
        let revocations = self
            .state
            .revocations
            .values()
            .filter(|revocation| revocation.credential == credential.id)
            .map(|revocation| self.revocation_row(revocation))
            .collect();
        CredentialDetail {
            row: self.credential_row(credential),
            client_id: credential.client,
            audience: credential.audience.to_string(),
            scopes: credential.scopes.to_strings(),
            tags: credential.tags.to_strings(),
            issuer: credential.issuer.to_string(),
            role: credential.role.to_string(),
            cadence_s: credential.cadence_s,
            renew_at: credential.renew_at(),
            destination: credential.destination.as_deref().cloned(),
            created_at: credential.created_at,
            quarantined_at: credential.quarantined_at,
            versions: credential
                .versions
                .iter()
                .map(|version| version_view(credential, version, self.now))
                .collect(),
            dependents: self
                .state
                .clients
                .get(&credential.client)
                .map(|client| client.dependents.clone())
                .unwrap_or_default(),
            used: usage.accepted,
            refused: usage.refused,
            readers: self.readers(credential.id),
            revocations,
            trail,
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::{
        broker::{
            usage::{Usage, Used},
            views::testing::{FIRST, World, at, revocation},
        },
        domain::Event,
        wire::CredentialState,
    };

    #[test]
    fn the_detail_says_what_stops_and_what_was_revoked() {
        let mut world = World::new();
        let id = world.credential("payments/db", |_| {});
        let other = world.credential("payments/other", |_| {});
        for (bits, credential) in [(5, id), (6, other)] {
            world.happens(
                10,
                Event::RevocationEffective {
                    revocation: Box::new(revocation(bits, credential, 10)),
                },
            );
        }
        let usage = Usage::default();
        usage.record(id, FIRST, &Used::once(true, at(5)));
        usage.record(id, FIRST, &Used::once(false, at(11)));
        let detail = world
            .views(&usage, 20)
            .credential_detail(&world.state.credentials[&id], Vec::new());
        assert_eq!(detail.row.state, CredentialState::Revoked);
        assert_eq!(detail.dependents, ["checkout", "billing"]);
        assert_eq!(detail.revocations.len(), 1);
        assert!(!detail.versions[0].accepted);
        assert_eq!((detail.used, detail.refused), (1, 1));
        let reader = &detail.readers[0];
        assert_eq!((reader.version, reader.accepted, reader.refused), (1, 1, 1));
        assert_eq!(reader.accepted_at, Some(at(5)));
        assert_eq!(detail.renew_at, None, "nothing is in use any more");
    }
}
