//! `client offboard` and `operator offboard`: what somebody holds is shown before it is taken away.

use serde::Serialize;

use super::app::{App, settled};
use super::args::{ChangeArgs, Format};
use super::error::CliError;
use super::output::{self, Sheet, Style};
use crate::wire::{ClientHoldings, HeldCredential, Offboard, OperatorHoldings, RequestRow};

/// Takes a client out of service.
///
/// # Errors
/// Why it was not done.
pub async fn client(
    app: &mut App<'_>,
    name: &str,
    hand_over_to: Option<&str>,
    change: &ChangeArgs,
) -> Result<(), CliError> {
    let client = app.connect_to_change().await?;
    let id = app.client(&client, name).await?.id;
    let holdings = client.client_holdings(id).await;
    let holdings = holdings.map_err(CliError::call(format!("show what {name} holds")))?;
    let holdings = holdings.value;
    let name = holdings.client.name.clone();
    if change.dry_run {
        return print(app, &holdings, hand_over_to, |style| {
            client_sheet(&holdings, hand_over_to, style)
        });
    }
    tell(app, |style| client_sheet(&holdings, hand_over_to, style))?;
    app.confirm(change, &format!("{name} is taken out of service"), &name)?;
    let leaving = leaving(app, hand_over_to, change)?;
    let once = App::once(change);
    let outcome = client.offboard_client(id, &leaving, &once).await;
    let receipt = settled(outcome, format!("offboard {name}"), &once)?.value;
    app.receipt(&format!("Offboarded {name}"), &receipt)
}

/// Closes an account.
///
/// # Errors
/// Why it was not done.
pub async fn operator(
    app: &mut App<'_>,
    name: &str,
    hand_over_to: Option<&str>,
    change: &ChangeArgs,
) -> Result<(), CliError> {
    let client = app.connect_to_change().await?;
    let id = app.operator(&client, name).await?.id;
    let holdings = client.operator_holdings(id).await;
    let holdings = holdings.map_err(CliError::call(format!("show what {name} holds")))?;
    let holdings = holdings.value;
    let name = holdings.operator.name.clone();
    if change.dry_run {
        return print(app, &holdings, hand_over_to, |style| {
            operator_sheet(&holdings, hand_over_to, style)
        });
    }
    tell(app, |style| operator_sheet(&holdings, hand_over_to, style))?;
    app.confirm(change, &format!("The account of {name} is closed"), &name)?;
    let leaving = leaving(app, hand_over_to, change)?;
    let once = App::once(change);
    let outcome = client.offboard_operator(id, &leaving, &once).await;
    let receipt = settled(outcome, format!("offboard {name}"), &once)?.value;
    app.receipt(&format!("Offboarded {name}"), &receipt)
}

fn leaving(
    app: &mut App<'_>,
    hand_over_to: Option<&str>,
    change: &ChangeArgs,
) -> Result<Offboard, CliError> {
    Ok(Offboard {
        reason: app.reason(change)?,
        hand_over_to: hand_over_to.map(str::to_owned),
    })
}

/// What `--dry-run` prints.
#[derive(Serialize)]
struct Plan<'a, T> {
    dry_run: bool,
    hand_over_to: Option<&'a str>,
    holdings: &'a T,
}

/// The plan, as the output of a dry run.
fn print<T: Serialize>(
    app: &mut App<'_>,
    holdings: &T,
    hand_over_to: Option<&str>,
    sheet: impl Fn(&Style) -> String,
) -> Result<(), CliError> {
    let style = app.style();
    match style.format {
        Format::Table | Format::Csv => app.io.out.write_all(sheet(&style).as_bytes())?,
        format => {
            let plan = Plan {
                dry_run: true,
                hand_over_to,
                holdings,
            };
            output::write_json(&mut *app.io.out, &plan, format == Format::Json)?;
            app.io.out.write_all(b"\n")?;
        }
    }
    Ok(())
}

/// The plan, beside the output, before anybody is asked.
fn tell(app: &mut App<'_>, sheet: impl Fn(&Style) -> String) -> Result<(), CliError> {
    let style = Style {
        format: Format::Table,
        ..app.style()
    };
    app.io.err.write_all(sheet(&style).as_bytes())?;
    Ok(())
}

fn client_sheet(holdings: &ClientHoldings, hand_over_to: Option<&str>, style: &Style) -> String {
    let mut sheet = Sheet::default();
    let client = &holdings.client;
    sheet.section(&format!("{} in {}", client.name, client.environment));
    sheet.fact("owner", &client.owner);
    if let Some(team) = hand_over_to.filter(|team| *team != client.owner) {
        sheet.fact("handed over to", team);
    }
    if let Some(at) = client.offboarded_at {
        sheet.fact("out of service", style.full(at));
    }
    let then = match hand_over_to {
        Some(team) => format!("handed over to {team}, and stay as they are"),
        None => "revoked at once, for good".to_owned(),
    };
    credentials(
        &mut sheet,
        &holdings.credentials,
        holdings.credentials_total,
        &then,
        style,
    );
    requests(
        &mut sheet,
        &holdings.requests,
        holdings.requests_total,
        "denied",
        style,
    );
    if !holdings.accounts.is_empty() {
        sheet.section("Accounts that act for it: they stay, and can ask for nothing any more");
        for account in &holdings.accounts {
            let what = if account.robot { "robot" } else { "person" };
            sheet.line(&format!(
                "  {}  {what}, tokens: {}",
                account.name, account.tokens
            ));
        }
    }
    if !client.dependents.is_empty() {
        sheet.section("Depend on it, in the order in which they must be updated");
        for dependent in &client.dependents {
            sheet.line(&format!("  {dependent}"));
        }
    }
    sheet.finish()
}

fn operator_sheet(
    holdings: &OperatorHoldings,
    hand_over_to: Option<&str>,
    style: &Style,
) -> String {
    let mut sheet = Sheet::default();
    let operator = &holdings.operator;
    sheet.section(&format!("The account of {}", operator.name));
    sheet.fact("roles", super::rows::roles(&operator.roles));
    let groups: Vec<&str> = operator.groups.iter().map(String::as_str).collect();
    sheet.fact("groups", groups.join(" "));
    if let Some(at) = operator.offboarded_at {
        sheet.fact("closed", style.full(at));
    }
    if !operator.keys.is_empty() {
        sheet.section("Keys: taken out of use");
        for key in &operator.keys {
            sheet.line(&format!("  {}", key.fingerprint));
        }
    }
    if !operator.tokens.is_empty() {
        sheet.section("Tokens and sessions: they stop working");
        for token in &operator.tokens {
            let what = if token.key.is_some() {
                "session"
            } else {
                "token"
            };
            let end = style.moment(token.expires_at);
            sheet.line(&format!("  {}  {what}, ends {end}", token.id));
        }
    }
    requests(
        &mut sheet,
        &holdings.requests,
        holdings.requests_total,
        "withdrawn",
        style,
    );
    if !holdings.approvals.is_empty() {
        sheet.section("Approvals of what is not made yet: they no longer count");
        for given in &holdings.approvals {
            let at = style.moment(given.at);
            sheet.line(&format!(
                "  {}  {} in {}, {at}",
                given.request, given.credential, given.environment
            ));
        }
    }
    let then = match hand_over_to {
        Some(team) => format!("handed over to {team}"),
        None => format!(
            "left with {}, for which nobody else stands",
            holdings.alone_in.join(" and ")
        ),
    };
    credentials(
        &mut sheet,
        &holdings.credentials,
        holdings.credentials_total,
        &then,
        style,
    );
    sheet.finish()
}

fn credentials(sheet: &mut Sheet, rows: &[HeldCredential], total: u64, then: &str, style: &Style) {
    if total == 0 {
        sheet.section("Credentials: none");
        return;
    }
    sheet.section(&format!("Credentials: {total}, {then}"));
    for row in rows {
        let end = style.moment_or(row.expires_at, "never");
        let used = style.moment_or(row.last_used_at, "unknown");
        sheet.line(&format!(
            "  {}  {} {}, owner {}, ends {end}, last used {used}",
            row.name, row.environment, row.state, row.owner
        ));
    }
    rest(sheet, rows.len(), total);
}

fn requests(sheet: &mut Sheet, rows: &[RequestRow], total: u64, then: &str, style: &Style) {
    if total == 0 {
        sheet.section("Open requests: none");
        return;
    }
    sheet.section(&format!("Open requests: {total}, {then}"));
    for row in rows {
        let asked = style.moment(row.submitted_at);
        sheet.line(&format!(
            "  {}  {} in {}, {}, asked {asked} by {}",
            row.id, row.credential, row.environment, row.state, row.requester
        ));
    }
    rest(sheet, rows.len(), total);
}

fn rest(sheet: &mut Sheet, shown: usize, total: u64) {
    let more = total.saturating_sub(shown as u64);
    if more > 0 {
        sheet.line(&format!("  and {more} more"));
    }
}
