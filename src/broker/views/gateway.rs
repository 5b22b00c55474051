//! Gateways, and how far each has come with a revocation.

use super::Views;
use crate::{
    broker::gateways::Gateways,
    domain::{Evidence, Gateway, Reach, Revocation},
    wire::{
        GatewayRow, ReachState, ReachView, RevocationDetail, RevocationRow, TokenRow,
        revocation::{Exposure, PastRevocation},
    },
};
use chrono::{DateTime, TimeDelta, Utc};
use std::cmp::Reverse;

/// How many of the revocations before one are shown beside it.
const BEFORE: usize = 20;

fn millis(from: DateTime<Utc>, to: DateTime<Utc>) -> u64 {
    (to - from).num_milliseconds().max(0).cast_unsigned()
}

impl Views<'_> {
    /// What the registry shows of a revocation.
    pub fn revocation_row(&self, revocation: &Revocation) -> RevocationRow {
        let reach = &revocation.reach;
        let applied = reach.iter().filter(|reach| reach.applied.is_some()).count();
        let proven = reach.iter().filter(|reach| reach.proven_at.is_some());
        let late = reach.iter().filter(|reach| self.late(revocation, reach));
        let propagated_at = revocation.propagated_at();
        RevocationRow {
            id: revocation.id,
            credential: revocation.credential,
            credential_name: self
                .state
                .credentials
                .get(&revocation.credential)
                .map_or_else(String::new, |credential| credential.name.to_string()),
            versions: revocation.versions.clone(),
            whole: revocation.whole,
            reason: revocation.reason.clone(),
            by: revocation.by.clone(),
            effective_at: revocation.effective_at,
            state: revocation.state(),
            enforcement: revocation.enforcement.clone(),
            gateways: reach.len() as u32,
            applied: applied as u32,
            proven: proven.count() as u32,
            late: late.count() as u32,
            propagated_at,
            time_to_revoke_ms: propagated_at.map(|at| millis(revocation.effective_at, at)),
            since: revocation.since,
            sequence: revocation.sequence,
        }
    }

    /// Whether a gateway took, or has taken until now, longer than its objective.
    fn late(&self, revocation: &Revocation, reach: &Reach) -> bool {
        let objective = self
            .state
            .gateways
            .get(&reach.gateway)
            .map_or(i64::MAX / 1_000, |gateway| {
                gateway.objective_s.cast_signed()
            });
        let until = reach.applied.map_or(self.now, |applied| applied.at);
        until - revocation.effective_at > TimeDelta::seconds(objective)
    }

    /// A revocation, gateway by gateway.
    pub fn revocation_detail(
        &self,
        revocation: &Revocation,
        gateways: &Gateways,
    ) -> RevocationDetail {
        let credential = self.state.credentials.get(&revocation.credential);
        let client = credential.and_then(|held| self.state.clients.get(&held.client));
        let objectives = revocation
            .reach
            .iter()
            .filter_map(|reach| self.state.gateways.get(&reach.gateway))
            .map(|gateway| gateway.objective_s);
        let mut reach: Vec<ReachView> = revocation
            .reach
            .iter()
            .map(|reach| self.reach_view(revocation, reach, gateways))
            .collect();
        reach.sort_by_key(|view| {
            let waits = matches!(view.state, ReachState::Pending | ReachState::Sent);
            (!waits, Reverse(view.applied_ms), view.name.clone())
        });
        let before = self
            .state
            .revocations
            .values()
            .rev()
            .filter(|held| held.since < revocation.since && !held.reach.is_empty())
            .take(BEFORE)
            .map(|held| self.past(held))
            .collect();
        RevocationDetail {
            row: self.revocation_row(revocation),
            environment: credential.map(|held| held.environment),
            client: credential.map_or_else(String::new, |held| self.client_name(held.client)),
            dependents: client.map_or_else(Vec::new, |client| client.dependents.clone()),
            objective_s: objectives.max(),
            exposure: self.exposure(revocation, &reach),
            reach,
            before,
        }
    }

    fn past(&self, revocation: &Revocation) -> PastRevocation {
        let row = self.revocation_row(revocation);
        PastRevocation {
            id: row.id,
            credential_name: row.credential_name,
            effective_at: row.effective_at,
            time_to_revoke_ms: row.time_to_revoke_ms,
        }
    }

    fn reach_view(&self, revocation: &Revocation, reach: &Reach, gateways: &Gateways) -> ReachView {
        let gateway = self.state.gateways.get(&reach.gateway);
        let place = gateways.place(reach.gateway);
        let since = |at: Option<DateTime<Utc>>| at.map(|at| millis(revocation.effective_at, at));
        let sent_at = reach.sent_at.or_else(|| place.sent_at(revocation.since));
        let applied_at = reach.applied.map(|applied| applied.at);
        let seen_at = place.seen_at();
        let removed = reach.applied.map(|applied| applied.by) == Some(Evidence::Removed);
        let used = self.usage.used(
            revocation.credential,
            &revocation.versions,
            Some(reach.gateway),
        );
        ReachView {
            gateway: reach.gateway,
            name: gateway.map_or_else(|| reach.gateway.to_string(), |held| held.name.clone()),
            profile: gateway.map_or(crate::domain::Profile::Receiver, |held| held.profile),
            state: match (reach.applied, reach.proven_at, sent_at) {
                _ if removed => ReachState::Removed,
                (Some(_), Some(_), _) => ReachState::Proven,
                (Some(_), None, _) => ReachState::Applied,
                (None, _, Some(_)) => ReachState::Sent,
                (None, _, None) => ReachState::Pending,
            },
            sent_at,
            sent_ms: since(sent_at),
            applied_at,
            applied_ms: since(applied_at),
            by: reach.applied.map(|applied| applied.by),
            proven_at: reach.proven_at,
            proven_ms: since(reach.proven_at),
            bound_at: gateway
                .and_then(|held| held.bound())
                .filter(|bound| !bound.is_zero())
                .map(|bound| revocation.effective_at + bound),
            objective_s: gateway.map_or(0, |held| held.objective_s),
            late: self.late(revocation, reach),
            seen_at,
            silent: seen_at.is_none_or(|seen| seen < revocation.effective_at),
            accepted: used.accepted,
            accepted_at: used.accepted_at,
            refused: used.refused,
            refused_at: used.refused_at,
        }
    }

    fn exposure(&self, revocation: &Revocation, reach: &[ReachView]) -> Exposure {
        let used = self
            .usage
            .used(revocation.credential, &revocation.versions, None);
        let through: Vec<String> = reach
            .iter()
            .filter(|view| view.applied_at.is_none())
            .map(|view| view.name.clone())
            .collect();
        let ends = self
            .state
            .credentials
            .get(&revocation.credential)
            .into_iter()
            .flat_map(|credential| &credential.versions)
            .filter(|version| revocation.versions.contains(&version.number))
            .map(|version| version.ends_at());
        // The latest end, and none if one of them has none.
        let ends_at = ends
            .reduce(|one, other| Some(one?.max(other?)))
            .flatten()
            .filter(|_| !through.is_empty());
        Exposure {
            through,
            accepted_after: used.accepted_at.filter(|at| *at > revocation.effective_at),
            refused_at: used.refused_at.filter(|at| *at >= revocation.effective_at),
            ends_at,
        }
    }

    /// A gateway, and how far it has come.
    pub fn gateway_row(&self, gateway: &Gateway, gateways: &Gateways) -> GatewayRow {
        let place = gateways.place(gateway.id);
        let waiting: Vec<_> = self.state.unapplied_by(gateway.id).collect();
        let late = waiting
            .iter()
            .filter_map(|(_, id)| self.state.revocations.get(id))
            .filter(|held| {
                held.reach_of(gateway.id)
                    .is_some_and(|reach| self.late(held, reach))
            })
            .count();
        let (accepted, refused) = place.answered();
        let objective = TimeDelta::seconds(gateway.objective_s.cast_signed());
        let seen_at = place.seen_at();
        GatewayRow {
            id: gateway.id,
            name: gateway.name.clone(),
            profile: gateway.profile,
            environment: gateway.environment,
            audiences: gateway.audiences.iter().map(ToString::to_string).collect(),
            routes: gateway.routes.clone(),
            objective_s: gateway.objective_s,
            cache_s: gateway.cache_s,
            bound_s: gateway
                .bound()
                .map(|bound| bound.num_seconds().cast_unsigned()),
            by: gateway.by.clone(),
            registered_at: gateway.registered_at,
            removed_at: gateway.removed_at,
            tokens: gateway
                .tokens
                .iter()
                .map(|token| TokenRow {
                    id: token.id,
                    created_at: token.created_at,
                    expires_at: token.expires_at,
                    key: None,
                })
                .collect(),
            seen_at,
            silent: seen_at.is_none_or(|seen| self.now - seen > objective),
            cursor: place.cursor(),
            waiting: waiting.len() as u64,
            late: late as u64,
            accepted,
            refused,
            sequence: gateway.sequence,
        }
    }
}
