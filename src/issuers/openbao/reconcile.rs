//! The sweep: child tokens of ours that the broker does not know are revoked with all they hold, then logins that
//! OpenBao itself lost track of are dropped in the database.

use super::http::{As, CallError, Envelope};
use super::{Inner, MADE_BY, TokenFacts, data, judge, orphans};
use crate::issuers::{IssueError, LeftoverAttempt, Locator, ReconcileReport};
use reqwest::Method;
use serde::Deserialize;
use serde_json::json;
use std::collections::{BTreeMap, HashSet};

#[derive(Deserialize)]
struct Keys {
    keys: Vec<String>,
}

impl Inner {
    pub(super) async fn sweep(&self, known: &[Locator]) -> Result<ReconcileReport, IssueError> {
        // Listed before anything is asked: an attempt that begins now is too young to be taken for a leftover.
        let (accessors, _) = self.under_way.spared(known);
        let mut report = ReconcileReport::default();
        let listed = match self.list_accessors().await {
            Ok(listed) => listed,
            Err(error) => {
                let judged = judge::repeatable(&error);
                return Err(self.judge_denied(error, judged).await);
            }
        };
        self.foreign
            .lock()
            .retain(|accessor| listed.contains(accessor));
        for accessor in listed {
            if accessors.contains(&accessor) || self.foreign.lock().contains(&accessor) {
                continue;
            }
            self.end_if_leftover(accessor, &mut report).await?;
        }
        if let Some(url) = &self.config.postgres_url {
            let (_, usernames) = self.under_way.spared(known);
            let found = orphans::Orphans {
                prefix: &self.config.login_prefix,
                min_age_s: self.config.orphan_age_s,
            };
            if let Err(cause) = found.drop_all(url, &usernames, &mut report).await {
                report.failures.push(format!(
                    "PostgreSQL cannot be searched for lost logins: {cause}"
                ));
            }
        }
        Ok(report)
    }

    /// Not paged by OpenBao; an empty list is a 404.
    async fn list_accessors(&self) -> Result<HashSet<String>, CallError> {
        let path = "auth/token/accessors";
        let list = Method::from_bytes(b"LIST").expect("LIST is a token as HTTP wants it");
        match self
            .api
            .call::<Keys>(As::Broker, "reconcile", list, path, None)
            .await
        {
            Err(error) if error.status() == Some(404) => Ok(HashSet::new()),
            other => Ok(data(other?, path)?.keys.into_iter().collect()),
        }
    }

    async fn end_if_leftover(
        &self,
        accessor: String,
        report: &mut ReconcileReport,
    ) -> Result<(), IssueError> {
        let path = "auth/token/lookup-accessor";
        let body = json!({"accessor": accessor});
        let answer: Result<Option<Envelope<TokenFacts>>, _> = self
            .api
            .call(As::Broker, "reconcile", Method::POST, path, Some(&body))
            .await;
        let facts = match answer.and_then(|answer| data(answer, path)) {
            Ok(facts) => facts,
            // Ended since it was listed, or a stale entry: both are common.
            Err(CallError::Status {
                status: 400..=499, ..
            }) => return Ok(()),
            Err(error) => return Err(judge::repeatable(&error)),
        };
        let meta = facts.meta.unwrap_or_default();
        let is = |name: &str, value: &str| meta.get(name).is_some_and(|found| found == value);
        if !is("made_by", MADE_BY) || !is("broker", &self.config.name) {
            self.foreign.lock().insert(accessor);
            return Ok(());
        }
        // Both by the server's clock. It also spares an attempt prepared after the list of the known was drawn up.
        if facts.creation_ttl.saturating_sub(facts.ttl) < self.config.orphan_age_s {
            return Ok(());
        }
        match self.revoke_token("reconcile", &accessor).await {
            Ok(()) => report.attempts_removed.push(leftover(accessor, &meta)),
            Err(error) => report.failures.push(format!(
                "the attempt with accessor {accessor} stays: {error}"
            )),
        }
        Ok(())
    }
}

fn leftover(token_accessor: String, meta: &BTreeMap<String, String>) -> LeftoverAttempt {
    let noted = |name: &str| meta.get(name).cloned().unwrap_or_default();
    LeftoverAttempt {
        token_accessor,
        request_id: noted("request_id"),
        attempt_key: noted("attempt_key"),
    }
}
