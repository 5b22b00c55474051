//! Plays a recorded session forward and prints its last screen.

use std::io::Write;
use std::path::Path;

use color_eyre::eyre::{Result, WrapErr};
use countersign::console::pictures;
use countersign::console::record::Recording;

/// Prints the screen that the recording in `file` ends with.
pub(crate) fn run(file: &Path, out: &mut impl Write) -> Result<()> {
    let text =
        std::fs::read(file).wrap_err_with(|| format!("{} cannot be read", file.display()))?;
    let recording: Recording = serde_json::from_slice(&text)
        .wrap_err_with(|| format!("{} is not a recording of this version", file.display()))?;
    write!(out, "{}", pictures::last_screen(&recording)).wrap_err("printing the screen")?;
    Ok(())
}
