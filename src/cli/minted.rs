//! What is done with a token that was minted, whoever it is for.

use std::collections::BTreeMap;

use serde::Serialize;

use super::app::{App, settled};
use super::deliver::{DeliverArgs, Delivered, Destination};
use super::error::CliError;
use crate::client::{Once, Outcome};
use crate::wire::{MintedGatewayToken, MintedToken, TokenId};
use chrono::{DateTime, Utc};

/// A token that was minted, as the broker answers it.
pub trait Minted: Serialize {
    /// Whose it is.
    fn holder(&self) -> String;
    /// Which token.
    fn id(&self) -> TokenId;
    /// The token; empty on a repetition.
    fn token(&self) -> &str;
    /// When it stops working.
    fn expires_at(&self) -> DateTime<Utc>;
}

macro_rules! minted {
    ($type:ty, $holder:ident) => {
        impl Minted for $type {
            fn holder(&self) -> String {
                self.$holder.to_string()
            }

            fn id(&self) -> TokenId {
                self.id
            }

            fn token(&self) -> &str {
                &self.token
            }

            fn expires_at(&self) -> DateTime<Utc> {
                self.expires_at
            }
        }
    };
}

minted!(MintedToken, operator);
minted!(MintedGatewayToken, gateway);

/// Puts the token where it was asked for.
///
/// # Errors
/// Why there is none, or why it could not be put there.
pub fn put<T: Minted>(
    app: &mut App<'_>,
    destination: Destination,
    deliver: &DeliverArgs,
    outcome: Outcome<T>,
    doing: &str,
    once: &Once,
) -> Result<(), CliError> {
    let minted = match settled(outcome, doing, once) {
        Ok(answer) => answer.value,
        Err(error) => {
            destination.discard();
            return Err(error);
        }
    };
    if minted.token().is_empty() {
        destination.discard();
        return Err(CliError::Declined(format!(
            "token {} was delivered to an earlier call with this key and is not shown again; mint another one",
            minted.id()
        )));
    }
    let fields = BTreeMap::from([("token".to_owned(), minted.token().to_owned())]);
    let delivered = Delivered {
        document: &minted,
        fields: &fields,
    };
    let place = destination.put(deliver, app.global.output, app.io, &delivered)?;
    app.say(&format!(
        "Token {} of {} works until {}. {place}",
        minted.id(),
        minted.holder(),
        app.style().full(minted.expires_at()),
    ))
}
