//! What the engine does not check: `input.x` that does not exist is silently undefined in Rego, and a
//! few builtins would make a decision depend on when or where it is taken.

/// Builtins that would break "the same facts, the same decision".
const IMPURE: [&str; 5] = [
    "time.now_ns",
    "rand.intn",
    "uuid.rfc4122",
    "opa.runtime",
    "http.send",
];

/// The first fault as (line from 1, sentence), or nothing.
pub(super) fn check(text: &str, paths: &[String]) -> Option<(usize, String)> {
    for (index, line) in blank_literals(text).lines().enumerate() {
        let line_number = index + 1;
        if let Some(name) = IMPURE.iter().find(|name| line.contains(*name)) {
            return Some((
                line_number,
                format!("{name} is not allowed: a decision follows from its facts alone"),
            ));
        }
        for path in input_paths(line) {
            let known = paths.iter().any(|known| known == &path);
            if !known {
                return Some((
                    line_number,
                    format!(
                        "no such fact: input.{path}; known are {}",
                        paths
                            .iter()
                            .filter(|path| path.contains('.'))
                            .map(|path| format!("input.{path}"))
                            .collect::<Vec<_>>()
                            .join(", ")
                    ),
                ));
            }
        }
    }
    None
}

/// The text with comments, strings and raw strings replaced by blanks; lines stay where they are.
fn blank_literals(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut quote = None;
    let mut escaped = false;
    for character in text.chars() {
        if character == '\n' {
            // Only raw strings span lines; an unfinished string is the parser's to report.
            if quote != Some('`') {
                quote = None;
            }
            escaped = false;
            out.push('\n');
            continue;
        }
        match quote {
            None if matches!(character, '"' | '`' | '#') => quote = Some(character),
            None => {
                out.push(character);
                continue;
            }
            Some(_) if escaped => escaped = false,
            Some('"') if character == '\\' => escaped = true,
            Some(open) if open != '#' && character == open => quote = None,
            Some(_) => {}
        }
        out.push(' ');
    }
    out
}

/// Every `input.a.b` in a line, without `input.`, cut to the two levels that facts have.
fn input_paths(line: &str) -> Vec<String> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut found = Vec::new();
    let mut rest = line;
    while let Some(at) = rest.find("input.") {
        let whole_word = !rest[..at]
            .chars()
            .next_back()
            .is_some_and(|before| is_name(before) || before == '.');
        rest = &rest[at + "input.".len()..];
        if whole_word {
            let end = rest
                .find(|c: char| !is_name(c) && c != '.')
                .unwrap_or(rest.len());
            let path: Vec<&str> = rest[..end].trim_end_matches('.').split('.').collect();
            found.push(path[..path.len().min(2)].join("."));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::engine::paths;

    #[test]
    fn a_fact_that_does_not_exist_is_found_with_its_line() {
        let (line, reason) = check(
            "package x\n# input.nonsense\nallow if input.request.enviroment == \"input.zzz\"\n",
            &paths(),
        )
        .expect("a typo");
        assert_eq!(line, 3);
        assert!(
            reason.starts_with("no such fact: input.request.enviroment; known are"),
            "{reason}"
        );
        assert!(reason.contains("input.environment.name"), "{reason}");
    }

    #[test]
    fn known_facts_strings_comments_and_other_names_pass() {
        let text = "x if { some s in input.request.scopes; other_input.foo; `input.raw\ninput.raw` }\ny := input.time[z] # input.q";
        assert_eq!(check(text, &paths()), None);
    }

    #[test]
    fn a_clock_is_refused() {
        let (line, reason) = check("a := 1\nnow := time.now_ns()", &paths()).expect("impure");
        assert_eq!(line, 2);
        assert!(reason.contains("time.now_ns"), "{reason}");
    }
}
