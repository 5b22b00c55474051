//! Confirming that a credential is still needed. Giving one up is a revocation like any other.

use super::{fresh, operator, people};
use crate::domain::{Command, Context, Credential, Event, Operator, Refusal, Role, State};

pub(super) fn decide(
    state: &State,
    command: &Command,
    context: &Context,
) -> Result<Vec<Event>, Refusal> {
    let Command::Confirm { credential, reason } = command else {
        return Ok(Vec::new());
    };
    let held = super::credentials::find(state, *credential)?;
    let by = answers_for(state, context, held)?;
    // Who confirms has looked at what it may do: if that changed meanwhile, they have not.
    fresh(context, credential, held.sequence, &held.trail)?;
    people::require_reason(reason)?;
    if held.has_ended(context.now) {
        return Err(Refusal::Conflict {
            detail: format!("{} has ended; there is nothing to confirm", held.name),
        });
    }
    Ok(vec![Event::CredentialConfirmed {
        credential: *credential,
        by: by.name.clone(),
        reason: reason.clone(),
    }])
}

/// The person who acts, if a confirmation of `credential` is theirs to give: they are on call or admin where it is
/// used, or hold any role there and are in the group that is called like the team that owns it.
fn answers_for<'a>(
    state: &'a State,
    context: &Context,
    credential: &Credential,
) -> Result<&'a Operator, Refusal> {
    let operator = operator(state, context)?;
    let environment = credential.environment;
    let on_call = operator.holds(environment, &[Role::Operator, Role::Admin]);
    let of_the_team =
        operator.groups.contains(credential.owner.as_str()) && operator.holds_role_in(environment);
    if !on_call && !of_the_team {
        return Err(Refusal::Role {
            needs: vec![Role::Operator.as_str(), Role::Admin.as_str()],
            environment,
        });
    }
    if operator.robot {
        return Err(Refusal::Separation {
            rule: "person-needed",
            detail: format!(
                "{} is a robot; somebody of {} has to say that {} is still needed",
                operator.name, credential.owner, credential.name
            ),
        });
    }
    Ok(operator)
}
