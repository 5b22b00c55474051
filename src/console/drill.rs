//! The compromise drill: from a leaked key to a timeline for the postmortem, as one menu that stays at hand.
//!
//! The key itself was pasted into the masked field, checked and hashed there; here is only whose it is. Each step
//! opens the sheet that its own screen opens, so that nothing is done here that needs less than there.

use super::effect::{Call, CallId, Effect};
use super::event::Level;
use super::model::{Choice, Ctx, Menu, MenuEntry, Model, Overlay, Shared};
use super::screens::credentials::acts as credentials;
use super::screens::rotation::acts as rotation;
use super::screens::{Jump, ScreenId};
use super::sheet::Sheet;
use crate::display::sanitize::safe;
use crate::display::time::{ago, record};
use crate::wire::{
    CredentialId, CredentialRow, CredentialState, EventRecord, Page, Role, RotationCause,
};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// Records of the log that a timeline is written from at most.
const RECORDS: u32 = 500;

/// A leaked key under way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drill {
    /// Whose it is.
    pub credential: CredentialId,
    /// That one's name.
    pub name: String,
    /// When it was found to be.
    pub found_at: DateTime<Utc>,
    /// The records for the timeline are asked for.
    pub writing: Option<CallId>,
}

/// A step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Step {
    /// Refuse every version, reversibly.
    Fence,
    /// Have a newer version made, with a short overlap.
    Rotate,
    /// Withdraw it for good.
    Revoke,
    /// See each gateway refuse it.
    Watch,
    /// Write the timeline.
    Timeline,
}

fn row(shared: &Shared) -> Option<CredentialRow> {
    let drill = shared.drill.as_ref()?;
    let place = shared.fleet.find(drill.credential)?;
    shared.fleet.get(place)
}

/// The leaked key belongs to this credential: its detail opens, and what can be done about it.
pub fn found(row: &CredentialRow, ctx: &mut Ctx<'_>) {
    ctx.shared.drill = Some(Drill {
        credential: row.id,
        name: row.name.clone(),
        found_at: ctx.shared.now,
        writing: None,
    });
    ctx.go(Jump {
        screen: ScreenId::Credentials,
        id: Some(row.id.to_string()),
        filter: None,
    });
    *ctx.overlay = menu(ctx.shared).map(Overlay::Menu);
}

/// What can be done about it now.
pub fn menu(shared: &Shared) -> Option<Menu> {
    let row = row(shared)?;
    let no_right = (!shared.holds(row.environment, &[Role::Operator, Role::Admin]))
        .then(|| format!("needs the role operator or admin in {}", row.environment));
    let blocked = shared.refuses_changes();
    let over = matches!(
        row.state,
        CredentialState::Revoked | CredentialState::Expired
    )
    .then(|| format!("it is {} already", row.state));
    let fenced = (row.state == CredentialState::Quarantined)
        .then(|| "it is fenced already: no version is accepted".to_owned());
    let rotates = (row.state == CredentialState::Rotating)
        .then(|| "a newer version is in use already: revoke the older one".to_owned());
    let change = |refused: Option<String>| {
        refused
            .or_else(|| no_right.clone())
            .or_else(|| blocked.clone())
    };
    let entry = |key, label: &str, note: String, refused, step| MenuEntry {
        key,
        label: label.into(),
        note,
        refused,
        does: Choice::Drill(step),
    };
    let used = row.last_used_at.map_or_else(
        || "it was never seen in use".to_owned(),
        |at| format!("it was last used {}", ago(at, shared.now)),
    );
    Some(Menu {
        title: format!("LEAKED KEY  {}", row.name),
        entries: vec![
            entry(
                'f',
                "fence it now",
                format!("every version is refused at once, and it can be undone; {used}"),
                change(over.clone().or(fenced)),
                Step::Fence,
            ),
            entry(
                'r',
                "rotate, then revoke",
                format!(
                    "{} gets a newer version first; the leaked one is refused soon after",
                    row.owner
                ),
                change(over.clone().or(rotates)),
                Step::Rotate,
            ),
            entry(
                'x',
                "revoke",
                "for good: whoever uses it stops, and asks for it anew".into(),
                change(over),
                Step::Revoke,
            ),
            entry(
                'w',
                "watch it die",
                "who refuses it by now, gateway by gateway".into(),
                None,
                Step::Watch,
            ),
            entry(
                't',
                "write the timeline",
                "Markdown for the postmortem, from the log, into a file".into(),
                None,
                Step::Timeline,
            ),
        ],
        // No default: Enter takes nothing here.
        cursor: None,
    })
}

fn sheet(step: Step, row: &CredentialRow, shared: &Shared) -> Option<Sheet> {
    let rows = std::slice::from_ref(row);
    match step {
        Step::Fence => Some(credentials::fence(None, rows, shared)),
        Step::Revoke => Some(credentials::revoke(None, rows, None, shared)),
        Step::Rotate => Some(rotation::rotate(
            row,
            Some(RotationCause::Compromise),
            shared,
        )),
        Step::Watch | Step::Timeline => None,
    }
}

/// Takes a step.
pub fn step(step: Step, ctx: &mut Ctx<'_>) {
    let Some(row) = row(ctx.shared) else {
        return ctx.toast(Level::Bad, "the credential is not in the list any more");
    };
    if let Some(sheet) = sheet(step, &row, ctx.shared) {
        return ctx.sheet(sheet);
    }
    // A name is free of quotes and backslashes: the broker takes no others.
    let filter = format!("name=\"{}\"", row.name);
    match step {
        Step::Watch => ctx.go(Jump {
            screen: ScreenId::Revocations,
            id: None,
            filter: Some(filter),
        }),
        Step::Timeline => {
            let call = ctx.call(Call::Events {
                filter,
                cursor: None,
                limit: RECORDS,
            });
            if let Some(drill) = &mut ctx.shared.drill {
                drill.writing = Some(call);
            }
        }
        Step::Fence | Step::Rotate | Step::Revoke => {}
    }
}

/// Records came: those of the timeline, if they are, are written down.
pub fn records(
    model: &mut Model,
    id: &CallId,
    page: &Page<EventRecord>,
    effects: &mut Vec<Effect>,
) {
    let shared = &mut model.shared;
    let Some(drill) = shared
        .drill
        .as_mut()
        .filter(|drill| drill.writing == Some(*id))
    else {
        return;
    };
    drill.writing = None;
    let drill = drill.clone();
    effects.push(Effect::Export {
        stem: "timeline".into(),
        ending: "md".into(),
        text: timeline(&drill, page, shared),
    });
}

/// The timeline in Markdown, from the records of the log about the credential.
pub fn timeline(drill: &Drill, page: &Page<EventRecord>, shared: &Shared) -> String {
    let by = shared.session.as_ref().map_or("", |session| &session.name);
    let mut text = format!("# Leaked key: {}\n\n", cell(&drill.name));
    let mut fact = |label: &str, value: &str| {
        text.push_str(&format!("- {label}: {}\n", cell(value)));
    };
    fact("credential", &drill.credential.to_string());
    if let Some(row) = row(shared) {
        fact(
            "what",
            &format!("{} in {}, tier {}", row.kind, row.environment, row.tier),
        );
        fact("owner", &row.owner);
        fact("used by", &row.client);
        fact("state now", row.state.as_str());
        if let Some(at) = row.last_used_at {
            fact("last accepted", &record(at));
        }
    }
    fact("broker", shared.broker());
    fact(
        "found",
        &format!(
            "{} by {by}, by the digest of the key",
            record(drill.found_at)
        ),
    );
    fact(
        "written",
        &format!("{} at #{} of the log", record(shared.now), page.sequence),
    );
    text.push_str(
        "\n| time (UTC) | record | what | who | said |\n| --- | --- | --- | --- | --- |\n",
    );
    let mut told = false;
    for event in page.items.iter().rev() {
        if !told && event.at > drill.found_at {
            text.push_str(&format!(
                "| {} | | **the leaked key was found** | {} | |\n",
                record(drill.found_at),
                cell(by)
            ));
            told = true;
        }
        let said = ["reason", "by", "last_error"]
            .iter()
            .find_map(|field| event.data.get(field)?.as_str())
            .unwrap_or_default();
        text.push_str(&format!(
            "| {} | #{} | {} | {} | {} |\n",
            record(event.at),
            event.sequence,
            cell(&event.kind),
            cell(&event.actor.name),
            cell(said)
        ));
    }
    if !told {
        text.push_str(&format!(
            "| {} | | **the leaked key was found** | {} | |\n",
            record(drill.found_at),
            cell(by)
        ));
    }
    let left_out = page.total.saturating_sub(page.items.len() as u64);
    if left_out > 0 {
        text.push_str(&format!("\n{left_out} older records are left out.\n"));
    }
    text.push_str(&format!(
        "\nEach record can be proven: `countersign audit list --filter 'subject={}'`.\n",
        drill.credential
    ));
    text
}

/// Text that ends no cell and no line, and that neither a terminal nor Markdown obeys.
fn cell(text: &str) -> String {
    let mut shown = String::new();
    for c in safe(text).chars() {
        if "\\`*_{}[]<>()#+!|~$&".contains(c) {
            shown.push('\\');
        }
        shown.push(c);
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::console::effect::Action;
    use crate::console::event::{Event, Reply};
    use crate::console::fixture::{answer, credentials, model, over, press};
    use crate::console::screens::samples;
    use crate::console::update::update;
    use crate::secret::digest_of;

    /// The key was pasted, and it is the CI's.
    fn leaked() -> Model {
        let mut model = model((80, 24), ScreenId::Overview);
        let digest = digest_of("a leaked key");
        update(&mut model, &Event::Hashed(digest));
        let row = credentials().remove(0);
        answer(
            &mut model,
            &Call::Lookup(digest),
            Reply::Found(Some(Box::new(row))),
        );
        model
    }

    fn sheet_of(model: &Model) -> &Sheet {
        match &model.overlay {
            Some(Overlay::Sheet(sheet)) => sheet,
            other => panic!("no sheet but {other:?}"),
        }
    }

    #[test]
    fn a_found_key_offers_what_can_be_done_and_does_nothing_by_itself() {
        let mut model = leaked();
        let said = over(&model);
        for line in [
            "LEAKED KEY  vpn-bastion",
            "f fence it now",
            "last used 7m ago",
            "r rotate, then revoke  netops gets a newer version first",
            "t write the timeline",
        ] {
            assert!(said.contains(line), "{line} is not in\n{said}");
        }
        let effects = press(&mut model, "<enter><enter>f");
        assert!(
            !effects
                .iter()
                .any(|effect| matches!(effect, Effect::Call(_, Call::Act(_))))
        );
        let id = credentials()[0].id;
        let sheet = sheet_of(&model);
        assert_eq!(sheet.targets[0].action, Action::Quarantine(id));
        assert_eq!(
            sheet.missing().unwrap(),
            "still to do: 1 and 2",
            "a reason, and its name typed"
        );
    }

    #[test]
    fn marks_on_the_list_are_not_what_leaked() {
        let mut model = model((80, 24), ScreenId::Credentials);
        press(&mut model, "jj<space><space>");
        let digest = digest_of("a leaked key");
        update(&mut model, &Event::Hashed(digest));
        let row = credentials().remove(0);
        answer(
            &mut model,
            &Call::Lookup(digest),
            Reply::Found(Some(Box::new(row))),
        );
        press(&mut model, "x");
        let sheet = sheet_of(&model);
        assert_eq!(sheet.targets.len(), 1);
        assert_eq!(
            sheet.targets[0].action,
            Action::Revoke(credentials()[0].id, None)
        );
    }

    #[test]
    fn it_is_rotated_for_what_happened_and_goes_on_from_anywhere() {
        let mut model = leaked();
        press(&mut model, "<esc>1:drill<enter>r");
        let action = &sheet_of(&model).targets[0].action;
        let id = credentials()[0].id;
        assert_eq!(*action, Action::Rotate(id, Some(RotationCause::Compromise)));
        assert!(
            action.twin().contains("--cause compromise"),
            "{}",
            action.twin()
        );
        press(&mut model, "<esc>:drill<enter>w");
        assert_eq!(model.current, ScreenId::Revocations);
        let filter = model.screens.get(model.current).filter();
        assert_eq!(filter, Some("name=\"vpn-bastion\""));
    }

    #[test]
    fn without_a_found_key_there_is_no_drill() {
        let mut model = model((80, 24), ScreenId::Overview);
        press(&mut model, ":drill<enter>");
        let told = &model.shared.toasts.last().expect("why not").text;
        assert!(told.contains("find a leaked key first"), "{told}");
    }

    #[test]
    fn the_timeline_is_the_logs_and_obeys_nobody() {
        let mut model = leaked();
        press(&mut model, "t");
        let call = Call::Events {
            filter: "name=\"vpn-bastion\"".into(),
            cursor: None,
            limit: RECORDS,
        };
        let mut page = samples::event_page();
        page.total = 9;
        page.items[0].data =
            serde_json::json!({"reason": format!("a | b\n# c {}", samples::HOSTILE)});
        let effects = answer(&mut model, &call, Reply::Events(page));
        let Some(Effect::Export { stem, ending, text }) = effects
            .iter()
            .find(|effect| matches!(effect, Effect::Export { .. }))
        else {
            panic!("nothing was written: {effects:?}");
        };
        assert_eq!((stem.as_str(), ending.as_str()), ("timeline", "md"));
        for words in [
            "# Leaked key: vpn-bastion",
            "| #918199 | revocation.effective | ravi.p |",
            "**the leaked key was found**",
            "2 older records are left out",
            "a \\| b",
        ] {
            assert!(text.contains(words), "{words} is not in\n{text}");
        }
        let hidden = |c: char| c != '\n' && crate::display::sanitize::is_hidden(c);
        assert!(!text.contains(hidden), "{text}");
        let times: Vec<&str> = text
            .lines()
            .filter_map(|line| line.strip_prefix("| 2")?.split(' ').next())
            .collect();
        assert!(times.len() == 8 && times.is_sorted(), "{times:?}");
    }
}
