//! Small closed vocabularies. Each prints and parses as the one word that API, screens and documents use.

/// The text is none of a vocabulary's words; the message lists them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownWord {
    /// What kind of word was wanted.
    pub what: &'static str,
    /// The words that are known.
    pub accepted: &'static [&'static str],
}

impl std::fmt::Display for UnknownWord {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "not a known {}: expected one of {}",
            self.what,
            self.accepted.join(", ")
        )
    }
}

impl std::error::Error for UnknownWord {}

/// Declares an enum whose variants each have one word, with `ALL`, `as_str`, `Display`, `FromStr`, serde and a schema.
/// The word is a `tt`: as a `literal` it would be a group, whose `rename` the schema's derive does not see.
macro_rules! words {
    ($($(#[$doc:meta])* $name:ident, $what:literal { $($(#[$vdoc:meta])* $variant:ident => $word:tt,)* })*) => {$(
        $(#[$doc])*
        #[derive(
            Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
        )]
        pub enum $name { $($(#[$vdoc])* #[serde(rename = $word)] $variant,)* }

        impl $name {
            /// Every value, in order.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];
            /// Every word, in the same order.
            pub const WORDS: &'static [&'static str] = &[$($word),*];

            /// The word.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }
        }

        // Not derived: the derive does not see a word that comes from a macro, and documents the variant's name.
        impl utoipa::PartialSchema for $name {
            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
                utoipa::openapi::ObjectBuilder::new()
                    .schema_type(utoipa::openapi::schema::SchemaType::new(utoipa::openapi::schema::Type::String))
                    .enum_values(Some(Self::WORDS.iter().copied()))
                    .into()
            }
        }

        impl utoipa::ToSchema for $name {}

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::domain::words::UnknownWord;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                match text {
                    $($word => Ok(Self::$variant),)*
                    _ => Err($crate::domain::words::UnknownWord { what: $what, accepted: Self::WORDS }),
                }
            }
        }
    )*};
}
pub(crate) use words;

words! {
    /// Where a credential is used. A role is held per environment and an audience never crosses one.
    Environment, "environment" {
        /// For building.
        Development => "development",
        /// For trying out.
        Staging => "staging",
        /// The real thing.
        Production => "production",
    }

    /// What a credential is made of, and so which issuers can make it.
    Kind, "kind" {
        /// Opaque, prefixed, checksummed; only its digest is kept.
        ApiKey => "api_key",
        /// Short-lived and signed.
        Jwt => "jwt",
        /// A login made in a database by Countersign itself.
        DatabaseRole => "database_role",
        /// A dynamic secret of a vault.
        VaultLease => "vault_lease",
    }

    /// How much harm misuse would do.
    Tier, "tier" {
        /// Decided by policy alone.
        Low => "low",
        /// Worth a look.
        Elevated => "elevated",
        /// Needs people.
        High => "high",
        /// Needs several people.
        Critical => "critical",
    }
}

impl Environment {
    /// The short form that screens paint: `DEV`, `STG`, `PROD`.
    pub const fn short(self) -> &'static str {
        match self {
            Self::Development => "DEV",
            Self::Staging => "STG",
            Self::Production => "PROD",
        }
    }
}
