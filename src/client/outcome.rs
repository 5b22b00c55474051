//! Commands: what is kept to send one again, and what became of it.

use super::call::{Call, new_idempotency_key};
use super::error::{ClientError, Delivery};
use super::transport::Answer;

/// One intention of one person. Kept across attempts and restarts of the link: whoever sends the same
/// command with the same `Once` again gets the first answer and changes nothing twice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Once {
    /// The idempotency key.
    pub key: String,
    /// Carry it out only if the object is as it was at this sequence.
    pub seen: Option<u64>,
}

impl Once {
    /// A fresh key, for whatever state the object is in.
    pub fn new() -> Self {
        Self {
            key: new_idempotency_key(),
            seen: None,
        }
    }

    /// A fresh key, for an object as it was seen at this sequence: anything newer is refused as stale.
    pub fn seen(sequence: u64) -> Self {
        Self {
            seen: Some(sequence),
            ..Self::new()
        }
    }

    pub(super) fn apply(&self, call: Call) -> Call {
        let call = call.idempotent(&self.key);
        match self.seen {
            Some(sequence) => call.if_match(&format!("\"{sequence}\"")),
            None => call,
        }
    }
}

impl Default for Once {
    fn default() -> Self {
        Self::new()
    }
}

/// What became of a command.
#[derive(Debug)]
pub enum Outcome<T> {
    /// The broker carried it out, now or at an earlier sending with the same key.
    Sent(Answer<T>),
    /// The broker answered and changed nothing.
    Refused(ClientError),
    /// It never left: nothing happened.
    NotSent(ClientError),
    /// It may have been carried out: send it again with the same [`Once`] to settle it.
    Unknown(ClientError),
}

impl<T> Outcome<T> {
    /// The answer, or why there is none.
    ///
    /// # Errors
    /// The [`ClientError`] of the three other cases.
    pub fn into_result(self) -> Result<Answer<T>, ClientError> {
        match self {
            Self::Sent(answer) => Ok(answer),
            Self::Refused(error) | Self::NotSent(error) | Self::Unknown(error) => Err(error),
        }
    }
}

impl<T> From<Result<Answer<T>, ClientError>> for Outcome<T> {
    fn from(result: Result<Answer<T>, ClientError>) -> Self {
        match result {
            Ok(answer) => Self::Sent(answer),
            Err(error) => match error.delivery() {
                Delivery::Sent => Self::Refused(error),
                Delivery::NotSent => Self::NotSent(error),
                Delivery::Unknown => Self::Unknown(error),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_intention_keeps_its_key_and_what_was_seen() {
        let once = Once::seen(42);
        let sent = once.apply(Call::get(["v1"]));
        let again = once.clone().apply(Call::get(["v1"]));
        assert_eq!(sent.idempotency_key.as_deref(), Some(once.key.as_str()));
        assert_eq!(sent.idempotency_key, again.idempotency_key);
        assert_eq!(sent.if_match.as_deref(), Some("\"42\""));
        assert_eq!(Once::new().apply(Call::get(["v1"])).if_match, None);
        assert_ne!(Once::new().key, Once::new().key);
    }

    #[test]
    fn an_outcome_says_no_more_than_is_known() {
        let status = |status| ClientError::Status {
            origin: "http://localhost:1".into(),
            status,
            retry_after: None,
        };
        let outcome = |error| Outcome::<()>::from(Err(error));
        assert!(matches!(outcome(status(409)), Outcome::Refused(_)));
        assert!(matches!(outcome(status(502)), Outcome::Unknown(_)));
        let connect = ClientError::Connect {
            origin: "http://localhost:1".into(),
            reason: "refused".into(),
        };
        assert!(matches!(outcome(connect), Outcome::NotSent(_)));
    }
}
