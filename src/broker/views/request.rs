//! Everything that an approver needs on one screen: what happens, why it is risky, who holds the same, who asked
//! before, and whether the one who looks may decide.

use super::{Views, living};
use crate::{
    domain::{
        Credential, Kind, Operator, Refusal, Request, RequestState,
        check::covers,
        decide::{may_decide, may_retry},
    },
    wire::{
        EventRecord, RequestDetail, ScopeHolder, Verdict,
        request::{BreakGlassView, RequesterHistory, ScopeChange},
    },
};
use chrono::TimeDelta;
use std::{ops::Deref, sync::Arc};

/// Over how many days the requester's past is counted.
const HISTORY_DAYS: u32 = 90;
/// How many people who could decide are named.
const DECIDERS: usize = 16;
/// How many others who hold the same are named.
const HOLDERS: usize = 8;

/// What a credential or plan allows, as a list: the issuer's role where the issuer decides by role.
fn allowed<'a, T: Deref<Target = str>>(kind: Kind, role: &'a str, scopes: &'a [T]) -> Vec<&'a str> {
    match kind {
        Kind::VaultLease | Kind::DatabaseRole if !role.is_empty() => vec![role],
        _ => scopes.iter().map(Deref::deref).collect(),
    }
}

fn allowed_by(credential: &Credential) -> Vec<&str> {
    allowed(credential.kind, &credential.role, &credential.scopes)
}

fn refused(rule: &str, detail: String) -> Verdict {
    Verdict {
        allowed: false,
        rule: rule.to_owned(),
        detail,
    }
}

/// What the rules say, for whoever looks.
fn judged(said: Result<(), Refusal>) -> Verdict {
    match said {
        Ok(()) => Verdict {
            allowed: true,
            rule: String::new(),
            detail: String::new(),
        },
        Err(refusal) => {
            let rule = match &refusal {
                Refusal::Separation { rule, .. } => rule,
                other => other.slug(),
            };
            refused(rule, refusal.to_string())
        }
    }
}

impl Views<'_> {
    /// Everything about `request` for `viewer`; `trail` is its latest events, newest first.
    pub fn request_detail(
        &self,
        request: &Request,
        viewer: &Arc<Operator>,
        trail: Vec<EventRecord>,
    ) -> RequestDetail {
        let evaluation = request.evaluation.as_ref();
        let requester = self.state.operators.get(&request.requester);
        let (changes, holders, holders_total) = self.surroundings(request);
        RequestDetail {
            row: self.request_row(request),
            requester_id: request.requester,
            requester_robot: requester.is_some_and(|operator| operator.robot),
            requester_groups: requester
                .map(|operator| operator.groups.iter().cloned().collect())
                .unwrap_or_default(),
            plan: request.plan.clone(),
            digest: request.digest,
            reason: request.reason.clone(),
            owner: request.owner.clone(),
            tags: request.tags.clone(),
            outcome: evaluation.map(|evaluation| evaluation.outcome),
            quorum: request.quorum().cloned(),
            max_ttl_s: evaluation.map_or(0, |evaluation| evaluation.max_ttl_s),
            risk: evaluation.map(|evaluation| evaluation.risk.clone()),
            rules: evaluation
                .map(|evaluation| evaluation.rules.clone())
                .unwrap_or_default(),
            policy: evaluation.map_or_else(String::new, |evaluation| {
                format!(
                    "{} {}",
                    evaluation.policy_version,
                    evaluation.policy_digest.short()
                )
            }),
            revision: request.revision,
            step_up: request.step_up(),
            notes: request.notes.clone(),
            break_glass: request.break_glass.as_ref().map(|glass| BreakGlassView {
                by: glass.by_name.clone(),
                at: glass.at,
                reason: glass.reason.clone(),
                review_by: glass.review_by,
                reviewed_at: glass.reviewed_at,
            }),
            approvals: request.approvals.iter().map(super::approval_view).collect(),
            ended_by: request.ended_by.as_ref().map(|ending| ending.by.clone()),
            end_reason: request
                .ended_by
                .as_ref()
                .map(|ending| ending.reason.clone()),
            end_proof: super::denial_proof(request.ended_by.as_ref()),
            failure: request.failure.clone(),
            may_retry: (request.state == RequestState::Failed)
                .then(|| judged(may_retry(self.state, request, self.now))),
            attempts: request.attempts,
            delivery: request.issued.and_then(|(credential, number)| {
                let version = self.state.credentials.get(&credential)?.version(number)?;
                version
                    .delivery
                    .as_deref()
                    .map(super::credential::delivery_view)
            }),
            credential_id: request.issued.map(|(credential, _)| credential),
            may_decide: self.verdict(request, viewer),
            deciders: self.deciders(request),
            changes,
            holders,
            holders_total,
            history: self.history(request),
            trail,
        }
    }

    /// Whether `viewer` may decide `request`, and the rule that says so.
    fn verdict(&self, request: &Request, viewer: &Arc<Operator>) -> Verdict {
        let reviewed = request.review_owed().is_some();
        if request.state != RequestState::AwaitingApproval && !reviewed {
            let detail = format!(
                "the request is {}: there is nothing to decide",
                request.state
            );
            return refused("not-waiting", detail);
        }
        if !reviewed
            && request
                .deadline
                .is_some_and(|deadline| deadline <= self.now)
        {
            return refused("too-late", "the time to decide is over".to_owned());
        }
        if request.approved_by(viewer.id) {
            return refused(
                "distinct-people",
                "you have approved this already; another person is needed".to_owned(),
            );
        }
        judged(may_decide(self.state, request, viewer).map(drop))
    }

    fn deciders(&self, request: &Request) -> Vec<String> {
        self.state
            .operators
            .values()
            .filter(|person| may_decide(self.state, request, person).is_ok())
            .filter(|person| !request.approved_by(person.id))
            .map(|person| person.name.clone())
            .take(DECIDERS)
            .collect()
    }

    /// Each scope against what the client holds, and who else holds the same: one pass over the living credentials
    /// of the environment.
    fn surroundings(&self, request: &Request) -> (Vec<ScopeChange>, Vec<ScopeHolder>, u64) {
        let plan = &request.plan;
        let wanted = allowed(plan.kind, &plan.role, &plan.scopes);
        let mut changes: Vec<ScopeChange> = wanted
            .iter()
            .map(|scope| ScopeChange {
                scope: (*scope).to_owned(),
                held: false,
                wildcard: scope.contains('*'),
                covers: 0,
            })
            .collect();
        let (mut holders, mut total) = (Vec::new(), 0);
        for credential in self.state.credentials.values() {
            if credential.environment != plan.environment || !living(credential.state(self.now)) {
                continue;
            }
            let has = allowed_by(credential);
            let mut same = false;
            for change in &mut changes {
                if credential.client == plan.client
                    && has.iter().any(|scope| covers(scope, &change.scope))
                {
                    change.held = true;
                }
                if has.iter().any(|scope| covers(&change.scope, scope)) {
                    change.covers += 1;
                    same = true;
                }
            }
            if same && credential.client != plan.client {
                total += 1;
                if holders.len() < HOLDERS {
                    holders.push(ScopeHolder {
                        credential: credential.name.to_string(),
                        owner: credential.owner.to_string(),
                        expires_at: credential.expires_at(),
                    });
                }
            }
        }
        (changes, holders, total)
    }

    /// What the requester asked for in the 90 days before this request.
    fn history(&self, request: &Request) -> RequesterHistory {
        let from = request.submitted_at - TimeDelta::days(HISTORY_DAYS.into());
        let hour_before = request.submitted_at - TimeDelta::hours(1);
        let wanted = |held: &Request| {
            (
                held.plan.kind,
                held.plan.role.clone(),
                held.plan.scopes.clone(),
            )
        };
        let this = wanted(request);
        let mut history = RequesterHistory {
            days: HISTORY_DAYS,
            ..RequesterHistory::default()
        };
        // Identifiers sort by time, so the latest requests are at the end.
        let past = self
            .state
            .requests
            .values()
            .rev()
            .skip_while(|held| held.submitted_at > request.submitted_at)
            .take_while(|held| held.submitted_at >= from)
            .filter(|held| held.requester == request.requester && held.id != request.id);
        for held in past {
            history.asked += 1;
            history.issued += u64::from(held.issued.is_some());
            history.denied += u64::from(held.state == RequestState::Denied);
            history.lapsed += u64::from(matches!(
                held.state,
                RequestState::Expired | RequestState::Lapsed
            ));
            history.last_hour += u64::from(held.submitted_at > hour_before);
            history.same_before += u64::from(wanted(held) == this);
        }
        history
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        broker::{
            usage::Usage,
            views::testing::{World, at, operator_with},
        },
        domain::{Environment, Event, Role, request::Ending},
    };

    fn people() -> (Operator, Operator) {
        let requester = operator_with("sam", &[(Environment::Production, Role::Operator)], "a");
        let mut approver = operator_with("maya", &[(Environment::Production, Role::Approver)], "b");
        approver.groups.insert("security".into());
        (requester, approver)
    }

    fn world() -> (World, Operator, Operator) {
        let (requester, approver) = people();
        let mut world = World::new();
        for operator in [&requester, &approver] {
            world.happens(
                0,
                Event::OperatorEnrolled {
                    operator: Box::new(operator.clone()),
                },
            );
        }
        (world, requester, approver)
    }

    #[test]
    fn wildcards_cover_what_they_say() {
        assert!(covers("db:*", "db:read"));
        assert!(covers("*", "anything"));
        assert!(covers("db:*:own", "db:read:own"));
        assert!(!covers("db:*:own", "db:own"));
        assert!(!covers("db:read", "db:reader"));
    }

    #[test]
    fn the_verdict_names_the_rule_and_the_deciders() {
        let (mut world, requester, approver) = world();
        let id = world.awaiting(&requester, 100, 1, 4_000);
        let usage = Usage::default();
        let detail = |who: &Operator, now| {
            let viewer = Arc::new(who.clone());
            world
                .views(&usage, now)
                .request_detail(&world.state.requests[&id], &viewer, Vec::new())
        };
        let own = detail(&requester, 200);
        assert_eq!(own.may_decide.rule, "requester-never-counts");
        assert_eq!(own.deciders, ["maya"]);
        assert!(detail(&approver, 200).may_decide.allowed);
        assert_eq!(detail(&approver, 4_000).may_decide.rule, "too-late");
    }

    #[test]
    fn scopes_are_held_against_what_lives() {
        let (mut world, requester, _) = world();
        world.credential("mine", |credential| {
            credential.scopes = ["payments:read"].into();
        });
        let other = crate::domain::ClientId::from_bits(2);
        for name in ["theirs-1", "theirs-2"] {
            world.credential(name, |credential| {
                credential.client = other;
                credential.scopes = ["payments:write", "ledger:read"].into();
            });
        }
        world.credential("dead", |credential| {
            credential.client = other;
            credential.scopes = ["payments:write"].into();
            credential.versions[0].state = crate::domain::VersionState::Expired;
        });
        let id = world.request(&requester, 100, |request| {
            request.plan.scopes = vec!["payments:read".into(), "payments:*".into()];
        });
        let usage = Usage::default();
        let views = world.views(&usage, 200);
        let (changes, holders, total) = views.surroundings(&world.state.requests[&id]);
        assert!(changes[0].held && !changes[0].wildcard);
        assert_eq!(changes[0].covers, 1);
        assert!(!changes[1].held && changes[1].wildcard);
        assert_eq!(changes[1].covers, 3);
        assert_eq!((holders.len(), total), (2, 2));
        assert_eq!(holders[0].credential, "theirs-1");
    }

    #[test]
    fn the_past_is_counted_without_this_request() {
        let (mut world, requester, approver) = world();
        let day = 86_400;
        world.request(&requester, 0, |_| {});
        let denied = world.request(&requester, 50 * day, |_| {});
        world.happens(
            50 * day,
            Event::RequestDenied {
                request: denied,
                ending: Ending {
                    by: "maya".into(),
                    reason: "no".into(),
                    at: at(50 * day),
                    proof: None,
                },
            },
        );
        world.request(&approver, 99 * day, |_| {});
        world.request(&requester, 100 * day - 60, |request| {
            request.plan.scopes = vec!["other".into()];
        });
        let id = world.request(&requester, 100 * day, |_| {});
        world.request(&requester, 101 * day, |_| {});
        let usage = Usage::default();
        let history = world
            .views(&usage, 102 * day)
            .history(&world.state.requests[&id]);
        assert_eq!(
            history,
            RequesterHistory {
                days: 90,
                asked: 2,
                issued: 0,
                denied: 1,
                lapsed: 0,
                last_hour: 1,
                same_before: 1,
            }
        );
    }
}
