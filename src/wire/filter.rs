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

mod rows;
#[cfg(test)]
mod tests;

use super::Environment;
use chrono::{DateTime, TimeDelta, Utc};
use std::fmt;

/// Longest filter taken, in bytes.
pub const FILTER_MAX: usize = 1_000;
/// Deepest nesting taken.
const DEPTH_MAX: usize = 32;

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
        let mut parser = Parser {
            text,
            at: 0,
            known,
            depth: 0,
        };
        parser.blanks();
        if parser.rest().is_empty() {
            return Ok(Self::default());
        }
        let expr = parser.any()?;
        if parser.rest().is_empty() {
            Ok(Self { expr })
        } else {
            Err(parser.wants("the end, or & or | and more"))
        }
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

struct Parser<'a> {
    text: &'a str,
    at: usize,
    known: &'static [Field],
    depth: usize,
}

impl Parser<'_> {
    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn blanks(&mut self) {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start().len();
    }

    fn take(&mut self, sign: &str) -> bool {
        let found = self.rest().starts_with(sign);
        if found {
            self.at += sign.len();
        }
        found
    }

    fn wants(&self, expected: impl Into<String>) -> FilterError {
        FilterError {
            at: self.text[..self.at].chars().count(),
            expected: expected.into(),
        }
    }

    fn any(&mut self) -> Result<Expr, FilterError> {
        let mut parts = vec![self.all()?];
        while self.take("|") {
            self.take("|");
            parts.push(self.all()?);
        }
        Ok(joined(parts, Expr::Or))
    }

    fn all(&mut self) -> Result<Expr, FilterError> {
        let mut parts = vec![self.one()?];
        loop {
            if self.take("&") {
                self.take("&");
            } else if self.rest().is_empty() || self.rest().starts_with(['|', ')']) {
                return Ok(joined(parts, Expr::And));
            }
            parts.push(self.one()?);
        }
    }

    fn one(&mut self) -> Result<Expr, FilterError> {
        self.blanks();
        if self.depth == DEPTH_MAX {
            return Err(self.wants(format!("at most {DEPTH_MAX} levels of ( and !")));
        }
        self.depth += 1;
        let expr = if self.take("!") {
            Expr::Not(Box::new(self.one()?))
        } else if self.take("(") {
            let inner = self.any()?;
            if !self.take(")") {
                return Err(self.wants(")"));
            }
            inner
        } else {
            self.term()?
        };
        self.depth -= 1;
        self.blanks();
        Ok(expr)
    }

    fn term(&mut self) -> Result<Expr, FilterError> {
        let start = self.at;
        if self.rest().starts_with('"') {
            return Ok(Expr::Word(self.quoted()?.to_lowercase()));
        }
        let ends = |c: char| c.is_whitespace() || "&|()<>=:\"".contains(c);
        let rest = self.rest();
        let word = rest[..rest.find(ends).unwrap_or(rest.len())].to_lowercase();
        if word.is_empty() {
            return Err(self.wants("a word, field:value, never, overdue, ! or ("));
        }
        self.at += rest.find(ends).unwrap_or(rest.len());
        let op = [
            ("<=", Op::AtMost),
            (">=", Op::AtLeast),
            ("<", Op::Less),
            (">", Op::More),
            (":", Op::Has),
            ("=", Op::Is),
        ]
        .into_iter()
        .find(|(sign, _)| self.take(sign));
        let Some((_, op)) = op else {
            return Ok(match word.as_str() {
                "never" => Expr::Never,
                "overdue" => Expr::Overdue,
                _ => Expr::Word(word),
            });
        };
        let Some(field) = self.known.iter().copied().find(|f| f.word() == word) else {
            self.at = start;
            let words: Vec<_> = self.known.iter().map(|field| field.word()).collect();
            return Err(self.wants(format!("a field: {}", words.join(" "))));
        };
        let operand = self.operand(field, op)?;
        Ok(Expr::Term(field, op, operand))
    }

    fn operand(&mut self, field: Field, op: Op) -> Result<Operand, FilterError> {
        let ordered = matches!(field.shape(), Shape::Span | Shape::Number);
        if !ordered && !matches!(op, Op::Has | Op::Is) {
            self.at -= op.sign().len();
            return Err(self.wants(format!(": or = after {}", field.word())));
        }
        let start = self.at;
        let text = if self.rest().starts_with('"') {
            self.quoted()?
        } else {
            let rest = self.rest();
            let ends = |c: char| c.is_whitespace() || "&|()\"".contains(c);
            let value = rest[..rest.find(ends).unwrap_or(rest.len())].to_owned();
            self.at += value.len();
            value
        };
        let read = match field.shape() {
            Shape::Text | Shape::Word if text.is_empty() => None,
            Shape::Text | Shape::Word => Some(Operand::Text(text.to_lowercase())),
            Shape::Span => span(&text).map(Operand::Span),
            Shape::Number => text.parse().ok().map(Operand::Number),
        };
        read.ok_or_else(|| {
            self.at = start;
            self.wants(match field.shape() {
                Shape::Text | Shape::Word => "what it should be",
                Shape::Span => "a span such as 90s, 15m, 24h, 7d or 1d12h",
                Shape::Number => "a whole number",
            })
        })
    }

    fn quoted(&mut self) -> Result<String, FilterError> {
        let inner = &self.rest()[1..];
        let Some(end) = inner.find('"') else {
            self.at = self.text.len();
            return Err(self.wants("a closing \""));
        };
        let text = inner[..end].to_owned();
        self.at += end + 2;
        if text.is_empty() {
            return Err(self.wants("something between the quotes"));
        }
        Ok(text)
    }
}

fn joined(mut parts: Vec<Expr>, join: fn(Vec<Expr>) -> Expr) -> Expr {
    match parts.len() {
        1 => parts.remove(0),
        _ => join(parts),
    }
}

/// `90s`, `1d12h`, `-2h`; in seconds.
fn span(text: &str) -> Option<i64> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text),
    };
    let mut seconds: i64 = 0;
    let mut rest = digits;
    while !rest.is_empty() {
        let unit_at = rest.find(|c: char| !c.is_ascii_digit())?;
        let number: i64 = rest[..unit_at].parse().ok()?;
        let unit = match rest.as_bytes()[unit_at] {
            b's' => 1,
            b'm' => 60,
            b'h' => 3_600,
            b'd' => 86_400,
            b'w' => 7 * 86_400,
            _ => return None,
        };
        seconds = seconds.checked_add(number.checked_mul(unit)?)?;
        rest = &rest[unit_at + 1..];
    }
    // A thousand years: what is longer cannot be told from a slip of the hand, and overflows later.
    (!digits.is_empty() && seconds <= 31_557_600_000).then_some(sign * seconds)
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_expr(&self.expr, f, 0)
    }
}

fn write_text(text: &str, bare: bool, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let special = |c: char| c.is_whitespace() || "&|()<>=:\"!".contains(c);
    if text.contains(special) || (bare && matches!(text, "never" | "overdue")) {
        write!(f, "\"{text}\"")
    } else {
        f.write_str(text)
    }
}

/// `level` is how tightly the surroundings bind: 0 nothing, 1 inside `&`, 2 after `!`.
fn write_expr(expr: &Expr, f: &mut fmt::Formatter<'_>, level: u8) -> fmt::Result {
    let (sign, parts, own) = match expr {
        Expr::All => return Ok(()),
        Expr::Word(word) => return write_text(word, true, f),
        Expr::Never => return f.write_str("never"),
        Expr::Overdue => return f.write_str("overdue"),
        Expr::Term(field, op, operand) => {
            write!(f, "{}{}", field.word(), op.sign())?;
            return match operand {
                Operand::Text(text) => write_text(text, false, f),
                Operand::Number(number) => write!(f, "{number}"),
                Operand::Span(seconds) => write_span(*seconds, f),
            };
        }
        Expr::Not(inner) => {
            f.write_str("!")?;
            return write_expr(inner, f, 2);
        }
        Expr::And(parts) => (" & ", parts, 1),
        Expr::Or(parts) => (" | ", parts, 0),
    };
    let wrapped = own < level || (own == 1 && level == 1);
    if wrapped {
        f.write_str("(")?;
    }
    for (index, part) in parts.iter().enumerate() {
        if index > 0 {
            f.write_str(sign)?;
        }
        // A list inside a list of the same kind keeps its parentheses, so that reading gives it back.
        let nested = matches!((expr, part), (Expr::Or(_), Expr::Or(_)));
        write_expr(part, f, if nested { 1 } else { own })?;
    }
    if wrapped {
        f.write_str(")")?;
    }
    Ok(())
}

fn write_span(seconds: i64, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    if seconds < 0 {
        f.write_str("-")?;
    }
    let seconds = seconds.unsigned_abs();
    let units = [(86_400, 'd'), (3_600, 'h'), (60, 'm'), (1, 's')];
    let mut rest = seconds;
    for (size, unit) in units {
        if rest >= size || (seconds == 0 && size == 1) {
            write!(f, "{}{unit}", rest / size)?;
            rest %= size;
        }
    }
    Ok(())
}
