//! The columns of each list.

use super::args::Format;
use super::output::{Row, Style};
use crate::display::table::Align::{self, Left, Right};
use crate::wire::Enforcement;
use crate::wire::{
    ClientRow, CredentialRow, EventRecord, GatewayRow, OperatorRow, Receipt, RequestRow, ReviewRow,
    RevocationRow, Role,
};

type Columns = &'static [(&'static str, Align)];

impl Row for CredentialRow {
    const COLUMNS: Columns = &[
        ("NAME", Left),
        ("ENV", Left),
        ("KIND", Left),
        ("STATE", Left),
        ("TIER", Left),
        ("OWNER", Left),
        ("CLIENT", Left),
        ("EXPIRES", Right),
        ("ROTATE BY", Right),
        ("LAST USED", Right),
        ("SEQUENCE", Right),
        ("ID", Left),
    ];

    fn cells(&self, style: &Style) -> Vec<String> {
        vec![
            self.name.clone(),
            environment(self.environment, style),
            self.kind.to_string(),
            self.state.to_string(),
            self.tier.to_string(),
            self.owner.clone(),
            self.client.clone(),
            style.moment_or(self.expires_at, "never"),
            style.moment_or(self.rotate_by, "-"),
            style.moment_or(self.last_used_at, "unknown"),
            self.sequence.to_string(),
            self.id.to_string(),
        ]
    }
}

impl Row for ReviewRow {
    const COLUMNS: Columns = &[
        ("NAME", Left),
        ("ENV", Left),
        ("TIER", Left),
        ("OWNER", Left),
        ("CLIENT", Left),
        ("REVIEW", Left),
        ("DUE", Right),
        ("CONFIRMED", Right),
        ("BY", Left),
        ("LAST USED", Right),
        ("SCOPES", Left),
        ("SEQUENCE", Right),
        ("ID", Left),
    ];

    fn cells(&self, style: &Style) -> Vec<String> {
        vec![
            self.name.clone(),
            environment(self.environment, style),
            self.tier.to_string(),
            self.owner.clone(),
            self.client.clone(),
            self.state.to_string(),
            style.moment(self.due_at),
            style.moment_or(self.confirmed_at, "never"),
            self.confirmed_by.clone().unwrap_or_default(),
            style.moment_or(self.last_used_at, "unknown"),
            self.scopes.join(" "),
            self.sequence.to_string(),
            self.id.to_string(),
        ]
    }
}

impl Row for RequestRow {
    const COLUMNS: Columns = &[
        ("ID", Left),
        ("CREDENTIAL", Left),
        ("ENV", Left),
        ("WANTS", Left),
        ("CLIENT", Left),
        ("FOR", Right),
        ("STATE", Left),
        ("RISK", Right),
        ("APPROVALS", Right),
        ("REQUESTER", Left),
        ("ASKED", Right),
        ("DEADLINE", Right),
        ("SEQUENCE", Right),
    ];

    fn cells(&self, style: &Style) -> Vec<String> {
        vec![
            self.id.to_string(),
            self.credential.clone(),
            environment(self.environment, style),
            self.wants.clone(),
            self.client.clone(),
            style.seconds(self.ttl_s),
            self.state.to_string(),
            match style.format {
                Format::Table => format!("{} {}", self.risk, self.tier),
                _ => self.risk.to_string(),
            },
            format!("{}/{}", self.approvals, self.needed),
            self.requester.clone(),
            style.moment(self.submitted_at),
            style.moment_or(self.deadline, "-"),
            self.sequence.to_string(),
        ]
    }
}

impl Row for RevocationRow {
    const COLUMNS: Columns = &[
        ("ID", Left),
        ("CREDENTIAL", Left),
        ("VERSIONS", Left),
        ("EFFECTIVE", Right),
        ("STATE", Left),
        ("GATEWAYS", Left),
        ("TOOK", Right),
        ("AT THE ISSUER", Left),
        ("BY", Left),
        ("REASON", Left),
    ];

    fn cells(&self, style: &Style) -> Vec<String> {
        vec![
            self.id.to_string(),
            self.credential_name.clone(),
            versions(self),
            style.moment(self.effective_at),
            self.state.to_string(),
            reached(self),
            took(self.time_to_revoke_ms),
            enforcement(&self.enforcement, style),
            self.by.clone(),
            self.reason.clone(),
        ]
    }
}

impl Row for GatewayRow {
    const COLUMNS: Columns = &[
        ("NAME", Left),
        ("PROFILE", Left),
        ("ENV", Left),
        ("SEEN", Right),
        ("WAITING", Right),
        ("LATE", Right),
        ("BOUND", Left),
        ("OBJECTIVE", Right),
        ("STATE", Left),
        ("SEQUENCE", Right),
        ("ID", Left),
    ];

    fn cells(&self, style: &Style) -> Vec<String> {
        vec![
            self.name.clone(),
            self.profile.to_string(),
            self.environment.to_string(),
            style.moment_or(self.seen_at, "never"),
            self.waiting.to_string(),
            self.late.to_string(),
            bound(self),
            format!("{} s", self.objective_s),
            gateway_state(self).to_owned(),
            self.sequence.to_string(),
            self.id.to_string(),
        ]
    }
}

/// After how long a gateway refuses what was revoked.
pub fn bound(row: &GatewayRow) -> String {
    match row.bound_s {
        Some(0) => "asks each time".to_owned(),
        Some(seconds) => format!("within {seconds} s"),
        None => "acknowledges".to_owned(),
    }
}

/// The word for how a gateway is.
pub fn gateway_state(row: &GatewayRow) -> &'static str {
    match row {
        _ if row.removed_at.is_some() => "removed",
        _ if row.late > 0 => "late",
        _ if row.silent => "silent",
        _ => "active",
    }
}

/// How many gateways refuse it, of how many; and how many are late.
pub fn reached(row: &RevocationRow) -> String {
    match (row.gateways, row.late) {
        (0, _) => "-".to_owned(),
        (all, 0) => format!("{}/{all}", row.applied),
        (all, late) => format!("{}/{all}, {late} late", row.applied),
    }
}

/// A time in milliseconds.
pub fn took(millis: Option<u64>) -> String {
    match millis {
        None => "-".to_owned(),
        Some(millis) if millis < 10_000 => format!("{}.{} s", millis / 1_000, millis % 1_000 / 100),
        Some(millis) => format!("{} s", millis / 1_000),
    }
}

impl Row for ClientRow {
    const COLUMNS: Columns = &[
        ("NAME", Left),
        ("ENV", Left),
        ("TIER", Left),
        ("OWNER", Left),
        ("CREDENTIALS", Right),
        ("DEPENDENTS", Right),
        ("STATE", Left),
        ("SEQUENCE", Right),
        ("ID", Left),
    ];

    fn cells(&self, style: &Style) -> Vec<String> {
        let state = match self.offboarded_at {
            Some(_) => "offboarded",
            None => "in service",
        };
        vec![
            self.name.clone(),
            environment(self.environment, style),
            self.tier.to_string(),
            self.owner.clone(),
            self.credentials.to_string(),
            self.dependents.len().to_string(),
            state.to_owned(),
            self.sequence.to_string(),
            self.id.to_string(),
        ]
    }
}

impl Row for OperatorRow {
    const COLUMNS: Columns = &[
        ("HANDLE", Left),
        ("WHAT", Left),
        ("ROLES", Left),
        ("GROUPS", Left),
        ("TOKENS", Left),
        ("STATE", Left),
        ("ID", Left),
    ];

    fn cells(&self, style: &Style) -> Vec<String> {
        let what = if self.robot { "robot" } else { "person" };
        let groups: Vec<&str> = self.groups.iter().map(String::as_str).collect();
        let tokens: Vec<String> = self
            .tokens
            .iter()
            .map(|token| format!("{} ({})", token.id, style.moment(token.expires_at)))
            .collect();
        let state = match self.offboarded_at {
            Some(_) => "closed",
            None => "open",
        };
        vec![
            self.name.clone(),
            what.to_owned(),
            roles(&self.roles),
            groups.join(" "),
            match style.format {
                Format::Table => self.tokens.len().to_string(),
                _ => tokens.join(" "),
            },
            state.to_owned(),
            self.id.to_string(),
        ]
    }
}

impl Row for EventRecord {
    const COLUMNS: Columns = &[
        ("SEQUENCE", Right),
        ("AT", Left),
        ("TYPE", Left),
        ("SUBJECT", Left),
        ("BY", Left),
        ("REQUEST ID", Left),
    ];

    fn cells(&self, _: &Style) -> Vec<String> {
        let subject = match self.subject_name.as_str() {
            "" => self.subject.clone(),
            name => format!("{name} ({})", self.subject),
        };
        vec![
            self.sequence.to_string(),
            crate::display::time::record(self.at),
            self.kind.clone(),
            subject,
            self.actor.name.clone(),
            self.request_id.clone(),
        ]
    }
}

impl Row for Receipt {
    const COLUMNS: Columns = &[("SUBJECT", Left), ("STATE", Left), ("SEQUENCE", Right)];

    fn cells(&self, _: &Style) -> Vec<String> {
        vec![
            self.subject.clone(),
            self.state.clone(),
            self.sequence.to_string(),
        ]
    }
}

fn environment(environment: crate::wire::Environment, style: &Style) -> String {
    match style.format {
        Format::Table => environment.short().to_owned(),
        _ => environment.to_string(),
    }
}

fn versions(row: &RevocationRow) -> String {
    if row.whole {
        return "all, for good".to_owned();
    }
    let numbers: Vec<String> = row.versions.iter().map(ToString::to_string).collect();
    numbers.join(" ")
}

/// How far a revocation has come outside the broker.
pub fn enforcement(enforcement: &Enforcement, style: &Style) -> String {
    match enforcement {
        Enforcement::NotNeeded => "nothing to do".to_owned(),
        Enforcement::Pending {
            attempts,
            last_error: None,
        } => format!("pending, tried {attempts} times"),
        Enforcement::Pending {
            attempts,
            last_error: Some(error),
        } => format!("pending, tried {attempts} times: {error}"),
        Enforcement::Enforced { at, proven: true } => {
            format!("withdrawn, proven {}", style.moment(*at))
        }
        Enforcement::Enforced { at, proven: false } => {
            format!("withdrawn {}", style.moment(*at))
        }
    }
}

/// `production:approver,viewer staging:viewer`.
pub fn roles<'a>(
    roles: impl IntoIterator<
        Item = (
            &'a crate::wire::Environment,
            &'a std::collections::BTreeSet<Role>,
        ),
    >,
) -> String {
    let parts: Vec<String> = roles
        .into_iter()
        .map(|(environment, roles)| {
            let words: Vec<&str> = roles.iter().map(|role| role.as_str()).collect();
            format!("{environment}:{}", words.join(","))
        })
        .collect();
    parts.join(" ")
}
