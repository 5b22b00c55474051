//! The console's own check of the log: it hashes every leaf itself and believes the broker nothing.
//!
//! This is the one place where the client knows `event_log`: its checkpoint format and its verifier, which
//! know bytes only. Work is done a tile at a time and is resumed as the log grows, so nobody waits for it.

mod keep;
mod source;

pub use keep::{Keep, KeepError};

use crate::event_log::checkpoint::{Head, VerifierKey, VerifierKeyError};
use crate::event_log::tiles::{TILE_WIDTH, Tile, TileKind, TilePath, parse_bundle};
use crate::event_log::verify::{Verdict, Verifier, judge};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::fmt::Write as _;

/// Where signed checkpoints and tiles come from.
pub trait LogSource: Send + Sync {
    /// Why something could not be fetched; says nothing about the log.
    type Error: std::fmt::Display + Send;
    /// The signed checkpoint, as text.
    fn checkpoint(&self) -> impl Future<Output = Result<String, Self::Error>> + Send;
    /// A tile of hashes or a bundle of leaves.
    fn tile(&self, path: TilePath) -> impl Future<Output = Result<Bytes, Self::Error>> + Send;
}

/// What is known of the log, as screens show it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum ChainState {
    /// Nothing was fetched yet.
    #[default]
    Unchecked,
    /// Leaves are being hashed.
    Checking {
        /// Leaves hashed so far.
        checked: u64,
        /// Leaves that the signed checkpoint covers.
        size: u64,
    },
    /// Every leaf was hashed here, and has the signed root.
    Whole {
        /// How many.
        size: u64,
        /// The root, in hex.
        root: String,
        /// The fingerprint of the key that signed it.
        key: String,
        /// The key was taken from the broker at first contact and compared with nothing.
        key_on_trust: bool,
    },
    /// The log could not be fetched; what was known before stays true of the leaves seen then.
    Unreachable {
        /// Leaves that were found whole before.
        checked: u64,
        /// Why.
        detail: String,
    },
    /// The log contradicts its signature, itself, or what was seen before.
    Alarm(Alarm),
}

impl ChainState {
    /// Whether changes must not be made from here: a history that lies may show lies to approve.
    pub fn is_alarm(&self) -> bool {
        matches!(self, Self::Alarm(_))
    }
}

/// What is wrong with the log. Nothing heals it by itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alarm {
    /// In capitals, short: `ROLLBACK`, `SPLIT VIEW`, `BAD LEAF 17`.
    pub word: String,
    /// What was seen, in a sentence.
    pub detail: String,
    /// The command that checks it again, independently.
    pub command: String,
    /// Where both signed checkpoints were kept, when they contradict each other.
    #[serde(default)]
    pub evidence: Option<String>,
}

/// What a verdict means, in a sentence.
pub fn words(verdict: &Verdict) -> String {
    Alarm::new(verdict).detail
}

impl Alarm {
    fn new(verdict: &Verdict) -> Self {
        let (word, detail) = match verdict {
            Verdict::Whole { .. } => ("NONE".to_owned(), "the log is whole".to_owned()),
            Verdict::BadSignature(error) => ("BAD SIGNATURE".to_owned(), error.to_string()),
            Verdict::Rollback { pinned, offered } => (
                "ROLLBACK".to_owned(),
                format!("{pinned} records were seen here before, only {offered} are offered now"),
            ),
            Verdict::SplitView {
                size,
                pinned,
                offered,
            } => (
                "SPLIT VIEW".to_owned(),
                format!(
                    "two signed histories of {size} records: root {} was seen before, {} is offered",
                    hex(&pinned[..8]),
                    hex(&offered[..8])
                ),
            ),
            Verdict::Rewritten { pinned, offered } => (
                "REWRITTEN".to_owned(),
                format!("the {offered} records offered do not begin with the {pinned} seen before"),
            ),
            Verdict::BadProof(error) => ("BAD PROOF".to_owned(), error.to_string()),
            Verdict::BadLeaf { index } => (
                format!("BAD LEAF {index}"),
                format!("record #{} is not what was signed", index + 1),
            ),
            Verdict::Truncated { have, want } => (
                "TRUNCATED".to_owned(),
                format!("{want} records are signed, {have} are there"),
            ),
            Verdict::RootDiffers { size } => (
                "ROOT DIFFERS".to_owned(),
                format!("the {size} records offered do not have the signed root"),
            ),
        };
        Self {
            word,
            detail,
            command: "countersign audit verify".to_owned(),
            evidence: None,
        }
    }
}

/// Why checking cannot even begin.
#[derive(Debug, thiserror::Error)]
pub enum ChainError {
    /// The key to check with is not one.
    #[error("cannot read the log's verifier key")]
    Key(#[source] VerifierKeyError),
    /// What was kept of the log cannot be read or written.
    #[error(transparent)]
    Keep(#[from] KeepError),
}

/// The check of one broker's log, through the life of a console.
#[derive(Debug)]
pub struct Chain<S> {
    source: S,
    keep: Keep,
    key: VerifierKey,
    key_on_trust: bool,
    command: String,
    /// The note that was last found whole, from this life or an earlier one.
    pinned: Option<String>,
    /// The note that is being checked.
    note: String,
    verifier: Option<Verifier>,
    state: ChainState,
}

impl<S: LogSource> Chain<S> {
    /// Begins with the key that this person configured, else the one kept at first contact, else the one that
    /// the broker offers now, which is then kept. `context` is named in the command that checks again.
    pub fn new(
        source: S,
        keep: Keep,
        configured: Option<&str>,
        offered: &str,
        context: &str,
    ) -> Result<Self, ChainError> {
        let kept = keep.key()?;
        let trusted = configured.or(kept.as_deref()).unwrap_or(offered);
        let key: VerifierKey = trusted.trim().parse().map_err(ChainError::Key)?;
        if configured.is_none() && kept.is_none() {
            keep.set_key(offered.trim())?;
        }
        let mut command = "countersign audit verify".to_owned();
        if !context.is_empty() {
            write!(command, " --context {context}").expect("writing to a String cannot fail");
        }
        let mut chain = Self {
            pinned: keep.checkpoint()?,
            source,
            keep,
            key,
            key_on_trust: configured.is_none(),
            command,
            note: String::new(),
            verifier: None,
            state: ChainState::Unchecked,
        };
        let own = |key: &str| key.trim() == trusted.trim();
        if let Some(first) = kept.as_deref().filter(|first| !own(first))
            && chain.pinned_head().is_err()
        {
            // What was kept was signed by the key of the first contact: every later head would be an alarm.
            let first = first
                .trim()
                .parse::<VerifierKey>()
                .map_or_else(|error| error.to_string(), |key| key.fingerprint());
            chain.state = ChainState::Alarm(Alarm {
                word: "OTHER KEY".to_owned(),
                detail: format!(
                    "this context trusts {}, and what was seen of the log before was signed by {first}, which was trusted at first contact; if the new key is right, forget that one",
                    chain.key.fingerprint()
                ),
                command: format!("countersign context forget-key {context}"),
                evidence: None,
            });
        }
        if offered.trim() != trusted.trim() {
            chain.state = ChainState::Alarm(Alarm {
                word: "OTHER KEY".to_owned(),
                detail: format!(
                    "the broker signs its log with another key than the one trusted here ({})",
                    chain.key.fingerprint()
                ),
                command: chain.command.clone(),
                evidence: None,
            });
        }
        Ok(chain)
    }

    /// What is known now.
    pub fn state(&self) -> &ChainState {
        &self.state
    }

    /// Fetches the checkpoint and judges it. After this, [`Chain::step`] until it gives `false`.
    /// An alarm stays: it is never taken back by a later, better answer.
    pub async fn refresh(&mut self) -> Result<(), KeepError> {
        if self.state.is_alarm() {
            return Ok(());
        }
        let note = match self.source.checkpoint().await {
            Ok(note) => note,
            Err(error) => {
                self.unreachable(&error.to_string());
                return Ok(());
            }
        };
        let judged = match &mut self.verifier {
            Some(verifier) => verifier.advance(&note),
            None => self
                .pinned_head()
                .and_then(|pin| Verifier::new(self.key.clone(), pin, &note))
                .map(|verifier| self.verifier = Some(verifier)),
        };
        let offered = std::mem::replace(&mut self.note, note);
        match judged {
            Ok(()) => {
                self.progress();
                Ok(())
            }
            Err(verdict) => {
                let before = if offered.is_empty() {
                    self.pinned.clone().unwrap_or_default()
                } else {
                    offered
                };
                self.alarm(&verdict, &before)
            }
        }
    }

    /// Checks up to one tile of leaves. `true`: there is more to do.
    pub async fn step(&mut self) -> Result<bool, KeepError> {
        let Some(verifier) = &self.verifier else {
            return Ok(false);
        };
        if self.state.is_alarm() || matches!(self.state, ChainState::Unreachable { .. }) {
            return Ok(false);
        }
        let (next, size) = (verifier.next_index(), verifier.target().size);
        if next >= size {
            return self.conclude().map(|()| false);
        }
        let n = next / u64::from(TILE_WIDTH);
        let first = n * u64::from(TILE_WIDTH);
        let width = (size - first).min(u64::from(TILE_WIDTH)) as u16;
        let path = |kind| TilePath { kind, n, width };
        let fetched = futures_util::future::try_join(
            self.source.tile(path(TileKind::Entries)),
            self.source.tile(path(TileKind::Hashes(0))),
        )
        .await;
        let (bundle, hashes) = match fetched {
            Ok(pair) => pair,
            Err(error) => {
                self.unreachable(&error.to_string());
                return Ok(false);
            }
        };
        if let Err(verdict) = self.check(first, &bundle, &hashes) {
            let pinned = self.pinned.clone().unwrap_or_default();
            self.alarm(&verdict, &pinned)?;
            return Ok(false);
        }
        self.progress();
        if self
            .verifier
            .as_ref()
            .is_some_and(|v| v.next_index() >= v.target().size)
        {
            self.conclude()?;
            return Ok(false);
        }
        Ok(true)
    }

    /// Checks the leaves of one bundle from the next wanted one on, each against its stated hash.
    fn check(&mut self, first: u64, bundle: &[u8], hashes: &[u8]) -> Result<(), Verdict> {
        let verifier = self
            .verifier
            .as_mut()
            .expect("steps are made with a verifier");
        let next = verifier.next_index();
        let bad = Verdict::BadLeaf { index: next };
        let leaves = parse_bundle(bundle).ok_or_else(|| bad.clone())?;
        let stated = Tile::from_bytes(hashes).ok_or(bad)?;
        let want = verifier.target().size;
        let mut index = next;
        for place in (next - first) as usize.. {
            let (Some(leaf), Some(stated)) = (leaves.get(place), stated.get(place)) else {
                break;
            };
            if index >= want {
                break;
            }
            verifier.push_entry(index, leaf, Some(stated))?;
            index += 1;
        }
        if index == next {
            return Err(Verdict::Truncated { have: next, want });
        }
        Ok(())
    }

    fn conclude(&mut self) -> Result<(), KeepError> {
        let verifier = self
            .verifier
            .as_ref()
            .expect("there is a verdict only with a verifier");
        match verifier.verdict() {
            Verdict::Whole { size, root } => {
                if self.pinned.as_deref() != Some(&self.note) {
                    self.keep.set_checkpoint(&self.note)?;
                    self.pinned = Some(self.note.clone());
                }
                self.state = ChainState::Whole {
                    size,
                    root: hex(&root),
                    key: self.key.fingerprint(),
                    key_on_trust: self.key_on_trust,
                };
                Ok(())
            }
            verdict => {
                let pinned = self.pinned.clone().unwrap_or_default();
                self.alarm(&verdict, &pinned)
            }
        }
    }

    /// The head that was found whole before. A kept note that is no longer signed by the trusted key is a
    /// verdict on the log or on this machine; either way it is not passed over.
    fn pinned_head(&self) -> Result<Option<Head>, Verdict> {
        self.pinned
            .as_deref()
            .map(|note| judge(&self.key, None, note).map(|offer| offer.into_checkpoint().head))
            .transpose()
    }

    fn progress(&mut self) {
        let Some(verifier) = &self.verifier else {
            return;
        };
        let (checked, size) = (verifier.next_index(), verifier.target().size);
        if checked < size || !matches!(self.state, ChainState::Whole { size: s, .. } if s == size) {
            self.state = ChainState::Checking { checked, size };
        }
    }

    fn unreachable(&mut self, detail: &str) {
        self.state = ChainState::Unreachable {
            checked: self.verifier.as_ref().map_or(0, Verifier::next_index),
            detail: detail.to_owned(),
        };
    }

    fn alarm(&mut self, verdict: &Verdict, before: &str) -> Result<(), KeepError> {
        let mut alarm = Alarm::new(verdict);
        alarm.command.clone_from(&self.command);
        if verdict.is_contradiction() && !before.is_empty() {
            alarm.evidence = self.keep.evidence(before, &self.note)?;
        }
        self.state = ChainState::Alarm(alarm);
        Ok(())
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("writing to a String cannot fail");
        text
    })
}

/// Checks the log for as long as the console lives: now, whenever `heads` says that it has grown, and at least
/// every `at_least` while it is quiet. Each change of state goes to `report`; ends when `heads` is closed.
pub async fn follow<S: LogSource>(
    mut chain: Chain<S>,
    mut heads: tokio::sync::watch::Receiver<u64>,
    at_least: std::time::Duration,
    mut report: impl FnMut(ChainState),
) -> Result<(), KeepError> {
    let mut told = ChainState::Unchecked;
    let mut tell = |state: &ChainState| {
        if *state != told {
            told.clone_from(state);
            report(state.clone());
        }
    };
    loop {
        chain.refresh().await?;
        tell(chain.state());
        while chain.step().await? {
            tell(chain.state());
            tokio::task::yield_now().await;
        }
        tell(chain.state());
        if let Ok(Err(_closed)) = tokio::time::timeout(at_least, heads.changed()).await {
            return Ok(());
        }
    }
}
