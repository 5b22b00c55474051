//! What a person signs when they decide: everything that the decision rests on and everything that follows from it,
//! in one closed form. Whoever carries it out takes the plan from here, not from a row of the state.

use super::{Decision, Digest, Plan, ProposalId, RequestId};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// The form's name and version.
pub const STATEMENT: &str = "urn:countersign:decision:v1";

/// The same of a no: whoever looks for approvals cannot take one for the other.
pub const DENIAL: &str = "urn:countersign:denial:v1";

/// The form of a decision on a proposed policy.
pub const POLICY_STATEMENT: &str = "urn:countersign:policy-decision:v1";

/// The same of a no.
pub const POLICY_DENIAL: &str = "urn:countersign:policy-denial:v1";

/// How long a statement may be on its way from the question to the signature's arrival.
pub const STATEMENT_LIFE: chrono::Duration = chrono::Duration::minutes(15);

/// Declares a form: what every form says, in its order, and between the log and the decision what it is about.
macro_rules! form {
    ($(#[$doc:meta])* $name:ident, $yes:ident, $no:ident { $($(#[$about:meta])* $field:ident: $type:ty,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(deny_unknown_fields)]
        pub struct $name {
            #[doc = concat!("[`", stringify!($yes), "`], or [`", stringify!($no), "`].")]
            #[serde(rename = "_type")]
            pub form: String,
            /// For which broker: its log's origin.
            pub aud: String,
            /// The head of the log that the signer had verified.
            pub log: LogHead,
            $($(#[$about])* pub $field: $type,)*
            /// What is decided.
            pub decision: Decision,
            /// Who decides.
            pub approver: Approver,
            /// What they had on screen.
            pub view: View,
            /// From the broker, good for one decision.
            pub nonce: String,
            /// When it was signed.
            pub iat: DateTime<Utc>,
            /// Until when it may be used.
            pub exp: DateTime<Utc>,
            /// Why, in the signer's words.
            pub reason: String,
        }

        impl Form for $name {
            fn form(decision: Decision) -> &'static str {
                match decision {
                    Decision::Deny => $no,
                    Decision::Approve | Decision::BreakGlass => $yes,
                }
            }

            fn said(&self) -> Said<'_> {
                Said {
                    form: &self.form,
                    aud: &self.aud,
                    log: &self.log,
                    decision: self.decision,
                    approver: &self.approver,
                    nonce: &self.nonce,
                    iat: self.iat,
                    exp: self.exp,
                    reason: &self.reason,
                }
            }
        }
    };
}

form! {
    /// A decision as it is signed. Its bytes are JSON by RFC 8785; a member that is unknown, or missing, is refused.
    Statement, STATEMENT, DENIAL {
        /// Which request, as of which revision.
        request: About,
        /// What is done.
        plan: Plan,
        /// The policy that asked for the decision.
        policy: PolicyRef,
    }
}

form! {
    /// A decision on a proposed policy as it is signed. The text does not fit into it: its digest does.
    PolicyStatement, POLICY_STATEMENT, POLICY_DENIAL {
        /// Which proposal, of which text.
        proposal: AboutPolicy,
        /// The policy that the signer saw it compared with, and that it takes the place of.
        base: PolicyRef,
    }
}

/// A proposed policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AboutPolicy {
    /// Which proposal.
    pub id: ProposalId,
    /// The version that it is once it comes in force.
    pub version: u32,
    /// SHA-256 of its files' canonical bytes.
    pub digest: Digest,
}

/// What every statement says, whatever it is about.
#[derive(Debug, Clone, Copy)]
pub struct Said<'a> {
    /// The form's name and version.
    pub form: &'a str,
    /// For which broker.
    pub aud: &'a str,
    /// The head of the log that the signer had verified.
    pub log: &'a LogHead,
    /// What is decided.
    pub decision: Decision,
    /// Who decides.
    pub approver: &'a Approver,
    /// Good for one decision.
    pub nonce: &'a str,
    /// When it was signed.
    pub iat: DateTime<Utc>,
    /// Until when it may be used.
    pub exp: DateTime<Utc>,
    /// Why.
    pub reason: &'a str,
}

/// A closed form in which a decision is signed.
pub trait Form {
    /// The form's name and version for such a decision.
    fn form(decision: Decision) -> &'static str;

    /// What it says besides what it is about.
    fn said(&self) -> Said<'_>;
}

/// A head of the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogHead {
    /// Of which log.
    pub origin: String,
    /// How many leaves it has.
    pub size: u64,
    /// Root hash, base64.
    pub root: String,
}

/// A request, as it was when it was decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct About {
    /// Which.
    pub id: RequestId,
    /// Its revision.
    pub rev: u32,
    /// SHA-256 of the plan's canonical bytes.
    pub digest: Digest,
}

/// A policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicyRef {
    /// Its version.
    pub version: String,
    /// SHA-256 of its text.
    pub digest: Digest,
}

/// Who signs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Approver {
    /// Their handle.
    pub principal: String,
    /// `SHA256:…` of the key.
    pub key: String,
}

/// What was on the signer's screen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct View {
    /// What drew it.
    pub renderer: String,
    /// SHA-256 of the lines that it drew.
    pub digest: Digest,
}

/// A statement whose signature was checked: by which key, and what the key said of the touch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked<S = Statement> {
    /// The statement, parsed from the signed bytes.
    pub statement: S,
    /// The bytes, the signature, and what they are checked by.
    pub signed: super::approval::Signed,
}
