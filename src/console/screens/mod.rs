//! The screens. To add one: a file here with a type that is `Screen`, one row in the table below, and its
//! data in the fixture. The order of the table is the order of the tabs.

use super::backend::Frame;
use super::command::{ActKind, Command};
use super::event::Event;
use super::model::{Available, Ctx, Shared};
use super::theme::Theme;
use crate::wire::filter::FilterError;
use chrono::{DateTime, Utc};
use ratatui::layout::Rect;
use serde::{Deserialize, Serialize};

/// The queue of requests, and the review of one.
pub mod approvals;
/// The log, newest first, and its chain.
pub mod audit;
/// The inventory.
pub mod credentials;
/// What somebody holds and answers for, as pages.
pub mod held;
/// Lines of styled text.
pub mod kit;
/// The first screen.
pub mod overview;
/// What decides, and what is proposed in its place.
pub mod policy;
/// How far revocations have come, and the gateways.
pub mod revocations;
/// Versions over time, the weeks ahead, compliance.
pub mod rotation;
/// Fixed data for snapshots and pictures.
pub mod samples;
/// What is told of the one thing that the cursor rests on.
pub mod told;

macro_rules! screens {
    ($($field:ident: $type:ty => $id:ident, $digit:literal, $title:literal, $short:literal, $command:ident;)*) => {
        /// Which screen.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum ScreenId { $(#[doc = $title] $id,)* }

        impl ScreenId {
            /// Every screen, in the order of the tabs.
            pub const ALL: &'static [Self] = &[$(Self::$id,)*];
            /// The screen that is shown first.
            pub const FIRST: Self = Self::ALL[0];

            /// The key in the tab row.
            pub const fn digit(self) -> char {
                match self { $(Self::$id => $digit,)* }
            }

            /// Its name.
            pub const fn title(self) -> &'static str {
                match self { $(Self::$id => $title,)* }
            }

            /// Its name where there is little room.
            pub const fn short(self) -> &'static str {
                match self { $(Self::$id => $short,)* }
            }

            /// The command that shows it.
            pub const fn command(self) -> Command {
                match self { $(Self::$id => Command::$command,)* }
            }
        }

        /// What each screen keeps for itself.
        #[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
        pub struct Screens { $(#[doc = $title] pub $field: $type,)* }

        impl Screens {
            /// One of them, to read.
            pub fn get(&self, id: ScreenId) -> &dyn Screen {
                match id { $(ScreenId::$id => &self.$field,)* }
            }

            /// One of them, to change.
            pub fn get_mut(&mut self, id: ScreenId) -> &mut dyn Screen {
                match id { $(ScreenId::$id => &mut self.$field,)* }
            }
        }
    };
}

screens! {
    overview: overview::OverviewScreen => Overview, '1', "Overview", "Overview", ShowOverview;
    approvals: approvals::Approvals => Approvals, '2', "Approvals", "Approvals", ShowApprovals;
    credentials: credentials::Credentials => Credentials, '3', "Credentials", "Creds", ShowCredentials;
    rotation: rotation::Rotation => Rotation, '4', "Rotation", "Rotate", ShowRotation;
    revocations: revocations::Revocations => Revocations, '6', "Revocations", "Revoke", ShowRevocations;
    audit: audit::Audit => Audit, '7', "Audit", "Audit", ShowAudit;
    policy: policy::PolicyScreen => Policy, '8', "Policy", "Policy", ShowPolicy;
}

/// What the cursor is on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subject {
    /// Its identifier; what `y` copies.
    pub id: String,
    /// The name that people know it by.
    pub name: String,
    /// The command line that shows it.
    pub twin: String,
    /// The record as the wire has it, as far as it is known.
    pub json: String,
}

/// One entry of the act menu.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Act {
    /// Which, and by that its key and name.
    pub kind: ActKind,
    /// What it does to what, in a sentence.
    pub effect: String,
    /// Why it cannot be done; `None` if it can.
    pub refused: Option<String>,
}

/// A way to another screen, and to something on it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Jump {
    /// Which screen.
    pub screen: ScreenId,
    /// The object to show there, by identifier.
    pub id: Option<String>,
    /// The filter to set there.
    pub filter: Option<String>,
}

/// A screen: its own state, its update, and its view.
///
/// The core changes what is shared before it hands an event on. Events other than [`Event::Command`] reach
/// every screen; commands reach the one that is shown, and only those that the core does not answer itself.
pub trait Screen {
    /// Takes an event. No clock, no input or output: the time is `ctx.shared.now`.
    fn update(&mut self, event: &Event, ctx: &mut Ctx<'_>);

    /// Is shown from now on: asks for what it needs.
    fn enter(&mut self, _ctx: &mut Ctx<'_>) {}

    /// Goes to an object or sets a filter, because another screen or a menu says so.
    fn jump(&mut self, _jump: &Jump, _ctx: &mut Ctx<'_>) {}

    /// Draws itself into `area`, reading only. Rows that scroll are declared by [`Frame::region`].
    fn view(&self, shared: &Shared, area: Rect, frame: &mut Frame<'_>, theme: &Theme);

    /// What the act menu offers for what the cursor is on. The core refuses all of them while the link is
    /// away; a screen says why else one cannot be done.
    fn acts(&self, _shared: &Shared) -> Vec<Act> {
        Vec::new()
    }

    /// An entry was chosen: opens its sheet by [`Ctx::sheet`].
    fn act(&mut self, _kind: ActKind, _ctx: &mut Ctx<'_>) {}

    /// The same, where a menu asked which version is meant.
    fn act_on(&mut self, _kind: ActKind, _version: u32, _ctx: &mut Ctx<'_>) {}

    /// The commands for the footer, the most useful first; what does not fit is left out.
    fn hints(&self, shared: &Shared) -> Vec<Command>;

    /// Whether a command that screens answer themselves means something here now.
    fn available(&self, command: Command, shared: &Shared) -> Available;

    /// What the cursor is on.
    fn subject(&self, _shared: &Shared) -> Option<Subject> {
        None
    }

    /// Whether the cursor is on anything. Asked for every picture, so it should cost less than [`Self::subject`].
    fn has_subject(&self, shared: &Shared) -> bool {
        self.subject(shared).is_some()
    }

    /// The command line that prints what is shown.
    fn twin(&self, shared: &Shared) -> String;

    /// The number beside its tab.
    fn badge(&self, _shared: &Shared) -> Option<u64> {
        None
    }

    /// When what it shows was right, while that is from the last run; it is dimmed then, and its age told.
    fn kept_at(&self, shared: &Shared) -> Option<DateTime<Utc>> {
        shared.cached_at
    }

    /// Its filter, if it takes one.
    fn filter(&self) -> Option<&str> {
        None
    }

    /// Sets the filter, as it is typed. An error leaves the rows as they were.
    ///
    /// # Errors
    /// Where it stops making sense, and what would.
    fn set_filter(&mut self, _text: &str, _ctx: &mut Ctx<'_>) -> Result<(), FilterError> {
        Ok(())
    }

    /// Saved views: a name and a filter each.
    fn views(&self) -> &'static [(&'static str, &'static str)] {
        &[]
    }

    /// What `x` writes: the ending of the file and its text.
    fn export(&self, _shared: &Shared) -> Option<(&'static str, String)> {
        None
    }

    /// Whether the cursor is on something that is not told in full yet. The core sends [`Event::Rested`] once no
    /// key has come for a moment; after it this is `false`.
    fn unrested(&self) -> bool {
        false
    }

    /// Whether a long piece of work is only partly done; the core sends [`Event::Tick`] until it is not.
    fn busy(&self) -> bool {
        false
    }

    /// After how many seconds the passing time changes what is shown; `None` if it does not.
    fn tick_s(&self, _shared: &Shared) -> Option<u32> {
        None
    }
}
