//! The plan of the house, kept: which module may know which, that nothing goes round in a circle, that no file grows
//! beyond reading, and that whoever silences a lint says why. Reads the sources; knows nothing of what they do.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// What each module may use of ours, and why no more.
const MAY_USE: &[(&str, &[&str], &str)] = &[
    ("clock", &[], "a leaf"),
    ("canonical", &[], "a leaf: one form of JSON, of whatever"),
    ("ssh", &[], "a leaf: the formats of another program"),
    ("outbound", &[], "a leaf: how other systems are called"),
    (
        "domain",
        &[],
        "words and rules depend on nothing that could be down, or could know the time",
    ),
    (
        "display",
        &[],
        "shows text, times and tables, whatever they are about",
    ),
    (
        "event_log",
        &[],
        "knows bytes and hashes, not what they mean",
    ),
    (
        "policy",
        &["domain", "canonical"],
        "the domain's facts in, a decision out: what it decides is in its own words",
    ),
    (
        "secret",
        &["domain"],
        "keeps the domain's digests of what it makes",
    ),
    (
        "jose",
        &["domain"],
        "signs what it is given, in the domain's words for how",
    ),
    (
        "wire",
        &["domain", "canonical"],
        "speaks the domain's words",
    ),
    (
        "config",
        &[
            "secret",
            "ssh",
            "clock",
            "policy",
            "issuers",
            "event_log",
            "outbound",
        ],
        "reads files into what each part is opened with",
    ),
    (
        "issuers",
        &["secret", "clock", "outbound", "jose"],
        "make secrets; what for is not theirs to know",
    ),
    (
        "probes",
        &["secret", "outbound"],
        "use a secret as its service would; what follows from it is not theirs to know",
    ),
    (
        "delivery",
        &["domain", "secret", "clock", "outbound", "issuers"],
        "carries secrets to where they are read; speaks to OpenBao as its issuer does",
    ),
    (
        "client",
        &[
            "wire",
            "config",
            "secret",
            "ssh",
            "clock",
            "display",
            "event_log",
        ],
        "speaks to any broker; checks proofs and signs itself",
    ),
    (
        "broker",
        &[
            "domain",
            "canonical",
            "wire",
            "policy",
            "issuers",
            "jose",
            "delivery",
            "probes",
            "outbound",
            "event_log",
            "secret",
            "ssh",
            "config",
            "clock",
        ],
        "never knows who looks at it",
    ),
    (
        "console",
        &[
            "wire", "client", "config", "display", "clock", "secret", "ssh",
        ],
        "a guest: it could be pointed at any broker that speaks the contract; a pasted key is hashed by it, locally, \
         and what it shows is signed by whoever looks",
    ),
    (
        "cli",
        &[
            "wire",
            "policy",
            "client",
            "config",
            "display",
            "clock",
            "secret",
            "ssh",
            "event_log",
        ],
        "the console's twin, which also checks a log and a policy offline",
    ),
    (
        "demo",
        &[
            "broker",
            "cli",
            "client",
            "clock",
            "config",
            "display",
            "domain",
            "event_log",
            "issuers",
            "policy",
            "secret",
            "ssh",
            "wire",
        ],
        "composes a broker and drives it through the client; draws nothing",
    ),
];

/// Who may reach for what of the event log, besides the broker: what checks a log without holding one.
const EVENT_LOG_OFFLINE: &[&str] = &["verify", "checkpoint", "merkle", "proof", "tiles", "export"];

/// What is made of the others and may use any: the program's entry with its start of the console, and the generators.
const ROOTS: &[&str] = &["main", "interactive", "bin", "lib"];

/// The longest file, in lines. At this length look for the second subject in it.
const LINES_MAX: usize = 800;

/// Files that are longer. This list may only shrink.
const LONGER: &[&str] = &[];

/// Crates whose work is input, output, time or chance: none of them has any business in the rules.
const NOT_IN_THE_RULES: &[&str] = &[
    "tokio",
    "sqlx",
    "axum",
    "reqwest",
    "aws_lc_rs",
    "uuid",
    "tracing",
    "metrics",
    "parking_lot",
    "serde_json",
];

struct Source {
    /// As printed, from `src`.
    name: String,
    /// The module that it is, from the crate's root.
    module: Vec<String>,
    text: String,
    /// The text without comments, literals and unit tests.
    code: String,
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    walk(&root, &mut files);
    assert!(files.len() > 50, "the sources were not found");
    files.sort();
    files
        .into_iter()
        .map(|path| {
            let relative = path.strip_prefix(&root).expect("found under it");
            let mut module: Vec<String> = relative
                .with_extension("")
                .components()
                .map(|part| part.as_os_str().to_string_lossy().into_owned())
                .collect();
            if module.last().is_some_and(|last| last == "mod") {
                module.pop();
            }
            let text = fs::read_to_string(&path).expect("readable");
            let code = without_tests(&without_comments_and_literals(&text));
            Source {
                name: relative.to_string_lossy().replace('\\', "/"),
                module,
                text,
                code,
            }
        })
        .collect()
}

fn walk(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            walk(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

/// The code with comments, strings and characters blanked out; lines stay where they are.
fn without_comments_and_literals(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut code = String::with_capacity(text.len());
    let mut at = 0;
    let at_is = |at: usize, wanted: &str| {
        wanted
            .chars()
            .enumerate()
            .all(|(i, c)| chars.get(at + i) == Some(&c))
    };
    while at < chars.len() {
        let start = at;
        let in_word = at > 0 && (chars[at - 1].is_alphanumeric() || chars[at - 1] == '_');
        if at_is(at, "//") {
            while at < chars.len() && chars[at] != '\n' {
                at += 1;
            }
        } else if at_is(at, "/*") {
            let mut depth = 0;
            while at < chars.len() {
                if at_is(at, "/*") {
                    depth += 1;
                    at += 2;
                } else if at_is(at, "*/") {
                    depth -= 1;
                    at += 2;
                    if depth == 0 {
                        break;
                    }
                } else {
                    at += 1;
                }
            }
        } else if !in_word
            && (at_is(at, "r\"") || at_is(at, "r#") || at_is(at, "br\"") || at_is(at, "br#"))
        {
            let mut look = at + if chars[at] == 'b' { 2 } else { 1 };
            let hashes = chars[look..].iter().take_while(|&&c| c == '#').count();
            look += hashes;
            if chars.get(look) == Some(&'"') {
                let end: String = std::iter::once('"')
                    .chain(std::iter::repeat_n('#', hashes))
                    .collect();
                look += 1;
                while look < chars.len() && !at_is(look, &end) {
                    look += 1;
                }
                at = look + end.len();
            }
        } else if chars[at] == '"' {
            at += 1;
            while at < chars.len() && chars[at] != '"' {
                at += if chars[at] == '\\' { 2 } else { 1 };
            }
            at += 1;
        } else if at_is(at, "'\\") {
            at += 3;
            while at < chars.len() && chars[at] != '\'' {
                at += 1;
            }
            at += 1;
        } else if chars[at] == '\'' && chars.get(at + 2) == Some(&'\'') {
            at += 3;
        }
        if at == start {
            code.push(chars[at]);
            at += 1;
        } else {
            code.push(' ');
            code.extend(
                chars[start..at.min(chars.len())]
                    .iter()
                    .filter(|&&c| c == '\n'),
            );
        }
    }
    code
}

/// The code without the bodies of `#[cfg(test)]` items.
fn without_tests(code: &str) -> String {
    let mut left = String::new();
    let mut rest = code;
    while let Some(start) = rest.find("#[cfg(test)]") {
        left.push_str(&rest[..start]);
        let after = &rest[start..];
        let brace = after.find('{').unwrap_or(after.len());
        let semicolon = after.find(';').unwrap_or(after.len());
        if semicolon <= brace {
            rest = &after[(semicolon + 1).min(after.len())..];
            continue;
        }
        let mut depth = 0;
        let end = after[brace..].char_indices().find_map(|(place, c)| {
            match c {
                '{' => depth += 1,
                '}' => depth -= 1,
                _ => {}
            }
            (depth == 0).then_some(brace + place + 1)
        });
        rest = &after[end.unwrap_or(after.len())..];
    }
    left.push_str(rest);
    left
}

/// The paths into our own crate that a file names, from the crate's root, at most two parts each.
fn paths(source: &Source) -> BTreeSet<Vec<String>> {
    let mut found = BTreeSet::new();
    for root in ["crate::", "countersign::"] {
        for (place, _) in source.code.match_indices(root) {
            let before = source.code[..place].chars().next_back();
            if !before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':' || c == '$') {
                branches(&source.code[place + root.len()..], &mut found);
            }
        }
    }
    // A chain of `super` that climbs to the root.
    let mut rest = source.code.as_str();
    while let Some(place) = rest.find("super::") {
        let continues = rest[..place].ends_with("::")
            || rest[..place].ends_with(|c: char| c.is_alphanumeric() || c == '_');
        let mut tail = &rest[place..];
        let mut climbed = 0;
        while let Some(next) = tail.strip_prefix("super::") {
            climbed += 1;
            tail = next;
        }
        if !continues && climbed == source.module.len() {
            branches(tail, &mut found);
        }
        rest = tail;
    }
    found
}

/// The first two parts of the path, or of each path in the braces, that `text` begins with.
fn branches(text: &str, found: &mut BTreeSet<Vec<String>>) {
    for first in heads(text) {
        let (name, after) = first;
        let seconds = after.strip_prefix("::").map(heads).unwrap_or_default();
        if seconds.is_empty() {
            found.insert(vec![name.clone()]);
        }
        for (second, _) in seconds {
            found.insert(vec![name.clone(), second]);
        }
    }
}

/// The identifiers that a path or group of paths begins with, each with what follows it.
fn heads(text: &str) -> Vec<(String, &str)> {
    let word = |text: &str| {
        text.chars()
            .take_while(|c| c.is_alphanumeric() || *c == '_')
            .collect::<String>()
    };
    let text = text.trim_start();
    let Some(inside) = text.strip_prefix('{') else {
        let name = word(text);
        let after = &text[name.len()..];
        return if name.is_empty() {
            Vec::new()
        } else {
            vec![(name, after)]
        };
    };
    let mut list = Vec::new();
    let (mut depth, mut at_start) = (0, true);
    for (place, c) in inside.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => at_start = true,
            c if at_start && !c.is_whitespace() => {
                at_start = false;
                let name = word(&inside[place..]);
                if !name.is_empty() {
                    list.push((name.clone(), &inside[place + name.len()..]));
                }
            }
            _ => {}
        }
    }
    list
}

fn arrows(sources: &[Source]) -> BTreeMap<(String, String), BTreeSet<String>> {
    let modules: BTreeSet<&str> = MAY_USE.iter().map(|(name, ..)| *name).collect();
    let mut arrows: BTreeMap<_, BTreeSet<String>> = BTreeMap::new();
    for source in sources {
        let from = source.module[0].clone();
        if ROOTS.contains(&from.as_str()) {
            continue;
        }
        for path in paths(source) {
            if path[0] != from && modules.contains(path[0].as_str()) {
                let names = arrows.entry((from.clone(), path[0].clone())).or_default();
                names.insert(source.name.clone());
            }
        }
    }
    arrows
}

#[test]
fn arrows_point_one_way() {
    let sources = sources();
    let mut wrong = Vec::new();
    for ((from, to), files) in arrows(&sources) {
        let Some((_, may, why)) = MAY_USE.iter().find(|(name, ..)| *name == from) else {
            panic!("{from} is not in the table: say what it may use, and why");
        };
        if !may.contains(&to.as_str()) {
            wrong.push(format!("{from} ({why}) must not use {to}: {files:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_module_is_in_the_table() {
    let known: BTreeSet<&str> = MAY_USE
        .iter()
        .map(|(name, ..)| *name)
        .chain(ROOTS.iter().copied())
        .collect();
    for source in sources() {
        assert!(
            known.contains(source.module[0].as_str()),
            "{} is in no module of the plan",
            source.name
        );
    }
}

#[test]
fn nothing_goes_round_in_a_circle() {
    let arrows: BTreeSet<_> = arrows(&sources()).into_keys().collect();
    // Take away, again and again, whatever uses nothing that is left; a circle is what stays.
    let mut left: BTreeSet<&str> = MAY_USE.iter().map(|(name, ..)| *name).collect();
    loop {
        let free: Vec<&str> = left
            .iter()
            .copied()
            .filter(|from| {
                !arrows
                    .iter()
                    .any(|(a, b)| a == from && left.contains(b.as_str()))
            })
            .collect();
        if free.is_empty() {
            break;
        }
        for name in free {
            left.remove(name);
        }
    }
    assert!(left.is_empty(), "these use each other: {left:?}");
}

#[test]
fn the_log_is_checked_offline_and_held_by_the_broker_alone() {
    for source in sources() {
        if !["client", "cli"].contains(&source.module[0].as_str()) {
            continue;
        }
        for path in paths(&source) {
            if path[0] == "event_log" {
                let part = path.get(1).map_or("", String::as_str);
                assert!(
                    EVENT_LOG_OFFLINE.contains(&part),
                    "{} uses event_log::{part}",
                    source.name
                );
            }
        }
    }
}

#[test]
fn the_rules_are_plain_functions() {
    for source in sources() {
        if source.module[0] == "domain" {
            for name in NOT_IN_THE_RULES {
                assert!(
                    !source.code.contains(&format!("{name}::")),
                    "{} uses {name}",
                    source.name
                );
            }
            assert!(
                !source.code.contains("async fn"),
                "{} waits for something",
                source.name
            );
        }
    }
}

#[test]
fn no_file_is_too_long() {
    for source in sources() {
        let lines = source.text.lines().count();
        let listed = LONGER.contains(&source.name.as_str());
        assert!(
            lines <= LINES_MAX || listed,
            "{} has {lines} lines: look for its second subject",
            source.name
        );
        assert!(
            lines > LINES_MAX || !listed,
            "{} is short enough now: take it off the list",
            source.name
        );
    }
}

#[test]
fn every_silenced_lint_has_a_reason() {
    let names = ["#[allow(", "#![allow(", "#[expect(", "#![expect("];
    for source in sources() {
        let code = without_line_comments(&source.text);
        for name in names {
            for (place, _) in code.match_indices(name) {
                let attribute = &code[place..];
                let attribute = &attribute[..attribute.find(")]").unwrap_or(attribute.len())];
                assert!(
                    attribute.contains("reason"),
                    "{}: {attribute})]",
                    source.name
                );
            }
        }
    }
}

fn without_line_comments(text: &str) -> String {
    let kept: Vec<&str> = text
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .collect();
    kept.join("\n")
}

#[test]
fn the_reader_reads_what_is_there() {
    let read = |module: &str, text: &str| {
        let source = Source {
            name: String::new(),
            module: module.split("::").map(str::to_owned).collect(),
            text: text.to_owned(),
            code: without_tests(&without_comments_and_literals(text)),
        };
        paths(&source)
            .into_iter()
            .map(|path| path.join("::"))
            .collect::<Vec<_>>()
    };
    assert_eq!(
        read("a", "use crate::{b::{C, d::E}, f, g::*};"),
        ["b::C", "b::d", "f", "g"]
    );
    assert_eq!(
        read(
            "a",
            "// crate::b\nlet x = \"crate::c\"; /* crate::d */ fn f<'a>() { crate::e::g() }"
        ),
        ["e::g"]
    );
    assert_eq!(
        read("a::b", "use super::c; use super::super::d::E;"),
        ["d::E"]
    );
    assert_eq!(read("a", "use super::d;"), ["d"]);
    assert_eq!(
        read(
            "a",
            "#[cfg(test)]\nmod tests { use crate::b; fn f() {} }\nuse crate::c;"
        ),
        ["c"]
    );
    assert_eq!(read("a", "#[cfg(test)]\nmod tests;\nuse crate::c;"), ["c"]);
    assert_eq!(
        read(
            "a",
            "let s = r#\"crate::b \"\"#; let c = '\"'; crate::d(); '\\''; crate::e()"
        ),
        ["d", "e"]
    );
    assert_eq!(
        read("main", "use countersign::{broker, cli};"),
        ["broker", "cli"]
    );
}
