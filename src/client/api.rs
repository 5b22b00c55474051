//! The broker's API, a method a call. Reads give an `Answer`; commands take a `Once`, which keeps
//! their idempotency key, and give an `Outcome`.

use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use super::call::Call;
use super::error::ClientError;
use super::list::{Chunks, Lines};
use super::outcome::{Once, Outcome};
use super::query::{EventQuery, ListQuery};
use super::rows::Rows;
use super::stream::{self, Feed};
use super::transport::{Answer, Transport, TransportOptions};
use crate::wire::header::COLUMNS;
use crate::wire::operator::{Grant, NewOperator, NewToken};
use crate::wire::request::Narrowed;
use crate::wire::revocation::Revoke;
use crate::wire::service::{Introspection, IntrospectionRequest};
use crate::wire::{
    Adoption, Approve, BreakGlass, Challenge, Claimed, ClientHoldings, ClientId, ClientRow,
    CredentialDetail, CredentialId, CredentialRow, DeliverTo, Deny, Digest, EventRecord, FeedItem,
    Findings, FoundSecret, GatewayId, GatewayRow, Health, KeyName, MintedGatewayToken, MintedToken,
    Narrow, NewChallenge, NewClient, NewGateway, NewKey, NewNote, NewRequest, Offboard,
    OperatorHoldings, OperatorId, OperatorRow, Overview, Page, Readiness, Reason, Receipt,
    RemoveKey, RequestDetail, RequestId, RequestRow, ReviewRow, RevocationDetail, RevocationId,
    RevocationRow, Session, SigningOrder, SshSignIn, TokenId,
};

/// The largest checkpoint or proof, in bytes.
const NOTE_BYTES: u64 = 1024 * 1024;

/// A broker. Cheap to clone; all clones share connections and token.
#[derive(Clone, Debug)]
pub struct Client {
    transport: Transport,
}

/// A new owner for a credential, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct OwnerChange {
    /// The team that answers for it from now on.
    pub owner: String,
    /// Why.
    pub reason: String,
}

/// One leaf of the log, as it is handed out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogEntry {
    /// From 0.
    pub index: u64,
    /// The leaf's exact bytes in base 64.
    pub leaf: String,
}

/// An inclusion or a consistency proof, as it is handed out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum LogProof {
    /// That a leaf is in a tree.
    Inclusion {
        /// The leaf's index.
        index: u64,
        /// The tree's size.
        size: u64,
        /// Base 64, leaf side first.
        hashes: Vec<String>,
    },
    /// That one tree is a prefix of another.
    Consistency {
        /// The older tree's size.
        old: u64,
        /// The newer tree's size.
        new: u64,
        /// Base 64, in the order of RFC 9162.
        hashes: Vec<String>,
    },
}

impl Client {
    /// Prepares the way; nothing is sent yet.
    ///
    /// # Errors
    /// [`ClientError::Address`] or [`ClientError::Setup`].
    pub fn new(options: TransportOptions) -> Result<Self, ClientError> {
        Transport::new(options).map(Self::over)
    }

    /// Calls over this transport.
    pub fn over(transport: Transport) -> Self {
        Self { transport }
    }

    /// Where it leads, and the token that signs.
    pub fn transport(&self) -> &Transport {
        &self.transport
    }

    /// Whether the process runs. Needs no token.
    pub async fn health(&self) -> Result<Answer<Health>, ClientError> {
        self.transport.send(&Call::get(["healthz"])).await
    }

    /// Whether everything that the broker needs is there. Needs no token.
    pub async fn readiness(&self) -> Result<Answer<Readiness>, ClientError> {
        self.transport.send(&Call::get(["readyz"])).await
    }

    /// Who the caller is.
    pub async fn session(&self) -> Result<Answer<Session>, ClientError> {
        self.transport.send(&Call::get(["v1", "session"])).await
    }

    /// Asks for a nonce to sign in with. Needs no token.
    pub async fn challenge(&self, operator: &str) -> Result<Answer<Challenge>, ClientError> {
        let body = NewChallenge {
            operator: operator.to_owned(),
        };
        // Another nonce does no harm: the key only makes it safe to repeat.
        let call = Once::new().apply(Call::post(["v1", "login", "challenge"], &body)?);
        self.transport.send(&call).await
    }

    /// Signs in with the signature over a challenge. Needs no token.
    pub async fn sign_in(&self, body: &SshSignIn) -> Result<Answer<MintedToken>, ClientError> {
        let call = Call::post(["v1", "login", "ssh"], body)?;
        self.transport.send(&call).await
    }

    /// Withdraws the token that this client signs with.
    pub async fn sign_out(&self) -> Result<(), ClientError> {
        let call = Call::delete(["v1", "session"]);
        let answer: Answer<serde::de::IgnoredAny> = self.transport.send(&call).await?;
        drop(answer);
        Ok(())
    }

    /// Everything that the first screen needs.
    pub async fn overview(&self) -> Result<Answer<Overview>, ClientError> {
        self.transport.send(&Call::get(["v1", "overview"])).await
    }

    /// A page of credentials.
    pub async fn credentials(
        &self,
        query: &ListQuery,
    ) -> Result<Answer<Page<CredentialRow>>, ClientError> {
        self.page("credentials", query).await
    }

    /// All credentials that the query matches, a row at a time.
    pub async fn credential_rows(
        &self,
        query: &ListQuery,
    ) -> Result<Rows<CredentialRow>, ClientError> {
        self.rows("credentials", query).await
    }

    /// All credentials that the query matches, as columnar blocks of at most `limit_bytes` in all.
    pub async fn credential_columns(
        &self,
        query: &ListQuery,
        limit_bytes: u64,
    ) -> Result<Answer<Chunks>, ClientError> {
        let call = query.apply(Call::get(["v1", "credentials"]));
        self.transport.chunks(&call, COLUMNS, limit_bytes).await
    }

    /// Everything about one credential.
    pub async fn credential(
        &self,
        id: CredentialId,
    ) -> Result<Answer<CredentialDetail>, ClientError> {
        self.one("credentials", id).await
    }

    /// The credential whose secret has this digest. The secret itself never travels.
    pub async fn find_credential(
        &self,
        digest: Digest,
    ) -> Result<Answer<CredentialDetail>, ClientError> {
        self.found("lookup", digest).await
    }

    /// What the secret with this digest is, what it opens, and who uses it.
    pub async fn exposure(&self, digest: Digest) -> Result<Answer<FoundSecret>, ClientError> {
        self.found("exposure", digest).await
    }

    async fn found<T: DeserializeOwned>(
        &self,
        what: &'static str,
        digest: Digest,
    ) -> Result<Answer<T>, ClientError> {
        #[derive(Serialize)]
        struct Lookup {
            digest: Digest,
        }
        // It changes nothing, so a key only makes it safe to repeat.
        let call = Call::post(["v1", "credentials", what], &Lookup { digest })?;
        self.transport.send(&Once::new().apply(call)).await
    }

    /// Brings a credential that something else issued under management.
    pub async fn adopt(&self, adoption: &Adoption, once: &Once) -> Outcome<Receipt> {
        self.command(&["credentials"], adoption, once).await
    }

    /// Withdraws a credential or one of its versions, for good.
    pub async fn revoke(&self, id: CredentialId, body: &Revoke, once: &Once) -> Outcome<Receipt> {
        self.act("credentials", id, "revoke", body, once).await
    }

    /// Refuses all versions of a credential until it is released.
    pub async fn quarantine(
        &self,
        id: CredentialId,
        reason: &Reason,
        once: &Once,
    ) -> Outcome<Receipt> {
        self.act("credentials", id, "quarantine", reason, once)
            .await
    }

    /// Accepts a quarantined credential again.
    pub async fn release(
        &self,
        id: CredentialId,
        reason: &Reason,
        once: &Once,
    ) -> Outcome<Receipt> {
        self.act("credentials", id, "release", reason, once).await
    }

    /// Gives a credential another owner.
    pub async fn change_owner(
        &self,
        id: CredentialId,
        change: &OwnerChange,
        once: &Once,
    ) -> Outcome<Receipt> {
        self.act("credentials", id, "owner", change, once).await
    }

    /// Has the secrets of a credential go elsewhere.
    pub async fn deliver_to(
        &self,
        id: CredentialId,
        to: &DeliverTo,
        once: &Once,
    ) -> Outcome<Receipt> {
        self.act("credentials", id, "deliver-to", to, once).await
    }

    /// A page of the access review; of one team, if it is named.
    pub async fn reviews(
        &self,
        owner: Option<&str>,
        query: &ListQuery,
    ) -> Result<Answer<Page<ReviewRow>>, ClientError> {
        let mut call = query.apply(Call::get(["v1", "reviews"]));
        if let Some(owner) = owner {
            call = call.query("owner", owner);
        }
        self.transport.send(&call).await
    }

    /// Says that a credential is still needed.
    pub async fn confirm(
        &self,
        id: CredentialId,
        reason: &Reason,
        once: &Once,
    ) -> Outcome<Receipt> {
        self.act("credentials", id, "confirm", reason, once).await
    }

    /// A page of requests.
    pub async fn requests(
        &self,
        query: &ListQuery,
    ) -> Result<Answer<Page<RequestRow>>, ClientError> {
        self.page("requests", query).await
    }

    /// Everything about one request.
    pub async fn request(&self, id: RequestId) -> Result<Answer<RequestDetail>, ClientError> {
        self.one("requests", id).await
    }

    /// Asks for a credential; with `dry_run`, only says what would come of it.
    pub async fn ask(&self, request: &NewRequest, once: &Once) -> Outcome<Receipt> {
        self.command(&["requests"], request, once).await
    }

    /// Approves what was seen.
    pub async fn approve(&self, id: RequestId, body: &Approve, once: &Once) -> Outcome<Receipt> {
        self.act("requests", id, "approvals", body, once).await
    }

    /// What a statement about a request is made with.
    pub async fn signing(&self, id: RequestId) -> Result<Answer<SigningOrder>, ClientError> {
        let path = ["v1", "requests", &id.to_string(), "signing"];
        // Another nonce does no harm: the key only makes it safe to repeat.
        let call = Once::new().apply(Call::post(path, &Empty {})?);
        self.transport.send(&call).await
    }

    /// Makes a request ask for less.
    pub async fn narrow(&self, id: RequestId, body: &Narrow, once: &Once) -> Outcome<Receipt> {
        self.act("requests", id, "narrow", body, once).await
    }

    /// What a narrower request would come to.
    pub async fn would_narrow(
        &self,
        id: RequestId,
        body: &Narrow,
        once: &Once,
    ) -> Outcome<Narrowed> {
        self.act("requests", id, "narrow", body, once).await
    }

    /// Stops a request until somebody lets it go on.
    pub async fn hold(&self, id: RequestId, reason: &Reason, once: &Once) -> Outcome<Receipt> {
        self.act("requests", id, "hold", reason, once).await
    }

    /// Lets a held request go on.
    pub async fn resume(&self, id: RequestId, reason: &Reason, once: &Once) -> Outcome<Receipt> {
        self.act("requests", id, "resume", reason, once).await
    }

    /// Asks the requester something, or answers.
    pub async fn add_note(&self, id: RequestId, note: &NewNote, once: &Once) -> Outcome<Receipt> {
        self.act("requests", id, "notes", note, once).await
    }

    /// Skips the quorum of one's own request.
    pub async fn break_glass(
        &self,
        id: RequestId,
        body: &BreakGlass,
        once: &Once,
    ) -> Outcome<Receipt> {
        self.act("requests", id, "break-glass", body, once).await
    }

    /// Denies what was seen.
    pub async fn deny(&self, id: RequestId, body: &Deny, once: &Once) -> Outcome<Receipt> {
        self.act("requests", id, "denials", body, once).await
    }

    /// Takes a request back.
    pub async fn withdraw(&self, id: RequestId, reason: &Reason, once: &Once) -> Outcome<Receipt> {
        self.act("requests", id, "withdraw", reason, once).await
    }

    /// Tries again to issue what was approved.
    pub async fn retry(&self, id: RequestId, once: &Once) -> Outcome<Receipt> {
        let path = ["requests", &id.to_string(), "retry"];
        self.command(&path, &Empty {}, once).await
    }

    /// Collects the secret, once. A repetition with the same [`Once`] does not bring it again.
    pub async fn claim(&self, id: RequestId, once: &Once) -> Outcome<Claimed> {
        let path = ["requests", &id.to_string(), "claim"];
        self.command(&path, &Empty {}, once).await
    }

    /// A page of revocations.
    pub async fn revocations(
        &self,
        query: &ListQuery,
    ) -> Result<Answer<Page<RevocationRow>>, ClientError> {
        self.page("revocations", query).await
    }

    /// One revocation.
    pub async fn revocation(
        &self,
        id: RevocationId,
    ) -> Result<Answer<RevocationDetail>, ClientError> {
        self.one("revocations", id).await
    }

    /// A page of gateways.
    pub async fn gateways(
        &self,
        query: &ListQuery,
    ) -> Result<Answer<Page<GatewayRow>>, ClientError> {
        self.page("gateways", query).await
    }

    /// One gateway.
    pub async fn gateway(&self, id: GatewayId) -> Result<Answer<GatewayRow>, ClientError> {
        self.one("gateways", id).await
    }

    /// Brings a gateway into service.
    pub async fn add_gateway(
        &self,
        gateway: &NewGateway,
        once: &Once,
    ) -> Outcome<MintedGatewayToken> {
        self.command(&["gateways"], gateway, once).await
    }

    /// Gives a gateway another token.
    pub async fn add_gateway_token(
        &self,
        id: GatewayId,
        token: &NewToken,
        once: &Once,
    ) -> Outcome<MintedGatewayToken> {
        self.act("gateways", id, "tokens", token, once).await
    }

    /// Withdraws a gateway's token.
    pub async fn revoke_gateway_token(
        &self,
        id: GatewayId,
        token: TokenId,
        once: &Once,
    ) -> Outcome<Option<Receipt>> {
        let (id, token) = (id.to_string(), token.to_string());
        let call = Call::delete(["v1", "gateways", &id, "tokens", &token]);
        self.transport.send(&once.apply(call)).await.into()
    }

    /// Takes a gateway out of service.
    pub async fn remove_gateway(
        &self,
        id: GatewayId,
        reason: &Reason,
        once: &Once,
    ) -> Outcome<Receipt> {
        self.act("gateways", id, "remove", reason, once).await
    }

    /// What gateways reported that cannot be.
    pub async fn findings(&self) -> Result<Answer<Findings>, ClientError> {
        let call = Call::get(["v1", "usage", "findings"]);
        self.transport.send(&call).await
    }

    /// A page of clients.
    pub async fn clients(&self, query: &ListQuery) -> Result<Answer<Page<ClientRow>>, ClientError> {
        self.page("clients", query).await
    }

    /// Brings a client in.
    pub async fn add_client(&self, client: &NewClient, once: &Once) -> Outcome<Receipt> {
        self.command(&["clients"], client, once).await
    }

    /// Everything that a client holds.
    pub async fn client_holdings(
        &self,
        id: ClientId,
    ) -> Result<Answer<ClientHoldings>, ClientError> {
        self.holdings("clients", id).await
    }

    /// Takes a client out of service.
    pub async fn offboard_client(
        &self,
        id: ClientId,
        leaving: &Offboard,
        once: &Once,
    ) -> Outcome<Receipt> {
        self.act("clients", id, "offboard", leaving, once).await
    }

    /// A page of operators.
    pub async fn operators(
        &self,
        query: &ListQuery,
    ) -> Result<Answer<Page<OperatorRow>>, ClientError> {
        self.page("operators", query).await
    }

    /// Opens an account, with a first token.
    pub async fn add_operator(&self, operator: &NewOperator, once: &Once) -> Outcome<MintedToken> {
        self.command(&["operators"], operator, once).await
    }

    /// Mints another token for an account.
    pub async fn mint_token(
        &self,
        id: OperatorId,
        body: &NewToken,
        once: &Once,
    ) -> Outcome<MintedToken> {
        self.act("operators", id, "tokens", body, once).await
    }

    /// Withdraws a token. It may be repeated without harm.
    pub async fn revoke_token(
        &self,
        id: OperatorId,
        token: TokenId,
        once: &Once,
    ) -> Outcome<Option<Receipt>> {
        let (id, token) = (id.to_string(), token.to_string());
        let call = Call::delete(["v1", "operators", &id, "tokens", &token]);
        self.transport.send(&once.apply(call)).await.into()
    }

    /// Enrols an SSH key.
    pub async fn add_key(&self, id: OperatorId, key: &NewKey, once: &Once) -> Outcome<Receipt> {
        self.act("operators", id, "keys", key, once).await
    }

    /// Countersigns the enrolment of an SSH key.
    pub async fn countersign_key(
        &self,
        id: OperatorId,
        key: &KeyName,
        once: &Once,
    ) -> Outcome<Receipt> {
        let path = ["operators", &id.to_string(), "keys", "countersign"];
        self.command(&path, key, once).await
    }

    /// Takes an SSH key out of use.
    pub async fn remove_key(
        &self,
        id: OperatorId,
        key: &RemoveKey,
        once: &Once,
    ) -> Outcome<Receipt> {
        let path = ["operators", &id.to_string(), "keys", "remove"];
        self.command(&path, key, once).await
    }

    /// Sets the roles and groups of an account.
    pub async fn grant(&self, id: OperatorId, grant: &Grant, once: &Once) -> Outcome<Receipt> {
        self.act("operators", id, "grant", grant, once).await
    }

    /// Everything that a person or robot holds.
    pub async fn operator_holdings(
        &self,
        id: OperatorId,
    ) -> Result<Answer<OperatorHoldings>, ClientError> {
        self.holdings("operators", id).await
    }

    /// Closes an account.
    pub async fn offboard_operator(
        &self,
        id: OperatorId,
        leaving: &Offboard,
        once: &Once,
    ) -> Outcome<Receipt> {
        self.act("operators", id, "offboard", leaving, once).await
    }

    /// Whether a key is accepted, and for what (RFC 7662). Counts as a use of it.
    pub async fn introspect(&self, token: &str) -> Result<Introspection, ClientError> {
        let body = IntrospectionRequest {
            token: token.to_owned(),
            token_type_hint: None,
        };
        let call = Call::post(["v1", "introspect"], &body)?;
        Ok(self.transport.send(&call).await?.value)
    }

    /// Follows the broker's events, from now on unless the query says from where. Asks for the head
    /// first in that case. Dropping the receiver ends it.
    pub async fn events(
        &self,
        query: EventQuery,
    ) -> Result<mpsc::Receiver<Feed<FeedItem>>, ClientError> {
        let head = match query.after {
            Some(after) => after,
            None => self.head().await?,
        };
        Ok(stream::follow(self.transport.clone(), query.follow(head)))
    }

    /// The sequence that the broker is at.
    pub async fn head(&self) -> Result<u64, ClientError> {
        let newest = ListQuery::default().limit(1);
        let answer = self.log_events(&newest).await?;
        Ok(answer.value.sequence)
    }

    /// A page of the log's events, newest first.
    pub async fn log_events(
        &self,
        query: &ListQuery,
    ) -> Result<Answer<Page<EventRecord>>, ClientError> {
        let call = query.apply(Call::get(["v1", "log", "events"]));
        self.transport.send(&call).await
    }

    /// The log's signed head: a C2SP checkpoint. Nobody has checked it yet.
    pub async fn checkpoint(&self) -> Result<String, ClientError> {
        self.note(Call::get(["log", "checkpoint"])).await
    }

    /// Leaves from `from` on, at most `limit` of them, as lines of [`LogEntry`].
    pub async fn log_entries(&self, from: u64, limit: u64) -> Result<Lines, ClientError> {
        let call = Call::get(["v1", "log", "entries"])
            .query("from", from)
            .query("limit", limit);
        Ok(self.transport.lines(&call).await?.value)
    }

    /// The proof that leaf `index` is in the tree of `size` leaves.
    pub async fn inclusion_proof(&self, index: u64, size: u64) -> Result<LogProof, ClientError> {
        let call = Call::get(["v1", "log", "proof", "inclusion"])
            .query("index", index)
            .query("size", size);
        Ok(self.transport.send(&call).await?.value)
    }

    /// The proof that the tree of `old` leaves is a prefix of the tree of `new` leaves.
    pub async fn consistency_proof(&self, old: u64, new: u64) -> Result<LogProof, ClientError> {
        let call = Call::get(["v1", "log", "proof", "consistency"])
            .query("old", old)
            .query("new", new);
        Ok(self.transport.send(&call).await?.value)
    }

    /// A self-contained C2SP tlog-proof of leaf `index`, checkpoint included.
    pub async fn leaf_proof(&self, index: u64) -> Result<String, ClientError> {
        self.note(Call::get(["log", "proof"]).query("index", index))
            .await
    }

    /// A tile of the log (`0/x001/067`, or `entries/…` for a bundle), as it is stored.
    pub async fn tile(&self, path: &str, limit_bytes: u64) -> Result<Bytes, ClientError> {
        let call = Call::get(["log", "tile"].into_iter().chain(path.split('/')));
        let answer = self
            .transport
            .chunks(&call, "application/octet-stream", limit_bytes)
            .await?;
        answer.value.read_to_end().await
    }

    async fn page<T: DeserializeOwned>(
        &self,
        noun: &str,
        query: &ListQuery,
    ) -> Result<Answer<Page<T>>, ClientError> {
        let call = query.apply(Call::get(["v1", noun]));
        self.transport.send(&call).await
    }

    async fn rows<T: DeserializeOwned>(
        &self,
        noun: &str,
        query: &ListQuery,
    ) -> Result<Rows<T>, ClientError> {
        let call = query.apply(Call::get(["v1", noun]));
        Rows::open(self.transport.lines(&call).await?.value).await
    }

    pub(super) async fn one<T: DeserializeOwned>(
        &self,
        noun: &str,
        id: impl ToString,
    ) -> Result<Answer<T>, ClientError> {
        let call = Call::get(["v1", noun, &id.to_string()]);
        self.transport.send(&call).await
    }

    async fn holdings<T: DeserializeOwned>(
        &self,
        noun: &str,
        id: impl ToString,
    ) -> Result<Answer<T>, ClientError> {
        let call = Call::get(["v1", noun, &id.to_string(), "holdings"]);
        self.transport.send(&call).await
    }

    async fn act<T: DeserializeOwned>(
        &self,
        noun: &str,
        id: impl ToString,
        verb: &str,
        body: &impl Serialize,
        once: &Once,
    ) -> Outcome<T> {
        self.command(&[noun, &id.to_string(), verb], body, once)
            .await
    }

    pub(super) async fn command<T: DeserializeOwned>(
        &self,
        path: &[&str],
        body: &impl Serialize,
        once: &Once,
    ) -> Outcome<T> {
        let path = ["v1"].into_iter().chain(path.iter().copied());
        match Call::post(path, body) {
            Ok(call) => self.transport.send(&once.apply(call)).await.into(),
            Err(error) => Outcome::NotSent(error),
        }
    }

    async fn note(&self, call: Call) -> Result<String, ClientError> {
        let answer = self
            .transport
            .chunks(&call, "text/plain", NOTE_BYTES)
            .await?;
        let bytes = answer.value.read_to_end().await?;
        String::from_utf8(bytes.into()).map_err(|_| ClientError::Decode {
            reason: "not UTF-8".to_owned(),
        })
    }
}

/// The body of a command that says nothing more.
#[derive(Serialize)]
struct Empty {}
