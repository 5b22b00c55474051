//! Everything about one credential, as lines: what the list knows at once, the rest as soon as it is there.

use super::answers;
use crate::console::model::Shared;
use crate::console::theme::{Role, Theme};
use crate::display::time::{ago, compact, count};
use crate::wire::{
    CredentialDetail, CredentialRow, CredentialState, Enforcement, ReaderView, VersionView,
};
use chrono::{DateTime, TimeDelta, Utc};

/// A line of the detail.
pub enum Part {
    /// A section's rule: its title and what stands on the right.
    Section(String, String),
    /// A label and what it says.
    Pair(&'static str, String, Role),
}

/// A detail of which only the row is known, because the rest could not be fetched.
pub fn unknown(row: CredentialRow) -> CredentialDetail {
    CredentialDetail {
        client_id: crate::wire::ClientId::from_bits(0),
        audience: String::new(),
        scopes: Vec::new(),
        tags: Vec::new(),
        issuer: String::new(),
        role: String::new(),
        cadence_s: None,
        renew_at: None,
        destination: None,
        created_at: row.issued_at,
        quarantined_at: None,
        versions: Vec::new(),
        dependents: Vec::new(),
        used: 0,
        refused: 0,
        readers: Vec::new(),
        revocations: Vec::new(),
        trail: Vec::new(),
        row,
    }
}

/// A point in time and its distance.
fn when(at: DateTime<Utc>, shared: &Shared) -> String {
    let full = shared.time.full(at, shared.now);
    let distance = ago(at, shared.now);
    if full == distance {
        full
    } else {
        format!("{full}  {distance}")
    }
}

/// The state in words, and how grave it is.
pub fn state(row: &CredentialRow, now: DateTime<Utc>) -> (String, Role) {
    let late = row.rotate_by.filter(|due| *due < now);
    match row.state {
        CredentialState::Revoked => ("revoked".into(), Role::Muted),
        CredentialState::Expired => ("expired".into(), Role::Bad),
        CredentialState::Quarantined => ("FENCED".into(), Role::Bad),
        CredentialState::Rotating => ("overlap".into(), Role::Warn),
        CredentialState::Active => match (late, row.rotate_by) {
            (Some(due), _) => (format!("late {}", compact(now - due)), Role::Bad),
            (None, Some(due)) if due - now < TimeDelta::hours(24) => {
                (format!("due {}", compact(due - now)), Role::Warn)
            }
            _ => ("active".into(), Role::Text),
        },
    }
}

/// The lines, in the order in which a person asks.
pub fn parts(
    row: &CredentialRow,
    detail: Option<&CredentialDetail>,
    shared: &Shared,
    theme: &Theme,
) -> Vec<Part> {
    let (word, role) = state(row, shared.now);
    let mut parts = vec![
        Part::Pair(
            "state",
            match row.accepted {
                0 => word,
                1 => format!("{word}, 1 version accepted"),
                many => format!("{word}, {many} versions accepted"),
            },
            role,
        ),
        Part::Pair("issued", when(row.issued_at, shared), Role::Text),
    ];
    parts.push(match row.expires_at {
        Some(at) if at > shared.now => {
            let soon = at - shared.now < TimeDelta::hours(1);
            Part::Pair(
                "ends",
                when(at, shared),
                if soon { Role::Bad } else { Role::Text },
            )
        }
        Some(at) => Part::Pair("ended", when(at, shared), Role::Muted),
        None => Part::Pair("ends", "never".into(), Role::Warn),
    });
    if let Some(due) = row.rotate_by {
        let role = if due < shared.now {
            Role::Bad
        } else {
            Role::Text
        };
        parts.push(Part::Pair("rotate by", when(due, shared), role));
    }
    parts.push(Part::Pair(
        "owner",
        format!("{}   client {}", row.owner, row.client),
        Role::Text,
    ));
    parts.push(Part::Pair(
        "class",
        format!("{} {}", row.environment, row.kind),
        Role::Text,
    ));
    parts.push(Part::Pair("tier", row.tier.to_string(), Role::Text));
    parts.push(Part::Pair("id", row.id.to_string(), Role::Muted));
    match detail {
        Some(detail) => rest(detail, shared, theme, &mut parts),
        None => parts.push(Part::Pair("", "the rest is on its way".into(), Role::Muted)),
    }
    parts
}

fn rest(detail: &CredentialDetail, shared: &Shared, theme: &Theme, parts: &mut Vec<Part>) {
    if detail.issuer.is_empty() {
        return parts.push(Part::Pair(
            "",
            "no more is known: the broker did not say".into(),
            Role::Warn,
        ));
    }
    for revocation in &detail.revocations {
        let what = if revocation.whole {
            "whole".into()
        } else {
            format!("v{:?}", revocation.versions)
        };
        let at = shared.time.short(revocation.effective_at, shared.now);
        let text = format!("{at} {what} by {}: {}", revocation.by, revocation.reason);
        parts.push(Part::Pair("revoked", text, Role::Warn));
        let role = match revocation.enforcement {
            Enforcement::Pending { .. } => Role::Bad,
            _ => Role::Text,
        };
        let text = answers::enforcement(&revocation.enforcement, |at| {
            shared.time.short(at, shared.now)
        });
        parts.push(Part::Pair("", text, role));
    }
    parts.push(Part::Pair("issuer", detail.issuer.clone(), Role::Text));
    if !detail.role.is_empty() {
        parts.push(Part::Pair("role", detail.role.clone(), Role::Text));
    }
    if let Some(destination) = &detail.destination {
        parts.push(Part::Pair("put at", destination.to_string(), Role::Text));
    }
    if !detail.tags.is_empty() {
        parts.push(Part::Pair("tags", detail.tags.join(" "), Role::Text));
    }
    if let Some(since) = detail.quarantined_at {
        parts.push(Part::Pair("fenced", when(since, shared), Role::Bad));
    }
    let last = detail
        .row
        .last_used_at
        .map_or("never".into(), |at| when(at, shared));
    let used = format!(
        "{} times, {} refused, last {last}",
        count(detail.used),
        count(detail.refused)
    );
    let role = if detail.refused > 0 {
        Role::Warn
    } else {
        Role::Text
    };
    parts.push(Part::Pair("used", used, role));
    if !detail.dependents.is_empty() {
        parts.push(Part::Pair(
            "needed by",
            detail.dependents.join(", "),
            Role::Text,
        ));
    }

    let number = detail.scopes.len();
    parts.push(Part::Section(
        "SCOPE".into(),
        format!("complete, {number}   for {}", detail.audience),
    ));
    for scope in &detail.scopes {
        let role = if scope.contains('*') {
            Role::Warn
        } else {
            Role::Text
        };
        parts.push(Part::Pair("", scope.clone(), role));
    }
    let accepted = detail
        .versions
        .iter()
        .filter(|version| version.accepted)
        .count();
    let note = format!("{accepted} of {} accepted", detail.versions.len());
    parts.push(Part::Section("VERSIONS".into(), note));
    for version in detail.versions.iter().rev() {
        parts.push(version_line(version, shared, theme));
        parts.extend(delivery_lines(version, shared));
    }
    if !detail.readers.is_empty() {
        parts.push(Part::Section("READERS".into(), String::new()));
    }
    for reader in &detail.readers {
        parts.push(Part::Pair("", reader_line(reader, shared), Role::Text));
    }
    let next: Vec<Part> = next(detail, shared).collect();
    if !next.is_empty() {
        parts.push(Part::Section("NEXT".into(), String::new()));
        parts.extend(next);
    }
    parts.push(Part::Section("TRAIL".into(), String::new()));
    for event in &detail.trail {
        let at = shared.time.short(event.at, shared.now);
        let text = format!(
            "{at} {} by {}  #{}",
            event.kind,
            event.actor.name,
            count(event.sequence)
        );
        parts.push(Part::Pair("", text, Role::Text));
    }
}

/// Who showed a version, from where, how often, when last.
fn reader_line(reader: &ReaderView, shared: &Shared) -> String {
    let short = |at: DateTime<Utc>| shared.time.short(at, shared.now);
    let mut line = format!(
        "v{} at {} from {}",
        reader.version,
        reader.gateway.as_deref().unwrap_or("introspection"),
        reader.network.as_deref().unwrap_or("somewhere")
    );
    for (word, times, last) in [
        ("accepted", reader.accepted, reader.accepted_at),
        ("refused", reader.refused, reader.refused_at),
    ] {
        if let Some(at) = last {
            line.push_str(&format!(", {word} {}, last {}", count(times), short(at)));
        }
    }
    line
}

fn version_line(version: &VersionView, shared: &Shared, theme: &Theme) -> Part {
    let sign = if version.accepted {
        theme.glyphs.dot
    } else {
        theme.glyphs.ring
    };
    let short = |at: DateTime<Utc>| shared.time.short(at, shared.now);
    let end = match (version.retires_at, version.expires_at) {
        (Some(at), _) => format!("overlap ends {}", short(at)),
        (None, Some(at)) => format!("ends {}", short(at)),
        (None, None) => "never ends".into(),
    };
    let text = format!(
        "{sign} v{} {}  since {}  {end}",
        version.number,
        version.state,
        short(version.created_at),
    );
    let role = if version.accepted {
        Role::Text
    } else {
        Role::Muted
    };
    Part::Pair("", text, role)
}

/// Where the version's secret is, or why it is not there yet.
fn delivery_lines(version: &VersionView, shared: &Shared) -> Vec<Part> {
    let Some(delivery) = &version.delivery else {
        return Vec::new();
    };
    let (text, role) = match (delivery.done_at, &delivery.failure) {
        (Some(at), _) => {
            let at = shared.time.short(at, shared.now);
            let proof = if delivery.proven { ", read back" } else { "" };
            (
                format!("  at {} since {at}{proof}", delivery.place),
                Role::Text,
            )
        }
        (None, Some(why)) => (format!("  not at {} yet: {why}", delivery.to), Role::Bad),
        (None, None) => (format!("  on its way to {}", delivery.to), Role::Warn),
    };
    let mut lines = vec![Part::Pair("", text, role)];
    if !delivery.check.is_empty() {
        let text = format!("  tried before by {}", delivery.check);
        lines.push(Part::Pair("", text, Role::Text));
    }
    lines
}

fn next<'a>(detail: &'a CredentialDetail, shared: &'a Shared) -> impl Iterator<Item = Part> + 'a {
    let coming = |at: &DateTime<Utc>| *at > shared.now;
    let retire = detail.versions.iter().filter_map(move |version| {
        let at = version.retires_at.filter(coming)?;
        Some((
            at,
            format!("version {} is no longer accepted", version.number),
        ))
    });
    let renew = detail
        .renew_at
        .filter(coming)
        .map(|at| (at, "renewal is planned".to_owned()));
    let mut steps: Vec<_> = retire.chain(renew).collect();
    steps.sort();
    steps.into_iter().map(|(at, text)| {
        let at = shared.time.short(at, shared.now);
        Part::Pair("", format!("{at}  {text}"), Role::Text)
    })
}
