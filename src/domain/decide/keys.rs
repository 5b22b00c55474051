//! SSH keys: enrolled by an admin, countersigned by another where production is concerned, and what they open.

use super::people::{find, in_service, keeps_an_admin, manager, require_reason, works};
use super::{holder, quorum};
use crate::domain::{
    Actor, Command, Context, Environment, Event, Operator, OperatorId, Refusal, Role, SshKey,
    State, Token,
    check::{Check, NAME_MAX, TEXT_MAX},
    operator::{Authenticator, Continued, SESSION_MAX},
};
/// The most SSH keys that one operator may hold.
const KEYS_MAX: usize = 16;
/// The most sessions that one operator may have open.
const SESSIONS_MAX: usize = 32;

pub(super) fn decide(
    state: &State,
    command: &Command,
    context: &Context,
) -> Result<Vec<Event>, Refusal> {
    match command {
        Command::SignIn { operator, token } => sign_in(state, *operator, token, context),
        Command::EnrolKey { operator, key } => enrol(state, *operator, key, context),
        Command::CountersignKey {
            operator,
            fingerprint,
        } => countersign(state, *operator, fingerprint, context),
        Command::RemoveKey {
            operator,
            fingerprint,
            reason,
        } => remove(state, *operator, fingerprint, reason, context),
        _ => Ok(Vec::new()),
    }
}

/// Whether the signature is right was settled before; here it is whether its key still counts. A key that is not
/// enrolled came with a certificate, which was checked with it.
fn sign_in(
    state: &State,
    id: OperatorId,
    token: &Token,
    context: &Context,
) -> Result<Vec<Event>, Refusal> {
    let held = find(state, id)?;
    in_service(held)?;
    let own = matches!(&context.actor, Actor::Operator { id: actor, .. } if *actor == id);
    let key = token.key.as_deref().filter(|_| own);
    let Some(key) = key else {
        return Err(Refusal::Separation {
            rule: "own-key",
            detail: "a session is opened by its own key only".into(),
        });
    };
    if held.robot {
        return Err(Refusal::Separation {
            rule: "people-only",
            detail: "robots sign in with the token that an admin minted for them".into(),
        });
    }
    if let Some(enrolled) = held.ssh_key(key)
        && !enrolled.counts_at(context.now)
    {
        return Err(not_countersigned(enrolled));
    }
    match &token.continues {
        Some(continued) => may_continue(held, token, continued, context)?,
        None if token.expires_at > context.now + SESSION_MAX => {
            return Err(Refusal::Conflict {
                detail: "a session lasts up to 12 hours".into(),
            });
        }
        None => {}
    }
    if token.expires_at <= context.now {
        return Err(Refusal::Conflict {
            detail: "a session that has ended is none".into(),
        });
    }
    let replaced = token.continues.as_ref().map(|continued| continued.session);
    let open = held.tokens().filter(|open| {
        open.key.is_some() && context.now < open.expires_at && Some(open.id) != replaced
    });
    if open.count() >= SESSIONS_MAX {
        return Err(Refusal::Limit {
            detail: format!("{SESSIONS_MAX} sessions are open; sign out of some first"),
        });
    }
    Ok(vec![Event::TokenIssued {
        operator: id,
        token: token.clone(),
    }])
}

/// Whether a session may go on as another: of the same key, and never beyond 12 hours after somebody signed in.
fn may_continue(
    held: &Operator,
    token: &Token,
    continued: &Continued,
    context: &Context,
) -> Result<(), Refusal> {
    let before = held.tokens().find(|open| {
        open.id == continued.session
            && open.key.is_some()
            && open.key == token.key
            && open.signed_in_at() == continued.signed_in_at
            && context.now < open.expires_at
    });
    let Some(before) = before else {
        return Err(Refusal::Conflict {
            detail: "no session of this key is open to be continued: sign in again".into(),
        });
    };
    let bound = continued.signed_in_at + SESSION_MAX;
    if token.expires_at > bound || token.expires_at <= before.expires_at {
        return Err(Refusal::Conflict {
            detail: format!(
                "a session is continued to 12 hours after signing in at most, which is {}: sign in again",
                bound.format("%Y-%m-%dT%H:%M:%SZ")
            ),
        });
    }
    Ok(())
}

/// Why a key that waits for another admin opens nothing yet.
pub(super) fn not_countersigned(key: &SshKey) -> Refusal {
    Refusal::Separation {
        rule: "key-not-countersigned",
        detail: format!(
            "the key {} waits for another admin: `countersign operator key countersign`",
            key.fingerprint
        ),
    }
}

fn enrol(
    state: &State,
    id: OperatorId,
    key: &SshKey,
    context: &Context,
) -> Result<Vec<Event>, Refusal> {
    let held = find(state, id)?;
    manager(state, context, held)?;
    in_service(held)?;
    let mut check = Check::default();
    check.line("/public_key", &key.public_key, TEXT_MAX);
    check.line("/public_key", &key.fingerprint, NAME_MAX);
    check.finish()?;
    if held.robot {
        return Err(Refusal::Separation {
            rule: "people-only",
            detail: "robots sign in with a minted token; an SSH key is a person's".into(),
        });
    }
    // One key, one person: two accounts with one key would be a quorum of one.
    if let Some(owner) = state
        .operators
        .values()
        .find(|operator| operator.ssh_key(&key.fingerprint).is_some())
    {
        return if owner.id == id {
            Ok(Vec::new())
        } else {
            Err(Refusal::Conflict {
                detail: format!("that key is enrolled for {} already", owner.name),
            })
        };
    }
    if held.ssh_keys().count() >= KEYS_MAX {
        return Err(Refusal::Limit {
            detail: format!("{} holds {KEYS_MAX} keys; remove one first", held.name),
        });
    }
    let Actor::Operator { id: admin, .. } = &context.actor else {
        super::operator(state, context)?;
        return Ok(Vec::new());
    };
    let waits =
        held.holds_role_in(Environment::Production) && another_admin(state, held, *admin, context);
    Ok(vec![Event::KeyEnrolled {
        operator: id,
        key: SshKey {
            enrolled_by: *admin,
            enrolled_at: context.now,
            valid_from: (!waits).then_some(context.now),
            countersigned_by: None,
            ..key.clone()
        },
    }])
}

/// Whether somebody else could countersign: an admin of production, other than who enrols and than whose key it is.
/// A company's first admin has nobody to ask.
fn another_admin(state: &State, holder: &Operator, admin: OperatorId, context: &Context) -> bool {
    state.operators.values().any(|other| {
        other.id != admin
            && other.id != holder.id
            && !other.robot
            && other.holds(Environment::Production, &[Role::Admin])
            && other
                .authenticators
                .iter()
                .any(|authenticator| works(authenticator, context.now))
    })
}

fn countersign(
    state: &State,
    id: OperatorId,
    fingerprint: &str,
    context: &Context,
) -> Result<Vec<Event>, Refusal> {
    let held = find(state, id)?;
    let admin = holder(state, context, Environment::Production, &[Role::Admin])?;
    in_service(held)?;
    let key = held.ssh_key(fingerprint).ok_or(Refusal::NotFound {
        what: "key",
        id: fingerprint.to_owned(),
    })?;
    if key.valid_from.is_some() {
        return Ok(Vec::new());
    }
    let refuse = |rule, detail: &str| {
        Err(Refusal::Separation {
            rule,
            detail: detail.into(),
        })
    };
    if key.enrolled_by == admin.id {
        return refuse(
            "another-admin",
            "you enrolled this key; another admin countersigns it",
        );
    }
    if held.id == admin.id {
        return refuse(
            "another-admin",
            "this is your own key; another admin countersigns it",
        );
    }
    if admin.robot {
        return refuse("people-only", "robots do not countersign keys");
    }
    Ok(vec![Event::KeyCountersigned {
        operator: id,
        fingerprint: fingerprint.to_owned(),
        by: admin.name.clone(),
    }])
}

/// Effective at once and without a second admin: waiting would leave a stolen key working.
fn remove(
    state: &State,
    id: OperatorId,
    fingerprint: &str,
    reason: &str,
    context: &Context,
) -> Result<Vec<Event>, Refusal> {
    let held = find(state, id)?;
    let own = matches!(&context.actor, Actor::Operator { id: actor, .. } if *actor == id);
    if !own {
        manager(state, context, held)?;
    }
    require_reason(reason)?;
    if held.ssh_key(fingerprint).is_none() {
        return Ok(Vec::new());
    }
    let left = held.authenticators.iter().any(|authenticator| {
        let goes = match authenticator {
            Authenticator::SshKey(key) => key.fingerprint == fingerprint,
            Authenticator::Token(token) => token.key.as_deref() == Some(fingerprint),
        };
        !goes && works(authenticator, context.now)
    });
    keeps_an_admin(state, context, held, |_| left)?;
    let mut changed = held.as_ref().clone();
    changed.authenticators.retain(|authenticator| {
        !matches!(authenticator, Authenticator::SshKey(key) if key.fingerprint == fingerprint)
    });
    let mut events = vec![Event::KeyRemoved {
        operator: id,
        fingerprint: fingerprint.to_owned(),
        reason: reason.to_owned(),
    }];
    events.extend(quorum::fallen(state, changed, context.now));
    Ok(events)
}
