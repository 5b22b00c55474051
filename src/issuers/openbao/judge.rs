//! What a failed call means: try later, never, or find out first. One place, so that every caller judges alike.

use super::http::CallError;
use crate::issuers::IssueError;

pub(crate) const OPENBAO: &str = "OpenBao";
pub(crate) const POSTGRESQL: &str = "PostgreSQL";

/// A call that may be repeated without harm: whatever is not the server's clear no is worth a later try.
pub(crate) fn repeatable(error: &CallError) -> IssueError {
    match error {
        CallError::Lost(reason) => unavailable(OPENBAO, reason.clone(), None),
        CallError::Status {
            status: 500..=599, ..
        } => standing(error)
            .or_else(|| database(error))
            .unwrap_or_else(|| unavailable(OPENBAO, error.text(), None)),
        other => clear(other),
    }
}

/// The call that mints. A lost answer or an unexplained 500 leaves open whether a login exists.
pub(crate) fn minting(error: &CallError) -> IssueError {
    match error {
        CallError::Lost(reason) => IssueError::Unknown {
            system: OPENBAO,
            reason: reason.clone(),
        },
        CallError::Status {
            status: 500..=599, ..
        } => standing(error)
            .or_else(|| database(error))
            .unwrap_or_else(|| IssueError::Unknown {
                system: OPENBAO,
                reason: error.text(),
            }),
        other => clear(other),
    }
}

/// What can be told from the answer whatever was asked.
fn clear(error: &CallError) -> IssueError {
    match error {
        CallError::Status {
            status: 429,
            retry_after_s,
            ..
        } => {
            let reason = match error.text() {
                text if text == "HTTP 429" => "it is catching up with its leader".to_owned(),
                text => text,
            };
            unavailable(OPENBAO, reason, *retry_after_s)
        }
        CallError::Status {
            status: 300..=399, ..
        } => unavailable(
            OPENBAO,
            "it points to another node; give the active node's address".to_owned(),
            None,
        ),
        CallError::Status { .. } => IssueError::Refused {
            system: OPENBAO,
            reason: error.text(),
        },
        CallError::Unreachable(reason) | CallError::NoToken(reason) | CallError::Lost(reason) => {
            unavailable(OPENBAO, reason.clone(), None)
        }
    }
}

/// The states of a server in which it does nothing at all.
fn standing(error: &CallError) -> Option<IssueError> {
    if error.status() == Some(503) {
        return Some(unavailable(OPENBAO, error.text(), None));
    }
    error
        .says("active cluster node not found")
        .then(|| unavailable(OPENBAO, "the cluster has no active node".into(), None))
}

/// PostgreSQL's own failures, passed on by OpenBao with status 500. Its transaction is rolled back, so nothing exists.
fn database(error: &CallError) -> Option<IssueError> {
    let text = error.text();
    if error.says("failed to connect")
        || error.says("unable to start transaction")
        || error.says("connection refused")
    {
        return Some(unavailable(POSTGRESQL, text, None));
    }
    let state = text.split_once("SQLSTATE ")?.1.trim_start();
    // 08 connection, 53 out of resources, 57 told to stop: they pass. Anything else needs a person.
    if ["08", "53", "57"]
        .iter()
        .any(|class| state.starts_with(class))
    {
        return Some(unavailable(POSTGRESQL, text, None));
    }
    Some(IssueError::Refused {
        system: POSTGRESQL,
        reason: text,
    })
}

pub(crate) fn unavailable(
    system: &'static str,
    reason: String,
    retry_after_s: Option<u64>,
) -> IssueError {
    IssueError::Unavailable {
        system,
        reason,
        retry_after_s,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(status: u16, text: &str) -> CallError {
        let errors = if text.is_empty() {
            vec![]
        } else {
            vec![text.to_owned()]
        };
        CallError::Status {
            status,
            errors,
            retry_after_s: Some(4),
        }
    }

    /// What a failure means when minting, and when the call may be repeated: U unavailable, R refused, ? unknown.
    #[test]
    fn every_failure_has_one_meaning() {
        let table = [
            (
                CallError::Unreachable("Connection refused".into()),
                "U OpenBao",
                "U OpenBao",
            ),
            (
                CallError::Lost("no answer in time".into()),
                "? OpenBao",
                "U OpenBao",
            ),
            (CallError::NoToken("empty".into()), "U OpenBao", "U OpenBao"),
            (status(503, "Vault is sealed"), "U OpenBao", "U OpenBao"),
            (
                status(
                    500,
                    "local node not active but active cluster node not found",
                ),
                "U OpenBao",
                "U OpenBao",
            ),
            (status(500, "internal error"), "? OpenBao", "U OpenBao"),
            (
                status(500, "unable to start transaction: failed to connect to `x`"),
                "U PostgreSQL",
                "U PostgreSQL",
            ),
            (
                status(500, "ERROR: syntax error (SQLSTATE 42601)"),
                "R PostgreSQL",
                "R PostgreSQL",
            ),
            (
                status(500, "FATAL: starting up (SQLSTATE 57P03)"),
                "U PostgreSQL",
                "U PostgreSQL",
            ),
            (status(400, "unknown role: x"), "R OpenBao", "R OpenBao"),
            (status(403, "permission denied"), "R OpenBao", "R OpenBao"),
            (status(429, ""), "U OpenBao", "U OpenBao"),
            (status(307, ""), "U OpenBao", "U OpenBao"),
        ];
        let short = |error: IssueError| match error {
            IssueError::Unavailable { system, .. } => format!("U {system}"),
            IssueError::Refused { system, .. } => format!("R {system}"),
            IssueError::Unknown { system, .. } => format!("? {system}"),
        };
        for (error, when_minting, when_repeatable) in table {
            assert_eq!(short(minting(&error)), when_minting, "{error:?}");
            assert_eq!(short(repeatable(&error)), when_repeatable, "{error:?}");
        }
        assert!(matches!(
            minting(&status(429, "quota")),
            IssueError::Unavailable {
                retry_after_s: Some(4),
                ..
            }
        ));
    }
}
