//! Weeks of history, made by running the real engine on a virtual clock that catches up with now.
//!
//! First a script is written: who does what when. Then it is played in the order of time, every line a command
//! that the engine decides by its rules and appends to its log, exactly as if the weeks had passed.

mod gateways;
mod rotations;
mod script;

use super::company::{Company, Team};
use super::pens::Pens;
use crate::{
    broker::engine::{Engine, EngineError, Outcome, system_context},
    domain::{
        Actor, ClientId, Command, Context, Environment, GatewayId, OperatorId, Proof, TokenId,
        statement::LogHead,
    },
    secret::SecretMaterial,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use chrono::{DateTime, TimeDelta, Utc};
use futures_util::{StreamExt as _, stream::FuturesOrdered};
use script::Author;

/// How far back the history goes.
pub const WEEKS: TimeDelta = TimeDelta::weeks(3);
/// How many credentials come by requests at most; the rest of a large fleet was adopted.
const BY_REQUEST: usize = 320;
/// How many commands are on their way to the writer at once.
const PIPELINE: usize = 1_024;

/// Who can act once the history is made, with the tokens that they sign in with.
#[derive(Debug)]
pub struct Cast {
    /// The person at the console, by handle.
    pub approver: (String, SecretMaterial),
    /// Another person on call, who also approves.
    pub colleague: (String, SecretMaterial),
    /// Everybody's key.
    pub pens: Pens,
    /// Services that ask, with their client and team.
    pub services: Vec<Service>,
    /// Gateways, each with its token.
    pub stations: Vec<Station>,
}

/// A gateway of the company.
#[derive(Debug)]
pub struct Station {
    /// Which.
    pub id: GatewayId,
    /// Its token.
    pub token: SecretMaterial,
    /// Whether it is heard of: one is cut off.
    pub heard: bool,
}

/// A service that asks for credentials.
#[derive(Debug)]
pub struct Service {
    /// Its account.
    pub operator: OperatorId,
    /// Its token.
    pub token: SecretMaterial,
    /// Its client.
    pub client: ClientId,
    /// The client's name.
    pub name: String,
    /// Where it runs.
    pub environment: Environment,
    /// Its team.
    pub team: Team,
}

/// One line of the script.
enum Line {
    Do(OperatorId, Box<Command>),
    Follow(Vec<Command>),
}

/// Makes the history of a fleet of `credentials` and ends at `now`.
///
/// # Errors
/// [`EngineError`] if the engine refuses a line: the script is wrong then.
pub async fn make(
    engine: &Engine,
    company: &Company,
    credentials: usize,
    seed: u64,
    now: DateTime<Utc>,
) -> Result<Cast, EngineError> {
    let admin = engine
        .state()
        .operator_named("admin")
        .map_or(OperatorId::from_bits(0), |admin| admin.id);
    let mut author = Author::new(company, seed, admin, now, head(engine));
    let (approver, colleague) = author.enrol();
    play(engine, author.script()).await?;
    author.verified(head(engine));
    let by_request = credentials.min(BY_REQUEST) * 7 / 10;
    author.requests(engine, by_request);
    author.adoptions(credentials - by_request);
    author.rotations(engine);
    author.incidents();
    author.gateways();
    author.leak();
    author.use_of_everything();
    author.housekeeping();
    play(engine, author.script()).await?;
    author.queue(engine);
    play(engine, author.script()).await?;
    Ok(Cast {
        approver,
        colleague,
        pens: author.pens,
        services: author.services,
        stations: author.stations,
    })
}

/// Has the engine decide every line, in order, many of them in one commit.
async fn play(engine: &Engine, script: Vec<(DateTime<Utc>, Line)>) -> Result<(), EngineError> {
    let mut under_way = FuturesOrdered::new();
    let settle = |outcome: Option<Result<Outcome, EngineError>>| match outcome {
        // A script does not know whom chance has revoked meanwhile; the rules do.
        Some(Err(EngineError::Refused(_)) | Ok(_)) | None => Ok(()),
        Some(Err(error)) => Err(error),
    };
    for (at, line) in script {
        let (commands, context) = match line {
            Line::Do(by, command) => (vec![*command], context(by, at)),
            Line::Follow(commands) => (commands, system_context("issuance", at)),
        };
        let mut turn = Box::pin(engine.submit_all(commands, context, Vec::new()));
        // The first poll puts the command into the writer's queue, so that the order of time is kept.
        if let std::task::Poll::Ready(outcome) = futures_util::poll!(turn.as_mut()) {
            settle(Some(outcome))?;
            continue;
        }
        under_way.push_back(turn);
        if under_way.len() >= PIPELINE {
            settle(under_way.next().await)?;
        }
    }
    while let Some(outcome) = under_way.next().await {
        settle(Some(outcome))?;
    }
    Ok(())
}

/// The log as it is: what those who sign have verified.
fn head(engine: &Engine) -> LogHead {
    let head = engine.log().head();
    LogHead {
        origin: engine.origin().to_owned(),
        size: head.size,
        root: STANDARD.encode(head.root),
    }
}

fn context(by: OperatorId, now: DateTime<Utc>) -> Context {
    Context {
        now,
        actor: Actor::Operator {
            id: by,
            proof: Proof::Token {
                token: TokenId::from_bits(0),
            },
        },
        from: Some("10.4.2.17".into()),
        request_id: uuid::Uuid::now_v7().to_string(),
        trace: None,
        idempotency: None,
        if_match: None,
    }
}
