//! `client`: the services that use credentials.

use clap::{Args, Subcommand};

use super::app::{App, settled};
use super::args::{ChangeArgs, ListArgs};
use super::error::CliError;
use super::{offboarding, template};
use crate::wire::{Environment, NewClient, Tier};

/// Verbs of `client`.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// All clients
    List(ListArgs),
    /// Bring a client in
    Add(Box<Add>),
    /// Bring a client in as a template says, with its first requests
    ///
    /// What is there already under the names that the template comes to is compared: applied twice it has
    /// one effect, and where something differs nothing is changed. --dry-run shows what it would do.
    ///
    /// For example: countersign client onboard internal-service --set name=checkout-api --set owner=payments
    Onboard(Box<template::Onboard>),
    /// Take a client out of service: what it holds is shown first, then revoked or handed over
    ///
    /// Its open requests are denied. Its credentials are revoked, or go over to the team of
    /// --hand-over-to and stay as they are. --dry-run shows what it holds and changes nothing.
    Offboard {
        /// The client's name or identifier
        #[arg(value_name = "CLIENT")]
        client: String,
        /// The team that answers for its credentials from now on, instead of revoking them
        #[arg(long, value_name = "TEAM")]
        hand_over_to: Option<String>,
        #[command(flatten)]
        change: ChangeArgs,
    },
}

/// Arguments of `client add`.
#[derive(Debug, Args)]
pub struct Add {
    /// A unique name: a-z 0-9 . _ / -
    #[arg(value_name = "NAME")]
    name: String,
    /// The team that answers for it
    #[arg(long, value_name = "TEAM")]
    owner: String,
    /// How to reach them
    #[arg(long, value_name = "TEXT", default_value = "")]
    contact: String,
    /// Where it runs: development, staging or production
    #[arg(long, value_name = "ENVIRONMENT")]
    env: Environment,
    /// How much harm its credentials could do: low, elevated, high or critical
    #[arg(long, value_name = "TIER")]
    tier: Tier,
    /// A service that stops when its credentials do; several in the order in which they must be updated
    #[arg(long = "dependent", value_name = "NAME")]
    dependents: Vec<String>,
    #[command(flatten)]
    change: ChangeArgs,
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
                let page = client.clients(&query).await;
                page.map_err(CliError::call("list clients"))
            })
            .await
        }
        Verb::Add(add) => {
            let client = app.connect_to_change().await?;
            let body = NewClient {
                name: add.name.clone(),
                owner: add.owner.clone(),
                contact: add.contact.clone(),
                environment: add.env,
                tier: add.tier,
                dependents: add.dependents.clone(),
            };
            let once = App::once(&add.change);
            if add.change.dry_run {
                return app.would_send("/v1/clients", &body, &once);
            }
            let outcome = client.add_client(&body, &once).await;
            let receipt = settled(outcome, format!("add client {}", add.name), &once)?.value;
            app.receipt(
                &format!("Added {} ({})", add.name, receipt.subject),
                &receipt,
            )
        }
        Verb::Onboard(args) => template::client(app, args).await,
        Verb::Offboard {
            client: name,
            hand_over_to,
            change,
        } => offboarding::client(app, name, hand_over_to.as_deref(), change).await,
    }
}
