//! Names that read like others and are not.

use super::review::asked_for;
use crate::console::model::Shared;
use crate::display::sanitize::{Suspicion, suspicious};
use crate::wire::RequestDetail;

/// What a person should look at twice about the names of a request.
pub(super) fn of(detail: &RequestDetail, shared: &Shared) -> Vec<String> {
    let rows: Vec<_> = (0..shared.fleet.len() as u32)
        .filter_map(|row| shared.fleet.get(row))
        .collect();
    let names: Vec<&str> = rows.iter().map(|row| row.name.as_str()).collect();
    let people: Vec<&str> = shared
        .requests
        .values()
        .map(|row| row.requester.as_str())
        .chain(detail.deciders.iter().map(String::as_str))
        .chain(shared.session.iter().map(|session| session.name.as_str()))
        .collect();
    let clients: Vec<&str> = rows.iter().map(|row| row.client.as_str()).collect();
    let plan = &detail.plan;
    let named = [
        lookalike("the credential", &plan.credential, &names),
        lookalike("the requester", &detail.row.requester, &people),
        lookalike("the client", &detail.row.client, &clients),
        lookalike("the audience", &plan.audience, &[]),
    ];
    let scopes = asked_for(plan);
    let scopes = scopes
        .iter()
        .map(|scope| lookalike("the scope", scope, &[]));
    named.into_iter().chain(scopes).flatten().collect()
}

/// What a person should look at twice about a name, among the names that are known; the name itself may be
/// one of them.
fn lookalike(what: &str, name: &str, known: &[&str]) -> Option<String> {
    // Twins have nearly the same length; without this a large fleet would be spelled out for each review.
    let near = |other: &&str| *other != name && other.len().abs_diff(name.len()) <= 4;
    let near: Vec<&str> = known.iter().copied().filter(near).collect();
    Some(match suspicious(name, &near)? {
        Suspicion::LooksLike(twin) => format!("{what} {name} reads like {twin}, and is another"),
        Suspicion::MixedScripts => format!("{what} {name} mixes writing systems"),
        Suspicion::HiddenCharacters => format!("{what} {name} has characters that cannot be seen"),
        Suspicion::ReadsAsAscii => format!("{what} {name} reads as plain letters and is not"),
    })
}
