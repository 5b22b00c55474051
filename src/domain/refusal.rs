//! Why a command changes nothing. A refusal is a value with what the caller can do about it, never just a no.

use super::Environment;

/// One field that was not acceptable, by JSON pointer into what was sent.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FieldError {
    /// JSON pointer (RFC 6901) into the body, such as `/scopes/2`; empty for the whole body.
    #[schema(example = "/ttl_s")]
    pub pointer: String,
    /// What would be accepted.
    pub detail: String,
}

/// Why nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No such object, or none that the caller may see.
    #[error("no {what} {id}")]
    NotFound {
        /// The kind of object.
        what: &'static str,
        /// What was asked for.
        id: String,
    },
    /// Fields that are not acceptable.
    #[error("{} of the request cannot be accepted", if .0.len() == 1 { "one field" } else { "some fields" })]
    Invalid(Vec<FieldError>),
    /// The object is in a state in which this cannot be done.
    #[error("{detail}")]
    Conflict {
        /// What stands in the way, and what would work.
        detail: String,
    },
    /// The object has changed since the caller looked.
    #[error("{subject} has changed since sequence {seen}: {}", .changed.join(", "))]
    Stale {
        /// The object.
        subject: String,
        /// The sequence the caller had seen.
        seen: u64,
        /// The sequence of its last change.
        current: u64,
        /// What happened in between, oldest first.
        changed: Vec<String>,
    },
    /// The caller's roles do not allow this.
    #[error("this needs the role {} in {environment}", .needs.join(" or "))]
    Role {
        /// Any of these roles would do.
        needs: Vec<&'static str>,
        /// In this environment.
        environment: Environment,
    },
    /// A rule of separation of duties.
    #[error("{detail}")]
    Separation {
        /// The rule, as a stable word.
        rule: &'static str,
        /// What it says, and who could do it instead.
        detail: String,
    },
    /// The same idempotency key came with another body.
    #[error("this idempotency key was used for a different request")]
    KeyReused,
    /// The secret was handed out already; it is shown once.
    #[error("the secret of {request} was claimed already; a secret is shown once")]
    AlreadyClaimed {
        /// The request.
        request: String,
    },
    /// A bound on how many of something there may be.
    #[error("{detail}")]
    Limit {
        /// Which bound, and how to get below it.
        detail: String,
    },
}

impl Refusal {
    /// The stable slug that problem details, exit codes and documents use.
    pub const fn slug(&self) -> &'static str {
        match self {
            Self::NotFound { .. } => "not-found",
            Self::Invalid(_) => "invalid",
            Self::Conflict { .. } => "conflict",
            Self::Stale { .. } => "stale",
            Self::Role { .. } => "role-required",
            Self::Separation { .. } => "separation-of-duties",
            Self::KeyReused => "idempotency-key-reused",
            Self::AlreadyClaimed { .. } => "already-claimed",
            Self::Limit { .. } => "limit-reached",
        }
    }
}
