//! The palette: any command by its words, however sloppily typed.

use super::command::Command;
use nucleo_matcher::pattern::{CaseMatching, Normalization, Pattern};
use nucleo_matcher::{Config, Matcher};

/// What the matcher looks at.
fn haystack(command: Command) -> String {
    format!("{} {} {}", command.short(), command.help(), command.id())
}

/// The one command that takes a word with it.
const HOLDER: &str = "operator ";

/// Whose holdings are asked for by `operator NAME`.
pub fn holder(typed: &str) -> Option<&str> {
    let name = typed.trim_start().strip_prefix(HOLDER)?.trim();
    (!name.is_empty()).then_some(name)
}

/// The commands that `typed` may mean, the likeliest first; all of them in order while nothing is typed.
pub fn matches(typed: &str) -> Vec<Command> {
    let hidden = |command: &Command| {
        !matches!(
            command,
            Command::Palette | Command::Commit | Command::Open | Command::Back
        )
    };
    if holder(typed).is_some() {
        return vec![Command::Holdings];
    }
    let all = Command::ALL.iter().copied().filter(hidden);
    if typed.trim().is_empty() {
        return all.collect();
    }
    let mut matcher = Matcher::new(Config::DEFAULT);
    let pattern = Pattern::parse(typed.trim(), CaseMatching::Ignore, Normalization::Smart);
    let mut buffer = Vec::new();
    let mut found: Vec<(u32, Command)> = all
        .filter_map(|command| {
            let text = haystack(command);
            let hay = nucleo_matcher::Utf32Str::new(&text, &mut buffer);
            let named = command.short().starts_with(&typed.trim().to_lowercase());
            pattern
                .score(hay, &mut matcher)
                .map(|score| (score + if named { 1_000 } else { 0 }, command))
        })
        .collect();
    found.sort_by_key(|(score, _)| std::cmp::Reverse(*score));
    found.into_iter().map(|(_, command)| command).collect()
}

/// The command line that does the same, where there is one.
pub const fn twin(command: Command) -> Option<&'static str> {
    Some(match command {
        Command::ShowOverview => "countersign overview",
        Command::ShowApprovals => "countersign request list",
        Command::ShowCredentials => "countersign credential list",
        Command::ShowRotation => "countersign rotation calendar",
        Command::ShowRevocations => "countersign revocation list",
        Command::ShowAudit => "countersign audit list",
        Command::ShowPolicy => "countersign policy list",
        Command::FindKey => "countersign credential find",
        Command::Holdings => "countersign operator show",
        Command::Watch => "countersign watch",
        Command::Contexts => "countersign context use",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_is_meant() {
        let first = |typed: &str| matches(typed).first().copied();
        assert_eq!(first("leaked"), Some(Command::FindKey));
        assert_eq!(first("find"), Some(Command::FindKey));
        assert_eq!(first("dump"), Some(Command::Dump));
        assert_eq!(first("quit"), Some(Command::Quit));
        assert_eq!(first("zzzzqq"), None);
        assert_eq!(first("operator"), Some(Command::Holdings));
        assert_eq!(matches(" operator maya.k "), [Command::Holdings]);
        assert_eq!(holder(" operator maya.k "), Some("maya.k"));
        assert_eq!((holder("operator  "), holder("operators x")), (None, None));
        assert!(matches("").len() + 4 == Command::ALL.len());
    }
}
