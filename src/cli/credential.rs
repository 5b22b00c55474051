//! `credential`: the inventory, and what can be done to one.

use std::io::Read;

use chrono::{DateTime, Utc};
use clap::{Args, Subcommand};
use zeroize::Zeroizing;

use super::app::{App, Found, row_limit, settled};
use super::args::{ChangeArgs, Format, ListArgs, span};
use super::error::CliError;
use super::output::{self, List};
use super::wait::{self, End};
use super::{planned, prompt, review, rows};
use crate::client::{Client, ListQuery, OwnerChange};
use crate::secret::digest_of;
use crate::wire::revocation::Revoke;
use crate::wire::rotation::Rotate;
use crate::wire::{
    Adoption, CredentialDetail, CredentialId, DeliverTo, Destination, Digest, Environment, Kind,
    Reason, Receipt, RotationCause, Tier,
};
use crate::wire::{Enforcement, RevocationState};

/// The longest secret that is looked for, in bytes.
const SECRET_BYTES: u64 = 64 * 1024;

/// Verbs of `credential`.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// The inventory
    ///
    /// For example: countersign credential list --filter 'env:prod left<7d' --sort expires_at
    List(ListArgs),
    /// Everything about one credential: versions, readers, revocations, latest events
    Show(Which),
    /// Find the credential that a found secret belongs to
    ///
    /// The secret is read from the prompt, or from standard input. It is hashed here and never sent.
    Find {
        /// The SHA-256 digest of the secret, instead of the secret: sha256: and 64 hex digits
        #[arg(long, value_name = "DIGEST")]
        digest: Option<Digest>,
    },
    /// Bring a credential that something else issued under management
    ///
    /// Only the secret's digest is sent. Without --digest the secret is read from the prompt, or from
    /// standard input, and hashed here.
    Adopt(Box<Adopt>),
    /// Revoke a credential, one of its versions, or everything that a filter finds, for good
    ///
    /// The broker refuses it at once. --wait waits until its issuer has withdrawn it and every gateway
    /// refuses it too, and ends with exit code 5 if they do not when the time is over.
    ///
    /// With --filter what is found is shown first: how many by tier, environment and owner, and which are in
    /// use. All of it is revoked or nothing: whatever has changed since it was shown is a refusal that says
    /// what (exit code 6). --dry-run -o json prints the plan, and --plan executes it later.
    ///
    /// For example: countersign credential revoke --filter 'owner=payments env:prod' --dry-run
    Revoke {
        /// The credential's name or identifier
        #[arg(value_name = "CREDENTIAL", required_unless_present_any = ["filter", "plan"], conflicts_with_all = ["filter", "plan"])]
        credential: Option<String>,
        #[command(flatten)]
        several: planned::Several,
        /// Only this version; without it the whole credential, for good
        #[arg(long, value_name = "NUMBER")]
        version: Option<u32>,
        #[command(flatten)]
        change: ChangeArgs,
    },
    /// Give a credential a newer version; the one in use is accepted beside it until its overlap ends
    Rotate {
        #[command(flatten)]
        which: Which,
        /// Why: operator, compromise (the overlap is short) or offboarding
        #[arg(long, value_name = "CAUSE", default_value = "operator")]
        cause: RotationCause,
        #[command(flatten)]
        change: ChangeArgs,
    },
    /// Put the newer version into use, which has passed its check and is known to whoever uses it
    Promote(Change),
    /// Go back to the older version while its overlap lasts, or end a rotation that has not come so far
    Rollback(Change),
    /// Refuse all versions of a credential until it is released
    Quarantine(Change),
    /// Accept a quarantined credential again
    Release(Change),
    /// Give a credential another owner
    Owner {
        #[command(flatten)]
        which: Which,
        /// The team that answers for it from now on
        #[arg(value_name = "OWNER")]
        owner: String,
        #[command(flatten)]
        change: ChangeArgs,
    },
    /// Have the secrets of a credential put elsewhere, from its next version on
    ///
    /// For example: countersign credential deliver-to payments/checkout-db vault:payments/checkout-db
    DeliverTo {
        #[command(flatten)]
        which: Which,
        /// A configured destination and a path in it; without one, whoever asks for a version claims it
        #[arg(value_name = "DESTINATION:PATH")]
        destination: Option<Destination>,
        #[command(flatten)]
        change: ChangeArgs,
    },
}

/// A credential.
#[derive(Debug, Args)]
pub struct Which {
    /// The credential's name or identifier
    #[arg(value_name = "CREDENTIAL")]
    credential: String,
}

/// A change of one credential.
#[derive(Debug, Args)]
pub struct Change {
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    change: ChangeArgs,
}

/// Arguments of `credential adopt`.
#[derive(Debug, Args)]
pub struct Adopt {
    /// The stable name it gets: a-z 0-9 . _ / -
    #[arg(value_name = "NAME")]
    name: String,
    /// Where it is used: development, staging or production
    #[arg(long, value_name = "ENVIRONMENT")]
    env: Environment,
    /// What it is made of: api_key, jwt, database_role or vault_lease
    #[arg(long, value_name = "KIND")]
    kind: Kind,
    /// What issued it
    #[arg(long, value_name = "ISSUER")]
    issuer: String,
    /// Who uses it: a client, by name or identifier
    #[arg(long, value_name = "CLIENT")]
    client: String,
    /// The team that answers for it
    #[arg(long, value_name = "TEAM")]
    owner: String,
    /// Whom it may be shown to
    #[arg(long, value_name = "AUDIENCE")]
    audience: String,
    /// What it allows; may be given several times
    #[arg(long = "scope", value_name = "SCOPE")]
    scopes: Vec<String>,
    /// How much harm misuse would do: low, elevated, high or critical
    #[arg(long, value_name = "TIER")]
    tier: Tier,
    /// A regulatory tag; may be given several times
    #[arg(long = "tag", value_name = "TAG")]
    tags: Vec<String>,
    /// The SHA-256 digest of the secret, instead of the secret
    #[arg(long, value_name = "DIGEST")]
    digest: Option<Digest>,
    /// When it was made, such as 2026-01-31T12:00:00Z
    #[arg(long, value_name = "TIME")]
    issued_at: DateTime<Utc>,
    /// When it ends; never if left out
    #[arg(long, value_name = "TIME")]
    expires_at: Option<DateTime<Utc>>,
    /// How often it must rotate, such as 90d
    #[arg(long, value_name = "TIME", value_parser = span)]
    cadence: Option<std::time::Duration>,
    #[command(flatten)]
    change: ChangeArgs,
}

/// Runs a verb.
///
/// # Errors
/// Why it was not done.
pub async fn run(app: &mut App<'_>, verb: &Verb) -> Result<(), CliError> {
    match verb {
        Verb::List(args) => list(app, args).await,
        Verb::Show(which) => {
            let client = app.connect().await?;
            let found = app.credential(&client, &which.credential).await?;
            let detail = detail(&client, &found).await?;
            print(app, &detail)
        }
        Verb::Find { digest } => {
            let client = app.connect().await?;
            let digest = match digest {
                Some(digest) => *digest,
                None => secret_digest(app)?,
            };
            let found = client.find_credential(digest).await;
            let doing = format!("find the credential of {digest}");
            let detail = found.map_err(CliError::call(doing))?.value;
            print(app, &detail)
        }
        Verb::Adopt(adopt) => bring_in(app, adopt).await,
        Verb::Revoke {
            credential: Some(credential),
            version,
            change,
            ..
        } => {
            let which = Which {
                credential: credential.clone(),
            };
            revoke(app, &which, *version, change).await
        }
        Verb::Revoke {
            several, change, ..
        } => planned::revoke(app, several, change).await,
        Verb::Rotate {
            which,
            cause,
            change,
        } => {
            let (client, found) = start(app, which).await?;
            let (id, once) = (found.id, App::once(change));
            let body = Rotate {
                cause: Some(*cause),
                reason: app.reason(change)?,
            };
            if change.dry_run {
                return app.would_send(&path(id, "rotate"), &body, &once);
            }
            let outcome = client.rotate(id, &body, &once).await;
            let receipt = settled(outcome, format!("rotate {}", found.name), &once)?.value;
            app.receipt(&format!("Rotating {}", found.name), &receipt)
        }
        Verb::Promote(args) => {
            let (client, found) = start(app, &args.which).await?;
            let effect = format!(
                "The newer version of {} is in use, and the older one ends with its overlap",
                found.name
            );
            app.confirm(&args.change, &effect, &found.name)?;
            let (id, once) = (found.id, App::once(&args.change));
            if args.change.dry_run {
                return app.would_send(&path(id, "promote"), &serde_json::json!({}), &once);
            }
            let outcome = client.promote(id, &once).await;
            let receipt = settled(outcome, format!("promote {}", found.name), &once)?.value;
            app.receipt(&format!("Promoted {}", found.name), &receipt)
        }
        Verb::Rollback(args) => {
            let (client, found) = start(app, &args.which).await?;
            let effect = format!(
                "The older version of {} is in use again, and the newer one is refused at once",
                found.name
            );
            app.confirm(&args.change, &effect, &found.name)?;
            let reason = reason(app, &args.change)?;
            let (id, once) = (found.id, App::once(&args.change));
            if args.change.dry_run {
                return app.would_send(&path(id, "rollback"), &reason, &once);
            }
            let outcome = client.roll_back(id, &reason, &once).await;
            let receipt = settled(outcome, format!("roll back {}", found.name), &once)?.value;
            app.receipt(&format!("Rolled back {}", found.name), &receipt)
        }
        Verb::Quarantine(args) => {
            let (client, found) = start(app, &args.which).await?;
            let effect = format!(
                "All versions of {} are refused until it is released",
                found.name
            );
            app.confirm(&args.change, &effect, &found.name)?;
            let reason = reason(app, &args.change)?;
            let (id, once) = (found.id, App::once(&args.change));
            if args.change.dry_run {
                return app.would_send(&path(id, "quarantine"), &reason, &once);
            }
            let outcome = client.quarantine(id, &reason, &once).await;
            let receipt = settled(outcome, format!("quarantine {}", found.name), &once)?.value;
            app.receipt(&format!("Quarantined {}", found.name), &receipt)
        }
        Verb::Release(args) => {
            let (client, found) = start(app, &args.which).await?;
            let reason = reason(app, &args.change)?;
            let (id, once) = (found.id, App::once(&args.change));
            if args.change.dry_run {
                return app.would_send(&path(id, "release"), &reason, &once);
            }
            let outcome = client.release(id, &reason, &once).await;
            let receipt = settled(outcome, format!("release {}", found.name), &once)?.value;
            app.receipt(&format!("Released {}", found.name), &receipt)
        }
        Verb::Owner {
            which,
            owner,
            change,
        } => {
            let (client, found) = start(app, which).await?;
            let (id, once) = (found.id, App::once(change));
            let body = OwnerChange {
                owner: owner.clone(),
                reason: app.reason(change)?,
            };
            if change.dry_run {
                return app.would_send(&path(id, "owner"), &body, &once);
            }
            let outcome = client.change_owner(id, &body, &once).await;
            let receipt = settled(
                outcome,
                format!("change the owner of {}", found.name),
                &once,
            )?;
            app.receipt(
                &format!("{} belongs to {owner}", found.name),
                &receipt.value,
            )
        }
        Verb::DeliverTo {
            which,
            destination,
            change,
        } => deliver_to(app, which, destination.as_ref(), change).await,
    }
}

async fn list(app: &mut App<'_>, args: &ListArgs) -> Result<(), CliError> {
    let client = app.connect().await?;
    let limit = row_limit(args, app.global.output);
    if app.global.output == Format::Table && limit < u64::MAX {
        return app
            .list(args, async |query| {
                let page = client.credentials(&query).await;
                page.map_err(CliError::call("list credentials"))
            })
            .await;
    }
    // The whole list comes in one answer, read from one state.
    let query = ListQuery {
        filter: args.filter.clone(),
        sort: args.sort.clone(),
        limit: None,
        cursor: None,
    };
    let doing = || CliError::call("list credentials");
    let mut rows = client.credential_rows(&query).await.map_err(doing())?;
    let style = app.style();
    let mut list = List::begin::<crate::wire::CredentialRow>(&mut *app.io.out, style)?;
    while list.rows() < limit {
        let Some(row) = rows.next().await.map_err(doing())? else {
            break;
        };
        list.row(&row)?;
    }
    Ok(list.end()?)
}

async fn deliver_to(
    app: &mut App<'_>,
    which: &Which,
    destination: Option<&Destination>,
    change: &ChangeArgs,
) -> Result<(), CliError> {
    let (client, found) = start(app, which).await?;
    let done = match destination {
        Some(to) => format!("The next version of {} is put at {to}", found.name),
        None => format!(
            "The next version of {} is claimed by whoever asks",
            found.name
        ),
    };
    app.confirm(change, &done, &found.name)?;
    let body = DeliverTo {
        destination: destination.cloned(),
        reason: app.reason(change)?,
    };
    let (id, once) = (found.id, App::once(change));
    if change.dry_run {
        return app.would_send(&path(id, "deliver-to"), &body, &once);
    }
    let outcome = client.deliver_to(id, &body, &once).await;
    let doing = format!("change where the secrets of {} go", found.name);
    let receipt = settled(outcome, doing, &once)?.value;
    app.receipt(&done, &receipt)
}

async fn revoke(
    app: &mut App<'_>,
    which: &Which,
    version: Option<u32>,
    change: &ChangeArgs,
) -> Result<(), CliError> {
    let (client, found) = start(app, which).await?;
    let what = match version {
        Some(number) => format!("Version {number} of {}", found.name),
        None => format!("{} with all its versions", found.name),
    };
    app.confirm(
        change,
        &format!("{what} is revoked at once, for good"),
        &found.name,
    )?;
    let body = Revoke {
        version,
        reason: app.reason(change)?,
    };
    let (id, once) = (found.id, App::once(change));
    if change.dry_run {
        return app.would_send(&path(id, "revoke"), &body, &once);
    }
    let outcome = client.revoke(id, &body, &once).await;
    let receipt = settled(outcome, format!("revoke {}", found.name), &once)?.value;
    app.receipt(&format!("Revoked {what}"), &receipt)?;
    if change.wait {
        proven(app, &client, &found, &receipt, change).await
    } else {
        Ok(())
    }
}

/// Waits until issuers and gateways refuse what was revoked too.
async fn proven(
    app: &mut App<'_>,
    client: &Client,
    found: &Found<CredentialId>,
    receipt: &Receipt,
    change: &ChangeArgs,
) -> Result<(), CliError> {
    let concerns = |item: &crate::wire::FeedItem| {
        item.event.kind.starts_with("revocation.")
            || item
                .credential
                .as_ref()
                .is_some_and(|row| row.id == found.id)
    };
    let end = wait::until(
        client,
        receipt.sequence,
        change.timeout,
        concerns,
        async || {
            let detail = detail(client, found).await?;
            let waits = detail
                .revocations
                .iter()
                .filter(|row| row.state != RevocationState::Propagated);
            let waits: Vec<_> = waits.cloned().collect();
            Ok(if waits.is_empty() {
                End::Reached(detail.revocations)
            } else {
                End::Not(waits)
            })
        },
    )
    .await?;
    match end {
        End::Reached(rows) => {
            let gateways: u32 = rows.iter().map(|row| row.gateways).max().unwrap_or(0);
            let took = rows.iter().filter_map(|row| row.time_to_revoke_ms).max();
            let words = match gateways {
                0 => "Withdrawn at its issuer too".to_owned(),
                1 => format!("Refused by its gateway too, after {}", rows::took(took)),
                _ => format!(
                    "Refused by all {gateways} gateways too, after {}",
                    rows::took(took)
                ),
            };
            app.say(&words)
        }
        End::Not(rows) => {
            let issuer = rows
                .iter()
                .any(|row| matches!(row.enforcement, Enforcement::Pending { .. }));
            let gateways: u32 = rows.iter().map(|row| row.gateways - row.applied).sum();
            let missing = match (issuer, gateways) {
                (true, 0) => "not withdrawn at its issuer".to_owned(),
                (true, left) => {
                    format!("not withdrawn at its issuer, nor refused by {left} gateways")
                }
                (false, left) => format!("not refused by {left} gateways"),
            };
            Err(CliError::NotConverged {
                subject: found.name.clone(),
                state: format!("{missing} yet; this broker refuses it"),
            })
        }
    }
}

async fn bring_in(app: &mut App<'_>, adopt: &Adopt) -> Result<(), CliError> {
    let client = app.connect_to_change().await?;
    let holder = app.client(&client, &adopt.client).await?;
    let digest = match adopt.digest {
        Some(digest) => digest,
        None => secret_digest(app)?,
    };
    let body = Adoption {
        name: adopt.name.clone(),
        environment: adopt.env,
        kind: adopt.kind,
        issuer: adopt.issuer.clone(),
        client: holder.id,
        owner: adopt.owner.clone(),
        audience: adopt.audience.clone(),
        scopes: adopt.scopes.clone(),
        tier: adopt.tier,
        tags: adopt.tags.clone(),
        digest,
        issued_at: adopt.issued_at,
        expires_at: adopt.expires_at,
        cadence_s: adopt.cadence.map(|cadence| cadence.as_secs()),
    };
    let once = App::once(&adopt.change);
    if adopt.change.dry_run {
        return app.would_send("/v1/credentials", &body, &once);
    }
    let outcome = client.adopt(&body, &once).await;
    let receipt = settled(outcome, format!("adopt {}", adopt.name), &once)?.value;
    app.receipt(
        &format!("Adopted {} ({})", adopt.name, receipt.subject),
        &receipt,
    )
}

/// Signs in for a change, and looks whether the credential is there.
async fn start(
    app: &mut App<'_>,
    which: &Which,
) -> Result<(Client, Found<CredentialId>), CliError> {
    let client = app.connect_to_change().await?;
    let mut found = app.credential(&client, &which.credential).await?;
    found.name = detail(&client, &found).await?.row.name;
    Ok((client, found))
}

async fn detail(
    client: &Client,
    found: &Found<CredentialId>,
) -> Result<CredentialDetail, CliError> {
    let detail = client.credential(found.id).await;
    let doing = format!("show credential {}", found.name);
    Ok(detail.map_err(CliError::call(doing))?.value)
}

fn print(app: &mut App<'_>, detail: &CredentialDetail) -> Result<(), CliError> {
    let style = app.style();
    output::one(&mut *app.io.out, style, detail, &detail.row, |style| {
        review::credential(detail, style)
    })?;
    Ok(())
}

fn reason(app: &mut App<'_>, change: &ChangeArgs) -> Result<Reason, CliError> {
    Ok(Reason {
        reason: app.reason(change)?,
    })
}

fn path(id: CredentialId, verb: &str) -> String {
    format!("/v1/credentials/{id}/{verb}")
}

/// Reads a secret without showing it, and keeps only its digest.
fn secret_digest(app: &mut App<'_>) -> Result<Digest, CliError> {
    Ok(digest_of(&secret(app, "Secret (not shown, not sent): ")?))
}

/// A secret from the masked prompt, or from standard input where that is not a terminal.
///
/// # Errors
/// Where there is none, or one that is too long.
pub(super) fn secret(app: &mut App<'_>, question: &str) -> Result<Zeroizing<String>, CliError> {
    let secret = if app.io.can_ask() {
        prompt::hidden(app.io, question)?
    } else {
        let mut text = Zeroizing::new(String::new());
        let mut input = (&mut *app.io.input).take(SECRET_BYTES + 1);
        let read = input.read_to_string(&mut text);
        read.map_err(CliError::files("read the secret from standard input"))?;
        text
    };
    let secret = Zeroizing::new(secret.trim_end_matches(['\n', '\r']).to_owned());
    if secret.is_empty() || secret.len() as u64 > SECRET_BYTES {
        return Err(CliError::Usage(format!(
            "expected a secret of 1 to {SECRET_BYTES} bytes on standard input, or --digest"
        )));
    }
    Ok(secret)
}
