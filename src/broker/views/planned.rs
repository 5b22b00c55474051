//! What a filter would withdraw.

use super::Views;
use crate::{
    domain::{Command, Credential, PlannedRevocation, Refusal, RevocationPlan},
    wire::{
        CredentialRow, PlannedReach, filter::Filter, revocation::PlannedMember, revocation_digest,
    },
};
use chrono::TimeDelta;
use std::{collections::BTreeMap, sync::Arc};

/// Whatever was accepted within this is in use.
const IN_USE: TimeDelta = TimeDelta::hours(1);
/// How many differences between a plan and what there is are told.
const TOLD: usize = 20;

impl Views<'_> {
    /// The living credentials that `sees` lets through and `filter` finds, by identifier.
    fn found(
        &self,
        filter: &Filter,
        sees: impl Fn(&Credential) -> bool,
    ) -> Vec<(&Arc<Credential>, CredentialRow)> {
        let all = self.state.credentials.values();
        all.filter(|credential| !credential.has_ended(self.now) && sees(credential))
            .map(|credential| (credential, self.credential_row(credential)))
            .filter(|(_, row)| filter.matches(row, self.now))
            .collect()
    }

    /// What withdrawing everything that `filter` finds would come to.
    ///
    /// # Errors
    /// Where it finds nothing, or more than one plan may have.
    pub fn planned_reach(
        &self,
        text: &str,
        filter: &Filter,
        sees: impl Fn(&Credential) -> bool,
    ) -> Result<PlannedReach, Refusal> {
        let found = self.found(filter, sees);
        let (count, limit) = (found.len(), Command::REVOKE_LIMIT);
        if count == 0 {
            return Err(Refusal::Conflict {
                detail: "the filter finds no living credential: there is nothing to revoke".into(),
            });
        }
        if count > limit {
            return Err(Refusal::Limit {
                detail: format!(
                    "the filter finds {count} credentials, and one plan has at most {limit}: \
                     narrow it, by owner, client or environment"
                ),
            });
        }
        let plan = RevocationPlan {
            filter: text.to_owned(),
            head: self.state.sequence,
            members: members(&found),
        };
        let mut rows: Vec<PlannedMember> = found
            .iter()
            .map(|(credential, row)| PlannedMember {
                id: row.id,
                name: row.name.clone(),
                environment: row.environment,
                tier: row.tier,
                owner: row.owner.clone(),
                client: row.client.clone(),
                versions: credential.accepted_versions(),
                last_used_at: row.last_used_at,
                in_use: row.last_used_at.is_some_and(|at| self.now - at <= IN_USE),
            })
            .collect();
        rows.sort_by(|one, other| {
            let key = |row: &PlannedMember| (!row.in_use, row.name.clone(), row.environment);
            key(one).cmp(&key(other))
        });
        let by = |word: fn(&PlannedMember) -> &str| {
            let mut counts: BTreeMap<String, u64> = BTreeMap::new();
            for row in &rows {
                *counts.entry(word(row).to_owned()).or_default() += 1;
            }
            counts
        };
        Ok(PlannedReach {
            digest: revocation_digest(&plan),
            plan,
            count: count as u64,
            in_use: rows.iter().filter(|row| row.in_use).count() as u64,
            by_tier: by(|row| row.tier.as_str()),
            by_environment: by(|row| row.environment.as_str()),
            by_owner: by(|row| &row.owner),
            rows,
        })
    }

    /// Refuses a plan that is not what `filter` finds now, and says what is different.
    ///
    /// # Errors
    /// [`Refusal::Stale`].
    pub fn still_planned(
        &self,
        plan: &RevocationPlan,
        filter: &Filter,
        sees: impl Fn(&Credential) -> bool,
    ) -> Result<(), Refusal> {
        let found = self.found(filter, sees);
        let now = members(&found);
        if now == plan.members {
            return Ok(());
        }
        let name = |member: &PlannedRevocation| {
            let credential = self.state.credentials.get(&member.credential);
            credential.map_or_else(
                || member.credential.to_string(),
                |held| held.name.to_string(),
            )
        };
        let is_in = |list: &[PlannedRevocation], member: &PlannedRevocation| {
            list.iter().any(|held| held.credential == member.credential)
        };
        let came = now.iter().filter(|member| !is_in(&plan.members, member));
        let went = plan.members.iter().filter(|member| !is_in(&now, member));
        let other = now
            .iter()
            .filter(|member| is_in(&plan.members, member) && !plan.members.contains(member));
        let words = came
            .map(|member| format!("{} is found now", name(member)))
            .chain(went.map(|member| format!("{} is not found any more", name(member))))
            .chain(other.map(|member| format!("{} has other versions accepted", name(member))));
        let mut changed: Vec<String> = words.collect();
        let more = changed.len().saturating_sub(TOLD);
        changed.truncate(TOLD);
        if more > 0 {
            changed.push(format!("and {more} more"));
        }
        Err(Refusal::Stale {
            subject: "what the filter finds".into(),
            seen: plan.head,
            current: self.state.sequence,
            changed,
        })
    }
}

fn members(found: &[(&Arc<Credential>, CredentialRow)]) -> Vec<PlannedRevocation> {
    let planned = found.iter().map(|(credential, _)| PlannedRevocation {
        credential: credential.id,
        versions: credential.accepted_versions(),
    });
    planned.collect()
}
