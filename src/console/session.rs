//! When the session goes on as another, and what is said of its end. Pure: time comes in with events.
//!
//! A session that an SSH key opened goes on by itself some minutes before it ends, as long as its agent has that key and
//! nobody has to touch it. Where it cannot, that is said while there is time to sign in.

use super::effect::{Call, Effect};
use super::event::{CallError, Delivery};
use super::model::{Ctx, Shared};
use crate::display::time::{TimeFormat, compact};
use crate::wire::Session;
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

/// How long before its end a session goes on at the earliest.
const LEAD_MAX: TimeDelta = TimeDelta::minutes(15);
/// From one try to the next, at most.
const STEP_MAX: TimeDelta = TimeDelta::minutes(1);

/// The end of the session, by this machine's clock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionEnd {
    /// When it ends.
    pub at: DateTime<Utc>,
    /// From when on its end is near.
    pub near_at: DateTime<Utc>,
    /// When it is next tried to go on; none if that is of no use.
    pub renew_at: Option<DateTime<Utc>>,
    /// Why it does not go on by itself, as far as is known.
    pub why: Option<String>,
    /// That it is over was noticed.
    pub over: bool,
}

impl SessionEnd {
    /// What is to be done about a session that the broker told of at `now`.
    pub fn of(session: &Session, now: DateTime<Utc>) -> Self {
        let lead = ((session.expires_at - session.opened_at) / 10).min(LEAD_MAX);
        // The broker's clock decides, and may be another than this one.
        let at = session.expires_at + (now - session.now);
        let near_at = at - lead;
        let why = match session.renewable_until {
            None => Some("a token is not renewed"),
            Some(bound) if bound <= session.expires_at => {
                Some("12 hours after signing in, a person signs in again")
            }
            Some(_) => None,
        };
        Self {
            at,
            near_at,
            renew_at: why.is_none().then_some(near_at),
            why: why.map(Into::into),
            over: false,
        }
    }

    /// When something next has to be done or drawn, after `now`.
    pub fn next(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let end = (!self.over).then_some(self.at);
        let moments = [
            self.renew_at.filter(|_| !self.over),
            end,
            Some(self.near_at),
        ];
        moments.into_iter().flatten().filter(|at| *at > now).min()
    }

    fn step(&self) -> TimeDelta {
        ((self.at - self.near_at) / 5).clamp(TimeDelta::seconds(1), STEP_MAX)
    }
}

/// The time has come to where it is.
pub fn tick(ctx: &mut Ctx<'_>) {
    let now = ctx.shared.now;
    let (Some(session), Some(end)) = (&ctx.shared.session, &mut ctx.shared.session_end) else {
        return;
    };
    if now >= end.at {
        if !end.over {
            end.over = true;
            // Whoever follows the broker finds out, and looks for a newer login.
            ctx.effects.push(Effect::Reload);
        }
        return;
    }
    if end.renew_at.is_some_and(|at| at <= now) {
        end.renew_at = Some(now + end.step());
        let call = Call::Renew(Box::new(session.clone()));
        ctx.call(call);
    }
}

/// It did not go on.
pub fn not_renewed(shared: &mut Shared, error: &CallError) {
    let Some(end) = &mut shared.session_end else {
        return;
    };
    match error.delivery {
        Delivery::Cancelled => return,
        Delivery::Refused => end.renew_at = None,
        Delivery::NotSent | Delivery::Unknown => {}
    }
    end.why = Some(error.detail.clone());
}

/// That the session is about to end, if it is and nothing can be done about it from here.
pub fn ending(shared: &Shared) -> Option<String> {
    let end = shared.session_end.as_ref()?;
    let why = end.why.as_ref()?;
    let left = end.at - shared.now;
    if shared.now < end.near_at || left <= TimeDelta::zero() {
        return None;
    }
    let left = compact(left);
    Some(format!(
        "the session ends in {left}: {} ({why})",
        way_in(shared)
    ))
}

/// Why nobody is signed in, and how to be. `why` is what the broker said.
pub fn signed_out(shared: &Shared, why: &str) -> String {
    let why = match &shared.session_end {
        Some(end) if end.over => {
            let format = match shared.time {
                // A distance would have to be drawn anew each second.
                TimeFormat::Ago => TimeFormat::Utc,
                other => other,
            };
            let at = format.short(end.at, shared.now);
            match &end.why {
                Some(why) => format!("the session ended at {at} ({why})"),
                None => format!("the session ended at {at}"),
            }
        }
        _ => why.to_owned(),
    };
    format!("{why}. {}: this console then goes on", way_in(shared))
}

fn way_in(shared: &Shared) -> String {
    match &shared.session {
        Some(session) => format!(":login, or countersign login {}", session.name),
        None => "Sign in by `countersign login` in another terminal".into(),
    }
}
