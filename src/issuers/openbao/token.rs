//! The broker's own token at a server: whether it lives, and its renewal.

use super::http::{Api, As, CallError, Envelope};
use super::{TokenFacts, data};
use reqwest::Method;
use serde_json::{Value, json};

impl Api {
    /// What the server knows about the token that calls are made with.
    pub(crate) async fn own_token(&self) -> Result<TokenFacts, CallError> {
        let path = "auth/token/lookup-self";
        let answer: Option<Envelope<TokenFacts>> = self
            .call(As::Broker, "readiness", Method::GET, path, None)
            .await?;
        data(answer, path)
    }

    /// Whether the server does not know the token any more: in which words, if so.
    pub(crate) async fn token_is_dead(&self) -> Option<String> {
        match self.own_token().await {
            Err(CallError::Status { status: 403, .. }) => Some(self.dead_token()),
            _ => None,
        }
    }

    /// Asks whether the token lives, and renews it when half spent.
    ///
    /// # Errors
    /// Why the server cannot be worked with, in words that a person can act on.
    pub(crate) async fn keep_token(&self) -> Result<(), String> {
        let token = self.own_token().await.map_err(|error| match &error {
            CallError::Unreachable(cause) => format!("cannot reach {}: {cause}", self.address()),
            CallError::Status { status: 403, .. } => self.dead_token(),
            other => other.text(),
        })?;
        if token.renewable && token.ttl < token.creation_ttl / 2 {
            let path = "auth/token/renew-self";
            let renewed: Result<Option<Envelope<Value>>, _> = self
                .call(
                    As::Broker,
                    "readiness",
                    Method::POST,
                    path,
                    Some(&json!({})),
                )
                .await;
            renewed
                .map_err(|error| format!("cannot renew the broker's token: {}", error.text()))?;
        }
        Ok(())
    }

    fn dead_token(&self) -> String {
        format!(
            "it does not accept the broker's token (expired or revoked); put a valid one in {}",
            self.token_origin()
        )
    }
}
