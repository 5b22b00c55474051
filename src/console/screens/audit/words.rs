//! What a record means, in a sentence, and what belongs to it.

use super::page::object;
use crate::console::model::{Choice, Menu};
use crate::console::screens::{Jump, ScreenId, held};
use crate::display::time::count;
use crate::wire::EventRecord;

/// What each type of record says has happened.
const MEANING: &[(&str, &str)] = &[
    (
        "client.onboarded",
        "A service may be given credentials from now on.",
    ),
    (
        "client.offboarded",
        "The service is out of service: what it held is revoked, what waited for it is denied.",
    ),
    (
        "client.owner_changed",
        "Another team answers for the service, and for what it still holds.",
    ),
    (
        "operator.enrolled",
        "Somebody may sign in, with these roles and groups.",
    ),
    (
        "operator.token_issued",
        "A token was made to sign in with, or a session was opened or renewed. The log holds its digest only.",
    ),
    (
        "operator.token_revoked",
        "The token no longer signs anybody in.",
    ),
    (
        "operator.granted",
        "These are the roles and groups of the account now; what is not named was taken.",
    ),
    (
        "operator.offboarded",
        "The account is closed, and its tokens are void.",
    ),
    (
        "request.submitted",
        "Somebody asked for a credential. The digest binds every decision to exactly this plan.",
    ),
    (
        "request.identified",
        "Who asked, as they stood then: their roles and groups.",
    ),
    (
        "request.evaluated",
        "What policy said, and the risk with its factors.",
    ),
    (
        "request.awaiting_approval",
        "People must decide, until the deadline.",
    ),
    (
        "approval.given",
        "One person approved exactly the plan of this digest.",
    ),
    (
        "approval.voided",
        "An approval no longer counts: whoever gave it lost the role, the group or the account.",
    ),
    (
        "request.approved",
        "It may be made: by policy alone, or because enough people approved.",
    ),
    ("request.denied", "It is over: nothing is made."),
    (
        "review.failed",
        "What was issued without a quorum is withdrawn: somebody said no, or nobody looked in time.",
    ),
    (
        "policy.proposed",
        "Another policy was proposed, with its whole text. Decisions are bound to its digest.",
    ),
    (
        "policy.approval_given",
        "One person approved exactly the text of this digest.",
    ),
    (
        "policy.approval_voided",
        "An approval no longer counts: whoever gave it lost the role, the group, the key or the account.",
    ),
    (
        "policy.in_force",
        "Enough people approved: it decides every request from this record on.",
    ),
    (
        "policy.denied",
        "The proposal is over; the policy in force stays.",
    ),
    ("policy.withdrawn", "The proposal was taken back."),
    ("policy.expired", "Nobody decided the proposal in time."),
    ("request.expired", "Nobody decided in time."),
    ("request.withdrawn", "It was taken back."),
    (
        "issuance.started",
        "An attempt to make it began; whatever it makes can be found by this locator.",
    ),
    (
        "issuance.failed",
        "The attempt came to nothing. If it was not the last, another follows.",
    ),
    (
        "request.retried",
        "Somebody had it tried once more, under the approvals it has.",
    ),
    (
        "version.minted",
        "A secret was made. It is handed out once, to whoever asked; the log holds its digest only.",
    ),
    (
        "request.claimed",
        "The secret was handed out. It is shown to nobody again.",
    ),
    (
        "delivery.started",
        "The secret is about to be put where it is read: written down before it leaves.",
    ),
    (
        "delivery.failed",
        "The secret could not be put where it belongs. It is tried again until its window ends.",
    ),
    (
        "request.delivered",
        "The secret is where it is read, and its version is in use. The broker has forgotten it.",
    ),
    (
        "request.lapsed",
        "Nobody came for the secret in time, or it could not be delivered; it is withdrawn.",
    ),
    (
        "credential.adopted",
        "Something that was issued elsewhere is under management from now on.",
    ),
    ("version.promoted", "This version is the one in use."),
    (
        "version.retiring",
        "A newer version is in use; this one is accepted until its overlap ends.",
    ),
    (
        "version.retired",
        "The overlap ended: it is no longer accepted.",
    ),
    (
        "version.expired",
        "Its life ended: it is no longer accepted.",
    ),
    (
        "version.discarded",
        "It never went into use, or is not in use any more: the older version is in its place.",
    ),
    (
        "rotation.rules_set",
        "How often what rotates from here on, as the policy in force says it.",
    ),
    (
        "rotation.started",
        "A newer version is to take the place of the one in use, which is accepted meanwhile.",
    ),
    (
        "rotation.minting",
        "An attempt to make the newer version began; whatever it makes can be found by this locator.",
    ),
    (
        "rotation.attempt_failed",
        "The attempt came to nothing; another follows. The older version is in use as before.",
    ),
    (
        "rotation.minted",
        "The newer version was made; nobody has it yet. The log holds its digest only.",
    ),
    ("rotation.checking", "The newer version is being tried."),
    (
        "rotation.checked",
        "The newer version works; it waits for whoever uses it to take it.",
    ),
    (
        "rotation.handed_over",
        "The newer secret was handed out, or written where it belongs. It is shown to nobody again.",
    ),
    (
        "rotation.promoted",
        "The newer version is in use; the older one is accepted beside it until its overlap ends.",
    ),
    (
        "rotation.extended",
        "The older version would have ended first: it lives longer, this once, and its owner is told.",
    ),
    (
        "rotation.going_back",
        "The older secret is put back where services read it; nobody is refused meanwhile.",
    ),
    (
        "rotation.put_back",
        "The older secret is back, and its version in use again; the newer one goes once nobody uses it any more.",
    ),
    (
        "rotation.rolled_back",
        "The older version is in use as before; the newer one is discarded.",
    ),
    (
        "rotation.failed",
        "It came to nothing: the older version is in use as before, and it is tried again later.",
    ),
    (
        "rotation.completed",
        "The older version is accepted no more: only the newer one is.",
    ),
    ("credential.owner_changed", "Another team answers for it."),
    (
        "credential.destination_changed",
        "Its secrets go elsewhere from the next version on. What was delivered stays where it is.",
    ),
    (
        "credential.confirmed",
        "Whoever answers for it says that it is still needed.",
    ),
    (
        "credential.quarantined",
        "Every version is refused until an admin releases it.",
    ),
    (
        "credential.released",
        "The fence was lifted: it is accepted again.",
    ),
    (
        "revocation.effective",
        "The broker refuses it from this record on. Its issuer is told next.",
    ),
    (
        "revocation.planned",
        "All that a filter found was revoked together, by the records before this one, as it had been shown.",
    ),
    ("revocation.enforced", "The issuer has withdrawn it too."),
    (
        "revocation.applied",
        "These gateways refuse it too: each said so, or can have no older answer any more.",
    ),
    ("revocation.proven", "This gateway was seen to refuse it."),
    (
        "gateway.registered",
        "A gateway accepts and refuses credentials from now on, and revocations wait for it.",
    ),
    (
        "gateway.token_issued",
        "A token was made by which the gateway proves who it is. The log holds its digest only.",
    ),
    (
        "gateway.token_revoked",
        "The gateway's token proves nothing any more.",
    ),
    (
        "gateway.removed",
        "The gateway is out of service: its tokens are void, and no revocation waits for it.",
    ),
    (
        "token_key.published",
        "Readers of tokens may learn this key from now on; it signs nothing before the time that is told here.",
    ),
    (
        "token_key.in_use",
        "Tokens are signed with this key from now on.",
    ),
    (
        "token_key.withdrawn",
        "Nothing that this key signed is left, and it is published no more. Its private half is gone.",
    ),
    (
        "revocation.failed",
        "The issuer could not withdraw it yet; it is asked again until it has.",
    ),
    (
        "usage.rolled_up",
        "How often credentials were accepted and refused in an hour.",
    ),
    (
        "reconciliation.removed",
        "Something that no record accounts for was found at an issuer, and removed there.",
    ),
];

/// The meaning of a type; nothing for one that this build does not know.
pub fn meaning(kind: &str) -> Option<&'static str> {
    let found = MEANING.iter().find(|(known, _)| *known == kind);
    found.map(|(_, meaning)| *meaning)
}

/// What a record says, by whom, and what vouches for it.
pub fn explain(record: &EventRecord, checked: &str) -> Vec<String> {
    let mut lines = vec![
        meaning(&record.kind)
            .unwrap_or("A type of record that this console does not know; the record itself is shown whole.")
            .to_owned(),
        String::new(),
    ];
    lines.push(match &record.actor.id {
        Some(_) => format!(
            "{} did it, signed in{}. Everything that followed from the same call has the call {}.",
            record.actor.name,
            record
                .actor
                .from
                .as_ref()
                .map_or_else(String::new, |from| format!(" from {from}")),
            record.request_id
        ),
        None if record.actor.name.starts_with("gateway:") => format!(
            "The gateway {} said so, by its own token.",
            record.actor.name.trim_start_matches("gateway:")
        ),
        None => format!(
            "The broker did it by itself ({}): it follows from earlier records.",
            record.actor.name
        ),
    });
    lines.extend(proof(&record.data));
    lines.push(format!(
        "It is leaf {} of the log: {checked}.",
        count(record.sequence.saturating_sub(1))
    ));
    lines
}

/// Whether a decision was signed, and by which key; nothing of what is no decision of a person.
fn proof(data: &serde_json::Value) -> Option<String> {
    let held = ["approval", "ending", "glass"]
        .iter()
        .find_map(|part| data.get(part)?.get("proof"))
        .or_else(|| data.get("proof"))?;
    Some(match held.get("fingerprint").and_then(|key| key.as_str()) {
        Some(key) => {
            format!("It is signed by the key {key}; `audit approval` and `audit denial` export it.")
        }
        None => "It was not signed: only the session shows who it was.".to_owned(),
    })
}

/// Ways to what belongs to a record.
pub fn related(record: &EventRecord) -> Menu {
    let jump = |screen, id: Option<String>, filter: Option<String>| {
        Choice::Jump(Jump { screen, id, filter })
    };
    let subject = record.subject.clone();
    let mut ways = Vec::new();
    let screen = match subject.split('_').next() {
        Some("req") => Some(ScreenId::Approvals),
        Some("crd") => Some(ScreenId::Credentials),
        _ => None,
    };
    if let Some(screen) = screen {
        let note = format!("{} on {}", object(record), screen.title());
        ways.push(("itself", note, jump(screen, Some(subject.clone()), None)));
    }
    // The credential of a record about something else, where it names one.
    let named = ["credential", "revocation"].iter().find_map(|key| {
        let value = record.data.get(key)?;
        let id = value
            .as_str()
            .or_else(|| value.get("credential")?.as_str())?;
        (id.starts_with("crd_") && id != subject).then(|| id.to_owned())
    });
    if let Some(id) = named {
        let note = format!("{id} on {}", ScreenId::Credentials.title());
        ways.push((
            "credential",
            note,
            jump(ScreenId::Credentials, Some(id), None),
        ));
    }
    ways.push((
        "same object",
        format!("every record about {}", object(record)),
        jump(
            ScreenId::Audit,
            None,
            Some(format!("subject=\"{subject}\"")),
        ),
    ));
    ways.push((
        "same person",
        format!("everything that {} did", record.actor.name),
        jump(
            ScreenId::Audit,
            None,
            Some(format!("by=\"{}\"", record.actor.name)),
        ),
    ));
    ways.push(held::entry(&record.actor.name));
    ways.push((
        "same type",
        format!("every {}", record.kind),
        jump(ScreenId::Audit, None, Some(format!("type={}", record.kind))),
    ));
    Menu::of_ways(format!("WHAT BELONGS TO #{}", count(record.sequence)), ways)
}
