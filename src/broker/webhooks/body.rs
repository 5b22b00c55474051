//! What a receiver is sent: a CloudEvent in its structured JSON form. It names what happened and how things stand;
//! the event's own fields, which can be long, are read from the broker by whoever may.

use crate::{
    broker::views::{Views, event::feed_item},
    domain::Recorded,
    secret::digest_of_bytes,
    wire::webhook::{CloudEvent, Happened},
};

/// The identifier of an event's message: the same for every delivery, and for no other event of any log.
pub fn id(recorded: &Recorded) -> String {
    let digest = digest_of_bytes(format!("{}\n{}", recorded.origin, recorded.seq).as_bytes());
    let (half, _) = digest.0.split_at(16);
    let number = u128::from_be_bytes(half.try_into().expect("sixteen bytes"));
    format!("evt_{number:032x}")
}

/// The body. Names and rows are as the snapshot has them: what was told late is told as it is by then.
pub fn body(views: &Views<'_>, recorded: &Recorded) -> Vec<u8> {
    let item = feed_item(views, recorded);
    let event = CloudEvent {
        specversion: "1.0".to_owned(),
        id: id(recorded),
        source: recorded.origin.clone(),
        kind: item.event.kind,
        time: item.event.at,
        subject: item.event.subject,
        datacontenttype: "application/json".to_owned(),
        data: Happened {
            sequence: item.event.sequence,
            subject_name: item.event.subject_name,
            actor: item.event.actor.name,
            credential: item.credential,
            request: item.request,
        },
    };
    serde_json::to_vec(&event).expect("text, numbers and times have a JSON form")
}
