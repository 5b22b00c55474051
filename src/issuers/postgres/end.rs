//! Ending a login so that it is certain: no new session, then no session, then what the configuration has to say, then
//! no login; and a look that finds none. A login that cannot be dropped still lets nobody in.

use super::note::Note;
use super::server::{execute, judged, words};
use super::sql::{filled, identifier};
use super::{Inner, Login, refused};
use crate::issuers::{IssueError, Locator, RevokeOutcome, locator};
use sqlx::{PgConnection, Row as _};

/// How often sessions are ended before it is given up: one may come in while the first are told to go.
const ROUNDS: usize = 3;
/// How long one session is waited for, in milliseconds.
const SESSION_MS: i64 = 2_000;

impl Inner {
    pub(super) async fn revoke_and_prove(
        &self,
        locator: &Locator,
    ) -> Result<RevokeOutcome, IssueError> {
        let Some(username) = locator.get(locator::USERNAME) else {
            return Ok(RevokeOutcome::NothingToDo);
        };
        let Some(login) = self.login(username) else {
            return Err(refused(format!(
                "{username:?} is neither a login that this broker makes ({}…) nor one of two that take turns; end it there by hand",
                self.prefix()
            )));
        };
        let attempt = locator.get(locator::ATTEMPT).map(String::as_str);
        let ended = self
            .server
            .run(async |connection| self.end(connection, login, username, attempt).await)
            .await?;
        if let Some(attempt) = attempt
            && matches!(ended, RevokeOutcome::Revoked { .. })
        {
            self.under_way.forget(attempt);
        }
        Ok(ended)
    }

    /// Ends `username`, which `attempt` must hold if it is one of two: else it has passed on to a newer version.
    pub(super) async fn end(
        &self,
        connection: &mut PgConnection,
        login: Login<'_>,
        username: &str,
        attempt: Option<&str>,
    ) -> Result<RevokeOutcome, IssueError> {
        let sql = "SELECT rolsuper, shobj_description(oid, 'pg_authid'), \
                   (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) OR pg_has_role(oid, 'USAGE') \
                   FROM pg_roles WHERE rolname = $1";
        let row = sqlx::query(sql)
            .bind(username)
            .fetch_optional(&mut *connection)
            .await
            .map_err(judged)?;
        let Some(row) = row else {
            return Ok(RevokeOutcome::Revoked { proven: true });
        };
        if row.get::<bool, _>(0) {
            return Ok(failed(format!(
                "{username} is a superuser now, which is not ended from here"
            )));
        }
        let note = Note::of(row.get::<Option<&str>, _>(1), &self.config.name);
        let passed_on = (note.as_ref()).is_some_and(|note| attempt != Some(note.attempt.as_str()));
        if matches!(login, Login::Shared(_)) && passed_on {
            return Ok(RevokeOutcome::Revoked { proven: true });
        }
        let name = identifier(username);
        let one = match login {
            Login::Own => format!("ALTER ROLE {name} NOLOGIN"),
            Login::Shared(_) => format!("ALTER ROLE {name} NOLOGIN PASSWORD NULL"),
        };
        let mut first = vec![one];
        if !row.get::<bool, _>(2) {
            // To end its sessions, and to take over what it owns, takes its rights.
            first.push(format!("GRANT {name} TO CURRENT_USER"));
        }
        for statement in first {
            if let Err(error) = execute(&mut *connection, statement).await {
                return refusal(error, "");
            }
        }
        let left = self.end_sessions(connection, username).await?;
        if left > 0 {
            return Ok(failed(format!(
                "{left} sessions of {username} did not end; it can log in no more"
            )));
        }
        let statements = self.last_words(login, note.as_ref(), username);
        if !statements.is_empty() {
            let text = format!("BEGIN; {}; COMMIT", statements.join("; "));
            if let Err(error) = execute(&mut *connection, text).await {
                execute(&mut *connection, "ROLLBACK".to_owned())
                    .await
                    .map_err(judged)?;
                return refusal(error, "; it can log in no more, and its sessions are ended");
            }
        }
        self.prove(connection, login, username).await
    }

    /// What is left to do once nobody is logged in: in one transaction.
    fn last_words(&self, login: Login<'_>, note: Option<&Note>, username: &str) -> Vec<String> {
        let role = match login {
            Login::Shared(role) => Some(role),
            Login::Own => note.and_then(|note| self.config.role.get(&note.role)),
        };
        let mut words: Vec<String> = (role.iter())
            .flat_map(|role| &role.revocation)
            .map(|statement| filled(statement, username))
            .collect();
        if matches!(login, Login::Own) {
            let name = identifier(username);
            words.extend([
                // What it owned goes to the broker's user, not away.
                format!("REASSIGN OWNED BY {name} TO CURRENT_USER"),
                format!("DROP OWNED BY {name}"),
                format!("DROP ROLE {name}"),
            ]);
        }
        words
    }

    async fn end_sessions(
        &self,
        connection: &mut PgConnection,
        username: &str,
    ) -> Result<i64, IssueError> {
        let mut left = 0;
        for _ in 0..ROUNDS {
            sqlx::query("SELECT pg_terminate_backend(pid, $2) FROM pg_stat_activity WHERE usename = $1 AND pid <> pg_backend_pid()")
                .bind(username)
                .bind(SESSION_MS)
                .execute(&mut *connection)
                .await
                .map_err(judged)?;
            left = sessions(connection, username).await?;
            if left == 0 {
                break;
            }
        }
        Ok(left)
    }

    /// Asks the server afterwards.
    async fn prove(
        &self,
        connection: &mut PgConnection,
        login: Login<'_>,
        username: &str,
    ) -> Result<RevokeOutcome, IssueError> {
        let sql = "SELECT count(*) FROM pg_roles WHERE rolname = $1 AND (rolcanlogin OR $2)";
        let there: i64 = sqlx::query(sql)
            .bind(username)
            .bind(matches!(login, Login::Own))
            .fetch_one(&mut *connection)
            .await
            .and_then(|row| row.try_get(0))
            .map_err(judged)?;
        let left = sessions(connection, username).await?;
        Ok(if there == 0 && left == 0 {
            RevokeOutcome::Revoked { proven: true }
        } else {
            failed(format!("PostgreSQL took it, but {username} is there still"))
        })
    }

    pub(super) async fn sessions_of(&self, locator: &Locator) -> Result<Option<u64>, IssueError> {
        let Some(username) = locator.get(locator::USERNAME) else {
            return Ok(None);
        };
        self.server
            .run(async |connection| {
                let open = sessions(connection, username).await?;
                Ok(Some(open.cast_unsigned()))
            })
            .await
    }
}

async fn sessions(connection: &mut PgConnection, username: &str) -> Result<i64, IssueError> {
    let sql =
        "SELECT count(*) FROM pg_stat_activity WHERE usename = $1 AND pid <> pg_backend_pid()";
    sqlx::query(sql)
        .bind(username)
        .fetch_one(connection)
        .await
        .and_then(|row| row.try_get(0))
        .map_err(judged)
}

fn failed(reason: String) -> RevokeOutcome {
    RevokeOutcome::Failed { reason }
}

/// The server's no is a failed revocation, in its words; one that it cannot give is worth a later try.
fn refusal(error: sqlx::Error, but: &str) -> Result<RevokeOutcome, IssueError> {
    let words = words(&error);
    match judged(error) {
        IssueError::Refused { .. } => Ok(failed(format!("PostgreSQL: {words}{but}"))),
        other => Err(other),
    }
}
