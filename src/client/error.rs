//! What can go wrong between here and the broker, in words that are safe to print whatever it sent.

use std::error::Error as StdError;
use std::time::Duration;

use crate::wire::Problem;

/// The longest piece of foreign text in a message, in characters.
const FOREIGN_CHARACTERS: usize = 300;

/// A call that did not give a value.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The broker answered with a problem: it understood, and refused or failed.
    #[error("{}", problem_words(.0))]
    Problem(Box<Problem>),
    /// The address cannot be used.
    #[error("cannot use the address {url}: {reason}")]
    Address {
        /// As it was given, made printable.
        url: String,
        /// What would be accepted.
        reason: String,
    },
    /// The certificates to trust, or the token, cannot be used.
    #[error("cannot set up the connection: {reason}")]
    Setup {
        /// What is wrong.
        reason: String,
    },
    /// The request could not be written as JSON or as a path.
    #[error("cannot write the request: {reason}")]
    Encode {
        /// What is wrong.
        reason: String,
    },
    /// Nothing was reached.
    #[error("cannot reach the broker at {origin}: {reason}")]
    Connect {
        /// Scheme, host and port.
        origin: String,
        /// The innermost cause.
        reason: String,
    },
    /// Something was reached that did not prove to be the broker.
    #[error("cannot trust the broker at {origin}: {reason}")]
    Untrusted {
        /// Scheme, host and port.
        origin: String,
        /// What is wrong with its certificate.
        reason: String,
    },
    /// No answer in time.
    #[error("the broker at {origin} did not answer in time")]
    Timeout {
        /// Scheme, host and port.
        origin: String,
    },
    /// The connection broke before the answer was complete.
    #[error("the connection to {origin} broke before the answer was complete: {reason}")]
    Interrupted {
        /// Scheme, host and port.
        origin: String,
        /// The innermost cause.
        reason: String,
    },
    /// More than is accepted.
    #[error("the broker's answer is larger than {limit_bytes} bytes and was not read further")]
    TooLarge {
        /// The bound.
        limit_bytes: u64,
    },
    /// An answer of another kind.
    #[error("expected {expected} from the broker and got {got}")]
    ContentType {
        /// What was asked for.
        expected: &'static str,
        /// What came, made printable.
        got: String,
    },
    /// Of the right kind, and not what was agreed.
    #[error("cannot understand the broker's answer: {reason}")]
    Decode {
        /// What does not fit.
        reason: String,
    },
    /// The answer is somewhere else. It is not followed: the token goes to one address only.
    #[error("the broker at {origin} points elsewhere ({status} to {location}); not followed")]
    Redirect {
        /// Scheme, host and port.
        origin: String,
        /// The HTTP status.
        status: u16,
        /// Where to, made printable.
        location: String,
    },
    /// A failure that says nothing more: not from a broker, or from something before it.
    #[error("{origin} answered {status} without saying why")]
    Status {
        /// Scheme, host and port.
        origin: String,
        /// The HTTP status.
        status: u16,
        /// `Retry-After`, when there was one.
        retry_after: Option<Duration>,
    },
}

/// What is known of a command whose call did not give a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// The broker answered: what it said holds.
    Sent,
    /// It never left, or was turned away unread: nothing happened.
    NotSent,
    /// It may have been carried out: ask again with the same idempotency key.
    Unknown,
}

impl ClientError {
    /// What became of a command.
    pub fn delivery(&self) -> Delivery {
        match self {
            Self::Address { .. }
            | Self::Setup { .. }
            | Self::Encode { .. }
            | Self::Connect { .. }
            | Self::Untrusted { .. } => Delivery::NotSent,
            Self::Problem(problem) if problem.status < 500 => Delivery::Sent,
            Self::Status { status, .. } if *status < 500 => Delivery::Sent,
            Self::Redirect { .. } => Delivery::Sent,
            _ => Delivery::Unknown,
        }
    }

    /// Whether the same call may well succeed a little later.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Connect { .. } | Self::Timeout { .. } | Self::Interrupted { .. } => true,
            _ => matches!(self.status(), Some(429 | 502 | 503 | 504)),
        }
    }

    /// How long the broker asked to be left alone.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Problem(problem) => problem.retry_after_s.map(Duration::from_secs),
            Self::Status { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    /// The HTTP status, when the broker's answer was one.
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Problem(problem) => Some(problem.status),
            Self::Status { status, .. } | Self::Redirect { status, .. } => Some(*status),
            _ => None,
        }
    }

    /// Whether the broker does not know who is asking: the stored token is of no more use.
    pub fn is_unauthenticated(&self) -> bool {
        self.status() == Some(401)
    }

    /// Whether nobody answered: exit code 7, and the link is down.
    pub fn is_unreachable(&self) -> bool {
        matches!(
            self,
            Self::Connect { .. }
                | Self::Untrusted { .. }
                | Self::Timeout { .. }
                | Self::Interrupted { .. }
        )
    }

    /// Sorts out a transport error: its own words ("error sending request") help nobody, so the chain
    /// below it is read.
    pub(super) fn from_reqwest(origin: &str, error: &reqwest::Error) -> Self {
        let origin = origin.to_owned();
        if let Some(fault) = tls_fault(error) {
            return Self::Untrusted {
                origin,
                reason: certificate_words(fault),
            };
        }
        let reason = innermost(error);
        if error.is_builder() {
            Self::Encode { reason }
        } else if error.is_connect() || error.is_dns() {
            Self::Connect { origin, reason }
        } else if error.is_timeout() {
            Self::Timeout { origin }
        } else {
            Self::Interrupted { origin, reason }
        }
    }
}

fn problem_words(problem: &Problem) -> String {
    let mut words = if problem.title.is_empty() {
        format!("refused with status {}", problem.status)
    } else {
        tame(&problem.title)
    };
    if !problem.detail.is_empty() {
        words.push_str(": ");
        words.push_str(&tame(&problem.detail));
    }
    for error in problem.errors.iter().take(5) {
        words.push_str(&format!(
            "; {}: {}",
            tame(&error.pointer),
            tame(&error.detail)
        ));
    }
    words
}

/// The last cause in the chain, made printable.
fn innermost(error: &dyn StdError) -> String {
    let mut last = error;
    while let Some(source) = last.source() {
        last = source;
    }
    tame(&last.to_string())
}

/// The TLS fault in the chain, when that is what went wrong.
fn tls_fault<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a rustls::Error> {
    if let Some(fault) = error.downcast_ref() {
        return Some(fault);
    }
    // An `io::Error` shows its content's causes and hides the content itself.
    let hidden = error
        .downcast_ref::<std::io::Error>()
        .and_then(std::io::Error::get_ref)
        .and_then(|hidden| tls_fault(hidden));
    hidden.or_else(|| tls_fault(error.source()?))
}

fn certificate_words(error: &rustls::Error) -> String {
    use rustls::CertificateError as Fault;
    let rustls::Error::InvalidCertificate(fault) = error else {
        return tame(&error.to_string());
    };
    match fault {
        Fault::Expired | Fault::ExpiredContext { .. } => {
            format!("its certificate has expired ({})", tame(&fault.to_string()))
        }
        Fault::NotValidYet | Fault::NotValidYetContext { .. } => format!(
            "its certificate is not valid yet; is this machine's clock right? ({})",
            tame(&fault.to_string())
        ),
        Fault::UnknownIssuer => {
            "its certificate was issued by nobody trusted here (UnknownIssuer); set ca_file to the issuer's certificate".to_owned()
        }
        Fault::NotValidForName | Fault::NotValidForNameContext { .. } => format!(
            "its certificate is for another name ({})",
            tame(&fault.to_string())
        ),
        Fault::Revoked => "its certificate was revoked".to_owned(),
        other => format!("its certificate is invalid: {}", tame(&other.to_string())),
    }
}

/// Foreign text for a message: no control, bidirectional or invisible characters, and not endless.
pub(super) fn tame(text: &str) -> String {
    let mut out = String::new();
    for (count, character) in text.chars().enumerate() {
        if count == FOREIGN_CHARACTERS {
            out.push('…');
            break;
        }
        let invisible = matches!(
            character,
            '\u{00AD}' | '\u{034F}' | '\u{061C}' | '\u{115F}' | '\u{1160}' | '\u{180E}'
                | '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{206F}'
                | '\u{3164}' | '\u{FE00}'..='\u{FE0F}' | '\u{FEFF}' | '\u{FFA0}'
                | '\u{FFF9}'..='\u{FFFB}' | '\u{E0000}'..='\u{E0FFF}'
        );
        if character.is_control() || invisible {
            out.extend(character.escape_unicode());
        } else {
            out.push(character);
        }
    }
    out
}

/// A problem for tests.
#[cfg(test)]
pub(super) fn problem(status: u16, retry_after_s: Option<u64>) -> ClientError {
    ClientError::Problem(Box::new(Problem {
        kind: "/problems/test".to_owned(),
        title: "Refused".to_owned(),
        status,
        detail: "you asked for it\u{7}".to_owned(),
        instance: "test".to_owned(),
        fault: crate::wire::Fault::Caller,
        retry_after_s,
        errors: Vec::new(),
        trace_id: None,
        current_sequence: None,
        changed: Vec::new(),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_text_is_tamed() {
        assert_eq!(tame("a\u{1b}[2Jb"), "a\\u{1b}[2Jb");
        assert_eq!(tame("x\u{202e}y\u{200b}z"), "x\\u{202e}y\\u{200b}z");
        assert_eq!(tame(&"ä".repeat(1000)).chars().count(), 301);
    }

    #[test]
    fn a_problem_reads_as_a_sentence_and_is_tamed() {
        let error = problem(403, None);
        assert_eq!(error.to_string(), "Refused: you asked for it\\u{7}");
        assert_eq!(error.delivery(), Delivery::Sent);
        assert!(!error.is_transient());
    }

    #[test]
    fn delivery_is_only_certain_when_it_is() {
        let origin = || "http://127.0.0.1:1".to_owned();
        let reason = || "x".to_owned();
        let problem = |status| problem(status, None);
        let connect = ClientError::Connect {
            origin: origin(),
            reason: reason(),
        };
        let broken = ClientError::Interrupted {
            origin: origin(),
            reason: reason(),
        };
        assert_eq!(connect.delivery(), Delivery::NotSent);
        assert_eq!(broken.delivery(), Delivery::Unknown);
        assert_eq!(
            ClientError::Timeout { origin: origin() }.delivery(),
            Delivery::Unknown
        );
        assert_eq!(problem(409).delivery(), Delivery::Sent);
        assert_eq!(problem(429).delivery(), Delivery::Sent);
        assert_eq!(problem(503).delivery(), Delivery::Unknown);
        assert!(problem(429).is_transient() && problem(503).is_transient());
        assert!(!problem(500).is_transient() && !problem(409).is_transient());
    }
}
