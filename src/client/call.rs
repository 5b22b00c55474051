//! One request, before it is sent: a value that can be sent again unchanged.

use bytes::Bytes;
use reqwest::Method;
use serde::Serialize;

use super::error::ClientError;

/// A request to the broker. Cloning is cheap; sending it twice sends the same bytes and keys.
#[derive(Clone, Debug)]
pub struct Call {
    pub(super) method: Method,
    pub(super) path: Vec<String>,
    pub(super) query: Vec<(String, String)>,
    pub(super) body: Option<Bytes>,
    pub(super) accept: &'static str,
    pub(super) idempotency_key: Option<String>,
    pub(super) if_match: Option<String>,
    pub(super) last_event_id: Option<u64>,
}

impl Call {
    /// Reads. The path is given in segments (`["v1", "credentials", id]`), each encoded by itself.
    pub fn get<'a>(path: impl IntoIterator<Item = &'a str>) -> Self {
        Self::new(Method::GET, path)
    }

    /// Deletes: may be repeated without harm, so it is retried like a read.
    pub fn delete<'a>(path: impl IntoIterator<Item = &'a str>) -> Self {
        Self::new(Method::DELETE, path)
    }

    /// Asks with a body and changes nothing, or carries an idempotency key added by
    /// [`Call::idempotent`]; without that it is sent once and never again.
    ///
    /// # Errors
    /// [`ClientError::Encode`] when the body cannot be written as JSON.
    pub fn post<'a>(
        path: impl IntoIterator<Item = &'a str>,
        body: &impl Serialize,
    ) -> Result<Self, ClientError> {
        Self::new(Method::POST, path).body(body)
    }

    /// Replaces: may be repeated without harm, so it is retried like a read.
    ///
    /// # Errors
    /// [`ClientError::Encode`] when the body cannot be written as JSON.
    pub fn put<'a>(
        path: impl IntoIterator<Item = &'a str>,
        body: &impl Serialize,
    ) -> Result<Self, ClientError> {
        Self::new(Method::PUT, path).body(body)
    }

    fn new<'a>(method: Method, path: impl IntoIterator<Item = &'a str>) -> Self {
        Self {
            method,
            path: path.into_iter().map(str::to_owned).collect(),
            query: Vec::new(),
            body: None,
            accept: "application/json, application/problem+json",
            idempotency_key: None,
            if_match: None,
            last_event_id: None,
        }
    }

    fn body(mut self, body: &impl Serialize) -> Result<Self, ClientError> {
        let bytes = serde_json::to_vec(body).map_err(|error| ClientError::Encode {
            reason: error.to_string(),
        })?;
        self.body = Some(bytes.into());
        Ok(self)
    }

    /// Adds a query parameter, encoded.
    pub fn query(mut self, name: &str, value: impl ToString) -> Self {
        self.query.push((name.to_owned(), value.to_string()));
        self
    }

    /// Gives the command its idempotency key, kept across every attempt. Keep it too: it settles what
    /// became of a command whose answer was lost.
    pub fn idempotent(mut self, key: &str) -> Self {
        self.idempotency_key = Some(key.to_owned());
        self
    }

    /// The command holds for what was seen only: the `ETag` it was shown with.
    pub fn if_match(mut self, etag: &str) -> Self {
        self.if_match = Some(etag.to_owned());
        self
    }

    /// Whether sending it a second time can do no harm.
    pub fn is_repeatable(&self) -> bool {
        self.method != Method::POST || self.idempotency_key.is_some()
    }
}

/// A fresh idempotency key.
pub fn new_idempotency_key() -> String {
    uuid::Uuid::now_v7().to_string()
}
