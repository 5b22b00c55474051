//! What can go wrong with a command, the exit code for it, and how it is told: what, why, what would be
//! accepted, the request id, and what to do next.

use crate::client::login::LoginError;
use crate::client::sign::SigningError;
use crate::client::{ClientError, Delivery};
use crate::config::ConfigError;
use crate::display::sanitize::safe;
use crate::policy::PolicyError;

/// Why a command did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// The command line asks for something that makes no sense.
    #[error("{0}")]
    Usage(String),
    /// The configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A token that was given.
    #[error(transparent)]
    Login(#[from] LoginError),
    /// Nobody is signed in.
    #[error("not signed in at {origin}")]
    NotSignedIn {
        /// The broker.
        origin: String,
    },
    /// A call that did not give a value.
    #[error("cannot {doing}")]
    Call {
        /// What the call was for, as in "cannot …".
        doing: String,
        /// Why.
        #[source]
        source: ClientError,
        /// For a change: what settles it.
        key: Option<String>,
    },
    /// Nothing has this name.
    #[error("no {what} {name:?}")]
    NotFound {
        /// The kind of object.
        what: &'static str,
        /// What was asked for.
        name: String,
    },
    /// Nothing was signed.
    #[error("cannot {doing}")]
    Signing {
        /// What the signature was for, as in "cannot …".
        doing: String,
        /// Why.
        #[source]
        source: Box<SigningError>,
    },
    /// Several have.
    #[error("{name:?} could be any of {} {what}s: {}", .ids.len(), .ids.join(", "))]
    Ambiguous {
        /// The kind of object.
        what: &'static str,
        /// What was asked for.
        name: String,
        /// Those that fit.
        ids: Vec<String>,
    },
    /// The context is for looking only.
    #[error("context {0:?} is read-only")]
    ReadOnly(String),
    /// The object is not as it was.
    #[error("{subject} has changed: {detail}")]
    Changed {
        /// The object.
        subject: String,
        /// How.
        detail: String,
    },
    /// People must decide first.
    #[error("request {0} awaits approval")]
    AwaitsApproval(String),
    /// The answer was no.
    #[error("request {request} was denied: {reason}")]
    Denied {
        /// The request.
        request: String,
        /// Why.
        reason: String,
    },
    /// It came to another end than the one that was wanted.
    #[error("request {request} is {state}: {reason}")]
    Ended {
        /// The request.
        request: String,
        /// Where it is.
        state: String,
        /// Why.
        reason: String,
    },
    /// The time to wait was over first.
    #[error("{subject} is still {state}")]
    NotConverged {
        /// The object.
        subject: String,
        /// Where it is.
        state: String,
    },
    /// The log is not what it should be.
    #[error("the log does not verify: {0}")]
    Unverified(String),
    /// A person thought better of it.
    #[error("nothing was changed: {0}")]
    Declined(String),
    /// At least one check failed.
    #[error("{0} of the checks failed")]
    Unfit(usize),
    /// A policy that cannot be used.
    #[error(transparent)]
    Policy(PolicyError),
    /// Cases that a policy does not decide as they say.
    #[error("{0} of the policy's cases failed")]
    Cases(usize),
    /// A file or the terminal.
    #[error("cannot {doing}")]
    Files {
        /// What was being done.
        doing: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Output could not be written.
    #[error("cannot write the output")]
    Output(#[from] std::io::Error),
}

impl CliError {
    /// A call that failed, and what it was for.
    pub fn call(doing: impl Into<String>) -> impl FnOnce(ClientError) -> Self {
        let doing = doing.into();
        move |source| Self::Call {
            doing,
            source,
            key: None,
        }
    }

    /// A signature that was not made, and what it was for.
    pub fn signing(doing: impl Into<String>) -> impl FnOnce(SigningError) -> Self {
        let doing = doing.into();
        move |source| match source {
            SigningError::Call(source) => Self::Call {
                doing,
                source,
                key: None,
            },
            source => Self::Signing {
                doing,
                source: Box::new(source),
            },
        }
    }

    /// A file that failed, and what was being done.
    pub fn files(doing: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let doing = doing.into();
        move |source| Self::Files { doing, source }
    }

    /// Whether the reader of the output has gone, which is no failure.
    pub fn is_broken_pipe(&self) -> bool {
        matches!(self, Self::Output(error) if error.kind() == std::io::ErrorKind::BrokenPipe)
    }

    /// Whether the broker does not know the token.
    pub fn is_unauthenticated(&self) -> bool {
        matches!(self, Self::Call { source, .. } if source.is_unauthenticated())
    }
}

/// The exit code: 1 failure, 2 usage, 3 refused, 4 awaits approval, 5 not converged, 6 changed since
/// looked at, 7 unreachable. 0 for output that nobody reads to its end.
pub fn exit_code(error: &CliError) -> u8 {
    match error {
        error if error.is_broken_pipe() => 0,
        CliError::Usage(_)
        | CliError::Config(_)
        | CliError::Login(_)
        | CliError::Ambiguous { .. } => 2,
        CliError::NotSignedIn { .. } | CliError::ReadOnly(_) | CliError::Denied { .. } => 3,
        CliError::AwaitsApproval(_) => 4,
        CliError::NotConverged { .. } => 5,
        CliError::Changed { .. } => 6,
        CliError::Signing { source, .. } => match source.as_ref() {
            SigningError::Changed(_) => 6,
            SigningError::NoKey { .. } => 3,
            _ => 1,
        },
        CliError::Call { source, .. } => call_code(source),
        CliError::NotFound { .. }
        | CliError::Ended { .. }
        | CliError::Unverified(_)
        | CliError::Declined(_)
        | CliError::Unfit(_)
        | CliError::Policy(_)
        | CliError::Cases(_)
        | CliError::Files { .. }
        | CliError::Output(_) => 1,
    }
}

fn call_code(error: &ClientError) -> u8 {
    match error {
        error if error.is_unreachable() => 7,
        ClientError::Address { .. } | ClientError::Setup { .. } | ClientError::Encode { .. } => 2,
        // Something before the broker could not reach it either.
        ClientError::Status {
            status: 502 | 504, ..
        } => 7,
        error => match error.status() {
            Some(400 | 413 | 415 | 422) => 2,
            Some(401 | 403) => 3,
            Some(412) => 6,
            _ => 1,
        },
    }
}

/// The error as it is told, sanitised, a line each: the sentence, the fields, the request id, the hint.
pub fn describe(error: &CliError) -> Vec<String> {
    let mut sentence = error.to_string();
    let mut lines = Vec::new();
    let mut source = std::error::Error::source(error);
    // A problem's fields get lines of their own below.
    if let CliError::Call {
        source: ClientError::Problem(problem),
        ..
    } = error
    {
        let words = [problem.title.as_str(), problem.detail.as_str()];
        let words: Vec<&str> = words.into_iter().filter(|word| !word.is_empty()).collect();
        sentence.push_str(&format!(": {}", words.join(": ")));
        for field in &problem.errors {
            lines.push(format!("  {}: {}", flag(&field.pointer), field.detail));
        }
        for changed in &problem.changed {
            lines.push(format!("  since then: {changed}"));
        }
        if !problem.instance.is_empty() {
            lines.push(format!("  request id: {}", problem.instance));
        }
        source = None;
    }
    while let Some(cause) = source {
        sentence.push_str(&format!(": {cause}"));
        source = cause.source();
    }
    lines.insert(0, sentence);
    lines.extend(hint(error).map(|hint| format!("  hint: {hint}")));
    lines.iter().map(|line| safe(line).into_owned()).collect()
}

/// What to do next, where that can be said.
fn hint(error: &CliError) -> Option<String> {
    match error {
        CliError::NotSignedIn { .. } => {
            Some("`countersign login`, or set COUNTERSIGN_TOKEN".to_owned())
        }
        CliError::AwaitsApproval(request) if request.starts_with("req_") => Some(format!(
            "`countersign request show {request}` says who can decide it"
        )),
        CliError::NotFound { what, .. } => {
            Some(format!("`countersign {what} list` shows what there is"))
        }
        CliError::Ambiguous { .. } => Some("name it by its identifier".to_owned()),
        CliError::ReadOnly(_) => {
            Some("use another context, or remove read_only from this one".to_owned())
        }
        CliError::Changed { .. } => Some("look at it again, then decide".to_owned()),
        CliError::NotConverged { .. } => {
            Some("it goes on by itself; wait longer with --timeout, or look again later".to_owned())
        }
        CliError::Call { source, key, .. } => match (source.delivery(), key) {
            _ if source.is_unauthenticated() => {
                Some("the token is unknown, expired or withdrawn: `countersign login`".to_owned())
            }
            (Delivery::Unknown, Some(key)) => Some(format!(
                "it may have been carried out: the same command with --idempotency-key {key} settles it and does it once"
            )),
            _ if source.status() == Some(412) => Some("look at it again, then decide".to_owned()),
            _ => source
                .retry_after()
                .map(|wait| format!("the broker asks to come back in {} s", wait.as_secs())),
        },
        _ => None,
    }
}

/// The flag or argument that a JSON pointer into a request's body came from.
pub fn flag(pointer: &str) -> String {
    let mut parts = pointer.trim_start_matches('/').splitn(2, '/');
    let field = parts.next().unwrap_or_default();
    let flag = match field {
        "" => return "the request".to_owned(),
        "credential" | "name" => field.to_uppercase(),
        "environment" => "--env".to_owned(),
        "scopes" => "--scope".to_owned(),
        "tags" => "--tag".to_owned(),
        "groups" => "--group".to_owned(),
        "roles" => "--role".to_owned(),
        "dependents" => "--dependent".to_owned(),
        "token_ttl_s" | "ttl_s" => "--ttl".to_owned(),
        "cadence_s" => "--cadence".to_owned(),
        other => format!("--{}", other.replace('_', "-")),
    };
    match parts.next().map(|rest| rest.parse::<usize>()) {
        // People count from one.
        Some(Ok(index)) => format!("{flag} (number {})", index.saturating_add(1)),
        Some(Err(_)) | None => flag,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{Fault, FieldError, Problem};

    fn problem(status: u16) -> Problem {
        Problem {
            kind: "/problems/invalid".into(),
            title: "Not acceptable".into(),
            status,
            detail: "one field cannot be accepted".into(),
            instance: "0199-abc".into(),
            fault: Fault::Caller,
            retry_after_s: None,
            errors: Vec::new(),
            trace_id: None,
            current_sequence: None,
            changed: Vec::new(),
        }
    }

    fn call(source: ClientError) -> CliError {
        CliError::Call {
            doing: "revoke x".into(),
            source,
            key: Some("k-1".into()),
        }
    }

    fn status(status: u16) -> CliError {
        call(ClientError::Problem(Box::new(problem(status))))
    }

    #[test]
    fn every_failure_has_its_exit_code() {
        let text = || "x".to_owned();
        let origin = || "http://localhost:1".to_owned();
        let io = |kind: std::io::ErrorKind| CliError::Output(kind.into());
        let plain = |status| {
            call(ClientError::Status {
                origin: origin(),
                status,
                retry_after: None,
            })
        };
        let table = [
            (io(std::io::ErrorKind::BrokenPipe), 0),
            (io(std::io::ErrorKind::StorageFull), 1),
            (
                CliError::NotFound {
                    what: "credential",
                    name: text(),
                },
                1,
            ),
            (
                CliError::Ended {
                    request: text(),
                    state: text(),
                    reason: text(),
                },
                1,
            ),
            (CliError::Unverified(text()), 1),
            (CliError::Declined(text()), 1),
            (CliError::Unfit(1), 1),
            (status(404), 1),
            (status(409), 1),
            (status(500), 1),
            (status(503), 1),
            (call(ClientError::TooLarge { limit_bytes: 1 }), 1),
            (call(ClientError::Decode { reason: text() }), 1),
            (CliError::Usage(text()), 2),
            (CliError::Config(ConfigError::NoContext), 2),
            (
                CliError::Ambiguous {
                    what: "client",
                    name: text(),
                    ids: vec![],
                },
                2,
            ),
            (
                call(ClientError::Address {
                    url: text(),
                    reason: text(),
                }),
                2,
            ),
            (status(400), 2),
            (status(413), 2),
            (status(422), 2),
            (CliError::NotSignedIn { origin: origin() }, 3),
            (CliError::ReadOnly(text()), 3),
            (
                CliError::Denied {
                    request: text(),
                    reason: text(),
                },
                3,
            ),
            (status(401), 3),
            (status(403), 3),
            (CliError::AwaitsApproval(text()), 4),
            (
                CliError::NotConverged {
                    subject: text(),
                    state: text(),
                },
                5,
            ),
            (
                CliError::Changed {
                    subject: text(),
                    detail: text(),
                },
                6,
            ),
            (status(412), 6),
            (
                call(ClientError::Connect {
                    origin: origin(),
                    reason: text(),
                }),
                7,
            ),
            (
                call(ClientError::Untrusted {
                    origin: origin(),
                    reason: text(),
                }),
                7,
            ),
            (call(ClientError::Timeout { origin: origin() }), 7),
            (
                call(ClientError::Interrupted {
                    origin: origin(),
                    reason: text(),
                }),
                7,
            ),
            (plain(502), 7),
            (plain(504), 7),
        ];
        for (error, code) in table {
            assert_eq!(exit_code(&error), code, "{error:?}");
        }
    }

    #[test]
    fn a_refusal_names_the_flags_the_request_and_what_would_do() {
        let field = |pointer: &str, detail: &str| FieldError {
            pointer: pointer.into(),
            detail: detail.into(),
        };
        let error = call(ClientError::Problem(Box::new(Problem {
            errors: vec![
                field("/ttl_s", "expected 60 to 63072000 seconds"),
                field("/scopes/1", "is in the list already\u{1b}[2J"),
            ],
            ..problem(422)
        })));
        assert_eq!(
            describe(&error),
            [
                "cannot revoke x: Not acceptable: one field cannot be accepted",
                "  --ttl: expected 60 to 63072000 seconds",
                "  --scope (number 2): is in the list already␛[2J",
                "  request id: 0199-abc",
            ]
        );
    }

    #[test]
    fn what_may_have_happened_is_said_with_its_key() {
        let lost = call(ClientError::Timeout {
            origin: "http://localhost:1".into(),
        });
        let told = describe(&lost).join("\n");
        assert!(told.starts_with("cannot revoke x: the broker at"), "{told}");
        assert!(told.contains("--idempotency-key k-1"), "{told}");
    }
}
