//! The server: a connection for each call, bounded in time, and what its failures mean.

use super::config::{ConfigError, PostgresConfig, wrong};
use super::{POSTGRESQL, refused};
use crate::{issuers::IssueError, outbound::postgres, secret::SecretMaterial};
use sqlx::{
    AssertSqlSafe, ConnectOptions as _, Connection as _, PgConnection, Row as _,
    postgres::{PgConnectOptions, PgDatabaseError},
};
use std::{path::PathBuf, time::Duration};
use zeroize::Zeroizing;

/// The longest that we quote a server, in characters.
const WORDS_MAX: usize = 400;

enum Password {
    File(PathBuf),
    Env(String),
    /// A client certificate stands for it.
    None,
}

pub(super) struct Server {
    options: PgConnectOptions,
    password: Password,
    within: Duration,
}

impl Server {
    pub(super) fn new(config: &PostgresConfig) -> Result<Self, ConfigError> {
        let url = postgres::address(&config.url).or_else(|problem| wrong("url", problem))?;
        if url.password().is_some() || url.query_pairs().any(|(name, _)| name == "password") {
            return wrong(
                "url",
                "has a password in it; give it by password_file or password_env",
            );
        }
        if url.username().is_empty() {
            return wrong(
                "url",
                "names no user; expected postgres://user@host/database",
            );
        }
        let options = postgres::options(&url, config.ca_file.as_deref(), "countersign")
            .or_else(|problem| wrong("url", problem))?;
        // The server gives up before we do, so that what we gave up on does not happen afterwards.
        let limit = format!("{}ms", config.timeout_s * 900);
        let mut options = options.options([
            ("statement_timeout", limit.as_str()),
            ("lock_timeout", limit.as_str()),
            ("idle_in_transaction_session_timeout", limit.as_str()),
        ]);
        if let (Some(certificate), Some(key)) = (&config.client_cert_file, &config.client_key_file)
        {
            options = options.ssl_client_cert(certificate).ssl_client_key(key);
        }
        let password = match (&config.password_file, &config.password_env) {
            (Some(file), _) => Password::File(file.clone()),
            (None, Some(name)) => Password::Env(name.clone()),
            (None, None) => Password::None,
        };
        Ok(Self {
            options,
            password,
            within: Duration::from_secs(config.timeout_s),
        })
    }

    /// Runs `call` on a connection of the broker's own user.
    pub(super) async fn run<T>(
        &self,
        call: impl AsyncFnOnce(&mut PgConnection) -> Result<T, IssueError>,
    ) -> Result<T, IssueError> {
        let options = match self.read_password().await? {
            Some(password) => self.options.clone().password(&password),
            None => self.options.clone(),
        };
        self.bounded(async {
            let mut connection = options.connect().await.map_err(judged)?;
            let result = call(&mut connection).await;
            // The work is done: how the good-bye is taken changes nothing.
            drop(connection.close().await);
            result
        })
        .await
    }

    async fn bounded<T>(
        &self,
        call: impl Future<Output = Result<T, IssueError>>,
    ) -> Result<T, IssueError> {
        tokio::time::timeout(self.within, call)
            .await
            .unwrap_or_else(|_| {
                Err(unavailable(format!(
                    "no answer within {} s",
                    self.within.as_secs()
                )))
            })
    }

    async fn read_password(&self) -> Result<Option<Zeroizing<String>>, IssueError> {
        let text = match &self.password {
            Password::File(path) => {
                let read = tokio::fs::read_to_string(path).await;
                Zeroizing::new(read.map_err(|error| {
                    unavailable(format!("cannot read {}: {error}", path.display()))
                })?)
            }
            Password::Env(name) => Zeroizing::new(std::env::var(name).map_err(|_| {
                unavailable(format!("the variable {name} with the password is not set"))
            })?),
            Password::None => return Ok(None),
        };
        match text.trim() {
            "" => Err(unavailable(
                "the password's file or variable is empty".to_owned(),
            )),
            password => Ok(Some(Zeroizing::new(password.to_owned()))),
        }
    }

    pub(super) async fn may_make_roles(&self) -> Result<bool, IssueError> {
        self.run(async |connection| {
            let sql = "SELECT rolsuper OR rolcreaterole FROM pg_roles WHERE rolname = current_user";
            let row = sqlx::query(sql).fetch_one(connection).await;
            row.and_then(|row| row.try_get(0)).map_err(judged)
        })
        .await
    }

    /// Logs in with a version, and asks something.
    pub(super) async fn log_in(
        &self,
        secret: &SecretMaterial,
    ) -> Result<Option<String>, IssueError> {
        let fields = secret.fields();
        let (Some(user), Some(password)) = (fields.get("username"), fields.get("password")) else {
            return Err(refused("its secret is no login"));
        };
        let options = (self.options.clone())
            .username(user.expose())
            .password(password.expose());
        let tried = async {
            let mut session = options.connect().await?;
            sqlx::query("SELECT 1").execute(&mut session).await?;
            session.close().await
        };
        self.bounded(async {
            match tried.await {
                Ok(()) => Ok(Some("it logged in at PostgreSQL".to_owned())),
                // Its own no: it is about the version.
                Err(error) if state(&error).is_some_and(|state| state.starts_with("28")) => {
                    Err(refused(words(&error)))
                }
                Err(error) => Err(judged(error)),
            }
        })
        .await
    }
}

/// Runs a statement that takes no parameters; every name in it is quoted by [`super::sql`].
pub(super) async fn execute(connection: &mut PgConnection, text: String) -> sqlx::Result<()> {
    sqlx::raw_sql(AssertSqlSafe(text))
        .execute(connection)
        .await
        .map(|_| ())
}

/// The server's clock, in milliseconds since 1970.
pub(super) async fn clock_ms(connection: &mut PgConnection) -> sqlx::Result<i64> {
    let sql = "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint";
    sqlx::query(sql).fetch_one(connection).await?.try_get(0)
}

/// What the server said no with: its five characters.
pub(super) fn state(error: &sqlx::Error) -> Option<String> {
    let code = error.as_database_error()?.code()?;
    Some(code.into_owned())
}

/// What a failure means for a call that changed nothing, or may be repeated.
pub(super) fn judged(error: sqlx::Error) -> IssueError {
    // 08 connection, 25 and 40 a transaction that was ended, 53 out of resources, 55 held by somebody, 57 told to
    // stop: they pass. 28 is the broker's own login, which an operator sets right.
    const PASSES: [&str; 7] = ["08", "25", "28", "40", "53", "55", "57"];
    match state(&error) {
        Some(state) if !PASSES.iter().any(|class| state.starts_with(class)) => {
            refused(words(&error))
        }
        Some(_) => unavailable(words(&error)),
        None => unavailable(format!("cannot be worked with: {}", words(&error))),
    }
}

/// The server's words in one line, with what it adds to them.
pub(super) fn words(error: &sqlx::Error) -> String {
    let text = match error.as_database_error() {
        Some(said) => {
            let detail = said
                .try_downcast_ref::<PgDatabaseError>()
                .and_then(PgDatabaseError::detail);
            match detail {
                Some(detail) => format!("{} ({detail})", said.message()),
                None => said.message().to_owned(),
            }
        }
        None => error.to_string(),
    };
    let line: Vec<&str> = text.split_whitespace().collect();
    line.join(" ").chars().take(WORDS_MAX).collect()
}

pub(super) fn unavailable(reason: String) -> IssueError {
    IssueError::Unavailable {
        system: POSTGRESQL,
        reason,
        retry_after_s: None,
    }
}
