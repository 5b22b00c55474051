//! Events as stream and audit show them, with the rows of what they changed.

use super::Views;
use crate::{
    domain::{CredentialId, Event, Recorded, RequestId, State, event::Subject},
    wire::{EventRecord, FeedItem, event::ActorView},
};

/// An event in the wire's form; names are as the state has them now.
pub fn event_record(state: &State, recorded: &Recorded) -> EventRecord {
    // The event's own fields are under `data`, beside its `type`.
    let data = match serde_json::to_value(&recorded.event) {
        Ok(serde_json::Value::Object(mut fields)) => fields.remove("data").unwrap_or_default(),
        _ => serde_json::Value::Null,
    };
    EventRecord {
        sequence: recorded.sequence(),
        at: recorded.ts,
        kind: recorded.event.kind().to_owned(),
        subject: recorded.subject.clone(),
        subject_name: subject_name(state, recorded.event.subject()),
        actor: ActorView {
            id: recorded.actor.id.map(|id| id.to_string()),
            name: recorded.actor.name.clone(),
            token: recorded.actor.token.map(|id| id.to_string()),
            from: recorded.actor.from.clone(),
        },
        request_id: recorded.request.id.clone(),
        data,
    }
}

fn subject_name(state: &State, subject: Subject) -> String {
    let credential_name = |id: &CredentialId| {
        state
            .credentials
            .get(id)
            .map(|credential| credential.name.to_string())
    };
    match subject {
        Subject::Client(id) => state.clients.get(&id).map(|client| client.name.clone()),
        Subject::Operator(id) => state
            .operators
            .get(&id)
            .map(|operator| operator.name.clone()),
        Subject::Request(id) => state
            .requests
            .get(&id)
            .map(|request| request.plan.credential.clone()),
        Subject::Credential(id) => credential_name(&id),
        Subject::Revocation(id) => state
            .revocations
            .get(&id)
            .and_then(|revocation| credential_name(&revocation.credential)),
        Subject::Proposal(id) => state.proposals.get(&id).map(|held| match held.version {
            Some((version, _)) => format!("policy version {version}"),
            None => "proposed policy".to_owned(),
        }),
        Subject::Gateway(id) => state.gateways.get(&id).map(|gateway| gateway.name.clone()),
        Subject::Rotation(id) => (state.rotations.all.get(&id))
            .and_then(|rotation| credential_name(&rotation.credential)),
        Subject::Broker => None,
    }
    .unwrap_or_default()
}

/// The credential and the request that an event changed.
fn touched(state: &State, event: &Event) -> (Option<CredentialId>, Option<RequestId>) {
    match event {
        Event::VersionMinted {
            request,
            credential,
            ..
        }
        | Event::DeliveryStarted {
            request,
            credential,
            ..
        }
        | Event::DeliveryFailed {
            request,
            credential,
            ..
        }
        | Event::RequestDelivered {
            request,
            credential,
            ..
        } => (Some(*credential), Some(*request)),
        Event::RevocationEffective { revocation } => (Some(revocation.credential), None),
        _ => match event.subject() {
            Subject::Credential(id) => (Some(id), None),
            Subject::Request(id) => (None, Some(id)),
            Subject::Revocation(id) => (
                state
                    .revocations
                    .get(&id)
                    .map(|revocation| revocation.credential),
                None,
            ),
            Subject::Client(_)
            | Subject::Operator(_)
            | Subject::Proposal(_)
            | Subject::Gateway(_)
            | Subject::Broker => (None, None),
            Subject::Rotation(id) => (
                (state.rotations.all.get(&id)).map(|rotation| rotation.credential),
                None,
            ),
        },
    }
}

/// What the stream carries for an event.
pub fn feed_item(views: &Views<'_>, recorded: &Recorded) -> FeedItem {
    let (credential, request) = touched(views.state, &recorded.event);
    let (revocation, rotation) = match recorded.event.subject() {
        Subject::Revocation(id) => (Some(id), None),
        Subject::Rotation(id) => (None, Some(id)),
        _ => (None, None),
    };
    FeedItem {
        event: event_record(views.state, recorded),
        credential: credential
            .and_then(|id| views.state.credentials.get(&id))
            .map(|credential| views.credential_row(credential)),
        request: request
            .and_then(|id| views.state.requests.get(&id))
            .map(|request| views.request_row(request)),
        revocation: revocation
            .and_then(|id| views.state.revocations.get(&id))
            .map(|revocation| views.revocation_row(revocation)),
        rotation: rotation
            .and_then(|id| views.state.rotations.all.get(&id))
            .and_then(|rotation| views.rotation_row(rotation)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::{
        usage::Usage,
        views::testing::{World, at, recorded, revocation},
    };

    #[test]
    fn an_item_carries_the_rows_that_its_event_changed() {
        let mut world = World::new();
        let id = world.credential("payments/db", |_| {});
        let event = Event::RevocationEffective {
            revocation: Box::new(revocation(5, id, 10)),
        };
        world.happens(10, event.clone());
        let leaf = recorded(world.state.sequence - 1, at(10), event);
        let usage = Usage::default();
        let item = feed_item(&world.views(&usage, 10), &leaf);
        assert_eq!(item.event.kind, "revocation.effective");
        assert_eq!(item.event.subject_name, "payments/db");
        assert_eq!(item.event.sequence, world.state.sequence);
        assert_eq!(item.event.data["revocation"]["reason"], "leaked");
        let row = item.credential.expect("its credential");
        assert_eq!((row.id, row.accepted), (id, 0));
        assert!(item.request.is_none() && item.rotation.is_none());
        let row = item.revocation.expect("the revocation itself");
        assert_eq!((row.credential, row.reason.as_str()), (id, "leaked"));
    }
}
