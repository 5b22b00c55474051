//! A leaf of the log, read. Its members are in the order of their names, so the event's data come before its type;
//! what `serde` makes of that by itself keeps all of the data aside in pieces first, and takes three times as long. A
//! start reads every leaf there is.

use crate::domain::{Cause, Digest, Event, Recorded, command::ActorStamp};
use chrono::{DateTime, Utc};
use serde::{
    Deserialize,
    de::{
        DeserializeSeed, MapAccess, value::BorrowedStrDeserializer, value::MapAccessDeserializer,
    },
};
use serde_json::{Error, value::RawValue};

/// The members of [`Recorded`], the data not read yet.
#[derive(Deserialize)]
struct Leaf<'a> {
    v: u32,
    origin: String,
    seq: u64,
    ts: DateTime<Utc>,
    subject: String,
    actor: ActorStamp,
    request: Cause,
    #[serde(rename = "type")]
    kind: &'a str,
    #[serde(borrow)]
    data: &'a RawValue,
    #[serde(default)]
    state: Option<Digest>,
}

/// What a leaf says.
///
/// # Errors
/// If this build does not know it.
pub fn read(leaf: &[u8]) -> serde_json::Result<Recorded> {
    let leaf: Leaf<'_> = serde_json::from_slice(leaf)?;
    let event = Tagged {
        kind: Some(leaf.kind),
        data: Some(leaf.data),
    };
    Ok(Recorded {
        v: leaf.v,
        origin: leaf.origin,
        seq: leaf.seq,
        ts: leaf.ts,
        subject: leaf.subject,
        actor: leaf.actor,
        request: leaf.request,
        event: Event::deserialize(MapAccessDeserializer::new(event))?,
        state: leaf.state,
    })
}

/// An event whose type comes first.
struct Tagged<'a> {
    kind: Option<&'a str>,
    data: Option<&'a RawValue>,
}

impl<'de> MapAccess<'de> for Tagged<'de> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Error> {
        let key = match self {
            Self { kind: Some(_), .. } => "type",
            Self { data: Some(_), .. } => "data",
            _ => return Ok(None),
        };
        seed.deserialize(BorrowedStrDeserializer::new(key))
            .map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Error> {
        if let Some(kind) = self.kind.take() {
            return seed.deserialize(BorrowedStrDeserializer::new(kind));
        }
        let data = self.data.take().expect("asked for after its key");
        seed.deserialize(data)
    }
}
