//! The fold of gateways, and of how revocations reach them.

use super::{Due, State};
use crate::domain::{
    CredentialId, Digest, Event, Gateway, GatewayId, Revocation, RevocationId,
    event::Subject,
    revocation::{Applied, Evidence, Reach},
};
use chrono::{DateTime, Duration, Utc};
use std::sync::Arc;

impl State {
    /// The gateway in service of this name.
    pub fn gateway_named(&self, name: &str) -> Option<&Arc<Gateway>> {
        self.gateway_names
            .get(name)
            .and_then(|id| self.gateways.get(id))
    }

    /// The gateway whose token has this digest. Whether it is still valid is for the caller to check.
    pub fn gateway_of_token(&self, digest: &Digest) -> Option<&Arc<Gateway>> {
        self.gateway_tokens
            .get(digest)
            .and_then(|id| self.gateways.get(id))
    }

    /// How many gateways are in service.
    pub fn gateways_in_service(&self) -> usize {
        self.gateway_names.len()
    }

    /// What a gateway has yet to apply, oldest first, each with the sequence by which it took effect.
    pub fn unapplied_by(
        &self,
        gateway: GatewayId,
    ) -> impl Iterator<Item = (u64, RevocationId)> + '_ {
        let first = (gateway, 0, RevocationId::from_bits(0));
        self.unapplied
            .range(first..)
            .take_while(move |(held, ..)| *held == gateway)
            .map(|(_, since, revocation)| (*since, *revocation))
    }

    /// Revocations that some gateway has yet to apply, with the gateway and the sequence by which each took effect.
    pub fn unapplied(&self) -> impl Iterator<Item = (GatewayId, u64, RevocationId)> + '_ {
        self.unapplied.iter().copied()
    }

    /// The revocation of this version, if some gateway has not been seen to refuse it.
    pub fn unproven(&self, credential: CredentialId, number: u32) -> Option<&Arc<Revocation>> {
        let id = self.unproven.get(&(credential, number))?;
        self.revocations.get(id)
    }

    /// The gateways that may still have an older answer about what was revoked, and until when.
    pub fn bounds<'a>(
        &'a self,
        revocation: &'a Revocation,
    ) -> impl Iterator<Item = (GatewayId, DateTime<Utc>)> + 'a {
        revocation
            .reach
            .iter()
            .filter(|reach| reach.applied.is_none())
            .filter_map(|reach| {
                let bound = self.gateways.get(&reach.gateway)?.bound()?;
                Some((reach.gateway, revocation.effective_at + bound))
            })
    }

    pub(super) fn apply_gateway(&mut self, event: &Event, at: DateTime<Utc>) {
        if let Event::GatewayRegistered { gateway } = event {
            let mut gateway = gateway.as_ref().clone();
            gateway.sequence = self.sequence;
            self.index_gateway(&gateway);
            self.gateways.insert(gateway.id, Arc::new(gateway));
            return;
        }
        let Subject::Gateway(id) = event.subject() else {
            return;
        };
        let Some(held) = self.gateways.get_mut(&id) else {
            return;
        };
        let gateway = Arc::make_mut(held);
        gateway.sequence = self.sequence;
        match event {
            Event::GatewayTokenIssued { token, .. } => {
                // Those that have ended make room.
                gateway.tokens.retain(|held| {
                    let lives = at < held.expires_at;
                    if !lives {
                        self.gateway_tokens.remove(&held.digest);
                    }
                    lives
                });
                self.gateway_tokens.insert(token.digest, id);
                gateway.tokens.push(token.clone());
            }
            Event::GatewayTokenRevoked { token, .. } => gateway.tokens.retain(|held| {
                let stays = held.id != *token;
                if !stays {
                    self.gateway_tokens.remove(&held.digest);
                }
                stays
            }),
            Event::GatewayRemoved { .. } => {
                gateway.removed_at = Some(at);
                for token in gateway.tokens.drain(..) {
                    self.gateway_tokens.remove(&token.digest);
                }
                if self.gateway_names.get(&gateway.name) == Some(&id) {
                    self.gateway_names.remove(&gateway.name);
                }
                let waiting: Vec<_> = self.unapplied_by(id).collect();
                for (_, revocation) in waiting {
                    let applied = Applied {
                        at,
                        by: Evidence::Removed,
                    };
                    self.change_reach(revocation, |reach| {
                        if reach.gateway == id {
                            reach.applied = Some(applied);
                        }
                    });
                }
            }
            _ => {}
        }
    }

    pub(super) fn index_gateway(&mut self, gateway: &Gateway) {
        if gateway.removed_at.is_none() {
            self.gateway_names.insert(gateway.name.clone(), gateway.id);
        }
        for token in &gateway.tokens {
            self.gateway_tokens.insert(token.digest, gateway.id);
        }
    }

    /// The gateways that the revocation of what was accepted until now concerns, each as far as it is by asking alone.
    pub(super) fn concerned(&self, revocation: &Revocation) -> Vec<Reach> {
        let Some(credential) = self.credentials.get(&revocation.credential) else {
            return Vec::new();
        };
        let was_accepted = credential
            .versions
            .iter()
            .any(|held| held.state.accepted() && revocation.versions.contains(&held.number));
        if !was_accepted {
            return Vec::new();
        }
        self.gateways
            .values()
            .filter(|gateway| gateway.removed_at.is_none() && gateway.guards(credential))
            .map(|gateway| Reach {
                gateway: gateway.id,
                sent_at: None,
                applied: (gateway.bound() == Some(Duration::zero())).then_some(Applied {
                    at: revocation.effective_at,
                    by: Evidence::Asks,
                }),
                proven_at: None,
            })
            .collect()
    }

    pub(super) fn index_reach(&mut self, revocation: &Revocation) {
        for reach in &revocation.reach {
            if reach.applied.is_none() {
                self.unapplied
                    .insert((reach.gateway, revocation.since, revocation.id));
            }
        }
        let proven = |reach: &Reach| {
            let removed = |applied: Applied| applied.by == Evidence::Removed;
            reach.proven_at.is_some() || reach.applied.is_some_and(removed)
        };
        let all = revocation.reach.iter().all(proven);
        for number in &revocation.versions {
            let place = (revocation.credential, *number);
            if !all {
                self.unproven.insert(place, revocation.id);
            } else if self.unproven.get(&place) == Some(&revocation.id) {
                self.unproven.remove(&place);
            }
        }
    }

    fn due_of_reach(&self, revocation: &Revocation) -> Vec<(DateTime<Utc>, Due)> {
        self.bounds(revocation)
            .map(|(_, end)| (end, Due::Reach(revocation.id)))
            .collect()
    }

    pub(super) fn insert_revocation(&mut self, revocation: Revocation) {
        self.index_reach(&revocation);
        let due = self.due_of_reach(&revocation);
        self.due.extend(due);
        self.revocations.insert(revocation.id, Arc::new(revocation));
    }

    pub(super) fn apply_reach(&mut self, event: &Event, at: DateTime<Utc>) {
        match event {
            Event::RevocationApplied {
                revocation,
                gateways,
                by,
            } => self.change_reach(*revocation, |reach| {
                let told = gateways.iter().find(|told| told.gateway == reach.gateway);
                if let (Some(told), None) = (told, &reach.applied) {
                    reach.sent_at = told.sent_at;
                    reach.applied = Some(Applied { at, by: *by });
                }
            }),
            Event::RevocationProven {
                revocation,
                gateway,
            } => self.change_reach(*revocation, |reach| {
                if reach.gateway == *gateway && reach.proven_at.is_none() {
                    reach.proven_at = Some(at);
                }
            }),
            _ => {}
        }
    }

    fn change_reach(&mut self, id: RevocationId, change: impl Fn(&mut Reach)) {
        let Some(held) = self.revocations.get(&id).cloned() else {
            return;
        };
        for due in self.due_of_reach(&held) {
            self.due.remove(&due);
        }
        let mut revocation = held.as_ref().clone();
        revocation.reach.iter_mut().for_each(change);
        revocation.sequence = self.sequence;
        for reach in &revocation.reach {
            if reach.applied.is_some() {
                self.unapplied
                    .remove(&(reach.gateway, revocation.since, id));
            }
        }
        self.insert_revocation(revocation);
    }
}
