//! Rotations: the calendar, one with its steps, and what can be done about it.

use super::{
    App, Secret,
    credentials::trail,
    extract::{Call, Id, Nothing, Params, Reader},
    list::{answer, not_modified, tagged},
    problem::{self, ApiError},
    requests::{created, done, receipt},
};
use crate::{
    broker::{
        engine::fresh_bits,
        views::{
            Views,
            rotation::{Tally, freezes, measures, took},
        },
    },
    domain::{
        Command, Credential, CredentialId, Environment, RevocationId, Rotation, RotationCause,
        RotationId,
    },
    wire::{
        Reason, Receipt,
        rotation::{
            ClaimedRotation, Rotate, RotateGroup, RotationCalendar, RotationDay, RotationDetail,
            RotationRow, RotationSummary,
        },
    },
};
use axum::{extract::State as Shared, response::Response};
use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use serde::Deserialize;
use std::{collections::BTreeMap, sync::Arc};

/// Rows of each part of the calendar unless told otherwise.
const LIMIT: u32 = 200;
/// The most.
const LIMIT_MAX: u32 = 1_000;
/// The longest range.
const RANGE_MAX: TimeDelta = TimeDelta::days(400);

/// What part of the calendar is wanted.
#[derive(Debug, Clone, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct CalendarParams {
    /// From when; a week ago if left out.
    pub from: Option<DateTime<Utc>>,
    /// Until when; in four weeks if left out. At most 400 days after `from`.
    pub until: Option<DateTime<Utc>>,
    /// Only what this team answers for.
    #[param(max_length = 128)]
    pub team: Option<String>,
    /// Only this environment.
    #[param(inline)]
    pub environment: Option<Environment>,
    /// Only this credential.
    #[param(value_type = Option<String>)]
    pub credential: Option<CredentialId>,
    /// Figures over the whole fleet too: days, cadence compliance, measures.
    pub summary: Option<bool>,
    /// Rows of each part, 1 to 1,000; 200 if left out.
    #[param(minimum = 1, maximum = 1000)]
    pub limit: Option<u32>,
}

/// The calendar's parameters, read and bounded.
struct Wanted<'a> {
    params: &'a CalendarParams,
    from: DateTime<Utc>,
    until: DateTime<Utc>,
    limit: usize,
}

impl<'a> Wanted<'a> {
    fn read(params: &'a CalendarParams, now: DateTime<Utc>) -> Result<Self, ApiError> {
        let malformed = |what: &str| {
            Err(ApiError::new(
                &problem::MALFORMED,
                format!("in the query: {what}"),
            ))
        };
        let from = params.from.unwrap_or(now - TimeDelta::days(7));
        let until = params.until.unwrap_or(now.max(from) + TimeDelta::days(28));
        if until <= from || until - from > RANGE_MAX {
            return malformed("until: expected a time after from, at most 400 days later");
        }
        let limit = params.limit.unwrap_or(LIMIT);
        if limit == 0 || limit > LIMIT_MAX {
            return malformed("limit: expected 1 to 1000");
        }
        Ok(Self {
            params,
            from,
            until,
            limit: limit as usize,
        })
    }

    fn takes(&self, reader: &Reader, credential: &Credential) -> bool {
        let params = self.params;
        reader.caller.sees(credential.client)
            && (params.team.as_deref()).is_none_or(|team| *credential.owner == *team)
            && (params.environment).is_none_or(|environment| credential.environment == environment)
            && params.credential.is_none_or(|id| credential.id == id)
    }
}

/// Rotations past and to come: those that run, those that ended in the range, and those that are planned in it.
#[utoipa::path(get, path = "/v1/rotations", tag = "rotations", params(CalendarParams),
    responses((status = 200, body = RotationCalendar)))]
pub async fn calendar(
    Shared(app): Shared<App>,
    reader: Reader,
    Params(params): Params<CalendarParams>,
) -> Result<Response, ApiError> {
    let wanted = Wanted::read(&params, reader.now)?;
    let state = &reader.state;
    let views = app.views(state, reader.now);
    let rotations = &state.rotations;
    let of = |rotation: &Rotation| {
        (state.credentials.get(&rotation.credential))
            .filter(|credential| wanted.takes(&reader, credential))
    };
    let mut running: Vec<&Arc<Rotation>> = rotations
        .running
        .values()
        .filter_map(|id| rotations.all.get(id))
        .filter(|rotation| of(rotation).is_some())
        .collect();
    running.sort_by_key(|rotation| (rotation.started_at, rotation.id));
    running.truncate(wanted.limit);
    let in_range = |at: DateTime<Utc>| wanted.from <= at && at < wanted.until;
    let ended: Vec<RotationRow> = rotations
        .ended()
        .filter(|rotation| rotation.ended_at.is_some_and(in_range) && of(rotation).is_some())
        .take(wanted.limit)
        .filter_map(|rotation| views.rotation_row(rotation))
        .collect();
    let mut planned = Vec::new();
    let (mut planned_total, mut overdue) = (0, 0);
    for (at, id) in rotations
        .due
        .iter()
        .take_while(|(at, _)| *at < wanted.until)
    {
        let Some(credential) = state.credentials.get(id) else {
            continue;
        };
        // What should have begun belongs to every range.
        if (*at < wanted.from && *at > reader.now) || !wanted.takes(&reader, credential) {
            continue;
        }
        planned_total += 1;
        let late = (rotations.rules())
            .and_then(|(rules, _)| rules.planned(credential))
            .is_some_and(|planned| planned.late_at <= reader.now);
        overdue += u64::from(late);
        if planned.len() < wanted.limit {
            planned.extend(views.planned_row(credential));
        }
    }
    let rules = rotations.rules().map(|(rules, _)| rules);
    let body = RotationCalendar {
        from: wanted.from,
        until: wanted.until,
        now: reader.now,
        running: (running.into_iter())
            .filter_map(|rotation| views.rotation_row(rotation))
            .collect(),
        ended,
        planned,
        planned_total,
        overdue,
        freezes: rules.map_or_else(Vec::new, |rules| freezes(rules, wanted.from, wanted.until)),
        policy_version: rules.map_or(0, |rules| rules.version),
        summary: (params.summary == Some(true)).then(|| summary(&reader, &views, &wanted)),
        sequence: state.sequence,
    };
    Ok(answer(state.sequence, &body))
}

/// One pass over the fleet and over what is remembered of rotations.
fn summary(reader: &Reader, views: &Views<'_>, wanted: &Wanted<'_>) -> RotationSummary {
    let state = &reader.state;
    let rotations = &state.rotations;
    let mut tally = Tally::default();
    if let Some((rules, _)) = rotations.rules() {
        let visible = state.credentials.values();
        for credential in visible.filter(|credential| wanted.takes(reader, credential)) {
            tally.count(views, rules, credential);
        }
    }
    let mut days = BTreeMap::<NaiveDate, RotationDay>::new();
    let mut on = |at: DateTime<Utc>, count: fn(&mut RotationDay)| {
        if wanted.from <= at && at < wanted.until {
            let date = at.date_naive();
            count(days.entry(date).or_insert_with(|| RotationDay {
                date,
                ..RotationDay::default()
            }));
        }
    };
    let sees = |id: &CredentialId| {
        (state.credentials.get(id)).is_some_and(|credential| wanted.takes(reader, credential))
    };
    for (at, id) in &rotations.due {
        if *at >= wanted.until {
            break;
        }
        if sees(id) {
            // What should have begun begins today.
            on((*at).max(reader.now), |day| day.planned += 1);
        }
    }
    let seen = (rotations.all.values()).filter(|rotation| sees(&rotation.credential));
    let seen: Vec<_> = seen.collect();
    for rotation in &seen {
        if let Some(at) = rotation.promoted_at {
            on(at, |day| day.promoted += 1);
        }
        if let (Some(_), Some(at)) = (rotation.setback, rotation.ended_at) {
            on(at, |day| day.failed += 1);
        }
    }
    let mut durations = took(seen.into_iter());
    tally.summary(
        days.into_values().collect(),
        measures(&rotations.totals, &mut durations),
    )
}

fn find(reader: &Reader, id: RotationId) -> Result<&Arc<Rotation>, ApiError> {
    (reader.state.rotations.all.get(&id))
        .filter(|rotation| {
            (reader.state.credentials.get(&rotation.credential))
                .is_some_and(|credential| reader.caller.sees(credential.client))
        })
        .ok_or_else(|| ApiError::not_found("rotation", id))
}

/// One rotation: its steps, what it waits for, who uses which version, and what rolling back would do.
#[utoipa::path(get, path = "/v1/rotations/{id}", tag = "rotations",
    params(("id" = String, Path, description = "`rot_…`")),
    responses((status = 200, body = RotationDetail), (status = 304, description = "Unchanged since `If-None-Match`")))]
pub async fn show(
    Shared(app): Shared<App>,
    reader: Reader,
    Id(id): Id<RotationId>,
) -> Result<Response, ApiError> {
    let rotation = find(&reader, id)?;
    if reader.has(rotation.sequence) {
        return Ok(not_modified(rotation.sequence));
    }
    let trail = trail(&app, &reader.state, &rotation.trail).await?;
    let views = app.views(&reader.state, reader.now);
    let body: RotationDetail = (views.rotation_detail(rotation, trail))
        .ok_or_else(|| ApiError::not_found("rotation", id))?;
    Ok(tagged(
        answer(reader.state.sequence, &body),
        rotation.sequence,
    ))
}

/// Begins to rotate several credentials: what others depend on comes first. One that fails does not hold up the rest;
/// one that cannot be rotated now is left out.
#[utoipa::path(post, path = "/v1/rotations", tag = "rotations", request_body = RotateGroup,
    responses((status = 201, body = Receipt)))]
pub async fn rotate_group(
    Shared(app): Shared<App>,
    call: Call<RotateGroup>,
) -> Result<Response, ApiError> {
    for id in &call.body.credentials {
        call.must_see_credential(*id)?;
    }
    let members = (call.body.credentials.iter().take(Command::GROUP_LIMIT + 1))
        .map(|id| (RotationId::from_bits(fresh_bits(call.now)), *id))
        .collect();
    let command = Command::RotateGroup {
        members,
        cause: call.body.cause.unwrap_or(RotationCause::Operator),
        reason: call.body.reason.clone(),
    };
    let outcome = call.submit(&app, command).await?;
    Ok(created("/v1/rotations", &outcome))
}

/// Begins to rotate a credential now.
#[utoipa::path(post, path = "/v1/credentials/{id}/rotate", tag = "rotations", request_body = Rotate,
    params(("id" = String, Path, description = "`crd_…`")), responses((status = 201, body = Receipt)))]
pub async fn rotate(
    Shared(app): Shared<App>,
    Id(id): Id<CredentialId>,
    call: Call<Rotate>,
) -> Result<Response, ApiError> {
    call.must_see_credential(id)?;
    let command = Command::Rotate {
        id: RotationId::from_bits(fresh_bits(call.now)),
        credential: id,
        cause: call.body.cause.unwrap_or(RotationCause::Operator),
        reason: call.body.reason.clone(),
    };
    let outcome = call.submit(&app, command).await?;
    Ok(created("/v1/rotations", &outcome))
}

/// Puts the newer version into use now: it has passed its check, and whoever uses it has it by another way.
#[utoipa::path(post, path = "/v1/credentials/{id}/promote", tag = "rotations", request_body = Nothing,
    params(("id" = String, Path, description = "`crd_…`")), responses((status = 200, body = Receipt)))]
pub async fn promote(
    Shared(app): Shared<App>,
    Id(id): Id<CredentialId>,
    call: Call<Nothing>,
) -> Result<Response, ApiError> {
    call.must_see_credential(id)?;
    let command = Command::Promote { credential: id };
    Ok(receipt(&call.submit(&app, command).await?))
}

/// Goes back to the older version while its overlap lasts; before that, ends the rotation that runs.
#[utoipa::path(post, path = "/v1/credentials/{id}/rollback", tag = "rotations", request_body = Reason,
    params(("id" = String, Path, description = "`crd_…`")), responses((status = 200, body = Receipt)))]
pub async fn roll_back(
    Shared(app): Shared<App>,
    Id(id): Id<CredentialId>,
    call: Call<Reason>,
) -> Result<Response, ApiError> {
    call.must_see_credential(id)?;
    let command = Command::RollBack {
        credential: id,
        reason: call.body.reason.clone(),
        revocation: RevocationId::from_bits(fresh_bits(call.now)),
    };
    Ok(receipt(&call.submit(&app, command).await?))
}

/// Takes the newer secret, once; its version is in use from then on. A repetition with the same idempotency key says
/// that it was delivered already.
#[utoipa::path(post, path = "/v1/rotations/{id}/claim", tag = "rotations", request_body = Nothing,
    params(("id" = String, Path, description = "`rot_…`")), responses((status = 200, body = ClaimedRotation)))]
pub async fn claim(
    Shared(app): Shared<App>,
    Id(id): Id<RotationId>,
    call: Call<Nothing>,
) -> Result<Response, ApiError> {
    let client = (call.state.rotations.all.get(&id))
        .and_then(|rotation| call.state.credentials.get(&rotation.credential))
        .map(|credential| credential.client);
    call.must_see("rotation", id, client)?;
    let command = Command::ClaimRotated { rotation: id };
    let outcome = call.submit(&app, command).await?;
    let state = app.engine().state();
    let missing = || ApiError::internal(&"a claimed rotation without a version");
    let rotation = state.rotations.all.get(&id).ok_or_else(missing)?;
    let version = rotation.to.ok_or_else(missing)?;
    let expires_at = (state.credentials.get(&rotation.credential))
        .and_then(|credential| credential.version(version))
        .and_then(|version| version.expires_at);
    let secret = app.engine().reveal(id).await?;
    let body = ClaimedRotation {
        rotation: id,
        credential: rotation.credential,
        version,
        secret_already_delivered: secret.is_none(),
        secret: secret.unwrap_or_default(),
        expires_at,
        sequence: outcome.sequence,
    };
    let mut response = done(&outcome, &body);
    response.extensions_mut().insert(Secret);
    Ok(response)
}
