//! Having a person's agent sign what they decide on the command line: exactly what was shown.

use super::app::App;
use super::error::CliError;
use crate::client::Client;
use crate::client::sign::{self, Decided};
use crate::wire::signing::{Decision, LogHead};
use crate::wire::{Digest, ProposalDetail, RequestDetail, SignedStatement, StepUp, Verdict};

/// What was shown, and what is decided about it.
pub struct Shown<'a, D> {
    /// What was looked at.
    pub detail: &'a D,
    /// How it must be proven.
    pub step_up: StepUp,
    /// What is decided.
    pub decision: Decision,
    /// Why.
    pub reason: &'a str,
    /// SHA-256 of the sheet.
    pub view: Digest,
}

impl<'a, D> Shown<'a, D> {
    /// As whoever is signed in, on the log as it was verified here.
    async fn decided<'b>(
        &'b self,
        app: &mut App<'_>,
        client: &Client,
        operator: &'b mut String,
    ) -> Result<Decided<'b, D>, CliError>
    where
        'a: 'b,
    {
        let head = head(app, client).await?;
        let session = client.session().await;
        let session = session.map_err(CliError::call("find out who signs"))?;
        *operator = session.value.name;
        if self.step_up == StepUp::HardwareKey {
            app.say("Touch your security key to sign.")?;
        }
        Ok(Decided {
            operator,
            detail: self.detail,
            decision: self.decision,
            reason: self.reason,
            view: self.view,
            head,
            now: app.io.now,
        })
    }
}

async fn head(app: &mut App<'_>, client: &Client) -> Result<LogHead, CliError> {
    let keep = app.keep()?;
    let trusted = app.target()?.context.verifier_key;
    sign::verified_head(client, &keep, trusted.as_deref())
        .await
        .map_err(doing())
}

fn doing() -> impl FnOnce(sign::SigningError) -> CliError {
    CliError::signing("sign the decision")
}

/// Signs a decision on a request.
///
/// # Errors
/// [`CliError::Signing`], or the broker's answer; nothing was sent.
pub async fn request(
    app: &mut App<'_>,
    client: &Client,
    shown: &Shown<'_, RequestDetail>,
) -> Result<SignedStatement, CliError> {
    let mut operator = String::new();
    let decided = shown.decided(app, client, &mut operator).await?;
    let signed = sign::sign_decision(client, &app.signer(), &decided).await;
    signed.map_err(doing())
}

/// Signs a decision on a proposed policy.
///
/// # Errors
/// As [`request`].
pub async fn policy(
    app: &mut App<'_>,
    client: &Client,
    shown: &Shown<'_, ProposalDetail>,
) -> Result<SignedStatement, CliError> {
    let mut operator = String::new();
    let decided = shown.decided(app, client, &mut operator).await?;
    let signed = sign::sign_policy(client, &app.signer(), &decided).await;
    signed.map_err(doing())
}

/// What a denial goes out with: its signature, or, where there is no key at hand, none, and that is said.
///
/// # Errors
/// What keeps a denial from going out at all.
pub fn denial(
    app: &mut App<'_>,
    signed: Result<SignedStatement, CliError>,
) -> Result<Option<SignedStatement>, CliError> {
    match signed {
        Ok(signed) => Ok(Some(signed)),
        Err(CliError::Signing { source, .. }) if source.leaves_denial() => {
            app.say(&format!("Denied without a signature: {source}"))?;
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// Whether the broker lets this person say no: nobody is asked to touch a key for what would be refused.
pub fn may_deny(verdict: &Verdict) -> bool {
    // Who has approved may still deny.
    verdict.allowed || verdict.rule == "distinct-people"
}
