//! Names and texts in statements that take no parameters.

/// A name as an identifier, whatever it holds. NUL, which no name has, is left out.
pub(super) fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('\0', "").replace('"', "\"\""))
}

/// A text as a string constant, whatever it holds and whatever the server takes a backslash for.
pub(super) fn literal(text: &str) -> String {
    let text = text.replace('\0', "").replace('\'', "''");
    if text.contains('\\') {
        format!(" E'{}'", text.replace('\\', "\\\\"))
    } else {
        format!("'{text}'")
    }
}

/// A statement of the configuration, for this login.
pub(super) fn filled(statement: &str, login: &str) -> String {
    // One pass: what a name holds is not looked at again.
    let mut filled = String::with_capacity(statement.len() + login.len());
    let mut rest = statement;
    while let Some(at) = rest.find("{{") {
        let (before, from) = rest.split_at(at);
        filled.push_str(before);
        let (place, text) = if let Some(after) = from.strip_prefix("{{name}}") {
            (after, identifier(login))
        } else if let Some(after) = from.strip_prefix("{{literal}}") {
            (after, literal(login))
        } else {
            (&from[2..], "{{".to_owned())
        };
        filled.push_str(&text);
        rest = place;
    }
    filled.push_str(rest);
    filled
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_gets_out_of_its_quotes() {
        assert_eq!(
            identifier("a\"; DROP ROLE x; --"),
            "\"a\"\"; DROP ROLE x; --\""
        );
        assert_eq!(literal("it's"), "'it''s'");
        assert_eq!(literal("\\'; DROP"), " E'\\\\''; DROP'");
        assert_eq!(literal("a\0b"), "'ab'");
    }

    #[test]
    fn a_statement_is_filled_once() {
        assert_eq!(
            filled(
                "DROP {{name}}; SELECT f({{literal}}, '{{other}}')",
                "{{literal}}"
            ),
            "DROP \"{{literal}}\"; SELECT f('{{literal}}', '{{other}}')"
        );
    }
}
