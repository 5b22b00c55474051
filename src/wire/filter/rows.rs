//! What each kind of row has for each field.

use super::{Field, Row, Value};
use crate::wire::rotation::PlannedRow;
use crate::wire::{
    ClientRow, CredentialRow, EventRecord, GatewayRow, OperatorRow, RequestRow, ReviewRow,
    RevocationRow, RotationRow,
};
use chrono::{DateTime, Utc};

/// The word for requests of one person that belong together.
const BURST: &str = "burst";

fn until(at: Option<DateTime<Utc>>) -> Value<'static> {
    at.map_or(Value::None, Value::Until)
}

fn shown<T: AsRef<str> + ?Sized>(text: &T) -> Value<'_> {
    Value::Text(text.as_ref())
}

/// An identifier's text cannot be borrowed, so identifiers are compared as written.
fn any(texts: &[&str], found: &mut dyn FnMut(&str) -> bool) -> bool {
    texts.iter().any(|text| found(text))
}

impl Row for CredentialRow {
    const FIELDS: &'static [Field] = &[
        Field::Name,
        Field::Owner,
        Field::Client,
        Field::Environment,
        Field::Kind,
        Field::Tier,
        Field::State,
        Field::Left,
        Field::Age,
        Field::Unused,
        Field::Due,
        Field::Version,
        Field::Accepted,
        Field::Sequence,
    ];

    fn value(&self, field: Field) -> Value<'_> {
        match field {
            Field::Name => shown(&self.name),
            Field::Owner => shown(&self.owner),
            Field::Client => shown(&self.client),
            Field::Environment => shown(self.environment.as_str()),
            Field::Kind => shown(self.kind.as_str()),
            Field::Tier => shown(self.tier.as_str()),
            Field::State => shown(self.state.as_str()),
            Field::Left => until(self.expires_at),
            Field::Due => until(self.rotate_by),
            Field::Age => Value::Since(self.issued_at),
            Field::Unused => Value::Since(self.last_used_at.unwrap_or(self.issued_at)),
            Field::Version => Value::Number(self.version.into()),
            Field::Accepted => Value::Number(self.accepted.into()),
            Field::Sequence => Value::Number(self.sequence),
            _ => Value::None,
        }
    }

    fn words(&self, found: &mut dyn FnMut(&str) -> bool) -> bool {
        any(&[&self.name, &self.owner, &self.client], found)
    }

    fn never(&self) -> bool {
        self.expires_at.is_none()
    }
}

impl Row for ReviewRow {
    const FIELDS: &'static [Field] = &[
        Field::Name,
        Field::Owner,
        Field::Client,
        Field::Environment,
        Field::Kind,
        Field::Tier,
        Field::State,
        Field::Due,
        Field::Unused,
        Field::Sequence,
    ];

    fn value(&self, field: Field) -> Value<'_> {
        match field {
            Field::Name => shown(&self.name),
            Field::Owner => shown(&self.owner),
            Field::Client => shown(&self.client),
            Field::Environment => shown(self.environment.as_str()),
            Field::Kind => shown(self.kind.as_str()),
            Field::Tier => shown(self.tier.as_str()),
            Field::State => shown(self.state.as_str()),
            Field::Due => Value::Until(self.due_at),
            Field::Unused => self.last_used_at.map_or(Value::None, Value::Since),
            Field::Sequence => Value::Number(self.sequence),
            _ => Value::None,
        }
    }

    // The state too: `due` finds what is due and what is overdue.
    fn words(&self, found: &mut dyn FnMut(&str) -> bool) -> bool {
        any(
            &[&self.name, &self.owner, &self.client, self.state.as_str()],
            found,
        )
    }

    fn never(&self) -> bool {
        false
    }
}

impl Row for RequestRow {
    const FIELDS: &'static [Field] = &[
        Field::Name,
        Field::Requester,
        Field::Client,
        Field::Wants,
        Field::Environment,
        Field::Kind,
        Field::Tier,
        Field::State,
        Field::Risk,
        Field::Approvals,
        Field::Needed,
        Field::Left,
        Field::Age,
        Field::Sequence,
    ];

    fn value(&self, field: Field) -> Value<'_> {
        match field {
            Field::Name => shown(&self.credential),
            Field::Requester => shown(&self.requester),
            Field::Client => shown(&self.client),
            Field::Wants => shown(&self.wants),
            Field::Environment => shown(self.environment.as_str()),
            Field::Kind => shown(self.kind.as_str()),
            Field::Tier => shown(self.tier.as_str()),
            Field::State if self.burst || self.review_by.is_some() => {
                let owed = self.review_by.map(|_| "review_owed");
                let burst = self.burst.then_some(BURST);
                let state = std::iter::once(self.state.as_str());
                Value::Many(state.chain(owed).chain(burst).collect())
            }
            Field::State => shown(self.state.as_str()),
            Field::Risk => Value::Number(self.risk.into()),
            Field::Approvals => Value::Number(self.approvals.into()),
            Field::Needed => Value::Number(self.needed.into()),
            Field::Left => until(self.review_by.or(self.deadline)),
            Field::Age => Value::Since(self.submitted_at),
            Field::Sequence => Value::Number(self.sequence),
            _ => Value::None,
        }
    }

    fn words(&self, found: &mut dyn FnMut(&str) -> bool) -> bool {
        let texts = [&self.credential, &self.requester, &self.client, &self.wants];
        texts.iter().any(|text| found(text)) || (self.burst && found(BURST))
    }

    fn never(&self) -> bool {
        self.deadline.is_none()
    }
}

impl Row for EventRecord {
    const FIELDS: &'static [Field] = &[
        Field::Id,
        Field::Type,
        Field::Subject,
        Field::Name,
        Field::By,
        Field::Age,
        Field::Sequence,
    ];

    fn value(&self, field: Field) -> Value<'_> {
        match field {
            Field::Id => shown(&self.subject),
            Field::Type => shown(&self.kind),
            Field::Subject => Value::Many(vec![&self.subject, &self.subject_name]),
            Field::Name => shown(&self.subject_name),
            Field::By => shown(&self.actor.name),
            Field::Age => Value::Since(self.at),
            Field::Sequence => Value::Number(self.sequence),
            _ => Value::None,
        }
    }

    fn words(&self, found: &mut dyn FnMut(&str) -> bool) -> bool {
        let texts = [
            &self.kind,
            &self.subject,
            &self.subject_name,
            &self.actor.name,
        ];
        texts.iter().any(|text| found(text))
    }
}

impl Row for RevocationRow {
    const FIELDS: &'static [Field] = &[
        Field::Name,
        Field::By,
        Field::Reason,
        Field::State,
        Field::Age,
        Field::Sequence,
    ];

    fn value(&self, field: Field) -> Value<'_> {
        use crate::domain::Enforcement;
        match field {
            Field::Name => shown(&self.credential_name),
            Field::By => shown(&self.by),
            Field::Reason => shown(&self.reason),
            Field::State => {
                let issuer = match self.enforcement {
                    Enforcement::NotNeeded => "not_needed",
                    Enforcement::Pending { .. } => "pending",
                    Enforcement::Enforced { .. } => "enforced",
                };
                let late = if self.late > 0 { "late" } else { "" };
                Value::Many(vec![self.state.as_str(), issuer, late])
            }
            Field::Age => Value::Since(self.effective_at),
            Field::Sequence => Value::Number(self.sequence),
            _ => Value::None,
        }
    }

    fn words(&self, found: &mut dyn FnMut(&str) -> bool) -> bool {
        any(&[&self.credential_name, &self.by, &self.reason], found)
    }
}

/// What runs, what has ended and what is to come are found by the same fields.
const ROTATION: &[Field] = &[
    Field::Name,
    Field::Owner,
    Field::Environment,
    Field::Kind,
    Field::Tier,
    Field::State,
    Field::By,
    Field::Type,
    Field::Due,
    Field::Age,
    Field::Version,
    Field::Sequence,
];

impl Row for RotationRow {
    const FIELDS: &'static [Field] = ROTATION;

    fn value(&self, field: Field) -> Value<'_> {
        match field {
            Field::Name => shown(&self.credential_name),
            Field::Owner => shown(&self.owner),
            Field::Environment => shown(self.environment.as_str()),
            Field::Kind => shown(self.kind.as_str()),
            Field::Tier => shown(self.tier.as_str()),
            Field::State => {
                let runs = if self.ended_at.is_none() {
                    "running"
                } else {
                    "ended"
                };
                let frozen = if self.frozen.is_some() { "frozen" } else { "" };
                let setback = self.setback.map_or("", |setback| setback.as_str());
                Value::Many(vec![self.state.as_str(), runs, frozen, setback])
            }
            Field::By => shown(&self.by),
            Field::Type => shown(self.cause.as_str()),
            // Once the newer version is in use, nothing is due any more.
            Field::Due if self.promoted_at.is_none() && self.ended_at.is_none() => {
                until(self.late_at)
            }
            Field::Age => Value::Since(self.started_at),
            Field::Version => Value::Number(self.from.into()),
            Field::Sequence => Value::Number(self.sequence),
            _ => Value::None,
        }
    }

    fn words(&self, found: &mut dyn FnMut(&str) -> bool) -> bool {
        any(&[&self.credential_name, &self.owner, &self.by], found)
    }
}

impl Row for PlannedRow {
    const FIELDS: &'static [Field] = ROTATION;

    fn value(&self, field: Field) -> Value<'_> {
        match field {
            Field::Name => shown(&self.credential_name),
            Field::Owner => shown(&self.owner),
            Field::Environment => shown(self.environment.as_str()),
            Field::Kind => shown(self.kind.as_str()),
            Field::Tier => shown(self.tier.as_str()),
            Field::State => {
                let frozen = if self.frozen.is_some() { "frozen" } else { "" };
                Value::Many(vec!["scheduled", frozen])
            }
            Field::Type => shown("schedule"),
            Field::Due => Value::Until(self.late_at),
            Field::Age => Value::Since(self.from_since),
            Field::Version => Value::Number(self.from.into()),
            _ => Value::None,
        }
    }

    fn words(&self, found: &mut dyn FnMut(&str) -> bool) -> bool {
        any(&[&self.credential_name, &self.owner], found)
    }
}

impl Row for GatewayRow {
    const FIELDS: &'static [Field] = &[
        Field::Name,
        Field::Environment,
        Field::Kind,
        Field::State,
        Field::By,
        Field::Sequence,
    ];

    fn value(&self, field: Field) -> Value<'_> {
        match field {
            Field::Name => shown(&self.name),
            Field::Environment => shown(self.environment.as_str()),
            Field::Kind => shown(self.profile.as_str()),
            Field::State => {
                let service = if self.removed_at.is_some() {
                    "removed"
                } else {
                    "active"
                };
                let late = if self.late > 0 { "late" } else { "" };
                let silent = if self.silent { "silent" } else { "" };
                Value::Many(vec![service, late, silent])
            }
            Field::By => shown(&self.by),
            Field::Sequence => Value::Number(self.sequence),
            _ => Value::None,
        }
    }

    fn words(&self, found: &mut dyn FnMut(&str) -> bool) -> bool {
        any(&[&self.name, &self.by], found)
    }
}

impl Row for ClientRow {
    const FIELDS: &'static [Field] = &[
        Field::Name,
        Field::Owner,
        Field::Environment,
        Field::Tier,
        Field::State,
        Field::Sequence,
    ];

    fn value(&self, field: Field) -> Value<'_> {
        match field {
            Field::Name => shown(&self.name),
            Field::Owner => shown(&self.owner),
            Field::Environment => shown(self.environment.as_str()),
            Field::Tier => shown(self.tier.as_str()),
            Field::State => shown(in_service(self.offboarded_at)),
            Field::Sequence => Value::Number(self.sequence),
            _ => Value::None,
        }
    }

    fn words(&self, found: &mut dyn FnMut(&str) -> bool) -> bool {
        any(&[&self.name, &self.owner, &self.contact], found)
    }
}

impl Row for OperatorRow {
    const FIELDS: &'static [Field] = &[
        Field::Name,
        Field::Kind,
        Field::Group,
        Field::Role,
        Field::Environment,
        Field::State,
        Field::Sequence,
    ];

    fn value(&self, field: Field) -> Value<'_> {
        match field {
            Field::Name => Value::Many(vec![&self.name, &self.display_name]),
            Field::Kind => shown(if self.robot { "robot" } else { "person" }),
            Field::Group => Value::Many(self.groups.iter().map(String::as_str).collect()),
            Field::Role => {
                let held = self.roles.values().flatten();
                Value::Many(held.map(|role| role.as_str()).collect())
            }
            Field::Environment => Value::Many(self.roles.keys().map(|env| env.as_str()).collect()),
            Field::State => shown(in_service(self.offboarded_at)),
            Field::Sequence => Value::Number(self.sequence),
            _ => Value::None,
        }
    }

    fn words(&self, found: &mut dyn FnMut(&str) -> bool) -> bool {
        any(&[&self.name, &self.display_name], found)
    }
}

fn in_service(offboarded_at: Option<DateTime<Utc>>) -> &'static str {
    match offboarded_at {
        None => "active",
        Some(_) => "offboarded",
    }
}
