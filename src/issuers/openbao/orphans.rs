//! Logins that OpenBao made and lost: when its client hangs up in the middle of an issuance, a PostgreSQL role can be
//! left without any lease. Only the database still knows it, so this looks there.

use crate::issuers::ReconcileReport;
use crate::secret::SecretMaterial;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, PgConnection, Row as _};
use std::collections::HashSet;
use std::str::FromStr as _;
use std::time::Duration;

const CONNECT_WITHIN: Duration = Duration::from_secs(5);

/// Which logins may be judged at all.
pub(super) struct Orphans<'a> {
    /// Only names that begin so are ours.
    pub(super) prefix: &'a str,
    /// Only logins at least this old, in seconds, by the time at the end of their name.
    pub(super) min_age_s: u64,
}

/// Whether the database can be reached and answers. The cause never holds the URL, which holds a password.
pub(super) async fn reachable(url: &SecretMaterial) -> Result<(), String> {
    let mut connection = connect(url).await?;
    connection.ping().await.map_err(|error| error.to_string())?;
    connection.close().await.map_err(|error| error.to_string())
}

async fn connect(url: &SecretMaterial) -> Result<PgConnection, String> {
    let options = sqlx::postgres::PgConnectOptions::from_str(url.expose())
        .map_err(|_| {
            "postgres_url is not of the form postgres://user:password@host:port/database".to_owned()
        })?
        .disable_statement_logging();
    match tokio::time::timeout(CONNECT_WITHIN, PgConnection::connect_with(&options)).await {
        Ok(connected) => connected.map_err(|error| error.to_string()),
        Err(_) => Err(format!(
            "no connection within {} s",
            CONNECT_WITHIN.as_secs()
        )),
    }
}

impl Orphans<'_> {
    /// Ends and drops every login of ours that is not in `spared`, and reports each.
    pub(super) async fn drop_all(
        &self,
        url: &SecretMaterial,
        spared: &HashSet<String>,
        report: &mut ReconcileReport,
    ) -> Result<(), String> {
        let mut connection = connect(url).await?;
        let rows = sqlx::query(
            "SELECT rolname::text, extract(epoch FROM now())::bigint FROM pg_roles \
             WHERE starts_with(rolname::text, $1) AND NOT rolsuper ORDER BY 1",
        )
        .bind(self.prefix)
        .fetch_all(&mut connection)
        .await
        .map_err(|error| error.to_string())?;
        for row in rows {
            let (name, now): (String, i64) = (row.get(0), row.get(1));
            let old_enough = made_at(&name).is_some_and(|at| now - at >= self.min_age_s as i64);
            if !old_enough || spared.contains(&name) {
                continue;
            }
            match drop_login(&mut connection, &name).await {
                Ok(()) => report.logins_removed.push(name),
                Err(error) => report
                    .failures
                    .push(format!("the lost login {name} stays: {error}")),
            }
        }
        connection.close().await.map_err(|error| error.to_string())
    }
}

/// The Unix second at the end of the name that OpenBao's template gives a login.
fn made_at(name: &str) -> Option<i64> {
    name.rsplit_once('-')?.1.parse().ok()
}

/// No new session, then no session, then nothing owned, then no role. What it owned goes to us, not away.
async fn drop_login(connection: &mut PgConnection, name: &str) -> Result<(), sqlx::Error> {
    let quoted = format!("\"{}\"", name.replace('"', "\"\""));
    let run = |text: String| sqlx::raw_sql(AssertSqlSafe(text));
    run(format!("ALTER ROLE {quoted} NOLOGIN"))
        .execute(&mut *connection)
        .await?;
    sqlx::query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = $1")
        .bind(name)
        .execute(&mut *connection)
        .await?;
    let rest = format!(
        "BEGIN; REASSIGN OWNED BY {quoted} TO CURRENT_USER; DROP OWNED BY {quoted}; DROP ROLE {quoted}; COMMIT"
    );
    if let Err(error) = run(rest).execute(&mut *connection).await {
        run("ROLLBACK".to_owned()).execute(&mut *connection).await?;
        return Err(error);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_is_read_from_the_name() {
        assert_eq!(
            made_at("v-token-cs-app-ro-safTocPPStXa9R5QIFO5-1795308892"),
            Some(1_795_308_892)
        );
        assert_eq!(made_at("v-token-cs-by-hand"), None);
        assert_eq!(made_at("postgres"), None);
    }
}
