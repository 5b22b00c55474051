//! What a committed sheet sends: signed where there is something to sign.

use super::effect::{ActCall, Action};
use super::event::{CallError, Delivery};
use super::link::call_error;
use super::pens::{Matter, Pens, Words};
use crate::client::{Client, Once, Outcome};
use crate::wire::revocation::Revoke;
use crate::wire::rotation::Rotate;
use crate::wire::signing::Decision;
use crate::wire::{Approve, BreakGlass, Deny, Digest, Narrow, NewNote, Reason, Receipt};

/// Changes something at the broker, bound to what was seen.
pub(super) async fn change(
    client: &Client,
    pens: &Pens,
    act: ActCall,
) -> Result<Receipt, CallError> {
    let once = Once {
        key: act.key,
        seen: Some(act.if_match),
    };
    let text = act.reason;
    let reason = Reason {
        reason: text.clone(),
    };
    let outcome = match act.action {
        Action::Approve(id, digest, to_sign) => {
            let matter = to_sign.as_deref().map(Matter::Request);
            let body = approval(client, pens, digest, matter, &text, &once).await?;
            client.approve(id, &body, &once).await
        }
        Action::ApprovePolicy(id, digest, to_sign) => {
            let matter = to_sign.as_deref().map(Matter::Policy);
            let body = approval(client, pens, digest, matter, &text, &once).await?;
            client.approve_policy(id, &body, &once).await
        }
        Action::DenyPolicy(id, digest, to_sign) => {
            let matter = to_sign.as_deref().map(Matter::Policy);
            let body = denial(client, pens, digest, matter, &text, &once).await?;
            client.deny_policy(id, &body, &once).await
        }
        Action::WithdrawPolicy(id) => client.withdraw_policy(id, &reason, &once).await,
        Action::BreakGlass(id, to_sign) => {
            let words = Words {
                decision: Decision::BreakGlass,
                reason: &text,
                key: &once.key,
            };
            let matter = Matter::Request(&to_sign);
            let body = BreakGlass {
                signed: pens.sign(client, matter, words).await?,
                reason: text,
            };
            client.break_glass(id, &body, &once).await
        }
        Action::Narrow(id, digest, scopes, ttl_s) => {
            let body = Narrow {
                digest,
                scopes: Some(scopes),
                ttl_s: Some(ttl_s),
                reason: text,
                dry_run: false,
            };
            client.narrow(id, &body, &once).await
        }
        Action::Hold(id) => client.hold(id, &reason, &once).await,
        Action::Resume(id) => client.resume(id, &reason, &once).await,
        Action::AddNote(id) => client.add_note(id, &NewNote { text }, &once).await,
        Action::Deny(id, digest, to_sign) => {
            let matter = to_sign.as_deref().map(Matter::Request);
            let body = denial(client, pens, digest, matter, &text, &once).await?;
            client.deny(id, &body, &once).await
        }
        Action::Withdraw(id) => client.withdraw(id, &reason, &once).await,
        Action::Retry(id) => client.retry(id, &once).await,
        Action::Revoke(id, version) => {
            let body = Revoke {
                version,
                reason: text,
            };
            client.revoke(id, &body, &once).await
        }
        Action::Quarantine(id) => client.quarantine(id, &reason, &once).await,
        Action::Release(id) => client.release(id, &reason, &once).await,
        Action::Rotate(id, cause) => {
            let body = Rotate {
                cause,
                reason: text,
            };
            client.rotate(id, &body, &once).await
        }
        Action::Promote(id) => client.promote(id, &once).await,
        Action::RollBack(id) => client.roll_back(id, &reason, &once).await,
        Action::RemoveGateway(id) => client.remove_gateway(id, &reason, &once).await,
    };
    match outcome {
        Outcome::Sent(answer) => Ok(answer.value),
        Outcome::Refused(error) => Err(call_error(&error, Delivery::Refused)),
        Outcome::NotSent(error) => Err(call_error(&error, Delivery::NotSent)),
        Outcome::Unknown(error) => Err(call_error(&error, Delivery::Unknown)),
    }
}

/// An approval, signed where there is something to sign.
async fn approval(
    client: &Client,
    pens: &Pens,
    digest: Digest,
    matter: Option<Matter<'_>>,
    reason: &str,
    once: &Once,
) -> Result<Approve, CallError> {
    let words = Words {
        decision: Decision::Approve,
        reason,
        key: &once.key,
    };
    Ok(Approve {
        digest,
        reason: reason.to_owned(),
        signed: match matter {
            Some(matter) => Some(pens.sign(client, matter, words).await?),
            None => None,
        },
    })
}

/// A denial, signed if there is a key at hand; where there is none, it says so.
async fn denial(
    client: &Client,
    pens: &Pens,
    digest: Digest,
    matter: Option<Matter<'_>>,
    reason: &str,
    once: &Once,
) -> Result<Deny, CallError> {
    let words = Words {
        decision: Decision::Deny,
        reason,
        key: &once.key,
    };
    let signed = match matter {
        Some(matter) => pens.sign_denial(client, matter, words).await?,
        None => None,
    };
    Ok(Deny {
        digest,
        reason: reason.to_owned(),
        unsigned: signed.is_none(),
        signed,
    })
}
