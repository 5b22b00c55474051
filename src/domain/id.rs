//! Typed identifiers: 128 bits, made at the edge (UUIDv7, so they sort by time), printed as a prefix and 26
//! characters of lower-case Crockford base 32.

use std::{fmt, str::FromStr};

const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
const LENGTH: usize = 26;
/// The length of every prefix.
const PREFIX: usize = 3;
const NO_DIGIT: u8 = u8::MAX;
/// The value of every byte as a digit: a start reads millions of identifiers.
const VALUES: [u8; 256] = {
    let mut values = [NO_DIGIT; 256];
    let mut digit = 0;
    while digit < ALPHABET.len() {
        values[ALPHABET[digit] as usize] = digit as u8;
        digit += 1;
    }
    values
};

/// Why a text is not an identifier of the wanted kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParseIdError {
    /// The prefix that was wanted, such as `req`.
    pub prefix: &'static str,
}

impl fmt::Display for ParseIdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "expected an identifier of the form {}_ and {LENGTH} characters",
            self.prefix
        )
    }
}

impl std::error::Error for ParseIdError {}

/// An identifier as printed. Every leaf of the log and every answer has many, so none is allocated.
struct Printed([u8; PREFIX + 1 + LENGTH]);

impl Printed {
    fn new(value: u128, prefix: &str) -> Self {
        let mut text = [b'_'; PREFIX + 1 + LENGTH];
        text[..PREFIX].copy_from_slice(prefix.as_bytes());
        for (place, digit) in text[PREFIX + 1..].iter_mut().rev().enumerate() {
            *digit = ALPHABET[(value >> (place * 5)) as usize & 31];
        }
        Self(text)
    }

    fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("prefixes and digits are ASCII")
    }
}

fn decode(text: &str, prefix: &'static str) -> Result<u128, ParseIdError> {
    let refused = ParseIdError { prefix };
    let digits = text
        .strip_prefix(prefix)
        .and_then(|rest| rest.strip_prefix('_'))
        .filter(|digits| digits.len() == LENGTH)
        .ok_or_else(|| refused.clone())?;
    let mut value: u128 = 0;
    for (place, byte) in digits.bytes().enumerate() {
        let digit = VALUES[usize::from(byte)];
        if digit == NO_DIGIT {
            return Err(refused);
        }
        // 26 digits hold 130 bits: the first may only use the lowest three.
        if place == 0 && digit > 7 {
            return Err(refused);
        }
        value = value << 5 | u128::from(digit);
    }
    Ok(value)
}

// Bytes, not a `u128`: that is aligned to 16, and would make an optional one twice as long.
macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident => $prefix:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; 16]);

        impl $name {
            /// The prefix that this kind of identifier is printed with.
            pub const PREFIX: &'static str = $prefix;

            /// From 128 bits, most significant first.
            pub const fn from_bits(bits: u128) -> Self {
                Self(bits.to_be_bytes())
            }

            /// The 128 bits.
            pub const fn bits(self) -> u128 {
                u128::from_be_bytes(self.0)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(Printed::new(self.bits(), $prefix).as_str())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = ParseIdError;
            fn from_str(text: &str) -> Result<Self, ParseIdError> {
                decode(text, $prefix).map(Self::from_bits)
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                if !serializer.is_human_readable() {
                    return self.0.serialize(serializer);
                }
                serializer.serialize_str(Printed::new(self.bits(), $prefix).as_str())
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                if !deserializer.is_human_readable() {
                    return <[u8; 16]>::deserialize(deserializer).map(Self);
                }
                let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    )*};
}

ids! {
    /// A credential: a stable name and its versions.
    CredentialId => "crd";
    /// An issuance request.
    RequestId => "req";
    /// One person's decision on one request.
    ApprovalId => "apr";
    /// A revocation.
    RevocationId => "rvk";
    /// A rotation.
    RotationId => "rot";
    /// Who uses a credential.
    ClientId => "cli";
    /// A person or robot that signs in.
    OperatorId => "opr";
    /// A proposed change of policy.
    ProposalId => "prp";
    /// A gateway.
    GatewayId => "gwy";
    /// A minted sign-in token (never the token itself).
    TokenId => "tok";
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_identifier_survives_printing(bits: u128) {
            let id = CredentialId::from_bits(bits);
            prop_assert_eq!(id.to_string().parse::<CredentialId>(), Ok(id));
            prop_assert!(id.to_string().parse::<RequestId>().is_err());
        }

        #[test]
        fn printing_keeps_the_order(a: u128, b: u128) {
            let (left, right) = (RequestId::from_bits(a), RequestId::from_bits(b));
            prop_assert_eq!(left.cmp(&right), left.to_string().cmp(&right.to_string()));
        }

        #[test]
        fn other_text_is_refused(text in "\\PC{0,40}") {
            if let Ok(id) = text.parse::<CredentialId>() {
                prop_assert_eq!(id.to_string(), text);
            }
        }
    }
}
