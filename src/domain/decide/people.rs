//! Clients and operators: who may come, what they may do, and that there is always an admin left.

use super::{fresh, holder, quorum, rotations};
use crate::domain::{
    Command, Context, Environment, Event, Operator, OperatorId, Refusal, Revocation, Role, State,
    check::{Check, LIST_MAX},
    operator::Authenticator,
    revocation::Enforcement,
};
use chrono::{DateTime, Utc};
use std::collections::{BTreeMap, BTreeSet};

/// The most sign-in tokens that one operator may hold.
const TOKENS_MAX: usize = 16;
/// The most ways to sign in that an account can be opened with.
const AUTHENTICATORS_MAX: usize = 8;
/// The longest name as people write it, in bytes.
const DISPLAY_NAME_MAX: usize = 256;

pub(super) fn decide(
    state: &State,
    command: &Command,
    context: &Context,
) -> Result<Vec<Event>, Refusal> {
    match command {
        Command::OnboardClient(client) => {
            holder(state, context, client.environment, &[Role::Admin])?;
            let mut check = Check::default();
            check.name("/name", &client.name);
            check.name("/owner", &client.owner);
            check.text("/contact", &client.contact, false);
            check.scopes("/dependents", &client.dependents);
            check.finish()?;
            if state.client_named(&client.name).is_some() {
                return Err(Refusal::Conflict {
                    detail: format!("a client named {} exists", client.name),
                });
            }
            rotations::no_circle(state, client)?;
            Ok(vec![Event::ClientOnboarded {
                client: client.clone(),
            }])
        }
        Command::EnrolOperator(operator) => enrol(state, operator, context),
        Command::IssueToken { operator, token } => {
            let held = find(state, *operator)?;
            manager(state, context, held)?;
            in_service(held)?;
            let minted = held.tokens().filter(|token| token.key.is_none());
            if minted.count() >= TOKENS_MAX {
                return Err(Refusal::Limit {
                    detail: format!(
                        "{} holds {TOKENS_MAX} tokens; withdraw one first",
                        held.name
                    ),
                });
            }
            if token.expires_at <= context.now {
                return Err(invalid("/ttl_s", "expected an end in the future"));
            }
            Ok(vec![Event::TokenIssued {
                operator: *operator,
                token: token.clone(),
            }])
        }
        Command::RevokeToken { operator, token } => {
            let held = find(state, *operator)?;
            let own = matches!(&context.actor, crate::domain::Actor::Operator { id, .. } if id == operator);
            if !own {
                manager(state, context, held)?;
            }
            if !held.tokens().any(|known| known.id == *token) {
                return Ok(Vec::new());
            }
            let left = held.authenticators.iter().any(|authenticator| {
                !matches!(authenticator, Authenticator::Token(known) if known.id == *token)
                    && works(authenticator, context.now)
            });
            keeps_an_admin(state, context, held, |_| left)?;
            Ok(vec![Event::TokenRevoked {
                operator: *operator,
                token: *token,
            }])
        }
        Command::GrantOperator {
            operator,
            roles,
            groups,
        } => grant(state, context, *operator, roles, groups),
        _ => Ok(Vec::new()),
    }
}

fn grant(
    state: &State,
    context: &Context,
    operator: OperatorId,
    roles: &BTreeMap<Environment, BTreeSet<Role>>,
    groups: &BTreeSet<String>,
) -> Result<Vec<Event>, Refusal> {
    let held = find(state, operator)?;
    fresh(context, operator, held.sequence, &[held.sequence])?;
    manager(state, context, held)?;
    grantable(state, context, &held.roles, roles)?;
    in_service(held)?;
    check_groups(groups)?;
    if held.roles == *roles && held.groups == *groups {
        return Ok(Vec::new());
    }
    keeps_an_admin(state, context, held, |environment| {
        roles
            .get(&environment)
            .is_some_and(|roles| roles.contains(&Role::Admin))
    })?;
    let mut changed = held.as_ref().clone();
    changed.roles.clone_from(roles);
    changed.groups.clone_from(groups);
    let mut events = vec![Event::OperatorGranted {
        operator,
        roles: roles.clone(),
        groups: groups.clone(),
    }];
    events.extend(quorum::fallen(state, changed, context.now));
    Ok(events)
}

fn enrol(state: &State, operator: &Operator, context: &Context) -> Result<Vec<Event>, Refusal> {
    // The very first operator comes from the broker's own start.
    if !(state.operators.is_empty() && super::system(context).is_ok()) {
        grantable(state, context, &BTreeMap::new(), &operator.roles)?;
    }
    let mut check = Check::default();
    check.name("/name", &operator.name);
    check.line("/display_name", &operator.display_name, DISPLAY_NAME_MAX);
    if let Some(client) = operator.client
        && state
            .clients
            .get(&client)
            .is_none_or(|client| client.offboarded_at.is_some())
    {
        check.refuse("/client", "expected a client that is in service");
    }
    check_authenticators(&mut check, &operator.authenticators);
    let requester = operator
        .roles
        .values()
        .any(|roles| roles.contains(&Role::Requester));
    if requester && operator.client.is_none() {
        check.refuse(
            "/client",
            "is needed for the role requester: the client it acts for",
        );
    }
    check.finish()?;
    check_groups(&operator.groups)?;
    if state.operator_named(&operator.name).is_some() {
        return Err(Refusal::Conflict {
            detail: format!("an operator named {} exists", operator.name),
        });
    }
    Ok(vec![Event::OperatorEnrolled {
        operator: Box::new(operator.clone()),
    }])
}

/// Roles can only be given, or taken, in environments where the giver is admin. Someone without any role is
/// admitted by an admin of any environment.
fn grantable(
    state: &State,
    context: &Context,
    before: &BTreeMap<Environment, BTreeSet<Role>>,
    after: &BTreeMap<Environment, BTreeSet<Role>>,
) -> Result<(), Refusal> {
    let none = BTreeSet::new();
    let mut changed = false;
    for &environment in Environment::ALL {
        let (was, becomes) = (
            before.get(&environment).unwrap_or(&none),
            after.get(&environment).unwrap_or(&none),
        );
        if was != becomes {
            changed = true;
            holder(state, context, environment, &[Role::Admin])?;
        }
    }
    if changed || super::operator(state, context)?.holds_anywhere(&[Role::Admin]) {
        Ok(())
    } else {
        Err(Refusal::Role {
            needs: vec![Role::Admin.as_str()],
            environment: Environment::Production,
        })
    }
}

/// Only an admin of every environment in which somebody holds a role may act on their account.
pub(super) fn manager(state: &State, context: &Context, held: &Operator) -> Result<(), Refusal> {
    grantable(state, context, &held.roles, &BTreeMap::new())
}

/// Refuses what would leave an environment without an admin who can sign in: nobody could give that role again.
/// `still` says where `losing` can sign in as one afterwards.
pub(super) fn keeps_an_admin(
    state: &State,
    context: &Context,
    losing: &Operator,
    still: impl Fn(Environment) -> bool,
) -> Result<(), Refusal> {
    let can_sign_in = |operator: &Operator| {
        operator
            .authenticators
            .iter()
            .any(|authenticator| works(authenticator, context.now))
    };
    let orphaned = Environment::ALL.iter().find(|&&environment| {
        losing.holds(environment, &[Role::Admin])
            && !still(environment)
            && !state.operators.values().any(|operator| {
                operator.id != losing.id
                    && operator.holds(environment, &[Role::Admin])
                    && can_sign_in(operator)
            })
    });
    match orphaned {
        None => Ok(()),
        Some(environment) => Err(Refusal::Separation {
            rule: "last-admin",
            detail: format!(
                "{} is the last admin of {environment} who can sign in; make another one first",
                losing.name
            ),
        }),
    }
}

/// Whether somebody can sign in by it: a session that runs out in hours is no way back in.
pub(super) fn works(authenticator: &Authenticator, now: DateTime<Utc>) -> bool {
    match authenticator {
        Authenticator::SshKey(key) => key.counts_at(now),
        Authenticator::Token(token) => token.key.is_none() && now < token.expires_at,
    }
}

pub(super) fn in_service(held: &Operator) -> Result<(), Refusal> {
    if held.offboarded_at.is_some() {
        return Err(Refusal::Conflict {
            detail: format!("the account of {} is closed", held.name),
        });
    }
    Ok(())
}

fn check_authenticators(check: &mut Check, authenticators: &[Authenticator]) {
    if authenticators.len() > AUTHENTICATORS_MAX {
        check.refuse(
            "/authenticators",
            format!("expected at most {AUTHENTICATORS_MAX}"),
        );
    }
    // A key has an enrolment of its own, which somebody else may have to countersign.
    if authenticators
        .iter()
        .any(|authenticator| matches!(authenticator, Authenticator::SshKey(_)))
    {
        check.refuse(
            "/authenticators",
            "expected tokens only; enrol keys afterwards",
        );
    }
}

pub(super) fn find(
    state: &State,
    id: crate::domain::OperatorId,
) -> Result<&std::sync::Arc<Operator>, Refusal> {
    state.operators.get(&id).ok_or(Refusal::NotFound {
        what: "operator",
        id: id.to_string(),
    })
}

fn check_groups(groups: &BTreeSet<String>) -> Result<(), Refusal> {
    let mut check = Check::default();
    if groups.len() > LIST_MAX {
        check.refuse("/groups", format!("expected at most {LIST_MAX} groups"));
    }
    for (index, group) in groups.iter().enumerate() {
        check.name(&format!("/groups/{index}"), group);
    }
    check.finish()
}

pub(super) fn require_reason(reason: &str) -> Result<(), Refusal> {
    let mut check = Check::default();
    check.text("/reason", reason, true);
    check.finish()
}

fn invalid(pointer: &str, detail: &str) -> Refusal {
    Refusal::Invalid(vec![crate::domain::FieldError {
        pointer: pointer.into(),
        detail: detail.into(),
    }])
}

/// What a new revocation starts with: pending where an issuer knows the version, nothing to do elsewhere.
pub(super) fn enforcement(needed: bool) -> Enforcement {
    if needed {
        Enforcement::Pending {
            attempts: 0,
            last_error: None,
        }
    } else {
        Enforcement::NotNeeded
    }
}

/// The revocation of `versions`, effective now.
pub(super) fn revocation(
    id: crate::domain::RevocationId,
    credential: &crate::domain::Credential,
    versions: Vec<u32>,
    whole: bool,
    reason: &str,
    by: String,
    context: &Context,
) -> Revocation {
    let at_issuer = credential
        .versions
        .iter()
        .any(|version| versions.contains(&version.number) && version.is_elsewhere());
    Revocation {
        id,
        credential: credential.id,
        versions,
        whole,
        reason: reason.to_owned(),
        by,
        effective_at: context.now,
        enforcement: enforcement(at_issuer),
        reach: Vec::new(),
        since: 0,
        sequence: 0,
    }
}
