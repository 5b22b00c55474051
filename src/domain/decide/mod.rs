//! The rules: command and state in, events or a typed refusal out. Pure; whatever it must know comes in.

mod credentials;
mod decisions;
mod deliveries;
mod gateways;
mod issuance;
mod keys;
mod offboarding;
mod people;
mod planned;
mod policy;
mod quorum;
mod requests;
mod reviews;
mod rotations;
mod signatures;
mod sweep;
mod tokens;

pub use decisions::{APPROVAL_GROUP_EMPTY, may_decide};
pub use deliveries::deliver_until;
pub use issuance::{CLAIM_WINDOW, OVERLAP, may_retry};
pub use offboarding::{HANDED_OVER_AT_ONCE, can_be_withdrawn, left_alone};
pub use policy::{matter as policy_matter, may_decide_policy};
pub use requests::outlived;
pub use rotations::{can_rotate, its_turn, life, may_take};
pub use signatures::Matter;

use super::{
    Actor, Command, Context, Environment, Event, Operator, Refusal, Role, State, check,
    command::ActorStamp,
};
use std::sync::Arc;

/// What follows from `command` in `state`: the events to append, in order.
///
/// An empty list is a valid answer: what was asked for is so already.
///
/// # Errors
/// A [`Refusal`]; nothing changes.
pub fn decide(state: &State, command: &Command, context: &Context) -> Result<Vec<Event>, Refusal> {
    match command {
        Command::OnboardClient(_)
        | Command::EnrolOperator(_)
        | Command::IssueToken { .. }
        | Command::RevokeToken { .. }
        | Command::GrantOperator { .. } => people::decide(state, command, context),
        Command::OffboardClient { .. } | Command::OffboardOperator { .. } => {
            offboarding::decide(state, command, context)
        }
        Command::Confirm { .. } => reviews::decide(state, command, context),
        Command::SignIn { .. }
        | Command::EnrolKey { .. }
        | Command::CountersignKey { .. }
        | Command::RemoveKey { .. } => keys::decide(state, command, context),
        Command::SubmitRequest { .. }
        | Command::Narrow { .. }
        | Command::Hold { .. }
        | Command::Reevaluate { .. }
        | Command::Resume { .. }
        | Command::AddNote { .. }
        | Command::Withdraw { .. } => requests::decide(state, command, context),
        Command::Approve { .. } | Command::Deny { .. } | Command::BreakGlass { .. } => {
            decisions::decide(state, command, context)
        }
        Command::ProposePolicy { .. }
        | Command::ApprovePolicy { .. }
        | Command::DenyPolicy { .. }
        | Command::WithdrawPolicy { .. } => policy::decide(state, command, context),
        Command::Retry { .. }
        | Command::Claim { .. }
        | Command::StartIssuance { .. }
        | Command::RecordMinted { .. }
        | Command::RecordIssuanceFailed { .. } => issuance::decide(state, command, context),
        Command::DeliverTo { .. }
        | Command::StartDelivery { .. }
        | Command::RecordDeliveryFailed { .. }
        | Command::RecordRequestDelivered { .. } => deliveries::decide(state, command, context),
        Command::Adopt(_)
        | Command::Quarantine { .. }
        | Command::Release { .. }
        | Command::Revoke { .. }
        | Command::RevokeByHolder { .. }
        | Command::ChangeOwner { .. }
        | Command::RecordEnforced { .. }
        | Command::RecordEnforcementFailed { .. } => credentials::decide(state, command, context),
        Command::RevokePlanned {
            plan,
            digest,
            reason,
            ids,
        } => planned::decide(state, context, plan, *digest, reason, ids),
        Command::RegisterGateway(_)
        | Command::IssueGatewayToken { .. }
        | Command::RevokeGatewayToken { .. }
        | Command::RemoveGateway { .. }
        | Command::RecordCursor { .. }
        | Command::RecordProven { .. } => gateways::decide(state, command, context),
        Command::PublishTokenKey(_)
        | Command::UseTokenKey { .. }
        | Command::WithdrawTokenKey { .. } => tokens::decide(state, command, context),
        Command::SetRotationRules(_)
        | Command::Rotate { .. }
        | Command::RotateGroup { .. }
        | Command::RotateDue { .. }
        | Command::StartMinting { .. }
        | Command::RecordRotationMinted { .. }
        | Command::RecordMintingFailed { .. }
        | Command::StartCheck { .. }
        | Command::RecordChecked { .. }
        | Command::RecordCheckFailed { .. }
        | Command::ClaimRotated { .. }
        | Command::RecordDelivered { .. }
        | Command::RecordPutBack { .. }
        | Command::Promote { .. }
        | Command::RollBack { .. }
        | Command::EndOverlap { .. }
        | Command::SettleRotation { .. } => rotations::decide(state, command, context),
        Command::Sweep { revocations } => {
            system(context)?;
            Ok(sweep::due(state, context.now, revocations))
        }
        Command::RollUpUsage { hour, entries } => {
            system(context)?;
            if entries.len() > Command::USAGE_LIMIT {
                return Err(Refusal::Limit {
                    detail: format!("at most {} credentials fit one event", Command::USAGE_LIMIT),
                });
            }
            Ok(if entries.is_empty() {
                Vec::new()
            } else {
                vec![Event::UsageRolledUp {
                    hour: *hour,
                    entries: entries.clone(),
                }]
            })
        }
        Command::RecordLeftover { issuer, what } => {
            system(context)?;
            Ok(vec![Event::LeftoverRemoved {
                issuer: check::clip(issuer, check::NAME_MAX),
                what: check::clip(what, check::TEXT_MAX),
            }])
        }
    }
}

/// The actor as the log keeps it.
pub fn stamp(state: &State, context: &Context) -> ActorStamp {
    match &context.actor {
        Actor::Operator { id, proof } => ActorStamp {
            id: Some(*id),
            name: state
                .operators
                .get(id)
                .map_or_else(|| id.to_string(), |operator| operator.name.clone()),
            token: match proof {
                super::Proof::Token { token } => Some(*token),
                super::Proof::SshSignature(_) => None,
            },
            from: context.from.clone(),
        },
        Actor::Gateway { id, token } => ActorStamp {
            id: None,
            // No operator's handle has a colon in it.
            name: state.gateways.get(id).map_or_else(
                || format!("gateway:{id}"),
                |gateway| format!("gateway:{}", gateway.name),
            ),
            token: Some(*token),
            from: context.from.clone(),
        },
        Actor::System(part) => ActorStamp {
            id: None,
            name: (*part).to_owned(),
            token: None,
            from: context.from.clone(),
        },
    }
}

/// The operator who acts. An account that was closed, or a part of the broker, is none.
fn operator<'a>(state: &'a State, context: &Context) -> Result<&'a Arc<Operator>, Refusal> {
    let Actor::Operator { id, .. } = &context.actor else {
        return Err(Refusal::Separation {
            rule: "person-needed",
            detail: "this is for people and services that are signed in".into(),
        });
    };
    state
        .operators
        .get(id)
        .filter(|operator| operator.offboarded_at.is_none())
        .ok_or(Refusal::NotFound {
            what: "operator",
            id: id.to_string(),
        })
}

/// The operator who acts, if they hold one of `roles` in `environment`.
fn holder<'a>(
    state: &'a State,
    context: &Context,
    environment: Environment,
    roles: &[Role],
) -> Result<&'a Arc<Operator>, Refusal> {
    let operator = operator(state, context)?;
    if operator.holds(environment, roles) {
        Ok(operator)
    } else {
        Err(Refusal::Role {
            needs: roles.iter().map(|role| role.as_str()).collect(),
            environment,
        })
    }
}

/// Refuses everyone but the broker's own parts.
fn system(context: &Context) -> Result<(), Refusal> {
    match context.actor {
        Actor::System(_) => Ok(()),
        Actor::Operator { .. } | Actor::Gateway { .. } => Err(Refusal::Separation {
            rule: "broker-only",
            detail: "only the broker itself records this".into(),
        }),
    }
}

/// Refuses when the object has changed since the caller looked. `changed` names what happened since.
fn fresh(
    context: &Context,
    subject: impl std::fmt::Display,
    current: u64,
    changed: &[u64],
) -> Result<(), Refusal> {
    match context.if_match {
        Some(seen) if seen != current => Err(Refusal::Stale {
            subject: subject.to_string(),
            seen,
            current,
            changed: changed
                .iter()
                .filter(|&&at| at > seen)
                .map(|at| format!("#{at}"))
                .collect(),
        }),
        _ => Ok(()),
    }
}
