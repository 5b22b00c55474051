//! The log as the screens show it: how the console's own check stands, in words and in the style they deserve.

use super::theme::{Role, Severity, Theme};
use crate::client::chain::ChainState;
use crate::display::time::count;

/// How the check stands, in few words, and the style for them.
pub fn short(state: &ChainState, theme: &Theme) -> (String, Role) {
    let (dot, ring) = (theme.glyphs.dot, theme.glyphs.ring);
    match state {
        ChainState::Unchecked => (format!("chain {ring} not checked yet"), Role::Muted),
        ChainState::Checking { checked, size } => (
            format!(
                "chain {ring} checking #{} of #{}",
                count(*checked),
                count(*size)
            ),
            Role::Muted,
        ),
        ChainState::Whole { size, .. } => {
            (format!("chain {dot} whole #{}", count(*size)), Role::Good)
        }
        ChainState::Unreachable { checked, .. } => (
            format!("chain {ring} whole to #{}, no more seen", count(*checked)),
            Role::Stale,
        ),
        ChainState::Alarm(alarm) => (
            format!("{} ALARM {}", theme.glyphs.alert, alarm.word),
            Role::Severity(Severity::Critical),
        ),
    }
}

/// Why nothing may be changed while the log contradicts itself; `None` while it does not.
pub fn refuses_changes(state: &ChainState) -> Option<String> {
    match state {
        ChainState::Alarm(alarm) => Some(format!(
            "read only: the log failed its check ({}); run: {}",
            alarm.word, alarm.command
        )),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::chain::Alarm;

    #[test]
    fn an_alarm_is_loud_and_stops_changes() {
        let alarm = ChainState::Alarm(Alarm {
            word: "ROLLBACK".into(),
            detail: "9 were seen, 4 are offered".into(),
            command: "countersign audit verify --context prod".into(),
            evidence: None,
        });
        let (words, role) = short(&alarm, &Theme::default());
        assert!(words.contains("ALARM ROLLBACK"));
        assert_eq!(role, Role::Severity(Severity::Critical));
        let why = refuses_changes(&alarm).expect("an alarm refuses");
        assert!(why.ends_with("countersign audit verify --context prod"));
        assert_eq!(
            refuses_changes(&ChainState::Checking {
                checked: 1,
                size: 2
            }),
            None
        );
    }
}
