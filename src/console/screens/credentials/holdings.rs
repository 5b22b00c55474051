//! What a client holds, as a page to read before anybody takes it out of service. The page changes nothing; it ends
//! with the command that does.

use crate::console::event::Level;
use crate::console::model::{Ctx, Overlay, Shared};
use crate::display::time::{ago, count};
use crate::wire::ClientHoldings;

/// The answer is there: it opens, unless something else was opened meanwhile, which stays.
pub fn opens(held: &ClientHoldings, ctx: &mut Ctx<'_>) {
    if ctx.overlay.is_some() {
        let words = format!(
            "what {} holds can be shown now: ask again",
            held.client.name
        );
        return ctx.toast(Level::Info, words);
    }
    let title = format!("WHAT {} HOLDS", held.client.name);
    *ctx.overlay = Some(Overlay::Page(title, page(held, ctx.shared), 0));
}

/// The lines, in the order in which somebody asks: what works with it, what is asked for, who acts, who depends on it.
pub fn page(held: &ClientHoldings, shared: &Shared) -> Vec<String> {
    let now = shared.now;
    let client = &held.client;
    let mut lines = vec![format!(
        "{} in {}, tier {}; {} answers for it.",
        client.name, client.environment, client.tier, client.owner
    )];
    if let Some(at) = client.offboarded_at {
        lines.push(format!("It was taken out of service {}.", ago(at, now)));
    }
    let mut section = |title: String, rows: Vec<String>, total: u64| {
        lines.push(String::new());
        lines.push(title);
        let more = total.saturating_sub(rows.len() as u64);
        lines.extend(rows);
        if more > 0 {
            lines.push(format!("  and {} more", count(more)));
        }
    };
    let rows = held.credentials.iter().map(|row| {
        let end = row
            .expires_at
            .map_or_else(|| "never".to_owned(), |at| ago(at, now));
        let used = row
            .last_used_at
            .map_or_else(|| "unknown".to_owned(), |at| ago(at, now));
        format!(
            "  {}  {}, ends {end}, last used {used}",
            row.name, row.state
        )
    });
    let total = held.credentials_total;
    section(
        format!(
            "{} living credentials, which its leaving revokes or hands over:",
            count(total)
        ),
        rows.collect(),
        total,
    );
    let rows = held.requests.iter().map(|row| {
        let asked = ago(row.submitted_at, now);
        format!(
            "  {}  {}, asked {asked} by {}",
            row.credential, row.state, row.requester
        )
    });
    let total = held.requests_total;
    section(
        format!("{} open requests, which its leaving denies:", count(total)),
        rows.collect(),
        total,
    );
    let rows: Vec<String> = held
        .accounts
        .iter()
        .map(|account| {
            let what = if account.robot { "robot" } else { "person" };
            format!("  {}  {what}, {} tokens", account.name, account.tokens)
        })
        .collect();
    let total = rows.len() as u64;
    section(
        format!("{} accounts that act for it, which stay:", count(total)),
        rows,
        total,
    );
    let rows: Vec<String> = client
        .dependents
        .iter()
        .map(|name| format!("  {name}"))
        .collect();
    let total = rows.len() as u64;
    section(
        format!(
            "{} services that stop when its credentials do:",
            count(total)
        ),
        rows,
        total,
    );
    lines.push(String::new());
    lines.push(format!(
        "countersign client offboard {} [--hand-over-to TEAM] --reason …",
        client.name
    ));
    lines
}
