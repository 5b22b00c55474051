//! `operator`: the people and robots that sign in.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use clap::{Args, Subcommand};

use super::app::{App, settled};
use super::args::{ChangeArgs, Format, ListArgs, span};
use super::deliver::{DeliverArgs, Destination};
use super::error::CliError;
use super::key;
use super::minted;
use super::output::{self, Sheet};
use super::{offboarding, template};
use crate::wire::{Environment, Grant, NewOperator, NewToken, Receipt, Role, TokenId};

/// Verbs of `operator`.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// All accounts, with their roles, groups and tokens
    List(ListArgs),
    /// All that a person, a robot or a team holds and answers for
    ///
    /// Roles, groups, keys, tokens, open requests and standing approvals of the account; and of the owners that it
    /// stands for, its own name and its groups: access reviews that are due, clients and living credentials. A
    /// team's name shows the latter.
    ///
    /// For example: countersign operator show maya.k
    Show {
        /// The operator's handle, or a team's name
        #[arg(value_name = "NAME")]
        name: String,
    },
    /// Open an account, and mint its first token
    ///
    /// The token goes to the file of --out (mode 0600), or to standard output where that is not a
    /// terminal, or with --show. It is shown once; the broker keeps its digest only.
    ///
    /// For example: countersign operator add maya.k --role production:approver,viewer --group security --out maya.token
    Add(Box<Add>),
    /// Mint another token for an account
    Token(Token),
    /// Withdraw a token at once
    RevokeToken {
        #[command(flatten)]
        who: Who,
        /// The token's identifier, as `operator list -o json` prints it
        #[arg(value_name = "TOKEN")]
        token: TokenId,
        #[command(flatten)]
        change: ChangeArgs,
    },
    /// SSH keys: enrol, countersign, remove
    #[command(subcommand)]
    Key(key::Verb),
    /// Set the roles and groups of an account: those named here, and no others
    Grant {
        #[command(flatten)]
        who: Who,
        #[command(flatten)]
        roles: RoleArgs,
        #[command(flatten)]
        change: ChangeArgs,
    },
    /// Open an account as a template says, and mint its first token
    ///
    /// An account of that name is compared: applied twice it has one effect, and where something differs
    /// nothing is changed. The token goes where `operator add` puts it. Keys are enrolled afterwards, with
    /// `operator key add`.
    ///
    /// For example: countersign operator onboard approver --set name=tomo.s --out tomo.token
    Onboard(Box<template::OnboardOperator>),
    /// Close an account: what it holds is shown first, then withdrawn or handed over
    ///
    /// Its tokens, sessions and keys stop working, its open requests are withdrawn, and its approvals
    /// of what is not made yet no longer count. Credentials that nobody else stands for keep their owner
    /// unless --hand-over-to names another team. --dry-run shows what it holds and changes nothing.
    Offboard {
        #[command(flatten)]
        who: Who,
        /// The team that answers from now on for the credentials that nobody else stands for
        #[arg(long, value_name = "TEAM")]
        hand_over_to: Option<String>,
        #[command(flatten)]
        change: ChangeArgs,
    },
}

/// An operator.
#[derive(Debug, Args)]
pub struct Who {
    /// The operator's handle or identifier
    #[arg(value_name = "OPERATOR")]
    pub(super) operator: String,
}

/// Roles and groups.
#[derive(Debug, Args)]
pub struct RoleArgs {
    /// Roles in an environment, such as production:approver,viewer or all:viewer; may be given several
    /// times. Roles are viewer, requester, operator, approver, auditor and admin
    #[arg(long = "role", value_name = "ENVIRONMENT:ROLES", value_parser = role)]
    roles: Vec<RoleWord>,
    /// A group; may be given several times
    #[arg(long = "group", value_name = "GROUP")]
    groups: Vec<String>,
}

/// Arguments of `operator add`.
#[derive(Debug, Args)]
pub struct Add {
    /// The handle: a-z 0-9 . _ / -
    #[arg(value_name = "NAME")]
    name: String,
    /// The name as people write it
    #[arg(long, value_name = "NAME", default_value = "")]
    display_name: String,
    /// Not a person
    #[arg(long)]
    robot: bool,
    #[command(flatten)]
    roles: RoleArgs,
    /// The client that a requester acts for, by name or identifier
    #[arg(long, value_name = "CLIENT")]
    client: Option<String>,
    /// How long the token lives, up to 365d
    #[arg(long, value_name = "TIME", value_parser = span, default_value = "30d")]
    ttl: Duration,
    #[command(flatten)]
    deliver: DeliverArgs,
    #[command(flatten)]
    change: ChangeArgs,
}

/// Arguments of `operator token`.
#[derive(Debug, Args)]
pub struct Token {
    #[command(flatten)]
    who: Who,
    /// How long it lives, up to 365d
    #[arg(long, value_name = "TIME", value_parser = span, default_value = "30d")]
    ttl: Duration,
    #[command(flatten)]
    deliver: DeliverArgs,
    #[command(flatten)]
    change: ChangeArgs,
}

/// What one `--role` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoleWord {
    environments: Vec<Environment>,
    roles: Vec<Role>,
}

/// Parses `production:approver,viewer`, or `all:…` for every environment.
fn role(text: &str) -> Result<RoleWord, String> {
    let (environment, roles) = text.split_once(':').ok_or_else(|| {
        "expected ENVIRONMENT:ROLE[,ROLE…], such as production:approver,viewer".to_owned()
    })?;
    let environments = match environment {
        "all" => Environment::ALL.to_vec(),
        word => vec![
            word.parse()
                .map_err(|error| format!("{word:?} is {error}, or all"))?,
        ],
    };
    let roles = roles
        .split(',')
        .map(|word| word.parse().map_err(|error| format!("{word:?} is {error}")))
        .collect::<Result<_, _>>()?;
    Ok(RoleWord {
        environments,
        roles,
    })
}

impl RoleArgs {
    fn roles(&self) -> BTreeMap<Environment, BTreeSet<Role>> {
        let mut all: BTreeMap<_, BTreeSet<Role>> = BTreeMap::new();
        for word in &self.roles {
            for environment in &word.environments {
                all.entry(*environment).or_default().extend(&word.roles);
            }
        }
        all
    }

    fn groups(&self) -> BTreeSet<String> {
        self.groups.iter().cloned().collect()
    }
}

/// Runs a verb.
///
/// # Errors
/// Why it was not done.
pub async fn run(app: &mut App<'_>, verb: &Verb) -> Result<(), CliError> {
    match verb {
        Verb::List(args) => {
            let client = app.connect().await?;
            app.list(args, async |query| {
                let page = client.operators(&query).await;
                page.map_err(CliError::call("list operators"))
            })
            .await
        }
        Verb::Show { name } => show(app, name).await,
        Verb::Add(args) => add(app, args).await,
        Verb::Token(args) => token(app, args).await,
        Verb::RevokeToken { who, token, change } => revoke_token(app, who, *token, change).await,
        Verb::Key(verb) => key::run(app, verb).await,
        Verb::Grant { who, roles, change } => grant(app, who, roles, change).await,
        Verb::Onboard(args) => template::operator(app, args).await,
        Verb::Offboard {
            who,
            hand_over_to,
            change,
        } => offboarding::operator(app, &who.operator, hand_over_to.as_deref(), change).await,
    }
}

async fn show(app: &mut App<'_>, name: &str) -> Result<(), CliError> {
    let client = app.connect().await?;
    let held = client.held_by(name).await;
    let held = held.map_err(CliError::call(format!("show what {name} holds")))?;
    if held.is_nobody() {
        let (what, name) = ("operator", name.to_owned());
        return Err(CliError::NotFound { what, name });
    }
    let style = app.style();
    match style.format {
        Format::Table | Format::Csv => {
            let mut sheet = Sheet::default();
            for line in held.lines(style.now) {
                sheet.line(&line);
            }
            app.io.out.write_all(sheet.finish().as_bytes())?;
        }
        format => {
            output::write_json(&mut *app.io.out, &held, format == Format::Json)?;
            app.io.out.write_all(b"\n")?;
        }
    }
    Ok(())
}

async fn add(app: &mut App<'_>, args: &Add) -> Result<(), CliError> {
    let client = app.connect_to_change().await?;
    let holder = match &args.client {
        Some(name) => Some(app.client(&client, name).await?.id),
        None => None,
    };
    let body = NewOperator {
        name: args.name.clone(),
        display_name: args.display_name.clone(),
        robot: args.robot,
        groups: args.roles.groups(),
        roles: args.roles.roles(),
        client: holder,
        token_ttl_s: args.ttl.as_secs(),
    };
    let once = App::once(&args.change);
    if args.change.dry_run {
        return app.would_send("/v1/operators", &body, &once);
    }
    let destination = Destination::open(&args.deliver, app.io)?;
    let outcome = client.add_operator(&body, &once).await;
    let doing = format!("add operator {}", args.name);
    minted::put(app, destination, &args.deliver, outcome, &doing, &once)
}

async fn token(app: &mut App<'_>, args: &Token) -> Result<(), CliError> {
    let client = app.connect_to_change().await?;
    let found = app.operator(&client, &args.who.operator).await?;
    let body = NewToken {
        ttl_s: args.ttl.as_secs(),
    };
    let (id, once) = (found.id, App::once(&args.change));
    if args.change.dry_run {
        return app.would_send(&format!("/v1/operators/{id}/tokens"), &body, &once);
    }
    let destination = Destination::open(&args.deliver, app.io)?;
    let outcome = client.mint_token(id, &body, &once).await;
    let doing = format!("mint a token for {}", found.name);
    minted::put(app, destination, &args.deliver, outcome, &doing, &once)
}

async fn revoke_token(
    app: &mut App<'_>,
    who: &Who,
    token: TokenId,
    change: &ChangeArgs,
) -> Result<(), CliError> {
    let client = app.connect_to_change().await?;
    let found = app.operator(&client, &who.operator).await?;
    let effect = format!("Token {token} of {} stops working at once", found.name);
    app.confirm(change, &effect, &found.name)?;
    let (id, once) = (found.id, App::once(change));
    if change.dry_run {
        let path = format!("/v1/operators/{id}/tokens/{token}");
        return app.would_send_by("DELETE", &path, &(), &once);
    }
    let outcome = client.revoke_token(id, token, &once).await;
    let answer = settled(outcome, format!("revoke token {token}"), &once)?;
    let receipt = answer.value.unwrap_or_else(|| Receipt {
        subject: id.to_string(),
        sequence: answer.sequence.unwrap_or_default(),
        state: "open".to_owned(),
        dry_run: false,
    });
    app.receipt(
        &format!("Revoked token {token} of {}", found.name),
        &receipt,
    )
}

async fn grant(
    app: &mut App<'_>,
    who: &Who,
    roles: &RoleArgs,
    change: &ChangeArgs,
) -> Result<(), CliError> {
    let client = app.connect_to_change().await?;
    let found = app.operator(&client, &who.operator).await?;
    let body = Grant {
        roles: roles.roles(),
        groups: roles.groups(),
    };
    if body.roles.is_empty() {
        let effect = format!("{} is left without any role", found.name);
        app.confirm(change, &effect, &found.name)?;
    }
    let (id, once) = (found.id, App::once(change));
    if change.dry_run {
        return app.would_send(&format!("/v1/operators/{id}/grant"), &body, &once);
    }
    let outcome = client.grant(id, &body, &once).await;
    let receipt = settled(outcome, format!("set the roles of {}", found.name), &once)?.value;
    app.receipt(
        &format!("Set the roles and groups of {}", found.name),
        &receipt,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_are_read_per_environment() {
        let args = RoleArgs {
            roles: vec![
                role("all:viewer").unwrap(),
                role("production:approver,auditor").unwrap(),
            ],
            groups: vec!["security".into(), "security".into()],
        };
        assert_eq!(
            super::super::rows::roles(&args.roles()),
            "development:viewer staging:viewer production:viewer,approver,auditor"
        );
        assert_eq!(args.groups().len(), 1);
        for (bad, words) in [
            ("viewer", "expected ENVIRONMENT:ROLE"),
            (
                "prod:viewer",
                "expected one of development, staging, production, or all",
            ),
            ("production:boss", "expected one of viewer, requester"),
            ("production:", "expected one of viewer"),
        ] {
            assert!(role(bad).unwrap_err().contains(words), "{bad}");
        }
    }
}
