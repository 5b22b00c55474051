//! What changed between two texts, line by line.

/// No more pairs of lines than this are compared; beyond, a text is shown as wholly replaced.
const PAIRS_MAX: usize = 4_000_000;

/// One line of a comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Line<'a> {
    /// In both.
    Same(&'a str),
    /// Only in the older.
    Removed(&'a str),
    /// Only in the newer.
    Added(&'a str),
}

/// The shortest way from `old` to `new`, removals before additions.
pub fn lines<'a>(old: &'a str, new: &'a str) -> Vec<Line<'a>> {
    let (old, new): (Vec<_>, Vec<_>) = (old.lines().collect(), new.lines().collect());
    let head = old.iter().zip(&new).take_while(|(a, b)| a == b).count();
    let tail = old[head..]
        .iter()
        .rev()
        .zip(new[head..].iter().rev())
        .take_while(|(a, b)| a == b)
        .count();
    let (left, right) = (&old[head..old.len() - tail], &new[head..new.len() - tail]);
    let mut out: Vec<_> = old[..head].iter().map(|line| Line::Same(line)).collect();
    if left.len() * right.len() > PAIRS_MAX {
        out.extend(left.iter().map(|line| Line::Removed(line)));
        out.extend(right.iter().map(|line| Line::Added(line)));
    } else {
        between(left, right, &mut out);
    }
    out.extend(old[old.len() - tail..].iter().map(|line| Line::Same(line)));
    out
}

/// By the longest common subsequence: `common[i][j]` is its length for what follows `i` and `j`.
fn between<'a>(left: &[&'a str], right: &[&'a str], out: &mut Vec<Line<'a>>) {
    let width = right.len() + 1;
    let mut common = vec![0_u32; (left.len() + 1) * width];
    for (i, a) in left.iter().enumerate().rev() {
        for (j, b) in right.iter().enumerate().rev() {
            common[i * width + j] = if a == b {
                common[(i + 1) * width + j + 1] + 1
            } else {
                common[(i + 1) * width + j].max(common[i * width + j + 1])
            };
        }
    }
    let (mut i, mut j) = (0, 0);
    while i < left.len() || j < right.len() {
        if i < left.len() && j < right.len() && left[i] == right[j] {
            out.push(Line::Same(left[i]));
            (i, j) = (i + 1, j + 1);
        } else if j == right.len()
            || i < left.len() && common[(i + 1) * width + j] >= common[i * width + j + 1]
        {
            out.push(Line::Removed(left[i]));
            i += 1;
        } else {
            out.push(Line::Added(right[j]));
            j += 1;
        }
    }
}

/// As [`lines`], without what is the same further than `context` lines from a change. A gap is `None`.
pub fn hunks<'a>(old: &'a str, new: &'a str, context: usize) -> Vec<Option<Line<'a>>> {
    let all = lines(old, new);
    let near = |at: usize| {
        let from = at.saturating_sub(context);
        let to = (at + context + 1).min(all.len());
        all[from..to]
            .iter()
            .any(|line| !matches!(line, Line::Same(_)))
    };
    let mut out = Vec::new();
    for (at, line) in all.iter().enumerate() {
        if near(at) {
            out.push(Some(*line));
        } else if !out.is_empty() && out.last() != Some(&None) {
            out.push(None);
        }
    }
    if out.last() == Some(&None) {
        out.pop();
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use Line::{Added, Removed, Same};
    use proptest::prelude::*;

    #[test]
    fn a_change_is_found_where_it_is() {
        assert_eq!(
            lines("a\nb\nc\n", "a\nx\nc\nd\n"),
            [Same("a"), Removed("b"), Added("x"), Same("c"), Added("d")]
        );
        assert_eq!(lines("", "a"), [Added("a")]);
        assert_eq!(lines("a", "a"), [Same("a")]);
    }

    #[test]
    fn what_is_far_from_a_change_is_left_out() {
        let old = "1\n2\n3\n4\n5\n6\n7\n";
        let new = "1\nb\n3\n4\n5\n6\ng\n";
        assert_eq!(
            hunks(old, new, 1),
            [
                Some(Same("1")),
                Some(Removed("2")),
                Some(Added("b")),
                Some(Same("3")),
                None,
                Some(Same("6")),
                Some(Removed("7")),
                Some(Added("g"))
            ]
        );
        assert!(hunks(old, old, 3).is_empty());
    }

    proptest! {
        #[test]
        fn both_texts_are_in_it(old in "([ab]\n){0,12}", new in "([abc]\n){0,12}") {
            let all = lines(&old, &new);
            let without = |drop: fn(&Line<'_>) -> bool| {
                all.iter()
                    .filter(|line| !drop(line))
                    .map(|line| match line { Same(text) | Removed(text) | Added(text) => format!("{text}\n") })
                    .collect::<String>()
            };
            prop_assert_eq!(&without(|line| matches!(line, Added(_))), &old);
            prop_assert_eq!(&without(|line| matches!(line, Removed(_))), &new);
        }
    }
}
