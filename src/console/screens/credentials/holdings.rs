//! What a client holds, as a page to read before anybody takes it out of service. The page changes nothing; it ends
//! with the command that does.

use crate::client::holdings::lines::section;
use crate::console::model::{Ctx, Shared};
use crate::console::screens::held;
use crate::display::time::{ago, count};
use crate::wire::ClientHoldings;

/// The answer is there: it opens, unless something else was opened meanwhile, which stays.
pub fn opens(held: &ClientHoldings, ctx: &mut Ctx<'_>) {
    let title = format!("WHAT {} HOLDS", held.client.name);
    held::open(title, page(held, ctx.shared), ctx);
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
    let mut section = |title, rows, total| section(&mut lines, title, rows, total);
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
            "Living credentials: {}, which its leaving revokes or hands over",
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
        format!("Open requests: {}, which its leaving denies", count(total)),
        rows.collect(),
        total,
    );
    let rows: Vec<String> = held
        .accounts
        .iter()
        .map(|account| {
            let what = if account.robot { "robot" } else { "person" };
            format!("  {}  {what}, tokens: {}", account.name, account.tokens)
        })
        .collect();
    let total = rows.len() as u64;
    section(
        format!("Accounts that act for it: {}, which stay", count(total)),
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
            "Services that stop when its credentials do: {}",
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::console::effect::{Call, Effect};
    use crate::console::event::{Event, Reply};
    use crate::console::fixture::{answer, credential, credentials, model, now, over, press};
    use crate::console::model::Model;
    use crate::console::screens::ScreenId;
    use crate::console::update::update;
    use crate::wire::{ClientRow, Environment, Tier, holdings::ActingAccount};

    /// With the cursor on pg-ledger-rw and its detail there.
    fn ledger() -> Model {
        let mut model = model((120, 40), ScreenId::Credentials);
        let calls = &mut model.shared.calls;
        calls.retain(|(_, call)| matches!(call, Call::Credential(_)));
        press(&mut model, "/pg-ledger<enter>");
        // One detail is asked for at a time: the one before first.
        while let Some((_, Call::Credential(id))) = model.shared.calls.last().cloned() {
            let mut known = credential();
            if id != known.row.id {
                let mut rows = credentials().into_iter();
                known.row = rows.find(|row| row.id == id).expect("a row of the sample");
            }
            let reply = Reply::Credential(Box::new(known));
            answer(&mut model, &Call::Credential(id), reply);
            update(&mut model, &Event::Tick(now()));
        }
        model
    }

    #[test]
    fn what_a_client_holds_opens_when_the_answer_is_there() {
        let mut model = ledger();
        press(&mut model, "o");
        assert!(
            over(&model).contains("5 holdings  all that ledger-api holds"),
            "{}",
            over(&model)
        );
        let effects = press(&mut model, "5");
        let id = credential().client_id;
        let call = Call::ClientHoldings(id);
        assert!(
            effects
                .iter()
                .any(|effect| matches!(effect, Effect::Call(_, asked) if *asked == call)),
            "{effects:?}"
        );
        assert!(model.overlay.is_none(), "nothing opens before the answer");
        let held = ClientHoldings {
            client: ClientRow {
                id,
                name: "ledger-api".into(),
                owner: "payments".into(),
                contact: String::new(),
                environment: Environment::Production,
                tier: Tier::High,
                dependents: vec!["invoices".into()],
                credentials: 0,
                offboarded_at: None,
                sequence: 7,
            },
            credentials: Vec::new(),
            credentials_total: 1_200,
            requests: Vec::new(),
            requests_total: 0,
            accounts: vec![ActingAccount {
                id: "opr_01jd9x2m3v5qk7w8y6z4t0r1bc".parse().unwrap(),
                name: "svc-ledger".into(),
                robot: true,
                tokens: 2,
            }],
            sequence: 918_204,
        };
        let reply = || Reply::ClientHoldings(Box::new(held.clone()));
        answer(&mut model, &call, reply());
        let said = over(&model);
        for line in [
            "WHAT ledger-api HOLDS",
            "Living credentials: 1,200",
            "and 1,200 more",
            "Open requests: 0",
            "robot, tokens: 2",
            "invoices",
            "countersign client offboard ledger-api",
        ] {
            assert!(said.contains(line), "{line} is not in\n{said}");
        }

        // What was opened meanwhile stays.
        press(&mut model, "<esc>o5o");
        answer(&mut model, &call, reply());
        assert!(over(&model).contains("WHAT BELONGS TO"), "{}", over(&model));
    }
}
