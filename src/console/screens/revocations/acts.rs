//! What can be done about a revocation or a gateway, and the sheets that ask before it is.

use crate::console::command::ActKind;
use crate::console::effect::Action;
use crate::console::model::{Ctx, Shared};
use crate::console::screens::Act;
use crate::console::screens::credentials::acts::{fence, revoke, withdrawals};
use crate::console::sheet::{Fact, Field, Sheet, Target, Tone};
use crate::display::time::{ago, count};
use crate::wire::{CredentialRow, Environment, GatewayRow, RevocationRow, Role};

/// The credential that was revoked, as the list of credentials has it.
fn credential(row: &RevocationRow, shared: &Shared) -> Option<CredentialRow> {
    let place = shared.fleet.find(row.credential)?;
    shared.fleet.get(place)
}

/// What can be done about a revocation: to the credential that it is of.
pub fn on_revocation(row: &RevocationRow, shared: &Shared) -> Vec<Act> {
    let credential: Vec<_> = credential(row, shared).into_iter().collect();
    let mut acts = withdrawals(&credential, shared);
    acts.push(Act {
        kind: ActKind::Retry,
        effect: "Ask again whoever has not confirmed it.".into(),
        refused: Some(
            "the broker tries again by itself, through restarts, until everybody has confirmed"
                .into(),
        ),
    });
    acts
}

/// What can be done about a gateway.
pub fn on_gateway(row: &GatewayRow, shared: &Shared) -> Vec<Act> {
    let admin = shared.holds(row.environment, &[Role::Admin]);
    let refused = match row.removed_at {
        Some(_) => Some("it is out of service already".to_owned()),
        None => (!admin).then(|| format!("needs the role {} in {}", Role::Admin, row.environment)),
    };
    vec![Act {
        kind: ActKind::Fence,
        effect: format!(
            "Take {} out of service here: its tokens are void and no revocation waits for it.",
            row.name
        ),
        refused,
    }]
}

/// Opens the sheet for an entry of a revocation's menu.
pub fn open(row: &RevocationRow, kind: ActKind, ctx: &mut Ctx<'_>) {
    let Some(credential) = credential(row, ctx.shared) else {
        return;
    };
    let rows = [credential];
    let sheet = match kind {
        ActKind::Revoke => revoke(None, &rows, None, ctx.shared),
        ActKind::Fence => fence(None, &rows, ctx.shared),
        _ => return,
    };
    ctx.sheet(sheet);
}

/// The sheet that takes a gateway out of service.
pub fn remove(row: &GatewayRow, shared: &Shared) -> Sheet {
    let name = shared.session.as_ref().map_or("", |session| &session.name);
    let seen = row
        .seen_at
        .map_or_else(|| "never".to_owned(), |at| ago(at, shared.now));
    let mut facts = vec![
        Fact::new(
            "",
            format!("You are about to TAKE A GATEWAY OUT OF SERVICE, as {name}:"),
        ),
        Fact::new(
            "ON",
            format!(
                "{}   {} {}, last heard of {seen}",
                row.name, row.environment, row.profile
            ),
        )
        .tone(Tone::Strong),
        Fact::new(
            "THEN",
            "its tokens are void: it is told nothing more, and whoever it asks about is refused",
        ),
        Fact::new(
            "BUT",
            "what still runs there and decides by itself goes on doing so: cut it off from its traffic first",
        )
        .tone(Tone::Warn),
    ];
    if row.waiting > 0 {
        let text = format!(
            "{} revocations that it has not applied are no longer waited for; they stay marked as never applied there",
            count(row.waiting)
        );
        facts.push(Fact::new("WAITING", text).tone(Tone::Warn));
    }
    facts.push(Fact::new(
        "UNDO",
        "none: it is registered again, with a new token",
    ));
    let target = Target {
        action: Action::RemoveGateway(row.id),
        name: row.name.clone(),
        sequence: row.sequence,
        sent: None,
    };
    let sheet = Sheet::new(
        format!("OUT OF SERVICE  {}", row.name),
        "take out of service",
        vec![target],
    )
    .facts(facts)
    .field(Field::reason(true));
    if row.environment == Environment::Production {
        sheet.field(Field::confirm(&row.name))
    } else {
        sheet
    }
}
