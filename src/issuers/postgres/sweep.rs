//! The sweep: logins of ours that the broker does not know, and those whose time is over, are ended.

use super::note::Note;
use super::server::judged;
use super::{Inner, Login};
use crate::issuers::{IssueError, Locator, ReconcileReport, RevokeOutcome, locator};
use sqlx::Row as _;
use std::collections::HashSet;

/// A login at the server that may be one of ours.
struct Found {
    name: String,
    can_log_in: bool,
    /// Its `VALID UNTIL` has passed.
    over: bool,
    comment: Option<String>,
    /// The server's clock, in seconds since 1970.
    now: i64,
}

impl Inner {
    pub(super) async fn sweep(&self, known: &[Locator]) -> Result<ReconcileReport, IssueError> {
        // Listed before anything is asked: an attempt that begins now is too young to be taken for a leftover.
        let (attempts, usernames) = self.under_way.spared(known);
        let written: HashSet<&str> = (known.iter())
            .filter_map(|locator| Some(locator.get(locator::ATTEMPT)?.as_str()))
            .collect();
        let shared: Vec<String> = (self.config.role.values())
            .flat_map(|role| role.logins.iter().cloned())
            .collect();
        self.server
            .run(async |connection| {
                let sql = "SELECT rolname::text, rolcanlogin, coalesce(rolvaliduntil <= now(), false), \
                           shobj_description(oid, 'pg_authid'), extract(epoch FROM now())::bigint FROM pg_roles \
                           WHERE (starts_with(rolname::text, $1) OR rolname::text = ANY($2)) AND NOT rolsuper ORDER BY 1";
                let rows = sqlx::query(sql)
                    .bind(self.prefix())
                    .bind(&shared)
                    .fetch_all(&mut *connection)
                    .await
                    .map_err(judged)?;
                let mut report = ReconcileReport::default();
                for row in rows {
                    let found = Found {
                        name: row.get(0),
                        can_log_in: row.get(1),
                        over: row.get(2),
                        comment: row.get(3),
                        now: row.get(4),
                    };
                    let Some((login, note)) = self.leftover(&found, &written, &attempts, &usernames) else {
                        continue;
                    };
                    let why = if found.over {
                        "whose time was over"
                    } else {
                        "that nothing explains"
                    };
                    let attempt = Some(note.attempt.as_str());
                    match self.end(connection, login, &found.name, attempt).await {
                        Ok(RevokeOutcome::Revoked { .. } | RevokeOutcome::NothingToDo) => report
                            .others_removed
                            .push(format!("login {} of attempt {}, {why}", found.name, note.attempt)),
                        Ok(RevokeOutcome::Failed { reason }) => report
                            .failures
                            .push(format!("the login {}, {why}, stays: {reason}", found.name)),
                        // Another may fare better, but not on this connection.
                        Err(error) => {
                            report.failures.push(format!(
                                "the login {}, {why}, stays: {error}",
                                found.name
                            ));
                            break;
                        }
                    }
                }
                Ok(report)
            })
            .await
    }

    /// Whether a login is to be ended, and what its comment says.
    fn leftover(
        &self,
        found: &Found,
        known: &HashSet<&str>,
        attempts: &HashSet<String>,
        usernames: &HashSet<String>,
    ) -> Option<(Login<'_>, Note)> {
        let login = self.login(&found.name)?;
        let note = Note::of(found.comment.as_deref(), &self.config.name)?;
        // What this process made lately counts only while it may live: the broker has not said yet that it knows it.
        let spared = if found.over {
            known.contains(note.attempt.as_str())
        } else {
            attempts.contains(&note.attempt)
                || matches!(login, Login::Own) && usernames.contains(&found.name)
        };
        let ended = matches!(login, Login::Shared(_)) && !found.can_log_in;
        let young = found.now - note.at < self.config.orphan_age_s.min(i64::MAX as u64) as i64;
        (!spared && !ended && (found.over || !young)).then_some((login, note))
    }
}
