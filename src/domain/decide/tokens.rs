//! The keys that sign tokens: published before they sign, and until all that they signed has ended. And where a signed
//! token may stand.

use super::system;
use crate::domain::{
    Command, Context, Event, MintedVersion, Refusal, State,
    check::Check,
    token_key::{LIST_SIZE, NewTokenKey, StatusList, TokenKey, place},
};
use std::sync::Arc;

/// The longest name of a key, in bytes.
const KID_MAX: usize = 64;

pub(super) fn decide(
    state: &State,
    command: &Command,
    context: &Context,
) -> Result<Vec<Event>, Refusal> {
    system(context)?;
    match command {
        Command::PublishTokenKey(key) => publish(state, key),
        Command::UseTokenKey { kid } => {
            let key = find(state, kid)?;
            if key.in_use() {
                return Ok(Vec::new());
            }
            if key.in_use_since.is_some() {
                return Err(conflict(format!("{kid} has been replaced already")));
            }
            if context.now < key.use_from {
                return Err(conflict(format!(
                    "{kid} was published for use from {}: readers may not know it yet",
                    key.use_from
                )));
            }
            let older = state.tokens.in_use(key.purpose, key.algorithm);
            Ok(vec![Event::TokenKeyInUse {
                kid: kid.clone(),
                instead_of: older.map(|older| older.kid.clone()),
            }])
        }
        Command::WithdrawTokenKey { kid } => {
            let key = find(state, kid)?;
            match key.over_at() {
                Some(at) if at <= context.now => {
                    Ok(vec![Event::TokenKeyWithdrawn { kid: kid.clone() }])
                }
                Some(at) => Err(conflict(format!(
                    "something that {kid} signed may be shown until {at}"
                ))),
                None => Err(conflict(format!("{kid} signs, or is to"))),
            }
        }
        _ => Ok(Vec::new()),
    }
}

fn publish(state: &State, key: &NewTokenKey) -> Result<Vec<Event>, Refusal> {
    // A thumbprint in base64url.
    let shaped = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    if !(1..=KID_MAX).contains(&key.kid.len()) || !key.kid.bytes().all(shaped) {
        let mut check = Check::default();
        check.refuse(
            "/kid",
            format!("expected 1 to {KID_MAX} of A-Z a-z 0-9 - _"),
        );
        check.finish()?;
    }
    if state.tokens.keys.contains_key(&key.kid) {
        return Ok(Vec::new());
    }
    Ok(vec![Event::TokenKeyPublished {
        key: Box::new(key.clone()),
    }])
}

/// Whether a signed token may count: its key is published, and nobody else has its place. Anything else always may.
pub(super) fn may_stand(state: &State, minted: &MintedVersion) -> Result<(), Refusal> {
    if !minted.locator.contains_key(place::TOKEN) {
        return Ok(());
    }
    let text = |name| minted.locator.get(name).map_or("", String::as_str);
    let kid = text(place::KEY);
    let list: Result<StatusList, _> = text(place::LIST).parse();
    let index: Option<u32> = text(place::INDEX).parse().ok();
    let (Ok(list), Some(index)) = (list, index.filter(|index| *index < LIST_SIZE)) else {
        return Err(conflict("the token has no place in a status list".into()));
    };
    match state.tokens.keys.get(kid) {
        Some(key) if key.in_use_since.is_some() && key.algorithm == list.algorithm => {}
        _ => return Err(conflict(format!("{kid} signs nothing that counts"))),
    }
    if state.tokens.is_taken(list, index) {
        return Err(conflict(format!(
            "place {index} of {list} was taken meanwhile; another is drawn"
        )));
    }
    Ok(())
}

fn find<'a>(state: &'a State, kid: &str) -> Result<&'a Arc<TokenKey>, Refusal> {
    state.tokens.keys.get(kid).ok_or(Refusal::NotFound {
        what: "token key",
        id: kid.to_owned(),
    })
}

fn conflict(detail: String) -> Refusal {
    Refusal::Conflict { detail }
}
