//! What somebody holds, in lines of text: the same in the console and on the command line.

use super::{Held, Part};
use crate::display::time::{ago, count};
use crate::wire::{OperatorHoldings, ReviewRow, Role};
use chrono::{DateTime, Utc};

/// A heading, its rows, and how many more there are.
pub fn section(lines: &mut Vec<String>, title: String, rows: Vec<String>, total: u64) {
    lines.push(String::new());
    lines.push(title);
    let more = total.saturating_sub(rows.len() as u64);
    lines.extend(rows);
    if more > 0 {
        lines.push(format!("  and {} more", count(more)));
    }
}

impl Held {
    /// The page in lines, in the order in which somebody asks: who it is, how they get in, what waits on them, what they
    /// answer for.
    pub fn lines(&self, now: DateTime<Utc>) -> Vec<String> {
        let mut lines = Vec::new();
        match &self.account {
            Some(account) => person(account, &mut lines, now),
            None => lines.push(format!(
                "No account is called {}: it is a team, or was one.",
                self.name
            )),
        }
        owned(self, &mut lines, now);
        lines
    }
}

fn person(account: &OperatorHoldings, lines: &mut Vec<String>, now: DateTime<Utc>) {
    let row = &account.operator;
    let what = if row.robot { "a robot" } else { "a person" };
    let known = match row.display_name.as_str() {
        "" => String::new(),
        name => format!(", {name}"),
    };
    lines.push(format!("{}{known}: {what}.", row.name));
    if let Some(at) = row.offboarded_at {
        lines.push(format!("The account was closed {}.", ago(at, now)));
    }
    if let Some(client) = row.client {
        lines.push(format!("It acts for the client {client}."));
    }
    let roles = row.roles.iter().filter(|(_, held)| !held.is_empty());
    let roles: Vec<String> = roles
        .map(|(environment, held)| {
            let words: Vec<&str> = held.iter().copied().map(Role::as_str).collect();
            format!("  {environment}: {}", words.join(", "))
        })
        .collect();
    let total = roles.len() as u64;
    section(
        lines,
        format!("Roles in {total} environments"),
        roles,
        total,
    );
    let groups: Vec<String> = row
        .groups
        .iter()
        .map(|group| format!("  {group}"))
        .collect();
    let total = groups.len() as u64;
    section(lines, format!("Groups: {total}"), groups, total);
    let keys: Vec<String> = row
        .keys
        .iter()
        .map(|key| {
            let hardware = if key.hardware { ", in hardware" } else { "" };
            let counts = match key.valid_from {
                Some(at) => format!("counts since {}", ago(at, now)),
                None => "waits for a second admin".to_owned(),
            };
            format!("  {}{hardware}, {counts}", key.fingerprint)
        })
        .collect();
    let total = keys.len() as u64;
    section(lines, format!("SSH keys: {total}"), keys, total);
    let tokens: Vec<String> = row
        .tokens
        .iter()
        .map(|token| {
            let what = if token.key.is_some() {
                "session"
            } else {
                "token"
            };
            format!(
                "  {}  {what}, ends {}",
                token.id,
                ago(token.expires_at, now)
            )
        })
        .collect();
    let total = tokens.len() as u64;
    section(
        lines,
        format!("Tokens and sessions: {total}"),
        tokens,
        total,
    );
    let rows = account.requests.iter().map(|row| {
        let asked = ago(row.submitted_at, now);
        let place = row.environment;
        format!(
            "  {} in {place}  {}, asked {asked}",
            row.credential, row.state
        )
    });
    let total = account.requests_total;
    section(
        lines,
        format!("Open requests of theirs: {}", count(total)),
        rows.collect(),
        total,
    );
    let given: Vec<String> = account
        .approvals
        .iter()
        .map(|given| {
            let at = ago(given.at, now);
            format!(
                "  {} in {}, given {at}",
                given.credential, given.environment
            )
        })
        .collect();
    let total = given.len() as u64;
    section(
        lines,
        format!("Approvals of theirs that count on what is not made yet: {total}"),
        given,
        total,
    );
    if !account.alone_in.is_empty() {
        lines.push(String::new());
        lines.push(format!(
            "Nobody else stands for {}: {} living credentials would be left with no one.",
            account.alone_in.join(", "),
            count(account.credentials_total)
        ));
    }
}

fn owned(held: &Held, lines: &mut Vec<String>, now: DateTime<Utc>) {
    let owners = held.owners.join(", ");
    let Part { rows, total } = &held.reviews;
    section(
        lines,
        format!("Access reviews due of {owners}: {}", count(*total)),
        rows.iter().map(|row| review(row, now)).collect(),
        *total,
    );
    let Part { rows, total } = &held.clients;
    let rows = rows.iter().map(|row| {
        let living = count(row.credentials);
        format!(
            "  {} in {}  tier {}, living credentials: {living}",
            row.name, row.environment, row.tier
        )
    });
    section(
        lines,
        format!("Clients that {owners} answers for: {}", count(*total)),
        rows.collect(),
        *total,
    );
    let Part { rows, total } = &held.credentials;
    let rows = rows.iter().map(|row| {
        let end = row
            .expires_at
            .map_or_else(|| "never".to_owned(), |at| ago(at, now));
        let used = row
            .last_used_at
            .map_or_else(|| "unknown".to_owned(), |at| ago(at, now));
        format!(
            "  {} in {}  {}, ends {end}, last used {used}",
            row.name, row.environment, row.state
        )
    });
    section(
        lines,
        format!(
            "Living credentials that {owners} answers for: {}",
            count(*total)
        ),
        rows.collect(),
        *total,
    );
}

/// A line about one access review.
pub fn review(row: &ReviewRow, now: DateTime<Utc>) -> String {
    let (due, used) = (
        ago(row.due_at, now),
        row.last_used_at
            .map_or_else(|| "unknown".to_owned(), |at| ago(at, now)),
    );
    format!(
        "  {} in {}  owner {}, {} {due}, last used {used}",
        row.name, row.environment, row.owner, row.state
    )
}
