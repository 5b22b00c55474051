//! `review`: the access review. Each team confirms what it answers for, or gives it up.

use clap::Subcommand;

use super::app::{App, Found, settled};
use super::args::{ChangeArgs, ListArgs};
use super::error::CliError;
use crate::client::Client;
use crate::wire::revocation::Revoke;
use crate::wire::{CredentialId, Reason};

/// Verbs of `review`.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// What each team answers for, with the date until which it must be confirmed; soonest first
    ///
    /// High and critical tiers are due 90 days after the last confirmation, the others after 180.
    ///
    /// For example: countersign review list --owner payments --filter due
    List {
        /// Only what this team answers for
        #[arg(long, value_name = "TEAM")]
        owner: Option<String>,
        #[command(flatten)]
        list: ListArgs,
    },
    /// Say that credentials are still needed
    ///
    /// For whoever is on call or admin of the environment, or in the group that is called like the owner.
    Confirm {
        /// The credentials' names or identifiers
        #[arg(value_name = "CREDENTIAL", required = true)]
        credentials: Vec<String>,
        #[command(flatten)]
        change: ChangeArgs,
    },
    /// Give a credential up: it is revoked at once, for good
    GiveUp {
        /// The credential's name or identifier
        #[arg(value_name = "CREDENTIAL")]
        credential: String,
        #[command(flatten)]
        change: ChangeArgs,
    },
}

/// Runs a verb.
///
/// # Errors
/// Why it was not done.
pub async fn run(app: &mut App<'_>, verb: &Verb) -> Result<(), CliError> {
    match verb {
        Verb::List { owner, list } => {
            let client = app.connect().await?;
            app.list(list, async |query| {
                let page = client.reviews(owner.as_deref(), &query).await;
                page.map_err(CliError::call("list the access review"))
            })
            .await
        }
        Verb::Confirm {
            credentials,
            change,
        } => confirm(app, credentials, change).await,
        Verb::GiveUp { credential, change } => give_up(app, credential, change).await,
    }
}

async fn confirm(app: &mut App<'_>, names: &[String], change: &ChangeArgs) -> Result<(), CliError> {
    if names.len() > 1 && (change.idempotency_key.is_some() || change.if_seen.is_some()) {
        return Err(CliError::Usage(
            "--idempotency-key and --if-seen are about one credential; name only one".to_owned(),
        ));
    }
    let client = app.connect_to_change().await?;
    // All are found before the first is confirmed: a slip in the last name leaves nothing half done.
    let mut found = Vec::with_capacity(names.len());
    for name in names {
        found.push(known(app, &client, name).await?);
    }
    let reason = Reason {
        reason: app.reason(change)?,
    };
    for Found { id, name } in found {
        let once = App::once(change);
        if change.dry_run {
            app.would_send(&format!("/v1/credentials/{id}/confirm"), &reason, &once)?;
            continue;
        }
        let outcome = client.confirm(id, &reason, &once).await;
        let receipt = settled(outcome, format!("confirm {name}"), &once)?.value;
        app.receipt(&format!("Confirmed {name}"), &receipt)?;
    }
    Ok(())
}

async fn give_up(app: &mut App<'_>, name: &str, change: &ChangeArgs) -> Result<(), CliError> {
    let client = app.connect_to_change().await?;
    let Found { id, name } = known(app, &client, name).await?;
    let effect = format!("{name} is given up: it is revoked at once, for good");
    app.confirm(change, &effect, &name)?;
    let body = Revoke {
        version: None,
        reason: format!("given up in the access review: {}", app.reason(change)?),
    };
    let once = App::once(change);
    if change.dry_run {
        return app.would_send(&format!("/v1/credentials/{id}/revoke"), &body, &once);
    }
    let outcome = client.revoke(id, &body, &once).await;
    let receipt = settled(outcome, format!("give up {name}"), &once)?.value;
    app.receipt(&format!("Gave up {name}"), &receipt)
}

/// The credential of this name or identifier, with its name.
async fn known(
    app: &App<'_>,
    client: &Client,
    name: &str,
) -> Result<Found<CredentialId>, CliError> {
    let mut found = app.credential(client, name).await?;
    let detail = client.credential(found.id).await;
    let detail = detail.map_err(CliError::call(format!("show credential {}", found.name)))?;
    found.name = detail.value.row.name;
    Ok(found)
}
