//! A login at PostgreSQL, and `SELECT 1` with it.

use super::{ConfigError, Probe, ProbeOutcome, Timeout, silent, wrong};
use crate::{outbound::postgres, secret::SecretMaterial};
use futures_util::{FutureExt as _, future::BoxFuture};
use serde::Deserialize;
use sqlx::{ConnectOptions as _, Connection as _, postgres::PgConnectOptions};
use std::{path::PathBuf, time::Duration};

/// One database that the login is for.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PostgresConfig {
    /// `postgres://host:5432/database`, without a login: it comes from the version that is tried.
    pub url: String,
    /// How long login and answer may take, in seconds.
    #[serde(default)]
    pub timeout_s: Timeout,
    /// Trust only the certificates in this file (PEM), and insist on one of them.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
}

/// The adapter.
pub(super) struct Login {
    options: PgConnectOptions,
    within: Duration,
}

impl Login {
    pub(super) fn new(config: PostgresConfig) -> Result<Self, ConfigError> {
        let url = postgres::address(&config.url).or_else(|problem| wrong("url", problem))?;
        if !url.username().is_empty() || url.password().is_some() {
            return wrong(
                "url",
                "expected no login in it: it comes from the version that is tried",
            );
        }
        let options = postgres::options(&url, config.ca_file.as_deref(), "countersign probe")
            .or_else(|problem| wrong("url", problem))?;
        Ok(Self {
            options,
            within: config.timeout_s.check()?,
        })
    }

    async fn log_in(&self, secret: &SecretMaterial) -> ProbeOutcome {
        let fields = secret.fields();
        let (Some(user), Some(password)) = (fields.get("username"), fields.get("password")) else {
            return ProbeOutcome::Failed {
                reason: "a key is no login; try it with a probe of type \"http\"".to_owned(),
            };
        };
        let options = self
            .options
            .clone()
            .username(user.expose())
            .password(password.expose());
        let tried = async {
            let mut session = options.connect().await?;
            sqlx::query("SELECT 1").execute(&mut session).await?;
            session.close().await
        };
        match tokio::time::timeout(self.within, tried).await {
            Ok(Ok(())) => ProbeOutcome::Passed {
                seen: "it logged in, and SELECT 1 was answered".to_owned(),
            },
            Ok(Err(sqlx::Error::Database(error))) => {
                let reason = format!("PostgreSQL: {}", error.message());
                // It has no room, or starts, or stops: that says nothing about the login.
                let passes = error
                    .code()
                    .is_some_and(|code| ["53", "57"].iter().any(|class| code.starts_with(class)));
                if passes {
                    ProbeOutcome::NoAnswer { reason }
                } else {
                    ProbeOutcome::Failed { reason }
                }
            }
            // A cause that holds no more than an address.
            Ok(Err(error)) => ProbeOutcome::NoAnswer {
                reason: format!("PostgreSQL cannot be reached: {error}"),
            },
            Err(_) => silent(self.within),
        }
    }
}

impl Probe for Login {
    fn probe<'a>(&'a self, secret: &'a SecretMaterial) -> BoxFuture<'a, ProbeOutcome> {
        self.log_in(secret).boxed()
    }
}
