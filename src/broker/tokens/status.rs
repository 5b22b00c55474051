//! Token Status Lists (draft-ietf-oauth-status-list-20): two bits a token, compressed and signed. What a list says is
//! computed from the state that it is asked in, so a revocation is in the next answer.

use super::Settings;
use crate::{
    domain::{
        State,
        token_key::{LIST_SIZE, Purpose, StatusList, TokenStatus},
    },
    jose::{self, KeyRing},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use flate2::{Compression, write::ZlibEncoder};
use parking_lot::Mutex;
use serde::Serialize;
use std::{collections::BTreeMap, io::Write as _};

/// The type of a signed list.
const TYPE: &str = "statuslist+jwt";
/// How many bits a token has: `suspended` needs two.
const BITS: u32 = 2;
/// For how long a signed list may be gone by at most, whoever cannot reach the broker.
const LIFE: TimeDelta = TimeDelta::hours(1);

/// The lists as they were signed last.
#[derive(Debug, Default)]
pub struct StatusLists(Mutex<BTreeMap<StatusList, Kept>>);

#[derive(Debug)]
struct Kept {
    /// The sequence of the state that it is known to hold for.
    sequence: u64,
    packed: Vec<u8>,
    kid: String,
    signed: StatusToken,
}

/// A signed list.
#[derive(Debug, Clone)]
pub struct StatusToken {
    /// The compact token.
    pub token: Bytes,
    /// When it was signed.
    pub signed_at: DateTime<Utc>,
    /// When readers ask again.
    pub fresh_until: DateTime<Utc>,
    /// Tells it from others of the same list.
    pub tag: u64,
}

#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    sub: &'a str,
    iat: i64,
    exp: i64,
    ttl: i64,
    status_list: Packed,
}

#[derive(Serialize)]
struct Packed {
    bits: u32,
    lst: String,
}

impl StatusLists {
    pub(super) fn token(
        &self,
        state: &State,
        settings: &Settings,
        ring: &KeyRing,
        list: StatusList,
        now: DateTime<Utc>,
    ) -> Option<StatusToken> {
        let key = state.tokens.in_use(Purpose::Tokens, list.algorithm)?;
        let mut lists = self.0.lock();
        let fresh = |kept: &Kept| {
            let age = now - kept.signed.signed_at;
            kept.kid == key.kid && age < settings.status_ttl / 2 && age >= TimeDelta::zero()
        };
        let kept = lists.get_mut(&list).filter(|kept| fresh(kept));
        let packed = match kept {
            Some(kept) if kept.sequence >= state.sequence => return Some(kept.signed.clone()),
            Some(kept) => {
                let packed = pack(state, list)?;
                if kept.packed == packed {
                    kept.sequence = state.sequence;
                    return Some(kept.signed.clone());
                }
                packed
            }
            None => pack(state, list)?,
        };
        let uri = settings.list_uri(list);
        let claims = Claims {
            iss: &settings.issuer,
            sub: &uri,
            iat: now.timestamp(),
            exp: (now + LIFE).timestamp(),
            ttl: settings.status_ttl.num_seconds(),
            status_list: Packed {
                bits: BITS,
                lst: compress(&packed),
            },
        };
        let token = jose::sign(&*ring.get(&key.kid)?, TYPE, &claims);
        let signed = StatusToken {
            tag: u64::from(crc32fast::hash(token.as_bytes())) | (now.timestamp() as u64) << 32,
            token: token.into(),
            signed_at: now,
            fresh_until: now + settings.status_ttl,
        };
        let kept = Kept {
            sequence: state.sequence,
            packed,
            kid: key.kid.clone(),
            signed: signed.clone(),
        };
        lists.insert(list, kept);
        Some(signed)
    }
}

/// Every place of the list, the first in the lowest bits of the first byte. None if nobody is in it.
fn pack(state: &State, list: StatusList) -> Option<Vec<u8>> {
    let mut packed = vec![0; (LIST_SIZE * BITS / 8) as usize];
    let mut somebody = false;
    for (index, credential, version) in state.tokens.members(list) {
        somebody = true;
        let held = state.credentials.get(&credential);
        let status = held.map_or(TokenStatus::Invalid, |held| held.token_status(version));
        let bits = match status {
            TokenStatus::Valid => 0,
            TokenStatus::Invalid => 1,
            TokenStatus::Suspended => 2,
        };
        put(&mut packed, index, bits);
    }
    somebody.then_some(packed)
}

fn put(packed: &mut [u8], index: u32, bits: u8) {
    let each = 8 / BITS;
    packed[(index / each) as usize] |= bits << (index % each * BITS);
}

/// DEFLATE in its zlib form, at the level that the draft recommends, in base64url.
fn compress(bytes: &[u8]) -> String {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
    let packed = encoder.write_all(bytes).and_then(|()| encoder.finish());
    URL_SAFE_NO_PAD.encode(packed.expect("writing to memory does not fail"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::read::ZlibDecoder;
    use std::io::Read as _;

    /// The draft's example with two bits a token.
    #[test]
    fn the_drafts_example_is_packed_to_the_bit() {
        let mut packed = vec![0; 3];
        for (index, bits) in [1, 2, 0, 3, 0, 1, 0, 1, 1, 2, 3, 3].into_iter().enumerate() {
            put(&mut packed, index as u32, bits);
        }
        assert_eq!(packed, [0xc9, 0x44, 0xf9]);
        assert_eq!(compress(&packed), "eNo76fITAAPfAgc");
        assert_eq!(compress(&[0xb9, 0xa3]), "eNrbuRgAAhcBXQ");
    }

    #[test]
    fn an_empty_list_is_small() {
        let text = compress(&vec![0; (LIST_SIZE * BITS / 8) as usize]);
        assert!(text.len() < 100, "{}", text.len());
        let bytes = URL_SAFE_NO_PAD.decode(text).unwrap();
        let mut unpacked = Vec::new();
        ZlibDecoder::new(&bytes[..])
            .read_to_end(&mut unpacked)
            .unwrap();
        assert_eq!(unpacked.len(), 32_768);
    }
}
