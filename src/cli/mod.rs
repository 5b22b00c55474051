//! The command line: one file a noun, the scriptable twin of every screen.
//!
//! `run` does everything but `serve`, `demo` and the console, which the program itself starts. It
//! writes through `Io` only, and ends with the exit code of `error::exit_code`.

mod app;
mod approval;
pub mod args;
mod audit;
mod burst;
mod certificate;
mod client;
mod context;
mod credential;
mod deliver;
mod doctor;
mod drill;
pub mod error;
mod gateway;
mod io;
mod key;
mod login;
mod minted;
mod offboarding;
mod operator;
mod output;
mod overview;
mod planned;
mod policy;
mod prompt;
mod registry;
mod request;
mod review;
mod reviews;
mod revocation;
mod rotation;
mod rows;
mod sign;
mod snippet;
mod template;
mod wait;
mod watch;

use std::process::ExitCode;

use clap::CommandFactory;

pub use args::{Cli, Command, DemoArgs, Format, Global, ServeArgs};
pub use error::CliError;
pub use io::{Io, Terminal};

use app::App;

use crate::client::Access;
use crate::client::login::Place;
use crate::config::{Config, Target};

/// What the console opens on: the settings, and the broker that is meant. Reads the one file of settings.
///
/// # Errors
/// [`CliError`] for settings that cannot be used.
pub fn for_console(global: &Global, io: &mut Io) -> Result<(Config, Target), CliError> {
    let config = Config::load(&Config::path(&io.variables)?)?;
    let target = App::new(io, global).target()?;
    Ok((config, target))
}

/// A client that signs its calls if there is a login for it. Reads certificates and asks the stores of logins, which
/// may take their time.
///
/// # Errors
/// [`CliError`] for an address, certificates or a given token that cannot be used. A missing login is none: the
/// console says so itself.
pub async fn connect(global: Global, mut io: Io, target: Target) -> Result<Access, CliError> {
    let client = App::anonymous(&target)?;
    let login = App::new(&mut io, &global).open_login(&client)?;
    Ok(Access::open(client, login).await)
}

/// Runs a command to its exit code. Messages go to `io.err`, the output to `io.out`.
pub async fn run(cli: Cli, mut io: Io) -> ExitCode {
    let code = execute(&cli, &mut io).await;
    ExitCode::from(code)
}

/// As [`run`], with the exit code as a number.
pub async fn execute(cli: &Cli, io: &mut Io) -> u8 {
    let mut app = App::new(io, &cli.global);
    let mut result = dispatch(&mut app, cli.command.as_ref()).await;
    if let (Err(error), Some(login)) = (&result, &app.login)
        && error.is_unauthenticated()
        && !matches!(login.place(), Place::GivenFile(_) | Place::GivenVariable)
    {
        login.forget().await;
    }
    // What was printed comes before what is said about it.
    let flushed = io.out.flush();
    if result.is_ok() {
        result = flushed.map_err(CliError::from);
    }
    match result {
        Ok(()) => 0,
        Err(error) => {
            tell(io, &error);
            error::exit_code(&error)
        }
    }
}

async fn dispatch(app: &mut App<'_>, command: Option<&Command>) -> Result<(), CliError> {
    match command {
        // Without a terminal for the console.
        None | Some(Command::Overview) => overview::run(app).await,
        Some(Command::Request(verb)) => request::run(app, verb).await,
        Some(Command::Credential(verb)) => credential::run(app, verb).await,
        Some(Command::Review(verb)) => reviews::run(app, verb).await,
        Some(Command::Gateway(verb)) => gateway::run(app, verb).await,
        Some(Command::Revocation(verb)) => revocation::run(app, verb).await,
        Some(Command::Rotation(verb)) => rotation::run(app, verb).await,
        Some(Command::Audit(verb)) => audit::run(app, verb).await,
        Some(Command::Policy(verb)) => policy::run(app, verb).await,
        Some(Command::Client(verb)) => client::run(app, verb).await,
        Some(Command::Template(verb)) => template::run(app, verb),
        Some(Command::Operator(verb)) => operator::run(app, verb).await,
        Some(Command::Watch(args)) => watch::run(app, args).await,
        Some(Command::Context(verb)) => context::run(app, verb),
        Some(Command::Login(args)) => login::login(app, args).await,
        Some(Command::Logout(args)) => login::logout(app, args).await,
        Some(Command::Doctor(args)) => doctor::run(app, args).await,
        Some(Command::Drill(args)) => drill::run(app, args).await,
        Some(Command::Completions { shell }) => {
            // Into memory first: the generator panics on a closed pipe.
            let mut script = Vec::new();
            clap_complete::generate(*shell, &mut Cli::command(), "countersign", &mut script);
            app.io.out.write_all(&script)?;
            Ok(())
        }
        Some(Command::Serve(_) | Command::Demo(_)) => Err(CliError::Usage(
            "this command starts a broker and is not run from here".to_owned(),
        )),
    }
}

/// Tells an error on the message stream. If that is gone as well, nobody is left to tell.
fn tell(io: &mut Io, error: &CliError) {
    if error.is_broken_pipe() {
        return;
    }
    let word = match (error, io.colour_messages()) {
        (CliError::AwaitsApproval(_) | CliError::NotConverged { .. }, _) => "note",
        (_, true) => "\x1b[1;31merror\x1b[m",
        (_, false) => "error",
    };
    let lines = error::describe(error);
    let _ = writeln!(io.err, "{word}: {}", lines.join("\n"));
    let _ = io.err.flush();
}
