//! One request, credential or revocation, in the order in which a person reads it.

use super::output::{Sheet, Style, span};
use super::rows::{self, enforcement};
use crate::display::table::{Align, Table};
use crate::wire::{
    CredentialDetail, DeliveryView, EventRecord, Evidence, GatewayRow, ReachView, RequestDetail,
    RevocationDetail,
};

/// A request, in the order in which it is decided: who gets what, the risk, the change, the rules, the
/// requester's words, and who may decide.
pub fn request(detail: &RequestDetail, style: &Style) -> String {
    let mut sheet = Sheet::default();
    let (row, plan) = (&detail.row, &detail.plan);
    sheet.line(&format!(
        "{} asks for {} in {} for {}, for {}",
        row.requester,
        plan.credential,
        plan.environment,
        span(plan.ttl_s),
        row.client,
    ));
    sheet.fact("request", row.id.to_string());
    sheet.fact("state", row.state.as_str());
    sheet.fact("asked", style.full(row.submitted_at));
    if let Some(deadline) = row.deadline {
        sheet.fact("deadline", style.full(deadline));
    }
    sheet.fact("sequence", row.sequence.to_string());

    sheet.section("What is made");
    sheet.fact("kind", format!("{} by {}", plan.kind, plan.issuer));
    sheet.fact("role", &plan.role);
    sheet.fact("audience", &plan.audience);
    sheet.fact(
        "put at",
        plan.destination
            .as_ref()
            .map_or_else(String::new, ToString::to_string),
    );
    sheet.fact("owner", &detail.owner);
    sheet.fact("tags", detail.tags.join(" "));
    sheet.fact("digest", detail.digest.to_string());
    sheet.fact("short", detail.digest.short());
    for change in &detail.changes {
        let held = if change.held { "held already" } else { "new" };
        let wildcard = if change.wildcard {
            format!(
                ", wildcard: covers the scopes of {} credentials",
                change.covers
            )
        } else {
            String::new()
        };
        sheet.fact("scope", format!("{} ({held}{wildcard})", change.scope));
    }

    if let Some(risk) = &detail.risk {
        sheet.section(&format!("Risk {} of 100, {}", risk.score, risk.tier));
        for factor in &risk.factors {
            sheet.line(&format!(
                "  {:>+4}  {}: {}",
                factor.points, factor.id, factor.reason
            ));
        }
    }
    let history = &detail.history;
    sheet.section("The requester");
    let kind = if detail.requester_robot {
        "a robot"
    } else {
        "a person"
    };
    sheet.fact(
        "who",
        format!(
            "{} ({kind}) {}",
            row.requester,
            detail.requester_groups.join(" ")
        ),
    );
    sheet.fact(
        "past",
        format!(
            "{} requests in {} days: {} issued, {} denied, {} lapsed; {} in the hour before; the same {} times",
            history.asked,
            history.days,
            history.issued,
            history.denied,
            history.lapsed,
            history.last_hour,
            history.same_before,
        ),
    );
    if !detail.reason.is_empty() {
        sheet.section("Their words, unchecked");
        sheet.quote(&detail.reason);
    }
    if !detail.rules.is_empty() {
        sheet.section(&format!("Policy {}", detail.policy));
        for rule in &detail.rules {
            sheet.line(&format!(
                "  {:<5} {}: {}",
                rule.effect, rule.id, rule.reason
            ));
        }
    }
    decision(&mut sheet, detail, style);
    trail(&mut sheet, &detail.trail);
    sheet.finish()
}

fn decision(sheet: &mut Sheet, detail: &RequestDetail, style: &Style) {
    sheet.section("Decision");
    sheet.fact(
        "approvals",
        format!("{} of {}", detail.row.approvals, detail.row.needed),
    );
    for approval in &detail.approvals {
        let words = match (&approval.void, approval.reason.as_str()) {
            (Some(why), _) => format!("; it no longer counts: {why}"),
            (None, "") => String::new(),
            (None, reason) => format!(": {reason}"),
        };
        sheet.fact(
            "by",
            format!("{}, {}{words}", approval.by, style.full(approval.at)),
        );
    }
    let verdict = &detail.may_decide;
    let you = if verdict.allowed {
        "may decide it".to_owned()
    } else {
        format!("may not decide it ({}): {}", verdict.rule, verdict.detail)
    };
    sheet.fact("you", you);
    sheet.fact("could decide", detail.deciders.join(" "));
    if let Some(by) = &detail.ended_by {
        sheet.fact("ended by", by);
    }
    sheet.fact("why", detail.end_reason.as_deref().unwrap_or_default());
    if let Some(proof) = &detail.end_proof {
        sheet.fact("proof", proof.words());
    }
    sheet.fact("failure", detail.failure.as_deref().unwrap_or_default());
    let retry = detail.may_retry.as_ref().filter(|retry| !retry.allowed);
    sheet.fact("no retry", retry.map_or("", |retry| retry.detail.as_str()));
    if let Some(id) = detail.credential_id {
        sheet.fact("credential", id.to_string());
    }
    if let Some(delivery) = &detail.delivery {
        sheet.fact("delivery", delivered(delivery, style));
    }
}

/// How far a delivery has come, in one line.
fn delivered(delivery: &DeliveryView, style: &Style) -> String {
    match (delivery.done_at, &delivery.failure) {
        (Some(at), _) => {
            let proof = if delivery.proven { ", read back" } else { "" };
            let check = match delivery.check.as_str() {
                "" => String::new(),
                seen => format!("; probe {seen}"),
            };
            format!("{}, {}{proof}{check}", delivery.place, style.full(at))
        }
        (None, Some(why)) => format!("to {} has not succeeded yet: {why}", delivery.to),
        (None, None) => format!("to {} is under way", delivery.to),
    }
}

/// A credential with its versions, revocations and latest events.
pub fn credential(detail: &CredentialDetail, style: &Style) -> String {
    let mut sheet = Sheet::default();
    let row = &detail.row;
    sheet.line(&format!(
        "{} is {} in {}",
        row.name, row.state, row.environment
    ));
    sheet.fact("id", row.id.to_string());
    sheet.fact("kind", format!("{} by {}", row.kind, detail.issuer));
    sheet.fact("role", &detail.role);
    sheet.fact("tier", row.tier.as_str());
    sheet.fact("owner", &row.owner);
    sheet.fact("client", format!("{} ({})", row.client, detail.client_id));
    sheet.fact("audience", &detail.audience);
    sheet.fact("scopes", detail.scopes.join(" "));
    sheet.fact("tags", detail.tags.join(" "));
    sheet.fact("issued", style.full(row.issued_at));
    match row.expires_at {
        Some(at) => sheet.fact("ends", style.full(at)),
        None => sheet.fact("ends", "never"),
    }
    if let Some(at) = row.rotate_by {
        sheet.fact("rotate by", style.full(at));
    }
    if let Some(at) = detail.quarantined_at {
        sheet.fact("quarantined", style.full(at));
    }
    let used = match row.last_used_at {
        Some(at) => format!("{} times, last {}", detail.used, style.full(at)),
        None => "not known to be used".to_owned(),
    };
    sheet.fact("used", format!("{used}; refused {} times", detail.refused));
    sheet.fact("dependents", detail.dependents.join(", then "));
    if let Some(destination) = &detail.destination {
        sheet.fact("put at", destination.to_string());
    }
    for version in &detail.versions {
        if let Some(delivery) = &version.delivery {
            let label = format!("version {}", version.number);
            sheet.fact(&label, delivered(delivery, style));
        }
    }
    sheet.fact("sequence", row.sequence.to_string());

    sheet.section("Versions");
    let titles = [
        ("NUMBER", Align::Right),
        ("STATE", Align::Left),
        ("ACCEPTED", Align::Left),
        ("MADE", Align::Right),
        ("ENDS", Align::Right),
        ("LOCATOR", Align::Left),
    ];
    let mut table = Table::new(&titles, false);
    for version in &detail.versions {
        let locator = version.locator.iter();
        let locator: Vec<String> = locator
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        table.row([
            version.number.to_string(),
            version.state.to_string(),
            if version.accepted { "yes" } else { "no" }.to_owned(),
            style.moment(version.created_at),
            style.moment_or(version.retires_at.or(version.expires_at), "never"),
            locator.join(" "),
        ]);
    }
    sheet.table(&table);
    if !detail.readers.is_empty() {
        sheet.section("Readers since the broker's start, by version");
    }
    for reader in &detail.readers {
        sheet.line(&format!(
            "  version {} at {} from {}: accepted {}, last {}; refused {}, last {}",
            reader.version,
            reader.gateway.as_deref().unwrap_or("introspection"),
            reader.network.as_deref().unwrap_or("somewhere"),
            reader.accepted,
            style.moment_or(reader.accepted_at, "never"),
            reader.refused,
            style.moment_or(reader.refused_at, "never"),
        ));
    }
    if !detail.revocations.is_empty() {
        sheet.section("Revocations");
        for row in &detail.revocations {
            sheet.line(&format!(
                "  {} by {}, {}: {}",
                row.id,
                row.by,
                enforcement(&row.enforcement, style),
                row.reason
            ));
        }
    }
    trail(&mut sheet, &detail.trail);
    sheet.finish()
}

/// A revocation.
pub fn revocation(detail: &RevocationDetail, style: &Style) -> String {
    let row = &detail.row;
    let mut sheet = Sheet::default();
    let what = if row.whole {
        "the whole credential, for good".to_owned()
    } else {
        format!("versions {:?}", row.versions)
    };
    sheet.line(&format!(
        "{} was revoked by {}: {what}",
        row.credential_name, row.by
    ));
    sheet.fact("id", row.id.to_string());
    sheet.fact("credential", row.credential.to_string());
    sheet.fact("effective", style.full(row.effective_at));
    sheet.fact("at the issuer", enforcement(&row.enforcement, style));
    sheet.fact("gateways", rows::reached(row));
    let objective = detail
        .objective_s
        .map_or_else(String::new, |seconds| format!(", objective {seconds} s"));
    sheet.fact(
        "time to revoke",
        match row.time_to_revoke_ms {
            Some(millis) => format!("{}{objective}", rows::took(Some(millis))),
            None => format!("{}, counting{objective}", row.state),
        },
    );
    sheet.fact("sequence", row.sequence.to_string());
    sheet.section("Reason");
    sheet.quote(&row.reason);
    if !detail.reach.is_empty() {
        sheet.section("Gateways, what is waited for first, then the slowest first");
    }
    for reach in &detail.reach {
        sheet.line(&format!("  {}", reach_line(reach, style)));
    }
    let exposure = &detail.exposure;
    if !exposure.through.is_empty() {
        sheet.section("What could still be done with it");
        sheet.fact("may be accepted at", exposure.through.join(", "));
        sheet.fact("ends by itself", style.full_or(exposure.ends_at, "never"));
    }
    if exposure.accepted_after.is_some() || exposure.refused_at.is_some() {
        sheet.section("Tried since");
        sheet.fact("accepted", style.full_or(exposure.accepted_after, "never"));
        sheet.fact("refused", style.full_or(exposure.refused_at, "never"));
    }
    sheet.finish()
}

/// One gateway's part in a revocation: what is known, and how.
fn reach_line(reach: &ReachView, style: &Style) -> String {
    let mut line = format!("{}  {}", reach.name, reach.state);
    match reach.by {
        Some(Evidence::Asks) => line.push_str(": asks about every call"),
        Some(Evidence::CacheEnded) => line.push_str(": its older answers have run out"),
        Some(Evidence::Acknowledged) => line.push_str(": it said so"),
        Some(Evidence::Removed) => line.push_str(" before it had applied it"),
        None => {}
    }
    if let Some(sent) = reach.sent_ms {
        line.push_str(&format!(", told +{}", rows::took(Some(sent))));
    }
    if let Some(applied) = reach.applied_ms {
        line.push_str(&format!(", refuses from +{}", rows::took(Some(applied))));
    } else if let Some(bound) = reach.bound_at {
        line.push_str(&format!(
            ", refuses from {} at the latest",
            style.full(bound)
        ));
    }
    if let Some(proven) = reach.proven_ms {
        line.push_str(&format!(", seen to refuse +{}", rows::took(Some(proven))));
    }
    if reach.late {
        line.push_str(&format!(", late: objective {} s", reach.objective_s));
    }
    if reach.silent {
        let seen = style.full_or(reach.seen_at, "never");
        line.push_str(&format!(", silent: last heard of {seen}"));
    }
    line
}

/// A gateway.
pub fn gateway(row: &GatewayRow, style: &Style) -> String {
    let mut sheet = Sheet::default();
    sheet.line(&format!(
        "{} is a gateway of {} ({})",
        row.name, row.environment, row.profile
    ));
    sheet.fact("id", row.id.to_string());
    sheet.fact("state", rows::gateway_state(row));
    sheet.fact(
        "guards",
        if row.audiences.is_empty() {
            "every audience of its environment".to_owned()
        } else {
            row.audiences.join(", ")
        },
    );
    sheet.fact("refuses", rows::bound(row));
    sheet.fact("objective", format!("{} s", row.objective_s));
    sheet.fact("last heard of", style.full_or(row.seen_at, "never"));
    sheet.fact("waiting", format!("{}, {} late", row.waiting, row.late));
    sheet.fact("cursor", row.cursor.to_string());
    sheet.fact(
        "answered",
        format!("{} yes, {} no", row.accepted, row.refused),
    );
    sheet.fact(
        "registered",
        format!("{} by {}", style.full(row.registered_at), row.by),
    );
    if let Some(at) = row.removed_at {
        sheet.fact("removed", style.full(at));
    }
    sheet.fact("sequence", row.sequence.to_string());
    if !row.routes.is_empty() {
        sheet.section("Routes; what none covers is refused");
    }
    for route in &row.routes {
        let methods = if route.methods.is_empty() {
            "any".to_owned()
        } else {
            route.methods.join(",")
        };
        sheet.line(&format!(
            "  {methods} {} needs {}",
            route.prefix, route.scope
        ));
    }
    if !row.tokens.is_empty() {
        sheet.section("Tokens");
    }
    for token in &row.tokens {
        sheet.line(&format!(
            "  {} until {}",
            token.id,
            style.full(token.expires_at)
        ));
    }
    sheet.finish()
}

fn trail(sheet: &mut Sheet, trail: &[EventRecord]) {
    if trail.is_empty() {
        return;
    }
    sheet.section("Trail, newest first");
    for event in trail {
        sheet.line(&format!(
            "  {:>8}  {}  {} by {}",
            event.sequence,
            crate::display::time::record(event.at),
            event.kind,
            event.actor.name
        ));
    }
}
