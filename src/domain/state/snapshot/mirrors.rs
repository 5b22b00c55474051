//! The state's types as a snapshot writes them: every field in its place, none left out.

use super::*;

/// Times as seconds and nanoseconds: a text takes three times the room and ten times the time.
pub mod time {
    use super::{DateTime, Deserialize, Serialize, Utc};
    use serde::{Deserializer, Serializer, de::Error as _};

    pub fn serialize<S: Serializer>(
        time: &DateTime<Utc>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        (time.timestamp(), time.timestamp_subsec_nanos()).serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<DateTime<Utc>, D::Error> {
        let (seconds, nanos) = <(i64, u32)>::deserialize(deserializer)?;
        DateTime::from_timestamp(seconds, nanos).ok_or_else(|| D::Error::custom("not a time"))
    }
}

pub mod time_or_none {
    use super::{DateTime, Deserialize, Serialize, Utc};
    use serde::{Deserializer, Serializer};

    #[derive(Serialize, Deserialize)]
    struct Held(#[serde(with = "super::time")] DateTime<Utc>);

    #[expect(clippy::ref_option, reason = "serde's signature")]
    pub fn serialize<S: Serializer>(
        time: &Option<DateTime<Utc>>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        time.map(Held).serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<DateTime<Utc>>, D::Error> {
        Ok(Option::<Held>::deserialize(deserializer)?.map(|held| held.0))
    }
}

/// A module for fields of type `Arc<$type>`, and one for fields of type `Vec<$type>`, by way of the mirror.
macro_rules! by_mirror {
    ($(shared $module:ident: $type:ident as $mirror:ident;)* $(list $list:ident: $item:ident as $item_mirror:ident as $text:literal;)* $(option $option:ident: $some:ident as $some_mirror:ident as $some_text:literal;)*) => {
        $(pub mod $module {
            use super::{$mirror, $type, Arc};
            use serde::{Deserializer, Serializer};

            pub fn serialize<S: Serializer>(held: &Arc<$type>, serializer: S) -> Result<S::Ok, S::Error> {
                $mirror::serialize(held, serializer)
            }

            pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Arc<$type>, D::Error> {
                $mirror::deserialize(deserializer).map(Arc::new)
            }
        })*
        $(pub mod $list {
            use super::{$item, $item_mirror, Deserialize, Serialize};
            use serde::{Deserializer, Serializer};

            struct Lent<'a>(&'a $item);

            impl Serialize for Lent<'_> {
                fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                    $item_mirror::serialize(self.0, serializer)
                }
            }

            #[derive(Deserialize)]
            struct Held(#[serde(with = $text)] $item);

            pub fn serialize<S: Serializer>(list: &[$item], serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_seq(list.iter().map(Lent))
            }

            pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<$item>, D::Error> {
                let mut list: Vec<$item> = Vec::<Held>::deserialize(deserializer)?.into_iter().map(|held| held.0).collect();
                list.shrink_to_fit();
                Ok(list)
            }
        })*
        $(pub mod $option {
            use super::{$some, $some_mirror, Deserialize, Serialize};
            use serde::{Deserializer, Serializer};

            struct Lent<'a>(&'a $some);

            impl Serialize for Lent<'_> {
                fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                    $some_mirror::serialize(self.0, serializer)
                }
            }

            #[derive(Deserialize)]
            struct Held(#[serde(with = $some_text)] $some);

            #[expect(clippy::ref_option, reason = "serde's signature")]
            pub fn serialize<S: Serializer>(held: &Option<$some>, serializer: S) -> Result<S::Ok, S::Error> {
                held.as_ref().map(Lent).serialize(serializer)
            }

            pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<$some>, D::Error> {
                Ok(Option::<Held>::deserialize(deserializer)?.map(|held| held.0))
            }
        })*
    };
}

by_mirror! {
    shared client: Client as PlainClient;
    shared operator: Operator as PlainOperator;
    shared request: Request as PlainRequest;
    shared credential: Credential as PlainCredential;
    shared gateway: Gateway as PlainGateway;
    shared revocation: Revocation as PlainRevocation;
    shared proposal: Proposal as PlainProposal;
    shared rotation: Rotation as PlainRotation;
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Client")]
struct PlainClient {
    id: ClientId,
    name: String,
    owner: String,
    contact: String,
    environment: Environment,
    tier: Tier,
    dependents: Vec<String>,
    #[serde(with = "time_or_none")]
    offboarded_at: Option<DateTime<Utc>>,
    sequence: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Operator")]
struct PlainOperator {
    id: OperatorId,
    name: String,
    display_name: String,
    robot: bool,
    groups: BTreeSet<String>,
    roles: BTreeMap<Environment, BTreeSet<Role>>,
    client: Option<ClientId>,
    #[serde(with = "authenticators")]
    authenticators: Vec<Authenticator>,
    #[serde(with = "time_or_none")]
    offboarded_at: Option<DateTime<Utc>>,
    sequence: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Authenticator")]
enum PlainAuthenticator {
    Token(#[serde(with = "PlainToken")] Token),
    SshKey(#[serde(with = "PlainSshKey")] SshKey),
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Token")]
struct PlainToken {
    id: TokenId,
    digest: Digest,
    #[serde(with = "time")]
    created_at: DateTime<Utc>,
    #[serde(with = "time")]
    expires_at: DateTime<Utc>,
    key: Option<String>,
    continues: Option<Continued>,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "SshKey")]
struct PlainSshKey {
    fingerprint: String,
    public_key: String,
    hardware: bool,
    enrolled_by: OperatorId,
    #[serde(with = "time")]
    enrolled_at: DateTime<Utc>,
    #[serde(with = "time_or_none")]
    valid_from: Option<DateTime<Utc>>,
    countersigned_by: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Plan")]
struct PlainPlan {
    credential: String,
    environment: Environment,
    kind: Kind,
    issuer: String,
    role: String,
    client: ClientId,
    audience: String,
    scopes: Vec<String>,
    ttl_s: u64,
    destination: Option<Destination>,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Request")]
struct PlainRequest {
    id: RequestId,
    requester: OperatorId,
    requester_name: String,
    #[serde(with = "PlainPlan")]
    plan: Plan,
    digest: Digest,
    reason: String,
    owner: String,
    tags: Vec<String>,
    state: RequestState,
    #[serde(with = "time")]
    submitted_at: DateTime<Utc>,
    run: Option<RequestId>,
    evaluation: Option<Arc<Evaluation>>,
    #[serde(with = "time_or_none")]
    deadline: Option<DateTime<Utc>>,
    #[serde(with = "approvals")]
    approvals: Vec<Approval>,
    #[serde(with = "ending")]
    ended_by: Option<Ending>,
    attempts: u32,
    facts_at: u64,
    attempt_locator: BTreeMap<String, String>,
    failure: Option<String>,
    issued: Option<(CredentialId, u32)>,
    revision: u32,
    notes: Vec<Note>,
    #[serde(with = "broken_glass")]
    break_glass: Option<Box<BreakGlass>>,
    sequence: u64,
    trail: Vec<u64>,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Proposal")]
struct PlainProposal {
    id: ProposalId,
    proposer: OperatorId,
    proposer_name: String,
    files: BTreeMap<String, String>,
    digest: Digest,
    base: u32,
    base_digest: Option<Digest>,
    reason: String,
    quorum: Quorum,
    step_up: StepUp,
    state: ProposalState,
    #[serde(with = "time")]
    proposed_at: DateTime<Utc>,
    #[serde(with = "time")]
    deadline: DateTime<Utc>,
    #[serde(with = "approvals")]
    approvals: Vec<Approval>,
    #[serde(with = "ending")]
    ended_by: Option<Ending>,
    version: Option<(u32, DateTime<Utc>)>,
    sequence: u64,
    trail: Vec<u64>,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Approval")]
struct PlainApproval {
    id: ApprovalId,
    by: OperatorId,
    by_name: String,
    #[serde(with = "time")]
    at: DateTime<Utc>,
    digest: Digest,
    reason: String,
    #[serde(with = "PlainProof")]
    proof: Proof,
    void: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Proof")]
enum PlainProof {
    Token { token: TokenId },
    SshSignature(Box<Signed>),
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Ending")]
struct PlainEnding {
    by: String,
    reason: String,
    #[serde(with = "time")]
    at: DateTime<Utc>,
    #[serde(with = "shown_by")]
    proof: Option<Proof>,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "BreakGlass")]
struct PlainBreakGlass {
    by: OperatorId,
    by_name: String,
    #[serde(with = "time")]
    at: DateTime<Utc>,
    reason: String,
    #[serde(with = "PlainProof")]
    proof: Proof,
    #[serde(with = "time")]
    review_by: DateTime<Utc>,
    #[serde(with = "time_or_none")]
    reviewed_at: Option<DateTime<Utc>>,
}

pub mod broken_glass {
    use super::{BreakGlass, Deserialize, PlainBreakGlass, Serialize};
    use serde::{Deserializer, Serializer};

    struct Lent<'a>(&'a BreakGlass);

    impl Serialize for Lent<'_> {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            PlainBreakGlass::serialize(self.0, serializer)
        }
    }

    #[derive(Deserialize)]
    struct Held(#[serde(with = "PlainBreakGlass")] BreakGlass);

    #[expect(clippy::ref_option, reason = "serde's signature")]
    pub fn serialize<S: Serializer>(
        glass: &Option<Box<BreakGlass>>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        glass.as_deref().map(Lent).serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Box<BreakGlass>>, D::Error> {
        Ok(Option::<Held>::deserialize(deserializer)?.map(|held| Box::new(held.0)))
    }
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Credential")]
struct PlainCredential {
    id: CredentialId,
    name: Text,
    environment: Environment,
    kind: Kind,
    issuer: Text,
    role: Text,
    client: ClientId,
    owner: Text,
    audience: Text,
    scopes: Texts,
    tier: Tier,
    tags: Texts,
    #[serde(with = "time")]
    created_at: DateTime<Utc>,
    cadence_s: Option<u64>,
    #[serde(with = "versions")]
    versions: Vec<Version>,
    #[serde(with = "time_or_none")]
    quarantined_at: Option<DateTime<Utc>>,
    revoked: Option<RevocationId>,
    confirmed: Option<Box<Confirmation>>,
    destination: Option<Box<Destination>>,
    sequence: u64,
    trail: Vec<u64>,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Version")]
struct PlainVersion {
    number: u32,
    state: VersionState,
    digest: Option<Digest>,
    locator: BTreeMap<String, String>,
    request: Option<RequestId>,
    #[serde(with = "time")]
    created_at: DateTime<Utc>,
    #[serde(with = "time_or_none")]
    expires_at: Option<DateTime<Utc>>,
    #[serde(with = "time_or_none")]
    retires_at: Option<DateTime<Utc>>,
    delivery: Option<Box<Delivery>>,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Revocation")]
struct PlainRevocation {
    id: RevocationId,
    credential: CredentialId,
    versions: Vec<u32>,
    whole: bool,
    reason: String,
    by: String,
    #[serde(with = "time")]
    effective_at: DateTime<Utc>,
    #[serde(with = "PlainEnforcement")]
    enforcement: Enforcement,
    #[serde(with = "reach")]
    reach: Vec<Reach>,
    since: u64,
    sequence: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Reach")]
struct PlainReach {
    gateway: GatewayId,
    #[serde(with = "time_or_none")]
    sent_at: Option<DateTime<Utc>>,
    #[serde(with = "applied_or_none")]
    applied: Option<Applied>,
    #[serde(with = "time_or_none")]
    proven_at: Option<DateTime<Utc>>,
}

pub mod applied_or_none {
    use super::{Applied, DateTime, Deserialize, Evidence, Serialize, Utc};
    use serde::{Deserializer, Serializer};

    #[derive(Serialize, Deserialize)]
    struct Held(#[serde(with = "super::time")] DateTime<Utc>, Evidence);

    #[expect(clippy::ref_option, reason = "serde's signature")]
    pub fn serialize<S: Serializer>(
        applied: &Option<Applied>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        applied
            .map(|applied| Held(applied.at, applied.by))
            .serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Applied>, D::Error> {
        let held = Option::<Held>::deserialize(deserializer)?;
        Ok(held.map(|Held(at, by)| Applied { at, by }))
    }
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Gateway")]
struct PlainGateway {
    id: GatewayId,
    name: String,
    profile: Profile,
    environment: Environment,
    audiences: Vec<Text>,
    #[serde(with = "routes")]
    routes: Vec<Route>,
    objective_s: u64,
    cache_s: u64,
    by: String,
    #[serde(with = "time")]
    registered_at: DateTime<Utc>,
    #[serde(with = "tokens")]
    tokens: Vec<Token>,
    #[serde(with = "time_or_none")]
    removed_at: Option<DateTime<Utc>>,
    sequence: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Route")]
struct PlainRoute {
    prefix: String,
    methods: Vec<String>,
    scope: String,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Enforcement")]
enum PlainEnforcement {
    NotNeeded,
    Pending {
        attempts: u32,
        last_error: Option<String>,
    },
    Enforced {
        #[serde(with = "time")]
        at: DateTime<Utc>,
        proven: bool,
    },
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Return")]
struct PlainReturn {
    by: String,
    setback: Setback,
    reason: String,
    #[serde(with = "time_or_none")]
    done_at: Option<DateTime<Utc>>,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Rotation")]
struct PlainRotation {
    id: RotationId,
    credential: CredentialId,
    from: u32,
    to: Option<u32>,
    cause: RotationCause,
    by: String,
    reason: String,
    state: RotationState,
    #[serde(with = "time_or_none")]
    due_at: Option<DateTime<Utc>>,
    #[serde(with = "time_or_none")]
    late_at: Option<DateTime<Utc>>,
    frozen: Option<String>,
    terms: Terms,
    member: Option<Member>,
    #[serde(with = "time")]
    started_at: DateTime<Utc>,
    #[serde(with = "time_or_none")]
    deadline: Option<DateTime<Utc>>,
    attempts: u32,
    attempt_locator: BTreeMap<String, String>,
    #[serde(with = "time_or_none")]
    minted_at: Option<DateTime<Utc>>,
    checked_by: String,
    #[serde(with = "time_or_none")]
    checked_at: Option<DateTime<Utc>>,
    check: String,
    #[serde(with = "time_or_none")]
    handed_at: Option<DateTime<Utc>>,
    handed_to: String,
    #[serde(with = "time_or_none")]
    promoted_at: Option<DateTime<Utc>>,
    #[serde(with = "time_or_none")]
    overlap_until: Option<DateTime<Utc>>,
    #[serde(with = "going_back")]
    going_back: Option<Return>,
    #[serde(with = "time_or_none")]
    extended_until: Option<DateTime<Utc>>,
    #[serde(with = "time_or_none")]
    ended_at: Option<DateTime<Utc>>,
    setback: Option<Setback>,
    failure: Option<String>,
    gap_s: u64,
    sequence: u64,
    trail: Vec<u64>,
}

by_mirror! {
    list authenticators: Authenticator as PlainAuthenticator as "PlainAuthenticator";
    list approvals: Approval as PlainApproval as "PlainApproval";
    list reach: Reach as PlainReach as "PlainReach";
    list routes: Route as PlainRoute as "PlainRoute";
    list tokens: Token as PlainToken as "PlainToken";
    list versions: Version as PlainVersion as "PlainVersion";
    option going_back: Return as PlainReturn as "PlainReturn";
    option ending: Ending as PlainEnding as "PlainEnding";
    option shown_by: Proof as PlainProof as "PlainProof";
}
