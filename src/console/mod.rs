//! The terminal console: one ordered queue, a pure update, a view that only reads.
//!
//! Keys become commands before they enter the queue (`keymap`), `update` turns an `event::Event` into
//! a changed `model::Model` and `effect::Effect`s as data, the runner carries those out, and the view
//! draws what is there. To add a screen: a file in `screens`, one row in its table, and data for it in the
//! fixture.

/// The output path: from ratatui's buffer to few bytes, at the pace of the line.
pub mod backend;
/// How the console's own check of the log stands, in words.
pub mod chain;
/// What a committed sheet sends.
mod changes;
/// Every command and its keys, defined once; parser, hints, help, palette and documents are drawn from it.
pub mod command;
/// From a leaked key to a timeline for the postmortem.
pub mod drill;
/// A line of text being edited.
pub mod edit;
/// What the update asks the world to do, as data.
pub mod effect;
/// Everything that can change the screen.
pub mod event;
/// A fixed model from fixed data.
#[cfg(any(test, feature = "dev"))]
pub mod fixture;
/// The credentials that the console knows of.
pub mod fleet;
/// From the terminal's bytes to keys, pastes, answers and hang-ups.
pub mod input;
/// From keys to commands.
pub mod keymap;
/// What a key means where it is pressed.
pub mod keys;
/// The last known state of the first screen, for the next start.
pub mod known;
/// The way to the broker, beside the screen.
pub mod link;
/// What the console knows and shows.
pub mod model;
/// Drawing text into cells.
pub mod paint;
/// Any command by its words.
pub mod palette;
/// What decisions are signed with.
pub mod pens;
/// Every screen from fixed data, for `screenshots/`.
#[cfg(any(test, feature = "dev"))]
pub mod pictures;
/// A bounded recording of the session, and its replay.
pub mod record;
/// The loop.
pub mod run;
/// One file a screen, and the table of them.
pub mod screens;
/// When the session goes on as another, and what is said of its end.
pub mod session;
/// Asking before anything changes: the sheet that every action passes through.
pub mod sheet;
/// Pictures of screens for the documents.
#[cfg(feature = "dev")]
pub mod shot;
/// Puts the console together.
pub mod start;
/// Takes the terminal and gives it back as it was found.
pub mod terminal;
#[cfg(test)]
mod tests;
/// Few colours, expanded into the styles of roles; the glyph set.
pub mod theme;
/// An event and the model in, a changed model and effects out.
pub mod update;
/// Draws the model, reading only.
pub mod view;
/// Ends a console that was told to end and does not.
pub mod watchdog;
/// What screens are put together from: pure functions from data to cells.
pub mod widgets;

pub use run::ExitReason;
pub use start::{ConsoleError, Options, run};
