//! `doctor`: whether everything is there that this program needs. Each line says what was found, and
//! what to do where it is not good.

use std::time::Duration;

use chrono::{DateTime, Utc};
use clap::Args as ClapArgs;
use serde::Serialize;

use super::app::App;
use super::args::Format;
use super::certificate;
use super::error::{CliError, describe};
use super::output::write_json;
use crate::client::login::{Login, Place};
use crate::client::{Client, ClientError};
use crate::config::{Target, variables};
use crate::display::sanitize::safe;
use crate::display::time;
use crate::event_log::checkpoint::VerifierKey;

/// A clock that is further off than this makes trouble: sessions and countdowns would be wrong.
const SKEW: Duration = Duration::from_secs(30);
/// A certificate that ends sooner is warned about.
const CERTIFICATE_DAYS: i64 = 14;

/// Arguments of `doctor`.
#[derive(Clone, Debug, ClapArgs)]
pub struct Args {
    /// Look at this machine only, and ask no broker
    #[arg(long)]
    offline: bool,
}

/// How one check came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Outcome {
    Ok,
    Warn,
    Fail,
}

/// One check.
#[derive(Debug, Serialize)]
struct Check {
    what: &'static str,
    outcome: Outcome,
    found: String,
}

#[derive(Default)]
struct Checks(Vec<Check>);

impl Checks {
    fn add(&mut self, what: &'static str, outcome: Outcome, found: impl Into<String>) {
        self.0.push(Check {
            what,
            outcome,
            found: found.into(),
        });
    }
}

/// Runs the checks.
///
/// # Errors
/// [`CliError::Unfit`] when one failed, or the broker's own error when it could not be reached.
pub async fn run(app: &mut App<'_>, args: &Args) -> Result<(), CliError> {
    let mut checks = Checks::default();
    checks.add(
        "version",
        Outcome::Ok,
        concat!("countersign ", env!("CARGO_PKG_VERSION")),
    );
    terminal(&mut checks, app);
    let mut unreachable = None;
    if !args.offline {
        match app.target() {
            Ok(target) => unreachable = broker(&mut checks, app, &target).await?,
            Err(error) => checks.add("context", Outcome::Fail, describe(&error).join("; ")),
        }
    }
    print(app, &checks)?;
    let failed = checks
        .0
        .iter()
        .filter(|check| check.outcome == Outcome::Fail);
    match (unreachable, failed.count()) {
        (Some(error), _) => Err(CliError::call("reach the broker")(error)),
        (None, 0) => Ok(()),
        (None, failed) => Err(CliError::Unfit(failed)),
    }
}

fn terminal(checks: &mut Checks, app: &App<'_>) {
    let io = &*app.io;
    match (io.terminal.stdout, io.terminal.size) {
        (false, _) => checks.add("terminal", Outcome::Ok, "none here; the console needs one"),
        (true, None) => checks.add("terminal", Outcome::Warn, "its size is not known"),
        (true, Some((columns, rows))) => {
            let fits = columns >= 80 && rows >= 24;
            let outcome = if fits { Outcome::Ok } else { Outcome::Warn };
            let words = if fits {
                ""
            } else {
                "; the console is laid out for 80x24 and more"
            };
            checks.add("terminal", outcome, format!("{columns}x{rows}{words}"));
        }
    }
    match io.variables.get(variables::TERM) {
        None => checks.add(
            "TERM",
            Outcome::Warn,
            "not set; colours and keys are guessed",
        ),
        Some("dumb") => checks.add("TERM", Outcome::Warn, "dumb: no console here"),
        Some("linux") => checks.add(
            "TERM",
            Outcome::Ok,
            "linux; few glyphs, so --ascii may read better",
        ),
        Some(term) => checks.add("TERM", Outcome::Ok, term),
    }
    let locale = [variables::LC_ALL, variables::LC_CTYPE, variables::LANG];
    let locale = locale.into_iter().find_map(|name| io.variables.get(name));
    let utf8 = |name: &str| {
        let name = name.to_ascii_lowercase();
        name.contains("utf-8") || name.contains("utf8")
    };
    match locale {
        Some(name) if utf8(name) => checks.add("UTF-8", Outcome::Ok, name),
        Some(name) => checks.add(
            "UTF-8",
            Outcome::Warn,
            format!("the locale is {name}; set ascii in [ui] if glyphs look wrong"),
        ),
        None => checks.add(
            "UTF-8",
            Outcome::Warn,
            "no locale is set; set ascii in [ui] if glyphs look wrong",
        ),
    }
    let colours = match (
        io.variables.has(variables::NO_COLOR),
        io.variables.get(variables::COLORTERM),
    ) {
        (true, _) => "none, as NO_COLOR asks",
        (false, Some("truecolor" | "24bit")) => "16 are used; the terminal has all",
        (false, _) => "16",
    };
    checks.add("colours", Outcome::Ok, colours);
}

/// Everything about the broker; `Some` when it cannot be reached at all.
async fn broker(
    checks: &mut Checks,
    app: &mut App<'_>,
    target: &Target,
) -> Result<Option<ClientError>, CliError> {
    let words = format!("{} at {}", target.name, target.context.url);
    let client = match App::anonymous(target) {
        Ok(client) => client,
        Err(error) => {
            checks.add("context", Outcome::Fail, describe(&error).join("; "));
            return Ok(None);
        }
    };
    checks.add("context", Outcome::Ok, words);
    let login = match app.open_login(&client) {
        Ok(login) => login,
        Err(error) => {
            checks.add("login", Outcome::Fail, describe(&error).join("; "));
            return Ok(None);
        }
    };
    let signed_in = keep(checks, &client, &login).await;
    let health = client.health().await;
    certificate_end(checks, target, app.io.now).await;
    match health {
        Err(error) if error.is_unreachable() => {
            checks.add("broker", Outcome::Fail, error.to_string());
            return Ok(Some(error));
        }
        Err(error) => checks.add("broker", Outcome::Fail, error.to_string()),
        Ok(answer) => {
            let version = &answer.value.version;
            let same = version == env!("CARGO_PKG_VERSION");
            let outcome = if same { Outcome::Ok } else { Outcome::Warn };
            let words = if same {
                ""
            } else {
                "; this program is of another version"
            };
            checks.add("broker", outcome, format!("runs, version {version}{words}"));
        }
    }
    readiness(checks, &client).await;
    if signed_in {
        session(checks, &client, target).await;
    }
    first_trust(checks, app, target);
    Ok(None)
}

async fn keep(checks: &mut Checks, client: &Client, login: &Login) -> bool {
    let token = login.token().await;
    let found = token.is_some();
    client.transport().set_token(token);
    let outcome = if found { Outcome::Ok } else { Outcome::Warn };
    let hint = if found {
        ""
    } else {
        " `countersign login` signs in."
    };
    checks.add(
        "login",
        outcome,
        format!("{}{hint}", login.place().sentence()),
    );
    let places: Vec<&str> = login.places().iter().map(place_word).collect();
    if places.is_empty() {
        let words =
            "none: a login lasts for one run; use --in-file, --token-file or COUNTERSIGN_TOKEN";
        checks.add("keyring", Outcome::Warn, words);
    } else {
        checks.add("keyring", Outcome::Ok, places.join(", then "));
    }
    found
}

fn place_word(place: &Place) -> &'static str {
    match place {
        Place::KernelKeyring => "the kernel's keyring",
        Place::DesktopStore => "the desktop's store",
        Place::File(_) => "a private file (only when asked for)",
        _ => "memory",
    }
}

async fn readiness(checks: &mut Checks, client: &Client) {
    let readiness = match client.readiness().await {
        Ok(answer) => answer.value,
        Err(error) => return checks.add("ready", Outcome::Fail, error.to_string()),
    };
    let outcome = match readiness.status.as_str() {
        "ready" => Outcome::Ok,
        "degraded" => Outcome::Warn,
        _ => Outcome::Fail,
    };
    let mut words = format!(
        "{}, log at sequence {}",
        readiness.status, readiness.sequence
    );
    if !readiness.store.is_empty() {
        words.push_str(&format!("; store: {}", readiness.store));
    }
    checks.add("ready", outcome, words);
    for issuer in readiness.issuers.iter().filter(|issuer| !issuer.ready) {
        let words = format!("{} is away: {}", issuer.issuer, issuer.detail);
        checks.add("issuer", Outcome::Warn, words);
    }
    let away = readiness.destinations.iter().filter(|place| !place.ready);
    for place in away {
        let words = format!("{} is away: {}", place.destination, place.detail);
        checks.add("destination", Outcome::Warn, words);
    }
    for webhook in readiness.webhooks.iter().filter(|webhook| !webhook.ready) {
        let words = format!(
            "{} is {} events behind: {}",
            webhook.webhook, webhook.behind, webhook.detail
        );
        checks.add("webhook", Outcome::Warn, words);
    }
}

async fn session(checks: &mut Checks, client: &Client, target: &Target) {
    let before = crate::clock::now();
    let session = match client.session().await {
        Ok(answer) => answer.value,
        Err(error) => return checks.add("session", Outcome::Fail, error.to_string()),
    };
    let after = crate::clock::now();
    let end = time::ago(session.expires_at, after);
    let words = match session.renewable_until {
        Some(bound) if bound > session.expires_at => format!(
            "{}, ends {end}; an open console renews it until {}",
            session.name,
            time::ago(bound, after)
        ),
        Some(_) => format!(
            "{}, ends {end}, and is not renewed: 12 hours after signing in, sign in again",
            session.name
        ),
        None => format!("{}, ends {end}", session.name),
    };
    checks.add("session", Outcome::Ok, words);
    log_key(checks, target, &session.verifier_key);
    // The broker read its clock somewhere between: the middle is wrong by half of the way at most.
    let middle = before + (after - before) / 2;
    let skew = session.now - middle;
    let far = skew.abs().to_std().is_ok_and(|skew| skew > SKEW);
    let outcome = if far { Outcome::Warn } else { Outcome::Ok };
    let side = if skew < chrono::TimeDelta::zero() {
        "behind"
    } else {
        "ahead of"
    };
    let words = format!(
        "the broker's is {} {side} this machine's",
        time::compact(skew)
    );
    checks.add("clock", outcome, words);
}

/// Which key the log is checked with, and whether the broker signs with it.
fn log_key(checks: &mut Checks, target: &Target, offered: &str) {
    let fingerprint = |key: &str| match key.trim().parse::<VerifierKey>() {
        Ok(key) => key.fingerprint(),
        Err(error) => error.to_string(),
    };
    let offers = fingerprint(offered);
    let (outcome, words) = match target.context.verifier_key.as_deref() {
        None => (
            Outcome::Warn,
            format!(
                "{offers}, on the broker's own word; `context add --verifier-key` keeps one that you trust"
            ),
        ),
        Some(trusted) if trusted.trim() == offered.trim() => (
            Outcome::Ok,
            format!("{offers}, as the context {} says", target.name),
        ),
        Some(trusted) => (
            Outcome::Fail,
            format!(
                "the broker signs its log with {offers}, and the context {} trusts {} only",
                target.name,
                fingerprint(trusted)
            ),
        ),
    };
    checks.add("log key", outcome, words);
}

/// Whether what was kept at first contact stands against the key that the context names since.
fn first_trust(checks: &mut Checks, app: &App<'_>, target: &Target) {
    let kept = app.keep().ok().and_then(|keep| keep.key().ok().flatten());
    let (Some(kept), Some(trusted)) = (kept, target.context.verifier_key.as_deref()) else {
        return;
    };
    if kept.trim() != trusted.trim() {
        let words = format!(
            "another key was trusted at first contact than the context names now; if the new one is right: countersign context forget-key {}",
            target.name
        );
        checks.add("first trust", Outcome::Warn, words);
    }
}

async fn certificate_end(checks: &mut Checks, target: &Target, now: DateTime<Utc>) {
    if !target.context.url.starts_with("https:") {
        return checks.add(
            "certificate",
            Outcome::Ok,
            "none: plain http, on this machine only",
        );
    }
    let end = match certificate::end(&target.context.url).await {
        Ok(end) => end,
        Err(reason) => return checks.add("certificate", Outcome::Fail, reason),
    };
    let left = end - now;
    let outcome = match left {
        left if left <= chrono::TimeDelta::zero() => Outcome::Fail,
        left if left < chrono::TimeDelta::days(CERTIFICATE_DAYS) => Outcome::Warn,
        _ => Outcome::Ok,
    };
    let full = time::TimeFormat::Utc.full(end, now);
    checks.add(
        "certificate",
        outcome,
        format!("ends {full} ({})", time::ago(end, now)),
    );
}

fn print(app: &mut App<'_>, checks: &Checks) -> Result<(), CliError> {
    if app.global.output != Format::Table {
        write_json(
            &mut *app.io.out,
            &checks.0,
            app.global.output == Format::Json,
        )?;
        app.io.out.write_all(b"\n")?;
        return Ok(());
    }
    for check in &checks.0 {
        let word = match check.outcome {
            Outcome::Ok => "ok  ",
            Outcome::Warn => "warn",
            Outcome::Fail => "FAIL",
        };
        writeln!(
            app.io.out,
            "{word}  {:<12} {}",
            check.what,
            safe(&check.found)
        )?;
    }
    Ok(())
}
