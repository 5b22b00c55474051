//! The language read: from text to an expression, or to the place where it stops making sense.

use super::{Expr, Field, FilterError, Op, Operand, Shape};

/// Deepest nesting taken.
const DEPTH_MAX: usize = 32;

/// Reads a filter over the `known` fields. Empty text matches everything.
pub(super) fn parse(text: &str, known: &'static [Field]) -> Result<Expr, FilterError> {
    let mut parser = Parser {
        text,
        at: 0,
        known,
        depth: 0,
    };
    parser.blanks();
    if parser.rest().is_empty() {
        return Ok(Expr::All);
    }
    let expr = parser.any()?;
    if parser.rest().is_empty() {
        Ok(expr)
    } else {
        Err(parser.wants("the end, or & or | and more"))
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
