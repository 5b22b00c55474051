//! The log as the screens show it: the task that checks it beside the screen, and how that stands in words.

use super::event::Event;
use super::link::{Heard, Sender};
use super::theme::{Role, Severity, Theme};
use crate::client::Client;
use crate::client::chain::{Chain, ChainState, Keep, follow};
use crate::display::time::count;
use std::time::Duration;

/// How often the log's head is asked for while the log grows; also how long a broker that does not answer is left
/// alone.
const EVERY: Duration = Duration::from_secs(10);
/// The same while nothing is heard of it.
const AT_LEAST: Duration = Duration::from_mins(1);

/// Checks the broker's log for as long as the console lives, and sends each change of what is known. The key is
/// `trusted`, else `keep`'s, else at first contact the one that the broker names. `context` is named in the command
/// that checks again. Begins when `heard` has something to say: reading a log keeps both ends busy, and before that
/// somebody waits for the list.
pub async fn watch(
    client: Client,
    sender: Sender,
    keep: Keep,
    trusted: Option<String>,
    context: String,
    mut heard: Heard,
) {
    if heard.wait_for(Option::is_some).await.is_err() {
        return;
    }
    let session = loop {
        match client.session().await {
            Ok(session) => break session.value,
            Err(_) => tokio::time::sleep(EVERY).await,
        }
    };
    let (told, mut states) = tokio::sync::mpsc::unbounded_channel();
    let (heads, grown) = tokio::sync::watch::channel(0);
    let checking = async {
        let offered = &session.verifier_key;
        let begun = Chain::new(client, keep, trusted.as_deref(), offered, &context);
        let detail = match begun {
            Ok(chain) => {
                let report = |state| drop(told.send(state));
                follow(chain, grown, AT_LEAST, report)
                    .await
                    .err()
                    .map(|error| whole_error(&error))
            }
            Err(error) => Some(whole_error(&error)),
        };
        if let Some(detail) = detail {
            drop(told.send(ChainState::Unreachable { checked: 0, detail }));
        }
        drop(told);
    };
    let telling = async {
        while let Some(mut state) = states.recv().await {
            // Only the newest is of interest.
            while let Ok(newer) = states.try_recv() {
                state = newer;
            }
            if !sender.send(Event::Chain(state)).await {
                return;
            }
        }
    };
    let hearing = async {
        while heard.changed().await.is_ok() {
            heads.send_replace(heard.borrow_and_update().unwrap_or_default());
            // A busy broker's log grows all the time.
            tokio::time::sleep(EVERY).await;
        }
        // Nobody will be heard of again, and what was begun may end.
        drop(heads);
    };
    tokio::join!(checking, telling, hearing);
}

fn whole_error(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        text += &format!(": {inner}");
        source = inner.source();
    }
    text
}

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
