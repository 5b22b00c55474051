//! A filter put into the terms of the columns, so that a million rows are gone through in milliseconds:
//! bare words by one search over all names, dictionary words looked at once each, times as plain numbers.

use super::{Fleet, NEVER};
use crate::wire::filter::{Expr, Field, Filter, Op, Operand, text_matches};
use crate::wire::{CredentialState, Environment, Kind, Tier};
use chrono::{DateTime, Utc};
use memchr::memmem::Finder;

/// Rows to a word of bits.
const BITS: usize = 64;

enum Node {
    All,
    Nothing,
    /// In a name, or an owner or client of these.
    Word(Box<Finder<'static>>, Vec<bool>),
    Name(Op, String),
    Owner(Vec<bool>),
    Client(Vec<bool>),
    /// Which of the codes, and which of its values.
    Code(usize, [bool; 8]),
    Left(Op, i64),
    Due(Op, i64),
    Age(Op, i64),
    Unused(Op, i64),
    Version(Op, u64),
    Accepted(Op, u64),
    Sequence(Op, u64),
    Never,
    Not(Box<Node>),
    And(Vec<Node>),
    Or(Vec<Node>),
}

/// A filter ready to go over a fleet. Made anew when the fleet has new dictionary words.
pub struct Search {
    node: Node,
    now: i64,
}

impl Search {
    pub fn new(filter: &Filter, fleet: &Fleet, now: DateTime<Utc>) -> Self {
        Self {
            node: compile(filter.expr(), fleet),
            now: now.timestamp_millis(),
        }
    }

    /// Whether one row matches.
    pub fn test(&self, fleet: &Fleet, row: u32) -> bool {
        test(&self.node, fleet, row as usize, self.now)
    }

    /// The rows from `from` on, at most `count` (both multiples of 64), as bits.
    pub fn bits(&self, fleet: &Fleet, from: usize, count: usize) -> Vec<u64> {
        let end = (from + count).min(fleet.len());
        bits(&self.node, fleet, from, end, self.now)
    }
}

fn compile(expr: &Expr, fleet: &Fleet) -> Node {
    let parts = |parts: &[Expr]| parts.iter().map(|part| compile(part, fleet)).collect();
    match expr {
        Expr::All => Node::All,
        Expr::Word(word) => {
            let words = dictionary(fleet, |text| text_matches(Field::Name, Op::Has, text, word));
            Node::Word(Box::new(Finder::new(word.as_bytes()).into_owned()), words)
        }
        Expr::Never => Node::Never,
        Expr::Overdue => Node::Due(Op::Less, 0),
        Expr::Not(inner) => Node::Not(Box::new(compile(inner, fleet))),
        Expr::And(inner) => Node::And(parts(inner)),
        Expr::Or(inner) => Node::Or(parts(inner)),
        Expr::Term(field, op, operand) => term(*field, *op, operand, fleet),
    }
}

fn term(field: Field, op: Op, operand: &Operand, fleet: &Fleet) -> Node {
    match (field, operand) {
        (Field::Name, Operand::Text(text)) => Node::Name(op, text.clone()),
        (Field::Owner, Operand::Text(text)) => Node::Owner(dictionary(fleet, |word| {
            text_matches(field, op, word, text)
        })),
        (Field::Client, Operand::Text(text)) => Node::Client(dictionary(fleet, |word| {
            text_matches(field, op, word, text)
        })),
        (Field::Environment, Operand::Text(text)) => codes(0, Environment::WORDS, field, op, text),
        (Field::Kind, Operand::Text(text)) => codes(1, Kind::WORDS, field, op, text),
        (Field::Tier, Operand::Text(text)) => codes(2, Tier::WORDS, field, op, text),
        (Field::State, Operand::Text(text)) => codes(3, CredentialState::WORDS, field, op, text),
        (Field::Left, Operand::Span(seconds)) => Node::Left(op, seconds * 1_000),
        (Field::Due, Operand::Span(seconds)) => Node::Due(op, seconds * 1_000),
        (Field::Age, Operand::Span(seconds)) => Node::Age(op, seconds * 1_000),
        (Field::Unused, Operand::Span(seconds)) => Node::Unused(op, seconds * 1_000),
        (Field::Version, Operand::Number(number)) => Node::Version(op, *number),
        (Field::Accepted, Operand::Number(number)) => Node::Accepted(op, *number),
        (Field::Sequence, Operand::Number(number)) => Node::Sequence(op, *number),
        _ => Node::Nothing,
    }
}

fn dictionary(fleet: &Fleet, matches: impl Fn(&str) -> bool) -> Vec<bool> {
    fleet.words.iter().map(|word| matches(word)).collect()
}

fn codes(which: usize, words: &[&str], field: Field, op: Op, wanted: &str) -> Node {
    let mut hits = [false; 8];
    for (hit, word) in hits.iter_mut().zip(words) {
        *hit = text_matches(field, op, word, wanted);
    }
    Node::Code(which, hits)
}

fn test(node: &Node, fleet: &Fleet, at: usize, now: i64) -> bool {
    let until = |time: i64, op: &Op, span: &i64| time != NEVER && op.holds(time - now, *span);
    match node {
        Node::All => true,
        Node::Nothing => false,
        Node::Word(finder, words) => {
            words[fleet.owners[at] as usize]
                || words[fleet.clients[at] as usize]
                || finder.find(fleet.name(at as u32).as_bytes()).is_some()
        }
        Node::Name(op, text) => text_matches(Field::Name, *op, fleet.name(at as u32), text),
        Node::Owner(words) => words[fleet.owners[at] as usize],
        Node::Client(words) => words[fleet.clients[at] as usize],
        Node::Code(which, hits) => hits[fleet.code(at, *which) & 7],
        Node::Left(op, span) => until(fleet.expires.get(at), op, span),
        Node::Due(op, span) => until(fleet.rotate.get(at), op, span),
        Node::Age(op, span) => op.holds(now - fleet.issued.get(at), *span),
        Node::Unused(op, span) => {
            let used = match fleet.used.get(at) {
                NEVER => fleet.issued.get(at),
                used => used,
            };
            op.holds(now - used, *span)
        }
        Node::Version(op, number) => op.holds(u64::from(fleet.versions[at]), *number),
        Node::Accepted(op, number) => op.holds(u64::from(fleet.accepted[at]), *number),
        Node::Sequence(op, number) => op.holds(fleet.sequences.get(at), *number),
        Node::Never => fleet.expires.get(at) == NEVER,
        Node::Not(inner) => !test(inner, fleet, at, now),
        Node::And(parts) => parts.iter().all(|part| test(part, fleet, at, now)),
        Node::Or(parts) => parts.iter().any(|part| test(part, fleet, at, now)),
    }
}

fn bits(node: &Node, fleet: &Fleet, from: usize, end: usize, now: i64) -> Vec<u64> {
    let length = (end - from).div_ceil(BITS);
    let each = |part: &Node| bits(part, fleet, from, end, now);
    let joined = |parts: &[Node], start: u64, join: fn(u64, u64) -> u64| {
        let mut all = vec![start; length];
        for part in parts {
            for (word, more) in all.iter_mut().zip(each(part)) {
                *word = join(*word, more);
            }
        }
        all
    };
    match node {
        Node::And(parts) => joined(parts, u64::MAX, |a, b| a & b),
        Node::Or(parts) => joined(parts, 0, |a, b| a | b),
        Node::Not(inner) => each(inner).into_iter().map(|word| !word).collect(),
        Node::Word(finder, words) => {
            let mut found = vec![0; length];
            if words.contains(&true) {
                for at in from..end {
                    let hit = words[fleet.owners[at] as usize] || words[fleet.clients[at] as usize];
                    found[(at - from) / BITS] |= u64::from(hit) << ((at - from) % BITS);
                }
            }
            name_hits(finder, fleet, from, end, &mut found);
            found
        }
        leaf => {
            let mut found = vec![0; length];
            for at in from..end {
                let hit = test(leaf, fleet, at, now);
                found[(at - from) / BITS] |= u64::from(hit) << ((at - from) % BITS);
            }
            found
        }
    }
}

/// One search over the names from row `from` to row `end`.
fn name_hits(finder: &Finder<'_>, fleet: &Fleet, from: usize, end: usize, found: &mut [u64]) {
    let Some(&last) = fleet.starts.get(end) else {
        return;
    };
    let names = fleet.names.as_bytes();
    let (mut at, mut row) = (fleet.starts[from] as usize, from);
    while let Some(hit) = finder.find(&names[at..last as usize]) {
        let (begin, stop) = (at + hit, at + hit + finder.needle().len());
        // Hits are few and near each other, or many and then next to each other: a gallop finds the row.
        let mut step = 1;
        while row + step < end && fleet.starts[row + step] as usize <= begin {
            row += step;
            step *= 2;
        }
        row += fleet.starts[row + 1..=(row + step).min(end)]
            .partition_point(|start| (*start as usize) <= begin);
        let next = fleet.starts[row + 1] as usize;
        if stop <= next {
            found[(row - from) / BITS] |= 1 << ((row - from) % BITS);
            at = next;
        } else {
            // It reaches over into the next name, which is no hit.
            at = begin + 1;
        }
    }
}
