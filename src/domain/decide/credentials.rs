//! Revocation, quarantine, ownership and adoption. Revocation depends on nothing that can be down.

use super::{fresh, holder, people, stamp, system};
use crate::domain::{
    Command, Context, Credential, CredentialId, Environment, Event, FieldError, Refusal,
    Revocation, RevocationId, Role, State, VersionState,
    check::{self, Check},
    revocation::Enforcement,
    token_key::place,
};
use std::sync::Arc;

/// Why a version was withdrawn whose holder did not want it any more.
const GIVEN_UP: &str = "whoever holds it gave it up";

pub(super) fn decide(
    state: &State,
    command: &Command,
    context: &Context,
) -> Result<Vec<Event>, Refusal> {
    match command {
        Command::Adopt(credential) => adopt(state, credential, context),
        Command::Quarantine { credential, reason } => {
            let held = on_call(state, *credential, context)?;
            people::require_reason(reason)?;
            alive(held)?;
            Ok(if held.quarantined_at.is_some() {
                Vec::new()
            } else {
                vec![Event::CredentialQuarantined {
                    credential: *credential,
                    reason: reason.clone(),
                }]
            })
        }
        Command::Release { credential, reason } => {
            let held = find(state, *credential)?;
            fresh(context, credential, held.sequence, &held.trail)?;
            holder(state, context, held.environment, &[Role::Admin])?;
            people::require_reason(reason)?;
            alive(held)?;
            Ok(if held.quarantined_at.is_none() {
                Vec::new()
            } else {
                vec![Event::CredentialReleased {
                    credential: *credential,
                    reason: reason.clone(),
                }]
            })
        }
        Command::Revoke {
            id,
            credential,
            version,
            reason,
        } => {
            let held = on_call(state, *credential, context)?;
            people::require_reason(reason)?;
            if let Some(number) = version
                && held.version(*number).is_none()
            {
                return Err(Refusal::Invalid(vec![FieldError {
                    pointer: "/version".into(),
                    detail: format!("expected a version from 1 to {}", held.versions.len()),
                }]));
            }
            Ok(revoke_events(state, held, *version, *id, reason, context))
        }
        Command::RevokeByHolder { id, digest } => {
            system(context)?;
            let held = state.credential_of(digest);
            Ok(held.map_or_else(Vec::new, |(credential, version)| {
                revoke_events(state, credential, Some(version), *id, GIVEN_UP, context)
            }))
        }
        Command::ChangeOwner {
            credential,
            owner,
            reason,
        } => {
            let held = find(state, *credential)?;
            fresh(context, credential, held.sequence, &held.trail)?;
            holder(state, context, held.environment, &[Role::Admin])?;
            people::require_reason(reason)?;
            let mut check = Check::default();
            check.name("/owner", owner);
            check.finish()?;
            Ok(if held.owner == *owner {
                Vec::new()
            } else {
                vec![Event::OwnerChanged {
                    credential: *credential,
                    owner: owner.clone(),
                    reason: reason.clone(),
                }]
            })
        }
        Command::RecordEnforced { revocation, proven } => {
            system(context)?;
            Ok(match &find_revocation(state, *revocation)?.enforcement {
                Enforcement::Pending { .. } => {
                    vec![Event::RevocationEnforced {
                        revocation: *revocation,
                        proven: *proven,
                    }]
                }
                Enforcement::NotNeeded | Enforcement::Enforced { .. } => Vec::new(),
            })
        }
        Command::RecordEnforcementFailed { revocation, reason } => {
            system(context)?;
            Ok(match &find_revocation(state, *revocation)?.enforcement {
                Enforcement::Pending { attempts, .. } => vec![Event::RevocationFailed {
                    revocation: *revocation,
                    attempt: attempts + 1,
                    reason: check::clip(reason, check::TEXT_MAX),
                }],
                Enforcement::NotNeeded | Enforcement::Enforced { .. } => Vec::new(),
            })
        }
        _ => Ok(Vec::new()),
    }
}

/// The events that withdraw `version`, or everything when it is none. Empty when that is so already.
pub(super) fn revoke_events(
    state: &State,
    credential: &Arc<Credential>,
    version: Option<u32>,
    id: RevocationId,
    reason: &str,
    context: &Context,
) -> Vec<Event> {
    let mut versions = credential.accepted_versions();
    versions.retain(|number| version.is_none_or(|wanted| wanted == *number));
    let whole = version.is_none();
    if credential.revoked.is_some() || (versions.is_empty() && !whole) {
        return Vec::new();
    }
    let by = stamp(state, context).name;
    let revocation = people::revocation(id, credential, versions, whole, reason, by, context);
    vec![Event::RevocationEffective {
        revocation: Box::new(revocation),
    }]
}

fn adopt(state: &State, credential: &Credential, context: &Context) -> Result<Vec<Event>, Refusal> {
    holder(state, context, credential.environment, &[Role::Admin])?;
    let mut check = Check::default();
    check.name("/name", &credential.name);
    check.name("/owner", &credential.owner);
    check.scope("/issuer", &credential.issuer);
    if !credential.role.is_empty() {
        check.scope("/role", &credential.role);
    }
    check.scope("/audience", &credential.audience);
    check.scopes("/scopes", &credential.scopes);
    check.scopes("/tags", &credential.tags);
    match state.clients.get(&credential.client) {
        Some(client)
            if client.offboarded_at.is_none() && client.environment == credential.environment => {}
        _ => check.refuse(
            "/client",
            format!("expected a client in service in {}", credential.environment),
        ),
    }
    let [version] = credential.versions.as_slice() else {
        check.refuse("/versions", "expected exactly one version");
        return check.finish().map(|()| Vec::new());
    };
    if version.digest.is_none() && version.locator.is_empty() {
        check.refuse(
            "/digest",
            "expected the digest of the secret, or where its issuer knows it",
        );
    }
    if let Some(digest) = &version.digest
        && state.credential_of(digest).is_some()
    {
        check.refuse("/digest", "belongs to a credential already");
    }
    check.locator("/locator", &version.locator);
    if place::ALL
        .iter()
        .any(|name| version.locator.contains_key(*name))
    {
        check.refuse(
            "/locator",
            format!(
                "{} are for tokens that are signed here",
                place::ALL.join(", ")
            ),
        );
    }
    if credential.destination.is_some() || version.delivery.is_some() {
        check.refuse(
            "/destination",
            "expected none: it is set once it is under management",
        );
    }
    if version.number != 1
        || version.state != VersionState::Active
        || version.retires_at.is_some()
        || version.request.is_some()
    {
        check.refuse("/versions/0", "expected version 1, active");
    }
    if version.expires_at.is_some_and(|end| end <= context.now) {
        check.refuse("/expires_at", "expected an end in the future");
    }
    if credential.quarantined_at.is_some() || credential.revoked.is_some() {
        check.refuse("", "expected a credential that is in service");
    }
    check.finish()?;
    free_name(state, credential.environment, &credential.name)?;
    if state.credentials.contains_key(&credential.id) {
        return Err(Refusal::Conflict {
            detail: format!("{} exists already", credential.id),
        });
    }
    Ok(vec![Event::CredentialAdopted {
        credential: Box::new(credential.clone()),
    }])
}

fn free_name(state: &State, environment: Environment, name: &str) -> Result<(), Refusal> {
    if state.credential_named(environment, name).is_some() {
        return Err(Refusal::Conflict {
            detail: format!("a credential named {name} exists in {environment}"),
        });
    }
    if let Some(open) = state.open_request_for(environment, name) {
        return Err(Refusal::Conflict {
            detail: format!("{open} asks for {name}; let it end first"),
        });
    }
    Ok(())
}

fn alive(credential: &Credential) -> Result<(), Refusal> {
    if credential.revoked.is_some() {
        return Err(Refusal::Conflict {
            detail: format!("{} is revoked for good", credential.name),
        });
    }
    Ok(())
}

pub(super) fn find(state: &State, id: CredentialId) -> Result<&Arc<Credential>, Refusal> {
    state.credentials.get(&id).ok_or(Refusal::NotFound {
        what: "credential",
        id: id.to_string(),
    })
}

fn find_revocation(state: &State, id: RevocationId) -> Result<&Arc<Revocation>, Refusal> {
    state.revocations.get(&id).ok_or(Refusal::NotFound {
        what: "revocation",
        id: id.to_string(),
    })
}

/// The credential, for someone on call in its environment. Containing a leak is not kept waiting by a stale view
/// unless the caller asked for that check.
pub(super) fn on_call<'a>(
    state: &'a State,
    id: CredentialId,
    context: &Context,
) -> Result<&'a Arc<Credential>, Refusal> {
    let held = find(state, id)?;
    holder(
        state,
        context,
        held.environment,
        &[Role::Operator, Role::Admin],
    )?;
    fresh(context, id, held.sequence, &held.trail)?;
    Ok(held)
}
