//! `gateway`: where credentials are accepted or refused, and how far each has come.

use std::io::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand, ValueHint};

use super::app::{App, Found, settled};
use super::args::{ChangeArgs, ListArgs, span};
use super::deliver::{DeliverArgs, Destination};
use super::error::CliError;
use super::minted;
use super::output;
use super::review;
use super::snippet::{self, Filling};
use crate::client::{Client, ListQuery};
use crate::wire::{
    Environment, GatewayId, GatewayRow, NewGateway, NewToken, Profile, Reason, Receipt, Route,
    TokenId,
};

/// Verbs of `gateway`.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// All gateways, and how far each has come with what was revoked
    List(ListArgs),
    /// One gateway
    Show {
        #[command(flatten)]
        which: Which,
    },
    /// Bring a gateway into service, and mint its first token
    ///
    /// The token goes to the file of --out (mode 0600), or to standard output where that is not a
    /// terminal, or with --show. `gateway config` prints what the gateway then needs.
    ///
    /// For example: countersign gateway add edge-fra-1 --profile nginx --env production --out edge.token
    Add(Box<Add>),
    /// Mint another token for a gateway; the one before works on
    Token {
        #[command(flatten)]
        which: Which,
        /// How long it lives, up to 365d
        #[arg(long, value_name = "TIME", value_parser = span, default_value = "90d")]
        ttl: Duration,
        #[command(flatten)]
        deliver: DeliverArgs,
        #[command(flatten)]
        change: ChangeArgs,
    },
    /// Withdraw a gateway's token at once
    RevokeToken {
        #[command(flatten)]
        which: Which,
        /// The token's identifier, as `gateway show` prints it
        #[arg(value_name = "TOKEN")]
        token: TokenId,
        #[command(flatten)]
        change: ChangeArgs,
    },
    /// Take a gateway out of service: its tokens are void, and no revocation waits for it
    Remove {
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        change: ChangeArgs,
    },
    /// Print the configuration that makes a gateway ask this broker
    ///
    /// Address, path and cache bound are filled in. With --gateway-token the output holds the token, and
    /// without it a mark where it belongs.
    Config {
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        filling: Fill,
    },
}

/// A gateway.
#[derive(Debug, Args)]
pub struct Which {
    /// The gateway's name or identifier
    #[arg(value_name = "GATEWAY")]
    gateway: String,
}

/// Arguments of `gateway add`.
#[derive(Debug, Args)]
pub struct Add {
    /// The name: a-z 0-9 . _ -
    #[arg(value_name = "NAME")]
    name: String,
    /// How it learns what is accepted: nginx, envoy, haproxy and introspection ask, a receiver is told
    #[arg(long, value_name = "PROFILE")]
    profile: Profile,
    /// Where it stands
    #[arg(long, value_name = "ENVIRONMENT")]
    env: Environment,
    /// An audience that it guards, all of them if left out; may be given several times
    #[arg(long = "audience", value_name = "AUDIENCE")]
    audiences: Vec<String>,
    /// A scope that calls need, such as /orders=orders:read or GET,HEAD:/orders=orders:read; may be given
    /// several times. With any, a path that none covers is refused
    #[arg(long = "route", value_name = "[METHODS:]PREFIX=SCOPE", value_parser = route)]
    routes: Vec<Route>,
    /// Within which time it should refuse what was revoked
    #[arg(long, value_name = "TIME", value_parser = span, default_value = "60s")]
    objective: Duration,
    /// For how long it may keep an answer; 0s to ask about every call
    #[arg(long, value_name = "TIME", value_parser = span, default_value = "0s")]
    cache: Duration,
    /// How long its token lives, up to 365d
    #[arg(long, value_name = "TIME", value_parser = span, default_value = "90d")]
    ttl: Duration,
    #[command(flatten)]
    deliver: DeliverArgs,
    #[command(flatten)]
    change: ChangeArgs,
}

/// What only whoever runs the gateway knows.
#[derive(Debug, Args)]
pub struct Fill {
    /// Where the gateway listens
    #[arg(long, value_name = "ADDRESS", default_value = "0.0.0.0:8080")]
    listen: String,
    /// What it passes allowed calls to
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:3000")]
    upstream: String,
    /// The file that holds the gateway's token
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    gateway_token: Option<PathBuf>,
    /// Print the Lua script that goes with HAProxy's configuration
    #[arg(long, conflicts_with = "gateway_token")]
    lua: bool,
}

/// Parses `[METHOD,METHOD:]/prefix=scope`.
fn route(text: &str) -> Result<Route, String> {
    let expected =
        "expected PREFIX=SCOPE or METHODS:PREFIX=SCOPE, such as GET,HEAD:/orders=orders:read";
    let slash = text.find('/').ok_or(expected)?;
    let (methods, rest) = text.split_at(slash);
    let methods = match methods.strip_suffix(':') {
        Some(methods) => methods.split(',').map(str::to_owned).collect(),
        None if methods.is_empty() => Vec::new(),
        None => return Err(expected.to_owned()),
    };
    let (prefix, scope) = rest.split_once('=').ok_or(expected)?;
    Ok(Route {
        prefix: prefix.to_owned(),
        methods,
        scope: scope.to_owned(),
    })
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
                let page = client.gateways(&query).await;
                page.map_err(CliError::call("list gateways"))
            })
            .await
        }
        Verb::Show { which } => {
            let client = app.connect().await?;
            let row = find(&client, &which.gateway).await?;
            let style = app.style();
            output::one(&mut *app.io.out, style, &row, &row, |style| {
                review::gateway(&row, style)
            })?;
            Ok(())
        }
        Verb::Add(args) => add(app, args).await,
        Verb::Token {
            which,
            ttl,
            deliver,
            change,
        } => token(app, which, *ttl, deliver, change).await,
        Verb::RevokeToken {
            which,
            token,
            change,
        } => revoke_token(app, which, *token, change).await,
        Verb::Remove { which, change } => remove(app, which, change).await,
        Verb::Config { which, filling } => config(app, which, filling).await,
    }
}

/// The gateway of this name, one in service before one that is not, or of this identifier.
async fn find(client: &Client, wanted: &str) -> Result<GatewayRow, CliError> {
    let doing = format!("find gateway {wanted}");
    if let Ok(id) = wanted.parse::<GatewayId>() {
        let row = client.gateway(id).await;
        return Ok(row.map_err(CliError::call(doing))?.value);
    }
    let query = ListQuery {
        filter: Some(format!("name={wanted:?}")),
        ..ListQuery::default()
    };
    let page = client.gateways(&query).await;
    let mut rows = page.map_err(CliError::call(doing))?.value.items;
    rows.sort_by_key(|row| row.removed_at.is_some());
    rows.into_iter()
        .find(|row| row.name == wanted)
        .ok_or_else(|| CliError::NotFound {
            what: "gateway",
            name: wanted.to_owned(),
        })
}

async fn start(app: &mut App<'_>, which: &Which) -> Result<(Client, Found<GatewayId>), CliError> {
    let client = app.connect_to_change().await?;
    let row = find(&client, &which.gateway).await?;
    let found = Found {
        id: row.id,
        name: row.name,
    };
    Ok((client, found))
}

async fn add(app: &mut App<'_>, args: &Add) -> Result<(), CliError> {
    let client = app.connect_to_change().await?;
    let body = NewGateway {
        name: args.name.clone(),
        profile: args.profile,
        environment: args.env,
        audiences: args.audiences.clone(),
        routes: args.routes.clone(),
        objective_s: args.objective.as_secs(),
        cache_s: args.cache.as_secs(),
        token_ttl_s: args.ttl.as_secs(),
    };
    let once = App::once(&args.change);
    if args.change.dry_run {
        return app.would_send("/v1/gateways", &body, &once);
    }
    let destination = Destination::open(&args.deliver, app.io)?;
    let outcome = client.add_gateway(&body, &once).await;
    let doing = format!("add gateway {}", args.name);
    minted::put(app, destination, &args.deliver, outcome, &doing, &once)
}

async fn token(
    app: &mut App<'_>,
    which: &Which,
    ttl: Duration,
    deliver: &DeliverArgs,
    change: &ChangeArgs,
) -> Result<(), CliError> {
    let (client, found) = start(app, which).await?;
    let body = NewToken {
        ttl_s: ttl.as_secs(),
    };
    let (id, once) = (found.id, App::once(change));
    if change.dry_run {
        return app.would_send(&format!("/v1/gateways/{id}/tokens"), &body, &once);
    }
    let destination = Destination::open(deliver, app.io)?;
    let outcome = client.add_gateway_token(id, &body, &once).await;
    let doing = format!("mint a token for gateway {}", found.name);
    minted::put(app, destination, deliver, outcome, &doing, &once)
}

async fn revoke_token(
    app: &mut App<'_>,
    which: &Which,
    token: TokenId,
    change: &ChangeArgs,
) -> Result<(), CliError> {
    let (client, found) = start(app, which).await?;
    let effect = format!(
        "Token {token} of {} stops working at once: whatever shows it is refused, and so are its callers",
        found.name
    );
    app.confirm(change, &effect, &found.name)?;
    let (id, once) = (found.id, App::once(change));
    if change.dry_run {
        let path = format!("/v1/gateways/{id}/tokens/{token}");
        return app.would_send_by("DELETE", &path, &(), &once);
    }
    let outcome = client.revoke_gateway_token(id, token, &once).await;
    let answer = settled(outcome, format!("revoke token {token}"), &once)?;
    let receipt = answer.value.unwrap_or_else(|| Receipt {
        subject: id.to_string(),
        sequence: answer.sequence.unwrap_or_default(),
        state: "active".to_owned(),
        dry_run: false,
    });
    let words = format!("Revoked token {token} of gateway {}", found.name);
    app.receipt(&words, &receipt)
}

async fn remove(app: &mut App<'_>, which: &Which, change: &ChangeArgs) -> Result<(), CliError> {
    let (client, found) = start(app, which).await?;
    let effect = format!(
        "{} is out of service: its tokens are void at once, its callers are refused, and no revocation waits for it",
        found.name
    );
    app.confirm(change, &effect, &found.name)?;
    let body = Reason {
        reason: app.reason(change)?,
    };
    let (id, once) = (found.id, App::once(change));
    if change.dry_run {
        return app.would_send(&format!("/v1/gateways/{id}/remove"), &body, &once);
    }
    let outcome = client.remove_gateway(id, &body, &once).await;
    let doing = format!("remove gateway {}", found.name);
    let receipt = settled(outcome, doing, &once)?.value;
    app.receipt(&format!("Removed gateway {}", found.name), &receipt)
}

async fn config(app: &mut App<'_>, which: &Which, args: &Fill) -> Result<(), CliError> {
    let url = app.target()?.context.url;
    let client = app.connect().await?;
    let row = find(&client, &which.gateway).await?;
    if args.lua {
        app.io.out.write_all(snippet::LUA.as_bytes())?;
        return Ok(());
    }
    let token = match &args.gateway_token {
        Some(path) => {
            let doing = format!("read {}", path.display());
            let text = std::fs::read_to_string(path).map_err(CliError::files(doing))?;
            Some(text.trim().to_owned())
        }
        None => None,
    };
    let text = snippet::fill(&Filling {
        profile: row.profile,
        gateway: &row.name,
        cache_s: row.cache_s,
        broker: &url,
        listen: &args.listen,
        upstream: &args.upstream,
        token: token.as_deref(),
    });
    let text = text.map_err(CliError::Usage)?;
    app.io.out.write_all(text.as_bytes())?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes_are_read() {
        let read = route("GET,HEAD:/orders=orders:read").unwrap();
        assert_eq!(read.methods, ["GET", "HEAD"]);
        assert_eq!(
            (read.prefix.as_str(), read.scope.as_str()),
            ("/orders", "orders:read")
        );
        assert!(route("/=a").unwrap().methods.is_empty());
        for bad in ["", "orders=x", "GET/orders=x", "/orders"] {
            assert!(route(bad).unwrap_err().contains("such as"), "{bad}");
        }
    }
}
