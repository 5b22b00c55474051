//! The command line's grammar: what is common to all commands, the list of nouns, and the arguments of
//! the two commands that run a broker. Each noun's own verbs are in its file.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum, ValueHint};

use super::{
    audit, client, context, credential, doctor, drill, gateway, login, operator, policy, request,
    reviews, revocation, rotation, template, watch,
};

/// Exit codes, at the end of the help.
const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  failed, or not found
  2  the command line, or what was sent, is not acceptable
  3  refused, by policy, role or separation of duties
  4  waits for approval
  5  not converged yet when the time to wait was over
  6  changed since you looked
  7  the broker could not be reached

Environment:
  COUNTERSIGN_URL      the broker to talk to, without a configured context
  COUNTERSIGN_TOKEN    the token to sign in with; never stored
  COUNTERSIGN_CONTEXT  the context to use instead of the current one
  COUNTERSIGN_CA_FILE  trust only these certificates (PEM) for the broker of COUNTERSIGN_URL
  COUNTERSIGN_CONFIG   the configuration file
  NO_COLOR             no colour, whatever the terminal can do";

/// A credential broker, and the console in which people run it.
///
/// Without a command it opens the console, or prints the overview where there is no terminal.
#[derive(Debug, Parser)]
#[command(
    name = "countersign",
    version,
    after_help = EXIT_CODES,
    infer_long_args = false,
    disable_help_subcommand = false,
    max_term_width = 100
)]
pub struct Cli {
    /// What is common to all commands.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// Options that every command takes.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Which broker, and how to print")]
pub struct Global {
    /// How to print what was found: `table` for people; the others hold raw values, for programs
    #[arg(
        short,
        long,
        global = true,
        value_enum,
        default_value_t,
        value_name = "FORMAT"
    )]
    pub output: Format,
    /// The context to use instead of the current one
    #[arg(long, global = true, value_name = "NAME", conflicts_with = "url")]
    pub context: Option<String>,
    /// The broker's address, without a configured context: https://HOST:PORT, or http:// on loopback
    #[arg(long, global = true, value_name = "URL", value_hint = ValueHint::Url)]
    pub url: Option<String>,
    /// Trust only the certificates in this file (PEM) for the broker of --url
    #[arg(long, global = true, value_name = "FILE", value_hint = ValueHint::FilePath, requires = "url")]
    pub ca_file: Option<PathBuf>,
    /// Read the token to sign in with from this file; it is not stored
    #[arg(long, global = true, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub token_file: Option<PathBuf>,
}

/// How output is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Aligned columns, made safe for a terminal.
    #[default]
    Table,
    /// One JSON document.
    Json,
    /// A JSON document a line, as they come.
    Ndjson,
    /// RFC 4180, with a header line.
    Csv,
}

/// The nouns.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// What needs a person now, what hurts today, and whether the service is good
    Overview,
    /// Requests for credentials: ask, review, decide, collect the secret
    #[command(subcommand, visible_alias = "requests")]
    Request(request::Verb),
    /// Credentials: the inventory, and what can be done to one
    #[command(subcommand, visible_alias = "credentials")]
    Credential(credential::Verb),
    /// Access review: what each team answers for, and until when it must say so
    #[command(subcommand, visible_alias = "reviews")]
    Review(reviews::Verb),
    /// Gateways: where credentials are accepted or refused
    #[command(subcommand, visible_alias = "gateways")]
    Gateway(gateway::Verb),
    /// Rotations: what runs, what will, and how well cadences are kept
    #[command(subcommand, visible_alias = "rotations")]
    Rotation(rotation::Verb),
    /// Revocations, and how far they have come
    #[command(subcommand, visible_alias = "revocations")]
    Revocation(revocation::Verb),
    /// A secret was found: what it is and opens, contained, and followed until nothing accepts it
    ///
    /// The secret is read from the prompt without showing it, or from standard input where that is not a
    /// terminal; never from an argument. Its checksum is checked here, and only its digest is sent until it
    /// is contained; then it is shown to the broker once, as every gateway shows it, to see it refused.
    /// Without --quarantine or --rotate-then-revoke nothing is changed. Exit code 5 where something may still
    /// accept it when the time is over.
    ///
    /// For example: countersign drill --rotate-then-revoke --reason 'in a public repository' --timeline drill.md
    Drill(Box<drill::Drill>),
    /// The transparency log: search it, verify it, hand it to an auditor
    #[command(subcommand)]
    Audit(audit::Verb),
    /// Policies: what decides, what is proposed, and what it would change
    #[command(subcommand, visible_alias = "policies")]
    Policy(policy::Verb),
    /// Clients: the services that use credentials
    #[command(subcommand, visible_alias = "clients")]
    Client(client::Verb),
    /// Operators: the people and robots that sign in
    #[command(subcommand, visible_alias = "operators")]
    Operator(operator::Verb),
    /// Templates that onboarding starts from
    #[command(subcommand, visible_alias = "templates")]
    Template(template::Verb),
    /// Follow what happens, as it happens
    ///
    /// A table prints a line an event; the other formats print the event and the rows that it changed. A
    /// lost link is taken up again where it was; what cannot be made up for ends with exit code 1.
    Watch(watch::Args),
    /// Brokers by name
    #[command(subcommand, visible_alias = "contexts")]
    Context(context::Verb),
    /// Sign in, and keep the token for the next commands
    ///
    /// The token is read from the prompt without showing it, from standard input where that is not a
    /// terminal, or from --token-file. It is tried at the broker, then kept in the first place that this
    /// machine has: the kernel's keyring, the desktop's credential store (not over SSH), with --in-file a
    /// private file under XDG_RUNTIME_DIR.
    Login(login::LoginArgs),
    /// Sign out: withdraw the token at the broker and forget it here
    Logout(login::LogoutArgs),
    /// Check what this program needs: terminal, credential store, broker, certificate, clock
    ///
    /// It changes nothing. Exit code 7 when the broker cannot be reached, 1 when something else fails.
    Doctor(doctor::Args),
    /// Print a completion script for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Run the broker
    Serve(ServeArgs),
    /// Try it: a believable company on a broker of its own, in the console
    Demo(DemoArgs),
}

/// Arguments of `serve`.
#[derive(Clone, Debug, Args)]
pub struct ServeArgs {
    /// The folder that holds the log and its key; what is missing is created
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub data: PathBuf,
    /// The address to listen on
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:7878")]
    pub listen: SocketAddr,
    /// At the first start, write the first admin's token to this file (mode 0600)
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub admin_token_file: Option<PathBuf>,
    /// The certificate chain to serve TLS with (PEM)
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, requires = "tls_key")]
    pub tls_cert: Option<PathBuf>,
    /// The certificate's private key (PEM)
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,
    /// Issuers, destinations, webhooks and limits (TOML); without it only api keys are issued
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub config: Option<PathBuf>,
    /// The log's name, for good: set at the first start, such as `broker.example/log`
    #[arg(long, value_name = "NAME")]
    pub origin: Option<String>,
}

/// Arguments of `demo`.
#[derive(Clone, Debug, Args)]
pub struct DemoArgs {
    /// How many credentials the company has, up to 1,000,000
    #[arg(long, value_name = "N", default_value_t = 400, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub credentials: u64,
    /// The same seed makes the same company
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// Changes a second while the console is open; 0 for a quiet fleet
    #[arg(long, value_name = "N", default_value_t = 0.5, value_parser = rate)]
    pub rate: f64,
    /// The loopback address to listen on; any free port if left out
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    pub listen: SocketAddr,
    /// Only serve, and print how to sign in; ends with Ctrl-C
    #[arg(long)]
    pub no_console: bool,
}

/// Which rows, in which order.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Which rows")]
pub struct ListArgs {
    /// Only what matches, in the same language as `/` in the console: words, and FIELD:VALUE
    #[arg(long, short, value_name = "FILTER")]
    pub filter: Option<String>,
    /// The column to sort by; with `-` before it, largest first (`--sort=-risk`)
    #[arg(long, short, value_name = "COLUMN", allow_hyphen_values = true)]
    pub sort: Option<String>,
    /// At most so many rows; 0 for all. A table shows 100 if left out, the other formats all
    #[arg(long, short = 'n', value_name = "ROWS")]
    pub limit: Option<u64>,
}

/// How a change is made.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "How to make the change")]
pub struct ChangeArgs {
    /// Why; it is kept in the log. Asked for on a terminal where it is needed
    #[arg(long, short, value_name = "TEXT")]
    pub reason: Option<String>,
    /// Change nothing: check that it can be sent, and print what would be
    #[arg(long)]
    pub dry_run: bool,
    /// Wait until it has come to its end; exit code 5 if it has not when the time is over
    #[arg(long)]
    pub wait: bool,
    /// How long to wait at most, such as 90s or 10m
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = span, requires = "wait")]
    pub timeout: Duration,
    /// Do not ask. Needed where there is no terminal for what cannot be undone
    #[arg(long, short)]
    pub yes: bool,
    /// Name the change: sent again with the same key, it is carried out once. Made up if left out
    #[arg(long, value_name = "KEY")]
    pub idempotency_key: Option<String>,
    /// Only if the object has not changed since this sequence, as lists and `show` print it
    #[arg(long, value_name = "SEQUENCE")]
    pub if_seen: Option<u64>,
}

/// Parses a span of time: a whole number and `s`, `m`, `h`, `d` or `w`; seconds without a letter.
///
/// # Errors
/// What would be accepted.
pub fn span(text: &str) -> Result<Duration, String> {
    let expected =
        || "expected a whole number with s, m, h, d or w, such as 90s, 12h or 30d".to_owned();
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit: u64 = match &text[digits.len()..] {
        "" | "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        "w" => 604_800,
        _ => return Err(expected()),
    };
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(expected());
    }
    digits
        .parse::<u64>()
        .ok()
        .and_then(|number| number.checked_mul(unit))
        .map(Duration::from_secs)
        .ok_or_else(expected)
}

fn rate(text: &str) -> Result<f64, String> {
    text.parse()
        .ok()
        .filter(|rate: &f64| (0.0..=1000.0).contains(rate))
        .ok_or_else(|| "expected 0 to 1000".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_grammar_is_sound() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
    }

    #[test]
    fn spans_are_whole_and_bounded() {
        let seconds = |text| span(text).map(|span| span.as_secs());
        assert_eq!(seconds("90"), Ok(90));
        assert_eq!(seconds("90s"), Ok(90));
        assert_eq!(seconds("12h"), Ok(43_200));
        assert_eq!(seconds("30d"), Ok(2_592_000));
        assert_eq!(seconds("1w"), Ok(604_800));
        for bad in [
            "",
            "s",
            "-1s",
            "1.5h",
            "1 h",
            "1y",
            "99999999999999999999",
            "9999999999999999999w",
            "1hh",
        ] {
            assert!(seconds(bad).unwrap_err().contains("such as 90s"), "{bad}");
        }
    }
}
