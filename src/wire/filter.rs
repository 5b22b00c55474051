//! The one filter language: of the screens' `/`, of `--filter`, and of the API's `?filter=`.
//!
//! ```text
//! ledger                      the word is in name, owner, client or whatever else names the row
//! env:prod kind:api owner:pay closed words match by their beginning, names anywhere
//! name="pg-ledger-rw"         exactly this
//! left<24h  unused>45d  due<0s  age<=15m  risk>=70   spans: s m h d w, and 1d12h
//! never  overdue              has no end; past its cadence. Quote a word to look for it as text
//! env:prod & (left<24h | never) & !state:revoked     & may be left out
//! ```

mod parse;
mod print;
mod rows;
#[cfg(test)]
mod tests;

use super::Environment;
use chrono::{DateTime, TimeDelta, Utc};

/// Longest filter taken, in bytes.
pub const FILTER_MAX: usize = 1_000;

/// Where a filter stops making sense.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("at character {}: expected {expected}", at + 1)]
pub struct FilterError {
    /// How many characters stand before the place.
    pub at: usize,
    /// What would make sense there.
    pub expected: String,
}

/// How a field's values are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// Text: anywhere in it, without regard to case.
    Text,
    /// One word of a closed vocabulary: by its beginning.
    Word,
    /// A span from or until a point in time.
    Span,
    /// A whole number.
    Number,
}

macro_rules! fields {
    ($($(#[$doc:meta])* $variant:ident => $word:literal, $shape:ident;)*) => {
        /// A field that rows may have.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Field { $($(#[$doc])* $variant,)* }

        impl Field {
            /// Every field.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// Its word.
            pub const fn word(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }

            /// How it is compared.
            pub const fn shape(self) -> Shape {
                match self { $(Self::$variant => Shape::$shape,)* }
            }
        }
    };
}

fields! {
    /// The identifier.
    Id => "id", Text;
    /// What people call it.
    Name => "name", Text;
    /// The team that answers for it.
    Owner => "owner", Text;
    /// Who uses it.
    Client => "client", Text;
    /// Where it is used.
    Environment => "env", Word;
    /// What it is made of.
    Kind => "kind", Word;
    /// How much harm misuse would do.
    Tier => "tier", Word;
    /// Where it is in its life.
    State => "state", Word;
    /// Until it ends.
    Left => "left", Span;
    /// Since it was made, asked for or written.
    Age => "age", Span;
    /// Since it was last used, or made.
    Unused => "unused", Span;
    /// Until it must have rotated; less than nothing when overdue.
    Due => "due", Span;
    /// The number of the version in use.
    Version => "version", Number;
    /// How many versions are accepted.
    Accepted => "accepted", Number;
    /// Who asked.
    Requester => "requester", Text;
    /// What is asked for.
    Wants => "wants", Text;
    /// 0 to 100.
    Risk => "risk", Number;
    /// Approvals so far.
    Approvals => "approvals", Number;
    /// Approvals needed.
    Needed => "needed", Number;
    /// The event's type, such as `request.approved`.
    Type => "type", Text;
    /// What it is about.
    Subject => "subject", Text;
    /// Who did it.
    By => "by", Text;
    /// Why.
    Reason => "reason", Text;
    /// Sequence of the last change.
    Sequence => "sequence", Number;
    /// Groups that an operator is in.
    Group => "group", Text;
    /// Roles that an operator holds.
    Role => "role", Word;
}

/// What a row has for a field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value<'a> {
    /// It has no such field, or nothing in it: nothing matches.
    None,
    /// Text or a word.
    Text(&'a str),
    /// Several; one that matches is enough.
    Many(Vec<&'a str>),
    /// A number.
    Number(u64),
    /// What is compared is how long it is until then.
    Until(DateTime<Utc>),
    /// What is compared is how long it is since then.
    Since(DateTime<Utc>),
}

/// Something that a filter can be asked about.
pub trait Row {
    /// The fields that it has, for the refusal of others.
    const FIELDS: &'static [Field];

    /// Its value for a field.
    fn value(&self, field: Field) -> Value<'_>;

    /// Hands each text in which bare words are looked for to `found`, until one says yes.
    fn words(&self, found: &mut dyn FnMut(&str) -> bool) -> bool;

    /// Whether it has no end.
    fn never(&self) -> bool {
        false
    }
}

/// How a field's value is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Op {
    /// `:` by beginning or anywhere.
    Has,
    /// `=` exactly.
    Is,
    /// `<`
    Less,
    /// `<=`
    AtMost,
    /// `>`
    More,
    /// `>=`
    AtLeast,
}

impl Op {
    const fn sign(self) -> &'static str {
        match self {
            Self::Has => ":",
            Self::Is => "=",
            Self::Less => "<",
            Self::AtMost => "<=",
            Self::More => ">",
            Self::AtLeast => ">=",
        }
    }

    /// Whether `left op right` holds for ordered values.
    pub fn holds<T: PartialOrd>(self, left: T, right: T) -> bool {
        match self {
            Self::Has | Self::Is => left == right,
            Self::Less => left < right,
            Self::AtMost => left <= right,
            Self::More => left > right,
            Self::AtLeast => left >= right,
        }
    }
}

/// What a value is compared with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operand {
    /// Lower case.
    Text(String),
    /// In seconds; may be below nothing.
    Span(i64),
    /// A whole number.
    Number(u64),
}

/// A filter taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expr {
    /// Everything matches.
    All,
    /// A bare word, in lower case.
    Word(String),
    /// Has no end.
    Never,
    /// Past its cadence.
    Overdue,
    /// A field compared.
    Term(Field, Op, Operand),
    /// Not so.
    Not(Box<Expr>),
    /// All of these; two at least.
    And(Vec<Expr>),
    /// One of these; two at least.
    Or(Vec<Expr>),
}

/// A filter that makes sense.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter {
    expr: Expr,
}

impl Default for Filter {
    fn default() -> Self {
        Self { expr: Expr::All }
    }
}

impl Filter {
    /// Reads a filter for rows of any kind. Empty text matches everything.
    pub fn parse(text: &str) -> Result<Self, FilterError> {
        Self::parse_known(text, Field::ALL)
    }

    /// Reads a filter for rows of one kind, and refuses fields that these do not have.
    pub fn parse_for<R: Row>(text: &str) -> Result<Self, FilterError> {
        Self::parse_known(text, R::FIELDS)
    }

    fn parse_known(text: &str, known: &'static [Field]) -> Result<Self, FilterError> {
        if text.len() > FILTER_MAX {
            return Err(FilterError {
                at: 0,
                expected: format!("at most {FILTER_MAX} bytes"),
            });
        }
        parse::parse(text, known).map(|expr| Self { expr })
    }

    /// What it is made of, for stores that can answer it in another way than row by row.
    pub fn expr(&self) -> &Expr {
        &self.expr
    }

    /// Whether it matches everything.
    pub fn is_all(&self) -> bool {
        self.expr == Expr::All
    }

    /// Whether `row` matches at `now`.
    pub fn matches<R: Row>(&self, row: &R, now: DateTime<Utc>) -> bool {
        matches(&self.expr, row, now)
    }
}

fn matches<R: Row>(expr: &Expr, row: &R, now: DateTime<Utc>) -> bool {
    match expr {
        Expr::All => true,
        Expr::Word(word) => row.words(&mut |text| contains(text, word)),
        Expr::Never => row.never(),
        Expr::Overdue => {
            matches!(row.value(Field::Due), Value::Until(due) if due < now)
        }
        Expr::Term(field, op, operand) => term(*field, *op, operand, &row.value(*field), now),
        Expr::Not(inner) => !matches(inner, row, now),
        Expr::And(parts) => parts.iter().all(|part| matches(part, row, now)),
        Expr::Or(parts) => parts.iter().any(|part| matches(part, row, now)),
    }
}

/// Whether one value satisfies one comparison.
pub fn term(
    field: Field,
    op: Op,
    operand: &Operand,
    value: &Value<'_>,
    now: DateTime<Utc>,
) -> bool {
    match (value, operand) {
        (Value::Text(text), Operand::Text(wanted)) => text_matches(field, op, text, wanted),
        (Value::Many(texts), Operand::Text(wanted)) => texts
            .iter()
            .any(|text| text_matches(field, op, text, wanted)),
        (Value::Number(number), Operand::Number(wanted)) => op.holds(number, wanted),
        (Value::Until(at), Operand::Span(seconds)) => {
            op.holds(*at - now, TimeDelta::seconds(*seconds))
        }
        (Value::Since(at), Operand::Span(seconds)) => {
            op.holds(now - *at, TimeDelta::seconds(*seconds))
        }
        _ => false,
    }
}

/// Whether a text satisfies a comparison with lower-case `wanted`.
pub fn text_matches(field: Field, op: Op, text: &str, wanted: &str) -> bool {
    let short = || match field {
        Field::Environment => text.parse().map_or("", Environment::short),
        _ => "",
    };
    match (op, field.shape()) {
        (Op::Is, _) => text.to_lowercase() == wanted || short().eq_ignore_ascii_case(wanted),
        (Op::Has, Shape::Word) => {
            text.starts_with(wanted) || short().to_ascii_lowercase().starts_with(wanted)
        }
        (Op::Has, _) => contains(text, wanted),
        _ => false,
    }
}

/// Whether lower-case `wanted` is in `text`, without regard to case.
fn contains(text: &str, wanted: &str) -> bool {
    if text.is_ascii() {
        let (text, wanted) = (text.as_bytes(), wanted.as_bytes());
        wanted.is_empty()
            || text
                .windows(wanted.len())
                .any(|part| part.eq_ignore_ascii_case(wanted))
    } else {
        text.to_lowercase().contains(wanted)
    }
}
