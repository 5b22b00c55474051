//! What the verbs share: the broker that is meant, the signed-in client, names to identifiers, and the
//! questions before a change.

use std::io::Write;

use secrecy::SecretString;
use serde::Serialize;

use super::args::{ChangeArgs, Format, Global, ListArgs};
use super::error::CliError;
use super::io::Io;
use super::output::{List, Row, Style, write_json};
use crate::client::chain::Keep;
use crate::client::login::{Login, LoginOptions};
use crate::client::{Answer, Client, ListQuery, Once, Outcome, TransportOptions};
use crate::config::{Config, Context, Target, state_folder, variables};
use crate::ssh::Signer;
use crate::wire::{ClientId, CredentialId, OperatorId, Page, Receipt};

/// Rows that a table shows unless it is told otherwise.
const TABLE_ROWS: u64 = 100;
/// Rows asked for at once.
pub const PAGE_ROWS: u64 = 500;

/// One run of a command.
pub struct App<'a> {
    /// The world.
    pub io: &'a mut Io,
    /// The common options.
    pub global: &'a Global,
    /// The login in use, to be forgotten if the broker does not know it.
    pub login: Option<Login>,
}

/// What `--dry-run` prints.
#[derive(Serialize)]
struct WouldSend<'a, B> {
    dry_run: bool,
    method: &'a str,
    path: &'a str,
    if_match: Option<u64>,
    body: &'a B,
}

/// An object that was asked for by identifier or name.
pub struct Found<I> {
    /// The identifier.
    pub id: I,
    /// The name, for messages and for typing it.
    pub name: String,
}

impl<'a> App<'a> {
    /// A run in this world.
    pub fn new(io: &'a mut Io, global: &'a Global) -> Self {
        Self {
            io,
            global,
            login: None,
        }
    }

    /// How values are printed.
    pub fn style(&self) -> Style {
        Style {
            format: self.global.output,
            now: self.io.now,
            colour: self.io.colour(),
            columns: self.io.columns(),
        }
    }

    /// The broker that is meant: `--url`, `--context`, the environment, the configuration.
    ///
    /// # Errors
    /// [`CliError::Config`].
    pub fn target(&self) -> Result<Target, CliError> {
        if let Some(url) = &self.global.url {
            let parsed = reqwest::Url::parse(url);
            let name = parsed
                .ok()
                .and_then(|url| url.host_str().map(str::to_owned));
            return Ok(Target {
                name: name.unwrap_or_else(|| "broker".to_owned()),
                context: Context {
                    url: url.clone(),
                    environment: None,
                    colour: None,
                    ca_file: self.global.ca_file.clone(),
                    verifier_key: None,
                    read_only: false,
                },
            });
        }
        let config = Config::load(&Config::path(&self.io.variables)?)?;
        Ok(config.target(self.global.context.as_deref(), &self.io.variables)?)
    }

    /// A client of the broker, not signed in.
    ///
    /// # Errors
    /// Whatever is wrong with the address or the certificates.
    pub fn anonymous(target: &Target) -> Result<Client, CliError> {
        let options = TransportOptions {
            ca_file: target.context.ca_file.clone(),
            ..TransportOptions::new(&target.context.url)
        };
        Client::new(options).map_err(CliError::call("talk to the broker"))
    }

    /// The stores of this broker's login, `--token-file` and `COUNTERSIGN_TOKEN` included.
    ///
    /// # Errors
    /// [`CliError::Login`].
    pub fn open_login(&self, client: &Client) -> Result<Login, CliError> {
        let options = LoginOptions {
            origin: client.transport().origin().to_owned(),
            token_file: self.global.token_file.clone(),
            // What `login --in-file` put there is to be found.
            allow_file: true,
        };
        Ok(Login::open(&options, &self.io.variables)?)
    }

    /// A client that signs its calls.
    ///
    /// # Errors
    /// [`CliError::NotSignedIn`], and everything on the way there.
    pub async fn connect(&mut self) -> Result<Client, CliError> {
        let target = self.target()?;
        let client = Self::anonymous(&target)?;
        let login = self.open_login(&client)?;
        let token: Option<SecretString> = login.token().await;
        let origin = client.transport().origin().to_owned();
        let token = token.ok_or(CliError::NotSignedIn { origin })?;
        client.transport().set_token(Some(token));
        self.login = Some(login);
        Ok(client)
    }

    /// As [`App::connect`], for a change: not in a context that is for looking only.
    ///
    /// # Errors
    /// [`CliError::ReadOnly`], and as [`App::connect`].
    pub async fn connect_to_change(&mut self) -> Result<Client, CliError> {
        let target = self.target()?;
        if target.context.read_only {
            return Err(CliError::ReadOnly(target.name));
        }
        self.connect().await
    }

    /// A line for people, beside the output.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn say(&mut self, words: &str) -> Result<(), CliError> {
        writeln!(self.io.err, "{}", crate::display::sanitize::safe(words))?;
        Ok(())
    }

    /// Prints a list, page after page, until the limit.
    ///
    /// # Errors
    /// Whatever a page gives.
    pub async fn list<T: Row>(
        &mut self,
        args: &ListArgs,
        fetch: impl AsyncFn(ListQuery) -> Result<Answer<Page<T>>, CliError>,
    ) -> Result<(), CliError> {
        let limit = row_limit(args, self.global.output);
        let style = self.style();
        let mut query = ListQuery {
            filter: args.filter.clone(),
            sort: args.sort.clone(),
            limit: None,
            cursor: None,
        };
        let mut list = List::begin::<T>(&mut *self.io.out, style)?;
        let (total, more) = loop {
            query.limit = Some((limit - list.rows()).min(PAGE_ROWS));
            let page = fetch(query.clone()).await?.value;
            for row in &page.items {
                list.row(row)?;
            }
            // A page of a filtered log may be empty though there are more.
            if page.next.is_none() || page.next == query.cursor || list.rows() >= limit {
                break (page.total, page.next.is_some());
            }
            query.cursor = page.next;
        };
        let shown = list.rows();
        list.end()?;
        if more && self.global.output == Format::Table {
            self.more(shown, total)?;
        }
        Ok(())
    }

    /// Says beside a table that it is not all of the list.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn more(&mut self, shown: u64, total: u64) -> Result<(), CliError> {
        let count = crate::display::time::count;
        let words = if total > shown {
            format!(
                "{} of {} rows; --limit 0 shows all",
                count(shown),
                count(total)
            )
        } else {
            format!(
                "{} rows, and there are more; --limit 0 shows all",
                count(shown)
            )
        };
        self.say(&words)
    }

    /// Whoever signs for this person: their agent.
    pub fn signer(&self) -> Signer {
        Signer::Agent(
            self.io
                .variables
                .get(variables::SSH_AUTH_SOCK)
                .map(Into::into),
        )
    }

    /// What this person's consoles remember of the broker's log; nothing for one without a configured context.
    ///
    /// # Errors
    /// [`CliError::Config`].
    pub fn keep(&self) -> Result<Keep, CliError> {
        let target = self.target()?;
        let known = self.global.url.is_none()
            && Config::load(&Config::path(&self.io.variables)?)?
                .contexts
                .contains_key(&target.name);
        Ok(match state_folder(&self.io.variables, &target.name) {
            Some(folder) if known => Keep::new(folder),
            _ => Keep::nowhere(),
        })
    }

    /// The intention behind a change.
    pub fn once(change: &ChangeArgs) -> Once {
        let fresh = Once::new();
        Once {
            key: change.idempotency_key.clone().unwrap_or(fresh.key),
            seen: change.if_seen,
        }
    }

    /// The reason for a change, asked for where it is missing.
    ///
    /// # Errors
    /// [`CliError::Usage`] when there is none.
    pub fn reason(&mut self, change: &ChangeArgs) -> Result<String, CliError> {
        if let Some(reason) = &change.reason {
            return Ok(reason.clone());
        }
        let missing = || CliError::Usage("--reason is needed: say why, in a few words".to_owned());
        if !self.io.can_ask() {
            return Err(missing());
        }
        let answer = self.io.ask("Reason (kept in the log): ")?;
        answer
            .filter(|reason| !reason.trim().is_empty())
            .ok_or_else(missing)
    }

    /// Before something that cannot be undone: says what it does and has the name typed.
    ///
    /// # Errors
    /// [`CliError::Declined`] when another name is typed, [`CliError::Usage`] when nobody can be asked
    /// and `--yes` is missing.
    pub fn confirm(
        &mut self,
        change: &ChangeArgs,
        effect: &str,
        name: &str,
    ) -> Result<(), CliError> {
        if change.yes || change.dry_run {
            return Ok(());
        }
        if !self.io.can_ask() {
            return Err(CliError::Usage(format!(
                "{effect}; there is nobody to ask here, so it needs --yes"
            )));
        }
        let shown = crate::display::sanitize::safe(name).into_owned();
        self.say(&format!("{effect}."))?;
        match self.io.ask(&format!("Type {shown} to go on: "))? {
            Some(typed) if typed == name => Ok(()),
            _ => Err(CliError::Declined(format!("{shown} was not typed"))),
        }
    }

    /// Prints what would be sent, for `--dry-run`.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn would_send(
        &mut self,
        path: &str,
        body: &impl Serialize,
        once: &Once,
    ) -> Result<(), CliError> {
        self.would_send_by("POST", path, body, once)
    }

    /// As [`App::would_send`], for another method.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn would_send_by(
        &mut self,
        method: &str,
        path: &str,
        body: &impl Serialize,
        once: &Once,
    ) -> Result<(), CliError> {
        let would = WouldSend {
            dry_run: true,
            method,
            path,
            if_match: once.seen,
            body,
        };
        let pretty = self.global.output != Format::Ndjson;
        write_json(&mut *self.io.out, &would, pretty)?;
        self.io.out.write_all(b"\n")?;
        Ok(())
    }

    /// Prints a receipt.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn receipt(&mut self, done: &str, receipt: &Receipt) -> Result<(), CliError> {
        let style = self.style();
        let text = |_: &Style| {
            let mut sheet = super::output::Sheet::default();
            sheet.line(&format!(
                "{done}: {} at sequence {}",
                receipt.state, receipt.sequence
            ));
            sheet.finish()
        };
        super::output::one(&mut *self.io.out, style, receipt, receipt, text)?;
        Ok(())
    }

    /// The credential of this identifier or name.
    ///
    /// # Errors
    /// [`CliError::NotFound`] or [`CliError::Ambiguous`].
    pub async fn credential(
        &self,
        client: &Client,
        name: &str,
    ) -> Result<Found<CredentialId>, CliError> {
        if let Ok(id) = name.parse() {
            let name = name.to_owned();
            return Ok(Found { id, name });
        }
        let page = client.credentials(&by_name(name)?).await;
        let page = page.map_err(CliError::call(format!("look for credential {name:?}")))?;
        pick("credential", name, page.value.items, |row| {
            (row.id, &row.name)
        })
    }

    /// The client of this identifier or name.
    ///
    /// # Errors
    /// [`CliError::NotFound`] or [`CliError::Ambiguous`].
    pub async fn client(&self, client: &Client, name: &str) -> Result<Found<ClientId>, CliError> {
        if let Ok(id) = name.parse() {
            let name = name.to_owned();
            return Ok(Found { id, name });
        }
        let page = client.clients(&by_name(name)?).await;
        let page = page.map_err(CliError::call(format!("look for client {name:?}")))?;
        pick("client", name, page.value.items, |row| (row.id, &row.name))
    }

    /// The operator of this identifier or handle.
    ///
    /// # Errors
    /// [`CliError::NotFound`] or [`CliError::Ambiguous`].
    pub async fn operator(
        &self,
        client: &Client,
        name: &str,
    ) -> Result<Found<OperatorId>, CliError> {
        if let Ok(id) = name.parse() {
            let name = name.to_owned();
            return Ok(Found { id, name });
        }
        let page = client.operators(&by_name(name)?).await;
        let page = page.map_err(CliError::call(format!("look for operator {name:?}")))?;
        pick("operator", name, page.value.items, |row| {
            (row.id, &row.name)
        })
    }
}

/// The answer to a change, or the error with what settles it.
///
/// # Errors
/// [`CliError::Call`] with the idempotency key.
pub fn settled<T>(
    outcome: Outcome<T>,
    doing: impl Into<String>,
    once: &Once,
) -> Result<Answer<T>, CliError> {
    outcome.into_result().map_err(|source| CliError::Call {
        doing: doing.into(),
        source,
        key: Some(once.key.clone()),
    })
}

/// How many rows to print.
pub fn row_limit(args: &ListArgs, format: Format) -> u64 {
    match args.limit {
        Some(0) => u64::MAX,
        Some(rows) => rows,
        None if format == Format::Table => TABLE_ROWS,
        None => u64::MAX,
    }
}

/// A filter that finds this name among others; names are the few characters that stable names have.
fn by_name(name: &str) -> Result<ListQuery, CliError> {
    let shaped = |byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'/' | b'-');
    if name.is_empty() || !name.bytes().all(shaped) {
        return Err(CliError::Usage(format!(
            "{name:?} is neither an identifier nor a name; names are of a-z 0-9 . _ / -"
        )));
    }
    Ok(ListQuery::filter(format!("name=\"{name}\"")).limit(PAGE_ROWS))
}

fn pick<T, I: ToString>(
    what: &'static str,
    name: &str,
    rows: Vec<T>,
    key: impl Fn(&T) -> (I, &String),
) -> Result<Found<I>, CliError> {
    let mut ids: Vec<I> = rows
        .iter()
        .map(key)
        .filter(|(_, found)| *found == name)
        .map(|(id, _)| id)
        .collect();
    let name = name.to_owned();
    match ids.len() {
        0 => Err(CliError::NotFound { what, name }),
        1 => Ok(Found {
            id: ids.remove(0),
            name,
        }),
        _ => Err(CliError::Ambiguous {
            what,
            name,
            ids: ids.iter().map(ToString::to_string).collect(),
        }),
    }
}
