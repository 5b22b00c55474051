//! Signing in with an SSH key, and signing decisions. Both sides build the signed bytes from the same types, so neither
//! takes the other's word for what is signed.

use super::{Digest, OperatorId, StepUp, TokenId};
use crate::canonical;
pub use crate::domain::{
    Decision,
    statement::{About, AboutPolicy, Approver, Form, LogHead, PolicyRef, STATEMENT, View},
};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// The form of a sign-in message.
pub const LOGIN: &str = "urn:countersign:login:v1";

/// The namespace of sign-in signatures at the broker of this log.
pub fn login_namespace(origin: &str) -> String {
    format!("login@{}", domain(origin))
}

/// The namespace of decisions' signatures at the broker of this log.
pub fn approval_namespace(origin: &str) -> String {
    format!("approval@{}", domain(origin))
}

/// A log's origin without its path.
fn domain(origin: &str) -> &str {
    origin.split('/').next().unwrap_or(origin)
}

/// What is signed to sign in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LoginMessage {
    /// [`LOGIN`].
    #[serde(rename = "_type")]
    pub form: String,
    /// At which broker: its log's origin.
    pub aud: String,
    /// Who.
    pub operator: String,
    /// From the broker, good once.
    pub nonce: String,
    /// Until when it may be used.
    pub exp: DateTime<Utc>,
    /// The session that is to go on as another, without its person doing anything; none where they sign in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub continues: Option<TokenId>,
}

/// The text is not the one canonical form of what it says.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotCanonical {
    /// It is not of the documented form.
    #[error("what was signed is not of the documented form: {0}")]
    Form(String),
    /// It says the same in other bytes.
    #[error("what was signed is not written in its one canonical form (RFC 8785)")]
    Bytes,
}

/// The bytes that are signed: JSON by RFC 8785.
pub fn signed_bytes<T: Serialize>(said: &T) -> Vec<u8> {
    canonical::to_vec(said)
        .expect("a statement has string keys, whole numbers and no map that could fail")
}

fn parsed<T: Serialize + serde::de::DeserializeOwned>(text: &str) -> Result<T, NotCanonical> {
    let said = serde_json::from_str(text).map_err(|error| NotCanonical::Form(error.to_string()))?;
    if signed_bytes(&said) == text.as_bytes() {
        Ok(said)
    } else {
        Err(NotCanonical::Bytes)
    }
}

/// The one reading of a signed statement. A member that is there twice, in another order or in other white space is
/// refused: two readers could take it for two things.
///
/// # Errors
/// [`NotCanonical`].
pub fn parse_statement<S: Form + Serialize + serde::de::DeserializeOwned>(
    text: &str,
) -> Result<S, NotCanonical> {
    parsed(text)
}

/// The same for a sign-in message.
///
/// # Errors
/// [`NotCanonical`].
pub fn parse_login(text: &str) -> Result<LoginMessage, NotCanonical> {
    parsed(text)
}

/// Asking for a nonce to sign in with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewChallenge {
    /// The handle. Whether there is such an account is not told.
    #[schema(example = "maya.k", max_length = 128)]
    pub operator: String,
}

/// What to sign to sign in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Challenge {
    /// The broker's log origin: `aud` of what is signed.
    pub origin: String,
    /// Good once.
    pub nonce: String,
    /// Until when.
    pub expires_at: DateTime<Utc>,
    /// The broker's clock.
    pub now: DateTime<Utc>,
}

/// Signing in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SshSignIn {
    /// The signed bytes: a sign-in message by RFC 8785.
    #[schema(max_length = 12288)]
    pub message: String,
    /// Armoured SSHSIG in the namespace `login@` and the origin's domain.
    #[schema(max_length = 6144)]
    pub signature: String,
}

/// What a statement about a request or a proposed policy is made with. Ask for it just before signing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct SigningOrder {
    /// The broker's log origin: `aud` of what is signed.
    pub origin: String,
    /// Good for one decision of this person about this revision of this request, or about this proposal.
    pub nonce: String,
    /// Until when it is good.
    pub expires_at: DateTime<Utc>,
    /// The broker's clock.
    pub now: DateTime<Utc>,
    /// The request's revision; of a proposed policy, the version that it is once it comes in force.
    pub revision: u32,
    /// The policy that asks for the decision: for a proposal, the one that it takes the place of.
    #[schema(value_type = PolicyName)]
    pub policy: PolicyRef,
    /// How the decision must be proven.
    pub step_up: StepUp,
    /// The caller's enrolled keys that count for it, by fingerprint. A certificate's key is not among them.
    pub keys: Vec<String>,
}

/// A policy, by version and digest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct PolicyName {
    /// Its version.
    pub version: String,
    /// SHA-256 of its text.
    #[schema(value_type = String)]
    pub digest: Digest,
}

/// A signed statement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SignedStatement {
    /// The signed bytes: a statement by RFC 8785.
    #[schema(max_length = 12288)]
    pub payload: String,
    /// Armoured SSHSIG in the namespace `approval@` and the origin's domain.
    #[schema(max_length = 6144)]
    pub signature: String,
}

/// Enrolling an SSH key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewKey {
    /// A line as in a `.pub` file.
    #[schema(max_length = 8192)]
    pub public_key: String,
}

/// An enrolled SSH key, by fingerprint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct KeyName {
    /// `SHA256:…` as OpenSSH prints it.
    #[schema(max_length = 128)]
    pub fingerprint: String,
}

/// Taking an SSH key out of use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RemoveKey {
    /// `SHA256:…` as OpenSSH prints it.
    #[schema(max_length = 128)]
    pub fingerprint: String,
    /// Why.
    #[schema(max_length = 2000)]
    pub reason: String,
}

/// What is known of an SSH key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct KeyRow {
    /// `SHA256:…` as OpenSSH prints it.
    pub fingerprint: String,
    /// Type and base64.
    pub public_key: String,
    /// Whether the private half is in an authenticator.
    pub hardware: bool,
    /// Who enrolled it.
    #[schema(value_type = String)]
    pub enrolled_by: OperatorId,
    /// When.
    pub enrolled_at: DateTime<Utc>,
    /// From when it counts; none while another admin has yet to countersign it.
    pub valid_from: Option<DateTime<Utc>>,
    /// The admin who countersigned it.
    pub countersigned_by: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message() -> LoginMessage {
        LoginMessage {
            form: LOGIN.into(),
            aud: "broker.example/log".into(),
            operator: "maya.k".into(),
            nonce: "n".into(),
            exp: DateTime::from_timestamp(1_790_692_327, 0).expect("a time"),
            continues: None,
        }
    }

    #[test]
    fn there_is_one_reading_and_one_writing() {
        let text = String::from_utf8(signed_bytes(&message())).expect("JSON is UTF-8");
        assert_eq!(parse_login(&text), Ok(message()));
        for (other, why) in [
            (text.replace(':', ": "), "white space"),
            (
                text.replacen('{', r#"{"aud":"broker.example/log","#, 1),
                "a member twice",
            ),
            (text.replacen('{', r#"{"also":1,"#, 1), "an unknown member"),
            (text.replace("maya.k", r"m\u0061ya.k"), "another spelling"),
            (format!("{text}\n"), "a byte more"),
            (text[..text.len() - 1].to_owned(), "a byte less"),
        ] {
            assert!(parse_login(&other).is_err(), "{why}");
        }
    }

    #[test]
    fn namespaces_differ_by_purpose_and_broker() {
        assert_eq!(
            login_namespace("broker.example/log"),
            "login@broker.example"
        );
        assert_eq!(
            approval_namespace("broker.example"),
            "approval@broker.example"
        );
    }
}
