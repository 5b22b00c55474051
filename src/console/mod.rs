/// The output path: from ratatui's buffer to few bytes, at the pace of the line.
pub mod backend;
/// From the terminal's bytes to keys, pastes, answers and hang-ups.
pub mod input;
/// Pictures of screens for the documents.
#[cfg(feature = "dev")]
pub mod shot;
/// Takes the terminal and gives it back as it was found.
pub mod terminal;
/// Few colours, expanded into the styles of roles; the glyph set.
pub mod theme;
/// Ends a console that was told to end and does not.
pub mod watchdog;
/// What screens are put together from: pure functions from data to cells.
pub mod widgets;
