/// The output path: from ratatui's buffer to few bytes, at the pace of the line.
pub mod backend;
/// Few colours, expanded into the styles of roles; the glyph set.
pub mod theme;
