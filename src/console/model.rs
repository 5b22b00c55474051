//! What the console knows and shows. Plain data: it can be written down, compared and played forward.

use super::command::{ActKind, Command};
use super::drill::{Drill, Step};
use super::edit::Line;
use super::effect::{ActCall, Call, CallId, Effect};
use super::event::{CallError, Level, LinkState};
use super::fleet::Fleet;
use super::keymap::Keymap;
use super::screens::{Jump, ScreenId, Screens};
use super::session::SessionEnd;
use super::sheet::Sheet;
use crate::client::chain::ChainState;
use crate::display::time::TimeFormat;
use crate::wire::{Environment, Receipt, RequestId, RequestRow, Role, Session};
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// How long a notice stays, in seconds.
const TOAST_S: i64 = 8;

/// The broker that the console is set to.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Context {
    /// Its name in the settings.
    pub name: String,
    /// Its address, for people.
    pub url: String,
    /// The environment word of row 1 until the broker says its own.
    pub environment: Option<Environment>,
    /// Other contexts that can be switched to.
    pub others: Vec<String>,
    /// The only key that may sign the broker's log; none: the one that is met first is kept.
    #[serde(default)]
    pub verifier_key: Option<String>,
    /// Changes are not offered, whoever is signed in.
    pub read_only: bool,
}

/// A notice that goes away by itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Toast {
    /// How much it matters.
    pub level: Level,
    /// What happened.
    pub text: String,
    /// When it goes.
    pub until: DateTime<Utc>,
}

/// What became of something that was sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// On its way.
    Sending(CallId),
    /// Carried out.
    Done(Receipt),
    /// The broker said no: nothing happened.
    Refused(String),
    /// It never left: nothing happened.
    NotSent(String),
    /// It may have happened. Asked again by the same key as soon as the broker is back.
    Unknown(String),
    /// The person called it off while it was under way. It may have happened; it is not asked again by itself.
    CalledOff,
}

/// A change that was sent, until it is settled.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sent {
    /// What was sent.
    pub call: ActCall,
    /// The name that people know the object by.
    pub name: String,
    /// When.
    pub at: DateTime<Utc>,
    /// What became of it.
    pub outcome: Outcome,
}

impl Sent {
    /// Whether it is still open whether it happened.
    pub fn open(&self) -> bool {
        matches!(
            self.outcome,
            Outcome::Sending(_) | Outcome::Unknown(_) | Outcome::CalledOff
        )
    }
}

/// How `TimeFormat` is written down.
#[derive(Serialize, Deserialize)]
#[serde(remote = "TimeFormat")]
enum TimeFormatDef {
    Ago,
    Utc,
    Local,
}

/// What all screens share.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Shared {
    /// The broker.
    pub context: Context,
    /// Who is signed in, once known.
    pub session: Option<Session>,
    /// What is known of that session's end.
    pub session_end: Option<SessionEnd>,
    /// What the broker called itself in the last run, and the environment that it was set up for.
    pub last_broker: Option<(String, Option<Environment>)>,
    /// The link.
    pub link: LinkState,
    /// The time as of the last event.
    pub now: DateTime<Utc>,
    /// When the broker was last heard.
    pub heard_at: Option<DateTime<Utc>>,
    /// Columns and rows.
    pub size: (u16, u16),
    /// How times are written.
    #[serde(with = "TimeFormatDef")]
    pub time: TimeFormat,
    /// Only ASCII is drawn.
    pub ascii: bool,
    /// Row 1 shows the time of day; off, nothing is drawn while nothing changes.
    pub clock: bool,
    /// What arrives is not shown until the person goes on.
    pub paused: bool,
    /// The credentials.
    pub fleet: Fleet,
    /// When the fleet shown was right, while it is from the cache; `None` once it is fresh.
    pub cached_at: Option<DateTime<Utc>>,
    /// Requests by identifier, as far as they were seen; the queue is among them.
    pub requests: BTreeMap<RequestId, RequestRow>,
    /// The newest sequence heard of.
    pub sequence: u64,
    /// What the console's own check of the log came to.
    pub chain: ChainState,
    /// What is watched, by identifier.
    pub watched: BTreeSet<String>,
    /// Changes that were sent, oldest first; at most [`OUTBOX_MAX`] settled ones stay.
    pub outbox: Vec<Sent>,
    /// Calls under way and what they asked; the newest last.
    pub calls: Vec<(CallId, Call)>,
    /// The leaked key that is being dealt with.
    #[serde(default)]
    pub drill: Option<Drill>,
    /// Notices.
    pub toasts: Vec<Toast>,
    /// The keys.
    pub keymap: Keymap,
    /// Makes idempotency keys; drawn once at the start.
    pub seed: u128,
    pub(super) counter: u64,
}

/// Settled changes that are remembered.
pub const OUTBOX_MAX: usize = 128;

impl Shared {
    /// Nothing known yet, at `now`.
    pub fn new(context: Context, now: DateTime<Utc>, size: (u16, u16), seed: u128) -> Self {
        Self {
            context,
            session: None,
            session_end: None,
            last_broker: None,
            link: LinkState::Starting,
            now,
            heard_at: None,
            size,
            time: TimeFormat::Utc,
            ascii: false,
            clock: false,
            paused: false,
            fleet: Fleet::default(),
            cached_at: None,
            requests: BTreeMap::new(),
            sequence: 0,
            chain: ChainState::Unchecked,
            watched: BTreeSet::new(),
            outbox: Vec::new(),
            calls: Vec::new(),
            drill: None,
            toasts: Vec::new(),
            keymap: Keymap::default(),
            seed,
            counter: 0,
        }
    }

    /// The environment of row 1: the broker's own, as it says or last said, else the settings'.
    pub fn environment(&self) -> Option<Environment> {
        let said = match (&self.session, &self.last_broker) {
            (Some(session), _) => session.environment,
            (None, Some((_, environment))) => *environment,
            (None, None) => None,
        };
        said.or(self.context.environment)
    }

    /// The broker's name: its own, as it says or last said, else the settings'.
    pub fn broker(&self) -> &str {
        match (&self.session, &self.last_broker) {
            (Some(session), _) => &session.broker,
            (None, Some((broker, _))) => broker,
            (None, None) => &self.context.name,
        }
    }

    /// Whether the person holds one of `roles` in `environment`.
    pub fn holds(&self, environment: Environment, roles: &[Role]) -> bool {
        self.session.as_ref().is_some_and(|session| {
            session
                .roles
                .get(&environment)
                .is_some_and(|held| roles.iter().any(|role| held.contains(role)))
        })
    }

    /// Why nothing can be changed now, if so: the last state may not be the present one.
    pub fn refuses_changes(&self) -> Option<String> {
        if self.context.read_only {
            return Some("this context is read only".into());
        }
        if let Some(why) = super::chain::refuses_changes(&self.chain) {
            return Some(why);
        }
        if self.session.is_none() {
            return Some("not signed in yet".into());
        }
        match &self.link {
            LinkState::Live { .. } => {}
            LinkState::Starting | LinkState::Connecting => return Some("still connecting".into()),
            LinkState::CatchingUp => return Some("still catching up with what was missed".into()),
            LinkState::SignedOut(_) => return Some("signed out".into()),
            LinkState::Offline { .. } => {
                let age = self.heard_at.map_or_else(String::new, |at| {
                    format!(
                        ": what you see is {} old",
                        crate::display::time::compact(self.now - at)
                    )
                });
                return Some(format!("the broker is away{age}"));
            }
        }
        self.cached_at
            .map(|_| "the list is from the last run until the fresh one is here".into())
    }

    /// A new idempotency key; the same run gives the same keys again.
    pub fn new_key(&mut self) -> String {
        self.counter += 1;
        format!("{:032x}-{:x}", self.seed, self.counter)
    }
}

/// One line of a menu.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MenuEntry {
    /// The key that takes it.
    pub key: char,
    /// Its name.
    pub label: String,
    /// What it does, in a sentence.
    pub note: String,
    /// Why it cannot be taken.
    pub refused: Option<String>,
    /// What taking it does.
    pub does: Choice,
}

/// What taking a line of a menu does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Choice {
    /// Asks the screen for the sheet.
    Act(ActKind),
    /// The same, for one version.
    ActOn(ActKind, u32),
    /// Into the clipboard.
    Copy(String),
    /// A saved view: the screen's filter becomes this.
    Filter(String),
    /// Go to another screen.
    Jump(Jump),
    /// A step against a leaked key.
    Drill(Step),
    /// A page that the broker has to be asked for; it opens when the answer is there.
    Ask(Call),
    /// Another broker.
    Context(String),
    /// End, although something is unsent.
    Quit,
}

/// A list of choices over the screen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Menu {
    /// What is chosen.
    pub title: String,
    /// The choices.
    pub entries: Vec<MenuEntry>,
    /// The one that `Enter` takes; `None` where Enter takes nothing (the act menu).
    pub cursor: Option<usize>,
}

impl Menu {
    /// Ways to what belongs to something: what each is called, what is there, and where it leads. They have the keys
    /// from 1 to 9, and what is beyond these is left out.
    pub fn of_ways(
        title: String,
        ways: impl IntoIterator<Item = (&'static str, String, Choice)>,
    ) -> Self {
        let entries = ways
            .into_iter()
            .zip('1'..='9')
            .map(|((label, note, does), key)| MenuEntry {
                key,
                label: label.into(),
                note,
                refused: None,
                does,
            });
        Self {
            title,
            entries: entries.collect(),
            cursor: Some(0),
        }
    }
}

/// What a prompt asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum PromptKind {
    /// The screen's filter, live as it is typed.
    Filter,
    /// A leaked key. What is typed stays with the runner; only its length is here.
    FindKey,
    /// The name of a person, a robot or a team.
    Holder,
}

/// One line to be filled in at the bottom.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Prompt {
    /// What it asks for.
    pub kind: PromptKind,
    /// What was typed; empty for a masked one.
    pub line: Line,
    /// What held before; `Esc` brings it back.
    pub before: String,
    /// What is wrong with it.
    pub error: Option<String>,
    /// How many characters a masked one holds.
    pub masked: usize,
}

/// What lies over the screen and has the keys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Overlay {
    /// The keys, scrolled by so many lines.
    Help(usize),
    /// The palette: what was typed, and the line chosen.
    Palette(Line, usize),
    /// Choices.
    Menu(Menu),
    /// A sheet.
    Sheet(Sheet),
    /// A prompt.
    Prompt(Prompt),
    /// Text to read: its title, its lines, and how many are scrolled away.
    Page(String, Vec<String>, usize),
}

/// Everything.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Model {
    /// What all screens share.
    pub shared: Shared,
    /// The screens, each with what only it knows.
    pub screens: Screens,
    /// The screen that is shown.
    pub current: ScreenId,
    /// The one before it.
    pub previous: ScreenId,
    /// What lies over it.
    pub overlay: Option<Overlay>,
    /// Ctrl-C was pressed with nothing to cancel: once more quits.
    pub interrupted: bool,
}

impl Model {
    /// A model that knows nothing yet.
    pub fn new(shared: Shared) -> Self {
        Self {
            shared,
            screens: Screens::default(),
            current: ScreenId::FIRST,
            previous: ScreenId::FIRST,
            overlay: None,
            interrupted: false,
        }
    }

    /// When what is shown was right, while it is what the last run knew; `None` once it is fresh.
    pub fn kept_at(&self) -> Option<DateTime<Utc>> {
        self.screens.get(self.current).kept_at(&self.shared)
    }

    /// Whether lists stand still: a menu, a sheet or the pause holds them.
    pub fn frozen(&self) -> bool {
        self.shared.paused || matches!(self.overlay, Some(Overlay::Menu(_) | Overlay::Sheet(_)))
    }
}

/// What an update may do beside changing its own part.
pub struct Ctx<'a> {
    /// What all screens share.
    pub shared: &'a mut Shared,
    /// What lies over the screen; set it to open a sheet, a menu or a page.
    pub overlay: &'a mut Option<Overlay>,
    /// The screen that is shown.
    pub current: ScreenId,
    /// Lists stand still: rows may be taken in, but none may move.
    pub frozen: bool,
    /// Where to go when the update is over.
    pub jump: &'a mut Option<Jump>,
    /// What the world is asked to do.
    pub effects: &'a mut Vec<Effect>,
}

impl Ctx<'_> {
    /// Asks the broker and returns the call's name; keep it to know the reply. A call that asks the same
    /// and is still under way is not made twice: its name comes back.
    pub fn call(&mut self, call: Call) -> CallId {
        if let Some((id, _)) = self.shared.calls.iter().find(|(_, open)| *open == call) {
            return *id;
        }
        self.shared.counter += 1;
        let id = CallId(self.shared.counter);
        self.shared.calls.push((id, call.clone()));
        self.effects.push(Effect::Call(id, call));
        id
    }

    /// Shows a notice for a while.
    pub fn toast(&mut self, level: Level, text: impl Into<String>) {
        let until = self.shared.now + TimeDelta::seconds(TOAST_S);
        self.shared.toasts.push(Toast {
            level,
            text: text.into(),
            until,
        });
        let surplus = self.shared.toasts.len().saturating_sub(3);
        self.shared.toasts.drain(..surplus);
    }

    /// Says what went wrong with a call; nothing if the person cancelled it.
    pub fn failed(&mut self, what: &str, error: &CallError) {
        if error.delivery != super::event::Delivery::Cancelled {
            self.toast(Level::Bad, format!("{what}: {}", error.detail));
        }
    }

    /// Opens a sheet, unless nothing can be changed now; then it says why.
    pub fn sheet(&mut self, sheet: Sheet) {
        match self.shared.refuses_changes() {
            Some(why) => self.toast(Level::Bad, why),
            None => *self.overlay = Some(Overlay::Sheet(sheet)),
        }
    }

    /// Goes to another screen once this update is over.
    pub fn go(&mut self, jump: Jump) {
        *self.jump = Some(jump);
    }

    /// Does as if another command had been given, for screens that share behaviour.
    pub fn copy(&mut self, text: impl Into<String>) {
        let text = text.into();
        self.toast(
            Level::Info,
            format!("copied by OSC 52 (if the terminal allows it): {text}"),
        );
        self.effects.push(Effect::Copy(text));
    }
}

/// Whether a command can be given now, and why not.
pub type Available = Result<(), &'static str>;

/// The commands that every screen answers by itself, and others only if they say so.
pub const SCREENS_OWN: &[Command] = &[
    Command::Open,
    Command::Sort,
    Command::SortReverse,
    Command::Mark,
    Command::MarkRange,
    Command::MarkClear,
    Command::FindNext,
    Command::FindPrevious,
    Command::Explain,
    Command::Diff,
    Command::Raw,
    Command::Related,
    Command::ZoomIn,
    Command::ZoomOut,
    Command::ZoomNow,
    Command::Zoom,
    Command::NextObject,
    Command::PreviousObject,
    Command::NextSection,
    Command::PreviousSection,
    Command::NextPane,
    Command::PreviousPane,
];
