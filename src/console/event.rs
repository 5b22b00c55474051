//! Everything that can change the screen. All of it can be written down and played back, so no secret is
//! ever in it: what is pasted to be looked up stays with the runner, which sends its digest.

use super::command::Command;
use super::edit::Edit;
use super::effect::CallId;
use super::known::Known;
use crate::client::Held;
use crate::client::chain::ChainState;
use crate::wire::columns::Block;
use crate::wire::request::Narrowed;
use crate::wire::{
    ClientHoldings, CredentialDetail, CredentialRow, Digest, EventRecord, FeedItem, GatewayRow,
    ListHeader, Overview, Page, Policies, PolicyDetail, Problem, ProposalDetail, Receipt,
    RequestDetail, RequestRow, ReviewRow, RevocationDetail, RevocationRow, RotationCalendar,
    RotationDetail, Session, Simulation,
};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Event {
    /// A key, or a line of the palette, as what it means.
    Command(Command),
    /// A key pressed in the act menu or another list of choices.
    Choice(char),
    /// Text typed or pasted into a field.
    Edit(Edit),
    /// How many characters the masked field holds now; the runner keeps them.
    Masked(usize),
    /// The masked field was finished: the digest of what it held.
    Hashed(Digest),
    /// A call came to its end.
    Reply(CallId, Box<Result<Reply, CallError>>),
    /// An item of the live stream.
    Feed(Box<FeedItem>),
    /// A fresh list of credentials begins; the old one stays until it is complete.
    Reload(ListHeader),
    /// Rows of that list.
    Rows(Box<Block>),
    /// The list is complete; `true` for the fresh one, `false` for the one from the cache.
    Loaded(bool),
    /// The last known list begins, from the cache, as old as the time says; rows follow, and [`Event::Loaded`].
    Cached(ListHeader, DateTime<Utc>),
    /// What was last known of the broker and its first screen, from the cache.
    Known(Box<Known>),
    /// The link to the broker.
    Link(LinkState),
    /// The time. Sent when something on the screen depends on it, and with everything else that happens.
    Tick(DateTime<Utc>),
    /// The cursor has stayed where it is for a moment: what it is on may be told in full.
    Rested,
    /// The terminal has so many columns and rows.
    Resized(u16, u16),
    /// What the console's own check of the log's chain came to.
    Chain(ChainState),
    /// Something to tell, from the runner.
    Note(Level, String),
}

/// What a call brought.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Reply {
    /// Who is signed in.
    Session(Box<Session>),
    /// The first screen.
    Overview(Box<Overview>),
    /// The queue of requests.
    Requests(Page<RequestRow>),
    /// One request.
    Request(Box<RequestDetail>),
    /// One credential.
    Credential(Box<CredentialDetail>),
    /// Everything that a client holds.
    ClientHoldings(Box<ClientHoldings>),
    /// Everything that somebody holds and answers for.
    HeldBy(Box<Held>),
    /// Access reviews, soonest first.
    Reviews(Page<ReviewRow>),
    /// Which credential a digest belongs to; none if it is not known.
    Found(Option<Box<CredentialRow>>),
    /// Revocations.
    Revocations(Page<RevocationRow>),
    /// One revocation, gateway by gateway.
    Revocation(Box<RevocationDetail>),
    /// Gateways.
    Gateways(Page<GatewayRow>),
    /// Rotations past and to come.
    Rotations(Box<RotationCalendar>),
    /// One rotation with its steps.
    Rotation(Box<RotationDetail>),
    /// Events of the log.
    Events(Page<EventRecord>),
    /// What a narrower request would come to.
    Narrowed(Box<Narrowed>),
    /// Versions of the policy, and what is proposed.
    Policies(Box<Policies>),
    /// One version with its text.
    Policy(Box<PolicyDetail>),
    /// One proposal with its text.
    Proposal(Box<ProposalDetail>),
    /// What a proposal would have decided.
    Simulation(Box<Simulation>),
    /// A command was carried out.
    Receipt(Receipt),
}

/// Why a call brought nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallError {
    /// What is known of a command.
    pub delivery: Delivery,
    /// What the broker said, if it was the broker.
    pub problem: Option<Problem>,
    /// One sentence for people.
    pub detail: String,
}

/// What is known of a command whose call brought no value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Delivery {
    /// The broker answered: it was refused.
    Refused,
    /// It never left: nothing happened.
    NotSent,
    /// It may have been carried out; the same idempotency key settles it.
    Unknown,
    /// The person called it off.
    Cancelled,
}

/// The link to the broker, as row 1 shows it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum LinkState {
    /// Nothing was tried yet.
    #[default]
    Starting,
    /// On the way to the first answer.
    Connecting,
    /// The stream is open.
    Live {
        /// From question to answer, in milliseconds, as last measured.
        latency_ms: u32,
    },
    /// The stream is open and still delivers what was missed.
    CatchingUp,
    /// The broker is away.
    Offline {
        /// Since when.
        since: DateTime<Utc>,
        /// When it is tried again.
        retry_at: DateTime<Utc>,
        /// Why, in one line.
        why: String,
    },
    /// The broker is there and wants a login first.
    SignedOut(String),
}

/// How much a notice matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Level {
    /// For the record.
    Info,
    /// Done.
    Good,
    /// Did not work.
    Bad,
}
