//! Where a credential's secrets go: to a place from which services read them, or into the hands of whoever asked.

use super::check::Check;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// The longest name of a configured destination, in bytes.
pub const DESTINATION_NAME_MAX: usize = 64;
/// The longest path in a destination, in bytes.
pub const PATH_MAX: usize = 256;

/// A path in one of the configured destinations.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Destination {
    /// Which destination, by configured name: `a-z 0-9 -`.
    #[schema(example = "vault", max_length = 64)]
    pub name: String,
    /// Where in it: parts of `A-Z a-z 0-9 . _ -` divided by `/`, none of which begins with a dot.
    #[schema(example = "payments/checkout-db", max_length = 256)]
    pub path: String,
}

impl std::fmt::Display for Destination {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.name, self.path)
    }
}

/// `vault:payments/checkout-db`, as [`Destination`] prints it.
impl std::str::FromStr for Destination {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let expected = "expected DESTINATION:PATH, such as vault:payments/checkout-db";
        let (name, path) = text.split_once(':').ok_or(expected)?;
        let destination = Self {
            name: name.to_owned(),
            path: path.to_owned(),
        };
        let mut check = Check::default();
        check.destination("", &destination);
        match check.complaint() {
            Some(complaint) => Err(format!("{expected}: {complaint}")),
            None => Ok(destination),
        }
    }
}

/// How far the delivery of one version has come. It was begun; nothing says more until there is more to say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Delivery {
    /// Where to.
    pub to: Destination,
    /// When it was begun.
    pub begun_at: DateTime<Utc>,
    /// Why it could not be done when it was tried last, while it is not done.
    pub failure: Option<String>,
    /// Once it is done: when.
    pub done_at: Option<DateTime<Utc>>,
    /// And where the secret was put, in the destination's own words.
    pub place: String,
    /// It was read back there.
    pub proven: bool,
    /// What a probe saw of the version before it was put there; empty where none tried it.
    pub check: String,
}

/// Whether `path` is one: plain parts divided by `/`, nothing that leads up, out or into a query, nothing hidden.
pub fn is_path(path: &str) -> bool {
    let plain = |part: &str| {
        !part.is_empty()
            && !part.starts_with('.')
            && part
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
    };
    path.len() <= PATH_MAX && path.split('/').all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_destination_reads_as_it_prints() {
        let text = "vault:payments/checkout-db.json";
        let destination: Destination = text.parse().unwrap();
        assert_eq!(destination.to_string(), text);
        for bad in [
            "vault",
            ":x",
            "vault:",
            "Vault:x",
            "vault:../x",
            "vault:/x",
            "vault:a:b",
        ] {
            let said = bad.parse::<Destination>().unwrap_err();
            assert!(
                said.starts_with("expected DESTINATION:PATH"),
                "{bad}: {said}"
            );
        }
    }
}
