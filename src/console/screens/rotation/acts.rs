//! What can be done about a rotation, and the sheets that ask before it is. The credential's screen offers the same.

use super::entries::{Entries, Item, Key};
use crate::console::command::ActKind;
use crate::console::effect::Action;
use crate::console::model::Shared;
use crate::console::screens::Act;
use crate::console::sheet::{Fact, Field, Sheet, Target, Tone};
use crate::display::time::ago;
use crate::wire::{
    CredentialDetail, CredentialId, CredentialRow, CredentialState, Environment, Role,
    RotationCause, RotationDetail, RotationRow, RotationState, VersionView,
};

/// The credential, as the list of credentials has it: what is changed is bound to what it says.
pub fn credential(id: CredentialId, shared: &Shared) -> Option<CredentialRow> {
    shared.fleet.get(shared.fleet.find(id)?)
}

/// The rotation of this credential that runs, if one does.
fn running(id: CredentialId, entries: &Entries) -> Option<&RotationRow> {
    let Some(Key::Rotation(key)) = entries.of(id) else {
        return None;
    };
    match entries.get(Key::Rotation(key))? {
        Item::Rotation(row) => Some(row),
        Item::Planned(_) => None,
    }
}

/// The entries for a credential, by how its rotation stands.
pub fn acts(row: &CredentialRow, entries: &Entries, shared: &Shared) -> Vec<Act> {
    let name = &row.name;
    let running = running(row.id, entries);
    let no_right = no_right(row, shared);
    let over = matches!(
        row.state,
        CredentialState::Revoked | CredentialState::Expired
    )
    .then(|| format!("{name} is {}: it has to be asked for anew", row.state));
    let rotate = over
        .clone()
        .or_else(|| running.map(|held| format!("one is under way already, {}", held.state)));
    let nothing = || Some(format!("no rotation of {name} is under way"));
    let promote = match running {
        None => nothing(),
        Some(held) if held.state.promoted() => Some("its newer version is in use already".into()),
        Some(held) if held.state == RotationState::Checking && held.step == 3 => None,
        Some(held) => Some(format!(
            "it is {}: its newer version has not passed its check",
            held.state
        )),
    };
    let back = match running {
        None => nothing(),
        Some(_) => None,
    };
    vec![
        Act {
            kind: ActKind::Rotate,
            effect: format!(
                "Have a newer version of {name} made, tried and handed over now; both are accepted meanwhile."
            ),
            refused: rotate.or_else(|| no_right.clone()),
        },
        Act {
            kind: ActKind::Promote,
            effect: format!(
                "Put the newer version of {name} into use, although nobody has taken it here."
            ),
            refused: promote.or_else(|| no_right.clone()),
        },
        Act {
            kind: ActKind::RollBack,
            effect: format!("Go back to the older version of {name}; the newer one goes."),
            refused: back.or(no_right),
        },
    ]
}

/// The entries where only the credential is at hand: whether a rotation runs is told by its versions.
pub fn of_credential(
    row: &CredentialRow,
    detail: Option<&CredentialDetail>,
    shared: &Shared,
) -> Vec<Act> {
    let newer = detail.is_some_and(|detail| {
        let accepted = |version: &VersionView| version.accepted && version.number > row.version;
        detail.versions.iter().any(accepted)
    });
    let overlaps = row.state == CredentialState::Rotating;
    let mut acts = acts(row, &Entries::default(), shared);
    acts.retain(|act| act.kind != ActKind::Promote);
    let no_right = no_right(row, shared);
    for act in &mut acts {
        match act.kind {
            ActKind::Rotate if overlaps || newer => {
                act.refused = Some("a newer version is under way already".into());
            }
            ActKind::RollBack if overlaps || newer => act.refused.clone_from(&no_right),
            _ => {}
        }
    }
    acts
}

fn no_right(row: &CredentialRow, shared: &Shared) -> Option<String> {
    (!shared.holds(row.environment, &[Role::Operator, Role::Admin]))
        .then(|| format!("needs the role operator or admin in {}", row.environment))
}

fn begin(what: &str, row: &CredentialRow, shared: &Shared) -> Vec<Fact> {
    let me = shared.session.as_ref().map_or("", |session| &session.name);
    let mut facts = vec![
        Fact::new("", format!("You are about to {what}, as {me}:")),
        Fact::new(
            "ON",
            format!(
                "{}   {} {} of {}",
                row.name, row.environment, row.kind, row.owner
            ),
        )
        .tone(Tone::Strong),
    ];
    if let Some(at) = row.last_used_at {
        let used = format!("it was last used {}", ago(at, shared.now));
        facts.push(Fact::new("", used));
    }
    facts
}

fn sheet(title: &str, verb: &str, row: &CredentialRow, facts: Vec<Fact>, action: Action) -> Sheet {
    let target = Target {
        action,
        name: row.name.clone(),
        sequence: row.sequence,
        sent: None,
    };
    Sheet::new(format!("{title}  {}", row.name), verb, vec![target]).facts(facts)
}

fn confirmed(sheet: Sheet, row: &CredentialRow) -> Sheet {
    if row.environment == Environment::Production {
        sheet.field(Field::confirm(&row.name))
    } else {
        sheet
    }
}

/// The sheet for an entry; none for what has none here. `detail` is the rotation's, where it is at hand.
pub fn open(
    kind: ActKind,
    row: &CredentialRow,
    entries: &Entries,
    detail: Option<&RotationDetail>,
    shared: &Shared,
) -> Option<Sheet> {
    match kind {
        ActKind::Rotate => Some(rotate(row, None, shared)),
        ActKind::Promote => Some(promote(row, running(row.id, entries), shared)),
        ActKind::RollBack => Some(roll_back(row, running(row.id, entries), detail, shared)),
        _ => None,
    }
}

/// The sheet that rotates it, because of `cause` if that is more than somebody's wish.
pub fn rotate(row: &CredentialRow, cause: Option<RotationCause>, shared: &Shared) -> Sheet {
    let mut facts = begin("ROTATE", row, shared);
    facts.extend([
        Fact::new(
            "THEN",
            format!(
                "a version newer than {} is made and tried; whoever uses it takes it, or it is put where it is read",
                row.version
            ),
        ),
        Fact::new(
            "MEANWHILE",
            format!("version {} is accepted as before: nobody is refused", row.version),
        ),
        Fact::new(
            "LATER",
            "the older version goes once nobody has used it for its set time, or at the hard stop",
        ),
        Fact::new("UNDO", "roll back while both are accepted"),
    ]);
    if cause == Some(RotationCause::Compromise) {
        let text = "it is known to somebody who should not know it: both are accepted for a short time only";
        facts.push(Fact::new("WHY", text).tone(Tone::Warn));
    }
    let action = Action::Rotate(row.id, cause);
    let sheet = sheet("ROTATE", "rotate", row, facts, action).field(Field::reason(true));
    confirmed(sheet, row)
}

fn promote(row: &CredentialRow, running: Option<&RotationRow>, shared: &Shared) -> Sheet {
    let mut facts = begin("PUT THE NEWER VERSION INTO USE", row, shared);
    let (from, to) = running.map_or((row.version, None), |held| (held.from, held.to));
    let to = to.map_or_else(
        || "the newer version".to_owned(),
        |to| format!("version {to}"),
    );
    facts.extend([
        Fact::new("THEN", format!("{to} is in use; version {from} is accepted beside it for a while")),
        Fact::new(
            "BUT",
            format!("nobody has taken {to} here: whoever needs it must have it by another way, or fails once version {from} goes"),
        )
        .tone(Tone::Warn),
        Fact::new("UNDO", "roll back while both are accepted"),
    ]);
    // It takes no reason, so that its name is typed everywhere.
    sheet(
        "PROMOTE",
        "put into use",
        row,
        facts,
        Action::Promote(row.id),
    )
    .field(Field::confirm(&row.name))
}

fn roll_back(
    row: &CredentialRow,
    running: Option<&RotationRow>,
    detail: Option<&RotationDetail>,
    shared: &Shared,
) -> Sheet {
    let mut facts = begin("ROLL BACK", row, shared);
    let known = detail.filter(|detail| running.is_some_and(|held| held.id == detail.row.id));
    let then = match (known, running) {
        (Some(detail), _) => detail.undo.effect.clone(),
        (None, Some(held)) => format!("version {} is in use again; the newer one goes", held.from),
        (None, None) => "the older version is in use".into(),
    };
    facts.push(Fact::new("THEN", then));
    if let Some(detail) = known {
        let readers: Vec<_> = detail
            .readers
            .iter()
            .filter(|reader| Some(reader.version) == detail.row.to)
            .collect();
        if !readers.is_empty() {
            let names: Vec<&str> = readers
                .iter()
                .take(6)
                .map(|reader| reader.name.as_str())
                .collect();
            let text = format!(
                "{} use the newer version and are refused until they read the older one again: {}",
                readers.len(),
                names.join(", ")
            );
            facts.push(Fact::new("STOPS", text).tone(Tone::Warn));
        }
    }
    facts.push(Fact::new("UNDO", "rotate it again").tone(Tone::Plain));
    let action = Action::RollBack(row.id);
    let sheet = sheet("ROLL BACK", "roll back", row, facts, action).field(Field::reason(true));
    confirmed(sheet, row)
}
