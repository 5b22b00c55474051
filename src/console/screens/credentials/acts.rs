//! What can be done with a credential, and the sheets that ask before it is.

use super::Credentials;
use crate::console::command::ActKind;
use crate::console::effect::Action;
use crate::console::model::{Choice, Ctx, Menu, MenuEntry, Overlay, Shared};
use crate::console::screens::Act;
use crate::console::screens::rotation::acts as rotation;
use crate::console::screens::rotation::entries::Entries;
use crate::console::sheet::{Fact, Field, Sheet, Target, Tone};
use crate::display::time::ago;
use crate::wire::{CredentialDetail, CredentialRow, CredentialState, Environment, Role};

/// Why the person may not do it in one of the environments.
fn no_right(rows: &[CredentialRow], roles: &[Role], shared: &Shared) -> Option<String> {
    let missing = rows
        .iter()
        .find(|row| !shared.holds(row.environment, roles))?;
    let words: Vec<_> = roles.iter().map(|role| role.as_str()).collect();
    Some(format!(
        "needs the role {} in {}",
        words.join(" or "),
        missing.environment
    ))
}

fn count(rows: &[CredentialRow]) -> String {
    match rows {
        [one] => one.name.clone(),
        many => format!("{} credentials", many.len()),
    }
}

/// The entries for what the cursor or the marks are on.
pub fn acts(screen: &Credentials, shared: &Shared) -> Vec<Act> {
    let rows = screen.targets(shared);
    let mut acts = withdrawals(&rows, shared);
    // Several are rotated in an order of their own, which the command line knows.
    if let [row] = rows.as_slice() {
        acts.extend(rotation::of_credential(
            row,
            screen.detail_of(row.id),
            shared,
        ));
    }
    acts
}

/// The entries that withdraw `rows`, for good or until somebody lifts the fence.
pub fn withdrawals(rows: &[CredentialRow], shared: &Shared) -> Vec<Act> {
    if rows.is_empty() {
        return Vec::new();
    }
    let name = count(rows);
    let operators = no_right(rows, &[Role::Operator, Role::Admin], shared);
    let ended = rows
        .iter()
        .find(|row| row.state == CredentialState::Revoked);
    let ended = ended.map(|row| format!("{} is revoked already", row.name));
    let fenced = rows
        .iter()
        .all(|row| row.state == CredentialState::Quarantined);
    let some_fenced = rows
        .iter()
        .any(|row| row.state == CredentialState::Quarantined);
    let mut acts = vec![Act {
        kind: ActKind::Revoke,
        effect: format!(
            "Withdraw {name} for good, or one version of it. It is refused at once; it cannot be undone."
        ),
        refused: ended.clone().or_else(|| operators.clone()),
    }];
    acts.push(if fenced {
        Act {
            kind: ActKind::Fence,
            effect: format!("Lift the fence: {name} is accepted again."),
            refused: no_right(rows, &[Role::Admin], shared),
        }
    } else {
        Act {
            kind: ActKind::Fence,
            effect: format!("Refuse every version of {name} until somebody lifts the fence again."),
            refused: ended.or(operators).or_else(|| {
                some_fenced.then(|| {
                    "some of the marked are fenced already: mark only such, or none".into()
                })
            }),
        }
    });
    acts
}

/// Opens the sheet for an entry.
pub fn open(screen: &Credentials, kind: ActKind, version: Option<u32>, ctx: &mut Ctx<'_>) {
    let rows = screen.targets(ctx.shared);
    match (kind, rows.as_slice()) {
        (_, []) => {}
        (ActKind::Revoke, [one]) if version.is_none() && one.accepted > 1 => {
            *ctx.overlay = Some(Overlay::Menu(which_version(screen, one)));
        }
        (ActKind::Revoke, _) => {
            // Version 0 stands for the whole, chosen in the menu; no version has that number.
            let version = version.filter(|number| *number > 0);
            let sheet = revoke(known(screen, &rows), &rows, version, ctx.shared);
            ctx.sheet(sheet);
        }
        (ActKind::Fence, _) => {
            let sheet = fence(known(screen, &rows), &rows, ctx.shared);
            ctx.sheet(sheet);
        }
        (ActKind::Rotate | ActKind::RollBack, [row]) => {
            let sheet = rotation::open(kind, row, &Entries::default(), None, ctx.shared);
            if let Some(sheet) = sheet {
                ctx.sheet(sheet);
            }
        }
        _ => {}
    }
}

/// What is known in full of the one that is meant.
fn known<'a>(screen: &'a Credentials, rows: &[CredentialRow]) -> Option<&'a CredentialDetail> {
    let [row] = rows else { return None };
    screen.detail_of(row.id)
}

fn which_version(screen: &Credentials, row: &CredentialRow) -> Menu {
    let mut entries = vec![MenuEntry {
        key: 'w',
        label: "the whole".into(),
        note: format!(
            "all {} accepted versions, and the name for good",
            row.accepted
        ),
        refused: None,
        does: Choice::ActOn(ActKind::Revoke, 0),
    }];
    let versions = screen
        .detail_of(row.id)
        .map(|detail| detail.versions.as_slice());
    let accepted = versions
        .unwrap_or_default()
        .iter()
        .filter(|version| version.accepted);
    for (version, key) in accepted.zip('1'..='9') {
        entries.push(MenuEntry {
            key,
            label: format!("version {}", version.number),
            note: format!("{}; the others stay", version.state),
            refused: None,
            does: Choice::ActOn(ActKind::Revoke, version.number),
        });
    }
    Menu {
        title: format!("REVOKE WHAT OF {}", row.name),
        entries,
        cursor: None,
    }
}

fn sheet(
    title: &str,
    verb: &str,
    rows: &[CredentialRow],
    facts: Vec<Fact>,
    action: impl Fn(&CredentialRow) -> Action,
) -> Sheet {
    let targets = rows.iter().map(|row| Target {
        action: action(row),
        name: row.name.clone(),
        sequence: row.sequence,
        sent: None,
    });
    let mut sheet = Sheet::new(format!("{title}  {}", count(rows)), verb, targets.collect());
    sheet.facts = facts;
    let sheet = sheet.field(Field::reason(true));
    let production = rows
        .iter()
        .any(|row| row.environment == Environment::Production);
    if production {
        sheet.field(Field::confirm(&count(rows)))
    } else {
        sheet
    }
}

fn who(shared: &Shared, what: &str) -> Fact {
    let name = shared.session.as_ref().map_or("", |session| &session.name);
    Fact::new("", format!("You are about to {what}, as {name}:"))
}

fn on(rows: &[CredentialRow], shared: &Shared) -> Vec<Fact> {
    let mut facts: Vec<Fact> = rows
        .iter()
        .map(|row| {
            let text = format!(
                "{}   {} {} of {}",
                row.name, row.environment, row.kind, row.owner
            );
            Fact::new("ON", text).tone(Tone::Strong)
        })
        .collect();
    let hour = chrono::TimeDelta::hours(1);
    for row in rows {
        if let Some(at) = row.last_used_at.filter(|at| shared.now - *at < hour) {
            let text = format!("{} is in use: last {}", row.name, ago(at, shared.now));
            facts.push(Fact::new("", text).tone(Tone::Warn));
        }
    }
    facts
}

fn dependents(detail: Option<&CredentialDetail>) -> Option<Fact> {
    let detail = detail?;
    (!detail.dependents.is_empty())
        .then(|| Fact::new("STOPS", detail.dependents.join(", ")).tone(Tone::Warn))
}

/// The sheet that withdraws for good.
pub fn revoke(
    detail: Option<&CredentialDetail>,
    rows: &[CredentialRow],
    version: Option<u32>,
    shared: &Shared,
) -> Sheet {
    let mut facts = vec![who(shared, "REVOKE")];
    facts.extend(on(rows, shared));
    facts.push(match version {
        Some(number) => Fact::new(
            "WHAT",
            format!("version {number} only; the others stay accepted"),
        ),
        None => Fact::new("WHAT", "every version, and the name for good"),
    });
    facts.push(Fact::new("THEN", "the broker refuses it from that moment; the issuer withdraws it next, and is asked until it has"));
    facts.extend(dependents(detail));
    facts.push(Fact::new("UNDO", "none: a new credential has to be asked for").tone(Tone::Warn));
    sheet("REVOKE", "revoke", rows, facts, |row| {
        Action::Revoke(row.id, version)
    })
}

/// The sheet that refuses every version until it is lifted, or lifts that.
pub fn fence(detail: Option<&CredentialDetail>, rows: &[CredentialRow], shared: &Shared) -> Sheet {
    if rows
        .iter()
        .all(|row| row.state == CredentialState::Quarantined)
    {
        let mut facts = vec![who(shared, "LIFT THE FENCE")];
        facts.extend(on(rows, shared));
        facts.push(Fact::new(
            "THEN",
            "every version that has not ended is accepted again at once",
        ));
        facts.push(Fact::new("UNDO", "fence it again"));
        return sheet("LIFT FENCE", "lift the fence", rows, facts, |row| {
            Action::Release(row.id)
        });
    }
    let mut facts = vec![who(shared, "FENCE")];
    facts.extend(on(rows, shared));
    facts.push(Fact::new(
        "THEN",
        "the broker refuses every version at once; nothing is withdrawn at the issuer",
    ));
    facts.extend(dependents(detail));
    facts.push(Fact::new(
        "UNDO",
        "an admin lifts the fence, and it is accepted again",
    ));
    sheet("FENCE", "fence", rows, facts, |row| {
        Action::Quarantine(row.id)
    })
}
