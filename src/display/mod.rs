//! What both faces need to show things: outside text made safe, times, tables, small graphics.
//!
//! Depends on none of our other modules. Every string that came from outside the program passes
//! `sanitize::safe` or `sanitize::fit` before it reaches a screen, a table or a log line.

/// What changed between two texts.
pub mod diff;
/// Pure text graphics: life bars, eighth blocks, sparklines; each with a plain ASCII form.
pub mod glyphs;
/// The one function family through which outside text passes.
pub mod sanitize;
/// Plain-text tables for the command line.
pub mod table;
/// Times, durations and counts as people read them.
pub mod time;
