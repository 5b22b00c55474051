//! Gateways: which there are, how they prove who they are, and what each has applied.

use super::{fresh, holder, people, stamp, system};
use crate::domain::{
    Actor, Command, Context, Event, FieldError, Gateway, GatewayId, Refusal, Revocation, Role,
    State, Token,
    check::Check,
    gateway::GATEWAYS_MAX,
    revocation::{Evidence, Reached},
};
use chrono::{DateTime, Utc};
use std::{collections::BTreeMap, sync::Arc};

/// The most tokens that one gateway may hold: the one in use, and those that replace it.
const TOKENS_MAX: usize = 4;

pub(super) fn decide(
    state: &State,
    command: &Command,
    context: &Context,
) -> Result<Vec<Event>, Refusal> {
    match command {
        Command::RegisterGateway(gateway) => register(state, gateway, context),
        Command::IssueGatewayToken { gateway, token } => {
            let held = find(state, *gateway)?;
            holder(state, context, held.environment, &[Role::Admin])?;
            in_service(held)?;
            lives(token, context)?;
            let valid = held
                .tokens
                .iter()
                .filter(|token| context.now < token.expires_at);
            if valid.count() >= TOKENS_MAX {
                return Err(Refusal::Limit {
                    detail: format!(
                        "{} holds {TOKENS_MAX} tokens; withdraw one first",
                        held.name
                    ),
                });
            }
            Ok(vec![Event::GatewayTokenIssued {
                gateway: *gateway,
                token: token.clone(),
            }])
        }
        Command::RevokeGatewayToken { gateway, token } => {
            let held = find(state, *gateway)?;
            holder(state, context, held.environment, &[Role::Admin])?;
            Ok(if held.tokens.iter().any(|known| known.id == *token) {
                vec![Event::GatewayTokenRevoked {
                    gateway: *gateway,
                    token: *token,
                }]
            } else {
                Vec::new()
            })
        }
        Command::RemoveGateway { gateway, reason } => {
            let held = find(state, *gateway)?;
            holder(state, context, held.environment, &[Role::Admin])?;
            fresh(context, gateway, held.sequence, &[held.sequence])?;
            people::require_reason(reason)?;
            Ok(if held.removed_at.is_some() {
                Vec::new()
            } else {
                vec![Event::GatewayRemoved {
                    gateway: *gateway,
                    reason: reason.clone(),
                }]
            })
        }
        Command::RecordCursor {
            gateway,
            cursor,
            sent,
        } => cursor_moved(state, *gateway, *cursor, sent, context),
        Command::RecordProven {
            gateway,
            revocation,
        } => {
            system(context)?;
            let held = state.revocations.get(revocation);
            // A refusal while an older answer may still be kept proves nothing about the next call.
            let news = held.and_then(|held| held.reach_of(*gateway));
            let news =
                news.is_some_and(|reach| reach.applied.is_some() && reach.proven_at.is_none());
            Ok(if news {
                vec![Event::RevocationProven {
                    revocation: *revocation,
                    gateway: *gateway,
                }]
            } else {
                Vec::new()
            })
        }
        _ => Ok(Vec::new()),
    }
}

fn register(state: &State, gateway: &Gateway, context: &Context) -> Result<Vec<Event>, Refusal> {
    holder(state, context, gateway.environment, &[Role::Admin])?;
    let mut check = Check::default();
    check.gateway(gateway);
    if gateway.removed_at.is_some() || gateway.tokens.len() > 1 {
        check.refuse("", "expected a gateway that is new, with one token");
    }
    check.finish()?;
    for token in &gateway.tokens {
        lives(token, context)?;
    }
    if state.gateway_named(&gateway.name).is_some() || state.gateways.contains_key(&gateway.id) {
        return Err(Refusal::Conflict {
            detail: format!("a gateway named {} is in service", gateway.name),
        });
    }
    if state.gateways_in_service() >= GATEWAYS_MAX {
        return Err(Refusal::Limit {
            detail: format!("{GATEWAYS_MAX} gateways are in service; remove one first"),
        });
    }
    let mut gateway = gateway.clone();
    gateway.by = stamp(state, context).name;
    gateway.registered_at = context.now;
    Ok(vec![Event::GatewayRegistered {
        gateway: Box::new(gateway),
    }])
}

/// What a gateway has applied with everything up to `cursor`, oldest first; at most [`Command::SETTLE_LIMIT`] at once.
fn cursor_moved(
    state: &State,
    gateway: GatewayId,
    cursor: u64,
    sent: &BTreeMap<u64, DateTime<Utc>>,
    context: &Context,
) -> Result<Vec<Event>, Refusal> {
    let itself = match &context.actor {
        Actor::Gateway { id, .. } => *id == gateway,
        Actor::System(_) => true,
        Actor::Operator { .. } => false,
    };
    if !itself {
        return Err(Refusal::Separation {
            rule: "gateway-only",
            detail: "a gateway says itself what it has applied, by its own token".into(),
        });
    }
    in_service(find(state, gateway)?)?;
    if cursor > state.sequence {
        return Err(Refusal::Invalid(vec![FieldError {
            pointer: "/cursor".into(),
            detail: format!(
                "expected at most {}: the log is no longer yet",
                state.sequence
            ),
        }]));
    }
    Ok(state
        .unapplied_by(gateway)
        .take_while(|(since, _)| *since <= cursor)
        .take(Command::SETTLE_LIMIT)
        .map(|(since, revocation)| Event::RevocationApplied {
            revocation,
            gateways: vec![Reached {
                gateway,
                sent_at: sent.range(since..).next().map(|(_, at)| *at),
            }],
            by: Evidence::Acknowledged,
        })
        .collect())
}

/// What follows for a revocation from the passing of time: those gateways have no older answer any more.
pub(super) fn caches_ended(
    state: &State,
    revocation: &Revocation,
    now: DateTime<Utc>,
) -> Option<Event> {
    let over: Vec<Reached> = state
        .bounds(revocation)
        .filter(|(_, end)| *end <= now)
        .map(|(gateway, _)| Reached {
            gateway,
            sent_at: None,
        })
        .collect();
    (!over.is_empty()).then_some(Event::RevocationApplied {
        revocation: revocation.id,
        gateways: over,
        by: Evidence::CacheEnded,
    })
}

fn find(state: &State, id: GatewayId) -> Result<&Arc<Gateway>, Refusal> {
    state.gateways.get(&id).ok_or(Refusal::NotFound {
        what: "gateway",
        id: id.to_string(),
    })
}

fn in_service(gateway: &Gateway) -> Result<(), Refusal> {
    if gateway.removed_at.is_some() {
        return Err(Refusal::Conflict {
            detail: format!("{} is out of service; register it anew", gateway.name),
        });
    }
    Ok(())
}

fn lives(token: &Token, context: &Context) -> Result<(), Refusal> {
    if token.expires_at <= context.now {
        return Err(Refusal::Invalid(vec![FieldError {
            pointer: "/token_ttl_s".into(),
            detail: "expected an end in the future".into(),
        }]));
    }
    Ok(())
}
