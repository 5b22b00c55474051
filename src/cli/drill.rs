//! `drill`: a secret was found where it should not be. What it is, what it opens, who uses it; contained, followed until
//! nothing accepts it any more, shown to be refused, and written down from the log.

mod timeline;

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use chrono::{DateTime, Utc};
use clap::{Args, ValueHint};
use serde::Serialize;

use super::app::{App, settled};
use super::args::{ChangeArgs, Format, span};
use super::credential::secret;
use super::error::CliError;
use super::output::{self, Sheet, Style};
use super::rows;
use super::wait::{self, End};
use crate::client::{Client, Once};
use crate::display::sanitize::safe;
use crate::secret::{Malformed, digest_of, parse_token};
use crate::wire::revocation::Revoke;
use crate::wire::rotation::Rotate;
use crate::wire::{
    Enforcement, FoundSecret, Profile, ReachState, Reason, RevocationDetail, RevocationId,
    RevocationState, RotationCause, RotationId, VersionState,
};

/// How long is waited at least, whatever the gateways' objectives are.
const LEAST: Duration = Duration::from_secs(10);

/// Arguments of `drill`.
#[derive(Debug, Args)]
pub struct Drill {
    /// Contain it at once: all versions of the credential are refused, reversibly
    #[arg(long, conflicts_with = "rotate_then_revoke")]
    quarantine: bool,
    /// Contain it without an outage: a newer version is made and put into use, then the one that was found is
    /// revoked for good
    #[arg(long)]
    rotate_then_revoke: bool,
    /// How long to follow it at most, such as 90s or 10m; the longest objective of its gateways if left out,
    /// and for a rotation ten minutes more
    #[arg(long, value_name = "TIME", value_parser = span)]
    within: Option<Duration>,
    /// Write what happened to this new file, as Markdown: from the log, for the postmortem
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    timeline: Option<PathBuf>,
    #[command(flatten)]
    change: ChangeArgs,
}

/// How it was contained.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Contained {
    Quarantined,
    Revoked,
}

/// What the drill came to, for programs.
#[derive(Debug, Serialize)]
struct Report {
    found: FoundSecret,
    contained: Option<Contained>,
    rotation: Option<RotationId>,
    revocation: Option<RevocationDetail>,
    /// Shown to the broker as a gateway shows it, it was refused.
    refused: bool,
}

/// Runs the drill.
///
/// # Errors
/// Why it was not done, or [`CliError::NotConverged`] where something accepts it still.
pub async fn run(app: &mut App<'_>, drill: &Drill) -> Result<(), CliError> {
    let began = crate::clock::now();
    let text = secret(app, "The secret that was found (not shown): ")?;
    checksum(app, &text)?;
    let digest = digest_of(&text);
    let acts = (drill.quarantine || drill.rotate_then_revoke) && !drill.change.dry_run;
    let client = if acts {
        app.connect_to_change().await?
    } else {
        app.connect().await?
    };
    let found = match client.exposure(digest).await {
        Ok(answer) => answer.value,
        Err(error) if error.status() == Some(404) => {
            return Err(CliError::NotFound {
                what: "credential",
                name: format!("with the secret {}", digest.short()),
            });
        }
        Err(error) => return Err(CliError::call("look for the secret's digest")(error)),
    };
    let style = Style {
        format: Format::Table,
        ..app.style()
    };
    app.io.err.write_all(reach(&found, &style).as_bytes())?;
    let mut report = Report {
        found,
        contained: None,
        rotation: None,
        revocation: None,
        refused: false,
    };
    let ended = if acts {
        let ended = contain(app, &client, drill, &mut report).await;
        let told = client.introspect(&text).await;
        let told = told.map_err(CliError::call("show the secret to the broker"))?;
        report.refused = !told.active;
        app.say(if report.refused {
            "Refused: the broker says so of the secret itself, as it does to every gateway that asks"
        } else {
            "STILL ACCEPTED: the broker takes the secret itself"
        })?;
        ended
    } else {
        app.say("Nothing was changed: --quarantine refuses it at once, --rotate-then-revoke without an outage")?;
        Ok(())
    };
    if let Some(file) = &drill.timeline {
        timeline::write(app, &client, &report, began, file).await?;
    }
    if app.global.output != Format::Table {
        output::write_json(&mut *app.io.out, &report, app.global.output == Format::Json)?;
        app.io.out.write_all(b"\n")?;
    }
    ended?;
    if acts && !report.refused {
        return Err(CliError::NotConverged {
            subject: report.found.row.name,
            state: "accepted by the broker".to_owned(),
        });
    }
    Ok(())
}

/// Says what can be said without asking anybody. What was damaged on its way here is not looked for.
fn checksum(app: &mut App<'_>, text: &str) -> Result<(), CliError> {
    match parse_token(text) {
        Ok(token) => {
            let label = safe(token.label).into_owned();
            app.say(&format!(
                "Form and checksum are right: a token made for {label}"
            ))
        }
        // An issuer's own form, or one that was adopted: known by its digest all the same.
        Err(Malformed::Prefix) => app.say(
            "It is not in this broker's own form, and has no checksum; its digest is looked for",
        ),
        Err(error) => Err(CliError::Usage(format!("{error}; nothing was asked"))),
    }
}

/// What it is, what it opens, and who uses it.
fn reach(found: &FoundSecret, style: &Style) -> String {
    let mut sheet = Sheet::default();
    let row = &found.row;
    sheet.section(&format!(
        "{} in {}, version {}",
        row.name, row.environment, found.version
    ));
    let accepted = if found.accepted {
        "ACCEPTED NOW"
    } else {
        "not accepted any more"
    };
    sheet.fact("state", format!("{}, {accepted}", found.version_state));
    sheet.fact("ends", style.moment_or(found.ends_at, "never by itself"));
    sheet.fact("tier", row.tier.to_string());
    sheet.fact("client", &row.client);
    sheet.fact("owner", &row.owner);
    sheet.fact("contact", &found.contact);
    sheet.fact("audience", &found.audience);
    sheet.fact("scopes", found.scopes.join(" "));
    sheet.fact("stop with it", found.dependents.join(", "));
    sheet.section(&format!(
        "Gateways that it can be shown to: {}",
        found.gateways.len()
    ));
    for gateway in &found.gateways {
        let silent = if gateway.silent { ", SILENT" } else { "" };
        sheet.line(&format!(
            "  {}  {} in {}, objective {} s, may keep an answer {} s{silent}",
            gateway.name,
            gateway.profile,
            gateway.environment,
            gateway.objective_s,
            gateway.cache_s
        ));
    }
    sheet.section(&format!(
        "Shown in the last day, as far as is known: from {} places",
        found.readers.len()
    ));
    for reader in &found.readers {
        let at = reader.gateway.as_deref().unwrap_or("introspection");
        let from = reader.network.as_deref().unwrap_or("somewhere");
        let last = style.moment_or(reader.accepted_at.max(reader.refused_at), "never");
        sheet.line(&format!(
            "  at {at} from {from}, accepted {}, refused {}, last {last}",
            reader.accepted, reader.refused
        ));
    }
    sheet.finish()
}

async fn contain(
    app: &mut App<'_>,
    client: &Client,
    drill: &Drill,
    report: &mut Report,
) -> Result<(), CliError> {
    let (id, name) = (report.found.row.id, report.found.row.name.clone());
    let effect = if drill.quarantine {
        format!("All versions of {name} are refused from now on, reversibly")
    } else {
        format!(
            "{name} gets a newer version, and version {} is then revoked for good",
            report.found.version
        )
    };
    app.confirm(&drill.change, &effect, &name)?;
    let reason = app.reason(&drill.change)?;
    let key = App::once(&drill.change).key;
    let once = |step: &str| Once {
        key: format!("{key}-{step}"),
        seen: None,
    };
    if drill.quarantine {
        let once = once("quarantine");
        let outcome = client.quarantine(id, &Reason { reason }, &once).await;
        let receipt = settled(outcome, format!("quarantine {name}"), &once)?.value;
        report.contained = Some(Contained::Quarantined);
        app.say(&format!("Quarantined {name}, #{}", receipt.sequence))?;
        return kept(app, drill, report).await;
    }
    if report.found.accepted && report.found.version_state != VersionState::Retiring {
        let once = once("rotate");
        let body = Rotate {
            cause: Some(RotationCause::Compromise),
            reason: reason.clone(),
        };
        let outcome = client.rotate(id, &body, &once).await;
        let receipt = settled(outcome, format!("rotate {name}"), &once)?.value;
        report.rotation = receipt.subject.parse().ok();
        promoted(app, client, drill, report, receipt.sequence).await?;
    }
    let once = once("revoke");
    let body = Revoke {
        version: Some(report.found.version),
        reason,
    };
    let outcome = client.revoke(id, &body, &once).await;
    let receipt = settled(outcome, format!("revoke {name}"), &once)?.value;
    report.contained = Some(Contained::Revoked);
    app.say(&format!(
        "Revoked version {} of {name}, #{}",
        report.found.version, receipt.sequence
    ))?;
    let detail = client.credential(id).await;
    let detail = detail
        .map_err(CliError::call(format!("show credential {name}")))?
        .value;
    let of_it = |row: &&crate::wire::RevocationRow| row.versions.contains(&report.found.version);
    let Some(row) = detail.revocations.iter().rfind(of_it) else {
        return Ok(());
    };
    propagated(app, client, drill, report, row.id, receipt.sequence).await
}

/// How long it is followed.
fn patience(drill: &Drill, found: &FoundSecret) -> Duration {
    let longest = found
        .gateways
        .iter()
        .map(|gateway| gateway.objective_s)
        .max();
    let objective = Duration::from_secs(longest.unwrap_or(0)).max(LEAST);
    drill.within.unwrap_or(objective)
}

/// Waits until the newer version is in use.
async fn promoted(
    app: &mut App<'_>,
    client: &Client,
    drill: &Drill,
    report: &Report,
    after: u64,
) -> Result<(), CliError> {
    let Some(id) = report.rotation else {
        return Ok(());
    };
    let name = &report.found.row.name;
    let limit = drill
        .within
        .unwrap_or_else(|| patience(drill, &report.found) + Duration::from_mins(10));
    let told = RefCell::new((String::new(), &mut *app.io.err));
    let end = wait::until(
        client,
        after,
        limit,
        |item| item.event.kind.starts_with("rotation."),
        async || {
            let detail = client.rotation(id).await;
            let detail = detail
                .map_err(CliError::call(format!("show rotation {id}")))?
                .value;
            let (said, err) = &mut *told.borrow_mut();
            if *said != detail.guard && !detail.guard.is_empty() {
                writeln!(err, "  {}: {}", detail.row.state, safe(&detail.guard))?;
                said.clone_from(&detail.guard);
            }
            let over = detail.row.state.promoted() || detail.row.state.ended();
            Ok(if over {
                End::Reached(detail)
            } else {
                End::Not(detail)
            })
        },
    )
    .await?;
    match end {
        End::Reached(detail) if detail.row.state.promoted() => app.say(&format!(
            "Version {} of {name} is in use",
            detail.row.to.unwrap_or_default()
        )),
        End::Reached(detail) | End::Not(detail) => Err(CliError::NotConverged {
            subject: format!("the rotation of {name}"),
            state: format!(
                "{}; nothing was revoked: `countersign credential revoke {name} --version {}` cuts it off at once",
                detail.row.state, report.found.version
            ),
        }),
    }
}

/// Follows a revocation until every gateway and the issuer refuse it too, and says so as each does.
async fn propagated(
    app: &mut App<'_>,
    client: &Client,
    drill: &Drill,
    report: &mut Report,
    id: RevocationId,
    after: u64,
) -> Result<(), CliError> {
    let limit = patience(drill, &report.found);
    let told = RefCell::new((BTreeSet::new(), &mut *app.io.err));
    let end = wait::until(
        client,
        after,
        limit,
        |item| item.event.kind.starts_with("revocation."),
        async || {
            let detail = client.revocation(id).await;
            let detail = detail
                .map_err(CliError::call(format!("show revocation {id}")))?
                .value;
            let (said, err) = &mut *told.borrow_mut();
            for view in &detail.reach {
                let applied = view
                    .applied_ms
                    .filter(|_| view.state != ReachState::Removed);
                if let Some(ms) = applied
                    && said.insert(view.gateway)
                {
                    let late = if view.late { ", LATE" } else { "" };
                    let took = rows::took(Some(ms));
                    writeln!(err, "  {} refuses it after {took}{late}", safe(&view.name))?;
                }
            }
            let whole = detail.row.state == RevocationState::Propagated;
            Ok(if whole {
                End::Reached(detail)
            } else {
                End::Not(detail)
            })
        },
    )
    .await?;
    let (whole, detail) = match end {
        End::Reached(detail) => (true, detail),
        End::Not(detail) => (false, detail),
    };
    let row = &detail.row;
    let words = format!(
        "{} of {} gateways refuse it, {} were seen to; time to revoke {}",
        row.applied,
        row.gateways,
        row.proven,
        rows::took(row.time_to_revoke_ms)
    );
    let waits = detail.exposure.through.join(", ");
    let issuer = matches!(row.enforcement, Enforcement::Pending { .. });
    report.revocation = Some(detail);
    app.say(&words)?;
    if whole {
        return Ok(());
    }
    let missing = match (waits.as_str(), issuer) {
        ("", _) => "not withdrawn at its issuer".to_owned(),
        (waits, false) => format!("not known to be refused by {waits}"),
        (waits, true) => format!("not known to be refused by {waits}, nor withdrawn at its issuer"),
    };
    Err(CliError::NotConverged {
        subject: report.found.row.name.clone(),
        state: format!("{missing}; this broker refuses it"),
    })
}

/// Follows a quarantine: whoever asks about every call refuses at once, whoever keeps answers once those have run out.
/// Receivers are told of revocations only.
async fn kept(app: &mut App<'_>, drill: &Drill, report: &Report) -> Result<(), CliError> {
    let found = &report.found;
    let (deaf, asking): (Vec<_>, Vec<_>) = found
        .gateways
        .iter()
        .partition(|gateway| gateway.profile == Profile::Receiver);
    let longest = asking
        .iter()
        .map(|gateway| gateway.cache_s)
        .max()
        .unwrap_or(0);
    let wait = Duration::from_secs(longest).min(patience(drill, found));
    if !wait.is_zero() {
        app.say(&format!(
            "Answers that gateways keep run out within {longest} s"
        ))?;
        // The end of what they may keep is a moment, and no event.
        tokio::time::sleep(wait).await;
    }
    for gateway in &asking {
        app.say(&format!(
            "  {} refuses it: it asks, and keeps no older answer",
            gateway.name
        ))?;
    }
    let late = Duration::from_secs(longest) > wait;
    let names: Vec<&str> = deaf.iter().map(|gateway| gateway.name.as_str()).collect();
    if names.is_empty() && !late {
        return Ok(());
    }
    let state = if names.is_empty() {
        "quarantined; a gateway may still keep an older answer".to_owned()
    } else {
        format!(
            "quarantined here, and {} learn of revocations only: --rotate-then-revoke reaches them",
            names.join(", ")
        )
    };
    Err(CliError::NotConverged {
        subject: found.row.name.clone(),
        state,
    })
}

/// A moment as the timeline writes it.
fn moment(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%d %H:%M:%S%.3fZ").to_string()
}
