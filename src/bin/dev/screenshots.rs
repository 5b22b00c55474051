//! Draws pictures from fixed buffers, or checks that the committed ones are up to date.

use std::io::Write;
use std::path::Path;

use color_eyre::eyre::{Result, WrapErr, bail, ensure};
use countersign::console::pictures;
use countersign::console::shot::{Paper, render};

/// Writes `NAME.svg`, `NAME.png` and `NAME.txt` into `folder`, or compares with what is there.
pub(crate) fn run(folder: &Path, check: bool, out: &mut impl Write) -> Result<()> {
    let mut stale = Vec::new();
    for (name, buffer) in pictures::all() {
        let picture = render(&buffer, &Paper::DARK);
        let text = pictures::text(&buffer);
        ensure!(
            picture.missing.is_empty(),
            "{name}: the bundled font has no {:?}",
            picture.missing
        );
        let kinds = [
            ("svg", picture.svg.as_bytes()),
            ("png", &picture.png),
            ("txt", text.as_bytes()),
        ];
        for (kind, bytes) in kinds {
            let file = folder.join(format!("{name}.{kind}"));
            if check {
                if std::fs::read(&file).ok().as_deref() != Some(bytes) {
                    stale.push(file.display().to_string());
                }
                continue;
            }
            std::fs::create_dir_all(folder)
                .wrap_err("the folder of the pictures cannot be made")?;
            std::fs::write(&file, bytes)
                .wrap_err_with(|| format!("{} cannot be written", file.display()))?;
            writeln!(out, "{}", file.display())?;
        }
    }
    if !stale.is_empty() {
        bail!(
            "stale, run `cargo run --features dev --bin dev screenshots`: {}",
            stale.join(", ")
        );
    }
    Ok(())
}
