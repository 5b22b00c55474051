//! The answers to *why*, *what changed* and *what belongs to it*, in words from what the row and its detail say.

use super::Credentials;
use crate::console::effect::Call;
use crate::console::model::{Choice, Ctx, Menu, Overlay, Shared};
use crate::console::screens::{Jump, ScreenId, held};
use crate::display::time::{ago, compact, count};
use crate::wire::{CredentialDetail, CredentialRow, CredentialState, Enforcement, VersionView};
use chrono::{DateTime, TimeDelta, Utc};

/// Why it is in this state, why it has its mark, and what could be done.
pub fn explain(screen: &Credentials, ctx: &mut Ctx<'_>) {
    let Some(row) = screen.row(ctx.shared) else {
        return;
    };
    let lines = reasons(&row, screen.detail_of(row.id), ctx.shared);
    let title = format!("WHY  {}", row.name);
    *ctx.overlay = Some(Overlay::Page(title, lines, 0));
}

/// The sentences, one a paragraph.
pub fn reasons(
    row: &CredentialRow,
    detail: Option<&CredentialDetail>,
    shared: &Shared,
) -> Vec<String> {
    let now = shared.now;
    let full = |at: DateTime<Utc>| shared.time.full(at, now);
    let mut say = vec![state(row, detail, shared)];
    let over = matches!(
        row.state,
        CredentialState::Revoked | CredentialState::Expired
    );
    if over {
        say.push("It is over: no version of it is accepted again, and nothing is due.".into());
        return say;
    }
    say.push(match row.expires_at {
        None => "It NEVER ends: no version has an end, so it works until somebody revokes it. That is marked, \
                 because nobody would notice a leak by its end."
            .into(),
        Some(at) if at - now < TimeDelta::hours(1) => format!(
            "It ends {} ({}), within the hour: whoever uses it is refused from then on. That is marked.",
            ago(at, now),
            full(at)
        ),
        Some(at) => format!("It ends {} ({}).", ago(at, now), full(at)),
    });
    say.push(match row.rotate_by {
        None => "No cadence is set for it, so it is never due and never late.".into(),
        Some(due) => {
            let cadence = detail.and_then(|detail| detail.cadence_s);
            let cadence = cadence.map_or_else(
                || "By its cadence".to_owned(),
                |seconds| {
                    let every = TimeDelta::seconds(seconds.min(1 << 40).cast_signed());
                    format!("Its cadence is {}: by it", compact(every))
                },
            );
            if due < now {
                format!(
                    "{cadence} it was due {} and is LATE by {}. That is marked until a newer version is claimed.",
                    full(due),
                    compact(now - due)
                )
            } else if due - now < TimeDelta::hours(24) {
                format!("{cadence} it is DUE {}, within a day.", ago(due, now))
            } else {
                format!("{cadence} it is due {} ({}).", ago(due, now), full(due))
            }
        }
    });
    if row.owner == "nobody" {
        say.push(
            "Nobody answers for it. That is marked; `countersign credential owner` gives it away."
                .into(),
        );
    }
    match row.last_used_at {
        None => say.push("It was never used, as far as is known.".into()),
        Some(at) => say.push(format!("It was last used {}.", ago(at, now))),
    }
    if let Some(detail) = detail.filter(|detail| detail.refused > 0) {
        say.push(format!(
            "It was refused {} times beside {} accepted uses: somebody presents a version that is over, or one that \
             is fenced.",
            count(detail.refused),
            count(detail.used)
        ));
    }
    say
}

fn state(row: &CredentialRow, detail: Option<&CredentialDetail>, shared: &Shared) -> String {
    let full = |at: DateTime<Utc>| shared.time.full(at, shared.now);
    match row.state {
        CredentialState::Active => format!(
            "ACTIVE: version {} is in use since {} and is accepted.",
            row.version,
            full(row.issued_at)
        ),
        CredentialState::Rotating => {
            let older = detail.and_then(|detail| {
                let mut versions = detail.versions.iter();
                versions.find_map(|version| Some((version.number, version.retires_at?)))
            });
            let until = older.map_or_else(String::new, |(number, at)| {
                format!(" Version {number} is accepted until {}.", full(at))
            });
            format!(
                "OVERLAP: {} versions are accepted, so that readers can change over to version {}.{until}",
                row.accepted, row.version
            )
        }
        CredentialState::Quarantined => {
            let fenced = event(detail, "credential.quarantined");
            format!(
                "FENCED: every version is refused until an admin releases it.{}",
                fenced.unwrap_or_default()
            )
        }
        CredentialState::Revoked => {
            let last = detail.and_then(|detail| detail.revocations.last());
            let why = last.map_or_else(String::new, |last| {
                format!(
                    " By {} at {}: {}. {}",
                    last.by,
                    full(last.effective_at),
                    last.reason,
                    enforcement(&last.enforcement, |at| shared.time.short(at, shared.now))
                )
            });
            format!("REVOKED for good.{why}")
        }
        CredentialState::Expired => {
            let end = row.expires_at.map_or_else(String::new, full);
            format!("EXPIRED: its last version ended {end}, and no newer one was claimed.")
        }
    }
}

/// By whom and why, from its latest event of this type.
fn event(detail: Option<&CredentialDetail>, kind: &str) -> Option<String> {
    let found = detail?.trail.iter().find(|event| event.kind == kind)?;
    let reason = found.data.get("reason").and_then(|reason| reason.as_str());
    let reason = reason.map_or_else(String::new, |reason| format!(": {reason}"));
    Some(format!(" By {}{reason}.", found.actor.name))
}

/// How far a revocation has come, in words.
pub fn enforcement(
    enforcement: &Enforcement,
    short: impl FnOnce(DateTime<Utc>) -> String,
) -> String {
    match enforcement {
        Enforcement::NotNeeded => "Refused here; no issuer holds anything of it.".into(),
        Enforcement::Pending {
            attempts: 0,
            last_error: None,
        } => "Refused here; its issuer is being told.".into(),
        Enforcement::Pending {
            attempts,
            last_error,
        } => format!(
            "Refused here; NOT YET withdrawn at its issuer, {attempts} tries: {}.",
            last_error.as_deref().unwrap_or("no answer")
        ),
        Enforcement::Enforced { at, proven } => format!(
            "Withdrawn at its issuer {}{}.",
            short(*at),
            if *proven { ", proven there" } else { "" }
        ),
    }
}

/// The newest version against the one before.
pub fn diff(screen: &Credentials, ctx: &mut Ctx<'_>) {
    let Some(row) = screen.row(ctx.shared) else {
        return;
    };
    let Some(detail) = screen.detail_of(row.id) else {
        return;
    };
    let (title, lines) = match detail.versions.as_slice() {
        [.., before, after] => (
            format!("{}  v{} to v{}", row.name, before.number, after.number),
            changed(before, after, ctx.shared),
        ),
        _ => (
            format!("{}  v{}", row.name, row.version),
            vec!["It has one version only: there is nothing to compare it with.".into()],
        ),
    };
    *ctx.overlay = Some(Overlay::Page(title, lines, 0));
}

/// What differs between two versions, a line a thing. What a version cannot change is said once, at the end.
pub fn changed(before: &VersionView, after: &VersionView, shared: &Shared) -> Vec<String> {
    let full = |at: DateTime<Utc>| shared.time.full(at, shared.now);
    let end = |at: Option<DateTime<Utc>>| at.map_or_else(|| "never".to_owned(), full);
    let life = |version: &VersionView| {
        let life = version.expires_at.map(|end| end - version.created_at);
        life.map_or_else(|| "without end".to_owned(), compact)
    };
    let request = |version: &VersionView| {
        version
            .request
            .map_or_else(|| "none: it was adopted".to_owned(), |id| id.to_string())
    };
    let mut lines = Vec::new();
    let mut pair = |label: &str, before: String, after: String| {
        if before == after {
            lines.push(format!("  {label:<10} {before}"));
        } else {
            lines.push(format!("- {label:<10} {before}"));
            lines.push(format!("+ {label:<10} {after}"));
        }
    };
    pair("state", before.state.to_string(), after.state.to_string());
    pair("made", full(before.created_at), full(after.created_at));
    pair("ends", end(before.expires_at), end(after.expires_at));
    pair("lifetime", life(before), life(after));
    pair("request", request(before), request(after));
    let keys = before.locator.keys().chain(after.locator.keys());
    let keys: std::collections::BTreeSet<&String> = keys.collect();
    for key in keys {
        let value = |version: &VersionView| {
            let value = version.locator.get(key).cloned();
            value.unwrap_or_else(|| "not there".into())
        };
        pair(key, value(before), value(after));
    }
    if let Some(at) = before.retires_at {
        lines.push(format!("  overlap    v{} ends {}", before.number, full(at)));
    }
    lines.push(String::new());
    lines.push(
        "Client, scopes, audience and issuer are the credential's: a version cannot change them."
            .into(),
    );
    lines
}

/// A menu of ways to what belongs to it.
pub fn related(screen: &Credentials, ctx: &mut Ctx<'_>) {
    let Some(row) = screen.row(ctx.shared) else {
        return;
    };
    let detail = screen.detail_of(row.id);
    let jumps = jumps(&row, detail).into_iter();
    let mut ways: Vec<_> = jumps
        .map(|(label, note, jump)| (label, note, Choice::Jump(jump)))
        .collect();
    if let Some(detail) = detail {
        let note = format!(
            "all that {} holds, and what its leaving would take",
            row.client
        );
        let ask = Choice::Ask(Call::ClientHoldings(detail.client_id));
        // Before the revocations, of which there can be more than there are keys.
        ways.insert(ways.len().min(4), ("holdings", note, ask));
        let (_, note, ask) = held::entry(&row.owner);
        ways.insert(ways.len().min(5), ("owner holds", note, ask));
    }
    let title = format!("WHAT BELONGS TO {}", row.name);
    *ctx.overlay = Some(Overlay::Menu(Menu::of_ways(title, ways)));
}

/// Where one can go from it: what each is called, what is there, and the way.
pub fn jumps(
    row: &CredentialRow,
    detail: Option<&CredentialDetail>,
) -> Vec<(&'static str, String, Jump)> {
    let filtered = |screen, filter: String| Jump {
        screen,
        id: None,
        filter: Some(filter),
    };
    let mut jumps = vec![
        (
            "client",
            format!("everything that {} uses", row.client),
            filtered(ScreenId::Credentials, format!("client=\"{}\"", row.client)),
        ),
        (
            "owner",
            format!("everything that {} answers for", row.owner),
            filtered(ScreenId::Credentials, format!("owner=\"{}\"", row.owner)),
        ),
        (
            "requests",
            "every request for it, decided or not".into(),
            filtered(ScreenId::Approvals, format!("name=\"{}\"", row.name)),
        ),
        (
            "audit trail",
            "every record about it".into(),
            filtered(ScreenId::Audit, format!("subject={}", row.id)),
        ),
    ];
    let newest = detail.and_then(|detail| detail.versions.last());
    if let Some((version, id)) = newest.and_then(|version| Some((version.number, version.request?)))
    {
        let jump = Jump {
            screen: ScreenId::Approvals,
            id: Some(id.to_string()),
            filter: None,
        };
        jumps.push((
            "its request",
            format!("the one that version {version} was made for"),
            jump,
        ));
    }
    jumps.push((
        "rotation",
        "the one that runs, or the one to come".into(),
        Jump {
            screen: ScreenId::Rotation,
            id: Some(row.id.to_string()),
            filter: None,
        },
    ));
    let revocations = detail.map_or(&[][..], |detail| detail.revocations.as_slice());
    jumps.extend(revocations.iter().rev().map(|revocation| {
        let what = if revocation.whole {
            "of all of it".to_owned()
        } else {
            format!("of v{}", join(&revocation.versions))
        };
        (
            "revocation",
            format!("{what}, by {}: {}", revocation.by, revocation.reason),
            Jump {
                screen: ScreenId::Revocations,
                id: Some(revocation.id.to_string()),
                filter: None,
            },
        )
    }));
    jumps
}

fn join(versions: &[u32]) -> String {
    let words: Vec<String> = versions.iter().map(ToString::to_string).collect();
    words.join(", v")
}
