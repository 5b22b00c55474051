//! What the update asks the world to do. Data, never closures: it can be asserted, logged and compared.

use crate::wire::signing::LogHead;
use crate::wire::{
    ClientId, CredentialId, Digest, GatewayId, ProposalDetail, ProposalId, RequestDetail,
    RequestId, RevocationId, RotationCause, RotationId, Session,
};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// Names one call, so that its reply finds whoever asked. Never used twice in a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct CallId(pub u64);

/// Something for the runner to do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Effect {
    /// Ask the broker; the answer is an [`super::event::Event::Reply`].
    Call(CallId, Call),
    /// Call it off, if it is still under way.
    Cancel(CallId),
    /// Fetch the list of credentials afresh and follow the stream from it.
    Reload,
    /// Into the clipboard, by OSC 52.
    Copy(String),
    /// Ring once.
    Bell,
    /// The terminal's window title.
    Title(String),
    /// A desktop notification, where the person opted in.
    Notify(String),
    /// Write the recording to a file and say where.
    DumpRecording,
    /// Write text to a new file of this name stem and ending, and say where.
    Export {
        /// How the file's name begins.
        stem: String,
        /// How it ends, without the dot.
        ending: String,
        /// What it holds.
        text: String,
    },
    /// Check the log's chain.
    VerifyChain,
    /// Forget what the masked field holds.
    ClearMasked,
    /// Hash what the masked field holds and send the digest as an event.
    HashMasked,
    /// Go on with another context, by name.
    SwitchContext(String),
    /// Paint everything anew.
    Redraw,
    /// Give the terminal back until continued.
    Suspend,
    /// End.
    Quit,
}

/// A question to the broker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Call {
    /// Who is signed in.
    Session,
    /// Have this session go on as another, without anybody doing anything.
    Renew(Box<Session>),
    /// Sign this person in again; they may have to touch a key.
    SignIn(String),
    /// The first screen.
    Overview,
    /// Requests that match a filter; an empty one matches all.
    Requests {
        /// In the filter language.
        filter: String,
    },
    /// One request, for review.
    Request(RequestId),
    /// What a narrower request would come to: its digest now, the scopes and the life in seconds that would be left.
    WouldNarrow(RequestId, Digest, Vec<String>, u64),
    /// One credential.
    Credential(CredentialId),
    /// Everything that a client holds.
    ClientHoldings(ClientId),
    /// Everything that a person, a robot or a team holds and answers for, by name.
    HeldBy(String),
    /// Credentials whose access review is overdue.
    OverdueReviews,
    /// Which credential does the digest belong to?
    Lookup(Digest),
    /// Revocations that match a filter, latest first.
    Revocations {
        /// In the filter language.
        filter: String,
        /// From a page's `next`.
        cursor: Option<String>,
    },
    /// One revocation, gateway by gateway.
    Revocation(RevocationId),
    /// The gateways, and how far each has come.
    Gateways,
    /// Rotations that run, ended in a range or are planned in it, with the figures of the whole fleet.
    Rotations {
        /// The range: from.
        from: DateTime<Utc>,
        /// The range: until.
        until: DateTime<Utc>,
    },
    /// One rotation with its steps.
    Rotation(RotationId),
    /// Events of the log, newest first.
    Events {
        /// In the filter language.
        filter: String,
        /// From a page's `next`.
        cursor: Option<String>,
        /// How many at most.
        limit: u32,
    },
    /// Versions of the policy, and what is proposed.
    Policies,
    /// One version with its text.
    Policy(u32),
    /// One proposal with its text.
    Proposal(ProposalId),
    /// What a proposal would have decided about the requests of the last days.
    Simulate(ProposalId),
    /// Change something.
    Act(ActCall),
}

/// A change, bound to what the person saw.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActCall {
    /// What is done to what.
    pub action: Action,
    /// The sequence of the object that the person looked at; sent as `If-Match`.
    pub if_match: u64,
    /// Why, in the person's words.
    pub reason: String,
    /// Makes a repetition harmless.
    pub key: String,
}

/// What a signature is made over: exactly what was on the screen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToSign<D = RequestDetail> {
    /// Who signs, by handle.
    pub operator: String,
    /// The request or proposal, as it was shown.
    pub detail: D,
    /// SHA-256 of the lines that were shown.
    pub view: Digest,
    /// The head of the log that this console had verified.
    pub head: LogHead,
}

/// What can be done to something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Action {
    /// Approve exactly what was seen; signed, where that is asked for.
    Approve(RequestId, Digest, Option<Box<ToSign>>),
    /// Skip the quorum of one's own request.
    BreakGlass(RequestId, Box<ToSign>),
    /// Make it ask for less: the scopes and the life in seconds that are left.
    Narrow(RequestId, Digest, Vec<String>, u64),
    /// Stop it until somebody lets it go on.
    Hold(RequestId),
    /// Let it go on.
    Resume(RequestId),
    /// Ask the requester something, or answer.
    AddNote(RequestId),
    /// Deny it; signed, where that is asked for and a key is at hand.
    Deny(RequestId, Digest, Option<Box<ToSign>>),
    /// Take a request back.
    Withdraw(RequestId),
    /// Try to issue once more.
    Retry(RequestId),
    /// Withdraw one version, or the whole credential for good.
    Revoke(CredentialId, Option<u32>),
    /// Refuse all versions, reversibly.
    Quarantine(CredentialId),
    /// End a quarantine.
    Release(CredentialId),
    /// Take a gateway out of service.
    RemoveGateway(GatewayId),
    /// Begin to rotate it; because of what, where it is not only wanted.
    Rotate(CredentialId, Option<RotationCause>),
    /// Put its newer version into use.
    Promote(CredentialId),
    /// Go back to its older version.
    RollBack(CredentialId),
    /// Approve exactly the policy that was seen.
    ApprovePolicy(ProposalId, Digest, Option<Box<ToSign<ProposalDetail>>>),
    /// Deny it, as a request is denied.
    DenyPolicy(ProposalId, Digest, Option<Box<ToSign<ProposalDetail>>>),
    /// Take a proposed policy back.
    WithdrawPolicy(ProposalId),
}

impl Action {
    /// The identifier of what it is done to.
    pub fn subject(&self) -> String {
        match self {
            Self::Approve(id, ..)
            | Self::Deny(id, ..)
            | Self::BreakGlass(id, _)
            | Self::Narrow(id, ..)
            | Self::Hold(id)
            | Self::Resume(id)
            | Self::AddNote(id)
            | Self::Withdraw(id)
            | Self::Retry(id) => id.to_string(),
            Self::Revoke(id, _)
            | Self::Quarantine(id)
            | Self::Release(id)
            | Self::Rotate(id, _)
            | Self::Promote(id)
            | Self::RollBack(id) => id.to_string(),
            Self::RemoveGateway(id) => id.to_string(),
            Self::ApprovePolicy(id, ..) | Self::DenyPolicy(id, ..) | Self::WithdrawPolicy(id) => {
                id.to_string()
            }
        }
    }

    /// The command line that does the same.
    pub fn twin(&self) -> String {
        let id = self.subject();
        match self {
            Self::Approve(..) => format!("countersign request approve {id} --reason …"),
            Self::BreakGlass(..) => format!("countersign request break-glass {id} --reason …"),
            Self::Narrow(_, _, scopes, ttl_s) => {
                let flags: Vec<String> = scopes
                    .iter()
                    .map(|scope| format!("--scope {scope} "))
                    .collect();
                let flags = flags.concat();
                format!("countersign request narrow {id} {flags}--ttl {ttl_s}s --reason …")
            }
            Self::Hold(_) => format!("countersign request hold {id} --reason …"),
            Self::Resume(_) => format!("countersign request resume {id} --reason …"),
            Self::AddNote(_) => format!("countersign request ask {id} --reason …"),
            Self::Deny(..) => format!("countersign request deny {id} --reason …"),
            Self::Withdraw(_) => format!("countersign request withdraw {id}"),
            Self::Retry(_) => format!("countersign request retry {id}"),
            Self::Revoke(_, None) => format!("countersign credential revoke {id} --reason …"),
            Self::Revoke(_, Some(version)) => {
                format!("countersign credential revoke {id} --version {version} --reason …")
            }
            Self::Quarantine(_) => format!("countersign credential quarantine {id} --reason …"),
            Self::Release(_) => format!("countersign credential release {id} --reason …"),
            Self::Rotate(_, None) => format!("countersign credential rotate {id} --reason …"),
            Self::Rotate(_, Some(cause)) => {
                format!("countersign credential rotate {id} --cause {cause} --reason …")
            }
            Self::Promote(_) => format!("countersign credential promote {id}"),
            Self::RollBack(_) => format!("countersign credential rollback {id} --reason …"),
            Self::RemoveGateway(_) => format!("countersign gateway remove {id} --reason …"),
            Self::ApprovePolicy(..) => format!("countersign policy approve {id} --reason …"),
            Self::DenyPolicy(..) => format!("countersign policy deny {id} --reason …"),
            Self::WithdrawPolicy(_) => format!("countersign policy withdraw {id} --reason …"),
        }
    }
}
