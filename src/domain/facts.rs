//! What policy is asked about: typed facts, gathered when a request comes and kept with it in the log, so that what was
//! decided can be decided again, by this policy or by another one, on exactly what was known then.

use super::check::{LIST_MAX, clip};
use serde::{Deserialize, Serialize};

/// The longest word of a fact that is kept, in bytes: names and scopes are bounded where they enter.
const WORD_MAX: usize = 128;
/// How many approvals and findings are told apart, and how many groups of one approver.
const FEW: usize = 8;

/// Everything that a policy can see about one request.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Facts {
    /// What is asked for.
    pub request: RequestFacts,
    /// For whom.
    pub client: ClientFacts,
    /// Who asks.
    pub requester: RequesterFacts,
    /// Where it is used.
    pub environment: EnvironmentFacts,
    /// What client and requester hold already.
    pub grants: GrantFacts,
    /// Approvals so far; none when a request is first evaluated.
    pub approvals: Vec<ApprovalFacts>,
    /// How this request compares with what went before.
    pub history: HistoryFacts,
    /// What kind of data it reaches.
    pub data: DataFacts,
    /// Findings about credential, client or requester that nobody has closed yet.
    pub anomalies: Vec<AnomalyFacts>,
    /// When, by the command's own time.
    pub time: TimeFacts,
}

/// What is asked for. The words are passed as they came: unknown ones are the policy's to refuse.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RequestFacts {
    /// `api_key`, `jwt`, `database_role` or `vault_lease`.
    pub kind: String,
    /// Scopes (`orders:read`), or for database roles and leases the one role name (`payments-ro`).
    pub scopes: Vec<String>,
    /// Where the credential will be presented.
    pub audience: String,
    /// The lifetime asked for, in seconds.
    pub ttl_s: u64,
    /// Whether a reason that is more than blanks was given. The words themselves decide nothing.
    pub reason_present: bool,
    /// Whether the quorum is to be skipped in an emergency.
    pub break_glass: bool,
    /// The configured destination that the secret is put in; empty where it goes into the requester's hands.
    #[serde(default)]
    pub destination: String,
}

/// For whom.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClientFacts {
    /// Its name.
    pub name: String,
    /// The team that answers for it.
    pub owner: String,
    /// `low`, `elevated`, `high` or `critical`.
    pub tier: String,
    /// How many services stop when its credentials do.
    pub dependents: u32,
}

/// Who asks.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RequesterFacts {
    /// The handle.
    pub name: String,
    /// Not a person.
    pub robot: bool,
    /// Roles held in the request's environment.
    pub roles: Vec<String>,
    /// Groups.
    pub groups: Vec<String>,
}

/// Where it is used.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EnvironmentFacts {
    /// `development`, `staging` or `production`.
    pub name: String,
}

/// What client and requester hold already, in the request's environment.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GrantFacts {
    /// How many of the client's credentials are accepted.
    pub client_credentials: u32,
    /// What these allow: scopes, or role names.
    pub client_scopes: Vec<String>,
    /// How many credentials were issued on this requester's requests.
    pub requester_credentials: u64,
    /// Those of the scopes asked for that were issued to this requester before.
    pub requester_scopes: Vec<String>,
}

/// One approval.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApprovalFacts {
    /// Whose.
    pub by: String,
    /// Their groups now.
    pub groups: Vec<String>,
}

/// How this request compares with what went before.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HistoryFacts {
    /// The client never had a credential.
    pub client_first_use: bool,
    /// Those of the scopes asked for that this requester was never issued.
    pub new_scopes: Vec<String>,
    /// Requests by the same requester in the hour before this one.
    pub requests_last_hour: u32,
}

/// What kind of data it reaches.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataFacts {
    /// Regulatory tags: `pci`, `sox`, `gdpr` and the like.
    pub classes: Vec<String>,
}

/// One open finding.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AnomalyFacts {
    /// The detector's stable name.
    pub kind: String,
    /// `credential`, `client` or `requester`.
    pub subject: String,
}

/// When.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TimeFacts {
    /// Hour of the day in UTC, 0 to 23.
    pub hour: u8,
    /// Day of the week in UTC, 1 (Monday) to 7 (Sunday).
    pub weekday: u8,
}

impl Facts {
    /// A harmless, well-formed request at noon on a Wednesday by somebody who has asked for the same before: what
    /// cases differ from, and what a policy is tried with when it is loaded.
    pub fn ordinary(kind: &str, environment: &str) -> Self {
        let scope = match kind {
            "database_role" | "vault_lease" => "probe-ro",
            _ => "probe:read",
        };
        Self {
            request: RequestFacts {
                kind: kind.to_owned(),
                scopes: vec![scope.to_owned()],
                audience: "probe".to_owned(),
                ttl_s: 3_600,
                reason_present: true,
                break_glass: false,
                destination: String::new(),
            },
            client: ClientFacts {
                name: "probe".to_owned(),
                owner: "probe".to_owned(),
                tier: "low".to_owned(),
                dependents: 0,
            },
            requester: RequesterFacts {
                name: "probe".to_owned(),
                robot: false,
                roles: vec!["operator".to_owned()],
                groups: Vec::new(),
            },
            environment: EnvironmentFacts {
                name: environment.to_owned(),
            },
            grants: GrantFacts {
                client_credentials: 1,
                client_scopes: vec![scope.to_owned()],
                requester_credentials: 1,
                requester_scopes: vec![scope.to_owned()],
            },
            time: TimeFacts {
                hour: 12,
                weekday: 3,
            },
            ..Self::default()
        }
    }

    /// Themselves, cut to what one event of the log can hold. What policy is asked about is always this, so that what
    /// the log keeps is what was decided on.
    #[must_use]
    pub fn bounded(mut self) -> Self {
        let lists = [
            &mut self.request.scopes,
            &mut self.requester.roles,
            &mut self.requester.groups,
            &mut self.grants.client_scopes,
            &mut self.grants.requester_scopes,
            &mut self.history.new_scopes,
            &mut self.data.classes,
        ];
        for list in lists {
            bound(list);
        }
        self.approvals.truncate(FEW);
        self.anomalies.truncate(FEW);
        for anomaly in &mut self.anomalies {
            anomaly.kind = clip(&anomaly.kind, WORD_MAX);
            anomaly.subject = clip(&anomaly.subject, WORD_MAX);
        }
        for approval in &mut self.approvals {
            approval.by = clip(&approval.by, WORD_MAX);
            approval.groups.truncate(FEW);
            bound(&mut approval.groups);
        }
        for word in [
            &mut self.request.kind,
            &mut self.request.audience,
            &mut self.request.destination,
            &mut self.client.name,
            &mut self.client.owner,
            &mut self.client.tier,
            &mut self.requester.name,
            &mut self.environment.name,
        ] {
            *word = clip(word, WORD_MAX);
        }
        self
    }
}

fn bound(list: &mut Vec<String>) {
    list.truncate(LIST_MAX);
    for word in list {
        *word = clip(word, WORD_MAX);
    }
}
