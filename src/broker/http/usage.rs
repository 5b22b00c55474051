//! What gateways that decide by themselves report: which version was shown, from where, how often.

use super::{
    App,
    extract::GatewayCall,
    list::answer,
    problem::{self, ApiError},
};
use crate::{
    broker::usage::{Reader, Used},
    domain::{Credential, FieldError, Gateway, GatewayId, Network, Refusal, State, VersionState},
    wire::{
        Finding, FindingKind,
        gateway::{UsageBatch, UsageReport, UsageTaken},
    },
};
use axum::{extract::State as Shared, response::Response};
use chrono::{DateTime, TimeDelta, Utc};
use std::sync::Arc;

/// The most reports of one batch.
const REPORTS_MAX: usize = 1_000;
/// The most uses of one report.
const COUNT_MAX: u64 = 1_000_000_000;
/// How far a gateway's clock may be ahead.
const AHEAD: TimeDelta = TimeDelta::minutes(1);
/// How old a report may be: longer outages than this are for people.
const BEHIND: TimeDelta = TimeDelta::days(7);

/// Counts what a gateway has accepted and refused, by its own token. A batch with anything in it that cannot be is
/// refused as a whole, and what cannot be is kept as a finding.
#[utoipa::path(post, path = "/v1/usage", tag = "gateways", operation_id = "report_usage", request_body = UsageBatch,
    responses((status = 200, body = UsageTaken)))]
pub async fn report(
    Shared(app): Shared<App>,
    call: GatewayCall<UsageBatch>,
) -> Result<Response, ApiError> {
    let key = call.idempotency_key()?;
    let (gateway, now) = (&call.gateway, call.now);
    let gateways = app.engine().gateways();
    let place = gateways.place(gateway.id);
    place.seen(now);
    let reports = &call.body.reports;
    let mut refused = Vec::new();
    if !(1..=REPORTS_MAX).contains(&reports.len()) {
        refused.push(FieldError {
            pointer: "/reports".into(),
            detail: format!("expected 1 to {REPORTS_MAX} reports"),
        });
    }
    let mut resolved = Vec::with_capacity(reports.len().min(REPORTS_MAX));
    for (index, report) in reports.iter().take(REPORTS_MAX).enumerate() {
        match resolve(&call.state, gateway, report, now) {
            Ok(found) => resolved.push((found, report)),
            Err(wrong) => {
                let (field, detail) = wrong.told();
                refused.push(FieldError {
                    pointer: format!("/reports/{index}{field}"),
                    detail,
                });
                if let Wrong::Finding(kind) = wrong {
                    gateways.found(finding(kind, gateway.id, report));
                }
            }
        }
    }
    if !refused.is_empty() {
        return Err(Refusal::Invalid(refused).into());
    }
    let taken = UsageTaken {
        taken: reports.len() as u32,
    };
    if place.repeats(&key) {
        return Ok(super::requests::repeated(answer(
            call.state.sequence,
            &taken,
        )));
    }
    for ((credential, version, network), report) in resolved {
        let used = Used {
            accepted: report.accepted,
            accepted_at: (report.accepted > 0).then_some(report.at),
            refused: report.refused,
            refused_at: (report.refused > 0).then_some(report.at),
        };
        let reader = Reader {
            version,
            gateway: Some(gateway.id),
            network,
        };
        app.engine().usage().record(credential.id, reader, &used);
        place.reported(report.accepted, report.refused);
        let applied = applied(&call.state, credential, version, gateway.id);
        if report.accepted > 0 && applied.is_some_and(|at| at < report.at) {
            let kind = FindingKind::AcceptedAfterRevocation;
            gateways.found(finding(kind, gateway.id, report));
        }
        if report.refused > 0 && applied.is_some_and(|at| at <= report.at) {
            gateways.refused(&call.state, gateway, credential.id, version);
        }
    }
    Ok(answer(call.state.sequence, &taken))
}

/// What is wrong with a report.
enum Wrong {
    /// It is not of its form.
    Form(&'static str, String),
    /// It says something that cannot be.
    Finding(FindingKind),
}

impl Wrong {
    fn told(&self) -> (&'static str, String) {
        match self {
            Self::Form(field, detail) => (field, detail.clone()),
            Self::Finding(FindingKind::OtherEnvironment) => (
                "",
                "this credential is of another environment, or not for this gateway".into(),
            ),
            Self::Finding(_) => ("", "no such version was ever issued".into()),
        }
    }
}

type Found<'a> = (&'a Arc<Credential>, u32, Option<Network>);

fn resolve<'a>(
    state: &'a State,
    gateway: &Gateway,
    report: &UsageReport,
    now: DateTime<Utc>,
) -> Result<Found<'a>, Wrong> {
    let network = report.network.as_deref().map(str::parse).transpose();
    let network = network.map_err(|error: crate::domain::network::NoNetwork| {
        Wrong::Form("/network", error.to_string())
    })?;
    if report.accepted > COUNT_MAX || report.refused > COUNT_MAX {
        let detail = format!("expected at most {COUNT_MAX} uses");
        return Err(Wrong::Form("", detail));
    }
    if report.accepted == 0 && report.refused == 0 {
        return Err(Wrong::Form("", "expected at least one use".into()));
    }
    if report.at > now + AHEAD || report.at < now - BEHIND {
        let detail = "expected a time of the last seven days, and not of the future";
        return Err(Wrong::Form("/at", detail.into()));
    }
    let found = match (report.credential, report.version, &report.digest) {
        (Some(id), Some(number), None) => state
            .credentials
            .get(&id)
            .filter(|credential| credential.version(number).is_some())
            .map(|credential| (credential, number)),
        (None, None, Some(digest)) => state.credential_of(digest),
        _ => {
            let detail = "expected either credential and version, or the digest of the secret";
            return Err(Wrong::Form("", detail.into()));
        }
    };
    let (credential, number) = found.ok_or(Wrong::Finding(FindingKind::UnknownVersion))?;
    if !gateway.guards(credential) {
        return Err(Wrong::Finding(FindingKind::OtherEnvironment));
    }
    Ok((credential, number, network))
}

/// Since when this gateway refuses a version because it was revoked.
fn applied(
    state: &State,
    credential: &Credential,
    number: u32,
    gateway: GatewayId,
) -> Option<DateTime<Utc>> {
    if credential.version(number)?.state != VersionState::Revoked {
        return None;
    }
    let revocation = match state.unproven(credential.id, number) {
        Some(revocation) => revocation,
        // Everybody has been seen to refuse it: that somebody still reports it is rare.
        None => state
            .revocations
            .values()
            .find(|held| held.credential == credential.id && held.versions.contains(&number))?,
    };
    Some(revocation.reach_of(gateway)?.applied?.at)
}

fn finding(kind: FindingKind, gateway: GatewayId, report: &UsageReport) -> Finding {
    Finding {
        kind,
        gateway,
        at: report.at,
        count: report.accepted.saturating_add(report.refused),
        credential: report.credential,
        version: report.version,
        digest: report.digest,
        network: report.network.clone(),
    }
}

impl<T> GatewayCall<T> {
    /// The key that makes a report safe to repeat.
    fn idempotency_key(&self) -> Result<String, ApiError> {
        self.key.clone().ok_or_else(|| {
            ApiError::new(
                &problem::KEY_MISSING,
                "send an Idempotency-Key: a fresh UUID in quotes for each new batch",
            )
        })
    }
}
