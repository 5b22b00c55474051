//! The language written: what is printed reads back as the same filter.

use super::{Expr, Filter, Operand};
use std::fmt;

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
