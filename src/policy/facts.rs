//! What a policy may know. One fixed structure, so that a policy asking for anything else is refused
//! when it is loaded instead of quietly seeing nothing.

use serde::Serialize;

/// Everything that a policy can see about one issuance request.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Facts {
    /// What is asked for.
    pub request: RequestFacts,
    /// Who asks.
    pub requester: RequesterFacts,
    /// When, and how busy they have been.
    pub context: ContextFacts,
}

/// What is asked for. The words are passed as they came: unknown ones are the policy's to refuse.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RequestFacts {
    /// `api_key`, `jwt`, `database_role` or `vault_lease`.
    pub kind: String,
    /// `development`, `staging` or `production`.
    pub environment: String,
    /// Scopes (`orders:read`), or for database roles and leases the one role name (`payments-ro`).
    pub scopes: Vec<String>,
    /// Where the credential will be presented.
    pub audience: String,
    /// The lifetime asked for, in seconds.
    pub ttl_s: u64,
    /// Whether a reason that is more than blanks was given. The words themselves decide nothing.
    pub reason_present: bool,
    /// The client's risk tier: `low`, `standard`, `high` or `critical`.
    pub client_tier: String,
    /// Regulation the client falls under: `pci`, `sox`, `gdpr` and the like.
    pub regulatory_tags: Vec<String>,
}

/// Who asks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RequesterFacts {
    /// The operator's or client's id.
    pub id: String,
    /// Roles held in the request's environment; empty for a service asking for itself.
    pub roles: Vec<String>,
    /// Groups the requester is in.
    pub groups: Vec<String>,
}

/// When, and how busy the requester has been. Filled from the command's own time, never from a clock.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ContextFacts {
    /// Hour of the day in UTC, 0 to 23.
    pub hour: u8,
    /// Day of the week in UTC, 1 (Monday) to 7 (Sunday).
    pub weekday: u8,
    /// Requests by the same requester in the hour before this one.
    pub requests_last_hour: u32,
}

impl Facts {
    /// A harmless, well-formed request, with which a policy is tried when it is loaded.
    pub fn probe(kind: &str, environment: &str) -> Self {
        Self {
            request: RequestFacts {
                kind: kind.to_owned(),
                environment: environment.to_owned(),
                scopes: vec!["probe".to_owned()],
                audience: "probe".to_owned(),
                ttl_s: 60,
                reason_present: true,
                client_tier: "standard".to_owned(),
                regulatory_tags: Vec::new(),
            },
            requester: RequesterFacts {
                id: "probe".to_owned(),
                roles: Vec::new(),
                groups: Vec::new(),
            },
            context: ContextFacts {
                hour: 12,
                weekday: 3,
                requests_last_hour: 0,
            },
        }
    }

    /// Every path a policy may name, `request` and `request.kind` alike, drawn from the structure itself.
    pub(super) fn paths() -> Vec<String> {
        let tree = serde_json::to_value(Self::default()).expect("facts are plain data");
        let mut paths = Vec::new();
        for (section, fields) in tree.as_object().expect("facts are an object") {
            paths.push(section.clone());
            for field in fields.as_object().into_iter().flatten() {
                paths.push(format!("{section}.{}", field.0));
            }
        }
        paths
    }
}
