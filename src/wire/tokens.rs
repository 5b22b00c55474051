//! What readers of tokens are told of the broker.

use serde::{Deserialize, Serialize};

/// The broker as an authorization server (RFC 8414). It grants nothing by itself: credentials are asked for and approved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ServerMetadata {
    /// In whose name tokens are signed.
    pub issuer: String,
    /// Where the keys are.
    pub jwks_uri: String,
    /// Where a token is asked about.
    pub introspection_endpoint: String,
    /// How whoever asks proves who they are.
    pub introspection_endpoint_auth_methods_supported: Vec<String>,
    /// None.
    pub grant_types_supported: Vec<String>,
    /// None.
    pub response_types_supported: Vec<String>,
    /// Where the status lists are named.
    pub status_list_aggregation_endpoint: String,
}

/// All status lists.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct StatusListAggregation {
    /// Their addresses.
    pub status_lists: Vec<String>,
}
