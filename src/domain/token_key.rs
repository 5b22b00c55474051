//! The keys that the broker signs tokens with, and where a signed token stands among those that were signed: which key,
//! which place in which status list.
//!
//! A key is published before it is used, by at least as long as readers may keep what was published before; and it stays
//! published until everything that it signed has ended. Its private half is never here.

use super::{Version, words::words};
use chrono::{DateTime, Duration, Utc};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

words! {
    /// What a key signs. Each has keys of its own, so that a token of one sort never passes for one of another.
    Purpose, "purpose" {
        /// Access tokens, and the lists of their status.
        Tokens => "tokens",
        /// Security event tokens.
        Signals => "signals",
    }

    /// How it signs.
    Algorithm, "algorithm" {
        /// ECDSA on P-256 with SHA-256.
        Es256 => "ES256",
        /// RSA of 2048 bits, PKCS #1 v1.5 with SHA-256.
        Rs256 => "RS256",
    }
}

/// For how long a key stays published after it was replaced, whatever it signed: longer than a status list may be kept.
pub const KEPT_AFTER: Duration = Duration::hours(2);
/// By how much the clocks of those who check tokens may be behind.
pub const SKEW: Duration = Duration::minutes(5);
/// How many tokens a status list has room for.
pub const LIST_SIZE: u32 = 1 << 17;
/// At how many tokens the next list is begun: places are drawn at random, and are to be found at once.
pub const LIST_FULL: usize = 1 << 16;

/// The names in a version's locator that say where a signed token stands.
pub mod place {
    /// The token's own name (`jti`).
    pub const TOKEN: &str = "jti";
    /// The key that signed it.
    pub const KEY: &str = "kid";
    /// The status list that it is in: algorithm and number, `es256/1`.
    pub const LIST: &str = "status_list";
    /// Its place in that list.
    pub const INDEX: &str = "status_index";
    /// All of them: what is signed here has each.
    pub const ALL: [&str; 4] = [TOKEN, KEY, LIST, INDEX];
}

/// One key, its public half.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenKey {
    /// Its name: the RFC 7638 thumbprint.
    pub kid: String,
    /// What it signs.
    pub purpose: Purpose,
    /// How.
    pub algorithm: Algorithm,
    /// The public members of its JWK: `kty`, and `crv`, `x`, `y` or `n`, `e`.
    pub public: BTreeMap<String, String>,
    /// Since when it is published.
    pub published_at: DateTime<Utc>,
    /// Before when it signs nothing.
    pub use_from: DateTime<Utc>,
    /// Since when it signs.
    pub in_use_since: Option<DateTime<Utc>>,
    /// Since when another signs instead.
    pub replaced_at: Option<DateTime<Utc>>,
    /// When the last of what it signed ends.
    pub last_end: Option<DateTime<Utc>>,
}

impl TokenKey {
    /// Whether it signs.
    pub fn in_use(&self) -> bool {
        self.in_use_since.is_some() && self.replaced_at.is_none()
    }

    /// From when on it need not be published any more; none while it signs, or is to.
    pub fn over_at(&self) -> Option<DateTime<Utc>> {
        let replaced = self.replaced_at? + KEPT_AFTER;
        let last = self.last_end.map(|end| end + SKEW);
        Some(last.map_or(replaced, |last| last.max(replaced)))
    }
}

/// A status list: one of several for each algorithm, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StatusList {
    /// How the tokens in it, and the list itself, are signed.
    pub algorithm: Algorithm,
    /// Which.
    pub number: u32,
}

impl std::fmt::Display for StatusList {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let algorithm = match self.algorithm {
            Algorithm::Es256 => "es256",
            Algorithm::Rs256 => "rs256",
        };
        write!(f, "{algorithm}/{}", self.number)
    }
}

impl std::str::FromStr for StatusList {
    type Err = NoPlace;

    fn from_str(text: &str) -> Result<Self, NoPlace> {
        let (algorithm, number) = text.split_once('/').ok_or(NoPlace)?;
        let list = Self {
            algorithm: match algorithm {
                "es256" => Algorithm::Es256,
                "rs256" => Algorithm::Rs256,
                _ => return Err(NoPlace),
            },
            number: number.parse().map_err(|_| NoPlace)?,
        };
        // One spelling each: it is part of an address.
        if list.number == 0 || list.to_string() != text {
            return Err(NoPlace);
        }
        Ok(list)
    }
}

/// The text names no status list: expected `es256/1` or the like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoPlace;

/// Where a signed token stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing<'a> {
    /// The key that signed it.
    pub kid: &'a str,
    /// The status list that it is in.
    pub list: StatusList,
    /// Its place in that list.
    pub index: u32,
}

impl Version {
    /// Where it stands among what was signed here; none if it is no signed token.
    pub fn standing(&self) -> Option<Standing<'_>> {
        // What is no token mostly has no locator, or one without this.
        let kid = self.locator.get(place::KEY)?;
        let list = self.locator.get(place::LIST)?.parse().ok()?;
        let index = self.locator.get(place::INDEX)?.parse().ok()?;
        Some(Standing { kid, list, index })
    }

    /// Whether its issuer must be told when it is withdrawn. What was signed here is nobody's but the broker's.
    pub fn is_elsewhere(&self) -> bool {
        !self.locator.is_empty() && !self.locator.contains_key(place::TOKEN)
    }
}

/// What a token's place in its list says of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenStatus {
    /// Accepted.
    Valid,
    /// Never again.
    Invalid,
    /// Not for now.
    Suspended,
}

impl super::Credential {
    /// What the status list says of the version `number`, its own end aside: that is in the token.
    pub fn token_status(&self, number: u32) -> TokenStatus {
        let alive = self.revoked.is_none()
            && self
                .version(number)
                .is_some_and(|version| version.state.accepted());
        match (alive, self.quarantined_at) {
            (false, _) => TokenStatus::Invalid,
            (true, Some(_)) => TokenStatus::Suspended,
            (true, None) => TokenStatus::Valid,
        }
    }
}

/// How keys follow each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyRules {
    /// For how long a key signs.
    pub life: Duration,
    /// For how long it is published before that.
    pub ahead: Duration,
}

/// What the keys of one purpose and algorithm need next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyStep {
    /// Another key, that signs from then on.
    Publish(DateTime<Utc>),
    /// This key is to sign from now on.
    Use(String),
    /// Nothing that this key signed is left.
    Withdraw(String),
    /// Nothing before then.
    Wait(DateTime<Utc>),
}

/// What `keys`, all of one purpose and algorithm, need next. `signs` says of which keys the private half is here.
pub fn next_step<'a>(
    keys: impl Iterator<Item = &'a TokenKey> + Clone,
    rules: KeyRules,
    signs: impl Fn(&str) -> bool,
    now: DateTime<Utc>,
) -> KeyStep {
    let over = keys
        .clone()
        .find(|key| key.over_at().is_some_and(|at| at <= now));
    if let Some(over) = over {
        return KeyStep::Withdraw(over.kid.clone());
    }
    let fresh = keys
        .clone()
        .filter(|key| key.in_use_since.is_none() && signs(&key.kid))
        .min_by_key(|key| key.use_from);
    let current = keys.clone().find(|key| key.in_use() && signs(&key.kid));
    let Some(since) = current.and_then(|key| key.in_use_since) else {
        // Nothing can be signed: whoever reads an unknown name asks for the keys again.
        return match fresh {
            Some(key) if key.use_from <= now => KeyStep::Use(key.kid.clone()),
            _ => KeyStep::Publish(now),
        };
    };
    let ends = keys.filter_map(TokenKey::over_at).min();
    let wait = |until: DateTime<Utc>| KeyStep::Wait(ends.map_or(until, |end| end.min(until)));
    let due = since + rules.life;
    match fresh {
        Some(next) if next.use_from.max(due) <= now => KeyStep::Use(next.kid.clone()),
        Some(next) => wait(next.use_from.max(due)),
        None if due - rules.ahead <= now => KeyStep::Publish(now + rules.ahead),
        None => wait(due - rules.ahead),
    }
}

/// A key as the log tells of it when it is published.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewTokenKey {
    /// Its name: the RFC 7638 thumbprint.
    pub kid: String,
    /// What it signs.
    pub purpose: Purpose,
    /// How.
    pub algorithm: Algorithm,
    /// The public members of its JWK.
    pub public: BTreeMap<String, String>,
    /// Before when it signs nothing.
    pub use_from: DateTime<Utc>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000 + seconds, 0).unwrap()
    }

    #[test]
    fn a_list_has_one_spelling() {
        let list: StatusList = "es256/12".parse().unwrap();
        assert_eq!(list.to_string(), "es256/12");
        for other in [
            "es256/0",
            "es256/012",
            "ES256/1",
            "hs256/1",
            "es256",
            "es256/+1",
        ] {
            assert_eq!(other.parse::<StatusList>(), Err(NoPlace), "{other}");
        }
    }

    /// A year of keys: each is published for long enough before it signs, and until all that it signed has ended; there
    /// is one that signs at every moment.
    #[test]
    fn keys_follow_each_other_without_a_gap() {
        let rules = KeyRules {
            life: Duration::days(30),
            ahead: Duration::days(1),
        };
        let mut keys: Vec<TokenKey> = Vec::new();
        let (mut now, mut made, mut withdrawn) = (at(0), 0, 0);
        while now < at(365 * 86_400) {
            match next_step(keys.iter(), rules, |_| true, now) {
                KeyStep::Publish(use_from) => {
                    made += 1;
                    assert!(made == 1 || use_from - now == rules.ahead);
                    keys.push(TokenKey {
                        kid: format!("k{made}"),
                        purpose: Purpose::Tokens,
                        algorithm: Algorithm::Es256,
                        public: BTreeMap::new(),
                        published_at: now,
                        use_from,
                        in_use_since: None,
                        replaced_at: None,
                        last_end: None,
                    });
                }
                KeyStep::Use(kid) => {
                    for key in &mut keys {
                        if key.kid == kid {
                            assert!(key.use_from <= now);
                            key.in_use_since = Some(now);
                        } else if key.in_use() {
                            key.replaced_at = Some(now);
                            // The last token that it signed lives for a day.
                            key.last_end = Some(now + Duration::days(1));
                        }
                    }
                }
                KeyStep::Withdraw(kid) => {
                    let key = keys.iter().find(|key| key.kid == kid).unwrap();
                    assert!(key.last_end.unwrap() + SKEW <= now);
                    keys.retain(|key| key.kid != kid);
                    withdrawn += 1;
                }
                KeyStep::Wait(until) => {
                    assert!(until > now, "waiting for what has been");
                    assert_eq!(keys.iter().filter(|key| key.in_use()).count(), 1);
                    assert!(keys.len() <= 2);
                    now = until;
                }
            }
        }
        assert_eq!((made, withdrawn), (13, 12));
    }

    #[test]
    fn a_lost_private_half_is_replaced_at_once_and_what_it_signed_stays_readable() {
        let rules = KeyRules {
            life: Duration::days(30),
            ahead: Duration::days(1),
        };
        let key = TokenKey {
            kid: "lost".into(),
            purpose: Purpose::Tokens,
            algorithm: Algorithm::Rs256,
            public: BTreeMap::new(),
            published_at: at(0),
            use_from: at(0),
            in_use_since: Some(at(0)),
            replaced_at: None,
            last_end: Some(at(90_000)),
        };
        let step = next_step([&key].into_iter(), rules, |_| false, at(10));
        assert_eq!(step, KeyStep::Publish(at(10)));
        let replaced = TokenKey {
            replaced_at: Some(at(11)),
            ..key
        };
        assert_eq!(replaced.over_at(), Some(at(90_000) + SKEW));
    }
}
