//! Health, readiness and token introspection.

use super::Environment;
use serde::{Deserialize, Serialize};

/// The process runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Health {
    /// `ok`.
    pub status: String,
    /// This build's version.
    pub version: String,
}

/// Whether an issuer can be reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct IssuerHealth {
    /// The issuer, by configured name.
    pub issuer: String,
    /// Whether it answers.
    pub ready: bool,
    /// What it said, or why it cannot be reached; empty when ready.
    pub detail: String,
}

/// Whether a receiver of webhooks takes what it is sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct WebhookHealth {
    /// The receiver, by configured name.
    pub webhook: String,
    /// Whether it took the last one.
    pub ready: bool,
    /// Why it did not; empty when ready.
    pub detail: String,
    /// How many events of the log it has yet to be told of, or passed over.
    pub behind: u64,
}

/// Whether a destination of secrets can be written to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct DestinationHealth {
    /// The destination, by configured name.
    pub destination: String,
    /// Whether it takes secrets.
    pub ready: bool,
    /// Why it does not; empty when ready.
    pub detail: String,
}

/// Whether everything that is needed is there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Readiness {
    /// `ready`, `degraded` (an issuer or a destination is away and its requests wait, or a webhook fails) or `down` (nothing can be written).
    pub status: String,
    /// What is wrong with the store; empty when it is reachable.
    pub store: String,
    /// The log's head.
    pub sequence: u64,
    /// The issuers.
    pub issuers: Vec<IssuerHealth>,
    /// Receivers of webhooks.
    #[serde(default)]
    pub webhooks: Vec<WebhookHealth>,
    /// Destinations of secrets.
    #[serde(default)]
    pub destinations: Vec<DestinationHealth>,
}

/// The caller asks about a token (RFC 7662; as JSON or as a form).
#[derive(Clone, Deserialize, Serialize, utoipa::ToSchema)]
pub struct IntrospectionRequest {
    /// The token.
    #[schema(max_length = 8192)]
    pub token: String,
    /// Ignored: there is one kind of token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_type_hint: Option<String>,
}

impl std::fmt::Debug for IntrospectionRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("IntrospectionRequest { token: [REDACTED] }")
    }
}

/// A token, in the form of RFC 7662 and RFC 7009.
#[derive(Clone, Serialize, Deserialize, utoipa::ToSchema)]
pub struct TokenForm {
    /// The token.
    #[schema(max_length = 4096)]
    pub token: String,
    /// What it may be; not needed here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 128)]
    pub token_type_hint: Option<String>,
}

impl std::fmt::Debug for TokenForm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TokenForm").finish_non_exhaustive()
    }
}

/// A refusal as OAuth software reads it (RFC 6749, section 5.2).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct OAuthError {
    /// A word of the standard.
    #[schema(example = "invalid_request")]
    pub error: String,
    /// What would be accepted.
    pub error_description: String,
}

/// What is to be known of a token (RFC 7662). Whatever is not active says nothing else.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Introspection {
    /// Whether it is accepted.
    pub active: bool,
    /// Space-separated scopes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
    /// The client, by identifier.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    /// The credential: by name for a signed token, as it says itself; by identifier for any other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sub: Option<String>,
    /// Whom it may be shown to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aud: Option<String>,
    /// The broker's public address for a signed token, as it says itself; the log's origin for any other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub iss: Option<String>,
    /// When it ends, seconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exp: Option<i64>,
    /// When it was made, seconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub iat: Option<i64>,
    /// A signed token's own name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jti: Option<String>,
    /// `Bearer`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_type: Option<String>,
    /// Where it is used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<Environment>,
}
