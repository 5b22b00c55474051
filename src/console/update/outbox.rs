//! What was sent and what became of it. Nothing is believed lost or done before the broker said so.

use super::with;
use crate::console::effect::{ActCall, Call, CallId, Effect};
use crate::console::event::{CallError, Delivery, Level, Reply};
use crate::console::model::{Model, OUTBOX_MAX, Outcome, Overlay, Sent};
use crate::console::screens::Jump;
use crate::console::sheet::Sheet;

/// Sends what the sheet says, or asks again with the same keys where the outcome is not known.
pub fn commit(
    model: &mut Model,
    mut sheet: Sheet,
    jump: &mut Option<Jump>,
    effects: &mut Vec<Effect>,
) {
    if sheet.sent() {
        let keys: Vec<_> = sheet
            .targets
            .iter()
            .filter_map(|t| t.sent.clone())
            .collect();
        model.overlay = Some(Overlay::Sheet(sheet));
        return again(model, &keys, jump, effects);
    }
    if let Some(why) = sheet.missing().or_else(|| model.shared.refuses_changes()) {
        model.overlay = Some(Overlay::Sheet(sheet));
        return with(model, jump, effects, |ctx| ctx.toast(Level::Bad, why));
    }
    let reason = sheet.reason();
    for target in &mut sheet.targets {
        let call = ActCall {
            action: target.action.clone(),
            if_match: target.sequence,
            reason: reason.clone(),
            key: model.shared.new_key(),
        };
        target.sent = Some(call.key.clone());
        let id = with(model, jump, effects, |ctx| {
            ctx.call(Call::Act(call.clone()))
        });
        model.shared.outbox.push(Sent {
            call,
            name: target.name.clone(),
            at: model.shared.now,
            outcome: Outcome::Sending(id),
        });
    }
    model.overlay = Some(Overlay::Sheet(sheet));
}

/// Asks again, by their keys, for what is not known.
fn again(model: &mut Model, keys: &[String], jump: &mut Option<Jump>, effects: &mut Vec<Effect>) {
    for at in 0..model.shared.outbox.len() {
        let sent = &model.shared.outbox[at];
        let open = matches!(sent.outcome, Outcome::Unknown(_) | Outcome::CalledOff);
        if open && keys.contains(&sent.call.key) {
            let call = sent.call.clone();
            let id = with(model, jump, effects, |ctx| ctx.call(Call::Act(call)));
            model.shared.outbox[at].outcome = Outcome::Sending(id);
        }
    }
}

/// The broker is back: settles everything that is not known, by the keys that it was sent with.
pub fn settle(model: &mut Model, jump: &mut Option<Jump>, effects: &mut Vec<Effect>) {
    let unknown = |sent: &&Sent| matches!(sent.outcome, Outcome::Unknown(_));
    let open = model.shared.outbox.iter().filter(unknown);
    let keys: Vec<String> = open.map(|sent| sent.call.key.clone()).collect();
    again(model, &keys, jump, effects);
}

/// A reply came; if it is to something in the outbox, that is settled.
pub fn replied(
    model: &mut Model,
    id: CallId,
    reply: &Result<Reply, CallError>,
    jump: &mut Option<Jump>,
    effects: &mut Vec<Effect>,
) {
    let waits = |sent: &&mut Sent| sent.outcome == Outcome::Sending(id);
    let Some(sent) = model.shared.outbox.iter_mut().find(waits) else {
        return;
    };
    sent.outcome = match reply {
        Ok(Reply::Receipt(receipt)) => Outcome::Done(receipt.clone()),
        Ok(_) => Outcome::Unknown("the answer is not the one to this".into()),
        Err(error) => match error.delivery {
            Delivery::Refused => Outcome::Refused(refusal(error)),
            Delivery::NotSent => Outcome::NotSent(error.detail.clone()),
            Delivery::Unknown => Outcome::Unknown(error.detail.clone()),
            Delivery::Cancelled => Outcome::CalledOff,
        },
    };
    let (level, text) = sentence(sent);
    with(model, jump, effects, |ctx| ctx.toast(level, text));
    if let Some(Overlay::Sheet(sheet)) = &model.overlay {
        let done = |key: &String| {
            let sent = model
                .shared
                .outbox
                .iter()
                .find(|sent| sent.call.key == *key);
            sent.is_some_and(|sent| matches!(sent.outcome, Outcome::Done(_)))
        };
        let all = sheet
            .targets
            .iter()
            .all(|t| t.sent.as_ref().is_some_and(done));
        if all {
            model.overlay = None;
        }
    }
    let surplus = model.shared.outbox.len().saturating_sub(OUTBOX_MAX);
    let mut dropped = 0;
    model.shared.outbox.retain(|sent| {
        let drop = dropped < surplus && !sent.open();
        dropped += usize::from(drop);
        !drop
    });
}

fn refusal(error: &CallError) -> String {
    let changed = error
        .problem
        .as_ref()
        .map(|problem| problem.changed.join(", "));
    match changed.filter(|changed| !changed.is_empty()) {
        Some(changed) => format!("{} Since you looked: {changed}", error.detail),
        None => error.detail.clone(),
    }
}

/// What became of it, in a sentence.
pub fn sentence(sent: &Sent) -> (Level, String) {
    let name = &sent.name;
    match &sent.outcome {
        Outcome::Sending(_) => (Level::Info, format!("{name}: sent, no answer yet")),
        Outcome::Done(receipt) => (
            Level::Good,
            format!("{name}: done, {} at #{}", receipt.state, receipt.sequence),
        ),
        Outcome::Refused(why) => (
            Level::Bad,
            format!("{name}: refused, nothing happened: {why}"),
        ),
        Outcome::NotSent(why) => (
            Level::Bad,
            format!("{name}: not sent, nothing happened: {why}"),
        ),
        Outcome::Unknown(why) => (
            Level::Bad,
            format!(
                "{name}: unknown whether it happened ({why}); asked again by its key once the broker is back"
            ),
        ),
        Outcome::CalledOff => (
            Level::Bad,
            format!("{name}: called off; unknown whether it happened, the audit trail will tell"),
        ),
    }
}
