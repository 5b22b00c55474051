//! Preparing and minting: a login of its own, or the one of two that is free.

use super::note::Note;
use super::server::{clock_ms, execute, judged, words};
use super::sql::{identifier, literal};
use super::{Inner, MAY_NOT, POSTGRESQL, RoleConfig, refused};
use crate::issuers::under_way::Listed;
use crate::issuers::{IssueError, Locator, MintOrder, Minted, Prepared, locator};
use crate::secret::{SecretMaterial, digest_of, mint_password, scram_verifier};
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use sqlx::{PgConnection, Row as _};
use std::fmt::Write as _;
use std::sync::Arc;
use tokio::sync::oneshot;

/// The longest name that PostgreSQL keeps, in bytes.
const NAME_MAX: usize = 63;

/// One of the two logins of a role.
struct Shared {
    name: String,
    can_log_in: bool,
    note: Option<Note>,
}

impl Inner {
    /// Names the login of one attempt. Nothing is made yet.
    pub(super) async fn prepare(&self, order: &MintOrder) -> Result<Prepared, IssueError> {
        let role = self.role_of(order)?;
        if order.approved_ttl_s() == 0 {
            return Err(refused("a lifetime of 0 s was approved"));
        }
        let username = if role.logins.is_empty() {
            // Asked first, so that a server that is away costs no attempt.
            if !self.server.may_make_roles().await? {
                return Err(refused(MAY_NOT));
            }
            self.own_name(&order.attempt_key)
        } else {
            self.server
                .run(async |connection| self.free_login(connection, role, order).await)
                .await?
        };
        let locator = Locator::from([
            (locator::USERNAME.to_owned(), username),
            (locator::ATTEMPT.to_owned(), order.attempt_key.clone()),
        ]);
        let listed = self.under_way.list(&order.attempt_key);
        Ok(Prepared {
            locator,
            held: None,
            guard: Some(Box::new(listed)),
        })
    }

    fn role_of(&self, order: &MintOrder) -> Result<&RoleConfig, IssueError> {
        self.config.role.get(&order.role).ok_or_else(|| {
            let names: Vec<&str> = self.config.role.keys().map(String::as_str).collect();
            refused(format!(
                "{:?} is not among the configured roles ({})",
                order.role,
                names.join(", ")
            ))
        })
    }

    /// `cs_NAME_` and the attempt, so that it can be found again by whoever knows that.
    fn own_name(&self, attempt: &str) -> String {
        let prefix = self.prefix();
        let mut plain = attempt.replace('/', "_");
        let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        if !plain.bytes().all(fits) || prefix.len() + plain.len() > NAME_MAX {
            plain = digest_of(attempt).to_string();
            plain.retain(|c| c.is_ascii_alphanumeric());
            plain.truncate(32);
        }
        format!("{prefix}{plain}")
    }

    /// The one of the two logins that nobody has.
    async fn free_login(
        &self,
        connection: &mut PgConnection,
        role: &RoleConfig,
        order: &MintOrder,
    ) -> Result<String, IssueError> {
        let both = self.both(connection, role).await?;
        for held in both.iter().filter(|one| one.can_log_in) {
            if let Some(note) = &held.note
                && note.credential != order.credential
            {
                return Err(refused(format!(
                    "{:?} is held by {}: two logins serve one credential",
                    order.role, note.credential
                )));
            }
        }
        match both.into_iter().find(|one| !one.can_log_in) {
            Some(free) => Ok(free.name),
            None => Err(refused(format!(
                "both logins of {:?} are in use ({}); the older version's overlap must end first, or one of them be set NOLOGIN",
                order.role,
                role.logins.join(", ")
            ))),
        }
    }

    async fn both(
        &self,
        connection: &mut PgConnection,
        role: &RoleConfig,
    ) -> Result<Vec<Shared>, IssueError> {
        let mut both = Vec::new();
        for name in &role.logins {
            let sql = "SELECT rolcanlogin, rolsuper, shobj_description(oid, 'pg_authid') FROM pg_roles WHERE rolname = $1";
            let row = sqlx::query(sql)
                .bind(name)
                .fetch_optional(&mut *connection)
                .await
                .map_err(judged)?;
            let Some(row) = row else {
                return Err(refused(format!(
                    "there is no role {name:?}; make it with NOLOGIN and the rights that it is for"
                )));
            };
            if row.get::<bool, _>(1) {
                return Err(refused(format!(
                    "{name:?} is a superuser, which no service should be"
                )));
            }
            both.push(Shared {
                name: name.clone(),
                can_log_in: row.get(0),
                note: Note::of(row.get::<Option<&str>, _>(2), &self.config.name),
            });
        }
        Ok(both)
    }

    /// Makes the login, or gives the free one its next password: all of it, or nothing.
    async fn mint_login(
        &self,
        order: &MintOrder,
        role: &RoleConfig,
        username: &str,
    ) -> Result<(SecretMaterial, DateTime<Utc>), IssueError> {
        let password = mint_password();
        let verifier = scram_verifier(&password);
        let sent = std::sync::atomic::AtomicBool::new(false);
        let made = self
            .server
            .run(async |connection| {
                let begin = "BEGIN".to_owned();
                execute(&mut *connection, begin).await.map_err(judged)?;
                if !role.logins.is_empty() {
                    // One at a time: two attempts may have found the same login free.
                    sqlx::query("SELECT pg_advisory_xact_lock(hashtext($1))")
                        .bind(format!("countersign {username}"))
                        .execute(&mut *connection)
                        .await
                        .map_err(judged)?;
                    if self.free_login(connection, role, order).await? != username {
                        return Err(refused(format!("{username} was given out meanwhile")));
                    }
                }
                let now_ms = clock_ms(connection).await.map_err(judged)?;
                let ends = end_of(now_ms, order.approved_ttl_s())?;
                let statement = statement(role, username, &verifier, ends);
                execute(&mut *connection, statement).await.map_err(judged)?;
                let note = Note::new(&self.config.name, order, now_ms / 1_000);
                let comment = format!(
                    "COMMENT ON ROLE {} IS {}",
                    identifier(username),
                    literal(&note.text())
                );
                execute(&mut *connection, comment).await.map_err(judged)?;
                // From here on it may exist whatever we hear.
                sent.store(true, std::sync::atomic::Ordering::SeqCst);
                let commit = execute(&mut *connection, "COMMIT".to_owned()).await;
                match commit {
                    Ok(()) => Ok(ends),
                    Err(error) if error.as_database_error().is_some() => Err(judged(error)),
                    Err(error) => Err(unknown(words(&error))),
                }
            })
            .await;
        match made {
            Ok(ends) => {
                let secret = SecretMaterial::from_fields(&[
                    ("username", username),
                    ("password", password.expose()),
                ]);
                Ok((secret, ends))
            }
            // The time was up while the commit was under way.
            Err(IssueError::Unavailable { reason, .. })
                if sent.load(std::sync::atomic::Ordering::SeqCst) =>
            {
                Err(unknown(reason))
            }
            Err(error) => Err(error),
        }
    }
}

fn unknown(reason: String) -> IssueError {
    IssueError::Unknown {
        system: POSTGRESQL,
        reason,
    }
}

fn end_of(now_ms: i64, ttl_s: u64) -> Result<DateTime<Utc>, IssueError> {
    let life = i64::try_from(ttl_s).ok().and_then(TimeDelta::try_seconds);
    DateTime::from_timestamp_millis(now_ms)
        .zip(life)
        .and_then(|(now, life)| now.checked_add_signed(life))
        .ok_or_else(|| refused(format!("no date is {ttl_s} s from now")))
}

fn statement(role: &RoleConfig, username: &str, verifier: &str, ends: DateTime<Utc>) -> String {
    let verb = if role.logins.is_empty() {
        "CREATE"
    } else {
        "ALTER"
    };
    let mut text = format!(
        "{verb} ROLE {} LOGIN PASSWORD {} VALID UNTIL {}",
        identifier(username),
        literal(verifier),
        literal(&ends.to_rfc3339_opts(SecondsFormat::Millis, true)),
    );
    if let Some(limit) = role.connection_limit {
        // Writing to a text cannot fail.
        let _ = write!(text, " CONNECTION LIMIT {limit}");
    }
    if !role.member_of.is_empty() {
        let names: Vec<String> = role.member_of.iter().map(|name| identifier(name)).collect();
        let _ = write!(text, " IN ROLE {}", names.join(", "));
    }
    text
}

/// Mints in a task of its own: a caller that is dropped does not stop it half-way, and what nobody then takes is
/// removed at once.
pub(super) async fn detached(
    inner: Arc<Inner>,
    order: MintOrder,
    prepared: Prepared,
) -> Result<Minted, IssueError> {
    let Prepared { locator, guard, .. } = prepared;
    let (Some(username), Some(Ok(listed))) = (
        locator.get(locator::USERNAME).cloned(),
        guard.map(|guard| guard.downcast::<Listed>()),
    ) else {
        return Err(refused("the attempt was not prepared here"));
    };
    let (give, take) = oneshot::channel();
    tokio::spawn(async move {
        let made = match inner.role_of(&order) {
            Ok(role) => inner.mint_login(&order, role, &username).await,
            Err(error) => Err(error),
        };
        let result = made.map(|(secret, ends)| {
            listed.finish(&username);
            Minted {
                secret,
                digest: None,
                locator,
                expires_at: Some(ends),
                warnings: Vec::new(),
            }
        });
        if let Err(Ok(unclaimed)) = give.send(result) {
            let ended = inner.revoke_and_prove(&unclaimed.locator).await;
            tracing::info!(
                request_id = order.request_id,
                ?ended,
                "removed a login whose requester went away"
            );
        }
    });
    take.await
        .unwrap_or_else(|_| Err(unknown("the task that minted ended early".to_owned())))
}
