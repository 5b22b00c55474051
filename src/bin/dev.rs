//! Generators: `dev screenshots [--check]`. What they write is committed, and `--check` says if it is stale.

use std::path::PathBuf;

use clap::{Parser, Subcommand};
use color_eyre::eyre::Result;

#[path = "dev/screenshots.rs"]
mod screenshots;

/// Generators for what is committed beside the code.
#[derive(Parser)]
#[command(name = "dev")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Draws the console's screens as SVG and PNG.
    Screenshots {
        /// Writes nothing; fails if a picture is missing or stale.
        #[arg(long)]
        check: bool,
        /// Where the pictures are.
        #[arg(long, default_value = "screenshots")]
        into: PathBuf,
    },
}

fn main() -> Result<()> {
    color_eyre::install()?;
    match Arguments::parse().task {
        Task::Screenshots { check, into } => {
            screenshots::run(&into, check, &mut std::io::stdout().lock())
        }
    }
}
